"""RetainedColumns: what the nodes of a heap retain, of Python, of native memory and of devices."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from functools import cached_property, partial

from memlens._core.layout import NodeFlag
from memlens.heap.graph import checked_core
from memlens.heap.graph.dominator_tree import DominatorTree, leave_out
from memlens.heap.graph.graph_columns import PYTHON, GraphColumns, peek_of, string_at
from memlens.heap.graph.native_blocks import (
    AdapterNote,
    NativeBlocks,
    NativeKind,
    parse_notes,
)
from memlens.heap.graph.validation import item_count

__all__ = ("RetainedColumns",)

_OWN = int(NodeFlag.OWN)


class RetainedColumns(GraphColumns):
    """Dominators, retained sizes and native blocks of a heap; see `HeapGraph`.

    What memlens's own objects retain counts for them, and not for objects of the program that refer to
    them, such as a variable with a profiler: the sizes of a program are those without memlens.
    """

    @cached_property
    def dominators(self) -> DominatorTree:
        """Immediate dominators and retained sizes."""
        if "node_dominator" in self.sections and "node_retained" in self.sections:
            columns = self.sections["node_dominator"], self.sections["node_retained"]
        else:
            columns = checked_core.dominator_tree(
                self.edge_offset, self.edge_target, self.edge_label, self.node_size
            )
            if self.language == PYTHON:
                flags = checked_core.spread_flags(columns[0], self.node_flags, _OWN)
                leave_out(columns[0], columns[1], flags, _OWN)
        return DominatorTree(memoryview(columns[0]), memoryview(columns[1]))

    @cached_property
    def flags(self) -> array[int]:
        """The flags of all nodes; ``OWN`` also marks what only memlens's own objects keep alive."""
        return checked_core.spread_flags(self.dominators.dominator, self.node_flags, _OWN)

    def retained_bytes(self, node: int) -> int:
        """Return the retained size of a node in bytes: what would be freed with it."""
        return self._retained[node]

    @cached_property
    def _retained(self) -> memoryview:
        # Use a file's stored column: the dominators are often not needed.
        stored = self.sections.get("node_retained")
        return self.dominators.retained if stored is None else memoryview(stored)

    # -- native blocks

    @cached_property
    def native(self) -> NativeBlocks | None:
        """The native blocks among the nodes; None for a heap without any."""
        sections = self.sections
        if "native_node" not in sections or not item_count(sections, "native_node"):
            return None
        # Not `self.string`: the heap and its blocks would refer to each other, and stay in memory
        # until the next collection.
        return NativeBlocks(sections, partial(string_at, peek_of(sections)))

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
        return self.native.retained(self.dominators.dominator, self.node_size, self.flags, chosen)

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
