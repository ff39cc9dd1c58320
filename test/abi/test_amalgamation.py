"""test_amalgamation: sonde.c and sonde.h, built as their users build them, are the same library.

What the library does inside them is for `make check-amalgamation`; here stands what only the one file can get wrong.
It is compiled five times, hence
timeout: 900

SPDX-License-Identifier: MIT
"""

import ctypes
import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ["SONDE_BUILD"])
SHARED = os.environ["SONDE_LIBRARY"]
CC, CXX = os.environ.get("CC", "gcc").split(), os.environ.get("CXX", "g++").split()
WARNINGS = ("-Wall", "-Wextra", "-Werror")
LIBS = ("-lm", "-lpthread")

pytestmark = pytest.mark.skipif(not BUILD.name.endswith(("release", "debug")), reason="the unit knows no sanitizer")


def run(*command, **options):
    """Runs a command that must succeed and gives what it printed."""
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)
    assert result.returncode == 0, f"{' '.join(map(str, command))}\n{result.stdout}{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("amalgamation")
    run(ROOT / "tools/amalgamate", made)
    return made


@pytest.fixture(scope="module")
def unit(folder):
    """sonde.o, fit for shared objects."""
    run(*CC, "-O0", "-fPIC", *WARNINGS, "-c", folder / "sonde.c", "-o", folder / "sonde.o")
    return folder / "sonde.o"


def test_two_in_a_row_are_equal(folder, tmp_path):
    run(ROOT / "tools/amalgamate", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sonde.c", "sonde.h"]
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (folder / path.name).read_bytes()


def test_one_command_builds_a_program(folder, tmp_path):
    run(*CC, "-O0", *WARNINGS, f"-I{folder}", ROOT / "examples/quick_start.c", folder / "sonde.c", *LIBS,
        "-o", tmp_path / "quick_start")
    printed = run(tmp_path / "quick_start", ROOT / "examples/data", cwd=tmp_path)
    assert "10000 rows" in printed and printed.count("question") == 4


PROGRAM = """#include <sonde.h>
#include <stdio.h>
int main(void)
{
    float x[] = {3, 4, 5, 6}, score = 0;
    int64_t id = -1;
    sonde_array rows = sonde_f32(x, 2, 2), query = sonde_f32(x + 2, 1, 2);
    sonde_index *index = NULL;
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    sonde_hits hits = SONDE_HITS_INIT;
    how.k = 1;
    hits.ids = &id;
    hits.scores = &score;
    if (sonde_index_create("flat(metric=l2)", 2, NULL, &index) || sonde_index_add(index, &rows, NULL) ||
        sonde_index_search(index, &query, &how, &hits))
        puts(sonde_error_message());
    sonde_index_free(index);
    printf("%d %g\\n%s\\n", (int)id, score, sonde_build_info());
    return 0;
}
"""


def build_info(library):
    function = ctypes.CDLL(str(library)).sonde_build_info
    function.restype = ctypes.c_char_p
    return dict(pair.split("=") for pair in function().decode().split())


def told(printed):
    """What PROGRAM found, and the pairs of its build info."""
    answer, info = printed.splitlines()
    return answer, dict(pair.split("=") for pair in info.split())


@pytest.mark.parametrize("compiler, standard", [(CC, "c99"), (CXX, "c++11"), (CXX, "c++20")])
def test_header_alone_serves_older_c_and_cpp(compiler, standard, folder, unit, tmp_path):
    language = "c++" if "++" in standard else "c"
    (tmp_path / "program").write_text(PROGRAM)
    run(*compiler, f"-std={standard}", *WARNINGS, "-Wpedantic", f"-I{folder}", "-x", language, tmp_path / "program",
        "-x", "none", unit, *LIBS, "-o", tmp_path / "run")
    answer, info = told(run(tmp_path / "run"))
    assert answer == "1 0"
    assert (info["blas"], info["threads"]) == ("none", "own")


def test_shared_object_has_the_same_names_and_instruction_sets(folder, unit):
    shared = folder / "libone.so"
    run(*CC, "-shared", "-Wl,--no-undefined", unit, *LIBS, "-o", shared)
    exported = {line.split()[-1] for line in run("nm", "-D", "--defined-only", shared).splitlines()}
    assert sorted(exported) == sorted((ROOT / "test/abi/symbols.txt").read_text().split())
    one, many = build_info(shared), build_info(SHARED)
    assert [one[key] for key in ("version", "isa", "cpu")] == [many[key] for key in ("version", "isa", "cpu")]


@pytest.mark.skipif(shutil.which("gcc") is None, reason="only gcc has this warning")
def test_no_variable_is_shared_by_two_files(folder):
    """C lets two `static int once;` be one variable. Only the constants that files show each other may be repeated."""
    warnings = subprocess.run(["gcc", "-fsyntax-only", "-Wredundant-decls", folder / "sonde.c"], capture_output=True,
                              text=True, env=dict(os.environ, LC_ALL="C")).stderr
    repeated = re.findall(r"warning: redundant redeclaration of '(\w+)'", warnings)
    assert [name for name in repeated if not name.startswith("sonde__")] == []
    assert repeated     # the constants, so the pattern still matches what gcc says


def test_products_and_sums_are_fused_in_instruction_sets_only(folder, unit, tmp_path):
    """Also where every processor has the instruction, generic code gives the same bits as elsewhere."""
    text = (folder / "sonde.c").read_text()
    machine = run(*CC, "-dumpmachine").split("-")[0]
    (tmp_path / "plain.c").write_text(text.split("/* The instruction set")[0])
    # Calls of fmaf are meant, and fuse the same way everywhere: only what the compiler joins by itself is looked for.
    run(*CC, "-O2", "-fno-builtin-fmaf", *(["-mfma"] if machine == "x86_64" else []), f"-I{folder}", "-S",
        tmp_path / "plain.c", "-o", tmp_path / "plain.s")
    fused = re.compile(r"^\s+(vfn?m(add|sub)|fn?m(add|sub|la|ls))", re.MULTILINE)
    assert not fused.search((tmp_path / "plain.s").read_text())
    if machine == "x86_64":
        code = run("objdump", "-d", "--no-show-raw-insn", unit)
        assert fused.search(re.sub(r"^.*:\t", "\t", code, flags=re.MULTILINE))


@pytest.mark.skipif(shutil.which("musl-gcc") is None, reason="musl-gcc is not there")
def test_static_program_with_musl(folder, tmp_path):
    (tmp_path / "program.c").write_text(PROGRAM)
    run("musl-gcc", "-O0", "-static", *WARNINGS, f"-I{folder}", tmp_path / "program.c", folder / "sonde.c", *LIBS,
        "-o", tmp_path / "run")
    assert "INTERP" not in run("readelf", "-lW", tmp_path / "run")
    answer, info = told(run(tmp_path / "run"))
    assert answer == "1 0"
    assert info["cpu"] == build_info(SHARED)["cpu"]
