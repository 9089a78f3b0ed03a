"""What a whole capture costs, next to one collection of the same heap and next to the peers.

    python benchmarks/capture.py [--objects N] [--peers]

Capture, roots, dominators and all retained sizes, by the C core, as a multiple of one
``gc.collect()`` of that heap in the same process; and the memory that the capture takes beside the
heap. There are three heaps: records in a list, and small instances in a dict by name, without and
with ``__slots__``. A collection of instances with slots is fast, because it needs not read the values
elsewhere, so they are the hardest comparison. With ``--peers`` also guppy3's ``heap()``, pympler's
``muppy`` and ``summary``, objgraph's ``typestats``, each in a process of its own with the heap of
records: none gives retained sizes. Times are the best of a few runs; the order of the two sides
alternates.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

OBJECTS_A_RECORD = 5.2
OBJECTS_AN_ITEM = 5
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Record:
    """A record of an application: four attributes, a list, a dict, a string."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.name = f"name {number}"
        self.tags = [number, self.name]
        self.options = {"x": number}


class Item:
    """A small instance: four attributes, of which one is a dict and one a list."""

    def __init__(self, number: int, name: str) -> None:
        self.number = number
        self.name = name
        self.fields: dict[str, int] = {}
        self.tags = [name]


class SlottedItem:
    """The same with ``__slots__``."""

    __slots__ = ("fields", "name", "number", "tags")

    def __init__(self, number: int, name: str) -> None:
        self.number = number
        self.name = name
        self.fields: dict[str, int] = {}
        self.tags = [name]


def build(objects: int) -> list[Record]:
    """A heap of about so many objects."""
    return [Record(number) for number in range(int(objects / OBJECTS_A_RECORD))]


def build_items(objects: int, cls: type[Item] | type[SlottedItem] = Item) -> dict[str, object]:
    """The same number of objects as small instances, held in a dict by name."""
    names = (f"item {number}" for number in range(objects // OBJECTS_AN_ITEM))
    return {name: cls(number, name) for number, name in enumerate(names)}


RECORDS = "records in a list"
HEAPS: dict[str, Callable[[int], Any]] = {
    RECORDS: build,
    "small instances in a dict": build_items,
    "small instances with slots in a dict": lambda objects: build_items(objects, SlottedItem),
}


def seconds(call: Callable[[], Any]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    result = call()
    elapsed = time.perf_counter() - start
    del result
    return elapsed


def peak_bytes() -> int:
    """The most memory that was ever resident."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    return 0


def resident_bytes() -> int:
    """What is resident now."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * PAGE_BYTES


def measure_memlens(objects: int, runs: int, heap: str) -> dict[str, Any]:
    """Collection and capture in turn."""
    from memlens._core import _capture, _graph

    kept = HEAPS[heap](objects)
    gc.collect()
    before = resident_bytes()
    sections = _capture.capture()
    extra = peak_bytes() - before
    columns = [sections[n] for n in ("edge_offset", "edge_target", "edge_label", "node_size")]
    nodes, edges = len(sections["node_type"]), len(sections["edge_target"])
    analyse = lambda: _graph.dominator_tree(*columns)  # noqa: E731
    times: dict[str, list[float]] = {"collect": [], "capture": [], "dominators": []}
    for _ in range(runs):
        times["collect"].append(seconds(gc.collect))
        times["capture"].append(seconds(_capture.capture))
        times["dominators"].append(seconds(analyse))
    best = {name: min(values) for name, values in times.items()}
    del kept
    return {"nodes": nodes, "edges": edges, "extra_bytes": extra, **best}


def measure_guppy(objects: int, runs: int, heap: str) -> dict[str, Any]:
    """guppy3: the partition of all reachable objects by class."""
    from guppy import hpy

    kept = HEAPS[heap](objects)
    heapy = hpy()
    best = min(seconds(lambda: str(heapy.heap())) for _ in range(runs))
    del kept
    return {"seconds": best}


def measure_pympler(objects: int, runs: int, heap: str) -> dict[str, Any]:
    """pympler: all objects, summed by type."""
    from pympler import muppy, summary

    kept = HEAPS[heap](objects)
    best = min(seconds(lambda: summary.summarize(muppy.get_objects())) for _ in range(runs))
    del kept
    return {"seconds": best}


def measure_objgraph(objects: int, runs: int, heap: str) -> dict[str, Any]:
    """objgraph: counts by type, without sizes, of tracked objects only."""
    import objgraph

    kept = HEAPS[heap](objects)
    best = min(seconds(objgraph.typestats) for _ in range(runs))
    del kept
    return {"seconds": best}


MEASURES = {
    "memlens": measure_memlens,
    "guppy3 heap()": measure_guppy,
    "pympler muppy + summary": measure_pympler,
    "objgraph typestats": measure_objgraph,
}


def run_apart(name: str, objects: int, runs: int, heap: str) -> dict[str, Any]:
    """Measure in a process of its own."""
    command = [sys.executable, __file__, "--one", name, "--heap", heap, "--objects", str(objects)]
    result = subprocess.run([*command, "--runs", str(runs)], check=True, capture_output=True)
    return dict(json.loads(result.stdout))


def print_table(heap: str, own: dict[str, Any]) -> None:
    """The rows of one heap."""
    beyond = own["extra_bytes"] - 8 * own["edges"]
    print(f"{heap}: {own['nodes']:,} objects, {own['edges']:,} references")
    rows = {
        "gc.collect()": own["collect"],
        "capture with roots": own["capture"],
        "dominators and retained sizes": own["dominators"],
        "together": own["capture"] + own["dominators"],
    }
    for text, value in rows.items():
        print(f"  {text:<33} {value:8.3f} s {value / own['collect']:5.1f} x")
    print(f"  memory at the peak: {beyond / own['nodes']:.1f} B an object beside 8 B an edge")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--one", choices=MEASURES)
    parser.add_argument("--heap", choices=HEAPS, default=RECORDS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(MEASURES[options.one](options.objects, options.runs, options.heap)))
        return
    print(f"CPython {platform.python_version()}, {os.cpu_count()} processors")
    own = {heap: run_apart("memlens", options.objects, options.runs, heap) for heap in HEAPS}
    for heap, measured in own.items():
        print_table(heap, measured)
    whole = own[RECORDS]["capture"] + own[RECORDS]["dominators"]
    for name in [*MEASURES][1:] if options.peers else []:
        peer = run_apart(name, options.objects, 2, RECORDS)["seconds"]
        print(f"  {name:<33} {peer:8.3f} s {peer / whole:5.1f} x of memlens together")


if __name__ == "__main__":
    main()
