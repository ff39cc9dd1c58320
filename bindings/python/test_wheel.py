"""The wheel: refused where the library needs more than libc, the same bytes twice, and it runs with NumPy alone.

SONDE_WHEEL_LIBRARY names a library built with BLAS=none OPENMP=none; without it the Makefile builds one.

SPDX-License-Identifier: MIT
"""
# timeout: 600

import base64
import hashlib
import os
import pathlib
import subprocess
import sys
import venv
import zipfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
MAKE_WHEEL = HERE / "make_wheel"


BUILT = "lib/build/gcc-none-none-release/libsonde.so.1.0.0"


@pytest.fixture(scope="module")
def library():
    named = os.environ.get("SONDE_WHEEL_LIBRARY")
    if not named:
        subprocess.run(["make", "-j2", "-C", ROOT, "CC=gcc", "BLAS=none", "OPENMP=none", "MODE=release", BUILT],
                       check=True)
    return pathlib.Path(named or ROOT / BUILT)


def make_wheel(library, folder):
    done = subprocess.run([sys.executable, MAKE_WHEEL, library, folder], capture_output=True, text=True)
    return done, pathlib.Path(done.stdout.strip())


def compiled(folder, *flags):
    source = folder / "tiny.c"
    source.write_text("#include <math.h>\ndouble tiny(double x);\ndouble tiny(double x) { return sin(x) + exp(x); }\n")
    subprocess.run(["cc", "-shared", "-fPIC", source, "-o", folder / "tiny.so", *flags], check=True)
    return folder / "tiny.so"


def test_a_library_that_needs_more_is_refused(tmp_path):
    other = compiled(tmp_path, "-Wl,--no-as-needed", "-lstdc++")
    done, _ = make_wheel(other, tmp_path)
    assert done.returncode == 1 and "build it with BLAS=none OPENMP=none" in done.stderr
    done, _ = make_wheel(tmp_path / "tiny.c", tmp_path)
    assert done.returncode == 1 and "readelf cannot read it" in done.stderr
    assert not list(tmp_path.glob("*.whl"))


def test_the_tag_is_the_newest_symbols(tmp_path):
    """exp has a new version since glibc 2.29."""
    done, wheel = make_wheel(compiled(tmp_path, "-lm"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert wheel.name.split("-")[:4] == ["sonde", "1.0.0", "py3", "none"]
    assert int(wheel.name.split("manylinux_2_")[1].split("_")[0]) >= 29


def test_the_same_bytes_and_a_true_record(library, tmp_path):
    wheels = [make_wheel(library, tmp_path / name)[1] for name in ("one", "two")]
    assert wheels[0].read_bytes() == wheels[1].read_bytes()
    with zipfile.ZipFile(wheels[0]) as wheel:
        names = wheel.namelist()
        rows = [line.rsplit(",", 2) for line in wheel.read("sonde-1.0.0.dist-info/RECORD").decode().splitlines()]
        assert [name for name, _, _ in rows] == names
        for name, digest, size in rows[:-1]:
            data = wheel.read(name)
            assert digest == "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            assert int(size) == len(data)
        assert {"sonde/libsonde.so.1", "sonde/py.typed", "sonde-1.0.0.dist-info/licenses/LICENSE"} <= set(names)
        assert "Requires-Dist: numpy>=1.24" in wheel.read("sonde-1.0.0.dist-info/METADATA").decode()


def test_it_runs_in_an_empty_environment(library, tmp_path):
    _, wheel = make_wheel(library, tmp_path)
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv/bin/python"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SONDE_"))}
    fetched = subprocess.run([python, "-m", "pip", "install", "-q", "numpy"], env=clean, capture_output=True, text=True)
    if fetched.returncode:
        pytest.skip(f"pip cannot fetch numpy here: {fetched.stderr.strip()[-200:]}")
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-index", wheel], env=clean, check=True)
    installed = subprocess.run([python, "-m", "pip", "list", "--format=freeze"], env=clean, check=True,
                               capture_output=True, text=True).stdout
    assert {line.split("==")[0] for line in installed.split()} <= {"numpy", "sonde", "pip", "setuptools", "wheel"}
    for program in sorted((HERE / "examples").glob("*.py")):
        done = subprocess.run([python, program, ROOT / "examples/data"], env=clean, cwd=tmp_path, capture_output=True,
                              text=True)
        assert done.returncode == 0 and done.stdout, done.stderr
