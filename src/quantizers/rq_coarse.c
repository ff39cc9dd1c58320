/* rq_coarse.c: a first look at the products of rows with the codewords of a level, in whole numbers.
 *
 * Problem: most of the time of encoding goes into products of a row with all codewords in f32, of which few matter.
 * Idea: multiply bytes, which processors do several times as fast, and take only the codewords that come near the
 * best into f32. With x = x' + e and c = c' + f, where x' and c' are what is left of them in whole numbers,
 *
 *     <x, c> - <x', c'> = <e, c> + <x', f>
 *
 * Rounding errors have no direction: over d columns, the first term is about |e| |c| / sqrt(d), the second about
 * |x'| |f| / sqrt(d). Their root of summed squares is one deviation; the margin is COARSE_DEVIATIONS of them, where
 * the difference of two products has sqrt(2). A row for which that fails loses a little, and all that is compared in
 * the end is f32 anyway.
 *
 * Cost: k dim byte products a row; memory k (dim + 16) bytes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "quantizers/rq_coarse.h"

#include <math.h>
#include <string.h>

enum {
    COARSE_ROW_MOST = 127,
    COARSE_CODEWORD_MOST = 64,
    COARSE_CODEWORDS = 64, /* from so many on, and as many columns, the first look pays */
    COARSE_COLUMNS = 64,
    COARSE_GROUP = 64, /* rows of a tile */
    COARSE_DEVIATIONS = 5
};

bool sonde__coarse_pays(int64_t k, int64_t d)
{
    return k >= COARSE_CODEWORDS && d >= sonde__max_i64(COARSE_COLUMNS, sonde__kernels_get()->bytes_from);
}

static int64_t coarse_panels(int64_t k)
{
    int64_t lanes = sonde__kernels_get()->lanes;
    return (k + lanes - 1) / lanes;
}

static int64_t coarse_panel_bytes(int64_t d) { return sonde__byte_panel(d, sonde__kernels_get()->lanes); }

/* The lanes first, then the panels, then room for a codeword. */
int64_t sonde__coarse_bytes(int64_t k, int64_t d)
{
    int64_t panel = (int64_t)sizeof(sonde__bound_lanes) + coarse_panel_bytes(d);
    return (coarse_panels(k) * panel + d + 63) / 64 * 64;
}

static void coarse_codeword(sonde__coarse_book *book, int64_t number, const float *codeword, int8_t *codes)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    int64_t p = number / kernels->lanes, lane = number % kernels->lanes;
    sonde__quantised what;
    kernels->quantise(codeword, book->d, COARSE_CODEWORD_MOST, codes, &what);
    sonde__pack_bytes(codes, book->d, lane, kernels->lanes, book->codes + p * coarse_panel_bytes(book->d));
    book->lanes[p].shift[lane] = 128 * what.sum;
    book->lanes[p].scale[lane] = what.step;
    book->length = fmaxf(book->length, what.length);
    book->lost = fmaxf(book->lost, what.lost);
}

void sonde__coarse_prepare(sonde__coarse_book *book, const float *codewords, const float *bias, int64_t k, int64_t d,
                           void *memory)
{
    sonde__bound_lanes *lanes = memory;
    int8_t *codes = (int8_t *)(lanes + coarse_panels(k)), *spare = codes + coarse_panels(k) * coarse_panel_bytes(d);
    memset(memory, 0, (size_t)sonde__coarse_bytes(k, d));
    *book = (sonde__coarse_book){.k = k, .d = d, .bias = bias, .codes = codes, .lanes = lanes};
    for (int64_t c = 0; c < k; c++) coarse_codeword(book, c, codewords + c * d, spare);
}

/* Rows are multiplied as bytes without signs: 128 more than they are. */
void sonde__coarse_round(const float *x, int64_t ldx, int64_t n, int64_t d, const sonde__coarse_rows *rows)
{
    for (int64_t i = 0; i < n; i++) {
        uint8_t *image = rows->images + i * d;
        sonde__kernels_get()->quantise(x + i * ldx, d, COARSE_ROW_MOST, (int8_t *)image, &rows->what[i]);
        for (int64_t j = 0; j < d; j++) image[j] ^= 128;
    }
}

/* Sums of a panel become products of one row. */
static void coarse_scale(const int32_t *sums, const sonde__bound_lanes *lanes, const float *bias, float step,
                         int64_t used, float *out)
{
    for (int64_t lane = 0; lane < used; lane++)
        out[lane] = (float)(sums[lane] - lanes->shift[lane]) * (lanes->scale[lane] * step) + bias[lane];
}

static void coarse_group(const sonde__coarse_book *book, const sonde__coarse_rows *rows, int64_t first, int64_t count,
                         float *out)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    int32_t sums[COARSE_GROUP * SONDE__LANES_MAX];
    int64_t d = book->d, lanes = kernels->lanes;
    for (int64_t p = 0; p * lanes < book->k; p++) {
        int64_t used = sonde__min_i64(lanes, book->k - p * lanes);
        kernels->tile_u8s8(book->codes + p * coarse_panel_bytes(d), rows->images + first * d, d, count, d, sums);
        for (int64_t i = 0; i < count; i++)
            coarse_scale(sums + i * lanes, &book->lanes[p], book->bias + p * lanes, rows->what[first + i].step, used,
                         out + (first + i) * book->k + p * lanes);
    }
}

void sonde__coarse_products(const sonde__coarse_book *book, const sonde__coarse_rows *rows, int64_t n, float *out)
{
    for (int64_t first = 0; first < n; first += COARSE_GROUP)
        coarse_group(book, rows, first, sonde__min_i64(COARSE_GROUP, n - first), out);
}

float sonde__coarse_margin(const sonde__coarse_book *book, const sonde__quantised *row)
{
    float of_row = row->lost * book->length, of_codeword = row->length * book->lost;
    return COARSE_DEVIATIONS * sqrtf(2 * (of_row * of_row + of_codeword * of_codeword) / (float)book->d);
}
