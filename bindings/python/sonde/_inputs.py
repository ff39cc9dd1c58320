"""Named inputs: the method's table says how each array goes to C.

A column (n x 1) may come as a vector. Where a table takes whole numbers, integers go as they are; everywhere else arrays
are what _arrays.matrix makes of them. Lists of ids, such as "positives", may come as a padded matrix, as a list of lists, or as
a sparse matrix of SciPy in CSR form; the latter two become the items in one column and their offsets.

SPDX-License-Identifier: MIT
"""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _arrays
from ._api import Dtype, InputInfo
from .catalogue import methods

_INTEGERS = {np.dtype(np.int64): Dtype.I64, np.dtype(np.int32): Dtype.I32, np.dtype(np.uint8): Dtype.U8,
             np.dtype(np.int8): Dtype.I8}


@functools.lru_cache
def _table(noun: str, method: str, verb: str) -> Mapping[str, InputInfo]:
    found = next((one for one in methods(noun) if one.name == method), None)
    return {one.name: one for one in found.inputs if one.verb == verb} if found else {}


def _offsets_name(name: str) -> str:
    """positives -> positive_offsets."""
    return f"{name.removesuffix('s')}_offsets"


def _as_lists(source: Any) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None:
    """All items and the offsets of each list, or None where the source is a matrix already."""
    if hasattr(source, "indptr") and hasattr(source, "indices"):
        return np.asarray(source.indices, np.int64), np.asarray(source.indptr, np.int64)
    if isinstance(source, (list, tuple)) and source and all(np.ndim(one) == 1 for one in source):
        lists = [np.asarray(one, np.int64) for one in source]
        return np.concatenate(lists), np.cumsum([0, *(one.size for one in lists)], dtype=np.int64)
    return None


def _whole_numbers(array: npt.NDArray[Any], column: bool) -> _arrays.View:
    """Integers as they are where C reads their type, else as int64."""
    kept = array if array.dtype in _INTEGERS else array.astype(np.int64, copy=False)
    kept = kept.reshape(-1, 1) if column and kept.ndim == 1 else kept
    return _arrays.target(np.ascontiguousarray(kept), _INTEGERS[kept.dtype])


def _view(source: Any, info: InputInfo | None, name: str, copy: bool | None) -> _arrays.View:
    column = info is not None and info.shape.endswith("x 1")
    kinds = set(info.dtypes.split()) if info is not None else set()
    if "f32" not in kinds:
        array = np.asarray(source)
        if array.dtype.kind in "iub":
            return _whole_numbers(array, column)
    if column and np.ndim(source) == 1 and not hasattr(source, "__dlpack__"):
        source = np.asarray(source)
    if column and isinstance(source, np.ndarray) and source.ndim == 1:
        source = source.reshape(-1, 1)
    return _arrays.matrix(source, name, copy)


def views(noun: str, spec: str, verb: str, given: Mapping[str, Any], copy: bool | None) -> dict[str, _arrays.View]:
    """What C is handed for one verb of a method; names that the table lacks go along, and C says which are right."""
    table = _table(noun, spec.partition("(")[0], verb)
    made: dict[str, _arrays.View] = {}
    for name, source in given.items():
        lists = _as_lists(source) if _offsets_name(name) in table else None
        if lists is None:
            made[name] = _view(source, table.get(name), name, copy)
            continue
        for part, array in zip((name, _offsets_name(name)), lists):
            made[part] = _whole_numbers(array, True)
    return made
