"""The tools about leaks: what grows over snapshots of a process, and one suspect in full."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from memlens._frame import CallPath
from memlens.agents.answers import Answer
from memlens.agents.known_files import chosen_snapshots
from memlens.agents.workspace import Workspace, identities_of
from memlens.errors import OptionError
from memlens.leaks.leak_report import LeakReport, reported_leaks
from memlens.leaks.suspects import LeakSuspect

__all__ = ("call_path_text", "explain_suspect", "find_suspects", "frame_text")

_MAX_SITE_FRAMES = 8
_MAX_TYPES = 5


def find_suspects(
    workspace: Workspace, files: Sequence[str] = (), pid: int | None = None
) -> Answer:
    """Return what accumulates objects over the snapshots of one process, most bytes first."""
    report = _report(workspace, files, pid)
    head: dict[str, Any] = {
        "verdict": report.verdict,
        "confidence": report.confidence,
        "pid": report.pid,
        "snapshot_count": report.snapshot_count,
        "observed_seconds": round(report.seconds, 1),
        "heap_growth_bytes": report.heap_growth_bytes,
    }
    if not report.suspects:
        head |= _without_suspects(report)
    if report.bounded:
        head["bounded"] = [str(one) for one in report.bounded[:_MAX_TYPES]]
    if report.collector_note:
        head["collector_note"] = report.collector_note
    rows = [_row(rank, suspect) for rank, suspect in enumerate(report, start=1)]
    return Answer(head, "suspects", rows, _hints(report))


def explain_suspect(
    workspace: Workspace,
    id: str,  # noqa: A002
    files: Sequence[str] = (),
    pid: int | None = None,
) -> Answer:
    """Return all that is known of one suspect; the rows are the hops of its path from the root."""
    report = _report(workspace, files, pid)
    found = [suspect for suspect in report if id in (suspect.fingerprint, suspect.holder)]
    if not found:
        known = ", ".join(suspect.fingerprint for suspect in report) or "none"
        raise OptionError(f"no suspect has the id {id!r}; find_leaks of these files gives: {known}")
    suspect = found[0]
    head = {
        **_row(1 + list(report).index(suspect), suspect),
        "path": str(suspect.path),
        "root_kind": suspect.path.root_kind,
        "evidence": suspect.evidence,
        "suggestion": suspect.suggestion,
        "sites": [
            {
                "call_path": call_path_text(share.call_path),
                "estimated_count": round(share.count),
                "estimated_bytes": round(share.shallow_bytes),
                "sample_count": share.sample_count,
            }
            for share in suspect.sites
        ],
        "mentioned_in": [str(mention) for mention in suspect.mentions],
        "native_growth": [str(one) for one in suspect.native_growth],
    }
    hops = [
        {
            "reference": hop.text,
            "type": hop.type_name,
            "retained_bytes": hop.retained_bytes,
        }
        for hop in suspect.path.hops
    ]
    return Answer(head, "hops", hops, _explained(suspect))


def call_path_text(path: CallPath) -> list[str]:
    """Return the innermost calls of a call path, the call that allocated first."""
    return [frame_text(frame) for frame in reversed(path[-_MAX_SITE_FRAMES:])]


def frame_text(frame: Any) -> str:
    """Return a frame as ``function (file:line)`` with the whole path of the file."""
    where = f"{frame.file}:{frame.line}" if frame.line else str(frame.file)
    return f"{frame.function} ({where})" if frame.function else where


def _report(workspace: Workspace, files: Sequence[str], pid: int | None) -> LeakReport:
    paths = chosen_snapshots(workspace, files, pid)
    if len(paths) < 2:
        raise OptionError(
            "leaks are found between two snapshots or more of one process, and there is one: let the"
            " program run longer, or call largest and summarize for what it contains now"
        )

    def analyse() -> LeakReport:
        return reported_leaks(
            [workspace.snapshot(path) for path in paths],
        )

    return workspace.result(("leaks", identities_of(paths)), analyse)


def _row(rank: int, suspect: LeakSuspect) -> dict[str, Any]:
    rate = suspect.growth_bytes_per_hour
    return {
        "rank": rank,
        "id": suspect.fingerprint,
        "holder": suspect.holder,
        "holder_type": suspect.holder_type,
        "pattern": suspect.pattern,
        "origin": str(suspect.origin),
        "retained_growth_bytes": suspect.retained_growth_bytes,
        "element_growth_count": suspect.count_growth,
        "retained_bytes": suspect.retained_bytes,
        "growth_bytes_per_hour": None if rate is None else round(rate),
        "gains_types": list(suspect.growing_types[:_MAX_TYPES]),
        "allocated_at": frame_text(suspect.sites[0].call_path[-1]) if suspect.sites else None,
    }


def _without_suspects(report: LeakReport) -> dict[str, Any]:
    """Say why there is no suspect, and which types grew all the same."""
    head: dict[str, Any] = {"explanation": " ".join(str(report).split())}
    if report.growing_types:
        head["growing_types"] = [
            {
                "type": change.type_name,
                "growth_count": change.count_delta,
                "growth_bytes": change.shallow_delta_bytes,
            }
            for change in report.growing_types[:_MAX_TYPES]
        ]
    return head


def _hints(report: LeakReport) -> tuple[str, ...]:
    hints = []
    if report.suspects:
        if report.snapshot_count == 2:
            hints.append("two snapshots cannot distinguish a leak from one-time growth: take more")
        hints.append(
            "explain_suspect with an id: its path from the root, evidence, what to change, call paths"
        )
        return tuple(hints)
    if report.verdict == "unexplained growth":
        hints.append("no object holds this growth: allocations may show native or raw memory")
    if report.snapshot_count < 3 or report.undecided_bytes:
        hints.append("let the program run longer under load and take more snapshots")
    return (*hints, "compare: all changes by type", "largest: what retains most now")


def _explained(suspect: LeakSuspect) -> tuple[str, ...]:
    hints = []
    if suspect.sites:
        hints.append("source_lines with a file and line of sites: the code that allocates")
    else:
        hints.append(
            "allocations: where memory came from; no allocation of this holder was sampled"
        )
    if suspect.path.root_kind == "module":  # why_alive finds such paths
        return (*hints, "why_alive with path=holder: other paths that keep it alive")
    return (*hints, "why_alive with a type of gains_types: the paths that keep its objects alive")
