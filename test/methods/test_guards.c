/* test_guards.c: the samplers that guard against false negatives: cet, nbpo, mnar, lemon, sracl. First what
 * each paper promises, by independent formulas; then what all samplers promise, on one table of scenes.
 *
 * timeout: 60
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <math.h>

#include "../failing.h"
#include "../reseal.h"
#include "../test.h"

#define REFUSED(call, words) FAILS(call, SONDE_INVALID_ARGUMENT, words)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static sonde_row_sampler *make(const char *spec)
{
    sonde_row_sampler *sampler = NULL;
    OK(sonde_row_sampler_create(spec, 0, NULL, &sampler));
    return sampler;
}

#define DRAW_FOR sonde_row_sampler_draw_for
#define FIT sonde_row_sampler_fit
#define LOSS sonde_row_sampler_loss

static sonde_rows draw_for(sonde_row_sampler *sampler, const sonde_input *inputs, size_t inputs_count,
                           int64_t count)
{
    sonde_rows rows = SONDE_ROWS_INIT;
    OK(DRAW_FOR(sampler, inputs, inputs_count, count, &rows));
    return rows;
}

static const void *output(const sonde_row_sampler *sampler, const char *name)
{
    sonde_array column;
    OK(sonde_row_sampler_output(sampler, name, &column));
    return column.data;
}

/* That counts agree with equal chances: chi-square up to its quantile at four deviations (Wilson, Hilferty
 * 1931). */
static void assert_uniform(const int64_t *counts, int64_t cells)
{
    double total = 0, chi = 0, freedom = (double)(cells - 1);
    for (int64_t i = 0; i < cells; i++) total += (double)counts[i];
    for (int64_t i = 0; i < cells; i++) {
        double miss = (double)counts[i] - total / (double)cells;
        chi += miss * miss / (total / (double)cells);
    }
    double cube = 1 - 2 / (9 * freedom) + 4 * sqrt(2 / (9 * freedom));
    if (chi > freedom * cube * cube * cube) fail_msg("chi-square %g for %g degrees of freedom", chi, freedom);
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

static void normals(float *x, int64_t count, double scale, uint64_t seed)
{
    for (int64_t i = 0; i < count; i++) x[i] = (float)scale * test_normal(&seed);
}

/* ---- CET ----------------------------------------------------------------------------------------------- */

enum { CET_ROWS = 24 };
static const int64_t cet_offsets[] = {0, 5, 7, 16, 24};
static const uint8_t cet_labels[CET_ROWS] = {1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0,
                                             1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

/* Softmax within groups, the plain way. */
static void cet_soft(const double *logits, double *soft)
{
    for (size_t group = 0; group + 1 < COUNT(cet_offsets); group++) {
        double sum = 0;
        for (int64_t i = cet_offsets[group]; i < cet_offsets[group + 1]; i++) sum += exp(logits[i]);
        for (int64_t i = cet_offsets[group]; i < cet_offsets[group + 1]; i++) soft[i] = exp(logits[i]) / sum;
    }
}

static void cet_weights(const double *other, double clip, bool normalise, double *weights)
{
    double soft[CET_ROWS], sum = 0, labelled = 0;
    cet_soft(other, soft);
    for (int i = 0; i < CET_ROWS; i++) {
        weights[i] = cet_labels[i] / fmax(soft[i], clip);
        sum += weights[i];
        labelled += cet_labels[i];
    }
    for (int i = 0; normalise && i < CET_ROWS; i++) weights[i] *= labelled / sum;
}

static double cet_reference(const double *logits, const double *weights)
{
    double soft[CET_ROWS], sum = 0, labelled = 0;
    cet_soft(logits, soft);
    for (int i = 0; i < CET_ROWS; i++) {
        if (cet_labels[i]) sum -= weights[i] * log(soft[i]);
        labelled += cet_labels[i];
    }
    return sum / labelled;
}

typedef struct cet_scene {
    float f[CET_ROWS], g[CET_ROWS], df[CET_ROWS], dg[CET_ROWS];
    sonde_array logits, selection, labels, offsets, to_f, to_g;
    sonde_input inputs[4], gradients[2];
} cet_scene;

static void cet_set(cet_scene *s, uint64_t seed)
{
    for (int i = 0; i < CET_ROWS; i++) s->f[i] = 2 * test_normal(&seed), s->g[i] = 2 * test_normal(&seed);
    s->logits = sonde_f32(s->f, CET_ROWS, 1);
    s->selection = sonde_f32(s->g, CET_ROWS, 1);
    s->labels = sonde_u8(cet_labels, CET_ROWS, 1);
    s->offsets = sonde_i64(cet_offsets, (int64_t)COUNT(cet_offsets), 1);
    s->to_f = sonde_f32(s->df, CET_ROWS, 1);
    s->to_g = sonde_f32(s->dg, CET_ROWS, 1);
    const sonde_input inputs[] = {{"logits", &s->logits}, {"selection_logits", &s->selection},
                                  {"labels", &s->labels}, {"group_offsets", &s->offsets}};
    memcpy(s->inputs, inputs, sizeof inputs);
    s->gradients[0] = (sonde_input){"logits", &s->to_f};
    s->gradients[1] = (sonde_input){"selection_logits", &s->to_g};
}

/* One side: the gradient against differences of the loss with frozen weights. */
static void cet_check_side(const double *logits, const double *weights, const float *gradient)
{
    double moved[CET_ROWS];
    for (int i = 0; i < CET_ROWS; i++) {
        memcpy(moved, logits, sizeof moved);
        moved[i] = logits[i] + 1e-5;
        double up = cet_reference(moved, weights);
        moved[i] = logits[i] - 1e-5;
        assert_float_equal(gradient[i], (up - cet_reference(moved, weights)) / 2e-5, 1e-6);
    }
}

static void cet_check(const char *spec, double clip, bool normalise)
{
    cet_scene s;
    cet_set(&s, 3);
    double f[CET_ROWS], g[CET_ROWS], w[CET_ROWS], v[CET_ROWS], loss;
    for (int i = 0; i < CET_ROWS; i++) f[i] = s.f[i], g[i] = s.g[i];
    cet_weights(g, clip, normalise, w);
    cet_weights(f, clip, normalise, v);
    sonde_row_sampler *sampler = make(spec);
    sonde_rows rows = draw_for(sampler, s.inputs, 4, 0);
    const float *selection = output(sampler, "selection_weights");
    assert_int_equal(rows.count, CET_ROWS);
    for (int64_t i = 0, group = 0; i < CET_ROWS; i++) {
        while (i >= cet_offsets[group + 1]) group++;
        assert_int_equal(rows.ids[i], i);
        assert_int_equal(rows.groups[i], group);
        assert_float_equal(rows.weights[i], w[i], 1e-5 * (1 + w[i]));
        assert_float_equal(selection[i], v[i], 1e-5 * (1 + v[i]));
    }
    OK(LOSS(sampler, s.inputs, 4, s.gradients, 2, &loss));
    assert_float_equal(loss, cet_reference(f, w) + cet_reference(g, v), 1e-6 * loss);
    cet_check_side(f, w, s.df);
    cet_check_side(g, v, s.dg);
    sonde_row_sampler_free(sampler);
}

static void cet_weights_loss_and_gradients(void **state)
{
    (void)state;
    cet_check("cet", 0.1, true);
    cet_check("cet(clip=0.3, normalise=no)", 0.3, false);
}

/* With constant g and groups of one size, the loss of f is the plain softmax loss. */
static void cet_constant_selection_is_plain_softmax(void **state)
{
    (void)state;
    enum { SIZE = 6, GROUPS = 4, ROWS = SIZE * GROUPS };
    uint8_t labels[ROWS] = {0};
    int64_t offsets[GROUPS + 1];
    float f[ROWS], g[ROWS], df[ROWS];
    normals(f, ROWS, 1, 8);
    for (int i = 0; i <= GROUPS; i++) offsets[i] = SIZE * i;
    for (int i = 0; i < ROWS; i++) {
        g[i] = 0.7f;
        labels[i] = i % SIZE == (i / SIZE) % SIZE;
    }
    sonde_array la = sonde_u8(labels, ROWS, 1), fa = sonde_f32(f, ROWS, 1), ga = sonde_f32(g, ROWS, 1);
    sonde_array oa = sonde_i64(offsets, GROUPS + 1, 1), da = sonde_f32(df, ROWS, 1);
    sonde_input inputs[] = {
        {"logits", &fa}, {"selection_logits", &ga}, {"labels", &la}, {"group_offsets", &oa}};
    sonde_input gradient = {"logits", &da};
    sonde_row_sampler *sampler = make("cet(clip=0.05)");
    sonde_rows rows = draw_for(sampler, inputs, 4, 0);
    double loss;
    OK(LOSS(sampler, inputs, 4, &gradient, 1, &loss));
    for (int i = 0; i < ROWS; i++) {
        double sum = 0;
        for (int j = i / SIZE * SIZE; j < i / SIZE * SIZE + SIZE; j++) sum += exp(f[j]);
        assert_float_equal(rows.weights[i], labels[i], 1e-6);
        assert_float_equal(df[i], (exp(f[i]) / sum - labels[i]) / GROUPS, 1e-6);
    }
    sonde_row_sampler_free(sampler);
}

static void cet_refuses(void **state)
{
    (void)state;
    sonde_row_sampler *sampler = NULL;
    sonde_rows rows = SONDE_ROWS_INIT;
    REFUSED(sonde_row_sampler_create("cet(clip=0)", 0, NULL, &sampler), "clip");
    sampler = make("cet");
    cet_scene s;
    double loss = 7;
    cet_set(&s, 5);
    REFUSED(sonde_row_sampler_draw(sampler, 3, &rows), "draw_for");
    int64_t offsets[] = {0, 1, 5, 24}; /* rows 1..5 have no label */
    s.offsets = sonde_i64(offsets, 4, 1);
    REFUSED(DRAW_FOR(sampler, s.inputs, 4, 0, &rows), "no labelled row");
    offsets[3] = 23;
    REFUSED(DRAW_FOR(sampler, s.inputs, 4, 0, &rows), "end with the 24 rows");
    cet_set(&s, 5);
    s.f[3] = NAN;
    s.df[0] = 9;
    REFUSED(LOSS(sampler, s.inputs, 4, s.gradients, 2, &loss), "logits");
    assert_true(loss == 7 && s.df[0] == 9);
    REFUSED(DRAW_FOR(sampler, s.inputs, 2, 0, &rows), "labels");
    s.labels.rows = 23;
    s.f[3] = 0;
    REFUSED(DRAW_FOR(sampler, s.inputs, 4, 0, &rows), "expected 24");
    sonde_row_sampler_free(sampler);
}

/* ---- NBPO ---------------------------------------------------------------------------------------------- */

typedef struct nbpo_answer {
    double loss, weight;
    float dx, dy;
} nbpo_answer;

/* One row through the library. */
static nbpo_answer nbpo_row(const char *spec, float x, float y, uint8_t label)
{
    nbpo_answer answer = {0};
    sonde_array xs = sonde_f32(&x, 1, 1), ys = sonde_f32(&y, 1, 1), labels = sonde_u8(&label, 1, 1);
    sonde_array dx = sonde_f32(&answer.dx, 1, 1), dy = sonde_f32(&answer.dy, 1, 1);
    sonde_input inputs[] = {{"logits", &xs}, {"flip_logits", &ys}, {"labels", &labels}};
    sonde_input gradients[] = {{"logits", &dx}, {"flip_logits", &dy}};
    sonde_row_sampler *sampler = make(spec);
    OK(LOSS(sampler, inputs, 3, gradients, 2, &answer.loss));
    answer.weight = draw_for(sampler, inputs, 3, 0).weights[0];
    sonde_row_sampler_free(sampler);
    return answer;
}

static double nbpo_probability(double x, double y, int label)
{
    double seen = sigmoid(x) * (1 - sigmoid(y));
    return label ? seen : 1 - seen;
}

/* The gradient goes down where the card's directions go up: compare with differences of -log P, or of -P. */
static void nbpo_gradients_are_derivatives(void **state)
{
    (void)state;
    uint64_t seed = 4;
    for (int trial = 0; trial < 60; trial++) {
        float x = 2 * test_normal(&seed), y = 2 * test_normal(&seed);
        int label = trial % 2;
        double h = 1e-5, p = nbpo_probability(x, y, label);
        double px = (nbpo_probability(x + h, y, label) - nbpo_probability(x - h, y, label)) / (2 * h);
        double py = (nbpo_probability(x, y + h, label) - nbpo_probability(x, y - h, label)) / (2 * h);
        nbpo_answer exact = nbpo_row("nbpo", x, y, (uint8_t)label);
        nbpo_answer likelihood = nbpo_row("nbpo(form=likelihood)", x, y, (uint8_t)label);
        assert_float_equal(exact.loss, -log(p), 1e-6);
        assert_float_equal(exact.dx, -px / p, 1e-5);
        assert_float_equal(exact.dy, -py / p, 1e-5);
        assert_float_equal(likelihood.loss, -p, 1e-6);
        assert_float_equal(likelihood.dx, -px, 1e-6);
        assert_float_equal(likelihood.dy, -py, 1e-6);
        double pull = label - sigmoid(x); /* of the plain loss, upwards */
        assert_float_equal(exact.weight * pull, px / p, 1e-5);
        assert_float_equal(likelihood.weight * pull, px, 1e-5);
    }
}

static void nbpo_surrogate_is_the_authors_rule(void **state)
{
    (void)state;
    uint64_t seed = 9;
    for (int trial = 0; trial < 40; trial++) {
        float x = 2 * test_normal(&seed), y = 2 * test_normal(&seed);
        double r = sigmoid(x), gamma = sigmoid(y);
        nbpo_answer one = nbpo_row("nbpo(form=surrogate)", x, y, 1),
                    zero = nbpo_row("nbpo(form=surrogate)", x, y, 0);
        assert_float_equal(one.dx, -(1 - gamma) * (1 - r), 1e-6);
        assert_float_equal(one.dy, gamma * r, 1e-6);
        assert_float_equal(zero.dx, r - gamma * (1 - r), 1e-6);
        assert_float_equal(zero.dy, -(1 - gamma) * r, 1e-6);
        assert_float_equal(zero.weight * -r, gamma * (1 - r) - r, 1e-5);
        assert_float_equal(zero.loss, -log(nbpo_probability(x, y, 0)), 1e-6);
    }
}

static void nbpo_without_flips_is_the_logistic_loss(void **state)
{
    (void)state;
    for (float x = -6; x <= 6; x += 1.5f)
        for (int label = 0; label < 2; label++) {
            nbpo_answer answer = nbpo_row("nbpo", x, -60, (uint8_t)label);
            assert_float_equal(answer.loss, log1p(exp(label ? -x : x)), 1e-6);
            assert_float_equal(answer.dx, sigmoid(x) - label, 1e-6);
            assert_float_equal(answer.dy, 0, 1e-12);
            assert_float_equal(answer.weight, 1, 1e-6);
        }
}

/* An unlabelled row that looks like a positive is let go; the plain loss would pull with all its force. */
static void nbpo_releases_likely_false_negatives(void **state)
{
    (void)state;
    double last = 1;
    for (float x = 0; x <= 24; x += 3) {
        nbpo_answer answer = nbpo_row("nbpo", x, -2, 0);
        assert_true(answer.weight < last);
        last = answer.weight;
    }
    nbpo_answer sure = nbpo_row("nbpo", 20, -2, 0);
    assert_true(fabs(sure.dx) < 1e-6 && sure.weight < 1e-6);
    assert_float_equal(nbpo_row("nbpo", 20, -60, 0).dx, 1, 1e-6); /* without flips the pull is whole */
    static const char *const specs[] = {"nbpo", "nbpo(form=surrogate)", "nbpo(form=likelihood)"};
    static const float ends[] = {-3e38f, -800, -90, 90, 800, 3e38f};
    for (size_t s = 0; s < COUNT(specs); s++)
        for (size_t i = 0; i < COUNT(ends) * COUNT(ends) * 2; i++) {
            size_t j = i / 2 % COUNT(ends), k = i / 2 / COUNT(ends);
            nbpo_answer end = nbpo_row(specs[s], ends[j], ends[k], i % 2);
            assert_true(isfinite(end.loss) && isfinite(end.dx) && isfinite(end.dy) && isfinite(end.weight));
        }
}

static void nbpo_refuses(void **state)
{
    (void)state;
    sonde_row_sampler *sampler = NULL;
    REFUSED(sonde_row_sampler_create("nbpo(form=best)", 0, NULL, &sampler), "form");
    sampler = make("nbpo");
    sonde_rows rows = SONDE_ROWS_INIT;
    float x[2] = {1, NAN}, y[2] = {0, 0};
    uint8_t label[2] = {2, 0};
    sonde_array xs = sonde_f32(x, 2, 1), ys = sonde_f32(y, 2, 1), labels = sonde_u8(label, 2, 1);
    sonde_input inputs[] = {{"logits", &xs}, {"flip_logits", &ys}, {"labels", &labels}};
    REFUSED(sonde_row_sampler_draw(sampler, 1, &rows), "draw_for");
    REFUSED(DRAW_FOR(sampler, inputs, 3, 0, &rows), "draw_for: logits");
    x[1] = 0;
    REFUSED(DRAW_FOR(sampler, inputs, 3, 0, &rows), "row 0 holds 2");
    label[0] = 1;
    ys.rows = 1;
    REFUSED(DRAW_FOR(sampler, inputs, 3, 0, &rows), "flip_logits has 1 rows");
    sonde_row_sampler_free(sampler);
}

/* ---- Rel-MF -------------------------------------------------------------------------------------------- */

enum { MNAR_ROWS = 40 };

/* One row an item; theta the true chance of exposure, r of relevance. */
typedef struct mnar_world {
    float theta[MNAR_ROWS], z[MNAR_ROWS], gradient[MNAR_ROWS];
    double r[MNAR_ROWS];
    int64_t items[MNAR_ROWS];
    uint8_t labels[MNAR_ROWS];
} mnar_world;

static void mnar_set(mnar_world *world)
{
    uint64_t seed = 12;
    memset(world, 0, sizeof *world);
    for (int i = 0; i < MNAR_ROWS; i++) {
        world->theta[i] = 0.05f + 0.9f * (float)test_unit(&seed);
        world->z[i] = -2 * (float)test_unit(&seed); /* l1 > l0: then the bias is monotone in the clip */
        world->r[i] = test_unit(&seed);
        world->items[i] = MNAR_ROWS - 1 - i;
    }
}

static sonde_row_sampler *mnar_made(const mnar_world *world, double clip, const char *rest)
{
    char spec[96];
    float theta[MNAR_ROWS];
    for (int i = 0; i < MNAR_ROWS; i++) theta[world->items[i]] = world->theta[i];
    sonde_array given = sonde_f32(theta, MNAR_ROWS, 1);
    sonde_input fit = {"propensities", &given};
    snprintf(spec, sizeof spec, "mnar(clip=%g%s)", clip, rest);
    sonde_row_sampler *sampler = make(spec);
    OK(FIT(sampler, &fit, 1));
    return sampler;
}

/* The loss of the world's labels; its gradient goes into the world. */
static double mnar_loss_of(const sonde_row_sampler *sampler, mnar_world *world)
{
    double loss;
    sonde_array items = sonde_i64(world->items, MNAR_ROWS, 1), labels = sonde_u8(world->labels, MNAR_ROWS, 1);
    sonde_array z = sonde_f32(world->z, MNAR_ROWS, 1), to = sonde_f32(world->gradient, MNAR_ROWS, 1);
    sonde_input inputs[] = {{"items", &items}, {"labels", &labels}, {"logits", &z}},
                gradient = {"logits", &to};
    OK(LOSS(sampler, inputs, 3, &gradient, 1, &loss));
    return loss;
}

static double mnar_l(double z, bool squared) /* of a positive; of a negative it is l(-z) */
{
    return squared ? sigmoid(-z) * sigmoid(-z) : log1p(exp(-z));
}

/* The loss on fully known relevance. */
static double mnar_ideal(const mnar_world *w)
{
    double sum = 0;
    for (int i = 0; i < MNAR_ROWS; i++)
        sum += w->r[i] * mnar_l(w->z[i], true) + (1 - w->r[i]) * mnar_l(-w->z[i], true);
    return sum / MNAR_ROWS;
}

/* Averaged over many draws of the exposure, loss and gradient are those of known relevance. */
static void mnar_is_unbiased(void **state)
{
    (void)state;
    enum { DRAWS = 40000 };
    mnar_world world;
    mnar_set(&world);
    sonde_row_sampler *sampler = mnar_made(&world, 1e-6, "");
    double ideal = mnar_ideal(&world), sum = 0, squares = 0, early = 0;
    double pull[MNAR_ROWS] = {0}, pulls[MNAR_ROWS] = {0};
    uint64_t seed = 77;
    for (int t = 0; t < DRAWS; t++) {
        for (int i = 0; i < MNAR_ROWS; i++) world.labels[i] = test_unit(&seed) < world.theta[i] * world.r[i];
        double loss = mnar_loss_of(sampler, &world) - ideal;
        sum += loss;
        squares += loss * loss;
        if (t < DRAWS / 100) early += loss;
        for (int i = 0; i < MNAR_ROWS; i++) {
            pull[i] += world.gradient[i];
            pulls[i] += (double)world.gradient[i] * world.gradient[i];
        }
    }
    double deviation = sqrt(squares / DRAWS);
    assert_true(fabs(sum / DRAWS) < 4 * deviation / sqrt(DRAWS)); /* the error of a mean of so many */
    assert_true(fabs(early / (DRAWS / 100)) < 4 * deviation / sqrt(DRAWS / 100));
    for (int i = 0; i < MNAR_ROWS; i++) {
        double p = sigmoid(world.z[i]), up = -2 * (1 - p) * p * (1 - p), down = 2 * p * p * (1 - p);
        double mean = pull[i] / DRAWS, spread = sqrt(pulls[i] / DRAWS - mean * mean);
        double wanted = (world.r[i] * up + (1 - world.r[i]) * down) / MNAR_ROWS;
        assert_true(fabs(mean - wanted) < 4.5 * spread / sqrt(DRAWS));
    }
    sonde_row_sampler_free(sampler);
}

/* The loss is linear in the labels, so mean and variance follow from the loss of each label alone. */
static void mnar_moments(double clip, mnar_world *world, double *bias, double *variance)
{
    sonde_row_sampler *sampler = mnar_made(world, clip, "");
    memset(world->labels, 0, sizeof world->labels);
    double nothing = mnar_loss_of(sampler, world), mean = nothing;
    *variance = 0;
    for (int i = 0; i < MNAR_ROWS; i++) {
        double chance = world->theta[i] * world->r[i];
        world->labels[i] = 1;
        double step = mnar_loss_of(sampler, world) - nothing;
        world->labels[i] = 0;
        mean += chance * step;
        *variance += chance * (1 - chance) * step * step;
    }
    *bias = fabs(mean - mnar_ideal(world));
    sonde_row_sampler_free(sampler);
}

static void mnar_bias_and_variance_are_the_formulas(void **state)
{
    (void)state;
    static const double clips[] = {1e-6, 0.05, 0.1, 0.2, 0.4, 0.7, 1};
    double last_bias = -1, last_variance = 1e9;
    mnar_world world;
    mnar_set(&world);
    for (size_t c = 0; c < COUNT(clips); c++) {
        double bias, variance, lacking = 0, spread = 0;
        mnar_moments(clips[c], &world, &bias, &variance);
        for (int i = 0; i < MNAR_ROWS; i++) {
            double theta = world.theta[i], gap = mnar_l(world.z[i], true) - mnar_l(-world.z[i], true);
            if (theta < clips[c]) lacking += (theta / clips[c] - 1) * world.r[i] * gap;
            spread += world.r[i] * (1 / theta - world.r[i]) * gap * gap;
        }
        assert_float_equal(bias, fabs(lacking) / MNAR_ROWS, 1e-7);
        if (c == 0) assert_float_equal(variance, spread / (MNAR_ROWS * MNAR_ROWS), 1e-5 * variance);
        assert_true(bias >= last_bias - 1e-9 && variance <= last_variance * (1 + 1e-9));
        last_bias = bias;
        last_variance = variance;
    }
}

/* clip=1, or propensities of 1: the loss with each row's own label. */
static void mnar_without_propensity_is_plain(void **state)
{
    (void)state;
    static const char *const losses[] = {"", ", loss=log"};
    mnar_world world;
    mnar_set(&world);
    for (int trial = 0; trial < 4; trial++) {
        sonde_row_sampler *sampler = mnar_made(&world, trial < 2 ? 1 : 0.1, losses[trial % 2]);
        double plain = 0;
        for (int i = 0; i < MNAR_ROWS; i++) {
            world.labels[i] = i % 3 == 0;
            plain += mnar_l(world.labels[i] ? world.z[i] : -world.z[i], trial % 2 == 0) / MNAR_ROWS;
        }
        assert_float_equal(mnar_loss_of(sampler, &world), plain, 1e-6);
        sonde_row_sampler_free(sampler);
        for (int i = 0; trial == 1 && i < MNAR_ROWS; i++) world.theta[i] = 1;
    }
}

static void mnar_gradients_are_differences(void **state)
{
    (void)state;
    static const char *const losses[] = {"", ", loss=log"};
    mnar_world world;
    mnar_set(&world);
    for (int trial = 0; trial < 2; trial++) {
        float slopes[MNAR_ROWS];
        sonde_row_sampler *sampler = mnar_made(&world, 0.1, losses[trial]);
        for (int i = 0; i < MNAR_ROWS; i++) {
            world.labels[i] = i % 2 == 0;
            world.z[i] = (float)(i - 20) / 5;
        }
        mnar_loss_of(sampler, &world);
        memcpy(slopes, world.gradient, sizeof slopes);
        for (int i = 0; i < MNAR_ROWS; i++) {
            float z = world.z[i];
            world.z[i] = z + 0x1p-8f;
            double up = mnar_loss_of(sampler, &world);
            world.z[i] = z - 0x1p-8f;
            assert_float_equal(slopes[i], (up - mnar_loss_of(sampler, &world)) * 0x1p7, 1e-5);
            world.z[i] = z;
        }
        sonde_row_sampler_free(sampler);
    }
}

static void mnar_propensities_come_from_counts(void **state)
{
    (void)state;
    int64_t counts[] = {100, 25, 0, 1, 64}, items[] = {4, 0, 2, 3, 1, 1}, ids[] = {9, 8, 7, 6, 5, 4};
    uint8_t labels[] = {1, 1, 1, 0, 1, 0};
    const double theta[] = {0.8, 1, 0.15, 0.15, 0.5, 0.5};
    sonde_array count = sonde_i64(counts, 5, 1), item = sonde_i64(items, 6, 1), id = sonde_i64(ids, 6, 1);
    sonde_array label = sonde_u8(labels, 6, 1);
    sonde_input fit = {"counts", &count}, inputs[] = {{"items", &item}, {"labels", &label}, {"ids", &id}};
    sonde_row_sampler *sampler = make("mnar(clip=0.15)");
    OK(FIT(sampler, &fit, 1));
    sonde_rows rows = draw_for(sampler, inputs, 3, 0);
    const float *chance = output(sampler, "propensities"), *opposite = output(sampler, "opposite_weights");
    assert_int_equal(rows.count, 6);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(rows.ids[i], ids[i]);
        assert_float_equal(chance[i], theta[i], 1e-6);
        assert_float_equal(rows.weights[i], labels[i] ? 1 / theta[i] : 1, 1e-5);
        assert_float_equal(opposite[i], labels[i] ? 1 - 1 / theta[i] : 0, 1e-5);
    }
    assert_int_equal(draw_for(sampler, inputs, 3, 4).count, 4);
    assert_int_equal(draw_for(sampler, inputs, 3, 400).count, 6);
    sonde_row_sampler_free(sampler);
}

/* Two shards joined weigh as one fit on both: the largest count is that of all items. */
static void mnar_merges(void **state)
{
    (void)state;
    int64_t counts[] = {9, 4, 16, 36, 1}, items[] = {0, 1, 2, 3, 4};
    uint8_t labels[] = {1, 1, 1, 1, 1};
    sonde_array all = sonde_i64(counts, 5, 1), first = sonde_i64(counts, 2, 1),
                rest = sonde_i64(counts + 2, 3, 1);
    sonde_array item = sonde_i64(items, 5, 1), label = sonde_u8(labels, 5, 1);
    sonde_input inputs[] = {{"items", &item}, {"labels", &label}};
    float theta[] = {0.5f, 1};
    sonde_array chances = sonde_f32(theta, 2, 1);
    const sonde_input fits[] = {
        {"counts", &all}, {"counts", &first}, {"counts", &rest}, {"propensities", &chances}};
    sonde_row_sampler *made[4];
    for (int i = 0; i < 4; i++) OK(FIT(made[i] = make("mnar"), &fits[i], 1));
    FAILS(sonde_row_sampler_merge(made[1], made[3]), SONDE_INCOMPATIBLE, "propensities");
    OK(sonde_row_sampler_merge(made[1], made[2]));
    sonde_rows one = draw_for(made[0], inputs, 2, 0), two = draw_for(made[1], inputs, 2, 0);
    assert_memory_equal(one.weights, two.weights, 5 * sizeof *one.weights);
    for (int i = 0; i < 4; i++) sonde_row_sampler_free(made[i]);
}

static void mnar_refuses(void **state)
{
    (void)state;
    sonde_row_sampler *sampler = NULL;
    sonde_rows rows = SONDE_ROWS_INIT;
    REFUSED(sonde_row_sampler_create("mnar(clip=0)", 0, NULL, &sampler), "clip");
    sampler = make("mnar");
    float theta[] = {0.5f, 0}, z[] = {0, NAN};
    int64_t counts[] = {3, -1}, items[] = {0, 2};
    uint8_t label[] = {0, 1};
    double loss;
    sonde_array given = sonde_f32(theta, 2, 1), count = sonde_i64(counts, 2, 1);
    sonde_array item = sonde_i64(items, 2, 1), labels = sonde_u8(label, 2, 1), logits = sonde_f32(z, 2, 1);
    sonde_input chances = {"propensities", &given}, counted = {"counts", &count};
    sonde_input both[] = {chances, counted},
                inputs[] = {{"items", &item}, {"labels", &labels}, {"logits", &logits}};
    FAILS(DRAW_FOR(sampler, inputs, 2, 0, &rows), SONDE_STATE, "not fitted");
    FAILS(LOSS(sampler, inputs, 3, NULL, 0, &loss), SONDE_STATE, "not fitted");
    REFUSED(FIT(sampler, &chances, 1), "propensities: row 1 holds 0");
    theta[1] = 1.5f;
    REFUSED(FIT(sampler, &chances, 1), "row 1 holds 1.5");
    REFUSED(FIT(sampler, &counted, 1), "row 1 holds -1");
    REFUSED(FIT(sampler, both, 2), "either counts or propensities");
    REFUSED(FIT(sampler, NULL, 0), "either counts or propensities");
    counts[1] = 0;
    OK(FIT(sampler, &counted, 1));
    REFUSED(sonde_row_sampler_draw(sampler, 1, &rows), "draw_for");
    REFUSED(DRAW_FOR(sampler, inputs, 2, 0, &rows), "row 1 holds 2");
    items[1] = 1;
    REFUSED(LOSS(sampler, inputs, 3, NULL, 0, &loss), "logits");
    sonde_row_sampler_free(sampler);
}

/* ---- LEMON --------------------------------------------------------------------------------------------- */

enum { ENTITIES = 60, RELATIONS = 3 };

/* A dense graph: about 40 % of all triples are known. */
typedef struct lemon_graph {
    bool known[ENTITIES][RELATIONS][ENTITIES];
    int64_t triples[ENTITIES * RELATIONS * ENTITIES][3], count, cluster[ENTITIES];
    sonde_array assignment, known_triples;
    sonde_input fit[2];
} lemon_graph;

static lemon_graph *lemon_made(double share, int clusters)
{
    static lemon_graph made, *graph = &made;
    memset(graph, 0, sizeof *graph);
    uint64_t seed = 21;
    for (int64_t h = 0; h < ENTITIES; h++) graph->cluster[h] = h * 7 % clusters;
    for (int64_t h = 0; h < ENTITIES; h++)
        for (int64_t r = 0; r < RELATIONS; r++)
            for (int64_t t = 0; t < ENTITIES; t++) {
                if (test_unit(&seed) >= share) continue;
                graph->known[h][r][t] = true;
                memcpy(graph->triples[graph->count++], (int64_t[]){h, r, t}, 3 * sizeof(int64_t));
            }
    graph->assignment = sonde_i64(graph->cluster, ENTITIES, 1);
    graph->known_triples = sonde_i64(graph->triples[0], graph->count, 3);
    graph->fit[0] = (sonde_input){"assignment", &graph->assignment};
    graph->fit[1] = (sonde_input){"triples", &graph->known_triples};
    return graph;
}

static sonde_row_sampler *lemon_fitted(const char *spec, const lemon_graph *graph)
{
    sonde_row_sampler *sampler = make(spec);
    OK(FIT(sampler, graph->fit, 2));
    return sampler;
}

/* The side that was replaced; the rest of the triple is as it was. */
static int lemon_side(const int64_t *from, const int64_t *to)
{
    assert_int_equal(from[1], to[1]);
    assert_int_equal((from[0] != to[0]) + (from[2] != to[2]), 1);
    return from[0] != to[0] ? 0 : 2;
}

/* A plain draw goes through the fitted triples; no corruption is known, and each stays in its cluster. */
static void lemon_draws_unknown_triples_of_the_same_cluster(void **state)
{
    (void)state;
    lemon_graph *graph = lemon_made(0.4, 6);
    sonde_row_sampler *sampler = lemon_fitted("lemon(batch=5000)", graph);
    int64_t sides[3] = {0}, seen = 0;
    for (int turn = 0; turn < 4; turn++) {
        sonde_rows rows = SONDE_ROWS_INIT;
        OK(sonde_row_sampler_draw(sampler, 0, &rows));
        assert_int_equal(rows.count, 5000);
        assert_int_equal(rows.last, 0);
        const int64_t *triples = output(sampler, "triples");
        for (int64_t i = 0; i < rows.count; i++, seen++) {
            const int64_t *from = graph->triples[seen % graph->count], *to = triples + 3 * i;
            int side = lemon_side(from, to);
            assert_int_equal(rows.groups[i], seen % graph->count);
            assert_int_equal(rows.ids[i], to[side]);
            assert_false(graph->known[to[0]][to[1]][to[2]]);
            assert_int_equal(graph->cluster[from[side]], graph->cluster[to[side]]);
            sides[side]++;
        }
    }
    sides[1] = sides[2];
    assert_uniform(sides, 2);
    sonde_row_sampler_free(sampler);
}

static bool lemon_fits(const lemon_graph *graph, const int64_t *triple, int side, int64_t entity)
{
    int64_t other[] = {triple[0], triple[1], triple[2]};
    other[side] = entity;
    return entity != triple[side] && !graph->known[other[0]][other[1]][other[2]];
}

/* Corruptions of one triple (row < 0: an unknown one): entities that would do are equally frequent. */
static void lemon_check_spread(const char *spec, const lemon_graph *graph, int64_t row, bool same_cluster)
{
    enum { DRAWS = 30000 };
    int64_t triple[3];
    memcpy(triple, graph->triples[llabs(row)], sizeof triple);
    while (row < 0 && graph->known[triple[0]][triple[1]][triple[2]]) triple[2] = (triple[2] + 1) % ENTITIES;
    sonde_array one = sonde_i64(triple, 1, 3);
    sonde_input input = {"triples", &one};
    sonde_row_sampler *sampler = lemon_fitted(spec, graph);
    sonde_rows rows = draw_for(sampler, &input, 1, DRAWS);
    const int64_t *triples = output(sampler, "triples");
    int64_t counts[3][ENTITIES] = {{0}};
    assert_int_equal(rows.count, DRAWS);
    for (int64_t i = 0; i < DRAWS; i++) counts[lemon_side(triple, triples + 3 * i)][rows.ids[i]]++;
    for (int side = 0; side < 3; side += 2) {
        int64_t cells[ENTITIES], n = 0;
        for (int64_t e = 0; e < ENTITIES; e++) {
            bool fits = lemon_fits(graph, triple, side, e) &&
                        (!same_cluster || graph->cluster[e] == graph->cluster[triple[side]]);
            if (fits) cells[n++] = counts[side][e];
            else assert_int_equal(counts[side][e], 0);
        }
        assert_true(n >= 2);
        assert_uniform(cells, n);
    }
    sonde_row_sampler_free(sampler);
}

static void lemon_candidates_are_equally_likely(void **state)
{
    (void)state;
    const lemon_graph *graph = lemon_made(0.4, 6);
    lemon_check_spread("lemon", graph, 5, true);
    lemon_check_spread("lemon(mix=1)", graph, 5, false);
    lemon_check_spread("lemon", graph, -5, true); /* an unknown triple is not drawn for itself */
    graph = lemon_made(0.9, 1);
    lemon_check_spread("lemon(seed=5)", graph, 5, true); /* so many are known that counting decides */
}

static void lemon_mix_keeps_a_share_of_any_entity(void **state)
{
    (void)state;
    enum { DRAWS = 40000 };
    lemon_graph *graph = lemon_made(0.01, 6);
    sonde_row_sampler *sampler = lemon_fitted("lemon(mix=0.3)", graph);
    sonde_rows rows = SONDE_ROWS_INIT;
    double expected = 0, same = 0;
    OK(sonde_row_sampler_draw(sampler, DRAWS, &rows));
    const int64_t *triples = output(sampler, "triples");
    for (int64_t i = 0; i < DRAWS; i++) {
        const int64_t *from = graph->triples[rows.groups[i]];
        int side = lemon_side(from, triples + 3 * i);
        same += graph->cluster[from[side]] == graph->cluster[triples[3 * i + side]];
        int64_t near = 0, fit = 0;
        for (int64_t e = 0; e < ENTITIES; e++) {
            if (!lemon_fits(graph, from, side, e)) continue;
            near += graph->cluster[e] == graph->cluster[from[side]];
            fit++;
        }
        expected += 0.7 + 0.3 * (double)near / (double)fit;
    }
    assert_true(fabs(same - expected) < 4.5 * sqrt(expected * (1 - expected / DRAWS)));
    sonde_row_sampler_free(sampler);
}

/* Entity 0 is alone in its cluster, so any other replaces it; where all is known, the other side is; then
 * nothing. */
static void lemon_falls_back(void **state)
{
    (void)state;
    enum { DRAWS = 6000 };
    int64_t cluster[] = {0, 1, 1, 1, 1, 1}, counts[6] = {0}, left[4],
            triples[4][3] = {{0, 0, 0}, {0, 0, 1}, {1, 0, 0}};
    sonde_array assignment = sonde_i64(cluster, 6, 1), known = sonde_i64(triples[0], 3, 3),
                one = sonde_i64(triples[0], 1, 3);
    sonde_input fit[] = {{"assignment", &assignment}, {"triples", &known}}, ask = {"triples", &one};
    sonde_row_sampler *sampler = make("lemon");
    OK(FIT(sampler, fit, 2));
    sonde_rows rows = draw_for(sampler, &ask, 1, DRAWS);
    for (int64_t i = 0; i < DRAWS; i++) counts[rows.ids[i]]++;
    assert_int_equal(counts[0] + counts[1], 0);
    memcpy(left, counts + 2, sizeof left);
    assert_uniform(left, 4);
    /* Every head is known before (relation 0, tail 0), and behind (head 0, relation 0) every tail but 3. */
    int64_t full[10][3], count = 0;
    for (int64_t e = 0; e < 6; e++) memcpy(full[count++], (int64_t[]){e, 0, 0}, sizeof full[0]);
    for (int64_t e = 1; e < 6; e++)
        if (e != 3) memcpy(full[count++], (int64_t[]){0, 0, e}, sizeof full[0]);
    known = sonde_i64(full[0], count, 3);
    OK(FIT(sampler, fit, 2));
    rows = draw_for(sampler, &ask, 1, 200);
    for (int64_t i = 0; i < 200; i++) assert_int_equal(rows.ids[i], 3);
    assignment.rows = 1;
    known = sonde_i64(triples[0], 1, 3);
    OK(FIT(sampler, fit, 2)); /* one entity, one triple */
    rows = draw_for(sampler, &ask, 1, 20);
    const int64_t *out = output(sampler, "triples");
    for (int64_t i = 0; i < 20; i++)
        assert_true(rows.ids[i] == -1 && out[3 * i] == -1 && out[3 * i + 2] == -1);
    sonde_row_sampler_free(sampler);
}

/* Well separated clouds are found again, by either metric, on all columns or on two components. */
static void lemon_clusters_embeddings(void **state)
{
    (void)state;
    enum { N = 200, DIM = 12, CLOUDS = 4 };
    static const char *const specs[] = {"lemon(clusters=4)", "lemon(clusters=4, metric=cosine)",
                                        "lemon(clusters=4, pca=3)",
                                        "lemon(clusters=4, pca=3, metric=cosine)"};
    float x[N][DIM];
    int64_t triples[N][3];
    uint64_t seed = 3;
    for (int64_t i = 0; i < N; i++) {
        for (int64_t j = 0; j < DIM; j++) x[i][j] = 0.2f * test_normal(&seed) + (i % CLOUDS == j ? 10.0f : 0);
        memcpy(triples[i], (int64_t[]){i, 4, (i * 7 + 1) % N}, sizeof triples[i]);
    }
    sonde_array embeddings = sonde_f32(x[0], N, DIM), known = sonde_i64(triples[0], N, 3);
    sonde_input fit[] = {{"embeddings", &embeddings}, {"triples", &known}};
    for (size_t s = 0; s < COUNT(specs); s++) {
        sonde_row_sampler *sampler = make(specs[s]);
        sonde_rows rows = SONDE_ROWS_INIT;
        OK(FIT(sampler, fit, 2));
        assert_int_equal(sonde_row_sampler_dim(sampler), DIM);
        OK(sonde_row_sampler_draw(sampler, 2 * N, &rows));
        const int64_t *drawn = output(sampler, "triples");
        for (int64_t i = 0; i < rows.count; i++) {
            int side = lemon_side(triples[i % N], drawn + 3 * i);
            assert_int_equal(drawn[3 * i + side] % CLOUDS, triples[i % N][side] % CLOUDS);
        }
        sonde_row_sampler_free(sampler);
    }
}

static void lemon_refuses(void **state)
{
    (void)state;
    lemon_graph *graph = lemon_made(0.01, 6);
    sonde_row_sampler *sampler = NULL;
    sonde_rows rows = SONDE_ROWS_INIT;
    OK(sonde_row_sampler_create("lemon(pca=4)", 3, NULL, &sampler));
    float x[ENTITIES][3] = {{0}};
    sonde_array embeddings = sonde_f32(x[0], ENTITIES, 3);
    sonde_input both[] = {graph->fit[0], graph->fit[1], {"embeddings", &embeddings}};
    FAILS(sonde_row_sampler_draw(sampler, 1, &rows), SONDE_STATE, "not fitted");
    REFUSED(FIT(sampler, both, 3), "either embeddings or assignment");
    REFUSED(FIT(sampler, both + 1, 1), "either embeddings or assignment");
    REFUSED(FIT(sampler, both, 1), "triples");
    REFUSED(FIT(sampler, both + 1, 2), "pca=4 is more");
    embeddings.cols = 2;
    REFUSED(FIT(sampler, both + 1, 2), "2 columns, the sampler was made for 3");
    x[7][1] = NAN;
    sonde_row_sampler *other = make("lemon");
    REFUSED(FIT(other, both + 1, 2), "embeddings");
    sonde_row_sampler_free(other);
    graph->triples[3][2] = ENTITIES;
    REFUSED(FIT(sampler, graph->fit, 2), "row 3 holds the entity 60");
    graph->triples[3][2] = 1;
    graph->triples[3][1] = -1;
    REFUSED(FIT(sampler, graph->fit, 2), "row 3 holds the relation -1");
    graph->triples[3][1] = 1;
    graph->cluster[2] = ENTITIES;
    REFUSED(FIT(sampler, graph->fit, 2), "assignment: row 2 holds 60");
    graph->cluster[2] = 0;
    OK(FIT(sampler, graph->fit, 2));
    int64_t unknown[] = {0, 5, -1};
    sonde_array one = sonde_i64(unknown, 1, 3);
    sonde_input ask = {"triples", &one};
    REFUSED(DRAW_FOR(sampler, &ask, 1, 1, &rows), "row 0 holds the entity -1");
    sonde_row_sampler_free(sampler);
}

/* ---- SRA-CL -------------------------------------------------------------------------------------------- */

enum { USERS = 120, WIDE = 10, NEAR = 6, NET = 5 };

typedef struct sracl_scene {
    float x[USERS * WIDE], w[NET * WIDE], a[2 * NET];
    sonde_array embeddings, projection, attention;
    sonde_input fit[3];
} sracl_scene;

static void sracl_set(sracl_scene *s)
{
    normals(s->x, USERS * WIDE, 1, 31);
    normals(s->w, NET * WIDE, 0.4, 32);
    normals(s->a, 2 * NET, 1, 33);
    s->embeddings = sonde_f32(s->x, USERS, WIDE);
    s->projection = sonde_f32(s->w, NET, WIDE);
    s->attention = sonde_f32(s->a, 2 * NET, 1);
    s->fit[0] = (sonde_input){"embeddings", &s->embeddings};
    s->fit[1] = (sonde_input){"projection", &s->projection};
    s->fit[2] = (sonde_input){"attention", &s->attention};
}

/* The scene, and a sampler that is fitted on it. */
static sonde_row_sampler *sracl_start(sracl_scene *s, const char *spec)
{
    sracl_set(s);
    sonde_row_sampler *sampler = make(spec);
    OK(FIT(sampler, s->fit, 3));
    return sampler;
}

static double sracl_cosine(const float *a, const float *b)
{
    double ab = 0, aa = 0, bb = 0;
    for (int j = 0; j < WIDE; j++) {
        ab += (double)a[j] * b[j];
        aa += (double)a[j] * a[j];
        bb += (double)b[j] * b[j];
    }
    return ab / sqrt(aa * bb);
}

/* The nearest others of a user, and their attention, the long way. */
static void sracl_reference(const sracl_scene *s, int64_t user, int64_t *near, double *attention)
{
    double sum = 0;
    bool taken[USERS] = {false};
    taken[user] = true;
    for (int k = 0; k < NEAR; k++) {
        near[k] = -1;
        for (int64_t i = 0; i < USERS; i++)
            if (!taken[i] && (near[k] < 0 || sracl_cosine(s->x + user * WIDE, s->x + i * WIDE) >
                                                 sracl_cosine(s->x + user * WIDE, s->x + near[k] * WIDE)))
                near[k] = i;
        taken[near[k]] = true;
        double score = 0;
        for (int h = 0; h < NET; h++)
            for (int j = 0; j < WIDE; j++)
                score += (double)s->w[h * WIDE + j] *
                         (s->a[h] * s->x[user * WIDE + j] + s->a[NET + h] * s->x[near[k] * WIDE + j]);
        attention[k] = exp(score < 0 ? 0.2 * score : score);
        sum += attention[k];
    }
    for (int k = 0; k < NEAR; k++) attention[k] /= sum;
}

static void sracl_attends_to_the_nearest(void **state)
{
    (void)state;
    sracl_scene s;
    sonde_row_sampler *sampler = sracl_start(&s, "sracl(k=6, width=5, dropout=0)");
    int64_t users[USERS], near[NEAR];
    for (int64_t i = 0; i < USERS; i++) users[i] = USERS - 1 - i;
    sonde_array asked = sonde_i64(users, USERS, 1);
    sonde_input ask = {"queries", &asked};
    sonde_rows rows = draw_for(sampler, &ask, 1, 0);
    assert_int_equal(rows.count, USERS * NEAR);
    for (int64_t q = 0; q < USERS; q++) {
        double attention[NEAR], sum = 0;
        sracl_reference(&s, users[q], near, attention);
        for (int64_t j = 0; j < NEAR; j++) {
            assert_int_equal(rows.ids[q * NEAR + j], near[j]);
            assert_int_equal(rows.groups[q * NEAR + j], q);
            assert_float_equal(rows.weights[q * NEAR + j], attention[j], 1e-5);
            sum += rows.weights[q * NEAR + j];
        }
        assert_float_equal(sum, 1, 1e-6);
    }
    assert_int_equal(draw_for(sampler, &ask, 1, 2).count, 2 * USERS);
    assert_int_equal(draw_for(sampler, &ask, 1, 50).count, NEAR * USERS); /* there are no more than k */
    sonde_row_sampler_free(sampler);
}

/* Each weight is 0 half of the time, else doubled: on average it is the attention. */
static void sracl_dropout_keeps_the_mean(void **state)
{
    (void)state;
    enum { DRAWS = 20000 };
    sracl_scene s;
    sonde_row_sampler *sampler = sracl_start(&s, "sracl(k=6, width=5)");
    int64_t users[DRAWS], near[NEAR], zeros = 0;
    double attention[NEAR], mean[NEAR] = {0};
    for (int64_t i = 0; i < DRAWS; i++) users[i] = 17;
    sonde_array asked = sonde_i64(users, DRAWS, 1);
    sonde_input ask = {"queries", &asked};
    sonde_rows rows = draw_for(sampler, &ask, 1, 0);
    sracl_reference(&s, 17, near, attention);
    for (int64_t i = 0; i < DRAWS * NEAR; i++) {
        float weight = rows.weights[i];
        if (weight == 0) zeros++;
        else assert_float_equal(weight, 2 * attention[i % NEAR], 1e-5);
        mean[i % NEAR] += weight / DRAWS;
    }
    assert_true(fabs((double)zeros - DRAWS * NEAR / 2.0) < 4.5 * sqrt(DRAWS * NEAR / 4.0));
    for (int j = 0; j < NEAR; j++)
        assert_true(fabs(mean[j] - attention[j]) < 4.5 * attention[j] / sqrt(DRAWS));
    sonde_row_sampler_free(sampler);
}

/* A share of each sequence is replaced, every place and every neighbour equally often; padding stays. */
static void sracl_views_replace_a_share(void **state)
{
    (void)state;
    enum { VIEWS = 12000, LENGTH = 12, ITEMS = 10, CHANGED = 3 };
    sracl_scene s;
    sonde_row_sampler *sampler = sracl_start(&s, "sracl(k=6, width=5, share=0.3)");
    static int64_t items[VIEWS * LENGTH], first[VIEWS * LENGTH];
    int64_t near[NEAR], places[ITEMS] = {0}, which[NEAR] = {0};
    double attention[NEAR];
    for (int64_t i = 0; i < VIEWS * LENGTH; i++) items[i] = i % LENGTH < ITEMS ? 40 + i % LENGTH : -1;
    sonde_array sequences = sonde_i64(items, VIEWS, LENGTH);
    sonde_input ask = {"sequences", &sequences};
    sonde_rows rows = draw_for(sampler, &ask, 1, 1);
    const int64_t *views = output(sampler, "sequences");
    assert_int_equal(rows.count, VIEWS);
    assert_null(rows.groups);
    for (int64_t i = 0; i < VIEWS; i++) {
        int64_t changed = 0;
        assert_int_equal(rows.ids[i], i);
        for (int64_t j = 0; j < LENGTH; j++) {
            if (views[i * LENGTH + j] == items[i * LENGTH + j]) continue;
            assert_true(j < ITEMS);
            changed++;
            places[j]++;
            if (j != 4) continue;
            sracl_reference(&s, 44, near, attention);
            int k = 0;
            while (k < NEAR && near[k] != views[i * LENGTH + j]) k++;
            assert_true(k < NEAR);
            which[k]++;
        }
        assert_int_equal(changed, CHANGED);
    }
    assert_uniform(places, ITEMS);
    assert_uniform(which, NEAR);
    memcpy(first, views, sizeof first);
    draw_for(sampler, &ask, 1, 1);
    assert_memory_not_equal(first, output(sampler, "sequences"),
                            VIEWS * LENGTH * sizeof *first); /* a second view */
    sonde_row_sampler_free(sampler);
}

/* Rows that are all alike: each still has k neighbours, and never itself. */
static void sracl_equal_rows_have_neighbours(void **state)
{
    (void)state;
    enum { SAME = 50 };
    float x[SAME];
    int64_t users[SAME];
    for (int64_t i = 0; i < SAME; i++) users[i] = i, x[i] = 1;
    sonde_array embeddings = sonde_f32(x, SAME, 1), asked = sonde_i64(users, SAME, 1);
    sonde_input fit = {"embeddings", &embeddings}, ask = {"queries", &asked};
    sonde_row_sampler *sampler = make("sracl(k=7, dropout=0)");
    OK(FIT(sampler, &fit, 1));
    sonde_rows rows = draw_for(sampler, &ask, 1, 0);
    for (int64_t i = 0; i < SAME * 7; i++) {
        assert_true(rows.ids[i] >= 0 && rows.ids[i] < SAME && rows.ids[i] != i / 7);
        for (int64_t j = i / 7 * 7; j < i; j++) assert_int_not_equal(rows.ids[i], rows.ids[j]);
        assert_float_equal(rows.weights[i], 1 / 7.0, 1e-6);
    }
    sonde_row_sampler_free(sampler);
}

enum { PAIRS = 7, PAIR_DIM = 5 };

static double contrast_reference(const double *x, const double *y, double temperature)
{
    double loss = 0;
    for (int i = 0; i < PAIRS; i++) {
        double sum = 0, own = 0;
        for (int j = 0; j < PAIRS; j++) {
            double product = 0;
            for (int c = 0; c < PAIR_DIM; c++) product += x[i * PAIR_DIM + c] * y[j * PAIR_DIM + c];
            sum += exp(product / temperature);
            if (i == j) own = product / temperature;
        }
        loss += (log(sum) - own) / PAIRS;
    }
    return loss;
}

/* The slope along one number of either view. */
static double contrast_slope(const double *x, const double *y, double *at, double temperature)
{
    double kept = *at;
    *at = kept + 1e-5;
    double up = contrast_reference(x, y, temperature);
    *at = kept - 1e-5;
    double down = contrast_reference(x, y, temperature);
    *at = kept;
    return (up - down) / 2e-5;
}

static void sracl_loss_is_infonce(void **state)
{
    (void)state;
    static const double temperatures[] = {1, 0.3};
    static const char *const specs[] = {"sracl", "sracl(temperature=0.3)"};
    enum { SIZE = PAIRS * PAIR_DIM, STRIDE = PAIR_DIM + 2 };
    float x[SIZE], y[SIZE], dx[SIZE], dy[PAIRS * STRIDE];
    normals(x, SIZE, 1, 41);
    normals(y, SIZE, 1, 42);
    sonde_array xs = sonde_f32(x, PAIRS, PAIR_DIM), ys = sonde_f32(y, PAIRS, PAIR_DIM);
    sonde_array to_x = sonde_f32(dx, PAIRS, PAIR_DIM), to_y = sonde_f32(dy, PAIRS, PAIR_DIM);
    to_x.stride = 0;
    to_y.stride = STRIDE * sizeof(float);
    sonde_input inputs[] = {{"view_a", &xs}, {"view_b", &ys}},
                gradients[] = {{"view_a", &to_x}, {"view_b", &to_y}};
    for (size_t s = 0; s < COUNT(specs); s++) {
        double loss, xd[SIZE], yd[SIZE], t = temperatures[s];
        for (int i = 0; i < PAIRS * STRIDE; i++) dy[i] = 5;
        sonde_row_sampler *sampler = make(specs[s]);
        OK(LOSS(sampler, inputs, 2, gradients, 2, &loss));
        sonde_row_sampler_free(sampler);
        for (int i = 0; i < SIZE; i++) xd[i] = x[i], yd[i] = y[i];
        assert_float_equal(loss, contrast_reference(xd, yd, t), 1e-5);
        for (int i = 0; i < SIZE; i++) {
            float to = dy[i / PAIR_DIM * STRIDE + i % PAIR_DIM];
            assert_float_equal(dx[i], contrast_slope(xd, yd, &xd[i], t), 1e-5);
            assert_float_equal(to, contrast_slope(xd, yd, &yd[i], t), 1e-5);
        }
        for (int i = 0; i < PAIRS; i++) assert_true(dy[i * STRIDE + PAIR_DIM] == 5); /* between the rows */
    }
}

static void sracl_refuses(void **state)
{
    (void)state;
    sracl_scene s;
    sracl_set(&s);
    sonde_rows rows = SONDE_ROWS_INIT;
    sonde_row_sampler *sampler = make("sracl(k=120, width=5)");
    REFUSED(FIT(sampler, s.fit, 3), "k=120 neighbours need 121");
    s.embeddings.rows = 1;
    REFUSED(FIT(sampler, s.fit, 3), "embeddings has 1 rows");
    sonde_row_sampler_free(sampler);
    s.embeddings.rows = USERS;
    sampler = make("sracl(k=4, width=5)");
    int64_t wrong[] = {0, USERS};
    sonde_array asked = sonde_i64(wrong, 2, 1), sequence = sonde_i64(wrong, 1, 2);
    sonde_input asks[] = {{"queries", &asked}, {"sequences", &sequence}};
    FAILS(DRAW_FOR(sampler, asks, 1, 1, &rows), SONDE_STATE, "not fitted");
    REFUSED(FIT(sampler, s.fit, 2), "come together");
    s.projection.rows = 4;
    REFUSED(FIT(sampler, s.fit, 3), "projection has 4 rows, expected 5");
    s.projection.rows = NET;
    s.x[13] = INFINITY;
    REFUSED(FIT(sampler, s.fit, 3), "embeddings");
    s.x[13] = 3e38f;
    REFUSED(FIT(sampler, s.fit, 3), "attention scores of row 1, ");
    s.x[13] = 1;
    OK(FIT(sampler, s.fit, 1)); /* with a random network */
    REFUSED(sonde_row_sampler_draw(sampler, 1, &rows), "draw_for");
    REFUSED(DRAW_FOR(sampler, asks, 2, 1, &rows), "either queries or sequences");
    REFUSED(DRAW_FOR(sampler, asks, 1, 1, &rows), "row 1 holds 120");
    REFUSED(DRAW_FOR(sampler, asks + 1, 1, 1, &rows), "row 0 holds 120");
    wrong[1] = -2;
    REFUSED(DRAW_FOR(sampler, asks + 1, 1, 1, &rows), "row 0 holds -2");
    double loss;
    sonde_array fewer = s.embeddings;
    fewer.rows = 3;
    sonde_input views[] = {{"view_a", &s.embeddings}, {"view_b", &fewer}};
    REFUSED(LOSS(sampler, views, 2, NULL, 0, &loss), "view_b has 3 rows");
    fewer.rows = USERS;
    s.x[0] = 3e38f;
    REFUSED(LOSS(sampler, views, 2, NULL, 0, &loss), "too large");
    sonde_row_sampler_free(sampler);
    REFUSED(sonde_row_sampler_create("sracl(index=flat(metric=near))", 0, NULL, &sampler), "metric");
}

/* ---- what every sampler promises ----------------------------------------------------------------------- */

/* Everything that the scenes below refer to. */
enum { BATCH = 900, GROUP = 9, SCENE_ROWS = 300, SCENE_DIM = 8, SCENE_TRIPLES = 700 };
static struct {
    float f[BATCH], g[BATCH], x[SCENE_ROWS * SCENE_DIM], chances[SCENE_ROWS];
    uint8_t labels[BATCH];
    int64_t offsets[BATCH / GROUP + 1], items[BATCH], counts[SCENE_ROWS], triples[SCENE_TRIPLES * 3];
    sonde_array logits, selection, label, offset, item, count, chance, embeddings, known, sequence;
} world;

static void world_fill(void)
{
    uint64_t seed = 99;
    for (int i = 0; i < BATCH; i++) {
        world.f[i] = test_normal(&seed);
        world.g[i] = test_normal(&seed);
        world.labels[i] = i % GROUP == 2;
        world.items[i] = (int64_t)(test_u64(&seed) % SCENE_ROWS);
    }
    for (int i = 0; i <= BATCH / GROUP; i++) world.offsets[i] = i * GROUP;
    for (int i = 0; i < SCENE_ROWS * SCENE_DIM; i++) world.x[i] = test_normal(&seed);
    for (int i = 0; i < SCENE_ROWS; i++) {
        world.counts[i] = (int64_t)(test_u64(&seed) % 50);
        world.chances[i] = 1 - (float)test_unit(&seed) * 0.99f;
    }
    for (int i = 0; i < SCENE_TRIPLES * 3; i++) world.triples[i] = (int64_t)(test_u64(&seed) % SCENE_ROWS);
    world.logits = sonde_f32(world.f, BATCH, 1);
    world.selection = sonde_f32(world.g, BATCH, 1);
    world.label = sonde_u8(world.labels, BATCH, 1);
    world.offset = sonde_i64(world.offsets, BATCH / GROUP + 1, 1);
    world.item = sonde_i64(world.items, BATCH, 1);
    world.count = sonde_i64(world.counts, SCENE_ROWS, 1);
    world.chance = sonde_f32(world.chances, SCENE_ROWS, 1);
    world.embeddings = sonde_f32(world.x, SCENE_ROWS, SCENE_DIM);
    world.known = sonde_i64(world.triples, SCENE_TRIPLES, 3);
    world.sequence = sonde_i64(world.items, BATCH / GROUP, GROUP);
}

typedef struct scene {
    const char *spec;
    sonde_input fit[5], draw[5], loss[5]; /* up to the first without a name */
    const char *outputs[3];
    bool random; /* other draws follow */
} scene;

#define CET_INPUTS {"logits", &world.logits}, {"selection_logits", &world.selection}, \
                   {"labels", &world.label}, {"group_offsets", &world.offset}
#define NBPO_INPUTS {"logits", &world.logits}, {"flip_logits", &world.selection}, {"labels", &world.label}
#define LEMON_INPUTS {"embeddings", &world.embeddings}, {"triples", &world.known}
#define MNAR_INPUTS {"items", &world.item}, {"labels", &world.label}

static const scene scenes[] = {
    {.spec = "cet", .draw = {CET_INPUTS}, .loss = {CET_INPUTS}, .outputs = {"selection_weights"}},
    {.spec = "nbpo", .draw = {NBPO_INPUTS}, .loss = {NBPO_INPUTS}},
    {.spec = "mnar", .fit = {{"counts", &world.count}}, .draw = {MNAR_INPUTS},
     .loss = {MNAR_INPUTS, {"logits", &world.logits}}, .outputs = {"propensities", "opposite_weights"}},
    {.spec = "mnar(clip=0.2)", .fit = {{"propensities", &world.chance}}, .draw = {MNAR_INPUTS}},
    {.spec = "lemon(clusters=10, batch=7)", .fit = {LEMON_INPUTS},
     .draw = {{"triples", &world.known}}, .outputs = {"triples"}, .random = true},
    {.spec = "lemon(clusters=1000, mix=0.5)", .fit = {LEMON_INPUTS},
     .draw = {{"triples", &world.known}}, .outputs = {"triples"}, .random = true},
    {.spec = "sracl(k=5)", .fit = {{"embeddings", &world.embeddings}}, .draw = {{"queries", &world.item}},
     .loss = {{"view_a", &world.embeddings}, {"view_b", &world.embeddings}}, .random = true},
    {.spec = "sracl(k=3, index=flat(metric=l2))", .fit = {{"embeddings", &world.embeddings}},
     .draw = {{"sequences", &world.sequence}}, .outputs = {"sequences"}, .random = true},
};

static size_t named(const sonde_input *inputs)
{
    size_t count = 0;
    while (inputs[count].name) count++;
    return count;
}

/* FNV-1a (Fowler, Noll, Vo 1991). */
static void mix(uint64_t *hash, const void *bytes, int64_t length)
{
    for (int64_t i = 0; i < length; i++) *hash = (*hash ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3u;
}

/* Two draws, as a hash of all that they gave. */
static uint64_t two_draws(sonde_row_sampler *sampler, const scene *s)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (int turn = 0; turn < 2; turn++) {
        sonde_rows rows = draw_for(sampler, s->draw, named(s->draw), 0);
        assert_true(rows.count > 0);
        mix(&hash, rows.ids, rows.count * (int64_t)sizeof *rows.ids);
        mix(&hash, rows.weights, rows.count * (int64_t)sizeof *rows.weights);
        if (rows.groups) mix(&hash, rows.groups, rows.count * (int64_t)sizeof *rows.groups);
        for (int i = 0; s->outputs[i]; i++) {
            sonde_array column;
            OK(sonde_row_sampler_output(sampler, s->outputs[i], &column));
            mix(&hash, column.data, column.rows * sonde_row_bytes(column.dtype, column.cols));
        }
    }
    return hash;
}

static sonde_row_sampler *scene_fitted(const scene *s, sonde_runtime *runtime)
{
    sonde_row_sampler *sampler = NULL;
    OK(sonde_row_sampler_create(s->spec, 0, runtime, &sampler));
    if (named(s->fit)) OK(FIT(sampler, s->fit, named(s->fit)));
    return sampler;
}

static uint8_t *scene_saved(const sonde_row_sampler *sampler, size_t *length)
{
    OK(sonde_row_sampler_save_buffer(sampler, NULL, 0, length));
    uint8_t *bytes = test_alloc(1, *length);
    OK(sonde_row_sampler_save_buffer(sampler, bytes, *length, length));
    return bytes;
}

static void draws_go_on_from_files_and_start_again(void **state)
{
    (void)state;
    world_fill();
    for (size_t i = 0; i < COUNT(scenes); i++) {
        const scene *s = &scenes[i];
        sonde_row_sampler *sampler = scene_fitted(s, NULL), *opened = NULL;
        size_t length, again;
        uint64_t first = two_draws(sampler, s);
        uint8_t *bytes = scene_saved(sampler, &length);
        uint64_t next = two_draws(sampler, s);
        OK(sonde_row_sampler_open_buffer(bytes, length, NULL, NULL, &opened));
        uint8_t *copy = scene_saved(opened, &again);
        assert_int_equal(again, length);
        assert_memory_equal(bytes, copy, length);
        assert_true(two_draws(opened, s) == next);
        OK(sonde_row_sampler_seek(opened, 0));
        assert_true(two_draws(opened, s) == first);
        OK(sonde_row_sampler_seek(opened, 1));
        uint64_t other = two_draws(opened, s);
        assert_true((first == next) == !s->random && (first == other) == !s->random);
        sonde_row_sampler_free(sampler);
        sonde_row_sampler_free(opened);
        free(bytes);
        free(copy);
    }
}

static void threads_change_nothing(void **state)
{
    (void)state;
    static const uint32_t threads[] = {1, 2, 7};
    world_fill();
    for (size_t i = 0; i < COUNT(scenes); i++) {
        const scene *s = &scenes[i];
        uint64_t drawn[3];
        double losses[3] = {0};
        for (size_t t = 0; t < COUNT(threads); t++) {
            sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
            sonde_runtime *runtime;
            options.threads = threads[t];
            OK(sonde_runtime_create(&options, &runtime));
            sonde_row_sampler *sampler = scene_fitted(s, runtime);
            drawn[t] = two_draws(sampler, s);
            if (s->loss[0].name) OK(LOSS(sampler, s->loss, named(s->loss), NULL, 0, &losses[t]));
            assert_true(drawn[t] == drawn[0] && losses[t] == losses[0]);
            sonde_row_sampler_free(sampler);
            sonde_runtime_free(runtime);
        }
    }
}

static const scene *walked;

/* All that a sampler does, a file in memory included. */
static sonde_status walk(sonde_runtime_options *options)
{
    static uint8_t bytes[1 << 20];
    sonde_runtime *runtime = NULL;
    sonde_row_sampler *sampler = NULL, *opened = NULL;
    sonde_rows rows = SONDE_ROWS_INIT;
    size_t length;
    double loss;
    options->threads = 1;
    sonde_status status = sonde_runtime_create(options, &runtime);
    if (status == SONDE_OK) status = sonde_row_sampler_create(walked->spec, 0, runtime, &sampler);
    if (status == SONDE_OK && walked->fit[0].name)
        status = FIT(sampler, walked->fit, named(walked->fit));
    if (status == SONDE_OK)
        status = DRAW_FOR(sampler, walked->draw, named(walked->draw), 0, &rows);
    if (status == SONDE_OK && walked->loss[0].name)
        status = LOSS(sampler, walked->loss, named(walked->loss), NULL, 0, &loss);
    if (status == SONDE_OK) status = sonde_row_sampler_save_buffer(sampler, bytes, sizeof bytes, &length);
    if (status == SONDE_OK) status = sonde_row_sampler_open_buffer(bytes, length, NULL, runtime, &opened);
    sonde_row_sampler_free(sampler);
    sonde_row_sampler_free(opened);
    sonde_runtime_free(runtime);
    return status;
}

static void every_allocation_can_fail(void **state)
{
    (void)state;
    world_fill();
    for (size_t i = 0; i < COUNT(scenes); i++) {
        walked = &scenes[i];
        assert_true(failing_walk(walk) > 10);
    }
}

/* A fit that is cancelled at any of its checkpoints leaves what was fitted before. */
static void cancelled_fits_leave_the_old_state(void **state)
{
    (void)state;
    int left, cancelled = 0;
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    options.progress = cancel_later;
    options.progress_user = &left;
    options.threads = 1;
    world_fill();
    for (size_t i = 0; i < COUNT(scenes); i++) {
        const scene *s = &scenes[i];
        if (!s->fit[0].name) continue;
        sonde_runtime *runtime;
        left = 1000000;
        OK(sonde_runtime_create(&options, &runtime));
        sonde_row_sampler *sampler = scene_fitted(s, runtime);
        uint64_t before = two_draws(sampler, s);
        for (int at = 0; at < 4; at++) { /* the last time by the flag */
            left = at < 3 ? at : 1000000;
            if (at == 3) sonde_runtime_cancel(runtime);
            sonde_status status = FIT(sampler, s->fit, named(s->fit));
            assert_true(status == SONDE_CANCELLED || (at < 3 && status == SONDE_OK));
            cancelled += at < 3 && status == SONDE_CANCELLED;
            sonde_runtime_resume(runtime);
            left = 1000000;
            OK(sonde_row_sampler_seek(sampler, 0));
            assert_true(two_draws(sampler, s) == before);
        }
        sonde_row_sampler_free(sampler);
        sonde_runtime_free(runtime);
    }
    assert_true(cancelled > 0);
}

/* What an opened file may do to a draw: any status, never a crash or an id out of range (which ASan sees). */
static void open_and_draw(const uint8_t *bytes, size_t length, const scene *s, int *opened)
{
    sonde_row_sampler *sampler = NULL;
    sonde_rows rows = SONDE_ROWS_INIT;
    double loss;
    if (sonde_row_sampler_open_buffer(bytes, length, NULL, NULL, &sampler) != SONDE_OK) return;
    ++*opened;
    if (DRAW_FOR(sampler, s->draw, named(s->draw), 0, &rows) == SONDE_OK)
        for (int64_t i = 0; i < rows.count; i++) assert_true(rows.ids[i] >= -1);
    sonde_row_sampler_draw(sampler, 50, &rows);
    if (named(s->loss)) LOSS(sampler, s->loss, named(s->loss), NULL, 0, &loss);
    sonde_row_sampler_free(sampler);
}

/* Files that are cut are refused; forged ones, whose checksums are right again, are refused or harmless. */
static void damaged_files_are_refused(void **state)
{
    (void)state;
    uint64_t seed = 1;
    world_fill();
    for (size_t i = 0; i < COUNT(scenes); i++) {
        sonde_row_sampler *sampler = scene_fitted(&scenes[i], NULL), *none = NULL;
        size_t length;
        int opened = 0;
        uint8_t *bytes = scene_saved(sampler, &length), *forged = test_alloc(1, length);
        for (size_t at = 0; at < length; at += 1 + length / 100)
            if (sonde_row_sampler_open_buffer(bytes, at, NULL, NULL, &none) == SONDE_OK)
                fail_msg("cut at %zu", at);
        for (int trial = 0; trial < 600; trial++) {
            memcpy(forged, bytes, length);
            forged[64 + test_u64(&seed) % (length - 64)] = (uint8_t)test_u64(&seed);
            reseal(forged, length);
            open_and_draw(forged, length, &scenes[i], &opened);
        }
        assert_true(opened > 0);
        sonde_row_sampler_free(sampler);
        free(bytes);
        free(forged);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(cet_weights_loss_and_gradients),
    cmocka_unit_test(cet_constant_selection_is_plain_softmax),
    cmocka_unit_test(cet_refuses),
    cmocka_unit_test(nbpo_gradients_are_derivatives),
    cmocka_unit_test(nbpo_surrogate_is_the_authors_rule),
    cmocka_unit_test(nbpo_without_flips_is_the_logistic_loss),
    cmocka_unit_test(nbpo_releases_likely_false_negatives),
    cmocka_unit_test(nbpo_refuses),
    cmocka_unit_test(mnar_is_unbiased),
    cmocka_unit_test(mnar_bias_and_variance_are_the_formulas),
    cmocka_unit_test(mnar_without_propensity_is_plain),
    cmocka_unit_test(mnar_gradients_are_differences),
    cmocka_unit_test(mnar_propensities_come_from_counts),
    cmocka_unit_test(mnar_merges),
    cmocka_unit_test(mnar_refuses),
    cmocka_unit_test(lemon_draws_unknown_triples_of_the_same_cluster),
    cmocka_unit_test(lemon_candidates_are_equally_likely),
    cmocka_unit_test(lemon_mix_keeps_a_share_of_any_entity),
    cmocka_unit_test(lemon_falls_back),
    cmocka_unit_test(lemon_clusters_embeddings),
    cmocka_unit_test(lemon_refuses),
    cmocka_unit_test(sracl_attends_to_the_nearest),
    cmocka_unit_test(sracl_dropout_keeps_the_mean),
    cmocka_unit_test(sracl_views_replace_a_share),
    cmocka_unit_test(sracl_equal_rows_have_neighbours),
    cmocka_unit_test(sracl_loss_is_infonce),
    cmocka_unit_test(sracl_refuses),
    cmocka_unit_test(draws_go_on_from_files_and_start_again),
    cmocka_unit_test(threads_change_nothing),
    cmocka_unit_test(every_allocation_can_fail),
    cmocka_unit_test(cancelled_fits_leave_the_old_state),
    cmocka_unit_test(damaged_files_are_refused),
};

SONDE_TEST_MAIN(tests)
