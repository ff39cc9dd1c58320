/* test_batches.c: length buckets and packing: every row once, bounds of cost, padding as measured for the
 * method's paper, sizes by trial, ranks, and lines against the fewest possible.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <math.h>

#include "failing.h"
#include "row_data.h"

enum { MOST = 100000 };

static int64_t log_normal[MOST], outputs[MOST], names[MOST];

static double normal(uint64_t *state)
{
    double u = test_unit(state) + 1e-12, angle = 6.283185307179586 * test_unit(state);
    return sqrt(-2 * log(u)) * cos(angle);
}

/* Lengths as in the table of the method's notes: log-normal(5, 0.8) within 8..2048, outputs a tenth of them
 * times a log-normal. */
static int fill(void **unused)
{
    (void)unused;
    uint64_t state = 11;
    for (int i = 0; i < MOST; i++) {
        log_normal[i] = (int64_t)fmin(2048, fmax(8, exp(5 + 0.8 * normal(&state))));
        outputs[i] = (int64_t)fmax(1, (double)log_normal[i] / 10 * exp(0.5 * normal(&state)));
        names[i] = 7 * (int64_t)i + 3;
    }
    return 0;
}

static const int64_t *output_i64(const sonde_row_sampler *sampler, const char *name, int64_t *rows)
{
    sonde_array column;
    OK(sonde_row_sampler_output(sampler, name, &column));
    assert_int_equal(column.dtype, SONDE_DTYPE_I64);
    if (rows) *rows = column.rows;
    return column.data;
}

static const float *output_stats(const sonde_row_sampler *sampler)
{
    sonde_array column;
    OK(sonde_row_sampler_output(sampler, "stats", &column));
    assert_int_equal(column.cols, 4);
    return column.data;
}

/* ---- buckets ------------------------------------------------------------------------------------------- */

/* What a pass shows. */
typedef struct pass_seen {
    double padding_in, padding_out, mean;
    int64_t rows, batches;
} pass_seen;

static double longest(const int64_t *lengths, const sonde_rows *rows, double *sum)
{
    int64_t most = 0;
    for (int64_t i = 0; i < rows->count; i++) {
        int64_t length = lengths[rows->ids[i]];
        if (length > most) most = length;
        *sum += (double)length;
    }
    return (double)most;
}

/* Goes through a pass: no row twice, all of a batch in one bucket within its edges, none above max_tokens but
 * alone. */
static pass_seen check_pass(sonde_row_sampler *sampler, const row_data *d, int64_t max_tokens, uint8_t *seen)
{
    pass_seen result = {0};
    double sum_in = 0, sum_out = 0, padded_in = 0, padded_out = 0;
    for (bool last = false; !last;) {
        sonde_rows rows = row_draw(sampler, 0);
        int64_t buckets;
        const int64_t *table = output_i64(sampler, "buckets", &buckets);
        last = rows.last;
        double in = longest(d->lengths, &rows, &sum_in),
               out = d->lengths_out ? longest(d->lengths_out, &rows, &sum_out) : 0;
        for (int64_t i = 0; i < rows.count; i++) {
            assert_int_equal(seen[rows.ids[i]]++, 0);
            assert_int_equal(rows.groups[i], rows.groups[0]);
        }
        const int64_t *bucket = table + 5 * rows.groups[0];
        assert_true(rows.groups[0] < buckets && in <= (double)bucket[0] && out <= (double)bucket[1]);
        assert_true(rows.count <= bucket[2]);
        if (max_tokens && rows.count > 1) assert_true((double)rows.count * (in + out) <= (double)max_tokens);
        padded_in += in * (double)rows.count;
        padded_out += out * (double)rows.count;
        result.rows += rows.count;
        result.batches++;
    }
    result.padding_in = 1 - sum_in / padded_in;
    result.padding_out = padded_out > 0 ? 1 - sum_out / padded_out : 0;
    result.mean = (double)result.rows / (double)result.batches;
    return result;
}

static pass_seen run_pass(const char *spec, const row_data *d, int64_t max_tokens)
{
    uint8_t *seen = test_alloc((size_t)d->n, 1);
    sonde_row_sampler *sampler = row_fitted(spec, d, NULL);
    pass_seen result = check_pass(sampler, d, max_tokens, seen);
    const float *stats = output_stats(sampler);
    assert_float_equal(stats[0], result.padding_in, 1e-4);
    assert_float_equal(stats[1], result.padding_out, 1e-4);
    assert_float_equal(stats[2], result.mean, 1e-3 * result.mean);
    sonde_row_sampler_free(sampler);
    free(seen);
    return result;
}

static void every_row_comes_once(void **unused)
{
    (void)unused;
    const char *specs[] = {"batches(max_tokens=4096)", "batches(buckets=7, max_batch=9)",
                           "batches(max_tokens=3000, shuffle_window=500)",
                           "batches(buckets=10, sub=4, max_tokens=9000, cost=quadratic, q=500)", "batches()"};
    for (int i = 0; i < 5; i++) {
        row_data d = {.n = 5000, .lengths = log_normal, .lengths_out = outputs};
        uint8_t seen[2][5000] = {{0}};
        int64_t tokens = i == 0 ? 4096 : i == 2 ? 3000 : i == 3 ? 9000 : 0;
        sonde_row_sampler *sampler = row_fitted(specs[i], &d, NULL);
        for (int pass = 0; pass < 2; pass++) {
            assert_int_equal(check_pass(sampler, &d, tokens, seen[pass]).rows, 5000);
            for (int j = 0; j < 5000; j++) assert_int_equal(seen[pass][j], 1);
        }
        sonde_row_sampler_free(sampler);
    }
}

/* The padding and mean batch of the table, on lengths from the same law. */
static void padding_is_as_in_the_table(void **unused)
{
    (void)unused;
    const struct {
        const char *spec;
        double padding, mean;
    } rows[] = {
        {"batches(buckets=1, max_batch=32)", 0.76, 32},
        {"batches(buckets=5, max_tokens=16384)", 0.29, 50},
        {"batches(buckets=10, max_tokens=16384)", 0.17, 63},
        {"batches(buckets=30, max_tokens=16384)", 0.066, 73},
        {"batches(buckets=100, max_tokens=16384)", 0.020, 75},
    };
    row_data d = {.n = MOST, .lengths = log_normal};
    double before = 1;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        pass_seen seen = run_pass(rows[i].spec, &d, i ? 16384 : 0);
        print_message("%-42s padding %.3f (table %.3f), mean %.1f (%.0f)\n", rows[i].spec, seen.padding_in,
                      rows[i].padding, seen.mean, rows[i].mean);
        assert_float_equal(seen.padding_in, rows[i].padding, 0.15 * rows[i].padding + 0.005);
        assert_float_equal(seen.mean, rows[i].mean, 0.15 * rows[i].mean);
        assert_true(seen.padding_in < before);
        before = seen.padding_in;
    }
}

/* A second dimension lowers the padding of the outputs and raises the mean batch. */
static void two_dimensions_pad_less(void **unused)
{
    (void)unused;
    const char *specs[] = {"batches(buckets=30, max_tokens=16384)",
                           "batches(buckets=15, sub=2, max_tokens=16384)",
                           "batches(buckets=15, sub=5, max_tokens=16384)"};
    row_data d = {.n = MOST, .lengths = log_normal, .lengths_out = outputs};
    double before = 1;
    for (int i = 0; i < 3; i++) {
        pass_seen seen = run_pass(specs[i], &d, 16384);
        print_message("%-46s padding in %.3f, out %.3f, mean %.1f\n", specs[i], seen.padding_in,
                      seen.padding_out, seen.mean);
        assert_true(seen.padding_out < before);
        before = seen.padding_out;
    }
}

static void padding_vanishes_where_lengths_agree(void **unused)
{
    (void)unused;
    int64_t lengths[1000];
    row_data d = {.n = 1000, .lengths = lengths};
    for (int i = 0; i < 1000; i++) lengths[i] = 1 + 100 * (i % 17) * (i % 17);
    assert_float_equal(run_pass("batches(buckets=17, max_batch=8)", &d, 0).padding_in, 0, 0);
    for (int i = 0; i < 1000; i++) lengths[i] = 77;
    assert_float_equal(run_pass("batches(buckets=30, max_tokens=500)", &d, 500).padding_in, 0, 0);
}

/* One bucket is a plain shuffle: every row is equally likely to come first. */
static void one_bucket_is_a_plain_shuffle(void **unused)
{
    (void)unused;
    int64_t lengths[10] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, counts[10] = {0};
    row_data d = {.n = 10, .lengths = lengths};
    sonde_row_sampler *sampler = row_fitted("batches(buckets=1, max_batch=3)", &d, NULL);
    for (int pass = 0; pass < 20000; pass++) {
        OK(sonde_row_sampler_seek(sampler, pass));
        sonde_rows rows = row_draw(sampler, 0);
        assert_int_equal(rows.count, 3);
        counts[rows.ids[0]]++;
    }
    double chi = 0;
    for (int i = 0; i < 10; i++) chi += ((double)counts[i] - 2000) * ((double)counts[i] - 2000) / 2000;
    assert_true(chi < 33.7); /* 9 degrees of freedom, one in 10,000 */
    sonde_row_sampler_free(sampler);
}

static void ranks_share_the_rows(void **unused)
{
    (void)unused;
    row_data d = {.n = 20000, .lengths = log_normal, .ids = NULL};
    sonde_row_sampler *rank[3];
    uint8_t *seen = test_alloc(20000, 1);
    int64_t left_out = 20000, batches = 0;
    for (int r = 0; r < 3; r++) {
        char spec[80];
        snprintf(spec, sizeof spec, "batches(buckets=12, max_tokens=8000, rank=%d, ranks=3)", r);
        rank[r] = row_fitted(spec, &d, NULL);
    }
    for (bool last = false; !last; batches++) {
        sonde_rows rows[3];
        for (int r = 0; r < 3; r++) {
            rows[r] = row_draw(rank[r], 0);
            assert_int_equal(rows[r].groups[0], rows[0].groups[0]);
            assert_int_equal(rows[r].last, rows[0].last);
            assert_true(rows[0].count - rows[r].count >= 0 && rows[0].count - rows[r].count <= 1);
            for (int64_t i = 0; i < rows[r].count; i++) assert_int_equal(seen[rows[r].ids[i]]++, 0);
            left_out -= rows[r].count;
        }
        last = rows[0].last;
    }
    assert_true(batches > 100 && left_out >= 0 && left_out <= 2 * 12);
    for (int r = 0; r < 3; r++) sonde_row_sampler_free(rank[r]);
    free(seen);
}

static void whole_batches_only_where_asked(void **unused)
{
    (void)unused;
    row_data d = {.n = 5000, .lengths = log_normal};
    for (int window = 0; window < 2; window++) {
        sonde_row_sampler *sampler = row_fitted(
            window ? "batches(max_tokens=4096, drop_last=yes, shuffle_window=300)"
                   : "batches(max_tokens=4096, drop_last=yes)",
            &d, NULL);
        int64_t total = 0;
        for (bool last = false; !last;) {
            sonde_rows rows = row_draw(sampler, 0);
            const int64_t *table = output_i64(sampler, "buckets", NULL);
            assert_int_equal(rows.count, table[5 * rows.groups[0] + 2]);
            last = rows.last;
            total += rows.count;
        }
        assert_true(total < 5000 && total > 4000);
        sonde_row_sampler_free(sampler);
    }
}

/* With a window rows come near their own places; without one, from anywhere. */
static void a_window_keeps_rows_near(void **unused)
{
    (void)unused;
    row_data d = {.n = 20000, .lengths = log_normal};
    double away[2] = {0};
    for (int window = 0; window < 2; window++) {
        sonde_row_sampler *sampler = row_fitted(
            window ? "batches(max_batch=16, shuffle_window=1000)" : "batches(max_batch=16)", &d, NULL);
        int64_t at = 0;
        for (bool last = false; !last;) {
            sonde_rows rows = row_draw(sampler, 0);
            for (int64_t i = 0; i < rows.count; i++, at++)
                away[window] += fabs((double)(rows.ids[i] - at)) / 20000;
            last = rows.last;
        }
        sonde_row_sampler_free(sampler);
    }
    assert_true(away[0] > 5000 && away[1] < 1000);
}

static void unlike_pairs_are_left_out(void **unused)
{
    (void)unused;
    row_data d = {.n = 5000, .lengths = log_normal, .lengths_out = outputs};
    uint8_t *seen = test_alloc(5000, 1);
    int64_t above = 0;
    for (int i = 0; i < 5000; i++) above += (double)outputs[i] > 0.2 * (double)log_normal[i];
    sonde_row_sampler *sampler = row_fitted("batches(max_tokens=9000, max_ratio=0.2)", &d, NULL);
    assert_int_equal(check_pass(sampler, &d, 9000, seen).rows, 5000 - above);
    assert_float_equal(output_stats(sampler)[3], (double)above, 0);
    assert_true(above > 50);
    sonde_row_sampler_free(sampler);
    free(seen);
}

/* Parts of batches come one after the other, and are the batches. */
static void a_count_cuts_batches(void **unused)
{
    (void)unused;
    row_data d = {.n = 3000, .lengths = log_normal};
    sonde_row_sampler *whole = row_fitted("batches(max_tokens=4096)", &d, NULL),
                      *parts = row_fitted("batches(max_tokens=4096)", &d, NULL);
    for (int batch = 0; batch < 20; batch++) {
        sonde_rows rows = row_draw(whole, 0);
        for (int64_t at = 0; at < rows.count;) {
            sonde_rows part = row_draw(parts, 5);
            assert_true(part.count > 0 && part.count <= 5);
            assert_memory_equal(part.ids, rows.ids + at, (size_t)part.count * sizeof *part.ids);
            at += part.count;
            assert_true(at <= rows.count);
        }
    }
    sonde_row_sampler_free(whole);
    sonde_row_sampler_free(parts);
}

/* ---- sizes by trial ------------------------------------------------------------------------------------ */

static void observe(sonde_row_sampler *sampler, int64_t batch, int64_t fits, int64_t *proposal)
{
    int64_t trial[2] = {batch, fits};
    sonde_array array = sonde_i64(trial, 1, 2);
    sonde_input input = {"trial", &array};
    OK(sonde_row_sampler_observe(sampler, &input, 1));
    memcpy(proposal, output_i64(sampler, "proposal", NULL), 4 * sizeof *proposal);
}

/* One bucket: within 5 % below the true most, exact below 20, and few trials. */
static void trials_find_the_most_that_fits(void **unused)
{
    (void)unused;
    int64_t *lengths = test_alloc(20000, sizeof *lengths);
    for (int i = 0; i < 20000; i++) lengths[i] = 10;
    row_data d = {.n = 20000, .lengths = lengths};
    sonde_row_sampler *sampler = row_fitted("batches(buckets=1)", &d, NULL);
    for (int64_t most = 1; most < 15000; most += most < 100 ? 1 : most / 7) {
        int64_t proposal[4], trials = 0, largest = 0;
        for (observe(sampler, 0, 0, proposal); proposal[0] >= 0; trials++) {
            assert_int_equal(proposal[2], 10);
            bool fits = proposal[1] <= most;
            if (fits && proposal[1] > largest) largest = proposal[1];
            observe(sampler, proposal[1], fits, proposal);
        }
        assert_true((double)largest > 0.95 * (double)most && largest <= most);
        if (most < 20) assert_int_equal(largest, most);
        assert_true((double)trials <= 2 * log2((double)most) + 6);
        assert_int_equal(row_draw(sampler, 0).count, largest);
        OK(sonde_row_sampler_seek(sampler, 0));
    }
    sonde_row_sampler_free(sampler);
    free(lengths);
}

static void longer_buckets_get_no_larger_batches(void **unused)
{
    (void)unused;
    row_data d = {.n = 20000, .lengths = log_normal};
    sonde_row_sampler *sampler = row_fitted("batches(buckets=20)", &d, NULL), *copy = NULL;
    int64_t proposal[4], cell = 20, buckets;
    for (observe(sampler, 0, 0, proposal); proposal[0] >= 0;) {
        assert_true(proposal[0] <= cell);
        cell = proposal[0];
        observe(sampler, proposal[1], proposal[1] * proposal[2] <= 10000, proposal);
    }
    row_draw(sampler, 0);
    const int64_t *table = output_i64(sampler, "buckets", &buckets);
    for (int64_t i = 0; i < buckets; i++) {
        assert_true(table[5 * i + 2] * table[5 * i] <= 10000);
        assert_true(table[5 * i + 2] * table[5 * i] > 0.9 * 10000 - (double)table[5 * i]);
        if (i > 0) assert_true(table[5 * i + 2] <= table[5 * i - 3]);
    }
    size_t length = 0;
    OK(sonde_row_sampler_save_buffer(sampler, NULL, 0, &length));
    void *bytes = test_alloc(length, 1);
    OK(sonde_row_sampler_save_buffer(sampler, bytes, length, &length));
    OK(sonde_row_sampler_open_buffer(bytes, length, NULL, NULL, &copy));
    for (int i = 0; i < 10; i++) {
        sonde_rows a = row_draw(sampler, 0), b = row_draw(copy, 0);
        assert_int_equal(a.count, b.count);
        assert_memory_equal(a.ids, b.ids, (size_t)a.count * sizeof *a.ids);
    }
    free(bytes);
    sonde_row_sampler_free(sampler);
    sonde_row_sampler_free(copy);
}

static void trials_out_of_turn_are_refused(void **unused)
{
    (void)unused;
    row_data d = {.n = 100, .lengths = log_normal};
    int64_t trial[4] = {8, 1, 0, 0}, proposal[4];
    sonde_array one = sonde_i64(trial, 1, 2), two = sonde_i64(trial, 2, 2), wide = sonde_i64(trial, 1, 3);
    sonde_row_sampler *sampler = row_fitted("batches()", &d, NULL);
    FAILS(sonde_row_sampler_observe(sampler, (sonde_input[]){{"trial", &one}}, 1), SONDE_INVALID_ARGUMENT,
          "not proposed");
    observe(sampler, 0, 0, proposal);
    assert_int_equal(proposal[1], 1);
    FAILS(sonde_row_sampler_observe(sampler, (sonde_input[]){{"trial", &one}}, 1), SONDE_INVALID_ARGUMENT,
          "not proposed");
    FAILS(sonde_row_sampler_observe(sampler, (sonde_input[]){{"trial", &two}}, 1), SONDE_INVALID_ARGUMENT,
          "2 rows");
    FAILS(sonde_row_sampler_observe(sampler, (sonde_input[]){{"trial", &wide}}, 1), SONDE_INVALID_ARGUMENT,
          "trial");
    sonde_row_sampler_free(sampler);
}

/* ---- packing ------------------------------------------------------------------------------------------- */

/* Checks one draw: no line above its cap, rows side by side without gap or overlap. Returns the lines. */
static int64_t check_lines(const sonde_row_sampler *sampler, const sonde_rows *rows, const int64_t *lengths)
{
    const int64_t *offset = output_i64(sampler, "offset", NULL),
                  *length = output_i64(sampler, "length", NULL);
    const int64_t *lines = output_i64(sampler, "lines", NULL);
    int64_t used = 0;
    for (int64_t i = 0; i < rows->count; i++) {
        bool fresh = i == 0 || rows->groups[i] != rows->groups[i - 1];
        if (fresh) {
            assert_int_equal(rows->groups[i], i == 0 ? 0 : rows->groups[i - 1] + 1);
            used = 0;
        }
        assert_int_equal(length[i], lengths[rows->ids[i]]);
        assert_int_equal(offset[i], used);
        used += length[i];
        assert_true(used <= lines[1]);
    }
    assert_int_equal(lines[0], rows->groups[rows->count - 1] + 1);
    return lines[0];
}

/* The fewest lines for lengths[at..n), with `room` left in the lines so far: by trying everything. */
static int fewest(const int64_t *lengths, int n, int at, int64_t *room, int lines, int best, int64_t cap)
{
    if (lines >= best) return best;
    if (at == n) return lines;
    for (int line = 0; line <= lines; line++) {
        if (line == lines) room[line] = cap;
        if (room[line] < lengths[at]) continue;
        room[line] -= lengths[at];
        best = fewest(lengths, n, at + 1, room, lines + (line == lines), best, cap);
        room[line] += lengths[at];
    }
    return best;
}

static void lines_are_few(void **unused)
{
    (void)unused;
    uint64_t state = 4;
    for (int round = 0; round < 300; round++) {
        int64_t lengths[9], room[10];
        int n = 1 + (int)(test_u64(&state) % 9);
        for (int i = 0; i < n; i++) lengths[i] = 1 + (int64_t)(test_u64(&state) % 20);
        int best = fewest(lengths, n, 0, room, 0, n + 1, 25);
        row_data d = {.n = n, .lengths = lengths};
        for (int rule = 0; rule < 2; rule++) {
            sonde_row_sampler *sampler = row_fitted(rule ? "pack(cap=25, rule=best_fit)" : "pack(cap=25)", &d,
                                                NULL);
            sonde_rows rows = row_draw(sampler, 0);
            assert_int_equal(rows.count, n);
            int64_t lines = check_lines(sampler, &rows, lengths);
            assert_true(lines >= best && 9 * lines <= 11 * best + 9);
            sonde_row_sampler_free(sampler);
        }
    }
}

/* Random batches of 32 of the table's lengths: about 9.3 lines and 0.07 of padding. */
static void packing_a_batch_saves_most_lines(void **unused)
{
    (void)unused;
    row_data d = {.n = 32000, .lengths = log_normal};
    uint8_t *seen = test_alloc(32000, 1);
    const char *rules[] = {"pack()", "pack(rule=best_fit)", "pack(rule=greedy)"};
    for (int rule = 0; rule < 3; rule++) {
        sonde_row_sampler *sampler = row_fitted(rules[rule], &d, NULL);
        double lines = 0, held = 0, tokens = 0;
        memset(seen, 0, 32000);
        for (bool last = false; !last;) {
            sonde_rows rows = row_draw(sampler, 0);
            int64_t made = check_lines(sampler, &rows, log_normal), longest_row = 0;
            for (int64_t i = 0; i < rows.count; i++) {
                int64_t length = log_normal[rows.ids[i]];
                assert_int_equal(seen[rows.ids[i]]++, 0);
                tokens += (double)length;
                if (length > longest_row) longest_row = length;
            }
            assert_int_equal(output_i64(sampler, "lines", NULL)[1], longest_row);
            lines += (double)made;
            held += (double)made * (double)longest_row;
            last = rows.last;
        }
        for (int i = 0; i < 32000; i++) assert_int_equal(seen[i], 1);
        print_message("%-20s %.2f lines a batch, padding %.3f\n", rules[rule], lines / 1000,
                      1 - tokens / held);
        if (rule < 2) {
            assert_float_equal(lines / 1000, 9.3, 0.6);
            assert_float_equal(1 - tokens / held, 0.07, 0.02);
        }
        sonde_row_sampler_free(sampler);
    }
    free(seen);
}

/* A whole set packed once: next to no padding; draws of lines and of rows both give every row once a pass. */
static void a_packed_set_has_next_to_no_padding(void **unused)
{
    (void)unused;
    row_data d = {.n = 50000, .lengths = log_normal};
    uint8_t *seen = test_alloc(50000, 1);
    double tokens = 0;
    for (int i = 0; i < 50000; i++) tokens += (double)log_normal[i];
    const char *specs[] = {"pack(per=epoch, cap=4096, batch=7)", "pack(per=epoch, cap=4096, rule=best_fit)"};
    for (int i = 0; i < 4; i++) {
        sonde_row_sampler *sampler = row_fitted(specs[i / 2], &d, NULL);
        int64_t lines = 0;
        memset(seen, 0, 50000);
        for (bool last = false; !last;) {
            sonde_rows rows = row_draw(sampler, i % 2 ? 1000 : 0);
            lines += check_lines(sampler, &rows, log_normal);
            if (i % 2) assert_true(rows.count <= 1000);
            for (int64_t j = 0; j < rows.count; j++) assert_int_equal(seen[rows.ids[j]]++, 0);
            last = rows.last;
        }
        for (int j = 0; j < 50000; j++) assert_int_equal(seen[j], 1);
        assert_true(1 - tokens / ((double)lines * 4096) < 0.001);
        sonde_row_sampler_free(sampler);
    }
    free(seen);
}

/* A draw of fewer rows than a line holds cuts it, and the rest comes next. */
static void lines_can_be_cut(void **unused)
{
    (void)unused;
    int64_t lengths[40], seen[40] = {0};
    for (int i = 0; i < 40; i++) lengths[i] = 1;
    row_data d = {.n = 40, .lengths = lengths};
    sonde_row_sampler *sampler = row_fitted("pack(per=epoch, cap=10)", &d, NULL);
    const int64_t wanted[] = {4, 4, 2, 4, 4, 2}; /* twice a line of ten by fours */
    for (int i = 0; i < 6; i++) {
        sonde_rows rows = row_draw(sampler, 4);
        assert_int_equal(rows.count, wanted[i]);
        for (int64_t j = 0; j < rows.count; j++) assert_int_equal(seen[rows.ids[j]]++, 0);
    }
    assert_int_equal(row_draw(sampler, 25).count, 20);
    sonde_row_sampler_free(sampler);
}

/* ---- both ---------------------------------------------------------------------------------------------- */

static const struct {
    const char *spec;
    bool out, ids;
} cases[] = {
    {"batches(max_tokens=4096)", false, false},
    {"batches(buckets=8, sub=3, max_tokens=9000, shuffle_window=200, seed=5)", true, true},
    {"batches(buckets=8, max_batch=20, rank=1, ranks=2)", false, true},
    {"pack()", false, true},
    {"pack(per=epoch, cap=3000, rule=best_fit, batch=3)", false, false},
    {"pack(per=epoch, rule=greedy, batch=2)", false, true},
};
enum { CASES = sizeof cases / sizeof *cases };

static row_data case_data(int i, int64_t begin, int64_t n)
{
    return (row_data){.n = n,
                      .lengths = log_normal + begin,
                      .lengths_out = cases[i].out ? outputs + begin : NULL,
                      .ids = cases[i].ids ? names + begin : NULL};
}

static void assert_same_draws(sonde_row_sampler *a, sonde_row_sampler *b, int draws)
{
    for (int i = 0; i < draws; i++) {
        sonde_rows x = row_draw(a, 0), y = row_draw(b, 0);
        assert_int_equal(x.count, y.count);
        assert_int_equal(x.last, y.last);
        assert_memory_equal(x.ids, y.ids, (size_t)x.count * sizeof *x.ids);
        assert_memory_equal(x.groups, y.groups, (size_t)x.count * sizeof *x.groups);
    }
}

static void files_go_on_and_seeking_begins_again(void **unused)
{
    (void)unused;
    for (int i = 0; i < CASES; i++) {
        row_data d = case_data(i, 0, 2000);
        sonde_row_sampler *sampler = row_fitted(cases[i].spec, &d, NULL),
                          *other = row_fitted(cases[i].spec, &d, NULL), *copy = NULL;
        for (int j = 0; j < 7; j++) row_draw(sampler, 0);
        row_draw(sampler, 3);
        size_t length = 0;
        OK(sonde_row_sampler_save_buffer(sampler, NULL, 0, &length));
        void *bytes = test_alloc(length, 1);
        OK(sonde_row_sampler_save_buffer(sampler, bytes, length, &length));
        OK(sonde_row_sampler_open_buffer(bytes, length, NULL, NULL, &copy));
        assert_same_draws(sampler, copy, 150);
        OK(sonde_row_sampler_seek(sampler, 0));
        assert_same_draws(sampler, other, 20);
        free(bytes);
        sonde_row_sampler_free(sampler);
        sonde_row_sampler_free(other);
        sonde_row_sampler_free(copy);
    }
}

static void threads_and_shards_change_nothing(void **unused)
{
    (void)unused;
    for (int i = 0; i < CASES; i++) {
        row_data d = case_data(i, 0, MOST), a = case_data(i, 0, 30000), b = case_data(i, 30000, MOST - 30000);
        sonde_row_sampler *sampler[3];
        const uint32_t threads[3] = {1, 2, 7};
        for (int t = 0; t < 3; t++) {
            sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
            sonde_runtime *runtime = NULL;
            options.threads = threads[t];
            OK(sonde_runtime_create(&options, &runtime));
            sampler[t] = row_fitted(cases[i].spec, &d, runtime);
            sonde_runtime_free(runtime);
        }
        assert_same_draws(sampler[0], sampler[1], 30);
        OK(sonde_row_sampler_seek(sampler[0], 0));
        assert_same_draws(sampler[0], sampler[2], 30);
        OK(sonde_row_sampler_seek(sampler[0], 0));
        sonde_row_sampler *first = row_fitted(cases[i].spec, &a, NULL),
                          *second = row_fitted(cases[i].spec, &b, NULL);
        OK(sonde_row_sampler_merge(first, second));
        assert_same_draws(sampler[0], first, 30);
        for (int t = 0; t < 3; t++) sonde_row_sampler_free(sampler[t]);
        sonde_row_sampler_free(first);
        sonde_row_sampler_free(second);
    }
}

static void what_only_one_has_is_not_merged(void **unused)
{
    (void)unused;
    row_data plain = {.n = 9, .lengths = log_normal}, named = {.n = 9, .lengths = log_normal, .ids = names};
    row_data paired = {.n = 9, .lengths = log_normal, .lengths_out = outputs};
    row_merge_fails("pack()", &plain, &named, SONDE_INCOMPATIBLE, "ids of the caller");
    row_merge_fails("batches()", &named, &plain, SONDE_INCOMPATIBLE, "ids of the caller");
    row_merge_fails("batches()", &plain, &paired, SONDE_INCOMPATIBLE, "lengths_out");
}

static int failing_case;

static sonde_status scene(sonde_runtime_options *options)
{
    sonde_runtime *runtime = NULL;
    sonde_row_sampler *sampler = NULL, *other = NULL;
    sonde_rows rows = SONDE_ROWS_INIT;
    row_data d = case_data(failing_case, 0, 300), e = case_data(failing_case, 300, 200);
    sonde_status status = sonde_runtime_create(options, &runtime);
    if (status == SONDE_OK) status = sonde_row_sampler_create(cases[failing_case].spec, 0, runtime, &sampler);
    if (status == SONDE_OK) status = sonde_row_sampler_create(cases[failing_case].spec, 0, runtime, &other);
    if (status == SONDE_OK) status = row_fit(sampler, &d);
    if (status == SONDE_OK) status = row_fit(other, &e);
    if (status == SONDE_OK) status = sonde_row_sampler_draw(sampler, 0, &rows);
    if (status == SONDE_OK) status = sonde_row_sampler_merge(sampler, other);
    if (status == SONDE_OK) status = sonde_row_sampler_draw(sampler, 0, &rows);
    sonde_row_sampler_free(sampler);
    sonde_row_sampler_free(other);
    sonde_runtime_free(runtime);
    return status;
}

static void failing_memory_is_survived(void **unused)
{
    (void)unused;
    for (failing_case = 0; failing_case < CASES; failing_case++) assert_true(failing_walk(scene) > 5);
}

static void cancelling_leaves_all_as_it_was(void **unused)
{
    (void)unused;
    for (int i = 0; i < CASES; i++) {
        sonde_runtime *runtime = NULL;
        sonde_rows rows = SONDE_ROWS_INIT;
        OK(sonde_runtime_create(NULL, &runtime));
        row_data d = case_data(i, 0, 3000), other = case_data(i, 1, 5000);
        sonde_row_sampler *a = row_fitted(cases[i].spec, &d, runtime),
                          *b = row_fitted(cases[i].spec, &d, NULL);
        sonde_runtime_cancel(runtime);
        bool packs_draws = strcmp(cases[i].spec, "pack()") == 0,
             packs_all = strstr(cases[i].spec, "epoch") != NULL;
        if (!packs_draws) FAILS(row_fit(a, &other), SONDE_CANCELLED, "");
        if (!packs_all) FAILS(sonde_row_sampler_draw(a, 0, &rows), SONDE_CANCELLED, "");
        sonde_runtime_resume(runtime);
        assert_same_draws(a, b, 10);
        sonde_row_sampler_free(a);
        sonde_row_sampler_free(b);
        sonde_runtime_free(runtime);
    }
}

static void wrong_inputs_are_named(void **unused)
{
    (void)unused;
    sonde_row_sampler *sampler = NULL;
    int64_t bad[3] = {5, 0, 7}, fine[3] = {5, 6, 700};
    FAILS(sonde_row_sampler_create("batches(buckets=0)", 0, NULL, &sampler), SONDE_INVALID_ARGUMENT,
          "buckets");
    FAILS(sonde_row_sampler_create("batches(rank=2, ranks=2)", 0, NULL, &sampler), SONDE_INVALID_ARGUMENT,
          "rank=2");
    FAILS(sonde_row_sampler_create("pack(cap=5000000, rule=best_fit)", 0, NULL, &sampler),
          SONDE_INVALID_ARGUMENT, "best_fit");
    OK(sonde_row_sampler_create("batches(max_tokens=100, too_long=fail)", 0, NULL, &sampler));
    FAILS(row_fit(sampler, &(row_data){.n = 3, .lengths = bad}), SONDE_INVALID_ARGUMENT, "row 1 holds 0");
    FAILS(row_fit(sampler, &(row_data){.n = 0, .lengths = bad}), SONDE_INVALID_ARGUMENT, "0 rows");
    FAILS(row_fit(sampler, &(row_data){.n = 3, .lengths = fine}), SONDE_INVALID_ARGUMENT,
          "length 700 costs 700");
    sonde_row_sampler_free(sampler);
    OK(sonde_row_sampler_create("batches(max_ratio=0.5)", 0, NULL, &sampler));
    FAILS(row_fit(sampler, &(row_data){.n = 3, .lengths = fine, .lengths_out = fine}), SONDE_INVALID_ARGUMENT,
          "no row pass");
    sonde_row_sampler_free(sampler);
    OK(sonde_row_sampler_create("pack(cap=600)", 0, NULL, &sampler));
    FAILS(row_fit(sampler, &(row_data){.n = 3, .lengths = fine}), SONDE_INVALID_ARGUMENT,
          "row 2 holds 700, above cap=600");
    FAILS(row_fit(sampler, &(row_data){.n = 3, .lengths = bad}), SONDE_INVALID_ARGUMENT, "row 1 holds 0");
    sonde_row_sampler_free(sampler);
}

/* A row that costs more than a batch may comes alone. */
static void too_long_rows_come_alone(void **unused)
{
    (void)unused;
    int64_t lengths[8] = {10, 10, 10, 10, 10, 900, 900, 10};
    row_data d = {.n = 8, .lengths = lengths};
    sonde_row_sampler *sampler = row_fitted("batches(max_tokens=100)", &d, NULL);
    int alone = 0;
    for (bool last = false; !last;) {
        sonde_rows rows = row_draw(sampler, 0);
        if (lengths[rows.ids[0]] == 900) {
            assert_int_equal(rows.count, 1);
            alone++;
        }
        last = rows.last;
    }
    assert_int_equal(alone, 2);
    sonde_row_sampler_free(sampler);
}

static void one_row_and_more_than_there_are(void **unused)
{
    (void)unused;
    for (int i = 0; i < CASES; i++) {
        if (strstr(cases[i].spec, "ranks")) continue;
        row_data d = case_data(i, 0, 1);
        sonde_row_sampler *sampler = row_fitted(cases[i].spec, &d, NULL);
        for (int pass = 0; pass < 2; pass++) {
            sonde_rows rows = row_draw(sampler, pass ? 9 : 0);
            assert_int_equal(rows.count, 1);
            assert_int_equal(rows.last, 1);
            assert_int_equal(rows.pass, pass);
        }
        sonde_row_sampler_free(sampler);
    }
}

/* Fewer rows than ranks, or than a whole batch: a pass without rows ends at once. */
static void an_empty_pass_ends(void **unused)
{
    (void)unused;
    const char *specs[] = {"batches(rank=1, ranks=2)", "batches(max_batch=5, drop_last=yes)"};
    row_data d = {.n = 1, .lengths = log_normal};
    for (int i = 0; i < 2; i++) {
        sonde_row_sampler *sampler = row_fitted(specs[i], &d, NULL);
        sonde_rows rows = row_draw(sampler, 0);
        assert_int_equal(rows.count, 0);
        assert_int_equal(rows.last, 1);
        sonde_row_sampler_free(sampler);
    }
}

#define CASE(name)                                                                                           \
    {                                                                                                        \
#name, name, fill, NULL, NULL                                                                        \
    }

static const struct CMUnitTest tests[] = {
    CASE(every_row_comes_once),
    CASE(padding_is_as_in_the_table),
    CASE(two_dimensions_pad_less),
    CASE(padding_vanishes_where_lengths_agree),
    CASE(one_bucket_is_a_plain_shuffle),
    CASE(ranks_share_the_rows),
    CASE(whole_batches_only_where_asked),
    CASE(a_window_keeps_rows_near),
    CASE(unlike_pairs_are_left_out),
    CASE(a_count_cuts_batches),
    CASE(trials_find_the_most_that_fits),
    CASE(longer_buckets_get_no_larger_batches),
    CASE(trials_out_of_turn_are_refused),
    CASE(lines_are_few),
    CASE(packing_a_batch_saves_most_lines),
    CASE(a_packed_set_has_next_to_no_padding),
    CASE(lines_can_be_cut),
    CASE(files_go_on_and_seeking_begins_again),
    CASE(threads_and_shards_change_nothing),
    CASE(what_only_one_has_is_not_merged),
    CASE(failing_memory_is_survived),
    CASE(cancelling_leaves_all_as_it_was),
    CASE(wrong_inputs_are_named),
    CASE(too_long_rows_come_alone),
    CASE(one_row_and_more_than_there_are),
    CASE(an_empty_pass_ends),
};

SONDE_TEST_MAIN(tests)
