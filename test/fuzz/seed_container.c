/* seed_container.c: writes the corpus of fuzz_container: small files of every kind, whole and deceitful. Run it with the
 * folder as its argument after the format has gained something, and commit what it writes.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/container.h"
#include "reseal.h"

static const char *folder;
static sonde_runtime *runtime;

static void require(sonde_status status)
{
    if (status == SONDE_OK) return;
    fprintf(stderr, "seed_container: %s\n", sonde_error_message());
    exit(1);
}

static void keep(const char *name, const uint8_t *bytes, uint64_t count)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, count, file) != count || fclose(file)) {
        perror(path);
        exit(1);
    }
}

static sonde__writer *begin(const char *spec)
{
    sonde__writer *writer;
    require(sonde__writer_create(runtime, NULL, "index", spec, &writer));
    return writer;
}

static uint8_t *finish(sonde__writer *writer, uint64_t *count)
{
    uint8_t *bytes;
    require(sonde__writer_finish_memory(writer, &bytes, count));
    return bytes;
}

static void keep_whole(const char *name, sonde__writer *writer)
{
    uint64_t count;
    uint8_t *bytes = finish(writer, &count);
    keep(name, bytes, count);
    sonde__free(runtime, bytes);
}

/* ---- Whole files ------------------------------------------------------------------------------------------------- */

static void seed_meta(void)
{
    sonde__writer *w = begin("flat(metric=l2)");
    require(sonde__write_int(w, "rows", 5));
    require(sonde__write_int(w, "least", INT64_MIN));
    require(sonde__write_real(w, "radius", 0.25));
    require(sonde__write_text(w, "note", "a text"));
    keep_whole("meta", w);
}

static void seed_arrays(void)
{
    const uint64_t values[4] = {1, UINT64_MAX, 0x0102030405060708, 0};
    sonde__writer *w = begin("flat()");
    require(sonde__write_array(w, "BYTES", values, 13, 1));
    require(sonde__write_array(w, "HALVES", values, 9, 2));
    require(sonde__write_array(w, "WORDS", values, 5, 4));
    require(sonde__write_array(w, "LONGS", values, 4, 8));
    require(sonde__write_array(w, "NOTHING", NULL, 0, 4));
    keep_whole("arrays", w);
}

static void seed_children(void)
{
    sonde__writer *w = begin("ivf(code=pq())");
    require(sonde__writer_enter(w, "code", "quantizer", "pq()"));
    require(sonde__write_array(w, "CODES", "codes", 5, 1));
    require(sonde__writer_enter(w, "turn", "transform", "rotation()"));
    require(sonde__writer_leave(w));
    require(sonde__writer_leave(w));
    require(sonde__writer_enter(w, "refine", "quantizer", "sq()"));
    require(sonde__write_array(w, "CODES", "c", 1, 1));
    require(sonde__writer_leave(w));
    keep_whole("children", w);
}

static void seed_deep(void)
{
    sonde__writer *w = begin("");
    for (int i = 0; i < SONDE__DEPTH_MAX; i++) require(sonde__writer_enter(w, "a", "b", ""));
    for (int i = 0; i < SONDE__DEPTH_MAX; i++) require(sonde__writer_leave(w));
    keep_whole("deep", w);
}

/* ---- Files that were changed afterwards -------------------------------------------------------------------------- */

static uint8_t *small_file(uint64_t *count)
{
    sonde__writer *w = begin("flat()");
    require(sonde__write_array(w, "FIRST", "first section", 13, 1));
    require(sonde__write_array(w, "SECOND", "the second one", 7, 2));
    return finish(w, count);
}

/* Sets one number, `at` bytes into the header (entry < 0) or into an entry, and makes the checksums right. */
static void seed_forged(const char *name, int entry, int at, int width, uint64_t value)
{
    uint64_t count;
    uint8_t *bytes = small_file(&count);
    uint8_t *from = entry < 0 ? bytes : bytes + reseal_get(bytes + 24, 8) + 64 * entry;
    reseal_put(from + at, width, value);
    reseal(bytes, count);
    keep(name, bytes, count);
    sonde__free(runtime, bytes);
}

/* A section with piecewise checksums, which writers make above 64 MiB only. */
static void seed_piecewise(void)
{
    uint64_t count;
    uint8_t *bytes = small_file(&count);
    uint8_t *entry = bytes + reseal_get(bytes + 24, 8) + 64;
    reseal_put(entry + 12, 4, SONDE__SECTION_CHUNKHASH);
    reseal_put(entry + 24, 8, 13 + 4);
    reseal(bytes, count);
    keep("piecewise", bytes, count);
    sonde__free(runtime, bytes);
}

static void seed_long_entries(void)
{
    uint64_t count;
    uint8_t *bytes = small_file(&count);
    uint64_t toc = reseal_get(bytes + 24, 8), entries = reseal_get(bytes + 32, 4), longer = toc + 96 * entries;
    uint8_t *wide = calloc(1, longer);
    if (!wide) exit(1);
    memcpy(wide, bytes, toc);
    for (uint64_t i = 0; i < entries; i++) memcpy(wide + toc + 96 * i, bytes + toc + 64 * i, 64);
    reseal_put(wide + 16, 8, longer);
    reseal_put(wide + 36, 4, 96);
    reseal(wide, longer);
    keep("long-entries", wide, longer);
    keep("truncated", bytes, count - 30);
    free(wide);
    sonde__free(runtime, bytes);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: seed_container FOLDER\n");
        return 2;
    }
    folder = argv[1];
    require(sonde_runtime_create(NULL, &runtime));
    seed_meta();
    seed_arrays();
    seed_children();
    seed_deep();
    seed_piecewise();
    seed_long_entries();
    seed_forged("later-minor", -1, 10, 2, 3);
    seed_forged("later-section", 1, 8, 4, 7);
    seed_forged("required", 1, 12, 4, SONDE__SECTION_REQUIRED);
    seed_forged("overlapping", 2, 16, 8, 128);
    seed_forged("duplicate", 2, 0, 8, 0x5453524946);
    seed_forged("huge", 2, 32, 8, (uint64_t)1 << 62);
    seed_forged("wide-aligned", 1, 44, 4, 2 << 20);
    seed_forged("big-endian", -1, 12, 4, 0xfffe0000);
    sonde_runtime_free(runtime);
    return 0;
}
