/* text.h: small helpers for text inside base: a bounded writer, numbers that no locale can change, the nearest name.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_TEXT_H
#define SONDE_SRC_TEXT_H

#include "base/base.h"

/* Writes what fits into `capacity` bytes and counts the rest, so that a first pass with capacity 0 measures. */
typedef struct sonde__text {
    char *data;
    size_t capacity, length; /* length of the whole text, without the zero */
} sonde__text;
sonde__text sonde__text_start(char *data, size_t capacity);
void sonde__text_add(sonde__text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The shortest decimal text that reads back as the same double. */
#define SONDE__NUMBER_BYTES 40
void sonde__number_write(double value, char text[SONDE__NUMBER_BYTES]);
/* False unless the whole text is a decimal number (no nan, inf or hexadecimal). Too large a number gives an infinity. */
bool sonde__number_read(const char *text, double *value);

/* Collects the names that would have been right, and the one nearest to what was written. */
typedef struct sonde__choice {
    const char *wanted;
    size_t distance; /* of the nearest so far */
    char nearest[64];
    char list[400];
    size_t length;
} sonde__choice;
sonde__choice sonde__choice_start(const char *wanted);
void sonde__choice_offer(sonde__choice *choice, const char *name, size_t length);
/* "; did you mean 'bits'?" or "". */
void sonde__choice_hint(const sonde__choice *choice, char hint[96]);
/* NOT_FOUND, "context: no kind 'wanted'; did you mean 'nearest'? kinds: a, b, c". */
sonde_status sonde__choice_fail(const sonde__choice *choice, const char *context, const char *kind);

/* array.c: "f32 f16 i8" for a mask of dtypes. Static storage. */
const char *sonde__dtypes_text(uint32_t dtypes);

#endif
