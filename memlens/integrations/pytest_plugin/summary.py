"""Summary: what the terminal shows at the end, and the baseline that a run writes.

Results arrive as user properties of reports, so they come from the workers of pytest-xdist too.
"""

from __future__ import annotations

from typing import Any

import pytest

from memlens._options import check_count
from memlens._table import columns
from memlens._text import format_bytes, format_change
from memlens.errors import MemlensError, OptionError
from memlens.integrations.pytest_plugin.marked_tests import PROPERTY
from memlens.integrations.pytest_plugin.options import baseline_of, saving_path
from memlens.leaks.baselines import Baseline, KnownSuspect

__all__ = ("Summary",)


class Summary:
    """A plugin for the process that has the terminal."""

    def __init__(self, config: pytest.Config) -> None:
        try:
            self._rows = check_count("--memlens-rows", config.getoption("memlens_rows"))
        except OptionError as error:
            raise pytest.UsageError(str(error)) from None
        self._lists_tests = bool(config.getoption("memlens"))
        self._baseline = baseline_of(config)
        self._saving_path = saving_path(config)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the tests with the highest peaks and the results of the baseline; write a new one."""
        results = _results(terminalreporter)
        if self._lists_tests:
            self._list_tests(terminalreporter, results)
        found = {
            one["fingerprint"]: KnownSuspect(one["fingerprint"], one["holder"])
            for values in results.values()
            for one in values.get("suspects", ())
        }
        if self._baseline is not None:
            known = sum(1 for fingerprint in found if fingerprint in self._baseline)
            gone = len(self._baseline.gone(found))
            terminalreporter.write_line(
                f"memlens: {known} suspects of the baseline were found, {gone} were not,"
                f" {len(found) - known} are new"
            )
        if self._saving_path is not None:
            self._save(terminalreporter, list(found.values()), self._saving_path)

    def _list_tests(
        self, terminalreporter: pytest.TerminalReporter, results: dict[str, dict[str, Any]]
    ) -> None:
        measured = [(nodeid, one) for nodeid, one in results.items() if "peak_bytes" in one]
        measured.sort(key=lambda row: (-_peak(row[1]), row[0]))
        shown = measured[: self._rows]
        terminalreporter.section("memory, by memlens")
        if not shown:
            terminalreporter.write_line("no test was measured")
            return
        rows = [
            (format_bytes(_peak(one)), _kept_text(one), f"{nodeid}{_note(one)}")
            for nodeid, one in shown
        ]
        terminalreporter.write_line(columns(("peak", "kept", "test"), rows))
        more = len(measured) - len(shown)
        if more:
            terminalreporter.write_line(f"... and {more} more; --memlens-rows {len(measured)}")

    def _save(
        self, terminalreporter: pytest.TerminalReporter, found: list[KnownSuspect], path: str
    ) -> None:
        try:
            Baseline(found).save(path)
        except MemlensError as error:
            terminalreporter.write_line(f"memlens: the baseline was not written: {error}", red=True)
            return
        terminalreporter.write_line(f"memlens: {len(found)} suspects written to {path}")


def _results(terminalreporter: pytest.TerminalReporter) -> dict[str, dict[str, Any]]:
    """Return what was found out about each test, by its id."""
    results: dict[str, dict[str, Any]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == PROPERTY:
                    results.setdefault(report.nodeid, {}).update(value)
    return results


def _peak(values: dict[str, Any]) -> int:
    return int(values["resident_bytes"] or values["peak_bytes"])


def _kept_text(values: dict[str, Any]) -> str:
    return "" if values["resident_bytes"] is not None else format_change(values["kept_bytes"])


def _note(values: dict[str, Any]) -> str:
    if values["resident_bytes"] is not None:
        return " (resident)"
    return "" if values["is_complete"] else " (incomplete: the test stopped tracemalloc)"
