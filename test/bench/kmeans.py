"""Clustering and product quantization: training time, what is lost, encoding rate; beside faiss.

Both k-means see all rows, k centroids and the same number of iterations. The objective is computed here, the same way
for both: every row is assigned by the library to its centroid, and the squared differences are summed in double
precision. Both PQ trainings take 25 iterations on at most 65,536 rows, the default of both.
"""
# SPDX-License-Identifier: MIT
import numpy as np

import measure
from measure import alternate, faiss, sonde


def squared_error(rows, codes, decode):
    """Sum of |x - x'|^2, x' decoded block by block."""
    total = 0.0
    for i in range(0, len(rows), 8192):
        difference = rows[i:i + 8192].astype(np.float64) - decode(codes[i:i + 8192])
        total += float(np.einsum("nd,nd->", difference, difference))
    return total


class FaissKmeans:
    def __init__(self, data, k, iterations):
        self.base = data.base
        self.kmeans = faiss.Kmeans(data.dim, k, niter=iterations, seed=1, max_points_per_centroid=len(data.base))

    def train(self):
        self.kmeans.train(self.base)

    def objective(self):
        nearest = self.kmeans.index.search(self.base, 1)[1][:, 0]
        return squared_error(self.base, nearest, lambda codes: self.kmeans.centroids[codes])


class SondeTraining:
    def __init__(self, data, spec, threads):
        self.base = data.base
        self.quantizer = sonde.Quantizer(spec, data.dim, runtime=sonde.Runtime(threads=threads))

    def train(self):
        self.quantizer.train(self.base)

    def objective(self):
        return squared_error(self.base, self.quantizer.encode(self.base), self.quantizer.decode)


def cluster(data, k, threads, args, report):
    ours = SondeTraining(data, f"kmeans(k={k}, iters={args.iterations})", threads)
    theirs = FaissKmeans(data, k, args.iterations)
    best = alternate({"faiss": theirs.train, "sonde": ours.train}, args)
    a, b = theirs.objective(), ours.objective()
    name = f"k-means, {measure.count_of(threads, 'thread')}: "
    report.want(name + "time / faiss", best["sonde"] / best["faiss"], high=0.6)
    report.want(name + "objective / faiss", b / a, high=1.001)
    return [threads, best["faiss"], best["sonde"], best["sonde"] / best["faiss"], a, b, b / a]


def product(data, m, threads, args, report):
    ours = SondeTraining(data, f"pq(m={m}, bits=8)", threads)
    theirs = faiss.ProductQuantizer(data.dim, m, 8)
    best = alternate({"faiss": lambda: theirs.train(data.base), "sonde": ours.train}, args)
    encode = alternate({"faiss": lambda: theirs.compute_codes(data.base),
                        "sonde": lambda: ours.quantizer.encode(data.base)}, args)
    norm = float(np.einsum("nd,nd->", data.base, data.base, dtype=np.float64))
    a = squared_error(data.base, theirs.compute_codes(data.base), theirs.decode) / norm
    b = ours.objective() / norm
    name = f"PQ training, {measure.count_of(threads, 'thread')}: "
    report.want(name + "time / faiss", best["sonde"] / best["faiss"], high=0.6)
    report.want(name + "error / faiss", b / a, high=1.005)
    return [threads, best["faiss"], best["sonde"], best["sonde"] / best["faiss"], a, b, b / a,
            data.rows / encode["faiss"], data.rows / encode["sonde"], encode["faiss"] / encode["sonde"]]


def main():
    p = measure.parser(__doc__)
    p.add_argument("-k", type=int, default=1024, help="centroids (fewer where there are less than 39 rows for each)")
    p.add_argument("--iterations", type=int, default=20)
    p.add_argument("-m", type=int, default=48, help="parts of the product quantizer; must divide the columns")
    args = p.parse_args()
    data = measure.Data(args)
    k = data.nlist(args.k)
    report = measure.Report("kmeans", args, data)
    clusters, products = [], []
    for threads in measure.thread_counts(args):
        measure.use_threads(threads)
        clusters.insert(0, cluster(data, k, threads, args, report))
        products.insert(0, product(data, args.m, threads, args, report))
    report.table(f"k-means, k = {k:,}, {args.iterations} iterations over all rows: seconds and objective",
                 ["threads", "faiss s", "Sonde s", "Sonde / faiss", "faiss objective", "Sonde objective",
                  "Sonde / faiss objective"], clusters)
    report.table(f"PQ {args.m} x 8 bits: training seconds, relative squared error, rows encoded a second",
                 ["threads", "faiss s", "Sonde s", "Sonde / faiss", "faiss error", "Sonde error", "Sonde / faiss error",
                  "faiss rows/s", "Sonde rows/s", "encoding Sonde / faiss"], products)
    report.finish()


if __name__ == "__main__":
    main()
