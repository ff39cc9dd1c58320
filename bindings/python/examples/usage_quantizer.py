"""Packs vectors of 1,536 bytes into 24 and unpacks them: train, encode, decode, scores on codes.

    python usage_quantizer.py [FOLDER]     FOLDER holds glosses.npy and questions.npy, as examples/data does

SPDX-License-Identifier: MIT
"""

import pathlib
import sys

import numpy as np

import sonde

folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "examples/data")
vectors = np.load(folder / "glosses.npy").astype(np.float32)
queries = np.load(folder / "questions.npy")

pq = sonde.Quantizer("opq(m=48, code=pq(bits=4))", dim=384).train(vectors, progress=True)
codes = pq.encode(vectors)
approx = pq.decode(codes)
error = ((approx - vectors) ** 2).sum(axis=1).mean()
print(f"{vectors[0].nbytes} bytes became {pq.code_bytes}; mean squared error {error:.3f}")

scores = pq.distances(queries[:1], codes, "ip")                            # on the codes, nothing is unpacked
print(f"best of {len(codes)} for the first question: {scores.argmax()}, inner product {scores.max():.3f}")
