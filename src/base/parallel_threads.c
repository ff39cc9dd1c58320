/* parallel_threads.c: a small pool of threads that belongs to a runtime.
 *
 * Callers put their loop as a job into the pool's list; sleeping threads wake up, take a seat of the first job that has
 * one free, help until its chunks are gone, and sleep again. The caller works too, so a loop always ends, even if no
 * thread could be started. Several callers share the threads. Nothing spins.
 *
 *   seats   places for helpers that are still free      active   helpers inside the loop now
 *
 * Threads start at the first loop that wants them, never at load. After a fork a child has none of the parent's
 * threads and maybe a lock that nobody will release: it leaves that pool alone (the memory is freed with the runtime)
 * and starts a new one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/runtime.h"

typedef struct pool_job {
    struct pool_job *next;
    sonde__loop *loop;
    int seats, active, next_worker;
} pool_job;

struct sonde__pool {
    sonde__pool *abandoned; /* pools of the processes that this one was forked from */
    int64_t process;
    sonde__mutex lock; /* guards the rest */
    sonde__condition work, finished;
    pool_job *jobs;
    bool closing;
    int count, most;
    sonde__thread threads[];
};

/* Under the lock. The first job that still wants helpers, or NULL. */
static pool_job *pool_pick(sonde__pool *pool)
{
    pool_job *job = pool->jobs;
    while (job && job->seats == 0) job = job->next;
    return job;
}

static void *pool_thread(void *context)
{
    sonde__pool *pool = context;
    sonde__mutex_lock(&pool->lock);
    while (!pool->closing) {
        pool_job *job = pool_pick(pool);
        if (!job) {
            sonde__condition_wait(&pool->work, &pool->lock);
            continue;
        }
        job->seats--;
        job->active++;
        int worker = job->next_worker++;
        sonde__mutex_unlock(&pool->lock);
        sonde__loop_work(job->loop, worker);
        sonde__mutex_lock(&pool->lock);
        if (--job->active == 0) sonde__condition_all(&pool->finished);
    }
    sonde__mutex_unlock(&pool->lock);
    return NULL;
}

static sonde__pool *pool_make(sonde_runtime *runtime, int64_t process)
{
    int most = (int)runtime->options.threads - 1;
    sonde__pool *pool = sonde__alloc_zero(runtime, 1, sizeof *pool + (size_t)most * sizeof(sonde__thread));
    if (!pool) return NULL;
    pool->process = process;
    pool->most = most;
    sonde__mutex_init(&pool->lock);
    sonde__condition_init(&pool->work);
    sonde__condition_init(&pool->finished);
    return pool;
}

/* Joins the threads, if they are of this process, and frees the memory. */
static void pool_close(sonde_runtime *runtime, sonde__pool *pool)
{
    if (pool->process == sonde__os_process()) {
        sonde__mutex_lock(&pool->lock);
        pool->closing = true;
        sonde__condition_all(&pool->work);
        sonde__mutex_unlock(&pool->lock);
        for (int i = 0; i < pool->count; i++) sonde__thread_join(pool->threads[i]);
        sonde__condition_destroy(&pool->finished);
        sonde__condition_destroy(&pool->work);
        sonde__mutex_destroy(&pool->lock);
    }
    sonde__free(runtime, pool);
}

/* The pool of this process; NULL with the message set if there is no memory for it. */
static sonde__pool *pool_here(sonde_runtime *runtime)
{
    int64_t process = sonde__os_process();
    sonde__pool *pool = atomic_load(&runtime->pool);
    if (pool && pool->process == process) return pool;
    sonde__pool *made = pool_make(runtime, process);
    if (!made) return NULL;
    made->abandoned = pool;
    if (atomic_compare_exchange_strong(&runtime->pool, &pool, made)) return made;
    pool_close(runtime, made); /* another caller was first; `pool` is what it made */
    return pool;
}

/* Under the lock. A thread that cannot be started is not missed: the others take its chunks. */
static void pool_start_threads(sonde__pool *pool, int wanted)
{
    if (wanted > pool->most) wanted = pool->most;
    while (pool->count < wanted && sonde__thread_start(&pool->threads[pool->count], pool_thread, pool) == 0)
        pool->count++;
}

/* Under the lock. Other callers' jobs may stand before and behind this one. */
static void pool_remove(sonde__pool *pool, const pool_job *job)
{
    pool_job **link = &pool->jobs;
    while (*link != job) link = &(*link)->next;
    *link = job->next;
}

/* The job lives on this stack: it leaves the list before the wait, so that nobody joins it any more, and the wait ends
 * when the last helper has left. */
sonde_status sonde__pool_run(sonde__loop *loop, int workers)
{
    sonde__pool *pool = pool_here(loop->runtime);
    if (!pool) return sonde__last_status();
    pool_job job = {NULL, loop, workers - 1, 0, 1};
    sonde__mutex_lock(&pool->lock);
    pool_start_threads(pool, workers - 1);
    job.next = pool->jobs;
    pool->jobs = &job;
    sonde__condition_all(&pool->work);
    sonde__mutex_unlock(&pool->lock);

    sonde__loop_work(loop, 0);

    sonde__mutex_lock(&pool->lock);
    pool_remove(pool, &job);
    while (job.active > 0) sonde__condition_wait(&pool->finished, &pool->lock);
    sonde__mutex_unlock(&pool->lock);
    return SONDE_OK;
}

void sonde__pool_free(sonde_runtime *runtime)
{
    sonde__pool *pool = atomic_exchange(&runtime->pool, NULL);
    while (pool) {
        sonde__pool *abandoned = pool->abandoned;
        pool_close(runtime, pool);
        pool = abandoned;
    }
}
