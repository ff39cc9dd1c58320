/* trie_parts.c: sorted sequences as a trie without pointers.
 *
 * Problem: ask quickly which codes follow a prefix, and which documents a sequence names, for millions of
 * sequences.
 * Idea: with the sequences in order, the prefixes of one length are in order too. Level l keeps
 * each prefix of l + 1 codes once: its last code, where its children begin in level l + 1, and where the
 * documents begin that end with it. The children of a node are neighbours with ascending codes. Documents
 * stand level by level, in the order of their nodes.
 *
 *     sequences  0 1    level 0  code 0 2    level 1  code 1 3 0     documents  (2) | (0 1) (0 3) (2 0)
 *                0 3             child 0 2 3          child 0 0 0 0
 *                2               doc 0 0 1            doc 1 2 3 4
 *                2 0
 *
 * Padding with -1 puts a sequence before its continuations. Memory: 12 bytes a node, at most one a code of a
 * sequence, and 8 bytes a document. Building is linear in the rows; a step is a binary search among the
 * children.
 *
 * SPDX-License-Identifier: MIT
 */
#include "quantizers/trie_parts.h"

/* ---- rows ------------------------------------------------------------------------------------------------------ */

sonde_status sonde__trie_rows_create(sonde_runtime *runtime, int64_t count, int64_t length,
                                     sonde__trie_rows *rows)
{
    *rows = (sonde__trie_rows){count, length, NULL, NULL};
    sonde_status status = SONDE_NEW(runtime, rows->sequence, count * length);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, rows->id, count);
    if (status != SONDE_OK) sonde__trie_rows_drop(runtime, rows);
    return status;
}

void sonde__trie_rows_drop(sonde_runtime *runtime, sonde__trie_rows *rows)
{
    sonde__free(runtime, rows->sequence);
    sonde__free(runtime, rows->id);
    *rows = (sonde__trie_rows){0, 0, NULL, NULL};
}

int sonde__trie_compare(const int32_t *a, const int32_t *b, int64_t length)
{
    for (int64_t j = 0; j < length; j++)
        if (a[j] != b[j]) return a[j] < b[j] ? -1 : 1;
    return 0;
}

/* Bottom-up merge sort: stable, and the same work for any order. */
void sonde__trie_sort(int64_t *order, int64_t *spare, int64_t count, sonde__trie_before before,
                      const void *context)
{
    for (int64_t width = 1; width < count; width *= 2) {
        for (int64_t begin = 0; begin < count; begin += 2 * width) {
            int64_t a = begin, middle = sonde__min_i64(begin + width, count), b = middle;
            int64_t end = sonde__min_i64(begin + 2 * width, count);
            for (int64_t i = begin; i < end; i++) {
                bool second = a == middle || (b < end && before(context, order[b], order[a]));
                spare[i] = order[second ? b++ : a++];
            }
        }
        memcpy(order, spare, (size_t)count * sizeof *order);
    }
}

/* ---- building -------------------------------------------------------------------------------------------------- */

/* Where a row leaves the one before: the nodes that it adds are those of the levels from here to its end. */
static int64_t trie_shared(const sonde__trie_rows *rows, int64_t row)
{
    const int32_t *own = rows->sequence + row * rows->length;
    int64_t j = 0;
    while (row > 0 && j < rows->length && own[j] == own[j - rows->length]) j++;
    return j;
}

static int64_t trie_codes(const sonde__trie_rows *rows, int64_t row)
{
    const int32_t *own = rows->sequence + row * rows->length;
    int64_t count = 0;
    while (count < rows->length && own[count] >= 0) count++;
    return count;
}

static sonde_status trie_levels_take(sonde_runtime *runtime, const sonde__trie_rows *rows,
                                     sonde__trie_part *part)
{
    SONDE_TRY(SONDE_NEW_ZERO(runtime, part->level, rows->length + 1));
    SONDE_TRY(SONDE_NEW(runtime, part->id, rows->count));
    for (int64_t i = 0; i < rows->count; i++) {
        int64_t codes = trie_codes(rows, i);
        for (int64_t j = trie_shared(rows, i); j < codes; j++) part->level[j].count++;
        part->level[codes - 1].docs++;
    }
    for (int64_t j = 0; j < rows->length; j++) {
        sonde__trie_level *level = &part->level[j];
        SONDE_TRY(SONDE_NEW(runtime, level->code, level->count));
        SONDE_TRY(SONDE_NEW(runtime, level->child, level->count + 1));
        SONDE_TRY(SONDE_NEW(runtime, level->doc, level->count + 1));
    }
    return SONDE_OK;
}

/* Levels are filled side by side, so a new node's children and documents begin where those have come to:
 * count and docs grow again from nothing and from where the level's documents begin. */
static void trie_fill(const sonde__trie_rows *rows, sonde__trie_part *part)
{
    int64_t length = rows->length, begin = 0;
    for (int64_t j = 0; j < length; j++) {
        int64_t docs = part->level[j].docs;
        part->level[j].count = 0;
        part->level[j].docs = begin;
        begin += docs;
    }
    for (int64_t i = 0; i < rows->count; i++) {
        int64_t codes = trie_codes(rows, i);
        for (int64_t j = trie_shared(rows, i); j < codes; j++) {
            sonde__trie_level *level = &part->level[j];
            level->code[level->count] = rows->sequence[i * length + j];
            if (part->largest < level->code[level->count]) part->largest = level->code[level->count];
            level->child[level->count] = (uint32_t)part->level[j + 1].count;
            level->doc[level->count++] = (uint32_t)level->docs;
        }
        part->id[part->level[codes - 1].docs++] = rows->id[i];
    }
    for (int64_t j = 0; j < length; j++) {
        sonde__trie_level *level = &part->level[j];
        level->child[level->count] = (uint32_t)part->level[j + 1].count;
        level->doc[level->count] = (uint32_t)level->docs;
    }
}

sonde_status sonde__trie_part_build(sonde_runtime *runtime, const sonde__trie_rows *rows,
                                    sonde__trie_part *part)
{
    *part = (sonde__trie_part){rows->count, rows->length, NULL, NULL, -1};
    sonde_status status = trie_levels_take(runtime, rows, part);
    if (status == SONDE_OK) trie_fill(rows, part);
    else sonde__trie_part_drop(runtime, part);
    return status;
}

void sonde__trie_part_drop(sonde_runtime *runtime, sonde__trie_part *part)
{
    for (int64_t j = 0; part->level && j < part->length; j++) {
        sonde__free(runtime, part->level[j].code);
        sonde__free(runtime, part->level[j].child);
        sonde__free(runtime, part->level[j].doc);
    }
    sonde__free(runtime, part->level);
    sonde__free(runtime, part->id);
    *part = (sonde__trie_part){0, 0, NULL, NULL, -1};
}

/* ---- walking --------------------------------------------------------------------------------------------------- */

void sonde__trie_span(const sonde__trie_part *part, sonde__trie_node node, int64_t *first, int64_t *last)
{
    *first = *last = 0;
    if (node.at < 0 || node.depth >= part->length || part->rows == 0) return;
    const sonde__trie_level *own = node.depth > 0 ? &part->level[node.depth - 1] : NULL;
    *first = own ? own->child[node.at] : 0;
    *last = own ? own->child[node.at + 1] : part->level[0].count;
}

void sonde__trie_ends(const sonde__trie_part *part, sonde__trie_node node, int64_t *first, int64_t *last)
{
    *first = *last = 0;
    if (node.at < 0 || node.depth == 0 || part->rows == 0) return;
    *first = part->level[node.depth - 1].doc[node.at];
    *last = part->level[node.depth - 1].doc[node.at + 1];
}

sonde__trie_node sonde__trie_step(const sonde__trie_part *part, sonde__trie_node node, int32_t code)
{
    int64_t low, high, end;
    sonde__trie_span(part, node, &low, &end);
    for (high = end; low < high;) {
        int64_t middle = low + (high - low) / 2;
        if (part->level[node.depth].code[middle] < code) low = middle + 1;
        else high = middle;
    }
    bool found = low < end && part->level[node.depth].code[low] == code;
    return (sonde__trie_node){found ? low : -1, node.depth + 1};
}

sonde__trie_place sonde__trie_follow(const sonde_trie *trie, sonde__trie_place place, int32_t code)
{
    for (int p = 0; p < SONDE__TRIE_PARTS; p++)
        place.node[p] = sonde__trie_step(&trie->part[p], place.node[p], code);
    return place;
}

int64_t sonde__trie_ending(const sonde_trie *trie, sonde__trie_place place, int64_t *id)
{
    int64_t count = 0;
    for (int p = 0; p < SONDE__TRIE_PARTS; p++) {
        int64_t first, last;
        sonde__trie_ends(&trie->part[p], place.node[p], &first, &last);
        if (count == 0 && first < last) *id = trie->part[p].id[first];
        count += last - first;
    }
    return count;
}

sonde__trie_walk sonde__trie_walk_start(const sonde_trie *trie, sonde__trie_place place)
{
    sonde__trie_walk walk = {.trie = trie, .depth = place.node[0].depth};
    for (int p = 0; p < SONDE__TRIE_PARTS; p++)
        sonde__trie_span(&trie->part[p], place.node[p], &walk.at[p], &walk.last[p]);
    return walk;
}

/* The next code of part p, or one that is above all. */
static int64_t trie_walk_code(const sonde__trie_walk *walk, int p)
{
    return walk->at[p] < walk->last[p] ? walk->trie->part[p].level[walk->depth].code[walk->at[p]] : INT64_MAX;
}

bool sonde__trie_walk_next(sonde__trie_walk *walk, int32_t *code, sonde__trie_place *place)
{
    int64_t least = sonde__min_i64(trie_walk_code(walk, 0), trie_walk_code(walk, 1));
    if (least == INT64_MAX) return false;
    *code = (int32_t)least;
    for (int p = 0; p < SONDE__TRIE_PARTS; p++) {
        bool has = trie_walk_code(walk, p) == least;
        if (place) place->node[p] = (sonde__trie_node){has ? walk->at[p] : -1, walk->depth + 1};
        if (has) walk->at[p]++;
    }
    return true;
}

/* ---- merging --------------------------------------------------------------------------------------------------- */

/* Where a walk through all nodes is at each level. */
struct trie_walk_level {
    int64_t at, last;
};

static void trie_walk_rows(const sonde__trie_part *part, struct trie_walk_level *walk, int32_t *path,
                           sonde__trie_rows *rows)
{
    int64_t written = 0, depth = 0;
    walk[0] = (struct trie_walk_level){0, part->level[0].count};
    while (depth >= 0) {
        if (walk[depth].at == walk[depth].last) {
            if (--depth >= 0) walk[depth].at++;
            continue;
        }
        const sonde__trie_level *level = &part->level[depth];
        int64_t node = walk[depth].at;
        path[depth] = level->code[node];
        for (int64_t d = level->doc[node]; d < level->doc[node + 1]; d++, written++) {
            memcpy(rows->sequence + written * rows->length, path, (size_t)(depth + 1) * sizeof *path);
            rows->id[written] = part->id[d];
        }
        walk[++depth] = (struct trie_walk_level){level->child[node], level->child[node + 1]};
    }
}

/* Writes the documents of a part back as rows. */
static sonde_status trie_expand(sonde_runtime *runtime, const sonde__trie_part *part, int64_t length,
                                sonde__trie_rows *rows)
{
    struct trie_walk_level *walk = NULL;
    int32_t *path = NULL;
    SONDE_TRY(sonde__trie_rows_create(runtime, part->rows, length, rows));
    memset(rows->sequence, -1, (size_t)(part->rows * length) * sizeof *rows->sequence);
    if (part->rows == 0) return SONDE_OK;
    sonde_status status = SONDE_NEW(runtime, walk, part->length + 1);
    if (status == SONDE_OK) status = SONDE_NEW(runtime, path, part->length);
    if (status == SONDE_OK) trie_walk_rows(part, walk, path, rows);
    else sonde__trie_rows_drop(runtime, rows);
    sonde__free(runtime, walk);
    sonde__free(runtime, path);
    return status;
}

static void trie_merge(const sonde__trie_rows *a, const sonde__trie_rows *b, sonde__trie_rows *rows)
{
    int64_t i = 0, j = 0, length = rows->length;
    while (i + j < rows->count) {
        bool second = i == a->count ||
                      (j < b->count &&
                       sonde__trie_compare(b->sequence + j * length, a->sequence + i * length, length) < 0);
        const sonde__trie_rows *from = second ? b : a;
        int64_t at = second ? j : i, to = i + j;
        memcpy(rows->sequence + to * length, from->sequence + at * length,
               (size_t)length * sizeof *rows->sequence);
        rows->id[to] = from->id[at];
        if (second) j++;
        else i++;
    }
}

sonde_status sonde__trie_parts_rows(sonde_runtime *runtime, const sonde__trie_part *a,
                                    const sonde__trie_part *b, int64_t length, sonde__trie_rows *rows)
{
    sonde__trie_rows left = {0, 0, NULL, NULL}, right = {0, 0, NULL, NULL};
    sonde_status status = trie_expand(runtime, a, length, &left);
    if (status == SONDE_OK) status = trie_expand(runtime, b, length, &right);
    if (status == SONDE_OK) status = sonde__trie_rows_create(runtime, left.count + right.count, length, rows);
    if (status == SONDE_OK) trie_merge(&left, &right, rows);
    sonde__trie_rows_drop(runtime, &left);
    sonde__trie_rows_drop(runtime, &right);
    return status;
}
