"""SuspectGroup: the suspects of many processes that are the same leak, by their fingerprints."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from memlens._display import displayed
from memlens._text import format_change, format_count, labelled
from memlens.fleet.processes import FleetProcess, FleetSuspect

__all__ = ("SuspectGroup", "format_time", "group_suspects")

_SHOWN_PROCESSES = 8


@displayed
@dataclass(frozen=True, slots=True)
class SuspectGroup:
    """One leak in several processes.

    ``pids``: the processes that have it, the largest growth first; ``process_count`` of them, of
    ``of_count`` in the fleet. ``growth_bytes``: the sum over all of them; ``since``: the earliest
    time from which one of them grew, seconds since the epoch. ``suspect``: that of the process where
    it grew most, for its holder, path, pattern and suggestion. ``labels``: the kinds of the
    processes, as ``pids``.
    """

    fingerprint: str
    suspect: FleetSuspect
    pids: tuple[int, ...]
    labels: tuple[str, ...]
    of_count: int
    growth_bytes: int
    since: float

    def __repr__(self) -> str:
        return f"<SuspectGroup {self.suspect.holder}: {self._where()}>"

    def __str__(self) -> str:
        return self.text()

    @property
    def process_count(self) -> int:
        """In how many processes it was found."""
        return len(self.pids)

    def _where(self) -> str:
        of = format_count(self.of_count)
        plural = "" if self.of_count == 1 else "es"
        return f"in {format_count(self.process_count)} of {of} process{plural}"

    def text(self, lead: str = "") -> str:
        """Return what ``str()`` returns, with ``lead`` before the first line: the rank in a list."""
        suspect = self.suspect
        headline = (
            f"{suspect.holder} grows {self._where()}: {format_change(self.growth_bytes)} in all,"
            f" since {format_time(self.since)}"
        )
        shown = [
            f"{pid} ({label})" if label else str(pid)
            for pid, label in zip(self.pids, self.labels, strict=True)
        ][:_SHOWN_PROCESSES]
        if self.process_count > len(shown):
            shown.append(f"and {format_count(self.process_count - len(shown))} more")
        fields = [
            ("processes", ", ".join(shown)),
            ("gains", ", ".join(suspect.growing_types)),
            ("held by", suspect.held_by),
            ("pattern", f"{suspect.pattern or 'unknown'}: {suspect.evidence}"),
            ("what to do", suspect.suggestion),
            ("id", f"{self.fingerprint}, in {suspect.origin}"),
        ]
        lines = [labelled(label, text) for label, text in fields if text]
        return "\n".join([labelled(lead, headline, label_width=0, indent=""), *lines])

    def to_dict(self) -> dict[str, Any]:
        """Return the group as JSON-ready values."""
        return {
            "fingerprint": self.fingerprint,
            "process_count": self.process_count,
            "of_count": self.of_count,
            "pids": list(self.pids),
            "growth_bytes": self.growth_bytes,
            "since": self.since,
            "suspect": asdict(self.suspect),
        }


def group_suspects(processes: Iterable[FleetProcess]) -> list[SuspectGroup]:
    """Return the suspects of all processes by fingerprint, the largest growth in all first.

    A process counts once, also if it has several suspects with one fingerprint. A suspect without
    a fingerprint, of a report by an older memlens, is grouped by its holder.
    """
    fleet = list(processes)
    found: dict[str, list[tuple[FleetProcess, FleetSuspect]]] = {}
    for process in fleet:
        for suspect in process.suspects:
            found.setdefault(suspect.fingerprint or suspect.holder, []).append((process, suspect))
    groups = [_group(members, len(fleet)) for members in found.values()]
    return sorted(groups, key=lambda group: (-group.growth_bytes, group.fingerprint))


def _group(members: Sequence[tuple[FleetProcess, FleetSuspect]], of_count: int) -> SuspectGroup:
    by_process: dict[tuple[str, int, str], tuple[FleetProcess, int]] = {}
    for process, suspect in members:
        key = (process.folder, process.pid, process.token)
        _, known = by_process.get(key, (process, 0))
        by_process[key] = (process, known + suspect.growth_bytes)
    ranked = sorted(by_process.values(), key=lambda one: (-one[1], one[0].pid, one[0].folder))
    largest = max(
        (suspect for _, suspect in members),
        key=lambda one: (one.growth_bytes, one.holder, one.held_by),
    )
    return SuspectGroup(
        fingerprint=largest.fingerprint,
        suspect=largest,
        pids=tuple(process.pid for process, _ in ranked),
        labels=tuple(process.label for process, _ in ranked),
        of_count=of_count,
        growth_bytes=sum(growth for _, growth in by_process.values()),
        since=min(suspect.since for _, suspect in members),
    )


def format_time(timestamp: float) -> str:
    """Return a time of the wall clock, in local time: ``2025-01-31 12:00``."""
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(timestamp))
    except (ValueError, OverflowError, OSError):  # beyond what the system can tell
        return "unknown"
