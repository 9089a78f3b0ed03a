"""Folders of planted snapshots and leak reports, as the profilers of a fleet leave them."""

import json

from memlens.leaks.leak_report import find_leaks
from tests.heap.planted import Planter
from tests.leaks.test_suspects import table_of

STAMP = "20250131T12{:02}00000Z"


def leaking(p, number):
    p.module("app", sessions=table_of(p, 10 * number))


def healthy(p, number):
    p.module("app", sessions=table_of(p, 10))


def identity(pid, **fields):
    values = {
        "pid": pid,
        "parent_pid": 1,
        "program": "app.py",
        "kind": "gunicorn worker",
        "name": None,
        "hostname": "host-1",
        "started_at": 1.5,
        "run_id": None,
    }
    return {**values, **fields}


def snapshots_of(plant, pid, count=4, first=1, process=None, **fields):
    """The snapshots of one process, an hour apart."""
    for number in range(first, first + count):
        p = Planter()
        plant(p, number)
        yield p.snapshot(
            timestamp=3600.0 * number,
            pid=pid,
            process=process or f"process {pid}",
            identity=identity(pid, **fields),
            memory={"rss_bytes": (100 + (number if plant is leaking else 4)) << 20},
        )


def leave_snapshots(folder, plant, pid, count=4, first=1, **fields):
    """Write the snapshots of one process to a folder; return their paths."""
    paths = []
    for number, snapshot in enumerate(
        snapshots_of(plant, pid, count, first, **fields), start=first
    ):
        path = folder / f"heap-periodic-{STAMP.format(number)}-{pid}-abc.memlens"
        snapshot.save(str(path))
        paths.append(path)
    return paths


def leave_report(folder, plant, pid, minute=30, **changes):
    """Write the leak report of one process to a folder; return its path."""
    report = find_leaks(snapshots_of(plant, pid))
    values = {
        **report.to_dict(),
        "identity": identity(pid),
        "timestamp": 36_000.0,
        "memory": {"rss_bytes": 200 << 20},
        **changes,
    }
    path = folder / f"leak-{STAMP.format(minute)}-{pid}-abc.json"
    path.write_text(json.dumps(values))
    return path
