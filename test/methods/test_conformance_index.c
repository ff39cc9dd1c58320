/* test_conformance_index.c: what every index kind must do, for every method of the list and several specs of each. A
 * new kind is covered by one line in `subjects` (a kind without one fails the first test).
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <math.h>
#include <unistd.h>

#include "../failing.h"
#include "../reseal.h"
#include "../test.h"

typedef struct subject {
    const char *spec;
    uint32_t dtype; /* of what is added and searched */
    int64_t rows;   /* enough to train */
    bool exact;     /* full effort finds exactly what brute force finds */

} subject;

static const subject subjects[] = {
    {"flat", SONDE_DTYPE_F32, 300, true},
    {"flat(metric=ip)", SONDE_DTYPE_F32, 300, true},
    {"flat(metric=cosine, dtype=f16)", SONDE_DTYPE_F16, 300, true},
    {"flat(dtype=bf16)", SONDE_DTYPE_BF16, 300, true},
    {"flat(dtype=i8)", SONDE_DTYPE_I8, 300, true},
    {"flat(dtype=u8, metric=cosine)", SONDE_DTYPE_U8, 300, true},
    {"flat(dtype=bits, metric=hamming)", SONDE_DTYPE_BITS, 300, true},
    {"ivf(nlist=7)", SONDE_DTYPE_F32, 300, true},
    {"ivf(nlist=5, metric=cosine)", SONDE_DTYPE_F16, 300, true},
    {"ivf(nlist=6, metric=ip, code=sq(bits=8), refine=f32)", SONDE_DTYPE_F32, 300, false},
    {"ivf(nlist=6, code=sq(bits=6), residual=yes)", SONDE_DTYPE_F32, 300, false},
    {"ivf(nlist=4, code=sq(bits=4), refine=f16)", SONDE_DTYPE_F32, 300, false},
    {"ivf(nlist=4, code=pq(m=auto, bits=4), metric=cosine)", SONDE_DTYPE_F32, 300, false},
    {"ivf(nlist=4, code=pq(m=auto, bits=5), refine=f32)", SONDE_DTYPE_I8, 300, false},
    {"ivf(nlist=3, code=pq(m=auto, bits=4, pad=yes), refine=f16)", SONDE_DTYPE_F32, 300, false},
    {"ivf(nlist=4, code=pq(m=auto, bits=4), metric=ip, residual=yes, refine=sq(bits=8))", SONDE_DTYPE_F32, 300, false},
    {"ivf(nlist=5, code=rabitq(bits=1), refine=f32)", SONDE_DTYPE_F32, 300, false},
    {"ivf(nlist=3, code=rabitq(bits=3), metric=ip)", SONDE_DTYPE_F32, 300, false},
    {"ivf(nlist=6, code=pq(m=auto, bits=4), refine=f16, spill=soar)", SONDE_DTYPE_F32, 300, false},
    {"ivf(nlist=5, spill=soar, metric=cosine, coarse=i8)", SONDE_DTYPE_F32, 300, true},
    {"ivf(nlist=5, metric=ip, lists=lorann)", SONDE_DTYPE_F32, 300, false},
    {"ivf(nlist=4, lists=lorann, refine=f16)", SONDE_DTYPE_F32, 300, false},
    {"ivf(nlist=4, metric=cosine, lists=lorann, spill=soar, refine=sq(bits=8))", SONDE_DTYPE_I8, 300, false},
    {"ivf(nlist=3, code=rq(m=3, bits=4, beam=1), refine=sq(bits=8))", SONDE_DTYPE_F32, 300, false},
    {"ivf(nlist=3, code=opq(m=auto, bits=4, iters=2), metric=ip)", SONDE_DTYPE_F32, 300, false},
    {"ivf(nlist=3, code=rabitq(bits=2), refine=f16)", SONDE_DTYPE_F32, 300, false},
    {"hamming(code=lsh(bits=40), metric=hamming)", SONDE_DTYPE_F32, 300, true},
    {"hamming(code=lsh(bits=19), bucket_bits=4, rerank=f32)", SONDE_DTYPE_I8, 300, true},
    {"hamming(code=lsh(bits=70), bucket_bits=3, key_bits=12, radius=1, probe=weight, rerank=f16, metric=cosine)",
     SONDE_DTYPE_F32, 300, true},
    {"hamming(code=lsh(bits=64), chunks=4, metric=hamming)", SONDE_DTYPE_F32, 300, true},
};
#define SUBJECTS ((int)(sizeof subjects / sizeof subjects[0]))
#define DIM 24
#define K 5
#define QUERIES 7

/* ---- data -------------------------------------------------------------------------------------------- */

static uint16_t half_of(float x) /* of values that f16 holds exactly: multiples of 1/64 below 32 */
{
    if (x == 0) return 0;
    int e;
    float m = frexpf(fabsf(x), &e);
    return (uint16_t)((x < 0 ? 0x8000 : 0) | (e + 14) << 10 | ((int)(m * 2048) & 0x3ff));
}

static void put_value(uint32_t dtype, uint8_t *row, int64_t column, float x)
{
    uint32_t bits;
    uint16_t half = half_of(x);
    memcpy(&bits, &x, 4);
    switch (dtype) {
    case SONDE_DTYPE_F32: memcpy(row + column * 4, &x, 4); break;
    case SONDE_DTYPE_F16: memcpy(row + column * 2, &half, 2); break;
    case SONDE_DTYPE_BF16:
        half = (uint16_t)(bits >> 16);
        memcpy(row + column * 2, &half, 2);
        break;
    case SONDE_DTYPE_I8: row[column] = (uint8_t)(int8_t)lrintf(x * 8); break;
    case SONDE_DTYPE_U8: row[column] = (uint8_t)lrintf(fabsf(x) * 8); break;
    default: row[column / 8] = (uint8_t)(row[column / 8] | (x > 0) << column % 8);
    }
}

/* Clustered rows whose values every dtype holds exactly. */
static sonde_array make_rows(uint32_t dtype, int64_t n, int64_t dim, uint64_t seed)
{
    sonde_array array = sonde_array_of(dtype, NULL, n, dim);
    float *x = test_vectors(n, dim, 6, seed);
    array.data = test_alloc((size_t)n + 1, (size_t)array.stride);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < dim; j++)
            put_value(dtype, (uint8_t *)array.data + i * array.stride, j, rintf(x[i * dim + j] * 8) / 8);
    free(x);
    return array;
}

static sonde_array some_rows(const sonde_array *rows, int64_t first, int64_t count)
{
    sonde_array part = *rows;
    part.data = (uint8_t *)rows->data + first * rows->stride;
    part.rows = count;
    return part;
}

typedef struct answer {
    int64_t ids[QUERIES * K];
    float scores[QUERIES * K];
    int32_t count[QUERIES];
    uint8_t reason[QUERIES];
} answer;

static sonde_status ask(const sonde_index *index, const sonde_array *queries, uint32_t effort, answer *a)
{
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    sonde_hits hits = {sizeof hits, 0, a->ids, a->scores, a->count, a->reason};
    how.k = K;
    how.effort = effort;
    return sonde_index_search(index, queries, &how, &hits);
}

static void assert_same(const answer *a, const answer *b)
{
    assert_memory_equal(a->ids, b->ids, sizeof a->ids);
    assert_memory_equal(a->scores, b->scores, sizeof a->scores);
    assert_memory_equal(a->count, b->count, sizeof a->count);
}

static sonde_index *filled(const subject *s, const sonde_array *rows, sonde_runtime *runtime)
{
    sonde_index *index;
    OK(sonde_index_create(s->spec, rows->cols, runtime, &index));
    OK(sonde_index_add(index, rows, NULL));
    return index;
}

static uint8_t *bytes_of(const sonde_index *index, size_t *length)
{
    OK(sonde_index_save_buffer(index, NULL, 0, length));
    uint8_t *bytes = test_alloc(*length, 1);
    OK(sonde_index_save_buffer(index, bytes, *length, length));
    return bytes;
}

/* ---- the tests --------------------------------------------------------------------------------------- */

static void covers_every_kind(void **unused)
{
    (void)unused;
    sonde_method_info info = SONDE_METHOD_INFO_INIT;
    for (uint32_t i = 0; sonde_method_at(i, &info) == SONDE_OK; i++) {
        bool found = strcmp(info.noun, "index") != 0;
        for (int s = 0; s < SUBJECTS; s++) found |= strncmp(subjects[s].spec, info.name, strlen(info.name)) == 0;
        if (!found) fail_msg("no subject covers index %s", info.name);
    }
}

static void round_trips(void **unused)
{
    (void)unused;
    for (int i = 0; i < SUBJECTS; i++) {
        const subject *s = &subjects[i];
        sonde_array rows = make_rows(s->dtype, s->rows, DIM, 1), queries = some_rows(&rows, 3, QUERIES);
        sonde_index *index = filled(s, &rows, NULL), *read, *mapped;
        sonde_open_options map = SONDE_OPEN_OPTIONS_INIT;
        answer a, b, c;
        size_t length, again;
        char path[] = "/tmp/sonde_test_XXXXXX";
        map.mode = SONDE_OPEN_MMAP;
        close(mkstemp(path));
        OK(sonde_index_save(index, path));
        OK(sonde_index_open(path, NULL, NULL, &read));
        OK(sonde_index_open(path, &map, NULL, &mapped));
        OK(ask(index, &queries, 3, &a));
        OK(ask(read, &queries, 3, &b));
        OK(ask(mapped, &queries, 3, &c));
        assert_same(&a, &b);
        assert_same(&a, &c);
        assert_string_equal(sonde_index_spec(index), sonde_index_spec(read));
        OK(sonde_index_check(mapped));
        uint8_t *first = bytes_of(index, &length), *second = bytes_of(read, &again);
        assert_int_equal(length, again);
        assert_memory_equal(first, second, length);
        FAILS(sonde_index_add(mapped, &rows, NULL), SONDE_STATE, "read-only");
        FAILS(sonde_index_remove(mapped, a.ids, 1, NULL), SONDE_STATE, "read-only");
        FAILS(sonde_index_compact(mapped), SONDE_STATE, "read-only");
        sonde_index_free(index);
        sonde_index_free(read);
        sonde_index_free(mapped);
        free(first);
        free(second);
        free(rows.data);
        unlink(path);
    }
}

static void same_bytes_for_any_threads(void **unused)
{
    (void)unused;
    static const uint32_t threads[] = {1, 2, 7};
    for (int i = 0; i < SUBJECTS; i++) {
        const subject *s = &subjects[i];
        sonde_array rows = make_rows(s->dtype, 1200, DIM, 2), queries = some_rows(&rows, 11, QUERIES);
        uint8_t *bytes[3];
        size_t length[3];
        answer a[3];
        for (int t = 0; t < 3; t++) {
            sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
            sonde_runtime *runtime;
            options.threads = threads[t];
            OK(sonde_runtime_create(&options, &runtime));
            sonde_index *index = filled(s, &rows, runtime);
            sonde_runtime_free(runtime);
            memset(&a[t], 0, sizeof a[t]);
            OK(ask(index, &queries, 2, &a[t]));
            bytes[t] = bytes_of(index, &length[t]);
            sonde_index_free(index);
            assert_int_equal(length[0], length[t]);
            assert_memory_equal(bytes[0], bytes[t], length[0]);
            assert_same(&a[0], &a[t]);
        }
        for (int t = 0; t < 3; t++) free(bytes[t]);
        free(rows.data);
    }
}

static void single_equals_batch(void **unused)
{
    (void)unused;
    for (int i = 0; i < SUBJECTS; i++) {
        const subject *s = &subjects[i];
        sonde_array rows = make_rows(s->dtype, s->rows, DIM, 3), more = make_rows(s->dtype, 64, DIM, 4);
        sonde_index *index = filled(s, &rows, NULL);
        sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
        int64_t ids[64 * K], one[K];
        float scores[64 * K], single[K];
        sonde_hits hits = {sizeof hits, 0, ids, scores, NULL, NULL},
                   alone = {sizeof alone, 0, one, single, NULL, NULL};
        how.k = K;
        how.effort = 3;
        OK(sonde_index_search(index, &more, &how, &hits));
        for (int q = 0; q < 64; q++) {
            sonde_array query = some_rows(&more, q, 1);
            OK(sonde_index_search(index, &query, &how, &alone));
            if (memcmp(one, ids + q * K, sizeof one)) fail_msg("%s: query %d", s->spec, q);
            assert_memory_equal(single, scores + q * K, sizeof single);
        }
        sonde_index_free(index);
        free(rows.data);
        free(more.data);
    }
}

/* Few rows, none, one, more hits wanted than there are. */
static void small_numbers(void **unused)
{
    (void)unused;
    for (int i = 0; i < SUBJECTS; i++) {
        const subject *s = &subjects[i];
        sonde_array rows = make_rows(s->dtype, s->rows, DIM, 5), none = some_rows(&rows, 0, 0),
                    queries = some_rows(&rows, 0, QUERIES);
        sonde_index *index;
        answer a;
        int64_t removed, ids[300];
        OK(sonde_index_create(s->spec, DIM, NULL, &index));
        OK(sonde_index_add(index, &none, NULL));
        OK(ask(index, &queries, 1, &a));
        assert_int_equal(a.ids[0], -1);
        assert_int_equal(a.count[0], 0);
        assert_int_equal(a.reason[0], SONDE_STOP_FEWER);
        OK(ask(index, &none, 1, &a));
        OK(sonde_index_add(index, &rows, NULL));
        for (int j = 0; j < 300; j++) ids[j] = j;
        OK(sonde_index_remove(index, ids, 297, &removed));
        assert_int_equal(removed, 297);
        OK(ask(index, &queries, 1, &a)); /* k hits whenever k exist: all three, though only one list is asked for */
        if (a.count[0] != 3) fail_msg("%s: %d hits", s->spec, a.count[0]);
        assert_int_equal(a.ids[3], -1);
        assert_int_equal(a.reason[0], SONDE_STOP_FEWER);
        OK(sonde_index_remove(index, ids, 300, &removed));
        assert_int_equal(removed, 3);
        assert_int_equal(sonde_index_count(index), 0);
        OK(ask(index, &queries, 1, &a));
        assert_int_equal(a.count[0], 0);
        OK(sonde_index_compact(index));
        OK(sonde_index_check(index));
        OK(sonde_index_add(index, &rows, NULL)); /* ids go on where they ended */
        assert_true(sonde_index_contains(index, 300));
        assert_false(sonde_index_contains(index, 0));
        sonde_index_free(index);
        free(rows.data);
    }
}

static void odd_dimensions(void **unused)
{
    (void)unused;
    static const int64_t dims[] = {1, 2, 3, 5, 7, 17, 31, 33, 100, 257};
    for (int i = 0; i < SUBJECTS; i++)
        for (int d = 0; d < (int)(sizeof dims / sizeof dims[0]); d++) {
            const subject *s = &subjects[i];
            sonde_array rows = make_rows(s->dtype, s->rows, dims[d], 6), queries = some_rows(&rows, 0, QUERIES);
            sonde_index *index = filled(s, &rows, NULL);
            answer a;
            OK(ask(index, &queries, 100, &a));
            OK(sonde_index_check(index));
            for (int q = 0; q < QUERIES; q++) assert_int_equal(a.count[q], K);
            sonde_index_free(index);
            free(rows.data);
        }
}

/* Rows behind each other with gaps, at an odd address, are the same rows. */
static void strided_and_unaligned(void **unused)
{
    (void)unused;
    for (int i = 0; i < SUBJECTS; i++) {
        const subject *s = &subjects[i];
        sonde_array rows = make_rows(s->dtype, s->rows, DIM, 7), spread = rows, queries, loose;
        size_t length, again;
        answer a, b;
        uint8_t *memory = test_alloc((size_t)s->rows + 1, (size_t)rows.stride + 13);
        spread.data = memory + 1;
        spread.stride = rows.stride + 13;
        for (int64_t r = 0; r < s->rows; r++)
            memcpy(memory + 1 + r * spread.stride, (uint8_t *)rows.data + r * rows.stride, (size_t)rows.stride);
        queries = some_rows(&rows, 5, QUERIES);
        loose = some_rows(&spread, 5, QUERIES);
        sonde_index *x = filled(s, &rows, NULL), *y = filled(s, &spread, NULL);
        uint8_t *first = bytes_of(x, &length), *second = bytes_of(y, &again);
        assert_int_equal(length, again);
        assert_memory_equal(first, second, length);
        OK(ask(x, &queries, 2, &a));
        OK(ask(y, &loose, 2, &b));
        assert_same(&a, &b);
        sonde_index_free(x);
        sonde_index_free(y);
        free(first);
        free(second);
        free(memory);
        free(rows.data);
    }
}

/* NaN and infinity are refused and change nothing; zero vectors are stored and found. */
static void strange_values(void **unused)
{
    (void)unused;
    for (int i = 0; i < SUBJECTS; i++) {
        const subject *s = &subjects[i];
        sonde_array rows = make_rows(s->dtype, s->rows, DIM, 8), queries = some_rows(&rows, 0, QUERIES);
        answer a;
        memset(rows.data, 0, (size_t)rows.stride * 2);
        sonde_index *index = filled(s, &rows, NULL);
        OK(ask(index, &queries, 100, &a));
        for (int h = 0; h < QUERIES * K; h++) assert_true(isfinite(a.scores[h]) && a.ids[h] >= 0);
        if (s->dtype == SONDE_DTYPE_F32) {
            float *x = (float *)rows.data + 3 * DIM + 4;
            static const float bad[] = {NAN, INFINITY, -INFINITY};
            for (int b = 0; b < 3; b++) {
                *x = bad[b];
                FAILS(sonde_index_add(index, &rows, NULL), SONDE_INVALID_ARGUMENT, "3");
                FAILS(ask(index, &queries, 1, &a), SONDE_INVALID_ARGUMENT, "queries");
            }
            assert_int_equal(sonde_index_count(index), s->rows);
        }
        OK(sonde_index_check(index));
        sonde_index_free(index);
        free(rows.data);
    }
}

/* ---- changing ---------------------------------------------------------------------------------------- */

/* Random adds, upserts and removals; afterwards every live row is found under its id and reconstructs as it was
 * added. */
static void follows_changes(void **unused)
{
    (void)unused;
    for (int i = 0; i < SUBJECTS; i++) {
        const subject *s = &subjects[i];
        sonde_array rows = make_rows(s->dtype, 600, DIM, 9), start = some_rows(&rows, 0, s->rows);
        sonde_index *index = filled(s, &start, NULL);
        int64_t at[600], live = s->rows;
        uint64_t state = 9;
        for (int64_t id = 0; id < 600; id++) at[id] = id < s->rows ? id : -1;
        for (int round = 0; round < 60; round++) {
            int64_t ids[20], removed, first = (int64_t)(test_u64(&state) % 580);
            for (int64_t j = 0; j < 20; j++) ids[j] = (first * 7 + j * 11) % 600;
            if (round % 3 == 0) {
                int64_t expected = 0;
                for (int j = 0; j < 20; j++) expected += at[ids[j]] >= 0, at[ids[j]] = -1;
                OK(sonde_index_remove(index, ids, 20, &removed));
                assert_int_equal(removed, expected);
                live -= expected;
            } else {
                sonde_array some = some_rows(&rows, first, 20);
                OK(sonde_index_add(index, &some, ids));
                for (int j = 0; j < 20; j++) live += at[ids[j]] < 0, at[ids[j]] = first + j;
            }
            assert_int_equal(sonde_index_count(index), live);
            if (round % 20 == 19) OK(sonde_index_compact(index));
        }
        OK(sonde_index_check(index));
        sonde_filter only = SONDE_FILTER_INIT;
        sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
        only.kind = SONDE_FILTER_RANGE;
        how.k = 1;
        how.filter = &only;
        for (int64_t id = 0; id < 600; id++) {
            sonde_array query = some_rows(&rows, at[id] < 0 ? 0 : at[id], 1);
            int64_t found;
            sonde_hits hits = {sizeof hits, 0, &found, NULL, NULL, NULL};
            assert_int_equal(sonde_index_contains(index, id), at[id] >= 0);
            only.first = id;
            only.last = id + 1;
            OK(sonde_index_search(index, &query, &how, &hits));
            if (found != (at[id] >= 0 ? id : -1))
                fail_msg("%s: id %lld: found %lld", s->spec, (long long)id, (long long)found);
        }
        sonde_index_free(index);
        free(rows.data);
    }
}

static void merges(void **unused)
{
    (void)unused;
    for (int i = 0; i < SUBJECTS; i++) {
        const subject *s = &subjects[i];
        sonde_array rows = make_rows(s->dtype, s->rows, DIM, 10), half = some_rows(&rows, 0, 150),
                    queries = some_rows(&rows, 0, QUERIES);
        sonde_input input = {"vectors", &rows};
        sonde_index *whole, *left, *right;
        size_t length;
        int64_t ids[150];
        answer a, b;
        OK(sonde_index_create(s->spec, DIM, NULL, &whole));
        OK(sonde_index_train(whole, &input, 1));
        uint8_t *trained = bytes_of(whole, &length);
        OK(sonde_index_open_buffer(trained, length, NULL, NULL, &left));
        OK(sonde_index_open_buffer(trained, length, NULL, NULL, &right));
        OK(sonde_index_add(whole, &rows, NULL));
        OK(sonde_index_add(left, &half, NULL));
        half = some_rows(&rows, 150, 150);
        for (int j = 0; j < 150; j++) ids[j] = 150 + j;
        OK(sonde_index_add(right, &half, ids));
        OK(sonde_index_merge(left, right));
        OK(sonde_index_merge(left, right)); /* an upsert of the same rows */
        assert_int_equal(sonde_index_count(left), s->rows);
        OK(sonde_index_check(left));
        OK(ask(whole, &queries, 3, &a));
        OK(ask(left, &queries, 3, &b));
        assert_same(&a, &b);
        FAILS(sonde_index_merge(left, left), SONDE_INVALID_ARGUMENT, "itself");
        sonde_index_free(whole);
        sonde_index_free(left);
        sonde_index_free(right);
        free(trained);
        free(rows.data);
    }
}

/* ---- cancelling -------------------------------------------------------------------------------------- */

typedef sonde_status (*verb)(sonde_index *index, const sonde_array *rows);

static sonde_status do_add(sonde_index *index, const sonde_array *rows) { return sonde_index_add(index, rows, NULL); }
static sonde_status do_compact(sonde_index *index, const sonde_array *rows)
{
    (void)rows;
    return sonde_index_compact(index);
}
static sonde_status do_check(sonde_index *index, const sonde_array *rows)
{
    (void)rows;
    return sonde_index_check(index);
}
static sonde_status do_tune(sonde_index *index, const sonde_array *rows)
{
    sonde_array queries = some_rows(rows, 0, 60);
    return sonde_index_tune(index, &queries, NULL);
}
static sonde_status do_save(sonde_index *index, const sonde_array *rows)
{
    size_t length;
    (void)rows;
    return sonde_index_save_buffer(index, NULL, 0, &length);
}
static sonde_status do_search(sonde_index *index, const sonde_array *rows)
{
    answer a;
    sonde_array queries = some_rows(rows, 0, QUERIES);
    return ask(index, &queries, 3, &a);
}
static sonde_status do_range(sonde_index *index, const sonde_array *rows)
{
    sonde_range_hits *hits = NULL;
    sonde_array queries = some_rows(rows, 0, QUERIES);
    sonde_status status = sonde_index_range_search(index, &queries, 0.5f, NULL, &hits);
    sonde_range_hits_free(hits);
    return status;
}
static sonde_status do_remove(sonde_index *index, const sonde_array *rows)
{
    int64_t ids[] = {1, 5, 9};
    (void)rows;
    return sonde_index_remove(index, ids, 3, NULL);
}

static const verb verbs[] = {do_search, do_range, do_save, do_check, do_tune, do_add, do_remove, do_compact};
#define VERBS ((int)(sizeof verbs / sizeof verbs[0]))

static void cancels_at_each_checkpoint(void **unused)
{
    (void)unused;
    for (int i = 0; i < SUBJECTS; i++) {
        const subject *s = &subjects[i];
        sonde_array rows = make_rows(s->dtype, s->rows, DIM, 11), queries = some_rows(&rows, 0, QUERIES);
        int left = 1 << 30;
        sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
        sonde_runtime *runtime;
        sonde_index *index;
        options.progress = cancel_later;
        options.progress_user = &left;
        OK(sonde_runtime_create(&options, &runtime));
        OK(sonde_index_create(s->spec, DIM, runtime, &index));
        sonde_status status = SONDE_CANCELLED;
        for (int n = 0; status != SONDE_OK; n++) { /* the first add, which may train */
            left = n;
            status = sonde_index_add(index, &rows, NULL);
            left = 1 << 30;
            if (status != SONDE_OK) assert_int_equal(status, SONDE_CANCELLED);
            assert_int_equal(sonde_index_count(index), status == SONDE_OK ? s->rows : 0);
            assert_in_range(n, 0, 2000);
        }
        answer before, after;
        OK(ask(index, &queries, 3, &before));
        for (int v = 0; v < VERBS - 2; v++) {
            status = SONDE_CANCELLED;
            for (int n = 0; status != SONDE_OK; n++) {
                int64_t count = sonde_index_count(index);
                left = n;
                status = verbs[v](index, &rows);
                left = 1 << 30;
                if (status == SONDE_OK) break;
                assert_int_equal(status, SONDE_CANCELLED);
                assert_int_equal(sonde_index_count(index), count);
                OK(ask(index, &queries, 3, &after));
                assert_same(&before, &after);
                assert_in_range(n, 0, 2000);
            }
        }
        sonde_index_free(index);
        sonde_runtime_free(runtime);
        free(rows.data);
    }
}

/* The flag, set beforehand, stops every verb that reads it, and nothing is lost. */
static void the_cancel_flag_stops_work(void **unused)
{
    (void)unused;
    sonde_runtime *runtime;
    sonde_array rows = make_rows(SONDE_DTYPE_F32, 300, DIM, 12);
    OK(sonde_runtime_create(NULL, &runtime));
    sonde_index *index = filled(&subjects[7], &rows, runtime);
    sonde_runtime_cancel(runtime);
    FAILS(sonde_index_add(index, &rows, NULL), SONDE_CANCELLED, "");
    FAILS(do_search(index, &rows), SONDE_CANCELLED, "");
    sonde_runtime_resume(runtime);
    OK(do_search(index, &rows));
    assert_int_equal(sonde_index_count(index), 300);
    sonde_index_free(index);
    sonde_runtime_free(runtime);
    free(rows.data);
}

/* ---- failing allocations ----------------------------------------------------------------------------- */

/* Each verb with its n-th allocation failing, on a fresh index each time; then the index still works. */
static void survives_failing_allocations(void **unused)
{
    (void)unused;
    for (int i = 0; i < SUBJECTS; i++)
        for (int v = 0; v < VERBS; v++) {
            const subject *s = &subjects[i];
            sonde_array rows = make_rows(s->dtype, s->rows, DIM, 13);
            bool hit = true;
            for (long n = 1; hit; n++) {
                failing_allocator memory = {0};
                sonde_runtime_options options = failing_options(&memory);
                sonde_runtime *runtime;
                options.threads = 1;
                OK(sonde_runtime_create(&options, &runtime));
                sonde_index *index = filled(s, &rows, runtime);
                memory.calls = 0;
                memory.fail_at = n;
                int64_t count = sonde_index_count(index);
                sonde_status status = verbs[v](index, &rows);
                hit = memory.failed > 0;
                memory.fail_at = 0;
                if (status != SONDE_OK) {
                    assert_true(hit);
                    assert_int_equal(status, SONDE_OUT_OF_MEMORY);
                    assert_int_equal(sonde_index_count(index), count);
                }
                OK(sonde_index_check(index));
                OK(do_search(index, &rows));
                sonde_index_free(index);
                sonde_runtime_free(runtime);
                assert_int_equal(memory.blocks, 0);
                assert_in_range(n, 1, 5000);
            }
            free(rows.data);
        }
}

static const subject *made_under_failure;
static sonde_array failure_rows;
static uint8_t *failure_bytes;
static size_t failure_length;

static sonde_status make_and_open(sonde_runtime_options *options)
{
    sonde_runtime *runtime;
    sonde_index *index = NULL;
    options->threads = 1;
    sonde_status status = sonde_runtime_create(options, &runtime);
    if (status != SONDE_OK) return status;
    status = sonde_index_create(made_under_failure->spec, DIM, runtime, &index);
    if (status == SONDE_OK) status = sonde_index_add(index, &failure_rows, NULL);
    sonde_index_free(index);
    index = NULL;
    if (status == SONDE_OK) status = sonde_index_open_buffer(failure_bytes, failure_length, NULL, runtime, &index);
    sonde_index_free(index);
    sonde_runtime_free(runtime);
    return status;
}

static void making_and_opening_survive_failing_allocations(void **unused)
{
    (void)unused;
    for (int i = 0; i < SUBJECTS; i++) {
        made_under_failure = &subjects[i];
        failure_rows = make_rows(subjects[i].dtype, subjects[i].rows, DIM, 14);
        sonde_index *index = filled(&subjects[i], &failure_rows, NULL);
        failure_bytes = bytes_of(index, &failure_length);
        sonde_index_free(index);
        assert_true(failing_walk(make_and_open) > 10);
        free(failure_bytes);
        free(failure_rows.data);
    }
}

/* ---- damaged files ----------------------------------------------------------------------------------- */

/* Opens damaged bytes; whatever opens must survive being used. */
static sonde_status try_bytes(const uint8_t *bytes, size_t length, const sonde_array *queries,
                              const sonde_array *rows)
{
    sonde_index *index;
    sonde_status status = sonde_index_open_buffer(bytes, length, NULL, NULL, &index);
    if (status != SONDE_OK) {
        assert_int_not_equal(sonde_error_message()[0], 0);
        return status;
    }
    answer a;
    (void)ask(index, queries, 3, &a);
    (void)sonde_index_add(index, rows, NULL);
    (void)do_remove(index, rows);
    (void)sonde_index_compact(index);
    sonde_index_free(index);
    return SONDE_OK;
}

static void damaged_files(void **unused)
{
    (void)unused;
    uint64_t state = 15;
    for (int i = 0; i < SUBJECTS; i++) {
        const subject *s = &subjects[i];
        sonde_array rows = make_rows(s->dtype, s->rows, DIM, 15), queries = some_rows(&rows, 0, QUERIES),
                    few = some_rows(&rows, 0, 5);
        sonde_index *index = filled(s, &rows, NULL);
        size_t length;
        uint8_t *bytes = bytes_of(index, &length), *copy = test_alloc(length, 1);
        for (size_t cut = 0; cut < 300; cut++) {
            size_t at = cut < 128 ? cut : (size_t)(test_u64(&state) % length);
            assert_int_not_equal(try_bytes(bytes, at, &queries, &few), SONDE_OK);
        }
        for (int flip = 0; flip < 300; flip++) {
            size_t at = (size_t)(test_u64(&state) % length);
            memcpy(copy, bytes, length);
            copy[at] ^= (uint8_t)(1u << test_u64(&state) % 8);
            if (try_bytes(copy, length, &queries, &few) == SONDE_OK)
                fail_msg("%s: a flip at byte %zu passed", s->spec, at);
            reseal(copy, length);
            (void)try_bytes(copy, length, &queries, &few); /* an error or a working handle */
        }
        sonde_index_free(index);
        free(bytes);
        free(copy);
        free(rows.data);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(covers_every_kind),
    cmocka_unit_test(round_trips),
    cmocka_unit_test(same_bytes_for_any_threads),
    cmocka_unit_test(single_equals_batch),
    cmocka_unit_test(small_numbers),
    cmocka_unit_test(odd_dimensions),
    cmocka_unit_test(strided_and_unaligned),
    cmocka_unit_test(strange_values),
    cmocka_unit_test(follows_changes),
    cmocka_unit_test(merges),
    cmocka_unit_test(cancels_at_each_checkpoint),
    cmocka_unit_test(the_cancel_flag_stops_work),
    cmocka_unit_test(survives_failing_allocations),
    cmocka_unit_test(making_and_opening_survive_failing_allocations),
    cmocka_unit_test(damaged_files),
};

SONDE_TEST_MAIN(tests)
