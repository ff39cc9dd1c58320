/* cmd_search.c: sonde search: the k nearest rows of each query, as a table, as JSON, or as a file of ids.
 *
 * With --words, a row is shown as the line of a text file whose number is its id, so that people can read the answers.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>

#include "cli.h"

static const cli_option options[] = {
    {"k", 'k', CLI_INT, 1, 65536, "N", "hits for each query (default 10)"},
    {"recall", 'r', CLI_REAL, 1e-6, 1, "SHARE", "share of the k nearest to find (default 0.95; 1 = exact)"},
    {"effort", 'e', CLI_INT, 1, 4294967295.0, "N", "a fixed effort instead of a recall (ivf: lists visited)"},
    {"refine", 0, CLI_INT, 1, 65536, "N", "with --effort: candidates a hit that are scored again"},
    {"filter-ids", 0, CLI_TEXT, 0, 0, "FILE", "return only these ids: .npy, .ivecs or text"},
    {"exclude-ids", 0, CLI_TEXT, 0, 0, "FILE", "return none of these ids"},
    {"words", 'w', CLI_TEXT, 0, 0, "FILE", "show line ID of this file instead of the id"},
    {"output", 'o', CLI_TEXT, 0, 0, "FILE", "write the ids as .npy or .ivecs instead of printing"},
    {"scores", 0, CLI_TEXT, 0, 0, "FILE", "write the scores as .npy, .fvecs or .fbin"},
    {"mmap", 'm', CLI_FLAG, 0, 0, NULL, "map the index instead of reading it: starts at once"},
    CLI_OPTIONS_END,
};

typedef struct answers {
    int64_t queries, k;
    double seconds;
    sonde_hits hits;
    cli_lines words; /* empty without --words */
} answers;

static int compare_ids(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

/* The filter wants ids ascending; people write them in any order. */
static int read_filter(const cli_args *args, sonde_filter *filter, int64_t **ids)
{
    const char *only = cli_text(args, "filter-ids"), *path = only ? only : cli_text(args, "exclude-ids");
    if (!path)
        return CLI_OK;
    int64_t count, kept = 0;
    int code = cli_ids_read(path, ids, &count);
    if (code)
        return code;
    qsort(*ids, (size_t)count, sizeof **ids, compare_ids);
    for (int64_t i = 0; i < count; i++) {
        if (!kept || (*ids)[kept - 1] != (*ids)[i])
            (*ids)[kept++] = (*ids)[i];
    }
    filter->kind = SONDE_FILTER_IDS;
    filter->exclude = !only;
    filter->ids = *ids;
    filter->count = kept;
    return CLI_OK;
}

/* One call for all queries: they share work and threads. */
static int search(const cli_args *args, const sonde_index *index, const sonde_array *queries, answers *found)
{
    sonde_filter filter = SONDE_FILTER_INIT;
    int64_t *ids = NULL;
    int code = read_filter(args, &filter, &ids);
    if (code)
        return code;
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    how.k = (uint32_t)found->k;
    how.recall = (float)cli_real(args, "recall", 0);
    how.effort = (uint32_t)cli_int(args, "effort", 0);
    how.refine = (uint32_t)cli_int(args, "refine", 0);
    how.filter = ids ? &filter : NULL;
    how.filter_count = ids ? 1 : 0;
    double start = cli_seconds();
    sonde_status status = sonde_index_search(index, queries, &how, &found->hits);
    found->seconds = cli_seconds() - start;
    free(ids);
    return cli_result(NULL, status);
}

/* ---- Showing ------------------------------------------------------------------------------------------- */

/* The line of the --words file whose number is the id. */
static const char *words_of(const answers *found, int64_t id)
{
    return id >= 0 && id < found->words.count ? found->words.line[id] : "(no line of that number)";
}

static void print_table(const answers *found)
{
    bool named = found->words.count > 0;
    cli_table table;
    cli_table_begin(&table, named ? "rrrl" : "rrrr",
                    named ? "query|rank|score|words" : "query|rank|score|id");
    for (int64_t q = 0; q < found->queries; q++) {
        for (int32_t i = 0; i < found->hits.count[q]; i++) {
            int64_t at = q * found->k + i, id = found->hits.ids[at];
            cli_table_cell(&table, "%lld", (long long)q);
            cli_table_cell(&table, "%d", (int)i + 1);
            cli_table_cell(&table, "%.4f", found->hits.scores[at]);
            if (named)
                cli_table_cell(&table, "%s", words_of(found, id));
            else
                cli_table_cell(&table, "%lld", (long long)id);
        }
    }
    cli_table_print(&table, stdout);
}

static void hit_json(cli_json *json, const answers *found, int64_t at)
{
    int64_t id = found->hits.ids[at];
    cli_json_open(json, NULL, '{');
    cli_json_int(json, "id", id);
    cli_json_real(json, "score", found->hits.scores[at]);
    if (found->words.count)
        cli_json_text(json, "words", words_of(found, id));
    cli_json_close(json);
}

static void print_json(const answers *found, const sonde_index *index, bool with_hits)
{
    static const char *const reasons[] = {"none", "exact", "effort", "fewer"};
    cli_json json;
    cli_json_start(&json, stdout);
    cli_json_open(&json, NULL, '{');
    cli_json_text(&json, "spec", sonde_index_spec(index));
    cli_json_text(&json, "metric", cli_metric_name(sonde_index_metric(index)));
    cli_json_int(&json, "k", found->k);
    cli_json_int(&json, "queries", found->queries);
    cli_json_real(&json, "seconds", found->seconds);
    cli_json_open(&json, "results", '[');
    for (int64_t q = 0; with_hits && q < found->queries; q++) {
        cli_json_open(&json, NULL, '{');
        cli_json_int(&json, "query", q);
        cli_json_text(&json, "reason", reasons[found->hits.reason[q] & 3]);
        cli_json_open(&json, "hits", '[');
        for (int32_t i = 0; i < found->hits.count[q]; i++)
            hit_json(&json, found, q * found->k + i);
        cli_json_close(&json);
        cli_json_close(&json);
    }
    cli_json_close(&json);
    cli_json_close(&json);
}

/* Missing hits are -1 and the worst score, as the library gives them. */
static int write_files(const cli_args *args, const answers *found)
{
    const char *ids = cli_text(args, "output"), *scores = cli_text(args, "scores");
    int code = CLI_OK;
    if (ids) {
        sonde_array array = sonde_array_of(SONDE_DTYPE_I64, found->hits.ids, found->queries, found->k);
        code = cli_vectors_write(ids, &array);
    }
    if (scores && !code) {
        sonde_array array = sonde_f32(found->hits.scores, found->queries, found->k);
        code = cli_vectors_write(scores, &array);
    }
    return code;
}

static int show(const cli_args *args, const sonde_index *index, const answers *found)
{
    bool to_file = cli_has(args, "output");
    int code = write_files(args, found);
    if (code)
        return code;
    char count[CLI_TEXT_BYTES];
    if (cli_has(args, "json"))
        print_json(found, index, !to_file);
    else if (to_file)
        printf("%s: %s queries, %lld hits each, %.3f s\n", cli_text(args, "output"),
               cli_grouped(found->queries, count), (long long)found->k, found->seconds);
    else
        print_table(found);
    return CLI_OK;
}

/* ---- The command --------------------------------------------------------------------------------------- */

static void make_room(answers *found)
{
    sonde_hits hits = SONDE_HITS_INIT;
    int64_t cells = found->queries * found->k;
    hits.ids = cli_memory(cells, sizeof *hits.ids);
    hits.scores = cli_memory(cells, sizeof *hits.scores);
    hits.count = cli_memory(found->queries, sizeof *hits.count);
    hits.reason = cli_memory(found->queries, sizeof *hits.reason);
    found->hits = hits;
}

static void free_answers(answers *found)
{
    free(found->hits.ids);
    free(found->hits.scores);
    free(found->hits.count);
    free(found->hits.reason);
    cli_lines_free(&found->words);
}

static int search_opened(const cli_args *args, const sonde_index *index)
{
    cli_vectors queries;
    int code = cli_index_vectors(index, args->operands[1], &queries);
    if (code)
        return code;
    answers found = {.queries = queries.array.rows, .k = cli_int(args, "k", 10)};
    if (cli_has(args, "words"))
        code = cli_lines_read(cli_text(args, "words"), &found.words);
    make_room(&found);
    if (!code)
        code = search(args, index, &queries.array, &found);
    if (!code)
        code = show(args, index, &found);
    free_answers(&found);
    cli_vectors_free(&queries);
    return code;
}

/* Wrong names of output files are found before the search, not after it. */
static int check_output(const cli_args *args, const char *option)
{
    const char *path = cli_text(args, option);
    if (!path)
        return CLI_OK;
    if (!cli_format_of(path))
        return cli_usage_error(args->command,
                               "--%s %s: the extension names no format; there are "
                               ".npy, for ids .ivecs, and for scores .fvecs and .fbin",
                               option, path);
    for (int i = 0; i < args->operand_count; i++) {
        if (cli_same_file(path, args->operands[i]))
            return cli_usage_error(args->command, "--%s would overwrite %s", option, path);
    }
    return CLI_OK;
}

static int run(const cli_args *args)
{
    if (cli_has(args, "recall") && cli_has(args, "effort"))
        return cli_usage_error(args->command, "--recall and --effort exclude each other");
    if (cli_has(args, "refine") && !cli_has(args, "effort"))
        return cli_usage_error(args->command, "--refine goes with --effort");
    if (cli_has(args, "filter-ids") && cli_has(args, "exclude-ids"))
        return cli_usage_error(args->command, "--filter-ids and --exclude-ids exclude each other");
    if (check_output(args, "output") || check_output(args, "scores"))
        return CLI_USAGE;
    sonde_index *index = NULL;
    int code = cli_index_open(args->operands[0], cli_has(args, "mmap"), &index);
    if (!code)
        code = search_opened(args, index);
    sonde_index_free(index);
    return code;
}

const cli_command cli_command_search = {
    .name = "search",
    .operands = "INDEX QUERIES",
    .min_operands = 2,
    .max_operands = 2,
    .summary = "finds the nearest rows of each query",
    .example = "sonde search glosses.sonde questions.npy -k 3 --words glosses.tsv",
    .options = options,
    .run = run,
};
