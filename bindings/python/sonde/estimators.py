"""scikit-learn estimators over the nouns: Neighbors, VectorTransform, Codec. Only this module needs scikit-learn.

Seeds belong to the spec, as everywhere: pca(dim=64, seed=7). n_jobs is the number of threads (None: all processors).

SPDX-License-Identifier: MIT
"""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import (  # type: ignore[import-untyped]
    BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin)
from sklearn.utils.validation import check_is_fitted, validate_data  # type: ignore[import-untyped]

from .filters import exclude
from .index import Hits, Index
from .quantizer import Quantizer
from .runtime import Runtime
from .transform import Transform

Matrix = npt.NDArray[Any]


def _runtime(n_jobs: int | None) -> Runtime:
    return Runtime(threads=n_jobs if n_jobs is not None and n_jobs > 0 else 0)


class _Learner(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """fit and the checks that both transformers share."""

    def __init__(self, spec: str, *, n_jobs: int | None = None) -> None:
        self.spec = spec
        self.n_jobs = n_jobs

    def _checked(self, X: Any, *, reset: bool = False) -> Matrix:
        """float16, int8 and uint8 pass as they are; other dtypes become float32."""
        checked: Matrix = validate_data(self, X, reset=reset, dtype=[np.float32, np.float16, np.int8, np.uint8])
        return checked

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


class VectorTransform(_Learner):
    """A sonde.Transform as a transformer: VectorTransform("pca(dim=64)").fit_transform(X)."""

    def __init__(self, spec: str = "rotation", *, n_jobs: int | None = None) -> None:
        super().__init__(spec, n_jobs=n_jobs)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learns from the rows of X; y is not used."""
        X = self._checked(X, reset=True)
        self.transform_ = Transform(self.spec, X.shape[1], runtime=_runtime(self.n_jobs)).train(X)
        self._n_features_out = self.transform_.dim_out
        return self

    def transform(self, X: Any) -> Matrix:
        """The images of the rows of X, float32."""
        check_is_fitted(self)
        return self.transform_.apply(self._checked(X))

    def inverse_transform(self, X: Any) -> Matrix:
        """The way back, where the method has one."""
        check_is_fitted(self)
        return self.transform_.apply_inverse(np.asarray(X))


class Codec(_Learner):
    """A sonde.Quantizer as a transformer: transform gives codes (uint8), inverse_transform their reconstructions."""

    def __init__(self, spec: str = "sq(bits=8)", *, n_jobs: int | None = None) -> None:
        super().__init__(spec, n_jobs=n_jobs)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learns codes for the rows of X; y is not used."""
        X = self._checked(X, reset=True)
        self.quantizer_ = Quantizer(self.spec, X.shape[1], runtime=_runtime(self.n_jobs)).train(X)
        self._n_features_out = self.quantizer_.code_bytes
        return self

    def transform(self, X: Any) -> Matrix:
        """The codes of the rows of X."""
        check_is_fitted(self)
        return self.quantizer_.encode(self._checked(X))

    def inverse_transform(self, X: Any) -> Matrix:
        """The rows that codes stand for, float32."""
        check_is_fitted(self)
        return self.quantizer_.decode(np.asarray(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # codes are bytes
        return tags


class Neighbors(BaseEstimator):  # type: ignore[misc]
    """Like sklearn.neighbors.NearestNeighbors, over any index: Neighbors("ivf(metric=cosine)").fit(X).kneighbors(Q).

    Distances are what scikit-learn calls so: Euclidean for l2, 1 - similarity for cosine; for ip the negated product.
    recall: the share of the true neighbours that is wanted.
    """

    def __init__(self, spec: str = "flat", *, n_neighbors: int = 5, radius: float = 1.0, recall: float = 1.0,
                 n_jobs: int | None = None) -> None:
        self.spec = spec
        self.n_neighbors = n_neighbors
        self.radius = radius
        self.recall = recall
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None) -> Self:
        """Stores the rows of X under their numbers; y is not used."""
        X = validate_data(self, X, dtype=[np.float32, np.float16, np.int8, np.uint8])
        self.index_ = Index(self.spec, X.shape[1], runtime=_runtime(self.n_jobs)).add(X)
        self.n_samples_fit_ = X.shape[0]
        return self

    def kneighbors(self, X: Any = None, n_neighbors: int | None = None,
                   return_distance: bool = True) -> Matrix | tuple[Matrix, Matrix]:
        """(distances, indices) of the nearest rows; without X those of the stored rows, each without itself."""
        queries, filters = self._queries(X)
        k = self.n_neighbors if n_neighbors is None else n_neighbors
        most = self.n_samples_fit_ - (X is None)
        if k > most:
            raise ValueError(f"Expected n_neighbors <= n_samples_fit, but n_neighbors = {k}, n_samples_fit = {most}")
        hits: Hits = self.index_.search(queries, k=k, recall=self.recall, filter=filters)
        return (self._distances(hits.scores), hits.ids) if return_distance else hits.ids

    def radius_neighbors(self, X: Any = None, radius: float | None = None,
                         return_distance: bool = True) -> Matrix | tuple[Matrix, Matrix]:
        """(distances, indices) of all rows within the radius, as arrays of arrays, nearest first."""
        queries, filters = self._queries(X)
        limit = self._score(self.radius if radius is None else radius)
        hits = self.index_.range_search(queries, limit, filter=filters)
        ids, distances = (_ragged(array, hits.offsets) for array in (hits.ids, self._distances(hits.scores)))
        return (distances, ids) if return_distance else ids

    def _queries(self, X: Any) -> tuple[Matrix, Any]:
        check_is_fitted(self)
        if X is None:
            rows = np.arange(self.n_samples_fit_)
            return self.index_.get(rows), [exclude([row]) for row in rows]
        return validate_data(self, X, reset=False, dtype=[np.float32, np.float16, np.int8, np.uint8]), None

    def _distances(self, scores: Matrix) -> Matrix:
        metric = self.index_.metric
        if metric == "l2":
            return np.sqrt(scores)
        return 1 - scores if metric == "cosine" else -scores

    def _score(self, distance: float) -> float:
        metric = self.index_.metric
        if metric == "l2":
            return distance * distance
        return 1 - distance if metric == "cosine" else -distance


def _ragged(flat: Matrix, offsets: Matrix) -> Matrix:
    parts = np.empty(len(offsets) - 1, object)
    parts[:] = np.split(flat, offsets[1:-1])
    return parts
