"""Whole heaps as tables for tests, and what networkx finds in them."""

from __future__ import annotations

from collections import Counter

from memlens.tables.process_columns import ProcessColumns
from memlens.tables.schema import table_named

PROCESS = ProcessColumns("shop", "1.0", "pod-1", "pod-1/7-aa", "main", "3.11.7", "0.1")


def write_heaps(folder, *snapshots):
    """Write snapshots as the tables nodes and edges; return their names."""
    from memlens.tables.parquet_file import TableWriter
    from memlens.tables.whole_heap import edge_batches, node_batches, snapshot_id

    names = []
    for number, snapshot in enumerate(snapshots):
        names.append(snapshot_id(snapshot, PROCESS))
        for table, batches in (("nodes", node_batches), ("edges", edge_batches)):
            place = folder / table / "service=shop" / "day=2026-03-02" / "hosts=pod-1"
            place.mkdir(parents=True, exist_ok=True)
            with TableWriter(place / f"{number}.parquet", table_named(table)) as writer:
                for columns in batches(snapshot, PROCESS, uptime_seconds=float(number)):
                    writer.write(columns)
    return names


def duckdb_heaps(folder):
    """Return DuckDB over the tables of a folder."""
    from memlens.fleet.duckdb_engine import DuckDBEngine
    from memlens.tables.table_folder import list_tables

    return DuckDBEngine(list_tables(folder), memory_bytes=1 << 30, threads=2)


def reach_of(graph, type_name):
    """Return what networkx finds about the objects of a type.

    ``graph``: a DiGraph whose node 0 is the process, with ``type`` and ``size`` for each node.
    """
    import networkx

    targets = {node for node, kind in graph.nodes(data="type") if kind == type_name and node}
    without = graph.copy()
    without.remove_edges_from([edge for edge in graph.edges if edge[0] in targets])
    distances = networkx.single_source_shortest_path_length(without, 0)
    reachable = set(networkx.descendants(graph, 0))
    pruned = graph.subgraph(set(graph) - targets)
    kept = reachable - networkx.descendants(pruned, 0)
    reached = targets & distances.keys()
    return {
        "targets": len(targets),
        "reached": len(reached),
        "inner": len(targets & reachable) - len(reached),
        "kept": len(kept),
        "kept_bytes": sum(graph.nodes[node]["size"] for node in kept),
        "distances": Counter(distances[node] - 1 for node in reached),
    }
