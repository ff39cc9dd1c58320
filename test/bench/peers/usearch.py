"""usearch: HNSW over rows kept in a smaller type.

SPDX-License-Identifier: MIT
"""
import os

import numpy as np

from peers.adapter import Adapter


class Peer(Adapter):
    package = module = "usearch"

    @staticmethod
    def settings(n, d, metric):
        """i8 is for rows of length 1 and their like, so for ip alone."""
        return [{"index": "HNSW", "dtype": dtype, "M": 16, "construction": 200}
                for dtype in (["bf16", "i8"] if metric == "ip" else ["bf16", "f32"])]

    def build(self, base, metric, setting, threads):
        from usearch.index import Index
        self.index = Index(ndim=base.shape[1], metric="l2sq" if metric == "l2" else "ip", dtype=setting["dtype"],
                           connectivity=setting["M"], expansion_add=setting["construction"])
        self.index.add(np.arange(len(base), dtype=np.uint64), base, threads=threads)

    def search(self, queries, k, effort, threads):
        self.index.expansion_search = max(k, effort)
        return self.index.search(queries, k, threads=threads).keys.reshape(len(queries), -1)

    def save(self, folder):
        self.index.save(os.path.join(folder, "index"))
