/* bench.h: what benchmarks share: giving up with a word, memory that is there, and matrices from npy files.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_TEST_BENCH_H
#define SONDE_TEST_BENCH_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sonde.h"

static inline _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

static inline void must(sonde_status status)
{
    if (status != SONDE_OK) give_up(sonde_error_message());
}

/* Zeroed. */
static inline void *get_memory(size_t bytes)
{
    void *memory = calloc(bytes, 1);
    if (!memory) give_up("no memory");
    return memory;
}

/* A matrix of f32 or f16 in C order; its data is the caller's to free. The header is a Python dictionary in
 * text: {'descr': '<f4', 'fortran_order': False, 'shape': (rows, columns), } */
static inline sonde_array read_npy(const char *path)
{
    FILE *file = fopen(path, "rb");
    unsigned char start[10];
    if (!file || fread(start, 1, 10, file) != 10 || memcmp(start, "\x93NUMPY\x01", 7) != 0)
        give_up("this is no npy file of version 1");
    size_t length = start[8] | (size_t)start[9] << 8;
    char *header = get_memory(length + 1);
    header[fread(header, 1, length, file)] = 0;
    const char *shape = strstr(header, "'shape': (");
    long long rows = 0, columns = 0;
    if (!shape || sscanf(shape, "'shape': (%lld, %lld)", &rows, &columns) != 2)
        give_up("the npy file holds no matrix");
    bool half = strstr(header, "<f2") != NULL;
    if (!half && !strstr(header, "<f4")) give_up("the npy file is neither f32 nor f16");
    size_t bytes = (size_t)rows * (size_t)columns * (half ? 2 : 4);
    void *data = get_memory(bytes);
    if (fread(data, 1, bytes, file) != bytes) give_up("the npy file is too short");
    fclose(file);
    free(header);
    return sonde_array_of(half ? SONDE_DTYPE_F16 : SONDE_DTYPE_F32, data, rows, columns);
}

#endif
