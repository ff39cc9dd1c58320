/* measure.c: what an index costs and gives: build time, memory, and recall and speed over rising efforts.
 *
 * Recall is the share of the k exact neighbours (flat, f32) that a search found, over all queries. Speed is queries a
 * second with all queries in one call: the best of several runs, since noise only ever makes a run slower. Queries that
 * come alone share no work, so the time of one in a call of its own is measured too. Efforts rise by a third or a half
 * each (1, 2, 3, 4, 6, 8, 12, ...) until every row is scored or recall is as good as complete.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { MAX_ALONE = 100 };

/* ---- Exact answers ------------------------------------------------------------------------------------- */

static int search_into(const sonde_index *index, const cli_trial *trial, const sonde_search_options *how,
                       sonde_hits *hits)
{
    return cli_result(NULL, sonde_index_search(index, trial->queries, how, hits));
}

static sonde_hits make_hits(const cli_trial *trial)
{
    sonde_hits hits = SONDE_HITS_INIT;
    hits.ids = cli_memory(trial->queries->rows * trial->k, sizeof *hits.ids);
    hits.reason = cli_memory(trial->queries->rows, 1);
    return hits;
}

static int make_index(const char *spec, const sonde_array *base, sonde_index **index)
{
    sonde_status status = sonde_index_create(spec, base->cols, cli_runtime(), index);
    if (!status)
        status = sonde_index_add(*index, base, NULL);
    return cli_result(spec, status);
}

/* Exact ids for a metric: all indexes of that metric are compared with them, so they are found once. */
static int find_truth(cli_trial *trial, uint32_t metric)
{
    if (trial->truth[metric])
        return CLI_OK;
    char spec[64];
    snprintf(spec, sizeof spec, "flat(metric=%s%s)", cli_metric_name(metric),
             metric == SONDE_METRIC_HAMMING ? ", dtype=bits" : "");
    sonde_index *index = NULL;
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    how.k = trial->k;
    how.recall = 1;
    sonde_hits hits = make_hits(trial);
    int code = make_index(spec, trial->base, &index);
    if (!code)
        code = search_into(index, trial, &how, &hits);
    sonde_index_free(index);
    free(hits.reason);
    if (code)
        free(hits.ids);
    else
        trial->truth[metric] = hits.ids;
    return code;
}

/* With fewer than k rows the exact list ends in -1, which nobody must find. */
static double recall_of(const cli_trial *trial, const int64_t *truth, const int64_t *found)
{
    int64_t k = trial->k, rows = trial->queries->rows, hits = 0, wanted = 0;
    for (int64_t q = 0; q < rows; q++) {
        const int64_t *exact = truth + q * k, *got = found + q * k;
        for (int64_t i = 0; i < k && exact[i] >= 0; i++) {
            wanted++;
            for (int64_t j = 0; j < k; j++)
                hits += got[j] == exact[i];
        }
    }
    return wanted ? (double)hits / (double)wanted : 1;
}

/* ---- Speed --------------------------------------------------------------------------------------------- */

/* Runs until the time is spent, at least once; the hits are those of the last run. */
static int measure_speed(const sonde_index *index, const cli_trial *trial, sonde_search_options *how,
                         sonde_hits *hits, double *queries_a_second)
{
    double start = cli_seconds(), best = 0;
    do {
        double from = cli_seconds();
        int code = search_into(index, trial, how, hits);
        if (code)
            return code;
        double speed = (double)trial->queries->rows / (cli_seconds() - from + 1e-9);
        best = speed > best ? speed : best;
    } while (cli_seconds() - start < trial->seconds);
    *queries_a_second = best;
    return CLI_OK;
}

/* Mean time of the first queries, each in a call of its own. */
static int measure_alone(const sonde_index *index, const cli_trial *trial, const sonde_search_options *how,
                         sonde_hits *hits, double *alone_ms)
{
    int64_t rows = trial->queries->rows < MAX_ALONE ? trial->queries->rows : MAX_ALONE;
    sonde_array query = *trial->queries;
    query.rows = 1;
    double start = cli_seconds();
    for (int64_t q = 0; q < rows; q++) {
        query.data = (char *)trial->queries->data + q * query.stride;
        int code = cli_result(NULL, sonde_index_search(index, &query, how, hits));
        if (code)
            return code;
    }
    *alone_ms = rows ? (cli_seconds() - start) * 1000 / (double)rows : 0;
    return CLI_OK;
}

/* All that is measured at one effort. Recall comes from the hits of the one-thread run. */
static int measure_point(const sonde_index *index, const cli_trial *trial, uint32_t metric, cli_point *point,
                         sonde_hits *hits)
{
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    how.k = trial->k;
    how.effort = point->effort;
    how.threads = 1;
    int code = measure_alone(index, trial, &how, hits, &point->alone_ms);
    if (!code)
        code = measure_speed(index, trial, &how, hits, &point->one_thread);
    if (!code)
        point->recall = recall_of(trial, trial->truth[metric], hits->ids);
    how.threads = 0;
    if (!code && trial->all_threads)
        code = measure_speed(index, trial, &how, hits, &point->all_threads);
    return code;
}

/* 1, 2, 3, 4, 6, 8, 12, ...: powers of two and their middles. */
static uint32_t next_effort(uint32_t effort)
{
    bool power = (effort & (effort - 1)) == 0;
    if (effort < 2)
        return effort + 1;
    return power ? effort + effort / 2 : effort / 3 * 4;
}

static bool all_rows_were_scored(const sonde_hits *hits, int64_t queries)
{
    for (int64_t q = 0; q < queries; q++) {
        if (hits->reason[q] == SONDE_STOP_EFFORT)
            return false;
    }
    return true;
}

/* Recall need not rise with every step (quantized scores), so only completeness ends the sweep. */
static int sweep(const sonde_index *index, const cli_trial *trial, cli_curve *curve)
{
    sonde_hits hits = make_hits(trial);
    int code = CLI_OK;
    uint32_t effort = 1;
    bool complete = false;
    while (!code && !complete && curve->count < CLI_MAX_POINTS) {
        cli_point *point = &curve->points[curve->count];
        *point = (cli_point){.effort = effort};
        code = measure_point(index, trial, curve->metric, point, &hits);
        curve->count += !code;
        complete = point->recall > 0.9995 || all_rows_were_scored(&hits, trial->queries->rows);
        effort = next_effort(effort);
    }
    free(hits.ids);
    free(hits.reason);
    return code;
}

/* ---- The whole ----------------------------------------------------------------------------------------- */

static void describe(const sonde_index *index, cli_curve *curve)
{
    curve->spec = cli_copy(sonde_index_spec(index));
    curve->metric = sonde_index_metric(index);
    sonde_index_stats stats = SONDE_INDEX_STATS_INIT;
    if (sonde_index_stats_get(index, &stats) == SONDE_OK && stats.count)
        curve->bytes_per_vector = (double)stats.memory_bytes / (double)stats.count;
}

int cli_measure(cli_trial *trial, const char *label, const char *spec, cli_curve *curve)
{
    memset(curve, 0, sizeof *curve);
    curve->label = label;
    sonde_index *index = NULL;
    double start = cli_seconds();
    int code = make_index(spec, trial->base, &index);
    curve->build_seconds = cli_seconds() - start;
    if (!code) {
        describe(index, curve);
        code = find_truth(trial, curve->metric);
    }
    if (!code)
        code = sweep(index, trial, curve);
    sonde_index_free(index);
    if (code)
        cli_curve_free(curve);
    return code;
}

void cli_trial_free(cli_trial *trial)
{
    for (size_t i = 0; i < sizeof trial->truth / sizeof *trial->truth; i++)
        free(trial->truth[i]);
}

void cli_curve_free(cli_curve *curve)
{
    free(curve->spec);
    memset(curve, 0, sizeof *curve);
}

const cli_point *cli_curve_at(const cli_curve *curve, double recall)
{
    const cli_point *best = &curve->points[0];
    for (int i = 0; i < curve->count; i++) {
        const cli_point *point = &curve->points[i];
        if (point->recall >= recall)
            return point;
        best = point->recall > best->recall ? point : best;
    }
    return best;
}

void cli_curve_json(cli_json *json, const cli_curve *curve)
{
    cli_json_text(json, "label", curve->label);
    cli_json_text(json, "spec", curve->spec);
    cli_json_real(json, "build_seconds", curve->build_seconds);
    cli_json_real(json, "bytes_per_vector", curve->bytes_per_vector);
    cli_json_open(json, "points", '[');
    for (int i = 0; i < curve->count; i++) {
        const cli_point *point = &curve->points[i];
        cli_json_open(json, NULL, '{');
        cli_json_int(json, "effort", point->effort);
        cli_json_real(json, "recall", point->recall);
        cli_json_real(json, "queries_per_second_one_thread", point->one_thread);
        cli_json_real(json, "milliseconds_alone", point->alone_ms);
        if (point->all_threads > 0)
            cli_json_real(json, "queries_per_second_all_threads", point->all_threads);
        cli_json_close(json);
    }
    cli_json_close(json);
}
