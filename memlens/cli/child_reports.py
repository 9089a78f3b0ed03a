"""What the children of a program under ``run`` have leaked, from their snapshots.

A forked child takes snapshots of its own into the folder of its parent. The parent reports them at
its end, after its own report. A child of another kind (``multiprocessing`` with ``spawn``, a command)
is a program of its own, which ``run`` follows with the option ``--follow-children`` only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from memlens._text import fitted, format_count
from memlens.errors import MemlensError
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.baselines import Baseline
from memlens.leaks.leak_report import LeakReport, reported_leaks

__all__ = ("ChildReports", "report_children")

_MAX_ANALYSED = 16  # children, those with the most snapshots; pools may have had hundreds
_MAX_SHOWN = 4


@dataclass(frozen=True, slots=True)
class ChildReports:
    """The reports of children, those with suspects first; ``total_count`` includes all others.

    ``not_followed``: why further children have no snapshots, one text for each.
    """

    reports: tuple[LeakReport, ...]
    total_count: int
    not_followed: tuple[str, ...] = ()

    def __str__(self) -> str:
        leaking = [report for report in self.reports if report.suspects]
        blocks = ["Child processes that leak:"] if leaking else []
        blocks += [str(report) for report in leaking[:_MAX_SHOWN]]
        if len(leaking) > _MAX_SHOWN:
            blocks.append(f"... and {len(leaking) - _MAX_SHOWN} more child processes with suspects")
        if others := self._others(len(self.reports) - len(leaking)):
            blocks.append(fitted(others))
        return "\n\n".join(blocks)

    def _others(self, silent: int) -> str:
        """Sum up the children without suspects in one line; empty where there are none."""
        parts = []
        if silent:
            parts.append(f"No holder grew in {_processes(silent)}.")
        unknown = self.total_count - len(self.reports)
        if unknown:
            parts.append(
                f"Not analysed: {_processes(unknown)}, with fewer than two snapshots or beyond"
                f" the first {_MAX_ANALYSED}."
            )
        if self.not_followed:
            count = len(self.not_followed)
            parts.append(f"Not followed: {_processes(count)} ({self.not_followed[0]}).")
        return " ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Return the reports and the counts as JSON-ready values."""
        return {
            "children": [report.to_dict() for report in self.reports],
            "child_count": self.total_count,
            "children_not_followed": list(self.not_followed),
        }


def _processes(count: int) -> str:
    return f"{format_count(count)} child process{'es' if count > 1 else ''}"


def report_children(
    paths_by_child: Iterable[Sequence[str]],
    ignore: Sequence[str] = (),
    baseline: Baseline | None = None,
    not_followed: Sequence[str] = (),
) -> ChildReports:
    """Analyse the snapshots of each child: ``paths_by_child`` has the files of one in each item.

    ``ignore`` and ``baseline`` are those of `memlens.find_leaks`. ``not_followed``: as in the result.
    """
    children = sorted(paths_by_child, key=lambda paths: (-len(paths), paths[0]))
    reports = []
    for paths in children[:_MAX_ANALYSED]:
        report = _report(paths, ignore, baseline)
        if report is not None:
            reports.append(report)
    reports.sort(key=lambda report: -sum(s.retained_growth_bytes for s in report.suspects))
    return ChildReports(tuple(reports), len(children), tuple(not_followed))


def _report(
    paths: Sequence[str], ignore: Sequence[str], baseline: Baseline | None
) -> LeakReport | None:
    try:
        snapshots = [HeapSnapshot.load(path) for path in paths]
        # A process that executes another Python keeps its id, but nothing of its heap.
        newest = snapshots[-1].facts.get("process")
        snapshots = [one for one in snapshots if one.facts.get("process") == newest]
        return reported_leaks(
            snapshots,
            ignore=ignore,
            baseline=baseline,
        )
    except MemlensError:  # too few, or deleted by another process in the meantime
        return None
