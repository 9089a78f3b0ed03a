"""Runs Python source in a child process: allocators, forks and shutdown are touched there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def run(
    source: str, *, options: tuple[str, ...] = (), timeout: float = 120, **environment: str
) -> str:
    """Run the source with the names of the prelude; return and fail as `run_plain` does."""
    return run_plain(
        PRELUDE + textwrap.dedent(source), options=options, timeout=timeout, **environment
    )


def run_plain(
    source: str, *, options: tuple[str, ...] = (), timeout: float = 120, **environment: str
) -> str:
    """Return what the child wrote to stdout; fail with its stderr where it did not end well.

    A child that does not end within ``timeout`` seconds is killed with all of its own children.
    """
    # Before what is there already: packages of the machine that tests may need.
    search_path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    env = {**os.environ, "PYTHONPATH": search_path, "PYTHONFAULTHANDLER": "1", **environment}
    with subprocess.Popen(
        [sys.executable, *options, "-c", textwrap.dedent(source)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
        start_new_session=True,
    ) as child:
        try:
            stdout, stderr = child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            stdout, stderr = child.communicate()
            raise AssertionError(f"still running after {timeout} s\n{stdout}\n{stderr}") from None
    assert child.returncode == 0, f"exit code {child.returncode}\n{stdout}\n{stderr}"
    return stdout


PRELUDE = """
import sys
from memlens._core import _sampler as sampler
from memlens._core.sampler_api import COLUMNS

def columns(tables):
    return {name: memoryview(data).cast(COLUMNS[name]) for name, data in tables.items()}

def table():
    # (call path innermost first, domain, live bytes, live count, allocated bytes, allocated count)
    tables = sampler.site_tables(0)
    c = columns(tables)
    data, offsets = bytes(c["string_bytes"]), c["string_offset"]
    texts = [data[a:b].decode("utf-8", "surrogatepass") for a, b in zip(offsets, offsets[1:])]
    frames = [(texts[f], texts[g], line) for f, g, line in zip(
        c["location_function"], c["location_file"], c["location_line"])]
    stacks = [tuple(frames[i] for i in c["stack_location"][a:b])
              for a, b in zip(c["stack_offset"], c["stack_offset"][1:])]
    return [(stacks[s], d, lb, lc, ab, ac) for s, d, lb, lc, ab, ac in zip(
        c["bucket_stack"], c["bucket_domain"], c["live_bytes"], c["live_count"],
        c["allocated_bytes"], c["allocated_count"])]

def live_of(function):
    rows = [row for row in table() if row[0] and row[0][0][0].split(".")[-1] == function]
    return sum(row[2] for row in rows), sum(row[3] for row in rows)

def allocated_of(function):
    rows = [row for row in table() if row[0] and row[0][0][0].split(".")[-1] == function]
    return sum(row[4] for row in rows), sum(row[5] for row in rows)

# What the block of a bytearray has beside its contents: from 3.15 on it is a bytes object.
BLOCK_EXTRA = sys.getsizeof(b"") if sys.version_info >= (3, 15) else 1
"""
