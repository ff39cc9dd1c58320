"""emit_reference: docs/reference.md, every method with its keys and every declaration of the headers with its comment.

SPDX-License-Identifier: MIT
"""

PAGE = "docs/reference.md"
HEAD = "# Reference\n\nWritten by bindings/generate from the public headers and the method tables: change those, then " \
       "`make generate`.\n"


# ---- C again, from the description -----------------------------------------------------------------------------------


def c_type(of, name=""):
    """A declaration of `name`, inside out as C has it."""
    const = "const " if of.get("const") else ""
    if of["kind"] == "pointer":
        return c_type(of["to"], f"*{const}{name}")
    if of["kind"] == "array":
        return c_type(of["of"], f"{name}[{of['count']}]")
    if of["kind"] == "function":
        arguments = ", ".join(c_type(argument) for argument in of["parameters"])
        return c_type(of["returns"], f"(*{name})({arguments})")
    return f"{const}{of['name']}{' ' if name else ''}{name}"


def c_comment(doc):
    return f" /* {' '.join(doc.split())} */" if doc else ""


def c_function(declared):
    parameters = ", ".join(c_type(given["type"], given["name"]) for given in declared["parameters"])
    return f"{c_type(declared['returns'], declared['name'])}({parameters or 'void'});"


def c_struct(declared):
    fields = "\n".join(f"    {c_type(field['type'], field['name'])};{c_comment(field['doc'])}"
                       for field in declared["fields"])
    return f"struct {declared['name']} {{\n{fields}\n}};"


def c_enum(declared):
    values = "\n".join(f"    {value['name']} = {value['value']},{c_comment(value['doc'])}"
                       for value in declared["values"])
    return f"enum {declared['name']} {{\n{values}\n}};"


PRINTERS = {"handles": lambda declared: f"typedef struct {declared['name']} {declared['name']};",
            "enums": c_enum, "structs": c_struct, "helpers": c_function, "functions": c_function}


# ---- The page --------------------------------------------------------------------------------------------------------


def key_row(key):
    span = f"{key['min']} .. {key['max']}" if "min" in key else ""
    allowed = " or ".join(part for part in (span, key.get("words", "").replace("|", ", "), key.get("noun", "")) if part)
    return f"| `{key['name']}` | {key['kind']} | {key['default'] or 'required'} | {allowed} | {key['help']} |"


def methods(api):
    yield "## Methods\n"
    for method in api["methods"]:
        yield f"### {method['noun']} `{method['name']}`\n\n{method['summary']}. {method['source']}\n"
        if method["keys"]:
            rows = "\n".join(key_row(key) for key in method["keys"])
            yield f"| key | kind | default | allowed | meaning |\n| --- | --- | --- | --- | --- |\n{rows}\n"
        for given in method["inputs"]:
            need = "required" if given["required"] else "optional"
            yield f"Input of {given['verb']} `{given['name']}` ({given['shape']}; {given['dtypes']}; {need}): " \
                  f"{given['help']}.\n"
        for made in method["outputs"]:
            yield f"Output `{made['name']}` ({made['shape']}; {made['dtype']}): {made['help']}.\n"


def runs(entries):
    """Neighbours that share a comment, together."""
    run = []
    for kind, declared in entries:
        if run and (not declared["doc"] or declared["doc"] != run[0][1]["doc"]):
            yield run
            run = []
        run.append((kind, declared))
    if run:
        yield run


def declarations(api):
    by_name = {declared["name"]: (kind, declared) for kind in PRINTERS for declared in api[kind]}
    for header in api["headers"]:
        yield f"## {header['name']}\n"
        yield header["doc"] + "\n"
        section = ""
        for run in runs(by_name[name] for name in header["declares"]):
            first = run[0][1]
            if first["section"] != section:
                section = first["section"]
                yield f"### {section}\n"
            words = f"\n{first['doc']}\n" if first["doc"] else ""
            code = "\n".join(PRINTERS[kind](declared) for kind, declared in run)
            yield f"#### {', '.join(declared['name'] for _, declared in run)}\n{words}\n```c\n{code}\n```\n"


def files(api):
    text = "\n".join([HEAD, *methods(api), *declarations(api)])
    return {PAGE: "\n".join(line.rstrip() for line in text.split("\n"))}
