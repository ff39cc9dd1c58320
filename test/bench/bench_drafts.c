/* bench_drafts.c: microseconds to verify the drafts of one node, and what whole drafts cost at a real vocabulary.
 *
 *   bench_drafts [vocabulary]        128256 unless given
 *
 * First the rules alone, on laws that are rows of the whole vocabulary and on lists of 256 tokens: a draft that is
 * accepted at once, one that is refused, and the sets of four. Then calls of the public functions: a tree of drafts
 * from laws and from logits, drafted and verified. Goals: single 300 us, kseq 3000 us, lists 20 us.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tokens/verify.h"

enum { LIST = 256, DRAFTS = 4, ROUNDS = 41 };

static void stop(const char *what)
{
    fprintf(stderr, "bench_drafts: %s\n", what);
    exit(1);
}

static void check(sonde_status status)
{
    if (status != SONDE_OK) stop(sonde_error_message());
}

static void *reserve(int64_t count, size_t size)
{
    void *memory = malloc((size_t)count * size);
    if (!memory) stop("out of memory");
    return memory;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *seconds)
{
    qsort(seconds, ROUNDS, sizeof *seconds, by_size);
    return seconds[ROUNDS / 2] * 1e6;
}

/* Logits 4 a and 4 (0.9 a + sqrt(.19) b), a and b normal: a pair of models that agree as models do. */
static void fill_logits(int64_t n, float *p, float *q)
{
    sonde__rng rng;
    sonde__rng_start(&rng, 1, 0, 0);
    for (int64_t i = 0; i < n; i++) {
        double a = sonde__rng_normal(&rng), b = sonde__rng_normal(&rng);
        p[i] = (float)(4 * a);
        q[i] = (float)(4 * (0.9 * a + sqrt(0.19) * b));
    }
}

static void make_law(int64_t n, const float *logits, float *law)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += exp(logits[i]);
    for (int64_t i = 0; i < n; i++) law[i] = (float)(exp(logits[i]) / sum);
}

/* ---- the rules alone ------------------------------------------------------------------------------------------- */

typedef struct drafted {
    sonde__law_pair laws;
    int64_t drafts[DRAFTS];
    double *r;
    float *rest;
} drafted;

/* The drafts are what the draft law exaggerates most, so that they can be refused as well as accepted. */
static drafted node_make(const float *p, const float *q, int64_t n)
{
    drafted node = {.laws = {n, p, q, sonde__weights_sum(p, n), sonde__weights_sum(q, n)}};
    node.r = reserve(n, sizeof *node.r);
    node.rest = reserve(n, sizeof *node.rest);
    for (int64_t i = 0; i < n; i++) node.rest[i] = q[i] - p[i];
    if (sonde__weights_top(node.rest, n, DRAFTS, node.drafts) < DRAFTS) stop("too few tokens");
    return node;
}

/* `accept`: whether the uniforms let the first draft pass, or refuse all that can be. */
static void time_rule(const char *what, drafted *node, sonde__verify_rule rule, int64_t k, bool accept)
{
    double seconds[ROUNDS], uniforms[DRAFTS + 1] = {0};
    int64_t sink = 0;
    sonde__verifier v;
    for (int64_t i = 0; i < k; i++) uniforms[i] = accept ? 1e-12 : 1 - 1e-12;
    uniforms[k] = 0.5;
    for (int round = 0; round < ROUNDS; round++) {
        double start = sonde__os_seconds();
        sonde__verify_start(&v, rule, &node->laws, node->drafts, k, 1e-7, node->r, node->rest);
        sink += sonde__verify_node(&v, node->drafts, k, uniforms);
        seconds[round] = sonde__os_seconds() - start;
    }
    printf("  %-32s %9.1f us   %s\n", what, median(seconds),
           sink < 0          ? "?"
           : v.accepted >= 0 ? "accepted"
                             : "refused");
}

static void time_rules(const char *title, drafted *node)
{
    printf("%s\n", title);
    time_rule("single, accepted", node, SONDE__VERIFY_SINGLE, 1, true);
    time_rule("single, refused", node, SONDE__VERIFY_SINGLE, 1, false);
    time_rule("rrs, 4 refused", node, SONDE__VERIFY_RRS, DRAFTS, false);
    time_rule("recursive, 4 refused", node, SONDE__VERIFY_RECURSIVE, DRAFTS, false);
    time_rule("kseq, 4 accepted", node, SONDE__VERIFY_KSEQ, DRAFTS, true);
    time_rule("kseq, 4 refused", node, SONDE__VERIFY_KSEQ, DRAFTS, false);
    time_rule("greedy, 4", node, SONDE__VERIFY_GREEDY, DRAFTS, false);
}

/* ---- whole drafts ---------------------------------------------------------------------------------------------- */

static float *repeat(const float *row, int64_t rows, int64_t n)
{
    float *all = reserve(rows * n, sizeof *all);
    for (int64_t i = 0; i < rows; i++) memcpy(all + i * n, row, (size_t)n * sizeof *all);
    return all;
}

static void time_drafts(const char *spec, int64_t n, const float *p, const float *q)
{
    enum { NODES = 32 };
    sonde_token_sampler *sampler;
    double drafting[ROUNDS], verifying[ROUNDS], accepted = 0;
    float *p_rows = repeat(p, NODES + 1, n), *q_rows = repeat(q, NODES, n);
    check(sonde_token_sampler_create(spec, n, NULL, &sampler));
    for (int round = 0; round < ROUNDS; round++) {
        sonde_draft_tree tree = SONDE_DRAFT_TREE_INIT;
        sonde_verdict verdict = SONDE_VERDICT_INIT;
        double start = sonde__os_seconds();
        check(sonde_token_sampler_draft(sampler, NULL, &tree));
        while (tree.frontier_count) {
            sonde_array rows = sonde_f32(q_rows, tree.frontier_count, n);
            check(sonde_token_sampler_draft(sampler, &rows, &tree));
        }
        drafting[round] = sonde__os_seconds() - start;
        if (tree.count > NODES) stop("the tree is too large");
        sonde_array target = sonde_f32(p_rows, tree.count + 1, n);
        start = sonde__os_seconds();
        check(sonde_token_sampler_verify(sampler, &target, NULL, NULL, &verdict));
        verifying[round] = sonde__os_seconds() - start;
        accepted += (double)verdict.accepted / ROUNDS;
    }
    printf("  draft %9.1f us, verify %9.1f us, %.2f accepted   %s\n", median(drafting), median(verifying), accepted,
           spec);
    sonde_token_sampler_free(sampler);
    free(p_rows);
    free(q_rows);
}

int main(int argc, char **argv)
{
    int64_t n = argc > 1 ? atoll(argv[1]) : 128256;
    if (n < LIST) stop("the vocabulary has fewer than 256 tokens");
    float *p_logits = reserve(n, sizeof(float)), *q_logits = reserve(n, sizeof(float));
    float *p = reserve(n, sizeof(float)), *q = reserve(n, sizeof(float)), p_list[LIST], q_list[LIST];
    fill_logits(n, p_logits, q_logits);
    make_law(n, p_logits, p);
    make_law(n, q_logits, q);
    make_law(LIST, p_logits, p_list);
    make_law(LIST, q_logits, q_list);
    printf("vocabulary %lld\n", (long long)n);
    drafted rows = node_make(p, q, n), lists = node_make(p_list, q_list, LIST);
    time_rules("one node, rows of the vocabulary", &rows);
    time_rules("one node, lists of 256 tokens", &lists);
    printf("whole drafts, from laws\n");
    time_drafts("speculative(verify=single, input=probs)", n, p, q);
    time_drafts("speculative(verify=recursive, branch=2211, input=probs)", n, p, q);
    time_drafts("speculative(verify=recursive, draft=sbs, width=4, input=probs)", n, p, q);
    time_drafts("speculative(verify=kseq, width=4, input=probs)", n, p, q);
    printf("whole drafts, from logits\n");
    time_drafts("speculative(verify=recursive, draft=sbs, width=4)", n, p_logits, q_logits);
    time_drafts("speculative(verify=recursive, draft=sbs, width=4, stages=top_k(k=256))", n, p_logits, q_logits);
    free(p_logits), free(q_logits), free(p), free(q);
    free(rows.r), free(rows.rest), free(lists.r), free(lists.rest);
    return 0;
}
