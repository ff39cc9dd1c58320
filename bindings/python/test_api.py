"""Nothing of the library is out of reach, nothing is undocumented, nothing is untyped.

SPDX-License-Identifier: MIT
"""
# timeout: 300

import ast
import inspect
import json
import pathlib
import subprocess
import sys
import tomllib

import pytest

import sonde
from sonde import _api, spec

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
API = json.loads((ROOT / "bindings/api.json").read_text())
GENERATED = {"_api.py", "spec.py"}
WRITTEN = [path for path in sorted((HERE / "sonde").glob("*.py")) if path.name not in GENERATED]


def called_symbols():
    """Every lib.sonde_... in the hand-written modules."""
    return {node.attr for path in WRITTEN for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Attribute) and node.attr.startswith("sonde_")}


def test_every_symbol_is_called():
    symbols = set((ROOT / "test/abi/symbols.txt").read_text().split())
    exported = {name for name in symbols if name.startswith("sonde_")}
    assert len(exported) > 60 and exported - called_symbols() == set()


def test_every_method_and_key_has_its_builder():
    for method in API["methods"]:
        build = spec.BUILDERS[method["noun"], method["name"]]
        parameters = inspect.signature(build).parameters
        for key in method["keys"]:
            name = key["name"] if key["name"] in parameters else key["name"] + "_"  # a keyword of Python
            assert name in parameters
            assert f"{name}: {key['help'].split()[0]}" in build.__doc__
    assert set(spec.BUILDERS) == {(method.noun, method.name) for method in sonde.methods()}


def some_value(key):
    words = [word for word in key["words"].split("|") if word] if "words" in key else []
    makers = {"int": lambda: int(key["max"] if key["max"] < 5 else max(key["min"], 4)), "word": lambda: words[0],
              "real": lambda: float(key["min"]),
              "spec": lambda: words[0] if words else sonde.check_spec(key["noun"], key["default"])}
    return makers[key["kind"]]()


def test_what_builders_spell_is_understood():
    for method in API["methods"]:
        build = spec.BUILDERS[method["noun"], method["name"]]
        given = {name: some_value(key) for key, name in zip(method["keys"], inspect.signature(build).parameters)
                 if key["name"] != "metric"}
        spelled = build(**given)
        checked = sonde.check_spec(method["noun"], spelled)
        texts = {name.rstrip("_"): str(value).replace("e-0", "e-") for name, value in given.items()}
        assert all(f"{name}={text.removesuffix('.0')}" in checked for name, text in texts.items()), (spelled, checked)
    assert spec.ivf(nlist=512, code=spec.pq(m=48)) == "ivf(nlist=512, code=pq(m=48))" == str(spec.ivf(nlist=512, code="pq(m=48)"))
    assert spec.raw() == "raw" and repr(spec.raw()) == "<sonde.spec: raw>"


def test_structs_have_the_sizes_of_c():
    import ctypes
    for struct in API["structs"]:
        kind = getattr(_api, struct["name"])
        assert ctypes.sizeof(kind) == struct["bytes"]
        assert [name for name, *_ in kind._fields_] == [field["name"] for field in struct["fields"]]


def test_the_catalogue_says_what_the_tables_say():
    found = {(method.noun, method.name): method for method in sonde.methods()}
    for method in API["methods"]:
        mine = found[method["noun"], method["name"]]
        assert [key.name for key in mine.keys] == [key["name"] for key in method["keys"]]
        assert [given.name for given in mine.inputs] == [given["name"] for given in method["inputs"]]
        assert method["summary"] in sonde.describe(method["noun"], method["name"])
    assert {method.noun for method in sonde.methods("index")} == {"index"}


def test_versions_agree():
    project = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
    assert sonde.version() == sonde.__version__ == project["version"] == API["version"]
    assert f"version={sonde.version()}" in sonde.build_info()


def public_things():
    for name in sonde.__all__:
        thing = getattr(sonde, name)
        if inspect.isfunction(thing) or inspect.isclass(thing):
            yield name, thing
        if inspect.isclass(thing) and thing.__module__.startswith("sonde."):
            for member, value in inspect.getmembers(thing):
                if not member.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
                    yield f"{name}.{member}", value


def test_everything_public_has_a_docstring():
    things = dict(public_things())
    assert len(things) > 80
    assert [name for name, thing in things.items() if not inspect.getdoc(thing)] == []


def test_the_generated_files_are_fresh():
    sys.path.insert(0, str(ROOT / "bindings"))
    try:
        import emit_python
        for path, text in emit_python.files(API).items():
            assert (ROOT / path).read_text() == text, f"{path} is stale: run `make generate`"
    finally:
        sys.path.pop(0)


def test_import_is_light():
    """No thread starts, and besides NumPy it takes milliseconds."""
    code = ("import numpy, sys, threading, time, logging, pathlib, ctypes, pickle; start = time.process_time(); import sonde; "
            "print(time.process_time() - start, threading.active_count(), len(open('/proc/self/task/%d/comm' % "
            "__import__('os').getpid()).read()) > 0, len(__import__('os').listdir('/proc/self/task')))")
    seconds, threads, _, tasks = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True,
                                                text=True).stdout.split()
    assert float(seconds) < 0.2 and threads == "1"


def test_mypy_strict(tmp_path):
    pytest.importorskip("mypy")
    done = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache", "sonde", "examples"],
                          cwd=HERE, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
