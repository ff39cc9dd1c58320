"""Every verb of sonde.Index against brute force in NumPy.

SPDX-License-Identifier: MIT
"""

import numpy as np
import pytest
from conftest import exact_scores, nearest

import sonde


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
@pytest.mark.parametrize("spec", ["flat({})", "ivf(nlist=16, {})"])
def test_search_is_exact_at_recall_1(vectors, queries, metric, spec):
    index = sonde.Index(spec.format(f"metric={metric}"), dim=32).add(vectors)
    ids, scores = index.search(queries, k=7, recall=1)
    true = exact_scores(queries, vectors, metric)
    assert (ids == nearest(true, metric, 7)).all()
    np.testing.assert_allclose(scores, np.take_along_axis(true, ids, 1), rtol=2e-5, atol=2e-5)
    assert ids.dtype == np.int64 and scores.dtype == np.float32
    assert index.metric == metric and index.dim == 32


def test_hits_unpack_and_say_how_they_ended(vectors, queries):
    index = sonde.Index("ivf(nlist=16)", dim=32).add(vectors)
    hits = index.search(queries, k=5, effort=2)
    ids, scores = hits
    assert ids is hits.ids and scores is hits.scores and len(hits) == 2
    assert (hits.count == 5).all() and (hits.reason == sonde.Stop.EFFORT).all()
    assert (index.search(queries, recall=1).reason == sonde.Stop.EXACT).all()
    few = sonde.Index("flat", 32).add(vectors[:3]).search(queries, k=5)
    assert (few.count == 3).all() and (few.reason == sonde.Stop.FEWER).all()
    assert (few.ids[:, 3:] == -1).all() and np.isinf(few.scores[:, 3:]).all()


def test_one_vector_gives_one_row(vectors, queries):
    index = sonde.Index("flat", dim=32).add(vectors)
    one, many = index.search(queries[3], k=4), index.search(queries, k=4)
    assert one.ids.shape == one.scores.shape == (4,) and one.count.tolist() == [4]
    assert (one.ids == many.ids[3]).all() and (one.scores == many.scores[3]).all()
    assert index.get(8).shape == (32,) and (index[8] == vectors[8]).all()
    index.add(queries[0], ids=[9000])
    assert index.search(queries[0], k=1).ids[0] == 9000


def test_effort_refine_threads(vectors, queries):
    index = sonde.Index("ivf(nlist=16, code=pq(m=8), refine=f32)", dim=32).add(vectors)
    rough = index.search(queries, effort=16, refine=1, threads=1)
    fine = index.search(queries, effort=16, refine=100, threads=1)
    true = nearest(exact_scores(queries, vectors, "l2"), "l2", 10)
    recall = [np.mean([np.isin(a, b).mean() for a, b in zip(hits.ids, true)]) for hits in (rough, fine)]
    assert recall[1] > 0.99 > recall[0]
    again = index.search(queries, effort=16, refine=100, threads=2)
    assert (again.ids == fine.ids).all() and (again.scores == fine.scores).all()


def test_integers_of_numpy_and_no_queries(vectors, queries):
    two = np.int64(2)
    index = sonde.Index("ivf(nlist=16)", dim=np.int32(32), runtime=sonde.Runtime(threads=two)).add(vectors)
    hits = index.search(queries, k=two, effort=two, threads=two, filter=slice(np.int64(5), np.int64(900)))
    assert hits.ids.shape == (20, 2) and two in index and (index[two] == vectors[2]).all()
    assert sonde.estimate("flat", np.int64(32), two).memory_bytes > 0
    nothing = index.search(queries[:0], k=3)
    assert nothing.ids.shape == (0, 3) and nothing.count.shape == (0,)
    assert index.add(vectors[:0]).remove([]) == 0 and len(index) == 2000


def test_out_is_filled_in_place(vectors, queries):
    index = sonde.Index("flat", dim=32).add(vectors)
    ids, scores = np.empty((20, 4), np.int64), np.empty((20, 4), np.float32)
    hits = index.search(queries, k=4, out=(ids, scores))
    assert hits.ids is ids and hits.scores is scores and (ids == index.search(queries, k=4).ids).all()
    with pytest.raises(ValueError, match=r"out\[0\]: int32 \(20, 4\), expected an array of int64 \(20, 4\)"):
        index.search(queries, k=4, out=(ids.astype(np.int32), scores))
    with pytest.raises(ValueError, match="C-contiguous"):
        index.search(queries, k=4, out=(ids, np.empty((4, 20), np.float32).T))


FILTERS = [
    ("mask", np.arange(2000) % 3 == 0, lambda i: i % 3 == 0),
    ("short mask", np.ones(100, bool), lambda i: i < 100),
    ("list of booleans", [True, False, True, True], lambda i: i in (0, 2, 3)),
    ("ids", np.array([7, 3, 500, 500, 1999]), lambda i: i in (3, 7, 500, 1999)),
    ("list", [9, 4, 77], lambda i: i in (4, 9, 77)),
    ("set", {9, 4, 77}, lambda i: i in (4, 9, 77)),
    ("range", range(100, 900), lambda i: 100 <= i < 900),
    ("stepped range", range(0, 2000, 5), lambda i: i % 5 == 0),
    ("slice", slice(1500, None), lambda i: i >= 1500),
    ("slice of both", slice(10, 20), lambda i: 10 <= i < 20),
    ("function", lambda i: i % 7 == 1, lambda i: i % 7 == 1),
    ("excluded ids", sonde.exclude([1, 2, 3]), lambda i: i not in (1, 2, 3)),
    ("excluded function", sonde.exclude(lambda i: i % 2), lambda i: i % 2 == 0),
    ("prepared", sonde.Filter(range(50)), lambda i: i < 50),
    ("no ids", np.array([], np.int64), lambda i: False),
]


@pytest.mark.parametrize("spec", ["flat", "ivf(nlist=16)"])
@pytest.mark.parametrize("name, given, allowed", FILTERS, ids=[name for name, _, _ in FILTERS])
def test_filters(vectors, queries, spec, name, given, allowed):
    index = sonde.Index(spec, dim=32).add(vectors)
    true = exact_scores(queries, vectors, "l2")
    true[:, [i for i in range(2000) if not allowed(i)]] = np.inf
    expected = np.where(np.isinf(np.sort(true)[:, :8]), -1, nearest(true, "l2", 8))
    assert (index.search(queries, k=8, recall=1, filter=given).ids == expected).all()


def test_a_filter_for_each_query(vectors, queries):
    index = sonde.Index("flat", dim=32).add(vectors)
    filters = [None, range(10), [5, 6], np.arange(2000) >= 1990, sonde.exclude(slice(0, 1995))]
    ids = index.search(queries[:5], k=5, filter=filters).ids
    for row, one in enumerate(filters):
        assert (ids[row] == index.search(queries[row], k=5, filter=one).ids).all()
    with pytest.raises(ValueError, match="filter"):
        index.search(queries, filter=filters)


def test_a_filter_that_fails(vectors, queries):
    index = sonde.Index("flat", dim=32).add(vectors)
    with pytest.raises(ZeroDivisionError):
        index.search(queries, filter=lambda i: 1 // (i - 5))
    with pytest.raises(ValueError, match="float64 values, expected integers"):
        index.search(queries, filter=[1.5])
    assert index.search(queries, k=1).count.sum() == 20


def test_range_search(vectors, queries):
    index = sonde.Index("ivf(nlist=16)", dim=32).add(vectors)
    true = exact_scores(queries, vectors, "l2")
    hits = index.range_search(queries, 40.0)
    assert hits.offsets.tolist() == [0, *np.cumsum((true <= 40).sum(1))]
    for row in range(20):
        ids, scores = hits.of(row)
        assert set(ids) == set(np.flatnonzero(true[row] <= 40)) and (np.diff(scores) >= 0).all()
    only = index.range_search(queries, 40.0, filter=range(1000))
    assert (only.ids < 1000).all() and only.offsets[-1] == (true[:, :1000] <= 40).sum()
    ids, offsets = hits.ids, hits.offsets
    del hits, index
    assert ids.size == offsets[-1] and ids.max() < 2000  # the arrays outlive the index
    nothing = sonde.Index("flat", 32).add(vectors).range_search(queries[0], 0.0)
    assert nothing.offsets.tolist() == [0, 0] and nothing.ids.size == 0


def test_add_remove_replace(vectors):
    index = sonde.Index("flat", dim=32).add(vectors[:10]).add(vectors[10:12], ids=[100, 50])
    assert len(index) == 12 and 100 in index and 99 not in index and -1 not in index and "x" not in index
    assert sorted(index) == sorted(index.ids()) == [*range(10), 50, 100]
    index.add(vectors[12:13], ids=[100]).add(vectors[13:14])
    assert len(index) == 13 and (index[100] == vectors[12]).all() and 101 in index
    assert index.remove([3, 5, 777]) == 2 and 3 not in index
    del index[50]
    with pytest.raises(KeyError, match="50"):
        del index[50]
    with pytest.raises(KeyError):
        index[50]
    assert index.compact().stats().removed == 0
    assert (index.get([9, 0]) == vectors[[9, 0]]).all()
    kept = index.get([9, 0], out=np.empty((2, 32), np.float32))
    assert (kept == vectors[[9, 0]]).all() and index.check() is index


def test_bits(rng):
    truth = rng.integers(0, 2, (300, 77)).astype(bool)
    packed = np.packbits(truth, axis=1, bitorder="little")
    index = sonde.Index("flat(dtype=bits, metric=hamming)", dim=77).add(truth[:150]).add(packed[150:])
    distances = (truth[:9, None, :] != truth[None, :, :]).sum(2)
    for queries in (truth[:9], packed[:9]):
        ids, scores = index.search(queries, k=300)
        assert (scores == np.sort(distances)).all() and (np.take_along_axis(distances, ids, 1) == scores).all()
    assert (index.get([151, 2]) == packed[[151, 2]]).all() and index.metric == "hamming"
    with pytest.raises(ValueError, match="columns"):
        index.search(truth[:, :60])
    with pytest.raises(ValueError, match="float32 holds no bits"):
        index.search(np.zeros((1, 10), np.float32))


def test_tune_and_operating_points(vectors, queries):
    index = sonde.Index("ivf(nlist=32)", dim=32).add(vectors[:500])
    assert index.operating_points() == [] and index.stats().calibrated == 0
    assert index.tune(vectors[500:700], seconds=5) is index
    points = index.operating_points()
    assert {point.k for point in points} == {1, 10, 100} and points[0].effort == 1
    assert all(0 <= point.recall_low <= point.recall <= 1 for point in points) and index.stats().calibrated == 2
    with pytest.raises(RuntimeError, match="tune"):
        sonde.Index("ivf(nlist=4)", dim=32).tune()


def test_merge_and_topk_merge(vectors, queries):
    first = sonde.Index("ivf(nlist=16)", dim=32).train(vectors)
    second = sonde.from_bytes(first.to_bytes())
    first.add(vectors[:900])
    second.add(vectors[900:], ids=np.arange(900, 2000))
    whole = sonde.Index("flat", dim=32).add(vectors).search(queries, k=6)
    parts = [shard.search(queries, k=6, recall=1) for shard in (first, second)]
    joined = sonde.topk_merge(parts, 6, "l2")
    assert (joined.ids == whole.ids).all() and (joined.reason == sonde.Stop.EXACT).all() and (joined.count == 6).all()
    plain = sonde.topk_merge([tuple(part) for part in parts], 6, sonde.Metric.L2)
    assert (plain.ids == whole.ids).all() and (plain.reason == 0).all()
    assert (first.merge(second).search(queries, k=6, recall=1).ids == whole.ids).all() and len(first) == 2000
    with pytest.raises(sonde.Incompatible):
        first.merge(sonde.Index("flat", dim=32))
    with pytest.raises(ValueError, match="part 1"):
        sonde.topk_merge([parts[0], (parts[1].ids[:, ::-1], parts[1].scores[:, ::-1])], 6, "l2")
    with pytest.raises(ValueError, match="metric: 'l3', expected l2, ip, cosine, hamming"):
        sonde.topk_merge(parts, 6, "l3")


def test_files(vectors, queries, tmp_path):
    index = sonde.Index("ivf(nlist=16)", dim=32).add(vectors)
    before = index.search(queries, k=5)
    path = tmp_path / "rows.sonde"
    index.save(path)
    assert path.read_bytes() == index.to_bytes() and sonde.file_noun(path) == "index"
    assert {section.tag for section in sonde.file_sections(path)} >= {"SPEC", "CENTROID"}
    for opened in (sonde.open(path), sonde.open(path, mmap=True), sonde.from_bytes(index.to_bytes()),
                   sonde.Index.open(path, verify=True), sonde.from_bytes(memoryview(index.to_bytes()))):
        after = opened.search(queries, k=5)
        assert (after.ids == before.ids).all() and (after.scores == before.scores).all()
        assert opened.spec == index.spec and len(opened) == 2000
    with sonde.open(path, mmap=True) as mapped, pytest.raises(RuntimeError, match="mapped"):
        mapped.add(vectors[:1])
    assert mapped.closed
    with pytest.raises(sonde.LimitExceeded, match="max_bytes|larger"):
        sonde.open(path, max_bytes=1000)


def test_repr_str_estimate(vectors):
    index = sonde.Index(sonde.spec.ivf(nlist=16, code=sonde.spec.pq(m=8)), dim=32)
    assert str(index) == index.spec == sonde.check_spec("index", "ivf(nlist=16, code=pq(m=8))")
    assert index.spec in repr(index) and "dim=32" in repr(index) and "0 rows" in repr(index)
    held = sonde.estimate("flat", 32, 2000)
    assert held.memory_bytes >= 2000 * 32 * 4 and held.build_bytes >= held.memory_bytes
    index.close()
    index.close()
    assert repr(index) == "<closed sonde.Index>" and str(index) == "closed index"


def test_train_then_add_keeps_what_was_learned(vectors, queries):
    index = sonde.Index("ivf(nlist=8)", dim=32).train(vectors[:500])
    assert index.stats().trained and len(index) == 0
    assert index.search(queries).count.sum() == 0
    assert index.add(vectors).stats().lists == 8
    with pytest.raises(sonde.StateError):
        index.train(vectors)


def test_runtime_limits_and_cancels(vectors, queries):
    runtime = sonde.Runtime(threads=1, memory_limit=4 << 20)
    index = sonde.Index("flat", dim=32, runtime=runtime).add(vectors)
    assert 2000 * 32 * 4 < runtime.memory().used <= runtime.memory().peak
    with pytest.raises(MemoryError, match="limit"):
        index.add(np.zeros((100_000, 32), np.float32))
    assert len(index) == 2000
    runtime.cancel()
    with pytest.raises(sonde.Cancelled):
        index.search(queries)
    runtime.resume()
    runtime.close()
    assert index.search(queries).count.sum() == 200
