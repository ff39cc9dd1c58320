/* row_inputs.h: data for the inputs of every row sampler, found by the names in its table: 40 queries (or rows, or
 * entities), 60 documents, vectors of 8 columns. For tests that walk over all methods.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_TEST_ROW_INPUTS_H
#define SONDE_TEST_ROW_INPUTS_H

#include "test.h"

enum { ROW_INPUTS_MOST = 12, ROW_ROWS = 40, ROW_DOCUMENTS = 60, ROW_PAIRS = 400, ROW_BATCH = 12, ROW_DIM = 8 };

typedef struct row_inputs {
    sonde_input list[ROW_INPUTS_MOST];
    sonde_array arrays[ROW_INPUTS_MOST];
    int count;
    bool required; /* the verb cannot do without these */
} row_inputs;

/* What is given where the table leaves a choice; elsewhere it is what the table requires. */
static const struct { const char *method, *verb, *names; } row_choices[] = {
    {"tas_balanced", "fit", "queries pair_queries pair_positives pair_negatives teacher_positives teacher_negatives"},
    {"star", "fit", "queries positives documents"},
    {"adore", "fit", "queries positives documents"},
    {"ar2", "fit", "queries positives documents"},
    {"cet", "draw", "logits selection_logits labels group_offsets"},
    {"mnar", "fit", "counts"},
    {"lemon", "fit", "embeddings triples"},
    {"sracl", "draw", "queries"},
};

static inline bool row_input_wanted(const char *method, const sonde_input_info *info)
{
    for (size_t i = 0; i < sizeof row_choices / sizeof *row_choices; i++) {
        if (strcmp(row_choices[i].method, method) != 0 || strcmp(row_choices[i].verb, info->verb) != 0) continue;
        const char *found = strstr(row_choices[i].names, info->name);
        size_t length = strlen(info->name);
        return found && (found == row_choices[i].names || found[-1] == ' ') && strchr(" ", found[length]);
    }
    return info->required;
}

/* Whole numbers from 0 to below - 1, by a formula: i64. */
static inline sonde_array row_numbers(int64_t rows, int64_t cols, int64_t below, int64_t step)
{
    int64_t *x = test_alloc((size_t)(rows * cols), sizeof *x);
    for (int64_t i = 0; i < rows * cols; i++) x[i] = (i * step + i / 7) % below;
    return sonde_i64(x, rows, cols);
}

static inline sonde_array row_reals(int64_t rows, int64_t cols, uint64_t seed)
{
    return sonde_f32(test_vectors(rows, cols, cols > 1 ? 5 : 0, seed), rows, cols);
}

static inline sonde_array row_positive_reals(int64_t rows, float total)
{
    sonde_array made = row_reals(rows, 1, 9);
    float *x = made.data, sum = 0;
    for (int64_t i = 0; i < rows; i++) sum += x[i] = 0.1f + x[i] * x[i];
    for (int64_t i = 0; total > 0 && i < rows; i++) x[i] *= total / sum;
    return made;
}

/* Two documents a query, of which the second may be missing. */
static inline sonde_array row_positives(void)
{
    sonde_array made = row_numbers(ROW_ROWS, 2, ROW_DOCUMENTS, 7);
    for (int64_t i = 0; i < ROW_ROWS; i += 3) ((int64_t *)made.data)[2 * i + 1] = -1;
    return made;
}

/* A ranking of thirty different documents for each query. */
static inline sonde_array row_lists(void)
{
    int64_t *x = test_alloc(ROW_ROWS * 30, sizeof *x);
    for (int64_t i = 0; i < ROW_ROWS; i++)
        for (int64_t j = 0; j < 30; j++) x[i * 30 + j] = (i * 3 + j * 7) % ROW_DOCUMENTS;
    return sonde_i64(x, ROW_ROWS, 30);
}

/* Every fourth row of a batch is labelled. */
static inline sonde_array row_labels(void)
{
    sonde_array made = row_numbers(ROW_BATCH, 1, 1, 0);
    for (int64_t i = 0; i < ROW_BATCH; i += 4) ((int64_t *)made.data)[i] = 1;
    return made;
}

static inline sonde_array row_offsets(void)
{
    sonde_array made = row_numbers(ROW_BATCH / 4 + 1, 1, 100, 1);
    for (int64_t i = 0; i <= ROW_BATCH / 4; i++) ((int64_t *)made.data)[i] = 4 * i;
    return made;
}

static inline sonde_array row_triples(void)
{
    sonde_array made = row_numbers(ROW_DOCUMENTS, 3, ROW_ROWS, 11);
    for (int64_t i = 0; i < ROW_DOCUMENTS; i++) ((int64_t *)made.data)[3 * i + 1] %= 3;
    return made;
}

static inline sonde_array row_ids(void)
{
    sonde_array made = row_numbers(ROW_ROWS, 1, 1, 0);
    for (int64_t i = 0; i < ROW_ROWS; i++) ((int64_t *)made.data)[i] = 10 + 3 * i;
    return made;
}

static inline sonde_array row_lengths(void)
{
    sonde_array made = row_numbers(ROW_ROWS, 1, 50, 13);
    for (int64_t i = 0; i < ROW_ROWS; i++) ((int64_t *)made.data)[i]++;
    return made;
}

static inline sonde_array row_input_data(const char *method, const sonde_input_info *info)
{
    const char *name = info->name;
    bool column = strstr(info->shape, "x 1") && !strstr(info->shape, "or");
#define NAMED(x) if (strcmp(name, x) == 0)
    NAMED("ids") return row_ids();
    NAMED("weights") return row_positive_reals(ROW_ROWS, 0);
    NAMED("groups") return row_numbers(ROW_ROWS, 1, 5, 3);
    NAMED("lengths") return row_lengths();
    NAMED("queries") return column ? row_numbers(5, 1, ROW_ROWS, 9) : row_reals(ROW_ROWS, ROW_DIM, 1);
    NAMED("documents") return row_reals(ROW_DOCUMENTS, ROW_DIM, 2);
    NAMED("embeddings") return row_reals(ROW_ROWS, ROW_DIM, 3);
    NAMED("positives") return row_positives();
    NAMED("lists") return row_lists();
    NAMED("pair_queries") return row_numbers(ROW_PAIRS, 1, ROW_ROWS, 1);
    NAMED("pair_positives") return row_numbers(ROW_PAIRS, 1, ROW_DOCUMENTS, 7);
    NAMED("pair_negatives") return row_numbers(ROW_PAIRS, 1, ROW_DOCUMENTS, 11);
    NAMED("teacher_positives") return row_reals(ROW_PAIRS, 1, 4);
    NAMED("teacher_negatives") return row_reals(ROW_PAIRS, 1, 5);
    NAMED("labels") return row_labels();
    NAMED("group_offsets") return row_offsets();
    NAMED("logits") return row_reals(ROW_BATCH, 1, 6);
    NAMED("selection_logits") return row_reals(ROW_BATCH, 1, 7);
    NAMED("flip_logits") return row_reals(ROW_BATCH, 1, 8);
    NAMED("items") return row_numbers(ROW_BATCH, 1, 10, 3);
    NAMED("counts") return row_numbers(10, 1, 30, 7);
    NAMED("triples") return row_triples();
    NAMED("policy") return row_positive_reals(4, 1);
#undef NAMED
    fail_msg("test/row_inputs.h has no data for the input '%s' of %s", name, method);
    return (sonde_array){0};
}

/* The inputs of a verb. */
static inline void row_inputs_make(const char *method, const char *verb, row_inputs *made)
{
    sonde_input_info info = SONDE_INPUT_INFO_INIT;
    *made = (row_inputs){.count = 0};
    for (uint32_t i = 0; sonde_input_at("row_sampler", method, i, &info) == SONDE_OK; i++) {
        if (strcmp(info.verb, verb) != 0 || !row_input_wanted(method, &info)) continue;
        assert_true(made->count < ROW_INPUTS_MOST);
        made->arrays[made->count] = row_input_data(method, &info);
        made->list[made->count] = (sonde_input){info.name, &made->arrays[made->count]};
        made->count++;
        made->required = true;
    }
}

static inline void row_inputs_drop(row_inputs *made)
{
    for (int i = 0; i < made->count; i++) free(made->arrays[i].data);
    made->count = 0;
}

#endif
