/* index.h: the internal door of the indexes room.
 *
 * Every index kind stands on one common layer:
 *
 *   index --current--> snapshot --> list 0..L-1 --> segment 0..S-1 --> ids[], column 0..3, gone bits
 *
 * A snapshot and all that hangs on it never changes once published, but for rows behind a segment's count, which only
 * the writer touches. A write builds new headers for what it changes, shares the rest, publishes the new snapshot with
 * one atomic store, and retires what it replaced; retired memory goes when no reader is left that could see it (an epoch
 * a reader, store.c). So a search takes no lock, and sees each write wholly or not at all.
 *
 * A kind says how wide its columns are, which list a row belongs to, and how to score; ids, upsert, removal, filters,
 * compaction, files, merging, checks and statistics are written once, here.
 *
 * Inside this room a score is always "larger is nearer" (l2 and hamming negated); search.c turns it into the metric's.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_INDEX_H
#define SONDE_SRC_INDEX_H

#include "base/base.h"
#include "kernels/kernels.h"
#include "quantizers/quantizer.h"

typedef struct sonde__curve sonde__curve;

/* ---- store.c: rows, lists, snapshots ----------------------------------------------------------------- */

#define SONDE__MAX_K 65536 /* hits a query */
#define SONDE__COLUMNS 8
#define SONDE__BLOCK_ROWS SONDE__NIBBLE_ROWS /* rows of a block of a blocked column */
#define SONDE__MAX_LISTS ((int64_t)1 << 27)
#define SONDE__SEGMENT_ROWS 65536 /* most rows of a segment; a location has 16 bits for the row */

/* Widths in bytes of what is stored for a row, beside its id. A blocked column lies as the fast scan wants it: in blocks of
 * 32 rows, byte p of all of them side by side. No two rows share a byte, so a writer can append beside readers. */
typedef struct sonde__layout {
    int columns;
    int64_t width[SONDE__COLUMNS];
    bool blocked[SONDE__COLUMNS];
    int copies; /* how often each row is stored: 0 or 1 = once; 2 = once more, under the id ~id (ivf: spilled lists) */
} sonde__layout;
/* The caller's id of a stored one: copies have theirs complemented. */
static inline int64_t sonde__row_id(int64_t stored) { return stored ^ (stored >> 63); }

/* Bytes of `rows` rows of a column. */
static inline int64_t sonde__column_bytes(const sonde__layout *layout, int column, int64_t rows)
{
    int64_t block = layout->blocked[column] ? SONDE__BLOCK_ROWS : 1;
    return (rows + block - 1) / block * block * layout->width[column];
}
/* Where byte 0 of a row of a blocked column of this width is; byte p is p * SONDE__BLOCK_ROWS behind. */
static inline int64_t sonde__block_at(int64_t width, int64_t row)
{
    return row / SONDE__BLOCK_ROWS * SONDE__BLOCK_ROWS * width + row % SONDE__BLOCK_ROWS;
}
static inline void sonde__column_put(uint8_t *column, int64_t width, int64_t row, const uint8_t *from)
{
    uint8_t *to = column + sonde__block_at(width, row);
    for (int64_t p = 0; p < width; p++) to[p * SONDE__BLOCK_ROWS] = from[p];
}
static inline void sonde__column_get(const uint8_t *column, int64_t width, int64_t row, uint8_t *to)
{
    const uint8_t *from = column + sonde__block_at(width, row);
    for (int64_t p = 0; p < width; p++) to[p] = from[p * SONDE__BLOCK_ROWS];
}

/* Memory that one or more segments point into: an own block, or a part of an opened file. Writer only. */
typedef struct sonde__slab {
    int64_t shares;
    sonde__blob blob[1 + SONDE__COLUMNS]; /* own block: only the first; opened file: ids and columns */
} sonde__slab;

typedef struct sonde__segment {
    int64_t count, capacity; /* rows in use and rows that fit */
    int64_t removed;         /* rows whose gone bit is set */
    int64_t *ids;
    uint8_t *column[SONDE__COLUMNS]; /* row i at column[c] + i * width[c], unless c is blocked */
    const uint64_t *gone;    /* bit i of word i / 64; NULL if removed == 0. Part of this header's own memory */
    sonde__slab *slab;
} sonde__segment;

typedef struct sonde__list {
    int64_t rows, removed; /* sums over the segments */
    int64_t segments;
    const sonde__segment *segment[];
} sonde__list;

typedef struct sonde__snapshot {
    uint64_t version;
    int64_t rows, removed; /* sums over the lists */
    int64_t next_id;       /* the id that the next row without one gets */
    int64_t copies;        /* of each row, 1 or 2: rows and removed count all of them */
    int64_t lists;
    const void *learned;   /* what the kind has learned for these very lists, and replaces with them; NULL: nothing */
    _Atomic(const sonde__curve *) curve; /* what searches go by; NULL until calibrated */
    const sonde__list *list[];
} sonde__snapshot;

/* Asks for the lines of `bytes` from a place on, which will be read soon. */
static inline void sonde__ask_for(const void *from, int64_t bytes)
{
    for (int64_t at = 0; at < bytes; at += 64) {
        __builtin_prefetch((const uint8_t *)from + at, 0, 2);
        __asm__ volatile("" ::: "memory"); /* GCC 12 drops such loops otherwise */
    }
}

/* Rows as the caller counts them. */
static inline int64_t sonde__live_rows(const sonde__snapshot *snapshot)
{
    return (snapshot->rows - snapshot->removed) / snapshot->copies;
}

typedef struct sonde__store sonde__store;
sonde_status sonde__store_create(sonde_runtime *runtime, const sonde__layout *layout, int64_t lists,
                                 sonde__store **store);
/* Gives a fresh store the learned parts of its first snapshot; they and their successors are the store's, to `drop`. They
 * come from sonde__shown_alloc, which drop undoes too. */
void sonde__store_learned(sonde__store *store, void *learned, void (*drop)(sonde_runtime *runtime, void *learned));
void sonde__store_free(sonde__store *store); /* no reader may be left */
/* The published snapshot, for the one writer, and for readers inside a visit. */
const sonde__snapshot *sonde__store_current(const sonde__store *store);

/* Readers: everything reached from the snapshot lives until leave. Lock-free, any number at once. */
typedef struct sonde__visit { const sonde__snapshot *snapshot; int slot; } sonde__visit;
sonde__visit sonde__store_enter(const sonde__store *store);
void sonde__store_leave(const sonde__store *store, sonde__visit visit);

/* Where a row is: list << 36 | segment << 16 | row. */
typedef uint64_t sonde__place;
#define SONDE__NOWHERE UINT64_MAX
static inline sonde__place sonde__place_of(int64_t list, int64_t segment, int64_t row)
{
    return (uint64_t)list << 36 | (uint64_t)segment << 16 | (uint64_t)row;
}
static inline int64_t sonde__place_list(sonde__place p) { return (int64_t)(p >> 36); }
static inline int64_t sonde__place_segment(sonde__place p) { return (int64_t)(p >> 16 & 0xfffff); }
static inline int64_t sonde__place_row(sonde__place p) { return (int64_t)(p & 0xffff); }
static inline const sonde__segment *sonde__place_in(const sonde__snapshot *s, sonde__place p)
{
    return s->list[sonde__place_list(p)]->segment[sonde__place_segment(p)];
}
static inline bool sonde__gone(const sonde__segment *segment, int64_t row)
{
    return segment->gone && (segment->gone[row >> 6] >> (row & 63) & 1);
}

/* The place of a live id in this snapshot, or SONDE__NOWHERE. May build the id table first (the one call that can
 * wait for the writer); *status then tells of a failure. Call between enter and leave. A concurrent write may hide an id
 * from an old snapshot: *stale is then true, and the caller enters anew or scans. */
sonde__place sonde__store_find(const sonde__store *store, const sonde__snapshot *snapshot, int64_t id, bool *stale,
                               sonde_status *status);

/* Writers: one at a time; begin waits for the other. Nothing shows until commit; abort takes all back. */
typedef struct sonde__change sonde__change;
sonde_status sonde__change_begin(sonde__store *store, sonde__change **change);
/* Announces rows for lists so that memory is allocated once and exactly: counts[list] for every list. */
sonde_status sonde__change_reserve(sonde__change *change, const int64_t *counts);
/* Appends one row; columns[c] points at width[c] bytes. Ids must not be stored (see take_out). */
sonde_status sonde__change_append(sonde__change *change, int64_t list, int64_t id, const uint8_t *const *columns);
/* Removes stored ids, with their copies; unknown ones are passed over. *removed counts ids. */
sonde_status sonde__change_take_out(sonde__change *change, const int64_t *ids, int64_t count, int64_t *removed);
/* Rewrites segments that hold removed rows, spare room or too few rows (all), or only those that are a quarter removed. Stops
 * after about 64 MiB with *more = true: commit and begin anew, so that nothing is ever held twice. Alone in its change. */
sonde_status sonde__change_compact(sonde__change *change, bool all, bool *more);
/* Fills an empty store with opened data: lengths[list] rows each, in order. On success the blobs (ids, then one a column)
 * belong to the change, committed or aborted. */
sonde_status sonde__change_adopt(sonde__change *change, const int64_t *lengths, int64_t next_id,
                                 const sonde__blob *blobs);
const sonde__snapshot *sonde__change_base(const sonde__change *change); /* what was published at begin */
/* Goes on with at least as many lists, the new ones empty, and with learned parts for all of them. On success these belong
 * to the change, committed or aborted. Once in a change, before rows are appended. */
sonde_status sonde__change_relearn(sonde__change *change, int64_t lists, void *learned);
/* The snapshot that commit will publish, to be looked at before. Nothing can be changed afterwards but its curve. */
sonde_status sonde__change_preview(sonde__change *change, const sonde__snapshot **next);
void sonde__change_curve(sonde__change *change, const sonde__curve *curve); /* previewed; the change owns the curve */
sonde_status sonde__change_commit(sonde__change *change); /* on failure it has been aborted */
void sonde__change_abort(sonde__change *change);          /* NULL is fine */
uint64_t sonde__store_bytes(const sonde__store *store, uint64_t *mapped);
/* A row's bytes of a column, whatever its layout: in place, or copied to `buffer` (width bytes). */
static inline const uint8_t *sonde__segment_row(const sonde__layout *layout, const sonde__segment *segment, int column,
                                                int64_t row, uint8_t *buffer)
{
    int64_t width = layout->width[column];
    if (!layout->blocked[column]) return segment->column[column] + row * width;
    sonde__column_get(segment->column[column], width, row, buffer);
    return buffer;
}
/* Bytes that rows of this layout take when they come in one add. */
uint64_t sonde__layout_bytes(const sonde__layout *layout, int64_t rows, int64_t lists);

/* ---- filter.c ---------------------------------------------------------------------------------------- */

/* INVALID_ARGUMENT for a filter that is none: kind, NULL arrays, unsorted ids, count. */
sonde_status sonde__filter_check(const sonde_search_options *options, int64_t queries);
bool sonde__filter_allows(const sonde_filter *filter, int64_t id); /* NULL allows all */
/* Bits of the live, allowed rows among [first, first + count) of a segment (count <= 64 x words of mask); returns how many.
 * mask is always written. */
int64_t sonde__filter_mask(const sonde_filter *filter, const sonde__segment *segment, int64_t first, int64_t count,
                           uint64_t *mask);
/* About how many live rows are allowed: exact for a small explicit list, else from a sample of rows. Deterministic. */
int64_t sonde__filter_estimate(const sonde_filter *filter, const sonde__snapshot *snapshot);
/* Places of all live allowed rows if there are at most `limit`: through the id table where the filter names few ids, else by
 * one pass. *count = -1 when there are more. places comes from scratch. */
sonde_status sonde__filter_places(const sonde_filter *filter, const sonde__store *store, const sonde__snapshot *snapshot,
                                  int64_t limit, sonde__scratch *scratch, sonde__place **places, int64_t *count);

/* ---- top.c: collecting hits -------------------------------------------------------------------------- */

typedef struct sonde__hit {
    float score; /* larger is nearer */
    uint32_t reserved;
    int64_t id;
    sonde__place place;
} sonde__hit;

/* The best `capacity` hits by (score descending, id ascending), and between settlements some more. In range mode it keeps
 * all hits with score >= floor and grows. NaN never enters. */
typedef struct sonde__top {
    sonde__hit *hits;
    float *scores;          /* of the hits, while it settles; NULL: few are kept, as a heap */
    int64_t capacity, count;
    float threshold;        /* a score must be > this to have a chance: one step below what so many reach, or below floor */
    bool range;
    sonde_runtime *runtime; /* range mode: where it grows */
    sonde_status status;    /* range mode: a failed growth */
} sonde__top;
int64_t sonde__top_room(int64_t capacity); /* hits of storage that a top needs */
void sonde__top_init(sonde__top *top, sonde__hit *storage, int64_t capacity);
void sonde__top_settle(sonde__top *top); /* drops what is beyond capacity; sort and merge do not need it */
void sonde__top_init_range(sonde__top *top, sonde_runtime *runtime, float floor);
void sonde__top_enter(sonde__top *top, const sonde__hit *hit); /* one that is above the threshold */
static inline void sonde__top_push(sonde__top *top, float score, int64_t id, sonde__place place)
{
    sonde__hit hit = {.score = score, .id = id, .place = place};
    if (!(score > top->threshold)) return; /* NaN too */
    if (top->scores && top->count < 2 * top->capacity - 1) top->hits[top->count++] = hit;
    else sonde__top_enter(top, &hit);
}
void sonde__top_merge(sonde__top *top, const sonde__top *other);
void sonde__top_sort(sonde__top *top); /* best first; afterwards only reading and truncation of count are allowed */

/* ---- scan.c: queries against segments ---------------------------------------------------------------- */

/* How rows of one kind are scored. ip values become scores as: ip * scale[row] + bias[row] + lane bias. */
typedef struct sonde__scorer {
    const sonde_quantizer *code; /* codes in `column`; NULL: plain rows of `row_kind` in it */
    int row_kind;                /* SONDE__ROW_*, or SONDE__ROW_BITS of direct.h */
    int column;
    int64_t dim;
    int64_t width;               /* bytes of a row of `column` */
    int scale_column;            /* f32 a row, or -1 */
    int bias_column;             /* f32 a row, or -1 */
} sonde__scorer;

/* A query ready for scanning: prepared so that its inner product is the score up to scale and bias (l2: the query doubled).
 * `table`: codes: the query's table (NULL: the scan makes one for the call); plain rows: a sonde__direct (direct.h) or NULL;
 * SONDE__ROW_BITS: the query's bits. */
typedef struct sonde__lane {
    const float *query;  /* dim values */
    const void *table;
    float bias;          /* added to every score (residual codes: what the list's centroid contributes) */
    const sonde_filter *filter;
    sonde__top *top;
} sonde__lane;

/* Scores all live allowed rows of one list for `count` queries (any number) and pushes them into their tops. Serial; picks
 * one-query scans or panels by count and mask. mask work is shared where the lanes share their filter. */
sonde_status sonde__scan_list(const sonde__scorer *scorer, const sonde__snapshot *snapshot, int64_t list,
                              sonde__lane *lanes, int64_t count, sonde__scratch *scratch);
/* The same for a range of segments of a list (flat splits its one list over workers). */
sonde_status sonde__scan_segments(const sonde__scorer *scorer, const sonde__snapshot *snapshot, int64_t list,
                                  int64_t first_segment, int64_t end_segment, sonde__lane *lanes, int64_t count,
                                  sonde__scratch *scratch);
/* The same for chosen rows. */
sonde_status sonde__scan_places(const sonde__scorer *scorer, const sonde__snapshot *snapshot, const sonde__place *places,
                                int64_t place_count, sonde__lane *lanes, int64_t count, sonde__scratch *scratch);

/* Replaces each hit's score by the direct one on stored rows: column `column` of rows of kind `row_kind`, and sorts.
 * metric l2: -sum (q - x)^2; ip; cosine: ip / (|q| |x|) clamped, 0 for zero vectors (query is the caller's, unscaled). The value
 * for a (query, row) never depends on what else is rescored. */
void sonde__rescore(uint32_t metric, int row_kind, int column, int64_t width, const sonde__snapshot *snapshot,
                    const float *query, int64_t dim, sonde__top *top);

/* ---- search.c: the public searches, and what they hand to a kind ------------------------------------- */

typedef struct sonde__search {
    const sonde_index *index;
    const sonde__snapshot *snapshot;
    sonde_runtime *runtime;
    int64_t queries;
    const float *query;     /* queries x dim, f32, as given; NULL for bits */
    const sonde_array *raw; /* the checked view as given (bits, integer kernels) */
    int64_t k;              /* range: the k that the effort is chosen for */
    float recall;           /* in (0, 1], or 0 when effort is given */
    int64_t effort, refine;
    float gap;              /* with effort: as in sonde_operating_point */
    int threads;            /* resolved, >= 1; 1 when a filter calls back */
    const sonde_filter *filter;
    int64_t filter_count;   /* 0, 1 or queries */
    sonde__top *top;        /* one per query: results, in internal scores; the kind sorts them */
    uint8_t *reason;        /* one per query: a sonde_stop */
    int64_t *scored;        /* one per query: rows that were scored (for calibration), or NULL */
    const char *stage;      /* progress text; NULL inside other work, which tells its own */
} sonde__search;
static inline const sonde_filter *sonde__search_filter(const sonde__search *search, int64_t query)
{
    return search->filter_count > 1 ? search->filter + query : search->filter;
}

/* Search from inside the library (calibration): results in internal scores. tops are the caller's. */
sonde_status sonde__index_search_f32(const sonde_index *index, const sonde__snapshot *snapshot, sonde__search *search);
/* Internal score to the metric's, for output. */
float sonde__score_out(uint32_t metric, float score);

/* ---- tune.c: the calibrated curve -------------------------------------------------------------------- */

#define SONDE__OWN_QUERIES 500 /* disturbed rows that calibration takes where no queries are given */

/* Immutable once shown; replaced as a whole. */
struct sonde__curve {
    int64_t count;
    int64_t calibrated_at; /* live rows then */
    uint32_t source;       /* 1 stored rows, 2 given queries */
    sonde_operating_point point[]; /* ordered by k, then effort */
};

/* The cheapest effort and refine depth for a recall at k, interpolated in log k and corrected for growth since calibration;
 * without a curve (NULL), a cautious guess. At most max_effort. */
void sonde__curve_choose(const sonde__curve *curve, int64_t rows, int64_t k, float recall, int64_t max_effort,
                         int64_t *effort, int64_t *refine);
/* The gap that belongs to an effort chosen for k; 0 without a curve. */
float sonde__curve_gap(const sonde__curve *curve, int64_t k, int64_t effort);
/* Measures a snapshot, published or not; queries NULL: stored rows. */
sonde_status sonde__curve_measure(sonde_index *index, const sonde__snapshot *snapshot, const sonde_array *queries,
                                  const sonde_tune_options *options, const sonde__curve **curve);
/* Shows a curve to the searches from now on and retires the old one. */
void sonde__curve_show(sonde_index *index, const sonde__curve *curve);
/* Called after an add: calibrates on stored rows when there are >= 1,000 and none or an outgrown own curve. */
sonde_status sonde__index_autotune(sonde_index *index);

/* ---- the index and its kinds ------------------------------------------------------------------------- */

/* How far the stored rows have moved away from what the lists were learned from. */
typedef struct sonde__drift {
    double drift;       /* mean distance of stored rows to their centroids over that of the training rows; 0: not known */
    int64_t long_lists; /* that hold more than four times the average */
    bool splits;        /* the codes can be made again from what is stored, so compact splits those */
} sonde__drift;

typedef struct sonde__index_method {
    sonde__method method; /* name, keys, inputs */
    /* Reads params; sets layout, lists, row dtype, trained (false = must learn first) and state. */
    sonde_status (*create)(sonde_index *index);
    int64_t (*min_rows)(const sonde_index *index);                    /* fewest training rows; NULL: learns nothing */
    /* Learns from rows (checked, finite, >= min_rows). Sets layout and lists. On failure the index is as before. */
    sonde_status (*train)(sonde_index *index, const sonde_array *rows);
    /* The list of each row, then of each row's copy if the layout has copies. NULL: all rows go to list 0. Parallel inside.
     * place and fill are called inside a change, whose base is the current snapshot. */
    sonde_status (*place)(const sonde_index *index, const sonde_array *rows, int32_t *lists);
    /* Encodes rows [begin, end) into columns[c] + (i - begin) * width[c]. lists[i] as placed (NULL if place is). Serial,
     * called from a parallel loop. */
    sonde_status (*fill)(const sonde_index *index, const sonde_array *rows, int64_t begin, int64_t end,
                         const int32_t *lists, uint8_t *const *columns);
    sonde_status (*search)(sonde__search *search);
    /* Reconstructs one stored row: f32, or packed bits. */
    void (*get)(const sonde_index *index, const sonde__snapshot *snapshot, sonde__place place, void *out);
    /* Column contents that no encoder can have written (NaN rows, invalid codes) are CORRUPT. NULL: nothing to check. */
    sonde_status (*check)(const sonde_index *index, const sonde__segment *segment, int64_t list);
    /* Bytes of learned parts for this many rows before they exist (memory, and extra while building); sets *layout and
     * *lists as they would be. */
    sonde_status (*estimate)(sonde_index *index, int64_t rows, uint64_t *learned, uint64_t *building);
    sonde_status (*save)(const sonde_index *index, sonde__writer *writer); /* learned parts; NULL: none */
    sonde_status (*load)(sonde_index *index, sonde__reader *reader);       /* sets layout, lists, trained */
    sonde_status (*same)(const sonde_index *a, const sonde_index *b, bool *same); /* equal learned parts; NULL: always */
    void (*drop)(sonde_index *index);                                      /* frees state; state may be NULL */
    bool (*refines)(const sonde_index *index); /* candidates are scored again, so the refine depth matters; NULL: no */
    uint64_t (*learned_bytes)(const sonde_index *index);                   /* memory of learned parts; NULL: none */
    /* The effort that looks at everything. NULL: always exact, nothing to calibrate. */
    int64_t (*max_effort)(const sonde_index *index, const sonde__snapshot *snapshot);
    /* Gaps (sonde_operating_point) with which n queries have these mean efforts. NULL: efforts are the same for all. */
    sonde_status (*gaps)(const sonde_index *index, const sonde__snapshot *snapshot, const float *queries, int64_t n,
                         int threads, const int64_t *efforts, int64_t count, float *gaps);

    /* Kinds that may replace lists beside readers keep what they have learned for them in snapshot->learned; train and load
     * hand those of the first snapshot over (sonde__index_learned). NULL, all five, for other kinds. */
    void (*drop_learned)(sonde_runtime *runtime, void *learned);
    sonde_status (*save_learned)(const sonde_index *index, const void *learned, sonde__writer *writer); /* before save */
    bool (*same_learned)(const sonde_index *index, const void *a, const void *b);
    sonde_status (*drift)(const sonde_index *index, const sonde__snapshot *snapshot, sonde__drift *drift);
    /* Goes on with more lists where some are too long; *done is false where none is, or none can be split. */
    sonde_status (*split)(const sonde_index *index, sonde__change *change, bool *done);
} sonde__index_method;

struct sonde_index {
    sonde_runtime *runtime;
    sonde__params *params;
    const sonde__index_method *method;
    int64_t dim;
    uint32_t metric;      /* sonde_metric */
    uint32_t dtype;       /* of stored rows where they are plain (flat), else f32 */
    uint32_t accepts;     /* mask of dtypes that add and search take */
    bool refuse_duplicates;
    sonde__mutex first;   /* the first add trains: others wait */
    _Atomic bool trained; /* set last: what it guards never changes beside readers afterwards */
    sonde__layout layout;
    int64_t lists;        /* that the store begins with; its snapshots say how many there are */
    sonde__store *store;  /* NULL until trained */
    sonde__reader *file;  /* kept while mapped; then the index is read-only */
    void *learned;        /* for the first snapshot of the next store, which takes it over */
    void *state;          /* the kind's own */
};

extern const sonde__noun sonde__index_noun;

/* Whether an id is stored; unlike sonde_index_contains it tells of memory that was short for finding out. */
sonde_status sonde__index_has(const sonde_index *index, int64_t id, bool *has);

/* index.c, for persist.c: an empty handle from a spec; and its store, once layout and lists are known. */
sonde_status sonde__index_make(const char *spec, int64_t dim, sonde_runtime *runtime, sonde_index **index);
sonde_status sonde__index_store(sonde_index *index);
void sonde__index_learned(sonde_index *index, void *learned); /* for the next store, instead of what waits for it */
/* How far rows have drifted, as this snapshot shows it; all 0 where the kind does not know. */
sonde_status sonde__index_drift(const sonde_index *index, const sonde__snapshot *snapshot, sonde__drift *drift);
/* STATE if the index was opened mapped. */
sonde_status sonde__index_writable(const sonde_index *index, const char *verb);

#endif
