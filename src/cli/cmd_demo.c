/* cmd_demo.c: sonde demo: shows a person that it works, on 10,000 dictionary glosses and sentences about them.
 *
 * The data directory holds glosses.npy and glosses.tsv (words, tab, gloss), questions.npy and questions.tsv (number of
 * the gloss that the sentence was written for, tab, sentence). First answers in words, then what each kind of index
 * costs and gives, then the curves as a page.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const cli_option options[] = {
    {"output", 'o', CLI_TEXT, 0, 0, "FILE", "the page to write (default demo.html)"},
    {"seconds", 0, CLI_REAL, 0, 60, "S", "time for each speed (default 0.1)"},
    CLI_OPTIONS_END,
};

/* The index that answers, and the rows of the table. About a list for 80 rows serves so few rows well. */
static const char answering_spec[] = "ivf(nlist=128, metric=cosine)";
static const struct {
    const char *label, *spec;
} rows[] = {
    {"exact search (flat)", "flat(metric=cosine)"},
    {"flat, f16", "flat(metric=cosine, dtype=f16)"},
    {"ivf", "ivf(nlist=128, metric=cosine)"},
    {"ivf, sq8 + refine", "ivf(nlist=128, metric=cosine, code=sq(bits=8), refine=f16)"},
    {"ivf, pq + refine", "ivf(nlist=128, metric=cosine, code=pq(m=48), refine=f16)"},
};

enum { ROWS = sizeof rows / sizeof *rows, QUESTIONS_SHOWN = 10, ANSWERS_SHOWN = 3, K = 10 };

typedef struct demo_data {
    cli_vectors glosses, questions;
    cli_lines gloss_lines, question_lines;
} demo_data;

/* ---- The data ------------------------------------------------------------------------------------------ */

/* NAME.npy and NAME.tsv, a line for each vector. */
static int load_pair(const char *directory, const char *name, cli_vectors *vectors, cli_lines *lines)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.npy", directory, name);
    int code = cli_vectors_read(path, vectors);
    snprintf(path, sizeof path, "%s/%s.tsv", directory, name);
    if (!code)
        code = cli_lines_read(path, lines);
    if (!code && lines->count != vectors->array.rows)
        code = cli_error("%s: has %lld lines, but there are %lld vectors", path, (long long)lines->count,
                         (long long)vectors->array.rows);
    return code;
}

static int load(const char *directory, demo_data *data)
{
    int code = load_pair(directory, "glosses", &data->glosses, &data->gloss_lines);
    if (!code)
        code = load_pair(directory, "questions", &data->questions, &data->question_lines);
    return code;
}

static void unload(demo_data *data)
{
    cli_vectors_free(&data->glosses);
    cli_vectors_free(&data->questions);
    cli_lines_free(&data->gloss_lines);
    cli_lines_free(&data->question_lines);
}

/* ---- Answers in words ---------------------------------------------------------------------------------- */

/* Prints the text up to `end`, at most `width` characters of UTF-8, and dots where it cut. */
static void print_cut(const char *text, const char *end, int width)
{
    int shown = 0;
    for (; text < end; text++) {
        bool starts = ((unsigned char)*text & 0xc0) != 0x80;
        if (starts && ++shown > width) {
            fputs("...", stdout);
            return;
        }
        putchar(*text);
    }
}

/* The gloss that a question was written for: the number before the tab. */
static int64_t wanted_gloss(const demo_data *data, int64_t question)
{
    return strtoll(data->question_lines.line[question], NULL, 10);
}

static const char *sentence_of(const demo_data *data, int64_t question)
{
    const char *line = data->question_lines.line[question], *tab = strchr(line, '\t');
    return tab ? tab + 1 : line;
}

/* "  * 0.59  words - gloss" */
static void print_answer(const demo_data *data, int64_t gloss, float score, bool wanted)
{
    const char *line = data->gloss_lines.line[gloss];
    const char *end = line + strlen(line), *tab = memchr(line, '\t', (size_t)(end - line));
    printf("  %c %.2f  ", wanted ? '*' : ' ', score);
    print_cut(line, tab ? tab : end, 40);
    if (tab) {
        fputs(" - ", stdout);
        print_cut(tab + 1, end, 90);
    }
    putchar('\n');
}

static void print_question(const demo_data *data, const sonde_hits *hits, int64_t question)
{
    const char *sentence = sentence_of(data, question);
    putchar('"');
    print_cut(sentence, sentence + strlen(sentence), 100);
    puts("\"");
    for (int i = 0; i < ANSWERS_SHOWN; i++) {
        int64_t id = hits->ids[question * K + i];
        if (id >= 0 && id < data->gloss_lines.count)
            print_answer(data, id, hits->scores[question * K + i], id == wanted_gloss(data, question));
    }
    putchar('\n');
}

/* How often the search found what the sentence was written for: a measure of the vectors more than of the index. */
static void print_summary(const demo_data *data, const sonde_hits *hits)
{
    int64_t questions = data->questions.array.rows, first = 0, among = 0;
    for (int64_t q = 0; q < questions; q++) {
        int64_t wanted = wanted_gloss(data, q);
        first += hits->ids[q * K] == wanted;
        for (int i = 0; i < K; i++)
            among += hits->ids[q * K + i] == wanted;
    }
    printf("Over all %lld questions, the starred gloss comes first for %.0f %% and is among the best %d for "
           "%.0f %%.\n\n",
           (long long)questions, 100.0 * (double)first / (double)questions, (int)K,
           100.0 * (double)among / (double)questions);
}

static void print_answers(const demo_data *data, const sonde_index *index, const sonde_hits *hits)
{
    int64_t questions = data->questions.array.rows, step = questions / QUESTIONS_SHOWN;
    char count[CLI_TEXT_BYTES];
    printf("Sonde %s: %s dictionary glosses, %lld columns each, in %s.\n"
           "Each question is a sentence; the answers are the glosses nearest in meaning, with their cosine.\n"
           "A star marks the gloss that the sentence was written for. Shown is every %lldth of %lld "
           "questions.\n\n",
           sonde_version(), cli_grouped(sonde_index_count(index), count), (long long)sonde_index_dim(index),
           answering_spec, (long long)(step ? step : 1), (long long)questions);
    for (int64_t q = 0; q < questions; q += step ? step : 1)
        print_question(data, hits, q);
    print_summary(data, hits);
}

/* Builds the answering index in memory, asks all questions in one call, and shows some. */
static int answer(const demo_data *data)
{
    sonde_index *index = NULL;
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    how.k = K;
    int64_t cells = data->questions.array.rows * K;
    sonde_hits hits = SONDE_HITS_INIT;
    hits.ids = cli_memory(cells, sizeof *hits.ids);
    hits.scores = cli_memory(cells, sizeof *hits.scores);
    sonde_status status = sonde_index_create(answering_spec, data->glosses.array.cols, cli_runtime(), &index);
    if (!status)
        status = sonde_index_add(index, &data->glosses.array, NULL);
    if (!status)
        status = sonde_index_search(index, &data->questions.array, &how, &hits);
    int code = cli_result(NULL, status);
    if (!code)
        print_answers(data, index, &hits);
    sonde_index_free(index);
    free(hits.ids);
    free(hits.scores);
    return code;
}

/* ---- The table and the page ---------------------------------------------------------------------------- */

static int show(const cli_args *args, const demo_data *data, const cli_curve *curves)
{
    char lead[256];
    const char *page = cli_text(args, "output") ? cli_text(args, "output") : "demo.html";
    snprintf(lead, sizeof lead,
             "%lld dictionary glosses of %lld columns, %lld questions, the %d nearest of each.",
             (long long)data->glosses.array.rows, (long long)data->glosses.array.cols,
             (long long)data->questions.array.rows, (int)K);
    cli_report report = {.title = "Sonde: dictionary glosses",
                         .lead = lead,
                         .curves = curves,
                         .count = ROWS,
                         .k = K,
                         .target = 0.95,
                         .all_threads = false};
    int code = cli_report_write(page, &report);
    if (code)
        return code;
    if (cli_has(args, "json")) {
        cli_json json;
        cli_json_start(&json, stdout);
        cli_json_open(&json, NULL, '{');
        cli_json_text(&json, "page", page);
        cli_json_open(&json, "results", '[');
        for (int i = 0; i < ROWS; i++) {
            cli_json_open(&json, NULL, '{');
            cli_curve_json(&json, &curves[i]);
            cli_json_close(&json);
        }
        cli_json_close(&json);
        cli_json_close(&json);
    } else {
        puts("What each kind of index costs and gives:\n");
        cli_report_table(&report, stdout);
        printf("\nThe curves of recall and speed are in %s.\n", page);
    }
    return CLI_OK;
}

static int compare(const cli_args *args, const demo_data *data)
{
    static cli_curve curves[ROWS];
    cli_trial trial = {.base = &data->glosses.array, .queries = &data->questions.array, .k = K,
                       .seconds = cli_real(args, "seconds", 0.1), .all_threads = false};
    int code = CLI_OK, done = 0;
    for (; done < ROWS && !code; done++)
        code = cli_measure(&trial, rows[done].label, rows[done].spec, &curves[done]);
    if (!code)
        code = show(args, data, curves);
    for (int i = 0; i < done; i++)
        cli_curve_free(&curves[i]);
    cli_trial_free(&trial);
    return code;
}

static int run(const cli_args *args)
{
    demo_data data;
    memset(&data, 0, sizeof data);
    int code = load(args->operands[0], &data);
    if (!code && !cli_has(args, "json"))
        code = answer(&data);
    if (!code)
        code = compare(args, &data);
    unload(&data);
    return code;
}

const cli_command cli_command_demo = {
    .name = "demo",
    .operands = "DIRECTORY",
    .min_operands = 1,
    .max_operands = 1,
    .summary = "answers questions about dictionary glosses in words",
    .example = "sonde demo examples/data -o demo.html",
    .options = options,
    .run = run,
};
