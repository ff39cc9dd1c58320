/* paths.c (generic): linear combinations of states, and noise, by the loops that all sets share.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernels/normals.h"

typedef float vector __attribute__((vector_size(16)));

SONDE__INLINE vector multiply_add(vector x, float weight, vector sum) { return x * weight + sum; }

#include "kernels/combine.h"

const sonde__kernels sonde__generic_paths = {.combine = combine, .normals = normals};
