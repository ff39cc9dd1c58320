/* progress_cancel.c: watch long work, and stop it: the index is then as it was before the call.
 *
 * Returning nonzero from the progress callback cancels; sonde_runtime_cancel does the same from any thread or signal
 * handler.
 *
 * SPDX-License-Identifier: MIT
 */
#include "glosses.h"

typedef struct watch {
    int calls;
    int stop;  /* cancel at once */
    int shown; /* lines printed */
    char stage[32];
} watch;

static int on_progress(const char *stage, uint64_t done, uint64_t total, void *user)
{
    watch *seen = user;
    seen->calls++;
    if (strcmp(seen->stage, stage) && seen->shown++ < 15) {
        snprintf(seen->stage, sizeof seen->stage, "%s", stage);
        printf("   %s: %llu of %llu\n", stage, (unsigned long long)done, (unsigned long long)total);
    }
    return seen->stop;
}

static int build_twice(sonde_runtime *runtime, watch *seen)
{
    sonde_index *index = NULL;
    if (sonde_index_create("ivf(nlist=256, code=pq(m=48), metric=cosine)", DIM, runtime, &index))
        return failed();
    seen->stop = 1;
    sonde_status first = sonde_index_add(index, &data.vectors, NULL);
    printf("first try: %s, %lld rows\n", sonde_status_name(first), (long long)sonde_index_count(index));
    int code = first != SONDE_CANCELLED || sonde_index_count(index) != 0;

    seen->stop = 0;
    seen->stage[0] = 0;
    sonde_runtime_resume(runtime);
    sonde_status second = sonde_index_add(index, &data.vectors, NULL);
    printf("second try: %s, %lld rows\n", sonde_status_name(second), (long long)sonde_index_count(index));
    code |= second != SONDE_OK || sonde_index_count(index) != GLOSSES;
    sonde_index_free(index);
    return code;
}

int main(int argc, char **argv)
{
    watch seen = {0, 0, 0, ""};
    sonde_runtime *runtime = NULL;
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    options.progress = on_progress;
    options.progress_user = &seen;
    int code = glosses_load(argc, argv);
    if (!code)
        code = sonde_runtime_create(&options, &runtime) ? failed() : build_twice(runtime, &seen);
    sonde_runtime_free(runtime);
    glosses_free();
    return code || !seen.calls;
}
