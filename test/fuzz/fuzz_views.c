/* fuzz_views.c: any numbers as an array view. A view that passes the check must lie inside the address space, by
 * arithmetic that cannot overflow; where its bytes exist, the search for NaN must agree with a plain loop.
 *
 *   byte 0      0: numbers as they are; else: made small, so that the view often fits the data
 *   1 .. 25     rows, cols, stride (int64 little-endian), dtype (1 byte)
 *   26 ..       the data
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"

#define HEAD 26

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int condition)
{
    if (!condition) abort();
}

static int64_t number_at(const uint8_t *data)
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--) value = value << 8 | data[i];
    return (int64_t)value;
}

/* Bytes that the view spans, as a double: exact where it matters (small), and it cannot overflow. */
static double span(const sonde_array *array)
{
    return (double)array->rows * (double)array->stride;
}

static int all_exponent_bits(const sonde_array *array, int64_t row, int64_t column)
{
    uint32_t wide;
    uint16_t half;
    const uint8_t *place = (const uint8_t *)array->data + row * array->stride;
    if (array->dtype == SONDE_DTYPE_F32) {
        memcpy(&wide, place + 4 * column, 4);
        return (wide & 0x7f800000) == 0x7f800000;
    }
    memcpy(&half, place + 2 * column, 2);
    return array->dtype == SONDE_DTYPE_F16 ? (half & 0x7c00) == 0x7c00 : (half & 0x7f80) == 0x7f80;
}

/* The words that the message must hold, or nothing if every value is finite. */
static void expected_place(const sonde_array *array, char words[64])
{
    words[0] = 0;
    if (array->dtype > SONDE_DTYPE_BF16) return;
    for (int64_t row = 0; row < array->rows; row++)
        for (int64_t column = 0; column < array->cols; column++)
            if (all_exponent_bits(array, row, column)) {
                snprintf(words, 64, "row %lld, column %lld is", (long long)row, (long long)column);
                return;
            }
}

static void check_values(const sonde_array *array)
{
    char words[64];
    sonde_runtime *runtime = NULL;
    if (sonde_runtime_create(NULL, &runtime) != SONDE_OK) return;
    expected_place(array, words);
    sonde_status status = sonde__array_check_finite(runtime, array, "view");
    demand(status == (words[0] ? SONDE_INVALID_ARGUMENT : SONDE_OK));
    demand(status == SONDE_OK || strstr(sonde_error_message(), words) != NULL);
    sonde_runtime_free(runtime);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD) return 0;
    size_t bytes = size - HEAD;
    uint8_t *copy = malloc(bytes ? bytes : 1); /* its own block, so that a sanitizer sees its end */
    demand(copy != NULL);
    memcpy(copy, data + HEAD, bytes);
    sonde_array checked, array = {.data = copy, .dtype = data[25]};
    array.rows = number_at(data + 1);
    array.cols = number_at(data + 9);
    array.stride = number_at(data + 17);
    if (data[0]) {
        array.rows = (uint8_t)array.rows % 32;
        array.cols = (uint8_t)array.cols % 32;
        array.stride = (uint8_t)array.stride % 64;
    }
    if (sonde__array_check(&array, "view", 0, UINT32_MAX, &checked) == SONDE_OK) {
        demand(checked.rows >= 0 && checked.cols >= 1);
        demand(checked.stride >= sonde_row_bytes(checked.dtype, checked.cols));
        demand(span(&checked) <= (double)PTRDIFF_MAX);
        if (span(&checked) <= (double)bytes) check_values(&checked);
    } else {
        demand(sonde_error_message()[0] != 0);
    }
    free(copy);
    return 0;
}
