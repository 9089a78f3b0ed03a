"""The tool that lists what there is to ask about."""

from __future__ import annotations

import time
from typing import Any

from memlens.agents.answers import Answer
from memlens.agents.known_files import PROFILE, SNAPSHOT, KnownFile, known_files
from memlens.agents.workspace import Workspace

__all__ = ("list_files", "utc_text")


def list_files(workspace: Workspace, pid: int | None = None) -> Answer:
    """Return the snapshots and allocation profiles, the newest process first."""
    found = [file for file in known_files(workspace) if pid in (None, file.pid)]
    snapshots = [file for file in found if file.kind == SNAPSHOT and not file.problem]
    profiles = [file for file in found if file.kind == PROFILE]
    head = {
        "folders": workspace.folders,
        "process_count": len({file.pid for file in found if not file.problem}),
        "snapshot_count": len(snapshots),
        "allocation_profile_count": len(profiles),
    }
    return Answer(
        head, "files", [_row(workspace, file) for file in found], _hints(snapshots, profiles)
    )


def _row(workspace: Workspace, file: KnownFile) -> dict[str, Any]:
    row: dict[str, Any] = {"file": workspace.name_of(file.path), "kind": file.kind}
    if file.problem:
        return {**row, "problem": file.problem}
    row |= {"pid": file.pid, "taken_at": utc_text(file.timestamp), "size_bytes": file.size_bytes}
    more = {"reason": file.reason or None, "object_count": file.object_count}
    more["rss_bytes"] = file.rss_bytes
    return {**row, **{name: value for name, value in more.items() if value is not None}}


def utc_text(seconds: float) -> str:
    """Return a time as text: ``2026-11-26T20:04:53Z``; empty if it is out of range."""
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return ""


def _hints(snapshots: list[KnownFile], profiles: list[KnownFile]) -> tuple[str, ...]:
    if not snapshots and not profiles:
        return ("no files yet: run 'python -m memlens run -o FOLDER --allocations SCRIPT' first",)
    hints = []
    if len(snapshots) > 1:
        hints.append("find_leaks with a pid: what grows over all snapshots of that process")
    elif snapshots:
        hints.append("one snapshot shows no growth: largest and summarize tell what it contains")
    if profiles:
        hints.append("allocations with a file of kind allocation_profile: where memory came from")
    return tuple(hints)
