"""test_quantizers: what quantizers.py and lists.py compute and write, on made-up figures and on Sonde alone.

SPDX-License-Identifier: MIT
"""
import json
import pathlib
import xml.etree.ElementTree as tree

import numpy as np
import pytest

import compare_data
import compare_results
import lists
import quantizer_codes
import quantizers
import quantizers_page

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples/data"
SVG = "{http://www.w3.org/2000/svg}"
ABOUT = {"name": "made <up>", "n": 1000, "d": 8, "queries": 50, "metric": "ip", "digest": "d1"}
MACHINE = {"processor": "a fast one", "processors": 2, "date": "2026-01-01"}


@pytest.fixture(scope="module")
def data():
    base, query = (np.load(EXAMPLES / name)[:rows].astype(np.float32)
                   for name, rows in (("glosses.npy", 1500), ("questions.npy", 40)))
    return compare_data.Data(base, query, "ip", "glosses")


# ---- What is compared ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("d, metric", [(384, "ip"), (50, "ip"), (128, "l2"), (24, "l2")])
def test_codes_are_told_apart(d, metric):
    codes = [code for _, ours, others in quantizer_codes.pairs(d, metric) for code in (ours, *others)]
    texts = [(code["library"], quantizer_codes.text(code), code.get("measure")) for code in codes]
    ours = [text for text in texts if text[0] == "sonde"]
    assert len(set(ours)) == len(ours)
    assert json.loads(json.dumps(codes)) == codes


@pytest.mark.parametrize("d", [384, 50, 128])
def test_every_code_can_be_made_and_takes_as_many_bits_as_its_peer(d):
    empty = compare_data.Data(np.zeros((1, d), np.float32), None, "ip", "")
    for _, ours, others in quantizer_codes.pairs(d, "ip"):
        size = quantizer_codes.make(ours, empty, 1).bytes()
        for factory in (code["factory"] for code in others if code.get("factory", "").startswith(("PQ", "OPQ", "RQ"))):
            m, bits = factory.rpartition("PQ" if "PQ" in factory else "RQ")[2].split("x")
            assert size == -(-int(m) * int(bits) // 8)


# ---- What is measured ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["sq(bits=3, query=f32)", "rabitq(bits=1)"])
def test_search_is_a_sort_of_all_codes(data, spec, monkeypatch):
    monkeypatch.setattr(quantizer_codes, "BLOCK", 400)
    code = quantizer_codes.make(quantizer_codes.sonde(spec), data, 1)
    code.train(data.base)
    near = code.decode(code.encode(data.base)).astype(np.float64)
    score = data.query @ near.T
    ids = code.search(data.base, data.query, 20)
    found, best = np.take_along_axis(score, ids, 1), -np.sort(-score, axis=1)[:, :20]
    assert np.abs(found - best).max() < 1e-5
    assert all(len(set(row)) == 20 for row in ids.tolist())


def test_found_counts_the_nearest_and_their_equals(data):
    order = np.argsort(-(data.query.astype("f8") @ data.base.astype("f8").T), axis=1, kind="stable")
    edge = compare_data.edges(data, order[:, :10])
    assert quantizers.found(data, order[:, :10], edge) == 1
    assert quantizers.found(data, order[:, 5:15], edge) == 0.5
    assert quantizers.found(data, order[:, :100], edge) == 1
    assert quantizers.found(data, order[:, 10:110], edge) == 0


def test_from_end_to_end(tmp_path):
    folder = tmp_path / "glosses"
    folder.mkdir()
    np.save(folder / "base.npy", np.load(EXAMPLES / "glosses.npy")[:1500])
    np.save(folder / "query.npy", np.load(EXAMPLES / "questions.npy")[:100])
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- quantizers: begin -->\nold\n<!-- quantizers: end -->\nafter\n")
    words = ["--data", str(folder), "--out", str(tmp_path / "out"), "--libraries", "sonde", "--only", "sq lloyd",
             "--queries", "50", "--threads", "1"]
    assert quantizers.main(words) == 0
    lines = compare_results.read(tmp_path / "out" / "quantizers.jsonl")
    recall = [line["recall"] for line in lines[::-1]]  # with 1, 2, 3, 4 bits a column
    assert len(recall) == 4 and recall == sorted(recall) and recall[0] > 0.3 and recall[3] > 0.8
    assert all(0 <= line["recall"] <= line["recall_of_many"] <= 1 and line["data"]["queries"] == 50 for line in lines)
    assert quantizers.main(words) == 0  # nothing is left to measure
    assert compare_results.read(tmp_path / "out" / "quantizers.jsonl") == lines
    pytest.importorskip("faiss")
    assert quantizers.main(["--out", str(tmp_path / "out"), "--docs", str(page)]) == 0
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text and "levels=lloyd" in text
    tree.parse(tmp_path / "page.svg")


# ---- The pages -------------------------------------------------------------------------------------------------------


def line(library, family="sq", recall=0.5, size=48, **more):
    setting = {"library": library, **({"spec": "sq(bits=4)"} if library == "sonde" else {"factory": "SQ4"})}
    return {"part": "quality", "data": ABOUT, "family": family, "pair": "sq(bits=4)", "setting": setting,
            "version": "1", "bytes": size, "recall": recall, "recall_of_many": 0.9, "error": 0.01, **more}


def test_tables_set_sonde_beside_the_others():
    speed = [line(library, part="speed", train_seconds=seconds, rows_a_second=rate)
             for library, seconds, rate in (("sonde", 2.0, 900.0), ("faiss-cpu", 3.0, 300.0))]
    quality, fast = quantizers_page.result([line("sonde", recall=0.51), line("faiss-cpu"), *speed], MACHINE)["tables"]
    assert [row[-1] for row in quality["rows"]] == ["+1.00"]
    assert [row[-2:] for row in fast["rows"]] == [[1.5, 3.0]]
    assert {len(row) for row in quality["rows"]} == {len(quality["columns"])}
    assert {len(row) for row in fast["rows"]} == {len(fast["columns"])}


def test_failures_and_codes_without_a_peer_keep_their_row():
    failed = {key: value for key, value in line("faiss-cpu").items() if key not in ("bytes", "recall")}
    for lines in ([line("sonde")], [line("sonde"), {**failed, "failed": "1"}]):
        (table,) = quantizers_page.result(lines, MACHINE)["tables"]
        assert len(table["rows"]) == 1 and len(table["rows"][0]) == len(table["columns"])
        assert table["rows"][0][-1] is None


def test_the_plot_holds_every_point():
    lines = [line("sonde", size=size, recall=size / 100) for size in (12, 24, 48)] + [line("faiss-cpu")]
    lines += [line("sonde", "lsh", size=8), line("sonde", "rabitq", size=60)]
    plot = tree.fromstring(quantizers_page.plot(lines))
    circles = plot.findall(f".//{SVG}circle")
    assert len(circles) == 3 + 1 + 1 + 2 * 1  # rabitq stands in both panels
    width, height = (float(plot.get(name)) for name in ("width", "height"))
    assert all(0 < float(c.get("cx")) < width and 0 < float(c.get("cy")) < height for c in circles)
    assert "made <up>: 1,000 x 8, ip" in [text.text for text in plot.findall(f".//{SVG}text")]


def sweep(peer, index, size, *curve):
    common = {"data": ABOUT, "peer": peer, "version": "1", "setting": {"index": index, "bytes": size}, "mode": "batch",
              "threads": 1}
    return [{"kind": "point", **common, "build_threads": 1, "build_seconds": 1, "bytes": size * ABOUT["n"],
             "effort": i, "recall": recall, "qps": qps} for i, (recall, qps) in enumerate(curve)]


def test_lists_take_the_best_setting_and_mind_the_bytes():
    lines = [*sweep("sonde", "ivf", 900, (0.90, 4000), (0.95, 3000), (0.99, 2000)),
             *sweep("sonde", "ivf", 500, (0.90, 3000), (0.95, 1000)),
             *sweep("faiss-cpu", "IVF-PQfs", 800, (0.90, 2000), (0.95, 1500), (0.99, 500)),
             *sweep("scann", "tree-AH", 700, (0.90, 1000), (0.95, 500)),
             *sweep("faiss-cpu", "HNSW", 100, (0.90, 9999), (0.99, 9999))]
    (table,) = lists.result(lines, MACHINE)["tables"]
    rows = {row[0]: row[1:] for row in table["rows"]}
    assert rows["sonde"] == ["4,000 (900)", "3,000 (900)", "2,000 (900)"]
    assert rows["scann"] == ["1,000 (700)", "500 (700)", None]
    assert rows["Sonde / best of the others"] == ["2.00", "2.00", "4.00"]
    assert rows["the same, in no more bytes"] == ["1.50", "0.67", None]
