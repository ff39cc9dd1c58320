/* kernels.h: the table of hot loops. Each instruction set fills what it does better; a slot it leaves empty is served
 * by the next lower set, in the end by generic, so every slot is always callable. One folder per set with equal file
 * names; only those files see the set's compiler flags.
 *
 * Conventions: vectors are `d` elements, rows are `stride` bytes apart (any alignment), counts are >= 0 and may have
 * any tail; nothing is read past the last element of a row. f16 and bf16 are raw uint16_t. Floating results differ between sets
 * in the last bits (order of summation); integer results are equal on all sets. "ip" is the inner product.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_KERNELS_H
#define SONDE_SRC_KERNELS_H

#include <stdint.h>

#include "base/base.h"

/* The element types that rows can be stored in. Order is the index into the slots below. */
enum { SONDE__ROW_F32 = 0, SONDE__ROW_F16, SONDE__ROW_BF16, SONDE__ROW_I8, SONDE__ROW_U8, SONDE__ROW_KINDS };

/* Scores of one f32 query against `count` rows: out[i] for row i. */
typedef void (*sonde__rows_fn)(const float *query, const void *rows, int64_t stride, int64_t count, int64_t d, float *out);
/* The same for scattered rows, prefetched ahead: row i is base + offsets[i] (bytes). */
typedef void (*sonde__gather_fn)(const float *query, const void *base, const int64_t *offsets, int64_t count, int64_t d,
                                 float *out);

/* The tile product: TILE_ROWS x TILE_LANES at once, base rows as they lie in memory, queries packed in panels.
 * A panel holds `lanes` queries, dimension-major: panel[k * lanes + lane], unused lanes zero. */
#define SONDE__LANES_MAX 32

/* Logits whose largest value is kept together; levels of one survey; terms of one linear combination. */
enum { SONDE__LOGIT_BLOCK = 256, SONDE__LOGIT_LEVELS = 8, SONDE__TERMS_MAX = 8 };

/* Logits (or what else they go by) that were picked out of a row, with what goes along with each. */
typedef struct sonde__logit_list {
    float *values, *weights; /* weights may be NULL: there are none */
    int32_t *places;         /* of a list that is read, NULL: element i has the place first + i */
    int32_t first;
} sonde__logit_list;

/* One query of a fast scan: a table of 16 entries for each 4-bit number, in registers (kernels: nibble_*). */
enum { SONDE__NIBBLE_ROWS = 32, SONDE__NIBBLE_LANES = 4, SONDE__NIBBLE_MOST = 63 };
typedef struct sonde__nibble_lane {
    const uint8_t *lut; /* 64-byte aligned, 64 bytes a pair: the entries of number 2p twice, then those of 2p + 1 twice */
    float step, base;   /* what a sum of entries stands for: step * sum + base */
    float threshold;
} sonde__nibble_lane;

/* What became of a vector in whole numbers. */
typedef struct sonde__quantised {
    float step;
    int32_t sum;        /* of the codes */
    float lost, length; /* at least |x - step codes| and |x|, but for an error of 4 d eps (|x| + lost) */
} sonde__quantised;

/* What turns sums of tile_u8s8 into upper bounds of scores: for the lanes of a panel, and for rows. */
typedef struct sonde__bound_lanes {
    int32_t shift[SONDE__LANES_MAX];
    float scale[SONDE__LANES_MAX], reach[SONDE__LANES_MAX], blur[SONDE__LANES_MAX];
} sonde__bound_lanes;
typedef struct sonde__bound_rows { const float *step, *error, *length, *bias; } sonde__bound_rows;

typedef struct sonde__kernels {
    const char *name; /* "generic", "avx2", "avx512"; "neon", "crc32", "dotprod" */

    /* -- distances, by row type ------------------------------------------------------------------------------- */
    sonde__rows_fn ip_rows[SONDE__ROW_KINDS];
    sonde__rows_fn l2_rows[SONDE__ROW_KINDS];         /* squared */
    sonde__gather_fn ip_gather[SONDE__ROW_KINDS];
    sonde__gather_fn l2_gather[SONDE__ROW_KINDS];
    /* Same-type integer vectors, exact: sum over d <= 65536 fits 64 bits. */
    void (*ip_i8)(const int8_t *query, const int8_t *rows, int64_t stride, int64_t count, int64_t d, int64_t *out);
    void (*ip_u8)(const uint8_t *query, const uint8_t *rows, int64_t stride, int64_t count, int64_t d, int64_t *out);
    void (*l2_i8)(const int8_t *query, const int8_t *rows, int64_t stride, int64_t count, int64_t d, int64_t *out);
    void (*l2_u8)(const uint8_t *query, const uint8_t *rows, int64_t stride, int64_t count, int64_t d, int64_t *out);
    /* Quantised query (-64..64) against unsigned 8-bit codes: exact, out is the integer sum. */
    void (*ip_u8s8)(const int8_t *query, const uint8_t *rows, int64_t stride, int64_t count, int64_t d, int32_t *out);
    /* Hamming distance over `bytes` bytes. */
    void (*hamming)(const uint8_t *query, const uint8_t *rows, int64_t stride, int64_t count, int64_t bytes, int32_t *out);

    /* -- tile products (batches of queries) --------------------------------------------------------------------- */
    int64_t lanes; /* width of a panel: 16 or 32; a multiple of 8, at most SONDE__LANES_MAX */
    /* out[row * lanes + lane] = ip(rows[row], query lane), for `count` rows. The order of summation of one (row, lane)
     * does not depend on count or on the row's place, so equal rows get equal scores. */
    void (*tile_f32)(const float *panel, const float *rows, int64_t stride, int64_t count, int64_t d, float *out);
    /* The same on 8-bit codes: panel[(k / 4) * lanes * 4 + lane * 4 + k % 4], d padded to a multiple of 4 with zeros in
     * the panel (rows are not padded). Queries within -64..64. Exact. */
    void (*tile_u8s8)(const int8_t *panel, const uint8_t *rows, int64_t stride, int64_t count, int64_t d, int32_t *out);
    /* A vector in whole numbers: codes[j] = x[j] / step rounded, within -most..most (most <= 127), step = max |x| / most.
     * Where max |x| is outside 0x1p-50..0x1p52 all codes and the step are 0, and all of x is lost. The codes, the step
     * and the sum are the same on all sets. */
    void (*quantise)(const float *x, int64_t d, int32_t most, int8_t *codes, sonde__quantised *what);
    /* From this d on tile_u8s8 and ip_u8s8 are so much faster than the f32 loops that a first pass over bytes pays. */
    int64_t bytes_from;
    /* What can pass: for each (row, lane) the bound (sum - shift) * scale * step + reach * error + blur * length + bias, and
     * an entry row * lanes + lane in hits unless bound <= threshold[lane] (NaN passes). Returns how many; hits has room for
     * count * lanes. lanes is a multiple of 8. */
    int64_t (*tile_bound)(const int32_t *sums, int64_t count, int64_t lanes, const sonde__bound_lanes *panel,
                          const sonde__bound_rows *rows, const float *threshold, uint32_t *hits);
    /* Score s = out * scale[row] + bias[row] (scale or bias NULL = 1 or 0) written back in place, and for every
     * (row, lane) with s > threshold[lane] an entry row * lanes + lane appended to hits. Returns how many. hits has
     * room for count * lanes entries. NaN never passes. */
    int64_t (*tile_select)(float *tile, int64_t count, int64_t lanes, const float *scale, const float *bias,
                           const float *threshold, uint32_t *hits);
    /* Nearest panel lane for each row over all panels (k-means assignment): best score ip + bias[lane] over
     * panel_count * lanes centroids (bias of unused lanes = -inf). Ties go to the lower number. `second` (may be NULL) gets
     * the runner-up score. Meant for any d, fast for small d (8) too. */
    void (*nearest_f32)(const float *panels, const float *bias, int64_t panel_count, const float *rows, int64_t stride,
                        int64_t count, int64_t d, int32_t *best, float *score, float *second);

    /* -- selection ----------------------------------------------------------------------------------------------- */
    /* For each column of a tile (count >= 1 rows of `lanes`, a multiple of 8) the row whose entry + bias[row] is the largest,
     * the first of equal ones. NaN wins nowhere; row 0 where nothing else is there. The same on all sets. */
    void (*best_rows)(const float *tile, int64_t count, int64_t lanes, const float *bias, int32_t *best);
    /* A level that at least k of the values (1 <= k <= count, no NaN) reach: exactly k of them, or it is the k-th largest. */
    float (*kth_largest)(const float *values, int64_t count, int64_t k);
    /* Positions i with values[i] > threshold, ascending; returns how many. */
    int64_t (*above)(const float *values, int64_t count, float threshold, int32_t *positions);
    /* The same for values[i] < threshold of integers (Hamming). */
    int64_t (*below_i32)(const int32_t *values, int64_t count, int32_t threshold, int32_t *positions);

    /* -- codes ----------------------------------------------------------------------------------------------------- */
    /* Sum over m of table[j * 256 + code[j]] for each of count codes of m bytes. */
    void (*lookup_8)(const float *table, const uint8_t *codes, int64_t stride, int64_t count, int64_t m, float *out);
    /* 4-bit codes, two to a byte (even j in the low nibble), table[j * 16 + code]. */
    void (*lookup_4)(const float *table, const uint8_t *codes, int64_t stride, int64_t count, int64_t m, float *out);

    /* For each of `count` codes of `length` numbers below k, `stride` numbers apart: out[i * k + c] = base[i] + (first[c] + the sum
     * over j of tables[(j * k + code[j]) * k + c]), for c < k, summed in order of j. The same on all sets. */
    void (*chain_sums)(const float *first, const float *tables, const uint16_t *codes, int64_t stride, int64_t count,
                       int64_t length, int64_t k, const float *base, float *out);

    /* -- fast scan: 4-bit codes in blocks of 32 rows, byte by byte -------------------------------------------------- */
    /* Rounds a query's table (16 entries for each of count numbers) to 0..SONDE__NIBBLE_MOST: entry = round((table - least of
     * its 16) / step), ties to even, with step = the widest range / SONDE__NIBBLE_MOST (0 if all are 0); *base is the sum of
     * the least ones in order. lut has (count + 1) / 2 x 64 bytes; an odd last number is followed by zeros. */
    void (*nibble_round)(const float *table, int64_t count, uint8_t *lut, float *step, float *base);
    /* Byte p of row v of block b is blocks[(b * pairs + p) * 32 + v], its low nibble number 2p. For each block and lane (1..
     * SONDE__NIBBLE_LANES): score[v] = fma(fma(sum, step, base), scale, bias), with scale and bias of the row (NULL = 1 and
     * 0), and masks[b * lane_count + lane] = the rows of allowed[b] (NULL = all) with score > threshold. Where that is not 0,
     * scores[(b * lane_count + lane) * 32 + v] holds all 32. Blocks with allowed[b] = 0 are not read. pairs <= 65536. The same
     * to the bit on all sets. */
    void (*nibble_scan)(const uint8_t *blocks, int64_t block_count, int64_t pairs, const float *scale, const float *bias,
                        const uint32_t *allowed, const sonde__nibble_lane *lanes, int64_t lane_count, float *scores,
                        uint32_t *masks);

    /* -- conversion and packing ------------------------------------------------------------------------------------ */
    void (*to_f32[SONDE__ROW_KINDS])(const void *from, int64_t count, float *to);
    void (*f32_to_f16)(const float *from, int64_t count, uint16_t *to);  /* nearest even; overflow to infinity */
    void (*f32_to_bf16)(const float *from, int64_t count, uint16_t *to); /* nearest even; NaN stays quiet NaN */
    /* Transposes `count` <= lanes vectors of f32 (any alignment) into a panel; see sonde__pack_rows. */
    void (*pack_panel)(const void *const *queries, int64_t count, int64_t d, int64_t lanes, float *panel);

    /* -- small things ---------------------------------------------------------------------------------------------- */
    float (*norm2)(const float *x, int64_t d); /* squared length */
    void (*axpy)(float a, const float *x, int64_t n, float *y); /* y += a x */
    uint32_t (*crc32c)(uint32_t crc, const void *data, uint64_t bytes); /* Castagnoli; start with 0 */
    void (*fht)(float *x, int64_t n); /* Walsh-Hadamard in place, n a power of two, unscaled */
    /* The other steps of fast rotations. The same on all sets: signs flipped where bit i of `bits` is set, n a multiple of 8; and
     * (x, y) of the two halves becomes (x + y, x - y) times scale. */
    void (*flip_signs)(float *x, const uint8_t *bits, int64_t n);
    void (*kac_step)(float *x, int64_t half, float scale);
    int64_t (*first_nonfinite)(const float *x, int64_t count); /* position, or -1 */

    /* -- logits (one row of a vocabulary) -------------------------------------------------------------------------- */
    /* The largest of count >= 1 logits; NaN if one is NaN or +inf. block_max (may be NULL) gets the largest of each run of
     * SONDE__LOGIT_BLOCK. */
    float (*logit_max)(const float *logits, int64_t count, float *block_max);
    /* With g = scale (x - shift) and e = exp(g) for each logit (shift finite, x <= shift, scale > 0; -inf adds nothing): the
     * sums of e, e g and e g^2. */
    void (*logit_sums)(const float *logits, int64_t count, float shift, float scale, double sums[3]);
    /* out[i] = the same e, which is 0 from about g = -87 down; returns the sum of them. */
    double (*logit_exp)(const float *logits, int64_t count, float shift, float scale, float *out);
    /* out[i] = -|(x - most) - centre| in double, rounded to f32 once: the same order, but for new ties. */
    void (*logit_nearness)(const float *logits, int64_t count, double most, double centre, float *out);
    /* Of the elements with order[i] > levels[l], for each level, the mass (0 without weights) and the number
     * (counts NULL: not wanted). */
    void (*logit_survey)(const float *order, const float *weights, int64_t count,
                         const float levels[SONDE__LOGIT_LEVELS], double masses[SONDE__LOGIT_LEVELS],
                         int64_t counts[SONDE__LOGIT_LEVELS]);
    /* Copies the elements with low < order[i] <= high, in order; returns how many. The copies may lie where the
     * originals do, or before, and need no more room than they. Weights are copied if both lists have them. */
    int64_t (*logit_keep)(const float *order, int64_t count, float low, float high, const sonde__logit_list *from,
                          const sonde__logit_list *to);

    /* -- random ----------------------------------------------------------------------------------------------------- */
    /* out[4 * i .. 4 * i + 3] = the first four words of (seed, stream, rows[i]), as of sonde__rng_start and sonde__rng_u32. */
    void (*random_words)(uint64_t seed, uint32_t stream, const uint64_t *rows, int64_t count, uint32_t *out);
    /* Positions i with bytes[i] < weights[i] * scale in f64, ascending; returns how many. NaN never passes. */
    int64_t (*bytes_below)(const uint8_t *bytes, const float *weights, double scale, int64_t count, int32_t *positions);

    /* -- paths ------------------------------------------------------------------------------------------------------ */
    /* out[i] = sum over j of weights[j] * terms[j][i], summed in order of j, 1..SONDE__TERMS_MAX terms; out may be one of
     * them. True if every out[i] is finite. */
    bool (*combine)(const float *const *terms, const float *weights, int64_t term_count, int64_t count, float *out);
    /* Standard normals first .. first + count of (seed, stream, row). Values come in groups of 64 from 16 Philox blocks
     * (normals.h), and any part of a row can be made alone. */
    void (*normals)(uint64_t seed, uint32_t stream, uint64_t row, int64_t first, int64_t count, float *out);
} sonde__kernels;

/* The table in use: chosen once by CPU (and SONDE_ISA, which can only lower it). Never NULL. */
const sonde__kernels *sonde__kernels_get(void);
/* All tables that this build has, generic first; ends with NULL. `runs` tells whether this CPU can execute one. */
const sonde__kernels *const *sonde__kernels_all(void);
bool sonde__kernels_run(const sonde__kernels *kernels);

/* Row kind of a dtype (SONDE__ROW_*), or -1. */
int sonde__row_kind(uint32_t dtype);

/* ---- rows.c ------------------------------------------------------------------------------------------ */

/* Rows [begin, begin + count) of a numeric view as f32, `ldo` elements from one to the next (ldo >= cols). */
void sonde__rows_to_f32(const sonde_array *array, int64_t begin, int64_t count, float *out, int64_t ldo);
/* A panel of `count` <= lanes f32 rows that are `stride` bytes apart. */
void sonde__pack_rows(const void *rows, int64_t stride, int64_t count, int64_t d, int64_t lanes, float *panel);
/* Bytes of a panel for tile_u8s8, and one of its lanes; what is behind the last code must be 0 already. */
int64_t sonde__byte_panel(int64_t d, int64_t lanes);
void sonde__pack_bytes(const int8_t *codes, int64_t d, int64_t lane, int64_t lanes, int8_t *panel);

#endif
