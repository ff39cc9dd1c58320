"""The page of compare.py: for each data set, mode and number of threads a plot and a table; then what was not measured.

One HTML file that loads nothing and needs no script. The plots are SVG inside it: a curve for each kind of index of
each library, over all its settings; resting the pointer on a point names setting and effort.

SPDX-License-Identifier: MIT
"""
import math
import xml.etree.ElementTree as tree

from compare_results import TARGETS, front, qps_at

COLOURS = {"sonde": "#000000", "faiss-cpu": "#0072b2", "hnswlib": "#e69f00", "pyvsag": "#cc79a7",
           "rabitqlib": "#d55e00", "scalable-vs": "#009e73", "scann": "#56b4e9",
           "lorann": "#f0e442", "usearch": "#8c6d1f"}  # told apart by the colour-blind too
OTHER_COLOUR = "#777777"
DASHES = ("none", "8 4", "2 3", "9 3 2 3")  # the kinds of index of one library
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 1000, 500, 90, 260, 16, 50
HIGH_RECALL = 0.8      # a plot begins here, so that the part that matters fills it, unless curves end below
HOPELESS_RECALL = 0.5  # a curve that ends below stands in the table, and does not stretch the plot

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em; color: #222; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2em; }
svg { width: 100%; height: auto; font: 13px system-ui, sans-serif; }
table { border-collapse: collapse; font-size: 13px; }
th, td { padding: .25em .6em; border-bottom: 1px solid #ddd; text-align: right; vertical-align: top; }
th.left, td.left { text-align: left; } td.best { font-weight: bold; } tr.sonde { background: #f2f2f2; }
"""

HOW = """Recall@10 is the share of the ten nearest rows that was found. Every setting was built in a process of its
own, with the number of threads said above the table; while searching, all threads of the process were pinned to as many
processors as the search was given threads. The figure of a point is the best of some passes over all queries. Figures
at a recall lie between two measured points of a setting, log QPS being linear in recall; where all points lie above
it, the fastest counts. Bytes are those of the saved index. One query a call includes what a call from Python costs.
pyvsag has no call for many queries, so its batch is a loop over them on one thread."""

# ---- Elements --------------------------------------------------------------------------------------------------------


def element(name, *content, **attributes):
    """content: text first, then child elements. A trailing _ of an attribute is dropped, _ inside becomes -."""
    made = tree.Element(name, {key.rstrip("_").replace("_", "-"): str(value) for key, value in attributes.items()})
    for part in content:
        if isinstance(part, str):
            made.text = (made.text or "") + part
        else:
            made.append(part)
    return made


def show(value):
    """A number as a person reads it; a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def setting_text(setting):
    words = {name: value for name, value in setting.items() if name not in ("index", "factors")}
    if len(words) == 1:
        return str(*words.values())
    return words.pop("factory", setting["index"]) + "".join(f" {name}={value}" for name, value in words.items())


# ---- One group: the sweeps that may be compared ----------------------------------------------------------------------


def groups(sweeps):
    """{(data set, mode, threads): sweeps with points}"""
    made = {}
    for sweep in sweeps:
        if sweep.points:
            made.setdefault((sweep.data["digest"], sweep.mode, sweep.threads), []).append(sweep)
    return dict(sorted(made.items()))


def series_of(sweeps):
    """{series: [(recall, qps, what it is)]}, fastest at the middle target first."""
    points = {}
    for sweep in sweeps:
        for point in sweep.points.values():
            hint = f"{sweep.series}, {setting_text(sweep.setting)}, effort {point['effort']}"
            points.setdefault(sweep.series, []).append((point["recall"], point["qps"], hint))
    return dict(sorted(points.items(), key=lambda item: -(qps_at(item[1], TARGETS[1]) or 0)))


class Axes:
    """Recall from left to right, log QPS upwards."""

    def __init__(self, curves):
        tops = [max(point[0] for point in curve) for curve in curves]
        weakest = min([top for top in tops if top >= HOPELESS_RECALL] or tops)
        self.low = min(HIGH_RECALL, math.floor(weakest * 10) / 10)
        shown = [point[1] for curve in curves for point in curve if point[0] >= self.low]
        self.bottom, self.top = math.floor(math.log10(min(shown)) * 4) / 4, math.ceil(math.log10(max(shown)) * 4) / 4
        self.top += 0.25 * (self.top == self.bottom)

    def x(self, recall):
        return round(LEFT + (recall - self.low) / (1 - self.low or 1) * (WIDTH - LEFT - RIGHT), 1)

    def y(self, qps):
        return round(TOP + (self.top - math.log10(qps)) / (self.top - self.bottom) * (HEIGHT - TOP - BOTTOM), 1)

    def recalls(self):
        step = 0.02 if self.low >= 0.8 else 0.1
        return [round(1 - step * i, 2) for i in range(round((1 - self.low) / step) + 1)]

    def speeds(self):
        decades = range(math.floor(self.bottom), math.ceil(self.top) + 1)
        ticks = [digit * 10.0 ** decade for decade in decades for digit in (1, 2, 5)]
        return [tick for tick in ticks if self.bottom <= math.log10(tick) <= self.top]


def grid(axes):
    """The frame, its lines and what stands beside them."""
    right, base = WIDTH - RIGHT, HEIGHT - BOTTOM
    lines = element("g", stroke="#e2e2e2")
    labels = element("g", fill="#444")
    for recall in axes.recalls():
        lines.append(element("line", x1=axes.x(recall), x2=axes.x(recall), y1=TOP, y2=base))
        labels.append(element("text", f"{recall:g}", x=axes.x(recall), y=base + 18, text_anchor="middle"))
    for speed in axes.speeds():
        lines.append(element("line", x1=LEFT, x2=right, y1=axes.y(speed), y2=axes.y(speed)))
        labels.append(element("text", f"{speed:,.0f}", x=LEFT - 8, y=axes.y(speed) + 4, text_anchor="end"))
    middle = (LEFT + right) / 2
    labels.append(element("text", "recall@10", x=middle, y=HEIGHT - 8, text_anchor="middle"))
    labels.append(element("text", "queries a second", x=14, y=HEIGHT / 2, text_anchor="middle",
                          transform=f"rotate(-90 14 {HEIGHT / 2:g})"))
    return [lines, labels]


def styles_of(sweeps):
    """{series: attributes of its line}: a colour for the library, a dash for the kind of index, the first one solid."""
    kinds, styles = {}, {}
    for name, peer in {sweep.series: sweep.peer for sweep in sweeps}.items():
        kind = kinds[peer] = kinds.get(peer, -1) + 1
        styles[name] = {"stroke": COLOURS.get(peer, OTHER_COLOUR), "stroke_width": 3 if peer == "sonde" else 1.8,
                        "stroke_dasharray": DASHES[kind % len(DASHES)]}
    return styles


def curve(name, points, style, axes):
    """The front of a series: a line, and its points from `low` on; those left of the frame only lead the line in."""
    best = front(points)
    line = " ".join(f"{axes.x(recall)},{axes.y(qps)}" for recall, qps, _ in best)
    marks = [element("circle", element("title", f"{hint}: recall {recall:.4f}, {qps:,.0f} QPS"), cx=axes.x(recall),
                     cy=axes.y(qps), r=4, fill=style["stroke"]) for recall, qps, hint in best if recall >= axes.low]
    return element("g", element("title", name), element("polyline", points=line, fill="none", **style), *marks)


def legend(names, styles):
    made = element("g")
    for i, name in enumerate(names):
        y = TOP + 12 + 22 * i
        made.append(element("line", x1=WIDTH - RIGHT + 20, x2=WIDTH - RIGHT + 56, y1=y, y2=y, **styles[name]))
        made.append(element("text", name, x=WIDTH - RIGHT + 64, y=y + 4))
    return made


def plot(sweeps, title, number):
    series = series_of(sweeps)
    axes = Axes(series.values())
    styles = styles_of(sweeps)
    frame = element("clipPath", element("rect", x=LEFT, y=TOP - 6, width=WIDTH - LEFT - RIGHT + 6,
                                        height=HEIGHT - TOP - BOTTOM + 12), id=f"frame-{number}")
    curves = element("g", *(curve(name, points, styles[name], axes) for name, points in series.items()),
                     clip_path=f"url(#frame-{number})")
    height = max(HEIGHT, TOP + 22 * (len(series) + 1))
    return element("svg", frame, *grid(axes), curves, legend(series, styles), xmlns="http://www.w3.org/2000/svg",
                   viewBox=f"0 0 {WIDTH} {height}", role="img", aria_label=title)


# ---- The table -------------------------------------------------------------------------------------------------------


def speeds_of(sweeps):
    """Each sweep's QPS at the targets, and the best of all and of the peers."""
    speeds = [[qps_at(sweep.curve(), target) for target in TARGETS] for sweep in sweeps]

    def best(chosen):
        return [max((speed[i] or 0 for speed in chosen), default=0) for i in range(len(TARGETS))]
    return speeds, best(speeds), best([s for s, sweep in zip(speeds, sweeps) if sweep.peer != "sonde"])


def table_row(sweep, speed, best, best_peer):
    size = sweep.measured("bytes")
    cells = [element("td", text, class_="left")
             for text in (f"{sweep.peer} {sweep.version}", setting_text(sweep.setting))]
    cells += [element("td", show(value)) for value in
              (sweep.measured("build_seconds"), size and size / sweep.data["n"])]
    cells += [element("td", show(qps), class_="best" if qps and qps == top else "qps") for qps, top in zip(speed, best)]
    cells += [element("td", f"{qps / top:.2f}" if qps and top else "–") for qps, top in zip(speed, best_peer)]
    cells.append(element("td", f"{max(sweep.curve())[0]:.4f}"))
    return element("tr", *cells, class_="sonde" if sweep.peer == "sonde" else "peer")


def table(sweeps):
    speeds, best, best_peer = speeds_of(sweeps)
    order = sorted(range(len(sweeps)), key=lambda i: [-(speeds[i][t] or 0) for t in (1, 0, 2)])
    left = [element("th", text, class_="left") for text in ("library", "setting")]
    heads = ["build s", "bytes a vector", *(f"QPS at {t:.2f}" for t in TARGETS), *(f"ratio {t:.2f}" for t in TARGETS),
             "top recall"]
    return element("table", element("thead", element("tr", *left, *(element("th", text) for text in heads))),
                   element("tbody", *(table_row(sweeps[i], speeds[i], best, best_peer) for i in order)))


def section(sweeps, number):
    data, mode, threads = sweeps[0].data, sweeps[0].mode, sweeps[0].threads
    how = "all queries in one call" if mode == "batch" else "one query a call"
    title = f"{data['name']}: {threads} search thread{'s' * (threads > 1)}, {how}"
    builders = " or ".join(sorted({str(sweep.measured("build_threads")) for sweep in sweeps}))
    about = (f"{data['n']:,} rows of {data['d']} columns, {data['queries']:,} queries, metric {data['metric']}; built "
             f"with {builders} thread(s). Ratio: to the best setting of any library but Sonde. Bold: the best of all.")
    return [element("h2", title), plot(sweeps, title, number), element("p", about), table(sweeps)]


def not_measured(sweeps, missing):
    """Nothing is dropped in silence."""
    lines = [f"{peer}: {why}" for peer, why in missing.items()]
    lines += [f"{s.series} ({setting_text(s.setting)}), {s.mode}, {s.threads} thread(s): {s.status} {s.why}".rstrip()
              for s in sweeps if s.status != "ok"]
    if not lines:
        return []
    return [element("h2", "Not measured, or not to the end"), element("ul", *(element("li", line) for line in lines))]


def page(machine, sweeps, missing):
    """The whole page as text. missing: {peer: why it is not there}."""
    on = f"{machine['date']}; {machine['processor']}, {machine['processors']} processor(s), {machine['system']}"
    sections = [part for i, group in enumerate(groups(sweeps).values()) for part in section(group, i)]
    body = element("body", element("h1", "Sonde and its peers"), element("p", on), *sections,
                   *not_measured(sweeps, missing), element("h2", "How it was measured"), element("p", HOW))
    head = element("head", element("meta", charset="utf-8"), element("title", "Sonde and its peers"),
                   element("style", STYLE))
    html = element("html", head, body, lang="en", xmlns="http://www.w3.org/1999/xhtml")
    return "<!DOCTYPE html>\n" + tree.tostring(html, encoding="unicode") + "\n"
