/* filter.c: search among some rows only: a range of ids, a list of ids, a bitmap, or a function of yours.
 *
 * Filters act inside the scan, so k hits come back whenever k allowed rows exist, however few rows are allowed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "glosses.h"

enum { K = 3 };

/* Allows glosses of at most 40 letters. */
static int is_short(int64_t id, void *user)
{
    (void)user;
    return strlen(data.text[id]) <= 40;
}

static int ask(const sonde_index *index, const char *title, const sonde_filter *filter)
{
    int64_t ids[K];
    float scores[K];
    int32_t count = 0;
    sonde_array query = rows_of(&data.questions, 0, 1);
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    how.k = K;
    how.filter = filter;
    how.filter_count = filter ? 1 : 0;
    sonde_hits hits = {.size = sizeof hits, .ids = ids, .scores = scores, .count = &count};
    if (sonde_index_search(index, &query, &how, &hits))
        return failed();
    printf("%s\n", title);
    for (int i = 0; i < count; i++)
        printf("   %5lld  %.3f  %s\n", (long long)ids[i], scores[i], data.text[ids[i]]);
    return count != K;
}

static int ask_in_four_ways(const sonde_index *index)
{
    sonde_filter range = SONDE_FILTER_INIT, list = SONDE_FILTER_INIT, bitmap = SONDE_FILTER_INIT;
    sonde_filter function = SONDE_FILTER_INIT;
    static const int64_t allowed[] = {12, 345, 6789}; /* ascending */
    static uint8_t even[GLOSSES / 8];
    memset(even, 0x55, sizeof even);

    range.kind = SONDE_FILTER_RANGE;
    range.first = 9000;
    range.last = 10000;
    list.kind = SONDE_FILTER_IDS;
    list.ids = allowed;
    list.count = 3;
    bitmap.kind = SONDE_FILTER_BITMAP;
    bitmap.bits = even;
    bitmap.count = GLOSSES;
    function.kind = SONDE_FILTER_CALLBACK;
    function.accept = is_short;
    return ask(index, "all rows", NULL) | ask(index, "ids 9000 to 9999", &range) |
           ask(index, "three ids", &list) | ask(index, "even ids", &bitmap) |
           ask(index, "glosses of at most 40 letters", &function);
}

int main(int argc, char **argv)
{
    sonde_index *index = NULL;
    int code = glosses_load(argc, argv);
    if (!code && (sonde_index_create("ivf(nlist=128, metric=cosine)", DIM, NULL, &index) ||
                  sonde_index_add(index, &data.vectors, NULL)))
        code = failed();
    if (!code)
        code = ask_in_four_ways(index);
    sonde_index_free(index);
    glosses_free();
    return code;
}
