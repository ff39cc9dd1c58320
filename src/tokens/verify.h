/* verify.h: the rules that accept or refuse drafted tokens at one node, as functions on two laws over the same
 * candidates, and the exact chances that they accept.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_VERIFY_H
#define SONDE_SRC_VERIFY_H

#include "base/base.h"

/* In the order of the words of the key "verify". */
typedef enum sonde__verify_rule {
    SONDE__VERIFY_SINGLE,
    SONDE__VERIFY_RRS,
    SONDE__VERIFY_RECURSIVE,
    SONDE__VERIFY_KSEQ,
    SONDE__VERIFY_GREEDY,
    SONDE__VERIFY_RULES
} sonde__verify_rule;

/* A residual lighter than this is rounding: the laws are equal. */
#define SONDE__VERIFY_NOTHING 1e-12

/* Target p and draft q over n candidates ("places"), as weights that need not sum to 1. */
typedef struct sonde__law_pair {
    int64_t n;
    const float *p, *q;
    double p_total, q_total;
} sonde__law_pair;

/* One node under verification. What is left of the target after refusals is r[i] * r_scale; before the first, p. */
typedef struct sonde__verifier {
    sonde__verify_rule rule;
    int64_t n;
    const float *p, *q;      /* q: of the next draft; becomes `rest` where drawn tokens leave it */
    double p_scale, q_scale; /* make the weights laws */
    double *r, r_scale;
    float *rest;
    bool started;     /* r is filled */
    double rho, keep; /* kseq: drafts are held against rho q; refused mass keeps `keep` of min(q, p / rho) */
    int64_t accepted; /* after verify_node: which draft, -1 = none */
} sonde__verifier;

/* Prepares a node for k drafts (places, in the order in which they were drawn). r: n doubles; rest: n floats, read
 * and written by recursive and greedy only. rho_tol: how near kseq comes to the best rho. O(n); kseq O(n log(k /
 * rho_tol)). */
void sonde__verify_start(sonde__verifier *verifier, sonde__verify_rule rule, const sonde__law_pair *laws,
                         const int64_t *drafts, int64_t k, double rho_tol, double *r, float *rest);
/* Whether the draft at place x is accepted, u uniform in (0, 1). */
bool sonde__verify_accepts(const sonde__verifier *verifier, int64_t x, double u);
/* Takes the refusal of x into account. False: nothing is left, so the refusal was rounding and x is accepted. */
bool sonde__verify_refuse(sonde__verifier *verifier, int64_t x);
/* After the last refusal: r becomes the law of the token that comes instead. False as above. */
bool sonde__verify_finish(sonde__verifier *verifier);
/* All of it: the place of the token that the node emits, by k + 1 uniforms in (0, 1). k = 0 draws from p. */
int64_t sonde__verify_node(sonde__verifier *verifier, const int64_t *drafts, int64_t k, const double *uniforms);

/* Sum of weights, of min(a * a_scale, b * b_scale), and the place of a draw by u in (0, 1) from weights of sum
 * `total`. */
double sonde__weights_sum(const float *w, int64_t n);
double sonde__weights_shared(const float *a, double a_scale, const float *b, double b_scale, int64_t n);
int64_t sonde__weights_pick(const float *w, int64_t n, double total, double u);
/* The k heaviest places, heaviest first, the lower of equals first; fewer if there are not so many above 0. */
int64_t sonde__weights_top(const float *w, int64_t n, int64_t k, int64_t *places);

/* accept_rate.c: the chance that one of k drafts is accepted. UNSUPPORTED for recursive with k > 1. */
sonde_status sonde__accept_rate(sonde_runtime *runtime, sonde__verify_rule rule, const sonde__law_pair *laws,
                                int64_t k, double rho_tol, double *rate);
/* The best that any rule can reach, for k drafts from q with or without replacement. */
sonde_status sonde__accept_optimal(sonde_runtime *runtime, bool replace, const sonde__law_pair *laws, int64_t k,
                                   double *rate);

#endif
