/* os.h: every operating-system call of the library goes through here (posix.c today).
 * Functions return 0 or an errno value unless they say otherwise; none sets the library's message.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_OS_H
#define SONDE_SRC_OS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Memory. align is a power of two. Blocks of 2 MiB and more are hinted for huge pages. */
void *sonde__os_alloc(size_t size, size_t align);
void sonde__os_release(void *memory);
void sonde__os_huge_pages(void *memory, size_t size); /* a hint; for memory that came from the caller's allocator */

/* Processors that this process may run on (affinity respected), at least 1. */
int sonde__os_cpus(void);
int64_t sonde__os_process(void);  /* process id */
double sonde__os_seconds(void);   /* monotonic clock */

/* Threads. */
typedef pthread_mutex_t sonde__mutex;
typedef pthread_cond_t sonde__condition;
typedef pthread_t sonde__thread;
void sonde__mutex_init(sonde__mutex *mutex);
void sonde__mutex_lock(sonde__mutex *mutex);
void sonde__mutex_unlock(sonde__mutex *mutex);
void sonde__mutex_destroy(sonde__mutex *mutex);
void sonde__condition_init(sonde__condition *condition);
void sonde__condition_wait(sonde__condition *condition, sonde__mutex *mutex);
void sonde__condition_all(sonde__condition *condition);
void sonde__condition_destroy(sonde__condition *condition);
/* The new thread blocks every signal, so that the host's handlers stay on the host's threads. */
int sonde__thread_start(sonde__thread *thread, void *(*run)(void *), void *context);
void sonde__thread_join(sonde__thread thread);
void sonde__os_yield(void);

/* Files. Paths are UTF-8. All loops over short reads, short writes and EINTR are inside. */
typedef struct sonde__file { int descriptor; } sonde__file;
int sonde__file_open_read(const char *path, sonde__file *file, uint64_t *size); /* regular files only, else EINVAL */
/* Creates a file beside `path` that does not exist yet (exclusive) with the mode of the target if there is one; its
 * name is put in `temporary` (capacity bytes). */
int sonde__file_create_beside(const char *path, char *temporary, size_t capacity, sonde__file *file);
int sonde__file_read(sonde__file *file, uint64_t offset, void *data, size_t bytes); /* EIO at an early end */
int sonde__file_write(sonde__file *file, uint64_t offset, const void *data, size_t bytes);
int sonde__file_sync(sonde__file *file);
int sonde__file_close(sonde__file *file); /* reports what close reports */
int sonde__file_replace(const char *temporary, const char *path); /* rename over, then sync the directory */
void sonde__file_delete(const char *path);
int sonde__file_map(sonde__file *file, uint64_t size, const void **data); /* shared, read-only */
void sonde__file_unmap(const void *data, uint64_t size);

#endif
