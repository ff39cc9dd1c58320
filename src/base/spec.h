/* spec.h: the tree that a spec's text becomes, and the walk over a method's keys. Inside base only.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_SPEC_H
#define SONDE_SRC_SPEC_H

#include "base/base.h"

#define SONDE__SPEC_MAX_BYTES 65536
#define SONDE__SPEC_MAX_DEPTH 16

/* A value: a word or number, or (called) a name with its items in parentheses. */
typedef struct sonde__spec_node {
    const char *name;
    size_t place; /* of its first character in the text, from 1 */
    bool called;
    const struct sonde__spec_item *items;
} sonde__spec_node;

/* key=value, or a value by position (key NULL). */
typedef struct sonde__spec_item {
    const struct sonde__spec_item *next;
    const char *key;
    size_t place;
    sonde__spec_node value;
} sonde__spec_item;

/* Text to tree. The tree lives in the scratch. INVALID_ARGUMENT names the place and what was expected there. */
sonde_status sonde__spec_read(sonde__scratch *scratch, const char *text, sonde__spec_node *root);

/* params.c: the position-th key of a method, its own before the noun's common ones (a method's own key hides a common
 * one of the same name). NULL past the end. */
const sonde__key *sonde__key_at(const sonde__noun *noun, const sonde__method *method, uint32_t position);
/* NULL with NOT_FOUND set. */
const sonde__method *sonde__method_find(const sonde__noun *noun, const char *name);

#endif
