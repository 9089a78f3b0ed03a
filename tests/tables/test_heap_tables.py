"""Whole heaps in a table folder: every node and edge, and the files of one snapshot only once."""

from __future__ import annotations

import os

import pytest

pytest.importorskip("pyarrow")

from memlens.errors import OptionError, OutputError
from memlens.tables.heap_tables import write_heap
from memlens.tables.parquet_file import read_table
from memlens.tables.table_folder import list_tables
from tests.leaks.test_suspects import leaking_dict, series


def snapshots():
    return series(leaking_dict, 2, pid=4711, process="one")


def test_the_nodes_and_edges_of_snapshots_are_written(tmp_path):
    for snapshot in snapshots():
        files = write_heap(tmp_path, snapshot, service="shop", release="1.2")
        nodes, edges = read_table(files.nodes), read_table(files.edges)
        assert nodes["node"] == list(range(snapshot.graph.node_count))
        assert sum(nodes["size_bytes"]) == sum(snapshot.graph.node_size)
        assert {*edges["source"], *edges["target"]} <= {*nodes["node"]}
        assert {*nodes["snapshot"]} == {*edges["snapshot"]} == {files.snapshot}
        assert {*nodes["service"]} == {"shop"} and {*edges["release"]} == {"1.2"}
        assert files.node_count == len(nodes["node"]) and files.edge_count == len(edges["source"])
        assert files.size_bytes == os.path.getsize(files.nodes) + os.path.getsize(files.edges)
        assert files.to_dict()["nodes"] == files.nodes
    listing = list_tables(tmp_path, services=["shop"])
    assert (len(listing.files["nodes"]), len(listing.files["edges"])) == (2, 2)


def test_a_snapshot_that_is_written_again_replaces_its_files(tmp_path):
    snapshot = snapshots()[0]
    assert write_heap(tmp_path, snapshot) == write_heap(tmp_path, snapshot)
    assert len(list_tables(tmp_path).files["nodes"]) == 1


def test_both_files_are_there_or_none(tmp_path, monkeypatch):
    from memlens.tables import heap_tables

    batches = heap_tables.table_batches

    def failing(snapshot, table, process):
        if table.name == "edges":
            raise OutputError("no space")
        return batches(snapshot, table, process)

    monkeypatch.setattr(heap_tables, "table_batches", failing)
    with pytest.raises(OutputError):
        write_heap(tmp_path, snapshots()[0])
    assert [names for _, _, names in os.walk(tmp_path) if names] == []


def test_a_url_is_refused():
    with pytest.raises(OptionError, match="local folders"):
        write_heap("s3://bucket/x", snapshots()[0])
