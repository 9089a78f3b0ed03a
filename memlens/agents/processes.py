"""The tools about running processes: which run a profiler, and what its snapshots say."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from memlens.agents.answers import Answer
from memlens.agents.workspace import Workspace
from memlens.errors import OptionError
from memlens.profiler.registry import folder_of, known_processes

__all__ = ("folder_of_process", "list_processes", "reach_process")

_SUFFIX = ".memlens"


def list_processes(workspace: Workspace) -> Answer:
    """Return the processes of this user that run a profiler of memlens.

    Raises ``OptionError`` if the user has not allowed to reach processes.
    """
    if not workspace.processes:
        raise OptionError("this server reaches no process: start it with --processes to allow that")
    folders = {pid: folder_of_process(pid) for pid in known_processes()}
    rows = [_row(pid, folder) for pid, folder in folders.items() if folder is not None]
    hints = ("find_leaks with a pid: what grows in that process by the snapshots so far",)
    return Answer({}, "processes", rows, hints if rows else (_NONE,))


_NONE = (
    "no process runs a profiler now: start the program with 'python -m memlens run -o FOLDER SCRIPT',"
    " or with memlens.MemoryProfiler in it"
)


def reach_process(workspace: Workspace, pid: int) -> None:
    """Let the tools read the folder of a running profiler, if the user has allowed that.

    Does nothing for a process that is not known: its files may be in the workspace already.
    """
    if workspace.processes:
        folder = folder_of_process(pid)
        if folder is not None:
            workspace.add_folder(folder)


def folder_of_process(pid: int) -> str | None:
    """Return the folder with the snapshots of a running process; None if it runs no profiler.

    This is the only way in which the tools reach a process.
    """
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
