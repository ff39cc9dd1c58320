#!/usr/bin/env python3
"""interface: the public interface as abidw sees it, for comparison with the committed test/abi/baseline.abi.

`interface.py --write` writes the baseline (make abi-baseline). test_abi.py compares it with the headers as they are.

abidw describes what a library exports, and through opaque pointers it would walk into every private struct. So it is
shown a small library made from the public headers alone: a variable for each public function, of the type of a pointer
to it, and one for each public enum and struct. Nothing else is in it, neither private types nor the compiler's choices;
that the real library exports just these functions is what symbols.txt and its test are for.

SPDX-License-Identifier: MIT
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BASELINE = ROOT / "test/abi/baseline.abi"
TYPE_WITH_BODY = re.compile(r"^typedef (?:enum|struct) (sonde_\w+) \{", re.MULTILINE)


def run(*command, **options):
    subprocess.run(list(map(str, command)), check=True, **options)


def source(root):
    """C with a variable for each public function and type."""
    functions = (root / "test/abi/symbols.txt").read_text().split()
    types = [name for header in sorted((root / "include/sonde").glob("*.h"))
             for name in TYPE_WITH_BODY.findall(header.read_text())]
    lines = ["#include <sonde.h>"]
    lines += [f"__typeof__(&{name}) function_{name};" for name in functions]
    lines += [f"{name} type_{name};" for name in types]
    return "\n".join(lines) + "\n"


def build(folder, root):
    """The library that shows the interface."""
    (folder / "interface.c").write_text(source(root))
    library = folder / "libinterface.so"
    run(*os.environ.get("CC", "gcc").split(), "-std=gnu11", "-g", "-fPIC", "-shared", f"-I{root}/include",
        "interface.c", "-o", library, cwd=folder)
    return library


def describe(output, root=ROOT):
    """Writes what abidw says, without anything that depends on the place or the machine."""
    with tempfile.TemporaryDirectory() as folder:
        run("abidw", "--no-architecture", "--no-corpus-path", "--no-comp-dir-path", "--no-show-locs", "--no-elf-needed",
            "--type-id-style", "hash", "--out-file", output, build(pathlib.Path(folder), root))


def main():
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: interface.py --write")
    describe(BASELINE)


if __name__ == "__main__":
    main()
