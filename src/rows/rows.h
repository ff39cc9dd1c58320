/* rows.h: the internal door of the rows room, and what a method's file must supply.
 *
 * A method fits a state, then draws. Where a stream stands is two numbers of the handle, pass and place; what a draw gives
 * is a function of (state, pass, place), so that saving, seeking and going on are the same for every method.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_ROWS_H
#define SONDE_SRC_ROWS_H

#include "base/base.h"

/* Row numbers are kept in 32 bits; larger sets are fitted as shards. */
#define SONDE__ROWS_MOST ((int64_t)UINT32_MAX)

typedef struct sonde__row_method {
    sonde__method method; /* name, keys, inputs by verb, outputs */
    /* Reads sampler->params, sets `batch` (rows of a draw of count 0) and, if nothing is to be fitted, `fitted`. */
    sonde_status (*create)(sonde_row_sampler *sampler);
    /* inputs[i]: row i of the method's table, NULL where not given. Checks what the table cannot say, sets dim where it was 0,
     * builds a new state and swaps it in at the end. NULL: nothing to fit. */
    sonde_status (*fit)(sonde_row_sampler *sampler, const sonde_array *const *inputs);
    /* Draws from (pass, place) on: sonde__rows_begin, then fills sampler->drawn. inputs NULL: a plain draw. */
    sonde_status (*draw)(sonde_row_sampler *sampler, const sonde_array *const *inputs, int64_t count);
    sonde_status (*observe)(sonde_row_sampler *sampler, const sonde_array *const *inputs); /* NULL: nothing is observed */
    /* gradients[i]: where the derivative by input i goes (f32 of the input's shape, packed or strided), or NULL. NULL: no loss. */
    sonde_status (*loss)(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                         const sonde_array *const *gradients, double *loss);
    /* Joins the state of `from` into `into`, whose state is swapped at the end. NULL: no summary. */
    sonde_status (*merge)(sonde_row_sampler *into, const sonde_row_sampler *from);
    sonde_status (*save)(const sonde_row_sampler *sampler, sonde__writer *writer); /* NULL: spec and place are all */
    sonde_status (*load)(sonde_row_sampler *sampler, sonde__reader *reader);
    void (*drop)(sonde_row_sampler *sampler); /* frees state; state may be NULL */
    bool searches; /* takes an index of the caller */
} sonde__row_method;

/* One named output of a draw or observation. */
typedef struct sonde__row_column {
    void *data;
    int64_t rows, cols;
    uint64_t bytes; /* allocated */
} sonde__row_column;

#define SONDE__ROW_COLUMNS_MOST 8

/* What the last draw gave; memory is kept from draw to draw. */
typedef struct sonde__drawn {
    int64_t count, room;
    bool last;       /* the pass ends with these rows */
    bool has_groups;
    int64_t *ids, *groups;
    float *weights;
    sonde__row_column columns[SONDE__ROW_COLUMNS_MOST]; /* by row of the method's table of outputs */
} sonde__drawn;

struct sonde_row_sampler {
    sonde_runtime *runtime;
    sonde__params *params;
    const sonde__row_method *method; /* create may put a variant of its own here, for what the spec asks */
    int64_t dim;                     /* 0 = not known yet */
    int64_t batch;
    uint64_t seed;
    bool fitted;
    int64_t pass, place; /* the next draw begins behind `place` rows of this pass */
    const sonde_index *attached;
    sonde__drawn drawn;
    void *state; /* the method's own */
};

extern const sonde__noun sonde__row_sampler_noun;

/* ---- row_sampler.c: for methods --------------------------------------------------------------------------------------- */

/* Empties the last draw and makes room for `count` rows: ids and groups are -1, weights 1, count = `count`, last = false. */
sonde_status sonde__rows_begin(sonde_row_sampler *sampler, int64_t count, bool groups);
/* Room for an output by its name in the method's table: rows x cols, zeroed. Valid with the draw it belongs to. */
sonde_status sonde__rows_column(sonde_row_sampler *sampler, const char *name, int64_t rows, int64_t cols, void *data);
/* Random numbers of one place of the current pass: draws of different (stream, place) are independent. */
void sonde__rows_rng(const sonde_row_sampler *sampler, int64_t pass, uint32_t stream, uint64_t place, sonde__rng *rng);
/* The position of an input or output in the method's tables; asking for a name that the table lacks is a defect. */
int sonde__rows_input(const sonde_row_sampler *sampler, const char *verb, const char *name);

/* ---- columns.c: what inputs hold ------------------------------------------------------------------------------------ */

/* INVALID_ARGUMENT unless the input `name` of fit has least..SONDE__ROWS_MOST rows. */
sonde_status sonde__rows_fit_check(const char *name, int64_t rows, int64_t least);

/* A column (n x 1) of whole numbers (i64, i32, u8, i8) in new memory (sonde__free). expected: rows, -1 = any.
 * least..most bound the values: INVALID_ARGUMENT names the row. */
sonde_status sonde__column_i64(sonde_runtime *runtime, const sonde_array *array, const char *what, int64_t expected,
                               int64_t least, int64_t most, int64_t **values);
/* A column of numbers (any numeric dtype) as f32 in new memory, finite and within least..most. */
sonde_status sonde__column_f32(sonde_runtime *runtime, const sonde_array *array, const char *what, int64_t expected,
                               float least, float most, float **values);
/* A whole matrix (n x cols; cols 0 = any) as packed f32 in new memory, finite. */
sonde_status sonde__matrix_f32(sonde_runtime *runtime, const sonde_array *array, const char *what, int64_t rows,
                               int64_t cols, float **values);

/* log softmax(scale x) of finite numbers, scale >= 0; nothing overflows. */
void sonde__log_softmax(const float *x, int64_t count, double scale, double *log_p);

/* Where a gradient goes, packed or not: one value of a column, or all of them (gradient NULL: nowhere). */
void sonde__gradient_set(const sonde_array *gradient, int64_t row, double value);
void sonde__gradient_put(const sonde_array *gradient, const float *values);

/* A list of ids for each of `count` owners (queries). */
typedef struct sonde__lists {
    int64_t count;
    int64_t *begin; /* count + 1 */
    int64_t *items;
} sonde__lists;
/* From either form of input: `items` n x m padded with -1 (offsets NULL), or all items in one column (total x 1) with
 * `offsets` ((n + 1) x 1, from 0, ascending). Each list comes out ascending and without repeats; items are within
 * 0..most. */
sonde_status sonde__lists_take(sonde_runtime *runtime, const sonde_array *items, const sonde_array *offsets,
                               const char *what, int64_t count, int64_t most, sonde__lists *lists);
void sonde__lists_drop(sonde_runtime *runtime, sonde__lists *lists);
bool sonde__lists_have(const sonde__lists *lists, int64_t owner, int64_t item); /* O(log length) */
sonde_status sonde__lists_write(const sonde__lists *lists, sonde__writer *writer, const char *begin_tag,
                                const char *items_tag);
/* `count` lists with items within 0..most, checked. */
sonde_status sonde__lists_read(sonde_runtime *runtime, sonde__reader *reader, const char *begin_tag,
                               const char *items_tag, int64_t count, int64_t most, sonde__lists *lists);
/* Exactly `count` whole numbers within least..most of a section, in new memory. CORRUPT otherwise. */
sonde_status sonde__numbers_read(sonde_runtime *runtime, sonde__reader *reader, const char *tag, int64_t count,
                                 int64_t least, int64_t most, int64_t **values);
/* The caller's ids, which may be NULL: the number "named" and, if there are some, the section "IDS". Reading
 * gives NULL or `count` ids in new memory. */
sonde_status sonde__ids_write(sonde__writer *writer, const int64_t *ids, int64_t count);
sonde_status sonde__ids_read(sonde_runtime *runtime, sonde__reader *reader, int64_t count, int64_t **ids);

/* For merge. LIMIT where a + b `things` ("rows") are more than SONDE__ROWS_MOST. */
sonde_status sonde__merge_count(const char *things, int64_t a, int64_t b);
/* INCOMPATIBLE where only one of the two samplers has `what` ("ids of the caller"). */
sonde_status sonde__merge_both(const char *what, bool a, bool b);
/* Puts a's elements of `size` bytes, and those of b behind them, into new memory, and its address into the
 * pointer at `joined`. a NULL: nothing. */
sonde_status sonde__column_join(sonde_runtime *runtime, const void *a, int64_t a_count, const void *b,
                                int64_t b_count, uint64_t size, void *joined);

/* ---- shuffle.c ------------------------------------------------------------------------------------------------------ */

/* Puts `count` numbers in random order (Fisher and Yates; Durstenfeld 1964). */
void sonde__shuffle(sonde__rng *rng, uint32_t *numbers, int64_t count);
/* `count` different numbers of 0..n-1 in random order, O(count) expected time and memory (Floyd's method by hashing). */
sonde_status sonde__choose(sonde_runtime *runtime, sonde__rng *rng, int64_t n, int64_t count, int64_t *chosen);

/* 0 .. count-1 in the random order that a pass has in this stream. */
void sonde__rows_permute(const sonde_row_sampler *sampler, int64_t pass, uint32_t stream, int64_t count,
                         uint32_t *order);
/* Such an order, kept while its pass lasts. */
typedef struct sonde__order {
    uint32_t *numbers; /* of `pass`; NULL before the first draw */
    int64_t pass;
} sonde__order;
/* Makes it that of the current pass. Every call has the same count; sonde__free takes the numbers. */
sonde_status sonde__rows_order(const sonde_row_sampler *sampler, uint32_t stream, int64_t count,
                               sonde__order *order);

#endif
