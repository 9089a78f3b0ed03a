"""Why objects are alive: the named roots, and what their reference counts say beyond that."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from memlens._core.layout import RootKind
from memlens._core.pure.access import HEAP_TYPE, class_flags, is_class
from memlens._core.pure.interpreter import asked_for, recognised
from memlens._core.pure.labels import StringTable
from memlens._core.pure.running import RunningFrame
from memlens._core.pure.walk import WalkedHeap

__all__ = ("NamedObject", "Root", "function_name", "named_roots", "remaining_roots")


class Root(NamedTuple):
    """One reason for being alive, as the layout has it, but for ``frame``: -1 where there is none.

    ``name`` is the number of a string.
    """

    kind: int
    name: int
    node: int
    # Hides tuple.count, which nothing here asks for.
    count: int = 0  # type: ignore[assignment]
    frame: int = -1


class NamedObject(NamedTuple):
    """An object that has to be alive; ``frame`` is a row in the frame table."""

    kind: int
    name: str
    obj: Any
    frame: int = -1


def named_roots(frames: list[RunningFrame]) -> list[NamedObject]:
    """Return the roots that have a name, modules first."""
    roots = [
        NamedObject(int(RootKind.MODULE), name, module)
        for name, module in [*sys.modules.items()]
        if type(name) is str
    ]
    roots += [
        NamedObject(int(RootKind.FRAME), function_name(one.frame.f_code), one.frame, row)
        for row, one in enumerate(frames)
    ]
    roots += [NamedObject(int(RootKind.INTERPRETER), name, held) for name, held in asked_for()]
    roots += [NamedObject(int(RootKind.STATIC_TYPE), "", cls) for cls in _static_types()]
    return roots


def function_name(code: Any) -> str:
    """Return the most telling name that a code object has."""
    name = code.co_qualname if sys.version_info >= (3, 11) else code.co_name
    return name if type(name) is str else "?"


def _static_types() -> list[type]:
    """Return the classes that are not made at run time, found from ``object`` downwards."""
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
    """Return the ids of the values that the interpreter makes once and never frees."""
    small = [*range(-5, 257), None, True, False, ..., NotImplemented, (), "", b""]
    return {id(one) for one in small}


def _is_interned(text: str, *, immortal: bool) -> bool:
    """Tell whether the interpreter's table of interned strings has this very string.

    3.12 makes interned strings immortal, and whether an immortal one is interned cannot be seen
    there. Before, a copy can be interned just to see, because it stays only as long as it lives.
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
    """Return the roots that only reference counts show: what the heap does not explain."""
    left = dict(excess)
    # Running, or being held by the interpreter, is one of the references.
    for root in named:
        if root.kind in (RootKind.FRAME, RootKind.INTERPRETER):
            left[root.node] = left.get(root.node, 0) - 1
    roots = []
    for name, node in recognised(heap, {node: count for node, count in left.items() if count > 0}):
        roots.append(Root(int(RootKind.INTERPRETER), strings[name], node))
        left[node] -= 1
    static = {root.node for root in named if root.kind == RootKind.STATIC_TYPE}
    once_for_all = _singletons()
    known = {heap.number[one] for one in once_for_all if one in heap.number}
    for node in {*left, *immortal, *known} - static:
        kind = _kind(heap.objects[node], once_for_all, immortal=node in immortal)
        if kind != RootKind.EXTERNAL:
            roots.append(Root(int(kind), 0, node))
        elif left[node] > 0:
            roots.append(Root(int(kind), 0, node, left[node]))
    return sorted(roots)


def _kind(obj: Any, once_for_all: set[int], *, immortal: bool) -> RootKind:
    if is_class(obj) and not class_flags(obj) & HEAP_TYPE:
        return RootKind.STATIC_TYPE
    if type(obj) is str and _is_interned(obj, immortal=immortal):
        return RootKind.INTERNED
    if immortal or id(obj) in once_for_all or _is_cached_character(obj):
        return RootKind.IMMORTAL
    return RootKind.EXTERNAL


def _is_cached_character(obj: Any) -> bool:
    """Tell whether this is one of the strings or bytes of one character that are made only once."""
    if type(obj) is str and len(obj) == 1 and obj < "\u0100":
        return chr(ord(obj)) is obj
    return type(obj) is bytes and len(obj) == 1
