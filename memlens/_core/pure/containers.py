"""The references of built-in containers: the elements and their labels.

The functions also work on instances of subclasses, because they call the C methods of the built-in
type and never methods of the subclass.
"""

from __future__ import annotations

import builtins
import gc
import sys
from array import array
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, TypeAlias

from memlens._core.layout import EdgeKind
from memlens._core.pure.labels import EMPTY, KeyLabels, NameLabels, index_labels, label

__all__ = (
    "FROZEN_DICT",
    "Expansion",
    "Namespaces",
    "deque_items",
    "is_split",
    "list_items",
    "list_subclass_items",
    "set_items",
    "tuple_items",
    "tuple_subclass_items",
)

Expansion: TypeAlias = "tuple[list[Any], array[int]]"

_ITEM = array("I", [label(EdgeKind.ITEM)])
_UNNAMED = array("I", [label(EdgeKind.INTERNAL)])
_ONLY_STR = frozenset({id(str)})
_SHARES_EMBEDDED_VALUES = sys.version_info >= (3, 13)
FROZEN_DICT: Any = getattr(builtins, "frozendict", None)  # from 3.15 on
_MAX_SHAPES = 10_000
_referents = gc.get_referents


def list_items(obj: Any) -> Expansion:
    """Return the elements of an exact list.

    The list is not copied, because C code may be filling it and empty slots must not be read.
    Traversal skips empty slots; it runs backwards.
    """
    items = _referents(obj)
    items.reverse()
    if len(items) != len(obj):
        return items, _UNNAMED * len(items)
    return items, index_labels(len(items))


def list_subclass_items(obj: Any) -> Expansion:
    """Return the elements of an instance of a list subclass, which has no empty slots."""
    items = list.copy(obj)
    return items, index_labels(len(items))


def tuple_items(obj: Any) -> Expansion:
    """Return the elements of an exact tuple.

    The tuple is not copied, because another thread may be filling it and empty slots must not be
    read. Traversal skips empty slots; it runs backwards (3.11 to 3.13).
    """
    items = _referents(obj)
    items.reverse()
    if len(items) != len(obj):
        return items, _UNNAMED * len(items)
    return items, index_labels(len(items))


def tuple_subclass_items(obj: Any) -> Expansion:
    """Return the elements of an instance of a tuple subclass, which is never partially filled."""
    items = [*tuple.__iter__(obj)]
    return items, index_labels(len(items))


def set_items(obj: Any) -> Expansion:
    """Return the members of a set."""
    items = [*set.__iter__(obj)]
    return items, _ITEM * len(items)


def frozenset_items(obj: Any) -> Expansion:
    """Return the members of a frozenset."""
    items = [*frozenset.__iter__(obj)]
    return items, _ITEM * len(items)


def deque_items(obj: Any) -> Expansion:
    """Return the elements of a deque."""
    items = [*deque.__iter__(obj)]
    return items, index_labels(len(items))


def ordered_items(plan: Callable[[Any], Expansion]) -> Callable[[Any], Expansion]:
    """Return the plan of an OrderedDict, whose list of the order refers to each key once more."""

    def expand(obj: Any) -> Expansion:
        targets, labels = plan(obj)
        keys = [*OrderedDict.__iter__(obj)]
        return targets + keys, labels + _ITEM * len(keys)

    return expand


def _combined_sizes() -> frozenset[int]:
    sizes = set()
    for make_key in (str, int):
        grown: dict[Any, None] = {}
        for number in range(400):
            grown[make_key(number)] = None
            sizes.add(dict.__sizeof__(grown))
            if number < 64:
                sizes.add(dict.__sizeof__(dict(grown)))
                sizes.add(dict.__sizeof__(dict.fromkeys(map(make_key, range(number)))))
    return frozenset(sizes)


_COMBINED_SIZES = _combined_sizes()
_LARGEST_KNOWN = max(_COMBINED_SIZES)


def is_split(obj: dict[Any, Any]) -> bool:
    """Return whether a dict shares its keys with the instances of a class, judged by its size.

    Such a dict is the ``__dict__`` of an instance. The class refers to the keys, the dict does not.
    """
    size_bytes = dict.__sizeof__(obj)
    return size_bytes < _LARGEST_KNOWN and size_bytes not in _COMBINED_SIZES


class Namespaces:
    """Expands dicts and records which of them are namespaces, whose keys are names."""

    def __init__(self, attribute: NameLabels, keys: KeyLabels) -> None:
        self._attribute = attribute
        self._keys = keys
        self._str_key = None if keys.shows_values else array("I", [keys.of("")])
        self.claimed: set[int] = set()  # ids of the dicts that are the ``__dict__`` of an object
        self.labelled: set[int] = set()  # claimed dicts that were expanded with attribute labels
        self._shapes: dict[tuple[str, ...], array[int]] = {}  # keys -> labels
        self.embedded: list[dict[Any, Any]] = []  # dicts whose values are inside an instance

    def expand(self, obj: Any) -> Expansion:
        """Return keys and values of a dict. Traversal skips the keys if all are strings."""
        keys, values = [*dict.keys(obj)], [*dict.values(obj)]
        if len(keys) != len(values):  # another thread changed the dict in between
            keys, values = _snapshot(obj)
        if not values:
            return values, EMPTY
        only_str = {*map(id, map(type, keys))} == _ONLY_STR
        if only_str and _SHARES_EMBEDDED_VALUES and not _referents(obj):
            # The values are inside an instance, whose expansion includes them.
            self.embedded.append(obj)
            return [], EMPTY
        if id(obj) in self.claimed:
            self.labelled.add(id(obj))
            labels = self.names(keys)
            if is_split(obj):
                return values, labels
        elif only_str and self._str_key is not None:
            labels = self._str_key * len(values)
        else:
            labels = array("I", map(self._keys.of, keys))
        return keys + values, _ITEM * len(keys) + labels

    def expand_frozen(self, obj: Any) -> Expansion:
        """Return keys and values of a frozendict, which is never a namespace."""
        keys, values = [*FROZEN_DICT.keys(obj)], [*FROZEN_DICT.values(obj)]
        labels = array("I", map(self._keys.of, keys))
        return keys + values, _ITEM * len(keys) + labels

    def clear(self) -> None:
        """Release all objects."""
        self.embedded.clear()
        self._shapes.clear()

    def names(self, keys: list[Any]) -> array[int]:
        """Return the labels of the values of a namespace."""
        if {*map(id, map(type, keys))} == _ONLY_STR:
            shape = tuple(keys)
            known = self._shapes.get(shape)
            if known is None:
                known = array("I", map(self._attribute.__getitem__, keys))
                if len(self._shapes) < _MAX_SHAPES:
                    self._shapes[shape] = known
            return known
        return array(
            "I",
            [self._attribute[key] if type(key) is str else self._keys.of(key) for key in keys],
        )


def _snapshot(obj: dict[Any, Any]) -> tuple[list[Any], list[Any]]:
    """Return consistent keys and values: no other thread runs while the items are copied."""
    items = [*dict.items(obj)]
    return [key for key, _ in items], [value for _, value in items]
