"""Sonde: a setting is a spec.

SPDX-License-Identifier: MIT
"""
import hashlib
import os

from peers.adapter import BEAM, PROBES, Adapter, lists


def with_metric(spec, metric):
    if "metric=" in spec:
        return spec
    return f"{spec[:-1]}, metric={metric})" if spec.endswith(")") else f"{spec}(metric={metric})"


class Peer(Adapter):
    package = module = "sonde_ctypes"

    @classmethod
    def version(cls):
        """Names the very file, so that a library built anew is measured anew."""
        import sonde_ctypes
        with open(sonde_ctypes.lib._name, "rb") as file:
            return hashlib.blake2b(file.read()).hexdigest()[:8]

    @staticmethod
    def setting(spec):
        return {"index": spec.partition("(")[0].strip(), "spec": spec}

    @staticmethod
    def settings(n, d, metric):
        nlist = f"nlist={lists(n)}"
        return [Peer.setting(spec) for spec in (f"ivf({nlist}, code=sq(bits=8), refine=f16)", f"ivf({nlist})", "flat")]

    def build(self, base, metric, setting, threads):
        import sonde_ctypes
        self.ctypes, self.kind = sonde_ctypes, setting["index"]
        self.index = sonde_ctypes.Index(with_metric(setting["spec"], metric), base.shape[1],
                                        sonde_ctypes.Runtime(threads))
        self.index.add(base)

    def efforts(self):
        if self.kind == "flat":
            return [0]
        return [p for p in PROBES if p <= self.index.stats().lists] if self.kind == "ivf" else BEAM

    def search(self, queries, k, effort, threads):
        search = self.ctypes.Search(self.index, queries, k, threads, effort=effort)
        search.run()
        return search.ids

    def bytes(self):
        return self.index.file_bytes()
