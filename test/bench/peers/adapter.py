"""What every peer offers to compare.py, and what several of them share.

A peer imports its library inside build(), so that the others do not need it, and their threads do not meet.

SPDX-License-Identifier: MIT
"""
import importlib.metadata
import importlib.util
import math
import os
import tempfile

import numpy as np

BEAM = [10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 448, 640, 900]  # efforts of graphs: candidates kept
PROBES = [1, 2, 4, 6, 9, 13, 20, 30, 45, 70, 110, 170, 256]             # efforts of inverted files: lists visited


class Adapter:
    package = ""  # the name that pip knows
    module = ""   # the name that is imported

    @classmethod
    def missing(cls):
        """Why the library cannot be measured here; "" if it can."""
        return "" if importlib.util.find_spec(cls.module) else f"not installed: pip install {cls.package}"

    @classmethod
    def version(cls):
        return importlib.metadata.version(cls.package)

    @staticmethod
    def settings(n, d, metric):
        """Build settings, the most useful first. "index" names the kind of index; those of one kind share a curve."""
        raise NotImplementedError

    def build(self, base, metric, setting, threads):
        """Builds the index over float32 rows; metric: l2 or ip."""
        raise NotImplementedError

    def efforts(self):
        """What search() takes as effort, for the index that was built; from cheap to dear."""
        return BEAM

    def search(self, queries, k, effort, threads):
        """Ids, one row a query; -1 or a number that is no id where fewer than k were found."""
        raise NotImplementedError

    def save(self, folder):
        raise NotImplementedError

    def bytes(self):
        """The size of the saved index."""
        with tempfile.TemporaryDirectory() as folder:
            self.save(folder)
            return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(folder) for name in names)


def lists(n):
    """Lists of an inverted file: the power of two near 4 sqrt(n), with 39 rows or more in each to learn from."""
    return max(1, min(1 << round(math.log2(4 * math.sqrt(n)) - 0.2), n // 39))


def at_least_64_columns(rows):
    """Zero columns where a library takes no fewer than 64; they change no distance."""
    return rows if rows.shape[1] >= 64 else np.pad(rows, ((0, 0), (0, 64 - rows.shape[1])))
