/* test_index_fork.c: the child of a fork goes on with the indexes of its parent: searches, adds, trains, saves, with
 * threads of its own, whatever the parent's other threads were doing at that moment.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../test.h"

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0 /* ThreadSanitizer allows no threads after the fork of a program that has some */
#endif

#define DIM 16
#define ROWS 1500
#define CHILD_SECONDS 30

static float *x;

static sonde_index *make(const char *spec, uint32_t threads)
{
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    sonde_runtime *runtime;
    sonde_index *index;
    sonde_array rows = sonde_f32(x, ROWS, DIM);
    options.threads = threads;
    OK(sonde_runtime_create(&options, &runtime));
    OK(sonde_index_create(spec, DIM, runtime, &index));
    OK(sonde_index_add(index, &rows, NULL));
    sonde_runtime_free(runtime);
    return index;
}

/* Every one of 64 rows finds itself. */
static bool finds_itself(const sonde_index *index)
{
    int64_t ids[64];
    sonde_array queries = sonde_f32(x, 64, DIM);
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    sonde_hits hits = SONDE_HITS_INIT;
    how.k = 1;
    how.recall = 1;
    hits.ids = ids;
    if (sonde_index_search(index, &queries, &how, &hits)) return false;
    for (int i = 0; i < 64; i++)
        if (ids[i] != i) return false;
    return true;
}

/* What the child does; 0 = all went well. */
static int live_on(sonde_index *index, const char *spec)
{
    sonde_array more = sonde_f32(x, 100, DIM), rows = sonde_f32(x, ROWS, DIM);
    sonde_index *fresh = NULL;
    int64_t ids[] = {ROWS, ROWS + 1}, removed = 0;
    size_t length = 0;
    if (!finds_itself(index)) return 10;
    if (sonde_index_add(index, &more, NULL)) return 11;
    if (!sonde_index_contains(index, ROWS + 99)) return 12;
    if (sonde_index_remove(index, ids, 2, &removed) || removed != 2) return 13;
    if (sonde_index_compact(index) || sonde_index_check(index)) return 14;
    if (sonde_index_save_buffer(index, NULL, 0, &length)) return 15;
    if (sonde_index_create(spec, DIM, NULL, &fresh) || sonde_index_add(fresh, &rows, NULL)) return 16;
    if (!finds_itself(fresh)) return 17;
    sonde_index_free(fresh);
    sonde_index_free(index);
    return 0;
}

/* How the child ended. One that hangs is ended by its alarm; faults are its own, not for the parent's handlers. */
static int in_a_child(sonde_index *index, const char *spec)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    int status = 0;
    fflush(stdout);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        for (int i = 0; i < 4; i++) signal(faults[i], SIG_DFL);
        alarm(CHILD_SECONDS);
        _exit(live_on(index, spec));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void assert_went_well(int status, const char *spec)
{
    if (WIFSIGNALED(status))
        fail_msg("%s: the child ended by signal %d%s", spec, WTERMSIG(status),
                 WTERMSIG(status) == SIGALRM ? " (it hung)" : "");
    if (WEXITSTATUS(status)) fail_msg("%s: the child failed at step %d", spec, WEXITSTATUS(status));
}

static const char *const specs[] = {"flat", "ivf(nlist=20)", "ivf(nlist=20, code=sq(bits=8), refine=f32)"};

static void a_child_goes_on(void **unused)
{
    (void)unused;
    if (UNDER_TSAN || test_emulated()) skip();
    x = test_vectors(ROWS, DIM, 20, 1);
    for (int i = 0; i < 3; i++) {
        sonde_index *index = make(specs[i], 4);
        assert_true(finds_itself(index));
        assert_went_well(in_a_child(index, specs[i]), specs[i]);
        assert_true(finds_itself(index)); /* the parent is as it was */
        assert_int_equal(sonde_index_count(index), ROWS);
        assert_went_well(in_a_child(index, specs[i]), specs[i]);
        sonde_index_free(index);
    }
    free(x);
}

typedef struct searcher {
    sonde_index *index;
    atomic_bool done;
    atomic_long searches, failures;
} searcher;

static void *search_on(void *context)
{
    searcher *s = context;
    while (!atomic_load(&s->done)) {
        if (!finds_itself(s->index)) atomic_fetch_add(&s->failures, 1);
        atomic_fetch_add(&s->searches, 1);
    }
    return NULL;
}

/* Forks again and again while two threads of the parent are in the middle of searches. */
static void fork_while_others_search(void **unused)
{
    (void)unused;
    if (UNDER_TSAN || test_emulated()) skip();
    x = test_vectors(ROWS, DIM, 20, 2);
    for (int i = 0; i < 2; i++) {
        searcher s = {.index = make(specs[i], 2)};
        pthread_t threads[2];
        for (int t = 0; t < 2; t++) assert_int_equal(pthread_create(&threads[t], NULL, search_on, &s), 0);
        int status = 0;
        for (int fork_number = 0; fork_number < 6 && status == 0; fork_number++) {
            long before = atomic_load(&s.searches);
            while (atomic_load(&s.searches) == before) sched_yield();
            status = in_a_child(s.index, specs[i]);
        }
        atomic_store(&s.done, true);
        for (int t = 0; t < 2; t++) pthread_join(threads[t], NULL);
        assert_went_well(status, specs[i]);
        assert_int_equal(s.failures, 0);
        sonde_index_free(s.index);
    }
    free(x);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_child_goes_on),
    cmocka_unit_test(fork_while_others_search),
};
SONDE_TEST_MAIN(tests)
