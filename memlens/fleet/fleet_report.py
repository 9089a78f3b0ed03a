"""FleetReport: the processes of a fleet side by side, and their leaks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from memlens._display import displayed
from memlens._options import check_count, check_texts
from memlens._presentation import write_fleet_html
from memlens._table import columns
from memlens._text import counted, fitted, format_bytes, format_change, format_count, labelled
from memlens.errors import SnapshotFileError
from memlens.fleet.analysing import MIN_SNAPSHOTS, analysed, too_few, unknown
from memlens.fleet.answers import Answer, AnswerColumn
from memlens.fleet.files import (
    ProcessFiles,
    SkippedFile,
    SnapshotFacts,
    files_of,
    read_report,
    read_snapshots,
)
from memlens.fleet.groups import SuspectGroup, format_time, group_suspects
from memlens.fleet.processes import LEAK, UNKNOWN, FleetProcess
from memlens.profiler.analysis import Analysis
from memlens.progress import reached

__all__ = ("FleetReport", "read_fleet")

_ANALYSED = 32  # processes, those whose resident memory grew most
_MAX_SECONDS = 120.0  # of each analysis
_SHOWN_PROCESSES = 20
_SHOWN_GROUPS = 5
_SHOWN_FILES = 5
_LEAK_COLUMNS = (
    AnswerColumn("holder", "holder", "text"),
    AnswerColumn("hosts", "processes", "count"),
    AnswerColumn("share", "share", "share"),
    AnswerColumn("growth_bytes", "growth in all", "bytes"),
    AnswerColumn("since", "since", "time"),
    AnswerColumn("held_by", "held by", "text"),
    AnswerColumn("pattern", "pattern", "text"),
    AnswerColumn("suggestion", "what to do", "text"),
    AnswerColumn("origin", "origin", "text"),
    AnswerColumn("fingerprint", "id", "text"),
)
_PROCESS_COLUMNS = (
    AnswerColumn("host", "host", "text"),
    AnswerColumn("pid", "pid", "text"),
    AnswerColumn("label", "process", "text"),
    AnswerColumn("since", "since", "time"),
    AnswerColumn("rss_bytes", "RSS", "bytes"),
    AnswerColumn("growth_bytes", "growth", "bytes"),
    AnswerColumn("verdict", "verdict", "text"),
    AnswerColumn("confidence", "confidence", "text"),
)
_ORDER = {LEAK: 0, "unexplained growth": 1, UNKNOWN: 2}


@displayed
@dataclass(frozen=True, slots=True)
class FleetReport:
    """The newest report of each process, those that leak first, and the leaks of all of them.

    ``groups``: the suspects by fingerprint, the largest growth first. ``skipped``: files that are
    damaged or half written. ``str()`` is one line for a fleet without a leak.
    """

    processes: tuple[FleetProcess, ...]
    groups: tuple[SuspectGroup, ...]
    skipped: tuple[SkippedFile, ...] = ()

    def __repr__(self) -> str:
        return f"<FleetReport: {len(self.processes)} processes, {len(self.groups)} leaks>"

    def __str__(self) -> str:
        return self.text()

    def text(self, *, all_processes: bool = False) -> str:
        """Return the report as text. ``all_processes``: the table also where none leaks, and whole."""
        parts = [fitted(self._headline())]
        has_growth = any(process.verdict in list(_ORDER)[:2] for process in self.processes)
        if has_growth or all_processes:
            limit = len(self.processes) if all_processes else _SHOWN_PROCESSES
            parts.append(self._table(limit))
        parts += [
            group.text(f"{rank}. ")
            for rank, group in enumerate(self.groups[:_SHOWN_GROUPS], start=1)
        ]
        if len(self.groups) > _SHOWN_GROUPS:
            parts.append(f"... and {format_count(len(self.groups) - _SHOWN_GROUPS)} more")
        if self.skipped:
            parts.append(self._skipped_text())
        return "\n\n".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        return {
            "process_count": len(self.processes),
            "unknown_count": self._count(UNKNOWN),
            "leaking_count": self._count(LEAK),
            "groups": [group.to_dict() for group in self.groups],
            "processes": [process.to_dict() for process in self.processes],
            "skipped": [asdict(one) for one in self.skipped],
        }

    def to_html(self, path: str | os.PathLike[str]) -> int:
        """Write the report as one HTML file; return its size in bytes."""
        answers = (self._leaks_answer(), self._processes_answer())
        total = len(self.processes)
        service = {
            "service": "Fleet",
            "summary": counted(total, "process", "processes"),
            "answers": [answer.to_dict() for answer in answers],
        }
        skipped = [asdict(one) for one in self.skipped]
        return write_fleet_html(
            path, title=counted(total, "process", "processes"), services=[service], skipped=skipped
        )

    def _leaks_answer(self) -> Answer:
        rows = tuple(
            (
                one.suspect.holder, one.process_count, one.process_count / max(one.of_count, 1),
                one.growth_bytes, one.since, one.suspect.held_by, one.suspect.pattern,
                one.suspect.suggestion, one.suspect.origin, one.fingerprint,
            )
            for one in self.groups
        )  # fmt: skip
        sentence = self._headline().removeprefix("Fleet: ")
        sentence = sentence[:1].upper() + sentence[1:]
        return Answer("leaks", "All leaks", sentence, _LEAK_COLUMNS, rows, len(rows))

    def _processes_answer(self) -> Answer:
        rows = tuple(
            (
                one.hostname, str(one.pid), one.label, one.since or None, one.rss_bytes,
                one.growth_bytes, one.verdict, one.confidence if one.is_known else one.note,
            )
            for one in self.processes
        )  # fmt: skip
        sentence = "Those that leak come first."
        return Answer("processes", "Processes", sentence, _PROCESS_COLUMNS, rows, len(rows))

    def _count(self, verdict: str) -> int:
        return sum(process.verdict == verdict for process in self.processes)

    def _headline(self) -> str:
        total = len(self.processes)
        leaking, unknown_count = self._count(LEAK), self._count(UNKNOWN)
        unexplained = self._count("unexplained growth")
        fleet = counted(total, "process", "processes")
        if leaking:
            count = len(self.groups)
            text = f"{counted(count, 'leak')} in {leaking} of {fleet}"
        elif unexplained:
            text = f"growth without a holder in {unexplained} of {fleet}"
        elif unknown_count == total:
            text = f"nothing is known yet of {fleet}"
        else:
            text = f"no leak in {counted(total - unknown_count, 'process', 'processes')}"
        if unknown_count:
            notes = sorted({one.note for one in self.processes if not one.is_known and one.note})
            why = f" ({'; '.join(notes[:2])})" if notes else ""
            text += f"; not known of {format_count(unknown_count)}{why}"
        return f"Fleet: {text}."

    def _table(self, limit: int) -> str:
        has_hosts = len({process.hostname for process in self.processes} - {""}) > 1
        headers = ["pid", "process", "since", "RSS", "growth", "verdict (confidence)"]
        right = [True, False, False, True, True, False]
        rows = [_row(process) for process in self.processes[:limit]]
        if has_hosts:
            headers.insert(1, "host")
            right.insert(1, False)
            for row, process in zip(rows, self.processes, strict=False):
                row.insert(1, process.hostname)
        table = columns(headers, rows, right=right, optional=("since", "RSS"), min_last=20)
        hidden = len(self.processes) - limit
        return f"{table}\n... and {format_count(hidden)} more" if hidden > 0 else table

    def _skipped_text(self) -> str:
        shown = [
            f"{os.path.basename(one.path)} ({one.reason})" for one in self.skipped[:_SHOWN_FILES]
        ]
        if len(self.skipped) > _SHOWN_FILES:
            shown.append(f"and {format_count(len(self.skipped) - _SHOWN_FILES)} more")
        return labelled("Skipped:", "; ".join(shown), label_width=9, indent="")


def _row(process: FleetProcess) -> list[str]:
    verdict = process.verdict
    if process.is_known:
        verdict += f" ({process.confidence})"
    elif process.note:
        verdict += f": {process.note}"
    return [
        str(process.pid),
        process.label,
        format_time(process.since) if process.since else "",
        "" if process.rss_bytes is None else format_bytes(process.rss_bytes),
        "" if process.growth_bytes is None else format_change(process.growth_bytes),
        verdict,
    ]


def read_fleet(
    folders: Iterable[str | os.PathLike[str]],
    *,
    ignore: Iterable[str] = (),
    reports: bool = True,
    max_analysed: int = _ANALYSED,
) -> FleetReport:
    """Return the newest reports of all processes that have left files in some folders.

    Of a process without a leak report the snapshots are analysed, in a process of its own with
    bounded memory and time: of ``max_analysed`` at most, those whose resident memory grew most.
    ``reports=False``: analyse all, also those with a report. ``ignore``: as for `memlens.find_leaks`,
    also for suspects of reports.

    Raises ``OptionError`` for what is no folder or a bad option, ``SnapshotFileError`` where no
    folder has a file of a profiler.
    """
    check_count("max_analysed", max_analysed)
    patterns = check_texts("ignore", ignore)
    paths = [os.fspath(folder) for folder in folders]
    found, skipped = files_of(paths)
    if not found:
        raise SnapshotFileError(
            f"there are no snapshots or leak reports in {', '.join(map(repr, paths))}: give the"
            " output_dir of the profilers, and each folder if there are several"
        )
    processes: list[FleetProcess] = []
    waiting: list[tuple[ProcessFiles, list[SnapshotFacts]]] = []
    for files in found:
        facts = read_snapshots(files.snapshots, skipped, files.pid)
        wants_report = reports or not facts
        reported = _newest_report(files, facts, skipped, patterns) if wants_report else None
        if reported is not None:
            processes.append(reported)
        elif len(facts) < MIN_SNAPSHOTS:
            processes.append(unknown(files, facts, too_few(len(facts))))
        else:
            waiting.append((files, facts))
    processes += _analysed(waiting, skipped, patterns, max_analysed)
    processes.sort(key=_rank)
    return FleetReport(
        tuple(processes),
        tuple(group_suspects(processes)),
        tuple(sorted(set(skipped), key=lambda one: one.path)),
    )


def _rank(process: FleetProcess) -> tuple[int, int, int, str]:
    growth = -(process.growth_bytes or 0)
    return _ORDER.get(process.verdict, len(_ORDER)), growth, process.pid, process.folder


def _newest_report(
    files: ProcessFiles,
    facts: Sequence[SnapshotFacts],
    skipped: list[SkippedFile],
    ignore: Sequence[str],
) -> FleetProcess | None:
    """Return what the newest report says that can be read, completed by the facts of snapshots."""
    for file in reversed(files.reports):
        try:
            process = read_report(file, files.folder, ignore)
        except SnapshotFileError as error:
            if os.path.exists(file.path):  # else its profiler has deleted it
                skipped.append(SkippedFile(file.path, str(error)))
            continue
        newest = facts[-1] if facts else None
        if newest is None:
            return process
        return replace(
            process,
            identity=process.identity or newest.identity,
            rss_bytes=newest.rss_bytes if newest.rss_bytes is not None else process.rss_bytes,
        )
    return None


def _analysed(
    waiting: list[tuple[ProcessFiles, list[SnapshotFacts]]],
    skipped: list[SkippedFile],
    ignore: Sequence[str],
    max_analysed: int,
) -> list[FleetProcess]:
    waiting.sort(key=lambda one: (-_growth(one[1]), -len(one[1]), one[0].pid))
    analysis = Analysis(_MAX_SECONDS)
    done = []
    for number, (files, facts) in enumerate(waiting[:max_analysed]):
        reached(number / len(waiting))
        done.append(analysed(files, facts, analysis, skipped, ignore))
    plural = " is" if max_analysed == 1 else "es are"
    beyond = f"only {max_analysed} process{plural} analysed, see --max-analysed"
    return done + [unknown(files, facts, beyond) for files, facts in waiting[max_analysed:]]


def _growth(facts: Sequence[SnapshotFacts]) -> int:
    return (facts[-1].rss_bytes or 0) - (facts[0].rss_bytes or 0)
