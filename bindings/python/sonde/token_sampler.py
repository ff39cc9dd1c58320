"""TokenSampler: logits to token ids, and the verification of drafts.

SPDX-License-Identifier: MIT
"""

import operator
from collections.abc import Callable, Sequence
from ctypes import POINTER, byref, c_double, sizeof
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import _arrays, _calls
from ._api import (sonde_array, sonde_draft_tree, sonde_token_options, sonde_token_sampler_draft_run_model,
                   sonde_tokens, sonde_verdict)
from ._arrays import Floats, Ids, address
from ._calls import run
from ._errors import InvalidArgument
from ._library import lib
from ._noun import Noun, Verbs, with_key
from .runtime import Runtime

Tokens = npt.NDArray[np.int32]


class Drawn(NamedTuple):
    """What sample() knows of each draw; one row of logits gives arrays of one element."""

    ids: Tokens
    log_probs: Floats
    raw_log_probs: Floats
    survivors: Ids
    entropies: Floats


class Candidates(NamedTuple):
    """What a draw would be made from: counts[i] survivors, the most likely first, -1 where there are no more."""

    ids: Tokens
    log_probs: Floats
    counts: Ids


class DraftTree(NamedTuple):
    """Drafted tokens; parents come before their children, -1 is the text so far. frontier: whose logits are wanted."""

    tokens: Tokens
    parents: Ids
    frontier: Ids


class Verdict(NamedTuple):
    """The accepted nodes from the root on, and the token that follows them."""

    path: Ids
    token: int
    log_prob: float


class TokenSampler(Noun):
    """A chain of filters with a draw: TokenSampler("chain(top_k(k=40), temperature(value=0.8))", vocabulary=32000).

    logits are B x V, or V for one sequence; f32, f16 and bf16 are read as they are. One thread at a time uses one sampler.
    """

    noun = "token_sampler"
    _verbs = Verbs(lib.sonde_token_sampler_create, lib.sonde_token_sampler_save, lib.sonde_token_sampler_open,
                   lib.sonde_token_sampler_save_buffer, lib.sonde_token_sampler_open_buffer,
                   lib.sonde_token_sampler_spec, lib.sonde_token_sampler_vocabulary, lib.sonde_token_sampler_free)

    def __init__(self, spec: str, vocabulary: int, *, seed: int | None = None, runtime: Runtime | None = None) -> None:
        super().__init__(with_key(spec, "seed", seed), vocabulary, runtime=runtime)

    @property
    def vocabulary(self) -> int:
        """Tokens that there are."""
        return self.dim

    def __repr__(self) -> str:
        name = f"sonde.{type(self).__name__}"
        return f'{name}("{self.spec}", vocabulary={self.dim})' if self._handle else f"<closed {name}>"

    # ---- Drawing -------------------------------------------------------------------------------------------------

    def next(self, logits: Any) -> Any:
        """The next token of sequence 0 for one row of logits, an int; of sequences 0, 1, ... for a matrix, an array."""
        view = _arrays.matrix(logits, "logits")
        tokens = np.empty(view.rows, np.int32)
        run(lib.sonde_token_sampler_next, self._handle, byref(view), address(tokens))
        return int(tokens[0]) if view.single else tokens

    def sample(self, logits: Any, *, sequences: Any = None, allowed: Any = None, threads: int = 0) -> Drawn:
        """The same for sequences of any number, with a mask of allowed tokens, and with what is known about the draws."""
        view = _arrays.matrix(logits, "logits")
        how, kept = self._options(view, sequences, allowed, threads)
        rows = view.rows
        drawn = Drawn(np.empty(rows, np.int32), np.empty(rows, np.float32), np.empty(rows, np.float32),
                      np.empty(rows, np.int64), np.empty(rows, np.float32))
        given = sonde_tokens(sizeof(sonde_tokens), 0, *(address(one) for one in drawn))
        run(lib.sonde_token_sampler_next_with, self._handle, byref(view), byref(how), byref(given))
        del kept
        return drawn

    def filter(self, logits: Any, capacity: int = 0, *, sequences: Any = None, allowed: Any = None,
               threads: int = 0) -> Candidates:
        """The candidates that a draw would be made from, without drawing; at most `capacity` (0: the vocabulary)."""
        view = _arrays.matrix(logits, "logits")
        how, kept = self._options(view, sequences, allowed, threads)
        room = operator.index(capacity) or self.vocabulary
        found = Candidates(np.full((view.rows, room), -1, np.int32), np.full((view.rows, room), -np.inf, np.float32),
                           np.empty(view.rows, np.int64))
        run(lib.sonde_token_sampler_filter, self._handle, byref(view), byref(how), room,
            *(address(one) for one in found))
        del kept
        if not view.single:
            return found
        best = slice(min(room, int(found.counts[0])))
        return Candidates(found.ids[0, best], found.log_probs[0, best], found.counts)

    def _options(self, view: _arrays.View, sequences: Any, allowed: Any,
                 threads: int) -> tuple[sonde_token_options, list[Any]]:
        """The struct, and what it points into."""
        how = sonde_token_options(size=sizeof(sonde_token_options), threads=threads)
        kept: list[Any] = []
        if sequences is not None:
            numbers = _arrays.identifiers(sequences, "sequences")
            if numbers.size != view.rows:
                raise InvalidArgument(f"sequences: {numbers.size} numbers for {view.rows} rows of logits")
            kept.append(numbers)
            how.sequences = address(numbers)
        if allowed is not None:
            mask = _arrays.bit_matrix(allowed, "allowed", self.vocabulary)
            kept.append(mask)
            how.allowed = POINTER(sonde_array)(mask)
        return how, kept

    def accept(self, tokens: Any, sequence: int = 0) -> None:
        """Appends tokens that were not drawn here, such as a prompt, to the past of a sequence."""
        given = np.ascontiguousarray(_arrays.identifiers(tokens, "tokens"), np.int32)
        run(lib.sonde_token_sampler_accept, self._handle, operator.index(sequence), address(given), given.size)

    def reset(self, sequence: int | None = None) -> None:
        """Forgets a sequence, or all of them."""
        run(lib.sonde_token_sampler_reset, self._handle, -1 if sequence is None else operator.index(sequence))

    # ---- Drafts --------------------------------------------------------------------------------------------------

    def draft(self, logits: Any = None) -> DraftTree:
        """Begins a tree (None), or grows it by the logits of its frontier, one row a node; ready when that is empty."""
        tree = sonde_draft_tree(size=sizeof(sonde_draft_tree))
        view = None if logits is None else _arrays.matrix(logits, "logits")
        run(lib.sonde_token_sampler_draft, self._handle, None if view is None else byref(view), byref(tree))
        return _tree(tree)

    def draft_run(self, model: Callable[[DraftTree], Any]) -> DraftTree:
        """The whole of a draft: model(tree) gives the logits of tree.frontier, one row a node."""
        def call(at: Any, logits: Any, user: int | None) -> int:
            def fill() -> int:
                out = _arrays.foreign(None, logits[0].data, logits[0].rows * logits[0].cols, np.float32)
                out[:] = np.asarray(model(_tree(at[0])), np.float32).reshape(-1)
                return 0
            return int(_calls.guarded(fill, otherwise=1))
        tree = sonde_draft_tree(size=sizeof(sonde_draft_tree))
        run(lib.sonde_token_sampler_draft_run, self._handle, sonde_token_sampler_draft_run_model(call), None, byref(tree))
        return _tree(tree)

    def verify(self, target: Any, draft: Any = None, tree: DraftTree | Sequence[Any] | None = None) -> Verdict:
        """Accepts a path through the tree (None: of the last draft) so that what is emitted follows the target's law.

        target: a row for the root, then one for each node. draft: the laws that children were drawn from, in the same rows.
        """
        laws = _arrays.matrix(target, "target")
        drafted = None if draft is None else _arrays.matrix(draft, "draft")
        given, kept = _given_tree(tree)
        path = np.empty(laws.rows, np.int64)
        verdict = sonde_verdict(size=sizeof(sonde_verdict), capacity=path.size, path=address(path))
        run(lib.sonde_token_sampler_verify, self._handle, byref(laws), None if drafted is None else byref(drafted),
            None if given is None else byref(given), byref(verdict))
        del kept
        return Verdict(path[:verdict.accepted], int(verdict.token), float(verdict.log_prob))

    def accept_rate(self, p: Any, q: Any, width: int = 1, rule: str = "single") -> float:
        """The exact chance that one of `width` drafts from law q is accepted by the target law p."""
        target, draft, rate = _arrays.matrix(p, "p"), _arrays.matrix(q, "q"), c_double()
        run(lib.sonde_token_sampler_accept_rate, self._handle, rule.encode(), byref(target), byref(draft),
            operator.index(width), byref(rate))
        return rate.value


def _tree(tree: sonde_draft_tree) -> DraftTree:
    """Copies: the arrays of C go with the next draft."""
    return DraftTree(np.array(_arrays.foreign(None, tree.tokens, tree.count, np.int32)),
                     np.array(_arrays.foreign(None, tree.parents, tree.count, np.int64)),
                     np.array(_arrays.foreign(None, tree.frontier, tree.frontier_count, np.int64)))


def _given_tree(tree: DraftTree | Sequence[Any] | None) -> tuple[sonde_draft_tree | None, Any]:
    """A tree of the caller (tokens, parents) as the struct, and the arrays it points into."""
    if tree is None:
        return None, None
    tokens = np.ascontiguousarray(_arrays.identifiers(tree[0], "tokens"), np.int32)
    parents = _arrays.identifiers(tree[1], "parents")
    if tokens.size != parents.size:
        raise InvalidArgument(f"tree: {tokens.size} tokens, but {parents.size} parents")
    made = sonde_draft_tree(size=sizeof(sonde_draft_tree), count=tokens.size, tokens=address(tokens),
                            parents=address(parents))
    return made, (tokens, parents)
