/* draft_walk.c: verifies a tree of drafts from the root down. At each prefix the rule of the node (verify.c) emits a
 * token; where drafts with that token exist the walk goes on with them, whether the rule accepted one of them or the
 * draw from what was left hit one by chance, and otherwise it ends. Several nodes may stand for the same prefix, when
 * drafts are independent; their children are verified together, as SpecTr does it (Sun et al. 2023), which is exact
 * because children are drawn without a look at what was decided above them.
 *
 * Only the rows of prefixes that the walk reaches are read and checked. Cost: O(V) a level, and O(nodes) a level to
 * find the children.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tokens/speculative.h"

#include <math.h>

/* One walk down a tree. */
struct draft_walk {
    sonde_token_sampler *sampler;
    int64_t count, place;
    const int32_t *tokens;
    const int64_t *parents;
    sonde_array target, draft;
    bool given;              /* draft holds the laws of the drafts; else the last draft's own */
    uint8_t *here;           /* here[node + 1]: the node stands for the prefix so far */
    int64_t *children;       /* of those nodes, in the order in which they were drawn */
    int64_t accepted, first; /* first: the lowest node that stands for the prefix */
    int32_t token, *emitted; /* the token of this level; all of them */
    double log_prob;
};

static int64_t walk_find_children(struct draft_walk *walk)
{
    int64_t found = 0;
    for (int64_t i = walk->first + 1; i < walk->count; i++)
        if (walk->here[walk->parents[i] + 1]) walk->children[found++] = i;
    return found;
}

/* Moves to the children with the emitted token; false if there are none. */
static bool walk_descend(struct draft_walk *walk, int64_t children)
{
    int64_t first = -1;
    memset(walk->here, 0, (size_t)walk->count + 1);
    for (int64_t i = children - 1; i >= 0; i--) {
        if (walk->tokens[walk->children[i]] != walk->token) continue;
        first = walk->children[i];
        walk->here[first + 1] = 1;
    }
    if (first < 0) return false;
    walk->emitted[walk->accepted++] = walk->token;
    walk->first = first;
    return true;
}

static sonde_status walk_draft_law(const struct draft_walk *walk, sonde__scratch *scratch, sonde__draft_law *law)
{
    const sonde__speculative *s = walk->sampler->state;
    if (walk->given)
        return sonde__draft_law_read(walk->sampler, &walk->draft, walk->first + 1, "verify: draft", s->probs, scratch,
                                     law);
    *law = s->laws[walk->first + 1].law;
    if (law->count > 0) return SONDE_OK;
    return sonde__fail(SONDE_INVALID_ARGUMENT, "verify: the children of node %lld are not of the last draft",
                       (long long)walk->first);
}

/* Where the drafts of a node stand among the candidates; each must be possible. */
static sonde_status walk_place_drafts(const struct draft_walk *walk, const sonde__draft_pair *pair, int64_t k,
                                      int64_t *drafts)
{
    for (int64_t i = 0; i < k; i++) {
        int64_t node = walk->children[i];
        drafts[i] = sonde__draft_place(pair, walk->tokens[node]);
        if (drafts[i] < 0 || !(pair->laws.q[drafts[i]] > 0))
            return sonde__fail(SONDE_INVALID_ARGUMENT, "verify: node %lld: the draft law excludes token %d",
                               (long long)node, (int)walk->tokens[node]);
    }
    return SONDE_OK;
}

/* Rules have their own wishes: a single draft, or different ones. */
static sonde_status walk_check_drafts(const struct draft_walk *walk, const int64_t *drafts, int64_t k, int64_t n,
                                      sonde__scratch *scratch)
{
    const sonde__speculative *s = walk->sampler->state;
    uint8_t *seen;
    if (k < 2 || s->rule == SONDE__VERIFY_RRS || s->rule == SONDE__VERIFY_KSEQ) return SONDE_OK;
    if (s->rule == SONDE__VERIFY_SINGLE)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "verify: node %lld has %lld children, single verifies one",
                           (long long)walk->first, (long long)k);
    SONDE_TRY(SONDE_SCRATCH(scratch, seen, n));
    memset(seen, 0, (size_t)n);
    for (int64_t i = 0; i < k; i++)
        if (seen[drafts[i]]++)
            return sonde__fail(SONDE_INVALID_ARGUMENT, "verify: node %lld repeats its sibling's token %d",
                               (long long)walk->children[i], (int)walk->tokens[walk->children[i]]);
    return SONDE_OK;
}

/* One level: the token that follows the prefix. */
static sonde_status walk_emit(struct draft_walk *walk, int64_t k, sonde__scratch *scratch)
{
    const sonde__speculative *s = walk->sampler->state;
    sonde__draft_law p, q = {0};
    sonde__draft_pair pair;
    sonde__verifier verifier;
    int64_t *drafts, place = walk->place + walk->accepted;
    double *uniforms, *r;
    float *rest;
    SONDE_TRY(sonde__draft_law_read(walk->sampler, &walk->target, walk->first + 1, "verify: target", s->probs,
                                    scratch, &p));
    pair = (sonde__draft_pair){p.ids, {p.count, p.w, NULL, p.total, 0}};
    if (k > 0) {
        SONDE_TRY(walk_draft_law(walk, scratch, &q));
        SONDE_TRY(sonde__draft_laws_align(scratch, &p, &q, &pair));
    }
    SONDE_TRY(SONDE_SCRATCH(scratch, drafts, k));
    SONDE_TRY(SONDE_SCRATCH(scratch, uniforms, k + 1));
    SONDE_TRY(SONDE_SCRATCH(scratch, r, pair.laws.n));
    SONDE_TRY(SONDE_SCRATCH(scratch, rest, pair.laws.n));
    SONDE_TRY(walk_place_drafts(walk, &pair, k, drafts));
    SONDE_TRY(walk_check_drafts(walk, drafts, k, pair.laws.n, scratch));
    for (int64_t i = 0; i < k; i++) uniforms[i] = sonde__draft_uniform(s, SONDE__DRAFT_ACCEPT, place, i);
    uniforms[k] = sonde__draft_uniform(s, SONDE__DRAFT_INSTEAD, place, 0);
    sonde__verify_start(&verifier, s->rule, &pair.laws, drafts, k, s->rho_tol, r, rest);
    int64_t x = sonde__verify_node(&verifier, drafts, k, uniforms);
    walk->token = pair.ids ? pair.ids[x] : (int32_t)x;
    walk->log_prob = log(pair.laws.p[x] * verifier.p_scale);
    return SONDE_OK;
}

static sonde_status walk_down(struct draft_walk *walk, sonde__scratch *scratch)
{
    for (;;) {
        sonde__scratch_mark mark = sonde__scratch_here(scratch);
        int64_t children = walk_find_children(walk);
        SONDE_TRY(sonde__poll(walk->sampler->runtime, NULL, (uint64_t)walk->accepted, (uint64_t)walk->count));
        SONDE_TRY(walk_emit(walk, children, scratch));
        sonde__scratch_rewind(scratch, mark);
        if (!walk_descend(walk, children)) return SONDE_OK;
    }
}

static sonde_status walk_check_tree(const sonde_token_sampler *sampler, const sonde_draft_tree *tree)
{
    if (tree->count < 0 || (tree->count > 0 && (!tree->tokens || !tree->parents)))
        return sonde__fail(SONDE_INVALID_ARGUMENT, "verify: the tree has %lld nodes, and no tokens or no parents",
                           (long long)tree->count);
    for (int64_t i = 0; i < tree->count; i++) {
        if (tree->tokens[i] < 0 || tree->tokens[i] >= sampler->vocabulary)
            return sonde__fail(SONDE_INVALID_ARGUMENT, "verify: node %lld: token %d is outside 0..%lld", (long long)i,
                               (int)tree->tokens[i], (long long)sampler->vocabulary - 1);
        if (tree->parents[i] < -1 || tree->parents[i] >= i)
            return sonde__fail(SONDE_INVALID_ARGUMENT,
                               "verify: node %lld: parent %lld is not a node before it, or -1", (long long)i,
                               (long long)tree->parents[i]);
    }
    return SONDE_OK;
}

/* The tree of this call: the caller's, checked, or the last draft's; without laws it must be that one. */
static sonde_status walk_take_tree(struct draft_walk *walk, const sonde_draft_tree *tree)
{
    const sonde__speculative *s = walk->sampler->state;
    if (!s->begun && (!tree || !walk->given))
        return sonde__fail(SONDE_STATE, "verify: there is no draft yet; give tree and draft, or draft first");
    walk->count = tree ? tree->count : s->count;
    walk->tokens = tree ? tree->tokens : s->tokens;
    walk->parents = tree ? tree->parents : s->parents;
    if (tree) SONDE_TRY(walk_check_tree(walk->sampler, tree));
    if (!tree || walk->given) return SONDE_OK;
    size_t count = (size_t)tree->count;
    if (tree->count != s->count || (count && (memcmp(tree->tokens, s->tokens, count * sizeof *tree->tokens) != 0 ||
                                              memcmp(tree->parents, s->parents, count * sizeof *tree->parents) != 0)))
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "verify: draft is NULL, and the tree is not that of the last draft");
    return SONDE_OK;
}

static sonde_status walk_prepare(struct draft_walk *walk, const sonde_array *target, const sonde_array *draft,
                                 sonde__scratch *scratch)
{
    SONDE_TRY(sonde__draft_rows_check(walk->sampler, target, "verify: target", walk->count + 1, &walk->target));
    if (draft)
        SONDE_TRY(sonde__draft_rows_check(walk->sampler, draft, "verify: draft", walk->count + 1, &walk->draft));
    SONDE_TRY(SONDE_SCRATCH(scratch, walk->here, walk->count + 1));
    SONDE_TRY(SONDE_SCRATCH(scratch, walk->children, walk->count));
    SONDE_TRY(SONDE_SCRATCH(scratch, walk->emitted, walk->count + 1));
    memset(walk->here, 0, (size_t)walk->count + 1);
    walk->here[0] = 1;
    return SONDE_OK;
}

/* Nothing has moved before this; after the reservation nothing can fail. The path goes up from the last node: nodes
 * that stand for the same prefix can have different parents. */
static sonde_status walk_conclude(const struct draft_walk *walk, sonde__sequence *sequence, sonde_verdict *verdict)
{
    int64_t accepted = walk->accepted, node = walk->first;
    SONDE_TRY(sonde__sequence_reserve(walk->sampler, sequence, accepted + 1));
    walk->emitted[accepted] = walk->token;
    sonde__sequence_append(walk->sampler, sequence, walk->emitted, accepted + 1);
    for (int64_t i = accepted - 1; i >= 0; i--, node = walk->parents[node])
        if (i < verdict->capacity) verdict->path[i] = node;
    verdict->token = walk->token;
    verdict->log_prob = (float)walk->log_prob;
    verdict->accepted = accepted;
    return SONDE_OK;
}

sonde_status sonde__draft_walk(sonde_token_sampler *sampler, const sonde_array *target, const sonde_array *draft,
                               const sonde_draft_tree *tree, sonde_verdict *verdict)
{
    struct draft_walk walk = {.sampler = sampler, .first = -1, .given = draft != NULL};
    sonde__sequence *sequence;
    sonde__scratch *scratch;
    if (verdict->capacity < 0 || (verdict->capacity > 0 && !verdict->path))
        return sonde__fail(SONDE_INVALID_ARGUMENT, "verify: capacity is %lld, and path is %s",
                           (long long)verdict->capacity, verdict->path ? "given" : "NULL");
    SONDE_TRY(walk_take_tree(&walk, tree));
    SONDE_TRY(sonde__sequence_at(sampler, 0, &sequence));
    walk.place = sequence->place;
    SONDE_TRY(sonde__scratch_take(sampler->runtime, &scratch));
    sonde_status status = walk_prepare(&walk, target, draft, scratch);
    if (status == SONDE_OK) status = walk_down(&walk, scratch);
    if (status == SONDE_OK) status = walk_conclude(&walk, sequence, verdict);
    sonde__scratch_give(sampler->runtime, scratch);
    return status;
}
