"""The libraries that compare.py measures. A new one is a file here, with a class Peer, and its name in NAMES.

SPDX-License-Identifier: MIT
"""
import importlib

NAMES = ("sonde", "faiss-cpu", "hnswlib", "lorann", "pyvsag", "rabitqlib", "scalable-vs", "scann", "usearch")


def find(name):
    """The class Peer of a library. Importing it imports nothing of the library itself."""
    return importlib.import_module("peers." + name.replace("-", "_")).Peer
