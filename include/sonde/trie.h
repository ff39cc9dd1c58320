/* sonde/trie.h: sequences of small numbers as document ids (rkmeans, idtree, token ids of a text), kept in a
 * trie: which codes can follow a prefix, which documents a sequence names, masks for a decoder's logits, and
 * beam search.
 *
 * A sequence is 1 to `length` codes, each 0 or more. In arrays, rows of shorter sequences are padded with -1
 * at the end. Sequences are ordered code by code, and a shorter one comes before those that continue it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_TRIE_H
#define SONDE_TRIE_H

#include "base.h"
#include "quantizer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Sequences, each with the ids of one or more documents. */
typedef struct sonde_trie sonde_trie;

/* ---- Making and filling ------------------------------------------------------------------------------ */

/* Makes an empty trie for sequences of up to `length` codes (1..65536). spec: "trie", or with keys: codes
 * (one more than the largest code that add accepts), duplicates=keep|refuse (whether a sequence may have
 * several documents). INVALID_ARGUMENT, NOT_FOUND, OUT_OF_MEMORY. Class A. Since 1.0. */
SONDE_API sonde_status sonde_trie_create(const char *spec, int64_t length, sonde_runtime *runtime,
                                         sonde_trie **trie);

/* Adds documents. sequences: n x (1..length), i32. ids: n values of any kind, or NULL for the numbers that
 * follow (0, 1, 2, ... at first: the count of documents so far). All rows or none. New rows wait in a small
 * sorted part that is merged when it has 10 % of the documents: time O(documents / 10 + n log n) a call.
 * INVALID_ARGUMENT (a code out of range, -1 before a code, an empty sequence, a second document with
 * duplicates=refuse; the message names the row), LIMIT, OUT_OF_MEMORY, CANCELLED. Class C. Since 1.0. */
SONDE_API sonde_status sonde_trie_add(sonde_trie *trie, const sonde_array *sequences, const int64_t *ids);

/* Class C. Since 1.0. */
SONDE_API void sonde_trie_free(sonde_trie *trie);

/* ---- Asking ------------------------------------------------------------------------------------------ */

/* Documents; the longest sequence that it takes; 0 for NULL. Class A. Since 1.0. */
SONDE_API int64_t sonde_trie_count(const sonde_trie *trie);
SONDE_API int64_t sonde_trie_length(const sonde_trie *trie);

/* The full spec with every default filled in. Lives as long as the handle. Class A. Since 1.0. */
SONDE_API const char *sonde_trie_spec(const sonde_trie *trie);

/* The codes that can follow a prefix, ascending: writes at most `capacity`, gives how many there are in
 * *count. prefix: prefix_length codes; 0 of them ask for the first codes. A prefix of no sequence has none.
 * INVALID_ARGUMENT. Time O(prefix_length log codes + count). Class A. Since 1.0. */
SONDE_API sonde_status sonde_trie_children(const sonde_trie *trie, const int32_t *prefix,
                                           int64_t prefix_length, int32_t *codes, int64_t capacity,
                                           int64_t *count);

/* The documents of exactly this sequence, in the order of adding: writes at most `capacity`, gives how many
 * there are in *count (0: the sequence is not stored). INVALID_ARGUMENT. Class A. Since 1.0. */
SONDE_API sonde_status sonde_trie_lookup(const sonde_trie *trie, const int32_t *sequence,
                                         int64_t sequence_length, int64_t *ids, int64_t capacity,
                                         int64_t *count);

/* For one step of a decoder: sets logits to -infinity for all codes that cannot follow. prefixes: n x any,
 * i32, padded with -1 (all -1: the empty prefix); logits: n x vocabulary, f32, changed in place. end: the
 * column that stands for the end of a sequence, allowed where the prefix is one; -1 = none. A row where
 * nothing can follow is -infinity throughout. INVALID_ARGUMENT. Class A. Since 1.0. */
SONDE_API sonde_status sonde_trie_mask(const sonde_trie *trie, const sonde_array *prefixes, int64_t end,
                                       sonde_array *logits);

/* ---- Beam search ------------------------------------------------------------------------------------- */

/* Writes out[i * vocabulary + c] = the score of code c after prefix i, for `count` prefixes of `length` codes
 * each (prefixes[i * length], never NULL, also where length is 0). Returns nonzero to stop. */
typedef int (*sonde_trie_score)(const int32_t *prefixes, int64_t count, int64_t length, int64_t vocabulary,
                                float *out, void *user);

/* What the scores are. */
typedef enum sonde_trie_scale {
    SONDE_TRIE_LOG_PROBS = 1, /* added up as they are */
    SONDE_TRIE_LOGITS = 2,    /* log-softmax over the whole vocabulary first */
    SONDE_TRIE_MASKED = 3     /* log-softmax over what can follow */
} sonde_trie_scale;

typedef struct sonde_trie_search_options {
    uint32_t size;      /* sizeof(sonde_trie_search_options), set by SONDE_TRIE_SEARCH_OPTIONS_INIT */
    uint32_t width;     /* prefixes that are followed at once, and sequences that are returned; 1..1048576 */
    uint32_t scale;     /* a sonde_trie_scale; 0 = LOG_PROBS */
    uint32_t has_end;   /* 1: sequences end by a code of their own, `end`; 0: the end costs nothing */
    int64_t end;        /* its column of the scores */
    int64_t vocabulary; /* columns of the scores; 0 = the largest code stored + 1. Codes beyond cannot be
                           reached */
    sonde_trie_score score; /* required; called on the calling thread only */
    void *user;
} sonde_trie_search_options;

#define SONDE_TRIE_SEARCH_OPTIONS_INIT                                                                       \
    {                                                                                                        \
        sizeof(sonde_trie_search_options), 0, 0, 0, 0, 0, 0, 0                                               \
    }

/* Where results go, best first, yours: `width` rows each. Equal scores come in the order of sequences. */
typedef struct sonde_trie_hits {
    uint32_t size; /* sizeof(sonde_trie_hits), set by SONDE_TRIE_HITS_INIT */
    uint32_t reserved;
    int32_t *sequences; /* width x length of the trie, padded with -1; or NULL */
    int64_t *ids;       /* the first document of each sequence; or NULL */
    float *scores;      /* or NULL */
    int64_t count;      /* written: how many were found */
} sonde_trie_hits;

#define SONDE_TRIE_HITS_INIT                                                                                 \
    {                                                                                                        \
        sizeof(sonde_trie_hits), 0, 0, 0, 0, 0                                                               \
    }

/* Beam search over the stored sequences: from the empty prefix, follows the `width` prefixes with the largest
 * sums of scores, code by code; sequences that end on the way are candidates beside longer ones. Returns the
 * best `width` sequences found: all of them in their order if width is at least their number. Codes with a
 * score of -infinity are not taken. An empty trie gives no hits and OK. INVALID_ARGUMENT (width 0, no score,
 * end outside the vocabulary), CALLBACK (score returned nonzero, or wrote NaN or +infinity), OUT_OF_MEMORY,
 * CANCELLED. Class A. Since 1.0. */
SONDE_API sonde_status sonde_trie_search(const sonde_trie *trie, const sonde_trie_search_options *options,
                                         sonde_trie_hits *hits);

/* ---- Unique sequences -------------------------------------------------------------------------------- */

typedef enum sonde_unique_mode {
    SONDE_UNIQUE_SUFFIX = 1, /* rows with equal sequences get one code more: 0, 1, 2, ... in their order */
    SONDE_UNIQUE_RESOLVE =
        2 /* of such rows the nearest keeps its sequence, the others get the free sequence that costs the
             least distance in the last two codes; what is left gets a suffix */
} sonde_unique_mode;

typedef struct sonde_unique_options {
    uint32_t size;  /* sizeof(sonde_unique_options), set by SONDE_UNIQUE_OPTIONS_INIT */
    uint32_t mode;  /* a sonde_unique_mode; 0 = SUFFIX */
    uint32_t tries; /* RESOLVE: codes of each of the last two levels that are tried, 0 = 8; at most 64 */
    uint32_t reserved;
    const sonde_quantizer *quantizer; /* RESOLVE: the trained rq or rkmeans that made the sequences */
    const sonde_array *vectors;       /* RESOLVE: n x dim, any numeric dtype: the rows themselves */
} sonde_unique_options;

#define SONDE_UNIQUE_OPTIONS_INIT                                                                            \
    {                                                                                                        \
        sizeof(sonde_unique_options), 0, 0, 0, 0, 0                                                          \
    }

/* Makes sequences different from each other. sequences: n x L, i32, all of full length; unique: n x (L + 1),
 * i32, yours: the last column is the suffix, -1 where there is none. options NULL = defaults.
 * INVALID_ARGUMENT, UNSUPPORTED (RESOLVE with another quantizer), STATE (it is untrained), OUT_OF_MEMORY,
 * CANCELLED. Class A. Since 1.0. */
SONDE_API sonde_status sonde_sequences_unique(const sonde_array *sequences,
                                              const sonde_unique_options *options, sonde_runtime *runtime,
                                              sonde_array *unique);

/* ---- Files ------------------------------------------------------------------------------------------- */

/* Writes one file, atomically; opens it again (options NULL = defaults). The same documents, added in the
 * same order, give the same bytes. Class A. Since 1.0. */
SONDE_API sonde_status sonde_trie_save(const sonde_trie *trie, const char *path);
SONDE_API sonde_status sonde_trie_open(const char *path, const sonde_open_options *options,
                                       sonde_runtime *runtime, sonde_trie **trie);

/* The same bytes in memory, as sonde_index_save_buffer and sonde_index_open_buffer do it. Class A. Since 1.0.
 */
SONDE_API sonde_status sonde_trie_save_buffer(const sonde_trie *trie, void *buffer, size_t capacity,
                                              size_t *length);
SONDE_API sonde_status sonde_trie_open_buffer(const void *buffer, size_t length,
                                              const sonde_open_options *options, sonde_runtime *runtime,
                                              sonde_trie **trie);

#ifdef __cplusplus
}
#endif

#endif
