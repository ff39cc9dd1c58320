/* philox.h: random words by counter, many rows at a time; for the kernels of every instruction set.
 *
 * Philox 4x32-10 (Salmon, Moraes, Dror, Shaw 2011): ten rounds of two products each turn a row's number into four
 * words. A word stands in the lower half of a 64-bit lane, whose upper half may hold anything: so a product is one
 * instruction that gives both halves, and nothing is put back into place between the rounds.
 *
 * The file that includes this has defined philox_lanes, a vector of uint64_t or one alone, and
 *
 *   philox_load(rows)           the numbers of PHILOX_ROWS rows
 *   philox_product(a, m)        the products of the lanes' lower halves with m
 *   philox_store(c, out)        word k of lane i to out[4 * i + k]
 *
 * SPDX-License-Identifier: MIT
 */
enum { PHILOX_ROWS = sizeof(philox_lanes) / sizeof(uint64_t) };

/* The first block of each of PHILOX_ROWS rows. */
SONDE__INLINE void philox_block(uint64_t seed, uint32_t stream, const uint64_t *rows, uint32_t *out)
{
    philox_lanes row = philox_load(rows), c[4] = {row ^ row, (row ^ row) + (uint64_t)stream, row, row >> 32};
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
#pragma GCC unroll 10
    for (int round = 0; round < 10; round++) {
        philox_lanes p0 = philox_product(c[0], SONDE__PHILOX_M0);
        philox_lanes p1 = philox_product(c[2], SONDE__PHILOX_M1);
        c[0] = p1 >> 32 ^ c[1] ^ (uint64_t)k0;
        c[1] = p1;
        c[2] = p0 >> 32 ^ c[3] ^ (uint64_t)k1;
        c[3] = p0;
        k0 += SONDE__PHILOX_W0;
        k1 += SONDE__PHILOX_W1;
    }
    philox_store(c, out);
}

/* The slot `random_words`. */
static void random_words(uint64_t seed, uint32_t stream, const uint64_t *rows, int64_t count, uint32_t *out)
{
    int64_t i = 0;
    for (; i + PHILOX_ROWS <= count; i += PHILOX_ROWS) philox_block(seed, stream, rows + i, out + 4 * i);
    if (i == count) return;
    uint64_t rest[PHILOX_ROWS] = {0};
    uint32_t made[4 * PHILOX_ROWS];
    memcpy(rest, rows + i, (size_t)(count - i) * sizeof *rest);
    philox_block(seed, stream, rest, made);
    memcpy(out + 4 * i, made, (size_t)(count - i) * 4 * sizeof *made);
}
