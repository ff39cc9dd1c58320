"""Exceptions: one class a status, each also the built-in that an old `except` expects. str(error) is the C message.

SPDX-License-Identifier: MIT
"""

from ._api import Status
from ._library import lib


class Error(Exception):
    """Whatever the library refused; `status` says which kind, str() says what was wrong and what was expected."""

    status = Status.INTERNAL


class InvalidArgument(Error, ValueError):
    """An argument is outside what the function accepts."""

    status = Status.INVALID_ARGUMENT


class OutOfMemory(Error, MemoryError):
    """The allocator returned no memory."""

    status = Status.OUT_OF_MEMORY


class LimitExceeded(Error, MemoryError):
    """A limit given by the caller, such as memory_limit, would be exceeded."""

    status = Status.LIMIT


class InputOutputError(Error, OSError):
    """The operating system reported an input or output error."""

    status = Status.IO


class NotFound(Error, KeyError, ValueError):
    """The method, key or id does not exist."""

    status = Status.NOT_FOUND

    def __str__(self) -> str:  # KeyError alone would print the message in quotes
        return str(self.args[0]) if self.args else ""


class FileNotFound(NotFound, FileNotFoundError):
    """The file does not exist."""


class Corrupt(Error, ValueError):
    """The data is damaged or is not what it claims to be."""

    status = Status.CORRUPT


class Unsupported(Error, NotImplementedError):
    """This method or build does not offer the operation."""

    status = Status.UNSUPPORTED


class Incompatible(Error, ValueError):
    """The two things do not fit together."""

    status = Status.INCOMPATIBLE


class StateError(Error, RuntimeError):
    """The handle is not in a state that allows the call."""

    status = Status.STATE


class Cancelled(Error):
    """The work was cancelled with Runtime.cancel."""

    status = Status.CANCELLED


class CallbackFailed(Error, RuntimeError):
    """A function supplied by the caller failed."""

    status = Status.CALLBACK


class InternalError(Error, RuntimeError):
    """A defect in the library."""

    status = Status.INTERNAL


_CLASSES: dict[int, type[Error]] = {kind.status: kind for kind in (
    InvalidArgument, OutOfMemory, LimitExceeded, InputOutputError, NotFound, Corrupt, Unsupported, Incompatible,
    StateError, Cancelled, CallbackFailed, InternalError)}


def last_error(status: int) -> Error:
    """What the last failing call of this thread said, as the exception of its status."""
    return _CLASSES.get(status, InternalError)(lib.sonde_error_message().decode(errors="replace"))


def check(status: int) -> None:
    """Raises unless the status is OK."""
    if status:
        raise last_error(status)


def check_file(status: int) -> None:
    """The same for calls on a path, where NOT_FOUND means the file."""
    if status == Status.NOT_FOUND:
        raise FileNotFound(lib.sonde_error_message().decode(errors="replace"))
    check(status)
