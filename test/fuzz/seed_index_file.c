/* seed_index_file.c: writes the seeds of fuzz_index_file into a folder: one whole index file of every kind of
 * index_sample.h, one untrained, one with a calibration curve.
 *
 *     seed_index_file test/fuzz/corpus/index_file
 *
 * SPDX-License-Identifier: MIT
 */
#include "index_sample.h"

static int save(const char *folder, const char *name, sonde_index *index)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    sonde_status status = sonde_index_save(index, path);
    sonde_index_free(index);
    return status == SONDE_OK ? 0 : sample_fail(path);
}

static int save_calibrated(const char *folder)
{
    float storage[60 * SAMPLE_DIM];
    sonde_array queries = sample_rows(SONDE_DTYPE_F32, 200, 60, storage);
    sonde_index *index = NULL;
    if (sample_index(&index_samples[4], NULL, &index) || sonde_index_tune(index, &queries, NULL)) {
        sonde_index_free(index);
        return sample_fail("calibrated");
    }
    return save(folder, "calibrated", index);
}

int main(int argc, char **argv)
{
    sonde_index *index = NULL;
    if (argc != 2) return fprintf(stderr, "usage: seed_index_file FOLDER\n"), 2;
    for (size_t i = 0; i < INDEX_SAMPLES; i++) {
        if (sample_index(&index_samples[i], NULL, &index)) return sample_fail(index_samples[i].spec);
        if (save(argv[1], index_samples[i].name, index)) return 1;
    }
    if (sonde_index_create("ivf(nlist=3)", SAMPLE_DIM, NULL, &index)) return sample_fail("untrained");
    return save(argv[1], "untrained", index) || save_calibrated(argv[1]);
}
