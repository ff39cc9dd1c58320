/* cmd_build.c: sonde build: vectors and a spec become one index file.
 *
 * Without --train the index trains on the vectors that it is given. The time of each part is told apart, since training
 * is done once for many adds.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli.h"

static const cli_option options[] = {
    {"spec", 's', CLI_TEXT, 0, 0, "SPEC", "what to build, such as 'ivf(nlist=512)'; see sonde list index"},
    {"output", 'o', CLI_TEXT, 0, 0, "FILE", "the index file to write"},
    {"ids", 0, CLI_TEXT, 0, 0, "FILE", "ids of the rows: .npy, .ivecs or text (default: 0, 1, 2, ...)"},
    {"train", 0, CLI_TEXT, 0, 0, "FILE", "train on these vectors (default: on VECTORS)"},
    CLI_OPTIONS_END,
};

typedef struct build_times {
    double train, add, save;
} build_times;

/* Trains on a file of its own instead of on what is added first. */
static int train_on(sonde_index *index, const char *path)
{
    cli_vectors vectors;
    int code = cli_index_vectors(index, path, &vectors);
    if (code)
        return code;
    sonde_input input = {"vectors", &vectors.array};
    code = cli_result(path, sonde_index_train(index, &input, 1));
    cli_vectors_free(&vectors);
    return code;
}

/* Trains, adds and saves; on failure nothing has been written. */
static int fill(const cli_args *args, sonde_index *index, const sonde_array *vectors, build_times *times)
{
    const char *sample = cli_text(args, "train");
    cli_change change = {0, 0, 0};
    double start = cli_seconds();
    int code = sample ? train_on(index, sample) : CLI_OK;
    times->train = cli_seconds() - start;
    start = cli_seconds();
    if (!code)
        code = cli_index_add(index, vectors, cli_text(args, "ids"), &change);
    times->add = cli_seconds() - start;
    start = cli_seconds();
    if (!code)
        code = cli_index_save(index, cli_text(args, "output"));
    times->save = cli_seconds() - start;
    return code;
}

static void report(const cli_args *args, const sonde_index *index, const build_times *times)
{
    const char *path = cli_text(args, "output");
    int64_t rows = sonde_index_count(index), dim = sonde_index_dim(index), bytes = cli_file_size(path);
    if (cli_has(args, "json")) {
        cli_json json;
        cli_json_start(&json, stdout);
        cli_json_open(&json, NULL, '{');
        cli_json_text(&json, "file", path);
        cli_json_text(&json, "spec", sonde_index_spec(index));
        cli_json_int(&json, "rows", rows);
        cli_json_int(&json, "dim", dim);
        cli_json_int(&json, "file_bytes", bytes);
        cli_json_real(&json, "train_seconds", times->train);
        cli_json_real(&json, "add_seconds", times->add);
        cli_json_real(&json, "save_seconds", times->save);
        cli_json_close(&json);
        return;
    }
    char count[CLI_TEXT_BYTES], size[CLI_TEXT_BYTES];
    printf("%s: %s rows x %lld, %s, built in %.2f s\n%s\n", path, cli_grouped(rows, count), (long long)dim,
           cli_size((uint64_t)bytes, size), times->train + times->add + times->save, sonde_index_spec(index));
}

/* Read once: the vectors may come through a pipe. */
static int build(const cli_args *args)
{
    const char *spec = cli_text(args, "spec");
    cli_vectors vectors;
    int code = cli_spec_vectors(spec, args->operands[0], &vectors);
    if (code)
        return code;
    sonde_index *index = NULL;
    build_times times = {0, 0, 0};
    code = cli_result(NULL, sonde_index_create(spec, vectors.array.cols, cli_runtime(), &index));
    if (!code)
        code = fill(args, index, &vectors.array, &times);
    if (!code)
        report(args, index, &times);
    sonde_index_free(index);
    cli_vectors_free(&vectors);
    return code;
}

/* Options that cannot be left out are looked at before anything is read. */
static int run(const cli_args *args)
{
    const char *output = cli_text(args, "output");
    if (!cli_has(args, "spec"))
        return cli_usage_error(args->command, "--spec is missing, such as --spec 'flat(metric=cosine)' "
                                              "('sonde list index' shows what there is)");
    if (!output)
        return cli_usage_error(args->command, "-o is missing: the index file to write");
    if (cli_same_file(args->operands[0], output))
        return cli_usage_error(args->command, "-o %s would overwrite the vectors", output);
    return build(args);
}

const cli_command cli_command_build = {
    .name = "build",
    .operands = "VECTORS --spec SPEC -o INDEX",
    .min_operands = 1,
    .max_operands = 1,
    .summary = "makes an index file from a file of vectors",
    .example =
        "sonde build glosses.npy --spec 'ivf(nlist=512, code=pq(m=48), metric=cosine)' -o glosses.sonde",
    .options = options,
    .run = run,
};
