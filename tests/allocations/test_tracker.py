"""AllocationTracker: counts, call paths, bounds, decorators."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import threading

import pytest

from memlens.allocations.tracker import AllocationTracker
from memlens.errors import OptionError


def test_nothing_is_counted_while_the_tracker_is_stopped() -> None:
    tracker = AllocationTracker()
    tracker.track("User", 10)
    assert tracker.report().total_count == 0
    tracker.start()
    tracker.track("User", 10)
    tracker.stop()
    tracker.track("User", 10)
    assert tracker.report().total_count == 1


def test_entries_are_separate_by_type_and_call_path() -> None:
    tracker = AllocationTracker(stack_depth=2)
    tracker.start()

    def create_user(size: int) -> None:
        tracker.track("User", size, {"id": size})

    def create_order() -> None:
        tracker.track("Order", 1)

    for size in (10, 20, 30):
        create_user(size)
    create_order()
    report = tracker.report()
    top = report.rows[0]
    assert (report.entry_count, report.total_count, report.total_bytes) == (2, 4, 61)
    assert (top.type, top.count, top.total_bytes, top.average_bytes) == ("User", 3, 60, 20)
    assert top.metadata == ({"id": 10}, {"id": 20}, {"id": 30})
    assert (top.call_path[-1].function or "").endswith("create_user")
    assert top.call_path[-1].file == __file__
    assert len(top.call_path) == 2
    assert "create_user" in str(top)
    assert "User" in str(report)
    first = json.loads(json.dumps(report.to_dict()))["rows"][0]
    assert (first["type"], first["count"], first["total_bytes"]) == ("User", 3, 60)


def test_entries_and_metadata_are_bounded() -> None:
    tracker = AllocationTracker(max_entries=5)
    tracker.start()
    for i in range(300):
        tracker.track(f"type {i % 20}", 1, i)
    report = tracker.report(100)
    assert report.entry_count <= 6
    assert report.total_count == 300
    assert "<other>" in {entry.type for entry in report}
    assert all(len(entry.metadata) <= 100 for entry in report)


def test_decorated_class_stays_the_same_class_and_its_objects_are_counted() -> None:
    tracker = AllocationTracker()
    tracker.start()

    class User:
        def __init__(self, name: str) -> None:
            self.name = name

    decorated = tracker.constructor("User", lambda user: len(user.name))(User)

    @tracker.constructor("list")
    def make() -> list[int]:
        """Make."""
        return [1, 2, 3]

    assert decorated is User
    assert User("ann").name == "ann"
    assert make() == [1, 2, 3]
    assert make.__doc__ == "Make."
    by_type = {entry.type: entry for entry in tracker.report()}
    assert by_type["User"].total_bytes == 3
    assert by_type["list"].count == 1
    assert (by_type["User"].call_path[-1].function or "").endswith(
        "stays_the_same_class_and_its_objects_are_counted"
    )


def test_decorated_class_with_only_new_still_takes_its_arguments() -> None:
    tracker = AllocationTracker()
    tracker.start()

    @tracker.constructor("Name", 7)
    class Name(str):
        __slots__ = ()

    @tracker.constructor("Empty", 1)
    class Empty:
        pass

    assert Name("ann") == "ann"
    assert type(Empty()) is Empty
    with pytest.raises(TypeError):
        Empty("an argument too many")  # type: ignore[call-arg]
    assert {entry.type: entry.total_bytes for entry in tracker.report()} == {"Name": 7, "Empty": 1}


def test_no_count_is_lost_between_threads() -> None:
    tracker = AllocationTracker()
    tracker.start()

    def work() -> None:
        for _ in range(1000):
            tracker.track("x", 2)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tracker.report().total_count, tracker.report().total_bytes) == (8000, 16_000)
    tracker.reset()
    assert tracker.report().total_count == 0


@pytest.mark.parametrize(
    "options",
    [
        {"stack_depth": -1},
        {"stack_depth": 65},
        {"stack_depth": "5"},
        {"max_entries": 0},
        {"max_entries": 1.5},
    ],
)
def test_bad_options_are_option_errors(options: dict[str, int]) -> None:
    with pytest.raises(OptionError):
        AllocationTracker(**options)


def test_enable_and_disable_are_other_names_of_start_and_stop() -> None:
    tracker = AllocationTracker()
    assert not tracker.is_running
    tracker.enable()
    assert tracker.is_running
    tracker.disable()
    assert not tracker.is_running


def test_report_is_limited_and_totals_are_not() -> None:
    tracker = AllocationTracker()
    tracker.start()
    for number in range(5):
        tracker.track(f"type {number}", number)
    report = tracker.report(limit=2)
    assert [entry.type for entry in report] == ["type 4", "type 3"]
    assert (report.entry_count, report.total_count, report.total_bytes) == (5, 5, 10)
    assert len(tracker.report(limit=None)) == 5
    with pytest.raises(OptionError, match="limit must be a whole number"):
        tracker.report(limit=-1)


def test_finaliser_that_runs_under_the_lock_may_use_the_tracker() -> None:
    script = """
        from memlens.allocations import AllocationTracker

        class Metadata:
            def __del__(self):
                tracker.track("finaliser", 1)

        tracker = AllocationTracker(stack_depth=0)
        tracker.start()
        for _ in range(150):  # more than are kept, so the oldest are freed while tracking
            tracker.track("object", 1, Metadata())
        report = tracker.report()
        assert {entry.type: entry.count for entry in report} == {"object": 150, "finaliser": 50}
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, timeout=60)
