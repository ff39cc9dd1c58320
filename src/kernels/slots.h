/* slots.h: the parts of the tables. Each file of a set fills the slots it has in one constant, named after the set and
 * the file; dispatch.c lays the parts of the sets over each other, lowest set first. A set that fills `lanes` also
 * fills tile_f32, tile_u8s8 and nearest_f32, because these agree on the width of a panel.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_SLOTS_H
#define SONDE_SRC_SLOTS_H

#include <string.h>

#include "kernels/kernels.h"

extern const sonde__kernels sonde__generic_distance, sonde__generic_integer, sonde__generic_tile,
    sonde__generic_select, sonde__generic_codes, sonde__generic_convert, sonde__generic_small,
    sonde__generic_logits, sonde__generic_paths, sonde__generic_random, sonde__generic_nibbles,
    sonde__generic_chains;
extern const sonde__kernels sonde__avx2_distance, sonde__avx2_integer, sonde__avx2_tile, sonde__avx2_select,
    sonde__avx2_codes, sonde__avx2_convert, sonde__avx2_small,
    sonde__avx2_logits, sonde__avx2_paths, sonde__avx2_random, sonde__avx2_nibbles,
    sonde__avx2_chains;
extern const sonde__kernels sonde__avx512_distance, sonde__avx512_integer, sonde__avx512_tile, sonde__avx512_select,
    sonde__avx512_codes, sonde__avx512_convert, sonde__avx512_small,
    sonde__avx512_logits, sonde__avx512_paths, sonde__avx512_random, sonde__avx512_nibbles,
    sonde__avx512_chains;
extern const sonde__kernels sonde__neon_distance, sonde__neon_integer, sonde__neon_tile, sonde__neon_select,
    sonde__neon_codes, sonde__neon_convert, sonde__neon_small,
    sonde__neon_logits, sonde__neon_paths, sonde__neon_random, sonde__neon_nibbles;
/* Of neon's folder, but sets of their own, as not every AArch64 processor runs them. */
extern const sonde__kernels sonde__neon_crc32, sonde__neon_dotprod;

/* Kernels are written once with constants such as the row type as parameters; inlining makes the variants. */
#define SONDE__INLINE static inline __attribute__((always_inline))

/* Scores of any rows, side by side or scattered: row i is at base + (offsets ? offsets[i] : i * stride). */
typedef struct sonde__places {
    const uint8_t *base;
    const int64_t *offsets;
    int64_t stride;
} sonde__places;

SONDE__INLINE const uint8_t *sonde__row_at(const sonde__places *rows, int64_t i)
{
    return rows->base + (rows->offsets ? rows->offsets[i] : i * rows->stride);
}

/* Bytes of an element of a row type. */
SONDE__INLINE int64_t sonde__row_size(int kind)
{
    return kind == SONDE__ROW_F32 ? 4 : kind == SONDE__ROW_F16 || kind == SONDE__ROW_BF16 ? 2 : 1;
}

/* Rows may have any alignment, so elements are loaded through memcpy, which compilers turn into plain loads. */
SONDE__INLINE float sonde__load_f32(const void *from)
{
    float value;
    memcpy(&value, from, sizeof value);
    return value;
}

SONDE__INLINE uint32_t sonde__load_u32(const void *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

SONDE__INLINE uint16_t sonde__load_u16(const void *from)
{
    uint16_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

SONDE__INLINE uint64_t sonde__load_u64(const void *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

SONDE__INLINE float sonde__bits_to_f32(uint32_t bits) { return sonde__load_f32(&bits); }

SONDE__INLINE float sonde__bf16_to_f32(uint16_t x) { return sonde__bits_to_f32((uint32_t)x << 16); }

/* Shifting a half's exponent and fraction into place leaves it 2^112 too small, subnormals included. */
SONDE__INLINE float sonde__f16_to_f32(uint16_t x)
{
    uint32_t sign = (uint32_t)(x & 0x8000) << 16, magnitude = x & 0x7fff;
    if (magnitude >= 0x7c00) {
        uint32_t quiet = magnitude > 0x7c00 ? 0x400000 : 0;
        return sonde__bits_to_f32(sign | 0x7f800000 | quiet | (magnitude & 0x3ff) << 13);
    }
    float scaled = sonde__bits_to_f32(magnitude << 13) * 0x1p112f;
    return sonde__bits_to_f32(sign | sonde__load_u32(&scaled));
}

/* Keeps a prefetch where it stands: GCC 12 deletes prefetch loops whose trip count is known only at run time. */
SONDE__INLINE void sonde__prefetch(const void *address)
{
    __builtin_prefetch(address, 0, 3);
    __asm__ volatile("" ::: "memory");
}

/* ---- walking over rows --------------------------------------------------------------------------------------------
 * One row at a time is read, in order of addresses: several rows read side by side are more streams than the
 * processor's own prefetcher follows, and reach less than half of the memory's speed. What comes is fetched ahead:
 *   packed rows     SONDE__AHEAD_BYTES behind the place that is read
 *   all others      row by row, about forty lines in flight; of long rows the first eight lines, because the
 *                   processor's prefetcher follows from there
 */
enum { SONDE__TOGETHER = 4, SONDE__AHEAD_BYTES = 4096, SONDE__AHEAD_LINES = 8 };

typedef struct sonde__walk {
    sonde__places rows;
    int64_t count, row_bytes;
    int64_t ahead; /* how many rows are fetched ahead; 0 = packed rows, fetched line by line */
} sonde__walk;

SONDE__INLINE void sonde__prefetch_row(const sonde__walk *walk, int64_t i)
{
    int64_t bytes = sonde__min_i64(64 * SONDE__AHEAD_LINES, walk->row_bytes);
    if (i >= walk->count) return;
    for (int64_t at = 0; at < bytes; at += 64) sonde__prefetch(sonde__row_at(&walk->rows, i) + at);
}

SONDE__INLINE sonde__walk sonde__walk_start(sonde__places rows, int64_t count, int64_t row_bytes)
{
    sonde__walk walk = {rows, count, row_bytes, 0};
    int64_t lines = sonde__max_i64(1, sonde__min_i64(SONDE__AHEAD_LINES, (row_bytes + 63) / 64));
    if (!rows.offsets && rows.stride - row_bytes < 64) return walk;
    walk.ahead = sonde__max_i64(4, sonde__min_i64(32, 40 / lines));
    for (int64_t i = 0; i < walk.ahead; i++) sonde__prefetch_row(&walk, i);
    return walk;
}

/* Where row i is; fetches the row that is due. */
SONDE__INLINE const uint8_t *sonde__walk_row(const sonde__walk *walk, int64_t i)
{
    if (walk->ahead) sonde__prefetch_row(walk, i + walk->ahead);
    return sonde__row_at(&walk->rows, i);
}

/* Fetches the line ahead of a place in a packed row. Past the end of all rows this is harmless: a prefetch never
 * faults. */
SONDE__INLINE void sonde__walk_line(const sonde__walk *walk, const uint8_t *at)
{
    if (!walk->ahead) __builtin_prefetch(at + SONDE__AHEAD_BYTES, 0, 2);
}

/* The same for blocks of 4-bit codes, `left` of them from this one on: nothing behind the last is fetched, because lists
 * are short and the next one lies elsewhere. */
SONDE__INLINE int64_t sonde__ahead_of_block(int64_t left, int64_t block_bytes)
{
    return (left - 1) * block_bytes >= SONDE__AHEAD_BYTES ? SONDE__AHEAD_BYTES : 0;
}

#endif
