/* sonde/token_sampler.h: logits to token ids, such as chain(top_k(k=40), typical(mass=0.9), temperature(value=0.8)),
 * and the verification of drafted tokens, such as speculative(verify=recursive, width=4).
 *
 * A sampler keeps something for each sequence that it draws for: its past tokens (for penalties), how many tokens it
 * has (which keys the random numbers) and what adaptive stages remember (mirostat). Sequences are numbered by the
 * caller and made on first use. A draw depends on spec, seed, sequence, place in the sequence and logits, never on
 * batch or threads.
 *
 * Logits are B x V (f32, f16 or bf16), one row a sequence, V = the vocabulary. -inf forbids a token; NaN and +inf are
 * errors, and so is a row that forbids everything. A stage of a chain keeps a part of the candidates that the stage
 * before it left, and never the last one: no chain ends without a candidate.
 *
 * SPDX-License-Identifier: MIT */
#ifndef SONDE_TOKEN_SAMPLER_H
#define SONDE_TOKEN_SAMPLER_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A chain of filters with a draw at its end, or a rule that verifies drafts. */
typedef struct sonde_token_sampler sonde_token_sampler;

/* How to draw, for next_with and filter. */
typedef struct sonde_token_options {
    uint32_t size;             /* set by SONDE_TOKEN_OPTIONS_INIT */
    uint32_t threads;          /* most threads of this call; 0 = the runtime's number */
    const int64_t *sequences;  /* the sequence (>= 0) of each row, all different; NULL: row i belongs to sequence i */
    const sonde_array *allowed; /* BITS, 1 x V or B x V: a zero bit forbids the token; NULL: all are allowed */
} sonde_token_options;

#define SONDE_TOKEN_OPTIONS_INIT {sizeof(sonde_token_options), 0, 0, 0}

/* What was drawn. Each array has one element a row of logits and is yours; all but ids may be NULL. */
typedef struct sonde_tokens {
    uint32_t size;        /* set by SONDE_TOKENS_INIT */
    uint32_t reserved;
    int32_t *ids;         /* the token */
    float *log_probs;     /* its log-probability under the law that it was drawn from, that of the survivors */
    float *raw_log_probs; /* its log-probability under softmax of the logits as they came */
    int64_t *survivors;   /* candidates that were left at the draw */
    float *entropies;     /* of the law that was drawn from, in nats */
} sonde_tokens;

#define SONDE_TOKENS_INIT {sizeof(sonde_tokens), 0, 0, 0, 0, 0, 0}

/* Makes a sampler for a vocabulary of V tokens (1..2^24) from a spec ("sonde list token_sampler" names the stages and
 * samplers). A stage alone is a chain of one. The chain is checked here: unknown stages, two draws, a draw that is not
 * last. INVALID_ARGUMENT, NOT_FOUND, OUT_OF_MEMORY. Class A. Since 1.0. */
SONDE_API sonde_status sonde_token_sampler_create(const char *spec, int64_t vocabulary, sonde_runtime *runtime,
                                                  sonde_token_sampler **sampler);

/* Draws one token for each row of logits into tokens[rows], for sequences 0, 1, ..., and appends it to the past of its
 * sequence. Fails as a whole: on failure no sequence has moved. INVALID_ARGUMENT names the row. O(V) a row. Class S.
 * Since 1.0. */
SONDE_API sonde_status sonde_token_sampler_next(sonde_token_sampler *sampler, const sonde_array *logits, int32_t *tokens);

/* The same with options, and with what else is known about each draw. Class S. Since 1.0. */
SONDE_API sonde_status sonde_token_sampler_next_with(sonde_token_sampler *sampler, const sonde_array *logits,
                                                     const sonde_token_options *how, sonde_tokens *drawn);

/* The candidates that next would draw from, without drawing: for row i counts[i] survivors, of which the most likely
 * `capacity` are written, most likely first: ids[i * capacity ...] and their log-probabilities. The arrays are yours;
 * log_probs may be NULL. Moves no sequence. Class S. Since 1.0. */
SONDE_API sonde_status sonde_token_sampler_filter(sonde_token_sampler *sampler, const sonde_array *logits,
                                                  const sonde_token_options *how, int64_t capacity, int32_t *ids,
                                                  float *log_probs, int64_t *counts);

/* Appends tokens that were not drawn here (a prompt, what another sampler chose) to the past of a sequence. Class S.
 * Since 1.0. */
SONDE_API sonde_status sonde_token_sampler_accept(sonde_token_sampler *sampler, int64_t sequence, const int32_t *tokens,
                                                  int64_t count);

/* Forgets a sequence, or all of them with -1. Class S. Since 1.0. */
SONDE_API sonde_status sonde_token_sampler_reset(sonde_token_sampler *sampler, int64_t sequence);

/* ---- Drafts ------------------------------------------------------------------------------------------------------ */

/* A tree of drafted tokens. Node i stands for the prefix that leads to it; the root, the text so far, is -1. Parents
 * come before their children, siblings in the order in which they were drawn. */
typedef struct sonde_draft_tree {
    uint32_t size;           /* set by SONDE_DRAFT_TREE_INIT */
    uint32_t reserved;
    int64_t count;           /* nodes */
    const int32_t *tokens;   /* count */
    const int64_t *parents;  /* count; each less than its own number, -1 = the root */
    int64_t frontier_count;  /* while drafting: the nodes whose logits are wanted next; 0 = the tree is ready */
    const int64_t *frontier; /* their numbers, -1 = the root */
} sonde_draft_tree;

#define SONDE_DRAFT_TREE_INIT {sizeof(sonde_draft_tree), 0, 0, 0, 0, 0, 0}

/* What verification decided. */
typedef struct sonde_verdict {
    uint32_t size;     /* set by SONDE_VERDICT_INIT */
    int32_t token;     /* the token that follows the accepted ones: from the residual law, or a bonus at a leaf */
    float log_prob;    /* log-probability of `token` under the target law of its place */
    uint32_t reserved;
    int64_t accepted;  /* drafted tokens that were accepted */
    int64_t capacity;  /* in: elements of `path`; the depth of the tree is always enough */
    int64_t *path;     /* the accepted nodes from the root on; yours; NULL if capacity is 0 */
} sonde_verdict;

#define SONDE_VERDICT_INIT {sizeof(sonde_verdict), 0, 0, 0, 0, 0, 0}

/* Grows a draft level by level from the draft model's logits. With logits NULL a new tree begins, whose frontier is
 * the root; then each call takes the logits (or laws, by the spec) of the frontier, one row a node, and gives the next
 * one. Ready when frontier_count is 0. The tree's arrays belong to the sampler, until the next draft or free.
 * UNSUPPORTED for samplers that verify nothing. Class S. Since 1.0. */
SONDE_API sonde_status sonde_token_sampler_draft(sonde_token_sampler *sampler, const sonde_array *logits,
                                                 sonde_draft_tree *tree);

/* The whole of a draft by a callback: what draft gives, without the loop. The model fills logits (one row for each
 * node of tree->frontier, f32); nonzero ends with CALLBACK. Class S. Since 1.0. */
SONDE_API sonde_status sonde_token_sampler_draft_run(sonde_token_sampler *sampler,
                                                     int (*model)(const sonde_draft_tree *tree, sonde_array *logits,
                                                                  void *user),
                                                     void *user, sonde_draft_tree *tree);

/* Accepts a path through the tree so that the emitted tokens (the accepted ones and verdict->token) are distributed as
 * if drawn from the target model. target: (count + 1) x V, row 0 for the root, row i + 1 for node i. draft: the laws
 * that the children of each node were drawn from, in the same rows (rows of leaves are not read); NULL: those of the
 * last draft of this sampler. tree NULL: the tree of the last draft. Only rows that the walk reaches are read and
 * checked. INVALID_ARGUMENT for rows that are no laws, drafts that the draft law excludes, repeated siblings where they
 * must differ. Class S. Since 1.0. */
SONDE_API sonde_status sonde_token_sampler_verify(sonde_token_sampler *sampler, const sonde_array *target,
                                                  const sonde_array *draft, const sonde_draft_tree *tree,
                                                  sonde_verdict *verdict);

/* The exact chance that one of `width` drafts is accepted at a node: p, q: 1 x V laws of target and draft. rule: a
 * word of the key "verify", or "optimal_iid" or "optimal_wor", the best that any rule can reach with drafts drawn with
 * or without replacement. UNSUPPORTED where no closed form is known. Class A. Since 1.0. */
SONDE_API sonde_status sonde_token_sampler_accept_rate(const sonde_token_sampler *sampler, const char *rule,
                                                       const sonde_array *p, const sonde_array *q, int64_t width,
                                                       double *rate);

/* ---- The handle -------------------------------------------------------------------------------------------------- */

/* Tokens of the vocabulary; 0 for NULL. Class A. Since 1.0. */
SONDE_API int64_t sonde_token_sampler_vocabulary(const sonde_token_sampler *sampler);

/* The full spec with every default filled in. Lives as long as the handle. Class A. Since 1.0. */
SONDE_API const char *sonde_token_sampler_spec(const sonde_token_sampler *sampler);

/* Writes one file, atomically, with the past of every sequence, so that what is opened draws the same tokens next.
 * Drafts are not part of it. Class A. Since 1.0. */
SONDE_API sonde_status sonde_token_sampler_save(const sonde_token_sampler *sampler, const char *path);
SONDE_API sonde_status sonde_token_sampler_open(const char *path, const sonde_open_options *options,
                                                sonde_runtime *runtime, sonde_token_sampler **sampler);

/* The same bytes in memory, as sonde_index_save_buffer and sonde_index_open_buffer do it. Class A. Since 1.0. */
SONDE_API sonde_status sonde_token_sampler_save_buffer(const sonde_token_sampler *sampler, void *buffer, size_t capacity,
                                                       size_t *length);
SONDE_API sonde_status sonde_token_sampler_open_buffer(const void *buffer, size_t length,
                                                       const sonde_open_options *options, sonde_runtime *runtime,
                                                       sonde_token_sampler **sampler);

/* Class C. Since 1.0. */
SONDE_API void sonde_token_sampler_free(sonde_token_sampler *sampler);

#ifdef __cplusplus
}
#endif

#endif
