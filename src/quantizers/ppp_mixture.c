/* ppp_mixture.c: Gaussian mixtures by expectation maximisation (Dempster, Laird, Rubin 1977), from a given
 * partition.
 *
 * The E-step works in logarithms. The M-step takes sums of deviations from the old means, so that a group far
 * from the origin loses no digits. No variance falls below a floor: the constrained maximum is the variance,
 * or the eigenvalues of the covariance, raised to the floor where they are less. So the likelihood never
 * falls, which adding the floor to every variance would not guarantee.
 *
 * Cost: a step n k p with variances along the axes, n k p^2 with covariances, and 16 times the memory of the
 * sums.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "linalg/linalg.h"
#include "quantizers/ppp.h"

#define MIXTURE_GAIN 1e-6
#define MIXTURE_NOTHING 1e-30 /* a posterior that adds nothing */
#define MIXTURE_EMPTY 1e-8    /* rows of a component that is left as it is */

static int64_t mixture_spread(const sonde__mixture *mixture)
{
    return mixture->full ? mixture->p * mixture->p * mixture->k : mixture->p * mixture->k;
}

sonde_status sonde__mixture_new(sonde_runtime *runtime, int64_t k, int64_t p, bool full, double floor,
                                sonde__mixture *mixture)
{
    *mixture = (sonde__mixture){.runtime = runtime, .k = k, .p = p, .full = full, .floor = floor};
    sonde_status status = SONDE_NEW_ZERO(runtime, mixture->weight, k);
    if (status == SONDE_OK) status = SONDE_NEW_ZERO(runtime, mixture->mean, k * p);
    if (status == SONDE_OK) status = SONDE_NEW_ZERO(runtime, mixture->spread, mixture_spread(mixture));
    if (status == SONDE_OK) status = SONDE_NEW_ZERO(runtime, mixture->constant, k);
    if (status != SONDE_OK) sonde__mixture_drop(mixture);
    return status;
}

void sonde__mixture_drop(sonde__mixture *mixture)
{
    sonde__free(mixture->runtime, mixture->weight);
    sonde__free(mixture->runtime, mixture->mean);
    sonde__free(mixture->runtime, mixture->spread);
    sonde__free(mixture->runtime, mixture->constant);
    *mixture = (sonde__mixture){0};
}

/* log det of the square root of the inverse covariance: rows of it are orthogonal, of length 1 / deviation. */
static double mixture_log_root(const sonde__mixture *mixture, int64_t c)
{
    int64_t p = mixture->p, k = mixture->k;
    double sum = 0;
    for (int64_t i = 0; i < p; i++) {
        double length2 = mixture->full ? 0 : mixture->spread[i * k + c];
        for (int64_t j = 0; mixture->full && j < p; j++) {
            double entry = mixture->spread[(c * p + j) * p + i];
            length2 += entry * entry;
        }
        sum += log(length2) / 2;
    }
    return sum;
}

void sonde__mixture_settle(sonde__mixture *mixture)
{
    const double log_2pi = 1.8378770664093454836;
    for (int64_t c = 0; c < mixture->k; c++)
        mixture->constant[c] =
            log(mixture->weight[c]) - 0.5 * (double)mixture->p * log_2pi + mixture_log_root(mixture, c);
}

/* ---- sums over rows --------------------------------------------------------------------------------------------- */

/* A pass over the rows: posteriors, or 1 for given labels; and sums of posteriors, deviations and their
 * products. */
struct mixture_pass {
    const sonde__mixture *mixture;
    const sonde__ppp_rows *rows;
    const int32_t *hard; /* labels that replace posteriors, or NULL */
    double *sums;        /* of each block; NULL: not wanted */
    int64_t size;        /* doubles of them: k, p x k and as many as the spread */
    double log_likelihood[SONDE__PPP_BLOCKS], confidence[SONDE__PPP_BLOCKS];
    sonde__posterior *posterior;
};

/* Scratch of one chunk. */
struct mixture_room {
    double *log_density, *posterior, *away, *turned; /* k, k, p, p */
};

static void mixture_density_diag(const sonde__mixture *mixture, const float *y, double *log_density)
{
    int64_t p = mixture->p, k = mixture->k;
    for (int64_t c = 0; c < k; c++) log_density[c] = mixture->constant[c];
    for (int64_t j = 0; j < p; j++) {
        const double *mean = mixture->mean + j * k, *inverse = mixture->spread + j * k;
        double value = (double)y[j];
        for (int64_t c = 0; c < k; c++) log_density[c] -= 0.5 * inverse[c] * (value - mean[c]) * (value - mean[c]);
    }
}

static void mixture_away(const sonde__mixture *mixture, const float *y, int64_t c, double *away)
{
    for (int64_t j = 0; j < mixture->p; j++) away[j] = (double)y[j] - mixture->mean[j * mixture->k + c];
}

static void mixture_density_full(const sonde__mixture *mixture, const float *y, const struct mixture_room *room)
{
    int64_t p = mixture->p;
    for (int64_t c = 0; c < mixture->k; c++) {
        double square = 0;
        mixture_away(mixture, y, c, room->away);
        memset(room->turned, 0, (size_t)p * sizeof *room->turned);
        for (int64_t j = 0; j < p; j++) {
            const double *root = mixture->spread + (c * p + j) * p;
            for (int64_t i = 0; i < p; i++) room->turned[i] += root[i] * room->away[j];
        }
        for (int64_t i = 0; i < p; i++) square += room->turned[i] * room->turned[i];
        room->log_density[c] = mixture->constant[c] - 0.5 * square;
    }
}

/* Posteriors from log densities; returns the logarithm of the sum of densities. */
static double mixture_posteriors(const double *log_density, int64_t k, double *posterior)
{
    double most = log_density[0], sum = 0;
    for (int64_t c = 1; c < k; c++) most = log_density[c] > most ? log_density[c] : most;
    for (int64_t c = 0; c < k; c++) sum += posterior[c] = exp(log_density[c] - most);
    for (int64_t c = 0; c < k; c++) {
        posterior[c] /= sum;
        if (posterior[c] < MIXTURE_NOTHING) posterior[c] = 0;
    }
    return most + log(sum);
}

static void mixture_add_diag(const sonde__mixture *mixture, const float *y, const double *posterior, double *sums)
{
    int64_t k = mixture->k, p = mixture->p;
    for (int64_t c = 0; c < k; c++) sums[c] += posterior[c];
    for (int64_t j = 0; j < p; j++) {
        double *first = sums + (1 + j) * k, *second = sums + (1 + p + j) * k;
        const double *mean = mixture->mean + j * k;
        for (int64_t c = 0; c < k; c++) {
            double away = (double)y[j] - mean[c];
            first[c] += posterior[c] * away;
            second[c] += posterior[c] * away * away;
        }
    }
}

static void mixture_add_full(const sonde__mixture *mixture, const float *y, const struct mixture_room *room,
                             double *sums)
{
    int64_t k = mixture->k, p = mixture->p;
    for (int64_t c = 0; c < k; c++) {
        double r = room->posterior[c], *second = sums + (1 + p) * k + c * p * p;
        if (!(r > 0)) continue;
        sums[c] += r;
        mixture_away(mixture, y, c, room->away);
        for (int64_t j = 0; j < p; j++) {
            sums[(1 + j) * k + c] += r * room->away[j];
            for (int64_t i = 0; i < p; i++) second[j * p + i] += r * room->away[j] * room->away[i];
        }
    }
}

/* The best posterior of a row, and who has it. */
static double mixture_judge(const struct mixture_pass *pass, int64_t row, const double *posterior)
{
    const sonde__posterior *out = pass->posterior;
    int64_t k = pass->mixture->k, best = 0;
    double second = 0;
    for (int64_t c = 1; c < k; c++)
        if (posterior[c] > posterior[best]) best = c;
    for (int64_t c = 0; c < k; c++)
        if (c != best && posterior[c] > second) second = posterior[c];
    if (out->labels) out->labels[row] = (int32_t)best;
    if (out->doubt) out->doubt[row] = (float)(second / posterior[best]);
    return posterior[best];
}

static void mixture_row(struct mixture_pass *pass, int64_t row, const struct mixture_room *room, int64_t block)
{
    const sonde__mixture *mixture = pass->mixture;
    const float *y = pass->rows->y + row * mixture->p;
    if (pass->hard) {
        memset(room->posterior, 0, (size_t)mixture->k * sizeof *room->posterior);
        room->posterior[pass->hard[row]] = 1;
    } else {
        if (mixture->full) mixture_density_full(mixture, y, room);
        else mixture_density_diag(mixture, y, room->log_density);
        pass->log_likelihood[block] += mixture_posteriors(room->log_density, mixture->k, room->posterior);
        pass->confidence[block] += mixture_judge(pass, row, room->posterior);
    }
    if (!pass->sums) return;
    double *sums = pass->sums + block * pass->size;
    if (mixture->full) mixture_add_full(mixture, y, room, sums);
    else mixture_add_diag(mixture, y, room->posterior, sums);
}

static sonde_status mixture_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    struct mixture_pass *pass = context;
    int64_t k = pass->mixture->k, p = pass->mixture->p, block = begin / sonde__ppp_grain(pass->rows->n);
    sonde__scratch *scratch = NULL;
    double *room;
    (void)worker;
    SONDE_TRY(sonde__scratch_take(pass->rows->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, room, 2 * k + 2 * p);
    pass->log_likelihood[block] = pass->confidence[block] = 0;
    if (pass->sums) memset(pass->sums + block * pass->size, 0, (size_t)pass->size * sizeof *pass->sums);
    for (int64_t i = begin; status == SONDE_OK && i < end; i++)
        mixture_row(pass, i, &(struct mixture_room){room, room + k, room + 2 * k, room + 2 * k + p}, block);
    sonde__scratch_give(pass->rows->runtime, scratch);
    return status;
}

static sonde_status mixture_run(struct mixture_pass *pass)
{
    int64_t n = pass->rows->n, grain = sonde__ppp_grain(n);
    SONDE_TRY(sonde__parallel_for(pass->rows->runtime, pass->rows->threads, n, grain, NULL, mixture_chunk, pass));
    pass->posterior->log_likelihood = pass->posterior->confidence = 0;
    for (int64_t b = 0; b * grain < n; b++) {
        pass->posterior->log_likelihood += pass->log_likelihood[b];
        pass->posterior->confidence += pass->confidence[b] / (double)n;
        for (int64_t j = 0; pass->sums && b > 0 && j < pass->size; j++) pass->sums[j] += pass->sums[b * pass->size + j];
    }
    return SONDE_OK;
}

/* ---- the M-step ------------------------------------------------------------------------------------------------- */

static void mixture_variances(sonde__mixture *mixture, int64_t c, double rows, const double *sums)
{
    int64_t k = mixture->k, p = mixture->p;
    for (int64_t j = 0; j < p; j++) {
        double moved = sums[(1 + j) * k + c] / rows, variance = sums[(1 + p + j) * k + c] / rows - moved * moved;
        mixture->mean[j * k + c] += moved;
        mixture->spread[j * k + c] = 1 / (variance > mixture->floor ? variance : mixture->floor);
    }
}

/* room: p x p, p x p and p. */
static sonde_status mixture_covariance(sonde__mixture *mixture, int64_t c, double rows, const double *sums,
                                       double *room)
{
    int64_t k = mixture->k, p = mixture->p;
    double *covariance = room, *axes = room + p * p, *values = axes + p * p;
    const double *second = sums + (1 + p) * k + c * p * p;
    for (int64_t j = 0; j < p; j++)
        for (int64_t i = 0; i < p; i++)
            covariance[j * p + i] =
                second[j * p + i] / rows - sums[(1 + j) * k + c] * sums[(1 + i) * k + c] / (rows * rows);
    SONDE_TRY(sonde__eigen_symmetric(mixture->runtime, p, covariance, values, axes));
    for (int64_t i = 0; i < p; i++) {
        double root = 1 / sqrt(values[i] > mixture->floor ? values[i] : mixture->floor);
        for (int64_t j = 0; j < p; j++) mixture->spread[(c * p + j) * p + i] = root * axes[i * p + j];
    }
    for (int64_t j = 0; j < p; j++) mixture->mean[j * k + c] += sums[(1 + j) * k + c] / rows;
    return SONDE_OK;
}

/* A component that has lost its rows keeps its place with next to no weight. */
static sonde_status mixture_maximise(sonde__mixture *mixture, int64_t n, const double *sums)
{
    int64_t p = mixture->p;
    double *room = NULL;
    sonde_status status = mixture->full ? SONDE_NEW(mixture->runtime, room, (2 * p + 1) * p) : SONDE_OK;
    for (int64_t c = 0; status == SONDE_OK && c < mixture->k; c++) {
        bool empty = sums[c] < MIXTURE_EMPTY;
        mixture->weight[c] = (empty ? MIXTURE_EMPTY : sums[c]) / (double)n;
        if (empty) continue;
        if (mixture->full) status = mixture_covariance(mixture, c, sums[c], sums, room);
        else mixture_variances(mixture, c, sums[c], sums);
    }
    sonde__free(mixture->runtime, room);
    if (status == SONDE_OK) sonde__mixture_settle(mixture);
    return status;
}

static int64_t mixture_sums(const sonde__mixture *mixture)
{
    return mixture->k * (1 + mixture->p) + mixture_spread(mixture);
}

sonde_status sonde__mixture_step(sonde__mixture *mixture, const sonde__ppp_rows *rows, bool update,
                                 sonde__posterior *posterior)
{
    struct mixture_pass pass = {
        .mixture = mixture, .rows = rows, .size = mixture_sums(mixture), .posterior = posterior};
    sonde_status status = SONDE_OK;
    if (update) status = SONDE_NEW(rows->runtime, pass.sums, SONDE__PPP_BLOCKS * pass.size);
    if (status == SONDE_OK) status = mixture_run(&pass);
    if (status == SONDE_OK && update) status = mixture_maximise(mixture, rows->n, pass.sums);
    sonde__free(rows->runtime, pass.sums);
    return status;
}

/* A component without a row keeps the least spread, and no weight. */
static sonde_status mixture_start(sonde__mixture *mixture, const sonde__ppp_rows *rows, const int32_t *labels,
                                  const float *centroids)
{
    int64_t k = mixture->k, p = mixture->p;
    sonde__posterior nothing = {0};
    struct mixture_pass pass = {
        .mixture = mixture, .rows = rows, .hard = labels, .size = mixture_sums(mixture), .posterior = &nothing};
    for (int64_t c = 0; c < k; c++)
        for (int64_t j = 0; j < p; j++) {
            mixture->mean[j * k + c] = (double)centroids[c * p + j];
            if (mixture->full) mixture->spread[(c * p + j) * p + j] = 1 / sqrt(mixture->floor);
            else mixture->spread[j * k + c] = 1 / mixture->floor;
        }
    SONDE_TRY(SONDE_NEW(rows->runtime, pass.sums, SONDE__PPP_BLOCKS * pass.size));
    sonde_status status = mixture_run(&pass);
    if (status == SONDE_OK) status = mixture_maximise(mixture, rows->n, pass.sums);
    sonde__free(rows->runtime, pass.sums);
    return status;
}

sonde_status sonde__mixture_fit(sonde__mixture *mixture, const sonde__ppp_rows *rows, const int32_t *labels,
                                const float *centroids, int rounds, sonde__posterior *posterior)
{
    double before = -INFINITY;
    SONDE_TRY(mixture_start(mixture, rows, labels, centroids));
    for (int round = 0; round < rounds; round++) {
        sonde__posterior now = {0};
        SONDE_TRY(sonde__mixture_step(mixture, rows, true, &now));
        if (now.log_likelihood - before < MIXTURE_GAIN * fabs(now.log_likelihood)) break;
        before = now.log_likelihood;
    }
    return sonde__mixture_step(mixture, rows, false, posterior);
}
