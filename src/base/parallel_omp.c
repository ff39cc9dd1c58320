/* parallel_omp.c: OpenMP runs the workers of a loop.
 *
 * One team for one loop; the chunks come from the loop's own counter, so no OpenMP schedule and no OpenMP setting is
 * touched. A team may turn out smaller than asked (the host's limits); the chunks are run all the same.
 *
 * libgomp does not survive a fork: a child that enters a team waits for threads which exist only in the parent. So the
 * first process that comes here is remembered, and any other process is served by the threads of our own. This word is
 * the library's one piece of changing global state: it is written once.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/runtime.h"

#ifdef SONDE_OPENMP

#include <omp.h>

static _Atomic int64_t openmp_process; /* 0 = none yet */

static bool openmp_usable(void)
{
    int64_t process = sonde__os_process(), first = 0;
    return atomic_compare_exchange_strong(&openmp_process, &first, process) || first == process;
}

bool sonde__openmp_run(sonde__loop *loop, int workers)
{
    if (!openmp_usable()) return false;
#pragma omp parallel num_threads(workers)
    sonde__loop_work(loop, omp_get_thread_num());
    return true;
}

#else

bool sonde__openmp_run(sonde__loop *loop, int workers)
{
    (void)loop;
    (void)workers;
    return false;
}

#endif
