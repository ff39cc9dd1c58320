/* chains.c (avx512): sums of rows that codes pick from tables, by the loops that all sets share.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernels/slots.h"

typedef float vector __attribute__((vector_size(64)));

#include "kernels/chains.h"

const sonde__kernels sonde__avx512_chains = {.chain_sums = chain_sums};
