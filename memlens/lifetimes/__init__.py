"""Lifetimes: objects that should be gone by now, and what keeps them alive.

::

    import memlens

    session.close()
    memlens.expect_collected(session, within=30, reason="session closed")

    from memlens.lifetimes import overdue

    print(overdue())
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memlens._lazy import lazy_exports

if TYPE_CHECKING:
    from memlens.lifetimes.closing import unwatch_closed, watch_closed
    from memlens.lifetimes.expectations import (
        Expectations,
        assert_collected,
        expect_collected,
        overdue,
    )
    from memlens.lifetimes.late_objects import OverdueReport
    from memlens.lifetimes.libraries import watch_sqlalchemy_sessions, watch_tasks
    from memlens.lifetimes.requests import ASGIRequests, RequestMark, django_requests
    from memlens.lifetimes.test_cases import ExpectsCollected

__all__ = (
    "ASGIRequests",
    "Expectations",
    "ExpectsCollected",
    "OverdueReport",
    "RequestMark",
    "assert_collected",
    "django_requests",
    "expect_collected",
    "overdue",
    "unwatch_closed",
    "watch_closed",
    "watch_sqlalchemy_sessions",
    "watch_tasks",
)

_HOMES = {
    "memlens.lifetimes.closing": ("unwatch_closed", "watch_closed"),
    "memlens.lifetimes.expectations": (
        "Expectations",
        "assert_collected",
        "expect_collected",
        "overdue",
    ),
    "memlens.lifetimes.late_objects": ("OverdueReport",),
    "memlens.lifetimes.libraries": ("watch_sqlalchemy_sessions", "watch_tasks"),
    "memlens.lifetimes.requests": ("ASGIRequests", "RequestMark", "django_requests"),
    "memlens.lifetimes.test_cases": ("ExpectsCollected",),
}
__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
