"""Growth that no object explains: blocks leaked by C code, or malloc'd and never given back.

The memory that malloc has in use at each snapshot (where that is not known, resident memory) is
compared with the sizes of the program's objects; what memlens itself holds is left out of both. What
grows beyond the objects in every interval has no holder that could be named, but is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from memlens._display import displayed
from memlens._text import format_change, format_count
from memlens.heap.graph.steady_time import steady_seconds
from memlens.heap.snapshot import HeapSnapshot
from memlens.heap.views.visibility import OWN, shown_totals
from memlens.leaks.gates import slows_down
from memlens.leaks.growth import informative_steps

__all__ = ("MALLOC_FACT", "UnexplainedGrowth", "undecided_growth", "unexplained_growth")

MALLOC_FACT = "malloc_bytes"  # in use, when the snapshot was taken
_MIN_BYTES = 1 << 20  # in all
_MIN_STEP_BYTES = 64 << 10  # in each interval
_MIN_INTERVALS = 2
_FEW_INTERVALS = 2  # then the growth must be large in each, which says little all the same
_MIN_STEP_OF_FEW_BYTES = 1 << 20
_MIN_LAST_SHARE_OF_FEW = 0.75
_MIN_LAST_SHARE = 0.25  # the growth in the last interval, as a share of the mean
_MIN_BLOCKS = 1000
_SERIES = {
    "malloc": "Memory in use by malloc",
    "resident": "Resident memory",
    "rss": "Resident memory, by its trend",
    "blocks": "Allocated blocks, by their trend",
}
_NOT_OF_MALLOC = "mmap"  # a library whose blocks are mappings of their own


@displayed
@dataclass(frozen=True, slots=True)
class UnexplainedGrowth:
    """Memory that grew while no object did: sizes in bytes, from the first snapshot to the last.

    ``growth_bytes``: of the ``series``: ``malloc`` (in use), ``resident``, or the name of a series
    of readings whose trend is a leak. ``objects_bytes``: the growth of all objects in it, without the
    native memory that they hold. ``blocks``:
    how many more blocks were allocated than objects seen; 0 where that is few. ``intervals``: in how
    many it grew.
    """

    series: str
    growth_bytes: int
    objects_bytes: int
    blocks: int = 0
    intervals: int = 0

    def __repr__(self) -> str:
        return f"<UnexplainedGrowth of {self.series}: {self._growth()}>"

    def __str__(self) -> str:
        what = _SERIES.get(self.series, self.series)
        blocks = (
            f" {format_count(self.blocks)} more allocated blocks belong to no object seen."
            if self.blocks
            else ""
        )
        return (
            f"{what}: {self._growth()} in all, objects"
            f" {format_change(self.objects_bytes)}: no holder found.{blocks} Look at extension"
            " modules and C libraries: what they allocate and what releases it again."
        )

    def _growth(self) -> str:
        if self.series == "blocks":
            return f"{self.growth_bytes:+,} blocks"
        return format_change(self.growth_bytes)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return asdict(self)


def unexplained_growth(ordered: Sequence[HeapSnapshot]) -> UnexplainedGrowth | None:
    """Return the growth beyond that of objects, where there is some in every interval.

    ``ordered``: snapshots by time. The intervals in which a program starts and ends are left
    out.
    """
    if ordered and ordered[0].reason == "startup":
        ordered = ordered[1:]
    if len(ordered) > _MIN_INTERVALS + 1 and _has_ended(ordered):
        ordered = ordered[:-1]
    if len(ordered) <= _MIN_INTERVALS:
        return None
    steps = informative_steps([steady_seconds(snapshot.facts) for snapshot in ordered])
    chosen = [ordered[step] for step in steps]
    if len(chosen) <= _MIN_INTERVALS:
        return None
    objects = [_object_bytes(snapshot) for snapshot in chosen]
    large = [snapshot.large_object_bytes for snapshot in chosen]
    seconds = [steady_seconds(snapshot.facts) for snapshot in chosen]
    for series in ("malloc", "resident"):
        used = [_used_bytes(snapshot, series) for snapshot in chosen]
        if not all(used):
            continue  # not known, or nothing: another allocator may be at work
        known = large if series == "malloc" else objects
        beyond = [(total or 0) - part for total, part in zip(used, known, strict=True)]
        native = [_native_bytes(snapshot, series) for snapshot in chosen]
        unknown = [total - part for total, part in zip(beyond, native, strict=True)]
        if not _rises(beyond, seconds) or not _rises(unknown, seconds):
            return None  # both: native blocks may be of an allocator that the series does not count
        growth = (used[-1] or 0) - (used[0] or 0)
        gained = objects[-1] - objects[0]
        return UnexplainedGrowth(series, growth, gained, _blocks(chosen), len(chosen) - 1)
    return None


def undecided_growth(ordered: Sequence[HeapSnapshot]) -> int:
    """Return by how many bytes the program's objects grew in too few intervals to judge it; else 0.

    That is: one or two intervals with large growth in each, the start of the program and its exit
    left out, by which variables are gone. Rare and heavy growth needs three intervals, and a program
    may be loading its data.
    """
    sizes = [
        shown_totals(snapshot.graph).total_bytes
        for snapshot in ordered
        if snapshot.reason not in ("startup", "exit")
    ]
    steps = [after - before for before, after in pairwise(sizes)]
    is_undecided = 1 <= len(steps) <= _FEW_INTERVALS and min(steps) >= _MIN_STEP_OF_FEW_BYTES
    return sum(steps) if is_undecided else 0


def _has_ended(ordered: Sequence[HeapSnapshot]) -> bool:
    """Tell whether the last interval is the short one between the return of main and the exit.

    No work is done in it, so that it does not tell that memory has stopped growing.
    """
    reasons = [snapshot.reason for snapshot in ordered[-2:]]
    seconds = [steady_seconds(snapshot.facts) for snapshot in ordered]
    mean = (seconds[-2] - seconds[0]) / (len(seconds) - 2)
    return reasons == ["return", "exit"] and seconds[-1] - seconds[-2] < mean


def _rises(sizes: Sequence[int], seconds: Sequence[float]) -> bool:
    steps = [after - before for before, after in pairwise(sizes)]
    total = sum(steps)
    is_few = len(steps) <= _FEW_INTERVALS
    if total < _MIN_BYTES or min(steps) < (_MIN_STEP_OF_FEW_BYTES if is_few else _MIN_STEP_BYTES):
        return False
    share = _MIN_LAST_SHARE_OF_FEW if is_few else _MIN_LAST_SHARE
    return steps[-1] >= share * total / len(steps) and not slows_down(steps, seconds)


def _object_bytes(snapshot: HeapSnapshot) -> int:
    """Return the size of the program's objects with garbage, without native blocks."""
    return shown_totals(snapshot.graph, OWN).object_bytes


def _native_bytes(snapshot: HeapSnapshot, series: str) -> int:
    """Return the size of the native blocks with known holders that a series counts.

    Of mappings only what is resident counts, where that is known.
    """
    graph = snapshot.graph
    if graph.native is None:
        return 0
    blocks = zip(graph.native.nodes, graph.native.resident_sizes(graph.node_size), strict=True)
    return sum(
        size
        for node, (kind, size) in blocks
        if kind.is_host
        and not graph.flags[node] & OWN
        and (series != "malloc" or (kind.device == "cpu" and kind.library != _NOT_OF_MALLOC))
    )


def _used_bytes(snapshot: HeapSnapshot, series: str) -> int | None:
    facts = snapshot.facts
    value = facts.get(MALLOC_FACT) if series == "malloc" else _reading(snapshot, "rss_bytes")
    return value if isinstance(value, int) else None


def _reading(snapshot: HeapSnapshot, name: str) -> Any:
    memory = snapshot.facts.get("memory")
    return memory.get(name) if isinstance(memory, dict) else None


def _blocks(chosen: Sequence[HeapSnapshot]) -> int:
    """Return how many more blocks than objects there are than before, 0 where that is few."""
    counts = [_reading(snapshot, "allocated_blocks") for snapshot in (chosen[0], chosen[-1])]
    if not all(isinstance(count, int) for count in counts):
        return 0
    objects = chosen[-1].object_count - chosen[0].object_count
    blocks: int = counts[1] - counts[0] - 2 * max(objects, 0)  # a table, a dict: two blocks each
    return blocks if blocks >= _MIN_BLOCKS else 0
