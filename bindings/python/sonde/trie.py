"""Trie: sequences of small numbers that name documents, for decoders that generate ids.

SPDX-License-Identifier: MIT
"""

import operator
from collections.abc import Callable, Iterable
from ctypes import POINTER, byref, c_int64, sizeof
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from . import _arrays, _calls, runtime as _runtime
from ._api import (Dtype, TrieScale, UniqueMode, sonde_array, sonde_trie_hits, sonde_trie_search_options,
                   sonde_trie_search_options_score, sonde_unique_options)
from ._arrays import Floats, Ids, address
from ._calls import Progress, run
from ._errors import InvalidArgument
from ._library import lib
from ._noun import Noun, Verbs
from .quantizer import Quantizer
from .runtime import Runtime

Codes = npt.NDArray[np.int32]


class TrieHits(NamedTuple):
    """What a beam search found, best first; ids holds the first document of each sequence."""

    sequences: Codes
    ids: Ids
    scores: Floats


class Trie(Noun):
    """Sequences of up to `length` codes, each with the ids of its documents: Trie("trie", length=3).add(sequences).

    Sequences are rows of a matrix of whole numbers padded with -1, or lists of different lengths. All but add may
    run in any number of threads.
    """

    noun = "trie"
    _verbs = Verbs(lib.sonde_trie_create, lib.sonde_trie_save, lib.sonde_trie_open, lib.sonde_trie_save_buffer,
                   lib.sonde_trie_open_buffer, lib.sonde_trie_spec, lib.sonde_trie_length, lib.sonde_trie_free)

    def __init__(self, spec: str, length: int, *, runtime: Runtime | None = None) -> None:
        super().__init__(spec, length, runtime=runtime)

    def __repr__(self) -> str:
        name = f"sonde.{type(self).__name__}"
        return f'{name}("{self.spec}", length={self.length})' if self._handle else f"<closed {name}>"

    def __len__(self) -> int:
        return int(lib.sonde_trie_count(self._live()))

    def __contains__(self, sequence: Any) -> bool:
        return self.lookup(sequence).size > 0

    @property
    def length(self) -> int:
        """Codes of the longest sequence that it takes."""
        return self.dim

    # ---- Filling and asking --------------------------------------------------------------------------------------

    def add(self, sequences: Any, ids: Any = None, *, progress: Progress = None) -> Self:
        """Adds a document for each sequence; without ids they go on counting: 0, 1, 2, ..."""
        view, numbers = _sequences(sequences, "sequences"), None
        if ids is not None:
            numbers = _arrays.identifiers(ids)
            if numbers.size != view.rows:
                raise InvalidArgument(f"add: {numbers.size} ids for {view.rows} sequences")
        run(lib.sonde_trie_add, self._handle, byref(view), None if numbers is None else address(numbers),
            progress=progress)
        return self

    def children(self, prefix: Any = ()) -> Codes:
        """The codes that can follow a prefix, ascending."""
        return self._listed(lib.sonde_trie_children, prefix, np.int32)

    def lookup(self, sequence: Any) -> Ids:
        """The documents of exactly this sequence, in the order of adding."""
        return self._listed(lib.sonde_trie_lookup, sequence, np.int64)

    def _listed(self, function: Callable[..., int], codes: Any, dtype: type) -> npt.NDArray[Any]:
        asked = _int32(_arrays.identifiers(codes, "codes"), "codes")
        count = c_int64()
        run(function, self._handle, address(asked), asked.size, None, 0, byref(count))
        found: npt.NDArray[Any] = np.empty(count.value, dtype)
        run(function, self._handle, address(asked), asked.size, address(found), found.size, byref(count))
        return found

    def mask(self, prefixes: Any, logits: Floats, *, end: int | None = None) -> Floats:
        """Sets logits (float32) to -infinity, in place, for all codes that cannot follow.

        prefixes: one a row of logits. end: the column that stands for the end of a sequence.
        """
        given = _arrays.output(logits, np.shape(logits), np.float32, "logits")
        view = _sequences(prefixes, "prefixes")
        run(lib.sonde_trie_mask, self._handle, byref(view), -1 if end is None else operator.index(end),
            byref(_arrays.target(given, Dtype.F32)))
        return given

    # ---- Beam search ---------------------------------------------------------------------------------------------

    def search(self, score: Callable[[Codes], Any], width: int = 10, *, scale: str | TrieScale = TrieScale.LOG_PROBS,
               end: int | None = None, vocabulary: int = 0, progress: Progress = None) -> TrieHits:
        """The `width` best sequences by beam search.

        score(prefixes) gives the scores of each code after each prefix, prefixes x vocabulary. scale: what they are,
        "log_probs", "logits" or "masked". end: the column for the end of a sequence; without one the end costs nothing.
        vocabulary: columns of the scores, 0 = the largest code stored + 1.
        """
        room = max(0, min(operator.index(width), max(1, len(self))))  # more cannot be found
        options = sonde_trie_search_options(
            size=sizeof(sonde_trie_search_options), width=room, scale=_named(TrieScale, scale, "scale"),
            has_end=end is not None, end=0 if end is None else operator.index(end), vocabulary=vocabulary,
            score=_scorer(score))
        found = TrieHits(np.empty((room, self.length), np.int32), np.empty(room, np.int64), np.empty(room, np.float32))
        hits = sonde_trie_hits(sizeof(sonde_trie_hits), 0, *(address(one) for one in found))
        run(lib.sonde_trie_search, self._handle, byref(options), byref(hits), progress=progress)
        best = slice(hits.count)
        return TrieHits(found.sequences[best], found.ids[best], found.scores[best])


def unique_sequences(sequences: Any, mode: str | UniqueMode = UniqueMode.SUFFIX, *, vectors: Any = None,
                     quantizer: Quantizer | None = None, tries: int = 0, copy: bool | None = None,
                     runtime: Runtime | None = None, progress: Progress = None) -> Codes:
    """Makes sequences different from each other: n x (length + 1), the last column a suffix, -1 where none is needed.

    mode: "suffix" numbers equal ones; "resolve" moves rows to free sequences near by, and needs the vectors and the
    trained rq or rkmeans that made the sequences.
    """
    given = _sequences(sequences, "sequences")
    rows = None if vectors is None else _arrays.matrix(vectors, "vectors", copy)
    options = sonde_unique_options(
        size=sizeof(sonde_unique_options), mode=_named(UniqueMode, mode, "mode"), tries=tries,
        quantizer=None if quantizer is None else quantizer._live()._as_parameter_,
        vectors=None if rows is None else POINTER(sonde_array)(rows))
    unique = np.empty((given.rows, given.cols + 1), np.int32)
    held = _runtime.create() if runtime is None else runtime._handle
    run(lib.sonde_sequences_unique, byref(given), byref(options), held, byref(_arrays.target(unique, Dtype.I32)),
        progress=progress)
    return unique


def _int32(array: npt.NDArray[Any], name: str) -> Codes:
    """Whole numbers as C takes them; none may change on the way."""
    if array.dtype.kind not in "iu":
        raise InvalidArgument(f"{name}: {array.dtype} values, expected whole numbers")
    codes = np.ascontiguousarray(array, np.int32)
    if (codes != array).any():
        raise InvalidArgument(f"{name}: codes above {np.iinfo(np.int32).max} are not taken")
    return codes


def _padded(lists: list[Any]) -> npt.NDArray[np.int64]:
    """Lists of different lengths as a matrix, with -1 at their ends."""
    rows = np.full((len(lists), max(1, *map(len, lists))), -1, np.int64)
    for row, codes in zip(rows, lists):
        row[:len(codes)] = codes
    return rows


def _sequences(source: Any, name: str) -> _arrays.View:
    """A matrix of codes, one sequence a row, or one sequence."""
    if isinstance(source, (list, tuple)) and source and isinstance(source[0], Iterable):
        source = _padded([_arrays.identifiers(codes, name) for codes in source])
    codes = np.asarray(source)
    if codes.ndim == 1:
        codes = codes[None, :]
    if codes.ndim != 2:
        raise InvalidArgument(f"{name}: {codes.ndim} dimensions, expected one sequence a row")
    return _arrays.target(_int32(codes, name), Dtype.I32)


def _named(kind: Any, given: Any, name: str) -> int:
    """A value of an enum, by its name in lower case or as it is."""
    if isinstance(given, kind):
        return int(given)
    names = [one.name.lower() for one in kind]
    if given not in names:
        raise InvalidArgument(f"{name}: '{given}', expected {', '.join(names)}")
    return int(kind[given.upper()])


def _scorer(score: Callable[[Codes], Any]) -> Any:
    """The form in which C calls a model."""
    def call(prefixes: int | None, count: int, length: int, vocabulary: int, out: int, user: int | None) -> int:
        def fill() -> int:
            asked = np.array(_arrays.foreign(None, prefixes, count * length, np.int32)).reshape(count, length)
            given = np.asarray(score(asked), np.float32)
            if given.shape != (count, vocabulary):
                raise InvalidArgument(f"score: an array {given.shape}, expected {(count, vocabulary)}")
            _arrays.foreign(None, out, given.size, np.float32)[:] = given.reshape(-1)
            return 0
        return int(_calls.guarded(fill, otherwise=1))
    return sonde_trie_search_options_score(call)
