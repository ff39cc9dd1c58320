/* test_container_damage.c: any damage to a container file is found, and files made to deceive, with checksums that are
 * right, are refused without harm.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "container_sample.h"

/* ---- Damage ------------------------------------------------------------------------------------------------------ */

static void every_flip_is_found(void **state)
{
    (void)state;
    sample s = take_sample();
    uint64_t seed = 5;
    for (uint64_t i = 0; i < s.count; i++) {
        const uint8_t flips[] = {1, 0x80, (uint8_t)(2 + test_u64(&seed) % 254)};
        for (size_t f = 0; f < sizeof flips; f++) {
            s.bytes[i] ^= flips[f];
            sonde_status status = open_buffer(s.runtime, s.bytes, s.count, SONDE_VERIFY_FULL);
            if (status != SONDE_CORRUPT && status != SONDE_INCOMPATIBLE)
                fail_msg("byte %d flipped by %02x gave %s", (int)i, flips[f], sonde_status_name(status));
            bool essential = i < 64 || i >= toc_offset(&s);
            if (essential && !open_buffer(s.runtime, s.bytes, s.count, SONDE_VERIFY_FAST))
                fail_msg("byte %d flipped was not found by FAST", (int)i);
            s.bytes[i] ^= flips[f];
        }
    }
    OK(open_buffer(s.runtime, s.bytes, s.count, SONDE_VERIFY_FULL));
    drop_sample(&s);
}

/* FAST verifies what decisions rest on, META and SPEC, and leaves bulk data alone. */
static void fast_checks_meta(void **state)
{
    (void)state;
    sample s = take_sample();
    for (uint16_t path = 0; path < 4; path++) {
        data_of(&s, path, "META")[20] ^= 1;
        FAILS(open_buffer(s.runtime, s.bytes, s.count, SONDE_VERIFY_FAST), SONDE_CORRUPT, "META\": checksum differs");
        restore(&s);
    }
    data_of(&s, 1, "SPEC")[0] ^= 1;
    FAILS(open_buffer(s.runtime, s.bytes, s.count, SONDE_VERIFY_FAST), SONDE_CORRUPT, "SPEC\": checksum differs");
    restore(&s);
    sonde__reader *reader;
    sonde_open_options fast = SONDE_OPEN_OPTIONS_INIT;
    fast.verify = SONDE_VERIFY_FAST;
    data_of(&s, 0, "FLOATS")[0] ^= 1;
    OK(sonde__reader_open(s.runtime, NULL, s.bytes, s.count, &fast, "index", &reader));
    sonde__blob blob;
    OK(sonde__read_array(reader, "FLOATS", 5, 4, false, &blob));
    sonde__blob_free(s.runtime, &blob);
    sonde__reader_close(reader);
    drop_sample(&s);
}

static void messages_name_the_place(void **state)
{
    (void)state;
    sample s = take_sample();
    data_of(&s, 0, "CODES")[0] ^= 1;
    FAILS(open_buffer(s.runtime, s.bytes, s.count, 0), SONDE_CORRUPT, "section \"CODES\": checksum differs (stored ");
    FAILS(open_buffer(s.runtime, s.bytes, s.count, 0), SONDE_CORRUPT, "; the file is damaged, nothing was loaded");
    restore(&s);
    data_of(&s, 2, "CODES")[0] ^= 1;
    FAILS(open_buffer(s.runtime, s.bytes, s.count, 0), SONDE_CORRUPT, "section \"code/inner/CODES\": checksum");
    restore(&s);
    s.bytes[64 + sizeof spec - 1] = 7; /* the gap behind the first section */
    FAILS(open_buffer(s.runtime, s.bytes, s.count, 0), SONDE_CORRUPT, "between two sections is not zero");
    restore(&s);
    memcpy(s.bytes + 4, "\n\x1a\n\1", 4); /* CR LF became LF */
    FAILS(open_buffer(s.runtime, s.bytes, s.count, 0), SONDE_CORRUPT, "text mode");
    memcpy(s.bytes, "\x89PNG", 4);
    FAILS(open_buffer(s.runtime, s.bytes, s.count, 0), SONDE_CORRUPT, "is not a Sonde file");
    drop_sample(&s);
}

static void every_truncation_is_found(void **state)
{
    (void)state;
    sample s = take_sample();
    for (uint64_t count = 0; count < s.count; count++) {
        uint8_t *cut = malloc(count ? count : 1); /* exact, so that a sanitizer sees a step beyond */
        memcpy(cut, s.bytes, count);
        FAILS(open_buffer(s.runtime, cut, count, SONDE_VERIFY_FAST), SONDE_CORRUPT, "buffer: has ");
        free(cut);
    }
    uint8_t *longer = test_alloc(s.count + 1, 1);
    memcpy(longer, s.bytes, s.count);
    FAILS(open_buffer(s.runtime, longer, s.count + 1, 0), SONDE_CORRUPT, "too long");
    free(longer);
    drop_sample(&s);
}

/* ---- Files made to deceive: checksums are right ------------------------------------------------------------------ */

/* One number of the header or of an entry, changed. */
typedef struct forgery {
    const char *tag; /* NULL = the header */
    uint16_t path;
    int at, width;
    uint64_t value;
    sonde_status status; /* OK = it must still open */
    const char *words;
} forgery;

static const forgery forgeries[] = {
    {NULL, 0, 8, 2, 2, SONDE_INCOMPATIBLE, "format version 2.0, this library reads 1.x; use a newer library"},
    {NULL, 0, 8, 2, 0, SONDE_INCOMPATIBLE, "format version 0.0, this library reads 1.x"},
    {NULL, 0, 10, 2, 9, SONDE_OK, ""},
    {NULL, 0, 12, 4, 0xfffe0000, SONDE_INCOMPATIBLE, "big-endian"},
    {NULL, 0, 12, 4, 0x1feff, SONDE_INCOMPATIBLE, "flags 0001feff are unknown"},
    {NULL, 0, 16, 8, 1 << 20, SONDE_CORRUPT, "truncated"},
    {NULL, 0, 24, 8, 0, SONDE_CORRUPT, "not the end of the file"},
    {NULL, 0, 24, 8, UINT64_MAX, SONDE_CORRUPT, "not the end of the file"},
    {NULL, 0, 32, 4, 0, SONDE_CORRUPT, "0 sections"},
    {NULL, 0, 32, 4, 4097, SONDE_CORRUPT, "4097 sections"},
    {NULL, 0, 32, 4, 4096, SONDE_CORRUPT, "not the end of the file"},
    {NULL, 0, 36, 4, 63, SONDE_CORRUPT, "63 bytes an entry"},
    {NULL, 0, 36, 4, 0xffffffff, SONDE_CORRUPT, "bytes an entry"},
    {NULL, 0, 40, 8, 0, SONDE_OK, ""}, /* resealing writes it again */
    {"FLOATS", 0, 0, 8, 0, SONDE_CORRUPT, "no valid tag"},
    {"FLOATS", 0, 0, 8, 'f', SONDE_CORRUPT, "no valid tag"},
    {"FLOATS", 0, 0, 8, 'F' | (uint64_t)'L' << 16, SONDE_CORRUPT, "no valid tag"},
    {"FLOATS", 0, 0, 8, 0x5345444f43, SONDE_CORRUPT, "section \"CODES\": is there twice"},
    {"FLOATS", 0, 0, 8, 'F', SONDE_CORRUPT, "section \"FLOATS\": is missing"},
    {"FLOATS", 0, 8, 4, 2, SONDE_INCOMPATIBLE, "section \"FLOATS\": has a version unknown to this library"},
    {"FLOATS", 0, 12, 4, 1, SONDE_INCOMPATIBLE, "section \"FLOATS\": is required and unknown"},
    {"META", 0, 8, 4, 2, SONDE_INCOMPATIBLE, "section \"META\": is required and unknown"},
    {"FLOATS", 0, 12, 4, 2, SONDE_INCOMPATIBLE, "stored in a way that is unknown"},
    {"FLOATS", 0, 12, 4, 8, SONDE_INCOMPATIBLE, "stored in a way that is unknown"},
    {"FLOATS", 0, 12, 4, 4, SONDE_CORRUPT, "do not fit together"},
    {"FLOATS", 0, 16, 8, 64, SONDE_CORRUPT, "does not start where the one before ends"},
    {"FLOATS", 0, 16, 8, 1 << 20, SONDE_CORRUPT, "does not start where"},
    {"FLOATS", 0, 16, 8, UINT64_MAX - 63, SONDE_CORRUPT, "does not start where"},
    {"FLOATS", 0, 24, 8, 24, SONDE_CORRUPT, "do not fit together"},
    {"FLOATS", 0, 32, 8, UINT64_MAX, SONDE_CORRUPT, "do not fit together"},
    {"FLOATS", 0, 40, 4, 0, SONDE_CORRUPT, "whole number of elements"},
    {"FLOATS", 0, 40, 4, 3, SONDE_CORRUPT, "whole number of elements"},
    {"FLOATS", 0, 40, 4, 2, SONDE_CORRUPT, "elements of another size"},
    {"FLOATS", 0, 44, 4, 0, SONDE_CORRUPT, "the alignment is no power"},
    {"FLOATS", 0, 44, 4, 32, SONDE_CORRUPT, "the alignment is no power"},
    {"FLOATS", 0, 44, 4, 96, SONDE_CORRUPT, "the alignment is no power"},
    {"FLOATS", 0, 44, 4, 4 << 20, SONDE_CORRUPT, "the alignment is no power"},
    {"FLOATS", 0, 44, 4, 0x80000000, SONDE_CORRUPT, "the alignment is no power"},
    {"FLOATS", 0, 44, 4, 2 << 20, SONDE_CORRUPT, "does not start where"},
    {"FLOATS", 0, 56, 2, 4, SONDE_CORRUPT, "belongs to path 4, there are 4"},
    {"FLOATS", 0, 56, 2, 3, SONDE_CORRUPT, "section \"FLOATS\": is missing"},
    {"FLOATS", 0, 58, 2, 3, SONDE_OK, ""}, /* reserved: for later minor versions */
    {"META", 3, 56, 2, 9, SONDE_CORRUPT, "belongs to path 9"},
    {"META", 3, 0, 8, 'M', SONDE_INCOMPATIBLE, "required and unknown"},
    {"SPEC", 3, 0, 8, 'S', SONDE_INCOMPATIBLE, "required and unknown"},
    {"SPEC", 3, 56, 2, 2, SONDE_CORRUPT, "is there twice"},
};

static void forged_numbers(void **state)
{
    (void)state;
    sample s = take_sample();
    for (size_t i = 0; i < sizeof forgeries / sizeof *forgeries; i++) {
        const forgery *f = &forgeries[i];
        reseal_put((f->tag ? entry_of(&s, f->path, f->tag) : s.bytes) + f->at, f->width, f->value);
        reseal(s.bytes, s.count);
        if (f->status) FAILS(open_buffer(s.runtime, s.bytes, s.count, 0), f->status, f->words);
        else OK(open_buffer(s.runtime, s.bytes, s.count, 0));
        restore(&s);
    }
    /* Both sizes agree on something absurd. */
    for (uint64_t huge = (uint64_t)1 << 63; huge > s.count; huge >>= 3) {
        reseal_put(entry_of(&s, 0, "FLOATS") + 24, 8, huge);
        reseal_put(entry_of(&s, 0, "FLOATS") + 32, 8, huge);
        reseal(s.bytes, s.count);
        FAILS(open_buffer(s.runtime, s.bytes, s.count, 0), SONDE_CORRUPT, "beyond the end");
        restore(&s);
    }
    drop_sample(&s);
}

/* A section that nobody asks for is skipped, whatever its tag and version. */
static void unknown_optional_is_ignored(void **state)
{
    (void)state;
    sonde_runtime *runtime = plain_runtime();
    sonde__writer *writer;
    uint8_t *bytes;
    uint64_t count;
    OK(sonde__writer_create(runtime, NULL, "index", spec, &writer));
    OK(write_sample(writer));
    OK(sonde__write_array(writer, "LATER", "12345", 5, 1));
    OK(sonde__writer_finish_memory(writer, &bytes, &count));
    uint8_t *entry = bytes + reseal_get(bytes + 24, 8);
    while (strcmp((char *)entry, "LATER")) entry += 64;
    reseal_put(entry + 8, 4, 77);
    reseal_put(bytes + 10, 2, 3);
    reseal(bytes, count);
    OK(open_buffer(runtime, bytes, count, 0));
    sonde__free(runtime, bytes);
    sonde_runtime_free(runtime);
}

/* A later minor version may append to the entries. */
static void longer_entries_are_read(void **state)
{
    (void)state;
    sample s = take_sample();
    uint64_t toc = toc_offset(&s), sections = reseal_get(s.bytes + 32, 4), count = toc + 96 * sections;
    uint8_t *bytes = test_alloc(count, 1);
    memcpy(bytes, s.bytes, toc);
    for (uint64_t i = 0; i < sections; i++) memcpy(bytes + toc + 96 * i, s.bytes + toc + 64 * i, 64);
    reseal_put(bytes + 16, 8, count);
    reseal_put(bytes + 36, 4, 96);
    reseal(bytes, count);
    OK(open_buffer(s.runtime, bytes, count, 0));
    free(bytes);
    drop_sample(&s);
}

/* Replaces bytes inside META of a path. The text must be there. */
static void replace_meta(sample *s, uint16_t path, const char *find, const char *with, size_t length)
{
    uint8_t *meta = data_of(s, path, "META");
    uint8_t *at = memmem(meta, reseal_get(entry_of(s, path, "META") + 32, 8), find, length);
    assert_non_null(at);
    memcpy(at, with, length);
    reseal(s->bytes, s->count);
}

static void forged_meta(void **state)
{
    (void)state;
    static const struct {
        uint16_t path;
        const char *find, *with, *words;
        size_t length;
    } cases[] = {
        {0, "radius", "aadius", "sorted", 6},            /* order */
        {0, "least", "empty", "sorted", 5},              /* twice */
        {1, "@noun", "@moun", "sorted", 5},
        {0, "@noun", "@noum", "does not say what it is", 5},
        {0, "index", "In dx", "does not say what it is", 5},
        {0, "index", "inde\0", "sorted", 5},             /* a zero inside a text */
        {1, "@name", "@nama", "no valid name and parent", 5},
        {1, "code", "co/e", "no valid name and parent", 4},
        {2, "@parent\1", "@parent\2", "no valid name and parent", 8}, /* its own parent */
        {2, "@parent\1", "@parent\3", "no valid name and parent", 8}, /* a later one */
        {3, "@nounquantizer", "@nounQuantizer", "does not say what it is", 14},
    };
    sample s = take_sample();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        replace_meta(&s, cases[i].path, cases[i].find, cases[i].with, cases[i].length);
        FAILS(open_buffer(s.runtime, s.bytes, s.count, 0), SONDE_CORRUPT, cases[i].words);
        restore(&s);
    }
    data_of(&s, 0, "SPEC")[3] = 0;
    reseal(s.bytes, s.count);
    FAILS(open_buffer(s.runtime, s.bytes, s.count, 0), SONDE_CORRUPT, "zero byte");
    drop_sample(&s);
}

/* Writers refuse such trees; they are made by changing what a writer made. */
static void forged_trees(void **state)
{
    (void)state;
    sonde_runtime *runtime = plain_runtime();
    sonde__writer *w;
    sonde__reader *r;
    sample s = {0};
    OK(sonde__writer_create(runtime, NULL, "index", "", &w));
    for (int i = 0; i < SONDE__DEPTH_MAX; i++) OK(sonde__writer_enter(w, "a", "index", ""));
    for (int i = 0; i < SONDE__DEPTH_MAX; i++) OK(sonde__writer_leave(w));
    OK(sonde__writer_enter(w, "b", "index", ""));
    OK(sonde__writer_leave(w));
    OK(sonde__writer_finish_memory(w, &s.bytes, &s.count));
    replace_meta(&s, 17, "@name" "b", "@name" "a", 6);
    FAILS(sonde__reader_open(runtime, NULL, s.bytes, s.count, NULL, NULL, &r), SONDE_CORRUPT, "two children");
    replace_meta(&s, 17, "@name" "a", "@name" "b", 6);
    replace_meta(&s, 17, "@parent\0", "@parent\17", 8); /* still allowed: depth 16 */
    OK(sonde__reader_open(runtime, NULL, s.bytes, s.count, NULL, NULL, &r));
    sonde__reader_close(r);
    replace_meta(&s, 17, "@parent\17", "@parent\20", 8);
    FAILS(sonde__reader_open(runtime, NULL, s.bytes, s.count, NULL, NULL, &r), SONDE_CORRUPT, "nested deeper");
    sonde__free(runtime, s.bytes);
    sonde_runtime_free(runtime);
}

/* However META is cut and changed, a record that is accepted lies inside. */
static void records_stay_inside(void **state)
{
    (void)state;
    sample s = take_sample();
    const uint8_t *meta = data_of(&s, 0, "META");
    uint64_t bytes = reseal_get(entry_of(&s, 0, "META") + 32, 8), seed = 7, whole = 0;
    assert_true(sonde__meta_valid(meta, bytes));
    for (int round = 0; round < 20000; round++) {
        uint64_t cut = test_u64(&seed) % (bytes + 1);
        uint8_t *copy = malloc(cut ? cut : 1);
        memcpy(copy, meta, cut);
        for (int i = 0; cut && i < round % 4; i++) copy[test_u64(&seed) % cut] = (uint8_t)(test_u64(&seed) % 80);
        for (uint64_t at = 0; at < cut; at++) {
            sonde__pair pair;
            if (!sonde__meta_at(copy, cut, at, &pair)) continue;
            whole++;
            assert_true(pair.next <= cut && pair.next > at);
            assert_true((const uint8_t *)pair.key >= copy && pair.value + pair.value_bytes == copy + pair.next);
        }
        free(copy);
    }
    assert_true(whole > 20000);
    drop_sample(&s);
}

/* Any byte of the file set to any of several values, checksums right: an error or a clean load, no crash, and no
 * allocation beyond the size of the file. Values may be others than the sample's, so nothing is compared. */
static void every_forged_byte_is_survived(void **state)
{
    (void)state;
    sample s = take_sample();
    meter m;
    sonde_runtime *runtime = metered_runtime(&m);
    const char *const tags[] = {"CODES", "HALVES", "NOTHING", "FLOATS", "LONGS_64"};
    const uint8_t values[] = {0, 1, 0x7f, 0xff};
    int64_t before = m.held;
    for (uint64_t i = 0; i < 4 * s.count; i++) {
        s.bytes[i / 4] = values[i % 4];
        reseal(s.bytes, s.count);
        sonde__reader *reader;
        if (!sonde__reader_open(runtime, NULL, s.bytes, s.count, NULL, NULL, &reader)) {
            for (size_t t = 0; t < sizeof tags / sizeof *tags; t++)
                for (uint32_t size = 1; size <= 8; size *= 2) {
                    uint64_t count;
                    sonde__blob blob;
                    if (sonde__read_count(reader, tags[t], size, &count)) continue;
                    if (!sonde__read_array(reader, tags[t], count, size, false, &blob))
                        sonde__blob_free(runtime, &blob);
                }
            sonde__reader_close(reader);
        }
        assert_int_equal(m.held, before);
        restore(&s);
    }
    assert_in_range(m.largest, 1, s.count + 4096);
    sonde_runtime_free(runtime);
    assert_int_equal(m.held, 0);
    drop_sample(&s);
}

#define CASE(name) cmocka_unit_test_teardown(name, remove_folder)
static const struct CMUnitTest cases[] = {
    CASE(every_flip_is_found), CASE(fast_checks_meta), CASE(messages_name_the_place),
    CASE(every_truncation_is_found), CASE(forged_numbers), CASE(unknown_optional_is_ignored),
    CASE(longer_entries_are_read), CASE(forged_meta), CASE(forged_trees), CASE(records_stay_inside),
    CASE(every_forged_byte_is_survived),
};
SONDE_TEST_MAIN(cases)
