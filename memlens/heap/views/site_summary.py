"""Summary by allocation site: the lines that allocated the live objects."""

from __future__ import annotations

from array import array

from memlens._frame import Frame
from memlens._text import format_bytes, format_count
from memlens.errors import NotInSnapshotError
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.views.summary import Summary, SummaryRow
from memlens.heap.views.visibility import hidden_flags, is_shown

__all__ = ("summarise_sites",)


def summarise_sites(graph: HeapGraph, *, include_garbage: bool = False) -> Summary:
    """Group the sampled objects by the line that allocated them: see `HeapSnapshot.summary`.

    Counts and shallow sizes are estimates for all objects; retained sizes are of the sampled
    objects only, each counted where it was allocated. Raises ``NotInSnapshotError`` if allocations
    were not sampled.
    """
    sites = graph.sites
    if sites is None:
        raise NotInSnapshotError(
            "this snapshot has no allocation sites: take it while a MemoryProfiler or an"
            " AllocationProfiler with the C core samples allocations"
        )
    hidden = hidden_flags(include_garbage)
    sampled = sites.samples.keys() | sites.buffer_samples.keys()
    shown = [node for node in sorted(sampled) if is_shown(graph, node, hidden)]
    shares = sites.shares(shown, 1)
    retained = _retained(graph, [share.call_path[-1] for share in shares], shown)
    rows = [
        SummaryRow(site.short(), round(share.count), round(share.shallow_bytes), retained[site])
        for share in shares
        for site in share.call_path
    ]
    title = (
        f"Allocation sites of process {graph.facts['pid']}: about"
        f" {format_count(sum(row.count for row in rows))} objects,"
        f" {format_bytes(sum(row.shallow_bytes for row in rows))}\n(estimates from"
        f" {format_count(len(shown))} sampled objects; retained sizes are of those only)"
    )
    return Summary(title, rows, "allocated at")


def _retained(graph: HeapGraph, order: list[Frame], nodes: list[int]) -> dict[Frame, int]:
    """Return the bytes retained by the sampled objects of each site."""
    sites = graph.sites
    assert sites is not None
    groups = {site: number for number, site in enumerate(order, start=1)}
    group = array("I", bytes(4 * graph.node_count))  # 0: not sampled, or not shown
    for node in nodes:
        site = sites.site_of(node)
        assert site is not None
        group[node] = groups[site]
    totals = graph.dominators.retained_by_group(group, len(order) + 1, graph.flags)
    return {site: totals[number] for site, number in groups.items()}
