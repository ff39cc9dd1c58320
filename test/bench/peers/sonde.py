"""Sonde, through its Python package: that of this source tree, on the library that `make shared` builds.

A setting is a spec. SONDE_LIBRARY in the environment names another library file.

SPDX-License-Identifier: MIT
"""
import hashlib
import os
import sys

from peers.adapter import BEAM, Adapter, lists
from peers.faiss_cpu import pq_parts

TREE = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
PACKAGE = os.path.join(TREE, "bindings", "python")
LIBRARY = os.environ.setdefault("SONDE_LIBRARY", os.path.join(TREE, "lib", "libsonde.so.1"))


def package():
    if PACKAGE not in sys.path:
        sys.path.insert(0, PACKAGE)
    import sonde
    return sonde


# What ivf is asked for; what it reaches is measured as for every other library.
RECALLS = (0.3, 0.5, 0.6, 0.7, 0.75, 0.8, 0.83, 0.86, 0.88, 0.9, 0.915, 0.93, 0.94, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995,
           0.998)


def with_metric(spec, metric):
    if "metric=" in spec:
        return spec
    return f"{spec[:-1]}, metric={metric})" if spec.endswith(")") else f"{spec}(metric={metric})"


class Peer(Adapter):
    @classmethod
    def missing(cls):
        return "" if os.path.exists(LIBRARY) else f"{os.path.basename(LIBRARY)} is not built: make shared"

    @classmethod
    def version(cls):
        """Names the very file too, so that a library built anew is measured anew."""
        with open(LIBRARY, "rb") as file:
            return f"{package().version()} {hashlib.blake2b(file.read()).hexdigest()[:6]}"

    @staticmethod
    def setting(spec):
        return {"index": spec.partition("(")[0].strip(), "spec": spec}

    @staticmethod
    def settings(n, d, metric):
        nlist, m = f"nlist={lists(n)}", pq_parts(d, 2 if d >= 96 else 1)
        return [Peer.setting(spec) for spec in (
            f"ivf({nlist}, code=pq(m={m}, bits=4), refine=f16)",
            f"ivf({nlist}, code=rabitq(bits=1), refine=sq(bits=8))",
            f"ivf({nlist}, code=sq(bits=8), refine=f16)", f"ivf({nlist})", "flat")]

    def build(self, base, metric, setting, threads):
        sonde = package()
        self.setting = setting
        self.index = sonde.Index(with_metric(setting["spec"], metric), dim=base.shape[1],
                                 runtime=sonde.Runtime(threads=threads)).add(base)

    def efforts(self):
        """Efforts; of ivf the recalls that its own calibration is asked for, as its users ask."""
        kind = self.setting["index"]
        return list(RECALLS) if kind == "ivf" else [1] if kind == "flat" else BEAM

    def search(self, queries, k, effort, threads):
        how = {"recall": effort} if self.setting["index"] == "ivf" else {"effort": effort}
        return self.index.search(queries, k, threads=threads, **how).ids

    def save(self, folder):
        self.index.save(os.path.join(folder, "index.sonde"))
