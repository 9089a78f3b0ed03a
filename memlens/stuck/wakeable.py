"""Which waiters something can still wake.

A task is suspended at a future. Something can wake it if the future can be reached from the roots
without passing through tasks that are themselves stuck: a timer of the loop, a selector, a thread, a
running frame, a global queue. References to a task only remember it, so the search stops there, and
goes on through the task once the task is known to be wakeable: then its code runs, and its callbacks.

A task may also be cancelled. Code that may do so at its own time (a timeout) makes it wakeable:
timers that lead to the task, and code that waits for it and for something else. A reference to a task
that is merely held, in a list or a set, does not.

A thread that waits for a condition is treated alike: what its frames hold counts only if something
else reaches the condition.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

from memlens._core.layout import EdgeKind, NodeFlag
from memlens.heap.graph import checked_core
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.stuck.labelled_edges import LabelledEdges
from memlens.stuck.waiters import Waiter

__all__ = ("find_stuck",)

_SUSPENDED = frozenset({"coroutine", "generator", "async_generator"})
_WALLS = frozenset({"module", "type", "frame", "code", "_contextvars.Context"}) | _SUSPENDED
_TO_GLOBALS = frozenset({"__globals__", "__builtins__", "f_globals"})
# What the callbacks of a future consist of, apart from asyncio's own objects.
_CALLBACK_PARTS = frozenset(
    {
        "tuple", "list", "function", "cell", "functools.partial", "method",
        "builtin_function_or_method", "_asyncio.TaskStepMethWrapper", "_asyncio.TaskWakeupMethWrapper",
    }
)  # fmt: skip


def find_stuck(graph: HeapGraph, edges: LabelledEdges, waiters: Sequence[Waiter]) -> list[Waiter]:
    """Return the waiters that nothing can wake."""
    return _Search(graph, edges, waiters).run()


class _Search:
    def __init__(self, graph: HeapGraph, edges: LabelledEdges, waiters: Sequence[Waiter]) -> None:
        self._graph, self._edges = graph, edges
        self._waiting = list(waiters)
        self._blocked = {node for waiter in waiters for node in waiter.own}
        self._tasks = {waiter.node: waiter for waiter in waiters if waiter.kind == "task"}
        self._loops = {loop for found in edges.by_name["_loop"].values() for loop in found}
        self._weak: dict[int, list[int]] = {}
        for source, target in edges.weak:
            self._weak.setdefault(source, []).append(target)
        self._reached = bytearray()

    def run(self) -> list[Waiter]:
        """Reach what can act, and let waiters that can be woken act, until no more can."""
        graph = self._graph
        without = array("B", bytes(graph.node_count))
        for node in self._blocked:
            without[node] = 1
        self._reached = bytearray(
            checked_core.reached_nodes(
                graph.edge_offset, graph.edge_target, graph.edge_label, without
            )
        )
        self._spread(
            target
            for source, target in self._edges.weak
            if self._reached[source] and self._is_weakly_reachable(target)
        )
        cancelled = self._cancelled_by_timers()
        watched = {task: self._other_futures(task) for task in self._tasks}
        while True:
            woken = [
                waiter
                for waiter in self._waiting
                if waiter.node in cancelled or self._can_wake(waiter, watched)
            ]
            if not woken:
                return self._waiting
            self._waiting = [waiter for waiter in self._waiting if waiter not in woken]
            for waiter in woken:
                self._blocked.difference_update(waiter.own)
            self._spread(node for waiter in woken for node in waiter.own)

    def _can_wake(self, waiter: Waiter, watched: dict[int, list[int]]) -> bool:
        awaited = waiter.awaited
        if awaited in self._blocked:
            return False
        if self._reached[awaited] or self._graph.has(awaited, NodeFlag.FINISHED):
            return True
        return any(self._reached[future] for future in watched.get(waiter.node, ()))

    # -- reaching --------------------------------------------------------------------------------

    def _spread(self, nodes: Iterable[int]) -> None:
        """Reach nodes and all that they lead to, but nothing through what waits."""
        graph, reached, blocked = self._graph, self._reached, self._blocked
        stack = [node for node in nodes if not reached[node] and node not in blocked]
        for node in stack:
            reached[node] = 1
        while stack:
            node = stack.pop()
            targets = graph.strong_targets(node)
            targets += filter(self._is_weakly_reachable, self._weak.get(node, ()))
            for target in targets:
                if not reached[target] and target not in blocked:
                    reached[target] = 1
                    stack.append(target)

    def _is_weakly_reachable(self, node: int) -> bool:
        """Tell whether a weak reference is one by which code acts: asyncio remembers tasks so."""
        return self._graph.type_of(node) not in _SUSPENDED

    # -- cancellation ----------------------------------------------------------------------------

    def _cancelled_by_timers(self) -> set[int]:
        """Return the tasks that a timer, or a callback of the loop, leads to: a timeout.

        To cancel a task cancels what it waits for: another task, or the children of a gathering.
        """
        found = set(self._tasks.keys() & self._led_to_by_handles())
        waiting = list(found)
        while waiting:
            awaited = self._tasks[waiting.pop()].awaited
            children = self._edges.by_name["_children"].get(awaited, [])
            members = [one for child in children for one in self._graph.strong_targets(child)]
            for task in (awaited, *members):
                if task in self._tasks and task not in found:
                    found.add(task)
                    waiting.append(task)
        return found

    def _led_to_by_handles(self) -> set[int]:
        graph = self._graph
        rows = {
            row
            for row, name in enumerate(graph.type_names)
            if name.endswith("Handle") and name.partition(".")[0] in ("asyncio", "uvloop")
        }
        of_signals = self._handles_of_signals()
        seen = {
            node
            for node, row in enumerate(graph.node_type)
            if row in rows and self._reached[node] and node not in of_signals
        }
        stack = list(seen)
        while stack:
            for edge in graph.edges(stack.pop()):
                target = edge.target
                if target in seen or target in self._loops or edge.name in _TO_GLOBALS:
                    continue
                if edge.kind is EdgeKind.WEAK or graph.type_of(target) in _WALLS:
                    continue
                seen.add(target)
                if target not in self._tasks:
                    stack.append(target)
        return seen

    def _handles_of_signals(self) -> set[int]:
        """Return the handles of signal handlers: that a signal may come wakes nobody."""
        graph = self._graph
        tables = [
            table for loop in self._loops
            for table in self._edges.by_name["_signal_handlers"].get(loop, [])
        ]  # fmt: skip
        return {target for table in tables for target in graph.strong_targets(table)}

    def _other_futures(self, task: int) -> list[int]:
        """Return the futures that a task's own callbacks lead to, without gatherings.

        Somebody waits for the task and perhaps for something else, as `asyncio.wait` does, and may
        cancel the task afterwards. A gathering cancels its children only if it is cancelled itself.
        """
        graph, own = self._graph, self._tasks[task].own
        awaited = self._tasks[task].awaited
        seen = {*own, awaited, *self._loops}
        stack = [task]
        futures = []
        while stack:
            for edge in graph.edges(stack.pop()):
                target = edge.target
                if target in seen or edge.kind is EdgeKind.WEAK or edge.name in _TO_GLOBALS:
                    continue
                seen.add(target)
                name = graph.type_of(target)
                if name.endswith("Future") and target not in self._edges.by_name["_children"]:
                    futures.append(target)
                elif name in _CALLBACK_PARTS or name.startswith("asyncio."):
                    stack.append(target)
        return futures
