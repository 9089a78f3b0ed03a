"""AllocationTracker: counts, call paths, bounds, decorators."""

from __future__ import annotations

import json
import threading

import pytest

from memlens.allocations.tracker import AllocationTracker
from memlens.errors import OptionError


def test_nothing_is_counted_until_it_is_enabled() -> None:
    tracker = AllocationTracker()
    tracker.track("User", 10)
    assert tracker.report().count == 0
    tracker.enable()
    tracker.track("User", 10)
    tracker.disable()
    tracker.track("User", 10)
    assert tracker.report().count == 1


def test_entries_are_told_apart_by_type_and_call_path() -> None:
    tracker = AllocationTracker(stack_depth=2)
    tracker.enable()

    def create_user(size: int) -> None:
        tracker.track("User", size, {"id": size})

    def create_order() -> None:
        tracker.track("Order", 1)

    for size in (10, 20, 30):
        create_user(size)
    create_order()
    report = tracker.report()
    top = report.rows[0]
    assert (report.entries, report.count, report.total_bytes) == (2, 4, 61)
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
    tracker.enable()
    for i in range(300):
        tracker.track(f"type {i % 20}", 1, i)
    report = tracker.report(100)
    assert report.entries <= 6
    assert report.count == 300
    assert "<other>" in {entry.type for entry in report}
    assert all(len(entry.metadata) <= 100 for entry in report)


def test_a_decorated_class_stays_the_same_class_and_its_objects_are_counted() -> None:
    tracker = AllocationTracker()
    tracker.enable()

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


def test_a_decorated_class_that_is_made_by_new_alone_still_takes_its_arguments() -> None:
    tracker = AllocationTracker()
    tracker.enable()

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


def test_threads_lose_nothing() -> None:
    tracker = AllocationTracker()
    tracker.enable()

    def work() -> None:
        for _ in range(1000):
            tracker.track("x", 2)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tracker.report().count, tracker.report().total_bytes) == (8000, 16_000)
    tracker.reset()
    assert tracker.report().count == 0


@pytest.mark.parametrize("options", [{"stack_depth": -1}, {"stack_depth": 65}, {"max_entries": 0}])
def test_wrong_options_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(OptionError):
        AllocationTracker(**options)
