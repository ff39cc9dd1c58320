/* posix.c: every operating-system call of the library, for POSIX systems.
 *
 * The rest of the library sees os.h only, so another system needs one more file like this one. Functions give 0 or an
 * errno value and never touch the library's message; the caller knows what the call was for and words the message.
 *
 * Files: an interrupted call is repeated, a short read or write goes on where it stopped, and nothing larger than 1 GiB
 * is asked for at once (some systems refuse or cut 2 GiB and more). A save writes a temporary in the target's own
 * directory, because only within one file system does rename replace the old file in one step.
 *
 * What this does not do: lock files (readers keep the old inode, the last of two writers wins), or follow a symbolic
 * link at the target of a save (the link itself is replaced).
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "base/os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define OS_HUGE_PAGE ((size_t)2 << 20)
#define OS_PIECE ((size_t)1 << 30)

/* ---- Memory ---------------------------------------------------------------------------------------------------- */

#ifdef MADV_HUGEPAGE
void sonde__os_huge_pages(void *memory, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uintptr_t first = ((uintptr_t)memory + page - 1) & ~(uintptr_t)(page - 1);
    uintptr_t end = ((uintptr_t)memory + size) & ~(uintptr_t)(page - 1);
    /* A hint: a kernel without huge pages refuses, and nothing is lost. */
    if (size >= OS_HUGE_PAGE && first < end) (void)madvise((void *)first, end - first, MADV_HUGEPAGE);
}
#else
void sonde__os_huge_pages(void *memory, size_t size)
{
    (void)memory;
    (void)size;
}
#endif

void *sonde__os_alloc(size_t size, size_t align)
{
    void *memory = NULL;
    if (align < sizeof(void *)) align = sizeof(void *);
    /* Whole huge pages, so that the last one is huge too. */
    if (size >= OS_HUGE_PAGE && size <= SIZE_MAX - OS_HUGE_PAGE) size = (size + OS_HUGE_PAGE - 1) / OS_HUGE_PAGE * OS_HUGE_PAGE;
    if (posix_memalign(&memory, align, size ? size : 1) != 0) return NULL;
    sonde__os_huge_pages(memory, size);
    return memory;
}

void sonde__os_release(void *memory)
{
    free(memory);
}

/* ---- Machine and process --------------------------------------------------------------------------------------- */

#ifdef __linux__
int sonde__os_cpus(void)
{
    /* The kernel refuses a mask that is smaller than its own, so it grows until it fits. */
    for (int most = 1024; most <= 1 << 20; most *= 4) {
        cpu_set_t *set = CPU_ALLOC((size_t)most);
        if (!set) break;
        size_t bytes = CPU_ALLOC_SIZE((size_t)most);
        int failed = sched_getaffinity(0, bytes, set) ? errno : 0;
        int count = failed ? 0 : CPU_COUNT_S(bytes, set);
        CPU_FREE(set);
        if (count > 0) return count;
        if (failed != EINVAL) break;
    }
    return 1;
}
#else
int sonde__os_cpus(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : (int)count;
}
#endif

int64_t sonde__os_process(void)
{
    return (int64_t)getpid();
}

double sonde__os_seconds(void)
{
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- Threads --------------------------------------------------------------------------------------------------- */

/* With default attributes and correct use these calls cannot fail, so their results carry nothing. */

void sonde__mutex_init(sonde__mutex *mutex)
{
    pthread_mutex_init(mutex, NULL);
}

void sonde__mutex_lock(sonde__mutex *mutex)
{
    pthread_mutex_lock(mutex);
}

void sonde__mutex_unlock(sonde__mutex *mutex)
{
    pthread_mutex_unlock(mutex);
}

void sonde__mutex_destroy(sonde__mutex *mutex)
{
    pthread_mutex_destroy(mutex);
}

void sonde__condition_init(sonde__condition *condition)
{
    pthread_cond_init(condition, NULL);
}

void sonde__condition_wait(sonde__condition *condition, sonde__mutex *mutex)
{
    pthread_cond_wait(condition, mutex);
}

void sonde__condition_all(sonde__condition *condition)
{
    pthread_cond_broadcast(condition);
}

void sonde__condition_destroy(sonde__condition *condition)
{
    pthread_cond_destroy(condition);
}

int sonde__thread_start(sonde__thread *thread, void *(*run)(void *), void *context)
{
    /* A thread inherits the mask of its creator: block everything for the moment of creation. */
    sigset_t all, before;
    sigfillset(&all);
    int failed = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (failed) return failed;
    failed = pthread_create(thread, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

void sonde__thread_join(sonde__thread thread)
{
    pthread_join(thread, NULL);
}

void sonde__os_yield(void)
{
    sched_yield();
}

/* ---- Files ----------------------------------------------------------------------------------------------------- */

static int open_retrying(const char *path, int flags, mode_t mode, int *descriptor)
{
    do *descriptor = open(path, flags | O_CLOEXEC, mode);
    while (*descriptor < 0 && errno == EINTR);
    return *descriptor < 0 ? errno : 0;
}

int sonde__file_open_read(const char *path, sonde__file *file, uint64_t *size)
{
    /* O_NONBLOCK: opening a FIFO that nobody writes to would hang. It changes nothing for regular files. */
    int failed = open_retrying(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &file->descriptor);
    if (failed) return failed;
    struct stat status;
    if (fstat(file->descriptor, &status)) failed = errno;
    else if (!S_ISREG(status.st_mode)) failed = EINVAL;
    if (failed) {
        close(file->descriptor);
        return failed;
    }
    *size = (uint64_t)status.st_size;
    return 0;
}

/* Length of the directory part of a path, with its slash; 0 for a bare name. */
static size_t directory_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

int sonde__file_create_beside(const char *path, char *temporary, size_t capacity, sonde__file *file)
{
    struct stat target;
    size_t directory = directory_length(path);
    if (!path[directory]) return directory ? EISDIR : ENOENT;
    bool exists = stat(path, &target) == 0;
    if (exists && S_ISDIR(target.st_mode)) return EISDIR;
    if (exists && !S_ISREG(target.st_mode)) return EINVAL;

    /* The name does not repeat the target's, which may already be as long as the file system allows. A number is taken
     * only where other writers of this process, or a killed process of the same id, left theirs. */
    int failed = EEXIST;
    for (int number = 0; failed == EEXIST && number < 10000; number++) {
        int length = snprintf(temporary, capacity, "%.*s.sonde-%" PRId64 "-%d.tmp", (int)directory, path,
                              sonde__os_process(), number);
        if (length < 0 || (size_t)length >= capacity) return ENAMETOOLONG;
        failed = open_retrying(temporary, O_WRONLY | O_CREAT | O_EXCL, exists ? 0600 : 0666,
                               &file->descriptor);
    }
    if (failed || !exists) return failed;
    if (fchmod(file->descriptor, target.st_mode & 0777)) {
        failed = errno;
        close(file->descriptor);
        unlink(temporary);
    }
    return failed;
}

int sonde__file_read(sonde__file *file, uint64_t offset, void *data, size_t bytes)
{
    for (char *at = data; bytes > 0;) {
        ssize_t got = pread(file->descriptor, at, bytes < OS_PIECE ? bytes : OS_PIECE, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno;
        if (got == 0) return EIO;
        at += got;
        offset += (uint64_t)got;
        bytes -= (size_t)got;
    }
    return 0;
}

int sonde__file_write(sonde__file *file, uint64_t offset, const void *data, size_t bytes)
{
    for (const char *at = data; bytes > 0;) {
        ssize_t put = pwrite(file->descriptor, at, bytes < OS_PIECE ? bytes : OS_PIECE, (off_t)offset);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return errno;
        if (put == 0) return EIO;
        at += put;
        offset += (uint64_t)put;
        bytes -= (size_t)put;
    }
    return 0;
}

static int sync_descriptor(int descriptor)
{
    while (fsync(descriptor))
        if (errno != EINTR) return errno;
    return 0;
}

#ifdef F_FULLFSYNC
/* Where fsync only reaches the drive's own cache, this reaches the disk. */
int sonde__file_sync(sonde__file *file)
{
    return fcntl(file->descriptor, F_FULLFSYNC) == 0 ? 0 : sync_descriptor(file->descriptor);
}
#else
int sonde__file_sync(sonde__file *file)
{
    return sync_descriptor(file->descriptor);
}
#endif

int sonde__file_close(sonde__file *file)
{
    int failed = close(file->descriptor) ? errno : 0;
    file->descriptor = -1;
    /* After EINTR the descriptor is gone all the same; what mattered was synced before. */
    return failed == EINTR ? 0 : failed;
}

/* Makes a rename durable. Directories that may not be opened for reading, and file systems that cannot sync one, are no
 * error: there is nothing more that a program could do. */
static int sync_directory(const char *path)
{
    size_t length = directory_length(path);
    char *directory = length ? strndup(path, length) : strdup(".");
    if (!directory) return ENOMEM;
    int descriptor;
    int failed = open_retrying(directory, O_RDONLY | O_DIRECTORY, 0, &descriptor);
    free(directory);
    if (failed) return failed == EACCES ? 0 : failed;
    failed = sync_descriptor(descriptor);
    close(descriptor);
    return failed == EINVAL ? 0 : failed;
}

int sonde__file_replace(const char *temporary, const char *path)
{
    return rename(temporary, path) ? errno : sync_directory(path);
}

void sonde__file_delete(const char *path)
{
    unlink(path);
}

int sonde__file_map(sonde__file *file, uint64_t size, const void **data)
{
    if (size == 0 || size > SIZE_MAX) return EINVAL;
    void *map = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, file->descriptor, 0);
    if (map == MAP_FAILED) return errno;
    *data = map;
    return 0;
}

void sonde__file_unmap(const void *data, uint64_t size)
{
    if (data) munmap((void *)(uintptr_t)data, (size_t)size);
}
