"""A report names a Python whose own collector holds memory longer."""

import pytest

from memlens.leaks.leak_report import find_leaks
from memlens.leaks.slow_collector import slow_collector_note
from tests.leaks.test_suspects import series, table_of


@pytest.mark.parametrize("python", ["3.14.0", "3.14.4", "3.14.2+", "3.14.0rc3"])
def test_releases_that_collect_in_small_steps_have_a_note(python):
    assert "holds objects in cycles longer" in slow_collector_note(python)


@pytest.mark.parametrize(
    "python", ["3.13.9", "3.14.5", "3.14.10", "3.15.0", "4.14.2", "", "?", None]
)
def test_other_releases_and_unknown_ones_have_none(python):
    assert slow_collector_note(python) is None


@pytest.mark.parametrize("python", ["3.14.3", "3.14.5"])
def test_the_report_says_it_in_text_and_in_json(python):
    def plant(p, n):
        p.module("app", sessions=table_of(p, n))

    report = find_leaks(series(plant, python=python))
    assert ("Python 3.14.3 collects garbage in small steps" in str(report)) == (python == "3.14.3")
    assert report.to_dict()["collector_note"] == slow_collector_note(python)
