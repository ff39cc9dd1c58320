/* container.c: the bytes of a container file: header, rows of the table of contents, names, META records.
 *
 * Files are little-endian and hold no compiler's structs: each number is put and got by its offset, so that the layout
 * is exactly the tables of docs/format.md whatever compiler reads it. META is a run of records, sorted by key:
 *
 *     0  u8   kind: 1 integer (i64), 2 real (f64 bits), 3 text
 *     1  u8   bytes of the key
 *     2  u16  0
 *     4  u32  bytes of the value: 8, or those of the text with its final zero
 *     8       key, then value, nothing between or after
 *
 * Decoding never trusts a length: sonde__meta_at checks it against what is left.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/container.h"

#include "kernels/kernels.h" /* the one place where base looks up: the checksum kernel */

#define META_RECORD_BYTES 8u

/* As in PNG: the first byte catches 7-bit channels, CR LF and LF catch line-end conversion, 0x1a stops DOS's TYPE. */
const uint8_t sonde__magic[8] = {0x89, 'S', 'N', 'D', '\r', '\n', 0x1a, '\n'};

void sonde__put_number(uint8_t *at, int width, uint64_t value)
{
    for (int i = 0; i < width; i++) at[i] = (uint8_t)(value >> (8 * i));
}

uint64_t sonde__get_number(const uint8_t *at, int width)
{
    uint64_t value = 0;
    for (int i = 0; i < width; i++) value |= (uint64_t)at[i] << (8 * i);
    return value;
}

/* ---- Header and table of contents -------------------------------------------------------------------------------- */

uint32_t sonde__header_checksum(const uint8_t bytes[SONDE__HEADER_BYTES])
{
    return sonde__kernels_get()->crc32c(0, bytes, SONDE__HEADER_BYTES - 4);
}

void sonde__header_pack(const sonde__header *header, uint8_t bytes[SONDE__HEADER_BYTES])
{
    memset(bytes, 0, SONDE__HEADER_BYTES);
    memcpy(bytes, sonde__magic, sizeof sonde__magic);
    sonde__put_number(bytes + 8, 2, header->major);
    sonde__put_number(bytes + 10, 2, header->minor);
    sonde__put_number(bytes + 12, 4, header->flags);
    sonde__put_number(bytes + 16, 8, header->file_bytes);
    sonde__put_number(bytes + 24, 8, header->toc_offset);
    sonde__put_number(bytes + 32, 4, header->toc_count);
    sonde__put_number(bytes + 36, 4, header->entry_bytes);
    sonde__put_number(bytes + 40, 8, header->content_id);
    sonde__put_number(bytes + 60, 4, sonde__header_checksum(bytes));
}

void sonde__header_unpack(const uint8_t bytes[SONDE__HEADER_BYTES], sonde__header *header)
{
    header->major = (uint16_t)sonde__get_number(bytes + 8, 2);
    header->minor = (uint16_t)sonde__get_number(bytes + 10, 2);
    header->flags = (uint32_t)sonde__get_number(bytes + 12, 4);
    header->file_bytes = sonde__get_number(bytes + 16, 8);
    header->toc_offset = sonde__get_number(bytes + 24, 8);
    header->toc_count = (uint32_t)sonde__get_number(bytes + 32, 4);
    header->entry_bytes = (uint32_t)sonde__get_number(bytes + 36, 4);
    header->content_id = sonde__get_number(bytes + 40, 8);
}

void sonde__section_pack(const sonde__section *section, uint8_t bytes[SONDE__ENTRY_BYTES])
{
    memset(bytes, 0, SONDE__ENTRY_BYTES);
    memcpy(bytes, section->tag, strlen(section->tag));
    sonde__put_number(bytes + 8, 4, section->version);
    sonde__put_number(bytes + 12, 4, section->flags);
    sonde__put_number(bytes + 16, 8, section->offset);
    sonde__put_number(bytes + 24, 8, section->stored);
    sonde__put_number(bytes + 32, 8, section->bytes);
    sonde__put_number(bytes + 40, 4, section->element_size);
    sonde__put_number(bytes + 44, 4, section->align);
    sonde__put_number(bytes + 48, 8, section->hash);
    sonde__put_number(bytes + SONDE__ENTRY_PATH, 2, section->path);
}

void sonde__section_unpack(const uint8_t bytes[SONDE__ENTRY_BYTES], sonde__section *section)
{
    memcpy(section->tag, bytes, SONDE__TAG_MAX);
    section->tag[SONDE__TAG_MAX] = 0;
    section->version = (uint32_t)sonde__get_number(bytes + 8, 4);
    section->flags = (uint32_t)sonde__get_number(bytes + 12, 4);
    section->offset = sonde__get_number(bytes + 16, 8);
    section->stored = sonde__get_number(bytes + 24, 8);
    section->bytes = sonde__get_number(bytes + 32, 8);
    section->element_size = (uint32_t)sonde__get_number(bytes + 40, 4);
    section->align = (uint32_t)sonde__get_number(bytes + 44, 4);
    section->hash = sonde__get_number(bytes + 48, 8);
    section->path = (uint16_t)sonde__get_number(bytes + SONDE__ENTRY_PATH, 2);
}

/* ---- Names ------------------------------------------------------------------------------------------------------- */

/* 1 to `most` characters of `accepted`. */
static bool word_valid(const char *word, size_t most, const char *accepted)
{
    size_t length = strlen(word);
    return length >= 1 && length <= most && strspn(word, accepted) == length;
}

bool sonde__tag_valid(const char *tag)
{
    return word_valid(tag, SONDE__TAG_MAX, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
}

bool sonde__name_valid(const char *name)
{
    return word_valid(name, SONDE__NAME_MAX, "abcdefghijklmnopqrstuvwxyz0123456789_");
}

bool sonde__key_valid(const char *key)
{
    return word_valid(key, SONDE__KEY_MAX, "abcdefghijklmnopqrstuvwxyz0123456789_.");
}

/* ---- META -------------------------------------------------------------------------------------------------------- */

static bool pair_valid(const sonde__pair *pair)
{
    switch (pair->kind) {
    case SONDE__META_INT:
    case SONDE__META_REAL:
        return pair->value_bytes == 8;
    case SONDE__META_TEXT: /* exactly one zero, at the end */
        return pair->value_bytes >= 1 && pair->value_bytes <= SONDE__TEXT_MAX &&
               memchr(pair->value, 0, pair->value_bytes) == pair->value + pair->value_bytes - 1;
    default:
        return false;
    }
}

bool sonde__meta_at(const uint8_t *meta, uint64_t bytes, uint64_t position, sonde__pair *pair)
{
    if (position > bytes || bytes - position < META_RECORD_BYTES) return false;
    const uint8_t *record = meta + position;
    uint64_t left = bytes - position - META_RECORD_BYTES;
    pair->kind = record[0];
    pair->key_bytes = record[1];
    pair->value_bytes = (uint32_t)sonde__get_number(record + 4, 4);
    if (pair->key_bytes == 0 || pair->key_bytes > SONDE__KEY_MAX) return false;
    if (sonde__get_number(record + 2, 2) != 0) return false;
    if (left < pair->key_bytes || left - pair->key_bytes < pair->value_bytes) return false;
    pair->key = (const char *)record + META_RECORD_BYTES;
    pair->value = record + META_RECORD_BYTES + pair->key_bytes;
    pair->next = position + META_RECORD_BYTES + pair->key_bytes + pair->value_bytes;
    return pair_valid(pair);
}

/* By bytes; a key that begins another comes first. */
static int meta_key_compare(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    int order = memcmp(a, b, a_bytes < b_bytes ? a_bytes : b_bytes);
    return order ? order : (a_bytes > b_bytes) - (a_bytes < b_bytes);
}

bool sonde__meta_find(const uint8_t *meta, uint64_t bytes, const char *key, sonde__pair *pair,
                      uint64_t *position)
{
    int order = -1;
    uint64_t at = 0;
    while (sonde__meta_at(meta, bytes, at, pair)) {
        order = meta_key_compare(pair->key, pair->key_bytes, key, strlen(key));
        if (order >= 0) break;
        at = pair->next;
    }
    if (position) *position = at;
    return order == 0;
}

bool sonde__meta_valid(const uint8_t *meta, uint64_t bytes)
{
    sonde__pair before = {0}, pair;
    for (uint64_t at = 0; at < bytes; at = pair.next) {
        if (!sonde__meta_at(meta, bytes, at, &pair)) return false;
        bool first = !before.key;
        if (!first && meta_key_compare(before.key, before.key_bytes, pair.key, pair.key_bytes) >= 0) return false;
        before = pair;
    }
    return true;
}

uint64_t sonde__meta_record_bytes(const char *key, uint32_t value_bytes)
{
    return META_RECORD_BYTES + strlen(key) + value_bytes;
}

void sonde__meta_record_pack(uint8_t *to, uint32_t kind, const char *key, const void *value,
                             uint32_t value_bytes)
{
    size_t key_bytes = strlen(key);
    sonde__put_number(to, 2, kind | (uint64_t)key_bytes << 8);
    sonde__put_number(to + 2, 2, 0);
    sonde__put_number(to + 4, 4, value_bytes);
    memcpy(to + META_RECORD_BYTES, key, key_bytes);
    memcpy(to + META_RECORD_BYTES + key_bytes, value, value_bytes);
}
