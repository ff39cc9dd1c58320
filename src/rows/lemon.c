/* lemon.c: corrupted triples for knowledge graph embeddings, drawn among entities that text places near the
 * replaced one.
 *
 * A negative of a known triple (head, relation, tail) replaces its head or its tail. An entity at random is
 * mostly absurd and teaches little; one of the same cluster of text embeddings is plausible. So entities are
 * clustered once, and a draw picks head or tail with chance 1/2, then an entity of the replaced one's
 * cluster, each with the same chance:
 *
 *   triples, table   the known ones, and a hash table of their numbers
 *   members, begin   entities by cluster, and where each cluster begins
 *
 * Known triples are never drawn, nor is the replaced entity itself. Where the cluster has no other entity
 * that would do (a cluster of one, above all), all entities serve; where none does, the other side is
 * replaced; where nothing is possible at all, the id is -1. With chance `mix` all entities serve from the
 * start.
 *
 * A plain draw gives one corruption for each of the fitted triples in turn, over and over; draw_for gives
 * `count` corruptions for each of the given triples. Ids are the replacing entities, groups the row in the
 * batch (or among the fitted triples), and the output "triples" has the corrupted triples. The stream is
 * endless.
 *
 * Source: Rony et al., "LEMON: LanguagE ModeL for Negative Sampling of Knowledge Graph Embeddings", 2022.
 * Cost: one k-means to fit (pca > 0: after a projection on so many components); O(1) a row where few
 * candidates are known triples, else O(entities). 8 bytes an entity and about 40 a known triple.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdio.h>

#include "linalg/linalg.h"
#include "rows/rows.h"

enum { LEMON_STREAM = 0x6c31, LEMON_GRAIN = 256, LEMON_TRIES = 24 };
enum { LEMON_HEAD = 0, LEMON_RELATION = 1, LEMON_TAIL = 2, LEMON_PARTS = 3 };

#define LEMON_FREE UINT32_MAX

struct lemon_graph {
    int64_t entities, clusters, count; /* count: known triples */
    int32_t *cluster;                  /* of each entity */
    uint32_t *members;                 /* entities, by cluster */
    int64_t *begin;                    /* clusters + 1 */
    int64_t *triples;                  /* count x 3 */
    uint32_t *table;                   /* open hash table of triple numbers, at most half full */
    uint64_t mask;
};

static void lemon_forget(sonde_runtime *runtime, struct lemon_graph *graph)
{
    if (!graph) return;
    sonde__free(runtime, graph->cluster);
    sonde__free(runtime, graph->members);
    sonde__free(runtime, graph->begin);
    sonde__free(runtime, graph->triples);
    sonde__free(runtime, graph->table);
    sonde__free(runtime, graph);
}

static void lemon_drop(sonde_row_sampler *sampler) { lemon_forget(sampler->runtime, sampler->state); }

static sonde_status lemon_create(sonde_row_sampler *sampler)
{
    sampler->batch = sonde__param_int(sampler->params, "batch");
    return SONDE_OK;
}

/* ---- known triples ------------------------------------------------------------------------------------- */

static uint64_t lemon_hash(const int64_t *triple)
{
    uint64_t mixed = 0;
    for (int part = 0; part < LEMON_PARTS; part++) {
        mixed = (mixed ^ (uint64_t)triple[part]) * 0x9e3779b97f4a7c15u;
        mixed ^= mixed >> 29;
    }
    return mixed * 0xbf58476d1ce4e5b9u >> 20;
}

/* The place of the triple, or the free one where it belongs. */
static uint64_t lemon_place(const struct lemon_graph *graph, const int64_t *triple)
{
    uint64_t at = lemon_hash(triple) & graph->mask;
    while (graph->table[at] != LEMON_FREE && memcmp(graph->triples + LEMON_PARTS * (int64_t)graph->table[at],
                                                    triple, LEMON_PARTS * sizeof *triple) != 0)
        at = (at + 1) & graph->mask;
    return at;
}

static bool lemon_known(const struct lemon_graph *graph, const int64_t *triple)
{
    return graph->table[lemon_place(graph, triple)] != LEMON_FREE;
}

static sonde_status lemon_index_triples(sonde_runtime *runtime, struct lemon_graph *graph)
{
    uint64_t size = 4;
    while (size < 2 * (uint64_t)graph->count) size *= 2;
    SONDE_TRY(SONDE_NEW(runtime, graph->table, size));
    memset(graph->table, 0xff, size * sizeof *graph->table);
    graph->mask = size - 1;
    for (int64_t i = 0; i < graph->count; i++) {
        if (i % 65536 == 0) SONDE_TRY(sonde__poll(runtime, "triples", (uint64_t)i, (uint64_t)graph->count));
        graph->table[lemon_place(graph, graph->triples + LEMON_PARTS * i)] = (uint32_t)i;
    }
    return SONDE_OK;
}

static sonde_status lemon_check_triples(const int64_t *triples, int64_t count, int64_t entities,
                                        sonde_status wrong)
{
    for (int64_t i = 0; i < LEMON_PARTS * count; i++) {
        int64_t most = i % LEMON_PARTS == LEMON_RELATION ? INT64_MAX : entities - 1;
        if (triples[i] < 0 || triples[i] > most)
            return sonde__fail(wrong, "triples: row %lld holds the %s %lld, outside 0..%lld",
                               (long long)(i / LEMON_PARTS),
                               i % LEMON_PARTS == LEMON_RELATION ? "relation" : "entity",
                               (long long)triples[i], (long long)most);
    }
    return SONDE_OK;
}

/* Copies and checks an input of triples. */
static sonde_status lemon_take_triples(sonde_runtime *runtime, const sonde_array *array, int64_t entities,
                                       int64_t **triples)
{
    sonde_array view;
    SONDE_TRY(sonde__array_check(array, "triples", LEMON_PARTS, SONDE__DTYPE_BIT(SONDE_DTYPE_I64), &view));
    if (view.rows < 1 || view.rows >= SONDE__ROWS_MOST)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "triples has %lld rows, expected 1..%lld",
                           (long long)view.rows, (long long)SONDE__ROWS_MOST - 1);
    SONDE_TRY(SONDE_NEW(runtime, *triples, LEMON_PARTS * view.rows));
    for (int64_t i = 0; i < view.rows; i++)
        memcpy(*triples + LEMON_PARTS * i, sonde__array_row(&view, i), LEMON_PARTS * sizeof **triples);
    return lemon_check_triples(*triples, view.rows, entities, SONDE_INVALID_ARGUMENT);
}

/* ---- clusters ------------------------------------------------------------------------------------------ */

/* Entities by cluster, by counting. */
static sonde_status lemon_group(sonde_runtime *runtime, struct lemon_graph *graph)
{
    SONDE_TRY(SONDE_NEW(runtime, graph->members, graph->entities));
    SONDE_TRY(SONDE_NEW_ZERO(runtime, graph->begin, graph->clusters + 2));
    int64_t *next = graph->begin + 1; /* becomes begin once every entity has its place */
    for (int64_t i = 0; i < graph->entities; i++) next[graph->cluster[i] + 1]++;
    for (int64_t c = 0; c < graph->clusters; c++) next[c + 1] += next[c];
    for (int64_t i = 0; i < graph->entities; i++) graph->members[next[graph->cluster[i]]++] = (uint32_t)i;
    return SONDE_OK;
}

/* Principal components replace the rows; *dim becomes fewer. */
static sonde_status lemon_project(sonde_runtime *runtime, float **x, int64_t n, int64_t *dim,
                                  int64_t components)
{
    char spec[64];
    sonde_transform *pca = NULL;
    float *projected = NULL;
    snprintf(spec, sizeof spec, "pca(dim=%lld)", (long long)components);
    sonde_array rows = sonde_f32(*x, n, *dim);
    sonde_input input = {"vectors", &rows};
    sonde_status status = sonde_transform_create(spec, *dim, runtime, &pca);
    if (status == SONDE_OK) status = sonde_transform_train(pca, &input, 1);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, projected, n * components);
    if (status == SONDE_OK) {
        sonde_array out = sonde_f32(projected, n, components);
        status = sonde_transform_apply(pca, &rows, &out);
    }
    sonde_transform_free(pca);
    if (status != SONDE_OK) {
        sonde__free(runtime, projected);
        return status;
    }
    sonde__free(runtime, *x);
    *x = projected;
    *dim = components;
    return SONDE_OK;
}

/* Rows of length 1; zero rows stay zero. */
static void lemon_scale(float *x, int64_t n, int64_t dim)
{
    for (int64_t i = 0; i < n; i++) {
        float length = sqrtf(sonde__kernels_get()->norm2(x + i * dim, dim));
        for (int64_t j = 0; length > 0 && j < dim; j++) x[i * dim + j] /= length;
    }
}

static sonde_status lemon_kmeans(const sonde_row_sampler *sampler, const float *x, int64_t dim,
                                 struct lemon_graph *graph)
{
    bool spherical = sonde__param_is(sampler->params, "metric", "cosine");
    sonde_runtime *runtime = sampler->runtime;
    sonde__kmeans_options options = {.k = graph->clusters,
                                     .seed = sampler->seed,
                                     .start = SONDE__START_PLUSPLUS,
                                     .iterations = (int)sonde__param_int(sampler->params, "iters"),
                                     .spherical = spherical,
                                     .stage = "clusters"};
    float *centroids;
    SONDE_TRY(SONDE_NEW(runtime, centroids, graph->clusters * dim));
    sonde_status status = sonde__kmeans(runtime, x, dim, graph->entities, dim, &options, centroids, NULL);
    if (status == SONDE_OK)
        status = sonde__assign(runtime, 0, x, dim, graph->entities, dim, centroids, graph->clusters,
                               spherical, graph->cluster, NULL);
    sonde__free(runtime, centroids);
    return status;
}

static sonde_status lemon_embed(const sonde_row_sampler *sampler, const sonde_array *array,
                                struct lemon_graph *graph)
{
    sonde_runtime *runtime = sampler->runtime;
    int64_t dim = array->cols, components = sonde__param_int(sampler->params, "pca");
    int64_t clusters = sonde__param_int(sampler->params, "clusters");
    float *x = NULL;
    if (components > dim)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "pca=%lld is more than the %lld columns of embeddings",
                           (long long)components, (long long)dim);
    graph->entities = array->rows;
    if (clusters == 0) clusters = llround(sqrt((double)graph->entities)); /* auto */
    graph->clusters = sonde__min_i64(clusters, graph->entities);
    SONDE_TRY(SONDE_NEW(runtime, graph->cluster, graph->entities));
    sonde_status status = sonde__matrix_f32(runtime, array, "embeddings", -1, 0, &x);
    if (status == SONDE_OK && components)
        status = lemon_project(runtime, &x, graph->entities, &dim, components);
    if (status == SONDE_OK) {
        if (sonde__param_is(sampler->params, "metric", "cosine")) lemon_scale(x, graph->entities, dim);
        status = lemon_kmeans(sampler, x, dim, graph);
    }
    sonde__free(runtime, x);
    return status;
}

/* Takes the clusters that the caller made. */
static sonde_status lemon_assign(const sonde_row_sampler *sampler, const sonde_array *array,
                                 struct lemon_graph *graph)
{
    int64_t *labels;
    SONDE_TRY(sonde__column_i64(sampler->runtime, array, "assignment", -1, 0, array->rows - 1, &labels));
    graph->entities = graph->clusters = array->rows;
    sonde_status status = SONDE_NEW(sampler->runtime, graph->cluster, graph->entities);
    for (int64_t i = 0; status == SONDE_OK && i < graph->entities; i++)
        graph->cluster[i] = (int32_t)labels[i];
    sonde__free(sampler->runtime, labels);
    return status;
}

/* ---- fitting ------------------------------------------------------------------------------------------- */

#define LEMON_ENTITIES_MOST ((int64_t)INT32_MAX)

static sonde_status lemon_check_fit(const sonde_row_sampler *sampler, const sonde_array *embeddings,
                                    const sonde_array *assignment)
{
    if (!embeddings == !assignment)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "lemon takes either embeddings or assignment");
    int64_t rows = embeddings ? embeddings->rows : assignment->rows;
    if (rows < 1 || rows > LEMON_ENTITIES_MOST)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "%s has %lld rows, expected 1..%lld",
                           embeddings ? "embeddings" : "assignment", (long long)rows,
                           (long long)LEMON_ENTITIES_MOST);
    if (embeddings && sampler->dim && embeddings->cols != sampler->dim)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "embeddings has %lld columns, the sampler was made for %lld",
                           (long long)embeddings->cols, (long long)sampler->dim);
    if (embeddings && embeddings->cols > SONDE__MAX_DIM)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "embeddings has %lld columns, at most %d are taken",
                           (long long)embeddings->cols, SONDE__MAX_DIM);
    return SONDE_OK;
}

static sonde_status lemon_build(const sonde_row_sampler *sampler, const sonde_array *const *inputs,
                                struct lemon_graph *graph)
{
    const sonde_array *embeddings = inputs[sonde__rows_input(sampler, "fit", "embeddings")];
    const sonde_array *assignment = inputs[sonde__rows_input(sampler, "fit", "assignment")];
    const sonde_array *triples = inputs[sonde__rows_input(sampler, "fit", "triples")];
    SONDE_TRY(lemon_check_fit(sampler, embeddings, assignment));
    graph->count = triples->rows;
    SONDE_TRY(lemon_take_triples(sampler->runtime, triples, (embeddings ? embeddings : assignment)->rows,
                                 &graph->triples));
    SONDE_TRY(embeddings ? lemon_embed(sampler, embeddings, graph)
                         : lemon_assign(sampler, assignment, graph));
    SONDE_TRY(lemon_group(sampler->runtime, graph));
    return lemon_index_triples(sampler->runtime, graph);
}

static sonde_status lemon_fit(sonde_row_sampler *sampler, const sonde_array *const *inputs)
{
    const sonde_array *embeddings = inputs[sonde__rows_input(sampler, "fit", "embeddings")];
    struct lemon_graph *graph;
    SONDE_TRY(SONDE_NEW_ZERO(sampler->runtime, graph, 1));
    sonde_status status = lemon_build(sampler, inputs, graph);
    if (status != SONDE_OK) {
        lemon_forget(sampler->runtime, graph);
        return sonde__fail_within(status, "fit");
    }
    lemon_forget(sampler->runtime, sampler->state);
    sampler->state = graph;
    if (embeddings) sampler->dim = embeddings->cols;
    return SONDE_OK;
}

/* ---- one corruption ------------------------------------------------------------------------------------ */

/* Candidates for a replacement: the members of a cluster, or (members NULL) all entities. */
struct lemon_pool {
    const uint32_t *members;
    int64_t count;
};

static struct lemon_pool lemon_cluster_of(const struct lemon_graph *graph, int64_t entity)
{
    int32_t cluster = graph->cluster[entity];
    return (struct lemon_pool){graph->members + graph->begin[cluster],
                               graph->begin[cluster + 1] - graph->begin[cluster]};
}

/* Puts candidate `at` into the triple; whether that makes an unknown one. */
static bool lemon_try(const struct lemon_graph *graph, struct lemon_pool pool, int64_t at, int side,
                      int64_t replaced, int64_t *triple)
{
    triple[side] = pool.members ? pool.members[at] : at;
    return triple[side] != replaced && !lemon_known(graph, triple);
}

/* Tries a few at random, then counts those that would do and takes one of them: either way each has the
 * same chance. False, and the triple as it was, if none does. */
static bool lemon_replace(const struct lemon_graph *graph, struct lemon_pool pool, int side, sonde__rng *rng,
                          int64_t *triple)
{
    int64_t replaced = triple[side], fit = 0;
    if (pool.count < 2) return false;
    for (int i = 0; i < LEMON_TRIES; i++) {
        int64_t at = (int64_t)sonde__rng_below(rng, (uint64_t)pool.count);
        if (lemon_try(graph, pool, at, side, replaced, triple)) return true;
    }
    for (int64_t at = 0; at < pool.count; at++) fit += lemon_try(graph, pool, at, side, replaced, triple);
    int64_t wanted = fit ? (int64_t)sonde__rng_below(rng, (uint64_t)fit) : -1;
    for (int64_t at = 0; wanted >= 0; at++) wanted -= lemon_try(graph, pool, at, side, replaced, triple);
    if (fit == 0) triple[side] = replaced;
    return fit > 0;
}

/* Corrupts a triple in place; the replacing entity, or -1. */
static int64_t lemon_corrupt(const struct lemon_graph *graph, double mix, sonde__rng *rng, int64_t *triple)
{
    struct lemon_pool all = {NULL, graph->entities};
    int side = sonde__rng_below(rng, 2) ? LEMON_TAIL : LEMON_HEAD, other = LEMON_HEAD + LEMON_TAIL - side;
    bool wide = mix > 0 && sonde__rng_unit(rng) < mix;
    if (!wide && lemon_replace(graph, lemon_cluster_of(graph, triple[side]), side, rng, triple))
        return triple[side];
    if (lemon_replace(graph, all, side, rng, triple)) return triple[side];
    return lemon_replace(graph, all, other, rng, triple) ? triple[other] : -1;
}

/* ---- drawing ------------------------------------------------------------------------------------------- */

struct lemon_work {
    sonde_row_sampler *sampler;
    const int64_t *batch; /* the triples to corrupt; NULL: the fitted ones in turn */
    int64_t each;         /* corruptions of each */
    double mix;
    int64_t *triples;
};

static sonde_status lemon_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const struct lemon_work *work = context;
    sonde_row_sampler *sampler = work->sampler;
    const struct lemon_graph *graph = sampler->state;
    sonde__rng rng;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int64_t place = sampler->place + i, group = work->batch ? i / work->each : place % graph->count;
        int64_t *triple = work->triples + LEMON_PARTS * i;
        memcpy(triple, (work->batch ? work->batch : graph->triples) + LEMON_PARTS * group,
               LEMON_PARTS * sizeof *triple);
        sonde__rows_rng(sampler, sampler->pass, LEMON_STREAM, (uint64_t)place, &rng);
        sampler->drawn.groups[i] = group;
        sampler->drawn.ids[i] = lemon_corrupt(graph, work->mix, &rng, triple);
        if (sampler->drawn.ids[i] < 0)
            for (int part = 0; part < LEMON_PARTS; part++) triple[part] = -1;
    }
    return SONDE_OK;
}

static sonde_status lemon_fill(sonde_row_sampler *sampler, const int64_t *batch, int64_t each, int64_t count)
{
    struct lemon_work work = {sampler, batch, each, sonde__param_real(sampler->params, "mix"), NULL};
    SONDE_TRY(sonde__rows_begin(sampler, count, true));
    SONDE_TRY(sonde__rows_column(sampler, "triples", count, LEMON_PARTS, &work.triples));
    return sonde__parallel_for(sampler->runtime, 0, count, LEMON_GRAIN, "corruptions", lemon_chunk, &work);
}

static sonde_status lemon_draw(sonde_row_sampler *sampler, const sonde_array *const *inputs, int64_t count)
{
    const struct lemon_graph *graph = sampler->state;
    int64_t *batch = NULL;
    if (!inputs) return lemon_fill(sampler, NULL, 1, count);
    const sonde_array *triples = inputs[sonde__rows_input(sampler, "draw", "triples")];
    sonde_status status = lemon_take_triples(sampler->runtime, triples, graph->entities, &batch);
    if (status == SONDE_OK && triples->rows > SONDE__ROWS_MOST / count)
        status = sonde__fail(SONDE_LIMIT, "%lld corruptions of %lld triples are more than %lld rows",
                             (long long)count, (long long)triples->rows, (long long)SONDE__ROWS_MOST);
    if (status == SONDE_OK) status = lemon_fill(sampler, batch, count, count * triples->rows);
    sonde__free(sampler->runtime, batch);
    return status == SONDE_OK ? SONDE_OK : sonde__fail_within(status, "draw_for");
}

/* ---- files --------------------------------------------------------------------------------------------- */

static sonde_status lemon_save(const sonde_row_sampler *sampler, sonde__writer *writer)
{
    const struct lemon_graph *graph = sampler->state;
    SONDE_TRY(sonde__write_int(writer, "entities", graph->entities));
    SONDE_TRY(sonde__write_int(writer, "clusters", graph->clusters));
    SONDE_TRY(sonde__write_int(writer, "triples", graph->count));
    SONDE_TRY(
        sonde__write_array(writer, "CLUSTER", graph->cluster, (uint64_t)graph->entities, sizeof(int32_t)));
    return sonde__write_array(writer, "TRIPLES", graph->triples, LEMON_PARTS * (uint64_t)graph->count,
                              sizeof(int64_t));
}

static sonde_status lemon_read_clusters(sonde_runtime *runtime, sonde__reader *reader,
                                        struct lemon_graph *graph)
{
    sonde__blob blob;
    SONDE_TRY(sonde__read_array(reader, "CLUSTER", (uint64_t)graph->entities, sizeof(int32_t), true, &blob));
    sonde_status status = SONDE_NEW(runtime, graph->cluster, graph->entities);
    if (status == SONDE_OK) memcpy(graph->cluster, blob.data, (size_t)graph->entities * sizeof(int32_t));
    sonde__blob_free(runtime, &blob);
    for (int64_t i = 0; status == SONDE_OK && i < graph->entities; i++)
        if (graph->cluster[i] < 0 || graph->cluster[i] >= graph->clusters)
            status = sonde__fail(SONDE_CORRUPT, "section \"CLUSTER\": entity %lld is in cluster %d of %lld",
                                 (long long)i, (int)graph->cluster[i], (long long)graph->clusters);
    return status;
}

static sonde_status lemon_read(sonde_runtime *runtime, sonde__reader *reader, struct lemon_graph *graph)
{
    SONDE_TRY(sonde__read_int(reader, "entities", 1, LEMON_ENTITIES_MOST, &graph->entities));
    SONDE_TRY(sonde__read_int(reader, "clusters", 1, graph->entities, &graph->clusters));
    SONDE_TRY(sonde__read_int(reader, "triples", 1, SONDE__ROWS_MOST - 1, &graph->count));
    SONDE_TRY(lemon_read_clusters(runtime, reader, graph));
    SONDE_TRY(sonde__numbers_read(runtime, reader, "TRIPLES", LEMON_PARTS * graph->count, 0, INT64_MAX,
                                  &graph->triples));
    SONDE_TRY(lemon_check_triples(graph->triples, graph->count, graph->entities, SONDE_CORRUPT));
    SONDE_TRY(lemon_group(runtime, graph));
    return lemon_index_triples(runtime, graph);
}

static sonde_status lemon_load(sonde_row_sampler *sampler, sonde__reader *reader)
{
    struct lemon_graph *graph;
    SONDE_TRY(SONDE_NEW_ZERO(sampler->runtime, graph, 1));
    sonde_status status = lemon_read(sampler->runtime, reader, graph);
    if (status == SONDE_OK) sampler->state = graph;
    else lemon_forget(sampler->runtime, graph);
    return status;
}

static const sonde__key lemon_keys[] = {
    {"clusters", SONDE__KEY_INT, "auto", 1, 1e7, "auto", NULL,
     "clusters of entities, at most one each; auto: the root of their number"},
    {"metric", SONDE__KEY_WORD, "l2", 0, 0, "l2|cosine", NULL, "of the clustering"},
    {"iters", SONDE__KEY_INT, "20", 1, 10000, NULL, NULL, "most rounds of k-means"},
    {"pca", SONDE__KEY_INT, "0", 0, SONDE__MAX_DIM, NULL, NULL,
     "cluster on so many principal components; 0: on all"},
    {"mix", SONDE__KEY_REAL, "0", 0, 1, NULL, NULL, "share of corruptions by any entity"},
    {"batch", SONDE__KEY_INT, "1", 1, 4294967295.0, NULL, NULL,
     "rows of a draw that does not say how many, or corruptions of each given triple"},
    {0},
};

#define LEMON_IDS (SONDE__DTYPE_BIT(SONDE_DTYPE_I64) | SONDE__DTYPE_BIT(SONDE_DTYPE_I32))

static const sonde__input_key lemon_inputs[] = {
    {"embeddings", "entities x dim", SONDE__DTYPES_NUMERIC, false, "text embeddings of the entities", "fit"},
    {"assignment", "entities x 1", LEMON_IDS, false,
     "instead of embeddings: the cluster of each entity, below entities", "fit"},
    {"triples", "m x 3", SONDE__DTYPE_BIT(SONDE_DTYPE_I64), true, "known head, relation, tail", "fit"},
    {"triples", "b x 3", SONDE__DTYPE_BIT(SONDE_DTYPE_I64), true, "the triples to corrupt", "draw"},
    {0},
};

static const sonde__output_key lemon_outputs[] = {
    {"triples", "rows x 3", SONDE_DTYPE_I64, "the corrupted triples; -1 where nothing could be replaced"},
    {0},
};

const sonde__row_method sonde__row_sampler_lemon = {
    .method = {"lemon",
               "corrupted triples by entities of the same cluster of text embeddings, never a known one",
               "Rony et al., 2022", lemon_keys, lemon_inputs, NULL, lemon_outputs},
    .create = lemon_create,
    .fit = lemon_fit,
    .draw = lemon_draw,
    .save = lemon_save,
    .load = lemon_load,
    .drop = lemon_drop,
};
