"""test_abi: what leaves the library: names, imports, headers, and the interface that later versions keep.

SPDX-License-Identifier: MIT
"""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

import interface

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ["SONDE_BUILD"])
SHARED = pathlib.Path(os.environ["SONDE_LIBRARY"])
CC, CXX = os.environ.get("CC", "gcc"), os.environ.get("CXX", "g++")
SANITIZED = not BUILD.name.endswith(("release", "debug"))

# What a library must not do to its host: end it, print, or change its signals and environment.
FORBIDDEN = set("""abort exit _exit _Exit quick_exit __assert_fail raise printf vprintf puts putchar fprintf
    vfprintf fputs fputc perror __printf_chk __vprintf_chk __fprintf_chk __vfprintf_chk stdout stderr signal sigaction
    sigprocmask setenv putenv setlocale openblas_set_num_threads omp_set_num_threads omp_set_dynamic
    bli_thread_set_num_threads""".split())


def run(*command, **options):
    """Runs a command that must succeed and gives what it printed."""
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)
    assert result.returncode == 0, f"{' '.join(map(str, command))}\n{result.stdout}{result.stderr}"
    return result.stdout


def names(*options):
    """The last column of nm, without symbol versions."""
    return {line.split()[-1].split("@")[0] for line in run("nm", *options).splitlines() if len(line.split()) > 1}


def committed():
    return set((ROOT / "test/abi/symbols.txt").read_text().split())


def test_map_and_list_are_those_of_the_headers():
    run(ROOT / "tools/symbols", "--check")


@pytest.mark.skipif(SANITIZED, reason="sanitizers and coverage export names of their own")
def test_shared_library_exports_the_committed_list():
    exported = names("-D", "--defined-only", SHARED) - {"SONDE_1.0"}
    assert sorted(exported) == sorted(committed())


@pytest.mark.skipif(SANITIZED, reason="sanitizers and coverage export names of their own")
def test_static_library_shows_public_names_only():
    """clang gives the locks of OpenMP a name in common; with its dot it cannot meet a name of C."""
    shown = names("-g", "--defined-only", BUILD / "libsonde.a")
    assert sorted(name for name in shown if not name.startswith(".gomp_")) == sorted(committed())


@pytest.mark.skipif(SANITIZED, reason="sanitizers print")
def test_nothing_prints_or_ends_the_process():
    assert sorted(names("-D", "--undefined-only", SHARED) & FORBIDDEN) == []


def test_soname():
    assert re.search(r"SONAME.*\[libsonde\.so\.1\]", run("readelf", "-d", SHARED))


def test_stack_is_not_executable():
    flags = re.search(r"GNU_STACK.*\n?.*\b(RWE|RW)\b", run("readelf", "-lW", SHARED))
    assert flags and flags.group(1) == "RW"


@pytest.mark.parametrize("compiler, standard", [(CC, "c99"), (CC, "c11"), (CXX, "c++11"), (CXX, "c++20")])
def test_header_alone_compiles_without_a_warning(compiler, standard, tmp_path):
    language = "c++" if "++" in standard else "c"
    run(*compiler.split(), "-x", language, f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
        f"-I{ROOT}/include", "-c", ROOT / "test/abi/header.c", "-o", tmp_path / "header.o")


@pytest.mark.parametrize("header", sorted(path.name for path in (ROOT / "include/sonde").glob("*.h")))
def test_each_header_stands_alone(header, tmp_path):
    (tmp_path / "one.c").write_text(f"#include <sonde/{header}>\nextern int one;\n")
    run(*CC.split(), "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{ROOT}/include", "-fsyntax-only",
        tmp_path / "one.c")


needs_abidiff = pytest.mark.skipif(shutil.which("abidiff") is None, reason="abigail-tools is not installed")
BREAKS = [
    ("test/abi/symbols.txt", "sonde_index_dim\n", ""),
    ("include/sonde/base.h", "SONDE_METRIC_COSINE = 3", "SONDE_METRIC_COSINE = 5"),
    ("include/sonde/base.h", ", SONDE_LOG_WARNING = 2", ""),
    ("include/sonde/index.h", "uint32_t effort;", "int32_t effort;"),
    ("include/sonde/index.h", "uint32_t effort;", "uint32_t efforts;"),
    ("include/sonde/index.h", "int64_t *removed)", "int32_t *removed)"),
]


def compare(root, folder):
    """abidiff of the baseline with the interface below `root`. New functions are welcome, every other change is not."""
    interface.describe(folder / "new.abi", root)
    return subprocess.run(["abidiff", "--harmless", "--no-added-syms", interface.BASELINE, folder / "new.abi"],
                          capture_output=True, text=True)


@needs_abidiff
def test_interface_is_that_of_the_baseline(tmp_path):
    result = compare(ROOT, tmp_path)
    assert result.returncode == 0, f"make abi-baseline, if this only adds something:\n{result.stdout}{result.stderr}"


@needs_abidiff
@pytest.mark.parametrize("file, old, new", BREAKS, ids=[old.strip() for _, old, _ in BREAKS])
def test_a_break_of_the_interface_is_seen(file, old, new, tmp_path):
    shutil.copytree(ROOT / "include", tmp_path / "include")
    (tmp_path / "test/abi").mkdir(parents=True)
    shutil.copy(ROOT / "test/abi/symbols.txt", tmp_path / "test/abi")
    text = (tmp_path / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new, 1))
    assert compare(tmp_path, tmp_path).returncode & 4
