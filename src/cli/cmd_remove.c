/* cmd_remove.c: sonde remove: takes rows out of an index file, by id, and gives their space back.
 *
 * Ids that are not stored are passed over, so a list can be applied twice. The file is replaced as a whole.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const cli_option options[] = {
    {"ids", 0, CLI_TEXT, 0, 0, "FILE", "ids to remove: .npy, .ivecs or text"},
    {"output", 'o', CLI_TEXT, 0, 0, "FILE", "write here instead of over INDEX"},
    CLI_OPTIONS_END,
};

/* The ids of --ids and those on the command line, together. */
static int collect_ids(const cli_args *args, int64_t **ids, int64_t *count)
{
    if (cli_has(args, "ids")) {
        int code = cli_ids_read(cli_text(args, "ids"), ids, count);
        if (code)
            return code;
    }
    *ids = cli_grow(*ids, *count + args->operand_count, sizeof **ids);
    for (int i = 1; i < args->operand_count; i++) {
        if (!cli_number(args->operands[i], &(*ids)[*count]))
            return cli_usage_error(args->command, "'%s' is not an id; ids are whole numbers",
                                   args->operands[i]);
        *count += 1;
    }
    return *count ? CLI_OK : cli_usage_error(args->command, "no ids; give some, or --ids FILE");
}

/* Compacting at once costs one pass, and a file is read more often than it is changed. */
static int remove_rows(sonde_index *index, const int64_t *ids, int64_t count, int64_t *removed)
{
    sonde_status status = sonde_index_remove(index, ids, count, removed);
    if (!status)
        status = sonde_index_compact(index);
    return cli_result(NULL, status);
}

static int run(const cli_args *args)
{
    const char *input = args->operands[0], *output = cli_text(args, "output");
    sonde_index *index = NULL;
    int64_t *ids = NULL, count = 0;
    cli_change change = {0, 0, 0};
    output = output ? output : input;
    int code = collect_ids(args, &ids, &count);
    if (!code)
        code = cli_index_open(input, false, &index);
    if (!code)
        code = remove_rows(index, ids, count, &change.removed);
    if (!code)
        code = cli_index_save_changed(args, index, output, &change);
    sonde_index_free(index);
    free(ids);
    return code;
}

const cli_command cli_command_remove = {
    .name = "remove",
    .operands = "INDEX [ID...]",
    .min_operands = 1,
    .max_operands = 1 << 20,
    .summary = "takes rows out of an index file, by id",
    .example = "sonde remove glosses.sonde 17 4711",
    .options = options,
    .run = run,
};
