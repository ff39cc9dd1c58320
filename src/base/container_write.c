/* container_write.c: writes container files (docs/format.md), to disk or to memory.
 *
 * Sections go out in the order in which they are written, the table of contents after the last one, and the header,
 * which points to it, last of all. A file is written beside its target under another name, synced, and renamed over the
 * target, so that at every moment the target is the whole old file or the whole new one.
 *
 *     [header 64][SPEC of 0][arrays of 0]...[SPEC of 1][arrays of 1][META of 1]...[META of 0][table of contents]
 *
 * A section collects in a buffer of one piece (1 MiB). Whether it is larger than a piece decides its alignment, so its
 * place is chosen when the buffer overflows or the section ends: streamed and whole arrays give the same bytes.
 * Checksums are taken piece by piece, while the data is in cache.
 *
 * Cost: one pass over the data; memory for one piece, META, and 4 bytes for each MiB of the current section.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/container.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "kernels/kernels.h"

/* Bytes that grow by doubling. */
typedef struct byte_list {
    uint8_t *data;
    uint64_t used, capacity;
} byte_list;

/* A path that is open for writing, with its META so far (sorted records). */
typedef struct writer_level {
    byte_list meta;
    uint16_t path;
} writer_level;

/* Each path that was begun: to refuse a second child of one name. */
typedef struct writer_child {
    char name[SONDE__NAME_MAX + 1];
    uint32_t parent;
} writer_child;

struct sonde__writer {
    sonde_runtime *runtime;
    char *name;      /* the target, or "(memory)"; for messages too */
    char *temporary; /* NULL = into memory */
    sonde__file file;
    bool opened;
    sonde_status failed; /* the first failure: nothing may be finished after it */
    byte_list memory;     /* the whole file, where there is no temporary */
    uint64_t end;
    byte_list contents; /* rows of the table of contents, as in the file */
    byte_list children;
    writer_level levels[SONDE__DEPTH_MAX + 1];
    int depth; /* -1 when the root is closed */

    /* The section being written. */
    bool writing, placed;
    sonde__section section;
    uint8_t *piece;
    uint64_t fill;
    byte_list piece_sums; /* u32, little-endian */
    uint32_t whole_sum;  /* kept up to PIECEWISE_ABOVE */
};

/* ---- Output ------------------------------------------------------------------------------------------------------ */

/* On failure the list is as it was. */
static sonde_status list_reserve(sonde_runtime *runtime, byte_list *list, uint64_t bytes)
{
    if (bytes <= list->capacity - list->used) return SONDE_OK;
    uint64_t capacity = list->capacity + bytes;
    if (capacity < 2 * list->capacity) capacity = 2 * list->capacity;
    if (capacity < 256) capacity = 256;
    uint8_t *data;
    SONDE_TRY(SONDE_NEW(runtime, data, capacity));
    if (list->used) memcpy(data, list->data, list->used);
    sonde__free(runtime, list->data);
    list->data = data;
    list->capacity = capacity;
    return SONDE_OK;
}

static sonde_status list_add(sonde_runtime *runtime, byte_list *list, const void *data, uint64_t bytes)
{
    SONDE_TRY(list_reserve(runtime, list, bytes));
    if (bytes) memcpy(list->data + list->used, data, bytes);
    list->used += bytes;
    return SONDE_OK;
}

static sonde_status fail_os(const sonde__writer *writer, const char *what, int error)
{
    sonde_status status = SONDE_IO;
    if (error == ENOENT) status = SONDE_NOT_FOUND;
    if (error == ENOMEM) status = SONDE_OUT_OF_MEMORY;
    return sonde__fail(status, "%s: cannot %s: %s", writer->name, what, strerror(error));
}

/* The only place where bytes leave the writer, the header apart: always at the end, so nothing is written twice. */
static sonde_status put_next(sonde__writer *writer, const void *data, uint64_t bytes)
{
    if (writer->temporary) {
        int failed = sonde__file_write(&writer->file, writer->end, data, bytes);
        if (failed) return fail_os(writer, "write", failed);
    } else {
        SONDE_TRY(list_add(writer->runtime, &writer->memory, data, bytes));
    }
    writer->end += bytes;
    return SONDE_OK;
}

/* Zeros up to the next multiple of align. */
static sonde_status put_gap(sonde__writer *writer, uint32_t align)
{
    static const uint8_t zeros[SONDE__ALIGN_LARGE];
    return put_next(writer, zeros, sonde__align_up(writer->end, align) - writer->end);
}

/* ---- One section ------------------------------------------------------------------------------------------------- */

/* Refuses what a reader would refuse, when it is asked for and not when the file is opened one day. */
static sonde_status begin_section(sonde__writer *writer, const char *tag, uint32_t element_size,
                                  uint32_t flags)
{
    const char *name = writer->name;
    if (writer->writing)
        return sonde__fail(SONDE_INTERNAL, "%s: section %s begun inside %s", name, tag, writer->section.tag);
    if (writer->contents.used / SONDE__ENTRY_BYTES >= SONDE__SECTIONS_MAX)
        return sonde__fail(SONDE_LIMIT, "%s: more than %d sections", name, SONDE__SECTIONS_MAX);

    writer->section = (sonde__section){.path = writer->levels[writer->depth].path,
                                       .version = 1,
                                       .flags = flags,
                                       .element_size = element_size,
                                       .align = SONDE__ALIGN_SMALL};
    memcpy(writer->section.tag, tag, strlen(tag));
    for (uint64_t at = 0; at < writer->contents.used; at += SONDE__ENTRY_BYTES) {
        const uint8_t *other = writer->contents.data + at;
        if (memcmp(other, writer->section.tag, SONDE__TAG_MAX) == 0 &&
            sonde__get_number(other + SONDE__ENTRY_PATH, 2) == writer->section.path)
            return sonde__fail(SONDE_INTERNAL, "%s: section %s written twice", name, tag);
    }
    writer->writing = true;
    writer->placed = false;
    writer->fill = 0;
    writer->piece_sums.used = 0;
    writer->whole_sum = 0;
    return SONDE_OK;
}

/* Sends one piece out: a full one, or the last one. The first to come fixes where the section starts. */
static sonde_status put_piece(sonde__writer *writer, const void *data, uint64_t bytes)
{
    sonde__section *section = &writer->section;
    if (!writer->placed) {
        SONDE_TRY(put_gap(writer, section->align));
        section->offset = writer->end;
        writer->placed = true;
    }
    SONDE_TRY(sonde__poll(writer->runtime, NULL, 0, 1));

    uint8_t sum[4];
    sonde__put_number(sum, 4, sonde__kernels_get()->crc32c(0, data, bytes));
    SONDE_TRY(list_add(writer->runtime, &writer->piece_sums, sum, sizeof sum));
    section->bytes += bytes;
    if (section->bytes <= SONDE__PIECEWISE_ABOVE)
        writer->whole_sum = sonde__kernels_get()->crc32c(writer->whole_sum, data, bytes);
    return put_next(writer, data, bytes);
}

/* A full piece stays in the buffer until more comes, because only then is the section larger than a piece. */
static sonde_status append_section(sonde__writer *writer, const uint8_t *data, uint64_t bytes)
{
    while (bytes > 0) {
        if (writer->fill == SONDE__PIECE_BYTES) {
            writer->section.align = SONDE__ALIGN_LARGE;
            SONDE_TRY(put_piece(writer, writer->piece, writer->fill));
            writer->fill = 0;
        }
        uint64_t take = sonde__min_i64((int64_t)(SONDE__PIECE_BYTES - writer->fill), (int64_t)bytes);
        if (take == SONDE__PIECE_BYTES && bytes > take) {
            /* More follows a whole piece: it need not pass through the buffer. */
            writer->section.align = SONDE__ALIGN_LARGE;
            SONDE_TRY(put_piece(writer, data, take));
        } else {
            memcpy(writer->piece + writer->fill, data, take);
            writer->fill += take;
        }
        data += take;
        bytes -= take;
    }
    return SONDE_OK;
}

static sonde_status end_section(sonde__writer *writer)
{
    sonde__section *section = &writer->section;
    writer->writing = false;
    if (writer->fill > 0 || !writer->placed) SONDE_TRY(put_piece(writer, writer->piece, writer->fill));
    if (section->bytes % section->element_size != 0)
        return sonde__fail(SONDE_INTERNAL, "%s: section %s has %" PRIu64 " bytes, no multiple of its elements' %u",
                           writer->name, section->tag, section->bytes, section->element_size);

    /* whole_sum stopped growing at PIECEWISE_ABOVE; beyond that the pieces' own sums take its place. */
    section->stored = section->bytes;
    section->hash = writer->whole_sum;
    if (section->bytes > SONDE__PIECEWISE_ABOVE) {
        byte_list *sums = &writer->piece_sums;
        section->flags |= SONDE__SECTION_CHUNKHASH;
        section->stored += sums->used;
        section->hash = sonde__kernels_get()->crc32c(0, sums->data, sums->used);
        SONDE_TRY(put_next(writer, sums->data, sums->used));
    }
    uint8_t entry[SONDE__ENTRY_BYTES];
    sonde__section_pack(section, entry);
    return list_add(writer->runtime, &writer->contents, entry, sizeof entry);
}

/* SPEC and META: what no reader may skip. */
static sonde_status put_section(sonde__writer *writer, const char *tag, const void *data, uint64_t bytes)
{
    SONDE_TRY(begin_section(writer, tag, 1, SONDE__SECTION_REQUIRED));
    SONDE_TRY(append_section(writer, data, bytes));
    return end_section(writer);
}

/* ---- META and paths ---------------------------------------------------------------------------------------------- */

/* Puts a record into its place among the sorted ones. */
static sonde_status add_pair(sonde__writer *writer, uint32_t kind, const char *key, const void *value,
                             uint32_t bytes)
{
    byte_list *meta = &writer->levels[writer->depth].meta;
    sonde__pair pair;
    uint64_t position, record_bytes = sonde__meta_record_bytes(key, bytes);
    if (sonde__meta_find(meta->data, meta->used, key, &pair, &position))
        return sonde__fail(SONDE_INTERNAL, "%s: META key %s written twice", writer->name, key);
    if (meta->used + record_bytes > SONDE__META_BYTES_MAX)
        return sonde__fail(SONDE_LIMIT, "%s: META would exceed %" PRIu64 " bytes at key %s", writer->name,
                           SONDE__META_BYTES_MAX, key);
    SONDE_TRY(list_reserve(writer->runtime, meta, record_bytes));
    memmove(meta->data + position + record_bytes, meta->data + position, meta->used - position);
    sonde__meta_record_pack(meta->data + position, kind, key, value, bytes);
    meta->used += record_bytes;
    return SONDE_OK;
}

static sonde_status add_number(sonde__writer *writer, uint32_t kind, const char *key, uint64_t bits)
{
    uint8_t value[8];
    sonde__put_number(value, 8, bits);
    return add_pair(writer, kind, key, value, sizeof value);
}

static sonde_status add_text(sonde__writer *writer, const char *key, const char *text)
{
    size_t bytes = strlen(text) + 1;
    if (bytes > SONDE__TEXT_MAX)
        return sonde__fail(SONDE_LIMIT, "%s: the text of %s has %zu bytes, at most %u are stored", writer->name,
                           key, bytes - 1, SONDE__TEXT_MAX - 1);
    return add_pair(writer, SONDE__META_TEXT, key, text, (uint32_t)bytes);
}

/* Opens the next level. Its path number is the order of arrival; the root is 0. */
static sonde_status open_path(sonde__writer *writer, uint32_t parent, const char *name, const char *noun,
                              const char *spec)
{
    writer_child entry = {.parent = parent};
    uint64_t count = writer->children.used / sizeof entry;
    if (strlen(spec) >= SONDE__TEXT_MAX)
        return sonde__fail(SONDE_LIMIT, "%s: the spec has %zu bytes, at most %u are stored", writer->name,
                           strlen(spec), SONDE__TEXT_MAX - 1);
    if (count >= SONDE__SECTIONS_MAX / 2)
        return sonde__fail(SONDE_LIMIT, "%s: more than %d handles in one file", writer->name,
                           SONDE__SECTIONS_MAX / 2);
    memcpy(entry.name, name, strlen(name));
    SONDE_TRY(list_add(writer->runtime, &writer->children, &entry, sizeof entry));

    writer_level *opened = &writer->levels[++writer->depth];
    opened->path = (uint16_t)count;
    opened->meta.used = 0;
    SONDE_TRY(add_text(writer, "@noun", noun));
    if (count > 0) {
        SONDE_TRY(add_text(writer, "@name", name));
        SONDE_TRY(add_number(writer, SONDE__META_INT, "@parent", parent));
    }
    return put_section(writer, "SPEC", spec, strlen(spec));
}

/* META comes last, because its pairs may be written at any time between the arrays. */
static sonde_status close_path(sonde__writer *writer)
{
    const byte_list *meta = &writer->levels[writer->depth].meta;
    SONDE_TRY(put_section(writer, "META", meta->data, meta->used));
    writer->depth--;
    return SONDE_OK;
}

/* Names must tell children of one parent apart; the root is no child. */
static sonde_status enter_child(sonde__writer *writer, const char *name, const char *noun, const char *spec)
{
    uint32_t parent = writer->levels[writer->depth].path;
    if (!sonde__name_valid(name) || !sonde__name_valid(noun))
        return sonde__fail(SONDE_INTERNAL, "%s: \"%s\" (%s) is no name for a part", writer->name, name, noun);
    if (writer->depth == SONDE__DEPTH_MAX)
        return sonde__fail(SONDE_LIMIT, "%s: handles nested deeper than %d", writer->name, SONDE__DEPTH_MAX);
    for (uint64_t at = 0; at < writer->children.used; at += sizeof(writer_child)) {
        const writer_child *other = (const writer_child *)(const void *)(writer->children.data + at);
        if (at > 0 && other->parent == parent && strcmp(other->name, name) == 0)
            return sonde__fail(SONDE_INTERNAL, "%s: child %s written twice", writer->name, name);
    }
    return open_path(writer, parent, name, noun, spec);
}

/* ---- The writer -------------------------------------------------------------------------------------------------- */

static sonde_status writer_result(sonde__writer *writer, sonde_status status)
{
    if (status && !writer->failed) writer->failed = status;
    return status;
}

/* Every call comes through here: after a failure nothing is written any more, and nothing can be finished. */
static sonde_status check_usable(sonde__writer *writer, bool inside_section)
{
    if (writer->failed) return sonde__fail(writer->failed, "%s: an earlier write failed", writer->name);
    if (writer->writing == inside_section) return SONDE_OK;
    const char *what = inside_section ? "no section was begun" : "a section was not ended";
    return writer_result(writer, sonde__fail(SONDE_INTERNAL, "%s: %s", writer->name, what));
}

static sonde_status create_file(sonde__writer *writer, const char *path)
{
    size_t capacity = strlen(path) + 64;
    SONDE_TRY(SONDE_NEW(writer->runtime, writer->temporary, capacity));
    int failed = sonde__file_create_beside(path, writer->temporary, capacity, &writer->file);
    if (failed) return fail_os(writer, "create a file in its directory", failed);
    writer->opened = true;
    return SONDE_OK;
}

sonde_status sonde__writer_create(sonde_runtime *runtime, const char *path, const char *noun,
                                  const char *spec, sonde__writer **writer)
{
    static const uint8_t empty_header[SONDE__HEADER_BYTES];
    sonde__writer *made;
    SONDE_TRY(SONDE_NEW_ZERO(runtime, made, 1));
    made->runtime = runtime;
    made->depth = -1;
    sonde_status status = SONDE_OK;
    if (!sonde__name_valid(noun)) status = sonde__fail(SONDE_INTERNAL, "\"%s\" is no noun", noun);
    made->name = sonde__copy_text(runtime, path ? path : "(memory)");
    if (!made->name) status = sonde__last_status();
    if (!status) status = SONDE_NEW(runtime, made->piece, SONDE__PIECE_BYTES);
    if (!status && path) status = create_file(made, path);
    if (!status) status = put_next(made, empty_header, sizeof empty_header);
    if (!status) status = open_path(made, 0, "", noun, spec);
    if (status) {
        sonde__writer_abort(made);
        return status;
    }
    *writer = made;
    return SONDE_OK;
}

sonde_status sonde__writer_enter(sonde__writer *writer, const char *name, const char *noun, const char *spec)
{
    SONDE_TRY(check_usable(writer, false));
    return writer_result(writer, enter_child(writer, name, noun, spec));
}

sonde_status sonde__writer_leave(sonde__writer *writer)
{
    SONDE_TRY(check_usable(writer, false));
    if (writer->depth == 0)
        return writer_result(writer, sonde__fail(SONDE_INTERNAL, "%s: leave without enter", writer->name));
    return writer_result(writer, close_path(writer));
}

static sonde_status check_meta_key(sonde__writer *writer, const char *key)
{
    SONDE_TRY(check_usable(writer, false));
    if (sonde__key_valid(key)) return SONDE_OK;
    return writer_result(writer, sonde__fail(SONDE_INTERNAL, "%s: \"%s\" is no META key", writer->name, key));
}

sonde_status sonde__write_int(sonde__writer *writer, const char *key, int64_t value)
{
    SONDE_TRY(check_meta_key(writer, key));
    return writer_result(writer, add_number(writer, SONDE__META_INT, key, (uint64_t)value));
}

sonde_status sonde__write_real(sonde__writer *writer, const char *key, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    SONDE_TRY(check_meta_key(writer, key));
    return writer_result(writer, add_number(writer, SONDE__META_REAL, key, bits));
}

sonde_status sonde__write_text(sonde__writer *writer, const char *key, const char *value)
{
    SONDE_TRY(check_meta_key(writer, key));
    return writer_result(writer, add_text(writer, key, value));
}

sonde_status sonde__write_begin(sonde__writer *writer, const char *tag, uint32_t element_size)
{
    SONDE_TRY(check_usable(writer, false));
    bool sized = element_size == 1 || element_size == 2 || element_size == 4 || element_size == 8;
    if (!sonde__tag_valid(tag) || strcmp(tag, "SPEC") == 0 || strcmp(tag, "META") == 0 || !sized)
        return writer_result(writer, sonde__fail(SONDE_INTERNAL, "%s: \"%s\" of %u-byte elements is no section",
                                            writer->name, tag, element_size));
    return writer_result(writer, begin_section(writer, tag, element_size, 0));
}

sonde_status sonde__write_append(sonde__writer *writer, const void *data, uint64_t bytes)
{
    SONDE_TRY(check_usable(writer, true));
    return writer_result(writer, append_section(writer, data, bytes));
}

sonde_status sonde__write_end(sonde__writer *writer)
{
    SONDE_TRY(check_usable(writer, true));
    return writer_result(writer, end_section(writer));
}

sonde_status sonde__write_array(sonde__writer *writer, const char *tag, const void *data, uint64_t count,
                                uint32_t element_size)
{
    uint64_t bytes;
    if (__builtin_mul_overflow(count, (uint64_t)element_size, &bytes))
        return writer_result(writer,
                             sonde__fail(SONDE_LIMIT, "%s: section %s is too large", writer->name, tag));
    SONDE_TRY(sonde__write_begin(writer, tag, element_size));
    SONDE_TRY(sonde__write_append(writer, data, bytes));
    return sonde__write_end(writer);
}

/* ---- The end ----------------------------------------------------------------------------------------------------- */

/* Closes the root and writes the table of contents; gives the header, which is still to be put at byte 0. */
static sonde_status complete_contents(sonde__writer *writer, uint8_t header[SONDE__HEADER_BYTES])
{
    SONDE_TRY(check_usable(writer, false));
    if (writer->depth != 0) return sonde__fail(SONDE_INTERNAL, "%s: a child was not left", writer->name);
    SONDE_TRY(close_path(writer));
    SONDE_TRY(put_gap(writer, SONDE__ALIGN_SMALL));
    const byte_list *contents = &writer->contents;
    sonde__header fields = {.major = SONDE__FORMAT_MAJOR,
                            .minor = SONDE__FORMAT_MINOR,
                            .flags = SONDE__FORMAT_ENDIAN,
                            .toc_offset = writer->end,
                            .toc_count = (uint32_t)(contents->used / SONDE__ENTRY_BYTES),
                            .entry_bytes = SONDE__ENTRY_BYTES,
                            .content_id = sonde__kernels_get()->crc32c(0, contents->data, contents->used)};
    SONDE_TRY(put_next(writer, contents->data, contents->used));
    fields.file_bytes = writer->end;
    sonde__header_pack(&fields, header);
    return SONDE_OK;
}

/* The order matters: no header before all that it vouches for, no rename before the header is durable. */
static sonde_status commit_file(sonde__writer *writer)
{
    uint8_t header[SONDE__HEADER_BYTES];
    SONDE_TRY(complete_contents(writer, header));
    int failed = sonde__file_sync(&writer->file);
    if (!failed) failed = sonde__file_write(&writer->file, 0, header, sizeof header);
    if (!failed) failed = sonde__file_sync(&writer->file);
    if (failed) return fail_os(writer, "write", failed);
    writer->opened = false;
    failed = sonde__file_close(&writer->file);
    if (!failed) failed = sonde__file_replace(writer->temporary, writer->name);
    return failed ? fail_os(writer, "replace the file", failed) : SONDE_OK;
}

/* Everything but the file. */
static void writer_release(sonde__writer *writer)
{
    sonde_runtime *runtime = writer->runtime;
    for (int i = 0; i <= SONDE__DEPTH_MAX; i++) sonde__free(runtime, writer->levels[i].meta.data);
    sonde__free(runtime, writer->memory.data);
    sonde__free(runtime, writer->contents.data);
    sonde__free(runtime, writer->children.data);
    sonde__free(runtime, writer->piece_sums.data);
    sonde__free(runtime, writer->piece);
    sonde__free(runtime, writer->temporary);
    sonde__free(runtime, writer->name);
    sonde__free(runtime, writer);
}

void sonde__writer_abort(sonde__writer *writer)
{
    if (!writer) return;
    /* A temporary that could not be created is not ours to delete. */
    bool created = writer->opened;
    if (created) {
        sonde__file_close(&writer->file);
        sonde__file_delete(writer->temporary);
    }
    writer_release(writer);
}

sonde_status sonde__writer_finish(sonde__writer *writer)
{
    sonde_status status = writer->temporary ? commit_file(writer)
                                            : sonde__fail(SONDE_INTERNAL, "finish of a writer to memory");
    if (status && writer->temporary && !writer->opened) sonde__file_delete(writer->temporary);
    sonde__writer_abort(writer);
    return status;
}

sonde_status sonde__writer_finish_memory(sonde__writer *writer, uint8_t **bytes, uint64_t *count)
{
    uint8_t header[SONDE__HEADER_BYTES];
    sonde_status status = writer->temporary ? sonde__fail(SONDE_INTERNAL, "finish_memory of a file's writer")
                                            : complete_contents(writer, header);
    if (!status) {
        memcpy(writer->memory.data, header, sizeof header);
        *bytes = writer->memory.data;
        *count = writer->memory.used;
        writer->memory.data = NULL;
    }
    sonde__writer_abort(writer);
    return status;
}
