/* quantizer.c: pack vectors into codes, unpack them, and score queries on the codes.
 *
 * Product quantization cuts a vector into m parts and keeps for each part the number of the nearest of 2^bits trained
 * ones: 384 floats (1,536 bytes) become 48 bytes here.
 *
 * SPDX-License-Identifier: MIT
 */
#include "glosses.h"

#include <math.h>

enum { K = 3, CODE = 48 };

static uint8_t codes[GLOSSES * CODE];
static float decoded[GLOSSES * DIM], scores[GLOSSES];

static double mean_length_of(const sonde_array *restored)
{
    double sum = 0;
    for (int64_t i = 0; i < 100; i++) {
        const float *row = (const float *)restored->data + i * DIM;
        double square = 0;
        for (int j = 0; j < DIM; j++)
            square += (double)row[j] * row[j];
        sum += sqrt(square); /* how much of the unit length the code has kept */
    }
    return sum / 100;
}

static void print_best(void)
{
    for (int rank = 0; rank < K; rank++) {
        int best = 0;
        for (int i = 1; i < GLOSSES; i++)
            best = scores[i] > scores[best] ? i : best;
        printf("   %.3f  %s\n", scores[best], data.text[best]);
        scores[best] = -INFINITY;
    }
}

static int pack(sonde_quantizer *quantizer)
{
    sonde_array packed = sonde_u8(codes, GLOSSES, CODE), restored = sonde_f32(decoded, GLOSSES, DIM);
    sonde_array query = rows_of(&data.questions, 0, 1), result = sonde_f32(scores, 1, GLOSSES);
    sonde_input input = {"vectors", &data.vectors};
    if (sonde_quantizer_train(quantizer, &input, 1) ||
        sonde_quantizer_encode(quantizer, &data.vectors, &packed) ||
        sonde_quantizer_decode(quantizer, &packed, &restored) ||
        sonde_quantizer_distances(quantizer, SONDE_METRIC_IP, &query, &packed, &result))
        return failed();
    double kept = mean_length_of(&restored);
    printf("%s: %lld bytes a vector instead of %d; restored length %.3f of 1\n",
           sonde_quantizer_spec(quantizer), (long long)sonde_quantizer_code_bytes(quantizer), DIM * 4, kept);
    print_best();
    return kept < 0.5 || kept > 1.1;
}

int main(int argc, char **argv)
{
    sonde_quantizer *quantizer = NULL;
    int code = glosses_load(argc, argv);
    if (!code)
        code = sonde_quantizer_create("pq(m=48, bits=8)", DIM, NULL, &quantizer) ? failed() : pack(quantizer);
    sonde_quantizer_free(quantizer);
    glosses_free();
    return code;
}
