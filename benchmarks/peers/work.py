"""A work that is timed, with a tool on that is turned on in the program: ``work.py WORK TOOL``."""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from typing import Any


class Point:
    """A small object."""

    __slots__ = ("x", "y")

    def __init__(self, x: int, y: int) -> None:
        self.x = x
        self.y = y


def allocating() -> None:
    """Make and drop small objects, and do nothing else."""
    for _ in range(60):
        points = [Point(number, number + 1) for number in range(10_000)]
        texts = [str(number) for number in range(10_000)]
        pairs = {text: [point] for text, point in zip(texts, points, strict=True)}
        del points, texts, pairs


def service() -> None:
    """Parse requests, search and sort, and keep the last results."""
    kept: deque[Any] = deque(maxlen=50)
    body = json.dumps(
        [
            {"id": number, "name": f"name {number}", "tags": ["a", "b"], "v": number / 3}
            for number in range(200)
        ]
    )
    for number in range(400):
        rows = json.loads(body)
        wanted = [row for row in rows if row["id"] % 7 == number % 7]
        wanted.sort(key=lambda row: -row["v"])
        total = sum(position * position % 7 for position in range(5_000))
        kept.append(json.dumps({"rows": wanted, "total": total}))


def turn_on(tool: str) -> Callable[[], object]:
    """Turn on a tool; return what turns it off."""
    name, _, option = tool.partition(" ")
    if name == "tracemalloc":
        import tracemalloc

        tracemalloc.start(int(option))
        return tracemalloc.stop
    if name == "pyroscope":
        import pyroscope

        pyroscope.configure(
            application_name="peers",
            server_address=os.environ["PEERS_ADDRESS"],
            cpu_enabled=False,
            mem_enabled=True,
        )
        return pyroscope.shutdown  # type: ignore[no-any-return]
    if name == "memlens":
        import memlens

        profiler = memlens.MemoryProfiler(tempfile.mkdtemp(dir="."), on_alert=lambda report: None)
        profiler.start()
        return profiler.stop
    return lambda: None


def processor_seconds() -> float:
    """Return the processor time of all threads of this process and of its ended children."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def main() -> None:
    """Do the work once to warm up, then a few times, and write the time and the peak of memory."""
    work, tool = sys.argv[1:]
    turn_off = turn_on(tool)
    run = {"allocating": allocating, "service": service}[work]
    run()
    start = processor_seconds()
    for _ in range(3):
        run()
    seconds = processor_seconds() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open(os.environ["PEERS_RESULT"], "w", encoding="utf-8") as file:
        json.dump([seconds, peak], file)
    turn_off()


if __name__ == "__main__":
    main()
