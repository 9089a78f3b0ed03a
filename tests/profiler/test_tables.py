"""The tables that a profiler writes: what goes in, what is kept, and what a failure costs."""

import json
import logging
import os
import signal
import sys
import textwrap
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

import memlens
from memlens.errors import OptionError
from memlens.process.history import HistoryPoint
from memlens.profiler import profiler_options, table_writing
from memlens.profiler.profiler_options import TableOptions
from memlens.profiler.table_child import write_tables
from memlens.profiler.table_readings import TableReadings
from tests.clock import FakeClock
from tests.profiler.planted import profiler_in

has_pyarrow = pytest.mark.skipif(
    not profiler_options._is_installed("pyarrow"), reason="pyarrow is not installed"
)


@pytest.fixture
def installed(monkeypatch):
    """Whether pyarrow is installed is not what is under test."""
    monkeypatch.setattr(profiler_options, "_is_installed", lambda module: True)


def writing_in(folder, **options):
    return profiler_in(folder, table_dir=folder / "tables", service="shop", **options)


def rows_of(folder, table):
    """The rows of a table, by the names of their files and in them."""
    from memlens.tables.parquet_file import read_table

    rows = []
    for path in sorted((folder / "tables" / table).rglob("*.parquet"), key=lambda path: path.name):
        columns = read_table(path)
        rows += [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ]
    return rows


def write(profiler):
    """Write in this thread."""
    profiler._tables._write()
    return profiler.health()["tables"]


# -- options ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"table_dir": 3}, "table_dir must be a path"),
        ({"table_dir": ""}, "table_dir must be a path"),
        ({"table_dir": "s3://bucket/tables"}, "table_dir must be a local folder"),
        ({"service": 3}, "service must be a string"),
        ({"service": "  "}, "service must not be empty"),
        ({"release": b"1"}, "release must be a string"),
        ({"table_interval": 0}, "table_interval must be a number of seconds above 0"),
        ({"table_interval": "1h"}, "table_interval must be a number of seconds"),
    ],
)
def test_wrong_options_are_refused(installed, tmp_path, options, what):
    with pytest.raises(OptionError, match=what):
        profiler_in(tmp_path, **{"table_dir": tmp_path} | options)


def test_a_missing_pyarrow_is_told_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(profiler_options, "_is_installed", lambda module: False)
    with pytest.raises(OptionError, match=r"pip install 'memlens\[arrow\]'"):
        writing_in(tmp_path)


def test_a_module_that_is_not_there_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert not profiler_options._is_installed("pyarrow")
    assert not profiler_options._is_installed("no_such_module")
    assert profiler_options._is_installed("json")


def test_the_folder_is_absolute(installed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert TableOptions.of("tables", None, " 1.0 ", 1) == TableOptions(
        str(tmp_path / "tables"), None, "1.0", 1.0
    )


def test_without_a_folder_nothing_is_written(tmp_path):
    profiler = profiler_in(tmp_path)
    with profiler:
        profiler._tables.write_soon()
    assert profiler.health()["tables"] is None
    assert repr(profiler._tables) == "<TableWriting: off, 0 times>"


# -- what waits ------------------------------------------------------------------------------------


def point(second, rss=1000):
    return HistoryPoint(1e9 + second, float(second), rss, None, None, "unknown", 7, 1)


@given(st.lists(st.integers(0, 1 << 40), max_size=200), st.integers(0, 200))
def test_waiting_readings_are_bounded_and_counted(sizes, taken_after):
    readings = TableReadings(max_points=20)
    taken = ()
    for second, size in enumerate(sizes):
        if second == taken_after:
            taken = readings.take()
        readings.add(point(second, size))
    readings.put_back(taken)
    assert len(readings) <= 20
    assert len(readings) + readings.dropped == len(sizes)
    kept = readings.take()
    assert [one.monotonic_seconds for one in kept] == sorted(one.monotonic_seconds for one in kept)
    assert set(kept) <= {point(second, size) for second, size in enumerate(sizes)}
    if sizes and not taken:
        assert max(sizes) in [one.rss_bytes for one in kept]


def test_a_writing_is_due_after_each_interval(installed, tmp_path, monkeypatch):
    clock, asked = FakeClock(), []
    profiler = writing_in(tmp_path, table_interval=100.0, clock=clock)
    monkeypatch.setattr(profiler._tables, "write_soon", lambda: asked.append(clock.now))
    profiler._tables._schedule()
    for second in range(300):
        profiler._tables.observe(point(second))
        clock.advance(1)
    assert 1050 <= asked[0] <= 1100  # processes that start together do not write together
    assert [later - asked[0] for later in asked] == [0, 100, 200][: len(asked)]
    assert len(asked) >= 2


# -- what is written -------------------------------------------------------------------------------


@has_pyarrow
def test_tables_hold_what_the_profiler_knows(planted, tmp_path):
    profiler = writing_in(tmp_path, release="1.0", limit=1 << 40)
    for _ in range(4):
        profiler.take_snapshot()
    for second in range(5):
        profiler._tables.observe(point(second, 1000 + second))
    health = write(profiler)
    assert health["failures"] == 0
    assert health["written"] == 1
    readings = rows_of(tmp_path, "readings")
    assert sorted(row["rss_bytes"] for row in readings)[:5] == [1000, 1001, 1002, 1003, 1004]
    assert len(readings) == 6  # one is of the moment of the writing
    assert {(row["service"], row["release"], row["limit_source"]) for row in readings} == {
        ("shop", "1.0", "given")
    }
    assert all(row["limit_used_bytes"] == row["rss_bytes"] for row in readings)
    verdicts = {row["series"]: row["state"] for row in rows_of(tmp_path, "verdicts")}
    assert verdicts == {"blocks": "warming", "rss": "warming", "heap": "leak"}
    expected = profiler.report().leaks
    suspects = rows_of(tmp_path, "suspects")
    assert [row["fingerprint"] for row in suspects] == [one.fingerprint for one in expected]
    summary = memlens.load(profiler.snapshots[-1].path).summary()
    types = rows_of(tmp_path, "types")
    assert sum(row["size_bytes"] for row in types) == sum(row.shallow_bytes for row in summary)
    holders = rows_of(tmp_path, "holders")
    assert sum(row["size_bytes"] for row in holders) == sum(row["size_bytes"] for row in types)
    assert health["rows_written"] == sum(
        len(rows_of(tmp_path, table)) for table in os.listdir(tmp_path / "tables")
    )


@has_pyarrow
def test_a_snapshot_is_tabulated_once(planted, tmp_path):
    profiler = writing_in(tmp_path)
    for _ in range(3):
        profiler.take_snapshot()
    write(profiler)
    types = len(rows_of(tmp_path, "types"))
    write(profiler)
    assert len(rows_of(tmp_path, "types")) == types > 0
    assert len([row for row in rows_of(tmp_path, "verdicts") if row["series"] == "heap"]) == 1
    assert len(rows_of(tmp_path, "readings")) == 2
    profiler.take_snapshot()
    write(profiler)
    assert len(rows_of(tmp_path, "types")) == 2 * types
    assert len([row for row in rows_of(tmp_path, "verdicts") if row["series"] == "heap"]) == 2


@has_pyarrow
def test_the_report_of_an_alert_is_written_and_not_made_again(planted, tmp_path):
    profiler = writing_in(tmp_path, on_alert=lambda report: None)
    for _ in range(4):
        profiler.take_snapshot()
    profiler._alerts.check(None, profiler.on_alert)
    batch = profiler._tables._batch()
    assert len(batch.reports) == 1
    request = json.loads(batch.request(profiler._tables._options, 60.0))
    write_tables(request)
    heap = [row for row in rows_of(tmp_path, "verdicts") if row["series"] == "heap"]
    assert [row["state"] for row in heap] == ["leak"]
    assert [row["holder"] for row in rows_of(tmp_path, "suspects")] == ["app.sessions"]


@has_pyarrow
def test_a_snapshot_that_is_deleted_meanwhile_is_left_out(planted, tmp_path):
    profiler = writing_in(tmp_path)
    for _ in range(5):
        profiler.take_snapshot()
    batch = profiler._tables._batch()
    os.unlink(profiler.snapshots[1].path)
    os.unlink(profiler.snapshots[4].path)
    write_tables(json.loads(batch.request(profiler._tables._options, 60.0)))
    heap = [row for row in rows_of(tmp_path, "verdicts") if row["series"] == "heap"]
    assert [row["snapshot_count"] for row in heap] == [3]
    assert not (tmp_path / "tables" / "types").exists()


# -- failures --------------------------------------------------------------------------------------


@has_pyarrow
def test_a_folder_that_cannot_be_written_costs_no_reading(planted, tmp_path, caplog):
    (tmp_path / "tables").write_text("no folder")
    profiler = writing_in(tmp_path)
    profiler.take_snapshot()
    profiler._tables.observe(point(1))
    with caplog.at_level(logging.WARNING, "memlens"):
        write(profiler)
        health = write(profiler)
    assert len([one for one in caplog.records if "tables could not be written" in one.message]) == 1
    assert health["failures"] == 2
    assert "tables" in health["last_error"]
    assert health["readings_waiting"] == 3
    os.unlink(tmp_path / "tables")
    health = write(profiler)
    assert health["written"] == 1
    assert health["readings_waiting"] == 0
    assert len(rows_of(tmp_path, "readings")) == 4
    assert rows_of(tmp_path, "types")


def within(statement):
    """The program of a child that runs a statement before it analyses the snapshots."""
    return textwrap.dedent(f"""
        import json, os, signal, sys; sys.path += json.loads(sys.argv[1])
        from memlens.profiler import table_child as one
        find = one._Writing._find_leaks
        def instead(self):
            {statement}
            return find(self)
        one._Writing._find_leaks = instead
        one.main()
    """)


@has_pyarrow
def test_a_killed_analysis_costs_no_reading_and_is_given_up(planted, tmp_path, monkeypatch):
    monkeypatch.setattr(table_writing, "_PROGRAM", within("os.kill(os.getpid(), signal.SIGKILL)"))
    profiler = writing_in(tmp_path)
    for _ in range(3):
        profiler.take_snapshot()
    for count in range(1, 4):
        assert write(profiler)["failures"] == count
        assert f"signal {signal.SIGKILL:d}" in profiler.health()["tables"]["last_error"]
    assert write(profiler)["failures"] == 3  # no analysis of that snapshot any more
    times = [row["time"] for row in rows_of(tmp_path, "readings")]
    assert len(times) == len(set(times)) == 4
    assert {row["series"] for row in rows_of(tmp_path, "verdicts")} == {"blocks", "rss"}


@has_pyarrow
def test_an_analysis_without_memory_costs_no_reading(planted, tmp_path, monkeypatch):
    monkeypatch.setattr(table_writing, "_PROGRAM", within("raise MemoryError"))
    profiler = writing_in(tmp_path)
    profiler.take_snapshot()
    profiler.take_snapshot()
    health = write(profiler)
    assert "of memory" in health["last_error"]
    assert health["readings_waiting"] == 0
    assert rows_of(tmp_path, "types")


def test_a_child_that_cannot_be_started_is_a_failure(installed, planted, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/usr/bin/uwsgi")
    profiler = writing_in(tmp_path)
    profiler.take_snapshot()
    health = write(profiler)
    assert "is not a Python interpreter" in health["last_error"]
    assert health["readings_waiting"] == 1


# -- the end ---------------------------------------------------------------------------------------


@has_pyarrow
def test_stopping_writes_what_is_left(planted, tmp_path):
    with writing_in(tmp_path, table_interval=float("inf")) as profiler:
        pass
    health = profiler.health()["tables"]
    assert (health["written"], health["failures"], health["left_to_child"]) == (1, 0, 0)
    assert rows_of(tmp_path, "readings")
    profiler.stop()
    assert profiler.health()["tables"] == health


@has_pyarrow
def test_a_slow_child_is_left_to_itself_and_waited_for(planted, tmp_path, monkeypatch):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    monkeypatch.setattr(table_writing, "_STOP_SECONDS", 0.01)
    monkeypatch.setattr(table_writing, "_PROGRAM", within(f"open({str(gate)!r}).read()"))
    profiler = writing_in(tmp_path)
    profiler.start()
    profiler.take_snapshot()
    profiler.stop()
    health = profiler.health()["tables"]
    assert (health["written"], health["left_to_child"]) == (0, 1)
    handed = next(iter(profiler._tables._handed))
    gate.write_text("go")  # waits for the child, which has all of its request
    assert profiler._tables._worker.wait(60)
    assert profiler.health()["tables"]["written"] == 1
    assert handed.child._process is None  # so it has been waited for: there is no zombie
    assert [row["series"] for row in rows_of(tmp_path, "verdicts")].count("heap") == 1


@has_pyarrow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_forgets_what_waits_in_its_parent(planted, tmp_path):
    profiler = writing_in(tmp_path)
    profiler.take_snapshot()
    profiler._tables.observe(point(1))
    profiler._tables._backlog.name = "20260101T000000Z-1-a-b"
    pid = os.fork()
    if pid == 0:
        backlog = profiler._tables._backlog
        is_new = not len(backlog.readings) and not backlog.name and not backlog.reports
        write(profiler)
        os._exit(0 if is_new else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    of_child = rows_of(tmp_path, "readings")
    assert len(of_child) == 1
    assert f"/{pid}-" in of_child[0]["process"]
    assert of_child[0]["kind"] == "fork"
    write(profiler)
    assert len(rows_of(tmp_path, "readings")) == 3


@has_pyarrow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_during_a_writing_leaves_the_child_alone(planted, tmp_path, monkeypatch):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    monkeypatch.setattr(table_writing, "_PROGRAM", within(f"open({str(gate)!r}).read()"))
    profiler = writing_in(tmp_path)
    profiler.take_snapshot()
    thread = threading.Thread(target=write, args=(profiler,))
    thread.start()
    with open(gate, "w", encoding="utf-8"):  # waits until the child analyses
        pid = os.fork()
        if pid == 0:
            tables = profiler._tables
            os._exit(0 if not tables._handed and tables.health()["written"] == 0 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    thread.join(60)
    assert profiler.health()["tables"]["written"] == 1


def test_the_server_of_forkserver_writes_nothing(installed, planted, tmp_path, monkeypatch):
    profiler = writing_in(tmp_path)
    profiler._tables._is_running = True
    profiler._tables.forget(is_off=True)
    profiler._tables.observe(point(1))
    profiler._tables.write_soon()
    assert profiler._tables._write_last() is None
    assert profiler.health()["tables"]["readings_waiting"] == 0
    assert not (tmp_path / "tables").exists()
