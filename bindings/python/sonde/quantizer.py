"""Quantizer: vectors to codes and back, and scores on codes.

SPDX-License-Identifier: MIT
"""

from collections.abc import Callable
from ctypes import byref
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from . import _arrays, _inputs
from ._api import Dtype, Metric, sonde_array
from ._arrays import Bytes, Floats
from ._calls import Progress, run
from ._errors import InvalidArgument
from ._library import lib
from ._noun import Noun, Verbs


class Bounds(NamedTuple):
    """scores, errors = quantizer.bounds(...): true scores lie within scores +- errors, as the method's page says."""

    scores: Floats
    errors: Floats


class Quantizer(Noun):
    """A learned or fixed map from vectors of `dim` columns to codes: Quantizer("pq(m=48)", dim=384).train(x).encode(x).

    encode, decode and scores may run in any number of threads; train, observe and cluster alone.
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

    # ---- Learning ------------------------------------------------------------------------------------------------

    def train(self, vectors: Any = None, *, progress: Progress = None, copy: bool | None = None, **inputs: Any) -> Self:
        """Learns from vectors (n x dim) and the method's other inputs, or from what observe() has kept.

        Replaces what was learned before.
        """
        self._learn(lib.sonde_quantizer_train, self._views(vectors, inputs, copy), progress)
        return self

    def observe(self, vectors: Any, *, progress: Progress = None, copy: bool | None = None) -> Self:
        """Rows to learn from that come piece by piece: keeps a uniform sample of all seen so far for train()."""
        self._learn(lib.sonde_quantizer_observe, self._views(vectors, {}, copy), progress)
        return self

    def cluster(self, vectors: Any, *, progress: Progress = None, copy: bool | None = None,
                **inputs: Any) -> npt.NDArray[np.int32]:
        """Trains, and gives the group of each row; limits on the sizes of groups hold for exactly these rows."""
        views = self._views(vectors, inputs, copy)
        labels = np.empty(views["vectors"].rows, np.int32)
        run(lib.sonde_quantizer_cluster, self._handle, _arrays.inputs(views), len(views), _arrays.address(labels),
            progress=progress)
        return labels

    def _views(self, vectors: Any, others: dict[str, Any], copy: bool | None) -> dict[str, _arrays.View]:
        named = others if vectors is None else {"vectors": vectors, **others}
        return _inputs.views(self.noun, self.spec, "train", named, copy)

    def output(self, name: str) -> npt.NDArray[Any]:
        """One of the named results of training, such as the centroids of kmeans; a copy."""
        column = sonde_array()
        run(lib.sonde_quantizer_output, self._handle, name.encode(), byref(column))
        return _arrays.column_of(column)

    # ---- Codes ---------------------------------------------------------------------------------------------------

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

    # ---- Scores --------------------------------------------------------------------------------------------------

    def distances(self, queries: Any, codes: Any, metric: str | Metric = Metric.L2, *, out: Floats | None = None,
                  copy: bool | None = None, progress: Progress = None) -> Floats:
        """Scores of queries with the reconstructions of codes, computed on the codes: float32, queries x codes."""
        return self._score(lib.sonde_quantizer_distances, _arrays.matrix(queries, "queries", copy),
                           _codes(codes, copy), metric, [out], progress)[0]

    def code_distances(self, codes: Any, others: Any, metric: str | Metric = Metric.L2, *, out: Floats | None = None,
                       copy: bool | None = None, progress: Progress = None) -> Floats:
        """Scores of the reconstructions of codes with those of others: float32, codes x others."""
        return self._score(lib.sonde_quantizer_code_distances, _codes(codes, copy), _codes(others, copy), metric,
                           [out], progress)[0]

    def bounds(self, queries: Any, codes: Any, metric: str | Metric = Metric.L2, *, copy: bool | None = None,
               progress: Progress = None) -> Bounds:
        """The scores of distances(), and how far they may be from those of the rows that the codes were made from."""
        return Bounds(*self._score(lib.sonde_quantizer_bounds, _arrays.matrix(queries, "queries", copy),
                                   _codes(codes, copy), metric, [None, None], progress))

    def _score(self, function: Callable[..., int], rows: _arrays.View, codes: _arrays.View, metric: str | Metric,
               outs: list[Floats | None], progress: Progress) -> list[Floats]:
        """Runs a function that fills matrices of rows x codes."""
        made = [_arrays.output(out, _shape(rows, codes.rows), np.float32) for out in outs]
        filled = [_arrays.target(out.reshape(rows.rows, codes.rows), Dtype.F32, max(codes.rows, 1)) for out in made]
        run(function, self._handle, metric_of(metric), byref(rows), byref(codes), *map(byref, filled),
            progress=progress)
        return made


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
