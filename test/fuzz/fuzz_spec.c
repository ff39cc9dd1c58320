/* fuzz_spec.c: any bytes as a spec of every noun. What is accepted must be accepted again in its canonical form, and
 * that form must be a fixed point; what is refused must say why.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sonde.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int condition)
{
    if (!condition) abort();
}

static char *canonical(const char *noun, const char *spec)
{
    size_t length = 0, again = 0;
    if (sonde_spec_check(noun, spec, NULL, 0, &length) != SONDE_OK) {
        demand(sonde_error_message()[0] != 0);
        return NULL;
    }
    char *text = malloc(length + 1);
    demand(text != NULL);
    demand(sonde_spec_check(noun, spec, text, length + 1, &again) == SONDE_OK);
    demand(again == length && strlen(text) == length);
    return text;
}

static void check_noun(const char *noun, const char *spec)
{
    char *once = canonical(noun, spec);
    if (!once) return;
    char *twice = canonical(noun, once);
    demand(twice && strcmp(once, twice) == 0);
    free(twice);
    free(once);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *spec = malloc(size + 1);
    demand(spec != NULL);
    if (size > 0) memcpy(spec, data, size);
    spec[size] = 0;
    const char *last = "";
    sonde_method_info method = SONDE_METHOD_INFO_INIT;
    for (uint32_t i = 0; sonde_method_at(i, &method) == SONDE_OK; i++) {
        if (strcmp(method.noun, last) != 0) check_noun(method.noun, spec);
        last = method.noun;
    }
    free(spec);
    return 0;
}
