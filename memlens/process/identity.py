"""ProcessIdentity: which of the many processes of a service one is, without what may be secret.

The kind of a process is read from the stack of its main thread: a worker of gunicorn lives within
``Arbiter.spawn_worker``, a process of multiprocessing within ``BaseProcess._bootstrap``. So nothing
is imported, and the answer does not depend on where the profiler was started. The arguments of the
program and its title are left out, because they may contain passwords.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from itertools import pairwise
from types import FrameType
from typing import Any, Self

from memlens._display import displayed
from memlens._interpreter import running_frames_by_thread

__all__ = (
    "IDENTITY_FACT",
    "RUN_VARIABLE",
    "ProcessIdentity",
    "identify",
    "is_fork_server",
    "is_started_as",
    "program_name",
)

IDENTITY_FACT = "identity"  # of snapshots
RUN_VARIABLE = "MEMLENS_RUN_ID"  # of the environment: which run the process belongs to
_IMPORTED_IN = os.getpid()
_MAX_FRAMES = 500
_MAX_CHARACTERS = 200  # of a name
_FORK_SERVER = "fork server"
# (module, function) on the stack of the main thread -> what the process is; the innermost decides.
_KINDS = {
    ("gunicorn.arbiter", "spawn_worker"): "gunicorn worker",
    ("gunicorn.arbiter", "run"): "gunicorn master",
    ("uvicorn._subprocess", "subprocess_started"): "uvicorn worker",
    ("billiard.process", "_bootstrap"): "celery worker",
    ("multiprocessing.process", "_bootstrap"): "multiprocessing",
    ("multiprocessing.forkserver", "_serve_one"): "multiprocessing",
    ("multiprocessing.forkserver", "main"): _FORK_SERVER,
}
_NAMED_BY = ("multiprocessing.process", "billiard.process")
_MAIN_NAME = "MainProcess"
_known = (0, "")  # a process, and the kind that its stack told


@displayed
@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """Which process one is: written to snapshots and reports.

    ``program``: the name of its program, without arguments. ``kind``: ``main``, ``fork`` (forked by
    the program), ``multiprocessing``, ``fork server``, ``gunicorn master``, ``gunicorn worker``,
    ``uvicorn worker`` or ``celery worker``. ``name``: the name that multiprocessing gave it, such as
    ``SpawnPoolWorker-1``. ``started_at``: seconds since the epoch, None where the system does not
    tell. ``run_id``: of the command ``run`` that it belongs to, None outside.
    """

    pid: int
    parent_pid: int
    program: str | None
    kind: str
    name: str | None
    hostname: str
    started_at: float | None
    run_id: str | None = None

    def __repr__(self) -> str:
        return f"<ProcessIdentity: {self}>"

    def __str__(self) -> str:
        program = f" of {self.program}" if self.program else ""
        return f"{self.pid}, {self.label}{program} on {self.hostname}, parent {self.parent_pid}"

    @property
    def label(self) -> str:
        """The kind and the name: ``multiprocessing SpawnPoolWorker-1``."""
        return f"{self.kind} {self.name}" if self.name else self.kind

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_facts(cls, value: object) -> Self | None:
        """Return the identity that a file has in JSON; None if it has none, or a wrong one."""
        if not isinstance(value, dict):
            return None
        found: dict[str, Any] = {field.name: value.get(field.name) for field in fields(cls)}
        texts = (found["kind"], found["hostname"])
        optional = (found["program"], found["name"], found["run_id"])
        numbers = (found["pid"], found["parent_pid"])
        is_valid = (
            all(type(one) is str for one in texts)
            and all(one is None or type(one) is str for one in optional)
            and all(type(one) is int for one in numbers)
            and (found["started_at"] is None or type(found["started_at"]) in (int, float))
        )
        return cls(**found) if is_valid else None


def identify() -> ProcessIdentity:
    """Return the identity of this process as it is now: a worker gets its kind after its start."""
    pid = os.getpid()
    return ProcessIdentity(
        pid=pid,
        parent_pid=os.getppid(),
        program=program_name(),
        kind=_kind(pid),
        name=_name(),
        hostname=_hostname(),
        started_at=_started_at(pid),
        run_id=os.environ.get(RUN_VARIABLE),
    )


def is_fork_server() -> bool:
    """Tell whether this process is the server that forks processes of multiprocessing.

    Called in forked children, where an import could wait for a thread that does not exist there.
    """
    return _kind(os.getpid()) == _FORK_SERVER


def program_name() -> str | None:
    """Return the name of the program, without its arguments, which may be secret."""
    arguments = getattr(sys, "argv", None)  # an embedded interpreter has none
    path = arguments[0] if arguments else ""
    if not isinstance(path, str):
        return None
    folder, name = os.path.split(path)
    if name == "__main__.py":  # python -m gunicorn
        name = os.path.basename(folder) or name
    return name[:_MAX_CHARACTERS] or None


def _kind(pid: int) -> str:
    """Return the kind that the stack tells; at the end of a process, what it told before."""
    global _known
    found = _kind_by_stack(pid)
    if found is not None:
        _known = (pid, found)
    elif _known[0] == pid:
        found = _known[1]
    if found is not None:
        return found
    if pid != _IMPORTED_IN:
        return "fork"
    is_server = is_started_as("multiprocessing.forkserver") and _name() is None
    return _FORK_SERVER if is_server else "main"


def _kind_by_stack(pid: int) -> str | None:
    for frame in _main_frames():
        kind = _KINDS.get((str(frame.f_globals.get("__name__")), frame.f_code.co_name))
        if kind == _FORK_SERVER and pid != _IMPORTED_IN:
            continue  # a child of the server, on its way to its own work
        if kind is not None:
            return kind
    return None


def is_started_as(module: str) -> bool:
    """Tell whether this interpreter was started to run ``main`` of a module, as by multiprocessing.

    That is known before the module is imported.
    """
    words = getattr(sys, "orig_argv", [])
    start = f"from {module} import main;"
    codes = (code for word, code in pairwise(words) if word == "-c")
    return any(code.removeprefix("import sys; ").startswith(start) for code in codes)  # 3.15


def _main_frames() -> Iterator[FrameType]:
    """Yield the frames of the main thread, the innermost first."""
    ident = threading.main_thread().ident
    frame = running_frames_by_thread().get(ident) if ident is not None else None
    for _ in range(_MAX_FRAMES):
        if frame is None:
            return
        yield frame
        frame = frame.f_back


def _name() -> str | None:
    for module in _NAMED_BY:
        current = getattr(sys.modules.get(module), "current_process", None)
        name = getattr(current(), "name", None) if current is not None else None
        if isinstance(name, str) and name != _MAIN_NAME:
            return name[:_MAX_CHARACTERS]
    return None


def _hostname() -> str:
    """Return the name of the machine or container, without an import: see `is_fork_server`."""
    return os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")


@lru_cache(maxsize=1)
def _started_at(pid: int) -> float | None:
    import psutil

    try:
        return float(psutil.Process(pid).create_time())
    except (psutil.Error, OSError):
        return None
