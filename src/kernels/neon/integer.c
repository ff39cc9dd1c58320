/* integer.c (neon): exact products and distances of 8-bit vectors, and Hamming distances, for plain ARMv8.0: products
 * of 16 bits that are added in pairs. byte_rows.h has the rest.
 *
 * SPDX-License-Identifier: MIT
 */
#include <arm_neon.h>

#include "kernels/slots.h"

#define SLOT_TARGET

SONDE__INLINE uint32x4_t add_unsigned(uint32x4_t sum, uint8x16_t a, uint8x16_t b)
{
    sum = vpadalq_u16(sum, vmull_u8(vget_low_u8(a), vget_low_u8(b)));
    return vpadalq_u16(sum, vmull_high_u8(a, b));
}

SONDE__INLINE uint32x4_t add_signed(uint32x4_t sum, uint8x16_t a, uint8x16_t b)
{
    int8x16_t x = vreinterpretq_s8_u8(a), y = vreinterpretq_s8_u8(b);
    int32x4_t total = vpadalq_s16(vreinterpretq_s32_u32(sum), vmull_s8(vget_low_s8(x), vget_low_s8(y)));
    return vreinterpretq_u32_s32(vpadalq_s16(total, vmull_high_s8(x, y)));
}

/* Two products fit 16 bits: 2 * 64 * 128 = 16384. */
SONDE__INLINE uint32x4_t add_quantised(uint32x4_t sum, uint8x16_t query, uint8x16_t x)
{
    int8x16_t q = vreinterpretq_s8_u8(query), y = vreinterpretq_s8_u8(x);
    int16x8_t pairs = vmlal_high_s8(vmull_s8(vget_low_s8(q), vget_low_s8(y)), q, y);
    return vreinterpretq_u32_s32(vpadalq_s16(vreinterpretq_s32_u32(sum), pairs));
}

SONDE__INLINE uint32x4_t add_bits(uint32x4_t sum, uint8x16_t x) { return vpadalq_u16(sum, vpaddlq_u8(vcntq_u8(x))); }

#include "kernels/neon/byte_rows.h"

const sonde__kernels sonde__neon_integer = {
    .ip_i8 = ip_i8,
    .ip_u8 = ip_u8,
    .l2_i8 = l2_i8,
    .l2_u8 = l2_u8,
    .ip_u8s8 = ip_u8s8,
    .hamming = hamming,
};
