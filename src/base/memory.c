/* memory.c: every byte that the library holds.
 *
 * A block is a 64-byte header followed by the data, so freeing needs only the pointer:
 *
 *   offset 0   uint64 size     bytes of the whole block, a multiple of 64
 *          8   uint64 align    64, or 2 MiB for blocks of at least that size (huge pages)
 *         16   uint64 canary   wrong in a debug build = an overrun, a double free, or a foreign pointer
 *         64   data
 *
 * What counts against the limit is the whole block. A block is charged before it is asked for, by compare-and-swap, so
 * `used` never passes the limit, however many threads allocate at once. Before a limit is reported, the scratch that
 * the runtime keeps for later calls is released.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/runtime.h"

#define BLOCK_HEADER 64
#define BLOCK_HUGE ((uint64_t)1 << 21)
#define BLOCK_CANARY UINT64_C(0x50de50de0b10c4ed)

typedef struct block_header {
    uint64_t size, align, canary;
} block_header;

void *sonde__block_get(const sonde_runtime_options *from, size_t size, size_t align)
{
    if (!from->alloc) return sonde__os_alloc(size, align);
    void *block = from->alloc(size, align, from->memory_user);
    if (block && size >= BLOCK_HUGE) sonde__os_huge_pages(block, size);
    return block;
}

void sonde__block_put(const sonde_runtime_options *from, void *block, size_t size, size_t align)
{
    if (from->release) from->release(block, size, align, from->memory_user);
    else sonde__os_release(block);
}

/* Adds `size` to what is used unless that would pass the limit. */
static bool charge(sonde_runtime *runtime, uint64_t size)
{
    uint64_t limit = runtime->options.memory_limit ? runtime->options.memory_limit : UINT64_MAX;
    uint64_t used = atomic_load(&runtime->used);
    do {
        if (used > limit || size > limit - used) return false;
    } while (!atomic_compare_exchange_weak(&runtime->used, &used, used + size));
    uint64_t peak = atomic_load(&runtime->peak);
    while (peak < used + size && !atomic_compare_exchange_weak(&runtime->peak, &peak, used + size)) continue;
    return true;
}

static void uncharge(sonde_runtime *runtime, uint64_t size)
{
    uint64_t before = atomic_fetch_sub(&runtime->used, size);
    SONDE_ASSERT(before >= size);
    (void)before;
}

/* Bytes of the block for count elements, or 0 if that is more than the address space allows. */
static uint64_t block_bytes(uint64_t count, uint64_t size)
{
    const uint64_t most = PTRDIFF_MAX - 2 * BLOCK_HEADER;
    if (size != 0 && count > most / size) return 0;
    uint64_t data = count * size;
    return (data + BLOCK_HEADER + (BLOCK_HEADER - 1)) / BLOCK_HEADER * BLOCK_HEADER;
}

void *sonde__fail_address(uint64_t count, uint64_t size)
{
    sonde__fail(SONDE_OUT_OF_MEMORY,
                "memory: %llu elements of %llu bytes are more than this machine can address",
                (unsigned long long)count, (unsigned long long)size);
    return NULL;
}

static void *fail_limit(sonde_runtime *runtime, uint64_t total)
{
    sonde__fail(SONDE_LIMIT,
                "memory: %llu bytes more would pass the memory_limit of %llu bytes (%llu are in use)",
                (unsigned long long)total, (unsigned long long)runtime->options.memory_limit,
                (unsigned long long)atomic_load(&runtime->used));
    return NULL;
}

/* A block of `total` bytes that has been charged; on failure the charge is taken back. */
static void *block_start(sonde_runtime *runtime, uint64_t total)
{
    uint64_t align = total >= BLOCK_HUGE ? BLOCK_HUGE : BLOCK_HEADER;
    uint8_t *block = sonde__block_get(&runtime->options, (size_t)total, (size_t)align);
    if (!block) {
        uncharge(runtime, total);
        sonde__fail(SONDE_OUT_OF_MEMORY, "memory: the allocator returned nothing for %llu bytes",
                    (unsigned long long)total);
        return NULL;
    }
    if ((uintptr_t)block % align) {
        sonde__block_put(&runtime->options, block, (size_t)total, (size_t)align);
        uncharge(runtime, total);
        sonde__fail(SONDE_CALLBACK,
                    "memory: alloc returned %p, which is not aligned to %llu bytes as it was asked to",
                    (void *)block, (unsigned long long)align);
        return NULL;
    }
    block_header header = {total, align, BLOCK_CANARY};
    memcpy(block, &header, sizeof header);
    return block + BLOCK_HEADER;
}

void *sonde__alloc(sonde_runtime *runtime, uint64_t count, uint64_t size)
{
    uint64_t total = block_bytes(count, size);
    if (total == 0) return sonde__fail_address(count, size);
    if (!charge(runtime, total) && !(sonde__scratch_trim(runtime) && charge(runtime, total)))
        return fail_limit(runtime, total);
    return block_start(runtime, total);
}

void *sonde__alloc_zero(sonde_runtime *runtime, uint64_t count, uint64_t size)
{
    void *memory = sonde__alloc(runtime, count, size);
    if (memory) memset(memory, 0, (size_t)(count * size));
    return memory;
}

void sonde__free(sonde_runtime *runtime, void *memory)
{
    if (!memory) return;
    uint8_t *block = (uint8_t *)memory - BLOCK_HEADER;
    block_header header;
    memcpy(&header, block, sizeof header);
    SONDE_ASSERT(header.canary == BLOCK_CANARY);
    memset(block, 0, sizeof header);
    sonde__block_put(&runtime->options, block, (size_t)header.size, (size_t)header.align);
    uncharge(runtime, header.size);
}

char *sonde__copy_text(sonde_runtime *runtime, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = sonde__alloc(runtime, bytes, 1);
    if (copy) memcpy(copy, text, bytes);
    return copy;
}
