/* dispatch.c: which hot loops this process runs. The tables of all sets are merged once, on the first question:
 * each set starts as a copy of the next lower one and overlays the slots that its own files fill. The set in use is
 * the highest that the processor and the operating system can run; SONDE_ISA names a lower one (other names are
 * ignored).
 *
 * The merged tables are the only data here; they are written under pthread_once and constant ever after.
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/slots.h"

typedef struct kernel_set {
    const char *name;
    const sonde__kernels *const *parts; /* ends with NULL */
} kernel_set;

static const sonde__kernels *const generic_parts[] = {
    &sonde__generic_distance, &sonde__generic_integer, &sonde__generic_tile,  &sonde__generic_select,
    &sonde__generic_codes,    &sonde__generic_convert, &sonde__generic_small, &sonde__generic_logits,
    &sonde__generic_paths,    &sonde__generic_random,  &sonde__generic_nibbles,
    &sonde__generic_chains,   NULL,
};

#if defined(__x86_64__)

#include <cpuid.h>

static const sonde__kernels *const avx2_parts[] = {
    &sonde__avx2_distance, &sonde__avx2_integer, &sonde__avx2_tile,  &sonde__avx2_select,
    &sonde__avx2_codes,    &sonde__avx2_convert, &sonde__avx2_small, &sonde__avx2_logits,
    &sonde__avx2_paths,    &sonde__avx2_random,  &sonde__avx2_nibbles,
    &sonde__avx2_chains,   NULL,
};
static const sonde__kernels *const avx512_parts[] = {
    &sonde__avx512_distance, &sonde__avx512_integer, &sonde__avx512_tile,  &sonde__avx512_select,
    &sonde__avx512_codes,    &sonde__avx512_convert, &sonde__avx512_small, &sonde__avx512_logits,
    &sonde__avx512_paths,    &sonde__avx512_random,  &sonde__avx512_nibbles,
    &sonde__avx512_chains,   NULL,
};
enum { SET_GENERIC, SET_AVX2, SET_AVX512, SETS };
static const kernel_set sets[SETS] = {
    {"generic", generic_parts}, {"avx2", avx2_parts}, {"avx512", avx512_parts}};

static bool has_all(uint32_t bits, uint32_t wanted) { return (bits & wanted) == wanted; }

/* The register state that the operating system saves on a switch: 0x06 = xmm, ymm; 0xe6 = also masks and zmm. */
static uint32_t saved_state(uint32_t leaf1_ecx)
{
    if (!has_all(leaf1_ecx, bit_OSXSAVE)) return 0;
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static int highest_set(void)
{
    uint32_t a, b1, c1, d1, b7, c7, d7, ce, unused;
    if (!__get_cpuid(1, &a, &b1, &c1, &d1) || !__get_cpuid_count(7, 0, &a, &b7, &c7, &d7) ||
        !__get_cpuid(0x80000001, &a, &unused, &ce, &unused))
        return SET_GENERIC;
    uint32_t state = saved_state(c1);
    if (!has_all(c1, bit_AVX | bit_FMA | bit_F16C | bit_POPCNT | bit_SSE4_2) || !has_all(ce, bit_LZCNT) ||
        !has_all(b7, bit_AVX2 | bit_BMI | bit_BMI2) || !has_all(state, 0x06))
        return SET_GENERIC;
    if (!has_all(b7, bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL) ||
        !has_all(c7, bit_AVX512VNNI | bit_AVX512VBMI | bit_AVX512BITALG | bit_AVX512VPOPCNTDQ) ||
        !has_all(state, 0xe6))
        return SET_AVX2;
    return SET_AVX512;
}

#elif defined(__aarch64__) && defined(__linux__)

#include <asm/hwcap.h>
#include <sys/auxv.h>

static const sonde__kernels *const neon_parts[] = {
    &sonde__neon_distance, &sonde__neon_integer, &sonde__neon_tile,  &sonde__neon_select,
    &sonde__neon_codes,    &sonde__neon_convert, &sonde__neon_small, &sonde__neon_logits,
    &sonde__neon_paths,    &sonde__neon_random,  &sonde__neon_nibbles, NULL,
};
static const sonde__kernels *const crc32_parts[] = {&sonde__neon_crc32, NULL};
static const sonde__kernels *const dotprod_parts[] = {&sonde__neon_dotprod, NULL};

enum { SET_GENERIC, SET_NEON, SET_CRC32, SET_DOTPROD, SETS };
static const kernel_set sets[SETS] = {
    {"generic", generic_parts}, {"neon", neon_parts}, {"crc32", crc32_parts}, {"dotprod", dotprod_parts}};

/* Every AArch64 processor has NEON; the checksum came with ARMv8.1, the dot products with ARMv8.2 or 8.4. */
static int highest_set(void)
{
    unsigned long has = getauxval(AT_HWCAP);
    if (!(has & HWCAP_CRC32)) return SET_NEON;
    return has & HWCAP_ASIMDDP ? SET_DOTPROD : SET_CRC32;
}

#else

enum { SET_GENERIC, SETS };
static const kernel_set sets[SETS] = {{"generic", generic_parts}};

static int highest_set(void) { return SET_GENERIC; }

#endif

static sonde__kernels merged[SETS];
static const sonde__kernels *listed[SETS + 1];
static int highest, chosen;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* A table is pointers and numbers that are never 0, and an empty slot is zero, so the overlay goes word by word. */
static void overlay(const sonde__kernels *part, sonde__kernels *table)
{
    enum { WORDS = sizeof(sonde__kernels) / sizeof(uintptr_t) };
    _Static_assert(sizeof(sonde__kernels) == WORDS * sizeof(uintptr_t), "a table is an array of words");
    uintptr_t from[WORDS], to[WORDS];
    memcpy(from, part, sizeof from);
    memcpy(to, table, sizeof to);
    for (int i = 0; i < WORDS; i++) {
        if (from[i]) to[i] = from[i];
    }
    memcpy(table, to, sizeof to);
}

static void choose(void)
{
    const char *wanted = getenv("SONDE_ISA");
    highest = highest_set();
    chosen = highest;
    for (int set = 0; set < SETS; set++) {
        if (set > 0) merged[set] = merged[set - 1];
        for (const sonde__kernels *const *part = sets[set].parts; *part; part++) overlay(*part, &merged[set]);
        merged[set].name = sets[set].name;
        listed[set] = &merged[set];
        if (wanted && set < highest && strcmp(wanted, sets[set].name) == 0) chosen = set;
    }
}

const sonde__kernels *sonde__kernels_get(void)
{
    pthread_once(&once, choose);
    return &merged[chosen];
}

const sonde__kernels *const *sonde__kernels_all(void)
{
    pthread_once(&once, choose);
    return listed;
}

bool sonde__kernels_run(const sonde__kernels *kernels)
{
    pthread_once(&once, choose);
    for (int set = 0; set <= highest; set++) {
        if (kernels == &merged[set]) return true;
    }
    return false;
}

int sonde__row_kind(uint32_t dtype)
{
    switch (dtype) {
    case SONDE_DTYPE_F32: return SONDE__ROW_F32;
    case SONDE_DTYPE_F16: return SONDE__ROW_F16;
    case SONDE_DTYPE_BF16: return SONDE__ROW_BF16;
    case SONDE_DTYPE_I8: return SONDE__ROW_I8;
    case SONDE_DTYPE_U8: return SONDE__ROW_U8;
    default: return -1;
    }
}
