"""The tools about whole heaps: objects in groups, two snapshots compared, tasks that are stuck."""

from __future__ import annotations

from typing import Any

from memlens.agents.answers import Answer
from memlens.agents.known_files import chosen_snapshots, one_snapshot, while_running
from memlens.agents.leaks import frame_text
from memlens.agents.workspace import Workspace
from memlens.errors import OptionError
from memlens.heap.snapshot import HeapSnapshot
from memlens.heap.views.summary import GROUPINGS
from memlens.stuck.stuck_report import StuckTask
from memlens.stuck.stuck_report import stuck_tasks as find_stuck

__all__ = ("SUMMARIES", "compare", "stuck_tasks", "summarize")

SUMMARIES = (*GROUPINGS, "site", "kind", "device")
_MAX_ROWS = 500


def summarize(
    workspace: Workspace, file: str | None = None, pid: int | None = None, by: str = "type"
) -> Answer:
    """Return the objects of one snapshot in groups, the largest shallow size first."""
    path = one_snapshot(workspace, file, pid)
    snapshot = workspace.snapshot(path)
    head: dict[str, Any] = {
        "file": workspace.name_of(path),
        "pid": snapshot.pid,
        "by": by,
    }
    rows, total = _kinds(snapshot) if by == "kind" else _groups(snapshot, by)
    head["all_groups_count"] = sum(row["count"] for row in rows)
    head["all_groups_shallow_bytes"] = sum(row["shallow_bytes"] for row in rows)
    rows = rows[:_MAX_ROWS]
    hints = {
        "type": ("why_alive with a type: what keeps its largest objects alive",),
        "site": ("allocations: the same for what is still allocated, with call paths",),
    }
    return Answer(head, "rows", rows, hints.get(by, ()), total_count=total)


def _groups(snapshot: HeapSnapshot, by: str) -> tuple[list[dict[str, Any]], int]:
    summary = snapshot.summary(by)
    rows = [
        {
            ("allocated_at" if by == "site" else by): row.name,
            "count": row.count,
            "shallow_bytes": row.shallow_bytes,
            "retained_bytes": row.retained_bytes,
            **({"retained_native_bytes": row.retained_native_bytes} if by == "device" else {}),
        }
        for row in summary
    ]
    return rows, len(rows)


def _kinds(snapshot: HeapSnapshot) -> tuple[list[dict[str, Any]], int]:
    rows = [
        {
            "kind": row.kind,
            "count": row.count,
            "shallow_bytes": row.shallow_bytes,
            "heap_percent": round(100 * row.share, 1),
        }
        for row in snapshot.statistics()
    ]
    return rows, len(rows)


def compare(
    workspace: Workspace,
    before: str | None = None,
    after: str | None = None,
    pid: int | None = None,
) -> Answer:
    """Return what changed between two snapshots by type, the largest growth in bytes first.

    By default the first and the last snapshot of the process, without that of its end.
    """
    if before and after:
        paths = [workspace.resolve(before), workspace.resolve(after)]
    elif before or after:
        raise OptionError("give both before and after, or neither for the first and the last one")
    else:
        known = while_running(workspace, chosen_snapshots(workspace, (), pid))
        if len(known) < 2:
            raise OptionError("this process has one snapshot: two are needed to compare them")
        paths = [known[0], known[-1]]
    comparison = workspace.snapshot(paths[0]).compare(workspace.snapshot(paths[1]))
    changed = [
        change
        for change in comparison
        if change.new_count or change.deleted_count or change.shallow_delta_bytes
    ]
    rows = [
        {
            "type": change.type_name,
            "growth_count": change.count_delta,
            "new_count": change.new_count,
            "deleted_count": change.deleted_count,
            "now_count": change.count_after,
            "shallow_growth_bytes": change.shallow_delta_bytes,
            "retained_growth_bytes": change.retained_delta_bytes,
        }
        for change in changed[:_MAX_ROWS]
    ]
    head = {
        "before": workspace.name_of(paths[0]),
        "after": workspace.name_of(paths[1]),
        "between_seconds": round(comparison.seconds, 1),
        "heap_growth_bytes": sum(change.shallow_delta_bytes for change in comparison),
        "heap_growth_count": sum(change.count_delta for change in comparison),
    }
    hints = ("why_alive with a type that grew", "find_leaks: the holders that accumulate them")
    return Answer(head, "changes", rows, hints, total_count=len(changed))


def stuck_tasks(workspace: Workspace, file: str | None = None, pid: int | None = None) -> Answer:
    """Return the tasks and threads that nothing can wake any more, those that retain most first."""
    path = one_snapshot(workspace, file, pid)
    report = find_stuck(workspace.snapshot(path))
    head = {
        "file": workspace.name_of(path),
        "pid": report.pid,
        "waiting_count": report.waiting_count,
        "stuck_count": len(report),
    }
    return Answer(head, "tasks", [_task(task) for task in report])


def _task(task: StuckTask) -> dict[str, Any]:
    return {
        "kind": task.kind,
        "name": task.name,
        "stands_in": frame_text(task.frame) if task.frame else None,
        "why": task.why,
        "local_names": list(task.local_names),
        "frames": [frame_text(frame) for frame in reversed(task.frames)],
        "retained_bytes": task.retained_bytes,
    }
