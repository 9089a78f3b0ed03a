"""The analysis of processes that have left snapshots only: one after another, in a child process."""

from __future__ import annotations

import os
from collections.abc import Sequence

from memlens.fleet.files import ProcessFiles, SkippedFile, SnapshotFacts
from memlens.fleet.processes import UNKNOWN, FleetProcess, FleetSuspect
from memlens.leaks.leak_report import LeakReport
from memlens.profiler.analysis import Analysis, Answer

__all__ = ("MIN_SNAPSHOTS", "analysed", "too_few", "unknown")

MIN_SNAPSHOTS = 3  # two cannot distinguish a leak from one-time growth
_MAX_SNAPSHOTS = 12  # the first and the newest


def analysed(
    files: ProcessFiles,
    facts: Sequence[SnapshotFacts],
    analysis: Analysis,
    skipped: list[SkippedFile],
    ignore: Sequence[str] = (),
) -> FleetProcess:
    """Return what the snapshots of one process show; damaged ones are added to ``skipped``.

    ``facts``: those of its snapshots, oldest first. ``analysis`` bounds memory and time.
    """
    chosen = [*facts[:1], *facts[1:][-(_MAX_SNAPSHOTS - 1) :]]
    while len(chosen) >= MIN_SNAPSHOTS:
        answer = analysis.run([[one.path for one in chosen]], ignore)
        if answer.report is not None:
            return _process(files, chosen, answer.report)
        damaged = next((one for one in chosen if one.path in answer.reason), None)
        if damaged is None:
            return unknown(files, facts, _why(answer))
        chosen.remove(damaged)
        if os.path.exists(damaged.path):  # else its profiler has deleted it
            reason = answer.reason.replace(f"{damaged.path}: ", "")
            skipped.append(SkippedFile(damaged.path, reason))
    return unknown(files, chosen, too_few(len(chosen)))


def unknown(files: ProcessFiles, facts: Sequence[SnapshotFacts], why: str) -> FleetProcess:
    """Return a process without a verdict, with what the facts of its snapshots tell."""
    newest = facts[-1] if facts else None
    return FleetProcess(
        pid=files.pid,
        token=files.token,
        folder=files.folder,
        identity=newest.identity if newest else None,
        since=facts[0].timestamp if facts else 0.0,
        until=newest.timestamp if newest else 0.0,
        rss_bytes=newest.rss_bytes if newest else None,
        growth_bytes=None,
        verdict=UNKNOWN,
        confidence="low",
        snapshot_count=len(facts),
        note=why,
    )


def too_few(count: int) -> str:
    """Return why no verdict is possible."""
    return f"{count} snapshot{'' if count == 1 else 's'}, {MIN_SNAPSHOTS} are needed"


def _why(answer: Answer) -> str:
    return answer.reason or "the snapshots were not analysed"


def _process(
    files: ProcessFiles, chosen: Sequence[SnapshotFacts], report: LeakReport
) -> FleetProcess:
    since = chosen[0].timestamp
    return FleetProcess(
        pid=files.pid,
        token=files.token,
        folder=files.folder,
        identity=chosen[-1].identity,
        since=since,
        until=chosen[-1].timestamp,
        rss_bytes=chosen[-1].rss_bytes,
        growth_bytes=report.heap_growth_bytes,
        verdict=report.verdict,
        confidence=report.confidence,
        suspects=tuple(FleetSuspect.from_dict(one.to_dict(), since) for one in report),
        snapshot_count=report.snapshot_count,
        note="too short to tell a leak from a start" if report.undecided_bytes else "",
    )
