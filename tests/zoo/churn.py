"""A healthy program with many seeds: much comes and goes in it, and nothing grows.

    python -m tests.zoo.churn [--seeds 200] [--first 1] [--per-process 20] [--json]

For each seed a service of its own runs for a while, with four snapshots. It is warm at the first.
All seeds together may give one suspect at most.
"""

from __future__ import annotations

import argparse
import collections
import gc
import io
import json
import os
import random
import subprocess
import sys
import weakref
from pathlib import Path

import memlens

ROOT = Path(__file__).resolve().parent.parent.parent
MOST_SUSPECTS = 1
WARM_STEPS = 120
STEPS = 60  # between two snapshots
TIMEOUT_SECONDS = 600


class Record:
    def __init__(self, random, number):
        self.number = number
        self.body = random.randbytes(random.randrange(20, 300))


class LRU:
    """A cache with its own eviction; its bound has no name."""

    def __init__(self, random):
        self.random = random
        self.entries = collections.OrderedDict()
        self.room = random.randrange(50, 400)
        self.keys = random.randrange(self.room, 5 * self.room)

    def step(self, now):
        for _ in range(self.random.randrange(5, 30)):
            key = self.random.randrange(self.keys)
            if key not in self.entries:
                self.entries[key] = Record(self.random, now)
            self.entries.move_to_end(key)
            if len(self.entries) > self.room:
                self.entries.popitem(last=False)


class SlidingWindow:
    """Events of the last moments, for each of some sources."""

    def __init__(self, random):
        self.random = random
        self.width = random.randrange(5, 40)
        self.events = {f"source-{n}": [] for n in range(random.randrange(3, 25))}

    def step(self, now):
        for events in self.events.values():
            events += [(now, self.random.random()) for _ in range(self.random.randrange(3))]
            while events and events[0][0] < now - self.width:
                del events[0]


class Sessions:
    """Sessions that come, last for a while and go."""

    def __init__(self, random):
        self.random = random
        self.alive = {}
        self.life = random.randrange(4, 40)
        self.rate = random.randrange(2, 15)
        self.count = 0

    def step(self, now):
        for _ in range(self.random.randrange(2 * self.rate)):
            self.count += 1
            session = {"until": now + self.random.randrange(1, 2 * self.life), "cart": []}
            self.alive[self.count] = session
        for session in self.alive.values():
            if self.random.random() < 0.1:
                session["cart"].append(self.random.randrange(10**6, 10**7))
        for number in [n for n, session in self.alive.items() if session["until"] <= now]:
            del self.alive[number]


class Counters:
    """Counts by a few keys; the numbers grow, the keys do not."""

    def __init__(self, random):
        self.random = random
        self.keys = random.randrange(3, 60)
        self.counts = collections.Counter(f"key-{n}" for n in range(self.keys))

    def step(self, now):
        for _ in range(20):
            self.counts[f"key-{self.random.randrange(self.keys)}"] += now


class Buffer:
    """Lines that are flushed when there are enough of them, or now and then."""

    def __init__(self, random):
        self.random = random
        self.lines = []
        self.limit = random.randrange(50, 900)
        self.flushed = 0

    def step(self, now):
        for n in range(self.random.randrange(1, 25)):
            self.lines.append(f"line {now}.{n}")
        if len(self.lines) > self.limit or self.random.random() < 0.02:
            self.flushed += len(self.lines)
            self.lines.clear()


class Stream:
    """A byte stream that is read out and cut at random moments."""

    def __init__(self, random):
        self.random = random
        self.stream = io.BytesIO()
        self.tail = bytearray()
        self.limit = random.randrange(3_000, 60_000)

    def step(self, now):
        data = self.random.randbytes(self.random.randrange(50, 2_000))
        self.stream.write(data)
        self.tail += data
        if self.stream.tell() > self.limit:
            self.stream.seek(0)
            self.stream.truncate()
        if len(self.tail) > self.limit * 2 // 3:
            del self.tail[: len(self.tail) // 2]


class Slots:
    """A table of fixed size whose objects are replaced, some by larger ones."""

    def __init__(self, random):
        self.random = random
        self.objects = [Record(random, 0) for _ in range(random.randrange(50, 600))]
        self.current = ()

    def step(self, now):
        for _ in range(self.random.randrange(30)):
            self.objects[self.random.randrange(len(self.objects))] = Record(self.random, now)
        self.current = tuple(range(now, now + self.random.randrange(5, 50)))


class Queue:
    """Jobs between a producer and a consumer that keeps up on average."""

    def __init__(self, random):
        self.random = random
        self.jobs = collections.deque()
        self.by_number = weakref.WeakValueDictionary()
        self.rate = random.randrange(2, 20)

    def step(self, now):
        for _ in range(self.random.randrange(2 * self.rate)):
            record = Record(self.random, now)
            self.by_number[id(record)] = record
            self.jobs.append(record)
        for _ in range(min(len(self.jobs), self.random.randrange(3 * self.rate))):
            self.jobs.popleft()


class Histories:
    """Users with a short history each, cut now and then."""

    def __init__(self, random):
        self.random = random
        self.users = {f"user-{n}": [] for n in range(random.randrange(20, 150))}
        self.longest = random.randrange(5, 30)

    def step(self, now):
        for history in self.users.values():
            if self.random.random() < 0.3:
                history.append(Record(self.random, now))
            if len(history) > self.longest:
                del history[: self.random.randrange(1, len(history))]


PARTS = (LRU, SlidingWindow, Sessions, Counters, Buffer, Stream, Slots, Queue, Histories)


class Service:
    """Up to two of each part, with parameters of their own."""

    def __init__(self, seed):
        chance = random.Random(seed)
        self.parts = [
            part(random.Random(chance.random()))
            for part in PARTS
            for _ in range(chance.randrange(3))
        ]
        self.now = 0

    def run(self, steps):
        for _ in range(steps):
            self.now += 1
            for part in self.parts:
                part.step(self.now)


def suspects_of(seed):
    """Run the service of one seed and return the suspects as dicts."""
    service = Service(seed)
    service.run(WARM_STEPS)
    snapshots = [memlens.take_heap_snapshot()]
    for _ in range(3):
        service.run(STEPS)
        snapshots.append(memlens.take_heap_snapshot())
    return [suspect.to_dict() for suspect in memlens.find_leaks(snapshots)]


def run_seeds(first, count):
    """Run some seeds in this process, one after the other; return the suspects by seed."""
    found = {}
    for seed in range(first, first + count):
        found[seed] = suspects_of(seed)
        gc.collect()
    return found


def in_child(first, count):
    """Run some seeds in a process of their own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.zoo.churn", "--child", str(first), str(count)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )
    if done.returncode:
        raise SystemExit(f"seeds from {first}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--per-process", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="print all suspects as JSON")
    parser.add_argument("--child", nargs=2, type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(run_seeds(*arguments.child)))
        return 0
    found = {}
    end = arguments.first + arguments.seeds
    for first in range(arguments.first, end, arguments.per_process):
        found.update(in_child(first, min(arguments.per_process, end - first)))
    total = sum(map(len, found.values()))
    if arguments.json:
        print(json.dumps(found, indent=1))
    else:
        for seed, suspects in found.items():
            for one in suspects:
                print(f"seed {seed}: {one['holder']} [{one['pattern']}] +{one['count_growth']}")
        print(f"{total} suspects in {len(found)} seeds; {MOST_SUSPECTS} at most is allowed")
    return 0 if total <= MOST_SUSPECTS else 1


if __name__ == "__main__":
    sys.exit(main())
