/* test_store.c: the store against a plain oracle: random appends, upserts, removals and compactions, with readers
 * that keep old snapshots, and every allocation failing once.
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>

#include "indexes/store.h"
#include "test.h"

#define LISTS 5
#define IDS 400
#define WIDTH 12

static const sonde__layout layout = {.columns = 2, .width = {WIDTH, 4}, .blocked = {true}};

/* What must be stored: stamp[id] = 0 if absent, else what the row's columns were made from. */
typedef struct oracle {
    uint32_t stamp[IDS];
    int list[IDS];
    int64_t live;
} oracle;

static void columns_of(uint32_t stamp, uint8_t a[WIDTH], uint8_t b[4])
{
    for (int i = 0; i < WIDTH; i++) a[i] = (uint8_t)(stamp * 31 + (uint32_t)i);
    memcpy(b, &stamp, 4);
}

static void check_snapshot(const sonde__snapshot *snapshot, const oracle *o)
{
    int64_t live = 0;
    for (int64_t l = 0; l < snapshot->lists; l++) {
        const sonde__list *list = snapshot->list[l];
        int64_t rows = 0, removed = 0;
        for (int64_t s = 0; s < list->segments; s++) {
            const sonde__segment *g = list->segment[s];
            for (int64_t r = 0; r < g->count; r++) {
                if (sonde__gone(g, r)) {
                    removed++;
                    continue;
                }
                uint8_t a[WIDTH], b[4], stored[WIDTH];
                int64_t id = g->ids[r];
                assert_in_range(id, 0, IDS - 1);
                assert_int_not_equal(o->stamp[id], 0);
                assert_int_equal(o->list[id], l);
                columns_of(o->stamp[id], a, b);
                assert_memory_equal(a, sonde__segment_row(&layout, g, 0, r, stored), WIDTH);
                assert_memory_equal(b, g->column[1] + r * 4, 4);
                live++;
            }
            rows += g->count;
        }
        assert_int_equal(rows, list->rows);
        assert_int_equal(removed, list->removed);
    }
    assert_int_equal(live, o->live);
    assert_int_equal(live, snapshot->rows - snapshot->removed);
}

static void check_find(const sonde__store *store, const oracle *o)
{
    sonde__visit visit = sonde__store_enter(store);
    for (int64_t id = 0; id < IDS; id++) {
        bool stale;
        sonde_status status;
        sonde__place place = sonde__store_find(store, visit.snapshot, id, &stale, &status);
        OK(status);
        assert_false(stale);
        assert_int_equal(place != SONDE__NOWHERE, o->stamp[id] != 0);
        if (place != SONDE__NOWHERE)
            assert_int_equal(sonde__place_in(visit.snapshot, place)->ids[sonde__place_row(place)], id);
    }
    sonde__store_leave(store, visit);
}

/* One random write; the oracle follows only if it succeeded. */
static sonde_status random_write(sonde__store *store, oracle *o, uint64_t *state, uint32_t *stamp)
{
    oracle next = *o;
    sonde__change *change;
    bool more;
    int64_t ids[64], removed, counts[LISTS] = {0};
    int n = (int)(test_u64(state) % 64), kind = (int)(test_u64(state) % 4), lists[64];
    int64_t first = (int64_t)(test_u64(state) % IDS);
    for (int i = 0; i < n; i++) {
        ids[i] = (first + i * 7) % IDS;
        lists[i] = (int)(test_u64(state) % LISTS);
        counts[lists[i]]++;
    }
    sonde_status status = sonde__change_begin(store, &change);
    if (status != SONDE_OK) return status;
    if (kind == 3) status = sonde__change_compact(change, test_u64(state) % 2, &more);
    else status = sonde__change_take_out(change, ids, n, &removed);
    if (kind < 3)
        for (int i = 0; i < n; i++) {
            next.live -= next.stamp[ids[i]] != 0;
            next.stamp[ids[i]] = 0;
        }
    if (kind < 2 && status == SONDE_OK) {
        if (kind == 0) status = sonde__change_reserve(change, counts);
        for (int i = 0; i < n && status == SONDE_OK; i++) {
            uint8_t a[WIDTH], b[4];
            columns_of(++*stamp, a, b);
            const uint8_t *columns[] = {a, b};
            status = sonde__change_append(change, lists[i], ids[i], columns);
            next.stamp[ids[i]] = *stamp;
            next.list[ids[i]] = lists[i];
            next.live++;
        }
    }
    if (status != SONDE_OK || test_u64(state) % 16 == 0) {
        sonde__change_abort(change);
        return status;
    }
    status = sonde__change_commit(change);
    if (status == SONDE_OK) *o = next;
    return status;
}

static void follows_the_oracle(void **unused)
{
    (void)unused;
    sonde_runtime *runtime;
    sonde__store *store;
    oracle o = {0}, old = {0};
    uint64_t state = 1;
    uint32_t stamp = 0;
    OK(sonde__runtime_hold(NULL, &runtime));
    OK(sonde__store_create(runtime, &layout, LISTS, &store));
    sonde__visit visit = sonde__store_enter(store);
    for (int round = 0; round < 600; round++) {
        OK(random_write(store, &o, &state, &stamp));
        sonde__visit now = sonde__store_enter(store);
        check_snapshot(now.snapshot, &o);
        sonde__store_leave(store, now);
        if (round % 10 == 0) check_find(store, &o);
        if (round % 25 == 0) { /* a reader that stayed still sees what it came for */
            check_snapshot(visit.snapshot, &old);
            sonde__store_leave(store, visit);
            visit = sonde__store_enter(store);
            old = o;
        }
    }
    sonde__store_leave(store, visit);
    sonde__store_free(store);
    uint64_t used, peak;
    OK(sonde_runtime_memory(runtime, &used, &peak));
    assert_int_equal(used, 0);
    sonde__runtime_drop(runtime);
}

/* Bulk rows over many segments, then the whole of them removed and compacted: memory comes back. */
static void gives_memory_back(void **unused)
{
    (void)unused;
    sonde_runtime *runtime;
    sonde__store *store;
    sonde__change *change;
    const sonde__layout wide = {.columns = 1, .width = {2048}};
    enum { N = 20000 };
    int64_t counts[1] = {N}, *ids = test_alloc(N, sizeof *ids), removed;
    uint8_t row[2048] = {7};
    const uint8_t *columns[] = {row};
    uint64_t full, used;
    bool more = true;
    OK(sonde__runtime_hold(NULL, &runtime));
    OK(sonde__store_create(runtime, &wide, 1, &store));
    OK(sonde__change_begin(store, &change));
    OK(sonde__change_reserve(change, counts));
    for (int i = 0; i < N; i++) OK(sonde__change_append(change, 0, ids[i] = i, columns));
    OK(sonde__change_commit(change));
    OK(sonde_runtime_memory(runtime, &full, NULL));
    assert_true(full < (uint64_t)N * 2056 * 101 / 100);
    assert_true(atomic_load(&store->current)->list[0]->segments > 3);
    OK(sonde__change_begin(store, &change));
    OK(sonde__change_take_out(change, ids + 100, N - 100, &removed));
    assert_int_equal(removed, N - 100);
    OK(sonde__change_commit(change));
    for (int steps = 0; more; steps++) {
        assert_in_range(steps, 0, 10);
        OK(sonde__change_begin(store, &change));
        OK(sonde__change_compact(change, true, &more));
        OK(sonde__change_commit(change));
    }
    OK(sonde_runtime_memory(runtime, &used, NULL));
    assert_true(used < full / 20);
    sonde__store_free(store);
    sonde__runtime_drop(runtime);
    free(ids);
}

/* ---- failing allocations ----------------------------------------------------------------------------- */

static int64_t allocations_left;

static void *failing_alloc(size_t size, size_t align, void *user)
{
    (void)user;
    return allocations_left-- > 0 ? aligned_alloc(align, (size + align - 1) / align * align) : NULL;
}

static void plain_release(void *memory, size_t size, size_t align, void *user)
{
    (void)size, (void)align, (void)user;
    free(memory);
}

static void survives_failing_allocations(void **unused)
{
    (void)unused;
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    options.alloc = failing_alloc;
    options.release = plain_release;
    sonde_runtime *runtime;
    sonde__store *store;
    oracle o = {0};
    uint64_t state = 5;
    uint32_t stamp = 0;
    int failures = 0;
    allocations_left = 1000000;
    OK(sonde_runtime_create(&options, &runtime));
    OK(sonde__store_create(runtime, &layout, LISTS, &store));
    for (int round = 0; round < 3000; round++) {
        allocations_left = (int64_t)(test_u64(&state) % 40);
        failures += random_write(store, &o, &state, &stamp) != SONDE_OK;
        allocations_left = 1000000;
        if (round % 20 != 0) continue;
        check_snapshot(atomic_load(&store->current), &o);
        check_find(store, &o);
    }
    assert_true(failures > 100);
    sonde__store_free(store);
    uint64_t used;
    OK(sonde_runtime_memory(runtime, &used, NULL));
    assert_int_equal(used, 0);
    sonde_runtime_free(runtime);
}

/* ---- readers beside the writer ----------------------------------------------------------------------- */

typedef struct reader {
    sonde__store *store;
    atomic_bool *stop;
    int64_t visits;
} reader;

/* Each write of the test below stores rows with one common stamp: a mixture would be a torn snapshot. */
static void *read_snapshots(void *context)
{
    reader *r = context;
    while (!atomic_load(r->stop)) {
        sonde__visit visit = sonde__store_enter(r->store);
        uint32_t stamp = 0;
        int64_t live = 0;
        for (int64_t l = 0; l < LISTS; l++)
            for (int64_t s = 0; s < visit.snapshot->list[l]->segments; s++) {
                const sonde__segment *g = visit.snapshot->list[l]->segment[s];
                for (int64_t i = 0; i < g->count; i++) {
                    uint32_t here;
                    if (sonde__gone(g, i)) continue;
                    memcpy(&here, g->column[1] + i * 4, 4);
                    if (live++ == 0) stamp = here;
                    if (here != stamp) abort();
                }
            }
        if (live != 0 && live != 64) abort();
        sonde__store_leave(r->store, visit);
        r->visits++;
    }
    return NULL;
}

static void readers_see_whole_writes(void **unused)
{
    (void)unused;
    sonde_runtime *runtime;
    sonde__store *store;
    atomic_bool stop = false;
    pthread_t thread[3];
    reader readers[3];
    OK(sonde__runtime_hold(NULL, &runtime));
    OK(sonde__store_create(runtime, &layout, LISTS, &store));
    for (int i = 0; i < 3; i++) {
        readers[i] = (reader){store, &stop, 0};
        assert_int_equal(pthread_create(&thread[i], NULL, read_snapshots, &readers[i]), 0);
    }
    int64_t ids[64], removed;
    for (int i = 0; i < 64; i++) ids[i] = i;
    for (uint32_t round = 1; round <= 1500; round++) {
        sonde__change *change;
        bool more;
        OK(sonde__change_begin(store, &change));
        if (round % 5 == 0) {
            OK(sonde__change_compact(change, true, &more));
        } else {
            OK(sonde__change_take_out(change, ids, 64, &removed));
            for (int i = 0; i < 64; i++) {
                uint8_t a[WIDTH], b[4];
                columns_of(round, a, b);
                const uint8_t *columns[] = {a, b};
                OK(sonde__change_append(change, (i + round) % LISTS, i, columns));
            }
        }
        OK(sonde__change_commit(change));
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 3; i++) {
        pthread_join(thread[i], NULL);
        assert_true(readers[i].visits > 0);
    }
    sonde__store_free(store);
    sonde__runtime_drop(runtime);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(follows_the_oracle),
    cmocka_unit_test(gives_memory_back),
    cmocka_unit_test(survives_failing_allocations),
    cmocka_unit_test(readers_see_whole_writes),
};

SONDE_TEST_MAIN(tests)
