"""FolderLock: of the processes that share an output folder, one at a time captures at a trigger.

The workers of a server reach the limit of their container together. If each forked a child at that
moment, the children would use up what is left.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from memlens._uninterrupted import call_and_store, close_all

__all__ = ("FolderLock",)

_NAME = ".triggered"


class FolderLock:
    """A lock on a file of the folder; a process that ends, however, releases it.

    Where there are no such locks (Windows, some network file systems) it is never taken.
    """

    def __init__(self, folder: str) -> None:
        self._path = os.path.join(folder, _NAME)
        self._held: list[int] = []

    def forget(self) -> None:
        """Close the descriptor of the parent process, in a forked child."""
        close_all(self._held)

    def is_taken(self) -> bool:
        """Return whether another process holds the lock."""
        if self._held:
            return False
        descriptors: list[int] = []
        try:
            return not self._lock(descriptors)
        finally:
            close_all(descriptors)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock in the block, unless another process has it: nobody waits for it."""
        if self._held:  # by a trigger that this one has interrupted
            yield
            return
        try:
            self._lock(self._held)
            yield
        finally:
            close_all(self._held)

    def _lock(self, descriptors: list[int]) -> bool:
        """Open and lock the file; return False if another process has it."""
        with suppress(ImportError, OSError):
            import fcntl

            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            call_and_store(descriptors, os.open, self._path, flags, 0o600)
            try:
                fcntl.flock(descriptors[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True
