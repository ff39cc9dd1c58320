"""The inverted file: queries a second at equal recall, calibration, build time and bytes; beside faiss.

Every index is built once with all processors, then answers the same queries over a grid of efforts, all in one call
(batch) or one a call (single). Queries a second at recall@10 = 0.90, 0.95 and 0.99 are interpolated (linearly in
recall and log QPS) on each index's Pareto front, so each library is taken at its own best settings. faiss IVF,Flat is
the yardstick of the ratios; its two faster kinds stand beside it for orientation.

Calibration: the index is tuned on training queries, then asked for recall = 0.95 on queries it has not seen.
"""
# SPDX-License-Identifier: MIT
import math

import measure
from measure import K, FaissSearch, faiss, sonde
from prepared import Search

PROBES = [1, 2, 4, 6, 9, 13, 20, 30, 45, 70, 110, 170, 256]
TARGETS = [0.90, 0.95, 0.99]
ENOUGH = 0.993  # a grid ends at the first effort with this recall
SINGLE = 500    # queries that come one a call
CALIBRATION = 2000


class FaissIndex:
    """efforts: (probes, k_factor of the refinement, parallel mode of a single query)."""

    def __init__(self, data, factory, factors):
        self.name, self.factors = "faiss " + factory, factors
        self.index = faiss.index_factory(data.dim, factory, faiss.METRIC_INNER_PRODUCT)
        self.lists = faiss.extract_index_ivf(self.index)

    def build(self, base):
        self.index.train(base)
        self.index.add(base)

    def bytes(self):
        return len(faiss.serialize_index(self.index))

    def efforts(self, single, threads):
        modes = [0, 1] if single and threads > 1 else [0]  # 1 splits the lists of a query over the threads
        return [(p, f, mode) for p in PROBES if p <= self.lists.nlist for f in self.factors for mode in modes]

    def task(self, queries, effort, single, threads):
        search = FaissSearch(self.index, queries)
        call = search.each if single else search.run

        def run():
            self.lists.nprobe, factor, self.lists.parallel_mode = effort
            if factor:
                self.index.k_factor = factor
            call()
        return run, search


class SondeIndex:
    """efforts: (probes, refine)."""

    def __init__(self, data, spec, refines):
        self.name, self.refines = "Sonde " + spec, refines
        self.index = sonde.Index(spec, data.dim, runtime=sonde.Runtime(threads=len(measure.CPUS)))

    def build(self, base):
        self.index.add(base)

    def bytes(self):
        return len(self.index.to_bytes())

    def efforts(self, single, threads):
        lists = self.index.stats().lists
        return [(p, r) for p in PROBES if p <= lists for r in self.refines]

    def task(self, queries, effort, single, threads):
        search = Search(self.index, queries, K, threads, effort=effort[0], refine=effort[1])
        return search.each if single else search.run, search


def make(data, nlist):
    ivf = f"nlist={nlist}, metric=ip"
    return {
        "faiss flat": FaissIndex(data, f"IVF{nlist},Flat", [0]),
        "faiss sq8": FaissIndex(data, f"IVF{nlist},SQ8,RFlat", [2, 4]),
        "faiss pq fast-scan": FaissIndex(data, f"IVF{nlist},PQ{data.dim // 2}x4fs,RFlat", [3, 8]),
        "sonde flat": SondeIndex(data, f"ivf({ivf})", [0]),
        "sonde sq8 f16": SondeIndex(data, f"ivf({ivf}, code=sq(bits=8), refine=f16)", [2, 4]),
        "sonde sq8 f32": SondeIndex(data, f"ivf({ivf}, code=sq(bits=8), refine=f32)", [2, 4]),
    }


def build(data, indexes, report):
    rows = []
    for index in indexes.values():
        seconds = measure.seconds_of(lambda: index.build(data.base))
        held = index.index.stats().memory_bytes if isinstance(index, SondeIndex) else None
        rows.append([index.name, seconds, index.bytes() / 1e6, held and held / 1e6])
    report.table("Building with all processors (Sonde: first calibration included); bytes when saved and in memory",
                 ["index", "seconds", "file MB", "memory MB"], rows)


# ---- Speed at equal recall -------------------------------------------------------------------------------------------


def grid(data, indexes, queries, edge, single, threads):
    """{(index, effort): (task, recall)}, cheap efforts first; each index's grid ends at ENOUGH."""
    tasks = {}
    for name, index in indexes.items():
        last = math.inf  # the number of probes that is enough
        for effort in index.efforts(single, threads):
            if effort[0] > last:
                break
            run, search = index.task(queries, effort, single, threads)
            run()
            tasks[name, effort] = run, measure.recall(data, queries, search.ids, edge)
            if tasks[name, effort][1] >= ENOUGH:
                last = effort[0]
    return dict(sorted(tasks.items(), key=lambda item: item[0][1]))


def at_recall(points, target):
    """Queries a second at a recall, from (recall, qps) points; None where the grid does not reach it."""
    front, fastest = [], 0
    for recall, qps in sorted(points, reverse=True):
        if qps > fastest:
            front.insert(0, (recall, qps))
            fastest = qps
    above = next((i for i, point in enumerate(front) if point[0] >= target), None)
    if above is None:
        return None
    if above == 0:
        return front[0][1]
    (r0, q0), (r1, q1) = front[above - 1], front[above]
    share = (target - r0) / (r1 - r0)
    return math.exp(math.log(q0) * (1 - share) + math.log(q1) * share)


def sweep(data, indexes, single, threads, args, report):
    queries = data.queries[:SINGLE if single else args.measured]
    tasks = grid(data, indexes, queries, measure.edges(data, queries), single, threads)
    best = measure.alternate({key: run for key, (run, _) in tasks.items()}, args)
    rows, speed = [], {}
    for name, index in indexes.items():
        points = [(tasks[key][1], len(queries) / best[key]) for key in tasks if key[0] == name]
        speed[name] = [at_recall(points, target) for target in TARGETS]
        ratio = [a and b and a / b for a, b in zip(speed[name], speed["faiss flat"])]
        rows.append([index.name, *speed[name], *ratio])
    how = f"{'one query a call' if single else 'batch'}, {measure.count_of(threads, 'thread')}"
    report.table(f"QPS at recall@{K}, {how}, {len(queries):,} queries; ratios to faiss IVF,Flat",
                 ["index", *(f"{t:.2f}" for t in TARGETS), *(f"ratio {t:.2f}" for t in TARGETS)], rows)
    for name, low in (("sonde flat", 1.3), ("sonde sq8 f16", 3.0)):
        ours, theirs = (speed.get(who, [None] * 3)[1] for who in (name, "faiss flat"))
        if ours and theirs:
            report.want(f"{how}: {name} / faiss flat at 0.95", ours / theirs, low=low)


# ---- Calibration -----------------------------------------------------------------------------------------------------


def calibrate(data, indexes, args, report):
    train, unseen = measure.spread(data.train, CALIBRATION), measure.spread(data.queries, CALIBRATION)
    edge, rows = measure.edges(data, unseen), []
    for name, index in indexes.items():
        if not isinstance(index, SondeIndex):
            continue

        def reached(target):
            search = Search(index.index, unseen, K, len(measure.CPUS), recall=target)
            search.run()
            return measure.recall(data, unseen, search.ids, edge)
        before = reached(0.95)
        seconds = measure.seconds_of(lambda: index.index.tune(train))
        after = [reached(target) for target in TARGETS]
        rows.append([index.name, before, *after, seconds])
        report.want(f"{name}: recall reached for recall=0.95", after[1], low=0.94, high=0.97)
    report.table(f"Recall reached on {len(unseen):,} queries that calibration did not see: asked for 0.95 after the "
                 f"calibration on stored rows that add does by itself; then tuned on {len(train):,} training queries",
                 ["index", "0.95, untuned", *(f"{t:.2f}" for t in TARGETS), "tune s"], rows)


def main():
    p = measure.parser(__doc__)
    p.add_argument("--measured", type=int, default=2000, help="queries of a batch")
    p.add_argument("--only", default="", help="take only these indexes, such as 'faiss flat,sonde flat'")
    args = p.parse_args()
    data = measure.Data(args)
    indexes = make(data, data.nlist(args.nlist))
    if args.only:
        indexes = {name: index for name, index in indexes.items() if name in args.only.split(",") + ["faiss flat"]}
    report = measure.Report("ivf", args, data)
    measure.use_threads(len(measure.CPUS))
    build(data, indexes, report)
    calibrate(data, indexes, args, report)
    for threads in measure.thread_counts(args):
        measure.use_threads(threads)
        for single in (False, True):
            sweep(data, indexes, single, threads, args, report)
    report.finish()


if __name__ == "__main__":
    main()
