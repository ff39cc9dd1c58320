/* runtime.h: what the files of the base room share about the runtime and its parallel loops. Nothing outside base
 * includes it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_RUNTIME_H
#define SONDE_SRC_RUNTIME_H

#include "base/base.h"

#define SONDE__MESSAGE_BYTES 1024
#define SONDE__MAX_THREADS 1024
#define SONDE__SCRATCH_SLOTS 64

typedef struct sonde__pool sonde__pool;

struct sonde_runtime {
    sonde_runtime_options options; /* a complete copy; threads is the resolved number */
    _Atomic uint64_t shares;       /* the creator and every handle hold one */
    _Atomic int cancelled;         /* lock-free, because a signal handler may set it */
    _Atomic uint64_t used, peak;   /* bytes, headers included */
    _Atomic(sonde__scratch *) scratch[SONDE__SCRATCH_SLOTS]; /* idle arenas */
    _Atomic(sonde__pool *) pool;   /* threads of our own; NULL until the first parallel call needs them */
};

/* memory.c: blocks straight from the allocator, neither counted nor limited. NULL without a message on failure. */
void *sonde__block_get(const sonde_runtime_options *from, size_t size, size_t align);
void sonde__block_put(const sonde_runtime_options *from, void *block, size_t size, size_t align);
void *sonde__fail_address(uint64_t count, uint64_t size); /* OUT_OF_MEMORY: the product is too large; NULL */


/* ---- Parallel loops -------------------------------------------------------------------------------------------- */

/* One parallel loop while it runs; it lives on the caller's stack. */
typedef struct sonde__loop {
    sonde_runtime *runtime;
    sonde__chunk_fn fn;
    void *context;
    int64_t count, grain, chunks;
    const char *stage;    /* NULL = no progress */
    bool marks;           /* false: nested loops may still use threads */
    _Atomic int64_t next; /* the chunk to be handed out next */
    _Atomic int64_t done;
    _Atomic bool stop;
    int64_t told_step;    /* touched by the caller's thread only */
    double told_at;
    sonde__mutex lock;    /* guards the rest */
    int64_t failed_chunk;
    sonde_status status;
    char message[SONDE__MESSAGE_BYTES];
} sonde__loop;

/* parallel.c: takes chunks until there are none. Worker 0 is the caller. */
void sonde__loop_work(sonde__loop *loop, int worker);
/* Whether this thread only helps a loop that another thread called, so that callbacks must wait. */
bool sonde__parallel_helping(void);

/* parallel_omp.c: false if OpenMP was not built in or cannot serve this process; nothing was run then. */
bool sonde__openmp_run(sonde__loop *loop, int workers);

/* parallel_threads.c: threads of our own. Fails only before any chunk was run. */
sonde_status sonde__pool_run(sonde__loop *loop, int workers);
void sonde__pool_free(sonde_runtime *runtime);

#endif
