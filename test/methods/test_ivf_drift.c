/* test_ivf_drift.c: rows that drift away from what an inverted file has learned, and compact, which splits the lists that
 * have grown too long.
 *
 * The scene: lists are learned from one mixture, and five times as many rows come from another one far away. What must
 * hold: the drift is told; after compact no list is long, the same recall takes a fraction of the rows, every row is there
 * once, stored as an add would have stored it; and whoever looks meanwhile, or runs out of memory, sees an index.
 *
 * timeout: 120
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "failing.h"
#include "indexes/ivf.h"
#include "indexes/store.h"

enum { DIM = 16, OLD = 600, NEW = 5 * OLD, ALL = OLD + NEW, QUERIES = 60, K = 10, LISTS = 24 };

static const char *const splittable[] = {
    "ivf(nlist=24)",
    "ivf(nlist=24, code=sq(bits=8), residual=yes, refine=f16)",
    "ivf(nlist=24, code=pq(m=8, bits=4), refine=f16)",
    "ivf(nlist=24, code=rabitq(bits=4), refine=f32)",
    "ivf(nlist=24, code=rabitq(bits=4), refine=f16, metric=ip)",
    "ivf(nlist=24, code=pq(m=8, bits=4), residual=yes, refine=f32, metric=cosine)",
    "ivf(nlist=24, code=pq(m=8, bits=4), refine=f32, spill=soar)",
    "ivf(nlist=24, spill=soar, metric=ip)",
};
enum { SPLITTABLE = sizeof splittable / sizeof splittable[0] };

static const char *const whole[] = {
    "ivf(nlist=24, code=pq(m=8, bits=4))",
    "ivf(nlist=24, lists=lorann, refine=f32)",
};

static struct world {
    float *x, *q; /* ALL rows, the old ones first; queries like the new ones */
} w;

static int set_up(void **unused)
{
    (void)unused;
    float *old = test_vectors(OLD, DIM, 40, 1), *new = test_vectors(NEW + QUERIES, DIM, 40, 2);
    w.x = test_alloc((ALL + QUERIES) * DIM, sizeof *w.x);
    memcpy(w.x, old, OLD * DIM * sizeof *w.x);
    for (int64_t i = 0; i < (NEW + QUERIES) * DIM; i++) w.x[OLD * DIM + i] = new[i] + (i % DIM < 4 ? 14 : 0);
    w.q = w.x + ALL * DIM;
    free(old);
    free(new);
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    free(w.x);
    return 0;
}

/* ---- steps --------------------------------------------------------------------------------------------- */

static void add(sonde_index *index, int64_t first, int64_t count)
{
    sonde_array rows = sonde_f32(w.x + first * DIM, count, DIM);
    int64_t *ids = test_alloc((size_t)count, sizeof *ids);
    for (int64_t i = 0; i < count; i++) ids[i] = first + i;
    OK(sonde_index_add(index, &rows, ids));
    free(ids);
}

static sonde_index *old_only(const char *spec, sonde_runtime *runtime)
{
    sonde_index *index = NULL;
    OK(sonde_index_create(spec, DIM, runtime, &index));
    add(index, 0, OLD);
    return index;
}

static sonde_index *drifted(const char *spec, sonde_runtime *runtime)
{
    sonde_index *index = old_only(spec, runtime);
    add(index, OLD, NEW);
    return index;
}

static sonde_index_stats stats_of(const sonde_index *index)
{
    sonde_index_stats stats = SONDE_INDEX_STATS_INIT;
    OK(sonde_index_stats_get(index, &stats));
    return stats;
}

static sonde_index_stats drift_of(const sonde_index *index)
{
    sonde_index_stats stats = stats_of(index);
    assert_int_equal(stats.split > 0, stats.long_lists > 0);
    return stats;
}

static uint8_t *bytes_of(const sonde_index *index, size_t *length)
{
    OK(sonde_index_save_buffer(index, NULL, 0, length));
    uint8_t *bytes = test_alloc(*length, 1);
    OK(sonde_index_save_buffer(index, bytes, *length, length));
    return bytes;
}

static sonde_index *reopened(const sonde_index *index, sonde_runtime *runtime)
{
    size_t length;
    sonde_index *opened = NULL;
    uint8_t *bytes = bytes_of(index, &length);
    OK(sonde_index_open_buffer(bytes, length, NULL, runtime, &opened));
    free(bytes);
    return opened;
}

/* ---- recall, and what it takes --------------------------------------------------------------------------- */

static double score_of(uint32_t metric, const float *q, const float *x)
{
    double ip = 0, l2 = 0, xx = 0, qq = 0;
    for (int j = 0; j < DIM; j++) {
        ip += (double)q[j] * x[j];
        l2 += ((double)q[j] - x[j]) * ((double)q[j] - x[j]);
        xx += (double)x[j] * x[j];
        qq += (double)q[j] * q[j];
    }
    return metric == SONDE_METRIC_L2 ? -l2 : metric == SONDE_METRIC_IP ? ip : ip / sqrt(xx * qq);
}

static int descending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* The score of the true K-th neighbour of each query. */
static void find_edges(uint32_t metric, double *edge)
{
    double *score = test_alloc(ALL, sizeof *score);
    for (int q = 0; q < QUERIES; q++) {
        for (int64_t i = 0; i < ALL; i++) score[i] = score_of(metric, w.q + q * DIM, w.x + i * DIM);
        qsort(score, ALL, sizeof *score, descending);
        edge[q] = score[K - 1];
    }
    free(score);
}

/* Recall against the edges at recall = 0.95, or effort; and the share of rows that were scanned for it. */
static double measured(const sonde_index *index, const double *edge, int64_t effort, double *scanned)
{
    sonde__top top[QUERIES];
    sonde__hit *hits = test_alloc((size_t)(QUERIES * sonde__top_room(K)), sizeof *hits);
    uint8_t reason[QUERIES];
    int64_t scored[QUERIES] = {0}, found = 0, seen = 0;
    for (int q = 0; q < QUERIES; q++) sonde__top_init(&top[q], hits + q * sonde__top_room(K), K);
    sonde__search search = {.queries = QUERIES, .query = w.q, .k = K, .recall = effort ? 0 : 0.95f, .effort = effort,
                            .refine = effort ? 8 : 0, .threads = 1, .top = top, .reason = reason, .scored = scored};
    sonde__visit visit = sonde__store_enter(index->store);
    OK(sonde__index_search_f32(index, visit.snapshot, &search));
    for (int q = 0; q < QUERIES; q++) {
        seen += scored[q];
        for (int64_t i = 0; i < top[q].count; i++) {
            double score = score_of(index->metric, w.q + q * DIM, w.x + top[q].hits[i].id * DIM);
            found += score >= edge[q] - 1e-5 * (1 + fabs(edge[q]));
        }
    }
    *scanned = (double)seen / QUERIES / (double)visit.snapshot->rows;
    sonde__store_leave(index->store, visit);
    free(hits);
    return (double)found / (QUERIES * K);
}

/* ---- every row is there once ------------------------------------------------------------------------------ */

/* One search over everything gives each id below ALL for which `there` says so, once. */
static void check_rows(const sonde_index *index, bool (*there)(int64_t id))
{
    int64_t *ids = test_alloc(ALL, sizeof *ids), wanted = 0;
    uint8_t *seen = test_alloc(ALL, 1);
    int32_t count = 0;
    sonde_array query = sonde_f32(w.q, 1, DIM);
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    sonde_hits hits = {.size = sizeof hits, .ids = ids, .count = &count};
    how.k = ALL;
    how.effort = 1 << 20;
    OK(sonde_index_search(index, &query, &how, &hits));
    for (int32_t i = 0; i < count; i++) {
        assert_in_range(ids[i], 0, ALL - 1);
        assert_int_equal(seen[ids[i]]++, 0);
    }
    for (int64_t id = 0; id < ALL; id++) {
        assert_int_equal(seen[id], there(id));
        assert_int_equal(sonde_index_contains(index, id), there(id));
        wanted += there(id);
    }
    assert_int_equal(sonde_index_count(index), wanted);
    OK(sonde_index_check(index));
    free(seen);
    free(ids);
}

static bool all_there(int64_t id) { return id >= 0; }
static bool third_gone(int64_t id) { return id % 3 != 1; }

/* ---- cases: what compact does ------------------------------------------------------------------------------ */

static void the_drift_is_told(void **unused)
{
    (void)unused;
    for (int i = 1; i < SPLITTABLE + 2; i += 2) {
        const char *spec = i < SPLITTABLE ? splittable[i] : whole[i - SPLITTABLE];
        sonde_index *index = old_only(spec, NULL);
        sonde_index_stats before = drift_of(index);
        if (!(before.drift > 0.9 && before.drift < 1.1)) fail_msg("%s: no drift is %g", spec, before.drift);
        add(index, OLD, NEW);
        sonde_index_stats after = drift_of(index);
        assert_int_equal(after.split, i < SPLITTABLE ? 1 : 2);
        if (!(after.drift > 1.5)) fail_msg("%s: the drift is %g", spec, after.drift);
        assert_true(after.long_lists > 0);
        sonde_index *opened = reopened(index, NULL);
        sonde_index_stats kept = drift_of(opened);
        assert_true(kept.drift == after.drift && kept.long_lists == after.long_lists && kept.split == after.split);
        sonde_index_free(opened);
        sonde_index_free(index);
    }
}

static void compact_splits_long_lists(void **unused)
{
    (void)unused;
    double edge[QUERIES], before, after;
    for (int i = 0; i < SPLITTABLE; i++) {
        sonde_index *index = drifted(splittable[i], NULL);
        find_edges(index->metric, edge);
        sonde_index_stats old = drift_of(index);
        double all_before = measured(index, edge, LISTS, &before), recall_before = measured(index, edge, 0, &before);
        OK(sonde_index_compact(index));
        double all_after = measured(index, edge, 1 << 20, &after), recall = measured(index, edge, 0, &after);
        sonde_index_stats stats = stats_of(index);
        sonde_index_stats now = drift_of(index);
        print_message("%s: lists %d -> %d, drift %.2f -> %.2f, scanned %.3f -> %.3f, recall %.3f -> %.3f of %.3f -> %.3f\n",
                      splittable[i], LISTS, (int)stats.lists, old.drift, now.drift, before, after, recall_before, recall,
                      all_before, all_after);
        assert_true(stats.lists > LISTS);
        assert_int_equal(now.long_lists, 0);
        assert_true(stats.largest_list * stats.lists <= 4 * stats.count * index->layout.copies);
        assert_true(now.drift < old.drift);
        if (index->metric != SONDE_METRIC_IP) assert_true(after < before / 2); /* there long rows are near to all queries */
        assert_true(recall >= 0.93 * fmin(1, all_before / 0.95));
        assert_true(all_after >= all_before - 0.02);
        assert_int_equal(stats.calibrated, 1);
        assert_int_equal(stats.calibrated_at, ALL);
        check_rows(index, all_there);
        sonde_index_free(index);
    }
}

/* A second compact finds nothing to do, nor does one where nothing has drifted. */
static void compact_ends(void **unused)
{
    (void)unused;
    size_t length, again;
    sonde_index *index = drifted(splittable[2], NULL);
    OK(sonde_index_compact(index));
    uint8_t *first = bytes_of(index, &length);
    OK(sonde_index_compact(index));
    uint8_t *second = bytes_of(index, &again);
    assert_int_equal(length, again);
    assert_memory_equal(first, second, length);
    free(first);
    free(second);
    sonde_index_free(index);
    index = old_only(splittable[0], NULL);
    OK(sonde_index_compact(index));
    assert_int_equal(stats_of(index).lists, LISTS);
    sonde_index_free(index);
}

/* Rows of lossy differences cannot be had back, and lists of low rank are learned as they are. */
static void what_cannot_be_split_stays(void **unused)
{
    (void)unused;
    double edge[QUERIES], scanned;
    for (int i = 0; i < 2; i++) {
        sonde_index *index = drifted(whole[i], NULL);
        find_edges(index->metric, edge);
        double before = measured(index, edge, 0, &scanned);
        OK(sonde_index_compact(index));
        assert_int_equal(stats_of(index).lists, LISTS);
        assert_true(drift_of(index).long_lists > 0 && drift_of(index).split == 2);
        assert_true(measured(index, edge, 0, &scanned) == before);
        check_rows(index, all_there);
        sonde_index_free(index);
    }
}

static void removed_rows_stay_removed(void **unused)
{
    (void)unused;
    int64_t *ids = test_alloc(ALL, sizeof *ids), count = 0, removed;
    for (int64_t id = 0; id < ALL; id++)
        if (!third_gone(id)) ids[count++] = id;
    for (int i = 0; i < SPLITTABLE; i += 3) {
        sonde_index *index = drifted(splittable[i], NULL);
        OK(sonde_index_remove(index, ids, count, &removed));
        assert_int_equal(removed, count);
        OK(sonde_index_compact(index));
        assert_true(stats_of(index).lists > LISTS);
        assert_int_equal(stats_of(index).removed, 0);
        check_rows(index, third_gone);
        sonde_index *opened = reopened(index, NULL);
        check_rows(opened, third_gone);
        for (int64_t c = 0; c < count; c += 1000) add(opened, ids[c], 1); /* what was removed can come back */
        assert_int_equal(sonde_index_count(opened), ALL - count + (count + 999) / 1000);
        OK(sonde_index_check(opened));
        sonde_index_free(opened);
        sonde_index_free(index);
    }
    free(ids);
}

/* ---- cases: what is stored ---------------------------------------------------------------------------------- */

static int64_t nearest(const sonde_index *index, const sonde__ivf_learned *learned, const float *x)
{
    int64_t best = 0;
    double most = -INFINITY;
    for (int64_t l = 0; l < learned->lists; l++) {
        double score = score_of(index->metric == SONDE_METRIC_L2 ? SONDE_METRIC_L2 : SONDE_METRIC_IP, x,
                                sonde__ivf_centroid(learned, DIM, l));
        if (score > most + 1e-9) {
            most = score;
            best = l;
        }
    }
    return best;
}

static sonde__place place_of(const sonde_index *index, const sonde__snapshot *snapshot, int64_t id)
{
    bool stale;
    sonde_status status;
    sonde__place place = sonde__store_find(index->store, snapshot, id, &stale, &status);
    OK(status);
    assert_true(place != SONDE__NOWHERE);
    return place;
}

static bool same_columns(const sonde_index *a, const sonde__snapshot *sa, sonde__place pa, const sonde__snapshot *sb,
                         sonde__place pb)
{
    uint8_t left[4096], right[4096];
    for (int c = 0; c < a->layout.columns; c++) {
        const uint8_t *x = sonde__segment_row(&a->layout, sonde__place_in(sa, pa), c, sonde__place_row(pa), left);
        const uint8_t *y = sonde__segment_row(&a->layout, sonde__place_in(sb, pb), c, sonde__place_row(pb), right);
        if (memcmp(x, y, (size_t)a->layout.width[c]) != 0) return false;
    }
    return true;
}

/* All but a few rows, far from all new centroids, are in the lists of their nearest centroids; and a row that is added again
 * to the same list is stored as the same bytes, where its columns can be made from exact rows. */
static void rows_are_stored_as_by_an_add(void **unused)
{
    (void)unused;
    static const int exact[] = {3, 5, 6};
    for (int e = 0; e < 3; e++) {
        sonde_index *index = drifted(splittable[exact[e]], NULL);
        OK(sonde_index_compact(index));
        sonde_index *again = reopened(index, NULL);
        add(again, 0, ALL);
        sonde__visit a = sonde__store_enter(index->store), b = sonde__store_enter(again->store);
        int64_t moved = 0, far = 0;
        for (int64_t id = 0; id < ALL; id++)
            for (int copy = 0; copy < index->layout.copies; copy++) {
                int64_t stored = copy ? ~id : id;
                sonde__place pa = place_of(index, a.snapshot, stored), pb = place_of(again, b.snapshot, stored);
                if (sonde__place_list(pa) != sonde__place_list(pb)) moved++;
                else if (!same_columns(index, a.snapshot, pa, b.snapshot, pb))
                    fail_msg("%s: id %d is stored otherwise", splittable[exact[e]], (int)stored);
                if (copy == 0 && index->metric != SONDE_METRIC_COSINE)
                    far += nearest(index, sonde__ivf_of(a.snapshot), w.x + id * DIM) != sonde__place_list(pa);
            }
        assert_true(moved <= ALL / 100);
        assert_true(far <= ALL / 100);
        sonde__store_leave(index->store, a);
        sonde__store_leave(again->store, b);
        sonde_index_free(again);
        sonde_index_free(index);
    }
}

static void same_bytes_for_any_number_of_threads(void **unused)
{
    (void)unused;
    static const uint32_t threads[] = {1, 2, 7};
    for (int i = 2; i < SPLITTABLE; i += 4) {
        uint8_t *bytes[3];
        size_t length[3];
        for (int t = 0; t < 3; t++) {
            sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
            sonde_runtime *runtime;
            options.threads = threads[t];
            OK(sonde_runtime_create(&options, &runtime));
            sonde_index *index = drifted(splittable[i], runtime);
            sonde_runtime_free(runtime);
            OK(sonde_index_compact(index));
            bytes[t] = bytes_of(index, &length[t]);
            sonde_index_free(index);
            assert_int_equal(length[0], length[t]);
            assert_memory_equal(bytes[0], bytes[t], length[0]);
        }
        for (int t = 0; t < 3; t++) free(bytes[t]);
    }
}

/* ---- cases: files and merging --------------------------------------------------------------------------------- */

static void files_keep_a_split(void **unused)
{
    (void)unused;
    char path[] = "/tmp/sonde_drift_XXXXXX";
    int file = mkstemp(path);
    double edge[QUERIES], scanned, scanned_mapped;
    assert_true(file >= 0);
    close(file);
    for (int i = 0; i < SPLITTABLE; i += 3) {
        sonde_index *index = drifted(splittable[i], NULL), *mapped = NULL;
        sonde_open_options options = SONDE_OPEN_OPTIONS_INIT;
        options.mode = SONDE_OPEN_MMAP;
        OK(sonde_index_compact(index));
        OK(sonde_index_save(index, path));
        OK(sonde_index_open(path, &options, NULL, &mapped));
        find_edges(index->metric, edge);
        assert_true(measured(index, edge, 0, &scanned) == measured(mapped, edge, 0, &scanned_mapped));
        assert_true(scanned == scanned_mapped);
        assert_int_equal(stats_of(mapped).lists, stats_of(index).lists);
        OK(sonde_index_check(mapped));
        FAILS(sonde_index_compact(mapped), SONDE_STATE, "read-only");
        sonde_index_free(mapped);
        sonde_index_free(index);
    }
    unlink(path);
}

/* Two that were the same until one was split are no longer; two of one split file are. */
static void merging_knows_splits(void **unused)
{
    (void)unused;
    sonde_index *index = drifted(splittable[2], NULL), *unsplit = reopened(index, NULL);
    int64_t third = ALL / 3, *ids = test_alloc((size_t)third, sizeof *ids);
    for (int64_t i = 0; i < third; i++) ids[i] = i * 3;
    OK(sonde_index_compact(index));
    FAILS(sonde_index_merge(index, unsplit), SONDE_INCOMPATIBLE, "split");
    FAILS(sonde_index_merge(unsplit, index), SONDE_INCOMPATIBLE, "split");
    sonde_index *part = reopened(index, NULL);
    OK(sonde_index_remove(index, ids, third, NULL));
    OK(sonde_index_merge(index, part));
    check_rows(index, all_there);
    free(ids);
    sonde_index_free(part);
    sonde_index_free(unsplit);
    sonde_index_free(index);
}

/* ---- cases: duplicates ---------------------------------------------------------------------------------------- */

/* A list of one point cannot be split, whatever a few rows beside it say; what can be is. */
static void equal_rows_end_a_split(void **unused)
{
    (void)unused;
    static const char *const specs[] = {"ivf(nlist=24, metric=cosine)", "ivf(nlist=24, code=pq(m=8, bits=4), refine=f16)"};
    for (int i = 0; i < 2; i++)
        for (int outliers = 0; outliers <= 5; outliers += 5) {
            sonde_index *index = old_only(specs[i], NULL);
            float *x = test_alloc(NEW * DIM, sizeof *x);
            for (int64_t j = 0; j < NEW * DIM; j++) x[j] = 14 + (j % DIM == 3) + (float)(j / DIM < outliers ? j % 7 : 0);
            sonde_array rows = sonde_f32(x, NEW, DIM);
            OK(sonde_index_add(index, &rows, NULL));
            OK(sonde_index_compact(index));
            assert_int_equal(drift_of(index).long_lists, 1);
            assert_true(stats_of(index).largest_list >= NEW - outliers);
            OK(sonde_index_check(index));
            add(index, OLD, NEW); /* ids of equal rows are replaced by rows that can be split */
            OK(sonde_index_compact(index));
            assert_true(stats_of(index).lists > LISTS);
            check_rows(index, all_there);
            free(x);
            sonde_index_free(index);
        }
}

/* ---- cases: readers beside it ----------------------------------------------------------------------------------- */

typedef struct scene {
    const sonde_index *index;
    atomic_bool done;
    atomic_long searches;
    atomic_int failures;
    char failure[300];
} scene;

static void note(scene *s, const char *what, int64_t id)
{
    if (atomic_fetch_add(&s->failures, 1) == 0)
        snprintf(s->failure, sizeof s->failure, "%s (id %d): %s", what, (int)id, sonde_error_message());
}

/* An old row is its own nearest neighbour, with all lists or with enough of them; k hits always come. */
static void look(scene *s, int64_t id, float recall)
{
    int64_t ids[K];
    int32_t count = 0;
    sonde_array query = sonde_f32(w.x + id * DIM, 1, DIM);
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    sonde_hits hits = {.size = sizeof hits, .ids = ids, .count = &count};
    how.recall = recall;
    if (sonde_index_search(s->index, &query, &how, &hits)) note(s, "search", id);
    else if (count < K) note(s, "too few hits", id);
    else if (ids[0] != id) note(s, recall == 1 ? "a row is not found" : "a row is not found in its own list", id);
}

static void *reader(void *context)
{
    scene *s = context;
    uint64_t state = (uint64_t)(uintptr_t)&state;
    for (long i = 0; i < 50 || !atomic_load(&s->done); i++) {
        float row[DIM];
        int64_t id = (int64_t)(test_u64(&state) % OLD);
        sonde_array out = sonde_f32(row, 1, DIM);
        look(s, id, i % 2 ? 1 : 0.95f);
        if (sonde_index_get(s->index, &id, 1, &out) || memcmp(row, w.x + id * DIM, sizeof row) != 0) note(s, "get", id);
        if (i % 64 == 7) {
            sonde_index_stats stats = SONDE_INDEX_STATS_INIT;
            sonde_index *copy = NULL;
            size_t length = 0;
            uint8_t *bytes = malloc((size_t)8 << 20);
            if (sonde_index_stats_get(s->index, &stats) || stats.lists < LISTS) note(s, "stats", 0);
            if (sonde_index_save_buffer(s->index, bytes, (size_t)8 << 20, &length) ||
                sonde_index_open_buffer(bytes, length, NULL, NULL, &copy))
                note(s, "save and open", 0);
            sonde_index_free(copy);
            free(bytes);
        }
        atomic_fetch_add(&s->searches, 1);
    }
    return NULL;
}

static void readers_see_old_or_new(void **unused)
{
    (void)unused;
    static const char *const specs[] = {"ivf(nlist=24)", "ivf(nlist=24, code=pq(m=8, bits=4), refine=f32, spill=soar)"};
    for (int i = 0; i < 2; i++) {
        sonde_index *index = old_only(specs[i], NULL);
        scene s = {.index = index};
        pthread_t thread[2];
        for (int t = 0; t < 2; t++) assert_int_equal(pthread_create(&thread[t], NULL, reader, &s), 0);
        for (int64_t part = 0; part < 3; part++) { /* each third is another drift: they come sorted along one axis */
            add(index, OLD + part * (NEW / 3), NEW / 3);
            OK(sonde_index_compact(index));
        }
        atomic_store(&s.done, true);
        for (int t = 0; t < 2; t++) pthread_join(thread[t], NULL);
        if (s.failures > 0) fail_msg("%d failures in %ld searches, the first: %s", s.failures, s.searches, s.failure);
        assert_true(stats_of(index).lists > LISTS);
        check_rows(index, all_there);
        sonde_index_free(index);
    }
}

/* ---- cases: failures in the middle -------------------------------------------------------------------------------- */

static uint8_t *small_bytes;
static size_t small_length;

static sonde_status compact_under_failure(sonde_runtime_options *options)
{
    sonde_runtime *runtime;
    sonde_index *index = NULL;
    options->threads = 1;
    sonde_status status = sonde_runtime_create(options, &runtime);
    if (status != SONDE_OK) return status;
    status = sonde_index_open_buffer(small_bytes, small_length, NULL, runtime, &index);
    if (status == SONDE_OK) {
        status = sonde_index_compact(index);
        sonde_status checked = sonde_index_check(index); /* where compact went well it can still be hit itself */
        if (sonde_index_count(index) != 700) status = SONDE_INTERNAL;
        else if (status == SONDE_OK || checked == SONDE_CORRUPT) status = checked;
        sonde_index_stats stats = SONDE_INDEX_STATS_INIT;
        if (status == SONDE_OK) status = sonde_index_stats_get(index, &stats);
        if (status == SONDE_OK && stats.lists <= 16) status = SONDE_INTERNAL;
    }
    sonde_index_free(index);
    sonde_runtime_free(runtime);
    return status;
}

static void survives_failing_allocations(void **unused)
{
    (void)unused;
    static const char *const specs[] = {"ivf(nlist=16)", "ivf(nlist=16, code=pq(m=4, bits=4), refine=f32, spill=soar)"};
    for (int i = 0; i < 2; i++) {
        sonde_index *index = NULL;
        sonde_array old = sonde_f32(w.x, 160, DIM), new = sonde_f32(w.x + OLD * DIM, 540, DIM);
        OK(sonde_index_create(specs[i], DIM, NULL, &index));
        OK(sonde_index_add(index, &old, NULL));
        OK(sonde_index_add(index, &new, NULL));
        small_bytes = bytes_of(index, &small_length);
        sonde_index_free(index);
        assert_true(failing_walk(compact_under_failure) > 50);
        free(small_bytes);
    }
}

/* Cancelled at any checkpoint, the index is as before, or split already and only not yet compact. */
static void survives_cancelling(void **unused)
{
    (void)unused;
    size_t length, now;
    sonde_index *whole_index = drifted(splittable[2], NULL);
    uint8_t *before = bytes_of(whole_index, &length);
    int64_t drifted_lists = drift_of(whole_index).long_lists;
    sonde_index_free(whole_index);
    int as_before = 0;
    sonde_status status = SONDE_CANCELLED;
    for (int n = 0; status == SONDE_CANCELLED; n += 1 + n / 8) {
        int left = 1 << 30;
        sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
        sonde_runtime *runtime;
        sonde_index *index = NULL;
        options.threads = 1;
        options.progress = cancel_later;
        options.progress_user = &left;
        OK(sonde_runtime_create(&options, &runtime));
        OK(sonde_index_open_buffer(before, length, NULL, runtime, &index));
        left = n;
        status = sonde_index_compact(index);
        left = 1 << 30;
        if (status == SONDE_CANCELLED && stats_of(index).lists == LISTS) {
            uint8_t *after = bytes_of(index, &now);
            assert_int_equal(length, now);
            assert_memory_equal(before, after, length);
            free(after);
            as_before++;
        } else assert_true(drift_of(index).long_lists < drifted_lists);
        OK(sonde_index_check(index));
        sonde_index_free(index);
        sonde_runtime_free(runtime);
    }
    assert_int_equal(status, SONDE_OK);
    assert_true(as_before > 5);
    free(before);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    CASE(the_drift_is_told),
    CASE(compact_splits_long_lists),
    CASE(compact_ends),
    CASE(what_cannot_be_split_stays),
    CASE(removed_rows_stay_removed),
    CASE(rows_are_stored_as_by_an_add),
    CASE(same_bytes_for_any_number_of_threads),
    CASE(files_keep_a_split),
    CASE(merging_knows_splits),
    CASE(equal_rows_end_a_split),
    CASE(readers_see_old_or_new),
    CASE(survives_failing_allocations),
    CASE(survives_cancelling),
};

SONDE_TEST_MAIN(tests)
