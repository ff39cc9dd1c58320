"""scann: a tree of partitions, anisotropic product quantization, reordering. An effort: (partitions, candidates).

SPDX-License-Identifier: MIT
"""
import math

from peers.adapter import Adapter

SHARES = (.0025, .005, .01, .015, .025, .04, .06, .1, .16, .25, .4, .65, 1)  # of the partitions that are searched


class Peer(Adapter):
    package = module = "scann"

    @staticmethod
    def settings(n, d, metric):
        leaves = min(2000, int(2 * math.sqrt(n)))
        return [{"index": "tree-AH", "leaves": leaves, "block": block} for block in (2, 4)]

    def build(self, base, metric, setting, threads):
        import scann
        self.setting, self.threads = setting, None
        builder = scann.scann_ops_pybind.builder(base, 10, "squared_l2" if metric == "l2" else "dot_product")
        builder.set_n_training_threads(threads)
        builder.tree(num_leaves=setting["leaves"], num_leaves_to_search=20,
                     training_sample_size=min(len(base), 250_000))
        builder.score_ah(setting["block"], anisotropic_quantization_threshold=0.2 if metric == "ip" else math.nan)
        self.index = builder.reorder(100).build()

    def efforts(self):
        """Few candidates serve where few partitions are searched, many where many are."""
        leaves, few = self.setting["leaves"], 30 if self.setting["block"] == 2 else 80
        partitions = sorted({max(1, round(leaves * share)) for share in SHARES})
        least, most = leaves * .1, leaves * .05
        return [[p, c] for p in partitions for c in (few, 3 * few, 9 * few)
                if (c > few or p < least) and (c < 9 * few or p > most)]

    def search(self, queries, k, effort, threads):
        if threads != self.threads:
            self.index.set_num_threads(threads)
            self.threads = threads
        search = self.index.search_batched if threads == 1 else self.index.search_batched_parallel
        return search(queries, final_num_neighbors=k, leaves_to_search=effort[0],
                      pre_reorder_num_neighbors=effort[1])[0]

    def save(self, folder):
        self.index.serialize(folder)
