/* random.c (generic): random words of many rows, and the rows that random bytes leave in question, one at a time.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernels/slots.h"

typedef uint64_t philox_lanes;

SONDE__INLINE philox_lanes philox_load(const uint64_t *rows) { return *rows; }

SONDE__INLINE philox_lanes philox_product(philox_lanes a, uint32_t m) { return (a & UINT32_MAX) * m; }

SONDE__INLINE void philox_store(const philox_lanes c[4], uint32_t *out)
{
    for (int k = 0; k < 4; k++) out[k] = (uint32_t)c[k];
}

#include "kernels/philox.h"

/* Every place is written and kept if it passes, so that nothing is to be foreseen. */
static int64_t bytes_below(const uint8_t *bytes, const float *weights, double scale, int64_t count,
                           int32_t *positions)
{
    int64_t found = 0;
    for (int64_t i = 0; i < count; i++) {
        positions[found] = (int32_t)i;
        found += (double)bytes[i] < (double)weights[i] * scale;
    }
    return found;
}

const sonde__kernels sonde__generic_random = {.random_words = random_words, .bytes_below = bytes_below};
