"""Leak reports as JSON without a loss, so that another process can make them.

`LeakReport.to_dict` is for readers; this is for memlens itself, on both ends of a pipe. A value of
ours becomes an object with its type's name and its fields, a tuple a list.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from memlens._frame import Frame
from memlens.heap.comparison import TypeChange
from memlens.heap.graph.allocation_sites import SiteShare
from memlens.heap.graph.paths import Hop, RetentionPath
from memlens.leaks.baselines import KnownSuspect
from memlens.leaks.leak_report import LeakReport
from memlens.leaks.native_growth import NativeGrowth
from memlens.leaks.origins import Origin
from memlens.leaks.pytest_records import PytestRecords
from memlens.leaks.stated_bounds import BoundedHolder
from memlens.leaks.suspects import LeakSuspect
from memlens.leaks.unexplained import UnexplainedGrowth
from memlens.process.detector.alert import DetectorReport, LeakAlert, Verdict
from memlens.process.identity import ProcessIdentity

__all__ = ("from_plain", "to_plain")

_TYPES: dict[str, type[Any]] = {
    one.__name__: one
    for one in (
        BoundedHolder,
        DetectorReport,
        Frame,
        Hop,
        KnownSuspect,
        LeakAlert,
        LeakReport,
        LeakSuspect,
        NativeGrowth,
        Origin,
        ProcessIdentity,
        PytestRecords,
        RetentionPath,
        SiteShare,
        TypeChange,
        UnexplainedGrowth,
        Verdict,
    )
}
_TYPE = "type of value"


def to_plain(value: Any) -> Any:
    """Return a report, or a part of one, as values that JSON has. Raises TypeError for others."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if _TYPES.get(type(value).__name__) is type(value):
        names = [field.name for field in fields(value)] if is_dataclass(value) else value._fields
        return {_TYPE: type(value).__name__} | {
            name: to_plain(getattr(value, name)) for name in names
        }
    if isinstance(value, tuple):
        return [to_plain(one) for one in value]
    raise TypeError(f"a {type(value).__name__} cannot be sent")


def from_plain(plain: Any) -> Any:
    """Return the value that `to_plain` was given. Raises TypeError or KeyError for anything else."""
    if isinstance(plain, list):
        return tuple(from_plain(one) for one in plain)
    if isinstance(plain, dict):
        values = {name: from_plain(value) for name, value in plain.items()}
        return _TYPES[values.pop(_TYPE)](**values)
    return plain
