"""test_rust: the crates sonde-sys and sonde: their tests, the linters, every way to link, what users download.

Everything is built below SONDE_BUILD/rust, so that a second run has little to do. The library that cargo compiles from
one file is compiled a few times: with optimisation for the tests, without for what is only to be linked.

timeout: 900
memory: 16000

SPDX-License-Identifier: MIT
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tarfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = pathlib.Path(os.environ["SONDE_BUILD"])
SYMBOLS = set((ROOT / "test/abi/symbols.txt").read_text().split())
PURE = {"DOCS_RS": "1"}  # nothing native is built
QUICK = {"CFLAGS": "-O0"}  # linked, hardly run

needs_cargo = pytest.mark.skipif(shutil.which("cargo") is None, reason="cargo is not installed")


def cargo(*words, check=True, folder=HERE, **variables):
    """Runs cargo and gives what it printed, in both streams."""
    surroundings = {"CARGO_TARGET_DIR": str(BUILD / "rust"), "CARGO_INCREMENTAL": "0", "RUSTFLAGS": "-D warnings",
                    "CARGO_TERM_COLOR": "never", **variables}
    result = subprocess.run(["cargo", *map(str, words)], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, env={**os.environ, **surroundings})
    assert not check or result.returncode == 0, f"cargo {words}\n{result.stdout}"
    return result.stdout


@pytest.fixture(scope="module")
def workspace():
    """The folder of the crates, with the C library in one file inside and the crates of others at hand."""
    subprocess.run([HERE / "vendor"], check=True)
    fetched = subprocess.run(["cargo", "fetch"], cwd=HERE, capture_output=True, text=True)
    if fetched.returncode != 0:
        pytest.skip(f"the crates that this one needs cannot be fetched: {fetched.stderr.strip().splitlines()[-1]}")
    return HERE


# ---- What needs no compiler ------------------------------------------------------------------------------------------


def test_every_public_symbol_is_declared():
    declared = re.findall(r"^    pub fn (sonde_\w+)\(", (HERE / "sonde-sys/src/bindings.rs").read_text(), re.MULTILINE)
    assert set(declared) == SYMBOLS


def test_every_public_symbol_is_called_by_the_safe_layer():
    text = "".join(path.read_text() for path in (HERE / "sonde/src").rglob("*.rs"))
    assert SYMBOLS - set(re.findall(r"\bsys::(sonde_\w+)", text)) == set()


def test_the_version_is_that_of_the_library():
    version = json.loads((ROOT / "bindings/api.json").read_text())["version"]
    assert f'version = "{version}"\n' in (HERE / "Cargo.toml").read_text()
    assert f'sonde-sys = {{ version = "{version}"' in (HERE / "sonde/Cargo.toml").read_text()


# ---- The crates' own tests -------------------------------------------------------------------------------------------


@needs_cargo
def test_tests_and_doc_tests_pass(workspace):
    printed = cargo("test", "--workspace", "--all-features")
    results = re.findall(r"test result: ok\. (\d+) passed; 0 failed; 0 ignored", printed)
    assert sum(map(int, results)) > 40 and "Doc-tests sonde" in printed


@needs_cargo
@pytest.mark.skipif(shutil.which("cargo-clippy") is None, reason="clippy is not installed")
def test_clippy_has_nothing_to_say(workspace):
    cargo("clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings")


@needs_cargo
@pytest.mark.skipif(shutil.which("rustfmt") is None, reason="rustfmt is not installed")
def test_sources_are_formatted(workspace):
    cargo("fmt", "--all", "--check")


@needs_cargo
def test_documentation_needs_nothing_native(workspace, tmp_path):
    """As docs.rs builds it: no C compiler, no library, and no link in the text that leads nowhere."""
    cargo("doc", "--no-deps", "--workspace", "--no-default-features", "--features", "system,ndarray,half",
          RUSTDOCFLAGS="-D warnings", PKG_CONFIG_LIBDIR=str(tmp_path), **PURE)


@needs_cargo
@pytest.mark.parametrize("features", ["vendored", "system", "static", "system,ndarray", "vendored,half"])
def test_features_go_together(workspace, features):
    cargo("check", "-p", "sonde", "--no-default-features", "--features", features, **PURE)


@needs_cargo
def test_no_library_at_all_is_refused_in_words(workspace):
    assert "choose a feature" in cargo("check", "-p", "sonde-sys", "--no-default-features", check=False)


# ---- Ways to link ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    if not BUILD.name.endswith(("release", "debug")):
        pytest.skip("nobody installs such a build")
    if shutil.which("pkg-config") is None:
        pytest.skip("pkg-config is not installed")
    prefix = tmp_path_factory.mktemp("prefix")
    subprocess.run(["make", "-s", "-C", ROOT, "install", f"PREFIX={prefix}", "DESTDIR="], check=True)
    return prefix


def program_of(printed):
    """The test program that `cargo test --no-run` says it has made."""
    return re.search(r"Executable .*\((.*)\)", printed).group(1)


@needs_cargo
@pytest.mark.parametrize("feature", ["system", "static"])
def test_an_installed_library_serves(workspace, installed, feature):
    variables = {"PKG_CONFIG_PATH": f"{installed}/lib/pkgconfig", "LD_LIBRARY_PATH": f"{installed}/lib"}
    words = ["-p", "sonde", "--no-default-features", "--features", feature, "--test", "spec"]
    printed = cargo("test", *words, **variables)
    assert "6 passed" in printed
    program = program_of(cargo("test", "--no-run", *words, **variables))
    needed = subprocess.run(["readelf", "-d", program], capture_output=True, text=True, check=True).stdout
    assert ("libsonde.so.1" in needed) == (feature == "system")


@needs_cargo
def test_a_folder_can_be_named(workspace):
    """Without pkg-config's knowledge; the library must be there, it is not looked for."""
    printed = cargo("build", "-p", "sonde-sys", "--no-default-features", "--features", "system", "-vv",
                    SONDE_LIB_DIR=str(BUILD), PKG_CONFIG_LIBDIR="/nowhere")
    assert f"rustc-link-search=native={BUILD}" in printed


@needs_cargo
def test_an_installed_library_that_is_missing_is_told(workspace, tmp_path):
    printed = cargo("check", "-p", "sonde-sys", "--no-default-features", "--features", "system",
                    check=False, PKG_CONFIG_LIBDIR=str(tmp_path), PKG_CONFIG_PATH="")
    assert "SONDE_LIB_DIR=FOLDER" in printed


HELD_BY_SYS = {"build.rs", "src/bindings.rs", "vendor/sonde.c", "vendor/sonde.h"}
HELD_BY_SONDE = {"src/lib.rs", "src/spec/methods.rs", "README.md", "examples/usage.rs"}


def held_by(crate):
    with tarfile.open(next((BUILD / "rust/package").glob(f"{crate}-[0-9]*.crate"))) as opened:
        return {name.split("/", 1)[1] for name in opened.getnames()}


def packages_whole_workspaces():
    """Since 1.90 cargo finds a crate of the workspace among the packages made beside it, before it is published."""
    return tuple(map(int, re.search(r" (\d+)\.(\d+)", cargo("--version")).groups())) >= (1, 90)


def forget_earlier_packages():
    """cargo keeps what it unpacked from a package that was made here, by its version, which stays while it is written."""
    home = pathlib.Path(os.environ.get("CARGO_HOME", pathlib.Path.home() / ".cargo"))
    for folder in (home / "registry/src").glob("-*/sonde*-*"):
        shutil.rmtree(folder)


@needs_cargo
def test_packages_hold_all_that_their_users_need(workspace):
    """cargo builds each package from what it holds."""
    forget_earlier_packages()
    if packages_whole_workspaces():
        cargo("package", "--workspace", "--allow-dirty", **QUICK)
        assert HELD_BY_SONDE <= held_by("sonde")
    else:
        cargo("package", "-p", "sonde-sys", "--allow-dirty", **QUICK)
        assert HELD_BY_SONDE <= set(cargo("package", "-p", "sonde", "--list", "--allow-dirty").splitlines())
    assert HELD_BY_SYS <= held_by("sonde-sys")


CONSUMER = """[package]
name = "consumer"
version = "0.1.0"
edition = "2021"

[dependencies]
sonde = {{ path = "{}" }}

[workspace]
"""


@needs_cargo
def test_a_program_of_somebody_else_builds_and_runs(workspace, tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "Cargo.toml").write_text(CONSUMER.format(HERE / "sonde"))
    shutil.copy(HERE / "Cargo.lock", tmp_path)
    shutil.copy(HERE / "sonde/examples/usage.rs", tmp_path / "src/main.rs")
    printed = cargo("run", "--offline", "--quiet", folder=tmp_path, CARGO_TARGET_DIR=str(tmp_path / "target"), **QUICK)
    assert printed.splitlines()[0] == "3 1.000" and len(printed.splitlines()) == 10
    assert (tmp_path / "glosses.sonde").stat().st_size > 500 * 384 * 4
