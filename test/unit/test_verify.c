/* test_verify.c: the rules that verify drafts at one node, against every list of drafts, against a plain
 * transcription, and against published numbers; the best rates against the minimum cut over all sets of tokens.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "test.h"
#include "tokens/verify.h"

enum { MOST_V = 8, MOST_K = 4 };

static const char *const rule_names[] = {"single", "rrs", "recursive", "kseq", "greedy"};

/* ---- laws for the tests ---------------------------------------------------------------------------------------- */

typedef struct laws {
    int n;
    float p[MOST_V], q[MOST_V];
} laws;

static sonde__law_pair pair_of(const laws *l)
{
    return (sonde__law_pair){l->n, l->p, l->q, sonde__weights_sum(l->p, l->n), sonde__weights_sum(l->q, l->n)};
}

static double law_p(const laws *l, int x) { return l->p[x] / sonde__weights_sum(l->p, l->n); }
static double law_q(const laws *l, int x) { return l->q[x] / sonde__weights_sum(l->q, l->n); }

/* Random laws; some tokens are missing from either. */
static laws random_laws(int n, uint64_t *seed)
{
    laws l = {.n = n};
    for (int x = 0; x < n; x++) {
        l.p[x] = test_u64(seed) % 5 ? (float)test_unit(seed) : 0;
        l.q[x] = test_u64(seed) % 5 ? (float)test_unit(seed) : 0;
    }
    l.p[test_u64(seed) % (unsigned)n] += 0.1f;
    l.q[test_u64(seed) % (unsigned)n] += 0.1f;
    return l;
}

static const laws fixed_laws = {5, {.5f, .2f, .15f, .1f, .05f}, {.2f, .4f, .1f, .2f, .1f}};

/* ---- every list of drafts, with its probability ---------------------------------------------------------------- */

typedef struct draft_list {
    int64_t tokens[MOST_K];
    int k;
    double chance;
} draft_list;

typedef void (*list_fn)(void *context, const draft_list *list);

/* iid, or without replacement, where a law that runs out ends the list. left: the weights of q that can be drawn. */
static void each_list(const laws *l, bool replace, int k, draft_list list, laws left, list_fn fn, void *context)
{
    double total = sonde__weights_sum(left.q, l->n);
    if (list.k == k || total == 0) {
        fn(context, &list);
        return;
    }
    for (int x = 0; x < l->n; x++) {
        draft_list longer = list;
        laws then = left;
        if (!(left.q[x] > 0)) continue;
        longer.tokens[longer.k++] = x;
        longer.chance *= left.q[x] / total;
        if (!replace) then.q[x] = 0;
        each_list(l, replace, k, longer, then, fn, context);
    }
}

/* The k - 1 heaviest, then each of the others. */
static void each_greedy(const laws *l, int k, list_fn fn, void *context)
{
    int64_t top[MOST_K];
    draft_list list = {.chance = 1};
    list.k = (int)sonde__weights_top(l->q, l->n, k - 1, top);
    laws others = *l;
    for (int i = 0; i < list.k; i++) {
        list.tokens[i] = top[i];
        others.q[top[i]] = 0;
    }
    if (sonde__weights_sum(others.q, l->n) == 0) {
        fn(context, &list);
        return;
    }
    for (int x = 0; x < l->n; x++) {
        if (!(others.q[x] > 0)) continue;
        draft_list longer = list;
        longer.tokens[longer.k++] = x;
        longer.chance = others.q[x] / sonde__weights_sum(others.q, l->n);
        fn(context, &longer);
    }
}

static void each_draft(const laws *l, int rule, int k, list_fn fn, void *context)
{
    if (rule == SONDE__VERIFY_GREEDY) each_greedy(l, k, fn, context);
    else each_list(l, rule != SONDE__VERIFY_RECURSIVE, k, (draft_list){.chance = 1}, *l, fn, context);
}

/* ---- the law that a rule induces ------------------------------------------------------------------------------- */

typedef struct induced {
    const laws *laws;
    int rule;
    double law[MOST_V], hit; /* hit: chance that the token is among the drafts */
} induced;

static void add_token(induced *sum, const draft_list *list, int64_t x, double chance)
{
    sum->law[x] += chance;
    for (int i = 0; i < list->k; i++)
        if (list->tokens[i] == x) {
            sum->hit += chance;
            return;
        }
}

static void induced_add(void *context, const draft_list *list)
{
    induced *sum = context;
    double r[MOST_V], chance = list->chance;
    float rest[MOST_V];
    sonde__verifier v;
    sonde__law_pair pair = pair_of(sum->laws);
    sonde__verify_start(&v, (sonde__verify_rule)sum->rule, &pair, list->tokens, list->k, 1e-6, r, rest);
    for (int i = sum->rule == SONDE__VERIFY_GREEDY && list->k ? list->k - 1 : 0; i < list->k; i++) {
        int64_t x = list->tokens[i];
        double left = v.started ? r[x] * v.r_scale : v.p[x] * v.p_scale, wanted = v.rho * v.q[x] * v.q_scale;
        double accept = wanted <= left ? 1 : left / wanted;
        add_token(sum, list, x, chance * accept);
        chance *= 1 - accept;
        if (accept == 1) return;
        if (!sonde__verify_refuse(&v, x)) {
            add_token(sum, list, x, chance);
            return;
        }
    }
    if (!sonde__verify_finish(&v)) {
        add_token(sum, list, list->tokens[list->k - 1], chance);
        return;
    }
    for (int x = 0; x < sum->laws->n; x++) add_token(sum, list, x, chance * r[x] * v.r_scale);
}

static induced induce(const laws *l, int rule, int k)
{
    induced sum = {.laws = l, .rule = rule};
    each_draft(l, rule, k, induced_add, &sum);
    return sum;
}

static double rate_of(const laws *l, const char *rule, int k)
{
    double rate = -1;
    sonde_runtime *runtime;
    sonde__law_pair pair = pair_of(l);
    OK(sonde_runtime_create(NULL, &runtime));
    if (strncmp(rule, "optimal", 7) == 0) {
        OK(sonde__accept_optimal(runtime, strcmp(rule, "optimal_iid") == 0, &pair, k, &rate));
    } else {
        int number = 0;
        while (strcmp(rule_names[number], rule) != 0) number++;
        OK(sonde__accept_rate(runtime, (sonde__verify_rule)number, &pair, k, 1e-6, &rate));
    }
    sonde_runtime_free(runtime);
    return rate;
}

static void near(double got, double wanted, double tolerance)
{
    if (!(fabs(got - wanted) <= tolerance)) fail_msg("%.15g is not %.15g within %g", got, wanted, tolerance);
}

static void expect_exact(const laws *l, int rule, int k)
{
    induced sum = induce(l, rule, k);
    for (int x = 0; x < l->n; x++)
        if (!(fabs(sum.law[x] - law_p(l, x)) < 1e-12))
            fail_msg("%s, V %d, k %d: token %d has %.15g, not %.15g", rule_names[rule], l->n, k, x, sum.law[x],
                     law_p(l, x));
}

static void laws_come_out_exactly(void **state)
{
    uint64_t seed = 1;
    (void)state;
    for (int round = 0; round < 60; round++)
        for (int n = 1; n <= 6; n++) {
            laws l = random_laws(n, &seed);
            for (int rule = 0; rule < 5; rule++)
                for (int k = 1; k <= (rule == SONDE__VERIFY_SINGLE ? 1 : 3); k++) expect_exact(&l, rule, k);
        }
}

static void special_laws_come_out_exactly(void **state)
{
    static const laws special[] = {
        {4, {.4f, .3f, .2f, .1f}, {.4f, .3f, .2f, .1f}}, /* equal */
        {4, {.5f, .5f, 0, 0}, {0, 0, .5f, .5f}},         /* apart */
        {4, {0, 1, 0, 0}, {.25f, .25f, .25f, .25f}},     /* one token */
        {4, {0, 1, 0, 0}, {0, 1, 0, 0}},
        {4, {0, 1, 0, 0}, {1, 0, 0, 0}},
        {4, {.4f, .3f, .2f, .1f}, {1, 1e-9f, 1e-9f, 1e-30f}}, /* nearly all in one */
        {3, {1, 1e-7f, 1e-7f}, {1, 2e-7f, 1e-8f}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        for (int rule = 0; rule < 5; rule++)
            for (int k = 1; k <= (rule == SONDE__VERIFY_SINGLE ? 1 : 3); k++) expect_exact(&special[i], rule, k);
}

static void numbers_of_the_fixed_laws(void **state)
{
    static const struct {
        const char *rule;
        double rate[2];
    } known[] = {
        {"optimal_iid", {.860000, .988000}}, {"optimal_wor", {.927778, 1.000000}}, {"kseq", {.788098, .858519}},
        {"rrs", {.755000, .819000}},         {"greedy", {.833333, 1.000000}},
    };
    static const double rho[] = {1.460328, 1.792593}, recursive[] = {.799405, .891984};
    double r[MOST_V];
    (void)state;
    near(rate_of(&fixed_laws, "single", 1), .65, 1e-7);
    for (int k = 2; k <= 3; k++) {
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            near(rate_of(&fixed_laws, known[i].rule, k), known[i].rate[k - 2], 6e-7);
        near(induce(&fixed_laws, SONDE__VERIFY_RECURSIVE, k).hit, recursive[k - 2], 6e-7);
        sonde__verifier v;
        sonde__law_pair pair = pair_of(&fixed_laws);
        sonde__verify_start(&v, SONDE__VERIFY_KSEQ, &pair, NULL, k, 1e-9, r, NULL);
        near(v.rho, rho[k - 2], 6e-7);
        if (k == 2) near(rate_of(&fixed_laws, "kseq", 2) / v.keep, .539672, 6e-7);
    }
}

/* What each closed form says is what the enumeration finds; for kseq and greedy at least, as residuals may hit
 * drafts. */
static void rates_are_those_of_the_rules(void **state)
{
    uint64_t seed = 2;
    (void)state;
    for (int round = 0; round < 40; round++) {
        laws l = random_laws(1 + round % 6, &seed);
        near(rate_of(&l, "single", 1), induce(&l, SONDE__VERIFY_SINGLE, 1).hit, 1e-12);
        near(rate_of(&l, "recursive", 1), induce(&l, SONDE__VERIFY_RECURSIVE, 1).hit, 1e-12);
        for (int k = 1; k <= 3; k++) {
            near(rate_of(&l, "rrs", k), induce(&l, SONDE__VERIFY_RRS, k).hit, 1e-12);
            near(rate_of(&l, "greedy", k), induce(&l, SONDE__VERIFY_GREEDY, k).hit, 1e-12);
            assert_true(rate_of(&l, "kseq", k) <= induce(&l, SONDE__VERIFY_KSEQ, k).hit + 1e-12);
        }
    }
}

static void rates_keep_their_order(void **state)
{
    uint64_t seed = 3;
    const double slack = 1e-9;
    (void)state;
    for (int round = 0; round < 60; round++) {
        laws l = random_laws(2 + round % 5, &seed);
        double single = rate_of(&l, "single", 1), before[6] = {0};
        for (int k = 1; k <= 3; k++) {
            double now[6] = {rate_of(&l, "rrs", k),
                             rate_of(&l, "kseq", k),
                             induce(&l, SONDE__VERIFY_RECURSIVE, k).hit,
                             rate_of(&l, "optimal_iid", k),
                             rate_of(&l, "optimal_wor", k),
                             rate_of(&l, "greedy", k)};
            assert_true(single <= now[0] + slack && now[0] <= now[3] + slack);
            assert_true(now[1] <= now[3] + slack && now[2] <= now[4] + slack && now[3] <= now[4] + slack);
            assert_true(now[1] >= (1 - pow(1 - 1.0 / k, k)) * now[3] - 1e-5); /* SpecTr's guarantee */
            for (int i = 0; i < 6; i++) {
                if (i < 5 && now[i] < before[i] - 1e-5) fail_msg("rate %d falls from %g to %g", i, before[i], now[i]);
                before[i] = now[i];
            }
        }
    }
}

/* Accepting at the root: P_acc = sum of min(rho q, p). */
static void kseq_keeps_its_identity(void **state)
{
    uint64_t seed = 4;
    double r[MOST_V];
    (void)state;
    for (int round = 0; round < 40; round++) {
        laws l = random_laws(4, &seed);
        sonde__law_pair pair = pair_of(&l);
        sonde__verifier v;
        double shared = 0;
        sonde__verify_start(&v, SONDE__VERIFY_KSEQ, &pair, NULL, 3, 1e-12, r, NULL);
        for (int x = 0; x < l.n; x++) shared += fmin(v.rho * law_q(&l, x), law_p(&l, x));
        double rate = rate_of(&l, "kseq", 3);
        if (v.rho > 1) near(rate, shared, 1e-5);
        else assert_true(rate <= shared + 1e-9);
    }
}

/* More drafts than a tolerance can tell apart: the search for rho still ends. */
static void kseq_ends_for_any_number_of_drafts(void **state)
{
    sonde__law_pair pair = pair_of(&fixed_laws);
    double r[MOST_V];
    (void)state;
    for (int64_t k = 2; k < (int64_t)1 << 40; k *= 8) {
        sonde__verifier v;
        sonde__verify_start(&v, SONDE__VERIFY_KSEQ, &pair, NULL, k, 1e-12, r, NULL);
        assert_true(v.rho >= 1 && v.rho <= (double)k);
    }
}

static void equal_laws_accept_all_and_apart_none(void **state)
{
    static const char *const rules[] = {"rrs", "kseq", "greedy", "optimal_iid", "optimal_wor"};
    laws equal = {4, {.4f, .3f, .2f, .1f}, {.4f, .3f, .2f, .1f}}, apart = {4, {.5f, .5f, 0, 0}, {0, 0, .5f, .5f}};
    (void)state;
    for (int k = 1; k <= 3; k++)
        for (int i = 0; i < 5; i++) {
            near(rate_of(&equal, rules[i], k), 1, 1e-12);
            near(rate_of(&apart, rules[i], k), 0, 1e-12);
        }
}

/* ---- the optimum, by all sets ---------------------------------------------------------------------------------- */

typedef struct inside {
    unsigned set;
    double chance;
} inside;

static void inside_add(void *context, const draft_list *list)
{
    inside *sum = context;
    for (int i = 0; i < list->k; i++)
        if (!(sum->set >> list->tokens[i] & 1)) return;
    sum->chance += list->chance;
}

/* The minimum cut of the transport from lists of drafts to tokens: the linear program's value. */
static double optimum(const laws *l, bool replace, int k)
{
    double least = 0;
    for (unsigned set = 0; set < 1u << l->n; set++) {
        inside sum = {.set = set};
        double p = 0;
        for (int x = 0; x < l->n; x++) p += set >> x & 1 ? law_p(l, x) : 0;
        each_list(l, replace, k, (draft_list){.chance = 1}, *l, inside_add, &sum);
        least = fmin(least, p - sum.chance);
    }
    return 1 + least;
}

static void optimal_rates_are_the_minimum_cut(void **state)
{
    uint64_t seed = 5;
    (void)state;
    for (int round = 0; round < 60; round++) {
        laws l = random_laws(1 + round % 5, &seed);
        for (int k = 1; k <= 3; k++) {
            near(rate_of(&l, "optimal_iid", k), optimum(&l, true, k), 1e-9);
            near(rate_of(&l, "optimal_wor", k), optimum(&l, false, k), 1e-9);
        }
    }
    laws steep = {4, {.4f, .3f, .2f, .1f}, {1, 1e-4f, 1e-7f, 1e-9f}}; /* clocks of very different rates */
    for (int k = 1; k <= 3; k++) near(rate_of(&steep, "optimal_wor", k), optimum(&steep, false, k), 1e-9);
}

/* ---- a plain transcription of the rules ------------------------------------------------------------------------ */

static double plain_mass(const double *w, int n)
{
    double sum = 0;
    for (int x = 0; x < n; x++) sum += w[x];
    return sum;
}

static void plain_scale(double *w, int n)
{
    double sum = plain_mass(w, n);
    for (int x = 0; x < n && sum > 0; x++) w[x] /= sum;
}

static int plain_pick(const double *w, int n, double u)
{
    double target = u * plain_mass(w, n);
    for (int x = 0; x < n; x++)
        if ((target -= w[x]) < 0) return x;
    return -1;
}

static double plain_beta(const double *p, const double *q, int n, double rho)
{
    double sum = 0;
    for (int x = 0; x < n; x++) sum += fmin(q[x], p[x] / rho);
    return sum;
}

static int plain_kseq(const double *p, const double *q, int n, const int64_t *drafts, int k, const double *u)
{
    double low = 1, high = k, left[MOST_V];
    if (1 - pow(1 - plain_beta(p, q, n, 1), k) <= plain_beta(p, q, n, 1)) high = 1;
    while (high - low > 1e-9) {
        double rho = (low + high) / 2, beta = plain_beta(p, q, n, rho);
        if (1 - pow(1 - beta, k) <= rho * beta) high = rho;
        else low = rho;
    }
    double beta = plain_beta(p, q, n, high), any = 1 - pow(1 - beta, k);
    for (int i = 0; i < k; i++)
        if (u[i] * high * q[drafts[i]] <= p[drafts[i]]) return (int)drafts[i];
    for (int x = 0; x < n; x++) left[x] = fmax(0, p[x] - (beta > 0 ? fmin(q[x], p[x] / high) * any / beta : 0));
    return plain_pick(left, n, u[k]);
}

static int plain_recursive(const double *p, double *q, int n, const int64_t *drafts, int k, const double *u, bool wor)
{
    double left[MOST_V];
    memcpy(left, p, sizeof left);
    for (int i = 0; i < k; i++) {
        if (u[i] * q[drafts[i]] <= left[drafts[i]]) return (int)drafts[i];
        for (int x = 0; x < n; x++) left[x] = fmax(0, left[x] - q[x]);
        plain_scale(left, n);
        if (wor) q[drafts[i]] = 0;
        plain_scale(q, n);
    }
    return plain_pick(left, n, u[k]);
}

static int plain_node(const laws *l, int rule, const int64_t *drafts, int k, const double *u)
{
    double p[MOST_V] = {0}, q[MOST_V] = {0};
    for (int x = 0; x < l->n; x++) p[x] = law_p(l, x), q[x] = law_q(l, x);
    if (k == 0) return plain_pick(p, l->n, u[0]);
    if (rule == SONDE__VERIFY_KSEQ) return plain_kseq(p, q, l->n, drafts, k, u);
    if (rule != SONDE__VERIFY_GREEDY)
        return plain_recursive(p, q, l->n, drafts, k, u, rule == SONDE__VERIFY_RECURSIVE);
    for (int i = 0; i + 1 < k; i++) q[drafts[i]] = 0;
    plain_scale(q, l->n);
    return plain_recursive(p, q, l->n, drafts + k - 1, 1, u + k - 1, false);
}

static int draw_list(const laws *l, int rule, int k, uint64_t *seed, int64_t *drafts)
{
    double q[MOST_V];
    int64_t made = rule == SONDE__VERIFY_GREEDY ? sonde__weights_top(l->q, l->n, k - 1, drafts) : 0;
    for (int x = 0; x < l->n; x++) q[x] = l->q[x];
    for (int i = 0; i < made; i++) q[drafts[i]] = 0;
    for (; made < k && plain_mass(q, l->n) > 0; made++) {
        drafts[made] = plain_pick(q, l->n, test_unit(seed));
        if (rule == SONDE__VERIFY_RECURSIVE) q[drafts[made]] = 0;
    }
    return (int)made;
}

static void nodes_decide_as_the_plain_rules_do(void **state)
{
    uint64_t seed = 6;
    int accepted = 0, refused = 0;
    (void)state;
    for (int round = 0; round < 30000; round++) {
        laws l = random_laws(MOST_V, &seed);
        int rule = round % 5;
        int64_t drafts[MOST_K];
        int wanted_k = (int)(test_u64(&seed) % (rule ? MOST_K + 1 : 2)), k = 0;
        if (wanted_k) k = draw_list(&l, rule, wanted_k, &seed, drafts);
        double u[MOST_K + 1], r[MOST_V];
        float rest[MOST_V];
        for (int i = 0; i <= k; i++) u[i] = test_unit(&seed);
        sonde__verifier v;
        sonde__law_pair pair = pair_of(&l);
        sonde__verify_start(&v, (sonde__verify_rule)rule, &pair, drafts, k, 1e-9, r, rest);
        int64_t got = sonde__verify_node(&v, drafts, k, u);
        int wanted = plain_node(&l, rule, drafts, k, u);
        if (got != wanted) fail_msg("round %d, %s, k %d: %d, not %d", round, rule_names[rule], k, (int)got, wanted);
        if (v.accepted >= 0) assert_int_equal(drafts[v.accepted], got);
        *(v.accepted >= 0 ? &accepted : &refused) += 1;
    }
    assert_true(accepted > 5000 && refused > 5000);
}

static void one_draft_is_the_same_by_every_rule(void **state)
{
    uint64_t seed = 7;
    (void)state;
    for (int round = 0; round < 2000; round++) {
        laws l = random_laws(MOST_V, &seed);
        int64_t draft, got[5];
        double u[2] = {test_unit(&seed), test_unit(&seed)}, r[MOST_V];
        float rest[MOST_V];
        draw_list(&l, 0, 1, &seed, &draft);
        for (int rule = 0; rule < 5; rule++) {
            sonde__verifier v;
            sonde__law_pair pair = pair_of(&l);
            sonde__verify_start(&v, (sonde__verify_rule)rule, &pair, &draft, 1, 1e-6, r, rest);
            got[rule] = sonde__verify_node(&v, &draft, 1, u);
            assert_int_equal(got[rule], got[0]);
        }
    }
}

/* ---- drawing --------------------------------------------------------------------------------------------------- */

/* Weights over several blocks, with runs of zeros at both ends: each place as often as it should be, and no other. */
static void picks_follow_the_weights(void **state)
{
    enum { N = 1500, RUNS = 200000, STEP = 97 };
    static float w[N];
    static double counts[N];
    double most = 0;
    (void)state;
    for (int i = 300; i < 1200; i += STEP) w[i] = (float)(1 + i % 7);
    double total = sonde__weights_sum(w, N);
    for (int run = 0; run < RUNS; run++) counts[sonde__weights_pick(w, N, total, (run + 0.5) / RUNS)]++;
    for (int i = 0; i < N; i++) {
        double wanted = RUNS * w[i] / total;
        if (w[i] > 0) most = fmax(most, fabs(counts[i] - wanted));
        else assert_true(counts[i] == 0);
    }
    assert_true(most <= 1.5); /* an even grid of uniforms leaves nothing to chance */
    assert_int_equal(sonde__weights_pick(w, N, total, 1e-300), 300);
    assert_true(w[sonde__weights_pick(w, N, total * 1.001, 1 - 0x1p-53)] > 0); /* as if sums were rounded badly */
}

static void the_heaviest_come_first(void **state)
{
    static const float w[] = {0, 2, 5, 2, 0, 5, 1};
    int64_t places[8];
    (void)state;
    assert_int_equal(sonde__weights_top(w, 7, 0, places), 0);
    assert_int_equal(sonde__weights_top(w, 7, 3, places), 3);
    assert_true(places[0] == 2 && places[1] == 5 && places[2] == 1);
    assert_int_equal(sonde__weights_top(w, 7, 8, places), 5);
    assert_true(places[3] == 3 && places[4] == 6);
}

/* ---- the scaled-down table of peaked laws ---------------------------------------------------------------------- */

enum { TABLE_V = 1000, TABLE_PAIRS = 160, TABLE_RUNS = 50 };

typedef struct table_laws {
    float p[TABLE_V], q[TABLE_V];
    sonde__law_pair pair;
} table_laws;

/* Normal (Box, Muller 1958): the tails decide how peaked a law is. */
static double table_normal(uint64_t *seed)
{
    double radius = sqrt(-2 * log(1 - test_unit(seed)));
    return radius * cos(6.283185307179586 * test_unit(seed));
}

static void table_fill(table_laws *t, double s, uint64_t *seed)
{
    for (int x = 0; x < TABLE_V; x++) {
        double a = table_normal(seed), b = table_normal(seed);
        t->p[x] = (float)exp(s * a);
        t->q[x] = (float)exp(s * (0.9 * a + sqrt(0.19) * b));
    }
    t->pair = (sonde__law_pair){TABLE_V, t->p, t->q, sonde__weights_sum(t->p, TABLE_V),
                                sonde__weights_sum(t->q, TABLE_V)};
}

/* Without a closed form: drafts and uniforms at random. */
static double table_recursive(const table_laws *t, int k, uint64_t *seed)
{
    static float left[TABLE_V], rest[TABLE_V];
    static double r[TABLE_V];
    int hits = 0;
    for (int run = 0; run < TABLE_RUNS; run++) {
        int64_t drafts[MOST_K];
        double u[MOST_K + 1];
        memcpy(left, t->q, sizeof left);
        for (int i = 0; i < k; i++) {
            double total = sonde__weights_sum(left, TABLE_V);
            left[drafts[i] = sonde__weights_pick(left, TABLE_V, total, test_unit(seed))] = 0;
        }
        for (int i = 0; i <= k; i++) u[i] = test_unit(seed);
        sonde__verifier v;
        sonde__verify_start(&v, SONDE__VERIFY_RECURSIVE, &t->pair, drafts, k, 1e-6, r, rest);
        sonde__verify_node(&v, drafts, k, u);
        hits += v.accepted >= 0;
    }
    return (double)hits / TABLE_RUNS;
}

enum { TABLE_COLUMNS = 6 };

static void table_rates(sonde_runtime *runtime, const table_laws *t, int k, uint64_t *seed, double *rates)
{
    OK(sonde__accept_rate(runtime, SONDE__VERIFY_RRS, &t->pair, k, 1e-6, &rates[0]));
    rates[1] = table_recursive(t, k, seed);
    OK(sonde__accept_rate(runtime, SONDE__VERIFY_KSEQ, &t->pair, k, 1e-6, &rates[2]));
    OK(sonde__accept_rate(runtime, SONDE__VERIFY_GREEDY, &t->pair, k, 1e-6, &rates[3]));
    OK(sonde__accept_optimal(runtime, true, &t->pair, k, &rates[4]));
    OK(sonde__accept_optimal(runtime, false, &t->pair, k, &rates[5]));
}

typedef struct table_row {
    double s;
    int k;
    double wanted[TABLE_COLUMNS];
} table_row;

/* The published means are of 40 pairs of laws, ours of as many others: where laws are peaked, both are uncertain by
 * more than 0.02, so the difference is held against three of its standard errors there. */
static void expect_row(sonde_runtime *runtime, const table_row *row)
{
    static table_laws t;
    double mean[TABLE_COLUMNS] = {0}, square[TABLE_COLUMNS] = {0};
    uint64_t seed = 80 + (uint64_t)row->s;
    for (int i = 0; i < TABLE_PAIRS; i++) {
        double rates[TABLE_COLUMNS];
        table_fill(&t, row->s, &seed);
        uint64_t own = seed;
        table_rates(runtime, &t, row->k, &own, rates);
        for (int c = 0; c < TABLE_COLUMNS; c++) {
            mean[c] += rates[c] / TABLE_PAIRS;
            square[c] += rates[c] * rates[c] / TABLE_PAIRS;
        }
    }
    for (int c = 0; c < TABLE_COLUMNS; c++) {
        double error = sqrt((square[c] - mean[c] * mean[c]) * (1.0 / 40 + 1.0 / TABLE_PAIRS));
        printf("s %g k %d column %d: %.3f +- %.3f (%.3f)\n", row->s, row->k, c, mean[c], error, row->wanted[c]);
        near(mean[c], row->wanted[c], row->s > 2 ? 3 * error : 0.02);
    }
}

static void rates_of_the_scaled_down_table(void **state)
{
    /* rrs, recursive, kseq, greedy, the best with replacement, the best without */
    static const table_row rows[] = {
        {2, 2, {.756, .759, .782, .710, .843, .847}},
        {2, 4, {.833, .837, .875, .749, .955, .960}},
        {4, 2, {.545, .581, .555, .614, .572, .617}},
        {4, 4, {.629, .700, .646, .689, .677, .777}},
    };
    sonde_runtime *runtime;
    (void)state;
    OK(sonde_runtime_create(NULL, &runtime));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) expect_row(runtime, &rows[i]);
    sonde_runtime_free(runtime);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(laws_come_out_exactly),
    cmocka_unit_test(special_laws_come_out_exactly),
    cmocka_unit_test(numbers_of_the_fixed_laws),
    cmocka_unit_test(rates_are_those_of_the_rules),
    cmocka_unit_test(rates_keep_their_order),
    cmocka_unit_test(kseq_keeps_its_identity),
    cmocka_unit_test(kseq_ends_for_any_number_of_drafts),
    cmocka_unit_test(equal_laws_accept_all_and_apart_none),
    cmocka_unit_test(optimal_rates_are_the_minimum_cut),
    cmocka_unit_test(nodes_decide_as_the_plain_rules_do),
    cmocka_unit_test(one_draft_is_the_same_by_every_rule),
    cmocka_unit_test(picks_follow_the_weights),
    cmocka_unit_test(the_heaviest_come_first),
    cmocka_unit_test(rates_of_the_scaled_down_table),
};

SONDE_TEST_MAIN(tests)
