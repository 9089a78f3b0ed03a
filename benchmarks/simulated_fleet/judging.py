"""Judge the answers about a simulated fleet: is what was planted found, and nothing else?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.simulated_fleet.names import LEAK
from benchmarks.simulated_fleet.plan import HOUR
from benchmarks.simulated_fleet.truth import PlantedLeak, Truth

__all__ = ("Check", "answers_of", "false_leaks", "judge", "judge_change")

Document = dict[str, Any]
_SHARE_ERROR = 0.25  # of the true share: pods whose files are missing, releases that still roll out
_GROWTH_ERROR = 0.4  # the load of the day swings by as much
_ENOUGH_HOSTS = 2000  # of all releases: fewer cannot tell a change of a few percent
_SINCE_ERROR = 12 * HOUR  # clocks that are hours off
_NEAR = 0.8  # of the limit


@dataclass(frozen=True, slots=True)
class Check:
    """One statement about the answers, and whether it is right."""

    name: str
    is_right: bool
    text: str

    def __str__(self) -> str:
        return f"{'right' if self.is_right else 'WRONG'}  {self.name}: {self.text}"


def judge(truth: Truth, document: Document) -> list[Check]:
    """Return what is right and wrong in ``memlens fleet --json``, for the service that leaks.

    Questions that were not asked are not judged.
    """
    answers = answers_of(truth, document)
    judges: dict[str, Callable[[Truth, Document], Iterator[Check]]] = {
        "new-leaks": _new_leaks,
        "limits": _limits,
        "paths": _paths,
        "growth": _growth,
    }
    checks = [
        check
        for question, one in judges.items()
        if question in answers
        for check in one(truth, answers[question])
    ]
    return [*checks, _skipped(truth, document)]


def answers_of(truth: Truth, document: Document) -> dict[str, Document]:
    """Return the answers about the service that leaks, by question."""
    return {
        answer["question"]: answer
        for service in document["services"]
        if service["service"] == truth.service
        for answer in service["answers"]
    }


def false_leaks(truth: Truth, answer: Document) -> set[str]:
    """Return the fingerprints that are reported and are no leak, or are called new and are old."""
    found = {row["fingerprint"]: row["status"] for row in answer["rows"]}
    new = {truth.leak.fingerprint} if truth.leak else set()
    known = {truth.known.fingerprint} if truth.known else set()
    called_new = {name for name, status in found.items() if not status.startswith("old")}
    return (set(found) - new - known) | (called_new - new)


def judge_change(truth: Truth, after: str, document: Document) -> Check:
    """Judge the answer to ``deploy --after RELEASE``: the changes that the release brings."""
    rows = answers_of(truth, document)["deploy"]["rows"]
    real = {row["what"] for row in rows if row["is_real"] == "yes"}
    real = {"rss" if what == "resident memory" else what for what in real}
    expected = set(truth.changes.get(after, ()))
    missed, false = sorted(expected - real), sorted(real - expected)
    text = f"{len(expected) - len(missed)} of {len(expected)} found"
    text += f", missed {', '.join(missed)}" if missed else ""
    text += f", false {', '.join(false)}" if false else ""
    is_right = not false and (not missed or truth.hosts < _ENOUGH_HOSTS)
    return Check(f"changes by release {after}", is_right, text)


def _new_leaks(truth: Truth, answer: Document) -> Iterator[Check]:
    false = false_leaks(truth, answer)
    yield Check("no false leak", not false, ", ".join(sorted(false)) or "none is reported")
    if truth.leak is None:
        return
    rows = [row for row in answer["rows"] if row["fingerprint"] == truth.leak.fingerprint]
    yield Check("the leak is found", len(rows) == 1, truth.leak.fingerprint)
    if rows:
        yield from _leak_row(truth, truth.leak, rows[0])


def _leak_row(truth: Truth, leak: PlantedLeak, row: Document) -> Iterator[Check]:
    status, release, holder = row["status"], row["first_release"], row["holder"]
    is_gone = leak.releases[-1] != truth.releases[-1]
    statuses = ("new, gone", "new") if is_gone else ("new",)
    yield Check("it is called new", status in statuses, status)
    yield Check("its release", release == leak.release, f"{release}, it is {leak.release}")
    yield Check("its holder", holder == leak.holder, holder)
    seen, found = len(leak.visible_hosts), row["hosts"]
    text = f"{found}, the tables have it of {seen}, it is in {len(leak.hosts)}"
    yield Check("its pods", abs(found - seen) <= max(1, 0.1 * seen), text)
    share = row["share"]
    is_near = abs(share - leak.share) <= _SHARE_ERROR * leak.share
    yield Check("its share of pods", is_near, f"{share:.2%}, it is {leak.share:.2%}")
    growth, true = row["growth_bytes_per_hour"] / (1 << 20), leak.growth_bytes_per_hour / (1 << 20)
    is_near = abs(growth - true) <= _GROWTH_ERROR * true
    yield Check("its growth", is_near, f"{growth:.1f} MiB/h, it is {true:.1f} MiB/h")
    late = (row["since"] - leak.since) / HOUR
    yield Check("since when", abs(late) * HOUR <= _SINCE_ERROR, f"{late:+.1f} h from the truth")


def _limits(truth: Truth, answer: Document) -> Iterator[Check]:
    true = [host for host, share in truth.near_limit if share > _NEAR][:10]
    found = [row["host"] for row in answer["rows"]][: len(true) + 5]
    hit = sum(host in found for host in true)
    text = f"{hit} of {len(true)} are in the first {len(found)} rows"
    yield Check("pods near their limits", hit >= 0.8 * len(true), text)


def _paths(truth: Truth, answer: Document) -> Iterator[Check]:
    errors = [(row["live_bytes_stderr"], row["live_bytes"], row["hosts"]) for row in answer["rows"]]
    # The errors of independent estimates: that of the sum is a smaller share than that of each.
    is_right = all(0 < error < 0.2 * live / hosts**0.3 for error, live, hosts in errors)
    yield Check("errors of call paths", bool(errors) and is_right, f"{len(errors)} paths")


def _growth(truth: Truth, answer: Document) -> Iterator[Check]:
    if truth.leak is None:
        return
    found = [row["type"] for row in answer["rows"]]
    is_there = LEAK.growing_types[0] in found
    place = found.index(LEAK.growing_types[0]) + 1 if is_there else None
    yield Check("the type that leaks grows", is_there, f"row {place} of {len(found)}")


def _skipped(truth: Truth, document: Document) -> Check:
    skipped = {str(Path(one["path"])) for one in document["skipped"]}
    expected = {
        str(Path(truth.folder, one.path))
        for one in truth.damage
        if one.is_named and f"service={truth.service}" in one.path
    }
    missed = expected - skipped
    text = f"{len(expected) - len(missed)} of {len(expected)} are named"
    return Check("damaged files", not missed, text)
