"""test_cli: the `sonde` program, used as a person or another program would: files, words, JSON, a terminal, a pipe,
Ctrl-C, and wrong usage. NumPy makes the files, reads them back, and knows the exact answers.

SPDX-License-Identifier: MIT
"""

import html.parser
import json
import os
import pathlib
import pty
import re
import resource
import select
import shutil
import signal
import struct
import subprocess
import time

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "examples/data"
SONDE = os.environ.get("SONDE_CLI", str(ROOT / "lib/sonde"))
COMMANDS = "build search info check list tune add remove merge convert bench demo".split()


def sonde(*words, code=0, directory=None, stdin=subprocess.DEVNULL, **more):
    """Runs the program in a pipe, and expects an exit code."""
    done = subprocess.run([SONDE, *map(str, words)], capture_output=True, cwd=directory, stdin=stdin, timeout=120, **more)
    done.out, done.err = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == code, f"exit code {done.returncode}, not {code}\n{done.out}\n{done.err}"
    return done


def sonde_json(*words, **more):
    done = sonde(*words, "--json", **more)
    return json.loads(done.out)


def exact(base, queries, k):
    """Ids by cosine, best first, by plain NumPy in double precision."""
    unit = lambda x: x.astype("f8") / np.linalg.norm(x.astype("f8"), axis=1, keepdims=True)
    return np.argsort(-(unit(queries) @ unit(base).T), axis=1, kind="stable")[:, :k]


def recall(found, truth):
    return np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found.tolist(), truth.tolist())])


class Place:
    """A directory that remembers the arrays in its files."""

    def __init__(self, path, base, queries):
        self.path, self.base, self.queries = path, base, queries

    def __truediv__(self, name):
        return self.path / name

    def __fspath__(self):
        return str(self.path)

    def content(self):
        return {path.name: path.read_bytes() for path in self.path.iterdir()}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """2,000 clustered vectors of 32 columns, 100 queries, and an index of them, made once."""
    directory = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(50, 32)) * 2
    base = (centres[rng.integers(50, size=2000)] + rng.normal(size=(2000, 32))).astype("f4")
    queries = (centres[rng.integers(50, size=100)] + rng.normal(size=(100, 32))).astype("f4")
    np.save(directory / "base.npy", base)
    np.save(directory / "queries.npy", queries)
    sonde("build", "base.npy", "--spec", "ivf(nlist=32, metric=cosine)", "-o", "i.sonde", directory=directory)
    return Place(directory, base, queries)


def copy_of(made, directory, *names):
    for name in names:
        shutil.copy(made / name, directory)
    return Place(directory, made.base, made.queries)


@pytest.fixture
def place(made, tmp_path):
    """A directory with base.npy and queries.npy."""
    return copy_of(made, tmp_path, "base.npy", "queries.npy")


@pytest.fixture
def index(made, tmp_path):
    """The same with i.sonde, the index of base.npy."""
    return copy_of(made, tmp_path, "base.npy", "queries.npy", "i.sonde")


# ---- Help and wrong usage --------------------------------------------------------------------------------------------


def test_version_and_help():
    assert re.fullmatch(r"sonde \d+\.\d+\.\d+\n", sonde("--version").out)
    everything = sonde("help").out
    assert everything == sonde("--help").out == sonde("-h").out
    for command in COMMANDS:
        assert f"\n  {command} " in everything
        page = sonde("help", command).out
        assert page.startswith(f"usage: sonde {command}") and "example:\n  sonde " in page
        assert page == sonde(command, "--help").out == sonde(command, "-h").out


@pytest.mark.parametrize("words, wanted", [
    ([], "a command is missing"),
    (["serch"], "did you mean 'sonde search'"),
    (["frobnicate"], "'sonde help' lists them"),
    (["help", "buidl"], "did you mean 'sonde build'"),
    (["search", "a", "b", "--recal", "0.9"], "did you mean --recall?"),
    (["search", "a", "b", "--recall=2"], "--recall takes a number from"),
    (["search", "a", "b", "-k", "many"], "--k takes a whole number from 1 to 65536, not 'many'"),
    (["search", "a", "b", "-k", "0"], "from 1 to 65536"),
    (["search", "a", "b", "-k"], "--k needs a value"),
    (["search", "a", "b", "--json=yes"], "--json takes no value"),
    (["search", "a", "b", "-z"], "there is no option -z"),
    (["search", "a", "b", "c"], "'c' is one operand too many"),
    (["search", "a"], "QUERIES is missing"),
    (["search", "a", "b", "--recall", ".9", "--effort", "3"], "exclude each other"),
    (["search", "a", "b", "--refine", "3"], "goes with --effort"),
    (["search", "a", "b", "--filter-ids", "x", "--exclude-ids", "y"], "exclude each other"),
    (["search", "a", "b", "-o", "hits.txt"], "--output hits.txt: the extension names no format"),
    (["search", "here.npy", "b", "-o", "here.npy"], "would overwrite here.npy"),
    (["build", "x.npy", "-o", "x.sonde"], "--spec is missing"),
    (["build", "x.npy", "--spec", "flat"], "-o is missing"),
    (["build"], "VECTORS is missing"),
    (["merge", "a", "b"], "-o is missing"),
    (["remove", "a"], "no ids"),
    (["remove", "a", "x7"], "'x7' is not an id"),
    (["convert", "a.npy", "b.xls"], "names no format"),
    (["convert", "a.npy"], "OUT is missing"),
    (["bench", "a", "b", "--spec", "flat", "--specs", "f"], "exclude each other"),
    (["list", "indx"], "did you mean 'index'?"),
    (["list", "index", "flt"], "did you mean 'flat'?"),
    (["list", "qqqqqqqqqqqq"], "'sonde list' shows what there is"),
])
def test_wrong_usage(words, wanted, tmp_path):
    (tmp_path / "here.npy").write_bytes(b"")
    done = sonde(*words, code=2, directory=tmp_path)
    assert wanted in done.err and done.err.startswith("sonde: error: ") and done.out == ""


def test_options_can_be_written_in_every_usual_way(index):
    ways = [["-k", "3"], ["-k3"], ["--k", "3"], ["--k=3"]]
    outputs = {sonde("search", *way, "i.sonde", "queries.npy", "--recall=1", directory=index).out for way in ways}
    outputs.add(sonde("search", "-k3", "-r", "1", "--", "i.sonde", "queries.npy", directory=index).out)
    assert len(outputs) == 1 and len(outputs.pop().splitlines()) == 1 + 100 * 3


@pytest.mark.parametrize("words, wanted", [
    (["build", "base.npy", "--spec", "ivg", "-o", "x.sonde"], "ivf"),
    (["build", "base.npy", "--spec", "ivf(nlst=4)", "-o", "x.sonde"], "nlist"),
    (["build", "base.npy", "--spec", "ivf(code=pq(m=5))", "-o", "x.sonde"], "m=5"),
    (["build", "none.npy", "--spec", "flat", "-o", "x.sonde"], "none.npy: cannot be read: No such file"),
    (["build", "base.npy", "--spec", "flat", "-o", "nowhere/x.sonde"], "nowhere/x.sonde"),
    (["build", "base.npy", "--spec", "flat", "-o", "x.sonde", "--ids", "three.txt"], "3 ids, but there are 2000 vectors"),
    (["search", "none.sonde", "queries.npy"], "none.sonde"),
    (["search", "base.npy", "queries.npy"], "base.npy"),
    (["search", "i.sonde", "wide.npy"], "33"),
    (["search", "i.sonde", "queries.npy", "--filter-ids", "words.txt"], "'hello' is not an id"),
    (["info", "base.npy"], "base.npy"),
    (["check", "base.npy"], "base.npy"),
    (["add", "i.sonde", "nan.npy"], ""),
])
def test_failures_say_why_and_write_nothing(words, wanted, index):
    (index / "three.txt").write_text("1 2 3")
    (index / "words.txt").write_text("1 hello")
    np.save(index / "wide.npy", np.zeros((2, 33), "f4"))
    np.save(index / "nan.npy", np.full((2, 32), np.nan, "f4"))
    before = index.content()
    done = sonde(*words, code=1, directory=index)
    assert done.err.startswith("sonde: error: ") and wanted in done.err and done.out == ""
    assert done.err.count("\n") == 1
    assert before == index.content()


# ---- Files of vectors ------------------------------------------------------------------------------------------------


def read_back(path):
    """Independent readers of the formats that NumPy does not know."""
    raw = path.read_bytes()
    kind = {"f": "<f4", "b": "u1", "i": "<i4"}
    if path.suffix == ".npy":
        return np.load(path)
    if path.suffix in (".fbin", ".u8bin", ".i8bin"):
        rows, columns = struct.unpack("<II", raw[:8])
        return np.frombuffer(raw[8:], {"f": "<f4", "u": "u1", "i": "i1"}[path.suffix[1]]).reshape(rows, columns)
    columns = struct.unpack("<i", raw[:4])[0]
    dtype = np.dtype(kind[path.suffix[1]])
    rows = np.frombuffer(raw, "u1").reshape(-1, 4 + columns * dtype.itemsize)
    assert (rows[:, :4] == rows[0, :4]).all()
    return np.ascontiguousarray(rows[:, 4:]).view(dtype)


@pytest.mark.parametrize("dtype, formats", [
    ("f4", ["npy", "fvecs", "fbin"]), ("f2", ["npy", "fvecs", "fbin"]), ("f8", ["npy", "fvecs", "fbin"]),
    ("u1", ["npy", "bvecs", "u8bin", "fvecs", "fbin"]), ("i1", ["npy", "i8bin", "fbin"]),
    ("i4", ["npy", "ivecs"]), ("i8", ["npy", "ivecs"]),
])
def test_convert_there_and_back(dtype, formats, tmp_path):
    rng = np.random.default_rng(2)
    data = rng.integers(-100 if dtype[0] != "u" else 0, 100, size=(7, 5)).astype(dtype)
    if dtype[0] == "f":
        data = (data / 7).astype(dtype)
        data[0, :4] = [6e-8, -0.0, 60000, -1e-5]  # subnormal and large as f2
    np.save(tmp_path / "in.npy", data)
    for name in formats:
        sonde("convert", "in.npy", f"out.{name}", directory=tmp_path)
        assert np.array_equal(read_back(tmp_path / f"out.{name}"), data.astype("f4") if dtype == "f8" else data)
        sonde("convert", f"out.{name}", "back.npy", directory=tmp_path)
        assert np.array_equal(np.load(tmp_path / "back.npy"), data.astype("f4") if dtype == "f8" else data)


def test_convert_every_half(tmp_path):
    halves = np.arange(65536, dtype="u2").view("f2").reshape(256, 256)
    np.save(tmp_path / "in.npy", halves)
    sonde("convert", "in.npy", "out.fbin", directory=tmp_path)
    assert np.array_equal(read_back(tmp_path / "out.fbin"), halves.astype("f4"), equal_nan=True)


def test_convert_rows_and_json(place):
    answer = sonde_json("convert", "base.npy", "part.fvecs", "--rows", "10:20", directory=place)
    assert answer["rows"] == 10 and answer["dim"] == 32 and answer["file_bytes"] == 10 * (4 + 32 * 4)
    assert np.array_equal(read_back(place / "part.fvecs"), place.base[10:20])
    sonde("convert", "base.npy", "rest.npy", "--rows", "1990:", directory=place)
    assert np.array_equal(np.load(place / "rest.npy"), place.base[1990:])
    sonde("convert", "base.npy", "x.npy", "--rows", "5", code=2, directory=place)
    sonde("convert", "base.npy", "x.npy", "--rows", "3000:", code=1, directory=place)
    sonde("convert", "base.npy", "base.npy", code=2, directory=place)
    assert not (place / "x.npy").exists()


def test_convert_refuses_what_does_not_fit(tmp_path):
    np.save(tmp_path / "f.npy", np.zeros((2, 3), "f4"))
    np.save(tmp_path / "i.npy", np.full((2, 3), 2**40, "i8"))
    assert "holds u8, but the vectors are f32" in sonde("convert", "f.npy", "o.bvecs", code=1, directory=tmp_path).err
    assert "i32 cannot hold" in sonde("convert", "i.npy", "o.ivecs", code=1, directory=tmp_path).err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.npy", "i.npy"]


def npy(header, version=1, magic=b"\x93NUMPY", length=None):
    text = header.encode()
    size = struct.pack("<H" if version == 1 else "<I", len(text) if length is None else length)
    return magic + bytes([version, 0]) + size + text


@pytest.mark.parametrize("name, raw, wanted", [
    ("a.npy", b"", "is not an .npy file"),
    ("a.npy", b"\x93NUMPY", "is not an .npy file"),
    ("a.npy", npy("{}"), "not an .npy file of plain numbers"),
    ("a.npy", npy("{}", version=9), "header is damaged"),
    ("a.npy", npy("{}", length=60000), "header is damaged"),
    ("a.npy", npy("{}", version=2, length=2**32 - 1), "header is damaged"),
    ("a.npy", npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }"), "ascontiguousarray"),
    ("a.npy", npy("{'descr': '>f4', 'fortran_order': False, 'shape': (2, 3), }"), "holds '>f4' numbers"),
    ("a.npy", npy("{'descr': '|O', 'fortran_order': False, 'shape': (2, 3), }"), "holds '|O' numbers"),
    ("a.npy", npy("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (2,), }"), "plain numbers"),
    ("a.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 4), }"), "has shape (2, 3, 4)"),
    ("a.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (), }"), "has shape ()"),
    ("a.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 3), }"), "has shape"),
    ("a.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 0), }"), "has shape"),
    ("a.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }") + b"x" * 23, "too short"),
    ("a.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 1000), }"), "too short"),
    ("a.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 4), }"), "too short"),
    ("a.fvecs", b"", "0 columns"),
    ("a.fvecs", struct.pack("<i", -1), "-1 columns"),
    ("a.fvecs", struct.pack("<iff", 2, 1, 2) + b"\0", "not a whole number of rows"),
    ("a.fvecs", struct.pack("<iffiff", 2, 1, 2, 3, 1, 2), "row 1 says 3 columns"),
    ("a.fbin", b"\1", "0 columns"),
    ("a.fbin", struct.pack("<II", 2**32 - 1, 2**20), "too short"),
    ("a.u8bin", struct.pack("<II", 2, 2) + b"abc", "too short"),
    ("a.xyz", b"hello", "names no format"),
])
def test_damaged_vectors(name, raw, wanted, tmp_path):
    (tmp_path / name).write_bytes(raw)
    assert wanted in sonde("convert", name, "o.npy", code=1, directory=tmp_path).err
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_vectors_through_a_pipe(place):
    with open(place / "base.npy", "rb") as base:
        cat = subprocess.Popen(["cat"], stdin=base, stdout=subprocess.PIPE)
        sonde("build", "-", "--spec", "flat", "-o", "p.sonde", directory=place, stdin=cat.stdout)
        cat.wait()
    sonde("build", "base.npy", "--spec", "flat", "-o", "f.sonde", directory=place)
    assert (place / "p.sonde").read_bytes() == (place / "f.sonde").read_bytes()
    with open(place / "queries.npy", "rb") as queries:
        sonde("convert", "-", "out.npy", directory=place, stdin=queries)
    assert np.array_equal(np.load(place / "out.npy"), place.queries)


# ---- Building and searching ------------------------------------------------------------------------------------------


def test_build_and_search_files(index):
    truth = exact(index.base, index.queries, 10)
    sonde("search", "i.sonde", "queries.npy", "--recall", "1", "-o", "ids.npy", "--scores", "s.npy", directory=index)
    ids, scores = np.load(index / "ids.npy"), np.load(index / "s.npy")
    assert ids.dtype == np.int64 and ids.shape == scores.shape == (100, 10)
    assert recall(ids, truth) > 0.999
    unit = lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True)
    cosines = np.einsum("qd,qkd->qk", unit(index.queries), unit(index.base)[ids])
    assert np.allclose(scores, cosines, atol=1e-5)
    sonde("search", "i.sonde", "queries.npy", "--recall", "1", "-o", "ids.ivecs", "--mmap", directory=index)
    assert np.array_equal(read_back(index / "ids.ivecs"), ids)
    sonde("search", "i.sonde", "queries.npy", "-o", "default.npy", directory=index)
    assert recall(np.load(index / "default.npy"), truth) > 0.85


def test_search_prints_a_table_and_json(index):
    lines = sonde("search", "i.sonde", "queries.npy", "-k", "4", "--effort", "32", directory=index).out.splitlines()
    assert lines[0].split() == ["query", "rank", "score", "id"]
    rows = [line.split() for line in lines[1:]]
    assert [(int(row[0]), int(row[1])) for row in rows] == [(q, r) for q in range(100) for r in range(1, 5)]
    answer = sonde_json("search", "i.sonde", "queries.npy", "-k", "4", "--effort", "32", directory=index)
    assert answer["k"] == 4 and answer["metric"] == "cosine" and answer["queries"] == 100
    assert [str(hit["id"]) for result in answer["results"] for hit in result["hits"]] == [row[3] for row in rows]
    assert all(result["reason"] in ("exact", "effort") for result in answer["results"])


def test_words_are_shown_and_escaped(index):
    nasty = 'quote " backslash \\ tab \t bell \a été 你好'
    (index / "words.tsv").write_text("\n".join(f"{i} {nasty}" for i in range(2000)) + "\n")
    done = sonde("search", "i.sonde", "queries.npy", "-k1", "-r1", "--words", "words.tsv", directory=index)
    best = exact(index.base, index.queries, 1)[:, 0]
    lines = done.out.splitlines()[1:]
    assert [line.split()[3] for line in lines] == [str(id) for id in best] and nasty in lines[0]
    answer = sonde_json("search", "i.sonde", "queries.npy", "-k1", "-r1", "--words", "words.tsv", directory=index)
    assert answer["results"][5]["hits"][0]["words"] == f"{best[5]} {nasty}"


def test_filters(index):
    allowed = np.arange(0, 2000, 7)
    (index / "allowed.txt").write_text("\n".join(map(str, np.r_[allowed[::-1], allowed[:3]])))  # any order, twice too
    np.save(index / "allowed.npy", allowed)
    truth = allowed[exact(index.base[allowed], index.queries, 10)]
    for name in ("allowed.txt", "allowed.npy"):
        sonde("search", "i.sonde", "queries.npy", "-r1", "--filter-ids", name, "-o", "f.npy", directory=index)
        assert recall(np.load(index / "f.npy"), truth) > 0.999
    sonde("search", "i.sonde", "queries.npy", "-r1", "--exclude-ids", "allowed.npy", "-o", "f.npy", directory=index)
    assert not np.isin(np.load(index / "f.npy"), allowed).any()
    (index / "few.txt").write_text("3, 5")
    answer = sonde_json("search", "i.sonde", "queries.npy", "--filter-ids", "few.txt", directory=index)
    assert all({hit["id"] for hit in r["hits"]} == {3, 5} and r["reason"] == "fewer" for r in answer["results"])


@pytest.mark.parametrize("name", ["base.fvecs", "base.fbin"])
def test_the_format_does_not_matter(name, place):
    sonde("convert", "base.npy", name, directory=place)
    spec = ["--spec", "ivf(nlist=16)"]
    sonde("build", "base.npy", *spec, "-o", "a.sonde", directory=place)
    sonde("build", name, *spec, "-o", "b.sonde", "--threads", "1", directory=place)
    assert (place / "a.sonde").read_bytes() == (place / "b.sonde").read_bytes()


def test_bits(tmp_path):
    rng = np.random.default_rng(3)
    base, queries = rng.integers(256, size=(300, 8)).astype("u1"), rng.integers(256, size=(5, 8)).astype("u1")
    np.save(tmp_path / "b.npy", base)
    np.save(tmp_path / "q.npy", queries)
    answer = sonde_json("build", "b.npy", "--spec", "flat(metric=hamming, dtype=bits)", "-o", "b.sonde", directory=tmp_path)
    assert answer["dim"] == 64
    sonde("search", "b.sonde", "q.npy", "-k3", "-o", "i.npy", "--scores", "s.npy", directory=tmp_path)
    distances = np.unpackbits(base[None] ^ queries[:, None], axis=2).sum(axis=2)
    assert np.array_equal(np.load(tmp_path / "s.npy"), np.sort(distances, axis=1)[:, :3])
    assert np.array_equal(np.take_along_axis(distances, np.load(tmp_path / "i.npy"), 1), np.sort(distances, axis=1)[:, :3])


def test_build_json_train_and_ids(place):
    np.save(place / "ids.npy", np.arange(2000) * 10)
    answer = sonde_json("build", "base.npy", "--spec", "ivf(nlist=16, metric=cosine)", "-o", "t.sonde", "--train",
                        "queries.npy", "--ids", "ids.npy", directory=place)
    assert answer["rows"] == 2000 and answer["dim"] == 32 and "nlist=16" in answer["spec"]
    assert answer["file_bytes"] == (place / "t.sonde").stat().st_size
    sonde("search", "t.sonde", "base.npy", "-k1", "-r1", "-o", "self.npy", directory=place)
    assert np.array_equal(np.load(place / "self.npy")[:, 0], np.arange(2000) * 10)
    before = (place / "base.npy").read_bytes()
    assert "would overwrite" in sonde("build", "base.npy", "--spec", "flat", "-o", "base.npy", code=2, directory=place).err
    assert before == (place / "base.npy").read_bytes()


# ---- Looking, changing, tuning ---------------------------------------------------------------------------------------


def test_info_of_the_build():
    answer = sonde_json("info")
    assert answer["version"] == sonde("--version").out.split()[1] and answer["isa"]
    assert answer["isa"] in sonde("info").out
    forced = sonde_json("info", env=dict(os.environ, SONDE_ISA="generic"))
    assert forced["isa"] == "generic"


def test_info_of_a_file(index):
    text = sonde("info", "i.sonde", directory=index).out
    for words in ("ivf(nlist=32", "2,000", "cosine", "intact", "recall", "drift"):
        assert words in text
    answer = sonde_json("info", "i.sonde", directory=index)
    assert answer["holds"] == "index" and answer["rows"] == 2000 and answer["dim"] == 32 and answer["lists"] == 32
    assert answer["intact"] and answer["calibrated"] == 1 and 0.9 < answer["drift"] < 1.1 and answer["long_lists"] == 0
    assert answer["sections"] and all(section["intact"] for section in answer["sections"])
    curve = [point["recall"] for point in answer["calibration"] if point["k"] == 10]
    assert curve == sorted(curve) and curve[-1] > 0.9


def test_check_and_damage(index):
    assert "sound" in sonde("check", "i.sonde", directory=index).out
    assert sonde_json("check", "i.sonde", directory=index)["sound"] is True
    section = max(sonde_json("info", "i.sonde", directory=index)["sections"], key=lambda section: section["bytes"])
    raw = bytearray((index / "i.sonde").read_bytes())
    raw[section["offset"] + section["bytes"] // 2] ^= 1
    (index / "damaged.sonde").write_bytes(raw)
    assert "checksum" in sonde("check", "damaged.sonde", code=1, directory=index).err
    shown = sonde("info", "damaged.sonde", code=1, directory=index)
    assert "DAMAGED" in shown.out and section["tag"] in shown.err
    (index / "cut.sonde").write_bytes(raw[: len(raw) // 2])
    for command in (["check", "cut.sonde"], ["info", "cut.sonde"], ["search", "cut.sonde", "queries.npy"]):
        assert "cut.sonde" in sonde(*command, code=1, directory=index).err


def test_list():
    everything = sonde_json("list")["methods"]
    names = {(method["noun"], method["name"]) for method in everything}
    assert {("index", "flat"), ("index", "ivf"), ("quantizer", "pq")} <= names
    table = sonde("list").out
    assert all(re.search(rf"^{noun} +{name} ", table, re.MULTILINE) for noun, name in names)
    assert {m["noun"] for m in sonde_json("list", "index")["methods"]} == {"index"}
    (ivf,) = sonde_json("list", "index", "ivf")["methods"]
    keys = {key["name"]: key for key in ivf["keys"]}
    assert {"nlist", "code", "refine", "metric"} <= keys.keys() and keys["code"]["noun"] == "quantizer"
    page = sonde("list", "index", "ivf").out
    assert page == sonde("list", "ivf").out and all(name in page for name in keys)


def test_add_replace_remove(index):
    np.save(index / "new.npy", np.full((3, 32), 9, "f4") * np.arange(1, 4)[:, None])
    (index / "new.txt").write_text("5 6\n70000")
    answer = sonde_json("add", "i.sonde", "new.npy", "--ids", "new.txt", directory=index)
    assert (answer["added"], answer["replaced"], answer["rows"]) == (1, 2, 2001)
    sonde("search", "i.sonde", "new.npy", "-k3", "-r1", "-o", "n.npy", directory=index)
    assert all(set(row) == {5, 6, 70000} for row in np.load(index / "n.npy").tolist())
    assert "2 removed; 1,999 in all" in sonde("remove", "i.sonde", "5", "70000", "999999", directory=index).out
    (index / "gone.txt").write_text("6")
    answer = sonde_json("remove", "i.sonde", "--ids", "gone.txt", "7", "-o", "j.sonde", directory=index)
    assert (answer["removed"], answer["rows"]) == (2, 1997)
    assert sonde_json("info", "i.sonde", directory=index)["rows"] == 1999
    assert "3 rows added, 0 replaced" in sonde("add", "i.sonde", "new.npy", "-o", "k.sonde", directory=index).out
    for name in ("i.sonde", "j.sonde", "k.sonde"):
        sonde("check", name, directory=index)
    assert not [name for name in index.content() if "tmp" in name]


def test_merge(place):
    sonde("convert", "base.npy", "first.npy", "--rows", "0:1000", directory=place)
    sonde("convert", "base.npy", "second.npy", "--rows", "1000:", directory=place)
    (place / "second.txt").write_text(" ".join(map(str, range(1000, 2000))))
    for name, more in (("first", []), ("second", ["--ids", "second.txt"])):
        sonde("build", f"{name}.npy", "--spec", "flat(metric=cosine)", "-o", f"{name}.sonde", *more, directory=place)
    answer = sonde_json("merge", "first.sonde", "second.sonde", "-o", "all.sonde", directory=place)
    assert (answer["added"], answer["rows"]) == (1000, 2000)
    sonde("search", "all.sonde", "queries.npy", "-o", "ids.npy", directory=place)
    assert recall(np.load(place / "ids.npy"), exact(place.base, place.queries, 10)) > 0.999
    sonde("build", "second.npy", "--spec", "flat(metric=l2)", "-o", "l2.sonde", directory=place)
    sonde("merge", "first.sonde", "l2.sonde", "-o", "x.sonde", code=1, directory=place)
    assert not (place / "x.sonde").exists()


def test_tune(index):
    answer = sonde_json("tune", "i.sonde", "queries.npy", "--budget", "5", directory=index)
    recalls = [point["recall"] for point in answer["calibration"] if point["k"] == 10]
    assert recalls and recalls == sorted(recalls)
    assert sonde_json("info", "i.sonde", directory=index)["calibrated"] == 2
    assert "recall" in sonde("tune", "i.sonde", "-o", "again.sonde", directory=index).out
    assert sonde_json("info", "again.sonde", directory=index)["calibrated"] == 1


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.links = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href")]


def test_bench(place):
    (place / "specs.txt").write_text("# two of them\nflat(metric=cosine)\n\n  ivf(nlist=16, metric=cosine)\n")
    words = ["bench", "base.npy", "queries.npy", "--specs", "specs.txt", "--seconds", "0", "--html", "r.html"]
    text = sonde(*words, directory=place).out
    assert "recall@10" in text and text.count("metric=cosine") == 2
    page = Page((place / "r.html").read_text())
    assert "polyline" in page.tags and page.tags.count("circle") > 4 and not page.links
    answer = sonde_json(*words, directory=place)
    flat, ivf = answer["results"]
    assert flat["points"][-1]["recall"] > 0.999 and len(flat["points"]) == 1
    assert flat["bytes_per_vector"] >= 32 * 4
    recalls = [point["recall"] for point in ivf["points"]]
    assert len(recalls) > 3 and recalls[-1] > 0.999 and recalls[0] < recalls[-1]
    assert all(point["queries_per_second_one_thread"] > 0 for point in ivf["points"])
    (place / "specs.txt").write_text("flat\nivf(nlist=zero)\n")
    assert "nlist" in sonde(*words, code=1, directory=place).err


@pytest.fixture
def glosses(tmp_path):
    """The first 1,500 glosses and the questions about them."""
    lines = (DATA / "questions.tsv").read_text().splitlines()
    kept = [i for i, line in enumerate(lines) if int(line.split("\t")[0]) < 1500]
    (tmp_path / "questions.tsv").write_text("".join(lines[i] + "\n" for i in kept))
    np.save(tmp_path / "questions.npy", np.load(DATA / "questions.npy")[kept])
    (tmp_path / "glosses.tsv").write_text("".join((DATA / "glosses.tsv").read_text().splitlines(True)[:1500]))
    np.save(tmp_path / "glosses.npy", np.load(DATA / "glosses.npy")[:1500])
    return tmp_path


def test_demo(glosses):
    text = sonde("demo", glosses, "-o", "demo.html", "--seconds", "0", directory=glosses).out
    questions = [line.split("\t")[1] for line in (glosses / "questions.tsv").read_text().splitlines()]
    shown = [line.strip('"') for line in text.splitlines() if line.startswith('"')]
    assert len(shown) >= 10 and all(any(q.startswith(s[:60]) for q in questions) for s in shown)
    answers = re.findall(r"^  ([* ]) (\d\.\d\d)  (.+) - (.+)$", text, re.MULTILINE)
    assert len(answers) == 3 * len(shown) and any(star == "*" for star, *_ in answers)
    first, among = map(int, re.search(r"first for (\d+) % and is among the best 10 for (\d+) %", text).groups())
    wanted = np.array([int(line.split("\t")[0]) for line in (glosses / "questions.tsv").read_text().splitlines()])
    best = exact(np.load(glosses / "glosses.npy"), np.load(glosses / "questions.npy"), 10)
    assert abs(first - 100 * np.mean(best[:, 0] == wanted)) < 5
    assert abs(among - 100 * np.mean((best == wanted[:, None]).any(axis=1))) < 5
    for row in ("exact search", "flat, f16", "ivf, sq8 + refine", "ivf, pq + refine"):
        assert row in text
    assert "polyline" in Page((glosses / "demo.html").read_text()).tags
    (glosses / "glosses.npy").unlink()
    assert "glosses.npy" in sonde("demo", glosses, code=1).err


# ---- Terminal, pipe, signals -----------------------------------------------------------------------------------------


def big_file(place, rows=8000, columns=64):
    rng = np.random.default_rng(4)
    np.save(place / "big.npy", rng.normal(size=(rows, columns)).astype("f4"))
    return ["build", "big.npy", "--spec", "ivf(nlist=200, code=pq(m=16))", "-o", "big.sonde", "--threads", "1"]


def on_terminal(words, directory, stop_at=None):
    """Runs with stderr on a terminal; sends Ctrl-C once stop_at is seen. Returns the exit code and what was shown."""
    keyboard, screen = pty.openpty()
    process = subprocess.Popen([SONDE, *words], cwd=directory, stdin=screen, stdout=screen, stderr=screen,
                               start_new_session=True)
    os.close(screen)
    shown, sent, end = b"", False, time.monotonic() + 100
    while time.monotonic() < end:
        if select.select([keyboard], [], [], 0.1)[0]:
            try:
                shown += os.read(keyboard, 65536)
            except OSError:
                break
        if stop_at and not sent and stop_at in shown:
            process.send_signal(signal.SIGINT)
            sent = True
    os.close(keyboard)
    return process.wait(timeout=20), shown.decode()


def test_a_bar_on_a_terminal_and_none_in_a_pipe(place):
    words = big_file(place)
    piped = sonde(*words, directory=place)
    assert piped.err == ""
    code, shown = on_terminal(words, place)
    assert code == 0 and re.search(r"\[#* *\] +\d+ %", shown)
    assert shown.rstrip().splitlines()[-1].startswith("ivf(")  # the bar is gone when the result is printed
    code, shown = on_terminal([*words, "--quiet"], place)
    assert code == 0 and "%" not in shown


def test_control_c_leaves_the_old_file(place):
    words = big_file(place, rows=100000)
    (place / "big.sonde").write_bytes(b"the old one")
    code, shown = on_terminal(words, place, stop_at=b"%")
    assert code == 130 and "interrupted" in shown
    assert (place / "big.sonde").read_bytes() == b"the old one"
    assert sorted(place.content()) == ["base.npy", "big.npy", "big.sonde", "queries.npy"]


def test_a_full_disk_is_noticed(index):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([SONDE, "search", "i.sonde", "queries.npy"], cwd=index, stdout=full,
                              stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 1 and b"could not be written" in done.stderr
    done = sonde("search", "i.sonde", "queries.npy", "-o", "full.npy", code=1, directory=index, preexec_fn=small_files)
    assert "full.npy: cannot be written" in done.err and not [name for name in index.content() if "full" in name]


def small_files():
    """Files of at most 4 kB, as if the disk ended there."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
