/* failing.h: an allocator that counts what lives and fails when it is told to, and a progress callback that
 * cancels; for every test of unwinding.
 *
 *     failing_allocator memory = {.fail_at = n};        the n-th call fails (from 1); 0 = none fails
 *     sonde_runtime_options options = failing_options(&memory);
 *
 * Programs that include it define _GNU_SOURCE first.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_TEST_FAILING_H
#define SONDE_TEST_FAILING_H

#include <stdatomic.h>

#include "test.h"

typedef struct failing_allocator {
    long fail_at;
    atomic_long calls, blocks, bytes; /* calls so far; what is alive now */
    atomic_long failed;
} failing_allocator;

static inline void *failing_alloc(size_t size, size_t align, void *user)
{
    failing_allocator *memory = user;
    if (atomic_fetch_add(&memory->calls, 1) + 1 == memory->fail_at) {
        atomic_fetch_add(&memory->failed, 1);
        return NULL;
    }
    void *block = NULL;
    if (posix_memalign(&block, align, size)) return NULL;
    atomic_fetch_add(&memory->blocks, 1);
    atomic_fetch_add(&memory->bytes, (long)size);
    return block;
}

static inline void failing_release(void *block, size_t size, size_t align, void *user)
{
    failing_allocator *memory = user;
    (void)align;
    atomic_fetch_sub(&memory->blocks, 1);
    atomic_fetch_sub(&memory->bytes, (long)size);
    free(block);
}

static inline sonde_runtime_options failing_options(failing_allocator *memory)
{
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    options.alloc = failing_alloc;
    options.release = failing_release;
    options.memory_user = memory;
    return options;
}

/* A progress callback that cancels once: `user` is an int, how many calls go on before. */
static inline int cancel_later(const char *stage, uint64_t done, uint64_t total, void *user)
{
    int *left = user;
    if (!stage || done > total || total == 0) abort();
    return (*left)-- == 0;
}

/* Runs `scene` with the 1st, 2nd, ... allocation failing until it runs through without a failure. A scene that was hit
 * must say OUT_OF_MEMORY, and never leave a block behind. Returns how many allocations the scene makes. */
static inline long failing_walk(sonde_status (*scene)(sonde_runtime_options *options))
{
    for (long n = 1; n < 100000; n++) {
        failing_allocator memory = {.fail_at = n};
        sonde_runtime_options options = failing_options(&memory);
        sonde_status status = scene(&options);
        assert_int_equal(memory.blocks, 0);
        assert_int_equal(memory.bytes, 0);
        if (memory.failed == 0) {
            if (status != SONDE_OK) fail_msg("without a failure: %s", sonde_error_message());
            return n - 1;
        }
        if (status != SONDE_OUT_OF_MEMORY)
            fail_msg("allocation %ld gave %s: %s", n, sonde_status_name(status), sonde_error_message());
    }
    fail_msg("the scene never ends");
    return -1;
}

#endif
