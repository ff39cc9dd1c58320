"""The few functions of libsonde that the benchmarks call, through ctypes.

The structs follow include/sonde/*.h. Everything that can be prepared is prepared before the clock starts, so that a
timed call is one foreign call and nothing else. SONDE_LIBRARY in the environment names another library file.
"""
# SPDX-License-Identifier: MIT
import ctypes
import os

import numpy as np

F32, U8 = 1, 5
BITMAP, IDS = 1, 2
HERE = os.path.dirname(os.path.abspath(__file__))
DEFAULT_LIBRARY = os.path.join(HERE, "..", "..", "lib", "libsonde.so")

u8, u32, u64, i64, f32, f64, size_t, pointer, text = (
    ctypes.c_uint8, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_int64, ctypes.c_float, ctypes.c_double,
    ctypes.c_size_t, ctypes.c_void_p, ctypes.c_char_p)


class Array(ctypes.Structure):
    _fields_ = [("data", pointer), ("rows", i64), ("cols", i64), ("stride", i64), ("dtype", u32), ("reserved", u32)]


class Sized(ctypes.Structure):
    """A struct whose first field is its own size."""

    def __init__(self, **fields):
        super().__init__(size=ctypes.sizeof(type(self)), **fields)


class Input(ctypes.Structure):
    _fields_ = [("name", text), ("array", ctypes.POINTER(Array))]


class RuntimeOptions(Sized):
    _fields_ = [("size", u32), ("threads", u32), ("memory_limit", u64), ("alloc", pointer), ("release", pointer),
                ("memory_user", pointer), ("progress", pointer), ("progress_user", pointer), ("log", pointer),
                ("log_user", pointer)]


class Filter(Sized):
    _fields_ = [("size", u32), ("kind", u32), ("exclude", u32), ("reserved", u32), ("bits", pointer), ("ids", pointer),
                ("count", i64), ("first", i64), ("last", i64), ("accept", pointer), ("user", pointer)]


class SearchOptions(Sized):
    _fields_ = [("size", u32), ("k", u32), ("recall", f32), ("effort", u32), ("refine", u32), ("threads", u32),
                ("filter", ctypes.POINTER(Filter)), ("filter_count", i64)]


class Hits(Sized):
    _fields_ = [("size", u32), ("reserved", u32), ("ids", pointer), ("scores", pointer), ("count", pointer),
                ("reason", pointer)]


class TuneOptions(Sized):
    _fields_ = [("size", u32), ("threads", u32), ("seconds", f64), ("seed", u64)]


class Stats(Sized):
    _fields_ = [("size", u32), ("metric", u32), ("dim", i64), ("count", i64), ("removed", i64), ("lists", i64),
                ("largest_list", i64), ("empty_lists", i64), ("memory_bytes", u64), ("mapped_bytes", u64),
                ("row_bytes", u64), ("version", u64), ("trained", u32), ("calibrated", u32), ("calibrated_at", i64)]


def load():
    path = os.path.abspath(os.environ.get("SONDE_LIBRARY", DEFAULT_LIBRARY))
    if not os.path.exists(path):
        raise SystemExit(f"{path} does not exist; run `make shared` first, or name the library in SONDE_LIBRARY")
    return ctypes.CDLL(path)


lib = load()


def declare(name, *arguments, result=ctypes.c_int):
    function = getattr(lib, "sonde_" + name)
    function.argtypes, function.restype = arguments, result
    return function


build_info = declare("build_info", result=text)
error_message = declare("error_message", result=text)
runtime_create = declare("runtime_create", pointer, pointer)
runtime_free = declare("runtime_free", pointer, result=None)
index_create = declare("index_create", text, i64, pointer, pointer)
index_add = declare("index_add", pointer, pointer, pointer)
index_remove = declare("index_remove", pointer, pointer, i64, pointer)
index_compact = declare("index_compact", pointer)
index_search = declare("index_search", pointer, pointer, pointer, pointer)
index_tune = declare("index_tune", pointer, pointer, pointer)
index_stats = declare("index_stats_get", pointer, pointer)
index_check = declare("index_check", pointer)
index_spec = declare("index_spec", pointer, result=text)
index_save_buffer = declare("index_save_buffer", pointer, pointer, size_t, pointer)
index_free = declare("index_free", pointer, result=None)
quantizer_create = declare("quantizer_create", text, i64, pointer, pointer)
quantizer_train = declare("quantizer_train", pointer, pointer, size_t)
quantizer_encode = declare("quantizer_encode", pointer, pointer, pointer)
quantizer_decode = declare("quantizer_decode", pointer, pointer, pointer)
quantizer_code_bytes = declare("quantizer_code_bytes", pointer, result=i64)
quantizer_free = declare("quantizer_free", pointer, result=None)


class Error(RuntimeError):
    pass


def check(status):
    if status:
        raise Error(error_message().decode())


def view(matrix):
    """The sonde_array of a packed matrix, which must outlive it."""
    dtype = {np.dtype(np.float32): F32, np.dtype(np.uint8): U8}[matrix.dtype]
    assert matrix.ndim == 2 and matrix.flags.c_contiguous
    return Array(matrix.ctypes.data, matrix.shape[0], matrix.shape[1], matrix.strides[0], dtype, 0)


class Handle:
    """A pointer and the function that frees it."""
    free = None

    def __init__(self, create, *arguments):
        self.handle = pointer()
        check(create(*arguments, ctypes.byref(self.handle)))

    def close(self):
        type(self).free(self.handle)
        self.handle = pointer()


class Runtime(Handle):
    free = runtime_free

    def __init__(self, threads):
        super().__init__(runtime_create, ctypes.byref(RuntimeOptions(threads=threads)))


class Index(Handle):
    free = index_free

    def __init__(self, spec, dim, runtime):
        super().__init__(index_create, spec.encode(), dim, runtime.handle)

    def add(self, rows, ids=None):
        check(index_add(self.handle, ctypes.byref(view(rows)), None if ids is None else ids.ctypes.data))

    def remove(self, ids):
        check(index_remove(self.handle, ids.ctypes.data, len(ids), None))

    def compact(self):
        check(index_compact(self.handle))

    def tune(self, queries):
        check(index_tune(self.handle, ctypes.byref(view(queries)), None))

    def check(self):
        check(index_check(self.handle))

    def spec(self):
        return index_spec(self.handle).decode()

    def stats(self):
        stats = Stats()
        check(index_stats(self.handle, ctypes.byref(stats)))
        return stats

    def file_bytes(self):
        length = size_t()
        check(index_save_buffer(self.handle, None, 0, ctypes.byref(length)))
        return length.value


def bitmap_filter(allowed, count):
    """Allows the rows `allowed` of `count`. What the struct points to hangs on it."""
    mask = np.zeros(count, bool)
    mask[allowed] = True
    bits = np.packbits(mask, bitorder="little")
    made = Filter(kind=BITMAP, bits=bits.ctypes.data, count=count)
    made.keep = bits
    return made


def ids_filter(allowed):
    ids = np.sort(allowed).astype(np.int64)
    made = Filter(kind=IDS, ids=ids.ctypes.data, count=len(ids))
    made.keep = ids
    return made


class Search:
    """One prepared search: run() hands over all queries in one call, each() one a call; ids and count hold the hits."""

    def __init__(self, index, queries, k, threads, filter=None, **how):
        self.index, self.queries = index, queries
        self.ids = np.full((len(queries), k), -1, np.int64)
        self.count = np.zeros(len(queries), np.int32)
        self.scores = np.zeros((len(queries), k), np.float32)
        self.filter = filter
        self.options = SearchOptions(k=k, threads=threads, **how)
        if filter is not None:
            self.options.filter, self.options.filter_count = ctypes.pointer(filter), 1

    def hits(self):
        return Hits(ids=self.ids.ctypes.data, scores=self.scores.ctypes.data, count=self.count.ctypes.data)

    def run(self):
        hits = self.hits()
        check(index_search(self.index.handle, ctypes.byref(view(self.queries)), ctypes.byref(self.options),
                           ctypes.byref(hits)))

    def each(self):
        one, hits = view(self.queries), self.hits()
        one.rows = 1
        at, rows, options, out = self.index.handle, ctypes.byref(one), ctypes.byref(self.options), ctypes.byref(hits)
        query, ids, scores, count = one.data, hits.ids, hits.scores, hits.count
        row, k = self.queries.strides[0], self.options.k
        for i in range(len(self.queries)):
            one.data, hits.ids = query + i * row, ids + i * k * 8
            hits.scores, hits.count = scores + i * k * 4, count + i * 4
            if index_search(at, rows, options, out):
                raise Error(error_message().decode())


class Quantizer(Handle):
    free = quantizer_free

    def __init__(self, spec, dim, runtime):
        super().__init__(quantizer_create, spec.encode(), dim, runtime.handle)
        self.dim = dim

    def train(self, rows):
        array = view(rows)
        inputs = (Input * 1)(Input(b"vectors", ctypes.pointer(array)))
        check(quantizer_train(self.handle, inputs, 1))

    def encode(self, rows):
        codes = np.empty((len(rows), quantizer_code_bytes(self.handle)), np.uint8)
        check(quantizer_encode(self.handle, ctypes.byref(view(rows)), ctypes.byref(view(codes))))
        return codes

    def decode(self, codes):
        rows = np.empty((len(codes), self.dim), np.float32)
        check(quantizer_decode(self.handle, ctypes.byref(view(codes)), ctypes.byref(view(rows))))
        return rows
