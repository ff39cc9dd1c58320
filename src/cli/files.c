/* files.c: whole files in (mapped where that is possible) and whole files out (written beside, then renamed).
 *
 * A reader never sees half of what we write: until the rename the old file stays, and a failure or a signal takes the
 * unfinished one away. Only devices, pipes and links are written straight.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

/* ---- In ------------------------------------------------------------------------------------------------ */

static int read_error(const char *path)
{
    return cli_error("%s: cannot be read: %s", path, strerror(errno));
}

/* For what cannot be mapped: reads until the end, growing by doubling. */
static int read_stream(int fd, const char *path, cli_bytes *bytes)
{
    size_t capacity = 0;
    for (;;) {
        if (bytes->size == capacity) {
            capacity = capacity ? capacity * 2 : 1 << 16;
            bytes->data = cli_grow(bytes->data, (int64_t)capacity, 1);
        }
        ssize_t got = read(fd, bytes->data + bytes->size, capacity - bytes->size);
        if (got == 0)
            return CLI_OK;
        if (got > 0)
            bytes->size += (size_t)got;
        else if (cli_interrupted())
            return cli_interrupt_exit();
        else if (errno != EINTR)
            return read_error(path);
    }
}

/* Empty files cannot be mapped, and files in some places (such as /proc) have no size: those are read. */
static int read_open_file(int fd, const char *path, cli_bytes *bytes)
{
    struct stat about;
    if (fstat(fd, &about))
        return read_error(path);
    if (!S_ISREG(about.st_mode) || about.st_size == 0)
        return read_stream(fd, path, bytes);
    void *mapping = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (mapping == MAP_FAILED)
        return read_stream(fd, path, bytes);
    *bytes = (cli_bytes){mapping, (size_t)about.st_size, true};
    return CLI_OK;
}

int cli_bytes_read(const char *path, cli_bytes *bytes)
{
    memset(bytes, 0, sizeof *bytes);
    bool standard = !strcmp(path, "-");
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return read_error(path);
    int code = read_open_file(fd, path, bytes);
    if (!standard)
        close(fd);
    if (code)
        cli_bytes_free(bytes);
    return code;
}

void cli_bytes_free(cli_bytes *bytes)
{
    if (bytes->mapped)
        munmap(bytes->data, bytes->size);
    else
        free(bytes->data);
    memset(bytes, 0, sizeof *bytes);
}

/* A copy of a file with a zero byte behind it. */
static int read_text(const char *path, char **text, size_t *size)
{
    cli_bytes bytes;
    int code = cli_bytes_read(path, &bytes);
    if (code)
        return code;
    *text = cli_memory((int64_t)bytes.size + 1, 1);
    if (bytes.size)
        memcpy(*text, bytes.data, bytes.size);
    *size = bytes.size;
    cli_bytes_free(&bytes);
    return CLI_OK;
}

/* Both kinds of line end; a last line needs none. */
int cli_lines_read(const char *path, cli_lines *lines)
{
    size_t size;
    memset(lines, 0, sizeof *lines);
    int code = read_text(path, &lines->text, &size);
    if (code)
        return code;
    int64_t ends = 1;
    for (size_t i = 0; i < size; i++)
        ends += lines->text[i] == '\n';
    lines->line = cli_memory(ends, sizeof *lines->line);
    char *at = lines->text, *end = lines->text + size;
    while (at < end) {
        char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        *stop = 0;
        if (stop > at && stop[-1] == '\r')
            stop[-1] = 0;
        lines->line[lines->count++] = at;
        at = stop + 1;
    }
    return CLI_OK;
}

void cli_lines_free(cli_lines *lines)
{
    free(lines->line);
    free(lines->text);
    memset(lines, 0, sizeof *lines);
}

/* ---- Ids ----------------------------------------------------------------------------------------------- */

/* One element of an i32 or i64 array. */
static int64_t whole_number(const sonde_array *array, int64_t row, int64_t column)
{
    int64_t wide = 0;
    int32_t narrow = 0;
    const char *cell =
        (const char *)array->data + row * array->stride + sonde_row_bytes(array->dtype, column);
    if (array->dtype == SONDE_DTYPE_I32)
        memcpy(&narrow, cell, 4);
    else
        memcpy(&wide, cell, 8);
    return wide + narrow;
}

static int ids_from_vectors(const char *path, int64_t **ids, int64_t *count)
{
    cli_vectors vectors;
    int code = cli_vectors_read(path, &vectors);
    if (code)
        return code;
    const sonde_array *array = &vectors.array;
    if (array->dtype != SONDE_DTYPE_I64 && array->dtype != SONDE_DTYPE_I32) {
        code = cli_error("%s: ids are whole numbers (int32 or int64), but this file holds %s", path,
                         cli_dtype_name(array->dtype));
    } else {
        *count = array->rows * array->cols;
        *ids = cli_memory(*count, sizeof **ids);
        for (int64_t i = 0; i < *count; i++)
            (*ids)[i] = whole_number(array, i / array->cols, i % array->cols);
    }
    cli_vectors_free(&vectors);
    return code;
}

/* At most every second letter can begin an id, which bounds their number before they are counted. */
static int ids_from_text(const char *path, int64_t **ids, int64_t *count)
{
    char *text;
    size_t size;
    int code = read_text(path, &text, &size);
    if (code)
        return code;
    int64_t *found = cli_memory((int64_t)size / 2 + 1, sizeof *found), n = 0;
    for (char *rest = text, *word; (word = strtok_r(rest, " \t\r\n,", &rest)) != NULL; n++) {
        if (!cli_number(word, &found[n])) {
            code = cli_error("%s: '%.40s' is not an id; ids are whole numbers with white space between", path,
                             word);
            break;
        }
    }
    free(text);
    if (code) {
        free(found);
        return code;
    }
    *ids = found;
    *count = n;
    return CLI_OK;
}

int cli_ids_read(const char *path, int64_t **ids, int64_t *count)
{
    return cli_format_of(path) ? ids_from_vectors(path, ids, count) : ids_from_text(path, ids, count);
}

/* ---- Out ----------------------------------------------------------------------------------------------- */

static cli_output *pending; /* what cli_output_discard_pending takes away */

/* The temporary name is in the same directory, since only there rename is one step; our process number is in it, so
 * that two programs that write one file do not mix. */
int cli_output_open(const char *path, cli_output *output)
{
    memset(output, 0, sizeof *output);
    output->path = path;
    struct stat about;
    bool exists = lstat(path, &about) == 0;
    bool straight = exists && !S_ISREG(about.st_mode);
    const char *target = path;
    if (!straight) {
        size_t bytes = strlen(path) + 32;
        output->temporary = cli_memory((int64_t)bytes, 1);
        snprintf(output->temporary, bytes, "%s.%ld.tmp", path, (long)getpid());
        target = output->temporary;
    }
    output->file = fopen(target, "wb");
    if (!output->file) {
        int code = cli_error("%s: cannot be written: %s", path, strerror(errno));
        free(output->temporary);
        return code;
    }
    pending = output;
    return CLI_OK;
}

void cli_output_discard(cli_output *output)
{
    if (output->file)
        fclose(output->file);
    if (output->temporary)
        unlink(output->temporary);
    free(output->temporary);
    memset(output, 0, sizeof *output);
    pending = NULL;
}

void cli_output_discard_pending(void)
{
    if (pending)
        cli_output_discard(pending);
}

/* Flushes and, for a file that will be renamed, waits until the disk has it. */
static bool finish_writing(cli_output *output)
{
    errno = 0;
    bool good = !ferror(output->file) && !fflush(output->file);
    if (good && output->temporary)
        good = fsync(fileno(output->file)) == 0;
    good = !fclose(output->file) && good;
    output->file = NULL;
    if (good && output->temporary)
        good = rename(output->temporary, output->path) == 0;
    return good;
}

int cli_output_commit(cli_output *output)
{
    const char *path = output->path;
    int code = CLI_OK;
    if (cli_interrupted()) {
        code = cli_interrupt_exit();
    } else if (finish_writing(output)) {
        free(output->temporary);
        output->temporary = NULL;
    } else {
        code = cli_error("%s: cannot be written: %s", path, errno ? strerror(errno) : "unknown reason");
    }
    cli_output_discard(output);
    return code;
}

int64_t cli_file_size(const char *path)
{
    struct stat about;
    return stat(path, &about) ? -1 : (int64_t)about.st_size;
}

bool cli_same_file(const char *first, const char *second)
{
    struct stat a, b;
    return !stat(first, &a) && !stat(second, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}
