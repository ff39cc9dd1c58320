#!/usr/bin/env python3
"""Inverted files beside inverted files: Sonde's with fast-scan codes and refine tiers, and the best of faiss, scann,
rabitqlib and lorann; queries a second at recall@10 of 0.90, 0.95 and 0.99, and bytes a vector.

  lists.py --data glosses --out results --docs docs/benchmarks/quantizers.md
  lists.py --data glosses --out results --threads 1,2 --mode batch,single

This is compare.py with settings of its own: all its arguments hold, and it measures by its rules. --docs PAGE writes
the tables between the lines `<!-- lists: begin -->` and `<!-- lists: end -->`.

SPDX-License-Identifier: MIT
"""
import argparse
import os
import sys

import compare
import compare_results
import peers
from compare_results import TARGETS, qps_at
from peers.adapter import lists
from peers.faiss_cpu import pq_parts
from quantizers_page import write_tables

PEERS = ("sonde", "faiss-cpu", "scann", "rabitqlib", "lorann")
KINDS = ("ivf", "IVF-PQfs", "IVF-RaBitQfs", "tree-AH", "IVF", "LoRANN")

# ---- Settings --------------------------------------------------------------------------------------------------------


def sonde_specs(n, d):
    """The best-known first. Two columns a part where rows are long, one where they are short; and coarser codes."""
    columns = 2 if d >= 96 else 1
    m, half = pq_parts(d, columns), pq_parts(d, 2 * columns)
    ways = [f"code=pq(m={m}, bits=4), refine=f16", f"code=pq(m={m}, bits=4), refine=f16, spill=soar",
            f"code=pq(m={m}, bits=4), refine=sq(bits=8)", f"code=pq(m={half}, bits=4), refine=f16",
            "code=rabitq(bits=1), refine=sq(bits=8)"]
    return [f"ivf(nlist={nlist}, {way})" for way in ways for nlist in (lists(n) // 2, lists(n))]


def faiss_extras(n, d):
    """What peers/faiss_cpu.py leaves out: fewer lists, coarser parts, and RaBitQ codes."""
    ivf, fewer, width = f"IVF{lists(n)}", f"IVF{lists(n) // 2}", -(-d // 64) * 64
    columns, (coarse, deep) = (2, (4, [6, 20])) if d >= 96 else (1, (2, [6, 24]))
    return [{"index": "IVF-PQfs", "factory": f"{fewer},PQ{pq_parts(d, columns)}x4fs,RFlat", "factors": [3, 8]},
            {"index": "IVF-PQfs", "factory": f"{ivf},PQ{pq_parts(d, coarse)}x4fs,RFlat", "factors": deep},
            {"index": "IVF-RaBitQfs", "factory": f"RR{width},{ivf},RaBitQfs,RFlat", "factors": [8, 25]},
            {"index": "IVF-RaBitQfs", "factory": f"RR{width},{ivf},RaBitQfs4,RFlat", "factors": [1, 3]}]


def settings(name, args, about):
    """In place of compare.settings_of: inverted files only."""
    peer, n, d = peers.find(name), about["n"], about["d"]
    if name == "sonde":
        return [peer.setting(spec) for spec in (args.specs or sonde_specs(n, d))][:args.settings or None]
    known = [setting for setting in peer.settings(n, d, about["metric"]) if setting["index"] in KINDS]
    if name == "faiss-cpu":
        known += faiss_extras(n, d)
    return known[:args.settings or None]


# ---- The page --------------------------------------------------------------------------------------------------------


def size(sweep):
    """Bytes a vector of the saved index."""
    return (sweep.measured("bytes") or float("nan")) / sweep.data["n"]


def best(sweeps, target, most=float("inf")):
    """(queries a second, bytes a vector) of the fastest at a recall; (0, 0) where none gets there."""
    reached = [(qps_at(sweep.curve(), target) or 0, size(sweep)) for sweep in sweeps if sweep.points]
    return max((pair for pair in reached if pair[1] <= most), default=(0, 0))


def ratio(ours, theirs):
    return f"{ours / theirs:.2f}" if ours and theirs else None


def table(group, sweeps):
    """The fastest setting of each library at each recall, and what Sonde's is beside the best of the others."""
    by_peer = {name: [sweep for sweep in sweeps if sweep.peer == name] for name in PEERS}
    rows = []
    for name, own in by_peer.items():
        reached = [best(own, target) for target in TARGETS]
        if any(qps for qps, _ in reached):
            rows.append([name] + [f"{qps:,.0f} ({held:,.0f})" if qps else None for qps, held in reached])
    others = [sweep for sweep in sweeps if sweep.peer != "sonde"]
    rivals = [best(others, target) for target in TARGETS]
    for what, limit in (("Sonde / best of the others", None), ("the same, in no more bytes", 1)):
        rows.append([what] + [ratio(best(by_peer["sonde"], target, rival[1] if limit else float("inf"))[0], rival[0])
                              for target, rival in zip(TARGETS, rivals)])
    data, mode, threads = group
    how = "all queries in a call" if mode == "batch" else "one query a call"
    return {"title": f"**{data['name']}**, {data['n']:,} x {data['d']}, {data['metric']}; {threads} search "
                     f"thread{'s' * (threads > 1)}, {how}: queries a second (bytes a vector) at recall@10",
            "columns": ["library", *(f"{target:.2f}" for target in TARGETS)], "rows": rows}


def result(lines, machine):
    """What write_tables() takes."""
    groups = {}
    for sweep in compare_results.sweeps(lines).values():
        if sweep.setting["index"] in KINDS and sweep.points:
            groups.setdefault((sweep.data["digest"], sweep.mode, sweep.threads), []).append(sweep)
    versions = sorted({f"{sweep.peer} {sweep.version}" for group in groups.values() for sweep in group})
    tables = [table((group[0].data, mode, threads), group) for (_, mode, threads), group in sorted(groups.items())]
    about = f"{machine['date']}; {machine['processor']}, {machine['processors']} processors; {'; '.join(versions)}"
    return {"name": "lists", "about": about, "tables": tables}


def main(words=None):
    p = argparse.ArgumentParser(add_help=False)
    p.add_argument("--docs")
    args, rest = p.parse_known_args(words)
    if "--peers" not in rest:
        known = [name for name in PEERS if name in peers.NAMES]
        rest += ["--peers", ",".join(known)]
    compare.settings_of = settings
    status = compare.main(rest)
    if args.docs:
        out = compare.parse_arguments(rest).out
        lines = compare_results.read(os.path.join(out, "results.jsonl"))
        machine = next(line for line in reversed(lines) if line["kind"] == "machine")
        write_tables(args.docs, result(lines, machine))
    return status


if __name__ == "__main__":
    sys.exit(main())
