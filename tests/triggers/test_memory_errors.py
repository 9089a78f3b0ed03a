"""MemoryErrors that nobody handles, in hooks of the interpreter, of threads and of asyncio."""

from __future__ import annotations

import asyncio
import sys
import threading

import pytest

from memlens import triggers
from memlens.errors import OptionError
from memlens.triggers import memory_errors
from memlens.triggers.reserve import MemoryReserve, default_bytes
from tests.triggers.hosts import NotingHost


class Hosted(NotingHost):
    """Notes whether the reserve was available during the snapshot."""

    def __init__(self, trigger):
        super().__init__()
        self.trigger, self.held = trigger, []

    def fire_and_wait(self, reason, **options):
        self.held.append(self.trigger._reserve.is_held)
        return super().fire_and_wait(reason, **options)


@pytest.fixture
def host(monkeypatch):
    """A started trigger, over hooks that note what they are called with."""
    called = []
    monkeypatch.setattr(sys, "excepthook", lambda *arguments: called.append(arguments[1]))
    monkeypatch.setattr(threading, "excepthook", lambda one: called.append(one.exc_value))
    trigger = triggers.on_memory_error(reserve_bytes=1 << 20)
    host = Hosted(trigger)
    host.called = called
    trigger.start(host)
    yield host
    trigger.stop()


def raised(error):
    try:
        raise error
    except BaseException as caught:  # noqa: BLE001
        return caught


def test_main_thread(host):
    error = raised(MemoryError())
    sys.excepthook(MemoryError, error, None)
    assert (host.waited, host.called) == (["memory-error"], [error])
    assert host.held == [False]
    assert host.trigger._reserve.is_held  # again


def test_other_errors_take_no_snapshot(host):
    sys.excepthook(ValueError, raised(ValueError()), None)
    assert (host.waited, len(host.called)) == ([], 1)
    assert host.trigger._reserve.is_held


def test_group_of_errors_that_contains_one(host):
    error = raised(ExceptionGroup("several", [ValueError(), MemoryError()]))
    sys.excepthook(ExceptionGroup, error, None)
    assert host.waited == ["memory-error"]


def test_thread(host):
    def run():
        raise MemoryError

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert host.waited == ["memory-error"]
    assert [type(error) for error in host.called] == [MemoryError]


def test_thread_in_which_not_even_the_hook_can_be_called(host, monkeypatch):
    """The interpreter lacks the memory for the arguments of the hook; the reserve is released."""

    def run():
        raise MemoryError

    def fail(arguments):
        assert not host.trigger._reserve.is_held
        raise MemoryError

    thread = threading.Thread(target=run)
    monkeypatch.setattr(threading, "ExceptHookArgs", fail)
    monkeypatch.setattr(sys, "stderr", None)
    thread.start()
    thread.join()
    assert host.waited == ["memory-error"]
    assert host.trigger._reserve.is_held


@pytest.mark.parametrize("where", ["callback", "task"])
def test_asyncio_error_that_nobody_awaits(host, where):
    reported = []

    async def fail():
        raise MemoryError

    def call():
        raise MemoryError

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: reported.append(context))
        if where == "task":
            task = asyncio.create_task(fail())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            del task
        else:
            loop.call_soon(call)
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    asyncio.run(main())
    assert (host.waited, len(reported)) == (["memory-error"], 1)


def test_error_that_a_framework_catches(host):
    @triggers.notice_memory_errors()
    def handler():
        raise MemoryError

    @triggers.notice_memory_errors()
    async def coroutine():
        raise MemoryError

    with pytest.raises(MemoryError):
        handler()
    with pytest.raises(MemoryError):
        asyncio.run(coroutine())
    with pytest.raises(MemoryError), triggers.notice_memory_errors():
        raise MemoryError
    with pytest.raises(ValueError, match="planted"), triggers.notice_memory_errors():
        raise ValueError("planted")
    assert host.waited == ["memory-error"] * 3


def test_interrupted_snapshot_does_not_keep_the_reserve_released(host, monkeypatch):
    def interrupted(reason, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(host, "fire_and_wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sys.excepthook(MemoryError, raised(MemoryError()), None)
    assert host.trigger._reserve.is_held
    monkeypatch.undo()
    host.trigger.begin(MemoryError())
    host.trigger.end()
    assert host.waited == ["memory-error"]


def test_other_threads_do_not_take_the_reserve_back_while_one_uses_it(host):
    trigger = host.trigger
    trigger.begin(MemoryError())
    thread = threading.Thread(target=lambda: (trigger.begin(MemoryError()), trigger.end()))
    thread.start()
    thread.join()
    assert not trigger._reserve.is_held
    trigger.end()
    assert trigger._reserve.is_held
    assert host.waited == ["memory-error"]


def test_stop_puts_the_previous_hooks_back_unless_others_lie_above():
    before = sys.excepthook, threading.excepthook
    loop_before = asyncio.BaseEventLoop.call_exception_handler
    make_before = threading._make_invoke_excepthook
    trigger = triggers.on_memory_error(reserve_bytes=1 << 20)
    trigger.start(NotingHost())
    trigger.start(NotingHost())  # as in a forked child: not twice
    assert sys.excepthook is not before[0]
    ours = threading.excepthook
    threading.excepthook = lambda arguments: ours(arguments)
    trigger.stop()
    assert sys.excepthook is before[0]
    assert asyncio.BaseEventLoop.call_exception_handler is loop_before
    assert threading.excepthook is not ours
    threading.excepthook = ours
    trigger.stop()
    assert threading.excepthook is before[1]
    assert threading._make_invoke_excepthook is make_before
    assert memory_errors._started == []


def test_hook_that_stays_does_nothing_after_the_stop(host):
    hook = sys.excepthook
    host.trigger.stop()
    hook(MemoryError, raised(MemoryError()), None)
    assert (host.waited, len(host.called)) == ([], 1)
    assert not host.trigger._reserve.is_held


def test_reserve_is_taken_and_released_and_lack_of_room_is_no_error():
    reserve = MemoryReserve(1 << 20)
    assert not reserve.is_held
    assert reserve.take()
    assert reserve.take()
    reserve.release()
    reserve.release()
    assert repr(reserve) == "<MemoryReserve: released>"
    assert not MemoryReserve(1 << 60).take()


@pytest.mark.parametrize(
    ("limit_mib", "reserve_mib"),
    [(None, 60), (100, 32), (400, 50), (512, 60), (1000, 60), (1024, 128), (1 << 20, 256)],
)
def test_reserve_is_an_eighth_of_the_limit_but_nothing_that_malloc_takes_at_once(
    monkeypatch, limit_mib, reserve_mib
):
    resource = pytest.importorskip("resource")
    limit = resource.RLIM_INFINITY if limit_mib is None else limit_mib << 20
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (limit, limit))
    assert default_bytes() == reserve_mib << 20


def test_options_are_checked():
    with pytest.raises(OptionError, match="reserve_bytes"):
        triggers.on_memory_error(reserve_bytes=0)
    with pytest.raises(OptionError, match="min_seconds"):
        triggers.on_memory_error(min_seconds=-1)
    assert repr(triggers.on_memory_error()) == "on_memory_error()"
