/* tokens.c: the public functions of the noun.
 *
 * Rows are drawn in parallel, each on scratch of its own, into results that are committed only when every row has
 * succeeded: then the drawn tokens join the pasts, which cannot fail, because room was made before. Random numbers
 * are keyed by (seed, sequence, place), so neither the batch nor the threads matter.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "base/handle.h"
#include "kernels/kernels.h"
#include "tokens/candidates.h"

#define METHOD(name) extern const sonde__token_method sonde__token_##name;
#include "tokens/list.h"
#undef METHOD

static const sonde__method *const token_methods[] = {
#define METHOD(name) &sonde__token_##name.method,
#include "tokens/list.h"
#undef METHOD
    NULL,
};

static const sonde__key token_common[] = {
    {"seed", SONDE__KEY_INT, "1", 0, 9007199254740992.0, NULL, NULL, "of the random numbers"},
    {0},
};

const sonde__noun sonde__token_sampler_noun = {"token_sampler", token_common, token_methods};

#define TOKEN_DTYPES                                                                                                 \
    (SONDE__DTYPE_BIT(SONDE_DTYPE_F32) | SONDE__DTYPE_BIT(SONDE_DTYPE_F16) | SONDE__DTYPE_BIT(SONDE_DTYPE_BF16))

/* ---- making and freeing ------------------------------------------------------------------------------------------ */

sonde_status sonde_token_sampler_create(const char *spec, int64_t vocabulary, sonde_runtime *runtime,
                                        sonde_token_sampler **sampler)
{
    sonde__handle_parts parts;
    if (!sampler) return sonde__fail(SONDE_INVALID_ARGUMENT, "create: the place for the sampler is NULL");
    SONDE_TRY(sonde__handle_width("vocabulary", vocabulary, 1, SONDE__TOKEN_VOCABULARY));
    SONDE_TRY(sonde__handle_begin(&sonde__token_sampler_noun, spec, runtime, sizeof **sampler, &parts));
    sonde_token_sampler *made = parts.memory;
    made->runtime = parts.runtime;
    made->params = parts.params;
    made->method = (const sonde__token_method *)(const void *)sonde__params_method(parts.params);
    made->vocabulary = vocabulary;
    made->seed = (uint64_t)sonde__param_int(parts.params, "seed");
    sonde_status status = made->method->create ? made->method->create(made) : sonde__chain_create(made);
    if (status != SONDE_OK) {
        sonde_token_sampler_free(made);
        return status;
    }
    *sampler = made;
    return SONDE_OK;
}

static sonde__handle_parts token_parts(const sonde_token_sampler *sampler)
{
    return (sonde__handle_parts){sampler->runtime, sampler->params, (void *)(uintptr_t)sampler};
}

void sonde_token_sampler_free(sonde_token_sampler *sampler)
{
    if (!sampler) return;
    sonde__handle_parts parts = token_parts(sampler);
    if (sampler->method->drop) sampler->method->drop(sampler);
    sonde__chain_drop(sampler);
    sonde__sequences_drop(sampler, -1);
    sonde__handle_end(&parts);
}

int64_t sonde_token_sampler_vocabulary(const sonde_token_sampler *sampler)
{
    return sampler ? sampler->vocabulary : 0;
}

const char *sonde_token_sampler_spec(const sonde_token_sampler *sampler)
{
    return sampler ? sonde__params_text(sampler->params) : "";
}

/* ---- one row ----------------------------------------------------------------------------------------------------- */

/* What is wanted of each row, and where it comes from. */
typedef struct token_job {
    const sonde_token_sampler *sampler;
    const char *verb;
    sonde_array logits, allowed; /* allowed.data NULL: none given */
    sonde__sequence **sequences;
    sonde_tokens wanted; /* of next: which of its members are not NULL */
    struct token_result *results;
    double *memory;   /* of adaptive stages, memory_count for each row */
    int64_t capacity; /* of filter */
    int32_t *ids;
    float *log_probs;
} token_job;

typedef struct token_result {
    int64_t survivors;
    int32_t id;
    float log_prob, raw_log_prob, entropy;
} token_result;

double sonde__token_uniform(uint64_t seed, uint32_t stream, uint64_t row)
{
    sonde__rng rng;
    sonde__rng_start(&rng, seed, stream, row);
    return ((double)(sonde__rng_u64(&rng) >> 12) + 0.5) * 0x1p-52;
}

/* Mixing is one-to-one, so no two sequences of a sampler share a seed. */
static uint64_t token_seed(uint64_t seed, int64_t sequence)
{
    return sonde__mix64((uint64_t)sequence + 0x9e3779b97f4a7c15u * (seed + 1));
}

/* A row as f32: where it lies, if it can be read there, else a copy. */
static sonde_status token_load(const sonde_array *logits, int64_t row, bool copy, sonde__candidates *set)
{
    const uint8_t *at = sonde__array_row(logits, row);
    float *made;
    set->writable = copy || logits->dtype != SONDE_DTYPE_F32 || (uintptr_t)at % sizeof(float) != 0;
    if (!set->writable) return sonde__candidates_start(set, (float *)(uintptr_t)at, logits->cols);
    SONDE_TRY(SONDE_SCRATCH(set->scratch, made, logits->cols));
    sonde__rows_to_f32(logits, row, 1, made, logits->cols);
    return sonde__candidates_start(set, made, logits->cols);
}

static sonde_status token_mask(const sonde_array *allowed, int64_t row, sonde__candidates *set)
{
    const uint8_t *bits = sonde__array_row(allowed, allowed->rows == 1 ? 0 : row);
    for (int64_t i = 0; i < set->count; i++)
        if (!(bits[i >> 3] >> (i & 7) & 1)) set->logits[i] = -INFINITY;
    sonde__candidates_changed(set);
    if (set->most > -INFINITY) return SONDE_OK;
    return sonde__fail(SONDE_INVALID_ARGUMENT, "the logits and 'allowed' together forbid all %lld tokens",
                       (long long)set->count);
}

/* Row to candidates. log_total gets the logarithm of the raw law's denominator, if it is wanted. */
static sonde_status token_start(const token_job *job, int64_t row, sonde__candidates *set, double *log_total)
{
    const sonde__sequence *sequence = job->sequences[row];
    int64_t each = job->sampler->chain->memory_count;
    set->seed = token_seed(job->sampler->seed, sequence->id);
    set->place = (uint64_t)sequence->place;
    set->past = sequence->past;
    set->past_length = sequence->length;
    set->memory = job->memory + row * each;
    memcpy(set->memory, sequence->memory, (size_t)each * sizeof *set->memory);
    SONDE_TRY(token_load(&job->logits, row, job->allowed.data != NULL, set));
    if (log_total) {
        sonde__candidates_sums(set);
        *log_total = log(set->sum) + (double)set->most;
    }
    return job->allowed.data ? token_mask(&job->allowed, row, set) : SONDE_OK;
}

static double token_raw_logit(const sonde_array *logits, int64_t row, int64_t column)
{
    float value;
    const uint8_t *at = sonde__array_row(logits, row) + sonde_row_bytes(logits->dtype, column);
    sonde__kernels_get()->to_f32[sonde__row_kind(logits->dtype)](at, 1, &value);
    return (double)value;
}

static sonde_status token_draw_row(const token_job *job, int64_t row, sonde__scratch *scratch)
{
    const sonde__chain *chain = job->sampler->chain;
    sonde__candidates set = {.scratch = scratch};
    token_result *result = &job->results[row];
    double log_total = 0;
    int64_t chosen;
    SONDE_TRY(token_start(job, row, &set, job->wanted.raw_log_probs ? &log_total : NULL));
    SONDE_TRY(sonde__chain_filter(chain, &set));
    if (job->wanted.survivors) result->survivors = sonde__candidates_count(&set);
    SONDE_TRY(sonde__chain_choose(chain, &set, &chosen));
    result->id = set.ids ? set.ids[chosen] : (int32_t)chosen;
    if (job->wanted.raw_log_probs)
        result->raw_log_prob = (float)(token_raw_logit(&job->logits, row, result->id) - log_total);
    if (!job->wanted.log_probs && !job->wanted.entropies) return SONDE_OK;
    sonde__candidates_sums(&set);
    result->log_prob = (float)(sonde__candidate_gap(&set, chosen) - log(set.sum));
    result->entropy = (float)fmax(sonde__candidates_entropy(&set), 0);
    return SONDE_OK;
}

static sonde_status token_filter_row(const token_job *job, int64_t row, sonde__scratch *scratch)
{
    sonde__candidates set = {.scratch = scratch};
    int32_t *ranked;
    SONDE_TRY(token_start(job, row, &set, NULL));
    SONDE_TRY(sonde__chain_filter(job->sampler->chain, &set));
    sonde__candidates_list(&set);
    sonde__candidates_sums(&set);
    double log_sum = log(set.sum);
    job->results[row].survivors = set.count;
    sonde__candidates_top(&set, sonde__max_i64(job->capacity, 1), false);
    SONDE_TRY(sonde__candidates_ranked(&set, &ranked));
    for (int64_t i = 0; i < sonde__min_i64(job->capacity, set.count); i++) {
        job->ids[row * job->capacity + i] = set.ids[ranked[i]];
        job->log_probs[row * job->capacity + i] = (float)(sonde__candidate_gap(&set, ranked[i]) - log_sum);
    }
    return SONDE_OK;
}

/* ---- all rows ---------------------------------------------------------------------------------------------------- */

static sonde_status token_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    const token_job *job = context;
    sonde__scratch *scratch = NULL;
    sonde_status status = SONDE_OK;
    (void)worker;
    SONDE_TRY(sonde__scratch_take(job->sampler->runtime, &scratch));
    for (int64_t row = begin; status == SONDE_OK && row < end; row++) {
        sonde__scratch_mark mark = sonde__scratch_here(scratch);
        status = job->ids ? token_filter_row(job, row, scratch) : token_draw_row(job, row, scratch);
        if (status != SONDE_OK)
            status = sonde__fail_within(status, "%s: logits: row %lld", job->verb, (long long)row);
        sonde__scratch_rewind(scratch, mark);
    }
    sonde__scratch_give(job->sampler->runtime, scratch);
    return status;
}

/* The sequence of each row; none may stand in two rows. */
static sonde_status token_sequences(sonde_token_sampler *sampler, const token_job *job, const int64_t *sequences)
{
    sampler->sequences.stamp++;
    for (int64_t row = 0; row < job->logits.rows; row++) {
        int64_t id = sequences ? sequences[row] : row;
        if (id < 0)
            return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: sequence %lld of row %lld is negative", job->verb,
                               (long long)id, (long long)row);
        SONDE_TRY(sonde__sequence_at(sampler, id, &job->sequences[row]));
        if (job->sequences[row]->stamp == sampler->sequences.stamp)
            return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: sequence %lld stands in two rows, the second is %lld",
                               job->verb, (long long)id, (long long)row);
        job->sequences[row]->stamp = sampler->sequences.stamp;
        SONDE_TRY(sonde__sequence_reserve(sampler, job->sequences[row], 1));
    }
    return SONDE_OK;
}

/* A view of V columns; messages begin with the verb. */
static sonde_status token_check_array(const sonde_array *array, const char *name, uint32_t dtypes,
                                      const token_job *job, sonde_array *checked)
{
    sonde_status status = sonde__array_check(array, name, job->sampler->vocabulary, dtypes, checked);
    return status == SONDE_OK ? status : sonde__fail_within(status, "%s", job->verb);
}

static sonde_status token_check_allowed(const sonde_array *allowed, token_job *job)
{
    if (!allowed) return SONDE_OK;
    SONDE_TRY(token_check_array(allowed, "allowed", SONDE__DTYPE_BIT(SONDE_DTYPE_BITS), job, &job->allowed));
    if (job->allowed.rows == 1 || job->allowed.rows == job->logits.rows) return SONDE_OK;
    return sonde__fail(SONDE_INVALID_ARGUMENT,
                       "%s: allowed has %lld rows, not 1 or one for each of %lld rows of logits", job->verb,
                       (long long)job->allowed.rows, (long long)job->logits.rows);
}

/* Checks the arguments that next and filter share. */
static sonde_status token_check(sonde_token_sampler *sampler, const sonde_array *logits,
                                const sonde_token_options *given, token_job *job, sonde_token_options *how)
{
    if (!sampler) return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: the sampler is NULL", job->verb);
    if (!sampler->chain)
        return sonde__fail(SONDE_UNSUPPORTED, "%s: %s verifies drafts and draws no tokens; use a chain", job->verb,
                           sampler->method->method.name);
    job->sampler = sampler;
    SONDE_TRY(sonde__options_read(given, sizeof *how, job->verb, how));
    SONDE_TRY(token_check_array(logits, "logits", TOKEN_DTYPES, job, &job->logits));
    return token_check_allowed(how->allowed, job);
}

static sonde_status token_run(sonde_token_sampler *sampler, token_job *job, const sonde_token_options *how,
                              sonde__scratch *scratch)
{
    int64_t rows = job->logits.rows;
    SONDE_TRY(SONDE_SCRATCH(scratch, job->sequences, rows));
    SONDE_TRY(SONDE_SCRATCH(scratch, job->results, rows));
    SONDE_TRY(SONDE_SCRATCH(scratch, job->memory, rows * sampler->chain->memory_count + 1));
    SONDE_TRY(token_sequences(sampler, job, how->sequences));
    int threads = sonde__runtime_threads(sampler->runtime, how->threads);
    return sonde__parallel_for(sampler->runtime, threads, rows, 1, job->verb, token_chunk, job);
}

/* ---- next -------------------------------------------------------------------------------------------------------- */

/* Nothing can fail any more: pasts grow, memories move on, results go out. */
static void token_commit(sonde_token_sampler *sampler, const token_job *job)
{
    const sonde_tokens *out = &job->wanted;
    int64_t each = sampler->chain->memory_count;
    for (int64_t row = 0; row < job->logits.rows; row++) {
        const token_result *result = &job->results[row];
        sonde__sequence_append(sampler, job->sequences[row], &result->id, 1);
        memcpy(job->sequences[row]->memory, job->memory + row * each, (size_t)each * sizeof(double));
        out->ids[row] = result->id;
        if (out->log_probs) out->log_probs[row] = result->log_prob;
        if (out->raw_log_probs) out->raw_log_probs[row] = result->raw_log_prob;
        if (out->survivors) out->survivors[row] = result->survivors;
        if (out->entropies) out->entropies[row] = result->entropy;
    }
}

sonde_status sonde_token_sampler_next_with(sonde_token_sampler *sampler, const sonde_array *logits,
                                           const sonde_token_options *given, sonde_tokens *drawn)
{
    token_job job = {.verb = "next"};
    sonde_token_options how;
    sonde__scratch *scratch = NULL;
    SONDE_TRY(token_check(sampler, logits, given, &job, &how));
    if (!drawn) return sonde__fail(SONDE_INVALID_ARGUMENT, "next: drawn is NULL");
    SONDE_TRY(sonde__options_read(drawn, sizeof job.wanted, "next: drawn", &job.wanted));
    if (job.logits.rows == 0) return SONDE_OK;
    if (!job.wanted.ids) return sonde__fail(SONDE_INVALID_ARGUMENT, "next: the place for the ids is NULL");
    SONDE_TRY(sonde__scratch_take(sampler->runtime, &scratch));
    sonde_status status = token_run(sampler, &job, &how, scratch);
    if (status == SONDE_OK) token_commit(sampler, &job);
    sonde__scratch_give(sampler->runtime, scratch);
    return status;
}

sonde_status sonde_token_sampler_next(sonde_token_sampler *sampler, const sonde_array *logits, int32_t *tokens)
{
    sonde_tokens drawn = SONDE_TOKENS_INIT;
    drawn.ids = tokens;
    return sonde_token_sampler_next_with(sampler, logits, NULL, &drawn);
}

/* ---- filter ------------------------------------------------------------------------------------------------------ */

static void token_give_filtered(const token_job *job, int32_t *ids, float *log_probs, int64_t *counts)
{
    for (int64_t row = 0; row < job->logits.rows; row++) {
        int64_t at = row * job->capacity, count = job->results[row].survivors;
        size_t given = (size_t)sonde__min_i64(count, job->capacity);
        counts[row] = count;
        if (given) memcpy(ids + at, job->ids + at, given * sizeof *ids);
        if (given && log_probs) memcpy(log_probs + at, job->log_probs + at, given * sizeof *log_probs);
    }
}

static sonde_status token_filter(sonde_token_sampler *sampler, token_job *job, const sonde_token_options *how,
                                 sonde__scratch *scratch)
{
    SONDE_TRY(SONDE_SCRATCH(scratch, job->ids, job->logits.rows * job->capacity));
    SONDE_TRY(SONDE_SCRATCH(scratch, job->log_probs, job->logits.rows * job->capacity));
    return token_run(sampler, job, how, scratch);
}

sonde_status sonde_token_sampler_filter(sonde_token_sampler *sampler, const sonde_array *logits,
                                        const sonde_token_options *given, int64_t capacity, int32_t *ids,
                                        float *log_probs, int64_t *counts)
{
    token_job job = {.verb = "filter", .capacity = capacity};
    sonde_token_options how;
    sonde__scratch *scratch = NULL;
    SONDE_TRY(token_check(sampler, logits, given, &job, &how));
    if (capacity < 0 || capacity > SONDE__TOKEN_VOCABULARY)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "filter: capacity=%lld is outside 0..%lld", (long long)capacity,
                           (long long)SONDE__TOKEN_VOCABULARY);
    if (job.logits.rows == 0) return SONDE_OK;
    if (!counts || (capacity > 0 && !ids))
        return sonde__fail(SONDE_INVALID_ARGUMENT, "filter: the place for the %s is NULL", counts ? "ids" : "counts");
    SONDE_TRY(sonde__scratch_take(sampler->runtime, &scratch));
    sonde_status status = token_filter(sampler, &job, &how, scratch);
    if (status == SONDE_OK) token_give_filtered(&job, ids, log_probs, counts);
    sonde__scratch_give(sampler->runtime, scratch);
    return status;
}

/* ---- the law of a row -------------------------------------------------------------------------------------------- */

static void token_fill_law(const sonde__candidates *set, int64_t vocabulary, float *law)
{
    float inverse = (float)(1 / set->sum);
    if (set->ids) {
        memset(law, 0, (size_t)vocabulary * sizeof *law);
        for (int64_t i = 0; i < set->count; i++) law[set->ids[i]] = set->weights[i] * inverse;
        return;
    }
    sonde__kernels_get()->logit_exp(set->logits, set->count, set->most, (float)set->scale, law);
    for (int64_t i = 0; i < vocabulary; i++) law[i] *= inverse;
}

static sonde_status token_law(const sonde__chain *chain, const sonde_array *logits, int64_t row,
                              sonde__candidates *set, float *law)
{
    SONDE_TRY(SONDE_SCRATCH(set->scratch, set->memory, chain ? chain->memory_count : 0));
    if (chain) sonde__chain_begin(chain, set->memory);
    SONDE_TRY(token_load(logits, row, false, set));
    if (chain) SONDE_TRY(sonde__chain_filter(chain, set));
    sonde__candidates_sums(set);
    token_fill_law(set, logits->cols, law);
    return SONDE_OK;
}

sonde_status sonde__token_law(const sonde_token_sampler *chain, sonde_runtime *runtime, const sonde_array *logits,
                              int64_t row, float *law)
{
    sonde__candidates set = {.scratch = NULL};
    SONDE_TRY(sonde__scratch_take(runtime, &set.scratch));
    sonde__scratch *scratch = set.scratch;
    sonde_status status = token_law(chain ? chain->chain : NULL, logits, row, &set, law);
    sonde__scratch_give(runtime, scratch);
    return status == SONDE_OK ? status : sonde__fail_within(status, "row %lld", (long long)row);
}

/* ---- the past ---------------------------------------------------------------------------------------------------- */

sonde_status sonde_token_sampler_accept(sonde_token_sampler *sampler, int64_t sequence, const int32_t *tokens,
                                        int64_t count)
{
    sonde__sequence *found;
    if (!sampler || (count > 0 && !tokens))
        return sonde__fail(SONDE_INVALID_ARGUMENT, "accept: the %s is NULL", sampler ? "array of tokens" : "sampler");
    if (sequence < 0 || count < 0 || count > SONDE__MAX_ROWS)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "accept: sequence=%lld, count=%lld: neither may be negative",
                           (long long)sequence, (long long)count);
    for (int64_t i = 0; i < count; i++)
        if (tokens[i] < 0 || tokens[i] >= sampler->vocabulary)
            return sonde__fail(SONDE_INVALID_ARGUMENT, "accept: token %d at place %lld is outside 0..%lld", tokens[i],
                               (long long)i, (long long)sampler->vocabulary - 1);
    SONDE_TRY(sonde__sequence_at(sampler, sequence, &found));
    SONDE_TRY(sonde__sequence_reserve(sampler, found, count));
    sonde__sequence_append(sampler, found, tokens, count);
    return SONDE_OK;
}

sonde_status sonde_token_sampler_reset(sonde_token_sampler *sampler, int64_t sequence)
{
    if (!sampler) return sonde__fail(SONDE_INVALID_ARGUMENT, "reset: the sampler is NULL");
    if (sequence < -1)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "reset: sequence=%lld is negative; -1 means all",
                           (long long)sequence);
    sonde__sequences_drop(sampler, sequence);
    return SONDE_OK;
}

/* ---- drafts ------------------------------------------------------------------------------------------------------ */

static sonde_status token_check_drafts(const sonde_token_sampler *sampler, bool able, const char *verb)
{
    if (!sampler) return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: the sampler is NULL", verb);
    if (able) return SONDE_OK;
    return sonde__fail(SONDE_UNSUPPORTED, "%s: %s verifies no drafts; use speculative", verb,
                       sampler->method->method.name);
}

sonde_status sonde_token_sampler_draft(sonde_token_sampler *sampler, const sonde_array *logits,
                                       sonde_draft_tree *tree)
{
    sonde_draft_tree grown;
    SONDE_TRY(token_check_drafts(sampler, sampler && sampler->method->draft, "draft"));
    if (!tree) return sonde__fail(SONDE_INVALID_ARGUMENT, "draft: tree is NULL");
    SONDE_TRY(sonde__options_read(tree, sizeof grown, "draft: tree", &grown));
    SONDE_TRY(sampler->method->draft(sampler, logits, &grown));
    return sonde__info_write(&grown, sizeof grown, "draft: tree", tree);
}

typedef int (*token_model)(const sonde_draft_tree *tree, sonde_array *logits, void *user);

/* One turn of draft_run: the model fills `rows` for the frontier, the tree grows. */
static sonde_status token_draft_turn(sonde_token_sampler *sampler, token_model model, void *user,
                                     sonde_draft_tree *tree)
{
    float *rows;
    SONDE_TRY(SONDE_NEW_ZERO(sampler->runtime, rows, (uint64_t)tree->frontier_count * (uint64_t)sampler->vocabulary));
    sonde_array logits = sonde_f32(rows, tree->frontier_count, sampler->vocabulary);
    int answer = model(tree, &logits, user);
    sonde_status status = answer ? sonde__fail(SONDE_CALLBACK, "draft_run: the model returned %d", answer)
                                 : sampler->method->draft(sampler, &logits, tree);
    sonde__free(sampler->runtime, rows);
    return status;
}

sonde_status sonde_token_sampler_draft_run(sonde_token_sampler *sampler, token_model model, void *user,
                                           sonde_draft_tree *tree)
{
    sonde_draft_tree grown;
    SONDE_TRY(token_check_drafts(sampler, sampler && sampler->method->draft, "draft_run"));
    if (!model || !tree)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "draft_run: the %s is NULL", model ? "tree" : "model");
    SONDE_TRY(sonde__options_read(tree, sizeof grown, "draft_run: tree", &grown));
    SONDE_TRY(sampler->method->draft(sampler, NULL, &grown));
    while (grown.frontier_count > 0) SONDE_TRY(token_draft_turn(sampler, model, user, &grown));
    return sonde__info_write(&grown, sizeof grown, "draft_run: tree", tree);
}

sonde_status sonde_token_sampler_verify(sonde_token_sampler *sampler, const sonde_array *target,
                                        const sonde_array *draft, const sonde_draft_tree *tree,
                                        sonde_verdict *verdict)
{
    sonde_draft_tree given;
    sonde_verdict reached;
    SONDE_TRY(token_check_drafts(sampler, sampler && sampler->method->verify, "verify"));
    if (!verdict) return sonde__fail(SONDE_INVALID_ARGUMENT, "verify: verdict is NULL");
    SONDE_TRY(sonde__options_read(verdict, sizeof reached, "verify: verdict", &reached));
    if (tree) SONDE_TRY(sonde__options_read(tree, sizeof given, "verify: tree", &given));
    SONDE_TRY(sampler->method->verify(sampler, target, draft, tree ? &given : NULL, &reached));
    return sonde__info_write(&reached, sizeof reached, "verify: verdict", verdict);
}

sonde_status sonde_token_sampler_accept_rate(const sonde_token_sampler *sampler, const char *rule,
                                             const sonde_array *p, const sonde_array *q, int64_t width, double *rate)
{
    SONDE_TRY(token_check_drafts(sampler, sampler && sampler->method->accept_rate, "accept_rate"));
    if (!rule || !rate)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "accept_rate: the %s is NULL",
                           rule ? "place for the rate" : "rule");
    return sampler->method->accept_rate(sampler, rule, p, q, width, rate);
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static sonde_status token_put(const void *handle, sonde__writer *writer)
{
    const sonde_token_sampler *sampler = handle;
    SONDE_TRY(sonde__write_int(writer, "vocabulary", sampler->vocabulary));
    SONDE_TRY(sonde__sequences_save(sampler, writer));
    return sampler->method->save ? sampler->method->save(sampler, writer) : SONDE_OK;
}

static sonde_status token_take(sonde_runtime *runtime, sonde__reader *reader, void **handle)
{
    sonde_token_sampler *sampler = NULL;
    int64_t vocabulary;
    SONDE_TRY(sonde__read_int(reader, "vocabulary", 1, SONDE__TOKEN_VOCABULARY, &vocabulary));
    sonde_status status = sonde_token_sampler_create(sonde__reader_spec(reader), vocabulary, runtime, &sampler);
    if (status != SONDE_OK) return sonde__handle_from_file(status, &sonde__token_sampler_noun);
    status = sonde__sequences_load(sampler, reader);
    if (status == SONDE_OK && sampler->method->load) status = sampler->method->load(sampler, reader);
    if (status == SONDE_OK) *handle = sampler;
    else sonde_token_sampler_free(sampler);
    return status;
}

static const sonde__handle_class token_class = {&sonde__token_sampler_noun, token_put, token_take};

sonde_status sonde_token_sampler_save(const sonde_token_sampler *sampler, const char *path)
{
    if (!sampler) return sonde__fail(SONDE_INVALID_ARGUMENT, "save: the sampler is NULL");
    sonde__handle_parts parts = token_parts(sampler);
    return sonde__handle_save(&token_class, sampler, &parts, path);
}

sonde_status sonde_token_sampler_open(const char *path, const sonde_open_options *options, sonde_runtime *runtime,
                                      sonde_token_sampler **sampler)
{
    void *handle = NULL;
    if (!sampler) return sonde__fail(SONDE_INVALID_ARGUMENT, "open: the place for the sampler is NULL");
    SONDE_TRY(sonde__handle_open(&token_class, path, options, runtime, &handle));
    *sampler = handle;
    return SONDE_OK;
}

sonde_status sonde_token_sampler_save_buffer(const sonde_token_sampler *sampler, void *buffer, size_t capacity,
                                             size_t *length)
{
    if (!sampler) return sonde__fail(SONDE_INVALID_ARGUMENT, "save_buffer: the sampler is NULL");
    sonde__handle_parts parts = token_parts(sampler);
    return sonde__handle_save_buffer(&token_class, sampler, &parts, buffer, capacity, length);
}

sonde_status sonde_token_sampler_open_buffer(const void *buffer, size_t length, const sonde_open_options *options,
                                             sonde_runtime *runtime, sonde_token_sampler **sampler)
{
    void *handle = NULL;
    if (!sampler) return sonde__fail(SONDE_INVALID_ARGUMENT, "open_buffer: the place for the sampler is NULL");
    SONDE_TRY(sonde__handle_open_buffer(&token_class, buffer, length, options, runtime, &handle));
    *sampler = handle;
    return SONDE_OK;
}
