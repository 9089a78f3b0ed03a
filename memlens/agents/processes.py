"""The tools about running processes: which run a profiler, their snapshots and stacks."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from memlens.agents.answers import Answer
from memlens.agents.leaks import frame_text
from memlens.agents.workspace import Workspace
from memlens.attach.request import Request
from memlens.attach.stacks import ProcessStacks
from memlens.attach.target import Target
from memlens.attach.ways import ask
from memlens.errors import OptionError
from memlens.profiler.registry import folder_of, known_processes

__all__ = ("list_processes", "process_stacks", "reach_process", "take_snapshot")

_SUFFIX = ".memlens"


def list_processes(workspace: Workspace) -> Answer:
    """Return the processes of this user that run a profiler of memlens.

    Raises ``OptionError`` if the user has not allowed to reach processes.
    """
    _check_allowed(workspace)
    folders = {pid: folder_of_process(pid) for pid in known_processes()}
    rows = [_row(pid, folder) for pid, folder in folders.items() if folder is not None]
    hints = (
        "find_leaks with a pid: what grows in that process by the snapshots so far",
        "take_snapshot with a pid: one more snapshot now",
    )
    return Answer({}, "processes", rows, hints if rows else (_NONE,))


_NONE = (
    "no process runs a profiler now: start the program with 'python -m memlens run -o FOLDER SCRIPT',"
    " or with memlens.MemoryProfiler in it"
)


def take_snapshot(workspace: Workspace, pid: int) -> Answer:
    """Take a heap snapshot of a running process; its file is deleted when the server ends.

    Raises ``AttachError`` if the process cannot be asked, ``OptionError`` if that is not allowed.
    """
    _check_allowed(workspace)
    now = time.time()
    stamp = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(now))}{int(now % 1 * 1000):03d}Z"
    path = workspace.new_file(f"heap-dump-{stamp}-{pid}.memlens")
    answer = ask(Target(pid), Request("dump"), snapshot_path=path)
    head = {
        "file": workspace.name_of(path),
        "pid": pid,
        "way": answer.way,
        "object_count": int(answer.content["object_count"]),
        "size_bytes": answer.size_bytes,
        "pause_seconds": float(answer.content["pause_seconds"]),
        "stopped_by_debugger_seconds": answer.stopped_seconds,
        "notes": list(answer.notes),
    }
    hints = (
        "largest and summarize with this file: what the process contains now",
        "take_snapshot again after some work, three times in all, then find_leaks with the pid",
    )
    return Answer(head, "rows", (), hints)


def process_stacks(workspace: Workspace, pid: int) -> Answer:
    """Return where the threads and asyncio tasks of a running process stand, threads first.

    Raises as `take_snapshot` does.
    """
    _check_allowed(workspace)
    answer = ask(Target(pid), Request("stacks"))
    rows = [
        {
            "kind": stack.kind,
            "name": stack.name,
            "detail": stack.detail,
            "frames": [frame_text(frame) for frame in reversed(stack.frames)],
        }
        for stack in ProcessStacks.of(pid, answer.content).stacks
    ]
    return Answer({"pid": pid, "way": answer.way}, "stacks", rows)


def _check_allowed(workspace: Workspace) -> None:
    if not workspace.processes:
        raise OptionError("this server reaches no process: start it with --processes to allow that")


def reach_process(workspace: Workspace, pid: int) -> None:
    """Let the tools read the folder of a running profiler, if the user has allowed that.

    Does nothing for a process that is not known: its files may be in the workspace already.
    """
    if workspace.processes:
        folder = folder_of_process(pid)
        if folder is not None:
            workspace.add_folder(folder)


def folder_of_process(pid: int) -> str | None:
    """Return the folder with the snapshots of a running process; None if it runs no profiler."""
    return folder_of(pid)


def _row(pid: int, folder: str) -> dict[str, Any]:
    import psutil

    name = None
    with suppress(psutil.Error, OSError):  # it has just ended
        name = psutil.Process(pid).name()
    return {
        "pid": pid,
        "command": name,
        "folder": folder,
        "snapshot_count": len(_snapshots(folder)),
    }


def _snapshots(folder: str) -> Sequence[str]:
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise OptionError(f"cannot read {folder!r}: {error.strerror or error}") from error
    return [name for name in names if name.endswith(_SUFFIX) and not name.startswith(".")]
