/* usage_c.c: the shortest whole program: add vectors, ask, print, save.
 *
 * SPDX-License-Identifier: MIT
 */
#include <sonde.h>

#include <stdio.h>

#include "glosses.h"

static void print_answers(const sonde_hits *hits)
{
    for (int i = 0; i < 2 * 10; i++)
        printf("%s%.3f  %s\n", i % 10 ? "" : "\n", hits->scores[i], data.text[hits->ids[i]]);
}

int main(int argc, char **argv)
{
    if (glosses_load(argc, argv))
        return 1;
    sonde_array base = sonde_f16(data.memory[0], GLOSSES, 384); /* a borrowed view: data, rows, columns */
    sonde_index *index = NULL;

    if (sonde_index_create("ivf(metric=cosine)", 384, NULL, &index) ||
        sonde_index_add(index, &base, NULL)) { /* NULL ids: 0, 1, 2, ... */
        fprintf(stderr, "%s\n", sonde_error_message());
        return 1;
    }

    sonde_array queries = sonde_f16(data.memory[1], 2, 384);
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT; /* k = 10, recall = 0.95 unless set */
    int64_t ids[2 * 10];
    float scores[2 * 10];
    sonde_hits hits = {.size = sizeof hits, .ids = ids, .scores = scores}; /* optional: count, reason */

    sonde_status status = sonde_index_search(index, &queries, &how, &hits);
    if (status == SONDE_OK)
        print_answers(&hits);

    if (!status)
        status = sonde_index_save(index, "usage.sonde");
    sonde_index_free(index);
    glosses_free();
    return status != SONDE_OK;
}
