"""The tools about where memory was allocated: the rows of a profile, and lines of source."""

from __future__ import annotations

from typing import Any

from memlens.agents.answers import Answer
from memlens.agents.known_files import PROFILE, known_files
from memlens.agents.leaks import call_path_text, frame_text
from memlens.agents.workspace import Workspace
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.allocations.profile.program_lines import program_lines
from memlens.allocations.profile.rows import AllocationRow
from memlens.errors import OptionError
from memlens.report.html.source import SourceReader

__all__ = ("VIEWS", "allocations", "source_lines")

VIEWS = ("line", "site", "call_path", "module", "thread")
_MAX_ROWS = 500
_MAX_AROUND = 50


def allocations(
    workspace: Workspace,
    file: str | None = None,
    pid: int | None = None,
    view: str = "line",
    by: str = "live_bytes",
) -> Answer:
    """Return where memory was allocated, by an allocation profile, the largest ``by`` first."""
    path = _profile_path(workspace, file, pid)
    profile = workspace.profile(path)
    rows = _lines(profile, by) if view == "line" else _rows(profile, view, by)
    total = profile.total
    head: dict[str, Any] = {
        "file": workspace.name_of(path),
        "pid": profile.facts.pid,
        "view": view,
        "by": by,
        "duration_seconds": round(profile.facts.duration_seconds, 1),
        "sampling_interval_bytes": profile.facts.interval_bytes,
        "live_bytes": round(total.live_bytes),
        "live_bytes_stderr": round(total.live_bytes_stderr),
        "allocated_bytes": _rounded(total.allocated_bytes),
        "untracked_bytes": profile.untracked_bytes,
    }
    hints = (
        "source_lines with a file and line: the code",
        "view=call_path: who called it; by=allocated_bytes: what allocates most, also if it is freed",
    )
    return Answer(head, "rows", rows[:_MAX_ROWS], hints, total_count=len(rows))


def source_lines(workspace: Workspace, file: str, line: int, around: int = 5) -> Answer:
    """Return the lines of a source file around one, from the folders that the user allowed."""
    path = workspace.source_file(file)
    reader = SourceReader(is_allowed=True)
    first, last = max(1, line - around), line + around
    rows: list[dict[str, Any]] = []
    for number in range(first, last + 1):
        text = reader.line(path, number)
        if text is not None:
            rows.append({"line": number, "text": text})
    if not any(row["line"] == line for row in rows):
        raise OptionError(
            f"{file} has no line {line} that can be shown: only existing Python files of at most 4 MiB"
            " are read"
        )
    return Answer({"file": path, "line": line}, "lines", rows)


def _profile_path(workspace: Workspace, file: str | None, pid: int | None) -> str:
    if file:
        return workspace.resolve(file)
    known = [
        one for one in known_files(workspace) if one.kind == PROFILE and pid in (None, one.pid)
    ]
    if not known:
        raise OptionError(
            "there is no allocation profile: 'python -m memlens run -o FOLDER --allocations SCRIPT'"
            " writes one; a snapshot may record sites, too: call summarize with by=site"
        )
    return max(known, key=lambda one: one.timestamp).path


def _lines(profile: AllocationProfile, by: str) -> list[dict[str, Any]]:
    """Return the lines of the program's own files; what libraries allocate is counted with them."""
    return [
        {
            "file": row.file,
            "line": row.line,
            "function": row.function,
            "live_bytes": round(row.live_bytes),
            "live_bytes_stderr": round(row.live_bytes_stderr),
            "allocated_bytes": _rounded(row.allocated_bytes),
        }
        for row in program_lines(profile.rows, profile.total, by, reads_source=False)
    ]


def _rows(profile: AllocationProfile, view: str, by: str) -> list[dict[str, Any]]:
    if view == "thread":
        named = profile.by_thread().items()
        found = [{"thread": name or None, **_numbers(row)} for name, row in named]
    elif view == "call_path":
        found = [
            {"call_path": call_path_text(row.call_path), **_numbers(row)}
            for row in profile.by_call_path()
        ]
    else:
        rows = profile.by_module() if view == "module" else profile.by_site()
        found = [
            {
                ("module" if view == "module" else "site"): frame_text(row.call_path[-1]),
                **_numbers(row),
            }
            for row in rows
            if row.call_path
        ]
    return sorted(found, key=lambda row: -(row[by] or 0))


def _numbers(row: AllocationRow) -> dict[str, Any]:
    return {
        "live_bytes": round(row.live_bytes),
        "live_bytes_stderr": round(row.live_bytes_stderr),
        "live_count": round(row.live_count),
        "allocated_bytes": _rounded(row.allocated_bytes),
        "allocated_count": _rounded(row.allocated_count),
        "live_sample_count": row.live_samples,
    }


def _rounded(value: float | None) -> int | None:
    return None if value is None else round(value)
