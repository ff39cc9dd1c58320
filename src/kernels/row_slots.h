/* row_slots.h: the slots of distance.c that every set fills alike. A set defines its own `scores` (rows of one kind against
 * one query, by l2 or by inner product), includes this, and names the functions in its table. They are static, so each set has
 * its own copies, made with its own flags.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_ROW_SLOTS_H
#define SONDE_SRC_ROW_SLOTS_H

static void ip_rows_f32(const float *query, const void *rows, int64_t stride, int64_t count, int64_t d, float *out)
{
    scores(query, (sonde__places){rows, NULL, stride}, count, d, out, SONDE__ROW_F32, false);
}

static void ip_rows_f16(const float *query, const void *rows, int64_t stride, int64_t count, int64_t d, float *out)
{
    scores(query, (sonde__places){rows, NULL, stride}, count, d, out, SONDE__ROW_F16, false);
}

static void ip_rows_bf16(const float *query, const void *rows, int64_t stride, int64_t count, int64_t d, float *out)
{
    scores(query, (sonde__places){rows, NULL, stride}, count, d, out, SONDE__ROW_BF16, false);
}

static void ip_rows_i8(const float *query, const void *rows, int64_t stride, int64_t count, int64_t d, float *out)
{
    scores(query, (sonde__places){rows, NULL, stride}, count, d, out, SONDE__ROW_I8, false);
}

static void ip_rows_u8(const float *query, const void *rows, int64_t stride, int64_t count, int64_t d, float *out)
{
    scores(query, (sonde__places){rows, NULL, stride}, count, d, out, SONDE__ROW_U8, false);
}

static void l2_rows_f32(const float *query, const void *rows, int64_t stride, int64_t count, int64_t d, float *out)
{
    scores(query, (sonde__places){rows, NULL, stride}, count, d, out, SONDE__ROW_F32, true);
}

static void l2_rows_f16(const float *query, const void *rows, int64_t stride, int64_t count, int64_t d, float *out)
{
    scores(query, (sonde__places){rows, NULL, stride}, count, d, out, SONDE__ROW_F16, true);
}

static void l2_rows_bf16(const float *query, const void *rows, int64_t stride, int64_t count, int64_t d, float *out)
{
    scores(query, (sonde__places){rows, NULL, stride}, count, d, out, SONDE__ROW_BF16, true);
}

static void l2_rows_i8(const float *query, const void *rows, int64_t stride, int64_t count, int64_t d, float *out)
{
    scores(query, (sonde__places){rows, NULL, stride}, count, d, out, SONDE__ROW_I8, true);
}

static void l2_rows_u8(const float *query, const void *rows, int64_t stride, int64_t count, int64_t d, float *out)
{
    scores(query, (sonde__places){rows, NULL, stride}, count, d, out, SONDE__ROW_U8, true);
}

static void ip_gather_f32(const float *query, const void *base, const int64_t *offsets, int64_t count, int64_t d,
                       float *out)
{
    scores(query, (sonde__places){base, offsets, 0}, count, d, out, SONDE__ROW_F32, false);
}

static void ip_gather_f16(const float *query, const void *base, const int64_t *offsets, int64_t count, int64_t d,
                       float *out)
{
    scores(query, (sonde__places){base, offsets, 0}, count, d, out, SONDE__ROW_F16, false);
}

static void ip_gather_bf16(const float *query, const void *base, const int64_t *offsets, int64_t count, int64_t d,
                       float *out)
{
    scores(query, (sonde__places){base, offsets, 0}, count, d, out, SONDE__ROW_BF16, false);
}

static void ip_gather_i8(const float *query, const void *base, const int64_t *offsets, int64_t count, int64_t d,
                       float *out)
{
    scores(query, (sonde__places){base, offsets, 0}, count, d, out, SONDE__ROW_I8, false);
}

static void ip_gather_u8(const float *query, const void *base, const int64_t *offsets, int64_t count, int64_t d,
                       float *out)
{
    scores(query, (sonde__places){base, offsets, 0}, count, d, out, SONDE__ROW_U8, false);
}

static void l2_gather_f32(const float *query, const void *base, const int64_t *offsets, int64_t count, int64_t d,
                       float *out)
{
    scores(query, (sonde__places){base, offsets, 0}, count, d, out, SONDE__ROW_F32, true);
}

static void l2_gather_f16(const float *query, const void *base, const int64_t *offsets, int64_t count, int64_t d,
                       float *out)
{
    scores(query, (sonde__places){base, offsets, 0}, count, d, out, SONDE__ROW_F16, true);
}

static void l2_gather_bf16(const float *query, const void *base, const int64_t *offsets, int64_t count, int64_t d,
                       float *out)
{
    scores(query, (sonde__places){base, offsets, 0}, count, d, out, SONDE__ROW_BF16, true);
}

static void l2_gather_i8(const float *query, const void *base, const int64_t *offsets, int64_t count, int64_t d,
                       float *out)
{
    scores(query, (sonde__places){base, offsets, 0}, count, d, out, SONDE__ROW_I8, true);
}

static void l2_gather_u8(const float *query, const void *base, const int64_t *offsets, int64_t count, int64_t d,
                       float *out)
{
    scores(query, (sonde__places){base, offsets, 0}, count, d, out, SONDE__ROW_U8, true);
}

#endif
