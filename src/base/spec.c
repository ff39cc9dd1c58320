/* spec.c: the text of a spec to a tree. What the names mean is params.c's affair.
 *
 *   value = word [ "(" [ item { "," item } ] ")" ]
 *   item  = word "=" value  |  value
 *   word  = one or more of  A-Z a-z 0-9 _ - + .
 *
 * White space may stand between any two parts. A number is a word: only the key that it is given to can tell. Text is
 * at most 64 KiB and 16 parentheses deep, which also bounds the recursion.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include "base/spec.h"

typedef struct spec_reader {
    sonde__scratch *scratch;
    const char *text;
    size_t at;
    int depth;
} spec_reader;

static bool is_word_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '+' || c == '.';
}

/* The next character that is not white space; it is not taken. */
static char spec_peek(spec_reader *reader)
{
    while (reader->text[reader->at] && strchr(" \t\r\n", reader->text[reader->at])) reader->at++;
    return reader->text[reader->at];
}

static sonde_status fail_expected(const spec_reader *reader, const char *expected)
{
    unsigned char c = (unsigned char)reader->text[reader->at];
    char found[24];
    if (c == 0) snprintf(found, sizeof found, "the end");
    else if (c > ' ' && c < 127) snprintf(found, sizeof found, "'%c'", c);
    else snprintf(found, sizeof found, "byte 0x%02x", c);
    return sonde__fail(SONDE_INVALID_ARGUMENT, "spec: character %zu: expected %s, found %s", reader->at + 1,
                       expected, found);
}

static sonde_status read_word(spec_reader *reader, const char *expected, const char **word, size_t *place)
{
    spec_peek(reader);
    size_t begin = reader->at;
    while (is_word_character(reader->text[reader->at])) reader->at++;
    size_t length = reader->at - begin;
    if (length == 0) return fail_expected(reader, expected);
    char *copy;
    SONDE_TRY(SONDE_SCRATCH(reader->scratch, copy, length + 1));
    memcpy(copy, reader->text + begin, length);
    copy[length] = 0;
    *word = copy;
    *place = begin + 1;
    return SONDE_OK;
}

static sonde_status read_items(spec_reader *reader, const sonde__spec_item **items);

/* The parentheses of a value, if they follow. */
static sonde_status read_call(spec_reader *reader, sonde__spec_node *node)
{
    node->items = NULL;
    node->called = spec_peek(reader) == '(';
    if (!node->called) return SONDE_OK;
    if (reader->depth == SONDE__SPEC_MAX_DEPTH)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "spec: character %zu: specs are nested deeper than %d",
                           reader->at + 1, SONDE__SPEC_MAX_DEPTH);
    reader->depth++;
    reader->at++;
    SONDE_TRY(read_items(reader, &node->items));
    reader->depth--;
    return SONDE_OK;
}

static sonde_status read_value(spec_reader *reader, sonde__spec_node *node)
{
    SONDE_TRY(read_word(reader, "a value", &node->name, &node->place));
    return read_call(reader, node);
}

/* Only "=" tells a key from a value by position, so the word comes first. */
static sonde_status read_item(spec_reader *reader, sonde__spec_item *item)
{
    const char *word;
    SONDE_TRY(read_word(reader, "key=value or a spec", &word, &item->place));
    if (spec_peek(reader) == '=') {
        reader->at++;
        item->key = word;
        return read_value(reader, &item->value);
    }
    item->key = NULL;
    item->value.name = word;
    item->value.place = item->place;
    return read_call(reader, &item->value);
}

/* What follows "(" up to and with ")". */
static sonde_status read_items(spec_reader *reader, const sonde__spec_item **items)
{
    const sonde__spec_item **end = items;
    *items = NULL;
    if (spec_peek(reader) == ')') {
        reader->at++;
        return SONDE_OK;
    }
    for (;;) {
        sonde__spec_item *item;
        SONDE_TRY(SONDE_SCRATCH(reader->scratch, item, 1));
        item->next = NULL;
        SONDE_TRY(read_item(reader, item));
        *end = item;
        end = &item->next;
        char c = spec_peek(reader);
        if (c != ',' && c != ')') return fail_expected(reader, "',' or ')'");
        reader->at++;
        if (c == ')') return SONDE_OK;
    }
}

sonde_status sonde__spec_read(sonde__scratch *scratch, const char *text, sonde__spec_node *root)
{
    if (!text) return sonde__fail(SONDE_INVALID_ARGUMENT, "spec: the text is NULL");
    if (!memchr(text, 0, SONDE__SPEC_MAX_BYTES + 1))
        return sonde__fail(SONDE_INVALID_ARGUMENT, "spec: the text is longer than %d bytes",
                           SONDE__SPEC_MAX_BYTES);
    spec_reader reader = {scratch, text, 0, 0};
    SONDE_TRY(read_value(&reader, root));
    if (spec_peek(&reader) != 0) return fail_expected(&reader, "the end");
    return SONDE_OK;
}
