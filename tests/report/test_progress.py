"""Progress: a bar on a terminal, one line elsewhere."""

from __future__ import annotations

import io
import threading

import pytest

import memlens
import memlens.errors
from memlens.structures import process_csv, process_json_lines
from tests.clock import FakeClock


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_one_line_is_printed_at_the_end_without_a_terminal():
    out, clock = io.StringIO(), FakeClock()
    with memlens.progress_bar("orders", stream=out, clock=clock) as progress:
        progress(1000)
        assert out.getvalue() == ""
        progress(3000)
        clock.advance(2.0)
    assert out.getvalue() == "orders: 3,000 rows in 2.0 s, 1,500 a second\n"


def test_bar_on_a_terminal_is_replaced_by_the_line(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    out, clock = Terminal(), FakeClock()
    with memlens.progress_bar("orders", total=10, unit="lines", stream=out, clock=clock) as report:
        report(5)
        clock.advance(1.0)
    assert "orders" in out.getvalue()
    assert "10 lines" in out.getvalue() or "5 lines" in out.getvalue()
    assert out.getvalue().endswith("orders: 5 lines in 1.0 s, 5 a second\n")


def test_bar_starts_no_thread_and_is_redrawn_at_most_ten_times_a_second(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    out, clock = Terminal(), FakeClock()
    threads = threading.enumerate()
    with memlens.progress_bar("orders", total=100, stream=out, clock=clock) as report:
        assert threading.enumerate() == threads
        report(1)
        drawn = len(out.getvalue())
        for count in range(2, 50):
            report(count)
        assert len(out.getvalue()) == drawn
        clock.advance(0.2)
        report(50)
        assert len(out.getvalue()) > drawn


@pytest.mark.parametrize("stream", (io.StringIO, Terminal))
def test_error_inside_passes_and_the_count_is_printed(stream):
    out, clock = stream(), FakeClock()

    def fail():
        with memlens.progress_bar("orders", stream=out, clock=clock) as report:
            report(7)
            raise KeyError("inside")

    with pytest.raises(KeyError, match="inside"):
        fail()
    assert out.getvalue().endswith("orders: 7 rows in 0.0 µs\n")


def test_file_readers_report_progress(tmp_path):
    (tmp_path / "a.csv").write_text("n\n" + "\n".join(map(str, range(2500))))
    out = io.StringIO()
    with memlens.progress_bar("a.csv", stream=out) as progress:
        process_csv(tmp_path / "a.csv", tmp_path / "b.csv", lambda rows: rows, progress=progress)
    assert "a.csv: 2,500 rows in " in out.getvalue()
    with memlens.progress_bar("lines", unit="lines", stream=out) as progress:
        process_json_lines(io.StringIO("1\n2\n3"), lambda value: None, progress=progress)
    assert "lines: 3 lines in " in out.getvalue()


def test_negative_total_is_refused():
    with (
        pytest.raises(
            memlens.errors.OptionError, match="total must be a whole number, 0 or more; got -1"
        ),
        memlens.progress_bar("x", total=-1),
    ):
        pass
