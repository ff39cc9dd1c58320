/* test_logits.c: the kernels that read a row of logits, of every set, against plain loops in double precision; and
 * that equal values get equal weights wherever they stand.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "kernels/kernels.h"
#include "test.h"

enum { LOGITS_MOST = 1100 };

/* Runs a check on each set that this processor runs. */
static void each_set(void (*check)(const sonde__kernels *kernels))
{
    for (const sonde__kernels *const *set = sonde__kernels_all(); *set; set++)
        if (sonde__kernels_run(*set) && (*set)->logit_max) check(*set);
}

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
    kernels->logit_exp(x, COUNT, 0, 1, e);
    for (int64_t i = 0; i < COUNT; i++) {
        double wanted = exp((double)x[i]);
        if (wanted > 0) /* the argument is rounded twice */
            assert_true(fabs((double)e[i] / wanted - 1) <= 1.5e-7 + 1.2e-7 * fabs((double)x[i]));
        kernels->logit_exp(x + i, 1, 0, 1, &one); /* alone, in a tail */
        assert_true(one == e[i]);
    }
    assert_true(e[0] == 1 && e[COUNT - 1] == 0);
    x[0] = -88;
    kernels->logit_exp(x, 1, 0, 1, &one);
    assert_true(one == 0);
    free(x);
    free(e);
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

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(largest),
    cmocka_unit_test(bad_values),
    cmocka_unit_test(sums),
    cmocka_unit_test(exponentials),
};

SONDE_TEST_MAIN(tests)
