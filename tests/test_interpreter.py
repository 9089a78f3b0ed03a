"""Sub-interpreters: memlens refuses to work in one, and works in the main one beside them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import memlens

ROOT = Path(memlens.__file__).resolve().parent.parent

PROGRAM = """
import sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

WITHIN = '''
import memlens
try:
    {code}
except memlens.MemlensError as error:
    message = str(error)
    assert "sub-interpreter" in message, message
else:
    raise AssertionError("it was not refused")
'''
other = interpreters.create()
for code in sys.argv[1:]:
    problem = interpreters.run_string(other, WITHIN.format(code=code))
    assert problem is None, problem

import memlens

kept = [bytearray(1000) for _ in range(500)]
for mode in ("inline", "auto"):
    rows = {row.name: row for row in memlens.take_heap_snapshot(mode=mode).summary()}
    assert rows["bytearray"].count >= 500
interpreters.destroy(other)
print("right")
"""
BESIDE = """
import sys, tempfile
import memlens
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

kept = []
with tempfile.TemporaryDirectory() as folder:
    with memlens.MemoryProfiler(folder, snapshot_interval=0.05, allocations=None) as profiler:
        for number in range(5):
            other = interpreters.create()
            problem = interpreters.run_string(other, "import argparse, dataclasses, logging, typing")
            assert problem is None, problem
            interpreters.destroy(other)
            kept.append(bytearray(100_000))
            profiler.take_snapshot()
        health = profiler.health()
assert not health["failures"], health
print("right")
"""
REFUSED = {
    "snapshot": "memlens.take_heap_snapshot()",
    "forked": "memlens.start_heap_snapshot()",
    "path": "memlens.why_alive([])",
    "profiler": "memlens.MemoryProfiler('snapshots').start()",
    "allocations": "memlens.AllocationProfiler().start()",
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_sub_interpreter_is_refused_and_does_not_disturb_the_main_one(what, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, REFUSED[what]],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
        },  # a sub-interpreter has no folder of the program
    )
    assert (done.returncode, done.stdout) == (0, "right\n"), done.stderr


def test_a_profiler_works_beside_sub_interpreters(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", BESIDE],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stdout) == (0, "right\n"), done.stderr
