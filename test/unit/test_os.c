/* test_os.c: the operating-system layer: memory, threads and files.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/os/os.h"

/* Each case works in a folder of its own, as the current directory. */
static char folder[4096];

static int enter_folder(void **state)
{
    (void)state;
    const char *parent = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/sonde-os-XXXXXX", parent ? parent : P_tmpdir);
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave_folder(void **state)
{
    (void)state;
    return chdir("/") || rmdir(folder); /* the cases remove their files, so this fails where one was left over */
}

/* ---- Memory and machine ------------------------------------------------------------------------------------------ */

static void memory_is_aligned(void **state)
{
    (void)state;
    const size_t sizes[] = {0, 1, 63, 4096, (2 << 20) - 1, 2 << 20, (5 << 20) + 3};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t align = 1; align <= 2 << 20; align *= 2) {
            uint8_t *memory = sonde__os_alloc(sizes[i], align);
            assert_non_null(memory);
            assert_int_equal((uintptr_t)memory % align, 0);
            if (sizes[i]) memory[0] = memory[sizes[i] - 1] = 1;
            sonde__os_release(memory);
        }
    sonde__os_release(NULL);
}

/* The hint must not touch what lies outside whole pages, and takes any address. */
static void huge_pages_are_a_hint(void **state)
{
    (void)state;
    size_t size = 8 << 20;
    uint8_t *memory = sonde__os_alloc(size, 64);
    memset(memory, 7, size);
    sonde__os_huge_pages(memory + 13, size - 77);
    sonde__os_huge_pages(memory, 5);
    sonde__os_huge_pages(NULL, 0);
    for (size_t i = 0; i < size; i += 511) assert_int_equal(memory[i], 7);
    sonde__os_release(memory);
}

static void cpus_respect_affinity(void **state)
{
    (void)state;
    cpu_set_t before, one;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    assert_int_equal(sonde__os_cpus(), CPU_COUNT(&before));
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &before)) CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(sonde__os_cpus(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

static void clock_and_process(void **state)
{
    (void)state;
    double first = sonde__os_seconds();
    usleep(2000);
    assert_in_range((sonde__os_seconds() - first) * 1e6, 2000, 5e6);
    assert_int_equal(sonde__os_process(), getpid());
}

/* ---- Threads ----------------------------------------------------------------------------------------------------- */

static void *report_mask(void *context)
{
    pthread_sigmask(SIG_SETMASK, NULL, context);
    return NULL;
}

static void threads_block_signals(void **state)
{
    (void)state;
    sigset_t inside, before, after;
    sonde__thread thread;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(sonde__thread_start(&thread, report_mask, &inside), 0);
    sonde__thread_join(thread);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    const int signals[] = {SIGINT, SIGTERM, SIGUSR1, SIGALRM, SIGCHLD, SIGPIPE};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        assert_int_equal(sigismember(&inside, signals[i]), 1);
        assert_int_equal(sigismember(&after, signals[i]), sigismember(&before, signals[i]));
    }
}

/* Threads that may move on only one after the other. */
typedef struct relay {
    sonde__mutex mutex;
    sonde__condition changed;
    int turn, runners, done;
} relay;

static void *run_relay(void *context)
{
    relay *r = context;
    sonde__mutex_lock(&r->mutex);
    int number = r->runners++;
    for (int round = 0; round < 100; round++) {
        while (r->turn % 4 != number) sonde__condition_wait(&r->changed, &r->mutex);
        r->turn++;
        sonde__condition_all(&r->changed);
    }
    r->done++;
    sonde__mutex_unlock(&r->mutex);
    sonde__os_yield();
    return NULL;
}

static void conditions_wake_all(void **state)
{
    (void)state;
    relay r = {.turn = 0};
    sonde__thread threads[4];
    sonde__mutex_init(&r.mutex);
    sonde__condition_init(&r.changed);
    for (int i = 0; i < 4; i++) assert_int_equal(sonde__thread_start(&threads[i], run_relay, &r), 0);
    for (int i = 0; i < 4; i++) sonde__thread_join(threads[i]);
    assert_int_equal(r.done, 4);
    assert_int_equal(r.turn, 400);
    sonde__condition_destroy(&r.changed);
    sonde__mutex_destroy(&r.mutex);
}

/* ---- Files ------------------------------------------------------------------------------------------------------- */

/* Saves `text` under a name as the writer does. */
static int save(const char *path, const char *text)
{
    char temporary[4096];
    sonde__file file;
    int failed = sonde__file_create_beside(path, temporary, sizeof temporary, &file);
    if (failed) return failed;
    failed = sonde__file_write(&file, 0, text, strlen(text));
    if (!failed) failed = sonde__file_sync(&file);
    int closed = sonde__file_close(&file);
    if (!failed) failed = closed;
    return failed ? failed : sonde__file_replace(temporary, path);
}

static void holds(const char *path, const char *text)
{
    sonde__file file;
    uint64_t size;
    char read[100] = "";
    assert_int_equal(sonde__file_open_read(path, &file, &size), 0);
    assert_int_equal(size, strlen(text));
    assert_int_equal(sonde__file_read(&file, 0, read, size), 0);
    assert_string_equal(read, text);
    assert_int_equal(sonde__file_close(&file), 0);
}

static void save_and_replace(void **state)
{
    (void)state;
    assert_int_equal(mkdir("inner", 0700), 0);
    const char *const places[] = {"bare", "./dotted", "inner/below"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        assert_int_equal(save(places[i], "old"), 0);
        holds(places[i], "old");
        assert_int_equal(save(places[i], "newer"), 0);
        holds(places[i], "newer");
        sonde__file_delete(places[i]);
        assert_int_equal(access(places[i], F_OK), -1);
    }
    assert_int_equal(rmdir("inner"), 0); /* no temporary was left */
    sonde__file_delete("absent");
}

static mode_t mode_of(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return status.st_mode & 07777;
}

static void modes(void **state)
{
    (void)state;
    mode_t before = umask(027);
    assert_int_equal(save("file", "1"), 0);
    assert_int_equal(mode_of("file"), 0640);
    assert_int_equal(chmod("file", 0604), 0);
    assert_int_equal(save("file", "2"), 0);
    assert_int_equal(mode_of("file"), 0604);
    umask(before);
    unlink("file");
}

static void temporaries_are_exclusive(void **state)
{
    (void)state;
    char first[300], second[300], small[8];
    sonde__file a, b;
    assert_int_equal(sonde__file_create_beside("target", first, sizeof first, &a), 0);
    assert_int_equal(sonde__file_create_beside("target", second, sizeof second, &b), 0);
    assert_string_not_equal(first, second);
    assert_int_equal(fcntl(a.descriptor, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    sonde__file_close(&a);
    sonde__file_close(&b);
    sonde__file_delete(first);
    sonde__file_delete(second);
    assert_int_equal(sonde__file_create_beside("target", small, sizeof small, &a), ENAMETOOLONG);
    assert_int_equal(sonde__file_create_beside("absent/target", first, sizeof first, &a), ENOENT);
    assert_int_equal(sonde__file_create_beside(folder, first, sizeof first, &a), EISDIR);
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_int_equal(sonde__file_create_beside("fifo", first, sizeof first, &a), EINVAL);
    unlink("fifo");
}

/* The name of the temporary must not be longer than a name may be, where the target's already is as long. */
static void longest_name(void **state)
{
    (void)state;
    char name[256];
    memset(name, 'n', 255);
    name[255] = 0;
    assert_int_equal(save(name, "long"), 0);
    holds(name, "long");
    unlink(name);
}

static void read_write_and_map(void **state)
{
    (void)state;
    char temporary[300], data[1000], back[1000];
    uint64_t size, seed = 3;
    sonde__file file;
    for (size_t i = 0; i < sizeof data; i++) data[i] = (char)test_u64(&seed);
    assert_int_equal(sonde__file_create_beside("target", temporary, sizeof temporary, &file), 0);
    assert_int_equal(sonde__file_write(&file, 5000, data, sizeof data), 0);
    assert_int_equal(sonde__file_write(&file, 0, data, 10), 0);
    assert_int_equal(sonde__file_write(&file, 3, NULL, 0), 0);
    assert_int_equal(sonde__file_close(&file), 0);
    assert_int_equal(sonde__file_close(&file), EBADF);

    assert_int_equal(sonde__file_open_read(temporary, &file, &size), 0);
    assert_int_equal(size, 6000);
    assert_int_equal(sonde__file_read(&file, 5000, back, sizeof back), 0);
    assert_memory_equal(back, data, sizeof data);
    assert_int_equal(sonde__file_read(&file, 5001, back, sizeof back), EIO); /* ends one byte early */
    assert_int_equal(sonde__file_read(&file, 99999, back, 1), EIO);
    const void *map;
    assert_int_equal(sonde__file_map(&file, size, &map), 0);
    assert_memory_equal((const char *)map + 5000, data, sizeof data);
    sonde__file_unmap(map, size);
    assert_int_equal(sonde__file_map(&file, 0, &map), EINVAL);
    sonde__file_close(&file);
    sonde__file_delete(temporary);
}

static void regular_files_only(void **state)
{
    (void)state;
    sonde__file file;
    uint64_t size = 77;
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_int_equal(symlink("fifo", "link"), 0);
    alarm(5); /* a FIFO must not make us wait */
    assert_int_equal(sonde__file_open_read("fifo", &file, &size), EINVAL);
    assert_int_equal(sonde__file_open_read("link", &file, &size), EINVAL);
    alarm(0);
    assert_int_equal(sonde__file_open_read(folder, &file, &size), EINVAL);
    assert_int_equal(sonde__file_open_read("/dev/null", &file, &size), EINVAL);
    assert_int_equal(sonde__file_open_read("absent", &file, &size), ENOENT);
    assert_int_equal(size, 77);
    unlink("link");
    unlink("fifo");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, enter_folder, leave_folder)
static const struct CMUnitTest cases[] = {
    CASE(memory_is_aligned), CASE(huge_pages_are_a_hint), CASE(cpus_respect_affinity), CASE(clock_and_process),
    CASE(threads_block_signals), CASE(conditions_wake_all), CASE(save_and_replace), CASE(modes),
    CASE(temporaries_are_exclusive), CASE(longest_name), CASE(read_write_and_map), CASE(regular_files_only),
};
SONDE_TEST_MAIN(cases)
