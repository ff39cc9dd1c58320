"""RowSampler: which rows of a data set to use next.

SPDX-License-Identifier: MIT
"""

import operator
from collections.abc import Iterable, Iterator
from ctypes import byref, c_double, sizeof
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from . import _arrays, _inputs
from ._api import Dtype, sonde_array, sonde_rows
from ._arrays import Floats, Ids
from ._calls import Progress, run
from ._library import lib
from ._noun import Noun, Verbs
from .index import Index
from .runtime import Runtime


class _Pair(NamedTuple):
    ids: Ids
    weights: Floats


class Rows(_Pair):
    """ids, weights = sampler.draw(...): what one draw gave.

    Attributes beside them: groups (the stratum, cluster, bucket or query of each row, or None), number (of the pass they
    belong to, from 0) and last (whether that pass ends with them).
    """

    groups: Ids | None
    number: int
    last: bool


class RowSampler(Noun):
    """A source of row ids with weights: RowSampler("weighted(replace=no)", weights=w).draw(1000).

    Named inputs given here are those of fit. dim may be left out: it is taken from what is fitted. One thread at a time
    draws from one sampler.
    """

    noun = "row_sampler"
    _verbs = Verbs(lib.sonde_row_sampler_create, lib.sonde_row_sampler_save, lib.sonde_row_sampler_open,
                   lib.sonde_row_sampler_save_buffer, lib.sonde_row_sampler_open_buffer, lib.sonde_row_sampler_spec,
                   lib.sonde_row_sampler_dim, lib.sonde_row_sampler_free)

    def __init__(self, spec: str, dim: int = 0, *, runtime: Runtime | None = None, progress: Progress = None,
                 copy: bool | None = None, **inputs: Any) -> None:
        super().__init__(spec, dim, runtime=runtime)
        if inputs:
            self.fit(progress=progress, copy=copy, **inputs)

    def _made(self) -> None:
        self._index: Index | None = None

    @property
    def fitted(self) -> bool:
        """True once it can be drawn from."""
        return bool(lib.sonde_row_sampler_fitted(self._live()))

    def _views(self, verb: str, given: dict[str, Any], copy: bool | None) -> dict[str, _arrays.View]:
        return _inputs.views(self.noun, self.spec, verb, given, copy)

    def fit(self, *, progress: Progress = None, copy: bool | None = None, **inputs: Any) -> Self:
        """Takes the method's named inputs in; replaces what was fitted before and goes back to the first pass."""
        self._learn(lib.sonde_row_sampler_fit, self._views("fit", inputs, copy), progress)
        return self

    def attach(self, index: Index | None) -> Self:
        """Searches this index in place of one that fit would build; the sampler keeps it alive. None gives it back."""
        run(lib.sonde_row_sampler_attach, self._handle, None if index is None else index._handle)
        self._index = index
        return self

    def draw(self, count: int = 0, *, progress: Progress = None, copy: bool | None = None, **inputs: Any) -> Rows:
        """The next `count` rows (0: as many as the spec says); with inputs, those for what the inputs name."""
        rows = sonde_rows(size=sizeof(sonde_rows))
        wanted = operator.index(count)
        if inputs:
            named = self._views("draw", inputs, copy)
            run(lib.sonde_row_sampler_draw_for, self._handle, _arrays.inputs(named), len(named), wanted, byref(rows),
                progress=progress)
        else:
            run(lib.sonde_row_sampler_draw, self._handle, wanted, byref(rows), progress=progress)
        return _rows(rows)

    def batches(self, count: int = 0) -> Iterator[Rows]:
        """Draws until the pass ends; endless streams go on for ever."""
        while True:
            rows = self.draw(count)
            yield rows
            if rows.last:
                return

    def output(self, name: str) -> npt.NDArray[Any]:
        """One more column of the last draw or observation, by its name in the method's table, such as "ranks"."""
        column = sonde_array()
        run(lib.sonde_row_sampler_output, self._handle, name.encode(), byref(column))
        return _arrays.column_of(column)

    def observe(self, *, progress: Progress = None, copy: bool | None = None, **inputs: Any) -> Self:
        """Tells what came of the draws, or that the data has changed: losses, counts, re-encoded documents."""
        self._learn(lib.sonde_row_sampler_observe, self._views("observe", inputs, copy), progress)
        return self

    def loss(self, gradients: Iterable[str] = (), *, copy: bool | None = None,
             **inputs: Any) -> tuple[float, dict[str, Floats]]:
        """The loss of the method's paper on one batch, and its derivatives by the inputs that `gradients` names."""
        named = self._views("loss", inputs, copy)
        made = {name: np.zeros((named[name].rows, named[name].cols), np.float32) for name in gradients if name in named}
        wanted = {name: _arrays.target(made[name], Dtype.F32) if name in made else _arrays.View() for name in gradients}
        value = c_double()
        run(lib.sonde_row_sampler_loss, self._handle, _arrays.inputs(named), len(named), _arrays.inputs(wanted),
            len(wanted), byref(value))
        return value.value, {name: found.reshape(np.shape(inputs[name])) for name, found in made.items()}

    def merge(self, other: "RowSampler") -> Self:
        """Joins the sampler of another shard into this one, which then draws from the rows of both."""
        run(lib.sonde_row_sampler_merge, self._handle, other._handle)
        return self

    def seek(self, number: int) -> Self:
        """Goes to the beginning of a pass, 0 = the first."""
        run(lib.sonde_row_sampler_seek, self._handle, operator.index(number))
        return self


def _rows(rows: sonde_rows) -> Rows:
    """Copies: the arrays of C go with the next draw."""
    ids = np.array(_arrays.foreign(None, rows.ids, rows.count, np.int64))
    weights = np.array(_arrays.foreign(None, rows.weights, rows.count, np.float32))
    drawn = Rows(ids, weights)
    drawn.groups = None if not rows.groups else np.array(_arrays.foreign(None, rows.groups, rows.count, np.int64))
    drawn.number, drawn.last = getattr(rows, "pass"), bool(rows.last)  # a keyword of Python
    return drawn
