/* nibbles.c (avx2): the fast scan of 4-bit codes. The 16 entries of a number fill half a register, and one
 * shuffle looks up 32 rows. Entries are at most 63, so the lookups of two code bytes (four numbers) are added
 * as bytes; only then they are widened: `all` adds the 16-bit words as they are, `odd` their upper bytes, and
 * all - 256 odd, which wraps around as often as `all` did, is the sum of the lower ones. Andre, Kermarrec and
 * Le Scouarnec, "Quicker ADC", 2019, widen after every lookup.
 *
 * Sums are made for two at a time, which is what 16 registers hold: two lanes share the loads and the
 * splitting of the codes, and where there is one lane, two blocks share the loads of its table.
 *
 * Where rows have no scale and no bias, scores grow with the sums, so that whole numbers tell which blocks
 * hold no row above the threshold; most blocks of a search end there.
 *
 * Cost: 16 operations a lane for 128 lookups, 13 with two lanes.
 *
 * SPDX-License-Identifier: MIT
 */
#include <immintrin.h>
#include <math.h>

#include "kernels/slots.h"

/* Pairs whose sums of four lookups fit 16 bits: FLUSH / 2 x 4 x 63 < 65536. */
enum { ENTRIES = 16, TWICE = 2 * ENTRIES, ROWS = SONDE__NIBBLE_ROWS, FLUSH = 512, SUMS = 2 };

typedef struct word_sums {
    __m256i all, odd;
} word_sums;

/* Everything of a call; the steps lead from the scales and biases of a block to those of the next. */
typedef struct scan {
    const uint8_t *blocks;
    int64_t block_count, pairs;
    const float *scale, *bias;
    int64_t scale_step, bias_step;
    const uint32_t *allowed; /* may be NULL */
    const sonde__nibble_lane *lanes;
    int64_t lane_count;
    float *scores;
    uint32_t *masks;
    int32_t too_small[SONDE__NIBBLE_LANES]; /* sums up to this do not pass; -1: nothing is known */
} scan;

/* ---- tables -------------------------------------------------------------------------------------------- */

SONDE__INLINE float least_of(__m256 x)
{
    __m128 y = _mm_min_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_min_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_min_ss(y, _mm_movehdup_ps(y)));
}

/* The least of 16 entries and how far the largest lies above it. The second operand is what a minimum with
 * NaN gives. */
SONDE__INLINE float entry_range(const float *entries, float *least)
{
    const __m256 most = _mm256_set1_ps(__builtin_inff()), minus = _mm256_set1_ps(-0.0f);
    __m256 a = _mm256_loadu_ps(entries), b = _mm256_loadu_ps(entries + 8);
    *least = least_of(_mm256_min_ps(b, _mm256_min_ps(a, most)));
    return -least_of(_mm256_min_ps(_mm256_xor_ps(b, minus), _mm256_min_ps(_mm256_xor_ps(a, minus), most))) -
           *least;
}

/* Eight entries as 32-bit integers: at most 63, and 0 for NaN. */
SONDE__INLINE __m256i rounded_entries(const float *entries, __m256 least, __m256 step)
{
    __m256 steps = _mm256_div_ps(_mm256_sub_ps(_mm256_loadu_ps(entries), least), step);
    steps = _mm256_min_ps(_mm256_max_ps(steps, _mm256_setzero_ps()), _mm256_set1_ps(SONDE__NIBBLE_MOST));
    return _mm256_cvtps_epi32(steps);
}

SONDE__INLINE void store_entries(const float *entries, float least, float step, uint8_t *lut)
{
    __m256 from = _mm256_set1_ps(least), steps = _mm256_set1_ps(step);
    __m256i words = _mm256_packs_epi32(rounded_entries(entries, from, steps),
                                       rounded_entries(entries + 8, from, steps));
    words = _mm256_permute4x64_epi64(words, 0xd8);
    __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm256_store_si256((__m256i *)(void *)lut, _mm256_broadcastsi128_si256(bytes));
}

static void nibble_round(const float *table, int64_t count, uint8_t *lut, float *step, float *base)
{
    float widest = 0, least, sum = 0;
    for (int64_t j = 0; j < count; j++) {
        float range = entry_range(table + j * ENTRIES, &least);
        widest = range > widest ? range : widest;
        sum += range >= 0 && range < __builtin_inff() ? least : __builtin_nanf("");
    }
    *step = widest / SONDE__NIBBLE_MOST;
    *base = sum;
    for (int64_t j = 0; j < count; j++) {
        entry_range(table + j * ENTRIES, &least);
        store_entries(table + j * ENTRIES, least, *step, lut + j * TWICE);
    }
    if (count % 2) memset(lut + count * TWICE, 0, TWICE);
}

/* ---- sums ---------------------------------------------------------------------------------------------- */

/* 32 code bytes. Compilers would load them anew for each use, and there are two load ports only. */
SONDE__INLINE __m256i load_codes(const uint8_t *codes)
{
    __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)codes);
    __asm__("" : "+x"(x));
    return x;
}

SONDE__INLINE __m256i load_table(const uint8_t *entries)
{
    return _mm256_load_si256((const __m256i *)(const void *)entries);
}

/* Adds the entries of `bytes` (1 or 2) code bytes from byte p on: sums[block * lane_count + lane]. */
SONDE__INLINE void add_bytes(const uint8_t *const *codes, const int block_count, int64_t p, const int bytes,
                             const uint8_t *const *luts, const int lane_count, word_sums *sums)
{
    const __m256i low = _mm256_set1_epi8(15);
    __m256i sum[SUMS];
#pragma GCC unroll 2
    for (int i = 0; i < bytes; i++) {
        __m256i first[SUMS], second[SUMS];
        for (int block = 0; block < block_count; block++) {
            __m256i x = load_codes(codes[block] + (p + i) * ROWS);
            first[block] = _mm256_and_si256(x, low);
            second[block] = _mm256_and_si256(_mm256_srli_epi16(x, 4), low);
        }
#pragma GCC unroll 2
        for (int unit = 0; unit < block_count * lane_count; unit++) {
            const uint8_t *lut = luts[unit % lane_count] + (p + i) * 2 * TWICE;
            __m256i both = _mm256_add_epi8(
                _mm256_shuffle_epi8(load_table(lut), first[unit / lane_count]),
                _mm256_shuffle_epi8(load_table(lut + TWICE), second[unit / lane_count]));
            sum[unit] = i == 0 ? both : _mm256_add_epi8(sum[unit], both);
        }
    }
#pragma GCC unroll 2
    for (int unit = 0; unit < block_count * lane_count; unit++) {
        sums[unit].all = _mm256_add_epi16(sums[unit].all, sum[unit]);
        sums[unit].odd = _mm256_add_epi16(sums[unit].odd, _mm256_srli_epi16(sum[unit], 8));
    }
}

/* Sums of the code bytes [begin, end) of one or two blocks for the lanes that start with `lanes`. */
SONDE__INLINE void sum_bytes(const uint8_t *const *codes, const int block_count, int64_t begin, int64_t end, int64_t ahead,
                             const sonde__nibble_lane *lanes, const int lane_count, word_sums *sums)
{
    const uint8_t *luts[SUMS];
    int64_t p = begin;
    for (int lane = 0; lane < lane_count; lane++) luts[lane] = lanes[lane].lut;
    for (int unit = 0; unit < block_count * lane_count; unit++)
        sums[unit] = (word_sums){_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (; p + 2 <= end; p += 2) { /* unrolled further, the code would need more than 16 registers */
        for (int block = 0; block < block_count; block++)
            __builtin_prefetch(codes[block] + p * ROWS + ahead, 0, 3);
        add_bytes(codes, block_count, p, 2, luts, lane_count, sums);
    }
    if (p < end) add_bytes(codes, block_count, p, 1, luts, lane_count, sums);
}

/* The 16 sums of rows whose bytes are the lower ones of their words. */
SONDE__INLINE __m256i even_sums(word_sums words)
{
    return _mm256_sub_epi16(words.all, _mm256_slli_epi16(words.odd, 8));
}

SONDE__INLINE __m256 words_to_f32(__m128i words) { return _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(words)); }

/* The sums of 32 rows in order. */
SONDE__INLINE void row_sums(word_sums words, __m256 sums[4])
{
    __m256i even = even_sums(words);
    __m256i low = _mm256_unpacklo_epi16(even, words.odd), high = _mm256_unpackhi_epi16(even, words.odd);
    sums[0] = words_to_f32(_mm256_castsi256_si128(low));
    sums[1] = words_to_f32(_mm256_castsi256_si128(high));
    sums[2] = words_to_f32(_mm256_extracti128_si256(low, 1));
    sums[3] = words_to_f32(_mm256_extracti128_si256(high, 1));
}

/* The sums of what lies beyond the first FLUSH code bytes, for one lane: rare, so out of the way. */
static __attribute__((noinline)) void rest_sums(const uint8_t *codes, int64_t pairs,
                                                const sonde__nibble_lane *lane, __m256 sums[4])
{
    word_sums words;
    __m256 more[4];
    for (int i = 0; i < 4; i++) sums[i] = _mm256_setzero_ps();
    for (int64_t begin = FLUSH; begin < pairs; begin += FLUSH) {
        sum_bytes(&codes, 1, begin, sonde__min_i64(begin + FLUSH, pairs), SONDE__AHEAD_BYTES, lane, 1, &words);
        row_sums(words, more);
        for (int i = 0; i < 4; i++) sums[i] = _mm256_add_ps(sums[i], more[i]);
    }
}

/* ---- scores -------------------------------------------------------------------------------------------- */

/* The largest sum that is known not to pass where scores are step * sum + base, or -1. */
static int32_t too_small_sum(const sonde__nibble_lane *lane)
{
    float crossing = (lane->threshold - lane->base) / lane->step;
    if (!(lane->step > 0 && crossing > -1)) return -1;
    int32_t sum = (int32_t)(crossing < UINT16_MAX ? crossing + 1 : UINT16_MAX);
    for (int tries = 0; tries < 3 && sum >= 0; tries++, sum--) /* rounding moves the crossing */
        if (!(fmaf((float)sum, lane->step, lane->base) > lane->threshold)) return sum;
    return -1;
}

/* false if none of 32 rows has a sum above too_small. */
SONDE__INLINE bool may_pass(word_sums words, int32_t too_small)
{
    const __m256i most = _mm256_set1_epi16((int16_t)too_small);
    __m256i above = _mm256_or_si256(_mm256_subs_epu16(even_sums(words), most),
                                    _mm256_subs_epu16(words.odd, most));
    return too_small < 0 || !_mm256_testz_si256(above, above);
}

/* Judges the 32 rows of a block, and writes their mask and scores if one passes. */
SONDE__INLINE void judge_block(const scan *task, int64_t block, int64_t lane, const __m256 sums[4])
{
    const float *scale = task->scale + block * task->scale_step, *bias = task->bias + block * task->bias_step;
    const sonde__nibble_lane *by = task->lanes + lane;
    const __m256 step = _mm256_set1_ps(by->step), base = _mm256_set1_ps(by->base);
    const __m256 threshold = _mm256_set1_ps(by->threshold);
    const int64_t at = block * task->lane_count + lane;
    __m256 score[4], pass[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        score[i] = _mm256_fmadd_ps(_mm256_fmadd_ps(sums[i], step, base), _mm256_loadu_ps(scale + 8 * i),
                                   _mm256_loadu_ps(bias + 8 * i));
        pass[i] = _mm256_cmp_ps(score[i], threshold, _CMP_GT_OQ);
    }
    __m256 any = _mm256_or_ps(_mm256_or_ps(pass[0], pass[1]), _mm256_or_ps(pass[2], pass[3]));
    if (_mm256_testz_ps(any, any)) return;
    uint32_t mask = 0;
    for (int i = 0; i < 4; i++) mask |= (uint32_t)_mm256_movemask_ps(pass[i]) << (8 * i);
    if (task->allowed) mask &= task->allowed[block];
    task->masks[at] = mask;
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) _mm256_storeu_ps(task->scores + at * ROWS + 8 * i, score[i]);
}

/* Scans one block for one or two lanes, or two blocks for one. */
SONDE__INLINE void scan_blocks(const scan *task, const int64_t *blocks, const int block_count,
                               int64_t first_lane, const int lane_count)
{
    const sonde__nibble_lane *lanes = task->lanes + first_lane;
    const uint8_t *codes[SUMS];
    word_sums words[SUMS];
    for (int i = 0; i < block_count; i++) codes[i] = task->blocks + blocks[i] * task->pairs * ROWS;
    int64_t left = task->block_count - blocks[block_count - 1], ahead = sonde__ahead_of_block(left, task->pairs * ROWS);
    sum_bytes(codes, block_count, 0, sonde__min_i64(FLUSH, task->pairs), ahead, lanes, lane_count, words);
#pragma GCC unroll 2
    for (int unit = 0; unit < block_count * lane_count; unit++) {
        const int64_t block = blocks[unit / lane_count], lane = first_lane + unit % lane_count;
        __m256 sums[4], rest[4];
        task->masks[block * task->lane_count + lane] = 0;
        if (!may_pass(words[unit], task->too_small[lane])) continue;
        row_sums(words[unit], sums);
        if (task->pairs > FLUSH) {
            rest_sums(codes[unit / lane_count], task->pairs, task->lanes + lane, rest);
            for (int i = 0; i < 4; i++) sums[i] = _mm256_add_ps(sums[i], rest[i]);
        }
        judge_block(task, block, lane, sums);
    }
}

/* The first allowed block from `block` on, or block_count. */
SONDE__INLINE int64_t next_block(const scan *task, int64_t block)
{
    while (task->allowed && block < task->block_count && !task->allowed[block]) block++;
    return block;
}

static void scan_for_one(const scan *task)
{
    int64_t block = next_block(task, 0);
    while (block < task->block_count) {
        const int64_t both[2] = {block, next_block(task, block + 1)};
        if (both[1] >= task->block_count) {
            scan_blocks(task, both, 1, 0, 1);
            return;
        }
        scan_blocks(task, both, 2, 0, 1);
        block = next_block(task, both[1] + 1);
    }
}

static void scan_for_more(const scan *task)
{
    int64_t block = next_block(task, 0);
    for (; block < task->block_count; block = next_block(task, block + 1)) {
        scan_blocks(task, &block, 1, 0, 2);
        if (task->lane_count == 3) scan_blocks(task, &block, 1, 2, 1);
        if (task->lane_count == 4) scan_blocks(task, &block, 1, 2, 2);
    }
}

static void nibble_scan(const uint8_t *blocks, int64_t block_count, int64_t pairs, const float *scale,
                        const float *bias, const uint32_t *allowed, const sonde__nibble_lane *lanes,
                        int64_t lane_count, float *scores, uint32_t *masks)
{
    _Alignas(64) float ones[ROWS], zeros[ROWS] = {0};
    for (int v = 0; v < ROWS; v++) ones[v] = 1;
    scan task = {.blocks = blocks, .block_count = block_count, .pairs = pairs,
                 .scale = scale ? scale : ones, .bias = bias ? bias : zeros,
                 .scale_step = scale ? ROWS : 0, .bias_step = bias ? ROWS : 0,
                 .allowed = allowed, .lanes = lanes, .lane_count = lane_count, .scores = scores,
                 .masks = masks};
    const bool by_sum = !scale && !bias && pairs <= FLUSH;
    for (int64_t i = 0; i < lane_count; i++) task.too_small[i] = by_sum ? too_small_sum(lanes + i) : -1;
    if (allowed) memset(masks, 0, (size_t)(block_count * lane_count) * sizeof *masks);
    if (lane_count == 1) scan_for_one(&task);
    else scan_for_more(&task);
}

const sonde__kernels sonde__avx2_nibbles = {.nibble_round = nibble_round, .nibble_scan = nibble_scan};
