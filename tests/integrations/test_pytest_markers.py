"""The markers of memlens's plugin for pytest: their arguments, and what they check."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from memlens._core.sampler_api import why_unavailable
from memlens.errors import OptionError, ReadingError
from memlens.integrations.pytest_plugin.markers import LeakCheck, checks_of, parse_size
from memlens.process.resident_peak import ResidentPeak

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.small_process
has_sampler = why_unavailable() is None


class Markers:
    """Makes marks of any name, which pytest would have to know."""

    def __getattr__(self, name):
        return lambda *args, **kwargs: SimpleNamespace(name=name, args=args, kwargs=kwargs)


@pytest.mark.parametrize(
    ("text", "size"),
    [("24 MiB", 24 << 20), ("1.5 GB", 1_500_000_000), ("500kB", 500_000), (" 7 B ", 7), (12, 12)],
)
def test_sizes_are_parsed(text, size):
    assert parse_size("limit", text) == size


@pytest.mark.parametrize(
    "wrong", ["", "24", "MiB", "-1 MiB", "24 MIB", "1e3 B", -1, 1.5, None, True]
)
def test_wrong_sizes_are_refused(wrong):
    with pytest.raises(OptionError, match="limit must be"):
        parse_size("limit", wrong)


@pytest.mark.parametrize(
    ("rounds", "calls"), [(20, (5, 5, 5, 5)), (9, (3, 3, 3)), (14, (3, 3, 3, 5))]
)
def test_rounds_are_divided_among_the_snapshots(rounds, calls):
    assert LeakCheck(rounds, 5, ()).intervals == calls


@pytest.mark.parametrize(
    ("marker", "text"),
    [
        ("limit_memory()", "missing 1 required positional argument: 'limit'"),
        ("limit_memory('24 MiB', native=True)", "unexpected keyword argument 'native'"),
        ("limit_memory('24 MiB', measure='all')", "measure must be one of 'python', 'resident'"),
        ("limit_memory('lots')", "limit must be a size"),
        ("no_leaks(rounds=3)", "rounds must be a whole number, 9 or more; got 3"),
        ("no_leaks(warmup=0)", "warmup must be a whole number, 1 or more; got 0"),
        ("no_leaks(ignore='leak')", "ignore must be a sequence of strings"),
        ("no_leaks(ignore=['('])", "ignore must be regular expressions"),
        ("no_leaks(5)", "takes 0 positional arguments but 1 was given"),
        ("limit_leaked_objects()", "missing 1 required positional argument: 'limit'"),
        ("limit_leaked_objects({})", "limit must name a type"),
        ("limit_leaked_objects({1: 1})", "limit must be by type, a class or its name; got 1"),
        (
            "limit_leaked_objects({'Session': -1})",
            "limit must be a whole number, 0 or more; got -1",
        ),
    ],
)
def test_wrong_arguments_name_the_test_and_the_marker(marker, text):
    mark = eval(f"Markers().{marker}")

    class Item:
        nodeid = "test_it.py::test_one"

        def get_closest_marker(self, name):
            return mark if name == mark.name else None

    with pytest.raises(OptionError) as caught:
        checks_of(Item())
    assert str(caught.value).startswith(f"test_it.py::test_one: @pytest.mark.{mark.name}: ")
    assert text in str(caught.value)


def test_a_wrong_marker_is_an_error_of_its_test(run):
    inner = run("""
        import pytest
        @pytest.mark.limit_memory("lots")
        def test_wrong(): pass
        def test_other(): pass
    """)
    assert inner.outcome("test_wrong") == "error"
    assert inner.text("test_wrong", "setup").startswith(
        "test_it.py::test_wrong: @pytest.mark.limit_m"
    )
    assert inner.outcome("test_other") == "passed"


def test_a_test_above_its_limit_fails_with_the_line(run):
    inner = run("""
        import pytest
        def allocate(size):
            return bytearray(size)
        @pytest.mark.limit_memory("2 MiB")
        def test_above():
            allocate(3_000_000)
        @pytest.mark.limit_memory("4 MiB")
        def test_below():
            allocate(3_000_000)
        @pytest.mark.limit_memory("2 MiB")
        def test_several_small_blocks():
            for _ in range(10):
                allocate(1_000_000)
        @pytest.mark.limit_memory("2 MiB")
        class TestClass:
            @pytest.mark.parametrize("size", [1_000_000, 3_000_000])
            def test_method(self, size):
                allocate(size)
            @pytest.mark.limit_memory("4 MiB")
            def test_closest_marker(self):
                allocate(3_000_000)
    """)
    text = inner.text("test_above")
    assert text.startswith("Python memory rose by 2.86 MiB, the limit is 2.00 MiB")
    assert ("allocate (" in text) is has_sampler
    assert ("test_it.py:3)" in text) is has_sampler
    assert inner.outcome("test_below") == inner.outcome("test_several_small_blocks") == "passed"
    assert inner.outcome("TestClass::test_method[1000000]") == "passed"
    assert inner.outcome("TestClass::test_method[3000000]") == "failed"
    assert inner.outcome("TestClass::test_closest_marker") == "passed"
    assert 3_000_000 < inner.values("test_below")["peak_bytes"] < 3_000_000 + 100_000


def test_a_limit_leaves_other_outcomes_alone(run):
    inner = run("""
        import tracemalloc, unittest
        import pytest
        pytestmark = pytest.mark.limit_memory("1 MiB")
        def test_own_failure():
            block = bytearray(3_000_000)
            assert len(block) == 1
        def test_skipped():
            pytest.skip("not here")
        @pytest.mark.xfail(strict=True)
        def test_expected():
            bytearray(3_000_000)
        def test_stops_tracing():
            tracemalloc.stop()
        class Case(unittest.TestCase):
            def test_above(self):
                bytearray(3_000_000)
            def test_fails(self):
                self.assertEqual(len(bytearray(3_000_000)), 1)
    """)
    assert "assert 3000000 == 1" in inner.text("test_own_failure")
    assert "limit is" not in inner.text("test_own_failure")
    assert inner.values("test_own_failure")["peak_bytes"] > 3_000_000
    assert inner.outcome("test_skipped") == inner.outcome("test_expected") == "skipped"
    assert inner.outcome("test_stops_tracing") == "passed"
    assert not inner.values("test_stops_tracing")["is_complete"]
    assert "the limit is 1.00 MiB" in inner.text("Case::test_above")
    assert "limit is" not in inner.text("Case::test_fails")


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux tells the peak")
def test_resident_memory_counts_what_python_does_not_allocate(run):
    inner = run("""
        import mmap
        import pytest
        def native():
            with mmap.mmap(-1, 40_000_000) as block:
                block.write(b"x" * 40_000_000)
        @pytest.mark.limit_memory("60 MiB", measure="resident")
        def test_resident(): native()
        @pytest.mark.limit_memory("60 MiB")
        def test_python(): native()
    """)
    assert "resident memory rose by" in inner.text("test_resident")
    assert inner.outcome("test_python") == "passed"


def test_where_the_peak_cannot_be_reset_the_error_says_what_is_needed(monkeypatch):
    def refused(path, *_, **__):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("memlens.process.resident_peak.open", refused, raising=False)
    with pytest.raises(ReadingError, match=r"cannot be reset here.*needs Linux"):
        ResidentPeak()
