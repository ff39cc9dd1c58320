"""The experiments of docs/experiments: every sampler has one, and the page says what the results say. None is run here.

SPDX-License-Identifier: MIT
"""

import importlib
import json
import sys

import pytest

from prepared import ROOT, sonde

FOLDER = ROOT / "docs/experiments"
# Methods that are measured under another's name.
WITHIN = {"chain": "sample", "dpmpp": "dpmpp", "schedule": "schedules"}


@pytest.fixture(scope="module")
def experiments():
    sys.path.insert(0, str(FOLDER))
    run = importlib.import_module("run")
    for module in run.MODULES:
        importlib.import_module(module)
    yield run
    sys.path.remove(str(FOLDER))


def test_every_sampler_has_an_experiment(experiments):
    names = {name.partition("-")[0] for name in experiments.EXPERIMENTS}
    for method in sonde.methods():
        if method.noun.endswith("_sampler"):
            assert WITHIN.get(method.name, method.name) in names, f"{method.noun} {method.name}"
    assert WITHIN["schedule"] in names


def test_every_experiment_has_its_result_and_plot(experiments):
    for name in experiments.EXPERIMENTS:
        kept = json.loads((FOLDER / f"results/{name}.json").read_text())
        assert {"measures", "baseline", "figure", "verdict", "notes"} <= kept.keys() and kept["series"]
        assert (FOLDER / f"plots/{name}.svg").read_text().count("<path") > 10
    found = {path.stem for path in (FOLDER / "results").glob("*.json")}
    assert found == set(experiments.EXPERIMENTS)


def test_the_page_says_what_the_results_say(experiments):
    assert (FOLDER / "README.md").read_text() == experiments.page(), "write it anew: run.py --page"
