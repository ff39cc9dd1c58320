"""test_consumers: every way to link that docs/linking.md names, from an installed tree and after that tree has moved.

Each folder of consumers/ is a project of its own: build.sh has the commands of the page, and what they build is run and
asked which shared libraries it needs. The programs of C share demo.c.

timeout: 600

SPDX-License-Identifier: MIT
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CONSUMERS = ROOT / "test/abi/consumers"
PAGE = (ROOT / "docs/linking.md").read_text()
BUILD = pathlib.Path(os.environ["SONDE_BUILD"])
SHARED = pathlib.Path(os.environ["SONDE_LIBRARY"])
MULTIARCH = f"lib/{os.uname().machine}-linux-gnu"
VERSION = ".".join(re.findall(r"define SONDE_VERSION_\w+ (\d+)", (ROOT / "include/sonde/base.h").read_text()))
ANSWER = f"sonde {VERSION}: nearest 1\n"

INSTALLED = ["cc", "pkg_config", "pkg_config_static", "cpp", "find_package"]
AMALGAMATED = ["amalgamation", "musl", "subdirectory"]
TOOLS = {"find_package": "cmake", "subdirectory": "cmake", "musl": "musl-gcc", "cpp": "c++"}

pytestmark = pytest.mark.skipif(not BUILD.name.endswith(("release", "debug")), reason="nobody installs such a build")


def run(*command, **options):
    """Runs a command that must succeed and gives what it printed."""
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)
    assert result.returncode == 0, f"{' '.join(map(str, command))}\n{result.stdout}{result.stderr}"
    return result.stdout


def need(way):
    tool = TOOLS.get(way, "cc")
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")


def make(target, prefix, **variables):
    run("make", "-s", "-C", ROOT, target, f"PREFIX={prefix}", *(f"{name}={value}" for name, value in variables.items()))


def surroundings(prefix):
    """How a shell is set up for a Sonde that is not installed in the places of the system."""
    return dict(os.environ, PREFIX=str(prefix), PKG_CONFIG_PATH=f"{prefix}/lib/pkgconfig",
                LD_LIBRARY_PATH=f"{prefix}/lib")


def files_below(folder):
    return [path for path in folder.rglob("*") if not path.is_dir()]


@pytest.fixture(scope="module", params=["installed", "moved"])
def prefix(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prefix")
    make("install", folder / "installed", DESTDIR="")
    return (folder / "installed").rename(folder / request.param)


@pytest.fixture(scope="module")
def amalgamation(tmp_path_factory):
    """The folder that make amalgamation gives."""
    folder = tmp_path_factory.mktemp("amalgamation")
    run(sys.executable, "-B", ROOT / "tools/amalgamate", folder)
    shutil.copy(ROOT / "cmake/CMakeLists.amalgamation.txt", folder / "CMakeLists.txt")
    return folder


@pytest.fixture
def project(tmp_path):
    """Copies a consumer to where it is alone."""
    def copy(way):
        need(way)
        shutil.copytree(CONSUMERS / way, tmp_path / way)
        shutil.copy(CONSUMERS / "demo.c", tmp_path / way)
        return tmp_path / way
    return copy


@pytest.fixture
def quick(tmp_path):
    """Surroundings in which compilers never optimise: the last -O holds, and without any the whole library in one file
    takes a sixth of the time."""
    (tmp_path / "bin").mkdir()
    for compiler in filter(shutil.which, ("cc", "c++", "musl-gcc")):
        (tmp_path / "bin" / compiler).write_text(f'#!/bin/sh\nexec {shutil.which(compiler)} "$@" -O0\n')
        (tmp_path / "bin" / compiler).chmod(0o755)
    return dict(os.environ, PATH=f"{tmp_path}/bin:{os.environ['PATH']}", CC="cc", CXX="c++")


# ---- What a binary needs ---------------------------------------------------------------------------------------------


def needed(binary):
    """The shared libraries that it names, but for the dynamic loader, which is everywhere."""
    names = re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-d", binary))
    return {name for name in names if not name.startswith("ld-linux")}


def documented(way):
    """The row of the page's table: libraries by name, and those that the library itself needs."""
    row = re.search(rf"^\| `{way}` \|.*\| (.*) \|$", PAGE, re.MULTILINE)
    assert row, f"docs/linking.md: no row for {way}"
    names = set(re.findall(r"`(lib\S+)`", row.group(1)))
    return names | needed(SHARED) if "the library itself" in row.group(1) else names


def check_program(way, program, environment):
    """It answers, and it needs no more than the page says; whether that includes libsonde is what the way is about."""
    assert run(program, env=environment) == ANSWER
    found, allowed = needed(program), documented(way)
    assert found <= allowed
    assert ("libsonde.so.1" in found) == ("libsonde.so.1" in allowed)


# ---- The ways --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", INSTALLED)
def test_installed_tree(way, prefix, project):
    folder, environment = project(way), surroundings(prefix)
    run("sh", "-e", "build.sh", cwd=folder, env=environment)
    check_program(way, folder / "demo", environment)
    if way == "find_package":
        check_program("find_package_static", folder / "demo_static", os.environ)


@pytest.mark.parametrize("way", AMALGAMATED)
def test_amalgamation(way, amalgamation, project, quick):
    folder = project(way)
    shutil.copytree(amalgamation, folder / "sonde" if way == "subdirectory" else folder, dirs_exist_ok=True)
    run("sh", "-e", "build.sh", cwd=folder, env=quick)
    check_program(way, folder / "demo", os.environ)


def test_ctypes(prefix):
    output = run(sys.executable, CONSUMERS / "ctypes/demo.py", env=surroundings(prefix))
    assert output == f"sonde {VERSION}\n"


def test_every_consumer_is_built_here():
    assert sorted(path.name for path in CONSUMERS.iterdir() if path.is_dir()) == \
        sorted([*INSTALLED, *AMALGAMATED, "ctypes"])


@pytest.mark.parametrize("file", sorted(path for path in CONSUMERS.rglob("*")
                                        if path.name in ("build.sh", "CMakeLists.txt", "demo.py")),
                         ids=lambda path: f"{path.parent.name}/{path.name}")
def test_page_shows_what_is_tested(file):
    """Every line that does something stands on the page; where the program is put is of no interest there."""
    text = re.sub(r'\A""".*?"""', "", file.read_text(), flags=re.DOTALL)
    lines = [line for line in text.splitlines() if line and not line.startswith(("#", "set(CMAKE_RUNTIME"))]
    assert lines and [line for line in lines if line not in PAGE] == []


# ---- The files of an installation ------------------------------------------------------------------------------------


def test_uninstall_leaves_no_file(tmp_path):
    for target in ("install", "uninstall"):
        make(target, tmp_path / "tree", DESTDIR="")
        assert bool(files_below(tmp_path)) == (target == "install")


def test_static_flags_name_all_that_the_archive_needs(tmp_path, project):
    """pkg-config --static, where no shared library was installed that the linker would prefer."""
    make("install", tmp_path / "tree", DESTDIR="")
    for library in (tmp_path / "tree/lib").glob("libsonde.so*"):
        library.unlink()
    folder, environment = project("pkg_config_static"), surroundings(tmp_path / "tree")
    flags = run("pkg-config", "--static", "--cflags", "--libs", "sonde", env=environment).split()
    run("cc", "demo.c", *flags, "-o", "demo", cwd=folder)
    check_program("pkg_config_static", folder / "demo", os.environ)


@pytest.mark.skipif("-none-none-" not in BUILD.name, reason="this build uses shared BLAS or OpenMP libraries")
def test_program_without_any_shared_library(tmp_path, project):
    make("install", tmp_path / "tree", DESTDIR="")
    folder, environment = project("pkg_config_static"), surroundings(tmp_path / "tree")
    flags = run("pkg-config", "--cflags", "--libs", "sonde-static", env=environment).split()
    run("cc", "-static", "demo.c", *flags, "-o", "demo", cwd=folder)
    assert run(folder / "demo") == ANSWER and not needed(folder / "demo")


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """A package of a distribution in the making."""
    folder = tmp_path_factory.mktemp("stage")
    make("install", "/usr", DESTDIR=folder, LIBDIR=f"/usr/{MULTIARCH}")
    return folder


def test_package_names_no_folder_of_the_build(stage):
    for path in files_below(stage):
        if path.suffix in (".pc", ".cmake"):
            assert str(stage) not in path.read_text() and "@" not in path.read_text(), path


def test_pkg_config_in_a_sysroot(stage):
    environment = dict(os.environ, PKG_CONFIG_SYSROOT_DIR=str(stage),
                       PKG_CONFIG_LIBDIR=f"{stage}/usr/{MULTIARCH}/pkgconfig")
    flags = run("pkg-config", "--cflags", "--libs", "sonde", env=environment).split()
    assert {path for flag in flags if (path := flag[2:]).startswith("/")} <= {f"{stage}/usr/include",
                                                                             f"{stage}/usr/{MULTIARCH}"}
    assert run("pkg-config", "--modversion", "sonde", "sonde-static", env=environment).split() == [VERSION] * 2


def test_pkg_config_leaves_the_folders_of_the_system_out(stage):
    environment = dict(os.environ, PKG_CONFIG_LIBDIR=f"{stage}/usr/{MULTIARCH}/pkgconfig")
    assert run("pkg-config", "--cflags", "--libs", "sonde", env=environment).split() == ["-lsonde"]


VERSIONS = {"": True, "1": True, f"{VERSION}": True, f"{VERSION};EXACT": True, "1...<2": True,
            "0.5...<1": False, "0.9": False, "1.99": False, "2": False, "1.99...<2": False}
FINDER = """cmake_minimum_required(VERSION 3.19)
project(finder LANGUAGES C)
"""


def test_find_package_takes_versions_that_serve(stage, tmp_path):
    need("find_package")
    tries = "".join(f'unset(sonde_DIR CACHE)\nfind_package(sonde {wanted} CONFIG QUIET)\n'
                    f'message(STATUS "try {number} ${{sonde_FOUND}}")\n'
                    for number, wanted in enumerate(version.replace(";", " ") for version in VERSIONS))
    (tmp_path / "CMakeLists.txt").write_text(FINDER + tries)
    output = run("cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={stage}/usr")
    found = [word == "1" for word in re.findall(r"try \d+ (\w+)", output)]
    assert dict(zip(VERSIONS, found)) == VERSIONS


def test_find_package_through_a_linked_folder(stage, tmp_path):
    """As where /lib is a link to /usr/lib."""
    need("find_package")
    (tmp_path / "lib").symlink_to(stage / "usr/lib")
    (tmp_path / "CMakeLists.txt").write_text(FINDER + """find_package(sonde CONFIG REQUIRED)
get_target_property(headers sonde::sonde INTERFACE_INCLUDE_DIRECTORIES)
message(STATUS "headers ${headers}")
""")
    output = run("cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={tmp_path}")
    assert f"headers {stage}/usr/include" in output
