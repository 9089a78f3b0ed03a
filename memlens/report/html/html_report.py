"""HtmlReport: values in, one self-contained HTML file out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib.resources.abc import Traversable
from typing import Any

from memlens._atomic import checked_path, write_whole
from memlens._options import check_boolean, shown
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.errors import OptionError
from memlens.heap.graph.matching import check_same_process
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.baselines import Baseline
from memlens.leaks.leak_report import LeakReport, reported_leaks
from memlens.report.html.document import Inputs, document_of, document_text, verdict_of_inputs
from memlens.report.html.page import Page, installed_page

__all__ = ("MAX_REPORT_BYTES", "HtmlReport", "write_value")

MAX_REPORT_BYTES = 5_000_000


class HtmlReport:
    """A report over snapshots, a leak report, an allocation profile, readings: whatever is given.

    ``snapshots``: of one process, in any order. With two or more and without ``leaks`` they are
    searched for leaks. ``source``: read a few lines of source around the site of each suspect, where
    the file is readable. ``baseline``: the known suspects, or the file of them. The others are fields
    of `Inputs`.

    Raises ``OptionError`` for a value of another type, ``ComparisonError`` for snapshots of several
    processes.
    """

    def __init__(
        self,
        *,
        snapshots: Iterable[HeapSnapshot] = (),
        leaks: LeakReport | None = None,
        allocations: AllocationProfile | None = None,
        earlier_profiles: Iterable[AllocationProfile] = (),
        source: bool = False,
        baseline: Baseline | str | os.PathLike[str] | None = None,
        **others: Any,
    ) -> None:
        check_boolean("source", source)
        ordered = _in_order(snapshots)
        _check("leaks", leaks, LeakReport)
        _check("allocations", allocations, AllocationProfile)
        known = Baseline.of(baseline)
        if leaks is None and len(ordered) > 1:
            leaks = reported_leaks(ordered)
        if leaks is not None and known is not None:
            leaks = leaks.against(known)
        earlier = list(earlier_profiles)
        for profile in earlier:
            _check("earlier_profiles", profile, AllocationProfile)
        self.inputs = Inputs(
            snapshots=ordered,
            leaks=leaks,
            allocations=allocations,
            earlier_profiles=earlier,
            reads_source=source,
        )
        if others:
            self.inputs = replace(self.inputs, **others)

    def __repr__(self) -> str:
        suspects = 0 if self.inputs.leaks is None else len(self.inputs.leaks)
        return f"<HtmlReport: {len(self.inputs.snapshots)} snapshots, {suspects} suspects>"

    @property
    def verdict(self) -> str:
        """The sentence that says whether memory leaks, what holds it, how long until the limit."""
        return str(verdict_of_inputs(self.inputs)["sentence"])

    def document(self) -> dict[str, Any]:
        """Return the data of the report as JSON-ready values: for tests and other front ends."""
        return document_of(self.inputs)

    def html(self, page: Traversable | None = None) -> bytes:
        """Return the report as one HTML file. ``page``: the folder of the front end."""
        bundled = Page.load(installed_page() if page is None else page)
        text = document_text(self.inputs, MAX_REPORT_BYTES - len(bundled.html("")))
        return bundled.html(text)

    def write(self, path: str | os.PathLike[str], page: Traversable | None = None) -> int:
        """Write the report to a file and return its size in bytes.

        Raises ``OutputError`` if the file cannot be written, or the front end is not installed.
        """
        return write_whole(checked_path(path), self.html(page))


def write_value(path: str | os.PathLike[str], **values: Any) -> int:
    """Write the report of some values, named as for `HtmlReport`; return the size in bytes."""
    name = checked_path(path)  # before the analysis, which takes time
    return HtmlReport(**values).write(name)


def _in_order(snapshots: Iterable[HeapSnapshot]) -> Sequence[HeapSnapshot]:
    ordered = list(snapshots)
    for snapshot in ordered:
        _check("snapshots", snapshot, HeapSnapshot)
        if snapshot is None:
            raise OptionError("snapshots must be HeapSnapshots; got None")
    if len(ordered) > 1:
        check_same_process(*(snapshot.graph for snapshot in ordered))
    return sorted(ordered, key=lambda snapshot: snapshot.timestamp)


def _check(name: str, value: object, kind: type) -> None:
    if value is not None and not isinstance(value, kind):
        raise OptionError(f"{name} must be a {kind.__name__}; got {shown(value)}")
