/* test_container.c: the container format (docs/format.md): what is written comes back, in every mode; the
 * layout is the documented one; wrong questions and wrong use get a clear answer.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "container_sample.h"

#include <math.h>
#include <sys/stat.h>

/* ---- Round trips ------------------------------------------------------------------------------------------------- */

static void round_trips(void **state)
{
    (void)state;
    sonde_runtime *runtime = plain_runtime();
    char path[sizeof folder + 64];
    snprintf(path, sizeof path, "%s", in_folder("sample.sonde"));
    OK(make_sample(runtime, path, NULL, NULL));
    for (uint32_t mode = SONDE_OPEN_READ; mode <= SONDE_OPEN_MMAP; mode++)
        for (uint32_t verify = 0; verify <= SONDE_VERIFY_FAST; verify++) OK(open_file(runtime, path, mode, verify));

    /* Memory and file give the same bytes, and so does a second time. */
    uint8_t *memory;
    uint64_t memory_count;
    size_t count;
    OK(make_sample(runtime, NULL, &memory, &memory_count));
    uint8_t *first = read_file(path, &count);
    assert_int_equal(count, memory_count);
    assert_memory_equal(first, memory, count);
    OK(make_sample(runtime, path, NULL, NULL));
    uint8_t *second = read_file(path, &count);
    assert_int_equal(count, memory_count);
    assert_memory_equal(second, first, count);
    assert_int_equal(files_in_folder(), 1);

    free(first);
    free(second);
    sonde__free(runtime, memory);
    sonde_runtime_free(runtime);
}

/* docs/format.md, read with this file's own eyes. */
static void layout(void **state)
{
    (void)state;
    sample s = take_sample();
    static const uint8_t start[16] = {0x89, 'S', 'N', 'D', '\r', '\n', 0x1a, '\n', 1, 0, 0, 0, 0xff, 0xfe, 0, 0};
    assert_memory_equal(s.bytes, start, sizeof start);
    assert_int_equal(reseal_get(s.bytes + 16, 8), s.count);
    uint64_t toc = toc_offset(&s), sections = reseal_get(s.bytes + 32, 4);
    assert_int_equal(sections, 8 + 7);
    assert_int_equal(reseal_get(s.bytes + 36, 4), 64);
    assert_int_equal(toc % 64, 0);
    assert_int_equal(toc + 64 * sections, s.count);
    assert_int_equal(reseal_get(s.bytes + 40, 8), reseal_crc(s.bytes + toc, 64 * sections));
    assert_int_equal(reseal_get(s.bytes + 60, 4), reseal_crc(s.bytes, 60));

    const uint8_t *floats = entry_of(&s, 0, "FLOATS");
    assert_int_equal(reseal_get(floats + 8, 4), 1);
    assert_int_equal(reseal_get(floats + 12, 4), 0);
    assert_int_equal(reseal_get(floats + 24, 8), 20);
    assert_int_equal(reseal_get(floats + 32, 8), 20);
    assert_int_equal(reseal_get(floats + 40, 4), 4);
    assert_int_equal(reseal_get(floats + 44, 4), 64);
    assert_memory_equal(data_of(&s, 0, "FLOATS"), floats_data, 20);
    assert_int_equal(reseal_get(floats + 48, 8), reseal_crc((const uint8_t *)floats_data, 20));
    assert_memory_equal(data_of(&s, 1, "SPEC"), "pq(m=8)", 7);
    static const uint8_t sorted[] = "\3\5\0\0\5\0\0\0@namecode\0" "\3\5\0\0\12\0\0\0@nounquantizer\0"
                                    "\1\7\0\0\10\0\0\0@parent\0\0\0\0\0\0\0\0" "\1\1\0\0\10\0\0\0m\10\0\0\0\0\0\0";
    assert_int_equal(reseal_get(entry_of(&s, 1, "META") + 32, 8), sizeof sorted);
    assert_memory_equal(data_of(&s, 1, "META"), sorted, sizeof sorted);

    /* Resealing what is whole changes nothing: the checksums of the two implementations agree. */
    reseal(s.bytes, s.count);
    assert_memory_equal(s.bytes, s.original, s.count);
    drop_sample(&s);
}

/* The example at the end of docs/format.md, byte by byte. */
static void documented_example(void **state)
{
    (void)state;
    sonde_runtime *runtime = plain_runtime();
    const uint32_t ids[] = {1, 2, 3};
    sonde__writer *writer;
    uint8_t *bytes, wanted[448] = {0};
    uint64_t count;
    OK(sonde__writer_create(runtime, NULL, "index", "flat()", &writer));
    OK(sonde__write_array(writer, "IDS", ids, 3, 4));
    OK(sonde__writer_finish_memory(writer, &bytes, &count));

    memcpy(wanted, "\x89SND\r\n\x1a\n\1\0\0\0\xff\xfe\0\0", 16);
    reseal_put(wanted + 16, 8, 448);
    reseal_put(wanted + 24, 8, 256);
    reseal_put(wanted + 32, 4, 3);
    reseal_put(wanted + 36, 4, 64);
    memcpy(wanted + 64, "flat()", 6);
    memcpy(wanted + 128, "\1\0\0\0\2\0\0\0\3\0\0", 12);
    memcpy(wanted + 192, "\3\5\0\0\6\0\0\0@nounindex", 19);
    static const struct {
        const char *tag;
        uint64_t required, offset, size, element_size;
    } rows[] = {{"SPEC", 1, 64, 6, 1}, {"IDS", 0, 128, 12, 4}, {"META", 1, 192, 19, 1}};
    for (int i = 0; i < 3; i++) {
        uint8_t *entry = wanted + 256 + 64 * i;
        memcpy(entry, rows[i].tag, strlen(rows[i].tag));
        reseal_put(entry + 8, 4, 1);
        reseal_put(entry + 12, 4, rows[i].required);
        reseal_put(entry + 16, 8, rows[i].offset);
        reseal_put(entry + 24, 8, rows[i].size);
        reseal_put(entry + 32, 8, rows[i].size);
        reseal_put(entry + 40, 4, rows[i].element_size);
        reseal_put(entry + 44, 4, 64);
    }
    assert_int_equal(reseal_crc((const uint8_t *)"123456789", 9), 0xe3069283);
    reseal(wanted, sizeof wanted);
    assert_int_equal(count, sizeof wanted);
    assert_memory_equal(bytes, wanted, sizeof wanted);
    sonde__free(runtime, bytes);
    sonde_runtime_free(runtime);
}

static void unaligned_buffer(void **state)
{
    (void)state;
    sample s = take_sample();
    for (uint64_t shift = 1; shift < 9; shift++) {
        uint8_t *moved = test_alloc(s.count + shift, 1);
        memcpy(moved + shift, s.bytes, s.count);
        OK(open_buffer(s.runtime, moved + shift, s.count, SONDE_VERIFY_FULL));
        free(moved);
    }
    drop_sample(&s);
}

/* Writes one array of `count` bytes in pieces of `step` (0 = at once). */
static void write_one(sonde_runtime *runtime, const char *path, const uint8_t *data, uint64_t count, uint64_t step)
{
    sonde__writer *writer;
    OK(sonde__writer_create(runtime, path, "index", "x()", &writer));
    if (step == 0) {
        OK(sonde__write_array(writer, "DATA", data, count, 1));
    } else {
        OK(sonde__write_begin(writer, "DATA", 1));
        for (uint64_t at = 0; at < count; at += step)
            OK(sonde__write_append(writer, data + at, count - at < step ? count - at : step));
        OK(sonde__write_end(writer));
    }
    OK(sonde__write_array(writer, "TAIL", "t", 1, 1));
    OK(sonde__writer_finish(writer));
}

static void streamed_as_whole(void **state)
{
    (void)state;
    const uint64_t mib = 1 << 20, sizes[] = {1, mib - 1, mib, mib + 1, 2 * mib, 3 * mib + 5};
    const uint64_t steps[] = {1000003, mib, mib + 1, 2 * mib};
    sonde_runtime *runtime = plain_runtime();
    char whole[sizeof folder + 64], pieces[sizeof folder + 64];
    snprintf(whole, sizeof whole, "%s", in_folder("whole"));
    snprintf(pieces, sizeof pieces, "%s", in_folder("pieces"));
    uint8_t *data = test_alloc(4 * mib, 1);
    uint64_t seed = 1;
    for (uint64_t i = 0; i < 4 * mib; i += 8) reseal_put(data + i, 8, test_u64(&seed));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t count, other_count;
        write_one(runtime, whole, data, sizes[i], 0);
        uint8_t *bytes = read_file(whole, &count);
        const uint8_t *entry = bytes + reseal_get(bytes + 24, 8) + 64;
        assert_string_equal((const char *)entry, "DATA");
        uint64_t align = sizes[i] > mib ? 4096 : 64;
        assert_int_equal(reseal_get(entry + 44, 4), align);
        assert_int_equal(reseal_get(entry + 16, 8) % align, 0);
        for (size_t j = 0; j < sizeof steps / sizeof *steps; j++) {
            write_one(runtime, pieces, data, sizes[i], steps[j]);
            uint8_t *other = read_file(pieces, &other_count);
            assert_int_equal(count, other_count);
            assert_memory_equal(bytes, other, count);
            free(other);
        }
        free(bytes);
    }
    free(data);
    sonde_runtime_free(runtime);
}

static sonde_status load_data(sonde_runtime *runtime, const char *path, const void *bytes, uint64_t file_bytes,
                              const uint8_t *data, uint64_t count)
{
    sonde__reader *reader;
    sonde__blob blob = {0};
    SONDE_TRY(sonde__reader_open(runtime, path, bytes, file_bytes, NULL, "index", &reader));
    sonde_status status = sonde__read_array(reader, "DATA", count, 1, false, &blob);
    if (!status) assert_memory_equal(blob.data, data, count);
    sonde__blob_free(runtime, &blob);
    sonde__reader_close(reader);
    return status;
}

/* Above 64 MiB each piece has its own checksum, and several threads verify. */
static void large_sections(void **state)
{
    (void)state;
    const uint64_t count = ((uint64_t)64 << 20) + 12345;
    uint8_t *data = test_alloc(count, 1);
    for (uint64_t i = 0; i < count; i++) data[i] = (uint8_t)(i * 2654435761u >> 24);
    for (uint32_t threads = 1; threads <= 3; threads += 2) {
        sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
        options.threads = threads;
        sonde_runtime *runtime;
        size_t file_bytes;
        OK(sonde_runtime_create(&options, &runtime));
        const char *path = in_folder("large");
        write_one(runtime, path, data, count, 7777777);
        OK(load_data(runtime, path, NULL, 0, data, count));
        uint8_t *bytes = read_file(path, &file_bytes);
        uint8_t *entry = bytes + reseal_get(bytes + 24, 8) + 64;
        assert_int_equal(reseal_get(entry + 12, 4), 4);
        assert_int_equal(reseal_get(entry + 24, 8), count + 4 * 65);
        uint64_t offset = reseal_get(entry + 16, 8);
        const uint64_t places[] = {0, count / 2, count - 1, count, count + 4 * 65 - 1};
        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
            bytes[offset + places[i]] ^= 4;
            FAILS(load_data(runtime, NULL, bytes, file_bytes, data, count), SONDE_CORRUPT,
                  "section \"DATA\": checksum differs");
            bytes[offset + places[i]] ^= 4;
        }
        OK(load_data(runtime, NULL, bytes, file_bytes, data, count));
        /* Data and its piece's checksum agree, but not with the table of contents. */
        bytes[offset + count - 1] ^= 4;
        reseal_put(bytes + offset + count + 4 * 64, 4, reseal_crc(bytes + offset + count - 12345, 12345));
        FAILS(load_data(runtime, NULL, bytes, file_bytes, data, count), SONDE_CORRUPT, "checksum differs");
        free(bytes);
        unlink(path);
        sonde_runtime_free(runtime);
    }
    free(data);
}

/* ---- Arguments and limits ---------------------------------------------------------------------------------------- */

static void wrong_questions(void **state)
{
    (void)state;
    sample s = take_sample();
    sonde__reader *r, *other = NULL;
    FAILS(sonde__reader_open(s.runtime, "a.sonde", s.bytes, s.count, NULL, "quantizer", &other), SONDE_INCOMPATIBLE,
          "a.sonde: holds a handle of kind \"index\", not \"quantizer\"");
    assert_null(other);
    OK(sonde__reader_open(s.runtime, NULL, s.bytes, s.count, NULL, NULL, &r));
    int64_t integer = 42;
    double real = 42;
    const char *text = "42";
    uint64_t count = 42;
    sonde__blob blob = {.bytes = 42};
    FAILS(sonde__read_int(r, "rows", 0, 1000, &integer), SONDE_CORRUPT, "rows is 1234567890123, must be 0 to 1000");
    FAILS(sonde__read_int(r, "absent", 0, 1000, &integer), SONDE_CORRUPT, "lacks the integer \"absent\"");
    FAILS(sonde__read_int(r, "radius", 0, 1000, &integer), SONDE_CORRUPT, "lacks the integer \"radius\"");
    FAILS(sonde__read_real(r, "radius", 1, 2, &real), SONDE_CORRUPT, "radius is 0.1, must be 1 to 2");
    FAILS(sonde__read_real(r, "rows", 1, 2, &real), SONDE_CORRUPT, "lacks the real");
    FAILS(sonde__read_text(r, "rows", &text), SONDE_CORRUPT, "lacks the text");
    FAILS(sonde__read_count(r, "ABSENT", 1, &count), SONDE_CORRUPT, "section \"ABSENT\": is missing");
    FAILS(sonde__read_count(r, "FLOATS", 2, &count), SONDE_CORRUPT, "elements of another size");
    FAILS(sonde__read_array(r, "FLOATS", 4, 4, false, &blob), SONDE_CORRUPT, "has 5 elements, must have 4");
    FAILS(sonde__read_array(r, "FLOATS", ((uint64_t)1 << 62) + 5, 4, false, &blob), SONDE_CORRUPT, "has 5 elements");
    FAILS(sonde__reader_enter(r, "absent", NULL), SONDE_CORRUPT, "\"absent\" is missing");
    FAILS(sonde__reader_enter(r, "code", "index"), SONDE_CORRUPT, "\"code\" is a quantizer, not a index");
    FAILS(sonde__reader_enter(r, "inner", NULL), SONDE_CORRUPT, "\"inner\" is missing"); /* a grandchild */
    assert_true(integer == 42 && real == 42 && count == 42 && blob.bytes == 42 && !strcmp(text, "42"));
    assert_true(sonde__reader_has(r, "FLOATS") && sonde__reader_has(r, "rows") && !sonde__reader_has(r, "absent"));
    OK(sonde__reader_enter(r, "code", NULL));
    assert_true(sonde__reader_has(r, "CODES") && !sonde__reader_has(r, "FLOATS") && !sonde__reader_has(r, "rows"));
    sonde__reader_leave(r);
    OK(sonde__read_count(r, "FLOATS", 4, &count));
    assert_int_equal(count, 5);
    sonde__reader_close(r);
    sonde__reader_close(NULL);
    drop_sample(&s);
}

static void not_finite(void **state)
{
    (void)state;
    sonde_runtime *runtime = plain_runtime();
    sonde__writer *writer;
    sonde__reader *reader;
    uint8_t *bytes;
    uint64_t count;
    double value;
    OK(sonde__writer_create(runtime, NULL, "index", "", &writer));
    OK(sonde__write_real(writer, "nan", (double)NAN));
    OK(sonde__write_real(writer, "infinite", (double)INFINITY));
    OK(sonde__writer_finish_memory(writer, &bytes, &count));
    OK(sonde__reader_open(runtime, NULL, bytes, count, NULL, "index", &reader));
    FAILS(sonde__read_real(reader, "nan", -1, 1, &value), SONDE_CORRUPT, "nan is");
    FAILS(sonde__read_real(reader, "infinite", 0, (double)INFINITY, &value), SONDE_CORRUPT, "infinite is inf");
    sonde__reader_close(reader);
    sonde__free(runtime, bytes);
    sonde_runtime_free(runtime);
}

static void open_options(void **state)
{
    (void)state;
    sample s = take_sample();
    sonde__reader *r = NULL;
    struct {
        sonde_open_options known;
        uint64_t later;
    } longer = {{sizeof longer, 0, 0, 0, 0}, 0};
    OK(sonde__reader_open(s.runtime, NULL, s.bytes, s.count, &longer.known, "index", &r));
    sonde__reader_close(r);
    longer.later = 99; /* asks for what this library cannot know */
    FAILS(sonde__reader_open(s.runtime, NULL, s.bytes, s.count, &longer.known, "index", &r), SONDE_INVALID_ARGUMENT,
          "an option at byte");
    sonde_open_options o = SONDE_OPEN_OPTIONS_INIT;
    o.max_bytes = s.count;
    OK(sonde__reader_open(s.runtime, NULL, s.bytes, s.count, &o, "index", &r));
    sonde__reader_close(r);
    o.max_bytes--;
    FAILS(sonde__reader_open(s.runtime, NULL, s.bytes, s.count, &o, "index", &r), SONDE_LIMIT, "max_bytes is");
    o = (sonde_open_options){sizeof o, 3, 0, 0, 0};
    FAILS(sonde__reader_open(s.runtime, NULL, s.bytes, s.count, &o, "index", &r), SONDE_INVALID_ARGUMENT,
          "mode is 3, not READ (1) or MMAP (2)");
    o = (sonde_open_options){sizeof o, 0, 3, 0, 0};
    FAILS(sonde__reader_open(s.runtime, NULL, s.bytes, s.count, &o, "index", &r), SONDE_INVALID_ARGUMENT,
          "verify is 3, not FULL (1) or FAST (2)");
    o = (sonde_open_options){0, 0, 0, 0, 0};
    FAILS(sonde__reader_open(s.runtime, NULL, s.bytes, s.count, &o, "index", &r), SONDE_INVALID_ARGUMENT, "size is 0");
    drop_sample(&s);
}

/* Opens what is no container; must fail at once in both modes. */
static void refuse(sonde_runtime *runtime, const char *path, sonde_status status, const char *words)
{
    alarm(5); /* a FIFO must not make us wait */
    FAILS(open_file(runtime, path, SONDE_OPEN_READ, 0), status, words);
    FAILS(open_file(runtime, path, SONDE_OPEN_MMAP, 0), status, words);
    int64_t count = 77;
    FAILS(sonde_file_sections(path, NULL, 0, &count, NULL), status, words);
    assert_int_equal(count, 77);
    alarm(0);
}

static void not_a_file(void **state)
{
    (void)state;
    sample s = take_sample();
    refuse(s.runtime, in_folder("absent"), SONDE_NOT_FOUND, "absent: there is no such file");
    in_folder("");
    refuse(s.runtime, folder, SONDE_IO, "is not a regular file");
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    refuse(s.runtime, in_folder("fifo"), SONDE_IO, "fifo: is not a regular file");
    write_file(in_folder("empty"), "", 0);
    refuse(s.runtime, in_folder("empty"), SONDE_CORRUPT, "has 0 bytes, a Sonde file has at least 64");
    write_file(in_folder("short"), s.bytes, 63);
    refuse(s.runtime, in_folder("short"), SONDE_CORRUPT, "has 63 bytes");
    write_file(in_folder("header"), s.bytes, 64);
    refuse(s.runtime, in_folder("header"), SONDE_CORRUPT, "truncated");
    const char *table = "id,name\n1,one\n2,two\n3,three\n4,four\n5,five\n6,six\n7,seven\n8,eight\n";
    write_file(in_folder("text"), table, strlen(table));
    refuse(s.runtime, in_folder("text"), SONDE_CORRUPT, "text: is not a Sonde file");
    drop_sample(&s);
}

/* ---- The writer -------------------------------------------------------------------------------------------------- */

/* After the failure of one call the writer must not finish, and leaves nothing behind. */
static void misuse(sonde_runtime *runtime, int which, const char *words)
{
    const char *path = in_folder("misuse");
    sonde__writer *w;
    OK(sonde__writer_create(runtime, path, "index", "", &w));
    OK(sonde__write_int(w, "a", 1));
    OK(sonde__write_array(w, "A", "a", 1, 1));
    sonde_status status = SONDE_OK;
    if (which == 0) status = sonde__write_int(w, "a", 1);
    if (which == 1) status = sonde__write_int(w, "A b", 1);
    if (which == 2) status = sonde__write_int(w, "@noun", 1);
    if (which == 3) status = sonde__write_array(w, "A", "a", 1, 1);
    if (which == 4) status = sonde__write_array(w, "lower", "a", 1, 1);
    if (which == 5) status = sonde__write_array(w, "META", "a", 1, 1);
    if (which == 6) status = sonde__write_array(w, "NINECHARS", "a", 1, 1);
    if (which == 7) status = sonde__write_array(w, "B", "abc", 1, 3);
    if (which == 8) status = sonde__writer_leave(w);
    if (which == 9) status = sonde__write_append(w, "a", 1);
    if (which == 10) status = sonde__writer_enter(w, "Upper", "index", "");
    if (which == 11) status = sonde__write_begin(w, "B", 4) || sonde__write_append(w, "abc", 3) || sonde__write_end(w);
    if (which == 12) status = sonde__write_begin(w, "B", 4) || sonde__write_int(w, "b", 1);
    if (which == 13) status = sonde__writer_enter(w, "c", "index", "") || sonde__writer_leave(w) ||
                              sonde__writer_enter(w, "c", "index", "");
    if (which == 14) status = sonde__write_array(w, "B", "a", UINT64_MAX / 2, 4);
    if (which == 15) status = sonde__writer_enter(w, "c", "index", "") != SONDE_OK; /* never left */
    if (which != 15) assert_int_not_equal(status, SONDE_OK);
    if (which != 15 && !strstr(sonde_error_message(), words)) fail_msg("%d: %s", which, sonde_error_message());
    assert_int_not_equal(sonde__writer_finish(w), SONDE_OK);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(files_in_folder(), 0);
}

static void writer_misuse(void **state)
{
    (void)state;
    sonde_runtime *runtime = plain_runtime();
    const char *const words[] = {"written twice", "no META key", "no META key", "written twice", "is no section",
                                 "is no section", "is no section", "is no section", "leave without enter",
                                 "no section was begun", "is no name", "no multiple", "not ended", "written twice",
                                 "too large", ""};
    for (int i = 0; i < 16; i++) misuse(runtime, i, words[i]);
    sonde__writer *writer;
    OK(sonde__writer_create(runtime, in_folder("aborted"), "index", "", &writer));
    sonde__writer_abort(writer);
    sonde__writer_abort(NULL);
    assert_int_equal(files_in_folder(), 0);
    sonde_runtime_free(runtime);
}

static void writer_limits(void **state)
{
    (void)state;
    sonde_runtime *runtime = plain_runtime();
    sonde__writer *w;
    char *text = test_alloc(65537, 1), tag[16];
    memset(text, 'x', 65536);
    OK(sonde__writer_create(runtime, NULL, "index", text + 1, &w)); /* 65535 bytes fit */
    OK(sonde__write_text(w, "fits", text + 1));
    FAILS(sonde__write_text(w, "long", text), SONDE_LIMIT, "has 65536 bytes, at most 65535");
    sonde__writer_abort(w);
    FAILS(sonde__writer_create(runtime, NULL, "index", text, &w), SONDE_LIMIT, "the spec has 65536 bytes");
    free(text);

    OK(sonde__writer_create(runtime, NULL, "index", "", &w));
    for (int i = 0; i < 16; i++) OK(sonde__writer_enter(w, "deeper", "index", ""));
    FAILS(sonde__writer_enter(w, "deeper", "index", ""), SONDE_LIMIT, "nested deeper than 16");
    sonde__writer_abort(w);

    OK(sonde__writer_create(runtime, NULL, "index", "", &w));
    for (int i = 0; i < 4095; i++) {
        snprintf(tag, sizeof tag, "T%d", i);
        OK(sonde__write_array(w, tag, "a", 1, 1));
    }
    FAILS(sonde__write_array(w, "ONE_MORE", "a", 1, 1), SONDE_LIMIT, "more than 4096 sections");
    sonde__writer_abort(w);
    sonde_runtime_free(runtime);
}

/* The deepest and widest files that the writer makes are read again. */
static void deep_and_wide(void **state)
{
    (void)state;
    sonde_runtime *runtime = plain_runtime();
    sonde__writer *w;
    sonde__reader *r;
    uint8_t *bytes;
    uint64_t count;
    char name[16];
    OK(sonde__writer_create(runtime, NULL, "index", "", &w));
    for (int i = 0; i < 16; i++) OK(sonde__writer_enter(w, "deeper", "index", ""));
    for (int i = 0; i < 16; i++) OK(sonde__writer_leave(w));
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "shard%d", i);
        OK(sonde__writer_enter(w, name, "index", name));
        OK(sonde__write_int(w, "number", i));
        OK(sonde__writer_leave(w));
    }
    OK(sonde__writer_finish_memory(w, &bytes, &count));
    OK(sonde__reader_open(runtime, NULL, bytes, count, NULL, "index", &r));
    for (int i = 0; i < 16; i++) OK(sonde__reader_enter(r, "deeper", "index"));
    for (int i = 0; i < 16; i++) sonde__reader_leave(r);
    for (int i = 499; i >= 0; i -= 7) {
        int64_t number;
        snprintf(name, sizeof name, "shard%d", i);
        OK(sonde__reader_enter(r, name, "index"));
        assert_string_equal(sonde__reader_spec(r), name);
        OK(sonde__read_int(r, "number", i, i, &number));
        sonde__reader_leave(r);
    }
    sonde__reader_close(r);
    sonde__free(runtime, bytes);
    sonde_runtime_free(runtime);
}

static void failing_allocations(void **state)
{
    (void)state;
    meter m;
    sonde_runtime *runtime = metered_runtime(&m);
    uint8_t *bytes = NULL;
    uint64_t count;
    int64_t before = m.held, failures = 0;
    for (sonde_status status = SONDE_OUT_OF_MEMORY; status; failures++) {
        m.left = failures;
        status = make_sample(runtime, in_folder("sample"), NULL, NULL);
        if (status) assert_int_equal(status, SONDE_OUT_OF_MEMORY);
        assert_int_equal(m.held, before);
        assert_int_equal(files_in_folder(), status == SONDE_OK);
    }
    assert_in_range(failures, 8, 1000);
    m.left = -1;
    OK(make_sample(runtime, NULL, &bytes, &count));
    before = m.held;
    failures = 0;
    for (sonde_status status = SONDE_OUT_OF_MEMORY; status; failures++) {
        m.left = failures;
        status = open_buffer(runtime, bytes, count, 0);
        if (status) assert_int_equal(status, SONDE_OUT_OF_MEMORY);
        assert_int_equal(m.held, before);
    }
    assert_in_range(failures, 12, 1000);
    sonde__free(runtime, bytes);
    sonde_runtime_free(runtime);
    assert_int_equal(m.held, 0);
}

/* ---- Inspection -------------------------------------------------------------------------------------------------- */

static void sections_are_listed(void **state)
{
    (void)state;
    sample s = take_sample();
    sonde_section_info infos[20] = {SONDE_SECTION_INFO_INIT};
    int64_t count;
    char noun[16];
    const char *path = in_folder("listed");
    write_file(path, s.bytes, s.count);
    OK(sonde_file_sections(path, infos, 20, &count, noun));
    assert_int_equal(count, 15);
    assert_string_equal(noun, "index");
    for (int64_t i = 0; i < count; i++) assert_true(infos[i].intact == 1 && infos[i].size == sizeof *infos);
    assert_string_equal(infos[0].tag, "SPEC");
    assert_string_equal(infos[0].path, "");
    assert_string_equal(infos[1].tag, "CODES");
    assert_int_equal(infos[1].bytes, 7);
    assert_int_equal(infos[1].offset % 64, 0);
    assert_int_equal(infos[1].checksum, reseal_crc(bytes_data, 7));
    assert_string_equal(infos[5].tag, "SPEC");
    assert_string_equal(infos[5].path, "code/inner");

    data_of(&s, 0, "FLOATS")[0] ^= 1;
    write_file(path, s.bytes, s.count);
    OK(sonde_file_sections(path, infos, 20, &count, noun));
    for (int64_t i = 0; i < count; i++) assert_int_equal(infos[i].intact, strcmp(infos[i].tag, "FLOATS") != 0);

    /* Where META is damaged, names are unknown, and the list still comes. */
    restore(&s);
    data_of(&s, 1, "META")[0] ^= 1;
    write_file(path, s.bytes, s.count);
    OK(sonde_file_sections(path, infos, 20, &count, noun));
    assert_string_equal(noun, "");
    int damaged = 0;
    for (int64_t i = 0; i < count; i++) damaged += !infos[i].intact;
    assert_int_equal(damaged, 1);
    assert_string_equal(infos[5].path, "?");

    OK(sonde_file_sections(path, NULL, 0, &count, NULL));
    assert_int_equal(count, 15);
    drop_sample(&s);
}

static void listing_arguments(void **state)
{
    (void)state;
    sample s = take_sample();
    const char *path = in_folder("listed");
    int64_t count = 5;
    sonde_section_info info = {0};
    write_file(path, s.bytes, s.count);
    FAILS(sonde_file_sections(NULL, NULL, 0, &count, NULL), SONDE_INVALID_ARGUMENT, "path");
    FAILS(sonde_file_sections(path, NULL, 1, &count, NULL), SONDE_INVALID_ARGUMENT, "sections must");
    FAILS(sonde_file_sections(path, &info, -1, &count, NULL), SONDE_INVALID_ARGUMENT, "capacity");
    FAILS(sonde_file_sections(path, &info, 1, &count, NULL), SONDE_INVALID_ARGUMENT, "size of the first element is 0");
    s.bytes[s.count - 20] ^= 1;
    write_file(path, s.bytes, s.count);
    FAILS(sonde_file_sections(path, NULL, 0, &count, NULL), SONDE_CORRUPT, "table of contents: checksum differs");
    assert_int_equal(count, 5);

    /* A program built with a later header has longer elements. */
    struct {
        sonde_section_info known;
        uint64_t later;
    } longer[3];
    memset(longer, 0xee, sizeof longer);
    longer[0].known.size = sizeof *longer;
    write_file(path, s.original, s.count);
    OK(sonde_file_sections(path, &longer[0].known, 2, &count, NULL));
    assert_string_equal(longer[1].known.tag, "CODES");
    assert_int_equal(longer[1].later, 0);
    assert_int_equal(longer[2].known.size, 0xeeeeeeee);
    drop_sample(&s);
}

#define CASE(name) cmocka_unit_test_teardown(name, remove_folder)
static const struct CMUnitTest cases[] = {
    CASE(round_trips), CASE(layout), CASE(documented_example), CASE(unaligned_buffer), CASE(streamed_as_whole),
    CASE(large_sections),
    CASE(wrong_questions), CASE(not_finite), CASE(open_options), CASE(not_a_file), CASE(writer_misuse),
    CASE(writer_limits), CASE(deep_and_wide), CASE(failing_allocations), CASE(sections_are_listed),
    CASE(listing_arguments),
};
SONDE_TEST_MAIN(cases)
