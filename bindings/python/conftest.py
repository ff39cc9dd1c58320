"""What the tests share: seeded vectors, exact answers by NumPy, and children that run a piece of Python.

SPDX-License-Identifier: MIT
"""

import subprocess
import sys

import numpy as np
import pytest


@pytest.fixture
def rng():
    return np.random.default_rng(20240607)


@pytest.fixture
def vectors(rng):
    return rng.standard_normal((2000, 32), dtype=np.float32)


@pytest.fixture
def queries(rng):
    return rng.standard_normal((20, 32), dtype=np.float32)


def exact_scores(queries, vectors, metric):
    """Scores by the definitions, in float64."""
    q, x = np.asarray(queries, np.float64), np.asarray(vectors, np.float64)
    if metric == "l2":
        return ((q[:, None, :] - x[None, :, :]) ** 2).sum(axis=2)
    if metric == "cosine":
        q, x = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (q, x))
    return q @ x.T


def nearest(scores, metric, k):
    """Positions of the k best of each row, best first."""
    return np.argsort(scores if metric == "l2" else -scores, axis=1, kind="stable")[:, :k]


# Whoever starts the tests in the background makes their children ignore Ctrl-C.
PREPARED = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"


def run_child(code, *arguments, **options):
    """A piece of Python in a process of its own; its output."""
    done = subprocess.run([sys.executable, "-c", PREPARED + code, *map(str, arguments)], capture_output=True, text=True,
                          timeout=120, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
