/* nibbles.c (avx512): the fast scan of 4-bit codes. A byte permutation of 32 bytes reads the lowest five bits
 * of an index, so in a register that holds the 16 entries of a number twice, the bit above a nibble chooses
 * between equals: the bytes are looked up as they are, then shifted by four, and need no masks. Entries are
 * at most 63, so the lookups of two code bytes (four numbers) are added as bytes; only then they are widened:
 * `all` adds the 16-bit words as they are, `odd` their upper bytes, and all - 256 odd, which wraps around as
 * often as `all` did, is the sum of the lower ones.
 *
 * The lookups stay in registers of 32 bytes: one of 64 bytes would have to be put together from two blocks
 * and two tables, which on Zen 4 takes more than it saves. Up to four lanes share the loads and the shifts.
 *
 * Cost: 12 operations a lane for 128 lookups, 10.5 with four lanes.
 *
 * SPDX-License-Identifier: MIT
 */
#include <immintrin.h>

#include "kernels/slots.h"

/* Pairs whose sums of four lookups fit 16 bits: FLUSH / 2 x 4 x 63 < 65536. */
enum {
    ENTRIES = 16,
    TWICE = 2 * ENTRIES,
    ROWS = SONDE__NIBBLE_ROWS,
    FLUSH = 512,
    AT_ONCE = 4,
    LANES = SONDE__NIBBLE_LANES
};

typedef struct word_sums {
    __m256i all, odd;
} word_sums;

/* What a block's rows are judged by; scale and bias hold its 32 rows. */
typedef struct block_rows {
    const uint8_t *codes;
    const float *scale, *bias;
    uint32_t allowed;
    int64_t ahead; /* bytes: where to fetch from meanwhile */
} block_rows;

/* ---- sums ---------------------------------------------------------------------------------------------- */

/* 32 code bytes. Compilers would load them anew for each use, and there are two load ports only. */
SONDE__INLINE __m256i load_codes(const uint8_t *codes)
{
    __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)codes);
    __asm__("" : "+v"(x));
    return x;
}

SONDE__INLINE __m256i look_up(const uint8_t *entries, __m256i numbers)
{
    __m256i table = _mm256_load_si256((const __m256i *)(const void *)entries);
    return _mm256_permutexvar_epi8(numbers, table);
}

/* Adds the entries of `bytes` (1 or 2) code bytes of 32 rows. */
SONDE__INLINE void add_bytes(const uint8_t *codes, const int bytes, const uint8_t *const *luts, int64_t at,
                             const int lane_count, word_sums *sums)
{
    __m256i numbers[4];
#pragma GCC unroll 2
    for (int i = 0; i < bytes; i++) {
        numbers[2 * i] = load_codes(codes + i * ROWS);
        numbers[2 * i + 1] = _mm256_srli_epi16(numbers[2 * i], 4);
    }
    for (int lane = 0; lane < lane_count; lane++) {
        const uint8_t *lut = luts[lane] + at;
        __m256i sum = _mm256_add_epi8(look_up(lut, numbers[0]), look_up(lut + TWICE, numbers[1]));
        if (bytes == 2) {
            __m256i more = _mm256_add_epi8(look_up(lut + 2 * TWICE, numbers[2]),
                                           look_up(lut + 3 * TWICE, numbers[3]));
            sum = _mm256_add_epi8(sum, more);
        }
        sums[lane].all = _mm256_add_epi16(sums[lane].all, sum);
        sums[lane].odd = _mm256_add_epi16(sums[lane].odd, _mm256_srli_epi16(sum, 8));
    }
}

/* Sums of the code bytes [begin, end) of 32 rows. */
SONDE__INLINE void sum_bytes(const uint8_t *codes, int64_t begin, int64_t end, int64_t ahead,
                             const sonde__nibble_lane *lanes, const int lane_count, word_sums *sums)
{
    const uint8_t *luts[LANES];
    int64_t p = begin;
    for (int lane = 0; lane < lane_count; lane++) {
        luts[lane] = lanes[lane].lut;
        sums[lane] = (word_sums){_mm256_setzero_si256(), _mm256_setzero_si256()};
    }
    for (; p + AT_ONCE <= end; p += AT_ONCE) {
#pragma GCC unroll 8
        for (int i = 0; i < AT_ONCE; i += 2) {
            __builtin_prefetch(codes + (p + i) * ROWS + ahead, 0, 3);
            add_bytes(codes + (p + i) * ROWS, 2, luts, (p + i) * 2 * TWICE, lane_count, sums);
        }
    }
    for (; p + 2 <= end; p += 2) add_bytes(codes + p * ROWS, 2, luts, p * 2 * TWICE, lane_count, sums);
    if (p < end) add_bytes(codes + p * ROWS, 1, luts, p * 2 * TWICE, lane_count, sums);
}

/* The sums of 32 rows in order: row 2 i is word i of the even ones. */
SONDE__INLINE void row_sums(word_sums words, __m512 sums[2])
{
    const __m512i order = _mm512_set_epi32(39, 7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    const __m512i later = _mm512_add_epi32(order, _mm512_set1_epi32(8));
    __m512i odd = _mm512_castsi256_si512(words.odd);
    __m512i even = _mm512_castsi256_si512(_mm256_sub_epi16(words.all, _mm256_slli_epi16(words.odd, 8)));
    sums[0] = _mm512_cvtepi32_ps(_mm512_maskz_permutex2var_epi16(0x55555555, even, order, odd));
    sums[1] = _mm512_cvtepi32_ps(_mm512_maskz_permutex2var_epi16(0x55555555, even, later, odd));
}

/* The sums of what lies beyond the first FLUSH code bytes, for one lane: rare, so out of the way. */
static __attribute__((noinline)) void rest_sums(const uint8_t *codes, int64_t pairs,
                                                const sonde__nibble_lane *lane, __m512 sums[2])
{
    word_sums words;
    __m512 more[2];
    for (int i = 0; i < 2; i++) sums[i] = _mm512_setzero_ps();
    for (int64_t begin = FLUSH; begin < pairs; begin += FLUSH) {
        sum_bytes(codes, begin, sonde__min_i64(begin + FLUSH, pairs), SONDE__AHEAD_BYTES, lane, 1, &words);
        row_sums(words, more);
        for (int i = 0; i < 2; i++) sums[i] = _mm512_add_ps(sums[i], more[i]);
    }
}

/* ---- scores -------------------------------------------------------------------------------------------- */

SONDE__INLINE __m512 score_of(__m512 sums, const sonde__nibble_lane *lane, const float *scale,
                              const float *bias)
{
    __m512 score = _mm512_fmadd_ps(sums, _mm512_set1_ps(lane->step), _mm512_set1_ps(lane->base));
    return _mm512_fmadd_ps(score, _mm512_loadu_ps(scale), _mm512_loadu_ps(bias));
}

/* The rows that pass; `scores` is written if there is one. */
SONDE__INLINE uint32_t passing_rows(const __m512 sums[2], const block_rows *rows,
                                    const sonde__nibble_lane *lane, float *scores)
{
    const __m512 threshold = _mm512_set1_ps(lane->threshold);
    __m512 low = score_of(sums[0], lane, rows->scale, rows->bias);
    __m512 high = score_of(sums[1], lane, rows->scale + ROWS / 2, rows->bias + ROWS / 2);
    __mmask16 pass_low = _mm512_cmp_ps_mask(low, threshold, _CMP_GT_OQ);
    __mmask16 pass_high = _mm512_cmp_ps_mask(high, threshold, _CMP_GT_OQ);
    uint32_t mask = (pass_low | (uint32_t)pass_high << 16) & rows->allowed;
    if (mask) {
        _mm512_storeu_ps(scores, low);
        _mm512_storeu_ps(scores + ROWS / 2, high);
    }
    return mask;
}

SONDE__INLINE void scan_block(const block_rows *rows, int64_t pairs, const sonde__nibble_lane *lanes,
                              const int lane_count, float *scores, uint32_t *masks)
{
    word_sums words[LANES];
    sum_bytes(rows->codes, 0, sonde__min_i64(FLUSH, pairs), rows->ahead, lanes, lane_count, words);
    for (int lane = 0; lane < lane_count; lane++) {
        __m512 sums[2], rest[2];
        row_sums(words[lane], sums);
        if (pairs > FLUSH) {
            rest_sums(rows->codes, pairs, lanes + lane, rest);
            for (int i = 0; i < 2; i++) sums[i] = _mm512_add_ps(sums[i], rest[i]);
        }
        masks[lane] = passing_rows(sums, rows, lanes + lane, scores + lane * ROWS);
    }
}

static void nibble_scan(const uint8_t *blocks, int64_t block_count, int64_t pairs, const float *scale,
                        const float *bias, const uint32_t *allowed, const sonde__nibble_lane *lanes,
                        int64_t lane_count, float *scores, uint32_t *masks)
{
    _Alignas(64) float ones[ROWS], zeros[ROWS] = {0};
    for (int v = 0; v < ROWS; v++) ones[v] = 1;
    for (int64_t b = 0; b < block_count; b++, scores += lane_count * ROWS, masks += lane_count) {
        const block_rows rows = {blocks + b * pairs * ROWS, scale ? scale + b * ROWS : ones,
                                 bias ? bias + b * ROWS : zeros, allowed ? allowed[b] : UINT32_MAX,
                                 sonde__ahead_of_block(block_count - b, pairs * ROWS)};
        if (!rows.allowed) {
            memset(masks, 0, (size_t)lane_count * sizeof *masks);
            continue;
        }
        switch (lane_count) {
        case 1: scan_block(&rows, pairs, lanes, 1, scores, masks); break;
        case 2: scan_block(&rows, pairs, lanes, 2, scores, masks); break;
        case 3: scan_block(&rows, pairs, lanes, 3, scores, masks); break;
        default: scan_block(&rows, pairs, lanes, 4, scores, masks); break;
        }
    }
}

const sonde__kernels sonde__avx512_nibbles = {.nibble_scan = nibble_scan};
