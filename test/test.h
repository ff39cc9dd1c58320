/* test.h: what every C test program shares. A program lists its cases in one table and ends with SONDE_TEST_MAIN(table);
 * test/run starts each case in a process of its own (PROGRAM --list, then PROGRAM CASE).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_TEST_H
#define SONDE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sonde.h"

/* Expects success and shows the library's message where it fails. */
#define OK(call)                                                                                           \
    do {                                                                                                   \
        sonde_status status_ = (call);                                                                     \
        if (status_ != SONDE_OK)                                                                           \
            fail_msg("%s: %s: %s", #call, sonde_status_name(status_), sonde_error_message());              \
    } while (0)

/* Expects one status, and words in the message. */
#define FAILS(call, wanted, words)                                                                         \
    do {                                                                                                   \
        sonde_status status_ = (call);                                                                     \
        if (status_ != (wanted))                                                                           \
            fail_msg("%s gave %s (%s), not %s", #call, sonde_status_name(status_), sonde_error_message(),  \
                     sonde_status_name(wanted));                                                           \
        if (!strstr(sonde_error_message(), (words)))                                                       \
            fail_msg("%s: the message \"%s\" lacks \"%s\"", #call, sonde_error_message(), (words));        \
    } while (0)

/* true where an emulator runs the tests of another processor (test/run --emulate): it cannot fork a program with threads. */
static inline bool test_emulated(void)
{
    const char *emulator = getenv("SONDE_TEST_EMULATOR");
    return emulator && *emulator;
}

/* Random numbers for test data, independent of the library's own. */
static inline uint64_t test_u64(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
static inline double test_unit(uint64_t *state) { return (double)(test_u64(state) >> 11) * 0x1p-53; }
/* Roughly normal: the sum of twelve uniforms. */
static inline float test_normal(uint64_t *state)
{
    double sum = -6;
    for (int i = 0; i < 12; i++) sum += test_unit(state);
    return (float)sum;
}
static inline void *test_alloc(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);
    assert_non_null(memory);
    return memory;
}
/* n x d values around `clusters` centres; clusters 0 = one cloud. */
static inline float *test_vectors(int64_t n, int64_t d, int clusters, uint64_t seed)
{
    float *x = test_alloc((size_t)(n * d), sizeof *x);
    float *centre = test_alloc((size_t)((clusters + 1) * d), sizeof *centre);
    uint64_t state = seed;
    for (int64_t i = 0; i < clusters * d; i++) centre[i] = 3 * test_normal(&state);
    for (int64_t i = 0; i < n; i++) {
        const float *c = centre + (clusters ? (int64_t)(test_u64(&state) % (uint64_t)clusters) : 0) * d;
        for (int64_t j = 0; j < d; j++) x[i * d + j] = c[j] + test_normal(&state);
    }
    free(centre);
    return x;
}

static inline int test_main(int argc, char **argv, const struct CMUnitTest *tests, size_t count)
{
    if (argc > 1 && strcmp(argv[1], "--list") == 0) {
        for (size_t i = 0; i < count; i++) puts(tests[i].name);
        return 0;
    }
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return _cmocka_run_group_tests(argv[0], tests, count, NULL, NULL);
}
#define SONDE_TEST_MAIN(tests) \
    int main(int argc, char **argv) { return test_main(argc, argv, (tests), sizeof(tests) / sizeof((tests)[0])); }

#endif
