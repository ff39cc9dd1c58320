/* select.c (neon): positions of the values that pass a threshold. Sixteen values are compared at once into one mask of
 * four bits each and, as nearly always none passes, given up at once; otherwise the set bits are walked. NaN never
 * passes.
 *
 * SPDX-License-Identifier: MIT
 */
#include <arm_neon.h>

#include "kernels/slots.h"

SONDE__INLINE uint16x4_t passing(const uint32_t *values, uint32x4_t threshold, bool below)
{
    uint32x4_t x = vld1q_u32(values);
    uint32x4_t pass = below ? vcltq_s32(vreinterpretq_s32_u32(x), vreinterpretq_s32_u32(threshold))
                            : vcgtq_f32(vreinterpretq_f32_u32(x), vreinterpretq_f32_u32(threshold));
    return vmovn_u32(pass);
}

/* For each of 16 values the highest of four bits. */
SONDE__INLINE uint64_t mask_of_16(const uint32_t *values, uint32x4_t threshold, bool below)
{
    uint16x8_t low = vcombine_u16(passing(values, threshold, below), passing(values + 4, threshold, below));
    uint16x8_t high = vcombine_u16(passing(values + 8, threshold, below), passing(values + 12, threshold, below));
    uint8x16_t bytes = vcombine_u8(vmovn_u16(low), vmovn_u16(high));
    uint8x8_t nibbles = vshrn_n_u16(vreinterpretq_u16_u8(bytes), 4);
    return vget_lane_u64(vreinterpret_u64_u8(nibbles), 0) & 0x8888888888888888u;
}

SONDE__INLINE int64_t selected(const uint32_t *values, int64_t count, uint32x4_t threshold, bool below,
                               int32_t *positions)
{
    int64_t found = 0;
    for (int64_t i = 0; i < count; i += 16) {
        const int64_t left = count - i;
        uint32_t copy[16] = {0};
        uint64_t mask;
        if (left >= 16) {
            mask = mask_of_16(values + i, threshold, below);
        } else {
            memcpy(copy, values + i, (size_t)left * sizeof *copy);
            mask = mask_of_16(copy, threshold, below) & (((uint64_t)1 << (4 * left)) - 1);
        }
        for (; mask; mask &= mask - 1) positions[found++] = (int32_t)(i + __builtin_ctzll(mask) / 4);
    }
    return found;
}

static int64_t above(const float *values, int64_t count, float threshold, int32_t *positions)
{
    uint32x4_t level = vreinterpretq_u32_f32(vdupq_n_f32(threshold));
    return selected((const uint32_t *)(const void *)values, count, level, false, positions);
}

static int64_t below_i32(const int32_t *values, int64_t count, int32_t threshold, int32_t *positions)
{
    uint32x4_t level = vreinterpretq_u32_s32(vdupq_n_s32(threshold));
    return selected((const uint32_t *)(const void *)values, count, level, true, positions);
}

const sonde__kernels sonde__neon_select = {
    .above = above,
    .below_i32 = below_i32,
};
