/* past.c: what stages that look back need of a sequence's past tokens.
 *
 * Tallies are made in a small open hash table in scratch, twice as large as the window, so that a window of any
 * length costs O(window) and never O(V).
 *
 * SPDX-License-Identifier: MIT
 */
#include <float.h>
#include <math.h>

#include "tokens/candidates.h"

const int32_t *sonde__past_window(const sonde__candidates *set, double window, int64_t *length)
{
    int64_t most = window == 0 ? INT64_MAX : (int64_t)window;
    *length = sonde__min_i64(set->past_length, most);
    return *length ? set->past + (set->past_length - *length) : NULL;
}

/* The token's place in the table. */
static sonde__past_count *past_entry(sonde__past_count *table, uint64_t mask, int32_t token)
{
    uint64_t at = (uint32_t)token * (uint64_t)0x9e3779b97f4a7c15u >> 32 & mask;
    while (table[at].token >= 0 && table[at].token != token) at = (at + 1) & mask;
    table[at].token = token;
    return &table[at];
}

sonde_status sonde__past_tally(sonde__scratch *scratch, const int32_t *tokens, const int32_t *values, int64_t count,
                               sonde__past_count **tally, int64_t *length)
{
    sonde__past_count *table;
    int64_t found = 0, capacity = 4;
    while (capacity < 2 * count) capacity *= 2;
    SONDE_TRY(SONDE_SCRATCH(scratch, table, capacity));
    for (int64_t i = 0; i < capacity; i++) table[i] = (sonde__past_count){-1, 0};
    for (int64_t i = 0; i < count; i++) {
        sonde__past_count *entry = past_entry(table, (uint64_t)capacity - 1, tokens[i]);
        if (!values) entry->count++;
        else if (values[i] > entry->count) entry->count = values[i];
    }
    for (int64_t i = 0; i < capacity; i++)
        if (table[i].token >= 0) table[found++] = table[i];
    *tally = table;
    *length = found;
    return SONDE_OK;
}

float *sonde__past_logit(sonde__candidates *set, int32_t token)
{
    if (!set->ids) return token < set->count && set->logits[token] > -INFINITY ? set->logits + token : NULL;
    int64_t low = 0, high = set->count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (set->ids[middle] < token) low = middle + 1;
        else high = middle;
    }
    return low < set->count && set->ids[low] == token ? set->logits + low : NULL;
}

float sonde__past_finite(double logit)
{
    return (float)(logit > FLT_MAX ? FLT_MAX : logit < -FLT_MAX ? -FLT_MAX : logit);
}
