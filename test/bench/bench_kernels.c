/* bench_kernels.c: how fast the hot loops run here, for each instruction set that this processor has.
 *
 * Prints nanoseconds for each vector with the data in the L2 cache, GFLOP/s of the tile products, and GB/s of one query
 * scanning more memory than the caches hold, beside what plain reading and copying reach. One thread; give a set's name
 * to see only that one.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"

enum { CACHE_BYTES = 192 * 1024, PANELS = 8 };
static const int64_t stream_bytes = (int64_t)256 << 20;
static const int64_t dims[] = {96, 128, 384, 768};
enum { DIMS = sizeof dims / sizeof dims[0] };

static volatile double sink; /* keeps results alive */

/* One measured piece of work: the best of many rounds of a millisecond, so that a busy machine disturbs only some. */
typedef struct work {
    void (*run)(const struct work *work);
    const sonde__kernels *k;
    int64_t n, d, stride;
    int kind;
    const void *rows;
    const float *query;
    const int64_t *offsets;
    void *out;
    uint32_t *hits;
} work;

static double seconds_of(const work *w)
{
    double best = 1e30, begin = sonde__os_seconds();
    int64_t times = 1;
    for (int round = 0; round < 40;) {
        double start = sonde__os_seconds();
        for (int64_t i = 0; i < times; i++) w->run(w);
        double elapsed = sonde__os_seconds() - start;
        if (elapsed < 0.001) {
            times *= elapsed < 0.0001 ? 8 : 2;
            continue;
        }
        if (elapsed / (double)times < best) best = elapsed / (double)times;
        if (++round >= 5 && sonde__os_seconds() - begin > 1) break;
    }
    return best;
}

static void run_ip(const work *w) { w->k->ip_rows[w->kind](w->query, w->rows, w->stride, w->n, w->d, w->out); }
static void run_l2(const work *w) { w->k->l2_rows[w->kind](w->query, w->rows, w->stride, w->n, w->d, w->out); }
static void run_gather(const work *w) { w->k->ip_gather[w->kind](w->query, w->rows, w->offsets, w->n, w->d, w->out); }
static void run_ip_i8(const work *w) { w->k->ip_i8(w->rows, w->rows, w->stride, w->n, w->d, w->out); }
static void run_l2_u8(const work *w) { w->k->l2_u8(w->rows, w->rows, w->stride, w->n, w->d, w->out); }
static void run_u8s8(const work *w) { w->k->ip_u8s8(w->rows, w->rows, w->stride, w->n, w->d, w->out); }
static void run_hamming(const work *w) { w->k->hamming(w->rows, w->rows, w->stride, w->n, w->d, w->out); }
static void run_lookup_8(const work *w) { w->k->lookup_8(w->query, w->rows, w->stride, w->n, w->d, w->out); }
static void run_lookup_4(const work *w) { w->k->lookup_4(w->query, w->rows, w->stride, w->n, w->d, w->out); }
static void run_tile(const work *w) { w->k->tile_f32(w->query, w->rows, w->stride, w->n, w->d, w->out); }
static void run_tile_8(const work *w)
{
    w->k->tile_u8s8((const int8_t *)w->query, w->rows, w->stride, w->n, w->d, w->out);
}
static void run_select(const work *w)
{
    float threshold[SONDE__LANES_MAX];
    for (int i = 0; i < SONDE__LANES_MAX; i++) threshold[i] = 1e30f;
    sink += (double)w->k->tile_select(w->out, w->n, w->k->lanes, NULL, w->query, threshold, w->hits);
}
static void run_above(const work *w) { sink += (double)w->k->above(w->rows, w->n, 1e30f, w->out); }
static void run_nearest(const work *w)
{
    float score[4096], bias[PANELS * SONDE__LANES_MAX] = {0};
    w->k->nearest_f32(w->query, bias, PANELS, w->rows, w->stride, w->n, w->d, w->out, score, NULL);
}
static void run_crc(const work *w) { sink += w->k->crc32c(0, w->rows, (uint64_t)w->n); }
static void run_fht(const work *w)
{
    memcpy(w->out, w->rows, (size_t)w->d * sizeof(float));
    w->k->fht(w->out, w->d);
}
static void run_copy(const work *w) { memcpy(w->out, w->rows, (size_t)w->n); }
static void run_read(const work *w)
{
    const uint64_t *x = w->rows;
    uint64_t sum[8] = {0};
    for (int64_t i = 0; i < w->n / 8; i += 8) {
        for (int lane = 0; lane < 8; lane++) sum[lane] += x[i + lane];
    }
    for (int lane = 0; lane < 8; lane++) sink += (double)sum[lane];
}

static void *filled(int64_t count)
{
    float *x = sonde__os_alloc((size_t)count * sizeof *x, 64);
    if (!x) {
        fprintf(stderr, "bench_kernels: out of memory\n");
        exit(1);
    }
    for (int64_t i = 0; i < count; i++) x[i] = (float)(i % 251) / 251;
    return x;
}

/* A line of nanoseconds a vector, one column a dimension. */
static void per_vector(const char *name, work w, void (*run)(const work *), int64_t element_bytes)
{
    printf("  %-22s", name);
    for (int i = 0; i < DIMS; i++) {
        w.run = run;
        w.d = dims[i];
        w.stride = dims[i] * element_bytes;
        w.n = CACHE_BYTES / w.stride;
        printf("%9.2f", seconds_of(&w) * 1e9 / (double)w.n);
    }
    printf("  ns\n");
}

static void show_vectors(const work *w)
{
    static const char *const kinds[] = {"f32", "f16", "bf16", "i8", "u8"};
    static const int64_t bytes[] = {4, 2, 2, 1, 1};
    for (int kind = 0; kind < SONDE__ROW_KINDS; kind++) {
        work v = *w;
        char name[32];
        v.kind = kind;
        snprintf(name, sizeof name, "ip_rows %s", kinds[kind]);
        per_vector(name, v, run_ip, bytes[kind]);
        snprintf(name, sizeof name, "l2_rows %s", kinds[kind]);
        per_vector(name, v, run_l2, bytes[kind]);
    }
    per_vector("ip_i8", *w, run_ip_i8, 1);
    per_vector("l2_u8", *w, run_l2_u8, 1);
    per_vector("ip_u8s8", *w, run_u8s8, 1);
    per_vector("hamming (d bytes)", *w, run_hamming, 1);
    per_vector("lookup_8 (m = d)", *w, run_lookup_8, 1);
    per_vector("lookup_4 (m = d)", *w, run_lookup_4, 1);
}

static void show_rate(const char *name, work w, void (*run)(const work *), double units, const char *unit)
{
    w.run = run;
    printf("  %-22s%9.1f  %s\n", name, units / seconds_of(&w) * 1e-9, unit);
}

static void show_tiles(const work *w)
{
    static const int64_t tile_dims[] = {8, 16, 32, 96, 128, 384, 512, 768, 1024};
    for (size_t i = 0; i < sizeof tile_dims / sizeof tile_dims[0]; i++) {
        work v = *w;
        char name[32];
        v.d = tile_dims[i];
        v.stride = 4 * v.d;
        v.n = sonde__min_i64(240, CACHE_BYTES / v.stride);
        double products = (double)v.n * (double)v.d * (double)w->k->lanes;
        snprintf(name, sizeof name, "tile_f32 d=%lld", (long long)v.d);
        show_rate(name, v, run_tile, 2 * products, "GFLOP/s");
        snprintf(name, sizeof name, "nearest_f32 d=%lld", (long long)v.d);
        show_rate(name, v, run_nearest, 2 * products * PANELS, "GFLOP/s");
        snprintf(name, sizeof name, "tile_u8s8 d=%lld", (long long)v.d);
        v.stride = v.d;
        show_rate(name, v, run_tile_8, 2 * products, "GOP/s");
    }
}

static void show_others(const work *w)
{
    work v = *w;
    v.n = 96;
    show_rate("tile_select", v, run_select, (double)(v.n * w->k->lanes), "G scores/s");
    v.n = 16384;
    show_rate("above", v, run_above, (double)v.n, "G values/s");
    v.n = CACHE_BYTES;
    show_rate("crc32c", v, run_crc, (double)v.n, "GB/s");
    for (v.d = 128; v.d <= 1024; v.d *= 2) {
        char name[32];
        v.run = run_fht;
        snprintf(name, sizeof name, "fht n=%lld", (long long)v.d);
        printf("  %-22s%9.1f  ns\n", name, seconds_of(&v) * 1e9);
    }
}

static void show_stream(const work *w, const void *data)
{
    work v = *w;
    v.rows = data;
    v.kind = SONDE__ROW_F32;
    v.d = 384;
    v.stride = 4 * v.d;
    v.n = stream_bytes / v.stride;
    int64_t *offsets = filled(v.n * 2);
    for (int64_t i = 0; i < v.n; i++) offsets[i] = (int64_t)((uint64_t)i * 7919 % (uint64_t)v.n) * v.stride;
    v.offsets = offsets;
    show_rate("scan f32 d=384", v, run_ip, (double)stream_bytes, "GB/s");
    show_rate("gather f32 d=384", v, run_gather, (double)stream_bytes, "GB/s");
    v.kind = SONDE__ROW_U8;
    v.stride = v.d;
    v.n = stream_bytes / v.stride;
    show_rate("scan u8 d=384", v, run_ip, (double)stream_bytes, "GB/s");
    sonde__os_release(offsets);
}

int main(int argc, char **argv)
{
    void *stream = filled(stream_bytes / 4), *copy = filled(stream_bytes / 4);
    void *out = filled(stream_bytes / 96);
    float *panels = filled((int64_t)PANELS * SONDE__LANES_MAX * 1024);
    uint32_t *hits = filled(SONDE__LANES_MAX * 256);
    work w = {.n = stream_bytes, .rows = stream, .query = panels, .out = copy, .hits = hits};
    show_rate("memory: read", w, run_read, (double)stream_bytes, "GB/s");
    show_rate("memory: copy", w, run_copy, (double)stream_bytes, "GB/s");
    w.out = out;
    for (const sonde__kernels *const *k = sonde__kernels_all(); *k; k++) {
        if (!sonde__kernels_run(*k) || (argc > 1 && strcmp(argv[1], (*k)->name))) continue;
        w.k = *k;
        printf("%s, %lld lanes; d =", (*k)->name, (long long)(*k)->lanes);
        for (int i = 0; i < DIMS; i++) printf("%*lld", i ? 9 : 12, (long long)dims[i]);
        printf("\n");
        show_vectors(&w);
        show_tiles(&w);
        show_others(&w);
        show_stream(&w, stream);
    }
    sonde__os_release(hits);
    sonde__os_release(panels);
    sonde__os_release(out);
    sonde__os_release(copy);
    sonde__os_release(stream);
    return 0;
}
