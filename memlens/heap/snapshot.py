"""HeapSnapshot: a captured heap with the views that people know from other tools."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from heapq import nlargest
from typing import Any

from memlens import _core
from memlens._core.layout import SECTIONS, NodeFlag
from memlens._text import columns, format_bytes, format_count, format_duration
from memlens.errors import NotInSnapshotError, OptionError
from memlens.heap.comparison import HeapComparison, compare_graphs
from memlens.heap.file import SectionFile, write_sections
from memlens.heap.graph import HeapGraph
from memlens.heap.node import Node
from memlens.heap.paths import RetentionPath, RetentionPathFinder

__all__ = ("HeapSnapshot", "Summary", "SummaryRow", "compare_snapshots")

_HIDDEN = NodeFlag.OWN | NodeFlag.GARBAGE


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """One group of objects: how many, their own bytes, and the bytes that they keep alive."""

    name: str
    count: int
    shallow_bytes: int
    retained_bytes: int


class Summary:
    """Objects by group, the largest shallow size first; ``str()`` is a table of 20 rows."""

    def __init__(self, title: str, rows: list[SummaryRow]) -> None:
        self.title = title
        self.rows = tuple(sorted(rows, key=lambda r: (-r.shallow_bytes, -r.count, r.name)))

    def __iter__(self) -> Iterator[SummaryRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def table(self, limit: int = 20) -> str:
        """Return the first ``limit`` rows as a plain table of at most 100 columns."""
        rows = [
            (
                format_count(row.count),
                format_bytes(row.shallow_bytes),
                format_bytes(row.retained_bytes),
                row.name,
            )
            for row in self.rows[:limit]
        ]
        more = f"\n... and {len(self.rows) - limit} more" if len(self.rows) > limit else ""
        return columns(("count", "shallow", "retained", "type"), rows) + more

    def __str__(self) -> str:
        return f"{self.title}\n\n{self.table()}"

    def to_dict(self) -> dict[str, Any]:
        """Return all rows as JSON-ready values."""
        return {"title": self.title, "rows": [asdict(row) for row in self.rows]}


class HeapSnapshot:
    """All objects of a process at one instant, and who holds them.

    Made by ``memlens.take_heap_snapshot`` or ``memlens.load``. Objects that belong to memlens, and
    garbage, are left out of the views unless a view says otherwise. Sizes are in bytes.
    """

    def __init__(self, graph: HeapGraph) -> None:
        self.graph = graph
        self._finder = RetentionPathFinder(graph)

    # -- facts -----------------------------------------------------------------------------------

    @property
    def facts(self) -> dict[str, Any]:
        """All that is recorded about the process and the capture."""
        return self.graph.facts

    @property
    def timestamp(self) -> float:
        """When it was taken, in seconds since the epoch."""
        return float(self.facts["timestamp"])

    @property
    def reason(self) -> str:
        """Why it was taken, in the caller's word."""
        return str(self.facts["reason"])

    @property
    def pid(self) -> int:
        """The process that it is of."""
        return int(self.facts["pid"])

    @property
    def pause_seconds(self) -> float:
        """How long the capture stopped the program, its collections included."""
        return float(self.facts["pause_seconds"])

    @property
    def object_count(self) -> int:
        """The number of objects captured, garbage and memlens's own included."""
        return self.graph.node_count - 1

    @property
    def edge_count(self) -> int:
        """The number of references captured, weak ones included."""
        return self.graph.edge_count - self.graph.root_count_total

    @property
    def total_bytes(self) -> int:
        """The shallow sizes of all captured objects together."""
        return sum(self.graph.node_size)

    # -- views -----------------------------------------------------------------------------------

    def summary(self, by: str = "type") -> Summary:
        """Return the objects grouped: by ``"type"``, count, shallow and retained size of each."""
        if by != "type":
            raise OptionError(f"unknown grouping {by!r}: a summary can be by 'type'")
        shown = self._rows(int(_HIDDEN))
        count = sum(row.count for row in shown)
        size = sum(row.shallow_bytes for row in shown)
        title = (
            f"Heap of process {self.pid}: {format_count(count)} objects, {format_bytes(size)}"
            f" (captured in {format_duration(self.pause_seconds)}, {self.reason})"
        )
        return Summary(title, shown)

    def garbage(self) -> Summary:
        """Return what no root reached, by type: what the next full collection would free."""
        rows = self._rows(0, only=NodeFlag.GARBAGE)
        title = (
            f"Garbage: {format_count(sum(row.count for row in rows))} objects,"
            f" {format_bytes(sum(row.shallow_bytes for row in rows))} that no root reaches"
        )
        return Summary(title, rows)

    def largest(self, n: int = 10) -> list[Node]:
        """Return the ``n`` objects that keep the most bytes alive, largest first."""
        if n < 1:
            raise OptionError(f"n is {n}: ask for at least one object")
        retained, flags = self.graph.dominators.retained, self.graph.flags
        nodes = (node for node in range(1, self.graph.node_count) if not flags[node] & _HIDDEN)
        return [Node(self.graph, node) for node in nlargest(n, nodes, key=retained.__getitem__)]

    def find(self, matches: Callable[[Node], bool]) -> Iterator[Node]:
        """Yield the objects for which ``matches(node)`` is true."""
        flags = self.graph.flags
        for index in range(1, self.graph.node_count):
            if not flags[index] & _HIDDEN:
                node = Node(self.graph, index)
                if matches(node):
                    yield node

    def node_of(self, obj: object) -> Node:
        """Return the node of a live object of this process.

        Raises ``NotInSnapshotError`` for an object that was not there, or is of another type now.
        """
        if self.pid != os.getpid():
            raise NotInSnapshotError(
                f"this snapshot is of process {self.pid}, the object of process {os.getpid()}"
            )
        index = self.graph.find_address(id(obj))
        qualname: str = type.__dict__["__qualname__"].__get__(type(obj))
        if (
            index is None
            or self.graph.type_of(index).rpartition(".")[2] != (qualname.rpartition(".")[2])
        ):
            raise NotInSnapshotError(
                f"the snapshot does not hold this {qualname} object: it was made later, or belongs"
                " to an instance that stores it in another form"
            )
        return Node(self.graph, index)

    def retention_paths(self, node: Node | int, count: int = 3) -> list[RetentionPath]:
        """Return up to ``count`` independent paths that keep a node alive, the best first."""
        return self._finder.find(self._index(node), count)

    def path_to(self, node: Node | int) -> RetentionPath | None:
        """Return the best path to a node; None for garbage."""
        return self._finder.path_to(self._index(node))

    def compare(self, later: HeapSnapshot) -> HeapComparison:
        """Return what changed from this snapshot to a later one of the same process."""
        return compare_graphs(self.graph, later.graph)

    # -- files -----------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> int:
        """Write the snapshot with its retained sizes to ``path``; return the bytes written.

        Raises ``OutputError`` where that fails; then nothing is left under the name.
        """
        dominators = self.graph.dominators
        sections = {name: (code, self.graph.sections[name]) for name, code in SECTIONS.items()}
        sections["node_dominator"] = ("I", dominators.dominator)
        sections["node_retained"] = ("Q", dominators.retained)
        return write_sections(path, sections, self.facts)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> HeapSnapshot:
        """Open a snapshot file; raises ``SnapshotFileError`` for anything else."""
        file = SectionFile(path)
        return cls(HeapGraph(file, file.facts()))

    def __str__(self) -> str:
        return str(self.summary())

    def __repr__(self) -> str:
        return f"<HeapSnapshot of process {self.pid}: {format_count(self.object_count)} objects>"

    # -- inside ----------------------------------------------------------------------------------

    def _index(self, node: Node | int) -> int:
        index = node.index if isinstance(node, Node) else node
        if isinstance(node, Node) and node.graph is not self.graph:
            raise NotInSnapshotError("this node is of another snapshot")
        if not 0 < index < self.graph.node_count:
            raise NotInSnapshotError(
                f"there is no node {index}: nodes go from 1 to {self.graph.node_count - 1}"
            )
        return index

    def _rows(self, skip: int, *, only: NodeFlag | None = None) -> list[SummaryRow]:
        graph = self.graph
        flags = graph.flags
        if only is not None:  # count what has the flag by leaving out all that has it not
            marked = [0 if flag & only else 1 << 15 for flag in flags]
            flags, skip = type(flags)("H", marked), 1 << 15
        row_count = len(graph.type_names)
        counts, sizes = _core.count_types(graph.node_type, graph.node_size, flags, row_count, skip)
        retained = graph.dominators.retained_by_group(graph.node_type, row_count)
        return [
            SummaryRow(name, counts[row], sizes[row], sizes[row] if only else retained[row])
            for row, name in enumerate(graph.type_names)
            if counts[row]
        ]


def compare_snapshots(before: HeapSnapshot, after: HeapSnapshot) -> HeapComparison:
    """Return what changed between two snapshots of one process, by type.

    Raises ``ComparisonError`` for snapshots of different processes.
    """
    for snapshot in (before, after):
        if not isinstance(snapshot, HeapSnapshot):
            raise OptionError(f"expected a HeapSnapshot, not {type(snapshot).__name__}")
    return before.compare(after)
