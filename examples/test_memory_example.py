"""Tests of memory with the markers of memlens. Run it: ``python examples/test_memory_example.py``.

Where memlens is installed, pytest finds the markers by itself, so in a project of yours only the
tests are needed. The leak is marked as an expected failure, so that all of this passes; remove the
``xfail`` to see how a leak is reported.
"""

from __future__ import annotations

import sys
from collections import OrderedDict

import pytest


class Session:
    """What the service keeps of a visitor."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.basket: list[str] = []


class Service:
    """Keeps a session for each visitor."""

    def __init__(self, max_sessions: int | None) -> None:
        self._max_sessions = max_sessions
        self._sessions: OrderedDict[int, Session] = OrderedDict()
        self._next_number = 0

    def visit(self, name: str) -> Session:
        session = Session(name)
        self._sessions[self._next_number] = session
        self._next_number += 1
        if self._max_sessions is not None and len(self._sessions) > self._max_sessions:
            self._sessions.popitem(last=False)
        return session


LEAKING = Service(max_sessions=None)
BOUNDED = Service(max_sessions=4)


@pytest.mark.limit_memory("2 MiB")
def test_an_export_streams_its_rows():
    """A list of all rows would need 8 MiB."""
    assert sum(len(row) for row in (f"row {number}" for number in range(100_000))) == 888_890


@pytest.mark.no_leaks
def test_sessions_are_bounded():
    BOUNDED.visit("somebody").basket.append("tea")


@pytest.mark.xfail(strict=True, reason="sessions are never removed")
@pytest.mark.no_leaks
def test_sessions_leak():
    LEAKING.visit("somebody").basket.append("tea")


@pytest.mark.limit_leaked_objects({Session: 0})
def test_a_session_is_gone_with_its_service():
    Service(max_sessions=None).visit("somebody")


def test_a_session_is_collected_when_it_is_closed(expect_collected):
    session = BOUNDED.visit("somebody")
    for _ in range(4):
        BOUNDED.visit("somebody else")
    expect_collected(session)


if __name__ == "__main__":
    # The plugin by its module: also where memlens is not installed.
    plugin = ["-p", "no:memlens", "-p", "memlens.integrations.pytest"]
    sys.exit(pytest.main([__file__, "-v", *plugin, "--memlens"]))
