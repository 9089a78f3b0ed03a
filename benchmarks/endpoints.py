"""How long other requests take while a server makes and sends a snapshot of its heap.

    python benchmarks/endpoints.py [--objects N] [--rounds N] [--rate N] [SERVER ...]

Each server holds the objects and answers short requests, which come at a fixed rate over one
connection. Their times count from when each was due, so waiting requests count as well. Beside the
99th percentile while snapshots are taken and downloaded over loopback: that without, and the pause
of a bare ``os.fork()`` of the same process, as another thread sees it. The last column is the
percentile in times of that pause. The client, the download and the capture share the processors with
the server. Needs ``memlens[services]``.

``sync``: two workers that serve one request at a time, so one takes the snapshot and the other one
answers. It is preloaded, so both share the objects.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import multiprocessing
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))

TOKEN = "only-for-this-benchmark"
SERVERS = {
    "uvicorn": ("uvicorn", "endpoints:make_asgi", "--factory", "--log-level", "error"),
    "gthread": ("gunicorn", "endpoints:make_wsgi()", "-k", "gthread", "--threads", "4"),
    "sync": ("gunicorn", "endpoints:make_wsgi()", "-k", "sync", "-w", "2", "--preload"),
}
START_SECONDS = 120.0
IDLE_SECONDS = 5.0

kept: list = []


# -- the servers -------------------------------------------------------------------------------------


def prepare() -> None:
    """Hold the objects."""
    from capture import build

    kept.extend(build(int(os.environ["OBJECTS"])))


def fork_pauses() -> bytes:
    """Return the pauses of some bare forks of this process, in seconds, as JSON."""
    import warnings

    from fork_pause import pause_of_fork

    interval = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside a thread
        pauses = [pause_of_fork().gap for _ in range(7)]
    sys.setswitchinterval(interval)
    return json.dumps(pauses).encode()


def make_asgi():
    """Return the application for uvicorn."""
    from memlens.integrations.web import asgi_app

    prepare()

    async def app(scope, receive, send):
        if scope["type"] != "http":
            return
        content = fork_pauses() if scope["path"] == "/fork" else b"{}"
        headers = [(b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    return asgi_app(token=TOKEN, app=app, max_per_minute=1000)


def make_wsgi():
    """Return the application for gunicorn."""
    from memlens.integrations.web import wsgi_app

    prepare()

    def app(environ, start_response):
        content = fork_pauses() if environ["PATH_INFO"] == "/fork" else b"{}"
        start_response("200 OK", [("Content-Length", str(len(content)))])
        return [content]

    return wsgi_app(token=TOKEN, app=app, max_per_minute=1000)


# -- the clients -------------------------------------------------------------------------------------


class Client:
    """Sends requests over one connection, and makes a new one where the server closes it."""

    def __init__(self, port):
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def get(self, path, **headers):
        self._connection.request("GET", path, headers=headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {content.decode()}")
        return content


def download(port, rounds, sizes):
    """Download snapshots one after another, in a process of its own."""
    for _ in range(rounds):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        connection.request(
            "GET", "/debug/heap-snapshot", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        answer = connection.getresponse()
        size = 0
        while part := answer.read(1 << 20):
            size += len(part)
        connection.close()
        sizes.put(size if answer.status == 200 else -answer.status)


def latencies(port, rate, is_over):
    """Return the seconds that each request took from when it was due, until ``is_over()``."""
    client = Client(port)
    client.get("/")
    taken, start = [], time.perf_counter()
    while not is_over():
        due = start + len(taken) / rate
        now = time.perf_counter()
        if now < due:
            time.sleep(due - now)
        client.get("/")
        taken.append(time.perf_counter() - due)
    return taken


def percentile(values, share):
    """Return the value below which that share of the values lies."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


@contextlib.contextmanager
def running(name, objects):
    """Run a server; give its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    where = ("--port", str(port)) if name == "uvicorn" else ("-b", f"127.0.0.1:{port}")
    path = os.pathsep.join([str(HERE.parent), str(HERE), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, "-m", *SERVERS[name], *where],
        env={**os.environ, "PYTHONPATH": path, "OBJECTS": str(objects)},
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + START_SECONDS
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{name} has not started")
            time.sleep(0.1)
        yield port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def measure(name, options):
    """Print the row of a server."""
    with running(name, options.objects) as port:
        pauses = [
            pause
            for _ in range(2)
            for pause in json.loads(Client(port).get("/fork"))
        ]  # fmt: skip
        end = time.monotonic() + IDLE_SECONDS
        idle = latencies(port, options.rate, lambda: time.monotonic() > end)
        sizes = multiprocessing.Queue()
        reader = multiprocessing.Process(target=download, args=(port, options.rounds, sizes))
        start = time.monotonic()
        reader.start()
        during = latencies(port, options.rate, lambda: not reader.is_alive())
        seconds = (time.monotonic() - start) / options.rounds
        downloaded = [sizes.get() for _ in range(options.rounds)]
        if min(downloaded) <= 0:
            raise RuntimeError(f"the endpoint has answered {downloaded}")
    fork = statistics.median(pauses)
    p99 = percentile(during, 0.99)
    print(
        f"{name:8} {1e3 * fork:8.1f} {1e3 * percentile(idle, 0.99):8.1f}"
        f" {1e3 * percentile(during, 0.5):8.1f} {1e3 * p99:8.1f} {1e3 * max(during):8.1f}"
        f" {len(during):9,} {seconds:8.1f} {downloaded[0] / 1e6:8.1f} {p99 / fork:8.2f}",
        flush=True,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("servers", nargs="*", metavar="SERVER", default=list(SERVERS))
    parser.add_argument("--objects", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=10, help="snapshots for each server")
    parser.add_argument("--rate", type=int, default=100, help="requests in a second")
    options = parser.parse_args()
    print(
        f"CPython {platform.python_version()}, {os.cpu_count()} processors,"
        f" {options.objects:,} objects, {options.rate} requests a second\n\n"
        f"{'':8} {'fork':>8} {'idle p99':>8} {'p50':>8} {'p99':>8} {'longest':>8}"
        f" {'requests':>9} {'s each':>8} {'MB':>8} {'p99/fork':>8}\n"
        f"{'':8} {'ms':>8} {'ms':>8} {'ms':>8} {'ms':>8} {'ms':>8}"
    )
    for name in options.servers:
        measure(name, options)


if __name__ == "__main__":
    main()
