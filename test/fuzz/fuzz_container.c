/* fuzz_container.c: opens a container from arbitrary bytes and reads all that it offers: once as it is, and once with
 * every checksum made right, as an attacker would. Neither may crash, leak, or take more memory than the file has bytes
 * and a little more.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/container.h"
#include "reseal.h"

#define SLACK_BYTES ((uint64_t)4 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what)
{
    if (condition) return;
    fprintf(stderr, "fuzz_container: %s\n", what);
    abort();
}

static sonde_runtime *shared_runtime(void)
{
    static sonde_runtime *runtime;
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    options.threads = 1;
    if (!runtime) require(sonde_runtime_create(&options, &runtime) == SONDE_OK, "no runtime");
    return runtime;
}

/* Bytes that the library holds at this moment. */
static uint64_t held_bytes(void)
{
    uint64_t used = 0;
    require(sonde_runtime_memory(shared_runtime(), &used, NULL) == SONDE_OK, "no memory figures");
    return used;
}

static volatile uint8_t sink; /* takes every byte once, so that a sanitizer sees them all read */

static void read_section(sonde__reader *reader, const sonde__section *section, uint64_t allowed)
{
    sonde__blob blob;
    uint64_t count;
    if (sonde__read_count(reader, section->tag, section->element_size, &count)) return;
    require(sonde__read_array(reader, section->tag, count + 1, section->element_size, false, &blob) != SONDE_OK,
            "a wrong count was accepted");
    for (int force_copy = 0; force_copy < 2; force_copy++) {
        if (sonde__read_array(reader, section->tag, count, section->element_size, force_copy, &blob)) continue;
        require(held_bytes() <= allowed, "more memory than the file has bytes");
        for (uint64_t i = 0; i < blob.bytes; i++) sink = ((const uint8_t *)blob.data)[i];
        sonde__blob_free(reader->runtime, &blob);
    }
}

static void read_meta(sonde__reader *reader, const sonde__path *path)
{
    sonde__pair pair;
    for (uint64_t at = 0; sonde__meta_at(path->meta, path->meta_bytes, at, &pair); at = pair.next) {
        char key[SONDE__KEY_MAX + 1];
        int64_t integer;
        double real;
        const char *text;
        snprintf(key, sizeof key, "%.*s", (int)pair.key_bytes, pair.key);
        if (!sonde__read_int(reader, key, -5, 5, &integer)) require(integer >= -5 && integer <= 5, "integer outside");
        if (!sonde__read_real(reader, key, -5, 5, &real)) require(real >= -5 && real <= 5, "real outside");
        if (!sonde__read_text(reader, key, &text)) require(strlen(text) < SONDE__TEXT_MAX, "text too long");
    }
}

static void read_path(sonde__reader *reader, uint32_t number, uint64_t allowed)
{
    require(strlen(sonde__reader_spec(reader)) < SONDE__TEXT_MAX, "spec too long");
    read_meta(reader, &reader->paths[number]);
    for (uint32_t i = 0; i < reader->section_count; i++)
        if (reader->sections[i].path == number) read_section(reader, &reader->sections[i], allowed);
    for (uint32_t child = number + 1; child < reader->path_count; child++) {
        if (reader->paths[child].parent != number) continue;
        require(sonde__reader_enter(reader, reader->paths[child].name, NULL) == SONDE_OK, "a child cannot be entered");
        require(reader->current == child, "another child of the same name");
        read_path(reader, child, allowed);
        sonde__reader_leave(reader);
    }
}

static void open_and_read(const uint8_t *data, size_t size, uint32_t verify)
{
    uint64_t before = held_bytes(), allowed = before + size + SLACK_BYTES;
    sonde_open_options options = SONDE_OPEN_OPTIONS_INIT;
    sonde__reader *reader;
    options.verify = verify;
    if (sonde__reader_open(shared_runtime(), "input", data, size, &options, NULL, &reader) == SONDE_OK) {
        require(held_bytes() <= allowed, "more memory than the file has bytes");
        read_path(reader, 0, allowed);
        sonde__reader_close(reader);
    }
    require(held_bytes() == before, "memory was not given back");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* In memory of the exact size a sanitizer sees every step outside. */
    uint8_t *copy = calloc(size ? size : 1, 1);
    require(copy != NULL, "no memory");
    if (size) memcpy(copy, data, size);
    open_and_read(copy, size, SONDE_VERIFY_FULL);
    reseal(copy, size);
    open_and_read(copy, size, SONDE_VERIFY_FULL);
    open_and_read(copy, size, SONDE_VERIFY_FAST);
    free(copy);
    return 0;
}
