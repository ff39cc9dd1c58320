"""LoRANN: clusters, each with a low-rank approximation of its scores, and exact scores of the best candidates.

An effort: (clusters, candidates). The library takes no fewer than 64 columns.

SPDX-License-Identifier: MIT
"""
import math
import os

from peers.adapter import Adapter, at_least_64_columns

SHARES = (.005, .01, .02, .03, .05, .08, .12, .18, .25, .35, .5)  # of the clusters that are searched
CANDIDATES = (100, 400, 1200)


class Peer(Adapter):
    package = module = "lorann"

    @staticmethod
    def settings(n, d, metric):
        """As its documentation advises: the reduced dimension by the number of columns. Rank 32 is its default."""
        clusters = min(1 << round(math.log2(2 * math.sqrt(n))), max(1, n // 39))
        reduced = None if d < 200 else 128 if d <= 1000 else 256
        return [{"index": "LoRANN", "clusters": clusters, "reduced": reduced, "bits": bits, "rank": 32}
                for bits in (8, 4)]

    def build(self, base, metric, setting, threads):
        import lorann
        self.setting = setting
        self.index = lorann.LorannIndex(at_least_64_columns(base), setting["clusters"], setting["reduced"],
                                        quantization_bits=setting["bits"], rank=setting["rank"],
                                        distance=lorann.IP if metric == "ip" else lorann.L2, copy=True)
        self.index.build(n_threads=threads)

    def efforts(self):
        """Few candidates serve where few clusters are searched, many where many are."""
        counts = {share: max(1, round(self.setting["clusters"] * share)) for share in SHARES}
        return [[counts[share], some] for share in SHARES for some in CANDIDATES
                if (some > 100 or share < .1) and (some < 1200 or share > .02)]

    def search(self, queries, k, effort, threads):
        return self.index.search(at_least_64_columns(queries), k, effort[0], effort[1], n_threads=threads)

    def save(self, folder):
        self.index.save(os.path.join(folder, "index"))
