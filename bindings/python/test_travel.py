"""Handles that travel: pickles, copies, joblib, processes; and handles that are alive when Python ends.

SPDX-License-Identifier: MIT
"""

import concurrent.futures
import copy
import multiprocessing
import os
import pickle

import joblib
import numpy as np
import pytest
from conftest import run_child

import sonde


def search(index, queries):
    return index.search(queries, k=5).ids


@pytest.fixture
def index(vectors):
    return sonde.Index("ivf(nlist=16)", dim=32, runtime=sonde.Runtime(threads=2)).add(vectors)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_of_each_noun(index, vectors, protocol):
    nouns = [index, sonde.Quantizer("pq(m=8)", 32).train(vectors), sonde.Transform("rotation", 32)]
    for noun in nouns:
        again = pickle.loads(pickle.dumps(noun, protocol))
        assert type(again) is type(noun) and again.to_bytes() == noun.to_bytes()
    assert pickle.loads(pickle.dumps(index, protocol)).runtime.threads == 2


def test_out_of_band_buffers(index, queries):
    buffers = []
    small = pickle.dumps(index, 5, buffer_callback=buffers.append)
    assert len(small) < 1000 and sum(buffer.raw().nbytes for buffer in buffers) == len(index.to_bytes())
    assert (search(pickle.loads(small, buffers=buffers), queries) == search(index, queries)).all()


def test_hits_can_be_pickled(index, queries):
    hits = index.search(queries)
    again = pickle.loads(pickle.dumps(hits))
    assert (again.ids == hits.ids).all() and (again.count == hits.count).all() and (again.reason == hits.reason).all()


def test_deepcopy_is_apart(index, vectors):
    for made in (copy.deepcopy(index), copy.copy(index)):
        made.remove([1, 2, 3])
        assert len(made) == 1997 and len(index) == 2000


def test_a_mapped_index_travels_by_its_path(index, queries, vectors, tmp_path):
    path = tmp_path / "x.sonde"
    index.save(path)
    mapped = sonde.open(path, mmap=True)
    data = pickle.dumps(mapped)
    assert len(data) < 4000
    again = pickle.loads(data)
    assert (search(again, queries) == search(index, queries)).all() and again.stats().mapped_bytes > 0
    index.add(vectors[:1], ids=[5000])
    index.save(path)
    with pytest.raises(sonde.Incompatible, match="the file has changed since the mapped index was pickled"):
        pickle.loads(data)
    with pytest.raises(sonde.Incompatible, match="changed since it was mapped"):
        pickle.dumps(mapped)
    damaged = bytearray(path.read_bytes())
    fresh = pickle.dumps(sonde.open(path, mmap=True))
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(sonde.Corrupt, match="checksum"):
        pickle.loads(fresh)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes(index, queries, method):
    expected = search(index, queries)
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        found = pool.map(search, [index] * 3, [queries] * 3)
        assert all((ids == expected).all() for ids in found)


def test_a_forked_child_uses_the_parents_index(index, queries):
    """Without a pickle: the index made, and its threads started, before the fork."""
    expected = search(index, queries)
    child = os.fork()
    if child == 0:
        same = (search(index, queries) == expected).all()
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_joblib(index, queries, tmp_path):
    expected = search(index, queries)
    found = joblib.Parallel(n_jobs=2)(joblib.delayed(search)(index, part) for part in np.array_split(queries, 3))
    assert (np.concatenate(found) == expected).all()
    joblib.dump(index, tmp_path / "x.joblib")
    assert (search(joblib.load(tmp_path / "x.joblib"), queries) == expected).all()
    memory = joblib.Memory(tmp_path / "cache", verbose=0)
    assert (memory.cache(search)(index, queries) == expected).all()


EXIT = """
import sys, threading, time
import numpy as np, sonde
rows = np.random.default_rng(1).standard_normal((50_000, 64), dtype=np.float32)
index = sonde.Index("flat", dim=64).add(rows)
kept = [index, sonde.Quantizer("sq", 64).train(rows), sonde.Transform("rotation", 64), sonde.Runtime()]
sys.modules["kept"] = kept
cycle = [index]; cycle.append(cycle)
if sys.argv[1] == "busy":
    for _ in range(3):
        threading.Thread(target=lambda: [index.search(rows[:5000]) for _ in range(1000)], daemon=True).start()
    time.sleep(0.3)
print("end")
"""


@pytest.mark.parametrize("how", ["idle", "busy"])
def test_python_ends_with_live_handles(how):
    """Again and again: daemon threads are somewhere else in C each time."""
    for _ in range(6):
        assert run_child(EXIT, how) == "end\n"
