"""ProfileSender with a real sampler and a local receiver. The clock is the test's."""

from __future__ import annotations

import asyncio
import gzip
import os
import sys
import threading
from types import SimpleNamespace

import pytest

from memlens.allocations.profiler import AllocationProfiler
from memlens.errors import OptionError
from memlens.integrations import profiles_out
from memlens.integrations.profiles_out import ProfileSender
from tests.clock import FakeClock
from tests.formats import otlp_reader
from tests.integrations.receiver import Receiver
from tests.own_threads import own_threads
from tests.profiler.planted import profiler_in
from tests.sampler import need_sampler

need_sampler()


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("ENDPOINT", "HEADERS", "PROFILES_ENDPOINT", "PROFILES_HEADERS"):
        monkeypatch.delenv(f"OTEL_EXPORTER_OTLP_{name}", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def receiver():
    with Receiver() as started:
        yield started


@pytest.fixture
def profiler():
    with AllocationProfiler(1) as running:
        yield running


class Driven(ProfileSender):
    """A sender whose clock is moved by hand; ``idle`` is set while it waits."""

    def __init__(self, *arguments, **options):
        self.idle = threading.Event()
        self.fake = FakeClock()
        super().__init__(*arguments, clock=self.fake, **options)

    def _wait(self, seconds):
        self.idle.set()
        super()._wait(None)  # only the test moves the clock

    def _after_fork(self):
        self.idle = threading.Event()
        super()._after_fork()

    def pass_time(self, seconds):
        """Move the clock once the thread waits, and wake it."""
        assert self.idle.wait(60)
        with self._condition:
            self.idle.clear()
            self.fake.advance(seconds)
            self._condition.notify_all()


def make(number: int, size: int = 1000) -> list[bytes]:
    return [bytes(size) for _ in range(number)]


def made(request, name: str) -> int:
    """Return how much of a measure `make` has in a request."""
    message = otlp_reader.read(gzip.decompress(request.body))
    otlp_reader.check_request(message)
    return sum(
        value
        for (path, _, _), value in otlp_reader.call_paths(message, name).items()
        if any(function == "make" for function, _, _ in path)
    )


def test_each_profile_has_what_was_allocated_since_the_last_one(receiver, profiler):
    make(500)  # before the sender was started
    with Driven(profiler, receiver.url, interval=60.0) as sender:
        assert sender.idle.wait(60)
        kept = make(100)
        sender.pass_time(60.0)
        first = receiver.next()
        make(200)
        sender.pass_time(60.0)
        second = receiver.next()
    assert first.path == "/v1development/profiles"
    assert len(kept) == 100
    assert 100_000 < made(first, "alloc_space") < 110_000
    assert 200_000 < made(second, "alloc_space") < 220_000
    assert 100_000 < made(second, "inuse_space") < 110_000
    last = receiver.next()  # what was left when the sender was stopped
    assert made(last, "alloc_space") == 0
    assert sender.health()["sent"] == 3


def test_nothing_is_due_before_the_interval_is_over(receiver, profiler):
    with Driven(profiler, receiver.url, interval=60.0) as sender:
        sender.pass_time(59.0)
        assert sender.idle.wait(60)
        assert receiver.received.empty()
        sender.stop(send_last=False)
    assert receiver.received.empty()


def test_what_did_not_arrive_is_part_of_the_next_profile(receiver, profiler):
    receiver.answers = [(503, {"Retry-After": "90"}, b"")]
    with Driven(profiler, receiver.url, interval=60.0) as sender:
        assert sender.idle.wait(60)
        make(100)
        sender.pass_time(60.0)
        assert 100_000 < made(receiver.next(), "alloc_space") < 110_000
        make(200)
        sender.pass_time(60.0)  # due, but not wanted yet
        sender.pass_time(30.0)
        again = receiver.next()
        sender.stop(send_last=False)
    assert 300_000 < made(again, "alloc_space") < 330_000
    assert sender.health()["failures"] == 1


def test_a_profile_that_is_refused_for_good_is_not_sent_again(receiver, profiler):
    receiver.answers = [(400, {}, b"")]
    with Driven(profiler, receiver.url, interval=60.0) as sender:
        assert sender.idle.wait(60)
        make(100)
        sender.pass_time(60.0)
        receiver.next()
        sender.pass_time(60.0)
        assert made(receiver.next(), "alloc_space") == 0
        sender.stop(send_last=False)
    assert sender.health()["dropped"] == 1


def test_a_memory_profiler_is_a_source_too(receiver, tmp_path):
    profiler = profiler_in(tmp_path, allocation_interval_bytes=1, allocations="sampling")
    with profiler, Driven(profiler, receiver.url) as sender:
        assert sender.idle.wait(60)
        make(100)
        sender.pass_time(60.0)
        assert made(receiver.next(), "alloc_space") > 100_000
        sender.stop(send_last=False)


def test_nothing_is_sent_while_the_profiler_does_not_run(receiver):
    profiler = AllocationProfiler(1)
    with Driven(profiler, receiver.url, interval=60.0) as sender:
        sender.pass_time(60.0)
        assert sender.idle.wait(60)
        with profiler:
            sender.pass_time(60.0)  # begins here
            assert sender.idle.wait(60)
            make(100)
            sender.pass_time(60.0)
            assert 100_000 < made(receiver.next(), "alloc_space") < 110_000
    assert sender.health()["failures"] == 0


def test_pyroscope(receiver, profiler):
    with Driven(profiler, receiver.url, protocol="pyroscope") as sender:
        sender.pass_time(60.0)
        request = receiver.next()
        sender.stop(send_last=False)
    assert request.path.startswith("/ingest?name=")
    assert request.headers["content-type"].startswith("multipart/form-data; boundary=")


def test_lifecycle_can_be_repeated_and_leaves_no_thread(receiver, profiler):
    sender = Driven(profiler, receiver.url)
    assert not sender.is_running
    sender.stop()
    for _ in range(2):
        sender.start()
        sender.start()
        assert sender.is_running
        assert len(own_threads("memlens-profiles")) == 1
        assert "running" in repr(sender)
        sender.stop(send_last=False)
        assert not sender.is_running
        assert own_threads("memlens-profiles") == []
    assert "stopped" in repr(sender)
    assert receiver.received.empty()


def test_stop_does_not_wait_for_a_receiver_that_hangs(receiver, profiler, monkeypatch):
    monkeypatch.setattr(profiles_out, "_STOP_SECONDS", 0.05)
    receiver.answers = ["hang"]
    sender = Driven(profiler, receiver.url, timeout=600.0).start()
    sender.pass_time(60.0)
    receiver.next()
    sender.stop(send_last=False)
    assert own_threads("memlens-profiles") == []
    assert sender.health()["failures"] == 1


def test_a_failure_of_ours_does_not_end_the_thread(receiver, profiler, monkeypatch, caplog):
    with Driven(profiler, receiver.url) as sender:
        with monkeypatch.context() as patch:
            patch.setattr(sender._requests, "request", lambda *_: 1 / 0)
            sender.pass_time(60.0)
            assert sender.idle.wait(60)
        sender.pass_time(60.0)
        receiver.next()
        sender.stop(send_last=False)
    assert "ZeroDivisionError" in caplog.text
    assert sender.health()["failures"] == 1


def test_a_thread_that_cannot_be_started_is_a_failure_and_not_an_error(profiler, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    sender = ProfileSender(profiler, "http://127.0.0.1:1")
    monkeypatch.setattr(threading.Thread, "start", refuse)
    sender.start()
    assert not sender.is_running
    assert "can't start new thread" in sender.health()["last_error"]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # other threads run
def test_a_forked_child_sends_profiles_of_its_own(receiver, profiler):
    with Driven(profiler, receiver.url, interval=60.0) as sender:
        assert sender.idle.wait(60)
        make(1000)
        pid = os.fork()
        if pid == 0:
            try:
                assert sender.idle.wait(60)  # its own thread waits
                make(100)
                sender.pass_time(60.0)
                sender.pass_time(0.0)
                sent = sender.health()["sent"]
                os._exit(0 if sent == 1 else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        request = receiver.next()
        sender.stop(send_last=False)
    assert 100_000 < made(request, "alloc_space") < 110_000
    message = otlp_reader.read(gzip.decompress(request.body))
    attributes = message.resource_profiles[0].resource.attributes
    assert [one.value.int_value for one in attributes if one.key == "process.pid"] == [pid]


def test_the_sender_does_not_profile_itself(receiver, profiler):
    with Driven(profiler, receiver.url) as sender:
        for _ in range(3):
            sender.pass_time(60.0)
            receiver.next()
        sender.stop(send_last=False)
    ours = [
        row
        for row in profiler.profile().rows
        if any(
            frame.file == profiles_out.__file__ and frame.function.endswith("_guarded")
            for frame in row.call_path
        )
    ]
    assert ours == []


@pytest.mark.parametrize(
    "options",
    [
        {"url": "collector:4318"},
        {"url": 5},
        {"protocol": "grpc"},
        {"interval": 0},
        {"interval": float("inf")},
        {"timeout": -1},
        {"headers": {"a\n": "b"}},
        {"attributes": {"a": 1}},
        {"clock": 5},
        {"profiler": object()},
        {"protocol": "pyroscope", "url": None},
    ],
)
def test_wrong_options_are_refused(options):
    arguments = {"profiler": AllocationProfiler(), "url": "http://c:1", **options}
    with pytest.raises(OptionError):
        ProfileSender(arguments.pop("profiler"), arguments.pop("url"), **arguments)


# -- spans -----------------------------------------------------------------------------------------

TRACE_ID, SPAN_ID = 0x1234 << 64, 0x5678


@pytest.fixture
def span(monkeypatch):
    """Stand for OpenTelemetry with an active span; the real one is in tests/services."""
    context = SimpleNamespace(is_valid=True, trace_id=TRACE_ID, span_id=SPAN_ID)
    current = SimpleNamespace(get_span_context=lambda: context)
    trace = SimpleNamespace(get_current_span=lambda: current)
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", trace)
    return context


def links(request):
    """Return the links of what `make` has allocated, as (trace id, span id)."""
    message = otlp_reader.read(gzip.decompress(request.body))
    otlp_reader.check_request(message)
    return {
        link
        for path, _, link in otlp_reader.call_paths(message, "alloc_space")
        if any(function == "make" for function, _, _ in path)
    }


UNLINKED = {(b"", b"")}


def test_the_profile_of_a_block_is_linked_to_its_span(receiver, profiler, span):
    with Driven(profiler, receiver.url) as sender:
        with sender.profile_span(interval_bytes=1):
            make(100)
        request = receiver.next()
        assert links(request) == {(TRACE_ID.to_bytes(16, "big"), SPAN_ID.to_bytes(8, "big"))}
        assert 100_000 < made(request, "alloc_space") < 110_000
        sender.pass_time(60.0)
        assert links(receiver.next()) == UNLINKED  # of all requests together
        sender.stop(send_last=False)


def test_other_threads_are_not_in_the_profile_of_a_block(receiver, profiler, span):
    with Driven(profiler, receiver.url) as sender:
        with sender.profile_span(interval_bytes=1):
            thread = threading.Thread(target=make, args=(100,))
            thread.start()
            thread.join()
        assert made(receiver.next(), "alloc_space") == 0
        sender.stop(send_last=False)


def test_in_an_event_loop_no_link_is_made(receiver, profiler, span):
    async def serve(sender):
        with sender.profile_span(interval_bytes=1):
            make(100)

    with Driven(profiler, receiver.url) as sender:
        asyncio.run(serve(sender))
        assert links(receiver.next()) == UNLINKED
        sender.stop(send_last=False)


@pytest.mark.parametrize(
    ("name", "library"),
    [
        ("trio.lowlevel", SimpleNamespace(in_trio_run=lambda: True)),
        ("greenlet", SimpleNamespace(getcurrent=lambda: SimpleNamespace(parent=object()))),
    ],
)
def test_in_other_loops_no_link_is_made(receiver, profiler, span, monkeypatch, name, library):
    monkeypatch.setitem(sys.modules, name, library)
    with Driven(profiler, receiver.url) as sender:
        with sender.profile_span(interval_bytes=1):
            make(100)
        assert links(receiver.next()) == UNLINKED
        sender.stop(send_last=False)


def test_threads_of_one_name_cannot_be_told_apart(receiver, profiler, span):
    may_end = threading.Event()
    twin = threading.Thread(target=may_end.wait, name=threading.current_thread().name)
    twin.start()
    with Driven(profiler, receiver.url) as sender:
        with sender.profile_span(interval_bytes=1):
            make(100)
        assert links(receiver.next()) == UNLINKED
        sender.stop(send_last=False)
    may_end.set()
    twin.join()


def test_without_a_span_there_is_no_link(receiver, profiler, span):
    span.is_valid = False
    with Driven(profiler, receiver.url) as sender:
        with sender.profile_span(interval_bytes=1):
            make(100)
        assert links(receiver.next()) == UNLINKED
        sender.stop(send_last=False)


def test_a_span_that_ends_within_the_block_is_not_linked(receiver, profiler, span):
    with Driven(profiler, receiver.url) as sender:
        with sender.profile_span(interval_bytes=1):
            make(100)
            span.span_id += 1  # another one is active now
        assert links(receiver.next()) == UNLINKED
        sender.stop(send_last=False)


def test_one_profile_waits_at_most(receiver, profiler, span):
    receiver.answers = ["hang"]
    with Driven(profiler, receiver.url) as sender:
        assert sender.idle.wait(60)
        with sender.profile_span():
            pass
        receiver.next()  # being sent
        with sender.profile_span():
            pass
        assert sender.health()["dropped"] == 1
        sender._poster.abort()
        sender.stop(send_last=False)


def test_the_block_runs_where_nothing_is_sent(profiler):
    sender = ProfileSender(profiler, "http://127.0.0.1:1")
    ran = []
    with sender.profile_span():
        ran.append(1)
    with pytest.raises(ZeroDivisionError), sender.profile_span():
        ran.append(1 / 0)
    assert ran == [1]
    assert sender.health()["dropped"] == 0
