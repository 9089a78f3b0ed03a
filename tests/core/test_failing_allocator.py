"""Allocations that fail, of the C core and of memlens in use: a MemoryError each, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from memlens import _core

SCRIPT = Path(__file__).resolve().parent.parent.parent / "scripts" / "failing_allocator"
FUNCTIONS = (
    *("capture", "dominators", "searches", "counts", "places", "statistics"),
    *("numbers", "profiler's snapshot", "background", "measured", "lifetimes", "structures"),
)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs a linker with --wrap")
@pytest.mark.skipif(_core.IMPLEMENTATION == "pure", reason="needs the C core")
def test_every_failing_allocation_is_a_memory_error():
    done = subprocess.run(
        [sys.executable, str(SCRIPT), sys.executable, *FUNCTIONS, "--limit", "10"],
        capture_output=True,
        text=True,
        timeout=1200,
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert len([line for line in lines if line.endswith(": ok")]) == len(lines) == 19
