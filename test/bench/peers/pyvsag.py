"""pyvsag (VSAG): the graph HGraph. It takes one query a call, so a batch is a loop in Python on one thread.

SPDX-License-Identifier: MIT
"""
import json
import os

import numpy as np

from peers.adapter import Adapter


class Peer(Adapter):
    package = module = "pyvsag"

    @staticmethod
    def settings(n, d, metric):
        return [{"index": "HGraph", "code": code, "degree": 32, "construction": 300}
                for code in ("sq8_uniform", "fp32")]

    def build(self, base, metric, setting, threads):
        import pyvsag
        pyvsag.set_logger_off()
        how = {"base_quantization_type": setting["code"], "max_degree": setting["degree"],
               "ef_construction": setting["construction"], "build_thread_count": threads,
               "use_reorder": setting["code"] != "fp32", "precise_quantization_type": "fp32"}
        self.index = pyvsag.Index("hgraph", json.dumps({"dtype": "float32", "metric_type": metric,
                                                        "dim": base.shape[1], "index_param": how}))
        self.index.build(base.ravel(), np.arange(len(base), dtype=np.int64), len(base), base.shape[1])

    def search(self, queries, k, effort, threads):
        ids = np.full((len(queries), k), -1, np.int64)
        how = json.dumps({"hgraph": {"ef_search": max(k, effort)}})
        for row, query in zip(ids, queries):
            found = self.index.knn_search(query, k, how)[0]
            row[:len(found)] = found
        return ids

    def save(self, folder):
        self.index.save(os.path.join(folder, "index"))
