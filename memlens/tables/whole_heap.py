"""Rows of ``nodes`` and ``edges``: a whole heap, in batches, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import compress, islice, repeat

from memlens._core.layout import KIND_MASK, LABEL_BITS, NONE, EdgeKind, NodeFlag, RootKind
from memlens.heap.graph.heap_graph import Edge, HeapGraph
from memlens.heap.graph.paths import reference_text
from memlens.heap.graph.root_names import root_kind
from memlens.heap.snapshot import HeapSnapshot
from memlens.tables.process_columns import Columns, ProcessColumns, microseconds_of

__all__ = ("BATCH_ROWS", "edge_batches", "node_batches", "snapshot_id")

BATCH_ROWS = 65_536
_WEAK = int(EdgeKind.WEAK)
_INDEX = int(EdgeKind.INDEX)
_GARBAGE = int(NodeFlag.GARBAGE)
_NATIVE = int(NodeFlag.NATIVE)
_NAMED_ROOTS = (RootKind.MODULE, RootKind.INTERPRETER)
_PROCESS = "process"  # the type of node 0
_MAX_LABELS = 100_000  # that are kept; more are made again


def snapshot_id(snapshot: HeapSnapshot, process: ProcessColumns) -> str:
    """Return the name of a snapshot: ``host/pid-token/time in microseconds``."""
    return f"{process.process}/{microseconds_of(snapshot.timestamp)}"


def node_batches(
    snapshot: HeapSnapshot,
    process: ProcessColumns,
    *,
    uptime_seconds: float | None = None,
    batch_rows: int = BATCH_ROWS,
) -> Iterator[Columns]:
    """Yield all nodes of a heap, by their number: node 0 is the process.

    Garbage and the objects of memlens, which views leave out, are among them; of garbage it is not
    known what it retains. ``uptime_seconds``: the uptime of the process at the snapshot; None takes
    it from the time of the snapshot.
    """
    graph = snapshot.graph
    common = _Common(snapshot, process, uptime_seconds)
    names, retained = [_PROCESS, *graph.type_names[1:]], graph.dominators.retained
    roots = _roots_by_target(graph)
    for start in range(0, graph.node_count, batch_rows):
        end = min(start + batch_rows, graph.node_count)
        flags = graph.node_flags[start:end].tolist()
        yield {
            **common.columns(end - start),
            "node": list(range(start, end)),
            "object_id": graph.node_address[start:end].tolist(),
            "type": [names[row] for row in graph.node_type[start:end]],
            "size_bytes": graph.node_size[start:end].tolist(),
            "is_native": [bool(flag & _NATIVE) for flag in flags],
            "retained_bytes": [
                None if flag & _GARBAGE else size
                for flag, size in zip(flags, retained[start:end], strict=True)
            ],
            "root": [roots.get(node) for node in range(start, end)],
        }


def edge_batches(
    snapshot: HeapSnapshot,
    process: ProcessColumns,
    *,
    uptime_seconds: float | None = None,
    batch_rows: int = BATCH_ROWS,
) -> Iterator[Columns]:
    """Yield all strong references of a heap, by the number of the node that refers.

    Those of node 0, the process, lead to the roots. Weak references, which keep nothing alive, are
    left out. A batch has at most ``batch_rows`` rows, and fewer by its weak references.
    ``uptime_seconds``: as for `node_batches`.
    """
    graph = snapshot.graph
    common = _Common(snapshot, process, uptime_seconds)
    labels = _LabelTexts(graph)
    sources = _sources(graph)
    for start in range(0, graph.edge_count, batch_rows):
        end = min(start + batch_rows, graph.edge_count)
        numbers = graph.edge_label[start:end].tolist()
        is_strong = [number & KIND_MASK != _WEAK for number in numbers]
        strong = list(compress(numbers, is_strong))
        # The first edges are those of node 0. They have no names of references.
        roots = sum(is_strong[: max(0, graph.root_count_total - start)])
        yield {
            **common.columns(len(strong)),
            "source": list(compress(islice(sources, end - start), is_strong)),
            "target": list(compress(graph.edge_target[start:end].tolist(), is_strong)),
            "label": [None] * roots + labels.texts(strong[roots:]),
        }


class _Common:
    """The columns that all rows of one snapshot have."""

    def __init__(
        self, snapshot: HeapSnapshot, process: ProcessColumns, uptime_seconds: float | None
    ) -> None:
        self._id = snapshot_id(snapshot, process)
        self._row = process.same_moment(1, snapshot.timestamp, uptime_seconds)

    def columns(self, count: int) -> Columns:
        columns = {name: values * count for name, values in self._row.items()}
        columns["snapshot"] = [self._id] * count
        return columns


def _roots_by_target(graph: HeapGraph) -> dict[int, str]:
    """Return the text of the root of each node that has one, of several the most useful.

    Modules and references of the interpreter have a name; of others the kind is told only.
    """
    found: dict[int, tuple[int, int]] = {}
    for root, kind in enumerate(graph.root_kind):
        target = graph.edge_target[root]
        found[target] = min(found.get(target, (kind, root)), (kind, root))
    texts = {}
    for target, (kind, root) in found.items():
        name = graph.string(graph.root_name[root]) if kind in _NAMED_ROOTS else ""
        if kind == RootKind.FRAME and graph.root_frame[root] != NONE:
            name = graph.string(graph.frame_function[graph.root_frame[root]])
        texts[target] = f"{root_kind(graph, root)} {name}".rstrip()
    return texts


def _sources(graph: HeapGraph) -> Iterator[int]:
    """Yield the source of each edge, in the order of the edges."""
    offsets = iter(graph.edge_offset)
    start = next(offsets)
    for node, end in enumerate(offsets):
        yield from repeat(node, end - start)
        start = end


class _LabelTexts:
    """The texts of labels: ``.name``, ``[3]``; None without a name. Each is made once."""

    def __init__(self, graph: HeapGraph) -> None:
        self._graph = graph
        self._known: dict[int, str | None] = {}

    def texts(self, labels: Sequence[int]) -> list[str | None]:
        """Return the text of each label."""
        if len(self._known) > _MAX_LABELS:
            self._known.clear()
        for label in {*labels} - self._known.keys():
            self._known[label] = _label_text(self._graph, label)
        return list(map(self._known.__getitem__, labels))


def _label_text(graph: HeapGraph, label: int) -> str | None:
    kind, payload = label & KIND_MASK, label >> LABEL_BITS
    if kind == _INDEX:
        return f"[{payload}]"
    name = graph.string(payload)
    if not name:
        return "[<key>]" if kind == int(EdgeKind.KEY) else None
    return reference_text(Edge(0, 0, EdgeKind(kind), name, 0), None, "") or f".{name}"
