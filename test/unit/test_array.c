/* test_array.c: the checks of views: shapes, strides, dtypes, overflow, and where the first NaN lies.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "test.h"

#include "base/text.h"

static void dtypes_have_names(void **state)
{
    (void)state;
    static const char *const names[] = {"f32", "f16", "bf16", "i8", "u8", "bits", "i32", "i64"};
    for (uint32_t dtype = 1; dtype <= 8; dtype++) {
        assert_string_equal(sonde__dtype_name(dtype), names[dtype - 1]);
        assert_int_equal(sonde__dtype_of(names[dtype - 1]), dtype);
        assert_string_equal(sonde__dtypes_text(SONDE__DTYPE_BIT(dtype)), names[dtype - 1]);
    }
    assert_null(sonde__dtype_name(0));
    assert_null(sonde__dtype_name(9));
    assert_null(sonde__dtype_name(UINT32_MAX));
    assert_int_equal(sonde__dtype_of("f64"), 0);
    assert_int_equal(sonde__dtype_of(""), 0);
    assert_string_equal(sonde__dtypes_text(0), "");
    assert_string_equal(sonde__dtypes_text(SONDE__DTYPES_NUMERIC), "f32 f16 bf16 i8 u8");
    assert_string_equal(sonde__dtypes_text(UINT32_MAX), "f32 f16 bf16 i8 u8 bits i32 i64");
}

/* Every list against one put together by hand. */
static void lists_of_dtypes(void **state)
{
    (void)state;
    for (uint32_t mask = 0; mask < 256; mask++) {
        char list[64] = "";
        for (uint32_t dtype = 1; dtype <= 8; dtype++)
            if (mask >> (dtype - 1) & 1) {
                if (list[0]) strcat(list, " ");
                strcat(list, sonde__dtype_name(dtype));
            }
        assert_string_equal(sonde__dtypes_text(mask << 1), list);
    }
}

static void good_views_pass(void **state)
{
    (void)state;
    float data[24] = {0};
    sonde_array array = sonde_f32(data, 4, 6), checked;
    OK(sonde__array_check(&array, "x", 6, SONDE__DTYPES_NUMERIC, &checked));
    assert_int_equal(checked.stride, 24);
    array.stride = 0;
    OK(sonde__array_check(&array, "x", 0, SONDE__DTYPES_NUMERIC, &checked));
    assert_int_equal(checked.stride, 24);
    assert_int_equal(array.stride, 0);
    array.cols = 5;
    array.stride = 24;
    OK(sonde__array_check(&array, "x", 5, SONDE__DTYPES_NUMERIC, &checked));
    assert_int_equal(checked.stride, 24);
    assert_ptr_equal(sonde__array_row(&checked, 3), data + 18);
    sonde_array empty = sonde_f32(NULL, 0, 6);
    OK(sonde__array_check(&empty, "x", 6, SONDE__DTYPES_NUMERIC, &checked));
    uint8_t bits[6] = {0};
    sonde_array packed = sonde_bits(bits, 2, 17);
    packed.stride = 0;
    OK(sonde__array_check(&packed, "x", 17, SONDE__DTYPE_BIT(SONDE_DTYPE_BITS), &checked));
    assert_int_equal(checked.stride, 3);
    OK(sonde__array_check(&packed, "x", 0, UINT32_MAX, NULL));
}

static void bad_views_are_named(void **state)
{
    (void)state;
    float data[24] = {0};
    const sonde_array good = sonde_f32(data, 4, 6);
    sonde_array bad, checked = {.cols = 12345};
    const uint32_t numeric = SONDE__DTYPES_NUMERIC;
    FAILS(sonde__array_check(NULL, "search: queries", 6, numeric, &checked), SONDE_INVALID_ARGUMENT,
          "search: queries: the array is NULL");
    FAILS(sonde__array_check(&good, "q", 7, numeric, &checked), SONDE_INVALID_ARGUMENT,
          "6 columns, expected 7");
    bad = good, bad.rows = -1;
    FAILS(sonde__array_check(&bad, "q", 0, numeric, &checked), SONDE_INVALID_ARGUMENT, "rows is -1");
    bad = good, bad.cols = 0;
    FAILS(sonde__array_check(&bad, "q", 0, numeric, &checked), SONDE_INVALID_ARGUMENT, "cols is 0");
    bad = good, bad.data = NULL;
    FAILS(sonde__array_check(&bad, "q", 0, numeric, &checked), SONDE_INVALID_ARGUMENT, "NULL for 4 rows");
    bad = good, bad.dtype = 77;
    FAILS(sonde__array_check(&bad, "q", 0, numeric, &checked), SONDE_INVALID_ARGUMENT, "dtype 77");
    bad = good, bad.dtype = 0;
    FAILS(sonde__array_check(&bad, "q", 0, UINT32_MAX, &checked), SONDE_INVALID_ARGUMENT, "dtype 0");
    bad = good, bad.dtype = SONDE_DTYPE_I64;
    FAILS(sonde__array_check(&bad, "q", 0, numeric, &checked), SONDE_INVALID_ARGUMENT,
          "dtype i64 is not accepted here; expected f32 f16 bf16 i8 u8");
    bad = good, bad.reserved = 1;
    FAILS(sonde__array_check(&bad, "q", 0, numeric, &checked), SONDE_INVALID_ARGUMENT, "reserved");
    bad = good, bad.stride = 23;
    FAILS(sonde__array_check(&bad, "q", 0, numeric, &checked), SONDE_INVALID_ARGUMENT, "stride is 23 bytes");
    bad = good, bad.stride = -24;
    FAILS(sonde__array_check(&bad, "q", 0, numeric, &checked), SONDE_INVALID_ARGUMENT, "stride is -24 bytes");
    assert_int_equal(checked.cols, 12345); /* untouched */
}

static void views_whose_size_overflows_are_refused(void **state)
{
    (void)state;
    float data[1] = {0};
    const uint32_t numeric = SONDE__DTYPES_NUMERIC;
    sonde_array array = sonde_f32(data, 1, 1);
    array.stride = 0, array.cols = INT64_MAX;
    FAILS(sonde__array_check(&array, "q", 0, numeric, NULL), SONDE_INVALID_ARGUMENT, "cols");
    array.cols = INT64_MAX / 16, array.rows = 5;
    FAILS(sonde__array_check(&array, "q", 0, numeric, NULL), SONDE_INVALID_ARGUMENT,
          "more than memory can hold");
    array.cols = 1, array.rows = INT64_MAX;
    FAILS(sonde__array_check(&array, "q", 0, numeric, NULL), SONDE_INVALID_ARGUMENT,
          "more than memory can hold");
    array.rows = 3, array.stride = INT64_MAX;
    FAILS(sonde__array_check(&array, "q", 0, numeric, NULL), SONDE_INVALID_ARGUMENT,
          "more than memory can hold");
    array.data = (void *)(UINTPTR_MAX - 100), array.rows = 100, array.stride = 4;
    FAILS(sonde__array_check(&array, "q", 0, numeric, NULL), SONDE_INVALID_ARGUMENT,
          "past the end of memory");
    array.dtype = SONDE_DTYPE_BITS, array.cols = INT64_MAX - 3, array.stride = 0;
    FAILS(sonde__array_check(&array, "q", 0, UINT32_MAX, NULL), SONDE_INVALID_ARGUMENT, "cols");
}

static void put(uint8_t *place, uint32_t dtype, uint32_t bits)
{
    uint16_t half = (uint16_t)bits;
    if (dtype == SONDE_DTYPE_F32) memcpy(place, &bits, 4);
    else memcpy(place, &half, 2);
}

/* The bad and the extreme good values of each floating dtype. */
static const struct {
    uint32_t dtype, bad[4], good[6];
} kinds[] = {
    {SONDE_DTYPE_F32,
     {0x7f800000, 0xff800000, 0x7fc00000, 0xff800001},
     {0, 0x80000000, 0x7f7fffff, 0xff7fffff, 1, 0x807fffff}},
    {SONDE_DTYPE_F16, {0x7c00, 0xfc00, 0x7e00, 0xfc01}, {0, 0x8000, 0x7bff, 0xfbff, 1, 0x83ff}},
    {SONDE_DTYPE_BF16, {0x7f80, 0xff80, 0x7fc0, 0xff81}, {0, 0x8000, 0x7f7f, 0xff7f, 1, 0x807f}}};

/* One bad value at every place of a strided, unaligned view is found with its row and column. */
static void the_first_bad_value_is_named(void **state)
{
    (void)state;
    sonde_runtime *runtime = NULL;
    OK(sonde_runtime_create(NULL, &runtime));
    for (size_t k = 0; k < 3; k++) {
        int64_t size = sonde_row_bytes(kinds[k].dtype, 1), rows = 5, cols = 37, stride = cols * size + 3;
        uint8_t *memory = test_alloc((size_t)(rows * stride + 1), 1);
        /* What lies between the rows is NaN and none of our business. */
        memset(memory, 0xff, (size_t)(rows * stride + 1));
        sonde_array array = sonde_array_of(kinds[k].dtype, memory + 1, rows, cols);
        array.stride = stride;
        for (int64_t i = 0; i < rows * cols; i++)
            put(memory + 1 + i / cols * stride + i % cols * size, kinds[k].dtype, kinds[k].good[i % 6]);
        OK(sonde__array_check_finite(runtime, &array, "x"));
        for (int64_t i = 0; i < rows * cols; i++) {
            uint8_t *place = memory + 1 + i / cols * stride + i % cols * size;
            char words[64];
            put(place, kinds[k].dtype, kinds[k].bad[i % 4]);
            snprintf(words, sizeof words, "x: row %d, column %d is", (int)(i / cols), (int)(i % cols));
            FAILS(sonde__array_check_finite(runtime, &array, "x"), SONDE_INVALID_ARGUMENT, words);
            put(place, kinds[k].dtype, kinds[k].good[i % 6]);
        }
        free(memory);
    }
    sonde_runtime_free(runtime);
}

static void integers_are_always_finite(void **state)
{
    (void)state;
    sonde_runtime *runtime = NULL;
    OK(sonde_runtime_create(NULL, &runtime));
    uint8_t bytes[64];
    memset(bytes, 0xff, sizeof bytes);
    const uint32_t dtypes[] = {SONDE_DTYPE_I8, SONDE_DTYPE_U8, SONDE_DTYPE_BITS, SONDE_DTYPE_I32,
                               SONDE_DTYPE_I64};
    for (size_t i = 0; i < 5; i++) {
        sonde_array array = sonde_array_of(dtypes[i], bytes, 2, 4);
        OK(sonde__array_check_finite(runtime, &array, "x"));
    }
    sonde_array empty = sonde_f32(NULL, 0, 4);
    OK(sonde__array_check_finite(runtime, &empty, "x"));
    sonde_runtime_free(runtime);
}

/* Large enough for several chunks: of two bad values it is always the first, whatever the threads do. */
static void the_first_of_two_bad_values_wins(void **state)
{
    (void)state;
    int64_t rows = 20000, cols = 100;
    float *x = test_vectors(rows, cols, 0, 1);
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    options.threads = 4;
    sonde_runtime *runtime = NULL;
    OK(sonde_runtime_create(&options, &runtime));
    sonde_array array = sonde_f32(x, rows, cols);
    OK(sonde__array_check_finite(runtime, &array, "base"));
    uint64_t random = 3;
    for (int round = 0; round < 20; round++) {
        uint64_t a = test_u64(&random) % (uint64_t)(rows * cols);
        uint64_t b = test_u64(&random) % (uint64_t)(rows * cols);
        uint64_t first = a < b ? a : b;
        float keep_a = x[a], keep_b = x[b];
        char words[64];
        x[a] = NAN;
        x[b] = -INFINITY;
        snprintf(words, sizeof words, "base: row %d, column %d is", (int)(first / 100), (int)(first % 100));
        FAILS(sonde__array_check_finite(runtime, &array, "base"), SONDE_INVALID_ARGUMENT, words);
        x[b] = keep_b;
        x[a] = keep_a;
    }
    sonde_runtime_free(runtime);
    free(x);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(dtypes_have_names),
    cmocka_unit_test(lists_of_dtypes),
    cmocka_unit_test(good_views_pass),
    cmocka_unit_test(bad_views_are_named),
    cmocka_unit_test(views_whose_size_overflows_are_refused),
    cmocka_unit_test(the_first_bad_value_is_named),
    cmocka_unit_test(integers_are_always_finite),
    cmocka_unit_test(the_first_of_two_bad_values_wins),
};
SONDE_TEST_MAIN(tests)
