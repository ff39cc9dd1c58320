/* handle.c: creating, saving and opening a handle, written once for all nouns.
 *
 * Problem: each noun needs the same steps around its own state: hold a runtime, parse a spec, stream to a file that
 * appears only when it is whole, read it back, and travel as a part of another handle. All of them unwind on failure.
 * What it does not do: it knows no field of any handle; a noun hands its parts over and fills its own struct.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/handle.h"

#include <math.h>

sonde_status sonde__handle_width(const char *name, int64_t width, int64_t least, int64_t most)
{
    if (width >= least && width <= most) return SONDE_OK;
    return sonde__fail(SONDE_INVALID_ARGUMENT, "create: %s=%lld is outside %lld..%lld", name, (long long)width,
                       (long long)least, (long long)most);
}

sonde_status sonde__handle_begin(const sonde__noun *noun, const char *spec, sonde_runtime *given, uint64_t bytes,
                                 sonde__handle_parts *parts)
{
    *parts = (sonde__handle_parts){NULL, NULL, NULL};
    if (!spec)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "create: the spec of the %s is NULL", noun->name);
    SONDE_TRY(sonde__runtime_hold(given, &parts->runtime));
    sonde_status status = sonde__params_parse(parts->runtime, noun, spec, &parts->params);
    if (status == SONDE_OK && !(parts->memory = sonde__alloc_zero(parts->runtime, 1, bytes)))
        status = sonde__last_status();
    if (status != SONDE_OK) sonde__handle_end(parts);
    return status;
}

void sonde__handle_end(const sonde__handle_parts *parts)
{
    /* A copy, because `parts` may lie in the memory that goes. */
    sonde__handle_parts p = *parts;
    sonde__free(p.runtime, p.memory);
    if (p.params) sonde__params_free(p.runtime, p.params);
    sonde__runtime_drop(p.runtime);
}

/* Streams through a writer that shows nothing until finish, so that a failed save leaves the old file. */
sonde_status sonde__handle_save(const sonde__handle_class *class, const void *handle,
                                const sonde__handle_parts *parts, const char *path)
{
    if (!path) return sonde__fail(SONDE_INVALID_ARGUMENT, "save: the path is NULL");
    sonde__writer *writer = NULL;
    SONDE_TRY(sonde__writer_create(parts->runtime, path, class->noun->name, sonde__params_text(parts->params),
                                   &writer));
    sonde_status status = class->put(handle, writer);
    if (status == SONDE_OK) return sonde__writer_finish(writer);
    sonde__writer_abort(writer);
    return status;
}

/* Ends a writer to memory and hands its bytes out, or only their number where capacity is 0. */
static sonde_status finish_buffer(sonde_runtime *runtime, sonde__writer *writer, void *buffer, size_t capacity,
                                  size_t *length)
{
    uint8_t *bytes;
    uint64_t count;
    sonde_status status = SONDE_OK;
    SONDE_TRY(sonde__writer_finish_memory(writer, &bytes, &count));
    if (buffer && capacity >= count) memcpy(buffer, bytes, count);
    else if (capacity > 0)
        status = sonde__fail(SONDE_LIMIT, "save_buffer: capacity=%llu is too small for %llu bytes",
                             (unsigned long long)capacity, (unsigned long long)count);
    sonde__free(runtime, bytes);
    if (status == SONDE_OK) *length = (size_t)count;
    return status;
}

sonde_status sonde__handle_save_buffer(const sonde__handle_class *class, const void *handle,
                                       const sonde__handle_parts *parts, void *buffer, size_t capacity,
                                       size_t *length)
{
    if (!length || (capacity > 0 && !buffer))
        return sonde__fail(SONDE_INVALID_ARGUMENT, "save_buffer: %s is NULL", length ? "buffer" : "length");
    sonde__writer *writer = NULL;
    SONDE_TRY(sonde__writer_create(parts->runtime, NULL, class->noun->name, sonde__params_text(parts->params),
                                   &writer));
    sonde_status status = class->put(handle, writer);
    if (status == SONDE_OK)
        return finish_buffer(parts->runtime, writer, buffer, capacity, length);
    sonde__writer_abort(writer);
    return status;
}

/* From the file `path`, or from memory if there is a buffer; then path is its name in messages. */
static sonde_status open_from(const sonde__handle_class *class, const char *path, const void *buffer, size_t length,
                              const sonde_open_options *options, sonde_runtime *runtime, void **handle)
{
    /* One share for the reader; the handle that is made takes its own, and both are of one runtime. */
    sonde_runtime *held = NULL;
    SONDE_TRY(sonde__runtime_hold(runtime, &held));
    sonde__reader *reader = NULL;
    sonde_status status = sonde__reader_open(held, path, buffer, length, options, class->noun->name, &reader);
    if (status == SONDE_OK) status = class->take(held, reader, handle);
    if (status != SONDE_OK && reader) status = sonde__fail_within(status, "%s", path);
    sonde__reader_close(reader);
    sonde__runtime_drop(held);
    return status;
}

sonde_status sonde__handle_open(const sonde__handle_class *class, const char *path,
                                const sonde_open_options *options, sonde_runtime *runtime, void **handle)
{
    if (!path) return sonde__fail(SONDE_INVALID_ARGUMENT, "open: the path is NULL");
    return open_from(class, path, NULL, 0, options, runtime, handle);
}

sonde_status sonde__handle_open_buffer(const sonde__handle_class *class, const void *buffer, size_t length,
                                       const sonde_open_options *options, sonde_runtime *runtime, void **handle)
{
    if (!buffer) return sonde__fail(SONDE_INVALID_ARGUMENT, "open_buffer: the buffer is NULL");
    return open_from(class, "buffer", buffer, length, options, runtime, handle);
}

sonde_status sonde__handle_write(const sonde__handle_class *class, const void *handle,
                                 const sonde__params *params, sonde__writer *writer, const char *child)
{
    SONDE_TRY(sonde__writer_enter(writer, child, class->noun->name, sonde__params_text(params)));
    SONDE_TRY(class->put(handle, writer));
    return sonde__writer_leave(writer);
}

sonde_status sonde__handle_read(const sonde__handle_class *class, sonde_runtime *runtime,
                                sonde__reader *reader, const char *child, void **handle)
{
    SONDE_TRY(sonde__reader_enter(reader, child, class->noun->name));
    sonde_status status = class->take(runtime, reader, handle);
    sonde__reader_leave(reader);
    return status;
}

/* A bad spec is the caller's mistake in create, but damage when it stands in a file. */
sonde_status sonde__handle_from_file(sonde_status status, const sonde__noun *noun)
{
    if (status != SONDE_INVALID_ARGUMENT && status != SONDE_NOT_FOUND) return status;
    return sonde__fail_within(SONDE_CORRUPT, "the stored %s cannot be made", noun->name);
}

/* Copied, so that the state of a handle never points into a mapping that closes with the reader. */
sonde_status sonde__handle_floats(sonde_runtime *runtime, sonde__reader *reader, const char *tag,
                                  uint64_t count, float **values)
{
    sonde__blob blob;
    SONDE_TRY(sonde__read_array(reader, tag, count, sizeof(float), true, &blob));
    float *copy = sonde__alloc(runtime, count, sizeof *copy);
    sonde_status status = copy ? SONDE_OK : sonde__last_status();
    if (copy) memcpy(copy, blob.data, count * sizeof *copy);
    sonde__blob_free(runtime, &blob);
    for (uint64_t i = 0; i < count && status == SONDE_OK; i++)
        if (!isfinite(copy[i]))
            status = sonde__fail(SONDE_CORRUPT, "section \"%s\": value %llu is not finite", tag,
                                 (unsigned long long)i);
    if (status == SONDE_OK)
        *values = copy;
    else
        sonde__free(runtime, copy);
    return status;
}
