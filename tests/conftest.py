"""What tests of several rooms share."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.leaks.test_suspects import leaking_dict, series

# The same examples each time, however busy the machine: a proof that another run repeats. To look
# further: pytest --hypothesis-profile=default --hypothesis-seed=random
settings.register_profile(
    "reproducible", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("reproducible")


@pytest.fixture
def planted(monkeypatch):
    """Snapshots are small planted heaps with a leak: what is under test is not the capture."""
    snapshots = iter(series(leaking_dict, rounds=60, pid=os.getpid()))

    def take(path, *, reason, facts):
        snapshot = next(snapshots)
        snapshot.facts.update(facts, reason=reason)
        snapshot.save(path)
        return snapshot

    monkeypatch.setattr("memlens.profiler.snapshot_store.take_heap_snapshot", take)
