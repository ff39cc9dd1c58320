/* cmd_bench.c: sonde bench: compares specs on your own vectors: memory, build time, recall and speed.
 *
 * measure.c says how; report.c draws. Specs may differ in their metric: each is compared with exact search of its own.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const cli_option options[] = {
    {"specs", 0, CLI_TEXT, 0, 0, "FILE", "specs to compare, one a line; # begins a comment"},
    {"spec", 's', CLI_TEXT, 0, 0, "SPEC", "one spec instead"},
    {"k", 'k', CLI_INT, 1, 1000, "N", "hits for each query (default 10)"},
    {"recall", 'r', CLI_REAL, 0.01, 1, "SHARE", "recall at which the table compares (default 0.95)"},
    {"seconds", 0, CLI_REAL, 0, 3600, "S", "time for each speed (default 0.3; at least one run)"},
    {"html", 0, CLI_TEXT, 0, 0, "FILE", "also write a page with curves"},
    CLI_OPTIONS_END,
};

enum { MAX_SPECS = 64 };

/* What is compared when nobody says what: exact search first, then the usual ways to be faster or smaller. */
static const char *const usual_specs[] = {
    "flat(metric=cosine)",
    "flat(metric=cosine, dtype=f16)",
    "ivf(metric=cosine)",
    "ivf(metric=cosine, code=sq(bits=8), refine=f16)",
};

typedef struct spec_list {
    int count;
    const char *specs[MAX_SPECS];
    cli_lines lines; /* owns the text of a file */
} spec_list;

/* From --specs, from --spec, or the usual ones. */
static int read_specs(const cli_args *args, spec_list *list)
{
    const char *path = cli_text(args, "specs");
    if (!path) {
        const char *one = cli_text(args, "spec");
        list->count = one ? 1 : (int)(sizeof usual_specs / sizeof *usual_specs);
        memcpy(list->specs, one ? &one : usual_specs, (size_t)list->count * sizeof *list->specs);
        return CLI_OK;
    }
    int code = cli_lines_read(path, &list->lines);
    for (int64_t i = 0; i < list->lines.count && !code; i++) {
        char *line = list->lines.line[i] + strspn(list->lines.line[i], " \t");
        if (!*line || *line == '#')
            continue;
        if (list->count == MAX_SPECS)
            code = cli_error("%s: more than %d specs", path, (int)MAX_SPECS);
        else
            list->specs[list->count++] = line;
    }
    return !code && !list->count ? cli_error("%s: holds no spec", path) : code;
}

/* A wrong last line should not cost an hour of measuring the others. */
static int check_specs(const spec_list *list)
{
    for (int i = 0; i < list->count; i++) {
        size_t length;
        int code = cli_result(list->specs[i], sonde_spec_check("index", list->specs[i], NULL, 0, &length));
        if (code)
            return code;
    }
    return CLI_OK;
}

static void print_json(const cli_report *report, const cli_trial *trial)
{
    cli_json json;
    cli_json_start(&json, stdout);
    cli_json_open(&json, NULL, '{');
    cli_json_text(&json, "build_info", sonde_build_info());
    cli_json_int(&json, "rows", trial->base->rows);
    cli_json_int(&json, "dim", trial->base->cols);
    cli_json_int(&json, "queries", trial->queries->rows);
    cli_json_int(&json, "k", trial->k);
    cli_json_open(&json, "results", '[');
    for (int i = 0; i < report->count; i++) {
        cli_json_open(&json, NULL, '{');
        cli_curve_json(&json, &report->curves[i]);
        cli_json_close(&json);
    }
    cli_json_close(&json);
    cli_json_close(&json);
}

static int show(const cli_args *args, const cli_trial *trial, cli_curve *curves, int count)
{
    char lead[256], rows[CLI_TEXT_BYTES], queries[CLI_TEXT_BYTES];
    snprintf(lead, sizeof lead, "%s vectors of %lld columns, %s queries, the %u nearest of each.",
             cli_grouped(trial->base->rows, rows), (long long)trial->base->cols,
             cli_grouped(trial->queries->rows, queries), trial->k);
    cli_report report = {.title = "sonde bench",
                         .lead = lead,
                         .curves = curves,
                         .count = count,
                         .k = trial->k,
                         .target = cli_real(args, "recall", 0.95),
                         .all_threads = true};
    if (cli_has(args, "json")) {
        print_json(&report, trial);
    } else {
        printf("%s\n\n", lead);
        cli_report_table(&report, stdout);
    }
    const char *page = cli_text(args, "html");
    int code = page ? cli_report_write(page, &report) : CLI_OK;
    if (page && !code && !cli_has(args, "json"))
        printf("\ncurves: %s\n", page);
    return code;
}

static int compare(const cli_args *args, cli_trial *trial, const spec_list *list)
{
    cli_curve *curves = cli_memory(list->count, sizeof *curves);
    int code = CLI_OK, done = 0;
    for (; done < list->count && !code; done++)
        code = cli_measure(trial, list->specs[done], list->specs[done], &curves[done]);
    if (!code)
        code = show(args, trial, curves, done);
    for (int i = 0; i < done; i++)
        cli_curve_free(&curves[i]);
    free(curves);
    return code;
}

/* Whether packed bytes are bits is taken from the first spec, since all specs see the same vectors. */
static int load_and_compare(const cli_args *args, const spec_list *list)
{
    cli_vectors base, queries;
    int code = cli_spec_vectors(list->specs[0], args->operands[0], &base);
    if (code)
        return code;
    code = cli_spec_vectors(list->specs[0], args->operands[1], &queries);
    if (!code) {
        cli_trial trial = {.base = &base.array,
                           .queries = &queries.array,
                           .k = (uint32_t)cli_int(args, "k", 10),
                           .seconds = cli_real(args, "seconds", 0.3),
                           .all_threads = true};
        code = compare(args, &trial, list);
        cli_trial_free(&trial);
        cli_vectors_free(&queries);
    }
    cli_vectors_free(&base);
    return code;
}

static int run(const cli_args *args)
{
    if (cli_has(args, "specs") && cli_has(args, "spec"))
        return cli_usage_error(args->command, "--specs and --spec exclude each other");
    spec_list list = {.count = 0};
    int code = read_specs(args, &list);
    if (!code)
        code = check_specs(&list);
    if (!code)
        code = load_and_compare(args, &list);
    cli_lines_free(&list.lines);
    return code;
}

const cli_command cli_command_bench = {
    .name = "bench",
    .operands = "VECTORS QUERIES",
    .min_operands = 2,
    .max_operands = 2,
    .summary = "compares specs on your own vectors",
    .example = "sonde bench glosses.npy questions.npy --specs specs.txt --html report.html",
    .options = options,
    .run = run,
};
