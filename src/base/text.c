/* text.c: bounded writing, numbers as text, and the nearest name to a misspelt one.
 *
 * The C library reads and prints the decimal point of the process's locale. A spec must mean the same everywhere, so no
 * number here ever shows the C library a point: "12.5e3" is read as "125e2", and a printed number is taken apart into
 * digits and exponent. The nearest name is found by the optimal string alignment distance (insert, drop, change, swap
 * neighbours), case ignored.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

sonde__text sonde__text_start(char *data, size_t capacity)
{
    if (capacity > 0) data[0] = 0;
    return (sonde__text){data, capacity, 0};
}

void sonde__text_add(sonde__text *text, const char *format, ...)
{
    size_t room = text->length < text->capacity ? text->capacity - text->length : 0;
    va_list arguments;
    va_start(arguments, format);
    int bytes = vsnprintf(room ? text->data + text->length : NULL, room, format, arguments);
    va_end(arguments);
    if (bytes > 0) text->length += (size_t)bytes;
}

sonde_status sonde__give_text(const char *source, char *text, size_t capacity, size_t *length)
{
    if (!text && capacity > 0)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "text is NULL, but capacity is %llu",
                           (unsigned long long)capacity);
    sonde__text out = sonde__text_start(text, capacity);
    sonde__text_add(&out, "%s", source);
    if (length) *length = out.length;
    return SONDE_OK;
}

#define DIGITS_MOST 64

/* A decimal number taken apart: (-1)^negative * digits * 10^exponent. */
typedef struct decimal {
    bool negative;
    char digits[DIGITS_MOST + 1];
    size_t count;
    long exponent;
} decimal;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Takes digits over until something else comes; false if there are too many. */
static bool decimal_digits(decimal *number, const char **text)
{
    for (; is_digit(**text); ++*text) {
        if (number->count == DIGITS_MOST) return false;
        number->digits[number->count++] = **text;
    }
    number->digits[number->count] = 0;
    return true;
}

static bool decimal_exponent(decimal *number, const char **text)
{
    bool negative = **text == '-';
    if (**text == '-' || **text == '+') ++*text;
    if (!is_digit(**text)) return false;
    long value = 0;
    for (; is_digit(**text); ++*text)
        if (value < 100000) value = 10 * value + (**text - '0');
    number->exponent += negative ? -value : value;
    return true;
}

/* The grammar of a number, stricter than strtod's: no white space, no names, no hexadecimal, no locale.
 * [sign] digits [. digits] [e [sign] digits], with a digit before or behind the point, and nothing after it. */
static bool decimal_read(const char *text, decimal *number)
{
    memset(number, 0, sizeof *number);
    number->negative = *text == '-';
    if (*text == '-' || *text == '+') text++;
    if (!decimal_digits(number, &text)) return false;
    if (*text == '.') {
        size_t before = number->count;
        text++;
        if (!decimal_digits(number, &text)) return false;
        number->exponent = -(long)(number->count - before);
    }
    if (number->count == 0) return false;
    if (*text == 'e' || *text == 'E') {
        text++;
        if (!decimal_exponent(number, &text)) return false;
    }
    return *text == 0;
}

/* strtod rounds correctly, and a text without a point means the same to it in every locale. */
static double decimal_value(const decimal *number)
{
    char text[DIGITS_MOST + 32];
    snprintf(text, sizeof text, "%s%se%ld", number->negative ? "-" : "", number->digits, number->exponent);
    return strtod(text, NULL);
}

bool sonde__number_read(const char *text, double *value)
{
    decimal number;
    if (!decimal_read(text, &number)) return false;
    *value = decimal_value(&number);
    return true;
}

/* Rounds a positive value to `count` digits, without reading the locale's point between the first two. */
static void decimal_round(double value, int count, decimal *number)
{
    char text[64];
    memset(number, 0, sizeof *number);
    snprintf(text, sizeof text, "%.*e", count - 1, value);
    const char *at = text;
    for (; *at != 'e'; at++)
        if (is_digit(*at)) number->digits[number->count++] = *at;
    number->exponent = strtol(at + 1, NULL, 10) - (count - 1);
}

/* Digits with a point where it belongs; far from 1 with an exponent. */
static void decimal_write(const decimal *number, sonde__text *out)
{
    int count = (int)number->count, before = count + (int)number->exponent; /* digits in front of the point */
    const char *digits = number->digits;
    if (before > 16 || before < -4) {
        sonde__text_add(out, "%c%s%se%d", digits[0], count > 1 ? "." : "", digits + 1, before - 1);
    } else if (before <= 0) {
        sonde__text_add(out, "0.%.*s%s", -before, "0000", digits);
    } else if (before >= count) {
        sonde__text_add(out, "%s%.*s", digits, before - count, "0000000000000000");
    } else {
        sonde__text_add(out, "%.*s.%s", before, digits, digits + before);
    }
}

/* Seventeen digits always suffice; the first count that reads back is the shortest. */
void sonde__number_write(double value, char text[SONDE__NUMBER_BYTES])
{
    sonde__text out = sonde__text_start(text, SONDE__NUMBER_BYTES);
    double size = fabs(value);
    if (value < 0) sonde__text_add(&out, "-");
    if (!(size > 0 && size < HUGE_VAL)) {
        sonde__text_add(&out, "%s", size == 0 ? "0" : size > 0 ? "inf" : "nan");
        return;
    }
    decimal number;
    int count = 1;
    decimal_round(size, count, &number);
    while (decimal_value(&number) != size && count < 17) decimal_round(size, ++count, &number);
    decimal_write(&number, &out);
}

#define NAME_MOST 40

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edits that turn a into b, by three rows of the table: a swap looks back two. Names longer than NAME_MOST are nowhere
 * near. */
static size_t edit_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t rows[3][NAME_MOST + 1];
    if (a_length > NAME_MOST || b_length > NAME_MOST) return SIZE_MAX;
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b_length; j++) above[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            bool same = lower(a[i - 1]) == lower(b[j - 1]);
            row[j] = least(above[j - 1] + !same, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]))
                row[j] = least(row[j], before[j - 2] + 1);
        }
        size_t *free_row = before;
        before = above;
        above = row;
        row = free_row;
    }
    return above[b_length];
}

/* A word that begins like the name counts as one edit, however much is missing. */
static size_t name_distance(const char *wanted, const char *name, size_t length)
{
    size_t wanted_length = strlen(wanted);
    if (wanted_length >= 2 && wanted_length < length && memcmp(wanted, name, wanted_length) == 0) return 1;
    return edit_distance(wanted, wanted_length, name, length);
}

sonde__choice sonde__choice_start(const char *wanted)
{
    sonde__choice choice = {.wanted = wanted};
    size_t length = strlen(wanted);
    /* One edit in four characters may be wrong, but never all of them. */
    choice.distance = length > 1 ? least(2 + length / 4, length) : 1;
    return choice;
}

/* The list is cut with "..." when it is full; the nearest name is found among all. */
void sonde__choice_offer(sonde__choice *choice, const char *name, size_t length)
{
    size_t distance = name_distance(choice->wanted, name, length);
    if (distance < choice->distance && length < sizeof choice->nearest) {
        choice->distance = distance;
        memcpy(choice->nearest, name, length);
        choice->nearest[length] = 0;
    }
    size_t room = sizeof choice->list - choice->length, reserve = sizeof ", ..., ";
    if (room == 0 || choice->length + length + reserve > sizeof choice->list) {
        if (room > 0) snprintf(choice->list + choice->length, room, ", ...");
        choice->length = sizeof choice->list;
        return;
    }
    const char *comma = choice->length > 0 ? ", " : "";
    choice->length += (size_t)snprintf(choice->list + choice->length, room, "%s%.*s", comma, (int)length,
                                       name);
}

void sonde__choice_hint(const sonde__choice *choice, char hint[96])
{
    if (choice->nearest[0]) snprintf(hint, 96, "; did you mean '%s'?", choice->nearest);
    else hint[0] = 0;
}

sonde_status sonde__choice_fail(const sonde__choice *choice, const char *context, const char *kind)
{
    char hint[96];
    sonde__choice_hint(choice, hint);
    return sonde__fail(SONDE_NOT_FOUND, "%s: no %s '%.64s'%s %ss: %s", context, kind, choice->wanted,
                       hint[0] ? hint : ";", kind, choice->list[0] ? choice->list : "none");
}
