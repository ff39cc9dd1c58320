/* kernel_sets.h: every set of kernels that this processor runs, for the tests that hold a slot of each against
 * plain loops.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_TEST_KERNEL_SETS_H
#define SONDE_TEST_KERNEL_SETS_H

#include "kernels/kernels.h"
#include "test.h"

/* Calls `check` for each set that runs here. */
static inline void each_set(void (*check)(const sonde__kernels *set))
{
    int sets = 0;
    for (const sonde__kernels *const *set = sonde__kernels_all(); *set; set++) {
        if (!sonde__kernels_run(*set)) continue;
        check(*set);
        sets++;
    }
    assert_true(sets >= 1);
}

#endif
