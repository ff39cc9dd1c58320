/* test_cycles.c: handles made and freed a hundred thousand times leave nothing behind: neither in the allocator that they
 * were given nor in the process.
 *
 * timeout: 120
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <unistd.h>

#include "../failing.h"
#include "../test.h"

enum { CYCLES = 100000, WARM = 2000, DIM = 8 };

static float rows[4 * DIM];

static long resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long pages = 0;
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*d %ld", &pages), 1);
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

static void index_life(sonde_runtime *runtime)
{
    sonde_array view = sonde_f32(rows, 4, DIM);
    sonde_index *index;
    int64_t ids[10];
    sonde_hits hits = {sizeof hits, 0, ids, NULL, NULL, NULL};
    OK(sonde_index_create("flat", DIM, runtime, &index));
    OK(sonde_index_add(index, &view, NULL));
    view.rows = 1;
    OK(sonde_index_search(index, &view, NULL, &hits));
    assert_int_equal(ids[0], 0);
    sonde_index_free(index);
}

static void model_life(sonde_runtime *runtime)
{
    sonde_quantizer *quantizer;
    sonde_transform *transform;
    OK(sonde_quantizer_create("sq(bits=f16)", DIM, runtime, &quantizer));
    OK(sonde_transform_create("normalise", DIM, runtime, &transform));
    sonde_quantizer_free(quantizer);
    sonde_transform_free(transform);
}

static void runtime_life(sonde_runtime *unused)
{
    sonde_runtime *runtime;
    (void)unused;
    OK(sonde_runtime_create(NULL, &runtime));
    sonde_runtime_free(runtime);
}

/* Sanitizers keep freed memory for a while, so there only the allocator is asked. */
static void lives(void (*life)(sonde_runtime *runtime))
{
    failing_allocator memory = {0};
    sonde_runtime_options options = failing_options(&memory);
    sonde_runtime *runtime;
    OK(sonde_runtime_create(&options, &runtime));
    for (int i = 0; i < WARM; i++) life(runtime);
    long bytes = memory.bytes, resident = resident_bytes();
    for (int i = 0; i < CYCLES; i++) life(i % 2 ? runtime : NULL);
    assert_int_equal(memory.bytes, bytes);
#ifndef SONDE_DEBUG
    assert_true(resident_bytes() < resident + (2 << 20));
#else
    (void)resident;
#endif
    sonde_runtime_free(runtime);
    assert_int_equal(memory.blocks, 0);
}

static void indexes_leave_nothing(void **unused)
{
    (void)unused;
    uint64_t seed = 1;
    for (int i = 0; i < 4 * DIM; i++) rows[i] = test_normal(&seed);
    lives(index_life);
}

static void models_leave_nothing(void **unused)
{
    (void)unused;
    lives(model_life);
}

static void runtimes_leave_nothing(void **unused)
{
    (void)unused;
    lives(runtime_life);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(indexes_leave_nothing),
    cmocka_unit_test(models_leave_nothing),
    cmocka_unit_test(runtimes_leave_nothing),
};
SONDE_TEST_MAIN(tests)
