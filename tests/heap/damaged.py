"""Files with valid checksums and wrong values: every section and fact of a small heap, mutated."""

from __future__ import annotations

import copy
import json
from array import array
from unittest import mock

from memlens._core.layout import NodeFlag, RootKind
from memlens.heap.graph import snapshot_file
from memlens.heap.graph.allocation_sites import site_sections
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.snapshot import HeapSnapshot
from tests.heap.sampled import OBJECT, tables

EXTREMES = {
    "B": (0, 1, 7, 8, 127, 255),
    "H": (0, 1, 2, 4, 8, 32, 0x7FFF, 0xFFFF),
    "I": (0, 1, 2, 7, 0x7FFF_FFFF, 0xFFFF_FFFE, 0xFFFF_FFFF),
    "Q": (0, 1, 2, 55, 56, 1 << 31, 1 << 63, (1 << 64) - 1),
    "d": (0.0, -1.0, 1e308, float("inf"), float("nan"), 5e-324),
}
FACT_VALUES = (
    None, True, -1, 0, 1.5, 10**30, 1e308, float("inf"), "", "\x1b[2Jevil", [], [-1], ["x"], [1 << 70],
    {}, {"a": 1}, {"7": "x\x07"}, [[]] * 3,
)  # fmt: skip


NOTES = b"""
{"library": "torch", "state": "started", "objects": 3}
{"library": "torch", "state": "done", "objects": 3, "blocks": 3, "failed": 1, "error": "TypeError"}
{"library": "torch", "part": "later", "state": "started", "objects": 3}
{"library": "lxml", "state": "done", "objects": 1, "blocks": 1, "skipped": 2, "seconds": 0.25}
"""


def whole_heap():
    """Return a heap with all sections, cycles, garbage, frames, sites, native blocks, long names."""
    from tests.heap.test_views import varied

    p = varied()
    a, b = p.node("str", 100), p.node("str", 100)
    sparse, full = p.node("dict", 5 << 20, length=3), p.node("list", 4000, length=400, bound=500)
    grown = p.node("list", 3000, length=300)
    cycle = p.node("app.Node", 48)
    p.edge(grown, cycle, position=3, kind=3)
    p.edge(cycle, cycle, name="self")
    p.edge(full, cycle, position=3, kind=3)
    p.module("more", a=a, b=b, sparse=sparse, full=full, grown=grown)
    p.root(full, RootKind.FRAME, frame=(7, "work", "/app/work.py", 9))
    p.equal([a, b])
    p.value(a, "text\x1b[31m")
    p.value(b, "text\x1b[31m")
    p.node("app.Lost", 7, flags=NodeFlag.GARBAGE)
    tensors = [p.node("torch.Tensor", 80) for _ in range(3)]
    for tensor in tensors:
        p.edge(full, tensor, position=4, kind=3)
    p.native(4 << 20, *tensors[:2], key="storage")
    p.native(2 << 20, tensors[2], device="cuda:0", key="storage of a device")
    p.native(1 << 20, tensors[2], library="PIL")
    p.native(9000, grown, device="mapped", library="mmap", key="file")
    p.native(8000, p.node("app.Lost", 7, flags=NodeFlag.GARBAGE), library="lxml")
    p.notes = NOTES
    graph = p.graph(lost_samples=[])
    calls = [("Store.put", "/app/store.py", 12), ("serve", "/app/main.py", 40)]
    samples = [(graph.node_address[n] - 16, 400, 0.5, OBJECT, calls[:2]) for n in (a, b, full)]
    sites = site_sections(
        tables([*samples, (graph.node_address[cycle], 64, 1.0, OBJECT, calls[1:])])
    )
    return HeapSnapshot(HeapGraph({**graph.sections, **sites}, graph.facts))


def stored(snapshot):
    """Return what a file of the snapshot stores: sections as arrays, and facts."""
    sections = {
        name: (code, array(code, memoryview(column).tobytes()))
        for name, (code, column) in snapshot.graph.stored_sections().items()
    }
    return sections, copy.deepcopy(snapshot.facts)


def mutate(sections, facts, rng, names=None):
    """Return a damaged copy, with a description of the damage; ``names``: of some sections only."""
    sections = {name: (code, array(code, column)) for name, (code, column) in sections.items()}
    facts = copy.deepcopy(facts)
    what = []
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        name = rng.choice(
            [n for n in names or (*sections, *["facts"] * 6) if n in (*sections, "facts")]
        )
        if name == "facts":
            what.append(_mutate_fact(facts, rng))
        else:
            what.append(_mutate_section(sections, name, rng))
    return sections, facts, "; ".join(what)


def _mutate_fact(facts, rng):
    key = rng.choice([*facts])
    if rng.random() < 0.2:
        facts.pop(key)
        return f"without the fact {key}"
    facts[key] = rng.choice(FACT_VALUES)
    return f"the fact {key} is {facts[key]!r}"


def _mutate_section(sections, name, rng):
    code, column = sections[name]
    kind = rng.choice(["value"] * 8 + ["swap", "shuffle", "cut", "longer", "drop", "type", "copy"])
    if kind == "drop":
        del sections[name]
    elif kind == "type":
        code = rng.choice([c for c in EXTREMES if c != code])
        raw = column.tobytes()
        size = array(code).itemsize
        sections[name] = code, array(code, raw[: len(raw) // size * size])
    elif kind == "cut":
        del column[rng.randrange(len(column) + 1) :]
    elif kind == "longer":
        column.append(rng.choice(EXTREMES[code]))
    elif kind == "shuffle":
        values = column.tolist()
        rng.shuffle(values)
        sections[name] = code, array(code, values)
    elif kind == "copy":
        other_code, other = sections[rng.choice([n for n in sections if sections[n][0] == code])]
        sections[name] = other_code, array(code, (other.tolist() * len(column))[: len(column)])
    elif column:
        place = rng.randrange(len(column))
        if kind == "swap":
            other = rng.randrange(len(column))
            column[place], column[other] = column[other], column[place]
        else:
            column[place] = _value(code, column, place, rng)
    return f"{name}: {kind}"


def _value(code, column, place, rng):
    limit = {"B": 256, "H": 1 << 16, "I": 1 << 32, "Q": 1 << 64}.get(code)
    if limit is None or rng.random() < 0.5:
        return rng.choice(EXTREMES[code])
    near = column[place] + rng.choice((-8, -1, 1, 2, 8, 40, 1000))
    return max(0, min(limit - 1, near))


def write_damaged(path, sections, facts):
    """Write the damaged sections with correct checksums."""
    with mock.patch.object(snapshot_file, "facts_text", json.dumps):  # infinities, too
        snapshot_file.write_sections(path, sections, facts)
