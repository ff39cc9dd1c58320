/* sonde/base.h: what every noun shares: statuses, messages, array views, the runtime, the catalogue of methods.
 *
 * Thread-safety classes named in these headers:
 *   A  any number of calls at once on one handle (search, encode, stats, save, ...)
 *   B  one writer beside any number of A (add, remove, compact); writers wait for each other
 *   C  exclusive: no other call on this handle while it runs (train, tune, free)
 *   S  not shared: one handle for each thread
 *
 * Rules that hold everywhere:
 *   - Every function that can fail returns a sonde_status. On failure the outputs are untouched, nothing leaks, the
 *     handle is as it was before the call, and sonde_error_message() says what was wrong.
 *   - Sizes are counts of elements unless the name says bytes. Outputs are the last parameters.
 *   - Pointers that you pass stay yours and are read only during the call.
 *   - *_free(NULL) does nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_BASE_H
#define SONDE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__) && !defined(SONDE_NO_EXPORT)
#define SONDE_API __attribute__((visibility("default")))
#else
#define SONDE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Version ----------------------------------------------------------------------------------------- */

#define SONDE_VERSION_MAJOR 1
#define SONDE_VERSION_MINOR 0
#define SONDE_VERSION_PATCH 0

/* The version of the library that is running, as "1.0.0". Static storage. Class A. Since 1.0. */
SONDE_API const char *sonde_version(void);

/* How this library was built and what it chose on this machine: one line of key=value pairs, such as
 * "version=1.0.0 isa=avx512 cpu=generic,avx2,avx512 blas=openblas threads=libomp".
 * isa is the instruction set in use (SONDE_ISA in the environment can lower it: generic|avx2|avx512 on x86-64,
 * generic|neon|crc32|dotprod on AArch64).
 * Static storage. Class A. Since 1.0. */
SONDE_API const char *sonde_build_info(void);

/* ---- Statuses ---------------------------------------------------------------------------------------- */

/* One list makes the enum, the names and the texts. Values are stable for ever. */
#define SONDE_STATUS_LIST(X)                                                             \
    X(0, OK, "success")                                                                  \
    X(1, INVALID_ARGUMENT, "an argument is outside what the function accepts")           \
    X(2, OUT_OF_MEMORY, "the allocator returned no memory")                              \
    X(3, LIMIT, "a limit given by the caller would be exceeded")                         \
    X(4, IO, "the operating system reported an input or output error")                   \
    X(5, NOT_FOUND, "the file, method, key or id does not exist")                        \
    X(6, CORRUPT, "the data is damaged or is not what it claims to be")                  \
    X(7, UNSUPPORTED, "this method or build does not offer the operation")               \
    X(8, INCOMPATIBLE, "the two things do not fit together")                             \
    X(9, STATE, "the handle is not in a state that allows the call")                     \
    X(10, CANCELLED, "the caller cancelled the work")                                    \
    X(11, CALLBACK, "a function supplied by the caller failed")                          \
    X(12, INTERNAL, "a defect in the library")

typedef enum sonde_status {
#define SONDE_STATUS_ENUM(value, name, text) SONDE_##name = value,
    SONDE_STATUS_LIST(SONDE_STATUS_ENUM)
#undef SONDE_STATUS_ENUM
    SONDE_STATUS_MAX = 0x7fffffff /* fixes the width of the enum; never returned */
} sonde_status;

/* The name of a status, such as "INVALID_ARGUMENT"; "UNKNOWN" for a value that is none. Static storage. Class A. */
SONDE_API const char *sonde_status_name(sonde_status status);

/* One general sentence about a status. Static storage. Class A. */
SONDE_API const char *sonde_status_text(sonde_status status);

/* What went wrong in the last call of this thread that failed: which argument, its value, what was expected, and what
 * to change. Never NULL; "" before the first failure. Valid until the next failing call of this thread. Class A. */
SONDE_API const char *sonde_error_message(void);

/* ---- Arrays ------------------------------------------------------------------------------------------ */

/* Element types. BITS packs eight columns into a byte, column 0 in the lowest bit of byte 0. */
typedef enum sonde_dtype {
    SONDE_DTYPE_F32 = 1,
    SONDE_DTYPE_F16 = 2,  /* IEEE 754 binary16 */
    SONDE_DTYPE_BF16 = 3, /* upper half of an f32 */
    SONDE_DTYPE_I8 = 4,
    SONDE_DTYPE_U8 = 5,
    SONDE_DTYPE_BITS = 6,
    SONDE_DTYPE_I32 = 7,
    SONDE_DTYPE_I64 = 8
} sonde_dtype;

/* A borrowed view of a row-major matrix. The library never keeps it. `data` is not const because the same struct
 * describes outputs; inputs are never written. Frozen: this struct will not change. */
typedef struct sonde_array {
    void *data;       /* first byte of row 0; no alignment is needed; NULL only if rows is 0 */
    int64_t rows;     /* >= 0 */
    int64_t cols;     /* elements in a row, >= 1; for BITS the number of bits */
    int64_t stride;   /* bytes from one row to the next; 0 = rows are packed */
    uint32_t dtype;   /* a sonde_dtype */
    uint32_t reserved; /* 0 */
} sonde_array;

/* Bytes of one packed row of `cols` elements; 0 for an unknown dtype. */
static inline int64_t sonde_row_bytes(uint32_t dtype, int64_t cols)
{
    if (cols < 0 || cols > INT64_MAX / 16) return 0; /* such views are refused */
    switch (dtype) {
    case SONDE_DTYPE_F32: case SONDE_DTYPE_I32: return cols * 4;
    case SONDE_DTYPE_F16: case SONDE_DTYPE_BF16: return cols * 2;
    case SONDE_DTYPE_I8: case SONDE_DTYPE_U8: return cols;
    case SONDE_DTYPE_BITS: return (cols + 7) / 8;
    case SONDE_DTYPE_I64: return cols * 8;
    default: return 0;
    }
}

/* A view of packed rows of any dtype. */
static inline sonde_array sonde_array_of(uint32_t dtype, const void *data, int64_t rows, int64_t cols)
{
    sonde_array array;
    array.data = (void *)data;
    array.rows = rows;
    array.cols = cols;
    array.stride = sonde_row_bytes(dtype, cols);
    array.dtype = dtype;
    array.reserved = 0;
    return array;
}

/* Views of packed rows, one helper a dtype. f16 and bf16 have no C type, so they come as raw 16-bit words. */
static inline sonde_array sonde_f32(const float *data, int64_t rows, int64_t cols)
{
    return sonde_array_of(SONDE_DTYPE_F32, data, rows, cols);
}
static inline sonde_array sonde_f16(const uint16_t *data, int64_t rows, int64_t cols)
{
    return sonde_array_of(SONDE_DTYPE_F16, data, rows, cols);
}
static inline sonde_array sonde_bf16(const uint16_t *data, int64_t rows, int64_t cols)
{
    return sonde_array_of(SONDE_DTYPE_BF16, data, rows, cols);
}
static inline sonde_array sonde_i8(const int8_t *data, int64_t rows, int64_t cols)
{
    return sonde_array_of(SONDE_DTYPE_I8, data, rows, cols);
}
static inline sonde_array sonde_u8(const uint8_t *data, int64_t rows, int64_t cols)
{
    return sonde_array_of(SONDE_DTYPE_U8, data, rows, cols);
}
static inline sonde_array sonde_i32(const int32_t *data, int64_t rows, int64_t cols)
{
    return sonde_array_of(SONDE_DTYPE_I32, data, rows, cols);
}
static inline sonde_array sonde_i64(const int64_t *data, int64_t rows, int64_t cols)
{
    return sonde_array_of(SONDE_DTYPE_I64, data, rows, cols);
}
static inline sonde_array sonde_bits(const uint8_t *data, int64_t rows, int64_t bits)
{
    return sonde_array_of(SONDE_DTYPE_BITS, data, rows, bits);
}

/* A named input of train, fit, draw, observe or loss: sonde_input inputs[] = {{"vectors", &x}, {"queries", &q}}; */
typedef struct sonde_input {
    const char *name;         /* a name from the method's table (sonde list, or sonde_input_at) */
    const sonde_array *array; /* borrowed for the call */
} sonde_input;

/* Distances and similarities. Scores come best first: L2 (squared) and HAMMING smaller is nearer, IP and COSINE larger
 * is nearer. The cosine with a zero vector is 0. docs/metrics.md has the definitions. */
typedef enum sonde_metric {
    SONDE_METRIC_L2 = 1,
    SONDE_METRIC_IP = 2,
    SONDE_METRIC_COSINE = 3,
    SONDE_METRIC_HAMMING = 4
} sonde_metric;

/* ---- Runtime ----------------------------------------------------------------------------------------- */

/* Where a handle gets threads and memory from, and whom it tells. Optional everywhere: NULL gives each handle a
 * private one with the defaults. A handle keeps the runtime alive, so the order of the two frees does not matter. */
typedef struct sonde_runtime sonde_runtime;

typedef enum sonde_log_level { SONDE_LOG_INFO = 1, SONDE_LOG_WARNING = 2 } sonde_log_level;

typedef struct sonde_runtime_options {
    uint32_t size;         /* sizeof(sonde_runtime_options), set by SONDE_RUNTIME_OPTIONS_INIT */
    uint32_t threads;      /* most threads a call may use; 0 = the processors this process may run on */
    uint64_t memory_limit; /* most bytes that handles of this runtime may hold together, scratch that is kept for later
                              calls included; 0 = no limit */
    /* Both or neither. alloc returns memory aligned to `align` (a power of two <= 2 MiB) or NULL. They are called from
     * several threads at once. */
    void *(*alloc)(size_t size, size_t align, void *user);
    void (*release)(void *memory, size_t size, size_t align, void *user);
    void *memory_user;
    /* Called on the thread that called the library, several times a second during long work. done <= total, total >= 1.
     * Return nonzero to cancel. It must not call back into the handle that is working. */
    int (*progress)(const char *stage, uint64_t done, uint64_t total, void *user);
    void *progress_user;
    /* Called on the thread that called the library; level is a sonde_log_level. Without it the library is silent. */
    void (*log)(uint32_t level, const char *text, void *user);
    void *log_user;
} sonde_runtime_options;

#define SONDE_RUNTIME_OPTIONS_INIT {sizeof(sonde_runtime_options), 0, 0, 0, 0, 0, 0, 0, 0, 0}

/* Makes a runtime. options NULL = defaults. INVALID_ARGUMENT, OUT_OF_MEMORY. Class A. Since 1.0. */
SONDE_API sonde_status sonde_runtime_create(const sonde_runtime_options *options, sonde_runtime **runtime);

/* Asks all work of this runtime to stop; each call that is running returns CANCELLED soon. Safe from any thread and
 * from a signal handler. It stays in force until sonde_runtime_resume. Class A. Since 1.0. */
SONDE_API void sonde_runtime_cancel(sonde_runtime *runtime);

/* Takes sonde_runtime_cancel back. Class A. Since 1.0. */
SONDE_API void sonde_runtime_resume(sonde_runtime *runtime);

/* Bytes that handles of this runtime hold now (scratch kept for later calls included), and the most they held. Either
 * output may be NULL. Class A. Since 1.0. */
SONDE_API sonde_status sonde_runtime_memory(const sonde_runtime *runtime, uint64_t *used_bytes, uint64_t *peak_bytes);

/* Gives the caller's share up; memory goes when the last handle that uses it is freed. Class C. Since 1.0. */
SONDE_API void sonde_runtime_free(sonde_runtime *runtime);

/* ---- The catalogue of methods ------------------------------------------------------------------------ */

/* Methods, their keys and their inputs, from the tables that also check specs. All strings are static. */

typedef struct sonde_method_info {
    uint32_t size;       /* set by SONDE_METHOD_INFO_INIT */
    uint32_t key_count;  /* keys, those common to the noun included */
    uint32_t input_count;
    uint32_t output_count;
    const char *noun;    /* "index", "quantizer", "row_sampler", ... */
    const char *name;    /* "ivf" */
    const char *summary; /* one sentence */
    const char *source;  /* the paper or practice it comes from */
} sonde_method_info;

typedef struct sonde_key_info {
    uint32_t size;        /* set by SONDE_KEY_INFO_INIT */
    uint32_t reserved;
    const char *name;
    const char *kind;     /* "int", "real", "word", "spec" */
    const char *fallback; /* the default as text; "" = the key must be given */
    const char *words;    /* words that are accepted, separated by '|', or "" */
    const char *noun;     /* for "spec": the noun of the nested spec, else "" */
    const char *help;     /* one line */
    double min;           /* for "int" and "real" */
    double max;
} sonde_key_info;

typedef struct sonde_input_info {
    uint32_t size;      /* set by SONDE_INPUT_INFO_INIT */
    uint32_t required;  /* 1 or 0 */
    const char *name;
    const char *shape;  /* in words, such as "n x dim" */
    const char *dtypes; /* such as "f32 f16 bf16 i8 u8" */
    const char *help;
    const char *verb;   /* the function that takes it: "train", "fit", "draw", "observe", "loss" */
} sonde_input_info;

/* A named result beside those that a noun's structs have. */
typedef struct sonde_output_info {
    uint32_t size;     /* set by SONDE_OUTPUT_INFO_INIT */
    uint32_t reserved;
    const char *name;
    const char *shape; /* in words, such as "count x 1" */
    const char *dtype; /* such as "i64" */
    const char *help;
} sonde_output_info;

#define SONDE_METHOD_INFO_INIT {sizeof(sonde_method_info), 0, 0, 0, 0, 0, 0, 0}
#define SONDE_KEY_INFO_INIT {sizeof(sonde_key_info), 0, 0, 0, 0, 0, 0, 0, 0, 0}
#define SONDE_INPUT_INFO_INIT {sizeof(sonde_input_info), 0, 0, 0, 0, 0, 0}
#define SONDE_OUTPUT_INFO_INIT {sizeof(sonde_output_info), 0, 0, 0, 0, 0}

/* The position-th method over all nouns, in a fixed order. NOT_FOUND past the end. Class A. Since 1.0. */
SONDE_API sonde_status sonde_method_at(uint32_t position, sonde_method_info *info);

/* The position-th key, input or output of a method. NOT_FOUND for an unknown noun or method (the message names the nearest)
 * and past the end. Class A. Since 1.0. */
SONDE_API sonde_status sonde_key_at(const char *noun, const char *method, uint32_t position, sonde_key_info *info);
SONDE_API sonde_status sonde_input_at(const char *noun, const char *method, uint32_t position,
                                      sonde_input_info *info);
SONDE_API sonde_status sonde_output_at(const char *noun, const char *method, uint32_t position,
                                       sonde_output_info *info);

/* A readable page about one method: summary, source, keys with ranges and defaults, inputs. Writes at most `capacity`
 * bytes, always ends with a zero byte if capacity > 0, and gives the length of the whole text (without the zero) in
 * *length, so a call with capacity 0 measures. NOT_FOUND. Class A. Since 1.0. */
SONDE_API sonde_status sonde_describe(const char *noun, const char *method, char *text, size_t capacity,
                                      size_t *length);

/* Checks a spec against the tables without building anything, and writes its canonical form with every default filled
 * in (text, capacity, length as in sonde_describe). INVALID_ARGUMENT, NOT_FOUND. Class A. Since 1.0. */
SONDE_API sonde_status sonde_spec_check(const char *noun, const char *spec, char *text, size_t capacity,
                                        size_t *length);

/* ---- Files ------------------------------------------------------------------------------------------- */

typedef enum sonde_open_mode {
    SONDE_OPEN_READ = 1, /* copy into memory; the handle can be changed */
    SONDE_OPEN_MMAP = 2  /* map the file; instant, shared between processes, read-only */
} sonde_open_mode;

typedef enum sonde_verify {
    SONDE_VERIFY_FULL = 1, /* every checksum, every structure (the default) */
    SONDE_VERIFY_FAST = 2  /* header, table of contents, sizes and structure; bulk data is not summed */
} sonde_verify;

typedef struct sonde_open_options {
    uint32_t size;      /* set by SONDE_OPEN_OPTIONS_INIT */
    uint32_t mode;      /* a sonde_open_mode; 0 = READ */
    uint32_t verify;    /* a sonde_verify; 0 = FULL in READ mode, FAST in MMAP mode */
    uint32_t reserved;
    uint64_t max_bytes; /* refuse larger files with LIMIT; 0 = no limit */
} sonde_open_options;

#define SONDE_OPEN_OPTIONS_INIT {sizeof(sonde_open_options), 0, 0, 0, 0}

/* One section of a container file. */
typedef struct sonde_section_info {
    uint32_t size;         /* set by SONDE_SECTION_INFO_INIT in the first element; the others are set by the call */
    uint32_t element_size; /* bytes of one element */
    char tag[16];          /* name, zero-terminated */
    char path[64];         /* the child handle it belongs to, "" = the file's own, such as "code" */
    uint64_t offset;       /* bytes from the start of the file */
    uint64_t bytes;
    uint64_t checksum;     /* stored CRC-32C */
    uint32_t intact;       /* 1 if the bytes match the checksum */
    uint32_t reserved;
} sonde_section_info;

#define SONDE_SECTION_INFO_INIT {sizeof(sonde_section_info), 0, {0}, {0}, 0, 0, 0, 0, 0}

/* Lists the sections of a container file and verifies each checksum. Fills at most `capacity` elements and gives the
 * number of sections in *count. sections may be NULL if capacity is 0. `noun` (may be NULL; at least 16 bytes) receives
 * what kind of handle the file holds, such as "index". IO, NOT_FOUND, CORRUPT (header or table of contents). Class A. */
SONDE_API sonde_status sonde_file_sections(const char *path, sonde_section_info *sections, int64_t capacity,
                                           int64_t *count, char *noun);

#ifdef __cplusplus
}
#endif

#endif
