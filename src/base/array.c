/* array.c: the checks that every view passes before anything reads it.
 *
 * Shape: no product of a view's numbers may overflow, whatever a caller wrote into it, so later code can multiply
 * freely. Values: a NaN or an infinity has all exponent bits set. Adding the lowest exponent bit to the masked exponent
 * carries into the top bit exactly then, and OR collects the carries: one pass of and, add, or, which compilers turn
 * into vector code and which runs at memory speed. Only when a row turns out bad is its first bad column looked for.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/text.h"

#define FINITE_CHUNK_BYTES ((int64_t)1 << 20)

static const char *const dtype_names[] = {
    [SONDE_DTYPE_F32] = "f32", [SONDE_DTYPE_F16] = "f16", [SONDE_DTYPE_BF16] = "bf16", [SONDE_DTYPE_I8] = "i8",
    [SONDE_DTYPE_U8] = "u8", [SONDE_DTYPE_BITS] = "bits", [SONDE_DTYPE_I32] = "i32", [SONDE_DTYPE_I64] = "i64"};
#define DTYPE_END (sizeof dtype_names / sizeof *dtype_names)

const char *sonde__dtype_name(uint32_t dtype)
{
    return dtype < DTYPE_END ? dtype_names[dtype] : NULL;
}

uint32_t sonde__dtype_of(const char *name)
{
    for (uint32_t dtype = 1; dtype < DTYPE_END; dtype++)
        if (strcmp(name, dtype_names[dtype]) == 0) return dtype;
    return 0;
}

/* One literal for each set of dtypes, so that a list of names needs no memory: bit i of the index is dtype i + 1. */
#define LIST_1(rest) rest, " f32" rest
#define LIST_2(rest) LIST_1(rest), LIST_1(" f16" rest)
#define LIST_3(rest) LIST_2(rest), LIST_2(" bf16" rest)
#define LIST_4(rest) LIST_3(rest), LIST_3(" i8" rest)
#define LIST_5(rest) LIST_4(rest), LIST_4(" u8" rest)
#define LIST_6(rest) LIST_5(rest), LIST_5(" bits" rest)
#define LIST_7(rest) LIST_6(rest), LIST_6(" i32" rest)
#define LIST_8(rest) LIST_7(rest), LIST_7(" i64" rest)
static const char *const dtype_lists[256] = {LIST_8("")};

const char *sonde__dtypes_text(uint32_t dtypes)
{
    const char *list = dtype_lists[dtypes >> 1 & 0xff];
    return *list ? list + 1 : list;
}

/* Names what is accepted, because a dtype is usually wrong by habit, not by accident. */
static sonde_status dtype_check(uint32_t dtype, const char *what, uint32_t dtypes)
{
    const char *name = sonde__dtype_name(dtype);
    if (!name)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: dtype %u is not one that exists; expected %s", what,
                           (unsigned)dtype, sonde__dtypes_text(dtypes));
    if (!(dtypes & SONDE__DTYPE_BIT(dtype)))
        return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: dtype %s is not accepted here; expected %s", what,
                           name, sonde__dtypes_text(dtypes));
    return SONDE_OK;
}

/* Finds the stride in bytes and proves that every byte of the view has an address. */
static sonde_status extent_check(const sonde_array *array, const char *what, int64_t *stride)
{
    int64_t row_bytes = sonde_row_bytes(array->dtype, array->cols);
    *stride = array->stride ? array->stride : row_bytes;
    if (*stride < row_bytes)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "%s: stride is %lld bytes, but a row of %lld columns has %lld (0 = packed)", what,
                           (long long)array->stride, (long long)array->cols, (long long)row_bytes);
    if (array->rows > 0 && array->rows > PTRDIFF_MAX / *stride)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "%s: %lld rows of %lld bytes are more than memory can hold", what,
                           (long long)array->rows, (long long)*stride);
    if ((uintptr_t)array->data > UINTPTR_MAX - (uintptr_t)(array->rows * *stride))
        return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: %lld rows of %lld bytes run past the end of memory",
                           what, (long long)array->rows, (long long)*stride);
    return SONDE_OK;
}

sonde_status sonde__array_check(const sonde_array *array, const char *what, int64_t cols, uint32_t dtypes,
                                sonde_array *checked)
{
    if (!array) return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: the array is NULL", what);
    SONDE_TRY(dtype_check(array->dtype, what, dtypes));
    if (array->reserved != 0)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "%s: reserved is %u, but must be 0 (is the array initialised?)", what,
                           (unsigned)array->reserved);
    if (array->rows < 0)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: rows is %lld, expected 0 or more", what,
                           (long long)array->rows);
    if (array->cols < 1 || array->cols > INT64_MAX / 16)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: cols is %lld, expected 1 or more", what,
                           (long long)array->cols);
    if (cols != 0 && array->cols != cols)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: %lld columns, expected %lld", what,
                           (long long)array->cols, (long long)cols);
    if (!array->data && array->rows > 0)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: data is NULL for %lld rows", what,
                           (long long)array->rows);
    int64_t stride;
    SONDE_TRY(extent_check(array, what, &stride));
    if (checked) {
        *checked = *array;
        checked->stride = stride;
    }
    return SONDE_OK;
}

/* Rows come with any alignment, so words are loaded by memcpy, which costs nothing. */
static bool row_finite_f32(const uint8_t *row, int64_t cols)
{
    uint32_t carries = 0;
    for (int64_t i = 0; i < cols; i++) {
        uint32_t bits;
        memcpy(&bits, row + 4 * i, sizeof bits);
        carries |= (bits & 0x7f800000u) + 0x00800000u;
    }
    return !(carries >> 31);
}

/* f16 and bf16 differ only in where the exponent lies. */
static bool row_finite_16(const uint8_t *row, int64_t cols, uint16_t exponent, uint16_t lowest)
{
    uint16_t carries = 0;
    for (int64_t i = 0; i < cols; i++) {
        uint16_t bits;
        memcpy(&bits, row + 2 * i, sizeof bits);
        carries |= (uint16_t)((bits & exponent) + lowest);
    }
    return !(carries >> 15);
}

static bool row_finite(uint32_t dtype, const uint8_t *row, int64_t cols)
{
    if (dtype == SONDE_DTYPE_F32) return row_finite_f32(row, cols);
    if (dtype == SONDE_DTYPE_F16) return row_finite_16(row, cols, 0x7c00, 0x0400);
    return row_finite_16(row, cols, 0x7f80, 0x0080);
}

/* Rows are cut into chunks of about 1 MiB; the parallel loop reports the failure of the lowest, so the place that is
 * named is the first of the whole array. */
typedef struct finite_work {
    const sonde_array *array;
    const char *what;
} finite_work;

static sonde_status fail_not_finite(const finite_work *work, int64_t row)
{
    const sonde_array *array = work->array;
    const uint8_t *data = sonde__array_row(array, row);
    int64_t size = sonde_row_bytes(array->dtype, 1), column = 0;
    while (row_finite(array->dtype, data + column * size, 1)) column++;
    return sonde__fail(SONDE_INVALID_ARGUMENT,
                       "%s: row %lld, column %lld is NaN or infinite; every value must be finite", work->what,
                       (long long)row, (long long)column);
}

static sonde_status finite_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const finite_work *work = context;
    (void)worker;
    for (int64_t row = begin; row < end; row++)
        if (!row_finite(work->array->dtype, sonde__array_row(work->array, row), work->array->cols))
            return fail_not_finite(work, row);
    return SONDE_OK;
}

sonde_status sonde__array_check_finite(sonde_runtime *runtime, const sonde_array *array, const char *what)
{
    if (array->dtype != SONDE_DTYPE_F32 && array->dtype != SONDE_DTYPE_F16 &&
        array->dtype != SONDE_DTYPE_BF16)
        return SONDE_OK;
    finite_work work = {array, what};
    int64_t grain = FINITE_CHUNK_BYTES / sonde_row_bytes(array->dtype, array->cols);
    return sonde__parallel_for(runtime, 0, array->rows, grain, NULL, finite_chunk, &work);
}
