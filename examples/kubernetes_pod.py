"""A program for a pod with a memory limit: what docs/kubernetes.yaml starts.

    python examples/kubernetes_pod.py

runs it twice under a limit of 300 MiB (a cgroup, where this user may make one): it is ended as
Kubernetes does, and it leaks until it comes near its limit. What it has left in its folder is then
read. In a container:

    python kubernetes_pod.py serve

The program knows the limit of its container by itself. It is ended by SIGTERM, and has the time of
``terminationGracePeriodSeconds`` for a last snapshot. At its limit the kernel kills it without a
warning, so a trigger takes a snapshot while a tenth of the limit is left.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIServer, make_server

import memlens
from memlens import triggers
from memlens.integrations.web import wsgi_app

LIMIT_BYTES = 300 << 20
messages: list[bytes] = []


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Keep a message for ever: the leak of this example."""
    if environ["PATH_INFO"] == "/message":
        messages.append(b"x" * 300_000)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{len(messages)} messages\n".encode()]


class Server(ThreadingMixIn, WSGIServer):
    """A server of the standard library, with a thread for each connection."""

    daemon_threads = True


def report_alert(report: memlens.LeakReport) -> None:
    """Say what leaks on stderr, where ``kubectl logs`` shows it."""
    print(report, file=sys.stderr, flush=True)


def serve() -> None:
    """Serve until SIGTERM."""
    text = os.environ.get("MEMORY_LIMIT")  # the downward API; without it memlens reads the cgroup
    limit = int(text) if text else None
    profiler = memlens.MemoryProfiler(
        os.environ.get("PROFILES", "memory-profiles"),
        limit=limit,
        triggers=[triggers.before_limit(0.1, limit=limit)],
        max_snapshot_bytes=1 << 30,  # less than the sizeLimit of the volume
        on_alert=report_alert,
    )
    served = wsgi_app(profiler, app=app)  # raises without MEMLENS_TOKEN
    address = os.environ.get("ADDRESS", "0.0.0.0")
    server = make_server(address, int(os.environ.get("PORT", "8000")), served, Server)

    def end(*_: object) -> None:
        threading.Thread(target=server.shutdown).start()  # it waits for the loop that runs here

    signal.signal(signal.SIGTERM, end)
    profiler.start()
    server.serve_forever()
    profiler.stop(last_snapshot="sigterm")
    print(f"ended with {len(messages)} messages", file=sys.stderr)


# -- the example ---------------------------------------------------------------------------------


def make_group() -> Path | None:
    """Make a cgroup with the limit of the example; None where that is not possible here."""
    version_1 = Path("/sys/fs/cgroup/memory")
    group = (
        version_1 if version_1.is_dir() else version_1.parent
    ) / f"memlens-example-{os.getpid()}"
    name = "memory.limit_in_bytes" if version_1.is_dir() else "memory.max"
    try:
        group.mkdir()
    except OSError:
        return None
    try:
        (group / name).write_text(str(LIMIT_BYTES))
    except OSError:
        group.rmdir()
        return None
    return group


def main() -> None:
    """Run the program under a limit, as Kubernetes does."""
    import tempfile

    group = make_group()
    print(f"limit: {f'of the cgroup {group}' if group else 'by MEMORY_LIMIT: no cgroup here'}")
    limit = {"MEMORY_LIMIT": str(LIMIT_BYTES)} if group is None else {"CGROUP": str(group)}
    try:
        for run in (end_by_sigterm, leak_to_limit):
            with tempfile.TemporaryDirectory() as folder:
                reason = run(folder, limit)
                last = sorted(Path(folder).glob(f"heap-{reason}-*.memlens"))
                print(f"{run.__name__}: {[path.name for path in last]}")
                paths = [*Path(folder).glob("heap-startup-*.memlens"), *last]
                report = memlens.find_leaks([memlens.HeapSnapshot.load(path) for path in paths])
                print(report, "\n")
                if not last or report.verdict != "leak":
                    raise SystemExit("the example has failed")
    finally:
        if group is not None:
            group.rmdir()


def program(folder: str, limit: dict[str, str]) -> Any:
    """Return the program, to be started in a ``with`` block."""
    from _server import Server as Program

    words = ("kubernetes_pod", "serve")
    return Program(*words, folder=folder, PORT="{port}", ADDRESS="127.0.0.1", **limit)


def end_by_sigterm(folder: str, limit: dict[str, str]) -> str:
    """Let the program leak a little and end it; return the reason of its last snapshot."""
    import json

    with program(folder, limit) as running:
        for _ in range(150):
            running.get("/message")
        report = json.loads(running.get("/debug/memory?format=json", running.token))
    seen = report["limit_bytes"] or report["last"]["limit_bytes"]
    print(f"the program knows a limit of {seen >> 20} MiB")
    if seen != LIMIT_BYTES:
        raise SystemExit("the program does not know its limit")
    return "sigterm"


def leak_to_limit(folder: str, limit: dict[str, str]) -> str:
    """Let the program leak until it has taken a snapshot before its limit; return the reason."""
    with program(folder, limit) as running:

        def has_taken() -> bool:
            for _ in range(10):
                running.get("/message")
            return any(Path(folder).glob("heap-limit-*.memlens"))

        running.wait_until(has_taken)
    return "limit"


if __name__ == "__main__":
    if os.environ.get("CGROUP"):
        Path(os.environ["CGROUP"], "cgroup.procs").write_text(str(os.getpid()))
    serve() if sys.argv[1:] == ["serve"] else main()
