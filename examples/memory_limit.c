/* memory_limit.c: your own allocator, and a limit that becomes a clean status instead of a killed process.
 *
 * SPDX-License-Identifier: MIT
 */
#define _POSIX_C_SOURCE 200112L
#include <stdatomic.h>

#include "glosses.h"

/* All memory of the library passes here; several threads may call at once. */
static void *my_alloc(size_t size, size_t align, void *user)
{
    void *memory = NULL;
    if (posix_memalign(&memory, align < sizeof(void *) ? sizeof(void *) : align, size))
        return NULL;
    atomic_fetch_add((atomic_llong *)user, (long long)size);
    return memory;
}

static void my_release(void *memory, size_t size, size_t align, void *user)
{
    (void)align;
    atomic_fetch_sub((atomic_llong *)user, (long long)size);
    free(memory);
}

/* Adds all rows within a limit; true if the status was the one we expect and every byte came back. */
static int add_within(uint64_t limit, sonde_status wanted)
{
    atomic_llong held = 0;
    uint64_t peak = 0;
    sonde_runtime *runtime = NULL;
    sonde_index *index = NULL;
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    options.memory_limit = limit;
    options.alloc = my_alloc;
    options.release = my_release;
    options.memory_user = &held;
    sonde_status status = sonde_runtime_create(&options, &runtime);
    if (!status)
        status = sonde_index_create("flat(metric=cosine)", DIM, runtime, &index);
    if (!status)
        status = sonde_index_add(index, &data.vectors, NULL);
    sonde_runtime_memory(runtime, NULL, &peak);
    printf("limit %9llu: %-7s %5lld rows, at most %llu bytes held\n", (unsigned long long)limit,
           sonde_status_name(status), (long long)sonde_index_count(index), (unsigned long long)peak);
    if (status)
        printf("   %s\n", sonde_error_message());
    sonde_index_free(index);
    sonde_runtime_free(runtime);
    return status == wanted && held == 0;
}

int main(int argc, char **argv)
{
    uint64_t memory = 0, build = 0;
    int code = glosses_load(argc, argv);
    if (code)
        goto end;
    if (sonde_index_estimate("flat(metric=cosine)", DIM, GLOSSES, &memory, &build)) {
        code = failed();
        goto end;
    }
    printf("estimate: %llu bytes, %llu while building\n", (unsigned long long)memory,
           (unsigned long long)build);
    code = !add_within(build + build / 10, SONDE_OK) || !add_within(memory / 2, SONDE_LIMIT);
end:
    glosses_free();
    return code;
}
