/* test_spec.c: specs from text to values and back, what mistakes look like, numbers as text, named inputs, and the
 * catalogue of whatever methods the library has.
 *
 * The methods of the first part are made up here, so that every kind of key is there.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <locale.h>
#include <math.h>

#include "../failing.h"

#include "base/spec.h"
#include "base/text.h"

static const sonde__key thing_common[] = {
    {"metric", SONDE__KEY_WORD, "l2", 0, 0, "l2|ip|cosine", NULL, "how near is near"},
    {"seed", SONDE__KEY_INT, "0", 0, 9.2e18, NULL, NULL, "for what is random"},
    {0}};
static const sonde__key pq_keys[] = {
    {"m", SONDE__KEY_INT, "8", 1, 4096, NULL, NULL, "parts"},
    {"bits", SONDE__KEY_INT, "8", 1, 16, "auto|none", NULL, "bits of a part"},
    {"rate", SONDE__KEY_REAL, "0.001", -1, 1, "auto", NULL, "step size"},
    {"balance", SONDE__KEY_WORD, "none", 0, 0, "none|soft|exact", NULL, "sizes of the parts"},
    {0}};
static const sonde__key ivf_keys[] = {
    {"nlist", SONDE__KEY_INT, "1024", 1, 268435456, NULL, NULL, "lists"},
    {"code", SONDE__KEY_SPEC, "pq(m=16)", 0, 0, "none", "thing", "what is stored"},
    {0}};
static const sonde__key chain_keys[] = {{"strength", SONDE__KEY_REAL, "1", 0, 1e300, NULL, NULL, "of all"},
                                        {0}};
static const sonde__key need_keys[] = {{"n", SONDE__KEY_INT, NULL, -5, 5, NULL, NULL, "how many"}, {0}};
static const sonde__key own_keys[] = {{"metric", SONDE__KEY_WORD, "hamming", 0, 0, "hamming", NULL, "one"},
                                      {0}};
static const sonde__key loop_keys[] = {{"inner", SONDE__KEY_SPEC, "loop", 0, 0, NULL, "thing", "itself"},
                                       {0}};
static const sonde__key lost_keys[] = {{"inner", SONDE__KEY_SPEC, "x", 0, 0, NULL, "nowhere", "a bad table"},
                                       {0}};

static const sonde__input_key pq_inputs[] = {
    {"vectors", "n x dim", SONDE__DTYPES_NUMERIC, true, "rows to learn from", "train"},
    {"queries", "q x dim", SONDE__DTYPE_BIT(SONDE_DTYPE_F32), false, "rows to ask with", "train"},
    {"weights", "n x 1", SONDE__DTYPE_BIT(SONDE_DTYPE_F32), false, "of rows", "train"},
    {0}};

static const sonde__method pq = {"pq", "Packs.", "Somebody 2011", pq_keys, pq_inputs, NULL, NULL};
static const sonde__method ivf = {"ivf", "Finds.", "", ivf_keys, NULL, NULL, NULL};
static const sonde__method flat = {"flat", "Scans.", NULL, NULL, NULL, NULL, NULL};
static const sonde__method chain = {"chain", "Joins.", "", chain_keys, NULL, "thing", NULL};
static const sonde__method need = {"need", "Asks.", "", need_keys, NULL, NULL, NULL};
static const sonde__method own = {"own", "Hides.", "", own_keys, NULL, NULL, NULL};
static const sonde__method loop = {"loop", "Turns.", "", loop_keys, NULL, NULL, NULL};
static const sonde__method lost = {"lost", "Errs.", "", lost_keys, NULL, NULL, NULL};
static const sonde__method *const thing_methods[] = {&pq, &ivf, &flat, &chain, &need, &own, &loop, &lost,
                                                     NULL};
static const sonde__noun thing = {"thing", thing_common, thing_methods};
static const sonde__method empty = {"empty", "Does nothing.", "", NULL, NULL, NULL, NULL};
static const sonde__method both = {"both", "Joins.", "", NULL, NULL, "bare", NULL};
static const sonde__method *const bare_methods[] = {&empty, &both, NULL};
static const sonde__noun bare = {"bare", NULL, bare_methods};

#define COMMON "metric=l2, seed=0"
#define THINGS "pq, ivf, flat, chain, need, own, loop, lost"
#define PQ_REST "bits=8, rate=0.001, balance=none, " COMMON

static sonde_runtime *runtime;

static int start_runtime(void **state)
{
    (void)state;
    return sonde_runtime_create(NULL, &runtime) != SONDE_OK;
}

static int stop_runtime(void **state)
{
    (void)state;
    sonde_runtime_free(runtime);
    return 0;
}

static sonde__params *parse(const sonde__noun *noun, const char *spec)
{
    sonde__params *params = NULL;
    sonde_status status = sonde__params_parse(runtime, noun, spec, &params);
    if (status != SONDE_OK) fail_msg("%s: %s", spec, sonde_error_message());
    return params;
}

/* The canonical text of a spec, and that reading it changes nothing. */
static void reads_as(const sonde__noun *noun, const char *spec, const char *canonical)
{
    sonde__params *params = parse(noun, spec), *again = parse(noun, sonde__params_text(params));
    assert_string_equal(sonde__params_text(params), canonical);
    assert_string_equal(sonde__params_text(again), canonical);
    sonde__params_free(runtime, again);
    sonde__params_free(runtime, params);
}

static void fails_with(const char *spec, sonde_status wanted, const char *message)
{
    sonde__params *params = (sonde__params *)&runtime;
    sonde_status status = sonde__params_parse(runtime, &thing, spec, &params);
    if (status != wanted || strcmp(sonde_error_message(), message) != 0)
        fail_msg("%s gave %s \"%s\", not \"%s\"", spec, sonde_status_name(status), sonde_error_message(),
                 message);
    assert_ptr_equal(params, &runtime);
}

static void canonical_text_is_complete(void **state)
{
    (void)state;
    reads_as(&thing, "pq", "pq(m=8, " PQ_REST ")");
    reads_as(&thing, "pq()", "pq(m=8, " PQ_REST ")");
    reads_as(&thing, " pq ( bits = 4 ,\n\tm=48 ) ", "pq(m=48, bits=4, rate=0.001, balance=none, " COMMON ")");
    reads_as(&thing, "pq(bits=auto,rate=auto)", "pq(m=8, bits=auto, rate=auto, balance=none, " COMMON ")");
    reads_as(&thing, "flat", "flat(" COMMON ")");
    reads_as(&thing, "flat(seed=7,metric=ip)", "flat(metric=ip, seed=7)");
    reads_as(&thing, "ivf", "ivf(nlist=1024, code=pq(m=16, " PQ_REST "), " COMMON ")");
    reads_as(&thing, "ivf(code=none)", "ivf(nlist=1024, code=none, " COMMON ")");
    reads_as(&thing, "ivf(code=flat)", "ivf(nlist=1024, code=flat(" COMMON "), " COMMON ")");
    reads_as(&thing, "own", "own(metric=hamming, seed=0)"); /* its own key hides the common one */
    reads_as(&bare, "empty", "empty");
    reads_as(&bare, "empty()", "empty");
    reads_as(&bare, "both", "both");
    reads_as(&bare, "both(empty(), both(empty), empty)", "both(empty, both(empty), empty)");
    reads_as(&thing, "chain(strength=0.5, flat, pq(m=2))",
             "chain(flat(" COMMON "), pq(m=2, " PQ_REST "), strength=0.5, " COMMON ")");
    reads_as(&thing, "chain", "chain(strength=1, " COMMON ")");
}

static void numbers_are_read_in_every_way(void **state)
{
    (void)state;
    reads_as(&thing, "ivf(nlist=1e6, code=none)", "ivf(nlist=1000000, code=none, " COMMON ")");
    reads_as(&thing, "ivf(nlist=+12.50e2, code=none)", "ivf(nlist=1250, code=none, " COMMON ")");
    reads_as(&thing, "ivf(nlist=007, code=none)", "ivf(nlist=7, code=none, " COMMON ")");
    reads_as(&thing, "need(n=-5)", "need(n=-5, " COMMON ")");
    reads_as(&thing, "need(n=-0)", "need(n=0, " COMMON ")");
    reads_as(&thing, "flat(seed=9007199254740993)", "flat(metric=l2, seed=9007199254740993)"); /* 2^53 + 1 */
    reads_as(&thing, "pq(rate=-.5)", "pq(m=8, bits=8, rate=-0.5, balance=none, " COMMON ")");
    reads_as(&thing, "pq(rate=-0.0)", "pq(m=8, bits=8, rate=0, balance=none, " COMMON ")");
    reads_as(&thing, "pq(rate=1E-7)", "pq(m=8, bits=8, rate=1e-7, balance=none, " COMMON ")");
    reads_as(&thing, "pq(rate=0.1000)", "pq(m=8, bits=8, rate=0.1, balance=none, " COMMON ")");
    reads_as(&thing, "chain(strength=1.5e299)", "chain(strength=1.5e299, " COMMON ")");
}

static void values_are_what_was_said(void **state)
{
    (void)state;
    sonde__params *params = parse(&thing, "ivf(nlist=77, metric=ip, code=pq(rate=0.25, bits=auto))");
    const sonde__params *code = sonde__param_spec(params, "code");
    assert_ptr_equal(sonde__params_method(params), &ivf);
    assert_ptr_equal(sonde__params_method(code), &pq);
    assert_int_equal(sonde__param_int(params, "nlist"), 77);
    assert_true(sonde__param_real(params, "nlist") == 77.0);
    assert_string_equal(sonde__param_word(params, "nlist"), "");
    assert_string_equal(sonde__param_word(params, "metric"), "ip");
    assert_true(sonde__param_is(params, "metric", "ip"));
    assert_false(sonde__param_is(params, "metric", "i"));
    assert_true(sonde__param_real(code, "rate") == 0.25);
    assert_int_equal(sonde__param_int(code, "bits"), 0);
    assert_true(sonde__param_is(code, "bits", "auto"));
    assert_int_equal(sonde__params_chain_count(params), 0);
    sonde__params_free(runtime, params);

    params = parse(&thing, "ivf(code=none)");
    assert_null(sonde__param_spec(params, "code"));
    assert_true(sonde__param_is(params, "code", "none"));
    sonde__params_free(runtime, params);

    params = parse(&thing, "chain(pq(m=1), flat, strength=2, pq(m=3))");
    assert_int_equal(sonde__params_chain_count(params), 3);
    assert_int_equal(sonde__param_int(sonde__params_chain_at(params, 0), "m"), 1);
    assert_ptr_equal(sonde__params_method(sonde__params_chain_at(params, 1)), &flat);
    assert_int_equal(sonde__param_int(sonde__params_chain_at(params, 2), "m"), 3);
    assert_true(sonde__param_real(params, "strength") == 2.0);
    sonde__params_free(runtime, params);
    sonde__params_free(runtime, NULL);
}

static void mistakes_in_names(void **state)
{
    (void)state;
    fails_with("pq(bit=4)", SONDE_NOT_FOUND,
               "pq: no key 'bit'; did you mean 'bits'? keys: m, bits, rate, balance, metric, seed");
    fails_with("pq(zzz=4)", SONDE_NOT_FOUND, "pq: no key 'zzz'; keys: m, bits, rate, balance, metric, seed");
    fails_with("flat(sede=4)", SONDE_NOT_FOUND,
               "flat: no key 'sede'; did you mean 'seed'? keys: metric, seed");
    fails_with("ivff", SONDE_NOT_FOUND,
               "thing: no method 'ivff'; did you mean 'ivf'? methods: " THINGS);
    fails_with("PQ", SONDE_NOT_FOUND,
               "thing: no method 'PQ'; did you mean 'pq'? methods: " THINGS);
    fails_with("ivf(code=fla(m=1))", SONDE_NOT_FOUND,
               "thing: no method 'fla'; did you mean 'flat'? methods: " THINGS);
    fails_with("pq(balance=exat)", SONDE_INVALID_ARGUMENT,
               "pq: balance=exat is not one of: none, soft, exact; did you mean 'exact'?");
    fails_with("pq(balance=3)", SONDE_INVALID_ARGUMENT, "pq: balance=3 is not one of: none, soft, exact");
    fails_with("pq(m=3, bits=2, m=4)", SONDE_INVALID_ARGUMENT,
               "pq: key 'm' is given twice, at characters 4 and 17");
    fails_with("need", SONDE_INVALID_ARGUMENT, "need: key 'n' must be given (how many)");
    fails_with("pq(flat)", SONDE_INVALID_ARGUMENT, "pq: character 4: expected key=value, found 'flat'");
    fails_with("lost(inner=flat)", SONDE_INTERNAL, "spec: a table of thing names the unknown noun nowhere");
}

static void mistakes_in_values(void **state)
{
    (void)state;
    fails_with("ivf(nlist=0)", SONDE_INVALID_ARGUMENT, "ivf: nlist=0 is outside 1..268435456");
    fails_with("ivf(nlist=268435457)", SONDE_INVALID_ARGUMENT,
               "ivf: nlist=268435457 is outside 1..268435456");
    fails_with("ivf(nlist=99999999999999999999)", SONDE_INVALID_ARGUMENT,
               "ivf: nlist=99999999999999999999 is outside 1..268435456");
    fails_with("ivf(nlist=1.5)", SONDE_INVALID_ARGUMENT, "ivf: nlist=1.5 is not a whole number");
    fails_with("ivf(nlist=ten)", SONDE_INVALID_ARGUMENT, "ivf: nlist=ten is not a whole number");
    fails_with("ivf(nlist=0x10)", SONDE_INVALID_ARGUMENT, "ivf: nlist=0x10 is not a whole number");
    fails_with("ivf(nlist=pq(m=2))", SONDE_INVALID_ARGUMENT, "ivf: nlist=pq(...) is not a whole number");
    fails_with("ivf(nlist=1())", SONDE_INVALID_ARGUMENT, "ivf: nlist=1(...) is not a whole number");
    fails_with("pq(rate=nan)", SONDE_INVALID_ARGUMENT, "pq: rate=nan is not a number or one of: auto");
    fails_with("pq(rate=inf)", SONDE_INVALID_ARGUMENT, "pq: rate=inf is not a number or one of: auto");
    fails_with("pq(rate=-infinity)", SONDE_INVALID_ARGUMENT,
               "pq: rate=-infinity is not a number or one of: auto");
    fails_with("pq(rate=1e999)", SONDE_INVALID_ARGUMENT, "pq: rate=1e999 is outside -1..1");
    fails_with("pq(rate=1.0000001)", SONDE_INVALID_ARGUMENT, "pq: rate=1.0000001 is outside -1..1");
    fails_with("pq(rate=1e)", SONDE_INVALID_ARGUMENT, "pq: rate=1e is not a number or one of: auto");
    fails_with("pq(rate=.)", SONDE_INVALID_ARGUMENT, "pq: rate=. is not a number or one of: auto");
    fails_with("pq(rate=--1)", SONDE_INVALID_ARGUMENT, "pq: rate=--1 is not a number or one of: auto");
    fails_with("flat(seed=-1)", SONDE_INVALID_ARGUMENT, "flat: seed=-1 is outside 0..9.2e18");
}

static void mistakes_in_grammar(void **state)
{
    (void)state;
    fails_with("", SONDE_INVALID_ARGUMENT, "spec: character 1: expected a value, found the end");
    fails_with("  (", SONDE_INVALID_ARGUMENT, "spec: character 3: expected a value, found '('");
    fails_with("pq(", SONDE_INVALID_ARGUMENT,
               "spec: character 4: expected key=value or a spec, found the end");
    fails_with("pq(m", SONDE_INVALID_ARGUMENT, "spec: character 5: expected ',' or ')', found the end");
    fails_with("pq(m=", SONDE_INVALID_ARGUMENT, "spec: character 6: expected a value, found the end");
    fails_with("pq(m=1,)", SONDE_INVALID_ARGUMENT,
               "spec: character 8: expected key=value or a spec, found ')'");
    fails_with("pq(m=1 2)", SONDE_INVALID_ARGUMENT, "spec: character 8: expected ',' or ')', found '2'");
    fails_with("pq(m=1))", SONDE_INVALID_ARGUMENT, "spec: character 8: expected the end, found ')'");
    fails_with("pq pq", SONDE_INVALID_ARGUMENT, "spec: character 4: expected the end, found 'p'");
    fails_with("pq(=1)", SONDE_INVALID_ARGUMENT,
               "spec: character 4: expected key=value or a spec, found '='");
    fails_with("p\xc3\xa9", SONDE_INVALID_ARGUMENT, "spec: character 2: expected the end, found byte 0xc3");
    fails_with("pq\x01", SONDE_INVALID_ARGUMENT, "spec: character 3: expected the end, found byte 0x01");
    fails_with(NULL, SONDE_INVALID_ARGUMENT, "spec: the text is NULL");
}

/* `levels` chains inside each other, the innermost without parentheses. */
static char *nested(int levels)
{
    char *spec = test_alloc((size_t)levels * 8 + 1, 1);
    for (int i = 1; i < levels; i++) strcat(spec, "both(");
    strcat(spec, "both");
    for (int i = 1; i < levels; i++) strcat(spec, ")");
    return spec;
}

static void depth_and_length_are_bounded(void **state)
{
    (void)state;
    sonde__params *params = NULL;
    char *spec = nested(16);
    reads_as(&bare, spec, spec);
    free(spec);
    spec = nested(17);
    FAILS(sonde__params_parse(runtime, &bare, spec, &params), SONDE_INVALID_ARGUMENT,
          "nested deeper than 16");
    free(spec);
    spec = nested(8000);
    FAILS(sonde__params_parse(runtime, &bare, spec, &params), SONDE_INVALID_ARGUMENT,
          "nested deeper than 16");
    free(spec);
    FAILS(sonde__params_parse(runtime, &thing, "loop", &params), SONDE_INVALID_ARGUMENT,
          "nested deeper than 16");

    spec = test_alloc(65538, 1);
    memset(spec, ' ', 65537);
    memcpy(spec, "flat", 4);
    FAILS(sonde__params_parse(runtime, &thing, spec, &params), SONDE_INVALID_ARGUMENT, "longer than 65536");
    spec[65536] = 0;
    reads_as(&thing, spec, "flat(" COMMON ")");

    /* Short text that its defaults make too long to be read again. */
    strcpy(spec, "chain(pq");
    for (int i = 0; i < 2000; i++) strcat(spec, ",pq");
    strcat(spec, ")");
    FAILS(sonde__params_parse(runtime, &thing, spec, &params), SONDE_INVALID_ARGUMENT,
          "with every default filled in");
    free(spec);
}

/* Grows a random spec of `thing` from the tables. */
static void grow_spec(uint64_t *random, int depth, sonde__text *out)
{
    static const char *const numbers[] = {"1", "2", "16", "1e0", "5.0", "3.", "+4", "1.2e1"};
    static const char *const spaces[] = {"", "", "", " ", "\n ", "\t"};
#define SPACE spaces[test_u64(random) % 6]
#define MAYBE (test_u64(random) % 2 == 0)
    switch (depth > 0 ? test_u64(random) % 5 : 2 + test_u64(random) % 2) {
    case 0:
        sonde__text_add(out, "%sivf%s(%scode%s=", SPACE, SPACE, SPACE, SPACE);
        if (MAYBE) grow_spec(random, depth - 1, out);
        else sonde__text_add(out, "none");
        if (MAYBE) sonde__text_add(out, ",%snlist=%s%s", SPACE, numbers[test_u64(random) % 8], SPACE);
        sonde__text_add(out, ")%s", SPACE);
        return;
    case 1:
        sonde__text_add(out, "chain(");
        for (uint64_t i = test_u64(random) % 4; i > 0; i--) {
            grow_spec(random, depth - 1, out);
            sonde__text_add(out, ",%s", SPACE);
        }
        sonde__text_add(out, "strength%s=%.*g)", SPACE, (int)(test_u64(random) % 17) + 1,
                        test_unit(random) * pow(10, (double)(test_u64(random) % 40) - 20));
        return;
    case 2: sonde__text_add(out, "%sflat%s", SPACE, MAYBE ? "" : "()"); return;
    case 3:
        sonde__text_add(out, "pq(%sm=%s", SPACE, numbers[test_u64(random) % 8]);
        if (MAYBE) sonde__text_add(out, ",rate=%.17g", 2 * test_unit(random) - 1);
        if (MAYBE) sonde__text_add(out, ",%sbalance%s=%ssoft", SPACE, SPACE, SPACE);
        if (MAYBE) sonde__text_add(out, ", seed=%llu", (unsigned long long)(test_u64(random) >> 2));
        sonde__text_add(out, "%s)%s", SPACE, SPACE);
        return;
    default: sonde__text_add(out, "need(n=%d)", (int)(test_u64(random) % 11) - 5); return;
    }
}

static void random_specs_reach_a_fixed_point(void **state)
{
    (void)state;
    uint64_t random = 2024;
    char spec[8192];
    for (int i = 0; i < 3000; i++) {
        sonde__text out = sonde__text_start(spec, sizeof spec);
        grow_spec(&random, 4, &out);
        assert_true(out.length < sizeof spec);
        sonde__params *params = parse(&thing, spec);
        reads_as(&thing, spec, sonde__params_text(params));
        sonde__params_free(runtime, params);
    }
}

/* Damaged specs fail with a message, or are read and reach the fixed point too. */
static void damaged_specs_never_do_harm(void **state)
{
    (void)state;
    static const char letters[] = "()=, .-+0123456789abempqflivnchto_\xff\"";
    uint64_t random = 99;
    char spec[8192];
    int good = 0, bad = 0;
    for (int i = 0; i < 6000; i++) {
        sonde__text out = sonde__text_start(spec, sizeof spec);
        grow_spec(&random, 3, &out);
        for (uint64_t damage = test_u64(&random) % 3; damage > 0; damage--)
            spec[test_u64(&random) % out.length] = letters[test_u64(&random) % (sizeof letters - 1)];
        sonde__params *params = NULL;
        sonde__fail(SONDE_OK, "%s", "");
        if (sonde__params_parse(runtime, &thing, spec, &params) == SONDE_OK) {
            reads_as(&thing, spec, sonde__params_text(params));
            good++;
        } else {
            assert_true(strlen(sonde_error_message()) > 10);
            bad++;
        }
        sonde__params_free(runtime, params);
    }
    assert_true(good > 500 && bad > 500);
}

static sonde_status scene_of_specs(sonde_runtime_options *options)
{
    sonde_runtime *failing = NULL;
    sonde__params *params = NULL;
    SONDE_TRY(sonde_runtime_create(options, &failing));
    sonde_status status = sonde__params_parse(failing, &thing, "chain(ivf(code=pq(m=2)), flat, ivf)",
                                              &params);
    sonde__params_free(failing, params);
    sonde_runtime_free(failing);
    return status;
}

static void the_nth_allocation_fails(void **state)
{
    (void)state;
    assert_in_range(failing_walk(scene_of_specs), 15, 60);
}

static void check_number(double value)
{
    char text[SONDE__NUMBER_BYTES], digits[32];
    double back = 0;
    sonde__number_write(value, text);
    assert_true(strlen(text) < 26);
    assert_true(sonde__number_read(text, &back));
    assert_true(back == value);
    assert_true(strtod(text, NULL) == value);
    /* No fewer digits would do. */
    size_t count = 0, zeros = 0;
    bool leading = true;
    for (const char *c = text; *c && *c != 'e'; c++) {
        if (*c < '0' || *c > '9' || (leading && *c == '0')) continue;
        leading = false;
        count++;
        zeros = *c == '0' ? zeros + 1 : 0;
    }
    count -= zeros;
    if (count > 1) {
        snprintf(digits, sizeof digits, "%.*e", (int)count - 2, value);
        assert_true(strtod(digits, NULL) != value);
    }
}

static void numbers_are_short_and_exact(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } known[] = {{0, "0"},           {1, "1"},         {-1, "-1"},        {0.1, "0.1"},     {100, "100"},
                 {1e15, "1000000000000000"},           {1e16, "1e16"},    {1e-4, "0.0001"}, {1e-5, "0.00001"},
                 {1e-6, "1e-6"},     {1.5e-6, "1.5e-6"}, {1.25, "1.25"},  {123456.789, "123456.789"},
                 {0.001, "0.001"},   {1e300, "1e300"}, {5e-324, "5e-324"}, {-2.5e100, "-2.5e100"},
                 {HUGE_VAL, "inf"},  {-HUGE_VAL, "-inf"}, {268435456, "268435456"}};
    char text[SONDE__NUMBER_BYTES];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        sonde__number_write(known[i].value, text);
        assert_string_equal(text, known[i].text);
    }
    uint64_t random = 11;
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = test_u64(&random);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value)) check_number(value);
        check_number((double)(float)test_unit(&random));
        check_number(floor(test_unit(&random) * 1e6) / 1000);
    }
}

static void reading_agrees_with_the_c_library(void **state)
{
    (void)state;
    uint64_t random = 5;
    char text[64];
    for (int i = 0; i < 20000; i++) {
        double value = 0;
        snprintf(text, sizeof text, "%s%llu.%llue%d", i % 2 ? "-" : "",
                 (unsigned long long)(test_u64(&random) >> 20),
                 (unsigned long long)(test_u64(&random) >> (test_u64(&random) % 60)),
                 (int)(test_u64(&random) % 600) - 300);
        assert_true(sonde__number_read(text, &value));
        assert_true(value == strtod(text, NULL));
    }
    double value = 0;
    assert_true(sonde__number_read("1e-99999999999999999999", &value) && value == 0);
    assert_true(sonde__number_read("1e99999999999999999999", &value) && isinf(value));
    char many[200];
    memset(many, '1', 199);
    many[199] = 0;
    assert_false(sonde__number_read(many, &value));
    assert_false(sonde__number_read("", &value));
    assert_false(sonde__number_read("1 ", &value));
    assert_false(sonde__number_read("e5", &value));
}

static void a_locale_with_commas_changes_nothing(void **state)
{
    (void)state;
    static const char *const locales[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"};
    bool found = false;
    for (size_t i = 0; i < 4 && !found; i++)
        found = setlocale(LC_ALL, locales[i]) && *localeconv()->decimal_point == ',';
    if (!found) skip();
    reads_as(&thing, "pq(rate=0.125)", "pq(m=8, bits=8, rate=0.125, balance=none, " COMMON ")");
    reads_as(&thing, "pq(rate=1.5e-9)", "pq(m=8, bits=8, rate=1.5e-9, balance=none, " COMMON ")");
    setlocale(LC_ALL, "C");
}

static const char *nearest(const char *wanted, const char *const *names)
{
    static char hint[96];
    sonde__choice choice = sonde__choice_start(wanted);
    for (; *names; names++) sonde__choice_offer(&choice, *names, strlen(*names));
    sonde__choice_hint(&choice, hint);
    return hint;
}

static void the_nearest_name(void **state)
{
    (void)state;
    const char *const names[] = {"m", "bits", "nlist", "iterations", "balance", "degree", NULL};
    assert_string_equal(nearest("bit", names), "; did you mean 'bits'?");
    assert_string_equal(nearest("nlsit", names), "; did you mean 'nlist'?");
    assert_string_equal(nearest("iter", names), "; did you mean 'iterations'?");
    assert_string_equal(nearest("Balnce", names), "; did you mean 'balance'?");
    assert_string_equal(nearest("DEGREE", names), "; did you mean 'degree'?");
    assert_string_equal(nearest("k", names), "");
    assert_string_equal(nearest("xyz", names), "");
    assert_string_equal(nearest("", names), "");
    char endless[5000];
    memset(endless, 'b', sizeof endless - 1);
    endless[sizeof endless - 1] = 0;
    assert_string_equal(nearest(endless, names), "");
}

static void long_lists_are_cut(void **state)
{
    (void)state;
    sonde__choice choice = sonde__choice_start("needle");
    for (int i = 0; i < 1000; i++) {
        char name[32];
        snprintf(name, sizeof name, "some_method_%d", i);
        sonde__choice_offer(&choice, name, strlen(name));
    }
    sonde__choice_offer(&choice, "needles", 7);
    FAILS(sonde__choice_fail(&choice, "c", "method"), SONDE_NOT_FOUND,
          "did you mean 'needles'? methods: some_method_0, ");
    const char *message = sonde_error_message();
    assert_true(strlen(message) < 500);
    assert_string_equal(message + strlen(message) - 5, ", ...");
}

static void text_is_given_out_by_the_rule(void **state)
{
    (void)state;
    char text[16] = "untouched";
    size_t length = 99;
    OK(sonde__give_text("hello", NULL, 0, &length));
    assert_int_equal(length, 5);
    OK(sonde__give_text("hello", text, 16, NULL));
    assert_string_equal(text, "hello");
    OK(sonde__give_text("hello", text, 5, &length));
    assert_string_equal(text, "hell");
    OK(sonde__give_text("hello", text, 1, &length));
    assert_string_equal(text, "");
    assert_int_equal(length, 5);
    FAILS(sonde__give_text("hello", NULL, 7, &length), SONDE_INVALID_ARGUMENT, "capacity is 7");
}

static void inputs_are_matched_by_name(void **state)
{
    (void)state;
    float data[6] = {0};
    int32_t numbers[6] = {0};
    sonde_array x = sonde_f32(data, 3, 2), none = sonde_f32(NULL, 0, 2);
    sonde_array wrong = sonde_array_of(SONDE_DTYPE_I32, numbers, 3, 2);
    const sonde_array *found[3] = {&wrong, &wrong, &wrong};
    sonde_input good[] = {{"queries", &none}, {"vectors", &x}};
    OK(sonde__inputs_match(&pq, "train", "pq: train", good, 2, found));
    assert_ptr_equal(found[0], &x);
    assert_ptr_equal(found[1], &none);
    assert_null(found[2]);
    OK(sonde__inputs_match(&flat, "train", "flat: train", NULL, 0, found));

    const sonde_array *untouched[3] = {&wrong, &wrong, &wrong};
    const sonde_input x_vectors = {"vectors", &x}, x_queries = {"queries", &x}, missing = {"vectors", NULL};
    const sonde_input misspelt = {"vector", &x}, integers = {"vectors", &wrong}, nameless = {NULL, &x};
    const struct {
        sonde_input inputs[2];
        size_t count;
        sonde_status status;
        const char *words;
    } bad[] = {
        {{misspelt}, 1, SONDE_NOT_FOUND,
         "pq: train: no input 'vector'; did you mean 'vectors'? inputs: vectors, queries, weights"},
        {{x_vectors, x_vectors}, 2, SONDE_INVALID_ARGUMENT, "pq: train: input 'vectors' is given twice"},
        {{x_queries}, 1, SONDE_INVALID_ARGUMENT,
         "pq: train: input 'vectors' (n x dim) is missing; inputs: vectors, queries (optional), weights (opt"},
        {{integers}, 1, SONDE_INVALID_ARGUMENT,
         "pq: train: vectors: dtype i32 is not accepted here; expected f32 f16 bf16 i8 u8"},
        {{missing}, 1, SONDE_INVALID_ARGUMENT, "pq: train: vectors: the array is NULL"},
        {{x_vectors, nameless}, 2, SONDE_INVALID_ARGUMENT, "pq: train: the name of input 1 is NULL"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        FAILS(sonde__inputs_match(&pq, "train", "pq: train", bad[i].inputs, bad[i].count, untouched), bad[i].status,
              bad[i].words);
        for (int j = 0; j < 3; j++) assert_ptr_equal(untouched[j], &wrong);
    }
    FAILS(sonde__inputs_match(&pq, "train", "pq: train", NULL, 1, untouched), SONDE_INVALID_ARGUMENT,
          "the count is 1");
    FAILS(sonde__inputs_match(&flat, "train", "flat: train", good, 1, untouched), SONDE_NOT_FOUND,
          "flat: train: no input 'queries'; inputs: none");
}

/* Every key's default passes its own checks, alone and in the whole spec; names are unique; strings are there. */
static void check_method_of_the_library(const sonde_method_info *method)
{
    char spec[1024] = "", text[4096];
    size_t length = 0;
    sonde__text out = sonde__text_start(spec, sizeof spec);
    sonde__text_add(&out, "%s(", method->name);
    for (uint32_t i = 0; i < method->key_count; i++) {
        sonde_key_info key = SONDE_KEY_INFO_INIT, other = SONDE_KEY_INFO_INIT;
        OK(sonde_key_at(method->noun, method->name, i, &key));
        assert_true(key.name[0] && key.help[0] && key.kind[0]);
        for (uint32_t j = 0; j < i; j++) {
            OK(sonde_key_at(method->noun, method->name, j, &other));
            assert_string_not_equal(other.name, key.name);
        }
        bool number = strcmp(key.kind, "int") == 0 || strcmp(key.kind, "real") == 0;
        assert_true(!number || key.min <= key.max);
        if (!key.fallback[0] && number) sonde__text_add(&out, "%s=%g,", key.name, key.min);
        else if (!key.fallback[0]) return; /* only its own test knows what should stand there */
    }
    spec[out.length - 1] = out.length > 1 && spec[out.length - 1] == ',' ? ')' : 0;
    OK(sonde_spec_check(method->noun, spec, text, sizeof text, &length));
    assert_true(length > 0 && length < sizeof text);
    char again[4096];
    OK(sonde_spec_check(method->noun, text, again, sizeof again, &length));
    assert_string_equal(text, again);
}

static void the_library_s_own_tables_are_sound(void **state)
{
    (void)state;
    uint32_t position = 0;
    sonde_method_info method = SONDE_METHOD_INFO_INIT;
    while (sonde_method_at(position, &method) == SONDE_OK) {
        assert_true(method.name[0] && method.noun[0] && method.summary[0]);
        check_method_of_the_library(&method);
        sonde_key_info key = SONDE_KEY_INFO_INIT;
        FAILS(sonde_key_at(method.noun, method.name, method.key_count, &key), SONDE_NOT_FOUND,
              "none at position");
        sonde_input_info input = SONDE_INPUT_INFO_INIT;
        for (uint32_t i = 0; i < method.input_count; i++) {
            OK(sonde_input_at(method.noun, method.name, i, &input));
            assert_true(input.name[0] && input.shape[0] && input.dtypes[0] && input.help[0]);
        }
        FAILS(sonde_input_at(method.noun, method.name, method.input_count, &input), SONDE_NOT_FOUND,
              "none at position");
        position++;
    }
    assert_true(position > 0);
    assert_non_null(strstr(sonde_error_message(), "none at position"));
}

static void pages_say_everything_and_can_be_measured(void **state)
{
    (void)state;
    sonde_method_info method = SONDE_METHOD_INFO_INIT;
    for (uint32_t position = 0; sonde_method_at(position, &method) == SONDE_OK; position++) {
        size_t length = 0, same = 0;
        OK(sonde_describe(method.noun, method.name, NULL, 0, &length));
        char *page = test_alloc(length + 1, 1), *part = test_alloc(length + 1, 1);
        OK(sonde_describe(method.noun, method.name, page, length + 1, &same));
        assert_int_equal(same, length);
        assert_int_equal(strlen(page), length);
        assert_non_null(strstr(page, method.summary));
        for (uint32_t i = 0; i < method.key_count; i++) {
            sonde_key_info key = SONDE_KEY_INFO_INIT;
            OK(sonde_key_at(method.noun, method.name, i, &key));
            assert_non_null(strstr(page, key.name));
            assert_non_null(strstr(page, key.help));
        }
        OK(sonde_describe(method.noun, method.name, part, length / 2, NULL));
        assert_int_equal(strlen(part), length / 2 - 1);
        assert_memory_equal(part, page, length / 2 - 1);
        free(part);
        free(page);
    }
}

static void questions_about_what_is_not_there(void **state)
{
    (void)state;
    sonde_method_info method = SONDE_METHOD_INFO_INIT;
    sonde_key_info key = SONDE_KEY_INFO_INIT;
    char text[8] = "as was";
    size_t length = 5;
    FAILS(sonde_method_at(UINT32_MAX, &method), SONDE_NOT_FOUND, "none at position 4294967295");
    FAILS(sonde_method_at(0, NULL), SONDE_INVALID_ARGUMENT, "NULL");
    method.size = 0;
    FAILS(sonde_method_at(0, &method), SONDE_INVALID_ARGUMENT, "INIT");
    FAILS(sonde_key_at("quantiser", "pq", 0, &key), SONDE_NOT_FOUND,
          "no noun 'quantiser'; did you mean 'quantizer'?");
    FAILS(sonde_key_at("quantizer", "pqq", 0, &key), SONDE_NOT_FOUND, "no method 'pqq'; did you mean 'pq'?");
    FAILS(sonde_key_at(NULL, "pq", 0, &key), SONDE_INVALID_ARGUMENT, "the noun is NULL");
    FAILS(sonde_key_at("quantizer", NULL, 0, &key), SONDE_INVALID_ARGUMENT, "the method is NULL");
    FAILS(sonde_describe("quantizer", "nothing", text, 8, &length), SONDE_NOT_FOUND, "no method 'nothing'");
    FAILS(sonde_describe("quantizer", "pq", NULL, 8, &length), SONDE_INVALID_ARGUMENT, "text is NULL");
    FAILS(sonde_spec_check("quantizer", NULL, text, 8, &length), SONDE_INVALID_ARGUMENT, "NULL");
    FAILS(sonde_spec_check("quantizer", "pq(m=0)", text, 8, &length), SONDE_INVALID_ARGUMENT,
          "m=0 is outside");
    FAILS(sonde_spec_check("quantizer", "pq", NULL, 8, &length), SONDE_INVALID_ARGUMENT, "text is NULL");
    assert_string_equal(text, "as was");
    assert_int_equal(length, 5);
}

#define WITH_RUNTIME(test) cmocka_unit_test_setup_teardown(test, start_runtime, stop_runtime)

static const struct CMUnitTest tests[] = {
    WITH_RUNTIME(canonical_text_is_complete),
    WITH_RUNTIME(numbers_are_read_in_every_way),
    WITH_RUNTIME(values_are_what_was_said),
    WITH_RUNTIME(mistakes_in_names),
    WITH_RUNTIME(mistakes_in_values),
    WITH_RUNTIME(mistakes_in_grammar),
    WITH_RUNTIME(depth_and_length_are_bounded),
    WITH_RUNTIME(random_specs_reach_a_fixed_point),
    WITH_RUNTIME(damaged_specs_never_do_harm),
    cmocka_unit_test(the_nth_allocation_fails),
    cmocka_unit_test(numbers_are_short_and_exact),
    cmocka_unit_test(reading_agrees_with_the_c_library),
    WITH_RUNTIME(a_locale_with_commas_changes_nothing),
    cmocka_unit_test(the_nearest_name),
    cmocka_unit_test(long_lists_are_cut),
    cmocka_unit_test(text_is_given_out_by_the_rule),
    cmocka_unit_test(inputs_are_matched_by_name),
    cmocka_unit_test(the_library_s_own_tables_are_sound),
    cmocka_unit_test(pages_say_everything_and_can_be_measured),
    cmocka_unit_test(questions_about_what_is_not_there),
};
SONDE_TEST_MAIN(tests)
