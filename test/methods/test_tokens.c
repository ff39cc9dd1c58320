/* test_tokens.c: the laws of chains. Every filter against a plain implementation that sorts in double precision, the
 * fixed vector and the identities of the methods, and chi-square tests of what is drawn.
 *
 * timeout: 60
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "test.h"

/* ---- the reference ------------------------------------------------------------------------------------------------ */

/* Candidates of one row; l is -inf where a token is out. `doubtful` is set where a border is nearer than rounding. */
typedef struct reference {
    int64_t n;
    double *l, *p, *key;
    int64_t *order;
    bool doubtful;
} reference;

static const double *reference_key; /* of the sort */

static int by_key(const void *a, const void *b)
{
    int64_t i = *(const int64_t *)a, j = *(const int64_t *)b;
    if (reference_key[i] != reference_key[j]) return reference_key[i] < reference_key[j] ? -1 : 1;
    return i < j ? -1 : i > j;
}

static reference reference_of(const float *logits, int64_t n)
{
    reference r = {.n = n};
    r.l = test_alloc((size_t)n, sizeof *r.l);
    r.p = test_alloc((size_t)n, sizeof *r.p);
    r.key = test_alloc((size_t)n, sizeof *r.key);
    r.order = test_alloc((size_t)n, sizeof *r.order);
    for (int64_t i = 0; i < n; i++) r.l[i] = (double)logits[i];
    return r;
}

static void reference_free(reference *r)
{
    free(r->l);
    free(r->p);
    free(r->key);
    free(r->order);
}

/* Fills p; returns the entropy. */
static double reference_law(reference *r)
{
    double most = -INFINITY, sum = 0, entropy = 0;
    for (int64_t i = 0; i < r->n; i++) most = fmax(most, r->l[i]);
    for (int64_t i = 0; i < r->n; i++) sum += r->p[i] = exp(r->l[i] - most);
    for (int64_t i = 0; i < r->n; i++) {
        r->p[i] /= sum;
        if (r->p[i] > 0) entropy -= r->p[i] * log(r->p[i]);
    }
    return entropy;
}

static void reference_sort(reference *r)
{
    for (int64_t i = 0; i < r->n; i++) r->order[i] = i;
    reference_key = r->key;
    qsort(r->order, (size_t)r->n, sizeof *r->order, by_key);
}

/* The shortest prefix in order of key with the mass. */
static void reference_prefix(reference *r, double mass)
{
    double sum = 0;
    bool done = false;
    reference_sort(r);
    for (int64_t k = 0; k < r->n; k++) {
        int64_t i = r->order[k];
        if (done) r->l[i] = -INFINITY;
        sum += r->p[i];
        if (!done && fabs(sum - mass) < 1e-6) r->doubtful = true;
        if (sum >= mass) done = true;
    }
}

static void reference_cut(reference *r, double limit)
{
    for (int64_t i = 0; i < r->n; i++) {
        if (r->p[i] > 0 && fabs(log(r->p[i] / limit)) < 1e-5) r->doubtful = true;
        if (r->p[i] < limit) r->l[i] = -INFINITY;
    }
}

static double reference_deviation(const reference *r)
{
    double sum = 0, square = 0, count = 0;
    for (int64_t i = 0; i < r->n; i++) {
        if (r->l[i] == -INFINITY) continue;
        sum += r->l[i];
        count++;
    }
    for (int64_t i = 0; i < r->n; i++)
        if (r->l[i] > -INFINITY) square += (r->l[i] - sum / count) * (r->l[i] - sum / count);
    return sqrt(square / count);
}

static void reference_sigma(reference *r, double n)
{
    double deviation = reference_deviation(r), most = -INFINITY;
    for (int64_t i = 0; i < r->n; i++) most = fmax(most, r->l[i]);
    for (int64_t i = 0; i < r->n; i++) {
        if (fabs(r->l[i] - (most - n * deviation)) < 1e-6) r->doubtful = true;
        if (r->l[i] < most - n * deviation) r->l[i] = -INFINITY;
    }
}

/* Ties of distances that differ in rounding only: doubtful. */
static void reference_typical(reference *r, double mass, double entropy)
{
    for (int64_t i = 0; i < r->n; i++) r->key[i] = r->p[i] > 0 ? fabs(-log(r->p[i]) - entropy) : INFINITY;
    reference_prefix(r, mass);
    for (int64_t k = 0; k + 1 < r->n; k++) {
        int64_t i = r->order[k], j = r->order[k + 1];
        bool border = r->l[i] > -INFINITY && r->l[j] == -INFINITY;
        if (border && r->key[j] - r->key[i] < 1e-5 && r->p[i] != r->p[j]) r->doubtful = true;
    }
}

static void reference_stage(reference *r, const char *name, double value)
{
    double entropy = reference_law(r), most = 0;
    for (int64_t i = 0; i < r->n; i++) {
        most = fmax(most, r->p[i]);
        r->key[i] = -r->l[i];
    }
    if (strcmp(name, "temperature(value") == 0) {
        for (int64_t i = 0; i < r->n; i++) r->l[i] /= value;
    } else if (strcmp(name, "top_k(k") == 0) {
        reference_sort(r);
        for (int64_t k = (int64_t)value; k < r->n; k++) r->l[r->order[k]] = -INFINITY;
    } else if (strcmp(name, "top_p(mass") == 0) {
        reference_prefix(r, value);
    } else if (strcmp(name, "min_p(ratio") == 0) {
        reference_cut(r, value * most);
    } else if (strcmp(name, "typical(mass") == 0) {
        reference_typical(r, value, entropy);
    } else if (strcmp(name, "epsilon(cutoff") == 0) {
        reference_cut(r, fmin(value, most));
    } else if (strcmp(name, "eta(cutoff") == 0) {
        reference_cut(r, fmin(fmin(value, sqrt(value) * exp(-entropy)), most));
    } else if (strcmp(name, "top_n_sigma(n") == 0) {
        reference_sigma(r, value);
    } else {
        fail_msg("no reference for %s", name);
    }
}

/* ---- helpers -------------------------------------------------------------------------------------------------------- */

static sonde_token_sampler *sampler_of(const char *spec, int64_t vocabulary)
{
    sonde_token_sampler *sampler = NULL;
    OK(sonde_token_sampler_create(spec, vocabulary, NULL, &sampler));
    return sampler;
}

/* The survivors of one row: their number, for each token whether it is one, and its log-probability (else 0). */
static int64_t survivors_of(const char *spec, const float *logits, int64_t n, bool *in, float *log_probs)
{
    sonde_token_sampler *sampler = sampler_of(spec, n);
    sonde_array row = sonde_f32((void *)(uintptr_t)logits, 1, n);
    int32_t *ids = test_alloc((size_t)n, sizeof *ids);
    float *ranked = test_alloc((size_t)n, sizeof *ranked);
    int64_t count = -1;
    OK(sonde_token_sampler_filter(sampler, &row, NULL, n, ids, ranked, &count));
    assert_in_range(count, 1, n);
    memset(in, 0, (size_t)n * sizeof *in);
    if (log_probs) memset(log_probs, 0, (size_t)n * sizeof *log_probs);
    for (int64_t i = 0; i < count; i++) {
        assert_in_range(ids[i], 0, n - 1);
        assert_false(in[ids[i]]);
        in[ids[i]] = true;
        if (log_probs) log_probs[ids[i]] = ranked[i];
        if (i == 0) continue;
        float before = logits[ids[i - 1]], here = logits[ids[i]];
        assert_true(before > here || (before == here && ids[i - 1] < ids[i]));
    }
    free(ids);
    free(ranked);
    sonde_token_sampler_free(sampler);
    return count;
}

static void expect_set(const char *spec, const float *logits, int64_t n, const char *wanted)
{
    bool in[64];
    char got[64] = {0};
    survivors_of(spec, logits, n, in, NULL);
    for (int64_t i = 0, at = 0; i < n; i++)
        if (in[i]) got[at++] = (char)('0' + i);
    if (strcmp(got, wanted) != 0) fail_msg("%s keeps {%s}, not {%s}", spec, got, wanted);
}

static void card_logits(float *logits)
{
    static const double p[] = {.40, .20, .15, .10, .08, .04, .02, .01};
    for (int i = 0; i < 8; i++) logits[i] = (float)log(p[i]);
}

/* Rows of several kinds: 0 flat, 1 peaked, 2 with many ties, 3 with forbidden tokens, 4 a Zipf head over noise. */
enum { ROW_KINDS = 5 };
static float *some_row(int64_t n, int kind, uint64_t seed)
{
    float *x = test_alloc((size_t)n, sizeof *x);
    uint64_t state = seed * 977 + (uint64_t)kind;
    for (int64_t i = 0; i < n; i++) {
        double z = (double)test_normal(&state);
        x[i] = (float)(kind == 0 ? z : kind == 1 ? 4 * z : kind == 2 ? floor(3 * z) : kind == 3 ? 2 * z : z - 5);
        if (kind == 3 && test_u64(&state) % 4 == 0) x[i] = -INFINITY;
        if (kind == 4 && i % 97 == 0) x[i] = (float)(8 - 1.1 * log((double)(i / 97 + 1)));
    }
    x[test_u64(&state) % (uint64_t)n] = 1;
    return x;
}

/* ---- the fixed vector ------------------------------------------------------------------------------------------------- */

static void fixed_vector(void **unused)
{
    float l[8];
    (void)unused;
    card_logits(l);
    expect_set("typical(mass=0.3)", l, 8, "12");
    expect_set("typical(mass=0.5)", l, 8, "0123");
    expect_set("typical(mass=0.94)", l, 8, "012345");
    expect_set("top_p(mass=0.89)", l, 8, "01234");
    expect_set("min_p(ratio=0.24)", l, 8, "0123");
    expect_set("eta(cutoff=0.05)", l, 8, "01234");
    expect_set("eta(cutoff=0.09)", l, 8, "01234");
    expect_set("epsilon(cutoff=0.09)", l, 8, "0123");
    expect_set("typical(mass=0)", l, 8, "1");
    expect_set("top_p(mass=0)", l, 8, "0");
    expect_set("typical(mass=0, min_keep=3)", l, 8, "123");
}

static void order_matters(void **unused)
{
    float l[8];
    (void)unused;
    card_logits(l);
    l[2] += 1e-6f; /* the mass of the first three is the limit itself; put it on one side */
    expect_set("chain(temperature(value=2), top_p(mass=0.75))", l, 8, "01234");
    expect_set("chain(top_p(mass=0.75), temperature(value=2))", l, 8, "012");
    expect_set("chain(top_p(mass=0.75), top_p(mass=0.75))", l, 8, "01");
    expect_set("chain(temperature(value=2), min_p(ratio=0.3))", l, 8, "012345");
    expect_set("chain(min_p(ratio=0.3), temperature(value=2))", l, 8, "012");
    expect_set("sample(order=hf, temperature=2, min_p=0.3)", l, 8, "012345");
    expect_set("sample(order=llama, temperature=2, min_p=0.3)", l, 8, "012");
    expect_set("temperature(value=0)", l, 8, "0");
    expect_set("greedy()", l, 8, "0");
}

/* ---- against the reference ---------------------------------------------------------------------------------------- */

/* Compares one spec, given as stages "name=value" of the reference; true if it could be decided. */
static bool compare(const char *spec, reference *r, const float *logits)
{
    bool *in = test_alloc((size_t)r->n, sizeof *in);
    float *log_probs = test_alloc((size_t)r->n, sizeof *log_probs);
    if (r->doubtful) {
        free(in);
        free(log_probs);
        return false;
    }
    int64_t count = survivors_of(spec, logits, r->n, in, log_probs), wanted = 0;
    reference_law(r);
    for (int64_t i = 0; i < r->n; i++) {
        wanted += r->l[i] > -INFINITY;
        if (in[i] != (r->l[i] > -INFINITY))
            fail_msg("%s, V=%lld: token %lld with p=%.9g is %s", spec, (long long)r->n, (long long)i, r->p[i],
                     in[i] ? "in, not out" : "out, not in");
        if (in[i]) assert_true(fabs(exp((double)log_probs[i]) - r->p[i]) < 2e-6 * r->p[i] + 1e-30);
    }
    assert_int_equal(count, wanted);
    free(in);
    free(log_probs);
    return true;
}

static const struct {
    const char *name;
    double values[4];
} stages[] = {
    {"temperature(value", {0.5, 1, 1.7, 30}},  {"top_k(k", {1, 3, 40, 700}},
    {"top_p(mass", {0.01, 0.5, 0.95, 0.9999}}, {"min_p(ratio", {0.001, 0.05, 0.5, 1}},
    {"typical(mass", {0.05, 0.3, 0.9, 0.999}}, {"epsilon(cutoff", {1e-5, 1e-3, 0.05, 0.9}},
    {"eta(cutoff", {1e-5, 1e-3, 0.05, 0.9}},   {"top_n_sigma(n", {0.1, 1, 2.2, 10}},
};
enum { STAGES = sizeof stages / sizeof stages[0] };

static const int64_t sizes[] = {1, 2, 7, 64, 300, 1000, 5003};

static void single_stages(void **unused)
{
    int64_t decided = 0, all = 0;
    (void)unused;
    for (int s = 0; s < STAGES; s++)
        for (int v = 0; v < 4; v++)
            for (size_t size = 0; size < sizeof sizes / sizeof *sizes; size++)
                for (int kind = 0; kind < ROW_KINDS; kind++, all++) {
                    char spec[100];
                    float *x = some_row(sizes[size], kind, (uint64_t)(s * 4 + v));
                    reference r = reference_of(x, sizes[size]);
                    snprintf(spec, sizeof spec, "%s=%g)", stages[s].name, stages[s].values[v]);
                    reference_stage(&r, stages[s].name, stages[s].values[v]);
                    decided += compare(spec, &r, x);
                    reference_free(&r);
                    free(x);
                }
    assert_true(decided > all * 9 / 10);
}

static void pairs_of_stages(void **unused)
{
    int64_t decided = 0, all = 0;
    (void)unused;
    for (int a = 0; a < STAGES; a++)
        for (int b = 0; b < STAGES; b++)
            for (int kind = 0; kind < ROW_KINDS; kind++, all++) {
                char spec[160];
                int64_t n = sizes[(a + b + kind) % 7];
                double va = stages[a].values[(b + kind) % 4], vb = stages[b].values[(a + kind + 1) % 4];
                float *x = some_row(n, kind, (uint64_t)(a * STAGES + b));
                reference r = reference_of(x, n);
                snprintf(spec, sizeof spec, "chain(%s=%g), %s=%g))", stages[a].name, va, stages[b].name, vb);
                reference_stage(&r, stages[a].name, va);
                reference_stage(&r, stages[b].name, vb);
                decided += compare(spec, &r, x);
                reference_free(&r);
                free(x);
            }
    assert_true(decided > all * 8 / 10);
}

/* ---- identities ----------------------------------------------------------------------------------------------------- */

/* The survivors and their log-probabilities are the same bits. */
static void expect_same(const char *a, const char *b, const float *x, int64_t n)
{
    bool *in_a = test_alloc((size_t)n, sizeof *in_a), *in_b = test_alloc((size_t)n, sizeof *in_b);
    float *la = test_alloc((size_t)n, sizeof *la), *lb = test_alloc((size_t)n, sizeof *lb);
    int64_t count = survivors_of(a, x, n, in_a, la);
    if (survivors_of(b, x, n, in_b, lb) != count || memcmp(in_a, in_b, (size_t)n * sizeof *in_a) != 0 ||
        memcmp(la, lb, (size_t)n * sizeof *la) != 0)
        fail_msg("%s and %s differ", a, b);
    free(in_a);
    free(in_b);
    free(la);
    free(lb);
}

static void neutral_values(void **unused)
{
    static const char *const neutral[] = {
        "temperature(value=1)", "top_k(k=0)",        "top_k(k=1000)",      "top_k(k=5000)",
        "top_p(mass=1)",        "min_p(ratio=0)",    "typical(mass=1)",    "epsilon(cutoff=0)",
        "eta(cutoff=0)",        "top_n_sigma(n=0)",  "xtc(probability=0)", "repetition(penalty=1)",
        "penalties()",          "dry(multiplier=0)", "sample()",           "chain()",
        "sample(order=llama)"};
    (void)unused;
    for (int kind = 0; kind < ROW_KINDS; kind++) {
        float *x = some_row(1000, kind, 5);
        for (size_t i = 0; i < sizeof neutral / sizeof *neutral; i++) expect_same(neutral[i], "dist()", x, 1000);
        expect_same("chain(top_k(k=9), top_k(k=9))", "top_k(k=9)", x, 1000);
        expect_same("chain(min_p(ratio=0.1), min_p(ratio=0.1))", "min_p(ratio=0.1)", x, 1000);
        free(x);
    }
}

/* A whole number added to whole logits, and another order of the ids, change the ids only. */
static void shift_and_permute(void **unused)
{
    enum { N = 2000 };
    (void)unused;
    for (int s = 0; s < STAGES; s++)
        for (int v = 0; v < 4; v++) {
            char spec[100];
            bool in[N], moved_in[N];
            uint64_t state = 3;
            float *x = some_row(N, 1, 77), *moved = test_alloc(N, sizeof *moved);
            int32_t to[N];
            for (int i = 0; i < N; i++) {
                x[i] = rintf(x[i] * 4096) / 4096 + (float)i * 0x1p-20f; /* no ties; a shift by 8 loses no bit */
                int j = (int)(test_u64(&state) % (uint64_t)(i + 1));
                to[i] = to[j];
                to[j] = i;
            }
            for (int i = 0; i < N; i++) moved[to[i]] = (float)((double)x[i] + 8);
            for (int i = 0; i < N; i++) x[i] = (float)((double)moved[to[i]] - 8);
            snprintf(spec, sizeof spec, "%s=%g)", stages[s].name, stages[s].values[v]);
            survivors_of(spec, x, N, in, NULL);
            survivors_of(spec, moved, N, moved_in, NULL);
            for (int i = 0; i < N; i++) assert_int_equal(in[i], moved_in[to[i]]);
            free(x);
            free(moved);
        }
}

static void monotone(void **unused)
{
    static const struct {
        const char *name;
        double narrow, wide;
    } ranges[] = {{"top_k(k", 1, 900},      {"top_p(mass", 0, 1}, {"typical(mass", 0, 1},     {"min_p(ratio", 1, 0},
                  {"epsilon(cutoff", 1, 0}, {"eta(cutoff", 1, 0}, {"top_n_sigma(n", 0.001, 6}};
    enum { N = 900, STEPS = 41 };
    bool in[N], before[N];
    (void)unused;
    for (size_t r = 0; r < sizeof ranges / sizeof *ranges; r++)
        for (int kind = 0; kind < ROW_KINDS; kind++) {
            float *x = some_row(N, kind, r);
            memset(before, 0, sizeof before);
            for (int step = 0; step <= STEPS; step++) {
                char spec[80];
                double at = ranges[r].narrow + (ranges[r].wide - ranges[r].narrow) * step / STEPS;
                snprintf(spec, sizeof spec, "%s=%.9g)", ranges[r].name, r == 0 ? floor(at) : at);
                survivors_of(spec, x, N, in, NULL);
                for (int i = 0; i < N; i++) assert_true(in[i] || !before[i]);
                memcpy(before, in, sizeof in);
            }
            free(x);
        }
}

/* p = (a, 1 - a): typical keeps the likely token first iff its surprisal is nearer to the entropy. */
static void two_points(void **unused)
{
    int sides[2] = {0, 0};
    (void)unused;
    for (int k = 1; k < 100; k++) {
        double a = 0.5 + k / 200.0, entropy = -a * log(a) - (1 - a) * log(1 - a);
        float l[2] = {(float)log(a), (float)log(1 - a)};
        bool likely = fabs(-log(a) - entropy) < fabs(-log(1 - a) - entropy);
        double mass = (likely ? a : 1 - a) * 0.999;
        char spec[80];
        snprintf(spec, sizeof spec, "typical(mass=%.17g)", fmin(mass, a));
        expect_set(spec, l, 2, likely ? "0" : "1");
        sides[likely]++;
    }
    assert_int_equal(sides[1], 99); /* |g - mean| = 1 - a and a, times the gap: the likely one is always nearer */
}

static void uniform_ties(void **unused)
{
    float l[10] = {0};
    (void)unused;
    expect_set("typical(mass=0.35)", l, 10, "0123");
    expect_set("typical(mass=0.35, ties=all)", l, 10, "0123456789");
    expect_set("top_p(mass=0.35)", l, 10, "0123");
    expect_set("top_k(k=4)", l, 10, "0123");
    expect_set("top_k(k=4, ties=all)", l, 10, "0123456789");
    l[7] = 1;
    expect_set("top_k(k=4)", l, 10, "0127");
    expect_set("top_k(k=1, ties=all)", l, 10, "7");
    l[3] = 0 * -1.0f; /* negative zero is zero */
    expect_set("top_k(k=5)", l, 10, "01237");
    expect_set("min_p(ratio=1, min_keep=3)", l, 10, "017");
    expect_set("epsilon(cutoff=1, min_keep=2)", l, 10, "07");
    expect_set("greedy()", l, 10, "7");
}

/* mass -> 1 keeps what has a positive probability, and a gap that underflows does no harm. */
static void far_tails(void **unused)
{
    float l[6] = {0, -30, -120, -INFINITY, -1e30f, -3};
    (void)unused;
    expect_set("typical(mass=0.999999999999999)", l, 6, "015");
    expect_set("typical(mass=0.5)", l, 6, "0");
    expect_set("dist()", l, 6, "01245");
    expect_set("top_k(k=4)", l, 6, "0125");
    expect_set("chain(temperature(value=1e6), top_p(mass=0.9))", l, 6, "0125");
}

/* ---- draws ------------------------------------------------------------------------------------------------------------ */

/* The normal deviate that a chi-square with k degrees of freedom corresponds to (Wilson and Hilferty 1931). */
static double chi_deviate(double x, double k) { return (cbrt(x / k) - (1 - 2 / (9 * k))) / sqrt(2 / (9 * k)); }

enum { DRAW_V = 12, DRAW_ROWS = 1000 };

/* `draws` tokens in batches; counts[id]. */
static void count_draws(const char *spec, const float *logits, int64_t draws, int64_t *counts)
{
    sonde_token_sampler *sampler = sampler_of(spec, DRAW_V);
    float *rows = test_alloc(DRAW_ROWS * DRAW_V, sizeof *rows);
    int32_t ids[DRAW_ROWS];
    memset(counts, 0, DRAW_V * sizeof *counts);
    for (int64_t i = 0; i < DRAW_ROWS * DRAW_V; i++) rows[i] = logits[i % DRAW_V];
    sonde_array batch = sonde_f32(rows, DRAW_ROWS, DRAW_V);
    for (int64_t done = 0; done < draws; done += DRAW_ROWS) {
        OK(sonde_token_sampler_next(sampler, &batch, ids));
        for (int i = 0; i < DRAW_ROWS; i++) counts[ids[i]]++;
    }
    free(rows);
    sonde_token_sampler_free(sampler);
}

/* Counts against the law that filter tells; nothing outside it is ever drawn. */
static void expect_law(const char *spec, const float *logits, int64_t draws)
{
    int64_t counts[DRAW_V];
    bool in[DRAW_V];
    double law[DRAW_V], chi = 0;
    float log_probs[DRAW_V];
    int64_t kept = survivors_of(spec, logits, DRAW_V, in, log_probs);
    for (int i = 0; i < DRAW_V; i++) law[i] = in[i] ? exp((double)log_probs[i]) : 0;
    count_draws(spec, logits, draws, counts);
    for (int i = 0; i < DRAW_V; i++) {
        double wanted = law[i] * (double)draws;
        assert_true(in[i] || counts[i] == 0);
        if (in[i]) chi += ((double)counts[i] - wanted) * ((double)counts[i] - wanted) / wanted;
    }
    if (kept > 1 && chi_deviate(chi, (double)(kept - 1)) > 3.719) /* p < 1e-4 */
        fail_msg("%s: chi-square %.2f with %lld degrees of freedom", spec, chi, (long long)kept - 1);
}

static void draw_logits(float *logits)
{
    static const double p[DRAW_V] = {.02, .3, .01, .2, .15, .1, .08, .04, .02, .05, .02, .01};
    for (int i = 0; i < DRAW_V; i++) logits[i] = (float)log(p[i]) + 2;
}

static void million_draws(void **unused)
{
    float l[DRAW_V];
    (void)unused;
    draw_logits(l);
    expect_law("dist()", l, 1000000);
    expect_law("gumbel()", l, 1000000);
    expect_law("chain(typical(mass=0.9), temperature(value=0.8))", l, 1000000);
}

static void many_seeds(void **unused)
{
    static const char *const chains[] = {"chain(seed=%d)",
                                         "chain(gumbel(), seed=%d)",
                                         "chain(top_k(k=5), seed=%d)",
                                         "chain(top_p(mass=0.8), seed=%d)",
                                         "chain(min_p(ratio=0.1), seed=%d)",
                                         "chain(typical(mass=0.6), seed=%d)",
                                         "chain(epsilon(cutoff=0.03), seed=%d)",
                                         "chain(eta(cutoff=0.1), gumbel(), seed=%d)",
                                         "chain(temperature(value=1.5), top_n_sigma(n=1.5), seed=%d)",
                                         "chain(dynamic_temperature(low=0.5, high=2), top_k(k=7), seed=%d)"};
    float l[DRAW_V];
    (void)unused;
    draw_logits(l);
    for (size_t c = 0; c < sizeof chains / sizeof *chains; c++)
        for (int seed = 2; seed < 22; seed++) {
            char spec[120];
            snprintf(spec, sizeof spec, chains[c], seed);
            expect_law(spec, l, 20000);
        }
}

/* A draw from a whole row, without any filter, is right far into the tail too. */
static void whole_rows(void **unused)
{
    enum { N = 70000, DRAWS = 3000, BINS = 8 };
    (void)unused;
    for (int kind = 0; kind < ROW_KINDS; kind++) {
        float *x = some_row(N, kind, 4);
        reference r = reference_of(x, N);
        double mass[BINS] = {0}, chi = 0;
        int64_t counts[BINS] = {0};
        int32_t id;
        sonde_token_sampler *sampler = sampler_of("dist()", N);
        sonde_array row = sonde_f32(x, 1, N);
        reference_law(&r);
        for (int64_t i = 0; i < N; i++) mass[i * 31 % BINS] += r.p[i];
        for (int i = 0; i < DRAWS; i++) {
            OK(sonde_token_sampler_next(sampler, &row, &id));
            assert_true(r.p[id] > 0);
            counts[(int64_t)id * 31 % BINS]++;
        }
        for (int b = 0; b < BINS; b++) {
            double wanted = mass[b] * DRAWS;
            chi += ((double)counts[b] - wanted) * ((double)counts[b] - wanted) / wanted;
        }
        assert_true(chi_deviate(chi, BINS - 1) < 3.719);
        sonde_token_sampler_free(sampler);
        reference_free(&r);
        free(x);
    }
}

/* Chains with one seed and Gumbel noise agree wherever the noise's winner survives. */
static void coupled_draws(void **unused)
{
    enum { N = 500 };
    float *x = some_row(N, 0, 8);
    sonde_token_sampler *all = sampler_of("chain(gumbel(), seed=9)", N);
    sonde_token_sampler *top = sampler_of("chain(top_k(k=250), gumbel(), seed=9)", N);
    bool in[N];
    int survived = 0;
    (void)unused;
    survivors_of("top_k(k=250)", x, N, in, NULL);
    for (int i = 0; i < 300; i++) {
        int32_t a, b;
        sonde_array row = sonde_f32(x, 1, N);
        OK(sonde_token_sampler_next(all, &row, &a));
        OK(sonde_token_sampler_next(top, &row, &b));
        assert_true(in[b]);
        if (in[a]) assert_int_equal(a, b);
        survived += in[a];
    }
    assert_in_range(survived, 150, 299);
    sonde_token_sampler_free(all);
    sonde_token_sampler_free(top);
    free(x);
}

/* What is told about a draw is what the reference says. */
static void told_about_a_draw(void **unused)
{
    static const char *const specs[] = {"dist()", "chain(top_p(mass=0.7), temperature(value=0.7))", "top_k(k=1)"};
    enum { N = 3000 };
    (void)unused;
    for (int kind = 0; kind < ROW_KINDS; kind++)
        for (int s = 0; s < 3; s++) {
            float *x = some_row(N, kind, 21);
            reference raw = reference_of(x, N), r = reference_of(x, N);
            if (s == 1) reference_stage(&r, "top_p(mass", 0.7);
            if (s == 1) reference_stage(&r, "temperature(value", 0.7);
            if (s == 2) reference_stage(&r, "top_k(k", 1);
            reference_law(&raw);
            double entropy = reference_law(&r);
            int64_t kept = 0, survivors;
            for (int64_t i = 0; i < N; i++) kept += r.l[i] > -INFINITY;
            int32_t id;
            float log_prob, raw_log_prob, told;
            sonde_tokens drawn = {sizeof drawn, 0, &id, &log_prob, &raw_log_prob, &survivors, &told};
            sonde_token_sampler *sampler = sampler_of(specs[s], N);
            sonde_array row = sonde_f32(x, 1, N);
            OK(sonde_token_sampler_next_with(sampler, &row, NULL, &drawn));
            assert_true(fabs((double)log_prob - log(r.p[id])) < 1e-5);
            assert_true(fabs((double)raw_log_prob - log(raw.p[id])) < 1e-5);
            assert_true(fabs((double)told - entropy) < 1e-5);
            assert_int_equal(survivors, kept);
            sonde_token_sampler_free(sampler);
            reference_free(&raw);
            reference_free(&r);
            free(x);
        }
}

/* The same values in three types keep the same tokens. */
static void element_types(void **unused)
{
    enum { N = 1500 };
    float x[N];
    uint16_t bf16[N], f16[N];
    uint64_t state = 12;
    (void)unused;
    for (int i = 0; i < N; i++) { /* multiples of 1/8 below 16 are exact in both halves */
        int eighths = (int)(test_u64(&state) % 120) + 8, exponent = 31 - __builtin_clz((unsigned)eighths);
        uint32_t bits;
        x[i] = (float)eighths / 8;
        memcpy(&bits, &x[i], sizeof bits);
        bf16[i] = (uint16_t)(bits >> 16);
        f16[i] = (uint16_t)((exponent - 3 + 15) << 10 | (eighths - (1 << exponent)) << (10 - exponent));
    }
    for (int s = 0; s < STAGES; s++)
        for (int v = 0; v < 4; v++) {
            char spec[100];
            int32_t ids[3][N];
            int64_t counts[3];
            sonde_array rows[3] = {sonde_f32(x, 1, N), sonde_array_of(SONDE_DTYPE_BF16, bf16, 1, N),
                                   sonde_array_of(SONDE_DTYPE_F16, f16, 1, N)};
            snprintf(spec, sizeof spec, "%s=%g)", stages[s].name, stages[s].values[v]);
            sonde_token_sampler *sampler = sampler_of(spec, N);
            for (int t = 0; t < 3; t++) {
                OK(sonde_token_sampler_filter(sampler, &rows[t], NULL, N, ids[t], NULL, &counts[t]));
                assert_int_equal(counts[t], counts[0]);
                assert_memory_equal(ids[t], ids[0], (size_t)counts[0] * sizeof(int32_t));
            }
            sonde_token_sampler_free(sampler);
        }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(fixed_vector),    cmocka_unit_test(order_matters),  cmocka_unit_test(single_stages),
    cmocka_unit_test(pairs_of_stages), cmocka_unit_test(neutral_values), cmocka_unit_test(shift_and_permute),
    cmocka_unit_test(monotone),        cmocka_unit_test(two_points),     cmocka_unit_test(uniform_ties),
    cmocka_unit_test(far_tails),       cmocka_unit_test(million_draws),  cmocka_unit_test(many_seeds),
    cmocka_unit_test(whole_rows),      cmocka_unit_test(coupled_draws),  cmocka_unit_test(told_about_a_draw),
    cmocka_unit_test(element_types),
};

SONDE_TEST_MAIN(tests)
