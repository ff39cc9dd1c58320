"""The scikit-learn classes: scikit-learn's own checks, and the same answers as its classes.

SPDX-License-Identifier: MIT
"""
# timeout: 300

import pickle

import numpy as np
import pytest
from conftest import run_child
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from sonde.estimators import Codec, Neighbors, VectorTransform


@parametrize_with_checks([VectorTransform(), VectorTransform("normalise"), Codec(), Neighbors()])
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("metric, theirs", [("l2", "euclidean"), ("cosine", "cosine")])
def test_neighbors_are_those_of_scikit_learn(vectors, queries, metric, theirs):
    ours = Neighbors(f"flat(metric={metric})", n_neighbors=4).fit(vectors)
    other = NearestNeighbors(n_neighbors=4, metric=theirs, algorithm="brute").fit(vectors)
    for given in (queries, None):
        (distances, ids), (expected_distances, expected) = ours.kneighbors(given), other.kneighbors(given)
        assert (ids == expected).all()
        np.testing.assert_allclose(distances, expected_distances, atol=1e-4)
    radius = float(np.median(expected_distances))
    found = ours.radius_neighbors(queries, radius, return_distance=False)
    wanted = other.radius_neighbors(queries, radius, return_distance=False)
    assert [set(row) for row in found] == [set(row) for row in wanted]
    with pytest.raises(ValueError, match="n_neighbors"):
        ours.kneighbors(queries, n_neighbors=2001)


def test_transform_in_a_pipeline(vectors):
    steps = make_pipeline(VectorTransform("pca(dim=8)", n_jobs=1), VectorTransform("normalise"))
    out = steps.fit_transform(vectors)
    assert out.shape == (2000, 8) and list(steps.get_feature_names_out())[0] == "vectortransform0"
    np.testing.assert_allclose(np.linalg.norm(out, axis=1), 1, rtol=1e-5)
    ours, theirs = VectorTransform("pca(dim=8)").fit(vectors), PCA(8).fit(vectors)
    kept = [((est.inverse_transform(est.transform(vectors)) - vectors) ** 2).sum() for est in (ours, theirs)]
    assert kept[0] == pytest.approx(kept[1], rel=1e-3)
    assert clone(ours).set_params(spec="rotation").get_params() == {"spec": "rotation", "n_jobs": None}


def test_codec(vectors):
    codec = pickle.loads(pickle.dumps(Codec("pq(m=8)").fit(vectors)))
    codes = codec.transform(vectors)
    assert codes.dtype == np.uint8 and codes.shape == (2000, 8)
    assert ((codec.inverse_transform(codes) - vectors) ** 2).sum() < 0.5 * (vectors ** 2).sum()


def test_scikit_learn_is_not_needed():
    loaded = run_child("import sys, sonde; print('sklearn' in sys.modules, 'scipy' in sys.modules)")
    assert loaded.split() == ["False", "False"]
