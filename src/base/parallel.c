/* parallel.c: the one door to threads.
 *
 * A loop over [0, count) is cut into chunks of `grain`; workers take the next chunk from an atomic counter until none
 * is left. The cut depends on count and grain only, so results cannot depend on the number of threads. Chunks are handed
 * out in order and a chunk that was taken is always run, so when several chunks fail, the lowest of them has run too:
 * the failure that is reported is the same for any number of threads.
 *
 * Who runs the workers is the back end's affair (parallel_omp.c, parallel_threads.c); worker 0 is always the caller,
 * and callbacks are made by it alone. Nested loops run inline on the worker that meets them, except inside a loop of one
 * chunk, which has threads to spare.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include "base/runtime.h"

/* Progress is told at most this many times in a loop, unless the loop is slow: then ten times a second. */
#define PROGRESS_STEPS 1000
#define PROGRESS_SECONDS 0.1

/* What this thread is doing: callbacks may be made OUTSIDE and between the chunks of the loop that it called. */
typedef enum parallel_role { OUTSIDE, CALLING, HELPING } parallel_role;
static _Thread_local parallel_role role;

bool sonde__parallel_helping(void)
{
    return role == HELPING;
}

static sonde_status fail_cancelled(const char *stage)
{
    return sonde__fail(SONDE_CANCELLED, "%s: cancelled by sonde_runtime_cancel", stage ? stage : "work");
}

static sonde_status tell_progress(sonde_runtime *runtime, const char *stage, uint64_t done, uint64_t total)
{
    const sonde_runtime_options *options = &runtime->options;
    if (!stage || !options->progress || options->progress(stage, done, total, options->progress_user) == 0)
        return SONDE_OK;
    return sonde__fail(SONDE_CANCELLED, "%s: cancelled by the progress callback at %llu of %llu", stage,
                       (unsigned long long)done, (unsigned long long)total);
}

/* Inside a loop only the flag is read: its own stage is what the caller is told about. */
sonde_status sonde__poll(sonde_runtime *runtime, const char *stage, uint64_t done, uint64_t total)
{
    if (atomic_load_explicit(&runtime->cancelled, memory_order_relaxed)) return fail_cancelled(stage);
    if (role != OUTSIDE) return SONDE_OK;
    if (total == 0) total = 1;
    return tell_progress(runtime, stage, done < total ? done : total, total);
}

/* Keeps the failure of the lowest chunk, with the message of this thread, and stops the loop. */
static void loop_fail(sonde__loop *loop, int64_t chunk, sonde_status status)
{
    sonde__mutex_lock(&loop->lock);
    if (loop->status == SONDE_OK || chunk < loop->failed_chunk) {
        loop->status = status;
        loop->failed_chunk = chunk;
        snprintf(loop->message, sizeof loop->message, "%s", sonde_error_message());
    }
    sonde__mutex_unlock(&loop->lock);
    atomic_store(&loop->stop, true);
}

/* On the caller's thread, between chunks. */
static sonde_status loop_tell(sonde__loop *loop)
{
    if (!loop->stage || !loop->runtime->options.progress) return SONDE_OK;
    int64_t done = atomic_load(&loop->done);
    int64_t step = (int64_t)((double)done * PROGRESS_STEPS / (double)loop->chunks);
    double now = sonde__os_seconds();
    if (step == loop->told_step && now - loop->told_at < PROGRESS_SECONDS) return SONDE_OK;
    loop->told_step = step;
    loop->told_at = now;
    return tell_progress(loop->runtime, loop->stage, (uint64_t)done, (uint64_t)loop->chunks);
}

static sonde_status loop_between_chunks(sonde__loop *loop, int worker)
{
    if (atomic_load_explicit(&loop->runtime->cancelled, memory_order_relaxed))
        return fail_cancelled(loop->stage);
    return worker == 0 ? loop_tell(loop) : SONDE_OK;
}

/* Asked before a chunk is taken, never after: see above. */
static bool loop_goes_on(sonde__loop *loop)
{
    return !atomic_load_explicit(&loop->stop, memory_order_relaxed) &&
           atomic_load_explicit(&loop->next, memory_order_relaxed) < loop->chunks;
}

static void loop_take_chunks(sonde__loop *loop, int worker)
{
    while (loop_goes_on(loop)) {
        sonde_status status = loop_between_chunks(loop, worker);
        int64_t chunk = loop->chunks; /* ranks behind the failure of any chunk */
        if (status == SONDE_OK) {
            chunk = atomic_fetch_add(&loop->next, 1);
            if (chunk >= loop->chunks) return;
            int64_t begin = chunk * loop->grain;
            int64_t end = chunk + 1 < loop->chunks ? begin + loop->grain : loop->count;
            status = loop->fn(loop->context, begin, end, worker);
        }
        if (status != SONDE_OK) {
            loop_fail(loop, chunk, status);
            return;
        }
        atomic_fetch_add(&loop->done, 1);
    }
}

void sonde__loop_work(sonde__loop *loop, int worker)
{
    parallel_role before = role;
    if (worker != 0) role = HELPING;
    else if (loop->marks && before == OUTSIDE) role = CALLING;
    loop_take_chunks(loop, worker);
    role = before;
}

int sonde__parallel_workers(const sonde_runtime *runtime, int threads, int64_t count, int64_t grain)
{
    if (role != OUTSIDE || count < 1) return 1;
    if (grain < 1) grain = 1;
    int most = sonde__runtime_threads(runtime, threads > 0 ? (uint32_t)threads : 0);
    return (int)sonde__min_i64(most, (count - 1) / grain + 1);
}

/* Runs the loop on `workers` threads and gives the first failure to the caller's thread, or tells it the end. */
static sonde_status loop_run(sonde__loop *loop, int workers)
{
    if (workers == 1) sonde__loop_work(loop, 0);
    else if (!sonde__openmp_run(loop, workers)) SONDE_TRY(sonde__pool_run(loop, workers));
    if (loop->status != SONDE_OK) return sonde__fail(loop->status, "%s", loop->message);
    return tell_progress(loop->runtime, loop->stage, (uint64_t)loop->chunks, (uint64_t)loop->chunks);
}

sonde_status sonde__parallel_for(sonde_runtime *runtime, int threads, int64_t count, int64_t grain,
                                 const char *stage, sonde__chunk_fn fn, void *context)
{
    if (count <= 0) return SONDE_OK;
    if (grain < 1) grain = 1;
    sonde__loop loop = {.runtime = runtime, .fn = fn, .context = context, .count = count, .grain = grain};
    loop.chunks = (count - 1) / grain + 1;
    loop.stage = role == OUTSIDE ? stage : NULL;
    loop.marks = loop.chunks > 1 || sonde__runtime_threads(runtime, threads > 0 ? (uint32_t)threads : 0) == 1;
    loop.told_step = -1;
    sonde__mutex_init(&loop.lock);
    sonde_status status = loop_run(&loop, sonde__parallel_workers(runtime, threads, count, grain));
    sonde__mutex_destroy(&loop.lock);
    return status;
}
