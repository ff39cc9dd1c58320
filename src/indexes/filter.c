/* filter.c: which rows a search may return.
 *
 * Scans ask for a bit mask over a run of rows, so that a filter costs a few instructions a row and blocks without an
 * allowed row are never read. Where few rows are allowed at all, a kind asks for their places and scores only those.
 *
 * Cost of a mask: bitmap, range and id list about a nanosecond a row (the list is followed by a galloping finger, so
 * ascending row ids cost O(1) each and any others O(log count)); a callback is one call for each live row.
 *
 * SPDX-License-Identifier: MIT
 */
#include "indexes/index.h"

#define SAMPLE_ROWS 1024 /* rows looked at to estimate how many a filter allows */
#define FEW_SHARE 32     /* a filter that names fewer than 1/32 of the rows goes through the id table */

/* ---- checking ---------------------------------------------------------------------------------------- */

static sonde_status check_ids(const sonde_filter *filter, int64_t position)
{
    for (int64_t i = 1; i < filter->count; i++)
        if (filter->ids[i] < filter->ids[i - 1])
            return sonde__fail(SONDE_INVALID_ARGUMENT,
                               "filter %lld: ids must be ascending, but ids[%lld] = %lld comes after %lld",
                               (long long)position, (long long)i, (long long)filter->ids[i],
                               (long long)filter->ids[i - 1]);
    return SONDE_OK;
}

static sonde_status check_one(const sonde_filter *filter, int64_t position)
{
    long long at = position;
    if (filter->size != sizeof *filter)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "filter %lld: size is %u, expected %zu; start from SONDE_FILTER_INIT",
                           at, filter->size, sizeof *filter);
    if (filter->exclude > 1 || filter->reserved)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "filter %lld: exclude must be 0 or 1 and reserved 0", at);
    if (filter->kind < SONDE_FILTER_BITMAP || filter->kind > SONDE_FILTER_CALLBACK)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "filter %lld: kind %u is none of 1 (bitmap), 2 (ids), 3 (range), 4 (callback)", at,
                           filter->kind);
    if (filter->kind == SONDE_FILTER_CALLBACK && !filter->accept)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "filter %lld: accept is NULL", at);
    if (filter->kind == SONDE_FILTER_RANGE || filter->kind == SONDE_FILTER_CALLBACK) return SONDE_OK;
    if (filter->count < 0)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "filter %lld: count is %lld", at,
                           (long long)filter->count);
    if (filter->count > 0 && !(filter->kind == SONDE_FILTER_IDS ? (const void *)filter->ids : filter->bits))
        return sonde__fail(SONDE_INVALID_ARGUMENT, "filter %lld: %s is NULL, but count is %lld", at,
                           filter->kind == SONDE_FILTER_IDS ? "ids" : "bits", (long long)filter->count);
    return filter->kind == SONDE_FILTER_IDS ? check_ids(filter, position) : SONDE_OK;
}

sonde_status sonde__filter_check(const sonde_search_options *options, int64_t queries)
{
    int64_t count = options->filter_count;
    if (!options->filter) {
        if (count == 0) return SONDE_OK;
        return sonde__fail(SONDE_INVALID_ARGUMENT, "filter is NULL, but filter_count is %lld",
                           (long long)count);
    }
    if (count < 0 || (count > 1 && count != queries))
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "filter_count is %lld; give one filter for all queries (0 or 1) or one for each "
                           "(%lld)",
                           (long long)count, (long long)queries);
    for (int64_t i = 0; i < sonde__max_i64(count, 1); i++) SONDE_TRY(check_one(options->filter + i, i));
    return SONDE_OK;
}

/* ---- one id, and words of 64 rows -------------------------------------------------------------------- */

/* First position in [low, high) whose id is >= id. */
static int64_t lower_bound(const int64_t *ids, int64_t low, int64_t high, int64_t id)
{
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (ids[middle] < id) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* The same, from a finger that is probably near. */
static int64_t seek(const sonde_filter *filter, int64_t finger, int64_t id)
{
    const int64_t *ids = filter->ids;
    if (finger > 0 && ids[finger - 1] >= id) return lower_bound(ids, 0, finger, id);
    int64_t low = finger, step = 1;
    while (low + step < filter->count && ids[low + step] < id) {
        low += step;
        step *= 2;
    }
    return lower_bound(ids, low, sonde__min_i64(low + step, filter->count), id);
}

static inline bool in_bitmap(const sonde_filter *filter, int64_t id)
{
    return id >= 0 && id < filter->count && (filter->bits[id >> 3] >> (id & 7) & 1);
}

static inline bool in_range(const sonde_filter *filter, int64_t id)
{
    return id >= filter->first && id < filter->last;
}

bool sonde__filter_allows(const sonde_filter *filter, int64_t id)
{
    bool named = true;
    if (!filter) return true;
    id = sonde__row_id(id);
    switch (filter->kind) {
    case SONDE_FILTER_BITMAP: named = in_bitmap(filter, id); break;
    case SONDE_FILTER_RANGE: named = in_range(filter, id); break;
    case SONDE_FILTER_CALLBACK: named = filter->accept(id, filter->user) != 0; break;
    default: {
        int64_t at = lower_bound(filter->ids, 0, filter->count, id);
        named = at < filter->count && filter->ids[at] == id;
    }
    }
    return named != (filter->exclude != 0);
}

static uint64_t word_of_ids(const sonde_filter *filter, const int64_t *ids, int64_t count)
{
    uint64_t word = 0;
    int64_t finger = lower_bound(filter->ids, 0, filter->count, sonde__row_id(ids[0]));
    for (int64_t i = 0; i < count; i++) {
        int64_t id = sonde__row_id(ids[i]);
        finger = seek(filter, finger, id);
        if (finger < filter->count && filter->ids[finger] == id) word |= (uint64_t)1 << i;
    }
    return word;
}

/* Only live rows are shown to the caller's function. */
static uint64_t word_of_callback(const sonde_filter *filter, const int64_t *ids, uint64_t live)
{
    uint64_t word = 0;
    for (uint64_t left = live; left; left &= left - 1) {
        int i = __builtin_ctzll(left);
        if (filter->accept(sonde__row_id(ids[i]), filter->user) != 0) word |= (uint64_t)1 << i;
    }
    return word;
}

/* Which of `count` ids (1..64) the filter names. */
static uint64_t named_word(const sonde_filter *filter, const int64_t *ids, int64_t count, uint64_t live)
{
    uint64_t word = 0;
    switch (filter->kind) {
    case SONDE_FILTER_BITMAP:
        for (int64_t i = 0; i < count; i++) word |= (uint64_t)in_bitmap(filter, sonde__row_id(ids[i])) << i;
        return word;
    case SONDE_FILTER_RANGE:
        for (int64_t i = 0; i < count; i++) word |= (uint64_t)in_range(filter, sonde__row_id(ids[i])) << i;
        return word;
    case SONDE_FILTER_CALLBACK: return word_of_callback(filter, ids, live);
    default: return word_of_ids(filter, ids, count);
    }
}

/* Live rows among [first, first + count), count 1..64, first anywhere. */
static uint64_t live_word(const sonde__segment *segment, int64_t first, int64_t count)
{
    uint64_t all = UINT64_MAX >> (64 - count);
    if (!segment->gone) return all;
    int64_t shift = first & 63;
    uint64_t gone = segment->gone[first >> 6] >> shift;
    if (shift + count > 64) gone |= segment->gone[(first >> 6) + 1] << (64 - shift);
    return all & ~gone;
}

int64_t sonde__filter_mask(const sonde_filter *filter, const sonde__segment *segment, int64_t first,
                           int64_t count, uint64_t *mask)
{
    int64_t allowed = 0;
    for (int64_t i = 0; i < count; i += 64) {
        int64_t rows = sonde__min_i64(count - i, 64);
        uint64_t word = live_word(segment, first + i, rows);
        if (filter && word) {
            uint64_t named = named_word(filter, segment->ids + first + i, rows, word);
            word &= filter->exclude ? ~named : named;
        }
        mask[i >> 6] = word;
        allowed += __builtin_popcountll(word);
    }
    return allowed;
}

/* ---- how many, and where ----------------------------------------------------------------------------- */

static int64_t set_bits(const sonde_filter *filter)
{
    int64_t set = 0, words = filter->count / 64;
    for (int64_t w = 0; w < words; w++) {
        uint64_t word;
        memcpy(&word, filter->bits + w * 8, 8);
        set += __builtin_popcountll(word);
    }
    for (int64_t id = words * 64; id < filter->count; id++) set += in_bitmap(filter, id);
    return set;
}

/* Most ids that the filter can allow by what it lists itself; INT64_MAX if it does not say. */
static int64_t named_bound(const sonde_filter *filter)
{
    if (filter->exclude) return INT64_MAX;
    if (filter->kind == SONDE_FILTER_IDS) return filter->count;
    if (filter->kind == SONDE_FILTER_BITMAP) return set_bits(filter);
    if (filter->kind != SONDE_FILTER_RANGE) return INT64_MAX;
    if (filter->first >= filter->last) return 0;
    uint64_t span = (uint64_t)filter->last - (uint64_t)filter->first;
    return span > INT64_MAX ? INT64_MAX : (int64_t)span;
}

/* Looks at one row out of each `step`, chosen by hash so that no regular pattern of ids can fool it; counts those that
 * are live and allowed. */
static int64_t count_sample(const sonde_filter *filter, const sonde__snapshot *snapshot, int64_t step)
{
    int64_t allowed = 0, before = 0, stratum = 0, next = 0; /* rows in front of the segment; row to look at */
    for (int64_t l = 0; l < snapshot->lists; l++) {
        const sonde__list *list = snapshot->list[l];
        for (int64_t s = 0; s < list->segments; s++) {
            const sonde__segment *segment = list->segment[s];
            for (; next < before + segment->count; stratum++) {
                int64_t row = next - before;
                allowed += !sonde__gone(segment, row) && sonde__filter_allows(filter, segment->ids[row]);
                uint64_t hash = (uint64_t)(stratum + 1) * 0x9e3779b97f4a7c15u >> 32;
                next = (stratum + 1) * step + (int64_t)(hash % (uint64_t)step);
            }
            before += segment->count;
        }
    }
    return allowed;
}

int64_t sonde__filter_estimate(const sonde_filter *filter, const sonde__snapshot *snapshot)
{
    int64_t live = snapshot->rows - snapshot->removed;
    if (!filter || live == 0) return live;
    int64_t bound = named_bound(filter);
    if (bound <= live / FEW_SHARE) return bound;
    int64_t step = sonde__max_i64(snapshot->rows / SAMPLE_ROWS, 1);
    int64_t allowed = count_sample(filter, snapshot, step) * step;
    return sonde__min_i64(sonde__min_i64(allowed, bound), live);
}

/* The next set bit behind `before`; there is one. */
static int64_t next_set(const sonde_filter *filter, int64_t before)
{
    int64_t id = before + 1;
    while (!in_bitmap(filter, id)) {
        if (id % 8 == 0 && filter->bits[id / 8] == 0) id += 8;
        else id++;
    }
    return id;
}

/* The i-th id that the filter names, given the one before it (-1 at first). */
static int64_t named_id(const sonde_filter *filter, int64_t i, int64_t before)
{
    if (filter->kind == SONDE_FILTER_IDS) return filter->ids[i];
    return filter->kind == SONDE_FILTER_RANGE ? filter->first + i : next_set(filter, before);
}

/* Through the id table. false: a concurrent write hides ids of this snapshot, so only a pass can tell. */
static sonde_status places_of_ids(const sonde_filter *filter, const sonde__store *store,
                                  const sonde__snapshot *snapshot, int64_t bound, sonde__place *places,
                                  int64_t *count, bool *complete)
{
    int64_t id = -1;
    *complete = true;
    for (int64_t i = 0, n = 0; i < bound; i++) {
        int64_t before = id;
        id = named_id(filter, i, before);
        if (id < 0 || id == before) continue;
        sonde_status status = SONDE_OK;
        bool stale = false;
        sonde__place place = sonde__store_find(store, snapshot, id, &stale, &status);
        if (status != SONDE_OK) return status;
        if (stale) {
            *complete = false;
            return SONDE_OK;
        }
        if (place != SONDE__NOWHERE) places[n++] = place;
        *count = n;
    }
    return SONDE_OK;
}

/* Adds the allowed rows of one segment; false once there are more than limit. */
static bool places_of_segment(const sonde_filter *filter, const sonde__segment *segment,
                              sonde__place first_place, int64_t limit, sonde__place *places, int64_t *count)
{
    for (int64_t row = 0; row < segment->count; row += 64) {
        uint64_t word;
        int64_t rows = sonde__min_i64(segment->count - row, 64);
        if (*count + sonde__filter_mask(filter, segment, row, rows, &word) > limit) return false;
        for (; word; word &= word - 1) {
            int64_t at = row + __builtin_ctzll(word);
            if (segment->ids[at] >= 0) places[(*count)++] = first_place + (sonde__place)at; /* no copies */
        }
    }
    return true;
}

static int64_t places_by_pass(const sonde_filter *filter, const sonde__snapshot *snapshot, int64_t limit,
                              sonde__place *places)
{
    int64_t count = 0;
    for (int64_t l = 0; l < snapshot->lists; l++)
        for (int64_t s = 0; s < snapshot->list[l]->segments; s++)
            if (!places_of_segment(filter, snapshot->list[l]->segment[s], sonde__place_of(l, s, 0), limit,
                                   places, &count))
                return -1;
    return count;
}

sonde_status sonde__filter_places(const sonde_filter *filter, const sonde__store *store,
                                  const sonde__snapshot *snapshot, int64_t limit, sonde__scratch *scratch,
                                  sonde__place **places, int64_t *count)
{
    *count = -1;
    *places = NULL;
    /* A sample that finds far too many saves the pass, and a callback most of its calls. */
    if (!filter || limit <= 0 || sonde__filter_estimate(filter, snapshot) / 2 > limit) return SONDE_OK;
    sonde__place *found;
    SONDE_TRY(SONDE_SCRATCH(scratch, found, limit));
    int64_t bound = named_bound(filter), n = 0;
    bool complete = false;
    if (bound <= limit && bound <= snapshot->rows / FEW_SHARE)
        SONDE_TRY(places_of_ids(filter, store, snapshot, bound, found, &n, &complete));
    *count = complete ? n : places_by_pass(filter, snapshot, limit, found);
    *places = found;
    return SONDE_OK;
}
