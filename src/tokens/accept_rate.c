/* accept_rate.c: how often one of k drafts is accepted, exactly: for the rules that have a closed form, and for the
 * best rule that can exist.
 *
 * single, rrs    1 - product of the masses that are left after each refusal: with iid drafts they are not random
 * kseq           1 - (1 - beta)^k
 * greedy         P(T) + sum outside T of min(p, q'), T the k - 1 heaviest tokens of q, q' = q outside T
 *
 * The best rule is an optimal transport whose cost is "the token is not among the drafts"; by its dual the rate is
 *     1 + min over sets H of P(H) - Q(H),   Q(H) = chance that all k drafts lie in H,
 * and the best H is a prefix of the tokens by q / p descending (Hu, Zheng, Viswanathan, et al., "Towards Optimal
 * Multi-draft Speculative Decoding", 2025). Drafts that are iid have Q(H) = q(H)^k. For drafts without replacement
 * let each token ring at an exponential time of rate q: with r = 1 - q(H), Q(H) = integral over t of r exp(-r t)
 * Pr[at least k tokens of H rang by t], the first ring outside H being at time t. Integrated by the trapezoid rule
 * over log t, where the integrand and all its derivatives vanish at both ends; the numbers of rings below k are kept
 * for every t while H grows.
 *
 * Cost: O(n) for the rules (kseq times its bisections), O(n log n) for the iid optimum, O(n k 520) for the other.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdlib.h>

#include "tokens/verify.h"

/* log t runs from -10 to 31.6: a set with all but 1e-12 of the mass, the most that is integrated, is over by then. */
enum { RATE_GRID = 520 };
static const double rate_first = -10, rate_step = 0.08;

/* ---- the rules ------------------------------------------------------------------------------------------------- */

/* The refusals of iid drafts, one after the other; which tokens they were makes no difference. */
static double rate_rrs(sonde__verifier *v, int64_t k)
{
    double missed = 1;
    for (int64_t i = 0; i < k; i++) {
        if (!sonde__verify_refuse(v, 0)) return 1;
        missed /= v->r_scale;
    }
    return 1 - missed;
}

static double rate_greedy(const sonde__verifier *v, const int64_t *fixed, int64_t count)
{
    double rate = sonde__weights_shared(v->p, v->p_scale, v->q, v->q_scale, v->n);
    for (int64_t i = 0; i < count; i++) rate += v->p[fixed[i]] * v->p_scale;
    return fmin(rate, 1);
}

static double rate_of_rule(sonde__verifier *v, const int64_t *fixed, int64_t count, int64_t k)
{
    if (v->rule == SONDE__VERIFY_GREEDY) return rate_greedy(v, fixed, count);
    if (v->rule == SONDE__VERIFY_KSEQ)
        return fmin(1, v->keep * sonde__weights_shared(v->p, v->p_scale / v->rho, v->q, v->q_scale, v->n));
    return rate_rrs(v, k);
}

sonde_status sonde__accept_rate(sonde_runtime *runtime, sonde__verify_rule rule, const sonde__law_pair *laws,
                                int64_t k, double rho_tol, double *rate)
{
    double *r;
    float *rest;
    int64_t *fixed, n = laws->n, count = 0;
    bool greedy = rule == SONDE__VERIFY_GREEDY;
    sonde__scratch *scratch;
    sonde__verifier v;
    if (rule == SONDE__VERIFY_SINGLE && k > 1)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "accept_rate: single verifies one draft, not %lld", (long long)k);
    if (rule == SONDE__VERIFY_RECURSIVE && k > 1)
        return sonde__fail(SONDE_UNSUPPORTED, "accept_rate: recursive has no closed form for %lld drafts",
                           (long long)k);
    SONDE_TRY(sonde__scratch_take(runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, r, n);
    if (status == SONDE_OK) status = SONDE_SCRATCH(scratch, rest, n);
    if (status == SONDE_OK) status = SONDE_SCRATCH(scratch, fixed, sonde__min_i64(k, n));
    if (status == SONDE_OK) {
        if (greedy) count = sonde__weights_top(laws->q, n, sonde__min_i64(k - 1, n), fixed);
        sonde__verify_start(&v, rule, laws, fixed, greedy ? count + 1 : k, rho_tol, r, rest);
        *rate = rate_of_rule(&v, fixed, count, k);
    }
    sonde__scratch_give(runtime, scratch);
    return status;
}

/* ---- the optimum ----------------------------------------------------------------------------------------------- */

struct rate_token {
    double p, q;
};

/* q / p descending, as products; tokens that neither law has come last. */
static int rate_by_ratio(const void *a, const void *b)
{
    const struct rate_token *x = a, *y = b;
    double left = x->q * y->p, right = y->q * x->p;
    if (left != right) return left > right ? -1 : 1;
    return (y->q > x->q) - (y->q < x->q);
}

/* Q of growing prefixes. */
struct rate_prefix {
    bool replace;
    int64_t k;
    double *times;  /* RATE_GRID; without replacement */
    double *chance; /* chance[j * RATE_GRID + g]: exactly j tokens of H rang by times[g], j < k */
};

static void rate_add_clock(const struct rate_prefix *prefix, double q)
{
    for (int g = 0; g < RATE_GRID; g++) {
        double rings = -expm1(-q * prefix->times[g]), before = 0;
        for (int64_t j = 0; j < prefix->k; j++) {
            double *here = &prefix->chance[j * RATE_GRID + g], old = *here;
            *here = old * (1 - rings) + before * rings;
            before = old;
        }
    }
}

static double rate_all_inside(const struct rate_prefix *prefix, double r)
{
    double sum = 0;
    for (int g = 0; g < RATE_GRID; g++) {
        double t = prefix->times[g], fewer = 0;
        for (int64_t j = 0; j < prefix->k; j++) fewer += prefix->chance[j * RATE_GRID + g];
        sum += r * t * exp(-r * t) * (1 - fewer);
    }
    return sum * rate_step;
}

/* The least of P(H) - Q(H). outside[i]: mass of q after token i, summed from the light end. With replacement Q is the
 * larger, so a prefix that would not win with it need not be integrated. */
static sonde_status rate_minimise(sonde_runtime *runtime, const struct rate_prefix *prefix,
                                  const struct rate_token *tokens, const double *outside, int64_t n, double *least)
{
    double p = 0, q = 0;
    *least = 0;
    for (int64_t i = 0; i < n && tokens[i].q > 0; i++) {
        if (i % 256 == 0) SONDE_TRY(sonde__poll(runtime, "accept_rate", (uint64_t)i, (uint64_t)n));
        p += tokens[i].p;
        q += tokens[i].q;
        if (!prefix->replace) rate_add_clock(prefix, tokens[i].q);
        double inside = outside[i] < SONDE__VERIFY_NOTHING ? 1 : pow(q, (double)prefix->k);
        if (p - inside >= *least) continue;
        if (!prefix->replace && inside < 1) inside = rate_all_inside(prefix, outside[i]);
        *least = fmin(*least, p - inside);
    }
    return SONDE_OK;
}

static void rate_sort(const sonde__law_pair *laws, struct rate_token *tokens, double *outside)
{
    double rest = 0;
    for (int64_t i = 0; i < laws->n; i++)
        tokens[i] = (struct rate_token){laws->p[i] / laws->p_total, laws->q[i] / laws->q_total};
    qsort(tokens, (size_t)laws->n, sizeof *tokens, rate_by_ratio);
    for (int64_t i = laws->n - 1; i >= 0; i--) {
        outside[i] = rest;
        rest += tokens[i].q;
    }
}

static sonde_status rate_make_clocks(sonde__scratch *scratch, struct rate_prefix *prefix)
{
    SONDE_TRY(SONDE_SCRATCH(scratch, prefix->times, RATE_GRID));
    SONDE_TRY(SONDE_SCRATCH(scratch, prefix->chance, prefix->k * RATE_GRID));
    for (int g = 0; g < RATE_GRID; g++) prefix->times[g] = exp(rate_first + rate_step * g);
    for (int64_t i = 0; i < prefix->k * RATE_GRID; i++) prefix->chance[i] = i < RATE_GRID;
    return SONDE_OK;
}

/* A law of fewer than k tokens can only give them all, so there is no need to count further than that. */
sonde_status sonde__accept_optimal(sonde_runtime *runtime, bool replace, const sonde__law_pair *laws, int64_t k,
                                   double *rate)
{
    int64_t n = laws->n, drafted = 0;
    struct rate_token *tokens;
    double *outside, least;
    sonde__scratch *scratch;
    for (int64_t i = 0; i < n; i++) drafted += laws->q[i] > 0;
    struct rate_prefix prefix = {replace || k == 1, replace ? k : sonde__min_i64(k, drafted), NULL, NULL};
    SONDE_TRY(sonde__scratch_take(runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, tokens, n);
    if (status == SONDE_OK) status = SONDE_SCRATCH(scratch, outside, n);
    if (status == SONDE_OK && !prefix.replace) status = rate_make_clocks(scratch, &prefix);
    if (status == SONDE_OK) {
        rate_sort(laws, tokens, outside);
        status = rate_minimise(runtime, &prefix, tokens, outside, n, &least);
    }
    if (status == SONDE_OK) *rate = fmin(1, 1 + least);
    sonde__scratch_give(runtime, scratch);
    return status;
}
