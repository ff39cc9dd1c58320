/* cmd_convert.c: sonde convert: a file of vectors in one format becomes one in another; the extensions say which.
 *
 * --rows takes a part of it: a sample to train on, or shards to build apart. Rows are streamed: any size will do.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>

#include "cli.h"

static const cli_option options[] = {
    {"rows", 0, CLI_TEXT, 0, 0, "FIRST:END", "only rows FIRST to END - 1, such as 0:1000"},
    CLI_OPTIONS_END,
};

/* Narrows the view to FIRST:END; either may be left out, END may lie beyond the last row. */
static int choose_rows(const cli_args *args, sonde_array *array)
{
    const char *text = cli_text(args, "rows");
    if (!text)
        return CLI_OK;
    char *rest;
    long long first = strtoll(text, &rest, 10), end = INT64_MAX;
    bool good = *rest == ':' && first >= 0;
    if (good && rest[1])
        end = strtoll(rest + 1, &rest, 10);
    else if (good)
        rest++;
    if (!good || *rest || end < first)
        return cli_usage_error(args->command, "--rows takes FIRST:END, such as 0:1000, not '%s'", text);
    if (first > array->rows)
        return cli_error("%s: has %lld rows, so there is no row %lld", args->operands[0],
                         (long long)array->rows, first);
    end = end < array->rows ? end : array->rows;
    array->data = (char *)array->data + first * array->stride;
    array->rows = end - first;
    return CLI_OK;
}

static void report(const cli_args *args, const sonde_array *array)
{
    const char *path = args->operands[1];
    int64_t bytes = cli_file_size(path);
    if (cli_has(args, "json")) {
        cli_json json;
        cli_json_start(&json, stdout);
        cli_json_open(&json, NULL, '{');
        cli_json_text(&json, "file", path);
        cli_json_int(&json, "rows", array->rows);
        cli_json_int(&json, "dim", array->cols);
        cli_json_text(&json, "read_as", cli_dtype_name(array->dtype));
        cli_json_int(&json, "file_bytes", bytes);
        cli_json_close(&json);
    } else {
        char rows[CLI_TEXT_BYTES], size[CLI_TEXT_BYTES];
        printf("%s: %s x %lld, %s\n", path, cli_grouped(array->rows, rows), (long long)array->cols,
               cli_size((uint64_t)bytes, size));
    }
}

static int run(const cli_args *args)
{
    if (!cli_format_of(args->operands[1]))
        return cli_usage_error(args->command,
                               "the extension of '%s' names no format; there are "
                               ".npy .fvecs .bvecs .ivecs .fbin .u8bin .i8bin",
                               args->operands[1]);
    if (cli_same_file(args->operands[0], args->operands[1]))
        return cli_usage_error(args->command, "input and output are one file");
    cli_vectors vectors;
    int code = cli_vectors_read(args->operands[0], &vectors);
    if (code)
        return code;
    code = choose_rows(args, &vectors.array);
    if (!code)
        code = cli_vectors_write(args->operands[1], &vectors.array);
    if (!code)
        report(args, &vectors.array);
    cli_vectors_free(&vectors);
    return code;
}

const cli_command cli_command_convert = {
    .name = "convert",
    .operands = "IN OUT",
    .min_operands = 2,
    .max_operands = 2,
    .summary = "turns a file of vectors into another format",
    .example = "sonde convert glosses.npy glosses.fbin",
    .options = options,
    .run = run,
};
