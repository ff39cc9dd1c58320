"""rabitqlib: RaBitQ codes in a graph (SymphonyQG), in HNSW and in inverted files.

SPDX-License-Identifier: MIT
"""
import os

from peers.adapter import BEAM, PROBES, Adapter, at_least_64_columns, lists


def clusters(library, base, count, threads):
    means = library.RaBitQKMeans(base.shape[1], count, num_threads=threads,
                                 final_assignment=library.FinalAssignmentMode.Exact)
    means.train(base)
    return means.centroids, means.assignments


class Peer(Adapter):
    package = module = "rabitqlib"

    @staticmethod
    def settings(n, d, metric):
        return [{"index": "SymphonyQG", "degree": 32, "construction": 200},
                {"index": "SymphonyQG", "degree": 64, "construction": 400},
                {"index": "HNSW", "M": 16, "construction": 200, "bits": 7},
                {"index": "IVF", "nlist": lists(n), "bits": 7}]

    def build(self, base, metric, setting, threads):
        self.kind, base = setting["index"], at_least_64_columns(base)
        make = {"SymphonyQG": self.build_graph, "HNSW": self.build_hnsw, "IVF": self.build_ivf}[self.kind]
        make(base, metric, setting, threads)

    def build_graph(self, base, metric, setting, threads):
        import rabitqlib
        self.index = rabitqlib.SymqgIndex(base.shape[1], setting["degree"], metric, 0)
        self.index.build(base, setting["construction"], num_threads=threads)

    def build_hnsw(self, base, metric, setting, threads):
        import rabitqlib
        self.index = rabitqlib.HnswIndex(base.shape[1], len(base), M=setting["M"],
                                         ef_construction=setting["construction"], nbits=setting["bits"], metric=metric)
        self.index.build(base, *clusters(rabitqlib, base, 16, threads), num_threads=threads)

    def build_ivf(self, base, metric, setting, threads):
        import rabitqlib
        self.index = rabitqlib.IvfIndex(base.shape[1], len(base), setting["nlist"], setting["bits"], metric=metric)
        self.index.build(base, *clusters(rabitqlib, base, setting["nlist"], threads), num_threads=threads)

    def efforts(self):
        return PROBES if self.kind == "IVF" else BEAM

    def search(self, queries, k, effort, threads):
        queries = at_least_64_columns(queries)
        if self.kind == "IVF":
            return self.index.search(queries, k, effort, num_threads=threads)[0]
        search = self.index.search_batch if self.kind == "SymphonyQG" else self.index.search
        return search(queries, k, max(k, effort), num_threads=threads)[0]

    def save(self, folder):
        self.index.save(os.path.join(folder, "index"))
