/* rq_levels.h: codes that are sums of codewords, one of each level: what rq and rkmeans share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_RQ_LEVELS_H
#define SONDE_SRC_RQ_LEVELS_H

#include "base/base.h"
#include "linalg/linalg.h"
#include "quantizers/codes.h"
#include "quantizers/quantizer.h"
#include "quantizers/rq_coarse.h"

enum { SONDE__LEVELS_BEAM_MOST = 32 };

/* The codewords of all levels, and what encoding needs of them. The state of a method begins with it. */
typedef struct sonde__levels {
    int64_t m, k, dim; /* levels, codewords a level, columns */
    int bits;          /* of a level's number in a code: bit j * bits is the lowest of number j */
    int beam;          /* sums that are followed at once while encoding */
    float *codewords;  /* m x k x dim; NULL until trained */
    float *packed;     /* memory of the books */
    float *cross; /* -<c, c'> for c of an earlier level, level by level; NULL: encoding follows residuals */
    sonde__codebook *book; /* m */
    sonde__coarse_book *coarse; /* m, for a first look; NULL where there is none */
    uint8_t *coarse_memory;
    sonde__codebook
        joint; /* all codewords as one book, where those of a level fill no panel; else no panels */
} sonde__levels;

/* Bytes of the arrays above. */
uint64_t sonde__levels_bytes(const sonde__levels *shape);
/* Empty levels of the same shape, for training or loading. */
sonde_status sonde__levels_begin(sonde_runtime *runtime, const sonde__levels *shape, sonde__levels *fresh);
/* Packs a level's codewords and multiplies them with those of the levels before. prices (k, may be NULL):
 * codeword c is then as near as if |x - c|^2 were less by prices[c]. */
sonde_status sonde__levels_prepare(sonde_runtime *runtime, int threads, sonde__levels *levels, int64_t level,
                                   const double *prices);
void sonde__levels_end(sonde_runtime *runtime, sonde__levels *levels);

static inline float *sonde__levels_codewords(const sonde__levels *levels, int64_t level)
{
    return levels->codewords + level * levels->k * levels->dim;
}

/* How levels are trained. */
typedef struct sonde__levels_training {
    const float *x; /* n x dim, packed */
    int64_t n;
    sonde__kmeans_options kmeans; /* of the first level; the seed grows by one a level */
    const sonde__balance
        *balance; /* NULL: none, and rows are encoded by beam; else each row takes its balanced group */
    bool widen;   /* without balance: codewords are found along few principal directions first, then more */
    uint16_t *codes; /* n x m: the codes of the rows in the end */
    double *prices;  /* m x k; with balance only */
    bool priced;     /* encoding goes by the prices too */
} sonde__levels_training;
/* Fills levels that `begin` made, one after the other: each is clustered on what the ones before leave of the
 * rows. */
sonde_status sonde__levels_train(sonde_runtime *runtime, sonde__levels *levels,
                                 const sonde__levels_training *training);

/* The codes of n rows (n x m). Serial. */
sonde_status sonde__levels_encode(sonde_runtime *runtime, const sonde__levels *levels, const float *x,
                                  int64_t ldx, int64_t n, uint16_t *codes);
/* The same over threads. */
sonde_status sonde__levels_encode_all(sonde_runtime *runtime, int threads, const sonde__levels *levels,
                                      const float *x, int64_t n, uint16_t *codes);
/* rest = x - the codewords of the first `count` levels of a code. */
void sonde__levels_rest(const sonde__levels *levels, const float *x, const uint16_t *code, int64_t count,
                        float *rest);

/* ---- the hooks of a method whose state begins with levels ------------------------------------------------------ */

sonde_status sonde__levels_hook_encode(const sonde_quantizer *quantizer, const float *x, int64_t ldx,
                                       int64_t n, uint8_t *codes, int64_t stride);
void sonde__levels_hook_decode(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride,
                               int64_t n, float *x, int64_t ldx);
bool sonde__levels_hook_valid(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride,
                              int64_t n);
int64_t sonde__levels_hook_table_bytes(const sonde_quantizer *quantizer);
void sonde__levels_hook_table(const sonde_quantizer *quantizer, const float *query, void *table);
void sonde__levels_hook_scan(const sonde_quantizer *quantizer, const void *table, const uint8_t *codes,
                             int64_t stride, int64_t n, float *ip);
uint64_t sonde__levels_hook_learned_bytes(const sonde_quantizer *quantizer);

/* The levels of a trained rq or rkmeans; NULL for other quantizers. */
const sonde__levels *sonde__levels_of(const sonde_quantizer *quantizer);

#endif
