/* shuffle.c: rows in random order, that of a pass, and a few different rows out of many.
 *
 * SPDX-License-Identifier: MIT
 */
#include "rows/rows.h"

void sonde__shuffle(sonde__rng *rng, uint32_t *numbers, int64_t count)
{
    for (int64_t i = count - 1; i > 0; i--) {
        int64_t j = (int64_t)sonde__rng_below(rng, (uint64_t)i + 1);
        uint32_t moved = numbers[i];
        numbers[i] = numbers[j];
        numbers[j] = moved;
    }
}

/* An open hash table of numbers, at most half full; -1 = free. False if the number was there. */
static bool choose_enter(int64_t *table, uint64_t mask, int64_t number)
{
    uint64_t at = (uint64_t)number * 0x9e3779b97f4a7c15u >> 20 & mask;
    while (table[at] >= 0) {
        if (table[at] == number) return false;
        at = (at + 1) & mask;
    }
    table[at] = number;
    return true;
}

/* Floyd: for j = n - count .. n - 1 take a random number up to j, or j itself if that one is taken; every subset is
 * equally likely (Bentley, Floyd 1987). The order is not, so the result is shuffled. */
sonde_status sonde__choose(sonde_runtime *runtime, sonde__rng *rng, int64_t n, int64_t count, int64_t *chosen)
{
    uint64_t size = 4;
    sonde__scratch *scratch;
    int64_t *table;
    while (size < 2 * (uint64_t)count) size *= 2;
    SONDE_TRY(sonde__scratch_take(runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, table, size);
    if (status == SONDE_OK) {
        memset(table, 0xff, size * sizeof *table);
        for (int64_t i = 0; i < count; i++) {
            int64_t j = n - count + i, number = (int64_t)sonde__rng_below(rng, (uint64_t)j + 1);
            if (!choose_enter(table, size - 1, number)) choose_enter(table, size - 1, number = j);
            chosen[i] = number;
        }
        for (int64_t i = count - 1; i > 0; i--) {
            int64_t j = (int64_t)sonde__rng_below(rng, (uint64_t)i + 1), moved = chosen[i];
            chosen[i] = chosen[j];
            chosen[j] = moved;
        }
    }
    sonde__scratch_give(runtime, scratch);
    return status;
}

void sonde__rows_permute(const sonde_row_sampler *sampler, int64_t pass, uint32_t stream, int64_t count,
                         uint32_t *order)
{
    sonde__rng rng;
    for (int64_t i = 0; i < count; i++) order[i] = (uint32_t)i;
    sonde__rows_rng(sampler, pass, stream, 0, &rng);
    sonde__shuffle(&rng, order, count);
}

sonde_status sonde__rows_order(const sonde_row_sampler *sampler, uint32_t stream, int64_t count,
                               sonde__order *order)
{
    if (order->numbers && order->pass == sampler->pass) return SONDE_OK;
    if (!order->numbers) SONDE_TRY(SONDE_NEW(sampler->runtime, order->numbers, count));
    sonde__rows_permute(sampler, sampler->pass, stream, count, order->numbers);
    order->pass = sampler->pass;
    return SONDE_OK;
}
