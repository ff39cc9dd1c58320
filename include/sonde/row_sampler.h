/* sonde/row_sampler.h: which rows of a data set to use next: weighted and stratified draws, hard negatives, batches,
 * such as weighted(replace=no), tas_balanced(clusters=2000, batch=32), adore(index=ivf(nlist=512), depth=200).
 *
 * A sampler is fitted on named inputs and then drawn from, again and again. Rows are named by their ids: the "ids"
 * input where a method takes one, else the numbers 0, 1, 2, ... of the fitted rows. Ids and weights are all that a
 * draw gives by itself, so vectors are needed only by the methods that look at them.
 *
 * Draws are a function of spec, fitted data, pass and place in the pass, never of threads or of time. Methods with
 * passes (random and weighted without replacement, stratified, batches, ...) go through their rows once a pass; the
 * others are endless streams.
 *
 * SPDX-License-Identifier: MIT */
#ifndef SONDE_ROW_SAMPLER_H
#define SONDE_ROW_SAMPLER_H

#include "base.h"
#include "index.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A source of row ids with weights. */
typedef struct sonde_row_sampler sonde_row_sampler;

/* What one draw gave. The arrays belong to the sampler and stay until its next draw, fit, merge or free. */
typedef struct sonde_rows {
    uint32_t size;         /* set by SONDE_ROWS_INIT */
    uint32_t last;         /* 1: the pass ends with these rows; 0: more follow, or the stream is endless */
    int64_t count;         /* rows that were drawn */
    int64_t pass;          /* the pass they belong to, from 0 */
    const int64_t *ids;    /* count; -1 = none (such as a query with too few negatives) */
    const float *weights;  /* count; what the method says about the row's importance, 1 where it says nothing */
    const int64_t *groups; /* count: the stratum, cluster, bucket or query of each row; NULL where the method has none */
} sonde_rows;

#define SONDE_ROWS_INIT {sizeof(sonde_rows), 0, 0, 0, 0, 0, 0}

/* Makes a sampler from a spec ("sonde list row_sampler" names the methods). dim: columns of the vectors it will see
 * (1..65536), or 0 to take it from what it is fitted on. INVALID_ARGUMENT, NOT_FOUND, OUT_OF_MEMORY. Class A.
 * Since 1.0. */
SONDE_API sonde_status sonde_row_sampler_create(const char *spec, int64_t dim, sonde_runtime *runtime,
                                                sonde_row_sampler **sampler);

/* Takes the data in: the inputs with the verb "fit" of the method's table. Replaces what was fitted before and goes
 * back to the first pass; on failure or cancel the old state stays. INVALID_ARGUMENT (an input is missing, of a wrong
 * shape or value), LIMIT, CANCELLED, ... Class C. Since 1.0. */
SONDE_API sonde_status sonde_row_sampler_fit(sonde_row_sampler *sampler, const sonde_input *inputs, size_t count);

/* Uses an index of the caller in place of one that fit would build from "documents", for the methods that search. Its
 * ids are the ids of the draws. The index is borrowed: it must outlive the sampler, or be taken back with NULL; it is
 * searched only, so others may search and change it meanwhile. It is not saved: what is opened answers STATE where it
 * has to search, until an index is attached again. UNSUPPORTED for methods without an index. Class C. Since 1.0. */
SONDE_API sonde_status sonde_row_sampler_attach(sonde_row_sampler *sampler, const sonde_index *index);

/* Draws the next `count` rows (0 = as many as the method's spec says) into *rows, and steps on. At the end of a pass
 * the rest comes, which may be fewer. What a row is (a row of the data, a query's negative, a pair) the method's page
 * says. STATE if the method needs to be fitted first, INVALID_ARGUMENT if it cannot choose by itself what to draw for.
 * On failure nothing has moved, and the arrays of the draw before are gone. Class S. Since 1.0. */
SONDE_API sonde_status sonde_row_sampler_draw(sonde_row_sampler *sampler, int64_t count, sonde_rows *rows);

/* The same for what the inputs name (the verb "draw" of the method's table), such as the queries of this
 * training step. UNSUPPORTED for methods that take none. Class S. Since 1.0. */
SONDE_API sonde_status sonde_row_sampler_draw_for(sonde_row_sampler *sampler, const sonde_input *inputs, size_t input_count,
                                                  int64_t count, sonde_rows *rows);

/* One more column of the last draw or observation, by the name that the method's table of outputs has, such as "pairs"
 * or "ranks". A view of the sampler's memory that stays until the next draw, observe, fit, merge or free. NOT_FOUND,
 * STATE before the first draw. Class S. Since 1.0. */
SONDE_API sonde_status sonde_row_sampler_output(const sonde_row_sampler *sampler, const char *name, sonde_array *column);

/* Tells the sampler what came of its draws, or that the data has changed (the verb "observe" of the method's table):
 * losses, counts, re-encoded documents. UNSUPPORTED for methods that learn nothing while they run. Class S. Since 1.0. */
SONDE_API sonde_status sonde_row_sampler_observe(sonde_row_sampler *sampler, const sonde_input *inputs, size_t count);

/* The loss that the method's paper trains with, on one batch (inputs with the verb "loss"). For each of `gradients`,
 * named as the input whose derivative is wanted and of its shape (f32, yours), the array is filled. Mean over the
 * batch unless the method's page says otherwise. UNSUPPORTED for methods without a loss; INVALID_ARGUMENT. Class A.
 * Since 1.0. */
SONDE_API sonde_status sonde_row_sampler_loss(const sonde_row_sampler *sampler, const sonde_input *inputs, size_t count,
                                              const sonde_input *gradients, size_t gradient_count, double *loss);

/* Joins samplers of two shards: `into` then draws from the rows of both, as if it had been fitted on them together,
 * and is at the start of pass 0. Both have the same spec; ids that were given must differ, ids that were not are
 * renumbered: those of `from` come behind those of `into`. INCOMPATIBLE, UNSUPPORTED (the method has no such summary).
 * `from` stays as it is. Class C on `into`, A on `from`. Since 1.0. */
SONDE_API sonde_status sonde_row_sampler_merge(sonde_row_sampler *into, const sonde_row_sampler *from);

/* Goes to the beginning of a pass (0 = the first). For endless streams, passes are independent streams.
 * INVALID_ARGUMENT for a negative one. Class S. Since 1.0. */
SONDE_API sonde_status sonde_row_sampler_seek(sonde_row_sampler *sampler, int64_t pass);

/* true once it can be drawn from. Class A. Since 1.0. */
SONDE_API bool sonde_row_sampler_fitted(const sonde_row_sampler *sampler);

/* Columns of the vectors it sees, 0 while not known and for NULL. Class A. Since 1.0. */
SONDE_API int64_t sonde_row_sampler_dim(const sonde_row_sampler *sampler);

/* The full spec with every default filled in. Lives as long as the handle. Class A. Since 1.0. */
SONDE_API const char *sonde_row_sampler_spec(const sonde_row_sampler *sampler);

/* Writes one file, atomically, with the place in the pass, so that what is opened goes on with the next draw. An
 * attached index is not part of it. Class A. Since 1.0. */
SONDE_API sonde_status sonde_row_sampler_save(const sonde_row_sampler *sampler, const char *path);
SONDE_API sonde_status sonde_row_sampler_open(const char *path, const sonde_open_options *options,
                                              sonde_runtime *runtime, sonde_row_sampler **sampler);

/* The same bytes in memory, as sonde_index_save_buffer and sonde_index_open_buffer do it. Class A. Since 1.0. */
SONDE_API sonde_status sonde_row_sampler_save_buffer(const sonde_row_sampler *sampler, void *buffer, size_t capacity,
                                                     size_t *length);
SONDE_API sonde_status sonde_row_sampler_open_buffer(const void *buffer, size_t length,
                                                     const sonde_open_options *options, sonde_runtime *runtime,
                                                     sonde_row_sampler **sampler);

/* Class C. Since 1.0. */
SONDE_API void sonde_row_sampler_free(sonde_row_sampler *sampler);

#ifdef __cplusplus
}
#endif

#endif
