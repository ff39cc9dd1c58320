"""Finds the dictionary glosses nearest to questions: add, search, filter, remove, save and open an index.

    python usage_index.py [FOLDER]     FOLDER holds glosses.npy and questions.npy, as examples/data does

SPDX-License-Identifier: MIT
"""

import pathlib
import sys
import tempfile

import numpy as np

import sonde

folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "examples/data")
vectors = np.load(folder / "glosses.npy")
queries = np.load(folder / "questions.npy")
price = np.arange(len(vectors)) % 100

index = sonde.Index("ivf(metric=cosine)", dim=384).add(vectors)            # ids=... to bring your own
ids, scores = index.search(queries, k=10, recall=0.95)
print(f"nearest to the first question: {ids[0, 0]}, cosine {scores[0, 0]:.3f}")
ids, scores = index.search(queries, k=10, effort=64, threads=1)            # a fixed effort instead of a target
ids, scores = index.search(queries, k=10, filter=price < 20)               # mask, id array, range or callable
assert (price[ids] < 20).all()

index.remove([3, 5])
index.add(vectors[3:4], ids=[3])
print(len(index), 5 in index, index)                                       # the full spec

with tempfile.TemporaryDirectory() as place:
    index.save(f"{place}/glosses.sonde")
    with sonde.open(f"{place}/glosses.sonde", mmap=True) as opened:        # needs only a path
        again = opened.search(queries, k=10, recall=0.95)
        assert (again.ids == index.search(queries, k=10, recall=0.95).ids).all()
