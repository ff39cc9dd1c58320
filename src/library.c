/* library.c: the one file that knows every room: the list of nouns, the version, and what this build is made of.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include "base/base.h"
#include "indexes/index.h"
#include "kernels/kernels.h"
#include "linalg/linalg.h"
#include "paths/paths.h"
#include "quantizers/quantizer.h"
#include "quantizers/trie_parts.h"
#include "rows/rows.h"
#include "tokens/tokens.h"
#include "transforms/transform.h"

const sonde__noun *const sonde__nouns[] = {
    &sonde__index_noun,
    &sonde__quantizer_noun,
    &sonde__trie_noun,
    &sonde__transform_noun,
    &sonde__row_sampler_noun,
    &sonde__token_sampler_noun,
    &sonde__path_sampler_noun,
    &sonde__schedule_noun,
    NULL,
};

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

const char *sonde_version(void)
{
    return TEXT(SONDE_VERSION_MAJOR) "." TEXT(SONDE_VERSION_MINOR) "." TEXT(SONDE_VERSION_PATCH);
}

#ifdef SONDE_OPENMP_NAME
#define THREADS_NAME SONDE_OPENMP_NAME
#else
#define THREADS_NAME "own"
#endif

static char build_info[256];
static pthread_once_t build_info_once = PTHREAD_ONCE_INIT;

/* The sets that this CPU runs, which is known only at run time; written once, like the choice of kernels itself. */
static void make_build_info(void)
{
    int length = snprintf(build_info, sizeof build_info, "version=%s isa=%s cpu=", sonde_version(),
                          sonde__kernels_get()->name);
    const char *comma = "";
    for (const sonde__kernels *const *set = sonde__kernels_all(); *set; set++) {
        if (!sonde__kernels_run(*set)) continue;
        length += snprintf(build_info + length, sizeof build_info - (size_t)length, "%s%s", comma, (*set)->name);
        comma = ",";
    }
    snprintf(build_info + length, sizeof build_info - (size_t)length, " blas=%s threads=%s", sonde__blas_name(),
             THREADS_NAME);
}

const char *sonde_build_info(void)
{
    pthread_once(&build_info_once, make_build_info);
    return build_info;
}
