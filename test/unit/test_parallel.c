/* test_parallel.c: the one parallel loop: coverage, nesting, failures, cancelling, progress, several callers, fork.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../failing.h"

#include "base/base.h"

/* The thread sanitizer cannot follow threads into a forked child. */
#if defined(__SANITIZE_THREAD__)
#define FOLLOWS_FORK false
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FOLLOWS_FORK false
#endif
#endif
#ifndef FOLLOWS_FORK
#define FOLLOWS_FORK true
#endif

static sonde_runtime *make_runtime(uint32_t threads)
{
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    sonde_runtime *runtime = NULL;
    options.threads = threads;
    OK(sonde_runtime_create(&options, &runtime));
    return runtime;
}

/* What a loop did. Chunks write to places of their own; the test reads afterwards. */
typedef struct record {
    sonde_runtime *runtime;
    int64_t count, grain;
    int *hits;           /* of each item */
    int64_t *begins;     /* of each chunk */
    int workers;
    atomic_int busy[16]; /* chunks inside each worker now */
    atomic_int faults;
    atomic_int helped;
} record;

static sonde_status record_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    record *r = context;
    if (worker < 0 || worker >= r->workers || begin >= end) atomic_fetch_add(&r->faults, 1);
    else if (atomic_fetch_add(&r->busy[worker], 1) != 0) atomic_fetch_add(&r->faults, 1);
    for (int64_t i = begin; i < end; i++) r->hits[i]++;
    r->begins[begin / r->grain] = begin * 1000003 + end;
    if (worker > 0) atomic_fetch_add(&r->helped, 1);
    atomic_fetch_sub(&r->busy[worker], 1);
    return SONDE_OK;
}

static void every_item_once_and_the_same_chunks_for_any_threads(void **state)
{
    (void)state;
    const int64_t shapes[][2] = {{1, 1}, {1, 100}, {7, 1}, {100, 7}, {1000, 1}, {1000, 1000}, {1001, 1000},
                                 {5003, 64}};
    const int threads[] = {1, 2, 7};
    sonde_runtime *runtime = make_runtime(7);
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        int64_t count = shapes[s][0], grain = shapes[s][1], chunks = (count + grain - 1) / grain;
        int64_t *first = NULL;
        for (int t = 0; t < 3; t++) {
            record r = {.runtime = runtime, .count = count, .grain = grain};
            r.hits = test_alloc((size_t)count, sizeof *r.hits);
            r.begins = test_alloc((size_t)chunks, sizeof *r.begins);
            r.workers = sonde__parallel_workers(runtime, threads[t], count, grain);
            assert_true(r.workers >= 1 && r.workers <= threads[t] && r.workers <= chunks);
            OK(sonde__parallel_for(runtime, threads[t], count, grain, NULL, record_chunk, &r));
            assert_int_equal(r.faults, 0);
            for (int64_t i = 0; i < count; i++) assert_int_equal(r.hits[i], 1);
            if (!first) first = r.begins;
            assert_memory_equal(r.begins, first, (size_t)chunks * sizeof *first);
            if (r.begins != first) free(r.begins);
            free(r.hits);
        }
        free(first);
    }
    sonde_runtime_free(runtime);
}

static void odd_counts(void **state)
{
    (void)state;
    sonde_runtime *runtime = make_runtime(4);
    OK(sonde__parallel_for(runtime, 0, 0, 10, "stage", record_chunk, NULL));
    OK(sonde__parallel_for(runtime, 0, -5, 10, "stage", record_chunk, NULL));
    assert_int_equal(sonde__parallel_workers(runtime, 0, 0, 10), 1);
    assert_int_equal(sonde__parallel_workers(runtime, 0, INT64_MAX, 1), 4);
    assert_int_equal(sonde__parallel_workers(runtime, 2, INT64_MAX, INT64_MAX), 1);
    assert_int_equal(sonde__parallel_workers(runtime, -1, 100, 0), 4);
    int hits[3] = {0};
    int64_t begins[3];
    record r = {.runtime = runtime, .count = 3, .grain = 1, .hits = hits, .begins = begins, .workers = 4};
    OK(sonde__parallel_for(runtime, 0, 3, 0, NULL, record_chunk, &r)); /* a grain of 0 counts as 1 */
    assert_int_equal(hits[0] + hits[1] + hits[2], 3);
    assert_int_equal(r.faults, 0);
    sonde_runtime_free(runtime);
}

typedef struct meeting {
    atomic_int present;
    atomic_bool alone; /* somebody waited in vain */
} meeting;

/* Returns when two chunks are inside at once; gives up after seconds. */
static sonde_status meet(void *context, int64_t begin, int64_t end, int worker)
{
    meeting *m = context;
    (void)begin;
    (void)end;
    (void)worker;
    atomic_fetch_add(&m->present, 1);
    double start = sonde__os_seconds();
    while (atomic_load(&m->present) < 2)
        if (sonde__os_seconds() - start > 5) {
            atomic_store(&m->alone, true);
            break;
        }
    return SONDE_OK;
}

static void two_chunks_run_at_once(void **state)
{
    (void)state;
    sonde_runtime *runtime = make_runtime(2);
    for (int i = 0; i < 20; i++) {
        meeting m = {0};
        OK(sonde__parallel_for(runtime, 0, 2, 1, NULL, meet, &m));
        assert_false(m.alone);
    }
    sonde_runtime_free(runtime);
}

typedef struct nest {
    sonde_runtime *runtime;
    int threads;
    atomic_int inner, faults;
    meeting meeting;
} nest;

static sonde_status inner_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    nest *n = context;
    if (worker != 0) atomic_fetch_add(&n->faults, 1);
    atomic_fetch_add(&n->inner, (int)(end - begin));
    return SONDE_OK;
}

static sonde_status outer_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    nest *n = context;
    (void)begin;
    (void)end;
    (void)worker;
    if (sonde__parallel_workers(n->runtime, 0, 100, 1) != 1) atomic_fetch_add(&n->faults, 1);
    return sonde__parallel_for(n->runtime, 0, 10, 3, "inner", inner_chunk, n);
}

static void nested_loops_run_inline(void **state)
{
    (void)state;
    sonde_runtime *runtime = make_runtime(4);
    for (int threads = 1; threads <= 4; threads++) {
        nest n = {.runtime = runtime};
        OK(sonde__parallel_for(runtime, threads, 50, 1, NULL, outer_chunk, &n));
        assert_int_equal(n.inner, 500);
        assert_int_equal(n.faults, 0);
    }
    nest alone = {.runtime = runtime}; /* one chunk, but the caller asked for one thread */
    OK(sonde__parallel_for(runtime, 1, 1, 1, NULL, outer_chunk, &alone));
    assert_int_equal(alone.faults, 0);
    sonde_runtime_free(runtime);
}

static sonde_status only_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    nest *n = context;
    (void)begin;
    (void)end;
    (void)worker;
    return sonde__parallel_for(n->runtime, 0, 2, 1, NULL, meet, &n->meeting);
}

static void a_loop_of_one_chunk_leaves_threads_to_its_body(void **state)
{
    (void)state;
    sonde_runtime *runtime = make_runtime(2);
    nest n = {.runtime = runtime};
    OK(sonde__parallel_for(runtime, 0, 1, 1, NULL, only_chunk, &n));
    assert_false(n.meeting.alone);
    sonde_runtime_free(runtime);
}

typedef struct failing_work {
    uint64_t seed;
    int64_t first_bad;
    atomic_int ran;
} failing_work;

static sonde_status fail_from(void *context, int64_t begin, int64_t end, int worker)
{
    failing_work *work = context;
    (void)end;
    (void)worker;
    atomic_fetch_add(&work->ran, 1);
    /* The lower a chunk, the later it fails. */
    uint64_t random = work->seed + (uint64_t)begin;
    if (begin == work->first_bad) usleep(300 + (unsigned)(test_u64(&random) % 500));
    if (begin >= work->first_bad) return sonde__fail(SONDE_CORRUPT, "chunk %lld is bad", (long long)begin);
    return SONDE_OK;
}

static void the_lowest_failure_is_reported(void **state)
{
    (void)state;
    sonde_runtime *runtime = make_runtime(7);
    for (int round = 0; round < 60; round++) {
        for (int threads = 1; threads <= 7; threads += 3) {
            failing_work work = {.seed = (uint64_t)round, .first_bad = round};
            char words[64];
            snprintf(words, sizeof words, "chunk %d is bad", round);
            FAILS(sonde__parallel_for(runtime, threads, 100000, 1, NULL, fail_from, &work), SONDE_CORRUPT,
                  words);
            assert_string_equal(sonde_error_message(), words);
            assert_true(work.ran < 100000); /* it stopped early */
        }
    }
    sonde_runtime_free(runtime);
}

static sonde_status short_sleep(void *context, int64_t begin, int64_t end, int worker)
{
    (void)begin;
    (void)end;
    (void)worker;
    usleep(200);
    return context ? sonde__poll(context, "inner", 1, 2) : SONDE_OK;
}

static void *cancel_soon(void *runtime)
{
    usleep(20000);
    sonde_runtime_cancel(runtime);
    return NULL;
}

static void another_thread_cancels(void **state)
{
    (void)state;
    for (uint32_t threads = 1; threads <= 3; threads++) {
        sonde_runtime *runtime = make_runtime(threads);
        pthread_t thread;
        double start = sonde__os_seconds();
        assert_int_equal(pthread_create(&thread, NULL, cancel_soon, runtime), 0);
        FAILS(sonde__parallel_for(runtime, 0, 1000000, 1, "sleeping", short_sleep, runtime), SONDE_CANCELLED,
              "cancel");
        assert_true(sonde__os_seconds() - start < 5);
        pthread_join(thread, NULL);
        FAILS(sonde__poll(runtime, "polling", 0, 1), SONDE_CANCELLED, "polling");
        FAILS(sonde__parallel_for(runtime, 0, 10, 1, NULL, short_sleep, NULL), SONDE_CANCELLED, "cancel");
        sonde_runtime_resume(runtime);
        OK(sonde__parallel_for(runtime, 0, 10, 1, NULL, short_sleep, runtime));
        OK(sonde__poll(runtime, "polling", 0, 1));
        sonde_runtime_free(runtime);
    }
}

typedef struct teller {
    pthread_t caller;
    int calls, cancel_at; /* 0 = never */
    uint64_t last, total;
    int faults, logs;
    char stage[32];
} teller;

static int hear(const char *stage, uint64_t done, uint64_t total, void *user)
{
    teller *t = user;
    if (!pthread_equal(pthread_self(), t->caller) || done < t->last || done > total || total < 1) t->faults++;
    t->last = done;
    t->total = total;
    snprintf(t->stage, sizeof t->stage, "%s", stage);
    return ++t->calls == t->cancel_at;
}

static void hear_log(uint32_t level, const char *text, void *user)
{
    teller *t = user;
    (void)level;
    (void)text;
    if (!pthread_equal(pthread_self(), t->caller)) t->faults++;
    t->logs++;
}

static sonde_runtime *make_told(teller *t, uint32_t threads)
{
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    sonde_runtime *runtime = NULL;
    options.threads = threads;
    options.progress = hear;
    options.log = hear_log;
    options.progress_user = options.log_user = t;
    t->caller = pthread_self();
    OK(sonde_runtime_create(&options, &runtime));
    return runtime;
}

static sonde_status poll_and_log(void *context, int64_t begin, int64_t end, int worker)
{
    (void)end;
    (void)worker;
    sonde__log(context, SONDE_LOG_INFO, "item %lld", (long long)begin);
    /* This only reads the flag: the stage is never told. */
    SONDE_TRY(sonde__poll(context, "inside a chunk", 5, 10));
    return sonde__parallel_for(context, 0, 4, 1, "nested", short_sleep, NULL);
}

static void progress_is_monotone_and_on_the_callers_thread(void **state)
{
    (void)state;
    for (uint32_t threads = 1; threads <= 7; threads += 3) {
        teller t = {0};
        sonde_runtime *runtime = make_told(&t, threads);
        OK(sonde__parallel_for(runtime, 0, 200, 2, "outer", poll_and_log, runtime));
        assert_int_equal(t.faults, 0);
        assert_int_equal(t.last, 100);
        assert_int_equal(t.total, 100);
        assert_string_equal(t.stage, "outer");
        assert_true(t.calls >= 2 && t.calls <= 101);
        if (threads == 1) assert_int_equal(t.calls, 101);
        int calls = t.calls;
        OK(sonde__parallel_for(runtime, 0, 200, 2, NULL, poll_and_log, runtime));
        assert_int_equal(t.calls, calls);
        t.last = 0;
        OK(sonde__poll(runtime, "serial", 5, 3)); /* out of order numbers are put right */
        assert_int_equal(t.last, 3);
        assert_string_equal(t.stage, "serial");
        OK(sonde__poll(runtime, NULL, 0, 0));
        assert_int_equal(t.faults, 0);
        sonde_runtime_free(runtime);
    }
}

static sonde_status nothing(void *context, int64_t begin, int64_t end, int worker)
{
    (void)context;
    (void)begin;
    (void)end;
    (void)worker;
    return SONDE_OK;
}

static void progress_is_not_told_too_often(void **state)
{
    (void)state;
    teller t = {0};
    sonde_runtime *runtime = make_told(&t, 2);
    double start = sonde__os_seconds();
    OK(sonde__parallel_for(runtime, 0, 300000, 1, "tiny", nothing, NULL));
    assert_true(t.calls <= 1002 + (int)(10 * (sonde__os_seconds() - start)));
    assert_int_equal(t.faults, 0);
    sonde_runtime_free(runtime);
}

static void the_progress_callback_cancels(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        for (int n = 1; n <= 11; n++) {
            teller t = {.cancel_at = n};
            sonde_runtime *runtime = make_told(&t, (uint32_t)threads);
            sonde_status status = sonde__parallel_for(runtime, 0, 10, 1, "training", nothing, NULL);
            assert_int_equal(t.faults, 0);
            if (t.calls == n) { /* with helpers there may be fewer calls */
                assert_int_equal(status, SONDE_CANCELLED);
                assert_non_null(strstr(sonde_error_message(),
                                       "training: cancelled by the progress callback"));
            } else {
                assert_true(threads > 1);
                assert_int_equal(status, SONDE_OK);
            }
            t.cancel_at = t.calls + 1;
            FAILS(sonde__poll(runtime, "serial", 1, 2), SONDE_CANCELLED,
                  "serial: cancelled by the progress callback");
            t.cancel_at = 0;
            t.last = 0;
            /* Unlike sonde_runtime_cancel it does not stay in force. */
            OK(sonde__parallel_for(runtime, 0, 10, 1, "training", nothing, NULL));
            sonde_runtime_free(runtime);
        }
    }
}

static sonde_status sum_chunk(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    for (int64_t i = begin; i < end; i++) atomic_fetch_add((atomic_long *)context, (long)i);
    return SONDE_OK;
}

static sonde_status sum_up(sonde_runtime *runtime, long *sum)
{
    atomic_long total = 0;
    sonde_status status = sonde__parallel_for(runtime, 0, 1000, 10, NULL, sum_chunk, &total);
    *sum = total;
    return status;
}

static void *call_often(void *runtime)
{
    for (int i = 0; i < 300; i++) {
        long sum = 0;
        if (sum_up(runtime, &sum) != SONDE_OK || sum != 499500) return runtime;
    }
    return NULL;
}

static void several_callers_share_a_runtime(void **state)
{
    (void)state;
    sonde_runtime *runtime = make_runtime(3);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, call_often, runtime), 0);
    for (int i = 0; i < 4; i++) {
        void *fault = NULL;
        pthread_join(threads[i], &fault);
        assert_null(fault);
    }
    sonde_runtime_free(runtime);
}

static sonde_status scene_of_threads(sonde_runtime_options *options)
{
    sonde_runtime *runtime = NULL;
    options->threads = 3;
    SONDE_TRY(sonde_runtime_create(options, &runtime));
    long sum = -1;
    sonde_status status = sum_up(runtime, &sum);
    if (status != SONDE_OK) assert_int_equal(sum, 0); /* no chunk was run */
    sonde_runtime_free(runtime);
    return status;
}

static void the_nth_allocation_fails(void **state)
{
    (void)state;
    assert_in_range(failing_walk(scene_of_threads), 1, 10);
}

/* Runs a child that must use the runtime and end within ten seconds. */
static void child_must_work(sonde_runtime *runtime)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        long sum = 0;
        alarm(10);
        for (int i = 0; i < 3; i++)
            if (sum_up(runtime, &sum) != SONDE_OK || sum != 499500) _exit(1);
        meeting m = {0};
        if (sonde__parallel_for(runtime, 0, 2, 1, NULL, meet, &m) != SONDE_OK || m.alone) _exit(2);
        pid_t grandchild = fork();
        if (grandchild == 0) _exit(sum_up(runtime, &sum) == SONDE_OK && sum == 499500 ? 0 : 3);
        int status = -1;
        waitpid(grandchild, &status, 0);
        sonde_runtime_free(runtime);
        _exit(status == 0 ? 0 : 4);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_forked_child_has_threads_again(void **state)
{
    (void)state;
    if (!FOLLOWS_FORK || test_emulated()) skip();
    sonde_runtime *runtime = make_runtime(3);
    long sum = 0;
    child_must_work(runtime); /* before the parent's threads exist */
    OK(sum_up(runtime, &sum));
    child_must_work(runtime);
    OK(sum_up(runtime, &sum)); /* the parent is as before */
    assert_int_equal(sum, 499500);
    sonde_runtime_free(runtime);
}

typedef struct caller {
    sonde_runtime *runtime;
    atomic_bool stop;
} caller;

static void *call_until_told(void *context)
{
    caller *c = context;
    long sum = 0;
    while (!atomic_load(&c->stop)) sum_up(c->runtime, &sum);
    return NULL;
}

static void fork_while_another_thread_is_inside_a_loop(void **state)
{
    (void)state;
    if (!FOLLOWS_FORK || test_emulated()) skip();
    caller c = {.runtime = make_runtime(3)};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, call_until_told, &c), 0);
    for (int i = 0; i < 15; i++) {
        usleep(1000);
        child_must_work(c.runtime);
    }
    atomic_store(&c.stop, true);
    pthread_join(thread, NULL);
    sonde_runtime_free(c.runtime);
}

static void runtimes_come_and_go(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        sonde_runtime *runtime = make_runtime(1 + (uint32_t)(i % 5));
        long sum = 0;
        OK(sum_up(runtime, &sum));
        assert_int_equal(sum, 499500);
        sonde_runtime_free(runtime);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_item_once_and_the_same_chunks_for_any_threads),
    cmocka_unit_test(odd_counts),
    cmocka_unit_test(two_chunks_run_at_once),
    cmocka_unit_test(nested_loops_run_inline),
    cmocka_unit_test(a_loop_of_one_chunk_leaves_threads_to_its_body),
    cmocka_unit_test(the_lowest_failure_is_reported),
    cmocka_unit_test(another_thread_cancels),
    cmocka_unit_test(progress_is_monotone_and_on_the_callers_thread),
    cmocka_unit_test(progress_is_not_told_too_often),
    cmocka_unit_test(the_progress_callback_cancels),
    cmocka_unit_test(several_callers_share_a_runtime),
    cmocka_unit_test(the_nth_allocation_fails),
    cmocka_unit_test(a_forked_child_has_threads_again),
    cmocka_unit_test(fork_while_another_thread_is_inside_a_loop),
    cmocka_unit_test(runtimes_come_and_go),
};
SONDE_TEST_MAIN(tests)
