"""What calls the C core, for failing allocations: its captures, computations and sampler."""

from __future__ import annotations

import bz2
import ctypes
import mmap
import random
import sys
import zlib
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from case import Case

import memlens
from memlens import _core
from memlens._core.layout import LABEL_BITS
from memlens._core.native_chunks import encode_chunk
from memlens.heap.snapshot import HeapSnapshot

__all__ = ("core_cases", "found", "plant", "settled")

NODES = 3000


class Planted:
    """What the captures look for."""

    def __init__(self, number: int) -> None:
        self.number = [number]
        self.name = f"planted {number}"


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
    rows = [row for row, name in enumerate(names) if name == f"{__name__}.Planted"]
    nodes = [node for node, row in enumerate(columns["node_type"]) if row in rows]
    starts = columns["edge_offset"]
    shapes = Counter(
        (starts[node + 1] - starts[node], columns["node_size"][node]) for node in nodes
    )
    classes = sum(count for name, count in counts.items() if name.startswith(f"{__name__}.Class"))
    return counts[f"{__name__}.Planted"], classes, sorted(shapes.items())


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


def save_and_load() -> Callable[[], Any]:
    """A file written and read; no C of ours, so Python's allocations fail."""
    snapshot = memlens.take_heap_snapshot(mode="inline")

    def call() -> Any:
        snapshot.save("heap.memlens")
        return found(HeapSnapshot.load("heap.memlens").graph.sections)

    return call


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


def core_cases() -> dict[str, Callable[[], Case]]:
    """The functions by name, each as what makes its case: see FUNCTIONS in __main__.py."""
    ours = (MemoryError, memlens.MemlensError)
    return {
        "capture inline": lambda: Case(capture_inline),
        "capture inline, Python's too": lambda: Case(capture_inline, with_python=True),
        "capture with values": lambda: Case(capture_with_values),
        "capture forked": lambda: Case(capture_forked, ours),
        "dominators": lambda: Case(dominators),
        "dominators, Python's too": lambda: Case(dominators, with_python=True),
        "searches": lambda: Case(searches),
        "searches, Python's too": lambda: Case(searches, with_python=True),
        "counts": lambda: Case(counts),
        "counts, Python's too": lambda: Case(counts, with_python=True),
        "places": lambda: Case(places),
        "places, Python's too": lambda: Case(places, with_python=True),
        "save and load": lambda: Case(save_and_load(), ours, with_python=True, may_do_without=True),
        "statistics of pymalloc": lambda: Case(statistics, with_python=True, owns_all=False),
        "sampler": lambda: Case(sampler, may_do_without=True),
        "sampler, Python's too": lambda: Case(sampler, with_python=True, may_do_without=True),
    }


def settled(result: Any) -> Any:
    """A result that can be compared: a captured heap is, by what it tells of the planted objects."""
    return found(result) if isinstance(result, dict) and "node_type" in result else result
