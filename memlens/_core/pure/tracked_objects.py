"""List the objects that the garbage collector tracks, safely while other threads run."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, compress, repeat
from operator import eq, gt, is_, is_not
from typing import Any

__all__ = ("tracked_objects",)


def tracked_objects() -> list[Any]:
    """Return the objects that the collector tracks, without tuples under construction.

    Another thread may be building a tuple in ``tuple(generator)``. Such a tuple is tracked already,
    and is resized in place at the end, which fails if there is another reference to it. So no thread
    may run from the listing of the objects until the last reference to such a tuple is dropped.

    Iterators written in C ensure that: the interpreter switches threads between instructions of
    Python code only, and exhausting an iterator is one instruction. A longer switch interval does
    not help: it would apply to this thread as well when it waits for another.

    The collector must be disabled.
    """
    return _read(_objects_except_tuples) + _read(_complete_tuples)


def _read(make_iterator: Callable[[], Iterator[Any]]) -> list[Any]:
    """Return the objects that an iterator yields, without the parts of the iterator itself."""
    own: set[int] = set()
    found: list[Any] = []
    found += _record_parts(make_iterator(), own)
    own |= {id(own), id(found)}
    others = [obj for obj in found if id(obj) not in own]
    found.clear()  # it contains itself
    return others


# In the following, a "column" is an iterator that yields one list of objects, or one iterator over
# them. Everything here is lazy: objects are listed when the first element is read, so what is
# created from then on is not among them.


def _objects_except_tuples() -> Iterator[Any]:
    objects = _repeated(_listing(), 2)
    wanted = _each(is_not, _each(type, objects), repeat(repeat(tuple)))
    return chain.from_iterable(map(compress, objects, wanted))


def _complete_tuples() -> Iterator[Any]:
    """Select the tuples that have no empty slots and no size at which a growing tuple can be full.

    Complete tuples of such a size are found through their referrers.
    """
    objects = _repeated(_listing(), 2)
    are_tuples = _each(is_, _each(type, objects), repeat(repeat(tuple)))
    tuples = _repeated(map(list, map(compress, objects, are_tuples)), 4)
    are_filled = _each(eq, _each(len, tuples), _each(len, _each(gc.get_referents, tuples)))
    may_grow = _each(_GROWING.__contains__, _each(len, tuples))
    return chain.from_iterable(map(compress, tuples, _each(gt, are_filled, may_grow)))


def _listing() -> Iterator[list[Any]]:
    return map(gc.get_objects, repeat(None, 1))


def _repeated(column: Iterator[list[Any]], times: int) -> Iterator[list[Any]]:
    """Yield the list of a column as often as it will be read."""
    return chain.from_iterable(map(repeat, column, repeat(times)))


def _each(function: Callable[..., Any], *columns: Iterator[Any]) -> Iterator[Any]:
    """Apply a function that is written in C to each element."""
    return map(partial(map, function), *columns)


def _record_parts(iterator: Iterator[Any], ids: set[int]) -> Iterator[Any]:
    """Add the ids of an iterator and of all its parts, which are tracked; return the iterator."""
    pending: list[Any] = [iterator]
    while pending:
        part = pending.pop()
        if type(part) in _PARTS and id(part) not in ids:
            ids.add(id(part))
            pending += gc.get_referents(part)
    return iterator


def _growing_sizes() -> frozenset[int]:
    """Return the sizes that a tuple has while it is built from an iterator.

    From ``PySequence_Tuple``, the same in 3.11 to 3.13.
    """
    sizes, size = set(), 10
    while size < 1 << 40:
        sizes.add(size)
        size += 10
        size += size >> 2
    return frozenset(sizes)


_GROWING = _growing_sizes()
_PARTS = {chain, map, partial, repeat, tuple}
