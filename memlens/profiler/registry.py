"""Which processes run a profiler, and where its output folder is: for ``memlens watch PID``.

A profiler that has taken a snapshot writes the file ``memlens/<pid>-<token>.json`` in the user's
runtime folder: ``$XDG_RUNTIME_DIR``, or else ``memlens-<user id>`` in the folder for temporary files.
It holds ``{"pid": ..., "output_dir": ...}``. It is deleted when the profiler stops; files of
processes that have ended are deleted when another one is written. The token is that of
`memlens.profiler.file_owner`, so a process id that the system uses again is not mistaken.
"""

from __future__ import annotations

import json
import os
import re
import stat
import tempfile
from collections.abc import Sequence
from contextlib import suppress

from memlens._atomic import make_folder, write_whole
from memlens.errors import OutputError
from memlens.profiler.file_owner import is_running, owner_suffix, process_token

__all__ = ("folder_of", "forget_folder", "note_folder")

_NAME = re.compile(r"(?P<pid>\d+)-(?P<token>[0-9a-f]+)\.json")


def note_folder(output_dir: str) -> None:
    """Write down the output folder of this process. Never raises.

    Where no file can be written, the process can still be watched by its output folder.
    """
    if not hasattr(os, "getuid"):  # Windows: the folder could not be checked
        return
    folder = _own_folder()
    with suppress(OutputError, OSError):
        make_folder(folder)
        if not _is_private(folder, os.getuid()):
            return  # another user has created the folder: write nothing to it
        _sweep(folder)
        content = json.dumps({"pid": os.getpid(), "output_dir": output_dir})
        write_whole(_path(folder), content.encode())


def forget_folder() -> None:
    """Delete the file of this process. Does nothing if there is none."""
    if hasattr(os, "getuid"):
        with suppress(OSError):
            os.unlink(_path(_own_folder()))


def folder_of(pid: int, runtime_dirs: Sequence[str] | None = None) -> str | None:
    """Return the output folder of the profiler in a running process; None if none is known.

    ``runtime_dirs``: where to look; by default the runtime folders of the user of the process.
    """
    token = process_token(pid)
    uid = _user_of(pid)
    if token is None or uid is None:
        return None  # the process has ended, or users have no numbers here
    for folder in _candidates(uid) if runtime_dirs is None else runtime_dirs:
        if not _is_private(folder, uid):
            continue
        with suppress(OSError, ValueError):
            with open(os.path.join(folder, f"{pid}-{token}.json"), encoding="utf-8") as file:
                output_dir = json.load(file).get("output_dir")
            if isinstance(output_dir, str) and os.path.isdir(output_dir):
                return output_dir
    return None


def _path(folder: str) -> str:
    return os.path.join(folder, f"{owner_suffix()}.json")


def _own_folder() -> str:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.path.isabs(runtime):
        return os.path.join(runtime, "memlens")
    return os.path.join(tempfile.gettempdir(), f"memlens-{os.getuid()}")


def _candidates(uid: int) -> list[str]:
    own = [_own_folder()] if uid == os.getuid() else []
    others = [f"/run/user/{uid}/memlens", os.path.join(tempfile.gettempdir(), f"memlens-{uid}")]
    return list(dict.fromkeys([*own, *others]))


def _user_of(pid: int) -> int | None:
    import psutil

    if not hasattr(os, "getuid"):
        return None
    try:
        return int(psutil.Process(pid).uids().real)
    except (psutil.Error, OSError):
        return None


def _is_private(folder: str, uid: int) -> bool:
    """Tell whether a folder belongs to a user and nobody else can write to it."""
    try:
        status = os.lstat(folder)
    except OSError:
        return False
    writable = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISDIR(status.st_mode) and status.st_uid == uid and not writable


def _sweep(folder: str) -> None:
    for name in os.listdir(folder):
        match = _NAME.fullmatch(name)
        if match and not is_running((int(match["pid"]), match["token"])):
            os.unlink(os.path.join(folder, name))
