"""Bounds of containers that their owner declares: ``self.maxsize = 100`` beside ``self.data``.

Many caches store their maximum size in an attribute. The attribute is used if its name is in
`CAP_NAMES`, its value is a positive int and the container does not exceed it. Of several such
attributes the smallest value is used.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from types import ModuleType

from memlens._core.layout import KIND_MASK, NO_BOUND, EdgeKind
from memlens._core.pure.access import is_class
from memlens._core.pure.labels import StringTable, label
from memlens._core.pure.walk import WalkedHeap

__all__ = ("CAP_NAMES", "add_owner_bounds")

# Compared without leading underscores and name mangling (``_maxsize``, ``_Cache__maxsize``).
CAP_NAMES = frozenset(
    "maxsize max_size maxlen max_len max_length capacity max_capacity max_entries max_items"
    " max_keys cache_size cachesize max_cache_size limit size_limit max_elements".split()
)
_MIN_ENDLESS = 1 << 60  # values from here on, such as sys.maxsize, mean no limit
_NAMESPACES_OF_OTHERS = ("__spec__", "__module__", "__builtins__")  # of modules and classes
_BUILT_IN = frozenset(map(id, (dict, list, tuple, set, frozenset)))


def add_owner_bounds(
    heap: WalkedHeap,
    nodes: list[int],
    lengths: list[int],
    bounds: array[int],
    strings: StringTable,
) -> None:
    """Store the limits of owners in ``bounds``, which is parallel to ``nodes`` and ``lengths``."""
    place_of = {node: place for place, node in enumerate(nodes)}
    owner_of = _owners_by_namespace(heap, nodes)
    stated: dict[int, int] = {}
    for source, cap in _stated_caps(heap, strings):
        is_namespace = type(heap.objects[source]) is dict
        owner = owner_of.get(source, 0) if is_namespace else source
        for node in (owner, *_attributes(heap, source)):
            place = place_of.get(node)
            if place is not None and bounds[place] == NO_BOUND and lengths[place] <= cap:
                stated[place] = min(cap, stated.get(place, cap))
    for place, cap in stated.items():
        bounds[place] = cap


def _stated_caps(heap: WalkedHeap, strings: StringTable) -> Iterator[tuple[int, int]]:
    """Yield each instance, or ``__dict__`` of an instance, that declares a limit, and the limit."""
    foreign = {label(EdgeKind.ATTRIBUTE, strings[name]) for name in _NAMESPACES_OF_OTHERS}
    wanted = [
        label(EdgeKind.ATTRIBUTE, number)
        for name, number in [*strings.items()]
        if name.rpartition("__")[2].lstrip("_").lower() in CAP_NAMES
    ]
    for edge in _edges_labelled(heap.labels.tobytes(), wanted):
        value = heap.objects[heap.targets[edge]]
        if type(value) is not int or not 0 < value < _MIN_ENDLESS:
            continue
        source = bisect_right(heap.starts, edge) - 1
        owner = heap.objects[source]
        if is_class(owner) or type(owner) is ModuleType:
            continue
        if foreign.isdisjoint(heap.labels[heap.starts[source] : heap.starts[source + 1]]):
            yield source, value


def _edges_labelled(packed: bytes, wanted: list[int]) -> Iterator[int]:
    """Yield the edges with any of some labels, by a search in bytes, faster than a loop."""
    for edge_label in wanted:
        pattern = array("I", [edge_label]).tobytes()
        at = packed.find(pattern)
        while at >= 0:
            if at % len(pattern) == 0:
                yield at // len(pattern)
            at = packed.find(pattern, at + 1)


def _attributes(heap: WalkedHeap, source: int) -> Iterator[int]:
    for edge in range(heap.starts[source], heap.starts[source + 1]):
        if heap.labels[edge] & KIND_MASK == EdgeKind.ATTRIBUTE:
            yield heap.targets[edge]


def _owners_by_namespace(heap: WalkedHeap, nodes: list[int]) -> dict[int, int]:
    """Return the container that each ``__dict__`` of a container subclass belongs to."""
    namespaces = {*heap.namespaces}
    return {
        target: node
        for node in nodes
        if id(type(heap.objects[node])) not in _BUILT_IN
        for target in heap.targets[heap.starts[node] : heap.starts[node + 1]]
        if target in namespaces
    }
