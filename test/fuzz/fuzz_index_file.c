/* fuzz_index_file.c: opens arbitrary bytes as an index file, as they are and with every checksum made right, with
 * full and with fast verification, and uses what opens: searches, range searches, filters, adds, removals,
 * compaction, a save that must open again. Nothing may crash, and nothing may hold more memory than the file has
 * bytes and 64 MiB.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "index_sample.h"
#include "reseal.h"

#define SLACK_BYTES ((uint64_t)64 << 20)
#define K 6
#define QUERIES 2
#define ADDED 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what)
{
    if (condition) return;
    fprintf(stderr, "fuzz_index_file: %s: %s\n", what, sonde_error_message());
    abort();
}

/* The statuses that bytes can cause. */
static bool expected(sonde_status status)
{
    return status == SONDE_CORRUPT || status == SONDE_INCOMPATIBLE || status == SONDE_OUT_OF_MEMORY ||
           status == SONDE_LIMIT || status == SONDE_UNSUPPORTED;
}

static sonde_array some_vectors(const sonde_index *index, bool bits, int64_t n)
{
    int64_t dim = sonde_index_dim(index);
    sonde_array rows = sonde_array_of(bits ? SONDE_DTYPE_BITS : SONDE_DTYPE_F32, NULL, n, dim);
    rows.data = calloc((size_t)n, (size_t)rows.stride);
    require(rows.data != NULL, "no memory for queries");
    for (int64_t i = 0; i < n * dim && !bits; i++) ((float *)rows.data)[i] = sample_value(i / dim, i % dim);
    return rows;
}

/* What came back must be sorted, and of ids that are there. */
static void check_hits(const sonde_index *index, const int64_t *ids, const float *scores, bool whole)
{
    bool rising = sonde_index_metric(index) == SONDE_METRIC_L2 || sonde_index_metric(index) == SONDE_METRIC_HAMMING;
    for (int i = 0; i < K && ids[i] >= 0; i++) {
        require(!isnan(scores[i]), "a score is NaN");
        require(i == 0 || (rising ? scores[i - 1] <= scores[i] : scores[i - 1] >= scores[i]),
                "scores are not in order");
        require(!whole || sonde_index_contains(index, ids[i]), "a hit is not stored");
    }
}

static void search(const sonde_index *index, const sonde_array *queries, bool whole)
{
    sonde_filter odd = SONDE_FILTER_INIT;
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    static const float recalls[] = {0, 0.5f, 1};
    odd.kind = SONDE_FILTER_RANGE;
    odd.first = 3;
    odd.last = 40;
    how.k = K;
    for (int i = 0; i < 6; i++) { /* each recall with and without the filter */
        int64_t ids[QUERIES * K];
        float scores[QUERIES * K];
        sonde_hits hits = SONDE_HITS_INIT;
        hits.ids = ids;
        hits.scores = scores;
        how.recall = recalls[i / 2];
        how.filter = i % 2 ? &odd : NULL;
        if (sonde_index_search(index, queries, &how, &hits)) continue;
        for (int q = 0; q < QUERIES; q++) check_hits(index, ids + q * K, scores + q * K, whole);
    }
    sonde_range_hits *range = NULL;
    if (!sonde_index_range_search(index, queries, 20, NULL, &range)) sonde_range_hits_free(range);
}

static void look(const sonde_index *index)
{
    sonde_index_stats stats = SONDE_INDEX_STATS_INIT;
    sonde_operating_point point = SONDE_OPERATING_POINT_INIT;
    int64_t ids[8] = {0}, count;
    require(sonde_index_stats_get(index, &stats) == SONDE_OK, "stats fail");
    require(sonde_index_ids(index, ids, 8, &count) == SONDE_OK, "ids fail");
    require(stats.count == count && count == sonde_index_count(index), "counts differ");
    (void)sonde_index_operating_point(index, 0, &point);
    sonde_array out = some_vectors(index, sonde_index_metric(index) == SONDE_METRIC_HAMMING, 1);
    if (count > 0) (void)sonde_index_get(index, ids, 1, &out);
    free(out.data);
}

/* After a full verification all must go on working; the bytes that it saves must open. */
static void save_again(const sonde_index *index, sonde_runtime *runtime)
{
    size_t length = 0, written;
    if (sonde_index_save_buffer(index, NULL, 0, &length)) return;
    uint8_t *bytes = malloc(length);
    sonde_index *again = NULL;
    require(bytes != NULL, "no memory for a file");
    if (!sonde_index_save_buffer(index, bytes, length, &written)) {
        sonde_status status = sonde_index_open_buffer(bytes, length, NULL, runtime, &again);
        require(status == SONDE_OK || status == SONDE_OUT_OF_MEMORY || status == SONDE_LIMIT,
                "what was saved does not open");
    }
    sonde_index_free(again);
    free(bytes);
}

static void change(sonde_index *index, sonde_runtime *runtime, bool whole)
{
    bool bits = sonde_index_metric(index) == SONDE_METRIC_HAMMING;
    sonde_array rows = some_vectors(index, bits, ADDED);
    int64_t ids[8] = {0}, count = 0, taken = 0, before = sonde_index_count(index);
    if (!sonde_index_add(index, &rows, NULL))
        require(sonde_index_count(index) == before + ADDED, "an add did not count");
    (void)sonde_index_ids(index, ids, 8, &count);
    if (count > 1 && !sonde_index_remove(index, ids, 2, &taken))
        require(!whole || taken == 2, "a removal did not count");
    (void)sonde_index_compact(index);
    if (whole) require(sonde_index_check(index) != SONDE_CORRUPT, "check fails after changes");
    rows.rows = QUERIES;
    search(index, &rows, whole);
    if (whole) save_again(index, runtime);
    free(rows.data);
}

static void open_and_use(const uint8_t *data, size_t size, uint32_t verify)
{
    sonde_runtime *runtime = NULL;
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    sonde_open_options how = SONDE_OPEN_OPTIONS_INIT;
    sonde_index *index = NULL;
    uint64_t peak = 0;
    options.threads = 1;
    options.memory_limit = 8 * (uint64_t)size +
                           8 * SLACK_BYTES; /* so that a defect shows as a message, not as a dead machine */
    how.verify = verify;
    require(sonde_runtime_create(&options, &runtime) == SONDE_OK, "no runtime");
    sonde_status status = sonde_index_open_buffer(data, size, &how, runtime, &index);
    require(sonde_runtime_memory(runtime, NULL, &peak) == SONDE_OK && peak <= size + SLACK_BYTES,
            "opening took too much memory");
    require(status == SONDE_OK ? index != NULL : index == NULL && expected(status), "an unexpected end of open");
    /* Large dims and row counts that a few bytes claim would only take time here. */
    if (index && sonde_index_dim(index) <= 4096) {
        bool whole = verify == SONDE_VERIFY_FULL;
        sonde_array queries = some_vectors(index, sonde_index_metric(index) == SONDE_METRIC_HAMMING, QUERIES);
        look(index);
        search(index, &queries, whole);
        change(index, runtime, whole);
        free(queries.data);
    }
    sonde_index_free(index);
    sonde_runtime_free(runtime);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *sealed = calloc(1, size ? size : 1);
    require(sealed != NULL, "no memory");
    if (size > 0) memcpy(sealed, data, size);
    open_and_use(sealed, size, SONDE_VERIFY_FULL);
    reseal(sealed, size);
    open_and_use(sealed, size, SONDE_VERIFY_FULL);
    open_and_use(sealed, size, SONDE_VERIFY_FAST);
    free(sealed);
    return 0;
}
