"""ccode: reads C just well enough to measure it: which lines are comment or code, where functions begin and end.

No preprocessor: only the first branch of each #if counts for functions, as if it were the one that is compiled.

SPDX-License-Identifier: MIT
"""

import pathlib
import re
from collections import namedtuple

ROOT = pathlib.Path(__file__).resolve().parent.parent

# `lines` is the length of the body without the signature, braces included; `line` is where the name stands.
Function = namedtuple("Function", "name line lines parameters")

TOKEN = re.compile(r"""/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.DOTALL)


def sources(*patterns):
    return sorted(path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file())


def blank(text):
    """The same text with comments and the insides of literals turned into spaces; lines stay where they are."""
    return TOKEN.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def top_comment(text):
    match = re.match(r"\s*/\*.*?\*/", text, re.DOTALL)
    return match.group() if match else ""


def count_lines(text):
    """(lines, comment-only lines, code lines)."""
    without = TOKEN.sub(lambda match: re.sub(r"[^\n]", " ", match.group())
                        if match.group().startswith(("/*", "//")) else match.group(), text)
    pairs = list(zip(text.splitlines(), without.splitlines()))
    code = sum(bool(bare.strip()) for _, bare in pairs)
    comment = sum(bool(line.strip()) and not bare.strip() for line, bare in pairs)
    return len(pairs), comment, code


def first_branches(text):
    """Turns directives and all but the first branch of each #if into empty lines."""
    kept, depth, hidden, continued = [], 0, None, False
    for line in text.splitlines():
        directive = continued or line.lstrip().startswith("#")
        word = re.match(r"\s*#\s*(\w+)", line)
        if word and not continued:
            word = word.group(1)
            if word in ("if", "ifdef", "ifndef"):
                depth += 1
            elif word in ("else", "elif") and hidden is None:
                hidden = depth
            elif word == "endif":
                hidden = None if hidden == depth else hidden
                depth -= 1
        continued = directive and line.endswith("\\")
        kept.append("" if directive or hidden is not None else line)
    return "\n".join(kept)


def functions(text):
    """Every function body at file scope (also inside extern "C")."""
    bare = re.sub(r"\bextern\s*\{", "       ;", first_branches(blank(text)))
    found, depth, start, head = [], 0, 0, 0
    for match in re.finditer(r"[{};]", bare):
        at, mark = match.start(), match.group()
        if mark == "{":
            start = at if depth == 0 else start
            depth += 1
        elif mark == "}":
            depth = max(0, depth - 1)
        if mark == "}" and depth == 0:
            name, parameters = signature(bare[head:start])
            if name:
                line = bare.count("\n", 0, head + bare[head:start].find(name)) + 1
                found.append(Function(name, line, bare.count("\n", start, at) + 1, parameters))
        if depth == 0:
            head = at + 1
    return found


def signature(head):
    """(name, number of parameters) of `static int name(arguments) `; name None where the brace opens something else."""
    head = re.sub(r"__attribute__\s*\(\(.*?\)\)", "", head).rstrip()
    match = re.search(r"\b([A-Za-z_]\w*)\s*\(", head)
    if not match or not head.endswith(")") or "=" in head[:match.start()]:
        return None, 0
    arguments = head[match.end():-1].strip()
    while re.search(r"\([^()]*\)", arguments):
        arguments = re.sub(r"\([^()]*\)", "", arguments)
    return match.group(1), 0 if arguments in ("", "void") else arguments.count(",") + 1
