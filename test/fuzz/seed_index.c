/* seed_index.c: writes the seeds of fuzz_index into a folder: for each of its specs a few long runs of operations.
 *
 *     seed_index test/fuzz/corpus/index
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdint.h>
#include <stdio.h>

#define SPECS 9
#define RUNS 3
#define BYTES 400

static int write_run(const char *folder, unsigned spec, unsigned run)
{
    char path[1024];
    uint32_t state = 1 + spec * 31 + run * 977;
    snprintf(path, sizeof path, "%s/spec-%u-run-%u", folder, spec, run);
    FILE *file = fopen(path, "wb");
    if (!file) return perror(path), 1;
    fputc((int)spec, file);
    fputc(0, file); /* begin with an add of many rows under numbers from 0 */
    fputc(24, file);
    fputc(0, file);
    fputc(0, file);
    for (int i = 0; i < BYTES; i++) {
        state = state * 1664525u + 1013904223u;
        fputc((int)(state >> 24), file);
    }
    return fclose(file) ? 1 : 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) return fprintf(stderr, "usage: seed_index FOLDER\n"), 2;
    for (unsigned spec = 0; spec < SPECS; spec++)
        for (unsigned run = 0; run < RUNS; run++)
            if (write_run(argv[1], spec, run)) return 1;
    return 0;
}
