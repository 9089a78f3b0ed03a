"""Listener: the listening end of the control socket, also after the program has closed its descriptor.

A program that becomes a daemon closes all descriptors, and opens files of its own, which get their
numbers. So each step looks first whether the number is still that of the socket.

A thread within a blocking ``accept`` has reserved a descriptor, which the program can neither see nor
replace: ``dup2`` fails. So a thread waits first, and the socket never blocks.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress

from memlens._ready import wait_until_ready

__all__ = ("Listener",)


class Listener:
    """A Unix socket at a path, to which only this user may connect.

    Raises ``OSError`` if there can be none.
    """

    def __init__(self, path: str) -> None:
        self._socket = _listen(path)
        self._identity = _identity(self._socket.fileno())

    @property
    def is_intact(self) -> bool:
        """Whether the descriptor is still that of the socket."""
        try:
            return _identity(self._socket.fileno()) == self._identity
        except OSError:
            return False

    def wait(self, seconds: float) -> None:
        """Wait until somebody connects, or `wake` is called, at most for ``seconds``."""
        wait_until_ready([self._socket.fileno()], (), seconds)

    def accept(self) -> socket.socket:
        """Return a connection. Raises ``BlockingIOError`` if nobody waits for one."""
        return self._socket.accept()[0]

    def wake(self) -> None:
        """End the waiting of another thread; nobody can connect any more."""
        if self.is_intact:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the descriptor, unless the program has."""
        if self.is_intact:
            self._socket.close()
        else:
            self._socket.detach()


def _identity(descriptor: int) -> tuple[int, int]:
    """Return what tells a file from any other that gets its number later."""
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def _listen(path: str) -> socket.socket:
    """Return a listening socket that only this user may connect to. It never blocks."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = -1
    try:
        os.fchmod(listener.fileno(), 0o600)  # the mode of the file that bind creates
        # By the descriptor of its folder, because the path of a socket is limited to 107 bytes.
        folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
        with suppress(FileNotFoundError):
            os.unlink(path)  # of another profiler of this process
        listener.bind(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
        listener.listen(4)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    finally:
        if folder >= 0:
            os.close(folder)
    return listener
