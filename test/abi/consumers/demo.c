/* demo.c: the program that every C consumer builds: it stores three points, finds the nearest, and says with which
 * version of the library.
 *
 * SPDX-License-Identifier: MIT
 */
#include <sonde.h>
#include <stdio.h>

static int fail(void)
{
    fprintf(stderr, "%s\n", sonde_error_message());
    return 1;
}

int main(void)
{
    const float points[] = {0, 0, 3, 4, 9, 9}, question[] = {3, 3};
    sonde_array base = sonde_f32(points, 3, 2), query = sonde_f32(question, 1, 2);
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    sonde_hits hits = SONDE_HITS_INIT;
    sonde_index *index = NULL;
    int64_t nearest = -1;

    how.k = 1;
    hits.ids = &nearest;
    if (sonde_index_create("flat", 2, NULL, &index) || sonde_index_add(index, &base, NULL) ||
        sonde_index_search(index, &query, &how, &hits))
        return fail();
    printf("sonde %s: nearest %d\n", sonde_version(), (int)nearest);
    sonde_index_free(index);
    return 0;
}
