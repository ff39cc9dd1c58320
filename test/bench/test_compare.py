"""test_compare: what compare.py computes and writes, on made-up figures; and a small real run of Sonde alone.

SPDX-License-Identifier: MIT
"""
import csv
import json
import math
import os
import pathlib
import xml.etree.ElementTree as tree

import numpy as np
import pytest

import compare
import compare_data
import compare_page
import compare_results
import peers

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples/data"
SVG, HTML = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xhtml}"
MACHINE = {"kind": "machine", "processor": "a <fast> one", "processors": 4, "system": "Linux", "date": "2026-01-01"}
DATA = {"name": "made & up", "n": 1000, "d": 8, "queries": 50, "metric": "ip", "digest": "d1"}


def sweep_line(peer, index="HNSW", version="1", mode="batch", threads=1, **setting):
    return {"data": DATA, "peer": peer, "version": version, "setting": {"index": index, **setting}, "mode": mode,
            "threads": threads}


def points(line, *pairs):
    return [{"kind": "point", **line, "build_threads": 2, "build_seconds": 1.5, "bytes": 64000, "effort": i,
             "recall": recall, "qps": qps} for i, (recall, qps) in enumerate(pairs)]


def end(line, status="ok", why=""):
    return {"kind": "end", **line, "status": status, "why": why}


def made_up():
    """Three peers, two modes, one failure, one sweep that was cut off."""
    lines = [MACHINE]
    for mode in compare.MODES:
        for peer, gain in (("sonde", 1.5), ("faiss-cpu", 1.0), ("hnswlib", 0.4)):
            line = sweep_line(peer, mode=mode, M=16)
            lines += points(line, (0.7, 9000 * gain), (0.92, 4000 * gain), (0.97, 2000 * gain), (0.999, 500 * gain))
            lines.append(end(line))
    lines.append(end(sweep_line("scann"), "failed", "signal 11; it said <nothing>"))
    lines += points(sweep_line("usearch"), (0.85, 3000))
    return lines


def found(lines):
    return list(compare_results.sweeps(lines).values())


def page_of(lines, missing):
    return tree.fromstring(compare_page.page(MACHINE, found(lines), missing))


# ---- Fronts and figures at a recall ----------------------------------------------------------------------------------


def test_front_holds_what_no_other_point_beats():
    random = np.random.default_rng(3)
    for _ in range(50):
        cloud = [tuple(p) for p in np.round(random.random((40, 2)), 2)]
        cloud = [(recall, qps + 0.01) for recall, qps in cloud]
        unbeaten = {p for p in cloud if not any(o != p and o[0] >= p[0] and o[1] >= p[1] for o in cloud)}
        assert compare_results.front(cloud) == sorted(unbeaten)


def test_figures_at_a_recall():
    def line(recall):
        return math.exp(9 - 5 * recall)  # linear in log QPS, so interpolation is exact
    curve = [(recall, line(recall)) for recall in (0.99, 0.5, 0.93, 0.8)]
    for target in (0.5, 0.6, 0.9, 0.95, 0.99):
        assert compare_results.qps_at(curve, target) == pytest.approx(line(target), rel=1e-12)
    assert compare_results.qps_at(curve, 0.3) == line(0.5)
    assert compare_results.qps_at(curve, 0.995) is None
    assert compare_results.qps_at([], 0.9) is None
    assert compare_results.qps_at(curve + [(0.9, 1.0)], 0.95) == pytest.approx(line(0.95), rel=1e-12)


# ---- Results: read, written, replaced --------------------------------------------------------------------------------


def test_lines_come_back_as_written(tmp_path):
    path = str(tmp_path / "results.jsonl")
    assert compare_results.read(path) == []
    for line in made_up():
        compare_results.append(path, line)
    assert compare_results.read(path) == made_up()
    with open(path, "a") as file:
        file.write('{"kind": "po')
    with pytest.raises(SystemExit, match="damaged"):
        compare_results.read(path)


def test_new_measurements_replace_old_ones():
    line, newer = sweep_line("sonde"), sweep_line("sonde", version="2")
    old = points(line, (0.8, 100), (0.9, 50)) + [end(line)]
    [sweep] = found(old + points(newer, (0.85, 200)))
    assert (sweep.version, sweep.curve(), sweep.status) == ("2", [(0.85, 200)], "open")
    [sweep] = found(old[:2] + points(newer, (0.85, 200)))
    assert sweep.curve() == [(0.85, 200)]
    [sweep] = found(old + points(line, (0.7, 300)) + [end(line, "failed", "why")])
    assert (sweep.status, sweep.curve()) == ("failed", [(0.7, 300)])
    [sweep] = found([end(line, "failed", "why")] + old)
    assert (sweep.status, len(sweep.points)) == ("ok", 2)
    [sweep] = found(old[:1] + old)  # cut off, then run again
    assert sweep.curve() == [(0.8, 100), (0.9, 50)]


def test_csv_round_trip(tmp_path):
    path, sweeps = tmp_path / "results.csv", found(made_up())
    compare_results.write_csv(path, sweeps, {"pyvsag": "not installed"})
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    back = {}
    for row in rows:
        if row["qps"]:
            at = (row["peer"], row["mode"], int(row["threads"]), json.loads(row["setting"])["index"])
            back.setdefault(at, []).append((float(row["recall"]), float(row["qps"])))
            assert (row["data"], int(row["bytes"]), float(row["build_seconds"])) == ("made & up", 64000, 1.5)
    assert back == {(s.peer, s.mode, s.threads, s.setting["index"]): s.curve() for s in sweeps if s.points}
    others = [(row["peer"], row["status"]) for row in rows if not row["qps"]]
    assert others == [("scann", "failed"), ("pyvsag", "not installed")]


# ---- The page --------------------------------------------------------------------------------------------------------


def test_page_is_well_formed_and_names_everything():
    root = page_of(made_up(), {"pyvsag": "not installed: pip install pyvsag"})
    plots = root.findall(f".//{SVG}svg")
    assert len(plots) == len(root.findall(f".//{HTML}table")) == 2
    for plot, peers_in_it in zip(plots, (4, 3)):
        names = {text.text for text in plot.iter(f"{SVG}text")}
        assert {"sonde HNSW", "faiss-cpu HNSW", "hnswlib HNSW", "recall@10", "queries a second"} <= names
        assert len(plot.findall(f".//{SVG}polyline")) == peers_in_it
    text = " ".join(root.itertext())
    for words in ("made & up", "a <fast> one", "pyvsag: not installed", "signal 11; it said <nothing>", "usearch"):
        assert words in text


def test_plot_shows_faster_higher_and_better_further_right():
    plot = page_of(made_up(), {}).find(f".//{SVG}svg")
    heights = {}
    for group in plot.iter(f"{SVG}g"):
        name = group.find(f"{SVG}title")
        if name is not None:
            heights[name.text] = [tuple(map(float, pair.split(",")))
                                  for pair in group.find(f"{SVG}polyline").get("points").split()]
    assert all(a[0] < b[0] and a[1] < b[1] for line in heights.values() for a, b in zip(line, line[1:]))
    assert all(a[1] < b[1] < c[1] for a, b, c in
               zip(heights["sonde HNSW"], heights["faiss-cpu HNSW"], heights["hnswlib HNSW"]))


def test_ratios_are_to_the_best_peer():
    table = page_of(made_up(), {}).find(f".//{HTML}table")
    heads = [head.text for head in table.iter(f"{HTML}th")]
    cells = {row[0].text: dict(zip(heads, (cell.text for cell in row))) for row in table.find(f"{HTML}tbody")}
    ratios = {name: row["ratio 0.95"] for name, row in cells.items()}
    assert ratios == {"sonde 1": "1.50", "faiss-cpu 1": "1.00", "hnswlib 1": "0.40", "usearch 1": "–"}
    assert next(iter(cells)) == "sonde 1" and cells["sonde 1"]["bytes a vector"] == "64"


# ---- Peers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", peers.NAMES)
@pytest.mark.parametrize("n, d, metric", [(2000, 24, "l2"), (100_000, 384, "ip"), (1_000_000, 97, "l2")])
def test_settings_are_told_apart(name, n, d, metric):
    settings = peers.find(name).settings(n, d, metric)
    assert settings and all(setting["index"] for setting in settings)
    texts = [(setting["index"], compare_page.setting_text(setting)) for setting in settings]
    assert len(set(texts)) == len(settings)
    assert json.loads(json.dumps(settings)) == settings


# ---- What is right ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """2,000 rows and 100 queries as a person may have them: f16, no exact neighbours, no meta.json."""
    path = tmp_path_factory.mktemp("glosses")
    np.save(path / "docs.npy", np.load(EXAMPLES / "glosses.npy")[:2000])
    np.save(path / "queries.dev.npy", np.load(EXAMPLES / "questions.npy")[:100])
    return path


def nearest(data, k):
    """By plain NumPy in double precision."""
    base, query = data.base.astype("f8"), data.query.astype("f8")
    near = query @ base.T if data.metric == "ip" else -((query[:, None] - base[None]) ** 2).sum(2)
    return np.argsort(-near, axis=1, kind="stable")[:, :k]


@pytest.mark.parametrize("metric", compare_data.METRICS)
def test_recall_counts_the_share_of_right_rows(folder, metric):
    data = compare_data.load(folder, rows=300, queries=20, metric=metric)
    truth = nearest(data, 20)
    edge = compare_data.edges(data, truth)
    assert compare_data.recall(data, truth, edge) == 1
    assert compare_data.recall(data, truth[:, :7], edge) == pytest.approx(0.7)
    shifted = np.concatenate([truth[:, :4], truth[:, 14:]], axis=1)
    assert compare_data.recall(data, shifted, edge) == pytest.approx(0.4)
    assert compare_data.recall(data, np.repeat(truth[:, :1], 10, axis=1), edge) == pytest.approx(0.1)
    assert compare_data.recall(data, np.full((20, 10), -1), edge) == 0
    assert compare_data.recall(data, np.full((20, 10), len(data.base), np.uint64), edge) == 0


def test_ties_cost_nothing():
    base = np.array([[1, 0]] * 15 + [[0, 1]] * 5, np.float32)
    data = compare_data.Data(base, base[:1], "l2", "ties")
    edge = compare_data.edges(data, np.arange(10)[None])
    assert compare_data.recall(data, np.arange(5, 15)[None], edge) == 1
    assert compare_data.recall(data, np.arange(10, 20)[None], edge) == 0.5


def test_wrong_neighbours_are_refused(folder):
    data = compare_data.load(folder, rows=500)
    right = nearest(data, 10)
    compare_data.check_truth(right, data, "gt.npy")
    with pytest.raises(SystemExit, match="not the 10 nearest"):
        compare_data.check_truth(right[::-1], data, "gt.npy")
    with pytest.raises(SystemExit, match="shape"):
        compare_data.check_truth(right[:, :5], data, "gt.npy")


def test_data_that_says_too_little_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="base.npy and query.npy or docs.npy"):
        compare_data.load(tmp_path)
    np.save(tmp_path / "base.npy", np.ones((30, 4), np.float32))
    np.save(tmp_path / "query.npy", np.ones((3, 4), np.float32))
    with pytest.raises(SystemExit, match="say --metric"):
        compare_data.load(tmp_path)
    (tmp_path / "meta.json").write_text('{"metric": "cosine"}')
    assert compare_data.load(tmp_path).base == pytest.approx(0.5)


# ---- A real run ------------------------------------------------------------------------------------------------------


def run(folder, out, *more):
    return compare.main(["--data", str(folder), "--out", str(out), "--passes", "1", "--build-threads", "1", *more])


def points_in(out):
    return [line for line in compare_results.read(out / "results.jsonl") if line["kind"] == "point"]


def test_sonde_alone_from_end_to_end(folder, tmp_path):
    words = ["--peers", "sonde", "--specs", "ivf(nlist=16)", "flat", "--mode", "batch,single"]
    assert run(folder, tmp_path, *words) == 0
    measured = points_in(tmp_path)
    curves = {(s.setting["index"], s.mode): s.curve() for s in found(compare_results.read(tmp_path / "results.jsonl"))}
    assert set(curves) == {(index, mode) for index in ("ivf", "flat") for mode in compare.MODES}
    assert curves["flat", "batch"][0][0] == curves["flat", "single"][0][0] == 1
    recalls = [recall for recall, _ in curves["ivf", "batch"]]
    assert recalls == sorted(recalls) and recalls[0] < 0.9 < recalls[-1]
    assert recalls == [recall for recall, _ in curves["ivf", "single"]]
    assert all(point["bytes"] >= 2000 * 384 * 4 and point["qps"] > 0 for point in measured)
    tree.parse(tmp_path / "report.html")

    assert run(folder, tmp_path, *words) == 0  # nothing is left to measure
    assert points_in(tmp_path) == measured

    results = tmp_path / "results.jsonl"
    kept = [line for line in results.read_text().splitlines() if '"flat"' not in line]
    results.write_text("\n".join(kept) + "\n")  # as if it had been interrupted
    assert run(folder, tmp_path, *words) == 0
    again = [point for point in points_in(tmp_path) if point["setting"]["index"] == "flat"]
    assert len(again) == 2 and len(points_in(tmp_path)) == len(measured)
    assert not os.path.exists(folder / "gt.npy")


def test_what_cannot_be_measured_is_reported(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(peers.find("hnswlib"), "module", "no_such_module")
    assert run(folder, tmp_path, "--peers", "sonde,hnswlib", "--specs", "flat", "ivf(nlist=0)", "--queries", "20") == 1
    text = " ".join(tree.parse(tmp_path / "report.html").getroot().itertext())
    assert "hnswlib: not installed: pip install hnswlib" in text
    assert "hnswlib: not installed: pip install hnswlib" in capsys.readouterr().out
    assert "ivf(nlist=0)" in text and "failed exit code 1" in text and "nlist" in text
    with open(tmp_path / "results.csv", newline="") as file:
        status = {(row["peer"], row["index"]): row["status"] for row in csv.DictReader(file)}
    assert status == {("sonde", "flat"): "ok", ("sonde", "ivf"): "failed",
                      ("hnswlib", ""): "not installed: pip install hnswlib"}
    assert run(folder, tmp_path, "--peers", "sonde", "--specs", "flat", "ivf(nlist=0)", "--queries", "20") == 1
    ends = [line["status"] for line in compare_results.read(tmp_path / "results.jsonl") if line["kind"] == "end"]
    assert ends == ["ok", "failed", "failed"]  # what failed is tried again


def test_exact_neighbours_are_written_on_request(folder, tmp_path):
    for name in ("docs.npy", "queries.dev.npy"):
        (tmp_path / name).symlink_to(folder / name)
    assert run(tmp_path, tmp_path / "out", "--peers", "sonde", "--specs", "flat", "--write-gt") == 0
    written = np.load(tmp_path / "gt.npy")
    assert written.shape == (100, 100)
    assert (written[:, :10] == nearest(compare_data.load(tmp_path), 10)).mean() > 0.999
    np.save(tmp_path / "gt.npy", written[::-1])
    with pytest.raises(SystemExit, match="gt.npy: these are not the 10 nearest rows of query 0 "):
        run(tmp_path, tmp_path / "other", "--peers", "sonde", "--specs", "flat")


def test_without_sonde_the_neighbours_must_be_there(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(peers.find("sonde"), "missing", staticmethod(lambda: "not built"))
    with pytest.raises(SystemExit, match="no gt.npy.*not built"):
        run(folder, tmp_path)


def test_results_of_another_machine_are_not_mixed(folder, tmp_path):
    compare_results.append(tmp_path / "results.jsonl", MACHINE)
    with pytest.raises(SystemExit, match="another machine"):
        run(folder, tmp_path, "--peers", "sonde")


@pytest.mark.parametrize("words", [["--peers", "fais"], ["--threads", "0"], ["--mode", "both"],
                                   ["--write-gt", "--rows", "9"]])
def test_wrong_usage_is_refused(folder, tmp_path, words, capsys):
    with pytest.raises(SystemExit) as refused:
        run(folder, tmp_path, *words)
    assert refused.value.code == 2 and words[0] in capsys.readouterr().err
