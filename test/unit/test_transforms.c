/* test_transforms.c: rotations keep lengths and come back, principal components are those of a plain eigen-check,
 * normalising is exact; views, files, threads, hostile input and failing allocations for every method of the room.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "base/base.h"
#include "../failing.h"
#include "handles.h"
#include "transforms/transform.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static const char *const specs[] = {
    "normalise",  "rotation(seed=3)",       "rotation(kind=fht, seed=4)", "pca",
    "pca(dim=5)", "pca(dim=5, whiten=yes)", "pca(dim=7, center=no)",      "pca(sample=50, whiten=yes)"};

static sonde_transform *create(const char *spec, int64_t dim, sonde_runtime *runtime)
{
    sonde_transform *transform = NULL;
    OK(sonde_transform_create(spec, dim, runtime, &transform));
    return transform;
}

static sonde_status train(sonde_transform *transform, const float *x, int64_t n)
{
    sonde_array rows = sonde_f32(x, n, sonde_transform_dim(transform));
    sonde_input input = {"vectors", &rows};
    return sonde_transform_train(transform, &input, 1);
}

static sonde_transform *trained(const char *spec, int64_t dim, sonde_runtime *runtime, const float *x,
                                int64_t n)
{
    sonde_transform *transform = create(spec, dim, runtime);
    OK(train(transform, x, n));
    return transform;
}

static float *apply(const sonde_transform *transform, const float *x, int64_t n)
{
    int64_t d = sonde_transform_dim(transform), out = sonde_transform_dim_out(transform);
    float *y = test_alloc((size_t)(n * out), sizeof *y);
    sonde_array from = sonde_f32(x, n, d), to = sonde_f32(y, n, out);
    OK(sonde_transform_apply(transform, &from, &to));
    return y;
}

static float *back(const sonde_transform *transform, const float *y, int64_t n)
{
    int64_t d = sonde_transform_dim(transform), out = sonde_transform_dim_out(transform);
    float *x = test_alloc((size_t)(n * d), sizeof *x);
    sonde_array from = sonde_f32(y, n, out), to = sonde_f32(x, n, d);
    OK(sonde_transform_apply_inverse(transform, &from, &to));
    return x;
}

/* ---- what each method promises --------------------------------------------------------------------------------- */

/* Distances between rows stay, the way back is exact up to rounding, and columns are really mixed. */
static void check_rotation(const char *spec, int64_t d)
{
    enum { N = 37 };
    float *x = test_vectors(N, d, 2, 5);
    sonde_transform *transform = create(spec, d, NULL);
    assert_true(sonde_transform_trained(transform));
    int64_t out = sonde_transform_dim_out(transform);
    float *y = apply(transform, x, N), *again = back(transform, y, N);
    for (int64_t i = 0; i < N; i++) {
        double scale = test_dot(x + i * d, x + i * d, d) + test_dot(x, x, d);
        assert_true(fabs(test_distance(x, x + i * d, d) - test_distance(y, y + i * out, out)) <=
                    2e-5 * scale);
        assert_true(test_distance(x + i * d, again + i * d, d) <= 1e-10 * scale);
    }
    if (d >= 64) {
        memset(x, 0, (size_t)d * sizeof *x);
        x[d / 2] = 1;
        float *spread = apply(transform, x, 1);
        for (int64_t j = 0; j < out; j++) assert_true(fabsf(spread[j]) < 0.75f);
        free(spread);
    }
    free(x), free(y), free(again);
    sonde_transform_free(transform);
}

static void test_rotation(void **state)
{
    (void)state;
    for (int64_t d = 1; d <= 130; d += d < 8 ? 1 : 11) {
        check_rotation("rotation", d);
        check_rotation("rotation(kind=fht)", d);
    }
    check_rotation("rotation(kind=fht)", 384);
}

static void test_rotation_seeds(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"rotation(seed=1)", "rotation(seed=2)"},
                                           {"rotation(kind=fht, seed=1)", "rotation(kind=fht, seed=2)"}};
    enum { D = 70 };
    float *x = test_vectors(1, D, 0, 6);
    for (int p = 0; p < COUNT(pairs); p++) {
        sonde_transform *a = create(pairs[p][0], D, NULL), *b = create(pairs[p][1], D, NULL),
                        *c = create(pairs[p][0], D, NULL);
        float *ya = apply(a, x, 1), *yb = apply(b, x, 1), *yc = apply(c, x, 1);
        size_t bytes = (size_t)sonde_transform_dim_out(a) * sizeof *ya;
        assert_memory_equal(ya, yc, bytes);
        assert_memory_not_equal(ya, yb, bytes);
        free(ya), free(yb), free(yc);
        sonde_transform_free(a), sonde_transform_free(b), sonde_transform_free(c);
    }
    free(x);
}

/* Rows with known principal axes: `rank` directions of falling deviation, off the origin, with a little noise. */
static float *stretched(int64_t n, int64_t d, int rank, uint64_t seed)
{
    float *axes = test_vectors(rank, d, 0, seed), *x = test_vectors(n, d, 0, seed + 1);
    uint64_t state = seed + 2;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < d; j++) x[i * d + j] = 0.05f * x[i * d + j] + (j % 3 ? 4.0f : -7.0f);
        for (int a = 0; a < rank; a++) {
            float amount = test_normal(&state) * 3.0f / (float)(1 << a);
            for (int64_t j = 0; j < d; j++) x[i * d + j] += amount * axes[a * d + j];
        }
    }
    free(axes);
    return x;
}

/* Covariance of the output columns in double. */
static double covariance(const float *y, int64_t n, int64_t d, int64_t a, int64_t b)
{
    double sum_a = 0, sum_b = 0, sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum_a += y[i * d + a];
        sum_b += y[i * d + b];
    }
    for (int64_t i = 0; i < n; i++)
        sum += (y[i * d + a] - sum_a / (double)n) * (y[i * d + b] - sum_b / (double)n);
    return sum / (double)n;
}

/* Components are uncorrelated, of falling variance, centred, and hold the total variance. */
static void test_pca_components(void **state)
{
    (void)state;
    enum { N = 500, D = 12 };
    float *x = stretched(N, D, 4, 11);
    sonde_transform *transform = trained("pca", D, NULL, x, N);
    float *y = apply(transform, x, N), *again = back(transform, y, N);
    double total = 0, kept = 0, last = INFINITY;
    for (int64_t j = 0; j < D; j++) total += covariance(x, N, D, j, j);
    for (int64_t a = 0; a < D; a++) {
        double own = covariance(y, N, D, a, a), mean = 0;
        for (int64_t i = 0; i < N; i++) mean += y[i * D + a];
        assert_true(own <= last * (1 + 1e-6));
        assert_true(fabs(mean / N) < 1e-4 * sqrt(total));
        for (int64_t b = 0; b < a; b++) assert_true(fabs(covariance(y, N, D, a, b)) < 1e-5 * total);
        kept += own;
        last = own;
    }
    assert_true(fabs(kept - total) < 1e-5 * total);
    for (int64_t i = 0; i < N * D; i++) assert_true(fabsf(x[i] - again[i]) < 1e-3f);
    free(x), free(y), free(again);
    sonde_transform_free(transform);
}

/* Rows of a rank come back from as many components; the axes' signs are fixed. */
static void test_pca_reduces(void **state)
{
    (void)state;
    enum { N = 400, D = 20, RANK = 4 };
    float *x = stretched(N, D, RANK, 21);
    double total = 0, error, last = INFINITY;
    for (int64_t j = 0; j < D; j++) total += N * covariance(x, N, D, j, j);
    for (int dim = 1; dim <= RANK; dim++) {
        char spec[32];
        snprintf(spec, sizeof spec, "pca(dim=%d)", dim);
        sonde_transform *transform = trained(spec, D, NULL, x, N);
        assert_int_equal(sonde_transform_dim_out(transform), dim);
        float *y = apply(transform, x, N), *again = back(transform, y, N), axis[D], unit[RANK] = {0}, zero[D];
        sonde_array one = sonde_f32(unit, 1, dim), out = sonde_f32(axis, 1, D),
                    origin = sonde_f32(zero, 1, D);
        OK(sonde_transform_apply_inverse(transform, &one, &origin)); /* the mean */
        for (int a = 0; a < dim; a++) {
            unit[a] = 1;
            OK(sonde_transform_apply_inverse(transform, &one, &out));
            unit[a] = 0;
            float largest = 0;
            for (int64_t j = 0; j < D; j++)
                if (fabsf(axis[j] - zero[j]) > fabsf(largest)) largest = axis[j] - zero[j];
            assert_true(largest > 0);
        }
        error = test_distance(x, again, N * D);
        assert_true(error < last);
        last = error;
        free(y), free(again);
        sonde_transform_free(transform);
    }
    assert_true(last < 1e-3 * total);
    free(x);
}

/* The way back is least squares: what is left over is orthogonal to every axis. */
static void test_pca_back_is_least_squares(void **state)
{
    (void)state;
    enum { N = 200, D = 15 };
    float *x = stretched(N, D, 6, 31);
    static const char *const cases[] = {"pca(dim=3)", "pca(dim=3, whiten=yes)", "pca(dim=3, center=no)"};
    for (int c = 0; c < COUNT(cases); c++) {
        sonde_transform *transform = trained(cases[c], D, NULL, x, N);
        float *y = apply(transform, x, N), *near = back(transform, y, N), *again = apply(transform, near, N);
        for (int64_t i = 0; i < N * 3; i++) assert_true(fabsf(y[i] - again[i]) < 2e-3f * (1 + fabsf(y[i])));
        free(y), free(near), free(again);
        sonde_transform_free(transform);
    }
    free(x);
}

static void test_pca_whitens(void **state)
{
    (void)state;
    enum { N = 600, D = 10 };
    float *x = stretched(N, D, 3, 41);
    sonde_transform *transform = trained("pca(whiten=yes)", D, NULL, x, N);
    float *y = apply(transform, x, N);
    for (int64_t a = 0; a < D; a++)
        for (int64_t b = 0; b <= a; b++) assert_true(fabs(covariance(y, N, D, a, b) - (a == b)) < 2e-3);
    free(x), free(y);
    sonde_transform_free(transform);
}

/* Constant columns, one row, all rows equal, fewer rows than columns: finite, and the training rows come back. */
static void test_pca_degenerate(void **state)
{
    (void)state;
    enum { D = 9 };
    static const char *const cases[] = {"pca", "pca(whiten=yes)", "pca(center=no, whiten=yes)"};
    float *x = test_vectors(4, D, 0, 51);
    for (int64_t i = 0; i < 4; i++) x[i * D + 2] = 1.5f;
    for (int c = 0; c < COUNT(cases); c++)
        for (int64_t n = 1; n <= 4; n++)
            for (int equal = 0; equal < 2; equal++) {
                float rows[4 * D];
                for (int64_t i = 0; i < n * D; i++) rows[i] = x[equal ? i % D : i];
                sonde_transform *transform = trained(cases[c], D, NULL, rows, n);
                float *y = apply(transform, rows, n), *again = back(transform, y, n);
                for (int64_t i = 0; i < n * D; i++) {
                    assert_true(isfinite(y[i]));
                    assert_true(fabsf(again[i] - rows[i]) < 1e-3f);
                }
                free(y), free(again);
                sonde_transform_free(transform);
            }
    free(x);
}

static void test_normalise(void **state)
{
    (void)state;
    static const float scales[] = {1, 0, 1e-30f, 1e30f, 1e-44f, 3e37f, -5};
    for (int64_t d = 1; d <= 130; d += 3) {
        float *x = test_vectors(COUNT(scales), d, 0, 61);
        for (int64_t i = 0; i < COUNT(scales) * d; i++) x[i] = fmaxf(-9, fminf(9, x[i])) * scales[i / d];
        sonde_transform *transform = create("normalise", d, NULL);
        assert_int_equal(sonde_transform_dim_out(transform), d);
        float *y = apply(transform, x, COUNT(scales));
        for (int64_t i = 0; i < COUNT(scales); i++) {
            const float *from = x + i * d, *to = y + i * d;
            double length = sqrt(test_dot(from, from, d));
            for (int64_t j = 0; j < d; j++)
                assert_true(fabs(to[j] - (length > 0 ? from[j] / length : 0)) <= 2e-7);
        }
        free(x), free(y);
        sonde_transform_free(transform);
    }
}

/* ---- arguments ------------------------------------------------------------------------------------------------- */

static void test_bad_arguments(void **state)
{
    (void)state;
    enum { N = 8, D = 6 };
    static const struct { const char *spec; int64_t dim; sonde_status status; const char *words; } cases[] = {
        {NULL, 8, SONDE_INVALID_ARGUMENT, "NULL"},
        {"normalise", 0, SONDE_INVALID_ARGUMENT, "dim=0"},
        {"normalise", 65537, SONDE_INVALID_ARGUMENT, "dim=65537"},
        {"normalize", 8, SONDE_NOT_FOUND, "normalise"},
        {"pca(dim=9)", 8, SONDE_INVALID_ARGUMENT, "pca: dim=9 is more than the 8 columns"},
        {"pca(dim=0)", 8, SONDE_INVALID_ARGUMENT, "dim"},
        {"rotation(kind=fast)", 8, SONDE_INVALID_ARGUMENT, "dense"},
    };
    sonde_transform *transform = NULL;
    for (int c = 0; c < COUNT(cases); c++)
        FAILS(sonde_transform_create(cases[c].spec, cases[c].dim, NULL, &transform), cases[c].status,
              cases[c].words);
    assert_null(transform);
    FAILS(sonde_transform_create("pca", 8, NULL, NULL), SONDE_INVALID_ARGUMENT, "NULL");

    float *x = test_vectors(2 * N, D, 0, 71), y[2 * N * D] = {0};
    transform = create("pca(dim=2)", D, NULL);
    sonde_array rows = sonde_f32(x, N, D), out = sonde_f32(y, N, 2), wide = sonde_f32(y, N, 3),
                none = sonde_f32(x, 0, D);
    sonde_input empty = {"vectors", &none}, input = {"vectors", &rows}, wrong = {"queries", &rows};
    FAILS(sonde_transform_apply(transform, &rows, &out), SONDE_STATE, "sonde_transform_train");
    FAILS(sonde_transform_apply_inverse(transform, &out, &rows), SONDE_STATE, "sonde_transform_train");
    FAILS(sonde_transform_train(transform, &empty, 1), SONDE_INVALID_ARGUMENT, "at least 1");
    FAILS(sonde_transform_train(transform, &wrong, 1), SONDE_NOT_FOUND, "vectors");
    x[5] = NAN;
    FAILS(sonde_transform_train(transform, &input, 1), SONDE_INVALID_ARGUMENT, "row 0");
    assert_false(sonde_transform_trained(transform));
    x[5] = 0;
    OK(sonde_transform_train(transform, &input, 1));
    FAILS(sonde_transform_apply(transform, &rows, &wide), SONDE_INVALID_ARGUMENT, "apply: out");
    out.rows = N - 1;
    FAILS(sonde_transform_apply(transform, &rows, &out), SONDE_INVALID_ARGUMENT, "out has 7 rows, in 8");
    out.rows = N;
    x[N * D - 1] = INFINITY;
    FAILS(sonde_transform_apply(transform, &rows, &out), SONDE_INVALID_ARGUMENT, "row 7");
    for (int i = 0; i < 2 * N; i++) assert_true(y[i] == 0);
    x[N * D - 1] = 0;
    sonde_transform_free(transform);

    transform = create("normalise", D, NULL);
    sonde_array shifted = sonde_f32(x + 1, N, D);
    FAILS(sonde_transform_apply_inverse(transform, &rows, &shifted), SONDE_UNSUPPORTED, "normalise");
    FAILS(sonde_transform_apply(transform, &rows, &shifted), SONDE_INVALID_ARGUMENT, "overlaps");
    OK(sonde_transform_train(transform, &input, 1)); /* nothing to learn, but nothing wrong either */
    rows.rows = shifted.rows = 0;
    OK(sonde_transform_apply(transform, &rows, &shifted));
    sonde_transform_free(transform);
    free(x);

    assert_int_equal(sonde_transform_dim(NULL), 0);
    assert_int_equal(sonde_transform_dim_out(NULL), 0);
    assert_false(sonde_transform_trained(NULL));
    assert_string_equal(sonde_transform_spec(NULL), "");
    sonde_transform_free(NULL);
    FAILS(sonde_transform_train(NULL, NULL, 0), SONDE_INVALID_ARGUMENT, "NULL");
    FAILS(sonde_transform_apply(NULL, &rows, &rows), SONDE_INVALID_ARGUMENT, "NULL");
    FAILS(sonde_transform_apply_inverse(NULL, &rows, &rows), SONDE_INVALID_ARGUMENT, "NULL");
    FAILS(sonde_transform_save(NULL, "x"), SONDE_INVALID_ARGUMENT, "NULL");
    FAILS(sonde_transform_open(NULL, NULL, NULL, NULL), SONDE_INVALID_ARGUMENT, "NULL");
}

/* Every element type with an odd stride; outputs with an odd stride; and output over input. */
static void test_views(void **state)
{
    (void)state;
    static const uint32_t dtypes[] = {SONDE_DTYPE_F32, SONDE_DTYPE_F16, SONDE_DTYPE_BF16, SONDE_DTYPE_I8,
                                      SONDE_DTYPE_U8};
    enum { N = 90, D = 19 };
    for (int s = 0; s < COUNT(specs); s++)
        for (int t = 0; t < COUNT(dtypes); t++) {
            float *x, value;
            sonde_array view = test_odd_view(dtypes[t], N, D, 81, &x);
            sonde_transform *plain = trained(specs[s], D, NULL, x, N), *odd = create(specs[s], D, NULL);
            sonde_input input = {"vectors", &view};
            OK(sonde_transform_train(odd, &input, 1));
            int64_t cols = sonde_transform_dim_out(odd);
            float *wanted = apply(plain, x, N);
            sonde_array out = sonde_array_of(SONDE_DTYPE_F32, NULL, N, cols);
            out.stride += 7;
            uint8_t *loose = test_alloc((size_t)(N * out.stride + 1), 1);
            out.data = loose + 1;
            OK(sonde_transform_apply(odd, &view, &out));
            for (int64_t i = 0; i < N * cols; i++) {
                memcpy(&value, loose + 1 + i / cols * out.stride + i % cols * 4, sizeof value);
                assert_true(value == wanted[i]);
            }
            if (cols == D) {
                sonde_array same = sonde_f32(x, N, D);
                OK(sonde_transform_apply(plain, &same, &same));
                assert_memory_equal(x, wanted, N * D * sizeof *x);
            }
            free(wanted), free(loose);
            test_free_odd_view(&view, x);
            sonde_transform_free(plain), sonde_transform_free(odd);
        }
}

/* A row's image must not depend on the rows beside it. */
static void test_rows_are_independent(void **state)
{
    (void)state;
    enum { N = 70, D = 33 };
    float *x = test_vectors(N, D, 0, 91);
    for (int s = 0; s < COUNT(specs); s++) {
        sonde_transform *transform = trained(specs[s], D, NULL, x, N);
        int64_t out = sonde_transform_dim_out(transform);
        float *all = apply(transform, x, N);
        for (int64_t i = 0; i < N; i += 23) {
            float *one = apply(transform, x + i * D, 1);
            assert_memory_equal(one, all + i * out, (size_t)out * sizeof *one);
            free(one);
        }
        free(all);
        sonde_transform_free(transform);
    }
    free(x);
}

/* ---- threads, files, failures ---------------------------------------------------------------------------------- */

static void test_threads(void **state)
{
    (void)state;
    static const uint32_t threads[] = {1, 2, 7};
    enum { N = 2500, D = 24 };
    float *x = test_vectors(N, D, 6, 101), *first = NULL;
    char path[2][256];
    for (int s = 0; s < COUNT(specs); s++)
        for (int t = 0; t < COUNT(threads); t++) {
            sonde_runtime *runtime = test_runtime(threads[t]);
            sonde_transform *transform = trained(specs[s], D, runtime, x, N);
            float *y = apply(transform, x, N);
            OK(sonde_transform_save(transform, test_path(path[t > 0], sizeof path[0], t ? "b" : "a")));
            if (t) {
                assert_memory_equal(first, y, (size_t)(N * sonde_transform_dim_out(transform)) * sizeof *y);
                test_same_files(path[0], path[1]);
                free(y);
            } else {
                free(first);
                first = y;
            }
            sonde_transform_free(transform);
            sonde_runtime_free(runtime);
        }
    unlink(path[0]);
    unlink(path[1]);
    free(first), free(x);
}

static void check_reopened(const sonde_transform *transform, const char *path, const char *again,
                           const float *x, int64_t n)
{
    sonde_open_options options[2] = {SONDE_OPEN_OPTIONS_INIT, SONDE_OPEN_OPTIONS_INIT};
    options[1].mode = SONDE_OPEN_MMAP;
    for (int mode = 0; mode < 2; mode++) {
        sonde_transform *opened = NULL;
        OK(sonde_transform_open(path, &options[mode], NULL, &opened));
        assert_string_equal(sonde_transform_spec(opened), sonde_transform_spec(transform));
        assert_int_equal(sonde_transform_dim(opened), sonde_transform_dim(transform));
        assert_int_equal(sonde_transform_dim_out(opened), sonde_transform_dim_out(transform));
        assert_int_equal(sonde_transform_trained(opened), sonde_transform_trained(transform));
        if (sonde_transform_trained(transform)) {
            float *a = apply(transform, x, n), *b = apply(opened, x, n);
            assert_memory_equal(a, b, (size_t)(n * sonde_transform_dim_out(transform)) * sizeof *a);
            free(a), free(b);
        }
        OK(sonde_transform_save(opened, again));
        test_same_files(path, again);
        sonde_transform_free(opened);
    }
}

static void test_files(void **state)
{
    (void)state;
    enum { N = 120, D = 21 };
    float *x = test_vectors(N, D, 3, 111);
    char path[256], again[256];
    test_path(path, sizeof path, "a");
    test_path(again, sizeof again, "b");
    for (int s = 0; s < COUNT(specs); s++) {
        sonde_transform *transform = create(specs[s], D, NULL);
        OK(sonde_transform_save(transform, path));
        check_reopened(transform, path, again, x, N);
        OK(train(transform, x, N));
        OK(sonde_transform_save(transform, path));
        check_reopened(transform, path, again, x, N);
        sonde_transform_free(transform);
    }
    sonde_quantizer *other = NULL;
    FAILS(sonde_quantizer_open(path, NULL, NULL, &other), SONDE_INCOMPATIBLE, path);
    unlink(path);
    unlink(again);
    free(x);
}

/* Files written by hand around what save would write: each must be refused with CORRUPT. */
static void test_hostile_files(void **state)
{
    (void)state;
    static const float good[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, bad[16] = {NAN},
                       zero[4] = {0};
    static const struct {
        const char *spec;
        int64_t dim;
        const float *mean, *axes, *scale;
        uint64_t axes_count;
        const char *axes_tag;
    } cases[] = {{"pca", 4, good, good, zero, 16, "AXES"},
                 {"pca", 4, good, bad, good, 16, "AXES"},
                 {"pca", 4, bad, good, good, 16, "AXES"},
                 {"pca", 4, good, good, good, 15, "AXES"},
                 {"pca", 4, good, good, good, 16, "AXIS"},
                 {"pca(dim=5)", 4, good, good, good, 16, "AXES"},
                 {"pca", 70000, good, good, good, 16, "AXES"},
                 {"rotation", 4, good, bad, good, 16, "ROTATION"},
                 {"rotation", 65536, good, good, good, 16, "ROTATION"},
                 {"rotation(kind=fht)", 4, good, good, good, 16, "SIGNS"}};
    char path[256];
    sonde_transform *transform = NULL;
    sonde_runtime *runtime = test_runtime(1);
    test_path(path, sizeof path, "hostile");
    for (int c = 0; c < COUNT(cases); c++) {
        sonde__writer *writer;
        OK(sonde__writer_create(runtime, path, "transform", cases[c].spec, &writer));
        OK(sonde__write_int(writer, "dim", cases[c].dim));
        OK(sonde__write_int(writer, "trained", 1));
        OK(sonde__write_array(writer, cases[c].axes_tag, cases[c].axes, cases[c].axes_count, 4));
        OK(sonde__write_array(writer, "MEAN", cases[c].mean, 4, 4));
        OK(sonde__write_array(writer, "SCALE", cases[c].scale, 4, 4));
        OK(sonde__writer_finish(writer));
        FAILS(sonde_transform_open(path, NULL, runtime, &transform), SONDE_CORRUPT, path);
        assert_null(transform);
    }
    unlink(path);
    sonde_runtime_free(runtime);
}

static void test_children(void **state)
{
    (void)state;
    enum { N = 30, D = 12 };
    float *x = test_vectors(N, D, 0, 121);
    char path[256];
    sonde_runtime *runtime = test_runtime(1);
    sonde_transform *a = trained("pca(dim=3)", D, runtime, x, N), *read = NULL;
    sonde__writer *writer;
    sonde__reader *reader;
    test_path(path, sizeof path, "children");
    OK(sonde__writer_create(runtime, path, "index", "flat", &writer));
    OK(sonde__transform_write(a, writer, "turn"));
    OK(sonde__writer_finish(writer));
    OK(sonde__reader_open(runtime, path, NULL, 0, NULL, "index", &reader));
    OK(sonde__transform_read(runtime, reader, "turn", &read));
    sonde__reader_close(reader);
    float *y = apply(a, x, N), *again = apply(read, x, N);
    assert_memory_equal(y, again, N * 3 * sizeof *y);
    free(x), free(y), free(again);
    sonde_transform_free(a), sonde_transform_free(read);
    sonde_runtime_free(runtime);
    unlink(path);
}

static const char *scene_spec;

static sonde_status scene_use(sonde_transform *transform, sonde_runtime *runtime, const float *x, int64_t n)
{
    static float y[10 * 64], z[10 * 12];
    char path[256];
    int64_t d = sonde_transform_dim(transform);
    sonde_array few = sonde_f32(x, 10, d), out = sonde_f32(y, 10, sonde_transform_dim_out(transform));
    sonde_array again = sonde_f32(z, 10, d);
    sonde_transform *opened = NULL;
    SONDE_TRY(train(transform, x, n));
    SONDE_TRY(sonde_transform_apply(transform, &few, &out));
    if (transform->method->apply_inverse) SONDE_TRY(sonde_transform_apply_inverse(transform, &out, &again));
    SONDE_TRY(sonde_transform_save(transform, test_path(path, sizeof path, "scene")));
    sonde_status status = sonde_transform_open(path, NULL, runtime, &opened);
    sonde_transform_free(opened);
    unlink(path);
    return status;
}

static sonde_status scene(sonde_runtime_options *options)
{
    enum { N = 40, D = 12 };
    sonde_runtime *runtime = NULL;
    sonde_transform *transform = NULL;
    options->threads = 1;
    SONDE_TRY(sonde_runtime_create(options, &runtime));
    float *x = test_vectors(N, D, 0, 131);
    sonde_status status = sonde_transform_create(scene_spec, D, runtime, &transform);
    if (status == SONDE_OK) status = scene_use(transform, runtime, x, N);
    sonde_transform_free(transform);
    sonde_runtime_free(runtime);
    free(x);
    return status;
}

static void test_failing_allocations(void **state)
{
    (void)state;
    static const char *const small[] = {"normalise", "rotation", "rotation(kind=fht)", "pca(dim=4)",
                                        "pca(sample=20, whiten=yes)"};
    for (int s = 0; s < COUNT(small); s++) {
        scene_spec = small[s];
        assert_true(failing_walk(scene) > 5);
    }
}

static void test_failed_training_keeps_the_old(void **state)
{
    (void)state;
    enum { N = 200, D = 16 };
    float *x = test_vectors(N, D, 4, 141), *y = test_vectors(N, D, 4, 142);
    failing_allocator memory = {0};
    sonde_runtime_options options = failing_options(&memory);
    sonde_runtime *runtime = NULL;
    OK(sonde_runtime_create(&options, &runtime));
    sonde_transform *transform = trained("pca(dim=5, whiten=yes)", D, runtime, x, N);
    float *before = apply(transform, x, N), *after;
    for (int n = 1; n <= 6; n++) {
        memory.fail_at = memory.calls + n;
        assert_int_equal(train(transform, y, N), SONDE_OUT_OF_MEMORY);
    }
    memory.fail_at = 0;
    after = apply(transform, x, N);
    assert_memory_equal(before, after, N * 5 * sizeof *before);
    free(before), free(after), free(x), free(y);
    sonde_transform_free(transform);
    sonde_runtime_free(runtime);
    assert_int_equal(memory.blocks, 0);
}

static const struct CMUnitTest table[] = {
    cmocka_unit_test(test_rotation),
    cmocka_unit_test(test_rotation_seeds),
    cmocka_unit_test(test_pca_components),
    cmocka_unit_test(test_pca_reduces),
    cmocka_unit_test(test_pca_back_is_least_squares),
    cmocka_unit_test(test_pca_whitens),
    cmocka_unit_test(test_pca_degenerate),
    cmocka_unit_test(test_normalise),
    cmocka_unit_test(test_bad_arguments),
    cmocka_unit_test(test_views),
    cmocka_unit_test(test_rows_are_independent),
    cmocka_unit_test(test_threads),
    cmocka_unit_test(test_files),
    cmocka_unit_test(test_hostile_files),
    cmocka_unit_test(test_children),
    cmocka_unit_test(test_failing_allocations),
    cmocka_unit_test(test_failed_training_keeps_the_old),
};
SONDE_TEST_MAIN(table)
