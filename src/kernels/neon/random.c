/* random.c (neon): random words of two rows at once.
 *
 * SPDX-License-Identifier: MIT
 */
#include <arm_neon.h>

#include "kernels/slots.h"

typedef uint64x2_t philox_lanes;

SONDE__INLINE philox_lanes philox_load(const uint64_t *rows) { return vld1q_u64(rows); }

SONDE__INLINE philox_lanes philox_product(philox_lanes a, uint32_t m) { return vmull_n_u32(vmovn_u64(a), m); }

SONDE__INLINE void philox_store(const philox_lanes c[4], uint32_t *out)
{
    uint32x2x4_t words = {{vmovn_u64(c[0]), vmovn_u64(c[1]), vmovn_u64(c[2]), vmovn_u64(c[3])}};
    vst4_u32(out, words);
}

#include "kernels/philox.h"

const sonde__kernels sonde__neon_random = {.random_words = random_words};
