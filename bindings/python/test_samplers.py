"""Row, token and path samplers from Python: arrays in and out, named inputs, models as functions, references in NumPy.

SPDX-License-Identifier: MIT
"""

import pickle

import numpy as np
import pytest

import sonde

RNG = np.random.default_rng(5)


# ---- Rows ------------------------------------------------------------------------------------------------------------


def test_a_pass_is_every_row_once():
    sampler = sonde.RowSampler("random", ids=[7, 3, 5, 9])
    drawn = [rows.ids.tolist() for rows in sampler.batches(3)]
    assert [len(rows) for rows in drawn] == [3, 1] and sorted(sum(drawn, [])) == [3, 5, 7, 9]
    rows = sampler.draw(4)
    assert rows.number == 1 and rows.last and rows.groups is None and set(rows.weights) == {1}
    ids, weights = sampler.seek(0).draw(3)
    assert ids.tolist() == drawn[0] and ids.dtype == np.int64 and weights.dtype == np.float32


def test_draws_stay_when_others_follow():
    sampler = sonde.RowSampler("random(rows=100)")
    first = sampler.draw(50)
    kept = first.ids.copy()
    sampler.draw(50)
    assert np.array_equal(first.ids, kept)


def test_weights_are_followed():
    weights = np.array([1.0, 0.0, 3.0, 6.0])
    sampler = sonde.RowSampler("weighted(replace=yes)", weights=weights)
    counts = np.bincount(sampler.draw(100_000).ids, minlength=4)
    expected = 100_000 * weights / weights.sum()
    assert counts[1] == 0
    assert ((counts - expected)[[0, 2, 3]] ** 2 / expected[[0, 2, 3]]).sum() < 13.8  # chi-square, 2 degrees, p = 0.001


def test_strata_have_groups():
    groups = RNG.integers(0, 3, 90)
    for given in (groups, groups.astype(np.int32), groups.tolist()):
        rows = sonde.RowSampler("stratified", groups=given).draw(90)
        assert rows.last and np.array_equal(rows.groups, groups[rows.ids])


def lists_as(form, lists):
    if form == "padded":
        out = np.full((len(lists), max(map(len, lists))), -1)
        for row, items in zip(out, lists):
            row[:len(items)] = items
        return out
    if form == "lists":
        return lists

    class Sparse:  # what scipy.sparse.csr_matrix has of it
        indptr = np.cumsum([0, *map(len, lists)])
        indices = np.concatenate(lists)
    return Sparse()


@pytest.mark.parametrize("form", ["padded", "lists", "sparse"])
def test_negatives_are_the_nearest_that_are_no_positives(form):
    documents, queries = RNG.standard_normal((300, 16)), RNG.standard_normal((20, 16))
    positives = [np.argsort(-(documents @ query))[[0, 2]].tolist() for query in queries]
    sampler = sonde.RowSampler("adore(depth=5)", queries=queries, documents=documents, positives=lists_as(form, positives))
    rows = sampler.draw(5, query_ids=np.arange(20))
    for query, known, found in zip(queries, positives, rows.ids.reshape(20, 5)):
        nearest = [i for i in np.argsort(-(documents @ query)) if i not in known]
        assert found.tolist() == nearest[:5]
    assert sampler.output("ranks").shape == (100,) and sampler.dim == 16


def test_an_index_can_be_attached():
    documents, queries = RNG.standard_normal((200, 8)), RNG.standard_normal((10, 8))
    index = sonde.Index("flat(metric=ip)", dim=8).add(documents, ids=np.arange(200) + 1000)
    sampler = sonde.RowSampler("adore(depth=4)", 8).attach(index)
    sampler.fit(queries=queries, positives=np.full((10, 1), 1000))
    del index
    rows = sampler.draw(4, query_ids=[3])
    assert rows.ids.min() > 1000 and len(rows.ids) == 4
    with pytest.raises(sonde.Unsupported, match="searches no index"):
        sonde.RowSampler("random(rows=3)").attach(None)


def test_losses_have_gradients():
    """NBPO in its exact form: the derivative of its loss, by central differences."""
    sampler = sonde.RowSampler("nbpo(form=exact)")
    given = {"logits": RNG.standard_normal(8), "flip_logits": RNG.standard_normal(8) - 2}
    labels = np.array([1, 0, 0, 1, 0, 0, 0, 0])
    loss, gradients = sampler.loss(given, labels=labels, **given)
    assert loss > 0 and gradients.keys() == given.keys()
    for name in given:
        for i in range(8):
            step = np.zeros(8)
            step[i] = 1e-2
            ahead, behind = (sampler.loss(labels=labels, **{**given, name: given[name] + sign * step})[0] for sign in (1, -1))
            assert gradients[name][i] == pytest.approx((ahead - behind) / 2e-2, rel=2e-3, abs=2e-5)
    with pytest.raises(sonde.InvalidArgument, match="none of the inputs given"):
        sampler.loss(["logit"], labels=labels, **given)


def test_shards_are_merged():
    weights = RNG.random(40) + 0.1
    whole = sonde.RowSampler("weighted(keep=10)", weights=weights, ids=np.arange(40))
    parts = [sonde.RowSampler("weighted(keep=10)", weights=weights[i::2], ids=np.arange(40)[i::2]) for i in (0, 1)]
    assert np.array_equal(parts[0].merge(parts[1]).draw(10).ids, whole.draw(10).ids)
    with pytest.raises(sonde.Incompatible, match="specs differ"):
        whole.merge(sonde.RowSampler("random(rows=3)"))


def test_mistakes_of_rows_say_what_is_right():
    with pytest.raises(sonde.NotFound, match="did you mean 'weights'"):
        sonde.RowSampler("weighted", weight=[1, 2])
    with pytest.raises(sonde.InvalidArgument, match="input 'weights' .* is missing"):
        sonde.RowSampler("weighted").fit()
    with pytest.raises(sonde.InvalidArgument, match="row 1"):
        sonde.RowSampler("weighted", weights=[1, -2])
    with pytest.raises(sonde.StateError, match="not fitted"):
        sonde.RowSampler("weighted").draw(1)
    with pytest.raises(sonde.InvalidArgument, match="dtype f32"):
        sonde.RowSampler("random", ids=np.array([1.5, 2]))


# ---- Tokens ----------------------------------------------------------------------------------------------------------


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def test_top_p_is_that_of_numpy():
    logits = (RNG.standard_normal(500) * 2).astype(np.float32)
    found = sonde.TokenSampler("top_p(mass=0.8)", 500).filter(logits)
    order = np.argsort(-logits)
    p = softmax(logits.astype(np.float64))[order]
    kept = int(np.searchsorted(np.cumsum(p), 0.8)) + 1
    assert found.ids.tolist() == order[:kept].tolist() and found.counts.tolist() == [kept]
    assert np.allclose(np.exp(found.log_probs), p[:kept] / p[:kept].sum(), atol=1e-6)


def test_draws_follow_the_law_and_the_seed():
    logits = np.log([0.5, 0.3, 0.2]).astype(np.float32)
    chain = sonde.TokenSampler("chain(dist)", 3, seed=11)
    tokens = chain.next(np.tile(logits, (30_000, 1)))
    counts = np.bincount(tokens, minlength=3)
    assert tokens.dtype == np.int32
    assert ((counts - 30_000 * np.array([0.5, 0.3, 0.2])) ** 2 / (30_000 * np.array([0.5, 0.3, 0.2]))).sum() < 13.8
    assert np.array_equal(sonde.TokenSampler("chain(dist, seed=11)", 3).next(np.tile(logits, (30_000, 1))), tokens)
    assert isinstance(chain.next(logits), int)


def test_what_is_known_of_a_draw():
    logits = RNG.standard_normal((2, 64)).astype(np.float32)
    allowed = np.zeros((2, 64), bool)
    allowed[0, [3, 4]] = allowed[1, [9]] = True
    drawn = sonde.TokenSampler("dist", 64).sample(logits, sequences=[5, 6], allowed=allowed)
    assert drawn.ids[0] in (3, 4) and drawn.ids[1] == 9 and drawn.survivors.tolist() == [2, 1]
    assert drawn.log_probs[1] == 0 and drawn.entropies[1] == 0
    assert np.isclose(drawn.raw_log_probs[1], np.log(softmax(logits[1].astype(np.float64))[9]), atol=1e-5)


def test_the_past_counts():
    logits = np.array([1.0, 0.9, 0.0], np.float32)
    sampler = sonde.TokenSampler("chain(repetition(penalty=10), greedy)", 3)
    assert sampler.next(logits) == 0 and sampler.next(logits) == 1
    sampler.reset()
    sampler.accept([0])
    assert sampler.next(logits) == 1


@pytest.mark.parametrize("rule", ["single", "rrs", "recursive", "kseq", "greedy"])
def test_drafts_are_verified(rule):
    p, q = softmax(RNG.standard_normal(20)), softmax(RNG.standard_normal(20))
    draft = {"recursive": "gumbel_topk", "greedy": "greedy"}.get(rule, "iid")
    width = 1 if rule == "single" else 3
    spec = f"speculative(verify={rule}, draft={draft}, depth=1, width={width}, input=probs)"
    sampler = sonde.TokenSampler(spec, 20)
    counts = np.zeros(20)
    for _ in range(20_000):
        tree = sampler.draft()
        tree = sampler.draft(q[None, :])
        verdict = sampler.verify(np.tile(p, (len(tree.tokens) + 1, 1)))
        counts[tree.tokens[verdict.path[0]] if len(verdict.path) else verdict.token] += 1
    assert ((counts - 20_000 * p) ** 2 / (20_000 * p)).sum() < 43.8  # chi-square, 19 degrees, p = 0.001
    assert abs(sampler.accept_rate(p, q, 1, "single") - np.minimum(p, q).sum()) < 1e-6


def test_a_draft_by_a_function():
    sampler = sonde.TokenSampler("speculative(depth=3, width=1, verify=single, draft=iid)", 5)
    seen = []

    def model(tree):
        seen.append(len(tree.frontier))
        return np.zeros((len(tree.frontier), 5))

    tree = sampler.draft_run(model)
    assert len(tree.tokens) == 3 and tree.parents.tolist() == [-1, 0, 1] and seen == [1, 1, 1]
    with pytest.raises(ZeroDivisionError):
        sampler.draft_run(lambda tree: 1 / 0)


# ---- Paths -----------------------------------------------------------------------------------------------------------


def gaussian(mean, variance):
    """The exact model of data that is normal, as a prediction of the data."""
    def model(ask):
        gain = ask.alpha * variance / (ask.alpha ** 2 * variance + ask.sigma ** 2)
        return mean + gain * (ask.x - ask.alpha * mean)
    return model


def exact_flow(nodes, x, mean, variance):
    first, last = nodes[0], nodes[-1]
    spread = [np.sqrt(node.alpha ** 2 * variance + node.sigma ** 2) for node in (first, last)]
    return last.alpha * mean + spread[1] / spread[0] * (x - first.alpha * mean)


def test_a_solver_follows_the_exact_flow():
    x = RNG.standard_normal((5, 2, 3)).astype(np.float32)
    solver = sonde.PathSampler("dpmpp(order=2, schedule=vp(steps=200), prediction=data)", shape=x.shape)
    model = gaussian(0.7, 0.25)
    solver.start(x)
    while ask := solver.ask():
        assert ask.x.shape == x.shape and ask.prediction == sonde.Prediction.DATA
        solver.tell(model(ask))
    assert np.allclose(solver.state, exact_flow(solver.nodes, x, 0.7, 0.25), atol=2e-3)


def test_run_and_the_loop_give_the_same():
    x = RNG.standard_normal((4, 6)).astype(np.float32)
    solver = sonde.PathSampler("ddim(eta=1, schedule=vp(steps=12))", dim=6, seed=3)
    ran = solver.run(x, lambda x, t: np.tanh(x) * t)
    solver.start(x)
    while ask := solver.ask():
        solver.tell(np.tanh(ask.x) * ask.t)
    assert np.array_equal(solver.state, ran) and not np.array_equal(ran, x)
    assert solver.ask() is None


def test_guidance_asks_twice():
    seen = []

    def model(x, t, condition):
        seen.append(condition)
        return x * (0.2 if condition else 0.1)

    sonde.PathSampler("ddim(guidance=3, schedule=vp(steps=2))", dim=2).run(np.ones((1, 2)), model)
    assert seen.count(True) == seen.count(False) >= 2


def test_likelihoods_are_those_of_the_formula():
    """Data N(0, 1/4 I): the log density of each row."""
    x = RNG.standard_normal((5, 2)) / 2
    solver = sonde.PathSampler("likelihood(exact=yes, schedule=vp, prediction=data)", dim=2)
    model = gaussian(0.0, 0.25)
    solver.start(x)
    while ask := solver.ask():
        solver.tell(model(ask))
    wanted = -2 * (x ** 2).sum(axis=1) - np.log(2 * np.pi * 0.25)
    assert solver.output("log_likelihood") == pytest.approx(wanted, abs=5e-3)


def test_mistakes_of_paths_say_what_is_right():
    solver = sonde.PathSampler("ddim(schedule=vp(steps=3))", shape=(2, 4))
    with pytest.raises(sonde.InvalidArgument, match="expected"):
        solver.start(np.zeros((2, 5)))
    with pytest.raises(sonde.StateError):
        solver.ask()
    with pytest.raises(ValueError, match="either dim"):
        sonde.PathSampler("ddim")
    with pytest.raises(ZeroDivisionError):
        solver.run(np.zeros((2, 4)), lambda x, t: 1 / 0)


# ---- All -------------------------------------------------------------------------------------------------------------


def test_pickles_go_on():
    rows = sonde.RowSampler("weighted", weights=RNG.random(50))
    chain = sonde.TokenSampler("chain(dist)", 8)
    path = sonde.PathSampler("ddim(schedule=vp(steps=4))", dim=3)
    logits = np.zeros((2, 8), np.float32)
    rows.draw(5)
    chain.next(logits)
    path.start(np.ones((1, 3)))
    again = pickle.loads(pickle.dumps([rows, chain, path], protocol=5))
    assert np.array_equal(again[0].draw(7).ids, rows.draw(7).ids)
    assert np.array_equal(again[1].next(logits), chain.next(logits))
    assert np.array_equal(again[2].ask().x, path.ask().x)


def test_files_open_as_what_they_are(tmp_path):
    sonde.TokenSampler("top_k(k=2)", 9).save(tmp_path / "a")
    opened = sonde.open(tmp_path / "a")
    assert isinstance(opened, sonde.TokenSampler) and opened.vocabulary == 9 and "vocabulary=9" in repr(opened)
    assert isinstance(sonde.from_bytes(sonde.PathSampler("ddim", dim=2).to_bytes()), sonde.PathSampler)


def test_seeds_belong_to_the_spec():
    assert "seed=4" in sonde.TokenSampler("dist", 3, seed=4).spec
    assert "seed=5" in sonde.PathSampler("ddim(eta=1)", dim=2, seed=5).spec
