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
    with pytest.raises(ValueError, match="metric: 'l3', expected l2, ip, cosine, hamming"):
        quantizer.distances(queries, codes, "l3")
    with pytest.raises(NotImplementedError, match="hamming"):
        quantizer.distances(queries, codes, "hamming")


def test_rows_that_come_in_pieces_train_as_one(vectors):
    whole = sonde.Quantizer("pq(m=8)", dim=32).train(vectors)
    pieces = sonde.Quantizer("pq(m=8)", dim=32).observe(vectors[:700]).observe(vectors[700:]).train()
    assert pieces.trained and pieces.to_bytes() == whole.to_bytes()  # all fit into the sample
    with pytest.raises(ValueError, match="nothing was observed|vectors"):
        whole.train()
    with pytest.raises(ValueError, match="40 columns|columns"):
        whole.observe(np.zeros((5, 40), np.float32))
    np.testing.assert_array_equal(whole.encode(vectors), pieces.encode(vectors))


def test_queries_may_guide_training(vectors, rng):
    heard = np.array([3, 3, 0.01, 0.01] * 8, np.float32)  # two of the four columns of each part
    queries = rng.standard_normal((500, 32), dtype=np.float32) * heard
    plain = sonde.Quantizer("pq(m=8, bits=4)", dim=32).train(vectors)
    guided = sonde.Quantizer("pq(m=8, bits=4, loss=moment)", dim=32).train(vectors, queries=queries[::2])
    truth = exact_scores(queries[1::2], vectors, "ip")
    errors = [((q.distances(queries[1::2], q.encode(vectors), "ip") - truth) ** 2).mean() for q in (plain, guided)]
    assert errors[1] < 0.7 * errors[0]
    with pytest.raises(ValueError, match="querys.*vectors, queries"):
        guided.train(vectors, querys=queries)


def test_groups_keep_their_limits(rng):
    skewed = np.concatenate([rng.standard_normal((900, 8)), 5 + 0.1 * rng.standard_normal((100, 8))]).astype(np.float32)
    kmeans = sonde.Quantizer("kmeans(k=10, balance=capacity)", dim=8)
    labels = kmeans.cluster(skewed)
    assert labels.dtype == np.int32 and (np.bincount(labels, minlength=10) == 100).all()
    centroids = kmeans.output("centroids")
    assert (kmeans.decode(np.arange(10, dtype=np.uint8)[:, None]) == centroids).all()  # the code of a row is its group
    assert (kmeans.output("sizes") == 100).all()
    kept = centroids.copy()
    masses = np.arange(1, 11) / 55
    shares = np.bincount(sonde.Quantizer("kmeans(k=10, balance=sinkhorn)", dim=8).cluster(skewed, masses=masses)) / 1000
    assert abs(shares - masses).max() < 0.02
    kmeans.cluster(skewed[::2])
    assert (centroids == kept).all()  # a copy
    with pytest.raises(NotImplementedError, match="does not cluster"):
        sonde.Quantizer("sq", dim=8).cluster(skewed)
    with pytest.raises(LookupError, match="centers"):
        kmeans.output("centers")


def test_codes_with_codes(vectors):
    pq = sonde.Quantizer("pq(m=8)", dim=32).train(vectors)
    codes = pq.encode(vectors[:40])
    near = pq.decode(codes)
    for metric in ("l2", "ip", "cosine"):
        scores = pq.code_distances(codes[:7], codes, metric)
        np.testing.assert_allclose(scores, exact_scores(near[:7], near, metric), rtol=2e-3, atol=2e-3)
    assert pq.code_distances(codes[0], codes).shape == (40,)
    out = np.empty((7, 40), np.float32)
    assert pq.code_distances(codes[:7], codes, out=out) is out
    with pytest.raises(ValueError, match="codes: float32"):
        pq.code_distances(near, codes)


def test_bits_differ_in_hamming_distance(vectors):
    for spec in ("lsh(bits=64)", "itq(bits=32)"):
        quantizer = sonde.Quantizer(spec, dim=32).train(vectors)
        codes = quantizer.encode(vectors[:30])
        bits = np.unpackbits(codes, axis=1)
        expected = (bits[:5, None] != bits[None]).sum(axis=2)
        assert (quantizer.code_distances(codes[:5], codes, "hamming") == expected).all()
        assert (quantizer.distances(vectors[:5], codes, metric="hamming") == expected).all()


def test_bounds_hold(vectors, queries):
    rabitq = sonde.Quantizer("rabitq(bits=2)", dim=32).train(vectors)
    codes = rabitq.encode(vectors)
    for metric in ("l2", "ip"):
        bounds = rabitq.bounds(queries, codes, metric)
        scores, errors = bounds
        np.testing.assert_allclose(scores, rabitq.distances(queries, codes, metric), rtol=1e-5, atol=1e-4)
        assert bounds.errors.shape == (20, 2000) and (bounds.errors > 0).all()
        assert (abs(scores - exact_scores(queries, vectors, metric)) <= errors).mean() > 0.998
    alone = rabitq.bounds(queries[0], codes[:3])
    assert alone.scores.shape == alone.errors.shape == (3,)
    with pytest.raises(NotImplementedError, match="bound"):
        sonde.Quantizer("pq(m=8)", dim=32).train(vectors).bounds(queries, codes)


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
