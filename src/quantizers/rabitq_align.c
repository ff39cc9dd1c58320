/* rabitq_align.c: makes the error of a code orthogonal to the centre of the data.
 *
 * Problem: what is wrong with a reconstruction x' of a row x is orthogonal to r = x - c, but <c, x' - x> is
 * not 0, and a query that has much of c in it sees that as noise: rows are compared with an error of |q|
 * where |q| without its part along c would do. Storing <c, r> exactly costs four bytes a row and helps inner
 * products only.
 *
 * Idea: let the numbers w settle it. <across, w> is the error along c, with across = c without its part along
 * o, the direction of r. While it is not 0, some w[j] step by one towards less of it: those whose step adds
 * the least to the length of the error for each unit of <across, w> (in one bit: signs of columns where o is
 * nearly 0). Five steps of 384 columns bring it to 0 and make the error of a bit 0.2 % longer. Steps are
 * taken while
 *
 *     (<across, w>^2 / |r|^2 + |w|^2 / d) / <o, w>^2
 *
 * falls: for a query that resembles the rows this is its expected squared error, |c|^2 of it along c and
 * |r|^2 of it in d directions alike. So a centre that is short beside the rows, as that of standardised data,
 * hardly changes a code.
 *
 * Cost: six passes over d columns. Codes, their size and their use are those of RaBitQ.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "kernels/kernels.h"
#include "quantizers/rabitq.h"

/* Most steps of one row; steps are looked for up to this price, as a multiple of <across, w> / |c|^2: that of
 * the dearest one that is needed is about half of it for directions like those of a random rotation. */
enum { RABITQ_STEPS = 128, RABITQ_PRICE = 6 };

/* What w amounts to: <across, w>, <o, w> and |w|^2. */
struct rabitq_sight {
    double off, product, length2;
};

/* A step of one column by +-1, and what it costs for a unit of <across, w>. */
struct rabitq_step {
    float price, by;
    int32_t column;
};

static float rabitq_across(const sonde__rabitq_aim *aim, int64_t j)
{
    return aim->centre[j] - (float)aim->along * aim->o[j];
}

static struct rabitq_sight rabitq_see(const sonde__rabitq_aim *aim, const float *w)
{
    const sonde__kernels *kernels = sonde__kernels_get();
    float product, along;
    kernels->ip_rows[SONDE__ROW_F32](aim->o, w, 0, 1, aim->d, &product);
    kernels->ip_rows[SONDE__ROW_F32](aim->centre, w, 0, 1, aim->d, &along);
    return (struct rabitq_sight){along - aim->along * product, product, kernels->norm2(w, aim->d)};
}

/* What is to fall, times <o, w>^2. */
static double rabitq_loss(const sonde__rabitq_aim *aim, struct rabitq_sight sight)
{
    return sight.off * sight.off / aim->row2 + sight.length2 / (double)aim->d;
}

/* slack[j] > 0 where a step of w[j] that lessens |<across, w>| costs less than `most` a unit: it adds about
 * (1 + 2 by (w[j] - o[j] |w|^2 / <o, w>)) / <o, w>^2 to the squared length of the error. Of several bits the
 * top one stays the sign: the middle of a step is within +-(2^bits - 2) / 2, and not 0. No branches, so that
 * it is vectorised. */
static void rabitq_price(const sonde__rabitq_aim *aim, const float *w, struct rabitq_sight sight,
                         float *slack)
{
    float scale = (float)(sight.length2 / sight.product), sign = sight.off < 0 ? 1.0f : -1.0f;
    float most = (float)(fmin(RABITQ_PRICE / aim->centre2, 2 * (double)aim->d / aim->row2) * fabs(sight.off));
    float least = aim->bits > 1 ? 2 : 0, largest = (float)((1 << aim->bits) - 2);
    float middle = 0.5f * (least + largest), reach = 0.5f * (largest - least);
    for (int64_t j = 0; j < aim->d; j++) {
        float across = sign * rabitq_across(aim, j), by = copysignf(1, across);
        float gap = most * fabsf(across) - (1 + 2 * by * (w[j] - scale * aim->o[j]));
        slack[j] = fabsf(fabsf(2 * w[j] + by) - middle) <= reach ? gap : -1;
    }
}

/* Puts a step among those kept, the cheapest first; where there are too many the dearest falls out. */
static int rabitq_keep_step(struct rabitq_step *steps, int count, struct rabitq_step step)
{
    if (count == RABITQ_STEPS && step.price >= steps[--count].price) return RABITQ_STEPS;
    int at = count;
    for (; at > 0 && steps[at - 1].price > step.price; at--) steps[at] = steps[at - 1];
    steps[at] = step;
    return count + 1;
}

static int rabitq_find_steps(const sonde__rabitq_aim *aim, const float *w, struct rabitq_sight sight,
                             struct rabitq_step *steps)
{
    float sign = sight.off < 0 ? 1.0f : -1.0f;
    int count = 0;
    rabitq_price(aim, w, sight, aim->slack);
    int64_t found = sonde__kernels_get()->above(aim->slack, aim->d, 0, aim->columns);
    for (int64_t i = 0; i < found; i++) {
        int32_t j = aim->columns[i];
        float across = sign * rabitq_across(aim, j);
        struct rabitq_step step = {-aim->slack[j] / fabsf(across), copysignf(1, across), j};
        count = rabitq_keep_step(steps, count, step);
    }
    return count;
}

static struct rabitq_sight rabitq_after(const sonde__rabitq_aim *aim, const float *w,
                                        struct rabitq_sight sight, struct rabitq_step step)
{
    sight.off += step.by * (double)rabitq_across(aim, step.column);
    sight.product += step.by * (double)aim->o[step.column];
    sight.length2 += 1 + 2 * step.by * (double)w[step.column];
    return sight;
}

void sonde__rabitq_align(const sonde__rabitq_aim *aim, float *w, uint8_t *u)
{
    struct rabitq_step steps[RABITQ_STEPS];
    struct rabitq_sight sight = rabitq_see(aim, w);
    int count = rabitq_find_steps(aim, w, sight, steps);
    double loss = rabitq_loss(aim, sight);
    for (int i = 0; i < count; i++) {
        struct rabitq_sight next = rabitq_after(aim, w, sight, steps[i]);
        double then = rabitq_loss(aim, next);
        if (!(next.product > 0 && then * sight.product * sight.product < loss * next.product * next.product))
            continue;
        sight = next;
        loss = then;
        w[steps[i].column] += steps[i].by;
        u[steps[i].column] = (uint8_t)(u[steps[i].column] + (int)steps[i].by);
    }
}
