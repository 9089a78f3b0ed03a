"""What did a release change? One value for each host, at the same time of its life, by a rank test.

A day of uptime is compared where there is one, so that neither the warm-up nor the load of the hour
passes for a change. Hosts, not readings, are counted: the readings of one process are not independent.
"""

from __future__ import annotations

from dataclasses import dataclass

from memlens._text import format_bytes, format_change, format_count
from memlens.fleet.answers import Answer, AnswerColumn
from memlens.fleet.engine import Engine
from memlens.fleet.questions.fleet_facts import FleetFacts, Release
from memlens.fleet.questions.question import Options, Question
from memlens.fleet.statistics import RankSums, holm, rank_test

__all__ = ("DEPLOY",)

_COLUMNS = (
    AnswerColumn("what", "what", "text"),
    AnswerColumn("change_share", "change", "share"),
    AnswerColumn("change_bytes", "change in bytes", "bytes"),
    AnswerColumn("before_bytes", "before", "bytes"),
    AnswerColumn("after_bytes", "after", "bytes"),
    AnswerColumn("p_value", "p", "number"),
    AnswerColumn("is_real", "real", "text"),
)
_MIN_HOSTS = 8  # of each release
_ALPHA = 0.01  # the chance of one false change or more among all
_MIN_SHARE = 0.02  # a change that is smaller does not matter
_MIN_BYTES = 64 * 1024.0
_RSS = "resident memory"


@dataclass(frozen=True, slots=True)
class _Window:
    """From which to which uptime processes are compared, and how much of it each must have."""

    start: float
    end: float
    span: float

    @property
    def title(self) -> str:
        return f"hours {self.start / 3600:.0f} to {self.end / 3600:.0f} of each process"


_HOUR = 3600.0
_DAY = _Window(6 * _HOUR, 30 * _HOUR, 22.5 * _HOUR)
_WINDOWS = (_DAY, _Window(3 * _HOUR, 9 * _HOUR, 5 * _HOUR), _Window(1 * _HOUR, 3 * _HOUR, _HOUR))

# One row for each host and what is measured: the mean over the window.
_VALUES = """
select what, side, host, avg(mean) as value from (
    select '{rss}' as what,
        case when fleet_processes.release = :before then 'before' else 'after' end as side,
        fleet_processes.host as host, readings.process, avg(1.0 * readings.rss_bytes) as mean
    from readings join fleet_processes on fleet_processes.process = readings.process
    where readings.service = :service and fleet_processes.release in (:before, :after)
        and uptime_seconds >= :start and uptime_seconds <= :end
    group by fleet_processes.release, fleet_processes.host, readings.process
    having max(uptime_seconds) - min(uptime_seconds) >= :span
    union all
    select types.type as what,
        case when fleet_processes.release = :before then 'before' else 'after' end as side,
        fleet_processes.host as host, types.process, avg(1.0 * types.size_bytes) as mean
    from types join fleet_processes on fleet_processes.process = types.process
    where types.service = :service and fleet_processes.release in (:before, :after)
        and uptime_seconds >= :start and uptime_seconds <= :end and types.type is not null
    group by fleet_processes.release, fleet_processes.host, types.process, types.type
    having max(uptime_seconds) - min(uptime_seconds) >= :span
) a_process
group by what, side, host
"""
_SUMS = """
select what, sum(case when side = 'before' then 1 else 0 end) as before_hosts,
    sum(case when side = 'after' then 1 else 0 end) as after_hosts,
    sum(case when side = 'after' then mean_rank else 0.0 end) as after_ranks,
    sum(equal * equal - 1.0) as ties,
    median(case when side = 'before' then value end) as before_bytes,
    median(case when side = 'after' then value end) as after_bytes
from (
    select what, side, value, equal, place + (equal - 1) / 2.0 as mean_rank
    from (
        select what, side, value, rank() over (partition by what order by value) as place,
            count(*) over (partition by what, value) as equal
        from fleet_values
    ) ranked
) summed
group by what
order by what
"""
_HOSTS = "select side, count(distinct host) from fleet_values where what = '{rss}' group by side"


def _answer(engine: Engine, facts: FleetFacts, options: Options) -> Answer:
    pair = _releases(facts, options)
    if isinstance(pair, str):
        return _empty(pair)
    before, after = pair
    counts: dict[str, int] = {}
    for window in _WINDOWS:
        engine.keep(
            "fleet_values",
            _VALUES.format(rss=_RSS),
            service=facts.service,
            before=before.name,
            after=after.name,
            start=window.start,
            end=window.end,
            span=window.span,
        )
        counts = dict(engine.rows(_HOSTS.format(rss=_RSS)))
        if min(counts.get("before", 0), counts.get("after", 0)) >= _MIN_HOSTS:
            return _compared(engine, before, after, window, counts, options)
    seen = f"{counts.get('before', 0)} and {counts.get('after', 0)}"
    return _empty(
        f"Not known whether {after.title} differs from {before.title}: {seen} hosts ran for three"
        f" hours, {_MIN_HOSTS} of each are needed."
    )


def _compared(
    engine: Engine,
    before: Release,
    after: Release,
    window: _Window,
    counts: dict[str, int],
    options: Options,
) -> Answer:
    found = [row for row in engine.rows(_SUMS) if min(row[1], row[2]) >= _MIN_HOSTS]
    p_values = holm([
        rank_test(RankSums(int(n), int(m), float(ranks), float(ties)))
        for _, n, m, ranks, ties, _, _ in found
    ])  # fmt: skip
    rows = []
    for (what, _, _, _, _, old, new), p_value in zip(found, p_values, strict=True):
        change = float(new) - float(old)
        share = change / float(old) if old else None
        matters = abs(change) >= _MIN_BYTES and (share is None or abs(share) >= _MIN_SHARE)
        is_real = p_value < _ALPHA and matters
        rows.append((str(what), share, change, float(old), float(new), p_value,
                     "yes" if is_real else "no"))  # fmt: skip
    rows.sort(key=lambda row: (row[6] != "yes", row[0] != _RSS, -abs(row[2]), row[0]))
    is_day = window is _DAY
    return Answer(
        DEPLOY.name,
        DEPLOY.title,
        _sentence(before, after, rows, is_day=is_day),
        _COLUMNS,
        tuple(rows[: options.limit]),
        len(rows),
        _notes(window, counts, len(rows), is_day=is_day),
    )


_Row = tuple[str, float | None, float, float, float, float, str]


def _sentence(before: Release, after: Release, rows: list[_Row], *, is_day: bool) -> str:
    pair = f"From {before.title} to {after.title}"
    real = [row for row in rows if row[6] == "yes"]
    if not real:
        return f"{pair} nothing changed by more than noise, of {len(rows)} that were compared."
    may = "" if is_day else " may have"
    what, share, change, *_ = real[0]
    percent = "" if share is None else f" ({share:+.0%})"
    text = f"{pair}, {what}{may} changed by {format_change(change)} a process{percent}"
    others = len(real) - 1
    return f"{text}{f', and {others} more' if others else ''}."


def _notes(
    window: _Window, counts: dict[str, int], compared: int, *, is_day: bool
) -> tuple[str, ...]:
    notes = [
        f"The medians over {format_count(counts['before'])} and {format_count(counts['after'])} hosts,"
        f" in {window.title}. Real: p is below {_ALPHA:g} after the correction for"
        f" {format_count(compared)} comparisons, and the change is {_MIN_SHARE:.0%} and"
        f" {format_bytes(_MIN_BYTES)} or more."
    ]
    if not is_day:
        notes.append(
            "No full day of both releases is there, so the load at the time of day may be the cause."
        )
    return tuple(notes)


def _releases(facts: FleetFacts, options: Options) -> tuple[Release, Release] | str:
    """Return the releases to compare, or why there are none."""
    known = ", ".join(one.title for one in facts.releases) or "none"
    for name in filter(None, (options.before, options.after)):
        if facts.release_named(name) is None:
            return f"There is no release {name!r}; there are: {known}."
    after = facts.release_named(options.after) if options.after else None
    observed = [one for one in facts.releases if one.long_hosts >= _MIN_HOSTS]
    if after is None:
        if not observed:
            return "Not known: no release was observed for six hours on eight hosts."
        after = observed[-1]
    before = facts.release_named(options.before) if options.before else None
    if before is None:
        earlier = [
            one for one in observed if one.first_start < after.first_start and one is not after
        ]
        if not earlier:
            return f"There is no release before {after.title} to compare it with."
        before = earlier[-1]
    if before is after:
        return f"{after.title} cannot be compared with itself."
    return before, after


def _empty(sentence: str) -> Answer:
    return Answer(DEPLOY.name, DEPLOY.title, sentence, _COLUMNS, (), 0)


DEPLOY = Question("deploy", "Before and after a release", _answer)
