"""The data that compare.py measures on, and what counts as right.

A folder holds base.npy and query.npy (or docs.npy and queries.dev.npy), f16 or f32, and may hold gt.npy (ids of the
exact neighbours, one row a query) and meta.json ({"metric": "l2" | "ip" | "cosine"}). Cosine is measured as the inner
product of rows scaled to length 1, which every peer knows.

SPDX-License-Identifier: MIT
"""
import hashlib
import json
import os

import numpy as np

K = 10
NAMES = (("base.npy", "query.npy"), ("docs.npy", "queries.dev.npy"))
METRICS = ("l2", "ip", "cosine")
TIE = 1e-6   # scores that differ by less, relative to their size, are equal: what f32 sums may differ by
CHECKED = 20  # queries whose given neighbours are checked against all rows


class Data:
    """Rows to index, queries, the metric (l2 or ip), and, as about(), what the figures say about them."""

    def __init__(self, base, query, metric, name):
        if metric == "cosine":
            base, query, metric = unit(base), unit(query), "ip"
        self.base, self.query, self.metric, self.name = base, query, metric, name

    def about(self):
        return {"name": self.name, "n": len(self.base), "d": self.base.shape[1], "queries": len(self.query),
                "metric": self.metric, "digest": digest(self.base, self.query, self.metric)}


def unit(rows):
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1)


def digest(base, query, metric):
    """Tells data sets of the same name apart."""
    hashed = hashlib.blake2b(metric.encode(), digest_size=6)
    hashed.update(base)
    hashed.update(query)
    return hashed.hexdigest()


def matrix(path, limit):
    rows = np.load(path, mmap_mode="r")
    if rows.ndim != 2 or not len(rows):
        raise SystemExit(f"{path}: a matrix with rows is wanted, this has the shape {rows.shape}")
    return np.ascontiguousarray(rows[:limit or len(rows)], dtype=np.float32)


def metric_of(folder, base):
    """From meta.json; without it, rows of length 1 have one order of neighbours under every metric."""
    path = os.path.join(folder, "meta.json")
    if os.path.exists(path):
        with open(path) as file:
            return json.load(file)["metric"]
    if np.abs(np.linalg.norm(base[:1000], axis=1) - 1).max() > 5e-3:
        raise SystemExit(f"{folder} has no meta.json and its rows are not of length 1: say --metric")
    return "ip"


def load(folder, rows=0, queries=0, metric=None):
    """The data of a folder; rows, queries: take only the first so many (0: all)."""
    pair = next((pair for pair in NAMES if all(os.path.exists(os.path.join(folder, name)) for name in pair)), None)
    if pair is None:
        raise SystemExit(f"{folder}: there must be {' or '.join(' and '.join(pair) for pair in NAMES)}")
    base, query = (matrix(os.path.join(folder, name), limit) for name, limit in zip(pair, (rows, queries)))
    if base.shape[1] != query.shape[1]:
        raise SystemExit(f"{folder}: rows have {base.shape[1]} columns, queries {query.shape[1]}")
    metric = metric or metric_of(folder, base)
    if metric not in METRICS:
        raise SystemExit(f"{folder}: metric {metric}; it can be {', '.join(METRICS)}")
    return Data(base, query, metric, os.path.basename(os.path.abspath(folder)))


def given_truth(folder, data):
    """gt.npy for the queries at hand; None where there is none."""
    path = os.path.join(folder, "gt.npy")
    if not os.path.exists(path):
        return None
    truth = np.load(path)[:len(data.query)]
    check_truth(truth, data, path)
    return truth


def scores(data, queries, ids):
    """Larger is nearer, in double precision; -inf where the id is none."""
    known = (ids >= 0) & (ids < len(data.base))
    rows = data.base[np.where(known, ids, 0)].astype(np.float64)
    queries = queries[:, None, :].astype(np.float64)
    nearness = -((rows - queries) ** 2).sum(2) if data.metric == "l2" else (rows * queries).sum(2)
    return np.where(known, nearness, -np.inf)


def edges(data, truth, k=K):
    """The score of the k-th nearest row of each query, less what counts as a tie."""
    edge = np.concatenate([scores(data, data.query[i:i + 256], truth[i:i + 256, :k]).min(axis=1)
                           for i in range(0, len(truth), 256)])
    return edge - TIE * np.maximum(np.abs(edge), 1e-30)


def recall(data, ids, edge, k=K):
    """Share of the k nearest that was found. Any row as near as the last of them is right: ties cost nothing."""
    ids = np.sort(np.asarray(ids).astype(np.int64)[:, :k], axis=1)
    ids[:, 1:][ids[:, 1:] == ids[:, :-1]] = -1  # a row that is named twice counts once
    right = sum((scores(data, data.query[i:i + 256], ids[i:i + 256]) >= edge[i:i + 256, None]).sum()
                for i in range(0, len(ids), 256))
    return float(right / (len(ids) * min(k, len(data.base))))


def check_truth(truth, data, path):
    """A file made for another metric or other rows would make every figure wrong."""
    k = min(K, len(data.base))
    if truth.ndim != 2 or len(truth) != len(data.query) or truth.shape[1] < k:
        raise SystemExit(f"{path}: shape {truth.shape}; {len(data.query)} rows of at least {k} ids are wanted")
    some = np.unique(np.linspace(0, len(truth) - 1, CHECKED).astype(int))
    every = np.arange(len(data.base))
    for i in some:
        near = np.concatenate([scores(data, data.query[i:i + 1], every[None, a:a + 65536])[0]
                               for a in range(0, len(every), 65536)])
        best = np.sort(near)[-k]
        if scores(data, data.query[i:i + 1], truth[i:i + 1, :k]).min() < best - TIE * max(abs(best), 1e-30):
            raise SystemExit(f"{path}: these are not the {k} nearest rows of query {i} under metric {data.metric}")
