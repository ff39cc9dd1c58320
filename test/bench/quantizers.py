#!/usr/bin/env python3
"""What codes keep of the nearest neighbours, and what they cost: all quantizers of Sonde beside faiss and rabitqlib.

  quantizers.py --data glosses --out results --docs docs/benchmarks/quantizers.md     recall against bits a vector
  quantizers.py --data glosses --out results --docs ... --parts speed                 training and encoding, one thread
  quantizers.py --data words --out results --only rq,pq                               families that begin so

quantizer_codes.py says what is compared, compare_data.py what a data folder holds. Every code is measured in a process
of its own (speed: with the code it is compared with, in turns). What is measured stands in --out and is not measured
again, unless the library is another; the page shows all data sets of --out.

SPDX-License-Identifier: MIT
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import types

import numpy as np

import compare
import compare_data
import compare_results
import quantizer_codes
import quantizers_page

PARTS = ("quality", "speed")
K, MANY = compare_data.K, 100
ERROR_ROWS = 16384   # whose reconstructions are looked at
ENCODED_ROWS = 32768  # in the measurement of speed


def parse_arguments(words):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", help="folder with base.npy and query.npy, or docs.npy and queries.dev.npy; "
                                  "without it the page is written of what --out holds")
    p.add_argument("--out", required=True, help="folder for quantizers.jsonl")
    p.add_argument("--docs", help="the page to write the tables into; its plot gets the same name, ending in .svg")
    p.add_argument("--parts", type=compare.some_of(PARTS), default=["quality"], help="quality, speed, or both")
    p.add_argument("--only", default="", help="families, by how their names begin, with commas")
    p.add_argument("--libraries", type=compare.some_of(quantizer_codes.LIBRARIES),
                   default=list(quantizer_codes.LIBRARIES), help="with commas (default: all)")
    p.add_argument("--metric", choices=compare_data.METRICS, help="instead of that in meta.json")
    p.add_argument("--rows", type=int, default=0, help="only the first so many rows")
    p.add_argument("--queries", type=int, default=1000, help="so many queries, evenly spread over those there are")
    p.add_argument("--threads", type=int, default=compare.CPUS, help="of the measurement of quality")
    p.add_argument("--passes", type=int, default=3, help="speed: turns each code gets")
    p.add_argument("--budget", type=float, default=60, help="speed: seconds for one comparison (at least two turns)")
    p.add_argument("--timeout", type=float, default=1800, help="seconds for one code")
    return p.parse_args(words)


# ---- One measurement, in a process of its own ------------------------------------------------------------------------


def found(data, ids, edge):
    """Share of the K nearest that is among the ids. Any row as near as the last of them is right."""
    hits = 0
    for i in range(0, len(ids), 64):
        near = compare_data.scores(data, data.query[i:i + 64], ids[i:i + 64]) >= edge[i:i + 64, None]
        hits += np.minimum(near.sum(axis=1), K).sum()
    return float(hits / len(ids) / K)


def error(data, code):
    """Mean of |x - x'|^2 / |x|^2; None where codes have no way back."""
    if not code.decodes:
        return None
    rows = quantizer_codes.spread(data.base, ERROR_ROWS)
    near = code.decode(code.encode(rows))
    rows = rows.astype(np.float64)
    return float((((rows - near) ** 2).sum(axis=1) / np.maximum((rows ** 2).sum(axis=1), 1e-30)).mean())


def measure_quality(data, setting, job):
    code = quantizer_codes.make(setting, data, job["threads"])
    begin = time.perf_counter()
    code.train(data.base)
    ids = code.search(data.base, data.query, MANY)
    edge = compare_data.edges(data, np.load(job["truth"]))
    return {"bytes": code.bytes(), "recall": found(data, ids[:, :K], edge), "recall_of_many": found(data, ids, edge),
            "error": error(data, code), "seconds": round(time.perf_counter() - begin, 1)}


def measure_speed(data, settings, job):
    """Codes take turns, on one thread."""
    import measure  # needs faiss
    rows, codes = quantizer_codes.spread(data.base, ENCODED_ROWS), {}

    def learn(i):  # anew: faiss does not train again what is trained
        codes[i] = quantizer_codes.make(settings[i], data, 1)
        codes[i].train(data.base)

    measure.use_threads(1)
    rules = types.SimpleNamespace(passes=job["passes"], budget=job["budget"])
    train = measure.alternate({i: lambda i=i: learn(i) for i in range(len(settings))}, rules)
    encode = measure.alternate({i: lambda code=code: code.encode(rows) for i, code in codes.items()}, rules)
    return [{"bytes": code.bytes(), "train_seconds": train[i], "rows_a_second": len(rows) / encode[i]}
            for i, code in sorted(codes.items())]


def load(source):
    """With queries from all over the file: neighbouring ones are often alike."""
    data = compare_data.load(**{**source, "queries": 0})
    queries = quantizer_codes.spread(data.query, source["queries"] or len(data.query))
    return compare_data.Data(data.base, queries, data.metric, data.name)


def work(job):
    data, settings = load(job["data"]), job["settings"]
    done = [measure_quality(data, settings[0], job)] if job["part"] == "quality" else measure_speed(data, settings, job)
    for line, figures in zip(job["lines"], done):
        compare_results.append(job["results"], {**line, **figures})


# ---- All of them -----------------------------------------------------------------------------------------------------


def key(line):
    """What a measurement is of. Figures of speed belong to the comparison they were taken in, whatever the measure."""
    what = line["setting"] if line["part"] == "quality" else [line["pair"], quantizer_codes.text(line["setting"])]
    return json.dumps([line["part"], line["data"]["digest"], what], sort_keys=True)


def jobs(args, about, lines):
    """A job for each code (quality), or for each comparison (speed), that is not measured yet."""
    known = {key(line): line for line in lines}
    for part in args.parts:
        for family, ours, others in quantizer_codes.pairs(about["d"], about["metric"]):
            if not family.startswith(tuple(args.only.split(","))):
                continue
            settings = [setting for setting in (ours, *others) if setting["library"] in args.libraries
                        and not quantizer_codes.missing(setting)]
            for group in ([[setting] for setting in settings] if part == "quality" else [settings]):
                new = [{"part": part, "data": about, "family": family, "pair": quantizer_codes.text(ours),
                        "setting": setting, "version": quantizer_codes.version(setting)} for setting in group]
                if any(key(line) not in known or known[key(line)]["version"] != line["version"]
                       or "failed" in known[key(line)] for line in new):
                    yield {"part": part, "settings": group, "lines": new}
                known |= {key(line): line for line in new}


def run(job, args):
    """Why the process of a job failed, or ""."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([sys.executable, __file__, "--job", json.dumps(job)], stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=subprocess.STDOUT)
        try:
            code = process.wait(args.timeout)
        except subprocess.TimeoutExpired:
            code = f"no end after {args.timeout:g} s"
        finally:
            process.kill()
            process.wait()
        log.seek(0)
        said = log.read().decode(errors="replace").strip().splitlines()[-1:]
    return "" if code == 0 else "; ".join([str(code), *said])


def truth_path(args, data, digest):
    """A file with the exact neighbours, in --out."""
    path = os.path.join(args.out, f"gt-{digest}.npy")
    if not os.path.exists(path):
        truth = compare.exact_neighbours(data, args.threads)
        compare_data.check_truth(truth, data, "the exact neighbours found by Sonde")
        np.save(path, truth)
    return os.path.abspath(path)


def measure_all(args, results):
    """True if every process came to its end."""
    source = {"folder": os.path.abspath(args.data), "rows": args.rows, "queries": args.queries, "metric": args.metric}
    data = load(source)
    about = data.about()
    common = {"data": source, "truth": truth_path(args, data, about["digest"]), "results": os.path.abspath(results),
              "threads": args.threads, "passes": args.passes, "budget": args.budget}
    del data
    good = True
    todo = list(jobs(args, about, compare_results.read(results)))
    for number, job in enumerate(todo, 1):
        names = " | ".join(quantizer_codes.text(setting) for setting in job["settings"])
        print(f"[{number}/{len(todo)}] {job['part']} {names}: ", end="", flush=True)
        begin = time.monotonic()
        if why := run({**job, **common}, args):
            good = False
            for line in job["lines"]:
                compare_results.append(results, {**line, "failed": why})
        print(f"{time.monotonic() - begin:.0f} s {why}", flush=True)
    return good


def main(words=None):
    args = parse_arguments(words)
    os.makedirs(args.out, exist_ok=True)
    results = os.path.join(args.out, "quantizers.jsonl")
    good = not args.data or measure_all(args, results)
    if args.docs:
        lines = list({key(line): line for line in compare_results.read(results)}.values())
        quantizers_page.write_tables(args.docs, quantizers_page.result(lines, compare.machine()))
        with open(os.path.splitext(args.docs)[0] + ".svg", "w") as file:
            file.write(quantizers_page.plot(lines))
    return 0 if good else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--job"]:
        work(json.loads(sys.argv[2]))
    else:
        sys.exit(main())
