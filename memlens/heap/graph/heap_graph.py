"""HeapGraph: every object of a process at one instant, and what refers to what.

An immutable struct of arrays in the layout of `memlens._core.layout`. Node 0 is the process; its
edges are the roots. Derived data (dominators, referrers, paths, the address index) is computed by
the core on first use and cached.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from memlens._core.layout import (
    DERIVED_SECTIONS,
    KIND_MASK,
    LABEL_BITS,
    LARGEST_STORED,
    NO_BOUND,
    NONE,
    OPTIONAL_SECTIONS,
    SECTIONS,
    SITE_SECTIONS,
    EdgeKind,
    NodeFlag,
    RootKind,
)
from memlens._frame import Frame, is_library_file
from memlens.errors import SnapshotFileError
from memlens.heap.graph import checked_core
from memlens.heap.graph.allocation_sites import AllocationSites
from memlens.heap.graph.dominator_tree import DominatorTree
from memlens.heap.graph.native_blocks import (
    AdapterNote,
    NativeBlocks,
    NativeKind,
    parse_notes,
)
from memlens.heap.graph.snapshot_file import SectionFile
from memlens.heap.graph.stored_text import stored_text
from memlens.heap.graph.validation import (
    CheckedSections,
    check_facts,
    check_structure,
    item_count,
)

__all__ = ("PYTHON", "Edge", "HeapGraph")

PYTHON = "Python"  # the language of a heap that memlens captured

_WEAK = int(EdgeKind.WEAK)
# Search order: a path from a module or a frame is more useful than one from the intern table.
_ROOT_TIER = {
    RootKind.MODULE: 0,
    RootKind.FRAME: 1,  # up to 200: see `HeapGraph._frame_tier`
    RootKind.INTERPRETER: 201,
    RootKind.STATIC_TYPE: 202,
    RootKind.INTERNED: 203,
    RootKind.IMMORTAL: 203,
    RootKind.EXTERNAL: 204,
}
_TIER_OF_KIND = bytes(_ROOT_TIER.get(kind, 0) for kind in range(256))  # type: ignore[call-overload]
_MAX_RANKED_DEPTH = 99


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


class HeapGraph:
    """The object graph of one process at one instant.

    ``sections`` maps each name of `memlens._core.layout.SECTIONS` to a buffer; ``facts`` is a JSON
    object about the process. Raises ``SnapshotFileError`` where the sections do not fit together.
    """

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

    def __repr__(self) -> str:
        return f"<HeapGraph: {self.node_count:,} nodes, {self.edge_count:,} edges>"

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
        offsets = self._peek("string_offset")
        if number + 1 >= len(offsets):
            raise self._out_of_range("string", number, len(offsets) - 1)
        return stored_text(self._peek("string_bytes"), offsets[number], offsets[number + 1])

    def _peek(self, name: str) -> Any:
        """Return a section for a lookup that needs no check of all its values."""
        column = self._peeked.get(name)
        if column is None:
            sections = self.sections
            peek = sections.peek if isinstance(sections, CheckedSections) else sections.__getitem__
            column = self._peeked[name] = peek(name)
        return column

    def _out_of_range(self, what: str, number: int, count: int) -> SnapshotFileError:
        return SnapshotFileError(f"inconsistent heap: {what} {number} of only {count}")

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

    @cached_property
    def sites(self) -> AllocationSites | None:
        """Where sampled objects were allocated; None if allocations were not sampled."""
        if not SITE_SECTIONS.keys() <= self.sections.keys():
            return None
        lost = self.facts.get("lost_samples", ())
        return AllocationSites(self.sections, self.node_address, lost)

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

    @cached_property
    def path_edges(self) -> memoryview:
        """For each node, the last edge of the best shortest path from a root."""
        return self.find_path_edges()

    def find_path_edges(self) -> memoryview:
        """Return `path_edges` without keeping them, if they are not there already."""
        if "path_edges" in self.__dict__:
            return self.path_edges
        tiers = bytearray(bytes(self.root_kind).translate(_TIER_OF_KIND))
        for root, frame in enumerate(self.root_frame):
            if frame != NONE:
                tiers[root] = self._frame_tier(tiers[root], frame)
        return memoryview(
            checked_core.shortest_paths(self.edge_offset, self.edge_target, self.edge_label, tiers)
        )

    def _frame_tier(self, tier: int, frame: int) -> int:
        """Rank a running frame as the start of a path: lower is better.

        The program's frames come before those of libraries, and the outermost first: it lives
        longest, so that the same object has the same path in the next snapshot.
        """
        depth = min(self.frame_depth[frame], _MAX_RANKED_DEPTH)
        of_library = is_library_file(self.string(self.frame_file[frame]))
        return tier + _MAX_RANKED_DEPTH * (1 + of_library) - depth

    # -- dominators ------------------------------------------------------------------------------

    @cached_property
    def dominators(self) -> DominatorTree:
        """Immediate dominators and retained sizes."""
        if "node_dominator" in self.sections and "node_retained" in self.sections:
            columns = self.sections["node_dominator"], self.sections["node_retained"]
        else:
            columns = checked_core.dominator_tree(
                self.edge_offset, self.edge_target, self.edge_label, self.node_size
            )
        return DominatorTree(memoryview(columns[0]), memoryview(columns[1]))

    def largest(self, limit: int, include_garbage: bool = False) -> list[int]:
        """Return up to ``limit`` nodes with the largest retained sizes, without memlens's own.

        A native block is left out where an object retains it.
        """
        if self.native is None:
            return self._ranked(limit, include_garbage)
        wanted = limit
        while True:
            ranked = self._ranked(wanted, include_garbage)
            found = [node for node in ranked if not self.has_owner(node)]
            if len(found) >= limit or len(ranked) < wanted:
                return found[:limit]
            wanted *= 2

    def has_owner(self, node: int) -> bool:
        """Return whether a node is a native block that an object retains: none but a module."""
        if self.kind_of(node) is None:
            return False
        owner = self.dominators.dominator[node]
        return owner not in (0, NONE) and owner not in self.modules

    @cached_property
    def modules(self) -> frozenset[int]:
        """The modules of ``sys.modules`` and their namespaces."""
        found: set[int] = set()
        for root, kind in enumerate(self.root_kind):
            if kind == RootKind.MODULE:
                module = self.edge_target[root]
                found.add(module)
                found.update(
                    node
                    for node in self.strong_targets(module)
                    if self.node_flags[node] & NodeFlag.NAMESPACE
                )
        return frozenset(found)

    def _ranked(self, limit: int, include_garbage: bool) -> list[int]:
        """Return up to ``limit`` nodes by retained size, native blocks included.

        A file stores the first `LARGEST_STORED` of them, so that it need not scan all nodes.
        """
        stored = self.sections.get("node_largest")
        if stored is not None and not include_garbage and limit <= LARGEST_STORED:
            return list(stored[:limit])
        hidden = int(NodeFlag.OWN if include_garbage else NodeFlag.OWN | NodeFlag.GARBAGE)
        return checked_core.largest_nodes(
            self.dominators.retained, self.flags, limit, hidden
        ).tolist()

    def stored_sections(self) -> dict[str, tuple[str, Any]]:
        """Return the typecode and the buffer of each section that a file stores."""
        derived = {
            "node_dominator": self.dominators.dominator,
            "node_retained": self.dominators.retained,
            "node_largest": array("I", self._ranked(LARGEST_STORED, False)),
        }
        optional = OPTIONAL_SECTIONS | SITE_SECTIONS
        captured = SECTIONS | {n: c for n, c in optional.items() if n in self.sections}
        sections = {name: (code, self.sections[name]) for name, code in captured.items()}
        return sections | {name: (DERIVED_SECTIONS[name], derived[name]) for name in derived}

    def retained_bytes(self, node: int) -> int:
        """Return the retained size of a node in bytes: what would be freed with it."""
        return self._retained[node]

    @cached_property
    def _retained(self) -> memoryview:
        # Use a file's stored column: the dominators are often not needed.
        stored = self.sections.get("node_retained")
        return self.dominators.retained if stored is None else memoryview(stored)

    @cached_property
    def flags(self) -> array[int]:
        """The flags of all nodes; ``OWN`` also marks what only memlens's own objects keep alive."""
        return checked_core.spread_flags(
            self.dominators.dominator, self.node_flags, int(NodeFlag.OWN)
        )

    def forget_flags(self) -> None:
        """Free the memory of `flags`, which are found again when they are used."""
        self.__dict__.pop("flags", None)

    def has(self, node: int, flag: NodeFlag) -> bool:
        """Return whether a node has a flag."""
        return bool(self.flags[node] & int(flag))  # `&` with a Flag is ten times slower

    # -- native blocks ---------------------------------------------------------------------------

    @cached_property
    def native(self) -> NativeBlocks | None:
        """The native blocks among the nodes; None for a heap without any."""
        sections = self.sections
        if "native_node" not in sections or not item_count(sections, "native_node"):
            return None
        return NativeBlocks(self.sections, self.string)

    @property
    def object_count(self) -> int:
        """The number of objects: nodes without node 0 and native blocks."""
        return self.node_count - 1 - (0 if self.native is None else len(self.native))

    def kind_of(self, node: int) -> NativeKind | None:
        """Return the device and the library of a native block; None for an object."""
        return None if self.native is None else self.native.kind_of(node)

    @cached_property
    def retained_native(self) -> array[int] | None:
        """For each node the native bytes of the machine that it retains; None without any."""
        return self._retained_part(lambda kind: kind.is_host)

    @cached_property
    def retained_device(self) -> array[int] | None:
        """For each node the bytes in the memory of devices that it retains; None without any."""
        if self.native is None or not self.native.has_devices:
            return None
        return self._retained_part(lambda kind: not kind.is_host)

    def _retained_part(self, chosen: Callable[[NativeKind], bool]) -> array[int] | None:
        if self.native is None:
            return None
        return self.native.retained(self.dominators.dominator, self.node_size, chosen)

    def retained_native_bytes(self, node: int) -> int:
        """Return which part of a node's retained size is native memory of the machine."""
        return 0 if self.retained_native is None else self.retained_native[node]

    def retained_device_bytes(self, node: int) -> int:
        """Return which part of a node's retained size is memory of devices."""
        return 0 if self.retained_device is None else self.retained_device[node]

    @cached_property
    def adapter_notes(self) -> list[AdapterNote]:
        """How the adapters of libraries fared in the capture, by library."""
        text = self.sections.get("native_notes")
        return [] if text is None else parse_notes(bytes(text))

    # -- finding nodes ---------------------------------------------------------------------------

    def find_address(self, address: int) -> int | None:
        """Return the node of the object whose ``id()`` was ``address``, or None."""
        start = 0
        while True:
            try:
                node = self._addresses.index(address, start)
            except ValueError:
                return None
            if self.kind_of(node) is None:  # a native block may lie at the address of an object
                return node
            start = node + 1

    @cached_property
    def _addresses(self) -> array[int]:
        return array("Q", self.node_address.tobytes())
