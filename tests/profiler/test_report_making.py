"""What a report keeps of the health of its profiler."""

from __future__ import annotations

import memlens


class DataError(Exception):
    pass


def test_a_report_has_the_type_of_a_foreign_exception_and_health_its_message(tmp_path):
    profiler = memlens.MemoryProfiler(tmp_path, allocations=None)
    profiler._note_failure(DataError("of customer 17"))
    assert "customer 17" in profiler.health()["last_error"]
    report = profiler.report(analyse=False)
    assert report.health["failures"] == 1
    assert report.health["last_error"] == "DataError"


def test_a_report_has_the_message_of_an_error_of_memlens(tmp_path):
    profiler = memlens.MemoryProfiler(tmp_path, allocations=None)
    profiler._note_failure(memlens.errors.OutputError("the disk is full"))
    assert "the disk is full" in profiler.report(analyse=False).health["last_error"]
