/* row_data.h: columns that row samplers are fitted on, and the shortest ways to fit and to draw.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_TEST_ROW_DATA_H
#define SONDE_TEST_ROW_DATA_H

#include "test.h"

/* Columns of n rows, `shares` of strata rows; NULL = not given. */
typedef struct row_data {
    int64_t n;
    const float *weights;
    const int64_t *groups, *lengths, *lengths_out, *ids;
    const float *shares;
    int64_t strata;
} row_data;

static inline sonde_status row_fit(sonde_row_sampler *sampler, const row_data *d)
{
    const sonde_array arrays[] = {
        sonde_f32(d->weights, d->n, 1),     sonde_i64(d->groups, d->n, 1), sonde_i64(d->lengths, d->n, 1),
        sonde_i64(d->lengths_out, d->n, 1), sonde_i64(d->ids, d->n, 1),    sonde_f32(d->shares, d->strata, 1),
    };
    static const char *const names[] = {"weights", "groups", "lengths", "lengths_out", "ids", "shares"};
    sonde_input inputs[6];
    size_t count = 0;
    for (int i = 0; i < 6; i++)
        if (arrays[i].data) inputs[count++] = (sonde_input){names[i], &arrays[i]};
    return sonde_row_sampler_fit(sampler, inputs, count);
}

static inline sonde_row_sampler *row_fitted(const char *spec, const row_data *d, sonde_runtime *runtime)
{
    sonde_row_sampler *sampler = NULL;
    OK(sonde_row_sampler_create(spec, 0, runtime, &sampler));
    OK(row_fit(sampler, d));
    return sampler;
}

static inline sonde_rows row_draw(sonde_row_sampler *sampler, int64_t count)
{
    sonde_rows rows = SONDE_ROWS_INIT;
    OK(sonde_row_sampler_draw(sampler, count, &rows));
    return rows;
}

/* Two samplers of one spec cannot be joined. */
static inline void row_merge_fails(const char *spec, const row_data *a, const row_data *b,
                                   sonde_status status, const char *words)
{
    sonde_row_sampler *into = row_fitted(spec, a, NULL), *from = row_fitted(spec, b, NULL);
    FAILS(sonde_row_sampler_merge(into, from), status, words);
    sonde_row_sampler_free(into);
    sonde_row_sampler_free(from);
}

#endif
