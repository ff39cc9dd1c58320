"""Rows come and go: 50 rounds of "remove 20 %, add 20 %", then the index is compared with one built from its last rows.

It starts from four fifths of the rows. Each round removes a random fifth of what is stored and adds as many random
rows of those that are not, under ids never used before. Recall is compared at the same effort, memory after compact.
faiss (IVF,Flat; it has no refine tier that can remove) does the same rounds beside it.
"""
# SPDX-License-Identifier: MIT
import time

import numpy as np

import measure
from measure import K, FaissSearch, faiss, sonde
from prepared import Search

EFFORTS = [4, 8, 16, 32, 64]


class Rounds:
    """The same history for every index: which row hides behind which id."""

    def __init__(self, rows, seed=1):
        self.random = np.random.default_rng(seed)
        order = self.random.permutation(rows)
        self.stored = order[:rows * 4 // 5]         # rows, at the position of their ids
        self.ids = np.arange(len(self.stored))
        self.spare = order[rows * 4 // 5:]
        self.row_of = self.stored.copy()             # by id

    def step(self):
        """One round: (ids to remove, rows to add, their ids)."""
        count = len(self.ids) // 5
        leaving = self.random.choice(len(self.ids), count, replace=False)
        coming = self.random.choice(len(self.spare), count, replace=False)
        removed, rows = self.ids[leaving], self.spare[coming]
        ids = np.arange(len(self.row_of), len(self.row_of) + count)
        self.spare = np.concatenate([np.delete(self.spare, coming), self.stored[leaving]])
        self.stored[leaving], self.ids[leaving] = rows, ids
        self.row_of = np.concatenate([self.row_of, rows])
        return removed, rows, ids

    def rows(self, ids):
        """Hits as rows of the base; -1 stays."""
        return np.where(ids >= 0, self.row_of[ids], -1)


class SondeIndex:
    def __init__(self, dim, spec):
        self.name = "Sonde " + spec
        self.index = sonde.Index(spec, dim, runtime=sonde.Runtime(threads=len(measure.CPUS)))

    def add(self, rows, ids):
        self.index.add(rows, ids)

    def remove(self, ids):
        self.index.remove(ids)

    def compact(self):
        self.index.compact()
        self.index.check()

    def memory(self):
        return self.index.stats().memory_bytes

    def search(self, queries, effort):
        search = Search(self.index, queries, K, len(measure.CPUS), effort=effort)
        search.run()
        return search.ids


class FaissIndex:
    def __init__(self, dim, factory):
        self.name = "faiss " + factory
        self.index = faiss.index_factory(dim, factory, faiss.METRIC_INNER_PRODUCT)

    def add(self, rows, ids):
        if not self.index.is_trained:
            self.index.train(rows)
        self.index.add_with_ids(rows, ids)

    def remove(self, ids):
        self.index.remove_ids(ids)

    def compact(self):
        pass

    def memory(self):
        return len(faiss.serialize_index(self.index))

    def search(self, queries, effort):
        self.index.nprobe = effort
        search = FaissSearch(self.index, queries)
        search.run()
        return search.ids


def live_through(index, data, count):
    """The history of `count` rounds and the seconds of one, on average."""
    history = Rounds(data.rows)
    index.add(data.base[history.stored], history.ids)
    spent = 0
    for _ in range(count):
        removed, rows, ids = history.step()
        fresh = data.base[rows]
        begin = time.perf_counter()
        index.remove(removed)
        index.add(fresh, ids)
        spent += time.perf_counter() - begin
    return history, spent / max(count, 1)


def compare(make, data, args, report):
    """Rows of both tables for one kind of index."""
    old, fresh = make(), make()
    history, seconds = live_through(old, data, args.rounds)
    before = old.memory()
    compact = measure.seconds_of(old.compact)
    order = np.argsort(history.stored)
    fresh.add(data.base[history.stored[order]], history.ids[order])
    built = fresh.memory()
    fresh.compact()
    queries = data.queries[:2000]
    edge = measure.edges(data, queries, np.sort(history.stored))
    recalls = []
    for effort in EFFORTS:
        pair = [measure.recall(data, queries, history.rows(index.search(queries, effort)), edge)
                for index in (old, fresh)]
        recalls.append([old.name, effort, *pair, pair[0] - pair[1]])
    memory = [old.name, seconds, compact, before / 1e6, old.memory() / 1e6, built / 1e6, fresh.memory() / 1e6,
              old.memory() / fresh.memory()]
    if isinstance(old, SondeIndex):
        report.want(f"{old.name}: recall - fresh build's, worst effort", min(row[4] for row in recalls), low=-0.01)
        report.want(f"{old.name}: memory after compact / fresh build's", memory[-1], high=1.05)
    return memory, recalls


def main():
    p = measure.parser(__doc__)
    p.add_argument("--rounds", type=int, default=50)
    args = p.parse_args()
    data = measure.Data(args)
    nlist = data.nlist(args.nlist)
    report = measure.Report("churn", args, data)
    measure.use_threads(len(measure.CPUS))
    makers = [lambda: SondeIndex(data.dim, f"ivf(nlist={nlist}, metric=ip, code=sq(bits=8), refine=f16)"),
              lambda: SondeIndex(data.dim, "flat(metric=ip)"),
              lambda: FaissIndex(data.dim, f"IVF{nlist},Flat")]
    memories, recalls = [], []
    for make in makers:
        memory, recall = compare(make, data, args, report)
        memories.append(memory)
        recalls += recall if "flat(" not in memory[0] else recall[:1]  # an exact index has no effort
    report.table(f"After {args.rounds} rounds: recall@{K} at the same effort",
                 ["index", "effort", "after the rounds", "fresh build", "difference"], recalls)
    report.table("Time of a round (remove 20 %, add 20 %) and memory; faiss: bytes when saved",
                 ["index", "round s", "compact s", "MB before compact", "MB after", "fresh MB", "fresh MB, compact",
                  "after / fresh"], memories)
    report.finish()


if __name__ == "__main__":
    main()
