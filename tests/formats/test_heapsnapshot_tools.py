"""What Chrome DevTools and memlab say about our files, and memlens about those of Node.js.

The tools are packages of npm that the lane ``viewers`` of ``.ci/run`` installs; their folder is in
MEMLENS_NODE_MODULES.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import memlens
from memlens._core.layout import NONE, NodeFlag
from memlens.heap.graph import checked_core

pytestmark = pytest.mark.node

ORACLES = Path(__file__).with_name("oracles")
TOP = 1000
PROGRAM = """
import gc, sys, threading
sys.path.insert(0, sys.argv[1])
import memlens

class Session:
    def __init__(self, number):
        self.name = f"session {number}"
        self.tags = {"a", number}
        self.items = [number, {"key": (number, b"x" * number)}]
        self.me = self

class Parent:
    pass

registry = {}
def grow(count):
    for number in range(len(registry), len(registry) + count):
        registry[number] = Session(number)

def handle(event, done, local):
    event.set()
    done.wait()

profiler = memlens.AllocationProfiler(interval_bytes=4096)
profiler.start()
ready, done = threading.Event(), threading.Event()
thread = threading.Thread(target=handle, args=(ready, done, [b"local" * 1000]))
thread.start()
ready.wait()
grow(500)
first = memlens.take_heap_snapshot(values=True, facts={"memory": {"rss_bytes": 1 << 30}})
first.save(sys.argv[2])
grow(300)
gc.disable()
lost = Parent(); lost.child = Parent(); lost.child.parent = lost; lost.shared = registry
del lost
memlens.take_heap_snapshot(
    sys.argv[3], values=True, collect=False, facts={"memory": {"rss_bytes": 1 << 30}}
)
done.set()
"""


@pytest.fixture(scope="module")
def modules():
    found = os.environ.get("MEMLENS_NODE_MODULES")
    assert found, "--node needs MEMLENS_NODE_MODULES: see .ci/run"
    return found


def run(*command):
    subprocess.run([*map(str, command)], check=True, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory):
    """Two snapshots of a Python program: with garbage, sampled allocations and a running thread."""
    folder = tmp_path_factory.mktemp("python")
    paths = [folder / "first.memlens", folder / "second.memlens"]
    root = Path(memlens.__file__).parent.parent
    run(sys.executable, "-c", PROGRAM, root, *paths)
    return [memlens.load(path) for path in paths]


@pytest.fixture(scope="module")
def files(snapshots, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    paths = [folder / "first.heapsnapshot", folder / "second.heapsnapshot"]
    memlens.export(snapshots[0], paths[0])
    memlens.export(snapshots[1], paths[1], before=snapshots[:1])
    return paths


@pytest.fixture(scope="module")
def ids(files):
    """The id of each row of the second file; rows are nodes of the graph."""
    numbers = json.loads(files[1].read_text())["nodes"]
    return numbers[2::7]


@pytest.fixture(scope="module")
def whole(snapshots):
    """The dominators and the retained sizes of the second snapshot as viewers count.

    To them memlens's own objects are objects as any other; memlens leaves them out of what a program
    retains.
    """
    graph = snapshots[1].graph
    return checked_core.dominator_tree(
        graph.edge_offset, graph.edge_target, graph.edge_label, graph.node_size
    )


def largest(retained, count=TOP):
    """The nodes that retain most, garbage and memlens's own objects among them."""
    return sorted(range(1, len(retained)), key=lambda node: -retained[node])[:count]


@pytest.fixture(scope="module")
def answer(modules, snapshots, whole, files, ids, tmp_path_factory):
    """What DevTools says about the second file, and about both."""
    folder = tmp_path_factory.mktemp("devtools")
    graph = snapshots[1].graph
    session = snapshots[1].select("__main__.Session").largest(1)[0].index
    sampled = [node for node in graph.sites.samples if graph.type_of(node) == "__main__.Session"]
    request = {
        "files": [*map(str, files)],
        "ids": [ids[node] for node in [*largest(whole[1]), session]],
        "retainers": [ids[session]],
        "stacks": [ids[node] for node in sampled],
    }
    (folder / "request.json").write_text(json.dumps(request))
    run(
        *("node", "--import", ORACLES / "newer.mjs", ORACLES / "devtools.mjs"),
        *(modules, folder / "request.json", folder / "answer.json"),
    )
    return json.loads((folder / "answer.json").read_text()) | {"session": ids[session]}


def memlab(modules, file, folder, count):
    run("node", ORACLES / "memlab.cjs", modules, file, folder / "memlab.json", count)
    return json.loads((folder / "memlab.json").read_text())


def dominator_id(whole, ids, node):
    """The id of a dominator; None where it is the root, which has groups in files."""
    dominator = whole[0][node]
    return None if dominator in (0, NONE) else ids[dominator]


# -- our files -------------------------------------------------------------------------------------


def test_devtools_finds_our_retained_sizes_and_dominators(answer, snapshots, whole, ids):
    graph = snapshots[1].graph
    known = {*ids[: graph.node_count]}
    for node in largest(whole[1]):
        found = answer["objects"][str(ids[node])]
        assert found["info"]["selfSize"] == graph.node_size[node]
        assert found["info"]["retainedSize"] == whole[1][node]
        above = found["dominators"][1]["nodeId"]
        assert dominator_id(whole, ids, node) == (above if above in known and above != 1 else None)
    assert answer["problems"] == []


def test_devtools_has_our_totals(answer, snapshots, files):
    snapshot, statistics = snapshots[1], answer["statistics"]
    extra = json.loads(files[1].read_text())["snapshot"]["extra_native_bytes"]
    assert extra > 0
    assert statistics["total"] == snapshot.total_bytes + extra
    assert statistics["native"]["total"] == snapshot.native_bytes + extra
    sizes = Counter()
    for node in range(1, snapshot.graph.node_count):
        sizes[snapshot.graph.type_of(node)] += snapshot.graph.node_size[node]
    heap = statistics["v8heap"]
    assert heap["total"] == snapshot.total_bytes - snapshot.native_bytes
    assert (heap["strings"], heap["code"], heap["system"]) == (sizes["str"], sizes["code"], 0)


def counts_by_class(graph):
    """The number of objects of each class as DevTools calls it; it hides those without a size."""
    names = {"str": "(string)", "function": "Function", "code": "(compiled code)"}
    counts = Counter()
    for node in range(1, graph.node_count):
        kind, name = graph.kind_of(node), graph.type_of(node)
        name = names.get(name, name) if kind is None else kind.text.removeprefix("of ")
        counts[name] += graph.node_size[node] > 0
    return +counts


def test_the_summary_of_devtools_is_by_our_types(answer, snapshots):
    found = {row["className"]: row["count"] for row in answer["classes"]}
    assert found == counts_by_class(snapshots[1].graph)
    assert found["__main__.Session"] == 800


def test_retainers_have_our_names(answer, snapshots):
    retainers = answer["objects"][str(answer["session"])]["retainers"]
    (node,) = snapshots[1].select("__main__.Session").largest(1)
    ours = {(edge.name, edge.source) for edge in strong_edges_to(snapshots[1].graph, node.index)}
    assert {(edge["name"], edge["node"]["nodeIndex"] // 7) for edge in retainers} == ours
    assert len(ours) == 2


def strong_edges_to(graph, node):
    for source in graph.referrers(node):
        yield from (edge for edge in graph.edges(source) if edge.target == node)


def test_allocation_stacks_are_ours(answer):
    stacks = [
        [(frame["functionName"], frame["line"]) for frame in stack]
        for stack in answer["stacks"].values()
    ]
    assert stacks
    for stack in stacks:
        assert [name for name, _ in stack][:2] == ["grow", "<module>"]


def test_the_comparison_of_devtools_is_ours(answer, snapshots):
    found = {change["className"]: change for change in answer["differences"]}
    before, after = (counts_by_class(snapshot.graph) for snapshot in snapshots)
    sessions = found["__main__.Session"]
    assert (sessions["addedCount"], sessions["removedCount"]) == (300, 0)
    names = before.keys() | after.keys()
    changed = {name: after[name] - before[name] for name in names if after[name] != before[name]}
    assert {name: found[name]["countDelta"] for name in changed} == changed


def test_duplicates_of_devtools_are_ours(answer, snapshots):
    graph, texts = snapshots[1].graph, Counter()
    for node in graph.sections["equal_node"]:
        if graph.type_of(node) == "str" and graph.node_size[node]:
            texts[graph.value_of(node)] += 1
    ours = {text: count for text, count in texts.items() if len(text) < 100}
    found = {text: count for text, count in answer["duplicates"] if len(text) < 100}
    assert len(ours) > 500
    assert found == ours


def test_memlab_finds_our_retained_sizes_and_dominators(
    modules, snapshots, whole, files, ids, tmp_path
):
    graph = snapshots[1].graph
    node_of = {number: node for node, number in enumerate(ids[: graph.node_count])}
    rows = [row for row in memlab(modules, files[1], tmp_path, 2 * TOP) if row[0] in node_of]
    rows = [row for row in rows if node_of[row[0]]][:TOP]
    assert len(rows) == TOP
    for number, _, size, retained, above in rows:
        node = node_of[number]
        assert (size, retained) == (graph.node_size[node], whole[1][node])
        above = above if node_of.get(above) else None
        assert above == dominator_id(whole, ids, node)


def test_ours_are_those_of_the_viewers_without_what_memlens_itself_retains(snapshots, whole):
    graph = snapshots[1].graph
    assert graph.dominators.dominator.tolist() == list(whole[0])
    for node in largest(whole[1]):
        own = sum(
            graph.node_size[below]
            for below in graph.dominators.subtree(node)
            if graph.flags[below] & NodeFlag.OWN
        )
        expected = whole[1][node] - (0 if graph.flags[node] & NodeFlag.OWN else own)
        assert graph.retained_bytes(node) == expected


# -- files of Node.js ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def node_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("node")
    paths = [folder / "first.heapsnapshot", folder / "second.heapsnapshot"]
    run("node", ORACLES / "leak.js", *paths)
    return paths


def test_retained_sizes_of_nodes_own_snapshot_are_those_of_memlab(modules, node_files, tmp_path):
    graph = memlens.load(node_files[0]).graph
    node_of = {number: node for node, number in enumerate(graph.node_address) if node}
    rows = memlab(modules, node_files[0], tmp_path, TOP + 1)
    assert rows[0][0] == 1  # the root
    for number, _, size, retained, above in rows[1:]:
        node = node_of[number]
        assert (size, retained) == (graph.node_size[node], graph.retained_bytes(node))
        assert graph.dominators.dominator[node] == node_of.get(above, 0)


def test_the_leak_of_a_program_of_node_is_found(node_files):
    first, second = map(memlens.load, node_files)
    changes = {change.type_name: change for change in first.compare(second)}
    assert (changes["Session"].count_before, changes["Session"].count_after) == (2000, 3000)
    path = second.path_to(second.select("Session").largest(1)[0])
    assert str(path).startswith("global.registry.cache")


def test_classes_of_a_program_of_node_are_those_of_devtools(modules, node_files, tmp_path):
    request = {"files": [str(node_files[0])], "ids": []}
    (tmp_path / "request.json").write_text(json.dumps(request))
    run(
        *("node", "--import", ORACLES / "newer.mjs", ORACLES / "devtools.mjs"),
        *(modules, tmp_path / "request.json", tmp_path / "answer.json"),
    )
    answer = json.loads((tmp_path / "answer.json").read_text())
    found = {row["className"]: row["count"] for row in answer["classes"]}
    graph = memlens.load(node_files[0]).graph
    ours = Counter(graph.type_of(n) for n in range(1, graph.node_count) if graph.node_size[n])
    for name in ("Session", "(string)", "Function", "(compiled code)", "Map", "(object shape)"):
        assert ours[name] == found[name] > 0
