"""Node: a handle to one object of a snapshot."""

from __future__ import annotations

from memlens._core.layout import NodeFlag
from memlens._display import displayed
from memlens._frame import CallPath, Frame
from memlens._text import format_bytes, format_count, printable
from memlens.heap.graph.heap_graph import HeapGraph

__all__ = ("Node",)


@displayed
class Node:
    """One object of a snapshot: a small handle that reads the graph on demand.

    ``index`` is the number of the object in the graph. Two handles are equal when they refer to
    the same object of the same snapshot.
    """

    __slots__ = ("graph", "index")

    def __init__(self, graph: HeapGraph, index: int) -> None:
        self.graph = graph
        self.index = index

    @property
    def address(self) -> int:
        """The object's ``id()`` when it was captured; of a native block its address, 0 if unknown."""
        return self.graph.node_address[self.index]

    @property
    def type_name(self) -> str:
        """The qualified name of its type: ``app.models.User``, ``dict``."""
        return self.graph.type_of(self.index)

    @property
    def name(self) -> str:
        """The qualified name of a module, class or function, the name of a task; else ``""``."""
        return self.graph.name_of(self.index)

    @property
    def location(self) -> Frame | None:
        """Where a module, class or function is defined."""
        return self.graph.location_of(self.index)

    @property
    def shallow_bytes(self) -> int:
        """The size of the object itself, in bytes."""
        return self.graph.node_size[self.index]

    @property
    def retained_bytes(self) -> int:
        """The retained size in bytes: what would be freed with the object."""
        return self.graph.retained_bytes(self.index)

    @property
    def retained_native_bytes(self) -> int:
        """The part of `retained_bytes` that is native memory of this machine: not of devices."""
        return self.graph.retained_native_bytes(self.index)

    @property
    def retained_device_bytes(self) -> int:
        """The part of `retained_bytes` that is memory of devices, such as ``cuda:0``."""
        return self.graph.retained_device_bytes(self.index)

    @property
    def retained_python_bytes(self) -> int:
        """The part of `retained_bytes` that is in Python objects: the rest of it is native."""
        return self.retained_bytes - self.retained_native_bytes - self.retained_device_bytes

    @property
    def is_native(self) -> bool:
        """Whether this is a block of native memory and not an object."""
        return self.graph.kind_of(self.index) is not None

    @property
    def device(self) -> str | None:
        """Where a native block lies: ``cpu``, ``mapped`` (a file), ``shared``, ``cuda:0``, or None."""
        kind = self.graph.kind_of(self.index)
        return None if kind is None else kind.device

    @property
    def resident_bytes(self) -> int | None:
        """Which part of a native block that is a mapping was resident; None where it is not known."""
        native = self.graph.native
        return None if native is None else native.resident.get(self.index)

    @property
    def library(self) -> str | None:
        """The library whose memory a native block is: ``torch``, ``mmap``; None of an object."""
        kind = self.graph.kind_of(self.index)
        return None if kind is None else kind.library

    @property
    def length(self) -> int | None:
        """The number of elements of a built-in container."""
        return self.graph.length_of(self.index)

    @property
    def bound(self) -> int | None:
        """The maximum length that the container declares (``maxlen``, ``maxsize``), or None."""
        return self.graph.bound_of(self.index)

    @property
    def value(self) -> str | None:
        """The text of a string, bytes or number; None unless the snapshot was taken with values."""
        return self.graph.value_of(self.index)

    @property
    def allocated_at(self) -> CallPath | None:
        """The call path of the allocation, the outermost call first; None if it was not sampled."""
        sites = self.graph.sites
        return sites.path_of(self.index) if sites is not None else None

    @property
    def garbage(self) -> bool:
        """Whether the object was unreachable: the next full collection would have freed it."""
        return self.graph.has(self.index, NodeFlag.GARBAGE)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Node):
            return NotImplemented
        return self.graph is other.graph and self.index == other.index

    def __hash__(self) -> int:
        return hash((id(self.graph), self.index))

    def __repr__(self) -> str:
        return f"<Node {self.index}: {self}>"

    def __str__(self) -> str:
        kind = self.graph.kind_of(self.index)
        if kind is not None:
            return printable(f"{format_bytes(self.shallow_bytes)} {kind.text}")
        what = f"{self.type_name} {self.name}" if self.name else self.type_name
        if self.length is not None:
            what += f" ({format_count(self.length)} items)"
        size = format_bytes(self.retained_bytes) + self._native_text()
        return printable(f"{what} at {self.address:#x}, retains {size}")

    def _native_text(self) -> str:
        parts = (
            (self.retained_native_bytes, "native"),
            (self.retained_device_bytes, "on devices"),
        )
        texts = [f"{format_bytes(size)} {what}" for size, what in parts if size]
        return f" ({', '.join(texts)})" if texts else ""
