from __future__ import annotations

import gc

from memlens.process.gc_pauses import GcPauseHook, GcPauses
from tests.clock import FakeClock


def collection(hook, clock, seconds):
    hook("start", {})
    clock.advance(seconds)
    hook("stop", {})


def test_pauses_are_counted_and_summed_and_the_longest_is_kept():
    clock = FakeClock()
    hook = GcPauseHook(clock)
    early, late = GcPauses(), GcPauses()
    hook.subscribe(early)
    try:
        collection(hook, clock, 0.5)
        hook.subscribe(late)
        hook.subscribe(late)
        collection(hook, clock, 0.125)
    finally:
        hook.unsubscribe(early)
        hook.unsubscribe(late)
    assert (early.count, early.total_seconds, early.longest_seconds) == (2, 0.625, 0.5)
    assert (late.count, late.total_seconds, late.longest_seconds) == (1, 0.125, 0.125)


def test_collection_that_began_before_subscribing_is_not_counted():
    hook = GcPauseHook(FakeClock())
    pauses = GcPauses()
    hook.subscribe(pauses)
    hook("stop", {})
    assert pauses.count == 0
    collection(hook, FakeClock(), 0.0)
    hook("stop", {})
    hook.unsubscribe(pauses)
    assert pauses.count == 1


def test_real_collections_are_counted_only_while_subscribed():
    hook = GcPauseHook()
    pauses = GcPauses()
    hook.subscribe(pauses)
    gc.collect()
    hook.unsubscribe(pauses)
    counted = pauses.count
    gc.collect()
    assert counted >= 1
    assert pauses.count == counted
    assert 0 < pauses.longest_seconds <= pauses.total_seconds < 60


class Unequal:
    """Another's callback, which must not be compared with anything."""

    def __eq__(self, other):
        raise AssertionError("compared")

    __hash__ = None

    def __call__(self, phase, info):
        pass


def test_callbacks_of_the_collector_are_restored():
    hook = GcPauseHook()
    one, two = GcPauses(), GcPauses()
    before = len(gc.callbacks)
    other = Unequal()
    gc.callbacks.append(other)
    try:
        hook.subscribe(one)
        hook.subscribe(two)
        assert len(gc.callbacks) == before + 2
        hook.unsubscribe(one)
        assert gc.callbacks[-1] is hook
        hook.unsubscribe(two)
        hook.unsubscribe(two)
        assert len(gc.callbacks) == before + 1
        assert gc.callbacks[-1] is other
        hook.subscribe(one)
        del gc.callbacks[-1]  # by somebody else
        hook.unsubscribe(one)
    finally:
        assert gc.callbacks.pop() is other


def test_live_blocks_are_recorded_after_a_full_collection_and_taken_once():
    pauses, hook = GcPauses(), GcPauseHook()
    hook.subscribe(pauses)
    try:
        gc.collect(0)
        assert pauses.take_clean_blocks() is None
        gc.collect()
        assert pauses.take_clean_blocks() > 1000
        assert pauses.take_clean_blocks() is None
    finally:
        hook.unsubscribe(pauses)
