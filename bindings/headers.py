"""headers: reads the public headers with libclang into the plain description that bindings/api.json holds.

What a header says in C comes from clang's own syntax tree. What it says in words comes from clang's comment tokens:
a comment that ends on the line before a declaration belongs to it and to the declarations that follow it without a
blank line; one that begins on the last line of a field or value belongs to that; "---- title ----" opens a section.

SPDX-License-Identifier: MIT
"""

import pathlib
import re

import clang.cindex as clang

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEADERS = [ROOT / "include" / line.split('"')[1] for line in (ROOT / "include/sonde.h").read_text().splitlines()
           if line.startswith("#include")]
SCALARS = {clang.TypeKind.VOID: "void", clang.TypeKind.BOOL: "bool", clang.TypeKind.INT: "int",
           clang.TypeKind.UINT: "uint32_t", clang.TypeKind.FLOAT: "float", clang.TypeKind.DOUBLE: "double",
           clang.TypeKind.CHAR_S: "char", clang.TypeKind.SCHAR: "int8_t", clang.TypeKind.UCHAR: "uint8_t",
           clang.TypeKind.LONG: "int64_t", clang.TypeKind.ULONG: "uint64_t", clang.TypeKind.ULONGLONG: "size_t"}
FIXED = {"size_t"} | {f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64)}


# The standard headers that ours include, in as many words as the parse needs, so that it is the same on every machine.
# size_t gets a type of its own, because clang forgets names of types inside pointers to functions.
STANDARD = {
    "stdbool.h": "#define bool _Bool\n",
    "stddef.h": "typedef unsigned long long size_t;\n#define NULL ((void *)0)\n",
    "stdint.h": "".join(f"typedef {kind} int{bits}_t;\ntypedef unsigned {kind.replace('signed ', '')} uint{bits}_t;\n"
                        for bits, kind in ((8, "signed char"), (16, "short"), (32, "int"), (64, "long")))
                + "#define INT64_MAX 0x7fffffffffffffffL\n",
}


class HeaderError(Exception):
    """A header holds something that this description has no word for."""


# ---- Types -----------------------------------------------------------------------------------------------------------


def type_of(given):
    """A type as a small tree: kind is scalar, enum, struct, handle, pointer, array or function."""
    const = {"const": True} if given.is_const_qualified() else {}
    name = given.get_declaration().spelling
    if name in FIXED:
        return {"kind": "scalar", "name": name, **const}
    canonical = given.get_canonical()
    if canonical.kind in SCALARS:
        return {"kind": "scalar", "name": SCALARS[canonical.kind], **const}
    if canonical.kind == clang.TypeKind.ENUM:
        return {"kind": "enum", "name": name, **const}
    if canonical.kind == clang.TypeKind.RECORD:
        whole = canonical.get_declaration().get_definition() is not None
        return {"kind": "struct" if whole else "handle", "name": name, **const}
    if canonical.kind == clang.TypeKind.POINTER:
        to = canonical.get_pointee() if given.kind != clang.TypeKind.POINTER else given.get_pointee()
        if to.get_canonical().kind == clang.TypeKind.FUNCTIONPROTO:
            return function_type(to.get_canonical())
        return {"kind": "pointer", "to": type_of(to), **const}
    if canonical.kind == clang.TypeKind.CONSTANTARRAY:
        return {"kind": "array", "of": type_of(given.get_array_element_type()), "count": given.get_array_size()}
    raise HeaderError(f"{given.spelling}: a type of kind {canonical.kind} is not known to bindings/headers.py")


def function_type(prototype):
    return {"kind": "function", "returns": type_of(prototype.get_result()),
            "parameters": [type_of(argument) for argument in prototype.argument_types()]}


# ---- Comments --------------------------------------------------------------------------------------------------------


def words(token):
    """The text of a comment without its frame; lines that begin with a dash, a bullet or deeper stay lines."""
    lines = token.spelling.removeprefix("/*").removesuffix("*/").splitlines()
    return "\n".join(re.sub(r"^\s*\* ?", "", line).rstrip() for line in lines).strip()


class Comments:
    """The comments of one header by the lines where they begin and end."""

    def __init__(self, unit, path):
        self.lines = path.read_text().splitlines()
        whole = unit.get_extent(str(path), ((1, 1), (len(self.lines), len(self.lines[-1]) + 1)))
        tokens = [token for token in unit.get_tokens(extent=whole) if token.kind == clang.TokenKind.COMMENT]
        self.by_end = {token.extent.end.line: token for token in tokens}
        self.by_begin = {token.extent.start.line: token for token in tokens}
        self.top = words(tokens[0]).replace("SPDX-License-Identifier: MIT", "").strip()
        self.titles = {line: title for line, token in self.by_begin.items() if (title := self.title(token))}

    @staticmethod
    def title(token):
        match = re.fullmatch(r"-+ (.*?) -+", words(token))
        return match and match.group(1)

    def section(self, line):
        return next((self.titles[at] for at in sorted(self.titles, reverse=True) if at < line), "")

    def before(self, line):
        """The comment above a declaration, or above the unbroken run of declarations that it stands in."""
        while line > 1 and self.lines[line - 2].strip():
            token = self.by_end.get(line - 1)
            if token and self.lines[token.extent.start.line - 1].lstrip().startswith("/*"):
                return "" if self.title(token) else words(token)
            line -= 1
        return ""

    def beside(self, line):
        token = self.by_begin.get(line)
        return words(token) if token and not self.lines[line - 1].lstrip().startswith("/*") else ""

    def of_member(self, cursor):
        """Beside it, or on the lines above it inside the same braces."""
        line = cursor.extent.start.line
        beside = self.beside(cursor.extent.end.line)
        token = self.by_end.get(line - 1)
        own = token and self.lines[token.extent.start.line - 1].lstrip().startswith("/*")
        return beside or (words(token) if own else "")


# ---- Declarations ----------------------------------------------------------------------------------------------------


def place(cursor, comments, header):
    line = cursor.extent.start.line
    return {"header": header, "section": comments.section(line), "doc": comments.before(line)}


def function(cursor, where):
    text = where["doc"]
    threads = re.findall(r"Class ([ABCS])\b", text)
    errors = [name for name in STATUSES if re.search(rf"\b{name}\b", text)]
    return {"name": cursor.spelling, **where, "threads": threads[0] if threads else "",
            "statuses": errors, "returns": type_of(cursor.result_type),
            "parameters": [{"name": argument.spelling, "type": type_of(argument.type)}
                           for argument in cursor.get_arguments()]}


def enum(cursor, where, comments):
    values = [{"name": value.spelling, "value": value.enum_value, "doc": comments.of_member(value)}
              for value in cursor.get_children()]
    return {"name": cursor.spelling, **where, "values": values}


def struct(cursor, where, comments, macros):
    fields = [{"name": field.spelling, "type": type_of(field.type), "doc": comments.of_member(field)}
              for field in cursor.get_children() if field.kind == clang.CursorKind.FIELD_DECL]
    init = f"{cursor.spelling.upper()}_INIT"
    return {"name": cursor.spelling, **where, "bytes": cursor.type.get_size(),
            "init": init if init in macros else "", "fields": fields}


STATUSES = []


def status_texts(unit, path):
    """What SONDE_STATUS_LIST says about each status: the enum's values have no comments of their own."""
    for cursor in unit.cursor.get_children():
        if cursor.kind == clang.CursorKind.MACRO_DEFINITION and cursor.spelling == "SONDE_STATUS_LIST":
            tokens = [token.spelling for token in cursor.get_tokens()]
            found = [(tokens[at + 4], tokens[at + 6].strip('"')) for at, token in enumerate(tokens[:-6])
                     if token == "X" and tokens[at + 1] == "(" and tokens[at + 2].isdigit()]
            return dict(found)
    raise HeaderError(f"{path}: SONDE_STATUS_LIST was not found")


def declared_here(unit, path):
    return [cursor for cursor in unit.cursor.get_children()
            if cursor.location.file and pathlib.Path(cursor.location.file.name) == path]


def describe(cursor, where, comments, macros):
    """(which list of the description, its entry), or None for what is no declaration of its own."""
    kind, whole = cursor.kind, cursor.is_definition()
    if kind == clang.CursorKind.FUNCTION_DECL:
        return "helpers" if whole else "functions", function(cursor, where)
    if kind == clang.CursorKind.ENUM_DECL:
        return "enums", enum(cursor, where, comments)
    if kind == clang.CursorKind.STRUCT_DECL and whole:
        return "structs", struct(cursor, where, comments, macros)
    if kind == clang.CursorKind.TYPEDEF_DECL and not \
            cursor.underlying_typedef_type.get_declaration().get_definition():
        return "handles", {"name": cursor.spelling, **where}
    return None


def add_header(api, unit, path):
    """Appends what one header declares."""
    comments = Comments(unit, path)
    cursors = declared_here(unit, path)
    macros = {cursor.spelling for cursor in cursors if cursor.kind == clang.CursorKind.MACRO_DEFINITION}
    names = []
    for cursor in cursors:
        described = describe(cursor, place(cursor, comments, path.stem), comments, macros)
        if described:
            api[described[0]].append(described[1])
            names.append(cursor.spelling)
    api["headers"].append({"name": f"sonde/{path.name}", "doc": comments.top, "declares": names})


def read():
    """Everything that the public headers declare."""
    index = clang.Index.create()
    options = clang.TranslationUnit.PARSE_DETAILED_PROCESSING_RECORD
    arguments = ["-std=c11", "-nostdinc", "-I/standard", f"-I{ROOT / 'include'}", "--target=x86_64-linux-gnu"]
    standard = [(f"/standard/{name}", text) for name, text in STANDARD.items()]
    unit = index.parse(str(ROOT / "include/sonde.h"), arguments, standard, options)
    if problems := [str(problem) for problem in unit.diagnostics if problem.severity >= clang.Diagnostic.Warning]:
        raise HeaderError("\n".join(problems))
    texts = status_texts(unit, HEADERS[0])
    STATUSES[:] = [name for name in texts if name != "OK"]
    api = {"headers": [], "handles": [], "enums": [], "structs": [], "functions": [], "helpers": []}
    for path in HEADERS:
        add_header(api, unit, path)
    for value in next(found for found in api["enums"] if found["name"] == "sonde_status")["values"]:
        value["doc"] = texts.get(value["name"].removeprefix("SONDE_"), value["doc"])
    return api
