/* mmap.c: open an index without reading it: the operating system brings in what a search touches.
 *
 * A mapped index starts at once, costs no memory of its own, is shared by all processes that map it, and cannot be
 * changed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "glosses.h"

enum { K = 3 };

static int ask(const sonde_index *index, int64_t *ids)
{
    sonde_array query = rows_of(&data.questions, 5, 1);
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    how.k = K;
    sonde_hits hits = SONDE_HITS_INIT;
    hits.ids = ids;
    return sonde_index_search(index, &query, &how, &hits) ? failed() : 0;
}

static int compare_ways(const char *path)
{
    sonde_index *read = NULL, *mapped = NULL;
    int64_t from_read[K], from_mapped[K];
    sonde_index_stats stats = SONDE_INDEX_STATS_INIT;
    sonde_open_options how = SONDE_OPEN_OPTIONS_INIT;
    how.mode = SONDE_OPEN_MMAP;
    int code = 1;
    if (sonde_index_open(path, NULL, NULL, &read) || sonde_index_open(path, &how, NULL, &mapped) ||
        ask(read, from_read) || ask(mapped, from_mapped)) {
        failed();
        goto end;
    }
    sonde_index_stats_get(read, &stats);
    printf("read:   %9llu bytes of memory\n", (unsigned long long)stats.memory_bytes);
    sonde_index_stats_get(mapped, &stats);
    printf("mapped: %9llu bytes of memory, %llu mapped\n", (unsigned long long)stats.memory_bytes,
           (unsigned long long)stats.mapped_bytes);
    for (int i = 0; i < K; i++)
        printf("   %s\n", data.text[from_mapped[i]]);
    code = memcmp(from_read, from_mapped, sizeof from_read) != 0;

    sonde_status status = sonde_index_remove(mapped, from_mapped, 1, NULL);
    printf("removing a row from it: %s (%s)\n", sonde_status_name(status), sonde_error_message());
    code |= status != SONDE_STATE;
end:
    sonde_index_free(read);
    sonde_index_free(mapped);
    return code;
}

int main(int argc, char **argv)
{
    sonde_index *index = NULL;
    int code = glosses_load(argc, argv);
    if (!code && (sonde_index_create("ivf(nlist=128, code=sq(bits=8), metric=cosine)", DIM, NULL, &index) ||
                  sonde_index_add(index, &data.vectors, NULL) || sonde_index_save(index, "mapped.sonde")))
        code = failed();
    if (!code)
        code = compare_ways("mapped.sonde");
    remove("mapped.sonde");
    sonde_index_free(index);
    glosses_free();
    return code;
}
