"""ObjectPool and BufferPool against a model, with threads and tasks."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from memlens.structures import BufferPool, ObjectPool


class Thing:
    __hash__ = None  # objects are compared by identity

    def __init__(self):
        self.dirty = False
        self.good = True


def clean(thing):
    thing.dirty = False


class PoolAgainstModel(RuleBasedStateMachine):
    """The model: two lists, idle (a stack) and leased."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.pool = ObjectPool(
            Thing,
            clean,
            initial_size=2,
            max_size=5,
            validate=lambda thing: thing.good,
            idle_seconds=10.0,
            clock=lambda: self.now,
        )
        self.leased = []
        self.known_idle = []
        self.idle_count = 2

    @precondition(lambda self: len(self.leased) < 5)
    @rule()
    def acquire(self):
        thing = self.pool.acquire(timeout=0)
        assert thing.good
        assert not thing.dirty
        assert not any(thing is other for other in self.leased)
        thing.dirty = True
        self.leased.append(thing)
        self.known_idle = [other for other in self.known_idle if other is not thing]

    @precondition(lambda self: len(self.leased) == 5)
    @rule()
    def refuse_one_more(self):
        with pytest.raises(TimeoutError, match="all 5 are leased"):
            self.pool.acquire(timeout=0)

    @precondition(lambda self: self.leased)
    @rule(position=st.integers(0, 4), good=st.booleans())
    def release(self, position, good):
        thing = self.leased.pop(position % len(self.leased))
        thing.good = good
        self.pool.release(thing)
        self.known_idle.append(thing)

    @precondition(lambda self: self.known_idle)
    @rule()
    def refuse_a_second_release(self):
        with pytest.raises(ValueError, match=r"twice|not on loan"):
            self.pool.release(self.known_idle[-1])

    @rule()
    def refuse_a_foreign_object(self):
        with pytest.raises(ValueError, match="not on loan"):
            self.pool.release(Thing())

    @rule(seconds=st.sampled_from([1.0, 11.0]))
    def wait_and_shrink(self, seconds):
        self.now += seconds
        self.pool.shrink()
        if seconds > 10:
            assert self.pool.stats().total <= max(2, len(self.leased))

    @invariant()
    def counts_add_up(self):
        stats = self.pool.stats()
        assert stats.leased == len(self.leased)
        assert stats.total == stats.idle + stats.leased <= 5
        assert stats.created - stats.discarded == stats.total
        assert len(self.pool.unreleased()) == len(self.leased)


PoolAgainstModel.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestPoolAgainstModel = PoolAgainstModel.TestCase


def test_object_is_never_leased_twice_and_waiters_are_served():
    pool = ObjectPool(Thing, initial_size=0, max_size=3)
    errors = []

    def work():
        for _ in range(500):
            with pool.lease(timeout=30) as thing:
                if thing.dirty:
                    errors.append("shared")
                thing.dirty = True
                thing.dirty = False

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    stats = pool.stats()
    assert errors == []
    assert (stats.leased, stats.acquired) == (0, 4000)
    assert stats.created <= 3


def test_threads_and_tasks_wait_in_one_queue():
    pool = ObjectPool(Thing, initial_size=1, max_size=1)
    order = []

    async def main():
        first = pool.acquire()

        async def use(number):
            async with pool.lease(10):
                order.append(number)
                await asyncio.sleep(0)

        tasks = [asyncio.create_task(use(number)) for number in range(5)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        with pytest.raises(TimeoutError, match="within 0"):
            await pool.acquire_async(0)
        threading.Thread(target=pool.release, args=(first,)).start()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())
    assert order == [0, 2, 3, 4]
    assert pool.stats().leased == 0
    assert pool.stats().idle == 1


def lose_one(pool):
    pool.acquire()


@pytest.mark.parametrize("factory", [Thing, list, lambda: bytearray(8)])
def test_lost_object_is_reported_and_its_place_is_freed(factory):
    pool = ObjectPool(factory, initial_size=0, max_size=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        lose_one(pool)
        again = pool.acquire(timeout=0)
    assert any("lose_one" in str(warning.message) for warning in caught)
    (report,) = pool.lost()
    assert report.lost
    assert "in lose_one" in report.where[0]
    assert pool.stats().lost == 1
    pool.release(again)


def test_lost_objects_do_not_accumulate_without_a_bound():
    pool = ObjectPool(lambda: bytearray(1000), initial_size=0, frames=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(1000):
            pool.acquire()
    assert pool.stats().total <= 128


def test_unreleased_leases_have_an_age_and_keep_no_frame_alive():
    now = [0.0]
    pool = ObjectPool(Thing, clock=lambda: now[0])
    thing = pool.acquire()
    now[0] = 5.0
    (lease,) = pool.unreleased(min_seconds=5.0)
    assert lease.age_seconds == 5.0
    assert "test_pool.py" in lease.where[0]
    assert pool.unreleased(min_seconds=6.0) == ()
    assert not any(type(other).__name__ == "frame" for other in gc.get_referrers(thing)[1:])
    pool.release(thing)


def test_pool_stays_consistent_after_errors_of_its_functions():
    fail = []

    def step(name):
        def run(*_):
            if name in fail:
                raise OSError(name)
            return Thing() if name == "factory" else True

        return run

    disposed = []
    pool = ObjectPool(
        step("factory"),
        step("reset"),
        initial_size=0,
        max_size=1,
        validate=step("validate"),
        dispose=disposed.append,
    )
    fail[:] = ["factory"]
    with pytest.raises(OSError, match="factory"):
        pool.acquire(0)
    fail[:] = ["reset"]
    thing = pool.acquire(0)
    with pytest.raises(OSError, match="reset"):
        pool.release(thing)
    fail[:] = []
    pool.release(pool.acquire(0))
    fail[:] = ["validate"]
    with pytest.raises(OSError, match="validate"):
        pool.acquire(0)
    fail[:] = []
    assert len(disposed) == 2
    thing = pool.acquire(0)
    pool.close()
    pool.release(thing)
    assert len(disposed) == 3
    with pytest.raises(RuntimeError, match="closed"):
        pool.acquire()


def test_lease_can_be_used_once():
    pool = ObjectPool(Thing)
    lease = pool.lease()
    with lease:
        pass
    with pytest.raises(RuntimeError, match="used once"), lease:
        pass


def test_released_buffer_is_unusable_and_cleared():
    pool = BufferPool(64, 1)
    view = pool.acquire()
    view[:4] = b"abcd"
    pool.release(view)
    with pytest.raises(ValueError, match="released"):
        view[0]
    with pool.lease() as other:
        assert bytes(other) == bytes(64)
        with pytest.raises(ValueError, match="released before"):
            pool.release(view)  # detected although its memory is on loan again


def test_buffer_with_live_slices_is_not_reused():
    pool = BufferPool(64, 1)
    view = pool.acquire()
    part = view[:10]
    with pytest.raises(BufferError, match="slices"):
        pool.release(view)
    part[:4] = b"mine"
    with pool.lease(0) as other:
        other[:] = b"x" * 64
        assert bytes(part[:4]) == b"mine"


def test_sizes_out_of_range_are_refused():
    with pytest.raises(ValueError, match="size"):
        BufferPool(0, 1)
    with pytest.raises(ValueError, match="count"):
        BufferPool(1, 0)
    with pytest.raises(ValueError, match="larger than max_size"):
        ObjectPool(Thing, initial_size=3, max_size=2)
    with pytest.raises(TypeError, match="factory"):
        ObjectPool(3)
    with pytest.raises(ValueError, match="timeout"):
        ObjectPool(Thing).acquire(-1)


@pytest.mark.parametrize(("max_size", "expected"), [(None, 10), (20, 10), (3, 3)])
def test_a_pool_begins_with_ten_objects_or_as_many_as_it_may_have(max_size, expected):
    assert ObjectPool(Thing, max_size=max_size).stats().total == expected
