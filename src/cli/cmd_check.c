/* cmd_check.c: sonde check: reads a whole file, every checksum, and proves the structure of what is in it.
 *
 * Exit code 0 means sound, 1 names the first thing that is not. sonde info shows all sections of a damaged file.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "cli.h"

static const cli_option options[] = {CLI_OPTIONS_END};

/* Opening in READ mode verifies everything that the file format can say; an index can also prove its structure. */
static sonde_status prove(const char *path, const char *noun)
{
    sonde_index *index = NULL;
    sonde_quantizer *quantizer = NULL;
    sonde_transform *transform = NULL;
    sonde_status status;
    if (!strcmp(noun, "quantizer"))
        status = sonde_quantizer_open(path, NULL, cli_runtime(), &quantizer);
    else if (!strcmp(noun, "transform"))
        status = sonde_transform_open(path, NULL, cli_runtime(), &transform);
    else
        status = sonde_index_open(path, NULL, cli_runtime(), &index);
    if (!status && index)
        status = sonde_index_check(index);
    sonde_index_free(index);
    sonde_quantizer_free(quantizer);
    sonde_transform_free(transform);
    return status;
}

static int run(const cli_args *args)
{
    const char *path = args->operands[0];
    char noun[16] = "";
    int64_t sections = 0;
    sonde_status status = sonde_file_sections(path, NULL, 0, &sections, noun);
    if (!status)
        status = prove(path, noun);
    int code = cli_result(path, status);
    if (code)
        return code;
    if (cli_has(args, "json")) {
        cli_json json;
        cli_json_start(&json, stdout);
        cli_json_open(&json, NULL, '{');
        cli_json_text(&json, "file", path);
        cli_json_text(&json, "holds", noun);
        cli_json_int(&json, "sections", sections);
        cli_json_bool(&json, "sound", true);
        cli_json_close(&json);
    } else {
        printf("%s: sound (%s, %lld sections, every checksum and the structure)\n", path, noun,
               (long long)sections);
    }
    return CLI_OK;
}

const cli_command cli_command_check = {
    .name = "check",
    .operands = "FILE",
    .min_operands = 1,
    .max_operands = 1,
    .summary = "proves that a file and the structure in it are sound",
    .example = "sonde check glosses.sonde",
    .options = options,
    .run = run,
};
