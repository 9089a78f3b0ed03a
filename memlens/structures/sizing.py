"""Estimate the memory of a value, cheaply enough for every store into a cache."""

from __future__ import annotations

import gc
import sys
from collections import deque
from collections.abc import Collection, Iterable
from itertools import chain, islice
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, MethodType, ModuleType
from typing import Any

__all__ = ("size_of",)

_SAMPLE_ITEMS = 64  # measured items of one container; the rest is assumed to be similar
_MAX_OBJECTS = 2_000  # per value, to bound the time of an estimate
_SEQUENCES = (list, tuple, set, frozenset, deque)
_NO_CONTENT = (type(None), bool, int, float, complex, str, bytes, bytearray, range)
# Objects that belong to the program, not to the value that refers to them.
_SHARED = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType, CodeType, FrameType)
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: created by a class statement
_BASIC = frozenset(_NO_CONTENT)


def size_of(value: object, max_depth: int = 4) -> int:
    """Return an estimate of the bytes that ``value`` keeps in memory, contents included.

    Strings, bytes, numbers and arrays are measured completely, buffers by their ``nbytes``.
    Containers and attributes of instances are followed ``max_depth`` levels deep, each object once.
    Of a long container 64 items are measured (evenly spaced in a list or tuple, otherwise the first
    64) and taken as typical. Classes, functions and modules count as 0. At most 2,000 objects are
    visited, so the cost of a call is bounded.

    The estimate is wrong for items of very different sizes, below ``max_depth``, and for objects
    that are shared with the rest of the program (they are counted). Write your own function for
    such values. Only ``__sizeof__``, ``nbytes`` and the iteration of subclasses run user code.
    """
    if type(value) in _BASIC:
        return sys.getsizeof(value)
    return int(_Estimate().measure(value, max_depth))


class _Estimate:
    """One estimate. It records visited objects, so that each counts once and cycles end."""

    __slots__ = ("kept", "seen")

    def __init__(self) -> None:
        self.seen: set[int] = set()
        self.kept: list[object] = []  # an id is unique only while its object is alive

    def measure(self, value: object, depth: int) -> float:
        if value is None or isinstance(value, _SHARED) or id(value) in self.seen:
            return 0
        if len(self.seen) >= _MAX_OBJECTS:
            return sys.getsizeof(value)
        self.seen.add(id(value))
        self.kept.append(value)
        shallow = sys.getsizeof(value)
        if hasattr(type(value), "nbytes"):  # memoryview and numpy: a view keeps its base alive
            return max(shallow, int(getattr(value, "nbytes", 0)))
        if isinstance(value, _NO_CONTENT) or depth <= 0:
            return shallow
        if isinstance(value, dict):
            return shallow + self._items(value, depth)
        if isinstance(value, _SEQUENCES):
            return shallow + self._sequence(value, depth)
        return shallow + self._attributes(value, depth)

    def _sequence(self, value: Collection[Any], depth: int) -> float:
        count = len(value)
        if count > _SAMPLE_ITEMS and isinstance(value, (list, tuple)):
            step = count // _SAMPLE_ITEMS
            return self._scaled(value[::step][:_SAMPLE_ITEMS], count, depth)
        return self._scaled(islice(value, _SAMPLE_ITEMS), count, depth)

    def _items(self, value: dict[Any, Any], depth: int) -> float:
        pairs = chain.from_iterable(islice(value.items(), _SAMPLE_ITEMS))
        return self._scaled(pairs, 2 * len(value), depth, per_item=2)

    def _scaled(self, sample: Iterable[Any], count: int, depth: int, per_item: int = 1) -> float:
        total = 0.0
        for item in sample:
            total += self.measure(item, depth - 1)
        return total * max(1.0, count / (_SAMPLE_ITEMS * per_item))

    def _attributes(self, value: object, depth: int) -> float:
        """Measure the attributes of an instance without creating its ``__dict__``."""
        cls = type(value)
        if not cls.__flags__ & _HEAP_TYPE or isinstance(value, BaseException):
            return 0
        return sum(self.measure(item, depth - 1) for item in gc.get_referents(value))
