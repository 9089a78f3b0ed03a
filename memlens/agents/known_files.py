"""The files that the tools know: snapshots and allocation profiles, grouped by process."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from memlens._atomic import without_waiting
from memlens.agents.workspace import Identity, Workspace, identity_of
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.allocations.profile.profile_file import FORMAT
from memlens.errors import MemlensError, OptionError
from memlens.heap.snapshot import HeapSnapshot

__all__ = (
    "PROFILE",
    "SNAPSHOT",
    "KnownFile",
    "chosen_snapshots",
    "known_files",
    "one_snapshot",
    "while_running",
)

SNAPSHOT, PROFILE = "snapshot", "allocation_profile"
_END = "exit"  # the reason of the snapshot that is taken when the program has ended
_EXPORTED = ".heapsnapshot"
_SUFFIXES = (".memlens", _EXPORTED, ".json")
_MAX_DEPTH = 4  # folders below a root
_MAX_FILES = 2000
_MAX_HEAD = 200  # characters of a .json file in which its format is named
_SKIPPED = frozenset({"node_modules", "site-packages", "__pycache__"})


@dataclass(frozen=True, slots=True)
class KnownFile:
    """One file: its facts, or why it cannot be read (``problem``).

    ``process`` differs between two processes, also of the same pid.
    """

    path: str
    kind: str
    size_bytes: int
    pid: int = 0
    process: str = ""
    timestamp: float = 0.0
    reason: str = ""
    object_count: int | None = None
    rss_bytes: int | None = None
    problem: str = ""


def known_files(workspace: Workspace) -> list[KnownFile]:
    """Return the snapshots and profiles in the workspace, the newest process first.

    The files of a process are in the order of time.
    """
    found = [file for path in _paths(workspace) if (file := _known(workspace, path)) is not None]
    newest: dict[int, float] = {}
    for file in found:
        newest[file.pid] = max(newest.get(file.pid, 0.0), file.timestamp)
    return sorted(found, key=lambda file: (-newest[file.pid], file.pid, file.timestamp, file.path))


def chosen_snapshots(
    workspace: Workspace, files: Sequence[str] = (), pid: int | None = None
) -> list[str]:
    """Return the paths of the snapshots that a question is about, oldest first.

    ``files``: by name. Else all snapshots of the process ``pid``, by default of the process with the
    newest one. Raises ``OptionError`` if there are none.
    """
    if files:
        return [workspace.resolve(name) for name in files]
    known = [file for file in known_files(workspace) if file.kind == SNAPSHOT and not file.problem]
    known = [file for file in known if pid in (None, file.pid)]
    known = [file for file in known if not file.path.endswith(_EXPORTED)] or known
    if not known:
        of = "" if pid is None else f" of process {pid}"
        raise OptionError(
            f"there are no heap snapshots{of}: call list_files to see what there is; 'python -m"
            " memlens run -o FOLDER SCRIPT' takes some"
        )
    newest = max(known, key=lambda file: file.timestamp)
    process = newest.pid, newest.process
    ours = [file for file in known if (file.pid, file.process) == process]
    return [*{file.timestamp: file.path for file in reversed(ours)}.values()][::-1]  # no copies


def one_snapshot(workspace: Workspace, file: str | None, pid: int | None = None) -> str:
    """Return the path of one snapshot: by name, else the newest of a process.

    By default not that of its end, when the variables of its functions are gone, if there is another.
    Raises as `chosen_snapshots`.
    """
    if file:
        return workspace.resolve(file)
    return while_running(workspace, chosen_snapshots(workspace, (), pid))[-1]


def while_running(workspace: Workspace, paths: Sequence[str]) -> list[str]:
    """Return the snapshots that were taken before the program ended; all if there are no such."""
    return [path for path in paths if _reason(workspace, path) != _END] or list(paths)


def _reason(workspace: Workspace, path: str) -> str:
    known = _known(workspace, path)
    return "" if known is None else known.reason


def _paths(workspace: Workspace) -> list[str]:
    found: list[str] = []
    for root in workspace.roots:
        found += _below(root) if os.path.isdir(root) else [root]
        if len(found) > _MAX_FILES:
            break
    real = map(os.path.realpath, found[:_MAX_FILES])
    return [path for path in dict.fromkeys(real) if workspace.is_inside(path)]


def _below(root: str) -> Iterator[str]:
    depth = root.count(os.sep)
    for folder, folders, names in os.walk(root):
        # Files being written have names that begin with a dot.
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and name not in _SKIPPED
            if folder.count(os.sep) - depth < _MAX_DEPTH
        )
        for name in sorted(names):
            if name.endswith(_SUFFIXES) and not name.startswith("."):
                yield os.path.join(folder, name)


def _known(workspace: Workspace, path: str) -> KnownFile | None:
    """Return the facts of a file; None for one of another kind, or that was just deleted."""
    try:
        key = identity_of(path)
        return workspace.facts(key, lambda: _read(path, key))
    except MemlensError:
        return None


def _read(path: str, key: Identity) -> KnownFile | None:
    size_bytes = key[2]
    try:
        if path.endswith(".json"):
            return _profile(path, size_bytes) if _is_profile(path) else None
        if path.endswith(_EXPORTED):  # to read its facts is to read all of it
            return KnownFile(path, SNAPSHOT, size_bytes, timestamp=key[3] / 1e9)
        return _snapshot(path, size_bytes)
    except MemlensError as error:
        return KnownFile(path, SNAPSHOT, size_bytes, problem=str(error))


def _is_profile(path: str) -> bool:
    try:
        with open(path, encoding="utf-8", errors="replace", opener=without_waiting) as file:
            return f'"{FORMAT}"' in file.read(_MAX_HEAD)
    except OSError:
        return False


def _profile(path: str, size_bytes: int) -> KnownFile:
    facts = AllocationProfile.load(path).facts
    return KnownFile(
        path,
        PROFILE,
        size_bytes,
        pid=facts.pid,
        timestamp=facts.started_at + facts.duration_seconds,
        rss_bytes=facts.rss_bytes,
    )


def _snapshot(path: str, size_bytes: int) -> KnownFile:
    snapshot = HeapSnapshot.load(path)
    memory = snapshot.facts.get("memory")
    rss_bytes = memory.get("rss_bytes") if isinstance(memory, dict) else None
    return KnownFile(
        path,
        SNAPSHOT,
        size_bytes,
        pid=snapshot.pid,
        process=str(snapshot.facts.get("process")),
        timestamp=snapshot.timestamp,
        reason=snapshot.reason,
        object_count=snapshot.object_count,
        rss_bytes=rss_bytes if isinstance(rss_bytes, int) else None,
    )
