/* cmd_merge.c: sonde merge: joins indexes of one spec and one training into one file.
 *
 * Later files win where an id is in several. Parts that were trained apart cannot be joined: build them from one
 * --train file. All but the first are mapped, so only the result needs memory.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli.h"

static const cli_option options[] = {
    {"output", 'o', CLI_TEXT, 0, 0, "FILE", "the index file to write"},
    CLI_OPTIONS_END,
};

static int merge_file(sonde_index *index, const char *path, cli_change *change)
{
    sonde_index *from = NULL;
    int code = cli_index_open(path, true, &from);
    if (code)
        return code;
    int64_t before = sonde_index_count(index);
    code = cli_result(path, sonde_index_merge(index, from));
    int64_t added = sonde_index_count(index) - before;
    change->added += added;
    change->replaced += sonde_index_count(from) - added;
    sonde_index_free(from);
    return code;
}

static int run(const cli_args *args)
{
    const char *output = cli_text(args, "output");
    if (!output)
        return cli_usage_error(args->command, "-o is missing: the index file to write");
    sonde_index *index = NULL;
    cli_change change = {0, 0, 0};
    int code = cli_index_open(args->operands[0], false, &index);
    for (int i = 1; i < args->operand_count && !code; i++)
        code = merge_file(index, args->operands[i], &change);
    if (!code)
        code = cli_index_save_changed(args, index, output, &change);
    sonde_index_free(index);
    return code;
}

const cli_command cli_command_merge = {
    .name = "merge",
    .operands = "INDEX INDEX... -o INDEX",
    .min_operands = 2,
    .max_operands = 1 << 20,
    .summary = "joins indexes that share their spec and training",
    .example = "sonde merge part1.sonde part2.sonde -o all.sonde",
    .options = options,
    .run = run,
};
