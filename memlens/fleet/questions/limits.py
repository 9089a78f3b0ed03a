"""Which hosts are nearest to their memory limit, and when do they reach it?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from memlens._text import format_bytes, format_count, format_duration
from memlens.fleet.answers import Answer, AnswerColumn
from memlens.fleet.engine import Engine
from memlens.fleet.questions.fleet_facts import FleetFacts
from memlens.fleet.questions.question import Options, Question

__all__ = ("LIMITS",)

_COLUMNS = (
    AnswerColumn("host", "host", "text"),
    AnswerColumn("process", "process", "text"),
    AnswerColumn("release", "release", "text"),
    AnswerColumn("used_share", "used", "share"),
    AnswerColumn("used_bytes", "memory", "bytes"),
    AnswerColumn("limit_bytes", "limit", "bytes"),
    AnswerColumn("headroom_bytes", "headroom", "bytes"),
    AnswerColumn("growth_bytes_per_hour", "growth", "bytes per hour"),
    AnswerColumn("seconds_to_limit", "reached in", "seconds"),
)
_FULL = 0.9

# Growth is told from the newest six hours of uptime, so that a warm cache does not count.
_CURRENT = """
select current.host, current.process, current.release, current.used_bytes, current.limit_bytes,
    current.last_uptime, trend.slope * 3600.0 as per_hour, trend.spread
from (
    select * from fleet_processes
    where last_time >= :since and last_time <= :until and limit_bytes > 0
) current
left join (
    select readings.process,
        regr_slope(coalesce(limit_used_bytes, readings.rss_bytes), uptime_seconds) as slope,
        max(uptime_seconds) - min(uptime_seconds) as spread
    from readings join fleet_processes on fleet_processes.process = readings.process
    where readings.service = :service
        and uptime_seconds >= fleet_processes.last_uptime - :window
    group by readings.process
) trend on trend.process = current.process
order by current.used_bytes / current.limit_bytes desc, current.host, current.process
limit :limit
"""
_TOTALS = """
select count(*), sum(case when limit_bytes > 0 then 1 else 0 end),
    sum(case when limit_bytes > 0 and used_bytes >= :full * limit_bytes then 1 else 0 end)
from fleet_processes where last_time >= :since and last_time <= :until
"""
_WINDOW_SECONDS = 6 * 3600.0
_MIN_SPREAD_SECONDS = 3600.0


def _answer(engine: Engine, facts: FleetFacts, options: Options) -> Answer:
    present = {"since": facts.current_since, "until": facts.current_until}
    found = engine.rows(
        _CURRENT, service=facts.service, window=_WINDOW_SECONDS, limit=options.limit, **present
    )
    running, limited, full = (
        int(one or 0) for one in engine.rows(_TOTALS, full=_FULL, **present)[0]
    )
    rows = []
    for host, process, release, used, limit, _, per_hour, spread in found:
        known = per_hour is not None and spread >= _MIN_SPREAD_SECONDS
        grows = float(per_hour) if known else None
        headroom = max(0, int(limit) - int(used))
        left = headroom / grows * 3600.0 if grows is not None and grows > 0 else None
        rows.append((host, process, release or None, used / limit, int(used), int(limit), headroom,
                     grows, left))  # fmt: skip
    unlimited = running - limited
    notes = [f"{format_count(unlimited)} running processes have no limit."] if unlimited else []
    if rows:
        notes.append(
            "The time is that at the growth of the newest six hours: daily load is part of it."
        )
    return Answer(
        LIMITS.name,
        LIMITS.title,
        _sentence(rows, running, full),
        _COLUMNS,
        tuple(rows),
        limited,
        (*notes, *facts.clock_notes()),
    )


def _sentence(rows: Sequence[tuple[Any, ...]], running: int, full: int) -> str:
    if not running:
        return "No process runs any more."
    if not rows:
        return f"None of {format_count(running)} running processes has a limit."
    host, _, _, share, used, limit, _, _, left = rows[0]
    text = (
        f"{format_count(full)} of {format_count(running)} running processes use"
        f" {_FULL:.0%} of their limit or more; the nearest is {host}:"
        f" {format_bytes(used)} of {format_bytes(limit)} ({share:.0%})"
    )
    if left is not None and left < 7 * 86_400:
        text += f", reached in {format_duration(left)}"
    return f"{text}."


LIMITS = Question("limits", "Nearest to the limit", _answer)
