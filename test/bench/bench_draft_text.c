/* bench_draft_text.c: how many tokens one call of the target model is worth, by the shape of the draft, on real text.
 *
 *   bench_draft_text FILE            any text, such as examples/data/glosses.tsv
 *
 * Two models of characters, both counted from the file and smoothed as Witten and Bell (1991) do: the target knows
 * five characters of context, the draft two. 600 places of the text are continued by 48 characters each. To be seen:
 * every tree beats the chain, stochastic beam search (RSD-S) needs no more nodes than fixed branches (RSD-C) for as
 * many tokens; the characters themselves have the target's law whatever the draft.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sonde.h"

enum { SYMBOLS = 32, TARGET_ORDER = 5, DRAFT_ORDER = 2, PROMPTS = 600, LENGTH = 48, NODES = 64 };

static void stop(const char *what)
{
    fprintf(stderr, "bench_draft_text: %s\n", what);
    exit(1);
}

static void check(sonde_status status)
{
    if (status != SONDE_OK) stop(sonde_error_message());
}

static void *reserve(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory) stop("out of memory");
    return memory;
}

/* ---- the text and its counts ----------------------------------------------------------------------------------- */

/* Letters, space, a few signs; anything else is one symbol more. */
static uint8_t symbol_of(int c)
{
    static const char signs[] = " \n,;-";
    if (c >= 'A' && c <= 'Z') c += 'a' - 'A';
    if (c >= 'a' && c <= 'z') return (uint8_t)(c - 'a');
    const char *at = c ? strchr(signs, c) : NULL;
    return (uint8_t)(at ? 26 + (at - signs) : 31);
}

static uint8_t *read_text(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    size_t room = 1 << 16;
    uint8_t *text = reserve(room, 1);
    if (!file) stop("the file cannot be opened");
    for (int c = fgetc(file); c != EOF; c = fgetc(file)) {
        if (*length == room && !(text = realloc(text, room *= 2))) stop("out of memory");
        text[(*length)++] = symbol_of(c);
    }
    fclose(file);
    if (*length < 1000) stop("the file is too short");
    return text;
}

/* What followed a context of 0 to TARGET_ORDER symbols; a hash table of contexts. */
typedef struct following {
    uint64_t context; /* the symbols behind a leading 1; 0 = free */
    uint32_t counts[SYMBOLS];
} following;

typedef struct counts {
    following *slots;
    size_t capacity;
} counts;

static following *find_context(const counts *c, uint64_t context)
{
    size_t at = context * 0x9e3779b97f4a7c15u >> 32 & (c->capacity - 1);
    while (c->slots[at].context && c->slots[at].context != context) at = (at + 1) & (c->capacity - 1);
    return &c->slots[at];
}

static uint64_t context_of(const uint8_t *end, int order)
{
    uint64_t context = 1;
    for (int i = order; i > 0; i--) context = context * SYMBOLS + end[-i];
    return context;
}

/* Contexts are at most as many as the text has symbols, for each order. */
static counts count_text(const uint8_t *text, size_t length)
{
    counts c = {NULL, 1};
    while (c.capacity < length) c.capacity *= 2;
    c.slots = reserve(c.capacity, sizeof *c.slots);
    size_t used = 0;
    for (size_t i = TARGET_ORDER; i < length; i++)
        for (int order = 0; order <= TARGET_ORDER; order++) {
            following *f = find_context(&c, context_of(text + i, order));
            if (!f->context && ++used * 4 > c.capacity * 3) stop("the text has too many contexts");
            f->context = context_of(text + i, order);
            f->counts[text[i]]++;
        }
    return c;
}

/* Each order keeps the share of new symbols among those seen for the order below it. */
static void predict(const counts *c, const uint8_t *end, int most, float *law)
{
    double p[SYMBOLS];
    for (int x = 0; x < SYMBOLS; x++) p[x] = 1.0 / SYMBOLS;
    for (int order = 0; order <= most; order++) {
        const following *f = find_context(c, context_of(end, order));
        double total = 0, kinds = 0;
        for (int x = 0; x < SYMBOLS; x++) {
            total += f->counts[x];
            kinds += f->counts[x] > 0;
        }
        if (!f->context) break;
        for (int x = 0; x < SYMBOLS; x++) p[x] = (f->counts[x] + kinds * p[x]) / (total + kinds);
    }
    for (int x = 0; x < SYMBOLS; x++) law[x] = (float)p[x];
}

/* ---- drafts ---------------------------------------------------------------------------------------------------- */

/* The law of a model after a node of the tree, which continues the text before `end`. */
static void predict_node(const counts *c, const sonde_draft_tree *tree, int64_t node, const uint8_t *end, int order,
                         float *law)
{
    uint8_t context[TARGET_ORDER];
    int at = TARGET_ORDER;
    for (; at > 0 && node >= 0; node = tree->parents[node]) context[--at] = (uint8_t)tree->tokens[node];
    for (int back = 1; at > 0; back++) context[--at] = end[-back];
    predict(c, context + TARGET_ORDER, order, law);
}

/* Continues the text at `end` by one call of the target; returns the number of new symbols. */
static int64_t call_target(sonde_token_sampler *sampler, const counts *c, uint8_t *end, int64_t *nodes)
{
    float rows[(NODES + 1) * SYMBOLS];
    int64_t path[16];
    sonde_draft_tree tree = SONDE_DRAFT_TREE_INIT;
    sonde_verdict verdict = SONDE_VERDICT_INIT;
    verdict.capacity = 16;
    verdict.path = path;
    check(sonde_token_sampler_draft(sampler, NULL, &tree));
    while (tree.frontier_count) {
        sonde_array laws = sonde_f32(rows, tree.frontier_count, SYMBOLS);
        for (int64_t i = 0; i < tree.frontier_count; i++)
            predict_node(c, &tree, tree.frontier[i], end, DRAFT_ORDER, rows + i * SYMBOLS);
        check(sonde_token_sampler_draft(sampler, &laws, &tree));
    }
    if (tree.count > NODES) stop("the tree is too large");
    for (int64_t i = -1; i < tree.count; i++) predict_node(c, &tree, i, end, TARGET_ORDER, rows + (i + 1) * SYMBOLS);
    sonde_array target = sonde_f32(rows, tree.count + 1, SYMBOLS);
    check(sonde_token_sampler_verify(sampler, &target, NULL, NULL, &verdict));
    for (int64_t i = 0; i < verdict.accepted; i++) end[i] = (uint8_t)tree.tokens[path[i]];
    end[verdict.accepted] = (uint8_t)verdict.token;
    *nodes = tree.count;
    return verdict.accepted + 1;
}

static void measure(const char *spec, const counts *c, const uint8_t *text, size_t length)
{
    sonde_token_sampler *sampler;
    double sum = 0, square = 0;
    int64_t nodes = 0;
    check(sonde_token_sampler_create(spec, SYMBOLS, NULL, &sampler));
    for (size_t prompt = 0; prompt < PROMPTS; prompt++) {
        uint8_t buffer[TARGET_ORDER + LENGTH + 16];
        int64_t made = 0, calls = 0;
        memcpy(buffer, text + prompt * (length - TARGET_ORDER) / PROMPTS, TARGET_ORDER);
        for (; made < LENGTH; calls++) made += call_target(sampler, c, buffer + TARGET_ORDER + made, &nodes);
        sum += (double)made / (double)calls / PROMPTS;
        square += (double)made / (double)calls * ((double)made / (double)calls) / PROMPTS;
    }
    printf("%5.2f +- %.3f tokens a call, %2lld nodes   %s\n", sum, sqrt((square - sum * sum) / PROMPTS),
           (long long)nodes, spec);
    sonde_token_sampler_free(sampler);
}

int main(int argc, char **argv)
{
    static const char *const specs[] = {
        "speculative(verify=single, depth=4, input=probs)",
        "speculative(verify=rrs, depth=4, width=4, input=probs)",
        "speculative(verify=kseq, depth=4, width=4, input=probs)",
        "speculative(verify=greedy, depth=4, branch=2211, input=probs)",
        "speculative(verify=greedy, depth=4, branch=4111, input=probs)",
        "speculative(verify=recursive, depth=4, branch=2211, input=probs)",
        "speculative(verify=recursive, depth=4, branch=4111, input=probs)",
        "speculative(verify=recursive, depth=4, branch=4211, input=probs)",
        "speculative(verify=recursive, draft=sbs, depth=4, width=3, input=probs)",
        "speculative(verify=recursive, draft=sbs, depth=4, width=4, input=probs)",
        "speculative(verify=recursive, draft=sbs, depth=4, width=6, input=probs)",
    };
    size_t length = 0;
    if (argc != 2) stop("usage: bench_draft_text FILE");
    uint8_t *text = read_text(argv[1], &length);
    counts c = count_text(text, length);
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) measure(specs[i], &c, text, length);
    free(text);
    free(c.slots);
    return 0;
}
