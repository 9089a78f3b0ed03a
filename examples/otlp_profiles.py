"""A service that sends its allocation profile to OpenTelemetry, here to a receiver of its own.

    python examples/otlp_profiles.py

For a real collector set ``OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318`` and leave out the URL.
For Pyroscope use ``ProfileSender(profiler, "http://pyroscope:4040", protocol="pyroscope")``.
"""

from __future__ import annotations

import gzip
import queue
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import memlens
from memlens.integrations.profiles_out import ProfileSender

SESSIONS: dict[int, bytes] = {}
RECEIVED: queue.Queue[tuple[str, bytes]] = queue.Queue()


class Receiver(BaseHTTPRequestHandler):
    """Stand for the collector: accepts everything."""

    def do_POST(self) -> None:
        """Keep the body, and answer that it was accepted."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        RECEIVED.put((self.path, gzip.decompress(body)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Print nothing for each request."""


def load_sessions(count: int) -> None:
    """Stand for the work of the service: sessions that are never deleted."""
    for number in range(count):
        SESSIONS[number] = bytes(10_000)


def main() -> None:
    """Run the service until one profile has arrived."""
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            memlens.MemoryProfiler(folder, allocation_interval_bytes=64 * 1024) as profiler,
            ProfileSender(
                profiler, url, interval=1.0, attributes={"service.name": "shop"}
            ) as sender,
        ):
            load_sessions(1000)
            path, body = RECEIVED.get(timeout=60)
            print(f"{path}: {len(body):,} bytes of profiles")
            for name in (b"shop", b"inuse_space", b"alloc_space", b"load_sessions"):
                print(f"  contains {name.decode()}: {name in body}")
        print(f"sent: {sender.health()['sent']}, failures: {sender.health()['failures']}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


if __name__ == "__main__":
    main()
