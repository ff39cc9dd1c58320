/* rq.c: residual quantization: a row is the sum of m codewords; each level's codebook is trained on what the
 * levels before leave, and encoding follows several sums at once. (Chen, Guan, Wang 2010; beams and the joint
 * refit as in additive quantization, Babenko and Lempitsky 2014.)
 *
 * rq_levels.c has the levels, the beam and the codes; here are the keys, the sample that training takes, and
 * the refit.
 *
 * Refit: with the codes given, all codebooks together are a least squares problem, the same for every column.
 * One level after the other takes the mean of what the others leave (Gauss-Seidel): each step lowers the
 * error, columns go side by side, and no matrix is formed. Then rows are encoded anew. Few rows are soon
 * fitted too well, so some are kept aside as judges, and rounds go on as long as their error falls. Where it
 * never does, the levels are trained once more, on all rows.
 *
 * Measured: 384-d sentence embeddings, 65,536 rows, m=8, bits=8: the squared error of other rows falls from
 * 0.428 to 0.423 by widening (rq_levels.c) and to 0.399 by the refit as well.
 *
 * Cost: training m widening k-means of `sample` rows, twice where the judges refuse the refit, and as many
 * encodings as rounds; encoding m 2^bits (dim + beam m / 2) a row; memory 9 m 2^bits dim bytes, and up to
 * 128 MiB of products between codewords where beam > 1.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/handle.h"
#include "kernels/blocks.h"
#include "quantizers/rq_levels.h"

enum { RQ_REFIT_ROUNDS = 4, RQ_REFIT_SWEEPS = 8, RQ_REFIT_COLUMNS = 8, RQ_ERROR_ROWS = 1024 };
/* One row in RQ_JUDGE_STEP judges, or about RQ_JUDGES; fewer than RQ_FEWEST rows are too few to tell. */
enum { RQ_JUDGE_STEP = 16, RQ_JUDGES = 4096, RQ_FEWEST = 256 };

static sonde_status rq_create(sonde_quantizer *quantizer)
{
    sonde__levels *levels;
    SONDE_TRY(SONDE_NEW_ZERO(quantizer->runtime, levels, 1));
    levels->m = sonde__param_int(quantizer->params, "m");
    levels->bits = (int)sonde__param_int(quantizer->params, "bits");
    levels->k = (int64_t)1 << levels->bits;
    levels->dim = quantizer->dim;
    levels->beam = (int)sonde__param_int(quantizer->params, "beam");
    quantizer->state = levels;
    quantizer->code_bytes = sonde__codes_bytes(levels->m, levels->bits);
    quantizer->min_rows = levels->k;
    quantizer->sample_rows = sonde__max_i64(levels->k, sonde__param_int(quantizer->params, "sample"));
    return SONDE_OK;
}

/* ---- the refit ------------------------------------------------------------------------------------------------- */

/* The sampled rows with their codes, and the codewords that are fitted to them. The last rows are judges:
 * neither levels nor the refit learn from them. */
struct rq_fit {
    sonde_runtime *runtime;
    int threads;
    sonde__levels *levels;
    const float *x;
    int64_t n, judges; /* rows to learn from; then the others */
    uint16_t *codes;   /* (n + judges) x m */
    double *error;     /* a block of judges each */
    int rounds;        /* of the refit that the judges took */
};

/* Adds to each codeword of a level the mean of what is left of its rows, in `width` columns from `column` on.
 */
static void rq_refit_level(const struct rq_fit *fit, int64_t level, int64_t column, int64_t width,
                           float *rest, double *sum, int64_t *count)
{
    const sonde__levels *levels = fit->levels;
    float *codewords = sonde__levels_codewords(levels, level) + column;
    memset(sum, 0, (size_t)(levels->k * width) * sizeof *sum);
    memset(count, 0, (size_t)levels->k * sizeof *count);
    for (int64_t i = 0; i < fit->n; i++) {
        int64_t c = fit->codes[i * levels->m + level];
        count[c]++;
        for (int64_t j = 0; j < width; j++) sum[c * width + j] += rest[i * width + j];
    }
    for (int64_t c = 0; c < levels->k; c++)
        for (int64_t j = 0; j < width && count[c] > 0; j++) {
            float old = codewords[c * levels->dim + j];
            codewords[c * levels->dim + j] += (float)(sum[c * width + j] / (double)count[c]);
            sum[c * width + j] = codewords[c * levels->dim + j] - old;
        }
    for (int64_t i = 0; i < fit->n; i++) {
        const double *moved = sum + fit->codes[i * levels->m + level] * width;
        for (int64_t j = 0; j < width; j++) rest[i * width + j] -= (float)moved[j];
    }
}

static sonde_status rq_refit_columns(void *context, int64_t begin, int64_t end, int worker)
{
    const struct rq_fit *fit = context;
    const sonde__levels *levels = fit->levels;
    int64_t width = end - begin, dim = levels->dim, *count = NULL;
    sonde__scratch *scratch = NULL;
    float *rest = NULL;
    double *sum = NULL;
    (void)worker;
    SONDE_TRY(sonde__scratch_take(fit->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, rest, fit->n * width);
    if (status == SONDE_OK) status = SONDE_SCRATCH(scratch, sum, levels->k * width);
    if (status == SONDE_OK) status = SONDE_SCRATCH(scratch, count, levels->k);
    for (int64_t i = 0; status == SONDE_OK && i < fit->n; i++)
        for (int64_t j = 0; j < width; j++) {
            float value = fit->x[i * dim + begin + j];
            for (int64_t l = 0; l < levels->m; l++)
                value -= sonde__levels_codewords(levels, l)[fit->codes[i * levels->m + l] * dim + begin + j];
            rest[i * width + j] = value;
        }
    for (int64_t s = 0; status == SONDE_OK && s < RQ_REFIT_SWEEPS * levels->m; s++) {
        rq_refit_level(fit, s % levels->m, begin, width, rest, sum, count);
        status = sonde__poll(fit->runtime, NULL, 0, 1);
    }
    sonde__scratch_give(fit->runtime, scratch);
    return status;
}

static sonde_status rq_error_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct rq_fit *fit = context;
    const sonde__levels *levels = fit->levels;
    sonde__scratch *scratch = NULL;
    float *rest;
    (void)worker;
    SONDE_TRY(sonde__scratch_take(fit->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, rest, levels->dim);
    fit->error[begin / RQ_ERROR_ROWS] = 0;
    for (int64_t i = fit->n + begin; status == SONDE_OK && i < fit->n + end; i++) {
        sonde__levels_rest(levels, fit->x + i * levels->dim, fit->codes + i * levels->m, levels->m, rest);
        fit->error[begin / RQ_ERROR_ROWS] += sonde__kernels_get()->norm2(rest, levels->dim);
    }
    sonde__scratch_give(fit->runtime, scratch);
    return status;
}

/* Encodes the rows from `first` on; the squared distance of the judges to their reconstructions. */
static sonde_status rq_error(struct rq_fit *fit, int64_t first, double *error)
{
    const sonde__levels *levels = fit->levels;
    SONDE_TRY(sonde__levels_encode_all(fit->runtime, fit->threads, levels, fit->x + first * levels->dim,
                                       fit->n + fit->judges - first, fit->codes + first * levels->m));
    SONDE_TRY(sonde__parallel_for(fit->runtime, fit->threads, fit->judges, RQ_ERROR_ROWS, NULL,
                                  rq_error_chunk, fit));
    *error = 0;
    for (int64_t b = 0; b * RQ_ERROR_ROWS < fit->judges; b++) *error += fit->error[b];
    return SONDE_OK;
}

/* Books and products follow the codewords. */
static sonde_status rq_prepare(struct rq_fit *fit)
{
    for (int64_t l = 0; l < fit->levels->m; l++)
        SONDE_TRY(sonde__levels_prepare(fit->runtime, fit->threads, fit->levels, l, NULL));
    return SONDE_OK;
}

/* Fits, encodes anew and measures. */
static sonde_status rq_refit_round(struct rq_fit *fit, double *error)
{
    SONDE_TRY(sonde__parallel_for(fit->runtime, fit->threads, fit->levels->dim, RQ_REFIT_COLUMNS, "rq: refit",
                                  rq_refit_columns, fit));
    SONDE_TRY(rq_prepare(fit));
    return rq_error(fit, 0, error);
}

/* Rounds as long as they help the judges: codebooks that fit the rows better can be worse to encode with, and
 * worse for other rows, so the best are kept. */
static sonde_status rq_refit_rounds(struct rq_fit *fit, float *best)
{
    size_t bytes = (size_t)(fit->levels->m * fit->levels->k * fit->levels->dim) * sizeof *best;
    double least, error;
    SONDE_TRY(rq_error(fit, fit->n, &least));
    for (fit->rounds = 0; fit->rounds < RQ_REFIT_ROUNDS; fit->rounds++, least = error) {
        memcpy(best, fit->levels->codewords, bytes);
        SONDE_TRY(rq_refit_round(fit, &error));
        if (error < least) continue;
        memcpy(fit->levels->codewords, best, bytes);
        return rq_prepare(fit);
    }
    return SONDE_OK;
}

static sonde_status rq_refit(struct rq_fit *fit)
{
    float *best = NULL;
    sonde_status status = SONDE_NEW(fit->runtime, best, fit->levels->m * fit->levels->k * fit->levels->dim);
    if (status == SONDE_OK) status = SONDE_NEW(fit->runtime, fit->error, fit->judges / RQ_ERROR_ROWS + 1);
    if (status == SONDE_OK) status = rq_refit_rounds(fit, best);
    sonde__free(fit->runtime, best);
    sonde__free(fit->runtime, fit->error);
    return status;
}

/* ---- training -------------------------------------------------------------------------------------------------- */

/* Every how manieth of n sampled rows judges the refit; 0: none, and there is no refit. */
static int64_t rq_judge_step(const sonde_quantizer *quantizer, int64_t n)
{
    int64_t step = sonde__max_i64(RQ_JUDGE_STEP, n / RQ_JUDGES), learning = n - n / step;
    return n >= RQ_FEWEST && learning >= quantizer->min_rows ? step : 0;
}

static sonde_status rq_fit_levels(sonde_quantizer *quantizer, struct rq_fit *fit)
{
    const sonde__params *params = quantizer->params;
    sonde__levels_training training = {
        .x = fit->x,
        .n = fit->n,
        .kmeans = {.k = fit->levels->k,
                   .iterations = (int)sonde__param_int(params, "iters"),
                   .seed = (uint64_t)sonde__param_int(params, "seed"),
                   .threads = fit->threads,
                   .stage = "rq: codebooks"},
        .widen = sonde__param_int(params, "widen") > 0,
        .codes = fit->codes,
    };
    return sonde__levels_train(quantizer->runtime, fit->levels, &training);
}

/* A packed copy of the rows that training takes, the judges last. */
static sonde_status rq_sample(sonde_quantizer *quantizer, const sonde__training *training, bool judged,
                              float **x, struct rq_fit *fit)
{
    int64_t wanted = sonde__min_i64(training->n, quantizer->sample_rows), dim = quantizer->dim, *rows = NULL;
    int64_t step = judged ? rq_judge_step(quantizer, wanted) : 0, judges = step > 0 ? wanted / step : 0;
    int64_t learned = 0;
    uint64_t seed = (uint64_t)sonde__param_int(quantizer->params, "seed");
    sonde_status status = SONDE_NEW(quantizer->runtime, rows, wanted);
    if (status == SONDE_OK) status = SONDE_NEW(quantizer->runtime, *x, wanted * dim);
    if (status == SONDE_OK) sonde__blocks_sample(seed, 0, training->n, wanted, rows);
    for (int64_t i = 0; status == SONDE_OK && i < wanted; i++) {
        bool judge = step > 0 && i % step == step - 1;
        int64_t place = judge ? wanted - judges + i / step : learned++;
        memcpy(*x + place * dim, training->x + rows[i] * dim, (size_t)dim * sizeof **x);
    }
    sonde__free(quantizer->runtime, rows);
    fit->x = *x;
    fit->n = wanted - judges;
    fit->judges = judges;
    return status;
}

/* The levels, and the refit if rows are judged; *rounds is how many of its rounds the judges took. */
static sonde_status rq_learn(sonde_quantizer *quantizer, const sonde__training *training, bool judged,
                             sonde__levels *fresh, int *rounds)
{
    struct rq_fit fit = {.runtime = quantizer->runtime, .threads = training->threads, .levels = fresh};
    float *x = NULL;
    sonde_status status = rq_sample(quantizer, training, judged, &x, &fit);
    if (status == SONDE_OK)
        status = SONDE_NEW(quantizer->runtime, fit.codes, (fit.n + fit.judges) * fresh->m);
    if (status == SONDE_OK) status = rq_fit_levels(quantizer, &fit);
    if (status == SONDE_OK && fit.judges > 0) status = rq_refit(&fit);
    *rounds = fit.rounds;
    sonde__free(quantizer->runtime, fit.codes);
    sonde__free(quantizer->runtime, x);
    return status;
}

/* The old codebooks stay until the new ones are complete. */
static sonde_status rq_train(sonde_quantizer *quantizer, const sonde__training *training)
{
    sonde__levels *levels = quantizer->state, fresh;
    int64_t n = sonde__min_i64(training->n, quantizer->sample_rows);
    bool refit = sonde__param_int(quantizer->params, "refit") > 0 && rq_judge_step(quantizer, n) > 0;
    int rounds = 0;
    sonde_status status = sonde__levels_begin(quantizer->runtime, levels, &fresh);
    if (status == SONDE_OK && refit) status = rq_learn(quantizer, training, true, &fresh, &rounds);
    if (status == SONDE_OK && rounds == 0) status = rq_learn(quantizer, training, false, &fresh, &rounds);
    if (status == SONDE_OK) {
        sonde__levels_end(quantizer->runtime, levels);
        *levels = fresh;
    } else {
        sonde__levels_end(quantizer->runtime, &fresh);
    }
    return status;
}

/* ---- fast scan and files --------------------------------------------------------------------------------------- */

static int64_t rq_nibbles(const sonde_quantizer *quantizer)
{
    const sonde__levels *levels = quantizer->state;
    return levels->bits == 4 ? levels->m : 0;
}

static void rq_nibble_table(const sonde_quantizer *quantizer, const float *query, float *table, float *base)
{
    sonde__levels_hook_table(quantizer, query, table);
    *base = 0;
}

static sonde_status rq_save(const sonde_quantizer *quantizer, sonde__writer *writer)
{
    const sonde__levels *levels = quantizer->state;
    return sonde__write_array(writer, "CODEBOOK", levels->codewords,
                              (uint64_t)(levels->m * levels->k * levels->dim), sizeof(float));
}

/* The section must hold exactly what the spec says, finite; the rest is made anew for this machine's kernels.
 */
static sonde_status rq_load(sonde_quantizer *quantizer, sonde__reader *reader)
{
    sonde__levels *levels = quantizer->state, fresh = {.m = 0};
    float *codewords = NULL;
    SONDE_TRY(sonde__handle_floats(quantizer->runtime, reader, "CODEBOOK",
                                   (uint64_t)(levels->m * levels->k * levels->dim), &codewords));
    sonde_status status = sonde__levels_begin(quantizer->runtime, levels, &fresh);
    if (status == SONDE_OK)
        memcpy(fresh.codewords, codewords, (size_t)(levels->m * levels->k * levels->dim) * sizeof *codewords);
    for (int64_t l = 0; status == SONDE_OK && l < levels->m; l++)
        status = sonde__levels_prepare(quantizer->runtime, 0, &fresh, l, NULL);
    sonde__free(quantizer->runtime, codewords);
    if (status != SONDE_OK) sonde__levels_end(quantizer->runtime, &fresh);
    else *levels = fresh;
    return status;
}

static void rq_drop(sonde_quantizer *quantizer)
{
    if (quantizer->state) sonde__levels_end(quantizer->runtime, quantizer->state);
    sonde__free(quantizer->runtime, quantizer->state);
}

static const sonde__key rq_keys[] = {
    {"m", SONDE__KEY_INT, "8", 1, 1024, NULL, NULL, "levels: codewords that are added up"},
    {"bits", SONDE__KEY_INT, "8", 1, 12, NULL, NULL, "bits of a level: 2^bits codewords each"},
    {"beam", SONDE__KEY_INT, "5", 1, SONDE__LEVELS_BEAM_MOST, NULL, NULL,
     "sums that are followed at once while encoding; 1: the nearest codeword at each level"},
    {"refit", SONDE__KEY_INT, "1", 0, 1, NULL, NULL,
     "1: fit all codebooks together in the end, by least squares"},
    {"widen", SONDE__KEY_INT, "1", 0, 1, NULL, NULL,
     "1: k-means along the first principal directions, then along more, up to all (at most 2048 columns)"},
    {"iters", SONDE__KEY_INT, "10", 1, 1000, NULL, NULL, "k-means iterations, each time"},
    {"sample", SONDE__KEY_INT, "65536", 1, 1e9, NULL, NULL, "most rows to train on"},
    {"seed", SONDE__KEY_INT, "1", 0, 9007199254740992.0, NULL, NULL, "of the sample and of k-means"},
    {0},
};

const sonde__quantizer_method sonde__quantizer_rq = {
    .method = {"rq", "residual quantization: sums of codewords, encoded by beam",
               "Chen, Guan, Wang: Approximate nearest neighbor search by residual vector quantization "
               "(Sensors 2010)",
               rq_keys, sonde__vectors_input, NULL, NULL},
    .create = rq_create,
    .train = rq_train,
    .encode = sonde__levels_hook_encode,
    .decode = sonde__levels_hook_decode,
    .valid = sonde__levels_hook_valid,
    .table_bytes = sonde__levels_hook_table_bytes,
    .table = sonde__levels_hook_table,
    .scan = sonde__levels_hook_scan,
    .nibbles = rq_nibbles,
    .nibble_table = rq_nibble_table,
    .learned_bytes = sonde__levels_hook_learned_bytes,
    .save = rq_save,
    .load = rq_load,
    .drop = rq_drop,
};
