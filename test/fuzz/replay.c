/* replay.c: runs a fuzz target over every file of the folders (or the files) given, and prints how many there were. It
 * stands in for libFuzzer's main where that is absent, so that plain tests replay the corpora.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int fail(const char *path)
{
    perror(path);
    return -1;
}

static int replay_file(const char *path, size_t size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(size ? size : 1);
    int failed = !file || !data || fread(data, 1, size, file) != size ? fail(path) : 0;
    if (file) fclose(file);
    if (!failed) {
        fflush(stdout);
        LLVMFuzzerTestOneInput(data, size);
    }
    free(data);
    return failed;
}

/* Counts the files below a path into *count. */
static int replay(const char *path, int *count)
{
    struct stat status;
    if (stat(path, &status)) return fail(path);
    if (!S_ISDIR(status.st_mode)) return ++*count, replay_file(path, (size_t)status.st_size);
    struct dirent **entries;
    int found = scandir(path, &entries, NULL, alphasort), failed = found < 0 ? fail(path) : 0;
    for (int i = 0; i < found; i++) {
        char *below = NULL;
        if (entries[i]->d_name[0] != '.' && !failed)
            failed = asprintf(&below, "%s/%s", path, entries[i]->d_name) < 0 ? fail(path) : replay(below, count);
        free(below);
        free(entries[i]);
    }
    if (found >= 0) free(entries);
    return failed;
}

int main(int argc, char **argv)
{
    int count = 0, failed = 0;
    for (int i = 1; i < argc && !failed; i++) failed = replay(argv[i], &count);
    printf("%d inputs\n", count);
    return failed ? 1 : 0;
}
