#!/usr/bin/env python3
"""Sonde beside other libraries on one data set: recall, queries a second, build time, bytes; CSV and a page with plots.

  compare.py --data glosses --out results                          all peers, one search thread, all queries in a call
  compare.py --data glosses --out results --threads 1,2 --mode batch,single
  compare.py --data glosses --out results --peers sonde,hnswlib --specs 'ivf(nlist=512)' 'ivf(code=sq(bits=8))'

Each setting of each peer is built and measured in a process of its own; what is measured already in --out is not
measured again. peers/process.py has the rules, compare_data.py says what a data folder holds, README.md the rest.

SPDX-License-Identifier: MIT
"""
import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time

import numpy as np

import compare_data
import compare_page
import compare_results
import peers

HERE = os.path.dirname(os.path.abspath(__file__))
CPUS = len(os.sched_getaffinity(0))
MODES = ("batch", "single")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

# ---- Arguments -------------------------------------------------------------------------------------------------------


def some_of(known):
    def parse(text):
        for word in text.split(","):
            if word not in known:
                raise argparse.ArgumentTypeError(f"{word} is unknown; it can be: {', '.join(known)}")
        return text.split(",")
    return parse


def thread_counts(text):
    counts = [CPUS if word == "all" else int(word) for word in text.split(",")]
    if not all(1 <= count <= CPUS for count in counts):
        raise argparse.ArgumentTypeError(f"this process may use 1 to {CPUS} processors")
    return counts


def parse_arguments(words):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", required=True, help="folder with base.npy and query.npy, or docs.npy and queries.dev.npy")
    p.add_argument("--out", required=True, help="folder for results.jsonl, results.csv and report.html")
    p.add_argument("--metric", choices=compare_data.METRICS, help="instead of that in meta.json")
    p.add_argument("--rows", type=int, default=0, help="index only the first so many rows")
    p.add_argument("--queries", type=int, default=0, help="ask only the first so many queries")
    p.add_argument("--write-gt", action="store_true", help="write missing exact neighbours into the data folder")
    p.add_argument("--peers", type=some_of(peers.NAMES), default=list(peers.NAMES), help="with commas (default: all)")
    p.add_argument("--specs", nargs="+", metavar="SPEC", help="the indexes of Sonde (default: some for this many rows)")
    p.add_argument("--settings", type=int, default=0, help="take only the first so many settings of each peer")
    p.add_argument("--threads", type=thread_counts, default=[1], help="search threads, such as 1,2,all (default: 1)")
    p.add_argument("--mode", type=some_of(MODES), default=["batch"], help="batch: all queries in a call; single: one")
    p.add_argument("--build-threads", type=int, default=CPUS)
    p.add_argument("--passes", type=int, default=3)
    p.add_argument("--enough", type=float, default=0.993, help="a curve ends at this recall")
    p.add_argument("--longest", type=float, default=8, help="a curve ends after a pass of so many seconds")
    p.add_argument("--timeout", type=float, default=900, help="seconds for one setting, build included")
    args = p.parse_args(words)
    if args.write_gt and (args.rows or args.queries):
        p.error("--write-gt is for all rows and queries of --data, not for --rows or --queries")
    return args


# ---- What is to be done ----------------------------------------------------------------------------------------------


def machine():
    name = platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            name = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), name)
    except OSError:
        pass
    return {"kind": "machine", "processor": name, "processors": CPUS, "system": platform.system(),
            "python": platform.python_version(), "date": time.strftime("%Y-%m-%d")}


def check_machine(lines, here):
    """Figures of two machines on one page would be compared."""
    for there in (line for line in lines if line["kind"] == "machine"):
        if (there["processor"], there["processors"]) != (here["processor"], here["processors"]):
            raise SystemExit(f"--out has results of another machine ({there['processor']}); name another folder")


def settings_of(name, args, about):
    peer = peers.find(name)
    if name == "sonde" and args.specs:
        return [peer.setting(spec) for spec in args.specs]
    return peer.settings(about["n"], about["d"], about["metric"])[:args.settings or None]


def jobs(args, about, found):
    """One for each setting of each peer that has a sweep to do: not measured yet, failed, or of another version."""
    for name in args.peers:
        peer = peers.find(name)
        if peer.missing():
            continue
        for setting in settings_of(name, args, about):
            line = {"data": about, "peer": name, "version": peer.version(), "setting": setting}
            todo = []
            for threads in sorted(args.threads, reverse=True):
                for mode in args.mode:
                    done = found.get(compare_results.key({**line, "mode": mode, "threads": threads}))
                    if done is None or done.status != "ok" or done.version != line["version"]:
                        todo.append((mode, threads))
            if todo:
                yield {"peer": name, "setting": setting, "line": line, "sweeps": todo}


def exact_neighbours(data, threads):
    """By Sonde's flat index, which scores every row."""
    peer = peers.find("sonde")()
    if why := peer.missing():
        raise SystemExit(f"there is no gt.npy, and Sonde, which could make it, is missing: {why}")
    peer.build(data.base, data.metric, peer.setting("flat"), threads)
    return peer.search(data.query, min(100, len(data.base)), peer.efforts()[0], threads)


def truth_path(args, data, digest):
    """A file with the exact neighbours, in --out, so that it outlives an interrupted run."""
    path = os.path.join(args.out, f"gt-{digest}.npy")
    if not os.path.exists(path):
        truth = None if args.rows else compare_data.given_truth(args.data, data)
        if truth is None:
            truth = exact_neighbours(data, args.build_threads)
            compare_data.check_truth(truth, data, "the exact neighbours found by Sonde")
            if args.write_gt:
                np.save(os.path.join(args.data, "gt.npy"), truth)
        np.save(path, truth)
    return path


# ---- Doing it --------------------------------------------------------------------------------------------------------


def environment(args):
    count = str(max([args.build_threads, *args.threads]))
    path = os.pathsep.join(filter(None, [HERE, os.environ.get("PYTHONPATH")]))
    return {**os.environ, **dict.fromkeys(THREAD_VARIABLES, count), "PYTHONPATH": path}


def run(job, args):
    """Runs the process of a job. Returns why it failed, or ""."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([sys.executable, "-m", "peers.process", json.dumps(job)], env=environment(args),
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        try:
            code = process.wait(args.timeout)
        except subprocess.TimeoutExpired:
            code = f"no end after {args.timeout:g} s"
        finally:
            process.kill()
            process.wait()
        log.seek(0)
        said = log.read().decode(errors="replace").strip().splitlines()[-3:]
    if code == 0:
        return ""
    why = code if isinstance(code, str) else f"signal {-code}" if code < 0 else f"exit code {code}"
    return "; ".join([why, *said])


def note_failure(job, why, results):
    """Sweeps that ended before the process failed are good."""
    found = compare_results.sweeps(compare_results.read(results))
    for mode, threads in job["sweeps"]:
        line = {**job["line"], "mode": mode, "threads": threads}
        sweep = found.get(compare_results.key(line))
        if sweep is None or sweep.status != "ok" or sweep.version != line["version"]:
            compare_results.append(results, {"kind": "end", **line, "status": "failed", "why": why})


def run_all(todo, common, args, results):
    """True if every process came to its end."""
    good = True
    for number, job in enumerate(todo, 1):
        print(f"[{number}/{len(todo)}] {job['peer']} {compare_page.setting_text(job['setting'])}: ", end="", flush=True)
        begin = time.monotonic()
        why = run({**job, **common}, args)
        if why:
            good = False
            note_failure(job, why, results)
        print(f"{time.monotonic() - begin:.0f} s {why}", flush=True)
    return good


def write_reports(folder, lines, missing):
    found = list(compare_results.sweeps(lines).values())
    here = next(line for line in reversed(lines) if line["kind"] == "machine")
    compare_results.write_csv(os.path.join(folder, "results.csv"), found, missing)
    path = os.path.join(folder, "report.html")
    with open(path, "w") as file:
        file.write(compare_page.page(here, found, missing))
    print(path)


def prepare(args, results):
    """What all processes are told, and what the figures say about the data."""
    source = {"folder": os.path.abspath(args.data), "rows": args.rows, "queries": args.queries, "metric": args.metric}
    data = compare_data.load(**source)
    about = data.about()
    return {"data": source, "truth": os.path.abspath(truth_path(args, data, about["digest"])),
            "results": os.path.abspath(results), "build_threads": args.build_threads,
            "rules": {"passes": args.passes, "enough": args.enough, "longest": args.longest}}, about


def main(words=None):
    args = parse_arguments(words)
    os.makedirs(args.out, exist_ok=True)
    results = os.path.join(args.out, "results.jsonl")
    lines, here = compare_results.read(results), machine()
    check_machine(lines, here)
    missing = {name: why for name in args.peers if (why := peers.find(name).missing())}
    for name, why in missing.items():
        print(f"{name}: {why}", flush=True)
    common, about = prepare(args, results)
    compare_results.append(results, here)
    todo = list(jobs(args, about, compare_results.sweeps(lines)))
    good = run_all(todo, common, args, results)
    write_reports(args.out, compare_results.read(results), missing)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
