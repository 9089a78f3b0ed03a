"""What refers to a live object, as a text for Graphviz: types and names, no values.

Other tools label objects with their `repr`, which shows data and runs code of the program.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from types import FrameType, FunctionType, ModuleType
from typing import Any

from memlens._core.pure.access import class_name
from memlens._package import CODE_FOLDER
from memlens._text import printable
from memlens.heap.graph.heap_graph import Edge

__all__ = ("own_frame_ids", "referrers_dot")

_MAX_REFERRERS = 10  # of one object, as in pictures that people can read

# Returns the reference from a source to a target; ``is_namespace``: the keys of the source are names.
_LiveEdge = Callable[[Any, Any, bool], Edge]


def referrers_dot(obj: object, max_depth: int, live_edge: _LiveEdge) -> str:
    """Return the referrers of an object, theirs, and so on, in the language of Graphviz."""
    objects, pairs = _referrers(obj, max_depth)
    ends = _of(objects, pairs)
    named = [(source, target, live_edge(source, target, False)) for source, target in ends]
    namespaces = {id(target) for _, target, edge in named if edge.name == "__dict__"}
    lines = ["digraph referrers {", "  node [shape=box, style=filled, fillcolor=white];"]
    for number, one in enumerate(objects):
        colour = ", fillcolor=lightpink" if number == 0 else ""
        lines.append(f'  n{number} [label="{_quoted(_label(one))}"{colour}];')
    for (source, target), (holder, held, edge) in zip(pairs, named, strict=True):
        if id(holder) in namespaces:
            edge = live_edge(holder, held, True)
        text = edge.name or (f"[{edge.position}]" if edge.kind.name == "INDEX" else "")
        lines.append(f'  n{source} -> n{target} [label="{_quoted(text)}"];')
    return "\n".join([*lines, "}", ""])


def _referrers(obj: object, max_depth: int) -> tuple[list[Any], list[tuple[int, int]]]:
    """Return the objects, the first of them ``obj``, and which refers to which by their numbers."""
    objects: list[Any] = [obj]
    pairs: list[tuple[int, int]] = []
    numbers = {id(obj): 0}
    level = [0]
    for _ in range(max_depth):
        next_level: list[int] = []
        for target in level:
            if issubclass(type(objects[target]), ModuleType):
                continue  # where paths begin; isinstance may run code of the object
            ignored = {id(objects), id(pairs), id(numbers), id(level), *own_frame_ids()}
            found = gc.get_referrers(objects[target])
            kept = [one for one in found if id(one) not in ignored][:_MAX_REFERRERS]
            del found
            while kept:
                if id(kept[-1]) not in numbers:
                    numbers[id(kept[-1])] = len(objects)
                    next_level.append(len(objects))
                    objects.append(kept[-1])
                pairs.append((numbers[id(kept.pop())], target))
        level = next_level
    return objects, pairs


def _of(objects: list[Any], pairs: list[tuple[int, int]]) -> list[tuple[Any, Any]]:
    return [(objects[source], objects[target]) for source, target in pairs]


def _label(obj: Any) -> str:
    kind = type(obj)
    if kind is ModuleType:
        name = ModuleType.__getattribute__(obj, "__dict__").get("__name__")
        return f"module {name}" if type(name) is str else "module"
    if kind is FunctionType:
        return f"function {obj.__qualname__}"
    if kind is FrameType:
        return f"frame {obj.f_code.co_qualname}"
    if issubclass(kind, type):
        return f"class {class_name(obj)}"
    return class_name(kind)


def _quoted(text: str) -> str:
    return printable(text).replace("\\", "\\\\").replace('"', '\\"')


def own_frame_ids() -> list[int]:
    """Return the ids of the running frames of memlens, which a search must ignore."""
    frame: FrameType | None = sys._getframe(1)
    ids = []
    while frame is not None and frame.f_code.co_filename.startswith(CODE_FOLDER):
        ids.append(id(frame))
        frame = frame.f_back
    return ids
