"""The lines that put elements into a holder: the code to change.

A suggestion names the functions whose code mentions a holder, with the line of their definition. Where
their source is readable, it is parsed, never run, and shows which of their lines store in the holder.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, NamedTuple

from memlens.leaks.mentions import ADDING, Mention
from memlens.leaks.suspects import LeakSuspect
from memlens.report.html.source import SourceReader

__all__ = ("keeping_lines",)

_MAX_CHARACTERS = 1 << 20  # of a file that is parsed
_NAMING = frozenset({"attribute", "local", "cell"})  # kinds of references that code names
_INTO_ARGUMENT = frozenset({"heappush", "insort", "insort_left", "insort_right"})
_TELLS_NOTHING = frozenset({"self", "cls", "__dict__"})
_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef | ast.Module


class _Use(NamedTuple):
    line: int
    stores: bool


def keeping_lines(suspect: LeakSuspect, source: SourceReader) -> list[dict[str, Any]]:
    """Return for each function that a suspect mentions the line that uses its holder.

    Lines that store in the holder come first. A function has none where its source is not readable,
    is not what ran, or does not name the holder.
    """
    found = []
    for mention in dict.fromkeys(suspect.mentions):
        use = _use_in(mention, _names(suspect), source)
        if use is not None:
            shows = "keeps" if use.stores else "uses"
            lines = source.around(mention.location.file, use.line, mention.function, shows)
            found += [] if lines is None else [lines]
    return sorted(found, key=lambda lines: str(lines["shows"]) != "keeps")


def _names(suspect: LeakSuspect) -> list[str]:
    """Return the names of the holder and of what leads to it, the nearest first."""
    hops = reversed(suspect.path.hops)
    texts = [hop.text.split()[-1] for hop in hops if hop.kind in _NAMING and hop.text.split()]
    names = [text.strip(".'<>") for text in texts] or [suspect.path.root.rpartition(".")[2]]
    return [name for name in names if name.isidentifier() and name not in _TELLS_NOTHING]


def _use_in(mention: Mention, names: list[str], source: SourceReader) -> _Use | None:
    function = _function(mention, source.text(mention.location.file))
    if function is None:
        return None
    for name in names:
        uses = sorted(set(_uses(function, name)))
        if uses:
            return next((use for use in uses if use.stores), uses[0])
    return None


def _function(mention: Mention, text: str) -> _Function | None:
    """Return the function that begins where a mention says; None if the source is another one."""
    if not text or len(text) > _MAX_CHARACTERS:
        return None
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None  # no source of this Python: the report names the function all the same
    name = mention.function.rpartition(".")[2]
    if name == "<module>":
        return module
    for node in ast.walk(module):
        if isinstance(node, ast.Lambda):
            is_it = name == "<lambda>" and node.lineno == mention.location.line
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            is_it = node.name == name and first == mention.location.line
        else:
            continue
        if is_it:
            return node
    return None


def _uses(function: _Function, name: str) -> Iterator[_Use]:
    """Yield the lines of a function that name a holder, by that name or as an attribute."""
    for node in ast.walk(function):
        if _is_named(node, name):
            yield _Use(node.end_lineno or node.lineno, False)  # type: ignore[attr-defined]
        elif isinstance(node, (ast.Subscript, ast.AugAssign, ast.Call)) and _stores(node, name):
            yield _Use(node.lineno, True)


def _is_named(node: ast.AST, name: str) -> bool:
    return (isinstance(node, ast.Name) and node.id == name) or (
        isinstance(node, ast.Attribute) and node.attr == name
    )


def _stores(node: ast.Subscript | ast.AugAssign | ast.Call, name: str) -> bool:
    """Tell whether code adds to a holder: ``x[k] = v``, ``x += v``, ``x[k].append(v)``."""
    if isinstance(node, ast.Subscript):
        return isinstance(node.ctx, ast.Store) and _leads_to(node.value, name)
    if isinstance(node, ast.AugAssign):
        return _leads_to(node.target, name)
    called = node.func
    verb = getattr(called, "attr", None) or getattr(called, "id", None)
    if verb in _INTO_ARGUMENT:
        return bool(node.args) and _leads_to(node.args[0], name)
    return isinstance(called, ast.Attribute) and verb in ADDING and _leads_to(called.value, name)


def _leads_to(node: ast.AST, name: str) -> bool:
    """Tell whether an expression is a holder, or a part of it: ``x``, ``a.x``, ``a.x[k]``."""
    while isinstance(node, ast.Subscript):
        node = node.value
    return _is_named(node, name)
