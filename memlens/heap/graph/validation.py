"""Validation of the sections and facts of a snapshot file, so that no view of it can fail.

`check_structure` and `check_facts` run when a file is opened: presence, typecodes and lengths of the
sections, and the types of the facts. They read no large section. `CheckedSections` checks the values
of a section when it is first used, together with its checksum: node numbers, type rows, kinds and
offsets are in range, and sorted columns are sorted. Large columns are checked by the core.

The lookup of one row (`CheckedSections.peek`) needs no check of its column, which would take much
longer than the lookup: the caller handles a number that is out of range.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, islice
from operator import lt
from typing import Any

from memlens._core.layout import (
    DERIVED_SECTIONS,
    LARGEST_STORED,
    NONE,
    OPTIONAL_SECTIONS,
    SECTIONS,
    SITE_SECTIONS,
    RootKind,
)
from memlens.errors import SnapshotFileError
from memlens.heap.graph import checked_core
from memlens.heap.graph.native_blocks import parse_notes
from memlens.heap.graph.snapshot_file import SectionFile

__all__ = ("CheckedSections", "check_facts", "check_structure", "item_count")

_ALL_SECTIONS = SECTIONS | OPTIONAL_SECTIONS | DERIVED_SECTIONS | SITE_SECTIONS
# Sections with the same number of items.
_PARALLEL = (
    ("node_type", "node_address", "node_size", "node_flags", "node_dominator", "node_retained"),
    ("edge_target", "edge_label"),
    ("type_name", "type_node"),
    ("root_kind", "root_name", "root_count", "root_frame"),
    ("frame_thread", "frame_function", "frame_file", "frame_line", "frame_depth"),
    ("container_node", "container_length", "container_bound"),
    ("name_node", "name_text", "name_file", "name_line"),
    ("value_node", "value_text"),
    ("equal_node", "equal_group"),
    ("prefix_node", "prefix_hash"),
    ("block_node", "block_address"),
    ("native_node", "native_device", "native_library"),
    ("resident_node", "resident_bytes"),
    ("site_address", "site_size", "site_weight", "site_stack"),
    ("site_function", "site_file", "site_line"),
)
_TOGETHER = (
    frozenset(("equal_node", "equal_group")),
    frozenset(("prefix_node", "prefix_hash")),
    frozenset(("block_node", "block_address")),
    frozenset(("native_node", "native_device", "native_library")),
    frozenset(("resident_node", "resident_bytes")),
    frozenset(SITE_SECTIONS),
)
_ROOT_KINDS = bytes(RootKind)
_MAX_EPOCH_SECONDS = 1e12
_MAX_WEIGHT = 1e15
_PART_ITEMS = 1 << 16  # of a column that is copied a part at a time


def check_structure(sections: Mapping[str, Any]) -> None:
    """Check names, typecodes and lengths. Raises ``SnapshotFileError``."""
    missing = sorted(SECTIONS.keys() - sections.keys())
    if missing:
        raise SnapshotFileError(f"incomplete heap: section {missing[0]!r} is missing")
    for group in _TOGETHER:
        if sections.keys() & group and not group <= sections.keys():
            raise SnapshotFileError(f"incomplete heap: only some of the sections {sorted(group)}")
    codes = {name: _typecode(sections, name) for name in _ALL_SECTIONS if name in sections}
    for name, code in codes.items():
        if code != _ALL_SECTIONS[name]:
            raise SnapshotFileError(
                f"section {name!r} has items of type {code!r}, not {_ALL_SECTIONS[name]!r}"
            )
    counts = {name: item_count(sections, name) for name in codes}
    for first, *others in _PARALLEL:
        for name in others:
            if name in counts and counts[name] != counts[first]:
                raise _mismatch(name, counts[name], f"section {first!r} has {counts[first]}")
    _check_counts(counts)


def _check_counts(counts: Mapping[str, int]) -> None:
    nodes = counts["node_type"]
    if not 0 < nodes < NONE:
        raise _mismatch("node_type", nodes, "a heap has at least node 0")
    if counts["edge_offset"] != nodes + 1:
        raise _mismatch("edge_offset", counts["edge_offset"], f"there are {nodes} nodes")
    for name in ("type_name", "string_offset"):
        if not counts[name]:
            raise _mismatch(name, 0, "one is required")
    if counts.get("node_largest", 0) > min(nodes, LARGEST_STORED):
        raise _mismatch("node_largest", counts["node_largest"], f"there are {nodes} nodes")
    for name in ("site_stack_offset", "site_string_offset"):
        if name in counts and not counts[name]:
            raise _mismatch(name, 0, "one is required")


def item_count(sections: Mapping[str, Any], name: str) -> int:
    """Return the number of items in a section, of a file without reading it."""
    if isinstance(sections, (SectionFile, CheckedSections)):
        return sections.item_count(name)
    return len(sections[name])


def _typecode(sections: Mapping[str, Any], name: str) -> str:
    if isinstance(sections, SectionFile):
        return sections.typecode(name)
    return memoryview(sections[name]).format


def _mismatch(name: str, count: int, why: str) -> SnapshotFileError:
    return SnapshotFileError(f"inconsistent heap: section {name!r} has {count} items, but {why}")


# -- facts -----------------------------------------------------------------------------------------


def check_facts(facts: Mapping[str, Any]) -> None:
    """Check the facts that views use. Raises ``SnapshotFileError``."""
    for name, check in _FACTS.items():
        if name not in facts or not check(facts[name]):
            found = f"{facts[name]!r:.60}" if name in facts else "missing"
            raise SnapshotFileError(f"the fact {name!r} is {found}: the file is not valid")
    for name, check in _OPTIONAL_FACTS.items():
        if name in facts and not check(facts[name]):
            raise SnapshotFileError(
                f"the fact {name!r} is {facts[name]!r:.60}: the file is not valid"
            )


def _is_text(value: Any) -> bool:
    return type(value) is str


def _is_number(value: Any, maximum: float = _MAX_EPOCH_SECONDS) -> bool:
    return type(value) in (int, float) and -maximum <= value <= maximum and math.isfinite(value)


def _is_pid(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def _is_text_by_text(value: Any) -> bool:
    return type(value) is dict and all(map(_is_text, value.values()))


def _is_address_list(value: Any) -> bool:
    return type(value) is list and all(type(one) is int and 0 <= one < 1 << 64 for one in value)


_FACTS: dict[str, Callable[[Any], bool]] = {
    "pid": _is_pid,
    "timestamp": _is_number,
    "reason": _is_text,
    "pause_seconds": _is_number,
}
_OPTIONAL_FACTS: dict[str, Callable[[Any], bool]] = {
    "process": _is_text,
    "language": _is_text,
    "threads": _is_text_by_text,
    "lost_samples": _is_address_list,
}


# -- values ----------------------------------------------------------------------------------------


class CheckedSections(Mapping[str, memoryview]):
    """The sections of a file, each checked when it is first used."""

    def __init__(self, file: SectionFile) -> None:
        self.file = file
        self._passed: set[Callable[[CheckedSections], None]] = set()

    def __getitem__(self, name: str) -> memoryview:
        column = self.file[name]
        check = _CHECKS.get(name)
        if check is not None and check not in self._passed:
            try:
                check(self)
            except SnapshotFileError as error:
                raise SnapshotFileError(f"{self.file.path}: {error}") from error
            self._passed.add(check)
        return column

    def __contains__(self, name: object) -> bool:
        return name in self.file

    def __iter__(self) -> Iterator[str]:
        return iter(self.file)

    def __len__(self) -> int:
        return len(self.file)

    def peek(self, name: str) -> memoryview:
        """Return a section without checking its values; its checksum is verified."""
        return self.file[name]

    def verify(self) -> None:
        """Check all sections. Raises ``SnapshotFileError`` at the first that is damaged."""
        self.file.verify()
        for name in self:
            self[name]

    def item_count(self, name: str) -> int:
        """Return the number of items in a section without reading it."""
        return self.file.item_count(name)


def _check_edges(sections: CheckedSections) -> None:
    peek = sections.peek
    none = bytes(sections.item_count("node_type"))
    columns = peek("edge_offset"), peek("edge_target"), peek("edge_label")
    checked_core.edges_between(*columns, none, none)
    if peek("edge_offset")[1] != sections.item_count("root_kind"):
        raise SnapshotFileError("inconsistent heap: the edges of node 0 are not the roots")


def _check_node_types(sections: CheckedSections) -> None:
    flags = array("H", bytes(2 * sections.item_count("node_type")))
    checked_core.count_types(
        sections.peek("node_type"),
        sections.peek("node_size"),
        flags,
        sections.item_count("type_name"),
        0,
    )


def _check_dominators(sections: CheckedSections) -> None:
    """Check that the nodes are one tree below node 0, and garbage without children."""
    dominator = sections.peek("node_dominator")
    only_top = b"\1" + bytes(len(dominator) - 1)
    below_top = checked_core.nearest_marked(dominator, only_top)
    outside = _count_none(memoryview(below_top)) + 1
    if dominator[0] != NONE or _count_none(dominator) != outside:
        raise SnapshotFileError("inconsistent heap: its dominators are not a tree")


def _count_none(nodes: memoryview) -> int:
    """Return how often `NONE` is in a column of nodes, of which no large part is copied."""
    none = NONE.to_bytes(4, "little")
    # Node numbers are smaller than NONE, so a run of its bytes starts at a multiple of 4.
    parts = range(0, len(nodes), _PART_ITEMS)
    return sum(nodes[at : at + _PART_ITEMS].tobytes().count(none) for at in parts)


def _check_largest(sections: CheckedSections) -> None:
    _check_range("node_largest", sections.peek("node_largest"), sections.item_count("node_type"))


def _check_type_nodes(sections: CheckedSections) -> None:
    nodes = [node for node in sections.peek("type_node") if node != NONE]
    _check_range("type_node", nodes, sections.item_count("node_type"))


def _check_root_kinds(sections: CheckedSections) -> None:
    if bytes(sections.peek("root_kind")).translate(None, _ROOT_KINDS):
        raise SnapshotFileError("inconsistent heap: section 'root_kind' has an unknown kind")


def _check_root_frames(sections: CheckedSections) -> None:
    frames, kinds = sections.peek("root_frame"), sections.peek("root_kind")
    found = [(row, kind) for row, kind in zip(frames, kinds, strict=True) if row != NONE]
    if any(kind != RootKind.FRAME for _, kind in found):
        raise SnapshotFileError("inconsistent heap: a root that is no frame has one")
    _check_range("root_frame", [row for row, _ in found], sections.item_count("frame_thread"))


def _check_root_names(sections: CheckedSections) -> None:
    _check_range("root_name", sections.peek("root_name"), sections.item_count("string_offset") - 1)


def _check_sparse(name: str) -> Callable[[CheckedSections], None]:
    def check(sections: CheckedSections) -> None:
        nodes = sections.peek(name)
        if not checked_core.is_ascending(nodes):
            raise SnapshotFileError(f"inconsistent heap: section {name!r} is not sorted")
        _check_range(name, nodes[-1:], sections.item_count("node_type"))

    return check


def _check_offsets(name: str, target: str) -> Callable[[CheckedSections], None]:
    def check(sections: CheckedSections) -> None:
        offsets = sections.peek(name)
        size = sections.item_count(target)
        if offsets[0] or offsets[-1] != size or any(map(lt, islice(offsets, 1, None), offsets)):
            raise SnapshotFileError(f"inconsistent heap: section {name!r} is not sorted")

    return check


def _check_site_rows(name: str, target: str, extra: int = 0) -> Callable[[CheckedSections], None]:
    def check(sections: CheckedSections) -> None:
        _check_range(name, sections.peek(name), sections.item_count(target) - extra)

    return check


def _check_weights(sections: CheckedSections) -> None:
    if not all(0 <= weight <= _MAX_WEIGHT for weight in sections.peek("site_weight")):
        raise SnapshotFileError("inconsistent heap: section 'site_weight' is out of range")


def _check_native(sections: CheckedSections) -> None:
    for name in ("native_device", "native_library"):
        _check_range(name, sections.peek(name), sections.item_count("string_offset") - 1)


def _check_resident_bytes(sections: CheckedSections) -> None:
    sizes = sections.peek("node_size")
    rows = zip(sections.peek("resident_node"), sections.peek("resident_bytes"), strict=True)
    if any(node >= len(sizes) or sizes[node] < size for node, size in rows):
        raise SnapshotFileError(
            "inconsistent heap: section 'resident_bytes' exceeds sizes of nodes"
        )


def _check_native_notes(sections: CheckedSections) -> None:
    parse_notes(bytes(sections.peek("native_notes")))


def _check_block_nodes(sections: CheckedSections) -> None:
    nodes = sections.peek("block_node")
    _check_range("block_node", nodes, sections.item_count("node_type"))


def _check_range(name: str, values: Any, limit: int) -> None:
    largest = max(chain(values, (-1,)))
    if largest >= limit:
        raise SnapshotFileError(
            f"inconsistent heap: section {name!r} names {largest} of only {limit}"
        )


_CHECKS: dict[str, Callable[[CheckedSections], None]] = {
    "node_type": _check_node_types,
    "node_size": _check_node_types,
    "node_dominator": _check_dominators,
    "node_largest": _check_largest,
    **dict.fromkeys(("edge_offset", "edge_target", "edge_label"), _check_edges),
    "type_node": _check_type_nodes,
    "root_kind": _check_root_kinds,
    "root_frame": _check_root_frames,
    "root_name": _check_root_names,
    **{
        name: _check_sparse(name)
        for name in (
            *("container_node", "name_node", "value_node", "equal_node", "prefix_node"),
            *("native_node", "resident_node"),
        )
    },
    **dict.fromkeys(("native_device", "native_library"), _check_native),
    "resident_bytes": _check_resident_bytes,
    "native_notes": _check_native_notes,
    "string_offset": _check_offsets("string_offset", "string_bytes"),
    "site_stack": _check_site_rows("site_stack", "site_stack_offset", 1),
    "site_stack_offset": _check_offsets("site_stack_offset", "site_stack_frame"),
    "site_stack_frame": _check_site_rows("site_stack_frame", "site_function"),
    "site_function": _check_site_rows("site_function", "site_string_offset", 1),
    "site_file": _check_site_rows("site_file", "site_string_offset", 1),
    "site_string_offset": _check_offsets("site_string_offset", "site_string_bytes"),
    "site_weight": _check_weights,
    "block_node": _check_block_nodes,
}
