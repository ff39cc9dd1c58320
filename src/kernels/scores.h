/* scores.h: one query against rows of any kind, a few rows at a time so that their sums are added across registers together.
 *
 * A set defines `vector`, row_sums() (the sums of one row, side by side in a register), add_across() (of SONDE__TOGETHER
 * registers at once) and store_some(), and includes this before row_slots.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_SCORES_H
#define SONDE_SRC_SCORES_H

SONDE__INLINE void scores(const float *query, sonde__places rows, int64_t count, int64_t d, float *out, int kind,
                          bool l2)
{
    const sonde__walk walk = sonde__walk_start(rows, count, d * sonde__row_size(kind));
    for (int64_t i = 0; i < count; i += SONDE__TOGETHER) {
        const int64_t some = sonde__min_i64(SONDE__TOGETHER, count - i);
        vector sum[SONDE__TOGETHER] = {{0}};
        for (int64_t r = 0; r < some; r++)
            sum[r] = row_sums(query, sonde__walk_row(&walk, i + r), d, &walk, kind, l2);
        store_some(out + i, some, add_across(sum));
    }
}

#endif
