"""The tables: what changed, types, modules, sites, devices, duplicates, waste, large objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

from memlens._text import format_bytes, format_count
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.errors import NotInSnapshotError, OptionError
from memlens.heap.comparison import HeapComparison
from memlens.heap.snapshot import HeapSnapshot
from memlens.heap.views.devices import DeviceRow
from memlens.heap.views.summary import Summary
from memlens.report.html.limits import Limits, cut_text

__all__ = ("comparison_table", "profile_table", "snapshot_tables")

_MAX_EQUAL = 2_000_000  # strings that are equal to others, whose groups are made in Python
_MAX_LARGEST = 200
_MAX_DUPLICATES = 200  # groups with an example: each path is searched
_RETAINED = "What would be freed with these objects; groups may contain each other."


def _column(key: str, label: str, unit: str, text: str) -> dict[str, str]:
    return {"key": key, "label": label, "unit": unit, "help": text}


_NAME = ("count", "Count", "count", "The number of objects.")
_SHALLOW = ("shallow", "Own size", "bytes", "The size of the objects themselves.")
_SIZES = (_NAME, _SHALLOW, ("retained", "Retained", "bytes", _RETAINED))
_NATIVE = ("native", "Native", "bytes", "The part of the retained size that is native memory.")
_GROUPINGS = {
    "type": ("types", "Types", "The objects of the last snapshot, by the type that they have."),
    "module": ("modules", "Modules", "The objects by the module that defines their type."),
    "site": (
        "sites",
        "Allocation sites",
        "The lines that allocated the objects, estimated from sampled objects.",
    ),
}


def comparison_table(comparison: HeapComparison, limits: Limits) -> dict[str, Any]:
    """Return the table of what changed between the first and the last snapshot, by type."""
    columns = (
        ("type", "Type", "text", "The qualified name of the type."),
        ("before", "Before", "count", "Objects in the first snapshot."),
        ("after", "After", "count", "Objects in the last snapshot."),
        ("change", "Change", "change_count", "The change in the number of objects."),
        ("new", "New", "count", "Objects that are in the last snapshot only."),
        ("deleted", "Deleted", "count", "Objects that are in the first snapshot only."),
        ("growth", "Growth", "percent", "The change of the number of objects in percent."),
        ("shallow", "Own size", "change_bytes", "The change of the sizes of the objects."),
        ("retained", "Retained", "change_bytes", "The change of the retained size."),
    )
    changed = [c for c in comparison if c.new_count or c.deleted_count or c.shallow_delta_bytes]
    rows = [
        [
            cut_text(c.type_name, limits.text),
            c.count_before,
            c.count_after,
            c.count_delta,
            c.new_count,
            c.deleted_count,
            None if c.growth_percent is None else round(c.growth_percent, 2),
            c.shallow_delta_bytes,
            c.retained_delta_bytes,
        ]
        for c in changed[: limits.rows]
    ]
    left = changed[limits.rows :]
    omitted = _omitted(left, "types", sum(c.shallow_delta_bytes for c in left))
    return _table("comparison", "Comparison", f"{comparison.title}.", columns, rows, omitted)


def snapshot_tables(
    snapshot: HeapSnapshot, limits: Limits
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the tables of one snapshot, and the sentences about those that are missing."""
    makers: list[Callable[[HeapSnapshot, Limits], dict[str, Any] | None]] = [
        lambda one, most: _summary(one.summary("type"), most),
        lambda one, most: _summary(one.summary("module"), most),
        _largest,
        _drops,
        _duplicates,
        _waste,
        lambda one, most: _summary(one.summary("site"), most),
        _devices,
    ]
    tables, missing = [], []
    for make in makers:
        try:
            table = make(snapshot, limits)
        except (NotInSnapshotError, OptionError) as error:  # the snapshot does not record it
            missing.append(f"{str(error)[:1].upper()}{str(error)[1:]}.")
        else:
            if table is not None and table["rows"]:
                tables.append(table)
    return tables, missing


def _summary(summary: Summary, limits: Limits) -> dict[str, Any]:
    by = "site" if summary.by == "allocated at" else summary.by
    key, label, text = _GROUPINGS[by]
    has_native = any(row.retained_native_bytes or row.retained_device_bytes for row in summary)
    name = (by, label, "text", text)
    columns = (name, *_SIZES, *([_NATIVE] if has_native else []))
    rows = [
        [
            cut_text(row.name, limits.text),
            row.count,
            row.shallow_bytes,
            row.retained_bytes,
            *([row.retained_native_bytes + row.retained_device_bytes] if has_native else []),
        ]
        for row in summary[: limits.rows]
    ]
    left = summary[limits.rows :]
    omitted = _omitted(left, label.lower(), sum(row.shallow_bytes for row in left))
    title = " ".join(summary.title.split())
    return _table(key, label, f"{text} {title}.", columns, rows, omitted)


def _largest(snapshot: HeapSnapshot, limits: Limits) -> dict[str, Any]:
    columns = (
        ("type", "Type", "text", "The qualified name of the type."),
        ("name", "Path", "text", "How the object is reached from a root."),
        ("shallow", "Own size", "bytes", "The size of the object itself."),
        ("retained", "Retained", "bytes", "What would be freed with the object."),
    )
    nodes = snapshot.largest(min(limits.rows, _MAX_LARGEST))
    rows = [
        [
            cut_text(node.type_name, limits.text),
            cut_text(node.name or snapshot.path_to(node) or "", limits.text),
            node.shallow_bytes,
            node.retained_bytes,
        ]
        for node in nodes
    ]
    text = "The objects that retain the most."
    return _table("largest", "Largest objects", text, columns, rows, None)


def _drops(snapshot: HeapSnapshot, limits: Limits) -> dict[str, Any]:
    columns = (
        ("type", "Type", "text", "The qualified name of the type."),
        ("path", "Path", "text", "How the object is reached from a root."),
        ("retained", "Retained", "bytes", "What would be freed with the object."),
        ("below", "Largest below", "bytes", "What the largest object that it retains retains."),
        ("count", "Below", "count", "The number of objects immediately below it."),
    )
    drops = snapshot.dominators().big_drops()
    rows = [
        [
            cut_text(drop.node.type_name, limits.text),
            cut_text(snapshot.path_to(drop.node) or "", limits.text),
            drop.retained_bytes,
            drop.largest_child_bytes,
            drop.child_count,
        ]
        for drop in drops[: limits.rows]
    ]
    omitted = _omitted(drops[limits.rows :], "objects", None)
    text = "The objects in which memory accumulates: they retain much, and nothing below them does."
    return _table("drops", "Where memory accumulates", text, columns, rows, omitted)


def _duplicates(snapshot: HeapSnapshot, limits: Limits) -> dict[str, Any]:
    equal = snapshot.graph.sections.get("equal_node")
    if equal is not None and len(equal) > _MAX_EQUAL:
        raise OptionError(
            f"duplicates are left out: {format_count(len(equal))} strings are equal to others; use"
            " python -m memlens duplicates FILE"
        )
    columns = (
        ("type", "Type", "text", "The type of the equal objects."),
        ("example", "Value or path", "text", "The value, or the path to one of them."),
        ("count", "Count", "count", "How many equal objects there are."),
        ("total", "Total", "bytes", "The size of all of them."),
        ("wasted", "Wasted", "bytes", "What would be saved if only one of them were kept."),
    )
    found = snapshot.duplicates(min_wasted_bytes=64)
    shown = min(limits.rows, _MAX_DUPLICATES)
    examples = found.to_dict(shown)["rows"]
    rows = [
        [
            cut_text(row["type"], limits.text),
            cut_text(row["example"] if row["value"] is None else row["value"], limits.text),
            row["count"],
            row["total_bytes"],
            row["wasted_bytes"],
        ]
        for row in examples
    ]
    left = found[shown:]
    omitted = _omitted(left, "values", sum(row.wasted_bytes for row in left))
    return _table("duplicates", "Duplicates", f"{found.title}.", columns, rows, omitted)


def _waste(snapshot: HeapSnapshot, limits: Limits) -> dict[str, Any]:
    columns = (
        ("type", "Type", "text", "The type of the container."),
        ("path", "Path", "text", "How the container is reached from a root."),
        ("length", "Length", "count", "Elements in it."),
        ("capacity", "Capacity", "count", "Elements for which it has room."),
        ("wasted", "Wasted", "bytes", "What a fresh copy would save."),
    )
    found = snapshot.sparse_collections()
    shown = min(limits.rows, _MAX_DUPLICATES)
    rows = [
        [
            cut_text(row["type"], limits.text),
            cut_text(row["path"], limits.text),
            row["length"],
            row["capacity"],
            row["wasted_bytes"],
        ]
        for row in found.to_dict(shown)["rows"]
    ]
    left = found[shown:]
    omitted = _omitted(left, "containers", sum(row.wasted_bytes for row in left))
    return _table("waste", "Sparse containers", f"{found.title}.", columns, rows, omitted)


def _devices(snapshot: HeapSnapshot, limits: Limits) -> dict[str, Any] | None:
    if snapshot.graph.native is None:
        return None
    columns = (
        ("memory", "Memory", "text", "Where it lies: the Python heap, native memory, devices."),
        ("count", "Count", "count", "The number of objects or blocks."),
        ("bytes", "Size", "bytes", "The size of the objects or blocks."),
        ("holders", "Held by", "text", "The objects in which most of it accumulates."),
    )
    rows = [
        [
            cut_text(row.name, limits.text),
            row.count,
            row.shallow_bytes,
            cut_text("; ".join(map(str, row.holders)), limits.text),
        ]
        for row in snapshot.summary("device")[: limits.rows]
        if isinstance(row, DeviceRow)
    ]
    text = "Objects and native blocks by where their memory lies."
    return _table("devices", "Devices", text, columns, rows, None)


def profile_table(profile: AllocationProfile, limits: Limits) -> dict[str, Any]:
    """Return the table of the lines that allocated, of an allocation profile."""
    known = profile.total.allocated_bytes is not None
    error = "The standard error of the estimate; 0 where every allocation was counted."
    columns: list[tuple[str, str, str, str]] = [
        ("line", "Line", "text", "The line that allocated."),
        ("live", "Live", "bytes", "What is still allocated, estimated from samples."),
        ("error", "± error", "bytes", error),
        ("blocks", "Live blocks", "count", "How many blocks are still allocated."),
        ("samples", "Samples", "count", "How many samples the estimate is from."),
    ]
    if known:
        columns.append(("allocated", "Allocated", "bytes", "All that was allocated."))
        columns.append(("allocations", "Allocations", "count", "How often it allocated."))
    sites = profile.by_site()
    rows, places = [], []
    for row in islice(sites, limits.rows):
        site = row.call_path[-1].short() if row.call_path else "<native>"
        places.append(cut_text(row.call_path[-1] if row.call_path else site, limits.text))
        numbers = [row.live_bytes, row.live_bytes_stderr, row.live_count, row.live_samples]
        numbers += [row.allocated_bytes or 0, row.allocated_count or 0] if known else []
        rows.append([cut_text(site, limits.text), *map(round, numbers)])
    left = sites[limits.rows :]
    omitted = _omitted(left, "lines", round(sum(row.live_bytes for row in left)))
    text = "The lines that allocated memory, with all their callers together."
    return _table("lines", "Allocating lines", text, columns, rows, omitted) | {"full": places}


def _table(
    key: str,
    label: str,
    text: str,
    columns: Iterable[tuple[str, str, str, str]],
    rows: list[list[Any]],
    omitted: dict[str, Any] | None,
) -> dict[str, Any]:
    return {
        "key": key,
        "label": label,
        "help": text,
        "columns": [_column(*column) for column in columns],
        "rows": rows,
        "omitted": omitted,
    }


def _omitted(left: Sequence[Any], what: str, size_bytes: int | None) -> dict[str, Any] | None:
    if not left:
        return None
    size = "" if size_bytes is None else f" with {format_bytes(size_bytes)}"
    return {"rows": len(left), "text": f"{format_count(len(left))} more {what}{size}"}
