"""LeakReport: what leaked between snapshots, as a value that prints, saves and travels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from memlens._text import format_change, format_duration
from memlens.heap.comparison import TypeChange
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.suspects import LeakSuspect, find_leaks
from memlens.process.alert import LeakAlert

__all__ = ("LeakReport", "make_leak_report")

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class LeakReport:
    """The suspects between the first and the last of some snapshots, and the change around them.

    ``suspects``: best first. ``growing_types``: the types that grew, most bytes first. Sizes are in
    bytes, ``seconds`` is the time from the first snapshot to the last. ``alert``: what a detector
    said of the trend, where that is why the report was made.
    """

    pid: int
    snapshot_count: int
    seconds: float
    heap_growth_bytes: int
    suspects: tuple[LeakSuspect, ...]
    growing_types: tuple[TypeChange, ...]
    alert: LeakAlert | None = None

    def __iter__(self) -> Iterator[LeakSuspect]:
        return iter(self.suspects)

    def __len__(self) -> int:
        return len(self.suspects)

    def __str__(self) -> str:
        head = (
            f"Process {self.pid}: {self.snapshot_count} snapshots over"
            f" {format_duration(self.seconds)}, the heap changed by"
            f" {format_change(self.heap_growth_bytes)}"
        )
        if self.alert is not None:
            head = f"{self.alert}\n\n{head}"
        if not self.suspects:
            verdict = "No holder" if self.alert else "No leak: no holder"
            return f"{head}\n{verdict} grew in every interval."
        count = len(self.suspects)
        head += f"\n{count} suspect{'s' if count > 1 else ''}, the largest first:"
        blocks = [
            f"{rank}. {suspect}" for rank, suspect in enumerate(self.suspects[:_SHOWN], start=1)
        ]
        if count > _SHOWN:
            blocks.append(f"... and {count - _SHOWN} more")
        return "\n\n".join([head, *blocks])

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        return {
            "pid": self.pid,
            "snapshot_count": self.snapshot_count,
            "seconds": self.seconds,
            "heap_growth_bytes": self.heap_growth_bytes,
            "suspects": [suspect.to_dict() for suspect in self.suspects],
            "growing_types": [
                {
                    "type": change.type_name,
                    "count_delta": change.count_delta,
                    "shallow_delta_bytes": change.shallow_delta_bytes,
                }
                for change in self.growing_types
            ],
            "alert": self.alert.to_dict() if self.alert else None,
        }


def make_leak_report(
    snapshots: Sequence[HeapSnapshot],
    *,
    ignore: Iterable[str] = (),
    limit: int = 20,
    alert: LeakAlert | None = None,
) -> LeakReport:
    """Look for leaks over two or more snapshots of one process; raises as `find_leaks` does."""
    suspects = find_leaks(snapshots, ignore=ignore, limit=limit)
    ordered = sorted(snapshots, key=lambda snapshot: snapshot.timestamp)
    comparison = ordered[0].compare(ordered[-1])
    return LeakReport(
        pid=ordered[-1].pid,
        snapshot_count=len(ordered),
        seconds=comparison.seconds,
        heap_growth_bytes=sum(change.shallow_delta_bytes for change in comparison),
        suspects=tuple(suspects),
        growing_types=tuple(comparison.growing()[:20]),
        alert=alert,
    )
