/* container.h: what the writer, the reader and the inspector of container files share. Only they and the tests of the
 * format include it; everyone else uses the container part of base.h. The format is specified in docs/format.md.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_CONTAINER_H
#define SONDE_SRC_CONTAINER_H

#include "base/base.h"

#define SONDE__FORMAT_MAJOR 1
#define SONDE__FORMAT_MINOR 0
#define SONDE__FORMAT_ENDIAN 0xfeffu /* low half of the header's flags */

#define SONDE__HEADER_BYTES 64
#define SONDE__ENTRY_BYTES 64
#define SONDE__ENTRY_PATH 56 /* where an entry has its path */
#define SONDE__ENTRY_BYTES_MAX 256
#define SONDE__SECTIONS_MAX 4096
#define SONDE__DEPTH_MAX 16 /* children below the root */
#define SONDE__TAG_MAX 8
#define SONDE__NAME_MAX 15 /* nouns and child names */
#define SONDE__KEY_MAX 64
#define SONDE__TEXT_MAX 65536u /* specs and META texts, the final zero included */
#define SONDE__META_BYTES_MAX ((uint64_t)1 << 20)

#define SONDE__ALIGN_SMALL 64u
#define SONDE__ALIGN_LARGE 4096u /* of sections above one piece */
#define SONDE__ALIGN_MAX (2u << 20)
#define SONDE__PIECE_BYTES ((uint64_t)1 << 20) /* unit of writing, of reading and of piecewise checksums */
#define SONDE__PIECEWISE_ABOVE ((uint64_t)64 << 20)

/* Flags of a section. */
enum { SONDE__SECTION_REQUIRED = 1, SONDE__SECTION_COMPRESSED = 2, SONDE__SECTION_CHUNKHASH = 4 };

static inline uint64_t sonde__align_up(uint64_t value, uint64_t align)
{
    return (value + align - 1) & ~(align - 1);
}

/* Pieces of a section, the last one possibly short. */
static inline uint64_t sonde__pieces(uint64_t bytes)
{
    return bytes / SONDE__PIECE_BYTES + (bytes % SONDE__PIECE_BYTES != 0);
}

/* ---- container.c: bytes, names, META ---------------------------------------------------------------------------- */

/* Numbers in files are little-endian and may lie anywhere. width is 2, 4 or 8. */
void sonde__put_number(uint8_t *at, int width, uint64_t value);
uint64_t sonde__get_number(const uint8_t *at, int width);

typedef struct sonde__header {
    uint16_t major, minor;
    uint32_t flags;
    uint64_t file_bytes, toc_offset;
    uint32_t toc_count, entry_bytes;
    uint64_t content_id;
} sonde__header;
void sonde__header_pack(const sonde__header *header, uint8_t bytes[SONDE__HEADER_BYTES]);
void sonde__header_unpack(const uint8_t bytes[SONDE__HEADER_BYTES], sonde__header *header);
uint32_t sonde__header_checksum(const uint8_t bytes[SONDE__HEADER_BYTES]);
extern const uint8_t sonde__magic[8];

/* One row of the table of contents. */
typedef struct sonde__section {
    char tag[SONDE__TAG_MAX + 1];
    uint16_t path;
    uint32_t version, flags, element_size, align;
    uint64_t offset;
    uint64_t stored; /* bytes in the file: the data, and the piecewise checksums where there are any */
    uint64_t bytes;  /* of data */
    uint64_t hash;
} sonde__section;
void sonde__section_pack(const sonde__section *section, uint8_t bytes[SONDE__ENTRY_BYTES]);
void sonde__section_unpack(const uint8_t bytes[SONDE__ENTRY_BYTES], sonde__section *section);

bool sonde__tag_valid(const char *tag);
bool sonde__name_valid(const char *name); /* nouns and child names */
bool sonde__key_valid(const char *key);

enum { SONDE__META_INT = 1, SONDE__META_REAL = 2, SONDE__META_TEXT = 3 };

/* One record of a META section. The pointers go into the section. */
typedef struct sonde__pair {
    uint32_t kind;
    const char *key; /* not terminated */
    uint32_t key_bytes;
    const uint8_t *value; /* 8 bytes, or a text with its zero */
    uint32_t value_bytes;
    uint64_t next; /* where the next record starts */
} sonde__pair;
/* Decodes the record at a position; false if the bytes there are no record. */
bool sonde__meta_at(const uint8_t *meta, uint64_t bytes, uint64_t position, sonde__pair *pair);
/* Finds a key. Where it is missing, *position is where it belongs. position may be NULL. */
bool sonde__meta_find(const uint8_t *meta, uint64_t bytes, const char *key, sonde__pair *pair,
                      uint64_t *position);
/* Every record well-formed, keys strictly ascending. */
bool sonde__meta_valid(const uint8_t *meta, uint64_t bytes);
uint64_t sonde__meta_record_bytes(const char *key, uint32_t value_bytes);
void sonde__meta_record_pack(uint8_t *to, uint32_t kind, const char *key, const void *value,
                             uint32_t value_bytes);

/* ---- container_read.c: what the inspector needs ----------------------------------------------------------------- */

/* A handle inside the file: 0 is the root. */
typedef struct sonde__path {
    char *spec;
    uint8_t *meta;
    uint64_t meta_bytes;
    const char *noun, *name; /* inside meta */
    uint32_t parent, depth;
} sonde__path;

struct sonde__reader {
    sonde_runtime *runtime;
    sonde__file file;
    bool opened;
    const uint8_t *buffer; /* source where there is no file */
    const uint8_t *map;    /* NULL in READ mode */
    uint64_t bytes;
    bool full; /* VERIFY_FULL */
    sonde__section *sections;
    uint32_t section_count;
    sonde__path *paths;
    uint32_t path_count;
    uint32_t current;
};

/* Header and table of contents only, any noun: works for files whose other parts are damaged. */
sonde_status sonde__reader_open_contents(sonde_runtime *runtime, const char *path, const void *buffer,
                                         uint64_t bytes, const sonde_open_options *options,
                                         sonde__reader **reader);
/* Then META and SPEC of every path. */
sonde_status sonde__reader_load_paths(sonde__reader *reader);
/* "code", "code/inner", "" for the root; cut to capacity. */
void sonde__reader_path_text(const sonde__reader *reader, uint32_t path, char *text, size_t capacity);
/* Sums a section in the file without keeping it. CORRUPT if it differs. */
sonde_status sonde__reader_verify(sonde__reader *reader, const sonde__section *section);

#endif
