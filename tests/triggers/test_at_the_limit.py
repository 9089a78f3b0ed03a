"""Processes that really reach their limit: of the address space, and of a control group.

`benchmarks/triggers.py` drives a hundred of them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import memlens
from memlens import _core

MIB = 1 << 20
GROUPS = Path("/sys/fs/cgroup/memory")

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or _core.fork_capture is None, reason="needs a forked capture"
)

PRELUDE = """
import asyncio, faulthandler, os, resource, sys, threading, time
faulthandler.dump_traceback_later(100, exit=True)
import memlens
from memlens import triggers
RECORDS = {}
def leak(bytes_a_second=float("inf")):
    number, begin = 0, time.perf_counter()
    while True:
        RECORDS[number] = {"id": number, "text": "x" * (2000 + number % 2)}
        number += 1
        if number % 100 == 0:
            time.sleep(max(0.0, number * 2400 / bytes_a_second + begin - time.perf_counter()))
def limit(mib, hard=None):
    soft = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + (mib << 20)
    resource.setrlimit(resource.RLIMIT_AS, (soft, soft if hard else resource.RLIM_INFINITY))
def profiler(*chosen):
    return memlens.MemoryProfiler(
        "out", allocations=None, triggers=chosen,
        on_file=lambda file: os.write(1, f"{file.kind} {file.reason}\\n".encode()),
    )
"""


def run(script, folder, **options):
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(script)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


def names_the_holder(folder, reason):
    """Tell whether the first suspect of the snapshots up to one is the dict of the program."""
    paths = sorted((folder / "out").glob("heap-*.memlens"), key=os.path.getmtime)
    chosen = [path for path in paths if f"heap-{reason}-" in path.name]
    snapshots = sorted(map(memlens.load, [paths[0], chosen[0]]), key=lambda one: one.timestamp)
    return "RECORDS" in memlens.find_leaks(snapshots)[0].holder


def test_memory_error_of_the_main_thread(tmp_path):
    done = run("limit(300); profiler(triggers.on_memory_error()).start(); leak()", tmp_path)
    assert done.returncode == 1
    assert "MemoryError" in done.stderr  # as without memlens
    assert done.stdout == "snapshot memory-error\n"
    assert names_the_holder(tmp_path, "memory-error")


def test_memory_error_that_leaves_the_block_of_the_profiler_under_a_hard_limit(tmp_path):
    done = run(
        """
        limit(300, hard=True)
        with profiler(triggers.on_memory_error()):
            leak()
        """,
        tmp_path,
    )
    assert (done.returncode, done.stdout) == (1, "snapshot memory-error\n")
    assert names_the_holder(tmp_path, "memory-error")


def test_memory_error_of_a_thread_that_the_program_survives(tmp_path):
    done = run(
        """
        with profiler(triggers.on_memory_error()) as running:
            limit(300)
            thread = threading.Thread(target=leak)
            thread.start()
            thread.join()
            RECORDS.clear()
            assert running.health()["triggers"]["fired"] == {"memory-error": 1}
            print("goes on", flush=True)
        """,
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == ["goes on", "snapshot memory-error"]
    assert names_the_holder(tmp_path, "memory-error")


def test_memory_error_of_a_task_that_nobody_awaits(tmp_path):
    done = run(
        """
        async def handle():
            leak()
        async def main():
            task = asyncio.create_task(handle())
            await asyncio.sleep(0)
            del task
            await asyncio.sleep(0)
            RECORDS.clear()
            print("goes on", flush=True)
        with profiler(triggers.on_memory_error()):
            limit(300)
            asyncio.run(main())
        """,
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "goes on" in done.stdout
    assert "snapshot memory-error" in done.stdout
    assert names_the_holder(tmp_path, "memory-error")


def test_before_the_limit_of_the_address_space(tmp_path):
    done = run(
        """
        limit(450, hard=True)
        with profiler(triggers.before_limit()):
            leak()
        """,
        tmp_path,
    )
    assert (done.returncode, done.stdout) == (1, "snapshot limit\n")
    assert names_the_holder(tmp_path, "limit")


@pytest.fixture
def group():
    """A control group with a limit of 200 MiB; the process of the test may make one."""
    folder = GROUPS / f"memlens-test-{os.getpid()}"
    try:
        folder.mkdir()
        (folder / "memory.limit_in_bytes").write_text(str(200 * MIB))
    except OSError:
        pytest.skip("this user may make no control group of version 1")
    try:
        yield folder
    finally:
        folder.rmdir()


@pytest.mark.parametrize("where", ["group", "group above"])
def test_before_the_kernel_kills_the_process(tmp_path, group, where):
    inner = group / "inner" if where == "group above" else group
    inner.mkdir(exist_ok=True)
    try:
        done = run(
            "profiler(triggers.before_limit()).start(); leak(400e6)",
            tmp_path,
            preexec_fn=lambda: (inner / "cgroup.procs").write_text(str(os.getpid())),
        )
    finally:
        if inner != group:
            inner.rmdir()
    assert done.returncode == -signal.SIGKILL  # perhaps before `on_file` was called
    assert names_the_holder(tmp_path, "limit")


def test_steady_process_near_the_limit_fires_once_and_lives(tmp_path, group):
    done = run(
        """
        with profiler(triggers.before_limit(0.3)) as running:
            held = [bytes(1 << 20) for _ in range(130)]
            trigger = running._triggering._triggers[0]
            for number in range(3000):
                held[number % len(held)] = bytes(1 << 20)
                if number % 30 == 0:
                    trigger.step()
        """,
        tmp_path,
        preexec_fn=lambda: (group / "cgroup.procs").write_text(str(os.getpid())),
    )
    assert (done.returncode, done.stdout) == (0, "snapshot limit\n"), done.stderr
