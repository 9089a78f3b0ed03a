"""What a simulated fleet is like: its size, its releases, its leaks and its faults."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

__all__ = ("DAY", "HOUR", "TABLE_NAMES", "FleetPlan", "Release", "ServicePlan", "services_of")

HOUR = 3600.0
DAY = 24 * HOUR
TABLE_NAMES = ("readings", "verdicts", "suspects", "types", "holders", "allocations")
START = datetime(2026, 11, 9, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """The knobs of a fleet. All that is random follows from ``seed``.

    ``leak_share``: the share of pods in which the new leak shows; 0 is the healthy twin.
    ``is_fixed``: the release after the leaking one has the leak no more. ``known_share``: the share
    of pods with a leak that all releases have. ``false_share``: the share of processes that are
    accused by chance, for an hour or two. ``reading_seconds``: between two readings. ``top``: rows of
    each process and hour in ``types``, ``holders`` and ``allocations``, besides the rest.
    ``unmerged_hours``: the newest hours, whose files nobody has merged yet. ``tables``: which to write.
    """

    seed: int = 1
    pods: int = 1000
    days: float = 14
    leak_share: float = 0.03
    is_fixed: bool = False
    known_share: float = 0.01
    false_share: float = 0.01
    reading_seconds: float = 300.0
    top: int = 50
    unmerged_hours: float = 2.0
    has_faults: bool = True
    tables: tuple[str, ...] = TABLE_NAMES
    start: datetime = START

    @property
    def begin(self) -> float:
        """The true time at which the fleet starts, in seconds since the epoch."""
        return self.start.timestamp()

    @property
    def end(self) -> float:
        """The true time of the newest rows."""
        return self.begin + self.days * DAY


@dataclass(frozen=True, slots=True)
class Release:
    """A release: when its rollout starts and, if it is rolled back, when; shares of the period.

    ``base``: its memory without caches and load, relative to the first release; ``changed``: the size
    of one type, `heap.CHANGED_TYPE`.
    """

    name: str
    at: float
    until: float | None = None
    base: float = 1.0
    changed: float = 1.0
    has_leak: bool = False
    has_new_cache: bool = False


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """A service of the fleet. ``kind``: that of its processes; ``pid``: that of the worker."""

    name: str
    pods: int
    kind: str
    pid: int
    releases: tuple[Release, ...]
    leak_share: float
    known_share: float


def services_of(plan: FleetPlan) -> tuple[ServicePlan, ServicePlan]:
    """Return the service that leaks, and a smaller healthy one.

    The names of releases do not sort as text, and both services have one name in common.
    """
    fixed = not plan.is_fixed
    shop = ServicePlan(
        name="checkout",
        pods=plan.pods,
        kind="uvicorn worker",
        pid=8,
        releases=(
            Release("4.8.2", 0.0),
            Release("4.9.0", 0.15),
            Release("4.9.1", 0.33, base=1.06, changed=1.5),
            Release("4.10.0", 0.48, until=0.53, base=1.06, changed=1.5),
            Release("4.10.1", 0.57, base=1.11, changed=1.5, has_leak=True, has_new_cache=True),
            Release("4.11.0", 0.82, base=1.11, changed=1.5, has_leak=fixed, has_new_cache=True),
        ),
        leak_share=plan.leak_share,
        known_share=plan.known_share,
    )
    mail = ServicePlan(
        name="mail sender",
        pods=max(3, plan.pods // 10),
        kind="celery worker",
        pid=14,
        releases=(Release("4.9.1", 0.0), Release("4.10.1", 0.4)),
        leak_share=0.0,
        known_share=0.0,
    )
    return shop, mail
