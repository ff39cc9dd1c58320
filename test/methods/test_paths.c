/* test_paths.c: schedules and their grids, conversions, guidance, thresholds, the machinery of a run, and the solvers
 * ddim, rhork and edm: closed forms, convergence on the standard problems, what is refused, files, threads, failing
 * allocations.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <math.h>
#include <unistd.h>

#include "../failing.h"
#include "../paths_model.h"
#include "paths/engine.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static sonde_path_sampler *create(const char *spec, int64_t dim)
{
    sonde_path_sampler *sampler = NULL;
    OK(sonde_path_sampler_create(spec, dim, NULL, &sampler));
    return sampler;
}

static void refused(const char *spec, const char *words)
{
    sonde_path_sampler *sampler = NULL;
    FAILS(sonde_path_sampler_create(spec, 4, NULL, &sampler), SONDE_INVALID_ARGUMENT, words);
    assert_null(sampler);
}

static void run(sonde_path_sampler *sampler, float *x, int64_t rows, path_mixture_user *user)
{
    sonde_array view = sonde_f32(x, rows, sonde_path_sampler_dim(sampler));
    OK(sonde_path_sampler_run(sampler, &view, path_mixture_model, user));
}

/* Runs a fresh sampler on rows x dim values in place; gives the predictions it asked for. */
static int64_t solve(const char *spec, float *x, int64_t rows, int64_t dim, const path_mixture *with,
                     const path_mixture *without)
{
    path_mixture_user user = {.with = with, .without = without, .deviation = 0.5, .beta0 = 0.1, .beta1 = 20};
    if (strstr(spec, "rf") || strstr(spec, "edm(") || strstr(spec, "karras")) user.beta1 = 0;
    sonde_path_sampler *sampler = create(spec, dim);
    run(sampler, x, rows, &user);
    sonde_path_sampler_free(sampler);
    return user.calls;
}

static double root_mean_square(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    return sqrt(sum / (double)n);
}

/* Two clouds in four dimensions, for tests of machinery. */
static const double clouds_weights[] = {0.4, 0.6}, clouds_deviations[] = {0.5, 0.4};
static const double clouds_means[] = {1, -1, 0.5, 0, -0.7, 0.3, 0.2, 1.1};
static const path_mixture clouds = {2, 4, clouds_weights, clouds_means, clouds_deviations};
static const double other_means[] = {0, 0.5, -1, 0.3, 0.7, -0.3, 1.2, 0.1};
static const path_mixture other = {2, 4, clouds_weights, other_means, clouds_deviations};

/* ---- schedules ------------------------------------------------------------------------------------------------- */

static const char *const schedules[] = {"vp",
                                        "vp(beta0=0.5, beta1=12)",
                                        "vp_cosine",
                                        "subvp",
                                        "ve",
                                        "edm",
                                        "karras",
                                        "rf(t_start=0.999)",
                                        "vp_discrete",
                                        "vp_discrete(betas=scaled_linear, n=100)",
                                        "vp_discrete(betas=cosine)"};

/* lambda(time) comes back, the rates are the slopes, and the model's numbers hang together. */
static void schedule_identities(void **state)
{
    (void)state;
    for (int s = 0; s < COUNT(schedules); s++) {
        char spec[120];
        snprintf(spec, sizeof spec, "ddim(schedule=%s)", schedules[s]);
        sonde_path_sampler *sampler = create(spec, 1);
        const sonde__schedule *schedule = sampler->schedule;
        double begin = sampler->nodes[0].time, end = 1e-3 * begin;
        for (int i = 0; i <= 200; i++) {
            double time = begin + (fmax(end, schedule->low) - begin) * i / 200, h = 1e-6 * time;
            sonde__path_point at, low, high;
            sonde__schedule_at(schedule, time, &at);
            sonde__schedule_at(schedule, time - h, &low);
            sonde__schedule_at(schedule, time + h, &high);
            double back = sonde__schedule_time(schedule, at.lambda);
            if (fabs(back - time) > 1e-9 * fmax(1, time))
                fail_msg("%s: time %.12g came back as %.12g", spec, time, back);
            assert_true(fabs(at.lambda - log(at.alpha / at.sigma)) < 1e-9);
            if (sonde__schedule_preserving(schedule))
                assert_true(fabs(at.alpha * at.alpha + at.sigma * at.sigma - 1) < 1e-14);
            if (sonde__schedule_exploding(schedule)) assert_true(at.alpha == 1);
            if (strstr(spec, "discrete")) continue; /* its slope jumps at the table's entries */
            assert_true(fabs((high.alpha - low.alpha) / (2 * h) - at.alpha_rate) < 1e-5 * (1 + fabs(at.alpha_rate)));
            assert_true(fabs((high.sigma - low.sigma) / (2 * h) - at.sigma_rate) < 1e-5 * (1 + fabs(at.sigma_rate)));
        }
        sonde_path_sampler_free(sampler);
    }
}

/* Closed forms of drift and diffusion. */
static void schedule_rates(void **state)
{
    (void)state;
    sonde_path_sampler *sampler = create("ddim(schedule=vp)", 1);
    sonde__path_point at;
    for (int i = 1; i < 100; i++) {
        double t = i / 100.0, beta = 0.1 + 19.9 * t;
        sonde__schedule_at(sampler->schedule, t, &at);
        assert_true(fabs(sonde__path_drift(&at) + beta / 2) < 1e-10 * beta);
        assert_true(fabs(sonde__path_diffusion(&at) - beta) < 1e-10 * beta);
    }
    sonde_path_sampler_free(sampler);
    sampler = create("ddim(schedule=subvp)", 1);
    sonde__schedule_at(sampler->schedule, 0.3, &at);
    double beta = 0.1 + 19.9 * 0.3;
    assert_true(fabs(sonde__path_diffusion(&at) - beta * (1 - pow(at.alpha, 4))) < 1e-10);
    sonde_path_sampler_free(sampler);
    sampler = create("ddim(schedule=ve)", 1);
    sonde__schedule_at(sampler->schedule, 0.3, &at);
    assert_true(fabs(sonde__path_diffusion(&at) / (2 * at.sigma * at.sigma * log(5000)) - 1) < 1e-12);
    sonde_path_sampler_free(sampler);
}

/* vp_discrete(linear) is near vp(0.1, 20), but not the same. */
static void schedule_discrete(void **state)
{
    (void)state;
    sonde_path_sampler *table = create("ddim(schedule=vp_discrete)", 1), *smooth = create("ddim(schedule=vp)", 1);
    double product = 1;
    for (int i = 0; i < 1000; i++) {
        double t = (i + 1) / 1000.0;
        sonde__path_point a, b;
        sonde__schedule_at(table->schedule, t, &a);
        sonde__schedule_at(smooth->schedule, t, &b);
        product *= 1 - (1e-4 + (0.02 - 1e-4) * i / 999.0);
        assert_true(fabs(a.alpha / sqrt(product) - 1) < 1e-10);
        assert_true(fabs(a.model_time - i) < 1e-9);
        double ratio = log(a.alpha) / log(b.alpha);
        assert_true(fabs(ratio - 1) < (t >= 0.1 ? 0.01 : 0.11));
        if (i == 0) assert_true(fabs(ratio - 1) > 0.05);
    }
    sonde_path_sampler_free(table);
    sonde_path_sampler_free(smooth);
    sonde_path_sampler *cosine = create("ddim(schedule=vp_discrete(betas=cosine))", 1);
    assert_true(cosine->nodes[0].alpha > 0 && fabs(cosine->nodes[0].lambda + 9.9) < 0.1);
    sonde_path_sampler_free(cosine);
}

/* ---- grids ----------------------------------------------------------------------------------------------------- */

static int64_t nodes_of(const char *spec, sonde_path_node *nodes, int64_t capacity)
{
    sonde_path_sampler *sampler = create(spec, 1);
    int64_t count = -1, again;
    OK(sonde_path_sampler_nodes(sampler, nodes, capacity, &count));
    OK(sonde_path_sampler_nodes(sampler, NULL, 0, &again));
    assert_int_equal(count, again);
    sonde_path_sampler_free(sampler);
    return count;
}

static void near(double value, double expected)
{
    if (!(fabs(value - expected) <= 1e-9 * fmax(1, fabs(expected)))) fail_msg("%.12g, not %.12g", value, expected);
}

static void grid_shapes(void **state)
{
    (void)state;
    sonde_path_node n[64];
    assert_int_equal(nodes_of("ddim(schedule=vp(steps=10, grid=uniform_t, t_end=0.1))", n, 64), 11);
    for (int i = 0; i <= 10; i++) near(n[i].t, 1 - 0.09 * i);
    assert_int_equal(nodes_of("ddim(schedule=vp(steps=10, grid=quadratic, t_end=0.01))", n, 64), 11);
    for (int i = 0; i <= 10; i++) near(n[i].t, pow(1 - 0.09 * i, 2));
    assert_int_equal(nodes_of("ddim(schedule=vp(steps=10))", n, 64), 11);
    near(n[10].t, 1e-3);
    for (int i = 1; i <= 10; i++) near(n[i].lambda - n[i - 1].lambda, (n[10].lambda - n[0].lambda) / 10);
    assert_int_equal(nodes_of("ddim(schedule=vp(steps=16))", n, 64), 17);
    near(n[16].t, 1e-4);
    /* the nodes of EDM's paper: N of them, then 0 */
    assert_int_equal(nodes_of("ddim(schedule=karras(steps=18))", n, 64), 19);
    for (int i = 0; i < 18; i++)
        near(n[i].sigma, pow(pow(80, 1.0 / 7) + i / 17.0 * (pow(0.002, 1.0 / 7) - pow(80, 1.0 / 7)), 7));
    assert_true(n[18].sigma == 0 && n[18].alpha == 1 && isinf(n[18].lambda));
    /* the same in sigma / alpha of another schedule */
    assert_int_equal(nodes_of("ddim(schedule=vp(steps=5, grid=edm, rho=3))", n, 64), 6);
    double first = cbrt(n[0].sigma / n[0].alpha), last = cbrt(n[5].sigma / n[5].alpha);
    for (int i = 0; i <= 5; i++) near(cbrt(n[i].sigma / n[i].alpha), first + (last - first) * i / 5);
    /* rectified flow: 1, ..., 0, moved by the shift */
    assert_int_equal(nodes_of("ddim(schedule=rf(steps=4, shift=3, t_scale=1000))", n, 64), 5);
    for (int i = 0; i <= 4; i++) near(n[i].sigma, 3 * (1 - i / 4.0) / (1 + 2 * (1 - i / 4.0)));
    near(n[1].t, 1000 * n[1].sigma);
    assert_true(n[0].alpha == 0 && n[4].sigma == 0);
}

static void grid_finals(void **state)
{
    (void)state;
    sonde_path_node n[64];
    assert_int_equal(nodes_of("ddim(schedule=vp(steps=8, final=t_end))", n, 64), 9);
    assert_true(n[8].sigma > 0);
    assert_int_equal(nodes_of("ddim(schedule=vp(steps=8, final=zero))", n, 64), 9);
    assert_true(n[8].sigma == 0 && fabs(n[7].t - 1e-3) < 1e-12);
    assert_int_equal(nodes_of("ddim(schedule=vp(steps=8, final=denoise))", n, 64), 10);
    assert_true(n[9].sigma == 0 && fabs(n[8].t - 1e-3) < 1e-12);
    /* predictions: as many as steps; one more for denoise */
    float x[4] = {1, -1, 0.5f, 2};
    assert_int_equal(solve("ddim(schedule=vp(steps=8, final=t_end))", x, 1, 4, &clouds, NULL), 8);
    assert_int_equal(solve("ddim(schedule=vp(steps=8, final=zero))", x, 1, 4, &clouds, NULL), 8);
    assert_int_equal(solve("ddim(schedule=vp(steps=8, final=denoise))", x, 1, 4, &clouds, NULL), 9);
    assert_int_equal(solve("ddim(schedule=vp(steps=1, final=zero))", x, 1, 4, &clouds, NULL), 1);
    assert_int_equal(solve("ddim(schedule=karras(steps=9))", x, 1, 4, &clouds, NULL), 9);
    assert_int_equal(solve("edm(schedule=karras(steps=9))", x, 1, 4, &clouds, NULL), 17);
    assert_int_equal(solve("rhork(tab=rk4, schedule=vp(steps=9))", x, 1, 4, &clouds, NULL), 36);
    assert_int_equal(solve("ddim(guidance=3, schedule=vp(steps=8))", x, 1, 4, &clouds, &other), 16);
    assert_int_equal(solve("ddim(guidance=1, schedule=vp(steps=8))", x, 1, 4, &clouds, NULL), 8);
    assert_int_equal(solve("ddim(guidance=0, schedule=vp(steps=8))", x, 1, 4, NULL, &other), 8);
}

/* The index grids, as numpy computes them: round(linspace(0, 999, 6))[::-1][:-1], and so on. */
static void grid_indices(void **state)
{
    (void)state;
    static const double linspace[] = {999, 799, 599, 400, 200}, leading[] = {801, 601, 401, 201, 1},
                        trailing[] = {999, 799, 599, 399, 199}, odd[] = {999, 666, 332};
    sonde_path_node n[16];
    assert_int_equal(nodes_of("ddim(schedule=vp_discrete(steps=5, grid=linspace))", n, 16), 6);
    for (int i = 0; i < 5; i++) near(n[i].t, linspace[i]);
    assert_true(n[5].sigma == 0);
    assert_int_equal(nodes_of("ddim(schedule=vp_discrete(steps=5, grid=leading, offset=1))", n, 16), 6);
    for (int i = 0; i < 5; i++) near(n[i].t, leading[i]);
    assert_int_equal(nodes_of("ddim(schedule=vp_discrete(steps=5, grid=trailing))", n, 16), 6);
    for (int i = 0; i < 5; i++) near(n[i].t, trailing[i]);
    assert_int_equal(nodes_of("ddim(schedule=vp_discrete(steps=3, grid=trailing, final=t_end))", n, 16), 4);
    for (int i = 0; i < 3; i++) near(n[i].t, odd[i]);
    near(n[3].t, 0);
}

/* ---- predictions ----------------------------------------------------------------------------------------------- */

/* From a state and what a model says to data and noise, in f32 by numbers worked out in double. Errors are held
 * against the size of what is added. */
static void conversions(void **state)
{
    (void)state;
    sonde_path_sampler *sampler = create("ddim(schedule=vp)", 1);
    uint64_t random = 5;
    for (uint32_t kind = SONDE_PREDICTION_NOISE; kind <= SONDE_PREDICTION_EDM; kind++) {
        for (int i = 0; i <= 240; i++) {
            sonde__path_point at;
            sonde__schedule_at_lambda(sampler->schedule, -6 + i / 20.0, &at);
            double data = test_normal(&random), noise = test_normal(&random);
            double x = at.alpha * data + at.sigma * noise, ratio = at.sigma / at.alpha;
            double variance = ratio * ratio + 0.25, told = 0;
            if (kind == SONDE_PREDICTION_NOISE) told = noise;
            if (kind == SONDE_PREDICTION_DATA) told = data;
            if (kind == SONDE_PREDICTION_SCORE) told = -noise / at.sigma;
            if (kind == SONDE_PREDICTION_V) told = at.alpha * noise - at.sigma * data;
            if (kind == SONDE_PREDICTION_FLOW) told = at.alpha_rate * data + at.sigma_rate * noise;
            if (kind == SONDE_PREDICTION_EDM)
                told = (data - 0.25 / variance * x / at.alpha) / (ratio * 0.5 / sqrt(variance));
            const double expected[] = {noise, data, -noise / at.sigma, noise - data};
            for (int form = SONDE__FORM_NOISE; form <= SONDE__FORM_CONTRAST; form++) {
                sonde__path_affine by = sonde__path_convert(kind, 0.5, &at, (sonde__path_form)form);
                float value = (float)by.x * (float)x + (float)by.prediction * (float)told;
                double size = fabs(by.x * x) + fabs(by.prediction * told) + fabs(expected[form - 1]);
                if (fabs(value - expected[form - 1]) > 2e-6 * size)
                    fail_msg("prediction %u, form %d, lambda %g: %g, not %g", kind, form, at.lambda, value,
                             expected[form - 1]);
            }
        }
    }
    sonde_path_sampler_free(sampler);
}

static const char *const kinds[] = {"noise", "data", "score", "v", "flow", "edm"};

/* What the model predicts changes nothing but rounding, with guidance as without. */
static void prediction_kinds(void **state)
{
    (void)state;
    static const char *const specs[] = {"ddim(prediction=%s, schedule=vp(steps=12, t_end=0.01))",
                                        "ddim(prediction=%s, guidance=2.5, schedule=vp(steps=12, t_end=0.01))",
                                        "rhork(prediction=%s, schedule=vp(steps=12, t_end=0.01))",
                                        "ddim(prediction=%s, eta=0.5, schedule=vp(steps=12, t_end=0.01))",
                                        "edm(prediction=%s, guidance=0, schedule=edm(steps=12, smin=0.05, smax=20))"};
    for (int s = 0; s < COUNT(specs); s++) {
        float first[40], x[40];
        for (int k = 0; k < COUNT(kinds); k++) {
            char spec[200];
            snprintf(spec, sizeof spec, specs[s], kinds[k]);
            for (int i = 0; i < 40; i++) x[i] = (float)(sin(3 * i) * (s == 4 ? 20 : 1.2));
            solve(spec, x, 10, 4, &clouds, &other);
            if (k == 0) memcpy(first, x, sizeof x);
            if (root_mean_square(first, x, 40) > 2e-5) fail_msg("%s: %g off", spec, root_mean_square(first, x, 40));
        }
    }
}

/* Guidance between Gaussians of one variance is the flow of the Gaussian with the mixed mean. */
static void guidance_gaussian(void **state)
{
    (void)state;
    const double one = 1, means[] = {0.4, -0.8}, deviation = 0.6, weight = 2.5;
    const path_mixture with = {1, 1, &one, &means[0], &deviation}, without = {1, 1, &one, &means[1], &deviation};
    const double mixed = weight * means[0] + (1 - weight) * means[1];
    const path_mixture whole = {1, 1, &one, &mixed, &deviation};
    float x[3] = {-1, 0.3f, 2}, y[3] = {-1, 0.3f, 2};
    solve("rhork(tab=rk4, guidance=2.5, schedule=vp(steps=40))", x, 3, 1, &with, &without);
    solve("rhork(tab=rk4, schedule=vp(steps=40))", y, 3, 1, &whole, NULL);
    assert_true(root_mean_square(x, y, 3) < 1e-5);
}

/* ---- thresholds ------------------------------------------------------------------------------------------------ */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* By sorting. */
static void limit_row(float *x, int64_t dim, double quantile, double floor_, double cap)
{
    double *sizes = test_alloc((size_t)dim, sizeof *sizes);
    for (int64_t i = 0; i < dim; i++) sizes[i] = fabs(x[i]);
    qsort(sizes, (size_t)dim, sizeof *sizes, compare_doubles);
    double place = quantile * (double)(dim - 1);
    int64_t below = (int64_t)place, above = below + 1 < dim ? below + 1 : below;
    double q = sizes[below] + (place - (double)below) * (sizes[above] - sizes[below]);
    q = fmin(fmax(q, floor_), cap);
    for (int64_t i = 0; i < dim; i++) x[i] = (float)(fmin(fmax(x[i], -q), q) / q);
    free(sizes);
}

/* One step of final=zero returns the data prediction itself, so that the threshold shows. */
static void thresholds(void **state)
{
    (void)state;
    static const struct {
        const char *keys;
        double quantile, floor, cap;
    } cases[] = {{"", 0.995, 1, HUGE_VAL},
                 {"quantile=0.5, floor=0.001", 0.5, 0.001, HUGE_VAL},
                 {"quantile=1, floor=0.1", 1, 0.1, HUGE_VAL},
                 {"quantile=0.9, floor=0.01, cap=1.5", 0.9, 0.01, 1.5},
                 {"quantile=0.000001, floor=0.0001", 0.000001, 0.0001, HUGE_VAL}};
    for (int c = 0; c < COUNT(cases); c++)
        for (int64_t dim = 1; dim < 400; dim = dim * 3 + 1) {
            char spec[200];
            float *told = test_vectors(3, dim, 0, (uint64_t)dim), *expected = test_alloc((size_t)(3 * dim), 4);
            for (int64_t i = 0; i < dim; i++) told[i] = floorf(told[i] * 2) / 2; /* ties */
            memcpy(expected, told, (size_t)(3 * dim) * sizeof *told);
            for (int row = 0; row < 3; row++)
                limit_row(expected + row * dim, dim, cases[c].quantile, cases[c].floor, cases[c].cap);
            snprintf(spec, sizeof spec,
                     "ddim(prediction=data, threshold=dynamic, %s%s schedule=vp(steps=1, final=zero))", cases[c].keys,
                     *cases[c].keys ? "," : "");
            sonde_path_sampler *sampler = create(spec, dim);
            sonde_array x = sonde_f32(told, 3, dim), out;
            OK(sonde_path_sampler_start(sampler, &x));
            OK(sonde_path_sampler_tell(sampler, &x));
            OK(sonde_path_sampler_output(sampler, "state", &out));
            assert_true(root_mean_square(out.data, expected, 3 * dim) < 1e-6);
            sonde_path_sampler_free(sampler);
            free(told);
            free(expected);
        }
    float x[] = {3, -3, 0.25f, -0.5f}, expected[] = {2, -2, 0.25f, -0.5f};
    sonde_array view = sonde_f32(x, 1, 4), out;
    sonde_path_sampler *sampler = create(
        "ddim(prediction=data, threshold=static, clip=2, schedule=vp(steps=1, final=zero))", 4);
    OK(sonde_path_sampler_start(sampler, &view));
    OK(sonde_path_sampler_tell(sampler, &view));
    OK(sonde_path_sampler_output(sampler, "state", &out));
    assert_memory_equal(out.data, expected, sizeof expected);
    sonde_path_sampler_free(sampler);
}

/* Where the noise is wanted, it follows from the data after the threshold. */
static void threshold_noise(void **state)
{
    (void)state;
    float x[] = {0.3f, -2}, told[] = {-0.4f, 0.1f};
    sonde_array view = sonde_f32(x, 1, 2), prediction = sonde_f32(told, 1, 2);
    sonde_path_sampler *sampler = create("rhork(threshold=static, clip=0.7, schedule=vp(steps=5))", 2);
    const sonde__path_point *from = &sampler->nodes[0], *to = &sampler->nodes[1];
    sonde_ask ask = SONDE_ASK_INIT;
    OK(sonde_path_sampler_start(sampler, &view));
    OK(sonde_path_sampler_tell(sampler, &prediction));
    OK(sonde_path_sampler_ask(sampler, &ask));
    for (int i = 0; i < 2; i++) {
        double data = fmin(fmax((x[i] - from->sigma * told[i]) / from->alpha, -0.7), 0.7);
        double noise = (x[i] - from->alpha * data) / from->sigma;
        assert_true(fabs(((const float *)ask.x.data)[i] - (to->alpha * data + to->sigma * noise)) < 1e-5);
    }
    sonde_path_sampler_free(sampler);
}

/* ---- the solvers ----------------------------------------------------------------------------------------------- */

/* Within 5 % of what double arithmetic gives, down to where f32 ends: a state of size 1 that is rounded up to 640
 * times, half a unit (6e-8) each, by weights that are rounded as well. */
static void near_table(const char *spec, int steps, double error, double expected)
{
    const double f32_ends = 4e-6;
    if (fabs(error - expected) > 0.05 * expected + f32_ends)
        fail_msg("%s, %d steps: error %.4g, not %.4g", spec, steps, error, expected);
}

static void p1_table(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        double error[5];
    } rows[] = {{"ddim(%s)", {1.42e-1, 6.97e-2, 3.28e-2, 1.61e-2, 7.96e-3}},
                {"rhork(tab=heun2, %s)", {4.59e-2, 1.02e-2, 2.43e-3, 5.94e-4, 1.47e-4}},
                {"rhork(tab=kutta3, %s)", {2.91e-3, 3.54e-4, 4.33e-5, 5.38e-6, 6.71e-7}},
                {"rhork(tab=rk4, %s)", {1.05e-3, 6.25e-5, 3.80e-6, 2.34e-7, 1.45e-8}}};
    for (int r = 0; r < COUNT(rows); r++)
        for (int n = 0; n < 5; n++)
            near_table(rows[r].spec, 10 << n, path_p1_rmse(rows[r].spec, 10 << n), rows[r].error[n]);
}

static void p1_other_schedules(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *schedule;
        double error[6];
    } rows[] = {
        {"ddim(%s)", "schedule=rf(steps=%d, t_end=0.02)", {2.3e-1, 1.2e-1, 6.8e-2, 3.2e-2, 1.5e-2, 7.4e-3}},
        {"ddim(%s)", "schedule=edm(steps=%d, grid=edm, smin=0.02)", {4.2e-1, 2.1e-1, 1.2e-1, 6.0e-2, 2.8e-2, 1.3e-2}},
        {"edm(%s)", "schedule=edm(steps=%d, grid=edm, smin=0.02)", {5.9e-1, 1.1e-1, 2.3e-2, 5.2e-3, 1.3e-3, 3.1e-4}},
        {"rhork(%s)",
         "schedule=edm(steps=%d, grid=edm, smin=0.02)",
         {5.9e-1, 1.1e-1, 2.3e-2, 5.2e-3, 1.3e-3, 3.1e-4}}};
    for (int r = 0; r < COUNT(rows); r++)
        for (int n = 0; n < 6; n++) {
            char schedule[100];
            snprintf(schedule, sizeof schedule, rows[r].schedule, 5 << n);
            near_table(rows[r].spec, 5 << n, path_rmse(rows[r].spec, schedule, NULL), rows[r].error[n]);
        }
}

/* The stated order within 0.15, by regression over what f32 resolves; errors fall with every doubling. */
static void orders(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        int first, count;
        double order;
    } cases[] = {{"ddim(%s)", 20, 4, 1},
                 {"rhork(tab=heun2, %s)", 20, 4, 2},
                 {"rhork(tab=mid2, %s)", 10, 4, 2},
                 {"rhork(tab=kutta3, %s)", 10, 3, 3},
                 {"rhork(tab=rk4, %s)", 5, 3, 4},
                 {"edm(%s)", 20, 4, 2},
                 {"rhork(tab=heun2, space=flow, %s)", 20, 4, 2}};
    for (int c = 0; c < COUNT(cases); c++) {
        double sx = 0, sy = 0, sxx = 0, sxy = 0, before = HUGE_VAL;
        for (int i = 0; i < cases[c].count; i++) {
            double error = path_p1_rmse(cases[c].spec, cases[c].first << i), x = i * log(2), y = log(error);
            assert_true(error < before);
            before = error;
            sx += x;
            sy += y;
            sxx += x * x;
            sxy += x * y;
        }
        double n = cases[c].count, order = -(n * sxy - sx * sy) / (n * sxx - sx * sx);
        if (fabs(order - cases[c].order) > 0.15) fail_msg("%s: order %.3f", cases[c].spec, order);
    }
}

/* On a Gaussian the flow has a closed form: x - alpha m grows as the standard deviation. */
static void gaussian_flow(void **state)
{
    (void)state;
    static const char *const specs[] = {"ddim(schedule=%s(steps=%d))", "rhork(schedule=%s(steps=%d))",
                                        "edm(schedule=%s(steps=%d))"};
    static const char *const names[] = {"vp", "vp_cosine", "subvp", "ve", "edm", "vp_discrete"};
    const double one = 1, mean = 0.7, deviation = 0.5;
    const path_mixture gaussian = {1, 1, &one, &mean, &deviation};
    for (int s = 0; s < COUNT(specs); s++)
        for (int k = 0; k < COUNT(names); k++) {
            double before = HUGE_VAL;
            for (int steps = 25; steps <= 400; steps *= 4) {
                char spec[100];
                sonde_path_node n[401];
                snprintf(spec, sizeof spec, specs[s], names[k], steps);
                nodes_of(spec, n, 401);
                double from = sqrt(n[0].alpha * n[0].alpha * 0.25 + n[0].sigma * n[0].sigma);
                double to = sqrt(n[steps].alpha * n[steps].alpha * 0.25 + n[steps].sigma * n[steps].sigma);
                float x = (float)(1.3 * from);
                double exact = n[steps].alpha * mean + to / from * (x - n[0].alpha * mean);
                solve(spec, &x, 1, 1, &gaussian, NULL);
                double error = fabs(x - exact);
                if (!(error < before || error < 3e-6)) fail_msg("%s: error %g after %g", spec, error, before);
                if (steps == 400 && error > (s == 0 ? 2e-2 : 2e-4)) fail_msg("%s: error %g", spec, error);
                before = error;
            }
        }
}

/* A model that always says the same data, or the same noise: one step is exact. */
struct constant {
    double value;
};

static int constant_model(const sonde_ask *ask, sonde_array *prediction, void *user)
{
    const struct constant *constant = user;
    float *out = (float *)(uintptr_t)prediction->data;
    for (int64_t i = 0; i < ask->x.rows * ask->x.cols; i++) out[i] = (float)constant->value;
    return 0;
}

static void constant_predictions(void **state)
{
    (void)state;
    static const char *const solvers[] = {"ddim",           "rhork", "rhork(tab=mid2)", "rhork(tab=kutta3)",
                                          "rhork(tab=rk4)", "edm"};
    static const char *const names[] = {"vp", "ve", "rf", "subvp"};
    struct constant constant = {0.8};
    for (int s = 0; s < COUNT(solvers); s++)
        for (int k = 0; k < COUNT(names); k++)
            for (int data = 0; data < 2; data++) {
                char spec[200];
                sonde_path_node n[2];
                /* constant data is a straight line in every variable only for the first-order step */
                if (data && s > 0) continue;
                size_t end = strlen(solvers[s]) - (strchr(solvers[s], '(') != NULL);
                snprintf(spec, sizeof spec, "%.*s%s prediction=%s, schedule=%s(steps=1, t_start=0.7, t_end=0.2))",
                         (int)end, solvers[s], strchr(solvers[s], '(') ? ", space=rho, " : "(",
                         data ? "data" : "noise", names[k]);
                assert_int_equal(nodes_of(spec, n, 2), 2);
                float x = 1.5f;
                double other_part = data ? (x - n[0].alpha * 0.8) / n[0].sigma : (x - n[0].sigma * 0.8) / n[0].alpha;
                double exact = data ? n[1].alpha * 0.8 + n[1].sigma * other_part
                                    : n[1].alpha * other_part + n[1].sigma * 0.8;
                if (strcmp(solvers[s], "rhork") == 0 && strcmp(names[k], "rf") == 0) continue; /* auto: space=flow */
                sonde_path_sampler *sampler = create(spec, 1);
                sonde_array view = sonde_f32(&x, 1, 1);
                OK(sonde_path_sampler_run(sampler, &view, constant_model, &constant));
                if (fabs(x - exact) > 1e-6 * (1 + fabs(exact))) fail_msg("%s: %.9g, not %.9g", spec, x, exact);
                sonde_path_sampler_free(sampler);
            }
}

/* ddim on rectified flow is Euler: x + (t - s) u. */
static void euler_on_flow(void **state)
{
    (void)state;
    const float told[] = {0.3f, -1.7f, 2, 0};
    float x[] = {1, -1, 0.5f, 2};
    sonde_path_sampler *sampler = create("ddim(schedule=rf(steps=4))", 4);
    sonde_array view = sonde_f32(x, 1, 4), prediction = sonde_f32(told, 1, 4), out;
    OK(sonde_path_sampler_start(sampler, &view));
    for (int step = 0; step < 4; step++) {
        OK(sonde_path_sampler_tell(sampler, &prediction));
        OK(sonde_path_sampler_output(sampler, "state", &out));
        for (int i = 0; i < 4; i++)
            assert_true(fabs(((const float *)out.data)[i] - (x[i] - (step + 1) / 4.0 * told[i])) < 1e-6);
    }
    sonde_path_sampler_free(sampler);
}

/* ---- noise ----------------------------------------------------------------------------------------------------- */

/* Mean and variance after every step of a linear Gaussian recursion; Monte Carlo must match them within 4 standard
 * errors. */
static void check_moments(const char *spec, double mean, double variance)
{
    enum { ROWS = 40000 };
    const double one = 1, centre = 0.7, deviation = 0.5;
    const path_mixture gaussian = {1, 1, &one, &centre, &deviation};
    float *x = test_alloc(ROWS, sizeof *x);
    double sum = 0, square = 0;
    for (int i = 0; i < ROWS; i++) x[i] = 0.9f;
    solve(spec, x, ROWS, 1, &gaussian, NULL);
    for (int i = 0; i < ROWS; i++) sum += x[i];
    for (int i = 0; i < ROWS; i++) square += (x[i] - sum / ROWS) * (x[i] - sum / ROWS);
    double found = square / ROWS;
    if (fabs(sum / ROWS - mean) > 4 * sqrt(variance / ROWS) + 1e-6 ||
        fabs(found / variance - 1) > 4 * sqrt(2.0 / ROWS))
        fail_msg("%s: mean %g, variance %g, not %g, %g", spec, sum / ROWS, found, mean, variance);
    free(x);
}

/* What the model says of a Gaussian, as an affine function of the state: x0 = a x + b. */
static void gaussian_data(double alpha, double sigma, double *a, double *b)
{
    double pull = alpha * 0.25 / (alpha * alpha * 0.25 + sigma * sigma);
    *a = pull;
    *b = 0.7 * (1 - pull * alpha);
}

static void ddim_noise_moments(void **state)
{
    (void)state;
    static const double etas[] = {0.3, 1};
    static const char *const names[] = {"vp", "ve", "rf"};
    for (int e = 0; e < COUNT(etas); e++)
        for (int k = 0; k < COUNT(names); k++) {
            char spec[100];
            sonde_path_node n[7];
            snprintf(spec, sizeof spec, "ddim(eta=%g, schedule=%s(steps=6, t_start=0.9, t_end=0.05))", etas[e],
                     names[k]);
            assert_int_equal(nodes_of(spec, n, 7), 7);
            double mean = 0.9f, variance = 0;
            for (int i = 0; i < 6; i++) {
                double a, b, ratio = n[i + 1].sigma / n[i + 1].alpha * n[i].alpha / n[i].sigma;
                double fresh = etas[e] * n[i + 1].sigma * sqrt(1 - ratio * ratio);
                double noise = sqrt(n[i + 1].sigma * n[i + 1].sigma - fresh * fresh);
                gaussian_data(n[i].alpha, n[i].sigma, &a, &b);
                double grow = n[i + 1].alpha * a + noise * (1 - n[i].alpha * a) / n[i].sigma;
                mean = grow * mean + n[i + 1].alpha * b - noise * n[i].alpha * b / n[i].sigma;
                variance = grow * grow * variance + fresh * fresh;
            }
            check_moments(spec, mean, variance);
        }
}

/* EDM's algorithm 2 as a recursion, with alpha = 1. */
static void edm_churn_moments(void **state)
{
    (void)state;
    const char *spec =
        "edm(churn=4, stmin=0.1, stmax=5, snoise=1.1, schedule=edm(steps=8, smin=0.05, smax=8, grid=edm))";
    sonde_path_node n[9];
    assert_int_equal(nodes_of(spec, n, 9), 9);
    double mean = 0.9f, variance = 0;
    for (int i = 0; i < 8; i++) {
        double s = n[i].sigma, gamma = s >= 0.1 && s <= 5 ? fmin(4.0 / 8, sqrt(2) - 1) : 0, q = s * (1 + gamma), a, b;
        variance += (q * q - s * s) * 1.1 * 1.1;
        gaussian_data(1, q, &a, &b);
        double d_grow = (1 - a) / q, d_move = -b / q, h = n[i + 1].sigma - q;
        double trial_grow = 1 + h * d_grow, trial_move = h * d_move;
        gaussian_data(1, n[i + 1].sigma, &a, &b);
        double e_grow = (1 - a) * trial_grow / n[i + 1].sigma, e_move = ((1 - a) * trial_move - b) / n[i + 1].sigma;
        double grow = 1 + h * (d_grow + e_grow) / 2, move = h * (d_move + e_move) / 2;
        mean = grow * mean + move;
        variance = grow * grow * variance;
    }
    check_moments(spec, mean, variance);
}

/* Rows do not depend on their number, seeds and steps differ. */
static void noise_rows(void **state)
{
    (void)state;
    float many[40], few[12], reseeded[40];
    for (int i = 0; i < 40; i++) many[i] = reseeded[i] = (float)cos(i);
    memcpy(few, many, sizeof few);
    solve("ddim(eta=1)", many, 10, 4, &clouds, NULL);
    solve("ddim(eta=1)", few, 3, 4, &clouds, NULL);
    solve("ddim(eta=1, seed=2)", reseeded, 10, 4, &clouds, NULL);
    assert_memory_equal(many, few, sizeof few);
    assert_true(root_mean_square(many, reseeded, 40) > 0.1);
}

/* ---- P2 -------------------------------------------------------------------------------------------------------- */

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Root of the mean squared distance of order statistics, over 16 directions. */
static double sliced_distance(const float *x, const float *y, int n)
{
    float *a = test_alloc((size_t)n, sizeof *a), *b = test_alloc((size_t)n, sizeof *b);
    double sum = 0;
    for (int d = 0; d < 16; d++) {
        double c = cos(d * 3.14159265358979323846 / 16), s = sin(d * 3.14159265358979323846 / 16);
        for (int i = 0; i < n; i++) {
            a[i] = (float)(c * x[2 * i] + s * x[2 * i + 1]);
            b[i] = (float)(c * y[2 * i] + s * y[2 * i + 1]);
        }
        qsort(a, (size_t)n, sizeof *a, compare_floats);
        qsort(b, (size_t)n, sizeof *b, compare_floats);
        for (int i = 0; i < n; i++) sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    }
    free(a);
    free(b);
    return sqrt(sum / (16.0 * n));
}

static void normal_pair(uint64_t *random, double *x, double *y)
{
    double radius = sqrt(-2 * log(test_unit(random) + 1e-18)), angle = 6.283185307179586 * test_unit(random);
    *x = radius * cos(angle);
    *y = radius * sin(angle);
}

/* The ring of eight: how many samples of ddim lie beyond 4 deviations of every mode, how far they are from samples of
 * the ring, and how the modes share them. */
static void p2_ring(void **state)
{
    (void)state;
    enum { SAMPLES = 20000 };
    static const struct {
        int steps;
        double stray, distance;
    } cases[] = {{5, 0.16, 0.20}, {10, 0.037, 0.096}, {20, 0.009, 0.050}};
    double weights[8], means[16], deviations[8];
    for (int j = 0; j < 8; j++) {
        weights[j] = 1.0 / 8;
        deviations[j] = 0.15;
        means[2 * j] = 2 * cos(j * 0.78539816339744831);
        means[2 * j + 1] = 2 * sin(j * 0.78539816339744831);
    }
    const path_mixture ring = {8, 2, weights, means, deviations};
    float *x = test_alloc(2 * SAMPLES, sizeof *x), *y = test_alloc(2 * SAMPLES, sizeof *y);
    for (int c = 0; c < COUNT(cases); c++) {
        char spec[100];
        int stray = 0, counts[8] = {0};
        uint64_t random = 11;
        for (int i = 0; i < SAMPLES; i++) {
            double u, v;
            normal_pair(&random, &u, &v);
            x[2 * i] = (float)u;
            x[2 * i + 1] = (float)v;
            normal_pair(&random, &u, &v);
            y[2 * i] = (float)(means[2 * (i % 8)] + 0.15 * u);
            y[2 * i + 1] = (float)(means[2 * (i % 8) + 1] + 0.15 * v);
        }
        snprintf(spec, sizeof spec, "ddim(schedule=vp(steps=%d, t_end=0.001))", cases[c].steps);
        solve(spec, x, SAMPLES, 2, &ring, NULL);
        for (int i = 0; i < SAMPLES; i++) {
            int nearest = 0;
            double least = HUGE_VAL;
            for (int j = 0; j < 8; j++) {
                double off = hypot(x[2 * i] - means[2 * j], x[2 * i + 1] - means[2 * j + 1]);
                if (off < least) nearest = j;
                least = fmin(least, off);
            }
            stray += least > 0.6;
            counts[nearest]++;
        }
        double distance = sliced_distance(x, y, SAMPLES);
        if (fabs(distance - cases[c].distance) > 0.05 * cases[c].distance + 0.015) /* two samples are 0.03 apart */
            fail_msg("%d steps: sliced distance %.4f, not %.4f", cases[c].steps, distance, cases[c].distance);
        double error = sqrt(cases[c].stray * (1 - cases[c].stray) / SAMPLES);
        if (fabs((double)stray / SAMPLES - cases[c].stray) > 4 * error + 0.05 * cases[c].stray)
            fail_msg("%d steps: %.4f stray, not %.4f", cases[c].steps, (double)stray / SAMPLES, cases[c].stray);
        for (int j = 0; j < 8; j++) assert_true(fabs(counts[j] - SAMPLES / 8.0) < 3 * sqrt(SAMPLES * 7.0 / 64));
    }
    free(y);
    free(x);
}

/* ---- a run ----------------------------------------------------------------------------------------------------- */

static const char *const solvers_to_run[] = {
    "ddim(schedule=vp(steps=6))",
    "ddim(eta=1, guidance=2, schedule=vp(steps=6))",
    "ddim(threshold=dynamic, floor=0.5, schedule=vp(steps=6, final=zero))",
    "ddim(schedule=rf(steps=6, shift=2))",
    "rhork(tab=rk4, schedule=vp(steps=4, final=denoise))",
    "rhork(tab=kutta3, schedule=rf(steps=4))",
    "edm(churn=3, schedule=karras(steps=6))",
    "edm(churn=3, prediction=edm, guidance=1.5, threshold=static, clip=2, schedule=karras(steps=6))"};

static void fill(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] = (float)(sin(1.7 * (double)i) * 1.2);
}

/* One turn of ask and tell; false when all is done. */
static bool turn(sonde_path_sampler *sampler, float *told)
{
    path_mixture_user user = {.with = &clouds, .without = &other, .deviation = 0.5};
    sonde_ask ask = SONDE_ASK_INIT;
    OK(sonde_path_sampler_ask(sampler, &ask));
    if (ask.done) return false;
    sonde_array prediction = sonde_f32(told, ask.x.rows, ask.x.cols);
    path_mixture_model(&ask, &prediction, &user);
    OK(sonde_path_sampler_tell(sampler, &prediction));
    return true;
}

/* The output "state", and the ask of a run that is done. */
static void check_state(sonde_path_sampler *sampler, const float *expected, int64_t values)
{
    sonde_array out;
    sonde_ask ask = SONDE_ASK_INIT;
    OK(sonde_path_sampler_ask(sampler, &ask));
    if (ask.done) assert_memory_equal(ask.x.data, expected, (size_t)values * sizeof(float));
    OK(sonde_path_sampler_output(sampler, "state", &out));
    assert_int_equal(out.rows * out.cols, values);
    assert_memory_equal(out.data, expected, (size_t)values * sizeof(float));
}

/* run, ask and tell, one row at a time, again after a start, and saved and opened before every tell: the same bytes.
 */
static void same_bytes(void **state)
{
    (void)state;
    enum { ROWS = 5, VALUES = ROWS * 4 };
    for (int s = 0; s < COUNT(solvers_to_run); s++) {
        float x[VALUES], start[VALUES], told[VALUES];
        fill(start, VALUES);
        memcpy(x, start, sizeof x);
        solve(solvers_to_run[s], x, ROWS, 4, &clouds, &other);
        sonde_path_sampler *sampler = create(solvers_to_run[s], 4);
        sonde_array view = sonde_f32(start, ROWS, 4);
        for (int again = 0; again < 2; again++) {
            OK(sonde_path_sampler_start(sampler, &view));
            while (turn(sampler, told)) {}
            check_state(sampler, x, VALUES);
        }
        OK(sonde_path_sampler_start(sampler, &view));
        for (bool more = true; more;) {
            size_t length = 0;
            OK(sonde_path_sampler_save_buffer(sampler, NULL, 0, &length));
            uint8_t *bytes = test_alloc(length, 1);
            OK(sonde_path_sampler_save_buffer(sampler, bytes, length, &length));
            sonde_path_sampler_free(sampler);
            OK(sonde_path_sampler_open_buffer(bytes, length, NULL, NULL, &sampler));
            free(bytes);
            more = turn(sampler, told);
        }
        check_state(sampler, x, VALUES);
        sonde_path_sampler_free(sampler);
        if (strstr(solvers_to_run[s], "eta") || strstr(solvers_to_run[s], "churn")) continue; /* noise is the row's */
        for (int row = 0; row < ROWS; row++) {
            solve(solvers_to_run[s], start + row * 4, 1, 4, &clouds, &other);
            assert_memory_equal(start + row * 4, x + row * 4, 4 * sizeof(float));
        }
    }
}

/* Predictions of half the width and with gaps between rows. */
static void prediction_layouts(void **state)
{
    (void)state;
    enum { ROWS = 700, DIM = 5 };
    float *x = test_vectors(ROWS, DIM, 0, 1), *told = test_vectors(ROWS, DIM, 0, 2);
    float *wide = test_alloc(ROWS * (DIM + 2), sizeof *wide);
    uint16_t *half = test_alloc(ROWS * DIM, 2);
    float *expected = test_alloc(ROWS * DIM, sizeof *expected);
    for (int64_t i = 0; i < ROWS * DIM; i++) { /* what bf16 can hold */
        uint32_t bits;
        memcpy(&bits, &told[i], 4);
        half[i] = (uint16_t)(bits >> 16);
        bits &= 0xffff0000;
        memcpy(&told[i], &bits, 4);
        wide[i / DIM * (DIM + 2) + i % DIM] = told[i];
    }
    sonde_path_sampler *sampler = create("ddim(eta=0.4)", DIM);
    sonde_array view = sonde_f32(x, ROWS, DIM), plain = sonde_f32(told, ROWS, DIM), gaps = sonde_f32(wide, ROWS, DIM);
    sonde_array bf16 = sonde_array_of(SONDE_DTYPE_BF16, half, ROWS, DIM), out;
    const sonde_array *layouts[] = {&plain, &gaps, &bf16};
    gaps.stride = (DIM + 2) * (int64_t)sizeof(float);
    for (int k = 0; k < 3; k++) {
        OK(sonde_path_sampler_start(sampler, &view));
        OK(sonde_path_sampler_tell(sampler, layouts[k]));
        OK(sonde_path_sampler_output(sampler, "state", &out));
        if (k == 0) memcpy(expected, out.data, ROWS * DIM * sizeof(float));
        assert_memory_equal(out.data, expected, ROWS * DIM * sizeof(float));
    }
    for (int64_t i = 0; i < ROWS * DIM; i++) half[i] = 0x3c00 + (uint16_t)(i % 3); /* f16: 1, 1 + 1/1024, ... */
    for (int64_t i = 0; i < ROWS * DIM; i++) told[i] = 1 + (float)(i % 3) / 1024;
    sonde_array f16 = sonde_array_of(SONDE_DTYPE_F16, half, ROWS, DIM);
    OK(sonde_path_sampler_start(sampler, &f16));
    OK(sonde_path_sampler_tell(sampler, &f16));
    OK(sonde_path_sampler_output(sampler, "state", &out));
    memcpy(expected, out.data, ROWS * DIM * sizeof(float));
    OK(sonde_path_sampler_start(sampler, &plain));
    OK(sonde_path_sampler_tell(sampler, &plain));
    check_state(sampler, expected, ROWS * DIM);
    sonde_path_sampler_free(sampler);
    free(x);
    free(told);
    free(wide);
    free(half);
    free(expected);
}

static void threads(void **state)
{
    (void)state;
    static const uint32_t numbers[] = {1, 2, 7};
    enum { ROWS = 900, DIM = 333 };
    float *x = test_vectors(ROWS, DIM, 0, 1), *told = test_vectors(ROWS, DIM, 0, 2), *first = NULL;
    for (int k = 0; k < 3; k++) {
        sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
        sonde_runtime *runtime = NULL;
        sonde_path_sampler *sampler = NULL;
        sonde_array view = sonde_f32(x, ROWS, DIM), prediction = sonde_f32(told, ROWS, DIM), out;
        options.threads = numbers[k];
        OK(sonde_runtime_create(&options, &runtime));
        OK(sonde_path_sampler_create("ddim(eta=1, threshold=dynamic, schedule=vp(steps=2))", DIM, runtime, &sampler));
        OK(sonde_path_sampler_start(sampler, &view));
        OK(sonde_path_sampler_tell(sampler, &prediction));
        OK(sonde_path_sampler_tell(sampler, &prediction));
        OK(sonde_path_sampler_output(sampler, "state", &out));
        if (!first) {
            first = test_alloc(ROWS * DIM, sizeof *first);
            memcpy(first, out.data, ROWS * DIM * sizeof *first);
        }
        assert_memory_equal(out.data, first, ROWS * DIM * sizeof *first);
        sonde_path_sampler_free(sampler);
        sonde_runtime_free(runtime);
    }
    free(first);
    free(x);
    free(told);
}

/* ---- what is refused ------------------------------------------------------------------------------------------- */

static void bad_specs(void **state)
{
    (void)state;
    refused("ddim(eta=1.5)", "eta");
    refused("ddim(eta=-0.1)", "eta");
    refused("edm(churn=-1)", "churn");
    refused("ddim(schedule=vp(steps=0))", "steps");
    refused("ddim(schedule=vp(t_start=1.5))", "outside");
    refused("ddim(schedule=vp(t_end=0))", "outside");
    refused("ddim(schedule=vp(t_start=0.1, t_end=0.5))", "above");
    refused("ddim(schedule=vp(t_start=0.5, t_end=0.5))", "above");
    refused("ddim(schedule=vp(steps=100000, t_start=0.5, t_end=0.49999999999))", "repeated");
    refused("ddim(schedule=rf(final=zero, t_end=0))", "above 0 between the ends");
    refused("ddim(schedule=edm(smin=2, smax=1))", "below");
    refused("ddim(schedule=vp(grid=leading))", "vp_discrete");
    refused("ddim(schedule=vp_discrete(grid=leading, t_start=0.5))", "auto");
    refused("ddim(schedule=vp_discrete(grid=leading, final=t_end))", "repeated");
    refused("ddim(schedule=vp_discrete(n=10, steps=11, grid=trailing))", "more than");
    refused("ddim(schedule=vp_discrete(betas=table))", "betas");
    refused("ddim(prediction=epsilon)", "prediction");
    refused("ddim(schedule=rf, prediction=noise)", "alpha is 0");
    refused("ddim(schedule=rf, prediction=score)", "alpha is 0");
    refused("rhork(schedule=rf, space=rho)", "infinite");
    refused("rhork(tab=heun3)", "tab");
    refused("ddim(threshold=dynamic, quantile=0)", "quantile");
    refused("ddim(threshold=dynamic, quantile=1.1)", "quantile");
    refused("ddim(threshold=dynamic, floor=2, cap=1)", "floor");
    refused("ddim(guidance=nan)", "guidance");
    refused("ddim(guidance=inf)", "guidance");
    sonde_path_sampler *sampler = NULL;
    FAILS(sonde_path_sampler_create("ddim", 0, NULL, &sampler), SONDE_INVALID_ARGUMENT, "dim");
    FAILS(sonde_path_sampler_create("ddim", 4, NULL, NULL), SONDE_INVALID_ARGUMENT, "NULL");
    FAILS(sonde_path_sampler_create("ddim(schedule=sqrt)", 4, NULL, &sampler), SONDE_NOT_FOUND, "sqrt");
}

static void bad_calls(void **state)
{
    (void)state;
    float x[8] = {0}, told[8] = {0};
    sonde_array view = sonde_f32(x, 2, 4), none = sonde_f32(x, 0, 4), narrow = sonde_f32(x, 2, 3), out;
    sonde_array one = sonde_f32(x, 1, 4), bytes = sonde_u8((const uint8_t *)x, 2, 4),
                prediction = sonde_f32(told, 2, 4);
    sonde_ask ask = SONDE_ASK_INIT;
    int64_t count;
    sonde_path_sampler *sampler = create("ddim(schedule=vp(steps=2))", 4);
    FAILS(sonde_path_sampler_ask(sampler, &ask), SONDE_STATE, "start");
    FAILS(sonde_path_sampler_tell(sampler, &prediction), SONDE_STATE, "start");
    FAILS(sonde_path_sampler_output(sampler, "state", &out), SONDE_STATE, "start");
    FAILS(sonde_path_sampler_start(sampler, &none), SONDE_INVALID_ARGUMENT, "rows");
    FAILS(sonde_path_sampler_start(sampler, &narrow), SONDE_INVALID_ARGUMENT, "3 columns");
    FAILS(sonde_path_sampler_start(sampler, &bytes), SONDE_INVALID_ARGUMENT, "u8");
    FAILS(sonde_path_sampler_start(sampler, NULL), SONDE_INVALID_ARGUMENT, "NULL");
    x[5] = NAN;
    FAILS(sonde_path_sampler_start(sampler, &view), SONDE_INVALID_ARGUMENT, "row 1");
    x[5] = 0;
    OK(sonde_path_sampler_start(sampler, &view));
    FAILS(sonde_path_sampler_tell(sampler, &one), SONDE_INVALID_ARGUMENT, "1 rows");
    FAILS(sonde_path_sampler_output(sampler, "log_likelihood", &out), SONDE_NOT_FOUND, "log_likelihood");
    FAILS(sonde_path_sampler_output(sampler, NULL, &out), SONDE_INVALID_ARGUMENT, "NULL");
    FAILS(sonde_path_sampler_nodes(sampler, NULL, 3, &count), SONDE_INVALID_ARGUMENT, "capacity");
    FAILS(sonde_path_sampler_nodes(sampler, NULL, 0, NULL), SONDE_INVALID_ARGUMENT, "NULL");
    FAILS(sonde_path_sampler_run(sampler, &view, NULL, NULL), SONDE_INVALID_ARGUMENT, "NULL");
    OK(sonde_path_sampler_tell(sampler, &prediction));
    OK(sonde_path_sampler_tell(sampler, &prediction));
    FAILS(sonde_path_sampler_tell(sampler, &prediction), SONDE_STATE, "done");
    OK(sonde_path_sampler_ask(sampler, &ask));
    assert_true(ask.done == 1 && ask.step == 2 && ask.evaluation == 2);
    sonde_path_sampler_free(sampler);
    FAILS(sonde_path_sampler_ask(NULL, &ask), SONDE_INVALID_ARGUMENT, "NULL");
    FAILS(sonde_path_sampler_tell(NULL, &prediction), SONDE_INVALID_ARGUMENT, "NULL");
    FAILS(sonde_path_sampler_start(NULL, &view), SONDE_INVALID_ARGUMENT, "NULL");
    assert_int_equal(sonde_path_sampler_dim(NULL), 0);
    sonde_path_sampler_free(NULL);
}

/* What is not finite is refused, for every solver and at every prediction, and the run stands where it stood. */
static void spoilt_predictions(void **state)
{
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    enum { ROWS = 5, VALUES = ROWS * 4 };
    for (int s = 0; s < COUNT(solvers_to_run); s++) {
        float x[VALUES], start[VALUES], told[VALUES], spoilt[VALUES];
        fill(start, VALUES);
        memcpy(x, start, sizeof x);
        solve(solvers_to_run[s], x, ROWS, 4, &clouds, &other);
        sonde_path_sampler *sampler = create(solvers_to_run[s], 4);
        sonde_array view = sonde_f32(start, ROWS, 4), prediction = sonde_f32(spoilt, ROWS, 4);
        OK(sonde_path_sampler_start(sampler, &view));
        for (int i = 0, more = 1; more; i++) {
            char words[40];
            sonde_ask ask = SONDE_ASK_INIT;
            fill(spoilt, VALUES);
            spoilt[4 * (i % ROWS) + 1] = bad[i % 3];
            OK(sonde_path_sampler_ask(sampler, &ask));
            snprintf(words, sizeof words, "step %d", (int)ask.step);
            if (!ask.done) {
                FAILS(sonde_path_sampler_tell(sampler, &prediction), SONDE_INVALID_ARGUMENT, words);
                snprintf(words, sizeof words, "row %d", i % ROWS);
                assert_non_null(strstr(sonde_error_message(), words));
            }
            more = turn(sampler, told);
        }
        check_state(sampler, x, VALUES);
        sonde_path_sampler_free(sampler);
    }
}

/* Finite predictions that lead out of the range of f32. */
static void overflow(void **state)
{
    (void)state;
    float x[4] = {0, 1, 2, 3}, told[4] = {0, 0, 3e38f, 0};
    sonde_array view = sonde_f32(x, 2, 2), prediction = sonde_f32(told, 2, 2);
    sonde_path_sampler *sampler = create("ddim(prediction=score, schedule=ve)", 2);
    OK(sonde_path_sampler_start(sampler, &view));
    FAILS(sonde_path_sampler_tell(sampler, &prediction), SONDE_INVALID_ARGUMENT, "row 1");
    check_state(sampler, x, 4);
    sonde_path_sampler_free(sampler);
}

/* ---- run: failures of the model, cancel, progress -------------------------------------------------------------- */

struct moody {
    path_mixture_user user;
    int fail_at;
    sonde_runtime *cancel;
    sonde_path_sampler *meddle;
};

static int moody_model(const sonde_ask *ask, sonde_array *prediction, void *user)
{
    struct moody *moody = user;
    if (moody->meddle) {
        FAILS(sonde_path_sampler_tell(moody->meddle, prediction), SONDE_STATE, "run");
        FAILS(sonde_path_sampler_start(moody->meddle, prediction), SONDE_STATE, "run");
    }
    if (moody->user.calls == moody->fail_at) {
        if (!moody->cancel) return 3;
        sonde_runtime_cancel(moody->cancel);
    }
    return path_mixture_model(ask, prediction, &moody->user);
}

/* After a failure of the model x is as it was, and ask and tell end the run with the same bytes. */
static void model_failures(void **state)
{
    (void)state;
    float expected[20], x[20], start[20], told[20];
    fill(start, 20);
    memcpy(expected, start, sizeof x);
    solve(solvers_to_run[1], expected, 5, 4, &clouds, &other);
    for (int at = 0; at < 12; at++) {
        struct moody moody = {.user = {.with = &clouds, .without = &other}, .fail_at = at};
        memcpy(x, start, sizeof x);
        sonde_path_sampler *sampler = create(solvers_to_run[1], 4);
        sonde_array view = sonde_f32(x, 5, 4);
        moody.meddle = sampler;
        FAILS(sonde_path_sampler_run(sampler, &view, moody_model, &moody), SONDE_CALLBACK, "step");
        assert_memory_equal(x, start, sizeof x);
        while (turn(sampler, told)) {}
        check_state(sampler, expected, 20);
        sonde_path_sampler_free(sampler);
    }
}

static void cancel(void **state)
{
    (void)state;
    float expected[20], x[20], start[20], told[20];
    fill(start, 20);
    memcpy(expected, start, sizeof x);
    solve(solvers_to_run[6], expected, 5, 4, &clouds, &other);
    for (int at = 0; at < 10; at++) {
        sonde_runtime *runtime = NULL;
        sonde_path_sampler *sampler = NULL;
        memcpy(x, start, sizeof x);
        OK(sonde_runtime_create(NULL, &runtime));
        struct moody moody = {.user = {.with = &clouds, .without = &other}, .fail_at = at, .cancel = runtime};
        OK(sonde_path_sampler_create(solvers_to_run[6], 4, runtime, &sampler));
        sonde_array view = sonde_f32(x, 5, 4);
        FAILS(sonde_path_sampler_run(sampler, &view, moody_model, &moody), SONDE_CANCELLED, "");
        assert_memory_equal(x, start, sizeof x);
        sonde_runtime_resume(runtime);
        while (turn(sampler, told)) {}
        check_state(sampler, expected, 20);
        sonde_path_sampler_free(sampler);
        sonde_runtime_free(runtime);
    }
}

/* ---- memory and files ------------------------------------------------------------------------------------------ */

static sonde_status scene_of(const char *spec, sonde_runtime_options *options)
{
    float x[20];
    path_mixture_user user = {.with = &clouds, .without = &other, .deviation = 0.5};
    sonde_runtime *runtime = NULL;
    sonde_path_sampler *sampler = NULL, *opened = NULL;
    uint8_t bytes[8192];
    size_t length = 0;
    sonde_array view = sonde_f32(x, 5, 4);
    fill(x, 20);
    sonde_status status = sonde_runtime_create(options, &runtime);
    if (status == SONDE_OK) status = sonde_path_sampler_create(spec, 4, runtime, &sampler);
    if (status == SONDE_OK) status = sonde_path_sampler_run(sampler, &view, path_mixture_model, &user);
    if (status == SONDE_OK) status = sonde_path_sampler_start(sampler, &view);
    if (status == SONDE_OK) status = sonde_path_sampler_save_buffer(sampler, bytes, sizeof bytes, &length);
    if (status == SONDE_OK) status = sonde_path_sampler_open_buffer(bytes, length, NULL, runtime, &opened);
    sonde_path_sampler_free(opened);
    sonde_path_sampler_free(sampler);
    sonde_runtime_free(runtime);
    return status;
}

static sonde_status scene_noise(sonde_runtime_options *options) { return scene_of(solvers_to_run[1], options); }
static sonde_status scene_edm(sonde_runtime_options *options) { return scene_of(solvers_to_run[7], options); }
static sonde_status scene_table(sonde_runtime_options *options)
{
    return scene_of("rhork(schedule=vp_discrete(steps=3))", options);
}

static void failing_memory(void **state)
{
    (void)state;
    assert_true(failing_walk(scene_noise) > 10);
    assert_true(failing_walk(scene_edm) > 10);
    assert_true(failing_walk(scene_table) > 10);
}

/* A file that says where a run stands, number by number: what cannot be is CORRUPT, what can be runs on. */
static void hostile_numbers(void **state)
{
    (void)state;
    static const int64_t values[] = {-1, 0, 1, 2, 3, 7, 8, 1000, INT64_MAX, INT64_MIN};
    for (int s = 0; s < COUNT(solvers_to_run); s++) {
        float start[20], told[20];
        fill(start, 20);
        sonde_path_sampler *sampler = create(solvers_to_run[s], 4);
        sonde_array view = sonde_f32(start, 5, 4);
        OK(sonde_path_sampler_start(sampler, &view));
        turn(sampler, told);
        turn(sampler, told);
        turn(sampler, told);
        for (int field = 0; field < 7; field++)
            for (int v = 0; v < COUNT(values); v++) {
                sonde__path_run *place = &sampler->engine->run, kept = *place;
                int64_t *const fields[] = {&place->step,      &place->stage,     &place->evaluation,
                                           &place->at_buffer, &place->condition, &place->done};
                if (field < 6) *fields[field] = values[v];
                else place->written = (uint32_t)values[v] & 7;
                uint8_t bytes[8192];
                size_t length = 0;
                sonde_path_sampler *opened = NULL;
                if (sampler->model->guided || place->condition == sampler->model->condition) {
                    OK(sonde_path_sampler_save_buffer(sampler, bytes, sizeof bytes, &length));
                    sonde_status status = sonde_path_sampler_open_buffer(bytes, length, NULL, NULL, &opened);
                    assert_true(status == SONDE_OK || status == SONDE_CORRUPT);
                    if (field == 6 && !(place->written & 1)) assert_int_equal(status, SONDE_CORRUPT);
                    if (field == 5 && values[v] != 0 && values[v] != 1) assert_int_equal(status, SONDE_CORRUPT);
                    if (field != 2 && (values[v] < 0 || values[v] > 999) && field < 6)
                        assert_int_equal(status, SONDE_CORRUPT);
                    while (opened && turn(opened, told)) {}
                    sonde_path_sampler_free(opened);
                }
                *place = kept;
            }
        sonde_path_sampler_free(sampler);
    }
}

/* Truncated anywhere, or with any byte changed. */
static void damaged_files(void **state)
{
    (void)state;
    float start[20], told[20];
    uint8_t bytes[8192], copy[8192];
    size_t length = 0;
    fill(start, 20);
    sonde_path_sampler *sampler = create(solvers_to_run[7], 4), *opened = NULL;
    sonde_array view = sonde_f32(start, 5, 4);
    OK(sonde_path_sampler_start(sampler, &view));
    turn(sampler, told);
    turn(sampler, told);
    turn(sampler, told);
    OK(sonde_path_sampler_save_buffer(sampler, bytes, sizeof bytes, &length));
    for (size_t cut = 0; cut < length; cut++) {
        assert_int_not_equal(sonde_path_sampler_open_buffer(bytes, cut, NULL, NULL, &opened), SONDE_OK);
        assert_null(opened);
    }
    for (size_t place = 0; place < length; place++) {
        memcpy(copy, bytes, length);
        copy[place] ^= 0x41;
        if (sonde_path_sampler_open_buffer(copy, length, NULL, NULL, &opened) == SONDE_OK) { /* padding */
            while (turn(opened, told)) {}
            sonde_path_sampler_free(opened);
            opened = NULL;
        }
    }
    sonde_path_sampler_free(sampler);
}

static void files(void **state)
{
    (void)state;
    char path[] = "/tmp/sonde-path-XXXXXX";
    float start[20], told[20];
    sonde_path_sampler *sampler = create(solvers_to_run[4], 4), *opened = NULL;
    sonde_array view = sonde_f32(start, 5, 4), out;
    int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    fill(start, 20);
    OK(sonde_path_sampler_save(sampler, path)); /* before a start: the plan only */
    OK(sonde_path_sampler_open(path, NULL, NULL, &opened));
    FAILS(sonde_path_sampler_output(opened, "state", &out), SONDE_STATE, "start");
    assert_string_equal(sonde_path_sampler_spec(opened), sonde_path_sampler_spec(sampler));
    sonde_path_sampler_free(opened);
    OK(sonde_path_sampler_start(sampler, &view));
    turn(sampler, told);
    OK(sonde_path_sampler_save(sampler, path));
    OK(sonde_path_sampler_open(path, NULL, NULL, &opened));
    while (turn(sampler, told)) {}
    while (turn(opened, told)) {}
    OK(sonde_path_sampler_output(sampler, "state", &out));
    check_state(opened, out.data, 20);
    sonde_path_sampler_free(opened);
    sonde_path_sampler_free(sampler);
    unlink(path);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(schedule_identities),
    cmocka_unit_test(schedule_rates),
    cmocka_unit_test(schedule_discrete),
    cmocka_unit_test(grid_shapes),
    cmocka_unit_test(grid_finals),
    cmocka_unit_test(grid_indices),
    cmocka_unit_test(conversions),
    cmocka_unit_test(prediction_kinds),
    cmocka_unit_test(guidance_gaussian),
    cmocka_unit_test(thresholds),
    cmocka_unit_test(threshold_noise),
    cmocka_unit_test(p1_table),
    cmocka_unit_test(p1_other_schedules),
    cmocka_unit_test(orders),
    cmocka_unit_test(gaussian_flow),
    cmocka_unit_test(constant_predictions),
    cmocka_unit_test(euler_on_flow),
    cmocka_unit_test(ddim_noise_moments),
    cmocka_unit_test(edm_churn_moments),
    cmocka_unit_test(noise_rows),
    cmocka_unit_test(p2_ring),
    cmocka_unit_test(same_bytes),
    cmocka_unit_test(prediction_layouts),
    cmocka_unit_test(threads),
    cmocka_unit_test(bad_specs),
    cmocka_unit_test(bad_calls),
    cmocka_unit_test(spoilt_predictions),
    cmocka_unit_test(overflow),
    cmocka_unit_test(model_failures),
    cmocka_unit_test(cancel),
    cmocka_unit_test(failing_memory),
    cmocka_unit_test(hostile_numbers),
    cmocka_unit_test(damaged_files),
    cmocka_unit_test(files),
};
SONDE_TEST_MAIN(tests)
