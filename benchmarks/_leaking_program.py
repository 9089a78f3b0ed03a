"""A program that leaks until its limit ends it: ``_leaking_program.py FOLDER KIND MIB_PER_SECOND``.

MIB_PER_SECOND 0: as fast as Python can. KIND is a name of `LEAKS`, which says what the holder is
called. The kind ``steady`` uses memory up to a share of its limit and then keeps it: it is no leak.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import memlens
from memlens import triggers

# Kind -> what the name of the holder contains, and about how many bytes a step leaks.
LEAKS = {
    "records": ("records_by_id", 440),
    "bytes": ("uploads", 100_033),
    "instances": ("sessions", 400),
    "cache": ("rendered", 300),
    "strings": ("lines_seen", 90),
    "lists": ("edges_of", 250),
    "threads": ("results", 1_500),
    "tasks": ("background", 2_500),
}

records_by_id = {}
uploads = []
lines_seen = set()
results = []
background = set()


class Session:
    """A user who never logs out."""

    def __init__(self, number):
        self.user = f"user-{number}"
        self.roles = [number]
        self.seen = float(number)


class Server:
    """Holds all sessions."""

    def __init__(self):
        self.sessions = {}
        self.edges_of = {}


server = Server()


@functools.cache
def rendered(number):
    """Return a page, which the cache keeps for ever."""
    return f"<h1>{number}</h1>" + "x" * 100


def step(kind, number):
    """Leak once."""
    if kind == "records":
        records_by_id[number] = {"id": number, "name": f"name-{number}", "price": float(number)}
    elif kind == "bytes":
        uploads.append(bytes(100_000))
    elif kind == "instances":
        server.sessions[number] = Session(number)
    elif kind == "cache":
        rendered(number)
    elif kind == "strings":
        lines_seen.add(f"line {number}")
    elif kind == "lists":
        server.edges_of[number] = [number, str(number), [number]]
    elif kind == "threads":
        results.append([{"row": number}] + [f"{number}-{i}" for i in range(12)])


class Pace:
    """Sleeps, so that a leak has a rate."""

    def __init__(self, mib_per_second, bytes_per_step):
        self._steps_per_second = mib_per_second * (1 << 20) / bytes_per_step
        self._begin = time.monotonic()

    def seconds_ahead(self, steps):
        """Return for how long to sleep after so many steps."""
        if not self._steps_per_second:
            return 0.0
        return max(0.0, self._begin + steps / self._steps_per_second - time.monotonic())


def leak(kind, pace):
    """Leak for ever."""
    number = 0
    while True:
        step(kind, number)
        number += 1
        if number % 64 == 0 and (seconds := pace.seconds_ahead(number)) > 0.01:
            time.sleep(seconds)


async def handle(number):
    """Wait for an answer that never comes."""
    body = [f"{number}-{i}" for i in range(20)]
    await asyncio.Event().wait()
    return body


async def serve(pace):
    """Start tasks that never end and are kept in a set."""
    number = 0
    while True:
        background.add(asyncio.create_task(handle(number)))
        number += 1
        if number % 64 == 0:
            await asyncio.sleep(pace.seconds_ahead(number))


def run(kind, pace):
    """Leak in the main thread, in threads, or in tasks."""
    if kind == "tasks":
        asyncio.run(serve(pace))
    elif kind == "threads":
        threads = [threading.Thread(target=leak, args=(kind, pace)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    else:
        leak(kind, pace)


def stay(share_bytes, seconds):
    """Use memory up to a size, then work without a leak: some of it is replaced all the time."""
    held = [bytes(1 << 20) for _ in range(share_bytes >> 20)]
    ends = time.monotonic() + seconds
    number = 0
    while time.monotonic() < ends:
        held[number % len(held)] = bytes(1 << 20)
        number += 1
        time.sleep(0.001)


def main():
    """Start the profiler with triggers, then leak."""
    folder, kind, argument = sys.argv[1], sys.argv[2], float(sys.argv[3])
    profiler = memlens.MemoryProfiler(
        folder, triggers=[triggers.on_memory_error(), triggers.before_limit()]
    )
    with profiler:
        if kind == "steady":
            stay(int(argument), 8.0)
            print(json.dumps(profiler.health()["triggers"]))
        else:
            run(kind, Pace(argument, LEAKS[kind][1]))


if __name__ == "__main__":
    main()
    os._exit(0)
