"""Judge the answers about a simulated fleet: is what was planted found, and nothing else?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.simulated_fleet.plan import HOUR
from benchmarks.simulated_fleet.truth import PlantedLeak, Truth

__all__ = ("Check", "judge", "reported_leaks")

Document = dict[str, Any]
_SHARE_ERROR = 0.25  # of the true share: pods whose files are missing, releases that still roll out
_GROWTH_ERROR = 0.3
_SINCE_ERROR = 12 * HOUR  # clocks that are hours off


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
    answers = {answer["question"]: answer for answer in document["answers"]}
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
    return [*checks, *_skipped(truth, document)]


def reported_leaks(answer: Document) -> set[str]:
    """Return the fingerprints that are reported as new leaks."""
    return {row["fingerprint"] for row in answer["rows"]}


def _column(answer: Document, unit: str, *parts: str) -> str:
    """Return the first column with a unit whose name has one of some parts."""
    for column in answer["columns"]:
        if column["unit"] == unit and (not parts or any(part in column["name"] for part in parts)):
            return str(column["name"])
    raise KeyError(f"{answer['question']} has no column of {unit} named like {parts}")


def _new_leaks(truth: Truth, answer: Document) -> Iterator[Check]:
    found = reported_leaks(answer)
    expected = {truth.leak.fingerprint} if truth.leak else set()
    false = found - expected
    yield Check("no false leak", not false, ", ".join(sorted(false)) or "none is reported")
    if truth.leak is None:
        return
    rows = [row for row in answer["rows"] if row["fingerprint"] == truth.leak.fingerprint]
    yield Check(
        "the leak is found", len(rows) == 1, f"{len(rows)} rows of {truth.leak.fingerprint}"
    )
    if rows:
        yield from _leak_row(truth.leak, answer, rows[0])


def _leak_row(leak: PlantedLeak, answer: Document, row: Document) -> Iterator[Check]:
    release = row[_column(answer, "text", "release")]
    yield Check("its release", release == leak.release, f"{release}, it is {leak.release}")
    holder = row["holder"]
    yield Check("its holder", holder == leak.holder, holder)
    pods = row[_column(answer, "count", "pods", "hosts")]
    seen = len(leak.visible_hosts)
    yield Check("its pods", abs(pods - seen) <= 0.1 * seen, f"{pods}, tables have it of {seen}")
    share = row[_column(answer, "share")]
    is_near = abs(share - leak.share) <= _SHARE_ERROR * leak.share
    yield Check("its share of pods", is_near, f"{share:.2%}, it is {leak.share:.2%}")
    growth, true = row[_column(answer, "bytes per hour")], leak.growth_bytes_per_hour
    is_near = abs(growth - true) <= _GROWTH_ERROR * true
    mib = 1 << 20
    yield Check("its growth", is_near, f"{growth / mib:.1f} MiB/h, it is {true / mib:.1f} MiB/h")
    late = (row[_column(answer, "time")] - leak.since) / HOUR
    yield Check("since when", abs(late) * HOUR <= _SINCE_ERROR, f"{late:+.1f} h from the truth")


def _limits(truth: Truth, answer: Document) -> Iterator[Check]:
    true = [host for host, share in truth.near_limit if share > 0.8][:10]
    found = [str(row.get("host") or row.get("pod")) for row in answer["rows"]][: len(true) + 5]
    missed = [host for host in true if host not in found]
    yield Check(
        "pods near their limits",
        len(missed) <= len(true) // 5,
        f"{len(true) - len(missed)} of {len(true)} are in the first {len(found)} rows",
    )


def _paths(truth: Truth, answer: Document) -> Iterator[Check]:
    errors = [row[column["name"]] for row in answer["rows"] for column in answer["columns"]
              if "stderr" in column["name"]]  # fmt: skip
    is_right = bool(errors) and all(error is None or error > 0 for error in errors)
    yield Check("estimates have errors", is_right, f"{len(errors)} standard errors")


def _growth(truth: Truth, answer: Document) -> Iterator[Check]:
    if truth.leak is None:
        return
    found = [row["type"] for row in answer["rows"]]
    is_there = "app.basket.Quote" in found
    place = found.index("app.basket.Quote") + 1 if is_there else None
    yield Check("the type that leaks grows", is_there, f"row {place} of {len(found)}")


def _skipped(truth: Truth, document: Document) -> Iterator[Check]:
    skipped = {str(Path(one["path"])) for one in document.get("skipped", ())}
    expected = {
        str(Path(truth.folder, one.path))
        for one in truth.damage
        if one.is_named and f"service={truth.service}" in one.path
    }
    missed = expected - skipped
    text = f"{len(expected) - len(missed)} of {len(expected)} damaged files are named"
    yield Check("damaged files", not missed, text)
