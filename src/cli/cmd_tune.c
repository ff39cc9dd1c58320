/* cmd_tune.c: sonde tune: measures which effort reaches which recall, and keeps the curve in the index file.
 *
 * Filling an index has already measured this on stored rows. Real queries are often farther from the rows than rows are
 * from each other, so a curve from them keeps its promises better.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli.h"

static const cli_option options[] = {
    {"budget", 'b', CLI_REAL, 0.001, 1e9, "SECONDS", "stop after this time (at least one pass is made)"},
    {"seed", 0, CLI_INT, 0, 9e15, "N", "chooses the stored rows where no QUERIES are given"},
    {"output", 'o', CLI_TEXT, 0, 0, "FILE", "write here instead of over INDEX"},
    CLI_OPTIONS_END,
};

/* Without QUERIES the library takes stored rows and disturbs them. */
static int tune(const cli_args *args, sonde_index *index)
{
    sonde_tune_options how = SONDE_TUNE_OPTIONS_INIT;
    how.seconds = cli_real(args, "budget", 0);
    how.seed = (uint64_t)cli_int(args, "seed", 0);
    cli_vectors queries;
    bool given = args->operand_count > 1;
    if (given) {
        int code = cli_index_vectors(index, args->operands[1], &queries);
        if (code)
            return code;
    }
    int code = cli_result(NULL, sonde_index_tune(index, given ? &queries.array : NULL, &how));
    if (given)
        cli_vectors_free(&queries);
    return code;
}

static void report(const cli_args *args, const sonde_index *index, const char *path, double seconds)
{
    if (cli_has(args, "json")) {
        cli_json json;
        cli_json_start(&json, stdout);
        cli_json_open(&json, NULL, '{');
        cli_json_text(&json, "file", path);
        cli_json_text(&json, "spec", sonde_index_spec(index));
        cli_json_real(&json, "seconds", seconds);
        cli_index_points_json(&json, index);
        cli_json_close(&json);
    } else {
        printf("%s: tuned in %.2f s\n", path, seconds);
        cli_index_points(index, stdout);
    }
}

static int run(const cli_args *args)
{
    const char *input = args->operands[0], *output = cli_text(args, "output");
    sonde_index *index = NULL;
    double start = cli_seconds();
    output = output ? output : input;
    int code = cli_index_open(input, false, &index);
    if (!code)
        code = tune(args, index);
    if (!code)
        code = cli_index_save(index, output);
    if (!code)
        report(args, index, output, cli_seconds() - start);
    sonde_index_free(index);
    return code;
}

const cli_command cli_command_tune = {
    .name = "tune",
    .operands = "INDEX [QUERIES]",
    .min_operands = 1,
    .max_operands = 2,
    .summary = "measures recall against effort and keeps the curve in the file",
    .example = "sonde tune glosses.sonde questions.npy --budget 60",
    .options = options,
    .run = run,
};
