"""What tests of several rooms share."""

from __future__ import annotations

import gc
import os
import signal

import pytest

from tests.report.pages import installed_page, page  # noqa: F401 - fixtures
from tests.small_process import WORKER, SmallProcesses

# Markers of tests that run only if an option of this name is given.
OPTIONAL = {
    "slow": "storms and long soaks",
    "services": "real servers",
    "browser": "the HTML report in Chromium",
    "node": "tools of others that run in Node",
}


def pytest_addoption(parser):
    for name, what in OPTIONAL.items():
        parser.addoption(f"--{name}", action="store_true", help=f"run the tests of {what}, too")


@pytest.hookimpl(tryfirst=True)  # before Hypothesis loads the profile that was asked for
def pytest_configure(config):
    if (
        signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    ):  # a shell started the tests in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)  # programs under test inherit it
    if not config.pluginmanager.has_plugin(WORKER):
        config.pluginmanager.register(SmallProcesses())
        make_examples_reproducible()
    make_width_known()


def make_width_known():
    """Let texts have 100 columns however wide the terminal of the tests is, in children, too."""
    os.environ["COLUMNS"] = "100"


def make_examples_reproducible():
    """Try the same examples each time, however busy the machine: a proof that another run repeats.

    To look further: ``pytest --hypothesis-profile=default --hypothesis-seed=random``.
    """
    from hypothesis import HealthCheck, settings  # here: a small process does without

    settings.register_profile(
        "reproducible",
        derandomize=True,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("reproducible")


def pytest_collection_modifyitems(config, items):
    off = [name for name in OPTIONAL if not config.getoption(name)]
    left_out = {item for item in items if any(map(item.get_closest_marker, off))}
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def frozen_heap():
    """Exclude all that exists from garbage collections, so that those of the test are fast."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def planted(monkeypatch):
    """Snapshots are small planted heaps with a leak: what is under test is not the capture."""
    from tests.leaks.test_suspects import leaking_dict, series  # here: a small process does without

    snapshots = iter(series(leaking_dict, rounds=60, pid=os.getpid()))

    def take(path, *, reason, facts):
        snapshot = next(snapshots)
        snapshot.facts.update(facts, reason=reason)
        snapshot.save(path)
        return snapshot

    monkeypatch.setattr("memlens.profiler.snapshot_store.take_heap_snapshot", take)
