"""emit_rust: the parts of the Rust binding that follow from the headers and from the method tables.

    sonde-sys/src/bindings.rs       every declaration of the headers, with its comment
    sonde/src/enums.rs              the enums of C that the safe layer shows
    sonde/src/spec/methods.rs       one builder for each method, one function for each key
    sonde/tests/every_key/mod.rs    what each of those builders prints, for the test that compares it with the library

SPDX-License-Identifier: MIT
"""

import decimal
import re
import textwrap

RUST = "bindings/rust"
HEAD = "Written by bindings/generate from the public headers and the method tables: change those, then `make generate`."
LICENSE = "SPDX-License-Identifier: MIT"
WIDTH = 120
SCALARS = {"void": "c_void", "bool": "bool", "int": "c_int", "float": "f32", "double": "f64", "char": "c_char",
           "size_t": "usize", **{f"{sign}int{bits}_t": f"{'u' if sign else 'i'}{bits}"
                                 for sign in ("", "u") for bits in (8, 16, 32, 64)}}
KEYWORDS = set("""as break const continue crate else enum extern false fn for if impl in let loop match mod move mut pub
    ref return self static struct super trait true type unsafe use where while async await dyn abstract become box do
    final macro override priv typeof unsized virtual yield try gen""".split())
METRIC_WORDS = {"l2", "ip", "cosine", "hamming"}  # a key with no other word takes a Metric
STRUCTS = {}  # the fields of each struct; raw_bindings fills it
# Functions that every builder has, and names of operators, which a reader would take for them.
TAKEN = {"new", "add", "sub", "mul", "div", "rem", "neg", "not", "shl", "shr", "index", "drop"}
# The enums of C that the safe layer shows: name in C, name in Rust, whether C hands values back, values left out.
ENUMS = [("sonde_status", "ErrorKind", True, {"OK", "STATUS_MAX"}), ("sonde_metric", "Metric", True, set()),
         ("sonde_stop", "Stop", True, set()), ("sonde_log_level", "LogLevel", True, set()),
         ("sonde_verify", "Verify", False, set()), ("sonde_prediction", "Prediction", True, set())]
ENUM_DOCS = {
    "ErrorKind": "What kind of failure an [`Error`](crate::Error) is: the status that the C library returned.",
    "Metric": "What near means.",
    "Stop": "Why the hits of a query ended.",
    "LogLevel": "How serious a line of the log is.",
    "Prediction": "What a model of a path sampler predicts.",
    "Verify": "How much of a file is checked when it is opened."}


# ---- Text ------------------------------------------------------------------------------------------------------------


def head(what):
    return f"//! {what}\n//!\n//! {HEAD}\n//!\n//! {LICENSE}\n"


def escaped(text):
    """Words that are not Markdown, for rustdoc; what stands between backquotes is code already."""
    parts = re.split(r"(`[^`\n]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([\\*\[\]<>])", r"\\\1", part) for part in parts)


def doc(text, indent=""):
    """A doc comment. Lines lose their indentation, which Markdown would take for code."""
    lines = [line for given in escaped(text).splitlines()
             for line in textwrap.wrap(given.strip(), WIDTH - len(indent) - 4, break_long_words=False) or [""]]
    return "".join(f"{indent}///{' ' if line else ''}{line}\n" for line in lines)


def camel(name):
    word = "".join(part.capitalize() for part in re.split(r"[_\W]+", name))
    return f"N{word}" if word[0].isdigit() else word


def identifier(name):
    return f"r#{name}" if name in KEYWORDS else name


def call(opening, arguments, closing, indent=""):
    """opening(arguments)closing on one line where it fits, else one line for each argument, as rustfmt has it."""
    line = f"{indent}{opening}({', '.join(arguments)}){closing}"
    if len(line) <= WIDTH:
        return line + "\n"
    return f"{indent}{opening}(\n" + "".join(f"{indent}    {one},\n" for one in arguments) + f"{indent}){closing}\n"


# ---- sonde-sys -------------------------------------------------------------------------------------------------------


def rust_type(of):
    if of["kind"] == "pointer":
        return f"*{'const' if of['to'].get('const') else 'mut'} {rust_type(of['to'])}"
    if of["kind"] == "array":
        return f"[{rust_type(of['of'])}; {of['count']}]"
    if of["kind"] == "function":
        arguments = ", ".join(rust_type(argument) for argument in of["parameters"])
        return f'Option<unsafe extern "C" fn({arguments}){returned(of["returns"])}>'
    return SCALARS[of["name"]] if of["kind"] == "scalar" else of["name"]


def returned(of):
    return "" if of.get("name") == "void" and of["kind"] == "scalar" else f" -> {rust_type(of)}"


def zero(of):
    """The value that C's initialiser gives to a member."""
    if of["kind"] == "pointer":
        return f"core::ptr::null{'' if of['to'].get('const') else '_mut'}()"
    if of["kind"] == "array":
        return f"[{zero(of['of'])}; {of['count']}]"
    if of["kind"] == "function":
        return "None"
    if of["kind"] == "struct":
        fields = ", ".join(f"{identifier(field['name'])}: {zero(field['type'])}" for field in STRUCTS[of["name"]])
        return f"{of['name']} {{ {fields} }}"
    return "0.0" if of["name"] in ("float", "double") else "0"


def raw_enum(declared):
    """A type of integers: C may hand back values that this crate does not know yet, which no enum of Rust may hold."""
    text = doc(declared["doc"]) + f"pub type {declared['name']} = u32;\n"
    for value in declared["values"]:
        text += doc(value["doc"]) + f"pub const {value['name']}: {declared['name']} = {value['value']};\n"
    return text


def raw_handle(declared):
    return doc(declared["doc"]) + f"#[repr(C)]\npub struct {declared['name']} {{\n    _opaque: [u8; 0],\n" \
        "    _marker: PhantomData<(*mut u8, PhantomPinned)>,\n}\n"


def raw_struct(declared):
    name, fields = declared["name"], declared["fields"]
    text = doc(declared["doc"]) + f"#[repr(C)]\n#[derive(Clone, Copy, Debug)]\npub struct {name} {{\n"
    for field in fields:
        text += doc(field["doc"], "    ") + f"    pub {identifier(field['name'])}: {rust_type(field['type'])},\n"
    text += f"}}\n#[cfg(target_pointer_width = \"64\")]\nconst _: () = assert!(size_of::<{name}>() == " \
            f"{declared['bytes']});\n"
    if declared["init"]:
        text += f"/// A [`{name}`] with every default.\npub const {declared['init']}: {name} = {name} {{\n" \
                f"    size: size_of::<{name}>() as u32,\n"
        text += "".join(f"    {identifier(field['name'])}: {zero(field['type'])},\n" for field in fields[1:]) + "};\n"
    return text


def raw_function(declared):
    arguments = [f"{identifier(given['name'])}: {rust_type(given['type'])}" for given in declared["parameters"]]
    opening = f"pub fn {declared['name']}"
    return doc(declared["doc"], "    ") + call(opening, arguments, f"{returned(declared['returns'])};", "    ")


def raw_bindings(api):
    parts = [head("Every declaration of the C headers."),
             "use core::ffi::{c_char, c_int, c_void};\nuse core::marker::{PhantomData, PhantomPinned};\n"
             "use core::mem::size_of;\n"]
    parts += [f"/// The version of the headers that these declarations were made from.\n"
              f"pub const SONDE_HEADER_VERSION: &str = \"{api['version']}\";\n"]
    STRUCTS.update((declared["name"], declared["fields"]) for declared in api["structs"])
    parts += [raw_enum(declared) for declared in api["enums"]]
    parts += [raw_handle(declared) for declared in api["handles"]]
    parts += [raw_struct(declared) for declared in api["structs"]]
    functions = "\n".join(raw_function(declared) for declared in api["functions"])
    return "\n".join([*parts, f'extern "C" {{\n{functions}}}\n'])


# ---- The enums of the safe layer -------------------------------------------------------------------------------------


def enum_values(declared, left_out):
    """(word, constant, doc) of each value; the words lose what all of them begin with."""
    names = [value["name"] for value in declared["values"]]
    prefix = "SONDE_" if declared["name"] == "sonde_status" else f"{declared['name'].upper()}_"
    cut = prefix if all(name.startswith(prefix) for name in names) else names[0].rsplit("_", 1)[0] + "_"
    return [(value["name"].removeprefix(cut), value["name"], value["doc"]) for value in declared["values"]
            if value["name"].removeprefix(cut) not in left_out]


def safe_enum(declared, name, handed_back, left_out):
    values = enum_values(declared, left_out)
    text = doc(declared["doc"] or "") if name not in ENUM_DOCS else f"/// {ENUM_DOCS[name]}\n"
    text += "#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]\n#[non_exhaustive]\n" + f"pub enum {name} {{\n"
    for word, _, about in values:
        text += doc(about or f"`{word.lower()}`", "    ") + f"    {camel(word)},\n"
    text += "    /// A value that is newer than this crate.\n    Other(u32),\n" if handed_back else ""
    text += "}\n\n" + f"impl {name} {{\n    /// The number that stands for it in C.\n    pub fn raw(self) -> u32 {{\n" \
            "        match self {\n"
    text += "".join(f"            Self::{camel(word)} => sys::{constant},\n" for word, constant, _ in values)
    text += "            Self::Other(raw) => raw,\n" if handed_back else ""
    text += "        }\n    }\n"
    if handed_back:
        text += "\n    pub(crate) fn from_raw(raw: u32) -> Self {\n        match raw {\n"
        text += "".join(f"            sys::{constant} => Self::{camel(word)},\n" for word, constant, _ in values)
        text += "            _ => Self::Other(raw),\n        }\n    }\n"
    text += "}\n"
    if name == "Metric":
        text += safe_enum_words(name, values)
    return text


def safe_enum_words(name, values):
    text = f"\nimpl fmt::Display for {name} {{\n    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {{\n" \
           "        f.write_str(match self {\n"
    text += "".join(f"            Self::{camel(word)} => \"{word.lower()}\",\n" for word, _, _ in values)
    return text + "            Self::Other(raw) => return write!(f, \"{raw}\"),\n        })\n    }\n}\n"


def safe_enums(api):
    declared = {one["name"]: one for one in api["enums"]}
    parts = [head("The enums of C that this crate shows."), "use sonde_sys as sys;\nuse std::fmt;\n"]
    return "\n".join(parts + [safe_enum(declared[c], name, back, out) for c, name, back, out in ENUMS])


# ---- Builders of specs -----------------------------------------------------------------------------------------------


def split_words(key):
    return [word for word in key.get("words", "").split("|") if word]


def is_flag(key):
    return key["kind"] == "word" and set(split_words(key)) == {"yes", "no"}


def word_enums(api):
    """The enum of each key that takes a word: all words that any method accepts for it, in the order met."""
    found = {}
    for method in api["methods"]:
        for key in method["keys"]:
            if key["kind"] == "word" and not is_flag(key) and not set(split_words(key)) <= METRIC_WORDS:
                words = found.setdefault(camel(key["name"]), [])
                words += [word for word in split_words(key) if word not in words]
    return found


def word_enum(name, words):
    """A value that prints as its word. All of them stand in a module, apart from methods of the same name."""
    variants = "".join(f"        /// `{word}`\n        {camel(word)},\n" for word in words)
    arms = "".join(f"                Self::{camel(word)} => \"{word}\",\n" for word in words)
    return f"\n    /// The words of the key `{name.lower()}`; a method may take only some of them.\n" \
        "    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]\n    #[non_exhaustive]\n" \
        f"    pub enum {name} {{\n{variants}    }}\n\n    impl fmt::Display for {name} {{\n" \
        "        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {\n            f.write_str(match self {\n" \
        f"{arms}            }})\n        }}\n    }}\n"


def builder_name(method, methods):
    """The method's name; with its noun where two nouns have a method of that name."""
    twice = sum(other["name"] == method["name"] for other in methods) > 1
    return camel(method["name"]) + (camel(method["noun"]) if twice else "")


def setter(key):
    """(type of the argument, expression for the value) of the function that sets a key."""
    kind = key["kind"]
    if kind == "int":
        return ("u64" if key["min"] >= 0 else "i64"), "value"
    if kind == "real":
        return "f64", "value"
    if kind == "spec":
        return "impl Into<Spec>", "value.into()"
    if kind == "word" and is_flag(key):
        return "bool", 'if value { "yes" } else { "no" }'
    if kind == "word":
        return "Metric" if set(split_words(key)) <= METRIC_WORDS else f"word::{camel(key['name'])}", "value"
    raise ValueError(f"bindings/emit_rust.py has no word for keys of kind {kind}")


def number(value):
    return f"{value:g}" if isinstance(value, float) and not value.is_integer() else str(int(value))


def key_doc(key):
    about = [key["help"]]
    if "min" in key:
        about.append(f"{number(key['min'])} to {number(key['max'])}")
    about.append(f"default: {key['default']}" if key["default"] else "it must be given")
    return "; ".join(about)


def function_name(key):
    return f"{key['name']}_" if key["name"] in TAKEN else identifier(key["name"])


def key_functions(key):
    kind, value = setter(key)
    name = key["name"]
    text = "\n" + doc(key_doc(key), "    ")
    text += f"    pub fn {function_name(key)}(self, value: {kind}) -> Self {{\n" \
            f"        Self(self.0.with(\"{name}\", {value}))\n    }}\n"
    for word in split_words(key) if key["kind"] in ("int", "real") else []:
        text += f"\n    /// `{name}={word}`\n    pub fn {name}_{word}(self) -> Self {{\n" \
                f"        Self(self.0.with(\"{name}\", \"{word}\"))\n    }}\n"
    return text


def builder(method, name):
    source = f"\n\nSource: {method['source']}" if method["source"] else ""
    text = doc(f"{method['noun']} `{method['name']}`: {method['summary']}.{source}")
    text += f"#[derive(Clone, Debug, Default, PartialEq)]\npub struct {name}(Keys);\n\nimpl {name} {{\n" \
            f"    /// `{method['name']}` with every default.\n" \
            "    pub fn new() -> Self {\n        Self::default()\n    }\n"
    return text + "".join(key_functions(key) for key in method["keys"]) + \
        f"}}\n\nprints_as!({name}, \"{method['name']}\");\n"


def spec_methods(api):
    methods = api["methods"]
    parts = [head("A builder for each method, and the words that its keys take."),
             "use super::{Keys, Spec};\nuse crate::Metric;\n",
             "/// The words that keys take.\npub mod word {\n    use std::fmt;\n"
             + "".join(word_enum(name, words) for name, words in sorted(word_enums(api).items())) + "}\n"]
    return "\n".join(parts + [builder(method, builder_name(method, methods)) for method in methods])


# ---- What the builders print -----------------------------------------------------------------------------------------


def examples(key):
    """(function, argument, text of the value, whether it is the default) for each way to set a key."""
    name, default = key["name"], key["default"]
    if key["kind"] == "spec":
        yield function_name(key), f'"{default or "raw"}"', default or "raw", bool(default)
    elif is_flag(key):
        for word in ("yes", "no"):
            yield function_name(key), str(word == "yes").lower(), word, word == default
    elif key["kind"] == "word":
        enum = "Metric" if set(split_words(key)) <= METRIC_WORDS else f"word::{camel(name)}"
        for word in split_words(key):
            yield function_name(key), f"{enum}::{camel(word)}", word, word == default
    else:
        given = default if default and default not in split_words(key) else number(key["min"])
        text = f"{decimal.Decimal(given):f}" if key["kind"] == "real" else given  # as Rust prints it
        literal = text if key["kind"] == "int" or "." in text else f"{text}.0"
        yield function_name(key), literal, text, given == default
        for word in split_words(key):
            yield f"{name}_{word}", "", word, word == default


def every_key(api):
    rows = ""
    for method in api["methods"]:
        made = f"spec::{builder_name(method, api['methods'])}::new()"
        noun, name = method["noun"], method["name"]
        rows += f'        ("{noun}", "{name}", "", {made}.into(), "{name}", true),\n'
        for key in method["keys"]:
            for setting, argument, text, usual in examples(key):
                rows += f'        ("{noun}", "{name}", "{key["name"]}",\n' \
                        f'         {made}.{setting}({argument}).into(),\n' \
                        f'         "{name}({key["name"]}={text})", {str(usual).lower()}),\n'
    return head("What each builder prints for each of its keys.") + \
        "\nuse sonde::spec::{self, word, Spec};\nuse sonde::Metric;\n\n" \
        "/// (noun, method, key, spec as built, spec as text, whether it only says the default).\n" \
        "pub type Row = (&'static str, &'static str, &'static str, Spec, &'static str, bool);\n\n" \
        "#[rustfmt::skip]\npub fn rows() -> Vec<Row> {\n    vec![\n" \
        f"{rows}    ]\n}}\n"


def files(api):
    return {f"{RUST}/sonde-sys/src/bindings.rs": raw_bindings(api),
            f"{RUST}/sonde/src/enums.rs": safe_enums(api),
            f"{RUST}/sonde/src/spec/methods.rs": spec_methods(api),
            f"{RUST}/sonde/tests/every_key/mod.rs": every_key(api)}
