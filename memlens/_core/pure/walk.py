"""The walk over the heap: number objects in depth-first order and record their references."""

from __future__ import annotations

import gc
from array import array
from collections.abc import Iterable
from typing import Any, NamedTuple

from memlens._core.pure.access import FOREIGN_ERRORS, require_ready
from memlens._core.pure.edges import Expand, Plans
from memlens._core.pure.running_frames import variable_names

__all__ = ("Walk", "WalkedHeap")

_UNKNOWN = object()


class WalkedHeap(NamedTuple):
    """The result of a walk. Only ``objects`` refers to the objects.

    ``objects`` has every object by node, node 0 being the process; ``number`` maps an ``id()`` to
    its node, 0 for hidden objects. The edges of node ``v`` are ``starts[v] : starts[v + 1]`` of
    ``targets`` and ``labels``; ``weak`` has pairs of nodes. ``types`` has the nodes of the classes
    with instances, in the order of their first instance. ``namespaces`` are the dicts whose keys
    are names, ``embedded`` the dicts that share their values with an instance, and ``failed`` the
    objects whose type raised an error, so that their references have no names.
    """

    objects: list[Any]
    number: dict[int, int]
    starts: array[int]
    targets: array[int]
    labels: array[int]
    weak: list[tuple[int, int]]
    types: list[int]
    namespaces: list[int]
    embedded: list[int]
    failed: list[int]


class Walk:
    """A walk in progress.

    It keeps all objects alive, so that their ids stay unique.
    """

    def __init__(self, plans: Plans, hidden: Iterable[int]) -> None:
        self._plans = plans
        # The sentinel shows how many references the capture itself adds to every object.
        self.objects: list[Any] = [object()]
        self._number: dict[int, int] = dict.fromkeys(hidden, 0)
        self._edges: list[Any] = []
        self._labels = array("I")
        self._starts = array("Q", [0])
        self._failed: list[int] = []
        self._by_type: dict[int, Expand | None] = {}
        self._weak_done = 0

    def from_objects(self, start: list[Any]) -> None:
        """Walk from each of ``start``, in order, without recursion."""
        stack = start[::-1]
        number, objects, edges = self._number, self.objects, self._edges
        labels, by_type = self._labels, self._by_type
        pop, add, mark = stack.pop, objects.append, self._starts.append
        while stack:
            obj = pop()
            key = id(obj)
            if key in number:
                continue
            number[key] = len(objects)
            add(obj)
            mark(len(edges))
            plan: Any = by_type.get(id(type(obj)), _UNKNOWN)
            if plan is None:
                continue
            if plan is _UNKNOWN:
                require_ready(id(type(obj)))
                cls = type(obj)
                plan = by_type[id(cls)] = self._plans.plan(cls)
                stack.append(cls)  # instances of static types do not refer to them
                if plan is None:
                    continue
            try:
                targets, found = plan(obj)
            except FOREIGN_ERRORS:
                targets, found = self._unlabelled(obj)
            edges += targets
            labels += found
            targets.reverse()
            stack += targets

    def from_weak_references(self) -> None:
        """Walk from the objects that only weak references refer to."""
        weak = self._plans.weak
        while self._weak_done < len(weak):
            pending = [target for _, target in weak[self._weak_done :]]
            self._weak_done = len(weak)
            self.from_objects(pending)

    def finish(self) -> WalkedHeap:
        """Release everything except the objects, and return the result."""
        number = self._number
        self._label_late_namespaces()
        self._label_closures()
        self._label_mentions()
        namespaces = self._plans.namespaces
        targets = array("I", map(number.__getitem__, map(id, self._edges)))
        self._edges.clear()
        self._starts.append(len(targets))
        heap = WalkedHeap(
            self.objects,
            number,
            self._starts,
            targets,
            self._labels,
            [(number[id(source)], number[id(target)]) for source, target in self._plans.weak],
            [number[cls] for cls in self._by_type],
            [number[key] for key in namespaces.claimed if key in number],
            [number[id(embedded)] for embedded in namespaces.embedded],
            self._failed,
        )
        self._by_type.clear()
        self._plans.clear()
        return heap

    def _unlabelled(self, obj: Any) -> tuple[list[Any], array[int]]:
        """Return the bare referents of an object whose type's C code has failed."""
        self._failed.append(self._number[id(obj)])
        targets = gc.get_referents(obj)
        return targets, array("I", [0]) * len(targets)

    def _label_late_namespaces(self) -> None:
        """Label the entries of namespaces that were expanded before their owner."""
        namespaces = self._plans.namespaces
        for key in namespaces.claimed - namespaces.labelled:
            start, end = self._edges_of(key)
            middle = (start + end) // 2
            self._labels[middle:end] = namespaces.names(self._edges[start:middle])

    def _label_closures(self) -> None:
        """Label the cells of closures with the names of the variables."""
        for key, code in self._plans.closures.items():
            start, end = self._edges_of(key)
            names = variable_names(code)[start - end :] if end > start else []
            if len(names) == end - start:
                self._labels[start:end] = array("I", map(self._plans.cell.__getitem__, names))

    def _label_mentions(self) -> None:
        """Label the entries of ``co_names`` with the names themselves, which are code and not data."""
        for key in self._plans.mentions:
            start, end = self._edges_of(key)
            names = self._edges[start:end]
            if all(type(name) is str for name in names):
                self._labels[start:end] = array("I", map(self._plans.internal.__getitem__, names))

    def _edges_of(self, key: int) -> tuple[int, int]:
        node = self._number.get(key, 0)
        if not node:
            return 0, 0
        last = node + 1 == len(self.objects)
        return self._starts[node], len(self._edges) if last else self._starts[node + 1]
