"""Which rows, how often and how many together: random, weighted, stratified, batches and pack on the dictionary glosses.

Draws are judged by what they are for: sums and means over all rows estimated from few of them (the factor by which
the variance falls, with its spread over blocks of draws), or how much of a batch is padding. Lengths and counts are
those of the real texts.

SPDX-License-Identifier: MIT
"""

import collections
import re

import numpy as np
import sonde
from run import Result, experiment

REPEATS, BLOCKS = 400, 8


def glosses(data):
    """The texts, and the first letter of the part of speech of each (the small data has none: the letter "-")."""
    full = data / "glosses/docs.tsv"
    path = full if full.exists() else data / "glosses.tsv"
    lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    return [line[-1] for line in lines], [line[0][-1] if len(line) == 3 else "-" for line in lines]


def words_of(text):
    return re.findall(r"[a-z]+", text.lower())


def lengths_of(texts):
    """Characters and words of each text; at least one."""
    return (np.array([max(1, len(text)) for text in texts]), np.array([max(1, len(words_of(text))) for text in texts]))


def variance_ratio(plain, other):
    """How many times smaller the squared errors of `other` are: the mean over blocks of draws, and its standard
    error.
    """
    blocks = np.array_split(np.arange(len(plain)), BLOCKS)
    logs = [np.log(np.mean(plain[block] ** 2) / np.mean(other[block] ** 2)) for block in blocks]
    return float(np.exp(np.mean(logs))), float(np.exp(np.mean(logs)) * np.std(logs, ddof=1) / np.sqrt(BLOCKS))


def first_draws(sampler, count, estimate, repeats=REPEATS):
    """The estimate from the first rows of each of many passes."""
    return np.array([estimate(*sampler.seek(number).draw(count)) for number in range(repeats)])


@experiment("random")
def random_rows(data):
    """A pass has every row once; with replacement, a third is still unseen after as many draws."""
    texts, _ = glosses(data)
    lengths = lengths_of(texts)[0].astype(float)
    n, series, covered = len(texts), {}, {}
    for label, replace in (("with replacement", "yes"), ("a pass", "no")):
        sampler = sonde.RowSampler(f"random(rows={n}, replace={replace}, seed=3)")
        seen, shares, drawn = np.zeros(n, bool), [0.0], [0.0]
        for part in range(40):
            seen[sampler.draw(n // 20 if part % 20 < 19 else n - 19 * (n // 20)).ids] = True
            shares.append(seen.mean())
            drawn.append((part + 1) / 20)
        series[label], covered[replace] = (drawn, shares), shares[20]
    half = {
        replace: first_draws(
            sonde.RowSampler(f"random(rows={n}, replace={replace}, seed=4)"),
            n // 2,
            lambda ids, _: lengths[ids].mean() - lengths.mean(),
        )
        for replace in ("yes", "no")
    }
    ratio, spread = variance_ratio(half["yes"], half["no"])
    return Result(
        method="random",
        measures="share of the glosses seen after as many draws as there are",
        baseline=f"with replacement {covered['yes']:.3f}",
        figure=f"{covered['no']:.3f}",
        verdict="shown",
        notes=(
            "1 - 1/e = 0.632 is what draws with replacement must reach. Half a pass also estimates the mean length of"
            f" a gloss with {ratio:.2f} +- {spread:.2f} times less variance than as many draws with replacement"
            " (theory: 2)."
        ),
        series=series,
        x_label="draws / rows",
        y_label="share of rows seen",
    )


@experiment("weighted")
def weighted(data):
    """A sum over a skewed population from few of its items: the words of the glosses, drawn by how often they occur."""
    texts, _ = glosses(data)
    counts = collections.Counter(word for text in texts for word in words_of(text))
    often = np.array(list(counts.values()), np.float32)
    long = np.array([len(word) > 7 for word in counts])
    f, sizes = often * long, (50, 100, 200, 400, 800, 1600)
    kinds = {
        "uniform": ("random(rows=%d, seed=5)" % len(often), {}, lambda ids, w: f[ids].mean() * len(f)),
        "with replacement": (
            "weighted(replace=yes, seed=5)",
            {"weights": often},
            lambda ids, w: (f[ids] * w).mean() * len(f),
        ),
        "without": ("weighted(replace=no, seed=5)", {"weights": often}, lambda ids, w: (f[ids] * w).sum()),
    }
    errors = {kind: [] for kind in kinds}
    for kind, (spec, inputs, estimate) in kinds.items():
        sampler = sonde.RowSampler(spec, **inputs)
        for size in sizes:
            errors[kind].append(first_draws(sampler, size, estimate) / f.sum() - 1)
    rms = {kind: [float(np.sqrt(np.mean(one**2))) for one in found] for kind, found in errors.items()}
    ratio, spread = variance_ratio(errors["uniform"][3], errors["without"][3])
    against, against_spread = variance_ratio(errors["with replacement"][3], errors["without"][3])
    bias = errors["without"][3].mean() / (errors["without"][3].std() / np.sqrt(REPEATS))
    last, last_spread = variance_ratio(errors["with replacement"][-1], errors["without"][-1])
    return Result(
        method="weighted",
        measures="relative error (r.m.s.) of a sum over words, estimated from 400 of them",
        baseline=f"uniform {rms['uniform'][3]:.3f}",
        figure=f"{rms['without'][3]:.3f}",
        verdict="shown",
        notes=(
            f"Population: the {len(often):,} different words of the glosses; the sum: how many words of the text have"
            f" more than 7 letters; weights: how often a word occurs. Variance falls by a factor of {ratio:.0f} +-"
            f" {spread:.0f} against uniform draws, and of {against:.2f} +- {against_spread:.2f} against draws with"
            f" replacement, which come again at frequent words ({last:.2f} +- {last_spread:.2f} from 1600 words). The"
            f" mean error is {bias:+.1f} standard errors from zero. {merged_sentence(often)}"
        ),
        series={kind: (sizes, values) for kind, values in rms.items()},
        x_label="items drawn",
        y_label="relative error",
        log="xy",
    )


def merged_sentence(weights):
    """Whether summaries of two shards, merged, draw the rows of one fit over all."""
    half, ids = len(weights) // 2, np.arange(len(weights))
    whole = sonde.RowSampler("weighted(keep=400, seed=6)", weights=weights, ids=ids)
    parts = [
        sonde.RowSampler("weighted(keep=400, seed=6)", weights=weights[part], ids=ids[part])
        for part in (slice(0, half), slice(half, None))
    ]
    same = np.array_equal(parts[0].merge(parts[1]).draw(400).ids, whole.draw(400).ids)
    return (
        "Summaries of 400 words of two shards, merged, "
        + ("are" if same else "ARE NOT")
        + " the very sample of one fit over all."
    )


def text_quantities(texts):
    """What can be counted in a gloss, a column each, and the names."""
    words = [words_of(text) for text in texts]
    columns = {
        "words": [len(one) for one in words],
        "begins with 'the'": [one[:1] == ["the"] for one in words],
        "begins with 'a'": [one[:1] == ["a"] for one in words],
        "has 'or'": ["or" in one for one in words],
        "has 'of'": ["of" in one for one in words],
        "has a semicolon": [";" in text for text in texts],
        "letters of a word": [np.mean([len(word) for word in one] or [0]) for one in words],
    }
    return list(columns), np.array([np.asarray(value, float) for value in columns.values()]).T


def similarities(data):
    """Cosines of every gloss with 8 queries, and the k-means cell (of 64) of each gloss."""
    full = data / "glosses/docs.npy"
    documents = np.load(full if full.exists() else data / "glosses.npy").astype(np.float32)
    queries = np.load(data / "glosses/queries.dev.npy" if full.exists() else data / "questions.npy")[:8].astype(
        np.float32
    )
    cells = sonde.Quantizer("kmeans(k=64)", dim=documents.shape[1]).train(documents[::8])
    return documents @ queries.T, cells.encode(documents).ravel().astype(np.int64)


def stratified_gain(table, groups, repeats=4000):
    """For each column the variance of the mean of 200 rows, random over stratified, measured, its error, and by
    theory.
    """
    table = (table - table.mean(axis=0)) / table.std(axis=0)
    between = sum(np.mean(groups == g) * table[groups == g].mean(axis=0) ** 2 for g in np.unique(groups))
    plain, even = (
        first_draws(sampler, 200, lambda ids, _: table[ids].mean(axis=0), repeats)
        for sampler in (
            sonde.RowSampler(f"random(rows={len(table)}, seed=7)"),
            sonde.RowSampler("stratified(seed=7)", groups=groups),
        )
    )
    found = np.array([variance_ratio(plain[:, i], even[:, i]) for i in range(table.shape[1])])
    return found[:, 0], found[:, 1], 1 / (1 - between)


@experiment("stratified")
def stratified(data):
    """Means from few rows, each stratum in its share: variance falls by what lies between the strata."""
    texts, speech = glosses(data)
    names, table = text_quantities(texts)
    kinds = {"64 clusters of the embeddings": similarities(data)}
    if len(set(speech)) > 1:
        kinds["parts of speech"] = table, np.unique(speech, return_inverse=True)[1].astype(np.int64)
    gains = {kind: stratified_gain(*given) for kind, given in kinds.items()}
    series = {kind: (np.sort(law), ratio[np.argsort(law)]) for kind, (ratio, _, law) in gains.items()}
    laws = np.sort(np.concatenate([law for _, _, law in gains.values()]))
    clusters, spreads, theory = gains["64 clusters of the embeddings"]
    listed = "; ".join(
        f"{name} {ratio:.2f} +- {spread:.2f} ({law:.2f})"
        for name, ratio, spread, law in zip(names, *gains.get("parts of speech", ((), (), ())))
    )
    return Result(
        method="stratified",
        measures="variance of the mean similarity of 200 glosses to a query, random / by 64 clusters",
        baseline="random 1",
        figure=f"{clusters.mean():.2f} (mean of 8 queries)",
        verdict="shown" if (clusters - 1 > 2 * spreads).all() else "partly: for some queries within the noise",
        notes=(
            f"Theory: 1 / (1 - share of the variance between strata), {theory.mean():.2f} here; queries lie between"
            f" {clusters.min():.2f} and {clusters.max():.2f}, each +- {spreads.mean():.2f}. Strata that say little gain"
            f" little: parts of speech, measured (theory): {listed or 'not in this data'}."
        ),
        series={**series, "theory": (laws, laws)},
        x_label="1 / (1 - share of variance between strata)",
        y_label="variance, random / stratified",
    )


def padding(batches, lengths):
    """Share of a padded batch that is not text, over all batches, and the mean number of rows."""
    paid = sum(len(ids) * lengths[ids].max() for ids in batches)
    return 1 - sum(lengths[ids].sum() for ids in batches) / paid, np.mean([len(ids) for ids in batches])


def within_budget(order, lengths, budget):
    """Batches of rows as they come, each as large as its padded size allows."""
    batches, at = [], 0
    while at < len(order):
        longest = np.maximum.accumulate(lengths[order[at : at + budget]])
        count = max(1, int(np.searchsorted(longest * np.arange(1, len(longest) + 1), budget, side="right")))
        batches.append(order[at : at + count])
        at += count
    return batches


@experiment("batches")
def batches(data):
    """Padding and mean batch by the number of buckets, on the lengths of the glosses, for a budget of 16,384 a batch.

    """
    characters, _ = lengths_of(glosses(data)[0])
    budget, counts, found = 16384, (1, 2, 3, 5, 10, 20, 30, 50, 100), []
    order = sonde.RowSampler(f"random(rows={len(characters)}, seed=8)").draw(len(characters)).ids
    plain = padding(np.array_split(order, len(order) // 32), characters)
    filled = padding(within_budget(order, characters, budget), characters)
    floor = padding(within_budget(np.argsort(characters), characters, budget), characters)
    for buckets in counts:
        sampler = sonde.RowSampler(f"batches(buckets={buckets}, max_tokens={budget}, seed=8)", lengths=characters)
        drawn = [rows.ids for rows in sampler.batches()]
        assert len(np.unique(np.concatenate(drawn))) == len(characters)
        found.append(padding(drawn, characters))
    table = "; ".join(f"{buckets}: {share:.3f} ({mean:.0f} rows)" for buckets, (share, mean) in zip(counts, found))
    thirty = found[counts.index(30)]
    return Result(
        method="batches",
        measures="padding of batches of at most 16,384 characters (rows of a batch)",
        baseline=f"as they come {filled[0]:.3f} ({filled[1]:.0f})",
        figure=f"30 buckets {thirty[0]:.3f} ({thirty[1]:.0f})",
        verdict="shown",
        notes=(
            f"Random batches of 32 rows, as many as the longest {characters.max()} characters allow: {plain[0]:.3f}, so"
            f" the mean batch grows {thirty[1] / 32:.1f} times (the paper: up to 5). Buckets: {table}; sorted by"
            f" length, which leaves nothing random: {floor[0]:.4f} ({floor[1]:.0f})."
        ),
        series={
            "buckets": (counts, [share for share, _ in found]),
            "as they come": (counts, [filled[0]] * len(counts)),
            "sorted": (counts, [floor[0]] * len(counts)),
        },
        x_label="buckets",
        y_label="share of padding",
        log="x",
    )


def pack_draw(sampler, lengths, rows):
    """Padding and lines of a draw for each 32 rows, over a pass."""
    paid = lines = drawn = 0
    for one in sampler.batches(rows):
        count, cap = sampler.output("lines").ravel()[:2]
        paid, lines, drawn = paid + count * cap, lines + count, drawn + len(one.ids)
    return 1 - lengths.sum() / paid, 32 * lines / drawn


@experiment("pack")
def pack(data):
    """Padding when short rows share a line, by the rows packed together, beside one row a line."""
    characters, _ = lengths_of(glosses(data)[0])
    sizes, packed, plain = (8, 16, 32, 64, 128, 256), [], []
    for size in sizes:
        packed.append(pack_draw(sonde.RowSampler("pack(seed=9)", lengths=characters), characters, size))
        order = sonde.RowSampler(f"random(rows={len(characters)}, seed=9)")
        plain.append(padding([rows.ids for rows in order.batches(size)], characters)[0])
    cap = 1 << int(np.ceil(np.log2(characters.max())))
    least = -(-int(characters.sum()) // cap)
    rules = {
        rule: sonde.RowSampler(f"pack(per=epoch, cap={cap}, rule={rule})", lengths=characters)
        for rule in ("greedy", "ffd", "best_fit")
    }
    whole = {rule: sum(int(rows.groups.max()) + 1 for rows in sampler.batches()) for rule, sampler in rules.items()}
    listed = ", ".join(f"{rule} {lines:,}" for rule, lines in whole.items())
    return Result(
        method="pack",
        measures="padding of 32 random glosses (lines)",
        baseline=f"one a line {plain[2]:.3f} (32)",
        figure=f"{packed[2][0]:.3f} ({packed[2][1]:.1f})",
        verdict="shown",
        notes=f"Lines of the whole data in lines of {cap}: {listed}; no packing can need fewer than {least:,}.",
        series={"one a line": (sizes, plain), "packed": (sizes, [share for share, _ in packed])},
        x_label="rows of a batch",
        y_label="share of padding",
        log="x",
    )
