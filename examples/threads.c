/* threads.c: many readers beside one writer, with no lock in your program.
 *
 * Each search sees the index as it was after one whole add or remove, never a part of one. The writer here adds and
 * removes the second half of the glosses; the readers look for rows of the first half, which are always there.
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>
#include <stdatomic.h>

#include "glosses.h"

enum { READERS = 3, ROUNDS = 5, HALF = GLOSSES / 2, STEP = 500 };

static sonde_index *index_shared;
static atomic_int writing = 1, wrong, searches;

/* Row i must find itself: the nearest row to it is i, or one exactly as near. */
static void *reader(void *unused)
{
    (void)unused;
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    how.k = 1;
    how.recall = 1;
    how.threads = 1;
    for (int i = 0; writing || i < 10; i = (i + 1) % HALF) {
        int64_t id = -1;
        float score = 0;
        sonde_hits hits = {.size = sizeof hits, .ids = &id, .scores = &score};
        sonde_array query = rows_of(&data.vectors, i, 1);
        if (sonde_index_search(index_shared, &query, &how, &hits) || id < 0 || score < 0.999f)
            wrong++;
        searches++;
    }
    return NULL;
}

static int write_and_remove(void)
{
    int64_t ids[STEP];
    for (int round = 0; round < ROUNDS; round++) {
        for (int first = HALF; first < GLOSSES; first += STEP) {
            sonde_array rows = rows_of(&data.vectors, first, STEP);
            for (int i = 0; i < STEP; i++)
                ids[i] = first + i;
            if (sonde_index_add(index_shared, &rows, ids) ||
                sonde_index_remove(index_shared, ids, STEP / 2, NULL))
                return failed();
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    pthread_t threads[READERS];
    int started = 0, code = glosses_load(argc, argv);
    sonde_array first_half = rows_of(&data.vectors, 0, code ? 0 : HALF);
    if (!code && (sonde_index_create("ivf(nlist=64, metric=cosine)", DIM, NULL, &index_shared) ||
                  sonde_index_add(index_shared, &first_half, NULL)))
        code = failed();
    while (!code && started < READERS && !pthread_create(&threads[started], NULL, reader, NULL))
        started++;
    if (!code)
        code = write_and_remove();
    writing = 0;
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    printf("%d searches by %d readers beside the writer, %d of them wrong; %lld rows at the end\n", searches,
           started, wrong, (long long)sonde_index_count(index_shared));
    sonde_index_free(index_shared);
    glosses_free();
    return code || wrong || !searches;
}
