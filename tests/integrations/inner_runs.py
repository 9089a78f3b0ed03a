"""Runs of pytest inside of tests, with memlens's plugin, and their reports."""

from __future__ import annotations

import os

import pytest

from memlens._core import IMPLEMENTATION

# What a run of `no_leaks` finds is the same on both cores, and takes ten seconds on the pure one.
only_on_c = pytest.mark.skipif(IMPLEMENTATION != "C", reason="takes long in pure Python")

# Also where memlens is installed, so that pytest knows the plugin by its entry point.
PLUGIN = ("-p", "no:memlens", "-p", "memlens.integrations.pytest", "-p", "no:cacheprovider")


class InnerRun:
    """One run: the reports by the name of the test and the phase, and what the terminal showed."""

    def __init__(self, result):
        self.result = result
        recorded = getattr(
            result.reprec, "getreports", lambda name: []
        )  # none if pytest has not begun
        self.reports = {
            (report.nodeid.partition("::")[2], report.when): report
            for report in recorded("pytest_runtest_logreport")
        }

    def outcome(self, name):
        """Return ``passed``, ``failed``, ``skipped``, or ``error`` for a phase around the call."""
        phases = {when: report for (test, when), report in self.reports.items() if test == name}
        for when in ("setup", "teardown"):
            if phases[when].failed:
                return "error"
        return phases["call"].outcome if "call" in phases else phases["setup"].outcome

    def text(self, name, when="call"):
        return str(self.reports[name, when].longrepr)

    def values(self, name):
        """Return what the plugin has found out about a test."""
        return dict(self.reports[name, "call"].user_properties).get("memlens", {})


def environment():
    """Return the environment of a child process that imports memlens from here."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return {**os.environ, "PYTHONPATH": root, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
