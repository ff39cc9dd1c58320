#!/usr/bin/env python3
"""Samplers beside what people use today, on one thread, in one run: token chains beside llama.cpp, path solvers beside
diffusers, weighted draws beside NumPy, hard negatives beside a NumPy and faiss script; and passes over 10 M rows.

    samplers.py [--parts tokens,paths,rows,negatives] [--json FILE] [--base docs.npy --queries train.npy --labels train.tsv]

It needs numpy, faiss-cpu and threadpoolctl, and for the first two parts llama-cpp-python and diffusers with torch.
Both sides take turns; the best of many turns counts. What is timed of the peers is their own work only: llama.cpp's
candidate array is filled before the clock starts, and a scheduler's model is a tensor that is there.
"""
# SPDX-License-Identifier: MIT
import argparse
import ctypes
import json
import sys
import time
from ctypes import byref, sizeof

import numpy as np

from prepared import lib, sonde
from sonde._api import sonde_ask
from sonde._arrays import address, matrix
from sonde._errors import check

TURNS = 100
LEAST_TURN = 0.01  # seconds


def alternate(tasks, turns=TURNS, budget=20.0):
    """Seconds of the best run of each task; a task is (prepare, work), and only work is timed. Short tasks run several
    times within their turn, so that none of them pays for the caches that the other has emptied."""
    best = {name: float("inf") for name in tasks}
    start = time.perf_counter()
    for turn in range(turns):
        for name, (prepare, work) in tasks.items():
            spent, runs = 0.0, 0
            while runs == 0 or spent < LEAST_TURN and runs < 20:
                prepare()
                before = time.perf_counter_ns()
                work()
                taken = (time.perf_counter_ns() - before) * 1e-9
                best[name] = min(best[name], taken)
                spent, runs = spent + taken, runs + 1
        if time.perf_counter() - start > budget and turn >= 2:
            break
    return best


def nothing():
    pass


class Table:
    def __init__(self):
        self.rows = []

    def add(self, part, what, peer, theirs, ours, goal):
        ratio = theirs / ours if theirs is not None else None
        self.rows.append({"part": part, "what": what, "peer": peer, "peer_s": theirs, "sonde_s": ours, "ratio": ratio,
                          "goal": goal})
        shown = f"{peer} {theirs * 1e6:12,.1f} us" if theirs is not None else f"{'':>20}"
        factor = f"{ratio:8.1f} x" if ratio is not None else ""
        print(f"{part:<10} {what:<44} {shown}   sonde {ours * 1e6:12,.1f} us {factor}   goal {goal}", flush=True)


# ---- Tokens ----------------------------------------------------------------------------------------------------------

CHAINS = {
    "top-k 40, top-p .95, temperature .8": (["top_k", "top_p", "temp"],
                                            "chain(top_k(k=40), top_p(mass=0.95), temperature(value=0.8))", ">= 2 x"),
    "top-p .95, temperature .8": (["top_p", "temp"], "chain(top_p(mass=0.95), temperature(value=0.8))", ">= 100 x"),
    "min-p .05, temperature .8": (["min_p", "temp"], "chain(min_p(ratio=0.05), temperature(value=0.8))", ">= 5 x"),
    "typical .9, temperature .8": (["typical", "temp"], "chain(typical(mass=0.9), temperature(value=0.8))", ">= 100 x"),
}


class Llama:
    """A chain of llama.cpp over an array of candidates."""

    def __init__(self, llama, stages, logits):
        self.llama = llama
        self.chain = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
        make = {"top_k": lambda: llama.llama_sampler_init_top_k(40), "top_p": lambda: llama.llama_sampler_init_top_p(0.95, 1),
                "min_p": lambda: llama.llama_sampler_init_min_p(0.05, 1), "temp": lambda: llama.llama_sampler_init_temp(0.8),
                "typical": lambda: llama.llama_sampler_init_typical(0.9, 1), "dist": lambda: llama.llama_sampler_init_dist(7)}
        for stage in [*stages, "dist"]:
            llama.llama_sampler_chain_add(self.chain, make[stage]())
        kind = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
        assert kind.itemsize == sizeof(llama.llama_token_data)
        self.fresh = np.zeros(len(logits), kind)
        self.fresh["id"], self.fresh["logit"] = np.arange(len(logits)), logits
        self.data = self.fresh.copy()
        self.array = llama.llama_token_data_array()

    def fill(self):
        self.data[:] = self.fresh
        self.array.data = ctypes.cast(self.data.ctypes.data, type(self.array.data))
        self.array.size, self.array.selected, self.array.sorted = len(self.data), -1, False

    def draw(self):
        self.llama.llama_sampler_apply(self.chain, byref(self.array))

    def law(self):
        """What it draws from: ids and probabilities."""
        self.fill()
        self.draw()
        kept = self.data[:self.array.size]
        return dict(zip(kept["id"].tolist(), kept["p"].tolist()))


class Chain:
    def __init__(self, spec, logits):
        self.sampler = sonde.TokenSampler(spec, len(logits), runtime=sonde.Runtime(threads=1))
        self.view, self.token = matrix(logits, "logits"), np.zeros(1, np.int32)
        self.arguments = self.sampler._handle, byref(self.view), address(self.token)
        self.logits = logits

    def draw(self):
        check(lib.sonde_token_sampler_next(*self.arguments))

    def law(self):
        found = self.sampler.filter(self.logits)
        return dict(zip(found.ids.tolist(), np.exp(found.log_probs).tolist()))


def same_law(a, b):
    """Sums of probabilities end a little differently, so a token at the border may be in one law only."""
    keys = a.keys() | b.keys()
    return sum(abs(a.get(key, 0) - b.get(key, 0)) for key in keys) / 2 < 1e-3


def rows_of_logits(vocabulary):
    """As language models give them (a Zipf head over noise), plain noise, and noise so flat that most tokens survive."""
    noise = np.random.default_rng(1).standard_normal(vocabulary)
    head = 4 * noise - 2 * np.log1p(np.random.default_rng(2).permutation(vocabulary)) + 20
    return {kind: row.astype(np.float32) for kind, row in
            (("peaked", head), ("normal", 3 * noise), ("flat", noise))}


def tokens(table, _args):
    import llama_cpp as llama
    for vocabulary in (32000, 262144):
        for kind, logits in rows_of_logits(vocabulary).items():
            for what, (stages, spec, goal) in CHAINS.items():
                theirs, ours = Llama(llama, stages, logits), Chain(spec, logits)
                if not same_law(theirs.law(), ours.law()):
                    raise SystemExit(f"{what}: the laws differ")
                best = alternate({"llama.cpp": (theirs.fill, theirs.draw), "sonde": (nothing, ours.draw)})
                goal = goal if vocabulary == 262144 else "-"
                table.add("tokens", f"{vocabulary:,} {kind}: {what}", "llama.cpp", best["llama.cpp"], best["sonde"], goal)


# ---- Paths -----------------------------------------------------------------------------------------------------------

SHAPE = (4, 4, 64, 64)
STEPS = 20


def schedulers():
    from diffusers import (DDIMScheduler, DEISMultistepScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler,
                           HeunDiscreteScheduler)
    vp = f"schedule=vp_discrete(steps={STEPS}), prediction=noise"
    multi = DPMSolverMultistepScheduler
    return {
        "Euler": (EulerDiscreteScheduler(), f"ddim({vp})"),
        "DDIM": (DDIMScheduler(), f"ddim({vp})"),
        "Heun": (HeunDiscreteScheduler(), f"rhork(tab=heun2, {vp})"),
        "DPM-Solver++ 2M": (multi(solver_order=2), f"dpmpp(order=2, {vp})"),
        "DEIS": (DEISMultistepScheduler(solver_order=2), f"deis(order=2, {vp})"),
        "DPM-Solver++ 3M": (multi(solver_order=3), f"dpmpp(order=3, {vp})"),
        "SDE-DPM-Solver++ 2M": (multi(solver_order=2, algorithm_type="sde-dpmsolver++"), f"dpmpp(order=2, sde=yes, {vp})"),
    }


class Solver:
    def __init__(self, spec, x, prediction):
        dim = int(np.prod(SHAPE[1:]))
        self.sampler = sonde.PathSampler(spec, dim, runtime=sonde.Runtime(threads=1))
        self.x, self.told = matrix(x.reshape(SHAPE[0], -1), "x"), matrix(prediction.reshape(SHAPE[0], -1), "prediction")
        self.ask = sonde_ask(size=sizeof(sonde_ask))
        self.handle, self.asks, self.tells = self.sampler._handle, byref(self.ask), byref(self.told)

    def start(self):
        check(lib.sonde_path_sampler_start(self.handle, byref(self.x)))

    def run(self):
        """All steps without a model; gives how many predictions were asked for."""
        count = 0
        while True:
            check(lib.sonde_path_sampler_ask(self.handle, self.asks))
            if self.ask.done:
                return count
            check(lib.sonde_path_sampler_tell(self.handle, self.tells))
            count += 1


class Scheduler:
    def __init__(self, scheduler, x, prediction):
        import torch
        self.torch, self.scheduler = torch, scheduler
        self.x, self.prediction = torch.from_numpy(x), torch.from_numpy(prediction)

    def start(self):
        self.scheduler.set_timesteps(STEPS)
        self.sample = self.x * self.scheduler.init_noise_sigma

    def run(self):
        count = 0
        for t in self.scheduler.timesteps:
            self.sample = self.scheduler.step(self.prediction, t, self.sample).prev_sample
            count += 1
        return count


def paths(table, _args):
    import torch
    torch.set_num_threads(1)
    rng = np.random.default_rng(2)
    x, prediction = (rng.standard_normal(SHAPE).astype(np.float32) for _ in range(2))
    for what, (scheduler, spec) in schedulers().items():
        theirs, ours = Scheduler(scheduler, x, prediction), Solver(spec, x, prediction)
        counts = {}
        for name, one in (("diffusers", theirs), ("sonde", ours)):
            one.start()
            counts[name] = one.run()
        best = alternate({"diffusers": (theirs.start, theirs.run), "sonde": (ours.start, ours.run)}, turns=40)
        table.add("paths", f"{what}, a step of {int(np.prod(SHAPE)):,} values", "diffusers",
                  best["diffusers"] / counts["diffusers"], best["sonde"] / counts["sonde"], ">= 10 x")


# ---- Rows ------------------------------------------------------------------------------------------------------------


def rows(table, _args):
    one = sonde.Runtime(threads=1)
    rng = np.random.default_rng(3)
    weights = rng.random(1_000_000).astype(np.float32)
    p = weights / weights.sum(dtype=np.float64)
    sampler = sonde.RowSampler("weighted(replace=no)", runtime=one)
    best = alternate({"numpy": (nothing, lambda: rng.choice(len(p), 10_000, replace=False, p=p)),
                      "fit and draw": (nothing, lambda: sampler.fit(weights=weights).draw(10_000)),
                      "draw": (lambda: sampler.fit(weights=weights), lambda: sampler.draw(10_000))}, turns=20)
    table.add("rows", "weighted, 10,000 of 1,000,000, with fit", "numpy", best["numpy"], best["fit and draw"], ">= 10 x")
    table.add("rows", "weighted, 10,000 of 1,000,000, fitted", "numpy", best["numpy"], best["draw"], ">= 10 x")
    many = 10_000_000
    limited = sonde.Runtime(threads=1, memory_limit=512 << 20)
    groups = rng.integers(0, 1000, many, dtype=np.int32)
    stratified = sonde.RowSampler("stratified", runtime=limited, groups=groups)
    balanced = sonde.RowSampler("tas_balanced(batch=32, clusters=2000)", runtime=limited,
                                assignment=rng.integers(0, 2000, many, dtype=np.int32))
    for what, fitted in (("stratified", stratified), ("balanced", balanced)):
        for batch in (many, 1 << 16):
            def one_pass(sampler=fitted, size=batch):
                for _ in range(0, many, size):
                    sampler.draw(size)
            best = alternate({"sonde": (lambda sampler=fitted: sampler.seek(0), one_pass)}, turns=3)
            table.add("rows", f"{what}, a pass of 10 M rows, {batch:,} a draw", "", None, best["sonde"], "<= 1 s")


# ---- Negatives -------------------------------------------------------------------------------------------------------


def positives_of(path, count):
    with open(path) as lines:
        return np.array([int(line.split("\t")[0]) for line in lines][:count])


def negatives(table, args):
    import faiss
    if not (args.base and args.queries and args.labels):
        print("negatives: give --base, --queries and --labels", file=sys.stderr)
        return
    faiss.omp_set_num_threads(1)
    count, depth = 10_000, 200
    base = np.load(args.base).astype(np.float32)
    queries = np.load(args.queries)[:count].astype(np.float32)
    relevant = positives_of(args.labels, count)
    flat = faiss.IndexFlatIP(base.shape[1])
    flat.add(base)
    ivf = faiss.index_factory(base.shape[1], "IVF1024,Flat", faiss.METRIC_INNER_PRODUCT)
    ivf.train(base)
    ivf.add(base)
    ivf.nprobe = 32

    def script(index):
        """As such scripts are written: search deeper by one, drop the positive, keep the first 200."""
        found = index.search(queries, depth + 1)[1]
        keep = found != relevant[:, None]
        order = np.argsort(~keep, axis=1, kind="stable")
        return np.take_along_axis(found, order, axis=1)[:, :depth]

    exact = script(flat)

    def overlap(found):
        return np.mean([len(np.intersect1d(a, b)) / depth for a, b in zip(exact[:500], found[:500])])

    best = alternate({"flat": (nothing, lambda: script(flat)), "ivf": (nothing, lambda: script(ivf))}, turns=2, budget=60)
    print(f"negatives: the script over IVF1024,Flat takes {best['ivf']:.2f} s, overlap {overlap(script(ivf)):.3f}")
    one = sonde.Runtime(threads=1)
    ids = np.arange(count)
    index = "ivf(nlist=1024, metric=ip, code=sq(bits=8), refine=f16)"
    for name, spec in (("exact", f"adore(index=flat(metric=ip), depth={depth})"),
                       ("ivf", f"adore(index={index}, depth={depth})"),
                       ("ivf, recall=0.8", f"adore(index={index}, depth={depth}, recall=0.8)")):
        sampler = sonde.RowSampler(spec, runtime=one, queries=queries, documents=base, positives=relevant[:, None])
        ours = alternate({"sonde": (nothing, lambda: sampler.draw(depth, query_ids=ids))}, turns=2, budget=60)["sonde"]
        drawn = sampler.draw(depth, query_ids=ids).ids.reshape(count, depth)
        assert not (drawn == relevant[:, None]).any()
        what = f"{count:,} queries x {depth}, {name} ({overlap(drawn):.3f})"
        table.add("negatives", what, "script", best["flat"], ours, ">= 5 x")


PARTS = {"tokens": tokens, "paths": paths, "rows": rows, "negatives": negatives}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--json")
    parser.add_argument("--base")
    parser.add_argument("--queries")
    parser.add_argument("--labels")
    args = parser.parse_args()
    table = Table()
    for part in args.parts.split(","):
        PARTS[part](table, args)
    if args.json:
        with open(args.json, "w") as file:
            json.dump(table.rows, file, indent=1)


if __name__ == "__main__":
    main()
