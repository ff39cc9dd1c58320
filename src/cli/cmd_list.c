/* cmd_list.c: sonde list: the catalogue of methods, from the tables that also check specs.
 *
 * Nothing about a method is written here: a new one appears by itself, with its keys and inputs.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const cli_option options[] = {CLI_OPTIONS_END};

enum { MAX_METHODS = 1024 };

typedef struct selection {
    int count;
    sonde_method_info methods[MAX_METHODS];
} selection;

/* The methods of a noun and a name; NULL is any. */
static int select_methods(selection *chosen, const char *noun, const char *method)
{
    sonde_method_info info = SONDE_METHOD_INFO_INIT;
    chosen->count = 0;
    for (uint32_t i = 0; chosen->count < MAX_METHODS && sonde_method_at(i, &info) == SONDE_OK; i++) {
        if ((!noun || !strcmp(noun, info.noun)) && (!method || !strcmp(method, info.name)))
            chosen->methods[chosen->count++] = info;
    }
    return chosen->count;
}

/* ---- JSON ---------------------------------------------------------------------------------------------- */

static void key_json(cli_json *json, const sonde_key_info *key)
{
    cli_json_open(json, NULL, '{');
    cli_json_text(json, "name", key->name);
    cli_json_text(json, "kind", key->kind);
    cli_json_text(json, "default", key->fallback);
    if (!strcmp(key->kind, "int")) {
        cli_json_int(json, "min", (int64_t)key->min);
        cli_json_int(json, "max", (int64_t)key->max);
    } else if (!strcmp(key->kind, "real")) {
        cli_json_real(json, "min", key->min);
        cli_json_real(json, "max", key->max);
    }
    if (*key->words)
        cli_json_text(json, "words", key->words);
    if (*key->noun)
        cli_json_text(json, "noun", key->noun);
    cli_json_text(json, "help", key->help);
    cli_json_close(json);
}

static void input_json(cli_json *json, const sonde_input_info *input)
{
    cli_json_open(json, NULL, '{');
    cli_json_text(json, "verb", input->verb);
    cli_json_text(json, "name", input->name);
    cli_json_bool(json, "required", input->required != 0);
    cli_json_text(json, "shape", input->shape);
    cli_json_text(json, "dtypes", input->dtypes);
    cli_json_text(json, "help", input->help);
    cli_json_close(json);
}

static void output_json(cli_json *json, const sonde_output_info *output)
{
    cli_json_open(json, NULL, '{');
    cli_json_text(json, "name", output->name);
    cli_json_text(json, "shape", output->shape);
    cli_json_text(json, "dtype", output->dtype);
    cli_json_text(json, "help", output->help);
    cli_json_close(json);
}

static void method_json(cli_json *json, const sonde_method_info *method)
{
    sonde_key_info key = SONDE_KEY_INFO_INIT;
    sonde_input_info input = SONDE_INPUT_INFO_INIT;
    sonde_output_info output = SONDE_OUTPUT_INFO_INIT;
    cli_json_open(json, NULL, '{');
    cli_json_text(json, "noun", method->noun);
    cli_json_text(json, "name", method->name);
    cli_json_text(json, "summary", method->summary);
    cli_json_text(json, "source", method->source);
    cli_json_open(json, "keys", '[');
    for (uint32_t i = 0; sonde_key_at(method->noun, method->name, i, &key) == SONDE_OK; i++)
        key_json(json, &key);
    cli_json_close(json);
    cli_json_open(json, "inputs", '[');
    for (uint32_t i = 0; sonde_input_at(method->noun, method->name, i, &input) == SONDE_OK; i++)
        input_json(json, &input);
    cli_json_close(json);
    cli_json_open(json, "outputs", '[');
    for (uint32_t i = 0; sonde_output_at(method->noun, method->name, i, &output) == SONDE_OK; i++)
        output_json(json, &output);
    cli_json_close(json);
    cli_json_close(json);
}

static void print_json(const selection *chosen)
{
    cli_json json;
    cli_json_start(&json, stdout);
    cli_json_open(&json, NULL, '{');
    cli_json_open(&json, "methods", '[');
    for (int i = 0; i < chosen->count; i++)
        method_json(&json, &chosen->methods[i]);
    cli_json_close(&json);
    cli_json_close(&json);
}

/* ---- Text ---------------------------------------------------------------------------------------------- */

static void print_table(const selection *chosen)
{
    cli_table table;
    cli_table_begin(&table, "lll", "noun|method|what it is");
    for (int i = 0; i < chosen->count; i++) {
        cli_table_cell(&table, "%s", chosen->methods[i].noun);
        cli_table_cell(&table, "%s", chosen->methods[i].name);
        cli_table_cell(&table, "%s", chosen->methods[i].summary);
    }
    cli_table_print(&table, stdout);
    puts("\nsonde list NOUN METHOD shows the keys of a spec, their ranges and defaults.");
}

static int print_page(const sonde_method_info *method)
{
    size_t length = 0;
    int code = cli_result(NULL, sonde_describe(method->noun, method->name, NULL, 0, &length));
    if (code)
        return code;
    char *text = cli_memory((int64_t)length + 1, 1);
    code = cli_result(NULL, sonde_describe(method->noun, method->name, text, length + 1, &length));
    fputs(text, stdout);
    free(text);
    return code;
}

/* Several nouns may have a method of one name. */
static int print_pages(const selection *chosen)
{
    int code = CLI_OK;
    for (int i = 0; i < chosen->count && !code; i++)
        code = print_page(&chosen->methods[i]);
    return code;
}

/* Nothing fits: names the nearest method of the noun, or the nearest word of all. */
static int nothing_found(const cli_args *args, selection *room)
{
    const char *names[2 * MAX_METHODS];
    const char *word = args->operands[0];
    int count = 0;
    if (args->operand_count > 1 && select_methods(room, word, NULL))
        word = args->operands[1];
    else
        select_methods(room, NULL, NULL);
    for (int i = 0; i < room->count; i++) {
        names[count++] = room->methods[i].name;
        if (word == args->operands[0])
            names[count++] = room->methods[i].noun;
    }
    const char *nearest = cli_nearest(word, names, count);
    if (nearest)
        return cli_usage_error(args->command, "there is no '%s'; did you mean '%s'?", word, nearest);
    return cli_usage_error(args->command, "there is no '%s'; 'sonde list' shows what there is", word);
}

static int run(const cli_args *args)
{
    static selection chosen;
    const char *noun = args->operand_count > 0 ? args->operands[0] : NULL;
    const char *method = args->operand_count > 1 ? args->operands[1] : NULL;
    if (!select_methods(&chosen, noun, method) && !method) {
        method = noun; /* "sonde list pq" is clear enough */
        select_methods(&chosen, NULL, method);
    }
    if (!chosen.count && noun)
        return nothing_found(args, &chosen);
    if (cli_has(args, "json"))
        print_json(&chosen);
    else if (method)
        return print_pages(&chosen);
    else
        print_table(&chosen);
    return CLI_OK;
}

const cli_command cli_command_list = {
    .name = "list",
    .operands = "[NOUN [METHOD]]",
    .min_operands = 0,
    .max_operands = 2,
    .summary = "shows every method, its keys, ranges, defaults and source",
    .example = "sonde list index ivf",
    .options = options,
    .run = run,
};
