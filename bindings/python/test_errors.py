"""Mistakes: the C message reaches the user unchanged, in the exception that Python has for it.

SPDX-License-Identifier: MIT
"""

import pickle

import numpy as np
import pytest

import sonde
from sonde._library import lib


@pytest.fixture
def index(vectors):
    return sonde.Index("flat(duplicates=refuse)", dim=32).add(vectors)


def last_message():
    return lib.sonde_error_message().decode()


def with_nan(rows):
    rows = rows.copy()
    rows[7, 3] = np.nan
    return rows


SPECS = ["ivff", "ivf(nlst=4)", "ivf(nlist=0)", "ivf(nlist=4", "flat(metric=l3)", "ivf(code=pqq(m=3))",
         "ivf(code=pq(m=7))", ""]


@pytest.mark.parametrize("spec", SPECS)
def test_spec_typos(spec):
    with pytest.raises(ValueError) as raised:
        sonde.Index(spec, dim=32)
    assert str(raised.value) == last_message() != "" and isinstance(raised.value, sonde.Error)


MISTAKES = {
    "columns": (ValueError, lambda i, x: i.search(x[:, :20])),
    "no columns": (ValueError, lambda i, x: i.search(x[:, :0])),
    "nan in queries": (ValueError, lambda i, x: i.search(with_nan(x))),
    "nan in rows": (ValueError, lambda i, x: i.add(with_nan(x), ids=range(9000, 11000))),
    "infinity": (ValueError, lambda i, x: i.search(x * np.float64(1e300))),
    "duplicate": (ValueError, lambda i, x: i.add(x[:1], ids=[5])),
    "twice": (ValueError, lambda i, x: i.add(x[:2], ids=[9999, 9999])),
    "negative id": (ValueError, lambda i, x: i.add(x[:1], ids=[-4])),
    "unknown id": (KeyError, lambda i, x: i.get([3, 123456])),
    "k": (ValueError, lambda i, x: i.search(x, k=65537)),
    "recall": (ValueError, lambda i, x: i.search(x, recall=1.5)),
    "both": (ValueError, lambda i, x: i.search(x, recall=0.5, effort=3)),
    "dim": (ValueError, lambda i, x: sonde.Index("flat", dim=0)),
    "itself": (ValueError, lambda i, x: i.merge(i)),
    "state": (RuntimeError, lambda i, x: sonde.Index("ivf", dim=3).tune()),
    "incompatible": (ValueError, lambda i, x: i.merge(sonde.Index("flat(metric=ip)", dim=32))),
    "no file": (FileNotFoundError, lambda i, x: sonde.open("no/such/file.sonde")),
    "a folder": (OSError, lambda i, x: sonde.open(".")),
    "unwritable": (OSError, lambda i, x: i.save("no/such/folder/x.sonde")),
    "bytes": (ValueError, lambda i, x: sonde.from_bytes(b"not an index")),
    "no bytes": (ValueError, lambda i, x: sonde.from_bytes(b"")),
    "other noun": (ValueError, lambda i, x: sonde.Quantizer.from_bytes(i.to_bytes())),
    "damaged": (ValueError, lambda i, x: sonde.from_bytes(i.to_bytes()[:-100] + bytes(100))),
    "method": (ValueError, lambda i, x: sonde.describe("index", "flt")),
    "no noun": (KeyError, lambda i, x: sonde.describe("indx", "flat")),
    "input": (ValueError, lambda i, x: sonde.Quantizer("pq(m=4)", 32).train(x, vektors=x)),
    "too few": (ValueError, lambda i, x: sonde.Quantizer("kmeans(k=500)", 32).train(x[:20])),
    "untrained": (RuntimeError, lambda i, x: sonde.Quantizer("pq(m=4)", 32).encode(x)),
    "no inverse": (NotImplementedError, lambda i, x: sonde.Transform("normalise", 32).apply_inverse(x)),
    "limit": (MemoryError, lambda i, x: sonde.Index("flat", 32, runtime=sonde.Runtime(memory_limit=1 << 16)).add(x)),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(index, vectors, name):
    kind, mistake = MISTAKES[name]
    before = index.to_bytes()
    with pytest.raises(kind) as raised:
        mistake(index, vectors)
    assert isinstance(raised.value, sonde.Error) and str(raised.value) == last_message()
    assert sonde.status_name(raised.value.status) in sonde.Status.__members__
    assert index.to_bytes() == before


@pytest.mark.parametrize("verb, call", [
    ("search", lambda i, x: i.search(x)),
    ("range_search", lambda i, x: i.range_search(x, 1)),
    ("add", lambda i, x: i.add(x)),
    ("train", lambda i, x: i.train(x)),
    ("compact", lambda i, x: i.compact()),
    ("save", lambda i, x: i.save("x.sonde")),
    ("stats", lambda i, x: i.stats()),
    ("check", lambda i, x: i.check()),
    ("to_bytes", lambda i, x: i.to_bytes())])
def test_closed_handles(index, vectors, verb, call):
    index.close()
    with pytest.raises(ValueError, match="NULL") as raised:
        call(index, vectors)
    assert str(raised.value) == last_message()
    for question in (len, lambda i: 5 in i, lambda i: i.spec, lambda i: i.dim, lambda i: i.metric, lambda i: i.ids()):
        with pytest.raises(ValueError, match="the index is closed"):
            question(index)


def test_numbers_that_ctypes_would_wrap(index, vectors):
    for options in ({"k": 0}, {"k": -1}, {"k": 2**32 + 3}, {"effort": 0}, {"effort": -2}, {"recall": 0},
                    {"threads": -1}):
        with pytest.raises(ValueError, match="search: (k|effort|recall|threads) is"):
            index.search(vectors[:2], **options)
    for call in (lambda: sonde.Runtime(threads=-1), lambda: sonde.Runtime(memory_limit=-1),
                 lambda: index.tune(seed=-1)):
        with pytest.raises(ValueError, match="=-1.* expected 0 or more"):
            call()


def test_every_status_has_its_class():
    classes = {kind.status: kind for kind in vars(sonde).values()
               if isinstance(kind, type) and issubclass(kind, sonde.Error) and kind is not sonde.Error
               and kind is not sonde.FileNotFound}
    assert set(classes) == set(sonde.Status) - {sonde.Status.OK}
    for status, kind in classes.items():
        assert kind.__name__ and sonde.status_text(status)
        again = pickle.loads(pickle.dumps(kind("what was wrong")))
        assert type(again) is kind and str(again) == "what was wrong"
