"""ControlSocket: answers requests of the same user from outside the process, such as for a snapshot.

A Unix socket in the runtime folder of the user (`memlens.profiler.registry`), with mode 0600. A
daemon thread waits for connections and answers them one at a time. A connection is one request and
one answer, each a line of JSON: ``{"command": "dump", "path": ...}`` gives ``{"answer": {...}}`` or
``{"error": text}``. Peers of other users than root are turned away. Linux only.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from memlens._core.sampler_api import OwnWork
from memlens._fork import call_in_forked_child
from memlens._own_thread import OwnThread, out_of_sight
from memlens.errors import MemlensError
from memlens.profiler.listener import Listener
from memlens.profiler.registry import make_own_folder, own_socket_path

__all__ = ("MAX_LINE_BYTES", "ControlSocket", "peer_of", "read_line")

MAX_LINE_BYTES = 1 << 28  # of an answer; a request is far shorter
_MAX_REQUEST_BYTES = 1 << 16
_PATIENCE_SECONDS = 10.0  # for a peer that sends or reads nothing
_IDLE_SECONDS = 60.0  # then the thread looks whether the socket is still there
_STOP_SECONDS = 1.0  # for an answer in progress
_RETRY_SECONDS = 1.0  # while the process has no free descriptors
_PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.ECONNABORTED)
_CREDENTIALS = struct.Struct("3i")

Command = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class ControlSocket:
    """The socket of this process; ``commands`` are what can be asked, by name.

    In a forked child the inherited socket is closed and one of its own is opened. Failures are given
    to ``note_failure`` and never raised: the program continues without a socket.
    """

    def __init__(
        self,
        commands: Mapping[str, Command],
        note_failure: Callable[[BaseException], object],
    ) -> None:
        self._commands = commands
        self._note_failure = note_failure
        self._listener: Listener | None = None
        self._thread: OwnThread | None = None
        self._path = ""
        self._inode = 0
        call_in_forked_child(self._reopen_in_child)

    def __repr__(self) -> str:
        return f"<ControlSocket: {self._path or 'closed'}>"

    @property
    def is_open(self) -> bool:
        """Whether requests are answered."""
        return self._listener is not None

    def open(self) -> None:
        """Open the socket and start the thread. Does nothing if it is open, or not on Linux."""
        if self.is_open or not hasattr(socket, "SO_PEERCRED"):
            return
        listener: Listener | None = None
        try:
            if not make_own_folder():
                return  # another user has created the folder
            path = own_socket_path()
            listener = Listener(path)
            self._listener, self._path = listener, path
            self._inode = os.lstat(path).st_ino
            thread = OwnThread(self._serve, "memlens-control", listener)
            thread.start()
            self._thread = thread
        except (OSError, RuntimeError, MemoryError) as error:  # no descriptor, no thread, no folder
            if listener is not None:
                self.close()
                listener.close()
            self._note_failure(error)

    def close(self) -> None:
        """Close the socket, which ends the thread, and delete its file. Does nothing if closed."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        listener.wake()  # the thread closes it
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.wait_for_end(_STOP_SECONDS)
        path, self._path = self._path, ""
        with suppress(OSError):  # swept by another process
            if os.lstat(path).st_ino == self._inode:  # else of another profiler of this process
                os.unlink(path)
            os.rmdir(os.path.dirname(path))  # unless files of other processes are there

    def _reopen_in_child(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            self._path, self._thread = "", None
            listener.close()  # the parent's: neither shut down nor deleted
            self.open()

    def _serve(self, listener: Listener) -> None:
        try:
            self._answer_all(listener)
        finally:  # by no other thread: this one might wait for what gets its number next
            listener.close()

    def _answer_all(self, listener: Listener) -> None:
        """Answer requests until the socket is closed."""
        while self._listener is listener:
            try:
                with out_of_sight():
                    listener.wait(_IDLE_SECONDS)
                if self._listener is not listener:
                    return
                if not listener.is_intact:
                    self._replace(listener)
                    return
                connection = listener.accept()
            except BlockingIOError:  # nobody has asked, or no longer waits
                continue
            except OSError as error:
                if error.errno not in _PASSING:
                    return  # closed
                time.sleep(_RETRY_SECONDS)
                continue
            try:
                with connection, OwnWork():
                    self._handle(connection)
            except Exception as error:  # noqa: BLE001 - must not end the thread
                if not isinstance(error, OSError):  # a peer that has gone is no failure
                    self._note_failure(error)

    def _replace(self, listener: Listener) -> None:
        """Open another socket: the program has closed the descriptor of this one."""
        if self._listener is listener:
            self._listener = None
            self.open()

    def _handle(self, connection: socket.socket) -> None:
        connection.settimeout(_PATIENCE_SECONDS)
        if not _may_ask(connection):
            return
        line = read_line(connection, _MAX_REQUEST_BYTES)
        connection.sendall(json.dumps(self._answer(line)).encode() + b"\n")

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            command = self._commands.get(request["command"])
        except (ValueError, TypeError, LookupError, RecursionError):
            return {"error": "the request is not a JSON object with a command"}
        if command is None:
            return {"error": f"unknown command; known are {', '.join(sorted(self._commands))}"}
        try:
            return {"answer": command(request)}
        except Exception as error:  # noqa: BLE001 - said to the peer
            is_ours = isinstance(error, MemlensError)
            return {"error": str(error) if is_ours else f"{type(error).__name__}: {error}"}


def _may_ask(connection: socket.socket) -> bool:
    """Tell whether the peer is root or has the user of this process."""
    _, user = peer_of(connection)
    return user in (0, os.geteuid())


def peer_of(connection: socket.socket) -> tuple[int, int]:
    """Return the process and the user of the peer, as the kernel noted them."""
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, user, _ = _CREDENTIALS.unpack(packed)
    return pid, user


def read_line(connection: socket.socket, max_bytes: int) -> bytes:
    """Return what the peer sends up to a line end. Raises ``OSError`` if there is none."""
    line = bytearray()
    while not line.endswith(b"\n"):
        part = connection.recv(1 << 16)
        if not part or len(line) + len(part) > max_bytes:
            raise ConnectionError("the connection ended before the end of the line")
        line += part
    return bytes(line)
