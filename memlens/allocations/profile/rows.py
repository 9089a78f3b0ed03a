"""AllocationRow: allocations of one call path with standard errors, and sums of rows."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from math import sqrt
from typing import Any, NamedTuple, TypeVar

from memlens._display import displayed
from memlens._frame import CallPath, Frame, path_order, traced_as_ours
from memlens._options import check_choice
from memlens._text import format_bytes, format_count

__all__ = (
    "FEW_SAMPLES",
    "MEASURES",
    "AllocationRow",
    "check_measure",
    "measure_of",
    "merged",
    "merged_by",
    "module_frame",
    "ordered",
    "standard_error",
)

MEASURES = ("live_bytes", "allocated_bytes", "live_count", "allocated_count")
WIDENING = 4.0  # how many times the largest variance of a sample is added
FEW_SAMPLES = 5  # an estimate from fewer samples is not reliable

_Key = TypeVar("_Key", bound=Hashable)


@displayed
@traced_as_ours
class AllocationRow(NamedTuple):
    """Allocations of one call path: estimates of bytes and blocks, each with a standard error.

    ``live_...`` counts what is still allocated, ``allocated_...`` everything since the start (None
    if the source does not know it). ``live_samples`` and ``allocated_samples`` are the numbers of
    samples behind the estimates. Ages are those of live blocks, in seconds, None if not known.
    ``domain`` is ``"object"`` for objects and ``"mem"`` for raw buffers such as the items of lists.
    ``thread`` and ``domain`` are None if the row is a sum over several of them.

    A standard error is the square root of the estimated variance, widened for small samples: four
    times the largest variance of a single sample is added, as Agresti and Coull (1998) add four
    trials. Otherwise an estimate that is too low by chance would also appear precise. ``widening``
    stores these largest variances in the order of `MEASURES`, so that a sum is widened only once.
    """

    call_path: CallPath
    live_bytes: float = 0.0
    live_bytes_stderr: float = 0.0
    live_count: float = 0.0
    live_count_stderr: float = 0.0
    allocated_bytes: float | None = 0.0
    allocated_bytes_stderr: float | None = 0.0
    allocated_count: float | None = 0.0
    allocated_count_stderr: float | None = 0.0
    live_samples: int = 0
    allocated_samples: int | None = 0
    oldest_seconds: float | None = None
    mean_age_seconds: float | None = None
    thread: str | None = None
    domain: str | None = None
    widening: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    @property
    def is_reliable(self) -> bool:
        """Whether the live estimate is exact or has at least `FEW_SAMPLES` samples."""
        return self.live_samples >= FEW_SAMPLES or self.live_bytes_stderr == 0

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON-ready values, without ``widening``."""
        values = self._asdict()
        del values["widening"]
        values["call_path"] = [frame._asdict() for frame in self.call_path]
        return values

    def __str__(self) -> str:
        size = f"{format_bytes(self.live_bytes)} ± {format_bytes(self.live_bytes_stderr)}"
        text = f"{size} live in {format_count(round(self.live_count))} blocks"
        if self.allocated_bytes is not None:
            text += f", {format_bytes(self.allocated_bytes)} allocated"
        if not self.is_reliable:
            text += f" (few samples: {self.live_samples})"
        return f"{text} at {' -> '.join(map(str, self.call_path))}"

    def __repr__(self) -> str:
        where = self.call_path[-1].short() if self.call_path else "all call paths"
        return f"<AllocationRow: {format_bytes(self.live_bytes)} live at {where}>"


def check_measure(by: str) -> str:
    """Return ``by`` if it is one of `MEASURES`. Raises OptionError otherwise."""
    return check_choice("by", by, MEASURES)


def measure_of(row: AllocationRow, by: str) -> float:
    """Return one of the four measures of a row; 0 if the source does not know it."""
    value: float | None = getattr(row, by)
    return value or 0.0


def ordered(rows: Iterable[AllocationRow], by: str) -> list[AllocationRow]:
    """Return rows sorted from largest to smallest; ties are sorted by call path."""
    return sorted(rows, key=lambda row: (-measure_of(row, by), path_order(row.call_path)))


def merged_by(
    rows: Iterable[AllocationRow],
    key: Callable[[AllocationRow], _Key],
    path: Callable[[_Key], CallPath],
) -> list[AllocationRow]:
    """Return the sum of the rows of each key, with the call path that belongs to the key."""
    groups: dict[_Key, list[AllocationRow]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return [merged(group, path(found)) for found, group in groups.items()]


def merged(rows: list[AllocationRow], call_path: CallPath) -> AllocationRow:
    """Return the sum of rows. Samples are independent, so their variances add up."""
    live_samples = sum(row.live_samples for row in rows)
    widening = tuple(max((row.widening[i] for row in rows), default=0.0) for i in range(4))
    return AllocationRow(
        call_path=call_path,
        live_bytes=sum(row.live_bytes for row in rows),
        live_bytes_stderr=_merged_error(rows, "live_bytes") or 0.0,
        live_count=sum(row.live_count for row in rows),
        live_count_stderr=_merged_error(rows, "live_count") or 0.0,
        allocated_bytes=_known_sum([row.allocated_bytes for row in rows]),
        allocated_bytes_stderr=_merged_error(rows, "allocated_bytes"),
        allocated_count=_known_sum([row.allocated_count for row in rows]),
        allocated_count_stderr=_merged_error(rows, "allocated_count"),
        live_samples=live_samples,
        allocated_samples=_known_count([row.allocated_samples for row in rows]),
        oldest_seconds=max(
            (row.oldest_seconds for row in rows if row.oldest_seconds is not None), default=None
        ),
        mean_age_seconds=_mean_age(rows),
        thread=_common(row.thread for row in rows),
        domain=_common(row.domain for row in rows),
        widening=(widening[0], widening[1], widening[2], widening[3]),
    )


def module_frame(frame: Frame) -> Frame:
    """Return a frame for the module of ``frame``, with a module name derived from the file.

    The name is the path below ``site-packages`` or the standard library's folder. For other files
    it is the file name without its suffix.
    """
    parts = frame.file.replace("\\", "/").split("/")
    for i in range(len(parts) - 2, -1, -1):
        library = parts[i].startswith("python3") and i > 0 and parts[i - 1] in ("lib", "lib64")
        if parts[i] in ("site-packages", "dist-packages") or library:
            parts = parts[i + 1 :]
            break
    else:
        parts = parts[-1:]
    name = ".".join(parts).removesuffix(".py").removesuffix(".__init__")
    return Frame(name or frame.function or "<unknown>", frame.file, 0)


def _mean_age(rows: list[AllocationRow]) -> float | None:
    """Return the mean age, weighted by the number of samples of each row."""
    aged = [row for row in rows if row.mean_age_seconds is not None and row.live_samples]
    samples = sum(row.live_samples for row in aged)
    if not samples:
        return None
    return sum((row.mean_age_seconds or 0.0) * row.live_samples for row in aged) / samples


def standard_error(variance: float, largest: float) -> float:
    """Return the standard error of a sum. ``largest`` is the largest variance of one sample."""
    return sqrt(max(0.0, variance) + WIDENING * largest)


def _merged_error(rows: list[AllocationRow], measure: str) -> float | None:
    """Add up the variances without the widening of each row, then widen the sum once."""
    place = MEASURES.index(measure)
    variance, largest = 0.0, 0.0
    for row in rows:
        error: float | None = getattr(row, measure + "_stderr")
        if error is None:
            return None
        variance += error * error - WIDENING * row.widening[place]
        largest = max(largest, row.widening[place])
    return standard_error(variance, largest)


def _known_sum(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _known_count(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _common(names: Iterable[str | None]) -> str | None:
    found = set(names)
    return found.pop() if len(found) == 1 else None
