"""Calls that may take long: they report progress, stop at Ctrl-C, and bring exceptions of callbacks home.

An exception that leaves a ctypes callback is lost. So callbacks catch everything, tell C to cancel, and the exception
is raised again after C has unwound. A signal handler of Python would run, and raise, at the very entry of the callback,
before any `try`. So while C works on the main thread, the handlers that could raise are replaced by one that only notes
the signal, and the next progress callback runs the real one where exceptions are caught.

When the interpreter ends, daemon threads may be inside C, and a callback that then asked for the interpreter would end
its thread in the middle of C. So the end waits until those calls, told to stop, have left C, and lets no new ones in.

SPDX-License-Identifier: MIT
"""

import _signal  # type: ignore[import-not-found]  # signal without conversions to enums, dearer than a small search
import atexit
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType, MappingProxyType
from typing import Any

from . import _api
from ._errors import check

Report = Callable[[str, int, int], object]
Progress = bool | Report | None
Handler = Callable[[int, FrameType | None], object]

_RAISING_SIGNALS = (_signal.SIGINT, _signal.SIGTERM, *([_signal.SIGALRM] if hasattr(_signal, "SIGALRM") else []))
_getsignal, _setsignal = _signal.getsignal, _signal.signal
_logger = logging.getLogger("sonde")


class Call:
    """One call into C: whom to tell, which exception to raise after it, which signals came meanwhile."""

    # Defaults on the class: most calls never set them, and small searches come by the hundred thousand.
    report: Report | None = None
    error: BaseException | None = None
    signals: Sequence[tuple[int, FrameType | None]] = ()
    handlers: Mapping[int, Handler] = MappingProxyType({})
    ended = False

    def defer_signals(self) -> None:
        """Only the main thread runs handlers."""
        self.handlers = {}
        for number in _RAISING_SIGNALS:
            handler = _getsignal(number)
            if callable(handler):
                self.handlers[number] = handler
                _setsignal(number, self.note_signal)

    def restore_signals(self) -> None:
        self.ended = True
        for number, handler in self.handlers.items():
            _setsignal(number, handler)

    def note_signal(self, number: int, frame: FrameType | None) -> None:
        self.signals = [*self.signals, (number, frame)]
        if self.ended:
            self.run_handlers()

    def run_handlers(self) -> None:
        while self.signals:
            (number, frame), *self.signals = self.signals
            self.handlers[number](number, frame)

    def tick(self, stage: str, done: int, total: int) -> None:
        self.run_handlers()
        if self.report is not None:
            self.report(stage, done, total)


class _Thread(threading.local):
    call: Call | None = None


_thread = _Thread()
_main_thread = threading.main_thread
_this_thread = threading.current_thread

_LONGEST_WAIT = 10.0  # seconds that the end of the interpreter waits; calls that tell progress stop within a tenth of one
_inside: set[Call] = set()  # calls that are in C now
_ending = threading.Event()


def _end() -> None:
    _ending.set()
    last = time.monotonic() + _LONGEST_WAIT
    while _inside and time.monotonic() < last:
        time.sleep(0.001)


def _stay_out() -> None:
    """Where the interpreter ends: holds a daemon thread, which ends with the process. Other exit functions may go on."""
    while _this_thread() is not _main_thread():
        time.sleep(3600)


atexit.register(_end)
os.register_at_fork(after_in_child=_inside.clear)  # the other threads are not there


def guarded(function: Callable[..., Any], *arguments: Any, otherwise: Any) -> Any:
    """Runs a callback; what it raises waits in the thread's call, and after that no callback of this call runs."""
    call = _thread.call
    if call is None:  # a short call, which nobody guards
        return function(*arguments)
    if call.error is not None:
        return otherwise
    try:
        return function(*arguments)
    except BaseException as error:
        call.error = error
        return otherwise


def _tick(stage: bytes, done: int, total: int) -> int:
    call = _thread.call
    if call is not None:
        call.tick(stage.decode(), done, total)
    return 0


def _on_progress(stage: bytes, done: int, total: int, user: int | None) -> int:
    if _ending.is_set() and _this_thread() is not _main_thread():
        return 1
    guarded(_tick, stage, done, total, otherwise=1)
    call = _thread.call
    return 1 if call is not None and call.error is not None else 0


def _on_log(level: int, text: bytes, user: int | None) -> None:
    python_level = logging.WARNING if level == _api.LogLevel.WARNING else logging.INFO
    guarded(_logger.log, python_level, "%s", text.decode(errors="replace"), otherwise=None)


on_progress = _api.sonde_runtime_options_progress(_on_progress)
on_log = _api.sonde_runtime_options_log(_on_log)


class _Bar:
    """progress=True: one line on stderr."""

    begun = False

    def __call__(self, stage: str, done: int, total: int) -> None:
        self.begun = True
        filled = 30 * done // total
        print(f"\r{stage:<36} [{'#' * filled:<30}] {100 * done // total:3d} %", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.begun:
            print(file=sys.stderr)


class _Meter:
    """An object like tqdm's bars: total, set_description, update(how many more)."""

    def __init__(self, bar: Any) -> None:
        self.bar, self.stage, self.done = bar, "", 0

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage != self.stage or done < self.done:  # a stage may run again
            self.stage, self.done = stage, 0
            self.bar.reset(total)
            self.bar.set_description(stage)
        self.bar.update(done - self.done)
        self.done = done


def reporter(progress: Progress) -> Report | None:
    """What `progress=` means: True, a function (stage, done, total), or a bar like tqdm's."""
    if progress is None or progress is False:
        return None
    if progress is True:
        return _Bar()
    if hasattr(progress, "set_description") and not isinstance(progress, type):
        return _Meter(progress)
    if not callable(progress):
        raise TypeError(f"progress is True, a function or a bar like tqdm's, not {type(progress).__name__}")
    return progress


def _finish(call: Call) -> None:
    """After C has unwound: what callbacks raised, then signals that no callback met."""
    error, call.error = call.error, None
    if error is not None:
        raise error
    call.run_handlers()


def status_of(function: Callable[..., int], *arguments: Any, report: Report | None = None) -> int:
    """The status of a C call; raises what its callbacks raised."""
    if _ending.is_set():
        _stay_out()
    outer = _thread.call
    call = _thread.call = Call()
    if report is not None:
        call.report = report
    try:
        if _this_thread() is _main_thread():
            call.defer_signals()
        _inside.add(call)
        status = function(*arguments)
    finally:
        _inside.discard(call)
        call.restore_signals()
        _thread.call = outer
        if _ending.is_set():
            _stay_out()
    if call.error is not None or call.signals:
        _finish(call)
    return status


def run(function: Callable[..., int], *arguments: Any, progress: Progress = None,
        checked: Callable[[int], None] = check) -> None:
    """Calls C, reports progress, and raises what went wrong."""
    report = reporter(progress)
    try:
        checked(status_of(function, *arguments, report=report))
    finally:
        if isinstance(report, _Bar):
            report.close()
