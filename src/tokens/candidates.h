/* candidates.h: what a stage of a chain works on: the tokens that are still candidates, and the ways to narrow them.
 *
 * The law of the set is softmax(scale * logit) over the candidates. A temperature changes `scale` alone, so that no
 * rounding of scaled logits ever makes ties. The set begins as a whole row, where it lies (ids NULL), and becomes a
 * list with the first stage that narrows it; a list is kept in order of ids.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_CANDIDATES_H
#define SONDE_SRC_CANDIDATES_H

#include "kernels/kernels.h"
#include "tokens/tokens.h"

enum {
    SONDE__STAGE_KEYS = 8,
    /* Streams of random numbers: of a draw, of each token's own, of the stage at a place of the chain. */
    SONDE__TOKEN_STREAM_DRAW = 0x7401,
    SONDE__TOKEN_STREAM_ID = 0x7402,
    SONDE__TOKEN_STREAM_STAGE = 0x7410
};

/* One stage of a chain, ready to run. */
struct sonde__token_stage {
    const sonde__token_method *method;
    double keys[SONDE__STAGE_KEYS]; /* the method's own, in table order; of a word: its place among the words */
    int64_t vocabulary;
    /* What prepare may ask for. */
    int64_t window; /* past tokens that it reads */
    bool adaptive;  /* it has one number of memory for each sequence, which begins as: */
    double beginning;
    bool random; /* a filter that draws random numbers */
    /* Filled in by the chain. */
    int64_t place, memory_at;
};

struct sonde__chain {
    sonde__token_stage *stages; /* the last one is the draw */
    int64_t count, capacity;
    int64_t memory_count; /* numbers of memory for each sequence */
};

struct sonde__candidates {
    sonde__scratch *scratch;
    float *logits; /* of each candidate; a whole row that is not `writable` belongs to the caller */
    int32_t *ids;  /* NULL: all of the row; -inf in it is no candidate */
    int64_t count; /* elements of logits */
    bool writable;
    float *block_max; /* of a whole row: the largest of each SONDE__LOGIT_BLOCK */
    double scale;
    float most;     /* the largest logit, always finite */
    float *weights; /* exp(scale * (logit - most)); NULL: not made yet */
    double weight;  /* their sum; 0: not known */
    bool summed;
    double sum, moment, square; /* over all candidates, of the weights, of weight * gap and of weight * gap^2 */
    /* Room for a list as long as the row, so that what a draw needs does not depend on the draw. */
    struct sonde__candidates_room {
        float *logits, *weights;
        int32_t *ids;
        float *order;          /* what a list goes by, if not by its logits */
        sonde__logit_list part; /* of a list: where a border lies */
        uint64_t *keys;
        int32_t *items;
    } room;
    /* The sequence that the row belongs to. */
    uint64_t seed; /* of the sampler and the sequence */
    uint64_t place;
    const int32_t *past;
    int64_t past_length;
    double *memory;
};

/* Keys that several stages have. */
/* clang-format off */
#define SONDE__KEY_MIN_KEEP \
    {"min_keep", SONDE__KEY_INT, "1", 1, 16777216, NULL, NULL, "candidates that always stay, the first in its order"}
#define SONDE__KEY_TIES \
    {"ties", SONDE__KEY_WORD, "id", 0, 0, "id|all", NULL, "at the border smaller ids go first, or all ties stay"}
#define SONDE__KEY_WINDOW(length) \
    {"window", SONDE__KEY_INT, length, 1, 1073741824, "all", NULL, "how many past tokens count"}
/* clang-format on */

/* The distance of a logit from the largest, in nats of the law; <= 0. */
static inline double sonde__candidate_gap(const sonde__candidates *set, int64_t i)
{
    return set->scale * ((double)set->logits[i] - (double)set->most);
}

/* Which candidates a prefix wants: in their order, the fewest that have both the mass and the number. */
typedef struct sonde__prefix {
    bool typical;  /* order: nearest to the mean gap first (ties: likely first); else most likely first */
    double share;  /* of the mass, 0..1 */
    int64_t least; /* >= 1 */
    bool all_ties; /* also those that tie with the last; else smaller ids first */
} sonde__prefix;

/* A whole row of logits, checked, and room for every list that can come of it: INVALID_ARGUMENT names the column of a
 * NaN or +inf, or says that nothing is allowed. */
sonde_status sonde__candidates_start(sonde__candidates *set, float *logits, int64_t count);
/* After logits were changed: their largest anew. */
void sonde__candidates_changed(sonde__candidates *set);
/* Makes the logits ours to change. */
sonde_status sonde__candidates_own(sonde__candidates *set);
/* Makes a list of a whole row. */
void sonde__candidates_list(sonde__candidates *set);
/* Fills sum and moment, and the weights of a list. */
void sonde__candidates_sums(sonde__candidates *set);
/* The weight of each element of logits, 0 of the forbidden. */
const float *sonde__candidates_weights(sonde__candidates *set);
/* Keeps those with a gap >= limit, but at least the `least` most likely. */
void sonde__candidates_above(sonde__candidates *set, double limit, int64_t least);
/* Keeps a prefix. */
void sonde__candidates_prefix(sonde__candidates *set, const sonde__prefix *prefix);
/* Keeps the `count` most likely. */
void sonde__candidates_top(sonde__candidates *set, int64_t count, bool all_ties);
/* Keeps candidate i of a list where keep[i]. */
void sonde__candidates_keep(sonde__candidates *set, const bool *keep);
/* The place of the last candidate of the prefix with this share of the mass: with a uniform share, a draw from the
 * law. May shorten a whole row to the list that holds it; sum is that of the whole. */
int64_t sonde__candidates_pick(sonde__candidates *set, double share);
/* A list of its own with the same candidates, for a stage that only looks. */
sonde_status sonde__candidates_copy(const sonde__candidates *set, sonde__candidates *copy);
/* Entropy of the law in nats, once the sums are there. */
double sonde__candidates_entropy(const sonde__candidates *set);
/* How many candidates there are, without the forbidden. */
int64_t sonde__candidates_count(const sonde__candidates *set);
/* The places of the candidates of a list, most likely first. */
sonde_status sonde__candidates_ranked(const sonde__candidates *set, int32_t **places);

/* ---- cut.c ------------------------------------------------------------------------------------------- */

/* A prefix of items in ascending order of key (ties: of place) ends with item `last`, whose key is `border`; of those
 * with that key the first `ties` belong to it. */
typedef struct sonde__cut {
    uint64_t border;
    int64_t ties, last;
} sonde__cut;

/* What is cut, and where: the shortest prefix whose weights sum to `mass` and that has `least` items; all items that
 * weigh anything, if they do not reach the mass. */
typedef struct sonde__cut_order {
    const uint64_t *keys;
    uint64_t low, high;   /* the smallest and the largest of them */
    const float *weights; /* NULL: no mass is asked for */
    int64_t count;        /* >= 1 */
    double mass;
    int64_t least;  /* 1..count */
    int32_t *items; /* room for count */
} sonde__cut_order;
sonde__cut sonde__cut_find(const sonde__cut_order *order);
/* Keys of f32 values, largest first, and back. */
static inline uint64_t sonde__cut_key(float value)
{
    uint32_t bits;
    value += 0.0f; /* no negative zero */
    memcpy(&bits, &value, sizeof bits);
    return bits & 0x80000000u ? bits : ~bits & 0x7fffffffu;
}
static inline float sonde__cut_value(uint64_t key)
{
    uint32_t bits = key & 0x80000000u ? (uint32_t)key : ~(uint32_t)key & 0x7fffffffu;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* ---- past.c ------------------------------------------------------------------------------------------ */

/* The last tokens of a sequence, at most `window` of them (0 = all). */
const int32_t *sonde__past_window(const sonde__candidates *set, double window, int64_t *length);
/* Each token once: with how often it occurs, or with the largest of its values (>= 0; NULL: it counts). */
typedef struct sonde__past_count {
    int32_t token, count;
} sonde__past_count;
sonde_status sonde__past_tally(sonde__scratch *scratch, const int32_t *tokens, const int32_t *values, int64_t count,
                               sonde__past_count **tally, int64_t *length);
/* Where the logit of a token stands, or NULL if it is no candidate. */
float *sonde__past_logit(sonde__candidates *set, int32_t token);
/* A changed logit that stays finite. */
float sonde__past_finite(double logit);

/* ---- chain.c ----------------------------------------------------------------------------------------- */

/* Builds the chain of a sampler from its params: a chain of several, or of its one stage. */
sonde_status sonde__chain_create(sonde_token_sampler *sampler);
void sonde__chain_drop(sonde_token_sampler *sampler);
/* Adds one stage with the values of its own keys in table order. */
sonde_status sonde__chain_push(sonde_token_sampler *sampler, sonde__chain *chain, const sonde__token_method *method,
                               const double *keys);
/* The number of memory that belongs to a stage. */
static inline double *sonde__stage_memory(const sonde__token_stage *stage, const sonde__candidates *set)
{
    return set->memory + stage->memory_at;
}
/* What adaptive stages remember of a new sequence. */
void sonde__chain_begin(const sonde__chain *chain, double *memory);
/* Runs all filters. */
sonde_status sonde__chain_filter(const sonde__chain *chain, sonde__candidates *set);
/* Draws: the place of the chosen candidate. */
sonde_status sonde__chain_choose(const sonde__chain *chain, sonde__candidates *set, int64_t *chosen);

#endif
