"""Summary: the objects in groups, with the shallow and retained size of each group."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, ClassVar, Union

from memlens._core.layout import NodeFlag, RootKind
from memlens._display import displayed
from memlens._rows import Rows
from memlens._text import format_bytes, format_count, format_duration, printable
from memlens.errors import OptionError
from memlens.heap.graph import checked_core
from memlens.heap.graph.heap_graph import PYTHON, HeapGraph
from memlens.heap.graph.native_blocks import is_native_type
from memlens.heap.views.referrer_groups import referrer_groups
from memlens.heap.views.visibility import hidden_flags

__all__ = (
    "GROUPINGS",
    "Summary",
    "SummaryRow",
    "garbage_of",
    "heap_title",
    "retained_by_group",
    "summarise",
    "type_groups",
)

_OUTSIDE = 1 << 15  # marks the objects that are not garbage; not a NodeFlag


@displayed
@dataclass(frozen=True, slots=True)
class SummaryRow:
    """One group of objects or native blocks: the count, and the shallow and retained size in bytes.

    ``retained_native_bytes`` and ``retained_device_bytes`` are the parts of the retained size that
    are native memory of this machine and memory of devices.
    """

    name: str
    count: int
    shallow_bytes: int
    retained_bytes: int
    retained_native_bytes: int = 0
    retained_device_bytes: int = 0

    def __str__(self) -> str:
        return (
            f"{self.name}: {format_count(self.count)} objects, {format_bytes(self.shallow_bytes)},"
            f" retain {format_bytes(self.retained_bytes)}"
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"


class Summary(Rows[SummaryRow]):
    """Objects by group, the largest shallow size first; ``str()`` is a table of 20 rows.

    ``by`` is the grouping. Within a group no byte is retained twice. Groups may contain each other,
    so their retained bytes can add up to more than the heap. ``order`` is ``"shallow"`` or
    ``"retained"``. Native blocks count like objects, in groups of their own by type and module.
    """

    optional: ClassVar[tuple[str, ...]] = ("device", "native")

    def __init__(
        self, title: str, rows: Iterable[SummaryRow], by: str = "type", *, order: str = "shallow"
    ) -> None:
        size = attrgetter(f"{order}_bytes")
        super().__init__(sorted(rows, key=lambda r: (-size(r), -r.count, r.name)))
        self._title = title
        self.by = by
        parts = [
            (what, f"retained_{what}_bytes")
            for what in ("native", "device")
            if any(getattr(row, f"retained_{what}_bytes") for row in self.rows)
        ]
        self._parts = [attrgetter(name) for _, name in parts]
        self.headers = ("count", "shallow", "retained", *(what for what, _ in parts), by)

    @property
    def title(self) -> str:
        """The totals in one or two lines."""
        return self._title

    @property
    def count(self) -> int:
        """The number of objects and native blocks in all groups."""
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
            *(format_bytes(part(row)) for part in self._parts),
            row.name,
        )

    def _totals(self) -> dict[str, Any]:
        return {"title": self.title, "by": self.by}


def summarise(graph: HeapGraph, by: str = "type", *, include_garbage: bool = False) -> Summary:
    """Group all objects: see `HeapSnapshot.summary`.

    Raises ``OptionError`` for a grouping that is unknown, or of which the heap records nothing.
    """
    if by not in GROUPINGS:
        raise OptionError(
            f"unknown grouping {by!r}: a summary can be by"
            f" {', '.join(map(repr, [*GROUPINGS, 'site', 'device']))}"
        )
    if by == "module" and graph.language != PYTHON:
        raise OptionError(f"a heap of {graph.language} does not record the modules of its types")
    hidden = hidden_flags(include_garbage)
    group, names = GROUPINGS[by](graph)
    counts, sizes = checked_core.count_types(
        group, graph.node_size, graph.flags, len(names), hidden
    )
    retained = retained_by_group(graph, group, len(names), graph.flags, hidden)
    rows = _filled(zip(names, counts, sizes, *retained, strict=True))
    return Summary(heap_title(graph, rows, hidden), rows, by)


def heap_title(graph: HeapGraph, rows: Iterable[SummaryRow], hidden: int) -> str:
    """Return the totals of all rows in one line; ``hidden`` are the flags of what they leave out."""
    rows, facts = list(rows), graph.facts
    count, native = sum(row.count for row in rows), ""
    if graph.native is not None:
        shown = [node for node in graph.native.nodes if not graph.flags[node] & hidden]
        size = format_bytes(sum(graph.node_size[node] for node in shown))
        count -= len(shown)
        native = f", {size} of it in {format_count(len(shown))} native blocks"
    return (
        f"Heap of process {facts['pid']}: {format_count(count)} objects,"
        f" {format_bytes(sum(row.shallow_bytes for row in rows))}{native}"
        f" (captured in {format_duration(float(facts['pause_seconds']))}, {printable(facts['reason'])})"
    )


def garbage_of(graph: HeapGraph) -> Summary:
    """Return the unreachable objects by type; their retained size is their shallow size."""
    garbage, own = int(NodeFlag.GARBAGE), int(NodeFlag.OWN)
    flags = array("H", [0 if f & garbage and not f & own else _OUTSIDE for f in graph.flags])
    group, names = type_groups(graph)
    counts, sizes = checked_core.count_types(group, graph.node_size, flags, len(names), _OUTSIDE)
    retained = retained_by_group(graph, group, len(names), flags, _OUTSIDE)
    rows = _filled(zip(names, counts, sizes, *retained, strict=True))
    blocks = sum(row.count for row in rows if is_native_type(row.name))
    native = f" and {format_count(blocks)} native blocks" if blocks else ""
    title = (
        f"Garbage: {format_count(sum(row.count for row in rows) - blocks)} objects{native},"
        f" {format_bytes(sum(row.shallow_bytes for row in rows))} unreachable"
    )
    return Summary(title, rows)


def retained_by_group(
    graph: HeapGraph,
    group: memoryview | array[int],
    group_count: int,
    flags: memoryview | array[int],
    skip_flags: int,
) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
    """Return the bytes retained by each group, and which of them are native and on devices.

    The arguments are those of `DominatorTree.retained_by_group`.
    """
    tree = graph.dominators
    native, device = (
        [0] * group_count
        if part is None
        else checked_core.retained_by_group(
            tree.dominator, part, group, group_count, flags, skip_flags
        )
        for part in (graph.retained_native, graph.retained_device)
    )
    return tree.retained_by_group(group, group_count, flags, skip_flags), native, device


def _filled(columns_of_rows: Iterable[tuple[Any, ...]]) -> list[SummaryRow]:
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
    if is_native_type(type_name):
        return type_name
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
