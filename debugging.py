"""A client of debugpy: sets a breakpoint, goes on when it is hit, and counts how often it was.

Without a client debugpy traces nothing on Python 3.12 and later.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path
from typing import IO, Any

__all__ = ("DebugClient", "free_port")

CONNECT_SECONDS = 60.0


def free_port() -> int:
    """Return a port of this machine that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class DebugClient(threading.Thread):
    """Speaks the Debug Adapter Protocol with a program that waits for a client, until it ends.

    The breakpoint stops all threads of the program the ``hit_count``-th time that the line runs.
    """

    def __init__(self, port: int, program: Path, line: int, hit_count: int) -> None:
        super().__init__(daemon=True)
        self.stops = 0
        self._port = port
        self._breakpoints = {
            "source": {"path": str(program)},
            "breakpoints": [{"line": line, "hitCondition": str(hit_count)}],
        }
        self._sent = 0

    def run(self) -> None:
        """Attach, and answer each stop with `continue`."""
        connection = self._connect()
        with connection, connection.makefile("rwb") as stream:
            self._send(stream, "initialize", {"adapterID": "matrix", "pathFormat": "path"})
            self._send(stream, "attach", {"justMyCode": False, "subProcess": False})
            while (message := read_message(stream)) is not None:
                event = message.get("event")
                if event == "initialized":
                    self._send(stream, "setBreakpoints", self._breakpoints)
                    self._send(stream, "configurationDone", {})
                elif event == "stopped":
                    self.stops += 1
                    self._send(stream, "continue", {"threadId": message["body"]["threadId"]})

    def _connect(self) -> socket.socket:
        end = time.monotonic() + CONNECT_SECONDS
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self._port))
            except ConnectionRefusedError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)  # the program has only started

    def _send(self, stream: IO[bytes], command: str, arguments: dict[str, Any]) -> None:
        self._sent += 1
        request = {
            "seq": self._sent,
            "type": "request",
            "command": command,
            "arguments": arguments,
        }
        body = json.dumps(request).encode()
        stream.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        stream.flush()


def read_message(stream: IO[bytes]) -> dict[str, Any] | None:
    """Return the next message, None at the end."""
    try:
        header = stream.readline()
        if not header:
            return None
        stream.readline()
        message: dict[str, Any] = json.loads(stream.read(int(header.split(b":")[1])))
    except (OSError, ValueError):  # the program has ended
        return None
    return message
