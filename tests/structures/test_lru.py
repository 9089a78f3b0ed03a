"""LRUCache against a model, with threads, and its measured memory."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
import tracemalloc
import weakref
from collections import OrderedDict

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from memlens.structures import LRUCache, cached
from memlens.structures._entries import DUE

KEYS = st.integers(0, 12)


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class CacheAgainstModel(RuleBasedStateMachine):
    """The model is an ordered dict of (value, expiry), scanned completely at every step."""

    def __init__(self):
        super().__init__()
        self.clock = Clock()
        self.evicted = []
        self.cache = LRUCache(
            max_entries=5,
            max_bytes=40,
            ttl=10.0,
            size_of=lambda value: value,
            on_evict=lambda key, value: self.evicted.append(key),
            clock=self.clock,
        )
        self.model = OrderedDict()
        self.dropped = 0

    def live(self):
        return {k: v for k, (v, expires) in self.model.items() if expires > self.clock.now}

    def drop_expired(self):
        for key in [k for k, (_, expires) in self.model.items() if expires <= self.clock.now]:
            del self.model[key]

    @rule(key=KEYS, value=st.integers(0, 40), ttl=st.sampled_from([None, 3.0, 10.0]))
    def store(self, key, value, ttl):
        self.cache.expire()
        self.drop_expired()
        self.cache.set(key, value, ttl=ttl)
        self.model.pop(key, None)
        while len(self.model) >= 5 or sum(v for v, _ in self.model.values()) + value > 40:
            self.model.popitem(last=False)
        self.model[key] = (value, float("inf") if ttl is None else self.clock.now + ttl)

    @rule(key=KEYS, value=st.integers(41, 90))
    def refuse_what_is_too_large(self, key, value):
        with pytest.raises(ValueError, match="max_bytes"):
            self.cache[key] = value

    @rule(key=KEYS)
    def look_up(self, key):
        live = self.live()
        assert self.cache.get(key, "none") == live.get(key, "none")
        if key in live:
            self.model.move_to_end(key)

    @rule(key=KEYS)
    def peek(self, key):
        assert self.cache.peek(key, "none") == self.live().get(key, "none")
        assert (key in self.cache) == (key in self.live())

    @rule(key=KEYS)
    def delete(self, key):
        assert self.cache.delete(key) == (key in self.live())
        self.model.pop(key, None)

    @rule()
    def pop_the_least_used(self):
        self.drop_expired()
        if not self.model:
            with pytest.raises(KeyError):
                self.cache.popitem()
        else:
            key, (value, _) = self.model.popitem(last=False)
            assert self.cache.popitem() == (key, value)

    @rule(seconds=st.sampled_from([0.5, 3.0, 10.0]))
    def wait(self, seconds):
        self.clock.now += seconds

    @rule()
    def clear(self):
        self.cache.clear()
        self.model.clear()

    @invariant()
    def same_content_in_the_same_order(self):
        assert list(self.cache.items()) == list(self.live().items())

    @invariant()
    def bytes_are_the_sum(self):
        stats = self.cache.stats()
        assert stats.bytes == sum(self.live().values()) <= 40
        assert stats.entries == len(self.live()) <= 5
        assert stats.evictions + stats.expirations == len(self.evicted)


CacheAgainstModel.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestCacheAgainstModel = CacheAgainstModel.TestCase


def run_threads(count, target):
    errors = []

    def guarded(number):
        try:
            target(number)
        except Exception as error:  # noqa: BLE001  # raised again in the thread of the test
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]


def test_bounds_and_counts_hold_under_threads():
    clock = Clock()
    cache = LRUCache(50, max_bytes=300, ttl=5.0, size_of=lambda value: value, clock=clock)
    lookups = [0] * 4

    def work(number):
        state = number + 1
        for _ in range(3000):
            state = state * 1103515245 + 12345 & 0x7FFFFFFF
            key, action = state % 97, state >> 8 & 7
            if action < 3:
                cache[key] = state % 13
            elif action == 3:
                cache.delete(key)
            elif action == 4:
                clock.now += 0.01
            else:
                cache.get(key)
                lookups[number] += 1
            assert len(cache) <= 50

    run_threads(4, work)
    stats = cache.stats()
    assert stats.bytes == sum(cache.values()) <= 300
    assert stats.hits + stats.misses == sum(lookups)


def test_concurrent_callers_share_one_computation():
    cache = LRUCache()
    calls, started, go_on = [], threading.Event(), threading.Event()
    results = []

    def compute():
        calls.append(1)
        started.set()
        assert go_on.wait(10)
        return object()

    def ask(number):
        if number:
            assert started.wait(10)
        if number == 5:
            go_on.set()
        results.append(cache.get_or_compute("key", compute))

    run_threads(6, ask)
    assert len(calls) == 1
    assert len(set(map(id, results))) == 1


def waiting_threads(cache, key, count):
    """Wait until that many threads wait for a computation."""
    while True:
        flight = cache._flights.by_key.get(key)
        if flight is not None and len(flight.waiters) == count:
            return


def test_error_reaches_all_waiters_and_is_not_stored():
    cache = LRUCache()
    errors = []

    def fail():
        waiting_threads(cache, "key", 3)
        raise OSError("down")

    def ask(number):
        with pytest.raises(OSError, match="down") as caught:
            cache.get_or_compute("key", fail)
        errors.append(caught.value)

    run_threads(4, ask)
    assert len(set(map(id, errors))) == 1
    assert cache.get_or_compute("key", lambda: 7) == 7


def test_waiting_thread_computes_after_an_interrupt():
    cache = LRUCache()
    calls = []

    def compute():
        calls.append(1)
        if len(calls) == 1:
            waiting_threads(cache, "key", 2)
            raise KeyboardInterrupt
        return 5

    stopped = []

    def ask(number):
        try:
            assert cache.get_or_compute("key", compute) == 5
        except KeyboardInterrupt:
            stopped.append(number)

    run_threads(3, ask)
    assert len(stopped) == 1
    assert len(calls) == 2


def test_computation_that_waits_for_itself_is_refused():
    cache = LRUCache()
    with pytest.raises(RuntimeError, match="wait for itself"):
        cache.get_or_compute("a", lambda: cache.get_or_compute("a", int))
    meet = threading.Barrier(2)
    refused = []

    def ask(number):
        mine, other = "ab"[number], "ba"[number]

        def compute():
            meet.wait(10)
            return cache.get_or_compute(other, int)

        try:
            cache.get_or_compute(mine, compute)
        except RuntimeError:
            refused.append(number)

    run_threads(2, ask)
    assert refused  # one thread is refused, and its error reaches the other


@pytest.mark.parametrize("change", ["set", "delete", "clear"])
def test_change_during_a_computation_is_kept(change):
    cache = LRUCache()

    def compute():
        if change == "set":
            cache["key"] = "newer"
        elif change == "delete":
            cache.delete("key")
        else:
            cache.clear()
        return "older"

    assert cache.get_or_compute("key", compute) == "older"
    assert cache.get("key") == ("newer" if change == "set" else None)


def test_failed_computation_leaves_no_reference_cycle():
    class Held:
        pass

    cache = LRUCache()
    seen = []

    def fail():
        held = Held()
        seen.append(weakref.ref(held))
        raise ValueError

    gc.disable()
    try:
        with contextlib.suppress(ValueError):
            cache.get_or_compute(1, fail)
        alive = seen[0]()
    finally:
        gc.enable()
    assert alive is None


def test_callbacks_and_destructors_run_without_the_lock():
    def free_for_others():
        taken = []
        thread = threading.Thread(target=lambda: taken.append(cache.peek(0)))
        locker = threading.Thread(target=lambda: taken.append(cache.stats()))
        for t in (thread, locker):
            t.start()
            t.join(10)
        return len(taken) == 2

    seen = []

    class Value:
        def __del__(self):
            seen.append(free_for_others())

    def size_of(value):
        seen.append(free_for_others())
        return 1

    cache = LRUCache(2, size_of=size_of, on_evict=lambda key, value: seen.append(free_for_others()))
    for key in (0, 1, 2, 2, 3):
        cache[key] = Value()
    cache.pop(3)
    cache.clear()
    assert len(seen) > 10
    assert all(seen)


def test_all_evictions_are_reported_even_if_a_callback_raises():
    told = []

    def on_evict(key, value):
        told.append(key)
        raise LookupError(key)

    cache = LRUCache(10, max_bytes=10, size_of=lambda v: v, on_evict=on_evict)
    for key in range(3):
        cache[key] = 3
    with pytest.raises(LookupError):
        cache["large"] = 10
    assert told == [0, 1, 2]
    assert list(cache) == ["large"]


def make_value(kind, number):
    text = os.urandom(40).hex() + str(number)
    return {
        "text": text,
        "bytes": text.encode(),
        "number": number * 1000003,
        "list": [text, number],
        "dict": {"name": text, "number": float(number)},
    }[kind]


@pytest.mark.parametrize("kind", ["text", "bytes", "number", "list", "dict"])
@pytest.mark.parametrize("ttl", [None, 3600.0])
def test_measured_memory_stays_below_max_bytes(kind, ttl):
    limit = 2 * 2**20
    tracemalloc.start()
    try:
        cache = LRUCache(None, max_bytes=limit, ttl=ttl)
        worst = 0
        base = tracemalloc.get_traced_memory()[0]
        for number in range(12_000):
            cache[f"key-{number}"] = make_value(kind, number)
            if number % 3 == 0:  # replaced entries leave stale ones in the expiry heap
                cache[f"key-{number}"] = make_value(kind, number)
            if number % 100 == 0:
                worst = max(worst, tracemalloc.get_traced_memory()[0] - base)
        stats = cache.stats()
    finally:
        tracemalloc.stop()
    assert stats.evictions > 0
    assert worst <= limit
    assert worst >= limit / 3  # the available memory is used


def test_bounds_out_of_range_are_refused():
    for arguments in (
        {"max_entries": 0},
        {"max_entries": -1},
        {"max_bytes": 0},
        {"ttl": 0},
        {"ttl": float("nan")},
        {"max_entries": None},
    ):
        with pytest.raises(ValueError, match=r"max_|ttl"):
            LRUCache(**arguments)
    for arguments in ({"max_entries": 1.5}, {"ttl": "1"}, {"on_evict": 3}, {"size_of": 3}):
        with pytest.raises(TypeError, match=next(iter(arguments))):
            LRUCache(**arguments)
    with pytest.raises(ValueError, match="size_of"):
        LRUCache(size_of=lambda value: -1)["key"] = 1


def test_store_drops_few_of_many_expired_entries():
    clock = Clock()
    cache = LRUCache(10_000, ttl=1.0, clock=clock)
    for key in range(5000):
        cache[key] = key
    clock.now = 2.0
    before = len(cache._table.by_key)
    cache["new"] = 1
    assert before - len(cache._table.by_key) <= 4
    assert len(cache) == 1


def test_store_visits_few_of_many_renewed_entries():
    clock = Clock()
    cache = LRUCache(10_000, ttl=1.0, clock=clock)
    for now in (0.0, 0.5):  # the second store renews each entry
        clock.now = now
        for key in range(5000):
            cache[key] = now
    clock.now = 1.2
    cache["new"] = 1
    heap = cache._table.heap
    assert sum(entry[DUE] > 1.2 for entry in heap) <= 5
    assert len(cache) == 5001
    clock.now = 1.6
    assert len(cache) == 1


def test_nothing_expires_by_age_unless_a_ttl_is_given():
    clock = Clock()
    cache = LRUCache(10, clock=clock)
    cache["kept"] = 1
    calls = []

    @cached(clock=clock)
    def computed(number):
        calls.append(number)
        return number

    computed(1)
    clock.now = 10 * 365 * 86_400.0
    assert cache["kept"] == 1
    assert computed(1) == 1
    assert calls == [1]
    assert cache.expire() == computed.cache.expire() == 0


def test_replaced_value_expires_by_its_own_ttl():
    clock = Clock()
    dropped = []
    cache = LRUCache(10, ttl=10.0, on_evict=lambda *pair: dropped.append(pair), clock=clock)
    cache.set("longer", 1)
    cache.set("shorter", 1)
    cache.set("never", 1)
    cache.set("again", 1, ttl=None)
    clock.now = 5.0
    cache.set("longer", 2)
    cache.set("shorter", 2, ttl=2.0)
    cache.set("never", 2, ttl=None)
    cache.set("again", 2)
    clock.now = 8.0
    assert dict(cache) == {"longer": 2, "never": 2, "again": 2}
    cache.expire()
    clock.now = 11.0
    cache.expire()
    assert dict(cache) == {"longer": 2, "never": 2, "again": 2}
    assert dropped == [("shorter", 2)]
    clock.now = 16.0
    assert dict(cache) == {"never": 2}
    cache.set("never", 3, ttl=1.0)
    clock.now = 18.0
    assert len(cache) == 0
    assert [key for key, _ in dropped] == ["shorter", "longer", "again", "never"]


def test_replacing_values_does_not_grow_the_expiry_heap():
    cache = LRUCache(10, ttl=10.0, clock=Clock())
    for number in range(1000):
        cache[number % 5] = number
    assert len(cache._table.heap) == 5


def test_value_stored_while_the_expired_one_is_dropped_is_kept(monkeypatch):
    clock = Clock()
    cache = LRUCache(10, ttl=10.0, clock=clock)
    cache["key"] = "old"
    clock.now = 11.0
    drop_expired = cache._drop_expired

    def store_first(entry):
        cache["key"] = "new"
        drop_expired(entry)

    monkeypatch.setattr(cache, "_drop_expired", store_first)
    assert cache.get("key") is None  # it had expired at that time
    assert cache.peek("key") == "new"
    assert cache.stats().expirations == 0


@pytest.mark.parametrize("change", ["pop", "set", "clear"])
def test_key_removed_by_a_finaliser_during_a_lookup_or_store_is_no_error(change):
    class Key:
        """Runs an action at its next hash, as the collector may run a finaliser at any time."""

        action = staticmethod(lambda: None)

        def __hash__(self):
            action, Key.action = Key.action, staticmethod(lambda: None)
            action()
            return 7

    actions = {
        "pop": lambda: cache.pop(key, None),
        "set": lambda: cache.set(key, "from the finaliser"),
        "clear": lambda: cache.clear(),
    }
    for ttl in (None, 10.0):
        for method in ("set", "get", "pop", "delete"):
            for place in range(1, 4):
                cache, key = LRUCache(10, ttl=ttl), Key()
                cache[key] = "first"
                Key.action = staticmethod(_nth(place, actions[change], Key))
                arguments = (key, "second") if method == "set" else (key,)
                if method == "pop":
                    arguments = (key, None)
                getattr(cache, method)(*arguments)
                Key.action = staticmethod(lambda: None)
                if method == "set" and change != "clear":  # which may come after the store
                    assert cache.peek(key) in ("second", "from the finaliser"), (ttl, place)
                cache.expire()
                assert len(cache) == len(cache._table.by_key) == len(dict(cache))


def _nth(place, action, key_class):
    """Return a function that runs an action at the call with the number ``place``."""

    def run():
        nonlocal place
        place -= 1
        if place == 0:
            action()
        else:
            key_class.action = staticmethod(run)

    return run
