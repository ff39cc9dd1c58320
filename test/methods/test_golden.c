/* test_golden.c: files of every released format version open for ever and give the answers that they gave when they
 * were made: read and mapped, on any instruction set. Those of v1 were made on x86-64, those of v1-arm on AArch64; each
 * kind of processor opens both. Files are listed in the answers beside them (test/golden/make_golden.c). Numbers may
 * differ by rounding between instruction sets; the order of hits that are as good by rounding, too.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <math.h>
#include <unistd.h>

#include "../test.h"
#include "golden/golden.h"

#define LINE_BYTES 16384

static golden_reader reader_of(const char *file)
{
    return strncmp(file, "index", 5) == 0       ? golden_index
           : strncmp(file, "quantizer", 9) == 0 ? golden_quantizer
                                                : golden_transform;
}

static bool near(double a, double b) { return a == b || fabs(a - b) <= 1e-4 * (1 + fabs(b)); }

/* Hit i of an index as (id, score): the id is certain if no other score of the query is as good. */
static bool certain_id(const golden_answer *wanted, int i)
{
    int hit = i / 2, first = hit / GOLDEN_K * GOLDEN_K;
    for (int other = first; other < first + GOLDEN_K; other++)
        if (other != hit && near(wanted->number[2 * other + 1], wanted->number[2 * hit + 1])) return false;
    return hit % GOLDEN_K != GOLDEN_K - 1; /* the last may be as good as the first that is cut off */
}

/* The spec of then, with the defaults of the keys that methods have been given since. */
static void compare_specs(const char *file, const char *got, const char *wanted)
{
    char noun[16] = "", now[2048];
    size_t length;
    memcpy(noun, file, strcspn(file, "-"));
    OK(sonde_spec_check(noun, wanted, now, sizeof now, &length));
    if (strcmp(got, now) != 0) fail_msg("%s: the spec is %s, expected %s", file, got, now);
}

static void compare(const char *file, const golden_answer *got, const golden_answer *wanted)
{
    bool index = strncmp(file, "index", 5) == 0;
    compare_specs(file, got->spec, wanted->spec);
    if (got->count != wanted->count) fail_msg("%s: %d numbers, were %d", file, got->count, wanted->count);
    for (int i = 0; i < wanted->count; i++) {
        bool id = index && i < 2 * GOLDEN_QUERIES * GOLDEN_K && i % 2 == 0;
        if (id && !certain_id(wanted, i)) continue;
        if (id ? got->number[i] != wanted->number[i] : !near(got->number[i], wanted->number[i]))
            fail_msg("%s: number %d is %.9g, was %.9g", file, i, got->number[i], wanted->number[i]);
    }
}

/* Reads one line of the answers. */
static void parse(char *line, char **file, golden_answer *wanted)
{
    char *rest = strchr(line, '\t'), *numbers = rest ? strchr(rest + 1, '\t') : NULL;
    assert_non_null(numbers);
    *rest = *numbers = 0;
    *file = line;
    assert_true(strcspn(line, "-") < 16);
    golden_spec(wanted, rest + 1);
    wanted->count = (int)strtol(numbers + 1, &numbers, 10);
    assert_in_range(wanted->count, 1, GOLDEN_MOST);
    for (int i = 0; i < wanted->count; i++) wanted->number[i] = strtod(numbers, &numbers);
    assert_int_equal(*numbers, '\n');
}

static void files_answer_as_ever(void **state)
{
    const char *folder = *state;
    char *line = test_alloc(1, LINE_BYTES), path[512];
    snprintf(path, sizeof path, "%s/%s", folder, GOLDEN_ANSWERS);
    FILE *answers = fopen(path, "r");
    size_t files = 0;
    assert_non_null(answers); /* tests run in the folder of the sources */
    for (; fgets(line, LINE_BYTES, answers); files++) {
        char *file;
        golden_answer wanted = {.count = 0};
        parse(line, &file, &wanted);
        snprintf(path, sizeof path, "%s/%s.sonde", folder, file);
        for (uint32_t mode = SONDE_OPEN_READ; mode <= SONDE_OPEN_MMAP; mode++) {
            golden_answer got = {.count = 0};
            sonde_open_options how = SONDE_OPEN_OPTIONS_INIT;
            how.mode = mode;
            sonde_status status = reader_of(file)(path, &how, &got);
            if (status != SONDE_OK) fail_msg("%s: %s", path, sonde_error_message());
            compare(file, &got, &wanted);
        }
    }
    fclose(answers);
    free(line);
    assert_int_equal(files, INDEX_SAMPLES + GOLDEN_QUANTIZERS + GOLDEN_TRANSFORMS);
}

/* A golden index is no museum piece: it can be changed and saved, and reads back. */
static void indexes_go_on(void **state)
{
    const char *folder = *state;
    for (size_t i = 0; i < INDEX_SAMPLES; i++) {
        char path[512], copy[] = "/tmp/sonde_golden_XXXXXX";
        float storage[5 * SAMPLE_DIM];
        sonde_array more = sample_rows(index_samples[i].dtype, 300, 5, storage);
        sonde_index *index, *again;
        golden_path(folder, "index", index_samples[i].name, path);
        OK(sonde_index_open(path, NULL, NULL, &index));
        int64_t before = sonde_index_count(index);
        OK(sonde_index_add(index, &more, NULL));
        OK(sonde_index_compact(index));
        close(mkstemp(copy));
        OK(sonde_index_save(index, copy));
        OK(sonde_index_open(copy, NULL, NULL, &again));
        assert_int_equal(sonde_index_count(again), before + 5);
        assert_string_equal(sonde_index_spec(again), sonde_index_spec(index));
        sonde_index_free(index);
        sonde_index_free(again);
        unlink(copy);
    }
}

#define IN_FOLDER(function, folder) {#function "_" folder, function, NULL, NULL, "test/golden/" folder}
#define EACH_FOLDER(function) IN_FOLDER(function, "v1"), IN_FOLDER(function, "v1-arm")

static const struct CMUnitTest tests[] = {
    EACH_FOLDER(files_answer_as_ever),
    EACH_FOLDER(indexes_go_on),
};
SONDE_TEST_MAIN(tests)
