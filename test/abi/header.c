/* header.c: what a user's file sees of the library. test_abi.py compiles it as C99, C11, C++11 and C++20 with every
 * warning an error, so it uses what the header gives as plain values: views, options, statuses.
 *
 * SPDX-License-Identifier: MIT
 */
#include <sonde.h>

const char *header_version(void);
sonde_array header_view(const float *data, int64_t rows);

const char *header_version(void)
{
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    options.threads = 1;
    return options.size == sizeof options ? sonde_version() : sonde_status_name(SONDE_INTERNAL);
}

sonde_array header_view(const float *data, int64_t rows)
{
    return sonde_f32(data, rows, 384);
}
