"""The roots: those with a name, and those that only reference counts reveal."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from memlens._core.layout import RootKind
from memlens._core.pure.access import HEAP_TYPE, class_flags, is_class
from memlens._core.pure.interpreter_roots import asked_for, recognised
from memlens._core.pure.labels import StringTable
from memlens._core.pure.running_frames import RunningFrame
from memlens._core.pure.walk import WalkedHeap

__all__ = ("NamedObject", "Root", "function_name", "named_roots", "remaining_roots")


class Root(NamedTuple):
    """A root as in the layout, except that ``frame`` is -1 if there is none.

    ``name`` is the number of a string.
    """

    kind: int
    name: int
    node: int
    # Overrides tuple.count, which is not used.
    count: int = 0  # type: ignore[assignment]
    frame: int = -1


class NamedObject(NamedTuple):
    """An object that is a root; ``frame`` is a row in the frame table."""

    kind: int
    name: str
    obj: Any
    frame: int = -1


def named_roots(frames: list[RunningFrame]) -> list[NamedObject]:
    """Return the roots with a name, modules first."""
    roots = [
        NamedObject(int(RootKind.MODULE), name, module)
        for name, module in [*sys.modules.items()]
        if type(name) is str
    ]
    roots += [
        NamedObject(int(RootKind.FRAME), function_name(running.frame.f_code), running.frame, row)
        for row, running in enumerate(frames)
    ]
    roots += [NamedObject(int(RootKind.INTERPRETER), name, held) for name, held in asked_for()]
    roots += [NamedObject(int(RootKind.STATIC_TYPE), "", cls) for cls in _static_types()]
    return roots


def function_name(code: Any) -> str:
    """Return the qualified name of a code object."""
    name = code.co_qualname
    return name if type(name) is str else "?"


def _static_types() -> list[type]:
    """Return the static types, found through ``__subclasses__`` from ``object`` down."""
    seen: dict[int, type] = {id(object): object}
    stack: list[type] = [object]
    while stack:
        subclasses: list[type] = type.__subclasses__(stack.pop())
        for cls in subclasses:
            if id(cls) not in seen:
                seen[id(cls)] = cls
                stack.append(cls)
    return [cls for cls in seen.values() if not class_flags(cls) & HEAP_TYPE]


def _singletons() -> set[int]:
    """Return the ids of the objects that the interpreter creates once and never frees."""
    small = [*range(-5, 257), None, True, False, ..., NotImplemented, (), "", b""]
    return {id(obj) for obj in small}


def _is_interned(text: str, *, immortal: bool) -> bool:
    """Return whether this string object is in the interpreter's table of interned strings.

    In 3.12 interned strings are immortal, and an immortal string cannot be checked, so it counts
    as interned. Before 3.12 a copy is interned for the check: it lives only as long as in use.
    """
    if sys.version_info >= (3, 13):
        return sys._is_interned(text)
    if sys.version_info >= (3, 12):
        return immortal
    return sys.intern("".join([text[:1], text[1:]])) is text


def remaining_roots(
    heap: WalkedHeap,
    named: list[Root],
    excess: dict[int, int],
    immortal: set[int],
    strings: StringTable,
) -> list[Root]:
    """Return the roots that the heap does not explain, found by reference counts."""
    left = dict(excess)
    # A running frame, or the interpreter, accounts for one reference.
    for root in named:
        if root.kind in (RootKind.FRAME, RootKind.INTERPRETER):
            left[root.node] = left.get(root.node, 0) - 1
    roots = []
    for name, node in recognised(heap, {node: count for node, count in left.items() if count > 0}):
        roots.append(Root(int(RootKind.INTERPRETER), strings[name], node))
        left[node] -= 1
    static = {root.node for root in named if root.kind == RootKind.STATIC_TYPE}
    singletons = _singletons()
    known = {heap.number[key] for key in singletons if key in heap.number}
    for node in {*left, *immortal, *known} - static:
        kind = _kind(heap.objects[node], singletons, immortal=node in immortal)
        if kind != RootKind.EXTERNAL:
            roots.append(Root(int(kind), 0, node))
        elif left[node] > 0:
            roots.append(Root(int(kind), 0, node, left[node]))
    return sorted(roots)


def _kind(obj: Any, singletons: set[int], *, immortal: bool) -> RootKind:
    if is_class(obj) and not class_flags(obj) & HEAP_TYPE:
        return RootKind.STATIC_TYPE
    if type(obj) is str and _is_interned(obj, immortal=immortal):
        return RootKind.INTERNED
    if immortal or id(obj) in singletons or _is_cached_character(obj):
        return RootKind.IMMORTAL
    return RootKind.EXTERNAL


def _is_cached_character(obj: Any) -> bool:
    """Return whether this is a one-character string or bytes object that the interpreter caches."""
    if type(obj) is str and len(obj) == 1 and obj < "\u0100":
        return chr(ord(obj)) is obj
    return type(obj) is bytes and len(obj) == 1
