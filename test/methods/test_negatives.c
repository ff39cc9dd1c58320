/* test_negatives.c: star, adore and ar2: lists against brute force, the distributions of draws, losses against their
 * definitions in double and finite differences, streams, refreshing, and wrong input.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <math.h>

#include "../failing.h"
#include "../reseal.h"
#include "../test.h"

enum { N = 60, Q = 9, D = 5, M = 3 }; /* documents, queries, columns, most positives of a query */

/* ---- a small world ------------------------------------------------------------------------------------------------- */

typedef struct world {
    float *documents, *queries;
    int64_t *positives; /* query i: i % M + 1 of them, padded with -1 to M */
    sonde_array d, q, p;
} world;

static bool is_positive(const world *w, int64_t query, int64_t id)
{
    for (int j = 0; j < M; j++)
        if (w->positives[query * M + j] == id) return true;
    return false;
}

static world make_world(uint64_t seed)
{
    world w = {.documents = test_vectors(N, D, 4, seed),
               .queries = test_vectors(Q, D, 4, seed + 1),
               .positives = test_alloc(Q * M, sizeof(int64_t))};
    uint64_t state = seed + 2;
    for (int64_t i = 0; i < Q * M; i++) w.positives[i] = -1;
    for (int64_t i = 0; i < Q; i++)
        for (int64_t j = 0; j <= i % M; j++) {
            int64_t id = (int64_t)(test_u64(&state) % N);
            while (is_positive(&w, i, id)) id = (id + 1) % N;
            w.positives[i * M + j] = id;
        }
    w.d = sonde_f32(w.documents, N, D);
    w.q = sonde_f32(w.queries, Q, D);
    w.p = sonde_i64(w.positives, Q, M);
    return w;
}

static void free_world(world *w)
{
    free(w->documents);
    free(w->queries);
    free(w->positives);
}

static double dot(const float *a, const float *b)
{
    double sum = 0;
    for (int j = 0; j < D; j++) sum += (double)a[j] * b[j];
    return sum;
}

/* All documents by score descending, id ascending. */
static void rank_all(const world *w, const float *query, int64_t *order)
{
    for (int64_t i = 0; i < N; i++) order[i] = i;
    for (int64_t i = 1; i < N; i++)
        for (int64_t j = i; j > 0; j--) {
            double a = dot(query, w->documents + order[j - 1] * D), b = dot(query, w->documents + order[j] * D);
            if (a >= b) break;
            int64_t moved = order[j];
            order[j] = order[j - 1];
            order[j - 1] = moved;
        }
}

/* The first `depth` of them that are no positives; returns how many there are. */
static int64_t mine(const world *w, int64_t query, int64_t depth, int64_t *list)
{
    int64_t order[N], kept = 0;
    rank_all(w, w->queries + query * D, order);
    for (int64_t i = 0; i < N && kept < depth; i++)
        if (!is_positive(w, query, order[i])) list[kept++] = order[i];
    return kept;
}

static sonde_row_sampler *make(const char *spec, sonde_runtime *runtime)
{
    sonde_row_sampler *sampler = NULL;
    OK(sonde_row_sampler_create(spec, 0, runtime, &sampler));
    return sampler;
}

static sonde_status fit_world(sonde_row_sampler *sampler, const world *w)
{
    sonde_input inputs[] = {{"queries", &w->q}, {"documents", &w->d}, {"positives", &w->p}};
    return sonde_row_sampler_fit(sampler, inputs, 3);
}

static sonde_row_sampler *fitted(const char *spec, const world *w)
{
    sonde_row_sampler *sampler = make(spec, NULL);
    OK(fit_world(sampler, w));
    return sampler;
}

static const void *column(const sonde_row_sampler *sampler, const char *name, int64_t rows, int64_t cols)
{
    sonde_array array;
    OK(sonde_row_sampler_output(sampler, name, &array));
    assert_int_equal(array.rows, rows);
    if (cols) assert_int_equal(array.cols, cols);
    return array.data;
}

/* Draws for one fitted query. */
static sonde_rows draw_one(sonde_row_sampler *sampler, int64_t query, int64_t count)
{
    sonde_array ids = sonde_i64(&query, 1, 1);
    sonde_input inputs[] = {{"query_ids", &ids}};
    sonde_rows rows = SONDE_ROWS_INIT;
    OK(sonde_row_sampler_draw_for(sampler, inputs, 1, count, &rows));
    return rows;
}

static int64_t place_in(const int64_t *list, int64_t count, int64_t id)
{
    for (int64_t i = 0; i < count; i++)
        if (list[i] == id) return i;
    return -1;
}

/* What every draw must keep: no positive, no repeats within a query. */
static void check_rows(const world *w, const sonde_rows *rows)
{
    for (int64_t i = 0; i < rows->count; i++) {
        if (rows->ids[i] < 0) continue;
        assert_in_range(rows->ids[i], 0, N - 1);
        assert_false(is_positive(w, rows->groups[i], rows->ids[i]));
        for (int64_t j = 0; j < i; j++)
            if (rows->groups[j] == rows->groups[i]) assert_int_not_equal(rows->ids[j], rows->ids[i]);
    }
}

/* ---- lists ---------------------------------------------------------------------------------------------------------- */

static void adore_is_brute_force(void **state)
{
    (void)state;
    world w = make_world(11);
    enum { DEPTH = 12 };
    sonde_row_sampler *sampler = fitted("adore(depth=12, cut=7)", &w);
    for (int64_t q = 0; q < Q; q++) {
        int64_t list[N], order[N], width = DEPTH + q % M + 1, right = 0, positive_rank = 0, count;
        rank_all(&w, w.queries + q * D, order);
        count = mine(&w, q, DEPTH, list);
        sonde_rows rows = draw_one(sampler, q, 0);
        assert_int_equal(rows.count, DEPTH);
        assert_memory_equal(rows.ids, list, (size_t)count * sizeof *list);
        check_rows(&w, &rows);
        const int32_t *ranks = column(sampler, "ranks", DEPTH, 1);
        const int64_t *candidates = column(sampler, "candidates", 1, width);
        const int32_t *labels = column(sampler, "labels", 1, width);
        const int64_t *positives = column(sampler, "positives", DEPTH, 1);
        const float *chances = column(sampler, "log_probabilities", DEPTH, 1);
        for (int k = 0; k < DEPTH; k++) {
            assert_int_equal(candidates[k], order[k]);
            assert_int_equal(labels[k], is_positive(&w, q, order[k]));
            right += labels[k];
        }
        for (int64_t k = DEPTH; k < width; k++) { /* all positives, where none was found */
            bool more = right == 0 && k - DEPTH < q % M + 1;
            assert_int_equal(labels[k], more ? 1 : -1);
            if (more) assert_true(is_positive(&w, q, candidates[k]));
            else assert_int_equal(candidates[k], -1);
        }
        assert_true(is_positive(&w, q, positives[0]));
        positive_rank = place_in(candidates, width, positives[0]) + 1;
        assert_true(positive_rank > 0);
        for (int i = 0; i < DEPTH; i++) {
            int64_t rank = place_in(order, N, rows.ids[i]) + 1;
            double a = positive_rank <= 7 ? 1.0 / (double)positive_rank : 0, b = rank <= 7 ? 1.0 / (double)rank : 0;
            assert_int_equal(ranks[i], rank);
            assert_true(fabs(rows.weights[i] - fabs(a - b)) < 1e-6);
            assert_true(chances[i] == 0);
        }
    }
    sonde_row_sampler_free(sampler);
    free_world(&w);
}

static void a_swap_changes_a_weight_by_the_difference_of_gains(void **state)
{
    (void)state; /* the positive best, then second: beside the same negative at rank 3 */
    float documents[] = {3, 2, 1}, one = 1;
    int64_t positive = 0;
    sonde_array d = sonde_f32(documents, 3, 1), q = sonde_f32(&one, 1, 1), p = sonde_i64(&positive, 1, 1);
    sonde_input inputs[] = {{"queries", &q}, {"documents", &d}, {"positives", &p}};
    sonde_row_sampler *sampler = make("adore(depth=3)", NULL);
    sonde_rows rows = SONDE_ROWS_INIT;
    float weight[2];
    for (int swap = 0; swap < 2; swap++) {
        documents[0] = swap ? 1.5f : 3;
        OK(sonde_row_sampler_fit(sampler, inputs, 3));
        OK(sonde_row_sampler_draw(sampler, 3, &rows));
        assert_int_equal(rows.ids[1], 2);
        weight[swap] = rows.weights[1];
    }
    assert_true(fabsf(weight[0] - weight[1] - 0.5f) < 1e-6f);
    sonde_row_sampler_free(sampler);
}

static void star_draws_lie_in_the_mined_list(void **state)
{
    (void)state;
    world w = make_world(12);
    sonde_row_sampler *sampler = fitted("star(depth=10, hard=4)", &w);
    bool seen[Q][N] = {{false}};
    sonde_rows rows = SONDE_ROWS_INIT;
    for (int draw = 0; draw < 40; draw++) {
        OK(sonde_row_sampler_draw(sampler, 4 * Q, &rows));
        assert_int_equal(rows.count, 4 * Q);
        assert_int_equal(rows.last, 1);
        check_rows(&w, &rows);
        const int32_t *ranks = column(sampler, "ranks", 4 * Q, 1);
        const int64_t *positives = column(sampler, "positives", 4 * Q, 1);
        for (int64_t i = 0; i < rows.count; i++) {
            int64_t list[N], count = mine(&w, rows.groups[i], 10, list);
            assert_int_equal(place_in(list, count, rows.ids[i]) + 1, ranks[i]);
            assert_in_range(ranks[i], 1, 10);
            assert_true(is_positive(&w, rows.groups[i], positives[i]));
            seen[rows.groups[i]][rows.ids[i]] = true;
        }
    }
    for (int q = 0; q < Q; q++) {
        int count = 0;
        for (int i = 0; i < N; i++) count += seen[q][i];
        assert_int_equal(count, 10);
    }
    sonde_row_sampler_free(sampler);
    free_world(&w);
}

static void a_depth_of_all_gives_all(void **state)
{
    (void)state;
    static const char *specs[] = {"star(depth=100, hard=60)", "adore(depth=100)", "ar2(depth=100, negatives=60)",
                                  "star(hard=0, random=60)"};
    world w = make_world(13);
    for (size_t s = 0; s < sizeof specs / sizeof *specs; s++) {
        sonde_row_sampler *sampler = fitted(specs[s], &w);
        for (int64_t q = 0; q < Q; q++) {
            sonde_rows rows = draw_one(sampler, q, 80); /* k > n: the rest is -1 */
            int64_t found = 0;
            check_rows(&w, &rows);
            for (int64_t i = 0; i < rows.count; i++) found += rows.ids[i] >= 0;
            assert_int_equal(rows.count, 80);
            assert_int_equal(found, N - (q % M + 1));
            assert_int_equal(rows.ids[79], -1);
            assert_true(rows.weights[79] == 0);
        }
        sonde_row_sampler_free(sampler);
    }
    free_world(&w);
}

/* ---- distributions -------------------------------------------------------------------------------------------------- */

/* How often each document is drawn for a query, and that log_probabilities say so: |observed - p| within 5
 * deviations. */
static void check_inclusion(const world *w, const char *spec, int64_t query, int draws, double *chi_square,
                            int *degrees)
{
    sonde_row_sampler *sampler = fitted(spec, w);
    double count[N] = {0}, chance[N] = {0};
    for (int t = 0; t < draws; t++) {
        sonde_rows rows = draw_one(sampler, query, 0);
        const float *logs = column(sampler, "log_probabilities", rows.count, 1);
        check_rows(w, &rows);
        for (int64_t i = 0; i < rows.count; i++) {
            count[rows.ids[i]]++;
            chance[rows.ids[i]] = exp(logs[i]);
        }
    }
    *chi_square = 0;
    *degrees = -1;
    for (int i = 0; i < N; i++) {
        if (count[i] == 0) continue;
        double p = chance[i], expected = draws * p;
        if (fabs(count[i] - expected) > 5 * sqrt(draws * p * (1 - p)) + 1e-6)
            fail_msg("%s: document %d: %g times, expected %g", spec, i, count[i], expected);
        *chi_square += (count[i] - expected) * (count[i] - expected) / expected;
        ++*degrees;
    }
    sonde_row_sampler_free(sampler);
}

static void random_negatives_are_uniform(void **state)
{
    (void)state;
    world w = make_world(14);
    double chi_square;
    int degrees;
    check_inclusion(&w, "star(hard=0, random=1)", 2, 20000, &chi_square, &degrees);
    assert_int_equal(degrees, N - 3 - 1);
    assert_true(chi_square < degrees + 3.1 * sqrt(2.0 * degrees)); /* about the 99.9 % point */
    check_inclusion(&w, "star(hard=0, random=7)", 2, 20000, &chi_square, &degrees);
    check_inclusion(&w, "star(hard=2, depth=9)", 4, 20000, &chi_square, &degrees);
    check_inclusion(&w, "star(hard=2, random=5, depth=9)", 5, 20000, &chi_square, &degrees);
    free_world(&w);
}

static void ids_of_the_caller_are_drawn(void **state)
{
    (void)state;
    world w = make_world(15);
    int64_t ids[N], positives[Q * M];
    for (int64_t i = 0; i < N; i++) ids[i] = 1000 - 7 * i;
    for (int i = 0; i < Q * M; i++) positives[i] = w.positives[i] < 0 ? -1 : ids[w.positives[i]];
    sonde_array i = sonde_i64(ids, N, 1), p = sonde_i64(positives, Q, M);
    sonde_input inputs[] = {{"queries", &w.q}, {"documents", &w.d}, {"positives", &p}, {"ids", &i}};
    sonde_row_sampler *sampler = make("star(depth=5, hard=2, random=3, seed=4)", NULL);
    bool seen[N] = {false};
    int found = 0;
    OK(sonde_row_sampler_fit(sampler, inputs, 4));
    for (int t = 0; t < 300; t++) {
        sonde_rows rows = draw_one(sampler, 1, 0);
        for (int64_t r = 0; r < rows.count; r++) {
            int64_t row = (1000 - rows.ids[r]) / 7;
            assert_int_equal(1000 - 7 * row, rows.ids[r]);
            assert_false(is_positive(&w, 1, row));
            seen[row] = true;
        }
    }
    for (int row = 0; row < N; row++) found += seen[row];
    assert_int_equal(found, N - 2);
    sonde_row_sampler_free(sampler);
    free_world(&w);
}

static void ar2_draws_by_softmax(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        double tau;
    } cases[] = {{"ar2(depth=8, negatives=1, tau=0.3)", 0.3}, {"ar2(depth=8, negatives=1, tau=0)", 0}};
    world w = make_world(16);
    enum { DRAWS = 20000 };
    for (int c = 0; c < 2; c++) {
        sonde_row_sampler *sampler = fitted(cases[c].spec, &w);
        int64_t list[N];
        double p[8], sum = 0, count[8] = {0}, chi_square = 0;
        assert_int_equal(mine(&w, 3, 8, list), 8);
        for (int i = 0; i < 8; i++)
            sum += p[i] = exp(cases[c].tau * dot(w.queries + 3 * D, w.documents + list[i] * D));
        for (int t = 0; t < DRAWS; t++) {
            sonde_rows rows = draw_one(sampler, 3, 0);
            int64_t at = place_in(list, 8, rows.ids[0]);
            count[at]++;
            assert_true(fabs(*(const float *)column(sampler, "log_probabilities", 1, 1) - log(p[at] / sum)) < 1e-4);
            assert_int_equal(*(const int32_t *)column(sampler, "ranks", 1, 1), at + 1);
        }
        for (int i = 0; i < 8; i++) {
            double expected = DRAWS * p[i] / sum;
            chi_square += (count[i] - expected) * (count[i] - expected) / expected;
        }
        assert_true(chi_square < 24.3); /* 99.9 % of chi-square with 7 degrees */
        sonde_row_sampler_free(sampler);
    }
    free_world(&w);
}

static void ar2_weights_are_unbiased(void **state)
{
    (void)state;
    world w = make_world(17);
    enum { DRAWS = 30000 };
    sonde_row_sampler *sampler = fitted("ar2(depth=9, negatives=4, tau=0.4)", &w);
    int64_t list[N];
    double p[9], sum = 0, wanted = 0, mean = 0, square = 0;
    mine(&w, 5, 9, list);
    for (int i = 0; i < 9; i++) sum += p[i] = exp(0.4 * dot(w.queries + 5 * D, w.documents + list[i] * D));
    for (int i = 0; i < 9; i++) wanted += p[i] / sum * sin(3.0 * i);
    for (int t = 0; t < DRAWS; t++) {
        sonde_rows rows = draw_one(sampler, 5, 0);
        double value = 0;
        for (int64_t r = 0; r < rows.count; r++)
            value += rows.weights[r] * sin(3.0 * (double)place_in(list, 9, rows.ids[r]));
        mean += value / DRAWS;
        square += value * value / DRAWS;
    }
    assert_true(fabs(mean - wanted) < 4 * sqrt((square - mean * mean) / DRAWS));
    sonde_row_sampler_free(sampler);
    free_world(&w);
}

/* ---- streams ---------------------------------------------------------------------------------------------------------- */

static const char *const stream_specs[] = {"star(depth=10, hard=2, random=1, seed=3)", "adore(depth=6, seed=3)",
                                           "ar2(depth=10, negatives=4, seed=3)",
                                           "star(depth=10, hard=2, refresh=2, seed=3)"};
enum { STREAMS = sizeof stream_specs / sizeof *stream_specs };

/* The next draw, as one row of numbers a drawn row. */
typedef struct trace {
    int64_t count, id[400], group[400], positive[400];
    float weight[400];
    int32_t rank[400];
    uint32_t last;
} trace;
static trace trace_draw(sonde_row_sampler *sampler, int64_t count)
{
    trace t = {0};
    sonde_rows rows = SONDE_ROWS_INIT;
    OK(sonde_row_sampler_draw(sampler, count, &rows));
    t.count = rows.count;
    t.last = rows.last;
    assert_in_range(rows.count, 0, 400);
    if (rows.count == 0) return t;
    memcpy(t.id, rows.ids, (size_t)rows.count * 8);
    memcpy(t.group, rows.groups, (size_t)rows.count * 8);
    memcpy(t.weight, rows.weights, (size_t)rows.count * 4);
    memcpy(t.rank, column(sampler, "ranks", rows.count, 1), (size_t)rows.count * 4);
    memcpy(t.positive, column(sampler, "positives", rows.count, 1), (size_t)rows.count * 8);
    return t;
}

static void a_pass_has_the_same_rows_however_it_is_cut(void **state)
{
    (void)state;
    static const int64_t each[] = {3, 6, 4, 2};
    world w = make_world(20);
    for (int s = 0; s < STREAMS; s++) {
        sonde_row_sampler *whole = fitted(stream_specs[s], &w), *cut = fitted(stream_specs[s], &w);
        int64_t total = Q * each[s], orders[2][Q];
        for (int pass = 0; pass < 2; pass++) {
            trace all = trace_draw(whole, 0);
            int64_t done = 0, asked = 1;
            assert_int_equal(all.count, total);
            assert_int_equal(all.last, 1);
            while (done < total) {
                trace part = trace_draw(cut, asked);
                assert_memory_equal(part.id, all.id + done, (size_t)part.count * 8);
                assert_memory_equal(part.group, all.group + done, (size_t)part.count * 8);
                assert_memory_equal(part.weight, all.weight + done, (size_t)part.count * 4);
                assert_memory_equal(part.positive, all.positive + done, (size_t)part.count * 8);
                done += part.count;
                assert_int_equal(part.last, done == total);
                asked = asked % 7 + 2;
            }
            int64_t seen = 0;
            for (int q = 0; q < Q; q++) {
                orders[pass][q] = all.group[q * each[s]];
                seen += 1 << orders[pass][q];
            }
            assert_int_equal(seen, (1 << Q) - 1);
        }
        assert_memory_not_equal(orders[0], orders[1], sizeof orders[0]);
        sonde_row_sampler_free(whole);
        sonde_row_sampler_free(cut);
    }
    free_world(&w);
}

static uint8_t *saved(const sonde_row_sampler *sampler, size_t *length)
{
    *length = 0;
    OK(sonde_row_sampler_save_buffer(sampler, NULL, 0, length));
    uint8_t *bytes = test_alloc(*length, 1);
    OK(sonde_row_sampler_save_buffer(sampler, bytes, *length, length));
    return bytes;
}

static void what_is_opened_goes_on(void **state)
{
    (void)state;
    world w = make_world(21);
    for (int s = 0; s < STREAMS; s++) {
        sonde_row_sampler *sampler = fitted(stream_specs[s], &w), *opened = NULL;
        size_t length, again;
        trace first = trace_draw(sampler, 7);
        uint8_t *bytes = saved(sampler, &length), *same;
        OK(sonde_row_sampler_open_buffer(bytes, length, NULL, NULL, &opened));
        same = saved(opened, &again);
        assert_int_equal(length, again);
        assert_memory_equal(bytes, same, length);
        for (int i = 0; i < 4; i++) {
            trace a = trace_draw(sampler, 5), b = trace_draw(opened, 5);
            assert_memory_equal(&a, &b, sizeof a);
        }
        OK(sonde_row_sampler_seek(opened, 0));
        trace start = trace_draw(opened, 7);
        assert_memory_equal(&start, &first, sizeof start);
        free(bytes);
        free(same);
        sonde_row_sampler_free(sampler);
        sonde_row_sampler_free(opened);
    }
    free_world(&w);
}

static void threads_change_nothing(void **state)
{
    (void)state;
    static const uint32_t threads[] = {1, 2, 7};
    world w = make_world(22);
    for (int s = 0; s < STREAMS; s++) {
        trace reference[2];
        for (int t = 0; t < 3; t++) {
            sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
            sonde_runtime *runtime = NULL;
            options.threads = threads[t];
            OK(sonde_runtime_create(&options, &runtime));
            sonde_row_sampler *sampler = make(stream_specs[s], runtime);
            OK(fit_world(sampler, &w));
            for (int i = 0; i < 2; i++) {
                trace drawn = trace_draw(sampler, 0);
                if (t == 0) reference[i] = drawn;
                else assert_memory_equal(&drawn, &reference[i], sizeof drawn);
            }
            sonde_row_sampler_free(sampler);
            sonde_runtime_free(runtime);
        }
    }
    free_world(&w);
}

static void drawing_for_queries(void **state)
{
    (void)state;
    world w = make_world(23);
    int64_t numbers[] = {4, 0, 4};
    sonde_array ids = sonde_i64(numbers, 3, 1), fresh = sonde_f32(w.queries + 3 * D, 2, D);
    sonde_array given = sonde_i64(w.positives + 3 * M, 2, M), many = sonde_i64(w.positives, 1, 1);
    sonde_rows rows = SONDE_ROWS_INIT;
    sonde_row_sampler *sampler = fitted("adore(depth=6)", &w);
    sonde_input by_id[] = {{"query_ids", &ids}}, by_vector[] = {{"queries", &fresh}, {"positives", &given}};
    sonde_input both[] = {{"queries", &fresh}, {"query_ids", &ids}}, short_of[] = {{"queries", &fresh}};
    sonde_input too_many[] = {{"queries", &fresh}, {"positives", &given}, {"query_ids", &ids}};
    sonde_input wrong[] = {{"queries", &fresh}, {"positives", &many}};
    OK(sonde_row_sampler_draw_for(sampler, by_id, 1, 4, &rows));
    assert_int_equal(rows.count, 12);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(rows.groups[i], 4);
        assert_int_equal(rows.groups[4 + i], 0);
        assert_int_equal(rows.ids[i], rows.ids[8 + i]);
    }
    OK(sonde_row_sampler_draw_for(sampler, by_vector, 2, 0, &rows)); /* queries 3 and 4 as they were fitted */
    assert_int_equal(rows.count, 12);
    for (int64_t q = 0; q < 2; q++) {
        int64_t list[N];
        mine(&w, 3 + q, 6, list);
        assert_memory_equal(rows.ids + q * 6, list, sizeof *list * 6);
        assert_int_equal(rows.groups[q * 6], q);
    }
    int64_t moved = 3;
    ids = sonde_i64(&moved, 1, 1);
    fresh = sonde_f32(w.queries + 5 * D, 1, D); /* query 3 embedded as 5 was */
    OK(sonde_row_sampler_draw_for(sampler, both, 2, 3, &rows));
    int64_t order[N], kept = 0;
    rank_all(&w, w.queries + 5 * D, order);
    for (int i = 0; i < N && kept < 3; i++)
        if (!is_positive(&w, 3, order[i])) assert_int_equal(rows.ids[kept++], order[i]);
    FAILS(sonde_row_sampler_draw_for(sampler, short_of, 1, 3, &rows), SONDE_INVALID_ARGUMENT, "positives");
    FAILS(sonde_row_sampler_draw_for(sampler, NULL, 0, 3, &rows), SONDE_INVALID_ARGUMENT, "query_ids");
    FAILS(sonde_row_sampler_draw_for(sampler, too_many, 3, 3, &rows), SONDE_INVALID_ARGUMENT, "both given");
    fresh = sonde_f32(w.queries, 2, D);
    FAILS(sonde_row_sampler_draw_for(sampler, both, 2, 3, &rows), SONDE_INVALID_ARGUMENT, "rows");
    FAILS(sonde_row_sampler_draw_for(sampler, wrong, 2, 3, &rows), SONDE_INVALID_ARGUMENT, "rows");
    moved = Q;
    FAILS(sonde_row_sampler_draw_for(sampler, by_id, 1, 3, &rows), SONDE_INVALID_ARGUMENT, "query_ids");
    sonde_row_sampler_free(sampler);
    free_world(&w);
}

/* ---- while training goes on ------------------------------------------------------------------------------------------- */

static void check_lists(sonde_row_sampler *sampler, const world *w, int64_t depth)
{
    for (int64_t q = 0; q < Q; q++) {
        int64_t list[N];
        sonde_rows rows = draw_one(sampler, q, depth);
        mine(w, q, depth, list);
        check_rows(w, &rows);
        for (int64_t i = 0; i < depth; i++) assert_true(place_in(list, depth, rows.ids[i]) >= 0);
    }
}

/* Another world's vectors under this world's positives. */
static world moved_world(const world *from, uint64_t seed)
{
    world w = make_world(seed);
    memcpy(w.positives, from->positives, Q * M * sizeof *w.positives);
    return w;
}

static void lists_follow_what_is_observed(void **state)
{
    (void)state;
    static const char *specs[] = {"star(depth=6, hard=6)", "adore(depth=6)", "ar2(depth=6, negatives=6)"};
    world w = make_world(24), after = moved_world(&w, 90);
    for (int s = 0; s < 3; s++) {
        sonde_row_sampler *sampler = fitted(specs[s], &w);
        sonde_input documents[] = {{"documents", &after.d}}, queries[] = {{"queries", &after.q}};
        world half = w;
        check_lists(sampler, &w, 6);
        OK(sonde_row_sampler_observe(sampler, documents, 1));
        half.documents = after.documents;
        check_lists(sampler, &half, 6);
        OK(sonde_row_sampler_observe(sampler, queries, 1));
        check_lists(sampler, &after, 6);
        sonde_array few = sonde_f32(w.queries, Q - 1, D);
        sonde_input wrong[] = {{"queries", &few}};
        FAILS(sonde_row_sampler_observe(sampler, wrong, 1), SONDE_INVALID_ARGUMENT, "observe: queries has 8 rows");
        few = sonde_f32(w.documents, 2, D);
        wrong[0].name = "documents";
        FAILS(sonde_row_sampler_observe(sampler, wrong, 1), SONDE_INVALID_ARGUMENT, "observe: query");
        check_lists(sampler, &after, 6); /* nothing has changed */
        sonde_row_sampler_free(sampler);
    }
    free_world(&w);
    free_world(&after);
}

static bool same_lists(sonde_row_sampler *sampler, const world *w)
{
    int64_t list[N];
    sonde_rows rows = draw_one(sampler, 0, 6);
    mine(w, 0, 6, list);
    for (int i = 0; i < 6; i++)
        if (place_in(list, 6, rows.ids[i]) < 0) return false;
    return true;
}

static void refresh_waits_for_its_turn(void **state)
{
    (void)state;
    world w = make_world(25), after = moved_world(&w, 91);
    sonde_row_sampler *sampler = fitted("star(depth=6, hard=6, refresh=3)", &w), *opened = NULL;
    sonde_input inputs[] = {{"documents", &after.d}, {"queries", &after.q}};
    size_t length;
    assert_true(same_lists(sampler, &w));
    OK(sonde_row_sampler_observe(sampler, inputs, 2));
    assert_true(same_lists(sampler, &w));
    uint8_t *bytes = saved(sampler, &length); /* the wait is part of the file */
    OK(sonde_row_sampler_open_buffer(bytes, length, NULL, NULL, &opened));
    for (int i = 0; i < 2; i++) {
        sonde_row_sampler *one = i ? opened : sampler;
        assert_true(same_lists(one, &w));
        assert_false(same_lists(one, &w));
        assert_true(same_lists(one, &after));
    }
    free(bytes);
    sonde_row_sampler_free(sampler);
    sonde_row_sampler_free(opened);
    free_world(&w);
    free_world(&after);
}

static void an_index_of_the_caller(void **state)
{
    (void)state;
    world w = make_world(26), after = moved_world(&w, 92);
    static const char *specs[] = {"star(depth=6, hard=6, refresh=1)", "adore(depth=6)",
                                  "ar2(depth=6, negatives=6, refresh=1)"};
    for (int s = 0; s < 3; s++) {
        sonde_index *index = NULL, *narrow = NULL;
        sonde_row_sampler *sampler = make(specs[s], NULL), *opened = NULL;
        sonde_input inputs[] = {{"queries", &w.q}, {"positives", &w.p}, {"documents", &w.d}};
        sonde_rows rows = SONDE_ROWS_INIT;
        size_t length;
        OK(sonde_index_create("flat(metric=ip)", D, NULL, &index));
        OK(sonde_index_create("flat(metric=ip)", D + 1, NULL, &narrow));
        OK(sonde_index_add(index, &w.d, NULL));
        OK(sonde_row_sampler_attach(sampler, narrow));
        FAILS(sonde_row_sampler_fit(sampler, inputs, 2), SONDE_INVALID_ARGUMENT, "the attached index");
        OK(sonde_row_sampler_attach(sampler, index));
        sonde_array few = sonde_f32(w.documents, 3, D);
        inputs[2].array = &few;
        FAILS(sonde_row_sampler_fit(sampler, inputs, 3), SONDE_INVALID_ARGUMENT, "documents are 3 x 5");
        OK(sonde_row_sampler_fit(sampler, inputs, 2));
        check_lists(sampler, &w, 6);
        OK(sonde_index_add(index, &after.d,
                           (const int64_t[N]){0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14,
                                              15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29,
                                              30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44,
                                              45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59}));
        world half = w;
        half.documents = after.documents;
        check_lists(sampler, &half, 6);
        inputs[2].array = &after.d;
        FAILS(sonde_row_sampler_observe(sampler, inputs + 2, 1), SONDE_INVALID_ARGUMENT, "an index is attached");
        uint8_t *bytes = saved(sampler, &length);
        OK(sonde_row_sampler_open_buffer(bytes, length, NULL, NULL, &opened));
        FAILS(sonde_row_sampler_draw(opened, 3, &rows), SONDE_STATE, "attach");
        OK(sonde_row_sampler_attach(opened, index));
        check_lists(opened, &half, 6);
        free(bytes);
        sonde_row_sampler_free(sampler);
        sonde_row_sampler_free(opened);
        sonde_index_free(index);
        sonde_index_free(narrow);
    }
    free_world(&w);
    free_world(&after);
}

/* ---- losses --------------------------------------------------------------------------------------------------------- */

enum { B = 4, H = 3, K = 6 };

static double softplus(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }

/* A batch of vectors in double: the loss by its definition, and what moves. */
typedef double (*definition)(const double *x, const void *context);

static double *widen(const float *x, int64_t count)
{
    double *wide = test_alloc((size_t)count, sizeof *wide);
    for (int64_t i = 0; i < count; i++) wide[i] = x[i];
    return wide;
}

/* Compares gradient[0..count) with central differences of the definition by x[0..count). */
static void check_gradient(definition loss, const void *context, double *x, const float *gradient, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        double kept = x[i], step = 1e-5, up, down;
        x[i] = kept + step;
        up = loss(x, context);
        x[i] = kept - step;
        down = loss(x, context);
        x[i] = kept;
        double wanted = (up - down) / (2 * step);
        if (fabs(gradient[i] - wanted) > 2e-6 + 2e-5 * fabs(wanted))
            fail_msg("derivative %lld is %g, expected %g", (long long)i, (double)gradient[i], wanted);
    }
}

static double wide_dot(const double *a, const double *b)
{
    double sum = 0;
    for (int j = 0; j < D; j++) sum += a[j] * b[j];
    return sum;
}

/* x: B queries, B positives, `hard` negatives. */
typedef struct star_case {
    int hard;
    bool allowed[B][B + H];
} star_case;
static double star_definition(const double *x, const void *context)
{
    const star_case *c = context;
    double sum = 0, pairs = 0;
    for (int i = 0; i < B; i++)
        for (int j = 0; j < B + c->hard; j++) {
            if (!c->allowed[i][j]) continue;
            sum += softplus(wide_dot(x + i * D, x + (B + j) * D) - wide_dot(x + i * D, x + (B + i) * D));
            pairs++;
        }
    return pairs > 0 ? sum / pairs : 0;
}

static void star_loss_is_its_definition(void **state)
{
    (void)state;
    world w = make_world(30);
    float *x = test_vectors(2 * B + H, D, 0, 5), gradient[(2 * B + H) * D];
    double *wide = widen(x, (2 * B + H) * D), loss;
    sonde_row_sampler *sampler = fitted("star(depth=5)", &w);
    sonde_array q = sonde_f32(x, B, D), p = sonde_f32(x + B * D, B, D), h = sonde_f32(x + 2 * B * D, H, D);
    sonde_array gq = sonde_f32(gradient, B, D), gp = sonde_f32(gradient + B * D, B, D);
    sonde_array gh = sonde_f32(gradient + 2 * B * D, H, D);
    int64_t numbers[B] = {2, 5, 2, 8}, positive[B], negative[H];
    for (int i = 0; i < B; i++) positive[i] = w.positives[numbers[i] * M];
    positive[2] = w.positives[2 * M + 1];
    negative[0] = w.positives[5 * M + 2]; /* right for query 5 */
    negative[1] = w.positives[2 * M + 2]; /* right for query 2 */
    negative[2] = 59;
    sonde_array qi = sonde_i64(numbers, B, 1), pi = sonde_i64(positive, B, 1), hi = sonde_i64(negative, H, 1);
    sonde_input inputs[] = {{"queries", &q},    {"positives", &p},     {"negatives", &h},
                            {"query_ids", &qi}, {"positive_ids", &pi}, {"negative_ids", &hi}};
    sonde_input in_batch[] = {{"queries", &q}, {"positives", &p}, {"query_ids", &qi}, {"positive_ids", &pi}};
    sonde_input gradients[] = {{"queries", &gq}, {"positives", &gp}, {"negatives", &gh}};
    for (int masked = 0; masked < 2; masked++) {
        star_case c = {.hard = H};
        for (int i = 0; i < B; i++)
            for (int j = 0; j < B + H; j++) {
                int64_t id = j < B ? positive[j] : negative[j - B];
                c.allowed[i][j] = i != j && !(masked && is_positive(&w, numbers[i], id));
            }
        OK(sonde_row_sampler_loss(sampler, inputs, masked ? 6 : 3, gradients, 3, &loss));
        assert_true(fabs(loss - star_definition(wide, &c)) < 1e-6);
        check_gradient(star_definition, &c, wide, gradient, (2 * B + H) * D);
        c.hard = 0; /* the in-batch loss */
        OK(sonde_row_sampler_loss(sampler, in_batch, masked ? 4 : 2, gradients, 2, &loss));
        assert_true(fabs(loss - star_definition(wide, &c)) < 1e-6);
    }
    /* one query without a mask: only the hard negatives remain */
    double own = 0;
    q.rows = p.rows = 1;
    OK(sonde_row_sampler_loss(sampler, inputs, 3, NULL, 0, &loss));
    for (int j = 0; j < H; j++)
        own += softplus(wide_dot(wide, wide + (2 * B + j) * D) - wide_dot(wide, wide + B * D)) / H;
    assert_true(fabs(loss - own) < 1e-6);
    OK(sonde_row_sampler_loss(sampler, inputs, 2, NULL, 0, &loss));
    assert_true(loss == 0);
    FAILS(sonde_row_sampler_loss(sampler, inputs, 4, NULL, 0, &loss), SONDE_INVALID_ARGUMENT, "go together");
    sonde_row_sampler_free(sampler);
    sampler = make("star", NULL);
    q.rows = p.rows = B;
    FAILS(sonde_row_sampler_loss(sampler, inputs, 6, NULL, 0, &loss), SONDE_STATE, "fitted");
    x[0] = 3e38f;
    x[B * D] = 3e38f;
    FAILS(sonde_row_sampler_loss(sampler, inputs, 3, NULL, 0, &loss), SONDE_INVALID_ARGUMENT, "not finite");
    sonde_row_sampler_free(sampler);
    free(x);
    free(wide);
    free_world(&w);
}

/* x: B queries, then B x K candidates. */
typedef struct adore_case {
    int32_t label[B * K];
    int cut;
    double sigma;
} adore_case;
static double adore_definition(const double *x, const void *context)
{
    const adore_case *c = context;
    double total = 0;
    for (int b = 0; b < B; b++) {
        double sum = 0, pairs = 0;
        for (int i = 0; i < K; i++)
            for (int j = 0; j < K; j++) {
                if (c->label[b * K + i] != 1 || c->label[b * K + j] != 0) continue;
                double a = i + 1 <= c->cut ? 1.0 / (i + 1) : 0, e = j + 1 <= c->cut ? 1.0 / (j + 1) : 0;
                double right = wide_dot(x + b * D, x + (B + b * K + i) * D), wrong;
                wrong = wide_dot(x + b * D, x + (B + b * K + j) * D);
                sum += fabs(a - e) * softplus(-c->sigma * (right - wrong));
                pairs++;
            }
        if (pairs > 0) total += sum / pairs / B;
    }
    return total;
}

static void adore_loss_is_its_definition(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        int cut;
        double sigma;
    } cases[] = {{"adore", 1000, 1}, {"adore(cut=3, sigma=0.5)", 3, 0.5}, {"adore(cut=1)", 1, 1}};
    float *x = test_vectors(B + B * K, D, 0, 6), gradient[B * D];
    double *wide = widen(x, (B + B * K) * D), loss, shifted;
    sonde_array q = sonde_f32(x, B, D), d = sonde_f32(x + B * D, B * K, D), g = sonde_f32(gradient, B, D);
    for (int t = 0; t < 3; t++) {
        adore_case c = {
            {0, 1, 0, 0, 1, 0, 1, 0, 0, 0, -1, -1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0}, cases[t].cut, cases[t].sigma};
        sonde_array labels = sonde_i32(c.label, B, K);
        sonde_input inputs[] = {{"queries", &q}, {"documents", &d}, {"labels", &labels}},
                    wanted[] = {{"queries", &g}};
        sonde_row_sampler *sampler = make(cases[t].spec, NULL);
        OK(sonde_row_sampler_loss(sampler, inputs, 3, wanted, 1, &loss));
        assert_true(loss > 0);
        assert_true(fabs(loss - adore_definition(wide, &c)) < 1e-6);
        check_gradient(adore_definition, &c, wide, gradient, B * D);
        for (int j = 0; j < D; j++) assert_true(gradient[3 * D + j] == 0); /* nothing is right for the last query */
        /* one more column adds a constant to all scores of a query */
        float more_q[B * (D + 1)], more_d[B * K * (D + 1)];
        for (int i = 0; i < B * (D + 1); i++) more_q[i] = i % (D + 1) < D ? x[i / (D + 1) * D + i % (D + 1)] : 2;
        for (int i = 0; i < B * K * (D + 1); i++)
            more_d[i] = i % (D + 1) < D ? x[(B + i / (D + 1)) * D + i % (D + 1)] : (float)(i / (D + 1) / K + 1) * 3;
        sonde_array mq = sonde_f32(more_q, B, D + 1), md = sonde_f32(more_d, B * K, D + 1);
        sonde_input shift[] = {{"queries", &mq}, {"documents", &md}, {"labels", &labels}};
        OK(sonde_row_sampler_loss(sampler, shift, 3, NULL, 0, &shifted));
        assert_true(fabs(loss - shifted) < 1e-5);
        for (int i = 0; i < B * K; i++) c.label[i] = 0;
        OK(sonde_row_sampler_loss(sampler, inputs, 3, wanted, 1, &loss));
        assert_true(loss == 0);
        wanted[0].name = "documents";
        g = sonde_f32(more_d, B * K, D);
        FAILS(sonde_row_sampler_loss(sampler, inputs, 3, wanted, 1, &loss), SONDE_INVALID_ARGUMENT, "queries");
        g = sonde_f32(gradient, B, D);
        c.label[5] = 2;
        FAILS(sonde_row_sampler_loss(sampler, inputs, 3, NULL, 0, &loss), SONDE_INVALID_ARGUMENT, "labels");
        sonde_row_sampler_free(sampler);
    }
    free(x);
    free(wide);
}

/* x: B queries, B positives, B x H negatives; logits are constants. */
typedef struct ar2_case {
    double z[B * (H + 1)], tau, lambda, temperature;
    bool exact;
} ar2_case;
static double ar2_definition(const double *x, const void *context)
{
    const ar2_case *c = context;
    double adv = 0, dist = 0;
    for (int b = 0; b < B; b++) {
        const double *z = c->z + b * (H + 1);
        double s[H + 1], sum = 0, teacher = 0;
        for (int j = 0; j <= H; j++) {
            const double *document = j == 0 ? x + (B + b) * D : x + (2 * B + b * H + j - 1) * D;
            sum += s[j] = exp(c->tau * wide_dot(x + b * D, document));
            teacher += exp(z[j] / c->temperature);
        }
        for (int j = 0; j <= H; j++) {
            double p = s[j] / sum, r = -softplus(z[j] - z[0]);
            adv += c->exact ? p * r / B : r * log(p + 1e-7);
            dist -= exp(z[j] / c->temperature) / teacher * log(p + 1e-7) / B;
        }
    }
    return c->lambda * adv + (1 - c->lambda) * dist;
}

static double ranker_definition(const double *z, const void *context)
{
    double sum = 0;
    (void)context;
    for (int b = 0; b < B; b++) {
        double all = 0;
        for (int j = 0; j <= H; j++) all += exp(z[b * (H + 1) + j]);
        sum -= (z[b * (H + 1)] - log(all)) / B;
    }
    return sum;
}

static void ar2_losses_are_their_definitions(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        ar2_case c;
    } cases[] = {{"ar2", {{0}, 1, 0.5, 1, false}},
                 {"ar2(adv=exact, lambda=0.7, tau=0.5, temperature=2)", {{0}, 0.5, 0.7, 2, true}},
                 {"ar2(lambda=0)", {{0}, 1, 0, 1, false}}};
    enum { ROWS = 2 * B + B * H };
    float *x = test_vectors(ROWS, D, 0, 7), *z = test_vectors(B, H + 1, 0, 8), gradient[ROWS * D];
    double *wide = widen(x, ROWS * D), *wide_z = widen(z, B * (H + 1)), loss;
    sonde_array q = sonde_f32(x, B, D), p = sonde_f32(x + B * D, B, D), n = sonde_f32(x + 2 * B * D, B * H, D);
    sonde_array gq = sonde_f32(gradient, B, D), gp = sonde_f32(gradient + B * D, B, D), r = sonde_f32(z, B, H + 1);
    sonde_array gn = sonde_f32(gradient + 2 * B * D, B * H, D), gr = sonde_f32(gradient, B, H + 1);
    sonde_input inputs[] = {{"ranker", &r}, {"queries", &q}, {"positives", &p}, {"negatives", &n}};
    sonde_input wanted[] = {{"queries", &gq}, {"positives", &gp}, {"negatives", &gn}}, own[] = {{"ranker", &gr}};
    for (int t = 0; t < 3; t++) {
        sonde_row_sampler *sampler = make(cases[t].spec, NULL);
        ar2_case c = cases[t].c;
        memcpy(c.z, wide_z, sizeof c.z);
        OK(sonde_row_sampler_loss(sampler, inputs, 4, wanted, 3, &loss));
        assert_true(fabs(loss - ar2_definition(wide, &c)) < 1e-5);
        check_gradient(ar2_definition, &c, wide, gradient, ROWS * D);
        OK(sonde_row_sampler_loss(sampler, inputs, 1, own, 1, &loss));
        assert_true(fabs(loss - ranker_definition(wide_z, NULL)) < 1e-6);
        check_gradient(ranker_definition, NULL, wide_z, gradient, B * (H + 1));
        FAILS(sonde_row_sampler_loss(sampler, inputs, 2, NULL, 0, &loss), SONDE_INVALID_ARGUMENT, "go together");
        FAILS(sonde_row_sampler_loss(sampler, inputs, 4, own, 1, &loss), SONDE_INVALID_ARGUMENT, "constant");
        sonde_row_sampler_free(sampler);
    }
    free(x);
    free(z);
    free(wide);
    free(wide_z);
}

static void large_scores_do_not_overflow(void **state)
{
    (void)state;
    float q[] = {100, -100}, p[] = {-9, -9}, n[] = {9, 9}, z[] = {-800, 800, 700, -700}, gradient[2];
    int32_t label[] = {0, 1, 0, 1};
    float candidates[] = {9, -9, 9, -9};
    double loss;
    sonde_array queries = sonde_f32(q, 2, 1), positives = sonde_f32(p, 2, 1), negatives = sonde_f32(n, 2, 1);
    sonde_array ranker = sonde_f32(z, 2, 2), documents = sonde_f32(candidates, 4, 1), labels = sonde_i32(label, 2, 2);
    sonde_array g = sonde_f32(gradient, 2, 1);
    sonde_input in[] = {
        {"queries", &queries}, {"positives", &positives}, {"negatives", &negatives}, {"ranker", &ranker}};
    sonde_input lists[] = {{"queries", &queries}, {"documents", &documents}, {"labels", &labels}},
                out[] = {{"queries", &g}};
    sonde_row_sampler *star = make("star", NULL), *adore = make("adore", NULL), *ar2 = make("ar2", NULL);
    OK(sonde_row_sampler_loss(star, in, 3, out, 1, &loss));
    assert_true(isfinite(loss) && loss > 100 && isfinite(gradient[0]) && isfinite(gradient[1]));
    OK(sonde_row_sampler_loss(ar2, in, 4, out, 1, &loss));
    assert_true(isfinite(loss) && isfinite(gradient[0]) && isfinite(gradient[1]));
    OK(sonde_row_sampler_loss(adore, lists, 3, out, 1, &loss));
    assert_true(isfinite(loss) && loss > 100 && isfinite(gradient[0]) && isfinite(gradient[1]));
    sonde_row_sampler_free(star);
    sonde_row_sampler_free(adore);
    sonde_row_sampler_free(ar2);
}

/* ---- wrong input ------------------------------------------------------------------------------------------------------ */

static void wrong_specs(void **state)
{
    (void)state;
    sonde_row_sampler *sampler = NULL;
    FAILS(sonde_row_sampler_create("star(depth=3, hard=4)", 0, NULL, &sampler), SONDE_INVALID_ARGUMENT, "depth=3");
    FAILS(sonde_row_sampler_create("star(hard=0)", 0, NULL, &sampler), SONDE_INVALID_ARGUMENT, "both 0");
    FAILS(sonde_row_sampler_create("ar2(depth=3)", 0, NULL, &sampler), SONDE_INVALID_ARGUMENT, "negatives=15");
    FAILS(sonde_row_sampler_create("adore(cut=0)", 0, NULL, &sampler), SONDE_INVALID_ARGUMENT, "cut");
    FAILS(sonde_row_sampler_create("adore(index=tree)", 0, NULL, &sampler), SONDE_NOT_FOUND, "tree");
}

static void wrong_data(void **state)
{
    (void)state;
    static const char *specs[] = {"star(depth=4, hard=2)", "adore(depth=4)", "ar2(depth=4, negatives=2)"};
    world w = make_world(40);
    sonde_rows rows = SONDE_ROWS_INIT;
    for (int s = 0; s < 3; s++) {
        sonde_row_sampler *sampler = make(specs[s], NULL);
        sonde_array d = w.d, q = w.q, p = w.p;
        sonde_input inputs[] = {{"queries", &q}, {"positives", &p}, {"documents", &d}};
        FAILS(sonde_row_sampler_draw(sampler, 1, &rows), SONDE_STATE, "not fitted");
        FAILS(sonde_row_sampler_fit(sampler, inputs, 2), SONDE_INVALID_ARGUMENT, "documents");
        d = sonde_f32(w.documents, N, D - 1);
        FAILS(sonde_row_sampler_fit(sampler, inputs, 3), SONDE_INVALID_ARGUMENT, "columns");
        d = sonde_f32(w.documents, 2, D);
        FAILS(sonde_row_sampler_fit(sampler, inputs, 3), SONDE_INVALID_ARGUMENT, "fit: query");
        d = w.d;
        p = sonde_i64(w.positives, Q - 1, M);
        FAILS(sonde_row_sampler_fit(sampler, inputs, 3), SONDE_INVALID_ARGUMENT, "positives");
        p = w.p;
        w.positives[3 * M] = N;
        FAILS(sonde_row_sampler_fit(sampler, inputs, 3), SONDE_INVALID_ARGUMENT, "query 3: its positive 60");
        w.positives[3 * M] = 7;
        w.queries[4] = NAN;
        FAILS(sonde_row_sampler_fit(sampler, inputs, 3), SONDE_INVALID_ARGUMENT, "queries");
        w.queries[4] = 1;
        w.queries[5] = 3e38f;
        w.documents[0] = 3e38f;
        FAILS(sonde_row_sampler_fit(sampler, inputs, 3), SONDE_INVALID_ARGUMENT, "");
        w.queries[5] = w.documents[0] = 1;
        int64_t all[] = {0, 1, 2, 1};
        q.rows = 1;
        p = sonde_i64(all, 1, 4);
        d.rows = 3;
        FAILS(sonde_row_sampler_fit(sampler, inputs, 3), SONDE_INVALID_ARGUMENT, "query 0 has no negative");
        assert_false(sonde_row_sampler_fitted(sampler));
        assert_int_equal(sonde_row_sampler_dim(sampler), 0);
        all[0] = all[1] = all[2] = all[3] = -1;
        sonde_status status = sonde_row_sampler_fit(sampler, inputs, 3);
        if (s == 1) FAILS(status, SONDE_INVALID_ARGUMENT, "query 0 has no positives");
        else OK(status);
        all[0] = 0; /* one query, one document that is right, one that is wrong */
        d.rows = 2;
        OK(sonde_row_sampler_fit(sampler, inputs, 3));
        OK(sonde_row_sampler_draw(sampler, 100, &rows));
        assert_int_equal(rows.ids[0], 1);
        assert_int_equal(rows.count, s == 1 ? 4 : 2);
        assert_int_equal(rows.ids[1], -1);
        assert_int_equal(rows.last, 1);
        FAILS(sonde_row_sampler_merge(sampler, sampler), SONDE_INVALID_ARGUMENT, "same");
        sonde_row_sampler_free(sampler);
    }
    free_world(&w);
}

static void positives_in_one_column(void **state)
{
    (void)state;
    world w = make_world(41);
    int64_t items[Q * M], offsets[Q + 1] = {0}, count = 0;
    for (int q = 0; q < Q; q++) {
        for (int j = 0; j <= q % M; j++) items[count++] = w.positives[q * M + j];
        offsets[q + 1] = count;
    }
    sonde_array p = sonde_i64(items, count, 1), o = sonde_i64(offsets, Q + 1, 1);
    sonde_input inputs[] = {{"queries", &w.q}, {"documents", &w.d}, {"positives", &p}, {"positive_offsets", &o}};
    sonde_row_sampler *padded = fitted("star(depth=9, random=2)", &w), *flat = make("star(depth=9, random=2)", NULL);
    OK(sonde_row_sampler_fit(flat, inputs, 4));
    trace a = trace_draw(padded, 0), b = trace_draw(flat, 0);
    assert_memory_equal(&a, &b, sizeof a);
    sonde_row_sampler_free(padded);
    sonde_row_sampler_free(flat);
    free_world(&w);
}

/* ---- failures -------------------------------------------------------------------------------------------------------- */

static const char *walked;

static sonde_status walk(sonde_runtime_options *options)
{
    world w = make_world(50);
    sonde_runtime *runtime = NULL;
    sonde_row_sampler *sampler = NULL;
    sonde_rows rows = SONDE_ROWS_INIT;
    int64_t numbers[] = {1, 2};
    sonde_array ids = sonde_i64(numbers, 2, 1);
    sonde_input inputs[] = {{"query_ids", &ids}}, seen[] = {{"queries", &w.q}, {"documents", &w.d}};
    options->threads = 1;
    sonde_status status = sonde_runtime_create(options, &runtime);
    if (status == SONDE_OK) status = sonde_row_sampler_create(walked, D, runtime, &sampler);
    if (status == SONDE_OK) status = fit_world(sampler, &w);
    if (status == SONDE_OK) status = sonde_row_sampler_draw(sampler, 11, &rows);
    if (status == SONDE_OK) status = sonde_row_sampler_draw_for(sampler, inputs, 1, 2, &rows);
    if (status == SONDE_OK) status = sonde_row_sampler_observe(sampler, seen, 2);
    if (status == SONDE_OK) {
        size_t length = 0;
        status = sonde_row_sampler_save_buffer(sampler, NULL, 0, &length);
    }
    sonde_row_sampler_free(sampler);
    sonde_runtime_free(runtime);
    free_world(&w);
    return status;
}

static void every_allocation_fails_once(void **state)
{
    (void)state;
    for (int s = 0; s < STREAMS; s++) {
        walked = stream_specs[s];
        assert_true(failing_walk(walk) > 20);
    }
}

static void cancelling_leaves_the_old_state(void **state)
{
    (void)state;
    world w = make_world(51), other = make_world(52);
    for (int s = 0; s < STREAMS; s++) {
        int left = 1 << 30, cancelled = 0;
        sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
        sonde_runtime *runtime = NULL;
        options.threads = 2;
        options.progress = cancel_later;
        options.progress_user = &left;
        OK(sonde_runtime_create(&options, &runtime));
        sonde_row_sampler *sampler = make(stream_specs[s], runtime);
        OK(fit_world(sampler, &w));
        trace before = trace_draw(sampler, 8);
        for (int allowed = 0; allowed < 20; allowed++) {
            left = allowed;
            sonde_status status = fit_world(sampler, &other);
            left = 1 << 30;
            if (status == SONDE_OK) break;
            assert_int_equal(status, SONDE_CANCELLED);
            cancelled++;
            OK(sonde_row_sampler_seek(sampler, 0));
            trace after = trace_draw(sampler, 8);
            assert_memory_equal(&before, &after, sizeof before);
        }
        assert_true(cancelled > 0);
        sonde_row_sampler_free(sampler);
        sonde_runtime_free(runtime);
    }
    free_world(&w);
    free_world(&other);
}

/* A changed file is refused, or is a sampler that can be drawn from. */
static void damaged_files(void **state)
{
    (void)state;
    world w = make_world(53);
    int refused = 0;
    for (int s = 0; s < STREAMS; s++) {
        sonde_row_sampler *sampler = fitted(stream_specs[s], &w);
        size_t length;
        uint8_t *bytes = saved(sampler, &length), *copy = test_alloc(length, 1);
        uint64_t seed = 99;
        for (int t = 0; t < 1500; t++) {
            sonde_row_sampler *opened = NULL;
            sonde_rows rows = SONDE_ROWS_INIT;
            size_t count = t % 3 == 0 ? test_u64(&seed) % length : length;
            memcpy(copy, bytes, length);
            for (uint64_t i = 0; i <= test_u64(&seed) % 3; i++)
                copy[test_u64(&seed) % length] = test_u64(&seed) % 3 ? (uint8_t)test_u64(&seed) : 0xff;
            if (count == length) reseal(copy, length);
            sonde_status status = sonde_row_sampler_open_buffer(copy, count, NULL, NULL, &opened);
            if (status == SONDE_OK) {
                for (int i = 0; i < 3; i++) (void)sonde_row_sampler_draw(opened, 40, &rows);
            } else {
                refused++;
            }
            sonde_row_sampler_free(opened);
        }
        free(bytes);
        free(copy);
        sonde_row_sampler_free(sampler);
    }
    assert_true(refused > 500);
    free_world(&w);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(adore_is_brute_force),
        cmocka_unit_test(a_swap_changes_a_weight_by_the_difference_of_gains),
        cmocka_unit_test(star_draws_lie_in_the_mined_list),
        cmocka_unit_test(a_depth_of_all_gives_all),
        cmocka_unit_test(random_negatives_are_uniform),
        cmocka_unit_test(ids_of_the_caller_are_drawn),
        cmocka_unit_test(ar2_draws_by_softmax),
        cmocka_unit_test(ar2_weights_are_unbiased),
        cmocka_unit_test(a_pass_has_the_same_rows_however_it_is_cut),
        cmocka_unit_test(what_is_opened_goes_on),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(drawing_for_queries),
        cmocka_unit_test(lists_follow_what_is_observed),
        cmocka_unit_test(refresh_waits_for_its_turn),
        cmocka_unit_test(an_index_of_the_caller),
        cmocka_unit_test(star_loss_is_its_definition),
        cmocka_unit_test(adore_loss_is_its_definition),
        cmocka_unit_test(ar2_losses_are_their_definitions),
        cmocka_unit_test(large_scores_do_not_overflow),
        cmocka_unit_test(wrong_specs),
        cmocka_unit_test(wrong_data),
        cmocka_unit_test(positives_in_one_column),
        cmocka_unit_test(every_allocation_fails_once),
        cmocka_unit_test(cancelling_leaves_the_old_state),
        cmocka_unit_test(damaged_files),
    };
    return test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
