/* sonde.h: the one header to include.
 *
 * Sonde packs, finds and draws in large sets of embeddings. Start with docs/guide.md and examples/; then read
 * sonde/index.h, whose functions most programs need.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_H
#define SONDE_H

#include "sonde/base.h"
#include "sonde/transform.h"
#include "sonde/quantizer.h"
#include "sonde/trie.h"
#include "sonde/index.h"
#include "sonde/row_sampler.h"
#include "sonde/token_sampler.h"
#include "sonde/path_sampler.h"

#endif
