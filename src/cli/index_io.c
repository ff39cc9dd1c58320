/* index_io.c: opening, saving and feeding an index, and telling about it, as several commands do it.
 *
 * Every function returns an exit code after saying what failed, so that a command is a chain of "if (!code)".
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

int cli_index_open(const char *path, bool mapped, sonde_index **index)
{
    sonde_open_options options = SONDE_OPEN_OPTIONS_INIT;
    options.mode = mapped ? SONDE_OPEN_MMAP : SONDE_OPEN_READ;
    return cli_result(path, sonde_index_open(path, &options, cli_runtime(), index));
}

int cli_index_save(const sonde_index *index, const char *path)
{
    return cli_result(path, sonde_index_save(index, path));
}

int cli_index_vectors(const sonde_index *index, const char *path, cli_vectors *vectors)
{
    int code = cli_vectors_read(path, vectors);
    if (!code && sonde_index_metric(index) == SONDE_METRIC_HAMMING)
        cli_vectors_as_bits(vectors);
    return code;
}

int cli_spec_vectors(const char *spec, const char *path, cli_vectors *vectors)
{
    char canonical[1024];
    size_t length;
    int code = cli_result(NULL, sonde_spec_check("index", spec, canonical, sizeof canonical, &length));
    if (!code)
        code = cli_vectors_read(path, vectors);
    if (!code && strstr(canonical, "dtype=bits"))
        cli_vectors_as_bits(vectors);
    return code;
}

/* The ids of the rows in a file, checked against the number of rows. */
static int read_row_ids(const char *path, int64_t rows, int64_t **ids)
{
    int64_t count = 0;
    int code = cli_ids_read(path, ids, &count);
    if (!code && count != rows)
        code = cli_error("%s: holds %lld ids, but there are %lld vectors", path, (long long)count,
                         (long long)rows);
    return code;
}

int cli_index_add(sonde_index *index, const sonde_array *vectors, const char *ids_path, cli_change *change)
{
    int64_t *ids = NULL, before = sonde_index_count(index);
    int code = ids_path ? read_row_ids(ids_path, vectors->rows, &ids) : CLI_OK;
    if (!code)
        code = cli_result(NULL, sonde_index_add(index, vectors, ids));
    free(ids);
    change->added = sonde_index_count(index) - before;
    change->replaced = vectors->rows - change->added;
    return code;
}

/* Says what a command changed in the index file that it wrote. */
static void report_change(const cli_args *args, const sonde_index *index, const char *path,
                          const cli_change *change)
{
    int64_t count = sonde_index_count(index);
    if (cli_has(args, "json")) {
        cli_json json;
        cli_json_start(&json, stdout);
        cli_json_open(&json, NULL, '{');
        cli_json_text(&json, "file", path);
        cli_json_int(&json, "added", change->added);
        cli_json_int(&json, "replaced", change->replaced);
        cli_json_int(&json, "removed", change->removed);
        cli_json_int(&json, "rows", count);
        cli_json_int(&json, "file_bytes", cli_file_size(path));
        cli_json_close(&json);
    } else {
        char added[CLI_TEXT_BYTES], replaced[CLI_TEXT_BYTES], removed[CLI_TEXT_BYTES], all[CLI_TEXT_BYTES];
        printf("%s: %s rows added, %s replaced, %s removed; %s in all\n", path,
               cli_grouped(change->added, added), cli_grouped(change->replaced, replaced),
               cli_grouped(change->removed, removed), cli_grouped(count, all));
    }
}

int cli_index_save_changed(const cli_args *args, const sonde_index *index, const char *path,
                           const cli_change *change)
{
    int code = cli_index_save(index, path);
    if (!code)
        report_change(args, index, path, change);
    return code;
}

/* The first point for k that reaches a recall; false if none does. */
static bool first_point(const sonde_index *index, uint32_t k, float recall, sonde_operating_point *point)
{
    for (uint32_t i = 0; sonde_index_operating_point(index, i, point) == SONDE_OK; i++) {
        if (point->k == k && point->recall >= recall)
            return true;
    }
    return false;
}

void cli_index_points(const sonde_index *index, FILE *file)
{
    static const uint32_t ks[] = {1, 10, 100}; /* those that calibration measures */
    static const float targets[] = {0.8f, 0.9f, 0.95f, 0.99f};
    sonde_operating_point point = SONDE_OPERATING_POINT_INIT;
    cli_table table;
    cli_table_begin(&table, "rrrrrrr", "k|wanted|effort|recall|at least|worst 5 %|rows scored");
    for (int i = 0; i < 12; i++) {
        if (!first_point(index, ks[i / 4], targets[i % 4], &point))
            continue;
        cli_table_cell(&table, "%u", point.k);
        cli_table_cell(&table, "%.2f", targets[i % 4]);
        cli_table_cell(&table, "%u", point.effort);
        cli_table_cell(&table, "%.4f", point.recall);
        cli_table_cell(&table, "%.4f", point.recall_low);
        cli_table_cell(&table, "%.4f", point.recall_p05);
        cli_table_cell(&table, "%.2f %%", point.cost * 100);
    }
    cli_table_print(&table, file);
}

void cli_index_points_json(cli_json *json, const sonde_index *index)
{
    sonde_operating_point point = SONDE_OPERATING_POINT_INIT;
    cli_json_open(json, "calibration", '[');
    for (uint32_t i = 0; sonde_index_operating_point(index, i, &point) == SONDE_OK; i++) {
        cli_json_open(json, NULL, '{');
        cli_json_int(json, "k", point.k);
        cli_json_int(json, "effort", point.effort);
        cli_json_int(json, "refine", point.refine);
        cli_json_real(json, "recall", point.recall);
        cli_json_real(json, "recall_low", point.recall_low);
        cli_json_real(json, "recall_p05", point.recall_p05);
        cli_json_real(json, "cost", point.cost);
        cli_json_close(json);
    }
    cli_json_close(json);
}
