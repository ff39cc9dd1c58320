"""Transform: learned or fixed maps from vectors to vectors.

SPDX-License-Identifier: MIT
"""

from ctypes import byref
from typing import Any, Self

import numpy as np

from . import _arrays
from ._api import Dtype
from ._arrays import Floats
from ._calls import Progress, run
from ._library import lib
from ._noun import Noun, Verbs


class Transform(Noun):
    """A map from vectors of `dim` columns to `dim_out`: Transform("pca(dim=128)", dim=384).train(x).apply(x).

    apply and apply_inverse may run in any number of threads; train alone.
    """

    noun = "transform"
    _verbs = Verbs(lib.sonde_transform_create, lib.sonde_transform_save, lib.sonde_transform_open,
                   lib.sonde_transform_save_buffer, lib.sonde_transform_open_buffer, lib.sonde_transform_spec,
                   lib.sonde_transform_dim, lib.sonde_transform_free)

    @property
    def trained(self) -> bool:
        """True once it can be applied."""
        return bool(lib.sonde_transform_trained(self._live()))

    @property
    def dim_out(self) -> int:
        """Columns that come out."""
        return int(lib.sonde_transform_dim_out(self._live()))

    def train(self, vectors: Any, *, progress: Progress = None, copy: bool | None = None, **inputs: Any) -> Self:
        """Learns from vectors (n x dim) and the method's other inputs; replaces what was learned before."""
        named = {"vectors": vectors, **inputs}
        views = {name: _arrays.matrix(given, name, copy) for name, given in named.items()}
        self._learn(lib.sonde_transform_train, views, progress)
        return self

    def apply(self, vectors: Any, *, out: Floats | None = None, copy: bool | None = None,
              progress: Progress = None) -> Floats:
        """T(vectors): float32, n x dim_out; one vector gives one."""
        return self._map(lib.sonde_transform_apply, vectors, self.dim_out, out, copy, progress)

    def apply_inverse(self, vectors: Any, *, out: Floats | None = None, copy: bool | None = None,
                      progress: Progress = None) -> Floats:
        """The way back, n x dim: exact for rotations, least squares for projections, else Unsupported."""
        return self._map(lib.sonde_transform_apply_inverse, vectors, self.dim, out, copy, progress)

    def _map(self, function: Any, vectors: Any, columns: int, out: Floats | None, copy: bool | None,
             progress: Progress) -> Floats:
        view = _arrays.matrix(vectors, "vectors", copy)
        result = _arrays.output(out, (columns,) if view.single else (view.rows, columns), np.float32)
        run(function, self._handle, byref(view), byref(_arrays.target(result, Dtype.F32)), progress=progress)
        return result
