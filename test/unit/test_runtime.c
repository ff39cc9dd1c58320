/* test_runtime.c: statuses and messages, the runtime's options and shares, memory accounting, scratch.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <pthread.h>

#include "../failing.h"

#include "base/runtime.h"

static void statuses_have_names_and_texts(void **state)
{
    (void)state;
    assert_string_equal(sonde_status_name(SONDE_OK), "OK");
    assert_string_equal(sonde_status_name(SONDE_INVALID_ARGUMENT), "INVALID_ARGUMENT");
    assert_string_equal(sonde_status_name((sonde_status)99), "UNKNOWN");
    for (int status = 0; status <= SONDE_INTERNAL; status++) {
        assert_string_not_equal(sonde_status_name((sonde_status)status), "UNKNOWN");
        assert_true(strlen(sonde_status_text((sonde_status)status)) > 5);
    }
    assert_string_not_equal(sonde_status_text((sonde_status)99), sonde_status_text(SONDE_OK));
}

static void messages_start_empty_and_can_be_prefixed(void **state)
{
    (void)state;
    assert_string_equal(sonde_error_message(), "");
    assert_int_equal(sonde__fail(SONDE_IO, "a %d", 1), SONDE_IO);
    assert_int_equal(sonde__fail_within(SONDE_CORRUPT, "file %s", "x.sonde"), SONDE_CORRUPT);
    assert_string_equal(sonde_error_message(), "file x.sonde: a 1");
    assert_int_equal(sonde__last_status(), SONDE_CORRUPT);
    sonde__fail(SONDE_IO, "again: %s", sonde_error_message()); /* the argument is the buffer itself */
    assert_string_equal(sonde_error_message(), "again: file x.sonde: a 1");
}

/* Every cut keeps whole characters, whatever the offset of the two-byte and four-byte ones. */
static void long_messages_are_cut_between_characters(void **state)
{
    (void)state;
    const char *letters[] = {"x", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    for (size_t kind = 0; kind < 4; kind++) {
        size_t width = strlen(letters[kind]);
        for (size_t shift = 0; shift < 4; shift++) {
            char text[4096] = "";
            memset(text, '.', shift);
            for (size_t at = shift; at + width < 3000; at += width) memcpy(text + at, letters[kind], width);
            sonde__fail(SONDE_IO, "%s", text);
            size_t length = strlen(sonde_error_message());
            assert_int_equal(length, shift + (1023 - shift) / width * width);
            assert_memory_equal(sonde_error_message(), text, length);
            sonde__fail_within(SONDE_IO, "%s", "w");
            assert_true(strlen(sonde_error_message()) <= 1023);
            assert_int_equal((strlen(sonde_error_message()) - 3 - shift) % width, 0);
        }
    }
    char exact[1024];
    memset(exact, 'y', 1023);
    exact[1023] = 0;
    sonde__fail(SONDE_IO, "%s", exact);
    assert_string_equal(sonde_error_message(), exact);
}

static void *fail_elsewhere(void *seen)
{
    *(bool *)seen = sonde_error_message()[0] == 0;
    sonde__fail(SONDE_IO, "elsewhere");
    return NULL;
}

static void messages_belong_to_their_thread(void **state)
{
    (void)state;
    sonde__fail(SONDE_LIMIT, "here");
    bool empty = false;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, &empty), 0);
    pthread_join(thread, NULL);
    assert_true(empty);
    assert_string_equal(sonde_error_message(), "here");
    assert_int_equal(sonde__last_status(), SONDE_LIMIT);
}

static void options_are_checked(void **state)
{
    (void)state;
    sonde_runtime *const untouched = (sonde_runtime *)&state;
    sonde_runtime *runtime = untouched;
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    FAILS(sonde_runtime_create(&options, NULL), SONDE_INVALID_ARGUMENT, "NULL");
    options.size = 0;
    FAILS(sonde_runtime_create(&options, &runtime), SONDE_INVALID_ARGUMENT, "INIT");
    options.size = 0xcdcdcdcd;
    FAILS(sonde_runtime_create(&options, &runtime), SONDE_INVALID_ARGUMENT, "3452816845");
    options.size = sizeof options;
    options.alloc = failing_alloc;
    FAILS(sonde_runtime_create(&options, &runtime), SONDE_INVALID_ARGUMENT, "alloc is given without release");
    options.alloc = NULL;
    options.release = failing_release;
    FAILS(sonde_runtime_create(&options, &runtime), SONDE_INVALID_ARGUMENT, "release is given without alloc");
    options.release = NULL;
    options.threads = 100000;
    FAILS(sonde_runtime_create(&options, &runtime), SONDE_INVALID_ARGUMENT, "threads=100000");
    assert_ptr_equal(runtime, untouched);
    FAILS(sonde_runtime_memory(NULL, NULL, NULL), SONDE_INVALID_ARGUMENT, "NULL");
    sonde_runtime_free(NULL);
    sonde_runtime_cancel(NULL);
    sonde_runtime_resume(NULL);
}

static void options_of_other_versions(void **state)
{
    (void)state;
    sonde_runtime *runtime = NULL;
    struct {
        sonde_runtime_options known;
        uint64_t later[2];
    } newer = {SONDE_RUNTIME_OPTIONS_INIT, {0, 0}};
    newer.known.size = sizeof newer;
    newer.known.threads = 3;
    OK(sonde_runtime_create(&newer.known, &runtime));
    assert_int_equal(sonde__runtime_threads(runtime, 0), 3);
    sonde_runtime_free(runtime);
    newer.later[1] = 1;
    FAILS(sonde_runtime_create(&newer.known, &runtime), SONDE_INVALID_ARGUMENT, "lacks");

    /* A caller whose struct ended behind `threads`: what lies beyond is not ours to read. */
    sonde_runtime_options older = SONDE_RUNTIME_OPTIONS_INIT;
    older.size = 8;
    older.threads = 2;
    older.memory_limit = 1;
    OK(sonde_runtime_create(&older, &runtime));
    void *memory = sonde__alloc(runtime, 1000, 1);
    assert_non_null(memory);
    sonde__free(runtime, memory);
    sonde_runtime_free(runtime);
}

static void info_structs_of_other_versions(void **state)
{
    (void)state;
    sonde_method_info filled = SONDE_METHOD_INFO_INIT, info;
    filled.key_count = 7;
    filled.name = "pq";
    memset(&info, 0xee, sizeof info);
    info.size = 8;
    OK(sonde__info_write(&filled, sizeof filled, "info", &info));
    assert_int_equal(info.size, 8);
    assert_int_equal(info.key_count, 7);
    assert_int_equal(info.input_count, 0xeeeeeeee);
    struct {
        sonde_method_info known;
        uint64_t later;
    } newer = {SONDE_METHOD_INFO_INIT, 99};
    newer.known.size = sizeof newer;
    OK(sonde__info_write(&filled, sizeof filled, "info", &newer));
    assert_int_equal(newer.known.size, sizeof newer);
    assert_string_equal(newer.known.name, "pq");
    assert_int_equal(newer.later, 0);
    FAILS(sonde__info_write(&filled, sizeof filled, "info", NULL), SONDE_INVALID_ARGUMENT, "NULL");
}

static void threads_are_bounded_by_the_runtime(void **state)
{
    (void)state;
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    sonde_runtime *runtime = NULL;
    options.threads = 4;
    OK(sonde_runtime_create(&options, &runtime));
    assert_int_equal(sonde__runtime_threads(runtime, 0), 4);
    assert_int_equal(sonde__runtime_threads(runtime, 3), 3);
    assert_int_equal(sonde__runtime_threads(runtime, 4000000000u), 4);
    sonde_runtime_free(runtime);
    OK(sonde_runtime_create(NULL, &runtime));
    assert_int_equal(sonde__runtime_threads(runtime, 0), sonde__os_cpus());
    sonde_runtime_free(runtime);
}

static void the_last_share_frees_the_runtime(void **state)
{
    (void)state;
    failing_allocator memory = {0};
    sonde_runtime_options options = failing_options(&memory);
    sonde_runtime *runtime = NULL, *first = NULL, *second = NULL;
    OK(sonde_runtime_create(&options, &runtime));
    OK(sonde__runtime_hold(runtime, &first));
    OK(sonde__runtime_hold(runtime, &second));
    assert_ptr_equal(first, runtime);
    sonde_runtime_free(runtime);
    assert_int_equal(memory.blocks, 1);
    sonde__runtime_drop(second);
    assert_int_equal(memory.blocks, 1);
    sonde__runtime_drop(first);
    assert_int_equal(memory.blocks, 0);
    OK(sonde__runtime_hold(NULL, &first)); /* private */
    sonde__runtime_drop(first);
}

static void blocks_are_aligned_and_counted(void **state)
{
    (void)state;
    failing_allocator memory = {0};
    sonde_runtime_options options = failing_options(&memory);
    sonde_runtime *runtime = NULL;
    OK(sonde_runtime_create(&options, &runtime));
    long own = memory.bytes;
    const uint64_t sizes[] = {0, 1, 63, 64, 65, 4096, 100001, (2 << 20) - 64, 2 << 20, 5000000};
    enum { COUNT = sizeof sizes / sizeof *sizes };
    uint8_t *blocks[COUNT];
    uint64_t used, peak;
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = sonde__alloc(runtime, sizes[i], 1);
        assert_non_null(blocks[i]);
        memset(blocks[i], i, sizes[i]);
        uintptr_t huge = sizes[i] + 64 >= 2 << 20 ? (uintptr_t)2 << 20 : 64;
        assert_int_equal(((uintptr_t)blocks[i] - 64) % huge, 0);
        OK(sonde_runtime_memory(runtime, &used, NULL));
        assert_int_equal(used, memory.bytes - own);
    }
    OK(sonde_runtime_memory(runtime, NULL, &peak));
    assert_int_equal(peak, used);
    for (int i = 0; i < COUNT; i++) {
        for (uint64_t j = 0; j < sizes[i]; j++) assert_int_equal(blocks[i][j], i);
        sonde__free(runtime, blocks[i]);
    }
    sonde__free(runtime, NULL);
    OK(sonde_runtime_memory(runtime, &used, &peak));
    assert_int_equal(used, 0);
    assert_true(peak >= 9000000);
    sonde_runtime_free(runtime);
    assert_int_equal(memory.blocks, 0);
}

static void sizes_that_overflow_fail(void **state)
{
    (void)state;
    sonde_runtime *runtime = NULL;
    OK(sonde_runtime_create(NULL, &runtime));
    assert_null(sonde__alloc(runtime, UINT64_MAX, 2));
    assert_int_equal(sonde__last_status(), SONDE_OUT_OF_MEMORY);
    assert_null(sonde__alloc(runtime, UINT64_MAX / 4 + 1, 4)); /* the product is 0 modulo 2^64 */
    assert_null(sonde__alloc(runtime, (uint64_t)1 << 63, 1));
    assert_null(sonde__alloc_zero(runtime, UINT64_MAX - 63, 1));
    double *pointer = NULL;
    FAILS(SONDE_NEW(runtime, pointer, UINT64_MAX / 8), SONDE_OUT_OF_MEMORY, "elements of 8 bytes");
    sonde__scratch *scratch = NULL;
    OK(sonde__scratch_take(runtime, &scratch));
    FAILS(SONDE_SCRATCH(scratch, pointer, UINT64_MAX / 8 + 1), SONDE_OUT_OF_MEMORY, "elements of 8 bytes");
    assert_null(sonde__scratch_alloc(scratch, UINT64_MAX, 1));
    sonde__scratch_give(runtime, scratch);
    uint64_t zeros[64] = {0}, *values = sonde__alloc_zero(runtime, 64, 8);
    assert_memory_equal(values, zeros, sizeof zeros);
    sonde__free(runtime, values);
    sonde_runtime_free(runtime);
}

static void *off_by_eight(size_t size, size_t align, void *user)
{
    failing_allocator *memory = user;
    if (atomic_fetch_add(&memory->calls, 1) == 0) return aligned_alloc(align, size); /* the runtime itself */
    return (uint8_t *)memory + 1;
}

static void off_by_eight_release(void *block, size_t size, size_t align, void *user)
{
    (void)size;
    (void)align;
    if (block != (uint8_t *)user + 1) free(block);
}

static void a_misaligned_block_is_refused(void **state)
{
    (void)state;
    failing_allocator memory = {0};
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    options.alloc = off_by_eight;
    options.release = off_by_eight_release;
    options.memory_user = &memory;
    sonde_runtime *runtime = NULL;
    OK(sonde_runtime_create(&options, &runtime));
    assert_null(sonde__alloc(runtime, 10, 10));
    assert_int_equal(sonde__last_status(), SONDE_CALLBACK);
    assert_non_null(strstr(sonde_error_message(), "aligned to 64"));
    uint64_t used;
    OK(sonde_runtime_memory(runtime, &used, NULL));
    assert_int_equal(used, 0);
    sonde_runtime_free(runtime);
}

static void the_limit_names_its_numbers(void **state)
{
    (void)state;
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    options.memory_limit = 10000;
    sonde_runtime *runtime = NULL;
    OK(sonde_runtime_create(&options, &runtime));
    void *held = sonde__alloc(runtime, 9000 - 64, 1);
    assert_non_null(held);
    assert_null(sonde__alloc(runtime, 1000, 1));
    assert_int_equal(sonde__last_status(), SONDE_LIMIT);
    assert_non_null(strstr(sonde_error_message(), "10000"));
    assert_non_null(strstr(sonde_error_message(), "1088")); /* 1000 + header, rounded up */
    void *rest = sonde__alloc(runtime, 10000 / 64 * 64 - 9024 - 64, 1); /* to the last whole line */
    assert_non_null(rest);
    assert_null(sonde__alloc(runtime, 0, 1));
    sonde__free(runtime, held);
    sonde__free(runtime, rest);
    sonde_runtime_free(runtime);
}

static void the_limit_takes_idle_scratch_first(void **state)
{
    (void)state;
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    options.memory_limit = 1000000;
    sonde_runtime *runtime = NULL;
    OK(sonde_runtime_create(&options, &runtime));
    sonde__scratch *scratch = NULL;
    OK(sonde__scratch_take(runtime, &scratch));
    assert_non_null(sonde__scratch_alloc(scratch, 800000, 1));
    assert_null(sonde__alloc(runtime, 500000, 1)); /* in use: it stays */
    assert_int_equal(sonde__last_status(), SONDE_LIMIT);
    sonde__scratch_give(runtime, scratch);
    void *memory = sonde__alloc(runtime, 500000, 1);
    assert_non_null(memory);
    sonde__free(runtime, memory);
    sonde_runtime_free(runtime);
}

typedef struct limit_race {
    sonde_runtime *runtime;
    failing_allocator *memory;
    uint64_t limit, seed;
    atomic_long *refused, *passed;
} limit_race;

static void *race_for_memory(void *context)
{
    limit_race *race = context;
    uint64_t random = race->seed;
    void *held[8] = {NULL};
    for (int i = 0; i < 3000; i++) {
        void **slot = &held[test_u64(&random) % 8];
        sonde__free(race->runtime, *slot);
        *slot = sonde__alloc(race->runtime, test_u64(&random) % 5000, 1);
        if (!*slot) atomic_fetch_add(race->refused, 1);
        uint64_t used;
        sonde_runtime_memory(race->runtime, &used, NULL);
        if (used > race->limit) atomic_fetch_add(race->passed, 1);
    }
    for (int i = 0; i < 8; i++) sonde__free(race->runtime, held[i]);
    return NULL;
}

static void the_limit_is_exact_under_concurrency(void **state)
{
    (void)state;
    failing_allocator memory = {0};
    sonde_runtime_options options = failing_options(&memory);
    options.memory_limit = 15000; /* one thread alone would like 20000 */
    sonde_runtime *runtime = NULL;
    OK(sonde_runtime_create(&options, &runtime));
    atomic_long refused = 0, passed = 0;
    limit_race races[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        races[i] = (limit_race){runtime, &memory, options.memory_limit, (uint64_t)i, &refused, &passed};
        assert_int_equal(pthread_create(&threads[i], NULL, race_for_memory, &races[i]), 0);
    }
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    uint64_t used, peak;
    OK(sonde_runtime_memory(runtime, &used, &peak));
    assert_int_equal(passed, 0);
    assert_true(refused > 0);
    assert_int_equal(used, 0);
    assert_true(peak <= 15000 && peak > 12000);
    sonde_runtime_free(runtime);
    assert_int_equal(memory.blocks, 0);
}

static void scratch_is_aligned_disjoint_and_warm(void **state)
{
    (void)state;
    failing_allocator memory = {0};
    sonde_runtime_options options = failing_options(&memory);
    sonde_runtime *runtime = NULL;
    OK(sonde_runtime_create(&options, &runtime));
    long after_first = 0;
    for (int call = 0; call < 5; call++) {
        sonde__scratch *scratch = NULL;
        uint64_t random = 7;
        uint8_t *parts[200];
        size_t sizes[200];
        OK(sonde__scratch_take(runtime, &scratch));
        for (int i = 0; i < 200; i++) {
            sizes[i] = test_u64(&random) % 20000;
            parts[i] = sonde__scratch_alloc(scratch, sizes[i], 1);
            assert_non_null(parts[i]);
            assert_int_equal((uintptr_t)parts[i] % 64, 0);
            memset(parts[i], i, sizes[i]);
        }
        for (int i = 0; i < 200; i++)
            for (size_t j = 0; j < sizes[i]; j++)
                if (parts[i][j] != (uint8_t)i) fail_msg("part %d was overwritten at %zu", i, j);
        sonde__scratch_give(runtime, scratch);
        if (call == 0) after_first = memory.calls;
    }
    assert_int_equal(memory.calls, after_first); /* warmed up: no allocation at all */
    sonde__scratch_give(runtime, NULL);
    sonde_runtime_free(runtime);
    assert_int_equal(memory.blocks, 0);
}

static void scratch_marks_give_memory_back(void **state)
{
    (void)state;
    failing_allocator memory = {0};
    sonde_runtime_options options = failing_options(&memory);
    sonde_runtime *runtime = NULL;
    sonde__scratch *scratch = NULL;
    OK(sonde_runtime_create(&options, &runtime));
    OK(sonde__scratch_take(runtime, &scratch));
    uint8_t *kept = sonde__scratch_alloc(scratch, 100, 1);
    memset(kept, 42, 100);
    sonde__scratch_mark mark = sonde__scratch_here(scratch);
    uint8_t *again = NULL;
    long calls = 0;
    for (int i = 0; i < 10; i++) {
        uint8_t *first = sonde__scratch_alloc(scratch, 1000, 1);
        uint8_t *large = sonde__scratch_alloc(scratch, 300000, 1);
        if (again) assert_ptr_equal(first, again);
        again = first;
        memset(first, 1, 1000);
        memset(large, 2, 300000);
        sonde__scratch_rewind(scratch, mark);
        if (i == 0) calls = memory.calls;
    }
    assert_int_equal(memory.calls, calls);
    for (int i = 0; i < 100; i++) assert_int_equal(kept[i], 42);
    sonde__scratch_give(runtime, scratch);
    sonde_runtime_free(runtime);
    assert_int_equal(memory.blocks, 0);
}

static void more_arenas_than_slots(void **state)
{
    (void)state;
    enum { ARENAS = 2 * SONDE__SCRATCH_SLOTS };
    failing_allocator memory = {0};
    sonde_runtime_options options = failing_options(&memory);
    sonde_runtime *runtime = NULL;
    sonde__scratch *arenas[ARENAS];
    OK(sonde_runtime_create(&options, &runtime));
    for (int i = 0; i < ARENAS; i++) OK(sonde__scratch_take(runtime, &arenas[i]));
    assert_int_equal(memory.blocks, 1 + ARENAS);
    for (int i = 0; i < ARENAS; i++) sonde__scratch_give(runtime, arenas[i]);
    assert_int_equal(memory.blocks, 1 + SONDE__SCRATCH_SLOTS);
    OK(sonde__scratch_take(runtime, &arenas[0]));
    assert_non_null(sonde__scratch_alloc(arenas[0], 100 << 20, 1)); /* too large to be kept */
    sonde__scratch_give(runtime, arenas[0]);
    uint64_t used;
    OK(sonde_runtime_memory(runtime, &used, NULL));
    assert_true(used < (64 << 20));
    sonde_runtime_free(runtime);
    assert_int_equal(memory.blocks, 0);
}

static void *share_scratch(void *context)
{
    limit_race *race = context;
    uint64_t random = race->seed;
    for (int i = 0; i < 2000; i++) {
        sonde__scratch *scratch = NULL;
        size_t count = test_u64(&random) % 500 + 1;
        if (sonde__scratch_take(race->runtime, &scratch)) continue;
        uint64_t *values = sonde__scratch_alloc(scratch, count, 8);
        for (size_t j = 0; j < count; j++) values[j] = race->seed + j;
        for (size_t j = 0; j < count; j++)
            if (values[j] != race->seed + j) atomic_fetch_add(race->passed, 1);
        sonde__scratch_give(race->runtime, scratch);
    }
    return NULL;
}

static void scratch_is_never_shared(void **state)
{
    (void)state;
    sonde_runtime *runtime = NULL;
    OK(sonde_runtime_create(NULL, &runtime));
    atomic_long broken = 0;
    limit_race races[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        races[i] = (limit_race){runtime, NULL, 0, (uint64_t)i << 32, NULL, &broken};
        assert_int_equal(pthread_create(&threads[i], NULL, share_scratch, &races[i]), 0);
    }
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    assert_int_equal(broken, 0);
    sonde_runtime_free(runtime);
}

static sonde_status use_everything(sonde_runtime *runtime)
{
    sonde__scratch *scratch = NULL;
    int *numbers = NULL;
    char *text = NULL;
    sonde_status status = SONDE_NEW_ZERO(runtime, numbers, 1000);
    if (status == SONDE_OK && !(text = sonde__copy_text(runtime, "a text"))) status = sonde__last_status();
    if (status == SONDE_OK) assert_string_equal(text, "a text");
    if (status == SONDE_OK) status = sonde__scratch_take(runtime, &scratch);
    for (int i = 0; i < 3 && status == SONDE_OK; i++)
        if (!sonde__scratch_alloc(scratch, 200000, 1)) status = sonde__last_status();
    sonde__scratch_give(runtime, scratch);
    sonde__free(runtime, text);
    sonde__free(runtime, numbers);
    return status;
}

static sonde_status scene_of_memory(sonde_runtime_options *options)
{
    sonde_runtime *runtime = NULL;
    SONDE_TRY(sonde_runtime_create(options, &runtime));
    sonde_status status = use_everything(runtime);
    sonde_runtime_free(runtime);
    return status;
}

static void the_nth_allocation_fails(void **state)
{
    (void)state;
    assert_int_equal(failing_walk(scene_of_memory), 1 + 2 + 1 + 3 - 1);
}

static void keep_log(uint32_t level, const char *text, void *user)
{
    snprintf(user, 64, "%u %s", (unsigned)level, text);
}

static void the_log_reaches_its_callback(void **state)
{
    (void)state;
    char seen[64] = "";
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    sonde_runtime *runtime = NULL;
    OK(sonde_runtime_create(&options, &runtime));
    sonde__log(runtime, SONDE_LOG_WARNING, "nobody hears this");
    sonde_runtime_free(runtime);
    options.log = keep_log;
    options.log_user = seen;
    OK(sonde_runtime_create(&options, &runtime));
    sonde__log(runtime, SONDE_LOG_WARNING, "%d empty lists", 3);
    assert_string_equal(seen, "2 3 empty lists");
    sonde_runtime_free(runtime);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(statuses_have_names_and_texts),
    cmocka_unit_test(messages_start_empty_and_can_be_prefixed),
    cmocka_unit_test(long_messages_are_cut_between_characters),
    cmocka_unit_test(messages_belong_to_their_thread),
    cmocka_unit_test(options_are_checked),
    cmocka_unit_test(options_of_other_versions),
    cmocka_unit_test(info_structs_of_other_versions),
    cmocka_unit_test(threads_are_bounded_by_the_runtime),
    cmocka_unit_test(the_last_share_frees_the_runtime),
    cmocka_unit_test(blocks_are_aligned_and_counted),
    cmocka_unit_test(sizes_that_overflow_fail),
    cmocka_unit_test(a_misaligned_block_is_refused),
    cmocka_unit_test(the_limit_names_its_numbers),
    cmocka_unit_test(the_limit_takes_idle_scratch_first),
    cmocka_unit_test(the_limit_is_exact_under_concurrency),
    cmocka_unit_test(scratch_is_aligned_disjoint_and_warm),
    cmocka_unit_test(scratch_marks_give_memory_back),
    cmocka_unit_test(more_arenas_than_slots),
    cmocka_unit_test(scratch_is_never_shared),
    cmocka_unit_test(the_nth_allocation_fails),
    cmocka_unit_test(the_log_reaches_its_callback),
};
SONDE_TEST_MAIN(tests)
