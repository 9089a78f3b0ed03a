"""The bytes that libraries say they have allocated are held by the right objects, each byte once."""

import importlib.util
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from memlens import _core
from memlens.heap.snapshot import HeapSnapshot
from tests.heap.native.holding_program import LIBRARIES

pytestmark = pytest.mark.skipif(
    _core.fork_capture is None, reason="only the native core can capture in a forked child"
)
ROOT = Path(__file__).resolve().parents[3]
MIN_ATTRIBUTED, MAX_ATTRIBUTED = 0.95, 1.05
SEED = 20


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """Return a function: the snapshot of a program, and the bytes that its library counts."""
    found = {}

    def run(library):
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed")
        if library not in found:
            path = tmp_path_factory.mktemp("held") / "heap"
            done = subprocess.run(
                [sys.executable, "-m", "tests.heap.native.holding_program", library, str(SEED),
                 str(path)],
                cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
                capture_output=True, text=True, timeout=300,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            found[library] = HeapSnapshot.load(path), int(done.stdout)
        return found[library]

    return run


def memory_below(graph, start):
    """Return the bytes of native blocks, and of arrays of numpy, that an object leads to."""
    seen, waiting = {start}, [start]
    while waiting:
        node = waiting.pop()
        for target in graph.strong_targets(node):
            if target not in seen and graph.type_of(target) not in ("type", "module", "function"):
                seen.add(target)
                waiting.append(target)
    native = set(graph.native.nodes) if graph.native is not None else set()
    return sum(
        graph.node_size[node]
        for node in seen
        if node in native or graph.type_of(node) == "numpy.ndarray"
    )


@pytest.mark.parametrize("library", LIBRARIES)
def test_nearly_all_bytes_of_a_library_have_their_holder(held, library):
    snapshot, counted = held(library)
    node = snapshot.node_at("__main__.HELD")
    attributed = memory_below(snapshot.graph, node.index)
    print(f"{library}: {counted:,} counted, {attributed:,} held, {node.retained_bytes:,} retained")
    assert MIN_ATTRIBUTED * counted <= attributed <= MAX_ATTRIBUTED * counted
    assert node.retained_bytes >= MIN_ATTRIBUTED * counted  # nothing else holds it


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_devices_add_up_to_the_heap(held, library):
    snapshot, counted = held(library)
    rows = {row.device: row.shallow_bytes for row in snapshot.summary(by="device")}
    assert sum(rows.values()) == sum(row.shallow_bytes for row in snapshot.summary(by="type"))
    if library not in ("numpy", "pandas"):  # memory of arrays is a part of objects
        assert rows.get("cpu", 0) + rows.get("mapped", 0) >= MIN_ATTRIBUTED * counted


def reached_from_root(edges, without=-1):
    """Return which nodes the root leads to, a flag for each; ``without`` a node that is removed."""
    seen = bytearray(len(edges))
    waiting = [0]
    seen[0] = 1
    if without >= 0:
        seen[without] = 1
    while waiting:
        for target in edges[waiting.pop()]:
            if not seen[target]:
                seen[target] = 1
                waiting.append(target)
    if without >= 0:
        seen[without] = 0
    return seen


@pytest.mark.parametrize("library", LIBRARIES)
def test_retained_sizes_are_what_is_lost_without_the_object(held, library):
    snapshot, _ = held(library)
    graph, choose = snapshot.graph, random.Random(SEED)
    edges = [graph.strong_targets(node) for node in range(graph.node_count)]
    everything = reached_from_root(edges)
    blocks = graph.native.nodes if graph.native is not None else ()
    owners = sorted({one for block in blocks for one in graph.referrers(block) if everything[one]})
    top = snapshot.node_at("__main__.HELD").index
    chosen = choose.sample(owners, min(3, len(owners))) + choose.sample(sorted(set(edges[top])), 2)
    for node in {top, *chosen}:
        rest = reached_from_root(edges, without=node)
        lost = (size for size, all_, left in zip(graph.node_size, everything, rest) if all_ > left)
        assert sum(lost) == graph.retained_bytes(node)
