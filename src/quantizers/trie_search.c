/* trie_search.c: beam search over the sequences of a trie, by scores that the caller's model gives.
 *
 * Problem: a model that generates ids scores code by code; wanted are the stored sequences with the largest
 * sums. Idea: follow the `width` best prefixes and look at children in the trie only, so that nothing else
 * can come out (De Cao et al., GENRE, 2021, and every generative index since). Sequences that end on the way
 * go to a list of their own, which keeps the best `width`: they never crowd out prefixes that are still
 * followed.
 *
 * Prefixes are kept in the order of sequences. Then parents and codes order their continuations too, which
 * decides ties.
 *
 * Cost: a call of the model a code, and prefixes x children log width candidates; memory width x vocabulary
 * floats.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "kernels/kernels.h"
#include "quantizers/trie_parts.h"

enum { TRIE_WIDTH_MOST = 1 << 20 };

/* A prefix that is followed. */
struct beam_prefix {
    double score;
    sonde__trie_place place;
};

/* A candidate: a continuation (parent, code), or a sequence that has ended (sequence, id). */
struct beam_candidate {
    double score;
    int64_t parent, id;
    int32_t code;
    int32_t *sequence;
};

struct beam_run;
typedef bool (*beam_worse)(const struct beam_run *run, const struct beam_candidate *a,
                           const struct beam_candidate *b);

/* The best candidates so far: a heap with the worst on top. */
struct beam_heap {
    struct beam_candidate *at;
    int64_t count, most;
    beam_worse worse;
};

struct beam_run {
    const sonde_trie *trie;
    sonde_trie_search_options options;
    int64_t length, depth, beams; /* codes of a sequence at most, codes so far, prefixes now */
    struct beam_prefix *beam, *next;
    int32_t *prefix, *next_prefix; /* width x length */
    int32_t *ended;                /* width x length: memory of the sequences that have ended */
    struct beam_heap going, done;
    int64_t *asked, *order, *spare; /* width each */
    int32_t *question;              /* asked x depth */
    float *scores;                  /* asked x vocabulary */
};

/* ---- candidates ------------------------------------------------------------------------------------------------ */

static bool beam_worse_going(const struct beam_run *run, const struct beam_candidate *a,
                             const struct beam_candidate *b)
{
    (void)run;
    if (a->score != b->score) return a->score < b->score;
    return a->parent != b->parent ? a->parent > b->parent : a->code > b->code;
}

static bool beam_worse_done(const struct beam_run *run, const struct beam_candidate *a,
                            const struct beam_candidate *b)
{
    if (a->score != b->score) return a->score < b->score;
    return sonde__trie_compare(a->sequence, b->sequence, run->length) > 0;
}

static void beam_sink(const struct beam_run *run, struct beam_heap *heap)
{
    struct beam_candidate own = heap->at[0];
    int64_t i = 0;
    for (int64_t child; (child = 2 * i + 1) < heap->count; i = child) {
        if (child + 1 < heap->count && heap->worse(run, &heap->at[child + 1], &heap->at[child])) child++;
        if (!heap->worse(run, &heap->at[child], &own)) break;
        heap->at[i] = heap->at[child];
    }
    heap->at[i] = own;
}

static void beam_rise(const struct beam_run *run, struct beam_heap *heap)
{
    int64_t i = heap->count - 1;
    struct beam_candidate own = heap->at[i];
    for (; i > 0 && heap->worse(run, &own, &heap->at[(i - 1) / 2]); i = (i - 1) / 2)
        heap->at[i] = heap->at[(i - 1) / 2];
    heap->at[i] = own;
}

static void beam_offer(const struct beam_run *run, struct beam_heap *heap, struct beam_candidate candidate)
{
    if (!(candidate.score > -INFINITY)) return;
    if (heap->count < heap->most) {
        heap->at[heap->count++] = candidate;
        beam_rise(run, heap);
    } else if (heap->worse(run, &heap->at[0], &candidate)) {
        heap->at[0] = candidate;
        beam_sink(run, heap);
    }
}

/* A sequence that has ended needs memory of its own: a free row, or that of the one that it drives out. */
static void beam_offer_done(struct beam_run *run, int64_t beam, double score, int64_t id)
{
    struct beam_heap *heap = &run->done;
    int32_t *sequence = run->prefix + beam * run->length, *row;
    struct beam_candidate candidate = {score, 0, id, 0, sequence};
    if (!(score > -INFINITY)) return;
    if (heap->count == heap->most && !heap->worse(run, &heap->at[0], &candidate)) return;
    row = heap->count < heap->most ? run->ended + heap->count * run->length : heap->at[0].sequence;
    memcpy(row, sequence, (size_t)run->length * sizeof *row);
    candidate.sequence = row;
    beam_offer(run, heap, candidate);
}

/* ---- one step -------------------------------------------------------------------------------------------------- */

static bool beam_has_children(const struct beam_run *run, const struct beam_prefix *beam)
{
    for (int p = 0; p < SONDE__TRIE_PARTS; p++) {
        int64_t first, last;
        sonde__trie_span(&run->trie->part[p], beam->place.node[p], &first, &last);
        if (first < last) return true;
    }
    return false;
}

/* Asks for the scores of all prefixes that need them; *count is how many. */
static sonde_status beam_ask(struct beam_run *run, int64_t *count)
{
    const sonde_trie_search_options *o = &run->options;
    int64_t n = 0, depth = run->depth;
    for (int64_t b = 0; b < run->beams; b++) {
        if (!beam_has_children(run, &run->beam[b]) && !o->has_end) continue;
        memcpy(run->question + n * depth, run->prefix + b * run->length,
               (size_t)depth * sizeof *run->question);
        run->asked[n++] = b;
    }
    *count = n;
    if (n == 0) return SONDE_OK;
    int answer = o->score(run->question, n, depth, o->vocabulary, run->scores, o->user);
    if (answer != 0)
        return sonde__fail(SONDE_CALLBACK, "search: score returned %d for prefixes of %lld codes", answer,
                           (long long)depth);
    for (int64_t i = 0; i < n; i++)
        if (isnan(sonde__kernels_get()->logit_max(run->scores + i * o->vocabulary, o->vocabulary, NULL)))
            return sonde__fail(SONDE_CALLBACK,
                               "search: score wrote NaN or +infinity for prefix %lld of %lld codes",
                               (long long)i, (long long)depth);
    return SONDE_OK;
}

/* What a prefix's scores are reduced by to be log-probabilities. -infinity: all of them are. */
static double beam_shift(const struct beam_run *run, const struct beam_prefix *beam, const float *scores,
                         bool ends)
{
    const sonde_trie_search_options *o = &run->options;
    const sonde__kernels *kernels = sonde__kernels_get();
    float most = kernels->logit_max(scores, o->vocabulary, NULL);
    double sum = 0, sums[3];
    if (o->scale == SONDE_TRIE_LOG_PROBS || most == -INFINITY) return 0;
    if (o->scale == SONDE_TRIE_LOGITS) {
        kernels->logit_sums(scores, o->vocabulary, most, 1, sums);
        return most + log(sums[0]);
    }
    sonde__trie_walk walk = sonde__trie_walk_start(run->trie, beam->place);
    most = ends ? scores[o->end] : -INFINITY;
    for (int32_t code; sonde__trie_walk_next(&walk, &code, NULL) && code < o->vocabulary;)
        most = fmaxf(most, scores[code]);
    if (most == -INFINITY) return 0;
    sum = ends ? exp((double)scores[o->end] - most) : 0;
    walk = sonde__trie_walk_start(run->trie, beam->place);
    for (int32_t code; sonde__trie_walk_next(&walk, &code, NULL) && code < o->vocabulary;)
        sum += exp((double)scores[code] - most);
    return most + log(sum);
}

/* Offers what can follow prefix b: its children, and its end. scores NULL: it was not asked for, and can only
 * end. */
static void beam_expand(struct beam_run *run, int64_t b, const float *scores)
{
    const sonde_trie_search_options *o = &run->options;
    const struct beam_prefix *beam = &run->beam[b];
    int64_t id = -1;
    bool ends = sonde__trie_ending(run->trie, beam->place, &id) > 0;
    double base = beam->score - (scores ? beam_shift(run, beam, scores, ends && o->has_end) : 0);
    if (ends) beam_offer_done(run, b, o->has_end ? base + scores[o->end] : beam->score, id);
    if (!scores) return;
    sonde__trie_walk walk = sonde__trie_walk_start(run->trie, beam->place);
    for (int32_t code; sonde__trie_walk_next(&walk, &code, NULL) && code < o->vocabulary;)
        beam_offer(run, &run->going, (struct beam_candidate){base + scores[code], b, -1, code, NULL});
}

static bool beam_before_going(const void *context, int64_t a, int64_t b)
{
    const struct beam_candidate *at = context;
    return at[a].parent != at[b].parent ? at[a].parent < at[b].parent : at[a].code < at[b].code;
}

/* The kept continuations become the prefixes, in the order of sequences. */
static void beam_advance(struct beam_run *run)
{
    struct beam_heap *heap = &run->going;
    int64_t length = run->length;
    for (int64_t i = 0; i < heap->count; i++) run->order[i] = i;
    sonde__trie_sort(run->order, run->spare, heap->count, beam_before_going, heap->at);
    for (int64_t i = 0; i < heap->count; i++) {
        const struct beam_candidate *kept = &heap->at[run->order[i]];
        memcpy(run->next_prefix + i * length, run->prefix + kept->parent * length,
               (size_t)length * sizeof *run->prefix);
        run->next_prefix[i * length + run->depth] = kept->code;
        run->next[i] = (struct beam_prefix){
            kept->score, sonde__trie_follow(run->trie, run->beam[kept->parent].place, kept->code)};
    }
    struct beam_prefix *beam = run->beam;
    int32_t *prefix = run->prefix;
    run->beam = run->next;
    run->next = beam;
    run->prefix = run->next_prefix;
    run->next_prefix = prefix;
    run->beams = heap->count;
    heap->count = 0;
    run->depth++;
}

static sonde_status beam_step(struct beam_run *run)
{
    int64_t count, at = 0;
    SONDE_TRY(sonde__poll(run->trie->runtime, "search", (uint64_t)run->depth, (uint64_t)run->length + 1));
    SONDE_TRY(beam_ask(run, &count));
    for (int64_t b = 0; b < run->beams; b++) {
        bool was_asked = at < count && run->asked[at] == b;
        beam_expand(run, b, was_asked ? run->scores + at * run->options.vocabulary : NULL);
        at += was_asked;
    }
    beam_advance(run);
    return SONDE_OK;
}

/* ---- the whole ------------------------------------------------------------------------------------------------- */

static bool beam_before_done(const void *context, int64_t a, int64_t b)
{
    const struct beam_run *run = context;
    return beam_worse_done(run, &run->done.at[b], &run->done.at[a]);
}

static void beam_write(struct beam_run *run, sonde_trie_hits *hits)
{
    int64_t width = run->options.width, length = run->length, count = run->done.count;
    for (int64_t i = 0; i < count; i++) run->order[i] = i;
    sonde__trie_sort(run->order, run->spare, count, beam_before_done, run);
    if (hits->sequences) memset(hits->sequences, -1, (size_t)(width * length) * sizeof *hits->sequences);
    for (int64_t i = 0; i < width; i++) {
        const struct beam_candidate *hit = i < count ? &run->done.at[run->order[i]] : NULL;
        if (hit && hits->sequences)
            memcpy(hits->sequences + i * length, hit->sequence, (size_t)length * sizeof *hit->sequence);
        if (hits->ids) hits->ids[i] = hit ? hit->id : -1;
        if (hits->scores) hits->scores[i] = hit ? (float)hit->score : -INFINITY;
    }
    hits->count = count;
}

static sonde_status beam_take(struct beam_run *run, sonde__scratch *scratch)
{
    int64_t width = run->options.width, length = run->length;
    SONDE_TRY(SONDE_SCRATCH(scratch, run->beam, width));
    SONDE_TRY(SONDE_SCRATCH(scratch, run->next, width));
    SONDE_TRY(SONDE_SCRATCH(scratch, run->prefix, width * length));
    SONDE_TRY(SONDE_SCRATCH(scratch, run->next_prefix, width * length));
    SONDE_TRY(SONDE_SCRATCH(scratch, run->ended, width * length));
    SONDE_TRY(SONDE_SCRATCH(scratch, run->question, width * length + 1));
    SONDE_TRY(SONDE_SCRATCH(scratch, run->going.at, width));
    SONDE_TRY(SONDE_SCRATCH(scratch, run->done.at, width));
    SONDE_TRY(SONDE_SCRATCH(scratch, run->asked, width));
    SONDE_TRY(SONDE_SCRATCH(scratch, run->order, width));
    SONDE_TRY(SONDE_SCRATCH(scratch, run->spare, width));
    SONDE_TRY(SONDE_SCRATCH(scratch, run->scores, width * run->options.vocabulary));
    memset(run->prefix, -1, (size_t)length * sizeof *run->prefix);
    run->beam[0] = (struct beam_prefix){0, sonde__trie_start()};
    run->beams = 1;
    return SONDE_OK;
}

static sonde_status beam_check(const sonde_trie *trie, sonde_trie_search_options *o)
{
    int64_t largest = sonde__max_i64(trie->part[0].largest, trie->part[1].largest);
    if (o->width < 1 || o->width > TRIE_WIDTH_MOST)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "search: width=%u is outside 1..%d", (unsigned)o->width,
                           TRIE_WIDTH_MOST);
    if (!o->score) return sonde__fail(SONDE_INVALID_ARGUMENT, "search: score is NULL");
    if (o->scale > SONDE_TRIE_MASKED)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "search: scale %u is none of 1..%d", (unsigned)o->scale,
                           SONDE_TRIE_MASKED);
    if (o->scale == 0) o->scale = SONDE_TRIE_LOG_PROBS;
    if (o->vocabulary == 0)
        o->vocabulary = sonde__max_i64(1, sonde__max_i64(largest, o->has_end ? o->end : 0) + 1);
    if (o->vocabulary < 1 || o->vocabulary > INT32_MAX)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "search: vocabulary=%lld is outside 1..2147483647",
                           (long long)o->vocabulary);
    if (o->has_end && (o->end < 0 || o->end >= o->vocabulary))
        return sonde__fail(SONDE_INVALID_ARGUMENT, "search: end=%lld is outside the vocabulary of %lld",
                           (long long)o->end, (long long)o->vocabulary);
    return SONDE_OK;
}

sonde_status sonde_trie_search(const sonde_trie *trie, const sonde_trie_search_options *options,
                               sonde_trie_hits *hits)
{
    struct beam_run run = {.trie = trie, .going.worse = beam_worse_going, .done.worse = beam_worse_done};
    sonde__scratch *scratch = NULL;
    if (!trie || !options)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "search: the %s NULL", trie ? "options are" : "trie is");
    if (!hits || hits->size < sizeof *hits)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "search: hits is %s", hits ? "without its size" : "NULL");
    SONDE_TRY(sonde__options_read(options, sizeof run.options, "search: options", &run.options));
    SONDE_TRY(beam_check(trie, &run.options));
    run.length = trie->length;
    run.going.most = run.done.most = run.options.width;
    SONDE_TRY(sonde__scratch_take(trie->runtime, &scratch));
    sonde_status status = beam_take(&run, scratch);
    /* The root of an empty trie has no children, so nobody is asked. */
    while (status == SONDE_OK && run.beams > 0) status = beam_step(&run);
    if (status == SONDE_OK) beam_write(&run, hits);
    sonde__scratch_give(trie->runtime, scratch);
    return status;
}
