/* test_tas_balanced.c: what TAS-Balanced promises: batches of one topic, evenly spread margins, laws of the
 * draws by chi-square, the reductions to plain sampling, the dual-supervision loss and its gradients, wrong
 * input. test_batch_rules.c has what it shares with other samplers (threads, files, seek, allocations,
 * cancelling).
 *
 * SPDX-License-Identifier: MIT
 */
/* timeout: 60 */
#include <math.h>

#include "../test.h"

/* ---- data sets ----------------------------------------------------------------------------------------- */

/* Queries with a cluster each, and pairs. */
typedef struct topics {
    int64_t queries, pairs;
    int64_t *label, *owner, *positive, *negative;
    float *plus, *minus;
} topics;

static topics topics_make(int64_t queries, int64_t pairs)
{
    topics made = {queries, pairs, NULL, NULL, NULL, NULL, NULL, NULL};
    made.label = test_alloc((size_t)queries, sizeof *made.label);
    made.owner = test_alloc((size_t)pairs, sizeof *made.owner);
    made.positive = test_alloc((size_t)pairs, sizeof *made.positive);
    made.negative = test_alloc((size_t)pairs, sizeof *made.negative);
    made.plus = test_alloc((size_t)pairs, sizeof *made.plus);
    made.minus = test_alloc((size_t)pairs, sizeof *made.minus);
    for (int64_t j = 0; j < pairs; j++) made.positive[j] = j, made.negative[j] = 100000 + j;
    return made;
}

static void topics_free(topics *data)
{
    free(data->label), free(data->owner), free(data->positive), free(data->negative);
    free(data->plus), free(data->minus);
}

static sonde_status topics_fit(sonde_row_sampler *sampler, const topics *data)
{
    sonde_array label = sonde_i64(data->label, data->queries, 1),
                owner = sonde_i64(data->owner, data->pairs, 1);
    sonde_array positive = sonde_i64(data->positive, data->pairs, 1),
                negative = sonde_i64(data->negative, data->pairs, 1);
    sonde_array plus = sonde_f32(data->plus, data->pairs, 1), minus = sonde_f32(data->minus, data->pairs, 1);
    sonde_input inputs[] = {{"assignment", &label},        {"pair_queries", &owner},
                            {"pair_positives", &positive}, {"pair_negatives", &negative},
                            {"teacher_positives", &plus},  {"teacher_negatives", &minus}};
    return sonde_row_sampler_fit(sampler, inputs, data->pairs ? 6 : 1);
}

static sonde_row_sampler *create(const char *spec)
{
    sonde_row_sampler *sampler = NULL;
    OK(sonde_row_sampler_create(spec, 0, NULL, &sampler));
    return sampler;
}

static sonde_row_sampler *fitted(const char *spec, const topics *data)
{
    sonde_row_sampler *sampler = create(spec);
    OK(topics_fit(sampler, data));
    return sampler;
}

static sonde_rows drawn(sonde_row_sampler *sampler, int64_t count)
{
    sonde_rows rows = SONDE_ROWS_INIT;
    OK(sonde_row_sampler_draw(sampler, count, &rows));
    assert_true(rows.last == 0 && (count == 0 || rows.count == count));
    return rows;
}

static void *output(const sonde_row_sampler *sampler, const char *name)
{
    sonde_array column;
    OK(sonde_row_sampler_output(sampler, name, &column));
    return column.data;
}

/* Pearson's statistic against given chances, made roughly normal (Wilson and Hilferty 1931). */
static double chi_square_z(const int64_t *count, const double *chance, int64_t cells)
{
    double total = 0, sum = 0, freedom = (double)(cells - 1);
    for (int64_t i = 0; i < cells; i++) total += (double)count[i];
    for (int64_t i = 0; i < cells; i++) {
        double expected = total * (chance ? chance[i] : 1 / (double)cells);
        sum += ((double)count[i] - expected) * ((double)count[i] - expected) / expected;
    }
    return (cbrt(sum / freedom) - (1 - 2 / (9 * freedom))) / sqrt(2 / (9 * freedom));
}

/* `clusters` topics of `size` queries, without pairs. */
static topics even_topics(int64_t clusters, int64_t size)
{
    topics data = topics_make(clusters * size, 0);
    for (int64_t q = 0; q < data.queries; q++) data.label[q] = q % clusters;
    return data;
}

/* ---- batches ------------------------------------------------------------------------------------------- */

static void test_one_topic(void **state)
{
    (void)state;
    topics data = even_topics(50, 40);
    sonde_row_sampler *sampler = fitted("tas_balanced(clusters=50)", &data);
    for (int t = 0; t < 2000; t++) {
        sonde_rows rows = drawn(sampler, 0);
        bool seen[2000] = {false};
        assert_int_equal(rows.count, 32);
        for (int i = 0; i < 32; i++) {
            assert_int_equal(rows.groups[i], rows.groups[0]);
            assert_int_equal(data.label[rows.ids[i]], rows.groups[i]);
            assert_false(seen[rows.ids[i]]);
            seen[rows.ids[i]] = true;
        }
    }
    sonde_array none;
    FAILS(sonde_row_sampler_output(sampler, "positives", &none), SONDE_STATE, "positives");
    sonde_row_sampler_free(sampler);
    topics_free(&data);
}

/* Clusters of a batch take equal parts; B beyond a cluster takes it whole and goes on. */
static void test_parts_of_a_batch(void **state)
{
    (void)state;
    topics data = even_topics(20, 40);
    sonde_row_sampler *sampler = fitted("tas_balanced(clusters=20, batch=12, clusters_per_batch=3)", &data);
    for (int t = 0; t < 200; t++) {
        sonde_rows rows = drawn(sampler, 12);
        for (int i = 0; i < 12; i++) assert_int_equal(rows.groups[i], rows.groups[i / 4 * 4]);
    }
    sonde_row_sampler_free(sampler);
    sampler = fitted("tas_balanced(clusters=20, batch=100)", &data);
    for (int t = 0; t < 200; t++) {
        sonde_rows rows = drawn(sampler, 100);
        bool seen[800] = {false};
        for (int part = 0; part < 100; part += 40) {
            memset(seen, 0, sizeof seen);
            for (int i = part; i < part + 40 && i < 100; i++) {
                assert_int_equal(rows.groups[i], rows.groups[part]);
                assert_false(seen[rows.ids[i]]);
                seen[rows.ids[i]] = true;
            }
        }
    }
    sonde_row_sampler_free(sampler);
    topics_free(&data);
}

/* Draws of other sizes are cut out of the same batches. */
static void test_cuts(void **state)
{
    (void)state;
    topics data = even_topics(7, 30);
    sonde_row_sampler *whole = fitted("tas_balanced(clusters=7, batch=16)", &data);
    sonde_row_sampler *parts = fitted("tas_balanced(clusters=7, batch=16)", &data);
    sonde_rows all = drawn(whole, 5000);
    for (int64_t at = 0, step = 1; at < 5000; at += step, step = step % 50 + 7) {
        if (step > 5000 - at) step = 5000 - at;
        sonde_rows rows = drawn(parts, step);
        assert_memory_equal(rows.ids, all.ids + at, (size_t)step * sizeof *rows.ids);
        assert_memory_equal(rows.groups, all.groups + at, (size_t)step * sizeof *rows.groups);
    }
    sonde_row_sampler_free(whole), sonde_row_sampler_free(parts);
    topics_free(&data);
}

/* Clusters come with equal chances, or by their size; queries of one are equally likely. */
static void test_cluster_law(void **state)
{
    (void)state;
    topics data = topics_make(110, 0);
    double share[4] = {10.0 / 110, 20.0 / 110, 30.0 / 110, 50.0 / 110};
    for (int64_t q = 0; q < 110; q++) data.label[q] = q < 10 ? 0 : q < 30 ? 1 : q < 60 ? 2 : 3;
    for (int by_size = 0; by_size < 2; by_size++) {
        sonde_row_sampler *sampler = fitted(by_size ? "tas_balanced(clusters=4, batch=5, cluster_weight=size)"
                                                    : "tas_balanced(clusters=4, batch=5)", &data);
        int64_t cluster[4] = {0}, query[110] = {0};
        sonde_rows rows = drawn(sampler, 200000);
        for (int64_t i = 0; i < rows.count; i++) {
            if (i % 5 == 0) cluster[rows.groups[i]]++;
            query[rows.ids[i]]++;
        }
        assert_true(chi_square_z(cluster, by_size ? share : NULL, 4) < 3);
        assert_true(chi_square_z(query, NULL, 10) < 3);
        assert_true(chi_square_z(query + 60, NULL, 50) < 3);
        sonde_row_sampler_free(sampler);
    }
    topics_free(&data);
}

static int64_t repeats(const sonde_rows *rows, int64_t batch)
{
    int64_t found = 0;
    for (int64_t t = 0; t < rows->count; t += batch)
        for (int64_t i = t; i < t + batch; i++)
            for (int64_t j = t; j < i; j++) found += rows->ids[i] == rows->ids[j];
    return found;
}

/* A cluster that comes twice brings its queries again, unless dedup=yes; which then still fills the batch. */
static void test_dedup(void **state)
{
    (void)state;
    topics data = even_topics(4, 10);
    sonde_row_sampler *free_ones = fitted("tas_balanced(clusters=4, batch=16, clusters_per_batch=4)", &data);
    sonde_row_sampler *single = fitted("tas_balanced(clusters=4, batch=16, clusters_per_batch=4, dedup=yes)",
                                       &data);
    sonde_row_sampler *full = fitted("tas_balanced(clusters=4, batch=40, dedup=yes)", &data);
    sonde_rows rows = drawn(free_ones, 1600);
    assert_true(repeats(&rows, 16) > 50);
    rows = drawn(single, 16000);
    assert_int_equal(repeats(&rows, 16), 0);
    int64_t count[40] = {0};
    for (int64_t i = 0; i < rows.count; i++) count[rows.ids[i]]++;
    assert_true(chi_square_z(count, NULL, 40) < 3);
    rows = drawn(full, 400);
    assert_int_equal(repeats(&rows, 40), 0);
    sonde_row_sampler_free(free_ones), sonde_row_sampler_free(single), sonde_row_sampler_free(full);
    sonde_row_sampler *small = create("tas_balanced(clusters=4, batch=41, dedup=yes)");
    FAILS(topics_fit(small, &data), SONDE_INVALID_ARGUMENT, "at least batch=41 queries, 40 are left");
    sonde_row_sampler_free(small);
    topics_free(&data);
}

/* The share of in-batch negatives on the query's own topic: 1 % of 100 topics by plain batches, 100 % here.
 */
static void test_topic_share(void **state)
{
    (void)state;
    topics data = even_topics(100, 60);
    topics plain = even_topics(1, 6000);
    sonde_row_sampler *samplers[2] = {fitted("tas_balanced(clusters=1)", &plain),
                                      fitted("tas_balanced(clusters=100)", &data)};
    double share[2] = {0, 0};
    for (int s = 0; s < 2; s++) {
        sonde_rows rows = drawn(samplers[s], 64000);
        int64_t same = 0, pairs = 0;
        for (int64_t t = 0; t < rows.count; t += 32)
            for (int64_t i = t; i < t + 32; i++)
                for (int64_t j = t; j < i; j++, pairs++) same += rows.ids[i] % 100 == rows.ids[j] % 100;
        share[s] = (double)same / (double)pairs;
        sonde_row_sampler_free(samplers[s]);
    }
    assert_true(share[0] > 0.008 && share[0] < 0.012);
    assert_true(share[1] == 1);
    topics_free(&data), topics_free(&plain);
}

/* Queries around well separated centres are clustered as they lie. */
static void test_clustering(void **state)
{
    (void)state;
    enum { K = 8, EACH = 50, D = 16 };
    float *x = test_vectors(K * EACH, D, 0, 3);
    for (int64_t q = 0; q < K * EACH; q++)
        for (int64_t j = 0; j < D; j++) x[q * D + j] = 0.05f * x[q * D + j] + (j == q % K ? 5.0f : 0);
    sonde_array queries = sonde_f32(x, K * EACH, D);
    for (int metric = 0; metric < 2; metric++) {
        const char *spec = metric ? "tas_balanced(clusters=8)" : "tas_balanced(clusters=8, metric=l2)";
        sonde_row_sampler *sampler = create(spec);
        for (int64_t q = 0; metric && q < K * EACH; q++) /* lengths mean nothing to ip */
            for (int64_t j = 0; j < D; j++) x[q * D + j] *= (float)(1 + q / K);
        OK(sonde_row_sampler_fit(sampler, &(sonde_input){"queries", &queries}, 1));
        assert_int_equal(sonde_row_sampler_dim(sampler), D);
        sonde_rows rows = drawn(sampler, 3200);
        for (int64_t i = 0; i < rows.count; i++) assert_int_equal(rows.ids[i] % K, rows.ids[i / 32 * 32] % K);
        sonde_row_sampler_free(sampler);
    }
    sonde_row_sampler *sampler = create("tas_balanced(clusters=401)");
    FAILS(sonde_row_sampler_fit(sampler, &(sonde_input){"queries", &queries}, 1), SONDE_INVALID_ARGUMENT,
          "clusters=401 is more than the 400 queries");
    sonde_row_sampler_free(sampler);
    free(x);
}

/* ---- pairs --------------------------------------------------------------------------------------------- */

/* One query with `pairs` pairs of the given margins, beside others that are never looked at. */
static topics one_query(int64_t pairs, const float *margin)
{
    topics data = topics_make(3, pairs + 4);
    for (int64_t j = 0; j < pairs; j++) {
        data.owner[j] = 1;
        data.plus[j] = margin[j] + 2;
        data.minus[j] = 2;
    }
    for (int64_t j = pairs; j < pairs + 4; j++) data.owner[j] = j % 2 ? 0 : 2;
    return data;
}

/* The bin of each pair by the definition, and the chance of each pair: 1 / (bins that hold any x pairs in the
 * bin). */
static int definition(const float *margin, int64_t pairs, int bins, int *bin, double *chance)
{
    int64_t count[64] = {0};
    double low = INFINITY, high = -INFINITY;
    int held = 0;
    for (int64_t j = 0; j < pairs; j++)
        low = fmin(low, (double)margin[j]), high = fmax(high, (double)margin[j]);
    for (int64_t j = 0; j < pairs; j++) {
        bin[j] = 0;
        while (bin[j] < bins - 1 && (double)margin[j] - low >= (bin[j] + 1) * (high - low) / bins) bin[j]++;
        if (high == low) bin[j] = 0;
        held += count[bin[j]]++ == 0;
    }
    for (int64_t j = 0; j < pairs; j++) chance[j] = 1.0 / (held * (double)count[bin[j]]);
    return held;
}

static void check_pair_law(int64_t pairs, const float *margin, int bins, int wanted_bins)
{
    topics data = one_query(pairs, margin);
    char spec[80];
    int bin[256];
    double chance[256], total = 0, bin_chance[64] = {0};
    int64_t count[256] = {0}, bin_count[64] = {0};
    snprintf(spec, sizeof spec, "tas_balanced(clusters=1, batch=3, bins=%d)", bins);
    sonde_row_sampler *sampler = fitted(spec, &data);
    assert_int_equal(definition(margin, pairs, bins, bin, chance), wanted_bins);
    sonde_rows rows = drawn(sampler, 150000);
    const int64_t *positive = output(sampler, "positives"), *negative = output(sampler, "negatives");
    const float *plus = output(sampler, "teacher_positives"), *minus = output(sampler, "teacher_negatives");
    for (int64_t i = 0; i < rows.count; i++) {
        int64_t j = positive[i];
        assert_true(negative[i] == 100000 + j && data.owner[j] == rows.ids[i]);
        assert_true(plus[i] == data.plus[j] && minus[i] == data.minus[j]);
        if (rows.ids[i] == 1) count[j]++, bin_count[bin[j]]++;
    }
    int cells = 0;
    for (int64_t j = 0; j < pairs; j++) total += chance[j];
    for (int b = 0; b < bins; b++)
        if (bin_count[b]) bin_chance[cells] = 1.0 / wanted_bins, bin_count[cells++] = bin_count[b];
    assert_true(fabs(total - 1) < 1e-12);
    assert_true(chi_square_z(count, chance, pairs) < 3);
    assert_int_equal(cells, wanted_bins);
    if (cells > 1) assert_true(chi_square_z(bin_count, bin_chance, cells) < 3);
    sonde_row_sampler_free(sampler);
    topics_free(&data);
}

static void test_pair_law(void **state)
{
    (void)state;
    static const float thin[] = {0, 10, 10, 10, 9.5f, 9.7f, 5, 5.1f, 3}; /* 4 of 10 bins: 0, 3, 5, 9 */
    static const float same[] = {4, 4, 4, 4};
    static const float pair[] = {1, 2};
    check_pair_law(9, thin, 10, 4);
    check_pair_law(4, same, 10, 1);
    check_pair_law(2, pair, 10, 2);
    check_pair_law(9, thin, 3, 3);
    check_pair_law(9, thin, 1, 1);
}

/* 90 % of the pairs in the top bin, every bin held: its share of the draws falls from 90 % to 10 %. */
static void test_top_bin_share(void **state)
{
    (void)state;
    enum { PAIRS = 180 };
    float margin[PAIRS];
    for (int j = 0; j < PAIRS; j++) margin[j] = j < 18 ? (float)(j / 2) : 9.0f + 0.5f * (float)(j % 3);
    margin[PAIRS - 1] = 10;
    topics data = one_query(PAIRS, margin);
    for (int balanced = 0; balanced < 2; balanced++) {
        sonde_row_sampler *sampler = fitted(balanced ? "tas_balanced(clusters=1, batch=3)"
                                                     : "tas_balanced(clusters=1, batch=3, pairs=random)",
                                            &data);
        sonde_rows rows = drawn(sampler, 90000);
        const int64_t *positive = output(sampler, "positives");
        int64_t top = 0, all = 0;
        for (int64_t i = 0; i < rows.count; i++) {
            all += rows.ids[i] == 1;
            top += rows.ids[i] == 1 && margin[positive[i]] >= 9;
        }
        double share = (double)top / (double)all, wanted = balanced ? 0.1 : 0.9;
        assert_true(fabs(share - wanted) < 4 * sqrt(0.09 / (double)all));
        sonde_row_sampler_free(sampler);
    }
    topics_free(&data);
}

static topics random_topics(int64_t queries, int64_t pairs, int64_t clusters, uint64_t seed)
{
    topics data = topics_make(queries, pairs);
    for (int64_t q = 0; q < queries; q++) data.label[q] = (int64_t)(test_u64(&seed) % (uint64_t)clusters);
    for (int64_t j = 0; j < pairs; j++) {
        data.owner[j] = (int64_t)(test_u64(&seed) % (uint64_t)queries);
        data.plus[j] = test_normal(&seed);
        data.minus[j] = test_normal(&seed);
    }
    return data;
}

/* One bin is no bins, to the byte. */
static void test_one_bin(void **state)
{
    (void)state;
    topics data = random_topics(300, 700, 10, 4);
    sonde_row_sampler *a = fitted("tas_balanced(clusters=10, bins=1)", &data);
    sonde_row_sampler *b = fitted("tas_balanced(clusters=10, pairs=random)", &data);
    sonde_rows of_a = drawn(a, 10000), of_b = drawn(b, 10000);
    assert_memory_equal(of_a.ids, of_b.ids, 10000 * sizeof *of_a.ids);
    assert_memory_equal(output(a, "positives"), output(b, "positives"), 10000 * sizeof(int64_t));
    sonde_row_sampler_free(a), sonde_row_sampler_free(b);
    topics_free(&data);
}

/* One cluster and random pairs is uniform sampling of queries and of their pairs. */
static void test_plain(void **state)
{
    (void)state;
    topics data = topics_make(60, 180);
    for (int64_t j = 0; j < 180; j++) data.owner[j] = j % 60;
    sonde_row_sampler *sampler = fitted("tas_balanced(clusters=1, pairs=random, batch=8)", &data);
    int64_t query[60] = {0}, pair[180] = {0};
    sonde_rows rows = drawn(sampler, 120000);
    const int64_t *positive = output(sampler, "positives");
    for (int64_t i = 0; i < rows.count; i++) query[rows.ids[i]]++, pair[positive[i]]++;
    assert_true(chi_square_z(query, NULL, 60) < 3);
    assert_true(chi_square_z(pair, NULL, 180) < 3);
    sonde_row_sampler_free(sampler);
    topics_free(&data);
}

/* With bins a query needs two pairs; without a cluster it never comes; empty clusters are no clusters. */
static void test_dropped(void **state)
{
    (void)state;
    topics data = topics_make(30, 50);
    for (int64_t q = 0; q < 30; q++) data.label[q] = q < 3 ? -1 : q % 5 * 2;
    for (int64_t j = 0; j < 50; j++) data.owner[j] = j < 30 ? j : j - 30; /* queries 20.. have one pair */
    for (int binned = 0; binned < 2; binned++) {
        sonde_row_sampler *sampler = fitted(binned ? "tas_balanced(clusters=100, batch=4)"
                                                   : "tas_balanced(clusters=100, batch=4, pairs=random)",
                                            &data);
        bool seen[30] = {false};
        sonde_rows rows = drawn(sampler, 5000);
        for (int64_t i = 0; i < rows.count; i++) {
            seen[rows.ids[i]] = true;
            assert_int_equal(rows.groups[i], data.label[rows.ids[i]]);
        }
        for (int64_t q = 0; q < 30; q++) assert_int_equal(seen[q], q >= 3 && (q < 20 || !binned));
        sonde_row_sampler_free(sampler);
    }
    topics_free(&data);
}

static void test_tiny(void **state)
{
    (void)state;
    topics data = topics_make(1, 2);
    sonde_row_sampler *sampler = fitted("tas_balanced(clusters=1)", &data);
    sonde_rows rows = drawn(sampler, 1000);
    for (int i = 0; i < 1000; i++) assert_true(rows.ids[i] == 0 && rows.groups[i] == 0);
    sonde_row_sampler_free(sampler);
    topics_free(&data);
    /* A zero vector has no direction, and still a cluster. */
    static const float zero[3] = {0, 0, 1};
    sonde_array queries = sonde_f32(zero, 3, 1);
    for (int64_t n = 1; n <= 3; n++) {
        queries.rows = n;
        sampler = create("tas_balanced(clusters=1, batch=5)");
        OK(sonde_row_sampler_fit(sampler, &(sonde_input){"queries", &queries}, 1));
        rows = drawn(sampler, 500);
        for (int i = 0; i < 500; i++) assert_true(rows.ids[i] >= 0 && rows.ids[i] < n && rows.groups[i] == 0);
        sonde_row_sampler_free(sampler);
    }
}

/* ---- the loss ------------------------------------------------------------------------------------------ */

enum { B = 6, D = 5 };

/* A training batch. */
typedef struct lesson {
    float *queries, *positives, *negatives; /* B x D */
    float pair_plus[B], pair_minus[B], batch_plus[B * B], batch_minus[B * B];
    bool in_batch;
} lesson;

static lesson lesson_make(uint64_t seed)
{
    lesson made = {.queries = test_vectors(B, D, 0, seed), .positives = test_vectors(B, D, 0, seed + 1),
                   .negatives = test_vectors(B, D, 0, seed + 2), .in_batch = true};
    for (int i = 0; i < B; i++)
        made.pair_plus[i] = test_normal(&seed), made.pair_minus[i] = test_normal(&seed);
    for (int i = 0; i < B * B; i++)
        made.batch_plus[i] = test_normal(&seed), made.batch_minus[i] = test_normal(&seed);
    return made;
}

static void lesson_free(lesson *of)
{
    free(of->queries), free(of->positives), free(of->negatives);
}

/* gradients: queries, positives, negatives, or NULL. */
static double lesson_loss(const sonde_row_sampler *sampler, const lesson *of, const sonde_array *gradients)
{
    sonde_array q = sonde_f32(of->queries, B, D), p = sonde_f32(of->positives, B, D),
                n = sonde_f32(of->negatives, B, D);
    sonde_array tp = sonde_f32(of->pair_plus, B, 1), tn = sonde_f32(of->pair_minus, B, 1);
    sonde_array bp = sonde_f32(of->batch_plus, B, B), bn = sonde_f32(of->batch_minus, B, B);
    sonde_input inputs[] = {{"queries", &q}, {"positives", &p}, {"negatives", &n}, {"teacher_positives", &tp},
                            {"teacher_negatives", &tn}, {"batch_positives", &bp}, {"batch_negatives", &bn}};
    sonde_input wanted[3] = {{"queries", NULL}, {"positives", NULL}, {"negatives", NULL}};
    for (int i = 0; gradients && i < 3; i++) wanted[i].array = &gradients[i];
    double loss = NAN;
    OK(sonde_row_sampler_loss(sampler, inputs, of->in_batch ? 7 : 5, wanted, gradients ? 3 : 0, &loss));
    return loss;
}

static double dot(const float *a, const float *b)
{
    double sum = 0;
    for (int j = 0; j < D; j++) sum += (double)a[j] * (double)b[j];
    return sum;
}

/* The card's formulas, written out. */
static double lesson_definition(const lesson *of, double alpha)
{
    double pair = 0, plus = 0, minus = 0;
    for (int i = 0; i < B; i++) {
        const float *q = of->queries + i * D;
        double own = dot(q, of->positives + i * D);
        double rest = own - dot(q, of->negatives + i * D) -
                      ((double)of->pair_plus[i] - (double)of->pair_minus[i]);
        pair += rest * rest / B;
        for (int j = 0; j < B; j++) {
            if (i == j) continue;
            double teacher = (double)of->batch_plus[i * B + i];
            double a = own - dot(q, of->positives + j * D) - (teacher - (double)of->batch_plus[i * B + j]);
            double b = own - dot(q, of->negatives + j * D) - (teacher - (double)of->batch_minus[i * B + j]);
            plus += a * a / (B * (B - 1));
            minus += b * b / (B * (B - 1));
        }
    }
    return pair + (of->in_batch ? alpha * (plus + minus) / 2 : 0);
}

static void check_differences(const sonde_row_sampler *sampler, lesson *of)
{
    float gradient[3][B * (D + 2)];
    float *block[3] = {of->queries, of->positives, of->negatives};
    sonde_array wanted[3];
    for (int b = 0; b < 3; b++) {
        wanted[b] = sonde_f32(gradient[b], B, D);
        wanted[b].stride = (D + 2) * (int64_t)sizeof(float);
    }
    lesson_loss(sampler, of, wanted);
    for (int b = 0; b < 3; b++) {
        for (int j = 0; j < B * D; j++) {
            const float kept = block[b][j];
            block[b][j] = kept + 0.0625f;
            double above = lesson_loss(sampler, of, NULL), width = (double)block[b][j];
            block[b][j] = kept - 0.0625f;
            double below = lesson_loss(sampler, of, NULL);
            width -= (double)block[b][j];
            block[b][j] = kept;
            double slope = (above - below) / width, given = (double)gradient[b][j / D * (D + 2) + j % D];
            assert_true(fabs(slope - given) <= 1e-3 * fmax(fabs(slope), 0.05));
        }
    }
}

static void test_loss(void **state)
{
    (void)state;
    sonde_row_sampler *sampler = create("tas_balanced(alpha=0.6)");
    lesson of = lesson_make(9);
    for (int in_batch = 0; in_batch < 2; in_batch++) {
        of.in_batch = in_batch;
        double wanted = lesson_definition(&of, 0.6);
        assert_true(fabs(lesson_loss(sampler, &of, NULL) - wanted) < 1e-5 * wanted);
        check_differences(sampler, &of);
    }
    lesson_free(&of);
    sonde_row_sampler_free(sampler);
}

/* Student scores that are the teacher's and a constant of the query: no loss, no slope. */
static void test_loss_zero(void **state)
{
    (void)state;
    sonde_row_sampler *sampler = create("tas_balanced");
    lesson of = lesson_make(12);
    float gradient[3][B * D];
    sonde_array wanted[3];
    for (int b = 0; b < 3; b++) wanted[b] = sonde_f32(gradient[b], B, D);
    for (int i = 0; i < B; i++) {
        const float *q = of.queries + i * D;
        of.pair_plus[i] = (float)dot(q, of.positives + i * D) + 0.5f * (float)i;
        of.pair_minus[i] = (float)dot(q, of.negatives + i * D) + 0.5f * (float)i;
        for (int j = 0; j < B; j++) {
            of.batch_plus[i * B + j] = (float)dot(q, of.positives + j * D) - (float)i;
            of.batch_minus[i * B + j] = (float)dot(q, of.negatives + j * D) - (float)i;
        }
    }
    assert_true(lesson_loss(sampler, &of, wanted) < 1e-10);
    for (int b = 0; b < 3; b++)
        for (int j = 0; j < B * D; j++) assert_true(fabsf(gradient[b][j]) < 1e-5f);
    lesson_free(&of);
    sonde_row_sampler_free(sampler);
}

static void test_loss_refusals(void **state)
{
    (void)state;
    sonde_row_sampler *sampler = create("tas_balanced");
    float zero[12] = {0};
    sonde_array wide = sonde_f32(zero, 2, 3), narrow = sonde_f32(zero, 2, 2), one = sonde_f32(zero, 2, 1);
    sonde_array gradient = sonde_f32(zero, 2, 1);
    sonde_input inputs[] = {{"queries", &wide},          {"positives", &wide},
                            {"negatives", &wide},        {"teacher_positives", &one},
                            {"teacher_negatives", &one}, {"batch_positives", &narrow}};
    sonde_input by_teacher = {"teacher_positives", &gradient};
    double loss;
    FAILS(sonde_row_sampler_loss(sampler, inputs, 6, NULL, 0, &loss), SONDE_INVALID_ARGUMENT, "go together");
    FAILS(sonde_row_sampler_loss(sampler, inputs, 4, NULL, 0, &loss), SONDE_INVALID_ARGUMENT,
          "teacher_negatives");
    FAILS(sonde_row_sampler_loss(sampler, inputs, 5, &by_teacher, 1, &loss), SONDE_INVALID_ARGUMENT,
          "teacher is fixed");
    inputs[2].array = &narrow;
    FAILS(sonde_row_sampler_loss(sampler, inputs, 5, NULL, 0, &loss), SONDE_INVALID_ARGUMENT,
          "2 columns, expected 3");
    inputs[2].array = &wide;
    zero[4] = INFINITY;
    FAILS(sonde_row_sampler_loss(sampler, inputs, 5, NULL, 0, &loss), SONDE_INVALID_ARGUMENT, "row 1");
    sonde_row_sampler_free(sampler);
}

/* ---- wrong input --------------------------------------------------------------------------------------- */

static void fit_refused(const char *spec, const topics *data, const char *words)
{
    sonde_row_sampler *sampler = create(spec);
    sonde_rows rows = SONDE_ROWS_INIT;
    FAILS(topics_fit(sampler, data), SONDE_INVALID_ARGUMENT, words);
    assert_false(sonde_row_sampler_fitted(sampler));
    FAILS(sonde_row_sampler_draw(sampler, 1, &rows), SONDE_STATE, "not fitted");
    sonde_row_sampler_free(sampler);
}

static void test_wrong_input(void **state)
{
    (void)state;
    static const char *const specs[][2] = {
        {"tas_balanced(clusters_per_batch=3)", "clusters_per_batch=3 does not divide batch=32"},
        {"tas_balanced(batch=2, clusters_per_batch=4)", "does not divide batch=2"},
        {"tas_balanced(bins=0)", "bins=0"},
        {"tas_balanced(clusters=0)", "clusters=0"}};
    sonde_row_sampler *none = NULL;
    for (int i = 0; i < 4; i++)
        FAILS(sonde_row_sampler_create(specs[i][0], 0, NULL, &none), SONDE_INVALID_ARGUMENT, specs[i][1]);
    topics data = random_topics(20, 60, 4, 1);
    data.plus[7] = NAN;
    fit_refused("tas_balanced", &data, "row 7");
    data.plus[7] = 0, data.minus[9] = INFINITY;
    fit_refused("tas_balanced", &data, "row 9");
    data.minus[9] = 0, data.owner[3] = 20;
    fit_refused("tas_balanced", &data, "pair_queries: row 3 holds 20, outside 0..19");
    data.owner[3] = -1;
    fit_refused("tas_balanced", &data, "pair_queries: row 3 holds -1");
    data.owner[3] = 0, data.positive[5] = -3;
    fit_refused("tas_balanced", &data, "pair_positives: row 5 holds -3");
    data.positive[5] = 0, data.label[2] = 4;
    fit_refused("tas_balanced(clusters=4)", &data, "assignment: row 2 holds 4, outside -1..3");
    data.label[2] = -2;
    fit_refused("tas_balanced(clusters=4)", &data, "row 2 holds -2");
    for (int q = 0; q < 20; q++) data.label[q] = -1;
    fit_refused("tas_balanced(clusters=4)", &data, "no query has a cluster");
    topics_free(&data);
    data = topics_make(20, 20);
    for (int j = 0; j < 20; j++) data.owner[j] = j;
    fit_refused("tas_balanced", &data, "at least 2 pairs");
    topics_free(&data);
}

static void test_wrong_combinations(void **state)
{
    (void)state;
    static const int64_t number[4] = {0, 1, 2, 3};
    float x[8] = {0};
    sonde_array ints = sonde_i64(number, 4, 1), queries = sonde_f32(x, 4, 2), scores = sonde_f32(x, 4, 1);
    sonde_row_sampler *sampler = create("tas_balanced(clusters=4)");
    sonde_input both[] = {{"queries", &queries}, {"assignment", &ints}};
    sonde_input some[] = {{"assignment", &ints}, {"pair_queries", &ints}, {"pair_positives", &ints},
                          {"pair_negatives", &ints}, {"teacher_positives", &scores}};
    sonde_input untaught[] = {
        {"assignment", &ints}, {"teacher_positives", &scores}, {"teacher_negatives", &scores}};
    FAILS(sonde_row_sampler_fit(sampler, both, 2), SONDE_INVALID_ARGUMENT, "either queries or assignment");
    FAILS(sonde_row_sampler_fit(sampler, NULL, 0), SONDE_INVALID_ARGUMENT, "either queries or assignment");
    FAILS(sonde_row_sampler_fit(sampler, some, 3), SONDE_INVALID_ARGUMENT, "pair_negatives go together");
    FAILS(sonde_row_sampler_fit(sampler, some, 4), SONDE_INVALID_ARGUMENT, "pairs=bins needs");
    FAILS(sonde_row_sampler_fit(sampler, some, 5), SONDE_INVALID_ARGUMENT, "teacher_negatives go together");
    FAILS(sonde_row_sampler_fit(sampler, untaught, 3), SONDE_INVALID_ARGUMENT, "with pairs");
    x[5] = NAN;
    FAILS(sonde_row_sampler_fit(sampler, both, 1), SONDE_INVALID_ARGUMENT, "row 2");
    queries.rows = 0;
    FAILS(sonde_row_sampler_fit(sampler, both, 1), SONDE_INVALID_ARGUMENT, "0 queries");
    sonde_row_sampler_free(sampler);
    OK(sonde_row_sampler_create("tas_balanced(clusters=4)", 3, NULL, &sampler));
    queries.rows = 4;
    FAILS(sonde_row_sampler_fit(sampler, both, 1), SONDE_INVALID_ARGUMENT, "2 columns, expected 3");
    sonde_row_sampler_free(sampler);
    sampler = create("tas_balanced(clusters=4, pairs=random)");
    OK(sonde_row_sampler_fit(sampler, some, 4));
    drawn(sampler, 3);
    assert_non_null(output(sampler, "negatives"));
    FAILS(sonde_row_sampler_output(sampler, "teacher_negatives", &ints), SONDE_STATE, "teacher_negatives");
    sonde_row_sampler_free(sampler);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_one_topic),
    cmocka_unit_test(test_parts_of_a_batch),
    cmocka_unit_test(test_cuts),
    cmocka_unit_test(test_cluster_law),
    cmocka_unit_test(test_dedup),
    cmocka_unit_test(test_topic_share),
    cmocka_unit_test(test_clustering),
    cmocka_unit_test(test_pair_law),
    cmocka_unit_test(test_top_bin_share),
    cmocka_unit_test(test_one_bin),
    cmocka_unit_test(test_plain),
    cmocka_unit_test(test_dropped),
    cmocka_unit_test(test_tiny),
    cmocka_unit_test(test_loss),
    cmocka_unit_test(test_loss_zero),
    cmocka_unit_test(test_loss_refusals),
    cmocka_unit_test(test_wrong_input),
    cmocka_unit_test(test_wrong_combinations),
};
SONDE_TEST_MAIN(tests)
