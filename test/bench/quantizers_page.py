"""The tables and the plot of quantizers.py, from the lines that it measured.

The plot is one SVG file: for each data set recall@10 against bits a vector, codes that give vectors back at the left,
binary codes at the right; Sonde's lines are solid, those of the others dashed in the same colour.

SPDX-License-Identifier: MIT
"""
import math
import xml.etree.ElementTree as tree

import quantizer_codes
from compare_page import element

VECTORS = {"sq": "#000000", "sq lloyd": "#777777", "pq 8 bits": "#0072b2", "pq 4 bits": "#56b4e9",
           "opq": "#009e73", "rq 8 bits": "#e69f00", "rq 4 bits": "#8c6d1f", "rabitq": "#d55e00"}
SIGNS = {"lsh": "#0072b2", "lsh hamming": "#56b4e9", "itq": "#009e73", "itq hamming": "#8c6d1f",
         "bernoulli": "#cc79a7", "bebr": "#e69f00", "rabitq": "#d55e00"}  # told apart by the colour-blind too
DASHES = {"sonde": "none", "faiss-cpu": "6 4", "rabitqlib": "2 3"}
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 380, 52, 198, 40, 46  # of one panel
STYLE = "text { font: 12px system-ui, sans-serif; fill: #222; } .title { font-weight: bold; }"

# ---- What there is to show -------------------------------------------------------------------------------------------


def data_sets(lines):
    """{digest: about}, in the order in which they were measured first."""
    return {line["data"]["digest"]: line["data"] for line in lines}


def chosen(lines, part, digest):
    return [line for line in lines if line["part"] == part and line["data"]["digest"] == digest]


def bits(line):
    return 8 * line["bytes"]


def curves(lines, family):
    """{library: [(bits, recall, text)]}, by rising bits."""
    found = {}
    for line in lines:
        if line["family"] == family and "failed" not in line:
            found.setdefault(line["setting"]["library"], []).append(
                (bits(line), line["recall"], quantizer_codes.text(line["setting"])))
    return {library: sorted(points) for library, points in found.items()}


# ---- The plot --------------------------------------------------------------------------------------------------------


class Panel:
    """log2 of bits a vector from left to right, recall upwards."""

    def __init__(self, series):
        every = [point[0] for points in series for point in points]
        self.low, self.high = math.floor(math.log2(min(every))), math.ceil(math.log2(max(every)))
        self.high += self.high == self.low

    def x(self, count):
        return round(LEFT + (math.log2(count) - self.low) / (self.high - self.low) * (WIDTH - LEFT - RIGHT), 1)

    @staticmethod
    def y(recall):
        return round(TOP + (1 - recall) * (HEIGHT - TOP - BOTTOM), 1)


def grid(panel, title):
    right, base = WIDTH - RIGHT, HEIGHT - BOTTOM
    made = [element("text", title, x=LEFT, y=TOP - 16, class_="title")]
    for power in range(panel.low, panel.high + 1):
        x = panel.x(2 ** power)
        made += [element("line", x1=x, x2=x, y1=TOP, y2=base, stroke="#e2e2e2"),
                 element("text", f"{2 ** power:,}", x=x, y=base + 17, text_anchor="middle")]
    for tenth in range(0, 11, 2):
        y = panel.y(tenth / 10)
        made += [element("line", x1=LEFT, x2=right, y1=y, y2=y, stroke="#e2e2e2"),
                 element("text", f"{tenth / 10:g}", x=LEFT - 8, y=y + 4, text_anchor="end")]
    middle = (TOP + base) / 2
    made += [element("text", "bits a vector", x=(LEFT + right) / 2, y=HEIGHT - 8, text_anchor="middle"),
             element("text", "recall@10", x=14, y=middle, text_anchor="middle",
                     transform=f"rotate(-90 14 {middle:g})")]
    return made


def curve(name, points, panel, **style):
    line = " ".join(f"{panel.x(x)},{panel.y(y)}" for x, y, _ in points)
    marks = [element("circle", element("title", f"{text}: {x:,.0f} bits, recall@10 {y:.3f}"), cx=panel.x(x),
                     cy=panel.y(y), r=3, fill=style["stroke"]) for x, y, text in points]
    return element("g", element("title", name), element("polyline", points=line, fill="none", **style), *marks)


def panel_of(lines, colours, title, x, y):
    series = [(family, library, points) for family in colours for library, points in curves(lines, family).items()]
    if not series:
        return None
    panel = Panel([points for _, _, points in series])
    made = element("g", *grid(panel, title), transform=f"translate({x} {y})")
    for number, (family, library, points) in enumerate(series):
        style = {"stroke": colours[family], "stroke_width": 2.2 if library == "sonde" else 1.6,
                 "stroke_dasharray": DASHES[library]}
        name = family if library == "sonde" else f"{family}: {library}"
        at, height = WIDTH - RIGHT + 12, TOP + 8 + 16 * number
        made.extend([curve(name, points, panel, **style),
                     element("line", x1=at, x2=at + 26, y1=height, y2=height, **style),
                     element("text", name, x=at + 32, y=height + 4)])
    return made


def plot(lines):
    """The file, as text."""
    panels, y = [], 0
    for digest, about in data_sets(lines).items():
        quality = chosen(lines, "quality", digest)
        title = f"{about['name']}: {about['n']:,} x {about['d']}, {about['metric']}"
        row = [panel_of(quality, VECTORS, title, 0, y), panel_of(quality, SIGNS, "binary codes", WIDTH, y)]
        panels += [panel for panel in row if panel is not None]
        y += HEIGHT * any(panel is not None for panel in row)
    size = {"width": 2 * WIDTH, "height": y, "viewBox": f"0 0 {2 * WIDTH} {y}"}
    made = element("svg", element("style", STYLE), element("rect", width="100%", height="100%", fill="white"), *panels,
                   xmlns="http://www.w3.org/2000/svg", role="img", aria_label="recall@10 against bits a vector", **size)
    tree.indent(made)
    return tree.tostring(made, encoding="unicode") + "\n"


# ---- The tables ------------------------------------------------------------------------------------------------------


def rounded(value, digits=4):
    return None if value is None else f"{value:.{digits}f}"


def quality_cells(line):
    return [f"{bits(line):,.0f}", rounded(line["recall"]), rounded(line["recall_of_many"]), rounded(line["error"])]


def together(lines, ours):
    """The lines of the codes that this one of Sonde is compared with."""
    return [line for line in lines if line["pair"] == ours["pair"] and line["family"] == ours["family"]
            and line["setting"]["library"] != "sonde"]


def quality_table(lines, about):
    """A row for each comparison: difference of recall@10 in points."""
    rows = []
    for ours in (line for line in lines if line["setting"]["library"] == "sonde"):
        mine = [ours["family"], f"`{ours['pair']}`"]
        mine += ["failed", *[None] * 3] if "failed" in ours else quality_cells(ours)
        for theirs in together(lines, ours) or [None]:
            if theirs is None or "failed" in theirs:
                rows.append(mine + [theirs and theirs["setting"]["library"]] + [theirs and "failed"] + [None] * 5)
                continue
            gap = None if "failed" in ours else f"{100 * (ours['recall'] - theirs['recall']):+.2f}"
            rows.append(mine + [theirs["setting"]["library"], f"`{quantizer_codes.text(theirs['setting'])}`",
                                *quality_cells(theirs), gap])
    columns = ["code", "Sonde", "bits", "recall@10", "10 in 100", "error", "beside", "its setting", "its bits",
               "its recall@10", "its 10 in 100", "its error", "points"]
    return {"title": f"**{about['name']}**, {about['n']:,} x {about['d']}, {about['metric']}, {about['queries']:,} "
                     "queries: what codes keep. Bits: all that is stored for a vector. 10 in 100: share of the ten "
                     "nearest among the first hundred. Error: |x - x'|² / |x|².", "columns": columns, "rows": rows}


def training_ratio(ours, theirs):
    """None where next to nothing is learned on both sides."""
    return theirs / ours if max(ours, theirs) > 0.05 else None


def speed_table(lines, about):
    rows = []
    for ours in (line for line in lines if line["setting"]["library"] == "sonde" and "failed" not in line):
        mine = [ours["family"], f"`{ours['pair']}`", ours["train_seconds"], ours["rows_a_second"]]
        for theirs in [line for line in together(lines, ours) if "failed" not in line] or [None]:
            rows.append(mine + ([None] * 6 if theirs is None else [
                theirs["setting"]["library"], f"`{quantizer_codes.text(theirs['setting'])}`", theirs["train_seconds"],
                theirs["rows_a_second"], training_ratio(ours["train_seconds"], theirs["train_seconds"]),
                ours["rows_a_second"] / theirs["rows_a_second"]]))
    columns = ["code", "Sonde", "training s", "rows encoded/s", "beside", "its setting", "its training s",
               "its rows/s", "training ratio", "encoding ratio"]
    return {"title": f"**{about['name']}**: training and encoding on one thread; a ratio above 1: Sonde is faster.",
            "columns": columns, "rows": rows}


def write_tables(path, result):
    """Puts the tables of a result into their place in a page."""
    from all import fill  # needs faiss
    with open(path) as file:
        page = fill(file.read(), result)
    with open(path, "w") as file:
        file.write(page)


def result(lines, machine):
    """What write_tables() takes."""
    tables = []
    for digest, about in data_sets(lines).items():
        for part, table in (("quality", quality_table), ("speed", speed_table)):
            if some := chosen(lines, part, digest):
                tables.append(table(some, about))
    versions = sorted({f"{line['setting']['library']} {line['version']}" for line in lines})
    about = f"{machine['date']}; {machine['processor']}, {machine['processors']} processors; {'; '.join(versions)}"
    return {"name": "quantizers", "about": about, "tables": tables}
