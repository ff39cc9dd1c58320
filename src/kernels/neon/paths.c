/* paths.c (neon): linear combinations of states, and noise, by the loops that all sets share.
 *
 * SPDX-License-Identifier: MIT
 */
#include <arm_neon.h>

#include "kernels/normals.h"

typedef float32x4_t vector;

SONDE__INLINE vector multiply_add(vector x, float weight, vector sum) { return vfmaq_n_f32(sum, x, weight); }

#include "kernels/combine.h"

const sonde__kernels sonde__neon_paths = {.combine = combine, .normals = normals};
