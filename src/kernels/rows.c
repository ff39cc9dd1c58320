/* rows.c: rows of any numeric view as f32, the form in which every method works, and rows as panels.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernels/kernels.h"

void sonde__rows_to_f32(const sonde_array *array, int64_t begin, int64_t count, float *out, int64_t ldo)
{
    void (*convert)(const void *, int64_t, float *) = sonde__kernels_get()->to_f32[sonde__row_kind(array->dtype)];
    bool packed = ldo == array->cols && array->stride == sonde_row_bytes(array->dtype, array->cols);
    if (packed) convert(sonde__array_row(array, begin), count * array->cols, out);
    for (int64_t i = 0; !packed && i < count; i++)
        convert(sonde__array_row(array, begin + i), array->cols, out + i * ldo);
}

void sonde__pack_rows(const void *rows, int64_t stride, int64_t count, int64_t d, int64_t lanes, float *panel)
{
    const void *row[SONDE__LANES_MAX];
    for (int64_t i = 0; i < count; i++) row[i] = (const uint8_t *)rows + i * stride;
    sonde__kernels_get()->pack_panel(row, count, d, lanes, panel);
}

int64_t sonde__byte_panel(int64_t d, int64_t lanes) { return (d + 3) / 4 * 4 * lanes; }

void sonde__pack_bytes(const int8_t *codes, int64_t d, int64_t lane, int64_t lanes, int8_t *panel)
{
    for (int64_t j = 0; j < d; j += 4)
        memcpy(panel + j * lanes + lane * 4, codes + j, (size_t)sonde__min_i64(4, d - j));
}
