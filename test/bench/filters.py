"""Filtered search: only a random 10, 1, 0.1 or 0.01 % of the rows are allowed; beside exact scans of those rows.

Sonde is asked for recall = 0.95 after a calibration without filters, with the same filter as a bitmap and as a sorted
list of ids. It must give k hits whenever k allowed rows exist, and never be slower than the fastest exact scan that
starts from the same bitmap or list: copying the allowed rows together for numpy (sgemm and selection) or for
faiss.knn, once a call, or faiss IndexFlatIP with a selector. The last column compares with an exact scan for which
somebody copied the rows together beforehand, outside the clock: a bound, not a rival, since a filter comes with its
query.
"""
# SPDX-License-Identifier: MIT
import numpy as np

import measure
from measure import K, FaissSearch, alternate, faiss, sonde
from prepared import Search

SHARES = [0.1, 0.01, 0.001, 0.0001]
BATCH, SINGLE = 1000, 200  # queries


def numpy_scan(queries, rows, k):
    """The k best of `rows` for each query, best first, by product and selection."""
    scores = queries @ rows.T
    if k < len(rows):
        best = np.argpartition(scores, len(rows) - k, axis=1)[:, len(rows) - k:]
    else:
        best = np.broadcast_to(np.arange(k), scores.shape)
    order = np.take_along_axis(scores, best, axis=1).argsort(axis=1)[:, ::-1]
    return np.take_along_axis(best, order, axis=1)


def one_a_call(scan, queries):
    def run():
        for i in range(len(queries)):
            scan(queries[i:i + 1])
    return run


def mask(data, allowed):
    """The filter as bits, as both libraries take them."""
    bits = np.zeros(data.rows, bool)
    bits[allowed] = True
    return np.packbits(bits, bitorder="little")


def scans_of(rows, queries, k, single):
    """Exact scans of the rows that a call of `rows` gives."""
    found = {"numpy": lambda q: numpy_scan(q, rows(), k),
             "faiss.knn": lambda q: faiss.knn(q, rows(), k, metric=faiss.METRIC_INNER_PRODUCT)}
    return {name: one_a_call(scan, queries) if single else lambda scan=scan: scan(queries)
            for name, scan in found.items()}


def exact_scans(data, queries, allowed, flat, single):
    """The tasks that Sonde is compared with, under (kind of filter, name); kind "copied": of rows copied beforehand."""
    bits, copied, k = mask(data, allowed), np.ascontiguousarray(data.base[allowed]), min(K, len(allowed))
    kinds = {
        "bitmap": (lambda: data.base[np.flatnonzero(np.unpackbits(bits, bitorder="little"))],
                   faiss.IDSelectorBitmap(bits)),
        "ids": (lambda: data.base[allowed], faiss.IDSelectorBatch(allowed)),
        "copied": (lambda: copied, None),
    }
    tasks = {}
    for kind, (rows, selector) in kinds.items():
        tasks.update({(kind, name): task for name, task in scans_of(rows, queries, k, single).items()})
        if selector:
            search = FaissSearch(flat, queries, params=faiss.SearchParameters(sel=selector))
            tasks[kind, "faiss selector"] = search.each if single else search.run
    return tasks


def compare(data, indexes, allowed, flat, single, threads, args):
    """Rows of the table for one share, mode and thread count."""
    queries = data.queries[:SINGLE if single else BATCH]
    wanted = min(K, len(allowed))
    edge = measure.edges(data, queries, allowed)
    filters = {"bitmap": sonde.Filter(np.isin(np.arange(data.rows), allowed)), "ids": sonde.Filter(allowed)}
    searches = {(name, kind): Search(index, queries, K, threads, filter=made, recall=0.95)
                for name, index in indexes.items() for kind, made in filters.items()}
    exact = exact_scans(data, queries, allowed, flat, single)
    ours = {key: search.each if single else search.run for key, search in searches.items()}
    best = alternate({**exact, **ours}, args)
    fastest = {kind: min((key for key in exact if key[0] == kind), key=best.get) for kind, _ in exact}
    out = []
    for (name, kind), search in searches.items():
        right = (search.count == wanted).all() and np.isin(search.ids[search.ids >= 0], allowed).all()
        seconds, scan = best[name, kind], fastest[kind]
        out.append([len(allowed) / data.rows * 100, "single" if single else "batch", threads, name, kind, bool(right),
                    measure.recall(data, queries, search.ids, edge, wanted), len(queries) / seconds,
                    len(queries) / best[scan], scan[1], best[scan] / seconds, best[fastest["copied"]] / seconds])
    return out


def make(data, args):
    nlist = data.nlist(args.nlist)
    specs = {"flat lists": f"ivf(nlist={nlist}, metric=ip)",
             "sq8 + f16": f"ivf(nlist={nlist}, metric=ip, code=sq(bits=8), refine=f16)"}
    indexes = {name: sonde.Index(spec, data.dim, runtime=sonde.Runtime(threads=len(measure.CPUS))) for name, spec in specs.items()}
    for index in indexes.values():
        index.add(data.base)
        index.tune(measure.spread(data.train, 2000))
    return indexes


def want(rows, report):
    for share in dict.fromkeys(row[0] for row in rows):
        mine = [row for row in rows if row[0] == share]
        name = f"{measure.show(share)} % allowed, worst case: "
        report.want(name + "k hits whenever k exist", min(row[5] for row in mine), low=1)
        report.want(name + "recall among the allowed", min(row[6] for row in mine), low=0.95)
        report.want(name + "QPS / fastest exact scan", min(row[10] for row in mine), low=1.0)


def main():
    p = measure.parser(__doc__)
    args = p.parse_args()
    data = measure.Data(args)
    report = measure.Report("filters", args, data)
    measure.use_threads(len(measure.CPUS))
    indexes = make(data, args)
    flat = faiss.IndexFlatIP(data.dim)
    flat.add(data.base)
    random, rows = np.random.default_rng(1), []
    allowed = [np.sort(random.choice(data.rows, max(1, round(data.rows * share)), replace=False)) for share in SHARES]
    for threads in measure.thread_counts(args):
        measure.use_threads(threads)
        for one in allowed:
            for single in (False, True):
                rows += compare(data, indexes, one, flat, single, threads, args)
    rows.sort(key=lambda row: (row[2], row[1], -row[0]))
    report.table(f"Random rows allowed, recall = 0.95 asked, k = {K}",
                 ["% allowed", "mode", "threads", "Sonde ivf with", "filter", "k hits", "recall", "Sonde QPS",
                  "exact QPS", "fastest exact", "Sonde / exact", "Sonde / copied"], rows)
    want(rows, report)
    report.finish()


if __name__ == "__main__":
    main()
