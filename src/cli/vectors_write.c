/* vectors_write.c: writes a view in any of the formats that vectors.c reads.
 *
 * Floats widen freely (f16 to f32); whole numbers change width only where every value fits. What a format cannot
 * hold is an error that says what could. The source is read row by row, so a mapped file of any size can be converted.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* IEEE binary16 to float: move the fields; subnormals are a whole number of 2^-24. */
static float float_of_half(uint16_t half)
{
    uint32_t sign = (uint32_t)(half >> 15) << 31, exponent = half >> 10 & 31, fraction = half & 1023;
    uint32_t bits = sign | (exponent == 31 ? 255u : exponent + 112) << 23 | fraction << 13;
    float value;
    memcpy(&value, &bits, 4);
    if (exponent == 0)
        value = (sign ? -1.0f : 1.0f) * (float)fraction * 0x1p-24f;
    return value;
}

/* Cells may lie anywhere, so they are copied out rather than cast. */
static float cell_as_float(const char *cell, uint32_t dtype)
{
    float value;
    uint16_t half;
    switch (dtype) {
    case SONDE_DTYPE_F32:
        memcpy(&value, cell, 4);
        return value;
    case SONDE_DTYPE_F16:
        memcpy(&half, cell, 2);
        return float_of_half(half);
    case SONDE_DTYPE_I8:
        return *(const int8_t *)cell;
    default:
        return *(const uint8_t *)cell;
    }
}

/* True if rows of `from` can be written as `to` at all (single values may still not fit: see convert_row). */
static bool convertible(uint32_t from, uint32_t to)
{
    if (from == to)
        return true;
    if (to == SONDE_DTYPE_F32)
        return from == SONDE_DTYPE_F16 || from == SONDE_DTYPE_I8 || from == SONDE_DTYPE_U8;
    return from == SONDE_DTYPE_I64 && to == SONDE_DTYPE_I32;
}

/* Writes one row of array as dtype `to` into out; false if a value does not fit. */
static bool convert_row(const sonde_array *array, int64_t row, uint32_t to, void *out)
{
    const char *in = (const char *)array->data + row * array->stride;
    if (array->dtype == to) {
        memcpy(out, in, (size_t)sonde_row_bytes(to, array->cols));
        return true;
    }
    int64_t width = sonde_row_bytes(array->dtype, 1);
    for (int64_t j = 0; j < array->cols; j++) {
        const char *cell = in + j * width;
        if (to == SONDE_DTYPE_F32) {
            ((float *)out)[j] = cell_as_float(cell, array->dtype);
        } else {
            int64_t wide;
            memcpy(&wide, cell, 8);
            ((int32_t *)out)[j] = (int32_t)wide;
            if (wide != (int32_t)wide)
                return false;
        }
    }
    return true;
}

/* Version 1.0: magic, length, a dictionary padded with spaces so that data starts at a multiple of 64. */
static void write_npy_header(const sonde_array *array, uint32_t dtype, FILE *file)
{
    static const char *const names[] = {"", "<f4", "<f2", "", "|i1", "|u1", "", "<i4", "<i8"};
    char text[192];
    int length =
        snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (%lld, %lld), }",
                 names[dtype], (long long)array->rows, (long long)array->cols);
    int padded = (10 + length + 1 + 63) / 64 * 64 - 10;
    unsigned char start[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)padded, 0};
    fwrite(start, 1, sizeof start, file);
    fprintf(file, "%-*s\n", padded - 1, text);
}

/* Write errors stay with the stream and are reported by the commit; here they only end the loop. */
static int write_rows(cli_output *output, const sonde_array *array, const cli_format *format, uint32_t dtype)
{
    size_t bytes = (size_t)sonde_row_bytes(dtype, array->cols);
    void *row = cli_memory((int64_t)bytes, 1);
    int32_t cols = (int32_t)array->cols;
    int code = CLI_OK;
    for (int64_t i = 0; i < array->rows && !code && !ferror(output->file); i++) {
        if (cli_interrupted()) {
            code = cli_interrupt_exit();
        } else if (!convert_row(array, i, dtype, row)) {
            code = cli_error("%s: row %lld has a number that %s cannot hold; .npy can", output->path,
                             (long long)i, cli_dtype_name(dtype));
        } else {
            if (format->layout == CLI_ROW_HEADERS)
                fwrite(&cols, 4, 1, output->file);
            fwrite(row, 1, bytes, output->file);
        }
        cli_progress("write", (uint64_t)i + 1, (uint64_t)array->rows, NULL);
    }
    free(row);
    return code;
}

static int check_target(const char *path, const sonde_array *array, const cli_format *format, uint32_t dtype)
{
    if (!convertible(array->dtype, dtype))
        return cli_error("%s: .%s holds %s, but the vectors are %s; .npy holds them as they are", path,
                         format->extension, cli_dtype_name(dtype), cli_dtype_name(array->dtype));
    if (format->layout == CLI_FILE_HEADER && array->rows > UINT32_MAX)
        return cli_error("%s: .%s counts rows in 32 bits; .npy does not", path, format->extension);
    return CLI_OK;
}

int cli_vectors_write(const char *path, const sonde_array *array)
{
    const cli_format *format = cli_format_of(path);
    if (!format)
        return cli_error("%s: the extension names no format: .npy .fvecs .bvecs .ivecs .fbin .u8bin .i8bin",
                         path);
    uint32_t dtype = format->dtype ? format->dtype : array->dtype;
    int code = check_target(path, array, format, dtype);
    cli_output output;
    if (!code)
        code = cli_output_open(path, &output);
    if (code)
        return code;
    if (format->layout == CLI_NPY)
        write_npy_header(array, dtype, output.file);
    uint32_t shape[2] = {(uint32_t)array->rows, (uint32_t)array->cols};
    if (format->layout == CLI_FILE_HEADER)
        fwrite(shape, 4, 2, output.file);
    code = write_rows(&output, array, format, dtype);
    if (!code)
        return cli_output_commit(&output);
    cli_output_discard(&output);
    return code;
}
