"""A service that tells Prometheus about its memory.

pip install 'memlens[prometheus]'
python examples/prometheus_metrics.py           # serves, scrapes itself once, and ends
python examples/prometheus_metrics.py --serve   # goes on, for a Prometheus of yours
"""

from __future__ import annotations

import sys
import tempfile
import threading
import urllib.request

from prometheus_client import REGISTRY, start_http_server

import memlens
from memlens.integrations.prometheus import MemlensCollector

SESSIONS: dict[int, bytes] = {}


def load_sessions(count: int) -> None:
    """Stand for the work of the service: sessions that are never deleted."""
    for number in range(count):
        SESSIONS[number] = bytes(10_000)


def main() -> None:
    """Run the service."""
    with (
        tempfile.TemporaryDirectory() as folder,
        memlens.MemoryProfiler(folder, allocation_interval_bytes=64 * 1024) as profiler,
    ):
        REGISTRY.register(MemlensCollector(profiler, max_sites=5))
        load_sessions(1000)
        server, thread = start_http_server(0, "127.0.0.1")
        url = f"http://127.0.0.1:{server.server_address[1]}/metrics"
        print(f"metrics are at {url}")
        if "--serve" in sys.argv:
            threading.Event().wait()
        with urllib.request.urlopen(url) as answer:
            text = answer.read().decode()
        for line in text.splitlines():
            if line.startswith("memlens_") and not line.endswith(" 0.0"):
                print(line)
        server.shutdown()
        thread.join()
        server.server_close()


if __name__ == "__main__":
    main()
