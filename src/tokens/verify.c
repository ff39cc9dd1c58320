/* verify.c: accept or refuse drafted tokens so that what comes out is distributed as the target law.
 *
 * A draft law q proposes k tokens, a target law p should speak. Each rule accepts a draft x with a chance that
 * depends on p(x) / q(x) and, where all are refused, draws from what is left of p: the two together give p exactly.
 *
 *     single      u q <= p; left (p - q)+. Leviathan, Kalman, Matias 2023; Chen et al. 2023.
 *     rrs         single again and again on what is left, for iid drafts.
 *     recursive   the same for drafts without replacement: the i-th is held against q without the ones before it.
 *                 Jeon, Gagrani, Goel, Park, Lee, Lott, "Recursive Speculative Decoding", 2024.
 *     kseq        u rho q <= p for all k iid drafts, with the smallest rho >= 1 for which the refused mass is a law.
 *                 Sun, Suresh, Ro, Beirami, Jain, Yu, "SpecTr", 2023.
 *     greedy      k - 1 fixed tokens and one draft from q without them, held against p like a single one; a fixed
 *                 token is accepted when the draw from what is left hits it. Hu, Zheng, Viswanathan et al., "Towards
 *                 Optimal Multi-draft Speculative Decoding", 2025.
 *
 * Weights are read as f32 and scaled in double; what is left is kept in double. Tests are products, never quotients,
 * so that laws with a single token need nothing special. Cost: O(n) for each refusal, nothing but the sums for a
 * draft that is accepted at once; kseq bisects for rho, O(n) a step.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tokens/verify.h"

#include <math.h>

/* Sums run in eight lanes, so that compilers can use vectors without changing the order of additions. */
enum { VERIFY_LANES = 8, VERIFY_BLOCK = 256 };

static double verify_join(const double *lanes)
{
    return ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));
}

/* Adds EXPRESSION of i over 0..n to a double called sum. */
#define VERIFY_SUM(n, EXPRESSION)                                                                                    \
    double lanes[VERIFY_LANES] = {0};                                                                                \
    int64_t begin = 0;                                                                                               \
    for (; begin + VERIFY_LANES <= (n); begin += VERIFY_LANES)                                                       \
        for (int64_t i = begin; i < begin + VERIFY_LANES; i++) lanes[i - begin] += (EXPRESSION);                     \
    for (int64_t i = begin; i < (n); i++) lanes[i - begin] += (EXPRESSION);                                          \
    double sum = verify_join(lanes)

double sonde__weights_sum(const float *w, int64_t n)
{
    VERIFY_SUM(n, w[i]);
    return sum;
}

static double verify_min(double a, double b) { return a < b ? a : b; }

static double verify_positive(double a) { return a > 0 ? a : 0; }

double sonde__weights_shared(const float *a, double a_scale, const float *b, double b_scale, int64_t n)
{
    VERIFY_SUM(n, verify_min(a[i] * a_scale, b[i] * b_scale));
    return sum;
}

static double verify_sum(const double *w, int64_t n)
{
    VERIFY_SUM(n, w[i]);
    return sum;
}

/* r = (r r_scale - q q_scale)+; returns its mass. */
static double verify_subtract(double *r, double r_scale, const float *q, double q_scale, int64_t n)
{
    VERIFY_SUM(n, (r[i] = verify_positive(r[i] * r_scale - q[i] * q_scale)));
    return sum;
}

/* r = (r - keep min(q q_scale, r / rho))+; returns its mass. */
static double verify_subtract_shared(sonde__verifier *v)
{
    double *r = v->r, keep = v->keep, q_scale = v->q_scale, share = 1 / v->rho;
    const float *q = v->q;
    VERIFY_SUM(v->n, (r[i] = verify_positive(r[i] - keep * verify_min(q[i] * q_scale, r[i] * share))));
    return sum;
}

/* ---- drawing --------------------------------------------------------------------------------------------------- */

/* Where the running sum passes `target`. Whole blocks are passed by their sums; where rounding leaves nothing to hit, a
 * place of the last block that has weight. VERIFY_PICK makes it for either type of element. */
#define VERIFY_PICK(SUM)                                                                                             \
    int64_t last = -1;                                                                                               \
    for (int64_t begin = 0; begin < n; begin += VERIFY_BLOCK) {                                                      \
        int64_t count = sonde__min_i64(VERIFY_BLOCK, n - begin);                                                     \
        double block = SUM(w + begin, count);                                                                        \
        if (block > 0) last = begin;                                                                                 \
        if (target < block) break;                                                                                   \
        target -= block;                                                                                             \
    }                                                                                                                \
    if (last < 0) return 0;                                                                                          \
    int64_t end = sonde__min_i64(last + VERIFY_BLOCK, n), hit = last;                                                \
    for (int64_t i = last; i < end; i++) {                                                                           \
        if (!(w[i] > 0)) continue;                                                                                   \
        hit = i;                                                                                                     \
        if ((target -= w[i]) < 0) break;                                                                             \
    }                                                                                                                \
    return hit

int64_t sonde__weights_pick(const float *w, int64_t n, double total, double u)
{
    double target = u * total;
    VERIFY_PICK(sonde__weights_sum);
}

static int64_t verify_pick(const double *w, int64_t n, double target) { VERIFY_PICK(verify_sum); }

int64_t sonde__weights_top(const float *w, int64_t n, int64_t k, int64_t *places)
{
    int64_t found = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!(w[i] > 0) || (found == k && !(k && w[i] > w[places[k - 1]]))) continue;
        int64_t at = found < k ? found++ : k - 1;
        for (; at > 0 && w[i] > w[places[at - 1]]; at--) places[at] = places[at - 1];
        places[at] = i;
    }
    return found;
}

/* ---- the rules ------------------------------------------------------------------------------------------------- */

static double verify_inverse(double total) { return total > 0 ? 1 / total : 0; }

/* Takes a drawn token out of q. The sum is made anew: after a token of nearly all the mass, a difference is noise. */
static void verify_remove(sonde__verifier *v, int64_t x)
{
    v->rest[x] = 0;
    v->q_scale = verify_inverse(sonde__weights_sum(v->rest, v->n));
}

/* Chance that one of k iid drafts is accepted when each is with chance beta. */
static double verify_any(double beta, int64_t k)
{
    return k == 1 ? beta : beta < 1 ? -expm1((double)k * log1p(-beta)) : 1;
}

/* The smallest rho of 1..k, from above, at which the refused mass is a law: any(beta) <= rho beta. */
static void verify_solve_rho(sonde__verifier *v, int64_t k, double tolerance)
{
    double low = 1, high = 1, beta = sonde__weights_shared(v->p, v->p_scale, v->q, v->q_scale, v->n);
    if (verify_any(beta, k) > beta) high = (double)k;
    while (high - low > tolerance) {
        double rho = low + (high - low) / 2;
        if (rho <= low || rho >= high) break; /* no number lies between */
        beta = sonde__weights_shared(v->p, v->p_scale / rho, v->q, v->q_scale, v->n);
        *(verify_any(beta, k) <= rho * beta ? &high : &low) = rho;
    }
    beta = sonde__weights_shared(v->p, v->p_scale / high, v->q, v->q_scale, v->n);
    v->rho = high;
    v->keep = beta > 0 ? verify_any(beta, k) / beta : 0;
}

void sonde__verify_start(sonde__verifier *v, sonde__verify_rule rule, const sonde__law_pair *laws,
                         const int64_t *drafts, int64_t k, double rho_tol, double *r, float *rest)
{
    *v = (sonde__verifier){.rule = rule,
                           .n = laws->n,
                           .p = laws->p,
                           .q = laws->q,
                           .p_scale = verify_inverse(laws->p_total),
                           .q_scale = verify_inverse(laws->q_total),
                           .r = r,
                           .rest = rest,
                           .rho = 1,
                           .keep = 1,
                           .accepted = -1};
    if (rule == SONDE__VERIFY_KSEQ && k > 1) verify_solve_rho(v, k, rho_tol);
    if ((rule != SONDE__VERIFY_RECURSIVE && rule != SONDE__VERIFY_GREEDY) || k < 2) return;
    memcpy(rest, laws->q, (size_t)laws->n * sizeof *rest);
    v->q = rest;
    if (rule == SONDE__VERIFY_RECURSIVE) return;
    for (int64_t i = 0; i + 1 < k; i++) rest[drafts[i]] = 0;
    v->q_scale = verify_inverse(sonde__weights_sum(rest, v->n));
}

bool sonde__verify_accepts(const sonde__verifier *v, int64_t x, double u)
{
    double left = v->started ? v->r[x] * v->r_scale : v->p[x] * v->p_scale;
    return u * (v->rho * (v->q[x] * v->q_scale)) <= left;
}

static void verify_fill(sonde__verifier *v)
{
    if (v->started) return;
    for (int64_t i = 0; i < v->n; i++) v->r[i] = v->p[i] * v->p_scale;
    v->r_scale = 1;
    v->started = true;
}

static bool verify_leaves(sonde__verifier *v, double mass)
{
    v->r_scale = verify_inverse(mass);
    return mass > SONDE__VERIFY_NOTHING;
}

bool sonde__verify_refuse(sonde__verifier *v, int64_t x)
{
    if (v->rule == SONDE__VERIFY_KSEQ || v->rule == SONDE__VERIFY_GREEDY) return true;
    verify_fill(v);
    if (!verify_leaves(v, verify_subtract(v->r, v->r_scale, v->q, v->q_scale, v->n))) return false;
    if (v->q == v->rest) verify_remove(v, x);
    return true;
}

bool sonde__verify_finish(sonde__verifier *v)
{
    verify_fill(v);
    if (v->rule == SONDE__VERIFY_KSEQ) return verify_leaves(v, verify_subtract_shared(v));
    if (v->rule == SONDE__VERIFY_GREEDY)
        return verify_leaves(v, verify_subtract(v->r, v->r_scale, v->q, v->q_scale, v->n));
    return true;
}

/* Of greedy drafts only the last is a question: the others leave no trace in the law, and are met by the final draw.
 */
int64_t sonde__verify_node(sonde__verifier *v, const int64_t *drafts, int64_t k, const double *uniforms)
{
    int64_t first = v->rule == SONDE__VERIFY_GREEDY && k > 0 ? k - 1 : 0;
    v->accepted = -1;
    for (int64_t i = first; i < k; i++) {
        if (!sonde__verify_accepts(v, drafts[i], uniforms[i]) && sonde__verify_refuse(v, drafts[i])) continue;
        v->accepted = i;
        return drafts[i];
    }
    if (k == 0) {
        verify_fill(v);
    } else if (!sonde__verify_finish(v)) {
        v->accepted = k - 1;
        return drafts[k - 1];
    }
    return verify_pick(v->r, v->n, uniforms[k] * verify_inverse(v->r_scale));
}
