/* test_conformance_samplers.c: what every sampler must do, of rows, tokens and paths. A sampler is made, given what it
 * needs, and then stepped; what a step gives goes to a trace of bytes. So each test is written once, on a table of
 * functions for the three nouns, and a new method is covered by one line in `subjects` (one without fails the first
 * test). What a row sampler is fitted on comes from its own table: for each input name there is data below.
 *
 * timeout: 300
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <math.h>
#include <unistd.h>

#include "../failing.h"
#include "../reseal.h"
#include "../test.h"
#include "../row_inputs.h"

#define DIM 8         /* columns of vectors; values of a path's row */
#define VOCABULARY 40
#define STATES 3      /* rows of logits and of paths */

/* ---- traces ------------------------------------------------------------------------------------------------------ */

typedef struct trace {
    uint8_t *bytes;
    size_t length, room;
} trace;

static void note(trace *t, const void *data, size_t bytes)
{
    if (t->length + bytes > t->room) {
        t->room = 2 * (t->length + bytes);
        t->bytes = realloc(t->bytes, t->room);
        assert_non_null(t->bytes);
    }
    if (bytes > 0) memcpy(t->bytes + t->length, data, bytes);
    t->length += bytes;
}

static void assert_same_trace(const char *spec, const trace *a, const trace *b)
{
    if (a->length != b->length || memcmp(a->bytes, b->bytes, a->length) != 0)
        fail_msg("%s: draws differ (%zu and %zu bytes)", spec, a->length, b->length);
}

/* ---- the nouns behind one table ---------------------------------------------------------------------------------- */

typedef struct verbs {
    const char *noun;
    sonde_status (*create)(const char *spec, sonde_runtime *runtime, void **sampler);
    sonde_status (*prepare)(void *sampler);      /* fit, start */
    sonde_status (*step)(void *sampler, trace *t);
    sonde_status (*save)(const void *sampler, const char *path);
    sonde_status (*open)(const char *path, const sonde_open_options *options, sonde_runtime *runtime, void **sampler);
    sonde_status (*save_buffer)(const void *sampler, void *buffer, size_t capacity, size_t *length);
    sonde_status (*open_buffer)(const void *buffer, size_t length, sonde_runtime *runtime, void **sampler);
    const char *(*spec)(const void *sampler);
    void (*free)(void *sampler);
} verbs;

#define WRAP(noun, width)                                                                                          \
    static sonde_status noun##_create_(const char *s, sonde_runtime *r, void **m)                                  \
    {                                                                                                              \
        return sonde_##noun##_create(s, width, r, (sonde_##noun **)m);                                             \
    }                                                                                                              \
    static sonde_status noun##_save_(const void *m, const char *p) { return sonde_##noun##_save(m, p); }           \
    static sonde_status noun##_open_(const char *p, const sonde_open_options *o, sonde_runtime *r, void **m)       \
    {                                                                                                              \
        return sonde_##noun##_open(p, o, r, (sonde_##noun **)m);                                                   \
    }                                                                                                              \
    static sonde_status noun##_save_buffer_(const void *m, void *b, size_t c, size_t *l)                           \
    {                                                                                                              \
        return sonde_##noun##_save_buffer(m, b, c, l);                                                             \
    }                                                                                                              \
    static sonde_status noun##_open_buffer_(const void *b, size_t l, sonde_runtime *r, void **m)                   \
    {                                                                                                              \
        return sonde_##noun##_open_buffer(b, l, NULL, r, (sonde_##noun **)m);                                      \
    }                                                                                                              \
    static const char *noun##_spec_(const void *m) { return sonde_##noun##_spec(m); }                              \
    static void noun##_free_(void *m) { sonde_##noun##_free(m); }
#define VERBS(noun)                                                                                                \
    {                                                                                                              \
        #noun, noun##_create_, noun##_prepare, noun##_step, noun##_save_, noun##_open_, noun##_save_buffer_,       \
            noun##_open_buffer_, noun##_spec_, noun##_free_                                                        \
    }

WRAP(row_sampler, 0)
WRAP(token_sampler, VOCABULARY)
WRAP(path_sampler, DIM)

/* ---- rows: fit, then draws, for inputs where the method asks for them -------------------------------------------- */

static void method_of(const void *sampler, char name[64])
{
    const char *spec = sonde_row_sampler_spec(sampler);
    size_t length = strcspn(spec, "(");
    assert_true(length < 64);
    memcpy(name, spec, length);
    name[length] = 0;
}

static sonde_status row_sampler_prepare(void *sampler)
{
    char method[64];
    row_inputs given = {0};
    method_of(sampler, method);
    row_inputs_make(method, "fit", &given);
    sonde_status status = given.count > 0 ? sonde_row_sampler_fit(sampler, given.list, (size_t)given.count) : SONDE_OK;
    row_inputs_drop(&given);
    return status;
}

static void note_outputs(const void *sampler, const char *method, trace *t)
{
    sonde_output_info info = SONDE_OUTPUT_INFO_INIT;
    for (uint32_t i = 0; sonde_output_at("row_sampler", method, i, &info) == SONDE_OK; i++) {
        sonde_array column;
        if (sonde_row_sampler_output(sampler, info.name, &column) != SONDE_OK) continue;
        note(t, column.data, (size_t)(column.rows * column.stride));
    }
}

static sonde_status row_sampler_step(void *sampler, trace *t)
{
    char method[64];
    row_inputs given = {0};
    sonde_rows rows = SONDE_ROWS_INIT;
    method_of(sampler, method);
    row_inputs_make(method, "draw", &given);
    sonde_status status = given.required ? sonde_row_sampler_draw_for(sampler, given.list, (size_t)given.count, 0, &rows)
                                         : sonde_row_sampler_draw(sampler, 0, &rows);
    row_inputs_drop(&given);
    if (status != SONDE_OK) return status;
    size_t count = (size_t)rows.count;
    note(t, rows.ids, count * sizeof *rows.ids);
    note(t, rows.weights, count * sizeof *rows.weights);
    if (rows.groups) note(t, rows.groups, count * sizeof *rows.groups);
    note_outputs(sampler, method, t);
    return SONDE_OK;
}

/* ---- tokens: draws, or a draft and its verification -------------------------------------------------------------- */

static sonde_status token_sampler_prepare(void *sampler)
{
    static const int32_t prompt[] = {3, 1, 4, 1, 5};
    if (strncmp(sonde_token_sampler_spec(sampler), "speculative", 11) == 0) return SONDE_OK;
    return sonde_token_sampler_accept(sampler, 1, prompt, 5);
}

/* Any rows of logits that are the same for the same step of a run: they depend on the row alone. */
static float *some_logits(int64_t rows)
{
    float *x = test_vectors(rows, VOCABULARY, 0, 77);
    for (int64_t i = 0; i < rows * VOCABULARY; i++) x[i] *= 2;
    return x;
}

static sonde_status draft_and_verify(void *sampler, trace *t)
{
    sonde_draft_tree tree = SONDE_DRAFT_TREE_INIT;
    sonde_status status = sonde_token_sampler_draft(sampler, NULL, &tree);
    while (status == SONDE_OK && tree.frontier_count > 0) {
        float *x = some_logits(tree.frontier_count);
        sonde_array logits = sonde_f32(x, tree.frontier_count, VOCABULARY);
        status = sonde_token_sampler_draft(sampler, &logits, &tree);
        free(x);
    }
    if (status != SONDE_OK) return status;
    note(t, tree.tokens, (size_t)tree.count * sizeof *tree.tokens);
    int64_t path[64];
    sonde_verdict verdict = SONDE_VERDICT_INIT;
    verdict.capacity = 64;
    verdict.path = path;
    float *x = some_logits(tree.count + 1);
    sonde_array target = sonde_f32(x, tree.count + 1, VOCABULARY);
    status = sonde_token_sampler_verify(sampler, &target, NULL, NULL, &verdict);
    free(x);
    if (status != SONDE_OK) return status;
    note(t, path, (size_t)verdict.accepted * sizeof *path);
    note(t, &verdict.token, sizeof verdict.token);
    return SONDE_OK;
}

static sonde_status token_sampler_step(void *sampler, trace *t)
{
    if (strncmp(sonde_token_sampler_spec(sampler), "speculative", 11) == 0) return draft_and_verify(sampler, t);
    int32_t tokens[STATES];
    float *x = some_logits(STATES);
    sonde_array logits = sonde_f32(x, STATES, VOCABULARY);
    sonde_status status = sonde_token_sampler_next(sampler, &logits, tokens);
    free(x);
    if (status == SONDE_OK) note(t, tokens, sizeof tokens);
    return status;
}

/* ---- paths: predictions of a smooth model ------------------------------------------------------------------------ */

static sonde_status path_sampler_prepare(void *sampler)
{
    sonde_path_node first;
    int64_t count;
    sonde_status status = sonde_path_sampler_nodes(sampler, &first, 1, &count);
    if (status != SONDE_OK) return status;
    float *x = test_vectors(STATES, DIM, 0, 5);
    for (int i = 0; i < STATES * DIM; i++) x[i] *= (float)(first.alpha + first.sigma);
    sonde_array state = sonde_f32(x, STATES, DIM);
    status = sonde_path_sampler_start(sampler, &state);
    free(x);
    return status;
}

static sonde_status path_sampler_step(void *sampler, trace *t)
{
    sonde_ask ask = SONDE_ASK_INIT;
    sonde_array state;
    float prediction[STATES * DIM];
    sonde_status status = sonde_path_sampler_ask(sampler, &ask);
    if (status == SONDE_OK && !ask.done) {
        const float *x = ask.x.data;
        for (int i = 0; i < STATES * DIM; i++)
            prediction[i] = sinf(x[i] + (float)ask.t) * (ask.condition ? 0.5f : 0.4f);
        sonde_array told = sonde_f32(prediction, STATES, DIM);
        status = sonde_path_sampler_tell(sampler, &told);
    }
    if (status == SONDE_OK) status = sonde_path_sampler_output(sampler, "state", &state);
    if (status != SONDE_OK) return status;
    note(t, state.data, sizeof prediction);
    note(t, &ask.evaluation, sizeof ask.evaluation);
    return SONDE_OK;
}

static const verbs row_verbs = VERBS(row_sampler), token_verbs = VERBS(token_sampler),
                   path_verbs = VERBS(path_sampler);

/* ---- subjects ---------------------------------------------------------------------------------------------------- */

typedef struct subject {
    const verbs *v;
    const char *spec;
} subject;

static const subject subjects[] = {
#define SAMPLER(verbs, spec) {&verbs, spec},
#include "../samplers.h"
#undef SAMPLER
};
#define SUBJECTS ((int)(sizeof subjects / sizeof subjects[0]))
#define STEPS 3

static void *make(const subject *s, sonde_runtime *runtime)
{
    void *sampler = NULL;
    sonde_status status = s->v->create(s->spec, runtime, &sampler);
    if (status == SONDE_OK) status = s->v->prepare(sampler);
    if (status != SONDE_OK) fail_msg("%s: %s", s->spec, sonde_error_message());
    return sampler;
}

static trace steps(const subject *s, void *sampler, int count)
{
    trace t = {0};
    for (int i = 0; i < count; i++)
        if (s->v->step(sampler, &t) != SONDE_OK) fail_msg("%s: step %d: %s", s->spec, i, sonde_error_message());
    return t;
}

static sonde_runtime *runtime_of(uint32_t threads)
{
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    sonde_runtime *runtime;
    options.threads = threads;
    OK(sonde_runtime_create(&options, &runtime));
    return runtime;
}

static void covers_every_method(void **unused)
{
    (void)unused;
    sonde_method_info info = SONDE_METHOD_INFO_INIT;
    for (uint32_t i = 0; sonde_method_at(i, &info) == SONDE_OK; i++) {
        bool covered = strstr(info.noun, "_sampler") == NULL;
        for (int s = 0; s < SUBJECTS && !covered; s++)
            covered = strcmp(subjects[s].v->noun, info.noun) == 0 &&
                      strlen(info.name) == strcspn(subjects[s].spec, "(") &&
                      strncmp(subjects[s].spec, info.name, strlen(info.name)) == 0;
        if (!covered) fail_msg("no subject covers %s %s", info.noun, info.name);
    }
}

/* Something is drawn, or the tests below compare nothing. */
static void steps_give_something(void **unused)
{
    (void)unused;
    for (int i = 0; i < SUBJECTS; i++) {
        void *sampler = make(&subjects[i], NULL);
        trace t = steps(&subjects[i], sampler, STEPS);
        if (t.length < 4) fail_msg("%s: nothing is drawn", subjects[i].spec);
        free(t.bytes);
        subjects[i].v->free(sampler);
    }
}

/* ---- files --------------------------------------------------------------------------------------------------------- */

static void temporary(char path[40])
{
    strcpy(path, "/tmp/sonde_samplers_XXXXXX");
    close(mkstemp(path));
}

static uint8_t *saved(const subject *s, const void *sampler, size_t *length)
{
    size_t written;
    OK(s->v->save_buffer(sampler, NULL, 0, length));
    uint8_t *bytes = test_alloc(*length, 1);
    OK(s->v->save_buffer(sampler, bytes, *length, &written));
    assert_int_equal(written, *length);
    return bytes;
}

/* Saved after `before` steps, opened from memory and from the file, read and mapped: the same spec, bytes and draws. */
static void round_trip(const subject *s, int before)
{
    char path[40];
    sonde_open_options map = SONDE_OPEN_OPTIONS_INIT;
    map.mode = SONDE_OPEN_MMAP;
    void *sampler = make(s, NULL), *opened[3];
    trace drawn = steps(s, sampler, before);
    size_t length, again;
    uint8_t *bytes = saved(s, sampler, &length);
    temporary(path);
    OK(s->v->save(sampler, path));
    OK(s->v->open_buffer(bytes, length, NULL, &opened[0]));
    OK(s->v->open(path, NULL, NULL, &opened[1]));
    OK(s->v->open(path, &map, NULL, &opened[2]));
    trace wanted = steps(s, sampler, STEPS);
    for (int o = 0; o < 3; o++) {
        assert_string_equal(s->v->spec(opened[o]), s->v->spec(sampler));
        uint8_t *same = saved(s, opened[o], &again);
        assert_int_equal(again, length);
        if (memcmp(same, bytes, length) != 0) fail_msg("%s: saved again, other bytes", s->spec);
        trace got = steps(s, opened[o], STEPS);
        assert_same_trace(s->spec, &wanted, &got);
        s->v->free(opened[o]);
        free(same);
        free(got.bytes);
    }
    unlink(path);
    s->v->free(sampler);
    free(bytes);
    free(drawn.bytes);
    free(wanted.bytes);
}

static void round_trips(void **unused)
{
    (void)unused;
    for (int i = 0; i < SUBJECTS; i++)
        for (int before = 0; before < 3; before++) round_trip(&subjects[i], before);
}

/* ---- threads, seeds, cancelling, memory ---------------------------------------------------------------------------- */

static void same_for_any_threads(void **unused)
{
    (void)unused;
    static const uint32_t threads[] = {1, 2, 7};
    for (int i = 0; i < SUBJECTS; i++) {
        trace t[3];
        for (int k = 0; k < 3; k++) {
            sonde_runtime *runtime = runtime_of(threads[k]);
            void *sampler = make(&subjects[i], runtime);
            sonde_runtime_free(runtime);
            t[k] = steps(&subjects[i], sampler, STEPS);
            assert_same_trace(subjects[i].spec, &t[0], &t[k]);
            subjects[i].v->free(sampler);
        }
        for (int k = 0; k < 3; k++) free(t[k].bytes);
    }
}

/* Cancelled at any point, getting ready is as if it had not begun, and can be done again. */
static void cancelled_anywhere(void **unused)
{
    (void)unused;
    for (int i = 0; i < SUBJECTS; i++) {
        const subject *s = &subjects[i];
        sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
        sonde_runtime *runtime;
        int left = 1 << 30;
        options.progress = cancel_later;
        options.progress_user = &left;
        options.threads = 2;
        OK(sonde_runtime_create(&options, &runtime));
        void *sampler = make(s, runtime);
        trace wanted = steps(s, sampler, STEPS);
        s->v->free(sampler);
        OK(s->v->create(s->spec, runtime, &sampler));
        for (int n = 0;; n++) {
            left = n;
            sonde_status status = s->v->prepare(sampler);
            left = 1 << 30;
            if (status == SONDE_OK) break;
            if (status != SONDE_CANCELLED) fail_msg("%s: %s", s->spec, sonde_error_message());
            assert_in_range(n, 0, 3000);
        }
        trace got = steps(s, sampler, STEPS);
        assert_same_trace(s->spec, &wanted, &got);
        s->v->free(sampler);
        sonde_runtime_free(runtime);
        free(wanted.bytes);
        free(got.bytes);
    }
}

static const subject *failing_subject;

/* One life, from create over a file to the end. */
static sonde_status life(sonde_runtime_options *options)
{
    const subject *s = failing_subject;
    sonde_runtime *runtime;
    void *sampler = NULL, *opened = NULL;
    trace t = {0};
    size_t length = 0;
    uint8_t *bytes = NULL;
    options->threads = 1;
    sonde_status status = sonde_runtime_create(options, &runtime);
    if (status != SONDE_OK) return status;
    status = s->v->create(s->spec, runtime, &sampler);
    if (status == SONDE_OK) status = s->v->prepare(sampler);
    for (int i = 0; i < STEPS && status == SONDE_OK; i++) status = s->v->step(sampler, &t);
    if (status == SONDE_OK) status = s->v->save_buffer(sampler, NULL, 0, &length);
    if (status == SONDE_OK) {
        bytes = test_alloc(length, 1);
        status = s->v->save_buffer(sampler, bytes, length, &length);
    }
    if (status == SONDE_OK) status = s->v->open_buffer(bytes, length, runtime, &opened);
    if (status == SONDE_OK) status = s->v->step(opened, &t);
    s->v->free(opened);
    s->v->free(sampler);
    sonde_runtime_free(runtime);
    free(bytes);
    free(t.bytes);
    return status;
}

static void survives_failing_allocations(void **unused)
{
    (void)unused;
    for (int i = 0; i < SUBJECTS; i++) {
        failing_subject = &subjects[i];
        print_message("%s\n", subjects[i].spec); /* which one, where the walk fails */
        assert_in_range(failing_walk(life), 1, 3000);
    }
}

/* A step whose n-th allocation fails has not happened: once memory is there, the same comes. */
static void failed_steps_have_not_happened(void **unused)
{
    (void)unused;
    for (int i = 0; i < SUBJECTS; i++) {
        const subject *s = &subjects[i];
        failing_allocator memory = {0};
        sonde_runtime_options options = failing_options(&memory);
        sonde_runtime *runtime;
        options.threads = 1;
        OK(sonde_runtime_create(&options, &runtime));
        void *sampler = make(s, NULL), *tried = make(s, runtime);
        trace wanted = steps(s, sampler, STEPS), got = {0};
        for (int k = 0; k < STEPS; k++)
            for (long n = 1;; n++) {
                size_t length = got.length;
                memory.calls = 0;
                memory.fail_at = n;
                sonde_status status = s->v->step(tried, &got);
                memory.fail_at = 0;
                if (status == SONDE_OK) break;
                if (status != SONDE_OUT_OF_MEMORY) fail_msg("%s: %s", s->spec, sonde_error_message());
                got.length = length;
            }
        assert_same_trace(s->spec, &wanted, &got);
        s->v->free(sampler);
        s->v->free(tried);
        sonde_runtime_free(runtime);
        assert_int_equal(memory.blocks, 0);
        free(wanted.bytes);
        free(got.bytes);
    }
}

/* ---- damaged files ------------------------------------------------------------------------------------------------ */

/* Whatever opens must work: steps end with success or a clear status, without a crash. */
static void use_what_opened(const subject *s, const uint8_t *bytes, size_t length)
{
    void *sampler = NULL;
    trace t = {0};
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    sonde_runtime *runtime;
    options.memory_limit = 256 << 20;
    OK(sonde_runtime_create(&options, &runtime));
    sonde_status status = s->v->open_buffer(bytes, length, runtime, &sampler);
    if (status == SONDE_OK)
        for (int k = 0; k < STEPS && status == SONDE_OK; k++) status = s->v->step(sampler, &t);
    else if (status != SONDE_CORRUPT && status != SONDE_INCOMPATIBLE && status != SONDE_OUT_OF_MEMORY &&
             status != SONDE_LIMIT)
        fail_msg("%s: damaged bytes gave %s: %s", s->spec, sonde_status_name(status), sonde_error_message());
    s->v->free(sampler);
    sonde_runtime_free(runtime);
    free(t.bytes);
}

/* Any byte changed, any end cut off: refused. With the checksums made right again: refused or harmless. */
static void damaged_files(void **unused)
{
    (void)unused;
    uint64_t state = 20;
    for (int i = 0; i < SUBJECTS; i++) {
        const subject *s = &subjects[i];
        void *sampler = make(s, NULL), *opened = NULL;
        trace t = steps(s, sampler, 1);
        size_t length;
        uint8_t *good = saved(s, sampler, &length), *bytes = test_alloc(length, 1);
        s->v->free(sampler);
        for (int round = 0; round < 150; round++) {
            size_t at = round < 64 ? (size_t)round : (size_t)(test_u64(&state) % length);
            memcpy(bytes, good, length);
            bytes[at] ^= (uint8_t)(1 + test_u64(&state) % 255);
            assert_int_not_equal(s->v->open_buffer(bytes, length, NULL, &opened), SONDE_OK);
            assert_int_not_equal(s->v->open_buffer(good, at, NULL, &opened), SONDE_OK);
            reseal(bytes, length);
            use_what_opened(s, bytes, length);
        }
        free(good);
        free(bytes);
        free(t.bytes);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(covers_every_method),
    cmocka_unit_test(steps_give_something),
    cmocka_unit_test(round_trips),
    cmocka_unit_test(same_for_any_threads),
    cmocka_unit_test(cancelled_anywhere),
    cmocka_unit_test(survives_failing_allocations),
    cmocka_unit_test(failed_steps_have_not_happened),
    cmocka_unit_test(damaged_files),
};
SONDE_TEST_MAIN(tests)
