"""Arrays: every kind of source gives the same answers, in place where that is possible; peak memory is the witness.

SPDX-License-Identifier: MIT
"""

import array
import ctypes
import logging

import numpy as np
import pytest
from conftest import run_child

import sonde


class Tensor:
    """What torch gives: DLPack and nothing else. bfloat16 comes as uint16 words, as no NumPy dtype is it."""

    def __init__(self, words, bfloat16=False, device=1):
        self.words, self.bfloat16, self.device, self.deleted = words, bfloat16, device, 0

    def __dlpack_device__(self):
        return self.device, 0

    def __dlpack__(self, **options):
        capsule = self.words.__dlpack__()
        get = ctypes.pythonapi.PyCapsule_GetPointer
        get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        place = get(capsule, b"dltensor")
        ctypes.c_int32.from_address(place + 8).value = self.device
        if self.bfloat16:
            ctypes.c_uint8.from_address(place + 20).value = 4  # the type code of bfloat
        return capsule


class Interface:
    def __init__(self, rows):
        self.rows = rows
        self.__array_interface__ = rows.__array_interface__


def as_bfloat16(rows):
    """The upper halves of the words, and the values that they stand for."""
    words = (rows.view(np.uint32) >> 16).astype(np.uint16)
    return words, (words.astype(np.uint32) << 16).view(np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8, np.uint8])
def test_dtypes_are_read_as_they_are(rng, dtype):
    rows = rng.integers(0, 100, (50, 17)).astype(dtype)
    index = sonde.Index("flat", dim=17).add(rows, copy=False)
    assert (index.get(range(50)) == rows.astype(np.float32)).all()
    assert (index.search(rows, k=1, copy=False).ids[:, 0] == np.arange(50)).all()


def sources(rows):
    wide = np.zeros((len(rows), 40), np.float32)
    wide[:, 4:36] = rows
    spread = np.zeros((2 * len(rows), 32), np.float32)
    spread[::2] = rows
    frozen = rows.copy()
    frozen.flags.writeable = False
    return {"columns of a wider matrix": wide[:, 4:36], "every second row": spread[::2], "read-only": frozen,
            "DLPack": Tensor(rows), "strided DLPack": Tensor(wide[:, 4:36]), "__array_interface__": Interface(rows),
            "memoryview": memoryview(rows), "one row": rows[:1]}


@pytest.mark.parametrize("kind", ["columns of a wider matrix", "every second row", "read-only", "DLPack",
                                  "strided DLPack", "__array_interface__", "memoryview", "one row"])
def test_layouts_that_are_used_in_place(vectors, kind):
    index = sonde.Index("flat", dim=32).add(sources(vectors)[kind], copy=False)
    assert (index.get(range(len(index))) == vectors[:len(index)]).all()


@pytest.mark.parametrize("kind, source", [
    ("float64", lambda x: x.astype(np.float64)),
    ("Fortran order", np.asfortranarray),
    ("reversed rows", lambda x: x[::-1]),
    ("reversed columns", lambda x: x[:, ::-1]),
    ("big endian", lambda x: x.astype(">f4")),
    ("lists", lambda x: x.tolist()),
    ("int64", lambda x: x.astype(np.int64)),
    ("bool", lambda x: x > 0),
    ("one row for all", lambda x: np.broadcast_to(x[0], x.shape)),
    ("float64 DLPack", lambda x: Tensor(x.astype(np.float64)))])
def test_layouts_that_need_one_copy(vectors, kind, source, caplog):
    given = source(vectors[:20])
    expected = np.asarray(given.words if isinstance(given, Tensor) else given, np.float32)
    index = sonde.Index("flat", dim=32)
    with caplog.at_level(logging.INFO, "sonde"):
        assert (index.add(given).get(range(20)) == expected).all()
    assert "was copied as packed float32" in caplog.text
    with pytest.raises(ValueError, match="copy=False"):
        index.add(given, copy=False)
    assert len(index) == 20


def test_bfloat16_capsules(rng):
    words, values = as_bfloat16(rng.standard_normal((30, 16), dtype=np.float32))
    index = sonde.Index("flat", dim=16).add(Tensor(words, bfloat16=True), copy=False)
    assert (index.get(range(30)) == values).all()


def test_other_tensors_are_refused(vectors):
    index = sonde.Index("flat", dim=32)
    with pytest.raises(ValueError, match="device type 2, move it to the CPU"):
        index.add(Tensor(vectors.copy(), device=2))
    for wrong, message in [(np.zeros((2, 3, 4), np.float32), "3 dimensions"), (np.float32(3), "0 dimensions"),
                           (np.zeros((2, 32), complex), "complex128"), (np.array([["a"]]), "no numeric dtype")]:
        with pytest.raises(ValueError, match=message):
            index.add(wrong)


def test_buffers_of_python_itself():
    index = sonde.Index("flat", dim=3)
    index.add(array.array("f", [1, 2, 3]), copy=False).add([4, 5, 6]).add(bytearray(b"\1\2\3"))
    assert index.get([0, 1, 2]).tolist() == [[1, 2, 3], [4, 5, 6], [1, 2, 3]]
    assert index.search([1, 2, 3], k=2).ids.tolist() == [0, 2]


def test_ids_of_every_integer_kind(vectors):
    for ids in ([5, 6], range(5, 7), np.array([5, 6], np.uint8), np.array([5, 0, 6, 0], np.int64)[::2]):
        assert sorted(sonde.Index("flat", dim=32).add(vectors[:2], ids=ids)) == [5, 6]
    with pytest.raises(ValueError, match="ids: float64 values, expected integers"):
        sonde.Index("flat", dim=32).add(vectors[:2], ids=[1.0, 2.0])
    with pytest.raises(ValueError, match="3 ids for 2 vectors"):
        sonde.Index("flat", dim=32).add(vectors[:2], ids=[1, 2, 3])


PEAK = """
import sys
import numpy as np, sonde
kind = sys.argv[1]

def high_water():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024

n = 200_000
if kind == "strided":
    spec, rows, dim = "flat(first=none)", np.ones((n, 256), np.float32)[:, 128:], 128
elif kind == "bits":
    spec, rows, dim = "flat(dtype=bits, metric=hamming)", np.ones((n, 512), np.uint8), 4096
else:
    short = {"float32": "f32", "float16": "f16", "int8": "i8", "uint8": "u8"}[kind]
    rows = np.ones((n, 512 // np.dtype(kind).itemsize), kind)
    spec, dim = f"flat(dtype={short}" + (", first=none)" if short == "f32" else ")"), rows.shape[1]
index = sonde.Index(spec, dim, runtime=sonde.Runtime(threads=1)).add(rows[:20])
before = high_water()
index.add(rows, copy=False)
print(high_water() - before, rows.nbytes)
"""


@pytest.mark.parametrize("kind", ["float32", "float16", "int8", "uint8", "bits", "strided"])
def test_no_copies_by_peak_memory(kind):
    """100 MB go into an index of their own dtype: the peak grows by what it stores, not by twice that."""
    grown, size = map(int, run_child(PEAK, kind).split())
    assert size >= 100_000_000 and 0.9 * size < grown < 1.3 * size


@pytest.mark.parametrize("kind", ["float32", "float16", "int8", "uint8", "bits", "strided"])
def test_no_copies_of_queries_by_peak_memory(kind):
    """100 MB of queries: what grows is room for hits and for a block of converted queries."""
    search = PEAK.replace("index.add(rows, copy=False)", "index.search(rows, k=1, copy=False)")
    grown, size = map(int, run_child(search, kind).split())
    assert size >= 100_000_000 and grown < 0.6 * size


def test_a_conversion_shows_in_peak_memory():
    """The same measurement sees the copy where there must be one."""
    grown, size = map(int, run_child(PEAK.replace("np.ones((n, 256), np.float32)[:, 128:]", "np.ones((n, 128))")
                                     .replace("copy=False", "copy=None"), "strided").split())
    assert grown > 0.9 * size  # float64: a stored half and a converted half
