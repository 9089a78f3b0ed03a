"""What each call of a test leaves behind, counted by type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from memlens._core.layout import NodeFlag
from memlens._frame import is_program_file
from memlens._text import format_count, labelled
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.paths import RetentionPathFinder
from memlens.integrations.pytest_plugin.markers import ObjectLimits
from memlens.integrations.pytest_plugin.tools_of_tests import is_of_tool
from memlens.leaks.growth import HIDDEN, Growth
from memlens.leaks.patterns.case import is_standard
from memlens.leaks.people_paths import path_for_people

__all__ = ("LeftObjects", "excess_objects", "objects_text")

_MAX_SHOWN = 5
_MAX_FRAMES = 100
_SHOWN_FRAMES = 2  # of the program: the line that allocated, and its caller
_HIDDEN = HIDDEN | int(NodeFlag.NATIVE)


class LeftObjects(NamedTuple):
    """Objects of one type that each call of a test leaves behind, more than ``limit`` allows.

    ``held_by`` is the path to one of them, ``allocated_at`` the line that made it: "" if unknown.
    """

    type_name: str
    object_count: int
    limit: int
    held_by: str
    allocated_at: str


def excess_objects(growth: Growth, calls: Sequence[int], limits: ObjectLimits) -> list[LeftObjects]:
    """Return the types of which each call leaves more objects behind than allowed, most first.

    ``calls``: how many are between two snapshots. An object counts if it is new in one of them and
    alive in the last one. Of a type, the interval that left the fewest behind counts, so that what is
    made only once, such as a cache, does not.
    """
    nodes = _left_by_type(growth)
    counts = {name: _each_call(found, calls) for name, found in nodes.items()}
    excess = _above(limits, {name: count for name, count in counts.items() if count})
    excess.sort(key=lambda one: (-one[1], one[0]))
    finder = RetentionPathFinder(growth.last)
    return [
        LeftObjects(name, count, limit, *_where(growth.last, finder, nodes[name]))
        for name, count, limit in excess
    ]


def objects_text(excess: Sequence[LeftObjects], limits: ObjectLimits) -> str:
    """Say which objects each call of a test leaves behind, what holds them, and who made them."""
    count = sum(one.object_count for one in excess)
    head = f"each call leaves {_objects(count)} behind"
    if limits.total is not None:
        head += f", the limit is {format_count(limits.total)}"
    lines = [head]
    for one in excess[:_MAX_SHOWN]:
        limit = "" if limits.total is not None else f", the limit is {format_count(one.limit)}"
        lines.append(f"  {one.type_name}: {format_count(one.object_count)} a call{limit}")
        for label, text in (("held by", one.held_by), ("allocated at", one.allocated_at)):
            if text:
                lines.append(labelled(label, text, label_width=14, indent="    "))
    if len(excess) > _MAX_SHOWN:
        lines.append(f"  ... and {len(excess) - _MAX_SHOWN} more types")
    return "\n".join(lines)


def _objects(count: int) -> str:
    return f"{format_count(count)} object{'s' if count > 1 else ''}"


def _left_by_type(growth: Growth) -> dict[str, list[list[int]]]:
    """Return the nodes of the last graph that are new, by type and by the interval of their birth."""
    graph, intervals = growth.last, growth.end
    flags, rows = graph.flags, graph.node_type
    found: dict[int, list[list[int]]] = {}
    for node, born in enumerate(growth.births):
        if born and not flags[node] & _HIDDEN:
            row = found.setdefault(rows[node], [[] for _ in range(intervals)])
            row[born - 1].append(node)
    by_name: dict[str, list[list[int]]] = {}
    for row_number, lists in found.items():  # classes that are made anew share a name
        known = by_name.setdefault(graph.type_names[row_number], [[] for _ in range(intervals)])
        for nodes, more in zip(known, lists, strict=True):
            nodes += more
    return by_name


def _each_call(found: Sequence[Sequence[int]], calls: Sequence[int]) -> int:
    return min(len(nodes) // count for nodes, count in zip(found, calls, strict=True))


def _above(limits: ObjectLimits, counts: dict[str, int]) -> list[tuple[str, int, int]]:
    """Return the types that are above the limit, each with its count and its limit."""
    if limits.total is not None:
        ours = {name: count for name, count in counts.items() if _is_of_program(name)}
        is_above = sum(ours.values()) > limits.total
        return [(name, count, limits.total) for name, count in ours.items()] if is_above else []
    return [
        (name, count, limit)
        for wanted, limit in limits.by_type.items()
        for name, count in counts.items()
        if _is_named(name, wanted) and count > limit
    ]


def _is_of_program(type_name: str) -> bool:
    return not is_standard(type_name) and not is_of_tool(type_name)


def _is_named(type_name: str, wanted: str) -> bool:
    """Tell whether a type has a name, which may lack the module: ``Session``."""
    return type_name == wanted or type_name.endswith(f".{wanted}")


def _where(
    graph: HeapGraph, finder: RetentionPathFinder, found: Sequence[Sequence[int]]
) -> tuple[str, str]:
    """Return the path to the newest of some objects, and the line that allocated most of them."""
    path = finder.path_to(found[-1][0])
    held_by = "" if path is None else str(path_for_people(graph, path, finder))
    if graph.sites is None:
        return held_by, ""
    nodes = [node for nodes in found for node in nodes]
    for share in graph.sites.shares(nodes, _MAX_FRAMES):
        own = [frame for frame in share.call_path if is_program_file(frame.file)]
        if own:
            return held_by, " <- ".join(map(str, own[: -_SHOWN_FRAMES - 1 : -1]))
    return held_by, ""
