"""dask_search.py: one data set, spread over the workers of a Dask cluster: shared training, shards, merged answers.

One process trains; every shard is opened from the same trained bytes and filled with rows of its own under their global
ids. A search asks all shards and joins their answers. With a fixed effort the joined answer is, hit by hit, that of one
index over all rows; so are the shards themselves once they are merged. The program checks both and fails if they
differ. A shard that fails or is late does not take the answer with it: the others' hits come back, and which shard is
missing.

    python dask_search.py [DATA]

Here the cluster is a few processes on this machine; with Client("scheduler:8786") instead of LocalCluster the same
program runs on many.

SPDX-License-Identifier: MIT
"""

import logging
import pathlib
import sys
from typing import Any, NamedTuple

import dask
import numpy as np
import sonde
from distributed import Client, Future, LocalCluster, wait
from numpy.typing import NDArray

SPEC = "ivf(nlist=64, metric=cosine)"
SHARDS = 3
K = 10
EFFORT = 8
SECONDS = 60.0  # how long a search waits for its shards
WAYS: dict[str, dict[str, Any]] = {"fixed effort": {"effort": EFFORT}, "exact": {"recall": 1}}
DATA = pathlib.Path(__file__).resolve().parent.parent / "data"
Vectors = NDArray[np.float16]


class Answer(NamedTuple):
    """The k best hits of the shards that answered, and the numbers of the shards that did not."""

    ids: NDArray[np.int64]
    scores: NDArray[np.float32]
    missing: list[int]


# ---- What runs on the workers ----------------------------------------------------------------------------------------


def read_vectors(data: str) -> Vectors:
    """Mapped, so that a worker reads no rows but its own."""
    vectors: Vectors = np.load(pathlib.Path(data) / "glosses.npy", mmap_mode="r")
    return vectors


def build_shard(trained: bytes, data: str, shard: int) -> sonde.Index:
    """Rows shard, shard + SHARDS, ...: a fair sample of all. Depends on its arguments alone, so that Dask can build the
    shard again elsewhere when its worker is lost."""
    vectors = read_vectors(data)
    rows = np.arange(shard, len(vectors), SHARDS)
    return sonde.Index.from_bytes(trained).add(vectors[rows], ids=rows)


def search_shard(shard: sonde.Index, queries: Vectors,
                 how: dict[str, Any]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    ids, scores = shard.search(queries, k=K, **how)
    return ids, scores


def shard_bytes(shard: sonde.Index) -> bytes:
    return shard.to_bytes()


# ---- What runs in the client -----------------------------------------------------------------------------------------


def train(vectors: Vectors) -> bytes:
    """The trained, empty index, from a fair sample of the rows."""
    return sonde.Index(SPEC, dim=vectors.shape[1]).train(vectors[::SHARDS]).to_bytes()


def build_shards(client: Client, trained: bytes, data: str) -> list[Future[Any]]:
    """One shard a worker, in turn. Another worker may take over if that one is gone: the scheduler keeps the arguments,
    where scattered data would be lost with the worker. (Send a path instead where the trained parts are large.)"""
    workers = sorted(client.scheduler_info()["workers"])
    shards = [client.submit(build_shard, trained, data, shard, workers=workers[shard % len(workers)],
                            allow_other_workers=True) for shard in range(SHARDS)]
    wait(shards)
    return shards


def search(client: Client, shards: list[Future[Any]], queries: Vectors, **how: Any) -> Answer:
    """Asks each shard where it lies and joins what comes back in time."""
    asked = [client.submit(search_shard, shard, queries, how) for shard in shards]
    try:
        wait(asked, timeout=SECONDS)
    except TimeoutError:
        pass  # late shards count as missing
    parts = {shard: future.result() for shard, future in enumerate(asked) if future.status == "finished"}
    if not parts:
        raise RuntimeError("no shard has answered")
    ids, scores = sonde.topk_merge(list(parts.values()), k=K, metric="cosine")
    return Answer(ids, scores, sorted(set(range(len(shards))) - set(parts)))


def merge_shards(client: Client, trained: bytes, shards: list[Future[Any]]) -> sonde.Index:
    """One index of all shards, as it would be had it been built at once. One shard at a time is in memory twice."""
    whole = sonde.Index.from_bytes(trained)
    for shard in shards:
        whole.merge(sonde.Index.from_bytes(client.submit(shard_bytes, shard).result()))
    return whole


# ---- The check -------------------------------------------------------------------------------------------------------


def expect_same(what: str, got: Any, wanted: Any) -> bool:
    same = np.array_equal(got[0], wanted[0]) and np.array_equal(got[1], wanted[1])
    print(f"{what:<58} {'equal' if same else 'DIFFERENT'}")
    return same


def check_ways(client: Client, shards: list[Future[Any]], whole: sonde.Index, joined: sonde.Index,
               queries: Vectors) -> bool:
    good = len(joined) == len(whole)
    for name, how in WAYS.items():
        wanted = whole.search(queries, k=K, **how)
        merged = search(client, shards, queries, **how)
        again = joined.search(queries, k=K, **how)
        good &= expect_same(f"{name}: {SHARDS} shards' merged answers and one index", merged, wanted)
        good &= expect_same(f"{name}: the merged index and one built at once", again, wanted)
        good &= not merged.missing
    return good


def check_missing(client: Client, trained: bytes, data: str, shards: list[Future[Any]], whole: sonde.Index,
                  queries: Vectors) -> bool:
    """Builds the last shard from damaged bytes, which it refuses: the others answer, and the answer says so."""
    lost = SHARDS - 1
    damaged = trained[:-1] + bytes([trained[-1] ^ 1])
    broken = client.submit(build_shard, damaged, data, lost)
    got = search(client, shards[:lost] + [broken], queries, recall=1)
    print(f"missing shards: {got.missing}")
    kept = np.arange(len(whole)) % SHARDS != lost
    wanted = whole.search(queries, k=K, recall=1, filter=kept)
    return expect_same("exact, one shard missing: the rows of the others", got, wanted) and got.missing == [lost]


def run(client: Client, data: str) -> bool:
    vectors = read_vectors(data)
    queries = np.load(pathlib.Path(data) / "questions.npy")
    trained = train(vectors)
    shards = build_shards(client, trained, data)
    holders = {workers[0] for workers in client.who_has(shards).values() if workers}
    print(f"{len(shards)} shards in {len(holders)} processes; {len(trained)} bytes of trained parts")
    whole = sonde.Index.from_bytes(trained).add(vectors)
    joined = merge_shards(client, trained, shards)
    good = check_ways(client, shards, whole, joined, queries)
    return check_missing(client, trained, data, shards, whole, queries) and good


def main() -> int:
    data = sys.argv[1] if len(sys.argv) > 1 else str(DATA)
    # A shard is dear to move and cheap to ask where it lies: idle workers steal no searches.
    with dask.config.set({"distributed.scheduler.work-stealing": False}), \
            LocalCluster(n_workers=SHARDS, threads_per_worker=1, dashboard_address=None,
                         silence_logs=logging.CRITICAL) as cluster, \
            Client(cluster) as client:
        return 0 if run(client, str(pathlib.Path(data).resolve())) else 1


if __name__ == "__main__":
    sys.exit(main())
