/* inputs.c: what callers hand in: option structs of any version, and named arrays for the verbs that take data.
 *
 * A struct begins with its size, which says what version of the header its owner was compiled with. Ours is always the
 * complete one: what an older caller lacks is zero, which is a real default everywhere, and what a newer caller set and
 * we do not know is an error rather than silently ignored.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/runtime.h"
#include "base/text.h"

/* No struct of the interface comes near this; a larger size is memory that nobody initialised. */
#define STRUCT_MOST 4096

/* The size is copied out, because the caller of a foreign language may not have aligned the struct. */
static sonde_status struct_size(const void *given, const char *what, uint32_t *size)
{
    memcpy(size, given, sizeof *size);
    if (*size >= sizeof *size && *size <= STRUCT_MOST) return SONDE_OK;
    return sonde__fail(SONDE_INVALID_ARGUMENT,
                       "%s: the struct says that its size is %u; start it from its SONDE_..._INIT", what,
                       (unsigned)*size);
}

sonde_status sonde__options_read(const void *given, uint32_t known, const char *what, void *copy)
{
    uint32_t size = known;
    if (given) SONDE_TRY(struct_size(given, what, &size));
    for (uint32_t i = known; i < size; i++)
        if (((const uint8_t *)given)[i])
            return sonde__fail(SONDE_INVALID_ARGUMENT,
                               "%s: an option at byte %u is set that this version (%s) lacks", what,
                               (unsigned)i, sonde_version());
    memset(copy, 0, known);
    if (given) memcpy(copy, given, size < known ? size : known);
    memcpy(copy, &known, sizeof known);
    return SONDE_OK;
}

sonde_status sonde__info_write(const void *filled, uint32_t known, const char *what, void *info)
{
    uint32_t size;
    if (!info) return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: the output pointer is NULL", what);
    SONDE_TRY(struct_size(info, what, &size));
    memset(info, 0, size);
    memcpy(info, filled, size < known ? size : known);
    memcpy(info, &size, sizeof size);
    return SONDE_OK;
}

static bool serves(const sonde__input_key *key, const char *verb)
{
    return strcmp(key->verb, verb) == 0;
}

/* The table row of a name among those of a verb, or -1 with the message set. */
static int64_t input_row(const sonde__input_key *table, const char *verb, const char *what, const char *name)
{
    sonde__choice choice = sonde__choice_start(name);
    for (int64_t row = 0; table && table[row].name; row++) {
        if (!serves(&table[row], verb)) continue;
        if (strcmp(table[row].name, name) == 0) return row;
        sonde__choice_offer(&choice, table[row].name, strlen(table[row].name));
    }
    sonde__choice_fail(&choice, what, "input");
    return -1;
}

/* The shape is checked here; how many columns are right, only the method knows. */
static sonde_status input_check(const sonde_input *input, const sonde__input_key *key, const char *what)
{
    sonde_status status = sonde__array_check(input->array, key->name, 0, key->dtypes, NULL);
    return status == SONDE_OK ? SONDE_OK : sonde__fail_within(status, "%s", what);
}

static sonde_status input_missing(const sonde__input_key *table, const char *verb, const char *what, int64_t row)
{
    char list[400];
    sonde__text text = sonde__text_start(list, sizeof list);
    for (int64_t i = 0; table[i].name; i++)
        if (serves(&table[i], verb))
            sonde__text_add(&text, "%s%s%s", text.length ? ", " : "", table[i].name,
                            table[i].required ? "" : " (optional)");
    return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: input '%s' (%s) is missing; inputs: %s", what,
                       table[row].name, table[row].shape, list);
}

/* Fills `found`, which may be left half done on failure. */
static sonde_status match_inputs(const sonde__input_key *table, const char *verb, const char *what,
                                 const sonde_input *inputs, size_t count, const sonde_array **found)
{
    for (size_t i = 0; i < count; i++) {
        if (!inputs[i].name)
            return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: the name of input %zu is NULL", what, i);
        int64_t row = input_row(table, verb, what, inputs[i].name);
        if (row < 0) return sonde__last_status();
        if (found[row])
            return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: input '%s' is given twice", what, inputs[i].name);
        SONDE_TRY(input_check(&inputs[i], &table[row], what));
        found[row] = inputs[i].array;
    }
    for (int64_t row = 0; table && table[row].name; row++)
        if (table[row].required && serves(&table[row], verb) && !found[row])
            return input_missing(table, verb, what, row);
    return SONDE_OK;
}

/* Matches into an array of its own first: on failure the caller's stays as it was. */
sonde_status sonde__inputs_match(const sonde__method *method, const char *verb, const char *what,
                                 const sonde_input *inputs, size_t count, const sonde_array **found)
{
    const sonde_array *matched[SONDE__INPUTS_MOST] = {NULL};
    size_t rows = 0;
    while (method->inputs && method->inputs[rows].name) rows++;
    SONDE_ASSERT(rows <= SONDE__INPUTS_MOST);
    if (!inputs && count > 0)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "%s: inputs is NULL, but the count is %zu", what, count);
    SONDE_TRY(match_inputs(method->inputs, verb, what, inputs, count, matched));
    if (rows > 0) memcpy(found, matched, rows * sizeof *found);
    return SONDE_OK;
}

bool sonde__inputs_any(const sonde__method *method, const char *verb)
{
    for (const sonde__input_key *key = method->inputs; key && key->name; key++)
        if (serves(key, verb)) return true;
    return false;
}
