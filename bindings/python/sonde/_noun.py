"""What all nouns share: making, files, bytes, pickles, closing.

SPDX-License-Identifier: MIT
"""

import operator
import os
import pickle
from collections.abc import Callable
from ctypes import byref, c_size_t, c_void_p, sizeof
from types import TracebackType
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from . import _arrays, _calls, runtime as _runtime
from ._api import OpenMode, Status, Verify, sonde_open_options
from ._errors import Corrupt, Incompatible, InvalidArgument, check, check_file
from ._handle import Handle
from .catalogue import file_sections
from .runtime import Runtime

Path = str | os.PathLike[str]


class Verbs(NamedTuple):
    """The C functions that every noun has."""

    create: Callable[..., int]
    save: Callable[..., int]
    open: Callable[..., int]
    save_buffer: Callable[..., int]
    open_buffer: Callable[..., int]
    spec: Callable[..., bytes | None]
    dim: Callable[..., int]
    free: Callable[[int], None]


class Noun:
    """A handle made from a spec. Thread-safety is that of the C functions; close() is safe beside any call."""

    noun: ClassVar[str]
    _verbs: ClassVar[Verbs]

    def __init__(self, spec: str, dim: int, *, runtime: Runtime | None = None) -> None:
        self._hold(runtime, check, self._verbs.create, spec.encode(), operator.index(dim))

    def _hold(self, runtime: Runtime | None, checked: Callable[[int], None], make: Callable[..., int],
              *arguments: Any) -> None:
        """Takes the handle that `make` gives; without a runtime it gets a private one that it alone keeps."""
        self.runtime = runtime
        self._handle = Handle.CLOSED
        self._mapped: tuple[Path, os.stat_result] | None = None
        pointer = c_void_p()
        held = _runtime.create() if runtime is None else runtime._handle
        try:
            checked(_calls.status_of(make, *arguments, held, byref(pointer)))
        finally:  # a signal may raise after C has made the handle
            self._handle = Handle(pointer.value, self._verbs.free)
        self._made()

    def _made(self) -> None:
        """What a noun looks up once."""

    def _live(self) -> Handle:
        """For questions that C answers with 0 where there is no handle."""
        if not self._handle:
            raise InvalidArgument(f"the {self.noun} is closed")
        return self._handle

    # ---- Looking -------------------------------------------------------------------------------------------------

    @property
    def spec(self) -> str:
        """The full spec with every default filled in."""
        return (self._verbs.spec(self._live()) or b"").decode()

    @property
    def dim(self) -> int:
        """Columns of a vector."""
        return self._verbs.dim(self._live())

    def __str__(self) -> str:
        return self.spec if self._handle else f"closed {self.noun}"

    def __repr__(self) -> str:
        name = f"sonde.{type(self).__name__}"
        return f'{name}("{self.spec}", dim={self.dim})' if self._handle else f"<closed {name}>"

    # ---- Learning ------------------------------------------------------------------------------------------------

    def _learn(self, function: Callable[..., int], named: dict[str, _arrays.View], progress: _calls.Progress) -> None:
        """train or fit: C's named inputs."""
        given = _arrays.inputs(named)
        _calls.run(function, self._handle, given, len(named), progress=progress)

    # ---- Files and bytes -----------------------------------------------------------------------------------------

    def save(self, path: Path, *, progress: _calls.Progress = None) -> None:
        """Writes one file, atomically: a crash or a full disk leaves the old one."""
        _calls.run(self._verbs.save, self._handle, os.fsencode(path), progress=progress, checked=check_file)

    @classmethod
    def open(cls, path: Path, *, mmap: bool = False, verify: bool | None = None, max_bytes: int = 0,
             runtime: Runtime | None = None) -> Self:
        """Opens a file. mmap: map it, instantly and read-only, shared between processes.

        verify: check every checksum (default: unless mapped). max_bytes: refuse larger files.
        """
        made = cls.__new__(cls)
        stamp = os.stat(path) if mmap and os.path.exists(path) else None
        options = _open_options(mmap, verify, max_bytes)
        made._hold(runtime, check_file, cls._verbs.open, os.fsencode(path), byref(options))
        made._mapped = (os.path.abspath(path), stamp) if stamp is not None else None
        return made

    @classmethod
    def from_bytes(cls, data: Any, *, runtime: Runtime | None = None) -> Self:
        """Opens what to_bytes() gave, from any object with the buffer protocol."""
        made = cls.__new__(cls)
        array = np.frombuffer(data, np.uint8) if len(memoryview(data)) else np.empty(0, np.uint8)
        made._hold(runtime, check, cls._verbs.open_buffer, _arrays.address(array), array.size, None)
        return made

    def to_bytes(self) -> bytes:
        """The bytes that save() would write."""
        return self._buffer().tobytes()

    def _buffer(self) -> _arrays.Bytes:
        handle, size = self._handle, 0
        while True:  # another thread may add rows between measuring and writing
            length = c_size_t()
            _calls.run(self._verbs.save_buffer, handle, None, 0, byref(length))
            grown, size = length.value > size, length.value
            buffer = np.empty(size, np.uint8)
            status = _calls.status_of(self._verbs.save_buffer, handle, _arrays.address(buffer), size, byref(length))
            if status != Status.LIMIT or not grown:
                check(status)
                return buffer[:length.value]

    # ---- Pickles -------------------------------------------------------------------------------------------------

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Bytes, out of band from protocol 5 on; a mapped handle travels as its path and the checksums of the file."""
        if self._mapped is not None:
            return _reopen, (type(self), self._mapped[0], self._fingerprint(), self.runtime)
        buffer: Any = self._buffer()
        data = pickle.PickleBuffer(buffer) if protocol >= 5 else buffer.tobytes()
        return _from_pickle, (type(self), data, self.runtime)

    def _fingerprint(self) -> list[tuple[str, str, int, int]]:
        assert self._mapped is not None
        path, then = self._mapped
        now = os.stat(path)
        if (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns) != \
                (then.st_dev, then.st_ino, then.st_size, then.st_mtime_ns):
            raise Incompatible(f"{os.fspath(path)}: the file has changed since it was mapped, so its path says no more")
        return _checksums(path)

    # ---- Closing -------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Frees the handle, at once or when the last running call has returned. Closing twice is fine."""
        self._handle = Handle.CLOSED
        self._mapped = None

    @property
    def closed(self) -> bool:
        """True after close()."""
        return not self._handle

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()


def with_key(spec: str, key: str, value: int | None) -> str:
    """A spec with one more key; it may not have that key already."""
    if value is None:
        return spec
    head = spec.rstrip()
    opened = head[:-1].rstrip() + ("" if head[:-1].rstrip().endswith("(") else ", ") if head.endswith(")") else head + "("
    return f"{opened}{key}={operator.index(value)})"


def _open_options(mmap: bool, verify: bool | None, max_bytes: int) -> sonde_open_options:
    checks = 0 if verify is None else Verify.FULL if verify else Verify.FAST
    mode = OpenMode.MMAP if mmap else OpenMode.READ
    return sonde_open_options(size=sizeof(sonde_open_options), mode=mode, verify=checks, max_bytes=max_bytes)


def _checksums(path: Path) -> list[tuple[str, str, int, int]]:
    """What the file holds, each section read and summed."""
    found = file_sections(path)
    damaged = next((section for section in found if not section.intact), None)
    if damaged is not None:
        raise Corrupt(f"{os.fspath(path)}: section {damaged.tag} does not have the checksum that is stored for it")
    return [(section.path, section.tag, section.bytes, section.checksum) for section in found]


def _from_pickle(kind: type[Noun], data: Any, runtime: Runtime | None) -> Noun:
    return kind.from_bytes(data, runtime=runtime)


def _reopen(kind: type[Noun], path: Path, checksums: list[tuple[str, str, int, int]], runtime: Runtime | None) -> Noun:
    if _checksums(path) != checksums:
        raise Incompatible(f"{os.fspath(path)}: the file has changed since the mapped {kind.noun} was pickled")
    return kind.open(path, mmap=True, runtime=runtime)
