/* output.c: what people and programs read: aligned tables, JSON, sizes in words, and the progress bar.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* ---- Tables -------------------------------------------------------------------------------------------- */

static void append_cell(cli_table *table, char *text)
{
    if (table->count == table->capacity) {
        table->capacity = table->capacity ? table->capacity * 2 : 64;
        table->cells = cli_grow(table->cells, table->capacity, sizeof *table->cells);
    }
    table->cells[table->count++] = text;
}

void cli_table_begin(cli_table *table, const char *align, const char *titles)
{
    memset(table, 0, sizeof *table);
    table->align = align;
    table->columns = (int)strlen(align);
    for (int i = 0; titles && i < table->columns; i++) {
        size_t length = strcspn(titles, "|");
        cli_table_cell(table, "%.*s", (int)length, titles);
        titles += length + (titles[length] == '|');
    }
}

/* Formats twice: once for the length, once for the text. */
void cli_table_cell(cli_table *table, const char *format, ...)
{
    va_list rest, again;
    va_start(rest, format);
    va_copy(again, rest);
    int length = vsnprintf(NULL, 0, format, rest);
    va_end(rest);
    char *text = cli_memory(length + 1, 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    append_cell(table, text);
}

/* Characters, not bytes, of UTF-8: continuation bytes take no room. */
static int width_of(const char *text)
{
    int width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static void print_cell(const cli_table *table, int64_t position, int width, FILE *file)
{
    int column = (int)(position % table->columns);
    const char *text = table->cells[position];
    int pad = width - width_of(text);
    bool last = column == table->columns - 1;
    if (table->align[column] == 'r')
        fprintf(file, "%*s%s", pad, "", text);
    else
        fprintf(file, "%s%*s", text, last ? 0 : pad, "");
    fputs(last ? "\n" : "  ", file);
}

void cli_table_print(cli_table *table, FILE *file)
{
    int *widths = cli_memory(table->columns, sizeof *widths);
    for (int64_t i = 0; i < table->count; i++) {
        int width = width_of(table->cells[i]), column = (int)(i % table->columns);
        if (width > widths[column])
            widths[column] = width;
    }
    for (int64_t i = 0; i < table->count; i++) {
        print_cell(table, i, widths[i % table->columns], file);
        free(table->cells[i]);
    }
    free(table->cells);
    free(widths);
    memset(table, 0, sizeof *table);
}

/* ---- JSON ---------------------------------------------------------------------------------------------- */

/* Bytes above 0x7f pass as they are: what is UTF-8 stays it. */
static void json_string(FILE *file, const char *text)
{
    fputc('"', file);
    for (; *text; text++) {
        unsigned char letter = (unsigned char)*text;
        if (letter == '"' || letter == '\\')
            fprintf(file, "\\%c", letter);
        else if (letter < 0x20 || letter == 0x7f)
            fprintf(file, "\\u%04x", letter);
        else
            fputc(letter, file);
    }
    fputc('"', file);
}

/* The comma before a value, and its key. */
static void json_begin_value(cli_json *json, const char *key)
{
    if (json->filled[json->depth])
        fputs(", ", json->file);
    json->filled[json->depth] = true;
    if (key) {
        json_string(json->file, key);
        fputs(": ", json->file);
    }
}

void cli_json_start(cli_json *json, FILE *file)
{
    memset(json, 0, sizeof *json);
    json->file = file;
}

void cli_json_open(cli_json *json, const char *key, char bracket)
{
    json_begin_value(json, key);
    fputc(bracket, json->file);
    json->depth++;
    json->filled[json->depth] = false;
    json->closing[json->depth] = bracket == '{' ? '}' : ']';
}

void cli_json_close(cli_json *json)
{
    fputc(json->closing[json->depth--], json->file);
    if (!json->depth)
        fputc('\n', json->file);
}

void cli_json_text(cli_json *json, const char *key, const char *value)
{
    json_begin_value(json, key);
    json_string(json->file, value);
}

void cli_json_int(cli_json *json, const char *key, int64_t value)
{
    json_begin_value(json, key);
    fprintf(json->file, "%lld", (long long)value);
}

/* JSON has no infinities: they become null. Nine digits bring every float back. */
void cli_json_real(cli_json *json, const char *key, double value)
{
    json_begin_value(json, key);
    if (isfinite(value))
        fprintf(json->file, "%.9g", value);
    else
        fputs("null", json->file);
}

void cli_json_bool(cli_json *json, const char *key, bool value)
{
    json_begin_value(json, key);
    fputs(value ? "true" : "false", json->file);
}

/* ---- Words for values ---------------------------------------------------------------------------------- */

const char *cli_grouped(int64_t number, char *text)
{
    char digits[CLI_TEXT_BYTES];
    int length = snprintf(digits, sizeof digits, "%lld", (long long)number), at = 0;
    for (int i = 0; i < length; i++) {
        bool comma = i > (number < 0) && (length - i) % 3 == 0;
        if (comma)
            text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = 0;
    return text;
}

const char *cli_size(uint64_t bytes, char *text)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)bytes;
    int unit = 0;
    for (; value >= 1000 && unit < 6; unit++)
        value /= 1000;
    snprintf(text, CLI_TEXT_BYTES, unit && value < 100 ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return text;
}

const char *cli_metric_name(uint32_t metric)
{
    static const char *const names[] = {"none", "l2", "ip", "cosine", "hamming"};
    return metric <= SONDE_METRIC_HAMMING ? names[metric] : "unknown";
}

/* ---- The progress bar ---------------------------------------------------------------------------------- */

/* A bar appears only when a call has lasted this long, so that quick work leaves the screen alone. */
static const double patience_seconds = 0.3;
static struct {
    double since, drawn; /* since: the first word of progress after the last clearing */
    bool enabled, visible;
} bar;

void cli_progress_enable(bool enabled)
{
    bar.enabled = enabled;
}

static void draw(const char *stage, double share)
{
    enum { WIDTH = 30 };
    int filled = (int)(share * WIDTH);
    fprintf(stderr, "\r\033[K%-32.32s [", stage);
    for (int i = 0; i < WIDTH; i++)
        fputc(i < filled ? '#' : ' ', stderr);
    fprintf(stderr, "] %3.0f %%", share * 100);
    fflush(stderr);
    bar.visible = true;
}

int cli_progress(const char *stage, uint64_t done, uint64_t total, void *user)
{
    (void)user;
    double now = cli_seconds();
    if (!bar.since)
        bar.since = now;
    if (bar.enabled && now - bar.since >= patience_seconds && now - bar.drawn >= 0.1) {
        bar.drawn = now;
        draw(stage, total && done < total ? (double)done / (double)total : 1);
    }
    return cli_interrupted() != 0;
}

void cli_progress_clear(void)
{
    if (bar.visible)
        fputs("\r\033[K", stderr);
    bar.visible = false;
    bar.since = 0;
}
