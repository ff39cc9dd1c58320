/* samplers.c: what to train on next, which token comes next, and the way from noise to data.
 *
 * SPDX-License-Identifier: MIT
 */
#include <sonde.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "glosses.h"

enum { DOCUMENTS = 2000, ASKED = 100, VOCABULARY = 32000, VALUES = 12 };

/* Hard negatives of a batch of questions: what a search finds and nobody marked as relevant. */
static int draw_negatives(void)
{
    static int64_t relevant[ASKED];
    sonde_array d = sonde_f16(data.memory[0], DOCUMENTS, 384), q = sonde_f16(data.memory[1], ASKED, 384);
    for (int i = 0; i < ASKED; i++) relevant[i] = i; /* stands in for what people said */
    sonde_array pos = sonde_i64(relevant, ASKED, 1);
    sonde_input inputs[] = {{"queries", &q}, {"documents", &d}, {"positives", &pos}};
    sonde_rows rows = SONDE_ROWS_INIT;
    sonde_row_sampler *negatives = NULL;

    if (sonde_row_sampler_create("adore(index=ivf(metric=ip), depth=200)", 384, NULL, &negatives) ||
        sonde_row_sampler_fit(negatives, inputs, 3) ||
        sonde_row_sampler_draw(negatives, 256, &rows)) /* ids and weights; groups where the method has them */
        return failed();
    printf("%lld negatives; question %lld should not answer: %s\n", (long long)rows.count, (long long)rows.groups[0],
           data.text[rows.ids[0]]);
    sonde_row_sampler_free(negatives);
    return 0;
}

static int draw_tokens(void)
{
    static float values[VOCABULARY];
    int32_t tokens[1];
    sonde_token_sampler *chain = NULL;
    for (int i = 0; i < VOCABULARY; i++) values[i] = 6 * sinf((float)i); /* stands in for a language model */
    sonde_array logits = sonde_f32(values, 1, VOCABULARY);

    if (sonde_token_sampler_create("chain(typical(mass=0.9), temperature(value=0.8))", VOCABULARY, NULL, &chain))
        return failed();
    for (int i = 0; i < 5; i++) {
        if (sonde_token_sampler_next(chain, &logits, tokens)) /* one token a row of logits */
            return failed();
        printf("token %d: %d\n", i, (int)tokens[0]);
    }
    sonde_token_sampler_free(chain);
    return 0;
}

/* The best guess of the data where all of it is 0.5. */
static void my_model(const sonde_ask *ask, float *guess)
{
    for (int64_t i = 0; i < ask->x.rows * ask->x.cols; i++) guess[i] = 0.5f;
}

static int follow_a_path(void)
{
    float noise[VALUES], guess[VALUES];
    sonde_ask ask = SONDE_ASK_INIT;
    sonde_path_sampler *path = NULL;
    for (int i = 0; i < VALUES; i++) noise[i] = 80 * cosf((float)i);
    sonde_array x = sonde_f32(noise, 2, VALUES / 2), prediction = sonde_f32(guess, 2, VALUES / 2);

    if (sonde_path_sampler_create("dpmpp(order=2, schedule=karras(steps=20))", VALUES / 2, NULL, &path) ||
        sonde_path_sampler_start(path, &x))
        return failed();
    while (sonde_path_sampler_ask(path, &ask) == SONDE_OK && !ask.done) {
        my_model(&ask, guess); /* the state, the time, what kind of prediction is wanted */
        if (sonde_path_sampler_tell(path, &prediction))
            return failed();
    }
    printf("data after %lld predictions: %.3f %.3f ...\n", (long long)ask.evaluation, ((float *)ask.x.data)[0],
           ((float *)ask.x.data)[1]);
    sonde_path_sampler_free(path);
    return 0;
}

int main(int argc, char **argv)
{
    if (glosses_load(argc, argv))
        return 1;
    int status = draw_negatives() || draw_tokens() || follow_a_path();
    glosses_free();
    return status;
}
