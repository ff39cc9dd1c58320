/* test_speculative.c: trees of drafts: the texts that come out against the target's law, the drafts against theirs,
 * the same answers whichever way they are asked, and what is refused. The rules of a single node have their own test
 * (test_verify.c).
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <math.h>

#include "../failing.h"
#include "test.h"

static void near(double got, double wanted, double tolerance)
{
    if (!(fabs(got - wanted) <= tolerance)) fail_msg("%.15g is not %.15g within %g", got, wanted, tolerance);
}

/* ---- trees: a table of trigrams as both models ----------------------------------------------------------------- */

enum { GRAM_V = 3, GRAM_ROWS = GRAM_V * GRAM_V, GRAM_MOST_NODES = 64, EMITTED = 3, CELLS = 27 };

typedef struct gram {
    float p[GRAM_ROWS][GRAM_V], q[GRAM_ROWS][GRAM_V]; /* by the last two tokens */
} gram;

static gram gram_make(uint64_t seed)
{
    gram g;
    for (int row = 0; row < GRAM_ROWS; row++)
        for (int side = 0; side < 2; side++) {
            float *law = side ? g.q[row] : g.p[row], sum = 0;
            for (int x = 0; x < GRAM_V; x++) sum += law[x] = (float)(0.05 + test_unit(&seed) * test_unit(&seed));
            for (int x = 0; x < GRAM_V; x++) law[x] /= sum;
        }
    return g;
}

/* The row of the table for a node, whose text follows the last two tokens `past`. */
static int gram_row(const sonde_draft_tree *tree, int64_t node, int past)
{
    if (node < 0) return past;
    int64_t parent = tree->parents[node];
    int before = parent < 0 ? past % GRAM_V : tree->tokens[parent];
    return before * GRAM_V + tree->tokens[node];
}

static void gram_draft(sonde_token_sampler *sampler, const gram *g, int past, sonde_draft_tree *tree)
{
    float rows[GRAM_MOST_NODES * GRAM_V];
    *tree = (sonde_draft_tree)SONDE_DRAFT_TREE_INIT;
    OK(sonde_token_sampler_draft(sampler, NULL, tree));
    assert_int_equal(tree->frontier_count, 1);
    while (tree->frontier_count) {
        sonde_array logits = sonde_f32(rows, tree->frontier_count, GRAM_V);
        for (int64_t i = 0; i < tree->frontier_count; i++)
            memcpy(rows + i * GRAM_V, g->q[gram_row(tree, tree->frontier[i], past)], sizeof g->q[0]);
        OK(sonde_token_sampler_draft(sampler, &logits, tree));
    }
}

/* One draft and its verification; emits accepted + 1 tokens. */
static int gram_round(sonde_token_sampler *sampler, const gram *g, int past, int32_t *emitted)
{
    float rows[(GRAM_MOST_NODES + 1) * GRAM_V];
    int64_t path[16];
    sonde_draft_tree tree;
    sonde_verdict verdict = SONDE_VERDICT_INIT;
    verdict.capacity = 16;
    verdict.path = path;
    gram_draft(sampler, g, past, &tree);
    assert_true(tree.count <= GRAM_MOST_NODES);
    for (int64_t i = -1; i < tree.count; i++)
        memcpy(rows + (i + 1) * GRAM_V, g->p[gram_row(&tree, i, past)], sizeof g->p[0]);
    sonde_array target = sonde_f32(rows, tree.count + 1, GRAM_V);
    OK(sonde_token_sampler_verify(sampler, &target, NULL, NULL, &verdict));
    int64_t last = -1;
    for (int64_t i = 0; i < verdict.accepted; i++) {
        assert_int_equal(tree.parents[path[i]], last);
        emitted[i] = tree.tokens[last = path[i]];
    }
    emitted[verdict.accepted] = verdict.token;
    near(verdict.log_prob, log(rows[(last + 1) * GRAM_V + verdict.token]), 1e-5);
    return (int)verdict.accepted + 1;
}

static sonde_token_sampler *make(const char *spec, int64_t vocabulary)
{
    sonde_token_sampler *sampler;
    OK(sonde_token_sampler_create(spec, vocabulary, NULL, &sampler));
    return sampler;
}

/* Three tokens of the text after (0, 0), in as many rounds as it takes. */
static int gram_text(sonde_token_sampler *sampler, const gram *g)
{
    int32_t text[EMITTED + 16];
    int length = 0, past = 0, cell = 0;
    while (length < EMITTED) {
        length += gram_round(sampler, g, past, text + length);
        past = (length > 1 ? text[length - 2] : 0) * GRAM_V + text[length - 1];
    }
    for (int i = 0; i < EMITTED; i++) cell = cell * GRAM_V + text[i];
    return cell;
}

static double gram_chance(const gram *g, int cell)
{
    int a = cell / 9, b = cell / 3 % 3, c = cell % 3;
    return (double)g->p[0][a] * g->p[a][b] * g->p[a * 3 + b][c];
}

/* Chi-square with 26 degrees of freedom; 45.6 is its quantile of 0.99. */
static void texts_follow_the_target(const char *spec, int runs)
{
    gram g = gram_make(11);
    double counts[CELLS] = {0}, total = 0, chi = 0;
    sonde_token_sampler *sampler = make(spec, GRAM_V);
    for (int i = 0; i < runs; i++) counts[gram_text(sampler, &g)]++;
    for (int i = 0; i < CELLS; i++) total += gram_chance(&g, i);
    for (int i = 0; i < CELLS; i++) {
        double wanted = runs * gram_chance(&g, i) / total;
        chi += (counts[i] - wanted) * (counts[i] - wanted) / wanted;
    }
    printf("%s: chi-square %.1f\n", spec, chi);
    if (!(chi < 45.6)) fail_msg("%s: chi-square is %g", spec, chi);
    sonde_token_sampler_free(sampler);
}

static void chains_follow_the_target(void **state)
{
    (void)state;
    texts_follow_the_target("speculative(verify=single, depth=2, input=probs)", 60000);
    texts_follow_the_target("speculative(verify=greedy, depth=2, width=2, input=probs)", 60000);
    texts_follow_the_target("speculative(verify=greedy, depth=3, branch=321, input=probs)", 60000);
}

static void iid_trees_follow_the_target(void **state)
{
    (void)state;
    texts_follow_the_target("speculative(verify=kseq, depth=2, width=3, input=probs)", 60000);
    texts_follow_the_target("speculative(verify=rrs, depth=2, width=3, input=probs)", 60000);
    texts_follow_the_target("speculative(verify=kseq, depth=3, branch=221, input=probs)", 60000);
}

static void trees_without_replacement_follow_the_target(void **state)
{
    (void)state;
    texts_follow_the_target("speculative(verify=recursive, depth=2, branch=22, input=probs)", 60000);
    texts_follow_the_target("speculative(verify=recursive, depth=3, branch=311, input=probs)", 60000);
}

static void beams_follow_the_target(void **state)
{
    static const int widths[] = {1, 2, 3, 5};
    char spec[128];
    (void)state;
    for (int i = 0; i < 4; i++) {
        snprintf(spec, sizeof spec, "speculative(verify=recursive, draft=sbs, depth=2, width=%d, input=probs)",
                 widths[i]);
        texts_follow_the_target(spec, 60000);
    }
}

/* ---- what is drafted ------------------------------------------------------------------------------------------- */

/* Two drafts of one node: each ordered pair as often as it should be. */
static void pairs_are_drawn_as_stated(const char *spec, bool replace)
{
    enum { V = 4, RUNS = 40000 };
    static const float q[V] = {.5f, .25f, .15f, .1f};
    double counts[V][V] = {{0}}, chi = 0;
    sonde_token_sampler *sampler = make(spec, V);
    sonde_array row = sonde_f32((void *)(uintptr_t)q, 1, V);
    for (int i = 0; i < RUNS; i++) {
        sonde_draft_tree tree = SONDE_DRAFT_TREE_INIT;
        int32_t token = 0;
        OK(sonde_token_sampler_draft(sampler, NULL, &tree));
        OK(sonde_token_sampler_draft(sampler, &row, &tree));
        assert_int_equal(tree.count, 2);
        counts[tree.tokens[0]][tree.tokens[1]]++;
        OK(sonde_token_sampler_accept(sampler, 0, &token, 1)); /* the next place has other random numbers */
    }
    for (int a = 0; a < V; a++)
        for (int b = 0; b < V; b++) {
            double wanted = RUNS * (double)q[a] * q[b] / (replace ? 1 : 1 - q[a]);
            if (!replace && a == b) assert_true(counts[a][b] == 0);
            else chi += (counts[a][b] - wanted) * (counts[a][b] - wanted) / wanted;
        }
    if (!(chi < (replace ? 30.6 : 24.7))) fail_msg("%s: chi-square is %g", spec, chi); /* 15 and 11 degrees, 0.99 */
    sonde_token_sampler_free(sampler);
}

static void drafts_have_their_law(void **state)
{
    (void)state;
    pairs_are_drawn_as_stated("speculative(verify=kseq, depth=1, width=2, input=probs)", true);
    pairs_are_drawn_as_stated("speculative(verify=recursive, depth=1, width=2, input=probs)", false);
    pairs_are_drawn_as_stated("speculative(verify=recursive, draft=sbs, depth=1, width=2, input=probs)", false);
}

/* Chance that each of 9 sequences is among the first `left` of a sample without replacement. */
static void add_inclusion(const double *chance, unsigned drawn, double weight, int left, double *inclusion)
{
    double rest = 0;
    if (left == 0) return;
    for (int i = 0; i < 9; i++) rest += drawn >> i & 1 ? 0 : chance[i];
    for (int i = 0; i < 9; i++) {
        if (drawn >> i & 1) continue;
        inclusion[i] += weight * chance[i] / rest;
        add_inclusion(chance, drawn | 1u << i, weight * chance[i] / rest, left - 1, inclusion);
    }
}

static void beams_are_samples_without_replacement(void **state)
{
    enum { RUNS = 30000 };
    gram g = gram_make(12);
    double chance[9];
    (void)state;
    for (int i = 0; i < 9; i++) chance[i] = (double)g.q[0][i / 3] * g.q[i / 3][i % 3];
    for (int width = 1; width <= 12; width = width < 4 ? width + 1 : width + 8) {
        double inclusion[9] = {0}, seen[9] = {0};
        char spec[128];
        int leaves = width < 9 ? width : 9;
        snprintf(spec, sizeof spec, "speculative(verify=recursive, draft=sbs, depth=2, width=%d, input=probs)",
                 width);
        sonde_token_sampler *sampler = make(spec, GRAM_V);
        if (width < 9) add_inclusion(chance, 0, 1, width, inclusion);
        for (int run = 0; run < (width < 9 ? RUNS : 50); run++) {
            sonde_draft_tree tree;
            int32_t token = 0;
            gram_draft(sampler, &g, 0, &tree);
            for (int64_t i = tree.count - leaves; i < tree.count; i++)
                seen[tree.tokens[tree.parents[i]] * 3 + tree.tokens[i]]++;
            OK(sonde_token_sampler_accept(sampler, 0, &token, 1));
        }
        for (int i = 0; i < 9; i++) {
            if (width >= 9) assert_true(seen[i] == 50);
            else near(seen[i] / RUNS, inclusion[i], 4 * sqrt(inclusion[i] * (1 - inclusion[i]) / RUNS) + 1e-9);
        }
        sonde_token_sampler_free(sampler);
    }
}

static void greedy_drafts_are_the_heaviest_and_one_more(void **state)
{
    static float q[6] = {.1f, .3f, .05f, .3f, .05f, .2f};
    sonde_token_sampler *sampler = make("speculative(verify=greedy, depth=1, width=3, input=probs)", 6);
    sonde_array row = sonde_f32(q, 1, 6);
    sonde_draft_tree tree = SONDE_DRAFT_TREE_INIT;
    (void)state;
    OK(sonde_token_sampler_draft(sampler, NULL, &tree));
    OK(sonde_token_sampler_draft(sampler, &row, &tree));
    assert_int_equal(tree.count, 3);
    assert_int_equal(tree.tokens[0], 1);
    assert_int_equal(tree.tokens[1], 3);
    assert_true(tree.tokens[2] != 1 && tree.tokens[2] != 3);
    sonde_token_sampler_free(sampler);
}

/* ---- the same, however it is asked ----------------------------------------------------------------------------- */

static void width_one_is_the_same_by_every_rule(void **state)
{
    static const char *const specs[] = {
        "speculative(verify=single, depth=3, input=probs)",
        "speculative(verify=rrs, depth=3, width=1, input=probs)",
        "speculative(verify=kseq, depth=3, width=1, input=probs)",
        "speculative(verify=recursive, depth=3, branch=111, input=probs)",
        "speculative(verify=recursive, draft=sbs, depth=3, width=1, input=probs)",
        "speculative(verify=greedy, depth=3, width=1, input=probs)",
    };
    enum { SPECS = sizeof specs / sizeof *specs };
    gram g = gram_make(13);
    sonde_token_sampler *samplers[SPECS];
    (void)state;
    for (int i = 0; i < SPECS; i++) samplers[i] = make(specs[i], GRAM_V);
    for (int round = 0, past = 0; round < 500; round++) {
        int32_t first[16], other[16];
        int count = gram_round(samplers[0], &g, past, first);
        for (int i = 1; i < SPECS; i++) {
            assert_int_equal(gram_round(samplers[i], &g, past, other), count);
            assert_memory_equal(other, first, (size_t)count * sizeof *first);
        }
        past = first[count - 1];
    }
    for (int i = 0; i < SPECS; i++) sonde_token_sampler_free(samplers[i]);
}

/* One draft of depth 2 over a small vocabulary whose rows are the same for all nodes, verified; the verdict. */
typedef struct scene {
    const char *spec;
    int64_t vocabulary;
    const float *p, *q;
} scene;

static float *scene_rows(const float *row, int64_t count, int64_t vocabulary)
{
    float *rows = test_alloc((size_t)(count * vocabulary), sizeof *rows);
    for (int64_t i = 0; i < count; i++) memcpy(rows + i * vocabulary, row, (size_t)vocabulary * sizeof *rows);
    return rows;
}

static sonde_verdict scene_play(sonde_token_sampler *sampler, const scene *s, bool explicitly, int32_t *tokens)
{
    sonde_draft_tree tree = SONDE_DRAFT_TREE_INIT;
    sonde_verdict verdict = SONDE_VERDICT_INIT;
    int64_t path[16];
    float *p = scene_rows(s->p, 32, s->vocabulary), *q = scene_rows(s->q, 32, s->vocabulary);
    OK(sonde_token_sampler_draft(sampler, NULL, &tree));
    while (tree.frontier_count) {
        assert_true(tree.count < 31);
        sonde_array logits = sonde_f32(q, tree.frontier_count, s->vocabulary);
        OK(sonde_token_sampler_draft(sampler, &logits, &tree));
    }
    sonde_array target = sonde_f32(p, tree.count + 1, s->vocabulary),
                draft = sonde_f32(q, tree.count + 1, s->vocabulary);
    verdict.capacity = 16;
    verdict.path = path;
    OK(sonde_token_sampler_verify(sampler, &target, explicitly ? &draft : NULL, explicitly ? &tree : NULL, &verdict));
    for (int64_t i = 0; i < verdict.accepted; i++) tokens[i] = tree.tokens[path[i]];
    tokens[verdict.accepted] = verdict.token;
    verdict.path = NULL;
    free(p);
    free(q);
    return verdict;
}

/* Both scenes, round by round; `ids` maps the tokens of the first to those of the second (NULL: the same). */
static void scenes_agree(const scene *a, const scene *b, bool explicitly, const int32_t *ids)
{
    sonde_token_sampler *one = make(a->spec, a->vocabulary), *two = make(b->spec, b->vocabulary);
    int64_t accepted = 0;
    for (int round = 0; round < 300; round++) {
        int32_t left[16], right[16];
        sonde_verdict x = scene_play(one, a, false, left), y = scene_play(two, b, explicitly, right);
        assert_int_equal(x.accepted, y.accepted);
        for (int64_t i = 0; i <= x.accepted; i++) assert_int_equal(ids ? ids[left[i]] : left[i], right[i]);
        near(x.log_prob, y.log_prob, 1e-5);
        accepted += x.accepted;
    }
    assert_true(accepted > 50);
    sonde_token_sampler_free(one);
    sonde_token_sampler_free(two);
}

static const char *const scene_specs[] = {
    "speculative(verify=single, depth=2, input=probs)",
    "speculative(verify=rrs, depth=2, width=3, input=probs)",
    "speculative(verify=recursive, depth=2, branch=32, input=probs)",
    "speculative(verify=recursive, draft=sbs, depth=2, width=3, input=probs)",
    "speculative(verify=kseq, depth=2, width=3, input=probs)",
    "speculative(verify=greedy, depth=2, branch=32, input=probs)",
};
enum { SCENES = sizeof scene_specs / sizeof *scene_specs, FEW = 8, MANY = 64 };

static const float few_p[FEW] = {.3f, .2f, .2f, .1f, .1f, .05f, .05f, 0};
static const float few_q[FEW] = {.1f, .3f, .1f, .2f, .05f, .05f, 0, .2f};

static void own_laws_and_given_laws_agree(void **state)
{
    (void)state;
    for (int i = 0; i < SCENES; i++) {
        scene s = {scene_specs[i], FEW, few_p, few_q};
        scenes_agree(&s, &s, true, NULL);
    }
}

/* Laws whose lists grow and shrink from draft to draft. */
static void laws_of_changing_length_agree(void **state)
{
    const char *spec = "speculative(verify=recursive, depth=2, branch=32, input=probs)";
    sonde_token_sampler *one = make(spec, MANY), *two = make(spec, MANY);
    uint64_t seed = 31;
    (void)state;
    for (int round = 0; round < 200; round++) {
        float p[MANY] = {0}, q[MANY] = {0}, p_sum = 0, q_sum = 0;
        int64_t count = 1 + (int64_t)(test_u64(&seed) % MANY);
        int32_t left[16], right[16];
        for (int64_t i = 0; i < count; i++) {
            int64_t x = (int64_t)(test_u64(&seed) % MANY);
            p[x] += (float)test_unit(&seed);
            q[(x + round % 2) % MANY] += (float)test_unit(&seed);
        }
        for (int x = 0; x < MANY; x++) p_sum += p[x], q_sum += q[x];
        for (int x = 0; x < MANY; x++) p[x] /= p_sum, q[x] /= q_sum;
        scene s = {spec, MANY, p, q};
        sonde_verdict a = scene_play(one, &s, false, left), b = scene_play(two, &s, true, right);
        assert_int_equal(a.accepted, b.accepted);
        assert_memory_equal(left, right, (size_t)(a.accepted + 1) * sizeof *left);
        for (int64_t i = 0; i <= a.accepted; i++) assert_true(p[left[i]] > 0);
    }
    sonde_token_sampler_free(one);
    sonde_token_sampler_free(two);
}

/* Two sequences begin alike: the second goes on when the first is refused, and the path is one of the tree's. */
static void sequences_that_agree_are_followed_together(void **state)
{
    static const int32_t tokens[] = {0, 0, 1, 2};
    static const int64_t parents[] = {-1, -1, 0, 1};
    static const float p[] = {1, 0, 0, 0, 0, 1, 0, 0, 1, 0, 1, 0, 0, 1, 0};
    static const float q[] = {.5f, .25f, .25f, .2f, .4f, .4f, .2f, .4f, .4f, 1, 0, 0, 1, 0, 0};
    sonde_token_sampler *sampler = make("speculative(verify=kseq, input=probs)", 3);
    sonde_array target = sonde_f32(p, 5, 3), draft = sonde_f32(q, 5, 3);
    sonde_draft_tree tree = SONDE_DRAFT_TREE_INIT;
    (void)state;
    tree.count = 4;
    tree.tokens = tokens;
    tree.parents = parents;
    for (int round = 0; round < 50; round++) {
        sonde_verdict verdict = SONDE_VERDICT_INIT;
        int64_t path[2];
        verdict.capacity = 2;
        verdict.path = path;
        OK(sonde_token_sampler_verify(sampler, &target, &draft, &tree, &verdict));
        assert_int_equal(verdict.accepted, 2);
        assert_true(path[0] == 1 && path[1] == 3);
        assert_int_equal(verdict.token, 1);
    }
    sonde_token_sampler_free(sampler);
}

/* Laws of few among many tokens are kept as lists; the same tokens must come. */
static void lists_and_rows_agree(void **state)
{
    static const int32_t ids[FEW] = {3, 9, 10, 17, 30, 31, 50, 63};
    float p[MANY] = {0}, q[MANY] = {0};
    (void)state;
    for (int i = 0; i < FEW; i++) p[ids[i]] = few_p[i], q[ids[i]] = few_q[i];
    for (int i = 0; i < SCENES; i++) {
        scene s = {scene_specs[i], FEW, few_p, few_q}, wide = {scene_specs[i], MANY, p, q};
        scenes_agree(&s, &wide, false, ids);
        scenes_agree(&s, &wide, true, ids);
    }
}

/* One side a list, the other a row. */
static void mixed_laws_come_out(void **state)
{
    enum { RUNS = 20000, WIDE = 16 };
    float p[WIDE] = {0}, q[WIDE];
    double counts[WIDE] = {0}, chi = 0;
    (void)state;
    p[3] = .5f, p[7] = .3f, p[11] = .2f;
    for (int x = 0; x < WIDE; x++) q[x] = x == 3 ? .25f : .05f;
    scene s = {"speculative(verify=recursive, depth=1, width=3, input=probs)", WIDE, p, q};
    sonde_token_sampler *sampler = make(s.spec, WIDE);
    for (int run = 0; run < RUNS; run++) {
        int32_t tokens[16];
        scene_play(sampler, &s, false, tokens);
        counts[tokens[0]]++;
    }
    for (int x = 0; x < WIDE; x++) {
        if (p[x] > 0) chi += (counts[x] - RUNS * p[x]) * (counts[x] - RUNS * p[x]) / (RUNS * p[x]);
        else assert_true(counts[x] == 0);
    }
    if (!(chi < 9.21)) fail_msg("chi-square is %g", chi); /* 2 degrees, 0.99 */
    sonde_token_sampler_free(sampler);
}

/* Logits through a chain are the laws that the chain makes of them. */
static void stages_make_the_laws(void **state)
{
    float p_logits[FEW], q_logits[FEW], p[FEW] = {0}, q[FEW] = {0};
    (void)state;
    for (int x = 0; x < FEW; x++) {
        p_logits[x] = few_p[x] > 0 ? logf(few_p[x]) : -INFINITY;
        q_logits[x] = few_q[x] > 0 ? logf(few_q[x]) : -INFINITY;
    }
    scene logits = {"speculative(verify=recursive, depth=2, branch=32)", FEW, p_logits, q_logits};
    scene plain = {"speculative(verify=recursive, depth=2, branch=32, input=probs)", FEW, few_p, few_q};
    scenes_agree(&logits, &plain, false, NULL);
    scene cut = {"speculative(verify=recursive, depth=2, branch=32, stages=min_p(ratio=0.66))", FEW, p_logits,
                 q_logits};
    p[2] = .2f / .7f, p[0] = .3f / .7f, p[1] = .2f / .7f; /* .2 >= .66 * .3 */
    memset(q, 0, sizeof q);
    q[1] = .3f / .7f, q[3] = q[7] = .2f / .7f;
    plain.p = p, plain.q = q;
    scenes_agree(&cut, &plain, false, NULL);
}

/* A vocabulary so large that the rows of a level are spread over threads. */
static void threads_make_no_difference(void **state)
{
    enum { LARGE = 40000, ROUNDS = 4 };
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    float *p = test_alloc(LARGE, sizeof *p), *q = test_alloc(LARGE, sizeof *q), p_sum = 0, q_sum = 0;
    int32_t wanted[ROUNDS][16];
    uint64_t seed = 21;
    (void)state;
    for (int x = 0; x < LARGE; x++) {
        p_sum += p[x] = expf(3 * test_normal(&seed));
        q_sum += q[x] = p[x] * expf(test_normal(&seed));
    }
    for (int x = 0; x < LARGE; x++) p[x] /= p_sum, q[x] /= q_sum;
    scene s = {"speculative(verify=recursive, draft=sbs, depth=2, width=6, input=probs)", LARGE, p, q};
    for (uint32_t threads = 1; threads <= 7; threads += 3) {
        sonde_runtime *runtime;
        sonde_token_sampler *sampler;
        options.threads = threads;
        OK(sonde_runtime_create(&options, &runtime));
        OK(sonde_token_sampler_create(s.spec, LARGE, runtime, &sampler));
        for (int round = 0; round < ROUNDS; round++) {
            int32_t tokens[16] = {0};
            scene_play(sampler, &s, false, tokens);
            if (threads == 1) memcpy(wanted[round], tokens, sizeof tokens);
            else assert_memory_equal(tokens, wanted[round], sizeof tokens);
        }
        sonde_token_sampler_free(sampler);
        sonde_runtime_free(runtime);
    }
    free(p);
    free(q);
}

static int gives_few_q(const sonde_draft_tree *tree, sonde_array *logits, void *user)
{
    (void)user;
    for (int64_t i = 0; i < tree->frontier_count; i++) memcpy((float *)logits->data + i * FEW, few_q, sizeof few_q);
    return 0;
}

static void a_callback_grows_the_same_tree(void **state)
{
    sonde_token_sampler *one = make(scene_specs[3], FEW), *two = make(scene_specs[3], FEW);
    sonde_draft_tree a = SONDE_DRAFT_TREE_INIT, b = SONDE_DRAFT_TREE_INIT;
    float *q = scene_rows(few_q, 16, FEW);
    (void)state;
    OK(sonde_token_sampler_draft_run(one, gives_few_q, NULL, &a));
    OK(sonde_token_sampler_draft(two, NULL, &b));
    while (b.frontier_count) {
        sonde_array logits = sonde_f32(q, b.frontier_count, FEW);
        OK(sonde_token_sampler_draft(two, &logits, &b));
    }
    assert_int_equal(a.frontier_count, 0);
    assert_int_equal(a.count, b.count);
    assert_memory_equal(a.tokens, b.tokens, (size_t)a.count * sizeof *a.tokens);
    assert_memory_equal(a.parents, b.parents, (size_t)a.count * sizeof *a.parents);
    free(q);
    sonde_token_sampler_free(one);
    sonde_token_sampler_free(two);
}

static void what_is_opened_goes_on_alike(void **state)
{
    scene s = {scene_specs[4], FEW, few_p, few_q};
    sonde_token_sampler *sampler = make(s.spec, FEW), *again;
    int32_t a[16], b[16];
    uint8_t buffer[65536];
    size_t length;
    (void)state;
    for (int i = 0; i < 5; i++) scene_play(sampler, &s, false, a);
    OK(sonde_token_sampler_save_buffer(sampler, buffer, sizeof buffer, &length));
    OK(sonde_token_sampler_open_buffer(buffer, length, NULL, NULL, &again));
    for (int i = 0; i < 20; i++) {
        sonde_verdict x = scene_play(sampler, &s, false, a), y = scene_play(again, &s, false, b);
        assert_int_equal(x.accepted, y.accepted);
        assert_memory_equal(a, b, (size_t)(x.accepted + 1) * sizeof *a);
    }
    sonde_token_sampler_free(sampler);
    sonde_token_sampler_free(again);
}

/* ---- what is refused ------------------------------------------------------------------------------------------- */

static void specs_that_are_refused(void **state)
{
    static const struct {
        const char *spec, *words;
    } bad[] = {
        {"speculative(verify=greedy, draft=iid)", "not exact"},
        {"speculative(verify=kseq, draft=gumbel_topk)", "not exact"},
        {"speculative(verify=kseq, draft=sbs)", "not exact"},
        {"speculative(verify=rrs, draft=greedy)", "not exact"},
        {"speculative(verify=recursive, draft=iid)", "not exact"},
        {"speculative(verify=single, width=2)", "one draft"},
        {"speculative(verify=recursive, depth=2, branch=421)", "one digit a level"},
        {"speculative(verify=recursive, depth=2, branch=40)", "no children"},
        {"speculative(draft=sbs, depth=2, branch=42)", "takes width"},
        {"speculative(depth=0)", "depth=0"},
        {"speculative(width=0)", "width=0"},
        {"speculative(depth=9, branch=999999999)", "nodes"},
        {"speculative(input=probs, stages=top_k(k=2))", "input is probs"},
        {"speculative(stages=penalties(frequency=1.2))", "logits alone"},
        {"speculative(stages=speculative())", "logits alone"},
    };
    sonde_token_sampler *sampler = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        FAILS(sonde_token_sampler_create(bad[i].spec, 100, NULL, &sampler), SONDE_INVALID_ARGUMENT, bad[i].words);
        assert_null(sampler);
    }
}

/* A tree of the caller's, three children of the root, which one change at a time makes bad. */
typedef struct given {
    float p[5 * FEW], q[5 * FEW];
    int32_t tokens[4];
    int64_t parents[4];
    sonde_array target, draft;
    sonde_draft_tree tree;
    sonde_verdict verdict;
} given;

static void given_start(given *g)
{
    *g = (given){.tokens = {0, 1, 3, 2}, .parents = {-1, -1, -1, 0}};
    for (int i = 0; i < 5; i++) {
        memcpy(g->p + i * FEW, few_p, sizeof few_p);
        memcpy(g->q + i * FEW, few_q, sizeof few_q);
    }
    g->target = sonde_f32(g->p, 5, FEW);
    g->draft = sonde_f32(g->q, 5, FEW);
    g->tree = (sonde_draft_tree)SONDE_DRAFT_TREE_INIT;
    g->tree.count = 4;
    g->tree.tokens = g->tokens;
    g->tree.parents = g->parents;
    g->verdict = (sonde_verdict)SONDE_VERDICT_INIT;
}

static void given_fails(sonde_token_sampler *sampler, given *g, sonde_status wanted, const char *words)
{
    g->verdict.token = -7;
    FAILS(sonde_token_sampler_verify(sampler, &g->target, &g->draft, &g->tree, &g->verdict), wanted, words);
    assert_int_equal(g->verdict.token, -7);
    given_start(g);
}

static void trees_and_rows_that_are_refused(void **state)
{
    sonde_token_sampler *sampler = make("speculative(verify=recursive, input=probs)", FEW);
    const sonde_status bad = SONDE_INVALID_ARGUMENT;
    given g;
    (void)state;
    given_start(&g);
    OK(sonde_token_sampler_verify(sampler, &g.target, &g.draft, &g.tree, &g.verdict));
    given_start(&g);
    g.p[0] += 0.01f, given_fails(sampler, &g, bad, "no law");
    g.q[0] -= 0.01f, given_fails(sampler, &g, bad, "no law");
    g.p[0] = -0.1f, g.p[1] = 0.6f, given_fails(sampler, &g, bad, "no law");
    g.p[0] = NAN, given_fails(sampler, &g, bad, "no law");
    g.q[0] = INFINITY, given_fails(sampler, &g, bad, "no law");
    g.tokens[1] = -1, given_fails(sampler, &g, bad, "outside");
    g.tokens[3] = FEW, given_fails(sampler, &g, bad, "outside");
    g.tokens[1] = 0, given_fails(sampler, &g, bad, "repeats");
    g.tokens[1] = 6, given_fails(sampler, &g, bad, "excludes");
    g.parents[3] = 3, given_fails(sampler, &g, bad, "parent");
    g.parents[0] = -2, given_fails(sampler, &g, bad, "parent");
    g.tree.count = 3, given_fails(sampler, &g, bad, "rows");
    g.tree.count = -1, given_fails(sampler, &g, bad, "nodes");
    g.target.rows = 4, given_fails(sampler, &g, bad, "rows");
    g.draft.rows = 4, given_fails(sampler, &g, bad, "rows");
    g.target.cols = FEW - 1, given_fails(sampler, &g, bad, "columns");
    g.verdict.capacity = 2, given_fails(sampler, &g, bad, "path");
    FAILS(sonde_token_sampler_verify(sampler, &g.target, NULL, NULL, &g.verdict), SONDE_STATE, "draft");
    sonde_token_sampler_free(sampler);
    sampler = make("speculative(verify=single, input=probs)", FEW);
    given_fails(sampler, &g, bad, "single verifies one");
    sonde_token_sampler_free(sampler);
}

/* The best rate of two different drafts, over all sets of tokens. */
static double best_of_pairs(const float *p, const float *q)
{
    double least = 0;
    for (unsigned set = 0; set < 1u << FEW; set++) {
        double cut = 0;
        for (int x = 0; x < FEW; x++) {
            if (!(set >> x & 1)) continue;
            cut += p[x];
            for (int y = 0; y < FEW; y++)
                if (y != x && set >> y & 1) cut -= (double)q[x] * q[y] / (1 - q[x]);
        }
        least = fmin(least, cut);
    }
    return 1 + least;
}

static void drafts_that_are_refused(void **state)
{
    sonde_token_sampler *sampler = make("speculative(verify=recursive, input=probs, depth=2, width=2)", FEW);
    sonde_draft_tree tree = SONDE_DRAFT_TREE_INIT;
    given g;
    double rate = -1;
    (void)state;
    given_start(&g);
    sonde_array rows = sonde_f32(g.q, 1, FEW), two = sonde_f32(g.q, 2, FEW), p = sonde_f32(g.p, 1, FEW);
    FAILS(sonde_token_sampler_draft(sampler, &rows, &tree), SONDE_STATE, "begin");
    OK(sonde_token_sampler_draft(sampler, NULL, &tree));
    FAILS(sonde_token_sampler_draft(sampler, &two, &tree), SONDE_INVALID_ARGUMENT, "rows");
    g.q[2] = -1;
    FAILS(sonde_token_sampler_draft(sampler, &rows, &tree), SONDE_INVALID_ARGUMENT, "no law");
    g.q[2] = few_q[2];
    OK(sonde_token_sampler_draft(sampler, &rows, &tree));
    assert_int_equal(tree.count, 2);
    g.tree.count = 2; /* other tokens than those of the draft, and no laws for them */
    g.tokens[0] = 7 - tree.tokens[0];
    g.target.rows = 3;
    FAILS(sonde_token_sampler_verify(sampler, &g.target, NULL, &g.tree, &g.verdict), SONDE_INVALID_ARGUMENT,
          "last draft");
    FAILS(sonde_token_sampler_accept_rate(sampler, "rrs", &p, &rows, 0, &rate), SONDE_INVALID_ARGUMENT, "width");
    FAILS(sonde_token_sampler_accept_rate(sampler, "best", &p, &rows, 2, &rate), SONDE_INVALID_ARGUMENT,
          "optimal_iid");
    FAILS(sonde_token_sampler_accept_rate(sampler, "single", &p, &rows, 2, &rate), SONDE_INVALID_ARGUMENT,
          "one draft");
    FAILS(sonde_token_sampler_accept_rate(sampler, "recursive", &p, &rows, 2, &rate), SONDE_UNSUPPORTED,
          "closed form");
    assert_true(rate == -1);
    OK(sonde_token_sampler_accept_rate(sampler, "optimal_wor", &p, &rows, 2, &rate));
    near(rate, best_of_pairs(few_p, few_q), 1e-6);
    sonde_token_sampler_free(sampler);
}

static sonde_status memory_scene(sonde_runtime_options *options)
{
    sonde_runtime *runtime = NULL;
    sonde_token_sampler *sampler = NULL;
    sonde_draft_tree tree = SONDE_DRAFT_TREE_INIT;
    double rate;
    given g;
    given_start(&g);
    sonde_array p = sonde_f32(g.p, 1, FEW), q = sonde_f32(g.q, 1, FEW);
    sonde_status status = sonde_runtime_create(options, &runtime);
    if (status == SONDE_OK)
        status = sonde_token_sampler_create("speculative(depth=2, width=2, input=probs)", FEW, runtime, &sampler);
    if (status == SONDE_OK) status = sonde_token_sampler_draft(sampler, NULL, &tree);
    while (status == SONDE_OK && tree.frontier_count) {
        sonde_array rows = sonde_f32(g.q, tree.frontier_count, FEW);
        status = sonde_token_sampler_draft(sampler, &rows, &tree);
    }
    if (status == SONDE_OK) status = sonde_token_sampler_verify(sampler, &g.target, NULL, NULL, &g.verdict);
    if (status == SONDE_OK) status = sonde_token_sampler_accept_rate(sampler, "optimal_wor", &p, &q, 2, &rate);
    sonde_token_sampler_free(sampler);
    sonde_runtime_free(runtime);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(failing_walk(memory_scene) > 5);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(chains_follow_the_target),
    cmocka_unit_test(iid_trees_follow_the_target),
    cmocka_unit_test(trees_without_replacement_follow_the_target),
    cmocka_unit_test(beams_follow_the_target),
    cmocka_unit_test(drafts_have_their_law),
    cmocka_unit_test(beams_are_samples_without_replacement),
    cmocka_unit_test(greedy_drafts_are_the_heaviest_and_one_more),
    cmocka_unit_test(width_one_is_the_same_by_every_rule),
    cmocka_unit_test(own_laws_and_given_laws_agree),
    cmocka_unit_test(laws_of_changing_length_agree),
    cmocka_unit_test(sequences_that_agree_are_followed_together),
    cmocka_unit_test(lists_and_rows_agree),
    cmocka_unit_test(mixed_laws_come_out),
    cmocka_unit_test(stages_make_the_laws),
    cmocka_unit_test(threads_make_no_difference),
    cmocka_unit_test(a_callback_grows_the_same_tree),
    cmocka_unit_test(what_is_opened_goes_on_alike),
    cmocka_unit_test(specs_that_are_refused),
    cmocka_unit_test(trees_and_rows_that_are_refused),
    cmocka_unit_test(drafts_that_are_refused),
    cmocka_unit_test(every_allocation_may_fail),
};

SONDE_TEST_MAIN(tests)
