"""``run --follow-children``: Pythons that the program starts are profiled into the run's folder.

They inherit two variables of the environment and a folder at the front of PYTHONPATH, whose
``sitecustomize`` starts the profiler. A child that is no Python ignores them. So does a Python
that is started with ``-I``, ``-E`` or ``-S``, or with an environment of its own.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from memlens._package import PACKAGE_FOLDER
from memlens.process.identity import RUN_VARIABLE

__all__ = ("FOLLOW_VARIABLE", "following", "not_followed")

FOLLOW_VARIABLE = "MEMLENS_FOLLOW"
_HOOK_FOLDER = os.path.join(PACKAGE_FOLDER, "cli", "follow_hook")
_PATH = "PYTHONPATH"
_NOTE = "not-followed-"
_MAX_CHARACTERS = 300  # of a reason


@contextmanager
def following(folder: str, snapshot_interval: float | None = None) -> Iterator[None]:
    """Within the block let each Python that this process starts take snapshots into ``folder``.

    The environment is as before after the block; what the program changed of it stays.
    """
    settings = {
        "folder": os.path.abspath(folder),
        "pid": os.getpid(),
        "snapshot_interval": snapshot_interval,
        "python": [sys.prefix, sys.version],
        "path": [os.path.dirname(PACKAGE_FOLDER.rstrip(os.sep))],
    }
    before = os.environ.get(_PATH)
    ours = {
        FOLLOW_VARIABLE: json.dumps(settings),
        RUN_VARIABLE: secrets.token_hex(8),
        _PATH: _HOOK_FOLDER if not before else _HOOK_FOLDER + os.pathsep + before,
    }
    known = {name: os.environ.get(name) for name in ours}
    pid = os.getpid()
    os.environ.update(ours)
    try:
        yield
    finally:
        if os.getpid() == pid:
            for name, value in ours.items():
                if os.environ.get(name) == value:
                    _set(name, known[name])


def _set(name: str, value: str | None) -> None:
    if value is None:
        del os.environ[name]
    else:
        os.environ[name] = value


def not_followed(folder: str) -> list[str]:
    """Return why children could not be followed, one text for each; their notes are deleted.

    Files of other users, which may write to a shared folder, are left alone.
    """
    reasons = []
    for entry in sorted(os.scandir(folder), key=lambda one: one.name):
        if entry.name.startswith(_NOTE) and _is_own_file(entry):
            pid = entry.name.removeprefix(_NOTE).removesuffix(".txt")
            with open(entry.path, encoding="utf-8", errors="replace") as file:
                reasons.append(f"process {pid}: {file.read(_MAX_CHARACTERS)}")
            os.unlink(entry.path)
    return reasons


def _is_own_file(entry: os.DirEntry[str]) -> bool:
    is_file = entry.is_file(follow_symlinks=False)
    return is_file and entry.stat(follow_symlinks=False).st_uid == os.geteuid()
