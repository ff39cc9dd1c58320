"""faiss: inverted files with fast-scan product quantization or plain rows, and HNSW.

An effort is written in faiss's own words, such as "nprobe=8,k_factor_rf=3".

SPDX-License-Identifier: MIT
"""
import os

from peers.adapter import BEAM, PROBES, Adapter, lists


def pq_parts(d, columns):
    """The largest number of parts with at least so many columns each that divides d."""
    return next(m for m in range(d // columns, 0, -1) if d % m == 0)


class Peer(Adapter):
    package, module = "faiss-cpu", "faiss"

    @staticmethod
    def settings(n, d, metric):
        columns, factors = (2, [3, 8]) if d >= 96 else (1, [3, 12])
        ivf = f"IVF{lists(n)}"
        return [{"index": "IVF-PQfs", "factory": f"{ivf},PQ{pq_parts(d, columns)}x4fs,RFlat", "factors": factors},
                {"index": "HNSW", "factory": "HNSW32,Flat", "construction": 200},
                {"index": "IVF-Flat", "factory": f"{ivf},Flat", "factors": []}]

    def build(self, base, metric, setting, threads):
        import faiss
        self.faiss, self.setting, self.effort = faiss, setting, None
        faiss.omp_set_num_threads(threads)
        self.index = faiss.index_factory(base.shape[1], setting["factory"],
                                         faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT)
        if "construction" in setting:
            self.index.hnsw.efConstruction = setting["construction"]
        self.index.train(base)
        self.index.add(base)

    def efforts(self):
        if self.setting["index"] == "HNSW":
            return [f"efSearch={beam}" for beam in BEAM]
        probes = [p for p in PROBES if p <= self.faiss.extract_index_ivf(self.index).nlist]
        few, many = self.setting["factors"] or (None, None)
        if many is None:
            return [f"nprobe={p}" for p in probes]
        return [f"nprobe={p},k_factor_rf={f}" for p in probes for f in (few, many) if f == many or p < 45]

    def search(self, queries, k, effort, threads):
        self.faiss.omp_set_num_threads(threads)
        if effort != self.effort:
            self.faiss.ParameterSpace().set_index_parameters(self.index, effort)
            self.effort = effort
        return self.index.search(queries, k)[1]

    def save(self, folder):
        self.faiss.write_index(self.index, os.path.join(folder, "index"))
