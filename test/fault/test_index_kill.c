/* test_index_kill.c: a process that is killed while it saves an index, again and again, leaves the old file or the
 * new one, whole; so does a disk that fills up.
 *
 * timeout: 120
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../test.h"

#define DIM 32
#define OLD_ROWS 500
#define NEW_ROWS 12000
#define KILLS 60

static void make_folder(char folder[40])
{
    strcpy(folder, "/tmp/sonde_kill_XXXXXX");
    assert_non_null(mkdtemp(folder));
}

/* Removes a folder of plain files; returns how many there were. */
static int empty_folder(const char *folder)
{
    int files = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[400];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        files += unlink(path) == 0;
    }
    closedir(dir);
    return files;
}

static sonde_index *make(const char *spec, const float *x, int64_t rows)
{
    sonde_index *index;
    sonde_array view = sonde_f32(x, rows, DIM);
    OK(sonde_index_create(spec, DIM, NULL, &index));
    OK(sonde_index_add(index, &view, NULL));
    return index;
}

/* Opens the file, proves it, and finds its rows; returns how many it has. */
static int64_t rows_of(const char *path, const float *x)
{
    sonde_index *index;
    int64_t ids[20];
    sonde_array queries = sonde_f32(x, 20, DIM);
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    sonde_hits hits = SONDE_HITS_INIT;
    how.k = 1;
    how.recall = 1;
    hits.ids = ids;
    OK(sonde_index_open(path, NULL, NULL, &index));
    OK(sonde_index_check(index));
    OK(sonde_index_search(index, &queries, &how, &hits));
    for (int i = 0; i < 20; i++) assert_int_equal(ids[i], i);
    int64_t rows = sonde_index_count(index);
    sonde_index_free(index);
    return rows;
}

/* The child saves the two indexes in turn until it dies. */
static void killed_savers(const char *spec)
{
    char folder[40], path[80];
    float *x = test_vectors(NEW_ROWS, DIM, 40, 1);
    sonde_index *small = make(spec, x, OLD_ROWS), *large = make(spec, x, NEW_ROWS);
    uint64_t state = 2;
    int seen_small = 0, seen_large = 0;
    make_folder(folder);
    snprintf(path, sizeof path, "%s/index.sonde", folder);
    OK(sonde_index_save(small, path));
    for (int kill_number = 0; kill_number < KILLS; kill_number++) {
        int status;
        fflush(stdout);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            for (int turn = kill_number;; turn++)
                if (sonde_index_save(turn % 2 ? small : large, path)) _exit(3);
        usleep((useconds_t)(test_u64(&state) % 20000));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status)); /* it never failed to save */
        int64_t rows = rows_of(path, x);
        assert_true(rows == OLD_ROWS || rows == NEW_ROWS);
        seen_small += rows == OLD_ROWS;
        seen_large += rows == NEW_ROWS;
    }
    assert_true(seen_small > 0 && seen_large > 0);
    OK(sonde_index_save(small, path)); /* what the dead left does not disturb the next */
    assert_int_equal(rows_of(path, x), OLD_ROWS);
    sonde_index_free(small);
    sonde_index_free(large);
    assert_true(empty_folder(folder) >= 1);
    assert_int_equal(rmdir(folder), 0);
    free(x);
}

static void killed_while_saving_flat(void **unused)
{
    (void)unused;
    killed_savers("flat");
}
static void killed_while_saving_ivf(void **unused)
{
    (void)unused;
    killed_savers("ivf(nlist=16, code=sq(bits=8), refine=f16)");
}

/* Saves with room for the old file and a part of the new one. */
static int save_on_full_disk(const char *folder, const float *x)
{
    char path[80];
    sonde_index *small = make("ivf(nlist=4)", x, OLD_ROWS), *large = make("ivf(nlist=4)", x, NEW_ROWS);
    snprintf(path, sizeof path, "%s/index.sonde", folder);
    OK(sonde_index_save(small, path));
    for (int i = 0; i < 5; i++) {
        FAILS(sonde_index_save(large, path), SONDE_IO, "No space left");
        assert_int_equal(rows_of(path, x), OLD_ROWS);
        OK(sonde_index_save(small, path)); /* the failed attempt gave its room back */
    }
    sonde_index_free(small);
    sonde_index_free(large);
    return empty_folder(folder);
}

static void disk_full(void **unused)
{
    (void)unused;
    char folder[40];
    make_folder(folder);
    /* A mount that nobody else sees; where that is not allowed there is nothing to test on. */
    if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("sonde", folder, "tmpfs", 0, "size=600k")) {
        rmdir(folder);
        skip();
    }
    float *x = test_vectors(NEW_ROWS, DIM, 40, 1);
    int files = save_on_full_disk(folder, x);
    free(x);
    assert_int_equal(umount(folder), 0);
    rmdir(folder);
    assert_int_equal(files, 1); /* no temporary was left */
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(killed_while_saving_flat),
    cmocka_unit_test(killed_while_saving_ivf),
    cmocka_unit_test(disk_full),
};
SONDE_TEST_MAIN(tests)
