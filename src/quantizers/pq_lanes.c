/* pq_lanes.c: the nearest centroids of parts of few bits, for as many rows at once as a panel has lanes.
 *
 * Problem: with 16 centroids or fewer a panel of centroids is half empty, and finding the best lane of each row costs
 * more than the products. Idea: the roles are swapped. Rows are packed into a panel and centroids are read as they
 * lie; then row c of a tile has the products of centroid c with all rows of the panel, and the best is found column
 * by column, side by side.
 *
 * Cost: a row takes dim x 2^bits multiply-adds and 2^bits comparisons a part.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernels/kernels.h"
#include "quantizers/pq.h"

#define LANES_CENTROIDS 16 /* most of them in a part */
#define LANES_COLUMNS 256  /* that are packed at a time: a panel stays in the first cache */

bool sonde__pq_lanes(const sonde__pq *pq) { return pq->k <= LANES_CENTROIDS && pq->width <= LANES_COLUMNS; }

/* Parts first .. last of the rows of a panel, which begins with the columns of part first. */
static void lanes_nearest(const sonde__pq *pq, int64_t first, int64_t last, const float *panel, int64_t count,
                          uint16_t *values)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    int64_t lanes = kernels->lanes, row_bytes = pq->width * (int64_t)sizeof(float);
    float tile[LANES_CENTROIDS * SONDE__LANES_MAX];
    int32_t best[SONDE__LANES_MAX];
    for (int64_t j = first; j < last; j++) {
        int64_t columns = sonde__pq_columns(pq, j);
        kernels->tile_f32(panel, sonde__pq_centroids(pq, pq->learned.centroids, j), row_bytes, pq->k, columns, tile);
        kernels->best_rows(tile, pq->k, lanes, pq->book[j].bias, best);
        for (int64_t lane = 0; lane < count; lane++) values[lane * pq->m + j] = (uint16_t)best[lane];
        panel += columns * lanes;
    }
}

void sonde__pq_lanes_nearest(const sonde__pq *pq, const float *y, int64_t ldy, int64_t n, uint16_t *values)
{
    int64_t lanes = sonde__kernels_get()->lanes, parts = LANES_COLUMNS / pq->width;
    float panel[LANES_COLUMNS * SONDE__LANES_MAX];
    for (int64_t i = 0; i < n; i += lanes)
        for (int64_t first = 0; first < pq->m; first += parts) {
            int64_t count = sonde__min_i64(lanes, n - i), last = sonde__min_i64(pq->m, first + parts);
            int64_t column = sonde__pq_first(pq, first), columns = sonde__pq_first(pq, last) - column;
            sonde__pack_rows(y + i * ldy + column, ldy * (int64_t)sizeof *y, count, columns, lanes, panel);
            lanes_nearest(pq, first, last, panel, count, values + i * pq->m);
        }
}
