/* vectors.c: files of vectors as borrowed views, with every size in them checked against the bytes that are there.
 *
 *   .npy                    NumPy 1.0 to 3.0, C order, little-endian, one or two axes: f2 f4 f8 (as f4) i1 u1 i4 i8
 *   .fvecs .bvecs .ivecs    every row: int32 count, then that many f32, u8 or i32
 *   .fbin .u8bin .i8bin     uint32 rows, uint32 columns, then all rows
 *
 * Nothing is copied but f8: a mapped file of any size costs no memory. Hosts are little-endian (x86-64, ARMv8).
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const cli_format formats[] = {
    {"npy", CLI_NPY, 0},
    {"fvecs", CLI_ROW_HEADERS, SONDE_DTYPE_F32},
    {"bvecs", CLI_ROW_HEADERS, SONDE_DTYPE_U8},
    {"ivecs", CLI_ROW_HEADERS, SONDE_DTYPE_I32},
    {"fbin", CLI_FILE_HEADER, SONDE_DTYPE_F32},
    {"u8bin", CLI_FILE_HEADER, SONDE_DTYPE_U8},
    {"i8bin", CLI_FILE_HEADER, SONDE_DTYPE_I8},
};

enum { MAX_COLUMNS = 1 << 20, MAX_NPY_HEADER = 1 << 16, NPY_F64 = 100 };

const cli_format *cli_format_of(const char *path)
{
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof formats / sizeof *formats; i++) {
        if (!strcmp(formats[i].extension, dot + 1))
            return &formats[i];
    }
    return NULL;
}

const char *cli_dtype_name(uint32_t dtype)
{
    static const char *const names[] = {"nothing", "f32", "f16", "bf16", "i8", "u8", "bits", "i32", "i64"};
    return dtype <= SONDE_DTYPE_I64 ? names[dtype] : "unknown";
}

/* ---- NumPy --------------------------------------------------------------------------------------------- */

typedef struct npy_header {
    char dtype[16];
    int64_t rows, cols;
    size_t data; /* offset of the first element */
} npy_header;

/* What follows 'key': in the header's dictionary, or NULL. */
static const char *npy_value(const char *text, const char *key)
{
    char quoted[32];
    snprintf(quoted, sizeof quoted, "'%s':", key);
    const char *at = strstr(text, quoted);
    if (!at)
        return NULL;
    at += strlen(quoted);
    return at + strspn(at, " ");
}

/* "(10000, 384)", "(600,)" (a column) */
static bool npy_shape(const char *text, npy_header *header)
{
    char *end;
    if (*text++ != '(')
        return false;
    header->rows = strtoll(text, &end, 10);
    if (end == text || header->rows < 0 || *end != ',')
        return false;
    text = end + 1 + strspn(end + 1, " ");
    header->cols = 1;
    if (*text != ')') {
        header->cols = strtoll(text, &end, 10);
        if (end == text)
            return false;
        text = end;
    }
    return *text == ')' && header->cols >= 1 && header->cols <= MAX_COLUMNS;
}

/* The header is a Python dictionary of three keys in any order; we look for each and read no more of the language. */
static int npy_dictionary(const char *path, const char *text, npy_header *header)
{
    const char *type = npy_value(text, "descr"), *order = npy_value(text, "fortran_order");
    const char *shape = npy_value(text, "shape");
    if (!type || !order || !shape || *type != '\'')
        return cli_error("%s: is not an .npy file of plain numbers", path);
    snprintf(header->dtype, sizeof header->dtype, "%.*s", (int)strcspn(type + 1, "'"), type + 1);
    if (strncmp(order, "False", 5))
        return cli_error("%s: is stored column by column; save numpy.ascontiguousarray(x) instead", path);
    if (!npy_shape(shape, header))
        return cli_error("%s: has shape %.*s; rows x columns are needed, with at most %d columns", path,
                         (int)strcspn(shape, ")") + 1, shape, (int)MAX_COLUMNS);
    return CLI_OK;
}

/* Magic (6), version (2), length of the dictionary (2 bytes in version 1, else 4), dictionary, data. */
static int npy_parse(const char *path, const cli_bytes *bytes, npy_header *header)
{
    const uint8_t *data = bytes->data;
    size_t length_bytes = bytes->size > 6 && data[6] >= 2 ? 4 : 2, length = 0, start = 8 + length_bytes;
    if (bytes->size < start || memcmp(data, "\x93NUMPY", 6))
        return cli_error("%s: is not an .npy file", path);
    memcpy(&length, data + 8, length_bytes);
    if (data[6] < 1 || data[6] > 3 || length > MAX_NPY_HEADER || length > bytes->size - start)
        return cli_error("%s: its .npy header is damaged (version %d, %zu bytes)", path, data[6], length);
    char *text = cli_memory((int64_t)length + 1, 1);
    memcpy(text, data + start, length);
    header->data = start + length;
    int code = npy_dictionary(path, text, header);
    free(text);
    return code;
}

static uint32_t npy_dtype(const char *name)
{
    static const struct {
        const char *name;
        uint32_t dtype;
    } known[] = {{"<f4", SONDE_DTYPE_F32}, {"<f2", SONDE_DTYPE_F16}, {"<f8", NPY_F64},
                 {"|i1", SONDE_DTYPE_I8},  {"|u1", SONDE_DTYPE_U8},  {"<i4", SONDE_DTYPE_I32},
                 {"<i8", SONDE_DTYPE_I64}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!strcmp(known[i].name, name))
            return known[i].dtype;
    }
    return 0;
}

/* ---- Views over bytes ---------------------------------------------------------------------------------- */

/* True if `rows` rows of `row_bytes` fit behind `offset`; neither product nor sum can overflow here. */
static bool fits(const cli_bytes *bytes, size_t offset, int64_t rows, int64_t row_bytes)
{
    return offset <= bytes->size && (uint64_t)rows <= (bytes->size - offset) / (uint64_t)row_bytes;
}

static int too_short(const char *path, int64_t rows, int64_t cols, const cli_bytes *bytes)
{
    return cli_error("%s: its header says %lld x %lld, but with %zu bytes the file is too short for that",
                     path, (long long)rows, (long long)cols, bytes->size);
}

/* The only copy: the library has no f64. The file is no longer needed after it. */
static void convert_f64(cli_vectors *vectors, const uint8_t *data, int64_t rows, int64_t cols)
{
    vectors->converted = cli_memory(rows * cols, sizeof(float));
    for (int64_t i = 0; i < rows * cols; i++) {
        double value;
        memcpy(&value, data + i * 8, 8);
        vectors->converted[i] = (float)value;
    }
    vectors->array = sonde_f32(vectors->converted, rows, cols);
    cli_bytes_free(&vectors->bytes);
}

static int view_npy(const char *path, cli_vectors *vectors)
{
    npy_header header;
    int code = npy_parse(path, &vectors->bytes, &header);
    if (code)
        return code;
    uint32_t dtype = npy_dtype(header.dtype);
    if (!dtype)
        return cli_error("%s: holds '%s' numbers; f2, f4, f8, i1, u1, i4 and i8 (little-endian) can be read",
                         path, header.dtype);
    int64_t row_bytes = dtype == NPY_F64 ? header.cols * 8 : sonde_row_bytes(dtype, header.cols);
    if (!fits(&vectors->bytes, header.data, header.rows, row_bytes))
        return too_short(path, header.rows, header.cols, &vectors->bytes);
    const uint8_t *data = vectors->bytes.data + header.data;
    if (dtype == NPY_F64)
        convert_f64(vectors, data, header.rows, header.cols);
    else
        vectors->array = sonde_array_of(dtype, data, header.rows, header.cols);
    return CLI_OK;
}

/* The view begins behind the first count and steps over the others. A pass checks that all counts are equal. */
static int view_row_headers(const char *path, uint32_t dtype, cli_vectors *vectors)
{
    const cli_bytes *bytes = &vectors->bytes;
    int32_t cols = 0, other;
    if (bytes->size >= 4)
        memcpy(&cols, bytes->data, 4);
    if (cols < 1 || cols > MAX_COLUMNS)
        return cli_error("%s: its first row says %d columns; 1 to %d can be", path, (int)cols,
                         (int)MAX_COLUMNS);
    int64_t stride = 4 + sonde_row_bytes(dtype, cols), rows = (int64_t)bytes->size / stride;
    if ((int64_t)bytes->size % stride)
        return cli_error("%s: %zu bytes are not a whole number of rows of %d columns (%lld bytes each)", path,
                         bytes->size, (int)cols, (long long)stride);
    for (int64_t i = 1; i < rows; i++) {
        memcpy(&other, bytes->data + i * stride, 4);
        if (other != cols)
            return cli_error("%s: row %lld says %d columns, row 0 says %d", path, (long long)i, (int)other,
                             (int)cols);
    }
    vectors->array = sonde_array_of(dtype, bytes->data + 4, rows, cols);
    vectors->array.stride = stride;
    return CLI_OK;
}

static int view_file_header(const char *path, uint32_t dtype, cli_vectors *vectors)
{
    const cli_bytes *bytes = &vectors->bytes;
    uint32_t shape[2] = {0, 0};
    if (bytes->size >= 8)
        memcpy(shape, bytes->data, 8);
    if (shape[1] < 1 || shape[1] > MAX_COLUMNS)
        return cli_error("%s: its header says %u columns; 1 to %d can be", path, shape[1], (int)MAX_COLUMNS);
    if (!fits(bytes, 8, shape[0], sonde_row_bytes(dtype, shape[1])))
        return too_short(path, shape[0], shape[1], bytes);
    vectors->array = sonde_array_of(dtype, bytes->data + 8, shape[0], shape[1]);
    return CLI_OK;
}

/* The magic of .npy is believed more than an extension, so that pipes and other names work. */
int cli_vectors_read(const char *path, cli_vectors *vectors)
{
    memset(vectors, 0, sizeof *vectors);
    int code = cli_bytes_read(path, &vectors->bytes);
    if (code)
        return code;
    const cli_format *format = cli_format_of(path);
    bool numpy = vectors->bytes.size >= 6 && !memcmp(vectors->bytes.data, "\x93NUMPY", 6);
    if (numpy || (format && format->layout == CLI_NPY))
        code = view_npy(path, vectors);
    else if (!format)
        code = cli_error(
            "%s: the extension names no format of vectors: .npy .fvecs .bvecs .ivecs .fbin .u8bin .i8bin",
            path);
    else if (format->layout == CLI_ROW_HEADERS)
        code = view_row_headers(path, format->dtype, vectors);
    else
        code = view_file_header(path, format->dtype, vectors);
    if (code)
        cli_vectors_free(vectors);
    return code;
}

void cli_vectors_free(cli_vectors *vectors)
{
    cli_bytes_free(&vectors->bytes);
    free(vectors->converted);
    memset(vectors, 0, sizeof *vectors);
}

void cli_vectors_as_bits(cli_vectors *vectors)
{
    if (vectors->array.dtype == SONDE_DTYPE_U8) {
        vectors->array.dtype = SONDE_DTYPE_BITS;
        vectors->array.cols *= 8;
    }
}
