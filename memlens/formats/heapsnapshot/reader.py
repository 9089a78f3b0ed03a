"""A ``.heapsnapshot`` as a heap snapshot with all its views: `read_heapsnapshot`.

The root of V8 is node 0, what it refers to are the roots. The class of a node is that of Chrome
DevTools: the name of objects, ``(string)``, ``(array)``, ``Function`` and so on for others. Ids take
the place of addresses: they are those of the same objects in the next snapshot, so snapshots of one
process can be compared.

Dominators follow the rules of memlab: weak references, and shortcuts other than those of the root, keep
nothing alive. V8 may write nodes that only weak references reach; as in other tools they are roots.
"""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress
from typing import Any

from memlens._core.layout import (
    LABEL_BITS,
    MAX_PAYLOAD,
    NONE,
    SECTIONS,
    EdgeKind,
    NodeFlag,
    RootKind,
)
from memlens._own_memory import hold_copy
from memlens.errors import SnapshotFileError
from memlens.formats.heapsnapshot.schema import EXPORTED_FACTS
from memlens.formats.heapsnapshot.v8_columns import V8Columns, read_columns
from memlens.formats.heapsnapshot.v8_names import V8Names
from memlens.heap.graph import checked_core
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.validation import check_facts
from memlens.heap.snapshot import HeapSnapshot

__all__ = ("is_heapsnapshot", "read_heapsnapshot")

_BEGINNING = re.compile(rb'\s*\{\s*"snapshot"\s*:')
_PID = re.compile(r"Heap\.\d{8}\.\d{6}\.(\d+)\.\d+\.\d+\.heapsnapshot")  # as Node.js names files
_KIND_OF_EDGE = {
    "context": EdgeKind.CELL,
    "element": EdgeKind.INDEX,
    "property": EdgeKind.ATTRIBUTE,
    "internal": EdgeKind.INTERNAL,
    "hidden": EdgeKind.INDEX,
    "shortcut": EdgeKind.WEAK,
    "weak": EdgeKind.WEAK,
}
_NUMBERED = ("element", "hidden")  # edges with a position instead of a name


def is_heapsnapshot(head: bytes) -> bool:
    """Return whether a file that begins with ``head`` is a ``.heapsnapshot``."""
    return _BEGINNING.match(head) is not None


def read_heapsnapshot(path: str) -> HeapSnapshot:
    """Read the file of a V8 heap (of Node.js, Chrome, Deno...) or one that memlens exported.

    Raises ``SnapshotFileError`` for a file that is damaged, or of another kind.
    """
    columns = read_columns(path)
    sections = _sections(path, columns)
    snapshot = HeapSnapshot(HeapGraph(sections, _facts(path, columns)))
    hold_copy(snapshot, sum(memoryview(column).nbytes for column in sections.values()))
    return snapshot


def _facts(path: str, columns: V8Columns) -> dict[str, Any]:
    named = _PID.fullmatch(os.path.basename(path))
    facts: dict[str, Any] = {
        "pid": int(named[1]) if named else 0,
        "timestamp": columns.modified,
        "reason": os.path.basename(path),
        "pause_seconds": 0.0,
        "language": "JavaScript",
    }
    ours = columns.header.get("memlens")
    if type(ours) is dict:
        facts |= {name: ours[name] for name in EXPORTED_FACTS if name in ours}
    try:
        check_facts(facts)
    except SnapshotFileError as error:
        raise SnapshotFileError(f"{path}: {error}") from error
    return facts


def _sections(path: str, columns: V8Columns) -> dict[str, Any]:
    names = V8Names(columns)
    graph = _Edges(path, columns)
    made: dict[str, Any] = {
        "node_address": array("Q", [0, *columns.nodes["id"][1:]]),
        "node_type": names.node_type,
        "node_size": columns.nodes["self_size"],
        "node_flags": graph.flags,
        "edge_offset": graph.offset,
        "edge_target": graph.target,
        "edge_label": graph.label,
        "type_name": names.type_name,
        "type_node": array("I", [NONE]) * len(names.type_name),
        "root_kind": graph.root_kind,
        "root_name": graph.root_name,
        "root_count": array("Q", bytes(8 * len(graph.root_kind))),
        "root_frame": array("I", [NONE]) * len(graph.root_kind),
        "name_node": names.named,
        "name_text": names.named_text,
        "name_file": array("I", bytes(4 * len(names.named))),
        "name_line": array("I", bytes(4 * len(names.named))),
        "value_node": names.valued,
        "value_text": names.valued_text,
        "equal_node": names.equal,
        "equal_group": names.equal_group,
        "string_offset": columns.strings.offset,
        "string_bytes": array("B", columns.strings.data),
    }
    return {**{name: array(code) for name, code in SECTIONS.items() if name not in made}, **made}


class _Edges:
    """The edges of the file as those of a graph, the roots and the flags of nodes."""

    def __init__(self, path: str, columns: V8Columns) -> None:
        counts, edges = columns.nodes["edge_count"], columns.edges
        self._types = edges["type"]
        self.target = edges["to_node"]
        self.label = _labels(path, columns)
        self.offset = array("Q", [0])
        position = 0
        for count in counts:
            position += count
            self.offset.append(position)
        self.root_kind, self.root_name = array("B"), array("I")
        self._read_roots(columns)
        self.flags = array("H", bytes(2 * len(counts)))
        self._add_weakly_held()

    def _read_roots(self, columns: V8Columns) -> None:
        """Name the roots by their nodes; those of shortcuts are the global objects.

        Global objects are where the program keeps things, so paths begin there where they can.
        """
        for edge in range(self.offset[1]):
            is_global = columns.edge_types[self._types[edge]] == "shortcut"
            if is_global:
                self.label[edge] = EdgeKind.INTERNAL  # elsewhere, shortcuts keep nothing alive
            self.root_kind.append(RootKind.MODULE if is_global else RootKind.INTERPRETER)
            self.root_name.append(columns.nodes["name"][self.target[edge]] + 1)

    def _add_weakly_held(self) -> None:
        """Make roots of what only weak references reach; the rest that nothing reaches is garbage."""
        count = len(self.flags)
        reached = checked_core.reached_nodes(self.offset, self.target, self.label, bytes(count))
        missing = [node for node in range(1, count) if not reached[node]]
        if not missing:
            return
        offsets, sources = checked_core.reverse_edges(self.offset, self.target, self.label)
        held = [
            node
            for node in missing
            if all(source == node for source in sources[offsets[node] : offsets[node + 1]])
        ]
        self._add_roots(held)
        reached = checked_core.reached_nodes(self.offset, self.target, self.label, bytes(count))
        for node in missing:
            if not reached[node]:
                self.flags[node] = NodeFlag.GARBAGE

    def _add_roots(self, nodes: Sequence[int]) -> None:
        first = self.offset[1]
        added = array("I", nodes)
        self.target = self.target[:first] + added + self.target[first:]
        labels = array("I", [EdgeKind.INTERNAL]) * len(added)
        self.label = self.label[:first] + labels + self.label[first:]
        self.offset = array("Q", [0, *(place + len(added) for place in self.offset[1:])])
        self.root_kind += array("B", [RootKind.EXTERNAL]) * len(added)
        self.root_name += array("I", bytes(4 * len(added)))


def _labels(path: str, columns: V8Columns) -> array[int]:
    """Return the label of each edge. Raises ``SnapshotFileError`` for a name that is not there."""
    kinds = [_KIND_OF_EDGE.get(name, EdgeKind.INTERNAL) for name in columns.edge_types]
    is_numbered = bytes(name in _NUMBERED for name in columns.edge_types)
    types, names = columns.edges["type"], columns.edges["name_or_index"]
    flags = bytes(map(is_numbered.__getitem__, types))
    named = max(_named(names, flags), default=0)
    if named + 2 >= len(columns.strings.offset):
        raise SnapshotFileError(f"{path}: an edge has a name that is not there")
    last = MAX_PAYLOAD
    return array(
        "I",
        (
            (name if name < last else last) << LABEL_BITS | kinds[kind]
            if numbered
            else name + 1 << LABEL_BITS | kinds[kind]
            for name, kind, numbered in zip(names, types, flags, strict=True)
        ),
    )


def _named(names: Iterable[int], is_numbered: bytes) -> Iterator[int]:
    return compress(names, is_numbered.translate(bytes([1, 0]) + bytes(254)))
