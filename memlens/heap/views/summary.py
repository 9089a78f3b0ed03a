"""Summary: the objects in groups, with the shallow and retained size of each group."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Union

from memlens._core.layout import NodeFlag, RootKind
from memlens._rows import Rows
from memlens._text import format_bytes, format_count, format_duration, printable
from memlens.errors import OptionError
from memlens.heap.graph import checked_core
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.views.referrer_groups import referrer_groups
from memlens.heap.views.visibility import hidden_flags

__all__ = ("GROUPINGS", "Summary", "SummaryRow", "garbage_of", "summarise", "type_groups")

_OUTSIDE = 1 << 15  # marks the objects that are not garbage; not a NodeFlag


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """One group of objects: the count, and the shallow and retained size in bytes."""

    name: str
    count: int
    shallow_bytes: int
    retained_bytes: int


class Summary(Rows[SummaryRow]):
    """Objects by group, the largest shallow size first; ``str()`` is a table of 20 rows.

    ``by`` is the grouping. Within a group no byte is retained twice. Groups may contain each other,
    so their retained bytes can add up to more than the heap. ``order`` is ``"shallow"`` or
    ``"retained"``.
    """

    def __init__(
        self, title: str, rows: Iterable[SummaryRow], by: str = "type", *, order: str = "shallow"
    ) -> None:
        size = attrgetter(f"{order}_bytes")
        super().__init__(sorted(rows, key=lambda r: (-size(r), -r.count, r.name)))
        self._title = title
        self.by = by
        self.headers = ("count", "shallow", "retained", by)

    @property
    def title(self) -> str:
        """The totals in one or two lines."""
        return self._title

    @property
    def count(self) -> int:
        """The number of objects in all groups."""
        return sum(row.count for row in self.rows)

    @property
    def shallow_bytes(self) -> int:
        """The bytes of the objects in all groups."""
        return sum(row.shallow_bytes for row in self.rows)

    def _cells(self, row: SummaryRow) -> tuple[str, ...]:
        return (
            format_count(row.count),
            format_bytes(row.shallow_bytes),
            format_bytes(row.retained_bytes),
            row.name,
        )

    def _totals(self) -> dict[str, Any]:
        return {"title": self.title, "by": self.by}


def summarise(graph: HeapGraph, by: str = "type", *, include_garbage: bool = False) -> Summary:
    """Group all objects: see `HeapSnapshot.summary`. ``OptionError`` for an unknown grouping."""
    if by not in GROUPINGS:
        raise OptionError(
            f"unknown grouping {by!r}: a summary can be by {', '.join(map(repr, [*GROUPINGS, 'site']))}"
        )
    hidden = hidden_flags(include_garbage)
    group, names = GROUPINGS[by](graph)
    counts, sizes = checked_core.count_types(
        group, graph.node_size, graph.flags, len(names), hidden
    )
    retained = graph.dominators.retained_by_group(group, len(names), graph.flags, hidden)
    rows = _filled(zip(names, counts, sizes, retained, strict=True))
    facts = graph.facts
    title = (
        f"Heap of process {facts['pid']}: {format_count(sum(row.count for row in rows))} objects,"
        f" {format_bytes(sum(row.shallow_bytes for row in rows))}"
        f" (captured in {format_duration(float(facts['pause_seconds']))}, {printable(facts['reason'])})"
    )
    return Summary(title, rows, by)


def garbage_of(graph: HeapGraph) -> Summary:
    """Return the unreachable objects by type; their retained size is their shallow size."""
    garbage, own = int(NodeFlag.GARBAGE), int(NodeFlag.OWN)
    flags = array("H", [0 if f & garbage and not f & own else _OUTSIDE for f in graph.flags])
    group, names = type_groups(graph)
    counts, sizes = checked_core.count_types(group, graph.node_size, flags, len(names), _OUTSIDE)
    rows = _filled(zip(names, counts, sizes, sizes, strict=True))
    title = (
        f"Garbage: {format_count(sum(row.count for row in rows))} objects,"
        f" {format_bytes(sum(row.shallow_bytes for row in rows))} unreachable"
    )
    return Summary(title, rows)


def _filled(columns_of_rows: Iterable[tuple[str, int, int, int]]) -> list[SummaryRow]:
    return [SummaryRow(*row) for row in columns_of_rows if row[1]]


# -- groupings: the group of each node, and the names of the groups ----------------------------------

_Groups = tuple[Union[memoryview, "array[int]"], list[str]]


def type_groups(graph: HeapGraph) -> _Groups:
    """Group by type; types with the same name are one group."""
    names = graph.type_names
    if len({*names}) == len(names):
        return graph.node_type, names
    return _regrouped(graph, names)  # two classes have the same name


def _by_module(graph: HeapGraph) -> _Groups:
    """Group by the module where the type is defined; ``builtins`` if its name has no module."""
    modules = {
        graph.string(name)
        for name, kind in zip(graph.root_name, graph.root_kind, strict=True)
        if kind == RootKind.MODULE
    }
    return _regrouped(graph, [_module_of(name, modules) for name in graph.type_names])


def _module_of(type_name: str, modules: Collection[str]) -> str:
    parts = type_name.partition(".<locals>")[0].split(".")[:-1]
    for length in range(len(parts), 0, -1):
        if ".".join(parts[:length]) in modules:
            return ".".join(parts[:length])
    # The module is not in sys.modules. Enclosing classes are recognized by their upper case.
    while len(parts) > 1 and parts[-1][:1].isupper():
        parts.pop()
    return ".".join(parts) or "builtins"


def _regrouped(graph: HeapGraph, name_by_row: list[str]) -> _Groups:
    numbers: dict[str, int] = {}
    by_row = [numbers.setdefault(name, len(numbers)) for name in name_by_row]
    return array("I", map(by_row.__getitem__, graph.node_type)), list(numbers)


def _by_size(graph: HeapGraph) -> _Groups:
    """Group by shallow size, in powers of two."""
    group = array("I", map(int.bit_length, graph.node_size))
    names = ["0 B", *(_range_text(bits) for bits in range(1, max(group) + 1))]
    return group, names


def _range_text(bits: int) -> str:
    low, high = 1 << bits - 1, 1 << bits
    return f"{format_bytes(low)} to under {format_bytes(high)}"


GROUPINGS: dict[str, Callable[[HeapGraph], _Groups]] = {
    "type": type_groups,
    "module": _by_module,
    "size": _by_size,
    "referrer": referrer_groups,
}
