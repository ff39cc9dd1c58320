/* reseal.h: makes the checksums of a damaged container file right again, as an attacker would, so that tests reach the
 * checks behind them. Written from docs/format.md with a checksum of its own, independent of the library.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_TEST_RESEAL_H
#define SONDE_TEST_RESEAL_H

#include <stdint.h>
#include <string.h>

/* CRC-32C, four bits a step. */
static inline uint32_t reseal_crc(const uint8_t *data, uint64_t bytes)
{
    static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
                                       0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                       0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    uint32_t state = ~0u;
    for (uint64_t i = 0; i < bytes; i++) {
        state = table[(state ^ data[i]) & 15] ^ state >> 4;
        state = table[(state ^ data[i] >> 4) & 15] ^ state >> 4;
    }
    return ~state;
}

static inline uint64_t reseal_get(const uint8_t *at, int width)
{
    uint64_t value = 0;
    for (int i = 0; i < width; i++) value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static inline void reseal_put(uint8_t *at, int width, uint64_t value)
{
    for (int i = 0; i < width; i++) at[i] = (uint8_t)(value >> (8 * i));
}

/* One row of the table of contents: sums its section as far as its sizes make sense. */
static inline void reseal_entry(uint8_t *file, uint64_t bytes, uint8_t *entry)
{
    uint64_t offset = reseal_get(entry + 16, 8), stored = reseal_get(entry + 24, 8), data = reseal_get(entry + 32, 8);
    if (offset > bytes || stored > bytes - offset || data > stored) return;
    uint8_t *summed = file + offset;
    uint64_t count = data;
    if (reseal_get(entry + 12, 4) & 4) {
        const uint64_t piece = 1 << 20;
        uint64_t pieces = data / piece + (data % piece != 0);
        if (stored - data != 4 * pieces) return;
        for (uint64_t i = 0; i < pieces; i++) {
            uint64_t left = data - i * piece;
            reseal_put(summed + data + 4 * i, 4, reseal_crc(summed + i * piece, left < piece ? left : piece));
        }
        summed += data;
        count = 4 * pieces;
    }
    reseal_put(entry + 48, 8, reseal_crc(summed, count));
}

/* Sections first, then the table of contents, then the header: each vouches for the one before. */
static inline void reseal(uint8_t *file, uint64_t bytes)
{
    if (bytes < 64) return;
    uint64_t toc = reseal_get(file + 24, 8), count = reseal_get(file + 32, 4), width = reseal_get(file + 36, 4);
    if (toc >= 64 && toc <= bytes && width >= 64 && count * width <= bytes - toc) {
        for (uint64_t i = 0; i < count; i++) reseal_entry(file, bytes, file + toc + i * width);
        reseal_put(file + 40, 8, reseal_crc(file + toc, count * width));
    }
    reseal_put(file + 60, 4, reseal_crc(file, 60));
}

#endif
