/* trie_parts.h: what the files of the trie share. Not for other rooms.
 *
 *   trie.c         the handle: adding, asking, files
 *   trie_parts.c   one sorted part: building, walking, merging
 *   trie_search.c  beam search
 *   trie_unique.c  making sequences unique
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_TRIE_PARTS_H
#define SONDE_SRC_TRIE_PARTS_H

#include "base/base.h"
#include "sonde/trie.h"

/* Documents in the order of their sequences, as plain rows: what parts are built from and expanded to. */
typedef struct sonde__trie_rows {
    int64_t count, length;
    int32_t *sequence; /* count x length, padded with -1, ascending */
    int64_t *id;       /* count */
} sonde__trie_rows;

sonde_status sonde__trie_rows_create(sonde_runtime *runtime, int64_t count, int64_t length,
                                     sonde__trie_rows *rows);
void sonde__trie_rows_drop(sonde_runtime *runtime, sonde__trie_rows *rows);
/* < 0, 0, > 0: the order of two padded sequences. */
int sonde__trie_compare(const int32_t *a, const int32_t *b, int64_t length);

/* The nodes of one level: prefixes of one length, ascending. */
typedef struct sonde__trie_level {
    int64_t count;
    int64_t docs;    /* documents whose sequences have this length */
    int32_t *code;   /* the last code of each prefix */
    uint32_t *child; /* count + 1: the first of its children in the next level */
    uint32_t *doc;   /* count + 1: the first of the documents that end here */
} sonde__trie_level;

/* A trie that does not change. Documents are in the order of the nodes where they end, level by level. */
typedef struct sonde__trie_part {
    int64_t rows, length;
    sonde__trie_level *level; /* length of them, then one that is empty */
    int64_t *id;
    int32_t largest; /* code; -1: there is none */
} sonde__trie_part;

/* All zero is an empty part. rows must be sorted; at most SONDE__TRIE_ROWS_MOST. */
#define SONDE__TRIE_ROWS_MOST ((int64_t)UINT32_MAX - 1)
sonde_status sonde__trie_part_build(sonde_runtime *runtime, const sonde__trie_rows *rows,
                                    sonde__trie_part *part);
void sonde__trie_part_drop(sonde_runtime *runtime, sonde__trie_part *part);
/* The documents of both, in order; of equal sequences those of `a` first. */
sonde_status sonde__trie_parts_rows(sonde_runtime *runtime, const sonde__trie_part *a,
                                    const sonde__trie_part *b, int64_t length, sonde__trie_rows *rows);

/* A prefix in one part: node `at` of level `depth - 1`; depth 0 is the root. at < 0: the part does not have
 * it. */
typedef struct sonde__trie_node {
    int64_t at;
    int32_t depth;
} sonde__trie_node;

static inline sonde__trie_node sonde__trie_root(void)
{
    return (sonde__trie_node){0, 0};
}
/* The children are nodes first .. last of the next level; none if first == last. */
void sonde__trie_span(const sonde__trie_part *part, sonde__trie_node node, int64_t *first, int64_t *last);
/* The documents whose sequence ends here: part->id[first .. last). */
void sonde__trie_ends(const sonde__trie_part *part, sonde__trie_node node, int64_t *first, int64_t *last);
/* Follows one code. */
sonde__trie_node sonde__trie_step(const sonde__trie_part *part, sonde__trie_node node, int32_t code);

enum { SONDE__TRIE_PARTS = 2 };

struct sonde_trie {
    sonde_runtime *runtime;
    sonde__params *params;
    int64_t length, codes;
    bool refuses;
    sonde__trie_part part[SONDE__TRIE_PARTS]; /* most documents; those added lately */
};

/* A prefix in all parts. */
typedef struct sonde__trie_place {
    sonde__trie_node node[SONDE__TRIE_PARTS];
} sonde__trie_place;

static inline sonde__trie_place sonde__trie_start(void)
{
    return (sonde__trie_place){{sonde__trie_root(), sonde__trie_root()}};
}
sonde__trie_place sonde__trie_follow(const sonde_trie *trie, sonde__trie_place place, int32_t code);
/* How many documents end here; *id is the first of them. */
int64_t sonde__trie_ending(const sonde_trie *trie, sonde__trie_place place, int64_t *id);

/* Walks over the children of a place in all parts, in ascending order of their codes. */
typedef struct sonde__trie_walk {
    const sonde_trie *trie;
    int64_t at[SONDE__TRIE_PARTS], last[SONDE__TRIE_PARTS];
    int32_t depth;
} sonde__trie_walk;
sonde__trie_walk sonde__trie_walk_start(const sonde_trie *trie, sonde__trie_place place);
/* false at the end; else the next code and its place (may be NULL). */
bool sonde__trie_walk_next(sonde__trie_walk *walk, int32_t *code, sonde__trie_place *place);

extern const sonde__noun sonde__trie_noun;

/* Sorts numbers by `before(context, a, b)`, keeping the order of equal ones. spare has room for count. */
typedef bool (*sonde__trie_before)(const void *context, int64_t a, int64_t b);
void sonde__trie_sort(int64_t *order, int64_t *spare, int64_t count, sonde__trie_before before,
                      const void *context);

#endif
