/* bpv.h: the model of the quantizer bpv, shown so that its gradient can be tested.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_BPV_H
#define SONDE_SRC_BPV_H

#include "base/base.h"

/* Bits of a document from its own numbers t, and words from bits. */
typedef struct sonde__bpv_model {
    int64_t dim, bits, real; /* words; bits; numbers of t, 0: t has the logits of the bits themselves */
    float *words;            /* dim x (bits + 1): what each bit adds to the word's score, and its bias */
    float *map;              /* bits x (real + 1): logits from t and 1; NULL without real */
} sonde__bpv_model;

static inline int64_t sonde__bpv_width(const sonde__bpv_model *model)
{
    return model->real ? model->real : model->bits;
}

/* What a document is compared with: words that are in it (weight > 0, 1 in sum) and words that are drawn
 * (weight < 0). */
typedef struct sonde__bpv_terms {
    int64_t count;
    int64_t *offset; /* bytes of the word's row in words */
    float *weight;
} sonde__bpv_terms;

/* Room of one document, and what the gradient leaves in it. */
typedef struct sonde__bpv_room {
    float *logit, *code;           /* bits, bits + 1: +-1, and 1 for the bias */
    float *pull;                   /* a term each: d loss / d score */
    float *code_pull, *logit_pull; /* bits + 1, bits */
} sonde__bpv_room;

/* loss = sum over the terms of |weight| log(1 + exp(-+score)), and its gradient: by score (pull), by logit
 * (logit_pull) and by t (t_pull: width). The code is the signs of the logits, and passes the gradient on as
 * if it were 2 sigmoid - 1; soft: it is that, and the gradient is exact. */
double sonde__bpv_gradient(const sonde__bpv_model *model, bool soft, const float *t, const sonde__bpv_terms *terms,
                           sonde__bpv_room *room, float *t_pull);

#endif
