/* idtree.c: document ids from hierarchical k-means: the path of a row through a tree of clusters, then its
 * place in the leaf. (Tay et al., DSI: Transformer Memory as a Differentiable Search Index, 2022.)
 *
 * Rows are cut into `branch` groups; a group of more than `leaf` rows is cut again. The sequence of a row of
 * training is the number of its group at each level, and at last its number among the rows of its leaf, in
 * their order; sequences differ in length and are padded with -1. balance=capacity makes the groups of each
 * cut equal in size up to one row.
 *
 *     nodes are numbered level by level, the root is 0; the children of a node are neighbours
 *     code: the number of a leaf, 4 bytes, the lowest first; the output "paths" has its digits
 *
 * A new row goes to the nearest child at each node. Rows that no clustering can tell apart, or that lie
 * deeper than IDTREE_DEEPEST, are cut in their order, so that the depth is bounded.
 *
 * Cost: training n branch dim depth multiply-adds an iteration; encoding branch dim depth a row.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/handle.h"
#include "kernels/blocks.h"
#include "linalg/linalg.h"
#include "quantizers/quantizer.h"

enum {
    IDTREE_DEEPEST = 24,    /* levels that are clusterings */
    IDTREE_DEPTH_MOST = 64, /* levels at all: the rest halves at least, and there are fewer than 2^40 rows */
    IDTREE_CODE_BYTES = 4
};
enum { IDTREE_SEQUENCES = 0, IDTREE_PATHS };

struct idtree_shape {
    int64_t nodes, depth; /* depth: levels below the root */
    int32_t *children;    /* of each node; 0: it is a leaf */
    int32_t *first;       /* the first of them */
    float *centroids;     /* nodes x dim */
    int32_t *paths;       /* nodes x depth, padded with -1 */
    int32_t *sequences;   /* rows x (depth + 1), padded with -1; not in files */
    int64_t rows;
};

static void idtree_end(sonde_runtime *runtime, struct idtree_shape *tree)
{
    sonde__free(runtime, tree->children);
    sonde__free(runtime, tree->first);
    sonde__free(runtime, tree->centroids);
    sonde__free(runtime, tree->paths);
    sonde__free(runtime, tree->sequences);
}

static sonde_status idtree_create(sonde_quantizer *quantizer)
{
    struct idtree_shape *tree;
    SONDE_TRY(SONDE_NEW_ZERO(quantizer->runtime, tree, 1));
    quantizer->state = tree;
    quantizer->code_bytes = IDTREE_CODE_BYTES;
    quantizer->min_rows = 1;
    return SONDE_OK;
}

/* ---- paths ----------------------------------------------------------------------------------------------------- */

/* From the numbers of children: where they begin, and how deep the tree is. level has room for `nodes`.
 * CORRUPT where they make no tree, which only a file can cause. */
static sonde_status idtree_link(struct idtree_shape *tree, int64_t branch, int32_t *level)
{
    int64_t next = 1;
    level[0] = 0;
    tree->depth = 0;
    for (int64_t i = 0; i < tree->nodes; i++) {
        int64_t count = tree->children[i];
        bool possible = count == 0 || (count >= 2 && count <= branch && count <= tree->nodes - next);
        if (!possible || i >= next || (count > 0 && level[i] >= IDTREE_DEPTH_MOST))
            return sonde__fail(SONDE_CORRUPT, "section \"CHILDREN\": node %lld has %lld children",
                               (long long)i, (long long)count);
        tree->first[i] = (int32_t)next;
        for (int64_t c = 0; c < count; c++) level[next + c] = level[i] + 1;
        if (count > 0) tree->depth = sonde__max_i64(tree->depth, level[i] + 1);
        next += count;
    }
    if (next != tree->nodes)
        return sonde__fail(SONDE_CORRUPT, "section \"CHILDREN\": nodes without a parent");
    return SONDE_OK;
}

/* The path of a child is that of its parent and its digit. At least one column, so that a view of it can be.
 */
static sonde_status idtree_paths(sonde_runtime *runtime, struct idtree_shape *tree, const int32_t *level)
{
    int64_t width = tree->depth = sonde__max_i64(1, tree->depth);
    SONDE_TRY(SONDE_NEW(runtime, tree->paths, tree->nodes * width));
    memset(tree->paths, -1, (size_t)(tree->nodes * width) * sizeof *tree->paths);
    for (int64_t i = 0; i < tree->nodes; i++)
        for (int32_t c = 0; c < tree->children[i]; c++) {
            int32_t *path = tree->paths + (tree->first[i] + c) * width;
            memcpy(path, tree->paths + i * width, (size_t)level[i] * sizeof *path);
            path[level[i]] = c;
        }
    return SONDE_OK;
}

static sonde_status idtree_finish(sonde_runtime *runtime, struct idtree_shape *tree, int64_t branch)
{
    int32_t *level;
    SONDE_TRY(SONDE_NEW(runtime, level, tree->nodes));
    sonde_status status = idtree_link(tree, branch, level);
    if (status == SONDE_OK) status = idtree_paths(runtime, tree, level);
    sonde__free(runtime, level);
    return status;
}

/* ---- training -------------------------------------------------------------------------------------------------- */

/* A tree while it grows. The rows of node i are order[begin[i] .. end[i]), in ascending order. */
struct idtree_growth {
    const sonde_quantizer *quantizer;
    const sonde__training *training;
    struct idtree_shape *tree;
    int64_t branch, leaf, room; /* room: nodes that the arrays hold */
    int64_t *order, *spare, *begin, *end;
    int32_t *level, *labels;
    float *rows, *found; /* the rows of one node; the centroids of its groups */
};

/* Makes *array longer; the old elements stay. */
static sonde_status idtree_longer(sonde_runtime *runtime, void **array, int64_t count, int64_t wanted,
                                  uint64_t size)
{
    void *more = sonde__alloc(runtime, (uint64_t)wanted, size);
    if (!more) return sonde__last_status();
    if (count > 0) memcpy(more, *array, (size_t)count * size);
    sonde__free(runtime, *array);
    *array = more;
    return SONDE_OK;
}

#define IDTREE_LONGER(runtime, array, count, wanted)                                                         \
    idtree_longer((runtime), (void **)&(array), (count), (wanted), sizeof *(array))

/* Room for `more` nodes. */
static sonde_status idtree_reserve(struct idtree_growth *g, int64_t more)
{
    struct idtree_shape *tree = g->tree;
    sonde_runtime *runtime = g->quantizer->runtime;
    int64_t dim = g->quantizer->dim, nodes = tree->nodes, wanted = sonde__max_i64(2 * g->room, nodes + more);
    if (nodes + more <= g->room) return SONDE_OK;
    if (wanted > INT32_MAX) return sonde__fail(SONDE_LIMIT, "idtree: more than 2^31 nodes");
    SONDE_TRY(IDTREE_LONGER(runtime, tree->children, nodes, wanted));
    SONDE_TRY(IDTREE_LONGER(runtime, tree->first, nodes, wanted));
    SONDE_TRY(IDTREE_LONGER(runtime, tree->centroids, nodes * dim, wanted * dim));
    SONDE_TRY(IDTREE_LONGER(runtime, g->begin, nodes, wanted));
    SONDE_TRY(IDTREE_LONGER(runtime, g->end, nodes, wanted));
    SONDE_TRY(IDTREE_LONGER(runtime, g->level, nodes, wanted));
    g->room = wanted;
    return SONDE_OK;
}

static void idtree_add(struct idtree_growth *g, int64_t begin, int64_t end, int32_t level,
                       const float *centroid)
{
    struct idtree_shape *tree = g->tree;
    int64_t node = tree->nodes++, dim = g->quantizer->dim;
    tree->children[node] = 0;
    g->begin[node] = begin;
    g->end[node] = end;
    g->level[node] = level;
    memcpy(tree->centroids + node * dim, centroid, (size_t)dim * sizeof *centroid);
}

/* Groups of neighbours in the order of rows, all with the centroid of the node. */
static void idtree_cut(struct idtree_growth *g, int64_t node, int64_t k)
{
    int64_t n = g->end[node] - g->begin[node], dim = g->quantizer->dim;
    for (int64_t i = 0; i < n; i++) g->labels[i] = (int32_t)(i * k / n);
    for (int64_t c = 0; c < k; c++)
        memcpy(g->found + c * dim, g->tree->centroids + node * dim, (size_t)dim * sizeof *g->found);
}

static bool idtree_split(const int32_t *labels, int64_t n)
{
    for (int64_t i = 1; i < n; i++)
        if (labels[i] != labels[0]) return true;
    return false;
}

/* labels and found: the k groups of a node's rows. */
static sonde_status idtree_cluster(struct idtree_growth *g, int64_t node, int64_t k)
{
    int64_t n = g->end[node] - g->begin[node], dim = g->quantizer->dim;
    const sonde__params *params = g->quantizer->params;
    bool capacity = sonde__param_is(params, "balance", "capacity");
    sonde__balance balance = {.mode = capacity ? SONDE__BALANCE_CAPACITY : SONDE__BALANCE_NONE};
    sonde__kmeans_options options = {.k = k,
                                     .iterations = (int)sonde__param_int(params, "iters"),
                                     .seed = (uint64_t)sonde__param_int(params, "seed") + (uint64_t)node,
                                     .threads = g->training->threads,
                                     .stage = "idtree: clusters"};
    for (int64_t i = 0; i < n; i++)
        memcpy(g->rows + i * dim, g->training->x + g->order[g->begin[node] + i] * dim,
               (size_t)dim * sizeof *g->rows);
    if (g->level[node] < IDTREE_DEEPEST)
        SONDE_TRY(sonde__kmeans_balanced(g->quantizer->runtime, g->rows, dim, n, dim, &options, &balance,
                                         NULL, g->found, g->labels, NULL, NULL));
    if (g->level[node] >= IDTREE_DEEPEST || !idtree_split(g->labels, n)) idtree_cut(g, node, k);
    return SONDE_OK;
}

/* The groups of a node become its children, without the empty ones; their rows stay in ascending order. */
static void idtree_divide(struct idtree_growth *g, int64_t node, int64_t k)
{
    int64_t n = g->end[node] - g->begin[node], *order = g->order + g->begin[node], at = 0;
    memcpy(g->spare, order, (size_t)n * sizeof *order);
    for (int64_t c = 0; c < k; c++) {
        int64_t first = at;
        for (int64_t i = 0; i < n; i++)
            if (g->labels[i] == c) order[at++] = g->spare[i];
        if (at == first) continue;
        g->tree->children[node]++;
        idtree_add(g, g->begin[node] + first, g->begin[node] + at, g->level[node] + 1,
                   g->found + c * g->quantizer->dim);
    }
}

static sonde_status idtree_grow(struct idtree_growth *g)
{
    int64_t dim = g->quantizer->dim, n = g->training->n;
    double scale = 1.0 / (double)n;
    SONDE_TRY(idtree_reserve(g, 1));
    memset(g->found, 0, (size_t)dim * sizeof *g->found);
    for (int64_t i = 0; i < n; i++) {
        g->order[i] = i;
        for (int64_t j = 0; j < dim; j++) g->found[j] += (float)(g->training->x[i * dim + j] * scale);
    }
    idtree_add(g, 0, n, 0, g->found);
    for (int64_t node = 0; node < g->tree->nodes; node++) {
        int64_t count = g->end[node] - g->begin[node], k = sonde__min_i64(g->branch, count);
        SONDE_TRY(
            sonde__poll(g->quantizer->runtime, "idtree: clusters", (uint64_t)node, (uint64_t)g->tree->nodes));
        if (count <= g->leaf) continue;
        SONDE_TRY(idtree_reserve(g, k));
        SONDE_TRY(idtree_cluster(g, node, k));
        idtree_divide(g, node, k);
    }
    return SONDE_OK;
}

/* The path to its leaf, then its number there. */
static sonde_status idtree_sequences(struct idtree_growth *g)
{
    struct idtree_shape *tree = g->tree;
    int64_t depth = tree->depth, width = depth + 1;
    tree->rows = g->training->n;
    SONDE_TRY(SONDE_NEW(g->quantizer->runtime, tree->sequences, tree->rows * width));
    memset(tree->sequences, -1, (size_t)(tree->rows * width) * sizeof *tree->sequences);
    for (int64_t node = 0; node < tree->nodes; node++)
        for (int64_t i = g->begin[node]; tree->children[node] == 0 && i < g->end[node]; i++) {
            int32_t *sequence = tree->sequences + g->order[i] * width;
            memcpy(sequence, tree->paths + node * depth, (size_t)g->level[node] * sizeof *sequence);
            sequence[g->level[node]] = (int32_t)(i - g->begin[node]);
        }
    return SONDE_OK;
}

static sonde_status idtree_build(struct idtree_growth *g)
{
    sonde_runtime *runtime = g->quantizer->runtime;
    int64_t n = g->training->n, dim = g->quantizer->dim;
    SONDE_TRY(SONDE_NEW(runtime, g->order, n));
    SONDE_TRY(SONDE_NEW(runtime, g->spare, n));
    SONDE_TRY(SONDE_NEW(runtime, g->labels, n));
    SONDE_TRY(SONDE_NEW(runtime, g->rows, n * dim));
    SONDE_TRY(SONDE_NEW(runtime, g->found, g->branch * dim));
    SONDE_TRY(idtree_grow(g));
    SONDE_TRY(idtree_finish(runtime, g->tree, g->branch));
    return idtree_sequences(g);
}

/* The old tree stays until the new one is complete. */
static sonde_status idtree_train(sonde_quantizer *quantizer, const sonde__training *training)
{
    struct idtree_shape *tree = quantizer->state, fresh = {.nodes = 0};
    struct idtree_growth g = {.quantizer = quantizer,
                              .training = training,
                              .tree = &fresh,
                              .branch = sonde__param_int(quantizer->params, "branch"),
                              .leaf = sonde__param_int(quantizer->params, "leaf")};
    sonde_status status = idtree_build(&g);
    void *work[] = {g.order, g.spare, g.begin, g.end, g.level, g.labels, g.rows, g.found};
    for (size_t i = 0; i < sizeof work / sizeof work[0]; i++) sonde__free(quantizer->runtime, work[i]);
    if (status != SONDE_OK) {
        idtree_end(quantizer->runtime, &fresh);
        return status;
    }
    idtree_end(quantizer->runtime, tree);
    *tree = fresh;
    return SONDE_OK;
}

/* ---- codes ----------------------------------------------------------------------------------------------------- */

static sonde_status idtree_encode(const sonde_quantizer *quantizer, const float *x, int64_t ldx, int64_t n,
                                  uint8_t *codes, int64_t stride)
{
    const struct idtree_shape *tree = quantizer->state;
    int64_t dim = quantizer->dim, branch = sonde__param_int(quantizer->params, "branch");
    sonde__scratch *scratch = NULL;
    float *distance;
    SONDE_TRY(sonde__scratch_take(quantizer->runtime, &scratch));
    sonde_status status = SONDE_SCRATCH(scratch, distance, branch);
    for (int64_t i = 0; status == SONDE_OK && i < n; i++) {
        int32_t node = 0;
        while (tree->children[node] > 0) {
            int32_t first = tree->first[node], nearest = 0;
            sonde__kernels_get()->l2_rows[SONDE__ROW_F32](x + i * ldx, tree->centroids + first * dim,
                                                          dim * (int64_t)sizeof(float), tree->children[node],
                                                          dim, distance);
            for (int32_t c = 1; c < tree->children[node]; c++)
                if (distance[c] < distance[nearest]) nearest = c;
            node = first + nearest;
        }
        for (int b = 0; b < IDTREE_CODE_BYTES; b++) codes[i * stride + b] = (uint8_t)(node >> 8 * b);
    }
    sonde__scratch_give(quantizer->runtime, scratch);
    return status;
}

static int64_t idtree_number(const uint8_t *code)
{
    uint32_t number = 0;
    for (int b = 0; b < IDTREE_CODE_BYTES; b++) number |= (uint32_t)code[b] << 8 * b;
    return number;
}

/* A file that was opened without reading all of it may hold any number: it never leads outside the tree. */
static int64_t idtree_node(const struct idtree_shape *tree, const uint8_t *code)
{
    return sonde__min_i64(idtree_number(code), tree->nodes - 1);
}

static void idtree_decode(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n,
                          float *x, int64_t ldx)
{
    const struct idtree_shape *tree = quantizer->state;
    for (int64_t i = 0; i < n; i++)
        memcpy(x + i * ldx, tree->centroids + idtree_node(tree, codes + i * stride) * quantizer->dim,
               (size_t)quantizer->dim * sizeof *x);
}

/* A code names a leaf. */
static bool idtree_valid(const sonde_quantizer *quantizer, const uint8_t *codes, int64_t stride, int64_t n)
{
    const struct idtree_shape *tree = quantizer->state;
    for (int64_t i = 0; i < n; i++) {
        int64_t number = idtree_number(codes + i * stride);
        if (number >= tree->nodes || tree->children[number] > 0) return false;
    }
    return true;
}

static int64_t idtree_table_bytes(const sonde_quantizer *quantizer)
{
    const struct idtree_shape *tree = quantizer->state;
    return tree->nodes * (int64_t)sizeof(float);
}

static void idtree_table(const sonde_quantizer *quantizer, const float *query, void *table)
{
    const struct idtree_shape *tree = quantizer->state;
    int64_t dim = quantizer->dim;
    sonde__kernels_get()->ip_rows[SONDE__ROW_F32](query, tree->centroids, dim * (int64_t)sizeof(float),
                                                  tree->nodes, dim, table);
}

static void idtree_scan(const sonde_quantizer *quantizer, const void *table, const uint8_t *codes,
                        int64_t stride, int64_t n, float *ip)
{
    const struct idtree_shape *tree = quantizer->state;
    const float *product = table;
    for (int64_t i = 0; i < n; i++) ip[i] = product[idtree_node(tree, codes + i * stride)];
}

/* ---- outputs and files ----------------------------------------------------------------------------------------- */

static sonde_status idtree_output(const sonde_quantizer *quantizer, int position, sonde_array *view)
{
    const struct idtree_shape *tree = quantizer->state;
    if (position == IDTREE_PATHS) *view = sonde_i32(tree->paths, tree->nodes, tree->depth);
    else *view = sonde_i32(tree->sequences, tree->rows, tree->depth + 1);
    return SONDE_OK;
}

static sonde_status idtree_save(const sonde_quantizer *quantizer, sonde__writer *writer)
{
    const struct idtree_shape *tree = quantizer->state;
    SONDE_TRY(sonde__write_array(writer, "CHILDREN", tree->children, (uint64_t)tree->nodes,
                                 sizeof *tree->children));
    return sonde__write_array(writer, "CENTROID", tree->centroids, (uint64_t)(tree->nodes * quantizer->dim),
                              sizeof *tree->centroids);
}

static sonde_status idtree_fill(sonde_quantizer *quantizer, sonde__reader *reader, struct idtree_shape *tree)
{
    sonde_runtime *runtime = quantizer->runtime;
    uint64_t nodes;
    sonde__blob blob;
    SONDE_TRY(sonde__read_count(reader, "CHILDREN", sizeof *tree->children, &nodes));
    if (nodes < 1 || nodes > INT32_MAX)
        return sonde__fail(SONDE_CORRUPT, "section \"CHILDREN\": %llu nodes", (unsigned long long)nodes);
    tree->nodes = (int64_t)nodes;
    SONDE_TRY(sonde__handle_floats(runtime, reader, "CENTROID", nodes * (uint64_t)quantizer->dim,
                                   &tree->centroids));
    SONDE_TRY(SONDE_NEW(runtime, tree->children, nodes));
    SONDE_TRY(SONDE_NEW(runtime, tree->first, nodes));
    SONDE_TRY(sonde__read_array(reader, "CHILDREN", nodes, sizeof *tree->children, false, &blob));
    memcpy(tree->children, blob.data, nodes * sizeof *tree->children);
    sonde__blob_free(runtime, &blob);
    return idtree_finish(runtime, tree, sonde__param_int(quantizer->params, "branch"));
}

static sonde_status idtree_load(sonde_quantizer *quantizer, sonde__reader *reader)
{
    struct idtree_shape *tree = quantizer->state, fresh = {.nodes = 0};
    sonde_status status = idtree_fill(quantizer, reader, &fresh);
    if (status == SONDE_OK) *tree = fresh;
    else idtree_end(quantizer->runtime, &fresh);
    return status;
}

static void idtree_drop(sonde_quantizer *quantizer)
{
    if (quantizer->state) idtree_end(quantizer->runtime, quantizer->state);
    sonde__free(quantizer->runtime, quantizer->state);
}

static const sonde__key idtree_keys[] = {
    {"branch", SONDE__KEY_INT, "10", 2, 65536, NULL, NULL, "groups that a group is cut into"},
    {"leaf", SONDE__KEY_INT, "100", 1, 1e9, NULL, NULL, "most rows of a group that is not cut"},
    {"balance", SONDE__KEY_WORD, "none", 0, 0, "none|capacity", NULL,
     "capacity: groups of equal size at each cut"},
    {"iters", SONDE__KEY_INT, "25", 1, 1000, NULL, NULL, "k-means iterations"},
    {"seed", SONDE__KEY_INT, "1", 0, 9007199254740992.0, NULL, NULL, "of k-means"},
    {0},
};

static const sonde__output_key idtree_outputs[] = {
    {"sequences", "n x (depth + 1)", SONDE_DTYPE_I32,
     "the ids of the rows of training, padded with -1; empty after opening a file"},
    {"paths", "nodes x depth", SONDE_DTYPE_I32,
     "the digits that lead to a node, padded with -1; a code is a row of it"},
    {0},
};

const sonde__quantizer_method sonde__quantizer_idtree = {
    .method = {"idtree", "document ids by hierarchical k-means: a path through a tree of clusters",
               "Tay et al.: Transformer Memory as a Differentiable Search Index (NeurIPS 2022)", idtree_keys,
               sonde__vectors_input, NULL, idtree_outputs},
    .create = idtree_create,
    .train = idtree_train,
    .encode = idtree_encode,
    .decode = idtree_decode,
    .valid = idtree_valid,
    .table_bytes = idtree_table_bytes,
    .table = idtree_table,
    .scan = idtree_scan,
    .output = idtree_output,
    .save = idtree_save,
    .load = idtree_load,
    .drop = idtree_drop,
};
