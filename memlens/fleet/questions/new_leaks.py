"""Which leaks does the service have, and which release brought them?"""

from __future__ import annotations

from collections.abc import Sequence

from memlens._text import counted, format_bytes, format_count
from memlens.fleet.answers import Answer, AnswerColumn
from memlens.fleet.engine import Engine
from memlens.fleet.questions.confirmed_leaks import (
    ConfirmedLeak,
    confirmed_leaks,
    suspect_texts,
)
from memlens.fleet.questions.fleet_facts import FleetFacts
from memlens.fleet.questions.question import LONG_ENOUGH_SECONDS, Options, Question

__all__ = ("NEW_LEAKS",)

_COLUMNS = (
    AnswerColumn("fingerprint", "id", "text"),
    AnswerColumn("status", "status", "text"),
    AnswerColumn("first_release", "first release", "text"),
    AnswerColumn("releases", "releases", "text"),
    AnswerColumn("hosts", "hosts", "count"),
    AnswerColumn("observed_hosts", "of hosts", "count"),
    AnswerColumn("share", "share", "share"),
    AnswerColumn("growth_bytes_per_hour", "growth", "bytes per hour"),
    AnswerColumn("since", "since", "time"),
    AnswerColumn("holder", "holder", "text"),
    AnswerColumn("held_by", "held by", "text"),
    AnswerColumn("pattern", "pattern", "text"),
    AnswerColumn("site", "allocated at", "text"),
    AnswerColumn("suggestion", "what to do", "text"),
)
_ORDER = {"new": 0, "first seen": 1, "old": 2}


def _answer(engine: Engine, facts: FleetFacts, options: Options) -> Answer:
    leaks, few = confirmed_leaks(engine, facts)
    leaks.sort(key=_rank)
    texts = suspect_texts(engine, facts.service) if leaks else {}
    rows = []
    for leak in leaks:
        holder, held_by, pattern, suggestion, site = texts[leak.fingerprint]
        observed = sum(one.long_hosts for one in leak.releases)
        rows.append((
            leak.fingerprint, leak.status, leak.releases[0].title,
            ", ".join(one.title for one in leak.releases), len(leak.hosts), observed, leak.share,
            leak.growth_per_hour, leak.since(facts.odd_hosts), holder, held_by, pattern, site,
            suggestion,
        ))  # fmt: skip
    return Answer(
        NEW_LEAKS.name,
        NEW_LEAKS.title,
        _sentence(facts, leaks, [str(row[9]) for row in rows]),
        _COLUMNS,
        tuple(rows[: options.limit]),
        len(rows),
        (*_notes(facts, few), *facts.clock_notes()),
    )


def _rank(leak: ConfirmedLeak) -> tuple[int, bool, int, float, str]:
    words = leak.status.split(", ")
    return (
        _ORDER[words[0]],
        "gone" in words,
        -len(leak.hosts),
        -leak.growth_per_hour,
        leak.fingerprint,
    )


def _sentence(facts: FleetFacts, leaks: Sequence[ConfirmedLeak], holders: Sequence[str]) -> str:
    if not leaks:
        observed = sum(one.long_hosts for one in facts.releases)
        if not observed:
            return "Not known: no process was observed for six hours."
        releases = counted(len(facts.releases), "release")
        return f"No leak that is confirmed in {counted(observed, 'host')} of {releases}."
    leak, holder = leaks[0], holders[0]
    release, share = leak.releases[0].title, _percent(leak.share)
    rate = f"+{format_bytes(leak.growth_per_hour)} an hour"
    where = f"in {counted(len(leak.hosts), 'host')}"
    where += f", {share} of those of its releases" if share else ""
    words = leak.status.split(", ")
    if words[0] == "new":
        text = f"{holder} leaks since release {release}: {rate} {where}"
    elif words[0] == "first seen":
        text = f"{holder} leaks, first seen in release {release}: {rate} {where}"
    else:
        text = f"{holder} leaks {_where_old(facts, leak)}: {rate} {where}"
    if "gone" in words:
        text += f"; no more after {leak.releases[-1].title}"
    others = len(leaks) - 1
    if others:
        text += f"; {counted(others, 'more leak')}"
    return f"{text}."


def _where_old(facts: FleetFacts, leak: ConfirmedLeak) -> str:
    """Say in which releases a leak is that the oldest one has."""
    if len(facts.releases) == 1:
        return f"in {leak.releases[0].title}, the only release"
    return (
        f"in {len(leak.releases)} of {counted(len(facts.releases), 'release')}, also in the oldest,"
        f" {leak.releases[0].title}"
    )


def _notes(facts: FleetFacts, few: int) -> tuple[str, ...]:
    short = sum(one.hosts - one.long_hosts for one in facts.releases)
    notes = []
    if short:
        hours = LONG_ENOUGH_SECONDS / 3600
        notes.append(
            f"{counted(short, 'host')} ran for less than {hours:.0f} hours, too short to tell."
        )
    if few:
        one = few == 1
        notes.append(
            f"{format_count(few)} more suspect{' was' if one else 's were'} confirmed in one host only"
            f" of many, and {'is' if one else 'are'} left out; see the table suspects."
        )
    return tuple(notes)


def _percent(share: float | None) -> str:
    if share is None:
        return ""
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.1f} %"


NEW_LEAKS = Question("new-leaks", "Leaks by release", _answer)
