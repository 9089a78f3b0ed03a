"""The entry point of memlens's plugin for pytest: options, markers and the fixture.

It imports nothing of memlens but the fixture, and adds no hook that runs for each test. The rest of
the plugin is imported and registered when an option or a marker asks for it.
"""

from __future__ import annotations

import pytest

from memlens.lifetimes.pytest_plugin import expect_collected

__all__ = (
    "MARKERS",
    "expect_collected",
    "pytest_addoption",
    "pytest_collection_modifyitems",
    "pytest_configure",
)

MARKERS = {
    "limit_memory": "limit_memory(limit, measure='python'): fail if memory rises by more than"
    " limit ('24 MiB') during the test",
    "no_leaks": "no_leaks(rounds=20, warmup=5, ignore=()): call the test again and again, and fail"
    " if something accumulates objects",
    "limit_leaked_objects": "limit_leaked_objects(limit, rounds=3, warmup=2): fail if each call of"
    " the test leaves more objects behind; limit is a number or {type: number}",
}
_MEMRAYS = frozenset({"limit_memory", "limit_leaked_objects"})  # names that pytest-memray uses too
_NAME = "memlens-tests"
_SUMMARY = "memlens-summary"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the command line."""
    group = parser.getgroup("memlens", "memory, by memlens")
    group.addoption(
        "--memlens", action="store_true", help="list the tests that needed the most memory"
    )
    group.addoption(
        "--memlens-rows",
        type=int,
        default=10,
        metavar="N",
        help="how many tests --memlens lists (default: 10)",
    )
    group.addoption(
        "--memlens-baseline",
        metavar="FILE",
        help="let no_leaks fail only on suspects that are not in this file",
    )
    group.addoption(
        "--memlens-save-baseline",
        metavar="FILE",
        help="write the suspects of no_leaks as a baseline, and let none of them fail",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and what the options ask for."""
    for line in MARKERS.values():
        config.addinivalue_line("markers", line)
    names = ("memlens", "memlens_baseline", "memlens_save_baseline")
    if any(config.getoption(name) for name in names):
        from memlens.integrations.pytest_plugin.summary import Summary

        config.pluginmanager.register(Summary(config), _SUMMARY)
    if config.getoption("memlens"):
        _register(config)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Register the checks of tests if one of them has a marker of ours."""
    if config.pluginmanager.has_plugin(_NAME):
        return
    if any(mark.name in MARKERS for item in items for mark in item.iter_markers()):
        _register(config)


def _register(config: pytest.Config) -> None:
    from memlens.integrations.pytest_plugin.marked_tests import MarkedTests

    left_out = _MEMRAYS if config.pluginmanager.has_plugin("memray_manager") else frozenset()
    config.pluginmanager.register(MarkedTests(config, left_out), _NAME)
