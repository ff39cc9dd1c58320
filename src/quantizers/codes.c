/* codes.c: numbers of 1 to 16 bits, packed tightly into the bytes of a code and back.
 *
 * Problem: a code should take no more bits than it means, and the scan loops want one byte a value.
 * Idea: one bit stream, lowest bit first (drawn for 6 bits, values a b c d):
 *
 *     byte 0  bbaaaaaa     byte 1  ccccbbbb     byte 2  ddddddcc
 *
 * 4, 6 and 8 bits have loops of their own, which scans need to be fast; the rest takes the general stream, and so does
 * what is wider than a byte. Little-endian hosts only, as all of the library's files.
 *
 * SPDX-License-Identifier: MIT
 */
#include "quantizers/codes.h"

/* Bits that wait for their byte to fill. */
struct codes_writer {
    uint8_t *at;
    uint32_t pending;
    int held;
};

static inline void codes_put(struct codes_writer *writer, uint32_t value, int bits)
{
    writer->pending |= value << writer->held;
    for (writer->held += bits; writer->held >= 8; writer->held -= 8, writer->pending >>= 8)
        *writer->at++ = (uint8_t)writer->pending;
}

static void codes_put_rest(struct codes_writer *writer)
{
    if (writer->held > 0) *writer->at = (uint8_t)writer->pending;
}

static void codes_pack_stream(const uint8_t *values, int64_t count, int bits, uint8_t *code)
{
    struct codes_writer writer = {code, 0, 0};
    for (int64_t j = 0; j < count; j++) codes_put(&writer, values[j], bits);
    codes_put_rest(&writer);
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

void sonde__codes_pack_wide(const uint16_t *values, int64_t count, int bits, uint8_t *code)
{
    if (bits == 8) {
        for (int64_t j = 0; j < count; j++) code[j] = (uint8_t)values[j];
    } else if (bits == 4) {
        for (int64_t j = 0; j < count / 2; j++) code[j] = (uint8_t)(values[2 * j] | values[2 * j + 1] << 4);
        if (count % 2) code[count / 2] = (uint8_t)values[count - 1];
    } else {
        struct codes_writer writer = {code, 0, 0};
        for (int64_t j = 0; j < count; j++) codes_put(&writer, values[j], bits);
        codes_put_rest(&writer);
    }
}

static void codes_unpack_stream(const uint8_t *code, int64_t count, int bits, uint8_t *values)
{
    sonde__codes_reader reader = {code, 0, 0};
    for (int64_t j = 0; j < count; j++) values[j] = (uint8_t)sonde__codes_take(&reader, bits);
}

/* The byte eight times over, of which byte t keeps bit t; adding 127 carries whatever is set to the top. */
static void codes_unpack_1(const uint8_t *code, int64_t count, uint8_t *values)
{
    for (int64_t b = 0; b < count / 8; b++) {
        uint64_t v = code[b] * 0x0101010101010101u & 0x8040201008040201u;
        v = (v + 0x7f7f7f7f7f7f7f7fu) >> 7 & 0x0101010101010101u;
        memcpy(values + 8 * b, &v, 8);
    }
    codes_unpack_stream(code + count / 8, count % 8, 1, values + count / 8 * 8);
}

/* Four values: 8 bits are spread to 32 in two steps. */
static void codes_unpack_2(const uint8_t *code, int64_t count, uint8_t *values)
{
    for (int64_t b = 0; b < count / 4; b++) {
        uint32_t v = code[b];
        v = (v | v << 12) & 0x000f000f;
        v = (v | v << 6) & 0x03030303;
        memcpy(values + 4 * b, &v, 4);
    }
    codes_unpack_stream(code + count / 4, count % 4, 2, values + count / 4 * 4);
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
    case 1: codes_unpack_1(code, count, values); break;
    case 2: codes_unpack_2(code, count, values); break;
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

/* Each entry is the one without its lowest set bit, with that bit's sign turned. */
void sonde__codes_sign_table(const float *w, int64_t d, float *table)
{
    for (int64_t j = 0; 4 * j < d; j++) {
        float *entry = table + 16 * j, part[4];
        for (int t = 0; t < 4; t++) part[t] = 4 * j + t < d ? w[4 * j + t] : 0;
        entry[0] = -(part[0] + part[1] + part[2] + part[3]);
        for (int nibble = 1; nibble < 16; nibble++) {
            int lowest = __builtin_ctz((unsigned)nibble);
            entry[nibble] = entry[nibble & (nibble - 1)] + 2 * part[lowest];
        }
    }
}
