"""Settings of gunicorn, as docs/metrics.md has them: each worker tells its metrics on a port."""

import os

from prometheus_client import REGISTRY, start_http_server

import memlens
from memlens.integrations.prometheus import MemlensCollector

FIRST_PORT = int(os.environ["FIRST_PORT"])


def post_fork(server, worker):
    profiler = memlens.MemoryProfiler(os.environ["PROFILES"]).start()
    REGISTRY.register(MemlensCollector(profiler))
    for port in range(FIRST_PORT, FIRST_PORT + server.cfg.workers):
        try:
            start_http_server(port)
        except OSError:  # another worker has it
            continue
        break
