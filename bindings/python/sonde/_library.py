"""Finds the library and loads it: SONDE_LIBRARY in the environment, else the one in this package, else the system's.

SPDX-License-Identifier: MIT
"""

import ctypes
import os
import pathlib

from . import _api

_NAME = "libsonde.so.1"


def _place() -> str:
    named = os.environ.get("SONDE_LIBRARY")
    if named:
        return named
    beside = pathlib.Path(__file__).with_name(_NAME)
    return str(beside) if beside.exists() else _NAME


def _load() -> ctypes.CDLL:
    place = _place()
    try:
        library = ctypes.CDLL(place)
        _api.bind(library)
    except (OSError, AttributeError) as error:
        raise ImportError(f"sonde: the library cannot be used: {error} (SONDE_LIBRARY can name another)") from error
    version = library.sonde_version().decode()
    if version.split(".")[0] != _api.VERSION.split(".")[0]:
        raise ImportError(f"sonde: {place} has version {version}, this package needs {_api.VERSION.split('.')[0]}.x")
    return library


lib = _load()
