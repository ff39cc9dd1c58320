/* sonde/index.h: finds the nearest stored vectors, such as flat(metric=cosine), ivf(nlist=1024, code=sq(bits=8)).
 *
 * An index holds rows of `dim` columns under 64-bit ids. One thread may add and remove while any number of threads
 * search; each search sees the index as it was after one whole add or remove, never a part of one, and takes no lock.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_INDEX_H
#define SONDE_INDEX_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Rows of `dim` columns under 64-bit ids, and what it takes to find the nearest of them. */
typedef struct sonde_index sonde_index;

/* ---- Making and filling ------------------------------------------------------------------------------ */

/* Makes an empty index for vectors of `dim` columns (1..65536; for dtype=bits the number of bits) from a spec. Every
 * index kind has the keys metric (l2, ip, cosine; flat with dtype=bits: hamming) and duplicates (replace, refuse).
 * INVALID_ARGUMENT, NOT_FOUND, OUT_OF_MEMORY. Class A. Since 1.0. */
SONDE_API sonde_status sonde_index_create(const char *spec, int64_t dim, sonde_runtime *runtime, sonde_index **index);

/* Learns what the method must learn (ivf: centroids and codes) from named inputs: "vectors" (n x dim). Without it the
 * first add trains on what it is given. STATE if rows are stored already; on failure or cancel nothing has changed.
 * Class C. Since 1.0. */
SONDE_API sonde_status sonde_index_train(sonde_index *index, const sonde_input *inputs, size_t count);

/* Adds rows. vectors: n x dim, any numeric dtype (dtype=bits: bits). ids: n values >= 0 in any order, or NULL for the
 * numbers that follow the largest id so far (0, 1, 2, ... at first). An id that is stored already is replaced (upsert;
 * with the spec key duplicates=refuse it is INVALID_ARGUMENT); an id that is twice in `ids` is INVALID_ARGUMENT. All
 * rows or none. NaN and infinities are INVALID_ARGUMENT, zero vectors are stored. Also LIMIT, OUT_OF_MEMORY, CANCELLED,
 * STATE (opened mapped). Class B. Since 1.0. */
SONDE_API sonde_status sonde_index_add(sonde_index *index, const sonde_array *vectors, const int64_t *ids);

/* Removes the rows of these ids; ids that are not stored are passed over. *removed (may be NULL) is how many were.
 * Space comes back as segments empty, and wholly with compact. Class B. Since 1.0. */
SONDE_API sonde_status sonde_index_remove(sonde_index *index, const int64_t *ids, int64_t count, int64_t *removed);

/* Rewrites what holds removed rows and gives all spare memory back. Answers do not change, unless rows have drifted (ivf;
 * stats tell): lists that hold more than four times the average are then split in two, again and again, rows around them go
 * to the lists that are now nearest, and the calibration is measured again on stored rows. Each split shows at once with its
 * calibration; it holds the rows that it moves twice. Codes stay as they were trained. On failure or cancel all rows are
 * there, and lists are as before or as after one of these steps. CANCELLED, OUT_OF_MEMORY, STATE (opened mapped). Class B.
 * Since 1.0. */
SONDE_API sonde_status sonde_index_compact(sonde_index *index);

/* Adds every row of `from` (upsert). Both must have the same spec and, where trained, the same trained parts (made by
 * opening the same file, or from the same training, and split alike by compact if at all); else INCOMPATIBLE. Class B on
 * index, A on from. Since 1.0. */
SONDE_API sonde_status sonde_index_merge(sonde_index *index, const sonde_index *from);

/* Class C. Since 1.0. */
SONDE_API void sonde_index_free(sonde_index *index);

/* ---- Filters ----------------------------------------------------------------------------------------- */

/* Which ids a search may return. Filters act inside the scan: k hits come back whenever k allowed rows exist. */
typedef enum sonde_filter_kind {
    SONDE_FILTER_BITMAP = 1,  /* id i is allowed if bit i is set (bit i % 8 of byte i / 8); ids >= count are not */
    SONDE_FILTER_IDS = 2,     /* ids[0..count), ascending */
    SONDE_FILTER_RANGE = 3,   /* first <= id < last */
    SONDE_FILTER_CALLBACK = 4 /* accept(id, user) != 0; called on the calling thread only, so the search is serial */
} sonde_filter_kind;

typedef struct sonde_filter {
    uint32_t size;       /* sizeof(sonde_filter), set by SONDE_FILTER_INIT */
    uint32_t kind;       /* a sonde_filter_kind */
    uint32_t exclude;    /* 1 = the filter names what is forbidden instead */
    uint32_t reserved;
    const uint8_t *bits; /* BITMAP: (count + 7) / 8 bytes */
    const int64_t *ids;  /* IDS */
    int64_t count;       /* BITMAP: bits; IDS: ids */
    int64_t first, last; /* RANGE */
    int (*accept)(int64_t id, void *user); /* CALLBACK */
    void *user;
} sonde_filter;

#define SONDE_FILTER_INIT {sizeof(sonde_filter), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

/* ---- Searching --------------------------------------------------------------------------------------- */

/* Settings belong to the call, never to the index. */
typedef struct sonde_search_options {
    uint32_t size;    /* sizeof(sonde_search_options), set by SONDE_SEARCH_OPTIONS_INIT */
    uint32_t k;       /* hits a query, 0 = 10; at most 65536 */
    float recall;     /* share of the true k nearest that is wanted, in (0, 1]; 0 = 0.95; 1 = exact over what is stored */
    uint32_t effort;  /* instead of recall: a fixed effort (ivf: lists visited); 0 = by recall */
    uint32_t refine;  /* with effort: candidates a hit that are scored again on the refine tier; 0 = the method's own */
    uint32_t threads; /* most threads for this call; 0 = the runtime's */
    const sonde_filter *filter; /* NULL = all rows */
    int64_t filter_count;       /* 0 or 1: one filter for all queries; else one for each query (= rows of queries) */
} sonde_search_options;

#define SONDE_SEARCH_OPTIONS_INIT {sizeof(sonde_search_options), 0, 0, 0, 0, 0, 0, 0}

/* Why a query's list of hits ended. */
typedef enum sonde_stop {
    SONDE_STOP_EXACT = 1,  /* every allowed row was scored: these are the k best */
    SONDE_STOP_EFFORT = 2, /* the wanted effort or recall was reached */
    SONDE_STOP_FEWER = 3   /* every allowed row was scored and there are fewer than k */
} sonde_stop;

/* Where hits go: row-major nq x k, best first, yours. Missing hits have id -1 and the worst score of the metric
 * (+infinity for l2 and hamming, -infinity for ip and cosine). Equal scores come in ascending order of id. */
typedef struct sonde_hits {
    uint32_t size;     /* sizeof(sonde_hits), set by SONDE_HITS_INIT */
    uint32_t reserved;
    int64_t *ids;      /* nq x k, required */
    float *scores;     /* nq x k, or NULL */
    int32_t *count;    /* nq: hits found, or NULL */
    uint8_t *reason;   /* nq: a sonde_stop, or NULL */
} sonde_hits;

#define SONDE_HITS_INIT {sizeof(sonde_hits), 0, 0, 0, 0, 0}

/* The k nearest rows of each query. queries: nq x dim, any numeric dtype (dtype=bits: bits), finite. options NULL =
 * defaults. An empty index gives no hits and OK. Many queries in one call share work and are much faster than one each.
 * Up to 4 queries over less than 1e9 stored numbers tell no progress: that would be dearer than they are.
 * INVALID_ARGUMENT, CANCELLED, CALLBACK, OUT_OF_MEMORY. Class A. Since 1.0. */
SONDE_API sonde_status sonde_index_search(const sonde_index *index, const sonde_array *queries,
                                          const sonde_search_options *options, sonde_hits *hits);

/* All rows within `radius`: l2 and hamming score <= radius, ip and cosine score >= radius. options->k is not used;
 * recall, effort and filters are as in search (exact by default: recall 0 means 1 here). The result is yours. Class A. */
typedef struct sonde_range_hits sonde_range_hits;
SONDE_API sonde_status sonde_index_range_search(const sonde_index *index, const sonde_array *queries, float radius,
                                                const sonde_search_options *options, sonde_range_hits **hits);
/* The arrays inside: hits of query i are offsets[i] .. offsets[i + 1] of ids and scores, best first. They live until
 * sonde_range_hits_free. Any output may be NULL. Class A. Since 1.0. */
SONDE_API void sonde_range_hits_view(const sonde_range_hits *hits, const int64_t **offsets, const int64_t **ids,
                                     const float **scores);
SONDE_API void sonde_range_hits_free(sonde_range_hits *hits);

/* Joins what several searches found for the same queries (shards of one data set, replicas, index kinds): the k best of
 * all, in the order of sonde_hits. parts[0..count): what searches with one metric wrote, best first; part p holds
 * queries x widths[p], and its scores are needed. An id that several parts found comes once, with its best score; ids of
 * -1 are passed over. merged: queries x k, yours; its reason needs the parts' reasons (EXACT or FEWER where every part
 * says so, else EFFORT). INVALID_ARGUMENT (a part that is not best first is named), OUT_OF_MEMORY. Time
 * O(queries k count). Class A. Since 1.0. */
SONDE_API sonde_status sonde_topk_merge(uint32_t metric, const sonde_hits *parts, const uint32_t *widths, size_t count,
                                        int64_t queries, uint32_t k, sonde_runtime *runtime, sonde_hits *merged);

/* ---- Recall instead of knobs ------------------------------------------------------------------------- */

typedef struct sonde_tune_options {
    uint32_t size;     /* sizeof(sonde_tune_options), set by SONDE_TUNE_OPTIONS_INIT */
    uint32_t threads;  /* 0 = the runtime's */
    double seconds;    /* time budget, 0 = none; at least one pass is made */
    uint64_t seed;     /* of the choice of rows when queries is NULL */
} sonde_tune_options;

#define SONDE_TUNE_OPTIONS_INIT {sizeof(sonde_tune_options), 0, 0, 0}

/* Measures which effort reaches which recall for k = 1, 10 and 100 on sample queries (at least 50; 500 or more are
 * better; real queries are best; NULL = disturbed stored rows), against exact search, and keeps the curve in the index
 * and its file. The first add of at least 1,000 rows calibrates on stored rows by itself. flat: nothing to do, OK.
 * INVALID_ARGUMENT, STATE (empty or untrained), CANCELLED (the old curve stays). Class C. Since 1.0. */
SONDE_API sonde_status sonde_index_tune(sonde_index *index, const sonde_array *queries,
                                        const sonde_tune_options *options);

/* One point of the calibrated curve. */
typedef struct sonde_operating_point {
    uint32_t size;     /* set by SONDE_OPERATING_POINT_INIT */
    uint32_t k;
    uint32_t effort;
    uint32_t refine;   /* candidates a hit that are scored again; grows with the recall */
    float recall;      /* mean over the calibration queries */
    float recall_low;  /* lower end of a one-sided 95 % confidence interval of the mean */
    float recall_p05;  /* recall of the worst 5 % */
    float cost;        /* share of the rows that were scored */
    float gap;         /* ivf: effort is the mean; each query visits the lists that score at most this below the mean of its
                        * ten nearest ones. 0: the same number for all */
} sonde_operating_point;

#define SONDE_OPERATING_POINT_INIT {sizeof(sonde_operating_point), 0, 0, 0, 0, 0, 0, 0, 0}

/* The position-th point, ordered by k, then effort. NOT_FOUND past the end. Class A. Since 1.0. */
SONDE_API sonde_status sonde_index_operating_point(const sonde_index *index, uint32_t position,
                                                   sonde_operating_point *point);

/* ---- Looking inside ---------------------------------------------------------------------------------- */

/* Rows stored; columns; metric (a sonde_metric). 0 for NULL. Class A. Since 1.0. */
SONDE_API int64_t sonde_index_count(const sonde_index *index);
SONDE_API int64_t sonde_index_dim(const sonde_index *index);
SONDE_API uint32_t sonde_index_metric(const sonde_index *index);

/* true if the id is stored. Expected O(1) (the first call after opening may build a table). Class A. Since 1.0. */
SONDE_API bool sonde_index_contains(const sonde_index *index, int64_t id);

/* The ids stored, in no particular order: writes at most `capacity`, gives the number stored in *count. Class A. */
SONDE_API sonde_status sonde_index_ids(const sonde_index *index, int64_t *ids, int64_t capacity, int64_t *count);

/* Reconstructs stored rows (exact for flat and where a refine=f32 tier is kept; cosine ivf keeps unit length).
 * out: count x dim, f32 (dtype=bits: bits), yours. NOT_FOUND names the first id that is not stored. Class A. Since 1.0. */
SONDE_API sonde_status sonde_index_get(const sonde_index *index, const int64_t *ids, int64_t count, sonde_array *out);

/* The full spec with every default filled in. Lives as long as the handle. Class A. Since 1.0. */
SONDE_API const char *sonde_index_spec(const sonde_index *index);

typedef struct sonde_index_stats {
    uint32_t size;          /* set by SONDE_INDEX_STATS_INIT */
    uint32_t metric;        /* a sonde_metric */
    int64_t dim;
    int64_t count;          /* live rows */
    int64_t removed;        /* rows removed but not yet given back */
    int64_t lists;          /* partitions (flat: 1) */
    int64_t largest_list;   /* rows */
    int64_t empty_lists;
    uint64_t memory_bytes;  /* held by the handle; mapped bytes are not in it */
    uint64_t mapped_bytes;
    uint64_t row_bytes;     /* bytes stored for a row: code, refine tier, factors, id */
    uint64_t version;       /* grows by 1 with each add, remove, compact or merge that changed something */
    uint32_t trained;       /* 1 or 0 */
    uint32_t calibrated;    /* 0 no, 1 on stored rows, 2 on given queries */
    int64_t calibrated_at;  /* live rows at calibration */
    float drift;            /* ivf: mean distance of stored rows to their centroids (a sample of 2,048), over that of the
                             * training rows: 1 = none; 0 = not known */
    uint32_t split;         /* 0 no list is too long; 1 compact would split some; 2 some are, but cannot be split: lists of low
                             * rank, and residual codes without a refine tier */
    int64_t long_lists;     /* with more than four times the rows of the average list, and 64 or more. Those of equal rows stay
                             * so after compact */
} sonde_index_stats;

#define SONDE_INDEX_STATS_INIT {sizeof(sonde_index_stats), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

/* What the index holds now, as one search would see it. Class A. Since 1.0. */
SONDE_API sonde_status sonde_index_stats_get(const sonde_index *index, sonde_index_stats *stats);

/* Bytes of memory that an index of this spec would hold with `rows` rows, and the most it needs while it is built from
 * them in one add. Either output may be NULL. INVALID_ARGUMENT, NOT_FOUND. Class A. Since 1.0. */
SONDE_API sonde_status sonde_index_estimate(const char *spec, int64_t dim, int64_t rows, uint64_t *memory_bytes,
                                            uint64_t *build_bytes);

/* Proves the structure: counts, ids, locations, codes in range. CORRUPT names the first thing that is wrong. O(n).
 * Class A. Since 1.0. */
SONDE_API sonde_status sonde_index_check(const sonde_index *index);

/* ---- Files ------------------------------------------------------------------------------------------- */

/* Writes one file, atomically: a crash or a full disk leaves the old file. The same content gives the same bytes. It
 * saves what one search would see; others may add meanwhile. IO, OUT_OF_MEMORY, CANCELLED. Class A. Since 1.0. */
SONDE_API sonde_status sonde_index_save(const sonde_index *index, const char *path);

/* Opens a file; needs only the path. options NULL = read into memory and verify everything. IO, NOT_FOUND, CORRUPT,
 * INCOMPATIBLE, LIMIT. Class A. Since 1.0. */
SONDE_API sonde_status sonde_index_open(const char *path, const sonde_open_options *options, sonde_runtime *runtime,
                                        sonde_index **index);

/* The same bytes in memory. With capacity 0 it measures: *length = bytes needed; else LIMIT if capacity is too small.
 * Class A. Since 1.0. */
SONDE_API sonde_status sonde_index_save_buffer(const sonde_index *index, void *buffer, size_t capacity, size_t *length);
SONDE_API sonde_status sonde_index_open_buffer(const void *buffer, size_t length, const sonde_open_options *options,
                                               sonde_runtime *runtime, sonde_index **index);

#ifdef __cplusplus
}
#endif

#endif
