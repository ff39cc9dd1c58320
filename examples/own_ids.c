/* own_ids.c: rows under your own ids: add, replace (upsert), remove, look up.
 *
 * Ids are any 64-bit numbers >= 0, such as the keys of a database. Adding an id that is there replaces its row.
 *
 * SPDX-License-Identifier: MIT
 */
#include "glosses.h"

enum { ROWS = 1000 };

static int64_t nearest(const sonde_index *index, const sonde_array *query)
{
    int64_t id = -1;
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    how.k = 1;
    how.recall = 1;
    sonde_hits hits = SONDE_HITS_INIT;
    hits.ids = &id;
    sonde_index_search(index, query, &how, &hits);
    return id;
}

static int expect(const char *what, int64_t got, int64_t wanted)
{
    printf("%-46s %lld\n", what, (long long)got);
    if (got != wanted)
        fprintf(stderr, "failed: %s: %lld was expected\n", what, (long long)wanted);
    return got != wanted;
}

static int change_rows(sonde_index *index)
{
    int64_t key = 5000007, removed = 0;
    sonde_array rows = rows_of(&data.vectors, 0, ROWS), seven = rows_of(&rows, 7, 1);
    sonde_array other = rows_of(&data.vectors, ROWS, 1);
    int64_t keys[ROWS];
    for (int i = 0; i < ROWS; i++)
        keys[i] = 5000000 + i;

    if (sonde_index_add(index, &rows, keys))
        return failed();
    int code = expect("rows stored", sonde_index_count(index), ROWS);
    code |= expect("nearest to row 7", nearest(index, &seven), key);

    if (sonde_index_add(index, &other, &key)) /* the same id again: its row is replaced */
        return failed();
    code |= expect("rows stored after replacing one", sonde_index_count(index), ROWS);
    code |= expect("nearest to what replaced it", nearest(index, &other), key);

    if (sonde_index_remove(index, &key, 1, &removed))
        return failed();
    code |= expect("rows removed", removed, 1);
    code |= expect("is it still there (1 yes, 0 no)", sonde_index_contains(index, key), 0);
    if (sonde_index_compact(index)) /* gives the space of removed rows back */
        return failed();
    return code | expect("rows stored at the end", sonde_index_count(index), ROWS - 1);
}

int main(int argc, char **argv)
{
    sonde_index *index = NULL;
    int code = glosses_load(argc, argv);
    if (!code)
        code = sonde_index_create("flat(metric=cosine)", DIM, NULL, &index) ? failed() : change_rows(index);
    sonde_index_free(index);
    glosses_free();
    return code;
}
