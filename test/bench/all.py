"""Runs every benchmark and writes its tables into docs/benchmarks.md.

  all.py --base B.npy --queries Q.npy --train T.npy --docs docs/benchmarks.md
  all.py ... --only exact,filters --json figures.json

Each benchmark is a process of its own and gets all arguments that are not named here. In the page, the tables stand
between the lines `<!-- NAME: begin -->` and `<!-- NAME: end -->`; the tables of benchmarks that are not run stay.
"""
# SPDX-License-Identifier: MIT
import argparse
import json
import os
import subprocess
import sys
import tempfile

import measure

HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = ["exact", "kmeans", "ivf", "filters", "churn"]


def run(name, arguments, folder):
    path = os.path.join(folder, name + ".json")
    subprocess.run([sys.executable, os.path.join(HERE, name + ".py"), *arguments, "--json", path], check=True)
    with open(path) as file:
        return json.load(file)


def fill(page, result):
    """The page with the tables of one benchmark in their place."""
    begin, end = (f"<!-- {result['name']}: {side} -->\n" for side in ("begin", "end"))
    if page.count(begin) != 1 or page.count(end) != 1:
        raise SystemExit(f"the page needs the lines {begin.strip()} and {end.strip()}, once each")
    before, rest = page.split(begin)
    tables = "\n".join(measure.table_text(table) for table in result["tables"])
    return f"{before}{begin}\nMeasured {result['about']}.\n\n{tables}\n{end}{rest.split(end)[1]}"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--only", default=",".join(NAMES), help="benchmarks to run, with commas")
    p.add_argument("--docs", help="the page to write the tables into")
    p.add_argument("--json", help="write all figures to this file")
    args, rest = p.parse_known_args()
    names = args.only.split(",")
    if not set(names) <= set(NAMES):
        p.error(f"--only: there are {', '.join(NAMES)}")
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            results.append(run(name, rest, folder))
            if args.docs:  # at once, so that a benchmark that fails costs no other's figures
                with open(args.docs) as file:
                    page = fill(file.read(), results[-1])
                with open(args.docs, "w") as file:
                    file.write(page)
            if args.json:
                with open(args.json, "w") as file:
                    json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
