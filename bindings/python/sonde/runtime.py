"""Runtime: where handles take threads and memory from, and how their work is cancelled from another thread.

SPDX-License-Identifier: MIT
"""

import operator
from ctypes import byref, c_uint64, c_void_p, sizeof
from types import TracebackType
from typing import NamedTuple, Self

from . import _calls
from ._api import sonde_runtime_options
from ._errors import InvalidArgument, check
from ._handle import Handle
from ._library import lib


class Memory(NamedTuple):
    """Bytes that the handles of a runtime hold now, and the most they held."""

    used: int
    peak: int


class Runtime:
    """Threads and memory that several handles share; pass it as `runtime=`. Safe from any thread.

    threads: most threads a call may use (0: all processors of this process).
    memory_limit: most bytes that its handles may hold together (0: no limit); beyond it calls raise LimitExceeded.
    What the library logs goes to the logger "sonde".
    """

    def __init__(self, threads: int = 0, memory_limit: int = 0) -> None:
        self.threads = threads
        self.memory_limit = memory_limit
        self._handle = create(threads, memory_limit)

    def cancel(self) -> None:
        """Stops all work of this runtime: running calls raise Cancelled soon, later ones at once, until resume()."""
        lib.sonde_runtime_cancel(self._handle)

    def resume(self) -> None:
        """Takes cancel() back."""
        lib.sonde_runtime_resume(self._handle)

    def memory(self) -> Memory:
        """Bytes held now and at the peak."""
        used, peak = c_uint64(), c_uint64()
        check(lib.sonde_runtime_memory(self._handle, byref(used), byref(peak)))
        return Memory(used.value, peak.value)

    def close(self) -> None:
        """Gives this share up; handles that use the runtime keep it alive."""
        self._handle = Handle.CLOSED

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def __reduce__(self) -> tuple[type["Runtime"], tuple[int, int]]:
        return Runtime, (self.threads, self.memory_limit)

    def __repr__(self) -> str:
        return f"sonde.Runtime(threads={self.threads}, memory_limit={self.memory_limit})"


def create(threads: int = 0, memory_limit: int = 0) -> Handle:
    """A runtime that reports to Python; each handle made without one gets its own."""
    if threads < 0 or memory_limit < 0:  # ctypes would wrap them
        raise InvalidArgument(f"runtime: threads={threads} and memory_limit={memory_limit}, expected 0 or more")
    options = sonde_runtime_options(size=sizeof(sonde_runtime_options), threads=operator.index(threads),
                                    memory_limit=operator.index(memory_limit), progress=_calls.on_progress,
                                    log=_calls.on_log)
    pointer = c_void_p()
    check(lib.sonde_runtime_create(byref(options), byref(pointer)))
    return Handle(pointer.value, lib.sonde_runtime_free)
