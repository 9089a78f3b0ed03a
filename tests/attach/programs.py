"""Programs that are examined from outside, each in a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import memlens

ROOT = str(Path(memlens.__file__).resolve().parent.parent)


def gdb_works() -> bool:
    """Tell whether there is a gdb that can write the registers of this processor."""
    if shutil.which("gdb") is None:
        return False
    write = ["-ex", "p $xmm15.v4_int32[0] = 1", "-ex", "p $xmm15.v4_int32[0] = 2"]
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        try:
            done = subprocess.run(
                ["gdb", "-nx", "-batch", "-p", str(process.pid), *write],
                capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
            )  # fmt: skip
        finally:
            process.kill()
    return "Couldn't write" not in done.stderr


HAS_GDB = gdb_works()
HAS_REMOTE = sys.version_info >= (3, 14)

START = """
import asyncio, ctypes, os, select, sys, threading, time
class Held: pass
HELD = [Held() for _ in range(1234)]
def ready():
    print("ready", flush=True)
"""
# What the program does once it is ready. None of it ends by itself.
PROGRAMS = {
    "select": "ready(); select.select([sys.stdin], [], [])",
    "sleep": "ready(); time.sleep(600)",
    "busy": "ready()\nwhile True: sum(range(100))",
    "allocating": "ready()\nwhile True: [bytes(600) for _ in range(100)]",
    "long call": "libc = ctypes.CDLL(None); ready()\nwhile True: libc.sleep(600)",
    "lock": "lock = threading.Lock(); lock.acquire(); ready(); lock.acquire()",
    "threads": """
stop = threading.Event()
def wait_in_thread(): stop.wait()
for number in range(4): threading.Thread(target=wait_in_thread, name=f"w{number}").start()
ready()
while not stop.is_set(): sum(range(100))
""",
    "asyncio": """
async def wait_for(event): await event.wait()
async def main():
    event = asyncio.Event()
    tasks = [asyncio.create_task(wait_for(event), name=f"t{number}") for number in range(3)]
    await asyncio.sleep(0)
    ready()
    await asyncio.sleep(600)
asyncio.run(main())
""",
    "gil": """
# PyDLL holds the GIL during the call.
python = ctypes.PyDLL(None); ready(); python.sleep(600)
""",
    # Also where the environment has an editable install.
    "without memlens": """
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder)]
sys.path[:] = [path for path in sys.path if not os.path.exists(os.path.join(path, "memlens"))]
ready()
while True: sum(range(100))
""",
    "profiler": """
import memlens
profiler = memlens.MemoryProfiler(sys.argv[1], sample_interval=3600, allocations=None)
profiler.start(); ready(); sys.stdin.read(); profiler.stop(); print("stopped", flush=True)
sys.stdin.close(); time.sleep(600)
""",
}
# In which the main thread comes back to Python by itself, or is woken by `memlens.attach.wake`.
COMING_BACK = ("busy", "allocating", "threads", "asyncio")


@contextmanager
def running(name, *arguments, python=sys.executable, options=(), env=None, **more):
    """Start a program and yield its process when it is ready; kill it at the end."""
    # The core of the program is chosen by the test: the ways do not depend on it.
    kept = {name: text for name, text in os.environ.items() if name != "MEMLENS_PURE"}
    environment = {**kept, "PYTHONPATH": ROOT, **(env or {})}
    process = subprocess.Popen(
        [python, *options, "-c", START + PROGRAMS[name], *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, **more,
    )  # fmt: skip
    try:
        assert process.stdout.readline() == b"ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def state_of(pid):
    """Return the state of a process, as the system names it: ``R``, ``S``, ``T``..."""
    with open(f"/proc/{pid}/status") as file:
        return next(line.split()[1] for line in file if line.startswith("State"))


def memlens_command(*words, **more):
    """Run the command line in a process of its own; return what it printed and its exit code."""
    environment = {**os.environ, "PYTHONPATH": ROOT, **more.pop("env", {})}
    return subprocess.run(
        [sys.executable, "-m", "memlens", *map(str, words)],
        capture_output=True, text=True, env=environment, timeout=120, **more,
    )  # fmt: skip
