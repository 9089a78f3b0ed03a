"""The structures of memlens belong to the program: what they keep is shown, leaks in them are named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import memlens
from memlens import _core, structures

pytestmark = pytest.mark.small_process

KEPT: list[Any] = []  # what a case builds, as a program would hold it
OUTSIDE: list[Any] = []


class Row:
    def __init__(self) -> None:
        self.blob = bytearray(500)


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    yield
    KEPT.clear()
    OUTSIDE.clear()


def mapping(cache: Any) -> tuple[Any, Callable[[int], object]]:
    return cache, lambda number: cache.__setitem__(number, Row())


def lru_cache() -> tuple[Any, Callable[[int], object]]:
    return mapping(structures.LRUCache(100_000))


def cache_by_bytes() -> tuple[Any, Callable[[int], object]]:
    return mapping(structures.LRUCache(None, max_bytes=1 << 30))


def cache_by_own_sizes() -> tuple[Any, Callable[[int], object]]:
    return mapping(structures.LRUCache(None, max_bytes=1 << 20, size_of=lambda row: 1))


def cache_by_age() -> tuple[Any, Callable[[int], object]]:
    return mapping(structures.LRUCache(100_000, ttl=3600))


def newest_of_weak_cache() -> tuple[Any, Callable[[int], object]]:
    return mapping(structures.WeakValueCache(keep_newest=100_000))


def cached_function() -> tuple[Any, Callable[[int], object]]:
    @structures.cached(max_entries=100_000)
    def load(number: int) -> Row:
        return Row()

    return load, load


def bounded_interner() -> tuple[Any, Callable[[int], object]]:
    interner = structures.StringInterner(100_000)
    return interner, lambda number: interner.intern(f"{'name' * 40}{number}")


def series() -> tuple[Any, Callable[[int], object]]:
    points = structures.NumericTimeSeries(100_000)
    return points, lambda number: points.add(number, number)


def used_pool() -> tuple[Any, Callable[[int], object]]:
    pool = structures.ObjectPool(Row)
    return pool, lambda number: pool.release(pool.acquire())


def list_in_a_cache() -> tuple[Any, Callable[[int], object]]:
    cache: structures.LRUCache[str, list[Row]] = structures.LRUCache(50)
    cache["rows"] = []
    return cache, lambda number: cache["rows"].append(Row())


def pool_without_release() -> tuple[Any, Callable[[int], object]]:
    pool = structures.ObjectPool(lambda: bytearray(500))
    return pool, lambda number: OUTSIDE.append(pool.acquire())


def interner_without_bound() -> tuple[Any, Callable[[int], object]]:
    interner = structures.StringInterner()
    return interner, lambda number: interner.intern(f"{'name' * 40}{number}")


def values_of_weak_cache() -> tuple[Any, Callable[[int], object]]:
    cache: structures.WeakValueCache[int, Row] = structures.WeakValueCache()

    def add(number: int) -> None:
        row = cache[number] = Row()
        OUTSIDE.append(row)

    return cache, add


def report_of(build: Callable[[], tuple[Any, Callable[[int], object]]]) -> memlens.LeakReport:
    structure, step = build()
    KEPT.append(structure)
    numbers = iter(range(10_000))
    snapshots = []
    for count in (50, 200, 200, 200):
        for _ in range(count):
            step(next(numbers))
        snapshots.append(memlens.take_heap_snapshot(mode="inline"))
    return memlens.find_leaks(snapshots)


# A pure capture takes seconds. What is pure's own, which objects and bounds it sees, one case tells.
slow_when_pure = pytest.mark.skipif(
    _core.IMPLEMENTATION != "C", reason="takes minutes in pure Python"
)


def test_a_cache_that_fills_up_is_no_leak():
    assert report_of(cache_by_bytes).suspects == ()


@slow_when_pure
@pytest.mark.parametrize(
    "build",
    [
        lru_cache,
        cache_by_own_sizes,
        cache_by_age,
        newest_of_weak_cache,
        cached_function,
        bounded_interner,
        series,
        used_pool,
    ],
    ids=lambda build: build.__name__,
)
def test_a_structure_that_fills_up_to_its_bound_is_no_leak(build):
    assert report_of(build).suspects == ()


@slow_when_pure
@pytest.mark.parametrize(
    ("build", "holder", "advice"),
    [
        (list_in_a_cache, "KEPT[0]._table.by_key[", "Take each one out"),
        (pool_without_release, "KEPT[0]._loans.by_id", "pool.lease()"),
        (interner_without_bound, "KEPT[0]._young", "Bound it"),
        (values_of_weak_cache, "OUTSIDE", "Take each one out"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_leaks_in_a_structure_is_named(build, holder, advice):
    first, *others = report_of(build).suspects
    assert f"{__name__}.{holder}" in first.holder
    assert advice in first.suggestion
    assert len(others) <= (build is pool_without_release)  # OUTSIDE keeps the same


def test_what_a_structure_keeps_is_in_the_views():
    cache: structures.LRUCache[int, Row] = structures.LRUCache(1000)
    KEPT.append(cache)
    for number in range(1000):
        cache[number] = Row()
    rows = {row.name: row for row in memlens.take_heap_snapshot(mode="inline").summary()}
    assert rows[f"{__name__}.Row"].count == 1000
    assert rows["memlens.structures.lru.LRUCache"].retained_bytes > 500_000
