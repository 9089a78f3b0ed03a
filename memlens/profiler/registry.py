"""Which processes run a profiler, and where its output folder and its socket are.

A profiler that has taken a snapshot writes the file ``memlens/<pid>-<token>.json`` in the user's
runtime folder: ``$XDG_RUNTIME_DIR``, or else ``memlens-<user id>`` in the folder for temporary files.
It holds ``{"pid": ..., "output_dir": ...}``. It is deleted when the profiler stops; files of
processes that have ended are deleted when another one is written. The token is that of
`memlens.profiler.file_owner`, so a process id that the system uses again is not mistaken. Beside it
is the socket ``<pid>-<token>.sock`` of `memlens.profiler.control_socket`.
"""

from __future__ import annotations

import json
import os
import re
import stat
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress

from memlens._atomic import make_folder, without_waiting, write_whole
from memlens.profiler.file_owner import is_running, owner_suffix, process_token

__all__ = (
    "folder_of",
    "forget_folder",
    "known_processes",
    "make_own_folder",
    "note_folder",
    "own_socket_path",
    "runtime_folders",
    "socket_name",
)

_NAME = re.compile(r"(?P<pid>\d+)-(?P<token>[0-9a-f]+)\.(?:json|sock)")


def note_folder(output_dir: str) -> bool:
    """Write down the output folder of this process; return whether that was possible.

    Never raises: where no file can be written, the process can still be watched by its folder.
    """
    if not hasattr(os, "getuid"):  # Windows: the folder could not be checked
        return False
    try:
        if not make_own_folder():
            return False
        content = json.dumps({"pid": os.getpid(), "output_dir": output_dir})
        write_whole(_path(_own_folder()), content.encode())
    except OSError:  # OutputError, too
        return False
    return True


def make_own_folder() -> bool:
    """Create the runtime folder if it is missing, and sweep it; return whether it is private.

    If another user has created it, nothing may be written there. Raises ``OSError`` if it cannot be
    created or read.
    """
    folder = _own_folder()
    make_folder(folder)
    if not _is_private(folder, os.getuid()):
        return False
    _sweep(folder)
    return True


def own_socket_path() -> str:
    """Return the path of the socket of this process."""
    return os.path.join(_own_folder(), f"{owner_suffix()}.sock")


def socket_name(pid: int, token: str) -> str:
    """Return the name of the socket of a process: its id as it sees it, the token of its start."""
    return f"{pid}-{token}.sock"


def runtime_folders(pid: int, uid: int) -> list[str]:
    """Return where a process of a user may have its file and its socket, as it names the folders."""
    return _candidates(pid, uid)


def forget_folder() -> None:
    """Delete the file of this process, and the folder if it is empty then."""
    if hasattr(os, "getuid"):
        folder = _own_folder()
        with suppress(OSError):  # there is none; or those of other processes are left
            os.unlink(_path(folder))
            os.rmdir(folder)


def folder_of(pid: int, runtime_dirs: Sequence[str] | None = None) -> str | None:
    """Return the output folder of the profiler in a running process; None if none is known.

    ``runtime_dirs``: where to look; by default the runtime folders of the user of the process.
    """
    token = process_token(pid)
    uid = _user_of(pid)
    if token is None or uid is None:
        return None  # the process has ended, or users have no numbers here
    for folder in _candidates(pid, uid) if runtime_dirs is None else runtime_dirs:
        if not _is_private(folder, uid):
            continue
        with suppress(OSError, ValueError, AttributeError, RecursionError):  # a damaged note
            name = os.path.join(folder, f"{pid}-{token}.json")
            with open(name, encoding="utf-8", opener=without_waiting) as file:
                output_dir = json.load(file).get("output_dir")
            if isinstance(output_dir, str) and _may_be_of(output_dir, uid):
                return output_dir
    return None


def known_processes() -> list[int]:
    """Return the running processes of this user that have noted an output folder."""
    if not hasattr(os, "getuid"):
        return []
    found: set[int] = set()
    for folder in _user_folders(os.getuid(), os.environ, tempfile.gettempdir()):
        if not _is_private(folder, os.getuid()):
            continue
        names: list[str] = []
        with suppress(FileNotFoundError):  # the last profiler has just deleted it
            names = os.listdir(folder)
        for match in filter(None, map(_NAME.fullmatch, names)):
            if is_running((int(match["pid"]), match["token"])):
                found.add(int(match["pid"]))
    return sorted(found)


def _path(folder: str) -> str:
    return os.path.join(folder, f"{owner_suffix()}.json")


def _own_folder() -> str:
    return _folder(os.environ, os.getuid(), tempfile.gettempdir())


def _folder(environment: Mapping[str, str], uid: int, temporary: str) -> str:
    runtime = environment.get("XDG_RUNTIME_DIR")
    if runtime and os.path.isabs(runtime):
        return os.path.join(runtime, "memlens")
    return os.path.join(temporary, f"memlens-{uid}")


def _candidates(pid: int, uid: int) -> list[str]:
    """Return where a process of a user may have written, by its own environment first."""
    import psutil

    temporary = tempfile.gettempdir()
    environment: Mapping[str, str] = {}
    with suppress(psutil.Error, OSError):
        environment = psutil.Process(pid).environ()
    return _user_folders(uid, environment, environment.get("TMPDIR", temporary))


def _user_folders(uid: int, environment: Mapping[str, str], temporary: str) -> list[str]:
    """Return the runtime folders that processes of a user may use, by an environment first."""
    runtime = {"XDG_RUNTIME_DIR": f"/run/user/{uid}"}
    system = tempfile.gettempdir()
    found = [
        _folder(environment, uid, temporary),
        _folder(runtime, uid, system),
        _folder({}, uid, system),
    ]
    return list(dict.fromkeys(found))


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


def _may_be_of(output_dir: str, uid: int) -> bool:
    """Tell whether a folder exists and a user may name it: another user names folders of his only."""
    try:
        status = os.stat(output_dir)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and uid in (os.getuid(), status.st_uid)


def _sweep(folder: str) -> None:
    for name in os.listdir(folder):
        match = _NAME.fullmatch(name)
        if match and not is_running((int(match["pid"]), match["token"])):
            with suppress(FileNotFoundError):  # another process has just done so
                os.unlink(os.path.join(folder, name))
