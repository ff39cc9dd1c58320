"""sonde.Trie and sonde.unique_sequences against sets and sums.

SPDX-License-Identifier: MIT
"""

import pickle

import numpy as np
import pytest

import sonde

SEQUENCES = [[3, 1, 4], [3, 1], [3, 1, 4], [2], [3, 0, 5], [2, 7, 1]]
IDS = [10, 11, 12, 13, 14, 15]


@pytest.fixture
def trie():
    return sonde.Trie("trie", length=3).add(SEQUENCES, ids=IDS)


def children_of(prefix):
    n = len(prefix)
    return sorted({one[n] for one in SEQUENCES if one[:n] == list(prefix) and len(one) > n})


def test_what_can_follow_and_what_is_there(trie):
    assert len(trie) == 6 and trie.length == 3 and repr(trie).endswith("length=3)")
    for prefix in ((), (3,), (3, 1), (2,), (9,), (3, 1, 4)):
        assert trie.children(prefix).tolist() == children_of(prefix)
    for sequence in SEQUENCES:
        assert trie.lookup(sequence).tolist() == [i for i, one in zip(IDS, SEQUENCES) if one == sequence]
    assert [3, 1] in trie and (3,) not in trie


def test_matrices_and_lists_are_the_same(trie):
    matrix = np.full((6, 3), -1, np.int64)
    for row, sequence in zip(matrix, SEQUENCES):
        row[:len(sequence)] = sequence
    for given in (matrix, matrix.astype(np.int32), np.asfortranarray(matrix)):
        assert sonde.Trie("trie", length=3).add(given, ids=IDS).to_bytes() == trie.to_bytes()
    counted = sonde.Trie("trie", length=3).add(SEQUENCES[:2]).add(SEQUENCES[2])
    assert counted.lookup([3, 1, 4]).tolist() == [0, 2]


def test_masks(trie):
    logits = np.zeros((3, 8), np.float32)
    assert trie.mask([[], [3, 1], [9]], logits, end=6) is logits
    assert [np.flatnonzero(row == 0).tolist() for row in logits] == [[2, 3], [4, 6], []]
    assert np.isneginf(logits[logits != 0]).all()
    one = trie.mask([3], np.zeros(8, np.float32))
    assert np.flatnonzero(one == 0).tolist() == [0, 1]
    with pytest.raises(ValueError, match="logits: float64"):
        trie.mask([3], np.zeros(8))


def test_beam_search_finds_the_best_sums(trie, rng):
    table = rng.standard_normal((4, 8), dtype=np.float32)  # of a code at each place

    def score(prefixes):
        assert prefixes.dtype == np.int32
        return np.repeat(table[prefixes.shape[1]][None], len(prefixes), axis=0)

    def total(sequence):
        return float(sum(table[place, code] for place, code in enumerate(sequence)))

    best = sorted({tuple(one) for one in SEQUENCES}, key=total, reverse=True)
    hits = trie.search(score, width=100)
    assert [tuple(row[row >= 0].tolist()) for row in hits.sequences] == best
    np.testing.assert_allclose(hits.scores, [total(one) for one in best], rtol=1e-5)
    assert hits.ids.tolist() == [IDS[SEQUENCES.index(list(one))] for one in best]
    assert len(trie.search(score, width=2).ids) == 2
    assert len(sonde.Trie("trie", length=3).search(score).ids) == 0


def test_scales_and_ends(trie):
    flat = trie.search(lambda prefixes: np.zeros((len(prefixes), 8)), scale="masked")
    # Uniform over what can follow; without an end code, ends cost nothing.
    chances = dict(zip(map(tuple, flat.sequences.tolist()), np.exp(flat.scores)))
    assert chances[2, -1, -1] == pytest.approx(1 / 2) and chances[3, 0, 5] == pytest.approx(1 / 4)
    ended = trie.search(lambda prefixes: np.zeros((len(prefixes), 9)), scale=sonde.TrieScale.LOGITS, end=8, vocabulary=9)
    lengths = (ended.sequences >= 0).sum(axis=1)
    np.testing.assert_allclose(ended.scores, -(lengths + 1) * np.log(9), rtol=1e-5)


def test_what_a_model_does_wrong_comes_out(trie):
    def broken(prefixes):
        raise ZeroDivisionError("in the model")

    with pytest.raises(ZeroDivisionError, match="in the model"):
        trie.search(broken)
    with pytest.raises(ValueError, match=r"score: an array \(1, 3\), expected \(1, 8\)"):
        trie.search(lambda prefixes: np.zeros((len(prefixes), 3)))
    with pytest.raises(sonde.CallbackFailed):
        trie.search(lambda prefixes: np.full((len(prefixes), 8), np.nan))
    for wrong in ({"width": 0}, {"width": -3}, {"scale": "odds"}):
        with pytest.raises(ValueError):
            trie.search(lambda prefixes: np.zeros((len(prefixes), 8)), **wrong)


def test_bad_sequences_change_nothing(trie):
    before = trie.to_bytes()
    for wrong in ([[1, 2, 3, 4]], [[1], []], [[1, -1, 2]], [[1.5]], [[2**31]], np.zeros((2, 2, 2), int)):
        with pytest.raises(ValueError):
            trie.add(wrong)
    with pytest.raises(ValueError, match="2 ids for 1 sequences"):
        trie.add([[1]], ids=[1, 2])
    with pytest.raises(ValueError, match="duplicates|second"):
        sonde.Trie("trie(duplicates=refuse)", length=3).add(SEQUENCES)
    assert trie.to_bytes() == before


def test_tries_travel(trie, tmp_path):
    trie.save(tmp_path / "t.sonde")
    for again in (sonde.open(tmp_path / "t.sonde"), sonde.from_bytes(trie.to_bytes()), pickle.loads(pickle.dumps(trie))):
        assert isinstance(again, sonde.Trie) and again.to_bytes() == trie.to_bytes()
        assert again.lookup([3, 1, 4]).tolist() == [10, 12]


def test_ids_of_rows_become_unique(vectors):
    rkmeans = sonde.Quantizer("rkmeans(levels=2, codes=32, balance=prices)", dim=32).train(vectors)
    sequences = rkmeans.output("sequences")
    assert sequences.shape == (2000, 2) and (np.bincount(sequences[:, 0], minlength=32) // 2 * 2 == 62).all()
    codes = rkmeans.encode(vectors).view("<u2")  # numbers of 16 bits: codes of a trie as they are
    assert len(sonde.Trie("trie", length=2).add(codes)) == 2000
    for unique in (sonde.unique_sequences(sequences),
                   sonde.unique_sequences(sequences, "resolve", quantizer=rkmeans, vectors=vectors)):
        assert unique.shape == (2000, 3) and len(np.unique(unique, axis=0)) == 2000
        trie = sonde.Trie("trie(duplicates=refuse)", length=3).add(unique)
        assert trie.lookup(unique[77][unique[77] >= 0]).tolist() == [77]
    assert (sonde.unique_sequences(sequences)[:, :2] == sequences).all()
    with pytest.raises(ValueError):
        sonde.unique_sequences(sequences, "resolve")
    with pytest.raises(ValueError, match="mode: 'other', expected suffix, resolve"):
        sonde.unique_sequences(sequences, "other")
