/* params.c: a spec's tree and the methods' tables to checked values and canonical text.
 *
 * Every key of the method gets a value: what the spec says, or the key's default, read by the same code. Nothing that
 * the tables do not allow gets past here, so methods never check ranges. The canonical text names every key in table
 * order, specs by position first; reading it gives the same values and the same text again.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/spec.h"
#include "base/text.h"

#define WORD_BYTES 32

typedef struct param_value {
    const sonde__key *key;
    int64_t integer;
    double real;
    char word[WORD_BYTES]; /* "" = no word stands there */
    sonde__params *spec;
} param_value;

struct sonde__params {
    const sonde__noun *noun;
    const sonde__method *method;
    param_value *values;
    sonde__params **chain;
    int64_t key_count, chain_count;
    char *text;
};

/* What building needs all the way down; `level` counts nested specs, defaults included. */
typedef struct params_builder {
    sonde_runtime *runtime;
    sonde__scratch *scratch;
    int level;
} params_builder;

/* Tables end with a row of zeros; a method without keys has no table at all. */
static bool table_has(const sonde__key *table, const char *name)
{
    for (; table && table->name; table++)
        if (strcmp(table->name, name) == 0) return true;
    return false;
}

const sonde__key *sonde__key_at(const sonde__noun *noun, const sonde__method *method, uint32_t position)
{
    uint32_t left = position;
    const sonde__key *own = method->keys, *common = noun->common;
    for (; own && own->name; own++)
        if (left-- == 0) return own;
    for (; common && common->name; common++)
        if (!table_has(method->keys, common->name) && left-- == 0) return common;
    return NULL;
}

/* Offers every name it passes, so that a search in vain has its message ready. */
const sonde__method *sonde__method_find(const sonde__noun *noun, const char *name)
{
    sonde__choice choice = sonde__choice_start(name);
    for (const sonde__method *const *method = noun->methods; *method; method++) {
        if (strcmp((*method)->name, name) == 0) return *method;
        sonde__choice_offer(&choice, (*method)->name, strlen((*method)->name));
    }
    sonde__choice_fail(&choice, noun->name, "method");
    return NULL;
}

/* The words of "a|b|c", one a call; false at the end. */
static bool next_word(const char **words, const char **word, size_t *length)
{
    if (!*words || !**words) return false;
    *word = *words;
    *length = strcspn(*words, "|");
    *words += *length + ((*words)[*length] == '|');
    return true;
}

/* A word comes first, whatever the kind of the key: "auto" beside a number, "none" beside a spec. Words too long for
 * their place are defects of a table and never match, which the tests of the tables notice. */
static bool take_word(const sonde__key *key, const char *text, param_value *value)
{
    const char *words = key->words, *word;
    size_t length;
    while (next_word(&words, &word, &length)) {
        if (length >= WORD_BYTES || strlen(text) != length || memcmp(text, word, length) != 0) continue;
        memcpy(value->word, word, length);
        return true;
    }
    return false;
}

static sonde_status fail_word(const sonde__method *method, const sonde__key *key, const char *text)
{
    sonde__choice choice = sonde__choice_start(text);
    const char *words = key->words, *word;
    size_t length;
    char hint[96];
    while (next_word(&words, &word, &length)) sonde__choice_offer(&choice, word, length);
    sonde__choice_hint(&choice, hint);
    return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: %s=%.64s is not one of: %s%s", method->name, key->name,
                       text, choice.list, hint);
}

static sonde_status fail_number(const sonde__method *method, const sonde__key *key,
                                const sonde__spec_node *node)
{
    const char *wanted = key->kind == SONDE__KEY_INT ? "a whole number" : "a number";
    return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: %s=%.64s%s is not %s%s%s", method->name, key->name,
                       node->name, node->called ? "(...)" : "", wanted, key->words ? " or one of: " : "",
                       key->words ? key->words : "");
}

/* Quotes what was written, not what was read: 1e999 reads better than inf. */
static sonde_status fail_range(const sonde__method *method, const sonde__key *key, const char *text)
{
    char min[SONDE__NUMBER_BYTES], max[SONDE__NUMBER_BYTES];
    sonde__number_write(key->min, min);
    sonde__number_write(key->max, max);
    return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: %s=%.64s is outside %s..%s", method->name, key->name,
                       text, min, max);
}

/* Whole numbers may be written in any way (1e6), but beyond 2^53 only digit by digit, where nothing is lost. */
static bool read_integer(const char *text, double real, int64_t *integer)
{
    char *end;
    *integer = strtoll(text, &end, 10);
    if (*end == 0) return true;
    if (real != floor(real) || fabs(real) > 0x1p53) return false;
    *integer = (int64_t)real;
    return true;
}

static sonde_status take_number(const sonde__method *method, const sonde__key *key,
                                const sonde__spec_node *node, param_value *value)
{
    double real;
    if (node->called || !sonde__number_read(node->name, &real)) return fail_number(method, key, node);
    if (real < key->min || real > key->max || isinf(real)) return fail_range(method, key, node->name);
    if (key->kind == SONDE__KEY_INT && !read_integer(node->name, real, &value->integer))
        return fail_number(method, key, node);
    value->real = real == 0 ? 0 : real; /* no negative zero */
    return SONDE_OK;
}

/* Specs nest, so building calls itself; `level` bounds how deep. */
static sonde_status params_build(params_builder *builder, const sonde__noun *noun,
                                 const sonde__spec_node *node, sonde__params **params);

/* A noun's own methods may nest in each other; other nouns come from the catalogue. */
static sonde_status build_nested(params_builder *builder, const sonde__noun *noun, const char *nested,
                                 const sonde__spec_node *node, sonde__params **params)
{
    const sonde__noun *found = strcmp(nested, noun->name) == 0 ? noun : sonde__noun_find(nested);
    if (!found)
        return sonde__fail(SONDE_INTERNAL, "spec: a table of %s names the unknown noun %s", noun->name,
                           nested);
    return params_build(builder, found, node, params);
}

static sonde_status take_value(params_builder *builder, const sonde__params *params,
                               const sonde__spec_node *node, param_value *value)
{
    const sonde__key *key = value->key;
    if (!node->called && take_word(key, node->name, value)) return SONDE_OK;
    switch (key->kind) {
    case SONDE__KEY_WORD: return fail_word(params->method, key, node->name);
    case SONDE__KEY_SPEC: return build_nested(builder, params->noun, key->noun, node, &value->spec);
    default: return take_number(params->method, key, node, value);
    }
}

static sonde_status fail_key(const sonde__params *params, const char *name)
{
    sonde__choice choice = sonde__choice_start(name);
    for (int64_t i = 0; i < params->key_count; i++) {
        const char *key = params->values[i].key->name;
        sonde__choice_offer(&choice, key, strlen(key));
    }
    return sonde__choice_fail(&choice, params->method->name, "key");
}

/* Sorts the items of the spec: given[i] is the one for key i; what stands by position is counted. */
static sonde_status sort_items(sonde__params *params, const sonde__spec_item *items,
                               const sonde__spec_item **given)
{
    const sonde__method *method = params->method;
    for (const sonde__spec_item *item = items; item; item = item->next) {
        if (!item->key && !method->chain)
            return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: character %zu: expected key=value, found '%.64s'",
                               method->name, item->place, item->value.name);
        if (!item->key) {
            params->chain_count++;
            continue;
        }
        int64_t i = 0;
        while (i < params->key_count && strcmp(params->values[i].key->name, item->key) != 0) i++;
        if (i == params->key_count) return fail_key(params, item->key);
        if (given[i])
            return sonde__fail(SONDE_INVALID_ARGUMENT,
                               "%s: key '%s' is given twice, at characters %zu and %zu", method->name,
                               item->key, given[i]->place, item->place);
        given[i] = item;
    }
    return SONDE_OK;
}

/* A default is text that is read like any other, by the same rules; so no default is what a user may not write. */
static sonde_status fill_values(params_builder *builder, sonde__params *params,
                                const sonde__spec_item *const *given)
{
    for (int64_t i = 0; i < params->key_count; i++) {
        param_value *value = &params->values[i];
        sonde__spec_node fallback;
        const sonde__spec_node *node = given[i] ? &given[i]->value : &fallback;
        if (!given[i] && !value->key->fallback)
            return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: key '%s' must be given (%s)",
                               params->method->name, value->key->name, value->key->help);
        if (!given[i]) SONDE_TRY(sonde__spec_read(builder->scratch, value->key->fallback, &fallback));
        SONDE_TRY(take_value(builder, params, node, value));
    }
    return SONDE_OK;
}

static sonde_status fill_chain(params_builder *builder, sonde__params *params, const sonde__spec_item *items)
{
    SONDE_TRY(SONDE_NEW_ZERO(builder->runtime, params->chain, params->chain_count));
    sonde__params **next = params->chain;
    for (const sonde__spec_item *item = items; item; item = item->next)
        if (!item->key)
            SONDE_TRY(build_nested(builder, params->noun, params->method->chain, &item->value, next++));
    return SONDE_OK;
}

/* Nested specs have their own canonical text by now, so writing never goes down the tree. */
static void value_write(const param_value *value, sonde__text *out)
{
    char number[SONDE__NUMBER_BYTES];
    sonde__text_add(out, "%s=", value->key->name);
    if (value->word[0]) {
        sonde__text_add(out, "%s", value->word);
    } else if (value->spec) {
        sonde__text_add(out, "%s", value->spec->text);
    } else if (value->key->kind == SONDE__KEY_INT) {
        sonde__text_add(out, "%lld", (long long)value->integer);
    } else {
        sonde__number_write(value->real, number);
        sonde__text_add(out, "%s", number);
    }
}

static size_t params_write(const sonde__params *params, char *text, size_t capacity)
{
    sonde__text out = sonde__text_start(text, capacity);
    const char *before = "(";
    sonde__text_add(&out, "%s", params->method->name);
    for (int64_t i = 0; i < params->chain_count; i++, before = ", ")
        sonde__text_add(&out, "%s%s", before, params->chain[i]->text);
    for (int64_t i = 0; i < params->key_count; i++, before = ", ") {
        sonde__text_add(&out, "%s", before);
        value_write(&params->values[i], &out);
    }
    if (*before == ',') sonde__text_add(&out, ")");
    return out.length;
}

/* A complete text that could not be read back would make a file that cannot be opened: it is refused here. */
static sonde_status fill_text(params_builder *builder, sonde__params *params)
{
    size_t length = params_write(params, NULL, 0);
    if (length > SONDE__SPEC_MAX_BYTES)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "%s: with every default filled in the spec has %zu bytes, more than %d",
                           params->method->name, length, SONDE__SPEC_MAX_BYTES);
    SONDE_TRY(SONDE_NEW(builder->runtime, params->text, length + 1));
    params_write(params, params->text, length + 1);
    return SONDE_OK;
}

/* Whatever was filled in before a failure is freed by the caller: counts never run ahead of their arrays. */
static sonde_status fill_params(params_builder *builder, const sonde__spec_node *node, sonde__params *params)
{
    const sonde__spec_item **given;
    int64_t keys = 0;
    while (sonde__key_at(params->noun, params->method, (uint32_t)keys)) keys++;
    SONDE_TRY(SONDE_NEW_ZERO(builder->runtime, params->values, keys));
    for (params->key_count = 0; params->key_count < keys; params->key_count++)
        params->values[params->key_count].key =
            sonde__key_at(params->noun, params->method, (uint32_t)params->key_count);
    SONDE_TRY(SONDE_SCRATCH(builder->scratch, given, keys));
    memset(given, 0, (size_t)keys * sizeof *given);
    SONDE_TRY(sort_items(params, node->items, given));
    int64_t chain_count = params->chain_count;
    params->chain_count = 0; /* until the array is there */
    SONDE_TRY(fill_values(builder, params, given));
    params->chain_count = chain_count;
    SONDE_TRY(fill_chain(builder, params, node->items));
    return fill_text(builder, params);
}

static sonde_status params_build(params_builder *builder, const sonde__noun *noun,
                                 const sonde__spec_node *node, sonde__params **params)
{
    if (builder->level == SONDE__SPEC_MAX_DEPTH)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "spec: '%.64s': specs are nested deeper than %d",
                           node->name, SONDE__SPEC_MAX_DEPTH);
    const sonde__method *method = sonde__method_find(noun, node->name);
    if (!method) return sonde__last_status();
    sonde__params *made;
    SONDE_TRY(SONDE_NEW_ZERO(builder->runtime, made, 1));
    made->noun = noun;
    made->method = method;
    builder->level++;
    sonde_status status = fill_params(builder, node, made);
    builder->level--;
    if (status == SONDE_OK) *params = made;
    else sonde__params_free(builder->runtime, made);
    return status;
}

/* The tree and the sorted items live in the scratch; only the result is allocated. */
sonde_status sonde__params_parse(sonde_runtime *runtime, const sonde__noun *noun, const char *spec,
                                 sonde__params **params)
{
    params_builder builder = {.runtime = runtime};
    SONDE_TRY(sonde__scratch_take(runtime, &builder.scratch));
    sonde__spec_node root;
    sonde_status status = sonde__spec_read(builder.scratch, spec, &root);
    if (status == SONDE_OK) status = params_build(&builder, noun, &root, params);
    sonde__scratch_give(runtime, builder.scratch);
    return status;
}

void sonde__params_free(sonde_runtime *runtime, sonde__params *params)
{
    if (!params) return;
    for (int64_t i = 0; i < params->key_count; i++) sonde__params_free(runtime, params->values[i].spec);
    for (int64_t i = 0; params->chain && i < params->chain_count; i++)
        sonde__params_free(runtime, params->chain[i]);
    sonde__free(runtime, params->values);
    sonde__free(runtime, params->chain);
    sonde__free(runtime, params->text);
    sonde__free(runtime, params);
}

const sonde__method *sonde__params_method(const sonde__params *params)
{
    return params->method;
}

const char *sonde__params_text(const sonde__params *params)
{
    return params->text;
}

/* Methods ask for keys of their own tables; tables are short, and specs are asked at creation, not in loops. */
static const param_value *param_find(const sonde__params *params, const char *key)
{
    static const param_value nothing;
    for (int64_t i = 0; i < params->key_count; i++)
        if (strcmp(params->values[i].key->name, key) == 0) return &params->values[i];
    SONDE_ASSERT(!"the table lacks this key");
    return &nothing;
}

int64_t sonde__param_int(const sonde__params *params, const char *key)
{
    return param_find(params, key)->integer;
}

double sonde__param_real(const sonde__params *params, const char *key)
{
    return param_find(params, key)->real;
}

const char *sonde__param_word(const sonde__params *params, const char *key)
{
    return param_find(params, key)->word;
}

bool sonde__param_is(const sonde__params *params, const char *key, const char *word)
{
    return strcmp(param_find(params, key)->word, word) == 0;
}

const sonde__params *sonde__param_spec(const sonde__params *params, const char *key)
{
    return param_find(params, key)->spec;
}

int sonde__params_chain_count(const sonde__params *params)
{
    return (int)params->chain_count;
}

const sonde__params *sonde__params_chain_at(const sonde__params *params, int position)
{
    SONDE_ASSERT(position >= 0 && position < params->chain_count);
    return params->chain[position];
}
