"""scalable-vs (SVS): the Vamana graph over float16 rows.

Its LVQ and LeanVec codes end the process on processors that it does not accept, so they are no settings here.

SPDX-License-Identifier: MIT
"""
import os

import numpy as np

from peers.adapter import Adapter


class Peer(Adapter):
    package, module = "scalable-vs", "svs"

    @staticmethod
    def settings(n, d, metric):
        return [{"index": "Vamana", "dtype": "f16", "degree": degree, "window": 200} for degree in (32, 64)]

    def build(self, base, metric, setting, threads):
        import svs
        how = svs.VamanaBuildParameters(alpha=1.2 if metric == "l2" else 0.95, graph_max_degree=setting["degree"],
                                        window_size=setting["window"])
        distance = svs.DistanceType.L2 if metric == "l2" else svs.DistanceType.MIP
        self.index = svs.Vamana.build(how, base.astype(np.float16), distance, num_threads=threads)

    def search(self, queries, k, effort, threads):
        if self.index.num_threads != threads:
            self.index.num_threads = threads
        self.index.search_window_size = max(k, effort)
        return self.index.search(queries, k)[0]

    def save(self, folder):
        self.index.save(*(os.path.join(folder, part) for part in ("config", "graph", "data")))
