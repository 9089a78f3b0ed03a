"""Failures are logged once for each kind, and counted."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

from memlens import _log

ROOT = Path(__file__).resolve().parent.parent


class HasNoText(Exception):
    def __str__(self):
        raise RuntimeError("no text")


class FailingHandler(logging.Handler):
    def emit(self, record):
        raise RuntimeError("the handler fails")


def test_first_failure_of_each_kind_is_logged_and_all_are_counted(caplog):
    failures = _log.FailureLog()
    for number in range(3):
        failures.note("the disk is full", OSError(f"write {number}"))
    failures.note("a callback failed", ValueError("x"))
    assert [record.getMessage() for record in caplog.records] == [
        "the disk is full: OSError: write 0; further failures are only counted",
        "a callback failed: ValueError: x; further failures are only counted",
    ]
    assert caplog.records[0].exc_info[1].args == ("write 0",)
    assert (failures.count, failures.last_error) == (4, "ValueError: x")


def test_traceback_can_be_left_out(caplog):
    failures = _log.FailureLog()
    failures.note("the disk is full", OSError("a"), with_traceback=False)
    assert caplog.records[0].exc_info is None


def test_cleared_log_reports_the_next_failure_again(caplog):
    failures = _log.FailureLog()
    failures.note("the disk is full", OSError("a"))
    failures.clear()
    assert (failures.count, failures.last_error) == (0, None)
    failures.note("the disk is full", OSError("b"))
    assert len(caplog.records) == 2


def test_exception_without_text_is_named_by_its_type():
    failures = _log.FailureLog()
    failures.note("a callback failed", HasNoText())
    assert failures.last_error == "HasNoText"


def test_failing_log_handler_does_not_reach_the_caller():
    logger = logging.getLogger("memlens")
    handler = FailingHandler()
    logger.addHandler(handler)
    try:
        failures = _log.FailureLog()
        failures.note("a callback failed", ValueError("x"))
    finally:
        logger.removeHandler(handler)
    assert failures.count == 1


def test_warning_is_given_once_per_process(caplog):
    for _ in range(2):
        _log.warn_once("test_log: allocations are not profiled")
    assert len(caplog.records) == 1


def test_records_have_facts_that_are_json(caplog):
    failures = _log.FailureLog()
    failures.note("the disk is full", OSError("write 1"))
    _log.warn_once("test_log: no sampler", event="allocations_off", reason="no compiler")
    first, second = (record.memlens for record in caplog.records)
    assert first == {
        "event": "failure",
        "pid": os.getpid(),
        "reason": "the disk is full",
        "error": "OSError: write 1",
        "error_type": "OSError",
    }
    assert json.loads(json.dumps(second)) == {
        "event": "allocations_off",
        "pid": os.getpid(),
        "reason": "no compiler",
    }


def printed_by(program):
    """Return what a program writes to stdout and stderr."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return done.stdout, done.stderr


def test_without_a_configuration_only_warnings_are_written_and_to_stderr():
    written = printed_by(
        "from memlens import _log\n"
        "_log.log_event(_log.INFO, 'snapshot', 'not shown')\n"
        "import logging, sys\n"
        "_log.log_event(_log.INFO, 'snapshot', 'not shown either')\n"
        "_log.warn_once('shown')\n"
        "assert not logging.getLogger('memlens').handlers\n"
    )
    assert written == ("", "shown\n")


def test_below_a_warning_logging_is_not_imported():
    written = printed_by(
        "import sys; from memlens import _log\n"
        "_log.log_event(_log.INFO, 'snapshot', 'nobody listens')\n"
        "assert 'logging' not in sys.modules"
    )
    assert written == ("", "")


def test_the_documentation_lists_all_events():
    table = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "logging.md").read_text(), re.MULTILINE)
    written = {"notice"}  # the default of warn_once
    for path in (ROOT / "memlens").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        calls = r"(?:log_event\(|_log_report\()\s*\w+,\s*|event="
        written |= set(re.findall(rf'(?:{calls})"(\w+)"', text))
    assert sorted(table) == sorted(written)
