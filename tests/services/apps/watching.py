"""What each service here does with memlens: a `MemoryProfiler` with its default options, but faster.

``HEALTHY=1`` in the environment makes a service keep a bounded number of the things that it would
leak, so that it does the same work with the same objects and holds no more than `KEPT` of them.
"""

import os

import memlens

SCALE = 1 / 400  # of the default times: an hour of snapshots passes in nine seconds
KEPT = 40
IS_HEALTHY = os.environ.get("HEALTHY") == "1"

profiler = None


def start():
    """Start the profiler of this process."""
    global profiler
    profiler = memlens.MemoryProfiler(
        os.environ["PROFILES"],
        sample_interval=10 * SCALE,
        snapshot_interval=3600 * SCALE / 6,
        warmup_seconds=900 * SCALE,
        min_window_seconds=7200 * SCALE,
        alert_interval=3600 * SCALE,
        on_alert=lambda report: None,
    ).start()


def watch():
    """Start a profiler that takes snapshots only: `memlens fleet` analyses them."""
    global profiler
    profiler = memlens.MemoryProfiler(
        os.environ["PROFILES"], sample_interval=0.5, snapshot_interval=1.5
    ).start()


def report():
    """Return the report of this process as JSON-ready values."""
    return profiler.report().to_dict()


class Record:
    """What a careless handler keeps of a request."""

    def __init__(self, number):
        self.number = number
        self.body = [f"line {number} {index}" for index in range(20)]
        self.headers = {"host": f"host-{number}", "accept": "text/plain"}


def keep(records, number):
    """Append the record of a request to a list, and drop the oldest ones if this is healthy."""
    records.append(Record(number))
    if IS_HEALTHY:
        del records[:-KEPT]


def store(records, key, number):
    """Put the record of a request into a dict, and drop the oldest ones if this is healthy."""
    records[key] = Record(number)
    if IS_HEALTHY:
        while len(records) > KEPT:
            del records[next(iter(records))]
