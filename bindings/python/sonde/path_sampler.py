"""PathSampler: moves a state along the ODE or SDE of a diffusion or flow model.

SPDX-License-Identifier: MIT
"""

import dataclasses
import math
import operator
from collections.abc import Callable
from ctypes import byref, c_int64, sizeof
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from . import _arrays, _calls
from ._api import Prediction, sonde_array, sonde_ask, sonde_path_node, sonde_path_sampler_run_model
from ._arrays import Floats
from ._calls import Progress, run
from ._errors import InvalidArgument
from ._library import lib
from ._noun import Noun, Verbs, with_key
from .runtime import Runtime


@dataclasses.dataclass(frozen=True)
class Ask:
    """Where a prediction is wanted: of x at time t, of the kind that `prediction` says, with or without the condition."""

    x: Floats
    t: float
    alpha: float
    sigma: float
    prediction: Prediction
    condition: bool
    step: int
    evaluation: int


class PathNode(NamedTuple):
    """One node of the plan: x = alpha x0 + sigma noise, and the time that the model is called with."""

    t: float
    alpha: float
    sigma: float
    log_snr_half: float


class PathSampler(Noun):
    """A solver: PathSampler("dpmpp(order=2, schedule=karras(steps=20))", shape=x.shape).run(x, model).

    The first axis of the shape counts samples; noise and everything else is a matter of one sample. model(x, t) gives the
    prediction in the shape of x; where the spec has guidance, model(x, t, condition) is asked with and without it.
    One thread at a time uses one sampler.
    """

    noun = "path_sampler"
    _verbs = Verbs(lib.sonde_path_sampler_create, lib.sonde_path_sampler_save, lib.sonde_path_sampler_open,
                   lib.sonde_path_sampler_save_buffer, lib.sonde_path_sampler_open_buffer,
                   lib.sonde_path_sampler_spec, lib.sonde_path_sampler_dim, lib.sonde_path_sampler_free)
    _tail: tuple[int, ...]  # the shape of one sample

    def __init__(self, spec: str, dim: int = 0, *, shape: tuple[int, ...] | None = None, seed: int | None = None,
                 runtime: Runtime | None = None) -> None:
        if (dim != 0) == (shape is not None):
            raise InvalidArgument("PathSampler: give either dim, the values of one sample, or the shape of the state")
        width = operator.index(dim) if shape is None else math.prod(shape[1:])
        super().__init__(with_key(spec, "seed", seed), width, runtime=runtime)
        if shape is not None:
            self._tail = shape[1:]

    def _made(self) -> None:
        self._tail = (self.dim,)

    def _shaped(self, values: npt.NDArray[Any]) -> Floats:
        return values.reshape(-1, *self._tail)

    def _state(self, x: Any, name: str) -> _arrays.View:
        """A state or prediction as C has it: a row a sample."""
        array = np.asarray(x) if not hasattr(x, "__dlpack__") or isinstance(x, np.ndarray) else x
        if isinstance(array, np.ndarray):
            if array.shape[1:] != self._tail:
                raise InvalidArgument(f"{name}: shape {array.shape}, expected (samples, "
                                      f"{', '.join(map(str, self._tail))})")
            array = array.reshape(len(array), -1)
        return _arrays.matrix(array, name)

    # ---- The loop in your hands ----------------------------------------------------------------------------------

    def start(self, x: Any) -> Self:
        """Begins at x, the state at the first node of the plan."""
        run(lib.sonde_path_sampler_start, self._handle, byref(self._state(x, "x")))
        return self

    def ask(self) -> Ask | None:
        """Where a prediction is wanted next; None when the state is final."""
        found = sonde_ask(size=sizeof(sonde_ask))
        run(lib.sonde_path_sampler_ask, self._handle, byref(found))
        return None if found.done else self._asked(found)

    def _asked(self, found: sonde_ask) -> Ask:
        return Ask(self._shaped(_arrays.column_of(found.x)), found.t, found.alpha, found.sigma,
                   Prediction(found.prediction), bool(found.condition), found.step, found.evaluation)

    def tell(self, prediction: Any) -> None:
        """Brings what ask() wanted, in the shape of its x."""
        run(lib.sonde_path_sampler_tell, self._handle, byref(self._state(prediction, "prediction")))

    # ---- The loop in ours ----------------------------------------------------------------------------------------

    def run(self, x: Any, model: Callable[..., Any], *, progress: Progress = None) -> Floats:
        """start, ask, tell until done: the final state, a new array."""
        state = np.array(x, np.float32, order="C")
        guided = "guidance=none" not in self.spec

        def call(asked: Any, prediction: Any, user: int | None) -> int:
            def fill() -> int:
                at = self._asked(asked[0])
                given = model(at.x, at.t, at.condition) if guided else model(at.x, at.t)
                out = _arrays.foreign(None, prediction[0].data, prediction[0].rows * prediction[0].cols, np.float32)
                out[:] = np.broadcast_to(np.asarray(given, np.float32), at.x.shape).reshape(-1)
                return 0
            return int(_calls.guarded(fill, otherwise=1))

        view = self._state(state, "x")
        run(lib.sonde_path_sampler_run, self._handle, byref(view), sonde_path_sampler_run_model(call), None,
            progress=progress)
        return state

    # ---- Looking -------------------------------------------------------------------------------------------------

    def output(self, name: str) -> npt.NDArray[Any]:
        """What the run has made: "state", or what the method's table has, such as "log_likelihood"."""
        column = sonde_array()
        run(lib.sonde_path_sampler_output, self._handle, name.encode(), byref(column))
        found = _arrays.column_of(column)
        return self._shaped(found) if name == "state" else found

    @property
    def state(self) -> Floats:
        """Where the run stands."""
        return self.output("state")

    @property
    def nodes(self) -> list[PathNode]:
        """The plan, noise first."""
        count = c_int64()
        run(lib.sonde_path_sampler_nodes, self._handle, None, 0, byref(count))
        found = (sonde_path_node * count.value)()
        run(lib.sonde_path_sampler_nodes, self._handle, found, count.value, byref(count))
        return [PathNode(node.t, node.alpha, node.sigma, getattr(node, "lambda")) for node in found]
