/* bench_negatives.c: how fast negatives are mined and drawn, and whether they teach.
 *
 *   bench_negatives speed DOCS.npy QUERIES.npy QUERIES.tsv [SPEC...]
 *       10,000 queries x 200 negatives on one thread and on two, for each index spec: seconds to build, to fit star,
 *       of the search alone within it, and to draw from each sampler. A line of the tsv begins with the row of the
 *       document that is right.
 *   bench_negatives train [DOCUMENTS [STEPS]]
 *       A map of queries is trained on negatives of each kind; MRR@10 at checkpoints, two seeds. Exit 1 unless at each
 *       of them dynamic negatives are best and STAR's mix is better than random ones. (Static ones alone start well and
 *       then lead away: what they came from is gone.)
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"

/* Of the clock on the wall, and of all threads' work, which other programs hardly disturb. */
typedef struct moment {
    double wall, work;
} moment;

static double read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static moment now(void) { return (moment){read_clock(CLOCK_MONOTONIC), read_clock(CLOCK_PROCESS_CPUTIME_ID)}; }

static moment since(moment begin)
{
    moment end = now();
    return (moment){end.wall - begin.wall, end.work - begin.work};
}

/* ---- speed -------------------------------------------------------------------------------------------------- */

enum { QUERIES = 10000, DEPTH = 200 };

static sonde_array read_positives(const char *path, int64_t rows)
{
    FILE *file = fopen(path, "r");
    int64_t *positives = get_memory((size_t)rows * sizeof *positives);
    char line[65536];
    for (int64_t i = 0; i < rows; i++) {
        if (!file || !fgets(line, sizeof line, file)) give_up("the tsv file is too short");
        positives[i] = strtoll(line, NULL, 10);
    }
    fclose(file);
    return sonde_i64(positives, rows, 1);
}

static int64_t *search(const sonde_index *index, const sonde_array *queries)
{
    sonde_search_options options = SONDE_SEARCH_OPTIONS_INIT;
    sonde_hits hits = SONDE_HITS_INIT;
    options.k = DEPTH + 1;
    hits.ids = get_memory((size_t)queries->rows * options.k * sizeof *hits.ids);
    hits.scores = get_memory((size_t)queries->rows * options.k * sizeof *hits.scores);
    must(sonde_index_search(index, queries, &options, &hits));
    free(hits.scores);
    return hits.ids;
}

static moment time_search(const sonde_index *index, const sonde_array *queries)
{
    moment begin = now();
    free(search(index, queries));
    return since(begin);
}

/* The share of the exact nearest that the index finds, over the last 300 queries. */
static double recall_of(const sonde_index *index, const sonde_array *documents, const sonde_array *queries)
{
    sonde_index *exact = NULL;
    sonde_array last = *queries;
    int64_t found = 0, width = DEPTH + 1;
    last.rows = 300;
    last.data = (char *)last.data + (queries->rows - last.rows) * sonde_row_bytes(last.dtype, last.cols);
    must(sonde_index_create("flat(metric=ip)", documents->cols, NULL, &exact));
    must(sonde_index_add(exact, documents, NULL));
    int64_t *wanted = search(exact, &last), *got = search(index, &last);
    for (int64_t i = 0; i < last.rows * width; i++)
        for (int64_t j = i / width * width; j < (i / width + 1) * width; j++) found += got[i] == wanted[j];
    free(wanted);
    free(got);
    sonde_index_free(exact);
    return (double)found / (double)(last.rows * width);
}

static moment time_draws(const char *spec, sonde_runtime *runtime, const sonde_index *index,
                         const sonde_input *inputs, moment *fitting)
{
    sonde_row_sampler *sampler = NULL;
    sonde_rows rows = SONDE_ROWS_INIT;
    must(sonde_row_sampler_create(spec, 0, runtime, &sampler));
    must(sonde_row_sampler_attach(sampler, index));
    moment begin = now();
    must(sonde_row_sampler_fit(sampler, inputs, 2));
    *fitting = since(begin);
    begin = now();
    for (int64_t left = QUERIES; left > 0; left -= 1000) must(sonde_row_sampler_draw(sampler, 1000 * DEPTH, &rows));
    moment took = since(begin);
    sonde_row_sampler_free(sampler);
    return took;
}

static void speed_of(const char *spec, uint32_t threads, const sonde_array *documents, const sonde_array *queries,
                     const sonde_array *positives)
{
    static const char *samplers[] = {"star(depth=200, hard=200)", "adore(depth=200)", "ar2(depth=200, negatives=200)",
                                     "star(hard=0, random=200)"};
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    sonde_runtime *runtime = NULL;
    sonde_index *index = NULL;
    sonde_input inputs[] = {{"queries", queries}, {"positives", positives}};
    moment fitting;
    options.threads = threads;
    must(sonde_runtime_create(&options, &runtime));
    must(sonde_index_create(spec, documents->cols, runtime, &index));
    moment begin = now();
    must(sonde_index_add(index, documents, NULL));
    sonde_array sample = *queries;
    sample.rows = 1000;
    must(sonde_index_tune(index, &sample, NULL));
    moment built = since(begin), searched = time_search(index, queries);
    printf("%s, %u thread%s: build and tune %.2f s (work %.2f), search alone %.2f s (work %.2f), recall %.3f\n", spec,
           threads, threads > 1 ? "s" : "", built.wall, built.work, searched.wall, searched.work,
           recall_of(index, documents, queries));
    for (size_t i = 0; i < sizeof samplers / sizeof *samplers; i++) {
        moment drawing = time_draws(samplers[i], runtime, index, inputs, &fitting);
        printf("    %-30s fit %6.3f s (work %6.3f), draw %6.3f s (work %6.3f): %7.0f queries/s\n", samplers[i],
               fitting.wall, fitting.work, drawing.wall, drawing.work, QUERIES / (fitting.wall + drawing.wall));
    }
    sonde_index_free(index);
    sonde_runtime_free(runtime);
}

static int speed(int argc, char **argv)
{
    static char *specs[] = {"flat(metric=ip)", "ivf(metric=ip, code=sq(bits=8), refine=f16)"};
    if (argc < 5) give_up("speed DOCS.npy QUERIES.npy QUERIES.tsv [SPEC...]");
    sonde_array documents = read_npy(argv[2]), queries = read_npy(argv[3]);
    if (queries.rows < QUERIES) give_up("fewer than 10,000 queries");
    queries.rows = QUERIES;
    sonde_array positives = read_positives(argv[4], QUERIES);
    char **given = argc > 5 ? argv + 5 : specs;
    int count = argc > 5 ? argc - 5 : 2;
    for (int i = 0; i < count; i++)
        for (uint32_t threads = 1; threads <= 2; threads++)
            speed_of(given[i], threads, &documents, &queries, &positives);
    free(documents.data);
    free(queries.data);
    free(positives.data);
    return 0;
}

/* ---- training ----------------------------------------------------------------------------------------------- */

enum {
    D = 32,
    CENTRES = 200,
    PAIRS = 100,
    B = 32,
    K = 100,
    TESTS = 1000,
    CHECKPOINTS = 5,
    WARM_STEPS = 9,
    MAP = D * D
};
#define SCALE 10.0f

typedef struct task {
    int64_t documents;
    float *document; /* documents x D, unit length */
    float *raw;      /* documents x D: each one's query before the map */
    sonde_index *index;
    uint64_t random;
} task;

static double unit(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

static float normal(uint64_t *state)
{
    return (float)(sqrt(-2 * log(1 - unit(state))) * cos(6.283185307179586 * unit(state)));
}

static void unit_length(float *x)
{
    double sum = 0;
    for (int j = 0; j < D; j++) sum += (double)x[j] * x[j];
    for (int j = 0; j < D; j++) x[j] = (float)(x[j] / sqrt(sum));
}

/* out = map x */
static void apply(const float *map, const float *x, float scale, float *out)
{
    for (int i = 0; i < D; i++) {
        float sum = 0;
        for (int j = 0; j < D; j++) sum += map[i * D + j] * x[j];
        out[i] = scale * sum;
    }
}

static task make_task(int64_t documents, uint64_t seed)
{
    task t = {.documents = documents, .random = seed};
    float centre[CENTRES][D], hidden[MAP], noisy[D];
    t.document = get_memory((size_t)(documents * D) * sizeof *t.document);
    t.raw = get_memory((size_t)(documents * D) * sizeof *t.raw);
    for (int i = 0; i < CENTRES; i++) {
        for (int j = 0; j < D; j++) centre[i][j] = normal(&t.random);
        unit_length(centre[i]);
    }
    for (int i = 0; i < MAP; i++) hidden[i] = normal(&t.random) / sqrtf(D);
    for (int64_t i = 0; i < documents; i++) {
        float *x = t.document + i * D;
        const float *c = centre[(int)(unit(&t.random) * CENTRES)];
        for (int j = 0; j < D; j++) x[j] = c[j] + 0.5f * normal(&t.random) / sqrtf(D);
        unit_length(x);
        for (int j = 0; j < D; j++) noisy[j] = x[j] + 0.12f * normal(&t.random);
        apply(hidden, noisy, 1, t.raw + i * D);
    }
    must(sonde_index_create("flat(metric=ip)", D, NULL, &t.index));
    sonde_array all = sonde_f32(t.document, documents, D);
    must(sonde_index_add(t.index, &all, NULL));
    return t;
}

static void free_task(task *t)
{
    free(t->document);
    free(t->raw);
    sonde_index_free(t->index);
}

/* Adam (Kingma, Ba 2015) on the map of queries. */
typedef struct learner {
    float map[MAP];
    double mean[MAP], square[MAP];
    int step;
} learner;

static void learn(learner *l, const double *gradient, double rate)
{
    double left = 1 - pow(0.9, ++l->step), left_square = 1 - pow(0.999, l->step);
    for (int i = 0; i < MAP; i++) {
        l->mean[i] = 0.9 * l->mean[i] + 0.1 * gradient[i];
        l->square[i] = 0.999 * l->square[i] + 0.001 * gradient[i] * gradient[i];
        l->map[i] -= (float)(rate * (l->mean[i] / left) / (sqrt(l->square[i] / left_square) + 1e-8));
    }
}

/* A few steps towards least squares, from the raw queries of the first pairs to their documents: enough for a poor
 * map. */
static learner warm_start(const task *t)
{
    learner l = {.step = 0};
    for (int step = 0; step < WARM_STEPS; step++) {
        double gradient[MAP] = {0};
        for (int64_t n = 0; n < PAIRS; n++) {
            float out[D];
            apply(l.map, t->raw + n * D, 1, out);
            for (int i = 0; i < D; i++)
                for (int j = 0; j < D; j++)
                    gradient[i * D + j] += (double)(out[i] - t->document[n * D + i]) * t->raw[n * D + j] / PAIRS;
        }
        learn(&l, gradient, 1e-2);
    }
    learner fresh = {.step = 0};
    memcpy(fresh.map, l.map, sizeof fresh.map);
    return fresh;
}

/* Of the last TESTS documents' queries, which are never trained on. */
static double reciprocal_rank(const task *t, const learner *l)
{
    float *queries = get_memory(TESTS * D * sizeof *queries);
    int64_t *ids = get_memory(TESTS * 10 * sizeof *ids), first = t->documents - TESTS;
    sonde_array view = sonde_f32(queries, TESTS, D);
    sonde_hits hits = SONDE_HITS_INIT;
    double sum = 0;
    hits.ids = ids;
    for (int64_t i = 0; i < TESTS; i++) apply(l->map, t->raw + (first + i) * D, 1, queries + i * D);
    must(sonde_index_search(t->index, &view, NULL, &hits));
    for (int i = 0; i < TESTS * 10; i++)
        if (ids[i] == first + i / 10) sum += 1.0 / (i % 10 + 1);
    free(queries);
    free(ids);
    return sum / TESTS;
}

/* Gradient by the map from that by its queries: the map's outputs were scaled. */
static void step_by(learner *l, const task *t, const int64_t *chosen, const float *by_query)
{
    double gradient[MAP] = {0};
    for (int b = 0; b < B; b++)
        for (int i = 0; i < D; i++)
            for (int j = 0; j < D; j++)
                gradient[i * D + j] += (double)SCALE * by_query[b * D + i] * t->raw[chosen[b] * D + j];
    learn(l, gradient, 2e-3);
}

static void gather(const task *t, const int64_t *ids, int64_t count, float *out)
{
    for (int64_t i = 0; i < count; i++) {
        if (ids[i] < 0) memset(out + i * D, 0, D * sizeof *out);
        else memcpy(out + i * D, t->document + ids[i] * D, D * sizeof *out);
    }
}

typedef enum kind { RANDOM, MIXED, STATIC, DYNAMIC, KINDS } kind;
static const char *const kind_name[KINDS] = {"random", "STAR mix", "static only", "dynamic"};
static const char *const kind_spec[KINDS] = {"star(hard=0, random=1)", "star(depth=100, hard=1)",
                                             "star(depth=100, hard=100)", "adore(depth=100)"};

/* The batch loss over positives and negatives, each query seeing all. */
static void whole_batch(sonde_row_sampler *sampler, const float *query, const float *positive, const float *negative,
                        float *by_query)
{
    sonde_array q = sonde_f32(query, B, D), p = sonde_f32(positive, B, D), n = sonde_f32(negative, B, D);
    sonde_array g = sonde_f32(by_query, B, D);
    sonde_input inputs[] = {{"queries", &q}, {"positives", &p}, {"negatives", &n}}, wanted[] = {{"queries", &g}};
    double loss;
    must(sonde_row_sampler_loss(sampler, inputs, 3, wanted, 1, &loss));
}

/* ADORE's loss over lists. */
static void list_loss(sonde_row_sampler *ranker, const float *query, const float *documents, const int32_t *labels,
                      int64_t width, float *by_query)
{
    sonde_array q = sonde_f32(query, B, D), d = sonde_f32(documents, B * width, D), y = sonde_i32(labels, B, width);
    sonde_array g = sonde_f32(by_query, B, D);
    sonde_input inputs[] = {{"queries", &q}, {"documents", &d}, {"labels", &y}}, wanted[] = {{"queries", &g}};
    double loss;
    must(sonde_row_sampler_loss(ranker, inputs, 3, wanted, 1, &loss));
}

/* Each query alone with its own mined negatives. */
static void own_negatives(sonde_row_sampler *sampler, const float *query, const float *positive,
                          const float *negative, float *by_query)
{
    for (int b = 0; b < B; b++) {
        sonde_array q = sonde_f32(query + b * D, 1, D), p = sonde_f32(positive + b * D, 1, D);
        sonde_array n = sonde_f32(negative + b * K * D, K, D), g = sonde_f32(by_query + b * D, 1, D);
        sonde_input inputs[] = {{"queries", &q}, {"positives", &p}, {"negatives", &n}}, wanted[] = {{"queries", &g}};
        double loss;
        must(sonde_row_sampler_loss(sampler, inputs, 3, wanted, 1, &loss));
    }
}

static void train_step(kind which, const task *t, sonde_row_sampler *sampler, sonde_row_sampler *ranker, learner *l,
                       const int64_t *chosen)
{
    static float query[B * D], fresh[B * D], positive[B * D], by_query[B * D], documents[B * (K + 1) * D];
    sonde_array ids = sonde_i64(chosen, B, 1), now = sonde_f32(fresh, B, D);
    sonde_input inputs[] = {{"query_ids", &ids}, {"queries", &now}};
    sonde_rows rows = SONDE_ROWS_INIT;
    for (int b = 0; b < B; b++) {
        apply(l->map, t->raw + chosen[b] * D, SCALE, query + b * D);
        apply(l->map, t->raw + chosen[b] * D, 1, fresh + b * D);
    }
    int64_t count = which == STATIC || which == DYNAMIC ? K : 1;
    must(sonde_row_sampler_draw_for(sampler, inputs, which == DYNAMIC ? 2 : 1, count, &rows));
    gather(t, chosen, B, positive);
    if (which == DYNAMIC) {
        sonde_array candidates, labels;
        must(sonde_row_sampler_output(sampler, "candidates", &candidates));
        must(sonde_row_sampler_output(sampler, "labels", &labels));
        gather(t, candidates.data, B * candidates.cols, documents);
        list_loss(ranker, query, documents, labels.data, candidates.cols, by_query);
    } else if (which == STATIC) {
        gather(t, rows.ids, B * K, documents);
        own_negatives(sampler, query, positive, documents, by_query);
    } else {
        gather(t, rows.ids, B, documents);
        whole_batch(sampler, query, positive, documents, by_query);
    }
    step_by(l, t, chosen, by_query);
}

static void train_kind(kind which, task *t, const learner *warm, int64_t steps, double *curve)
{
    static const double share[CHECKPOINTS] = {0, 0.1, 0.25, 0.5, 1};
    learner l = *warm;
    int64_t trained = t->documents - TESTS, chosen[B];
    float *queries = get_memory((size_t)(trained * D) * sizeof *queries);
    int64_t *own = get_memory((size_t)trained * sizeof *own);
    uint64_t random = 77;
    for (int64_t i = 0; i < trained; i++) {
        own[i] = i;
        apply(l.map, t->raw + i * D, 1, queries + i * D);
    }
    sonde_row_sampler *sampler = NULL, *ranker = NULL;
    sonde_array q = sonde_f32(queries, trained, D), p = sonde_i64(own, trained, 1);
    sonde_input inputs[] = {{"queries", &q}, {"positives", &p}};
    must(sonde_row_sampler_create(kind_spec[which], D, NULL, &sampler));
    must(sonde_row_sampler_create("adore", D, NULL, &ranker));
    must(sonde_row_sampler_attach(sampler, t->index));
    must(sonde_row_sampler_fit(sampler, inputs, 2));
    for (int64_t step = 0, next = 0; step <= steps; step++) {
        if (step == (int64_t)(share[next] * (double)steps)) curve[next++] += reciprocal_rank(t, &l) / 2;
        for (int b = 0; b < B; b++) chosen[b] = (int64_t)(unit(&random) * (double)trained);
        if (step < steps) train_step(which, t, sampler, ranker, &l, chosen);
    }
    sonde_row_sampler_free(sampler);
    sonde_row_sampler_free(ranker);
    free(queries);
    free(own);
}

static int train(int argc, char **argv)
{
    int64_t documents = argc > 2 ? atoll(argv[2]) : 20000, steps = argc > 3 ? atoll(argv[3]) : 800;
    double curve[KINDS][CHECKPOINTS] = {{0}};
    if (documents <= 2 * TESTS || steps < 10) give_up("train [DOCUMENTS > 2000 [STEPS >= 10]]");
    for (uint64_t seed = 1; seed <= 2; seed++) {
        task t = make_task(documents, seed);
        learner warm = warm_start(&t);
        for (int which = 0; which < KINDS; which++) train_kind((kind)which, &t, &warm, steps, curve[which]);
        free_task(&t);
    }
    int right = 1;
    for (int which = 0; which < KINDS; which++) {
        printf("%-12s", kind_name[which]);
        for (int i = 0; i < CHECKPOINTS; i++) printf(" %.3f", curve[which][i]);
        printf("\n");
        for (int i = 1; i < CHECKPOINTS; i++) right &= which == DYNAMIC || curve[which][i] < curve[DYNAMIC][i];
    }
    for (int i = 1; i < CHECKPOINTS; i++) right &= curve[MIXED][i] > curve[RANDOM][i];
    printf("dynamic best, the mix better than random, at every checkpoint: %s\n", right ? "yes" : "no");
    return !right;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0); /* long runs show what they have */
    if (argc > 1 && strcmp(argv[1], "speed") == 0) return speed(argc, argv);
    if (argc > 1 && strcmp(argv[1], "train") == 0) return train(argc, argv);
    give_up("speed ... or train ...; the top of the source says more");
}
