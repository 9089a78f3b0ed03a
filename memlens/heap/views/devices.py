"""Summary by device: the Python heap and native memory by where it lies, with the top holders."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress

from memlens._display import displayed
from memlens._text import format_bytes, format_count
from memlens.heap.graph import checked_core
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.native_blocks import MAPPED, SHARED
from memlens.heap.graph.paths import RetentionPathFinder
from memlens.heap.views.accumulation import accumulations
from memlens.heap.views.summary import Summary, SummaryRow, heap_title
from memlens.heap.views.visibility import hidden_flags

__all__ = ("DeviceHolder", "DeviceRow", "DeviceSummary", "summarise_devices")

_NAMES = {"cpu": "native (cpu)", MAPPED: "mapped files", SHARED: "shared memory"}
_MAX_HOLDERS = 3


@displayed
@dataclass(frozen=True, slots=True)
class DeviceHolder:
    """An object in which memory of a device accumulates: its path, type and how much it holds.

    ``is_shared``: other objects in other places hold the same memory, so that none retains it.
    """

    path: str
    type_name: str
    size_bytes: int
    is_shared: bool = False

    def __repr__(self) -> str:
        return f"<DeviceHolder {self}>"

    def __str__(self) -> str:
        shared = " and others" if self.is_shared else ""
        return f"{format_bytes(self.size_bytes)}  {self.path}{shared}"


@dataclass(frozen=True, slots=True)
class DeviceRow(SummaryRow):
    """One kind of memory: its objects or blocks, their bytes and the objects that retain the most.

    ``retained_bytes`` is ``shallow_bytes``: the rows add up to all that is shown. ``resident_bytes``:
    the part that was resident, where some of it is mappings of which that is known; else None.
    """

    device: str = ""
    holders: tuple[DeviceHolder, ...] = ()
    resident_bytes: int | None = None

    __repr__ = SummaryRow.__repr__


class DeviceSummary(Summary):
    """The Python heap, native memory, mapped files and each device, most bytes first."""

    rows: tuple[DeviceRow, ...]

    def __init__(self, title: str, rows: Iterable[DeviceRow]) -> None:
        super().__init__(title, rows, "device")
        self.headers = ("count", "bytes", "memory", "held by")

    aligned_right = (True, True, False, False)
    optional = ("count",)

    def _lines(self, row: SummaryRow) -> Iterator[tuple[str, ...]]:
        assert isinstance(row, DeviceRow)
        holders = [*map(str, row.holders)] or [""]
        known = row.resident_bytes is not None
        resident = f" ({format_bytes(row.resident_bytes or 0)} resident)" if known else ""
        name = f"{row.name}{resident}"
        yield format_count(row.count), format_bytes(row.shallow_bytes), name, holders[0]
        for holder in holders[1:]:
            yield "", "", "", holder


def summarise_devices(graph: HeapGraph, *, include_garbage: bool = False) -> DeviceSummary:
    """Group objects and native blocks by where their memory lies: see `HeapSnapshot.summary`."""
    hidden = hidden_flags(include_garbage)
    group, devices = _groups(graph)
    counts, sizes = checked_core.count_types(
        group, graph.node_size, graph.flags, len(devices), hidden
    )
    finder = RetentionPathFinder(graph)
    rows = [
        DeviceRow(
            name=_NAMES.get(device, device) if number else f"{graph.language} heap",
            count=count,
            shallow_bytes=size,
            retained_bytes=size,
            retained_native_bytes=size if number and device in _NAMES else 0,
            retained_device_bytes=size if number and device not in _NAMES else 0,
            device=device,
            resident_bytes=_resident_bytes(graph, device, size, hidden),
            holders=tuple(_holders(graph, [one == number for one in group], hidden, finder)),
        )
        for number, (device, count, size) in enumerate(zip(devices, counts, sizes, strict=True))
        if count
    ]
    notes = [f"\nnot complete: {note}" for note in graph.adapter_notes if not note.is_complete]
    return DeviceSummary(heap_title(graph, rows, hidden) + "".join(notes), rows)


def _resident_bytes(graph: HeapGraph, device: str, size: int, hidden: int) -> int | None:
    """Return how much of the memory of a device is resident; None if nothing tells of its mappings."""
    native = graph.native
    if native is None:
        return None
    not_resident = [
        graph.node_size[node] - native.resident[node]
        for node, kind in zip(native.nodes, native.kinds, strict=True)
        if kind.device == device and node in native.resident and not graph.flags[node] & hidden
    ]
    return size - sum(not_resident) if not_resident else None


def _groups(graph: HeapGraph) -> tuple[array[int], list[str]]:
    """Return the group of each node and the devices of the groups; group 0 are the objects."""
    group = array("I", bytes(4 * graph.node_count))
    numbers = {"": 0}
    if graph.native is not None:
        for node, kind in zip(graph.native.nodes, graph.native.kinds, strict=True):
            group[node] = numbers.setdefault(kind.device, len(numbers))
    return group, list(numbers)


def _holders(
    graph: HeapGraph, chosen: Sequence[bool], hidden: int, finder: RetentionPathFinder
) -> Iterator[DeviceHolder]:
    """Yield the objects in which the memory of the chosen nodes accumulates, most first."""
    part = array("Q", bytes(8 * graph.node_count))
    for node in compress(range(graph.node_count), chosen):
        if not graph.flags[node] & hidden:
            part[node] = graph.node_size[node]
    held = checked_core.subtree_sums(graph.dominators.dominator, part)
    for node, size, is_shared in accumulations(graph, held)[:_MAX_HOLDERS]:
        yield DeviceHolder(str(finder.path_to(node)), graph.type_of(node), size, is_shared)
