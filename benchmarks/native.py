"""What does it cost to ask an object for its native memory?

Run: ``python benchmarks/native.py``

The median CPU time of an adapter for each kind of object, of the libraries that are installed, with
what ``measure`` adds: checks, rows, the clock, and once the list of mapped files; also for each row
that is told (a block or an object that is held), and of what has many parts for each column, element or
node of autograd. The goal is 5 microseconds an object in the median over all kinds.

Before that: a capture of a heap that has none of the objects, relative to one without adapters. After
it: what a capture pays to find the types, and forked captures while torch and polars work in other
threads: how often a library did not come back, and the pause beside that of a bare fork.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import statistics
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import memlens
from memlens import _core
from memlens._core.native_chunks import decode_chunk
from memlens.heap.capture.native_options import native_options
from memlens.heap.native.measure import make_measure
from memlens.heap.native.registry import active_types

OBJECTS, RUNS = 3000, 9
PLAIN_OBJECTS, PLAIN_RUNS = 300_000, 15
BUSY_SNAPSHOTS = 20
LATER = "asked for later"


def pyarrow_objects():
    import pyarrow as pa

    yield "buffer", lambda: pa.allocate_buffer(100)
    yield "array of numbers", lambda: pa.array([1, 2, 3])
    yield "array of strings", lambda: pa.array(["a", "b"])
    yield "dictionary", lambda: pa.array(["a", "b"]).dictionary_encode()
    yield "array of lists", lambda: pa.array([[1], [2]])
    yield "table of one column", lambda: pa.table({"x": [1, 2]})
    yield "table of ten columns", lambda: pa.table({str(n): [1, 2] for n in range(10)}), 10


def pandas_objects():
    import numpy as np
    import pandas as pd

    def make():
        index = pd.Index(np.array([3, 1, 2]))
        index.get_loc(2)
        return index._engine.mapping

    yield "hash table", make


def polars_objects():
    import polars as pl

    yield "series of numbers", lambda: pl.Series([1, 2, 3])._s
    yield "series of strings", lambda: pl.Series(["a" * 30])._s
    yield "series of categories", lambda: pl.Series(["a"], dtype=pl.Categorical)._s
    yield "frame of one column", lambda: pl.DataFrame({"x": [1, 2]})._df
    yield "frame of ten columns", lambda: pl.DataFrame({str(n): [1, 2] for n in range(10)})._df, 10


def torch_objects():
    import torch

    def with_gradient():
        parameter = torch.nn.Parameter(torch.zeros(3))
        parameter.sum().backward()
        return parameter

    yield "tensor", lambda: torch.zeros(3)
    yield "storage", lambda: torch.zeros(3).untyped_storage()
    yield "parameter with gradient", with_gradient
    yield "sparse tensor", lambda: torch.eye(3).to_sparse()
    # Its graph: the sum, the power, the exponential, and the leaf.
    yield f"loss, {LATER}", lambda: torch.zeros(3, requires_grad=True).exp().pow(2).sum(), 4


def pillow_objects():
    from PIL import Image

    yield "image", lambda: Image.new("RGB", (10, 10)).im


def lxml_objects():
    from lxml import etree

    def of_elements(count):
        root = etree.fromstring("<a>" + "<b x='1'>text</b>" * (count - 1) + "</a>")
        return next(x for x in gc.get_referents(root) if type(x) is etree._Document)

    yield f"two elements, {LATER}", lambda: of_elements(2), 2
    yield f"100 elements, {LATER}", lambda: of_elements(100), 100


def shapely_objects():
    import shapely

    yield "point", lambda: shapely.Point(1, 2)
    yield "polygon", lambda: shapely.Polygon([(0, 0), (1, 0), (1, 1)])


LIBRARIES = {
    "pyarrow": pyarrow_objects,
    "pandas": pandas_objects,
    "polars": polars_objects,
    "torch": torch_objects,
    "PIL": pillow_objects,
    "lxml": lxml_objects,
    "shapely": shapely_objects,
}


def median_microseconds(make):
    """Return the median over some runs of the time for an object, and how many rows it tells."""
    objects = [make() for _ in range(OBJECTS)]
    measure = make_measure(active_types(), forked=True, limit_seconds=60)
    chunks = []
    measure(objects, chunks.append)
    rows = sum(len(decode_chunk(chunk).rows) for chunk in chunks)
    times = []
    for _ in range(RUNS):
        start = time.thread_time()
        measure(objects, lambda chunk: None)
        times.append((time.thread_time() - start) / OBJECTS * 1e6)
    return statistics.median(times), rows / OBJECTS


def print_kinds():
    """Print what each kind of object costs, and the median over the kinds."""
    costs = []
    print(f"{'microseconds':<44}{'an object':>10}{'a row':>8}{'a part':>8}")
    for library, kinds in LIBRARIES.items():
        if importlib.util.find_spec(library) is None:
            print(f"  {library}: not installed")
            continue
        for name, make, *parts in kinds():
            cost, rows = median_microseconds(make)
            of_part = f"{cost / parts[0]:8.2f}" if parts else ""
            print(f"  {library + ': ' + name:<42}{cost:10.2f}{cost / rows:8.2f}{of_part}")
            costs.append((cost, cost / rows, cost / (parts[0] if parts else 1)))
    medians = [f"{statistics.median(column):.2f}" for column in zip(*costs, strict=True)]
    print(
        f"  {f'median over {len(costs)} kinds':<42}{medians[0]:>10}{medians[1]:>8}{medians[2]:>8}"
    )


def ratio_without_objects():
    """Return the time of a capture with adapters over one without, in a heap of plain objects."""
    kept = [{"n": n} for n in range(PLAIN_OBJECTS)]
    times = {True: [], False: []}
    for run in range(2 * PLAIN_RUNS):
        with_adapters = run % 2 == 0
        start = time.thread_time()
        options = native_options(forked=False) if with_adapters else {}
        _core.capture(**options)
        times[with_adapters].append(time.thread_time() - start)
    assert len(kept) == PLAIN_OBJECTS
    return statistics.median(times[True]) / statistics.median(times[False])


def torch_work(stop):
    import torch

    weights = torch.randn(300, 300, requires_grad=True)
    while not stop.is_set():
        (weights @ weights).exp().sum().backward()


def polars_work(stop):
    import polars as pl

    frame = pl.DataFrame({"key": [n % 97 for n in range(200_000)], "n": range(200_000)})
    while not stop.is_set():
        frame.group_by("key").agg(pl.col("n").sum()).sort("n")


def bare_fork_seconds():
    start = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    seconds = time.perf_counter() - start
    os.waitpid(pid, 0)
    return seconds


def print_busy_snapshots():
    """Take forked snapshots while libraries work in other threads."""
    kept, stop, working = [], threading.Event(), []
    for library, work in (("torch", torch_work), ("polars", polars_work)):
        if importlib.util.find_spec(library) is not None:
            kept += [make() for _, make, *_ in LIBRARIES[library]() for _ in range(50)]
            working.append(threading.Thread(target=work, args=(stop,), daemon=True))
    for thread in working:
        thread.start()
    pauses, forks, seconds, lost = [], [], [], {}
    for _ in range(BUSY_SNAPSHOTS):
        forks.append(bare_fork_seconds())
        start = time.perf_counter()
        snapshot = memlens.take_heap_snapshot(mode="fork")
        seconds.append(time.perf_counter() - start)
        pauses.append(snapshot.pause_seconds)
        for note in snapshot.graph.adapter_notes:
            lost[note.library] = lost.get(note.library, 0) + (note.state == "started")
    stop.set()
    for thread in working:
        thread.join()
    print(f"\n{BUSY_SNAPSHOTS} forked snapshots while {len(working)} threads work, medians: pause"
          f" {statistics.median(pauses) * 1e3:.1f} ms, bare fork"
          f" {statistics.median(forks) * 1e3:.1f} ms, snapshot {statistics.median(seconds):.2f} s"
          f" (longest {max(seconds):.2f} s)")  # fmt: skip
    for library, count in sorted(lost.items()):
        print(f"  {library}: did not come back in {count} of {BUSY_SNAPSHOTS}")


def main():
    print(f"Python {sys.version.split()[0]}")
    for library in filter(importlib.util.find_spec, LIBRARIES):
        importlib.import_module(library)
    print(f"capture of {PLAIN_OBJECTS:,} plain objects with adapters, relative to one without:"
          f" {ratio_without_objects():.3f}")  # fmt: skip
    print_kinds()
    times = []
    for _ in range(RUNS):
        start = time.thread_time()
        types = active_types()
        times.append((time.thread_time() - start) * 1e6)
    print(f"\nfinding {len(types)} types in {len(sys.modules):,} modules: "
          f"{statistics.median(times):.0f} us")  # fmt: skip
    if _core.fork_capture is not None:
        print_busy_snapshots()


if __name__ == "__main__":
    main()
