"""Programs that end at every stage of an interpreter's life, while everything of memlens is in use.

Each runs twice, under memlens and without: exit code, output and errors on stderr must be the same.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import textwrap
import time
from contextlib import suppress
from pathlib import Path

from trials import TIMEOUT_SECONDS, Trial, damaged_files, start

__all__ = ("ENDINGS", "at_every_stage", "problems_of")

LEFT_SECONDS = 10.0  # a child that captures completes its file, or ends when it notices

HEAD = """
import atexit, gc, os, signal, sys, threading, time, weakref
with_memlens, out, delay = sys.argv[1] == "with", sys.argv[2], float(sys.argv[3])
if with_memlens:
    import memlens
    profiler = memlens.MemoryProfiler(
        out, sample_interval=0.02, snapshot_interval=0.05, allocation_interval_bytes=4096,
        on_alert=repr, on_file=repr,  # functions that do not refer to this module
        triggers=[memlens.triggers.on_memory_error(), memlens.triggers.at_exit()],
    )
    own_error, take = memlens.MemlensError, memlens.take_heap_snapshot
    watched = memlens.profile_memory(report=None)
else:
    import contextlib
    class profiler(contextlib.nullcontext):
        stop = start = report = lambda *_: None
    profiler = profiler()
    own_error, take, watched = ValueError, int, lambda function: function
def snapshot(own_error=own_error, take=take):
    try:
        take()
    except own_error:
        pass
def work():
    end = time.monotonic() + delay
    while time.monotonic() < end:
        KEPT.append([bytes(100)] * 10)
        time.sleep(0.001)
KEPT = []
"""

ENDINGS = {
    "main returns, and the profiler runs": """
        profiler.start()
        work()
    """,
    "sys.exit within the block": """
        with profiler:
            work()
            sys.exit(3)
    """,
    "an error that nobody handles": """
        profiler.start()
        work()
        {}["absent"]
    """,
    "os._exit while a snapshot is taken": """
        profiler.start()
        threading.Thread(target=lambda: (work(), os._exit(4))).start()
        while True:
            snapshot()
            time.sleep(0.001)
    """,
    "SIGINT": """
        with profiler:
            threading.Thread(target=lambda: (work(), os.kill(os.getpid(), signal.SIGINT))).start()
            time.sleep(60)
    """,
    "SIGTERM": """
        with profiler:
            threading.Thread(target=lambda: (work(), os.kill(os.getpid(), signal.SIGTERM))).start()
            time.sleep(60)
    """,
    "SIGTERM with a handler that exits": """
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
        with profiler:
            threading.Thread(target=lambda: (work(), os.kill(os.getpid(), signal.SIGTERM))).start()
            time.sleep(60)
    """,
    "threads go on after main has returned": """
        profiler.start()
        def later():
            for _ in range(3):
                work()
                snapshot()
            print("end of the thread")
        threading.Thread(target=later).start()
    """,
    "a daemon thread takes snapshots until the end": """
        profiler.start()
        def forever():
            while True:
                snapshot()
        threading.Thread(target=forever, daemon=True).start()
        work()
    """,
    "daemon threads start and stop profilers until the end": """
        def forever():
            while True:
                profiler.start()
                profiler.stop()
        threading.Thread(target=forever, daemon=True).start()
        work()
    """,
    "a profiler starts at exit": """
        atexit.register(lambda: (profiler.start(), work(), snapshot(), print("at exit")))
    """,
    "functions at exit, before and after those of memlens": """
        atexit.register(lambda: (snapshot(), profiler.stop(), print("first")))
        profiler.start()
        atexit.register(lambda: (snapshot(), profiler.stop(), print("last")))
        work()
    """,
    "an error at exit": """
        profiler.start()
        atexit.register(lambda: {}["absent"])
        work()
    """,
    "a finalizer of a module's variable": """
        class Last:
            def __del__(self, snapshot=snapshot, profiler=profiler):
                snapshot()
                profiler.stop()
                os.write(1, b"finalized\\n")
        last = Last()
        profiler.start()
        work()
    """,
    "a finalizer in garbage": """
        class Last:
            def __del__(self, snapshot=snapshot):
                snapshot()
                os.write(1, b"finalized\\n")
        last = Last()
        last.cycle = last
        gc.disable()
        profiler.start()
        work()
        del last
    """,
    "weakref.finalize": """
        kept = set()
        weakref.finalize(kept, lambda: (snapshot(), print("finalized")))
        profiler.start()
        work()
    """,
    "generators that end with the interpreter": """
        def rows():
            try:
                yield 1
            finally:
                snapshot()
                os.write(1, b"closed\\n")
        opened = rows()
        next(opened)
        profiler.start()
        work()
    """,
    "a watched function in a finalizer": """
        @watched
        def clean():
            return [bytes(100) for _ in range(1000)]
        class Last:
            def __del__(self, clean=clean):
                clean()
                os.write(1, b"cleaned\\n")
        last = Last()
        clean()
        profiler.start()
        work()
    """,
    "a watched generator, and one more that begins in a finalizer": """
        @watched
        def rows(write=os.write):
            try:
                yield 1
            finally:
                write(1, b"closed\\n")
        class Last:
            def __del__(self, rows=rows):
                next(rows())
        last, opened = Last(), rows()
        next(opened)
        profiler.start()
        work()
    """,
    "functions of executors at their shutdown": """
        from concurrent.futures import ThreadPoolExecutor
        pool = ThreadPoolExecutor(2)
        profiler.start()
        for _ in range(4):
            pool.submit(lambda: (work(), snapshot()))
    """,
    "asyncio, cancelled by SIGINT": """
        import asyncio
        async def serve():
            with profiler:
                threading.Thread(
                    target=lambda: (work(), os.kill(os.getpid(), signal.SIGINT))
                ).start()
                await asyncio.sleep(60)
        try:
            asyncio.run(serve())
        except KeyboardInterrupt:
            print("cancelled")
    """,
    "a forked child that ends as Python does, and its parent": """
        profiler.start()
        work()
        pid = os.fork()
        if not pid:
            work()
            snapshot()
            sys.exit(6)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """,
    "a child of multiprocessing": """
        import multiprocessing
        profiler.start()
        child = multiprocessing.get_context("fork").Process(target=lambda: (work(), snapshot()))
        child.start()
        child.join()
        print(child.exitcode)
    """,
    "memlens's modules are gone": """
        profiler.start()
        work()
        for name in [name for name in sys.modules if name.split(".")[0] == "memlens"]:
            del sys.modules[name]
    """,
    "modules that memlens uses are gone": """
        profiler.start()
        work()
        for name in ("threading", "os", "time", "json", "select", "weakref", "signal", "tempfile"):
            sys.modules[name] = None
    """,
    "an audit of exits and an excepthook": """
        sys.excepthook = lambda kind, error, trace: print("hook", kind.__name__)
        profiler.start()
        work()
        raise RuntimeError
    """,
    "execv: another program in this process": """
        profiler.start()
        work()
        os.execv(sys.executable, [sys.executable, "-c", "print('another')"])
    """,
}


def at_every_stage(folder: Path, rng: random.Random) -> Trial:
    """End programs at every stage, each after a time of its own."""
    problems = []
    for number, name in enumerate(ENDINGS):
        own = folder / str(number)
        own.mkdir()
        problems += [
            f"{name}: {problem}" for problem in problems_of(name, own, rng.uniform(0, 0.3))
        ]
    return Trial(problems, [])


def problems_of(name: str, folder: Path, delay_seconds: float) -> list[str]:
    """Run one program with and without memlens; return how they differ."""
    (folder / "program.py").write_text(HEAD + textwrap.dedent(ENDINGS[name]))
    ends = []
    for way in ("with", "without"):
        process = start([str(folder / "program.py"), way, str(folder / "out"), str(delay_seconds)])
        try:
            stdout, stderr = process.communicate(timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return [f"{way} memlens it has not ended within {TIMEOUT_SECONDS:.0f} s"]
        ends.append((process.returncode, stdout, errors_of(stderr)))
        problems = left_processes(process.pid)
        if problems:
            return problems
    found, expected = ends
    differs = [] if found == expected else [f"{found} instead of {expected}"[:600]]
    return differs + damaged_files(folder)


def errors_of(stderr: str) -> list[str]:
    """Return what stderr says without places and addresses, which differ."""
    lines = [re.sub("0x[0-9a-f]+", "0x", line) for line in stderr.splitlines()]
    return [line for line in lines if line and not line.startswith(" ")]


def left_processes(group: int) -> list[str]:
    """Return a line if processes of a group go on for seconds after its first one has ended."""
    end = time.monotonic() + LEFT_SECONDS
    with suppress(ProcessLookupError):
        while time.monotonic() < end:
            os.killpg(group, 0)
            time.sleep(0.01)
        os.killpg(group, signal.SIGKILL)
        return ["a process is left over"]
    return []
