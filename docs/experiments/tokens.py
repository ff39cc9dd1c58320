"""Which token comes next: every stage of a chain, and drafts, on models counted from the dictionary glosses.

The writer is a trigram of words (Witten & Bell 1991) that has seen a quarter of the glosses. What smoothing adds is
mass for words that never follow; truncation is to cut it off again without making the text dull. So a stage is judged
by two figures: the share of *unattested* words (word triples that occur in none of the glosses, four times as many as
the writer knows), and the entropy of the laws that were drawn from. Stages are compared at equal entropy, which
settles their strength. Repetition is the share of 4-grams that their text had before. Drafts take models of
characters, as they need many calls.

SPDX-License-Identifier: MIT
"""

import collections
import functools
import re
import typing

import numpy as np
import sonde
from run import Result, experiment

VOCABULARY, TEXTS, LENGTH, END = 8000, 80, 100, 0
LEVEL = 2.0  # nats: where stages are compared
TEMPERATURES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1)


# ---- models --------------------------------------------------------------------------------------------------------


class NGram:
    """A law of the next symbol after up to `order` symbols: counts, each order smoothed by the one below."""

    def __init__(self, symbols, vocabulary, order):
        self.vocabulary, self.order, self.levels = vocabulary, order, []
        counts = np.bincount(symbols[symbols >= 0], minlength=vocabulary)
        kinds = (counts > 0).sum()
        self.first = (counts + kinds / vocabulary) / (counts.sum() + kinds)
        for length in range(1, order + 1):
            found, often = np.unique(self.keys(symbols, length + 1), return_counts=True)
            contexts, begins = np.unique(found // vocabulary, return_index=True)
            self.levels.append((contexts, np.append(begins, len(found)), found % vocabulary, often))

    def keys(self, symbols, length):
        """Runs of `length` known symbols as whole numbers."""
        runs = np.lib.stride_tricks.sliding_window_view(symbols, length)
        return runs[(runs >= 0).all(axis=1)] @ self.vocabulary ** np.arange(length - 1, -1, -1)

    def law(self, past):
        law, context = self.first.copy(), 0
        for length, (contexts, begins, following, often) in enumerate(self.levels[: len(past)], 1):
            context += int(past[-length]) * self.vocabulary ** (length - 1)
            at = np.searchsorted(contexts, context)
            if at == len(contexts) or contexts[at] != context:
                break
            here = slice(begins[at], begins[at + 1])
            kinds, total = begins[at + 1] - begins[at], often[here].sum()
            law *= kinds / (total + kinds)
            law[following[here]] += often[here] / (total + kinds)
        return law


def glosses(data):
    full = data / "glosses/docs.tsv"
    path = full if full.exists() else data / "glosses.tsv"
    texts = [line.split("\t")[-1] for line in path.read_text(encoding="utf-8").splitlines()]
    return [texts[i] for i in np.random.default_rng(1).permutation(len(texts))]


class World(typing.NamedTuple):
    """The writer, a model of all glosses but those that prompts come from, its triples, the prompts, the texts they
    begin.
    """

    writer: NGram
    reader: NGram
    attested: np.ndarray
    prompts: np.ndarray
    held_out: np.ndarray


@functools.cache
def world(data):
    texts = [re.findall(r"[a-z]+", text.lower()) for text in glosses(data)]
    frequent = collections.Counter(word for text in texts for word in text).most_common(VOCABULARY - 1)
    number = {word: i + 1 for i, (word, _) in enumerate(frequent)}

    def symbols(some):
        return np.array([s for text in some for s in [*(number.get(word, -1) for word in text), END]], np.int64)

    hidden = len(texts) // 50
    known = symbols(texts[hidden:])
    writer, reader = NGram(symbols(texts[hidden : hidden + len(texts) // 4]), VOCABULARY, 2), NGram(
        known, VOCABULARY, 2
    )
    starts = [[number.get(word, -1) for word in text[:2]] for text in texts[:hidden] if len(text) > 4]
    prompts = np.array([start for start in starts if min(start) >= 0][:TEXTS])
    return World(writer, reader, np.unique(writer.keys(known, 3)), prompts, symbols(texts[:hidden]))


def laws(model, pasts):
    return np.array([model.law(past) for past in pasts])


def unattested(here, triples):
    keys = triples @ VOCABULARY ** np.arange(2, -1, -1)
    at = np.minimum(np.searchsorted(here.attested, keys), len(here.attested) - 1)
    return here.attested[at] != keys


def human(data):
    """The share of triples of the held-out glosses that occur in no other gloss."""
    runs = np.lib.stride_tricks.sliding_window_view(world(data).held_out, 3)
    return float(unattested(world(data), runs[(runs >= 0).all(axis=1)]).mean())


# ---- texts ---------------------------------------------------------------------------------------------------------


class Written(typing.NamedTuple):
    """Figures of the words of some texts, TEXTS x LENGTH each: nats, shares, numbers of candidates."""

    surprisal: np.ndarray  # under the writer's whole law
    drawn: np.ndarray  # surprisal under the law that it was drawn from
    gap: np.ndarray  # |surprisal - entropy of the writer's law there|
    entropy: np.ndarray  # of the law that was drawn from
    survivors: np.ndarray
    unattested: np.ndarray
    best: np.ndarray  # the most likely word was taken
    repeated: np.ndarray  # a 4-gram that the text had before (the first three columns are empty)

    def mean(self, name):
        return float(getattr(self, name).mean())

    def error(self, name):
        figures = getattr(self, name).mean(axis=1)
        return float(figures.std(ddof=1) / np.sqrt(len(figures)))


def repeats(texts):
    """Which 4-grams came before in their text."""
    found = np.zeros(texts.shape, bool)
    for row, text in enumerate(texts.tolist()):
        seen = set()
        for i in range(3, len(text)):
            run = tuple(text[i - 3 : i + 1])
            found[row, i] = run in seen
            seen.add(run)
    return found


@functools.cache
def write(data, spec, length=LENGTH, seed=11):
    """Texts by a chain after the prompts."""
    here = world(data)
    count = len(here.prompts)
    sampler = sonde.TokenSampler(spec, VOCABULARY, seed=seed)
    for i, prompt in enumerate(here.prompts):
        sampler.accept(prompt, i)
    texts, columns = here.prompts, []
    for _ in range(length):
        logits = np.log(laws(here.writer, texts[:, -2:])).astype(np.float32)
        drawn = sampler.sample(logits, sequences=np.arange(count))
        entropy = -(np.exp(logits) * logits).sum(axis=1)
        texts = np.column_stack([texts, drawn.ids])
        columns.append(
            (
                -drawn.raw_log_probs,
                -drawn.log_probs,
                np.abs(-drawn.raw_log_probs - entropy),
                drawn.entropies,
                drawn.survivors,
                unattested(here, texts[:, -3:]),
                drawn.ids == logits.argmax(axis=1),
            )
        )
    return Written(*np.moveaxis(np.array(columns, float), 0, 2), repeats(texts[:, 2:]))


def curve(data, form, values):
    return [write(data, form.format(value)) for value in values]


def at_level(texts, name="unattested", level=LEVEL, by="entropy"):
    """A figure and its error where the curve passes `by` = level, between its points in a straight line."""
    x = np.array([one.mean(by) for one in texts])
    order = np.argsort(x)
    if not x.min() <= level <= x.max():
        raise ValueError(f"the curve from {x.min():.2f} to {x.max():.2f} does not pass {level}")
    return tuple(
        float(np.interp(level, x[order], np.array(y)[order]))
        for y in ([one.mean(name) for one in texts], [one.error(name) for one in texts])
    )


def points(texts, x="entropy", y="unattested"):
    order = sorted(texts, key=lambda one: one.mean(x))
    return [one.mean(x) for one in order], [one.mean(y) for one in order]


def judged(method, other, better):
    """In words: `method` and `other` are (figure, error), less is better."""
    difference, error = other[0] - method[0], np.hypot(other[1], method[1])
    if abs(difference) <= 2 * error:
        return "not here: as much, within two standard errors"
    return "shown" if difference > 0 else f"not here: {better}"


BASELINES = {
    "temperature": ("chain(temperature(value={}))", TEMPERATURES),
    "top_k": ("chain(top_k(k={}))", (2, 4, 8, 12, 16, 32, 64, 128)),
    "top_p": ("chain(top_p(mass={}))", (0.3, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.9)),
    "epsilon": ("chain(epsilon(cutoff={}))", (0.1, 0.05, 0.03, 0.02, 0.01, 0.005, 0.002, 0.0005)),
}


def trade(data, method, specs, others, notes):
    """A filter beside others at equal entropy: who writes fewer unattested words? The first of the others is the
    baseline.
    """
    whole, mine = write(data, "chain(dist)"), curve(data, *specs)
    theirs = {name: curve(data, *BASELINES[name]) for name in others}
    figures = {name: at_level(texts) for name, texts in {method: mine, **theirs}.items()}
    repeated = {name: at_level(texts, "repeated")[0] for name, texts in {method: mine, **theirs}.items()}
    listed = "; ".join(
        f"{name} {value:.3f} +- {error:.3f}, {repeated[name]:.3f}" for name, (value, error) in figures.items()
    )
    return Result(
        method=method,
        measures=f"share of unattested words at {LEVEL:g} nats of entropy",
        baseline=f"{others[0]} {figures[others[0]][0]:.3f}",
        figure=f"{figures[method][0]:.3f}",
        verdict=judged(figures[method], figures[others[0]], f"{others[0]} has fewer"),
        notes=(
            f"{notes} Unattested words and repeated 4-grams: {listed}; the whole law {whole.mean('unattested'):.3f} at "
            f"{whole.mean('entropy'):.2f} nats; real glosses that nobody has counted {human(data):.3f}."
        ),
        series={name: points(texts) for name, texts in {method: mine, **theirs}.items()},
        x_label="entropy of the laws drawn from (nats)",
        y_label="share of unattested words",
    )


# ---- filters -------------------------------------------------------------------------------------------------------


@experiment("temperature")
def temperature(data):
    whole = write(data, "chain(dist)")
    texts = curve(data, *BASELINES["temperature"])
    figure = at_level(texts)
    return Result(
        method="temperature",
        measures=f"share of unattested words: the whole law, and cooled to {LEVEL:g} nats",
        baseline=f"t=1 {whole.mean('unattested'):.3f}",
        figure=f"{figure[0]:.3f}",
        verdict="shown",
        notes=(
            f"Cooling trades variety for words that fit: at t=0.3 {texts[0].mean('unattested'):.3f} are unattested, but"
            f" {texts[0].mean('repeated'):.3f} of the 4-grams are repetitions ({whole.mean('repeated'):.4f} at t=1)."
            f" Real glosses that nobody has counted have {human(data):.3f} unattested words, so fewer is not always"
            " better. The filters below are compared with this curve."
        ),
        series={
            "unattested words": (TEMPERATURES, [one.mean("unattested") for one in texts]),
            "repeated 4-grams": (TEMPERATURES, [one.mean("repeated") for one in texts]),
        },
        x_label="temperature",
        y_label="share",
    )


@experiment("top_k")
def top_k(data):
    return trade(
        data,
        "top_k",
        BASELINES["top_k"],
        ("temperature",),
        "Fan, Lewis, Dauphin 2018 cut off the tail that sampling falls into.",
    )


@experiment("top_p")
def top_p(data):
    return trade(
        data,
        "top_p",
        BASELINES["top_p"],
        ("top_k", "temperature"),
        "The nucleus follows the law's shape, a fixed k does not (Holtzman et al. 2020).",
    )


@experiment("epsilon")
def epsilon(data):
    return trade(
        data,
        "epsilon",
        BASELINES["epsilon"],
        ("temperature", "top_p"),
        "Hewitt, Manning, Liang 2022: what is below a least probability is smoothing.",
    )


@experiment("eta")
def eta(data):
    cutoffs = (0.8, 0.5, 0.3, 0.15, 0.08, 0.04, 0.02, 0.01, 0.005, 0.002)
    return trade(
        data,
        "eta",
        ("chain(eta(cutoff={}))", cutoffs),
        ("top_p", "epsilon", "temperature"),
        "The cut-off falls where the entropy is high (Hewitt, Manning, Liang 2022; their claim is against top_p).",
    )


@experiment("dynamic_temperature")
def dynamic_temperature(data):
    return trade(
        data,
        "dynamic_temperature",
        ("chain(dynamic_temperature(low={0}, high=1.2))", (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9)),
        ("temperature",),
        "low is varied, high=1.2: laws of little entropy are cooled most.",
    )


@experiment("typical")
def typical(data):
    """The paper's own terms: how far each word's surprisal lies from the entropy where it was drawn."""
    masses = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
    nucleus, local = curve(data, "chain(top_p(mass={}))", masses), curve(data, "chain(typical(mass={}))", masses)
    half = masses.index(0.5)
    gaps = [one[half].mean("gap") for one in (nucleus, local)]
    others = {
        name: write(data, spec)
        for name, spec in (
            ("greedy", "chain(greedy)"),
            ("top_k(k=30)", "chain(top_k(k=30))"),
            ("the whole law", "chain(dist)"),
        )
    }
    table = {
        **{f"top_p {m}": a for m, a in zip(masses, nucleus)},
        **{f"typical {m}": b for m, b in zip(masses, local)},
        **others,
    }
    listed = "; ".join(
        f"{name} {table[name].mean('surprisal'):.2f} / {table[name].mean('gap'):.2f} /"
        f" {table[name].mean('repeated'):.3f}"
        for name in (*others, "top_p 0.5", "typical 0.5", "typical 0.2", "top_p 0.9", "typical 0.9")
    )
    novelty = local[half].mean("unattested"), nucleus[half].mean("unattested")
    shown = gaps[1] < 0.85 * gaps[0] and local[half].mean("surprisal") > 1.15 * nucleus[half].mean("surprisal")
    return Result(
        method="typical",
        measures="mean |surprisal - entropy| of a word at mass 0.5 (nats)",
        baseline=f"top_p {gaps[0]:.2f}",
        figure=f"{gaps[1]:.2f}",
        verdict=(
            "partly: words are nearer to the entropy, but many more are unattested"
            if shown and novelty[0] > 2 * novelty[1]
            else "shown" if shown else "not here: less than 15% apart"
        ),
        notes=(
            f"Mean surprisal / |surprisal - entropy| / share of repeated 4-grams: {listed}. At mass 0.9 the two nearly"
            f" coincide. Unattested words at mass 0.5: top_p {novelty[1]:.3f}, typical {novelty[0]:.3f}: it passes over"
            " the likely words. What people prefer is not measured here."
        ),
        series={
            "top_p": (masses, [one.mean("gap") for one in nucleus]),
            "typical": (masses, [one.mean("gap") for one in local]),
        },
        x_label="mass",
        y_label="mean |surprisal - entropy| (nats)",
    )


HOT = (1, 1.25, 1.5, 1.75, 2, 2.5, 3)


@experiment("min_p")
def min_p(data):
    """At high temperature, where the nucleus takes the tail in."""
    base = {
        name: curve(data, f"chain(temperature(value={{}}), {name})", HOT)
        for name in ("top_p(mass=0.9)", "min_p(ratio=0.1)")
    }
    at = HOT.index(1.5)
    nucleus, share = base["top_p(mass=0.9)"][at], base["min_p(ratio=0.1)"][at]
    plain = "chain(min_p(ratio={}))", (0.6, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02, 0.005)
    cooled = [at_level(curve(data, *given)) for given in (BASELINES["top_p"], plain)]
    hot = at_level(
        curve(data, "chain(temperature(value=1.5), min_p(ratio={}))", (0.8, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.03))
    )
    return Result(
        method="min_p",
        measures="share of unattested words at temperature 1.5",
        baseline=f"top_p(0.9) {nucleus.mean('unattested'):.3f}",
        figure=f"min_p(0.1) {share.mean('unattested'):.3f}",
        verdict=(
            "shown: at high temperature; at equal entropy top_p has fewer"
            if cooled[0][0] < min(cooled[1][0], hot[0])
            else "shown"
        ),
        notes=(
            f"Entropies there: {nucleus.mean('entropy'):.2f} and {share.mean('entropy'):.2f} nats. At {LEVEL:g} nats"
            f" and t=1: top_p {cooled[0][0]:.3f} +- {cooled[0][1]:.3f}, min_p {cooled[1][0]:.3f} +- {cooled[1][1]:.3f};"
            f" min_p at t=1.5: {hot[0]:.3f} +- {hot[1]:.3f}."
        ),
        series={name: (HOT, [one.mean("unattested") for one in texts]) for name, texts in base.items()},
        x_label="temperature, before the filter",
        y_label="share of unattested words",
    )


@experiment("top_n_sigma")
def top_n_sigma(data):
    """The kept set does not depend on the temperature before it."""
    stages = {
        "top_p(mass=0.9)": "top_p(mass=0.9)",
        "min_p(ratio=0.1)": "min_p(ratio=0.1)",
        "top_n_sigma(n=1)": "top_n_sigma(n=1)",
    }
    texts = {name: curve(data, f"chain(temperature(value={{}}), {stage})", HOT) for name, stage in stages.items()}
    kept = {name: [one.mean("survivors") for one in some] for name, some in texts.items()}
    here = world(data)
    logits = np.log(laws(here.writer, here.prompts)).astype(np.float32)
    counts = [
        sonde.TokenSampler(f"chain(temperature(value={t}), top_n_sigma(n=1))", VOCABULARY).filter(logits).counts
        for t in HOT
    ]
    same = all(np.array_equal(one, counts[0]) for one in counts)
    deviation = logits.std(axis=1).mean()
    return Result(
        method="top_n_sigma",
        measures="mean survivors at temperature 1 and 3",
        baseline=f"top_p(0.9) {kept['top_p(mass=0.9)'][0]:.0f} and {kept['top_p(mass=0.9)'][-1]:.0f}",
        figure=f"{kept['top_n_sigma(n=1)'][0]:.1f} and {kept['top_n_sigma(n=1)'][-1]:.1f}",
        verdict="shown" if same else "not here: the kept set changed",
        notes=(
            f"On the same logits the kept sets are {'the same' if same else 'DIFFERENT'} at all temperatures; the means"
            " above move because hotter texts come to other places. Unattested words at t=3: top_p"
            f" {texts['top_p(mass=0.9)'][-1].mean('unattested'):.3f}, min_p"
            f" {texts['min_p(ratio=0.1)'][-1].mean('unattested'):.3f}, top_n_sigma"
            f" {texts['top_n_sigma(n=1)'][-1].mean('unattested'):.3f}. A counted model's logits spread by"
            f" {deviation:.2f} only, so n=1 keeps few words; networks' spread more."
        ),
        series={name: (HOT, some) for name, some in kept.items()},
        x_label="temperature, before the filter",
        y_label="candidates left",
        log="y",
    )


@experiment("xtc")
def xtc(data):
    """Variety by leaving out the expected words, beside heat, at the same surprisal."""
    hot = curve(data, "chain(top_p(mass=0.8), temperature(value={}))", (1, 1.2, 1.5, 2, 2.5, 3, 4))
    cut = curve(data, "chain(top_p(mass=0.8), xtc(threshold=0.1, probability={}))", (0, 0.1, 0.2, 0.3, 0.5, 0.7, 1))
    level = write(data, "chain(top_p(mass=0.8), xtc(threshold=0.1, probability=0.5))").mean("surprisal")
    mine, heat = (at_level(some, "unattested", level, "surprisal") for some in (cut, hot))
    best = [at_level(some, "best", level, "surprisal") for some in (cut, hot)]
    return Result(
        method="xtc",
        measures="share of draws that take the most likely word, at equal surprisal",
        baseline=f"temperature {best[1][0]:.3f}",
        figure=f"{best[0][0]:.3f}",
        verdict="partly: it leaves the obvious word out, "
        + (
            "and fewer words are unattested"
            if mine[0] < heat[0] - 2 * mine[1]
            else (
                "but as many words are unattested"
                if mine[0] < heat[0] + 2 * mine[1]
                else "but more words are unattested"
            )
        ),
        notes=(
            f"After top_p(mass=0.8), which draws it {hot[0].mean('best'):.3f} of the time; at {level:.2f} nats of"
            f" surprisal {mine[0]:.3f} +- {mine[1]:.3f} of the words are unattested, with heat instead {heat[0]:.3f} +-"
            f" {heat[1]:.3f}. XTC has no paper; this is its author's claim (Weidmann 2024)."
        ),
        series={"temperature": points(hot, "surprisal"), "xtc": points(cut, "surprisal")},
        x_label="mean surprisal (nats)",
        y_label="share of unattested words",
    )


# ---- against repetition --------------------------------------------------------------------------------------------


def penalised(data, method, form, values, shown, verdict="shown"):
    """Greedy texts, which repeat themselves, with a penalty of growing strength; `shown` is the figure of the table."""
    label = re.search(r"(\w+)={}", form)[1]
    plain, texts = write(data, "chain(greedy)"), curve(data, form, values)
    figure = texts[values.index(shown)]
    cost = "; ".join(
        f"{value:g}: {one.mean('repeated'):.3f} / {one.mean('unattested'):.3f} / {one.mean('surprisal'):.2f}"
        for value, one in zip(values, texts)
    )
    return Result(
        method=method,
        measures=f"share of repeated 4-grams in greedy texts, {label}={shown:g}",
        baseline=f"without {plain.mean('repeated'):.3f}",
        figure=f"{figure.mean('repeated'):.3f}",
        verdict=verdict if figure.mean("repeated") < plain.mean("repeated") / 2 else "partly: less than halved",
        notes=(
            f"{label}: repeated / unattested words / surprisal: {cost}; without: {plain.mean('repeated'):.3f} /"
            f" {plain.mean('unattested'):.3f} / {plain.mean('surprisal'):.2f}; a draw from the whole law:"
            f" {write(data, 'chain(dist)').mean('repeated'):.4f}."
        ),
        series={
            "repeated 4-grams": (values, [one.mean("repeated") for one in texts]),
            "unattested words": (values, [one.mean("unattested") for one in texts]),
        },
        x_label=label,
        y_label="share",
    )


@experiment("repetition")
def repetition(data):
    return penalised(
        data,
        "repetition",
        "chain(repetition(penalty={}), greedy)",
        (1, 1.05, 1.1, 1.2, 1.3, 1.5, 2),
        2,
        "partly: at 1.5 and 2; up to 1.2 it does next to nothing to log-probabilities",
    )


@experiment("penalties")
def penalties(data):
    return penalised(data, "penalties", "chain(penalties(frequency={}), greedy)", (0, 0.1, 0.2, 0.4, 0.7, 1, 1.5), 0.4)


@experiment("dry")
def dry(data):
    return penalised(data, "dry", "chain(dry(multiplier={}), greedy)", (0, 0.1, 0.2, 0.4, 0.8, 1.5, 3), 0.8)


# ---- draws ---------------------------------------------------------------------------------------------------------


@experiment("greedy")
def greedy(data):
    """Text without chance runs in circles; how fast."""
    best, drawn = write(data, "chain(greedy)"), write(data, "chain(dist)")
    steps = np.arange(3, LENGTH)
    return Result(
        method="greedy",
        measures="share of repeated 4-grams in texts of 100 words",
        baseline=f"dist {drawn.mean('repeated'):.4f}",
        figure=f"{best.mean('repeated'):.3f}",
        verdict="shown: the most likely text repeats itself",
        notes=(
            f"Its words are nearly all attested ({1 - best.mean('unattested'):.3f}), and its surprisal of "
            f"{best.mean('surprisal'):.2f} nats is far below the "
            f"{drawn.mean('surprisal'):.2f} of the law. Stages above are what lies between these two draws."
        ),
        series={
            "greedy": (steps, best.repeated[:, 3:].mean(axis=0)),
            "dist": (steps, drawn.repeated[:, 3:].mean(axis=0)),
        },
        x_label="words written",
        y_label="share of repeated 4-grams",
    )


@experiment("dist")
def dist(data):
    """A draw from the whole law is as surprising as the law is uncertain, at every level of surprise."""
    drawn = write(data, "chain(dist)")
    bins = np.quantile(drawn.entropy, np.linspace(0, 1, 11))
    at = np.clip(np.searchsorted(bins, drawn.entropy, side="right") - 1, 0, 9)
    differences = (drawn.surprisal - drawn.entropy).mean(axis=1)
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    best = laws(world(data).writer, world(data).prompts)
    raw = float((-np.log(best.max(axis=1)) + (best * np.log(best)).sum(axis=1)).mean())
    series = [[float(one[at == i].mean()) for i in range(10)] for one in (drawn.entropy, drawn.surprisal)]
    return Result(
        method="dist",
        measures="mean surprisal minus mean entropy of the laws drawn from (nats)",
        baseline=f"greedy {raw:+.3f}",
        figure=f"{differences.mean():+.3f} +- {error:.3f}",
        verdict="shown" if abs(differences.mean()) < 3 * error else "not here: a biased draw",
        notes=(
            "The two must agree if draws follow the law; the plot has them by tenths of the entropy. The baseline takes"
            " the likeliest word after the prompts."
        ),
        series={"drawn": series, "law": (series[0], series[0])},
        x_label="entropy of the law (nats)",
        y_label="surprisal of the drawn word (nats)",
    )


@experiment("gumbel")
def gumbel(data):
    """Two chains with one seed: how often do they draw the same word where their laws differ?"""
    here = world(data)
    pasts = here.held_out[:2000]
    pasts = np.lib.stride_tricks.sliding_window_view(pasts, 2)
    pasts = pasts[(pasts >= 0).all(axis=1)][:1000]
    p, q = laws(here.writer, pasts), laws(here.reader, pasts)
    pairs = {"another model": q}
    for t in (0.5, 0.7, 0.85):
        cooled = p ** (1 / t)
        pairs[f"t={t}"] = cooled / cooled.sum(axis=1, keepdims=True)
    agree = {}
    for draw in ("dist", "gumbel"):
        first, *others = (
            sonde.TokenSampler(f"chain({draw})", VOCABULARY, seed=5).next(np.log(law).astype(np.float32))
            for law in (p, *pairs.values())
        )
        agree[draw] = [float((first == other).mean()) for other in others]
    most = [float(np.minimum(p, law).sum(axis=1).mean()) for law in pairs.values()]
    independent = [float((p * law).sum(axis=1).mean()) for law in pairs.values()]
    listed = "; ".join(
        f"{name} {agree['dist'][i]:.3f}, {agree['gumbel'][i]:.3f}, at most {most[i]:.3f}, independent"
        f" {independent[i]:.3f}"
        for i, name in enumerate(pairs)
    )
    return Result(
        method="gumbel",
        measures="how often two models of the glosses draw the same word with one seed",
        baseline=f"dist {agree['dist'][0]:.3f}",
        figure=f"{agree['gumbel'][0]:.3f}",
        verdict="shown" if agree["gumbel"][0] > agree["dist"][0] + 0.05 else "not here: inversion agrees as often",
        notes=(
            f"dist, gumbel, the bound of any coupling, independent draws: {listed}. The models have seen a quarter of"
            " the glosses and all of them; t: the same model, cooled. Standard errors below 0.016."
        ),
        series={"dist": (most, agree["dist"]), "gumbel": (most, agree["gumbel"]), "the most possible": (most, most)},
        x_label="overlap of the two laws",
        y_label="share of equal draws",
    )


@experiment("mirostat")
def mirostat(data):
    """The surprise of each text beside the wanted one, and beside top_k at the same mean, once the bound has come
    down.
    """
    wanted, at = (2.5, 3, 3.5, 4), 2

    def surprises(spec, name="drawn"):
        """Bits of the second 100 words of each text: their mean, and the deviation between texts."""
        means = getattr(write(data, spec, 2 * LENGTH), name)[:, LENGTH:].mean(axis=1) / np.log(2)
        return float(means.mean()), float(means.std(ddof=1))

    specs = {version: [f"chain(mirostat(version={version}, tau={tau}))" for tau in wanted] for version in (1, 2)}
    found = {version: [surprises(spec) for spec in some] for version, some in specs.items()}
    plain = [surprises(f"chain(top_k(k={k}))") for k in (8, 16, 32, 64)]
    other = float(np.interp(found[2][at][0], *zip(*plain)))
    listed = {version: ", ".join(f"{mean:.2f}" for mean, _ in some) for version, some in found.items()}
    whole = ", ".join(f"{surprises(spec, 'surprisal')[0]:.2f}" for spec in specs[2])
    return Result(
        method="mirostat",
        measures="spread of the mean surprise of texts of 100 words (bits, standard deviation)",
        baseline=f"top_k {other:.3f}",
        figure=f"{found[2][at][1]:.3f}",
        verdict="shown" if found[2][at][1] < other / 1.5 else "partly: less than 1.5 times narrower",
        notes=(
            "tau=3.5 beside top_k with the k that has the same mean; the second 100 words, as the bound begins at 2"
            f" tau and takes some of the first to come down. Means for tau = {', '.join(map(str, wanted))}: version 1"
            f" {listed[1]} (spread {found[1][at][1]:.3f} at 3.5), version 2 {listed[2]}. What is steered is the"
            f" surprise under the law that is left to draw from; under the writer's whole law version 2 has {whole}."
        ),
        series={
            "version 1": (wanted, [mean for mean, _ in found[1]]),
            "version 2": (wanted, [mean for mean, _ in found[2]]),
            "target": (wanted, wanted),
        },
        x_label="tau (bits)",
        y_label="mean surprise of the texts (bits)",
    )


@experiment("sample")
def sample(data):
    """The same stages in the two usual orders."""
    values = (0.5, 0.7, 0.85, 1, 1.2, 1.5, 2)
    texts = {
        order: curve(data, f"sample(order={order}, top_p=0.9, min_p=0.05, temperature={{}})", values)
        for order in ("hf", "llama")
    }
    at = values.index(1.5)
    hf, llama = texts["hf"][at], texts["llama"][at]
    return Result(
        method="sample",
        measures="candidates left by top_p=0.9, min_p=0.05 at temperature 1.5",
        baseline=f"temperature first (hf) {hf.mean('survivors'):.0f}",
        figure=f"last (llama) {llama.mean('survivors'):.0f}",
        verdict="shown: the order is part of the setting",
        notes=(
            f"Unattested words: hf {hf.mean('unattested'):.3f}, llama {llama.mean('unattested'):.3f}; below 1 it is the"
            f" other way round: at 0.5 {texts['hf'][0].mean('survivors'):.1f} and"
            f" {texts['llama'][0].mean('survivors'):.1f} candidates."
        ),
        series={order: (values, [one.mean("survivors") for one in some]) for order, some in texts.items()},
        x_label="temperature",
        y_label="candidates left",
        log="y",
    )


# ---- drafts --------------------------------------------------------------------------------------------------------

SIGNS = " abcdefghijklmnopqrstuvwxyz-,;"
CHARACTERS, PROMPTS, CONTINUED = len(SIGNS) + 1, 150, 48


class Speech(typing.NamedTuple):
    """Characters: the target model sees five of the past, the draft model two; laws by context, kept once they are
    known.
    """

    target: typing.Callable
    draft: typing.Callable
    prompts: np.ndarray


@functools.cache
def speech(data):
    text = "; ".join(glosses(data)[:9000]).lower()
    symbols = np.array([SIGNS.find(sign) + 1 for sign in text], np.int64)
    models = [NGram(symbols, CHARACTERS, order) for order in (5, 2)]

    def remembered(model):
        return functools.cache(lambda past: model.law(past).astype(np.float32))

    target, draft = map(remembered, models)
    starts = np.random.default_rng(2).integers(0, len(symbols) - 5, PROMPTS)
    return Speech(target, draft, symbols[starts[:, None] + np.arange(5)])


def prefixes(tree, past):
    """The last five characters at the root and at each node."""
    found = [past]
    for token, parent in zip(tree.tokens.tolist(), tree.parents.tolist()):
        found.append((found[parent + 1] + (token,))[-5:])
    return found


def mean_and_error(figures):
    return float(np.mean(figures)), float(np.std(figures, ddof=1) / np.sqrt(len(figures)))


def tokens_per_call(data, shape):
    """Nodes of a tree; characters per call of the target with the standard error over prompts; surprisal above the
    entropy, in errors.
    """
    here = speech(data)
    rule = sonde.TokenSampler(f"speculative({shape}, input=probs)", CHARACTERS, seed=3)
    worth, excess, nodes = [], [], 0
    for prompt in here.prompts.tolist():
        past, written, calls = tuple(prompt), 0, 0
        while written < CONTINUED:
            tree = rule.draft_run(
                lambda grown: np.array(
                    [
                        here.draft(one[-2:])
                        for one in map(prefixes(grown, past).__getitem__, (grown.frontier + 1).tolist())
                    ]
                )
            )
            target = np.array([here.target(one) for one in prefixes(tree, past)])
            verdict = rule.verify(target)
            for token in [*tree.tokens[verdict.path].tolist(), verdict.token]:
                law = here.target(past).astype(float)
                excess.append(-np.log(law[token]) + (law * np.log(law)).sum())
                past, written = (past + (token,))[-5:], written + 1
            calls, nodes = calls + 1, max(nodes, len(tree.tokens))
        worth.append(written / calls)
    return nodes, *mean_and_error(worth), np.divide(*mean_and_error(excess))


@experiment("speculative")
def speculative(data):
    """What a call of the target is worth, by the shape of the draft and the rule that verifies it."""
    shapes = {
        "chain": ("verify=single, depth=2", "verify=single, depth=4", "verify=single, depth=8"),
        "rrs, iid": ("verify=rrs, depth=4, width=3", "verify=rrs, depth=4, width=4", "verify=rrs, depth=4, width=6"),
        "kseq, iid": (
            "verify=kseq, depth=4, width=3",
            "verify=kseq, depth=4, width=4",
            "verify=kseq, depth=4, width=6",
        ),
        "recursive, branches": tuple(
            f"verify=recursive, depth=4, branch={branch}" for branch in ("2211", "4111", "4211")
        ),
        "recursive, beam": tuple(f"verify=recursive, draft=sbs, depth=4, width={width}" for width in (3, 4, 6)),
        "greedy": tuple(f"verify=greedy, depth=4, branch={branch}" for branch in ("2211", "4111", "4211")),
    }
    found = {name: [tokens_per_call(data, shape) for shape in some] for name, some in shapes.items()}
    chain, beam = found["chain"][1], found["recursive, beam"][1]
    listed = "; ".join(
        f"{name} " + ", ".join(f"{worth:.2f} ({nodes})" for nodes, worth, _, _ in some) for name, some in found.items()
    )
    off = max(abs(z) for some in found.values() for _, _, _, z in some)
    least = min(worth for name, some in found.items() if name != "chain" for _, worth, _, _ in some)
    return Result(
        method="speculative",
        measures="characters per call of the target model (nodes of the draft)",
        baseline=f"chain of 4 {chain[1]:.2f} ({chain[0]})",
        figure=f"beam {beam[1]:.2f} ({beam[0]})",
        verdict=(
            "shown"
            if least > chain[1] and beam[1] > found["recursive, branches"][1][1]
            else "partly: not every tree beats the chain, or no beam its fixed branches"
        ),
        notes=(
            f"{listed}; standard errors about {chain[2]:.2f}. The characters have the target's law whatever the draft:"
            f" their mean surprisal is within {off:.1f} standard errors of the law's entropy for all"
            f" {sum(map(len, shapes.values()))} shapes."
        ),
        series={
            name: ([nodes for nodes, *_ in some], [worth for _, worth, *_ in some]) for name, some in found.items()
        },
        x_label="nodes of the draft",
        y_label="characters per call",
    )


@experiment("speculative-rules")
def speculative_rules(data):
    """How near each rule comes to the best that any rule could reach, on the laws that the two models meet."""
    here = speech(data)
    pairs = [(here.target(tuple(prompt)), here.draft(tuple(prompt[-2:]))) for prompt in here.prompts.tolist()]
    rule = sonde.TokenSampler("speculative(input=probs)", CHARACTERS)
    widths, names = (1, 2, 3, 4, 6, 8), ("single", "rrs", "kseq", "greedy", "optimal_iid", "optimal_wor")
    rates = {
        name: [
            float(np.mean([rule.accept_rate(p, q, width, name) for p, q in pairs]))
            for width in (widths[:1] if name == "single" else widths)
        ]
        for name in names
    }
    four = {name: some[widths.index(4)] for name, some in rates.items() if name != "single"}
    listed = ", ".join(f"{name} {rate:.3f}" for name, rate in four.items())
    rates["single"] *= len(widths)
    return Result(
        method="speculative",
        measures="chance that one of 4 drafts is accepted, mean over 150 places of the text",
        baseline=f"single {rates['single'][0]:.3f}",
        figure=f"greedy {four['greedy']:.3f}",
        verdict=(
            "shown: several drafts help, the greedy rule most"
            if four["optimal_wor"] > four["greedy"] > four["kseq"] > four["rrs"]
            else "partly: the order of the rules differs"
        ),
        notes=(
            f"{listed}. The optima are those of drafts drawn with and without replacement (Hu et al. 2025); greedy"
            " drafts have an optimum of their own, which their rule reaches."
        ),
        series={name: (widths, some) for name, some in rates.items()},
        x_label="drafts",
        y_label="chance of acceptance",
    )
