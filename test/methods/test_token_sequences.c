/* test_token_sequences.c: token samplers as things with a past: sequences, batches, threads, penalties, adaptive
 * stages, files, masks, and everything that must be refused.
 *
 * timeout: 60
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE

#include <math.h>
#include <unistd.h>

#include "failing.h"
#include "reseal.h"

enum { V = 600, ROWS = 6 };

static sonde_token_sampler *sampler_of(const char *spec, int64_t vocabulary)
{
    sonde_token_sampler *sampler = NULL;
    OK(sonde_token_sampler_create(spec, vocabulary, NULL, &sampler));
    return sampler;
}

static float *some_rows(int64_t rows, uint64_t seed)
{
    float *x = test_alloc((size_t)(rows * V), sizeof *x);
    uint64_t state = seed;
    for (int64_t i = 0; i < rows * V; i++) x[i] = 2 * test_normal(&state);
    return x;
}

/* Every kind of state at once. */
static const char *const stateful = "chain(repetition(penalty=1.3, window=5), penalties(frequency=0.2, presence=0.1, "
                                    "window=all), dry(allowed_length=1), "
                                    "xtc(threshold=0.01), mirostat(tau=4), seed=11)";

/* ---- batches, threads, files -------------------------------------------------------------------------------------- */

/* One token for each of sequences 0..ROWS-1, in one batch or one by one, the last first. */
static void draw_round(sonde_token_sampler *sampler, float *x, bool singly, uint32_t threads, int32_t *ids)
{
    sonde_token_options how = SONDE_TOKEN_OPTIONS_INIT;
    sonde_tokens drawn = SONDE_TOKENS_INIT;
    how.threads = threads;
    drawn.ids = ids;
    sonde_array batch = sonde_f32(x, ROWS, V);
    if (!singly) OK(sonde_token_sampler_next_with(sampler, &batch, &how, &drawn));
    for (int64_t row = ROWS - 1; singly && row >= 0; row--) {
        sonde_array one = sonde_f32(x + row * V, 1, V);
        how.sequences = &row;
        drawn.ids = ids + row;
        OK(sonde_token_sampler_next_with(sampler, &one, &how, &drawn));
    }
}

static void batch_is_singles(void **unused)
{
    enum { ROUNDS = 40 };
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    sonde_runtime *runtime;
    sonde_token_sampler *samplers[4];
    int differ = 0;
    (void)unused;
    options.threads = 7;
    OK(sonde_runtime_create(&options, &runtime));
    for (int s = 0; s < 4; s++) OK(sonde_token_sampler_create(stateful, V, runtime, &samplers[s]));
    for (int round = 0; round < ROUNDS; round++) {
        int32_t ids[4][ROWS];
        float *x = some_rows(ROWS, (uint64_t)round);
        draw_round(samplers[0], x, false, 1, ids[0]);
        draw_round(samplers[1], x, false, 2, ids[1]);
        draw_round(samplers[2], x, false, 7, ids[2]);
        draw_round(samplers[3], x, true, 1, ids[3]);
        for (int s = 1; s < 4; s++) assert_memory_equal(ids[s], ids[0], sizeof ids[0]);
        for (int row = 1; row < ROWS; row++) differ += ids[0][row] != ids[0][0];
        free(x);
    }
    assert_true(differ > ROUNDS);
    for (int s = 0; s < 4; s++) sonde_token_sampler_free(samplers[s]);
    sonde_runtime_free(runtime);
}

/* Equal logits in all rows: sequences and places have random numbers of their own. */
static void independent_randomness(void **unused)
{
    enum { ROUNDS = 4000, N = 4 };
    float x[2 * N] = {0};
    int64_t counts[N * N] = {0}, steps[N * N] = {0};
    double chi = 0, step_chi = 0;
    int32_t ids[2], before = 0;
    sonde_token_sampler *sampler = sampler_of("dist()", N);
    sonde_array batch = sonde_f32(x, 2, N);
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        OK(sonde_token_sampler_next(sampler, &batch, ids));
        counts[ids[0] * N + ids[1]]++;
        steps[before * N + ids[0]]++;
        before = ids[0];
    }
    for (int i = 0; i < N * N; i++) {
        double wanted = ROUNDS / (double)(N * N);
        chi += ((double)counts[i] - wanted) * ((double)counts[i] - wanted) / wanted;
        step_chi += ((double)steps[i] - wanted) * ((double)steps[i] - wanted) / wanted;
    }
    assert_true(chi < 44 && step_chi < 44); /* 15 degrees of freedom, p = 1e-4 */
    sonde_token_sampler_free(sampler);
}

static sonde_token_sampler *reopened(const sonde_token_sampler *sampler, bool by_file)
{
    sonde_token_sampler *opened = NULL;
    size_t length = 0;
    if (by_file) {
        char path[] = "/tmp/sonde_tokens_XXXXXX";
        int file = mkstemp(path);
        assert_true(file >= 0);
        close(file);
        OK(sonde_token_sampler_save(sampler, path));
        OK(sonde_token_sampler_open(path, NULL, NULL, &opened));
        unlink(path);
        return opened;
    }
    OK(sonde_token_sampler_save_buffer(sampler, NULL, 0, &length));
    void *bytes = test_alloc(length, 1);
    OK(sonde_token_sampler_save_buffer(sampler, bytes, length, &length));
    OK(sonde_token_sampler_open_buffer(bytes, length, NULL, NULL, &opened));
    size_t again = 0;
    OK(sonde_token_sampler_save_buffer(opened, NULL, 0, &again));
    assert_int_equal(again, length);
    void *copy = test_alloc(again, 1);
    OK(sonde_token_sampler_save_buffer(opened, copy, again, &again));
    assert_memory_equal(copy, bytes, length);
    free(copy);
    free(bytes);
    return opened;
}

static void saved_in_the_middle(void **unused)
{
    (void)unused;
    for (int turns = 0; turns < 60; turns += 19) {
        sonde_token_sampler *sampler = sampler_of(stateful, V);
        float *x = some_rows(ROWS, 5);
        int32_t ids[3][ROWS];
        for (int i = 0; i < turns; i++) draw_round(sampler, x, false, 1, ids[0]);
        sonde_token_sampler *opened[2] = {reopened(sampler, true), reopened(sampler, false)};
        for (int i = 0; i < 30; i++) {
            draw_round(sampler, x, false, 1, ids[0]);
            for (int o = 0; o < 2; o++) {
                draw_round(opened[o], x, false, 1, ids[1 + o]);
                assert_memory_equal(ids[1 + o], ids[0], sizeof ids[0]);
            }
        }
        assert_string_equal(sonde_token_sampler_spec(opened[0]), sonde_token_sampler_spec(sampler));
        assert_int_equal(sonde_token_sampler_vocabulary(opened[0]), V);
        sonde_token_sampler_free(opened[0]);
        sonde_token_sampler_free(opened[1]);
        sonde_token_sampler_free(sampler);
        free(x);
    }
}

/* Any byte of a file changed, its checksums made right again: refused, or opened and usable. */
static void damaged_files(void **unused)
{
    sonde_token_sampler *sampler = sampler_of(stateful, V), *opened;
    float *x = some_rows(ROWS, 5);
    int32_t ids[ROWS];
    size_t length;
    int refused = 0;
    (void)unused;
    for (int i = 0; i < 9; i++) draw_round(sampler, x, false, 1, ids);
    OK(sonde_token_sampler_save_buffer(sampler, NULL, 0, &length));
    uint8_t *bytes = test_alloc(length, 1), *copy = test_alloc(length, 1);
    OK(sonde_token_sampler_save_buffer(sampler, bytes, length, &length));
    for (size_t at = 0; at < length; at++) {
        memcpy(copy, bytes, length);
        copy[at] ^= (uint8_t)(1 + at % 255);
        if (at % 2) reseal(copy, length);
        opened = NULL;
        sonde_status status = sonde_token_sampler_open_buffer(copy, length, NULL, NULL, &opened);
        refused += status != SONDE_OK;
        if (status == SONDE_OK) sonde_token_sampler_free(opened);
        else assert_null(opened);
    }
    for (size_t cut = 0; cut < length; cut += 7)
        assert_int_not_equal(sonde_token_sampler_open_buffer(bytes, cut, NULL, NULL, &opened), SONDE_OK);
    assert_true(refused > (int)length / 2);
    free(bytes);
    free(copy);
    free(x);
    sonde_token_sampler_free(sampler);
}

/* ---- the past ------------------------------------------------------------------------------------------------------- */

static void logits_after(const char *spec, const int32_t *past, int64_t count, const float *x, double *log_probs)
{
    sonde_token_sampler *sampler = sampler_of(spec, 8);
    sonde_array row = sonde_f32((void *)(uintptr_t)x, 1, 8);
    int32_t ids[8];
    float ranked[8];
    int64_t kept;
    OK(sonde_token_sampler_accept(sampler, 0, past, count));
    OK(sonde_token_sampler_filter(sampler, &row, NULL, 8, ids, ranked, &kept));
    assert_int_equal(kept, 8);
    for (int i = 0; i < 8; i++) log_probs[ids[i]] = (double)ranked[i];
    sonde_token_sampler_free(sampler);
}

/* The law after a past is softmax of these logits. */
static void expect_logits(const char *spec, const int32_t *past, int64_t count, const float *x, const double *wanted)
{
    double log_probs[8], sum = 0;
    logits_after(spec, past, count, x, log_probs);
    for (int i = 0; i < 8; i++) sum += exp(wanted[i]);
    for (int i = 0; i < 8; i++)
        if (fabs(log_probs[i] - (wanted[i] - log(sum))) > 1e-6 * (8 + fabs(wanted[i])))
            fail_msg("%s: token %d has log-probability %g, not %g", spec, i, log_probs[i], wanted[i] - log(sum));
}

static void penalties(void **unused)
{
    static const int32_t past[] = {7, 1, 1, 4, 1, 2};
    static const float x[8] = {1, 2, -1, 0.5f, -2, 3, 0, -0.5f};
    (void)unused;
    expect_logits("repetition(penalty=2, window=3)", past, 6, x, (double[]){1, 1, -2, .5, -4, 3, 0, -.5});
    expect_logits("repetition(penalty=2, window=all)", past, 6, x, (double[]){1, 1, -2, .5, -4, 3, 0, -1});
    expect_logits("repetition(penalty=0.5, window=1)", past, 6, x, (double[]){1, 2, -.5, .5, -2, 3, 0, -.5});
    expect_logits("penalties(frequency=0.5, presence=1, window=5)", past, 6, x,
                  (double[]){1, -.5, -2.5, .5, -3.5, 3, 0, -.5});
    expect_logits("chain(temperature(value=2), penalties(presence=1, window=1))", past, 6, x,
                  (double[]){.5, 1, -1, .25, -1, 1.5, 0, -.25});
    expect_logits("repetition(penalty=2)", NULL, 0, x, (double[]){1, 2, -1, .5, -2, 3, 0, -.5});
}

/* The longest run by trying all places. */
static void runs_by_force(const int32_t *past, int count, int allowed, double *logits)
{
    int longest[8] = {0};
    for (int j = 1; j < count; j++) {
        int run = 0;
        while (run < j && past[j - 1 - run] == past[count - 1 - run]) run++;
        if (run > longest[past[j]]) longest[past[j]] = run;
    }
    for (int t = 0; t < 8; t++)
        if (longest[t] >= allowed) logits[t] -= 0.8 * pow(1.75, longest[t] - allowed);
}

static void repeated_runs(void **unused)
{
    static const float x[8] = {1, 2, -1, 0.5f, -2, 3, 0, -0.5f};
    uint64_t state = 4;
    int penalised = 0;
    (void)unused;
    for (int trial = 0; trial < 300; trial++) {
        int32_t past[40];
        int count = (int)(test_u64(&state) % 41), allowed = 1 + trial % 3;
        double wanted[8];
        char spec[80];
        for (int i = 0; i < count; i++) past[i] = (int32_t)(test_u64(&state) % (trial % 2 ? 2 : 4));
        for (int i = 0; i < 8; i++) wanted[i] = (double)x[i];
        runs_by_force(past, count, allowed, wanted);
        for (int i = 0; i < 8; i++) penalised += wanted[i] < (double)x[i];
        snprintf(spec, sizeof spec, "dry(allowed_length=%d)", allowed);
        expect_logits(spec, past, count, x, wanted);
    }
    assert_true(penalised > 300);
}

/* A long run of draws keeps its window right: the same as a sampler that was handed the same tokens. */
static void windows_of_any_length(void **unused)
{
    enum { LENGTH = 400 };
    (void)unused;
    for (int window = 1; window < 90; window += 11) {
        char spec[80];
        int32_t past[LENGTH], ids[2];
        float *x = some_rows(1, 3);
        sonde_array row = sonde_f32(x, 1, V);
        snprintf(spec, sizeof spec, "penalties(frequency=3, window=%d)", window);
        sonde_token_sampler *drawn = sampler_of(spec, V);
        for (int i = 0; i < LENGTH; i++) OK(sonde_token_sampler_next(drawn, &row, &past[i]));
        sonde_token_sampler *handed = sampler_of(spec, V);
        OK(sonde_token_sampler_accept(handed, 0, past, LENGTH / 2));
        OK(sonde_token_sampler_accept(handed, 0, past + LENGTH / 2, LENGTH - LENGTH / 2));
        for (int i = 0; i < 50; i++) {
            OK(sonde_token_sampler_next(drawn, &row, &ids[0]));
            OK(sonde_token_sampler_next(handed, &row, &ids[1]));
            assert_int_equal(ids[0], ids[1]);
        }
        sonde_token_sampler_free(drawn);
        sonde_token_sampler_free(handed);
        free(x);
    }
}

static void reset_sequences(void **unused)
{
    enum { DRAWS = 12 };
    sonde_token_sampler *sampler = sampler_of("penalties(frequency=1)", V);
    float *x = some_rows(1, 9);
    sonde_array row = sonde_f32(x, 1, V);
    int32_t first[DRAWS], again;
    (void)unused;
    for (int64_t id = 0; id < 300; id++) /* many sequences, to meet in the table */
        OK(sonde_token_sampler_accept(sampler, id * id * 977, NULL, 0));
    for (int i = 0; i < DRAWS; i++) OK(sonde_token_sampler_next(sampler, &row, &first[i]));
    for (int64_t id = 1; id < 300; id++) OK(sonde_token_sampler_reset(sampler, id * id * 977));
    OK(sonde_token_sampler_reset(sampler, 123456)); /* never made */
    OK(sonde_token_sampler_reset(sampler, 0));
    for (int turn = 0; turn < 2; turn++) {
        for (int i = 0; i < DRAWS; i++) {
            OK(sonde_token_sampler_next(sampler, &row, &again));
            assert_int_equal(again, first[i]);
        }
        OK(sonde_token_sampler_reset(sampler, -1));
    }
    FAILS(sonde_token_sampler_reset(sampler, -2), SONDE_INVALID_ARGUMENT, "-2");
    sonde_token_sampler_free(sampler);
    free(x);
}

/* ---- adaptive and random stages ------------------------------------------------------------------------------------- */

/* The mean surprise comes near the target, where truncation can reach it. */
static void mirostat_reaches_its_target(void **unused)
{
    static const char *const specs[] = {"mirostat(tau=3)", "mirostat(version=1, tau=3)", "mirostat(tau=5)"};
    static const double targets[] = {3, 3, 5};
    enum { DRAWS = 3000, SKIP = 500 };
    (void)unused;
    for (int s = 0; s < 3; s++) {
        sonde_token_sampler *sampler = sampler_of(specs[s], V);
        uint64_t seed = 0;
        double sum = 0;
        for (int i = 0; i < DRAWS; i++) {
            float *x = some_rows(1, seed++), log_prob;
            int32_t id;
            sonde_tokens drawn = {sizeof drawn, 0, &id, &log_prob, NULL, NULL, NULL};
            sonde_array row = sonde_f32(x, 1, V);
            OK(sonde_token_sampler_next_with(sampler, &row, NULL, &drawn));
            if (i >= SKIP) sum -= (double)log_prob / log(2);
            free(x);
        }
        double mean = sum / (DRAWS - SKIP);
        if (fabs(mean - targets[s]) > 0.1) fail_msg("%s: mean surprise %.3f", specs[s], mean);
        sonde_token_sampler_free(sampler);
    }
}

/* Top choices .4, .3, .2 are excluded but for the last with the given chance, else nothing is. */
static void excluded_top_choices(void **unused)
{
    static const double p[] = {.4, .06, .3, .2, .04};
    enum { DRAWS = 20000 };
    float x[5];
    int64_t counts[5] = {0};
    double chi = 0;
    sonde_token_sampler *sampler = sampler_of("xtc(threshold=0.1, probability=0.3)", 5);
    sonde_array row = sonde_f32(x, 1, 5);
    (void)unused;
    for (int i = 0; i < 5; i++) x[i] = (float)log(p[i]);
    for (int i = 0; i < DRAWS; i++) {
        int32_t id;
        OK(sonde_token_sampler_next(sampler, &row, &id));
        counts[id]++;
    }
    for (int i = 0; i < 5; i++) {
        bool stays = i == 1 || i == 3 || i == 4;
        double wanted = DRAWS * (0.7 * p[i] + (stays ? 0.3 * p[i] / .3 : 0));
        chi += ((double)counts[i] - wanted) * ((double)counts[i] - wanted) / wanted;
    }
    assert_true(chi < 23.5); /* 4 degrees of freedom, p = 1e-4 */
    sonde_token_sampler_free(sampler);
}

static void dynamic_temperature(void **unused)
{
    static const float x[8] = {1, 2, -1, 0.5f, -2, 3, 0, -0.5f}, flat[8] = {0};
    double sum = 0, entropy = 0, wanted[8];
    (void)unused;
    for (int i = 0; i < 8; i++) sum += exp((double)x[i]);
    for (int i = 0; i < 8; i++) entropy -= exp((double)x[i]) / sum * ((double)x[i] - log(sum));
    double temperature = 0.5 + 1.5 * pow(entropy / log(8), 2);
    for (int i = 0; i < 8; i++) wanted[i] = (double)x[i] / temperature;
    expect_logits("dynamic_temperature(low=0.5, high=2, exponent=2)", NULL, 0, x, wanted);
    expect_logits("dynamic_temperature(low=0.5, high=2)", NULL, 0, flat, (double[8]){0});
}

/* ---- masks and failures --------------------------------------------------------------------------------------------- */

static void masks(void **unused)
{
    uint8_t bits[ROWS][(V + 7) / 8] = {{0}};
    float *x = some_rows(ROWS, 6), *forbidden = some_rows(ROWS, 6), log_probs[2][ROWS], raw[2][ROWS];
    int32_t ids[2][ROWS];
    sonde_token_options how = SONDE_TOKEN_OPTIONS_INIT;
    sonde_array allowed = sonde_bits(bits[0], ROWS, V), one = sonde_bits(bits[0], 1, V),
                batch = sonde_f32(x, ROWS, V);
    sonde_array masked = sonde_f32(forbidden, ROWS, V);
    sonde_tokens drawn[2] = {{sizeof drawn[0], 0, ids[0], log_probs[0], raw[0], NULL, NULL},
                             {sizeof drawn[1], 0, ids[1], log_probs[1], raw[1], NULL, NULL}};
    sonde_token_sampler *sampler[2] = {sampler_of("top_p(mass=0.8)", V), sampler_of("top_p(mass=0.8)", V)};
    uint64_t state = 2;
    (void)unused;
    for (int64_t i = 0; i < ROWS * V; i++) {
        if (test_u64(&state) % 3) bits[i / V][i % V / 8] |= (uint8_t)(1 << i % V % 8);
        else forbidden[i] = -INFINITY;
    }
    how.allowed = &allowed;
    for (int turn = 0; turn < 30; turn++) {
        OK(sonde_token_sampler_next_with(sampler[0], &batch, &how, &drawn[0]));
        OK(sonde_token_sampler_next_with(sampler[1], &masked, NULL, &drawn[1]));
        assert_memory_equal(ids[0], ids[1], sizeof ids[0]);
        assert_memory_equal(log_probs[0], log_probs[1], sizeof log_probs[0]);
        for (int row = 0; row < ROWS; row++) assert_true(raw[0][row] < raw[1][row]); /* of the logits as they came */
    }
    how.allowed = &one;
    OK(sonde_token_sampler_next_with(sampler[0], &batch, &how, &drawn[0]));
    memset(bits[3], 0, sizeof bits[3]);
    how.allowed = &allowed;
    FAILS(sonde_token_sampler_next_with(sampler[0], &batch, &how, &drawn[0]), SONDE_INVALID_ARGUMENT, "row 3");
    one.rows = 2;
    how.allowed = &one;
    FAILS(sonde_token_sampler_next_with(sampler[0], &batch, &how, &drawn[0]), SONDE_INVALID_ARGUMENT, "2 rows");
    sonde_token_sampler_free(sampler[0]);
    sonde_token_sampler_free(sampler[1]);
    free(x);
    free(forbidden);
}

/* A bad row moves no sequence and writes nothing. */
static void fails_as_a_whole(void **unused)
{
    sonde_token_sampler *sampler = sampler_of(stateful, V), *undisturbed = sampler_of(stateful, V);
    float *x = some_rows(ROWS, 8), *bad = some_rows(ROWS, 8);
    int32_t ids[2][ROWS], untouched[ROWS];
    float log_probs[ROWS];
    int64_t counts[ROWS];
    sonde_array batch = sonde_f32(bad, ROWS, V);
    (void)unused;
    bad[4 * V + 17] = NAN;
    for (int turn = 0; turn < 20; turn++) {
        memset(untouched, 0x55, sizeof untouched);
        FAILS(sonde_token_sampler_next(sampler, &batch, untouched), SONDE_INVALID_ARGUMENT,
              "row 4: column 17 is NaN");
        FAILS(sonde_token_sampler_filter(sampler, &batch, NULL, 1, untouched, log_probs, counts),
              SONDE_INVALID_ARGUMENT, "row 4");
        for (int i = 0; i < ROWS; i++) assert_int_equal(untouched[i], 0x55555555);
        draw_round(sampler, x, false, 2, ids[0]);
        draw_round(undisturbed, x, false, 2, ids[1]);
        assert_memory_equal(ids[0], ids[1], sizeof ids[0]);
    }
    sonde_token_sampler_free(sampler);
    sonde_token_sampler_free(undisturbed);
    free(x);
    free(bad);
}

static void bad_specs(void **unused)
{
    static const struct {
        const char *spec, *words;
        sonde_status status;
    } bad[] = {
        {"temperature(value=-1)", "value=-1", SONDE_INVALID_ARGUMENT},
        {"temperature(value=nan)", "value", SONDE_INVALID_ARGUMENT},
        {"temperature(value=1e999)", "value", SONDE_INVALID_ARGUMENT},
        {"top_k(k=-1)", "k=-1", SONDE_INVALID_ARGUMENT},
        {"top_p(mass=1.01)", "mass=1.01", SONDE_INVALID_ARGUMENT},
        {"typical(mass=-0.1)", "mass", SONDE_INVALID_ARGUMENT},
        {"min_p(ratio=2)", "ratio=2", SONDE_INVALID_ARGUMENT},
        {"epsilon(cutoff=1.5)", "cutoff", SONDE_INVALID_ARGUMENT},
        {"eta(cutoff=-1)", "cutoff", SONDE_INVALID_ARGUMENT},
        {"top_p(min_keep=601)", "min_keep=601", SONDE_INVALID_ARGUMENT},
        {"sample(top_k=3, min_keep=601)", "min_keep=601", SONDE_INVALID_ARGUMENT},
        {"dynamic_temperature(low=2, high=1)", "low=2", SONDE_INVALID_ARGUMENT},
        {"chain(topk(k=3))", "top_k", SONDE_NOT_FOUND},
        {"nonsense()", "nonsense", SONDE_NOT_FOUND},
        {"chain(dist(), dist())", "draw", SONDE_INVALID_ARGUMENT},
        {"chain(greedy(), gumbel())", "greedy", SONDE_INVALID_ARGUMENT},
        {"chain(dist(), top_k(k=3))", "last", SONDE_INVALID_ARGUMENT},
        {"chain(chain(top_k(k=3)))", "chain", SONDE_INVALID_ARGUMENT},
        {"chain(sample())", "sample", SONDE_INVALID_ARGUMENT},
        {"chain(top_k(k=3), dist(seed=4))", "seed=4", SONDE_INVALID_ARGUMENT},
        {"chain(top_k(p=3))", "'p'", SONDE_NOT_FOUND},
    };
    sonde_token_sampler *sampler = NULL;
    (void)unused;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        FAILS(sonde_token_sampler_create(bad[i].spec, V, NULL, &sampler), bad[i].status, bad[i].words);
    FAILS(sonde_token_sampler_create("dist()", 0, NULL, &sampler), SONDE_INVALID_ARGUMENT, "vocabulary=0");
    FAILS(sonde_token_sampler_create("dist()", (1 << 24) + 1, NULL, &sampler), SONDE_INVALID_ARGUMENT, "vocabulary");
    FAILS(sonde_token_sampler_create(NULL, 5, NULL, &sampler), SONDE_INVALID_ARGUMENT, "NULL");
    FAILS(sonde_token_sampler_create("dist()", 5, NULL, NULL), SONDE_INVALID_ARGUMENT, "NULL");
    assert_null(sampler);
}

static void bad_calls(void **unused)
{
    sonde_token_sampler *sampler = sampler_of("top_k(k=3)", V);
    float *x = some_rows(2, 1);
    sonde_array batch = sonde_f32(x, 2, V), narrow = sonde_f32(x, 1, V - 1);
    int32_t ids[2];
    int64_t counts[2], twice[2] = {5, 5}, negative[2] = {1, -4};
    sonde_token_options how = SONDE_TOKEN_OPTIONS_INIT;
    sonde_tokens drawn = SONDE_TOKENS_INIT;
    (void)unused;
    drawn.ids = ids;
    FAILS(sonde_token_sampler_next(NULL, &batch, ids), SONDE_INVALID_ARGUMENT, "NULL");
    FAILS(sonde_token_sampler_next(sampler, NULL, ids), SONDE_INVALID_ARGUMENT, "NULL");
    FAILS(sonde_token_sampler_next(sampler, &batch, NULL), SONDE_INVALID_ARGUMENT, "NULL");
    FAILS(sonde_token_sampler_next(sampler, &narrow, ids), SONDE_INVALID_ARGUMENT, "next: logits");
    how.sequences = twice;
    FAILS(sonde_token_sampler_next_with(sampler, &batch, &how, &drawn), SONDE_INVALID_ARGUMENT, "two rows");
    how.sequences = negative;
    FAILS(sonde_token_sampler_next_with(sampler, &batch, &how, &drawn), SONDE_INVALID_ARGUMENT, "-4");
    FAILS(sonde_token_sampler_next_with(sampler, &batch, NULL, NULL), SONDE_INVALID_ARGUMENT, "NULL");
    FAILS(sonde_token_sampler_filter(sampler, &batch, NULL, -1, ids, NULL, counts), SONDE_INVALID_ARGUMENT, "-1");
    FAILS(sonde_token_sampler_filter(sampler, &batch, NULL, 1, NULL, NULL, counts), SONDE_INVALID_ARGUMENT, "NULL");
    FAILS(sonde_token_sampler_accept(sampler, -1, ids, 1), SONDE_INVALID_ARGUMENT, "-1");
    ids[0] = V;
    FAILS(sonde_token_sampler_accept(sampler, 0, ids, 1), SONDE_INVALID_ARGUMENT, "600");
    FAILS(sonde_token_sampler_draft(sampler, NULL, NULL), SONDE_UNSUPPORTED, "top_k");
    FAILS(sonde_token_sampler_verify(sampler, &batch, NULL, NULL, NULL), SONDE_UNSUPPORTED, "top_k");
    x[V + 3] = INFINITY;
    FAILS(sonde_token_sampler_next(sampler, &batch, ids), SONDE_INVALID_ARGUMENT, "row 1: column 3 is +inf");
    for (int i = 0; i < V; i++) x[i] = -INFINITY;
    FAILS(sonde_token_sampler_next(sampler, &batch, ids), SONDE_INVALID_ARGUMENT, "row 0: all 600");
    batch.rows = 0;
    OK(sonde_token_sampler_next(sampler, &batch, NULL));
    sonde_token_sampler_free(sampler);
    sonde_token_sampler_free(NULL);
    free(x);
}

/* One token is always drawn, and rows may stand at odd addresses and strides. */
static void small_and_crooked(void **unused)
{
    uint8_t bytes[3 * 30 + 1] = {0};
    float one = -1e30f, x[3][5] = {{0, 9, 0, 0, 0}, {0, 0, 0, 9, 0}, {9, 0, 0, 0, 0}};
    int32_t ids[3];
    sonde_token_sampler *single = sampler_of("mirostat()", 1), *greedy = sampler_of("greedy()", 5);
    sonde_array row = sonde_f32(&one, 1, 1), crooked = sonde_array_of(SONDE_DTYPE_F32, bytes + 1, 3, 5);
    (void)unused;
    OK(sonde_token_sampler_next(single, &row, ids));
    assert_int_equal(ids[0], 0);
    crooked.stride = 30;
    for (int i = 0; i < 3; i++) memcpy(bytes + 1 + 30 * i, x[i], sizeof x[i]);
    OK(sonde_token_sampler_next(greedy, &crooked, ids));
    assert_int_equal(ids[0], 1);
    assert_int_equal(ids[1], 3);
    assert_int_equal(ids[2], 0);
    sonde_token_sampler_free(single);
    sonde_token_sampler_free(greedy);
}

/* ---- memory ------------------------------------------------------------------------------------------------------- */

/* Draws, saves and opens; every allocation on the way fails once. */
static sonde_status whole_life(sonde_runtime_options *options)
{
    sonde_runtime *runtime = NULL;
    sonde_token_sampler *sampler = NULL, *opened = NULL;
    float *x = some_rows(ROWS, 3);
    int32_t ids[ROWS];
    uint8_t *bytes = NULL;
    size_t length = 0;
    sonde_array batch = sonde_f32(x, ROWS, V);
    options->threads = 1;
    sonde_status status = sonde_runtime_create(options, &runtime);
    if (!status) status = sonde_token_sampler_create(stateful, V, runtime, &sampler);
    for (int i = 0; !status && i < 20; i++) status = sonde_token_sampler_next(sampler, &batch, ids);
    if (!status) status = sonde_token_sampler_save_buffer(sampler, NULL, 0, &length);
    bytes = test_alloc(length, 1);
    if (!status) status = sonde_token_sampler_save_buffer(sampler, bytes, length, &length);
    if (!status) status = sonde_token_sampler_open_buffer(bytes, length, NULL, runtime, &opened);
    if (!status) status = sonde_token_sampler_next(opened, &batch, ids);
    sonde_token_sampler_free(sampler);
    sonde_token_sampler_free(opened);
    sonde_runtime_free(runtime);
    free(bytes);
    free(x);
    return status;
}

static void each_allocation_fails(void **unused)
{
    (void)unused;
    assert_true(failing_walk(whole_life) > 20);
}

/* After the first call nothing is allocated. */
static void draws_allocate_nothing(void **unused)
{
    static const char *const specs[] = {
        "dist()", "chain(top_k(k=40), top_p(mass=0.95), temperature(value=0.8))",
        "chain(typical(mass=0.9), gumbel())",
        "chain(repetition(window=8), min_p(ratio=0.1), xtc(), dry(window=8), mirostat())"};
    enum { N = 20000 };
    (void)unused;
    for (int s = 0; s < 4; s++) {
        failing_allocator memory = {0};
        sonde_runtime_options options = failing_options(&memory);
        sonde_runtime *runtime;
        sonde_token_sampler *sampler;
        float *x = test_alloc(N, sizeof *x);
        uint64_t state = 6;
        int32_t id;
        sonde_array row = sonde_f32(x, 1, N);
        options.threads = 1;
        for (int i = 0; i < N; i++) x[i] = 2 * test_normal(&state);
        OK(sonde_runtime_create(&options, &runtime));
        OK(sonde_token_sampler_create(specs[s], N, runtime, &sampler));
        for (int i = 0; i < 50; i++) OK(sonde_token_sampler_next(sampler, &row, &id));
        long before = memory.calls;
        for (int i = 0; i < 500; i++) OK(sonde_token_sampler_next(sampler, &row, &id));
        assert_int_equal(memory.calls, before);
        sonde_token_sampler_free(sampler);
        sonde_runtime_free(runtime);
        free(x);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(batch_is_singles),
    cmocka_unit_test(independent_randomness),
    cmocka_unit_test(saved_in_the_middle),
    cmocka_unit_test(damaged_files),
    cmocka_unit_test(penalties),
    cmocka_unit_test(repeated_runs),
    cmocka_unit_test(windows_of_any_length),
    cmocka_unit_test(reset_sequences),
    cmocka_unit_test(mirostat_reaches_its_target),
    cmocka_unit_test(excluded_top_choices),
    cmocka_unit_test(dynamic_temperature),
    cmocka_unit_test(masks),
    cmocka_unit_test(fails_as_a_whole),
    cmocka_unit_test(bad_specs),
    cmocka_unit_test(bad_calls),
    cmocka_unit_test(small_and_crooked),
    cmocka_unit_test(each_allocation_fails),
    cmocka_unit_test(draws_allocate_nothing),
};

SONDE_TEST_MAIN(tests)
