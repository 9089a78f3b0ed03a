"""Fixtures of the tests of integrations."""

from __future__ import annotations

import importlib

import pytest

from tests.integrations.inner_runs import PLUGIN, InnerRun


@pytest.fixture
def run(pytester):
    """Return a function that runs a module of tests in this process, with memlens's plugin."""
    # Here, because an inner run forgets the modules that it has imported.
    for name in ("marked_tests", "summary"):
        importlib.import_module(f"memlens.integrations.pytest_plugin.{name}")

    def run(source, *options):
        pytester.makepyfile(test_it=source)
        return InnerRun(
            pytester.runpytest_inprocess(*PLUGIN, "-p", "no:hypothesispytest", *options)
        )

    return run
