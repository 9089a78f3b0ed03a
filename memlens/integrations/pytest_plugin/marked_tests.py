"""MarkedTests: the hooks that check tests with markers, and measure all tests for ``--memlens``."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import pytest

from memlens.errors import OptionError, ReadingError
from memlens.integrations.pytest_plugin.left_objects import objects_text
from memlens.integrations.pytest_plugin.markers import Checks, checks_of
from memlens.integrations.pytest_plugin.options import baseline_of, saves_baseline
from memlens.integrations.pytest_plugin.peak import MeasuredPeak, PeakMeasurement, excess_text
from memlens.integrations.pytest_plugin.repeated_test import RepeatedTest
from memlens.integrations.pytest_plugin.rounds import RoundSnapshots, leak_text

__all__ = ("PROPERTY", "MarkedTests")

PROPERTY = "memlens"  # the name of the user property of a report that holds our results


@dataclass
class _Results:
    """What is known of one test: plain values that travel between processes, and failures."""

    values: dict[str, Any] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


class MarkedTests:
    """A plugin: checks each test that has a marker.

    ``left_out``: names of markers that belong to another plugin.
    """

    def __init__(self, config: pytest.Config, left_out: frozenset[str]) -> None:
        self._left_out = left_out
        self._measures_all = bool(config.getoption("memlens"))
        self._baseline = baseline_of(config)
        self._saves = saves_baseline(config)
        self._checks: dict[str, Checks] = {}  # of the test that runs

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Read the markers; wrong ones are an error of the test before anything else is."""
        self._checks.clear()
        wrong = ""
        try:
            self._checks[item.nodeid] = checks_of(item, self._left_out)
        except OptionError as error:
            wrong = str(error)
        if wrong:
            pytest.fail(wrong, pytrace=False)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Call the test as often as its markers ask for, and check what it did.

        As the innermost wrapper, so that what other plugins do around a call is not measured. An
        exception of the test passes: it is the failure that the report shows.
        """
        checks = self._checks.pop(item.nodeid, Checks())
        results = _Results()
        test = RepeatedTest(item)
        try:
            if checks.intervals:
                with RoundSnapshots(checks.intervals) as snapshots:
                    outcome = yield from self._rounds(item, test, checks, snapshots, results)
                if not test.has_failed:
                    self._judge(item, checks, snapshots, results)
            else:
                with self._peak(item, checks, results):
                    outcome = yield
        finally:
            if results.values:
                item.user_properties.append((PROPERTY, results.values))
        if results.failures and not test.has_failed:
            pytest.fail("\n\n".join(results.failures), pytrace=False)
        return outcome

    def _rounds(
        self,
        item: pytest.Item,
        test: RepeatedTest,
        checks: Checks,
        snapshots: RoundSnapshots,
        results: _Results,
    ) -> Generator[None, Any, Any]:
        """Call the test in all rounds, and take a snapshot after the warm-up and each interval.

        The last call is that of pytest itself.
        """
        outcome = None
        ends = _ends(checks)
        for number in range(1, ends[-1] + 1):
            if number == 1:
                with self._peak(item, checks, results):
                    test.call()
            elif number < ends[-1]:
                test.call()
            else:
                outcome = yield
            if test.has_failed:
                return outcome
            test.tear_down(is_last=number == ends[-1])
            if number in ends:
                snapshots.take()
            if number < ends[-1]:
                test.set_up()
        return outcome

    def _peak(self, item: pytest.Item, checks: Checks, results: _Results) -> _Peak:
        return _Peak(item, checks, results, self._measures_all)

    def _judge(
        self, item: pytest.Item, checks: Checks, snapshots: RoundSnapshots, results: _Results
    ) -> None:
        """Note what leaks."""
        if checks.leaks is not None:
            report = snapshots.find_leaks(item, checks.leaks.ignore, self._baseline)
            results.values["suspects"] = [
                {"fingerprint": one.fingerprint, "holder": one.holder, "status": one.status}
                for one in report
            ]
            new = [one for one in report if not one.is_known]
            if new and not self._saves:
                results.failures.append(leak_text(new, checks.leaks))
        if checks.objects is not None:
            excess = snapshots.excess_objects(checks.objects)
            if excess:
                results.failures.append(objects_text(excess, checks.objects))


class _Peak:
    """Measures one call where that is wanted, and notes the result, also of a call that fails."""

    def __init__(
        self, item: pytest.Item, checks: Checks, results: _Results, measures_all: bool
    ) -> None:
        self._results, self._limit = results, checks.memory
        self._measurement: PeakMeasurement | None = None
        if self._limit is not None or measures_all:
            wrong = ""
            try:
                self._measurement = PeakMeasurement(item.nodeid, self._limit)
            except ReadingError as error:
                wrong = f"{item.nodeid}: @pytest.mark.limit_memory: {error}"
            if wrong:
                pytest.fail(wrong, pytrace=False)

    def __enter__(self) -> None:
        if self._measurement is not None:
            self._measurement.begin()

    def __exit__(self, *_: object) -> None:
        if self._measurement is not None:
            self._note(self._measurement.end())

    def _note(self, measured: MeasuredPeak) -> None:
        self._results.values |= {
            "peak_bytes": measured.peak_bytes,
            "kept_bytes": measured.kept_bytes,
            "resident_bytes": measured.resident_bytes,
            "is_complete": measured.is_complete,
        }
        if self._limit is not None and measured.excess_over(self._limit):
            self._results.failures.append(excess_text(measured, self._limit))


def _ends(checks: Checks) -> list[int]:
    """Return after how many calls snapshots are taken."""
    ends = [checks.warmup]
    for calls in checks.intervals:
        ends.append(ends[-1] + calls)
    return ends
