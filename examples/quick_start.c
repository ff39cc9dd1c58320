/* quick_start.c: build an index, ask it, save it, open it again.
 *
 * SPDX-License-Identifier: MIT
 */
#include "glosses.h"

enum { K = 3, ASKED = 4 };

static int ask(const sonde_index *index, const sonde_array *queries)
{
    int64_t ids[ASKED * K];
    float scores[ASKED * K];
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    how.k = K;
    how.recall = 0.95f; /* also the default: find 95 % of what an exact search would */
    sonde_hits hits = SONDE_HITS_INIT;
    hits.ids = ids;
    hits.scores = scores;
    if (sonde_index_search(index, queries, &how, &hits))
        return failed();
    for (int i = 0; i < ASKED * K; i++) {
        if (i % K == 0)
            printf("question %d\n", i / K);
        printf("   %.3f  %s\n", scores[i], data.text[ids[i]]);
    }
    return 0;
}

int main(int argc, char **argv)
{
    sonde_index *index = NULL, *again = NULL;
    int code = glosses_load(argc, argv);
    if (code)
        goto end;
    code = 1;
    if (sonde_index_create("ivf(nlist=128, metric=cosine)", DIM, NULL, &index) ||
        sonde_index_add(index, &data.vectors, NULL) || sonde_index_save(index, "quick_start.sonde") ||
        sonde_index_open("quick_start.sonde", NULL, NULL, &again)) {
        failed();
        goto end;
    }
    printf("%s: %lld rows\n", sonde_index_spec(again), (long long)sonde_index_count(again));
    sonde_array queries = rows_of(&data.questions, 0, ASKED);
    code = ask(again, &queries);
end:
    remove("quick_start.sonde");
    sonde_index_free(index);
    sonde_index_free(again);
    glosses_free();
    return code;
}
