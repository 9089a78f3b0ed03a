"""Confirmed leaks: suspects that a process reports again and again, as no accusation by chance is."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from memlens.fleet.engine import Engine
from memlens.fleet.questions.fleet_facts import FleetFacts, Release

__all__ = ("ConfirmedLeak", "Sighting", "confirmed_leaks", "suspect_texts")

_MIN_REPORTS = 3
_MIN_SPAN_SECONDS = 5400.0  # between the first and the last report of a process
_MIN_SHARE = 0.5  # of the verdicts since the first report
_MANY_HOSTS = 20  # of so many, one host alone is not taken for a leak of the release
EXPECTED_ENOUGH = 3.0  # hosts expected to have it: that none has it by chance is 5 in 100 then

# One row for each process and fingerprint, if the suspect was reported at least half the time since.
_SIGHTINGS = """
select reported.process, reported.fingerprint, reported.reports, reported.first_uptime,
    reported.last_uptime, reported.first_time, reported.growth_per_hour, reported.retained_bytes,
    verdicts_since.verdicts
from (
    select process, fingerprint, count(*) as reports, min(uptime_seconds) as first_uptime,
        max(uptime_seconds) as last_uptime,
        min_by(unix_micros(time), uptime_seconds) / 1e6 as first_time,
        max_by(growth_bytes / window_seconds * 3600.0, uptime_seconds) as growth_per_hour,
        max_by(retained_bytes, uptime_seconds) as retained_bytes
    from suspects
    where service = :service and confidence <> 'low' and window_seconds > 0
    group by process, fingerprint
) reported
join (
    select firsts.process, firsts.fingerprint, count(*) as verdicts
    from (
        select process, fingerprint, min(uptime_seconds) as first_uptime
        from suspects
        where service = :service and confidence <> 'low' and window_seconds > 0
        group by process, fingerprint
    ) firsts
    join verdicts on verdicts.process = firsts.process and verdicts.service = :service
        and verdicts.series = 'heap' and verdicts.state <> 'unknown'
        and verdicts.uptime_seconds >= firsts.first_uptime - 1.0
    group by firsts.process, firsts.fingerprint
) verdicts_since
on verdicts_since.process = reported.process and verdicts_since.fingerprint = reported.fingerprint
where reported.reports >= :min_reports
    and reported.last_uptime - reported.first_uptime >= :min_span
    and reported.reports >= :min_share * verdicts_since.verdicts
"""

_WITH_PROCESS = """
select fleet_sightings.fingerprint, fleet_processes.release, fleet_processes.host,
    fleet_sightings.process, fleet_sightings.first_time, fleet_sightings.growth_per_hour,
    fleet_sightings.retained_bytes
from fleet_sightings join fleet_processes on fleet_processes.process = fleet_sightings.process
order by fleet_sightings.fingerprint, fleet_sightings.process
"""

_TEXTS = """
select fingerprint, max_by(holder, growth_bytes) as holder, max_by(held_by, growth_bytes) as held_by,
    max_by(pattern, growth_bytes) as pattern, max_by(suggestion, growth_bytes) as suggestion,
    max_by(site, growth_bytes) as site
from suspects where service = :service and confidence <> 'low'
group by fingerprint
"""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A confirmed suspect of one process. ``first_time``: by the clock of its host."""

    release: str
    host: str
    process: str
    first_time: float
    growth_per_hour: float
    retained_bytes: int


@dataclass(slots=True)
class ConfirmedLeak:
    """A leak with the processes that have it, and what is known of it over the releases.

    ``status``: ``new`` (earlier releases would have shown it), ``old`` (the oldest release has it) or
    ``first seen`` (earlier releases were not observed long enough); ``gone`` where a later release
    would show it and does not. ``share``: of the hosts of its releases that ran long enough.
    """

    fingerprint: str
    sightings: list[Sighting] = field(default_factory=list)
    releases: tuple[Release, ...] = ()
    share: float | None = None
    status: str = ""

    @property
    def hosts(self) -> set[str]:
        """The hosts that have it."""
        return {one.host for one in self.sightings}

    @property
    def growth_per_hour(self) -> float:
        """The median growth of its processes, bytes an hour."""
        ordered = sorted(one.growth_per_hour for one in self.sightings)
        half = len(ordered) // 2
        return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2

    def since(self, odd_hosts: tuple[str, ...]) -> float | None:
        """Return when a tenth of its hosts had reported it, by clocks that are not far off."""
        first: dict[str, float] = {}
        for one in self.sightings:
            if one.host not in odd_hosts:
                first[one.host] = min(first.get(one.host, one.first_time), one.first_time)
        times = sorted(first.values())
        return times[len(times) // 10] if times else None


def confirmed_leaks(engine: Engine, facts: FleetFacts) -> tuple[list[ConfirmedLeak], int]:
    """Return the confirmed leaks, most hosts first, and how many were seen in too few hosts.

    Needs the table ``fleet_processes`` of `read_facts`.
    """
    engine.keep(
        "fleet_sightings",
        _SIGHTINGS,
        service=facts.service,
        min_reports=_MIN_REPORTS,
        min_span=_MIN_SPAN_SECONDS,
        min_share=_MIN_SHARE,
    )
    found: dict[str, ConfirmedLeak] = {}
    for fingerprint, release, host, process, first, growth, retained in engine.rows(_WITH_PROCESS):
        leak = found.setdefault(str(fingerprint), ConfirmedLeak(str(fingerprint)))
        leak.sightings.append(
            Sighting(release, host, process, float(first), float(growth), int(retained))
        )
    kept = []
    for leak in found.values():
        _judge(leak, facts)
        many = max((one.long_hosts for one in leak.releases), default=0) >= _MANY_HOSTS
        if len(leak.hosts) >= (2 if many else 1):
            kept.append(leak)
    kept.sort(key=lambda one: (-len(one.hosts), -one.growth_per_hour, one.fingerprint))
    return kept, len(found) - len(kept)


def _judge(leak: ConfirmedLeak, facts: FleetFacts) -> None:
    """Set the releases, the share and the status of a leak."""
    names = {one.release for one in leak.sightings}
    places = [place for place, one in enumerate(facts.releases) if one.name in names]
    leak.releases = tuple(facts.releases[place] for place in places)
    hosts: dict[str, set[str]] = defaultdict(set)
    for one in leak.sightings:
        hosts[one.release].add(one.host)
    observed = sum(max(one.long_hosts, len(hosts[one.name])) for one in leak.releases)
    leak.share = sum(map(len, hosts.values())) / observed if observed else None
    share = leak.share or 0.0
    earlier = sum(one.long_hosts for one in facts.releases[: places[0]])
    later = sum(one.long_hosts for one in facts.releases[places[-1] + 1 :])
    if places[0] == 0:
        leak.status = "old"
    else:
        leak.status = "new" if share * earlier >= EXPECTED_ENOUGH else "first seen"
    if share * later >= EXPECTED_ENOUGH:
        leak.status += ", gone"


def suspect_texts(engine: Engine, service: str) -> dict[str, tuple[Any, ...]]:
    """Return for each fingerprint: holder, held by, pattern, what to do, site."""
    return {row[0]: row[1:] for row in engine.rows(_TEXTS, service=service)}
