/* test_filter.c: masks, places and estimates of filters against asking for each row alone.
 *
 * SPDX-License-Identifier: MIT
 */
#include "test.h"

#include "indexes/index.h"

enum { ROWS = 5000 };

/* A store of one list whose ids are 3 r in mixed order, some rows removed. */
typedef struct world {
    sonde_runtime *runtime;
    sonde__store *store;
    sonde__visit visit;
    const sonde__snapshot *snapshot;
    sonde__scratch *scratch;
} world;

static void open_world(world *w, int64_t remove_every)
{
    sonde__layout layout = {.columns = 1, .width = {8}};
    OK(sonde_runtime_create(NULL, &w->runtime));
    OK(sonde__store_create(w->runtime, &layout, 1, &w->store));
    sonde__change *change;
    OK(sonde__change_begin(w->store, &change));
    int64_t count = ROWS;
    OK(sonde__change_reserve(change, &count));
    for (int64_t i = 0; i < ROWS; i++) {
        int64_t id = i * 1237 % ROWS * 3;
        const uint8_t *columns[1] = {(const uint8_t *)&id};
        OK(sonde__change_append(change, 0, id, columns));
    }
    OK(sonde__change_commit(change));
    for (int64_t id = 0; remove_every && id < 3 * ROWS; id += 3 * remove_every) {
        int64_t removed;
        OK(sonde__change_begin(w->store, &change));
        OK(sonde__change_take_out(change, &id, 1, &removed));
        assert_int_equal(removed, 1);
        OK(sonde__change_commit(change));
    }
    w->visit = sonde__store_enter(w->store);
    w->snapshot = w->visit.snapshot;
    OK(sonde__scratch_take(w->runtime, &w->scratch));
}

static void close_world(world *w)
{
    sonde__scratch_give(w->runtime, w->scratch);
    sonde__store_leave(w->store, w->visit);
    sonde__store_free(w->store);
    sonde_runtime_free(w->runtime);
}

static int accept_mod(int64_t id, void *user)
{
    int64_t *calls = user;
    ++*calls;
    return id % 7 == 3 ? 5 : 0;
}

/* What a filter names, written again in the plainest way. */
static bool named(const sonde_filter *f, int64_t id)
{
    if (f->kind == SONDE_FILTER_RANGE) return f->first <= id && id < f->last;
    if (f->kind == SONDE_FILTER_CALLBACK) return id % 7 == 3;
    if (f->kind == SONDE_FILTER_BITMAP) return id < f->count && (f->bits[id / 8] & 1 << id % 8) != 0;
    for (int64_t i = 0; i < f->count; i++)
        if (f->ids[i] == id) return true;
    return false;
}

enum { FILTERS = 12 };
static int64_t calls;

static void make_filters(sonde_filter filters[FILTERS], uint8_t *bits, int64_t *ids)
{
    static const int64_t no_ids[1] = {0};
    uint64_t seed = 3;
    for (int i = 0; i < 3 * ROWS / 8 - 100; i++) bits[i] = (uint8_t)(test_u64(&seed) & test_u64(&seed));
    int64_t n = 0;
    for (int64_t id = -3; id < 4 * ROWS; id += 1 + (int64_t)(test_u64(&seed) % 9)) {
        ids[n++] = id;
        if (n % 50 == 0) ids[n++] = id; /* twice is allowed */
    }
    for (int i = 0; i < FILTERS; i++) filters[i] = (sonde_filter)SONDE_FILTER_INIT;
    filters[0].kind = SONDE_FILTER_BITMAP, filters[0].bits = bits, filters[0].count = 3 * ROWS - 805;
    filters[1].kind = SONDE_FILTER_IDS, filters[1].ids = ids, filters[1].count = n;
    filters[2].kind = SONDE_FILTER_RANGE, filters[2].first = 100, filters[2].last = 4001;
    filters[3].kind = SONDE_FILTER_CALLBACK, filters[3].accept = accept_mod, filters[3].user = &calls;
    filters[4].kind = SONDE_FILTER_IDS, filters[4].ids = no_ids;
    filters[5].kind = SONDE_FILTER_RANGE, filters[5].first = 9, filters[5].last = 9;
    for (int i = 6; i < FILTERS; i++) {
        filters[i] = filters[i - 6];
        filters[i].exclude = 1;
    }
}

static void masks_name_the_live_allowed_rows(void **state)
{
    (void)state;
    uint8_t *bits = test_alloc(3 * ROWS / 8, 1);
    int64_t *ids = test_alloc(5 * ROWS, sizeof *ids);
    sonde_filter filters[FILTERS];
    make_filters(filters, bits, ids);
    for (int64_t remove_every = 0; remove_every < 4; remove_every += 3) {
        world w;
        open_world(&w, remove_every);
        const sonde__segment *segment = w.snapshot->list[0]->segment[0];
        for (int f = -1; f < FILTERS; f++) {
            const sonde_filter *filter = f < 0 ? NULL : &filters[f];
            for (int64_t first = 0; first + 300 < segment->count; first += 271) {
                uint64_t mask[5];
                int64_t count = 1 + first % 300, expected = 0;
                int64_t got = sonde__filter_mask(filter, segment, first, count, mask);
                for (int64_t i = 0; i < (count + 63) / 64 * 64; i++) {
                    bool in = mask[i / 64] >> (i % 64) & 1, want = false;
                    if (i < count) {
                        int64_t id = segment->ids[first + i];
                        bool allows = !filter || named(filter, id) != (filter->exclude != 0);
                        assert_int_equal(sonde__filter_allows(filter, id), allows);
                        want = !sonde__gone(segment, first + i) && allows;
                    }
                    assert_int_equal(in, want);
                    expected += want;
                }
                assert_int_equal(got, expected);
            }
        }
        close_world(&w);
    }
    free(bits);
    free(ids);
}

static int64_t count_allowed(const world *w, const sonde_filter *filter)
{
    int64_t count = 0;
    for (int64_t s = 0; s < w->snapshot->list[0]->segments; s++) {
        const sonde__segment *segment = w->snapshot->list[0]->segment[s];
        for (int64_t r = 0; r < segment->count; r++)
            count += !sonde__gone(segment, r) && named(filter, segment->ids[r]) != (filter->exclude != 0);
    }
    return count;
}

static void check_places(const world *w, const sonde_filter *filter, const sonde__place *places,
                         int64_t count)
{
    uint8_t *seen = test_alloc(3 * ROWS, 1);
    for (int64_t i = 0; i < count; i++) {
        const sonde__segment *segment = sonde__place_in(w->snapshot, places[i]);
        int64_t row = sonde__place_row(places[i]), id = segment->ids[row];
        assert_false(sonde__gone(segment, row));
        assert_true(named(filter, id) != (filter->exclude != 0));
        assert_int_equal(seen[id]++, 0);
    }
    free(seen);
}

static void places_are_complete_or_refused(void **state)
{
    (void)state;
    uint8_t *bits = test_alloc(3 * ROWS / 8, 1);
    int64_t *ids = test_alloc(5 * ROWS, sizeof *ids);
    static const int64_t few[] = {-9, 0, 3, 3, 4, 300, 301, 303, 3 * ROWS, INT64_MAX};
    sonde_filter filters[FILTERS];
    make_filters(filters, bits, ids);
    filters[4].ids = few, filters[4].count = 10;
    filters[5].first = 5, filters[5].last = 50;
    world w;
    open_world(&w, 10);
    for (int f = 0; f < FILTERS; f++) {
        int64_t truth = count_allowed(&w, &filters[f]);
        int64_t limits[] = {truth - 1, truth, truth + 1, ROWS};
        for (int l = 0; l < 4; l++) {
            sonde__place *places;
            int64_t count;
            OK(sonde__filter_places(&filters[f], w.store, w.snapshot, limits[l], w.scratch, &places, &count));
            if (limits[l] < truth) assert_int_equal(count, -1);
            else if (l == 3) assert_int_equal(count, truth);
            else if (count >= 0) assert_int_equal(count, truth); /* an estimate may refuse close calls */
            if (count > 0) check_places(&w, &filters[f], places, count);
        }
    }
    close_world(&w);
    free(bits);
    free(ids);
}

/* The sample has at least 1,024 rows, so its standard error is below 1.6 %: five of them leave nothing to luck. */
static void estimates_are_near(void **state)
{
    (void)state;
    uint8_t *bits = test_alloc(3 * ROWS / 8, 1);
    int64_t *ids = test_alloc(5 * ROWS, sizeof *ids);
    sonde_filter filters[FILTERS];
    make_filters(filters, bits, ids);
    world w;
    open_world(&w, 4);
    int64_t live = w.snapshot->rows - w.snapshot->removed;
    assert_int_equal(sonde__filter_estimate(NULL, w.snapshot), live);
    for (int f = 0; f < FILTERS; f++) {
        int64_t truth = count_allowed(&w, &filters[f]);
        int64_t estimate = sonde__filter_estimate(&filters[f], w.snapshot);
        assert_true(estimate >= 0 && estimate <= live);
        assert_true(llabs(estimate - truth) <= ROWS * 8 / 100);
        assert_int_equal(estimate, sonde__filter_estimate(&filters[f], w.snapshot));
    }
    close_world(&w);
    free(bits);
    free(ids);
}

static void few_calls_for_a_callback_that_allows_much(void **state)
{
    (void)state;
    world w;
    sonde_filter filter = SONDE_FILTER_INIT;
    filter.kind = SONDE_FILTER_CALLBACK, filter.accept = accept_mod, filter.user = &calls;
    open_world(&w, 0);
    calls = 0;
    sonde__place *places;
    int64_t count;
    OK(sonde__filter_places(&filter, w.store, w.snapshot, ROWS / 100, w.scratch, &places, &count));
    assert_int_equal(count, -1);
    assert_true(calls < ROWS / 3);
    close_world(&w);
}

static void bad_filters_are_refused(void **state)
{
    (void)state;
    static const int64_t unsorted[] = {1, 5, 4};
    sonde_search_options options = SONDE_SEARCH_OPTIONS_INIT;
    sonde_filter filter = SONDE_FILTER_INIT;
    OK(sonde__filter_check(&options, 3));
    options.filter_count = 1;
    FAILS(sonde__filter_check(&options, 3), SONDE_INVALID_ARGUMENT, "filter is NULL");
    options.filter = &filter;
    FAILS(sonde__filter_check(&options, 3), SONDE_INVALID_ARGUMENT, "kind 0");
    filter.kind = SONDE_FILTER_IDS, filter.ids = unsorted, filter.count = 3;
    FAILS(sonde__filter_check(&options, 3), SONDE_INVALID_ARGUMENT, "ids[2] = 4 comes after 5");
    filter.count = 2;
    OK(sonde__filter_check(&options, 3));
    options.filter_count = 2;
    FAILS(sonde__filter_check(&options, 3), SONDE_INVALID_ARGUMENT, "filter_count is 2");
    options.filter_count = 0;
    filter.ids = NULL;
    FAILS(sonde__filter_check(&options, 3), SONDE_INVALID_ARGUMENT, "ids is NULL");
    filter.kind = SONDE_FILTER_BITMAP;
    FAILS(sonde__filter_check(&options, 3), SONDE_INVALID_ARGUMENT, "bits is NULL");
    filter.count = -1;
    FAILS(sonde__filter_check(&options, 3), SONDE_INVALID_ARGUMENT, "count is -1");
    filter.kind = SONDE_FILTER_CALLBACK;
    FAILS(sonde__filter_check(&options, 3), SONDE_INVALID_ARGUMENT, "accept is NULL");
    filter.kind = SONDE_FILTER_RANGE;
    OK(sonde__filter_check(&options, 3));
    filter.exclude = 2;
    FAILS(sonde__filter_check(&options, 3), SONDE_INVALID_ARGUMENT, "exclude");
    filter.size = 0;
    FAILS(sonde__filter_check(&options, 3), SONDE_INVALID_ARGUMENT, "SONDE_FILTER_INIT");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(masks_name_the_live_allowed_rows),
    cmocka_unit_test(places_are_complete_or_refused),
    cmocka_unit_test(estimates_are_near),
    cmocka_unit_test(few_calls_for_a_callback_that_allows_much),
    cmocka_unit_test(bad_filters_are_refused),
};
SONDE_TEST_MAIN(tests)
