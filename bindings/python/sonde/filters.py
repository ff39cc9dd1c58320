"""Filters: which ids a search may return.

SPDX-License-Identifier: MIT
"""

import operator
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from ctypes import sizeof
from typing import Any, Union

import numpy as np
import numpy.typing as npt

from . import _arrays
from ._api import FilterKind, sonde_filter, sonde_filter_accept
from ._calls import guarded
from ._errors import InvalidArgument

Allowed = Union[None, "Filter", npt.NDArray[Any], Sequence[int], Sequence[bool], AbstractSet[int], range, slice,
                Callable[[int], object]]
Filters = Union[Allowed, Sequence[Allowed]]

_LAST_ID = 2**63 - 1


class Filter:
    """A filter in the form that C reads, made once and used in any number of searches.

    allowed: a boolean mask over the ids 0, 1, 2, ...; ids (array, list, set); a range or slice of ids; a function of an
    id (slow: the search becomes serial and calls it for each candidate). exclude: it names what is forbidden instead.
    """

    def __init__(self, allowed: Allowed, *, exclude: bool = False) -> None:
        self.exclude = exclude
        self._owner: Any = None
        self.struct = sonde_filter(size=sizeof(sonde_filter), exclude=exclude)
        self._fill(allowed)

    def _fill(self, allowed: Any) -> None:
        if isinstance(allowed, Filter):
            raise InvalidArgument("filter: it is a Filter already")
        if allowed is None:
            self.struct.exclude = not self.exclude
            self._ids(np.empty(0, np.int64))
        elif isinstance(allowed, slice):
            if allowed.step not in (None, 1):
                raise InvalidArgument(f"filter: a slice with step {allowed.step}, expected 1")
            self._range(allowed.start or 0, _LAST_ID if allowed.stop is None else allowed.stop)
        elif isinstance(allowed, range) and allowed.step == 1:
            self._range(allowed.start, allowed.stop)
        elif callable(allowed):
            self._function(allowed)
        else:
            array = np.asarray(list(allowed) if isinstance(allowed, (set, frozenset, range)) else allowed)
            self._mask(array) if array.dtype == np.bool_ else self._ids(_arrays.identifiers(array, "filter"))

    def _range(self, first: int, last: int) -> None:
        self.struct.kind = FilterKind.RANGE
        self.struct.first, self.struct.last = operator.index(first), operator.index(last)

    def _mask(self, mask: npt.NDArray[Any]) -> None:
        if mask.ndim != 1:
            raise InvalidArgument(f"filter: a mask of {mask.ndim} dimensions, expected one (or a list of masks)")
        self._owner = np.packbits(mask, bitorder="little")
        self.struct.kind, self.struct.bits, self.struct.count = FilterKind.BITMAP, self._owner.ctypes.data, mask.size

    def _ids(self, ids: _arrays.Ids) -> None:
        self._owner = ids if bool(np.all(ids[1:] > ids[:-1])) else np.unique(ids)
        self.struct.kind, self.struct.ids, self.struct.count = \
            FilterKind.IDS, self._owner.ctypes.data, self._owner.size

    def _function(self, accept: Callable[[int], object]) -> None:
        def answer(identifier: int) -> int:
            return 1 if accept(identifier) else 0
        self._owner = sonde_filter_accept(lambda identifier, user: guarded(answer, identifier, otherwise=-1))
        self.struct.kind, self.struct.accept = FilterKind.CALLBACK, self._owner


def exclude(forbidden: Allowed) -> Filter:
    """The filter that forbids what `forbidden` names."""
    return Filter(forbidden, exclude=True)


def _is_many(filters: Any) -> bool:
    """A list of filters, one for each query, as against a list of ids or booleans."""
    return isinstance(filters, (list, tuple)) and \
        any(part is None or callable(part) or isinstance(part, (Filter, np.ndarray, list, tuple, set, frozenset, range,
                                                                slice)) for part in filters)


def _one(allowed: Any) -> Filter:
    return allowed if isinstance(allowed, Filter) else Filter(allowed)


def prepare(filters: Any) -> tuple[Any, int, list[Filter]]:
    """The array of structs for C, its length, and what must live as long as the call."""
    many = [_one(part) for part in filters] if _is_many(filters) else [_one(filters)]
    return (sonde_filter * len(many))(*(part.struct for part in many)), len(many), many
