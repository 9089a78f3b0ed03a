"""Any heap, exported: the same retained sizes and dominators, whatever is summed up."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

import memlens
from memlens._core.layout import NONE
from memlens.formats.heapsnapshot import writer

from .heapsnapshot_file import HeapSnapshotFile
from .random_heaps import heaps


def expected_dominator(graph, node):
    """The dominator of a node; None for the root and for garbage, where the file has groups."""
    dominator = graph.dominators.dominator[node]
    return None if dominator in (0, NONE) else dominator


def check(snapshot, file, rows):
    """``rows``: the row in the file of each node that is in it."""
    graph = snapshot.graph
    node_of_row = {row: node for node, row in rows.items()}
    for node, row in rows.items():
        assert file.retained[row] == graph.retained_bytes(node)
        dominator = file.dominators[row]
        if file.nodes[dominator].type == "synthetic":
            assert expected_dominator(graph, node) is None
        else:
            assert node_of_row[dominator] == expected_dominator(graph, node)
    assert file.retained[0] == snapshot.total_bytes


@given(heaps())
@settings(max_examples=150)
def test_dominators_and_retained_sizes_are_ours(tmp_path_factory, snapshot):
    path = tmp_path_factory.mktemp("any") / "x.heapsnapshot"
    memlens.export(snapshot, path)
    nodes = range(1, snapshot.graph.node_count)
    check(snapshot, HeapSnapshotFile(path), dict(zip(nodes, nodes, strict=True)))


@given(heaps(max_nodes=25), st.integers(1, 20))
@settings(max_examples=150)
def test_those_that_stay_keep_dominators_and_retained_sizes(tmp_path_factory, snapshot, max_nodes):
    folder = tmp_path_factory.mktemp("some")
    memlens.export(snapshot, folder / "all.heapsnapshot")
    complete = HeapSnapshotFile(folder / "all.heapsnapshot")
    with patch.object(writer, "_MIN_MAX_NODES", 1):
        memlens.export(snapshot, folder / "some.heapsnapshot", max_nodes=max_nodes)
    file = HeapSnapshotFile(folder / "some.heapsnapshot")
    nodes = range(1, snapshot.graph.node_count)
    row_of_id = file.by_id()
    rows = {
        node: row_of_id[complete.nodes[node].id]
        for node in nodes
        if complete.nodes[node].id in row_of_id
    }
    check(snapshot, file, rows)
    if snapshot.graph.node_count > max_nodes:
        counted = [n for n in file.nodes if n.type != "synthetic" and "part" not in n.name]
        assert len(counted) <= max(max_nodes, 2)
