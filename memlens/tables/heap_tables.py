"""Whole heaps in a table folder: the nodes and edges of snapshots."""

from __future__ import annotations

import datetime
import os
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import Any

from memlens.heap.snapshot import HeapSnapshot
from memlens.process.service import release_of, service_of
from memlens.tables.partition_names import encode_name
from memlens.tables.process_columns import ProcessColumns, microseconds_of
from memlens.tables.schema import EDGES, NODES
from memlens.tables.table_folder import check_local, open_writer
from memlens.tables.value_tables import process_of, table_batches
from memlens.tables.whole_heap import snapshot_id

__all__ = ("HeapFiles", "write_heap")


@dataclass(frozen=True, slots=True)
class HeapFiles:
    """The files of one snapshot. ``size_bytes``: of both files together."""

    snapshot: str
    nodes: str
    edges: str
    node_count: int
    edge_count: int
    size_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return asdict(self)


def write_heap(
    folder: str | os.PathLike[str],
    snapshot: HeapSnapshot,
    *,
    service: str | None = None,
    release: str | None = None,
) -> HeapFiles:
    """Write all nodes and edges of a snapshot to a table folder, with memory for one batch.

    ``service`` and ``release``: None takes what the snapshot tells. A snapshot that is written again
    replaces its files. Raises ``OptionError`` for a URL, ``OutputError`` if a file cannot be written.
    """
    place = check_local(folder)
    process = process_of(snapshot)
    process = replace(
        process,
        service=process.service if service is None else service_of(service, None),
        release=process.release if release is None else release_of(release),
    )
    day = datetime.datetime.fromtimestamp(snapshot.timestamp, datetime.UTC).date()
    key = (process.service, day, process.host)
    name = _file_name(snapshot, process)
    with ExitStack() as stack:  # neither file gets its name unless both are whole
        writers = [
            stack.enter_context(open_writer(place, table, key, name)) for table in (NODES, EDGES)
        ]
        for table, writer in zip((NODES, EDGES), writers, strict=True):
            for columns in table_batches(snapshot, table, process):
                writer.write(columns)
    nodes, edges = writers
    return HeapFiles(
        snapshot_id(snapshot, process),
        nodes.path,
        edges.path,
        nodes.row_count,
        edges.row_count,
        nodes.size_bytes + edges.size_bytes,
    )


def _file_name(snapshot: HeapSnapshot, process: ProcessColumns) -> str:
    """Return a name that only this snapshot has: its time in UTC, its process, microseconds."""
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(snapshot.timestamp))
    owner = process.process.rpartition("/")[2]
    return encode_name(f"{moment}-{owner}-{microseconds_of(snapshot.timestamp)}")
