/* handle.h: what every noun's handle needs alike: a share of a runtime, a parsed spec, a file around its state, and a
 * place as a child inside another handle's file. A noun supplies two functions, put and take; the rest is here.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_HANDLE_H
#define SONDE_SRC_HANDLE_H

#include "base/base.h"

/* The beginning of a handle: zeroed memory for it, and what it holds. */
typedef struct sonde__handle_parts {
    sonde_runtime *runtime;
    sonde__params *params;
    void *memory;
} sonde__handle_parts;

/* Checks that the handle's width, such as "dim", is within least..most. */
sonde_status sonde__handle_width(const char *name, int64_t width, int64_t least, int64_t most);
/* Holds a runtime, parses the spec and allocates `bytes`. */
sonde_status sonde__handle_begin(const sonde__noun *noun, const char *spec, sonde_runtime *given, uint64_t bytes,
                                 sonde__handle_parts *parts);
void sonde__handle_end(const sonde__handle_parts *parts);

/* How a noun's handles go to and come from files. */
typedef struct sonde__handle_class {
    const sonde__noun *noun;
    /* Writes everything but the spec into the writer's current path. */
    sonde_status (*put)(const void *handle, sonde__writer *writer);
    /* Makes a handle from the reader's current path (sonde__reader_spec and what put wrote). */
    sonde_status (*take)(sonde_runtime *runtime, sonde__reader *reader, void **handle);
} sonde__handle_class;

/* A file of its own. */
sonde_status sonde__handle_save(const sonde__handle_class *class, const void *handle,
                                const sonde__handle_parts *parts, const char *path);
sonde_status sonde__handle_open(const sonde__handle_class *class, const char *path,
                                const sonde_open_options *options, sonde_runtime *runtime, void **handle);
/* The same bytes in memory: with capacity 0 it measures; LIMIT if capacity is too small. */
sonde_status sonde__handle_save_buffer(const sonde__handle_class *class, const void *handle,
                                       const sonde__handle_parts *parts, void *buffer, size_t capacity,
                                       size_t *length);
sonde_status sonde__handle_open_buffer(const sonde__handle_class *class, const void *buffer, size_t length,
                                       const sonde_open_options *options, sonde_runtime *runtime, void **handle);
/* A child inside another handle's file. */
sonde_status sonde__handle_write(const sonde__handle_class *class, const void *handle,
                                 const sonde__params *params, sonde__writer *writer, const char *child);
sonde_status sonde__handle_read(const sonde__handle_class *class, sonde_runtime *runtime,
                                sonde__reader *reader, const char *child, void **handle);

/* Turns the failure to make a handle from a spec that stands in a file into CORRUPT; other statuses pass. */
sonde_status sonde__handle_from_file(sonde_status status, const sonde__noun *noun);

/* Exactly `count` finite floats of a section, in new memory (free with sonde__free). CORRUPT otherwise. */
sonde_status sonde__handle_floats(sonde_runtime *runtime, sonde__reader *reader, const char *tag,
                                  uint64_t count, float **values);

#endif
