/* tokens.h: the internal door of the tokens room, and what a method's file must supply.
 *
 * Two kinds of methods live here. Stages and draws are the parts of a chain: a stage alone is a chain of one, and
 * `chain` and `sample` build chains of several. A sampler that verifies drafts stands on its own.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_TOKENS_H
#define SONDE_SRC_TOKENS_H

#include "base/base.h"

#define SONDE__TOKEN_VOCABULARY ((int64_t)1 << 24)

typedef struct sonde__token_stage sonde__token_stage;
typedef struct sonde__chain sonde__chain;
typedef struct sonde__candidates sonde__candidates;

typedef struct sonde__token_method {
    sonde__method method; /* name, keys */

    /* -- parts of a chain: one of the two -- */
    /* Narrows the candidates, or changes their logits. */
    sonde_status (*filter)(const sonde__token_stage *stage, sonde__candidates *set);
    /* A draw: the place of the chosen one among the candidates. */
    sonde_status (*choose)(const sonde__token_stage *stage, sonde__candidates *set, int64_t *chosen);
    /* Checks the stage's keys beyond their ranges, and tells what it needs of a sequence. NULL: nothing. */
    sonde_status (*prepare)(sonde__token_stage *stage);
    /* True where the stage does nothing at all with these keys. NULL: never. */
    bool (*neutral)(const sonde__token_stage *stage);

    /* -- methods that make a chain of others -- */
    sonde_status (*compose)(sonde_token_sampler *sampler, sonde__chain *chain);

    /* -- samplers that verify drafts; the structs are complete, whatever size the caller's had -- */
    sonde_status (*create)(sonde_token_sampler *sampler); /* reads params, allocates state */
    sonde_status (*draft)(sonde_token_sampler *sampler, const sonde_array *logits, sonde_draft_tree *tree);
    sonde_status (*verify)(sonde_token_sampler *sampler, const sonde_array *target, const sonde_array *draft,
                           const sonde_draft_tree *tree, sonde_verdict *verdict);
    sonde_status (*accept_rate)(const sonde_token_sampler *sampler, const char *rule, const sonde_array *p,
                                const sonde_array *q, int64_t width, double *rate);
    sonde_status (*save)(const sonde_token_sampler *sampler, sonde__writer *writer); /* NULL: no state in files */
    sonde_status (*load)(sonde_token_sampler *sampler, sonde__reader *reader);
    void (*drop)(sonde_token_sampler *sampler); /* frees state; state may be NULL */
} sonde__token_method;

/* What is kept for one sequence. */
typedef struct sonde__sequence {
    int64_t id;
    int64_t place; /* tokens in its past, which keys the random numbers of the next draw */
    int32_t *past; /* the last `length` of them, oldest first */
    int64_t length, capacity;
    uint64_t stamp;  /* the call that touched it last */
    double memory[]; /* of the chain's adaptive stages */
} sonde__sequence;

/* All sequences of a sampler (sequences.c). */
typedef struct sonde__sequences {
    sonde__sequence **slots; /* open addressing by id; NULL = free */
    int64_t capacity, count;
    uint64_t stamp;
} sonde__sequences;

struct sonde_token_sampler {
    sonde_runtime *runtime;
    sonde__params *params;
    const sonde__token_method *method;
    int64_t vocabulary;
    uint64_t seed;
    sonde__sequences sequences;
    int64_t remembered;  /* past tokens kept for each sequence */
    sonde__chain *chain; /* NULL for samplers that verify drafts */
    void *state;         /* theirs */
};

extern const sonde__noun sonde__token_sampler_noun;

/* ---- sequences.c ------------------------------------------------------------------------------------- */

/* The sequence with this id (>= 0), made if it is new. */
sonde_status sonde__sequence_at(sonde_token_sampler *sampler, int64_t id, sonde__sequence **sequence);
/* Makes room for `count` more tokens, after which append cannot fail. */
sonde_status sonde__sequence_reserve(sonde_token_sampler *sampler, sonde__sequence *sequence, int64_t count);
void sonde__sequence_append(sonde_token_sampler *sampler, sonde__sequence *sequence, const int32_t *tokens,
                            int64_t count);
void sonde__sequences_drop(sonde_token_sampler *sampler, int64_t id); /* -1: all */
sonde_status sonde__sequences_save(const sonde_token_sampler *sampler, sonde__writer *writer);
sonde_status sonde__sequences_load(sonde_token_sampler *sampler, sonde__reader *reader);

/* ---- tokens.c ---------------------------------------------------------------------------------------- */

/* The law of a chain: V probabilities for row `row` of the logits (f32, f16, bf16; checked as `next` does), zero
 * outside the survivors. chain NULL: softmax. The past is taken as empty and nothing is drawn, so the law is a
 * function of the logits alone only if sonde__token_pure. Thread-safe; the caller has checked the view. */
sonde_status sonde__token_law(const sonde_token_sampler *chain, sonde_runtime *runtime, const sonde_array *logits,
                              int64_t row, float *law);
/* Whether the sampler is a chain whose law depends on the logits alone: no penalties, no adaptive or random stages.
 */
bool sonde__token_pure(const sonde_token_sampler *sampler);
/* Uniform in the open interval (0, 1). Streams 0x7400..0x74ff belong to chains, 0x7500..0x75ff to drafts. */
double sonde__token_uniform(uint64_t seed, uint32_t stream, uint64_t row);

#endif
