"""Sonde: packs sets of embeddings (Quantizer), finds in them (Index), maps them (Transform), draws from them (RowSampler,
TokenSampler, PathSampler), and keeps ids that models generate (Trie).

    index = sonde.Index("ivf(metric=cosine)", dim=384).add(vectors)
    ids, scores = index.search(queries, k=10, recall=0.95)

The package drives the C library through ctypes: arrays go in and out without a copy where dtype and layout allow, other
Python threads run during every call, and Ctrl-C stops long ones. sonde.methods() lists what specs can say.

SPDX-License-Identifier: MIT
"""

import os
from typing import Any

from . import spec
from ._api import (VERSION, IndexStats, InputInfo, KeyInfo, MethodInfo, Metric, OperatingPoint, OutputInfo, Prediction,
                   SectionInfo, Status, Stop, TrieScale, UniqueMode)
from ._errors import (CallbackFailed, Cancelled, Corrupt, Error, FileNotFound, Incompatible, InputOutputError,
                      InternalError, InvalidArgument, LimitExceeded, NotFound, OutOfMemory, StateError, Unsupported)
from ._noun import Noun
from .catalogue import (Method, build_info, check_spec, describe, file_noun, file_sections, methods, status_name,
                        status_text, version)
from .filters import Filter, exclude
from .index import Estimate, Hits, Index, RangeHits, estimate, topk_merge
from .path_sampler import Ask, PathNode, PathSampler
from .quantizer import Bounds, Quantizer
from .row_sampler import Rows, RowSampler
from .runtime import Memory, Runtime
from .token_sampler import Candidates, DraftTree, Drawn, TokenSampler, Verdict
from .transform import Transform
from .trie import Trie, TrieHits, unique_sequences

__version__ = VERSION
__all__ = [
    "Ask", "Bounds", "CallbackFailed", "Cancelled", "Candidates", "Corrupt", "DraftTree", "Drawn", "Error", "Estimate",
    "FileNotFound", "Filter", "Hits", "Incompatible", "Index", "IndexStats", "InputInfo", "InputOutputError",
    "InternalError", "InvalidArgument", "KeyInfo", "LimitExceeded", "Memory", "Method", "MethodInfo", "Metric",
    "NotFound", "OperatingPoint", "OutOfMemory", "OutputInfo", "PathNode", "PathSampler", "Prediction", "Quantizer",
    "RangeHits", "RowSampler", "Rows", "Runtime", "SectionInfo", "StateError", "Status", "Stop", "TokenSampler",
    "Transform", "Trie", "TrieHits", "TrieScale", "UniqueMode", "Unsupported", "Verdict", "build_info", "check_spec",
    "describe", "estimate", "exclude", "file_noun", "file_sections", "from_bytes", "methods", "open", "spec",
    "status_name", "status_text", "topk_merge", "unique_sequences", "version",
]

_NOUNS: dict[str, type[Noun]] = {kind.noun: kind for kind in (Index, Quantizer, Transform, Trie, RowSampler,
                                                            TokenSampler, PathSampler)}


def open(path: str | os.PathLike[str], *, mmap: bool = False, verify: bool | None = None, max_bytes: int = 0,
         runtime: Runtime | None = None) -> Any:
    """Opens whichever noun the file holds; it needs only the path. The options are those of Index.open."""
    kind = _NOUNS.get(file_noun(path), Index)
    return kind.open(path, mmap=mmap, verify=verify, max_bytes=max_bytes, runtime=runtime)


def from_bytes(data: Any, *, runtime: Runtime | None = None) -> Any:
    """Opens whichever noun the bytes of to_bytes() hold."""
    *others, last = _NOUNS.values()
    for kind in others:
        try:
            return kind.from_bytes(data, runtime=runtime)
        except Incompatible:  # another noun
            pass
    return last.from_bytes(data, runtime=runtime)
