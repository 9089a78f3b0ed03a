"""GraphColumns: the captured columns of a heap: its nodes, their names, and what refers to what."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from memlens._core.layout import KIND_MASK, LABEL_BITS, NO_BOUND, EdgeKind
from memlens._frame import Frame
from memlens.errors import SnapshotFileError
from memlens.heap.graph import checked_core
from memlens.heap.graph.snapshot_file import SectionFile
from memlens.heap.graph.stored_text import stored_text
from memlens.heap.graph.validation import (
    CheckedSections,
    check_facts,
    check_structure,
    item_count,
)

__all__ = ("PYTHON", "Edge", "GraphColumns", "peek_of", "string_at")

PYTHON = "Python"  # the language of a heap that memlens captured

_WEAK = int(EdgeKind.WEAK)


class Edge(NamedTuple):
    """One reference: from ``source`` to ``target``, under a name or at a position."""

    source: int
    target: int
    kind: EdgeKind
    name: str
    position: int  # of EdgeKind.INDEX; 0 otherwise


def _column(name: str) -> cached_property[memoryview]:
    # Looked up on first use, because that is when a mapped file verifies the section.
    return cached_property(lambda graph: memoryview(graph.sections[name]))


class GraphColumns:
    """The columns of a heap, in the layout of `memlens._core.layout`; see `HeapGraph`."""

    node_address = _column("node_address")
    node_type = _column("node_type")
    node_size = _column("node_size")
    node_flags = _column("node_flags")
    edge_offset = _column("edge_offset")
    edge_target = _column("edge_target")
    edge_label = _column("edge_label")
    type_name = _column("type_name")
    type_node = _column("type_node")
    root_kind = _column("root_kind")
    root_name = _column("root_name")
    root_count = _column("root_count")
    root_frame = _column("root_frame")
    frame_thread = _column("frame_thread")
    frame_function = _column("frame_function")
    frame_file = _column("frame_file")
    frame_line = _column("frame_line")
    frame_depth = _column("frame_depth")

    def __init__(self, sections: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        check_structure(sections)
        self.sections = CheckedSections(sections) if isinstance(sections, SectionFile) else sections
        self.facts = dict(facts)
        self._peeked: dict[str, Any] = {}
        if isinstance(sections, SectionFile):
            check_facts(facts)

    # -- sizes -----------------------------------------------------------------------------------

    @cached_property
    def node_count(self) -> int:
        """The number of nodes, including node 0."""
        return item_count(self.sections, "node_type")

    @property
    def edge_count(self) -> int:
        """The number of references, including those from node 0 to the roots."""
        return len(self.edge_target)

    @property
    def root_count_total(self) -> int:
        """The number of roots: the edges of node 0."""
        return len(self.root_kind)

    @property
    def language(self) -> str:
        """The language of the program: ``Python``, ``JavaScript`` for a heap of V8."""
        return str(self.facts.get("language", PYTHON))

    # -- strings and names -----------------------------------------------------------------------

    def string(self, number: int) -> str:
        """Return one of the stored strings; a very long one is cut."""
        return string_at(self._peek, number)

    def _peek(self, name: str) -> Any:
        """Return a section for a lookup that needs no check of all its values."""
        column = self._peeked.get(name)
        if column is None:
            column = self._peeked[name] = peek_of(self.sections)(name)
        return column

    def _out_of_range(self, what: str, number: int, count: int) -> SnapshotFileError:
        return _out_of_range(what, number, count)

    @property
    def string_count(self) -> int:
        """The number of stored strings."""
        return len(self._peek("string_offset")) - 1

    @cached_property
    def type_names(self) -> list[str]:
        """The qualified name of each row of the type table."""
        texts: dict[int, str] = {}  # many types may share a long name
        for number in self.type_name:
            if number not in texts:
                texts[number] = self.string(number)
        return [texts[number] for number in self.type_name]

    def type_of(self, node: int) -> str:
        """Return the qualified type name of a node: ``app.models.User``, ``dict``."""
        row: int = self._peek("node_type")[node]
        names = self.type_names
        if row >= len(names):
            raise self._out_of_range("type", row, len(names))
        return names[row]

    def _named(self, node: int) -> tuple[int, int, int] | None:
        place = self._row("name_node", node)
        if place is None:
            return None
        text, file, line = (self._peek(f"name_{part}")[place] for part in ("text", "file", "line"))
        return text, file, line

    def _row(self, column: str, node: int) -> int | None:
        """Return a node's row in a sorted sparse column, which is too large to copy to a dict."""
        nodes = self._peek(column)
        place = bisect_left(nodes, node)
        return place if place < len(nodes) and nodes[place] == node else None

    def name_of(self, node: int) -> str:
        """Return the qualified name of a module, class, function or code object, the name of a task.

        ``""`` for anything else.
        """
        entry = self._named(node)
        return self.string(entry[0]) if entry else ""

    def location_of(self, node: int) -> Frame | None:
        """Return where a module, class, function or code object is defined, where that is known."""
        entry = self._named(node)
        if entry is None or not entry[1]:
            return None
        return Frame(None, self.string(entry[1]), entry[2])

    def length_of(self, node: int) -> int | None:
        """Return the number of elements of a built-in container, None for anything else."""
        place = self._row("container_node", node)
        return None if place is None else self._peek("container_length")[place]

    def bound_of(self, node: int) -> int | None:
        """Return the maximum length that a container declares (``maxlen``, ``maxsize``), or None."""
        place = self._row("container_node", node)
        bound = NO_BOUND if place is None else self._peek("container_bound")[place]
        return None if bound == NO_BOUND else bound

    def value_of(self, node: int) -> str | None:
        """Return the text of a string, bytes or number; None unless values were captured."""
        place = self._row("value_node", node)
        return None if place is None else self.string(self._peek("value_text")[place])

    def prefix_of(self, node: int) -> int | None:
        """Return the keyed hash of the beginning of a text or a large buffer, None if unknown.

        Equal in two snapshots of one process where the beginning is.
        """
        if "prefix_node" not in self.sections:
            return None
        place = self._row("prefix_node", node)
        return None if place is None else self._peek("prefix_hash")[place]

    # -- edges -----------------------------------------------------------------------------------

    def edge(self, index: int, source: int) -> Edge:
        """Return edge ``index`` of ``edge_target``, an edge of node ``source``."""
        label = self.edge_label[index]
        kind = EdgeKind(label & KIND_MASK)
        payload = label >> LABEL_BITS
        target = self.edge_target[index]
        if kind is EdgeKind.INDEX:
            return Edge(source, target, kind, "", payload)
        return Edge(source, target, kind, self.string(payload), 0)

    def edges(self, node: int) -> Iterator[Edge]:
        """Yield the references of a node, including weak ones."""
        for index in range(self.edge_offset[node], self.edge_offset[node + 1]):
            yield self.edge(index, node)

    def targets(self, node: int) -> list[int]:
        """Return the targets of all references of a node, including weak ones."""
        return self.edge_target[self.edge_offset[node] : self.edge_offset[node + 1]].tolist()

    def strong_targets(self, node: int) -> list[int]:
        """Return the targets of the strong references of a node."""
        start, end = self.edge_offset[node], self.edge_offset[node + 1]
        return [
            target
            for target, label in zip(
                self.edge_target[start:end], self.edge_label[start:end], strict=True
            )
            if label & KIND_MASK != _WEAK
        ]

    @cached_property
    def referrer_rows(self) -> tuple[memoryview, memoryview]:
        """The strong referrers of each node: offsets by node, and the sources of its edges."""
        offsets, sources = checked_core.reverse_edges(
            self.edge_offset, self.edge_target, self.edge_label
        )
        return memoryview(offsets), memoryview(sources)

    def referrers(self, node: int) -> list[int]:
        """Return the nodes with a strong reference to a node, ascending, each once."""
        offsets, sources = self.referrer_rows
        return sorted(set(sources[offsets[node] : offsets[node + 1]].tolist()))

    def edge_source(self, index: int) -> int:
        """Return the source of edge ``index``, by binary search."""
        low, high = 0, self.node_count
        while low < high:  # the last node whose row begins at or before index
            middle = (low + high) // 2
            if self.edge_offset[middle + 1] <= index:
                low = middle + 1
            else:
                high = middle
        return low


def peek_of(sections: Mapping[str, Any]) -> Callable[[str], Any]:
    """Return a function that gives a section for lookups that need no check of all its values."""
    return sections.peek if isinstance(sections, CheckedSections) else sections.__getitem__


def string_at(peek: Callable[[str], Any], number: int) -> str:
    """Return one of the stored strings; a very long one is cut. ``peek`` returns a section."""
    offsets = peek("string_offset")
    if number + 1 >= len(offsets):
        raise _out_of_range("string", number, len(offsets) - 1)
    return stored_text(peek("string_bytes"), offsets[number], offsets[number + 1])


def _out_of_range(what: str, number: int, count: int) -> SnapshotFileError:
    return SnapshotFileError(f"inconsistent heap: {what} {number} of only {count}")
