/* bpv.c: binary paragraph vectors: documents, given as counts of words, become short codes that tell which
 * words are likely in them. (Grzegorczyk, Kurdziel: Binary paragraph vectors, 2017.)
 *
 * Model: a document has numbers t of its own; bit b of its code is [logit_b >= 0], where the logits are t or,
 * with real > 0, a linear map of t. With r = +-1 for the bits, word w has the score <r, E_w> + bias_w, which
 * learns to be high for the words of the document and low for `negatives` words drawn by frequency^0.75
 * (negative sampling). The gradient passes through the rounding as if r were 2 sigmoid(logits) - 1. (With r =
 * 0 or 1, as published, scores can be the same; but each bit is then one more bias while it learns, and codes
 * collapse.) All steps are Adagrad's, which suits words of any frequency; those of documents are long, as
 * each has few.
 *
 * A row is a document: dim = size of the vocabulary, entries = counts (>= 0; only their shares matter). A row
 * without words is refused. Its code is found by `passes` steps on a t that starts at 0, the words frozen and
 * the negatives the same for all documents: the same row always gives the same code, and documents of
 * training are no exception.
 *
 *     decode = bias + sum of +-E_b: the score of every word, about log(share in the document / share in the noise)
 *     scan   = <query, decode>: the scores of the query's words in the document, weighted by their counts
 *
 * That is linear in the bits, so scans, tables and files of codes are those of signs.c. Hamming distance
 * compares codes. Learning takes documents in batches against the words as they stood before the batch, then
 * applies their gradients one after the other, so results do not depend on threads. Cost: (words of the
 * document + negatives) x bits a document and pass; memory 4 x 4 x bits dim bytes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "quantizers/bpv.h"

#include <math.h>

#include "base/handle.h"
#include "kernels/blocks.h"
#include "linalg/linalg.h"
#include "quantizers/codes.h"
#include "quantizers/signs.h"

#define BPV_LEAST 1e-12f /* added to sums of squares that steps are divided by */
#define BPV_WORDS_START 0.01f /* deviations at the start */
#define BPV_DOCUMENT_START 0.1f
#define BPV_MAP_START 3.0f /* of logits, for numbers of deviation 1 */
#define BPV_DOCUMENT_RATE 0.5f
#define BPV_MAP_SLOWER 0.1f /* than the words: it moves the codes of all documents */
#define BPV_NOISE 0.75

enum {
    BPV_BATCH = 64,
    BPV_SAMPLE = 65536,
    BPV_STREAM_START = 0x7301,
    BPV_STREAM_NUMBERS = 0x7302,
    BPV_STREAM_MAP = 0x7305,
    BPV_STREAM_NEGATIVES = 0x7303,
    BPV_STREAM_ENCODE = 0x7304
};

struct bpv {
    sonde__signs signs; /* first: the hooks of signs.c see this; center and back hold the scores of words */
    int64_t real, negatives, passes;
    float rate;
    uint64_t seed;
    sonde__bpv_model model;
    float *noise; /* dim: how often a word is drawn, up to a common factor; NULL until trained */
    double *upto; /* dim: the sums of it */
};

/* ---- the gradient ----------------------------------------------------------------------------------------------- */

/* log(1 + exp(x)) */
static double bpv_softplus(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static float bpv_sigmoid(float x)
{
    return 1 / (1 + expf(-x));
}

/* logits = map (t, 1), or t. */
static void bpv_logits(const sonde__bpv_model *model, const float *t, float *logit)
{
    int64_t row = model->real + 1;
    if (!model->real) {
        memcpy(logit, t, (size_t)model->bits * sizeof *t);
        return;
    }
    sonde__kernels_get()->ip_rows[SONDE__ROW_F32](t, model->map, row * (int64_t)sizeof *t, model->bits, model->real,
                                                  logit);
    for (int64_t b = 0; b < model->bits; b++) logit[b] += model->map[b * row + model->real];
}

/* From the scores of terms to the pulls on them; returns the loss. */
static double bpv_pulls(const sonde__bpv_terms *terms, float *score)
{
    double loss = 0;
    for (int64_t i = 0; i < terms->count; i++) {
        float weight = terms->weight[i];
        loss += fabs((double)weight) * bpv_softplus(weight > 0 ? -(double)score[i] : (double)score[i]);
        score[i] = weight > 0 ? weight * (bpv_sigmoid(score[i]) - 1) : -weight * bpv_sigmoid(score[i]);
    }
    return loss;
}

double sonde__bpv_gradient(const sonde__bpv_model *model, bool soft, const float *t, const sonde__bpv_terms *terms,
                           sonde__bpv_room *room, float *t_pull)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    int64_t bits = model->bits, row = model->real + 1;
    bpv_logits(model, t, room->logit);
    for (int64_t b = 0; b < bits; b++)
        room->code[b] = soft ? 2 * bpv_sigmoid(room->logit[b]) - 1 : room->logit[b] >= 0 ? 1 : -1;
    room->code[bits] = 1;
    kernels->ip_gather[SONDE__ROW_F32](room->code, model->words, terms->offset, terms->count, bits + 1, room->pull);
    double loss = bpv_pulls(terms, room->pull);
    memset(room->code_pull, 0, (size_t)(bits + 1) * sizeof *room->code_pull);
    for (int64_t i = 0; i < terms->count; i++)
        kernels->axpy(room->pull[i], (const float *)((const uint8_t *)model->words + terms->offset[i]), bits + 1,
                      room->code_pull);
    for (int64_t b = 0; b < bits; b++) {
        float s = bpv_sigmoid(room->logit[b]);
        room->logit_pull[b] = room->code_pull[b] * 2 * s * (1 - s);
    }
    if (!model->real) {
        memcpy(t_pull, room->logit_pull, (size_t)bits * sizeof *t_pull);
        return loss;
    }
    memset(t_pull, 0, (size_t)model->real * sizeof *t_pull);
    for (int64_t b = 0; b < bits; b++) kernels->axpy(room->logit_pull[b], model->map + b * row, model->real, t_pull);
    return loss;
}

/* One step of Adagrad. */
static inline void bpv_move(float *value, float *squares, float pull, float rate)
{
    *squares += pull * pull;
    *value -= rate * pull / sqrtf(*squares + BPV_LEAST);
}

/* ---- terms ------------------------------------------------------------------------------------------------------ */

static int64_t bpv_row_bytes(const sonde__bpv_model *model)
{
    return (model->bits + 1) * (int64_t)sizeof(float);
}

static sonde_status bpv_terms_new(sonde__scratch *scratch, int64_t most, sonde__bpv_terms *terms)
{
    SONDE_TRY(SONDE_SCRATCH(scratch, terms->offset, most));
    return SONDE_SCRATCH(scratch, terms->weight, most);
}

static sonde_status bpv_room_new(sonde__scratch *scratch, int64_t bits, int64_t most, sonde__bpv_room *room)
{
    SONDE_TRY(SONDE_SCRATCH(scratch, room->logit, bits));
    SONDE_TRY(SONDE_SCRATCH(scratch, room->code, bits + 1));
    SONDE_TRY(SONDE_SCRATCH(scratch, room->pull, most));
    SONDE_TRY(SONDE_SCRATCH(scratch, room->code_pull, bits + 1));
    return SONDE_SCRATCH(scratch, room->logit_pull, bits);
}

/* The words of a row, weighted by their shares. */
static void bpv_words(const sonde__bpv_model *model, const float *counts, sonde__bpv_terms *terms)
{
    double sum = 0;
    terms->count = 0;
    for (int64_t w = 0; w < model->dim; w++) sum += (double)counts[w];
    for (int64_t w = 0; w < model->dim; w++) {
        if (!(counts[w] > 0)) continue;
        terms->offset[terms->count] = w * bpv_row_bytes(model);
        terms->weight[terms->count++] = (float)((double)counts[w] / sum);
    }
}

/* The first word whose sum of noise is above `at`. */
static int64_t bpv_find(const double *upto, int64_t dim, double at)
{
    int64_t low = 0, high = dim - 1;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (upto[middle] > at) high = middle;
        else low = middle + 1;
    }
    return low;
}

/* Adds drawn words to the terms. */
static void bpv_draw(const struct bpv *bpv, const sonde__bpv_model *model, const double *upto, uint32_t stream,
                     uint64_t row, sonde__bpv_terms *terms)
{
    int64_t dim = model->dim;
    sonde__rng rng;
    sonde__rng_start(&rng, bpv->seed, stream, row);
    for (int64_t i = 0; i < bpv->negatives; i++) {
        int64_t w = bpv_find(upto, dim, sonde__rng_unit(&rng) * upto[dim - 1]);
        terms->offset[terms->count] = w * bpv_row_bytes(model);
        terms->weight[terms->count++] = -1 / (float)bpv->negatives;
    }
}

/* Counts are not negative, and not all 0. */
static sonde_status bpv_check(const float *x, int64_t ldx, int64_t n, int64_t dim, const char *verb)
{
    for (int64_t i = 0; i < n; i++) {
        bool any = false;
        for (int64_t w = 0; w < dim; w++) {
            if (x[i * ldx + w] < 0)
                return sonde__fail(SONDE_INVALID_ARGUMENT,
                                   "%s: bpv: a document has %g times word %lld; counts are 0 or more", verb,
                                   (double)x[i * ldx + w], (long long)w);
            any = any || x[i * ldx + w] > 0;
        }
        if (!any)
            return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: bpv: a document has no words, so it has no code", verb);
    }
    return SONDE_OK;
}

/* ---- learning --------------------------------------------------------------------------------------------------- */

/* Documents as lists of words: those of document i are at begin[i] .. begin[i + 1] - 1. */
struct bpv_fit {
    const struct bpv *bpv;
    sonde_runtime *runtime;
    int threads;
    int64_t n, dim, width, epochs;
    int64_t *begin, *offset;
    float *weight;
    float *noise;
    double *upto;
    sonde__bpv_model model;
    float *word_squares, *map_squares, *map_pull;
    float *t, *t_squares; /* n x width */
    /* one batch: */
    int64_t epoch, first, count, most; /* most: terms of a document */
    sonde__bpv_terms *terms;           /* BPV_BATCH each */
    sonde__bpv_room *room;
    sonde__scratch *scratch;
};

static void bpv_fit_drop(struct bpv_fit *f)
{
    sonde_runtime *runtime = f->runtime;
    sonde__free(runtime, f->begin);
    sonde__free(runtime, f->offset);
    sonde__free(runtime, f->weight);
    sonde__free(runtime, f->noise);
    sonde__free(runtime, f->upto);
    sonde__free(runtime, f->model.words);
    sonde__free(runtime, f->model.map);
    sonde__free(runtime, f->word_squares);
    sonde__free(runtime, f->map_squares);
    sonde__free(runtime, f->map_pull);
    sonde__free(runtime, f->t);
    sonde__free(runtime, f->t_squares);
    sonde__free(runtime, f->terms);
    sonde__free(runtime, f->room);
    sonde__scratch_give(runtime, f->scratch);
}

static sonde_status bpv_sums(sonde_runtime *runtime, const float *noise, int64_t dim, double **upto)
{
    double sum = 0;
    SONDE_TRY(SONDE_NEW(runtime, *upto, dim));
    for (int64_t w = 0; w < dim; w++) (*upto)[w] = sum += (double)noise[w];
    return SONDE_OK;
}

/* The lists of words, and how often each occurs. */
static sonde_status bpv_read_documents(struct bpv_fit *f, const float *x)
{
    int64_t words = 0;
    SONDE_TRY(SONDE_NEW(f->runtime, f->begin, f->n + 1));
    for (int64_t i = 0; i < f->n; i++) {
        f->begin[i] = words;
        for (int64_t w = 0; w < f->dim; w++) words += x[i * f->dim + w] > 0;
        f->most = sonde__max_i64(f->most, words - f->begin[i]);
    }
    f->begin[f->n] = words;
    SONDE_TRY(SONDE_NEW(f->runtime, f->offset, words));
    SONDE_TRY(SONDE_NEW(f->runtime, f->weight, words));
    SONDE_TRY(SONDE_NEW_ZERO(f->runtime, f->noise, f->dim));
    for (int64_t i = 0; i < f->n; i++) {
        sonde__bpv_terms list = {0, f->offset + f->begin[i], f->weight + f->begin[i]};
        bpv_words(&f->model, x + i * f->dim, &list);
        for (int64_t j = 0; j < list.count; j++) f->noise[list.offset[j] / bpv_row_bytes(&f->model)] += list.weight[j];
    }
    for (int64_t w = 0; w < f->dim; w++) f->noise[w] = powf(f->noise[w], (float)BPV_NOISE);
    f->most += f->bpv->negatives;
    return bpv_sums(f->runtime, f->noise, f->dim, &f->upto);
}

static void bpv_start_values(uint64_t seed, uint32_t stream, int64_t rows, int64_t width, int64_t stride,
                             float deviation, float *to)
{
    for (int64_t i = 0; i < rows; i++) {
        sonde__rng rng;
        sonde__rng_start(&rng, seed, stream, (uint64_t)i);
        for (int64_t j = 0; j < width; j++) to[i * stride + j] = deviation * sonde__rng_normal(&rng);
    }
}

/* Biases start at 0. */
static sonde_status bpv_fit_new(struct bpv_fit *f)
{
    sonde_runtime *runtime = f->runtime;
    int64_t bits = f->model.bits, real = f->model.real;
    uint64_t seed = f->bpv->seed;
    SONDE_TRY(SONDE_NEW_ZERO(runtime, f->model.words, f->dim * (bits + 1)));
    SONDE_TRY(SONDE_NEW_ZERO(runtime, f->word_squares, f->dim * (bits + 1)));
    SONDE_TRY(SONDE_NEW(runtime, f->t, f->n * f->width));
    SONDE_TRY(SONDE_NEW_ZERO(runtime, f->t_squares, f->n * f->width));
    bpv_start_values(seed, BPV_STREAM_START, f->dim, bits, bits + 1, BPV_WORDS_START, f->model.words);
    bpv_start_values(seed, BPV_STREAM_NUMBERS, f->n, f->width, f->width, BPV_DOCUMENT_START, f->t);
    if (real > 0) {
        SONDE_TRY(SONDE_NEW_ZERO(runtime, f->model.map, bits * (real + 1)));
        SONDE_TRY(SONDE_NEW_ZERO(runtime, f->map_squares, bits * (real + 1)));
        SONDE_TRY(SONDE_NEW(runtime, f->map_pull, bits * (real + 1)));
        bpv_start_values(seed, BPV_STREAM_MAP, bits, real, real + 1, BPV_MAP_START / sqrtf((float)real), f->model.map);
    }
    SONDE_TRY(SONDE_NEW(runtime, f->terms, BPV_BATCH));
    SONDE_TRY(SONDE_NEW(runtime, f->room, BPV_BATCH));
    SONDE_TRY(sonde__scratch_take(runtime, &f->scratch));
    for (int64_t i = 0; i < BPV_BATCH; i++) {
        SONDE_TRY(bpv_terms_new(f->scratch, f->most, &f->terms[i]));
        SONDE_TRY(bpv_room_new(f->scratch, bits, f->most, &f->room[i]));
    }
    return SONDE_OK;
}

/* The gradients of some documents of the batch, and their own steps. The words stay. */
static sonde_status bpv_batch_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct bpv_fit *f = context;
    sonde__scratch *scratch = NULL;
    float *pull;
    (void)worker;
    SONDE_TRY(sonde__scratch_take(f->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, pull, f->width);
    for (int64_t i = begin; status == SONDE_OK && i < end; i++) {
        int64_t d = f->first + i, words = f->begin[d + 1] - f->begin[d];
        sonde__bpv_terms *terms = &f->terms[i];
        terms->count = words;
        memcpy(terms->offset, f->offset + f->begin[d], (size_t)words * sizeof *terms->offset);
        memcpy(terms->weight, f->weight + f->begin[d], (size_t)words * sizeof *terms->weight);
        bpv_draw(f->bpv, &f->model, f->upto, BPV_STREAM_NEGATIVES, (uint64_t)(f->epoch * f->n + d), terms);
        sonde__bpv_gradient(&f->model, false, f->t + d * f->width, terms, &f->room[i], pull);
        for (int64_t j = 0; j < f->width; j++)
            bpv_move(&f->t[d * f->width + j], &f->t_squares[d * f->width + j], pull[j], BPV_DOCUMENT_RATE);
    }
    sonde__scratch_give(f->runtime, scratch);
    return status;
}

/* The words learn from one document. */
static void bpv_teach_words(const struct bpv_fit *f, int64_t i)
{
    const sonde__bpv_room *room = &f->room[i];
    int64_t bits = f->model.bits;
    for (int64_t j = 0; j < f->terms[i].count; j++) {
        int64_t at = f->terms[i].offset[j] / (int64_t)sizeof(float);
        for (int64_t b = 0; b <= bits; b++)
            bpv_move(&f->model.words[at + b], &f->word_squares[at + b], room->pull[j] * room->code[b], f->bpv->rate);
    }
}

/* The map learns from the whole batch, from the numbers of documents after their steps. */
static void bpv_teach_map(const struct bpv_fit *f)
{
    int64_t bits = f->model.bits, real = f->model.real, row = real + 1;
    memset(f->map_pull, 0, (size_t)(bits * row) * sizeof *f->map_pull);
    for (int64_t i = 0; i < f->count; i++)
        for (int64_t b = 0; b < bits; b++) {
            sonde__kernels_get()->axpy(f->room[i].logit_pull[b], f->t + (f->first + i) * real, real,
                                        f->map_pull + b * row);
            f->map_pull[b * row + real] += f->room[i].logit_pull[b];
        }
    for (int64_t j = 0; j < bits * row; j++)
        bpv_move(&f->model.map[j], &f->map_squares[j], f->map_pull[j], BPV_MAP_SLOWER * f->bpv->rate);
}

static sonde_status bpv_learn(struct bpv_fit *f)
{
    for (f->epoch = 0; f->epoch < f->epochs; f->epoch++)
        for (f->first = 0; f->first < f->n; f->first += BPV_BATCH) {
            f->count = sonde__min_i64(BPV_BATCH, f->n - f->first);
            SONDE_TRY(sonde__poll(f->runtime, "bpv: documents", (uint64_t)(f->epoch * f->n + f->first),
                                  (uint64_t)(f->epochs * f->n)));
            SONDE_TRY(sonde__parallel_for(f->runtime, f->threads, f->count, 8, NULL, bpv_batch_chunk, f));
            for (int64_t i = 0; i < f->count; i++) bpv_teach_words(f, i);
            if (f->model.real > 0) bpv_teach_map(f);
        }
    return SONDE_OK;
}

/* ---- what is kept ----------------------------------------------------------------------------------------------- */

static void bpv_clear(sonde_runtime *runtime, struct bpv *bpv)
{
    sonde__free(runtime, bpv->signs.center);
    sonde__free(runtime, bpv->signs.back);
    sonde__free(runtime, bpv->model.words);
    sonde__free(runtime, bpv->model.map);
    sonde__free(runtime, bpv->noise);
    sonde__free(runtime, bpv->upto);
}

/* What signs.c decodes and scans with. */
static sonde_status bpv_scores(sonde_runtime *runtime, const sonde__bpv_model *model, sonde__signs *signs)
{
    int64_t dim = model->dim, bits = model->bits;
    SONDE_TRY(SONDE_NEW(runtime, signs->center, dim));
    SONDE_TRY(SONDE_NEW(runtime, signs->back, bits * dim));
    for (int64_t w = 0; w < dim; w++) {
        const float *word = model->words + w * (bits + 1);
        signs->center[w] = word[bits];
        for (int64_t b = 0; b < bits; b++) signs->back[b * dim + w] = word[b];
    }
    signs->scale = 1;
    signs->bits = bits;
    return SONDE_OK;
}

/* Takes words, map, noise and its sums over; on failure they stay the caller's. */
static sonde_status bpv_adopt(sonde_quantizer *quantizer, const sonde__bpv_model *model, float *noise, double *upto)
{
    struct bpv *bpv = quantizer->state, next = *bpv;
    next.signs = (sonde__signs){0};
    sonde_status status = bpv_scores(quantizer->runtime, model, &next.signs);
    if (status != SONDE_OK) {
        sonde__free(quantizer->runtime, next.signs.center);
        sonde__free(quantizer->runtime, next.signs.back);
        return status;
    }
    bpv_clear(quantizer->runtime, bpv);
    next.model = *model;
    next.noise = noise;
    next.upto = upto;
    *bpv = next;
    return SONDE_OK;
}

static sonde_status bpv_train(sonde_quantizer *quantizer, const sonde__training *training)
{
    const struct bpv *bpv = quantizer->state;
    struct bpv_fit fit = {.bpv = bpv,
                          .runtime = quantizer->runtime,
                          .threads = training->threads,
                          .n = training->n,
                          .dim = quantizer->dim,
                          .epochs = sonde__param_int(quantizer->params, "epochs"),
                          .model = {quantizer->dim, bpv->signs.bits, bpv->real, NULL, NULL}};
    fit.width = sonde__bpv_width(&fit.model);
    SONDE_TRY(bpv_check(training->x, quantizer->dim, training->n, quantizer->dim, "train"));
    sonde_status status = bpv_read_documents(&fit, training->x);
    if (status == SONDE_OK) status = bpv_fit_new(&fit);
    if (status == SONDE_OK) status = bpv_learn(&fit);
    if (status == SONDE_OK) status = bpv_adopt(quantizer, &fit.model, fit.noise, fit.upto);
    if (status == SONDE_OK) {
        fit.model.words = fit.model.map = fit.noise = NULL;
        fit.upto = NULL;
    }
    bpv_fit_drop(&fit);
    return status;
}

/* ---- codes ------------------------------------------------------------------------------------------------------ */

struct bpv_inference {
    sonde__bpv_terms terms;
    sonde__bpv_room room;
    float *t, *squares, *pull;
};

static sonde_status bpv_inference_new(const struct bpv *bpv, sonde__scratch *scratch, struct bpv_inference *in)
{
    int64_t most = bpv->model.dim + bpv->negatives, width = sonde__bpv_width(&bpv->model);
    SONDE_TRY(bpv_terms_new(scratch, most, &in->terms));
    SONDE_TRY(bpv_room_new(scratch, bpv->model.bits, most, &in->room));
    SONDE_TRY(SONDE_SCRATCH(scratch, in->t, width));
    SONDE_TRY(SONDE_SCRATCH(scratch, in->squares, width));
    return SONDE_SCRATCH(scratch, in->pull, width);
}

/* The first step sees bits between -1 and 1: a start that leans nowhere. */
static void bpv_infer(const struct bpv *bpv, const float *counts, struct bpv_inference *in)
{
    int64_t width = sonde__bpv_width(&bpv->model), words;
    bpv_words(&bpv->model, counts, &in->terms);
    words = in->terms.count;
    memset(in->t, 0, (size_t)width * sizeof *in->t);
    memset(in->squares, 0, (size_t)width * sizeof *in->squares);
    for (int64_t pass = 0; pass < bpv->passes; pass++) {
        in->terms.count = words;
        bpv_draw(bpv, &bpv->model, bpv->upto, BPV_STREAM_ENCODE, (uint64_t)pass, &in->terms);
        sonde__bpv_gradient(&bpv->model, pass == 0, in->t, &in->terms, &in->room, in->pull);
        for (int64_t j = 0; j < width; j++) bpv_move(&in->t[j], &in->squares[j], in->pull[j], BPV_DOCUMENT_RATE);
    }
    bpv_logits(&bpv->model, in->t, in->room.logit);
}

static sonde_status bpv_encode(const sonde_quantizer *quantizer, const float *x, int64_t ldx, int64_t n, uint8_t *codes,
                               int64_t stride)
{
    const struct bpv *bpv = quantizer->state;
    struct bpv_inference in = {0};
    sonde__scratch *scratch = NULL;
    SONDE_TRY(bpv_check(x, ldx, n, quantizer->dim, "encode"));
    SONDE_TRY(sonde__scratch_take(quantizer->runtime, &scratch));
    sonde_status status = bpv_inference_new(bpv, scratch, &in);
    for (int64_t i = 0; status == SONDE_OK && i < n; i++) {
        bpv_infer(bpv, x + i * ldx, &in);
        memset(codes + i * stride, 0, (size_t)quantizer->code_bytes);
        for (int64_t b = 0; b < bpv->model.bits; b++)
            if (in.room.logit[b] >= 0) codes[i * stride + b / 8] |= (uint8_t)(1 << b % 8);
    }
    sonde__scratch_give(quantizer->runtime, scratch);
    return status;
}

/* ---- the method ------------------------------------------------------------------------------------------------- */

static sonde_status bpv_create(sonde_quantizer *quantizer)
{
    const sonde__params *params = quantizer->params;
    struct bpv *bpv;
    SONDE_TRY(SONDE_NEW_ZERO(quantizer->runtime, bpv, 1));
    bpv->signs.bits = sonde__param_int(params, "bits");
    bpv->real = sonde__param_int(params, "real");
    bpv->negatives = sonde__param_int(params, "negatives");
    bpv->passes = sonde__param_int(params, "passes");
    bpv->rate = (float)sonde__param_real(params, "lr");
    bpv->seed = (uint64_t)sonde__param_int(params, "seed");
    quantizer->state = bpv;
    quantizer->code_bytes = sonde__codes_bytes(bpv->signs.bits, 1);
    quantizer->min_rows = 1;
    quantizer->sample_rows = BPV_SAMPLE;
    return SONDE_OK;
}

static void bpv_drop(sonde_quantizer *quantizer)
{
    if (quantizer->state) bpv_clear(quantizer->runtime, quantizer->state);
    sonde__free(quantizer->runtime, quantizer->state);
}

static uint64_t bpv_word_floats(const struct bpv *bpv, int64_t dim)
{
    return (uint64_t)dim * (uint64_t)(bpv->signs.bits + 1);
}

static uint64_t bpv_map_floats(const struct bpv *bpv)
{
    return bpv->real > 0 ? (uint64_t)bpv->signs.bits * (uint64_t)(bpv->real + 1) : 0;
}

static uint64_t bpv_learned_bytes(const sonde_quantizer *quantizer)
{
    const struct bpv *bpv = quantizer->state;
    uint64_t words = bpv_word_floats(bpv, quantizer->dim);
    return (2 * words + bpv_map_floats(bpv) + 3 * (uint64_t)quantizer->dim) * sizeof(float);
}

static sonde_status bpv_save(const sonde_quantizer *quantizer, sonde__writer *writer)
{
    const struct bpv *bpv = quantizer->state;
    SONDE_TRY(sonde__write_array(writer, "WORDS", bpv->model.words, bpv_word_floats(bpv, quantizer->dim),
                                 sizeof(float)));
    if (bpv->real > 0) SONDE_TRY(sonde__write_array(writer, "MAP", bpv->model.map, bpv_map_floats(bpv), sizeof(float)));
    return sonde__write_array(writer, "NOISE", bpv->noise, (uint64_t)quantizer->dim, sizeof(float));
}

static sonde_status bpv_load_parts(const sonde_quantizer *quantizer, sonde__reader *reader, sonde__bpv_model *model,
                                   float **noise, double **upto)
{
    const struct bpv *bpv = quantizer->state;
    sonde_runtime *runtime = quantizer->runtime;
    int64_t dim = quantizer->dim;
    SONDE_TRY(sonde__handle_floats(runtime, reader, "WORDS", bpv_word_floats(bpv, dim), &model->words));
    if (bpv->real > 0) SONDE_TRY(sonde__handle_floats(runtime, reader, "MAP", bpv_map_floats(bpv), &model->map));
    SONDE_TRY(sonde__handle_floats(runtime, reader, "NOISE", (uint64_t)dim, noise));
    for (int64_t w = 0; w < dim; w++)
        if (!((*noise)[w] >= 0))
            return sonde__fail(SONDE_CORRUPT, "section \"NOISE\": word %lld is drawn %g times", (long long)w,
                               (double)(*noise)[w]);
    SONDE_TRY(bpv_sums(runtime, *noise, dim, upto));
    if (!((*upto)[dim - 1] > 0)) return sonde__fail(SONDE_CORRUPT, "section \"NOISE\": no word is ever drawn");
    return SONDE_OK;
}

static sonde_status bpv_load(sonde_quantizer *quantizer, sonde__reader *reader)
{
    const struct bpv *bpv = quantizer->state;
    sonde__bpv_model model = {quantizer->dim, bpv->signs.bits, bpv->real, NULL, NULL};
    float *noise = NULL;
    double *upto = NULL;
    sonde_status status = bpv_load_parts(quantizer, reader, &model, &noise, &upto);
    if (status == SONDE_OK) status = bpv_adopt(quantizer, &model, noise, upto);
    if (status == SONDE_OK) return SONDE_OK;
    sonde__free(quantizer->runtime, model.words);
    sonde__free(quantizer->runtime, model.map);
    sonde__free(quantizer->runtime, noise);
    sonde__free(quantizer->runtime, upto);
    return status;
}

static const sonde__key bpv_keys[] = {
    {"bits", SONDE__KEY_INT, "128", 1, SONDE__MAX_DIM, NULL, NULL, "bits of a code"},
    {"real", SONDE__KEY_INT, "0", 0, SONDE__MAX_DIM, NULL, NULL,
     "numbers of a document that its bits are made of by a learned map, such as 300; 0: the bits' own logits"},
    {"epochs", SONDE__KEY_INT, "20", 1, 100000, NULL, NULL, "passes over the documents in training"},
    {"negatives", SONDE__KEY_INT, "64", 1, 65536, NULL, NULL, "words drawn beside a document in each pass"},
    {"lr", SONDE__KEY_REAL, "0.02", 0, 100, NULL, NULL, "rate of Adagrad for the words"},
    {"passes", SONDE__KEY_INT, "30", 1, 100000, NULL, NULL, "steps that encode a document"},
    {"seed", SONDE__KEY_INT, "1", 0, 9007199254740992.0, NULL, NULL, "of the start and of the words drawn"},
    {0},
};

static const sonde__input_key bpv_inputs[] = {
    {"vectors", "n x dim", SONDE__DTYPES_NUMERIC, true, "documents: how often each word of the vocabulary occurs",
     "train"},
    {0},
};

const sonde__quantizer_method sonde__quantizer_bpv = {
    .method = {"bpv", "bits of a document, learned from the counts of its words",
               "Grzegorczyk, Kurdziel: Binary paragraph vectors (2017)", bpv_keys, bpv_inputs, NULL, NULL},
    .create = bpv_create,
    .train = bpv_train,
    .encode = bpv_encode,
    .decode = sonde__signs_decode,
    .valid = sonde__signs_valid,
    .table_bytes = sonde__signs_table_bytes,
    .table = sonde__signs_table,
    .scan = sonde__signs_scan,
    .nibbles = sonde__signs_nibbles,
    .nibble_table = sonde__signs_nibble_table,
    .binary = true,
    .learned_bytes = bpv_learned_bytes,
    .save = bpv_save,
    .load = bpv_load,
    .drop = bpv_drop,
    .refuses = true,
};
