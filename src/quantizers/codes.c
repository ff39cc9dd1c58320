/* codes.c: numbers of 4 to 8 bits, packed tightly into the bytes of a code and back.
 *
 * Problem: a code should take no more bits than it means, and the scan loops want one byte a value.
 * Idea: one bit stream, lowest bit first (drawn for 6 bits, values a b c d):
 *
 *     byte 0  bbaaaaaa     byte 1  ccccbbbb     byte 2  ddddddcc
 *
 * 4 and 6 bits have loops of their own, which scans need to be fast; 5 and 7 take the general stream. Little-endian
 * hosts only, as all of the library's files.
 *
 * SPDX-License-Identifier: MIT
 */
#include "quantizers/codes.h"

static void codes_pack_stream(const uint8_t *values, int64_t count, int bits, uint8_t *code)
{
    uint32_t pending = 0;
    int held = 0;
    for (int64_t j = 0; j < count; j++) {
        pending |= (uint32_t)values[j] << held;
        for (held += bits; held >= 8; held -= 8, pending >>= 8) *code++ = (uint8_t)pending;
    }
    if (held > 0) *code = (uint8_t)pending;
}

void sonde__codes_pack(const uint8_t *values, int64_t count, int bits, uint8_t *code)
{
    if (bits == 8) {
        memcpy(code, values, (size_t)count);
    } else if (bits == 4) {
        for (int64_t j = 0; j < count / 2; j++) code[j] = (uint8_t)(values[2 * j] | values[2 * j + 1] << 4);
        if (count % 2) code[count / 2] = values[count - 1];
    } else {
        codes_pack_stream(values, count, bits, code);
    }
}

static void codes_unpack_stream(const uint8_t *code, int64_t count, int bits, uint8_t *values)
{
    uint32_t pending = 0, mask = (1u << bits) - 1;
    int held = 0;
    for (int64_t j = 0; j < count; j++) {
        if (held < bits) {
            pending |= (uint32_t)*code++ << held;
            held += 8;
        }
        values[j] = (uint8_t)(pending & mask);
        pending >>= bits;
        held -= bits;
    }
}

static void codes_unpack_4(const uint8_t *code, int64_t count, uint8_t *values)
{
    for (int64_t j = 0; j < count / 2; j++) {
        values[2 * j] = code[j] & 15;
        values[2 * j + 1] = code[j] >> 4;
    }
    if (count % 2) values[count - 1] = code[count / 2] & 15;
}

/* Eight values at a time: 48 bits are spread to 64 in three steps, 24 + 24, then 4 x 12, then 8 x 6. */
static void codes_unpack_6(const uint8_t *code, int64_t count, uint8_t *values)
{
    int64_t groups = count / 8;
    for (int64_t g = 0; g < groups; g++) {
        uint32_t first;
        uint16_t rest; /* two loads: one copy of 6 bytes goes through memory and stalls */
        memcpy(&first, code + 6 * g, sizeof first);
        memcpy(&rest, code + 6 * g + 4, sizeof rest);
        uint64_t v = first | (uint64_t)rest << 32;
        v = (v & 0xffffff) | (v >> 24) << 32;
        v = (v & 0x00000fff00000fff) | (v & 0x00fff00000fff000) << 4;
        v = (v & 0x003f003f003f003f) | (v & 0x0fc00fc00fc00fc0) << 2;
        memcpy(values + 8 * g, &v, 8);
    }
    codes_unpack_stream(code + 6 * groups, count % 8, 6, values + 8 * groups);
}

void sonde__codes_unpack(const uint8_t *code, int64_t count, int bits, uint8_t *values)
{
    switch (bits) {
    case 4: codes_unpack_4(code, count, values); break;
    case 6: codes_unpack_6(code, count, values); break;
    case 8: memcpy(values, code, (size_t)count); break;
    default: codes_unpack_stream(code, count, bits, values);
    }
}

bool sonde__codes_padding_zero(const uint8_t *codes, int64_t stride, int64_t n, int64_t count, int bits)
{
    int used = (int)(count * bits % 8);
    int64_t last = sonde__codes_bytes(count, bits) - 1;
    if (used == 0) return true;
    for (int64_t i = 0; i < n; i++)
        if (codes[i * stride + last] >> used) return false;
    return true;
}

void sonde__codes_open(sonde__codes_block *block, const uint8_t *codes, int64_t stride, int64_t n,
                       int64_t count, int bits)
{
    block->count = sonde__min_i64(n, SONDE__CODES_BLOCK);
    block->rows = codes;
    block->stride = stride;
    if (bits == 8) return;
    block->count = sonde__min_i64(block->count, (int64_t)sizeof block->buffer / count);
    block->rows = block->buffer;
    block->stride = count;
    for (int64_t i = 0; i < block->count; i++)
        sonde__codes_unpack(codes + i * stride, count, bits, block->buffer + i * count);
}
