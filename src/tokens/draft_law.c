/* draft_law.c: rows of a model as laws. A row of the vocabulary that was cut to few tokens becomes a list of these,
 * once, and everything after it costs as much as the list is long; two lists meet in the tokens that either has.
 * Other rows stay as they are.
 *
 * Cost: one pass over the row to check and sum it, one to squeeze it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tokens/speculative.h"

#include <math.h>

#include "kernels/kernels.h"

/* Rows that are counted together; a list is worth while for one token in so many. */
enum { LAW_BLOCK = 4096, LAW_SPARSE = 4 };

#define LAW_DTYPES                                                                                                   \
    (SONDE__DTYPE_BIT(SONDE_DTYPE_F32) | SONDE__DTYPE_BIT(SONDE_DTYPE_F16) | SONDE__DTYPE_BIT(SONDE_DTYPE_BF16))

sonde_status sonde__draft_rows_check(const sonde_token_sampler *sampler, const sonde_array *rows, const char *what,
                                     int64_t wanted, sonde_array *checked)
{
    SONDE_TRY(sonde__array_check(rows, what, sampler->vocabulary, LAW_DTYPES, checked));
    if (checked->rows == wanted) return SONDE_OK;
    return sonde__fail(SONDE_INVALID_ARGUMENT, "%s has %lld rows, %lld are wanted", what, (long long)checked->rows,
                       (long long)wanted);
}

/* Whether no weight is negative or NaN, how many are above 0, and their sum. */
static bool law_measure(const float *w, int64_t n, double *total, int64_t *positive)
{
    int64_t bad = 0;
    *positive = 0;
    for (int64_t begin = 0; begin < n; begin += LAW_BLOCK) {
        int32_t block_bad = 0, block_positive = 0; /* narrow, so that compilers count in vectors */
        for (int64_t i = begin; i < sonde__min_i64(begin + LAW_BLOCK, n); i++) {
            block_bad += !(w[i] >= 0);
            block_positive += w[i] > 0;
        }
        bad += block_bad;
        *positive += block_positive;
    }
    *total = sonde__weights_sum(w, n);
    return bad == 0;
}

/* Squeezes a row of the vocabulary, in place, to a list of what is above 0, where that is much shorter. */
static sonde_status law_squeeze(sonde__scratch *scratch, float *row, int64_t n, int64_t positive,
                                sonde__draft_law *law)
{
    int32_t *ids;
    *law = (sonde__draft_law){n, NULL, row, law->total};
    if (positive > n / LAW_SPARSE) return SONDE_OK;
    SONDE_TRY(SONDE_SCRATCH(scratch, ids, positive + 1));
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!(row[i] > 0)) continue;
        ids[count] = (int32_t)i;
        row[count++] = row[i];
    }
    law->count = count;
    law->ids = ids;
    return SONDE_OK;
}

sonde_status sonde__draft_law_read(const sonde_token_sampler *sampler, const sonde_array *rows, int64_t row,
                                   const char *what, bool probs, sonde__scratch *scratch, sonde__draft_law *law)
{
    const sonde__speculative *s = sampler->state;
    int64_t vocabulary = sampler->vocabulary, positive;
    float *w;
    SONDE_TRY(SONDE_SCRATCH(scratch, w, vocabulary));
    if (probs) {
        sonde__rows_to_f32(rows, row, 1, w, vocabulary);
    } else {
        sonde_status status = sonde__token_law(s->stages, sampler->runtime, rows, row, w);
        if (status != SONDE_OK) return sonde__fail_within(status, "%s", what);
    }
    if (!law_measure(w, vocabulary, &law->total, &positive) || !(fabs(law->total - 1) <= 1e-3))
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "%s: row %lld is no law: its values are not all >= 0, or sum to %g and not 1", what,
                           (long long)row, law->total);
    return law_squeeze(scratch, w, vocabulary, positive, law);
}

sonde_status sonde__draft_law_keep(sonde_runtime *runtime, const sonde__draft_law *law, sonde__draft_kept *kept)
{
    int64_t count = law->count, cells = law->ids ? 2 * count : count;
    kept->law.count = 0;
    if (cells > kept->room) {
        float *block;
        SONDE_TRY(SONDE_NEW(runtime, block, cells));
        sonde__free(runtime, kept->block);
        kept->block = block;
        kept->room = cells;
    }
    int32_t *ids = law->ids ? (int32_t *)(void *)(kept->block + count) : NULL;
    memcpy(kept->block, law->w, (size_t)count * sizeof *law->w);
    if (ids) memcpy(ids, law->ids, (size_t)count * sizeof *ids);
    kept->law = (sonde__draft_law){count, ids, kept->block, law->total};
    return SONDE_OK;
}

sonde_status sonde__draft_laws_align(sonde__scratch *scratch, const sonde__draft_law *p, const sonde__draft_law *q,
                                     sonde__draft_pair *pair)
{
    float *both_p, *both_q;
    int32_t *ids;
    int64_t n = 0, most = p->count + q->count;
    *pair = (sonde__draft_pair){NULL, {p->count, p->w, q->w, p->total, q->total}};
    if (!p->ids && !q->ids) return SONDE_OK;
    SONDE_TRY(SONDE_SCRATCH(scratch, both_p, most));
    SONDE_TRY(SONDE_SCRATCH(scratch, both_q, most));
    SONDE_TRY(SONDE_SCRATCH(scratch, ids, most));
    for (int64_t i = 0, j = 0; i < p->count || j < q->count; n++) {
        int32_t left = i < p->count ? sonde__draft_token(p, i) : INT32_MAX,
                right = j < q->count ? sonde__draft_token(q, j) : INT32_MAX;
        ids[n] = left < right ? left : right;
        both_p[n] = left <= right ? p->w[i++] : 0;
        both_q[n] = right <= left ? q->w[j++] : 0;
    }
    *pair = (sonde__draft_pair){ids, {n, both_p, both_q, p->total, q->total}};
    return SONDE_OK;
}

int64_t sonde__draft_place(const sonde__draft_pair *pair, int32_t token)
{
    if (!pair->ids) return token;
    int64_t low = 0, high = pair->laws.n;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (pair->ids[middle] < token) low = middle + 1;
        else high = middle;
    }
    return low < pair->laws.n && pair->ids[low] == token ? low : -1;
}
