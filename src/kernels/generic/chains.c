/* chains.c (generic): sums of rows that codes pick from tables, by the loops that all sets share.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernels/slots.h"

typedef float vector __attribute__((vector_size(16)));

#include "kernels/chains.h"

const sonde__kernels sonde__generic_chains = {.chain_sums = chain_sums};
