"""Garbage collections, counted and measured without running Python code in them."""

from __future__ import annotations

import gc
import os
import sys
from types import BuiltinFunctionType

import pytest

from memlens.process.gc_pauses import CountedGcPauses, MeasuredGcPauses, new_gc_pauses
from tests.core.sampler_child import run_plain


def measured() -> MeasuredGcPauses:
    if os.environ.get("MEMLENS_PURE") == "1":
        pytest.skip("measured in C only")
    try:
        return MeasuredGcPauses()
    except ImportError as error:
        assert os.environ.get("MEMLENS_PURE") != "0", error
        pytest.skip(str(error))


@pytest.fixture(params=["measured", "counted"])
def pauses(request):
    one = measured() if request.param == "measured" else CountedGcPauses()
    yield one
    one.stop()


@pytest.fixture
def our_callback():
    """A function that returns what a counter has put into ``gc.callbacks``."""
    before = list(gc.callbacks)
    return lambda: next(one for one in gc.callbacks if not any(one is old for old in before))


def test_collections_are_counted_from_start_to_stop_and_added_up_until_cleared(pauses):
    gc.collect()
    assert pauses.count == 0
    pauses.start()
    pauses.start()
    gc.collect()
    gc.collect(0)
    pauses.stop()
    pauses.stop()
    gc.collect()
    assert pauses.count == 2
    pauses.start()
    gc.collect()
    assert pauses.count == 3
    pauses.clear()
    assert pauses.count == 0
    gc.collect()
    assert pauses.count == 1


def test_pauses_are_summed_and_the_longest_is_kept():
    pauses = measured()
    pauses.start()
    try:
        for _ in range(3):
            gc.collect()
    finally:
        pauses.stop()
    assert 0 < pauses.longest_seconds < pauses.total_seconds <= 3 * pauses.longest_seconds


def test_each_counter_knows_its_own_time():
    early, late = measured(), measured()
    early.start()
    try:
        gc.collect()
        late.start()
        gc.collect()
    finally:
        early.stop()
        late.stop()
    assert (early.count, late.count) == (2, 1)


def test_counted_pauses_are_unknown():
    pauses = CountedGcPauses()
    pauses.start()
    gc.collect()
    assert pauses.count == 1
    assert pauses.total_seconds is pauses.longest_seconds is pauses.take_clean_blocks() is None


def test_a_collection_that_had_begun_before_is_not_counted(our_callback):
    pauses = measured()
    pauses.start()
    callback = our_callback()
    pauses.stop()
    callback("stop", {"generation": 0})
    assert pauses.count == 0
    callback("start", {"generation": 0})
    callback("stop", {"generation": 0})
    callback("stop", {"generation": 0})
    assert pauses.count == 1
    callback("start", {"generation": 0})
    pauses.clear()  # as in a child that a finalizer forked
    callback("stop", {"generation": 0})
    assert pauses.count == 0


def test_the_callback_refuses_what_is_no_phase_and_survives_what_is_no_info(our_callback):
    pauses = measured()
    pauses.start()
    callback = our_callback()
    pauses.stop()
    for arguments in ((), ("stop",), (1, {}), ("stop", {}, {})):
        with pytest.raises(TypeError):
            callback(*arguments)
    for info in (None, {}, {"generation": "2"}, {"generation": 1 << 100}, {2: 2}):
        callback("stop", info)
    assert pauses.take_clean_blocks() is None


class Unequal:
    """Another's callback, which must not be compared with anything."""

    def __eq__(self, other):
        raise AssertionError("compared")

    __hash__ = None

    def __call__(self, phase, info):
        pass


def test_the_collectors_callbacks_are_as_they_were_afterwards():
    one, two = measured(), measured()
    before = len(gc.callbacks)
    other = Unequal()
    gc.callbacks.append(other)
    try:
        one.start()
        two.start()
        assert len(gc.callbacks) == before + 3
        one.stop()
        assert len(gc.callbacks) == before + 2
        two.stop()
        assert len(gc.callbacks) == before + 1
        assert gc.callbacks[-1] is other
        one.start()
        del gc.callbacks[-1]  # by somebody else
        one.stop()
    finally:
        assert gc.callbacks.pop() is other


def test_live_blocks_are_noted_after_a_full_collection_and_taken_once():
    pauses = measured()
    pauses.start()
    try:
        gc.collect(0)
        assert pauses.take_clean_blocks() is None
        gc.collect()
        assert 1000 < pauses.take_clean_blocks() <= 2 * sys.getallocatedblocks()
        assert pauses.take_clean_blocks() is None
    finally:
        pauses.stop()


def test_a_replaced_getallocatedblocks_is_not_called(monkeypatch):
    """It could be Python code. The blocks are unknown then."""
    monkeypatch.setattr(sys, "getallocatedblocks", lambda: 1 / 0)
    pauses = measured()
    pauses.start()
    try:
        gc.collect()
        assert pauses.count == 1
        assert pauses.take_clean_blocks() is None
    finally:
        pauses.stop()


def test_pure_python_only_counts(monkeypatch):
    monkeypatch.setenv("MEMLENS_PURE", "1")
    assert type(new_gc_pauses()) is CountedGcPauses


def test_no_python_runs_in_a_collection_while_a_profiler_runs(tmp_path):
    """A callback in Python would let other threads run, up to 3.11 in the middle of C code."""
    run_plain(f"""
    import gc, sys
    from memlens import MemoryProfiler
    before = list(gc.callbacks)
    with MemoryProfiler({str(tmp_path)!r}):
        called = []
        sys.setprofile(lambda frame, event, argument: called.append((event, frame.f_code)))
        gc.collect()
        gc.collect(0)
        sys.setprofile(None)
        added = gc.callbacks[len(before):]
    python = [code for event, code in called if event == "call"]
    assert not python, python
    assert all(type(one).__name__ == "builtin_function_or_method" for one in added), added
    """)


def test_threads_may_parse_and_capture_while_a_profiler_runs(tmp_path):
    """This crashed up to 3.11: a thread was switched to at the end of a collection in the parser."""
    measured()  # the pure core takes minutes for it, and has no entry in gc.callbacks
    run_plain(f"""
    import ast, gc, sys, threading
    from memlens import MemoryProfiler, retained_size
    source = "x = [" + "f(a, b)[1:2], " * 300 + "]"
    sys.setswitchinterval(1e-6)
    gc.set_threshold(10, 2, 2)
    end = threading.Event()
    def parse():
        while not end.is_set():
            ast.parse(source)
    with MemoryProfiler({str(tmp_path)!r}):
        threads = [threading.Thread(target=parse) for _ in range(2)]
        for thread in threads: thread.start()
        kept = [[i] for i in range(100)]
        for _ in range(5):
            retained_size(kept)
        end.set()
        for thread in threads: thread.join()
    """)


def test_the_callback_is_a_function_of_c(our_callback):
    pauses = measured()
    pauses.start()
    callback = our_callback()
    pauses.stop()
    assert type(callback) is BuiltinFunctionType
