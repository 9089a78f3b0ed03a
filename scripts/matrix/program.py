"""The program of the matrix: a service with a leak, or its healthy twin, that examines itself.

    python program.py CASE            CASE is JSON: {"run_in": "asyncio", "gc": "off", ...}

It prints one line of JSON: the problems that it found. What it does is the same in each mode: it serves
requests, takes four snapshots, asks who holds what grew, and compares the answers with what it knows.
Only the standard library, memlens, and what the mode needs.
"""

from __future__ import annotations

import asyncio
import gc
import json
import multiprocessing
import signal
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

CASE: dict[str, Any] = json.loads(sys.argv[1]) if __name__ == "__main__" else {}
if CASE.get("run_in") == "gevent":
    import gevent.monkey

    gevent.monkey.patch_all()

import memlens  # noqa: E402 - gevent must come first
from memlens._core import IMPLEMENTATION  # noqa: E402

BLOB_BYTES = 1000
REQUESTS = (100, 400, 400, 400)  # before each snapshot
MAX_HEALTHY = 50
KEPT: dict[int, Session] = {}
BLOCKED = signal.pthread_sigmask(signal.SIG_BLOCK, ())
# coverage keeps a tracer of each thread that ever ran, pydevd each thread, in a dict or in a set of
# its own C code: so the queue of each thread of a pool stays, too.
OF_TOOLS = {
    "coverage": ("threading._trace_hook",),
    "debugpy": (
        "_pydevd_bundle.",
        "concurrent.futures.thread._threads_queues",
        "<set held by native code",
    ),
}
HOLDER = ".KEPT"  # of __main__, or of the body of the program where a tool runs that as text


class Session:
    """What a request leaves behind."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.blob = bytearray(BLOB_BYTES)


def serve(number: int, *, leaks: bool) -> int:
    """Answer one request; keep its session for ever, or as one of the newest."""
    session = KEPT[number] = Session(number)
    if not leaks:
        KEPT.pop(number - MAX_HEALTHY, None)
    return session.number * 2


# -- the ways to run requests: each returns a function that runs some and returns their answers -------

Rounds = Callable[[Callable[[int], int], range], "list[int]"]


def in_order(serve_one: Callable[[int], int], numbers: range) -> list[int]:
    """One request after the other."""
    return [serve_one(number) for number in numbers]


def in_threads(serve_one: Callable[[int], int], numbers: range) -> list[int]:
    """In four threads."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(serve_one, numbers))


def in_greenlets(serve_one: Callable[[int], int], numbers: range) -> list[int]:
    """In twenty greenlets at a time."""
    from gevent import sleep
    from gevent.pool import Pool

    def serve_and_switch(number: int) -> int:
        sleep(0)
        return serve_one(number)

    return list(Pool(20).map(serve_and_switch, numbers))


async def in_tasks(serve_one: Callable[[int], int], numbers: range) -> list[int]:
    """In one task each."""

    async def serve_later(number: int) -> int:
        await asyncio.sleep(0)
        return serve_one(number)

    return list(await asyncio.gather(*map(serve_later, numbers)))


def on_loop(factory: Callable[[], asyncio.AbstractEventLoop] | None) -> Rounds:
    """Return the way that uses one event loop; requests are tasks."""
    runner = asyncio.Runner(loop_factory=factory)
    return lambda serve_one, numbers: runner.run(in_tasks(serve_one, numbers))


def way_of(name: str) -> Rounds:
    """Return how requests run in a mode."""
    if name == "asyncio":
        return on_loop(None)
    if name == "uvloop":
        import uvloop

        return on_loop(uvloop.new_event_loop)
    return {"threads": in_threads, "gevent": in_greenlets}.get(name, in_order)


# -- what is checked -----------------------------------------------------------------------------------


def examined(leaks: bool, run: Rounds, *, start_tracing: bool) -> list[str]:
    """Run all requests under a profiler; return what is not as it should be."""
    problems: list[str] = []
    numbers = iter([range(sum(REQUESTS[:i]), sum(REQUESTS[: i + 1])) for i in range(len(REQUESTS))])
    with tempfile.TemporaryDirectory() as folder:
        profiler = memlens.MemoryProfiler(
            folder,
            sample_interval=0.5,
            allocation_interval_bytes=4096,
            on_alert=lambda report: None,
        )
        with profiler:
            if start_tracing:
                import tracemalloc

                tracemalloc.start(3)
            snapshots = []
            for requests in numbers:
                answers = run(lambda number: serve(number, leaks=leaks), requests)
                if sum(answers) != 2 * sum(requests):
                    problems.append(f"the answers add up to {sum(answers)}")
                snapshots.append(memlens.take_heap_snapshot())
            problems += judged(memlens.find_leaks(snapshots), leaks)
            problems += sized(leaks)
            problems += sampled(profiler, leaks)
            problems += unhealthy(profiler.health())
    return problems


def judged(report: memlens.LeakReport, leaks: bool) -> list[str]:
    """Compare the suspects with the truth."""
    # True, and not of the program: see `OF_TOOLS`.
    of_tool = OF_TOOLS.get(CASE["under"].partition(" ")[0], ())
    names = [s.holder for s in report.suspects if not s.holder.startswith(of_tool)]
    if len(names) == leaks and all(name.endswith(HOLDER) for name in names):
        return []
    return [f"suspects are {names}, not {[HOLDER] * leaks}"]


def sized(leaks: bool) -> list[str]:
    """Compare a retained size and a path with the truth."""
    count = sum(REQUESTS) if leaks else MAX_HEALTHY
    problems = []
    size = memlens.retained_size(KEPT)
    if not count * BLOB_BYTES < size < count * (BLOB_BYTES + 500) + 60_000:
        problems.append(f"{count} sessions retain {size} bytes")
    path = str(memlens.why_alive(next(iter(KEPT.values()))))
    if HOLDER not in path:
        problems.append(f"the path of a session is {path}")
    return problems


def sampled(profiler: memlens.MemoryProfiler, leaks: bool) -> list[str]:
    """Compare what the sampler says of `Session` with the truth."""
    profile = profiler.report().allocations
    if profile is None:
        return [] if CASE.get("core") == "pure" else ["there are no samples"]
    if not leaks:
        return []
    live = sum(
        row.live_bytes
        for row in profile.by_call_path()
        if any(frame.function == "Session.__init__" for frame in row.call_path)
    )
    expected = sum(REQUESTS) * BLOB_BYTES
    return (
        [] if 0.6 < live / expected < 1.6 else [f"{live / expected:.2f} of the bytes were sampled"]
    )


def unhealthy(health: dict[str, Any]) -> list[str]:
    """Return what the profiler says went wrong."""
    parts = {"profiler": health, "sampler": health["sampler"], "triggers": health["triggers"]}
    wrong = [
        f"{name}: {key} is {part[key]}"
        for name, part in parts.items()
        for key in ("failures", "errors", "reading_errors", "callback_errors", "last_error")
        if part.get(key)
    ]
    if not health["sampler"]["thread_alive"]:
        wrong.append("the thread of the sampler is dead")
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    if blocked != BLOCKED:
        wrong.append(f"signals are blocked: {blocked}")
    return wrong


# -- the modes that are set up in the process --------------------------------------------------------


def watch_by_monitoring() -> None:
    """Count calls, returns and lines by `sys.monitoring`, as a tool would."""
    monitoring = sys.monitoring  # type: ignore[attr-defined] # from 3.12 on
    if monitoring.get_tool(4) is not None:
        return  # a forked child has the one of its parent
    events = monitoring.events
    chosen = events.PY_START, events.PY_RETURN, events.CALL
    monitoring.use_tool_id(4, "matrix")
    for event in chosen:
        monitoring.register_callback(4, event, lambda *arguments: None)
    monitoring.set_events(4, sum(chosen))


def debug() -> None:
    """Trace as a debugger with a breakpoint that is never reached."""
    import bdb

    debugger = bdb.Bdb()
    debugger.set_break(__file__, 1)
    debugger.reset()
    sys.settrace(debugger.trace_dispatch)


def set_up(case: dict[str, Any]) -> None:
    """Set what the case says of the collector and of tools."""
    if case["gc"] == "off":
        gc.disable()
    elif case["gc"] == "frozen":
        gc.freeze()
    tool = {"monitoring": watch_by_monitoring, "debugger": debug}.get(case["under"])
    if tool is not None:
        tool()


def run_child(case: dict[str, Any], connection: Any) -> None:
    """Do it all in a child of multiprocessing, and send the problems."""
    CASE.update(case)
    set_up(case)
    connection.send(run_case(case, way_of("order")))
    connection.close()


def run_case(case: dict[str, Any], run: Rounds) -> list[str]:
    """Run the requests of a case in this process."""
    return examined(case["leaks"], run, start_tracing=case["under"] == "tracemalloc later")


def run_in_child(case: dict[str, Any], method: str) -> list[str]:
    """Start a child while a profiler runs here, and return the problems of both."""
    context = multiprocessing.get_context(method)
    with tempfile.TemporaryDirectory() as folder, memlens.MemoryProfiler(folder) as profiler:
        here, there = context.Pipe()
        child = context.Process(target=run_child, args=(case, there))
        child.start()
        there.close()
        problems: list[str] = here.recv()
        child.join()
        if child.exitcode:
            problems.append(f"the child ended with {child.exitcode}")
        return problems + [f"in the parent: {problem}" for problem in unhealthy(profiler.health())]


def main() -> None:
    """Run the case of the command line."""
    set_up(CASE)
    method = CASE["run_in"]
    if method in ("fork", "forkserver", "spawn"):
        problems = run_in_child(CASE, method)
    else:
        problems = run_case(CASE, way_of(method))
    if CASE["core"] != IMPLEMENTATION:
        problems.append(f"the core is {IMPLEMENTATION}, not {CASE['core']}")
    print(json.dumps(problems))


if __name__ == "__main__":
    main()
