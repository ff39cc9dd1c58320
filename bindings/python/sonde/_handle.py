"""The owner of a C handle.

SPDX-License-Identifier: MIT
"""

from collections.abc import Callable
from typing import ClassVar


class Handle:
    """Frees what it points to when its last reference goes.

    Every call passes the Handle itself, so a call that runs holds a reference: close() in another thread only drops
    the object's own, and the memory goes when the last call has returned. A closed object passes CLOSED, NULL in C.
    """

    __slots__ = ("_as_parameter_", "_free")

    CLOSED: ClassVar["Handle"]

    def __init__(self, pointer: int | None, free: Callable[[int], None] | None) -> None:
        self._as_parameter_ = pointer
        self._free = free

    def __bool__(self) -> bool:
        return self._as_parameter_ is not None

    def __del__(self) -> None:
        if self._as_parameter_ is not None and self._free is not None:
            self._free(self._as_parameter_)


Handle.CLOSED = Handle(None, None)
