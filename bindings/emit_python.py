"""emit_python: what the Python package takes from the headers and the method tables.

sonde/_api.py  the enums, the structs as ctypes sees them, the same as dataclasses, and the prototypes with their comments;
sonde/spec.py  one function for each method, which spells its spec.

SPDX-License-Identifier: MIT
"""

import json
import keyword
import os
import re
import textwrap

FOLDER = "bindings/python/sonde"
WIDTH = 120
SCALARS = {"void": "None", "bool": "c_bool", "int": "c_int", "float": "c_float",
           "double": "c_double", "char": "c_char", "size_t": "c_size_t",
           **{f"{sign}int{bits}_t": f"c_{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}}
INTEGERS = {name for name in SCALARS if name.endswith("_t")} | {"int"}


# ---- C types in ctypes -----------------------------------------------------------------------------------------------


def c_type(of):
    if of["kind"] == "scalar":
        return SCALARS[of["name"]]
    if of["kind"] == "enum":
        return "c_int"
    if of["kind"] == "struct":
        return of["name"]
    if of["kind"] == "array":
        return f"{c_type(of['of'])} * {of['count']}"
    return pointer_type(of["to"])


def pointer_type(to):
    """Addresses of numbers, bytes and handles are c_void_p, which takes integers and byref() alike."""
    if to["kind"] == "struct":
        return f"POINTER({to['name']})"
    if to["kind"] == "scalar" and to["name"] == "char":
        return "c_char_p"
    return "POINTER(c_void_p)" if to["kind"] == "pointer" else "c_void_p"


# ---- Words -----------------------------------------------------------------------------------------------------------


def python_name(name):
    """sonde_search_options -> SearchOptions."""
    return "".join(word.capitalize() for word in name.removeprefix("sonde_").split("_"))


def docstring(text, indent):
    text = text.replace("\\", "\\\\").replace('"""', "'''")
    whole = textwrap.indent(f'"""{text}"""', indent)
    return whole if len(whole.splitlines()[-1]) <= WIDTH else textwrap.indent(f'"""{text}\n"""', indent)


def comment(text, indent):
    return textwrap.fill(" ".join(text.split()), WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")


def sentence(text):
    text = text.strip()
    return text if not text or text.endswith((".", ")")) else text + "."


# ---- _api.py ---------------------------------------------------------------------------------------------------------


def enum_class(declared):
    name = declared["name"]
    values = [value for value in declared["values"] if value["name"] != "SONDE_STATUS_MAX"]
    prefix = os.path.commonprefix([value["name"] for value in values])
    prefix = prefix[:prefix.rindex("_") + 1]
    lines = [f"class {python_name(name)}(enum.IntEnum):",
             docstring(declared["doc"] or f"The values of {name}.", "    "), ""]
    for value in values:
        if value["doc"]:
            lines.append(comment(value["doc"], "    "))
        lines.append(f"    {value['name'].removeprefix(prefix)} = {value['value']}")
    return "\n".join(lines)


def callback_name(declared, field):
    return f"{declared['name']}_{field['name']}"


def callback_type(declared, field):
    """A function that C calls, as a field of a struct or as a parameter of a function."""
    parts = [field["type"]["returns"], *field["type"]["parameters"]]
    return f"{callback_name(declared, field)} = CFUNCTYPE({', '.join(map(c_type, parts))})"


def callback_parameters(function):
    return [callback_type(function, given) for given in function["parameters"] if given["type"]["kind"] == "function"]


def field_type(declared, field):
    return callback_name(declared, field) if field["type"]["kind"] == "function" else c_type(field["type"])


def struct_class(declared):
    callbacks = [callback_type(declared, field) for field in declared["fields"] if field["type"]["kind"] == "function"]
    lines = [*callbacks, *(["", ""] if callbacks else []), f"class {declared['name']}(Structure):",
             docstring(declared["doc"] or f"struct {declared['name']}.", "    "), "", "    _fields_ = ["]
    lines += [f'        ("{field["name"]}", {field_type(declared, field)}),' for field in declared["fields"]]
    return "\n".join([*lines, "    ]"])


def value_type(of):
    if of["kind"] == "scalar":
        return "int" if of["name"] in INTEGERS else "float"
    return "str"


def is_report(declared):
    """Structs that only carry numbers and texts out of the library: they reach the user as these."""
    texts = all(field["type"]["kind"] in ("scalar", "array") or
                field["type"].get("to", {}).get("name") == "char" for field in declared["fields"])
    return texts and declared["init"] and not declared["name"].endswith("_options")


def report_fields(declared):
    return [field for field in declared["fields"] if field["name"] not in ("size", "reserved")]


def report_class(declared):
    about = docstring(declared["doc"] or f"What {declared['name']} holds.", "    ")
    lines = ["@dataclasses.dataclass(frozen=True)", f"class {python_name(declared['name'])}:", about, ""]
    for field in report_fields(declared):
        if field["doc"]:
            lines.append(comment(field["doc"], "    "))
        lines.append(f"    {field['name']}: {value_type(field['type'])}")
    return "\n".join(lines)


def argument_type(function, given):
    """Structs go by address too: checking each pointer's type costs a quarter microsecond a call."""
    of = given["type"]
    if of["kind"] == "function":
        return callback_name(function, given)
    to_struct = of["kind"] == "pointer" and of["to"]["kind"] == "struct"
    return "c_void_p" if to_struct else c_type(of)


def prototype(function):
    arguments = ", ".join(argument_type(function, given) for given in function["parameters"])
    given = textwrap.fill(f"    function.argtypes = [{arguments}]", WIDTH, subsequent_indent=" " * 25)
    about = docstring(f"\n{function['doc']}\n", "    ").replace('"""', 'function.__doc__ = """', 1)
    return "\n".join([f"    function = library.{function['name']}",
                      f"    function.restype = {c_type(function['returns'])}", given, *([about] if function["doc"] else [])])


API_HEAD = '''"""The C interface of the library as ctypes sees it. Written by bindings/generate from the headers: do not edit.

SPDX-License-Identifier: MIT
"""

import dataclasses
import enum
'''


def imports(body):
    known = {"CDLL", "CFUNCTYPE", "POINTER", "Structure", "c_char_p", "c_void_p", *SCALARS.values()}
    used = sorted(known & set(re.findall(r"\w+", body)) - {"None"})
    return textwrap.fill(f"from ctypes import ({', '.join(used)})", WIDTH, subsequent_indent=" " * 20)


def api_module(api):
    parts = [f'\nVERSION = "{api["version"]}"']
    parts += ["\n\n" + enum_class(declared) for declared in api["enums"]]
    parts += ["\n\n" + struct_class(declared) for declared in api["structs"]]
    parts += ["\n\n" + report_class(declared) for declared in api["structs"] if is_report(declared)]
    parts += [f"\n{callback}" for function in api["functions"] for callback in callback_parameters(function)]
    parts.append('\n\ndef bind(library: CDLL) -> None:\n    """Gives every function its prototype."""')
    parts += [prototype(function) for function in api["functions"]]
    body = "\n".join(parts)
    return f"{API_HEAD}{imports(body)}\n{body}\n"


# ---- spec.py ---------------------------------------------------------------------------------------------------------


def parameter_name(name):
    return name + "_" if keyword.iskeyword(name) else name


def parameter_type(key):
    words = [f'Literal["{word}"]' for word in key.get("words", "").split("|") if word]
    kinds = {"int": ["int"], "real": ["float"], "spec": ["str"], "word": []}[key["kind"]]
    if len(words) > 1:
        words = [f"Literal[{', '.join(json.dumps(word) for word in key['words'].split('|'))}]"]
    return " | ".join([*kinds, *([] if key["kind"] == "spec" else words)])


def parameter(key):
    optional = key["default"] != ""
    return f"{parameter_name(key['name'])}: {parameter_type(key)}{' | None = None' if optional else ''}"


def key_help(key):
    span = f", {key['min']:.16g} to {key['max']:.16g}" if "min" in key else ""
    default = f" (default {key['default']}{span})" if key["default"] else f" (required{span})"
    return textwrap.fill(f"{parameter_name(key['name'])}: {key['help']}{default}", WIDTH,
                         initial_indent="        ", subsequent_indent="            ")


def method_doc(method):
    summary = sentence(method["summary"][0].upper() + method["summary"][1:])
    source = [f"Source: {sentence(method['source'])}"] if method["source"] else []
    text = [textwrap.fill(part, WIDTH - 4, subsequent_indent="    ") for part in
            (f'"""{method["noun"].capitalize()}: {summary}', *source)]
    keys = ["", "    Keys:", *map(key_help, method["keys"])] if method["keys"] else []
    body = "\n".join([textwrap.indent("\n\n".join(text), "    "), *keys])
    return body + ('"""' if not keys and not source and len(body) < WIDTH - 3 else '\n    """')


def signature(name, keys):
    if not keys:
        return f"def {name}() -> Spec:"
    whole = f"def {name}(*, {', '.join(map(parameter, keys))}) -> Spec:"
    if len(whole) <= WIDTH:
        return whole
    return f"def {name}(\n    *,\n" + "".join(f"    {parameter(key)},\n" for key in keys) + ") -> Spec:"


def builder(method, name):
    keys = sorted(method["keys"], key=lambda key: key["default"] != "")
    pairs = ", ".join(f"{key['name']}={parameter_name(key['name'])}" for key in keys
                      if not keyword.iskeyword(key["name"]))
    words = ", ".join(f'"{key["name"]}": {parameter_name(key["name"])}' for key in keys
                      if keyword.iskeyword(key["name"]))
    arguments = ", ".join(part for part in (f'"{method["name"]}"', pairs, f"**{{{words}}}" if words else "") if part)
    call = textwrap.fill(f"    return _spell({arguments})", WIDTH, subsequent_indent=" " * 18)
    return "\n".join([signature(name, keys), method_doc(method), call])


def builder_names(methods):
    """A method's own name; where two nouns share it, the noun is put behind it."""
    names = [method["name"] for method in methods]
    return [parameter_name(name) if names.count(name) == 1 else f"{name}_{method['noun']}"
            for name, method in zip(names, methods)]


SPEC_HEAD = '''"""Typed builders of specs: ivf(nlist=512, code=pq(m=48)) is the string "ivf(nlist=512, code=pq(m=48))".

What is left out keeps the library's default. Written by bindings/generate from the method tables: do not edit.

SPDX-License-Identifier: MIT
"""

from typing import Literal


class Spec(str):
    """A spec as the library reads it; where a spec is wanted, any string does."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<sonde.spec: {self}>"


def _spell(method: str, /, **keys: object) -> Spec:
    given = ", ".join(f"{key}={value}" for key, value in keys.items() if value is not None)
    return Spec(f"{method}({given})" if given else method)
'''


def spec_module(api):
    methods = api["methods"]
    parts = [builder(method, name) for method, name in zip(methods, builder_names(methods))]
    table = "".join(f'    ("{method["noun"]}", "{method["name"]}"): {name},\n'
                    for method, name in zip(methods, builder_names(methods)))
    index = f"# Which builder spells which method of which noun.\nBUILDERS = {{\n{table}}}"
    return "\n\n\n".join([SPEC_HEAD.rstrip("\n"), *parts, index]) + "\n"


def files(api):
    return {f"{FOLDER}/_api.py": api_module(api), f"{FOLDER}/spec.py": spec_module(api)}
