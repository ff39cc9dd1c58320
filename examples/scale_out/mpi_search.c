/* mpi_search.c: one data set, spread over the processes of an MPI job: shared training, shards, merged answers.
 *
 * Rank 0 trains and sends the trained, empty index to all; each rank adds its own rows under their global ids and
 * answers every question on them; rank 0 joins the answers. Since all ranks hold the same trained parts, the same
 * effort visits the same lists everywhere, and the joined answer is, hit by hit, that of one index over all rows. For
 * the same reason the shards can be joined into one index. Rank 0 checks both; the program fails if they do not hold.
 *
 *   mpicc mpi_search.c $(pkg-config --cflags --libs sonde) -o mpi_search
 *   mpiexec -n 3 ./mpi_search [DATA [WORK]]      WORK: where the shards are saved, seen by all ranks (default: here)
 *
 * SPDX-License-Identifier: MIT
 */
#include <mpi.h>

#include "../glosses.h"

enum { K = 10, EFFORT = 8, BROADCAST_BYTES = 1 << 30 };

static const char SPEC[] = "ivf(nlist=64, metric=cosine)";

/* What one search wrote. Plain bytes, so that it travels as it is between machines of one kind. */
typedef struct answer {
    int64_t ids[QUESTIONS * K];
    float scores[QUESTIONS * K];
    uint8_t reason[QUESTIONS];
} answer;

static int rank, ranks;

/* A rank that stopped alone would leave the others waiting for it, so a failure ends the whole job. */
static void stop(const char *what, const char *why)
{
    fprintf(stderr, "rank %d failed: %s: %s\n", rank, what, why);
    MPI_Abort(MPI_COMM_WORLD, 1);
}

static void must(const char *what, sonde_status status)
{
    if (status)
        stop(what, sonde_error_message());
}

static void *allocate(size_t bytes)
{
    void *memory = malloc(bytes);
    if (!memory)
        stop("memory", "there is not enough");
    return memory;
}

/* ---- training once, on rank 0 ---- */

/* Rows rank, rank + ranks, ...: a fair sample of all, so that rank 0 may train on its own rows and each shard holds
 * about as many of a question's neighbours as any other. (A real job would read these rows only.) */
static sonde_array own_rows(void)
{
    sonde_array rows = rows_of(&data.vectors, rank, (GLOSSES - rank + ranks - 1) / ranks);
    rows.stride *= ranks;
    return rows;
}

static void *train(size_t *length)
{
    sonde_index *index = NULL;
    sonde_array sample = own_rows();
    sonde_input input = {"vectors", &sample};
    must("create", sonde_index_create(SPEC, DIM, NULL, &index));
    must("train", sonde_index_train(index, &input, 1));
    must("measure", sonde_index_save_buffer(index, NULL, 0, length));
    void *bytes = allocate(*length);
    must("save", sonde_index_save_buffer(index, bytes, *length, length));
    sonde_index_free(index);
    return bytes;
}

/* Counts of MPI are ints, and the trained parts of a large index are not: in pieces. */
static void broadcast(char *bytes, size_t length)
{
    while (length > 0) {
        int piece = length < BROADCAST_BYTES ? (int)length : BROADCAST_BYTES;
        MPI_Bcast(bytes, piece, MPI_BYTE, 0, MPI_COMM_WORLD);
        bytes += piece;
        length -= (size_t)piece;
    }
}

/* Gives every rank the bytes of the same trained, empty index. */
static void *share_trained(size_t *length)
{
    uint64_t shared_length = 0;
    void *bytes = NULL;
    if (rank == 0) {
        bytes = train(length);
        shared_length = *length;
    }
    MPI_Bcast(&shared_length, 1, MPI_UINT64_T, 0, MPI_COMM_WORLD);
    *length = (size_t)shared_length;
    if (rank != 0)
        bytes = allocate(*length);
    broadcast(bytes, *length);
    return bytes;
}

/* ---- shards ---- */

static sonde_index *open_trained(const void *bytes, size_t length)
{
    sonde_index *index = NULL;
    must("open the trained index", sonde_index_open_buffer(bytes, length, NULL, NULL, &index));
    return index;
}

static sonde_index *build_shard(const void *bytes, size_t length)
{
    sonde_index *shard = open_trained(bytes, length);
    sonde_array rows = own_rows();
    int64_t *ids = allocate((size_t)rows.rows * sizeof *ids);
    for (int64_t i = 0; i < rows.rows; i++)
        ids[i] = rank + i * ranks;
    must("add", sonde_index_add(shard, &rows, ids));
    free(ids);
    return shard;
}

static sonde_hits hits_of(answer *to)
{
    sonde_hits hits = {.size = sizeof hits, .ids = to->ids, .scores = to->scores, .reason = to->reason};
    return hits;
}

static void search(const sonde_index *index, const sonde_search_options *how, answer *found)
{
    sonde_hits hits = hits_of(found);
    must("search", sonde_index_search(index, &data.questions, how, &hits));
}

static void merge_answers(answer *parts, answer *merged)
{
    sonde_hits *hits = allocate((size_t)ranks * sizeof *hits), joined = hits_of(merged);
    uint32_t *widths = allocate((size_t)ranks * sizeof *widths);
    for (int i = 0; i < ranks; i++) {
        hits[i] = hits_of(&parts[i]);
        widths[i] = K;
    }
    must("merge the answers", sonde_topk_merge(SONDE_METRIC_COSINE, hits, widths, (size_t)ranks, QUESTIONS, K, NULL,
                                               &joined));
    free(hits);
    free(widths);
}

/* Every rank searches its shard; rank 0 gets the k best of all in *merged. */
static void search_all(const sonde_index *shard, const sonde_search_options *how, answer *merged)
{
    answer *own = allocate(sizeof *own), *parts = rank == 0 ? allocate((size_t)ranks * sizeof *parts) : NULL;
    search(shard, how, own);
    MPI_Gather(own, sizeof *own, MPI_BYTE, parts, sizeof *own, MPI_BYTE, 0, MPI_COMM_WORLD);
    if (rank == 0)
        merge_answers(parts, merged);
    free(own);
    free(parts);
}

/* ---- one index again: shards that were built apart and saved are merged by one process ---- */

static void shard_path(const char *directory, int shard, char path[1024])
{
    snprintf(path, 1024, "%s/shard-%d.sonde", directory, shard);
}

static void save_shard(const char *directory, const sonde_index *shard)
{
    char path[1024];
    shard_path(directory, rank, path);
    must("save the shard", sonde_index_save(shard, path));
    MPI_Barrier(MPI_COMM_WORLD); /* from here on, all of them are there */
}

static sonde_index *merge_shards(const char *directory, sonde_index *into)
{
    for (int i = 0; i < ranks; i++) {
        char path[1024];
        sonde_index *shard = NULL;
        shard_path(directory, i, path);
        must("open a shard", sonde_index_open(path, NULL, NULL, &shard));
        must("merge a shard", sonde_index_merge(into, shard));
        sonde_index_free(shard);
        remove(path);
    }
    return into;
}

/* ---- the check ---- */

static int expect_same(const char *what, const answer *got, const answer *wanted)
{
    int same = !memcmp(got->ids, wanted->ids, sizeof got->ids) &&
               !memcmp(got->scores, wanted->scores, sizeof got->scores);
    printf("%-58s %s\n", what, same ? "equal" : "DIFFERENT");
    return !same;
}

/* Compares with one index over all rows that this process builds at once. */
static int check(sonde_index *whole, const sonde_index *joined, const answer *merged, const sonde_search_options *how,
                 int ways)
{
    static const char *const ask[] = {"fixed effort", "exact"};
    answer *wanted = allocate(sizeof *wanted), *got = allocate(sizeof *got);
    int code = sonde_index_count(joined) != GLOSSES;
    must("add all rows", sonde_index_add(whole, &data.vectors, NULL));
    for (int i = 0; i < ways; i++) {
        char text[80];
        search(whole, &how[i], wanted);
        search(joined, &how[i], got);
        snprintf(text, sizeof text, "%s: %d shards' merged answers and one index", ask[i], ranks);
        code |= expect_same(text, &merged[i], wanted);
        snprintf(text, sizeof text, "%s: the merged index and one built at once", ask[i]);
        code |= expect_same(text, got, wanted);
    }
    free(wanted);
    free(got);
    return code;
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (glosses_load(argc, argv))
        stop("data", "not there");
    const char *directory = argc > 2 ? argv[2] : ".";
    sonde_search_options how[2] = {SONDE_SEARCH_OPTIONS_INIT, SONDE_SEARCH_OPTIONS_INIT};
    how[0].effort = EFFORT;
    how[1].recall = 1;

    size_t length = 0;
    void *trained = share_trained(&length);
    sonde_index *shard = build_shard(trained, length);
    printf("rank %d: %lld rows; %zu bytes of trained parts\n", rank, (long long)sonde_index_count(shard), length);

    answer *merged = allocate(2 * sizeof *merged);
    for (int i = 0; i < 2; i++)
        search_all(shard, &how[i], &merged[i]);
    save_shard(directory, shard);

    int code = 0;
    if (rank == 0) {
        printf("question 0: %.3f  %s\n", merged[0].scores[0], data.text[merged[0].ids[0]]);
        sonde_index *joined = merge_shards(directory, open_trained(trained, length));
        sonde_index *whole = open_trained(trained, length);
        code = check(whole, joined, merged, how, 2);
        sonde_index_free(joined);
        sonde_index_free(whole);
    }
    MPI_Bcast(&code, 1, MPI_INT, 0, MPI_COMM_WORLD);
    free(merged);
    free(trained);
    sonde_index_free(shard);
    glosses_free();
    MPI_Finalize();
    return code;
}
