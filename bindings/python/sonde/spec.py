"""Typed builders of specs: ivf(nlist=512, code=pq(m=48)) is the string "ivf(nlist=512, code=pq(m=48))".

What is left out keeps the library's default. Written by bindings/generate from the method tables: do not edit.

SPDX-License-Identifier: MIT
"""

from typing import Literal


class Spec(str):
    """A spec as the library reads it; where a spec is wanted, any string does."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<sonde.spec: {self}>"


def _spell(method: str, /, **keys: object) -> Spec:
    given = ", ".join(f"{key}={value}" for key, value in keys.items() if value is not None)
    return Spec(f"{method}({given})" if given else method)


def flat(
    *,
    dtype: Literal["f32", "f16", "bf16", "i8", "u8", "bits"] | None = None,
    metric: Literal["l2", "ip", "cosine", "hamming"] | None = None,
    duplicates: Literal["replace", "refuse"] | None = None,
) -> Spec:
    """Index: Exact search: every row is scored.

    Keys:
        dtype: what a stored element is (default f32)
        metric: what near means; l2 is the squared distance (default l2)
        duplicates: what add does with an id that is stored (default replace)
    """
    return _spell("flat", dtype=dtype, metric=metric, duplicates=duplicates)


def ivf(
    *,
    nlist: int | Literal["auto"] | None = None,
    code: str | None = None,
    residual: Literal["auto", "yes", "no"] | None = None,
    refine: Literal["none", "f16", "f32"] | None = None,
    iters: int | None = None,
    sample: int | None = None,
    seed: int | None = None,
    metric: Literal["l2", "ip", "cosine", "hamming"] | None = None,
    duplicates: Literal["replace", "refuse"] | None = None,
) -> Spec:
    """Index: Inverted file: rows in lists by nearest centroid; a search visits the nearest lists.

    Source: Sivic and Zisserman 2003; Jegou, Douze, Schmid 2011.

    Keys:
        nlist: number of lists; auto: 4 sqrt(n) of the training rows (default auto, 1 to 134217727)
        code: how rows are stored; flat: f32 as they are (default flat)
        residual: code x - centroid instead of x; auto: for pq (default auto)
        refine: keep rows to score the best candidates again (default none)
        iters: k-means iterations (default 10, 1 to 1000)
        sample: training rows for each list, at most (default 256, 39 to 65536)
        seed: of the random choices in training (default 1, 0 to 9007199254740992)
        metric: what near means; l2 is the squared distance (default l2)
        duplicates: what add does with an id that is stored (default replace)
    """
    return _spell("ivf", nlist=nlist, code=code, residual=residual, refine=refine, iters=iters, sample=sample,
                  seed=seed, metric=metric, duplicates=duplicates)


def raw() -> Spec:
    """Quantizer: No compression: the f32 values as they are."""
    return _spell("raw")


def sq(
    *,
    bits: int | Literal["f16"] | None = None,
    range: Literal["best", "minmax"] | None = None,
    query: Literal["auto", "i8", "i16", "f32"] | None = None,
    sample: int | None = None,
    seed: int | None = None,
) -> Spec:
    """Quantizer: Scalar quantization: every column rounded to 4, 6 or 8 bits, or to f16.

    Source: uniform quantization with learned clipping (Max 1960)

    Keys:
        bits: bits a column: 4, 6, 8, or f16 (half precision, nothing learned) (default 8, 4 to 8)
        range: range of a column: clipped for the least squared error, or all that training saw (default best)
        query: precision of the query in scans; auto: i16 for 8 bits, else i8 (default auto)
        sample: rows that range=best is chosen on (default 16384, 1 to 1000000000)
        seed: of the choice of those rows (default 1, 0 to 9007199254740992)
    """
    return _spell("sq", bits=bits, range=range, query=query, sample=sample, seed=seed)


def pq(
    *,
    m: int | Literal["auto"] | None = None,
    bits: int | None = None,
    iters: int | None = None,
    sample: int | None = None,
    seed: int | None = None,
    pad: Literal["no", "yes"] | None = None,
) -> Spec:
    """Quantizer: Product quantization: k-means codebooks on parts of the row.

    Source: Jegou, Douze, Schmid: Product quantization for nearest neighbor search (TPAMI 2011)

    Keys:
        m: parts of a row; auto: the divisor of dim whose parts have nearest to 8 columns (default auto, 1 to 65536)
        bits: bits of a part: 2^bits centroids each (default 8, 4 to 8)
        iters: k-means iterations (default 25, 1 to 1000)
        sample: most rows to train on (default 65536, 1 to 1000000000)
        seed: of the sample and of k-means (default 1, 0 to 9007199254740992)
        pad: let m not divide dim: parts then differ by one column (default no)
    """
    return _spell("pq", m=m, bits=bits, iters=iters, sample=sample, seed=seed, pad=pad)


def kmeans(
    *,
    k: int | None = None,
    iters: int | None = None,
    sample: int | Literal["all"] | None = None,
    seed: int | None = None,
    start: Literal["random", "plusplus"] | None = None,
    spherical: Literal["no", "yes"] | None = None,
    hierarchical: Literal["no", "yes"] | None = None,
) -> Spec:
    """Quantizer: Clustering: a code is the number of the nearest of k centroids.

    Source: Lloyd: Least squares quantization in PCM (1982); Arthur, Vassilvitskii: k-means++ (2007)

    Keys:
        k: centroids (default 256, 1 to 16777216)
        iters: iterations (default 25, 1 to 1000)
        sample: most rows to train on (default all, 1 to 1000000000)
        seed: of the start and of the sample (default 1, 0 to 9007199254740992)
        start: first centroids: random rows, or k-means++ (default random)
        spherical: centroids of length 1, nearest by inner product (default no)
        hierarchical: two levels of about sqrt(k); faster for large k (default no)
    """
    return _spell("kmeans", k=k, iters=iters, sample=sample, seed=seed, start=start, spherical=spherical,
                  hierarchical=hierarchical)


def rotation(*, seed: int | None = None, kind: Literal["dense", "fht"] | None = None) -> Spec:
    """Transform: A random rotation: lengths and angles stay, columns become alike.

    Source: QR of a Gaussian matrix; fast: Andoni et al. 2015, Jain, Pillai, Smith 2020.

    Keys:
        seed: which rotation (default 1, 0 to 9007199254740992)
        kind: any rotation, or a fast one that pads to a multiple of 64 columns (default dense)
    """
    return _spell("rotation", seed=seed, kind=kind)


def pca(
    *,
    dim: int | Literal["auto"] | None = None,
    whiten: Literal["no", "yes"] | None = None,
    center: Literal["yes", "no"] | None = None,
    sample: int | None = None,
    seed: int | None = None,
) -> Spec:
    """Transform: Projection on the directions of largest variance.

    Source: Pearson 1901; Hotelling 1933.

    Keys:
        dim: components to keep; auto: as many as columns (default auto, 1 to 65536)
        whiten: divide each component by its deviation (default no)
        center: subtract the mean of the training rows (default yes)
        sample: most rows to train on (default 65536, 1 to 1000000000)
        seed: of the choice of those rows (default 1, 0 to 9007199254740992)
    """
    return _spell("pca", dim=dim, whiten=whiten, center=center, sample=sample, seed=seed)


def normalise() -> Spec:
    """Transform: Scales rows to length 1; zero rows stay zero."""
    return _spell("normalise")


# Which builder spells which method of which noun.
BUILDERS = {
    ("index", "flat"): flat,
    ("index", "ivf"): ivf,
    ("quantizer", "raw"): raw,
    ("quantizer", "sq"): sq,
    ("quantizer", "pq"): pq,
    ("quantizer", "kmeans"): kmeans,
    ("transform", "rotation"): rotation,
    ("transform", "pca"): pca,
    ("transform", "normalise"): normalise,
}
