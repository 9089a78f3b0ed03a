"""Views of a mapping that other threads may change: they iterate over a copy."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import ItemsView, Iterator, MutableMapping, ValuesView
from typing import Any, TypeVar, overload

__all__ = ("SnapshotMapping",)

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")
_MISSING: Any = object()


class SnapshotMapping(MutableMapping[K, V]):
    """A mapping whose iteration, views and comparison use a copy and ``peek()``."""

    __slots__ = ("__weakref__",)

    @overload
    def peek(self, key: K) -> V | None: ...
    @overload
    def peek(self, key: K, default: T) -> V | T: ...
    @abstractmethod
    def peek(self, key: K, default: object = None) -> object:
        """Return the value without any effect on the mapping."""

    @abstractmethod
    def _pairs(self) -> Iterator[tuple[K, V]]:
        """Yield the pairs that were in the mapping when the iteration started."""

    def __contains__(self, key: object) -> bool:
        # ``in`` accepts any object.
        return self.peek(key, _MISSING) is not _MISSING  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[K]:
        return (key for key, _ in self._pairs())

    def items(self) -> ItemsView[K, V]:
        """Return a view of the pairs."""
        return _Items(self)

    def values(self) -> ValuesView[V]:
        """Return a view of the values."""
        return _Values(self)


class _Items(ItemsView[K, V]):
    _mapping: SnapshotMapping[K, V]

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return self._mapping._pairs()

    def __contains__(self, item: object) -> bool:
        if not isinstance(item, tuple) or len(item) != 2:
            return False
        value = self._mapping.peek(item[0], _MISSING)
        return value is not _MISSING and bool(value is item[1] or value == item[1])


class _Values(ValuesView[V]):
    _mapping: SnapshotMapping[Any, V]

    def __iter__(self) -> Iterator[V]:
        return (value for _, value in self._mapping._pairs())

    def __contains__(self, value: object) -> bool:
        return any(value is other or value == other for other in self)
