"""FleetFacts: what all questions about a service need: its processes, releases, and the present.

The clocks of hosts may be wrong. So the present and the order of releases are told by most hosts,
and a host whose clock is off by days is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from memlens._text import counted
from memlens.fleet.engine import Engine

__all__ = ("DAY_SECONDS", "FleetFacts", "Release", "read_facts")

DAY_SECONDS = 86_400.0
_MANY_SHARE = 0.2  # of the hosts of the day that has most
_GAP = timedelta(days=3)
_TOGETHER_SECONDS = 5400.0
_TOGETHER_SHARE = 0.3  # of the most hosts that were last seen within this time of each other
_EPOCH = date(1970, 1, 1)
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
    max_by(unix_micros(time), uptime_seconds) / 1e6 - max(uptime_seconds) as started_at,
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

_DAYS = "select day, count(distinct host) from readings where service = :service group by day"

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

    ``now``: the newest time that is not of wrong clocks only; None without readings.
    ``odd_hosts``: hosts whose clock is off by days, as far as the tables tell.
    """

    service: str
    processes: int
    hosts: int
    releases: tuple[Release, ...]
    now: float | None
    odd_hosts: tuple[str, ...]

    @property
    def current_since(self) -> float:
        """A process whose last reading is later than this still runs."""
        return (self.now or 0.0) - _LATE_SECONDS

    @property
    def current_until(self) -> float:
        """A process whose last reading is later than this has a clock that is wrong."""
        return (self.now or 0.0) + DAY_SECONDS

    @property
    def current_day(self) -> str:
        """The first day that can have recent rows of a process that still runs: `2026-11-26`.

        A filter by it lets the engine leave out the files of all days before.
        """
        days = max(0.0, self.current_since - DAY_SECONDS) // DAY_SECONDS
        return str(_EPOCH + timedelta(days=days))

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
            f"The clock of {counted(count, 'host')} is off by days"
            f" ({names}{more}): their times are not used, their growth is.",
        )


def read_facts(engine: Engine, service: str, long_enough_seconds: float) -> FleetFacts:
    """Keep the table ``fleet_processes`` of a service in an engine, and return the facts of it."""
    count = engine.keep("fleet_processes", PROCESSES, service=service)
    hosts = engine.rows(_HOSTS)
    span = spans_of_days(dict(engine.rows(_DAYS, service=service)))
    low, high = (0.0, 0.0) if span is None else (_seconds(span[0]), _seconds(span[1]) + DAY_SECONDS)
    odd = sorted(str(host) for host, last, _ in hosts if not low <= last < high)
    now = present([float(last) for _, last, _ in hosts if low <= last < high])
    releases = [
        Release(str(name), int(hosts_), int(processes), float(start), int(long))
        for name, hosts_, processes, start, long in engine.rows(
            _RELEASES, long_enough=long_enough_seconds
        )
    ]
    releases.sort(key=lambda one: (one.first_start, one.name))
    return FleetFacts(service, count, len(hosts), tuple(releases), now, tuple(odd))


def _seconds(day: date) -> float:
    return (day - _EPOCH).total_seconds()


def present(last_times: Sequence[float]) -> float | None:
    """Return the present, told by when each host was last seen; None without hosts.

    The hosts that still run were all seen a short time ago, so it is the latest time at which many
    were: a few clocks that are hours ahead do not count.
    """
    ordered = sorted(last_times)
    counts, start = [], 0
    for place, time in enumerate(ordered):
        while ordered[start] < time - _TOGETHER_SECONDS:
            start += 1
        counts.append(place - start + 1)
    many = max(counts, default=0) * _TOGETHER_SHARE
    together = [time for time, count in zip(ordered, counts, strict=True) if count >= many]
    return together[-1] if together else None


def spans_of_days(hosts_by_day: Mapping[date, int]) -> tuple[date, date] | None:
    """Return the first and the last day that are not only of wrong clocks; None without days.

    The days on which many hosts were seen are right, and those that follow one another closely with
    them: the service may have begun with one host. Days far from them are of wrong clocks.
    """
    if not hosts_by_day:
        return None
    many = max(hosts_by_day.values()) * _MANY_SHARE
    first = last = max(day for day, hosts in hosts_by_day.items() if hosts >= many)
    for day in sorted(hosts_by_day, reverse=True):
        if day < first and (hosts_by_day[day] >= many or first - day <= _GAP):
            first = day
    for day in sorted(hosts_by_day):
        if day > last and day - last <= _GAP:
            last = day
    return first, last
