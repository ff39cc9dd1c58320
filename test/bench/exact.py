"""Exact search: Sonde's flat index beside faiss IndexFlatIP and beside what the machine can do at most.

A batch of queries is a matrix product, so its yardstick is sgemm (numpy's OpenBLAS, in the data's own shape, result
memory given); one query a call reads every row once, so its yardstick is the read bandwidth (numpy's sdot of a vector
of 1 GiB with itself).
"""
# SPDX-License-Identifier: MIT
import numpy as np

import measure
from measure import K, FaissSearch, alternate, faiss, sonde
from prepared import Search

BLOCK = 16384  # rows of the sgemm yardstick
SINGLE = 100   # queries that come one a call


def gemm_task(queries, rows):
    out = np.empty((len(queries), len(rows)), np.float32)
    return lambda: np.matmul(queries, rows.T, out=out)


def same_up_to_ties(data, queries, ours, theirs):
    """Share of queries with equal lists, and whether all others differ only where scores are equal."""
    equal = ours == theirs
    a, b = (measure.true_scores(data, queries, ids) for ids in (ours, theirs))
    return float(equal.all(axis=1).mean()), bool((equal | (np.abs(a - b) <= measure.TIE)).all())


def batch(data, index, flat, threads, args, report):
    queries = data.queries[:args.batch]
    ours, theirs = Search(index, queries, K, threads), FaissSearch(flat, queries)
    square = np.random.default_rng(0).standard_normal((2048, 2048), dtype=np.float32)
    best = alternate({"square": gemm_task(square, square), "sgemm": gemm_task(queries, data.base[:BLOCK]),
                      "faiss": theirs.run, "sonde": ours.run}, args)
    work = 2 * len(queries) * data.dim
    sgemm = work * min(BLOCK, data.rows) / best["sgemm"] / 1e9
    rate = {name: work * data.rows / best[name] / 1e9 for name in ("faiss", "sonde")}
    equal, ties = same_up_to_ties(data, queries, ours.ids, theirs.ids)
    name = f"batch, {measure.count_of(threads, 'thread')}: "
    if threads == 1:
        report.want(name + "rate / sgemm", rate["sonde"] / sgemm, low=0.95)
    report.want(name + "Sonde / faiss", rate["sonde"] / rate["faiss"], low=1.0)
    report.want(name + "ids identical up to ties", ties, low=1)
    return [threads, 2 * 2048 ** 3 / best["square"] / 1e9, sgemm, rate["faiss"], rate["sonde"],
            len(queries) / best["faiss"], len(queries) / best["sonde"], best["faiss"] / best["sonde"],
            rate["sonde"] / sgemm, equal, ties]


def single(data, index, flat, threads, args):
    queries = data.queries[:SINGLE]
    ours, theirs = Search(index, queries, K, threads), FaissSearch(flat, queries)
    big = np.ones(1 << 28, np.float32)
    best = alternate({"read": lambda: big.dot(big), "faiss": theirs.each, "sonde": ours.each}, args)
    moved = len(queries) * data.base.nbytes / 1e9
    read = big.nbytes / best["read"] / 1e9
    rate = {name: moved / best[name] for name in ("faiss", "sonde")}
    return [threads, read, rate["faiss"], rate["sonde"], len(queries) / best["faiss"], len(queries) / best["sonde"],
            best["faiss"] / best["sonde"], rate["sonde"] / read]


def want_single(rows, report):
    qps = {row[0]: row[5] for row in rows}
    if 1 in qps:
        alone = next(row for row in rows if row[0] == 1)
        report.want("one query a call, 1 thread: GB/s / read bandwidth", alone[7], low=0.85)
    for threads in qps:
        if threads > 1 and 1 in qps:
            report.want(f"one query a call: Sonde with {threads} threads / with 1", qps[threads] / qps[1], low=1.0)
    for row in rows:
        report.want(f"one query a call, {measure.count_of(row[0], 'thread')}: Sonde / faiss", row[6], low=1.0)


def main():
    p = measure.parser(__doc__)
    p.add_argument("--batch", type=int, default=1000, help="queries in one call")
    args = p.parse_args()
    data = measure.Data(args)
    report = measure.Report("exact", args, data)
    flat = faiss.IndexFlatIP(data.dim)
    flat.add(data.base)
    index = sonde.Index("flat(metric=ip)", data.dim, runtime=sonde.Runtime(threads=len(measure.CPUS)))
    index.add(data.base)
    batches, singles = [], []
    for threads in measure.thread_counts(args):
        measure.use_threads(threads)
        batches.insert(0, batch(data, index, flat, threads, args, report))
        singles.insert(0, single(data, index, flat, threads, args))
    report.table(f"A batch of {min(args.batch, len(data.queries)):,} queries, k = {K}: GFLOP/s and QPS",
                 ["threads", "sgemm 2048^3", "sgemm, data's shape", "faiss", "Sonde", "faiss QPS", "Sonde QPS",
                  "Sonde / faiss", "Sonde / sgemm", "equal lists", "equal up to ties"], batches)
    report.table(f"One query a call, k = {K}: GB/s and QPS",
                 ["threads", "read", "faiss", "Sonde", "faiss QPS", "Sonde QPS", "Sonde / faiss", "Sonde / read"],
                 singles)
    want_single(singles, report)
    report.finish()


if __name__ == "__main__":
    main()
