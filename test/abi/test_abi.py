"""test_abi: what leaves the library: names, imports, headers, the installed tree.

SPDX-License-Identifier: MIT
"""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

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


@pytest.mark.skipif(shutil.which("abidiff") is None or not (ROOT / "test/abi/baseline.abi").exists(),
                    reason="abidiff or the baseline is not there")
def test_interface_is_compatible_with_the_baseline():
    run("abidiff", "--no-added-syms", ROOT / "test/abi/baseline.abi", SHARED)


PROGRAM = """#include <sonde.h>
#include <stdio.h>
int main(void) { puts(sonde_version()); return 0; }
"""


@pytest.mark.skipif(SANITIZED, reason="nobody installs such a build")
@pytest.mark.parametrize("static", [False, True])
def test_installed_tree_serves_a_program(static, tmp_path):
    """make install, then a program that knows only pkg-config, then make uninstall leaves no file."""
    tree, program = tmp_path / "tree", tmp_path / "program"
    make = ["make", "-s", "-C", ROOT, f"PREFIX={tree}", "DESTDIR="]
    run(*make, "install")
    (tmp_path / "program.c").write_text(PROGRAM)
    finder = dict(os.environ, PKG_CONFIG_PATH=str(tree / "lib/pkgconfig"))
    flags = run("pkg-config", "--cflags", "--libs", *(["--static"] if static else []), "sonde", env=finder).split()
    if static:
        flags = [str(tree / "lib/libsonde.a") if flag == "-lsonde" else flag for flag in flags]
    run(*CC.split(), tmp_path / "program.c", *flags, "-o", program)
    assert run(program, env=dict(os.environ, LD_LIBRARY_PATH=str(tree / "lib"))).startswith("1.")
    run(*make, "uninstall")
    assert [path for path in tree.rglob("*") if path.is_file()] == []
