#!/usr/bin/env python3
"""Experiments: for each method one command that shows its paper's effect on real data, or says that it does not appear.

    run.py --list                            what there is
    run.py NAME ... [--data FOLDER]          runs some; all without a name
    run.py --page                            writes README.md anew from results/

FOLDER is the folder with glosses/ and tokens/ (see README.md). Each experiment leaves results/NAME.json and plots/NAME.svg,
here, or below lib/experiments where it ran on examples/data. It needs numpy and matplotlib (requirements.txt), and
lib/libsonde.so (`make`).

An experiment is a function in rows_*.py, tokens.py or paths.py with the decorator `experiment`; it gets the data folder and returns
a Result.

SPDX-License-Identifier: MIT
"""

import argparse
import dataclasses
import importlib
import json
import os
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
os.environ.setdefault("SONDE_LIBRARY", str(ROOT / "lib/libsonde.so"))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small products, which many threads only slow down
sys.path.insert(0, str(ROOT / "bindings/python"))
sys.path.insert(0, str(HERE))

MODULES = ("rows_draws", "rows_negatives", "rows_guards", "tokens", "paths")
EXAMPLES = ROOT / "examples/data"
HEAD = """# Experiments

What each sampler does on real data, beside the simplest baseline: the effect of its paper, or the sentence that it does
not appear here. One command repeats a line:

```
pip install -r docs/experiments/requirements.txt       # numpy, matplotlib
make experiments ARGS="NAME --data FOLDER"             # all without NAME
```

FOLDER holds `glosses/` (dictionary glosses and sentences, embedded) and `tokens/`; without it, experiments run on the
smaller `examples/data` where they can. Paths take closed-form Gaussian mixtures as their model. Figures are of one run;
seeds are fixed, so another run gives the same up to the last bits of other machines.

| method | what is measured | baseline | with the method | effect | plot |
| --- | --- | --- | --- | --- | --- |
"""


@dataclasses.dataclass
class Result:
    """What an experiment found. series: name -> (x, y) for the plot; notes: one or two sentences of honest words."""

    method: str        # as in specs
    measures: str      # what the two figures are, in a few words
    baseline: str      # its name and figure
    figure: str        # the method's
    verdict: str       # "shown", "partly", "not here", each with a reason if it is not the first
    notes: str
    series: dict = dataclasses.field(default_factory=dict)
    x_label: str = ""
    y_label: str = ""
    log: str = ""      # axes with a logarithmic scale: "", "x", "y" or "xy"
    seconds: float = 0.0  # of processor time


EXPERIMENTS = {}


def experiment(name):
    """Registers a function (data folder) -> Result under a name: that of the method, or METHOD-what."""
    def register(function):
        EXPERIMENTS[name] = function
        return function
    return register


def place(data, what):
    """Results of the full data stay in the repository; those of the examples are for a look only."""
    folder = (ROOT / "lib/experiments" if data == EXAMPLES else HERE) / what
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def plot(path, name, result):
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = name  # the same bytes each time
    import matplotlib.pyplot as plt
    figure, axes = plt.subplots(figsize=(5.2, 3.4))
    for label, (x, y) in result.series.items():
        axes.plot(x, y, marker="o" if len(x) < 60 else "", markersize=3, label=label)
    axes.set(xlabel=result.x_label, ylabel=result.y_label)
    if "x" in result.log:
        axes.set_xscale("log")
    if "y" in result.log:
        axes.set_yscale("log")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def run(name, data):
    start = time.process_time()
    result = EXPERIMENTS[name](data)
    result.seconds = round(time.process_time() - start, 1)
    plot(place(data, "plots") / f"{name}.svg", name, result)
    kept = dataclasses.asdict(result)
    kept["series"] = {label: [[float(value) for value in axis] for axis in xy] for label, xy in result.series.items()}
    (place(data, "results") / f"{name}.json").write_text(json.dumps(kept, indent=1) + "\n")
    print(f"{name:<28} {result.seconds:7.1f} s  {result.measures}: {result.baseline} | {result.figure} | {result.verdict}",
          flush=True)


def page():
    """The text of README.md."""
    text = HEAD
    notes = ""
    for name in EXPERIMENTS:
        path = HERE / f"results/{name}.json"
        if not path.exists():
            continue
        kept = json.loads(path.read_text())
        cells = [f"`{kept['method']}`", *(kept[part] for part in ("measures", "baseline", "figure", "verdict")),
                 f"[{name}](plots/{name}.svg)"]
        text += "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
        notes += f"**{name}** ({kept['seconds']:.0f} s). {kept['notes']}\n\n"
    return text + "\n## Notes\n\n" + notes.rstrip() + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--data", type=pathlib.Path, default=EXAMPLES)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--page", action="store_true")
    args = parser.parse_args()
    for module in MODULES:
        importlib.import_module(module)
    if args.list:
        print("\n".join(EXPERIMENTS))
    elif not args.page:
        unknown = [name for name in args.names if name not in EXPERIMENTS]
        if unknown:
            parser.error(f"no experiment {', '.join(unknown)}; there are: {', '.join(EXPERIMENTS)}")
        for name in args.names or EXPERIMENTS:
            try:
                run(name, args.data)
            except ValueError as error:  # such as texts too few for what is compared
                print(f"{name:<28} not on this data: {error}", flush=True)
    if args.page:
        (HERE / "README.md").write_text(page())


if __name__ == "__main__":
    sys.modules["run"] = sys.modules["__main__"]  # modules import their decorator from here
    main()
