"""A receiver of profiles on the loopback interface that answers as a test says."""

from __future__ import annotations

import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

ANSWER_SECONDS = 60  # how long a test waits for a request before it fails


class Received(NamedTuple):
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes


class Receiver:
    """Serves until the block ends. ``answers``: what to answer next, (status, headers, body).

    Without one it answers 200. ``hang`` as an answer waits until the end of the block.
    """

    def __init__(self):
        self.received: queue.Queue[Received] = queue.Queue()
        self.answers = []
        self.ended = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                length = int(self.headers.get("Content-Length", 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.received.put(Received(self.path, headers, self.rfile.read(length)))
                receiver.answer(self)

            def do_CONNECT(self):
                receiver.received.put(Received(self.path, {}, b""))
                self.send_error(403)

            def log_message(self, *arguments):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def answer(self, handler):
        answer = self.answers.pop(0) if self.answers else (200, {}, b"")
        if answer == "hang":
            self.ended.wait()
            return
        if answer == "close":
            handler.close_connection = True
            return
        if answer == "trickle":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not self.ended.wait(0.02):
                try:
                    handler.wfile.write(b"X-More: 1\r\n")
                except OSError:
                    return
            return
        status, headers, body = answer
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def next(self) -> Received:
        """Return the next request."""
        return self.received.get(timeout=ANSWER_SECONDS)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self.ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def dead_url() -> str:
    """Return a URL where nobody listens."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
