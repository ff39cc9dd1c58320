/* crc32.c (neon): CRC-32C by its instruction, which was optional before ARMv8.1 and so fills a set of its own, "crc32".
 * It takes 8 bytes every 2 or 3 cycles, about the rate of the memory, so one stream is enough. It is named in assembly,
 * as the instructions of dotprod.c are.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernels/slots.h"

SONDE__INLINE uint32_t crc_of_8(uint32_t state, uint64_t word)
{
    __asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(state) : "r"(word));
    return state;
}

SONDE__INLINE uint32_t crc_of_1(uint32_t state, uint32_t byte)
{
    __asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(state) : "r"(byte));
    return state;
}

static uint32_t crc32c(uint32_t crc, const void *data, uint64_t bytes)
{
    const uint8_t *p = data;
    uint32_t state = ~crc;
    for (; bytes >= 8; bytes -= 8, p += 8) state = crc_of_8(state, sonde__load_u64(p));
    for (; bytes; bytes--, p++) state = crc_of_1(state, *p);
    return ~state;
}

const sonde__kernels sonde__neon_crc32 = {
    .crc32c = crc32c,
};
