/* test_estimate.c: memory is what was promised: estimates against what is really held and what was held at most while
 * building; limits that are obeyed, with nothing lost when one is met; and searches that allocate nothing once warm.
 *
 * timeout: 120
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "../failing.h"
#include "../test.h"

#define DIM 64
#define ROWS 20000
#define RUNTIME_BYTES ((uint64_t)80 << 10) /* the runtime itself and one arena of scratch */

static const char *const specs[] = {
    "flat",
    "flat(dtype=f16, metric=cosine)",
    "flat(dtype=i8)",
    "ivf(nlist=64)",
    "ivf",
    "ivf(nlist=64, metric=cosine, code=sq(bits=8), refine=f16)",
    "ivf(nlist=64, code=sq(bits=4))",
    "ivf(nlist=64, lists=lorann)",
    "ivf(nlist=64, code=sq(bits=8), spill=soar)",
    "ivf(nlist=64, metric=ip, code=pq(m=16, bits=4), refine=f32)",
    "ivf(nlist=64, code=pq(m=8))",
};
#define SPECS ((int)(sizeof specs / sizeof specs[0]))

/* Whole numbers, which every dtype holds. */
static sonde_array make_rows(void)
{
    float *x = test_vectors(ROWS, DIM, 50, 1);
    for (int64_t i = 0; i < (int64_t)ROWS * DIM; i++) x[i] = (float)(int)(4 * x[i]);
    return sonde_f32(x, ROWS, DIM);
}

/* `more`: bytes that belong to the runtime, not to the index. */
static void expect_near(const char *spec, const char *what, uint64_t got, uint64_t promised, uint64_t more)
{
    double least = 0.95 * (double)promised, most = 1.05 * (double)promised + (double)more;
    if ((double)got < least || (double)got > most)
        fail_msg("%s: %s is %llu bytes, estimated were %llu (%+.1f %%)", spec, what, (unsigned long long)got,
                 (unsigned long long)promised, 100 * ((double)got / (double)promised - 1));
}

/* Bytes that an opened copy and its runtime hold: no scratch of a build is among them. */
static uint64_t held_after_opening(const sonde_index *index)
{
    failing_allocator memory = {0};
    sonde_runtime_options options = failing_options(&memory);
    sonde_open_options fast = SONDE_OPEN_OPTIONS_INIT;
    sonde_runtime *runtime;
    sonde_index *copy;
    size_t length;
    OK(sonde_index_save_buffer(index, NULL, 0, &length));
    void *bytes = test_alloc(1, length);
    OK(sonde_index_save_buffer(index, bytes, length, &length));
    options.threads = 1;
    OK(sonde_runtime_create(&options, &runtime));
    fast.verify = SONDE_VERIFY_FAST;
    OK(sonde_index_open_buffer(bytes, length, &fast, runtime, &copy));
    uint64_t held = (uint64_t)memory.bytes;
    sonde_index_free(copy);
    sonde_runtime_free(runtime);
    assert_int_equal(memory.bytes, 0);
    free(bytes);
    return held;
}

static void memory_is_as_estimated(void **unused)
{
    (void)unused;
    sonde_array rows = make_rows();
    for (int i = 0; i < SPECS; i++) {
        uint64_t promised, build, peak;
        sonde_index_stats stats = SONDE_INDEX_STATS_INIT;
        sonde_runtime *runtime;
        sonde_index *index;
        OK(sonde_index_estimate(specs[i], DIM, ROWS, &promised, &build));
        OK(sonde_runtime_create(NULL, &runtime));
        OK(sonde_index_create(specs[i], DIM, runtime, &index));
        OK(sonde_index_add(index, &rows, NULL));
        OK(sonde_runtime_memory(runtime, NULL, &peak));
        OK(sonde_index_stats_get(index, &stats));
        expect_near(specs[i], "stats.memory_bytes", stats.memory_bytes, promised, 0);
        expect_near(specs[i], "what an opened copy holds", held_after_opening(index), promised, RUNTIME_BYTES);
        if (peak > build)
            fail_msg("%s: building held %llu bytes, estimated were at most %llu", specs[i], (unsigned long long)peak,
                     (unsigned long long)build);
        sonde_index_free(index);
        sonde_runtime_free(runtime);
    }
    free(rows.data);
}

/* The estimate grows with rows and is there for sizes that nobody could build here. */
static void estimates_any_size(void **unused)
{
    (void)unused;
    for (int i = 0; i < SPECS; i++) {
        uint64_t before = 0, memory, build;
        for (int64_t rows = 0; rows <= (int64_t)1 << 34; rows = rows ? rows * 4 : 1) {
            OK(sonde_index_estimate(specs[i], DIM, rows, &memory, &build));
            assert_true(memory >= before && build >= memory && memory < (uint64_t)1 << 50);
            assert_true(memory >= (uint64_t)rows * 8);
            before = memory;
        }
    }
}

/* ---- limits ---------------------------------------------------------------------------------------------------- */

/* With ever more memory: the add fails with LIMIT and changes nothing until it goes through; never is more held. */
static void limits_are_obeyed(void **unused)
{
    (void)unused;
    sonde_array rows = make_rows(), few = rows, more = rows;
    few.rows = 4000;
    more.data = (float *)rows.data + 4000 * DIM;
    more.rows = 12000;
    for (int i = 0; i < SPECS; i++) {
        int refused = 0, accepted = 0;
        for (uint64_t limit = 1 << 20; !accepted && limit < (uint64_t)1 << 30; limit = limit * 3 / 2) {
            sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
            sonde_runtime *runtime;
            sonde_index *index = NULL;
            uint64_t used, peak;
            options.memory_limit = limit;
            OK(sonde_runtime_create(&options, &runtime));
            OK(sonde_index_create(specs[i], DIM, runtime, &index));
            sonde_status first = sonde_index_add(index, &few, NULL);
            sonde_status second = first ? first : sonde_index_add(index, &more, NULL);
            int64_t expected = first ? 0 : second ? few.rows : few.rows + more.rows;
            if (second != SONDE_OK && second != SONDE_LIMIT)
                fail_msg("%s: %s: %s", specs[i], sonde_status_name(second), sonde_error_message());
            if (second) assert_non_null(strstr(sonde_error_message(), "memory_limit"));
            assert_int_equal(sonde_index_count(index), expected);
            OK(sonde_runtime_memory(runtime, &used, &peak));
            assert_true(used <= limit && peak <= limit);
            sonde_status proof = sonde_index_check(index);
            assert_true(proof == SONDE_OK || proof == SONDE_LIMIT);
            if (!first) assert_true(sonde_index_contains(index, 0) || second);
            accepted += second == SONDE_OK;
            refused += second != SONDE_OK;
            sonde_index_free(index);
            sonde_runtime_free(runtime);
        }
        assert_int_equal(accepted, 1);
        assert_true(refused > 0);
    }
    free(rows.data);
}

/* Handles of one runtime share its limit, and give back what they held. */
static void handles_share_a_limit(void **unused)
{
    (void)unused;
    sonde_array rows = make_rows();
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    sonde_runtime *runtime;
    sonde_index *first, *second;
    options.memory_limit = (uint64_t)ROWS * DIM * 4 * 2; /* room for one and its build, not for two */
    OK(sonde_runtime_create(&options, &runtime));
    OK(sonde_index_create("flat(first=none)", DIM, runtime, &first));
    OK(sonde_index_create("flat(first=none)", DIM, runtime, &second));
    OK(sonde_index_add(first, &rows, NULL));
    FAILS(sonde_index_add(second, &rows, NULL), SONDE_LIMIT, "memory_limit");
    sonde_index_free(first);
    OK(sonde_index_add(second, &rows, NULL));
    sonde_index_free(second);
    sonde_runtime_free(runtime);
    free(rows.data);
}

/* ---- searches that allocate nothing ---------------------------------------------------------------------------- */

/* The same mix of searches again and again; after the first rounds the allocator is not called any more. */
static void searches_allocate_nothing_once_warm(void **unused)
{
    (void)unused;
    static const int64_t counts[] = {1, 5, 40};
    sonde_array rows = make_rows();
    rows.rows = 4000;
    int64_t *ids = test_alloc(40 * 100, sizeof *ids);
    for (int i = 0; i < SPECS; i++) {
        failing_allocator memory = {0};
        sonde_runtime_options options = failing_options(&memory);
        sonde_runtime *runtime;
        sonde_index *index;
        long warm = 0;
        options.threads = 1; /* with more, who meets which scratch is left to chance */
        OK(sonde_runtime_create(&options, &runtime));
        OK(sonde_index_create(specs[i], DIM, runtime, &index));
        OK(sonde_index_add(index, &rows, NULL));
        for (int round = 0; round < 6; round++) {
            if (round == 2) warm = memory.calls;
            for (int s = 0; s < 12; s++) {
                sonde_array queries = sonde_f32(rows.data, counts[s % 3], DIM);
                sonde_filter filter = SONDE_FILTER_INIT;
                sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
                sonde_hits hits = SONDE_HITS_INIT;
                filter.kind = SONDE_FILTER_RANGE;
                filter.first = 100;
                filter.last = s % 4 == 1 ? 200 : 3000;
                how.k = s % 2 ? 100 : 7;
                how.effort = s % 3 ? (uint32_t)s : 0;
                how.filter = s % 4 ? &filter : NULL;
                hits.ids = ids;
                OK(sonde_index_search(index, &queries, &how, &hits));
            }
        }
        if (memory.calls != warm) fail_msg("%s: %ld allocations in warm searches", specs[i], memory.calls - warm);
        sonde_index_free(index);
        sonde_runtime_free(runtime);
    }
    free(ids);
    free(rows.data);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(memory_is_as_estimated),
    cmocka_unit_test(estimates_any_size),
    cmocka_unit_test(limits_are_obeyed),
    cmocka_unit_test(handles_share_a_limit),
    cmocka_unit_test(searches_allocate_nothing_once_warm),
};
SONDE_TEST_MAIN(tests)
