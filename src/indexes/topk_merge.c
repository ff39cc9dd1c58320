/* topk_merge.c: joins the hits that several searches found for the same queries into the k best of all.
 *
 * Each part is in order already, so a query costs one walk along the fronts of its parts: the best front is taken, and
 * its part moves on. An id that was taken before is passed over; a small hash table of the ids of one query says so.
 * The table is never cleared: an entry counts only if it carries the number of the query at hand.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "indexes/index.h"

typedef struct seen_id {
    int64_t id;
    int64_t query; /* 1 + the query that took it; 0 = free */
} seen_id;

typedef struct merge {
    float sign; /* times a score: larger is better */
    sonde_hits *part;
    const uint32_t *width;
    int64_t *front; /* how far each part has been walked for the query at hand */
    size_t parts;
    seen_id *seen;
    uint64_t mask; /* entries of seen - 1 */
} merge;

/* ---- checking ---------------------------------------------------------------------------------------- */

static sonde_status check_order(const merge *m, size_t p, int64_t queries)
{
    const float *scores = m->part[p].scores;
    int64_t width = m->width[p];
    for (int64_t q = 0; q < queries; q++)
        for (int64_t i = 0; i < width; i++) {
            float score = scores[q * width + i];
            bool first = i == 0 || m->part[p].ids[q * width + i] < 0;
            if (isnan(score) || (!first && m->sign * score > m->sign * scores[q * width + i - 1]))
                return sonde__fail(SONDE_INVALID_ARGUMENT,
                                   "topk_merge: part %zu, query %lld: score %lld is %g, the one before is better "
                                   "(or it is NaN); parts come best first for the metric that is given",
                                   p, (long long)q, (long long)i, (double)score);
        }
    return SONDE_OK;
}

/* Copies part p, of the size that its caller compiled with. */
static sonde_status read_part(merge *m, const sonde_hits *parts, size_t p, int64_t queries, bool reasons)
{
    const sonde_hits *given = (const sonde_hits *)((const char *)parts + p * parts[0].size);
    SONDE_TRY(sonde__options_read(given, sizeof *given, "topk_merge: part", &m->part[p]));
    if (m->width[p] < 1 || m->width[p] > SONDE__MAX_K)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "topk_merge: widths[%zu] is %u, expected 1..%d", p, m->width[p],
                           SONDE__MAX_K);
    const char *lacks = !m->part[p].ids ? "ids" : !m->part[p].scores ? "scores" : NULL;
    if (!lacks && reasons && !m->part[p].reason) lacks = "reason";
    if (lacks && queries > 0)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "topk_merge: part %zu has no %s", p, lacks);
    return check_order(m, p, queries);
}

static sonde_status check_call(uint32_t metric, const sonde_hits *parts, const uint32_t *widths, size_t count,
                               int64_t queries, uint32_t k, const sonde_hits *merged)
{
    if (metric < SONDE_METRIC_L2 || metric > SONDE_METRIC_HAMMING)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "topk_merge: metric %u is none of 1 (l2), 2 (ip), 3 (cosine), "
                           "4 (hamming)", metric);
    if (!parts || !widths || count == 0)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "topk_merge: %s",
                           count == 0 ? "there are no parts" : parts ? "widths is NULL" : "parts is NULL");
    if (queries < 0 || queries > SONDE__MAX_ROWS || k < 1 || k > SONDE__MAX_K)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "topk_merge: queries=%lld, k=%u, expected 0 or more and 1..%d",
                           (long long)queries, k, SONDE__MAX_K);
    if (!merged->ids && queries > 0)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "topk_merge: merged->ids is NULL");
    return SONDE_OK;
}

/* ---- merging ----------------------------------------------------------------------------------------- */

/* The part whose front comes next, or -1; fronts that hold no hit are at their end. */
static int64_t best_front(const merge *m, int64_t q)
{
    int64_t best = -1, best_id = 0;
    float best_score = 0;
    for (size_t p = 0; p < m->parts; p++) {
        int64_t at = q * m->width[p] + m->front[p];
        if (m->front[p] == m->width[p] || m->part[p].ids[at] < 0) continue;
        float score = m->sign * m->part[p].scores[at];
        int64_t id = m->part[p].ids[at];
        if (best >= 0 && (score < best_score || (score == best_score && id >= best_id))) continue;
        best = (int64_t)p;
        best_score = score;
        best_id = id;
    }
    return best;
}

/* true the first time that an id comes for a query. */
static bool first_time(merge *m, int64_t id, int64_t q)
{
    uint64_t slot = (uint64_t)id * 0x9e3779b97f4a7c15u >> 32;
    for (;; slot++) {
        seen_id *entry = &m->seen[slot & m->mask];
        if (entry->query != q + 1) {
            *entry = (seen_id){id, q + 1};
            return true;
        }
        if (entry->id == id) return false;
    }
}

static int32_t merge_query(merge *m, int64_t q, int64_t k, const sonde_hits *out)
{
    int64_t found = 0, p;
    memset(m->front, 0, m->parts * sizeof *m->front);
    while (found < k && (p = best_front(m, q)) >= 0) {
        int64_t at = q * m->width[p] + m->front[p]++;
        if (!first_time(m, m->part[p].ids[at], q)) continue;
        out->ids[q * k + found] = m->part[p].ids[at];
        if (out->scores) out->scores[q * k + found] = m->part[p].scores[at];
        found++;
    }
    for (int64_t i = found; i < k; i++) {
        out->ids[q * k + i] = -1;
        if (out->scores) out->scores[q * k + i] = -INFINITY * m->sign;
    }
    return (int32_t)found;
}

static uint8_t joined_reason(const merge *m, int64_t q, bool full)
{
    for (size_t p = 0; p < m->parts; p++)
        if (m->part[p].reason[q] == SONDE_STOP_EFFORT) return SONDE_STOP_EFFORT;
    return full ? SONDE_STOP_EXACT : SONDE_STOP_FEWER;
}

/* At most half full: no more than k ids of a query enter. */
static sonde_status make_room(sonde_runtime *runtime, merge *m, uint32_t k)
{
    uint64_t entries = 4;
    while (entries < 2 * (uint64_t)k) entries *= 2;
    m->mask = entries - 1;
    SONDE_TRY(SONDE_NEW(runtime, m->part, m->parts));
    SONDE_TRY(SONDE_NEW(runtime, m->front, m->parts));
    return SONDE_NEW_ZERO(runtime, m->seen, entries);
}

static sonde_status merge_parts(merge *m, const sonde_hits *parts, int64_t queries, uint32_t k, const sonde_hits *out)
{
    for (size_t p = 0; p < m->parts; p++) SONDE_TRY(read_part(m, parts, p, queries, out->reason != NULL));
    for (int64_t q = 0; q < queries; q++) {
        int32_t found = merge_query(m, q, k, out);
        if (out->count) out->count[q] = found;
        if (out->reason) out->reason[q] = joined_reason(m, q, found == (int32_t)k);
    }
    return SONDE_OK;
}

sonde_status sonde_topk_merge(uint32_t metric, const sonde_hits *parts, const uint32_t *widths, size_t count,
                              int64_t queries, uint32_t k, sonde_runtime *runtime, sonde_hits *merged)
{
    sonde_hits out;
    SONDE_TRY(sonde__options_read(merged, sizeof out, "topk_merge: merged", &out));
    SONDE_TRY(check_call(metric, parts, widths, count, queries, k, &out));
    bool similarity = metric == SONDE_METRIC_IP || metric == SONDE_METRIC_COSINE;
    merge m = {.sign = similarity ? 1 : -1, .width = widths, .parts = count};
    sonde_runtime *held;
    SONDE_TRY(sonde__runtime_hold(runtime, &held));
    sonde_status status = make_room(held, &m, k);
    if (status == SONDE_OK) status = merge_parts(&m, parts, queries, k, &out);
    sonde__free(held, m.part);
    sonde__free(held, m.front);
    sonde__free(held, m.seen);
    sonde__runtime_drop(held);
    return status;
}
