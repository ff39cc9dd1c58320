"""sonde.Quantizer and sonde.Transform against their definitions.

SPDX-License-Identifier: MIT
"""

import numpy as np
import pytest
from conftest import exact_scores

import sonde


@pytest.mark.parametrize("spec", ["raw", "sq(bits=8)", "pq(m=8)", "kmeans(k=64)"])
def test_codes_and_back(vectors, queries, spec, tmp_path):
    quantizer = sonde.Quantizer(spec, dim=32)
    assert quantizer.trained or pytest.raises(sonde.StateError, quantizer.encode, vectors)
    assert quantizer.train(vectors) is quantizer and quantizer.trained
    codes = quantizer.encode(vectors)
    assert codes.shape == (2000, quantizer.code_bytes) and codes.dtype == np.uint8
    near = quantizer.decode(codes)
    assert near.shape == (2000, 32) and ((near - vectors) ** 2).sum() < (vectors ** 2).sum()
    for metric in ("l2", "ip", "cosine"):
        scores = quantizer.distances(queries, codes[:50], metric)
        np.testing.assert_allclose(scores, exact_scores(queries, near[:50], metric), rtol=2e-3, atol=2e-3)
    quantizer.save(tmp_path / "q.sonde")
    for again in (sonde.open(tmp_path / "q.sonde"), sonde.from_bytes(quantizer.to_bytes())):
        assert isinstance(again, sonde.Quantizer) and again.spec == quantizer.spec
        assert (again.encode(vectors) == codes).all()


def test_one_vector_out_and_copy(vectors, queries):
    quantizer = sonde.Quantizer("pq(m=8)", dim=32).train(vectors)
    assert quantizer.encode(vectors[0]).shape == (8,) and quantizer.decode(quantizer.encode(vectors[0])).shape == (32,)
    assert quantizer.distances(queries[0], quantizer.encode(vectors[:5])).shape == (5,)
    codes = np.empty((2000, 8), np.uint8)
    assert quantizer.encode(vectors, out=codes) is codes and (codes == quantizer.encode(vectors)).all()
    back = np.empty((2000, 32), np.float32)
    assert quantizer.decode(codes, out=back) is back and (back == quantizer.decode(codes)).all()
    with pytest.raises(ValueError, match="copy=False"):
        quantizer.encode(vectors.astype(np.float64), copy=False)
    with pytest.raises(ValueError, match="codes: int64, expected uint8"):
        quantizer.decode(codes.astype(np.int64))
    with pytest.raises(ValueError, match="metric"):
        quantizer.distances(queries, codes, "hamming")


@pytest.mark.parametrize("spec, columns", [("rotation(seed=3)", 32), ("pca(dim=32)", 32)])
def test_transforms_go_there_and_back(vectors, spec, columns, tmp_path):
    transform = sonde.Transform(spec, dim=32).train(vectors)
    out = transform.apply(vectors)
    assert out.shape == (2000, columns) and (transform.dim, transform.dim_out) == (32, columns)
    distances = [np.linalg.norm(rows[:50, None] - rows[None, :50], axis=2) for rows in (vectors, out)]
    np.testing.assert_allclose(distances[1], distances[0], atol=1e-4)
    np.testing.assert_allclose(transform.apply_inverse(out), vectors, atol=1e-4)
    transform.save(tmp_path / "t.sonde")
    again = sonde.open(tmp_path / "t.sonde", mmap=True)
    assert isinstance(again, sonde.Transform) and (again.apply(vectors) == out).all() and transform.trained
    assert (sonde.from_bytes(transform.to_bytes()).apply(vectors[5]) == out[5]).all()


def test_transform_in_place_and_errors(vectors):
    normalise = sonde.Transform("normalise", dim=32)
    rows = vectors.copy()
    assert normalise.apply(rows, out=rows) is rows
    np.testing.assert_allclose(rows, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), rtol=1e-5)
    with pytest.raises(NotImplementedError, match="normalise"):
        normalise.apply_inverse(rows)
    with pytest.raises(RuntimeError):
        sonde.Transform("pca(dim=4)", dim=32).apply(vectors)
    assert repr(normalise) == 'sonde.Transform("normalise", dim=32)'
