import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import pytest

import memlens
import memlens.errors
from memlens.errors import OptionError
from memlens.leaks import scopes as module

pytestmark = pytest.mark.small_process


class Request:
    def __init__(self):
        self.body = bytearray(500)


class Audit:
    pass


KEPT: list[Request] = []
PENDING: dict[int, Request] = {}


@pytest.fixture(autouse=True)
def fresh():
    module._states.clear()
    KEPT.clear()
    yield
    for state in module._states.values():  # a look of this test is not the next one's
        assert module.Scope(state).wait()
    module._states.clear()
    KEPT.clear()


def repeat(step, times=36, name="request", **options):
    options = {"every": 10, "settle": 3, **options}
    for number in range(times):
        with memlens.scope(name, **options):
            step(number)
        assert memlens.scope(name).wait()
    return memlens.scope(name).report()


def test_what_outlives_its_block_is_named_with_its_holder():
    report = repeat(lambda number: KEPT.append(Request()))
    (survivors,) = report.leaking
    assert survivors.type_name.endswith("test_scope.Request")
    assert survivors.holder == "tests.leaks.test_scope.KEPT"
    assert survivors.looks == report.looks >= 2
    assert survivors.count == report.looks
    assert survivors.retained_bytes / survivors.count > 500
    assert "test_scope.KEPT" in str(report)
    assert json.loads(json.dumps(report.to_dict()))["survivors"][0]["count"] == survivors.count


def test_what_dies_with_its_block_or_soon_after_is_none():
    def step(number):
        PENDING.pop(number - 2, None)
        PENDING[number] = Request()
        cycle = Request()
        cycle.me = cycle

    report = repeat(step)
    assert report.watched >= 2 * report.looks > 0
    assert report.leaking == ()
    assert "Nothing survived" in str(report)


def test_what_is_made_outside_the_block_is_none():
    def step(number):
        pass

    for number in range(36):
        KEPT.append(Request())
        with memlens.scope("request", every=10, settle=3):
            step(number)
        KEPT.append(Request())
        assert memlens.scope("request").wait()
    assert memlens.scope("request").report().leaking == ()


def test_nothing_lives_longer_because_it_is_watched():
    references = []

    def step(number):
        one = Audit()
        references.append(weakref.ref(one))

    for number in range(30):
        with memlens.scope("request", every=3, settle=1):
            step(number)
        assert references[-1]() is None


def test_a_block_that_raises_is_a_repetition_and_its_error_passes():
    with pytest.raises(KeyError), memlens.scope("request"):
        raise KeyError
    assert memlens.scope("request").report().repetitions == 1


def test_it_is_a_decorator_for_functions_and_coroutine_functions():
    @memlens.scope("plain")
    def plain(a, *, b=2):
        "A docstring."
        return a + b

    @memlens.scope("async")
    async def delayed(a):
        await asyncio.sleep(0)
        return a

    assert (plain(1), plain(1, b=3), plain.__doc__) == (3, 4, "A docstring.")
    assert asyncio.run(delayed(5)) == 5
    assert memlens.scope("plain").report().repetitions == 2
    assert memlens.scope("async").report().repetitions == 1


@pytest.mark.parametrize("turn", (0, 1))
def test_what_only_every_second_block_keeps_is_seen(turn):
    report = repeat(lambda number: number % 2 == turn and KEPT.append(Request()), times=80)
    assert [one["type"] for one in report.to_dict()["survivors"]] == [f"{__name__}.Request"]


def test_no_block_is_looked_at_while_another_thread_collects():
    """A collection of ours does nothing then: all that is young would seem made in the block."""

    request = memlens.scope("request", every=1, settle=1)

    def while_collecting(phase, info):
        if phase == "start":
            with request:
                pass

    gc.callbacks.append(while_collecting)
    try:
        while request.report().repetitions < 20:
            gc.collect()
    finally:
        gc.callbacks.remove(while_collecting)
    assert module._states["request"].marked is None
    with request:
        KEPT.append(Request())
    alive = [obj for one in module._states["request"].marked if (obj := one()) is not None]
    assert alive == KEPT


def collect(number):
    before = module._older_collections()
    while module._older_collections() == before:  # nothing, while another thread collects
        gc.collect()


def test_a_block_too_long_to_be_looked_at_is_counted_as_missed():
    report = repeat(collect, times=15)
    assert (report.looks, report.missed) == (0, 1)
    assert "too long" in str(report)


def test_looks_are_bounded_and_the_collector_is_left_alone_after_them():
    report = repeat(lambda number: KEPT.append(Request()), max_looks=1, times=60)
    assert report.looks == 1
    before = gc.get_stats()
    for _ in range(100):
        with memlens.scope("request"):
            pass
    after = gc.get_stats()
    assert [one["collections"] for one in after[1:]] == [one["collections"] for one in before[1:]]


def test_names_are_bounded():
    for number in range(module.MAX_SCOPES):
        memlens.scope(f"kind {number}")
    with pytest.raises(OptionError, match="name the kind"):
        memlens.scope("one more")
    memlens.scope("kind 1").reset()
    memlens.scope("one more")


@pytest.mark.parametrize("option", ["every", "settle", "max_looks", "max_objects"])
def test_options_below_one_are_refused(option):
    with pytest.raises(OptionError):
        memlens.scope("bad", **{option: 0})


def test_a_snapshot_that_fails_is_counted_and_the_program_goes_on(monkeypatch):
    def fails(**options):
        raise memlens.errors.CaptureError("no")

    monkeypatch.setattr(module, "take_heap_snapshot", fails)
    report = repeat(lambda number: KEPT.append(Request()))
    assert report.failures >= 2
    assert report.looks == 0


def test_blocks_in_many_threads_count_together():
    def work():
        for _ in range(50):
            with memlens.scope("request", every=1000):
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert memlens.scope("request").report().repetitions > 100


def test_the_memory_of_a_scope_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "MAX_PLACES", 3)
    kept = type("Kept", (), {})()
    globals()["kept_by_many_names"] = kept

    def step(number):
        for place in range(10):
            setattr(kept, f"place_{number}_{place}", [Request()])

    report = repeat(step, times=16)
    assert report.survived >= 10 * report.looks > 0
    assert len(report.survivors) == 3


FORKS = """
import os, threading, memlens
from memlens.leaks import scopes as module
kept = []
def repeat():
    for number in range(36):
        with memlens.scope("request", every=10, settle=3):
            kept.append(type("Kept", (), {})())
        assert memlens.scope("request").wait()
    return memlens.scope("request").report()
here = memlens.scope("request", every=10, settle=3)
state = module._states["request"]
repeat()
held, done = threading.Event(), threading.Event()
def hold():
    with state.lock, module._lock:
        held.set()
        done.wait()
here.__enter__()
holder = threading.Thread(target=hold)
holder.start()
held.wait()
pid = os.fork()
if pid == 0:
    here.__exit__(None, None, None)
    before = here.report().looks
    os._exit(0 if repeat().looks > before > 0 else 1)
done.set()
holder.join()
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
def test_a_forked_child_goes_on_whatever_its_parent_was_doing():
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKS],
        env={**os.environ, "PYTHONPATH": str(Path(memlens.__file__).parent.parent)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.stdout, done.stderr) == ("0\n", "")
