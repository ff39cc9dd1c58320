/* describe.c: the catalogue for readers: what methods there are, which keys and inputs they take.
 *
 * Everything is read from the tables that also check specs, so this page cannot disagree with the library. Strings are
 * those of the tables: static, and never NULL on the way out. Tables are walked anew for each question; they are short.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/runtime.h"
#include "base/spec.h"
#include "base/text.h"

const sonde__noun *sonde__noun_find(const char *name)
{
    for (const sonde__noun *const *noun = sonde__nouns; *noun; noun++)
        if (strcmp((*noun)->name, name) == 0) return *noun;
    return NULL;
}

/* NOT_FOUND with the nearest noun and all of them. */
static sonde_status fail_noun(const char *name)
{
    sonde__choice choice = sonde__choice_start(name);
    for (const sonde__noun *const *noun = sonde__nouns; *noun; noun++)
        sonde__choice_offer(&choice, (*noun)->name, strlen((*noun)->name));
    return sonde__choice_fail(&choice, "catalogue", "noun");
}

static sonde_status find_noun(const char *name, const sonde__noun **noun)
{
    if (!name) return sonde__fail(SONDE_INVALID_ARGUMENT, "catalogue: the noun is NULL");
    *noun = sonde__noun_find(name);
    return *noun ? SONDE_OK : fail_noun(name);
}

static sonde_status find_method(const char *noun_name, const char *name, const sonde__noun **noun,
                                const sonde__method **method)
{
    SONDE_TRY(find_noun(noun_name, noun));
    if (!name) return sonde__fail(SONDE_INVALID_ARGUMENT, "catalogue: the method is NULL");
    *method = sonde__method_find(*noun, name);
    return *method ? SONDE_OK : sonde__last_status();
}

static uint32_t input_count(const sonde__method *method)
{
    uint32_t count = 0;
    while (method->inputs && method->inputs[count].name) count++;
    return count;
}

static uint32_t output_count(const sonde__method *method)
{
    uint32_t count = 0;
    while (method->outputs && method->outputs[count].name) count++;
    return count;
}

/* The noun's common keys included. */
static uint32_t key_count(const sonde__noun *noun, const sonde__method *method)
{
    uint32_t count = 0;
    while (sonde__key_at(noun, method, count)) count++;
    return count;
}

/* Bindings turn these into strings of their language; "" spares each of them a test. */
static const char *text_or_empty(const char *text)
{
    return text ? text : "";
}

sonde_status sonde_method_at(uint32_t position, sonde_method_info *info)
{
    uint32_t left = position;
    for (const sonde__noun *const *noun = sonde__nouns; *noun; noun++)
        for (const sonde__method *const *method = (*noun)->methods; *method; method++) {
            if (left-- > 0) continue;
            sonde_method_info filled = SONDE_METHOD_INFO_INIT;
            filled.key_count = key_count(*noun, *method);
            filled.input_count = input_count(*method);
            filled.output_count = output_count(*method);
            filled.noun = (*noun)->name;
            filled.name = (*method)->name;
            filled.summary = text_or_empty((*method)->summary);
            filled.source = text_or_empty((*method)->source);
            return sonde__info_write(&filled, sizeof filled, "method info", info);
        }
    return sonde__fail(SONDE_NOT_FOUND, "catalogue: there are %u methods, none at position %u",
                       (unsigned)(position - left), (unsigned)position);
}

static const char *key_kind(const sonde__key *key)
{
    switch (key->kind) {
    case SONDE__KEY_INT: return "int";
    case SONDE__KEY_REAL: return "real";
    case SONDE__KEY_WORD: return "word";
    default: return "spec";
    }
}

sonde_status sonde_key_at(const char *noun, const char *method, uint32_t position, sonde_key_info *info)
{
    const sonde__noun *found_noun;
    const sonde__method *found;
    SONDE_TRY(find_method(noun, method, &found_noun, &found));
    const sonde__key *key = sonde__key_at(found_noun, found, position);
    if (!key)
        return sonde__fail(SONDE_NOT_FOUND, "%s: there are %u keys, none at position %u", method,
                           (unsigned)key_count(found_noun, found), (unsigned)position);
    sonde_key_info filled = SONDE_KEY_INFO_INIT;
    filled.name = key->name;
    filled.kind = key_kind(key);
    filled.fallback = text_or_empty(key->fallback);
    filled.words = text_or_empty(key->words);
    filled.noun = text_or_empty(key->noun);
    filled.help = text_or_empty(key->help);
    filled.min = key->min;
    filled.max = key->max;
    return sonde__info_write(&filled, sizeof filled, "key info", info);
}

sonde_status sonde_input_at(const char *noun, const char *method, uint32_t position, sonde_input_info *info)
{
    const sonde__noun *found_noun;
    const sonde__method *found;
    SONDE_TRY(find_method(noun, method, &found_noun, &found));
    if (position >= input_count(found))
        return sonde__fail(SONDE_NOT_FOUND, "%s: there are %u inputs, none at position %u", method,
                           (unsigned)input_count(found), (unsigned)position);
    const sonde__input_key *input = &found->inputs[position];
    sonde_input_info filled = SONDE_INPUT_INFO_INIT;
    filled.required = input->required;
    filled.name = input->name;
    filled.shape = text_or_empty(input->shape);
    filled.dtypes = sonde__dtypes_text(input->dtypes);
    filled.help = text_or_empty(input->help);
    filled.verb = input->verb;
    return sonde__info_write(&filled, sizeof filled, "input info", info);
}

sonde_status sonde_output_at(const char *noun, const char *method, uint32_t position, sonde_output_info *info)
{
    const sonde__noun *found_noun;
    const sonde__method *found;
    SONDE_TRY(find_method(noun, method, &found_noun, &found));
    if (position >= output_count(found))
        return sonde__fail(SONDE_NOT_FOUND, "%s: there are %u outputs, none at position %u", method,
                           (unsigned)output_count(found), (unsigned)position);
    const sonde__output_key *output = &found->outputs[position];
    sonde_output_info filled = SONDE_OUTPUT_INFO_INIT;
    filled.name = output->name;
    filled.shape = text_or_empty(output->shape);
    filled.dtype = sonde__dtype_name(output->dtype);
    filled.help = text_or_empty(output->help);
    return sonde__info_write(&filled, sizeof filled, "output info", info);
}

/* "int 1..4096 or auto", "l2|ip", "a quantizer or none". */
static void write_domain(const sonde__key *key, char *domain, size_t capacity)
{
    sonde__text out = sonde__text_start(domain, capacity);
    char min[SONDE__NUMBER_BYTES], max[SONDE__NUMBER_BYTES];
    sonde__number_write(key->min, min);
    sonde__number_write(key->max, max);
    if (key->kind == SONDE__KEY_WORD) sonde__text_add(&out, "%s", text_or_empty(key->words));
    else if (key->kind == SONDE__KEY_SPEC) sonde__text_add(&out, "spec of %s", text_or_empty(key->noun));
    else sonde__text_add(&out, "%s %s..%s", key_kind(key), min, max);
    if (key->kind != SONDE__KEY_WORD && key->words) sonde__text_add(&out, " or %s", key->words);
}

static void describe_keys(const sonde__noun *noun, const sonde__method *method, sonde__text *out)
{
    char domain[128];
    const sonde__key *key;
    if (!sonde__key_at(noun, method, 0)) return;
    sonde__text_add(out, "\nKeys (name, default, what it accepts):\n");
    for (uint32_t i = 0; (key = sonde__key_at(noun, method, i)); i++) {
        write_domain(key, domain, sizeof domain);
        sonde__text_add(out, "  %-16s %-16s %s\n      %s\n", key->name,
                        key->fallback ? key->fallback : "(required)", domain, text_or_empty(key->help));
    }
}

static void describe_inputs(const sonde__method *method, sonde__text *out)
{
    if (input_count(method) == 0) return;
    sonde__text_add(out, "\nInputs (verb, name, shape, element types):\n");
    for (uint32_t i = 0; i < input_count(method); i++) {
        const sonde__input_key *input = &method->inputs[i];
        sonde__text_add(out, "  %-8s %-16s %-16s %s%s\n      %s\n", input->verb, input->name,
                        text_or_empty(input->shape), sonde__dtypes_text(input->dtypes),
                        input->required ? "" : " (optional)", text_or_empty(input->help));
    }
}

static void describe_outputs(const sonde__method *method, sonde__text *out)
{
    if (output_count(method) == 0) return;
    sonde__text_add(out, "\nOutputs (name, shape, element type):\n");
    for (const sonde__output_key *output = method->outputs; output->name; output++)
        sonde__text_add(out, "  %-16s %-16s %s\n      %s\n", output->name, text_or_empty(output->shape),
                        sonde__dtype_name(output->dtype), text_or_empty(output->help));
}

/* The page is written straight into the caller's memory; what does not fit is counted only. */
sonde_status sonde_describe(const char *noun, const char *method, char *text, size_t capacity, size_t *length)
{
    const sonde__noun *found_noun;
    const sonde__method *found;
    SONDE_TRY(find_method(noun, method, &found_noun, &found));
    if (!text && capacity > 0) return sonde__give_text("", text, capacity, length);
    sonde__text out = sonde__text_start(text, capacity);
    sonde__text_add(&out, "%s (%s)\n  %s\n", found->name, found_noun->name, text_or_empty(found->summary));
    if (found->source && found->source[0]) sonde__text_add(&out, "  Source: %s\n", found->source);
    if (found->chain)
        sonde__text_add(&out, "  Takes %s specs by position: %s(..., ...)\n", found->chain, found->name);
    describe_keys(found_noun, found, &out);
    describe_inputs(found, &out);
    describe_outputs(found, &out);
    if (length) *length = out.length;
    return SONDE_OK;
}

/* Nothing is built, but values need memory for a moment: a private runtime lends it. */
sonde_status sonde_spec_check(const char *noun, const char *spec, char *text, size_t capacity, size_t *length)
{
    const sonde__noun *found;
    sonde_runtime *runtime;
    sonde__params *params;
    SONDE_TRY(find_noun(noun, &found));
    SONDE_TRY(sonde__runtime_hold(NULL, &runtime));
    sonde_status status = sonde__params_parse(runtime, found, spec, &params);
    if (status == SONDE_OK) {
        status = sonde__give_text(sonde__params_text(params), text, capacity, length);
        sonde__params_free(runtime, params);
    }
    sonde__runtime_drop(runtime);
    return status;
}
