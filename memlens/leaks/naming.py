"""Where a holder is: the object that it is named after, its path, and which holders are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from memlens._core.layout import NONE
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.paths import RetentionPath, RetentionPathFinder
from memlens.leaks.detectors.clusters import place_of
from memlens.leaks.growth import Growth, Holder
from memlens.leaks.stated_bounds import BoundedHolder, stated_bound, warms_up

__all__ = ("Located", "located")

_LRU_CACHE = "functools._lru_cache_wrapper"
_WEAK_KEYS = frozenset({"int", "str", "tuple"})  # what weak dictionaries and registries key by
_WEAK_REFERENCES = frozenset(
    f"weakref.{name}" for name in "ReferenceType ref KeyedRef WeakMethod ProxyType".split()
)
# A holder that gained less in an interval than this is the noise of any running program.
_MIN_ELEMENTS = 3
_MIN_STEP = {"buffer": 64, "garbage": 10}  # bytes; objects


@dataclass(slots=True)
class Located:
    """A holder with the object that it is named after."""

    holder: Holder
    subject: int
    path: RetentionPath
    text: str


def located(growth: Growth, holders: Sequence[Holder]) -> tuple[list[Located], list[BoundedHolder]]:
    """Return the holders that are leaks, each with its place, in the order given; and the bounded.

    Those grew as well, but state a bound that they have kept to.
    """
    finder = RetentionPathFinder(growth.last)
    found: list[Located] = []
    bounded: dict[int, BoundedHolder] = {}
    named: set[int] = set()
    for holder in holders:
        if min(_steps(holder.lengths)) < _MIN_STEP.get(holder.shape, _MIN_ELEMENTS):
            continue
        one = _locate(growth, holder, finder)
        if one is None or one.subject in named:
            continue
        bound = _bound(growth, one)
        if bound is not None:
            kind, length = growth.last.type_of(one.subject), holder.lengths[-1]
            bounded.setdefault(one.subject, BoundedHolder(one.text, kind, length, bound))
        elif not _is_noise(growth, one):
            named.add(one.subject)
            found.append(one)
    found = [one for one in found if not any(_explains(other, one) for other in found)]
    return found, [*bounded.values()]


def _bound(growth: Growth, one: Located) -> int | None:
    if one.holder.shape in ("native", "garbage"):
        return None
    return stated_bound(growth, one.holder, one.subject)


def _locate(growth: Growth, holder: Holder, finder: RetentionPathFinder) -> Located | None:
    if holder.shape == "garbage":
        return Located(holder, 0, RetentionPath("cyclic garbage", "garbage", ()), "cyclic garbage")
    subject = _subject(growth.last, holder)
    path = finder.path_to(subject)
    if path is None:
        return None
    text = str(path)
    if holder.shape == "chain":
        text += _chain_link(growth, holder)
    elif holder.shape == "cluster":
        text = place_of(path)
    elif holder.shape == "native":
        text = f"native code, or the interpreter, holding {growth.last.type_of(subject)}"
    return Located(holder, subject, path, text)


def _is_noise(growth: Growth, one: Located) -> bool:
    if one.holder.shape in ("native", "garbage"):
        return False
    return _holds_only_weakly(growth.last, one.holder, one.path) or (
        len(growth.graphs) == 2 and warms_up(growth.last, one.holder, one.path)
    )


def _holds_only_weakly(graph: HeapGraph, holder: Holder, path: RetentionPath) -> bool:
    """Tell whether the entries are weak references that go when their objects go: a symptom."""
    if path.hops and path.hops[-1].text == ".__subclasses__":
        return True
    values = [node for node in holder.entries if graph.type_of(node) not in _WEAK_KEYS]
    return bool(values) and all(
        graph.type_of(node) in _WEAK_REFERENCES and graph.strong_targets(node) for node in values
    )


def _explains(outer: Located, inner: Located) -> bool:
    """Tell whether a holder lies inside another that gained the same: one leak, named once."""
    way = [hop.node for hop in inner.path.hops[:-1]]
    if outer is inner or outer.holder.node not in way or not inner.holder.gained:
        return False
    return set(inner.holder.gained) <= {*outer.holder.gained, outer.holder.node}


def _steps(lengths: Sequence[int]) -> list[int]:
    return [after - before for before, after in pairwise(lengths)]


def _subject(graph: HeapGraph, holder: Holder) -> int:
    """Return the node to name: not the table inside a cache, not a link but the head."""
    node = holder.node
    if holder.shape == "chain":
        dominator = graph.dominators.dominator
        links = {graph.type_of(gained) for gained in holder.gained}
        while dominator[node] not in (0, NONE) and graph.type_of(node) in links:
            node = dominator[node]
        return node
    for referrer in graph.referrers(node):
        if referrer and graph.type_of(referrer) == _LRU_CACHE:
            return referrer
    return node


def _chain_link(growth: Growth, holder: Holder) -> str:
    """Return the name under which a chain hangs on its head: ``.__traceback__``."""
    entries = set(holder.entries)
    for edge in growth.last.edges(holder.node):
        if edge.target in entries and edge.name:
            return f".{edge.name}"
    return ""
