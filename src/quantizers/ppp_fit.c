/* ppp_fit.c: how ppp finds groups and their number.
 *
 * Idea: a partition that a probabilistic model, started from it, finds again is structure; one that the model
 * pulls apart is not. For each K tried: k-means from nested principal splits (ppp_start.c), a mixture fitted
 * from its groups (ppp_mixture.c), and how far the two partitions agree (adjusted Rand index). The best
 * agreement wins, a better BIC among those within 0.01 of it. Without agreement, or where one Gaussian has
 * the better BIC, a flag says so.
 *
 *     rows --centre, principal axes--> y --K = 2, 3, 5, 8, ...--> best agreement --all K around it--> K, groups
 *
 * K is tried coarsely, each 1.5 times the last, then around the best agreement and around the best BIC. Rows
 * are taken in the order of their hashes, so that their order in the input does not matter; of more than
 * `sample` rows, evenly spaced ones. Nothing is random.
 *
 * Cost: the sum over the K tried of n K p times the iterations (p^2 with covariances), and n dim^2 for the
 * axes.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdlib.h>

#include "linalg/linalg.h"
#include "quantizers/ppp.h"

#define PPP_AS_GOOD 0.01 /* difference of agreement that does not matter */
#define PPP_FLOOR 1e-3   /* least variance, as a share of the mean variance of an axis */

enum {
    PPP_COLUMNS = 16, /* of one work item */
    PPP_LLOYD_ROUNDS = 100,
    PPP_FEW = 10      /* rows for each of k_max groups, at least */
};

/* ---- training: the rows ----------------------------------------------------------------------------------------- */

struct ppp_hash {
    uint64_t hash;
    int64_t row;
};

struct ppp_fit {
    const sonde_quantizer *quantizer;
    const sonde__training *training;
    sonde__ppp_model *model;
    struct ppp_hash *order;   /* all rows by hash */
    float *sample, *y;        /* the rows that are looked at; the same along the axes */
    int64_t sampled, limit;   /* limit: the most groups there can be */
    sonde__ppp_rows rows;
    int32_t *last, *parent;   /* the splits */
    int32_t *labels, *mixed;  /* by k-means, by the mixture */
    float *centroids;         /* limit x p */
    float *doubt;             /* of the sampled rows; NULL: not wanted */
    double floor;
    double *score;            /* tried x SONDE__PPP_SCORE, K ascending */
    int64_t tried, room;
    int32_t *all;             /* labels of all rows */
};

static void ppp_fit_drop(struct ppp_fit *f)
{
    sonde_runtime *runtime = f->quantizer->runtime;
    sonde__free(runtime, f->order);
    sonde__free(runtime, f->sample);
    sonde__free(runtime, f->y);
    sonde__free(runtime, f->last);
    sonde__free(runtime, f->parent);
    sonde__free(runtime, f->labels);
    sonde__free(runtime, f->mixed);
    sonde__free(runtime, f->centroids);
    sonde__free(runtime, f->doubt);
    sonde__free(runtime, f->score);
    sonde__free(runtime, f->all);
}

static int ppp_by_hash(const void *a, const void *b)
{
    uint64_t x = ((const struct ppp_hash *)a)->hash, y = ((const struct ppp_hash *)b)->hash;
    return (x > y) - (x < y);
}

/* Rows of one hash are taken to be equal, so their order among each other changes nothing. */
static sonde_status ppp_hash_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct ppp_fit *f = context;
    int64_t dim = f->quantizer->dim;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        uint64_t hash = 0;
        for (int64_t j = 0; j < dim; j++) {
            float value = f->training->x[i * dim + j] + 0; /* no -0 */
            uint32_t bits;
            memcpy(&bits, &value, sizeof bits);
            hash = sonde__mix64(hash + 0x9e3779b97f4a7c15u + bits);
        }
        f->order[i] = (struct ppp_hash){hash, i};
    }
    return SONDE_OK;
}

/* Sorts the rows and copies every so-manieth of them. */
static sonde_status ppp_take_sample(struct ppp_fit *f)
{
    int64_t n = f->training->n, dim = f->quantizer->dim;
    sonde_runtime *runtime = f->quantizer->runtime;
    f->sampled = sonde__min_i64(n, f->quantizer->sample_rows);
    SONDE_TRY(SONDE_NEW(runtime, f->order, n));
    SONDE_TRY(SONDE_NEW(runtime, f->sample, f->sampled * dim));
    SONDE_TRY(sonde__parallel_for(runtime, f->training->threads, n, 1024, NULL, ppp_hash_chunk, f));
    qsort(f->order, (size_t)n, sizeof *f->order, ppp_by_hash);
    for (int64_t i = 0; i < f->sampled; i++)
        memcpy(f->sample + i * dim, f->training->x + f->order[i * n / f->sampled].row * dim,
               (size_t)dim * sizeof *f->sample);
    return SONDE_OK;
}

static int64_t ppp_distinct(const struct ppp_fit *f)
{
    int64_t dim = f->quantizer->dim, distinct = 1;
    for (int64_t i = 1; i < f->sampled; i++)
        for (int64_t j = 0; j < dim; j++)
            if (f->sample[i * dim + j] != f->sample[(i - 1) * dim + j]) {
                distinct++;
                break;
            }
    return distinct;
}

static sonde_status ppp_find_mean(struct ppp_fit *f)
{
    int64_t dim = f->quantizer->dim;
    float *mean;
    double *sum;
    SONDE_TRY(SONDE_NEW(f->quantizer->runtime, f->model->part[SONDE__PPP_MEAN], dim));
    SONDE_TRY(SONDE_NEW_ZERO(f->quantizer->runtime, sum, dim));
    mean = f->model->part[SONDE__PPP_MEAN];
    for (int64_t i = 0; i < f->sampled; i++)
        for (int64_t j = 0; j < dim; j++) sum[j] += (double)f->sample[i * dim + j];
    for (int64_t j = 0; j < dim; j++) mean[j] = (float)(sum[j] / (double)f->sampled);
    sonde__free(f->quantizer->runtime, sum);
    return SONDE_OK;
}

/* The fewest axes with the wanted share of the variance. */
static int64_t ppp_axis_count(const double *values, int64_t dim, double share)
{
    double total = 0, held = 0;
    int64_t p = 0;
    for (int64_t j = 0; j < dim; j++) total += values[j] > 0 ? values[j] : 0;
    while (p < dim && (p == 0 || held < share * total)) {
        held += values[p] > 0 ? values[p] : 0;
        p++;
    }
    return p;
}

/* The largest entry of an axis is positive: else the same rows could give mirrored axes. */
static void ppp_copy_axis(const double *from, int64_t dim, float *to)
{
    int64_t largest = 0;
    for (int64_t j = 1; j < dim; j++)
        if (fabs(from[j]) > fabs(from[largest])) largest = j;
    double sign = from[largest] < 0 ? -1 : 1;
    for (int64_t j = 0; j < dim; j++) to[j] = (float)(sign * from[j]);
}

static sonde_status ppp_find_axes(struct ppp_fit *f)
{
    int64_t dim = f->quantizer->dim;
    sonde__ppp_model *m = f->model;
    sonde_runtime *runtime = f->quantizer->runtime;
    double share = sonde__param_real(f->quantizer->params, "reduce"), *gram;
    m->p = dim;
    if (share >= 1) return SONDE_OK;
    SONDE_TRY(SONDE_NEW(runtime, gram, (2 * dim + 1) * dim));
    double *vectors = gram + dim * dim, *values = vectors + dim * dim;
    sonde_status status = sonde__gram(runtime, f->training->threads, f->sampled, dim, f->sample, dim,
                                      m->part[SONDE__PPP_MEAN], gram);
    if (status == SONDE_OK) status = sonde__eigen_symmetric(runtime, dim, gram, values, vectors);
    if (status == SONDE_OK) {
        m->p = ppp_axis_count(values, dim, share);
        status = SONDE_NEW(runtime, m->part[SONDE__PPP_AXES], m->p * dim);
    }
    for (int64_t a = 0; status == SONDE_OK && a < m->p; a++)
        ppp_copy_axis(vectors + a * dim, dim, m->part[SONDE__PPP_AXES] + a * dim);
    sonde__free(runtime, gram);
    return status == SONDE_OK ? sonde__ppp_prepare_axes(runtime, m, dim) : status;
}

static sonde_status ppp_project_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct ppp_fit *f = context;
    int64_t dim = f->quantizer->dim;
    sonde__scratch *scratch = NULL;
    float *room;
    (void)worker;
    SONDE_TRY(sonde__scratch_take(f->quantizer->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, room, SONDE__PPP_ROWS * dim);
    for (int64_t i = begin; status == SONDE_OK && i < end; i += SONDE__PPP_ROWS)
        sonde__ppp_project(f->model, dim, f->sample + i * dim, dim, sonde__min_i64(SONDE__PPP_ROWS, end - i), room,
                    f->y + i * f->model->p);
    sonde__scratch_give(f->quantizer->runtime, scratch);
    return status;
}

/* A share of the mean variance along an axis. */
static double ppp_least_variance(const struct ppp_fit *f)
{
    double sum = 0;
    for (int64_t i = 0; i < f->sampled * f->model->p; i++) sum += (double)f->y[i] * f->y[i];
    return sum > 0 ? PPP_FLOOR * sum / (double)(f->sampled * f->model->p) : 1;
}

/* The rows along the axes, and the splits. */
static sonde_status ppp_fit_rows(struct ppp_fit *f)
{
    const sonde__ppp *ppp = f->quantizer->state;
    sonde_runtime *runtime = f->quantizer->runtime;
    int64_t distinct, most;
    SONDE_TRY(ppp_take_sample(f));
    SONDE_TRY(ppp_find_mean(f));
    SONDE_TRY(ppp_find_axes(f));
    distinct = ppp_distinct(f);
    most = sonde__min_i64(ppp->k_max, distinct);
    SONDE_TRY(SONDE_NEW(runtime, f->y, f->sampled * f->model->p));
    SONDE_TRY(sonde__parallel_for(runtime, f->training->threads, f->sampled, 8 * SONDE__PPP_ROWS, NULL,
                                  ppp_project_chunk, f));
    f->rows = (sonde__ppp_rows){runtime, f->training->threads, f->y, f->sampled, f->model->p};
    f->floor = ppp_least_variance(f);
    SONDE_TRY(SONDE_NEW(runtime, f->last, f->sampled));
    SONDE_TRY(SONDE_NEW(runtime, f->parent, most));
    SONDE_TRY(sonde__ppp_split(&f->rows, most, f->last, f->parent, &f->limit));
    if (distinct <= ppp->k_max) f->model->flags |= SONDE__PPP_FEW_DISTINCT;
    if (f->training->n < PPP_FEW * ppp->k_max) f->model->flags |= SONDE__PPP_FEW_ROWS;
    SONDE_TRY(SONDE_NEW(runtime, f->labels, f->sampled));
    SONDE_TRY(SONDE_NEW(runtime, f->mixed, f->sampled));
    return SONDE_NEW(runtime, f->centroids, f->limit * f->model->p);
}

/* ---- training: one K -------------------------------------------------------------------------------------------- */

static double ppp_bic(const struct ppp_fit *f, int64_t k, double log_likelihood)
{
    double p = (double)f->model->p, each = f->model->full ? p + p * (p + 1) / 2 : 2 * p;
    return -2 * log_likelihood + ((double)k * each + (double)k - 1) * log((double)f->sampled);
}

/* How well k-means from random starts finds the same groups. */
static sonde_status ppp_stability(const struct ppp_fit *f, int64_t k, double *stability)
{
    const sonde__params *params = f->quantizer->params;
    sonde_runtime *runtime = f->quantizer->runtime;
    int64_t restarts = sonde__param_int(params, "restarts"), p = f->model->p;
    float *centroids;
    *stability = 0;
    if (restarts == 0) return SONDE_OK;
    SONDE_TRY(SONDE_NEW(runtime, centroids, k * p));
    sonde_status status = SONDE_OK;
    for (int64_t r = 0; status == SONDE_OK && r < restarts; r++) {
        double agreement = 0;
        sonde__kmeans_options options = {.k = k,
                                         .iterations = PPP_LLOYD_ROUNDS,
                                         .seed = (uint64_t)(sonde__param_int(params, "seed") + r),
                                         .threads = f->training->threads,
                                         .stage = "ppp: restarts"};
        status = sonde__kmeans(runtime, f->y, p, f->sampled, p, &options, centroids, NULL);
        if (status == SONDE_OK)
            status = sonde__assign(runtime, f->training->threads, f->y, p, f->sampled, p, centroids, k, false,
                                   f->mixed, NULL);
        if (status == SONDE_OK)
            status = sonde__ppp_agreement(runtime, f->labels, f->mixed, f->sampled, k, &agreement);
        *stability += agreement / (double)restarts;
    }
    sonde__free(runtime, centroids);
    return status;
}

/* k-means and the mixture for one K; the mixture is the caller's to drop. */
static sonde_status ppp_try(struct ppp_fit *f, int64_t k, double *score, sonde__mixture *mixture)
{
    sonde_runtime *runtime = f->quantizer->runtime;
    sonde__posterior posterior = {.labels = f->mixed, .doubt = f->doubt};
    score[SONDE__PPP_K] = (double)k;
    sonde__ppp_cut(f->last, f->parent, f->sampled, k, f->labels);
    SONDE_TRY(sonde__ppp_lloyd(&f->rows, k, PPP_LLOYD_ROUNDS, f->labels, f->centroids, &score[SONDE__PPP_START_SSE],
                               &score[SONDE__PPP_SSE]));
    SONDE_TRY(ppp_stability(f, k, &score[SONDE__PPP_STABILITY]));
    SONDE_TRY(sonde__mixture_new(runtime, k, f->model->p, f->model->full, f->floor, mixture));
    SONDE_TRY(sonde__mixture_fit(mixture, &f->rows, f->labels, f->centroids,
                                 (int)sonde__param_int(f->quantizer->params, "em_iters"), &posterior));
    score[SONDE__PPP_CONFIDENCE] = posterior.confidence;
    score[SONDE__PPP_BIC] = ppp_bic(f, k, posterior.log_likelihood);
    return sonde__ppp_agreement(runtime, f->labels, f->mixed, f->sampled, k, &score[SONDE__PPP_AGREEMENT]);
}

/* Where the scores of k stand, or belong. */
static int64_t ppp_place(const struct ppp_fit *f, int64_t k)
{
    int64_t place = 0;
    while (place < f->tried && f->score[place * SONDE__PPP_SCORE + SONDE__PPP_K] < (double)k) place++;
    return place;
}

static sonde_status ppp_make_room(struct ppp_fit *f)
{
    double *larger;
    if (f->tried < f->room) return SONDE_OK;
    SONDE_TRY(SONDE_NEW(f->quantizer->runtime, larger, (2 * f->room + 16) * SONDE__PPP_SCORE));
    if (f->tried > 0) memcpy(larger, f->score, (size_t)(f->tried * SONDE__PPP_SCORE) * sizeof *larger);
    sonde__free(f->quantizer->runtime, f->score);
    f->score = larger;
    f->room = 2 * f->room + 16;
    return SONDE_OK;
}

/* Scores k unless that was done. */
static sonde_status ppp_score_k(struct ppp_fit *f, int64_t k)
{
    const sonde__ppp *ppp = f->quantizer->state;
    int64_t place = ppp_place(f, k);
    double score[SONDE__PPP_SCORE];
    sonde__mixture mixture = {0};
    if (place < f->tried && f->score[place * SONDE__PPP_SCORE + SONDE__PPP_K] == (double)k) return SONDE_OK;
    SONDE_TRY(sonde__poll(f->quantizer->runtime, "ppp: numbers of groups", (uint64_t)k, (uint64_t)ppp->k_max));
    SONDE_TRY(ppp_make_room(f));
    sonde_status status = ppp_try(f, k, score, &mixture);
    if (status == SONDE_OK) {
        double *to = f->score + place * SONDE__PPP_SCORE;
        memmove(to + SONDE__PPP_SCORE, to, (size_t)((f->tried - place) * SONDE__PPP_SCORE) * sizeof *to);
        memcpy(to, score, sizeof score);
        f->tried++;
    }
    if (mixture.runtime) sonde__mixture_drop(&mixture);
    return status;
}

/* ---- training: which K ------------------------------------------------------------------------------------------ */

/* The row of scores with the most of one column among K >= least; sign -1: the least of it. */
static int64_t ppp_best(const struct ppp_fit *f, int column, double sign, int64_t least)
{
    int64_t best = -1;
    for (int64_t i = 0; i < f->tried; i++) {
        const double *score = f->score + i * SONDE__PPP_SCORE;
        if (score[SONDE__PPP_K] < (double)least) continue;
        if (best < 0 || sign * score[column] > sign * f->score[best * SONDE__PPP_SCORE + column]) best = i;
    }
    return best;
}

/* Tries K between the neighbours of the best one, in at most 8 steps at a time, until those are steps of 1. */
static sonde_status ppp_refine(struct ppp_fit *f, int column, double sign, int64_t least)
{
    for (int64_t step = 2; step > 1;) {
        int64_t best = ppp_best(f, column, sign, least);
        int64_t low = (int64_t)f->score[(best > 0 ? best - 1 : 0) * SONDE__PPP_SCORE + SONDE__PPP_K];
        int64_t high = (int64_t)f->score[(best + 1 < f->tried ? best + 1 : best) * SONDE__PPP_SCORE + SONDE__PPP_K];
        step = sonde__max_i64(1, (high - low) / 8);
        for (int64_t k = sonde__max_i64(low, least); k <= high; k += step) SONDE_TRY(ppp_score_k(f, k));
    }
    return SONDE_OK;
}

static sonde_status ppp_scan(struct ppp_fit *f, int64_t least)
{
    SONDE_TRY(ppp_score_k(f, 1));
    for (int64_t k = least; k < f->limit; k = sonde__max_i64(k + 1, (3 * k + 1) / 2)) SONDE_TRY(ppp_score_k(f, k));
    SONDE_TRY(ppp_score_k(f, f->limit));
    SONDE_TRY(ppp_refine(f, SONDE__PPP_AGREEMENT, 1, least));
    return ppp_refine(f, SONDE__PPP_BIC, -1, least);
}

/* Of the agreements near the best, the lowest BIC. One Gaussian needs no agreement: it must only be better. */
static int64_t ppp_choose(struct ppp_fit *f, int64_t least)
{
    const sonde__ppp *ppp = f->quantizer->state;
    double bar = f->score[ppp_best(f, SONDE__PPP_AGREEMENT, 1, least) * SONDE__PPP_SCORE + SONDE__PPP_AGREEMENT];
    int64_t choice = ppp_best(f, SONDE__PPP_BIC, -1, least);
    if (bar >= sonde__param_real(f->quantizer->params, "agree")) {
        choice = -1;
        for (int64_t i = 0; i < f->tried; i++) {
            const double *score = f->score + i * SONDE__PPP_SCORE;
            if (score[SONDE__PPP_K] < (double)least || score[SONDE__PPP_AGREEMENT] < bar - PPP_AS_GOOD) continue;
            if (choice < 0 || score[SONDE__PPP_BIC] < f->score[choice * SONDE__PPP_SCORE + SONDE__PPP_BIC]) choice = i;
        }
    } else {
        f->model->flags |= SONDE__PPP_NO_STRUCTURE;
    }
    if (f->score[choice * SONDE__PPP_SCORE + SONDE__PPP_BIC] >= f->score[SONDE__PPP_BIC]) {
        f->model->flags |= SONDE__PPP_NO_STRUCTURE;
        if (ppp->k_min == 1) choice = 0;
    }
    return (int64_t)f->score[choice * SONDE__PPP_SCORE + SONDE__PPP_K];
}

static sonde_status ppp_find_k(struct ppp_fit *f, int64_t *k)
{
    const sonde__ppp *ppp = f->quantizer->state;
    int64_t least = sonde__min_i64(sonde__max_i64(2, ppp->k_min), f->limit);
    *k = 1;
    if (ppp->k_max == 1 || f->limit == 1) return ppp_score_k(f, 1);
    SONDE_TRY(ppp_scan(f, least));
    *k = ppp_choose(f, least);
    return SONDE_OK;
}

/* ---- training: what is kept ------------------------------------------------------------------------------------- */

static sonde_status ppp_label_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct ppp_fit *f = context;
    int64_t dim = f->quantizer->dim;
    (void)worker;
    return sonde__ppp_nearest(f->quantizer, f->model, f->training->x + begin * dim, dim, end - begin, f->all + begin);
}

/* A group on its way to its place: larger groups first, then by the first entry of the centroid along the
 * axes. */
struct ppp_rank {
    int64_t size, group;
    float first;
};

static int ppp_by_size(const void *a, const void *b)
{
    const struct ppp_rank *x = a, *y = b;
    if (x->size != y->size) return x->size < y->size ? 1 : -1;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return (x->group > y->group) - (x->group < y->group);
}

/* Labels of all rows by the given centroids; sizes, and ranks in order. */
static sonde_status ppp_rank_groups(struct ppp_fit *f, struct ppp_rank *rank)
{
    sonde__ppp_model *m = f->model;
    int64_t n = f->training->n;
    SONDE_TRY(sonde__ppp_prepare_book(f->quantizer->runtime, f->centroids, m->k, m->p, &m->packed[0], &m->near));
    SONDE_TRY(sonde__parallel_for(f->quantizer->runtime, f->training->threads, n, 256, NULL, ppp_label_chunk, f));
    for (int64_t g = 0; g < m->k; g++) rank[g] = (struct ppp_rank){0, g, f->centroids[g * m->p]};
    for (int64_t i = 0; i < n; i++) rank[f->all[i]].size++;
    qsort(rank, (size_t)m->k, sizeof *rank, ppp_by_size);
    return SONDE_OK;
}

/* The variances of the component at `from`: along the axes, or all of them. */
static void ppp_keep_spread(const sonde__mixture *mixture, int64_t from, float *to)
{
    int64_t k = mixture->k, p = mixture->p;
    if (!mixture->full) {
        for (int64_t j = 0; j < p; j++) to[j] = (float)(1 / mixture->spread[j * k + from]);
        return;
    }
    /* The root holds r_i = axis_i / deviation_i in its columns; the covariance is the sum of r_i r_i^T / |r_i|^4. */
    const double *root = mixture->spread + from * p * p;
    for (int64_t i = 0; i < p; i++) {
        double length2 = 0;
        for (int64_t j = 0; j < p; j++) length2 += root[j * p + i] * root[j * p + i];
        for (int64_t j = 0; j < p; j++)
            for (int64_t l = 0; l < p; l++)
                to[j * p + l] += (float)(root[j * p + i] * root[l * p + i] / (length2 * length2));
    }
}

/* Everything in the order of the ranks. */
static void ppp_keep_groups(struct ppp_fit *f, const struct ppp_rank *rank, const sonde__mixture *mixture,
                            int32_t *place)
{
    sonde__ppp_model *m = f->model;
    int64_t p = m->p;
    for (int64_t g = 0; g < m->k; g++) {
        int64_t from = rank[g].group;
        place[from] = (int32_t)g;
        m->sizes[g] = rank[g].size;
        m->part[SONDE__PPP_WEIGHTS][g] = (float)mixture->weight[from];
        memcpy(m->part[SONDE__PPP_NEAR] + g * p, f->centroids + from * p, (size_t)p * sizeof *f->centroids);
        for (int64_t j = 0; j < p; j++) m->part[SONDE__PPP_MEANS][g * p + j] = (float)mixture->mean[j * m->k + from];
        ppp_keep_spread(mixture, from, m->part[SONDE__PPP_VARIANCES] + g * (m->full ? p * p : p));
    }
    for (int64_t i = 0; i < f->training->n; i++) f->all[i] = place[f->all[i]];
}

/* Centroids in the columns, and how much of a column's variance lies between them. Rows go in the order of
 * hashes. */
static sonde_status ppp_columns_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct ppp_fit *f = context;
    sonde__ppp_model *m = f->model;
    int64_t dim = f->quantizer->dim, k = m->k, n = f->training->n, width = end - begin;
    sonde__scratch *scratch = NULL;
    double *sum = NULL, total[PPP_COLUMNS] = {0}, drift[PPP_COLUMNS] = {0};
    (void)worker;
    SONDE_TRY(sonde__scratch_take(f->quantizer->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, sum, k * width);
    if (status == SONDE_OK) memset(sum, 0, (size_t)(k * width) * sizeof *sum);
    for (int64_t i = 0; status == SONDE_OK && i < n; i++) {
        int64_t row = f->order[i].row;
        for (int64_t j = 0; j < width; j++) {
            double away = (double)f->training->x[row * dim + begin + j] - m->part[SONDE__PPP_MEAN][begin + j];
            sum[f->all[row] * width + j] += away;
            drift[j] += away;
            total[j] += away * away;
        }
    }
    for (int64_t j = 0; status == SONDE_OK && j < width; j++) {
        double between = 0, mean = drift[j] / (double)n;
        for (int64_t g = 0; g < k; g++) {
            double away = m->sizes[g] > 0 ? sum[g * width + j] / (double)m->sizes[g] : 0;
            m->part[SONDE__PPP_CENTROIDS][g * dim + begin + j] = (float)(m->part[SONDE__PPP_MEAN][begin + j] + away);
            between += (double)m->sizes[g] * (away - mean) * (away - mean);
        }
        total[j] -= (double)n * mean * mean;
        m->part[SONDE__PPP_DIMENSIONS][begin + j] = total[j] > 0 ? (float)fmin(1, between / total[j]) : 0;
    }
    sonde__scratch_give(f->quantizer->runtime, scratch);
    return status;
}

/* The mean over the sampled rows of a group of 1 - second best posterior / best. */
static sonde_status ppp_keep_separability(struct ppp_fit *f, const int32_t *place)
{
    sonde__ppp_model *m = f->model;
    double *sum;
    SONDE_TRY(SONDE_NEW_ZERO(f->quantizer->runtime, sum, 2 * m->k));
    for (int64_t i = 0; i < f->sampled; i++) {
        int32_t g = place[f->labels[i]];
        sum[g] += 1 - (double)f->doubt[i];
        sum[m->k + g]++;
    }
    for (int64_t g = 0; g < m->k; g++)
        m->part[SONDE__PPP_SEPARABILITY][g] = sum[m->k + g] > 0 ? (float)(sum[g] / sum[m->k + g]) : 0;
    sonde__free(f->quantizer->runtime, sum);
    return SONDE_OK;
}

/* Memory for all parts that are not there yet, and the scores. */
static sonde_status ppp_model_room(struct ppp_fit *f)
{
    sonde__ppp_model *m = f->model;
    int64_t dim = f->quantizer->dim;
    m->tried = f->tried;
    SONDE_TRY(SONDE_NEW(f->quantizer->runtime, m->sizes, m->k));
    SONDE_TRY(SONDE_NEW(f->quantizer->runtime, f->all, f->training->n));
    for (int part = 0; part < SONDE__PPP_PARTS; part++)
        if (part != SONDE__PPP_AXES && part != SONDE__PPP_MEAN)
            SONDE_TRY(SONDE_NEW_ZERO(f->quantizer->runtime, m->part[part], sonde__ppp_part_count(m, part, dim)));
    for (int64_t i = 0; i < m->tried * SONDE__PPP_SCORE; i++) m->part[SONDE__PPP_SCORES][i] = (float)f->score[i];
    return SONDE_OK;
}

static sonde_status ppp_keep_ranked(struct ppp_fit *f, struct ppp_rank *rank, int32_t *place,
                                    const sonde__mixture *mixture)
{
    sonde__ppp_model *m = f->model;
    sonde_runtime *runtime = f->quantizer->runtime;
    SONDE_TRY(ppp_rank_groups(f, rank));
    ppp_keep_groups(f, rank, mixture, place);
    SONDE_TRY(ppp_keep_separability(f, place));
    SONDE_TRY(sonde__parallel_for(runtime, f->training->threads, f->quantizer->dim, PPP_COLUMNS, NULL,
                                  ppp_columns_chunk, f));
    sonde__codebook_prepare(&m->near, m->part[SONDE__PPP_NEAR], m->p, m->k, m->p, false, m->packed[0]);
    return sonde__ppp_prepare_book(runtime, m->part[SONDE__PPP_CENTROIDS], m->k, f->quantizer->dim, &m->packed[1],
                                    &m->whole);
}

/* The chosen K once more, this time to keep. */
static sonde_status ppp_keep(struct ppp_fit *f)
{
    sonde_runtime *runtime = f->quantizer->runtime;
    double score[SONDE__PPP_SCORE];
    sonde__mixture mixture = {0};
    struct ppp_rank *rank = NULL;
    int32_t *place = NULL;
    SONDE_TRY(SONDE_NEW(runtime, f->doubt, f->sampled));
    SONDE_TRY(ppp_model_room(f));
    sonde_status status = ppp_try(f, f->model->k, score, &mixture);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, rank, f->model->k);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, place, f->model->k);
    if (status == SONDE_OK) status = ppp_keep_ranked(f, rank, place, &mixture);
    if (mixture.runtime) sonde__mixture_drop(&mixture);
    sonde__free(runtime, rank);
    sonde__free(runtime, place);
    return status;
}

sonde_status sonde__ppp_train(sonde_quantizer *quantizer, const sonde__training *training)
{
    sonde__ppp_model model = {.full = sonde__param_is(quantizer->params, "cov", "full")};
    struct ppp_fit fit = {.quantizer = quantizer, .training = training, .model = &model};
    sonde_status status = ppp_fit_rows(&fit);
    if (status == SONDE_OK) status = ppp_find_k(&fit, &model.k);
    if (status == SONDE_OK) status = ppp_keep(&fit);
    if (status == SONDE_OK) {
        sonde__ppp_adopt(quantizer, &model);
        if (training->labels) memcpy(training->labels, fit.all, (size_t)training->n * sizeof *fit.all);
    } else {
        sonde__ppp_model_drop(quantizer->runtime, &model);
    }
    ppp_fit_drop(&fit);
    return status;
}
