/* quantizers.c: learn from rows that come piece by piece, rule rows out by bounds on their scores, and cut
 * rows into groups of equal size.
 *
 * RaBitQ tells with each score how far it may be off. So codes alone rule out nearly all rows, and only those
 * that are left need their vectors, which may lie on a disk.
 *
 * SPDX-License-Identifier: MIT
 */
#include "glosses.h"

#include <math.h>

enum { PIECE = 1000, GROUPS = 64, SHOWN = 4 };

static float scores[GLOSSES], errors[GLOSSES];
static int32_t group[GLOSSES];

static int learn_from_stream(sonde_quantizer *quantizer)
{
    for (int64_t first = 0; first < GLOSSES; first += PIECE) {
        sonde_array piece = rows_of(&data.vectors, first, PIECE);
        sonde_input input = {"vectors", &piece};
        if (sonde_quantizer_observe(quantizer, &input, 1)) /* keeps a uniform sample of all pieces */
            return failed();
    }
    return sonde_quantizer_train(quantizer, NULL, 0) ? failed() : 0;
}

/* Rows whose bounds allow that they are the nearest: the others are certainly behind the best. */
static int mark_candidates(bool *may_be_nearest)
{
    float floor = -INFINITY;
    int left = 0;
    for (int i = 0; i < GLOSSES; i++) floor = fmaxf(floor, scores[i] - errors[i]);
    for (int i = 0; i < GLOSSES; i++) left += may_be_nearest[i] = scores[i] + errors[i] >= floor;
    return left;
}

static int rule_out(const sonde_quantizer *quantizer, sonde_index *exact)
{
    static bool may_be_nearest[GLOSSES];
    static uint8_t codes[GLOSSES * DIM];
    int64_t bytes = sonde_quantizer_code_bytes(quantizer), nearest;
    sonde_array packed = sonde_u8(codes, GLOSSES, bytes), query = rows_of(&data.questions, 0, 1);
    sonde_array result = sonde_f32(scores, 1, GLOSSES), bounds = sonde_f32(errors, 1, GLOSSES);
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    sonde_hits hits = {.size = sizeof hits, .ids = &nearest};
    how.k = 1;
    if (sonde_quantizer_encode(quantizer, &data.vectors, &packed) ||
        sonde_quantizer_bounds(quantizer, SONDE_METRIC_IP, &query, &packed, &result, &bounds) ||
        sonde_index_add(exact, &data.vectors, NULL) || sonde_index_search(exact, &query, &how, &hits))
        return failed();
    int left = mark_candidates(may_be_nearest);
    printf("codes of %lld bytes leave %d of %d rows that may be the nearest, among them the nearest: %s\n",
           (long long)bytes, left, GLOSSES, data.text[nearest]);
    return left > GLOSSES / 100 || !may_be_nearest[nearest];
}

/* 10,000 rows in 64 groups: each gets 156 or 157. */
static int cut_into_groups(sonde_quantizer *kmeans)
{
    int size[GROUPS] = {0}, uneven = 0;
    sonde_input input = {"vectors", &data.vectors};
    if (sonde_quantizer_cluster(kmeans, &input, 1, group))
        return failed();
    for (int i = 0; i < GLOSSES; i++) size[group[i]]++;
    for (int g = 0; g < GROUPS; g++) uneven += size[g] != GLOSSES / GROUPS && size[g] != GLOSSES / GROUPS + 1;
    printf("one of %d groups, with %d rows:\n", GROUPS, size[0]);
    for (int i = 0, shown = 0; shown < SHOWN; i++)
        if (group[i] == 0 && ++shown)
            printf("   %s\n", data.text[i]);
    return uneven;
}

int main(int argc, char **argv)
{
    sonde_quantizer *rabitq = NULL, *kmeans = NULL;
    sonde_index *exact = NULL;
    int code = glosses_load(argc, argv);
    if (!code && (sonde_quantizer_create("rabitq(bits=2)", DIM, NULL, &rabitq) ||
                  sonde_quantizer_create("kmeans(k=64, balance=capacity)", DIM, NULL, &kmeans) ||
                  sonde_index_create("flat(metric=ip)", DIM, NULL, &exact)))
        code = failed();
    if (!code)
        code = learn_from_stream(rabitq) || rule_out(rabitq, exact) || cut_into_groups(kmeans);
    sonde_quantizer_free(rabitq);
    sonde_quantizer_free(kmeans);
    sonde_index_free(exact);
    glosses_free();
    return code;
}
