"""Duplicates: equal strings and bytes that are stored more than once, and the wasted bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from memlens._core.layout import VALUE_TEXT_LIMIT
from memlens._display import displayed
from memlens._text import format_bytes, format_count, middle_cut
from memlens.errors import OptionError
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.views.visibility import check_min, hidden_flags, is_shown
from memlens.heap.views.waste import WasteView

__all__ = ("DuplicateGroup", "Duplicates", "duplicates_of")

_SHOWN_VALUE = 60


@displayed
@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Objects of one type with equal contents.

    ``wasted_bytes``: the bytes saved if only the largest of them were kept. ``value``: the
    shortened contents; None unless the snapshot was taken with values. ``nodes``: the objects.
    """

    type_name: str
    count: int
    total_bytes: int
    wasted_bytes: int
    value: str | None
    nodes: tuple[int, ...]

    def __str__(self) -> str:
        wasted = format_bytes(self.wasted_bytes)
        return f"{format_count(self.count)} equal {self.type_name} objects, {wasted} wasted"

    def __repr__(self) -> str:
        return f"<DuplicateGroup {self}>"

    @property
    def order(self) -> tuple[int, ...]:
        """The sort key of groups that waste the same number of bytes."""
        return self.nodes


class Duplicates(WasteView[DuplicateGroup]):
    """Groups of equal strings and bytes, the most wasted bytes first."""

    headers = ("wasted", "count", "each", "type", "value, or path to one")
    aligned_right = (True, True, True, False, False)

    @property
    def title(self) -> str:
        """The total in one line."""
        return (
            f"{format_bytes(self.wasted_bytes)} are wasted by {format_count(len(self.rows))}"
            " values of strings and bytes that are stored more than once"
        )

    def _cells(self, row: DuplicateGroup) -> tuple[str, ...]:
        return (
            format_bytes(row.wasted_bytes),
            format_count(row.count),
            format_bytes(row.total_bytes / row.count),
            row.type_name,
            self._example(row),
        )

    def _example(self, row: DuplicateGroup) -> str:
        """Return the value, or the path to one of the objects where values were not stored."""
        if row.value is not None:
            return middle_cut(ascii(row.value), _SHOWN_VALUE)
        return self._place(row.nodes[0])

    def _totals(self) -> dict[str, Any]:
        return {"wasted_bytes": self.wasted_bytes, "group_count": len(self.rows)}

    def _row_to_dict(self, row: DuplicateGroup) -> dict[str, Any]:
        return {
            "type": row.type_name,
            "count": row.count,
            "total_bytes": row.total_bytes,
            "wasted_bytes": row.wasted_bytes,
            "value": row.value,
            "example": None if row.value is not None else self._example(row),
        }


def duplicates_of(
    graph: HeapGraph, *, min_wasted_bytes: int = 1, include_garbage: bool = False
) -> Duplicates:
    """Group equal strings and bytes: see `HeapSnapshot.duplicates`."""
    check_min("min_wasted_bytes", min_wasted_bytes, 0)
    hidden = hidden_flags(include_garbage)
    groups: dict[Any, list[int]] = {}
    for node, group in _equal_groups(graph):
        if is_shown(graph, node, hidden):
            groups.setdefault(group, []).append(node)
    rows = []
    for nodes in groups.values():
        sizes = [graph.node_size[node] for node in nodes]
        wasted = sum(sizes) - max(sizes)
        if len(nodes) > 1 and wasted >= min_wasted_bytes:
            value, kind = graph.value_of(nodes[0]), graph.type_of(nodes[0])
            rows.append(DuplicateGroup(kind, len(nodes), sum(sizes), wasted, value, tuple(nodes)))
    return Duplicates(graph, rows)


def _equal_groups(graph: HeapGraph) -> Iterator[tuple[int, Any]]:
    """Yield nodes, each with a key that is the same for equal objects."""
    sections = graph.sections
    if "equal_node" in sections and "equal_group" in sections:
        yield from zip(sections["equal_node"], sections["equal_group"], strict=True)
    elif len(sections["value_node"]):
        yield from _equal_values(graph)
    else:
        raise OptionError(
            "this snapshot does not record which strings are equal: it was written by a core or a"
            " version that does not compare them; take it with values=True"
        )


def _equal_values(graph: HeapGraph) -> Iterator[tuple[int, Any]]:
    """Yield nodes by their stored value. Shortened values are skipped: the rest may differ."""
    kinds = [name if name in ("str", "bytes") else "" for name in graph.type_names]
    sections = graph.sections
    for node, text in zip(sections["value_node"], sections["value_text"], strict=True):
        kind = kinds[graph.node_type[node]]
        if kind and len(graph.string(text)) < VALUE_TEXT_LIMIT:
            yield node, (kind, text)
