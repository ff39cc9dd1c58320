"""Calls that take long: other threads run, Ctrl-C and exceptions stop them, and the index is as it was.

SPDX-License-Identifier: MIT
"""

import logging
import signal
import threading
import time

import numpy as np
import pytest
from conftest import run_child

import sonde
from sonde import _api, _calls


@pytest.fixture(scope="module")
def many():
    return np.random.default_rng(5).standard_normal((60_000, 64), dtype=np.float32)


def test_the_lock_is_released(many):
    """A thread of Python counts while a search runs. Holding the lock, it could not count once."""
    index = sonde.Index("flat", dim=64, runtime=sonde.Runtime(threads=1)).add(many)
    done, counts = threading.Event(), []

    def search():
        index.search(many[:4000])
        done.set()

    thread = threading.Thread(target=search)
    thread.start()
    while not done.is_set():
        counts.append(time.perf_counter())
        time.sleep(0.001)
    thread.join()
    assert len(counts) > 20


def test_progress_reports_on_the_calling_thread(many):
    seen = []
    sonde.Index("ivf(nlist=64)", dim=64).add(many, progress=lambda *step: seen.append((*step, threading.get_ident())))
    assert seen and all(0 <= done <= total and total >= 1 for _, done, total, _ in seen)
    assert {thread for *_, thread in seen} == {threading.get_ident()}
    assert all(isinstance(stage, str) and stage for stage, *_ in seen)


def test_progress_true_draws_a_bar(many, capsys):
    sonde.Index("ivf(nlist=64)", dim=64).add(many, progress=True)
    drawn = capsys.readouterr()
    assert "%" in drawn.err and drawn.err.endswith("\n") and drawn.out == ""


def test_a_bar_like_tqdm(many):
    class Bar:
        def __init__(self):
            self.calls = []

        def reset(self, total):
            self.calls.append(("reset", total))

        def set_description(self, text):
            self.calls.append(("stage", text))

        def update(self, more):
            self.calls.append(("update", more))

    bar = Bar()
    sonde.Index("ivf(nlist=64)", dim=64).train(many, progress=bar)
    assert bar.calls[0][0] == "reset" and all(more >= 0 for word, more in bar.calls if word == "update")
    with pytest.raises(TypeError, match="tqdm"):
        sonde.Index("flat", dim=64).add(many, progress="yes")


@pytest.mark.parametrize("verb", ["train", "add", "search", "tune", "merge"])
def test_an_exception_in_progress_comes_home(many, verb):
    index = sonde.Index("ivf(nlist=256)", dim=64)
    other = None
    if verb in ("search", "tune", "merge"):
        index.add(many[:30_000])
        other = sonde.from_bytes(index.to_bytes())
    before = index.to_bytes()

    def fail(stage, done, total):
        raise ZeroDivisionError(stage)

    calls = {"train": lambda: index.train(many, progress=fail), "add": lambda: index.add(many, progress=fail),
             "search": lambda: index.search(many[:20_000], recall=1, progress=fail),
             "tune": lambda: index.tune(progress=fail), "merge": lambda: index.merge(other, progress=fail)}
    with pytest.raises(ZeroDivisionError):
        calls[verb]()
    assert index.to_bytes() == before


def test_an_exception_leaves_nothing_behind(many):
    """The next call knows nothing of the last one's failure."""
    index = sonde.Index("ivf(nlist=64)", dim=64)
    with pytest.raises(SystemExit):
        index.train(many, progress=lambda *step: exec("raise SystemExit"))
    assert len(index.add(many[:5000])) == 5000


INTERRUPT = """
import os, signal, sys, threading, time
import numpy as np, sonde

verb, number = sys.argv[1], int(sys.argv[2])
many = np.random.default_rng(1).standard_normal((100_000, 96), dtype=np.float32)
index = sonde.Index("flat" if verb == "search" else "ivf(nlist=2000, iters=200, sample=10000)", dim=96)
if verb == "search":
    index.add(many)
before = index.to_bytes()
class Stop(Exception): pass
def raise_stop(number, frame): raise Stop
if number != signal.SIGINT:
    signal.signal(number, raise_stop)
def strike():
    time.sleep(0.7)
    os.kill(os.getpid(), number)
threading.Thread(target=strike, daemon=True).start()
calls = {"train": lambda: index.train(many), "add": lambda: index.add(many),
         "search": lambda: index.search(many, recall=1)}
start = time.time()
try:
    calls[verb]()
except (KeyboardInterrupt, Stop) as error:
    print(type(error).__name__, "%.1f" % (time.time() - start), index.to_bytes() == before)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
else:
    print("was not stopped")
"""


@pytest.mark.parametrize("verb", ["train", "add", "search"])
def test_ctrl_c(verb):
    name, seconds, same = run_child(INTERRUPT, verb, int(signal.SIGINT)).split()
    assert name == "KeyboardInterrupt" and same == "True" and float(seconds) < 8


def test_other_signals_that_raise():
    name, seconds, same = run_child(INTERRUPT, "train", int(signal.SIGALRM)).split()
    assert name == "Stop" and same == "True" and float(seconds) < 8


def test_a_handler_that_does_not_raise_stops_nothing(many):
    seen = []
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        fired = []

        def strike(stage, done, total):
            if not fired:
                fired.append(signal.raise_signal(signal.SIGINT))

        index = sonde.Index("ivf(nlist=64)", dim=64).add(many, progress=strike)
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [signal.SIGINT] and len(index) == 60_000


def test_the_librarys_log_is_the_logger_sonde(caplog):
    """As C would call it; what is no UTF-8 does not stop it."""
    _calls.on_log(_api.LogLevel.WARNING, b"few rows for 64 lists", None)
    assert caplog.record_tuples == [("sonde", logging.WARNING, "few rows for 64 lists")]
    with caplog.at_level(logging.INFO, "sonde"):
        _calls.on_log(_api.LogLevel.INFO, b"\xff", None)
    assert len(caplog.records) == 2


def test_calls_nest(many):
    """A filter may search another index, and a progress function too."""
    inner = sonde.Index("flat", dim=64).add(many[:100])
    outer = sonde.Index("flat", dim=64).add(many[:300])
    found = outer.search(many[:2], k=3, filter=lambda i: inner.search(many[i], k=1).ids[0] == i)
    assert (found.ids == inner.search(many[:2], k=3).ids).all()
    with pytest.raises(ValueError, match="columns"):
        outer.search(many[:2], filter=lambda i: inner.search(many[0, :5]))


def test_close_beside_running_searches(many):
    """close() in one thread while others search: they finish or find the index closed; nothing crashes."""
    for _ in range(5):
        index = sonde.Index("flat", dim=64).add(many[:20_000])
        said = []

        def search(index=index, said=said):
            try:
                while True:
                    assert (index.search(many[:50], k=1).ids[:, 0] == np.arange(50)).all()
            except sonde.InvalidArgument as error:
                said.append(str(error))

        threads = [threading.Thread(target=search) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.05)
        index.close()
        for thread in threads:
            thread.join()
        assert said == ["search: index is NULL"] * 3


def test_searches_beside_one_writer(many):
    index = sonde.Index("flat", dim=64).add(many[:1000])
    failures = []

    def search():
        for _ in range(60):
            hits = index.search(many[:20], k=1)
            if not (hits.ids[:, 0] == np.arange(20)).all():
                failures.append(hits)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for start in range(1000, 9000, 100):
        index.add(many[start:start + 100])
        index.remove(range(start, start + 50))
    for thread in threads:
        thread.join()
    assert not failures and len(index) == 5000 and index.check()
