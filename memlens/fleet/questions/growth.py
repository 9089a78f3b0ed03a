"""Which types grow, on how many hosts?"""

from __future__ import annotations

from memlens._text import format_bytes, format_count
from memlens.fleet.answers import Answer, AnswerColumn
from memlens.fleet.engine import Engine
from memlens.fleet.questions.fleet_facts import FleetFacts
from memlens.fleet.questions.question import LONG_ENOUGH_SECONDS, Options, Question

__all__ = ("GROWTH",)

_COLUMNS = (
    AnswerColumn("type", "type", "text"),
    AnswerColumn("growth_bytes_per_hour", "growth in all", "bytes per hour"),
    AnswerColumn("growing_hosts", "hosts where it grows", "count"),
    AnswerColumn("shrinking_hosts", "where it shrinks", "count"),
    AnswerColumn("hosts", "of hosts", "count"),
    AnswerColumn("median_bytes_per_hour", "median of a process", "bytes per hour"),
    AnswerColumn("largest_bytes_per_hour", "largest of a process", "bytes per hour"),
    AnswerColumn("size_bytes", "size in all", "bytes"),
)
_MIN_POINTS = 4
_MIN_R2 = 0.5  # of the variation in time that the line must explain to be called growth
_MIN_BYTES_PER_HOUR = 1024.0

# A line through the second half of what was seen of each process, told by its own clock that is
# never set. Caches that have warmed up are flat there.
_SLOPES = """
select types.process, fleet_processes.host, types.type,
    regr_slope(types.size_bytes, types.uptime_seconds) * 3600.0 as per_hour,
    regr_r2(types.size_bytes, types.uptime_seconds) as explained,
    max_by(types.size_bytes, types.uptime_seconds) as size_bytes
from types
join fleet_processes on fleet_processes.process = types.process
where types.service = :service and types.type is not null
    and fleet_processes.last_uptime - fleet_processes.first_uptime >= :long_enough
    and types.uptime_seconds
        >= (fleet_processes.first_uptime + fleet_processes.last_uptime) / 2.0
group by types.process, fleet_processes.host, types.type
having count(*) >= :min_points
"""
# What the load of the day lets grow on some hosts shrinks on others: the sum leaves it out.
_GROWTH = """
select type, sum(per_hour) as per_hour,
    count(distinct case when per_hour > :min_growth and explained >= :min_explained then host end)
        as growing_hosts,
    count(distinct case when per_hour < -:min_growth and explained >= :min_explained then host end)
        as shrinking_hosts,
    count(distinct host) as hosts, median(per_hour) as median_per_hour, max(per_hour) as largest,
    sum(size_bytes) as size_bytes
from fleet_slopes
group by type
having sum(per_hour) > 0 and max(case when explained >= :min_explained then per_hour end) > :min_growth
order by per_hour desc, type
"""


def _answer(engine: Engine, facts: FleetFacts, options: Options) -> Answer:
    engine.keep(
        "fleet_slopes",
        _SLOPES,
        service=facts.service,
        long_enough=LONG_ENOUGH_SECONDS,
        min_points=_MIN_POINTS,
    )
    found = engine.rows(_GROWTH, min_growth=_MIN_BYTES_PER_HOUR, min_explained=_MIN_R2)
    observed = int(engine.rows("select count(distinct process) from fleet_slopes")[0][0])
    rows = [
        (
            name,
            float(total),
            int(growing),
            int(shrinking),
            int(hosts),
            float(middle),
            float(largest),
            int(size),
        )
        for name, total, growing, shrinking, hosts, middle, largest, size in found
    ]
    return Answer(
        GROWTH.name,
        GROWTH.title,
        _sentence(rows, observed),
        _COLUMNS,
        tuple(rows[: options.limit]),
        len(rows),
        _notes(facts, observed),
    )


def _sentence(
    rows: list[tuple[str, float, int, int, int, float, float, int]], observed: int
) -> str:
    if not observed:
        return "Not known: no process was observed for six hours with types."
    if not rows:
        return f"No type grows in {format_count(observed)} processes."
    name, total, growing, shrinking, hosts, *_ = rows[0]
    return (
        f"{name} grows most: +{format_bytes(total)} an hour in all. It grows on"
        f" {format_count(growing)} of {format_count(hosts)} hosts and shrinks on"
        f" {format_count(shrinking)}."
    )


def _notes(facts: FleetFacts, observed: int) -> tuple[str, ...]:
    short = facts.processes - observed
    notes = [
        "Growth is the slope over the second half of the time that a process was observed. A type that"
        " grows is no leak by itself: see new-leaks."
    ]
    if short:
        notes.append(f"{format_count(short)} processes were observed too shortly and are left out.")
    return tuple(notes)


GROWTH = Question("growth", "Growth by type", _answer)
