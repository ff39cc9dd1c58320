/* cmd_info.c: sonde info: what this build is, or what a file holds: spec, sizes, calibration, sections and checksums.
 *
 * Every checksum is computed again, so this also finds damage; sonde check goes further and proves the structure.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const cli_option options[] = {CLI_OPTIONS_END};

typedef struct file_facts {
    const char *path;
    char noun[16];
    int64_t section_count;
    sonde_section_info *sections;
    sonde_index *index; /* NULL if the file holds another noun or is damaged */
    sonde_index_stats stats;
    char *other_spec; /* of a quantizer or transform */
} file_facts;

/* ---- The build ----------------------------------------------------------------------------------------- */

/* sonde_build_info is one line of key=value pairs; calls show for each. */
static void each_pair(void (*show)(void *user, const char *key, const char *value), void *user)
{
    char text[1024];
    snprintf(text, sizeof text, "%s", sonde_build_info());
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) {
        char *equals = strchr(word, '=');
        if (equals)
            *equals = 0;
        show(user, word, equals ? equals + 1 : "yes");
    }
}

static void pair_json(void *json, const char *key, const char *value)
{
    cli_json_text(json, key, value);
}

static void pair_row(void *table, const char *key, const char *value)
{
    cli_table_cell(table, "%s", key);
    cli_table_cell(table, "%s", value);
}

static int show_build(const cli_args *args)
{
    if (cli_has(args, "json")) {
        cli_json json;
        cli_json_start(&json, stdout);
        cli_json_open(&json, NULL, '{');
        each_pair(pair_json, &json);
        cli_json_close(&json);
    } else {
        cli_table table;
        cli_table_begin(&table, "ll", NULL);
        each_pair(pair_row, &table);
        cli_table_print(&table, stdout);
    }
    return CLI_OK;
}

/* ---- Reading a file ------------------------------------------------------------------------------------ */

/* What the table of contents says, and the checksums about it; a file with damage inside can still be read here. */
static int read_sections(file_facts *facts)
{
    int64_t *count = &facts->section_count;
    int code = cli_result(facts->path, sonde_file_sections(facts->path, NULL, 0, count, facts->noun));
    if (code)
        return code;
    sonde_section_info first = SONDE_SECTION_INFO_INIT;
    facts->sections = cli_memory(*count + 1, sizeof first);
    facts->sections[0] = first;
    return cli_result(facts->path, sonde_file_sections(facts->path, facts->sections, *count, count, NULL));
}

static const sonde_section_info *damaged_section(const file_facts *facts)
{
    for (int64_t i = 0; i < facts->section_count; i++) {
        if (!facts->sections[i].intact)
            return &facts->sections[i];
    }
    return NULL;
}

static int read_index(file_facts *facts)
{
    facts->stats = (sonde_index_stats)SONDE_INDEX_STATS_INIT;
    int code = cli_index_open(facts->path, true, &facts->index);
    return code ? code : cli_result(facts->path, sonde_index_stats_get(facts->index, &facts->stats));
}

/* Opens what the file holds, to ask it for its spec. */
static int read_handle(file_facts *facts)
{
    sonde_status status = SONDE_OK;
    if (!strcmp(facts->noun, "index"))
        return read_index(facts);
    if (!strcmp(facts->noun, "quantizer")) {
        sonde_quantizer *quantizer = NULL;
        status = sonde_quantizer_open(facts->path, NULL, cli_runtime(), &quantizer);
        if (!status)
            facts->other_spec = cli_copy(sonde_quantizer_spec(quantizer));
        sonde_quantizer_free(quantizer);
    } else if (!strcmp(facts->noun, "transform")) {
        sonde_transform *transform = NULL;
        status = sonde_transform_open(facts->path, NULL, cli_runtime(), &transform);
        if (!status)
            facts->other_spec = cli_copy(sonde_transform_spec(transform));
        sonde_transform_free(transform);
    }
    return cli_result(facts->path, status);
}

/* ---- JSON ---------------------------------------------------------------------------------------------- */

static void sections_json(cli_json *json, const file_facts *facts)
{
    char checksum[CLI_TEXT_BYTES];
    cli_json_open(json, "sections", '[');
    for (int64_t i = 0; i < facts->section_count; i++) {
        const sonde_section_info *section = &facts->sections[i];
        cli_json_open(json, NULL, '{');
        cli_json_text(json, "tag", section->tag);
        cli_json_text(json, "path", section->path);
        cli_json_int(json, "offset", (int64_t)section->offset);
        cli_json_int(json, "bytes", (int64_t)section->bytes);
        snprintf(checksum, sizeof checksum, "%08llx", (unsigned long long)section->checksum);
        cli_json_text(json, "checksum", checksum);
        cli_json_bool(json, "intact", section->intact != 0);
        cli_json_close(json);
    }
    cli_json_close(json);
}

static void index_json(cli_json *json, const file_facts *facts)
{
    const sonde_index_stats *stats = &facts->stats;
    cli_json_text(json, "spec", sonde_index_spec(facts->index));
    cli_json_text(json, "metric", cli_metric_name(stats->metric));
    cli_json_int(json, "dim", stats->dim);
    cli_json_int(json, "rows", stats->count);
    cli_json_int(json, "removed", stats->removed);
    cli_json_int(json, "lists", stats->lists);
    cli_json_int(json, "largest_list", stats->largest_list);
    cli_json_int(json, "empty_lists", stats->empty_lists);
    cli_json_int(json, "long_lists", stats->long_lists);
    cli_json_real(json, "drift", stats->drift);
    cli_json_int(json, "row_bytes", (int64_t)stats->row_bytes);
    cli_json_int(json, "memory_bytes", (int64_t)stats->memory_bytes);
    cli_json_int(json, "mapped_bytes", (int64_t)stats->mapped_bytes);
    cli_json_int(json, "version", (int64_t)stats->version);
    cli_json_bool(json, "trained", stats->trained != 0);
    cli_json_int(json, "calibrated", stats->calibrated);
    cli_json_int(json, "calibrated_at", stats->calibrated_at);
    cli_index_points_json(json, facts->index);
}

static void show_json(const file_facts *facts)
{
    cli_json json;
    cli_json_start(&json, stdout);
    cli_json_open(&json, NULL, '{');
    cli_json_text(&json, "file", facts->path);
    cli_json_int(&json, "file_bytes", cli_file_size(facts->path));
    cli_json_text(&json, "holds", facts->noun);
    cli_json_bool(&json, "intact", !damaged_section(facts));
    if (facts->index)
        index_json(&json, facts);
    else if (facts->other_spec)
        cli_json_text(&json, "spec", facts->other_spec);
    sections_json(&json, facts);
    cli_json_close(&json);
}

/* ---- Text ---------------------------------------------------------------------------------------------- */

/* The rows of the first table that only an index has. */
static void show_index(cli_table *table, const file_facts *facts)
{
    const sonde_index_stats *stats = &facts->stats;
    char text[CLI_TEXT_BYTES], more[CLI_TEXT_BYTES];
    pair_row(table, "spec", sonde_index_spec(facts->index));
    cli_table_cell(table, "rows");
    cli_table_cell(table, "%s (and %s removed, not yet given back)", cli_grouped(stats->count, text),
                   cli_grouped(stats->removed, more));
    cli_table_cell(table, "columns");
    cli_table_cell(table, "%s, metric %s", cli_grouped(stats->dim, text), cli_metric_name(stats->metric));
    cli_table_cell(table, "lists");
    cli_table_cell(table, "%s (largest %s rows, %lld empty)", cli_grouped(stats->lists, text),
                   cli_grouped(stats->largest_list, more), (long long)stats->empty_lists);
    if (stats->drift > 0) {
        static const char *const splits[] = {"", ", which compact splits", ", which cannot be split"};
        cli_table_cell(table, "drift");
        cli_table_cell(table, "%.2f (1 = as the training rows); %lld lists too long%s", (double)stats->drift,
                       (long long)stats->long_lists, splits[stats->split % 3]);
    }
    cli_table_cell(table, "a row takes");
    cli_table_cell(table, "%llu bytes", (unsigned long long)stats->row_bytes);
    cli_table_cell(table, "memory");
    cli_table_cell(table, "%s held, %s mapped", cli_size(stats->memory_bytes, text),
                   cli_size(stats->mapped_bytes, more));
    static const char *const sources[] = {"none", "on stored rows", "on given queries"};
    cli_table_cell(table, "calibration");
    cli_table_cell(table, "%s, at %s rows", sources[stats->calibrated % 3],
                   cli_grouped(stats->calibrated_at, text));
}

static void show_sections(const file_facts *facts)
{
    char text[CLI_TEXT_BYTES];
    cli_table table;
    cli_table_begin(&table, "lrrll", "section|offset|bytes|crc-32c|state");
    for (int64_t i = 0; i < facts->section_count; i++) {
        const sonde_section_info *section = &facts->sections[i];
        cli_table_cell(&table, "%s%s%s", section->path, *section->path ? "/" : "", section->tag);
        cli_table_cell(&table, "%s", cli_grouped((int64_t)section->offset, text));
        cli_table_cell(&table, "%s", cli_grouped((int64_t)section->bytes, text));
        cli_table_cell(&table, "%08llx", (unsigned long long)section->checksum);
        cli_table_cell(&table, "%s", section->intact ? "intact" : "DAMAGED");
    }
    puts("");
    cli_table_print(&table, stdout);
}

static void show_text(const file_facts *facts)
{
    char size[CLI_TEXT_BYTES];
    cli_table table;
    cli_table_begin(&table, "ll", NULL);
    cli_table_cell(&table, "file");
    cli_table_cell(&table, "%s (%s)", facts->path, cli_size((uint64_t)cli_file_size(facts->path), size));
    pair_row(&table, "holds", facts->noun);
    if (facts->index)
        show_index(&table, facts);
    else if (facts->other_spec)
        pair_row(&table, "spec", facts->other_spec);
    cli_table_print(&table, stdout);
    if (facts->index && facts->stats.calibrated) {
        puts("");
        cli_index_points(facts->index, stdout);
    }
    show_sections(facts);
}

/* ---- The command --------------------------------------------------------------------------------------- */

/* Damage is shown as far as the table of contents goes, and then is an error; a damaged handle is not opened. */
static int show_file(const cli_args *args)
{
    file_facts facts = {.path = args->operands[0]};
    int code = read_sections(&facts);
    const sonde_section_info *damaged = code ? NULL : damaged_section(&facts);
    if (!code && !damaged)
        code = read_handle(&facts);
    if (!code) {
        if (cli_has(args, "json"))
            show_json(&facts);
        else
            show_text(&facts);
    }
    if (damaged)
        code =
            cli_error("%s: section \"%s\": checksum differs; the file is damaged", facts.path, damaged->tag);
    sonde_index_free(facts.index);
    free(facts.other_spec);
    free(facts.sections);
    return code;
}

static int run(const cli_args *args)
{
    return args->operand_count ? show_file(args) : show_build(args);
}

const cli_command cli_command_info = {
    .name = "info",
    .operands = "[FILE]",
    .min_operands = 0,
    .max_operands = 1,
    .summary = "shows what a file holds, or how this program was built",
    .example = "sonde info glosses.sonde",
    .options = options,
    .run = run,
};
