/* test_logits.c: the kernels that read a row of logits, of every set, against plain loops in double precision; and
 * that equal values get equal weights wherever they stand.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "kernel_sets.h"

enum { LOGITS_MOST = 1100 };

/* An exact-size copy, so that a sanitizer sees a read past the end. */
static float *some_logits(int64_t count, uint64_t seed)
{
    float *x = test_alloc((size_t)count, sizeof *x);
    uint64_t state = seed;
    for (int64_t i = 0; i < count; i++) x[i] = test_u64(&state) % 11 == 0 ? -INFINITY : 20 * test_normal(&state);
    x[test_u64(&state) % (uint64_t)count] = 3;
    return x;
}

static void check_max(const sonde__kernels *kernels)
{
    for (int64_t count = 1; count < LOGITS_MOST; count += count < 70 ? 1 : 37) {
        float *x = some_logits(count, (uint64_t)count), blocks[LOGITS_MOST / SONDE__LOGIT_BLOCK + 1];
        float most = kernels->logit_max(x, count, blocks), wanted = -INFINITY;
        for (int64_t b = 0; b * SONDE__LOGIT_BLOCK < count; b++) {
            float block = -INFINITY;
            for (int64_t i = b * SONDE__LOGIT_BLOCK; i < count && i < (b + 1) * SONDE__LOGIT_BLOCK; i++)
                block = fmaxf(block, x[i]);
            assert_true(blocks[b] == block);
            wanted = fmaxf(wanted, block);
        }
        assert_true(most == wanted);
        assert_true(kernels->logit_max(x, count, NULL) == wanted);
        free(x);
    }
}

/* NaN and +inf at every place are seen, -inf alone is none. */
static void check_bad(const sonde__kernels *kernels)
{
    for (int64_t count = 1; count < 600; count += 53)
        for (int64_t i = 0; i < count; i += 1 + count / 50) {
            float *x = some_logits(count, (uint64_t)count);
            x[i] = i % 2 ? NAN : INFINITY;
            assert_true(isnan(kernels->logit_max(x, count, NULL)));
            x[i] = -NAN;
            assert_true(isnan(kernels->logit_max(x, count, NULL)));
            for (int64_t j = 0; j < count; j++) x[j] = -INFINITY;
            assert_true(kernels->logit_max(x, count, NULL) == -INFINITY);
            free(x);
        }
}

static void check_sums(const sonde__kernels *kernels)
{
    for (int64_t count = 1; count < LOGITS_MOST; count += count < 70 ? 1 : 37)
        for (float scale = 0.01f; scale < 20; scale *= 3) {
            float *x = some_logits(count, (uint64_t)count), most = kernels->logit_max(x, count, NULL);
            double sums[3], wanted[3] = {0};
            for (int64_t i = 0; i < count; i++) {
                double gap = ((double)x[i] - (double)most) * (double)scale, e = gap > -87 ? exp(gap) : 0;
                for (int k = 0; k < 3 && e > 0; k++) wanted[k] += e * pow(gap, k);
            }
            kernels->logit_sums(x, count, most, scale, sums);
            for (int k = 0; k < 3; k++)
                assert_true(fabs(sums[k] - wanted[k]) <= 1e-6 * fabs(wanted[k]) + 1e-7 * wanted[0]);
            free(x);
        }
}

static void check_exp(const sonde__kernels *kernels)
{
    enum { COUNT = 20011 };
    float *x = test_alloc(COUNT, sizeof *x), *e = test_alloc(COUNT, sizeof *e), one;
    for (int64_t i = 0; i < COUNT; i++) x[i] = -(float)i * (86.9f / COUNT);
    x[COUNT - 1] = -INFINITY;
    double sum = kernels->logit_exp(x, COUNT, 0, 1, e), total = 0;
    for (int64_t i = 0; i < COUNT; i++) total += (double)e[i];
    assert_true(fabs(sum / total - 1) < 1e-12);
    for (int64_t i = 0; i < COUNT; i++) {
        double wanted = exp((double)x[i]);
        if (wanted > 0) /* the argument is rounded twice */
            assert_true(fabs((double)e[i] / wanted - 1) <= 1.5e-7 + 1.2e-7 * fabs((double)x[i]));
        assert_true(kernels->logit_exp(x + i, 1, 0, 1, &one) == (double)e[i]); /* alone, in a tail */
        assert_true(one == e[i]);
    }
    assert_true(e[0] == 1 && e[COUNT - 1] == 0);
    x[0] = -88;
    kernels->logit_exp(x, 1, 0, 1, &one);
    assert_true(one == 0);
    free(x);
    free(e);
}

/* Rounded once, so that f64 orders survive. */
static void check_nearness(const sonde__kernels *kernels)
{
    for (int64_t count = 1; count < LOGITS_MOST; count += count < 70 ? 1 : 37) {
        float *x = some_logits(count, (uint64_t)count), *near = test_alloc((size_t)count, sizeof *near);
        double most = 61.125, centre = -3.1 - 0.1 * (double)count;
        kernels->logit_nearness(x, count, most, centre, near);
        for (int64_t i = 0; i < count; i++) assert_true(near[i] == -(float)fabs(((double)x[i] - most) - centre));
        free(x);
        free(near);
    }
}

/* Levels between values, on values, below and above all. */
static void check_survey(const sonde__kernels *kernels)
{
    for (int64_t count = 1; count < LOGITS_MOST; count += count < 70 ? 1 : 37) {
        float *x = some_logits(count, (uint64_t)count), *weights = test_alloc((size_t)count, sizeof *weights);
        float levels[SONDE__LOGIT_LEVELS] = {INFINITY, 30, 20, x[0], x[count - 1], 0.5f, -20, -INFINITY};
        double masses[SONDE__LOGIT_LEVELS], none[SONDE__LOGIT_LEVELS], uncounted[SONDE__LOGIT_LEVELS];
        int64_t counts[SONDE__LOGIT_LEVELS], again[SONDE__LOGIT_LEVELS];
        kernels->logit_exp(x, count, 40, 0.1f, weights);
        kernels->logit_survey(x, weights, count, levels, masses, counts);
        kernels->logit_survey(x, NULL, count, levels, none, again);
        kernels->logit_survey(x, weights, count, levels, uncounted, NULL);
        for (int l = 0; l < SONDE__LOGIT_LEVELS; l++) {
            double mass = 0;
            int64_t number = 0;
            for (int64_t i = 0; i < count; i++)
                if (x[i] > levels[l]) {
                    mass += (double)weights[i];
                    number++;
                }
            assert_int_equal(counts[l], number);
            assert_int_equal(again[l], number);
            assert_true(fabs(masses[l] - mass) <= 1e-6 * mass);
            assert_true(none[l] == 0);
            assert_true(uncounted[l] == masses[l]);
        }
        free(x);
        free(weights);
    }
}

/* One list: what goes along with x[i] is made from i, so that a swap shows. */
static sonde__logit_list list_of(const float *x, int64_t count)
{
    sonde__logit_list list = {test_alloc((size_t)count, sizeof(float)), test_alloc((size_t)count, sizeof(float)),
                              test_alloc((size_t)count, sizeof(int32_t)), 0};
    memcpy(list.values, x, (size_t)count * sizeof *x);
    for (int64_t i = 0; i < count; i++) {
        list.weights[i] = (float)(2 * i + 1);
        list.places[i] = (int32_t)(3 * i + 5);
    }
    return list;
}

static void list_free(const sonde__logit_list *list)
{
    free(list->values);
    free(list->weights);
    free(list->places);
}

/* Those kept stand in their order, each with what belongs to it. */
static void check_kept(const float *x, int64_t count, float low, float high, const sonde__logit_list *kept,
                       int64_t kept_count, bool numbered)
{
    int64_t at = 0;
    for (int64_t i = 0; i < count; i++) {
        if (!(x[i] > low && x[i] <= high)) continue;
        assert_true(at < kept_count);
        assert_true(kept->values[at] == x[i]);
        assert_int_equal(kept->places[at], numbered ? 1000 + i : 3 * i + 5);
        if (kept->weights) assert_true(kept->weights[at] == (float)(2 * i + 1));
        at++;
    }
    assert_int_equal(at, kept_count);
}

static void check_keep(const sonde__kernels *kernels)
{
    static const float bounds[][2] = {
        {-INFINITY, INFINITY}, {0, INFINITY}, {-INFINITY, 3}, {-10, 3}, {50, 60}, {3, 3}};
    for (int64_t count = 1; count < LOGITS_MOST; count += count < 70 ? 1 : 37)
        for (size_t b = 0; b < sizeof bounds / sizeof *bounds; b++) {
            float *x = some_logits(count, (uint64_t)count), low = bounds[b][0], high = bounds[b][1];
            sonde__logit_list from = list_of(x, count), to = list_of(x, count), in_place, numbered;
            int64_t kept = kernels->logit_keep(x, count, low, high, &from, &to);
            check_kept(x, count, low, high, &to, kept, false);
            numbered = (sonde__logit_list){x, NULL, NULL, 1000};
            kept = kernels->logit_keep(x, count, low, high, &numbered, &to);
            check_kept(x, count, low, high, &(sonde__logit_list){to.values, NULL, to.places, 0}, kept, true);
            in_place = from;
            kept = kernels->logit_keep(from.values, count, low, high, &from, &in_place);
            check_kept(x, count, low, high, &in_place, kept, false);
            list_free(&from);
            list_free(&to);
            free(x);
        }
}

/* Two runs of one list, one after the other, in place: the first must not spoil what the second reads. */
static void check_runs(const sonde__kernels *kernels)
{
    for (int64_t count = 2; count < 120; count++)
        for (int64_t cut = 1; cut < count; cut += 1 + count / 9) {
            float *x = some_logits(count, (uint64_t)count);
            sonde__logit_list list = list_of(x, count);
            int64_t kept = kernels->logit_keep(x, cut, -5, INFINITY, &list, &list);
            sonde__logit_list run = {list.values + cut, list.weights + cut, list.places + cut, 0};
            sonde__logit_list next = {list.values + kept, list.weights + kept, list.places + kept, 0};
            kept += kernels->logit_keep(x + cut, count - cut, -5, INFINITY, &run, &next);
            check_kept(x, count, -5, INFINITY, &list, kept, false);
            list_free(&list);
            free(x);
        }
}

static void largest(void **unused)
{
    (void)unused;
    each_set(check_max);
}
static void bad_values(void **unused)
{
    (void)unused;
    each_set(check_bad);
}
static void sums(void **unused)
{
    (void)unused;
    each_set(check_sums);
}
static void exponentials(void **unused)
{
    (void)unused;
    each_set(check_exp);
}
static void nearness(void **unused)
{
    (void)unused;
    each_set(check_nearness);
}
static void surveys(void **unused)
{
    (void)unused;
    each_set(check_survey);
}
static void keeping(void **unused)
{
    (void)unused;
    each_set(check_keep);
    each_set(check_runs);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(largest),      cmocka_unit_test(bad_values), cmocka_unit_test(sums),
    cmocka_unit_test(exponentials), cmocka_unit_test(nearness),   cmocka_unit_test(surveys),
    cmocka_unit_test(keeping),
};

SONDE_TEST_MAIN(tests)
