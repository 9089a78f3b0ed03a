"""One function of the core, called again and again with another allocation failing: see
failing_allocator.py, which starts this program with the instrumented core on its path.

    python failing_allocator_program.py FUNCTION LIMIT

The last line of the output is the result. The number of the failing allocation is in the file
``progress`` meanwhile, so that a crash can be located.
"""

from __future__ import annotations

import bz2
import ctypes
import faulthandler
import gc
import mmap
import os
import random
import resource
import sys
import zlib
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import _failing

import memlens
from memlens import _core
from memlens._core.layout import LABEL_BITS
from memlens._core.native_chunks import encode_chunk

NODES = 3000
MOST_OUTCOMES = 5
MOST_BYTES = 4 << 30  # a capture that does not end fails here, not by taking the machine down
PROGRESS = Path("progress")


class Planted:
    """What the captures look for."""

    def __init__(self, number: int) -> None:
        self.number = [number]
        self.name = f"planted {number}"


class Case(NamedTuple):
    """A function under test, what may be raised, and whether Python's own allocations fail too."""

    call: Callable[[], Any]
    errors: tuple[type[BaseException], ...] = (MemoryError,)
    with_python: bool = False
    may_do_without: bool = False  # some allocations are not needed for a right result
    owns_all: bool = True  # frees nothing that libc has allocated


# ---- what is captured and computed


PLANT: list[Any] = []


def plant() -> None:
    """Enough classes, names and objects that every table of a capture has to grow."""
    PLANT.append([Planted(number) for number in range(500)])
    PLANT.append([type(f"Class{number}", (), {f"name{number}": 1})() for number in range(1200)])
    PLANT.append({f"key {number}": {f"inner {number}": None} for number in range(3000)})
    PLANT.append([ctypes.create_string_buffer(100 + number) for number in range(600)])
    PLANT.append([memoryview(PLANT[-1][0])[number:] for number in range(50)])
    PLANT.append([mmap.mmap(-1, 8192) for _ in range(20)])
    PLANT.append([zlib.compressobj(), zlib.decompressobj(), bz2.BZ2Compressor(1)])
    PLANT.append([b"equal" * 3 + bytes([n % 7]) for n in range(200)])


def found(sections: Any) -> tuple[Any, ...]:
    """What a capture tells of the planted objects."""
    columns = {name: list(sections[name]) for name in ("node_type", "edge_offset", "node_size")}
    offsets = list(sections["string_offset"])
    text = bytes(sections["string_bytes"])
    names = [
        text[offsets[number] : offsets[number + 1]].decode("utf-8", "surrogatepass")
        for number in sections["type_name"]
    ]
    counts = Counter(names[number] for number in columns["node_type"])
    rows = [row for row, name in enumerate(names) if name == "__main__.Planted"]
    nodes = [node for node, row in enumerate(columns["node_type"]) if row in rows]
    starts = columns["edge_offset"]
    shapes = Counter(
        (starts[node + 1] - starts[node], columns["node_size"][node]) for node in nodes
    )
    classes = sum(count for name, count in counts.items() if name.startswith("__main__.Class"))
    return counts["__main__.Planted"], classes, sorted(shapes.items())


def measured_rows() -> bytes:
    """What an adapter would send: blocks of each planted object, two of which share theirs."""
    rows = [
        (number, (number // 2 * 3 + part + 1 << 20), 4096, 0, part)
        for number in range(500)
        for part in range(3)
    ]
    names = ("cpu", "a library", "another library")
    return encode_chunk([number for row in rows for number in row], names, {"library": "planted"})


ROWS = measured_rows()


def measure(objects: Sequence[Any], send: Callable[[bytes], object]) -> None:
    """Tell of blocks of the planted objects."""
    send(ROWS)


def capture_inline() -> Any:
    """The sections; what they tell is compared outside, where no allocation fails."""
    return _core.capture(native_types=(Planted,), measure=measure)


def capture_with_values() -> Any:
    """The same with the texts of values, which Python makes."""
    return _core.capture(values=True)


def capture_forked() -> Any:
    """A snapshot by a forked child, read from its file."""
    return found(memlens.take_heap_snapshot(mode="fork").graph.sections)


def random_graph() -> dict[str, array[int]]:
    """Columns of edges: the same in every run."""
    rng = random.Random(7)
    rows = [[rng.randrange(1, NODES) for _ in range(rng.randrange(6))] for _ in range(NODES)]
    rows[0] = sorted({rng.randrange(1, NODES) for _ in range(20)})
    offsets = array("Q", [0])
    for row in rows:
        offsets.append(offsets[-1] + len(row))
    edges = {
        "edge_offset": offsets,
        "edge_target": array("I", [target for row in rows for target in row]),
    }
    edges["edge_label"] = array("I", [2 | 5 << LABEL_BITS] * len(edges["edge_target"]))
    return edges


EDGES = random_graph()
ROOTS = EDGES["edge_offset"][1]
SIZES = array("Q", range(NODES))
TYPES = array("I", [node % 7 for node in range(NODES)])
FLAGS = array("H", [0] * NODES)
MARKS = array("B", [node % 3 == 0 for node in range(NODES)])
ADDRESSES = array("Q", [node * 4096 + (8 if node % 4 == 0 else 0) for node in range(NODES)])
KEYS = array("Q", range(1, NODES + 1))
IDENTITIES = ADDRESSES, TYPES, SIZES, KEYS[:7], array("B", [1] * 7)
ALL = array("I", range(NODES))


def dominators() -> Any:
    """The dominator tree and what is computed over it."""
    dominator, retained = _core.dominator_tree(**EDGES, node_size=SIZES)
    return (
        dominator,
        retained,
        _core.children_rows(dominator),
        _core.spread_flags(dominator, FLAGS, 1),
        _core.nearest_marked(dominator, MARKS),
        _core.subtree_sums(dominator, SIZES),
        _core.retained_by_group(dominator, retained, TYPES, 7, FLAGS),
    )


def searches() -> Any:
    """Referrers, paths and what is reached."""
    return (
        _core.reverse_edges(**EDGES),
        _core.shortest_paths(**EDGES, root_tier=array("B", [1] * ROOTS)),
        _core.reached_nodes(**EDGES, without=MARKS),
        _core.edges_between(**EDGES, source_mark=MARKS, target_mark=MARKS),
    )


def counts() -> Any:
    """Counts, and the functions that compare two heaps."""
    return (
        _core.count_types(TYPES, SIZES, FLAGS, 7),
        _core.match_nodes(*IDENTITIES, *IDENTITIES),
        _core.match_runs(ALL),
        _core.matches_of_runs(array("Q", [0]), NODES),
        _core.birth_steps([ALL, ALL], NODES),
        _core.number_keys(KEYS),
        _core.group_nodes(KEYS, MARKS, FLAGS, 0),
        _core.largest_nodes(SIZES, FLAGS, 10),
        _core.mark_matched(ALL, FLAGS, FLAGS, 0, 4),
    )


def places() -> Any:
    """The places of nodes."""
    paths = _core.shortest_paths(**EDGES, root_tier=array("B", [1] * ROOTS))
    return _core.place_keys(
        **EDGES,
        path_edges=paths,
        node_type=TYPES,
        string_key=KEYS[:9],
        type_key=KEYS[:7],
        root_key=KEYS[:ROOTS],
        anchor_node=ALL[5:6],
        anchor_key=KEYS[:1],
        namespace_string=3,
    )


def save_and_load() -> Any:
    """A file written and read; no C of ours, so Python's allocations fail."""
    SNAPSHOT.save("heap.memlens")
    return found(memlens.load("heap.memlens").graph.sections)


def sampler() -> Any:
    """A sampler from start to stop, with all that can be asked of it.

    What is tried is in a function of its own: to enter a handler beyond the 256th unit of a function's
    code, Python 3.11 allocates a number, and tries for ever if that fails.
    """
    native = sys.modules["memlens._core._sampler"]
    native.start(64, 1024, 7)
    try:
        return used_sampler(native)
    finally:
        native.stop()


def used_sampler(native: Any) -> Any:
    """What a running sampler tells of itself."""
    kept = [bytearray(100) for _ in range(3000)]
    columns = native.sample_tables(0)
    native.set_interval(128)
    assert len(native.site_tables(0)["bucket_number"]) >= 16
    native.forget_sums()
    health = native.health()
    assert len(kept) == 3000
    native.threads()
    return sorted(columns), health["running"], health["capacity"]


def statistics() -> Any:
    """The text of pymalloc, written to a stream in memory."""
    return bool(sys.modules["memlens._core._sampler"].pymalloc_statistics())


def cases() -> dict[str, Case]:
    """The functions by name: see FUNCTIONS in failing_allocator.py."""
    ours = (MemoryError, memlens.MemlensError)
    return {
        "capture inline": Case(capture_inline),
        "capture inline, Python's too": Case(capture_inline, with_python=True),
        "capture with values": Case(capture_with_values),
        "capture forked": Case(capture_forked, ours),
        "dominators": Case(dominators),
        "dominators, Python's too": Case(dominators, with_python=True),
        "searches": Case(searches),
        "searches, Python's too": Case(searches, with_python=True),
        "counts": Case(counts),
        "counts, Python's too": Case(counts, with_python=True),
        "places": Case(places),
        "places, Python's too": Case(places, with_python=True),
        "save and load": Case(save_and_load, ours, with_python=True, may_do_without=True),
        "statistics of pymalloc": Case(statistics, with_python=True, owns_all=False),
        "sampler": Case(sampler, may_do_without=True),
        "sampler, Python's too": Case(sampler, with_python=True, may_do_without=True),
    }


def settled(result: Any) -> Any:
    """A result that can be compared: a captured heap is, by what it tells of the planted objects."""
    return found(result) if isinstance(result, dict) and "node_type" in result else result


# ---- the trials


class Trials:
    """Counts what became of each trial, and what was wrong."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.outcomes: Counter[str] = Counter()
        self.problems: list[str] = []
        self.expected = settled(case.call())

    def run(self, first: int, last: int) -> int:
        """One call with the allocations ``first`` to ``last`` failing; the number it asked for."""
        PROGRESS.write_text(f"{first} to {last}")
        files, live = open_files(), live_bytes()
        result, error, seen = _failing.call(self.case.call, first, last, self.case.with_python)
        self._judge(first, result, error, seen)
        del result, error
        gc.collect()
        if open_files() != files:
            self.problems.append(
                f"allocation {first}: {open_files() - files} descriptors left over"
            )
        if self.case.owns_all and live_bytes() != live:
            self.problems.append(f"allocation {first}: {live_bytes() - live} bytes left over")
        return int(seen)

    def _judge(self, first: int, result: Any, error: BaseException | None, seen: int) -> None:
        if isinstance(error, self.case.errors):
            self.outcomes[type(error).__name__] += 1
        elif error is not None:
            self.problems.append(f"allocation {first}: {error!r}")
        elif seen >= first > 0 and not self.case.may_do_without:
            self.problems.append(f"allocation {first}: no error")
        elif settled(result) != self.expected:
            self.problems.append(f"allocation {first}: another result")
        else:
            self.outcomes["done without it"] += seen >= first > 0

    def try_again(self, first: int) -> None:
        """Without a failure the result is what it was."""
        if settled(self.case.call()) != self.expected:
            self.problems.append(f"after allocation {first}: another result")


def open_files() -> int:
    """The descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))


def live_bytes() -> int:
    """What the extensions have allocated and not freed."""
    return int(_failing.live_bytes())


def numbers(total: int, limit: int) -> list[int]:
    """All of them, or the first ones and an even sample of the others."""
    if total <= limit:
        return list(range(1, total + 1))
    dense = limit // 2
    step = (total - dense) / (limit - dense)
    return [*range(1, dense + 1), *(dense + round(step * i) for i in range(1, limit - dense + 1))]


def main(name: str, limit: int) -> int:
    """Fail the allocations of one function in turn and print its line."""
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    gc.disable()
    plant()
    trials = Trials(cases()[name])
    for _ in range(3):  # caches of the interpreter fill
        total = trials.run(0, 0)
    tried = numbers(total, limit)
    for first in tried:
        trials.run(first, first)
        trials.run(first, sys.maxsize) if first % 5 == 1 else None
        trials.try_again(first)
    outcomes = ", ".join(
        f"{count} {what}" for what, count in sorted(trials.outcomes.items()) if count
    )
    verdict = f"{len(trials.problems)} PROBLEMS" if trials.problems else "ok"
    for problem in trials.problems[:MOST_OUTCOMES]:
        print(f"  {problem}")
    print(f"{name}: {total} allocations, {len(tried)} failed in turn: {outcomes}: {verdict}")
    return bool(trials.problems)


SNAPSHOT: Any = None

if __name__ == "__main__":
    if "save" in sys.argv[1]:
        SNAPSHOT = memlens.take_heap_snapshot(mode="inline")
    if sys.argv[1].startswith(("sampler", "statistics")):
        import memlens._core._sampler
    raise SystemExit(main(sys.argv[1], int(sys.argv[2])))
