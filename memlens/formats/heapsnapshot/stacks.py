"""Allocation stacks of a ``.heapsnapshot``: the call paths of sampled objects, as a tree.

DevTools shows the tree as "Allocation" and the path of an object as "Allocation stack". Counts and
sizes are what the samples represent.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import chain
from typing import IO

from memlens._frame import CallPath, Frame
from memlens.formats.heapsnapshot.strings import StringTable
from memlens.heap.graph import checked_core
from memlens.heap.graph.heap_graph import HeapGraph

__all__ = ("TraceTree",)

_ANY_DEPTH = 1 << 20
_MAX = (1 << 32) - 1


class _TraceNode:
    """A call: its number, its function, its callees, and what was allocated in it."""

    __slots__ = ("children", "count", "function", "id", "size_bytes")

    def __init__(self, number: int, function: int) -> None:
        self.id = number
        self.function = function
        self.children: dict[Frame, _TraceNode] = {}
        self.count = self.size_bytes = 0


class TraceTree:
    """The call paths that allocated the objects of a graph; empty if none was sampled."""

    def __init__(self, graph: HeapGraph, strings: StringTable) -> None:
        self.trace_of_node: dict[int, int] = {}
        self._strings = strings
        self._functions: dict[Frame, int] = {}
        self._scripts: dict[str, int] = {}
        self._node_count = 1
        self._root = _TraceNode(1, 0)
        sites = graph.sites
        if sites is None:
            return
        sampled = sorted({*sites.samples, *sites.buffer_samples})
        for share in sites.shares(sampled, _ANY_DEPTH):
            node = self._node_at(share.call_path)
            node.count += round(share.count)
            node.size_bytes += round(share.shallow_bytes)
        for number in sampled:
            path = sites.path_of(number)
            if path is not None:
                self.trace_of_node[number] = self._node_at(path).id

    @property
    def function_count(self) -> int:
        """The number of functions, of which the first is the root; 0 for an empty tree."""
        return 1 + len(self._functions) if self._functions else 0

    def _node_at(self, path: CallPath) -> _TraceNode:
        node = self._root
        for frame in path:
            child = node.children.get(frame)
            if child is None:
                self._node_count += 1
                function = self._functions.setdefault(frame, 1 + len(self._functions))
                child = node.children[frame] = _TraceNode(self._node_count, function)
            node = child
        return node

    # -- writing -----------------------------------------------------------------------------------

    def function_rows(self) -> bytes:
        """Return the rows of ``trace_function_infos``, without a comma at the end."""
        if not self._functions:
            return b""
        root = (0, self._strings.add("(root)"), self._strings.add(""), 0, 0, 0)
        numbers = chain(root, *map(self._function_row, self._functions))
        return checked_core.decimal_rows([array("I", numbers)])[:-1]

    def _function_row(self, frame: Frame) -> tuple[int, ...]:
        script = self._scripts.setdefault(frame.file, 1 + len(self._scripts))
        return (
            self._functions[frame],
            self._strings.add(frame.function or frame.location),
            self._strings.add(frame.file),
            script,
            frame.line,
            0,
        )

    def write_tree(self, file: IO[bytes]) -> None:
        """Write ``trace_tree``: of each node five fields, the last an array of its callees."""
        if not self._functions:
            file.write(b"[]")
            return
        for piece in self._pieces():
            file.write(piece)

    def _pieces(self) -> Iterator[bytes]:
        """Yield the text of the tree, without recursion."""
        yield b"["
        waiting: list[bytes | _TraceNode] = [b"]", self._root]
        while waiting:
            item = waiting.pop()
            if isinstance(item, bytes):
                yield item
                continue
            count, size_bytes = min(item.count, _MAX), min(item.size_bytes, _MAX)
            yield b"%d,%d,%d,%d,[" % (item.id, item.function, count, size_bytes)
            waiting.append(b"]")
            for place, child in enumerate(reversed(item.children.values())):
                waiting += [b",", child] if place else [child]
