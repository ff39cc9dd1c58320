/* test_trie.c: tries of sequences against brute force over plain rows; beam search against all sums; unique
 * sequences; files, hostile ones among them, and failing allocations.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <math.h>

#include "../failing.h"
#include "../reseal.h"
#include "../test.h"
#include "sonde/trie.h"

enum { N = 700, LENGTH = 4, CODES = 6 };

/* ---- data and brute force -------------------------------------------------------------------------------------- */

/* n rows of LENGTH codes below CODES, some shorter; many are equal. */
static int32_t *make_sequences(int64_t n, uint64_t seed)
{
    int32_t *s = test_alloc((size_t)(n * LENGTH), sizeof *s);
    for (int64_t i = 0; i < n; i++) {
        int64_t length = 1 + (int64_t)(test_u64(&seed) % LENGTH);
        for (int64_t j = 0; j < LENGTH; j++)
            s[i * LENGTH + j] = j < length ? (int32_t)(test_u64(&seed) % CODES) : -1;
    }
    return s;
}

static int64_t codes_of(const int32_t *sequence)
{
    int64_t count = 0;
    while (count < LENGTH && sequence[count] >= 0) count++;
    return count;
}

static int compare(const int32_t *a, const int32_t *b)
{
    for (int j = 0; j < LENGTH; j++)
        if (a[j] != b[j]) return a[j] < b[j] ? -1 : 1;
    return 0;
}

static bool starts_with(const int32_t *sequence, const int32_t *prefix, int64_t length)
{
    for (int64_t j = 0; j < length; j++)
        if (sequence[j] != prefix[j]) return false;
    return true;
}

static sonde_trie *create(const char *spec, sonde_runtime *runtime)
{
    sonde_trie *trie = NULL;
    OK(sonde_trie_create(spec, LENGTH, runtime, &trie));
    return trie;
}

static sonde_status add(sonde_trie *trie, const int32_t *s, int64_t n, const int64_t *ids)
{
    sonde_array view = sonde_i32(s, n, LENGTH);
    return sonde_trie_add(trie, &view, ids);
}

/* Every prefix of every row, and some that no row has: children and documents as found by looking at all
 * rows. */
static void check_against_rows(const sonde_trie *trie, const int32_t *s, const int64_t *ids, int64_t n,
                               uint64_t seed)
{
    for (int64_t r = 0; r < 200; r++) {
        int32_t probe[LENGTH], codes[CODES + 2];
        int64_t found[N], count = 0, length = (int64_t)(test_u64(&seed) % (LENGTH + 1)), wanted = 0;
        memcpy(probe, s + (int64_t)(test_u64(&seed) % (uint64_t)n) * LENGTH, sizeof probe);
        for (int64_t j = 0; j < length; j++)
            if (probe[j] < 0 || r % 5 == 0) probe[j] = (int32_t)(test_u64(&seed) % (CODES + 1));
        OK(sonde_trie_children(trie, probe, length, codes, CODES + 2, &count));
        for (int32_t c = 0; c <= CODES; c++) {
            bool follows = false;
            for (int64_t i = 0; i < n && length < LENGTH; i++)
                follows |= starts_with(s + i * LENGTH, probe, length) && s[i * LENGTH + length] == c;
            if (follows) assert_int_equal(codes[wanted++], c);
        }
        assert_int_equal(count, wanted);
        OK(sonde_trie_lookup(trie, probe, length, found, N, &count));
        wanted = 0;
        for (int64_t i = 0; i < n; i++)
            if (length > 0 && codes_of(s + i * LENGTH) == length &&
                starts_with(s + i * LENGTH, probe, length))
                assert_int_equal(found[wanted++], ids[i]);
        assert_int_equal(count, wanted);
    }
}

/* ---- asking ---------------------------------------------------------------------------------------------------- */

/* Whatever way the rows came in: at once, in a few parts, one by one. */
static void test_against_brute_force(void **state)
{
    (void)state;
    static const int64_t pieces[] = {N, 100, 9, 1};
    for (int p = 0; p < 4; p++) {
        int64_t n = pieces[p] == 1 ? 150 : N;
        int32_t *s = make_sequences(n, 7 + (uint64_t)p);
        int64_t ids[N];
        sonde_trie *trie = create("trie", NULL);
        for (int64_t i = 0; i < n; i++) ids[i] = 1000 - 3 * i;
        for (int64_t i = 0; i < n; i += pieces[p])
            OK(add(trie, s + i * LENGTH, n - i < pieces[p] ? n - i : pieces[p], ids + i));
        assert_int_equal(sonde_trie_count(trie), n);
        check_against_rows(trie, s, ids, n, 3);
        sonde_trie_free(trie);
        free(s);
    }
}

static void test_default_ids(void **state)
{
    (void)state;
    int32_t s[] = {3, 1, -1, -1, 3, -1, -1, -1, 3, 1, -1, -1};
    sonde_trie *trie = create("trie", NULL);
    int64_t ids[4], count;
    OK(add(trie, s, 2, NULL));
    OK(add(trie, s + 8, 1, NULL));
    OK(sonde_trie_lookup(trie, s, 2, ids, 4, &count));
    assert_int_equal(count, 2);
    assert_int_equal(ids[0], 0);
    assert_int_equal(ids[1], 2);
    OK(sonde_trie_lookup(trie, s, 2, NULL, 0, &count));
    assert_int_equal(count, 2);
    assert_int_equal(sonde_trie_length(trie), LENGTH);
    sonde_trie_free(trie);
}

static void test_mask(void **state)
{
    (void)state;
    enum { V = CODES + 2, END = CODES + 1 };
    int32_t *s = make_sequences(60, 5), prefixes[60 * LENGTH];
    sonde_trie *trie = create("trie", NULL);
    float logits[60 * V];
    OK(add(trie, s, 60, NULL));
    for (int64_t i = 0; i < 60; i++) {
        memcpy(prefixes + i * LENGTH, s + i * LENGTH, LENGTH * sizeof *s);
        for (int64_t j = i % (LENGTH + 1); j < LENGTH; j++) prefixes[i * LENGTH + j] = -1;
        for (int v = 0; v < V; v++) logits[i * V + v] = (float)(i + v);
    }
    sonde_array p = sonde_i32(prefixes, 60, LENGTH), l = sonde_f32(logits, 60, V);
    OK(sonde_trie_mask(trie, &p, END, &l));
    for (int64_t i = 0; i < 60; i++) {
        const int32_t *prefix = prefixes + i * LENGTH;
        int64_t length = codes_of(prefix);
        for (int v = 0; v < V; v++) {
            bool allowed = false;
            for (int64_t r = 0; r < 60; r++) {
                const int32_t *row = s + r * LENGTH;
                allowed |= v == END ? length > 0 && compare(row, prefix) == 0
                                    : length < LENGTH && starts_with(row, prefix, length) && row[length] == v;
            }
            assert_true(logits[i * V + v] == (allowed ? (float)(i + v) : -INFINITY));
        }
    }
    FAILS(sonde_trie_mask(trie, &p, V, &l), SONDE_INVALID_ARGUMENT, "end=8");
    l.rows = 59;
    FAILS(sonde_trie_mask(trie, &p, -1, &l), SONDE_INVALID_ARGUMENT, "59");
    free(s);
    sonde_trie_free(trie);
}

/* ---- beam search ----------------------------------------------------------------------------------------------- */

/* A model that any prefix gives the same scores again: a hash of the prefix and the code. */
static float model(const int32_t *prefix, int64_t length, int64_t code)
{
    uint64_t state = (uint64_t)code + 17;
    for (int64_t j = 0; j < length; j++) state = state * 31 + (uint64_t)prefix[j] + 1;
    return -(float)(3 * test_unit(&state));
}

struct asked {
    int64_t calls, prefixes, bad_at;
    float value; /* what is written at call bad_at; 0: the model */
    int answer;
    bool uniform;
};

static int answer(const int32_t *prefixes, int64_t count, int64_t length, int64_t vocabulary, float *out,
                  void *user)
{
    struct asked *asked = user;
    assert_non_null(prefixes);
    asked->calls++;
    asked->prefixes += count;
    for (int64_t i = 0; i < count; i++)
        for (int64_t c = 0; c < vocabulary; c++)
            out[i * vocabulary + c] = asked->uniform ? -1 : model(prefixes + i * length, length, c);
    if (asked->bad_at == asked->calls) {
        if (asked->answer) return asked->answer;
        out[0] = asked->value;
    }
    return 0;
}

/* The true score of a stored sequence. */
static double true_score(const sonde_trie *trie, const int32_t *s, int scale, int64_t vocabulary, int64_t end)
{
    double sum = 0;
    int64_t length = codes_of(s), steps = end >= 0 ? length + 1 : length;
    for (int64_t j = 0; j < steps; j++) {
        int32_t codes[CODES];
        int64_t count, docs, code = j < length ? s[j] : end;
        double total = 0;
        OK(sonde_trie_children(trie, s, j, codes, CODES, &count));
        OK(sonde_trie_lookup(trie, s, j, NULL, 0, &docs));
        for (int64_t c = 0; scale == SONDE_TRIE_LOGITS && c < vocabulary; c++) total += exp(model(s, j, c));
        for (int64_t i = 0; scale == SONDE_TRIE_MASKED && i < count; i++) total += exp(model(s, j, codes[i]));
        if (scale == SONDE_TRIE_MASKED && end >= 0 && docs > 0) total += exp(model(s, j, end));
        sum += model(s, j, code) - (total > 0 ? log(total) : 0);
    }
    return sum;
}

/* With room for all, every stored sequence comes back, in the order of its true score. */
static void test_beam_is_exhaustive(void **state)
{
    (void)state;
    for (int scale = SONDE_TRIE_LOG_PROBS; scale <= SONDE_TRIE_MASKED; scale++)
        for (int has_end = 0; has_end < 2; has_end++) {
            int32_t *s = make_sequences(N, 9), *found = test_alloc(N * LENGTH, sizeof *found);
            float scores[N];
            int64_t ids[N], distinct = 0;
            struct asked asked = {.bad_at = 0};
            sonde_trie *trie = create("trie", NULL);
            sonde_trie_search_options o = SONDE_TRIE_SEARCH_OPTIONS_INIT;
            sonde_trie_hits hits = {.size = sizeof hits, .sequences = found, .ids = ids, .scores = scores};
            OK(add(trie, s, N - 40, NULL));
            OK(add(trie, s + (N - 40) * LENGTH, 40, NULL));
            for (int64_t i = 0; i < N; i++) {
                bool first = true;
                for (int64_t k = 0; k < i; k++) first &= compare(s + i * LENGTH, s + k * LENGTH) != 0;
                distinct += first;
            }
            o.width = N;
            o.scale = (uint32_t)scale;
            o.vocabulary = CODES + 2;
            o.has_end = (uint32_t)has_end;
            o.end = CODES + 1;
            o.score = answer;
            o.user = &asked;
            OK(sonde_trie_search(trie, &o, &hits));
            assert_int_equal(hits.count, distinct);
            for (int64_t i = 0; i < hits.count; i++) {
                const int32_t *own = found + i * LENGTH;
                int64_t first[N], count;
                double score = true_score(trie, own, scale, o.vocabulary, has_end ? o.end : -1);
                assert_true(fabs(score - scores[i]) < 1e-5);
                if (i > 0) assert_true(scores[i] <= scores[i - 1] && compare(own, own - LENGTH) != 0);
                OK(sonde_trie_lookup(trie, own, codes_of(own), first, N, &count));
                assert_true(count > 0);
                assert_int_equal(first[0], ids[i]);
            }
            free(s);
            free(found);
            sonde_trie_free(trie);
        }
}

/* Narrow beams: against the same search over plain prefixes, by sorting all candidates. */
struct plain {
    int32_t sequence[LENGTH];
    double score;
};

static int plain_order(const void *a, const void *b)
{
    const struct plain *p = a, *q = b;
    if (p->score != q->score) return p->score > q->score ? -1 : 1;
    return compare(p->sequence, q->sequence);
}

static int64_t plain_search(const sonde_trie *trie, int64_t width, bool uniform, struct plain *done)
{
    static struct plain beam[64], next[64 * CODES];
    int64_t beams = 1, finished = 0;
    memset(&beam[0], -1, sizeof beam[0]);
    beam[0].score = 0;
    for (int64_t depth = 0; beams > 0; depth++) {
        int64_t count = 0;
        for (int64_t b = 0; b < beams; b++) {
            int32_t codes[CODES];
            int64_t children, docs;
            OK(sonde_trie_lookup(trie, beam[b].sequence, depth, NULL, 0, &docs));
            if (docs > 0) done[finished++] = beam[b];
            OK(sonde_trie_children(trie, beam[b].sequence, depth, codes, CODES, &children));
            for (int64_t c = 0; c < children; c++) {
                next[count] = beam[b];
                next[count].sequence[depth] = codes[c];
                next[count++].score += uniform ? -1 : model(beam[b].sequence, depth, codes[c]);
            }
        }
        qsort(next, (size_t)count, sizeof *next, plain_order);
        beams = count < width ? count : width;
        memcpy(beam, next, (size_t)beams * sizeof *next);
    }
    qsort(done, (size_t)finished, sizeof *done, plain_order);
    return finished < width ? finished : width;
}

static void test_narrow_beams(void **state)
{
    (void)state;
    int32_t *s = make_sequences(400, 31), found[64 * LENGTH];
    float scores[64];
    sonde_trie *trie = create("trie", NULL);
    OK(add(trie, s, 400, NULL));
    for (uint32_t width = 1; width <= 64; width += width < 8 ? 1 : 7)
        for (int uniform = 0; uniform < 2; uniform++) {
            struct plain wanted[1000];
            struct asked asked = {.uniform = uniform};
            sonde_trie_search_options o = SONDE_TRIE_SEARCH_OPTIONS_INIT;
            sonde_trie_hits hits = {.size = sizeof hits, .sequences = found, .scores = scores};
            o.width = width;
            o.score = answer;
            o.user = &asked;
            OK(sonde_trie_search(trie, &o, &hits));
            assert_int_equal(hits.count, plain_search(trie, width, uniform, wanted));
            for (int64_t i = 0; i < hits.count; i++) {
                assert_int_equal(compare(found + i * LENGTH, wanted[i].sequence), 0);
                assert_true(fabs(scores[i] - wanted[i].score) < 1e-5);
            }
        }
    free(s);
    sonde_trie_free(trie);
}

static void test_bad_searches(void **state)
{
    (void)state;
    int32_t s[] = {0, 1, 2, 3, 0, 2, -1, -1}, found[8 * LENGTH];
    struct asked asked = {.bad_at = 2, .value = NAN};
    sonde_trie *trie = create("trie", NULL);
    sonde_trie_search_options o = SONDE_TRIE_SEARCH_OPTIONS_INIT;
    sonde_trie_hits hits = {.size = sizeof hits, .sequences = found, .count = 77};
    memset(found, 9, sizeof found);
    o.width = 8;
    o.score = answer;
    o.user = &asked;
    OK(sonde_trie_search(trie, &o, &hits)); /* empty: nobody is asked */
    assert_int_equal(hits.count, 0);
    assert_int_equal(asked.calls, 0);
    OK(add(trie, s, 2, NULL));
    memset(found, 9, sizeof found);
    hits.count = 77;
    FAILS(sonde_trie_search(trie, &o, &hits), SONDE_CALLBACK, "NaN");
    asked = (struct asked){.bad_at = 1, .value = INFINITY};
    FAILS(sonde_trie_search(trie, &o, &hits), SONDE_CALLBACK, "infinity");
    asked = (struct asked){.bad_at = 1, .answer = 5};
    FAILS(sonde_trie_search(trie, &o, &hits), SONDE_CALLBACK, "returned 5");
    o.width = 0;
    FAILS(sonde_trie_search(trie, &o, &hits), SONDE_INVALID_ARGUMENT, "width=0");
    o.width = 8;
    o.has_end = 1;
    o.end = 9;
    o.vocabulary = 9;
    FAILS(sonde_trie_search(trie, &o, &hits), SONDE_INVALID_ARGUMENT, "end=9");
    o.has_end = 0;
    o.score = NULL;
    FAILS(sonde_trie_search(trie, &o, &hits), SONDE_INVALID_ARGUMENT, "score");
    assert_int_equal(hits.count, 77);
    assert_int_equal(found[0], 0x09090909);
    asked = (struct asked){.bad_at = 1, .value = -INFINITY}; /* code 0 first: nothing can come out */
    o.score = answer;
    OK(sonde_trie_search(trie, &o, &hits));
    assert_int_equal(hits.count, 0);
    sonde_trie_free(trie);
}

/* ---- refusals -------------------------------------------------------------------------------------------------- */

static void test_bad_rows(void **state)
{
    (void)state;
    int32_t good[] = {1, 2, 3, 4}, gap[] = {1, -1, 2, -1}, high[] = {1, 10, -1, -1}, low[] = {1, -2, -1, -1};
    int32_t none[] = {-1, -1, -1, -1}, twice[] = {4, 4, -1, -1, 4, 4, -1, -1};
    sonde_trie *trie = create("trie(codes=10, duplicates=refuse)", NULL), *no = NULL;
    int64_t count;
    OK(add(trie, good, 1, NULL));
    FAILS(add(trie, gap, 1, NULL), SONDE_INVALID_ARGUMENT, "-1 before the code 2");
    FAILS(add(trie, high, 1, NULL), SONDE_INVALID_ARGUMENT, "0..9");
    FAILS(add(trie, low, 1, NULL), SONDE_INVALID_ARGUMENT, "code -2");
    FAILS(add(trie, none, 1, NULL), SONDE_INVALID_ARGUMENT, "no code");
    FAILS(add(trie, good, 1, NULL), SONDE_INVALID_ARGUMENT, "duplicates");
    FAILS(add(trie, twice, 2, NULL), SONDE_INVALID_ARGUMENT, "duplicates");
    assert_int_equal(sonde_trie_count(trie), 1);
    sonde_array wide = sonde_i32(twice, 1, LENGTH + 1), floats = sonde_f32((float *)twice, 1, LENGTH);
    FAILS(sonde_trie_add(trie, &wide, NULL), SONDE_INVALID_ARGUMENT, "5 columns");
    FAILS(sonde_trie_add(trie, &floats, NULL), SONDE_INVALID_ARGUMENT, "dtype");
    FAILS(sonde_trie_create("trie", 0, NULL, &no), SONDE_INVALID_ARGUMENT, "length=0");
    FAILS(sonde_trie_create("trie(code=3)", 4, NULL, &no), SONDE_NOT_FOUND, "codes");
    FAILS(sonde_trie_children(trie, NULL, 2, NULL, 0, &count), SONDE_INVALID_ARGUMENT, "NULL");
    OK(sonde_trie_children(trie, NULL, 0, NULL, 0, &count));
    assert_int_equal(count, 1);
    OK(sonde_trie_lookup(trie, low, 2, NULL, 0, &count));
    assert_int_equal(count, 0);
    sonde_trie_free(trie);
    sonde_trie_free(NULL);
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

static uint8_t *saved(const sonde_trie *trie, size_t *bytes)
{
    OK(sonde_trie_save_buffer(trie, NULL, 0, bytes));
    uint8_t *file = test_alloc(*bytes, 1);
    OK(sonde_trie_save_buffer(trie, file, *bytes, bytes));
    return file;
}

/* Pieces leave no trace; what was opened answers alike and grows on. */
static void test_files(void **state)
{
    (void)state;
    int32_t *s = make_sequences(N, 4);
    int64_t ids[N];
    size_t bytes, other;
    sonde_trie *whole = create("trie", NULL), *pieces = create("trie", NULL), *opened = NULL;
    for (int64_t i = 0; i < N; i++) ids[i] = i;
    OK(add(whole, s, N, NULL));
    for (int64_t i = 0; i < N; i += 50) OK(add(pieces, s + i * LENGTH, 50, NULL));
    uint8_t *a = saved(whole, &bytes), *b = saved(pieces, &other);
    assert_int_equal(bytes, other);
    assert_memory_equal(a, b, bytes);
    OK(sonde_trie_open_buffer(a, bytes, NULL, NULL, &opened));
    check_against_rows(opened, s, ids, N, 8);
    assert_string_equal(sonde_trie_spec(opened), sonde_trie_spec(whole));
    OK(add(opened, s, 50, NULL));
    assert_int_equal(sonde_trie_count(opened), N + 50);
    sonde_trie_free(opened);
    sonde_trie_free(whole);
    sonde_trie_free(pieces);
    free(a);
    free(b);
    free(s);
}

/* Any byte changed, with the checksums made right: refused, or a trie that answers. */
static void test_hostile_files(void **state)
{
    (void)state;
    int32_t *s = make_sequences(30, 4);
    sonde_trie *trie = create("trie", NULL);
    size_t bytes;
    uint64_t seed = 1;
    int refused = 0;
    OK(add(trie, s, 30, NULL));
    uint8_t *file = saved(trie, &bytes), *bad = test_alloc(bytes, 1);
    for (int r = 0; r < 3000; r++) {
        sonde_trie *opened = NULL;
        int64_t count, ids[40];
        int32_t codes[8];
        memcpy(bad, file, bytes);
        bad[test_u64(&seed) % bytes] = (uint8_t)test_u64(&seed);
        reseal(bad, bytes);
        if (sonde_trie_open_buffer(bad, bytes, NULL, NULL, &opened) != SONDE_OK) {
            refused++;
            continue;
        }
        for (int i = 0; i < 30; i++) {
            OK(sonde_trie_children(opened, s + i * LENGTH, codes_of(s + i * LENGTH), codes, 8, &count));
            OK(sonde_trie_lookup(opened, s + i * LENGTH, codes_of(s + i * LENGTH), ids, 40, &count));
        }
        sonde_trie_free(opened);
    }
    assert_true(refused > 300);
    free(file);
    free(bad);
    free(s);
    sonde_trie_free(trie);
}

/* ---- unique sequences ------------------------------------------------------------------------------------------ */

enum { ROWS = 3000, DIM = 12, LEVELS = 3, K = 32 };

static sonde_quantizer *make_ids(const float *x, const char *spec, int32_t *sequences)
{
    sonde_quantizer *quantizer = NULL;
    sonde_array rows = sonde_f32(x, ROWS, DIM);
    sonde_input input = {"vectors", &rows};
    uint8_t *codes = test_alloc(ROWS, 2 * LEVELS);
    sonde_array out = sonde_u8(codes, ROWS, 2 * LEVELS);
    OK(sonde_quantizer_create(spec, DIM, NULL, &quantizer));
    OK(sonde_quantizer_train(quantizer, &input, 1));
    OK(sonde_quantizer_encode(quantizer, &rows, &out));
    for (int64_t i = 0; i < ROWS * LEVELS; i++) sequences[i] = codes[2 * i] | codes[2 * i + 1] << 8;
    free(codes);
    return quantizer;
}

static double distortion(const sonde_quantizer *quantizer, const float *x, const int32_t *unique)
{
    uint8_t *codes = test_alloc(ROWS, 2 * LEVELS);
    float *back = test_alloc(ROWS * DIM, sizeof *back);
    double sum = 0;
    for (int64_t i = 0; i < ROWS; i++)
        for (int64_t l = 0; l < LEVELS; l++) {
            codes[(i * LEVELS + l) * 2] = (uint8_t)unique[i * (LEVELS + 1) + l];
            codes[(i * LEVELS + l) * 2 + 1] = (uint8_t)(unique[i * (LEVELS + 1) + l] >> 8);
        }
    sonde_array in = sonde_u8(codes, ROWS, 2 * LEVELS), out = sonde_f32(back, ROWS, DIM);
    OK(sonde_quantizer_decode(quantizer, &in, &out));
    for (int64_t i = 0; i < ROWS * DIM; i++) sum += ((double)x[i] - back[i]) * ((double)x[i] - back[i]);
    free(codes);
    free(back);
    return sum;
}

/* Every id names its row, and only that. */
static void check_unique(const int32_t *unique)
{
    sonde_trie *trie = NULL;
    sonde_array rows = sonde_i32(unique, ROWS, LEVELS + 1);
    OK(sonde_trie_create("trie(duplicates=refuse)", LEVELS + 1, NULL, &trie));
    OK(sonde_trie_add(trie, &rows, NULL));
    for (int64_t i = 0; i < ROWS; i++) {
        const int32_t *own = unique + i * (LEVELS + 1);
        int64_t id, count;
        OK(sonde_trie_lookup(trie, own, LEVELS + (own[LEVELS] >= 0), &id, 1, &count));
        assert_int_equal(count, 1);
        assert_int_equal(id, i);
    }
    sonde_trie_free(trie);
}

static void test_unique(void **state)
{
    (void)state;
    float *x = test_vectors(ROWS, DIM, 0, 5);
    int32_t *ids = test_alloc(ROWS * LEVELS, sizeof *ids),
            *out = test_alloc(ROWS * (LEVELS + 1), sizeof *out);
    for (int64_t i = 0; i < 30 * DIM; i++) x[30 * DIM + i] = x[i]; /* rows that nothing can tell apart */
    sonde_quantizer *quantizer = make_ids(x, "rkmeans(levels=3, codes=32, iters=5)", ids);
    sonde_array in = sonde_i32(ids, ROWS, LEVELS), unique = sonde_i32(out, ROWS, LEVELS + 1);
    sonde_array rows = sonde_f32(x, ROWS, DIM);
    sonde_unique_options o = SONDE_UNIQUE_OPTIONS_INIT;
    OK(sonde_sequences_unique(&in, NULL, NULL, &unique));
    check_unique(out);
    int64_t collided = 0, changed = 0, suffixed = 0;
    for (int64_t i = 0; i < ROWS; i++) {
        assert_memory_equal(out + i * (LEVELS + 1), ids + i * LEVELS, LEVELS * sizeof *ids);
        collided += out[i * (LEVELS + 1) + LEVELS] > 0;
    }
    double before = distortion(quantizer, x, out);
    assert_true(collided >= 60);
    o.mode = SONDE_UNIQUE_RESOLVE;
    o.quantizer = quantizer;
    o.vectors = &rows;
    OK(sonde_sequences_unique(&in, &o, NULL, &unique));
    check_unique(out);
    for (int64_t i = 0; i < ROWS; i++) {
        changed += memcmp(out + i * (LEVELS + 1), ids + i * LEVELS, LEVELS * sizeof *ids) != 0;
        suffixed += out[i * (LEVELS + 1) + LEVELS] >= 0;
    }
    assert_int_equal(suffixed, 0); /* K^L is 10 N: all find a place */
    assert_int_equal(changed, collided);
    assert_true(distortion(quantizer, x, out) < 1.03 * before);
    free(x);
    free(ids);
    free(out);
    sonde_quantizer_free(quantizer);
}

/* More rows than sequences: resolve takes what is free and numbers the rest. */
static void test_unique_without_room(void **state)
{
    (void)state;
    float *x = test_vectors(ROWS, DIM, 0, 5);
    int32_t *ids = test_alloc(ROWS * LEVELS, sizeof *ids),
            *out = test_alloc(ROWS * (LEVELS + 1), sizeof *out);
    sonde_quantizer *quantizer = make_ids(x, "rkmeans(levels=3, codes=8, iters=3)", ids), *other = NULL;
    sonde_array in = sonde_i32(ids, ROWS, LEVELS), unique = sonde_i32(out, ROWS, LEVELS + 1);
    sonde_array rows = sonde_f32(x, ROWS, DIM), fewer = sonde_f32(x, ROWS - 1, DIM);
    sonde_unique_options o = {
        .size = sizeof o, .mode = SONDE_UNIQUE_RESOLVE, .quantizer = quantizer, .vectors = &rows};
    OK(sonde_sequences_unique(&in, &o, NULL, &unique));
    check_unique(out);
    out[0] = 77;
    o.vectors = &fewer;
    FAILS(sonde_sequences_unique(&in, &o, NULL, &unique), SONDE_INVALID_ARGUMENT, "2999 rows");
    o.vectors = &rows;
    o.tries = 65;
    FAILS(sonde_sequences_unique(&in, &o, NULL, &unique), SONDE_INVALID_ARGUMENT, "tries=65");
    o.tries = 0;
    OK(sonde_quantizer_create("sq", DIM, NULL, &other));
    o.quantizer = other;
    FAILS(sonde_sequences_unique(&in, &o, NULL, &unique), SONDE_STATE, "not trained");
    ids[5] = 8;
    o.quantizer = quantizer;
    FAILS(sonde_sequences_unique(&in, &o, NULL, &unique), SONDE_INVALID_ARGUMENT, "the code 8");
    ids[5] = -1;
    FAILS(sonde_sequences_unique(&in, NULL, NULL, &unique), SONDE_INVALID_ARGUMENT, "code -1");
    o.mode = 3;
    FAILS(sonde_sequences_unique(&in, &o, NULL, &unique), SONDE_INVALID_ARGUMENT, "mode 3");
    assert_int_equal(out[0], 77);
    free(x);
    free(ids);
    free(out);
    sonde_quantizer_free(other);
    sonde_quantizer_free(quantizer);
}

/* ---- failing memory -------------------------------------------------------------------------------------------- */

static sonde_status trie_scene(sonde_runtime_options *options)
{
    static int32_t s[] = {0, 1, 2, 3, 0, 2, -1, -1, 0, 1, 2, 3, 4, -1, -1, -1};
    int32_t out[4 * (LENGTH + 1)];
    struct asked asked = {.bad_at = 0};
    sonde_runtime *runtime = NULL;
    sonde_trie *trie = NULL;
    sonde_trie_search_options o = SONDE_TRIE_SEARCH_OPTIONS_INIT;
    sonde_trie_hits hits = SONDE_TRIE_HITS_INIT;
    size_t bytes;
    o.width = 3;
    o.score = answer;
    o.user = &asked;
    options->threads = 1;
    sonde_array full = sonde_i32(s, 1, LENGTH), unique = sonde_i32(out, 1, LENGTH + 1);
    sonde_status status = sonde_runtime_create(options, &runtime);
    if (status == SONDE_OK) status = sonde_trie_create("trie", LENGTH, runtime, &trie);
    if (status == SONDE_OK) status = add(trie, s, 3, NULL);
    if (status == SONDE_OK) status = add(trie, s + 12, 1, NULL);
    if (status == SONDE_OK) status = sonde_trie_search(trie, &o, &hits);
    if (status == SONDE_OK) status = sonde_trie_save_buffer(trie, NULL, 0, &bytes);
    if (status == SONDE_OK) status = sonde_sequences_unique(&full, NULL, runtime, &unique);
    sonde_trie_free(trie);
    sonde_runtime_free(runtime);
    return status;
}

static void test_failing_memory(void **state)
{
    (void)state;
    assert_true(failing_walk(trie_scene) > 40);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_brute_force),
        cmocka_unit_test(test_default_ids),
        cmocka_unit_test(test_mask),
        cmocka_unit_test(test_beam_is_exhaustive),
        cmocka_unit_test(test_narrow_beams),
        cmocka_unit_test(test_bad_searches),
        cmocka_unit_test(test_bad_rows),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_hostile_files),
        cmocka_unit_test(test_unique),
        cmocka_unit_test(test_unique_without_room),
        cmocka_unit_test(test_failing_memory),
    };
    return test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
