"""Rules for the queues of the standard library between producers and consumers."""

from __future__ import annotations

from memlens._core.layout import NONE
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.leaks.patterns.case import DATA, Case, Diagnosis

__all__ = ("queues",)

_KINDS = ("Queue", "LifoQueue", "PriorityQueue")
_QUEUES = {
    **{f"asyncio.queues.{kind}": f"asyncio.{kind}" for kind in _KINDS},
    **{f"queue.{kind}": f"queue.{kind}" for kind in _KINDS},
}
_ITEMS = frozenset({"._queue", ".queue"})  # the attributes in which they keep their items
_MAX_BASES = 20


def queues(case: Case) -> Diagnosis | None:
    """The items of a queue: more are put into it than are taken out."""
    hops = [hop for hop in case.path.hops if hop.text]
    if len(hops) < 2 or hops[-1].text not in _ITEMS or hops[-1].node != case.subject:
        return None
    name = _queue_of(case.graph, hops[-2].node)
    if not name:
        return None
    what = f"{case.kind} objects" if case.kind else "objects"
    return Diagnosis(
        "unbounded-cache" if not case.kind or case.kind in DATA else "registry",
        f"more {what} are put into this {name} than are taken out",
        "The producer is faster than the consumer, or none is left: give the queue a bound,"
        f" {name}(maxsize=N), so that the producer waits, or take items out faster.{case.where()}",
    )


def _queue_of(graph: HeapGraph, node: int) -> str:
    """Return the public name of the class of a queue, which may be a base; ``""`` of another object."""
    if node < 0:
        return ""
    name, kind = graph.type_of(node), graph.type_node[graph.node_type[node]]
    for _ in range(_MAX_BASES):
        if name in _QUEUES or kind == NONE:
            break
        kind = next((e.target for e in graph.edges(kind) if e.name == "__base__"), NONE)
        name = "" if kind == NONE else graph.name_of(kind)
    return _QUEUES.get(name, "")
