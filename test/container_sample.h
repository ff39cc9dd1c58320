/* container_sample.h: what the tests of the container share: a folder of their own, a runtime that counts its memory,
 * and a file with everything in it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_TEST_CONTAINER_SAMPLE_H
#define SONDE_TEST_CONTAINER_SAMPLE_H

#include "test.h"

#include <dirent.h>
#include <unistd.h>

#include "base/container.h"
#include "reseal.h"

/* ---- Places and memory ------------------------------------------------------------------------------------------- */

static char folder[4096];

static inline const char *in_folder(const char *name)
{
    static char paths[4][sizeof folder + 64];
    static int next;
    char *path = paths[next++ % 4]; /* so that a few may be in use at once */
    if (!*folder) {
        const char *parent = getenv("TMPDIR");
        snprintf(folder, sizeof folder, "%s/sonde-container-XXXXXX", parent ? parent : P_tmpdir);
        assert_non_null(mkdtemp(folder));
    }
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static inline int files_in_folder(void)
{
    in_folder("");
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(directory));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) count++;
    closedir(directory);
    return count;
}

static inline int remove_folder(void **state)
{
    (void)state;
    if (!*folder) return 0;
    DIR *directory = opendir(folder);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        char path[sizeof folder + 300];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") && unlink(path)) rmdir(path);
    }
    if (directory) closedir(directory);
    rmdir(folder);
    *folder = 0;
    return 0;
}

static inline void write_file(const char *path, const void *bytes, size_t count)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    assert_int_equal(fclose(file), 0);
}

static inline uint8_t *read_file(const char *path, size_t *count)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *count = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = test_alloc(*count, 1);
    assert_int_equal(fread(bytes, 1, *count, file), *count);
    fclose(file);
    return bytes;
}

/* Counts what the library takes, refuses the n-th request, and remembers the largest. */
typedef struct meter {
    int64_t held, left; /* left: requests until one fails; -1 = never */
    size_t largest;
} meter;

static inline void *meter_alloc(size_t size, size_t align, void *user)
{
    meter *m = user;
    if (m->left == 0) return NULL;
    if (m->left > 0) m->left--;
    if (size > m->largest) m->largest = size;
    m->held++;
    return aligned_alloc(align, (size + align - 1) / align * align);
}

static inline void meter_release(void *memory, size_t size, size_t align, void *user)
{
    (void)size, (void)align;
    ((meter *)user)->held--;
    free(memory);
}

static inline sonde_runtime *metered_runtime(meter *m)
{
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    sonde_runtime *runtime;
    options.threads = 1;
    options.alloc = meter_alloc;
    options.release = meter_release;
    options.memory_user = m;
    *m = (meter){.left = -1};
    OK(sonde_runtime_create(&options, &runtime));
    return runtime;
}

static inline sonde_runtime *plain_runtime(void)
{
    sonde_runtime *runtime;
    OK(sonde_runtime_create(NULL, &runtime));
    return runtime;
}

/* ---- A file with everything in it -------------------------------------------------------------------------------- */

static const char spec[] = "ivf(nlist=16, code=pq(m=8))";
static const uint8_t bytes_data[] = {1, 2, 3, 4, 5, 6, 7};
static const uint16_t halves_data[] = {0xffff, 1, 2};
static const float floats_data[] = {1.5f, -0.0f, 3e38f, 1e-45f, 0.1f};
static const uint64_t longs_data[] = {UINT64_MAX, 0, 1};

static inline sonde_status write_children(sonde__writer *writer)
{
    SONDE_TRY(sonde__writer_enter(writer, "code", "quantizer", "pq(m=8)"));
    SONDE_TRY(sonde__write_int(writer, "m", 8));
    SONDE_TRY(sonde__write_array(writer, "CODES", bytes_data, 7, 1));
    SONDE_TRY(sonde__writer_enter(writer, "inner", "transform", ""));
    SONDE_TRY(sonde__write_array(writer, "CODES", bytes_data + 1, 6, 1));
    SONDE_TRY(sonde__writer_leave(writer));
    SONDE_TRY(sonde__writer_leave(writer));
    SONDE_TRY(sonde__writer_enter(writer, "refine", "quantizer", "sq()"));
    return sonde__writer_leave(writer);
}

static inline sonde_status write_sample(sonde__writer *writer)
{
    SONDE_TRY(sonde__write_int(writer, "rows", 1234567890123));
    SONDE_TRY(sonde__write_int(writer, "least", INT64_MIN));
    SONDE_TRY(sonde__write_real(writer, "radius", 0.1));
    SONDE_TRY(sonde__write_text(writer, "note", "na\xc3\xafve \"text\""));
    SONDE_TRY(sonde__write_text(writer, "empty", ""));
    SONDE_TRY(sonde__write_array(writer, "CODES", bytes_data, 7, 1));
    SONDE_TRY(sonde__write_array(writer, "HALVES", halves_data, 3, 2));
    SONDE_TRY(write_children(writer));
    SONDE_TRY(sonde__write_array(writer, "NOTHING", NULL, 0, 8));
    SONDE_TRY(sonde__write_begin(writer, "FLOATS", 4));
    SONDE_TRY(sonde__write_append(writer, floats_data, 3));
    SONDE_TRY(sonde__write_append(writer, (const uint8_t *)floats_data + 3, sizeof floats_data - 3));
    SONDE_TRY(sonde__write_end(writer));
    return sonde__write_array(writer, "LONGS_64", longs_data, 3, 8);
}

/* To memory where path is NULL. */
static inline sonde_status make_sample(sonde_runtime *runtime, const char *path, uint8_t **bytes, uint64_t *count)
{
    sonde__writer *writer;
    SONDE_TRY(sonde__writer_create(runtime, path, "index", spec, &writer));
    sonde_status status = write_sample(writer);
    if (status) {
        sonde__writer_abort(writer);
        return status;
    }
    return path ? sonde__writer_finish(writer) : sonde__writer_finish_memory(writer, bytes, count);
}

static inline sonde_status same_array(sonde__reader *reader, const char *tag, const void *data, uint64_t count,
                                      uint32_t size)
{
    sonde__blob blob;
    SONDE_TRY(sonde__read_array(reader, tag, count, size, false, &blob));
    bool same = blob.bytes == count * size && (count == 0 || memcmp(blob.data, data, blob.bytes) == 0);
    bool aligned = (uintptr_t)blob.data % 64 == 0 && blob.owned == !sonde__reader_mapped(reader);
    sonde__blob_free(reader->runtime, &blob);
    if (!same) fail_msg("section %s has other bytes", tag);
    if (!aligned) fail_msg("section %s is not aligned, or owned by the wrong side", tag);
    return SONDE_OK;
}

static inline sonde_status same_children(sonde__reader *reader)
{
    int64_t integer;
    SONDE_TRY(sonde__reader_enter(reader, "code", "quantizer"));
    if (strcmp(sonde__reader_spec(reader), "pq(m=8)")) fail_msg("spec of the child: %s", sonde__reader_spec(reader));
    SONDE_TRY(sonde__read_int(reader, "m", 1, 4096, &integer));
    assert_int_equal(integer, 8);
    SONDE_TRY(same_array(reader, "CODES", bytes_data, 7, 1));
    SONDE_TRY(sonde__reader_enter(reader, "inner", "transform"));
    assert_string_equal(sonde__reader_spec(reader), "");
    SONDE_TRY(same_array(reader, "CODES", bytes_data + 1, 6, 1));
    sonde__reader_leave(reader);
    sonde__reader_leave(reader);
    SONDE_TRY(sonde__reader_enter(reader, "refine", NULL));
    sonde__reader_leave(reader);
    return SONDE_OK;
}

/* Reads all of it: a failure of the library is returned, a wrong value fails the test. */
static inline sonde_status same_sample(sonde__reader *reader)
{
    int64_t integer;
    double real;
    const char *text;
    assert_string_equal(sonde__reader_spec(reader), spec);
    SONDE_TRY(sonde__read_int(reader, "rows", 0, INT64_MAX, &integer));
    assert_true(integer == 1234567890123);
    SONDE_TRY(sonde__read_int(reader, "least", INT64_MIN, -1, &integer));
    assert_true(integer == INT64_MIN);
    SONDE_TRY(sonde__read_real(reader, "radius", 0, 1, &real));
    assert_true(real == 0.1);
    SONDE_TRY(sonde__read_text(reader, "note", &text));
    assert_string_equal(text, "na\xc3\xafve \"text\"");
    SONDE_TRY(sonde__read_text(reader, "empty", &text));
    assert_string_equal(text, "");
    SONDE_TRY(same_array(reader, "CODES", bytes_data, 7, 1));
    SONDE_TRY(same_array(reader, "HALVES", halves_data, 3, 2));
    SONDE_TRY(same_children(reader));
    SONDE_TRY(same_array(reader, "NOTHING", NULL, 0, 8));
    SONDE_TRY(same_array(reader, "FLOATS", floats_data, 5, 4));
    return same_array(reader, "LONGS_64", longs_data, 3, 8);
}

static inline sonde_status open_buffer(sonde_runtime *runtime, const void *bytes, uint64_t count, uint32_t verify)
{
    sonde_open_options options = SONDE_OPEN_OPTIONS_INIT;
    options.verify = verify;
    sonde__reader *reader;
    SONDE_TRY(sonde__reader_open(runtime, NULL, bytes, count, &options, "index", &reader));
    sonde_status status = same_sample(reader);
    sonde__reader_close(reader);
    return status;
}

static inline sonde_status open_file(sonde_runtime *runtime, const char *path, uint32_t mode, uint32_t verify)
{
    sonde_open_options options = SONDE_OPEN_OPTIONS_INIT;
    options.mode = mode;
    options.verify = verify;
    sonde__reader *reader;
    SONDE_TRY(sonde__reader_open(runtime, path, NULL, 0, &options, "index", &reader));
    assert_true(sonde__reader_mapped(reader) == (mode == SONDE_OPEN_MMAP));
    sonde_status status = same_sample(reader);
    sonde__reader_close(reader);
    return status;
}

/* The sample in memory of its exact size, so that a sanitizer sees any step outside. */
typedef struct sample {
    sonde_runtime *runtime;
    uint8_t *bytes, *original;
    uint64_t count;
} sample;

static inline sample take_sample(void)
{
    sample s = {.runtime = plain_runtime()};
    uint8_t *made;
    OK(make_sample(s.runtime, NULL, &made, &s.count));
    s.bytes = test_alloc(s.count, 1);
    s.original = test_alloc(s.count, 1);
    memcpy(s.bytes, made, s.count);
    memcpy(s.original, made, s.count);
    sonde__free(s.runtime, made);
    return s;
}

static inline void drop_sample(sample *s)
{
    free(s->bytes);
    free(s->original);
    sonde_runtime_free(s->runtime);
}

static inline void restore(sample *s)
{
    memcpy(s->bytes, s->original, s->count);
}

static inline uint64_t toc_offset(const sample *s)
{
    return reseal_get(s->bytes + 24, 8);
}

/* Entry of a section by its path and tag, in the file's own bytes. */
static inline uint8_t *entry_of(const sample *s, uint16_t path, const char *tag)
{
    for (uint8_t *entry = s->bytes + toc_offset(s); entry < s->bytes + s->count; entry += 64)
        if (strncmp((char *)entry, tag, 8) == 0 && reseal_get(entry + 56, 2) == path) return entry;
    fail_msg("the sample has no %s", tag);
    return NULL;
}

static inline uint8_t *data_of(const sample *s, uint16_t path, const char *tag)
{
    return s->bytes + reseal_get(entry_of(s, path, tag) + 16, 8);
}

#endif
