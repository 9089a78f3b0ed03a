"""A program that leaks in several places, in folders of its own, and what its tables say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent

_STORED = """
class Store:
    def __init__(self):
        self.rows = []

    def put(self, row):
        self.rows.append(row)
"""
_CART = """
import json
import threading

from stored import Store

SESSIONS = {}
store = Store()

class Item:
    def __init__(self):
        self.body = bytes(2000)

def fill(step):
    for number in range(200):
        SESSIONS[f"{step}-{number}"] = Item()
        store.put(json.loads('["' + "a" * 900 + '"]'))

class Workers:
    def __init__(self, before):
        for _ in range(before):
            threading.Thread(target=str)  # shifts the number in Thread-N
        self.turns = [threading.Semaphore(0) for _ in range(2)]
        self.ready = threading.Semaphore(0)
        self.is_done = False
        self.threads = [threading.Thread(target=self.work, args=(turn,)) for turn in self.turns]
        for thread in self.threads:
            thread.start()

    def work(self, turn):
        kept = []
        while turn.acquire() and not self.is_done:
            kept.extend(Item() for _ in range(100))
            self.ready.release()

    def step(self):
        for turn in self.turns:
            turn.release()
        for _ in self.turns:
            self.ready.acquire()

    def stop(self):
        self.is_done = True
        for turn in self.turns:
            turn.release()
"""
_MAIN = """
import json, sys
import memlens
from memlens.process.identity import identify
from memlens.tables.allocation_paths import allocation_columns
from memlens.tables.holders import holder_columns
from memlens.tables.process_columns import ProcessColumns
from memlens.tables.suspects import suspect_columns
from shop import cart

def main():
    process = ProcessColumns.of(identify(), "shop", "1")
    profiler = memlens.AllocationProfiler(interval_bytes=512)
    profiler.start()
    workers = cart.Workers(int(sys.argv[1]))
    taken = []
    for step in range(4):
        cart.fill(step)
        workers.step()
        taken.append(memlens.take_heap_snapshot())
    profile = profiler.profile()
    profiler.stop()
    report = memlens.find_leaks(taken)
    workers.stop()
    tables = {
        "suspects": suspect_columns(report, process, time=report.timestamp),
        "holders": holder_columns(taken[-1], process),
        "allocations": allocation_columns(profile, process),
        "source": profile.facts.source,
    }
    print(json.dumps(tables, default=str))

main()
"""


def tables_of(
    folder: Path, *, python: str = sys.executable, seed: int = 1, before: int = 0, lines: int = 0
) -> dict[str, Any]:
    """Install the program in a folder, run it, and return its tables as columns.

    ``source`` is that of the allocation profile.

    ``lines``: blank lines before the code of the library. ``before``: threads made before its own.
    """
    library, shop = folder / "lib" / "site-packages", folder / "code" / "shop"
    for path in (library / "stored", shop):
        path.mkdir(parents=True)
    (library / "stored" / "__init__.py").write_text("\n" * lines + _STORED)
    (shop / "__init__.py").write_text("")
    (shop / "cart.py").write_text(_CART)
    (folder / "code" / "main.py").write_text(_MAIN)
    done = subprocess.run(
        [python, str(folder / "code" / "main.py"), str(before)],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(library)]),
            "PYTHONHASHSEED": str(seed),
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
