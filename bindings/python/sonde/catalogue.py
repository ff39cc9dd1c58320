"""The catalogue: which methods there are, with their keys and inputs; what a file holds; which library this is.

SPDX-License-Identifier: MIT
"""

import dataclasses
import os
from collections.abc import Callable, Iterator
from ctypes import Structure, byref, c_int64, c_size_t, create_string_buffer, sizeof
from typing import Any, TypeVar

from ._api import (InputInfo, KeyInfo, MethodInfo, OutputInfo, SectionInfo, Status, sonde_input_info, sonde_key_info,
                   sonde_method_info, sonde_output_info, sonde_section_info)
from ._errors import check, check_file
from ._library import lib

Report = TypeVar("Report")


@dataclasses.dataclass(frozen=True)
class Method:
    """A method of the catalogue with its keys, the arrays that it takes and those that it gives."""

    info: MethodInfo
    keys: tuple[KeyInfo, ...]
    inputs: tuple[InputInfo, ...]
    outputs: tuple[OutputInfo, ...]

    @property
    def noun(self) -> str:
        """index, quantizer, row_sampler, ..."""
        return self.info.noun

    @property
    def name(self) -> str:
        """As specs spell it."""
        return self.info.name


def report(kind: type[Report], struct: Structure) -> Report:
    """What a C struct says, as the dataclass of the same fields."""
    fields = (getattr(struct, field.name) for field in dataclasses.fields(kind))  # type: ignore[arg-type]
    return kind(*(value.decode() if isinstance(value, bytes) else value for value in fields))


def each(kind: type[Report], struct: type[Structure], at: Callable[..., int], *arguments: Any) -> Iterator[Report]:
    """All that a function of the kind (..., position, *info) gives, until NOT_FOUND."""
    position = 0
    while True:
        found = struct(size=sizeof(struct))
        status = at(*arguments, position, byref(found))
        if status == Status.NOT_FOUND and position > 0:
            return
        check(status)
        yield report(kind, found)
        position += 1


def _method(info: MethodInfo) -> Method:
    name = info.noun.encode(), info.name.encode()
    keys = each(KeyInfo, sonde_key_info, lib.sonde_key_at, *name) if info.key_count else ()
    inputs = each(InputInfo, sonde_input_info, lib.sonde_input_at, *name) if info.input_count else ()
    outputs = each(OutputInfo, sonde_output_info, lib.sonde_output_at, *name) if info.output_count else ()
    return Method(info, tuple(keys), tuple(inputs), tuple(outputs))


def methods(noun: str | None = None) -> list[Method]:
    """Every method, or those of one noun."""
    found = each(MethodInfo, sonde_method_info, lib.sonde_method_at)
    return [_method(info) for info in found if noun in (None, info.noun)]


def _text(function: Callable[..., int], *arguments: bytes) -> str:
    length = c_size_t()
    check(function(*arguments, None, 0, byref(length)))
    text = create_string_buffer(length.value + 1)
    check(function(*arguments, text, length.value + 1, byref(length)))
    return text.value.decode()


def describe(noun: str, method: str) -> str:
    """A readable page about one method: summary, source, keys with ranges and defaults, inputs."""
    return _text(lib.sonde_describe, noun.encode(), method.encode())


def check_spec(noun: str, spec: str) -> str:
    """Checks a spec without building anything; gives it with every default filled in."""
    return _text(lib.sonde_spec_check, noun.encode(), spec.encode())


def file_noun(path: str | os.PathLike[str]) -> str:
    """What a file holds, such as "index"; "" where it is damaged. Reads its table of contents only."""
    count, noun = c_int64(), create_string_buffer(16)
    check_file(lib.sonde_file_sections(os.fsencode(path), None, 0, byref(count), noun))
    return noun.value.decode()


def file_sections(path: str | os.PathLike[str]) -> list[SectionInfo]:
    """The sections of a file; reads it all to say which are intact."""
    count = c_int64()
    check_file(lib.sonde_file_sections(os.fsencode(path), None, 0, byref(count), None))
    sections = (sonde_section_info * max(count.value, 1))()
    sections[0].size = sizeof(sonde_section_info)
    check_file(lib.sonde_file_sections(os.fsencode(path), sections, count.value, byref(count), None))
    return [report(SectionInfo, section) for section in sections[:count.value]]


def version() -> str:
    """The version of the library that is running."""
    return str(lib.sonde_version().decode())


def build_info() -> str:
    """How the library was built and what it chose on this machine."""
    return str(lib.sonde_build_info().decode())


def status_name(status: int) -> str:
    """The name of a status, such as "INVALID_ARGUMENT"."""
    return str(lib.sonde_status_name(status).decode())


def status_text(status: int) -> str:
    """One general sentence about a status."""
    return str(lib.sonde_status_text(status).decode())
