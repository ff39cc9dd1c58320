"""test_cpp: sonde.hpp, built with warnings as errors in C++17 and C++20 and under sanitizers; its example; and whether
all of the C interface can be reached through it.

AddressSanitizer reserves 20 TB of addresses, hence (in megabytes):
memory: 40000000
timeout: 600

SPDX-License-Identifier: MIT
"""

import os
import pathlib
import re
import shlex
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = pathlib.Path(os.environ.get("SONDE_BUILD", ROOT / "lib")).resolve()
CXX = shlex.split(os.environ.get("CXX", "g++"))
FLAGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror", "-pthread", f"-I{ROOT / 'include'}", f"-I{HERE}"]
SANITIZE = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def run(command, directory):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=directory)
    assert done.returncode == 0, f"{shlex.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout


def build(directory, *options, sources):
    program = directory / "program"
    link = [f"-L{BUILD}", f"-Wl,-rpath,{BUILD}", "-lsonde", "-o", program]
    run([*CXX, *FLAGS, *options, *sources, *link], directory)
    return program


def only_include(directory):
    """A second source of the same program: all that the header defines must be inline."""
    source = directory / "only_include.cpp"
    source.write_text("#include <sonde.hpp>\n")
    return source


@pytest.mark.parametrize("options", [["-std=c++17"], ["-std=c++20", "-O2"], ["-std=c++17", *SANITIZE]], ids=" ".join)
def test_behaviour(options, tmp_path):
    program = build(tmp_path, *options, sources=[HERE / "test/test_sonde.cpp", only_include(tmp_path)])
    assert re.search(r"^\d\d+ tests, 0 failed$", run([program], tmp_path), re.MULTILINE)


@pytest.mark.parametrize("standard", ["c++17", "c++20"])
def test_example(standard, tmp_path):
    program = build(tmp_path, f"-std={standard}", sources=[HERE / "examples/quick_start.cpp"])
    output = run([program, ROOT / "examples/data"], tmp_path)
    assert "10000 rows" in output and len(re.findall(r"^   [01]\.\d+  \S", output, re.MULTILINE)) == 18
    assert not (tmp_path / "quick_start.sonde").exists()


def test_code_of_the_readme_compiles_and_runs(tmp_path):
    blocks = re.findall(r"```cpp\n(.*?)```", (HERE / "README.md").read_text(), re.DOTALL)
    assert len(blocks) > 1
    for number, block in enumerate(blocks):
        source = tmp_path / f"readme{number}.cpp"
        source.write_text(block)
        run([build(tmp_path, "-std=c++17", sources=[source])], tmp_path)


def test_header_adds_no_symbol(tmp_path):
    """What the standard library's own headers keep to the file (local symbols) does not count."""
    run([*CXX, *FLAGS, "-std=c++17", "-c", only_include(tmp_path), "-o", "only_include.o"], tmp_path)
    assert run(["nm", "-g", "--defined-only", "only_include.o"], tmp_path) == ""


def code_of_the_headers(folder):
    """What our own headers say after the preprocessor, without what they include."""
    own, kept = False, []
    for line in run([*CXX, *FLAGS, "-std=c++17", "-E", only_include(folder)], folder).splitlines():
        if marker := re.match(r'# \d+ "(.*?)"', line):
            own = marker.group(1).endswith(".hpp")
        elif own:
            kept.append(line)
    return "\n".join(kept)


def test_every_public_function_is_reachable(tmp_path):
    public = set((ROOT / "test/abi/symbols.txt").read_text().split())
    assert sorted(public - set(re.findall(r"\bsonde_\w+", code_of_the_headers(tmp_path)))) == []
