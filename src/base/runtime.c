/* runtime.c: the object that lends memory and threads to handles, and carries the caller's callbacks.
 *
 * It is counted: the creator and every handle hold one share, and the last to leave frees it, so the order in which a
 * program frees things does not matter. A handle that was given no runtime makes a private one. The object itself comes
 * from the caller's allocator but is not counted, so `used` is what handles, scratch and threads hold.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/runtime.h"

static sonde_status runtime_options_check(sonde_runtime_options *options)
{
    if (options->threads > SONDE__MAX_THREADS)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "runtime: threads=%u is outside 0..%d (0 = all processors)",
                           (unsigned)options->threads, SONDE__MAX_THREADS);
    if (!options->alloc != !options->release)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "runtime: %s is given without %s; give both or neither",
                           options->alloc ? "alloc" : "release", options->alloc ? "release" : "alloc");
    if (options->threads == 0) {
        int cpus = sonde__os_cpus();
        options->threads = cpus < SONDE__MAX_THREADS ? (uint32_t)cpus : SONDE__MAX_THREADS;
    }
    return SONDE_OK;
}

/* A whole number of cache lines, as every block that is asked of an allocator. */
static size_t runtime_bytes(void)
{
    return (sizeof(sonde_runtime) + 63) / 64 * 64;
}

sonde_status sonde_runtime_create(const sonde_runtime_options *options, sonde_runtime **runtime)
{
    if (!runtime) return sonde__fail(SONDE_INVALID_ARGUMENT, "runtime: the output pointer is NULL");
    sonde_runtime_options complete;
    SONDE_TRY(sonde__options_read(options, sizeof complete, "runtime", &complete));
    SONDE_TRY(runtime_options_check(&complete));
    sonde_runtime *made = sonde__block_get(&complete, runtime_bytes(), 64);
    if (!made)
        return sonde__fail(SONDE_OUT_OF_MEMORY,
                           "runtime: the allocator returned nothing for the runtime itself");
    memset(made, 0, sizeof *made);
    made->options = complete;
    atomic_init(&made->shares, 1);
    atomic_init(&made->cancelled, 0);
    atomic_init(&made->used, 0);
    atomic_init(&made->peak, 0);
    for (int i = 0; i < SONDE__SCRATCH_SLOTS; i++) atomic_init(&made->scratch[i], NULL);
    atomic_init(&made->pool, NULL);
    *runtime = made;
    return SONDE_OK;
}

/* Relaxed is enough: whoever holds a share already sees the runtime. */
sonde_status sonde__runtime_hold(sonde_runtime *given, sonde_runtime **held)
{
    if (!given) return sonde_runtime_create(NULL, held);
    atomic_fetch_add_explicit(&given->shares, 1, memory_order_relaxed);
    *held = given;
    return SONDE_OK;
}

/* The options move to the stack, because the runtime that holds them is what is given back. */
void sonde__runtime_drop(sonde_runtime *runtime)
{
    if (!runtime || atomic_fetch_sub(&runtime->shares, 1) != 1) return;
    sonde__pool_free(runtime);
    sonde__scratch_trim(runtime);
    sonde_runtime_options from = runtime->options;
    sonde__block_put(&from, runtime, runtime_bytes(), 64);
}

void sonde_runtime_free(sonde_runtime *runtime)
{
    sonde__runtime_drop(runtime);
}

void sonde_runtime_cancel(sonde_runtime *runtime)
{
    if (runtime) atomic_store(&runtime->cancelled, 1);
}

void sonde_runtime_resume(sonde_runtime *runtime)
{
    if (runtime) atomic_store(&runtime->cancelled, 0);
}

sonde_status sonde_runtime_memory(const sonde_runtime *runtime, uint64_t *used_bytes, uint64_t *peak_bytes)
{
    if (!runtime) return sonde__fail(SONDE_INVALID_ARGUMENT, "runtime: the runtime is NULL");
    if (used_bytes) *used_bytes = atomic_load(&runtime->used);
    if (peak_bytes) *peak_bytes = atomic_load(&runtime->peak);
    return SONDE_OK;
}

int sonde__runtime_threads(const sonde_runtime *runtime, uint32_t asked)
{
    uint32_t most = runtime->options.threads;
    return (int)(asked != 0 && asked < most ? asked : most);
}

void sonde__log(sonde_runtime *runtime, sonde_log_level level, const char *format, ...)
{
    /* The callback belongs to the thread that called the library; helpers have nobody to tell. */
    if (!runtime->options.log || sonde__parallel_helping()) return;
    char text[SONDE__MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(text, sizeof text, format, arguments) >= 0)
        runtime->options.log((uint32_t)level, text, runtime->options.log_user);
    va_end(arguments);
}
