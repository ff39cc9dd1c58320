/* message.c: statuses and the text of the last failure.
 *
 * Each thread has one fixed buffer, so reporting a failure allocates nothing and cannot fail itself. Text is put
 * together on the stack first: its arguments may point into the buffer that is about to be replaced. Text that does not
 * fit is cut at a character border of UTF-8.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/runtime.h"

static _Thread_local char last_message[SONDE__MESSAGE_BYTES];
static _Thread_local sonde_status last_status;

const char *sonde_status_name(sonde_status status)
{
    switch (status) {
#define STATUS_NAME(value, name, text) case SONDE_##name: return #name;
        SONDE_STATUS_LIST(STATUS_NAME)
#undef STATUS_NAME
    default: return "UNKNOWN";
    }
}

const char *sonde_status_text(sonde_status status)
{
    switch (status) {
#define STATUS_TEXT(value, name, text) case SONDE_##name: return text;
        SONDE_STATUS_LIST(STATUS_TEXT)
#undef STATUS_TEXT
    default: return "a status that this version of the library does not know";
    }
}

const char *sonde_error_message(void)
{
    return last_message;
}

sonde_status sonde__last_status(void)
{
    return last_status;
}

/* The longest prefix of at most `limit` bytes that does not split a UTF-8 character. */
static size_t utf8_prefix(const char *text, size_t limit)
{
    size_t length = strlen(text);
    if (length <= limit) return length;
    while (limit > 0 && ((unsigned char)text[limit] & 0xC0) == 0x80) limit--;
    return limit;
}

/* Callers format into more room than the buffer has, so that text which was cut can be told from what just fits. */
static sonde_status record_failure(sonde_status status, const char *text)
{
    size_t length = utf8_prefix(text, SONDE__MESSAGE_BYTES - 1);
    memcpy(last_message, text, length);
    last_message[length] = 0;
    last_status = status;
    return status;
}

sonde_status sonde__fail(sonde_status status, const char *format, ...)
{
    char text[SONDE__MESSAGE_BYTES + 8];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(text, sizeof text, format, arguments) < 0) text[0] = 0;
    va_end(arguments);
    return record_failure(status, text);
}

sonde_status sonde__fail_within(sonde_status status, const char *format, ...)
{
    char text[2 * SONDE__MESSAGE_BYTES + 8];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(text, SONDE__MESSAGE_BYTES, format, arguments) < 0) text[0] = 0;
    va_end(arguments);
    size_t length = strlen(text);
    snprintf(text + length, sizeof text - length, ": %s", last_message);
    return record_failure(status, text);
}
