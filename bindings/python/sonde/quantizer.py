"""Quantizer: vectors to codes and back, and scores on codes.

SPDX-License-Identifier: MIT
"""

from ctypes import byref
from typing import Any, Self

import numpy as np

from . import _arrays
from ._api import Dtype, Metric
from ._arrays import Bytes, Floats
from ._calls import Progress, run
from ._errors import InvalidArgument
from ._library import lib
from ._noun import Noun, Verbs


class Quantizer(Noun):
    """A learned or fixed map from vectors of `dim` columns to codes: Quantizer("pq(m=48)", dim=384).train(x).encode(x).

    encode, decode and distances may run in any number of threads; train alone.
    """

    noun = "quantizer"
    _verbs = Verbs(lib.sonde_quantizer_create, lib.sonde_quantizer_save, lib.sonde_quantizer_open,
                   lib.sonde_quantizer_save_buffer, lib.sonde_quantizer_open_buffer, lib.sonde_quantizer_spec,
                   lib.sonde_quantizer_dim, lib.sonde_quantizer_free)

    @property
    def trained(self) -> bool:
        """True once it can encode."""
        return bool(lib.sonde_quantizer_trained(self._live()))

    @property
    def code_bytes(self) -> int:
        """Bytes of a code."""
        return int(lib.sonde_quantizer_code_bytes(self._live()))

    def train(self, vectors: Any, *, progress: Progress = None, copy: bool | None = None, **inputs: Any) -> Self:
        """Learns from vectors (n x dim) and the method's other inputs; replaces what was learned before."""
        named = {"vectors": vectors, **inputs}
        views = {name: _arrays.matrix(given, name, copy) for name, given in named.items()}
        self._learn(lib.sonde_quantizer_train, views, progress)
        return self

    def encode(self, vectors: Any, *, out: Bytes | None = None, copy: bool | None = None,
               progress: Progress = None) -> Bytes:
        """The codes of vectors: uint8, n x code_bytes; one vector gives one code."""
        view = _arrays.matrix(vectors, "vectors", copy)
        codes = _arrays.output(out, _shape(view, self.code_bytes), np.uint8)
        run(lib.sonde_quantizer_encode, self._handle, byref(view), byref(_arrays.target(codes, Dtype.U8)),
            progress=progress)
        return codes

    def decode(self, codes: Any, *, out: Floats | None = None, copy: bool | None = None,
               progress: Progress = None) -> Floats:
        """The reconstructions of codes: float32, n x dim."""
        view = _codes(codes, copy)
        vectors = _arrays.output(out, _shape(view, self.dim), np.float32)
        run(lib.sonde_quantizer_decode, self._handle, byref(view), byref(_arrays.target(vectors, Dtype.F32)),
            progress=progress)
        return vectors

    def distances(self, queries: Any, codes: Any, metric: str | Metric = Metric.L2, *, out: Floats | None = None,
                  copy: bool | None = None, progress: Progress = None) -> Floats:
        """Scores of queries with the reconstructions of codes, computed on the codes: float32, queries x codes."""
        view, coded = _arrays.matrix(queries, "queries", copy), _codes(codes, copy)
        scores = _arrays.output(out, _shape(view, coded.rows), np.float32)
        filled = _arrays.target(scores.reshape(view.rows, coded.rows), Dtype.F32, max(coded.rows, 1))
        run(lib.sonde_quantizer_distances, self._handle, metric_of(metric), byref(view), byref(coded), byref(filled),
            progress=progress)
        return scores


def _shape(view: _arrays.View, columns: int) -> tuple[int, ...]:
    return (columns,) if view.single else (view.rows, columns)


def _codes(codes: Any, copy: bool | None) -> _arrays.View:
    array = np.asarray(codes)
    if array.dtype != np.uint8:
        raise InvalidArgument(f"codes: {array.dtype}, expected uint8 as encode gives them")
    return _arrays.matrix(array, "codes", copy)


def metric_of(metric: str | Metric) -> Metric:
    """A metric by its name in specs, or as the enum."""
    if isinstance(metric, Metric):
        return metric
    names = [one.name.lower() for one in Metric]
    if metric not in names:
        raise InvalidArgument(f"metric: '{metric}', expected {', '.join(names)}")
    return Metric[metric.upper()]
