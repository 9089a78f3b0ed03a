"""To a process by the socket of the `MemoryProfiler` that runs in it."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from typing import Any

from memlens.attach.exchange import open_folder
from memlens.attach.received import answer_in
from memlens.attach.refusal import RefusalError
from memlens.attach.rights import rights_of
from memlens.attach.target import Target
from memlens.errors import AttachError
from memlens.profiler.control_socket import MAX_LINE_BYTES, peer_of, read_line
from memlens.profiler.registry import runtime_folders, socket_name

__all__ = ("ask_socket",)

_CONNECT_SECONDS = 5.0


def ask_socket(target: Target, request: dict[str, Any]) -> dict[str, Any]:
    """Send a request to the profiler of a process and return its answer.

    Raises ``RefusalError`` if there is no socket, or another process has made it; ``AttachError`` if
    the process answers that it could not do what was asked, or ends before it answers.
    """
    connection = _connect(target)
    with connection:
        try:
            connection.settimeout(_CONNECT_SECONDS)
            connection.sendall(json.dumps(request).encode() + b"\n")
            connection.settimeout(None)  # the answer may take as long as the work does
            return answer_in(read_line(connection, MAX_LINE_BYTES), target.pid)
        except AttachError:
            raise
        except TimeoutError:
            raise RefusalError("its profiler does not answer") from None
        except (OSError, ValueError) as failure:
            raise AttachError(
                f"process {target.pid} closed the connection before it answered: it has ended, or"
                f" belongs to another user ({failure})"
            ) from failure


def _connect(target: Target) -> socket.socket:
    inner_pid = (target.status("NSpid").split() or [str(target.pid)])[-1]  # as it sees it itself
    name = socket_name(int(inner_pid), target.token)
    for folder in runtime_folders(target.pid, target.user):
        with suppress(OSError):
            return _connect_in(target, folder, name)
    raise RefusalError("no MemoryProfiler with a control socket runs in it")


def _connect_in(target: Target, folder: str, name: str) -> socket.socket:
    descriptor = open_folder(target, folder)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if os.fstat(descriptor).st_uid != target.user:
            raise PermissionError("the folder belongs to another user")
        connection.settimeout(_CONNECT_SECONDS)
        with rights_of(target):  # the name may be a link to a socket of the system
            connection.connect(f"/proc/self/fd/{descriptor}/{name}")
        if peer_of(connection)[0] != target.pid:
            raise PermissionError("another process has made the socket")
    except BaseException:
        connection.close()
        raise
    finally:
        os.close(descriptor)
    return connection
