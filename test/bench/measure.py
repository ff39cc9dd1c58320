"""What the benchmarks share: arguments, data, threads, turns at the clock, exact answers, tables.

Two libraries in one process keep two pools of threads, and a pool spins for a while after its work. So the tasks that
are compared take turns with a rest between them, and the best turn of each counts.
"""
# SPDX-License-Identifier: MIT
import argparse
import json
import os
import platform
import sys
import time

CPUS = sorted(os.sched_getaffinity(0))
os.environ.setdefault("OPENBLAS_NUM_THREADS", str(len(CPUS)))  # room for all; use_threads() then narrows it

try:
    import faiss
    import numpy as np
    import threadpoolctl
except ImportError as error:
    print(f"{error}; the benchmarks need: pip install numpy faiss-cpu threadpoolctl", file=sys.stderr)
    sys.exit(2)

from prepared import ROOT, sonde

K = 10
EXAMPLES = str(ROOT / "examples/data")
REST = 0.25       # seconds: longer than idle pools spin
LEAST_TURN = 0.2  # seconds: short tasks are repeated within a turn
TIE = 2e-6        # scores closer than this are equal: what f32 sums of a few hundred products may differ by

# ---- Arguments and data ----------------------------------------------------------------------------------------------


def parser(description):
    p = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--base", default=os.path.join(EXAMPLES, "glosses.npy"), help="rows to index (f16 or f32 .npy)")
    p.add_argument("--queries", default=os.path.join(EXAMPLES, "questions.npy"), help="queries that are measured")
    p.add_argument("--train", help="queries to calibrate on (default: the first half of --queries, then not measured)")
    p.add_argument("--limit", type=int, default=0, help="take only so many rows of --base")
    p.add_argument("--limit-queries", type=int, default=0, help="take only so many queries")
    p.add_argument("--nlist", type=int, default=1024, help="lists of inverted files; fewer where rows are few")
    p.add_argument("--threads", default="1,all", help="thread counts to measure, such as 1,2,all")
    p.add_argument("--passes", type=int, default=5, help="turns each task gets")
    p.add_argument("--budget", type=float, default=120, help="seconds for one comparison (at least two turns)")
    p.add_argument("--json", help="write all figures to this file")
    return p


def matrix(path, limit):
    rows = np.load(path, mmap_mode="r")
    return np.ascontiguousarray(rows[:limit or len(rows)], dtype=np.float32)


class Data:
    def __init__(self, args):
        self.base = matrix(args.base, args.limit)
        self.queries = matrix(args.queries, args.limit_queries)
        if args.train:
            self.train = matrix(args.train, 0)
        else:
            half = len(self.queries) // 2
            self.train, self.queries = self.queries[:half], self.queries[half:]
        self.rows, self.dim = self.base.shape
        if self.queries.shape[1] != self.dim or self.train.shape[1] != self.dim:
            raise SystemExit("rows and queries differ in their number of columns")

    def nlist(self, wanted):
        """As many lists as wanted, but at least 39 rows in each: fewer cannot be trained in earnest."""
        return min(wanted, max(1, self.rows // 39))


def count_of(number, noun):
    return f"{number:,} {noun}{'s' * (number != 1)}"


def spread(rows, count):
    """At most `count` rows, evenly spread."""
    return np.ascontiguousarray(rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(np.int64)])


def thread_counts(args):
    """Most threads first: the pools then come into being before the process is pinned to fewer processors."""
    counts = {len(CPUS) if word == "all" else int(word) for word in args.threads.split(",")}
    if not all(1 <= count <= len(CPUS) for count in counts):
        raise SystemExit(f"--threads {args.threads}: this process may use 1 to {len(CPUS)} processors")
    return sorted(counts, reverse=True)


def use_threads(count):
    """Lets BLAS and faiss use `count` threads and pins every thread of the process to as many processors."""
    threadpoolctl.threadpool_limits(limits=count)
    faiss.omp_set_num_threads(count)
    for task in os.listdir("/proc/self/task"):
        try:
            os.sched_setaffinity(int(task), CPUS[:count])
        except ProcessLookupError:
            pass  # it ended meanwhile


# ---- The clock -------------------------------------------------------------------------------------------------------


def seconds_of(task):
    begin = time.perf_counter()
    task()
    return time.perf_counter() - begin


def turn(task):
    """The best run of one turn. With one processor there is no pool that could spin."""
    if len(os.sched_getaffinity(0)) > 1:
        time.sleep(REST)
    begin, best = time.perf_counter(), float("inf")
    while True:
        best = min(best, seconds_of(task))
        if time.perf_counter() - begin > LEAST_TURN:
            return best


def alternate(tasks, args):
    """Seconds of the best run of each task of a dict; the tasks take turns."""
    best = dict.fromkeys(tasks, float("inf"))
    begin = time.perf_counter()
    for done in range(args.passes):
        if done >= 2 and time.perf_counter() - begin > args.budget:
            break
        for name, task in tasks.items():
            best[name] = min(best[name], turn(task))
    return best


# ---- Answers ---------------------------------------------------------------------------------------------------------


def true_scores(data, queries, ids):
    """Inner products in double precision; -inf where the id is -1."""
    scores = np.empty(ids.shape)
    for i in range(0, len(ids), 256):
        rows = data.base[ids[i:i + 256].clip(0)].astype(np.float64)
        scores[i:i + 256] = np.einsum("qd,qkd->qk", queries[i:i + 256].astype(np.float64), rows)
    scores[ids < 0] = -np.inf
    return scores


def edges(data, queries, allowed=None, k=K):
    """The exact k-th best score of each query among the allowed rows (a sorted array; None = all)."""
    rows = np.arange(data.rows) if allowed is None else allowed
    base = data.base if allowed is None else data.base[allowed]
    few = min(len(rows), k + 32)  # more than k by f32, so that the order among them can be settled in double precision
    found = np.empty((len(queries), few), np.int64)
    for i in range(0, len(queries), 256):
        scores = queries[i:i + 256] @ base.T
        found[i:i + 256] = rows[np.argpartition(scores, len(rows) - few, axis=1)[:, len(rows) - few:]]
    return np.sort(true_scores(data, queries, found), axis=1)[:, -min(k, len(rows))]


def recall(data, queries, ids, edge, wanted=K):
    """Share of the `wanted` nearest that was found. Any row as near as the last of them is right: ties cost nothing."""
    order = np.sort(ids, axis=1)
    if ((order[:, 1:] == order[:, :-1]) & (order[:, 1:] >= 0)).any():
        raise SystemExit("a list of hits names a row twice")
    found = (true_scores(data, queries, ids) >= edge[:, None] - TIE).sum(axis=1)
    return float(np.minimum(found, wanted).mean() / wanted)


class FaissSearch:
    """A prepared search as prepared.Search is one: run() and each() are bare foreign calls."""

    def __init__(self, index, queries, k=K, params=None):
        self.index, self.k, self.params, self.queries = index, k, params, queries
        self.ids = np.full((len(queries), k), -1, np.int64)
        self.scores = np.zeros((len(queries), k), np.float32)
        self.whole = [faiss.swig_ptr(a) for a in (queries, self.scores, self.ids)]
        self.rows = [[faiss.swig_ptr(a[i]) for a in (queries, self.scores, self.ids)] for i in range(len(queries))]

    def run(self):
        query, scores, ids = self.whole
        self.index.search_c(len(self.queries), query, self.k, scores, ids, self.params)

    def each(self):
        search, k, params = self.index.search_c, self.k, self.params
        for query, scores, ids in self.rows:
            search(1, query, k, scores, ids, params)


# ---- Tables ----------------------------------------------------------------------------------------------------------


def show(value):
    if value is None:
        return "-"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def table_text(table):
    """A table as Markdown, with aligned columns so that it reads well on a terminal too."""
    rows = [table["columns"]] + [[show(value) for value in row] for row in table["rows"]]
    widths = [max(len(row[c]) for row in rows) for c in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return f"{table['title']}\n\n" + "\n".join(lines) + "\n"


def processor():
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


class Report:
    """Prints tables as they come and writes everything at the end."""

    def __init__(self, name, args, data):
        self.name, self.path, self.tables, self.wanted = name, args.json, [], []
        self.about = (f"{time.strftime('%Y-%m-%d')}; {processor()}, {len(CPUS)} processors; "
                      f"{data.rows:,} x {data.dim} rows; Sonde {sonde.build_info()}; "
                      f"faiss {faiss.__version__}; numpy {np.__version__}")
        print(f"# {name}\n\n{self.about}\n", flush=True)

    def table(self, title, columns, rows):
        self.tables.append({"title": title, "columns": columns, "rows": rows})
        print(table_text(self.tables[-1]), flush=True)

    def want(self, what, measured, low=None, high=None):
        """What we hold ourselves to: low <= measured <= high."""
        words = " and ".join([f">= {show(low)}"] * (low is not None) + [f"<= {show(high)}"] * (high is not None))
        met = (low is None or measured >= low) and (high is None or measured <= high)
        self.wanted.append([what, float(measured), words, bool(met)])

    def finish(self):
        self.table("Wanted", ["what", "measured", "wanted", "met"], self.wanted)
        if self.path:
            with open(self.path, "w") as file:
                json.dump({"name": self.name, "about": self.about, "tables": self.tables}, file, indent=1)
