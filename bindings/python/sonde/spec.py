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
    first: Literal["auto", "none", "i8"] | None = None,
    metric: Literal["l2", "ip", "cosine", "hamming"] | None = None,
    duplicates: Literal["replace", "refuse"] | None = None,
) -> Spec:
    """Index: Exact search: every row is scored.

    Keys:
        dtype: what a stored element is (default f32)
        first: a first pass over 8-bit images of the rows (dim + 8 bytes more a row), whose bound tells which rows
            matter; the answers are the same. auto: i8 for f32 from dim=64 on (default auto)
        metric: what near means; l2 is the squared distance (default l2)
        duplicates: what add does with an id that is stored (default replace)
    """
    return _spell("flat", dtype=dtype, first=first, metric=metric, duplicates=duplicates)


def ivf(
    *,
    nlist: int | Literal["auto"] | None = None,
    code: str | None = None,
    residual: Literal["auto", "yes", "no"] | None = None,
    refine: str | None = None,
    lists: Literal["codes", "lorann"] | None = None,
    rank: int | Literal["auto"] | None = None,
    dims: int | Literal["auto"] | None = None,
    unbias: Literal["yes", "no"] | None = None,
    spill: Literal["none", "soar"] | None = None,
    lambda_: float | None = None,
    coarse: Literal["auto", "exact", "i8"] | None = None,
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
        residual: code x - centroid instead of x; auto: for l2, where the code is pq, opq, rq, rabitq or of bits
            (default auto)
        refine: keep rows, or finer codes of them, to score the best candidates again (default none)
        lists: how lists are scored: by codes of their rows, or by a product of low rank for each list (LoRANN) (default
            codes)
        rank: lorann: numbers kept of a row; auto: 32, or half of dims (default auto, 1 to 1024)
        dims: lorann: axes of the rows that are looked at; auto: 256, or dim (default auto, 1 to 4096)
        unbias: 4-bit codes: keep for each row what makes up for the length that its code loses (4 bytes) (default yes)
        spill: store each row in a second list too, chosen so that its difference from the first centroid tells little
            there (SOAR) (default none)
        lambda_: soar: weight of what both differences have in common (default 1, 0 to 1000)
        coarse: how lists are chosen: by exact products with the centroids, or in 8-bit integers; auto: i8 from 256
            lists on (default auto)
        iters: k-means iterations (default 10, 1 to 1000)
        sample: training rows for each list, at most (default 256, 39 to 65536)
        seed: of the random choices in training (default 1, 0 to 9007199254740992)
        metric: what near means; l2 is the squared distance (default l2)
        duplicates: what add does with an id that is stored (default replace)
    """
    return _spell("ivf", nlist=nlist, code=code, residual=residual, refine=refine, lists=lists, rank=rank, dims=dims,
                  unbias=unbias, spill=spill, coarse=coarse, iters=iters, sample=sample, seed=seed, metric=metric,
                  duplicates=duplicates, **{"lambda": lambda_})


def hamming(
    *,
    code: str | None = None,
    key_bits: int | Literal["auto"] | None = None,
    bucket_bits: int | Literal["auto"] | None = None,
    radius: int | Literal["auto"] | None = None,
    chunks: int | Literal["auto"] | None = None,
    rerank: Literal["auto", "code", "f16", "f32"] | None = None,
    probe: Literal["auto", "weight", "logit"] | None = None,
    metric: Literal["l2", "ip", "cosine", "hamming"] | None = None,
    duplicates: Literal["replace", "refuse"] | None = None,
) -> Spec:
    """Index: Semantic hashing: rows in buckets by the first bits of a binary code; a search visits the buckets whose
        bits differ least; multi-index hashing of longer codes.

    Source: Salakhutdinov and Hinton 2009; Norouzi, Punjani and Fleet 2012; Grzegorczyk and Kurdziel 2017.

    Keys:
        code: binary code of the rows: lsh, itq, bernoulli, bebr(loops=0) (default lsh)
        key_bits: leading bits of the code that are its address; auto: 28, or all of a shorter code (default auto, 1 to
            64)
        bucket_bits: leading bits of the key that choose one of 2^bits lists; auto: about 64 of the training rows a
            list, at most 18 bits (default auto, 0 to 20)
        radius: search all buckets whose keys differ in at most so many bits; auto: as many buckets as the wanted recall
            needs (default auto, 0 to 64)
        chunks: 1: lists are buckets; more: exact search by tables of so many substrings of the code; auto: bits /
            log2(training rows), rounded up, for metric=hamming, codes of 48 bits or more and 2^18 rows or more, if that
            is at most 4, else 1 (default auto, 1 to 16)
        rerank: what decides among the rows found: whole codes (metric=hamming), or rows that are stored for it; auto:
            code for metric=hamming, else f32 (default auto)
        probe: order of the buckets: by the bits that differ from the query's, or by what flipping them costs of the
            query's score; auto: logit (default auto)
        metric: what near means; l2 is the squared distance (default l2)
        duplicates: what add does with an id that is stored (default replace)
    """
    return _spell("hamming", code=code, key_bits=key_bits, bucket_bits=bucket_bits, radius=radius, chunks=chunks,
                  rerank=rerank, probe=probe, metric=metric, duplicates=duplicates)


def raw() -> Spec:
    """Quantizer: No compression: the f32 values as they are."""
    return _spell("raw")


def sq(
    *,
    bits: int | Literal["f16"] | None = None,
    levels: Literal["uniform", "lloyd"] | None = None,
    scale: Literal["column", "shared"] | None = None,
    range: Literal["best", "minmax"] | None = None,
    query: Literal["auto", "i8", "i16", "f32"] | None = None,
    sample: int | None = None,
    seed: int | None = None,
) -> Spec:
    """Quantizer: Scalar quantization: every column rounded to 1 to 8 bits, or to f16.

    Source: quantizing for minimum distortion (Max 1960, Lloyd 1982)

    Keys:
        bits: bits a column, or f16 (half precision, nothing learned) (default 8, 1 to 8)
        levels: what codes stand for: evenly spaced values, or those of least squared error on the sample (default
            uniform)
        scale: a range for each column, or one for all (default column)
        range: of a column: clipped for the least squared error, or all that training saw; lloyd starts there (default
            best)
        query: precision of the query in scans; auto: i16 for 8 bits, else i8, f32 for lloyd, and fast scan of 1, 2 and
            4 bits (default auto)
        sample: rows that range=best and lloyd look at (default 16384, 1 to 1000000000)
        seed: of the choice of those rows (default 1, 0 to 9007199254740992)
    """
    return _spell("sq", bits=bits, levels=levels, scale=scale, range=range, query=query, sample=sample, seed=seed)


def pq(
    *,
    m: int | Literal["auto"] | None = None,
    bits: int | None = None,
    iters: int | None = None,
    sample: int | None = None,
    seed: int | None = None,
    pad: Literal["no", "yes"] | None = None,
    balance: Literal["none", "sinkhorn", "capacity"] | None = None,
    loss: Literal["mse", "score", "moment", "auto"] | None = None,
    threshold: float | None = None,
) -> Spec:
    """Quantizer: Product quantization: k-means codebooks on parts of the row.

    Source: Jegou, Douze, Schmid: Product quantization for nearest neighbor search (TPAMI 2011)

    Keys:
        m: parts of a row; auto: the divisor of dim whose parts have nearest to 8 columns (default auto, 1 to 65536)
        bits: bits of a part: 2^bits centroids each (default 8, 1 to 16)
        iters: k-means iterations (default 25, 1 to 1000)
        sample: most rows to train on (default 65536, 1 to 1000000000)
        seed: of the sample and of k-means (default 1, 0 to 9007199254740992)
        pad: let m not divide dim: parts then differ by one column (default no)
        balance: centroids that stand for nearly (sinkhorn) or exactly (capacity) as many training rows each (default
            none)
        loss: what codes keep small: the distance of a row from its reconstruction; the same with errors along the row,
            which move high scores, counted more; the error of the scores of the queries given; or what half of these
            choose (default mse)
        threshold: loss=score: the cosine t from which on scores matter; errors along the row count (dim - 1) t^2 / (1 -
            t^2) times (default 0.2, 0 to 0.999)
    """
    return _spell("pq", m=m, bits=bits, iters=iters, sample=sample, seed=seed, pad=pad, balance=balance, loss=loss,
                  threshold=threshold)


def opq(
    *,
    m: int | Literal["auto"] | None = None,
    bits: int | Literal["auto"] | None = None,
    iters: int | None = None,
    code: str | None = None,
) -> Spec:
    """Quantizer: Product quantization behind a learned rotation.

    Source: Ge, He, Ke, Sun: Optimized product quantization (CVPR 2013)

    Keys:
        m: parts of a row; auto: the m of code (default auto, 1 to 65536)
        bits: bits of a part; auto: the bits of code (default auto, 1 to 16)
        iters: rounds of codebooks and rotation; 0: the principal directions dealt out to the parts (default 20, 0 to
            1000)
        code: pq(...) with everything else: what stands there for m and bits serves where they are auto here (default
            pq)
    """
    return _spell("opq", m=m, bits=bits, iters=iters, code=code)


def rq(
    *,
    m: int | None = None,
    bits: int | None = None,
    beam: int | None = None,
    refit: int | None = None,
    widen: int | None = None,
    iters: int | None = None,
    sample: int | None = None,
    seed: int | None = None,
) -> Spec:
    """Quantizer: Residual quantization: sums of codewords, encoded by beam.

    Source: Chen, Guan, Wang: Approximate nearest neighbor search by residual vector quantization (Sensors 2010)

    Keys:
        m: levels: codewords that are added up (default 8, 1 to 1024)
        bits: bits of a level: 2^bits codewords each (default 8, 1 to 12)
        beam: sums that are followed at once while encoding; 1: the nearest codeword at each level (default 5, 1 to 32)
        refit: 1: fit all codebooks together in the end, by least squares (default 1, 0 to 1)
        widen: 1: k-means along the first principal directions, then along more, up to all (at most 2048 columns)
            (default 1, 0 to 1)
        iters: k-means iterations, each time (default 10, 1 to 1000)
        sample: most rows to train on (default 65536, 1 to 1000000000)
        seed: of the sample and of k-means (default 1, 0 to 9007199254740992)
    """
    return _spell("rq", m=m, bits=bits, beam=beam, refit=refit, widen=widen, iters=iters, sample=sample, seed=seed)


def rabitq(
    *,
    bits: int | None = None,
    rotation: Literal["fht", "none"] | None = None,
    fit: Literal["auto", "exact", "fast"] | None = None,
    eps0: float | None = None,
    center: Literal["mean", "none"] | None = None,
    seed: int | None = None,
) -> Spec:
    """Quantizer: Rotated codes of 1 to 8 bits a column, unbiased, with an error bound.

    Source: Gao, Long: RaBitQ (2024); Gao et al.: multi-bit RaBitQ (2025)

    Keys:
        bits: bits a column (default 1, 1 to 8)
        rotation: fast random rotation, or none for columns that are alike already (then the bound is no promise)
            (default fht)
        fit: the scale of a row before rounding: the best of many, or one for all; auto: exact from 6 bits on (default
            auto)
        eps0: standard errors in the bound: 3.3 holds for 99.9 % of all pairs, 1.9 for 94 % (default 3.3, 0 to 1000)
        center: what is subtracted first: the mean of the training rows, or nothing (default mean)
        seed: which rotation (default 1, 0 to 9007199254740992)
    """
    return _spell("rabitq", bits=bits, rotation=rotation, fit=fit, eps0=eps0, center=center, seed=seed)


def lsh(
    *,
    bits: int | None = None,
    center: Literal["yes", "no"] | None = None,
    orth: Literal["yes", "no"] | None = None,
    seed: int | None = None,
) -> Spec:
    """Quantizer: Signs of random projections, orthonormal ones unless told otherwise.

    Source: Charikar: Similarity estimation techniques from rounding algorithms (2002)

    Keys:
        bits: bits of a code: random directions (default 128, 1 to 65536)
        center: subtract the mean of the training rows (default yes)
        orth: orthonormal directions, in blocks of the number of columns (default yes)
        seed: of the directions and of the sample (default 1, 0 to 9007199254740992)
    """
    return _spell("lsh", bits=bits, center=center, orth=orth, seed=seed)


def itq(
    *,
    bits: int | None = None,
    iters: int | None = None,
    sample: int | Literal["auto"] | None = None,
    seed: int | None = None,
) -> Spec:
    """Quantizer: Signs of the principal components after the rotation that loses least.

    Source: Gong, Lazebnik: Iterative quantization (2011)

    Keys:
        bits: bits of a code; at most the columns of the vectors (default 64, 1 to 65536)
        iters: rounds; 0: a random rotation of the principal components (default 50, 0 to 10000)
        sample: most rows to train on; auto: 100 a bit, 16384 at least (default auto, 1 to 1000000000)
        seed: of the sample and of the first rotation (default 1, 0 to 9007199254740992)
    """
    return _spell("itq", bits=bits, iters=iters, sample=sample, seed=seed)


def bernoulli(
    *,
    bits: int | None = None,
    epochs: int | None = None,
    lr: float | None = None,
    sharp: float | None = None,
    batch: int | None = None,
    seed: int | None = None,
) -> Spec:
    """Quantizer: Bits of a learned linear encoder with its own linear decoder.

    Source: Wang et al.: Binary latent diffusion (2023)

    Keys:
        bits: bits of a code (default 64, 1 to 65536)
        epochs: passes over the training rows (default 20, 1 to 100000)
        lr: rate of Adam at the start; it falls to 0 (default 0.01, 0 to 1)
        sharp: weight of mean p (1 - p) beside the squared error (default 0.1, 0 to 1000)
        batch: rows of a step (default 256, 1 to 65536)
        seed: of the start, the sample, the batches and the draws (default 1, 0 to 9007199254740992)
    """
    return _spell("bernoulli", bits=bits, epochs=epochs, lr=lr, sharp=sharp, batch=batch, seed=seed)


def bebr(
    *,
    dim: int | Literal["auto"] | None = None,
    loops: int | None = None,
    base: Literal["itq", "pca", "random"] | None = None,
    zero: Literal["refuse", "code"] | None = None,
    seed: int | None = None,
) -> Spec:
    """Quantizer: Recurrent binary embedding: a direction in 1 to 8 bits a dimension.

    Source: Gan et al.: Binary embedding-based retrieval at Tencent (2023)

    Keys:
        dim: digits of a code, at most the columns of the vectors; auto: as many as those, 4096 at most (default auto, 1
            to 4096)
        loops: bits of a digit beyond the first (default 3, 0 to 7)
        base: directions: principal ones turned so that signs lose less, turned at random; or random ones (default itq)
        zero: rows without a direction: refused, or the code 0 (default refuse)
        seed: of the directions and of the sample (default 1, 0 to 9007199254740992)
    """
    return _spell("bebr", dim=dim, loops=loops, base=base, zero=zero, seed=seed)


def bpv(
    *,
    bits: int | None = None,
    real: int | None = None,
    epochs: int | None = None,
    negatives: int | None = None,
    lr: float | None = None,
    passes: int | None = None,
    seed: int | None = None,
) -> Spec:
    """Quantizer: Bits of a document, learned from the counts of its words.

    Source: Grzegorczyk, Kurdziel: Binary paragraph vectors (2017)

    Keys:
        bits: bits of a code (default 128, 1 to 65536)
        real: numbers of a document that its bits are made of by a learned map, such as 300; 0: the bits' own logits
            (default 0, 0 to 65536)
        epochs: passes over the documents in training (default 20, 1 to 100000)
        negatives: words drawn beside a document in each pass (default 64, 1 to 65536)
        lr: rate of Adagrad for the words (default 0.02, 0 to 100)
        passes: steps that encode a document (default 30, 1 to 100000)
        seed: of the start and of the words drawn (default 1, 0 to 9007199254740992)
    """
    return _spell("bpv", bits=bits, real=real, epochs=epochs, negatives=negatives, lr=lr, passes=passes, seed=seed)


def kmeans(
    *,
    k: int | None = None,
    iters: int | None = None,
    sample: int | Literal["all"] | None = None,
    seed: int | None = None,
    start: Literal["random", "plusplus"] | None = None,
    spherical: Literal["no", "yes"] | None = None,
    hierarchical: Literal["no", "yes"] | None = None,
    balance: Literal["none", "soft", "sinkhorn", "capacity", "hierarchical"] | None = None,
    order: Literal["regret", "auction", "onerec"] | None = None,
    low: int | Literal["auto"] | None = None,
    high: int | Literal["auto"] | None = None,
    eps: float | None = None,
    sk_iters: int | None = None,
    lambda_: float | Literal["auto"] | None = None,
    encode: Literal["argmin", "prices"] | None = None,
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
        balance: sizes of the groups: free, dearer when large, near given masses, within limits, or limited by splits
            (default none)
        order: capacity: cheapest chains from Sinkhorn's prices, bids, or group by group as published (default regret)
        low: capacity: fewest rows of a group; auto: floor(n / k), or 0 beside high (default auto, 0 to 1000000000000)
        high: most rows of a group; auto: ceil(n / k), or n beside low; hierarchical and soft: twice ceil(n / k)
            (default auto, 1 to 1000000000000)
        eps: sinkhorn, capacity: blur, relative to half the range of distances (default 0.01, 0.0001 to 100)
        sk_iters: sinkhorn, capacity: most iterations for prices (default 100, 0 to 100000)
        lambda_: soft: price of a row in a group; auto: the least that keeps sizes near high (default auto, 0 to 1e+30)
        encode: later rows: the nearest centroid, or the cheapest under the prices of balance (default argmin)
    """
    return _spell("kmeans", k=k, iters=iters, sample=sample, seed=seed, start=start, spherical=spherical,
                  hierarchical=hierarchical, balance=balance, order=order, low=low, high=high, eps=eps,
                  sk_iters=sk_iters, encode=encode, **{"lambda": lambda_})


def rkmeans(
    *,
    levels: int | None = None,
    codes: int | None = None,
    balance: Literal["none", "prices", "onerec"] | None = None,
    encode: Literal["argmin", "prices"] | None = None,
    beam: int | None = None,
    iters: int | None = None,
    seed: int | None = None,
) -> Spec:
    """Quantizer: Document ids by residual k-means, with groups of equal size where wanted.

    Source: Deng, Wang, Cai, Ren, Hu, Ding, Luo, Zhou: OneRec (2025)

    Keys:
        levels: numbers of an id (default 3, 1 to 64)
        codes: centroids a level (default 256, 1 to 65536)
        balance: groups of equal size at each level: by prices and repair, or filled one after the other as published
            (default none)
        encode: rows take the nearest centroid, or the nearest after the prices that balance=prices found (default
            prices)
        beam: sums that are followed at once while encoding (default 1, 1 to 32)
        iters: k-means iterations (default 25, 1 to 1000)
        seed: of k-means (default 1, 0 to 9007199254740992)
    """
    return _spell("rkmeans", levels=levels, codes=codes, balance=balance, encode=encode, beam=beam, iters=iters,
                  seed=seed)


def idtree(
    *,
    branch: int | None = None,
    leaf: int | None = None,
    balance: Literal["none", "capacity"] | None = None,
    iters: int | None = None,
    seed: int | None = None,
) -> Spec:
    """Quantizer: Document ids by hierarchical k-means: a path through a tree of clusters.

    Source: Tay et al.: Transformer Memory as a Differentiable Search Index (NeurIPS 2022)

    Keys:
        branch: groups that a group is cut into (default 10, 2 to 65536)
        leaf: most rows of a group that is not cut (default 100, 1 to 1000000000)
        balance: capacity: groups of equal size at each cut (default none)
        iters: k-means iterations (default 25, 1 to 1000)
        seed: of k-means (default 1, 0 to 9007199254740992)
    """
    return _spell("idtree", branch=branch, leaf=leaf, balance=balance, iters=iters, seed=seed)


def ppp(
    *,
    k_min: int | None = None,
    k_max: int | None = None,
    cov: Literal["diag", "full"] | None = None,
    reduce: float | None = None,
    agree: float | None = None,
    em_iters: int | None = None,
    restarts: int | None = None,
    sample: int | None = None,
    seed: int | None = None,
) -> Spec:
    """Quantizer: Clustering that chooses the number of groups and checks them with a Gaussian mixture.

    Source: after Sultan: Probabilistic partitive partitioning (2020)

    Keys:
        k_min: fewest groups; 1 lets the rows be one group (default 2, 1 to 65536)
        k_max: most groups (default 50, 1 to 65536)
        cov: Gaussians with variances along the axes, or with covariances (default diag)
        reduce: share of the variance that the principal axes keep; 1: the columns themselves (default 0.95, 0.01 to 1)
        agree: adjusted Rand index from which on groups are structure (default 0.9, 0 to 1)
        em_iters: most iterations of the mixture (default 100, 1 to 100000)
        restarts: diagnosis: agreement with so many k-means from random starts, in the scores (default 0, 0 to 1000)
        sample: most rows that groups are sought in (default 100000, 1 to 1000000000)
        seed: of the restarts; nothing else is random (default 0, 0 to 9007199254740992)
    """
    return _spell("ppp", k_min=k_min, k_max=k_max, cov=cov, reduce=reduce, agree=agree, em_iters=em_iters,
                  restarts=restarts, sample=sample, seed=seed)


def trie(*, codes: int | None = None, duplicates: Literal["keep", "refuse"] | None = None) -> Spec:
    """Trie: Sequences that name documents, for decoders that generate ids.

    Source: Fredkin: Trie memory (CACM 1960)

    Keys:
        codes: one more than the largest code that add accepts (default 2147483647, 1 to 2147483647)
        duplicates: whether a sequence may have several documents (default keep)
    """
    return _spell("trie", codes=codes, duplicates=duplicates)


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


def random(
    *,
    rows: int | None = None,
    replace: Literal["no", "yes"] | None = None,
    batch: int | None = None,
    seed: int | None = None,
) -> Spec:
    """Row_sampler: Rows at random, each with the same chance.

    Source: shuffle: Durstenfeld 1964.

    Keys:
        rows: draw from 0..rows-1 without fitting; 0: fit gives ids (default 0, 0 to 4294967295)
        replace: whether a row can come again within a pass (default no)
        batch: rows of a draw that does not say how many (default 1, 1 to 4294967295)
        seed: of all that is random (default 1, 0 to 9007199254740992)
    """
    return _spell("random", rows=rows, replace=replace, batch=batch, seed=seed)


def weighted(
    *,
    replace: Literal["no", "yes"] | None = None,
    keep: int | None = None,
    batch: int | None = None,
    seed: int | None = None,
) -> Spec:
    """Row_sampler: Rows in proportion to weights, with or without replacement.

    Source: alias table: Walker 1977, Vose 1991; keys: Efraimidis & Spirakis 2006; Cohen & Kaplan 2007.

    Keys:
        replace: whether a row can come again within a pass (default no)
        keep: keep a sample of this many rows only; 0: all rows (default 0, 0 to 4294967294)
        batch: rows of a draw that does not say how many (default 1, 1 to 4294967295)
        seed: of all that is random (default 1, 0 to 9007199254740992)
    """
    return _spell("weighted", replace=replace, keep=keep, batch=batch, seed=seed)


def stratified(
    *,
    allocation: Literal["proportional", "equal", "weights"] | None = None,
    batch: int | None = None,
    seed: int | None = None,
) -> Spec:
    """Row_sampler: Rows by strata, each in step with its share at every moment.

    Source: Tijdeman 1980; Steiner & Yeomans 1993.

    Keys:
        allocation: shares: by the rows of a stratum, all alike, or by the input shares (default proportional)
        batch: rows of a draw that does not say how many (default 1, 1 to 4294967295)
        seed: of all that is random (default 1, 0 to 9007199254740992)
    """
    return _spell("stratified", allocation=allocation, batch=batch, seed=seed)


def batches(
    *,
    buckets: int | None = None,
    sub: int | None = None,
    max_tokens: int | None = None,
    max_batch: int | None = None,
    cost: Literal["linear", "quadratic"] | None = None,
    q: float | None = None,
    too_long: Literal["one", "fail"] | None = None,
    shuffle_window: int | None = None,
    drop_last: Literal["no", "yes"] | None = None,
    max_ratio: float | None = None,
    rank: int | None = None,
    ranks: int | None = None,
    seed: int | None = None,
) -> Spec:
    """Row_sampler: Batches of rows of like length, with sizes that follow the length.

    Source: Zelasko et al. 2025 (2503.05931)

    Keys:
        buckets: how many buckets by length; equal edges fall together (default 30, 1 to 4096)
        sub: parts of a bucket by lengths_out (default 1, 1 to 64)
        max_tokens: what a batch may cost, padding included; 0: no bound (default 0, 0 to 9007199254740992)
        max_batch: most rows of a batch; 0: no bound, or 32 without max_tokens (default 0, 0 to 4294967295)
        cost: units of a row: in + out, or in + out + in^2 / q (default linear)
        q: length at which the quadratic part of the cost equals the linear one (default 1024, 1e-06 to 1e+18)
        too_long: rows above max_tokens: batches of one, or fit fails (default one)
        shuffle_window: rows read ahead in their own order; 0: all (default 0, 0 to 4294967295)
        drop_last: leave out batches that are not full (default no)
        max_ratio: leave out rows with lengths_out / lengths above this; 0: none (default 0, 0 to 1000000000)
        rank: which of `ranks` processes this one is (default 0, 0 to 65535)
        ranks: processes that share the rows of each pass (default 1, 1 to 65536)
        seed: of all that is random (default 1, 0 to 9007199254740992)
    """
    return _spell("batches", buckets=buckets, sub=sub, max_tokens=max_tokens, max_batch=max_batch, cost=cost, q=q,
                  too_long=too_long, shuffle_window=shuffle_window, drop_last=drop_last, max_ratio=max_ratio, rank=rank,
                  ranks=ranks, seed=seed)


def pack(
    *,
    cap: int | Literal["batch_max"] | None = None,
    per: Literal["batch", "epoch"] | None = None,
    rule: Literal["ffd", "greedy", "best_fit"] | None = None,
    batch: int | None = None,
    seed: int | None = None,
) -> Spec:
    """Row_sampler: Several short rows in one line, with offsets.

    Source: first fit decreasing: Johnson 1973; Lv et al. 2024.

    Keys:
        cap: tokens of a line; batch_max: those of the longest row (default batch_max, 1 to 2147483647)
        per: what is packed: the rows of a draw, or all rows once (default batch)
        rule: the line a row goes to: the first with room, the last, the fullest (default ffd)
        batch: rows (per=epoch: lines) of a draw that does not say how many (default 32, 1 to 4294967294)
        seed: of all that is random (default 1, 0 to 9007199254740992)
    """
    return _spell("pack", cap=cap, per=per, rule=rule, batch=batch, seed=seed)


def tas_balanced(
    *,
    batch: int | None = None,
    clusters_per_batch: int | None = None,
    bins: int | None = None,
    pairs: Literal["bins", "random"] | None = None,
    clusters: int | None = None,
    metric: Literal["ip", "l2"] | None = None,
    iters: int | None = None,
    dedup: Literal["no", "yes"] | None = None,
    cluster_weight: Literal["uniform", "size"] | None = None,
    alpha: float | None = None,
    seed: int | None = None,
) -> Spec:
    """Row_sampler: Queries of one topic a batch, with pairs of evenly spread margins.

    Source: Hofstaetter et al. 2021.

    Keys:
        batch: rows of a batch (default 32, 1 to 16777216)
        clusters_per_batch: clusters that a batch is shared between (default 1, 1 to 16777216)
        bins: bins of a query's margins (default 10, 1 to 65536)
        pairs: a bin first and then a pair in it, or any pair (default bins)
        clusters: clusters of the queries (default 2000, 1 to 16777216)
        metric: of the clustering; ip has centroids of length 1 (default ip)
        iters: iterations of the clustering (default 10, 1 to 1000)
        dedup: whether a query may be only once in a batch (default no)
        cluster_weight: how a batch's clusters are drawn (default uniform)
        alpha: loss: weight of the in-batch part (default 0.75, 0 to 1000000)
        seed: of all that is random (default 1, 0 to 9007199254740992)
    """
    return _spell("tas_balanced", batch=batch, clusters_per_batch=clusters_per_batch, bins=bins, pairs=pairs,
                  clusters=clusters, metric=metric, iters=iters, dedup=dedup, cluster_weight=cluster_weight,
                  alpha=alpha, seed=seed)


def star(
    *,
    index: str | None = None,
    depth: int | None = None,
    recall: float | None = None,
    batch: int | None = None,
    hard: int | None = None,
    random: int | None = None,
    refresh: int | None = None,
    seed: int | None = None,
) -> Spec:
    """Row_sampler: Negatives of queries: some of a searched list, some at random.

    Source: Zhan et al. 2021, STAR.

    Keys:
        index: what searches the documents (default flat(metric=ip))
        depth: negatives of a query that are searched for (default 200, 1 to 32768)
        recall: of the search, where the index is not exact (default 0.95, 0.01 to 1)
        batch: queries of a draw that does not say how many rows (default 32, 1 to 1048576)
        hard: negatives of a query from its searched list (default 1, 0 to 32768)
        random: negatives of a query from all other documents (default 0, 0 to 1048576)
        refresh: draws after which the lists are searched anew; 0: when something is observed (default 0, 0 to
            4294967295)
        seed: of all that is random (default 1, 0 to 9007199254740992)
    """
    return _spell("star", index=index, depth=depth, recall=recall, batch=batch, hard=hard, random=random,
                  refresh=refresh, seed=seed)


def adore(
    *,
    index: str | None = None,
    depth: int | None = None,
    recall: float | None = None,
    batch: int | None = None,
    cut: int | Literal["none"] | None = None,
    sigma: float | None = None,
    seed: int | None = None,
) -> Spec:
    """Row_sampler: Negatives that queries meet now, searched at every draw.

    Source: Zhan et al. 2021, ADORE.

    Keys:
        index: what searches the documents (default flat(metric=ip))
        depth: negatives of a query that are searched for (default 200, 1 to 32768)
        recall: of the search, where the index is not exact (default 0.95, 0.01 to 1)
        batch: queries of a draw that does not say how many rows (default 32, 1 to 1048576)
        cut: the last rank that counts in a pair's weight (default none, 1 to 65536)
        sigma: steepness of the loss of a pair (default 1, 1e-06 to 1000000)
        seed: of all that is random (default 1, 0 to 9007199254740992)
    """
    return _spell("adore", index=index, depth=depth, recall=recall, batch=batch, cut=cut, sigma=sigma, seed=seed)


def ar2(
    *,
    index: str | None = None,
    depth: int | None = None,
    recall: float | None = None,
    batch: int | None = None,
    negatives: int | None = None,
    tau: float | None = None,
    lambda_: float | None = None,
    adv: Literal["code", "exact"] | None = None,
    temperature: float | None = None,
    refresh: int | None = None,
    seed: int | None = None,
) -> Spec:
    """Row_sampler: Negatives from the retriever's own distribution.

    Source: Zhang et al. 2022, AR2.

    Keys:
        index: what searches the documents (default flat(metric=ip))
        depth: negatives of a query that are searched for (default 100, 1 to 32768)
        recall: of the search, where the index is not exact (default 0.95, 0.01 to 1)
        batch: queries of a draw that does not say how many rows (default 32, 1 to 1048576)
        negatives: negatives of a query (default 15, 1 to 32768)
        tau: steepness of the retriever's distribution; 0: uniform (default 1, 0 to 1000000)
        lambda_: share of the adversarial part of the loss (default 0.5, 0 to 1)
        adv: its form: the authors' program's, or the expected reward (default code)
        temperature: of the ranker's distribution, which is imitated (default 1, 0.001 to 1000000)
        refresh: draws after which the lists are searched anew; 0: when something is observed (default 0, 0 to
            4294967295)
        seed: of all that is random (default 1, 0 to 9007199254740992)
    """
    return _spell("ar2", index=index, depth=depth, recall=recall, batch=batch, negatives=negatives, tau=tau, adv=adv,
                  temperature=temperature, refresh=refresh, seed=seed, **{"lambda": lambda_})


def cet(*, clip: float | None = None, normalise: Literal["yes", "no"] | None = None, seed: int | None = None) -> Spec:
    """Row_sampler: Weights against pooling bias: the inverse chance that a labelled row was selected.

    Source: Cai et al., CIKM 2022.

    Keys:
        clip: least chance that a weight divides by; below 1 / rows of a group (default 0.1, 1e-06 to 1)
        normalise: scale the weights of a batch to a mean of 1 (default yes)
        seed: of all that is random (default 1, 0 to 9007199254740992)
    """
    return _spell("cet", clip=clip, normalise=normalise, seed=seed)


def nbpo(*, form: Literal["exact", "surrogate", "likelihood"] | None = None, seed: int | None = None) -> Spec:
    """Row_sampler: Weights for votes of which some are missing: releases rows that look like positives.

    Source: Yu, Qin, SIGIR 2020.

    Keys:
        form: gradient: of the log-likelihood, the authors' update rule, or of the likelihood (default exact)
        seed: of all that is random (default 1, 0 to 9007199254740992)
    """
    return _spell("nbpo", form=form, seed=seed)


def mnar(
    *,
    clip: float | None = None,
    eta: float | None = None,
    loss: Literal["squared", "log"] | None = None,
    seed: int | None = None,
) -> Spec:
    """Row_sampler: Weights by the inverse chance of exposure, for votes missing not at random.

    Source: Saito et al., WSDM 2020.

    Keys:
        clip: least propensity; 1: plain training (default 0.1, 1e-06 to 1)
        eta: exponent of (count / largest count); 1 where counts follow exposure alone (default 0.5, 0 to 10)
        loss: loss of a row; log has no lower bound here (default squared)
        seed: of all that is random (default 1, 0 to 9007199254740992)
    """
    return _spell("mnar", clip=clip, eta=eta, loss=loss, seed=seed)


def lemon(
    *,
    clusters: int | Literal["auto"] | None = None,
    metric: Literal["l2", "cosine"] | None = None,
    iters: int | None = None,
    pca: int | None = None,
    mix: float | None = None,
    batch: int | None = None,
    seed: int | None = None,
) -> Spec:
    """Row_sampler: Corrupted triples by entities of the same cluster of text embeddings, never a known one.

    Source: Rony et al., 2022.

    Keys:
        clusters: clusters of entities, at most one each; auto: the root of their number (default auto, 1 to 10000000)
        metric: of the clustering (default l2)
        iters: most rounds of k-means (default 20, 1 to 10000)
        pca: cluster on so many principal components; 0: on all (default 0, 0 to 65536)
        mix: share of corruptions by any entity (default 0, 0 to 1)
        batch: rows of a draw that does not say how many, or corruptions of each given triple (default 1, 1 to
            4294967295)
        seed: of all that is random (default 1, 0 to 9007199254740992)
    """
    return _spell("lemon", clusters=clusters, metric=metric, iters=iters, pca=pca, mix=mix, batch=batch, seed=seed)


def sracl(
    *,
    k: int | None = None,
    dropout: float | None = None,
    width: int | None = None,
    share: float | None = None,
    temperature: float | None = None,
    index: str | None = None,
    seed: int | None = None,
) -> Spec:
    """Row_sampler: Positives and views from the neighbours by text, weighed by attention.

    Source: Cui et al., 2025.

    Keys:
        k: neighbours of a row, itself excluded (default 10, 1 to 1000)
        dropout: chance that an attention weight is 0; 0: off (default 0.5, 0 to 0.99)
        width: rows of the projection of the attention network (default 64, 1 to 4096)
        share: share of a sequence's items that a view replaces (default 0.2, 0 to 1)
        temperature: of the loss (default 1, 0.001 to 1000)
        index: finds the neighbours (default flat(metric=cosine))
        seed: of all that is random (default 1, 0 to 9007199254740992)
    """
    return _spell("sracl", k=k, dropout=dropout, width=width, share=share, temperature=temperature, index=index,
                  seed=seed)


def locality(
    *,
    walk: Literal["random_walk", "snowball"] | None = None,
    hard: int | None = None,
    band_low: int | None = None,
    band_high: int | None = None,
    back_low: int | None = None,
    back_high: int | None = None,
    patches: int | None = None,
    batch: int | None = None,
    documents: int | None = None,
    seed: int | None = None,
) -> Spec:
    """Row_sampler: Batches of queries that are near each other in a retrieval graph.

    Source: Xiao et al. 2022.

    Keys:
        walk: which of the found queries comes next (default random_walk)
        hard: negatives of a query (default 1, 1 to 1024)
        band_low: first rank that negatives come from (default 0, 0 to 4294967295)
        band_high: the rank behind the last (default 200, 1 to 4294967295)
        back_low: first rank by which a document leads back to a query (default 200, 0 to 4294967295)
        back_high: the rank behind the last (default 400, 1 to 4294967295)
        patches: walks of a batch, at least (default 1, 1 to 16777216)
        batch: rows of a batch (default 32, 1 to 16777216)
        documents: how many there are; 0: as far as the ids of fit go (default 0, 0 to 4294967295)
        seed: of all that is random (default 1, 0 to 9007199254740992)
    """
    return _spell("locality", walk=walk, hard=hard, band_low=band_low, band_high=band_high, back_low=back_low,
                  back_high=back_high, patches=patches, batch=batch, documents=documents, seed=seed)


def anchor(
    *,
    clients: int | None = None,
    participate: int | None = None,
    p: float | None = None,
    schedule: Literal["constant", "alternate"] | None = None,
    period: int | None = None,
    seed: int | None = None,
) -> Spec:
    """Row_sampler: Clients of a federated round, split into anchors and miners.

    Source: FedAMD: Wu et al. 2023.

    Keys:
        clients: draw from clients 0..clients-1 without fitting; 0: fit gives ids (default 0, 0 to 4294967295)
        participate: clients of a round (default 1, 1 to 16777216)
        p: schedule=constant: chance that a client is an anchor (default 0.5, 0 to 1)
        schedule: p in every round, or rounds of anchors alone and of miners alone (default constant)
        period: schedule=alternate: rounds from one of anchors to the next (default 2, 1 to 4294967295)
        seed: of all that is random (default 1, 0 to 9007199254740992)
    """
    return _spell("anchor", clients=clients, participate=participate, p=p, schedule=schedule, period=period, seed=seed)


def props(
    *,
    rule: Literal["ros", "soft"] | None = None,
    alpha: float | None = None,
    batch: int | None = None,
    eps: float | None = None,
    lambda_: float | None = None,
    seed: int | None = None,
) -> Spec:
    """Row_sampler: Actions that a policy's data lacks.

    Source: ROS: Zhong et al. 2022; PROPS: Corrado, Hanna 2023.

    Keys:
        rule: the action with the largest deficit, or a draw that leans to it (default ros)
        alpha: rule=soft: how much it leans; 0: the policy itself (default 10, 0 to 1000000)
        batch: rows of a draw that does not say how many (default 1, 1 to 4294967295)
        eps: loss: a ratio below 1 - eps is low enough (default 0.2, 0 to 1)
        lambda_: loss: weight of the divergence from the target (default 0.1, 0 to 1000000)
        seed: of all that is random (default 1, 0 to 9007199254740992)
    """
    return _spell("props", rule=rule, alpha=alpha, batch=batch, eps=eps, seed=seed, **{"lambda": lambda_})


def reusable_holdout(
    *,
    rows: int | None = None,
    share: float | None = None,
    threshold: float | None = None,
    sigma: float | None = None,
    budget: int | None = None,
    batch: int | None = None,
    seed: int | None = None,
) -> Spec:
    """Row_sampler: A holdout that answers many questions without being overfitted.

    Source: Thresholdout: Dwork et al. 2015.

    Keys:
        rows: split 0..rows-1 without fitting; 0: fit gives ids (default 0, 0 to 4294967295)
        share: of the rows, for the holdout (default 0.5, 0 to 1)
        threshold: difference of the means that counts as overfitting (default 0.04, 0 to 1)
        sigma: scale of the noise: 2 sigma, 4 sigma and sigma (default 0.01, 0 to 1)
        budget: overfit answers until there are no more (default 100, 0 to 9007199254740992)
        batch: rows of a draw that does not say how many (default 1, 1 to 4294967295)
        seed: of all that is random (default 1, 0 to 9007199254740992)
    """
    return _spell("reusable_holdout", rows=rows, share=share, threshold=threshold, sigma=sigma, budget=budget,
                  batch=batch, seed=seed)


def chain(*, seed: int | None = None) -> Spec:
    """Token_sampler: Stages in a row, as in chain(top_k(k=40), temperature(value=0.8)), then a draw.

    Keys:
        seed: of the random numbers (default 1, 0 to 9007199254740992)
    """
    return _spell("chain", seed=seed)


def sample(
    *,
    order: Literal["hf", "llama"] | None = None,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    typical: float | None = None,
    epsilon: float | None = None,
    eta: float | None = None,
    top_n_sigma: float | None = None,
    xtc_threshold: float | None = None,
    xtc_probability: float | None = None,
    repetition: float | None = None,
    frequency: float | None = None,
    presence: float | None = None,
    window: int | Literal["all"] | None = None,
    dry: float | None = None,
    dry_base: float | None = None,
    dry_allowed_length: int | None = None,
    dry_window: int | Literal["all"] | None = None,
    ties: Literal["id", "all"] | None = None,
    min_keep: int | None = None,
    seed: int | None = None,
) -> Spec:
    """Token_sampler: The usual stages in the usual order.

    Source: transformers, llama.cpp.

    Keys:
        order: hf: temperature before the filters; llama: after them (default hf)
        temperature: 0 = the most likely token (default 1, 0 to 1000000)
        top_k: 0 = all (default 0, 0 to 16777216)
        top_p: mass of the nucleus; 1 = all (default 1, 0 to 1)
        min_p: share of the largest probability; 0 = all (default 0, 0 to 1)
        typical: mass of the typical tokens; 1 = all (default 1, 0 to 1)
        epsilon: least probability; 0 = all (default 0, 0 to 1)
        eta: least probability, lowered by the entropy; 0 = all (default 0, 0 to 1)
        top_n_sigma: deviations below the largest logit; 0 = all (default 0, 0 to 1000)
        xtc_threshold: probability of a top choice (default 0.1, 0 to 1)
        xtc_probability: chance that top choices are excluded (default 0, 0 to 1)
        repetition: penalty that scales past tokens; 1 = none (default 1, 0.01 to 100)
        frequency: subtracted for each time that a token occurs (default 0, -100 to 100)
        presence: subtracted once if a token occurs (default 0, -100 to 100)
        window: how many past tokens count (default 64, 1 to 1073741824)
        dry: multiplier of the penalty on repeated runs; 0 = none (default 0, 0 to 1000)
        dry_base: what each further token multiplies it by (default 1.75, 1 to 100)
        dry_allowed_length: shortest run that is penalised (default 2, 1 to 1000000)
        dry_window: past tokens in which runs are sought (default all, 1 to 1073741824)
        ties: at the border smaller ids go first, or all ties stay (default id)
        min_keep: candidates that always stay, the first in its order (default 1, 1 to 16777216)
        seed: of the random numbers (default 1, 0 to 9007199254740992)
    """
    return _spell("sample", order=order, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p,
                  typical=typical, epsilon=epsilon, eta=eta, top_n_sigma=top_n_sigma, xtc_threshold=xtc_threshold,
                  xtc_probability=xtc_probability, repetition=repetition, frequency=frequency, presence=presence,
                  window=window, dry=dry, dry_base=dry_base, dry_allowed_length=dry_allowed_length,
                  dry_window=dry_window, ties=ties, min_keep=min_keep, seed=seed)


def temperature(*, value: float | None = None, seed: int | None = None) -> Spec:
    """Token_sampler: Divides the logits: below 1 sharper, above 1 flatter, 0 greedy.

    Source: Ackley, Hinton, Sejnowski 1985.

    Keys:
        value: logits are divided by it; 0 = the most likely token (default 1, 0 to 1000000)
        seed: of the random numbers (default 1, 0 to 9007199254740992)
    """
    return _spell("temperature", value=value, seed=seed)


def dynamic_temperature(
    *,
    low: float | None = None,
    high: float | None = None,
    exponent: float | None = None,
    seed: int | None = None,
) -> Spec:
    """Token_sampler: A temperature that follows the entropy of the law.

    Source: llama.cpp.

    Keys:
        low: temperature of a law without entropy (default 0.5, 0 to 1000000)
        high: temperature of a uniform law (default 1.5, 0 to 1000000)
        exponent: how the share of the entropy is bent between them (default 1, 0.01 to 100)
        seed: of the random numbers (default 1, 0 to 9007199254740992)
    """
    return _spell("dynamic_temperature", low=low, high=high, exponent=exponent, seed=seed)


def top_k(
    *,
    k: int | None = None,
    ties: Literal["id", "all"] | None = None,
    min_keep: int | None = None,
    seed: int | None = None,
) -> Spec:
    """Token_sampler: Keeps the k most likely tokens.

    Source: Fan, Lewis, Dauphin 2018.

    Keys:
        k: candidates to keep; 0 = all (default 40, 0 to 16777216)
        ties: at the border smaller ids go first, or all ties stay (default id)
        min_keep: candidates that always stay, the first in its order (default 1, 1 to 16777216)
        seed: of the random numbers (default 1, 0 to 9007199254740992)
    """
    return _spell("top_k", k=k, ties=ties, min_keep=min_keep, seed=seed)


def top_p(*, mass: float | None = None, min_keep: int | None = None, seed: int | None = None) -> Spec:
    """Token_sampler: Keeps the nucleus: the fewest tokens with this much probability.

    Source: Holtzman, Buys, Du, Forbes, Choi 2020.

    Keys:
        mass: probability that the kept tokens have at least; 1 = all (default 0.95, 0 to 1)
        min_keep: candidates that always stay, the first in its order (default 1, 1 to 16777216)
        seed: of the random numbers (default 1, 0 to 9007199254740992)
    """
    return _spell("top_p", mass=mass, min_keep=min_keep, seed=seed)


def min_p(*, ratio: float | None = None, min_keep: int | None = None, seed: int | None = None) -> Spec:
    """Token_sampler: Keeps tokens with a share of the largest probability.

    Source: Nguyen et al. 2024.

    Keys:
        ratio: least probability, as a share of the largest; 0 = all (default 0.05, 0 to 1)
        min_keep: candidates that always stay, the first in its order (default 1, 1 to 16777216)
        seed: of the random numbers (default 1, 0 to 9007199254740992)
    """
    return _spell("min_p", ratio=ratio, min_keep=min_keep, seed=seed)


def typical(
    *,
    mass: float | None = None,
    ties: Literal["id", "all"] | None = None,
    min_keep: int | None = None,
    seed: int | None = None,
) -> Spec:
    """Token_sampler: Keeps tokens whose surprisal is nearest to the entropy.

    Source: Meister, Pimentel, Wiher, Cotterell 2023.

    Keys:
        mass: probability that the kept tokens have at least; 1 = all (default 0.9, 0 to 1)
        ties: at the border smaller ids go first, or all ties stay (default id)
        min_keep: candidates that always stay, the first in its order (default 1, 1 to 16777216)
        seed: of the random numbers (default 1, 0 to 9007199254740992)
    """
    return _spell("typical", mass=mass, ties=ties, min_keep=min_keep, seed=seed)


def epsilon(*, cutoff: float | None = None, min_keep: int | None = None, seed: int | None = None) -> Spec:
    """Token_sampler: Keeps tokens with at least this probability.

    Source: Hewitt, Manning, Liang 2022.

    Keys:
        cutoff: least probability; 0 = all (default 0.0003, 0 to 1)
        min_keep: candidates that always stay, the first in its order (default 1, 1 to 16777216)
        seed: of the random numbers (default 1, 0 to 9007199254740992)
    """
    return _spell("epsilon", cutoff=cutoff, min_keep=min_keep, seed=seed)


def eta(*, cutoff: float | None = None, min_keep: int | None = None, seed: int | None = None) -> Spec:
    """Token_sampler: Keeps tokens above a probability that falls with the entropy.

    Source: Hewitt, Manning, Liang 2022.

    Keys:
        cutoff: least probability, lowered by the entropy; 0 = all (default 0.0003, 0 to 1)
        min_keep: candidates that always stay, the first in its order (default 1, 1 to 16777216)
        seed: of the random numbers (default 1, 0 to 9007199254740992)
    """
    return _spell("eta", cutoff=cutoff, min_keep=min_keep, seed=seed)


def top_n_sigma(*, n: float | None = None, min_keep: int | None = None, seed: int | None = None) -> Spec:
    """Token_sampler: Keeps logits within n standard deviations of the largest.

    Source: Tang et al. 2024.

    Keys:
        n: standard deviations below the largest logit; 0 = all (default 1, 0 to 1000)
        min_keep: candidates that always stay, the first in its order (default 1, 1 to 16777216)
        seed: of the random numbers (default 1, 0 to 9007199254740992)
    """
    return _spell("top_n_sigma", n=n, min_keep=min_keep, seed=seed)


def xtc(
    *,
    threshold: float | None = None,
    probability: float | None = None,
    min_keep: int | None = None,
    seed: int | None = None,
) -> Spec:
    """Token_sampler: Sometimes excludes all top choices but the least likely.

    Source: Weidmann 2024.

    Keys:
        threshold: probability from which a token is a top choice (default 0.1, 0 to 1)
        probability: chance that top choices are excluded at all (default 0.5, 0 to 1)
        min_keep: candidates that always stay, the first in its order (default 1, 1 to 16777216)
        seed: of the random numbers (default 1, 0 to 9007199254740992)
    """
    return _spell("xtc", threshold=threshold, probability=probability, min_keep=min_keep, seed=seed)


def repetition(
    *,
    penalty: float | None = None,
    window: int | Literal["all"] | None = None,
    seed: int | None = None,
) -> Spec:
    """Token_sampler: Scales down the logits of past tokens.

    Source: Keskar et al. 2019.

    Keys:
        penalty: above 1 past tokens lose, below 1 they gain (default 1.1, 0.01 to 100)
        window: how many past tokens count (default 64, 1 to 1073741824)
        seed: of the random numbers (default 1, 0 to 9007199254740992)
    """
    return _spell("repetition", penalty=penalty, window=window, seed=seed)


def penalties(
    *,
    frequency: float | None = None,
    presence: float | None = None,
    window: int | Literal["all"] | None = None,
    seed: int | None = None,
) -> Spec:
    """Token_sampler: Subtracts from the logits of past tokens, by how often they occur.

    Source: OpenAI.

    Keys:
        frequency: subtracted for each time that a token occurs (default 0, -100 to 100)
        presence: subtracted once if a token occurs (default 0, -100 to 100)
        window: how many past tokens count (default 64, 1 to 1073741824)
        seed: of the random numbers (default 1, 0 to 9007199254740992)
    """
    return _spell("penalties", frequency=frequency, presence=presence, window=window, seed=seed)


def dry(
    *,
    multiplier: float | None = None,
    base: float | None = None,
    allowed_length: int | None = None,
    window: int | Literal["all"] | None = None,
    seed: int | None = None,
) -> Spec:
    """Token_sampler: Penalises tokens that would prolong a repetition.

    Source: Weidmann 2024.

    Keys:
        multiplier: subtracted for a run of the allowed length (default 0.8, 0 to 1000)
        base: what each further token multiplies it by (default 1.75, 1 to 100)
        allowed_length: shortest run that is penalised (default 2, 1 to 1000000)
        window: how many past tokens count (default all, 1 to 1073741824)
        seed: of the random numbers (default 1, 0 to 9007199254740992)
    """
    return _spell("dry", multiplier=multiplier, base=base, allowed_length=allowed_length, window=window, seed=seed)


def dist(*, seed: int | None = None) -> Spec:
    """Token_sampler: Draws from the law of the survivors by inversion.

    Source: Devroye 1986.

    Keys:
        seed: of the random numbers (default 1, 0 to 9007199254740992)
    """
    return _spell("dist", seed=seed)


def gumbel(*, seed: int | None = None) -> Spec:
    """Token_sampler: Draws the largest of logit + Gumbel noise, keyed by token.

    Source: Gumbel 1954.

    Keys:
        seed: of the random numbers (default 1, 0 to 9007199254740992)
    """
    return _spell("gumbel", seed=seed)


def greedy(*, seed: int | None = None) -> Spec:
    """Token_sampler: Takes the most likely token.

    Source: beam of width one.

    Keys:
        seed: of the random numbers (default 1, 0 to 9007199254740992)
    """
    return _spell("greedy", seed=seed)


def mirostat(
    *,
    version: int | None = None,
    tau: float | None = None,
    eta: float | None = None,
    m: int | None = None,
    seed: int | None = None,
) -> Spec:
    """Token_sampler: Draws so that the surprise of the text stays near a target.

    Source: Basu, Ramachandran, Keskar, Varshney 2021.

    Keys:
        version: 1: Zipf estimate and top-k; 2: cut-off by surprisal (default 2, 1 to 2)
        tau: wanted surprise in bits (default 5, 0 to 100)
        eta: how fast the bound follows (default 0.1, 0 to 1)
        m: version 1: tokens that the exponent is estimated from (default 100, 2 to 100000)
        seed: of the random numbers (default 1, 0 to 9007199254740992)
    """
    return _spell("mirostat", version=version, tau=tau, eta=eta, m=m, seed=seed)


def speculative(
    *,
    verify: Literal["single", "rrs", "recursive", "kseq", "greedy"] | None = None,
    draft: Literal["auto", "iid", "gumbel_topk", "sbs", "greedy"] | None = None,
    depth: int | None = None,
    width: int | Literal["auto"] | None = None,
    branch: int | Literal["auto"] | None = None,
    input: Literal["logits", "probs"] | None = None,
    stages: str | None = None,
    rho_tol: float | None = None,
    seed: int | None = None,
) -> Spec:
    """Token_sampler: Drafts that another model verifies, without a change of its law.

    Source: Leviathan 2023; Sun 2023 (SpecTr); Jeon 2024 (RSD); Hu 2025.

    Keys:
        verify: the rule that accepts drafts: one draft; several, iid; without replacement; SpecTr; the optimum for
            greedy drafts (default recursive)
        draft: how a node's drafts are drawn; auto: as the rule wants it (default auto)
        depth: levels of the tree (default 4, 1 to 16)
        width: drafts at the root, one child each from there on; sbs: nodes of a level; auto: 4, for single 1 (default
            auto, 1 to 256)
        branch: children of a node on each level as digits, such as 4211 for depth=4; auto: width, then 1 (default auto,
            1 to 1e+16)
        input: what the rows of both models are (default logits)
        stages: the chain that the laws of both models go through, such as top_k(k=40) (default none)
        rho_tol: kseq: how near to the best factor (default 1e-6, 1e-12 to 0.1)
        seed: of drafts and verification (default 1, 0 to 9007199254740992)
    """
    return _spell("speculative", verify=verify, draft=draft, depth=depth, width=width, branch=branch, input=input,
                  stages=stages, rho_tol=rho_tol, seed=seed)


def ddim(
    *,
    eta: float | None = None,
    schedule: str | None = None,
    prediction: Literal["auto", "noise", "data", "score", "v", "flow", "edm"] | None = None,
    guidance: float | Literal["none"] | None = None,
    threshold: Literal["none", "static", "dynamic"] | None = None,
    clip: float | None = None,
    quantile: float | None = None,
    floor: float | None = None,
    cap: float | Literal["none"] | None = None,
    seed: int | None = None,
) -> Spec:
    """Path_sampler: First-order steps, deterministic or with noise.

    Source: Song, Meng, Ermon 2021 (DDIM)

    Keys:
        eta: fresh noise: 0 none (the ODE), 1 as much as DDPM (default 0, 0 to 1)
        schedule: noise levels of the model, steps and grid (default vp)
        prediction: what the model predicts; auto: flow for rf, data for edm and karras, else noise (default auto)
        guidance: weight of the condition; two predictions unless it is 0 or 1 (default none, -1000000 to 1000000)
        threshold: keeps predicted data in its range (default none)
        clip: threshold=static: largest magnitude (default 1, 1e-30 to 1e+30)
        quantile: threshold=dynamic: of the magnitudes in a row (default 0.995, 1e-09 to 1)
        floor: threshold=dynamic: smallest bound (default 1, 1e-30 to 1e+30)
        cap: threshold=dynamic: largest bound (default none, 1e-30 to 1e+30)
        seed: of the noise (default 1, 0 to 9007199254740992)
    """
    return _spell("ddim", eta=eta, schedule=schedule, prediction=prediction, guidance=guidance, threshold=threshold,
                  clip=clip, quantile=quantile, floor=floor, cap=cap, seed=seed)


def rhork(
    *,
    tab: Literal["heun2", "mid2", "kutta3", "rk4"] | None = None,
    space: Literal["auto", "rho", "flow"] | None = None,
    schedule: str | None = None,
    prediction: Literal["auto", "noise", "data", "score", "v", "flow", "edm"] | None = None,
    guidance: float | Literal["none"] | None = None,
    threshold: Literal["none", "static", "dynamic"] | None = None,
    clip: float | None = None,
    quantile: float | None = None,
    floor: float | None = None,
    cap: float | Literal["none"] | None = None,
    seed: int | None = None,
) -> Spec:
    """Path_sampler: Heun's and other Runge-Kutta methods.

    Source: Zhang and Chen 2023 (DEIS)

    Keys:
        tab: the tableau: order 2, 2, 3 or 4 (default heun2)
        space: variable of the ODE; auto: flow for rf, else rho (default auto)
        schedule: noise levels of the model, steps and grid (default vp)
        prediction: what the model predicts; auto: flow for rf, data for edm and karras, else noise (default auto)
        guidance: weight of the condition; two predictions unless it is 0 or 1 (default none, -1000000 to 1000000)
        threshold: keeps predicted data in its range (default none)
        clip: threshold=static: largest magnitude (default 1, 1e-30 to 1e+30)
        quantile: threshold=dynamic: of the magnitudes in a row (default 0.995, 1e-09 to 1)
        floor: threshold=dynamic: smallest bound (default 1, 1e-30 to 1e+30)
        cap: threshold=dynamic: largest bound (default none, 1e-30 to 1e+30)
        seed: of the noise (default 1, 0 to 9007199254740992)
    """
    return _spell("rhork", tab=tab, space=space, schedule=schedule, prediction=prediction, guidance=guidance,
                  threshold=threshold, clip=clip, quantile=quantile, floor=floor, cap=cap, seed=seed)


def edm_path_sampler(
    *,
    churn: float | None = None,
    stmin: float | None = None,
    stmax: float | Literal["inf"] | None = None,
    snoise: float | None = None,
    schedule: str | None = None,
    prediction: Literal["auto", "noise", "data", "score", "v", "flow", "edm"] | None = None,
    guidance: float | Literal["none"] | None = None,
    threshold: Literal["none", "static", "dynamic"] | None = None,
    clip: float | None = None,
    quantile: float | None = None,
    floor: float | None = None,
    cap: float | Literal["none"] | None = None,
    seed: int | None = None,
) -> Spec:
    """Path_sampler: Heun's method, with noise stirred in if wanted.

    Source: Karras et al. 2022 (EDM)

    Keys:
        churn: noise stirred in over the whole run (default 0, 0 to 1000000)
        stmin: only where sigma/alpha is at least this (default 0, 0 to 1000000000)
        stmax: ... and at most this (default inf, 0 to 1000000000)
        snoise: standard deviation of that noise (default 1, 0 to 10)
        schedule: noise levels of the model, steps and grid (default vp)
        prediction: what the model predicts; auto: flow for rf, data for edm and karras, else noise (default auto)
        guidance: weight of the condition; two predictions unless it is 0 or 1 (default none, -1000000 to 1000000)
        threshold: keeps predicted data in its range (default none)
        clip: threshold=static: largest magnitude (default 1, 1e-30 to 1e+30)
        quantile: threshold=dynamic: of the magnitudes in a row (default 0.995, 1e-09 to 1)
        floor: threshold=dynamic: smallest bound (default 1, 1e-30 to 1e+30)
        cap: threshold=dynamic: largest bound (default none, 1e-30 to 1e+30)
        seed: of the noise (default 1, 0 to 9007199254740992)
    """
    return _spell("edm", churn=churn, stmin=stmin, stmax=stmax, snoise=snoise, schedule=schedule, prediction=prediction,
                  guidance=guidance, threshold=threshold, clip=clip, quantile=quantile, floor=floor, cap=cap, seed=seed)


def dpm(
    *,
    order: int | None = None,
    mode: Literal["multi", "single"] | None = None,
    variant: Literal["midpoint", "exact"] | None = None,
    lower_order_final: Literal["yes", "no"] | None = None,
    warmup: Literal["low", "single"] | None = None,
    compat: Literal["no", "yes"] | None = None,
    schedule: str | None = None,
    prediction: Literal["auto", "noise", "data", "score", "v", "flow", "edm"] | None = None,
    guidance: float | Literal["none"] | None = None,
    threshold: Literal["none", "static", "dynamic"] | None = None,
    clip: float | None = None,
    quantile: float | None = None,
    floor: float | None = None,
    cap: float | Literal["none"] | None = None,
    seed: int | None = None,
) -> Spec:
    """Path_sampler: DPM-Solver: orders 1 to 3 in the noise form.

    Source: Lu et al., NeurIPS 2022.

    Keys:
        order: order of the steps (default 2, 1 to 3)
        mode: multi: a prediction a step, and those before it; single: all predictions inside the step (default single)
        variant: multistep of order 2: the value at the step's middle, or its line integrated exactly (default midpoint)
        lower_order_final: the last steps are of order 2 and 1, which helps below about 15 steps (default yes)
        warmup: the first multistep steps: of order 1, 2, or singlestep of full order (default low)
        compat: multistep of order 3 as in published code, where a factor 2 is missing (default no)
        schedule: noise levels of the model, steps and grid (default vp)
        prediction: what the model predicts; auto: flow for rf, data for edm and karras, else noise (default auto)
        guidance: weight of the condition; two predictions unless it is 0 or 1 (default none, -1000000 to 1000000)
        threshold: keeps predicted data in its range (default none)
        clip: threshold=static: largest magnitude (default 1, 1e-30 to 1e+30)
        quantile: threshold=dynamic: of the magnitudes in a row (default 0.995, 1e-09 to 1)
        floor: threshold=dynamic: smallest bound (default 1, 1e-30 to 1e+30)
        cap: threshold=dynamic: largest bound (default none, 1e-30 to 1e+30)
        seed: of the noise (default 1, 0 to 9007199254740992)
    """
    return _spell("dpm", order=order, mode=mode, variant=variant, lower_order_final=lower_order_final, warmup=warmup,
                  compat=compat, schedule=schedule, prediction=prediction, guidance=guidance, threshold=threshold,
                  clip=clip, quantile=quantile, floor=floor, cap=cap, seed=seed)


def dpmpp(
    *,
    order: int | None = None,
    mode: Literal["multi", "single"] | None = None,
    variant: Literal["midpoint", "exact"] | None = None,
    lower_order_final: Literal["yes", "no"] | None = None,
    warmup: Literal["low", "single"] | None = None,
    compat: Literal["no", "yes"] | None = None,
    sde: Literal["no", "yes"] | None = None,
    tau: float | None = None,
    schedule: str | None = None,
    prediction: Literal["auto", "noise", "data", "score", "v", "flow", "edm"] | None = None,
    guidance: float | Literal["none"] | None = None,
    threshold: Literal["none", "static", "dynamic"] | None = None,
    clip: float | None = None,
    quantile: float | None = None,
    floor: float | None = None,
    cap: float | Literal["none"] | None = None,
    seed: int | None = None,
) -> Spec:
    """Path_sampler: DPM-Solver++: orders 1 to 3 in the data form, ODE and SDE.

    Source: Lu et al., 2022.

    Keys:
        order: order of the steps (default 2, 1 to 3)
        mode: multi: a prediction a step, and those before it; single: all predictions inside the step (default multi)
        variant: multistep of order 2: the value at the step's middle, or its line integrated exactly (default midpoint)
        lower_order_final: the last steps are of order 2 and 1, which helps below about 15 steps (default yes)
        warmup: the first multistep steps: of order 1, 2, or singlestep of full order (default low)
        compat: multistep of order 3 as in published code, where a factor 2 is missing (default no)
        sde: follow the reverse SDE instead of the ODE; order=3 then wants 15 steps or more (default no)
        tau: with sde=yes: the share of the SDE's noise (default 1, 0 to 1)
        schedule: noise levels of the model, steps and grid (default vp)
        prediction: what the model predicts; auto: flow for rf, data for edm and karras, else noise (default auto)
        guidance: weight of the condition; two predictions unless it is 0 or 1 (default none, -1000000 to 1000000)
        threshold: keeps predicted data in its range (default none)
        clip: threshold=static: largest magnitude (default 1, 1e-30 to 1e+30)
        quantile: threshold=dynamic: of the magnitudes in a row (default 0.995, 1e-09 to 1)
        floor: threshold=dynamic: smallest bound (default 1, 1e-30 to 1e+30)
        cap: threshold=dynamic: largest bound (default none, 1e-30 to 1e+30)
        seed: of the noise (default 1, 0 to 9007199254740992)
    """
    return _spell("dpmpp", order=order, mode=mode, variant=variant, lower_order_final=lower_order_final, warmup=warmup,
                  compat=compat, sde=sde, tau=tau, schedule=schedule, prediction=prediction, guidance=guidance,
                  threshold=threshold, clip=clip, quantile=quantile, floor=floor, cap=cap, seed=seed)


def deis(
    *,
    order: int | None = None,
    poly: Literal["t", "rho", "logrho"] | None = None,
    lower_order_final: Literal["yes", "no"] | None = None,
    schedule: str | None = None,
    prediction: Literal["auto", "noise", "data", "score", "v", "flow", "edm"] | None = None,
    guidance: float | Literal["none"] | None = None,
    threshold: Literal["none", "static", "dynamic"] | None = None,
    clip: float | None = None,
    quantile: float | None = None,
    floor: float | None = None,
    cap: float | Literal["none"] | None = None,
    seed: int | None = None,
) -> Spec:
    """Path_sampler: DEIS: exponential Adams-Bashforth on noise estimates, degrees 0 to 3.

    Source: Zhang and Chen, ICLR 2023.

    Keys:
        order: degree of the polynomial; 0 is ddim (default 3, 0 to 3)
        poly: what the polynomial is in: time, sigma / alpha, or its logarithm (default t)
        lower_order_final: the last steps are of lower degree, which helps below about 15 steps (default yes)
        schedule: noise levels of the model, steps and grid (default vp)
        prediction: what the model predicts; auto: flow for rf, data for edm and karras, else noise (default auto)
        guidance: weight of the condition; two predictions unless it is 0 or 1 (default none, -1000000 to 1000000)
        threshold: keeps predicted data in its range (default none)
        clip: threshold=static: largest magnitude (default 1, 1e-30 to 1e+30)
        quantile: threshold=dynamic: of the magnitudes in a row (default 0.995, 1e-09 to 1)
        floor: threshold=dynamic: smallest bound (default 1, 1e-30 to 1e+30)
        cap: threshold=dynamic: largest bound (default none, 1e-30 to 1e+30)
        seed: of the noise (default 1, 0 to 9007199254740992)
    """
    return _spell("deis", order=order, poly=poly, lower_order_final=lower_order_final, schedule=schedule,
                  prediction=prediction, guidance=guidance, threshold=threshold, clip=clip, quantile=quantile,
                  floor=floor, cap=cap, seed=seed)


def unipc(
    *,
    order: int | None = None,
    bh: Literal["bh1", "bh2", "exact"] | None = None,
    data: Literal["yes", "no"] | None = None,
    corrector: Literal["yes", "no"] | None = None,
    lower_order_final: Literal["yes", "no"] | None = None,
    schedule: str | None = None,
    prediction: Literal["auto", "noise", "data", "score", "v", "flow", "edm"] | None = None,
    guidance: float | Literal["none"] | None = None,
    threshold: Literal["none", "static", "dynamic"] | None = None,
    clip: float | None = None,
    quantile: float | None = None,
    floor: float | None = None,
    cap: float | Literal["none"] | None = None,
    seed: int | None = None,
) -> Spec:
    """Path_sampler: UniPC: predictor and corrector of one form, orders 1 to 3.

    Source: Zhao et al., NeurIPS 2023.

    Keys:
        order: values that predict; with the corrector the order is one more (default 2, 1 to 3)
        bh: weights that stand alone: by one of the paper's two conventions, or solved like the others (default bh2)
        data: work on estimates of the data; no: of the noise (default yes)
        corrector: correct each state by the prediction made there (default yes)
        lower_order_final: the last steps are of lower order, which helps below about 15 steps (default yes)
        schedule: noise levels of the model, steps and grid (default vp)
        prediction: what the model predicts; auto: flow for rf, data for edm and karras, else noise (default auto)
        guidance: weight of the condition; two predictions unless it is 0 or 1 (default none, -1000000 to 1000000)
        threshold: keeps predicted data in its range (default none)
        clip: threshold=static: largest magnitude (default 1, 1e-30 to 1e+30)
        quantile: threshold=dynamic: of the magnitudes in a row (default 0.995, 1e-09 to 1)
        floor: threshold=dynamic: smallest bound (default 1, 1e-30 to 1e+30)
        cap: threshold=dynamic: largest bound (default none, 1e-30 to 1e+30)
        seed: of the noise (default 1, 0 to 9007199254740992)
    """
    return _spell("unipc", order=order, bh=bh, data=data, corrector=corrector, lower_order_final=lower_order_final,
                  schedule=schedule, prediction=prediction, guidance=guidance, threshold=threshold, clip=clip,
                  quantile=quantile, floor=floor, cap=cap, seed=seed)


def sde(
    *,
    pred: Literal["em", "reverse", "ancestral"] | None = None,
    corr: Literal["langevin", "none"] | None = None,
    snr: float | None = None,
    ncorr: int | None = None,
    norm: Literal["level", "batch", "row"] | None = None,
    probability_flow: Literal["no", "yes"] | None = None,
    schedule: str | None = None,
    prediction: Literal["auto", "noise", "data", "score", "v", "flow", "edm"] | None = None,
    guidance: float | Literal["none"] | None = None,
    threshold: Literal["none", "static", "dynamic"] | None = None,
    clip: float | None = None,
    quantile: float | None = None,
    floor: float | None = None,
    cap: float | Literal["none"] | None = None,
    seed: int | None = None,
) -> Spec:
    """Path_sampler: Score-SDE: predictor-corrector on the reverse SDE.

    Source: Song et al., ICLR 2021.

    Keys:
        pred: predictor: Euler-Maruyama, the reversed chain, or its posterior mean; only em for rf and subvp (default
            em)
        corr: corrector (default langevin)
        snr: signal to noise ratio of a corrector step (default 0.16, 0 to 10)
        ncorr: corrector steps a node, a prediction each (default 1, 1 to 1023)
        norm: the corrector's step size: by the noise level, or by norms over the batch or of the row (default level)
        probability_flow: predict along the ODE, without noise (default no)
        schedule: noise levels of the model, steps and grid (default vp)
        prediction: what the model predicts; auto: flow for rf, data for edm and karras, else noise (default auto)
        guidance: weight of the condition; two predictions unless it is 0 or 1 (default none, -1000000 to 1000000)
        threshold: keeps predicted data in its range (default none)
        clip: threshold=static: largest magnitude (default 1, 1e-30 to 1e+30)
        quantile: threshold=dynamic: of the magnitudes in a row (default 0.995, 1e-09 to 1)
        floor: threshold=dynamic: smallest bound (default 1, 1e-30 to 1e+30)
        cap: threshold=dynamic: largest bound (default none, 1e-30 to 1e+30)
        seed: of the noise (default 1, 0 to 9007199254740992)
    """
    return _spell("sde", pred=pred, corr=corr, snr=snr, ncorr=ncorr, norm=norm, probability_flow=probability_flow,
                  schedule=schedule, prediction=prediction, guidance=guidance, threshold=threshold, clip=clip,
                  quantile=quantile, floor=floor, cap=cap, seed=seed)


def pf_ode(
    *,
    rtol: float | None = None,
    atol: float | None = None,
    schedule: str | None = None,
    prediction: Literal["auto", "noise", "data", "score", "v", "flow", "edm"] | None = None,
    guidance: float | Literal["none"] | None = None,
    threshold: Literal["none", "static", "dynamic"] | None = None,
    clip: float | None = None,
    quantile: float | None = None,
    floor: float | None = None,
    cap: float | Literal["none"] | None = None,
    seed: int | None = None,
) -> Spec:
    """Path_sampler: The probability-flow ODE at a tolerance, by adaptive Dormand-Prince steps.

    Source: Song et al., ICLR 2021; Dormand and Prince, 1980.

    Keys:
        rtol: relative tolerance of a step (default 1e-5, 1e-06 to 0.1)
        atol: absolute tolerance of a step (default 1e-5, 1e-07 to 10)
        schedule: noise levels of the model, steps and grid (default vp)
        prediction: what the model predicts; auto: flow for rf, data for edm and karras, else noise (default auto)
        guidance: weight of the condition; two predictions unless it is 0 or 1 (default none, -1000000 to 1000000)
        threshold: keeps predicted data in its range (default none)
        clip: threshold=static: largest magnitude (default 1, 1e-30 to 1e+30)
        quantile: threshold=dynamic: of the magnitudes in a row (default 0.995, 1e-09 to 1)
        floor: threshold=dynamic: smallest bound (default 1, 1e-30 to 1e+30)
        cap: threshold=dynamic: largest bound (default none, 1e-30 to 1e+30)
        seed: of the noise (default 1, 0 to 9007199254740992)
    """
    return _spell("pf_ode", rtol=rtol, atol=atol, schedule=schedule, prediction=prediction, guidance=guidance,
                  threshold=threshold, clip=clip, quantile=quantile, floor=floor, cap=cap, seed=seed)


def likelihood(
    *,
    rtol: float | None = None,
    atol: float | None = None,
    exact: Literal["no", "yes"] | None = None,
    probes: int | None = None,
    delta: float | None = None,
    schedule: str | None = None,
    prediction: Literal["auto", "noise", "data", "score", "v", "flow", "edm"] | None = None,
    guidance: float | Literal["none"] | None = None,
    threshold: Literal["none", "static", "dynamic"] | None = None,
    clip: float | None = None,
    quantile: float | None = None,
    floor: float | None = None,
    cap: float | Literal["none"] | None = None,
    seed: int | None = None,
) -> Spec:
    """Path_sampler: Log-likelihood of data, along the probability-flow ODE to noise.

    Source: Song et al., ICLR 2021.

    Keys:
        rtol: relative tolerance of a step (default 1e-5, 1e-06 to 0.1)
        atol: absolute tolerance of a step (default 1e-5, 1e-07 to 10)
        exact: take the trace by dim unit probes; no: estimate it by random ones (default no)
        probes: random probes, two predictions a stage for each (default 1, 1 to 1024)
        delta: distance of the differences, in sigma (default 0.02, 0.0001 to 1)
        schedule: noise levels of the model, steps and grid (default vp)
        prediction: what the model predicts; auto: flow for rf, data for edm and karras, else noise (default auto)
        guidance: weight of the condition; two predictions unless it is 0 or 1 (default none, -1000000 to 1000000)
        threshold: keeps predicted data in its range (default none)
        clip: threshold=static: largest magnitude (default 1, 1e-30 to 1e+30)
        quantile: threshold=dynamic: of the magnitudes in a row (default 0.995, 1e-09 to 1)
        floor: threshold=dynamic: smallest bound (default 1, 1e-30 to 1e+30)
        cap: threshold=dynamic: largest bound (default none, 1e-30 to 1e+30)
        seed: of the noise (default 1, 0 to 9007199254740992)
    """
    return _spell("likelihood", rtol=rtol, atol=atol, exact=exact, probes=probes, delta=delta, schedule=schedule,
                  prediction=prediction, guidance=guidance, threshold=threshold, clip=clip, quantile=quantile,
                  floor=floor, cap=cap, seed=seed)


def vp(
    *,
    beta0: float | None = None,
    beta1: float | None = None,
    steps: int | None = None,
    grid: Literal["auto", "uniform_t", "quadratic", "uniform_lambda", "edm", "linspace", "leading", "trailing"] | None = None,
    rho: float | None = None,
    offset: int | None = None,
    t_start: float | Literal["auto"] | None = None,
    t_end: float | Literal["auto"] | None = None,
    final: Literal["auto", "t_end", "zero", "denoise"] | None = None,
) -> Spec:
    """Schedule: Variance preserving, with a linear rate of noise.

    Source: Song et al. 2021 (Score-SDE)

    Keys:
        beta0: rate of the noise at t = 0 (default 0.1, 1e-06 to 1000)
        beta1: rate of the noise at t = 1 (default 20, 1e-06 to 1000)
        steps: steps from noise to data (default 20, 1 to 100000)
        grid: where the nodes lie; the last three for vp_discrete only (default auto)
        rho: grid=edm: larger puts more nodes near the data (default 7, 1 to 100)
        offset: grid=leading: added to each index (default 0, 0 to 100000)
        t_start: time of the first node (default auto, 0 to 1000000)
        t_end: time of the last node (default auto, 0 to 1000000)
        final: stop at t_end, let the last step end at sigma = 0, or add such a step (default auto)
    """
    return _spell("vp", beta0=beta0, beta1=beta1, steps=steps, grid=grid, rho=rho, offset=offset, t_start=t_start,
                  t_end=t_end, final=final)


def vp_cosine(
    *,
    s: float | None = None,
    steps: int | None = None,
    grid: Literal["auto", "uniform_t", "quadratic", "uniform_lambda", "edm", "linspace", "leading", "trailing"] | None = None,
    rho: float | None = None,
    offset: int | None = None,
    t_start: float | Literal["auto"] | None = None,
    t_end: float | Literal["auto"] | None = None,
    final: Literal["auto", "t_end", "zero", "denoise"] | None = None,
) -> Spec:
    """Schedule: Variance preserving, with alpha a cosine of time.

    Source: Nichol and Dhariwal 2021 (improved DDPM)

    Keys:
        s: keeps the noise near the data from vanishing (default 0.008, 0 to 1)
        steps: steps from noise to data (default 20, 1 to 100000)
        grid: where the nodes lie; the last three for vp_discrete only (default auto)
        rho: grid=edm: larger puts more nodes near the data (default 7, 1 to 100)
        offset: grid=leading: added to each index (default 0, 0 to 100000)
        t_start: time of the first node (default auto, 0 to 1000000)
        t_end: time of the last node (default auto, 0 to 1000000)
        final: stop at t_end, let the last step end at sigma = 0, or add such a step (default auto)
    """
    return _spell("vp_cosine", s=s, steps=steps, grid=grid, rho=rho, offset=offset, t_start=t_start, t_end=t_end,
                  final=final)


def vp_discrete(
    *,
    betas: Literal["linear", "scaled_linear", "cosine"] | None = None,
    n: int | None = None,
    steps: int | None = None,
    grid: Literal["auto", "uniform_t", "quadratic", "uniform_lambda", "edm", "linspace", "leading", "trailing"] | None = None,
    rho: float | None = None,
    offset: int | None = None,
    t_start: float | Literal["auto"] | None = None,
    t_end: float | Literal["auto"] | None = None,
    final: Literal["auto", "t_end", "zero", "denoise"] | None = None,
) -> Spec:
    """Schedule: Variance preserving, by a table of noise levels.

    Source: Ho et al. 2020 (DDPM)

    Keys:
        betas: how the noise of a step grows (default linear)
        n: noise levels that the model was trained with (default 1000, 2 to 100000)
        steps: steps from noise to data (default 20, 1 to 100000)
        grid: where the nodes lie; the last three for vp_discrete only (default auto)
        rho: grid=edm: larger puts more nodes near the data (default 7, 1 to 100)
        offset: grid=leading: added to each index (default 0, 0 to 100000)
        t_start: time of the first node (default auto, 0 to 1000000)
        t_end: time of the last node (default auto, 0 to 1000000)
        final: stop at t_end, let the last step end at sigma = 0, or add such a step (default auto)
    """
    return _spell("vp_discrete", betas=betas, n=n, steps=steps, grid=grid, rho=rho, offset=offset, t_start=t_start,
                  t_end=t_end, final=final)


def subvp(
    *,
    beta0: float | None = None,
    beta1: float | None = None,
    steps: int | None = None,
    grid: Literal["auto", "uniform_t", "quadratic", "uniform_lambda", "edm", "linspace", "leading", "trailing"] | None = None,
    rho: float | None = None,
    offset: int | None = None,
    t_start: float | Literal["auto"] | None = None,
    t_end: float | Literal["auto"] | None = None,
    final: Literal["auto", "t_end", "zero", "denoise"] | None = None,
) -> Spec:
    """Schedule: As vp, with the smaller variance sigma = 1 - alpha^2.

    Source: Song et al. 2021 (Score-SDE)

    Keys:
        beta0: rate of the noise at t = 0 (default 0.1, 1e-06 to 1000)
        beta1: rate of the noise at t = 1 (default 20, 1e-06 to 1000)
        steps: steps from noise to data (default 20, 1 to 100000)
        grid: where the nodes lie; the last three for vp_discrete only (default auto)
        rho: grid=edm: larger puts more nodes near the data (default 7, 1 to 100)
        offset: grid=leading: added to each index (default 0, 0 to 100000)
        t_start: time of the first node (default auto, 0 to 1000000)
        t_end: time of the last node (default auto, 0 to 1000000)
        final: stop at t_end, let the last step end at sigma = 0, or add such a step (default auto)
    """
    return _spell("subvp", beta0=beta0, beta1=beta1, steps=steps, grid=grid, rho=rho, offset=offset, t_start=t_start,
                  t_end=t_end, final=final)


def ve(
    *,
    smin: float | None = None,
    smax: float | None = None,
    steps: int | None = None,
    grid: Literal["auto", "uniform_t", "quadratic", "uniform_lambda", "edm", "linspace", "leading", "trailing"] | None = None,
    rho: float | None = None,
    offset: int | None = None,
    t_start: float | Literal["auto"] | None = None,
    t_end: float | Literal["auto"] | None = None,
    final: Literal["auto", "t_end", "zero", "denoise"] | None = None,
) -> Spec:
    """Schedule: Variance exploding, sigma growing by the same factor in equal times.

    Source: Song et al. 2021 (Score-SDE)

    Keys:
        smin: sigma at t = 0 (default 0.01, 1e-06 to 1000000)
        smax: sigma at t = 1 (default 50, 1e-06 to 1000000)
        steps: steps from noise to data (default 20, 1 to 100000)
        grid: where the nodes lie; the last three for vp_discrete only (default auto)
        rho: grid=edm: larger puts more nodes near the data (default 7, 1 to 100)
        offset: grid=leading: added to each index (default 0, 0 to 100000)
        t_start: time of the first node (default auto, 0 to 1000000)
        t_end: time of the last node (default auto, 0 to 1000000)
        final: stop at t_end, let the last step end at sigma = 0, or add such a step (default auto)
    """
    return _spell("ve", smin=smin, smax=smax, steps=steps, grid=grid, rho=rho, offset=offset, t_start=t_start,
                  t_end=t_end, final=final)


def edm_schedule(
    *,
    smin: float | None = None,
    smax: float | None = None,
    sdata: float | None = None,
    steps: int | None = None,
    grid: Literal["auto", "uniform_t", "quadratic", "uniform_lambda", "edm", "linspace", "leading", "trailing"] | None = None,
    rho: float | None = None,
    offset: int | None = None,
    t_start: float | Literal["auto"] | None = None,
    t_end: float | Literal["auto"] | None = None,
    final: Literal["auto", "t_end", "zero", "denoise"] | None = None,
) -> Spec:
    """Schedule: Variance exploding, with sigma as the time.

    Source: Karras et al. 2022 (EDM)

    Keys:
        smin: sigma of the last node above 0 (default 0.002, 1e-06 to 1000000)
        smax: sigma of the first node (default 80, 1e-06 to 1000000)
        sdata: standard deviation of the data, for prediction=edm of the solver (default 0.5, 1e-06 to 1000000)
        steps: steps from noise to data (default 20, 1 to 100000)
        grid: where the nodes lie; the last three for vp_discrete only (default auto)
        rho: grid=edm: larger puts more nodes near the data (default 7, 1 to 100)
        offset: grid=leading: added to each index (default 0, 0 to 100000)
        t_start: time of the first node (default auto, 0 to 1000000)
        t_end: time of the last node (default auto, 0 to 1000000)
        final: stop at t_end, let the last step end at sigma = 0, or add such a step (default auto)
    """
    return _spell("edm", smin=smin, smax=smax, sdata=sdata, steps=steps, grid=grid, rho=rho, offset=offset,
                  t_start=t_start, t_end=t_end, final=final)


def karras(
    *,
    smin: float | None = None,
    smax: float | None = None,
    sdata: float | None = None,
    steps: int | None = None,
    grid: Literal["auto", "uniform_t", "quadratic", "uniform_lambda", "edm", "linspace", "leading", "trailing"] | None = None,
    rho: float | None = None,
    offset: int | None = None,
    t_start: float | Literal["auto"] | None = None,
    t_end: float | Literal["auto"] | None = None,
    final: Literal["auto", "t_end", "zero", "denoise"] | None = None,
) -> Spec:
    """Schedule: Edm on the grid of its paper, with a last step to sigma = 0.

    Source: Karras et al. 2022 (EDM)

    Keys:
        smin: sigma of the last node above 0 (default 0.002, 1e-06 to 1000000)
        smax: sigma of the first node (default 80, 1e-06 to 1000000)
        sdata: standard deviation of the data, for prediction=edm of the solver (default 0.5, 1e-06 to 1000000)
        steps: steps from noise to data (default 20, 1 to 100000)
        grid: where the nodes lie; the last three for vp_discrete only (default auto)
        rho: grid=edm: larger puts more nodes near the data (default 7, 1 to 100)
        offset: grid=leading: added to each index (default 0, 0 to 100000)
        t_start: time of the first node (default auto, 0 to 1000000)
        t_end: time of the last node (default auto, 0 to 1000000)
        final: stop at t_end, let the last step end at sigma = 0, or add such a step (default auto)
    """
    return _spell("karras", smin=smin, smax=smax, sdata=sdata, steps=steps, grid=grid, rho=rho, offset=offset,
                  t_start=t_start, t_end=t_end, final=final)


def rf(
    *,
    shift: float | None = None,
    t_scale: float | None = None,
    steps: int | None = None,
    grid: Literal["auto", "uniform_t", "quadratic", "uniform_lambda", "edm", "linspace", "leading", "trailing"] | None = None,
    rho: float | None = None,
    offset: int | None = None,
    t_start: float | Literal["auto"] | None = None,
    t_end: float | Literal["auto"] | None = None,
    final: Literal["auto", "t_end", "zero", "denoise"] | None = None,
) -> Spec:
    """Schedule: Rectified flow: a straight line from noise to data.

    Source: Liu et al. 2023.

    Keys:
        shift: above 1: more steps near the noise (default 1, 0.001 to 1000)
        t_scale: the model is called with t_scale t (default 1, 1e-06 to 1000000)
        steps: steps from noise to data (default 20, 1 to 100000)
        grid: where the nodes lie; the last three for vp_discrete only (default auto)
        rho: grid=edm: larger puts more nodes near the data (default 7, 1 to 100)
        offset: grid=leading: added to each index (default 0, 0 to 100000)
        t_start: time of the first node (default auto, 0 to 1000000)
        t_end: time of the last node (default auto, 0 to 1000000)
        final: stop at t_end, let the last step end at sigma = 0, or add such a step (default auto)
    """
    return _spell("rf", shift=shift, t_scale=t_scale, steps=steps, grid=grid, rho=rho, offset=offset, t_start=t_start,
                  t_end=t_end, final=final)


# Which builder spells which method of which noun.
BUILDERS = {
    ("index", "flat"): flat,
    ("index", "ivf"): ivf,
    ("index", "hamming"): hamming,
    ("quantizer", "raw"): raw,
    ("quantizer", "sq"): sq,
    ("quantizer", "pq"): pq,
    ("quantizer", "opq"): opq,
    ("quantizer", "rq"): rq,
    ("quantizer", "rabitq"): rabitq,
    ("quantizer", "lsh"): lsh,
    ("quantizer", "itq"): itq,
    ("quantizer", "bernoulli"): bernoulli,
    ("quantizer", "bebr"): bebr,
    ("quantizer", "bpv"): bpv,
    ("quantizer", "kmeans"): kmeans,
    ("quantizer", "rkmeans"): rkmeans,
    ("quantizer", "idtree"): idtree,
    ("quantizer", "ppp"): ppp,
    ("trie", "trie"): trie,
    ("transform", "rotation"): rotation,
    ("transform", "pca"): pca,
    ("transform", "normalise"): normalise,
    ("row_sampler", "random"): random,
    ("row_sampler", "weighted"): weighted,
    ("row_sampler", "stratified"): stratified,
    ("row_sampler", "batches"): batches,
    ("row_sampler", "pack"): pack,
    ("row_sampler", "tas_balanced"): tas_balanced,
    ("row_sampler", "star"): star,
    ("row_sampler", "adore"): adore,
    ("row_sampler", "ar2"): ar2,
    ("row_sampler", "cet"): cet,
    ("row_sampler", "nbpo"): nbpo,
    ("row_sampler", "mnar"): mnar,
    ("row_sampler", "lemon"): lemon,
    ("row_sampler", "sracl"): sracl,
    ("row_sampler", "locality"): locality,
    ("row_sampler", "anchor"): anchor,
    ("row_sampler", "props"): props,
    ("row_sampler", "reusable_holdout"): reusable_holdout,
    ("token_sampler", "chain"): chain,
    ("token_sampler", "sample"): sample,
    ("token_sampler", "temperature"): temperature,
    ("token_sampler", "dynamic_temperature"): dynamic_temperature,
    ("token_sampler", "top_k"): top_k,
    ("token_sampler", "top_p"): top_p,
    ("token_sampler", "min_p"): min_p,
    ("token_sampler", "typical"): typical,
    ("token_sampler", "epsilon"): epsilon,
    ("token_sampler", "eta"): eta,
    ("token_sampler", "top_n_sigma"): top_n_sigma,
    ("token_sampler", "xtc"): xtc,
    ("token_sampler", "repetition"): repetition,
    ("token_sampler", "penalties"): penalties,
    ("token_sampler", "dry"): dry,
    ("token_sampler", "dist"): dist,
    ("token_sampler", "gumbel"): gumbel,
    ("token_sampler", "greedy"): greedy,
    ("token_sampler", "mirostat"): mirostat,
    ("token_sampler", "speculative"): speculative,
    ("path_sampler", "ddim"): ddim,
    ("path_sampler", "rhork"): rhork,
    ("path_sampler", "edm"): edm_path_sampler,
    ("path_sampler", "dpm"): dpm,
    ("path_sampler", "dpmpp"): dpmpp,
    ("path_sampler", "deis"): deis,
    ("path_sampler", "unipc"): unipc,
    ("path_sampler", "sde"): sde,
    ("path_sampler", "pf_ode"): pf_ode,
    ("path_sampler", "likelihood"): likelihood,
    ("schedule", "vp"): vp,
    ("schedule", "vp_cosine"): vp_cosine,
    ("schedule", "vp_discrete"): vp_discrete,
    ("schedule", "subvp"): subvp,
    ("schedule", "ve"): ve,
    ("schedule", "edm"): edm_schedule,
    ("schedule", "karras"): karras,
    ("schedule", "rf"): rf,
}
