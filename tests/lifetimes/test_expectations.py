"""Objects that should be gone: what is late is found, with what keeps it alive; nothing else is."""

import gc
import os
import signal
import subprocess
import sys
import threading
import weakref

import pytest

import memlens
from memlens.errors import NotCollectedError, NotWeakReferenceableError, OptionError
from memlens.leaks import Baseline
from memlens.lifetimes import Expectations, OverdueReport
from memlens.lifetimes import overdue as overdue_of_process

pytestmark = pytest.mark.small_process
KEPT = []
BY_NAME = {}


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


class Session:
    pass


class Other:
    pass


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def expected(clock):
    yield Expectations(clock)
    KEPT.clear()
    BY_NAME.clear()


def test_what_is_collected_in_time_is_not_reported(expected, clock):
    expected.expect_collected(Session(), 5)
    assert len(expected) == 0
    clock.now += 60
    assert not expected.overdue()
    assert "no object is overdue" in str(expected.overdue())


def test_a_late_object_is_a_suspect_with_its_path(expected, clock):
    KEPT.append(Session())
    expected.expect_collected(KEPT[0], 5, reason="session closed")
    clock.now += 4.9
    assert not expected.has_new_overdue
    assert not expected.overdue()
    clock.now += 60
    assert expected.has_new_overdue
    report = expected.overdue()
    (suspect,) = report
    assert suspect.holder == f"{__name__}.KEPT"
    assert str(suspect.path) == f"{__name__}.KEPT[0]"
    assert suspect.pattern == "overdue"
    assert suspect.growing_types == (f"{__name__}.Session",)
    assert suspect.holder_type == "list"
    assert suspect.retained_bytes > 0
    assert "(session closed) within 5.0 s, the oldest for 1 min 5 s" in suspect.evidence
    assert suspect.origin.kind == "program"
    text = str(report)
    assert "1 object should be gone and is kept alive in 1 place:" in text
    assert "KEPT keeps 1 overdue alive" in text
    assert report.to_dict()["overdue_count"] == 1
    assert not expected.has_new_overdue  # reported
    assert expected.overdue()[0].fingerprint == suspect.fingerprint


def test_late_objects_are_grouped_by_what_keeps_them(expected, clock):
    for number in range(20):
        BY_NAME[f"user {number}"] = Session()
        expected.expect_collected(BY_NAME[f"user {number}"], 0)
    KEPT.extend([Session(), Other()])
    for one in KEPT:
        expected.expect_collected(one, 0)
    del one
    report = expected.overdue()
    assert [suspect.count_growth for suspect in report] == [20, 1, 1]
    assert report[0].holder == f"{__name__}.BY_NAME"
    assert len({suspect.fingerprint for suspect in report}) == 3
    assert report.object_count == 22


def test_fingerprints_of_late_objects_are_known_to_baselines(expected):
    KEPT.append(Session())
    expected.expect_collected(KEPT[0], 0)
    report = expected.overdue()
    again = report.against(Baseline(report))
    assert type(again) is OverdueReport
    assert again[0].status == "known"


def test_a_cycle_of_garbage_is_no_leak(expected):
    gc.disable()
    try:
        one = Session()
        one.me = one
        expected.expect_collected(one, 0)
        del one
        assert expected.has_new_overdue
        assert not expected.overdue()
        assert len(expected) == 0
    finally:
        gc.enable()


def test_an_object_that_is_collected_late_disappears_from_the_report(expected):
    KEPT.append(Session())
    expected.expect_collected(KEPT[0], 0)
    assert len(expected.overdue()) == 1
    KEPT.clear()
    assert not expected.overdue()


def test_an_object_that_is_expected_again_has_one_entry_and_a_new_deadline(expected, clock):
    KEPT.append(Session())
    expected.expect_collected(KEPT[0], 5)
    clock.now += 4
    expected.expect_collected(KEPT[0], 5)
    assert len(expected) == 1
    clock.now += 4
    assert not expected.overdue()


def test_an_object_in_use_again_is_withdrawn(expected, clock):
    KEPT.append(Session())
    expected.expect_collected(KEPT[0], 0)
    expected.withdraw(KEPT[0])
    assert not expected.overdue()


@pytest.mark.parametrize("value", [{}, [], "text", 7, (1,), None])
def test_what_cannot_be_weakly_referenced_is_refused(expected, value):
    with pytest.raises(NotWeakReferenceableError, match="expect the object that owns it") as caught:
        expected.expect_collected(value)
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, memlens.MemlensError)


@pytest.mark.parametrize("within", [-1, float("nan"), float("inf"), "5", None, True])
def test_a_bad_time_is_refused(expected, within):
    with pytest.raises(OptionError, match="within"):
        expected.expect_collected(Session(), within)


def test_a_reason_is_text(expected):
    with pytest.raises(OptionError, match="reason"):
        expected.expect_collected(Session(), 1, reason=7)


def test_assert_collected_names_what_keeps_an_object_alive(expected):
    expected.expect_collected(Session(), 3600)
    expected.assert_collected()
    KEPT.append(Session())
    expected.expect_collected(KEPT[0], 3600)
    with pytest.raises(AssertionError, match=r"KEPT keeps 1 overdue") as caught:
        expected.assert_collected()
    assert isinstance(caught.value, NotCollectedError)
    assert caught.value.report[0].holder == f"{__name__}.KEPT"
    expected.assert_collected(since=expected.mark)


def test_expecting_in_a_finalizer_leaves_nothing_behind(expected):
    filler = []

    class Closes:
        def __del__(self):
            expected.expect_collected(self, 0)

    for _ in range(5):  # each at an address of its own
        objects = [Closes() for _ in range(1000)]
        objects.clear()
        filler.append([Session() for _ in range(1000)])
    assert len(expected) == 0
    assert not expected.overdue()


def test_threads_expect_at_the_same_time(expected):
    def work(kept):
        for _ in range(2000):
            kept.append(Session())
            expected.expect_collected(kept[-1], 0)
            expected.expect_collected(Session(), 0)

    lists = [[] for _ in range(4)]
    threads = [threading.Thread(target=work, args=(kept,)) for kept in lists]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(expected) == 8000
    lists.clear()
    del threads, thread
    gc.collect()
    assert len(expected) == 0


def test_a_signal_handler_may_expect_while_expecting(expected):
    def handle(number, frame):
        expected.expect_collected(Session(), 0)
        KEPT.append(Session())
        expected.expect_collected(KEPT[-1], 0)

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        for _ in range(50):
            os.kill(os.getpid(), signal.SIGUSR1)
            expected.expect_collected(Session(), 0)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(expected) == len(KEPT) > 0


def test_a_forked_child_starts_without_expectations():
    script = (
        "import os, memlens\n"
        "from memlens.lifetimes import overdue\n"
        "class A: pass\n"
        "a = A()\n"
        "memlens.expect_collected(a, 0)\n"
        "assert len(overdue()) == 1\n"
        "if os.fork() == 0:\n"
        "    assert not overdue()\n"
        "    memlens.expect_collected(a, 0)\n"
        "    os._exit(10 + len(overdue()))\n"
        "assert os.waitstatus_to_exitcode(os.wait()[1]) == 11\n"
        "assert len(overdue()) == 1\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_the_functions_of_the_package_share_the_expectations_of_the_process():
    KEPT.append(Session())
    memlens.expect_collected(KEPT[0], 0, reason="closed")
    assert any(one.holder == f"{__name__}.KEPT" for one in overdue_of_process())
    with pytest.raises(NotCollectedError):
        memlens.assert_collected()
    KEPT.clear()
    memlens.assert_collected()


def test_following_keeps_nothing_alive(expected):
    one = Session()
    reference = weakref.ref(one)
    expected.expect_collected(one, 0)
    del one
    assert reference() is None
