/* dotprod.c (neon): the 8-bit kernels again, on the dot product instructions of ARMv8.2: sdot and udot add four
 * products of bytes to each 32-bit lane. They fill a set of their own, "dotprod", over that of plain ARMv8.0.
 *
 * The instructions are named in assembly and the slots are marked with their target. So this file needs no flags of its
 * own, and any compiler takes it: Clang 14 declares the intrinsics only under such flags.
 *
 * SPDX-License-Identifier: MIT
 */
#include <arm_neon.h>

#include "kernels/slots.h"

#if defined(__clang__)
#define SLOT_TARGET __attribute__((target("dotprod")))
#else
#define SLOT_TARGET __attribute__((target("arch=armv8.2-a+dotprod")))
#endif

enum { LANES = 16, PARTS = LANES / 4, ROWS = 4 };

SONDE__INLINE uint32x4_t add_unsigned(uint32x4_t sum, uint8x16_t a, uint8x16_t b)
{
    __asm__("udot %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(a), "w"(b));
    return sum;
}

SONDE__INLINE uint32x4_t add_signed(uint32x4_t sum, uint8x16_t a, uint8x16_t b)
{
    __asm__("sdot %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(a), "w"(b));
    return sum;
}

SONDE__INLINE uint32x4_t add_quantised(uint32x4_t sum, uint8x16_t query, uint8x16_t x)
{
    return add_signed(sum, query, x);
}

SONDE__INLINE uint32x4_t add_bits(uint32x4_t sum, uint8x16_t x)
{
    return add_unsigned(sum, vcntq_u8(x), vdupq_n_u8(1));
}

/* The group is part of the instruction. */
#define ADD_GROUP(group) __asm__("sdot %0.4s, %1.16b, %2.4b[" #group "]" : "+w"(sum) : "w"(query), "w"(x))

SONDE__INLINE int32x4_t add_fours(int32x4_t sum, int8x16_t query, int8x16_t x, int group)
{
    switch (group) {
    case 0: ADD_GROUP(0); break;
    case 1: ADD_GROUP(1); break;
    case 2: ADD_GROUP(2); break;
    default: ADD_GROUP(3); break;
    }
    return sum;
}

#include "kernels/neon/byte_rows.h"
#include "kernels/neon/byte_tiles.h"

const sonde__kernels sonde__neon_dotprod = {
    .ip_i8 = ip_i8,
    .ip_u8 = ip_u8,
    .l2_i8 = l2_i8,
    .l2_u8 = l2_u8,
    .ip_u8s8 = ip_u8s8,
    .hamming = hamming,
    .tile_u8s8 = tile_u8s8,
};
