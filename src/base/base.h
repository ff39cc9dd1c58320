/* base.h: the internal door of the base room. Everything above stands on these few ideas:
 * a status with a message, a runtime that owns memory and threads, checked views, specs, counter-based randomness,
 * one parallel loop, and the container file.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_BASE_H
#define SONDE_SRC_BASE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "sonde.h"

#define SONDE__MAX_DIM 65536
#define SONDE__MAX_ROWS ((int64_t)1 << 40)

/* Our own invariants only; anything that a caller or a file can cause is a status. Gone in release builds. */
#ifdef SONDE_DEBUG
#define SONDE_ASSERT(condition) ((condition) ? (void)0 : __builtin_trap())
#else
#define SONDE_ASSERT(condition) ((void)sizeof(condition))
#endif

#define SONDE_TRY(expression)                           \
    do {                                                \
        sonde_status try_status_ = (expression);        \
        if (try_status_ != SONDE_OK) return try_status_; \
    } while (0)

static inline int64_t sonde__min_i64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t sonde__max_i64(int64_t a, int64_t b) { return a > b ? a : b; }

/* Ascending numbers, for qsort. */
static inline int sonde__compare_i64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}
static inline int sonde__compare_f32(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The finaliser of splitmix64 (Steele, Lea, Flood 2014): one-to-one, and near numbers come out far apart. */
static inline uint64_t sonde__mix64(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* ---- message.c --------------------------------------------------------------------------------------- */

/* Records the message for this thread and returns `status`, so that errors read: return sonde__fail(...). */
sonde_status sonde__fail(sonde_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Puts "context: " in front of the recorded message and returns `status`: names the argument or file concerned. */
sonde_status sonde__fail_within(sonde_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The status given to the last sonde__fail of this thread. */
sonde_status sonde__last_status(void);

/* ---- runtime.c, memory.c ----------------------------------------------------------------------------- */

/* Every handle holds exactly one share of a runtime. given == NULL makes a private one with defaults. */
sonde_status sonde__runtime_hold(sonde_runtime *given, sonde_runtime **held);
void sonde__runtime_drop(sonde_runtime *runtime);
/* How many threads a call may use: `asked` (0 = not given) bounded by the runtime's own number. At least 1. */
int sonde__runtime_threads(const sonde_runtime *runtime, uint32_t asked);
void sonde__log(sonde_runtime *runtime, sonde_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Memory is aligned to 64 bytes (blocks of 2 MiB and more start 64 bytes into a huge-page-aligned block) and carries
 * its size, so that freeing needs only the pointer. count * size is overflow-checked. NULL with the message set
 * (OUT_OF_MEMORY or LIMIT) on failure; count 0 gives a valid pointer. Thread-safe. */
void *sonde__alloc(sonde_runtime *runtime, uint64_t count, uint64_t size);
void *sonde__alloc_zero(sonde_runtime *runtime, uint64_t count, uint64_t size);
void sonde__free(sonde_runtime *runtime, void *memory);
char *sonde__copy_text(sonde_runtime *runtime, const char *text);

/* SONDE_TRY(SONDE_NEW(runtime, pointer, count)): typed allocation as a status. */
#define SONDE_NEW(runtime, pointer, count)                                                     \
    (((pointer) = sonde__alloc((runtime), (uint64_t)(count), sizeof *(pointer))) ? SONDE_OK   \
                                                                                 : sonde__last_status())
#define SONDE_NEW_ZERO(runtime, pointer, count)                                                   \
    (((pointer) = sonde__alloc_zero((runtime), (uint64_t)(count), sizeof *(pointer))) ? SONDE_OK \
                                                                                      : sonde__last_status())

/* Scratch: a bump arena that grows by chunks and is kept by the runtime between calls, so that a warmed-up search
 * allocates nothing. Taken and given back without locks. Memory from it is 64-byte aligned and lives until give. */
typedef struct sonde__scratch sonde__scratch;
sonde_status sonde__scratch_take(sonde_runtime *runtime, sonde__scratch **scratch);
void *sonde__scratch_alloc(sonde__scratch *scratch, uint64_t count, uint64_t size); /* NULL with the message set */
typedef struct sonde__scratch_mark { void *chunk; uint64_t used; } sonde__scratch_mark;
sonde__scratch_mark sonde__scratch_here(const sonde__scratch *scratch);
void sonde__scratch_rewind(sonde__scratch *scratch, sonde__scratch_mark mark); /* frees what came after the mark */
void sonde__scratch_give(sonde_runtime *runtime, sonde__scratch *scratch);     /* NULL is fine */
/* scratch.c: frees every idle arena; tells whether there was one. */
bool sonde__scratch_trim(sonde_runtime *runtime);
#define SONDE_SCRATCH(scratch, pointer, count)                                                        \
    (((pointer) = sonde__scratch_alloc((scratch), (uint64_t)(count), sizeof *(pointer))) ? SONDE_OK \
                                                                                        : sonde__last_status())

/* ---- parallel.c -------------------------------------------------------------------------------------- */

/* The work of one chunk: items [begin, end). `worker` is in [0, sonde__parallel_workers()) and no two chunks run on one
 * worker at once, so it may index per-worker scratch. */
typedef sonde_status (*sonde__chunk_fn)(void *context, int64_t begin, int64_t end, int worker);

/* Runs fn over [0, count) in chunks of `grain` on up to `threads` threads (0 = the runtime's number), the caller among
 * them. Chunk boundaries depend on count and grain only, never on threads. Inside another parallel loop it runs inline.
 * The first failure (of the lowest chunk seen to fail) stops the loop; its message reaches the caller. Between chunks
 * the cancel flag is read and, on the calling thread only, progress is told (stage NULL: no progress, only cancel). */
sonde_status sonde__parallel_for(sonde_runtime *runtime, int threads, int64_t count, int64_t grain, const char *stage,
                                 sonde__chunk_fn fn, void *context);
/* How many workers that call would use. */
int sonde__parallel_workers(const sonde_runtime *runtime, int threads, int64_t count, int64_t grain);

/* For serial loops: CANCELLED if asked to stop; tells progress when called on the caller's thread. stage may be NULL. */
sonde_status sonde__poll(sonde_runtime *runtime, const char *stage, uint64_t done, uint64_t total);

/* ---- rng.c ------------------------------------------------------------------------------------------- */

/* Philox 4x32-10 (Salmon et al. 2011): two products a round, and what each round adds to the keys. */
#define SONDE__PHILOX_M0 0xD2511F53u
#define SONDE__PHILOX_M1 0xCD9E8D57u
#define SONDE__PHILOX_W0 0x9E3779B9u
#define SONDE__PHILOX_W1 0xBB67AE85u

/* Turns a counter into four words. */
static inline __attribute__((always_inline)) void sonde__philox(uint32_t k0, uint32_t k1, uint32_t c[4])
{
#pragma GCC unroll 10
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)SONDE__PHILOX_M0 * c[0], p1 = (uint64_t)SONDE__PHILOX_M1 * c[2];
        c[0] = (uint32_t)(p1 >> 32) ^ c[1] ^ k0;
        c[1] = (uint32_t)p1;
        c[2] = (uint32_t)(p0 >> 32) ^ c[3] ^ k1;
        c[3] = (uint32_t)p0;
        k0 += SONDE__PHILOX_W0;
        k1 += SONDE__PHILOX_W1;
    }
}

/* The draws of (seed, stream, row) never depend on threads, batches or order. */
typedef struct sonde__rng {
    uint32_t key[2];
    uint32_t counter[4];
    uint32_t block[4];
    uint32_t next;
} sonde__rng;
void sonde__rng_start(sonde__rng *rng, uint64_t seed, uint32_t stream, uint64_t row);
uint32_t sonde__rng_u32(sonde__rng *rng);
uint64_t sonde__rng_u64(sonde__rng *rng);
uint64_t sonde__rng_below(sonde__rng *rng, uint64_t bound); /* uniform in [0, bound), without bias; bound >= 1 */
double sonde__rng_unit(sonde__rng *rng);                    /* uniform in [0, 1), 53 bits */
float sonde__rng_normal(sonde__rng *rng);                   /* mean 0, variance 1 */

/* ---- array.c ----------------------------------------------------------------------------------------- */

const char *sonde__dtype_name(uint32_t dtype); /* "f32" ...; NULL if unknown */
uint32_t sonde__dtype_of(const char *name);    /* 0 if unknown */
#define SONDE__DTYPE_BIT(dtype) (1u << (dtype))
#define SONDE__DTYPES_NUMERIC                                                                            \
    (SONDE__DTYPE_BIT(SONDE_DTYPE_F32) | SONDE__DTYPE_BIT(SONDE_DTYPE_F16) | SONDE__DTYPE_BIT(SONDE_DTYPE_BF16) | \
     SONDE__DTYPE_BIT(SONDE_DTYPE_I8) | SONDE__DTYPE_BIT(SONDE_DTYPE_U8))
/* Checks a view: not NULL, rows >= 0, cols == `cols` (0 = any), dtype in the mask, stride >= row bytes, no overflow.
 * Fills the packed stride in *checked where it was 0. `what` names the argument in messages ("search: queries"). */
sonde_status sonde__array_check(const sonde_array *array, const char *what, int64_t cols, uint32_t dtypes,
                                sonde_array *checked);
/* INVALID_ARGUMENT naming row and column of the first NaN or infinity. Integer and bit arrays always pass. */
sonde_status sonde__array_check_finite(sonde_runtime *runtime, const sonde_array *array, const char *what);
static inline const uint8_t *sonde__array_row(const sonde_array *array, int64_t row)
{
    return (const uint8_t *)array->data + row * array->stride;
}

/* ---- spec.c, params.c, inputs.c, describe.c ---------------------------------------------------------- */

typedef enum sonde__key_kind { SONDE__KEY_INT = 1, SONDE__KEY_REAL, SONDE__KEY_WORD, SONDE__KEY_SPEC } sonde__key_kind;

/* One key of a method. A table ends with {0}. */
typedef struct sonde__key {
    const char *name;
    uint32_t kind;        /* a sonde__key_kind */
    const char *fallback; /* default as text; NULL = must be given */
    double min, max;      /* INT, REAL */
    const char *words;    /* WORD: the choices "a|b"; other kinds: words accepted beside the value, such as "auto" */
    const char *noun;     /* SPEC: whose methods */
    const char *help;
} sonde__key;

/* One named input of a verb. A table ends with {0}; a name that several verbs take has a row for each. */
typedef struct sonde__input_key {
    const char *name;
    const char *shape;
    uint32_t dtypes; /* mask of SONDE__DTYPE_BIT */
    bool required;
    const char *help;
    const char *verb; /* "train", "fit", "draw", ... */
} sonde__input_key;

/* One named output. A table ends with {0}. */
typedef struct sonde__output_key {
    const char *name;
    const char *shape;
    uint32_t dtype; /* a sonde_dtype */
    const char *help;
} sonde__output_key;

/* What every method's own table begins with. */
typedef struct sonde__method {
    const char *name, *summary, *source;
    const sonde__key *keys;
    const sonde__input_key *inputs;
    const char *chain; /* noun of positional specs, as in chain(a(), b()); NULL = none are accepted */
    const sonde__output_key *outputs;
} sonde__method;

/* A noun: its methods, and the keys that all of them share. */
typedef struct sonde__noun {
    const char *name;
    const sonde__key *common;
    const sonde__method *const *methods; /* ends with NULL */
} sonde__noun;

/* Defined in src/library.c, the one place that knows every room. */
extern const sonde__noun *const sonde__nouns[]; /* ends with NULL */
const sonde__noun *sonde__noun_find(const char *name);

/* A spec after checking: one value for each key, defaults filled in. Immutable. */
typedef struct sonde__params sonde__params;
sonde_status sonde__params_parse(sonde_runtime *runtime, const sonde__noun *noun, const char *spec,
                                 sonde__params **params);
void sonde__params_free(sonde_runtime *runtime, sonde__params *params);
const sonde__method *sonde__params_method(const sonde__params *params);
const char *sonde__params_text(const sonde__params *params); /* canonical, complete */
/* Asking for a key that the table lacks is a defect (assertion). */
int64_t sonde__param_int(const sonde__params *params, const char *key);     /* INT; 0 if a word stands there */
double sonde__param_real(const sonde__params *params, const char *key);     /* REAL or INT */
const char *sonde__param_word(const sonde__params *params, const char *key); /* the word, or "" if there is none */
bool sonde__param_is(const sonde__params *params, const char *key, const char *word);
const sonde__params *sonde__param_spec(const sonde__params *params, const char *key); /* SPEC; NULL if a word */
int sonde__params_chain_count(const sonde__params *params);
const sonde__params *sonde__params_chain_at(const sonde__params *params, int position);

/* Matches given inputs to the rows of one verb in the method's table: found[i] is the input for table row i, or NULL (rows of
 * other verbs included, so `found` has a place for each row of the table). Unknown, repeated, missing or wrongly typed names
 * fail with a message that lists the right ones. Column counts are the method's to check. */
#define SONDE__INPUTS_MOST 32
sonde_status sonde__inputs_match(const sonde__method *method, const char *verb, const char *what,
                                 const sonde_input *inputs, size_t count, const sonde_array **found);
/* Whether the method has an input for a verb. */
bool sonde__inputs_any(const sonde__method *method, const char *verb);

/* Reads an option struct that begins with its uint32_t size: members that an older caller lacks become 0; members of a
 * newer caller that this library does not know must be 0. `copy` has `known` bytes. given NULL = all zero. */
sonde_status sonde__options_read(const void *given, uint32_t known, const char *what, void *copy);
/* Writes an info struct back to a caller whose struct may be shorter or longer; its size member stays. */
sonde_status sonde__info_write(const void *filled, uint32_t known, const char *what, void *info);

/* Copies text out under the (text, capacity, length) convention of the public functions. */
sonde_status sonde__give_text(const char *source, char *text, size_t capacity, size_t *length);

/* ---- container.c ------------------------------------------------------------------------------------- */

/* The file format is specified in docs/format.md. Writers stream sections to a temporary beside the target (or to
 * memory); nothing is visible until finish. A child handle writes inside enter/leave, so tags never clash. */

typedef struct sonde__writer sonde__writer;
/* path NULL = into memory. noun: "index", ...; spec: canonical spec of the handle. */
sonde_status sonde__writer_create(sonde_runtime *runtime, const char *path, const char *noun, const char *spec,
                                  sonde__writer **writer);
sonde_status sonde__writer_enter(sonde__writer *writer, const char *child, const char *noun, const char *spec);
sonde_status sonde__writer_leave(sonde__writer *writer);
/* Sorted key = value pairs of the current path. Keys are short words. */
sonde_status sonde__write_int(sonde__writer *writer, const char *key, int64_t value);
sonde_status sonde__write_real(sonde__writer *writer, const char *key, double value);
sonde_status sonde__write_text(sonde__writer *writer, const char *key, const char *value);
/* One array at once, or streamed in pieces. Tags: up to 8 of [A-Z0-9_]. element_size is 1, 2, 4 or 8. */
sonde_status sonde__write_array(sonde__writer *writer, const char *tag, const void *data, uint64_t count,
                                uint32_t element_size);
sonde_status sonde__write_begin(sonde__writer *writer, const char *tag, uint32_t element_size);
sonde_status sonde__write_append(sonde__writer *writer, const void *data, uint64_t bytes);
sonde_status sonde__write_end(sonde__writer *writer);
/* Makes the file durable under its name. After it, or after abort, the writer is gone. */
sonde_status sonde__writer_finish(sonde__writer *writer);
/* Memory writers: hands the bytes over (free with sonde__free). */
sonde_status sonde__writer_finish_memory(sonde__writer *writer, uint8_t **bytes, uint64_t *count);
void sonde__writer_abort(sonde__writer *writer); /* NULL is fine */

typedef struct sonde__reader sonde__reader;
/* Data of one section: memory owned by the holder, or a place in the mapping. */
typedef struct sonde__blob {
    void *data;     /* 64-byte aligned when owned; at least element-aligned when mapped */
    uint64_t bytes;
    bool owned;     /* free with sonde__blob_free */
} sonde__blob;
/* noun: what the file must hold. buffer != NULL reads from memory (copied; path only names it in messages). Checks
 * header and table of contents completely. */
sonde_status sonde__reader_open(sonde_runtime *runtime, const char *path, const void *buffer, uint64_t bytes,
                                const sonde_open_options *options, const char *noun, sonde__reader **reader);
void sonde__reader_close(sonde__reader *reader); /* NULL is fine; the mapping ends here */
bool sonde__reader_mapped(const sonde__reader *reader);
const char *sonde__reader_spec(const sonde__reader *reader); /* of the current path */
sonde_status sonde__reader_enter(sonde__reader *reader, const char *child, const char *noun);
void sonde__reader_leave(sonde__reader *reader);
bool sonde__reader_has(const sonde__reader *reader, const char *tag_or_key); /* section or META key in this path */
/* CORRUPT if missing or outside [min, max] (and, for reals, not finite). */
sonde_status sonde__read_int(sonde__reader *reader, const char *key, int64_t min, int64_t max, int64_t *value);
sonde_status sonde__read_real(sonde__reader *reader, const char *key, double min, double max, double *value);
sonde_status sonde__read_text(sonde__reader *reader, const char *key, const char **value); /* lives with the reader */
/* The section must hold exactly count elements of element_size. read: into new memory, checksum verified; mmap: in place
 * (verified under VERIFY_FULL). `force_copy` gives owned memory in both modes (small parts that must be mutable). */
sonde_status sonde__read_array(sonde__reader *reader, const char *tag, uint64_t count, uint32_t element_size,
                               bool force_copy, sonde__blob *blob);
/* The element count of a section, for arrays whose length is not known otherwise. CORRUPT if missing or ragged. */
sonde_status sonde__read_count(sonde__reader *reader, const char *tag, uint32_t element_size, uint64_t *count);
void sonde__blob_free(sonde_runtime *runtime, sonde__blob *blob);

/* ---- os/ --------------------------------------------------------------------------------------------- */

#include "base/os/os.h"

#endif
