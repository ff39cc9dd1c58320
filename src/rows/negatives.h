/* negatives.h: what the samplers of negatives share (star.c, adore.c, ar2.c): fitted queries with the documents that
 * are right for them, the search for those that are near and wrong, and the frame of a draw. A method says what it
 * wants mined, and how the negatives of one query are chosen.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_NEGATIVES_H
#define SONDE_SRC_NEGATIVES_H

#include "rows/rows.h"

/* What a method wants. */
typedef struct sonde__negatives_plan {
    int64_t each;     /* rows of one query in a plain draw */
    int64_t depth;    /* negatives of one query that are searched; 0: none */
    bool searched;    /* each draw searches, and sees the positives among what was found; else fit mines */
    bool scores;      /* mined lists keep scores */
    bool at_random;   /* draws any document: the ids of all of them are kept */
    bool needs_right; /* a query without positives is an error */
} sonde__negatives_plan;

/* What comes of a search over all fitted queries, and goes stale together. */
typedef struct sonde__negatives_mined {
    int64_t documents;
    int64_t *ids;  /* of all documents, ascending; NULL: 0 .. documents - 1, or not wanted */
    int64_t *list; /* queries x depth: negatives, nearest first, -1 behind them; NULL: not wanted */
    float *score;  /* of `list`, larger = nearer, 0 behind them; NULL: not wanted */
} sonde__negatives_mined;

typedef struct sonde__negatives {
    sonde__negatives_plan plan;
    int64_t queries;
    float *query;           /* queries x dim, as observed last */
    sonde__lists positives; /* ids of documents */
    sonde_index *own;       /* built from "documents"; NULL: the index is the caller's */
    sonde__negatives_mined mined;
    int64_t since;      /* draws since mining, where the method has the key "refresh" */
    bool stale;         /* queries or documents were observed after mining */
    sonde__order order; /* of the queries */
} sonde__negatives;

/* A search for the negatives of some queries. */
typedef struct sonde__negatives_search {
    const sonde_index *index;
    const float *vectors; /* count x dim */
    int64_t count;
    const sonde__lists *positives;
    const int64_t *owner; /* of each query: its list in `positives`; NULL: query i has list i */
    int64_t depth;        /* negatives wanted */
    int64_t width;        /* of the result: sonde__negatives_width */
    bool keep;            /* positives stay among what is found */
    int64_t *list;        /* count x width */
    float *score;         /* count x width, or NULL */
} sonde__negatives_search;

/* One negative of one query. */
typedef struct sonde__negative {
    int64_t id;            /* -1: there are no more */
    int32_t rank;          /* in the list, from 1; -1: not from the list */
    float log_probability; /* of being proposed */
    float weight;
} sonde__negative;

/* One query of a draw. */
typedef struct sonde__negatives_query {
    int64_t at;               /* its place in this draw */
    const int64_t *positives; /* ascending */
    int64_t positive_count;
    const int64_t *list; /* nearest first; negatives only, unless plan.searched */
    const float *score;  /* of `list`, larger = nearer; NULL where the plan has none */
    int64_t length;
    sonde__rng rng;
} sonde__negatives_query;

typedef struct sonde__negatives_batch {
    sonde__negatives *state;
    sonde__scratch *scratch;
    int64_t queries, each, rows;
    int64_t skip; /* rows of the first query that were drawn before */
    uint32_t stream;
    int64_t first_key, key_step; /* the random numbers of query i are those of place first_key + i key_step */
    int64_t *number;             /* of each query: its row of what was fitted, or of what came with the draw */
    float *vectors;              /* queries x dim, to be searched; NULL: the mined lists serve */
    sonde__lists given;          /* positives that came with the draw; begin NULL: the fitted ones */
    int64_t width;               /* columns of list and score */
    int64_t *list;               /* queries x width, searched for this draw; NULL: the mined ones serve */
    float *score;
} sonde__negatives_batch;

/* Chooses `each` negatives of one query, and which of its positives goes with them (an id, or -1). rows come as -1.
 */
typedef sonde_status (*sonde__negatives_choose)(sonde_row_sampler *sampler, sonde__negatives_query *query,
                                                int64_t each, sonde__negative *rows, int64_t *positive,
                                                void *context);

/* ---- for the three methods' tables --------------------------------------------------------------------------- */

sonde_status sonde__negatives_fit(sonde_row_sampler *sampler, const sonde_array *const *inputs,
                                  const sonde__negatives_plan *plan);
sonde_status sonde__negatives_observe(sonde_row_sampler *sampler, const sonde_array *const *inputs);
sonde_status sonde__negatives_save(const sonde_row_sampler *sampler, sonde__writer *writer);
sonde_status sonde__negatives_load(sonde_row_sampler *sampler, sonde__reader *reader,
                                   const sonde__negatives_plan *plan);
void sonde__negatives_drop(sonde_row_sampler *sampler);

/* A draw: begin (which queries, their lists, room for the rows), run `choose` on each query, end. end is due after
 * every begin that succeeded. */
sonde_status sonde__negatives_begin(sonde_row_sampler *sampler, const sonde_array *const *inputs, int64_t count,
                                    sonde__negatives_batch *batch);
sonde_status sonde__negatives_run(sonde_row_sampler *sampler, const sonde__negatives_batch *batch,
                                  sonde__negatives_choose choose, void *context);
void sonde__negatives_end(sonde_row_sampler *sampler, sonde__negatives_batch *batch);
/* All three, for methods with nothing between. */
sonde_status sonde__negatives_draw(sonde_row_sampler *sampler, const sonde_array *const *inputs, int64_t count,
                                   sonde__negatives_choose choose);

/* One of the query's positives, each with the same chance; -1 if it has none. */
int64_t sonde__negatives_positive(sonde__negatives_query *query);

/* ---- negatives.c, for negatives_draw.c ----------------------------------------------------------------------- */

/* The attached index, or the own one. STATE if there is none. */
sonde_status sonde__negatives_index(const sonde_row_sampler *sampler, const sonde__negatives *state,
                                    const sonde_index **index);
/* Every positive is a document of the index, and each query has a negative; INVALID_ARGUMENT names the query. */
sonde_status sonde__negatives_check(const sonde_index *index, const sonde__lists *positives, bool needs_right);
int64_t sonde__negatives_width(const sonde__negatives_search *search);
sonde_status sonde__negatives_search_all(const sonde_row_sampler *sampler, const sonde__negatives_search *search);
/* Mines anew where the key "refresh" says that it is time. */
sonde_status sonde__negatives_refresh(sonde_row_sampler *sampler);

/* ---- for losses ---------------------------------------------------------------------------------------------- */

/* The input of a verb by its name; NULL if it was not given, or the method has none. */
const sonde_array *sonde__negatives_input(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                                          const char *verb, const char *name);
/* log(1 + exp(x)) and its derivative, for any x. */
double sonde__softplus(double x);
double sonde__sigmoid(double x);

/* ---- tables -------------------------------------------------------------------------------------------------- */

/* clang-format off */
#define SONDE__NEGATIVES_IDS (SONDE__DTYPE_BIT(SONDE_DTYPE_I64) | SONDE__DTYPE_BIT(SONDE_DTYPE_I32))

#define SONDE__NEGATIVES_KEYS(depth_default)                                                                      \
    {"index", SONDE__KEY_SPEC, "flat(metric=ip)", 0, 0, NULL, "index", "what searches the documents"},            \
    {"depth", SONDE__KEY_INT, depth_default, 1, 32768, NULL, NULL, "negatives of a query that are searched for"}, \
    {"recall", SONDE__KEY_REAL, "0.95", 0.01, 1, NULL, NULL, "of the search, where the index is not exact"},      \
    {"batch", SONDE__KEY_INT, "32", 1, 1048576, NULL, NULL, "queries of a draw that does not say how many rows"}

#define SONDE__NEGATIVES_REFRESH                                                                                  \
    {"refresh", SONDE__KEY_INT, "0", 0, 4294967295.0, NULL, NULL,                                                 \
     "draws after which the lists are searched anew; 0: when something is observed"}

#define SONDE__NEGATIVES_FIT_INPUTS                                                                               \
    {"queries", "q x dim", SONDE__DTYPES_NUMERIC, true, "the embedded queries", "fit"},                           \
    {"positives", "q x m or t x 1", SONDE__NEGATIVES_IDS, true,                                                   \
     "ids of the right documents, padded with -1; or all in one column, with positive_offsets",                   \
     "fit"},                                                                                                      \
    {"positive_offsets", "(q+1) x 1", SONDE__NEGATIVES_IDS, false, "where each query's positives begin", "fit"},  \
    {"documents", "n x dim", SONDE__DTYPES_NUMERIC, false, "the documents; not needed with an attached index",    \
     "fit"},                                                                                                      \
    {"ids", "n x 1", SONDE__NEGATIVES_IDS, false, "ids of the documents; else 0, 1, 2, ...", "fit"}

#define SONDE__NEGATIVES_OBSERVE_INPUTS                                                                           \
    {"queries", "q x dim", SONDE__DTYPES_NUMERIC, false, "all fitted queries, embedded anew", "observe"},         \
    {"documents", "n x dim", SONDE__DTYPES_NUMERIC, false, "all documents, embedded anew", "observe"},            \
    {"ids", "n x 1", SONDE__NEGATIVES_IDS, false, "ids of the documents; else 0, 1, 2, ...", "observe"}

#define SONDE__NEGATIVES_QUERY_IDS                                                                                \
    {"query_ids", "b x 1", SONDE__NEGATIVES_IDS, false, "numbers of fitted queries to draw for", "draw"}

#define SONDE__NEGATIVES_QUERIES                                                                                  \
    {"queries", "b x dim", SONDE__DTYPES_NUMERIC, false, "queries as embedded now: they are searched", "draw"},   \
    {"positives", "b x m or t x 1", SONDE__NEGATIVES_IDS, false, "right for them, in place of query_ids", "draw"},\
    {"positive_offsets", "(b+1) x 1", SONDE__NEGATIVES_IDS, false, "where each query's positives begin", "draw"}

#define SONDE__NEGATIVES_OUTPUTS                                                                                  \
    {"ranks", "rows x 1", SONDE_DTYPE_I32, "place in the query's list, from 1; -1: not of the list"},             \
    {"log_probabilities", "rows x 1", SONDE_DTYPE_F32, "log of the probability that it was proposed"},            \
    {"positives", "rows x 1", SONDE_DTYPE_I64, "one of the query's positives; -1: it has none"}

/* clang-format on */

#endif
