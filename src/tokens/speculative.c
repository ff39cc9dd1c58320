/* speculative.c: drafts of several tokens by a cheap model, verified by the target model in one call, without a
 * change of the target's law. Here: the spec, and how a tree of drafts is grown; draft_walk.c verifies it by the
 * rules of verify.c.
 *
 * Drafts of a node, from its law q:
 *
 *     iid          b independent draws. Without `branch` these are `width` independent sequences (SpecTr): the root has
 *                  `width` children, every later node one. Sequences that agree so far are siblings with equal tokens.
 *     gumbel_topk  b draws without replacement, in order (RSD-C).
 *     greedy       the b - 1 heaviest tokens and one draw from the others.
 *     sbs          stochastic beam search (RSD-S): each level keeps the `width` prefixes of largest perturbed
 *                  log-probability, a sample without replacement of all prefixes of that length.
 *
 * Drawing without replacement is thought of as clocks: token x rings at an exponential time of rate q(x), the order
 * of ringing is the sample, and -log of the time is the Gumbel-perturbed log-probability. The clocks are memoryless,
 * so the next token to ring is a draw from what is left of q, and the wait is exponential with the rate that is left:
 * a node costs as many uniforms as it has children, not V Gumbels. A child's first ring is the parent's, as beam
 * search wants it.
 *
 * Every uniform has a key: (seed, what for, place in the text, number of the draft on its level), so results do not
 * depend on which of them are used. The place is the number of tokens that sequence 0 of the sampler has.
 *
 * Layout: nodes level by level. The rows of a level are read in parallel.
 * Sources: Leviathan et al. 2023; Sun et al. 2023 (SpecTr); Jeon et al. 2024 (RSD); Kool, van Hoof, Welling 2019
 * (stochastic beam search); Hu et al. 2025. Cost: O(V) a draft, O(V) a refusal; laws of few tokens are kept as lists.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tokens/speculative.h"

#include <math.h>

enum {
    SPEC_NODES = 65536, /* of one tree */
    SPEC_WIDTH = 256,
    SPEC_GRAIN = 32768 /* values of rows that one thread reads at least */
};

/* ---- the spec -------------------------------------------------------------------------------------------------- */

static int spec_word(const char *const *words, const char *word)
{
    int at = 0;
    while (words[at] && strcmp(words[at], word) != 0) at++;
    return words[at] ? at : -1;
}

static const char *const spec_rules[] = {"single", "rrs", "recursive", "kseq", "greedy", NULL};
static const char *const spec_kinds[] = {"iid", "gumbel_topk", "sbs", "greedy", NULL};

/* A rule is exact for drafts of its own kind only. */
static sonde_status spec_read_kind(sonde__speculative *s, const char *word)
{
    static const enum sonde__draft_kind natural[SONDE__VERIFY_RULES] = {
        SONDE__DRAFT_IID, SONDE__DRAFT_IID, SONDE__DRAFT_GUMBEL, SONDE__DRAFT_IID, SONDE__DRAFT_GREEDY};
    int kind = spec_word(spec_kinds, word);
    s->kind = kind < 0 ? natural[s->rule] : (enum sonde__draft_kind)kind;
    if (s->kind == natural[s->rule] || (s->rule == SONDE__VERIFY_RECURSIVE && s->kind == SONDE__DRAFT_SBS))
        return SONDE_OK;
    return sonde__fail(SONDE_INVALID_ARGUMENT,
                       "speculative: verify=%s is not exact for draft=%s; it wants draft=%s%s", spec_rules[s->rule],
                       word, spec_kinds[natural[s->rule]], s->rule == SONDE__VERIFY_RECURSIVE ? " or sbs" : "");
}

/* branch=4211: the digits are the children of a node on each level. */
static sonde_status spec_read_branch(sonde__speculative *s, int64_t digits)
{
    int64_t levels = 0;
    for (int64_t rest = digits; rest > 0; rest /= 10) levels++;
    if (levels != s->depth || s->kind == SONDE__DRAFT_SBS)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           s->kind == SONDE__DRAFT_SBS
                               ? "speculative: draft=sbs takes width, not branch=%lld"
                               : "speculative: branch=%lld wants one digit a level, depth is %lld",
                           (long long)digits, (long long)s->depth);
    for (int64_t level = levels - 1; level >= 0; level--, digits /= 10) {
        s->branch[level] = digits % 10;
        if (s->branch[level] == 0)
            return sonde__fail(SONDE_INVALID_ARGUMENT, "speculative: branch: level %lld has no children",
                               (long long)level);
    }
    return SONDE_OK;
}

static sonde_status spec_read_shape(sonde__speculative *s, const sonde__params *params)
{
    bool plain = sonde__param_is(params, "branch", "auto");
    s->depth = sonde__param_int(params, "depth");
    s->width = sonde__param_int(params, "width");
    if (sonde__param_is(params, "width", "auto")) s->width = s->rule == SONDE__VERIFY_SINGLE ? 1 : 4;
    for (int64_t level = 0; level < s->depth; level++)
        s->branch[level] = level == 0 || s->kind == SONDE__DRAFT_SBS ? s->width : 1;
    if (!plain) SONDE_TRY(spec_read_branch(s, sonde__param_int(params, "branch")));
    int64_t nodes = 1;
    for (int64_t level = 0; level < s->depth; level++) {
        if (s->rule == SONDE__VERIFY_SINGLE && s->branch[level] != 1)
            return sonde__fail(SONDE_INVALID_ARGUMENT, "speculative: verify=single verifies one draft, not %lld",
                               (long long)s->branch[level]);
        nodes = s->kind == SONDE__DRAFT_SBS ? s->width : nodes * s->branch[level];
        s->capacity += nodes;
        if (s->capacity > SPEC_NODES)
            return sonde__fail(SONDE_INVALID_ARGUMENT, "speculative: the tree has more than %d nodes", SPEC_NODES);
    }
    return SONDE_OK;
}

static sonde_status spec_read_stages(sonde_token_sampler *sampler, sonde__speculative *s)
{
    const sonde__params *stages = sonde__param_spec(sampler->params, "stages");
    if (!stages) return SONDE_OK;
    if (s->probs)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "speculative: stages work on logits, and input is probs");
    SONDE_TRY(
        sonde_token_sampler_create(sonde__params_text(stages), sampler->vocabulary, sampler->runtime, &s->stages));
    if (sonde__token_pure(s->stages)) return SONDE_OK;
    return sonde__fail(SONDE_INVALID_ARGUMENT,
                       "speculative: stages=%.200s: drafts have no past and no state, so only "
                       "stages that depend on the logits alone can stand here",
                       sonde__params_text(stages));
}

static sonde_status spec_create(sonde_token_sampler *sampler)
{
    sonde__speculative *s;
    const sonde__params *params = sampler->params;
    sonde_runtime *runtime = sampler->runtime;
    SONDE_TRY(SONDE_NEW_ZERO(runtime, s, 1));
    sampler->state = s;
    s->rule = (sonde__verify_rule)spec_word(spec_rules, sonde__param_word(params, "verify"));
    s->probs = sonde__param_is(params, "input", "probs");
    s->rho_tol = sonde__param_real(params, "rho_tol");
    s->seed = (uint64_t)sonde__param_int(params, "seed");
    SONDE_TRY(spec_read_kind(s, sonde__param_word(params, "draft")));
    SONDE_TRY(spec_read_shape(s, params));
    SONDE_TRY(spec_read_stages(sampler, s));
    SONDE_TRY(SONDE_NEW(runtime, s->tokens, s->capacity));
    SONDE_TRY(SONDE_NEW(runtime, s->parents, s->capacity));
    SONDE_TRY(SONDE_NEW(runtime, s->frontier, s->capacity));
    SONDE_TRY(SONDE_NEW_ZERO(runtime, s->nodes, s->capacity + 1));
    return SONDE_NEW_ZERO(runtime, s->laws, s->capacity + 1);
}

static void spec_drop(sonde_token_sampler *sampler)
{
    sonde__speculative *s = sampler->state;
    if (!s) return;
    for (int64_t i = 0; s->laws && i <= s->capacity; i++) sonde__free(sampler->runtime, s->laws[i].block);
    sonde__free(sampler->runtime, s->tokens);
    sonde__free(sampler->runtime, s->parents);
    sonde__free(sampler->runtime, s->frontier);
    sonde__free(sampler->runtime, s->nodes);
    sonde__free(sampler->runtime, s->laws);
    sonde_token_sampler_free(s->stages);
    sonde__free(sampler->runtime, s);
}

/* ---- growing a draft ------------------------------------------------------------------------------------------- */

/* What is left of a node's law while its children are drawn; `own` is the copy that changes, where one is wanted. */
struct spec_urn {
    int64_t count;
    const float *left;
    float *own;
    double total;
};

static sonde_status spec_fill_urn(sonde__scratch *scratch, const sonde__draft_law *law, bool changes,
                                  struct spec_urn *urn)
{
    *urn = (struct spec_urn){law->count, law->w, NULL, law->total};
    if (!changes) return SONDE_OK;
    SONDE_TRY(SONDE_SCRATCH(scratch, urn->own, law->count));
    memcpy(urn->own, law->w, (size_t)law->count * sizeof *urn->own);
    urn->left = urn->own;
    return SONDE_OK;
}

static void spec_take_out(struct spec_urn *urn, int64_t place)
{
    if (!urn->own) return;
    urn->own[place] = 0;
    urn->total = sonde__weights_sum(urn->own, urn->count);
}

/* A child that was drawn, before it has its place in the tree. */
struct spec_child {
    int64_t parent;
    int32_t token;
    sonde__draft_node node;
};

/* The ring after one at `ring`, when clocks of this joint rate have not rung: with times exp(-ring), it comes at
 * exp(-ring) + wait / rate. In logarithms throughout, because prefixes can be very unlikely. */
static double spec_next_ring(double ring, double log_rate, double uniform)
{
    double z = log(-log(uniform)) + ring - log_rate;
    return ring - (z > 0 ? z + log1p(exp(-z)) : log1p(exp(z)));
}

/* The heaviest tokens of a greedy draft, which leave the urn. */
static int64_t spec_take_heaviest(const sonde__draft_law *law, int64_t wanted, int64_t parent, struct spec_urn *urn,
                                  struct spec_child *children)
{
    int64_t places[SPEC_WIDTH], found = sonde__weights_top(law->w, law->count, wanted, places);
    for (int64_t i = 0; i < found; i++) {
        children[i] = (struct spec_child){parent, sonde__draft_token(law, places[i]), {0, 0}};
        spec_take_out(urn, places[i]);
    }
    return found;
}

/* Draws the children of frontier node number `number`; fewer than wanted where the law has no more tokens. */
static sonde_status spec_draw_children(const sonde__speculative *s, int64_t number, sonde__scratch *scratch,
                                       struct spec_child *children, int64_t *count)
{
    int64_t parent = s->frontier[number], wanted = s->branch[s->level], place = s->place + s->level, made = 0;
    const sonde__draft_law *law = &s->laws[parent + 1].law;
    sonde__draft_node prefix = s->nodes[parent + 1];
    double ring = prefix.ring;
    struct spec_urn urn;
    SONDE_TRY(spec_fill_urn(scratch, law, s->kind != SONDE__DRAFT_IID && wanted > 1, &urn));
    if (s->kind == SONDE__DRAFT_GREEDY) made = spec_take_heaviest(law, wanted - 1, parent, &urn, children);
    for (; made < wanted && urn.total > 0; made++) {
        int64_t draft = number * wanted + made;
        double uniform = sonde__draft_uniform(s, SONDE__DRAFT_TOKEN, place, draft);
        int64_t x = sonde__weights_pick(urn.left, law->count, urn.total, uniform);
        if (made > 0 && s->kind == SONDE__DRAFT_SBS)
            ring = spec_next_ring(ring, prefix.log_prob + log(urn.total / law->total),
                                  sonde__draft_uniform(s, SONDE__DRAFT_WAIT, place, draft));
        children[made] = (struct spec_child){
            parent, sonde__draft_token(law, x), {prefix.log_prob + log(law->w[x] / law->total), ring}};
        if (made + 1 < wanted) spec_take_out(&urn, x);
    }
    *count = made;
    return SONDE_OK;
}

/* Moves the `width` children that rang first to the front, in the order of ringing; children of one parent are in
 * that order already, and equal times keep the order of the parents. */
static int64_t spec_keep_first(struct spec_child *children, int64_t count, int64_t width)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < count; i++) {
        struct spec_child child = children[i];
        if (kept == width && !(child.node.ring > children[kept - 1].node.ring)) continue;
        int64_t at = kept < width ? kept++ : kept - 1;
        for (; at > 0 && child.node.ring > children[at - 1].node.ring; at--) children[at] = children[at - 1];
        children[at] = child;
    }
    return kept;
}

/* Adds a level; nothing can fail any more. */
static void spec_add_level(sonde__speculative *s, const struct spec_child *children, int64_t count)
{
    s->level++;
    s->frontier_count = s->level < s->depth ? count : 0;
    for (int64_t i = 0; i < count; i++, s->count++) {
        s->tokens[s->count] = children[i].token;
        s->parents[s->count] = children[i].parent;
        s->nodes[s->count + 1] = children[i].node;
        s->frontier[i] = s->count;
    }
}

/* One call of draft: the frontier's rows, and the children that each node gets, `most` places a node. */
struct spec_level {
    sonde_token_sampler *sampler;
    const sonde_array *rows;
    int64_t most, *counts;
    struct spec_child *children;
};

static sonde_status spec_grow_node(const struct spec_level *level, int64_t number, sonde__scratch *scratch)
{
    sonde__speculative *s = level->sampler->state;
    sonde__draft_law law;
    SONDE_TRY(sonde__draft_law_read(level->sampler, level->rows, number, "draft: logits", s->probs, scratch, &law));
    SONDE_TRY(sonde__draft_law_keep(level->sampler->runtime, &law, &s->laws[s->frontier[number] + 1]));
    return spec_draw_children(s, number, scratch, level->children + number * level->most, &level->counts[number]);
}

static sonde_status spec_grow_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct spec_level *level = context;
    sonde_status status = SONDE_OK;
    sonde__scratch *scratch;
    (void)worker;
    SONDE_TRY(sonde__scratch_take(level->sampler->runtime, &scratch));
    for (int64_t i = begin; status == SONDE_OK && i < end; i++) {
        sonde__scratch_mark mark = sonde__scratch_here(scratch);
        status = spec_grow_node(level, i, scratch);
        sonde__scratch_rewind(scratch, mark);
    }
    sonde__scratch_give(level->sampler->runtime, scratch);
    return status;
}

/* Small vocabularies are not worth a thread. */
static sonde_status spec_grow(sonde_token_sampler *sampler, const sonde_array *rows, sonde__scratch *scratch)
{
    sonde__speculative *s = sampler->state;
    struct spec_level level = {sampler, rows, s->branch[s->level], NULL, NULL};
    int64_t count = 0, grain = sonde__max_i64(1, SPEC_GRAIN / sampler->vocabulary);
    SONDE_TRY(SONDE_SCRATCH(scratch, level.children, s->frontier_count * level.most));
    SONDE_TRY(SONDE_SCRATCH(scratch, level.counts, s->frontier_count));
    SONDE_TRY(sonde__parallel_for(sampler->runtime, 0, s->frontier_count, grain, NULL, spec_grow_chunk, &level));
    for (int64_t i = 0; i < s->frontier_count; i++)
        for (int64_t j = 0; j < level.counts[i]; j++) level.children[count++] = level.children[i * level.most + j];
    if (s->kind == SONDE__DRAFT_SBS) count = spec_keep_first(level.children, count, s->width);
    spec_add_level(s, level.children, count);
    return SONDE_OK;
}

static sonde_status spec_begin(sonde_token_sampler *sampler)
{
    sonde__speculative *s = sampler->state;
    sonde__sequence *sequence;
    SONDE_TRY(sonde__sequence_at(sampler, 0, &sequence));
    for (int64_t i = 0; i <= s->count; i++) s->laws[i].law.count = 0;
    s->count = s->level = 0;
    s->place = sequence->place;
    s->frontier[0] = -1;
    s->frontier_count = 1;
    s->begun = true;
    return SONDE_OK;
}

static sonde_status spec_draft(sonde_token_sampler *sampler, const sonde_array *logits, sonde_draft_tree *tree)
{
    sonde__speculative *s = sampler->state;
    sonde_array rows;
    if (!logits) {
        SONDE_TRY(spec_begin(sampler));
    } else {
        sonde__scratch *scratch;
        if (!s->frontier_count)
            return sonde__fail(SONDE_STATE, "draft: no node waits for logits; begin a draft with logits NULL");
        SONDE_TRY(sonde__draft_rows_check(sampler, logits, "draft: logits", s->frontier_count, &rows));
        SONDE_TRY(sonde__scratch_take(sampler->runtime, &scratch));
        sonde_status status = spec_grow(sampler, &rows, scratch);
        sonde__scratch_give(sampler->runtime, scratch);
        SONDE_TRY(status);
    }
    tree->count = s->count;
    tree->tokens = s->tokens;
    tree->parents = s->parents;
    tree->frontier_count = s->frontier_count;
    tree->frontier = s->frontier;
    return SONDE_OK;
}

/* ---- rates ----------------------------------------------------------------------------------------------------- */

static sonde_status spec_rate_of(const sonde_token_sampler *sampler, const char *rule, const sonde__law_pair *laws,
                                 int64_t width, double *rate)
{
    const sonde__speculative *s = sampler->state;
    int known = spec_word(spec_rules, rule);
    if (known >= 0)
        return sonde__accept_rate(sampler->runtime, (sonde__verify_rule)known, laws, width, s->rho_tol, rate);
    if (strcmp(rule, "optimal_iid") == 0 || strcmp(rule, "optimal_wor") == 0)
        return sonde__accept_optimal(sampler->runtime, rule[8] == 'i', laws, width, rate);
    return sonde__fail(SONDE_INVALID_ARGUMENT,
                       "accept_rate: rule \"%.40s\" is not one of: single, rrs, recursive, "
                       "kseq, greedy, optimal_iid, optimal_wor",
                       rule);
}

static sonde_status spec_accept_rate(const sonde_token_sampler *sampler, const char *rule, const sonde_array *p,
                                     const sonde_array *q, int64_t width, double *rate)
{
    sonde_array rows[2];
    sonde__draft_law laws[2];
    sonde__draft_pair pair;
    sonde__scratch *scratch;
    if (width < 1)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "accept_rate: width is %lld, not at least 1", (long long)width);
    SONDE_TRY(sonde__draft_rows_check(sampler, p, "accept_rate: p", 1, &rows[0]));
    SONDE_TRY(sonde__draft_rows_check(sampler, q, "accept_rate: q", 1, &rows[1]));
    SONDE_TRY(sonde__scratch_take(sampler->runtime, &scratch));
    sonde_status status = sonde__draft_law_read(sampler, &rows[0], 0, "accept_rate: p", true, scratch, &laws[0]);
    if (status == SONDE_OK)
        status = sonde__draft_law_read(sampler, &rows[1], 0, "accept_rate: q", true, scratch, &laws[1]);
    if (status == SONDE_OK) status = sonde__draft_laws_align(scratch, &laws[0], &laws[1], &pair);
    if (status == SONDE_OK) status = spec_rate_of(sampler, rule, &pair.laws, width, rate);
    sonde__scratch_give(sampler->runtime, scratch);
    return status;
}

/* ---- the method ------------------------------------------------------------------------------------------------ */

static const sonde__key spec_keys[] = {
    {"verify", SONDE__KEY_WORD, "recursive", 0, 0, "single|rrs|recursive|kseq|greedy", NULL,
     "the rule that accepts drafts: one draft; several, iid; without replacement; SpecTr; the optimum for greedy "
     "drafts"},
    {"draft", SONDE__KEY_WORD, "auto", 0, 0, "auto|iid|gumbel_topk|sbs|greedy", NULL,
     "how a node's drafts are drawn; auto: as the rule wants it"},
    {"depth", SONDE__KEY_INT, "4", 1, SONDE__DRAFT_LEVELS, NULL, NULL, "levels of the tree"},
    {"width", SONDE__KEY_INT, "auto", 1, SPEC_WIDTH, "auto", NULL,
     "drafts at the root, one child each from there on; sbs: nodes of a level; auto: 4, for single 1"},
    {"branch", SONDE__KEY_INT, "auto", 1, 9999999999999999.0, "auto", NULL,
     "children of a node on each level as digits, such as 4211 for depth=4; auto: width, then 1"},
    {"input", SONDE__KEY_WORD, "logits", 0, 0, "logits|probs", NULL, "what the rows of both models are"},
    {"stages", SONDE__KEY_SPEC, "none", 0, 0, "none", "token_sampler",
     "the chain that the laws of both models go through, such as top_k(k=40)"},
    {"rho_tol", SONDE__KEY_REAL, "1e-6", 1e-12, 0.1, NULL, NULL, "kseq: how near to the best factor"},
    {"seed", SONDE__KEY_INT, "1", 0, 9007199254740992.0, NULL, NULL, "of drafts and verification"},
    {0},
};

const sonde__token_method sonde__token_speculative = {
    .method = {"speculative", "drafts that another model verifies, without a change of its law",
               "Leviathan 2023; Sun 2023 (SpecTr); Jeon 2024 (RSD); Hu 2025", spec_keys, NULL, NULL, NULL},
    .create = spec_create,
    .draft = spec_draft,
    .verify = sonde__draft_walk,
    .accept_rate = spec_accept_rate,
    .drop = spec_drop,
};
