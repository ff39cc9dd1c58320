"""Index: finds the nearest stored vectors.

SPDX-License-Identifier: MIT
"""

import functools
import operator
from collections.abc import Iterator, Sequence
from ctypes import byref, c_float, c_int64, c_uint32, c_uint64, c_void_p, sizeof
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from . import _arrays
from ._api import (Dtype, IndexStats, Metric, OperatingPoint, sonde_hits, sonde_index_stats,
                   sonde_operating_point, sonde_search_options, sonde_tune_options)
from ._arrays import Ids, Scores, address
from ._calls import Progress, run
from ._errors import InvalidArgument, NotFound, check
from ._handle import Handle
from ._library import lib
from ._noun import Noun, Verbs
from .catalogue import each, report
from .filters import Filters, prepare
from .quantizer import metric_of
from .runtime import Runtime, create

_OPTIONS_BYTES = sizeof(sonde_search_options)
_HITS_BYTES = sizeof(sonde_hits)
_MOST_HITS = 65536
# So few queries tell no progress over so few numbers. C allows four times as many, but counts copies and removed rows too.
_FEW_QUERIES, _FEW_NUMBERS = 4, 2.5e8


class _Pair(NamedTuple):
    ids: Ids
    scores: Scores


class Hits(_Pair):
    """ids, scores = index.search(...): int64 and float32, best first, -1 where there are fewer than k.

    Two more arrays are attributes: count (hits of each query) and reason (why its list ended, a Stop).
    """

    ends: _arrays.Bytes  # count, then reason, as C wrote them

    @property
    def count(self) -> npt.NDArray[np.int32]:  # type: ignore[override]  # tuple.count gives way
        """Hits of each query."""
        return self.ends[:self.ends.size // 5 * 4].view(np.int32)

    @property
    def reason(self) -> npt.NDArray[np.uint8]:
        """Why each query's list of hits ended: a Stop; 0 where that is not known."""
        return self.ends[self.ends.size // 5 * 4:]


def _hits(ids: Ids, scores: Scores, rows: int) -> tuple[Hits, sonde_hits]:
    """The hits, and the struct by which C fills them."""
    hits = Hits(ids, scores)
    hits.ends = np.empty(5 * rows, np.uint8)
    ends = address(hits.ends)
    return hits, sonde_hits(_HITS_BYTES, 0, address(ids), address(scores), ends, ends + 4 * rows)


class RangeHits(NamedTuple):
    """Hits of query i are offsets[i] to offsets[i + 1] of ids and scores, best first."""

    offsets: Ids
    ids: Ids
    scores: Scores

    def of(self, query: int) -> tuple[Ids, Scores]:
        """The ids and scores of one query."""
        part = slice(self.offsets[query], self.offsets[query + 1])
        return self.ids[part], self.scores[part]


class Estimate(NamedTuple):
    """Bytes an index would hold, and the most it needs while it is built."""

    memory_bytes: int
    build_bytes: int


class Index(Noun):
    """Rows of `dim` columns under 64-bit ids: Index("ivf(metric=cosine)", dim=384).add(x).search(q, k=10).

    Any number of threads may search while one adds or removes; train and tune run alone. One vector instead of a matrix
    is welcome everywhere and gives results without the first axis. With dtype=bits, vectors are booleans (n x dim) or
    uint8 packed with column 0 in the lowest bit.
    """

    noun = "index"
    _verbs = Verbs(lib.sonde_index_create, lib.sonde_index_save, lib.sonde_index_open, lib.sonde_index_save_buffer,
                   lib.sonde_index_open_buffer, lib.sonde_index_spec, lib.sonde_index_dim, lib.sonde_index_free)

    def _made(self) -> None:
        of_bits = lib.sonde_index_metric(self._handle) == Metric.HAMMING
        self._columns: int = lib.sonde_index_dim(self._handle)
        self._bits: int = self._columns if of_bits else 0

    def _vectors(self, vectors: Any, name: str, copy: bool | None) -> _arrays.View:
        if self._bits:
            return _arrays.bit_matrix(vectors, name, self._bits, copy)
        return _arrays.matrix(vectors, name, copy)

    # ---- Filling -------------------------------------------------------------------------------------------------

    def train(self, vectors: Any, *, progress: Progress = None, copy: bool | None = None, **inputs: Any) -> Self:
        """Learns what the method must learn from a sample; without it the first add trains on what it is given."""
        named = {"vectors": vectors, **inputs}
        views = {name: self._vectors(given, name, copy) for name, given in named.items()}
        self._learn(lib.sonde_index_train, views, progress)
        return self

    def add(self, vectors: Any, ids: Any = None, *, progress: Progress = None, copy: bool | None = None) -> Self:
        """Adds rows under `ids` (None: the numbers that follow the largest so far); stored ids are replaced."""
        view = self._vectors(vectors, "vectors", copy)
        names = None if ids is None else _arrays.identifiers(ids)
        if names is not None and names.size != view.rows:
            raise InvalidArgument(f"add: {names.size} ids for {view.rows} vectors")
        run(lib.sonde_index_add, self._handle, byref(view), None if names is None else address(names),
            progress=progress)
        return self

    def remove(self, ids: Any, *, progress: Progress = None) -> int:
        """Removes rows; ids that are not stored are passed over. Gives how many were."""
        names, removed = _arrays.identifiers(ids), c_int64()
        run(lib.sonde_index_remove, self._handle, address(names), names.size, byref(removed), progress=progress)
        return removed.value

    def compact(self, *, progress: Progress = None) -> Self:
        """Rewrites what holds removed rows and gives spare memory back."""
        run(lib.sonde_index_compact, self._handle, progress=progress)
        return self

    def merge(self, other: "Index", *, progress: Progress = None) -> Self:
        """Adds every row of an index with the same spec and the same trained parts."""
        run(lib.sonde_index_merge, self._handle, other._handle, progress=progress)
        return self

    # ---- Searching -----------------------------------------------------------------------------------------------

    def search(self, queries: Any, k: int = 10, *, recall: float | None = None, effort: int | None = None,
               refine: int | None = None, threads: int | None = None, filter: Filters = None,
               out: tuple[Ids, Scores] | None = None, copy: bool | None = None, progress: Progress = None) -> Hits:
        """The k nearest rows of each query.

        recall: the share of the true k nearest that is wanted (default 0.95; 1 is exact), or effort: a fixed effort,
        and with it refine: candidates a hit that are scored again. filter: which ids may come back (sonde.Filter says
        what it can be), or a list with one for each query. out: (ids, scores) to fill. threads: most for this call.
        """
        view = self._vectors(queries, "queries", copy)
        if filter is None:
            options = _same_options(k, recall, effort, refine, threads)
        else:
            options = _options(k, recall, effort, refine, threads)
            options.filter, options.filter_count, _alive = prepare(filter)
        rows = view.rows
        shape = (k,) if view.single else (rows, k)
        ids, scores = (np.empty(shape, np.int64), np.empty(shape, np.float32)) if out is None else _given(out, shape)
        hits, place = _hits(ids, scores, rows)
        brief = progress is None and filter is None and rows <= _FEW_QUERIES and self._numbers() * rows < _FEW_NUMBERS
        if brief:  # calls nobody back, so nothing needs guarding
            check(lib.sonde_index_search(self._handle, byref(view), byref(options), byref(place)))
        else:
            run(lib.sonde_index_search, self._handle, byref(view), byref(options), byref(place), progress=progress)
        return hits

    def _numbers(self) -> int:
        count: int = lib.sonde_index_count(self._handle)
        return count * self._columns

    def range_search(self, queries: Any, radius: float, *, recall: float | None = None, effort: int | None = None,
                     refine: int | None = None, threads: int | None = None, filter: Filters = None,
                     copy: bool | None = None, progress: Progress = None) -> RangeHits:
        """All rows within `radius`: l2 and hamming scores up to it, ip and cosine from it on. Exact by default."""
        view = self._vectors(queries, "queries", copy)
        options = _options(1, recall, effort, refine, threads)
        if filter is not None:
            options.filter, options.filter_count, _alive = prepare(filter)
        pointer = c_void_p()
        try:
            run(lib.sonde_index_range_search, self._handle, byref(view), c_float(radius), byref(options),
                byref(pointer), progress=progress)
        finally:
            found = Handle(pointer.value, lib.sonde_range_hits_free)
        return _range_hits(found, view.rows)

    # ---- Recall instead of knobs ---------------------------------------------------------------------------------

    def tune(self, queries: Any = None, *, seconds: float = 0, threads: int = 0, seed: int = 0,
             progress: Progress = None, copy: bool | None = None) -> Self:
        """Measures which effort reaches which recall on sample queries (None: on disturbed stored rows)."""
        view = None if queries is None else self._vectors(queries, "queries", copy)
        if threads < 0 or seed < 0:  # ctypes would wrap them
            raise InvalidArgument(f"tune: threads={threads} and seed={seed}, expected 0 or more")
        options = sonde_tune_options(size=sizeof(sonde_tune_options), threads=operator.index(threads), seconds=seconds,
                                     seed=operator.index(seed))
        run(lib.sonde_index_tune, self._handle, None if view is None else byref(view), byref(options),
            progress=progress)
        return self

    def operating_points(self) -> list[OperatingPoint]:
        """The calibrated curve, ordered by k, then effort; empty before calibration and where nothing is to choose."""
        try:
            return list(each(OperatingPoint, sonde_operating_point, lib.sonde_index_operating_point, self._live()))
        except NotFound:
            return []

    # ---- Looking inside ------------------------------------------------------------------------------------------

    @property
    def metric(self) -> str:
        """l2, ip, cosine or hamming."""
        return Metric(lib.sonde_index_metric(self._live())).name.lower()

    def __len__(self) -> int:
        return int(lib.sonde_index_count(self._live()))

    def __contains__(self, identifier: object) -> bool:
        if not isinstance(identifier, (int, np.integer)) or not 0 <= identifier < 2**63:
            return False
        return bool(lib.sonde_index_contains(self._live(), int(identifier)))

    def __getitem__(self, identifier: int) -> npt.NDArray[Any]:
        return self.get(identifier)

    def __delitem__(self, identifier: int) -> None:
        if not self.remove([identifier]):
            raise NotFound(f"remove: id {identifier} is not stored")

    def __iter__(self) -> Iterator[int]:
        return iter(self.ids().tolist())

    def __repr__(self) -> str:
        name = f"sonde.{type(self).__name__}"
        return f'<{name}("{self.spec}", dim={self.dim}): {len(self)} rows>' if self._handle else f"<closed {name}>"

    def ids(self) -> Ids:
        """The ids stored, in no particular order."""
        count = c_int64(len(self))
        while True:  # another thread may add meanwhile
            ids = np.empty(count.value, np.int64)
            check(lib.sonde_index_ids(self._handle, address(ids), ids.size, byref(count)))
            if count.value <= ids.size:
                return ids[:count.value]

    def get(self, ids: Any, *, out: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
        """Reconstructs stored rows: float32 (dtype=bits: packed uint8), one row for one id."""
        names = _arrays.identifiers(ids)
        columns, dtype = ((self._bits + 7) // 8, np.uint8) if self._bits else (self.dim, np.float32)
        shape = (columns,) if np.ndim(ids) == 0 else (names.size, columns)
        rows = _arrays.output(out, shape, dtype)
        place = _arrays.target(rows, Dtype.BITS if self._bits else Dtype.F32, self._bits or columns)
        run(lib.sonde_index_get, self._handle, address(names), names.size, byref(place))
        return rows

    def stats(self) -> IndexStats:
        """What the index holds now."""
        found = sonde_index_stats(size=sizeof(sonde_index_stats))
        check(lib.sonde_index_stats_get(self._handle, byref(found)))
        return report(IndexStats, found)

    def check(self) -> Self:
        """Proves the structure; raises Corrupt with the first thing that is wrong."""
        run(lib.sonde_index_check, self._handle)
        return self


def _positive(value: int, name: str) -> int:
    """C takes 0 for "not given", and ctypes would wrap what is outside and refuse NumPy's integers."""
    value = operator.index(value)
    if not 1 <= value < 2**32:
        raise InvalidArgument(f"search: {name} is {value}, expected 1 or more")
    return value


def _options(k: int, recall: float | None, effort: int | None, refine: int | None,
             threads: int | None) -> sonde_search_options:
    if recall == 0:
        raise InvalidArgument("search: recall is 0, expected above 0 and at most 1")
    return sonde_search_options(
        _OPTIONS_BYTES, _positive(k, "k"), recall or 0, _positive(effort, "effort") if effort is not None else 0,
        _positive(refine, "refine") if refine is not None else 0,
        _positive(threads, "threads") if threads is not None else 0)


_same_options = functools.lru_cache(256, typed=True)(_options)  # C only reads them, and calls repeat


def _given(out: tuple[Ids, Scores], shape: tuple[int, ...]) -> tuple[Ids, Scores]:
    ids, scores = out
    return _arrays.output(ids, shape, np.int64, "out[0]"), _arrays.output(scores, shape, np.float32, "out[1]")


def _range_hits(found: Handle, queries: int) -> RangeHits:
    """The arrays inside C's result, which they keep alive."""
    offsets, ids, scores = c_void_p(), c_void_p(), c_void_p()
    lib.sonde_range_hits_view(found, byref(offsets), byref(ids), byref(scores))
    starts = _arrays.foreign(found, offsets.value, queries + 1, np.int64)
    total = int(starts[-1])
    return RangeHits(starts, _arrays.foreign(found, ids.value, total, np.int64),
                     _arrays.foreign(found, scores.value, total, np.float32))


def estimate(spec: str, dim: int, rows: int) -> Estimate:
    """Bytes of memory that an index of this spec would hold with `rows` rows, and the most while it is built."""
    memory, build = c_uint64(), c_uint64()
    check(lib.sonde_index_estimate(spec.encode(), operator.index(dim), operator.index(rows), byref(memory), byref(build)))
    return Estimate(memory.value, build.value)


def _part(part: Any) -> tuple[sonde_hits, int, int, list[npt.NDArray[Any]]]:
    """One search's hits as C reads them, its queries and width, and what must stay alive."""
    ids, scores = (np.ascontiguousarray(array, dtype) for array, dtype in zip(part, (np.int64, np.float32)))
    if ids.ndim != 2 or ids.shape != scores.shape:
        raise InvalidArgument(f"topk_merge: ids {ids.shape} and scores {scores.shape}, expected matrices of one shape")
    reason = getattr(part, "reason", None)
    reasons = [] if reason is None else [np.ascontiguousarray(reason, np.uint8)]
    struct = sonde_hits(_HITS_BYTES, 0, address(ids), address(scores), None, address(reasons[0]) if reasons else None)
    return struct, ids.shape[0], ids.shape[1], [ids, scores, *reasons]


def topk_merge(parts: Sequence[Any], k: int, metric: str | Metric, *, runtime: Runtime | None = None) -> Hits:
    """Joins what several searches found for the same queries: the k best of all, each id once.

    parts: Hits or (ids, scores) pairs of matrices, best first. The reasons are told where every part has its own.
    """
    read = [_part(part) for part in parts]
    queries = {rows for _, rows, _, _ in read}
    if len(queries) > 1:
        raise InvalidArgument(f"topk_merge: the parts have {sorted(queries)} queries, expected one number")
    rows = queries.pop() if queries else 0
    k = _positive(k, "k")
    shape = (rows, k)
    hits, place = _hits(np.empty(shape, np.int64), np.empty(shape, np.float32), rows)
    if not all(struct.reason for struct, *_ in read):
        hits.reason.fill(0)
        place.reason = None
    structs = (sonde_hits * len(read))(*(struct for struct, *_ in read))
    widths = (c_uint32 * len(read))(*(width for _, _, width, _ in read))
    held = create() if runtime is None else runtime._handle
    run(lib.sonde_topk_merge, metric_of(metric), structs, widths, len(read), rows, k, held, byref(place))
    return hits
