/* paths.c (avx2): linear combinations of states, and noise, by the loops that all sets share.
 *
 * SPDX-License-Identifier: MIT
 */
#include <immintrin.h>

#include "kernels/normals.h"

typedef __m256 vector;

SONDE__INLINE vector multiply_add(vector x, float weight, vector sum)
{
    return _mm256_fmadd_ps(x, _mm256_set1_ps(weight), sum);
}

#include "kernels/combine.h"

const sonde__kernels sonde__avx2_paths = {.combine = combine, .normals = normals};
