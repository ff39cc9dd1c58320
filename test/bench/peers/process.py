"""The process that builds one setting of one peer and measures it; compare.py starts it with one argument, in JSON.

Rules: the search threads are set by the library's own setting and by threadpoolctl, and every thread of the process is
pinned to as many processors. A tenth of the queries warms up, then the best of some passes over all queries counts.
A sweep goes from cheap to dear efforts and ends at a recall that is enough, or when a pass takes too long.

SPDX-License-Identifier: MIT
"""
import json
import os
import sys
import time

import numpy as np

import compare_data
import compare_results
import peers
from compare_data import K

try:
    import threadpoolctl
except ImportError:
    threadpoolctl = None  # Sonde alone needs none

CPUS = sorted(os.sched_getaffinity(0))


def pin(count):
    """Every thread of this process, those of the libraries too."""
    for task in os.listdir("/proc/self/task"):
        try:
            os.sched_setaffinity(int(task), CPUS[:count])
        except ProcessLookupError:
            pass  # it ended meanwhile


def use_threads(count):
    if threadpoolctl:
        threadpoolctl.threadpool_limits(limits=count)
    pin(count)


def searcher(peer, mode, threads):
    if mode == "batch":
        return lambda queries, effort: peer.search(queries, K, effort, threads)
    return lambda queries, effort: np.concatenate([peer.search(queries[i:i + 1], K, effort, threads)
                                                   for i in range(len(queries))])


def timed(call, *arguments):
    begin = time.perf_counter()
    result = call(*arguments)
    return time.perf_counter() - begin, result


def measure(search, queries, effort, passes):
    """Seconds of the best pass over all queries, and the ids."""
    search(queries[:max(1, len(queries) // 10)], effort)
    use = [timed(search, queries, effort) for _ in range(passes)]
    return min(seconds for seconds, _ in use), use[-1][1]


def sweep(peer, data, edge, mode, threads, rules):
    """Yields the points of one curve."""
    use_threads(len(CPUS))
    search = searcher(peer, mode, threads)
    search(data.query[:threads], peer.efforts()[0])  # makes the library's threads, so that all can be pinned
    use_threads(threads)
    for effort in peer.efforts():
        seconds, ids = measure(search, data.query, effort, rules["passes"])
        share = compare_data.recall(data, ids, edge)
        yield {"effort": effort, "recall": round(share, 5), "qps": round(len(data.query) / seconds, 1)}
        if share >= rules["enough"] or seconds > rules["longest"]:
            break


def main(job):
    data = compare_data.load(**job["data"])
    edge = compare_data.edges(data, np.load(job["truth"]))
    peer = peers.find(job["peer"])()
    seconds, _ = timed(peer.build, data.base, data.metric, job["setting"], job["build_threads"])
    built = {"build_threads": job["build_threads"], "build_seconds": round(seconds, 2), "bytes": peer.bytes()}
    for mode, threads in job["sweeps"]:
        about = {**job["line"], "mode": mode, "threads": threads}
        for point in sweep(peer, data, edge, mode, threads, job["rules"]):
            compare_results.append(job["results"], {"kind": "point", **about, **built, **point})
        compare_results.append(job["results"], {"kind": "end", **about, "status": "ok", "why": ""})


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
