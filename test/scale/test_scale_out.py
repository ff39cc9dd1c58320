"""test_scale_out.py: runs the examples of examples/scale_out with several processes on this machine.

Each example compares its own answers with those of one index over all rows and exits with 1 if they differ; the tests
also want the lines that say what was compared, so that an example that compares nothing fails. What is not installed
(an MPI compiler and launcher, Dask) is skipped with its name.

timeout: 600
memory: 16000

SPDX-License-Identifier: MIT
"""

import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
EXAMPLES = ROOT / "examples/scale_out"
DATA = ROOT / "examples/data"
LIBRARY = pathlib.Path(os.environ.get("SONDE_LIBRARY", ROOT / "lib/libsonde.so.1")).resolve()
COMPARISONS = [f"{ask}: {what}" for ask in ("fixed effort", "exact")
               for what in ("3 shards' merged answers and one index", "the merged index and one built at once")]


def tool(*names):
    """The first of these programs that is installed. MPICH's own names come first: compiler and launcher must match."""
    found = next((path for path in map(shutil.which, names) if path), None)
    if not found:
        pytest.skip(f"{names[-1]} is not installed")
    return found


def run(command, directory, **environment):
    result = subprocess.run(list(map(str, command)), cwd=directory, env={**os.environ, **environment}, text=True,
                            capture_output=True, timeout=280)
    return result.returncode, result.stdout, result.stderr


def expect_equal(output, comparisons):
    lines = [line.split() for line in output.splitlines()]
    for comparison in comparisons:
        assert [*comparison.split(), "equal"] in lines, output


@pytest.fixture(scope="module")
def mpi(tmp_path_factory):
    """Builds the MPI example without a warning; gives its launcher and its program."""
    compiler, launcher = tool("mpicc.mpich", "mpicc"), tool("mpiexec.mpich", "mpiexec")
    program = tmp_path_factory.mktemp("mpi") / "mpi_search"
    code, output, errors = run([compiler, "-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror",
                                f"-I{ROOT / 'include'}", EXAMPLES / "mpi_search.c", LIBRARY,
                                f"-Wl,-rpath,{LIBRARY.parent}", "-o", program], program.parent)
    assert code == 0, output + errors
    return launcher, program


def test_mpi_answers_as_one_index(mpi, tmp_path):
    launcher, program = mpi
    code, output, errors = run([launcher, "-n", "3", program, DATA, tmp_path], tmp_path)
    assert code == 0, output + errors
    assert sorted(line.split(":")[0] for line in output.splitlines() if line.startswith("rank")) == [
        "rank 0", "rank 1", "rank 2"]
    expect_equal(output, COMPARISONS)
    assert not list(tmp_path.iterdir()), "the shards are left behind"


def test_mpi_failure_of_a_rank_ends_the_job(mpi, tmp_path):
    """It neither hangs nor goes on. (Launchers may lose the message of a rank that aborts.)"""
    launcher, program = mpi
    code, output, errors = run([launcher, "-n", "3", program, DATA, tmp_path / "absent"], tmp_path)
    assert code != 0, output + errors
    assert "one index" not in output, output


def test_dask_answers_as_one_index(tmp_path):
    for package in ("dask", "distributed", "numpy"):
        if not importlib.util.find_spec(package):
            pytest.skip(f"the Python package {package} is not installed")
    code, output, errors = run([sys.executable, EXAMPLES / "dask_search.py", DATA], tmp_path,
                               PYTHONPATH=str(ROOT / "bindings/python"), SONDE_LIBRARY=str(LIBRARY))
    assert code == 0, output + errors
    assert "3 shards in 3 processes" in output
    expect_equal(output, [*COMPARISONS, "exact, one shard missing: the rows of the others"])
    assert "missing shards: [2]" in output
