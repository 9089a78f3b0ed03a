"""FleetFacts: what all questions about a service need: its processes, releases, and the present.

The clocks of hosts may be wrong. So the present and the order of releases are told by most hosts,
and a host whose clock is off by more than a day is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memlens.fleet.engine import Engine

__all__ = ("DAY_SECONDS", "FleetFacts", "Release", "read_facts")

DAY_SECONDS = 86_400.0
_NOW_SHARE = 0.005  # of the hosts that must have been seen at the present or later
_LATE_SECONDS = 3 * 3600.0  # a process that was not seen for longer does not run any more

# One row for each process. Kept: every question uses it.
PROCESSES = """
select
    process,
    min(host) as host,
    coalesce(max_by(release, uptime_seconds), '') as release,
    min(kind) as kind,
    min(python) as python,
    min(uptime_seconds) as first_uptime,
    max(uptime_seconds) as last_uptime,
    count(*) as readings,
    max_by(unix_micros(time), uptime_seconds) / 1e6 as last_time,
    median(unix_micros(time) / 1e6 - uptime_seconds) as started_at,
    max_by(rss_bytes, uptime_seconds) as rss_bytes,
    max_by(limit_bytes, uptime_seconds) as limit_bytes,
    max_by(coalesce(limit_used_bytes, rss_bytes), uptime_seconds) as used_bytes
from readings
where service = :service
group by process
"""

_HOSTS = """
select host, max(last_time) as last_time, min(started_at) as started_at
from fleet_processes group by host
"""

_RELEASES = """
select release, count(*) as hosts, sum(processes) as processes, median(first_start) as first_start,
    sum(case when longest >= :long_enough then 1 else 0 end) as long_hosts
from (
    select release, host, count(*) as processes, min(started_at) as first_start,
        max(last_uptime) as longest
    from fleet_processes group by release, host
) one_a_host
group by release
"""


@dataclass(frozen=True, slots=True)
class Release:
    """A release of the service. ``first_start``: when half of its hosts had it, by their clocks.

    ``long_hosts``: the hosts of which a process ran long enough to show slow growth.
    """

    name: str
    hosts: int
    processes: int
    first_start: float
    long_hosts: int

    @property
    def title(self) -> str:
        """The name, for people."""
        return self.name or "(no release)"


@dataclass(frozen=True, slots=True)
class FleetFacts:
    """The facts of a service. ``releases``: the oldest first. Times: seconds since the epoch.

    ``now``: the newest time that is not of a few clocks only; None without readings.
    ``odd_hosts``: hosts whose clock is off by more than a day, as far as the tables tell.
    """

    service: str
    processes: int
    hosts: int
    releases: tuple[Release, ...]
    now: float | None
    began: float | None
    odd_hosts: tuple[str, ...]

    @property
    def current_since(self) -> float:
        """A process whose last reading is later than this still runs."""
        return (self.now or 0.0) - _LATE_SECONDS

    @property
    def current_until(self) -> float:
        """A process whose last reading is later than this has a clock that is wrong."""
        return (self.now or 0.0) + DAY_SECONDS

    def release_named(self, name: str) -> Release | None:
        """Return a release, None if there is none of this name."""
        return next((one for one in self.releases if one.name == name), None)

    def clock_notes(self) -> tuple[str, ...]:
        """Say which clocks are wrong, in sentences."""
        if not self.odd_hosts:
            return ()
        names = ", ".join(self.odd_hosts[:3])
        more = f" and {len(self.odd_hosts) - 3} more" if len(self.odd_hosts) > 3 else ""
        count = len(self.odd_hosts)
        return (
            f"The clock of {count} host{'' if count == 1 else 's'} is off by more than a day"
            f" ({names}{more}): their times are not used, their growth is.",
        )


def read_facts(engine: Engine, service: str, long_enough_seconds: float) -> FleetFacts:
    """Keep the table ``fleet_processes`` of a service in an engine, and return the facts of it."""
    count = engine.keep("fleet_processes", PROCESSES, service=service)
    hosts = engine.rows(_HOSTS)
    now = newest([row[1] for row in hosts])
    began = oldest([row[2] for row in hosts])
    odd = sorted(
        str(host)
        for host, last, start in hosts
        if now is not None
        and began is not None
        and not (began - DAY_SECONDS <= last <= now + DAY_SECONDS and start <= now + DAY_SECONDS)
    )
    releases = [
        Release(str(name), int(hosts_), int(processes), float(start), int(long))
        for name, hosts_, processes, start, long in engine.rows(
            _RELEASES, long_enough=long_enough_seconds
        )
    ]
    releases.sort(key=lambda one: (one.first_start, one.name))
    return FleetFacts(service, count, len(hosts), tuple(releases), now, began, tuple(odd))


def newest(times: Sequence[float]) -> float | None:
    """Return the newest time that is not only of a few clocks; None of none.

    Those after it, at most one in 200 and at least one where there are three hosts, must agree with it
    to a day, else their clocks are wrong.
    """
    ordered = sorted(times, reverse=True)
    if not ordered:
        return None
    few = 0 if len(ordered) < 3 else max(1, int(len(ordered) * _NOW_SHARE))
    agreed = ordered[few]
    return max(one for one in ordered if one <= agreed + DAY_SECONDS)


def oldest(times: Sequence[float]) -> float | None:
    """Return the oldest time that is not only of a few clocks; None of none."""
    turned = newest([-one for one in times])
    return None if turned is None else -turned

