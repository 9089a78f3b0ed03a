"""What is left of a cache or a pool where memory runs out in the middle of a call: all of it."""

from __future__ import annotations

import threading

import pytest

from memlens.structures import BufferPool, LRUCache, ObjectPool
from memlens.structures._flights import Flight
from memlens.structures._slots import NEW, Slots


class Failing:
    """Calls a function; raises MemoryError instead as long as ``fails`` is set."""

    def __init__(self, function):
        self.function = function
        self.fails = False

    def __call__(self, *arguments):
        if self.fails:
            raise MemoryError
        return self.function(*arguments)


class FailingDict(dict):
    """Raises MemoryError when an item has been set: as if the next allocation had failed."""

    fails = True

    def __setitem__(self, key, value):
        super().__setitem__(key, value)
        if self.fails:
            raise MemoryError


def test_key_whose_computation_could_not_begin_is_computed_by_the_next_call():
    cache = LRUCache()
    cache._flights.by_key = flights = FailingDict()
    with pytest.raises(MemoryError):
        cache.get_or_compute("key", lambda: 1)
    flights.fails = False
    assert cache.get_or_compute("key", lambda: 2) == 2
    assert not flights


def test_others_get_the_value_where_it_could_not_be_stored():
    sizes = Failing(lambda value: 1)
    cache = LRUCache(max_bytes=10, size_of=sizes)
    computing, waiting = threading.Event(), []

    def compute():
        computing.set()
        while not cache._flights.by_key["key"].waiters:
            pass
        sizes.fails = True
        return "value"

    def wait():
        computing.wait(10)
        waiting.append(cache.get_or_compute("key", lambda: "computed again"))

    thread = threading.Thread(target=wait)
    thread.start()
    with pytest.raises(MemoryError):
        cache.get_or_compute("key", compute)
    thread.join(10)
    assert waiting == ["value"]


def test_all_are_woken_also_where_waking_one_fails():
    woken = []

    class Waiter:
        def __init__(self, number):
            self.number = number

        def wake(self):
            woken.append(self.number)
            if self.number in (0, 2):
                raise MemoryError

    flight = Flight(None)
    flight.waiters.extend(map(Waiter, range(4)))
    with pytest.raises(MemoryError):
        flight.wake_all()
    assert woken == [0, 1, 2, 3]


@pytest.mark.parametrize("make", [lambda: ObjectPool(Thing, max_size=1), lambda: BufferPool(8, 1)])
def test_object_that_could_not_be_lent_or_taken_back_leaves_its_place_free(make):
    pool = make()
    pool._clock = clock = Failing(pool._clock)
    pool._loans._clock = clock
    clock.fails = True
    with pytest.raises(MemoryError):
        pool.acquire(timeout=0)
    clock.fails = False
    item = pool.acquire(timeout=0)
    clock.fails = True
    with pytest.raises(MemoryError):
        pool.release(item)
    clock.fails = False
    with pool.lease(timeout=0):
        assert pool.stats().total == pool.stats().leased == 1


def test_object_that_is_given_up_for_lack_of_memory_is_disposed_of():
    disposed = []
    pool = ObjectPool(Thing, max_size=1, dispose=disposed.append)
    pool._loans._clock = Failing(pool._clock)
    pool._loans._clock.fails = True
    with pytest.raises(MemoryError):
        pool.acquire()
    assert [type(one) for one in disposed] == [Thing]


def test_invalid_object_whose_disposal_fails_leaves_its_place_free():
    dispose = Failing(lambda thing: None)
    pool = ObjectPool(
        Thing, initial_size=1, max_size=1, validate=lambda thing: False, dispose=dispose
    )
    dispose.fails = True
    with pytest.raises(MemoryError):
        pool.acquire(timeout=0)
    dispose.fails = False
    with pool.lease(timeout=0) as thing:
        assert isinstance(thing, Thing)


def test_waiter_that_cannot_be_woken_stays_the_first():
    slots = Slots(1)
    assert slots.take() is NEW
    answers = []
    thread = threading.Thread(target=lambda: answers.append(slots.wait(10)))
    thread.start()
    while not slots._claims:
        pass
    waiter = slots._claims[0].waiter
    slots._claims[0].waiter = failing = Waker(Failing(waiter.wake))
    failing.wake.fails = True
    with pytest.raises(MemoryError):
        slots.put("object", 0.0)
    assert len(slots._claims) == 1
    failing.wake.fails = False
    assert slots.put("object", 0.0)
    thread.join(10)
    assert answers == ["object"]


def test_place_of_an_object_that_could_not_be_passed_on_is_for_the_next_waiter(monkeypatch):
    def fail(*arguments):
        raise MemoryError

    slots = Slots(1)
    assert slots.take() is NEW
    answers = []
    thread = threading.Thread(target=lambda: answers.append(slots.wait(10)))
    thread.start()
    while not slots._claims:
        pass
    monkeypatch.setattr(Slots, "put", fail)
    with pytest.raises(MemoryError):
        slots._offer("object", 0.0)
    thread.join(10)
    assert answers == [NEW]
    assert slots.size == 1


class Thing:
    """What a pool lends."""


class Waker:
    """A waiter whose ``wake`` can fail."""

    def __init__(self, wake):
        self.wake = wake
