"""Which call paths allocate most, over all processes?"""

from __future__ import annotations

from memlens._text import format_bytes, format_count
from memlens.fleet.answers import Answer, AnswerColumn
from memlens.fleet.engine import Engine
from memlens.fleet.questions.fleet_facts import FleetFacts
from memlens.fleet.questions.question import Options, Question

__all__ = ("CALL_PATHS",)

_COLUMNS = (
    AnswerColumn("site", "site", "text"),
    AnswerColumn("live_bytes", "live", "bytes"),
    AnswerColumn("live_bytes_stderr", "±", "bytes"),
    AnswerColumn("live_count", "blocks", "count"),
    AnswerColumn("allocated_bytes_per_hour", "allocated", "bytes per hour"),
    AnswerColumn("allocated_bytes_per_hour_stderr", "± ", "bytes per hour"),
    AnswerColumn("hosts", "hosts", "count"),
    AnswerColumn("path_id", "path id", "text"),
    AnswerColumn("call_path", "call path", "text"),
)

# The newest profile of each process that still runs. Estimates of processes are independent, so
# their variances add up: the error of a sum is the root of the sum of squares.
_NEWEST = """
select allocations.process, fleet_processes.host, allocations.path_id, allocations.site,
    allocations.call_path, allocations.live_bytes, allocations.live_bytes_stderr,
    allocations.live_count, allocations.allocated_bytes, allocations.allocated_bytes_stderr,
    allocations.profile_seconds
from allocations
join fleet_processes on fleet_processes.process = allocations.process
join (
    select process, max(uptime_seconds) as newest from allocations
    where service = :service group by process
) last on last.process = allocations.process and last.newest = allocations.uptime_seconds
where allocations.service = :service
    and fleet_processes.last_time >= :since and fleet_processes.last_time <= :until
"""
_PATHS = """
select min(site) as site, sum(live_bytes) as live,
    sqrt(sum(live_bytes_stderr * live_bytes_stderr)) as error,
    sum(live_count) as blocks,
    sum(case when profile_seconds > 0 then allocated_bytes / profile_seconds * 3600.0 end) as rate,
    sqrt(sum(case when profile_seconds > 0
        then power(allocated_bytes_stderr / profile_seconds * 3600.0, 2) end)) as rate_error,
    count(distinct host) as hosts, path_id, min_by(call_path, process) as call_path
from fleet_profiles
where path_id is not null
group by path_id
order by live desc, path_id
limit :limit
"""
_TOTALS = """
select count(distinct process), count(distinct path_id), sum(live_bytes),
    sum(case when path_id is null then live_bytes else 0.0 end)
from fleet_profiles
"""


def _answer(engine: Engine, facts: FleetFacts, options: Options) -> Answer:
    engine.keep(
        "fleet_profiles",
        _NEWEST,
        service=facts.service,
        since=facts.current_since,
        until=facts.current_until,
    )
    processes, paths, total, rest = engine.rows(_TOTALS)[0]
    rows = [
        (site, live, error, blocks, rate, rate_error, int(hosts), path_id, " -> ".join(path))
        for site, live, error, blocks, rate, rate_error, hosts, path_id, path in engine.rows(
            _PATHS, limit=options.limit
        )
    ]
    return Answer(
        CALL_PATHS.name,
        CALL_PATHS.title,
        _sentence(rows, int(processes)),
        _COLUMNS,
        tuple(rows),
        int(paths),
        _notes(float(total or 0.0), float(rest or 0.0)),
    )


def _sentence(
    rows: list[tuple[str, float, float, float, float, float, int, str, str]], count: int
) -> str:
    if not rows:
        return "Not known: no process that runs has sampled allocations."
    site, live, error, *_, hosts, _, _ = rows[0]
    return (
        f"{site} holds most of what was sampled: {format_bytes(live)} ± {format_bytes(error)} on"
        f" {format_count(hosts)} hosts, of {format_count(count)} running processes."
    )


def _notes(total: float, rest: float) -> tuple[str, ...]:
    notes = ["Estimates from samples; the numbers after ± are standard errors of the sums."]
    if rest > 0 and total > 0:
        notes.append(
            f"{rest / total:.0%} of the live bytes are of paths below the top of their process, so a"
            " path may have more than is shown."
        )
    return tuple(notes)


CALL_PATHS = Question("paths", "Call paths", _answer)
