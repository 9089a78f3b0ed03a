"""Native memory as nodes of the graph: one for each block, however many objects hold it.

Rows that lie within one another are one block: views and slices share their storage. A block within
the contents of a Python object is no block, but a reference to that object, which the library holds
without showing it. An adapter can state such a reference itself.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from memlens._core.layout import NONE, OPTIONAL_SECTIONS, EdgeKind, NodeFlag
from memlens._core.mappings import read_mappings, resident_parts
from memlens._core.native_chunks import HELD_OBJECT, decode_chunk
from memlens._core.pure.labels import StringTable, label
from memlens._core.pure.native_memory import NativeRow, own_contents, stated_rows
from memlens._core.pure.walk import WalkedHeap

__all__ = ("Measure", "NativeBlocks", "find_native", "with_native")

Measure = Callable[[Sequence[Any], Callable[[bytes], object]], None]
_HOST = ("cpu", "mapped", "shared")
_UNREADABLE = b'{"library": "all adapters", "state": "unreadable"}\n'
_NATIVE_SECTIONS = (
    *("native_node", "native_device", "native_library"),
    *("resident_node", "resident_bytes"),
)
_NATIVE, _GARBAGE = int(NodeFlag.NATIVE), int(NodeFlag.GARBAGE)


@dataclass(slots=True)
class _Block:
    start: int
    end: int
    device: str
    library: str
    is_host: bool
    is_told: bool
    is_mapping: bool
    resident: int | None = None  # bytes, of mappings
    object_node: int | None = None  # the object that it is a part of
    owners: dict[int, bool] = field(default_factory=dict)  # node -> told by an adapter


@dataclass(slots=True)
class NativeBlocks:
    """The native blocks of a heap, and the edges to the objects whose memory libraries use."""

    blocks: list[_Block] = field(default_factory=list)
    notes: bytes = b""
    edges_to_objects: list[tuple[int, int]] = field(default_factory=list)


def find_native(
    heap: WalkedHeap, native_types: Sequence[type], measure: Measure | None
) -> NativeBlocks:
    """Return the native blocks that objects of the heap hold; ``measure`` asks the adapters."""
    rows = [*stated_rows(heap)]
    notes = b""
    if measure is not None and native_types:
        told, notes = _told_rows(heap, {*map(id, native_types)}, measure)
        rows += told
    found = NativeBlocks(_joined(rows), notes)
    if found.blocks:
        _measure_mappings(found.blocks)
        _find_objects(heap, found.blocks)
        found.edges_to_objects = sorted(
            {
                (owner, block.object_node)
                for block in found.blocks
                if block.object_node is not None
                for owner, is_told in block.owners.items()
                if is_told and owner != block.object_node
            }
        )
        found.blocks = [block for block in found.blocks if block.object_node is None]
    return found


def _told_rows(
    heap: WalkedHeap, wanted: set[int], measure: Measure
) -> tuple[list[NativeRow], bytes]:
    nodes = [node for node, obj in enumerate(heap.objects) if id(type(obj)) in wanted]
    if not nodes:
        return [], b""
    chunks: list[bytes] = []
    measure([heap.objects[node] for node in nodes], chunks.append)
    rows, notes = [], []
    for chunk in chunks:
        try:
            found = decode_chunk(chunk)
        except ValueError:
            notes.append(_UNREADABLE)
            continue
        for row in found.rows:
            if row.size and row.position < len(nodes):
                told = NativeRow(nodes[row.position], *row[1:], is_told=True)
                if row.device != HELD_OBJECT:
                    rows.append(told)
                elif _names_object(heap, told):
                    rows.append(told._replace(size=1))  # the same object is the same block
        if found.note:
            notes.append(chunk[len(chunk) - int.from_bytes(chunk[8:12], sys.byteorder) :] + b"\n")
    return rows, b"".join(notes)


def _names_object(heap: WalkedHeap, row: NativeRow) -> bool:
    """Tell whether a row names an object that is there: its size is the address of the type."""
    node = heap.number.get(row.address)
    return node not in (None, row.owner) and id(type(heap.objects[node])) == row.size


def _joined(rows: Iterable[NativeRow]) -> list[_Block]:
    """Return the blocks of rows, by address: a row within another one is the same block."""

    def space(row: NativeRow) -> str:
        return "" if row.device in _HOST else row.device

    blocks: list[_Block] = []
    space_before = ""
    for row in sorted(rows, key=lambda row: (space(row), row.address, -row.size, row.owner)):
        last = blocks[-1] if blocks and space(row) == space_before else None
        end = row.address + row.size
        if last is None or not last.start or row.address >= last.end or end > last.end:
            last = _Block(
                *(row.address, end, row.device, row.library, not space(row)),
                *(row.is_told, row.is_mapping),
            )
            blocks.append(last)
            space_before = space(row)
        elif row.is_told and not last.is_told:
            last.library, last.is_told = row.library, True
        last.is_mapping |= row.is_mapping
        last.owners[row.owner] = last.owners.get(row.owner, False) or row.is_told
    return blocks


def _measure_mappings(blocks: list[_Block]) -> None:
    """Correct the devices of blocks in files and shared memory; note which part of each is resident."""
    mappings = None
    for block in blocks:
        if block.start and (block.is_mapping or block.device == "cpu"):
            mappings = mappings or read_mappings()
            block.device = mappings.device_at(block.start) or block.device
    mapped = [
        block
        for block in blocks
        if block.start and (block.is_mapping or block.device in ("mapped", "shared"))
    ]
    if mapped:
        found = resident_parts([(block.start, block.end) for block in mapped])
        for block, parts in zip(mapped, found, strict=True):
            if parts is not None:
                block.resident, of_no_file = parts
                if block.device == "mapped" and 2 * of_no_file > block.end - block.start:
                    block.device = "cpu"  # a private mapping that was written


def _find_objects(heap: WalkedHeap, blocks: list[_Block]) -> None:
    """Find the blocks that are an object, or a part of the contents of one."""
    for block in blocks:
        if block.device == HELD_OBJECT:
            block.object_node = heap.number[block.start]
    hosted = [block for block in blocks if block.is_host and block.start]
    starts = [block.start for block in hosted]
    if not hosted:
        return
    for node, start, end in own_contents(heap):
        place = bisect_left(starts, start)
        while place < len(hosted) and starts[place] < end:
            if hosted[place].end <= end:
                hosted[place].object_node = node
            place += 1


def with_native(
    sections: dict[str, array[Any]],
    native: NativeBlocks,
    strings: StringTable,
    late: dict[int, list[tuple[int, int]]],
) -> Callable[[dict[str, array[Any]]], dict[str, array[Any]]]:
    """Add the edges to native blocks to ``late``; return what adds their nodes to the sections.

    In between the edges are laid out and the strings are stored. ``sections`` has the columns of
    nodes and types that are there already.
    """
    first, edge = len(sections["node_type"]), label(EdgeKind.INTERNAL, strings["buffer"])
    blocks = native.blocks
    if not blocks:
        return lambda done: _noted(done, native.notes)
    for place, block in enumerate(blocks):
        for owner in sorted(block.owners):
            late.setdefault(owner, []).append((first + place, edge))
    names: dict[str, int] = {}
    for block in blocks:
        names.setdefault(block.library, strings[f"native memory ({block.library})"])
    rows = {library: len(sections["type_name"]) + place for place, library in enumerate(names)}
    columns = {
        "native_node": array("I", range(first, first + len(blocks))),
        "native_device": array("I", [strings[block.device] for block in blocks]),
        "native_library": array("I", [strings[block.library] for block in blocks]),
    }
    known = [place for place, block in enumerate(blocks) if block.resident is not None]
    columns["resident_node"] = array("I", [first + place for place in known])
    columns["resident_bytes"] = array("Q", [blocks[place].resident or 0 for place in known])

    def finish(done: dict[str, array[Any]]) -> dict[str, array[Any]]:
        flags = done["node_flags"]
        garbage = [all(flags[owner] & _GARBAGE for owner in block.owners) for block in blocks]
        done["node_address"].extend([block.start for block in blocks])
        done["node_type"].extend([rows[block.library] for block in blocks])
        done["node_size"].extend([block.end - block.start for block in blocks])
        flags.extend([_NATIVE | (_GARBAGE if left else 0) for left in garbage])
        done["edge_offset"].extend([done["edge_offset"][-1]] * len(blocks))
        done["type_name"].extend(names.values())
        done["type_node"].extend([NONE] * len(names))
        return _noted(done | columns, native.notes)

    return finish


def _noted(sections: dict[str, array[Any]], notes: bytes) -> dict[str, array[Any]]:
    empty = {name: array(OPTIONAL_SECTIONS[name]) for name in _NATIVE_SECTIONS}
    return empty | sections | {"native_notes": array("B", notes)}
