"""hnswlib: HNSW over float32 rows.

SPDX-License-Identifier: MIT
"""
import os

from peers.adapter import Adapter


class Peer(Adapter):
    package = module = "hnswlib"

    @staticmethod
    def settings(n, d, metric):
        return [{"index": "HNSW", "M": m, "construction": c} for m, c in ((16, 200), (24, 500))]

    def build(self, base, metric, setting, threads):
        import hnswlib
        self.index = hnswlib.Index(space=metric, dim=base.shape[1])
        self.index.init_index(len(base), M=setting["M"], ef_construction=setting["construction"], random_seed=1)
        self.index.add_items(base, num_threads=threads)

    def search(self, queries, k, effort, threads):
        self.index.set_ef(max(k, effort))
        return self.index.knn_query(queries, k=k, num_threads=threads)[0]

    def save(self, folder):
        self.index.save_index(os.path.join(folder, "index"))
