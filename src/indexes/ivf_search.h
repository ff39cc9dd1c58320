/* ivf_search.h: what the parts of a search in an inverted file share: ivf_coarse.c chooses lists, ivf_search.c scans them,
 * ivf_finish.c turns candidates into hits.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_IVF_SEARCH_H
#define SONDE_SRC_IVF_SEARCH_H

#include "indexes/fast.h"
#include "indexes/ivf.h"

/* What the queries of one search share. */
typedef struct sonde__ivf_plan {
    sonde__search *search;
    const sonde__ivf *ivf;
    const sonde__ivf_learned *learned; /* of the snapshot */
    int64_t lists;
    bool fast_scan;       /* lists are scanned by `fast`, else by `scorer` */
    sonde__fast fast;
    sonde__scorer scorer; /* scorer.code: scores are of codes, to which a centroid's part may belong */
    bool rows_stored;     /* rows are there for a last score */
    bool again;           /* what lists give is scored again: on rows, or on the refine code */
    bool finer;           /* candidates are scored again before, by their whole codes */
    bool exact;           /* every allowed row is scored on stored rows */
    int64_t probes;       /* lists that a query visits, at most */
    int64_t least;        /* and at least; the same unless there is a gap */
    float gap;            /* as in sonde_operating_point, or 0 */
    int64_t keep;         /* candidates of a query that come from the lists */
    int64_t keep_finer;   /* that are left after the second score by codes */
    bool whole;           /* lists are scored by whole codes, which lie in two columns */
    bool lorann;          /* lists are scored by their products of low rank */
} sonde__ivf_plan;

/* One block of queries at work. */
typedef struct sonde__ivf_block {
    const sonde__ivf_plan *plan;
    int64_t first, count; /* queries of the search */
    const float *query;   /* prepared: unit length for cosine, doubled for l2 */
    int32_t *list;        /* count x probes, some of the nearest first */
    int32_t *probes;      /* lists of each query, at most plan->probes */
    float *bias;          /* count x probes: for the lane */
    float *scores;        /* count x lists: coarse */
    uint8_t *tables;      /* count query tables, or NULL */
    int64_t table_bytes;
    int workers;
    sonde__top *tops; /* workers x count */
    int64_t *start;   /* by lists: pairs of list l are start[l]..start[l + 1] */
    int32_t *pair;    /* which query */
    float *pair_bias;
} sonde__ivf_block;

/* ivf_coarse.c: queries as the scan needs them; then the lists of each. */
sonde_status sonde__ivf_prepare(sonde__ivf_block *block, sonde__scratch *scratch);
sonde_status sonde__ivf_choose(sonde__ivf_block *block, sonde__scratch *scratch);
#define SONDE__IVF_NEAREST 10 /* lists that come first, nearest first, and that gaps are measured from */
/* Gaps with which n queries visit so many lists on average. */
sonde_status sonde__ivf_gaps(const sonde_index *index, const sonde__snapshot *snapshot, const float *queries, int64_t n,
                             int threads, const int64_t *efforts, int64_t count, float *gaps);
/* What the centroids of lists add to the scores of their residual codes. */
void sonde__ivf_centroid_parts(const sonde__ivf_block *block, int64_t query, const int32_t *lists, int64_t count,
                               float *parts);

/* ivf_finish.c: candidates of the block's queries [begin, end) (in tops of worker 0) to hits of the search, best first. */
sonde_status sonde__ivf_finish(const sonde__ivf_block *block, int64_t begin, int64_t end, sonde__scratch *scratch);
/* Scores all live allowed rows of a list by their whole codes. */
sonde_status sonde__ivf_scan_whole(const sonde__ivf_plan *plan, int64_t list, sonde__lane *lanes, int64_t count,
                                   sonde__scratch *scratch);

#endif
