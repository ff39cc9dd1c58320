/* container_read.c: opens container files (docs/format.md) that anyone may have written.
 *
 * A checksum finds accidents, not attackers, who can recompute it. So everything is checked before it is used, in this
 * order: size, magic, byte order, header checksum, version, the range of the table of contents, its checksum, each of
 * its rows, the gaps (VERIFY_FULL), META and SPEC of every path, the tree of paths, and, when a section is asked for,
 * its exact size and its checksum. Rows must lie one after another without holes, so sections cannot overlap.
 *
 * Every allocation is bounded by bytes that are really in the file. What is decided on (the rows, META) is copied out
 * of the file once; a mapped file may change under us, but not a count that was checked.
 *
 * Large sections carry a checksum for each piece, and are read and verified by several threads.
 *
 * Cost: opening is O(table of contents) and META; a section is one pass over its bytes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/container.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/runtime.h"
#include "kernels/kernels.h"

#define LABEL_BYTES 96
#define DAMAGED "; the file is damaged, nothing was loaded"

/* ---- Source ------------------------------------------------------------------------------------------------------ */

static sonde_status read_bytes(sonde__reader *reader, uint64_t offset, void *to, uint64_t bytes)
{
    if (reader->buffer) {
        if (bytes) memcpy(to, reader->buffer + offset, bytes);
        return SONDE_OK;
    }
    int failed = sonde__file_read(&reader->file, offset, to, bytes);
    if (failed == 0) return SONDE_OK;
    return sonde__fail(SONDE_IO, "cannot read %" PRIu64 " bytes at %" PRIu64 ": %s", bytes, offset,
                       strerror(failed));
}

/* The mapping serves arrays only: header, table and META are read through the descriptor, so a copy is checked. */
static sonde_status open_source(sonde__reader *reader, const char *path, bool mapped)
{
    int failed = sonde__file_open_read(path, &reader->file, &reader->bytes);
    if (failed == ENOENT) return sonde__fail(SONDE_NOT_FOUND, "there is no such file");
    if (failed == EINVAL) return sonde__fail(SONDE_IO, "is not a regular file");
    if (failed) return sonde__fail(SONDE_IO, "cannot open: %s", strerror(failed));
    reader->opened = true;
    /* Nothing can be mapped of an empty file; the checks that follow refuse it with better words. */
    if (!mapped || reader->bytes < SONDE__HEADER_BYTES) return SONDE_OK;
    const void *map;
    failed = sonde__file_map(&reader->file, reader->bytes, &map);
    if (failed) return sonde__fail(SONDE_IO, "cannot map: %s", strerror(failed));
    reader->map = map;
    return SONDE_OK;
}

static sonde_status take_options(const sonde_open_options *given, sonde_open_options *options)
{
    SONDE_TRY(sonde__options_read(given, sizeof *options, "open", options));
    if (options->mode == 0) options->mode = SONDE_OPEN_READ;
    if (options->mode > SONDE_OPEN_MMAP)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "open: mode is %u, not READ (1) or MMAP (2)",
                           options->mode);
    if (options->verify == 0)
        options->verify = options->mode == SONDE_OPEN_READ ? SONDE_VERIFY_FULL : SONDE_VERIFY_FAST;
    if (options->verify > SONDE_VERIFY_FAST)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "open: verify is %u, not FULL (1) or FAST (2)",
                           options->verify);
    return SONDE_OK;
}

/* ---- Header ------------------------------------------------------------------------------------------------------ */

/* Also recognises a first byte that lost its high bit, and line ends that were converted. */
static sonde_status check_magic(const uint8_t *header)
{
    if (memcmp(header, sonde__magic, sizeof sonde__magic) == 0) return SONDE_OK;
    if (memcmp(header, sonde__magic, 4) == 0 || memcmp(header, "\x09SND", 4) == 0)
        return sonde__fail(SONDE_CORRUPT,
                           "the first bytes are damaged as by a transfer in text mode; copy it as binary");
    return sonde__fail(SONDE_CORRUPT, "is not a Sonde file");
}

/* count <= 4096 and entry_bytes <= 256, so the product below stays small and so does what is allocated for it. */
static sonde_status check_contents_range(const sonde__reader *reader, const sonde__header *header)
{
    if (header->toc_count < 1 || header->toc_count > SONDE__SECTIONS_MAX)
        return sonde__fail(SONDE_CORRUPT, "header: %u sections, must be 1 to %d", header->toc_count,
                           SONDE__SECTIONS_MAX);
    if (header->entry_bytes < SONDE__ENTRY_BYTES || header->entry_bytes > SONDE__ENTRY_BYTES_MAX)
        return sonde__fail(SONDE_CORRUPT, "header: %u bytes an entry, must be %d to %d", header->entry_bytes,
                           SONDE__ENTRY_BYTES, SONDE__ENTRY_BYTES_MAX);
    uint64_t toc_bytes = (uint64_t)header->toc_count * header->entry_bytes;
    if (toc_bytes > reader->bytes - SONDE__HEADER_BYTES || header->toc_offset != reader->bytes - toc_bytes)
        return sonde__fail(SONDE_CORRUPT, "header: the table of contents is not the end of the file");
    return SONDE_OK;
}

/* The checks are ordered so that the message names the first cause, not a consequence. */
static sonde_status check_header(const sonde__reader *reader, const uint8_t *bytes, sonde__header *header)
{
    SONDE_TRY(check_magic(bytes));
    sonde__header_unpack(bytes, header);
    if (header->flags == __builtin_bswap32(SONDE__FORMAT_ENDIAN))
        return sonde__fail(SONDE_INCOMPATIBLE, "was written in big-endian byte order; that is not supported");

    uint32_t stored = (uint32_t)sonde__get_number(bytes + 60, 4), computed = sonde__header_checksum(bytes);
    if (stored != computed)
        return sonde__fail(SONDE_CORRUPT, "header: checksum differs (stored %08x, computed %08x)" DAMAGED,
                           stored, computed);
    if (header->major != SONDE__FORMAT_MAJOR)
        return sonde__fail(SONDE_INCOMPATIBLE, "has format version %u.%u, this library reads %d.x%s",
                           header->major, header->minor, SONDE__FORMAT_MAJOR,
                           header->major > SONDE__FORMAT_MAJOR ? "; use a newer library" : "");
    if (header->flags != SONDE__FORMAT_ENDIAN)
        return sonde__fail(SONDE_INCOMPATIBLE, "header: flags %08x are unknown to this library",
                           header->flags);
    if (header->file_bytes != reader->bytes)
        return sonde__fail(SONDE_CORRUPT, "has %" PRIu64 " bytes, its header says %" PRIu64 "; it is %s",
                           reader->bytes, header->file_bytes,
                           header->file_bytes > reader->bytes ? "truncated" : "too long");
    return check_contents_range(reader, header);
}

/* ---- Table of contents ------------------------------------------------------------------------------------------- */

/* "code/CODES": how messages name a section. Before the paths are loaded, theirs shows as "?". */
static void section_label(const sonde__reader *reader, const sonde__section *section, char label[LABEL_BYTES])
{
    char path[LABEL_BYTES - 16];
    sonde__reader_path_text(reader, section->path, path, sizeof path);
    snprintf(label, LABEL_BYTES, "%s%s%s", path, *path ? "/" : "", section->tag);
}

static sonde_status fail_section(const sonde__reader *reader, const sonde__section *section,
                                 sonde_status status, const char *what)
{
    char label[LABEL_BYTES];
    section_label(reader, section, label);
    return sonde__fail(status, "section \"%s\": %s", label, what);
}

static sonde_status check_tag(const uint8_t *entry, const sonde__section *section)
{
    size_t length = strlen(section->tag);
    for (size_t i = length; i < SONDE__TAG_MAX; i++)
        if (entry[i] != 0) length = 0;
    if (length > 0 && sonde__tag_valid(section->tag)) return SONDE_OK;
    return sonde__fail(SONDE_CORRUPT, "table of contents: an entry has no valid tag");
}

/* Where a later minor version adds a section that must not be skipped, it marks it REQUIRED: older readers stop. */
static bool understood(const sonde__section *section)
{
    if (!(section->flags & SONDE__SECTION_REQUIRED)) return true;
    return section->version == 1 && (strcmp(section->tag, "SPEC") == 0 || strcmp(section->tag, "META") == 0);
}

/* Bytes that the section must take in the file; UINT64_MAX (which no file has) where that overflows. */
static uint64_t expected_stored(const sonde__section *section)
{
    uint64_t sums = section->flags & SONDE__SECTION_CHUNKHASH ? 4 * sonde__pieces(section->bytes) : 0, stored;
    return __builtin_add_overflow(section->bytes, sums, &stored) ? UINT64_MAX : stored;
}

/* `end` is where the section before ended, `limit` where the table of contents starts. */
static sonde_status check_section(const sonde__reader *reader, const sonde__section *section, uint64_t end,
                                  uint64_t limit)
{
    const uint32_t known = SONDE__SECTION_REQUIRED | SONDE__SECTION_COMPRESSED | SONDE__SECTION_CHUNKHASH;
    if (!understood(section))
        return fail_section(reader, section, SONDE_INCOMPATIBLE,
                            "is required and unknown to this library; use a newer library");
    if (section->flags & ~known || section->flags & SONDE__SECTION_COMPRESSED)
        return fail_section(reader, section, SONDE_INCOMPATIBLE, "is stored in a way that is unknown here");
    uint32_t align = section->align;
    if (align < SONDE__ALIGN_SMALL || align > SONDE__ALIGN_MAX || (align & (align - 1)) != 0)
        return fail_section(reader, section, SONDE_CORRUPT, "the alignment is no power of two from 64 to 2 MiB");
    if (section->offset != sonde__align_up(end, align))
        return fail_section(reader, section, SONDE_CORRUPT, "does not start where the one before ends");
    if (section->stored != expected_stored(section))
        return fail_section(reader, section, SONDE_CORRUPT, "stored and logical size do not fit together");
    if (section->offset > limit || section->stored > limit - section->offset)
        return fail_section(reader, section, SONDE_CORRUPT, "reaches beyond the end of the data");
    if (section->element_size == 0 || section->bytes % section->element_size != 0)
        return fail_section(reader, section, SONDE_CORRUPT, "does not hold a whole number of elements");
    return SONDE_OK;
}

/* Quadratic, but of at most 4096 rows, and each comparison ends at the path. */
static sonde_status check_unique(const sonde__reader *reader, uint32_t position)
{
    const sonde__section *section = &reader->sections[position];
    for (uint32_t i = 0; i < position; i++)
        if (reader->sections[i].path == section->path && strcmp(reader->sections[i].tag, section->tag) == 0)
            return fail_section(reader, section, SONDE_CORRUPT, "is there twice");
    return SONDE_OK;
}

/* No checksum covers the gaps between sections: they must be zero. */
static sonde_status check_gap(sonde__reader *reader, uint64_t begin, uint64_t end)
{
    uint8_t bytes[SONDE__ALIGN_LARGE];
    while (reader->full && begin < end) {
        uint64_t take = end - begin < sizeof bytes ? end - begin : sizeof bytes;
        SONDE_TRY(read_bytes(reader, begin, bytes, take));
        for (uint64_t i = 0; i < take; i++)
            if (bytes[i] != 0)
                return sonde__fail(SONDE_CORRUPT, "byte %" PRIu64 " between two sections is not zero" DAMAGED,
                                   begin + i);
        begin += take;
    }
    return SONDE_OK;
}

/* Each row is checked against where the one before ended, which is why no sorting is needed to exclude overlaps. */
static sonde_status take_sections(sonde__reader *reader, const sonde__header *header, const uint8_t *toc)
{
    uint64_t end = SONDE__HEADER_BYTES;
    for (uint32_t i = 0; i < header->toc_count; i++) {
        const uint8_t *entry = toc + (uint64_t)i * header->entry_bytes;
        sonde__section *section = &reader->sections[i];
        sonde__section_unpack(entry, section);
        reader->section_count = i + 1;
        SONDE_TRY(check_tag(entry, section));
        SONDE_TRY(check_section(reader, section, end, header->toc_offset));
        SONDE_TRY(check_unique(reader, i));
        SONDE_TRY(check_gap(reader, end, section->offset));
        end = section->offset + section->stored;
    }
    if (sonde__align_up(end, SONDE__ALIGN_SMALL) != header->toc_offset)
        return sonde__fail(SONDE_CORRUPT, "the table of contents does not follow the last section");
    return check_gap(reader, end, header->toc_offset);
}

static sonde_status load_contents(sonde__reader *reader, uint64_t max_bytes)
{
    uint8_t bytes[SONDE__HEADER_BYTES];
    sonde__header header;
    if (max_bytes && reader->bytes > max_bytes)
        return sonde__fail(SONDE_LIMIT, "has %" PRIu64 " bytes, max_bytes is %" PRIu64,
                           reader->bytes, max_bytes);
    if (reader->bytes < SONDE__HEADER_BYTES)
        return sonde__fail(SONDE_CORRUPT, "has %" PRIu64 " bytes, a Sonde file has at least %d",
                           reader->bytes, SONDE__HEADER_BYTES);
    SONDE_TRY(read_bytes(reader, 0, bytes, sizeof bytes));
    SONDE_TRY(check_header(reader, bytes, &header));

    uint64_t toc_bytes = (uint64_t)header.toc_count * header.entry_bytes;
    uint8_t *toc;
    SONDE_TRY(SONDE_NEW(reader->runtime, toc, toc_bytes));
    sonde_status status = read_bytes(reader, header.toc_offset, toc, toc_bytes);
    uint64_t computed = status ? 0 : sonde__kernels_get()->crc32c(0, toc, toc_bytes);
    if (!status && computed != header.content_id)
        status = sonde__fail(SONDE_CORRUPT, "table of contents: checksum differs (stored %08" PRIx64
                             ", computed %08" PRIx64 ")" DAMAGED, header.content_id, computed);
    if (!status) status = SONDE_NEW(reader->runtime, reader->sections, header.toc_count);
    if (!status) status = take_sections(reader, &header, toc);
    sonde__free(reader->runtime, toc);
    return status;
}

/* ---- Sections ---------------------------------------------------------------------------------------------------- */

/* Loading or summing one section, piece by piece. */
typedef struct section_load {
    sonde__reader *reader;
    const sonde__section *section;
    uint8_t *to; /* NULL = sum in the mapping */
    bool reuse;  /* `to` has room for one piece only, each takes the place of the one before */
    bool verify;
    const uint8_t *sums; /* one u32 for each piece, or NULL */
    uint32_t sum;        /* of all pieces so far, where there are no sums */
} section_load;

static sonde_status fail_checksum(const section_load *work, uint64_t stored, uint32_t computed)
{
    char label[LABEL_BYTES];
    section_label(work->reader, work->section, label);
    return sonde__fail(SONDE_CORRUPT, "section \"%s\": checksum differs (stored %08" PRIx64
                       ", computed %08x)" DAMAGED, label, stored, computed);
}

/* Pieces do not depend on each other where they have sums, so several threads may run this; without sums the one
 * checksum goes on from piece to piece, in order. Summing follows reading at once, while the piece is in cache. */
static sonde_status load_pieces(void *context, int64_t begin, int64_t end, int worker)
{
    section_load *work = context;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        uint64_t at = (uint64_t)i * SONDE__PIECE_BYTES, left = work->section->bytes - at;
        uint64_t take = left < SONDE__PIECE_BYTES ? left : SONDE__PIECE_BYTES;
        uint8_t *to = work->to && !work->reuse ? work->to + at : work->to;
        if (to) SONDE_TRY(read_bytes(work->reader, work->section->offset + at, to, take));
        if (!work->verify) continue;
        const uint8_t *data = to ? to : work->reader->map + work->section->offset + at;
        uint32_t sum = sonde__kernels_get()->crc32c(work->sums ? 0 : work->sum, data, take);
        if (!work->sums) work->sum = sum;
        else if (sum != sonde__get_number(work->sums + 4 * i, 4))
            return fail_checksum(work, sonde__get_number(work->sums + 4 * i, 4), sum);
    }
    return SONDE_OK;
}

/* The checksums of the pieces stand behind the data; the hash in the table of contents vouches for them. */
static sonde_status load_sums(section_load *work, uint8_t **sums)
{
    const sonde__section *section = work->section;
    sonde__reader *reader = work->reader;
    uint64_t bytes = section->stored - section->bytes;
    SONDE_TRY(SONDE_NEW(reader->runtime, *sums, bytes));
    work->sums = *sums;
    SONDE_TRY(read_bytes(reader, section->offset + section->bytes, *sums, bytes));
    uint32_t sum = sonde__kernels_get()->crc32c(0, *sums, bytes);
    return sum == section->hash ? SONDE_OK : fail_checksum(work, section->hash, sum);
}

/* Puts the data in place and verifies it, as far as the work asks for either. */
static sonde_status load_section(section_load *work)
{
    const sonde__section *section = work->section;
    int64_t pieces = (int64_t)sonde__pieces(section->bytes);
    if (!work->to && !work->verify) return SONDE_OK;
    if (!(section->flags & SONDE__SECTION_CHUNKHASH)) {
        SONDE_TRY(load_pieces(work, 0, pieces, 0));
        bool intact = !work->verify || work->sum == section->hash;
        return intact ? SONDE_OK : fail_checksum(work, section->hash, work->sum);
    }
    uint8_t *sums = NULL;
    sonde_status status = work->verify ? load_sums(work, &sums) : SONDE_OK;
    int threads = work->reuse ? 1 : 0;
    if (!status)
        status = sonde__parallel_for(work->reader->runtime, threads, pieces, 16, "load", load_pieces, work);
    sonde__free(work->reader->runtime, sums);
    return status;
}

sonde_status sonde__reader_verify(sonde__reader *reader, const sonde__section *section)
{
    uint64_t room = section->bytes < SONDE__PIECE_BYTES ? section->bytes : SONDE__PIECE_BYTES;
    section_load work = {.reader = reader, .section = section, .reuse = true, .verify = true};
    SONDE_TRY(SONDE_NEW(reader->runtime, work.to, room));
    sonde_status status = load_section(&work);
    sonde__free(reader->runtime, work.to);
    return status;
}

/* Linear: files have a few dozen sections, and each is looked up once. */
static const sonde__section *find_section(const sonde__reader *reader, uint32_t path, const char *tag)
{
    for (uint32_t i = 0; i < reader->section_count; i++)
        if (reader->sections[i].path == path && strcmp(reader->sections[i].tag, tag) == 0)
            return &reader->sections[i];
    return NULL;
}

/* ---- Paths ------------------------------------------------------------------------------------------------------- */

void sonde__reader_path_text(const sonde__reader *reader, uint32_t path, char *text, size_t capacity)
{
    /* Names are put in front, from the right end of the text; where they do not fit, the outer ones are left out. */
    size_t start = capacity - 1;
    text[start] = 0;
    for (uint32_t at = path; at > 0; at = reader->paths[at].parent) {
        const char *name = at < reader->path_count && reader->paths[at].name ? reader->paths[at].name : "?";
        size_t length = strlen(name), slash = text[start] != 0;
        if (length + slash > start) break;
        if (slash) text[--start] = '/';
        start -= length;
        memcpy(text + start, name, length);
        if (*name == '?') break;
    }
    memmove(text, text + start, capacity - start);
}

/* META and SPEC are small and always verified: everything else is decided by them. */
static sonde_status load_small(sonde__reader *reader, uint32_t path, const char *tag, uint64_t most,
                               uint8_t **data, uint64_t *bytes)
{
    const sonde__section *section = find_section(reader, path, tag);
    if (!section)
        return sonde__fail(SONDE_CORRUPT, "path %u has no section \"%s\"", path, tag);
    if (section->version != 1)
        return fail_section(reader, section, SONDE_INCOMPATIBLE, "has a version unknown to this library");
    if (section->bytes > most) return fail_section(reader, section, SONDE_CORRUPT, "is too large");
    SONDE_TRY(SONDE_NEW(reader->runtime, *data, section->bytes + 1));
    (*data)[section->bytes] = 0;
    *bytes = section->bytes;
    section_load work = {.reader = reader, .section = section, .to = *data, .verify = true};
    return load_section(&work);
}

static const char *find_text(const sonde__path *path, const char *key)
{
    sonde__pair pair;
    if (!sonde__meta_find(path->meta, path->meta_bytes, key, &pair, NULL)) return NULL;
    return pair.kind == SONDE__META_TEXT ? (const char *)pair.value : NULL;
}

/* Parents come before their children, so walking up always ends. */
static sonde_status link_path(sonde__reader *reader, uint32_t number)
{
    sonde__path *path = &reader->paths[number];
    sonde__pair parent;
    const char *name = find_text(path, "@name");
    bool linked = sonde__meta_find(path->meta, path->meta_bytes, "@parent", &parent, NULL) &&
                  parent.kind == SONDE__META_INT && sonde__get_number(parent.value, 8) < number;
    if (!linked || !name || !sonde__name_valid(name))
        return sonde__fail(SONDE_CORRUPT, "path %u has no valid name and parent", number);
    path->parent = (uint32_t)sonde__get_number(parent.value, 8);
    path->depth = reader->paths[path->parent].depth + 1;
    if (path->depth > SONDE__DEPTH_MAX)
        return sonde__fail(SONDE_CORRUPT, "handles are nested deeper than %d", SONDE__DEPTH_MAX);
    for (uint32_t i = 1; i < number; i++)
        if (reader->paths[i].parent == path->parent && strcmp(reader->paths[i].name, name) == 0)
            return sonde__fail(SONDE_CORRUPT, "two children are called \"%s\"", name);
    path->name = name;
    return SONDE_OK;
}

/* What it allocates hangs on the path at once, so that closing the reader frees it whatever fails. */
static sonde_status load_path(sonde__reader *reader, uint32_t number)
{
    sonde__path *path = &reader->paths[number];
    uint64_t spec_bytes;
    uint8_t *spec = NULL;
    sonde_status status = load_small(reader, number, "SPEC", SONDE__TEXT_MAX - 1, &spec, &spec_bytes);
    path->spec = (char *)spec;
    SONDE_TRY(status);
    if (strlen(path->spec) != spec_bytes)
        return sonde__fail(SONDE_CORRUPT, "path %u: the spec holds a zero byte", number);
    SONDE_TRY(load_small(reader, number, "META", SONDE__META_BYTES_MAX, &path->meta, &path->meta_bytes));
    if (!sonde__meta_valid(path->meta, path->meta_bytes))
        return sonde__fail(SONDE_CORRUPT, "path %u: META is not a sorted list of keys and values", number);
    path->noun = find_text(path, "@noun");
    if (!path->noun || !sonde__name_valid(path->noun))
        return sonde__fail(SONDE_CORRUPT, "path %u does not say what it is", number);
    return number == 0 ? SONDE_OK : link_path(reader, number);
}

sonde_status sonde__reader_load_paths(sonde__reader *reader)
{
    /* One META a path, and no tag twice: with all path numbers below the count, each has exactly one. */
    uint32_t count = 0;
    for (uint32_t i = 0; i < reader->section_count; i++)
        if (strcmp(reader->sections[i].tag, "META") == 0) count++;
    for (uint32_t i = 0; i < reader->section_count; i++)
        if (reader->sections[i].path >= count)
            return sonde__fail(SONDE_CORRUPT, "a section belongs to path %u, there are %u",
                               reader->sections[i].path, count);
    SONDE_TRY(SONDE_NEW_ZERO(reader->runtime, reader->paths, count));
    reader->path_count = count;
    for (uint32_t i = 0; i < count; i++) SONDE_TRY(load_path(reader, i));
    return SONDE_OK;
}

/* ---- Opening ----------------------------------------------------------------------------------------------------- */

/* Messages do not name the file, because only the outermost call knows whether there is one: it is put in front here
 * for the failures of opening, by the callers for what comes later. */
static sonde_status open_failed(sonde__reader *reader, const char *path, sonde_status status)
{
    sonde__reader_close(reader);
    return sonde__fail_within(status, "%s", path ? path : "buffer");
}

sonde_status sonde__reader_open_contents(sonde_runtime *runtime, const char *path, const void *buffer,
                                         uint64_t bytes, const sonde_open_options *options,
                                         sonde__reader **reader)
{
    sonde_open_options how;
    SONDE_TRY(take_options(options, &how));
    sonde__reader *opened;
    SONDE_TRY(SONDE_NEW_ZERO(runtime, opened, 1));
    opened->runtime = runtime;
    opened->buffer = buffer;
    opened->bytes = bytes;
    opened->full = how.verify == SONDE_VERIFY_FULL;
    sonde_status status = buffer ? SONDE_OK : open_source(opened, path, how.mode == SONDE_OPEN_MMAP);
    if (!status) status = load_contents(opened, how.max_bytes);
    if (status) return open_failed(opened, path, status);
    *reader = opened;
    return SONDE_OK;
}

sonde_status sonde__reader_open(sonde_runtime *runtime, const char *path, const void *buffer, uint64_t bytes,
                                const sonde_open_options *options, const char *noun, sonde__reader **reader)
{
    sonde__reader *opened;
    SONDE_TRY(sonde__reader_open_contents(runtime, path, buffer, bytes, options, &opened));
    sonde_status status = sonde__reader_load_paths(opened);
    if (!status && noun && strcmp(opened->paths[0].noun, noun) != 0)
        status = sonde__fail(SONDE_INCOMPATIBLE, "holds a handle of kind \"%s\", not \"%s\"",
                             opened->paths[0].noun, noun);
    if (status) return open_failed(opened, path, status);
    *reader = opened;
    return SONDE_OK;
}

void sonde__reader_close(sonde__reader *reader)
{
    if (!reader) return;
    sonde_runtime *runtime = reader->runtime;
    for (uint32_t i = 0; i < reader->path_count; i++) {
        sonde__free(runtime, reader->paths[i].spec);
        sonde__free(runtime, reader->paths[i].meta);
    }
    if (reader->map) sonde__file_unmap(reader->map, reader->bytes);
    if (reader->opened) sonde__file_close(&reader->file);
    sonde__free(runtime, reader->paths);
    sonde__free(runtime, reader->sections);
    sonde__free(runtime, reader);
}

bool sonde__reader_mapped(const sonde__reader *reader)
{
    return reader->map != NULL;
}

/* ---- The current path -------------------------------------------------------------------------------------------- */

const char *sonde__reader_spec(const sonde__reader *reader)
{
    return reader->paths[reader->current].spec;
}

sonde_status sonde__reader_enter(sonde__reader *reader, const char *child, const char *noun)
{
    for (uint32_t i = reader->current + 1; i < reader->path_count; i++) {
        const sonde__path *path = &reader->paths[i];
        if (path->parent != reader->current || strcmp(path->name, child) != 0) continue;
        if (noun && strcmp(path->noun, noun) != 0)
            return sonde__fail(SONDE_CORRUPT, "part \"%s\" is a %s, not a %s", child, path->noun, noun);
        reader->current = i;
        return SONDE_OK;
    }
    return sonde__fail(SONDE_CORRUPT, "part \"%s\" is missing", child);
}

void sonde__reader_leave(sonde__reader *reader)
{
    SONDE_ASSERT(reader->current != 0);
    reader->current = reader->paths[reader->current].parent;
}

static bool find_pair(const sonde__reader *reader, const char *key, sonde__pair *pair)
{
    const sonde__path *path = &reader->paths[reader->current];
    return sonde__meta_find(path->meta, path->meta_bytes, key, pair, NULL);
}

bool sonde__reader_has(const sonde__reader *reader, const char *tag_or_key)
{
    sonde__pair pair;
    return find_section(reader, reader->current, tag_or_key) || find_pair(reader, tag_or_key, &pair);
}

/* A key of another kind is as good as none: the file does not hold what was asked for. */
static sonde_status take_pair(const sonde__reader *reader, const char *key, uint32_t kind, sonde__pair *pair)
{
    static const char *const kinds[] = {"", "integer", "real", "text"};
    if (find_pair(reader, key, pair) && pair->kind == kind) return SONDE_OK;
    return sonde__fail(SONDE_CORRUPT, "META lacks the %s \"%s\"", kinds[kind], key);
}

sonde_status sonde__read_int(sonde__reader *reader, const char *key, int64_t min, int64_t max, int64_t *value)
{
    sonde__pair pair;
    SONDE_TRY(take_pair(reader, key, SONDE__META_INT, &pair));
    int64_t stored = (int64_t)sonde__get_number(pair.value, 8);
    if (stored < min || stored > max)
        return sonde__fail(SONDE_CORRUPT, "META: %s is %" PRId64 ", must be %" PRId64 " to %" PRId64,
                           key, stored, min, max);
    *value = stored;
    return SONDE_OK;
}

sonde_status sonde__read_real(sonde__reader *reader, const char *key, double min, double max, double *value)
{
    sonde__pair pair;
    SONDE_TRY(take_pair(reader, key, SONDE__META_REAL, &pair));
    uint64_t bits = sonde__get_number(pair.value, 8);
    double stored;
    memcpy(&stored, &bits, sizeof stored);
    /* Infinities are refused even where the bounds are infinite; a NaN fails every comparison. */
    if (!(stored >= min && stored <= max) || stored - stored != 0)
        return sonde__fail(SONDE_CORRUPT, "META: %s is %g, must be %g to %g", key, stored, min, max);
    *value = stored;
    return SONDE_OK;
}

sonde_status sonde__read_text(sonde__reader *reader, const char *key, const char **value)
{
    sonde__pair pair;
    SONDE_TRY(take_pair(reader, key, SONDE__META_TEXT, &pair));
    *value = (const char *)pair.value;
    return SONDE_OK;
}

static sonde_status take_section(const sonde__reader *reader, const char *tag, uint32_t element_size,
                                 const sonde__section **found)
{
    const sonde__section *section = find_section(reader, reader->current, tag);
    if (!section) {
        sonde__section wanted = {.path = (uint16_t)reader->current};
        snprintf(wanted.tag, sizeof wanted.tag, "%s", tag);
        return fail_section(reader, &wanted, SONDE_CORRUPT, "is missing");
    }
    if (section->version != 1)
        return fail_section(reader, section, SONDE_INCOMPATIBLE, "has a version unknown to this library");
    if (section->element_size != element_size)
        return fail_section(reader, section, SONDE_CORRUPT, "has elements of another size");
    *found = section;
    return SONDE_OK;
}

sonde_status sonde__read_count(sonde__reader *reader, const char *tag, uint32_t element_size, uint64_t *count)
{
    const sonde__section *section;
    SONDE_TRY(take_section(reader, tag, element_size, &section));
    *count = section->bytes / element_size;
    return SONDE_OK;
}

/* Exactly, not at least: a longer array than the numbers say is a sign of damage too. */
static sonde_status check_count(const sonde__reader *reader, const sonde__section *section, uint64_t count)
{
    uint64_t bytes;
    if (!__builtin_mul_overflow(count, (uint64_t)section->element_size, &bytes) && bytes == section->bytes)
        return SONDE_OK;
    char label[LABEL_BYTES];
    section_label(reader, section, label);
    return sonde__fail(SONDE_CORRUPT, "section \"%s\": has %" PRIu64 " elements, must have %" PRIu64,
                       label, section->bytes / section->element_size, count);
}

sonde_status sonde__read_array(sonde__reader *reader, const char *tag, uint64_t count, uint32_t element_size,
                               bool force_copy, sonde__blob *blob)
{
    const sonde__section *section;
    SONDE_TRY(take_section(reader, tag, element_size, &section));
    SONDE_TRY(check_count(reader, section, count));
    /* The allocation equals the section's size, which was checked against the size of the file. */
    section_load work = {.reader = reader, .section = section, .verify = reader->full};
    sonde__blob made = {.bytes = section->bytes, .owned = force_copy || !reader->map};
    if (made.owned) {
        SONDE_TRY(SONDE_NEW(reader->runtime, work.to, section->bytes));
        made.data = work.to;
    } else {
        made.data = (void *)(uintptr_t)(reader->map + section->offset);
    }
    sonde_status status = load_section(&work);
    if (status) sonde__blob_free(reader->runtime, &made);
    else *blob = made;
    return status;
}

void sonde__blob_free(sonde_runtime *runtime, sonde__blob *blob)
{
    if (blob->owned) sonde__free(runtime, blob->data);
    *blob = (sonde__blob){0};
}
