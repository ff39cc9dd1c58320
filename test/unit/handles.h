/* handles.h: what the tests of handles (transforms, quantizers) share: temporary files and their bytes, runtimes with a
 * number of threads, and views of the same values in other element types.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_TEST_HANDLES_H
#define SONDE_TEST_HANDLES_H

#include <math.h>
#include <unistd.h>

#include "test.h"

/* A file name that no other test process uses; the caller unlinks it. */
static inline const char *test_path(char *path, size_t capacity, const char *name)
{
    const char *parent = getenv("TMPDIR");
    snprintf(path, capacity, "%s/sonde-%ld-%s", parent ? parent : P_tmpdir, (long)getpid(), name);
    return path;
}

static inline uint8_t *test_file_bytes(const char *path, size_t *count)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *count = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = test_alloc(*count, 1);
    assert_int_equal(fread(bytes, 1, *count, file), *count);
    fclose(file);
    return bytes;
}

static inline void test_same_files(const char *a, const char *b)
{
    size_t a_count, b_count;
    uint8_t *a_bytes = test_file_bytes(a, &a_count), *b_bytes = test_file_bytes(b, &b_count);
    assert_int_equal(a_count, b_count);
    assert_memory_equal(a_bytes, b_bytes, a_count);
    free(a_bytes);
    free(b_bytes);
}

static inline sonde_runtime *test_runtime(uint32_t threads)
{
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    sonde_runtime *runtime = NULL;
    options.threads = threads;
    OK(sonde_runtime_create(&options, &runtime));
    return runtime;
}

/* Small whole numbers, which every element type holds exactly, as `dtype` with a stride that fits no type, beside the
 * same as f32. */
static inline sonde_array test_odd_view(uint32_t dtype, int64_t n, int64_t d, uint64_t seed, float **as_f32)
{
    sonde_array view = sonde_array_of(dtype, NULL, n, d);
    uint64_t state = seed;
    view.stride += 5;
    view.data = (uint8_t *)test_alloc((size_t)(n * view.stride + 1), 1) + 1;
    *as_f32 = test_alloc((size_t)(n * d), sizeof(float));
    for (int64_t i = 0; i < n * d; i++) {
        uint8_t value = (uint8_t)(test_u64(&state) % 64), *at = (uint8_t *)view.data + i / d * view.stride;
        float number = value;
        uint32_t word;
        uint16_t half;
        (*as_f32)[i] = number;
        memcpy(&word, &number, sizeof word);
        switch (dtype) {
        case SONDE_DTYPE_F32: memcpy(at + i % d * 4, &number, 4); break;
        case SONDE_DTYPE_BF16: half = (uint16_t)(word >> 16); memcpy(at + i % d * 2, &half, 2); break;
        case SONDE_DTYPE_F16: /* six mantissa bits at most: exact */
            half = value ? (uint16_t)((((word >> 23) - 112) << 10) | (word >> 13 & 0x3ff)) : 0;
            memcpy(at + i % d * 2, &half, 2);
            break;
        default: at[i % d] = value;
        }
    }
    return view;
}
static inline void test_free_odd_view(sonde_array *view, float *as_f32)
{
    free((uint8_t *)view->data - 1);
    free(as_f32);
}

static inline double test_dot(const float *a, const float *b, int64_t d)
{
    double sum = 0;
    for (int64_t j = 0; j < d; j++) sum += (double)a[j] * b[j];
    return sum;
}

static inline double test_distance(const float *a, const float *b, int64_t d)
{
    double sum = 0;
    for (int64_t j = 0; j < d; j++) sum += ((double)a[j] - b[j]) * ((double)a[j] - b[j]);
    return sum;
}

#endif
