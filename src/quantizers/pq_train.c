/* pq_train.c: what product quantization learns: a map in front, then a codebook for each part.
 *
 * Every training builds a new pq and puts it in the place of the old one at the end.
 *
 * loss=auto: half of the queries teach (loss=moment needs them), the other half judge: a part of the rows is encoded
 * under each loss, and the one is kept whose scores find most of the judges' ten best rows. Which loss is best is a
 * property of data and queries: the second moment can find several times as many where queries keep to few
 * directions (behind a rotation 0.50 in place of 0.16, planted), and loses a fifth where they do not (sentences that
 * ask for dictionary glosses).
 *
 * Cost: m k-means of `sample` rows; auto adds three trainings on AUTO_ROWS rows.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernels/blocks.h"
#include "linalg/linalg.h"
#include "quantizers/pq.h"

#define TRAIN_TWO_LEVELS 4096 /* centroids above which k-means works in two levels */
#define AUTO_ROWS 16384
#define AUTO_JUDGES 256
#define AUTO_FEWEST 32 /* queries below which auto is mse */
#define AUTO_DEPTH 10

enum pq_loss { PQ_MSE, PQ_SCORE, PQ_MOMENT };

/* What one training learns from: packed rows and queries. */
struct pq_lesson {
    const float *x, *queries;
    int64_t n, query_count;
    int threads;
};

/* ---- codebooks -------------------------------------------------------------------------------------------------- */

struct pq_clustering {
    const sonde__pq *pq;
    const struct pq_lesson *lesson; /* rows are mapped */
    float *centroids;
    int threads; /* inside one part */
};

static sonde_status pq_cluster(const sonde__pq *pq, const float *x, int64_t n, int64_t columns,
                               const sonde__kmeans_options *options, float *found)
{
    sonde__balance balance = {.mode = SONDE__BALANCE_NONE};
    if (sonde__param_is(pq->params, "balance", "none"))
        return sonde__kmeans(pq->runtime, x, pq->dim, n, columns, options, found, NULL);
    balance.mode = sonde__param_is(pq->params, "balance", "sinkhorn") ? SONDE__BALANCE_SINKHORN
                                                                      : SONDE__BALANCE_CAPACITY;
    return sonde__kmeans_balanced(pq->runtime, x, pq->dim, n, columns, options, &balance, NULL, found, NULL,
                                  NULL, NULL);
}

static sonde_status pq_cluster_part(const struct pq_clustering *t, int64_t j)
{
    const sonde__pq *pq = t->pq;
    int64_t columns = sonde__pq_columns(pq, j);
    float *out = sonde__pq_centroids(pq, t->centroids, j), *found;
    sonde__kmeans_options options = {
        .k = pq->k,
        .iterations = (int)sonde__param_int(pq->params, "iters"),
        .seed = (uint64_t)sonde__param_int(pq->params, "seed") + (uint64_t)j,
        .threads = t->threads,
        .hierarchical = pq->k > TRAIN_TWO_LEVELS,
        .stage = "pq: codebooks",
    };
    SONDE_TRY(SONDE_NEW(pq->runtime, found, pq->k * columns));
    sonde_status status = pq_cluster(pq, t->lesson->x + sonde__pq_first(pq, j), t->lesson->n, columns,
                                     &options, found);
    for (int64_t c = 0; status == SONDE_OK && c < pq->k; c++)
        memcpy(out + c * pq->width, found + c * columns, (size_t)columns * sizeof *out);
    sonde__free(pq->runtime, found);
    return status;
}

static sonde_status pq_cluster_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    for (int64_t j = begin; j < end; j++) SONDE_TRY(pq_cluster_part(context, j));
    return SONDE_OK;
}

/* Parts side by side where there are enough of them, else one after the other with all threads on each. */
static sonde_status pq_cluster_parts(struct pq_clustering *t)
{
    const sonde__pq *pq = t->pq;
    t->threads = t->lesson->threads;
    if (pq->m < sonde__runtime_threads(pq->runtime, (uint32_t)t->threads))
        return pq_cluster_chunk(t, 0, pq->m, 0);
    int threads = t->threads;
    t->threads = 1;
    return sonde__parallel_for(pq->runtime, threads, pq->m, 1, "pq: codebooks", pq_cluster_chunk, t);
}

/* ---- one training ----------------------------------------------------------------------------------------------- */

/* Rows as the parts see them: new memory where there is a map. */
static sonde_status pq_map_rows(const sonde__pq *pq, const sonde__pq_frame *frame,
                                const struct pq_lesson *lesson, struct pq_lesson *mapped, float **owned)
{
    int64_t d = pq->dim;
    *mapped = *lesson;
    if (!frame->map) return SONDE_OK;
    if (!*owned) SONDE_TRY(SONDE_NEW(pq->runtime, *owned, lesson->n * d));
    mapped->x = *owned;
    return sonde__gemm_nt(pq->runtime, lesson->threads, lesson->n, d, d, lesson->x, d, frame->map, d, *owned,
                          d);
}

/* The map in front of the parts, and the rows behind it. */
static sonde_status pq_learn_frame(const sonde__pq *pq, const struct pq_lesson *lesson, enum pq_loss loss,
                                   sonde__pq_frame *frame, struct pq_lesson *mapped, float **owned)
{
    float *rotation;
    frame->dim = pq->dim;
    if (loss == PQ_MOMENT)
        SONDE_TRY(sonde__pq_frame_moment(pq->runtime, lesson->threads, lesson->queries, lesson->query_count,
                                         pq->dim, frame));
    SONDE_TRY(pq_map_rows(pq, frame, lesson, mapped, owned));
    if (!pq->rotation) return SONDE_OK;
    SONDE_TRY(SONDE_NEW(pq->runtime, rotation, pq->dim * pq->dim));
    sonde_status status = pq->rotation(pq, mapped->x, mapped->n, mapped->threads, rotation);
    if (status != SONDE_OK) {
        sonde__free(pq->runtime, rotation);
        return status;
    }
    SONDE_TRY(sonde__pq_frame_rotate(pq->runtime, lesson->threads, rotation, frame));
    return pq_map_rows(pq, frame, lesson, mapped, owned);
}

/* (dim - 1) t^2 / (1 - t^2): theorem 3.4 of Guo et al. 2020, for rows of many columns; never below plain
 * distance. */
static float pq_eta(const sonde__pq *pq)
{
    double t = sonde__param_real(pq->params, "threshold"), eta = (double)(pq->dim - 1) * t * t / (1 - t * t);
    return eta > 1 ? (float)eta : 1;
}

static sonde_status pq_learn_into(sonde__pq *pq, const struct pq_lesson *lesson, enum pq_loss loss)
{
    sonde__pq_learned learned = {.eta = loss == PQ_SCORE ? pq_eta(pq) : 1};
    struct pq_lesson mapped;
    float *owned = NULL;
    sonde_status status = pq_learn_frame(pq, lesson, loss, &learned.frame, &mapped, &owned);
    if (status == SONDE_OK) status = SONDE_NEW_ZERO(pq->runtime, learned.centroids, sonde__pq_floats(pq));
    if (status == SONDE_OK) {
        struct pq_clustering t = {pq, &mapped, learned.centroids, 0};
        status = pq_cluster_parts(&t);
    }
    if (status == SONDE_OK) status = sonde__pq_adopt(pq, &learned);
    if (status != SONDE_OK) sonde__pq_learned_drop(pq->runtime, &learned);
    else if (pq->learned.eta != 1) status = sonde__pq_score_train(pq, mapped.x, mapped.n, mapped.threads);
    sonde__free(pq->runtime, owned);
    return status;
}

/* A new pq like the old one, trained. */
static sonde_status pq_learn(const sonde__pq *like, const struct pq_lesson *lesson, enum pq_loss loss,
                             sonde__pq **learned)
{
    sonde__pq *pq;
    SONDE_TRY(sonde__pq_make(like->runtime, like->params, like->dim, like->m, like->bits, &pq));
    pq->rotation = like->rotation;
    pq->rotation_iterations = like->rotation_iterations;
    sonde_status status = pq_learn_into(pq, lesson, loss);
    if (status == SONDE_OK) *learned = pq;
    else sonde__pq_free(pq);
    return status;
}

/* ---- loss=auto -------------------------------------------------------------------------------------------------- */

struct pq_trial {
    sonde_quantizer quantizer;      /* the one in training, with a state on trial */
    const struct pq_lesson *lesson; /* its queries are the judges */
    uint8_t *codes;
    int64_t *kept; /* for each judge: how many of its best rows the codes find */
};

/* The numbers of the AUTO_DEPTH best of n scores, best first, ties to the lower number; returns how many. */
static int64_t pq_best(const float *score, int64_t n, int64_t *best)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        if (count == AUTO_DEPTH && !(score[i] > score[best[count - 1]])) continue;
        int64_t at = count < AUTO_DEPTH ? count++ : count - 1;
        for (; at > 0 && score[i] > score[best[at - 1]]; at--) best[at] = best[at - 1];
        best[at] = i;
    }
    return count;
}

static int64_t pq_common(const int64_t *a, const int64_t *b, int64_t count)
{
    int64_t common = 0;
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = 0; j < count; j++) common += a[i] == b[j];
    return common;
}

static sonde_status pq_judge_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct pq_trial *trial = context;
    const sonde_quantizer *quantizer = &trial->quantizer;
    int64_t n = trial->lesson->n, d = quantizer->dim, exact[AUTO_DEPTH], found[AUTO_DEPTH];
    sonde__scratch *scratch = NULL;
    float *score;
    uint8_t *table;
    (void)worker;
    SONDE_TRY(sonde__scratch_take(quantizer->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, score, n);
    if (status == SONDE_OK) status = SONDE_SCRATCH(scratch, table, sonde__pq_table_bytes(quantizer));
    for (int64_t q = begin; status == SONDE_OK && q < end; q++) {
        const float *query = trial->lesson->queries + q * d;
        sonde__kernels_get()->ip_rows[SONDE__ROW_F32](query, trial->lesson->x, d * (int64_t)sizeof *query, n,
                                                      d, score);
        pq_best(score, n, exact);
        sonde__pq_table(quantizer, query, table);
        sonde__pq_scan(quantizer, table, trial->codes, quantizer->code_bytes, n, score);
        trial->kept[q] = pq_common(exact, found, pq_best(score, n, found));
    }
    sonde__scratch_give(quantizer->runtime, scratch);
    return status;
}

static sonde_status pq_encode_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct pq_trial *trial = context;
    const sonde_quantizer *quantizer = &trial->quantizer;
    (void)worker;
    return sonde__pq_encode(quantizer, trial->lesson->x + begin * quantizer->dim, quantizer->dim, end - begin,
                            trial->codes + begin * quantizer->code_bytes, quantizer->code_bytes);
}

/* How many of the judges' best rows a pq finds. */
static sonde_status pq_judge(const sonde_quantizer *quantizer, sonde__pq *pq, const struct pq_lesson *judges,
                             int64_t *kept)
{
    sonde_runtime *runtime = quantizer->runtime;
    struct pq_trial trial = {*quantizer, judges, NULL, NULL};
    trial.quantizer.state = pq;
    sonde_status status = SONDE_NEW(runtime, trial.codes, judges->n * quantizer->code_bytes);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, trial.kept, judges->query_count);
    if (status == SONDE_OK)
        status = sonde__parallel_for(runtime, judges->threads, judges->n, 256, "pq: trial", pq_encode_chunk,
                                     &trial);
    if (status == SONDE_OK)
        status = sonde__parallel_for(runtime, judges->threads, judges->query_count, 1, "pq: trial",
                                     pq_judge_chunk, &trial);
    *kept = 0;
    for (int64_t q = 0; status == SONDE_OK && q < judges->query_count; q++) *kept += trial.kept[q];
    sonde__free(runtime, trial.codes);
    sonde__free(runtime, trial.kept);
    return status;
}

/* Trains under each loss and keeps the best, the plainer one of equals. */
static sonde_status pq_try_losses(const sonde_quantizer *quantizer, const struct pq_lesson *teachers,
                                  const struct pq_lesson *judges, enum pq_loss *best)
{
    int64_t most = -1;
    for (enum pq_loss loss = PQ_MSE; loss <= PQ_MOMENT; loss++) {
        sonde__pq *pq;
        int64_t kept = 0;
        SONDE_TRY(pq_learn(quantizer->state, teachers, loss, &pq));
        sonde_status status = pq_judge(quantizer, pq, judges, &kept);
        sonde__pq_free(pq);
        SONDE_TRY(status);
        if (kept > most) *best = loss;
        most = sonde__max_i64(kept, most);
    }
    return SONDE_OK;
}

/* Every second query teaches, the others judge. */
static sonde_status pq_split_queries(sonde_runtime *runtime, int64_t d, struct pq_lesson *teachers,
                                     struct pq_lesson *judges, float **memory)
{
    const float *queries = teachers->queries;
    int64_t half = teachers->query_count / 2;
    SONDE_TRY(SONDE_NEW(runtime, *memory, 2 * half * d));
    for (int64_t q = 0; q < 2 * half; q++)
        memcpy(*memory + (q % 2 * half + q / 2) * d, queries + q * d, (size_t)d * sizeof **memory);
    teachers->queries = *memory;
    judges->queries = *memory + half * d;
    teachers->query_count = half;
    judges->query_count = sonde__min_i64(half, AUTO_JUDGES);
    return SONDE_OK;
}

/* `wanted` of n packed rows: the caller's own memory where that is all of them. */
static sonde_status pq_sample(const sonde__pq *pq, uint32_t stream, int64_t wanted, struct pq_lesson *lesson,
                              float **owned)
{
    uint64_t seed = (uint64_t)sonde__param_int(pq->params, "seed");
    int64_t d = pq->dim, *rows = NULL;
    if (wanted >= lesson->n) return SONDE_OK;
    sonde_status status = SONDE_NEW(pq->runtime, rows, wanted);
    if (status == SONDE_OK) status = SONDE_NEW(pq->runtime, *owned, wanted * d);
    if (status == SONDE_OK) {
        lesson->n = sonde__blocks_sample(seed, stream, lesson->n, wanted, rows);
        for (int64_t i = 0; i < lesson->n; i++)
            memcpy(*owned + i * d, lesson->x + rows[i] * d, (size_t)d * sizeof **owned);
        lesson->x = *owned;
    }
    sonde__free(pq->runtime, rows);
    return status;
}

static sonde_status pq_choose_loss(const sonde_quantizer *quantizer, const struct pq_lesson *lesson,
                                   enum pq_loss *loss)
{
    const sonde__pq *pq = quantizer->state;
    struct pq_lesson teachers = *lesson;
    float *rows = NULL, *queries = NULL;
    *loss = PQ_MSE;
    if (lesson->query_count < AUTO_FEWEST) return SONDE_OK;
    sonde_status status = pq_sample(pq, 1, sonde__max_i64(pq->k, AUTO_ROWS), &teachers, &rows);
    struct pq_lesson judges = teachers;
    if (status == SONDE_OK) status = pq_split_queries(pq->runtime, pq->dim, &teachers, &judges, &queries);
    if (status == SONDE_OK) status = pq_try_losses(quantizer, &teachers, &judges, loss);
    sonde__free(pq->runtime, rows);
    sonde__free(pq->runtime, queries);
    return status;
}

/* ---- the hook --------------------------------------------------------------------------------------------------- */

static sonde_status pq_resolve_loss(const sonde_quantizer *quantizer, const struct pq_lesson *lesson,
                                    enum pq_loss *loss)
{
    const sonde__pq *pq = quantizer->state;
    if (sonde__param_is(pq->params, "loss", "auto")) return pq_choose_loss(quantizer, lesson, loss);
    *loss = sonde__param_is(pq->params, "loss", "score")    ? PQ_SCORE
            : sonde__param_is(pq->params, "loss", "moment") ? PQ_MOMENT
                                                            : PQ_MSE;
    if (*loss == PQ_MOMENT && lesson->query_count == 0)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "train: loss=moment needs the input \"queries\"");
    return SONDE_OK;
}

/* The input "queries" as packed rows, if it was given. */
static sonde_status pq_take_queries(const sonde__pq *pq, const sonde__training *training,
                                    sonde__packed_rows *queries)
{
    sonde_array rows;
    if (!training->input || !training->input[1]) return SONDE_OK;
    SONDE_TRY(
        sonde__array_check(training->input[1], "train: queries", pq->dim, SONDE__DTYPES_NUMERIC, &rows));
    return sonde__blocks_pack(pq->runtime, training->threads, &rows, queries);
}

sonde_status sonde__pq_train(sonde_quantizer *quantizer, const sonde__training *training)
{
    sonde_runtime *runtime = quantizer->runtime;
    sonde__pq *pq = quantizer->state, *learned = NULL;
    sonde__packed_rows queries = {0};
    enum pq_loss loss = PQ_MSE;
    float *owned = NULL;
    SONDE_TRY(pq_take_queries(pq, training, &queries));
    struct pq_lesson lesson = {training->x, queries.x, training->n, queries.n, training->threads};
    sonde_status status = pq_sample(pq, 0, quantizer->sample_rows, &lesson, &owned);
    if (status == SONDE_OK) status = pq_resolve_loss(quantizer, &lesson, &loss);
    if (status == SONDE_OK) status = pq_learn(pq, &lesson, loss, &learned);
    if (status == SONDE_OK) {
        quantizer->state = learned;
        sonde__pq_free(pq);
    }
    sonde__free(runtime, owned);
    sonde__free(runtime, queries.owned);
    return status;
}
