"""The columns that say of which process a row is: names, times by two clocks, other processes."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import subprocess
import sys
import time

import pytest

from memlens.errors import OptionError
from memlens.process import start
from memlens.process.identity import ProcessIdentity, identify
from memlens.process.service import environment_pairs, release_of, service_of
from memlens.process.start import process_token, started_monotonic
from memlens.profiler.file_owner import owner_suffix
from memlens.tables.process_columns import ProcessColumns

OTHER = ProcessIdentity(7, 1, "gunicorn", "gunicorn worker", None, "pod-7", 1_000_000.0)


@pytest.mark.parametrize(
    ("given", "environment", "expected"),
    [
        ("shop", {"MEMLENS_SERVICE": "other"}, "shop"),
        (None, {"MEMLENS_SERVICE": " shop ", "OTEL_SERVICE_NAME": "other"}, "shop"),
        (None, {"OTEL_SERVICE_NAME": "shop", "OTEL_RESOURCE_ATTRIBUTES": "service.name=x"}, "shop"),
        (None, {"OTEL_RESOURCE_ATTRIBUTES": "a=1,service.name=the%20shop"}, "the shop"),
        (None, {"MEMLENS_SERVICE": "  "}, "app.py"),
        (None, {"OTEL_RESOURCE_ATTRIBUTES": "not a list"}, "app.py"),
        ("", {}, "app.py"),
    ],
)
def test_service_is_the_first_that_is_named(given, environment, expected):
    assert service_of(given, "app.py", environment) == expected


@pytest.mark.parametrize("program", [None, "", "-c", "-m"])
def test_service_without_any_name_is_unknown(program):
    assert service_of(None, program, {}) == "unknown"


@pytest.mark.parametrize(
    ("given", "environment", "expected"),
    [
        ("1.2", {"MEMLENS_RELEASE": "other"}, "1.2"),
        (None, {"MEMLENS_RELEASE": "1.2", "OTEL_RESOURCE_ATTRIBUTES": "service.version=3"}, "1.2"),
        (None, {"OTEL_RESOURCE_ATTRIBUTES": "service.version=1.2"}, "1.2"),
        (None, {"OTEL_RESOURCE_ATTRIBUTES": "service.version="}, None),
        (None, {}, None),
    ],
)
def test_release_is_the_first_that_is_named(given, environment, expected):
    assert release_of(given, environment) == expected


def test_service_that_is_no_text_is_refused():
    with pytest.raises(OptionError, match="service"):
        service_of(3, "app.py", {})
    with pytest.raises(OptionError, match="X must be a list of key=value"):
        environment_pairs("X", "=1")


def test_process_of_a_row_has_the_name_that_its_files_have():
    columns = ProcessColumns.of(identify(), environment={})
    assert columns.process == f"{columns.host}/{owner_suffix()}"
    assert columns.python == sys.version.split()[0]


def test_other_process_with_the_same_id_is_not_taken_for_this_one():
    same_id = dataclasses.replace(OTHER, pid=os.getpid())
    columns = ProcessColumns.of(same_id, environment={})
    assert columns.python == ""
    assert columns.started_monotonic is None
    assert columns.process != ProcessColumns.of(identify()).process
    later = dataclasses.replace(identify(), started_at=(identify().started_at or 0) - 3600)
    assert ProcessColumns.of(later).started_monotonic is None


def test_process_without_an_identity_has_an_id_only():
    columns = ProcessColumns.unknown(12, python="3.13.1")
    assert (columns.host, columns.process, columns.kind) == ("unknown", "unknown/12-0", "unknown")
    assert columns.uptime(5e9) is None


def test_columns_reach_another_process_as_json():
    columns = ProcessColumns.of(identify(), "shop", "1")
    assert ProcessColumns.from_dict(json.loads(json.dumps(columns.to_dict()))) == columns


def test_uptime_ignores_the_wall_clock_where_the_monotonic_clock_is_known():
    columns = ProcessColumns.of(identify())
    now = time.monotonic()
    set_back, ahead = (columns.uptime(time.time() + shift, now) for shift in (-1e6, 1e6))
    assert set_back == ahead
    assert set_back == pytest.approx(now - started_monotonic())
    assert ProcessColumns.of(OTHER).uptime(1_000_060.0, now) == 60


def test_uptime_is_that_of_the_process():
    script = (
        "import time; before = time.monotonic()\n"
        "from memlens.process.start import started_monotonic\n"
        "print(before - started_monotonic())"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    )
    uptime = float(done.stdout)
    assert 0 <= uptime < 60


def test_uptime_without_proc_is_told_by_the_system(monkeypatch):
    start._started_monotonic.cache_clear()
    expected = started_monotonic()
    start._started_monotonic.cache_clear()
    monkeypatch.setattr(start, "_stat_fields", lambda pid: None)
    try:
        assert started_monotonic() == pytest.approx(expected, abs=2.0)
    finally:
        start._started_monotonic.cache_clear()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_forked_child_is_a_process_of_its_own():
    parent = ProcessColumns.of(identify())
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            child = ProcessColumns.of(identify())
            os.write(write, json.dumps(child.to_dict()).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as file:
        child = ProcessColumns.from_dict(json.load(file))
    token = process_token(pid)
    os.waitpid(pid, 0)
    assert child.process.startswith(f"{parent.host}/{pid}-")
    assert token is None or child.process.endswith(f"-{token}")
    assert child.started_monotonic >= parent.started_monotonic


def test_day_of_a_row_is_that_of_utc():
    columns = ProcessColumns.of(OTHER).columns([0.0, -0.5, 86_399.999999, 86_400.0], [None] * 4)
    days = [datetime.date(1970, 1, 1), datetime.date(1969, 12, 31), datetime.date(1970, 1, 1),
            datetime.date(1970, 1, 2)]  # fmt: skip
    assert columns["day"] == days
    assert columns["time"] == [0, -500_000, 86_399_999_999, 86_400_000_000]


def test_steady_time_does_not_follow_a_clock_that_is_set(monkeypatch):
    before = start.steady_time()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 1e6)
    assert 0 <= start.steady_time() - before < 60
