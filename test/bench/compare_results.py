"""What compare.py measured: lines of a file, curves, queries a second at a recall, CSV.

results.jsonl holds one line for each thing that happened, in the order it happened, so that an interrupted run goes on
where it was:

  {"kind": "machine", ...}                  the machine, before each run
  {"kind": "point", SWEEP, "effort", "recall", "qps"}
  {"kind": "end", SWEEP, "status", "why"}   status: ok, or failed

SWEEP: data, peer, version, setting, mode, threads; and for points build_threads, build_seconds and bytes.

SPDX-License-Identifier: MIT
"""
import csv
import json
import math
import os

TARGETS = (0.90, 0.95, 0.99)
COLUMNS = ("data", "digest", "n", "d", "queries", "metric", "peer", "version", "index", "setting", "mode", "threads",
           "status", "build_threads", "build_seconds", "bytes", "effort", "recall", "qps")


def append(path, line):
    with open(path, "a") as file:
        file.write(json.dumps(line) + "\n")


def read(path):
    if not os.path.exists(path):
        return []
    with open(path) as file:
        lines = file.read().splitlines()
    try:
        return [json.loads(line) for line in lines]
    except ValueError as error:
        raise SystemExit(f"{path}: a damaged line ({error}); remove it and run again")


class Sweep:
    """One curve: a peer's setting, searched with rising effort. status: ok, failed, or open (not ended yet)."""

    def __init__(self, line):
        self.data, self.peer, self.version, self.setting = (line[x] for x in ("data", "peer", "version", "setting"))
        self.mode, self.threads = line["mode"], line["threads"]
        self.points, self.status, self.why = {}, "open", ""

    def take(self, line):
        if line["kind"] == "point":
            self.points[json.dumps(line["effort"])] = line
        else:
            self.status, self.why = line["status"], line["why"]

    @property
    def series(self):
        return f"{self.peer} {self.setting['index']}"

    def measured(self, key):
        """build_seconds or bytes; None where nothing was measured."""
        return next((point[key] for point in self.points.values()), None)

    def curve(self):
        return [(point["recall"], point["qps"]) for point in self.points.values()]


def key(line):
    return (line["data"]["digest"], line["peer"], json.dumps(line["setting"], sort_keys=True), line["mode"],
            line["threads"])


def sweeps(lines):
    """{key: Sweep}. What was measured again, by a new version or after a failure, takes the place of the old."""
    found = {}
    for line in lines:
        if line["kind"] == "machine":
            continue
        at, known = key(line), found.get(key(line))
        if known is None or known.version != line["version"] or (known.status != "open" and line["kind"] == "point"):
            found[at] = Sweep(line)
        found[at].take(line)
    return found


def front(points):
    """The points (recall, qps, ...) that no other beats in both, by rising recall."""
    kept, fastest = [], 0
    for point in sorted(points, reverse=True):
        if point[1] > fastest:
            kept.append(point)
            fastest = point[1]
    return kept[::-1]


def qps_at(points, target):
    """Queries a second at a recall: log QPS is linear in recall between two points of the front; None: not reached."""
    best = front(points)
    above = next((i for i, point in enumerate(best) if point[0] >= target), None)
    if above is None:
        return None
    if above == 0:
        return best[0][1]
    (r0, q0), (r1, q1) = best[above - 1][:2], best[above][:2]
    share = (target - r0) / (r1 - r0)
    return math.exp(math.log(q0) * (1 - share) + math.log(q1) * share)


def rows(found, missing):
    """The rows of the CSV file: every point; every sweep without points and every missing peer has a row too."""
    for sweep in found:
        common = {**sweep.data, "data": sweep.data["name"], "peer": sweep.peer, "version": sweep.version,
                  "index": sweep.setting["index"], "setting": json.dumps(sweep.setting, sort_keys=True),
                  "mode": sweep.mode, "threads": sweep.threads, "status": sweep.status}
        for point in sweep.points.values() or [{"effort": None}]:
            yield {**common, **{name: point.get(name) for name in COLUMNS[-6:]}, "effort": json.dumps(point["effort"])}
    for peer, why in missing.items():
        yield {"peer": peer, "status": why}


def write_csv(path, found, missing):
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows(found, missing))
