/* test_scan.c: scans of hand-made segments against scoring each row alone, in whole numbers, so that every path must
 * give the very same hits.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test.h"

#include <math.h>

#include "indexes/direct.h"

enum { DIM = 24, LISTS = 3, SEGMENTS = 3, MOST_ROWS = 1500, MOST_LANES = 100, K = 15 };

/* ---- a world of segments ------------------------------------------------------------------------------- */

typedef struct world {
    sonde_runtime *runtime;
    sonde__scratch *scratch;
    sonde__segment segment[LISTS][SEGMENTS];
    sonde__list *list[LISTS];
    sonde__snapshot *snapshot;
    float query[MOST_LANES][DIM];
} world;

static const int64_t row_counts[LISTS][SEGMENTS] = {{1, 63, 700}, {MOST_ROWS, 128, 5}, {0, 65, 64}};

/* Small whole numbers: products and sums are exact in f32, and ties are many. */
static float small(uint64_t *seed, int span)
{
    return (float)(int)(test_u64(seed) % (uint64_t)(2 * span + 1)) - (float)span;
}

static void fill_segment(sonde__segment *segment, int64_t rows, bool remove, uint64_t *seed)
{
    static int64_t next_id;
    segment->count = segment->capacity = rows;
    segment->ids = test_alloc((size_t)rows, sizeof(int64_t));
    segment->column[0] = test_alloc((size_t)rows, DIM);            /* i8 values */
    segment->column[1] = test_alloc((size_t)rows, sizeof(float));  /* scale */
    segment->column[2] = test_alloc((size_t)rows, sizeof(float));  /* bias */
    uint64_t *gone = test_alloc((size_t)rows / 64 + 1, 8);
    for (int64_t i = 0; i < rows; i++) {
        segment->ids[i] = next_id++ * 7919 % 1000003;
        for (int64_t j = 0; j < DIM; j++) segment->column[0][i * DIM + j] = (uint8_t)(int8_t)small(seed, 3);
        ((float *)(void *)segment->column[1])[i] = (float)(1 + test_u64(seed) % 3);
        ((float *)(void *)segment->column[2])[i] = small(seed, 5);
        if (remove && test_u64(seed) % 3 == 0) {
            gone[i / 64] |= (uint64_t)1 << i % 64;
            segment->removed++;
        }
    }
    segment->gone = segment->removed ? gone : NULL;
    if (!segment->removed) free(gone);
}

static void open_world(world *w, bool remove)
{
    uint64_t seed = 77;
    memset(w, 0, sizeof *w);
    OK(sonde_runtime_create(NULL, &w->runtime));
    OK(sonde__scratch_take(w->runtime, &w->scratch));
    w->snapshot = test_alloc(1, sizeof *w->snapshot + LISTS * sizeof(void *));
    w->snapshot->lists = LISTS;
    for (int l = 0; l < LISTS; l++) {
        w->list[l] = test_alloc(1, sizeof(sonde__list) + SEGMENTS * sizeof(void *));
        w->list[l]->segments = SEGMENTS;
        w->snapshot->list[l] = w->list[l];
        for (int s = 0; s < SEGMENTS; s++) {
            fill_segment(&w->segment[l][s], row_counts[l][s], remove, &seed);
            w->list[l]->segment[s] = &w->segment[l][s];
            w->list[l]->rows += w->segment[l][s].count;
            w->list[l]->removed += w->segment[l][s].removed;
        }
        w->snapshot->rows += w->list[l]->rows;
        w->snapshot->removed += w->list[l]->removed;
    }
    for (int q = 0; q < MOST_LANES; q++)
        for (int j = 0; j < DIM; j++) w->query[q][j] = small(&seed, 3);
}

static void close_world(world *w)
{
    for (int l = 0; l < LISTS; l++) {
        for (int s = 0; s < SEGMENTS; s++) {
            free(w->segment[l][s].ids);
            for (int c = 0; c < 3; c++) free(w->segment[l][s].column[c]);
            free((void *)(uintptr_t)w->segment[l][s].gone);
        }
        free(w->list[l]);
    }
    free(w->snapshot);
    sonde__scratch_give(w->runtime, w->scratch);
    sonde_runtime_free(w->runtime);
}

/* ---- a quantizer whose codes are the i8 values --------------------------------------------------------- */

static int64_t tables_made;
static int64_t fake_table_bytes(const sonde_quantizer *q) { return q->dim * 4; }
static void fake_table(const sonde_quantizer *q, const float *query, void *table)
{
    tables_made++;
    memcpy(table, query, (size_t)q->dim * 4);
}
static void fake_scan(const sonde_quantizer *q, const void *table, const uint8_t *codes, int64_t stride,
                      int64_t n, float *ip)
{
    sonde__kernels_get()->ip_rows[SONDE__ROW_I8](table, codes, stride, n, q->dim, ip);
}
static int64_t fake_panel_bytes(const sonde_quantizer *q) { return q->dim * 4 * sonde__kernels_get()->lanes; }
static void fake_panel(const sonde_quantizer *q, const void *const *tables, int64_t count, void *panel)
{
    float *to = panel;
    memset(to, 0, (size_t)fake_panel_bytes(q));
    for (int64_t i = 0; i < count; i++) memcpy(to + i * q->dim, tables[i], (size_t)q->dim * 4);
}
static void fake_scan_panel(const sonde_quantizer *q, const void *panel, const uint8_t *codes, int64_t stride,
                            int64_t n, float *tile)
{
    int64_t lanes = sonde__kernels_get()->lanes;
    float ip;
    for (int64_t i = 0; i < n; i++)
        for (int64_t lane = 0; lane < lanes; lane++) {
            fake_scan(q, (const float *)panel + lane * q->dim, codes + i * stride, stride, 1, &ip);
            tile[i * lanes + lane] = ip;
        }
}
static const sonde__quantizer_method fake = {.table_bytes = fake_table_bytes, .table = fake_table,
                                             .scan = fake_scan,
                                             .panel_bytes = fake_panel_bytes, .panel = fake_panel,
                                             .scan_panel = fake_scan_panel};

/* ---- the reference ------------------------------------------------------------------------------------- */

/* Scores one row for one lane in doubles and pushes it. */
static void push_row(const world *w, const sonde__scorer *scorer, const sonde__lane *lane, sonde__place place,
                     sonde__top *top)
{
    const sonde__segment *segment = sonde__place_in(w->snapshot, place);
    int64_t row = sonde__place_row(place);
    double ip = 0;
    for (int j = 0; j < DIM; j++) ip += lane->query[j] * (double)(int8_t)segment->column[0][row * DIM + j];
    if (scorer->scale_column >= 0) ip *= ((const float *)(const void *)segment->column[1])[row];
    if (scorer->bias_column >= 0) ip += ((const float *)(const void *)segment->column[2])[row];
    sonde__top_push(top, (float)(ip + lane->bias), segment->ids[row], place);
}

static void push_list(const world *w, const sonde__scorer *scorer, const sonde__lane *lane, int64_t list,
                      sonde__top *top)
{
    for (int64_t s = 0; s < SEGMENTS; s++)
        for (int64_t r = 0; r < w->segment[list][s].count; r++)
            if (!sonde__gone(&w->segment[list][s], r) &&
                sonde__filter_allows(lane->filter, w->segment[list][s].ids[r]))
                push_row(w, scorer, lane, sonde__place_of(list, s, r), top);
}

static void same_tops(sonde__top *expected, sonde__top *got)
{
    sonde__top_sort(expected);
    sonde__top_sort(got);
    assert_int_equal(expected->count, got->count);
    for (int64_t i = 0; i < got->count; i++) {
        assert_true(expected->hits[i].score == got->hits[i].score);
        assert_int_equal(expected->hits[i].id, got->hits[i].id);
        assert_int_equal(expected->hits[i].place, got->hits[i].place);
    }
}

typedef struct tops {
    sonde__top top[MOST_LANES], expected[MOST_LANES];
    sonde__hit hits[2][MOST_LANES][K];
    sonde__lane lane[MOST_LANES];
} tops;

static tops *make_tops(const world *w, int64_t lanes, const sonde_filter *filters, int64_t filter_count)
{
    tops *t = test_alloc(1, sizeof *t);
    for (int64_t q = 0; q < lanes; q++) {
        sonde__top_init(&t->top[q], t->hits[0][q], K);
        sonde__top_init(&t->expected[q], t->hits[1][q], K);
        t->lane[q] = (sonde__lane){.query = w->query[q], .bias = (float)(q % 5) - 2, .top = &t->top[q],
                                   .filter = filter_count ? &filters[q % filter_count] : NULL};
    }
    return t;
}

/* All lists, for many counts of lanes: panels, remainders and single scans. */
static void check_lists(world *w, const sonde__scorer *scorer, const sonde_filter *filters,
                        int64_t filter_count)
{
    static const int64_t counts[] = {1, 3, 7, 16, 17, 31, 33, 45, MOST_LANES};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        tops *t = make_tops(w, counts[c], filters, filter_count);
        for (int64_t l = 0; l < LISTS; l++) {
            OK(sonde__scan_list(scorer, w->snapshot, l, t->lane, counts[c], w->scratch));
            for (int64_t q = 0; q < counts[c]; q++) push_list(w, scorer, &t->lane[q], l, &t->expected[q]);
        }
        for (int64_t q = 0; q < counts[c]; q++) same_tops(&t->expected[q], &t->top[q]);
        free(t);
    }
}

static sonde_quantizer fake_quantizer(void)
{
    return (sonde_quantizer){.method = &fake, .dim = DIM, .code_bytes = DIM, .trained = true};
}

static sonde__scorer plain(int scale, int bias)
{
    return (sonde__scorer){.row_kind = SONDE__ROW_I8, .dim = DIM, .width = DIM, .scale_column = scale,
                           .bias_column = bias};
}

/* ---- cases --------------------------------------------------------------------------------------------- */

static void plain_rows(void **state)
{
    (void)state;
    world w;
    open_world(&w, false);
    for (int columns = 0; columns < 4; columns++) {
        sonde__scorer scorer = plain(columns & 1 ? 1 : -1, columns & 2 ? 2 : -1);
        check_lists(&w, &scorer, NULL, 0);
    }
    close_world(&w);
}

static void codes(void **state)
{
    (void)state;
    world w;
    open_world(&w, true);
    sonde_quantizer quantizer = fake_quantizer();
    sonde__scorer scorer = plain(1, 2);
    scorer.code = &quantizer;
    check_lists(&w, &scorer, NULL, 0);
    sonde__quantizer_method without_panels = fake;
    without_panels.scan_panel = NULL;
    quantizer.method = &without_panels;
    check_lists(&w, &scorer, NULL, 0);
    close_world(&w);
}

static void a_table_that_is_given_is_used(void **state)
{
    (void)state;
    world w;
    open_world(&w, false);
    sonde_quantizer quantizer = fake_quantizer();
    sonde__scorer scorer = plain(-1, 2);
    scorer.code = &quantizer;
    tops *t = make_tops(&w, 2, NULL, 0);
    t->lane[0].table = w.query[0];
    tables_made = 0;
    OK(sonde__scan_list(&scorer, w.snapshot, 1, t->lane, 2, w.scratch));
    assert_int_equal(tables_made, 1);
    for (int q = 0; q < 2; q++) {
        push_list(&w, &scorer, &t->lane[q], 1, &t->expected[q]);
        same_tops(&t->expected[q], &t->top[q]);
    }
    free(t);
    close_world(&w);
}

static int accept_share(int64_t id, void *user) { return id % 1000 < *(const int64_t *)user; }

/* From no row to nearly all: skipped blocks, gathered rows and masked tiles; shared and one a lane. */
static void filters(void **state)
{
    (void)state;
    static int64_t shares[] = {0, 2, 30, 200, 400, 900};
    sonde_filter filter[6];
    for (int i = 0; i < 6; i++) {
        filter[i] = (sonde_filter)SONDE_FILTER_INIT;
        filter[i].kind = SONDE_FILTER_CALLBACK, filter[i].accept = accept_share, filter[i].user = &shares[i];
    }
    for (int remove = 0; remove < 2; remove++) {
        world w;
        open_world(&w, remove);
        sonde__scorer scorer = plain(1, 2);
        for (int i = 0; i < 6; i++) check_lists(&w, &scorer, &filter[i], 1);
        check_lists(&w, &scorer, filter, 6);
        close_world(&w);
    }
}

static void places(void **state)
{
    (void)state;
    world w;
    open_world(&w, true);
    sonde__scorer scorer = plain(1, 2);
    static const int64_t counts[] = {1, 20, 70};
    sonde__place *chosen = test_alloc(2000, sizeof *chosen);
    uint64_t seed = 9;
    int64_t n = 0;
    for (int64_t l = LISTS - 1; l >= 0; l--)
        for (int64_t s = 0; s < SEGMENTS; s++)
            for (int64_t r = w.segment[l][s].count - 1; r >= 0; r--)
                if (!sonde__gone(&w.segment[l][s], r) && test_u64(&seed) % 2)
                    chosen[n++] = sonde__place_of(l, s, r);
    assert_true(n > 400);
    for (int c = 0; c < 3; c++) {
        tops *t = make_tops(&w, counts[c], NULL, 0);
        OK(sonde__scan_places(&scorer, w.snapshot, chosen, n, t->lane, counts[c], w.scratch));
        for (int64_t q = 0; q < counts[c]; q++) {
            for (int64_t i = 0; i < n; i++) push_row(&w, &scorer, &t->lane[q], chosen[i], &t->expected[q]);
            same_tops(&t->expected[q], &t->top[q]);
        }
        OK(sonde__scan_places(&scorer, w.snapshot, chosen, 0, t->lane, counts[c], w.scratch));
        free(t);
    }
    free(chosen);
    close_world(&w);
}

static void segments_add_up_to_the_list(void **state)
{
    (void)state;
    world w;
    open_world(&w, true);
    sonde__scorer scorer = plain(-1, -1);
    tops *t = make_tops(&w, 40, NULL, 0);
    OK(sonde__scan_segments(&scorer, w.snapshot, 1, 2, 3, t->lane, 40, w.scratch));
    OK(sonde__scan_segments(&scorer, w.snapshot, 1, 0, 2, t->lane, 40, w.scratch));
    OK(sonde__scan_segments(&scorer, w.snapshot, 1, 1, 1, t->lane, 40, w.scratch));
    for (int64_t q = 0; q < 40; q++) {
        push_list(&w, &scorer, &t->lane[q], 1, &t->expected[q]);
        same_tops(&t->expected[q], &t->top[q]);
    }
    free(t);
    close_world(&w);
}

/* Lane biases that swallow the low digits of scores, and ones that cancel them: the worst kept score becomes 0, whose
 * next lower float is lost beside the bias. No tie may be missed. */
static void lane_biases_far_from_the_scores(void **state)
{
    (void)state;
    enum { LANES = 40 };
    world w;
    open_world(&w, false);
    sonde__scorer scorer = plain(-1, -1);
    tops *t = make_tops(&w, LANES, NULL, 0);
    for (int q = 0; q < LANES; q++) {
        t->lane[q].bias = (float)(q % 4 == 1 ? 3e7 + q : -3e7 - q);
        if (q % 2 == 1) continue;
        for (int j = 0; j < DIM; j++) w.query[q][j] *= 0x1p20f;
        t->lane[q].bias = 0;
        push_list(&w, &scorer, &t->lane[q], 1, &t->expected[q]);
        sonde__top_sort(&t->expected[q]);
        t->lane[q].bias = -t->expected[q].hits[K - 1].score;
        sonde__top_init(&t->expected[q], t->hits[1][q], K);
    }
    /* out of order, so that ties with smaller ids come late, too */
    OK(sonde__scan_segments(&scorer, w.snapshot, 1, 1, 3, t->lane, LANES, w.scratch));
    OK(sonde__scan_segments(&scorer, w.snapshot, 1, 0, 1, t->lane, LANES, w.scratch));
    for (int64_t q = 0; q < LANES; q++) {
        push_list(&w, &scorer, &t->lane[q], 1, &t->expected[q]);
        if (q % 2 == 0) assert_true(t->expected[q].hits[0].score == 0);
        same_tops(&t->expected[q], &t->top[q]);
    }
    free(t);
    close_world(&w);
}

static void bits(void **state)
{
    (void)state;
    world w;
    open_world(&w, true);
    sonde__scorer scorer = {.row_kind = SONDE__ROW_BITS, .dim = 8 * DIM, .width = DIM, .scale_column = -1,
                            .bias_column = -1};
    tops *t = make_tops(&w, 5, NULL, 0);
    for (int q = 0; q < 5; q++) t->lane[q].table = w.query[q], t->lane[q].bias = 0;
    OK(sonde__scan_list(&scorer, w.snapshot, 1, t->lane, 5, w.scratch));
    for (int q = 0; q < 5; q++) {
        for (int64_t s = 0; s < SEGMENTS; s++)
            for (int64_t r = 0; r < w.segment[1][s].count; r++) {
                int distance = 0;
                const uint8_t *a = (const uint8_t *)w.query[q], *b = w.segment[1][s].column[0] + r * DIM;
                for (int j = 0; j < 8 * DIM; j++) distance += (a[j / 8] ^ b[j / 8]) >> (j % 8) & 1;
                if (!sonde__gone(&w.segment[1][s], r))
                    sonde__top_push(&t->expected[q], -(float)distance, w.segment[1][s].ids[r],
                                    sonde__place_of(1, s, r));
            }
        same_tops(&t->expected[q], &t->top[q]);
    }
    free(t);
    close_world(&w);
}

/* Whatever the metric and the data, the scan's number must never be below the direct score's, or rows could be lost. */
static void bounds_hold(void **state)
{
    (void)state;
    const sonde__kernels *kernels = sonde__kernels_get();
    static const uint32_t metrics[] = {SONDE_METRIC_L2, SONDE_METRIC_IP, SONDE_METRIC_COSINE};
    enum { D = 600, N = 300 };
    float *x = test_alloc(D, 4), *y = test_alloc(D, 4), *prepared = test_alloc(D, 4);
    uint64_t seed = 4;
    for (int round = 0; round < N; round++) {
        int64_t d = 1 + (int64_t)(test_u64(&seed) % D);
        float scale = powf(10, small(&seed, 8)), other = powf(10, small(&seed, 8));
        for (int64_t j = 0; j < d; j++) {
            x[j] = round % 3 == 0 ? 0.1f * scale : test_normal(&seed) * scale;
            y[j] = round % 3 == 0 ? 0.1f * other : round % 3 == 1 ? x[j] + 1e-5f * test_normal(&seed) * scale
                                                                    : test_normal(&seed) * other;
        }
        for (int m = 0; m < 3; m++) {
            sonde__direct direct;
            sonde__direct_init(&direct, metrics[m], SONDE__ROW_F32, false, x, d);
            sonde__direct_prepare(&direct, x, prepared);
            float score = sonde__direct_score(&direct, y), ip;
            float column = sonde__direct_column(metrics[m], d, kernels->norm2(y, d));
            kernels->ip_rows[SONDE__ROW_F32](prepared, y, 0, 1, d, &ip);
            float scanned = metrics[m] == SONDE_METRIC_COSINE ? ip * column : ip + column;
            double needed = direct.slope * (double)score + direct.offset;
            assert_true(scanned >= needed);
            assert_true(sonde__direct_column_fits(metrics[m], d, kernels->norm2(y, d), column));
            assert_false(sonde__direct_column_fits(metrics[m], d, kernels->norm2(y, d), column * 1.01f));
        }
    }
    free(x);
    free(y);
    free(prepared);
}

static void rescore_replaces_and_sorts(void **state)
{
    (void)state;
    world w;
    open_world(&w, false);
    sonde__hit room[K];
    sonde__top top;
    sonde__top_init(&top, room, K);
    for (int64_t r = 0; r < K; r++)
        sonde__top_push(&top, (float)r, w.segment[1][0].ids[r], sonde__place_of(1, 0, r));
    sonde__rescore(SONDE_METRIC_L2, SONDE__ROW_I8, 0, DIM, w.snapshot, w.query[0], DIM, &top);
    for (int64_t i = 0; i < K; i++) {
        double sum = 0;
        const uint8_t *row = w.segment[1][0].column[0] + sonde__place_row(top.hits[i].place) * DIM;
        for (int j = 0; j < DIM; j++)
            sum += (w.query[0][j] - (int8_t)row[j]) * (double)(w.query[0][j] - (int8_t)row[j]);
        assert_true(top.hits[i].score == (float)-sum);
        if (i > 0) assert_true(top.hits[i].score <= top.hits[i - 1].score);
    }
    close_world(&w);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(plain_rows),
    cmocka_unit_test(codes),
    cmocka_unit_test(a_table_that_is_given_is_used),
    cmocka_unit_test(filters),
    cmocka_unit_test(places),
    cmocka_unit_test(segments_add_up_to_the_list),
    cmocka_unit_test(lane_biases_far_from_the_scores),
    cmocka_unit_test(bits),
    cmocka_unit_test(bounds_hold),
    cmocka_unit_test(rescore_replaces_and_sorts),
};
SONDE_TEST_MAIN(tests)
