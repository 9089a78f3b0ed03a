"""What waits in a heap: suspended tasks of asyncio, and threads that wait without a timeout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from memlens._core.layout import NONE, EdgeKind, NodeFlag, RootKind
from memlens.heap.graph.heap_graph import Edge, HeapGraph
from memlens.stuck.labelled_edges import LabelledEdges

__all__ = ("NAMES", "Waiter", "find_waiters")

NAMES = ("_args", "_coro", "_fut_waiter", "_loop", "_children", "_signal_handlers")
_COROUTINES = ("coroutine", "generator")  # also those of Cython
_NOT_WAITING = NodeFlag.FINISHED | NodeFlag.GARBAGE | NodeFlag.OWN


@dataclass(frozen=True, slots=True)
class Waiter:
    """A task or a thread that waits.

    ``node``: the task or the ``Thread`` object. ``awaited``: the future, or the ``Condition``.
    ``own``: the nodes through which nothing else acts while it waits: the task and its coroutine;
    the thread and its frames.
    """

    kind: str  # "task" or "thread"
    node: int
    awaited: int
    own: tuple[int, ...]
    thread: int = 0  # the identifier of a thread


def find_waiters(graph: HeapGraph, edges: LabelledEdges) -> list[Waiter]:
    """Return the suspended tasks and the threads that wait for a condition."""
    return [*_tasks(graph, edges), *_threads(graph, edges)]


def _tasks(graph: HeapGraph, edges: LabelledEdges) -> Iterator[Waiter]:
    for task in sorted(edges.by_name["_coro"]):
        coroutine, awaited = edges.target("_coro", task), edges.target("_fut_waiter", task)
        if coroutine is None or awaited is None or graph.type_of(awaited) == "NoneType":
            continue  # it runs, or will run at once
        if not graph.type_of(coroutine).endswith(_COROUTINES):
            continue  # a class, whose descriptors have these names
        if edges.target("_loop", task) is None or graph.has(task, _NOT_WAITING):
            continue
        yield Waiter("task", task, awaited, (task, coroutine))


def _threads(graph: HeapGraph, edges: LabelledEdges) -> Iterator[Waiter]:
    """Yield the threads whose innermost frame is `threading.Condition.wait` without a timeout."""
    frames: dict[int, dict[int, int]] = {}  # by thread and depth
    for root in range(graph.root_count_total):
        row = graph.root_frame[root]
        if row != NONE:
            depths = frames.setdefault(graph.frame_thread[row], {})
            depths[graph.frame_depth[row]] = root
    for thread, depths in frames.items():
        innermost = depths.get(0)
        if innermost is None or not _is_condition_wait(graph, innermost):
            continue
        nodes = [graph.edge_target[root] for root in depths.values()]
        own_locals = _locals(graph, graph.edge_target[innermost])
        condition, timeout = own_locals.get("self"), own_locals.get("timeout")
        objects = {_locals(graph, node).get("self") for node in nodes}
        running = [one for one in objects if one is not None and _is_thread(graph, one)]
        if condition is None or timeout is None or not running:
            continue  # the capture could not read the variables, or it is the main thread
        if graph.type_of(timeout) == "NoneType":
            passed = _passed_arguments(graph, edges, running[0])
            own = (*dict.fromkeys(running), *nodes, *passed)
            yield Waiter("thread", running[0], condition, own, thread)


def _passed_arguments(graph: HeapGraph, edges: LabelledEdges, thread: int) -> list[int]:
    """Return the tuples in which ``Thread.run`` hands its arguments on.

    The interpreter holds such a tuple during the call, so it looks like a root of its own.
    """
    arguments = edges.target("_args", thread)
    if arguments is None:
        return []
    passed = set(graph.strong_targets(arguments))
    return [
        target
        for root, target in enumerate(graph.edge_target[: graph.root_count_total])
        if graph.root_kind[root] == RootKind.EXTERNAL
        and graph.root_count[root] <= 1
        and graph.type_of(target) == "tuple"
        and set(graph.strong_targets(target)) == passed
    ]


def _is_condition_wait(graph: HeapGraph, root: int) -> bool:
    row = graph.root_frame[root]
    file = graph.string(graph.frame_file[row]).replace("\\", "/")
    name = graph.string(graph.frame_function[row])
    return name == "Condition.wait" and file.endswith("/threading.py")


def _locals(graph: HeapGraph, frame: int) -> dict[str, int]:
    return {edge.name: edge.target for edge in graph.edges(frame) if edge.kind is EdgeKind.LOCAL}


def _is_thread(graph: HeapGraph, node: int) -> bool:
    """Tell whether a ``self`` is a thread: its class has the name, or it refers to ``_started``."""
    return graph.type_of(node) == "threading.Thread" or any(
        edge.name == "_tstate_lock" or edge.name == "_started" for edge in _fields(graph, node)
    )


def _fields(graph: HeapGraph, node: int) -> Iterator[Edge]:
    for edge in graph.edges(node):
        yield edge
        if graph.node_flags[edge.target] & NodeFlag.NAMESPACE:
            yield from graph.edges(edge.target)
