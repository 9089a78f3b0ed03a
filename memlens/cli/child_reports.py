"""What the forked children of a program under ``run`` have leaked, from their snapshots.

A forked child takes snapshots of its own into the folder of its parent. The parent reports them at
its end, after its own report. A child of another kind (``multiprocessing`` with ``spawn``, a command)
is a program of its own, which ``run`` does not follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from memlens._text import format_count
from memlens.errors import MemlensError
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.baselines import Baseline
from memlens.leaks.leak_report import STARTUP_GROWTH_BYTES, LeakReport, find_leaks

__all__ = ("ChildReports", "report_children")

_MAX_ANALYSED = 16  # children, those with the most snapshots; pools may have had hundreds
_MAX_SHOWN = 4


@dataclass(frozen=True, slots=True)
class ChildReports:
    """The reports of children, those with suspects first; ``total_count`` includes all others."""

    reports: tuple[LeakReport, ...]
    total_count: int

    def __str__(self) -> str:
        if not self.total_count:
            return ""
        leaking = [report for report in self.reports if report.suspects]
        blocks = [f"Child process: {report}" for report in leaking[:_MAX_SHOWN]]
        if len(leaking) > _MAX_SHOWN:
            blocks.append(f"... and {len(leaking) - _MAX_SHOWN} more child processes with suspects")
        silent = len(self.reports) - len(leaking)
        if silent:
            blocks.append(f"No holder grew in {_processes(silent)}.")
        unknown = self.total_count - len(self.reports)
        if unknown:
            blocks.append(
                f"Not analysed: {_processes(unknown)}, with fewer than two snapshots or beyond"
                f" the first {_MAX_ANALYSED}."
            )
        return "\n\n".join(blocks)

    def to_list(self) -> list[dict[str, Any]]:
        """Return the reports as JSON-ready values."""
        return [report.to_dict() for report in self.reports]


def _processes(count: int) -> str:
    return f"{format_count(count)} child process{'es' if count > 1 else ''}"


def report_children(
    paths_by_child: Iterable[Sequence[str]],
    ignore: Sequence[str] = (),
    baseline: Baseline | None = None,
) -> ChildReports:
    """Analyse the snapshots of each child: ``paths_by_child`` has the files of one in each item.

    ``ignore`` and ``baseline`` are those of `memlens.find_leaks`.
    """
    children = sorted(paths_by_child, key=lambda paths: (-len(paths), paths[0]))
    reports = []
    for paths in children[:_MAX_ANALYSED]:
        report = _report(paths, ignore, baseline)
        if report is not None:
            reports.append(report)
    reports.sort(key=lambda report: -sum(s.retained_growth_bytes for s in report.suspects))
    return ChildReports(tuple(reports), len(children))


def _report(
    paths: Sequence[str], ignore: Sequence[str], baseline: Baseline | None
) -> LeakReport | None:
    try:
        snapshots = [HeapSnapshot.load(path) for path in paths]
        few = len(snapshots) == 2
        return find_leaks(
            snapshots,
            ignore=ignore,
            baseline=baseline,
            min_growth_bytes=STARTUP_GROWTH_BYTES if few else 0,
        )
    except MemlensError:  # too few, or deleted by another process in the meantime
        return None
