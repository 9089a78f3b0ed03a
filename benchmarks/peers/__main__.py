"""Does it name the holder? Leaking programs under memlens and its peers, by one rule.

    python -m benchmarks.peers [--environment DIR] [PROGRAM ...]

Makes an environment with all tools (kept in DIR), runs programs of tests/zoo under each, as the
documentation of each tool says, and looks for three things in the first 60 lines of what it prints,
without quoted source: the name of the holder (tests/zoo/catalogue.py), the type that accumulates, and
a line of the program. memlens, which gives a verdict, also runs on the healthy twins, where it must be
silent. What the tools cost is measured by sampler_overhead.py.
"""

from __future__ import annotations

import argparse
import datetime
import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT), str(HERE)]
from pprof import profiles_in, sample_types, stacks  # noqa: E402 - beside this module

from tests.zoo.catalogue import PROGRAMS, ROWS, Row  # noqa: E402

PEERS = ("memray", "scalene", "guppy3", "pympler", "objgraph", "ddtrace", "pyroscope-io")
PACKAGES = (*PEERS, "psutil", "rich")
INSIDE = ("memlens", "objgraph", "guppy3", "pympler", "tracemalloc")
OUTSIDE = ("memray", "scalene", "ddtrace", "pyroscope")
CHOSEN = (
    "main_local_cache", "closure_memo", "service_sessions", "plugin_instances", "coroutine_pending",
    "thread_local_variable", "user_histories", "handler_closures", "signal_receivers", "audit_events",
    "asyncio_queue_backlog", "unfinished_tasks", "shop_carts", "version_chain", "text_transcript",
)  # fmt: skip
SHOWN_LINES = 60
FOUND = ("holder", "type", "line")


def main() -> None:
    """Run all tools on all programs and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", default=CHOSEN)
    parser.add_argument("--environment", type=Path, default=ROOT / "build" / "peers")
    options = parser.parse_args()
    python = make_environment(options.environment)
    rows = [row for row in ROWS if row.name in options.programs]
    print(f"{datetime.date.today()}, {versions(python)}\n")
    print(f"{'':24}" + "".join(f"{tool:>12}" for tool in (*INSIDE, *OUTSIDE)))
    sums: dict[str, list[int]] = {tool: [0, 0, 0] for tool in (*INSIDE, *OUTSIDE)}
    for row in rows:
        cells = []
        for tool in sums:
            found = judged(row, said_by(python, tool, row, twin=False))
            sums[tool] = [total + one for total, one in zip(sums[tool], found, strict=True)]
            cells.append("".join(n[0] if one else "-" for n, one in zip(FOUND, found, strict=True)))
        print(f"{row.name:24}" + "".join(f"{cell:>12}" for cell in cells), flush=True)
    for place, name in enumerate(FOUND):
        print(f"{f'names the {name}':24}" + "".join(f"{n[place]:>12}" for n in sums.values()))
    silent = sum("\n1. " not in said_by(python, "memlens", row, twin=True) for row in rows)
    print(
        f"\nhealthy twins: memlens accuses nobody in {silent} of {len(rows)};"
        " the others give no verdict"
    )


def make_environment(folder: Path) -> str:
    """Return the Python of an environment that has all tools; memlens comes from this checkout."""
    python = folder.resolve() / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PACKAGES], check=True)
    return str(python)


def versions(python: str) -> str:
    """Return the versions of Python and of the tools."""
    code = (
        "import importlib.metadata as m, sys; print('Python', sys.version.split()[0], *["
        f"f'{{name}} {{m.version(name)}}' for name in {PEERS}], sep=', ')"
    )
    return subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def said_by(python: str, tool: str, row: Row, *, twin: bool) -> str:
    """Run a program under a tool and return what the tool says at its end."""
    program = str(PROGRAMS / f"{row.name}.py")
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "ZOO_SECONDS": "2", "ZOO_TWIN": str(int(twin)),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        run = inside if tool in INSIDE else globals()[f"by_{tool}"]
        try:
            return str(run(python, tool, program, folder, environment))
        except (subprocess.SubprocessError, OSError, ValueError, KeyError) as error:
            print(
                f"    {tool} on {row.name}: {type(error).__name__}: {str(error)[-200:]}", flush=True
            )
            return ""


def start(command: list[str], folder: str, environment: dict[str, str]) -> str:
    """Run a command to its end and return what it printed."""
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=180
    )
    return done.stdout


def inside(python: str, tool: str, program: str, folder: str, environment: dict[str, str]) -> str:
    """Ask a tool that works in the process."""
    output = f"{folder}/output"
    start([python, str(HERE / "inside.py"), tool, program, output], folder, environment)
    return Path(output).read_text(encoding="utf-8")


def by_memray(
    python: str, tool: str, program: str, folder: str, environment: dict[str, str]
) -> str:
    """Record all allocations; the summary of those that were alive at the peak, and the largest."""
    start([python, "-m", "memray", "run", "-q", "-o", "out.bin", program], folder, environment)
    wide = {**environment, "COLUMNS": "200"}
    said = start([python, "-m", "memray", "summary", "-r", "15", "out.bin"], folder, wide)
    return said + start([python, "-m", "memray", "stats", "-n", "10", "out.bin"], folder, wide)


def by_scalene(
    python: str, tool: str, program: str, folder: str, environment: dict[str, str]
) -> str:
    """Profile memory by line; the lines with the most memory, and those that it calls leaks."""
    command = [python, "-m", "scalene", "run", "--memory", "-o", "out.json", program]
    start(command, folder, environment)
    lines = []
    for name, file in json.loads(Path(folder, "out.json").read_text())["files"].items():
        leaks = file.get("leaks", {})
        allocating = [one for one in file["lines"] if one["n_malloc_mb"] >= 0.05]
        used = sorted(allocating, key=lambda one: -one["n_malloc_mb"])[:10]
        lines += [f"{name}:{one['lineno']} {one['n_malloc_mb']:.1f} MB" for one in used]
        lines += [f"leak: {name}:{number} {leak}" for number, leak in leaks.items()]
    return "\n".join(lines)


def by_ddtrace(
    python: str, tool: str, program: str, folder: str, environment: dict[str, str]
) -> str:
    """Sample allocations; the largest stacks of the heap in the last profile that it writes."""
    settings = {
        "DD_PROFILING_ENABLED": "1", "DD_PROFILING_OUTPUT_PPROF": f"{folder}/dd",
        "DD_TRACE_ENABLED": "0",
        "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "0", "DD_REMOTE_CONFIGURATION_ENABLED": "0",
        "DD_PROFILING_HEAP_SAMPLE_SIZE": "65536",
    }  # fmt: skip
    command = [str(Path(python).with_name("ddtrace-run")), python, program]
    start(command, folder, environment | settings)
    newest = max(glob.glob(f"{folder}/dd*.pprof"), key=os.path.getmtime)
    found = stacks(Path(newest).read_bytes(), "heap-space")
    return "\n".join(f"{one.value} {' < '.join(one.frames)}" for one in found[:10])


@contextmanager
def receiver() -> Iterator[tuple[str, list[bytes]]]:
    """Yield the address of a server that takes everything, and what it has received."""
    received: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers.get("content-length", 0))))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", received
        server.shutdown()


def by_pyroscope(
    python: str, tool: str, program: str, folder: str, environment: dict[str, str]
) -> str:
    """Send profiles to a server of our own; the largest stacks of the largest heap."""
    with receiver() as (address, received):
        start([python, str(HERE / "sending.py"), address, program], folder, environment)
        profiles = [profile for request in received for profile in profiles_in(request)]
    heaps = [
        stacks(profile, kind)
        for profile in profiles
        for kind in sample_types(profile)
        if "inuse_space" in kind or "heap" in kind
    ]
    if not heaps:
        raise ValueError(f"{len(profiles)} profiles, none of memory")
    largest = max(heaps, key=lambda found: sum(one.value for one in found))
    return "\n".join(f"{one.value} {' < '.join(one.frames)}" for one in largest[:10])


def judged(row: Row, said: str) -> tuple[bool, bool, bool]:
    """Return whether the holder, a type that accumulates, and a line of the program are named."""
    text = "\n".join(said.splitlines()[:SHOWN_LINES])
    holders = [rf"\b{name_in(holder)}\b" for holder in row.holders]
    types = "|".join(re.escape(one.split(".")[-1]) for one in row.types)
    return (
        any(re.search(holder, text) for holder in holders),
        bool(row.types) and re.search(rf"\b({types})\b", text) is not None,
        re.search(rf"{row.name}\.py\W+\d+", text) is not None,
    )


def name_in(holder: str) -> str:
    r"""Return the name of the container that a pattern of the catalogue ends with.

    Of ``\bPlugin\.instances\b`` that is ``instances``: each tool writes paths in its own way.
    """
    return re.findall(r"[A-Za-z_]\w*", holder.replace(r"\b", " "))[-1]


if __name__ == "__main__":
    main()
