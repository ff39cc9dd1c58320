/* speculative.h: what the files of the method `speculative` share: its state, and laws as lists of tokens.
 *
 *   speculative.c   the spec, and how a tree of drafts grows
 *   draft_law.c     rows of a model as laws, two laws over the same tokens
 *   draft_walk.c    the walk down a tree that verifies it
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_SPECULATIVE_H
#define SONDE_SRC_SPECULATIVE_H

#include "tokens/tokens.h"
#include "tokens/verify.h"

enum { SONDE__DRAFT_LEVELS = 16 }; /* of one tree: as many as the digits of `branch` */

/* What a random number is for. */
enum {
    SONDE__DRAFT_TOKEN = 0x5d01, /* which token is drafted, how long its clock waits, */
    SONDE__DRAFT_WAIT = 0x5d02,
    SONDE__DRAFT_ACCEPT = 0x5d03, /* is it accepted, what comes instead */
    SONDE__DRAFT_INSTEAD = 0x5d04
};

enum sonde__draft_kind { SONDE__DRAFT_IID, SONDE__DRAFT_GUMBEL, SONDE__DRAFT_SBS, SONDE__DRAFT_GREEDY };

/* A law as weights of tokens, ascending; ids NULL: of all tokens. count 0: unknown. */
typedef struct sonde__draft_law {
    int64_t count;
    const int32_t *ids;
    const float *w;
    double total;
} sonde__draft_law;

/* A law that lives with a tree, in one block that is used again. */
typedef struct sonde__draft_kept {
    sonde__draft_law law;
    float *block;
    int64_t room; /* elements of the block */
} sonde__draft_kept;

typedef struct sonde__draft_node {
    double log_prob, ring; /* sbs: log of the prefix's probability, and its perturbed value */
} sonde__draft_node;

typedef struct sonde__speculative {
    sonde__verify_rule rule;
    enum sonde__draft_kind kind;
    int64_t depth, width, branch[SONDE__DRAFT_LEVELS]; /* children of a node of each level; sbs: at most */
    bool probs;                                        /* rows are laws, not logits */
    double rho_tol;
    uint64_t seed;
    sonde_token_sampler *stages; /* NULL: none */
    /* the tree; arrays for its largest size */
    int64_t capacity, count, level, place;
    bool begun;
    int32_t *tokens;
    int64_t *parents, *frontier, frontier_count;
    sonde__draft_node *nodes; /* nodes[node + 1] */
    sonde__draft_kept *laws;  /* laws[node + 1]: what the node's children were drawn from */
} sonde__speculative;

/* Uniform in (0, 1): draft `number` of its level, at a place in the text. */
static inline double sonde__draft_uniform(const sonde__speculative *s, uint32_t stream, int64_t place, int64_t number)
{
    return sonde__token_uniform(s->seed, stream, (uint64_t)place << 20 | (uint64_t)number);
}

/* ---- draft_law.c ----------------------------------------------------------------------------------------------- */

/* A view of `wanted` rows of the vocabulary. */
sonde_status sonde__draft_rows_check(const sonde_token_sampler *sampler, const sonde_array *rows, const char *what,
                                     int64_t wanted, sonde_array *checked);
/* The law of one row, in scratch. probs: it is a law as it stands; else logits, which the stages make one. */
sonde_status sonde__draft_law_read(const sonde_token_sampler *sampler, const sonde_array *rows, int64_t row,
                                   const char *what, bool probs, sonde__scratch *scratch, sonde__draft_law *law);
sonde_status sonde__draft_law_keep(sonde_runtime *runtime, const sonde__draft_law *law, sonde__draft_kept *kept);

static inline int32_t sonde__draft_token(const sonde__draft_law *law, int64_t place)
{
    return law->ids ? law->ids[place] : (int32_t)place;
}

/* Two laws over the tokens that either has; ids NULL: all. */
typedef struct sonde__draft_pair {
    const int32_t *ids;
    sonde__law_pair laws;
} sonde__draft_pair;

sonde_status sonde__draft_laws_align(sonde__scratch *scratch, const sonde__draft_law *p, const sonde__draft_law *q,
                                     sonde__draft_pair *pair);
/* The place of a token, -1 if neither law has it. */
int64_t sonde__draft_place(const sonde__draft_pair *pair, int32_t token);

/* ---- draft_walk.c ---------------------------------------------------------------------------------------------- */

sonde_status sonde__draft_walk(sonde_token_sampler *sampler, const sonde_array *target, const sonde_array *draft,
                               const sonde_draft_tree *tree, sonde_verdict *verdict);

#endif
