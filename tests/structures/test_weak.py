"""WeakValueCache against a model of the references to its values."""

from __future__ import annotations

import gc
import threading

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from memlens.structures import WeakValueCache

KEYS = st.integers(0, 7)


class Value:
    def __init__(self, number=0):
        self.number = number


class WeakAgainstModel(RuleBasedStateMachine):
    """The model: the values that the test keeps, and the two newest that the cache keeps."""

    def __init__(self):
        super().__init__()
        self.cache = WeakValueCache(keep_newest=2)
        self.held = {}  # key -> number, kept by the test
        self.objects = {}
        self.newest = []  # keys, newest last
        self.numbers = {}

    def alive(self):
        return {k: n for k, n in self.numbers.items() if k in self.objects or k in self.newest}

    def touch(self, key):
        if key in self.newest:
            self.newest.remove(key)
        self.newest = [*self.newest, key][-2:]

    @rule(key=KEYS, number=st.integers(), hold=st.booleans())
    def store(self, key, number, hold):
        value = Value(number)
        self.cache[key] = value
        self.objects.pop(key, None)
        if hold:
            self.objects[key] = value
        del value
        self.numbers[key] = number
        self.touch(key)

    @rule(key=KEYS)
    def let_go(self, key):
        self.objects.pop(key, None)

    @rule(key=KEYS)
    def look_up(self, key):
        expected = self.alive().get(key)
        value = self.cache.get(key)
        assert (None if value is None else value.number) == expected
        if value is not None:
            self.touch(key)

    @rule(key=KEYS)
    def delete(self, key):
        expected = key in self.alive()
        assert (self.cache.pop(key, None) is not None) == expected
        self.numbers.pop(key, None)
        self.objects.pop(key, None)
        if key in self.newest:
            self.newest.remove(key)

    @rule()
    def pop_any(self):
        alive = self.alive()
        if not alive:
            with pytest.raises(KeyError):
                self.cache.popitem()
            return
        key, value = self.cache.popitem()
        assert alive[key] == value.number
        del value
        self.delete_from_model(key)

    def delete_from_model(self, key):
        self.numbers.pop(key)
        self.objects.pop(key, None)
        if key in self.newest:
            self.newest.remove(key)

    @invariant()
    def same_content(self):
        alive = self.alive()
        assert {key: value.number for key, value in self.cache.items()} == alive
        assert len(self.cache) == len(alive)
        self.numbers = alive


WeakAgainstModel.TestCase.settings = settings(max_examples=80, stateful_step_count=30)
TestWeakAgainstModel = WeakAgainstModel.TestCase


def test_values_may_be_freed_during_iteration():
    cache = WeakValueCache()
    values = {number: Value(number) for number in range(100)}
    cache.update(values)
    seen = []
    for key in cache:
        seen.append(key)
        values.pop(99 - key, None)
    assert seen == list(range(50))
    assert len(cache) == len(values) == 50


def test_values_without_weak_references_are_refused():
    for value in (1, "text", (), [], {}, None):
        with pytest.raises(TypeError, match="does not support weak references"):
            WeakValueCache()["key"] = value


def test_value_may_be_freed_while_another_thread_has_the_lock():
    cache = WeakValueCache()
    value = Value()
    cache["key"] = value
    holding, done = threading.Event(), threading.Event()

    def hold():
        with cache._lock:
            holding.set()
            assert done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    assert holding.wait(10)
    del value  # this would hang if freeing a value waited for the lock
    assert "key" not in cache
    done.set()
    thread.join()
    assert len(cache) == 0
    assert cache.stats().deaths == 1


def test_threads_share_one_object_and_no_entry_stays():
    cache = WeakValueCache()
    errors = []

    def work(seed):
        for step in range(2000):
            key = (step * (seed + 3)) % 11
            value = cache.get_or_compute(key, lambda key=key: Value(key))
            if value.number != key:
                errors.append(key)
            if step % 7 == 0:
                cache.pop(key, None)
            list(cache.items())

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    gc.collect()
    assert errors == []
    assert len(cache) == 0
    assert len(cache._references) == 0
