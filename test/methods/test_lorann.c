/* test_lorann.c: lists scored by products of low rank (ivf, lists=lorann) against exact products: nothing is
 * lost at full rank, or where rows differ in few directions; the error falls with the rank; rows that come
 * later; data out of the ordinary, files, memory.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <math.h>

#include "failing.h"
#include "reseal.h"
#include "test.h"

/* What rounding a query twice to 1/64 of its largest value, in three directions, may cost; a missing
 * direction costs a quarter. */
#define ROUNDED 0.06

enum { DIM = 24, ROWS = 600, LISTS = 5, QUERIES = 40 };

static sonde_index *lorann_index(const char *spec, sonde_runtime *runtime)
{
    sonde_index *index = NULL;
    OK(sonde_index_create(spec, DIM, runtime, &index));
    return index;
}

static void train_on(sonde_index *index, const float *x, int64_t n)
{
    sonde_array rows = sonde_f32(x, n, DIM);
    sonde_input input = {"vectors", &rows};
    OK(sonde_index_train(index, &input, 1));
}

static void add_rows(sonde_index *index, const float *x, int64_t first, int64_t n)
{
    int64_t *ids = test_alloc((size_t)n, sizeof *ids);
    for (int64_t i = 0; i < n; i++) ids[i] = first + i;
    sonde_array rows = sonde_f32(x + first * DIM, n, DIM);
    OK(sonde_index_add(index, &rows, ids));
    free(ids);
}

static sonde_index *filled(const char *spec, const float *x, int64_t n)
{
    sonde_index *index = lorann_index(spec, NULL);
    train_on(index, x, n);
    add_rows(index, x, 0, n);
    return index;
}

/* scores[q * rows + id] of all rows, from a search of all lists. */
static float *all_scores(const sonde_index *index, const float *queries, int64_t rows)
{
    int64_t *ids = test_alloc((size_t)(QUERIES * rows), sizeof *ids);
    float *sorted = test_alloc((size_t)(QUERIES * rows), sizeof *sorted);
    float *scores = test_alloc((size_t)(QUERIES * rows), sizeof *scores);
    sonde_array q = sonde_f32(queries, QUERIES, DIM);
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    sonde_hits hits = {.size = sizeof hits, .ids = ids, .scores = sorted};
    how.k = (uint32_t)rows;
    how.effort = LISTS;
    OK(sonde_index_search(index, &q, &how, &hits));
    for (int64_t i = 0; i < QUERIES * rows; i++) {
        assert_true(ids[i] >= 0 && ids[i] < rows);
        scores[i / rows * rows + ids[i]] = sorted[i];
    }
    free(ids);
    free(sorted);
    return scores;
}

static double dot(const float *a, const float *b)
{
    double sum = 0;
    for (int j = 0; j < DIM; j++) sum += (double)a[j] * b[j];
    return sum;
}

static double exact_score(const char *metric, const float *q, const float *x)
{
    double ip = dot(q, x), qq = dot(q, q), xx = dot(x, x);
    if (strcmp(metric, "l2") == 0) return qq + xx - 2 * ip;
    return strcmp(metric, "ip") == 0 ? ip : ip / sqrt(qq * xx);
}

/* Root of the mean squared error of the scores of rows [first, rows), over the deviation of the exact. */
static double error_of(const sonde_index *index, const char *metric, const float *queries, const float *x,
                       int64_t first, int64_t rows)
{
    float *scores = all_scores(index, queries, rows);
    double error = 0, sum = 0, squares = 0, count = (double)(QUERIES * (rows - first));
    for (int64_t q = 0; q < QUERIES; q++)
        for (int64_t i = first; i < rows; i++) {
            double exact = exact_score(metric, queries + q * DIM, x + i * DIM);
            error += pow(exact - scores[q * rows + i], 2);
            sum += exact;
            squares += exact * exact;
        }
    free(scores);
    return sqrt(error / (squares - sum * sum / count));
}

static const char *const metrics[] = {"l2", "ip", "cosine"};

/* more: further keys, nlist among them. */
static double error_at(const char *metric, int rank, const char *more, const float *x)
{
    char spec[200];
    float *queries = test_vectors(QUERIES, DIM, 0, 99);
    for (int i = 0; i < QUERIES * DIM; i++) queries[i] += x[i]; /* not far from rows */
    snprintf(spec, sizeof spec, "ivf(metric=%s, lists=lorann, rank=%d%s)", metric, rank, more);
    sonde_index *index = filled(spec, x, ROWS);
    double error = error_of(index, metric, queries, x, 0, ROWS);
    sonde_index_free(index);
    free(queries);
    return error;
}

/* ---- what is kept of scores ------------------------------------------------------------------------------------ */

/* All that is left is the rounding to 7 and 8 bits. */
static void full_rank_keeps_scores(void **unused)
{
    (void)unused;
    float *x = test_vectors(ROWS, DIM, 7, 1);
    for (int m = 0; m < 3; m++) {
        double error = error_at(metrics[m], DIM, ", nlist=5", x);
        if (!(error < 0.02)) fail_msg("%s: an error of %g", metrics[m], error);
    }
    free(x);
}

static void error_falls_with_rank(void **unused)
{
    (void)unused;
    const int ranks[] = {1, 2, 4, 8, 12, 16, 20, 24};
    float *x = test_vectors(ROWS, DIM, 7, 2);
    for (int m = 0; m < 3; m++) {
        double last = 1;
        for (int i = 0; i < 8; i++) {
            double error = error_at(metrics[m], ranks[i], ", nlist=5", x);
            if (!(error < last)) fail_msg("%s, rank %d: %g after %g", metrics[m], ranks[i], error, last);
            last = error;
        }
    }
    free(x);
}

static void error_falls_with_dims(void **unused)
{
    (void)unused;
    float *x = test_vectors(ROWS, DIM, 7, 3);
    double few = error_at("ip", 8, ", nlist=5, dims=8", x), some = error_at("ip", 8, ", nlist=5, dims=16", x),
           all = error_at("ip", 8, ", nlist=5", x);
    if (!(all < some && some < few)) fail_msg("%g, %g, %g", few, some, all);
    free(x);
}

/* Rows that differ from one of them in three directions. */
static float *flat_cloud(uint64_t seed)
{
    float *x = test_alloc(ROWS * DIM, sizeof *x), way[4][DIM];
    uint64_t state = seed;
    for (int w = 0; w < 4; w++)
        for (int j = 0; j < DIM; j++) way[w][j] = test_normal(&state);
    for (int i = 0; i < ROWS; i++)
        for (int w = 0; w < 4; w++) {
            float step = w == 3 ? 1 : test_normal(&state);
            for (int j = 0; j < DIM; j++) x[i * DIM + j] += step * way[w][j];
        }
    return x;
}

static void few_directions_need_few_numbers(void **unused)
{
    (void)unused;
    const char *one = ", nlist=1";
    float *x = flat_cloud(4);
    for (int m = 0; m < 2; m++) {
        double two = error_at(metrics[m], 2, one, x), three = error_at(metrics[m], 3, one, x);
        if (!(three < ROUNDED && two > 5 * three)) fail_msg("%s: %g, then %g", metrics[m], two, three);
    }
    free(x);
}

/* ---- rows that come later -------------------------------------------------------------------------------------- */

static void later_rows_are_scored_alike(void **unused)
{
    (void)unused;
    float *x = flat_cloud(5);
    for (int m = 0; m < 2; m++) {
        char spec[200];
        snprintf(spec, sizeof spec, "ivf(nlist=1, metric=%s, lists=lorann, rank=3)", metrics[m]);
        sonde_index *index = lorann_index(spec, NULL);
        train_on(index, x, ROWS / 2);
        add_rows(index, x, 0, ROWS);
        double error = error_of(index, metrics[m], x, x, ROWS / 2, ROWS);
        if (!(error < ROUNDED)) fail_msg("%s: an error of %g", metrics[m], error);
        sonde_index_free(index);
    }
    free(x);
}

static void batches_of_rows_change_nothing(void **unused)
{
    (void)unused;
    float *x = test_vectors(ROWS, DIM, 6, 6);
    const char *spec = "ivf(nlist=5, metric=ip, lists=lorann, rank=6)";
    sonde_index *once = filled(spec, x, ROWS), *often = lorann_index(spec, NULL);
    train_on(often, x, ROWS);
    for (int64_t i = 0; i < ROWS; i += 7) add_rows(often, x, i, i + 7 < ROWS ? 7 : ROWS - i);
    float *a = all_scores(once, x, ROWS), *b = all_scores(often, x, ROWS);
    assert_memory_equal(a, b, QUERIES * ROWS * sizeof *a);
    free(a);
    free(b);
    sonde_index_free(once);
    sonde_index_free(often);
    free(x);
}

/* Queries one by one, and by lists in a batch. */
static void a_batch_scores_as_single_queries(void **unused)
{
    (void)unused;
    float *x = test_vectors(ROWS, DIM, 6, 7);
    sonde_index *index = filled("ivf(nlist=5, lists=lorann, rank=6)", x, ROWS);
    float *all = all_scores(index, x, ROWS);
    for (int64_t q = 0; q < QUERIES; q++) {
        int64_t ids[9];
        float scores[9];
        sonde_array one = sonde_f32(x + q * DIM, 1, DIM);
        sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
        sonde_hits hits = {.size = sizeof hits, .ids = ids, .scores = scores};
        how.k = 9;
        how.effort = LISTS;
        OK(sonde_index_search(index, &one, &how, &hits));
        for (int i = 0; i < 9; i++) assert_true(scores[i] == all[q * ROWS + ids[i]]);
    }
    free(all);
    sonde_index_free(index);
    free(x);
}

/* ---- data out of the ordinary ---------------------------------------------------------------------------------- */

/* Rows and queries of any length: scores go along with them. */
static void length_does_not_matter(void **unused)
{
    (void)unused;
    const float scales[] = {1e-15f, 1e15f, 1e17f};
    float *x = test_vectors(ROWS, DIM, 7, 8), *scaled = test_alloc(ROWS * DIM, sizeof *scaled);
    for (int s = 0; s < 3; s++)
        for (int m = 0; m < 3; m++) {
            char spec[200];
            for (int i = 0; i < ROWS * DIM; i++) scaled[i] = x[i] * scales[s];
            snprintf(spec, sizeof spec, "ivf(nlist=%d, metric=%s, lists=lorann, rank=24)", LISTS, metrics[m]);
            sonde_index *index = filled(spec, scaled, ROWS);
            double error = error_of(index, metrics[m], scaled, scaled, 0, ROWS);
            if (!(error < 0.02))
                fail_msg("%s, rows x %g: an error of %g", metrics[m], (double)scales[s], error);
            sonde_index_free(index);
        }
    free(scaled);
    free(x);
}

/* Fewer rows in a list than numbers, columns without a value, rows without a difference. */
static void little_to_learn_from(void **unused)
{
    (void)unused;
    float *x = test_vectors(ROWS, DIM, 7, 9);
    for (int i = 0; i < ROWS * DIM; i++)
        if (i % DIM == 3 || i % DIM == 11) x[i] = 0;
    sonde_index *index = filled("ivf(nlist=5, metric=ip, lists=lorann, rank=20)", x, 30);
    double error = error_of(index, "ip", x, x, 0, 30);
    if (!(error < 0.02)) fail_msg("30 rows: an error of %g", error);
    sonde_index_free(index);
    for (int i = DIM; i < ROWS * DIM; i++) x[i] = x[i - DIM];
    index = filled("ivf(nlist=1, lists=lorann)", x, ROWS);
    float *scores = all_scores(index, x, ROWS);
    for (int i = 0; i < ROWS; i++) assert_true(fabsf(scores[i]) <= 1e-3f);
    free(scores);
    sonde_index_free(index);
    free(x);
}

static void what_is_refused(void **unused)
{
    (void)unused;
    const struct {
        const char *spec, *words;
    } bad[] = {
        {"ivf(lists=lorann, dims=25)", "dims=25 is more than dim, which is 24"},
        {"ivf(lists=lorann, dims=8, rank=9)", "rank=9 is more than dims, which is 8"},
        {"ivf(lists=lorann, rank=25)", "rank=25 is more than dims, which is 24"},
        {"ivf(lists=lorann, rank=0)", "rank"},
        {"ivf(lists=lorann, dims=0)", "dims"},
        {"ivf(lists=lorann, code=sq(bits=8))", "leave code out"},
        {"ivf(lists=lorann, residual=no)", "residual=auto"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        sonde_index *index = NULL;
        FAILS(sonde_index_create(bad[i].spec, DIM, NULL, &index), SONDE_INVALID_ARGUMENT, bad[i].words);
        assert_null(index);
    }
    sonde_index *index = NULL;
    FAILS(sonde_index_create("ivf(lists=lorann, metric=hamming)", DIM, NULL, &index), SONDE_UNSUPPORTED,
          "hamming");
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

static uint8_t *saved(const sonde_index *index, size_t *bytes)
{
    OK(sonde_index_save_buffer(index, NULL, 0, bytes));
    uint8_t *file = test_alloc(*bytes, 1);
    OK(sonde_index_save_buffer(index, file, *bytes, bytes));
    return file;
}

static void an_opened_index_answers_alike(void **unused)
{
    (void)unused;
    float *x = test_vectors(ROWS, DIM, 7, 10);
    sonde_index *index = filled("ivf(nlist=5, lists=lorann, rank=5, dims=20, refine=none)", x, ROWS),
                *opened = NULL;
    size_t bytes;
    uint8_t *file = saved(index, &bytes);
    OK(sonde_index_open_buffer(file, bytes, NULL, NULL, &opened));
    OK(sonde_index_check(opened));
    float *a = all_scores(index, x, ROWS), *b = all_scores(opened, x, ROWS);
    assert_memory_equal(a, b, QUERIES * ROWS * sizeof *a);
    OK(sonde_index_merge(opened, index));
    sonde_index *other = filled("ivf(nlist=5, lists=lorann, rank=5, dims=20, refine=none, seed=2)", x, ROWS);
    FAILS(sonde_index_merge(opened, other), SONDE_INCOMPATIBLE, "");
    free(a);
    free(b);
    free(file);
    sonde_index_free(other);
    sonde_index_free(opened);
    sonde_index_free(index);
    free(x);
}

/* Puts four bytes over the first number of a section and seals the file again. */
static void overwrite(uint8_t *file, size_t bytes, const char *tag, float value)
{
    uint64_t toc = reseal_get(file + 24, 8), count = reseal_get(file + 32, 4),
             width = reseal_get(file + 36, 4);
    bool found = false;
    char name[8] = {0};
    memcpy(name, tag, strlen(tag));
    for (uint64_t i = 0; i < count; i++) {
        uint8_t *entry = file + toc + i * width;
        if (memcmp(entry, name, 8) != 0) continue;
        memcpy(file + reseal_get(entry + 16, 8), &value, 4);
        found = true;
    }
    assert_true(found);
    reseal(file, bytes);
}

static void damaged_numbers_are_found(void **unused)
{
    (void)unused;
    const struct {
        const char *tag;
        float value;
    } bad[] = {{"UNIT", 0},    {"UNIT", 1},   {"SPREAD", 0}, {"SPREAD", INFINITY}, {"ROOT", 0},
               {"ROOT", 1e9f}, {"AXES", NAN}, {"AXES", 2},   {"CENTRE", NAN}};
    float *x = test_vectors(ROWS, DIM, 7, 11);
    sonde_index *index = filled("ivf(nlist=5, lists=lorann, rank=5)", x, ROWS);
    size_t bytes;
    uint8_t *file = saved(index, &bytes), *copy = test_alloc(bytes, 1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        sonde_index *opened = NULL;
        memcpy(copy, file, bytes);
        overwrite(copy, bytes, bad[i].tag, bad[i].value);
        FAILS(sonde_index_open_buffer(copy, bytes, NULL, NULL, &opened), SONDE_CORRUPT, bad[i].tag);
        assert_null(opened);
    }
    free(copy);
    free(file);
    sonde_index_free(index);
    free(x);
}

/* ---- memory ---------------------------------------------------------------------------------------------------- */

static sonde_status use_all(sonde_index *index, const float *x)
{
    sonde_array rows = sonde_f32(x, 60, DIM), queries = sonde_f32(x, 9, DIM);
    int64_t ids[9 * 10];
    sonde_hits hits = {.size = sizeof hits, .ids = ids};
    sonde_status status = sonde_index_add(index, &rows, NULL);
    return status ? status : sonde_index_search(index, &queries, NULL, &hits);
}

static sonde_status scene(sonde_runtime_options *options)
{
    sonde_runtime *runtime = NULL;
    sonde_index *index = NULL;
    float *x = test_vectors(60, DIM, 3, 12);
    options->threads = 1;
    sonde_status status = sonde_runtime_create(options, &runtime);
    if (!status) status = sonde_index_create("ivf(nlist=3, lists=lorann, rank=4)", DIM, runtime, &index);
    if (!status) status = use_all(index, x);
    sonde_index_free(index);
    sonde_runtime_free(runtime);
    free(x);
    return status;
}

static void every_allocation_can_fail(void **unused)
{
    (void)unused;
    assert_true(failing_walk(scene) > 20);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(full_rank_keeps_scores),
    cmocka_unit_test(error_falls_with_rank),
    cmocka_unit_test(error_falls_with_dims),
    cmocka_unit_test(few_directions_need_few_numbers),
    cmocka_unit_test(later_rows_are_scored_alike),
    cmocka_unit_test(batches_of_rows_change_nothing),
    cmocka_unit_test(a_batch_scores_as_single_queries),
    cmocka_unit_test(length_does_not_matter),
    cmocka_unit_test(little_to_learn_from),
    cmocka_unit_test(what_is_refused),
    cmocka_unit_test(an_opened_index_answers_alike),
    cmocka_unit_test(damaged_numbers_are_found),
    cmocka_unit_test(every_allocation_can_fail),
};
SONDE_TEST_MAIN(tests)
