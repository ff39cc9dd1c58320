"""The C interface of the library as ctypes sees it. Written by bindings/generate from the headers: do not edit.

SPDX-License-Identifier: MIT
"""

import dataclasses
import enum
from ctypes import (CDLL, CFUNCTYPE, POINTER, Structure, c_bool, c_char, c_char_p, c_double, c_float, c_int, c_int32,
                    c_int64, c_size_t, c_uint32, c_uint64, c_void_p)

VERSION = "1.0.0"


class Status(enum.IntEnum):
    """The values of sonde_status."""

    # success
    OK = 0
    # an argument is outside what the function accepts
    INVALID_ARGUMENT = 1
    # the allocator returned no memory
    OUT_OF_MEMORY = 2
    # a limit given by the caller would be exceeded
    LIMIT = 3
    # the operating system reported an input or output error
    IO = 4
    # the file, method, key or id does not exist
    NOT_FOUND = 5
    # the data is damaged or is not what it claims to be
    CORRUPT = 6
    # this method or build does not offer the operation
    UNSUPPORTED = 7
    # the two things do not fit together
    INCOMPATIBLE = 8
    # the handle is not in a state that allows the call
    STATE = 9
    # the caller cancelled the work
    CANCELLED = 10
    # a function supplied by the caller failed
    CALLBACK = 11
    # a defect in the library
    INTERNAL = 12


class Dtype(enum.IntEnum):
    """Element types. BITS packs eight columns into a byte, column 0 in the lowest bit of byte 0."""

    F32 = 1
    # IEEE 754 binary16
    F16 = 2
    # upper half of an f32
    BF16 = 3
    I8 = 4
    U8 = 5
    BITS = 6
    I32 = 7
    I64 = 8


class Metric(enum.IntEnum):
    """Distances and similarities. Scores come best first: L2 (squared) and HAMMING smaller is nearer, IP and COSINE larger
    is nearer. The cosine with a zero vector is 0. docs/metrics.md has the definitions."""

    L2 = 1
    IP = 2
    COSINE = 3
    HAMMING = 4


class LogLevel(enum.IntEnum):
    """The values of sonde_log_level."""

    INFO = 1
    WARNING = 2


class OpenMode(enum.IntEnum):
    """The values of sonde_open_mode."""

    # copy into memory; the handle can be changed
    READ = 1
    # map the file; instant, shared between processes, read-only
    MMAP = 2


class Verify(enum.IntEnum):
    """The values of sonde_verify."""

    # every checksum, every structure (the default)
    FULL = 1
    # header, table of contents, sizes and structure; bulk data is not summed
    FAST = 2


class TrieScale(enum.IntEnum):
    """What the scores are."""

    # added up as they are
    LOG_PROBS = 1
    # log-softmax over the whole vocabulary first
    LOGITS = 2
    # log-softmax over what can follow
    MASKED = 3


class UniqueMode(enum.IntEnum):
    """The values of sonde_unique_mode."""

    # rows with equal sequences get one code more: 0, 1, 2, ... in their order
    SUFFIX = 1
    # of such rows the nearest keeps its sequence, the others get the free sequence that costs the least distance in the
    # last two codes; what is left gets a suffix
    RESOLVE = 2


class FilterKind(enum.IntEnum):
    """Which ids a search may return. Filters act inside the scan: k hits come back whenever k allowed rows exist."""

    # id i is allowed if bit i is set (bit i % 8 of byte i / 8); ids >= count are not
    BITMAP = 1
    # ids[0..count), ascending
    IDS = 2
    # first <= id < last
    RANGE = 3
    # accept(id, user) != 0; called on the calling thread only, so the search is serial
    CALLBACK = 4


class Stop(enum.IntEnum):
    """Why a query's list of hits ended."""

    # every allowed row was scored: these are the k best
    EXACT = 1
    # the wanted effort or recall was reached
    EFFORT = 2
    # every allowed row was scored and there are fewer than k
    FEWER = 3


class Prediction(enum.IntEnum):
    """What a model predicts; all are affine in each other given the state. docs/samplers.md has the formulas."""

    # eps: the noise
    NOISE = 1
    # x0: the data
    DATA = 2
    # gradient of the log density of the noisy data, -eps / sigma
    SCORE = 3
    # alpha eps - sigma x0
    V = 4
    # velocity dx/dt; for rf: eps - x0
    FLOW = 5
    # the raw network of EDM, wrapped by its preconditioning
    EDM = 6


class sonde_array(Structure):
    """A borrowed view of a row-major matrix. The library never keeps it. `data` is not const because the same struct
    describes outputs; inputs are never written. Frozen: this struct will not change."""

    _fields_ = [
        ("data", c_void_p),
        ("rows", c_int64),
        ("cols", c_int64),
        ("stride", c_int64),
        ("dtype", c_uint32),
        ("reserved", c_uint32),
    ]


class sonde_input(Structure):
    """A named input of train, fit, draw, observe or loss: sonde_input inputs[] = {{"vectors", &x}, {"queries", &q}};"""

    _fields_ = [
        ("name", c_char_p),
        ("array", POINTER(sonde_array)),
    ]


sonde_runtime_options_alloc = CFUNCTYPE(c_void_p, c_size_t, c_size_t, c_void_p)
sonde_runtime_options_release = CFUNCTYPE(None, c_void_p, c_size_t, c_size_t, c_void_p)
sonde_runtime_options_progress = CFUNCTYPE(c_int, c_char_p, c_uint64, c_uint64, c_void_p)
sonde_runtime_options_log = CFUNCTYPE(None, c_uint32, c_char_p, c_void_p)


class sonde_runtime_options(Structure):
    """struct sonde_runtime_options."""

    _fields_ = [
        ("size", c_uint32),
        ("threads", c_uint32),
        ("memory_limit", c_uint64),
        ("alloc", sonde_runtime_options_alloc),
        ("release", sonde_runtime_options_release),
        ("memory_user", c_void_p),
        ("progress", sonde_runtime_options_progress),
        ("progress_user", c_void_p),
        ("log", sonde_runtime_options_log),
        ("log_user", c_void_p),
    ]


class sonde_method_info(Structure):
    """struct sonde_method_info."""

    _fields_ = [
        ("size", c_uint32),
        ("key_count", c_uint32),
        ("input_count", c_uint32),
        ("output_count", c_uint32),
        ("noun", c_char_p),
        ("name", c_char_p),
        ("summary", c_char_p),
        ("source", c_char_p),
    ]


class sonde_key_info(Structure):
    """struct sonde_key_info."""

    _fields_ = [
        ("size", c_uint32),
        ("reserved", c_uint32),
        ("name", c_char_p),
        ("kind", c_char_p),
        ("fallback", c_char_p),
        ("words", c_char_p),
        ("noun", c_char_p),
        ("help", c_char_p),
        ("min", c_double),
        ("max", c_double),
    ]


class sonde_input_info(Structure):
    """struct sonde_input_info."""

    _fields_ = [
        ("size", c_uint32),
        ("required", c_uint32),
        ("name", c_char_p),
        ("shape", c_char_p),
        ("dtypes", c_char_p),
        ("help", c_char_p),
        ("verb", c_char_p),
    ]


class sonde_output_info(Structure):
    """A named result beside those that a noun's structs have."""

    _fields_ = [
        ("size", c_uint32),
        ("reserved", c_uint32),
        ("name", c_char_p),
        ("shape", c_char_p),
        ("dtype", c_char_p),
        ("help", c_char_p),
    ]


class sonde_open_options(Structure):
    """struct sonde_open_options."""

    _fields_ = [
        ("size", c_uint32),
        ("mode", c_uint32),
        ("verify", c_uint32),
        ("reserved", c_uint32),
        ("max_bytes", c_uint64),
    ]


class sonde_section_info(Structure):
    """One section of a container file."""

    _fields_ = [
        ("size", c_uint32),
        ("element_size", c_uint32),
        ("tag", c_char * 16),
        ("path", c_char * 64),
        ("offset", c_uint64),
        ("bytes", c_uint64),
        ("checksum", c_uint64),
        ("intact", c_uint32),
        ("reserved", c_uint32),
    ]


sonde_trie_search_options_score = CFUNCTYPE(c_int, c_void_p, c_int64, c_int64, c_int64, c_void_p, c_void_p)


class sonde_trie_search_options(Structure):
    """struct sonde_trie_search_options."""

    _fields_ = [
        ("size", c_uint32),
        ("width", c_uint32),
        ("scale", c_uint32),
        ("has_end", c_uint32),
        ("end", c_int64),
        ("vocabulary", c_int64),
        ("score", sonde_trie_search_options_score),
        ("user", c_void_p),
    ]


class sonde_trie_hits(Structure):
    """Where results go, best first, yours: `width` rows each. Equal scores come in the order of sequences."""

    _fields_ = [
        ("size", c_uint32),
        ("reserved", c_uint32),
        ("sequences", c_void_p),
        ("ids", c_void_p),
        ("scores", c_void_p),
        ("count", c_int64),
    ]


class sonde_unique_options(Structure):
    """struct sonde_unique_options."""

    _fields_ = [
        ("size", c_uint32),
        ("mode", c_uint32),
        ("tries", c_uint32),
        ("reserved", c_uint32),
        ("quantizer", c_void_p),
        ("vectors", POINTER(sonde_array)),
    ]


sonde_filter_accept = CFUNCTYPE(c_int, c_int64, c_void_p)


class sonde_filter(Structure):
    """struct sonde_filter."""

    _fields_ = [
        ("size", c_uint32),
        ("kind", c_uint32),
        ("exclude", c_uint32),
        ("reserved", c_uint32),
        ("bits", c_void_p),
        ("ids", c_void_p),
        ("count", c_int64),
        ("first", c_int64),
        ("last", c_int64),
        ("accept", sonde_filter_accept),
        ("user", c_void_p),
    ]


class sonde_search_options(Structure):
    """Settings belong to the call, never to the index."""

    _fields_ = [
        ("size", c_uint32),
        ("k", c_uint32),
        ("recall", c_float),
        ("effort", c_uint32),
        ("refine", c_uint32),
        ("threads", c_uint32),
        ("filter", POINTER(sonde_filter)),
        ("filter_count", c_int64),
    ]


class sonde_hits(Structure):
    """Where hits go: row-major nq x k, best first, yours. Missing hits have id -1 and the worst score of the metric
    (+infinity for l2 and hamming, -infinity for ip and cosine). Equal scores come in ascending order of id."""

    _fields_ = [
        ("size", c_uint32),
        ("reserved", c_uint32),
        ("ids", c_void_p),
        ("scores", c_void_p),
        ("count", c_void_p),
        ("reason", c_void_p),
    ]


class sonde_tune_options(Structure):
    """struct sonde_tune_options."""

    _fields_ = [
        ("size", c_uint32),
        ("threads", c_uint32),
        ("seconds", c_double),
        ("seed", c_uint64),
    ]


class sonde_operating_point(Structure):
    """One point of the calibrated curve."""

    _fields_ = [
        ("size", c_uint32),
        ("k", c_uint32),
        ("effort", c_uint32),
        ("refine", c_uint32),
        ("recall", c_float),
        ("recall_low", c_float),
        ("recall_p05", c_float),
        ("cost", c_float),
        ("gap", c_float),
    ]


class sonde_index_stats(Structure):
    """struct sonde_index_stats."""

    _fields_ = [
        ("size", c_uint32),
        ("metric", c_uint32),
        ("dim", c_int64),
        ("count", c_int64),
        ("removed", c_int64),
        ("lists", c_int64),
        ("largest_list", c_int64),
        ("empty_lists", c_int64),
        ("memory_bytes", c_uint64),
        ("mapped_bytes", c_uint64),
        ("row_bytes", c_uint64),
        ("version", c_uint64),
        ("trained", c_uint32),
        ("calibrated", c_uint32),
        ("calibrated_at", c_int64),
        ("drift", c_float),
        ("split", c_uint32),
        ("long_lists", c_int64),
    ]


class sonde_rows(Structure):
    """What one draw gave. The arrays belong to the sampler and stay until its next draw, fit, merge or free."""

    _fields_ = [
        ("size", c_uint32),
        ("last", c_uint32),
        ("count", c_int64),
        ("pass", c_int64),
        ("ids", c_void_p),
        ("weights", c_void_p),
        ("groups", c_void_p),
    ]


class sonde_token_options(Structure):
    """How to draw, for next_with and filter."""

    _fields_ = [
        ("size", c_uint32),
        ("threads", c_uint32),
        ("sequences", c_void_p),
        ("allowed", POINTER(sonde_array)),
    ]


class sonde_tokens(Structure):
    """What was drawn. Each array has one element a row of logits and is yours; all but ids may be NULL."""

    _fields_ = [
        ("size", c_uint32),
        ("reserved", c_uint32),
        ("ids", c_void_p),
        ("log_probs", c_void_p),
        ("raw_log_probs", c_void_p),
        ("survivors", c_void_p),
        ("entropies", c_void_p),
    ]


class sonde_draft_tree(Structure):
    """A tree of drafted tokens. Node i stands for the prefix that leads to it; the root, the text so far, is -1. Parents
    come before their children, siblings in the order in which they were drawn."""

    _fields_ = [
        ("size", c_uint32),
        ("reserved", c_uint32),
        ("count", c_int64),
        ("tokens", c_void_p),
        ("parents", c_void_p),
        ("frontier_count", c_int64),
        ("frontier", c_void_p),
    ]


class sonde_verdict(Structure):
    """What verification decided."""

    _fields_ = [
        ("size", c_uint32),
        ("token", c_int32),
        ("log_prob", c_float),
        ("reserved", c_uint32),
        ("accepted", c_int64),
        ("capacity", c_int64),
        ("path", c_void_p),
    ]


class sonde_ask(Structure):
    """Where a prediction is wanted. The arrays belong to the sampler, until tell."""

    _fields_ = [
        ("size", c_uint32),
        ("done", c_uint32),
        ("x", sonde_array),
        ("t", c_double),
        ("alpha", c_double),
        ("sigma", c_double),
        ("prediction", c_uint32),
        ("condition", c_uint32),
        ("step", c_int64),
        ("evaluation", c_int64),
    ]


class sonde_path_node(Structure):
    """One node of the plan."""

    _fields_ = [
        ("t", c_double),
        ("alpha", c_double),
        ("sigma", c_double),
        ("lambda", c_double),
    ]


@dataclasses.dataclass(frozen=True)
class MethodInfo:
    """What sonde_method_info holds."""

    # keys, those common to the noun included
    key_count: int
    input_count: int
    output_count: int
    # "index", "quantizer", "row_sampler", ...
    noun: str
    # "ivf"
    name: str
    # one sentence
    summary: str
    # the paper or practice it comes from
    source: str


@dataclasses.dataclass(frozen=True)
class KeyInfo:
    """What sonde_key_info holds."""

    name: str
    # "int", "real", "word", "spec"
    kind: str
    # the default as text; "" = the key must be given
    fallback: str
    # words that are accepted, separated by '|', or ""
    words: str
    # for "spec": the noun of the nested spec, else ""
    noun: str
    # one line
    help: str
    # for "int" and "real"
    min: float
    max: float


@dataclasses.dataclass(frozen=True)
class InputInfo:
    """What sonde_input_info holds."""

    # 1 or 0
    required: int
    name: str
    # in words, such as "n x dim"
    shape: str
    # such as "f32 f16 bf16 i8 u8"
    dtypes: str
    help: str
    # the function that takes it: "train", "fit", "draw", "observe", "loss"
    verb: str


@dataclasses.dataclass(frozen=True)
class OutputInfo:
    """A named result beside those that a noun's structs have."""

    name: str
    # in words, such as "count x 1"
    shape: str
    # such as "i64"
    dtype: str
    help: str


@dataclasses.dataclass(frozen=True)
class SectionInfo:
    """One section of a container file."""

    # bytes of one element
    element_size: int
    # name, zero-terminated
    tag: str
    # the child handle it belongs to, "" = the file's own, such as "code"
    path: str
    # bytes from the start of the file
    offset: int
    bytes: int
    # stored CRC-32C
    checksum: int
    # 1 if the bytes match the checksum
    intact: int


@dataclasses.dataclass(frozen=True)
class OperatingPoint:
    """One point of the calibrated curve."""

    k: int
    effort: int
    # candidates a hit that are scored again; grows with the recall
    refine: int
    # mean over the calibration queries
    recall: float
    # lower end of a one-sided 95 % confidence interval of the mean
    recall_low: float
    # recall of the worst 5 %
    recall_p05: float
    # share of the rows that were scored
    cost: float
    # ivf: effort is the mean; each query visits the lists that score at most this below the mean of its ten nearest
    # ones. 0: the same number for all
    gap: float


@dataclasses.dataclass(frozen=True)
class IndexStats:
    """What sonde_index_stats holds."""

    # a sonde_metric
    metric: int
    dim: int
    # live rows
    count: int
    # rows removed but not yet given back
    removed: int
    # partitions (flat: 1)
    lists: int
    # rows
    largest_list: int
    empty_lists: int
    # held by the handle; mapped bytes are not in it
    memory_bytes: int
    mapped_bytes: int
    # bytes stored for a row: code, refine tier, factors, id
    row_bytes: int
    # grows by 1 with each add, remove, compact or merge that changed something
    version: int
    # 1 or 0
    trained: int
    # 0 no, 1 on stored rows, 2 on given queries
    calibrated: int
    # live rows at calibration
    calibrated_at: int
    # ivf: mean distance of stored rows to their centroids (a sample of 2,048), over that of the training rows: 1 =
    # none; 0 = not known
    drift: float
    # 0 no list is too long; 1 compact would split some; 2 some are, but cannot be split: lists of low rank, and
    # residual codes without a refine tier
    split: int
    # with more than four times the rows of the average list, and 64 or more. Those of equal rows stay so after compact
    long_lists: int

sonde_token_sampler_draft_run_model = CFUNCTYPE(c_int, POINTER(sonde_draft_tree), POINTER(sonde_array), c_void_p)

sonde_path_sampler_run_model = CFUNCTYPE(c_int, POINTER(sonde_ask), POINTER(sonde_array), c_void_p)


def bind(library: CDLL) -> None:
    """Gives every function its prototype."""
    function = library.sonde_version
    function.restype = c_char_p
    function.argtypes = []
    function.__doc__ = """
    The version of the library that is running, as "1.0.0". Static storage. Class A. Since 1.0.
    """
    function = library.sonde_build_info
    function.restype = c_char_p
    function.argtypes = []
    function.__doc__ = """
    How this library was built and what it chose on this machine: one line of key=value pairs, such as
    "version=1.0.0 isa=avx512 cpu=generic,avx2,avx512 blas=openblas threads=libomp".
    isa is the instruction set in use (SONDE_ISA in the environment can lower it: generic|avx2|avx512 on x86-64,
    generic|neon|crc32|dotprod on AArch64).
    Static storage. Class A. Since 1.0.
    """
    function = library.sonde_status_name
    function.restype = c_char_p
    function.argtypes = [c_int]
    function.__doc__ = """
    The name of a status, such as "INVALID_ARGUMENT"; "UNKNOWN" for a value that is none. Static storage. Class A.
    """
    function = library.sonde_status_text
    function.restype = c_char_p
    function.argtypes = [c_int]
    function.__doc__ = """
    One general sentence about a status. Static storage. Class A.
    """
    function = library.sonde_error_message
    function.restype = c_char_p
    function.argtypes = []
    function.__doc__ = """
    What went wrong in the last call of this thread that failed: which argument, its value, what was expected, and what
    to change. Never NULL; "" before the first failure. Valid until the next failing call of this thread. Class A.
    """
    function = library.sonde_runtime_create
    function.restype = c_int
    function.argtypes = [c_void_p, POINTER(c_void_p)]
    function.__doc__ = """
    Makes a runtime. options NULL = defaults. INVALID_ARGUMENT, OUT_OF_MEMORY. Class A. Since 1.0.
    """
    function = library.sonde_runtime_cancel
    function.restype = None
    function.argtypes = [c_void_p]
    function.__doc__ = """
    Asks all work of this runtime to stop; each call that is running returns CANCELLED soon. Safe from any thread and
    from a signal handler. It stays in force until sonde_runtime_resume. Class A. Since 1.0.
    """
    function = library.sonde_runtime_resume
    function.restype = None
    function.argtypes = [c_void_p]
    function.__doc__ = """
    Takes sonde_runtime_cancel back. Class A. Since 1.0.
    """
    function = library.sonde_runtime_memory
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_void_p]
    function.__doc__ = """
    Bytes that handles of this runtime hold now (scratch kept for later calls included), and the most they held. Either
    output may be NULL. Class A. Since 1.0.
    """
    function = library.sonde_runtime_free
    function.restype = None
    function.argtypes = [c_void_p]
    function.__doc__ = """
    Gives the caller's share up; memory goes when the last handle that uses it is freed. Class C. Since 1.0.
    """
    function = library.sonde_method_at
    function.restype = c_int
    function.argtypes = [c_uint32, c_void_p]
    function.__doc__ = """
    The position-th method over all nouns, in a fixed order. NOT_FOUND past the end. Class A. Since 1.0.
    """
    function = library.sonde_key_at
    function.restype = c_int
    function.argtypes = [c_char_p, c_char_p, c_uint32, c_void_p]
    function.__doc__ = """
    The position-th key, input or output of a method. NOT_FOUND for an unknown noun or method (the message names the nearest)
    and past the end. Class A. Since 1.0.
    """
    function = library.sonde_input_at
    function.restype = c_int
    function.argtypes = [c_char_p, c_char_p, c_uint32, c_void_p]
    function.__doc__ = """
    The position-th key, input or output of a method. NOT_FOUND for an unknown noun or method (the message names the nearest)
    and past the end. Class A. Since 1.0.
    """
    function = library.sonde_output_at
    function.restype = c_int
    function.argtypes = [c_char_p, c_char_p, c_uint32, c_void_p]
    function.__doc__ = """
    The position-th key, input or output of a method. NOT_FOUND for an unknown noun or method (the message names the nearest)
    and past the end. Class A. Since 1.0.
    """
    function = library.sonde_describe
    function.restype = c_int
    function.argtypes = [c_char_p, c_char_p, c_char_p, c_size_t, c_void_p]
    function.__doc__ = """
    A readable page about one method: summary, source, keys with ranges and defaults, inputs. Writes at most `capacity`
    bytes, always ends with a zero byte if capacity > 0, and gives the length of the whole text (without the zero) in
    *length, so a call with capacity 0 measures. NOT_FOUND. Class A. Since 1.0.
    """
    function = library.sonde_spec_check
    function.restype = c_int
    function.argtypes = [c_char_p, c_char_p, c_char_p, c_size_t, c_void_p]
    function.__doc__ = """
    Checks a spec against the tables without building anything, and writes its canonical form with every default filled
    in (text, capacity, length as in sonde_describe). INVALID_ARGUMENT, NOT_FOUND. Class A. Since 1.0.
    """
    function = library.sonde_file_sections
    function.restype = c_int
    function.argtypes = [c_char_p, c_void_p, c_int64, c_void_p, c_char_p]
    function.__doc__ = """
    Lists the sections of a container file and verifies each checksum. Fills at most `capacity` elements and gives the
    number of sections in *count. sections may be NULL if capacity is 0. `noun` (may be NULL; at least 16 bytes) receives
    what kind of handle the file holds, such as "index". IO, NOT_FOUND, CORRUPT (header or table of contents). Class A.
    """
    function = library.sonde_transform_create
    function.restype = c_int
    function.argtypes = [c_char_p, c_int64, c_void_p, POINTER(c_void_p)]
    function.__doc__ = """
    Makes a transform for vectors of `dim` columns (1..65536) from a spec ("sonde list transform" names the methods).
    A method that learns nothing is ready at once. INVALID_ARGUMENT, NOT_FOUND, OUT_OF_MEMORY. Class A. Since 1.0.
    """
    function = library.sonde_transform_train
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_size_t]
    function.__doc__ = """
    Learns from named inputs; every method that learns takes "vectors" (n x dim). Replaces what was learned before; on
    failure or cancel the old state stays. INVALID_ARGUMENT, CANCELLED, ... Class C. Since 1.0.
    """
    function = library.sonde_transform_apply
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_void_p]
    function.__doc__ = """
    out[i] = T(in[i]). in: n x dim, any numeric dtype; out: n x sonde_transform_dim_out, f32, yours; it may be the same
    memory as `in` only if both are f32 of equal shape and stride. STATE if untrained. Time O(n dim dim_out) at most.
    Class A. Since 1.0.
    """
    function = library.sonde_transform_apply_inverse
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_void_p]
    function.__doc__ = """
    The way back: in: n x dim_out, out: n x dim, f32. Exact for rotations, least squares for projections, UNSUPPORTED
    where there is none (normalise). Class A. Since 1.0.
    """
    function = library.sonde_transform_dim
    function.restype = c_int64
    function.argtypes = [c_void_p]
    function.__doc__ = """
    Columns that go in and come out; 0 for NULL. Class A. Since 1.0.
    """
    function = library.sonde_transform_dim_out
    function.restype = c_int64
    function.argtypes = [c_void_p]
    function.__doc__ = """
    Columns that go in and come out; 0 for NULL. Class A. Since 1.0.
    """
    function = library.sonde_transform_trained
    function.restype = c_bool
    function.argtypes = [c_void_p]
    function.__doc__ = """
    true once it can be applied. Class A. Since 1.0.
    """
    function = library.sonde_transform_spec
    function.restype = c_char_p
    function.argtypes = [c_void_p]
    function.__doc__ = """
    The full spec with every default filled in. Lives as long as the handle. Class A. Since 1.0.
    """
    function = library.sonde_transform_save
    function.restype = c_int
    function.argtypes = [c_void_p, c_char_p]
    function.__doc__ = """
    Writes one file, atomically; opens it again (options NULL = defaults). IO, CORRUPT, INCOMPATIBLE (the file holds
    another noun), LIMIT. An untrained transform can be saved too. Class A. Since 1.0.
    """
    function = library.sonde_transform_open
    function.restype = c_int
    function.argtypes = [c_char_p, c_void_p, c_void_p, POINTER(c_void_p)]
    function.__doc__ = """
    Writes one file, atomically; opens it again (options NULL = defaults). IO, CORRUPT, INCOMPATIBLE (the file holds
    another noun), LIMIT. An untrained transform can be saved too. Class A. Since 1.0.
    """
    function = library.sonde_transform_save_buffer
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_size_t, c_void_p]
    function.__doc__ = """
    The same bytes in memory, as sonde_index_save_buffer and sonde_index_open_buffer do it. Class A. Since 1.0.
    """
    function = library.sonde_transform_open_buffer
    function.restype = c_int
    function.argtypes = [c_void_p, c_size_t, c_void_p, c_void_p, POINTER(c_void_p)]
    function.__doc__ = """
    The same bytes in memory, as sonde_index_save_buffer and sonde_index_open_buffer do it. Class A. Since 1.0.
    """
    function = library.sonde_transform_free
    function.restype = None
    function.argtypes = [c_void_p]
    function.__doc__ = """
    Class C. Since 1.0.
    """
    function = library.sonde_quantizer_create
    function.restype = c_int
    function.argtypes = [c_char_p, c_int64, c_void_p, POINTER(c_void_p)]
    function.__doc__ = """
    Makes a quantizer for vectors of `dim` columns (1..65536) from a spec ("sonde list quantizer" names the methods).
    INVALID_ARGUMENT (the message says what would fit, such as values of m that divide dim), NOT_FOUND, OUT_OF_MEMORY.
    Class A. Since 1.0.
    """
    function = library.sonde_quantizer_train
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_size_t]
    function.__doc__ = """
    Learns from named inputs; every method takes "vectors" (n x dim, any numeric dtype, n at least what the method asks
    for). count 0: learns from what sonde_quantizer_observe has kept, and lets it go. Replaces what was learned before; on
    failure or cancel the old state stays. The result depends on data, spec and instruction set, never on threads. Class C.
    Since 1.0.
    """
    function = library.sonde_quantizer_observe
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_size_t]
    function.__doc__ = """
    Shows rows to learn from that come piece by piece: keeps a uniform sample of all rows seen so far, as many as training
    can use (the key `sample` where the method has one), for sonde_quantizer_train with count 0. inputs: "vectors" alone. The
    sample depends on the order of the rows, not on how they were cut into pieces. Class C. Since 1.0.
    """
    function = library.sonde_quantizer_cluster
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_size_t, c_void_p]
    function.__doc__ = """
    Trains, and gives the group of each row of "vectors": labels: n, yours, 0..groups - 1. For methods that cluster
    (kmeans, ppp); with kmeans(balance=...) the sizes of the groups keep the limits of the spec on exactly these rows, which
    encoding them afterwards need not. UNSUPPORTED for other methods. Class C. Since 1.0.
    """
    function = library.sonde_quantizer_output
    function.restype = c_int
    function.argtypes = [c_void_p, c_char_p, c_void_p]
    function.__doc__ = """
    One of the named results of training, such as the centroids of kmeans ("sonde list quantizer NAME" names a method's
    outputs). A view of the quantizer's memory that stays until the next train, cluster or free. NOT_FOUND, STATE before
    training. Class A. Since 1.0.
    """
    function = library.sonde_quantizer_encode
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_void_p]
    function.__doc__ = """
    codes[i] = code of vectors[i]. vectors: n x dim; codes: n x sonde_quantizer_code_bytes, u8, yours. STATE if untrained,
    INVALID_ARGUMENT for NaN and infinities. Class A. Since 1.0.
    """
    function = library.sonde_quantizer_decode
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_void_p]
    function.__doc__ = """
    vectors[i] = reconstruction of codes[i]; vectors: n x dim, f32, yours. CORRUPT if a code is none of this quantizer's.
    Class A. Since 1.0.
    """
    function = library.sonde_quantizer_distances
    function.restype = c_int
    function.argtypes = [c_void_p, c_uint32, c_void_p, c_void_p, c_void_p]
    function.__doc__ = """
    scores[i][j] = score of query i with the reconstruction of code j, computed on the codes (asymmetric). metric: a
    sonde_metric; HAMMING for codes of bits only (lsh, itq, ...): the query is encoded first. queries: nq x dim; codes: n x
    code_bytes; scores: nq x n, f32, yours. Time O(nq (dim + n code_bytes)). UNSUPPORTED. Class A. Since 1.0.
    """
    function = library.sonde_quantizer_code_distances
    function.restype = c_int
    function.argtypes = [c_void_p, c_uint32, c_void_p, c_void_p, c_void_p]
    function.__doc__ = """
    scores[i][j] = score of the reconstructions of codes i and j (symmetric). from: nq x code_bytes; the rest as above.
    Class A. Since 1.0.
    """
    function = library.sonde_quantizer_bounds
    function.restype = c_int
    function.argtypes = [c_void_p, c_uint32, c_void_p, c_void_p, c_void_p, c_void_p]
    function.__doc__ = """
    sonde_quantizer_distances with an error bound for each score: the score of the query with the row that the code was
    made from lies within scores[i][j] +- errors[i][j] with the probability that the method's page states (rabitq: 99.9 % of
    pairs, 3.3 standard errors, unless its key eps0 says otherwise). metric: l2 or ip. errors: nq x n, f32, yours. UNSUPPORTED for
    methods without a bound. Class A. Since 1.0.
    """
    function = library.sonde_quantizer_dim
    function.restype = c_int64
    function.argtypes = [c_void_p]
    function.__doc__ = """
    Columns of a vector; bytes of a code; 0 for NULL. Class A. Since 1.0.
    """
    function = library.sonde_quantizer_code_bytes
    function.restype = c_int64
    function.argtypes = [c_void_p]
    function.__doc__ = """
    Columns of a vector; bytes of a code; 0 for NULL. Class A. Since 1.0.
    """
    function = library.sonde_quantizer_trained
    function.restype = c_bool
    function.argtypes = [c_void_p]
    function.__doc__ = """
    true once it can encode. Class A. Since 1.0.
    """
    function = library.sonde_quantizer_spec
    function.restype = c_char_p
    function.argtypes = [c_void_p]
    function.__doc__ = """
    The full spec with every default filled in. Lives as long as the handle. Class A. Since 1.0.
    """
    function = library.sonde_quantizer_save
    function.restype = c_int
    function.argtypes = [c_void_p, c_char_p]
    function.__doc__ = """
    Writes one file, atomically; opens it again (options NULL = defaults). Class A. Since 1.0.
    """
    function = library.sonde_quantizer_open
    function.restype = c_int
    function.argtypes = [c_char_p, c_void_p, c_void_p, POINTER(c_void_p)]
    function.__doc__ = """
    Writes one file, atomically; opens it again (options NULL = defaults). Class A. Since 1.0.
    """
    function = library.sonde_quantizer_save_buffer
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_size_t, c_void_p]
    function.__doc__ = """
    The same bytes in memory, as sonde_index_save_buffer and sonde_index_open_buffer do it. Class A. Since 1.0.
    """
    function = library.sonde_quantizer_open_buffer
    function.restype = c_int
    function.argtypes = [c_void_p, c_size_t, c_void_p, c_void_p, POINTER(c_void_p)]
    function.__doc__ = """
    The same bytes in memory, as sonde_index_save_buffer and sonde_index_open_buffer do it. Class A. Since 1.0.
    """
    function = library.sonde_quantizer_free
    function.restype = None
    function.argtypes = [c_void_p]
    function.__doc__ = """
    Class C. Since 1.0.
    """
    function = library.sonde_trie_create
    function.restype = c_int
    function.argtypes = [c_char_p, c_int64, c_void_p, POINTER(c_void_p)]
    function.__doc__ = """
    Makes an empty trie for sequences of up to `length` codes (1..65536). spec: "trie", or with keys: codes
    (one more than the largest code that add accepts), duplicates=keep|refuse (whether a sequence may have
    several documents). INVALID_ARGUMENT, NOT_FOUND, OUT_OF_MEMORY. Class A. Since 1.0.
    """
    function = library.sonde_trie_add
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_void_p]
    function.__doc__ = """
    Adds documents. sequences: n x (1..length), i32. ids: n values of any kind, or NULL for the numbers that
    follow (0, 1, 2, ... at first: the count of documents so far). All rows or none. New rows wait in a small
    sorted part that is merged when it has 10 % of the documents: time O(documents / 10 + n log n) a call.
    INVALID_ARGUMENT (a code out of range, -1 before a code, an empty sequence, a second document with
    duplicates=refuse; the message names the row), LIMIT, OUT_OF_MEMORY, CANCELLED. Class C. Since 1.0.
    """
    function = library.sonde_trie_free
    function.restype = None
    function.argtypes = [c_void_p]
    function.__doc__ = """
    Class C. Since 1.0.
    """
    function = library.sonde_trie_count
    function.restype = c_int64
    function.argtypes = [c_void_p]
    function.__doc__ = """
    Documents; the longest sequence that it takes; 0 for NULL. Class A. Since 1.0.
    """
    function = library.sonde_trie_length
    function.restype = c_int64
    function.argtypes = [c_void_p]
    function.__doc__ = """
    Documents; the longest sequence that it takes; 0 for NULL. Class A. Since 1.0.
    """
    function = library.sonde_trie_spec
    function.restype = c_char_p
    function.argtypes = [c_void_p]
    function.__doc__ = """
    The full spec with every default filled in. Lives as long as the handle. Class A. Since 1.0.
    """
    function = library.sonde_trie_children
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_int64, c_void_p, c_int64, c_void_p]
    function.__doc__ = """
    The codes that can follow a prefix, ascending: writes at most `capacity`, gives how many there are in
    *count. prefix: prefix_length codes; 0 of them ask for the first codes. A prefix of no sequence has none.
    INVALID_ARGUMENT. Time O(prefix_length log codes + count). Class A. Since 1.0.
    """
    function = library.sonde_trie_lookup
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_int64, c_void_p, c_int64, c_void_p]
    function.__doc__ = """
    The documents of exactly this sequence, in the order of adding: writes at most `capacity`, gives how many
    there are in *count (0: the sequence is not stored). INVALID_ARGUMENT. Class A. Since 1.0.
    """
    function = library.sonde_trie_mask
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_int64, c_void_p]
    function.__doc__ = """
    For one step of a decoder: sets logits to -infinity for all codes that cannot follow. prefixes: n x any,
    i32, padded with -1 (all -1: the empty prefix); logits: n x vocabulary, f32, changed in place. end: the
    column that stands for the end of a sequence, allowed where the prefix is one; -1 = none. A row where
    nothing can follow is -infinity throughout. INVALID_ARGUMENT. Class A. Since 1.0.
    """
    function = library.sonde_trie_search
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_void_p]
    function.__doc__ = """
    Beam search over the stored sequences: from the empty prefix, follows the `width` prefixes with the largest
    sums of scores, code by code; sequences that end on the way are candidates beside longer ones. Returns the
    best `width` sequences found: all of them in their order if width is at least their number. Codes with a
    score of -infinity are not taken. An empty trie gives no hits and OK. INVALID_ARGUMENT (width 0, no score,
    end outside the vocabulary), CALLBACK (score returned nonzero, or wrote NaN or +infinity), OUT_OF_MEMORY,
    CANCELLED. Class A. Since 1.0.
    """
    function = library.sonde_sequences_unique
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_void_p, c_void_p]
    function.__doc__ = """
    Makes sequences different from each other. sequences: n x L, i32, all of full length; unique: n x (L + 1),
    i32, yours: the last column is the suffix, -1 where there is none. options NULL = defaults.
    INVALID_ARGUMENT, UNSUPPORTED (RESOLVE with another quantizer), STATE (it is untrained), OUT_OF_MEMORY,
    CANCELLED. Class A. Since 1.0.
    """
    function = library.sonde_trie_save
    function.restype = c_int
    function.argtypes = [c_void_p, c_char_p]
    function.__doc__ = """
    Writes one file, atomically; opens it again (options NULL = defaults). The same documents, added in the
    same order, give the same bytes. Class A. Since 1.0.
    """
    function = library.sonde_trie_open
    function.restype = c_int
    function.argtypes = [c_char_p, c_void_p, c_void_p, POINTER(c_void_p)]
    function.__doc__ = """
    Writes one file, atomically; opens it again (options NULL = defaults). The same documents, added in the
    same order, give the same bytes. Class A. Since 1.0.
    """
    function = library.sonde_trie_save_buffer
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_size_t, c_void_p]
    function.__doc__ = """
    The same bytes in memory, as sonde_index_save_buffer and sonde_index_open_buffer do it. Class A. Since 1.0.
    """
    function = library.sonde_trie_open_buffer
    function.restype = c_int
    function.argtypes = [c_void_p, c_size_t, c_void_p, c_void_p, POINTER(c_void_p)]
    function.__doc__ = """
    The same bytes in memory, as sonde_index_save_buffer and sonde_index_open_buffer do it. Class A. Since 1.0.
    """
    function = library.sonde_index_create
    function.restype = c_int
    function.argtypes = [c_char_p, c_int64, c_void_p, POINTER(c_void_p)]
    function.__doc__ = """
    Makes an empty index for vectors of `dim` columns (1..65536; for dtype=bits the number of bits) from a spec. Every
    index kind has the keys metric (l2, ip, cosine; flat with dtype=bits: hamming) and duplicates (replace, refuse).
    INVALID_ARGUMENT, NOT_FOUND, OUT_OF_MEMORY. Class A. Since 1.0.
    """
    function = library.sonde_index_train
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_size_t]
    function.__doc__ = """
    Learns what the method must learn (ivf: centroids and codes) from named inputs: "vectors" (n x dim). Without it the
    first add trains on what it is given. STATE if rows are stored already; on failure or cancel nothing has changed.
    Class C. Since 1.0.
    """
    function = library.sonde_index_add
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_void_p]
    function.__doc__ = """
    Adds rows. vectors: n x dim, any numeric dtype (dtype=bits: bits). ids: n values >= 0 in any order, or NULL for the
    numbers that follow the largest id so far (0, 1, 2, ... at first). An id that is stored already is replaced (upsert;
    with the spec key duplicates=refuse it is INVALID_ARGUMENT); an id that is twice in `ids` is INVALID_ARGUMENT. All
    rows or none. NaN and infinities are INVALID_ARGUMENT, zero vectors are stored. Also LIMIT, OUT_OF_MEMORY, CANCELLED,
    STATE (opened mapped). Class B. Since 1.0.
    """
    function = library.sonde_index_remove
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_int64, c_void_p]
    function.__doc__ = """
    Removes the rows of these ids; ids that are not stored are passed over. *removed (may be NULL) is how many were.
    Space comes back as segments empty, and wholly with compact. Class B. Since 1.0.
    """
    function = library.sonde_index_compact
    function.restype = c_int
    function.argtypes = [c_void_p]
    function.__doc__ = """
    Rewrites what holds removed rows and gives all spare memory back. Answers do not change, unless rows have drifted (ivf;
    stats tell): lists that hold more than four times the average are then split in two, again and again, rows around them go
    to the lists that are now nearest, and the calibration is measured again on stored rows. Each split shows at once with its
    calibration; it holds the rows that it moves twice. Codes stay as they were trained. On failure or cancel all rows are
    there, and lists are as before or as after one of these steps. CANCELLED, OUT_OF_MEMORY, STATE (opened mapped). Class B.
    Since 1.0.
    """
    function = library.sonde_index_merge
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p]
    function.__doc__ = """
    Adds every row of `from` (upsert). Both must have the same spec and, where trained, the same trained parts (made by
    opening the same file, or from the same training, and split alike by compact if at all); else INCOMPATIBLE. Class B on
    index, A on from. Since 1.0.
    """
    function = library.sonde_index_free
    function.restype = None
    function.argtypes = [c_void_p]
    function.__doc__ = """
    Class C. Since 1.0.
    """
    function = library.sonde_index_search
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_void_p, c_void_p]
    function.__doc__ = """
    The k nearest rows of each query. queries: nq x dim, any numeric dtype (dtype=bits: bits), finite. options NULL =
    defaults. An empty index gives no hits and OK. Many queries in one call share work and are much faster than one each.
    Up to 4 queries over less than 1e9 stored numbers tell no progress: that would be dearer than they are.
    INVALID_ARGUMENT, CANCELLED, CALLBACK, OUT_OF_MEMORY. Class A. Since 1.0.
    """
    function = library.sonde_index_range_search
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_float, c_void_p, POINTER(c_void_p)]
    function.__doc__ = """
    All rows within `radius`: l2 and hamming score <= radius, ip and cosine score >= radius. options->k is not used;
    recall, effort and filters are as in search (exact by default: recall 0 means 1 here). The result is yours. Class A.
    """
    function = library.sonde_range_hits_view
    function.restype = None
    function.argtypes = [c_void_p, POINTER(c_void_p), POINTER(c_void_p), POINTER(c_void_p)]
    function.__doc__ = """
    The arrays inside: hits of query i are offsets[i] .. offsets[i + 1] of ids and scores, best first. They live until
    sonde_range_hits_free. Any output may be NULL. Class A. Since 1.0.
    """
    function = library.sonde_range_hits_free
    function.restype = None
    function.argtypes = [c_void_p]
    function.__doc__ = """
    The arrays inside: hits of query i are offsets[i] .. offsets[i + 1] of ids and scores, best first. They live until
    sonde_range_hits_free. Any output may be NULL. Class A. Since 1.0.
    """
    function = library.sonde_topk_merge
    function.restype = c_int
    function.argtypes = [c_uint32, c_void_p, c_void_p, c_size_t, c_int64, c_uint32, c_void_p, c_void_p]
    function.__doc__ = """
    Joins what several searches found for the same queries (shards of one data set, replicas, index kinds): the k best of
    all, in the order of sonde_hits. parts[0..count): what searches with one metric wrote, best first; part p holds
    queries x widths[p], and its scores are needed. An id that several parts found comes once, with its best score; ids of
    -1 are passed over. merged: queries x k, yours; its reason needs the parts' reasons (EXACT or FEWER where every part
    says so, else EFFORT). INVALID_ARGUMENT (a part that is not best first is named), OUT_OF_MEMORY. Time
    O(queries k count). Class A. Since 1.0.
    """
    function = library.sonde_index_tune
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_void_p]
    function.__doc__ = """
    Measures which effort reaches which recall for k = 1, 10 and 100 on sample queries (at least 50; 500 or more are
    better; real queries are best; NULL = disturbed stored rows), against exact search, and keeps the curve in the index
    and its file. The first add of at least 1,000 rows calibrates on stored rows by itself. flat: nothing to do, OK.
    INVALID_ARGUMENT, STATE (empty or untrained), CANCELLED (the old curve stays). Class C. Since 1.0.
    """
    function = library.sonde_index_operating_point
    function.restype = c_int
    function.argtypes = [c_void_p, c_uint32, c_void_p]
    function.__doc__ = """
    The position-th point, ordered by k, then effort. NOT_FOUND past the end. Class A. Since 1.0.
    """
    function = library.sonde_index_count
    function.restype = c_int64
    function.argtypes = [c_void_p]
    function.__doc__ = """
    Rows stored; columns; metric (a sonde_metric). 0 for NULL. Class A. Since 1.0.
    """
    function = library.sonde_index_dim
    function.restype = c_int64
    function.argtypes = [c_void_p]
    function.__doc__ = """
    Rows stored; columns; metric (a sonde_metric). 0 for NULL. Class A. Since 1.0.
    """
    function = library.sonde_index_metric
    function.restype = c_uint32
    function.argtypes = [c_void_p]
    function.__doc__ = """
    Rows stored; columns; metric (a sonde_metric). 0 for NULL. Class A. Since 1.0.
    """
    function = library.sonde_index_contains
    function.restype = c_bool
    function.argtypes = [c_void_p, c_int64]
    function.__doc__ = """
    true if the id is stored. Expected O(1) (the first call after opening may build a table). Class A. Since 1.0.
    """
    function = library.sonde_index_ids
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_int64, c_void_p]
    function.__doc__ = """
    The ids stored, in no particular order: writes at most `capacity`, gives the number stored in *count. Class A.
    """
    function = library.sonde_index_get
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_int64, c_void_p]
    function.__doc__ = """
    Reconstructs stored rows (exact for flat and where a refine=f32 tier is kept; cosine ivf keeps unit length).
    out: count x dim, f32 (dtype=bits: bits), yours. NOT_FOUND names the first id that is not stored. Class A. Since 1.0.
    """
    function = library.sonde_index_spec
    function.restype = c_char_p
    function.argtypes = [c_void_p]
    function.__doc__ = """
    The full spec with every default filled in. Lives as long as the handle. Class A. Since 1.0.
    """
    function = library.sonde_index_stats_get
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p]
    function.__doc__ = """
    What the index holds now, as one search would see it. Class A. Since 1.0.
    """
    function = library.sonde_index_estimate
    function.restype = c_int
    function.argtypes = [c_char_p, c_int64, c_int64, c_void_p, c_void_p]
    function.__doc__ = """
    Bytes of memory that an index of this spec would hold with `rows` rows, and the most it needs while it is built from
    them in one add. Either output may be NULL. INVALID_ARGUMENT, NOT_FOUND. Class A. Since 1.0.
    """
    function = library.sonde_index_check
    function.restype = c_int
    function.argtypes = [c_void_p]
    function.__doc__ = """
    Proves the structure: counts, ids, locations, codes in range. CORRUPT names the first thing that is wrong. O(n).
    Class A. Since 1.0.
    """
    function = library.sonde_index_save
    function.restype = c_int
    function.argtypes = [c_void_p, c_char_p]
    function.__doc__ = """
    Writes one file, atomically: a crash or a full disk leaves the old file. The same content gives the same bytes. It
    saves what one search would see; others may add meanwhile. IO, OUT_OF_MEMORY, CANCELLED. Class A. Since 1.0.
    """
    function = library.sonde_index_open
    function.restype = c_int
    function.argtypes = [c_char_p, c_void_p, c_void_p, POINTER(c_void_p)]
    function.__doc__ = """
    Opens a file; needs only the path. options NULL = read into memory and verify everything. IO, NOT_FOUND, CORRUPT,
    INCOMPATIBLE, LIMIT. Class A. Since 1.0.
    """
    function = library.sonde_index_save_buffer
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_size_t, c_void_p]
    function.__doc__ = """
    The same bytes in memory. With capacity 0 it measures: *length = bytes needed; else LIMIT if capacity is too small.
    Class A. Since 1.0.
    """
    function = library.sonde_index_open_buffer
    function.restype = c_int
    function.argtypes = [c_void_p, c_size_t, c_void_p, c_void_p, POINTER(c_void_p)]
    function.__doc__ = """
    The same bytes in memory. With capacity 0 it measures: *length = bytes needed; else LIMIT if capacity is too small.
    Class A. Since 1.0.
    """
    function = library.sonde_row_sampler_create
    function.restype = c_int
    function.argtypes = [c_char_p, c_int64, c_void_p, POINTER(c_void_p)]
    function.__doc__ = """
    Makes a sampler from a spec ("sonde list row_sampler" names the methods). dim: columns of the vectors it will see
    (1..65536), or 0 to take it from what it is fitted on. INVALID_ARGUMENT, NOT_FOUND, OUT_OF_MEMORY. Class A.
    Since 1.0.
    """
    function = library.sonde_row_sampler_fit
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_size_t]
    function.__doc__ = """
    Takes the data in: the inputs with the verb "fit" of the method's table. Replaces what was fitted before and goes
    back to the first pass; on failure or cancel the old state stays. INVALID_ARGUMENT (an input is missing, of a wrong
    shape or value), LIMIT, CANCELLED, ... Class C. Since 1.0.
    """
    function = library.sonde_row_sampler_attach
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p]
    function.__doc__ = """
    Uses an index of the caller in place of one that fit would build from "documents", for the methods that search. Its
    ids are the ids of the draws. The index is borrowed: it must outlive the sampler, or be taken back with NULL; it is
    searched only, so others may search and change it meanwhile. It is not saved: what is opened answers STATE where it
    has to search, until an index is attached again. UNSUPPORTED for methods without an index. Class C. Since 1.0.
    """
    function = library.sonde_row_sampler_draw
    function.restype = c_int
    function.argtypes = [c_void_p, c_int64, c_void_p]
    function.__doc__ = """
    Draws the next `count` rows (0 = as many as the method's spec says) into *rows, and steps on. At the end of a pass
    the rest comes, which may be fewer. What a row is (a row of the data, a query's negative, a pair) the method's page
    says. STATE if the method needs to be fitted first, INVALID_ARGUMENT if it cannot choose by itself what to draw for.
    On failure nothing has moved, and the arrays of the draw before are gone. Class S. Since 1.0.
    """
    function = library.sonde_row_sampler_draw_for
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_size_t, c_int64, c_void_p]
    function.__doc__ = """
    The same for what the inputs name (the verb "draw" of the method's table), such as the queries of this
    training step. UNSUPPORTED for methods that take none. Class S. Since 1.0.
    """
    function = library.sonde_row_sampler_output
    function.restype = c_int
    function.argtypes = [c_void_p, c_char_p, c_void_p]
    function.__doc__ = """
    One more column of the last draw or observation, by the name that the method's table of outputs has, such as "pairs"
    or "ranks". A view of the sampler's memory that stays until the next draw, observe, fit, merge or free. NOT_FOUND,
    STATE before the first draw. Class S. Since 1.0.
    """
    function = library.sonde_row_sampler_observe
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_size_t]
    function.__doc__ = """
    Tells the sampler what came of its draws, or that the data has changed (the verb "observe" of the method's table):
    losses, counts, re-encoded documents. UNSUPPORTED for methods that learn nothing while they run. Class S. Since 1.0.
    """
    function = library.sonde_row_sampler_loss
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, c_void_p]
    function.__doc__ = """
    The loss that the method's paper trains with, on one batch (inputs with the verb "loss"). For each of `gradients`,
    named as the input whose derivative is wanted and of its shape (f32, yours), the array is filled. Mean over the
    batch unless the method's page says otherwise. UNSUPPORTED for methods without a loss; INVALID_ARGUMENT. Class A.
    Since 1.0.
    """
    function = library.sonde_row_sampler_merge
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p]
    function.__doc__ = """
    Joins samplers of two shards: `into` then draws from the rows of both, as if it had been fitted on them together,
    and is at the start of pass 0. Both have the same spec; ids that were given must differ, ids that were not are
    renumbered: those of `from` come behind those of `into`. INCOMPATIBLE, UNSUPPORTED (the method has no such summary).
    `from` stays as it is. Class C on `into`, A on `from`. Since 1.0.
    """
    function = library.sonde_row_sampler_seek
    function.restype = c_int
    function.argtypes = [c_void_p, c_int64]
    function.__doc__ = """
    Goes to the beginning of a pass (0 = the first). For endless streams, passes are independent streams.
    INVALID_ARGUMENT for a negative one. Class S. Since 1.0.
    """
    function = library.sonde_row_sampler_fitted
    function.restype = c_bool
    function.argtypes = [c_void_p]
    function.__doc__ = """
    true once it can be drawn from. Class A. Since 1.0.
    """
    function = library.sonde_row_sampler_dim
    function.restype = c_int64
    function.argtypes = [c_void_p]
    function.__doc__ = """
    Columns of the vectors it sees, 0 while not known and for NULL. Class A. Since 1.0.
    """
    function = library.sonde_row_sampler_spec
    function.restype = c_char_p
    function.argtypes = [c_void_p]
    function.__doc__ = """
    The full spec with every default filled in. Lives as long as the handle. Class A. Since 1.0.
    """
    function = library.sonde_row_sampler_save
    function.restype = c_int
    function.argtypes = [c_void_p, c_char_p]
    function.__doc__ = """
    Writes one file, atomically, with the place in the pass, so that what is opened goes on with the next draw. An
    attached index is not part of it. Class A. Since 1.0.
    """
    function = library.sonde_row_sampler_open
    function.restype = c_int
    function.argtypes = [c_char_p, c_void_p, c_void_p, POINTER(c_void_p)]
    function.__doc__ = """
    Writes one file, atomically, with the place in the pass, so that what is opened goes on with the next draw. An
    attached index is not part of it. Class A. Since 1.0.
    """
    function = library.sonde_row_sampler_save_buffer
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_size_t, c_void_p]
    function.__doc__ = """
    The same bytes in memory, as sonde_index_save_buffer and sonde_index_open_buffer do it. Class A. Since 1.0.
    """
    function = library.sonde_row_sampler_open_buffer
    function.restype = c_int
    function.argtypes = [c_void_p, c_size_t, c_void_p, c_void_p, POINTER(c_void_p)]
    function.__doc__ = """
    The same bytes in memory, as sonde_index_save_buffer and sonde_index_open_buffer do it. Class A. Since 1.0.
    """
    function = library.sonde_row_sampler_free
    function.restype = None
    function.argtypes = [c_void_p]
    function.__doc__ = """
    Class C. Since 1.0.
    """
    function = library.sonde_token_sampler_create
    function.restype = c_int
    function.argtypes = [c_char_p, c_int64, c_void_p, POINTER(c_void_p)]
    function.__doc__ = """
    Makes a sampler for a vocabulary of V tokens (1..2^24) from a spec ("sonde list token_sampler" names the stages and
    samplers). A stage alone is a chain of one. The chain is checked here: unknown stages, two draws, a draw that is not
    last. INVALID_ARGUMENT, NOT_FOUND, OUT_OF_MEMORY. Class A. Since 1.0.
    """
    function = library.sonde_token_sampler_next
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_void_p]
    function.__doc__ = """
    Draws one token for each row of logits into tokens[rows], for sequences 0, 1, ..., and appends it to the past of its
    sequence. Fails as a whole: on failure no sequence has moved. INVALID_ARGUMENT names the row. O(V) a row. Class S.
    Since 1.0.
    """
    function = library.sonde_token_sampler_next_with
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_void_p, c_void_p]
    function.__doc__ = """
    The same with options, and with what else is known about each draw. Class S. Since 1.0.
    """
    function = library.sonde_token_sampler_filter
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_void_p, c_int64, c_void_p, c_void_p, c_void_p]
    function.__doc__ = """
    The candidates that next would draw from, without drawing: for row i counts[i] survivors, of which the most likely
    `capacity` are written, most likely first: ids[i * capacity ...] and their log-probabilities. The arrays are yours;
    log_probs may be NULL. Moves no sequence. Class S. Since 1.0.
    """
    function = library.sonde_token_sampler_accept
    function.restype = c_int
    function.argtypes = [c_void_p, c_int64, c_void_p, c_int64]
    function.__doc__ = """
    Appends tokens that were not drawn here (a prompt, what another sampler chose) to the past of a sequence. Class S.
    Since 1.0.
    """
    function = library.sonde_token_sampler_reset
    function.restype = c_int
    function.argtypes = [c_void_p, c_int64]
    function.__doc__ = """
    Forgets a sequence, or all of them with -1. Class S. Since 1.0.
    """
    function = library.sonde_token_sampler_draft
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_void_p]
    function.__doc__ = """
    Grows a draft level by level from the draft model's logits. With logits NULL a new tree begins, whose frontier is
    the root; then each call takes the logits (or laws, by the spec) of the frontier, one row a node, and gives the next
    one. Ready when frontier_count is 0. The tree's arrays belong to the sampler, until the next draft or free.
    UNSUPPORTED for samplers that verify nothing. Class S. Since 1.0.
    """
    function = library.sonde_token_sampler_draft_run
    function.restype = c_int
    function.argtypes = [c_void_p, sonde_token_sampler_draft_run_model, c_void_p, c_void_p]
    function.__doc__ = """
    The whole of a draft by a callback: what draft gives, without the loop. The model fills logits (one row for each
    node of tree->frontier, f32); nonzero ends with CALLBACK. Class S. Since 1.0.
    """
    function = library.sonde_token_sampler_verify
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_void_p, c_void_p, c_void_p]
    function.__doc__ = """
    Accepts a path through the tree so that the emitted tokens (the accepted ones and verdict->token) are distributed as
    if drawn from the target model. target: (count + 1) x V, row 0 for the root, row i + 1 for node i. draft: the laws
    that the children of each node were drawn from, in the same rows (rows of leaves are not read); NULL: those of the
    last draft of this sampler. tree NULL: the tree of the last draft. Only rows that the walk reaches are read and
    checked. INVALID_ARGUMENT for rows that are no laws, drafts that the draft law excludes, repeated siblings where they
    must differ. Class S. Since 1.0.
    """
    function = library.sonde_token_sampler_accept_rate
    function.restype = c_int
    function.argtypes = [c_void_p, c_char_p, c_void_p, c_void_p, c_int64, c_void_p]
    function.__doc__ = """
    The exact chance that one of `width` drafts is accepted at a node: p, q: 1 x V laws of target and draft. rule: a
    word of the key "verify", or "optimal_iid" or "optimal_wor", the best that any rule can reach with drafts drawn with
    or without replacement. UNSUPPORTED where no closed form is known. Class A. Since 1.0.
    """
    function = library.sonde_token_sampler_vocabulary
    function.restype = c_int64
    function.argtypes = [c_void_p]
    function.__doc__ = """
    Tokens of the vocabulary; 0 for NULL. Class A. Since 1.0.
    """
    function = library.sonde_token_sampler_spec
    function.restype = c_char_p
    function.argtypes = [c_void_p]
    function.__doc__ = """
    The full spec with every default filled in. Lives as long as the handle. Class A. Since 1.0.
    """
    function = library.sonde_token_sampler_save
    function.restype = c_int
    function.argtypes = [c_void_p, c_char_p]
    function.__doc__ = """
    Writes one file, atomically, with the past of every sequence, so that what is opened draws the same tokens next.
    Drafts are not part of it. Class A. Since 1.0.
    """
    function = library.sonde_token_sampler_open
    function.restype = c_int
    function.argtypes = [c_char_p, c_void_p, c_void_p, POINTER(c_void_p)]
    function.__doc__ = """
    Writes one file, atomically, with the past of every sequence, so that what is opened draws the same tokens next.
    Drafts are not part of it. Class A. Since 1.0.
    """
    function = library.sonde_token_sampler_save_buffer
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_size_t, c_void_p]
    function.__doc__ = """
    The same bytes in memory, as sonde_index_save_buffer and sonde_index_open_buffer do it. Class A. Since 1.0.
    """
    function = library.sonde_token_sampler_open_buffer
    function.restype = c_int
    function.argtypes = [c_void_p, c_size_t, c_void_p, c_void_p, POINTER(c_void_p)]
    function.__doc__ = """
    The same bytes in memory, as sonde_index_save_buffer and sonde_index_open_buffer do it. Class A. Since 1.0.
    """
    function = library.sonde_token_sampler_free
    function.restype = None
    function.argtypes = [c_void_p]
    function.__doc__ = """
    Class C. Since 1.0.
    """
    function = library.sonde_path_sampler_create
    function.restype = c_int
    function.argtypes = [c_char_p, c_int64, c_void_p, POINTER(c_void_p)]
    function.__doc__ = """
    Makes a sampler for states of `dim` values a row (1..2^40) from a spec ("sonde list path_sampler" names the solvers,
    "sonde list schedule" the schedules). The plan is made and checked here. INVALID_ARGUMENT, NOT_FOUND, OUT_OF_MEMORY.
    Class A. Since 1.0.
    """
    function = library.sonde_path_sampler_start
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p]
    function.__doc__ = """
    Begins at x (rows x dim; f32, f16 or bf16, which is copied), the state at the first node: noise of standard
    deviation sigma of that node for variance-exploding schedules, 1 for the others. Drops a run that is under way.
    INVALID_ARGUMENT for NaN and infinities, rows < 1. Class S. Since 1.0.
    """
    function = library.sonde_path_sampler_ask
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p]
    function.__doc__ = """
    Says what is wanted next; the same answer until tell. STATE before start. Class S. Since 1.0.
    """
    function = library.sonde_path_sampler_tell
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p]
    function.__doc__ = """
    Brings what ask wanted (rows x dim; f32, f16 or bf16; read during the call only) and moves on. INVALID_ARGUMENT for
    NaN and infinities, naming step and row: the run stands where it stood. STATE if nothing is wanted. O(rows dim).
    Class S. Since 1.0.
    """
    function = library.sonde_path_sampler_run
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, sonde_path_sampler_run_model, c_void_p]
    function.__doc__ = """
    start, then ask the model and tell, until done; the final state goes to x (rows x dim, f32) itself. The model fills
    prediction (rows x dim, f32) for ask; nonzero ends with CALLBACK. Progress and cancel once a step. On failure x is
    as it was, and ask and tell can go on from where the run stood. Class S. Since 1.0.
    """
    function = library.sonde_path_sampler_output
    function.restype = c_int
    function.argtypes = [c_void_p, c_char_p, c_void_p]
    function.__doc__ = """
    What the run has made, by the name that the method's table of outputs has: "state" (rows x dim, f32: where it
    stands) for all, "log_likelihood" (rows x 1) for those that compute it. A view of the sampler's memory that stays
    until the next tell, start or free. NOT_FOUND, STATE before it is there. Class S. Since 1.0.
    """
    function = library.sonde_path_sampler_nodes
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_int64, c_void_p]
    function.__doc__ = """
    The plan: fills at most `capacity` nodes, noise first, and gives their number in *count. nodes may be NULL if
    capacity is 0. Class A. Since 1.0.
    """
    function = library.sonde_path_sampler_dim
    function.restype = c_int64
    function.argtypes = [c_void_p]
    function.__doc__ = """
    Values of a row; 0 for NULL. Class A. Since 1.0.
    """
    function = library.sonde_path_sampler_spec
    function.restype = c_char_p
    function.argtypes = [c_void_p]
    function.__doc__ = """
    The full spec with every default filled in. Lives as long as the handle. Class A. Since 1.0.
    """
    function = library.sonde_path_sampler_save
    function.restype = c_int
    function.argtypes = [c_void_p, c_char_p]
    function.__doc__ = """
    Writes one file, atomically, with the run that is under way: what is opened goes on with the next ask. Class A.
    Since 1.0.
    """
    function = library.sonde_path_sampler_open
    function.restype = c_int
    function.argtypes = [c_char_p, c_void_p, c_void_p, POINTER(c_void_p)]
    function.__doc__ = """
    Writes one file, atomically, with the run that is under way: what is opened goes on with the next ask. Class A.
    Since 1.0.
    """
    function = library.sonde_path_sampler_save_buffer
    function.restype = c_int
    function.argtypes = [c_void_p, c_void_p, c_size_t, c_void_p]
    function.__doc__ = """
    The same bytes in memory, as sonde_index_save_buffer and sonde_index_open_buffer do it. Class A. Since 1.0.
    """
    function = library.sonde_path_sampler_open_buffer
    function.restype = c_int
    function.argtypes = [c_void_p, c_size_t, c_void_p, c_void_p, POINTER(c_void_p)]
    function.__doc__ = """
    The same bytes in memory, as sonde_index_save_buffer and sonde_index_open_buffer do it. Class A. Since 1.0.
    """
    function = library.sonde_path_sampler_free
    function.restype = None
    function.argtypes = [c_void_p]
    function.__doc__ = """
    Class C. Since 1.0.
    """
