"""The codes that quantizers.py measures: which specs of Sonde stand beside which settings of which library, and how
each library trains, encodes and searches all codes.

Every code is searched exhaustively: a query as it is against all codes (asymmetric), or the code of the query against
all codes where the measure is "hamming".

SPDX-License-Identifier: MIT
"""
import os
import tempfile

import numpy as np

import peers
from peers.adapter import at_least_64_columns
from peers.faiss_cpu import pq_parts
from peers.sonde import package as sonde_package

BLOCK = 8192           # codes that are scored in a call
TRAINING_ROWS = 65536  # of product and residual quantizers, of Sonde as of faiss
EXACT_FROM = 6         # bits of RaBitQ codes from which on Sonde (fit=auto) tries many scales for a row

# ---- What is compared ------------------------------------------------------------------------------------------------


def sonde(spec, measure=None):
    return {"library": "sonde", "spec": spec, **({"measure": measure} if measure else {})}


def faiss(factory, **how):
    return {"library": "faiss-cpu", "factory": factory, **how}


def eights(*counts):
    """Bits of binary codes, in whole bytes, so that no library stores more than it uses."""
    return sorted({max(8, int(count) // 8 * 8) for count in counts})


def ladder(d, *columns):
    """Numbers of parts with at least so many columns each."""
    return sorted({pq_parts(d, count) for count in columns})


def scalars():
    for bits, factory in (("f16", "SQfp16"), (8, "SQ8"), (6, "SQ6"), (4, "SQ4"), (3, None), (2, None), (1, None)):
        yield "sq", sonde(f"sq(bits={bits})"), [faiss(factory)] if factory else []
    for bits in (4, 3, 2, 1):
        yield "sq lloyd", sonde(f"sq(bits={bits}, levels=lloyd)"), []


def products(d):
    for m in ladder(d, 2, 4, 8, 16):
        yield "pq 8 bits", sonde(f"pq(m={m}, bits=8)"), [faiss(f"PQ{m}x8")]
    for m in ladder(d, 1, 2, 4, 8):
        yield "pq 4 bits", sonde(f"pq(m={m}, bits=4)"), [faiss(f"PQ{m}x4")]
    for m in ladder(d, 4, 8, 16):
        yield "opq", sonde(f"opq(m={m}, bits=8)"), [faiss(f"OPQ{m}_{d},PQ{m}x8")]


def residuals():
    for m in (4, 8, 16):
        yield "rq 8 bits", sonde(f"rq(m={m}, bits=8)"), [faiss(f"RQ{m}x8")]
    for m in (8, 16, 32):
        yield "rq 4 bits", sonde(f"rq(m={m}, bits=4)"), [faiss(f"RQ{m}x4")]
    for beam in (1, 16):
        yield f"rq beam {beam}", sonde(f"rq(m=8, bits=8, beam={beam})"), [faiss("RQ8x8", beam=beam)]
    for balance in ("none", "prices"):
        yield f"rkmeans {balance}", sonde(f"rkmeans(levels=8, codes=256, balance={balance})"), []


def rotated(d):
    width = -(-d // 64) * 64
    for bits in range(1, 9):
        name = "RaBitQ" if bits == 1 else f"RaBitQ{bits}"
        yield "rabitq", sonde(f"rabitq(bits={bits})"), [faiss(f"RR{width},{name}"),
                                                        {"library": "rabitqlib", "bits": bits}]


def signs(d):
    for bits in eights(d / 4, d / 2, d, 2 * d):
        yield "lsh hamming", sonde(f"lsh(bits={bits})", "hamming"), [faiss("LSH", bits=bits)]
        yield "lsh", sonde(f"lsh(bits={bits})"), []
    for bits in eights(d / 4, d / 2, d):
        yield "itq hamming", sonde(f"itq(bits={bits})", "hamming"), [faiss(f"ITQ{bits},LSH")]
        yield "itq", sonde(f"itq(bits={bits})"), []
    for bits in eights(d / 4, d / 2, d):
        yield "bernoulli", sonde(f"bernoulli(bits={bits})"), []


def directions(metric):
    """Of the length of a row bebr keeps nothing."""
    if metric != "l2":
        for loops in range(4):
            yield "bebr", sonde(f"bebr(loops={loops})"), []


def pairs(d, metric):
    """(family, code of Sonde, [codes of others at as many bits]), cheap families first."""
    return [*scalars(), *rotated(d), *signs(d), *directions(metric), *products(d), *residuals()]


# ---- How each library does it ----------------------------------------------------------------------------------------


def spread(rows, count):
    """At most so many rows, evenly spread."""
    return np.ascontiguousarray(rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(np.int64)])


class SondeCode:
    """decodes: codes have a way back to vectors, here as in the other classes."""
    decodes = True

    def __init__(self, setting, data, threads):
        library = sonde_package()
        self.metric, self.measure = data.metric, setting.get("measure", data.metric)
        self.quantizer = library.Quantizer(setting["spec"], data.base.shape[1],
                                           runtime=library.Runtime(threads=threads))

    def train(self, rows):
        self.quantizer.train(rows)

    def encode(self, rows):
        return self.quantizer.encode(rows)

    def bytes(self):
        return self.quantizer.code_bytes

    def decode(self, codes):
        return self.quantizer.decode(codes)

    def search(self, rows, queries, k):
        """Ids of the best k, by the library's own scores; where these are equal, the first rows."""
        codes, sign = self.encode(rows), -1 if self.measure == "ip" else 1
        best, ids = np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        for i in range(0, len(codes), BLOCK):
            scores = sign * self.quantizer.distances(queries, codes[i:i + BLOCK], self.measure)
            few = np.argpartition(scores, min(k, scores.shape[1]) - 1, axis=1)[:, :k]
            best = np.hstack([best, np.take_along_axis(scores, few, 1)])
            ids = np.hstack([ids, few + i])
            order = np.argsort(best, axis=1, kind="stable")[:, :k]
            best, ids = np.take_along_axis(best, order, 1), np.take_along_axis(ids, order, 1)
        return ids


class FaissCode:
    """beam: of residual quantizers; bits: of lsh, whose factory name has none."""

    def __init__(self, setting, data, threads):
        import faiss
        faiss.omp_set_num_threads(threads)
        d, metric = data.base.shape[1], faiss.METRIC_L2 if data.metric == "l2" else faiss.METRIC_INNER_PRODUCT
        self.binary = setting["factory"].endswith("LSH")
        if setting["factory"] == "LSH":
            self.index = faiss.IndexLSH(d, setting["bits"], True, True)
        else:
            self.index = faiss.index_factory(d, setting["factory"], faiss.METRIC_L2 if self.binary else metric)
        inner = faiss.downcast_index(self.index.index) if "," in setting["factory"] else self.index
        if hasattr(inner, "pq"):
            inner.pq.cp.max_points_per_centroid = TRAINING_ROWS // inner.pq.ksub
        if hasattr(inner, "rq"):
            inner.rq.max_beam_size = setting.get("beam", 5)
        if hasattr(inner, "rabitq"):
            inner.qb = 8  # queries in 8 bits: as they are they found within 0.05 points, 40 to 80 times slower
        self.decodes = not (self.binary or hasattr(inner, "rabitq"))  # of these it decodes the first bits only
        self.sampled = hasattr(inner, "rq")

    def train(self, rows):
        """Of itself, a residual quantizer encodes all rows at each level of its training."""
        self.index.train(spread(rows, TRAINING_ROWS) if self.sampled else rows)

    def encode(self, rows):
        return self.index.sa_encode(rows)

    def bytes(self):
        return self.index.sa_code_size()

    def decode(self, codes):
        return self.index.sa_decode(codes)

    def search(self, rows, queries, k):
        self.index.add(rows)
        return self.index.search(queries, k)[1]


class RabitqlibCode:
    """An inverted file of one list, all of which is searched. There is no code without the index around it."""
    decodes = False

    def __init__(self, setting, data, threads):
        self.bits, self.metric, self.threads = setting["bits"], data.metric, threads

    def train(self, rows):
        self.centre = at_least_64_columns(rows).mean(axis=0, keepdims=True)

    def encode(self, rows):
        import rabitqlib
        rows = at_least_64_columns(rows)
        self.rows, lists = len(rows), np.zeros(len(rows), np.uint32)
        self.index = rabitqlib.IvfIndex(rows.shape[1], self.rows, 1, self.bits, metric=self.metric)
        self.index.build(rows, self.centre, lists, self.threads, self.bits < EXACT_FROM)

    def bytes(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "index")
            self.index.save(path)
            return (os.path.getsize(path) - 4 * self.rows) / self.rows  # less the ids

    def search(self, rows, queries, k):
        self.encode(rows)
        return self.index.search(at_least_64_columns(queries), k, 1, num_threads=self.threads)[0]


LIBRARIES = {"sonde": SondeCode, "faiss-cpu": FaissCode, "rabitqlib": RabitqlibCode}


def version(setting):
    return peers.find(setting["library"]).version()


def missing(setting):
    return peers.find(setting["library"]).missing()


def make(setting, data, threads):
    return LIBRARIES[setting["library"]](setting, data, threads)


def text(setting):
    """A setting as its library writes it."""
    if setting["library"] == "sonde":
        return setting["spec"]
    if setting["library"] == "rabitqlib":
        return f"IVF1, {setting['bits']} bits"
    return setting["factory"] + "".join(f" {key}={setting[key]}" for key in ("bits", "beam") if key in setting)
