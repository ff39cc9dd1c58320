/* test_flat.c: exact search against scoring everything in double precision.
 *
 * Most cases use small whole numbers, for which f32 arithmetic is exact: then ids and scores must be equal to the
 * reference to the last bit, ties included, for every element type, metric, path and number of threads.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test.h"

#include <math.h>
#include <pthread.h>

#include "indexes/index.h"

/* ---- data in any element type -------------------------------------------------------------------------- */

/* Packs whole numbers (bits: their parity) as a view of the dtype, rows `spare` bytes further apart than needed. */
static sonde_array pack(uint32_t dtype, const float *x, int64_t n, int64_t dim, int64_t spare)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    sonde_array array = sonde_array_of(dtype, NULL, n, dim);
    array.stride += spare;
    uint8_t *data = test_alloc((size_t)(n * array.stride + 1), 1);
    memset(data, 0xa5, (size_t)(n * array.stride));
    array.data = data;
    for (int64_t i = 0; i < n; i++) {
        uint8_t *row = data + i * array.stride;
        uint16_t half[1];
        for (int64_t j = 0; j < dim; j++) {
            float v = x[i * dim + j];
            switch (dtype) {
            case SONDE_DTYPE_F32: memcpy(row + 4 * j, &v, 4); break;
            case SONDE_DTYPE_F16: kernels->f32_to_f16(&v, 1, half), memcpy(row + 2 * j, half, 2); break;
            case SONDE_DTYPE_BF16: kernels->f32_to_bf16(&v, 1, half), memcpy(row + 2 * j, half, 2); break;
            case SONDE_DTYPE_BITS:
                /* the padding of the last byte keeps its rubbish */
                if (j % 8 == 0 && j + 8 <= dim) row[j / 8] = 0;
                row[j / 8] = (uint8_t)((row[j / 8] & ~(1 << j % 8)) | ((int)v & 1) << j % 8);
                break;
            default: row[j] = (uint8_t)(int8_t)v;
            }
        }
    }
    return array;
}

static float *whole_numbers(int64_t count, int low, int high, uint64_t seed)
{
    float *x = test_alloc((size_t)count, sizeof *x);
    for (int64_t i = 0; i < count; i++)
        x[i] = (float)(low + (int)(test_u64(&seed) % (uint64_t)(high - low + 1)));
    return x;
}

/* ---- the reference ------------------------------------------------------------------------------------- */

typedef struct ranked { float score; int64_t id; } ranked; /* larger is nearer */

static int by_rank(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static double reference(uint32_t metric, const float *q, const float *x, int64_t dim)
{
    double ip = 0, l2 = 0, qq = 0, xx = 0, differ = 0;
    for (int64_t j = 0; j < dim; j++) {
        ip += (double)q[j] * x[j];
        l2 += ((double)q[j] - x[j]) * ((double)q[j] - x[j]);
        qq += (double)q[j] * q[j];
        xx += (double)x[j] * x[j];
        differ += ((int)q[j] & 1) != ((int)x[j] & 1);
    }
    if (metric == SONDE_METRIC_L2) return -l2;
    if (metric == SONDE_METRIC_HAMMING) return -differ;
    if (metric == SONDE_METRIC_IP) return ip;
    return qq == 0 || xx == 0 ? 0 : ip / (sqrt(qq) * sqrt(xx));
}

/* All rows that allow() lets through, best first; returns how many. */
typedef bool (*allow_fn)(int64_t id, int64_t query);
static int64_t rank_all(uint32_t metric, const float *q, const float *rows, const int64_t *ids, int64_t n,
                        int64_t dim, allow_fn allow, int64_t query, ranked *out)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        if (!allow || allow(ids[i], query))
            out[count++] = (ranked){(float)reference(metric, q, rows + i * dim, dim), ids[i]};
    qsort(out, (size_t)count, sizeof *out, by_rank);
    return count;
}

/* ---- a built index and its data ------------------------------------------------------------------------ */

typedef struct fixture {
    sonde_index *index;
    sonde_runtime *runtime;
    uint32_t metric, dtype;
    int64_t n, dim, queries;
    float *rows, *query;
    int64_t *ids;
    sonde_array array, asked; /* rows and queries as views */
} fixture;

static fixture make(const char *spec, uint32_t dtype, uint32_t query_dtype, int64_t n, int64_t dim,
                    int64_t queries)
{
    fixture f = {.dtype = dtype, .n = n, .dim = dim, .queries = queries};
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    options.threads = 7;
    OK(sonde_runtime_create(&options, &f.runtime));
    bool positive = dtype == SONDE_DTYPE_U8 || query_dtype == SONDE_DTYPE_U8 || dtype == SONDE_DTYPE_BITS;
    f.rows = whole_numbers(n * dim, positive ? 0 : -3, 3, (uint64_t)(n + dim));
    f.query = whole_numbers(queries * dim, positive ? 0 : -3, 3, (uint64_t)(n - dim));
    if (n > 5) memset(f.rows + 5 * dim, 0, (size_t)dim * 4); /* a zero vector */
    f.ids = test_alloc((size_t)n, sizeof(int64_t));
    for (int64_t i = 0; i < n; i++) f.ids[i] = i * 7919 % 1000003;
    f.array = pack(dtype == SONDE_DTYPE_BITS ? dtype : SONDE_DTYPE_F32, f.rows, n, dim, 0);
    f.asked = pack(query_dtype, f.query, queries, dim, 0);
    OK(sonde_index_create(spec, dim, f.runtime, &f.index));
    f.metric = sonde_index_metric(f.index);
    OK(sonde_index_add(f.index, &f.array, f.ids));
    assert_int_equal(sonde_index_count(f.index), n);
    OK(sonde_index_check(f.index));
    return f;
}

static void drop(fixture *f)
{
    sonde_index_free(f->index);
    sonde_runtime_free(f->runtime);
    free(f->rows);
    free(f->query);
    free(f->ids);
    free(f->array.data);
    free(f->asked.data);
}

static float as_given(uint32_t metric, float score)
{
    return metric == SONDE_METRIC_IP || metric == SONDE_METRIC_COSINE ? score : 0 - score;
}

/* Searches with these options and demands the reference's answer. */
static void check_search(const fixture *f, const sonde_search_options *options, allow_fn allow)
{
    int64_t k = options->k;
    int64_t *ids = test_alloc((size_t)(f->queries * k), sizeof *ids);
    float *scores = test_alloc((size_t)(f->queries * k), sizeof *scores);
    int32_t *count = test_alloc((size_t)f->queries, sizeof *count);
    uint8_t *reason = test_alloc((size_t)f->queries, 1);
    ranked *all = test_alloc((size_t)f->n, sizeof *all);
    sonde_hits hits = {sizeof hits, 0, ids, scores, count, reason};
    OK(sonde_index_search(f->index, &f->asked, options, &hits));
    for (int64_t q = 0; q < f->queries; q++) {
        int64_t known = rank_all(f->metric, f->query + q * f->dim, f->rows, f->ids, f->n, f->dim, allow, q,
                                 all);
        assert_int_equal(count[q], known < k ? known : k);
        assert_int_equal(reason[q], known < k ? SONDE_STOP_FEWER : SONDE_STOP_EXACT);
        for (int64_t i = 0; i < k; i++) {
            bool hit = i < known;
            float worst = as_given(f->metric, -INFINITY);
            assert_int_equal(ids[q * k + i], hit ? all[i].id : -1);
            assert_true(scores[q * k + i] == (hit ? as_given(f->metric, all[i].score) : worst));
        }
    }
    free(ids);
    free(scores);
    free(count);
    free(reason);
    free(all);
}

static sonde_search_options options_of(uint32_t k, uint32_t threads)
{
    sonde_search_options options = SONDE_SEARCH_OPTIONS_INIT;
    options.k = k;
    options.threads = threads;
    return options;
}

/* ---- exactness ----------------------------------------------------------------------------------------- */

static void hand_computed(void **state)
{
    (void)state;
    static const float rows[] = {1, 2, 2, 2, 0, 0, 0, 0, 0, -1, -2, -2, 2, 4, 4}, query[] = {1, 2, 2};
    static const char *const specs[] = {"flat", "flat(metric=ip)", "flat(metric=cosine)"};
    static const int64_t order[3][5] = {{0, 1, 2, 4, 3}, {4, 0, 1, 2, 3}, {0, 4, 1, 2, 3}};
    static const float expected[3][5] = {{0, 9, 9, 9, 36}, {18, 9, 2, 0, -9}, {1, 1, 1.0f / 3, 0, -1}};
    sonde_array array = sonde_f32(rows, 5, 3), asked = sonde_f32(query, 1, 3);
    sonde_search_options options = options_of(5, 1);
    for (int m = 0; m < 3; m++) {
        sonde_index *index;
        int64_t ids[5];
        float scores[5];
        sonde_hits hits = {sizeof hits, 0, ids, scores, NULL, NULL};
        OK(sonde_index_create(specs[m], 3, NULL, &index));
        OK(sonde_index_add(index, &array, NULL));
        OK(sonde_index_search(index, &asked, &options, &hits));
        for (int i = 0; i < 5; i++) {
            assert_int_equal(ids[i], order[m][i]);
            assert_true(scores[i] == expected[m][i]);
        }
        assert_false(m == 0 && signbit(scores[0]));
        sonde_index_free(index);
    }
    /* rubbish beyond column 9 */
    static const uint8_t bits[] = {0x27, 0xfe, 0x35, 0x02}, q_bits[] = {0x35, 0x02};
    sonde_index *index;
    int64_t ids[2];
    float scores[2];
    sonde_hits hits = {sizeof hits, 0, ids, scores, NULL, NULL};
    options.k = 2;
    array = sonde_bits(bits, 2, 10);
    asked = sonde_bits(q_bits, 1, 10);
    OK(sonde_index_create("flat(metric=hamming, dtype=bits)", 10, NULL, &index));
    OK(sonde_index_add(index, &array, NULL));
    OK(sonde_index_search(index, &asked, &options, &hits));
    assert_true(ids[0] == 1 && ids[1] == 0 && scores[0] == 0 && scores[1] == 2);
    sonde_index_free(index);
}

static const char *const dtype_names[] = {"", "f32", "f16", "bf16", "i8", "u8"};
static const char *const metric_names[] = {"", "l2", "ip", "cosine"};

/* Every stored type x metric x type of query, over shapes with few and many queries, odd dimensions, k > n. */
static void all_types_and_metrics(void **state)
{
    (void)state;
    static const int64_t shapes[][4] = {{300, 17, 1, 10}, {1100, 24, 45, 7}, {70, 5, 33, 100}, {1, 1, 2, 3}};
    for (uint32_t dtype = 1; dtype <= 5; dtype++)
        for (uint32_t metric = 1; metric <= 3; metric++)
            for (int shape = 0; shape < 4; shape++) {
                char spec[64];
                uint32_t asked = 1 + (dtype + metric + (uint32_t)shape) % 5;
                if (shape == 1) asked = dtype; /* integer kernels */
                snprintf(spec, sizeof spec, "flat(metric=%s, dtype=%s)", metric_names[metric],
                         dtype_names[dtype]);
                const int64_t *s = shapes[shape];
                fixture f = make(spec, dtype, asked, s[0], s[1], s[2]);
                sonde_search_options options = options_of((uint32_t)s[3], 1);
                check_search(&f, &options, NULL);
                drop(&f);
            }
}

static void bits(void **state)
{
    (void)state;
    static const int64_t shapes[][4] = {{3000, 64, 1, 10}, {900, 77, 40, 5}, {20, 1, 3, 30},
                                        {2000, 384, 20, 10}};
    for (int s = 0; s < 4; s++) {
        fixture f = make("flat(metric=hamming, dtype=bits)", SONDE_DTYPE_BITS, SONDE_DTYPE_BITS, shapes[s][0],
                         shapes[s][1], shapes[s][2]);
        sonde_search_options options = options_of((uint32_t)shapes[s][3], 2);
        check_search(&f, &options, NULL);
        drop(&f);
    }
}

static pthread_t caller;
static bool strayed;
static int accept_odd(int64_t id, void *user)
{
    (void)user;
    strayed |= !pthread_equal(pthread_self(), caller);
    return id % 2 != 0;
}

/* The index has several segments, so that few queries share its rows out and many are shared out themselves. */
static void threads_change_nothing(void **state)
{
    (void)state;
    static const int64_t queries[] = {1, 3, 40, 200};
    static const uint32_t threads[] = {1, 2, 7};
    fixture f = make("flat(metric=l2)", SONDE_DTYPE_F32, SONDE_DTYPE_F32, 6500, 1024, queries[3]);
    sonde_filter odd = SONDE_FILTER_INIT;
    odd.kind = SONDE_FILTER_CALLBACK, odd.accept = accept_odd;
    caller = pthread_self();
    int64_t *ids = test_alloc((size_t)(2 * queries[3] * 10), sizeof *ids);
    float *scores = test_alloc((size_t)(2 * queries[3] * 10), sizeof *scores);
    for (int i = 0; i < 7; i++) {
        int64_t slots = queries[i % 4] * 10;
        f.asked.rows = queries[i % 4];
        for (int t = 0; t < 3; t++) {
            sonde_search_options options = options_of(10, threads[t]);
            if (i >= 4) options.filter = &odd;
            int64_t at = t ? slots : 0;
            sonde_hits hits = {sizeof hits, 0, ids + at, scores + at, NULL, NULL};
            OK(sonde_index_search(f.index, &f.asked, &options, &hits));
            if (t) assert_memory_equal(ids, ids + slots, (size_t)slots * sizeof *ids);
            if (t) assert_memory_equal(scores, scores + slots, (size_t)slots * sizeof *scores);
        }
    }
    assert_false(strayed);
    free(ids);
    free(scores);
    drop(&f);
}

/* Real values: order and scores within what rounding allows, and each query alone gives the very same bytes. */
static void real_values(void **state)
{
    (void)state;
    enum { N = 3000, DIM = 130, NQ = 50, K = 12 };
    float *rows = test_vectors(N, DIM, 20, 1), *query = test_vectors(NQ, DIM, 20, 1);
    /* many equal rows */
    for (int64_t i = 100; i < 400; i++) memcpy(rows + i * DIM, rows + (i % 3) * DIM, DIM * 4);
    memcpy(query + 3 * DIM, rows, DIM * 4);
    for (uint32_t metric = 1; metric <= 3; metric++) {
        sonde_index *index;
        char spec[40];
        snprintf(spec, sizeof spec, "flat(metric=%s)", metric_names[metric]);
        OK(sonde_index_create(spec, DIM, NULL, &index));
        sonde_array array = sonde_f32(rows, N, DIM), asked = sonde_f32(query, NQ, DIM);
        OK(sonde_index_add(index, &array, NULL));
        int64_t ids[NQ * K], one_ids[K];
        float scores[NQ * K], one_scores[K];
        sonde_hits hits = {sizeof hits, 0, ids, scores, NULL, NULL};
        sonde_hits one = {sizeof one, 0, one_ids, one_scores, NULL, NULL};
        sonde_search_options options = options_of(K, 0);
        OK(sonde_index_search(index, &asked, &options, &hits));
        for (int64_t q = 0; q < NQ; q++) {
            sonde_array single = sonde_f32(query + q * DIM, 1, DIM);
            OK(sonde_index_search(index, &single, &options, &one));
            assert_memory_equal(one_ids, ids + q * K, sizeof one_ids);
            assert_memory_equal(one_scores, scores + q * K, sizeof one_scores);
            float worst = as_given(metric, scores[q * K + K - 1]);
            double error = metric == SONDE_METRIC_COSINE ? DIM * 0x1p-24 : DIM * 0x1p-24 * DIM * 80;
            int better = 0;
            for (int64_t i = 0; i < N; i++)
                better += reference(metric, query + q * DIM, rows + i * DIM, DIM) > worst + error;
            assert_true(better <= K);
            for (int i = 0; i < K; i++) {
                double exact = reference(metric, query + q * DIM, rows + ids[q * K + i] * DIM, DIM);
                assert_true(fabs(as_given(metric, (float)exact) - scores[q * K + i]) <= error);
                if (i == 0) continue;
                float before = as_given(metric, scores[q * K + i - 1]), now = as_given(metric,
                                                                                       scores[q * K + i]);
                assert_true(before > now || (before == now && ids[q * K + i - 1] < ids[q * K + i]));
            }
        }
        if (metric != SONDE_METRIC_IP) /* query 3 is row 0, which is there a hundred times */
            for (int i = 0; i < K; i++) {
                assert_true(scores[3 * K + i] == (metric == SONDE_METRIC_L2 ? 0 : 1));
                assert_int_equal(ids[3 * K + i], i == 0 ? 0 : 102 + 3 * (i - 1));
            }
        sonde_index_free(index);
    }
    free(rows);
    free(query);
}

/* Vectors far from the origin and near each other: |q|^2 + |x|^2 - 2 q.x has no correct digit here. */
static void near_duplicates_far_out(void **state)
{
    (void)state;
    enum { N = 500, DIM = 48 };
    float *rows = test_alloc(N * DIM, 4);
    uint64_t seed = 8;
    for (int64_t i = 0; i < N; i++)
        for (int64_t j = 0; j < DIM; j++) rows[i * DIM + j] = 4096 + (float)(int)(test_u64(&seed) % 5) / 1024;
    sonde_index *index;
    OK(sonde_index_create("flat", DIM, NULL, &index));
    sonde_array array = sonde_f32(rows, N, DIM);
    OK(sonde_index_add(index, &array, NULL));
    int64_t ids[N * 3];
    float scores[N * 3];
    sonde_hits hits = {sizeof hits, 0, ids, scores, NULL, NULL};
    sonde_search_options options = options_of(3, 1);
    OK(sonde_index_search(index, &array, &options, &hits));
    ranked all[N];
    int64_t numbers[N];
    for (int64_t i = 0; i < N; i++) numbers[i] = i;
    for (int64_t q = 0; q < N; q++) {
        rank_all(SONDE_METRIC_L2, rows + q * DIM, rows, numbers, N, DIM, NULL, 0, all);
        for (int i = 0; i < 3; i++)
            assert_true(ids[3 * q + i] == all[i].id && scores[3 * q + i] == -all[i].score);
    }
    sonde_index_free(index);
    free(rows);
}

/* ---- filters, removal, views --------------------------------------------------------------------------- */

static int64_t share; /* of 1,000 ids, chosen by their last digits */
static bool allow_share(int64_t id, int64_t query)
{
    (void)query;
    return id % 1000 < share;
}
static bool allow_not_share(int64_t id, int64_t query) { return !allow_share(id, query); }
static bool allow_by_query(int64_t id, int64_t query) { return id % 1000 < 10 * query * query; }

static int accept_share(int64_t id, void *user)
{
    return allow_share(id, 0) ? *(int *)user : 0;
}

static void filters_of_all_kinds(void **state)
{
    (void)state;
    static const int64_t shares[] = {0, 1, 5, 40, 300, 990, 1000};
    static const uint32_t kinds[] = {SONDE_FILTER_BITMAP, SONDE_FILTER_IDS, SONDE_FILTER_CALLBACK};
    fixture few = make("flat", SONDE_DTYPE_F32, SONDE_DTYPE_F32, 4000, 20, 3);
    fixture many = make("flat(metric=ip, dtype=f16)", SONDE_DTYPE_F16, SONDE_DTYPE_F16, 2500, 11, 40);
    uint8_t *bitmap = test_alloc(1000003 / 8 + 1, 1);
    int64_t *listed = test_alloc(1000003, sizeof *listed);
    int yes = 9;
    for (int s = 0; s < 7; s++) {
        share = shares[s];
        int64_t count = 0;
        memset(bitmap, 0, 1000003 / 8 + 1);
        for (int64_t id = 0; id < 1000003; id++)
            if (allow_share(id, 0)) bitmap[id / 8] |= (uint8_t)(1 << id % 8), listed[count++] = id;
        for (int kind = 0; kind < 3; kind++)
            for (uint32_t exclude = 0; exclude < 2; exclude++) {
                sonde_filter filter = SONDE_FILTER_INIT;
                filter.kind = kinds[kind], filter.exclude = exclude;
                filter.bits = bitmap, filter.ids = listed, filter.accept = accept_share, filter.user = &yes;
                filter.count = kind == 0 ? 1000003 : count;
                sonde_search_options options = options_of(8, kind == 2 ? 7 : 2);
                options.filter = &filter;
                check_search(&few, &options, exclude ? allow_not_share : allow_share);
                check_search(&many, &options, exclude ? allow_not_share : allow_share);
            }
    }
    free(bitmap);
    free(listed);
    drop(&few);
    drop(&many);
}

static int64_t range_first, range_last;
static bool allow_range(int64_t id, int64_t query)
{
    (void)query;
    return range_first <= id && id < range_last;
}

static void ranges_and_filters_of_each_query(void **state)
{
    (void)state;
    fixture f = make("flat(metric=cosine, dtype=i8)", SONDE_DTYPE_I8, SONDE_DTYPE_I8, 3000, 9, 10);
    static const int64_t ranges[][2] = {{0, 1}, {0, 8000}, {500000, 1000000}, {7919, 7920}, {5, 5},
                                        {INT64_MIN, INT64_MAX}};
    sonde_search_options options = options_of(20, 2);
    for (int r = 0; r < 6; r++) {
        sonde_filter filter = SONDE_FILTER_INIT;
        filter.kind = SONDE_FILTER_RANGE;
        filter.first = range_first = ranges[r][0], filter.last = range_last = ranges[r][1];
        options.filter = &filter;
        check_search(&f, &options, allow_range);
    }
    sonde_filter own[10];
    int64_t *listed = test_alloc(10 * 1000003, sizeof *listed), used = 0;
    for (int64_t q = 0; q < 10; q++) {
        own[q] = (sonde_filter)SONDE_FILTER_INIT;
        own[q].kind = SONDE_FILTER_IDS, own[q].ids = listed + used;
        for (int64_t id = 0; id < 1000003; id++)
            if (allow_by_query(id, q)) listed[used + own[q].count++] = id;
        used += own[q].count;
    }
    options.filter = own, options.filter_count = 10;
    check_search(&f, &options, allow_by_query);
    free(listed);
    drop(&f);
}

static bool allow_kept(int64_t id, int64_t query)
{
    (void)query;
    return id % 3 != 0 && id % 5 != 1;
}

static void removed_rows_are_gone(void **state)
{
    (void)state;
    fixture f = make("flat", SONDE_DTYPE_F32, SONDE_DTYPE_F32, 4000, 12, 37);
    int64_t removed, gone = 0, kept = 0;
    int64_t *ids = test_alloc(4000, sizeof *ids);
    for (int64_t i = 0; i < 4000; i++) {
        if (!allow_kept(f.ids[i], 0)) ids[gone++] = f.ids[i];
        else kept++;
    }
    OK(sonde_index_remove(f.index, ids, gone, &removed));
    assert_int_equal(removed, gone);
    assert_int_equal(sonde_index_count(f.index), kept);
    sonde_search_options options = options_of(9, 2);
    check_search(&f, &options, allow_kept);
    options.k = 4000;
    check_search(&f, &options, allow_kept);
    OK(sonde_index_compact(f.index));
    check_search(&f, &options, allow_kept);
    free(ids);
    drop(&f);
}

static void replaced_rows_are_found_as_they_are_now(void **state)
{
    (void)state;
    fixture f = make("flat(metric=ip)", SONDE_DTYPE_F32, SONDE_DTYPE_F32, 1500, 8, 5);
    for (int64_t i = 0; i < 600 * 8; i++) f.rows[i] = -f.rows[i] + 1;
    sonde_array again = sonde_f32(f.rows, 600, 8);
    OK(sonde_index_add(f.index, &again, f.ids));
    assert_int_equal(sonde_index_count(f.index), 1500);
    sonde_search_options options = options_of(30, 2);
    check_search(&f, &options, NULL);
    drop(&f);
}

static void strided_and_unaligned_views(void **state)
{
    (void)state;
    for (uint32_t dtype = 1; dtype <= 5; dtype++) {
        fixture f = make("flat", SONDE_DTYPE_F32, dtype, 400, 13, 21);
        free(f.asked.data);
        f.asked = pack(dtype, f.query, 21, 13, 5); /* odd stride */
        sonde_search_options options = options_of(6, 1);
        check_search(&f, &options, NULL);
        memmove((uint8_t *)f.asked.data + 1, f.asked.data, (size_t)(21 * f.asked.stride - 5));
        void *start = f.asked.data;
        f.asked.data = (uint8_t *)start + 1;
        f.asked.rows = f.queries = 20;
        check_search(&f, &options, NULL);
        f.asked.data = start;
        drop(&f);
    }
}

static void files_give_the_same_answers(void **state)
{
    (void)state;
    static const uint32_t dtypes[] = {SONDE_DTYPE_F32, SONDE_DTYPE_I8, SONDE_DTYPE_BITS};
    static const char *const specs[] = {"flat(metric=cosine)", "flat(dtype=i8)",
                                        "flat(metric=hamming, dtype=bits)"};
    for (int i = 0; i < 3; i++) {
        fixture f = make(specs[i], dtypes[i], dtypes[i], 500, 30, 6);
        size_t length;
        OK(sonde_index_save_buffer(f.index, NULL, 0, &length));
        void *buffer = test_alloc(length, 1);
        OK(sonde_index_save_buffer(f.index, buffer, length, &length));
        sonde_index_free(f.index);
        OK(sonde_index_open_buffer(buffer, length, NULL, f.runtime, &f.index));
        OK(sonde_index_check(f.index));
        sonde_search_options options = options_of(10, 1);
        check_search(&f, &options, NULL);
        free(buffer);
        drop(&f);
    }
}

static void stored_rows_come_back(void **state)
{
    (void)state;
    for (uint32_t dtype = 1; dtype <= 6; dtype++) {
        char spec[64];
        bool is_bits = dtype == SONDE_DTYPE_BITS;
        snprintf(spec, sizeof spec, is_bits ? "flat(metric=hamming, dtype=bits)" : "flat(dtype=%s)",
                 is_bits ? "" : dtype_names[dtype]);
        fixture f = make(spec, dtype, dtype, 50, 19, 1);
        float out[19];
        uint8_t out_bits[3];
        sonde_array view = is_bits ? sonde_bits(out_bits, 1, 19) : sonde_f32(out, 1, 19);
        for (int64_t i = 0; i < 50; i++) {
            OK(sonde_index_get(f.index, &f.ids[i], 1, &view));
            for (int64_t j = 0; j < 19; j++)
                if (is_bits) assert_int_equal(out_bits[j / 8] >> j % 8 & 1, (int)f.rows[i * 19 + j] & 1);
                else assert_true(out[j] == f.rows[i * 19 + j]);
            if (is_bits) assert_int_equal(out_bits[2] >> 3, 0);
        }
        drop(&f);
    }
}

/* ---- range search -------------------------------------------------------------------------------------- */

static void check_range(const fixture *f, float radius, const sonde_search_options *options, allow_fn allow)
{
    sonde_range_hits *hits;
    const int64_t *offsets, *ids;
    const float *scores;
    ranked *all = test_alloc((size_t)f->n, sizeof *all);
    OK(sonde_index_range_search(f->index, &f->asked, radius, options, &hits));
    sonde_range_hits_view(hits, &offsets, &ids, &scores);
    for (int64_t q = 0; q < f->queries; q++) {
        const float *query = f->query + q * f->dim;
        int64_t known = rank_all(f->metric, query, f->rows, f->ids, f->n, f->dim, allow, q, all), within = 0;
        while (within < known && all[within].score >= as_given(f->metric, radius)) within++;
        assert_int_equal(offsets[q + 1] - offsets[q], within);
        for (int64_t i = 0; i < within; i++) {
            assert_int_equal(ids[offsets[q] + i], all[i].id);
            assert_true(scores[offsets[q] + i] == as_given(f->metric, all[i].score));
        }
    }
    sonde_range_hits_free(hits);
    free(all);
}

/* Whole scores lie on the radius by the dozen: all of them are in. */
static void range_search(void **state)
{
    (void)state;
    static const char *const specs[] = {"flat", "flat(metric=ip)", "flat(metric=cosine, dtype=bf16)",
                                        "flat(dtype=u8)",
                                        "flat(metric=hamming, dtype=bits)"};
    static const uint32_t dtypes[] = {1, 1, 3, 5, 6};
    static const float radii[5][4] = {{30, 45, -1, 0}, {8, 0, -20, 1e9f}, {0.5f, 0, 1, -1},
                                      {12, 20, 3, INFINITY}, {3, 5, 0, 10}};
    for (int i = 0; i < 5; i++) {
        fixture f = make(specs[i], dtypes[i], dtypes[i], 2000, 10, 35);
        for (int r = 0; r < 4; r++)
            for (uint32_t threads = 1; threads < 3; threads++) {
                sonde_search_options options = options_of(0, threads);
                check_range(&f, radii[i][r], &options, NULL);
                sonde_filter filter = SONDE_FILTER_INIT;
                filter.kind = SONDE_FILTER_RANGE;
                filter.first = range_first = 1000, filter.last = range_last = 500000;
                options.filter = &filter;
                check_range(&f, radii[i][r], &options, allow_range);
            }
        f.asked.rows = f.queries = 1;
        check_range(&f, radii[i][0], NULL, NULL);
        drop(&f);
    }
}

/* ---- what must be refused, and what must not happen ---------------------------------------------------- */

static void bad_specs(void **state)
{
    (void)state;
    sonde_index *index;
    FAILS(sonde_index_create("flat(dtype=bits)", 8, NULL, &index), SONDE_INVALID_ARGUMENT, "metric=hamming");
    FAILS(sonde_index_create("flat(metric=hamming)", 8, NULL, &index), SONDE_INVALID_ARGUMENT, "dtype=bits");
    FAILS(sonde_index_create("flat(dtype=i9)", 8, NULL, &index), SONDE_INVALID_ARGUMENT, "i9");
    FAILS(sonde_index_create("flat", 0, NULL, &index), SONDE_INVALID_ARGUMENT, "dim=0");
}

static void rows_that_cannot_be_stored(void **state)
{
    (void)state;
    float rows[] = {1, 2, 3, 1.5f}, large[] = {1, 2, 3, 70000}, huge[] = {0, 0, 1e19f, 0};
    float no_number[] = {1, 2, NAN, 3};
    sonde_array half = sonde_f32(rows, 2, 2), over = sonde_f32(large, 2, 2), longest = sonde_f32(huge, 2, 2);
    sonde_array not = sonde_f32(no_number, 2, 2);
    sonde_index *index;
    OK(sonde_index_create("flat(dtype=i8)", 2, NULL, &index));
    FAILS(sonde_index_add(index, &half, NULL), SONDE_INVALID_ARGUMENT, "row 1, column 1: 1.5");
    FAILS(sonde_index_add(index, &over, NULL), SONDE_INVALID_ARGUMENT, "row 1");
    sonde_index_free(index);
    OK(sonde_index_create("flat(dtype=f16)", 2, NULL, &index));
    FAILS(sonde_index_add(index, &over, NULL), SONDE_INVALID_ARGUMENT, "too large for dtype=f16");
    OK(sonde_index_add(index, &half, NULL));
    sonde_index_free(index);
    OK(sonde_index_create("flat", 2, NULL, &index));
    FAILS(sonde_index_add(index, &longest, NULL), SONDE_INVALID_ARGUMENT, "row 1 is longer");
    FAILS(sonde_index_add(index, &not, NULL), SONDE_INVALID_ARGUMENT, "row 1, column 0");
    assert_int_equal(sonde_index_count(index), 0);
    sonde_index_free(index);
}

static int refuse(int64_t id, void *user)
{
    int *calls = user;
    return ++*calls == 20 ? -3 : id % 2 == 0;
}

/* Each bad call leaves the outputs as they were. */
static void bad_calls(void **state)
{
    (void)state;
    fixture f = make("flat", SONDE_DTYPE_F32, SONDE_DTYPE_F32, 100, 4, 2);
    int64_t ids[20];
    float scores[20];
    memset(ids, 7, sizeof ids);
    memset(scores, 7, sizeof scores);
    sonde_hits hits = {sizeof hits, 0, ids, scores, NULL, NULL}, none = hits;
    none.ids = NULL;
    sonde_array wide = sonde_f32(f.rows, 2, 6), asked = f.asked;
    sonde_array int32 = sonde_array_of(SONDE_DTYPE_I32, f.rows, 2, 4);
    sonde_search_options o = options_of(10, 0);
    FAILS(sonde_index_search(NULL, &asked, &o, &hits), SONDE_INVALID_ARGUMENT, "index is NULL");
    FAILS(sonde_index_search(f.index, NULL, &o, &hits), SONDE_INVALID_ARGUMENT, "queries");
    FAILS(sonde_index_search(f.index, &wide, &o, &hits), SONDE_INVALID_ARGUMENT,
          "search: queries have 6 columns, the index was built for 4");
    FAILS(sonde_index_search(f.index, &int32, &o, &hits), SONDE_INVALID_ARGUMENT, "i32");
    FAILS(sonde_index_search(f.index, &asked, &o, NULL), SONDE_INVALID_ARGUMENT, "hits is NULL");
    FAILS(sonde_index_search(f.index, &asked, &o, &none), SONDE_INVALID_ARGUMENT, "ids is NULL");
    none = hits, none.size = 0;
    FAILS(sonde_index_search(f.index, &asked, &o, &none), SONDE_INVALID_ARGUMENT, "size");
    o.k = 65537;
    FAILS(sonde_index_search(f.index, &asked, &o, &hits), SONDE_INVALID_ARGUMENT, "65537");
    o = options_of(10, 0), o.recall = 1.5f;
    FAILS(sonde_index_search(f.index, &asked, &o, &hits), SONDE_INVALID_ARGUMENT, "recall is 1.5");
    o.recall = NAN;
    FAILS(sonde_index_search(f.index, &asked, &o, &hits), SONDE_INVALID_ARGUMENT, "recall");
    o.recall = 0.9f, o.effort = 3;
    FAILS(sonde_index_search(f.index, &asked, &o, &hits), SONDE_INVALID_ARGUMENT, "both");
    o = options_of(10, 0), o.refine = 2;
    FAILS(sonde_index_search(f.index, &asked, &o, &hits), SONDE_INVALID_ARGUMENT, "refine");
    o = options_of(10, 0), o.filter_count = 2;
    FAILS(sonde_index_search(f.index, &asked, &o, &hits), SONDE_INVALID_ARGUMENT, "search: filter is NULL");
    float *q = asked.data, kept = q[5];
    o = options_of(10, 0);
    q[5] = INFINITY;
    FAILS(sonde_index_search(f.index, &asked, &o, &hits), SONDE_INVALID_ARGUMENT, "row 1, column 1");
    q[5] = 3e19f;
    FAILS(sonde_index_search(f.index, &asked, &o, &hits), SONDE_INVALID_ARGUMENT, "query 1 is longer");
    q[5] = kept;
    int calls = 0;
    sonde_filter filter = SONDE_FILTER_INIT;
    filter.kind = SONDE_FILTER_CALLBACK, filter.accept = refuse, filter.user = &calls;
    o.filter = &filter;
    FAILS(sonde_index_search(f.index, &asked, &o, &hits), SONDE_CALLBACK, "returned -3");
    assert_int_equal(calls, 20); /* and it was not asked again */
    o.filter = NULL;
    sonde_runtime_cancel(f.runtime);
    FAILS(sonde_index_search(f.index, &asked, &o, &hits), SONDE_CANCELLED, "cancel");
    sonde_runtime_resume(f.runtime);
    sonde_range_hits *range = NULL;
    FAILS(sonde_index_range_search(f.index, &asked, NAN, NULL, &range), SONDE_INVALID_ARGUMENT, "NaN");
    FAILS(sonde_index_range_search(f.index, &asked, 1, NULL, NULL), SONDE_INVALID_ARGUMENT, "NULL");
    assert_null(range);
    for (size_t i = 0; i < sizeof ids; i++) assert_int_equal(((uint8_t *)ids)[i], 7);
    for (size_t i = 0; i < sizeof scores; i++) assert_int_equal(((uint8_t *)scores)[i], 7);
    drop(&f);
}

static void empty_index_and_no_queries(void **state)
{
    (void)state;
    sonde_index *index;
    float query[3] = {1, 2, 3};
    int64_t ids[4] = {5, 5, 5, 5};
    float scores[4];
    int32_t count[1];
    uint8_t reason[1];
    sonde_hits hits = {sizeof hits, 0, ids, scores, count, reason};
    sonde_array one = sonde_f32(query, 1, 3), zero = sonde_f32(NULL, 0, 3);
    sonde_search_options options = options_of(4, 0);
    OK(sonde_index_create("flat(metric=ip)", 3, NULL, &index));
    OK(sonde_index_search(index, &zero, &options, &hits));
    assert_int_equal(ids[0], 5);
    OK(sonde_index_search(index, &one, &options, &hits));
    assert_true(ids[0] == -1 && ids[3] == -1 && scores[0] == -INFINITY && count[0] == 0 &&
                reason[0] == SONDE_STOP_FEWER);
    sonde_range_hits *range;
    const int64_t *offsets;
    OK(sonde_index_range_search(index, &one, -INFINITY, NULL, &range));
    sonde_range_hits_view(range, &offsets, NULL, NULL);
    assert_true(offsets[0] == 0 && offsets[1] == 0);
    sonde_range_hits_free(range);
    sonde_range_hits_free(NULL);
    sonde_index_free(index);
}

static _Atomic int64_t allocations, allowed_allocations;
static void *counting_alloc(size_t size, size_t align, void *user)
{
    (void)user;
    allocations++;
    if (allowed_allocations-- <= 0) return NULL;
    return aligned_alloc(align, (size + align - 1) / align * align);
}
static void counting_release(void *memory, size_t size, size_t align, void *user)
{
    (void)size, (void)align, (void)user;
    free(memory);
}

/* A search that was repeated a few times allocates nothing; one that is refused memory fails cleanly, wherever. */
static void memory(void **state)
{
    (void)state;
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    options.threads = 1, options.alloc = counting_alloc, options.release = counting_release;
    allowed_allocations = INT64_MAX;
    float *rows = whole_numbers(2000 * 40, -3, 3, 1);
    int64_t ids[100 * 10], expected[100 * 10];
    sonde_hits hits = {sizeof hits, 0, expected, NULL, NULL, NULL};
    sonde_array array = sonde_f32(rows, 2000, 40), asked = sonde_f32(rows, 100, 40);
    for (int fail_at = -1, done = 0; !done; fail_at++) {
        sonde_runtime *runtime;
        sonde_index *index;
        allowed_allocations = INT64_MAX;
        OK(sonde_runtime_create(&options, &runtime));
        OK(sonde_index_create("flat(metric=cosine, dtype=f16)", 40, runtime, &index));
        OK(sonde_index_add(index, &array, NULL));
        if (fail_at >= 0) allowed_allocations = fail_at;
        sonde_status status = sonde_index_search(index, &asked, NULL, &hits);
        if (fail_at < 0) {
            assert_int_equal(status, SONDE_OK);
            hits.ids = ids;
            /* arenas change hands between the layers of a call until each is large enough for all */
            for (int i = 0; i < 3; i++) OK(sonde_index_search(index, &asked, NULL, &hits));
            allocations = 0;
            OK(sonde_index_search(index, &asked, NULL, &hits));
            assert_int_equal(allocations, 0);
            assert_memory_equal(ids, expected, sizeof ids);
        } else if (status == SONDE_OK) {
            assert_memory_equal(ids, expected, sizeof ids);
            done = 1;
        } else {
            assert_int_equal(status, SONDE_OUT_OF_MEMORY);
        }
        assert_true(fail_at < 60);
        sonde_index_free(index);
        sonde_runtime_free(runtime);
    }
    free(rows);
}

static void memory_of_range_results(void **state)
{
    (void)state;
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    options.threads = 2, options.alloc = counting_alloc, options.release = counting_release;
    enum { N = 3000, DIM = 800, NQ = 5 }; /* several segments */
    float *rows = whole_numbers(N * DIM, -3, 3, 1);
    sonde_array array = sonde_f32(rows, N, DIM), asked = sonde_f32(rows, NQ, DIM);
    sonde_runtime *runtime;
    sonde_index *index;
    allowed_allocations = INT64_MAX;
    OK(sonde_runtime_create(&options, &runtime));
    OK(sonde_index_create("flat", DIM, runtime, &index));
    OK(sonde_index_add(index, &array, NULL));
    bool done = false;
    for (int fail_at = 0; !done; fail_at++) {
        sonde_range_hits *hits = NULL;
        const int64_t *offsets;
        allowed_allocations = fail_at;
        sonde_status status = sonde_index_range_search(index, &asked, INFINITY, NULL, &hits);
        done = status == SONDE_OK;
        if (done) {
            sonde_range_hits_view(hits, &offsets, NULL, NULL);
            assert_int_equal(offsets[NQ], NQ * N);
        } else {
            assert_int_equal(status, SONDE_OUT_OF_MEMORY);
            assert_null(hits);
        }
        sonde_range_hits_free(hits);
        assert_true(fail_at < 300);
    }
    allowed_allocations = INT64_MAX;
    sonde_index_free(index);
    sonde_runtime_free(runtime);
    free(rows);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(hand_computed),
    cmocka_unit_test(all_types_and_metrics),
    cmocka_unit_test(bits),
    cmocka_unit_test(threads_change_nothing),
    cmocka_unit_test(real_values),
    cmocka_unit_test(near_duplicates_far_out),
    cmocka_unit_test(filters_of_all_kinds),
    cmocka_unit_test(ranges_and_filters_of_each_query),
    cmocka_unit_test(removed_rows_are_gone),
    cmocka_unit_test(replaced_rows_are_found_as_they_are_now),
    cmocka_unit_test(strided_and_unaligned_views),
    cmocka_unit_test(files_give_the_same_answers),
    cmocka_unit_test(stored_rows_come_back),
    cmocka_unit_test(range_search),
    cmocka_unit_test(bad_specs),
    cmocka_unit_test(rows_that_cannot_be_stored),
    cmocka_unit_test(bad_calls),
    cmocka_unit_test(empty_index_and_no_queries),
    cmocka_unit_test(memory),
    cmocka_unit_test(memory_of_range_results),
};
SONDE_TEST_MAIN(tests)
