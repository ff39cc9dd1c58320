/* make_golden.c: writes the golden files of a format version and what they must answer into a folder. Run once for
 * each new version of the format on each kind of processor, into a folder of its own; files that are committed are never
 * written again.
 *
 *     cc -Iinclude -Itest test/golden/make_golden.c lib/libsonde.a -lm -lpthread ... -o make_golden
 *     ./make_golden test/golden/v1
 *
 * SPDX-License-Identifier: MIT
 */
#include "golden.h"

static int make_index(const char *folder, const index_sample *sample)
{
    char path[512];
    sonde_index *index = NULL;
    golden_path(folder, "index", sample->name, path);
    sonde_status status = sample_index(sample, NULL, &index);
    if (status == SONDE_OK) status = sonde_index_save(index, path);
    sonde_index_free(index);
    return status == SONDE_OK ? 0 : sample_fail(sample->spec);
}

static int make_quantizer(const char *folder, const golden_model *model)
{
    char path[512];
    float storage[SAMPLE_ROWS * SAMPLE_DIM];
    sonde_quantizer *quantizer = NULL;
    sonde_array rows = sample_rows(SONDE_DTYPE_F32, 0, SAMPLE_ROWS, storage);
    sonde_input input = {"vectors", &rows};
    golden_path(folder, "quantizer", model->name, path);
    sonde_status status = sonde_quantizer_create(model->spec, SAMPLE_DIM, NULL, &quantizer);
    if (status == SONDE_OK) status = sonde_quantizer_train(quantizer, &input, 1);
    if (status == SONDE_OK) status = sonde_quantizer_save(quantizer, path);
    sonde_quantizer_free(quantizer);
    return status == SONDE_OK ? 0 : sample_fail(model->spec);
}

static int make_transform(const char *folder, const golden_model *model)
{
    char path[512];
    float storage[SAMPLE_ROWS * SAMPLE_DIM];
    sonde_transform *transform = NULL;
    sonde_array rows = sample_rows(SONDE_DTYPE_F32, 0, SAMPLE_ROWS, storage);
    sonde_input input = {"vectors", &rows};
    golden_path(folder, "transform", model->name, path);
    sonde_status status = sonde_transform_create(model->spec, SAMPLE_DIM, NULL, &transform);
    if (status == SONDE_OK) status = sonde_transform_train(transform, &input, 1);
    if (status == SONDE_OK) status = sonde_transform_save(transform, path);
    sonde_transform_free(transform);
    return status == SONDE_OK ? 0 : sample_fail(model->spec);
}

/* One line a file: its name, its spec, how many numbers, the numbers. */
static int write_answers(const char *folder)
{
    char path[512];
    const char *noun, *name;
    golden_reader read;
    snprintf(path, sizeof path, "%s/%s", folder, GOLDEN_ANSWERS);
    FILE *answers = fopen(path, "w");
    if (!answers) return perror(path), 1;
    for (size_t i = 0; golden_at(i, &noun, &name, &read); i++) {
        golden_answer answer = {.count = 0};
        golden_path(folder, noun, name, path);
        if (read(path, NULL, &answer)) return fclose(answers), sample_fail(path);
        fprintf(answers, "%s-%s\t%s\t%d", noun, name, answer.spec, answer.count);
        for (int j = 0; j < answer.count; j++) fprintf(answers, " %.9g", answer.number[j]);
        fprintf(answers, "\n");
    }
    return fclose(answers) ? 1 : 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) return fprintf(stderr, "usage: make_golden FOLDER\n"), 2;
    for (size_t i = 0; i < INDEX_SAMPLES; i++)
        if (make_index(argv[1], &index_samples[i])) return 1;
    for (size_t i = 0; i < GOLDEN_QUANTIZERS; i++)
        if (make_quantizer(argv[1], &golden_quantizers[i])) return 1;
    for (size_t i = 0; i < GOLDEN_TRANSFORMS; i++)
        if (make_transform(argv[1], &golden_transforms[i])) return 1;
    return write_answers(argv[1]);
}
