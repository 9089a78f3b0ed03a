"""Write a heap snapshot as ``.heapsnapshot``, for the Memory tab of Chrome DevTools and for memlab.

The graph is written as it is: the same nodes, sizes and strong references, below groups of roots. So
the retained sizes and dominators that other tools compute from the file are those of memlens. What
they would treat differently is avoided:

- all nodes below the root are synthetic, and no edge is a shortcut: otherwise DevTools would take some
  objects for those of the page, and leave out edges to them;
- no node is of the types ``array`` and ``hidden``, whose sizes DevTools adds to those of their owners;
- garbage hangs from a node of its own, and its edges to live objects are weak.

Columns are formatted some rows at a time, so the file is never in memory.
"""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any

from memlens._atomic import open_whole
from memlens.errors import OptionError
from memlens.formats.heapsnapshot.collapse import larger_columns
from memlens.formats.heapsnapshot.columns import Columns, all_columns
from memlens.formats.heapsnapshot.edge_rows import EdgeRows
from memlens.formats.heapsnapshot.extra_nodes import ExtraNodes
from memlens.formats.heapsnapshot.ids import node_ids
from memlens.formats.heapsnapshot.node_names import name_nodes
from memlens.formats.heapsnapshot.schema import EXPORTED_FACTS, MAX_SIZE, META
from memlens.formats.heapsnapshot.stacks import TraceTree
from memlens.formats.heapsnapshot.strings import StringTable
from memlens.heap.graph import checked_core
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.native_blocks import MAPPED
from memlens.heap.snapshot import HeapSnapshot

__all__ = ("DEFAULT_MAX_NODES", "write_heapsnapshot")

DEFAULT_MAX_NODES = 2_000_000
_MIN_MAX_NODES = 100
_CHUNK = 1 << 15  # nodes


def write_heapsnapshot(
    snapshot: HeapSnapshot,
    path: str | os.PathLike[str],
    *,
    before: Sequence[HeapSnapshot] = (),
    max_nodes: int = DEFAULT_MAX_NODES,
) -> int:
    """Write a snapshot as ``.heapsnapshot``; return the size of the file in bytes.

    ``before``: earlier snapshots of the process, the earliest first, so that ids continue theirs.
    ``max_nodes``: of a heap with more objects, those that retain least are summed up.

    Raises ``OptionError`` for fewer than 100 nodes, ``ComparisonError`` for earlier snapshots of
    another process, ``OutputError`` if the file cannot be written.
    """
    if max_nodes < _MIN_MAX_NODES:
        raise OptionError(f"max_nodes is {max_nodes}: it must be at least {_MIN_MAX_NODES}")
    content = _Content(snapshot, [earlier.graph for earlier in before], max_nodes)
    with open_whole(path) as file:
        content.write(file)
        return file.tell()


class _Content:
    """Everything that one file says."""

    def __init__(self, snapshot: HeapSnapshot, before: Sequence[HeapGraph], max_nodes: int) -> None:
        self._snapshot = snapshot
        graph = snapshot.graph
        self._strings = StringTable(graph)
        named = name_nodes(graph, self._strings)
        ids = node_ids(graph, before)
        self._columns = (
            all_columns(graph, named, ids)
            if graph.node_count <= max_nodes
            else larger_columns(graph, named, ids, self._strings, max_nodes)
        )
        self._traces = TraceTree(graph, self._strings)
        self._extra = _extra_nodes(graph, self._columns, self._strings)
        self._edges = EdgeRows(self._columns, self._extra, self._strings)

    def write(self, file: IO[bytes]) -> None:
        """Write the file. The order of the keys is the one that readers demand."""
        file.write(b'{"snapshot":')
        file.write(json.dumps(self._header(), separators=(",", ":")).encode())
        _write_numbers(file, "nodes", self._node_texts())
        _write_numbers(file, "edges", self._edges.texts())
        functions = self._traces.function_rows()
        file.write(b',\n"trace_function_infos":[%b]' % functions)
        file.write(b',\n"trace_tree":')
        self._traces.write_tree(file)
        file.write(b',\n"samples":[],\n"locations":[],\n"strings":')
        self._strings.write(file)
        file.write(b"}\n")

    def _header(self) -> dict[str, Any]:
        facts = self._snapshot.facts
        return {
            "meta": META,
            "node_count": len(self._columns.names) + len(self._extra),
            "edge_count": self._edges.count,
            "trace_function_count": self._traces.function_count,
            "extra_native_bytes": _unexplained_bytes(self._snapshot),
            # For memlens, which can read the file, too. Other readers ignore it.
            "memlens": {
                "language": self._snapshot.graph.language,
                **{name: facts[name] for name in EXPORTED_FACTS if name in facts},
            },
        }

    def _node_texts(self) -> Iterator[bytes]:
        columns, counts = self._columns, self._edges.counts()
        sizes: Any = columns.sizes
        if max(sizes) > MAX_SIZE:
            sizes = array("Q", [min(size, MAX_SIZE) for size in sizes])
        traces = self._trace_column()
        for start in range(0, len(columns.names), _CHUNK):
            end = min(start + _CHUNK, len(columns.names))
            parts = (columns.types, columns.names, columns.ids, sizes, counts, traces)
            views = [memoryview(part)[start:end] for part in parts]
            yield checked_core.decimal_rows([*views, bytes(end - start)])
        rows = [
            (node.type, node.name, node.id, node.size_bytes, len(node.edges), 0, 0)
            for node in self._extra.nodes
        ]
        yield checked_core.decimal_rows([array("Q", [n for row in rows for n in row])])

    def _trace_column(self) -> array[int]:
        rows = self._columns.row_of_node
        traces = array("I", bytes(4 * len(self._columns.names)))
        for node, trace in self._traces.trace_of_node.items():
            if rows[node] < len(traces):  # not left out
                traces[rows[node]] = trace
        return traces


def _extra_nodes(graph: HeapGraph, columns: Columns, strings: StringTable) -> ExtraNodes:
    extra = ExtraNodes(len(columns.names), strings)
    extra.add_roots(graph, columns.row_of_node)
    if columns.garbage:
        extra.add_garbage(columns.garbage)
    if columns.held:
        extra.add_held(columns.held)
    if max(columns.sizes) > MAX_SIZE:
        extra.add_parts((r, size) for r, size in enumerate(columns.sizes) if size > MAX_SIZE)
    return extra


def _write_numbers(file: IO[bytes], name: str, texts: Iterable[bytes]) -> None:
    """Write an array of numbers from pieces with a comma at their end."""
    file.write(b',\n"%b":[' % name.encode())
    separator = b""
    for text in texts:
        file.write(separator)
        file.write(memoryview(text)[:-1])
        separator = b",\n"
    file.write(b"]")


def _unexplained_bytes(snapshot: HeapSnapshot) -> int:
    """Return the resident memory that no node stands for, 0 where it was not read."""
    memory = snapshot.facts.get("memory")
    resident = memory.get("rss_bytes") if isinstance(memory, dict) else None
    if not isinstance(resident, int):
        return 0
    graph = snapshot.graph
    blocks = () if graph.native is None else graph.native.sizes(graph.node_size)
    mapped = sum(size for kind, size in blocks if kind.device == MAPPED)
    explained = snapshot.total_bytes - snapshot.device_bytes - mapped
    return max(0, resident - explained)
