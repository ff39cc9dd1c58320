/* test_misuse_samplers.c: every public function of the samplers, called wrongly. Each line is a call, the status that it
 * must give and words that its message must hold; outputs stay as they were. The first test makes sure that no function
 * is forgotten.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <math.h>
#include <unistd.h>

#include "../test.h"

#define BAD SONDE_INVALID_ARGUMENT
#define DIM 4

/* Every exported symbol of a sampler is called in this file. Runs where the sources are. */
static void covers_every_function(void **unused)
{
    (void)unused;
    FILE *symbols = fopen("test/abi/symbols.txt", "r"), *source = fopen("test/methods/test_misuse_samplers.c", "r");
    if (!symbols || !source) {
        if (symbols) fclose(symbols);
        skip();
    }
    char *text = test_alloc(1, 100000), line[200], call[210];
    int found = 0;
    assert_true(fread(text, 1, 99999, source) > 1000);
    while (fgets(line, sizeof line, symbols)) {
        line[strcspn(line, "\n")] = 0;
        if (!strstr(line, "_sampler_")) continue;
        snprintf(call, sizeof call, "%s(", line);
        if (!strstr(text, call)) fail_msg("%s is not called here", line);
        found++;
    }
    assert_true(found > 40);
    fclose(symbols);
    fclose(source);
    free(text);
}

/* ---- rows ---------------------------------------------------------------------------------------------------------- */

static void refuses_to_make_row_samplers(void **unused)
{
    (void)unused;
    sonde_row_sampler *made = NULL;
    size_t length = 7;
    FAILS(sonde_row_sampler_create("random", 0, NULL, NULL), BAD, "NULL");
    FAILS(sonde_row_sampler_create(NULL, 0, NULL, &made), BAD, "spec of the row_sampler is NULL");
    FAILS(sonde_row_sampler_create("randm", 0, NULL, &made), SONDE_NOT_FOUND, "did you mean 'random'?");
    FAILS(sonde_row_sampler_create("random", -1, NULL, &made), BAD, "dim=-1 is outside 0..65536");
    FAILS(sonde_row_sampler_open(NULL, NULL, NULL, &made), BAD, "path is NULL");
    FAILS(sonde_row_sampler_open("/nowhere/x", NULL, NULL, &made), SONDE_NOT_FOUND, "/nowhere/x");
    FAILS(sonde_row_sampler_open("x", NULL, NULL, NULL), BAD, "NULL");
    FAILS(sonde_row_sampler_open_buffer(NULL, 9, NULL, NULL, &made), BAD, "buffer is NULL");
    FAILS(sonde_row_sampler_open_buffer("no container", 12, NULL, NULL, &made), SONDE_CORRUPT, "buffer");
    FAILS(sonde_row_sampler_open_buffer("x", 1, NULL, NULL, NULL), BAD, "NULL");
    FAILS(sonde_row_sampler_save(NULL, "x"), BAD, "NULL");
    FAILS(sonde_row_sampler_save_buffer(NULL, NULL, 0, &length), BAD, "NULL");
    assert_int_equal(length, 7);
    assert_null(made);
    assert_false(sonde_row_sampler_fitted(NULL));
    assert_int_equal(sonde_row_sampler_dim(NULL), 0);
    assert_string_equal(sonde_row_sampler_spec(NULL), "");
    sonde_row_sampler_free(NULL);
}

static void refuses_to_use_row_samplers(void **unused)
{
    (void)unused;
    int64_t ids[3] = {1, 2, 3};
    float x[3] = {1, 2, 3};
    double loss = 7;
    sonde_array column = sonde_i64(ids, 3, 1), reals = sonde_f32(x, 3, 1), wide = sonde_i64(ids, 1, 3);
    sonde_input good = {"ids", &column}, odd = {"idz", &column}, typed = {"ids", &reals}, broad = {"ids", &wide};
    sonde_rows rows = SONDE_ROWS_INIT, sized = {0};
    sonde_row_sampler *random, *other;
    OK(sonde_row_sampler_create("random", 0, NULL, &random));
    OK(sonde_row_sampler_create("random(seed=2)", 0, NULL, &other));
    FAILS(sonde_row_sampler_fit(NULL, &good, 1), BAD, "NULL");
    FAILS(sonde_row_sampler_fit(random, NULL, 1), BAD, "NULL");
    FAILS(sonde_row_sampler_fit(random, NULL, 0), BAD, "input 'ids' (n x 1) is missing");
    FAILS(sonde_row_sampler_fit(random, &odd, 1), SONDE_NOT_FOUND, "did you mean 'ids'?");
    FAILS(sonde_row_sampler_fit(random, &typed, 1), BAD, "dtype f32");
    FAILS(sonde_row_sampler_fit(random, &broad, 1), BAD, "3 columns");
    FAILS(sonde_row_sampler_draw(random, 1, &rows), SONDE_STATE, "not fitted");
    FAILS(sonde_row_sampler_observe(random, &good, 1), SONDE_UNSUPPORTED, "observes nothing");
    FAILS(sonde_row_sampler_merge(random, other), SONDE_INCOMPATIBLE, "specs differ");
    OK(sonde_row_sampler_fit(random, &good, 1));
    FAILS(sonde_row_sampler_draw(NULL, 1, &rows), BAD, "NULL");
    FAILS(sonde_row_sampler_draw(random, 1, NULL), BAD, "NULL");
    FAILS(sonde_row_sampler_draw(random, 1, &sized), BAD, "size is 0");
    FAILS(sonde_row_sampler_draw(random, -1, &rows), BAD, "count=-1");
    FAILS(sonde_row_sampler_draw_for(NULL, &good, 1, 1, &rows), BAD, "NULL");
    FAILS(sonde_row_sampler_draw_for(random, &good, 1, 1, &rows), SONDE_UNSUPPORTED, "takes no inputs");
    FAILS(sonde_row_sampler_output(NULL, "x", &column), BAD, "NULL");
    FAILS(sonde_row_sampler_output(random, NULL, &column), BAD, "name is NULL");
    FAILS(sonde_row_sampler_output(random, "x", NULL), BAD, "column is NULL");
    FAILS(sonde_row_sampler_output(random, "x", &column), SONDE_NOT_FOUND, "no output 'x'");
    FAILS(sonde_row_sampler_observe(NULL, &good, 1), BAD, "NULL");
    FAILS(sonde_row_sampler_loss(random, &good, 1, NULL, 0, &loss), SONDE_UNSUPPORTED, "has no loss");
    FAILS(sonde_row_sampler_loss(NULL, &good, 1, NULL, 0, &loss), BAD, "NULL");
    FAILS(sonde_row_sampler_loss(random, &good, 1, NULL, 0, NULL), BAD, "loss is NULL");
    FAILS(sonde_row_sampler_merge(random, random), BAD, "same row sampler");
    FAILS(sonde_row_sampler_merge(random, NULL), BAD, "NULL");
    FAILS(sonde_row_sampler_seek(NULL, 0), BAD, "NULL");
    FAILS(sonde_row_sampler_seek(random, -2), BAD, "pass=-2");
    FAILS(sonde_row_sampler_attach(NULL, NULL), BAD, "NULL");
    FAILS(sonde_row_sampler_attach(random, NULL), SONDE_UNSUPPORTED, "searches no index");
    assert_int_equal(rows.count, 0);
    assert_true(loss == 7);
    OK(sonde_row_sampler_draw(random, 3, &rows));
    assert_int_equal(rows.count, 3);
    sonde_row_sampler_free(random);
    sonde_row_sampler_free(other);
}

/* ---- tokens -------------------------------------------------------------------------------------------------------- */

static void refuses_to_make_token_samplers(void **unused)
{
    (void)unused;
    sonde_token_sampler *made = NULL;
    size_t length = 7;
    FAILS(sonde_token_sampler_create("dist", 4, NULL, NULL), BAD, "NULL");
    FAILS(sonde_token_sampler_create(NULL, 4, NULL, &made), BAD, "NULL");
    FAILS(sonde_token_sampler_create("tipical", 4, NULL, &made), SONDE_NOT_FOUND, "did you mean 'typical'?");
    FAILS(sonde_token_sampler_create("dist", 0, NULL, &made), BAD, "0 is outside 1..");
    FAILS(sonde_token_sampler_open(NULL, NULL, NULL, &made), BAD, "path is NULL");
    FAILS(sonde_token_sampler_open("/nowhere/x", NULL, NULL, &made), SONDE_NOT_FOUND, "/nowhere/x");
    FAILS(sonde_token_sampler_open("x", NULL, NULL, NULL), BAD, "NULL");
    FAILS(sonde_token_sampler_open_buffer(NULL, 9, NULL, NULL, &made), BAD, "buffer is NULL");
    FAILS(sonde_token_sampler_open_buffer("no container", 12, NULL, NULL, &made), SONDE_CORRUPT, "buffer");
    FAILS(sonde_token_sampler_open_buffer("x", 1, NULL, NULL, NULL), BAD, "NULL");
    FAILS(sonde_token_sampler_save(NULL, "x"), BAD, "NULL");
    FAILS(sonde_token_sampler_save_buffer(NULL, NULL, 0, &length), BAD, "NULL");
    assert_int_equal(length, 7);
    assert_null(made);
    assert_int_equal(sonde_token_sampler_vocabulary(NULL), 0);
    assert_string_equal(sonde_token_sampler_spec(NULL), "");
    sonde_token_sampler_free(NULL);
}

static int no_draft(const sonde_draft_tree *tree, sonde_array *logits, void *user)
{
    (void)tree;
    (void)logits;
    (void)user;
    return 1;
}

static void refuses_to_use_token_samplers(void **unused)
{
    (void)unused;
    float x[8] = {1, 2, 3, 4, 1, NAN, 3, 4}, p[4] = {0.5f, 0.25f, 0.25f, 0};
    sonde_array row = sonde_f32(x, 1, 4), law = sonde_f32(p, 1, 4), both = sonde_f32(x, 2, 4), narrow = sonde_f32(x, 1, 3);
    int32_t token = 9, outside = 4;
    int64_t count = 7, twice[2] = {5, 5};
    double rate = 7;
    sonde_token_sampler *chain, *rule;
    sonde_token_options how = SONDE_TOKEN_OPTIONS_INIT, odd = {0};
    sonde_tokens drawn = SONDE_TOKENS_INIT;
    sonde_draft_tree tree = SONDE_DRAFT_TREE_INIT;
    sonde_verdict verdict = SONDE_VERDICT_INIT;
    OK(sonde_token_sampler_create("chain(top_k(k=2))", 4, NULL, &chain));
    OK(sonde_token_sampler_create("speculative", 4, NULL, &rule));
    drawn.ids = &token;
    FAILS(sonde_token_sampler_next(NULL, &row, &token), BAD, "NULL");
    FAILS(sonde_token_sampler_next(chain, NULL, &token), BAD, "logits");
    FAILS(sonde_token_sampler_next(chain, &row, NULL), BAD, "NULL");
    FAILS(sonde_token_sampler_next(chain, &narrow, &token), BAD, "3 columns");
    FAILS(sonde_token_sampler_next(chain, &both, &token), BAD, "row 1");
    FAILS(sonde_token_sampler_next_with(NULL, &row, &how, &drawn), BAD, "NULL");
    FAILS(sonde_token_sampler_next_with(chain, &row, &odd, &drawn), BAD, "size is 0");
    FAILS(sonde_token_sampler_next_with(chain, &row, &how, NULL), BAD, "NULL");
    x[5] = 2;
    how.sequences = twice;
    FAILS(sonde_token_sampler_next_with(chain, &both, &how, &drawn), BAD, "sequence");
    FAILS(sonde_token_sampler_filter(NULL, &row, NULL, 1, &token, NULL, &count), BAD, "NULL");
    FAILS(sonde_token_sampler_filter(chain, &row, NULL, 1, NULL, NULL, &count), BAD, "NULL");
    FAILS(sonde_token_sampler_filter(chain, &row, NULL, -1, &token, NULL, &count), BAD, "-1");
    FAILS(sonde_token_sampler_accept(NULL, 0, &token, 1), BAD, "NULL");
    FAILS(sonde_token_sampler_accept(chain, 0, &outside, 1), BAD, "4");
    FAILS(sonde_token_sampler_accept(chain, -1, &outside, 0), BAD, "-1");
    FAILS(sonde_token_sampler_reset(NULL, 0), BAD, "NULL");
    FAILS(sonde_token_sampler_reset(chain, -2), BAD, "-2");
    FAILS(sonde_token_sampler_draft(NULL, NULL, &tree), BAD, "NULL");
    FAILS(sonde_token_sampler_draft(chain, NULL, &tree), SONDE_UNSUPPORTED, "chain");
    FAILS(sonde_token_sampler_draft(rule, NULL, NULL), BAD, "NULL");
    FAILS(sonde_token_sampler_draft_run(NULL, no_draft, NULL, &tree), BAD, "NULL");
    FAILS(sonde_token_sampler_draft_run(rule, NULL, NULL, &tree), BAD, "NULL");
    FAILS(sonde_token_sampler_draft_run(rule, no_draft, NULL, &tree), SONDE_CALLBACK, "model");
    FAILS(sonde_token_sampler_verify(NULL, &row, NULL, NULL, &verdict), BAD, "NULL");
    FAILS(sonde_token_sampler_verify(chain, &row, NULL, NULL, &verdict), SONDE_UNSUPPORTED, "chain");
    FAILS(sonde_token_sampler_verify(rule, &row, NULL, NULL, NULL), BAD, "NULL");
    FAILS(sonde_token_sampler_accept_rate(NULL, "single", &row, &row, 1, &rate), BAD, "NULL");
    FAILS(sonde_token_sampler_accept_rate(rule, "single", &row, &law, 1, &rate), BAD, "sum to 10 and not 1");
    FAILS(sonde_token_sampler_accept_rate(rule, "singel", &law, &law, 1, &rate), BAD, "singel");
    FAILS(sonde_token_sampler_accept_rate(rule, "single", &law, &law, 1, NULL), BAD, "NULL");
    assert_int_equal(token, 9);
    assert_int_equal(count, 7);
    assert_true(rate == 7);
    sonde_token_sampler_free(chain);
    sonde_token_sampler_free(rule);
}

/* ---- paths --------------------------------------------------------------------------------------------------------- */

static void refuses_to_make_path_samplers(void **unused)
{
    (void)unused;
    sonde_path_sampler *made = NULL;
    size_t length = 7;
    FAILS(sonde_path_sampler_create("ddim", 4, NULL, NULL), BAD, "NULL");
    FAILS(sonde_path_sampler_create(NULL, 4, NULL, &made), BAD, "NULL");
    FAILS(sonde_path_sampler_create("dimm", 4, NULL, &made), SONDE_NOT_FOUND, "did you mean 'ddim'?");
    FAILS(sonde_path_sampler_create("ddim", 0, NULL, &made), BAD, "dim=0 is outside 1..");
    FAILS(sonde_path_sampler_create("ddim(schedule=vp(steps=0))", 4, NULL, &made), BAD, "steps=0");
    FAILS(sonde_path_sampler_open(NULL, NULL, NULL, &made), BAD, "path is NULL");
    FAILS(sonde_path_sampler_open("/nowhere/x", NULL, NULL, &made), SONDE_NOT_FOUND, "/nowhere/x");
    FAILS(sonde_path_sampler_open("x", NULL, NULL, NULL), BAD, "NULL");
    FAILS(sonde_path_sampler_open_buffer(NULL, 9, NULL, NULL, &made), BAD, "buffer is NULL");
    FAILS(sonde_path_sampler_open_buffer("no container", 12, NULL, NULL, &made), SONDE_CORRUPT, "buffer");
    FAILS(sonde_path_sampler_open_buffer("x", 1, NULL, NULL, NULL), BAD, "NULL");
    FAILS(sonde_path_sampler_save(NULL, "x"), BAD, "NULL");
    FAILS(sonde_path_sampler_save_buffer(NULL, NULL, 0, &length), BAD, "NULL");
    assert_int_equal(length, 7);
    assert_null(made);
    assert_int_equal(sonde_path_sampler_dim(NULL), 0);
    assert_string_equal(sonde_path_sampler_spec(NULL), "");
    sonde_path_sampler_free(NULL);
}

static int no_model(const sonde_ask *ask, sonde_array *prediction, void *user)
{
    (void)ask;
    (void)prediction;
    (void)user;
    return 1;
}

static void refuses_to_use_path_samplers(void **unused)
{
    (void)unused;
    float x[2 * DIM] = {1, 2, 3, 4, 5, NAN, 7, 8}, y[DIM] = {0};
    sonde_array row = sonde_f32(x, 1, DIM), both = sonde_f32(x, 2, DIM), narrow = sonde_f32(x, 1, 3), column,
                half = sonde_f16((uint16_t *)x, 1, DIM), good = sonde_f32(y, 1, DIM);
    sonde_ask ask = SONDE_ASK_INIT, odd = {0};
    int64_t count = 7;
    sonde_path_sampler *path;
    OK(sonde_path_sampler_create("ddim(schedule=vp(steps=3))", DIM, NULL, &path));
    FAILS(sonde_path_sampler_start(NULL, &row), BAD, "NULL");
    FAILS(sonde_path_sampler_start(path, NULL), BAD, "x");
    FAILS(sonde_path_sampler_start(path, &narrow), BAD, "3 columns");
    FAILS(sonde_path_sampler_start(path, &both), BAD, "row 1");
    FAILS(sonde_path_sampler_ask(NULL, &ask), BAD, "NULL");
    FAILS(sonde_path_sampler_ask(path, &ask), SONDE_STATE, "start");
    FAILS(sonde_path_sampler_tell(path, &row), SONDE_STATE, "start");
    FAILS(sonde_path_sampler_output(path, "state", &column), SONDE_STATE, "start");
    OK(sonde_path_sampler_start(path, &row));
    FAILS(sonde_path_sampler_ask(path, NULL), BAD, "NULL");
    FAILS(sonde_path_sampler_ask(path, &odd), BAD, "size is 0");
    FAILS(sonde_path_sampler_tell(NULL, &row), BAD, "NULL");
    FAILS(sonde_path_sampler_tell(path, NULL), BAD, "prediction");
    FAILS(sonde_path_sampler_tell(path, &both), BAD, "2 rows");
    FAILS(sonde_path_sampler_run(NULL, &good, no_model, NULL), BAD, "NULL");
    FAILS(sonde_path_sampler_run(path, NULL, no_model, NULL), BAD, "x");
    FAILS(sonde_path_sampler_run(path, &half, no_model, NULL), BAD, "dtype f16");
    FAILS(sonde_path_sampler_run(path, &good, NULL, NULL), BAD, "NULL");
    FAILS(sonde_path_sampler_run(path, &good, no_model, NULL), SONDE_CALLBACK, "model");
    FAILS(sonde_path_sampler_output(NULL, "state", &column), BAD, "NULL");
    FAILS(sonde_path_sampler_output(path, NULL, &column), BAD, "NULL");
    FAILS(sonde_path_sampler_output(path, "state", NULL), BAD, "NULL");
    FAILS(sonde_path_sampler_output(path, "stat", &column), SONDE_NOT_FOUND, "stat");
    FAILS(sonde_path_sampler_nodes(NULL, NULL, 0, &count), BAD, "NULL");
    FAILS(sonde_path_sampler_nodes(path, NULL, 3, &count), BAD, "no room");
    FAILS(sonde_path_sampler_nodes(path, NULL, 0, NULL), BAD, "NULL");
    assert_int_equal(count, 7);
    OK(sonde_path_sampler_nodes(path, NULL, 0, &count));
    assert_in_range(count, 4, 5);
    sonde_path_sampler_free(path);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(covers_every_function),
    cmocka_unit_test(refuses_to_make_row_samplers),
    cmocka_unit_test(refuses_to_use_row_samplers),
    cmocka_unit_test(refuses_to_make_token_samplers),
    cmocka_unit_test(refuses_to_use_token_samplers),
    cmocka_unit_test(refuses_to_make_path_samplers),
    cmocka_unit_test(refuses_to_use_path_samplers),
};
SONDE_TEST_MAIN(tests)
