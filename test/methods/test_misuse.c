/* test_misuse.c: every public function, called wrongly. Each line is a call, the status that it must give and words
 * that its message must hold; outputs must stay as they were. The first test makes sure that no function is
 * forgotten.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <math.h>
#include <unistd.h>

#include "../test.h"

#define DIM 8
#define ROWS 64
#define BAD SONDE_INVALID_ARGUMENT

/* What the calls work on. */
typedef struct world {
    float x[ROWS * DIM], two[2 * DIM];
    sonde_array rows, query, narrow, bits, nothing, endless, odd_dtype, known_dtype;
    int64_t ids[ROWS];
    sonde_index *flat, *refusing, *bare, *ivf, *mapped; /* bare: an ivf that is not trained */
    sonde_quantizer *sq, *raw_sq;                       /* trained and not */
    sonde_transform *rotation, *bare_pca, *normalise;
    char index_path[40], model_path[40], text_path[40];
    int64_t hit_ids[ROWS * 10];
    sonde_hits hits;
} world;
static world w;

static void write_path(char path[40], const char *text)
{
    strcpy(path, "/tmp/sonde_misuse_XXXXXX");
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), strlen(text));
    close(file);
}

static void make_views(void)
{
    uint64_t state = 1;
    for (int i = 0; i < ROWS * DIM; i++) w.x[i] = test_normal(&state);
    for (int i = 0; i < ROWS; i++) w.ids[i] = i;
    w.rows = sonde_f32(w.x, ROWS, DIM);
    w.query = sonde_f32(w.x, 1, DIM);
    w.narrow = sonde_f32(w.x, 4, DIM - 1);
    w.bits = sonde_bits((uint8_t *)w.x, 1, DIM);
    w.nothing = sonde_f32(NULL, 3, DIM);
    w.endless = sonde_f32(w.x, INT64_MAX / 4, DIM);
    w.odd_dtype = sonde_array_of(99, w.x, 1, DIM);
    w.known_dtype = sonde_array_of(SONDE_DTYPE_I64, w.x, 1, DIM);
    w.hits = (sonde_hits)SONDE_HITS_INIT;
    w.hits.ids = w.hit_ids;
}

static void make_handles(void)
{
    sonde_input input = {"vectors", &w.rows};
    sonde_open_options map = SONDE_OPEN_OPTIONS_INIT;
    map.mode = SONDE_OPEN_MMAP;
    OK(sonde_index_create("flat", DIM, NULL, &w.flat));
    OK(sonde_index_add(w.flat, &w.rows, NULL));
    OK(sonde_index_create("flat(duplicates=refuse)", DIM, NULL, &w.refusing));
    OK(sonde_index_add(w.refusing, &w.rows, NULL));
    OK(sonde_index_create("ivf(nlist=4)", DIM, NULL, &w.bare));
    OK(sonde_index_create("ivf(nlist=4)", DIM, NULL, &w.ivf));
    OK(sonde_index_add(w.ivf, &w.rows, NULL));
    OK(sonde_quantizer_create("sq(bits=4)", DIM, NULL, &w.sq));
    OK(sonde_quantizer_train(w.sq, &input, 1));
    OK(sonde_quantizer_create("sq", DIM, NULL, &w.raw_sq));
    OK(sonde_transform_create("rotation", DIM, NULL, &w.rotation));
    OK(sonde_transform_create("pca(dim=3)", DIM, NULL, &w.bare_pca));
    OK(sonde_transform_create("normalise", DIM, NULL, &w.normalise));
    write_path(w.index_path, "");
    write_path(w.model_path, "");
    write_path(w.text_path, "this is no container, but it is longer than the sixty-four bytes that a header has\n");
    OK(sonde_index_save(w.ivf, w.index_path));
    OK(sonde_quantizer_save(w.sq, w.model_path));
    OK(sonde_index_open(w.index_path, &map, NULL, &w.mapped));
}

static int set_up(void **unused)
{
    (void)unused;
    memset(&w, 0, sizeof w);
    make_views();
    make_handles();
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    sonde_index *indexes[] = {w.flat, w.refusing, w.bare, w.ivf, w.mapped};
    for (int i = 0; i < 5; i++) sonde_index_free(indexes[i]);
    sonde_quantizer_free(w.sq);
    sonde_quantizer_free(w.raw_sq);
    sonde_transform_free(w.rotation);
    sonde_transform_free(w.bare_pca);
    sonde_transform_free(w.normalise);
    unlink(w.index_path);
    unlink(w.model_path);
    unlink(w.text_path);
    return 0;
}

/* Every exported symbol is called in this file. Runs where the sources are. */
static void covers_every_function(void **unused)
{
    (void)unused;
    FILE *symbols = fopen("test/abi/symbols.txt", "r"), *source = fopen("test/methods/test_misuse.c", "r");
    if (!symbols || !source) {
        if (symbols) fclose(symbols);
        skip();
    }
    char *text = test_alloc(1, 200000), line[200], call[210];
    assert_true(fread(text, 1, 199999, source) > 1000);
    while (fgets(line, sizeof line, symbols)) {
        line[strcspn(line, "\n")] = 0;
        if (strstr(line, "_sampler_")) continue; /* test_misuse_samplers.c */
        if (strstr(line, "_trie_") || strstr(line, "_sequences_")) continue; /* test_trie.c */
        snprintf(call, sizeof call, "%s(", line);
        if (line[0] && !strstr(text, call)) fail_msg("%s is not called here", line);
    }
    fclose(symbols);
    fclose(source);
    free(text);
}

/* ---- base.h ---------------------------------------------------------------------------------------------------- */

static void texts_never_are_null(void **unused)
{
    (void)unused;
    assert_string_equal(sonde_status_name(SONDE_LIMIT), "LIMIT");
    assert_string_equal(sonde_status_name((sonde_status)13), "UNKNOWN");
    assert_string_equal(sonde_status_name((sonde_status)-1), "UNKNOWN");
    assert_true(strlen(sonde_status_text(SONDE_CORRUPT)) > 10);
    assert_non_null(sonde_status_text((sonde_status)-7));
    assert_non_null(strstr(sonde_build_info(), sonde_version()));
    assert_non_null(sonde_error_message());
}

static void *alloc_only(size_t size, size_t align, void *user)
{
    (void)size;
    (void)align;
    (void)user;
    return NULL;
}

/* Blocks at 8 bytes past a line; what malloc gave lies in front of each. */
static void *alloc_askew(size_t size, size_t align, void *user)
{
    (void)align;
    (void)user;
    char *block = aligned_alloc(64, (size + 191) / 64 * 64);
    if (!block) return NULL;
    memcpy(block + 64, &block, sizeof block);
    return block + 72;
}
static void release_askew(void *memory, size_t size, size_t align, void *user)
{
    char *block;
    (void)size;
    (void)align;
    (void)user;
    memcpy(&block, (char *)memory - 8, sizeof block);
    free(block);
}

static void refuses_bad_runtimes(void **unused)
{
    (void)unused;
    sonde_runtime *runtime = NULL;
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    uint64_t used = 7, peak = 7;
    FAILS(sonde_runtime_create(NULL, NULL), BAD, "NULL");
    options.size = 0;
    FAILS(sonde_runtime_create(&options, &runtime), BAD, "size is 0; start it from its SONDE_..._INIT");
    options.size = 1u << 20;
    FAILS(sonde_runtime_create(&options, &runtime), BAD, "size is 1048576");
    options = (sonde_runtime_options)SONDE_RUNTIME_OPTIONS_INIT;
    options.threads = 1u << 30;
    FAILS(sonde_runtime_create(&options, &runtime), BAD, "threads=1073741824 is outside 0..");
    options.threads = 1;
    options.alloc = alloc_only;
    FAILS(sonde_runtime_create(&options, &runtime), BAD, "alloc is given without release");
    options.release = release_askew;
    FAILS(sonde_runtime_create(&options, &runtime), SONDE_OUT_OF_MEMORY, "allocator");
    assert_null(runtime);
    FAILS(sonde_runtime_memory(NULL, &used, &peak), BAD, "runtime is NULL");
    assert_int_equal(used + peak, 14);
    sonde_runtime_cancel(NULL);
    sonde_runtime_resume(NULL);
    sonde_runtime_free(NULL);
}

static void refuses_an_allocator_that_does_not_align(void **unused)
{
    (void)unused;
    sonde_runtime *runtime;
    sonde_index *index = NULL;
    sonde_quantizer *quantizer = NULL;
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    options.alloc = alloc_askew;
    options.release = release_askew;
    OK(sonde_runtime_create(&options, &runtime));
    FAILS(sonde_index_create("flat", DIM, runtime, &index), SONDE_CALLBACK, "not aligned to 64 bytes");
    FAILS(sonde_quantizer_create("pq", DIM, runtime, &quantizer), SONDE_CALLBACK, "not aligned to 64 bytes");
    assert_true(!index && !quantizer);
    sonde_runtime_free(runtime);
}

static void names_the_nearest(void **unused)
{
    (void)unused;
    char text[200] = "kept";
    size_t length = 77;
    FAILS(sonde_spec_check(NULL, "flat", text, sizeof text, &length), BAD, "noun is NULL");
    FAILS(sonde_spec_check("indx", "flat", text, sizeof text, &length), SONDE_NOT_FOUND, "did you mean 'index'?");
    FAILS(sonde_spec_check("index", NULL, text, sizeof text, &length), BAD, "NULL");
    FAILS(sonde_spec_check("index", "", text, sizeof text, &length), BAD, "");
    FAILS(sonde_spec_check("index", "flt", text, sizeof text, &length), SONDE_NOT_FOUND, "did you mean 'flat'?");
    FAILS(sonde_spec_check("index", "ivf(nlits=4)", text, sizeof text, &length), SONDE_NOT_FOUND,
          "did you mean 'nlist'?");
    FAILS(sonde_spec_check("index", "ivf(nlist=0)", text, sizeof text, &length), BAD, "nlist=0 is outside 1..");
    FAILS(sonde_spec_check("index", "ivf(nlist=4, nlist=5)", text, sizeof text, &length), BAD, "nlist");
    FAILS(sonde_spec_check("index", "ivf(nlist=four)", text, sizeof text, &length), BAD, "nlist=four");
    FAILS(sonde_spec_check("index", "ivf(metric=l3)", text, sizeof text, &length), BAD,
          "metric=l3 is not one of: l2, ip, cosine, hamming");
    FAILS(sonde_spec_check("index", "ivf(code=pk(m=4))", text, sizeof text, &length), SONDE_NOT_FOUND,
          "did you mean 'pq'?");
    FAILS(sonde_spec_check("index", "ivf(nlist=4", text, sizeof text, &length), BAD, "");
    FAILS(sonde_spec_check("index", "flat) or else", text, sizeof text, &length), BAD, "");
    FAILS(sonde_spec_check("index", "flat", NULL, 9, &length), BAD, "NULL");
    assert_string_equal(text, "kept");
    assert_int_equal(length, 77);
}

static void catalogue_ends_and_refuses(void **unused)
{
    (void)unused;
    sonde_method_info method = SONDE_METHOD_INFO_INIT;
    sonde_key_info key = SONDE_KEY_INFO_INIT;
    sonde_input_info input = SONDE_INPUT_INFO_INIT;
    sonde_output_info output = SONDE_OUTPUT_INFO_INIT;
    char text[8] = "kept";
    size_t length = 77;
    FAILS(sonde_method_at(1000, &method), SONDE_NOT_FOUND, "none at position 1000");
    FAILS(sonde_method_at(0, NULL), BAD, "NULL");
    FAILS(sonde_key_at(NULL, "flat", 0, &key), BAD, "noun is NULL");
    FAILS(sonde_key_at("index", NULL, 0, &key), BAD, "method is NULL");
    FAILS(sonde_key_at("index", "flat", 0, NULL), BAD, "NULL");
    FAILS(sonde_key_at("index", "flat", 99, &key), SONDE_NOT_FOUND, "none at position 99");
    FAILS(sonde_key_at("quantiser", "pq", 0, &key), SONDE_NOT_FOUND, "did you mean 'quantizer'?");
    FAILS(sonde_input_at("index", "ifv", 0, &input), SONDE_NOT_FOUND, "did you mean 'ivf'?");
    FAILS(sonde_input_at("index", "ivf", 5, &input), SONDE_NOT_FOUND, "none at position 5");
    FAILS(sonde_output_at("index", "ivf", 0, &output), SONDE_NOT_FOUND, "there are 0 outputs");
    FAILS(sonde_output_at("row_sampler", "randm", 0, &output), SONDE_NOT_FOUND, "did you mean 'random'?");
    FAILS(sonde_describe("transform", "pcb", text, sizeof text, &length), SONDE_NOT_FOUND, "did you mean 'pca'?");
    FAILS(sonde_describe("transform", "pca", NULL, 5, &length), BAD, "NULL");
    method.size = key.size = input.size = 3;
    FAILS(sonde_method_at(0, &method), BAD, "size is 3");
    FAILS(sonde_key_at("index", "flat", 0, &key), BAD, "size is 3");
    FAILS(sonde_input_at("index", "ivf", 0, &input), BAD, "size is 3");
    assert_null(method.name);
    assert_null(key.name);
    assert_null(input.name);
    assert_string_equal(text, "kept");
    assert_int_equal(length, 77);
    OK(sonde_describe("transform", "pca", text, sizeof text, &length));
    assert_int_equal(strlen(text), sizeof text - 1);
    assert_true(length > sizeof text);
}

static void sections_of_what_is_no_file(void **unused)
{
    (void)unused;
    sonde_section_info info[2] = {SONDE_SECTION_INFO_INIT, SONDE_SECTION_INFO_INIT};
    int64_t count = 77;
    char noun[16] = "kept";
    FAILS(sonde_file_sections(NULL, info, 2, &count, noun), BAD, "path");
    FAILS(sonde_file_sections(w.index_path, NULL, 2, &count, noun), BAD, "sections");
    FAILS(sonde_file_sections(w.index_path, info, 2, NULL, noun), BAD, "count");
    FAILS(sonde_file_sections(w.index_path, info, -1, &count, noun), BAD, "capacity");
    FAILS(sonde_file_sections("/nowhere/x.sonde", info, 2, &count, noun), SONDE_NOT_FOUND, "/nowhere/x.sonde");
    FAILS(sonde_file_sections(w.text_path, info, 2, &count, noun), SONDE_CORRUPT, "is not a Sonde file");
    FAILS(sonde_file_sections("/tmp", info, 2, &count, noun), SONDE_IO, "regular file");
    info[0].size = 5;
    FAILS(sonde_file_sections(w.index_path, info, 2, &count, noun), BAD, "size of the first element is 5");
    assert_int_equal(count, 77);
    assert_string_equal(noun, "kept");
}

/* ---- views ----------------------------------------------------------------------------------------------------- */

/* What every function that takes vectors must say of them. */
static void refuses_bad_views(void **unused)
{
    (void)unused;
    sonde_array view = w.query;
    FAILS(sonde_index_add(w.flat, NULL, NULL), BAD, "add: vectors: the array is NULL");
    FAILS(sonde_index_add(w.flat, &w.narrow, NULL), BAD, "7 columns, expected 8");
    FAILS(sonde_index_add(w.flat, &w.nothing, NULL), BAD, "data is NULL for 3 rows");
    FAILS(sonde_index_add(w.flat, &w.endless, NULL), BAD, "more than memory can hold");
    FAILS(sonde_index_add(w.flat, &w.odd_dtype, NULL), BAD, "dtype 99 is not one that exists; expected f32 f16");
    FAILS(sonde_index_add(w.flat, &w.known_dtype, NULL), BAD, "dtype i64 is not accepted here; expected f32");
    FAILS(sonde_index_add(w.flat, &w.bits, NULL), BAD, "dtype bits is not accepted here");
    view.stride = 8;
    FAILS(sonde_index_add(w.flat, &view, NULL), BAD, "stride is 8 bytes, but a row of 8 columns has 32");
    view.stride = -32;
    FAILS(sonde_index_add(w.flat, &view, NULL), BAD, "stride is -32");
    view = w.query;
    view.reserved = 1;
    FAILS(sonde_index_add(w.flat, &view, NULL), BAD, "reserved is 1");
    view = w.query;
    view.rows = -1;
    FAILS(sonde_index_add(w.flat, &view, NULL), BAD, "rows is -1");
    view = w.query;
    view.cols = 0;
    FAILS(sonde_index_add(w.flat, &view, NULL), BAD, "cols is 0");
    assert_int_equal(sonde_index_count(w.flat), ROWS);
}

static void says_where_a_value_is_not_finite(void **unused)
{
    (void)unused;
    sonde_array two = sonde_f32(w.two, 2, DIM), out = sonde_f32(w.x, 2, DIM),
                codes = sonde_u8((uint8_t *)w.x, 2, DIM / 2);
    w.two[DIM + 3] = NAN;
    FAILS(sonde_index_add(w.flat, &two, NULL), BAD, "row 1, column 3 is NaN");
    FAILS(sonde_index_search(w.flat, &two, NULL, &w.hits), BAD, "row 1, column 3");
    FAILS(sonde_quantizer_encode(w.sq, &two, &codes), BAD, "row 1, column 3");
    FAILS(sonde_transform_apply(w.rotation, &two, &out), BAD, "row 1, column 3");
    w.two[DIM + 3] = -INFINITY;
    FAILS(sonde_index_add(w.ivf, &two, NULL), BAD, "row 1, column 3");
    w.two[DIM + 3] = 3e38f; /* finite, but its square is not */
    FAILS(sonde_index_add(w.flat, &two, NULL), BAD, "row 1 is longer than 9.2e18");
    FAILS(sonde_index_add(w.ivf, &two, NULL), BAD, "row 1 is longer than 9.2e18");
    FAILS(sonde_index_search(w.flat, &two, NULL, &w.hits), BAD, "query 1 is longer than 9.2e18");
    FAILS(sonde_index_search(w.ivf, &two, NULL, &w.hits), BAD, "query 1 is longer than 9.2e18");
    FAILS(sonde_index_search(w.bare, &two, NULL, &w.hits), BAD, "query 1 is longer than 9.2e18");
    assert_int_equal(sonde_index_count(w.flat) + sonde_index_count(w.ivf), 2 * ROWS);
}

/* ---- index.h: making and filling ------------------------------------------------------------------------------- */

static void refuses_to_make_indexes(void **unused)
{
    (void)unused;
    sonde_index *made = NULL;
    FAILS(sonde_index_create(NULL, DIM, NULL, &made), BAD, "spec is NULL");
    FAILS(sonde_index_create("flat", DIM, NULL, NULL), BAD, "index is NULL");
    FAILS(sonde_index_create("flat", 0, NULL, &made), BAD, "dim=0 is outside 1..65536");
    FAILS(sonde_index_create("flat", 65537, NULL, &made), BAD, "dim=65537 is outside");
    FAILS(sonde_index_create("flat", INT64_MIN, NULL, &made), BAD, "outside 1..65536");
    FAILS(sonde_index_create("flat(metric=hamming)", DIM, NULL, &made), BAD, "flat(metric=hamming, dtype=bits)");
    FAILS(sonde_index_create("flat(dtype=bits)", DIM, NULL, &made), BAD, "go together");
    FAILS(sonde_index_create("ivf(metric=hamming)", DIM, NULL, &made), SONDE_UNSUPPORTED, "metrics: l2, ip, cosine");
    FAILS(sonde_index_create("ivf(code=pq(m=3))", DIM, NULL, &made), BAD,
          "m=3 does not divide dim=8; nearest that do: 2, 4");
    FAILS(sonde_index_create("ivf(code=sq(bits=9))", DIM, NULL, &made), BAD, "bits");
    FAILS(sonde_index_create("ivf(refine=f16)", DIM, NULL, &made), BAD, "adds nothing to an exact code");
    FAILS(sonde_index_create("ivf(residual=yes)", DIM, NULL, &made), BAD, "residual=yes needs a code that loses");
    assert_null(made);
    sonde_index_free(NULL);
}

static void refuses_to_train(void **unused)
{
    (void)unused;
    sonde_array few = sonde_f32(w.x, 3, DIM);
    sonde_input input = {"vectors", &w.rows}, wrong = {"vector", &w.rows}, small = {"vectors", &few},
                none = {NULL, &w.rows};
    sonde_input narrow = {"vectors", &w.narrow}, twice[] = {input, input}, empty = {"vectors", NULL};
    FAILS(sonde_index_train(NULL, &input, 1), BAD, "index is NULL");
    FAILS(sonde_index_train(w.bare, NULL, 1), BAD, "inputs is NULL");
    FAILS(sonde_index_train(w.bare, NULL, 0), BAD, "'vectors' (n x dim) is missing");
    FAILS(sonde_index_train(w.bare, &wrong, 1), SONDE_NOT_FOUND, "did you mean 'vectors'?");
    FAILS(sonde_index_train(w.bare, &none, 1), BAD, "name of input 0 is NULL");
    FAILS(sonde_index_train(w.bare, &empty, 1), BAD, "NULL");
    FAILS(sonde_index_train(w.bare, twice, 2), BAD, "given twice");
    FAILS(sonde_index_train(w.bare, &narrow, 1), BAD, "7 columns, expected 8");
    FAILS(sonde_index_train(w.bare, &small, 1), BAD, "3 rows are too few");
    FAILS(sonde_index_train(w.ivf, &input, 1), SONDE_STATE, "holds 64 rows already");
    FAILS(sonde_index_train(w.flat, &input, 1), SONDE_STATE, "holds 64 rows already");
    FAILS(sonde_index_train(w.mapped, &input, 1), SONDE_STATE, "read-only");
}

static void refuses_to_add(void **unused)
{
    (void)unused;
    sonde_array two = sonde_f32(w.x, 2, DIM), few = sonde_f32(w.x, 3, DIM);
    int64_t negative[] = {1, -1}, same[] = {900, 900}, last[] = {900, INT64_MAX}, stored[] = {900, 5},
            unordered[] = {7, 3, 7};
    FAILS(sonde_index_add(NULL, &two, NULL), BAD, "index is NULL");
    FAILS(sonde_index_add(w.flat, &two, negative), BAD, "ids[1] is -1");
    FAILS(sonde_index_add(w.flat, &two, same), BAD, "id 900 is twice");
    FAILS(sonde_index_add(w.flat, &few, unordered), BAD, "id 7 is twice");
    FAILS(sonde_index_add(w.flat, &two, last), BAD, "ids[1] is 9223372036854775807");
    FAILS(sonde_index_add(w.refusing, &two, stored), BAD, "duplicates=refuse");
    FAILS(sonde_index_add(w.bare, &few, NULL), BAD, "3 rows are too few to train");
    FAILS(sonde_index_add(w.mapped, &two, NULL), SONDE_STATE, "read-only");
    assert_false(sonde_index_contains(w.refusing, 900));
    assert_int_equal(sonde_index_count(w.refusing), ROWS);
    assert_int_equal(sonde_index_count(w.bare), 0);
    OK(sonde_index_add(w.refusing, &two, NULL)); /* and works on */
}

/* When the largest id is taken, there are no ids left to give. */
static void refuses_to_number_rows_past_the_last_id(void **unused)
{
    (void)unused;
    int64_t last = INT64_MAX - 1;
    OK(sonde_index_add(w.flat, &w.query, &last));
    assert_true(sonde_index_contains(w.flat, last));
    FAILS(sonde_index_add(w.flat, &w.query, NULL), SONDE_LIMIT, "id");
    assert_int_equal(sonde_index_count(w.flat), ROWS + 1);
    OK(sonde_index_check(w.flat));
}

static void refuses_values_that_do_not_fit(void **unused)
{
    (void)unused;
    static const struct {
        const char *spec;
        float value;
        const char *words;
    } cases[] = {
        {"flat(dtype=i8)", 128, "128 is no whole number in -128..127"},
        {"flat(dtype=i8)", 0.5f, "0.5 is no whole number"},
        {"flat(dtype=u8)", -1, "-1 is no whole number in 0..255"},
        {"flat(dtype=f16)", 1e5f, "too large for dtype=f16"},
        {"flat(dtype=bf16)", 3.4e38f, "bf16"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sonde_index *index;
        sonde_array two = sonde_f32(w.two, 2, DIM);
        OK(sonde_index_create(cases[i].spec, DIM, NULL, &index));
        w.two[DIM + 2] = cases[i].value;
        FAILS(sonde_index_add(index, &two, NULL), BAD, cases[i].words);
        assert_int_equal(sonde_index_count(index), 0);
        sonde_index_free(index);
    }
}

static void refuses_to_remove_and_merge(void **unused)
{
    (void)unused;
    sonde_index *other, *wide;
    int64_t removed = 77;
    sonde_input shifted = {"vectors", &w.rows};
    FAILS(sonde_index_remove(NULL, w.ids, 1, &removed), BAD, "index is NULL");
    FAILS(sonde_index_remove(w.flat, NULL, 1, &removed), BAD, "ids is NULL");
    FAILS(sonde_index_remove(w.flat, w.ids, -1, &removed), BAD, "count=-1");
    FAILS(sonde_index_remove(w.mapped, w.ids, 1, &removed), SONDE_STATE, "read-only");
    assert_int_equal(removed, 77);
    FAILS(sonde_index_compact(NULL), BAD, "index is NULL");
    FAILS(sonde_index_compact(w.mapped), SONDE_STATE, "read-only");
    FAILS(sonde_index_merge(NULL, w.flat), BAD, "index is NULL");
    FAILS(sonde_index_merge(w.flat, NULL), BAD, "from is NULL");
    FAILS(sonde_index_merge(w.flat, w.flat), BAD, "itself");
    FAILS(sonde_index_merge(w.mapped, w.ivf), SONDE_STATE, "read-only");
    FAILS(sonde_index_merge(w.flat, w.ivf), SONDE_INCOMPATIBLE, "does not fit");
    FAILS(sonde_index_merge(w.bare, w.ivf), SONDE_INCOMPATIBLE, "trained apart");
    OK(sonde_index_create("flat", DIM + 1, NULL, &wide));
    FAILS(sonde_index_merge(w.flat, wide), SONDE_INCOMPATIBLE, "dim=9");
    OK(sonde_index_create("flat(duplicates=refuse)", DIM, NULL, &other));
    OK(sonde_index_add(other, &w.query, NULL));
    FAILS(sonde_index_merge(w.refusing, other), BAD, "duplicates=refuse");
    assert_int_equal(sonde_index_count(w.refusing), ROWS);
    sonde_index_free(other);
    sonde_index_free(wide);
    OK(sonde_index_create("ivf(nlist=4)", DIM, NULL, &other));
    for (int i = 0; i < ROWS * DIM; i++) w.x[i] += 1;
    OK(sonde_index_train(other, &shifted, 1));
    FAILS(sonde_index_merge(w.ivf, other), SONDE_INCOMPATIBLE, "trained apart");
    sonde_index_free(other);
}

/* The same centroids (here: their mean, 0) do not make the same codes. */
static void refuses_to_merge_codes_that_differ(void **unused)
{
    (void)unused;
    sonde_index *index[2];
    for (int i = 0; i < 2; i++) {
        sonde_array rows = sonde_f32(w.x, ROWS, 1);
        sonde_input input = {"vectors", &rows};
        for (int r = 0; r < ROWS; r++) w.x[r] = (float)((r % 2 ? 1 : -1) * (i ? 5 : 1) * (1 + r / 2 % 8));
        OK(sonde_index_create("ivf(nlist=1, code=sq(bits=4, range=minmax))", 1, NULL, &index[i]));
        OK(sonde_index_train(index[i], &input, 1));
        OK(sonde_index_add(index[i], &rows, NULL));
    }
    FAILS(sonde_index_merge(index[0], index[1]), SONDE_INCOMPATIBLE, "trained apart");
    sonde_index_free(index[0]);
    sonde_index_free(index[1]);
}

/* ---- index.h: searching ---------------------------------------------------------------------------------------- */

static sonde_status search_with(sonde_search_options how)
{
    return sonde_index_search(w.flat, &w.query, &how, &w.hits);
}

static void refuses_to_search(void **unused)
{
    (void)unused;
    sonde_hits hits = w.hits;
    sonde_array wide = sonde_f32(w.x, 1, 96);
    FAILS(sonde_index_search(NULL, &w.query, NULL, &hits), BAD, "index is NULL");
    FAILS(sonde_index_search(w.flat, NULL, NULL, &hits), BAD, "queries");
    FAILS(sonde_index_search(w.flat, &w.query, NULL, NULL), BAD, "hits is NULL");
    FAILS(sonde_index_search(w.flat, &wide, NULL, &hits), BAD, "queries have 96 columns, the index was built for 8");
    FAILS(sonde_index_search(w.flat, &w.bits, NULL, &hits), BAD, "dtype bits");
    hits.ids = NULL;
    FAILS(sonde_index_search(w.flat, &w.query, NULL, &hits), BAD, "hits->ids is NULL");
    hits.size = 0;
    FAILS(sonde_index_search(w.flat, &w.query, NULL, &hits), BAD, "hits: the struct says that its size is 0");
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    how.size = 1;
    FAILS(search_with(how), BAD, "size is 1");
    how = (sonde_search_options)SONDE_SEARCH_OPTIONS_INIT;
    how.k = 65537;
    FAILS(search_with(how), BAD, "k is 65537, at most 65536");
    how = (sonde_search_options)SONDE_SEARCH_OPTIONS_INIT;
    static const float recalls[] = {-0.5f, 1.5f, NAN, INFINITY, -0.0f - 1e-30f};
    for (int i = 0; i < 5; i++) {
        how.recall = recalls[i];
        FAILS(search_with(how), BAD, "expected above 0 and at most 1");
    }
    how.recall = 0.5f;
    how.effort = 3;
    FAILS(search_with(how), BAD, "both given; give one");
    how.recall = 0;
    how.effort = 0;
    how.refine = 2;
    FAILS(search_with(how), BAD, "refine=2 goes with effort");
    for (int i = 0; i < 10; i++) assert_int_equal(w.hit_ids[i], 0); /* outputs untouched throughout */
}

/* A newer caller's struct: longer, with an option that this version does not know. */
static void refuses_options_of_the_future(void **unused)
{
    (void)unused;
    struct {
        sonde_search_options known;
        uint64_t later;
    } how = {SONDE_SEARCH_OPTIONS_INIT, 0};
    struct {
        sonde_tune_options known;
        uint64_t later;
    } tune = {SONDE_TUNE_OPTIONS_INIT, 0};
    struct {
        sonde_open_options known;
        uint64_t later;
    } open = {SONDE_OPEN_OPTIONS_INIT, 0};
    struct {
        sonde_index_stats known;
        uint64_t later;
    } stats = {SONDE_INDEX_STATS_INIT, 5};
    sonde_index *opened = NULL;
    how.known.size = sizeof how;
    tune.known.size = sizeof tune;
    open.known.size = sizeof open;
    stats.known.size = sizeof stats;
    OK(sonde_index_search(w.flat, &w.query, &how.known, &w.hits));
    OK(sonde_index_tune(w.flat, NULL, &tune.known));
    OK(sonde_index_open(w.index_path, &open.known, NULL, &opened));
    sonde_index_free(opened);
    OK(sonde_index_stats_get(w.flat, &stats.known));
    assert_int_equal(stats.later, 0); /* what this version cannot tell is zero */
    assert_int_equal(stats.known.size, sizeof stats);
    how.later = tune.later = open.later = 1;
    FAILS(sonde_index_search(w.flat, &w.query, &how.known, &w.hits), BAD, "that this version");
    FAILS(sonde_index_tune(w.flat, NULL, &tune.known), BAD, "that this version");
    FAILS(sonde_index_open(w.index_path, &open.known, NULL, &opened), BAD, "that this version");
}

static int accept_never(int64_t id, void *user)
{
    (void)id;
    (void)user;
    return 0;
}
static int accept_fails(int64_t id, void *user)
{
    (void)user;
    return id == 3 ? -5 : 1;
}

static sonde_status search_filtered(sonde_filter filter, int64_t count)
{
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    sonde_filter several[2] = {filter, filter};
    how.filter = several;
    how.filter_count = count;
    return search_with(how);
}

static void refuses_bad_filters(void **unused)
{
    (void)unused;
    static const int64_t unsorted[] = {5, 3};
    sonde_filter good = SONDE_FILTER_INIT, f;
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    how.filter_count = 1;
    FAILS(search_with(how), BAD, "filter is NULL, but filter_count is 1");
    good.kind = SONDE_FILTER_RANGE;
    FAILS(search_filtered(good, -1), BAD, "filter_count is -1");
    FAILS(search_filtered(good, 2), BAD, "one for each (1)");
    f = good, f.size = 0;
    FAILS(search_filtered(f, 0), BAD, "size is 0");
    f = good, f.kind = 0;
    FAILS(search_filtered(f, 0), BAD, "kind 0 is none of 1 (bitmap)");
    f = good, f.kind = 5;
    FAILS(search_filtered(f, 1), BAD, "kind 5");
    f = good, f.exclude = 2;
    FAILS(search_filtered(f, 1), BAD, "exclude must be 0 or 1");
    f = good, f.reserved = 1;
    FAILS(search_filtered(f, 1), BAD, "reserved 0");
    f = good, f.kind = SONDE_FILTER_CALLBACK;
    FAILS(search_filtered(f, 1), BAD, "accept is NULL");
    f = good, f.kind = SONDE_FILTER_IDS, f.count = 2;
    FAILS(search_filtered(f, 1), BAD, "ids is NULL, but count is 2");
    f.ids = unsorted;
    FAILS(search_filtered(f, 1), BAD, "ids[1] = 3 comes after 5");
    f = good, f.kind = SONDE_FILTER_BITMAP, f.count = -8;
    FAILS(search_filtered(f, 1), BAD, "count is -8");
    f.count = 8;
    FAILS(search_filtered(f, 1), BAD, "bits is NULL, but count is 8");
    f = good, f.kind = SONDE_FILTER_CALLBACK, f.accept = accept_fails;
    FAILS(search_filtered(f, 1), SONDE_CALLBACK, "returned -5 for id 3");
    for (int i = 0; i < 10; i++) assert_int_equal(w.hit_ids[i], 0);
    f.accept = accept_never;
    OK(search_filtered(f, 1));
    for (int i = 0; i < 10; i++) assert_int_equal(w.hit_ids[i], -1);
}

static void refuses_to_range_search(void **unused)
{
    (void)unused;
    sonde_range_hits *hits = NULL;
    const int64_t *offsets = w.ids, *ids = w.ids;
    const float *scores = w.x;
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    FAILS(sonde_index_range_search(NULL, &w.query, 1, NULL, &hits), BAD, "index is NULL");
    FAILS(sonde_index_range_search(w.flat, NULL, 1, NULL, &hits), BAD, "queries");
    FAILS(sonde_index_range_search(w.flat, &w.narrow, 1, NULL, &hits), BAD, "queries have 7 columns");
    FAILS(sonde_index_range_search(w.flat, &w.query, 1, NULL, NULL), BAD, "hits is NULL");
    FAILS(sonde_index_range_search(w.flat, &w.query, NAN, NULL, &hits), BAD, "radius is NaN");
    how.recall = 2;
    FAILS(sonde_index_range_search(w.flat, &w.query, 1, &how, &hits), BAD, "recall is 2");
    assert_null(hits);
    sonde_range_hits_view(NULL, &offsets, &ids, &scores);
    assert_true(!offsets && !ids && !scores);
    sonde_range_hits_view(NULL, NULL, NULL, NULL);
    sonde_range_hits_free(NULL);
}

/* ---- index.h: looking inside ----------------------------------------------------------------------------------- */

static void refuses_to_tune(void **unused)
{
    (void)unused;
    sonde_index *empty;
    sonde_tune_options options = SONDE_TUNE_OPTIONS_INIT;
    sonde_operating_point point = SONDE_OPERATING_POINT_INIT;
    OK(sonde_index_create("flat", DIM, NULL, &empty));
    FAILS(sonde_index_tune(NULL, NULL, NULL), BAD, "index is NULL");
    FAILS(sonde_index_tune(w.ivf, &w.query, NULL), BAD, "1 queries are too few");
    FAILS(sonde_index_tune(w.ivf, &w.narrow, NULL), BAD, "7 columns");
    FAILS(sonde_index_tune(w.bare, NULL, NULL), SONDE_STATE, "empty");
    FAILS(sonde_index_tune(empty, NULL, NULL), SONDE_STATE, "empty");
    options.seconds = -1;
    FAILS(sonde_index_tune(w.ivf, NULL, &options), BAD, "negative");
    options.seconds = NAN;
    FAILS(sonde_index_tune(w.ivf, NULL, &options), BAD, "seconds");
    options = (sonde_tune_options){0};
    FAILS(sonde_index_tune(w.ivf, NULL, &options), BAD, "INIT");
    FAILS(sonde_index_operating_point(NULL, 0, &point), BAD, "index");
    FAILS(sonde_index_operating_point(w.ivf, 0, NULL), BAD, "point");
    FAILS(sonde_index_operating_point(w.ivf, 0, &point), SONDE_NOT_FOUND, "no point 0");
    FAILS(sonde_index_operating_point(w.bare, 0, &point), SONDE_NOT_FOUND, "no point 0");
    point.size = 0;
    FAILS(sonde_index_operating_point(w.ivf, 0, &point), BAD, "size");
    sonde_index_free(empty);
}

static void refuses_to_look_inside(void **unused)
{
    (void)unused;
    int64_t count = 77, two[] = {3, 900};
    float out[2 * DIM] = {7, 7};
    sonde_array rows = sonde_f32(out, 2, DIM), one = sonde_f32(out, 1, DIM),
                halves = sonde_f16((uint16_t *)out, 2, DIM);
    sonde_index_stats stats = SONDE_INDEX_STATS_INIT;
    FAILS(sonde_index_ids(NULL, w.ids, 1, &count), BAD, "index");
    FAILS(sonde_index_ids(w.flat, w.ids, 1, NULL), BAD, "count");
    FAILS(sonde_index_ids(w.flat, NULL, 1, &count), BAD, "ids");
    FAILS(sonde_index_ids(w.flat, w.ids, -1, &count), BAD, "negative");
    assert_int_equal(count, 77);
    FAILS(sonde_index_get(NULL, two, 2, &rows), BAD, "index");
    FAILS(sonde_index_get(w.flat, NULL, 2, &rows), BAD, "ids is NULL");
    FAILS(sonde_index_get(w.flat, two, 2, NULL), BAD, "out");
    FAILS(sonde_index_get(w.flat, two, -1, &rows), BAD, "negative");
    FAILS(sonde_index_get(w.flat, two, 2, &one), BAD, "out has 1 rows for 2 ids");
    FAILS(sonde_index_get(w.flat, two, 2, &halves), BAD, "dtype f16");
    FAILS(sonde_index_get(w.flat, two, 2, &rows), SONDE_NOT_FOUND, "id 900");
    FAILS(sonde_index_get(w.bare, two, 2, &rows), SONDE_NOT_FOUND, "id 3");
    assert_true(out[0] == 7 && out[1] == 7);
    FAILS(sonde_index_stats_get(NULL, &stats), BAD, "index");
    FAILS(sonde_index_stats_get(w.flat, NULL), BAD, "NULL");
    stats.size = 0;
    FAILS(sonde_index_stats_get(w.flat, &stats), BAD, "size");
    FAILS(sonde_index_check(NULL), BAD, "index is NULL");
    assert_int_equal(sonde_index_count(NULL) + sonde_index_dim(NULL) + sonde_index_metric(NULL), 0);
    assert_false(sonde_index_contains(NULL, 0));
    assert_false(sonde_index_contains(w.flat, -1));
    assert_false(sonde_index_contains(w.bare, 0));
    assert_string_equal(sonde_index_spec(NULL), "");
}

static void refuses_to_estimate(void **unused)
{
    (void)unused;
    uint64_t memory = 77, build = 77;
    FAILS(sonde_index_estimate(NULL, DIM, 10, &memory, &build), BAD, "spec is NULL");
    FAILS(sonde_index_estimate("flat", 0, 10, &memory, &build), BAD, "dim=0");
    FAILS(sonde_index_estimate("flat", DIM, -1, &memory, &build), BAD, "rows=-1");
    FAILS(sonde_index_estimate("flat", DIM, INT64_MAX, &memory, &build), BAD, "outside 0..2^40");
    FAILS(sonde_index_estimate("flatt", DIM, 10, &memory, &build), SONDE_NOT_FOUND, "did you mean 'flat'?");
    assert_int_equal(memory + build, 154);
    OK(sonde_index_estimate("ivf", DIM, 0, NULL, NULL));
}

/* ---- merging --------------------------------------------------------------------------------------------------- */

static void refuses_to_merge_hits(void **unused)
{
    (void)unused;
    int64_t ids[4] = {1, 2, 3, 4}, out[2] = {70, 71};
    float up[4] = {1, 2, 3, 4}, broken[4] = {1, NAN, 3, 4}, down[4] = {4, 3, 2, 1};
    uint8_t reason[2] = {0};
    uint32_t widths[2] = {2, 2}, none[2] = {2, 0};
    sonde_hits part[2] = {{sizeof part[0], 0, ids, up, NULL, NULL}, {sizeof part[0], 0, ids, down, NULL, NULL}};
    sonde_hits merged = {sizeof merged, 0, out, NULL, NULL, NULL};
    FAILS(sonde_topk_merge(9, part, widths, 1, 1, 2, NULL, &merged), BAD, "metric 9");
    FAILS(sonde_topk_merge(1, NULL, widths, 1, 1, 2, NULL, &merged), BAD, "parts is NULL");
    FAILS(sonde_topk_merge(1, part, NULL, 1, 1, 2, NULL, &merged), BAD, "widths is NULL");
    FAILS(sonde_topk_merge(1, part, widths, 0, 1, 2, NULL, &merged), BAD, "no parts");
    FAILS(sonde_topk_merge(1, part, none, 2, 1, 2, NULL, &merged), BAD, "widths[1] is 0");
    FAILS(sonde_topk_merge(1, part, widths, 1, -1, 2, NULL, &merged), BAD, "queries=-1");
    FAILS(sonde_topk_merge(1, part, widths, 1, 1, 0, NULL, &merged), BAD, "k=0");
    FAILS(sonde_topk_merge(1, part, widths, 1, 1, 2, NULL, NULL), BAD, "merged->ids is NULL");
    FAILS(sonde_topk_merge(1, part, widths, 2, 1, 2, NULL, &merged), BAD, "part 1, query 0: score 1");
    FAILS(sonde_topk_merge(2, part, widths, 1, 1, 2, NULL, &merged), BAD, "best first");
    part[1].scores = broken;
    FAILS(sonde_topk_merge(1, part, widths, 2, 1, 2, NULL, &merged), BAD, "NaN");
    part[1].scores = NULL;
    FAILS(sonde_topk_merge(1, part, widths, 2, 1, 2, NULL, &merged), BAD, "part 1 has no scores");
    part[1].size = 3;
    FAILS(sonde_topk_merge(1, part, widths, 2, 1, 2, NULL, &merged), BAD, "part");
    merged.reason = reason;
    FAILS(sonde_topk_merge(1, part, widths, 1, 1, 2, NULL, &merged), BAD, "part 0 has no reason");
    assert_int_equal(out[0] + out[1], 141);
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

static void refuses_to_save(void **unused)
{
    (void)unused;
    size_t length = 77;
    char small[10] = "kept";
    FAILS(sonde_index_save(NULL, w.index_path), BAD, "index is NULL");
    FAILS(sonde_index_save(w.flat, NULL), BAD, "path is NULL");
    FAILS(sonde_index_save(w.flat, "/nowhere/at/all.sonde"), SONDE_NOT_FOUND, "/nowhere/at/all.sonde");
    FAILS(sonde_index_save(w.flat, "/tmp"), SONDE_IO, "/tmp");
    FAILS(sonde_index_save(w.flat, ""), SONDE_NOT_FOUND, "directory");
    FAILS(sonde_index_save_buffer(NULL, small, 10, &length), BAD, "index");
    FAILS(sonde_index_save_buffer(w.flat, NULL, 10, &length), BAD, "buffer");
    FAILS(sonde_index_save_buffer(w.flat, small, 10, NULL), BAD, "length");
    FAILS(sonde_index_save_buffer(w.flat, small, 10, &length), SONDE_LIMIT, "capacity=10 is too small");
    FAILS(sonde_quantizer_save(NULL, w.model_path), BAD, "NULL");
    FAILS(sonde_quantizer_save(w.sq, NULL), BAD, "path is NULL");
    FAILS(sonde_quantizer_save(w.sq, "/nowhere/q.sonde"), SONDE_NOT_FOUND, "/nowhere/q.sonde");
    FAILS(sonde_transform_save(NULL, w.model_path), BAD, "NULL");
    FAILS(sonde_transform_save(w.rotation, NULL), BAD, "path is NULL");
    FAILS(sonde_transform_save(w.rotation, "/nowhere/t.sonde"), SONDE_NOT_FOUND, "/nowhere/t.sonde");
    FAILS(sonde_quantizer_save_buffer(NULL, small, 10, &length), BAD, "quantizer is NULL");
    FAILS(sonde_quantizer_save_buffer(w.sq, NULL, 10, &length), BAD, "buffer is NULL");
    FAILS(sonde_quantizer_save_buffer(w.sq, small, 10, NULL), BAD, "length is NULL");
    FAILS(sonde_quantizer_save_buffer(w.sq, small, 10, &length), SONDE_LIMIT, "capacity=10 is too small");
    FAILS(sonde_transform_save_buffer(NULL, small, 10, &length), BAD, "transform is NULL");
    FAILS(sonde_transform_save_buffer(w.rotation, NULL, 10, &length), BAD, "buffer is NULL");
    FAILS(sonde_transform_save_buffer(w.rotation, small, 10, NULL), BAD, "length is NULL");
    FAILS(sonde_transform_save_buffer(w.rotation, small, 10, &length), SONDE_LIMIT, "capacity=10 is too small");
    assert_string_equal(small, "kept");
    assert_int_equal(length, 77);
}

static void refuses_to_open(void **unused)
{
    (void)unused;
    sonde_index *index = NULL;
    sonde_quantizer *quantizer = NULL;
    sonde_transform *transform = NULL;
    sonde_open_options o = SONDE_OPEN_OPTIONS_INIT;
    FAILS(sonde_quantizer_open_buffer(NULL, 9, NULL, NULL, &quantizer), BAD, "buffer is NULL");
    FAILS(sonde_quantizer_open_buffer("x", 1, NULL, NULL, NULL), BAD, "quantizer");
    FAILS(sonde_quantizer_open_buffer("no container", 12, NULL, NULL, &quantizer), SONDE_CORRUPT, "buffer");
    FAILS(sonde_transform_open_buffer(NULL, 9, NULL, NULL, &transform), BAD, "buffer is NULL");
    FAILS(sonde_transform_open_buffer("x", 1, NULL, NULL, NULL), BAD, "transform");
    FAILS(sonde_transform_open_buffer("no container", 12, NULL, NULL, &transform), SONDE_CORRUPT, "buffer");
    FAILS(sonde_index_open(NULL, NULL, NULL, &index), BAD, "path is NULL");
    FAILS(sonde_index_open(w.index_path, NULL, NULL, NULL), BAD, "index is NULL");
    FAILS(sonde_index_open("/nowhere/x.sonde", NULL, NULL, &index), SONDE_NOT_FOUND,
          "/nowhere/x.sonde: there is no such file");
    FAILS(sonde_index_open("/tmp", NULL, NULL, &index), SONDE_IO, "regular file");
    FAILS(sonde_index_open(w.text_path, NULL, NULL, &index), SONDE_CORRUPT, "is not a Sonde file");
    FAILS(sonde_index_open(w.model_path, NULL, NULL, &index), SONDE_INCOMPATIBLE, "\"quantizer\", not \"index\"");
    o.mode = 3;
    FAILS(sonde_index_open(w.index_path, &o, NULL, &index), BAD, "mode is 3");
    o.mode = 0, o.verify = 3;
    FAILS(sonde_index_open(w.index_path, &o, NULL, &index), BAD, "verify is 3");
    o.verify = 0, o.max_bytes = 100;
    FAILS(sonde_index_open(w.index_path, &o, NULL, &index), SONDE_LIMIT, "max_bytes is 100");
    o.max_bytes = 0, o.size = 2;
    FAILS(sonde_index_open(w.index_path, &o, NULL, &index), BAD, "size is 2");
    FAILS(sonde_index_open_buffer(NULL, 10, NULL, NULL, &index), BAD, "buffer is NULL");
    FAILS(sonde_index_open_buffer(w.x, 10, NULL, NULL, NULL), BAD, "index is NULL");
    FAILS(sonde_index_open_buffer(w.x, 0, NULL, NULL, &index), SONDE_CORRUPT, "has 0 bytes");
    FAILS(sonde_index_open_buffer(w.x, sizeof w.x, NULL, NULL, &index), SONDE_CORRUPT, "is not a Sonde file");
    FAILS(sonde_quantizer_open(NULL, NULL, NULL, &quantizer), BAD, "path is NULL");
    FAILS(sonde_quantizer_open(w.model_path, NULL, NULL, NULL), BAD, "NULL");
    FAILS(sonde_quantizer_open(w.index_path, NULL, NULL, &quantizer), SONDE_INCOMPATIBLE,
          "\"index\", not \"quantizer\"");
    FAILS(sonde_transform_open(NULL, NULL, NULL, &transform), BAD, "path is NULL");
    FAILS(sonde_transform_open(w.model_path, NULL, NULL, NULL), BAD, "NULL");
    FAILS(sonde_transform_open(w.model_path, NULL, NULL, &transform), SONDE_INCOMPATIBLE,
          "\"quantizer\", not \"transform\"");
    assert_true(!index && !quantizer && !transform);
}

/* ---- quantizer.h ----------------------------------------------------------------------------------------------- */

static void refuses_to_make_and_train_quantizers(void **unused)
{
    (void)unused;
    sonde_quantizer *made = NULL;
    sonde_input input = {"vectors", &w.rows}, wrong = {"vecs", &w.rows}, narrow = {"vectors", &w.narrow};
    FAILS(sonde_quantizer_create(NULL, DIM, NULL, &made), BAD, "NULL");
    FAILS(sonde_quantizer_create("pq", DIM, NULL, NULL), BAD, "NULL");
    FAILS(sonde_quantizer_create("pq", 0, NULL, &made), BAD, "dim=0 is outside 1..65536");
    FAILS(sonde_quantizer_create("pq(m=9)", DIM, NULL, &made), BAD, "m=9 is more than dim=8");
    FAILS(sonde_quantizer_create("pq(m=3)", DIM, NULL, &made), BAD, "or give pad=yes");
    FAILS(sonde_quantizer_create("kmeens", DIM, NULL, &made), SONDE_NOT_FOUND, "did you mean 'kmeans'?");
    FAILS(sonde_quantizer_create("sq(bit=4)", DIM, NULL, &made), SONDE_NOT_FOUND, "did you mean 'bits'?");
    FAILS(sonde_quantizer_create("flat", DIM, NULL, &made), SONDE_NOT_FOUND, "no method 'flat'");
    FAILS(sonde_quantizer_train(NULL, &input, 1), BAD, "NULL");
    FAILS(sonde_quantizer_train(w.raw_sq, NULL, 0), BAD, "is missing");
    FAILS(sonde_quantizer_train(w.raw_sq, NULL, 1), BAD, "inputs is NULL");
    FAILS(sonde_quantizer_train(w.raw_sq, &wrong, 1), SONDE_NOT_FOUND, "vectors");
    FAILS(sonde_quantizer_train(w.raw_sq, &narrow, 1), BAD, "7 columns");
    assert_false(sonde_quantizer_trained(w.raw_sq));
    OK(sonde_quantizer_create("kmeans(k=100)", DIM, NULL, &made));
    FAILS(sonde_quantizer_train(made, &input, 1), BAD, "64 rows, kmeans needs at least 100");
    sonde_quantizer_free(made);
    sonde_quantizer_free(NULL);
}

static void refuses_to_encode_and_decode(void **unused)
{
    (void)unused;
    uint8_t code[2 * 4] = {7}, none[4] = {255, 255, 255, 255};
    float score = 7;
    sonde_array codes = sonde_u8(code, 1, 4), wide = sonde_u8(code, 1, 5), two = sonde_u8(code, 2, 4);
    sonde_array out = sonde_f32(w.two, 1, DIM), scores = sonde_f32(&score, 1, 1), flat = sonde_f32(w.two, 1, 4);
    sonde_quantizer *odd;
    FAILS(sonde_quantizer_encode(NULL, &w.query, &codes), BAD, "NULL");
    FAILS(sonde_quantizer_encode(w.raw_sq, &w.query, &codes), SONDE_STATE, "not trained");
    FAILS(sonde_quantizer_encode(w.sq, NULL, &codes), BAD, "vectors");
    FAILS(sonde_quantizer_encode(w.sq, &w.query, NULL), BAD, "codes");
    FAILS(sonde_quantizer_encode(w.sq, &w.query, &wide), BAD, "5 columns, expected 4");
    FAILS(sonde_quantizer_encode(w.sq, &w.query, &two), BAD, "2 rows, vectors 1");
    FAILS(sonde_quantizer_encode(w.sq, &w.query, &flat), BAD, "dtype f32");
    FAILS(sonde_quantizer_decode(NULL, &codes, &out), BAD, "NULL");
    FAILS(sonde_quantizer_decode(w.raw_sq, &codes, &out), SONDE_STATE, "not trained");
    FAILS(sonde_quantizer_decode(w.sq, &codes, NULL), BAD, "vectors");
    FAILS(sonde_quantizer_decode(w.sq, NULL, &out), BAD, "codes");
    FAILS(sonde_quantizer_decode(w.sq, &two, &out), BAD, "1 rows, codes 2");
    FAILS(sonde_quantizer_distances(NULL, 1, &w.query, &codes, &scores), BAD, "NULL");
    FAILS(sonde_quantizer_distances(w.raw_sq, 1, &w.query, &codes, &scores), SONDE_STATE, "not trained");
    FAILS(sonde_quantizer_distances(w.sq, SONDE_METRIC_HAMMING, &w.query, &codes, &scores), SONDE_UNSUPPORTED,
          "hamming is for codes of bits");
    FAILS(sonde_quantizer_distances(w.sq, 5, &w.query, &codes, &scores), BAD, "metric 5 is not offered");
    FAILS(sonde_quantizer_distances(w.sq, 0, &w.query, &codes, &scores), BAD, "metric 0");
    FAILS(sonde_quantizer_distances(w.sq, 1, &w.narrow, &codes, &scores), BAD, "7 columns");
    FAILS(sonde_quantizer_distances(w.sq, 1, &w.query, &two, &scores), BAD, "1 columns, expected 2");
    FAILS(sonde_quantizer_distances(w.sq, 1, &w.query, &codes, NULL), BAD, "scores");
    assert_true(score == 7 && code[0] == 7 && w.two[0] == 0);
    OK(sonde_quantizer_create("kmeans(k=5)", DIM, NULL, &odd));
    sonde_input input = {"vectors", &w.rows};
    sonde_array bad = sonde_u8(none, 1, 1);
    OK(sonde_quantizer_train(odd, &input, 1));
    FAILS(sonde_quantizer_decode(odd, &bad, &out), SONDE_CORRUPT, "code 0 is none that kmeans(k=5");
    FAILS(sonde_quantizer_distances(odd, 1, &w.query, &bad, &scores), SONDE_CORRUPT, "code 0 is none");
    sonde_quantizer_free(odd);
    assert_int_equal(sonde_quantizer_dim(NULL) + sonde_quantizer_code_bytes(NULL), 0);
    assert_false(sonde_quantizer_trained(NULL));
    assert_string_equal(sonde_quantizer_spec(NULL), "");
}

/* ---- transform.h ----------------------------------------------------------------------------------------------- */

static void refuses_to_transform(void **unused)
{
    (void)unused;
    sonde_transform *made = NULL;
    sonde_input input = {"vectors", &w.rows}, wrong = {"rows", &w.rows};
    sonde_array out = sonde_f32(w.two, 1, DIM), two = sonde_f32(w.two, 2, DIM), next = sonde_f32(w.x + 1, 1, DIM);
    sonde_array small = sonde_f32(w.two, 1, 3), half = sonde_f16((uint16_t *)w.two, 1, DIM);
    FAILS(sonde_transform_create(NULL, DIM, NULL, &made), BAD, "NULL");
    FAILS(sonde_transform_create("pca", DIM, NULL, NULL), BAD, "NULL");
    FAILS(sonde_transform_create("pca", 70000, NULL, &made), BAD, "dim=70000");
    FAILS(sonde_transform_create("pca(dim=9)", DIM, NULL, &made), BAD, "dim=9 is more than the 8 columns");
    FAILS(sonde_transform_create("rotatoin", DIM, NULL, &made), SONDE_NOT_FOUND, "did you mean 'rotation'?");
    FAILS(sonde_transform_train(NULL, &input, 1), BAD, "NULL");
    FAILS(sonde_transform_train(w.bare_pca, &wrong, 1), SONDE_NOT_FOUND, "vectors");
    FAILS(sonde_transform_train(w.bare_pca, NULL, 0), BAD, "is missing");
    FAILS(sonde_transform_apply(NULL, &w.query, &out), BAD, "NULL");
    FAILS(sonde_transform_apply(w.bare_pca, &w.query, &small), SONDE_STATE, "not trained");
    FAILS(sonde_transform_apply(w.rotation, NULL, &out), BAD, "in");
    FAILS(sonde_transform_apply(w.rotation, &w.query, NULL), BAD, "out");
    FAILS(sonde_transform_apply(w.rotation, &w.query, &small), BAD, "3 columns, expected 8");
    FAILS(sonde_transform_apply(w.rotation, &w.query, &two), BAD, "out has 2 rows, in 1");
    FAILS(sonde_transform_apply(w.rotation, &w.query, &half), BAD, "dtype f16");
    FAILS(sonde_transform_apply(w.rotation, &w.query, &next), BAD, "out overlaps in");
    FAILS(sonde_transform_apply_inverse(NULL, &w.query, &out), BAD, "NULL");
    FAILS(sonde_transform_apply_inverse(w.normalise, &w.query, &out), SONDE_UNSUPPORTED, "no way back");
    FAILS(sonde_transform_apply_inverse(w.bare_pca, &small, &out), SONDE_STATE, "not trained");
    assert_true(!made && w.two[0] == 0 && w.two[DIM] == 0);
    assert_int_equal(sonde_transform_dim(NULL) + sonde_transform_dim_out(NULL), 0);
    assert_false(sonde_transform_trained(NULL));
    assert_string_equal(sonde_transform_spec(NULL), "");
    sonde_transform_free(NULL);
}

/* The verbs of quantizers beside training, encoding and distances. */
static void refuses_other_quantizer_verbs(void **unused)
{
    (void)unused;
    uint8_t code[4] = {0}, other[5] = {0};
    float score[ROWS], error[ROWS];
    int32_t labels[ROWS];
    sonde_quantizer *lsh = NULL, *rabitq = NULL;
    sonde_array codes = sonde_array_of(SONDE_DTYPE_U8, code, 1, 4), wrong = sonde_array_of(SONDE_DTYPE_U8, other, 1, 5);
    sonde_array scores = sonde_f32(score, 1, 1), wide = sonde_f32(score, 1, 2), errors = sonde_f32(error, 1, 1), view;
    sonde_input input = {"vectors", &w.rows}, narrow = {"vectors", &w.narrow}, unknown = {"queries", &w.rows};
    OK(sonde_quantizer_create("lsh(bits=32)", DIM, NULL, &lsh));
    OK(sonde_quantizer_create("rabitq(bits=1)", DIM, NULL, &rabitq));
    FAILS(sonde_quantizer_observe(NULL, &input, 1), BAD, "NULL");
    FAILS(sonde_quantizer_observe(lsh, &narrow, 1), BAD, "7 columns");
    FAILS(sonde_quantizer_observe(lsh, &unknown, 1), SONDE_NOT_FOUND, "queries");
    FAILS(sonde_quantizer_observe(lsh, NULL, 0), BAD, "vectors");
    FAILS(sonde_quantizer_train(lsh, NULL, 0), BAD, "vectors");
    FAILS(sonde_quantizer_cluster(NULL, &input, 1, labels), BAD, "NULL");
    FAILS(sonde_quantizer_cluster(lsh, &input, 1, NULL), BAD, "labels");
    FAILS(sonde_quantizer_cluster(lsh, &input, 1, labels), SONDE_UNSUPPORTED, "does not cluster");
    FAILS(sonde_quantizer_output(NULL, "centroids", &view), BAD, "NULL");
    FAILS(sonde_quantizer_output(lsh, NULL, &view), BAD, "NULL");
    FAILS(sonde_quantizer_output(lsh, "centroids", NULL), BAD, "NULL");
    FAILS(sonde_quantizer_output(lsh, "centroids", &view), SONDE_NOT_FOUND, "no output 'centroids'");
    FAILS(sonde_quantizer_code_distances(NULL, 1, &codes, &codes, &scores), BAD, "NULL");
    FAILS(sonde_quantizer_code_distances(lsh, 4, &codes, &codes, &scores), SONDE_STATE, "not trained");
    OK(sonde_quantizer_observe(lsh, &input, 1));
    OK(sonde_quantizer_train(lsh, NULL, 0));
    OK(sonde_quantizer_code_distances(lsh, 4, &codes, &codes, &scores));
    assert_true(score[0] == 0);
    FAILS(sonde_quantizer_code_distances(lsh, 5, &codes, &codes, &scores), BAD, "metric 5");
    FAILS(sonde_quantizer_code_distances(lsh, 4, &wrong, &codes, &scores), BAD, "5 columns, expected 4");
    FAILS(sonde_quantizer_code_distances(lsh, 4, &codes, &wrong, &scores), BAD, "5 columns, expected 4");
    FAILS(sonde_quantizer_code_distances(lsh, 4, &codes, &codes, &wide), BAD, "2 columns, expected 1");
    FAILS(sonde_quantizer_bounds(NULL, 1, &w.query, &codes, &scores, &errors), BAD, "NULL");
    FAILS(sonde_quantizer_bounds(lsh, 1, &w.query, &codes, &scores, &errors), SONDE_UNSUPPORTED, "no bound");
    FAILS(sonde_quantizer_bounds(rabitq, 1, &w.query, &codes, &scores, &errors), SONDE_STATE, "not trained");
    OK(sonde_quantizer_train(rabitq, &input, 1));
    FAILS(sonde_quantizer_bounds(rabitq, 3, &w.query, &codes, &scores, &errors), SONDE_UNSUPPORTED, "l2 (1) and ip (2)");
    FAILS(sonde_quantizer_bounds(rabitq, 1, &w.narrow, &codes, &scores, &errors), BAD, "7 columns");
    sonde_quantizer_free(lsh);
    sonde_quantizer_free(rabitq);
}

/* The rest of the trie is in test_trie.c. */
static void refuses_trie_files(void **unused)
{
    (void)unused;
    sonde_trie *trie = NULL;
    FAILS(sonde_trie_save(NULL, w.text_path), BAD, "NULL");
    FAILS(sonde_trie_open(NULL, NULL, NULL, &trie), BAD, "NULL");
    FAILS(sonde_trie_open(w.text_path, NULL, NULL, NULL), BAD, "NULL");
    FAILS(sonde_trie_open(w.text_path, NULL, NULL, &trie), SONDE_CORRUPT, "");
    FAILS(sonde_trie_open(w.model_path, NULL, NULL, &trie), SONDE_INCOMPATIBLE, "quantizer");
    assert_null(trie);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    CASE(covers_every_function),
    CASE(texts_never_are_null),
    CASE(refuses_bad_runtimes),
    CASE(refuses_an_allocator_that_does_not_align),
    CASE(names_the_nearest),
    CASE(catalogue_ends_and_refuses),
    CASE(sections_of_what_is_no_file),
    CASE(refuses_bad_views),
    CASE(says_where_a_value_is_not_finite),
    CASE(refuses_to_make_indexes),
    CASE(refuses_to_train),
    CASE(refuses_to_add),
    CASE(refuses_to_number_rows_past_the_last_id),
    CASE(refuses_values_that_do_not_fit),
    CASE(refuses_to_remove_and_merge),
    CASE(refuses_to_merge_codes_that_differ),
    CASE(refuses_to_search),
    CASE(refuses_options_of_the_future),
    CASE(refuses_bad_filters),
    CASE(refuses_to_range_search),
    CASE(refuses_to_tune),
    CASE(refuses_to_look_inside),
    CASE(refuses_to_estimate),
    CASE(refuses_to_merge_hits),
    CASE(refuses_to_save),
    CASE(refuses_to_open),
    CASE(refuses_to_make_and_train_quantizers),
    CASE(refuses_to_encode_and_decode),
    CASE(refuses_other_quantizer_verbs),
    CASE(refuses_trie_files),
    CASE(refuses_to_transform),
};
SONDE_TEST_MAIN(tests)
