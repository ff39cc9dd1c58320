"""The programs that users want to write (examples/) run as they stand on the repository's data.

They use ivf; where the library has graph, they run with that too.

SPDX-License-Identifier: MIT
"""

import pathlib
import re
import subprocess
import sys

import pytest

import sonde

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent.parent / "examples/data"
WANTED = {"usage_index": ("graph", "ivf(metric=cosine)", "graph(metric=cosine)")}


def run(program):
    done = subprocess.run([sys.executable, program, DATA], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("program", sorted((HERE / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_examples_run(program, tmp_path):
    assert run(program)
    method, now, wanted = WANTED.get(program.stem, ("", "", ""))
    if method in {one.name for one in sonde.methods()}:
        (tmp_path / program.name).write_text(program.read_text().replace(now, wanted))
        assert run(tmp_path / program.name)


def test_the_examples_are_those_that_have_a_wish():
    for name, (_, now, _) in WANTED.items():
        assert now in (HERE / f"examples/{name}.py").read_text()


def test_the_readme_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for program in re.findall(r"```python\n(.*?)```", (HERE / "README.md").read_text(), re.DOTALL):
        exec(compile(program, "README.md", "exec"), {})
