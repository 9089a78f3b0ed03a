"""LeakReport: what leaked between snapshots, as a value that prints, saves and travels."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, overload

from memlens._display import displayed
from memlens._presentation import write_html
from memlens._text import fitted, format_bytes, format_change, format_duration, labelled
from memlens.heap.comparison import TypeChange
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.baselines import Baseline, KnownSuspect
from memlens.leaks.growing_types import growing_types
from memlens.leaks.native_growth import NativeGrowth, incomplete_notes, native_growth, native_text
from memlens.leaks.pytest_records import PytestRecords
from memlens.leaks.slow_collector import slow_collector_note
from memlens.leaks.stated_bounds import BoundedHolder
from memlens.leaks.suspects import LeakSuspect, explain_growth, in_order
from memlens.leaks.unexplained import UnexplainedGrowth, undecided_growth, unexplained_growth
from memlens.process.detector.alert import LeakAlert
from memlens.process.identity import IDENTITY_FACT, ProcessIdentity

__all__ = ("LeakReport", "find_leaks", "reported_leaks")

_STARTUP_GROWTH_BYTES = 64 * 1024  # of two snapshots: imports and caches that fill grow by less
_FEW_INTERVALS = 2  # of growth without a holder: that may still be a start
_FAR_SHARE = 0.01  # of a bound, held by what still grows
_SHOWN = 5
_TYPES_SHOWN = 3
_TWO_SNAPSHOTS = (
    "Two snapshots cannot distinguish a leak from one-time growth: run longer, or take more."
)

_UNDECIDED = (
    "Not known: objects grew by {} in all, in each interval since the start. Such growth needs three"
    " intervals to distinguish a leak from a program that loads its data: run longer."
)


@displayed
@dataclass(frozen=True, slots=True, repr=False)
class LeakReport(Sequence[LeakSuspect]):
    """The suspects between the first and the last of some snapshots, and the change around them.

    ``suspects``: best first. ``growing_types``: the types that grew, most bytes first; of three
    snapshots or more, those that grew more than once and kept what they gained. ``bounded``: what
    grew too, but states a bound. Sizes are in bytes, ``seconds`` is the time from the first
    snapshot to the last. ``alert``: what a detector said of the trend, where that is why the report
    was made. ``min_growth_bytes``: what grew by less was left out. ``unexplained``: memory that grew
    while no object did, where no suspect is found. ``undecided_bytes``: by how much objects grew in
    each of one or two intervals without a suspect, which is too short to tell a leak from a start; else
    0. ``pytest_records``: what pytest keeps of each test
    until the end, None outside a run of tests. ``not_analysed``: why the snapshots were not analysed,
    where that is so; then there are no suspects. ``gone``: what the baseline knows and was not found.
    ``native_growth``: which native memory with known holders grew, by library and device, where some
    memory is recorded, else None; ``native_incomplete``: what adapters of libraries could not see of
    it. ``collector_note``: what the garbage collector of this release of
    Python does to the memory of a program, None where that is nothing unusual. ``identity``: which
    process of a service it is, None where the snapshots do not tell. ``timestamp``: when the last
    snapshot was taken, in seconds since the epoch; None where none was analysed.
    """

    pid: int
    snapshot_count: int
    seconds: float
    heap_growth_bytes: int
    suspects: tuple[LeakSuspect, ...]
    growing_types: tuple[TypeChange, ...]
    alert: LeakAlert | None = None
    bounded: tuple[BoundedHolder, ...] = ()
    min_growth_bytes: int = 0
    pytest_records: PytestRecords | None = None
    unexplained: UnexplainedGrowth | None = None
    not_analysed: str = ""
    gone: tuple[KnownSuspect, ...] = ()
    collector_note: str | None = None
    native_growth: tuple[NativeGrowth, ...] | None = None
    native_incomplete: tuple[str, ...] = ()
    undecided_bytes: int = 0
    identity: ProcessIdentity | None = None
    timestamp: float | None = None

    @property
    def verdict(self) -> str:
        """``leak``, ``unexplained growth``, ``no leak``, or ``unknown``.

        Unknown is what too few snapshots show, or none that was analysed.
        """
        if self.suspects:
            return "leak"
        if self.unexplained or self.alert:
            return "unexplained growth"
        is_known = self.snapshot_count > 2 and not self.not_analysed and not self.undecided_bytes
        return "no leak" if is_known else "unknown"

    @property
    def confidence(self) -> str:
        """How far the verdict can be trusted: ``high``, ``medium`` or ``low``.

        Two snapshots cannot distinguish a leak from one-time growth. A leak is certain when the
        suspects explain most of the growth over three intervals or more. That there is none is not
        certain while a holder grows and is far from the bound that it states.
        """
        few = self.unexplained is not None and self.unexplained.intervals == _FEW_INTERVALS
        if self.snapshot_count < 3 or few or self.verdict == "unknown":
            return "low"
        if self.verdict == "leak":
            explained = sum(suspect.retained_growth_bytes for suspect in self.suspects)
            is_certain = explained * 2 >= self.heap_growth_bytes
        else:
            is_far = any(one.length < _FAR_SHARE * one.bound for one in self.bounded)
            is_certain = (self.verdict == "no leak" and not is_far) or self.alert is not None
        return "high" if is_certain and self.snapshot_count > 3 else "medium"

    def __iter__(self) -> Iterator[LeakSuspect]:
        return iter(self.suspects)

    def __len__(self) -> int:
        return len(self.suspects)

    @overload
    def __getitem__(self, index: int) -> LeakSuspect: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[LeakSuspect, ...]: ...

    def __getitem__(self, index: int | slice) -> LeakSuspect | tuple[LeakSuspect, ...]:
        return self.suspects[index]

    def __repr__(self) -> str:
        return f"<LeakReport: {len(self)} suspects over {self.snapshot_count} snapshots>"

    def __str__(self) -> str:
        if self.not_analysed:
            head = f"{self._process()}: {self.snapshot_count} snapshots were not analysed:"
            head += f" {self.not_analysed}"
            return fitted(f"{self.alert}\n\n{head}" if self.alert else head)
        head = (
            f"{self._process()}: {self.snapshot_count} snapshots over"
            f" {format_duration(self.seconds)}, the heap changed by"
            f" {format_change(self.heap_growth_bytes)}"
        )
        if self.snapshot_count < 2:
            head = f"{self._process()}: no holder can be named from fewer than two snapshots"
            return fitted(f"{self.alert}\n\n{head}" if self.alert else head)
        if self.alert is not None:
            head = f"{self.alert}\n\n{head}"
        if self.snapshot_count == 2:
            head += f"\n{_TWO_SNAPSHOTS}"
        if self.alert is not None and (
            native := native_text(self.native_growth, self.native_incomplete)
        ):
            head += f"\n{labelled('', native, label_width=0, indent='')}"
        if self.collector_note is not None:
            head += f"\n{labelled('', self.collector_note, label_width=0, indent='')}"
        if not self.suspects:
            return "\n".join(
                [f"{fitted(head)}\n{self._verdict()}", *self._bounded_text(), *self._gone_text()]
            )
        count = len(self.suspects)
        head += f"\nLeak, confidence {self.confidence}."
        head += f"\n{count} suspect{'s' if count > 1 else ''}, the largest first:"
        blocks = [
            suspect.text(f"{rank}. ")
            for rank, suspect in enumerate(self.suspects[:_SHOWN], start=1)
        ]
        if count > _SHOWN:
            blocks.append(f"... and {count - _SHOWN} more")
        blocks += self._bounded_text() + self._gone_text()
        return "\n\n".join([fitted(head), *blocks])

    def _process(self) -> str:
        """Return which process this is; its kind is said of the workers of a program."""
        if self.identity is None or self.identity.label == "main":
            return f"Process {self.pid}"
        return f"Process {self.pid} ({self.identity.label})"

    def _verdict(self) -> str:
        """Say that nothing is suspect; of two snapshots, say also what there is more of."""
        if self.unexplained is not None:
            text = f"Growth without a holder, confidence {self.confidence}. {self.unexplained}"
            if self.alert is None:  # the head says it
                text += f" {native_text(self.native_growth, self.native_incomplete)}".rstrip()
            return labelled("", text, label_width=0, indent="")
        if self.undecided_bytes and not self.alert and self.snapshot_count > 2:
            text = _UNDECIDED.format(format_change(self.undecided_bytes))
            return labelled("", text, label_width=0, indent="")
        leak = "No holder" if self.alert or self.snapshot_count == 2 else "No leak: no holder"
        bound = " without a bound" if self.bounded else ""
        size = f" by {format_bytes(self.min_growth_bytes)}" if self.min_growth_bytes else ""
        verdict = f"{leak}{bound} grew{size} in every interval."
        if self.snapshot_count > 2 or not self.growing_types:
            return verdict
        most = ", ".join(
            f"{change.type_name} ({change.count_delta:+,}, {format_change(change.shallow_delta_bytes)})"
            for change in self.growing_types[:_TYPES_SHOWN]
        )
        return f"{verdict}\n{labelled('More of:', most, label_width=11, indent='')}"

    def _bounded_text(self) -> list[str]:
        """Say what grew and is no leak: a reader who sees it grow wonders."""
        known = [*self.bounded[:_SHOWN], *([self.pytest_records] if self.pytest_records else [])]
        if not known:
            return []
        text = "; ".join(map(str, known))
        return [labelled("Not leaks:", text, label_width=11, indent="")]

    def _gone_text(self) -> list[str]:
        """Say which known suspects were not found."""
        if not self.gone:
            return []
        text = "; ".join(map(str, self.gone[:_SHOWN]))
        if len(self.gone) > _SHOWN:
            text += f"; and {len(self.gone) - _SHOWN} more"
        return [labelled("Gone:", text, label_width=11, indent="")]

    def against(self, baseline: Baseline) -> Self:
        """Return the report with each suspect marked as new or known, and what is gone."""
        suspects = tuple(
            replace(suspect, is_known=suspect.fingerprint in baseline) for suspect in self.suspects
        )
        gone = baseline.gone(suspect.fingerprint for suspect in suspects)
        return replace(self, suspects=suspects, gone=gone)

    def to_html(self, path: str | os.PathLike[str], *, source: bool = False) -> int:
        """Write the report as one HTML file; return its size in bytes.

        ``source``: show a few lines of source around the site of each suspect, where the file is
        readable. Raises ``OutputError`` if the file cannot be written.
        """
        return write_html(path, leaks=self, source=source)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        return {
            "pid": self.pid,
            "identity": self.identity.to_dict() if self.identity else None,
            "timestamp": self.timestamp,
            "snapshot_count": self.snapshot_count,
            "seconds": self.seconds,
            "heap_growth_bytes": self.heap_growth_bytes,
            "suspects": [suspect.to_dict() for suspect in self.suspects],
            "growing_types": [
                {
                    "type": change.type_name,
                    "count_delta": change.count_delta,
                    "shallow_delta_bytes": change.shallow_delta_bytes,
                }
                for change in self.growing_types
            ],
            "alert": self.alert.to_dict() if self.alert else None,
            "bounded": [one.to_dict() for one in self.bounded],
            "min_growth_bytes": self.min_growth_bytes,
            "not_analysed": self.not_analysed,
            "pytest_records": self.pytest_records.to_dict() if self.pytest_records else None,
            "unexplained": self.unexplained.to_dict() if self.unexplained else None,
            "undecided_bytes": self.undecided_bytes,
            "collector_note": self.collector_note,
            "native_growth": None
            if self.native_growth is None
            else [one.to_dict() for one in self.native_growth],
            "native_incomplete": list(self.native_incomplete),
            "verdict": self.verdict,
            "confidence": self.confidence,
            "gone": [one.to_dict() for one in self.gone],
        }


def find_leaks(
    snapshots: Iterable[HeapSnapshot],
    *,
    ignore: Iterable[str] = (),
    min_growth_bytes: int = 0,
    limit: int = 20,
    alert: LeakAlert | None = None,
    baseline: Baseline | str | os.PathLike[str] | None = None,
) -> LeakReport:
    """Look for what accumulates objects over snapshots of one process, the largest share first.

    ``snapshots``: two or more of one process, in any order; three or more distinguish a leak from
    one-time growth. A holder's history begins where the holder begins, which may be after the first
    snapshot. ``ignore``: regular expressions and fingerprints; a suspect whose holder matches one,
    or whose fingerprint is one, is left out.
    ``min_growth_bytes``: leave out what grew by less. ``limit``: the maximum number of suspects.
    ``alert``: the trend that is the reason for looking, kept in the report. ``baseline``: what is
    already known, or the file of it, so that the report says what is new, known and gone.

    The result prints as a report, and is a sequence of `LeakSuspect`.

    Raises ``ComparisonError`` for fewer than two snapshots or for snapshots of several processes,
    ``OptionError`` for a bad option.
    """
    known = Baseline.of(baseline)
    ordered = in_order(snapshots)
    # These first: they take memory that is free again then.
    grown_memory = native_growth(ordered[0].graph, ordered[-1].graph)
    comparison = ordered[0].compare(ordered[-1])
    suspects, bounded, records = explain_growth(ordered, ignore, min_growth_bytes, limit)
    report = LeakReport(
        pid=ordered[-1].pid,
        snapshot_count=len(ordered),
        seconds=comparison.seconds,
        heap_growth_bytes=sum(change.shallow_delta_bytes for change in comparison),
        suspects=tuple(suspects),
        growing_types=tuple(growing_types(comparison, [one.graph for one in ordered])[:20]),
        alert=alert,
        bounded=tuple(bounded),
        min_growth_bytes=min_growth_bytes,
        pytest_records=records,
        unexplained=None if suspects or records else unexplained_growth(ordered),
        undecided_bytes=0 if suspects or records or ignore else undecided_growth(ordered),
        collector_note=slow_collector_note(ordered[-1].facts.get("python")),
        native_growth=grown_memory,
        native_incomplete=incomplete_notes(ordered[0].graph, ordered[-1].graph),
        identity=ProcessIdentity.from_facts(ordered[-1].facts.get(IDENTITY_FACT)),
        timestamp=ordered[-1].timestamp,
    )
    return report if known is None else report.against(known)


def reported_leaks(
    snapshots: Sequence[HeapSnapshot],
    *,
    ignore: Sequence[str] = (),
    baseline: Baseline | str | os.PathLike[str] | None = None,
) -> LeakReport:
    """Return what a report on snapshots tells: `find_leaks`, without the growth of a mere start."""
    return find_leaks(
        snapshots,
        ignore=ignore,
        baseline=baseline,
        min_growth_bytes=_STARTUP_GROWTH_BYTES if len(snapshots) == 2 else 0,
    )
