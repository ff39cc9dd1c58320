"""prepared: Sonde through its Python package, and searches that are ready before the clock starts, so that a timed call
is one foreign call and nothing else. SONDE_LIBRARY in the environment names another library file.

SPDX-License-Identifier: MIT
"""

import os
import pathlib
import sys
from ctypes import byref, sizeof

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
os.environ.setdefault("SONDE_LIBRARY", str(ROOT / "lib/libsonde.so.1"))
sys.path.insert(0, str(ROOT / "bindings/python"))

import sonde  # noqa: E402  it is found by the two lines above
from sonde._api import sonde_filter, sonde_hits, sonde_search_options  # noqa: E402
from sonde._arrays import address, matrix  # noqa: E402
from sonde._errors import check  # noqa: E402
from sonde._library import lib  # noqa: E402


class Search:
    """run() hands over all queries in one call, each() one a call; ids, scores and count hold the hits."""

    def __init__(self, index, queries, k, threads, filter=None, **how):
        self.index, self.queries = index, queries
        self.ids = np.full((len(queries), k), -1, np.int64)
        self.count = np.zeros(len(queries), np.int32)
        self.scores = np.zeros((len(queries), k), np.float32)
        self.options = sonde_search_options(size=sizeof(sonde_search_options), k=k, threads=threads, **how)
        if filter is not None:
            self.filters = (sonde_filter * 1)(filter.struct)
            self.options.filter, self.options.filter_count = self.filters, 1

    def hits(self):
        return sonde_hits(size=sizeof(sonde_hits), ids=address(self.ids), scores=address(self.scores),
                          count=address(self.count))

    def run(self):
        check(lib.sonde_index_search(self.index._handle, byref(matrix(self.queries, "queries")), byref(self.options),
                                     byref(self.hits())))

    def each(self):
        one, hits, search = matrix(self.queries, "queries"), self.hits(), lib.sonde_index_search
        one.rows = 1
        handle, rows, options, out = self.index._handle, byref(one), byref(self.options), byref(hits)
        query, ids, scores, count = one.data, hits.ids, hits.scores, hits.count
        row, k = self.queries.strides[0], self.options.k
        for i in range(len(self.queries)):
            one.data, hits.ids = query + i * row, ids + i * k * 8
            hits.scores, hits.count = scores + i * k * 4, count + i * 4
            if status := search(handle, rows, options, out):
                check(status)
