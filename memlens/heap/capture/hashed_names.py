"""Replace names that may come from data by keyed hashes: ``names="hashed"``.

A snapshot stores names: of types, modules, functions, attributes, variables, files, threads and asyncio
tasks. Most are identifiers of the code, but a program can also make names from data, for example with
``SimpleNamespace(**row)``, ``setattr``, ``type(name, ...)`` or the name of a thread or a task.

The rule: a word of a name is kept if it is an identifier in the code of a function from a file of a
loaded module, a part of the name of such a module, or a name of the interpreter or of memlens. The
paths of such files are kept, too. Every other word, also a number, becomes ``#`` and 12 digits of its
BLAKE2 hash, keyed with a secret of this process that is never stored. So a name that was made from
data can be read only if it is also an identifier of the code.
"""

from __future__ import annotations

import builtins
import gc
import keyword
import re
import secrets
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from hashlib import blake2b
from importlib.machinery import ModuleSpec
from itertools import pairwise
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

__all__ = ("hash_names",)

_SECRET = secrets.token_bytes(32)  # the same for all snapshots of a process, to compare them
_WORD = re.compile(r"\w+")
_TABLES = (("string_offset", "string_bytes"), ("site_string_offset", "site_string_bytes"))
# Texts that memlens itself makes, and words in them.
_OWN_TEXT = re.compile(
    r"|exception that thread \d+ handles|handler of signal \d+|context of a thread|codec search path"
    r"|codec cache|codec error handlers|modules by index|extension modules|thread-local storage"
    r"|(sys|builtins)\.__dict__|builtins\.__import__|gc\.(garbage|callbacks)|MainThread|<native>"
    r"|cpu|mapped|shared|meta|(cuda|hip|mps|xla|xpu):\d+"
    r"|native memory \((buffer|bz2|ctypes|lzma|mmap|numpy|zlib)\)"
    r"|sys\.(modules|settrace|setprofile)|warnings\.(filters|onceregistry|defaultaction)"
)
_OWN_WORDS = (
    "base buffer dictcomp dtype f_func f_locals genexpr link listcomp md_name memory module"
    " native setcomp __class__ __closure__ __dict__ __main__ __subclasses__"
).split()


def hash_names(
    sections: Mapping[str, Any], facts: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return sections and facts of a heap of this process with hashed names."""
    hashed = partial(_hashed, {}, _known_names())
    replaced = dict(sections)
    for offsets, data in _TABLES:
        if offsets in sections:
            replaced |= _hashed_table(sections, offsets, data, hashed)
    threads = {ident: hashed(name) for ident, name in facts.get("threads", {}).items()}
    return replaced, {**facts, "threads": threads, "names": "hashed"}


def _hashed_table(
    sections: Mapping[str, Any], offsets: str, data: str, hashed: Any
) -> dict[str, array[Any]]:
    raw, ends, parts = bytes(sections[data]), array("Q", [0]), []
    for start, end in pairwise(sections[offsets]):
        text = raw[start:end].decode("utf-8", "surrogatepass")
        parts.append(hashed(text).encode("utf-8", "surrogatepass"))
        ends.append(ends[-1] + len(parts[-1]))
    return {offsets: ends, data: array("B", b"".join(parts))}


def _hashed(done: dict[str, str], known: _Known, text: str) -> str:
    """Return a text with hashes of its unknown words; ``done`` caches them."""
    if text in known.files or _OWN_TEXT.fullmatch(text):
        return text

    def replace(match: re.Match[str]) -> str:
        word = match.group()
        if word in known.words:
            return word
        if word not in done:
            digest = blake2b(
                word.encode("utf-8", "surrogatepass"), key=_SECRET, digest_size=6
            ).hexdigest()
            done[word] = f"#{digest}"
        return done[word]

    return _WORD.sub(replace, text)


_namespace: Any = vars(ModuleType)["__dict__"].__get__


class _Known(NamedTuple):
    """What is kept: words, and whole texts (the paths of files)."""

    words: set[str]
    files: set[str]


def _known_names() -> _Known:
    known = _Known(set(_words(_fixed_texts())), set())
    for name, module in [*sys.modules.items()]:
        if type(module) is not ModuleType or type(name) is not str:
            continue
        namespace = _namespace(module)
        spec, file = namespace.get("__spec__"), namespace.get("__file__")
        if type(spec) is not ModuleSpec:
            continue
        if type(file) is str and spec.origin == file:
            known.files.add(file)
            known.words.update(_words([name]))
        elif spec.origin in ("built-in", "frozen"):
            known.words.update(_words([name]))
        known.words.update(_native_functions(namespace))
    main = sys.modules.get("__main__")
    if type(main) is ModuleType and type(main.__dict__.get("__file__")) is str:
        known.files.add(main.__dict__["__file__"])  # a script has no spec
    for code in _codes(known.files):
        known.files.add(code.co_filename)
        known.words.update(code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
        known.words.update(_words([getattr(code, "co_qualname", code.co_name)]))
    return known


def _fixed_texts() -> Iterator[str]:
    yield from keyword.kwlist
    yield from dir(builtins)
    yield from _OWN_WORDS
    for cls in _static_types(object):
        yield type.__dict__["__module__"].__get__(cls)
        yield type.__dict__["__qualname__"].__get__(cls)
        yield from (name for name in type.__dict__["__dict__"].__get__(cls) if type(name) is str)


def _static_types(top: type) -> Iterator[type]:
    """Yield the types that are written in C. Compares them by identity: a metaclass may have `==`."""
    seen, waiting = {id(top)}, [top]
    while waiting:
        cls = waiting.pop()
        if not type.__dict__["__flags__"].__get__(cls) & 1 << 9:  # Py_TPFLAGS_HEAPTYPE
            yield cls
        subclasses: list[type] = type.__subclasses__(cls)
        for subclass in subclasses:
            if id(subclass) not in seen:
                seen.add(id(subclass))
                waiting.append(subclass)


def _native_functions(namespace: Mapping[Any, Any]) -> Iterator[str]:
    """Yield the names of the functions of a module that are written in C."""
    get_name = BuiltinFunctionType.__dict__["__name__"].__get__
    for value in [*namespace.values()]:
        if type(value) is BuiltinFunctionType:
            yield get_name(value)


def _codes(files: set[str]) -> Iterator[CodeType]:
    """Yield the code objects of all functions from some files, nested ones included."""
    seen: set[int] = set()
    waiting = []
    for function in gc.get_objects():
        if type(function) is FunctionType:
            waiting += [part for part in gc.get_referents(function)[:1] if type(part) is CodeType]
    while waiting:
        code = waiting.pop()
        if id(code) in seen:
            continue
        seen.add(id(code))
        if code.co_filename in files:
            yield code
        waiting += [constant for constant in code.co_consts if type(constant) is CodeType]


def _words(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        if type(text) is str:
            yield from _WORD.findall(text)
