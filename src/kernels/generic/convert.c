/* convert.c (generic): element types to f32 and back, and packing of panels, by integer arithmetic on the bits.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernels/slots.h"

static void f32_from_f32(const void *from, int64_t count, float *to)
{
    if (count > 0) memmove(to, from, (size_t)count * sizeof *to);
}

static void f32_from_f16(const void *from, int64_t count, float *to)
{
    const uint8_t *x = from;
    for (int64_t i = 0; i < count; i++) to[i] = sonde__f16_to_f32(sonde__load_u16(x + 2 * i));
}

static void f32_from_bf16(const void *from, int64_t count, float *to)
{
    const uint8_t *x = from;
    for (int64_t i = 0; i < count; i++) to[i] = sonde__bf16_to_f32(sonde__load_u16(x + 2 * i));
}

static void f32_from_i8(const void *from, int64_t count, float *to)
{
    const int8_t *x = from;
    for (int64_t i = 0; i < count; i++) to[i] = x[i];
}

static void f32_from_u8(const void *from, int64_t count, float *to)
{
    const uint8_t *x = from;
    for (int64_t i = 0; i < count; i++) to[i] = x[i];
}

/* Nearest even in three ranges of the magnitude; the limits are the bits of 2^-14 (smallest normal half) and of 65520
 * (the first value that rounds to infinity). */
static uint16_t f16_of(float value)
{
    uint32_t bits = sonde__load_u32(&value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff)); /* quiet NaN */
    if (magnitude >= 0x477ff000) return (uint16_t)(sign | 0x7c00);
    if (magnitude < 0x38800000) { /* adding 0.5 lets the processor round to a multiple of 2^-24, the subnormal step */
        float shifted = sonde__bits_to_f32(magnitude) + 0.5f;
        return (uint16_t)(sign | (sonde__load_u32(&shifted) - 0x3f000000));
    }
    magnitude += 0xfff + (magnitude >> 13 & 1);
    return (uint16_t)(sign | (magnitude - 0x38000000) >> 13);
}

static void f32_to_f16(const float *from, int64_t count, uint16_t *to)
{
    for (int64_t i = 0; i < count; i++) to[i] = f16_of(from[i]);
}

static void f32_to_bf16(const float *from, int64_t count, uint16_t *to)
{
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits = sonde__load_u32(from + i), rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
        to[i] = (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? bits >> 16 | 0x40 : rounded);
    }
}

/* Queries are read side by side, so that each line of the panel is written once, whole. */
static void pack_panel(const void *const *queries, int64_t count, int64_t d, int64_t lanes, float *panel)
{
    for (int64_t k = 0; k < d; k++) {
        float *column = panel + k * lanes;
        for (int64_t lane = 0; lane < count; lane++)
            column[lane] = sonde__load_f32((const uint8_t *)queries[lane] + 4 * k);
        for (int64_t lane = count; lane < lanes; lane++) column[lane] = 0;
    }
}

const sonde__kernels sonde__generic_convert = {
    .to_f32 = {f32_from_f32, f32_from_f16, f32_from_bf16, f32_from_i8, f32_from_u8},
    .f32_to_f16 = f32_to_f16,
    .f32_to_bf16 = f32_to_bf16,
    .pack_panel = pack_panel,
};
