"""The rights by which root uses files of another user: those of that user."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

from memlens.attach.target import Target

__all__ = ("rights_of",)

_UNCHANGED = -1  # an id that only asks for the one in use


@contextmanager
def rights_of(target: Target) -> Iterator[None]:
    """Within the block let this thread use files with the rights of the user of a process.

    Only root can, and it matters for root only: the user chooses the paths, and may replace files
    and folders between two steps. Raises ``PermissionError`` if the rights cannot be changed.
    """
    if os.geteuid() != 0 or target.user == 0:
        yield
        return
    libc = ctypes.CDLL(None)
    user, group = libc.setfsuid(_UNCHANGED), libc.setfsgid(_UNCHANGED)
    try:
        libc.setfsgid(target.group)  # first: the rights of the user would not suffice
        libc.setfsuid(target.user)
        now = libc.setfsuid(_UNCHANGED), libc.setfsgid(_UNCHANGED)
        if now != (target.user, target.group):
            raise PermissionError(f"no files can be used as user {target.user}")
        yield
    finally:
        libc.setfsuid(user)
        libc.setfsgid(group)
