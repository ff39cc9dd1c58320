/* cmd_add.c: sonde add: adds rows to an index file; an id that is stored already gets the new row.
 *
 * The file is read, changed in memory, and replaced as a whole: whoever opens it sees the old index or the new one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli.h"

static const cli_option options[] = {
    {"ids", 0, CLI_TEXT, 0, 0, "FILE", "ids: .npy, .ivecs or text (default: after the largest id)"},
    {"output", 'o', CLI_TEXT, 0, 0, "FILE", "write here instead of over INDEX"},
    CLI_OPTIONS_END,
};

static int add_file(sonde_index *index, const char *path, const char *ids_path, cli_change *change)
{
    cli_vectors vectors;
    int code = cli_index_vectors(index, path, &vectors);
    if (code)
        return code;
    code = cli_index_add(index, &vectors.array, ids_path, change);
    cli_vectors_free(&vectors);
    return code;
}

static int run(const cli_args *args)
{
    const char *input = args->operands[0], *output = cli_text(args, "output");
    sonde_index *index = NULL;
    cli_change change = {0, 0, 0};
    output = output ? output : input;
    if (cli_same_file(args->operands[1], output))
        return cli_usage_error(args->command, "-o %s would overwrite the vectors", output);
    int code = cli_index_open(input, false, &index);
    if (!code)
        code = add_file(index, args->operands[1], cli_text(args, "ids"), &change);
    if (!code)
        code = cli_index_save_changed(args, index, output, &change);
    sonde_index_free(index);
    return code;
}

const cli_command cli_command_add = {
    .name = "add",
    .operands = "INDEX VECTORS",
    .min_operands = 2,
    .max_operands = 2,
    .summary = "adds rows to an index file, or replaces them by id",
    .example = "sonde add glosses.sonde new.npy --ids new_ids.txt",
    .options = options,
    .run = run,
};
