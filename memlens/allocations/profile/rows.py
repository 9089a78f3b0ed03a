"""AllocationRow: what was allocated at one place, with standard errors; and how rows are summed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from math import sqrt
from typing import Any, NamedTuple, TypeVar

from memlens._frame import CallPath, Frame, path_order, traced_as_ours
from memlens._text import format_bytes, format_count
from memlens.errors import OptionError

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
WIDENING = 4.0  # samples added to a variance
FEW_SAMPLES = 5  # below, an estimate is little more than a hint

_Key = TypeVar("_Key", bound=Hashable)


@traced_as_ours
class AllocationRow(NamedTuple):
    """What was allocated at one place: estimates of bytes and blocks, each with a standard error.

    ``live_...`` is what is still allocated, ``allocated_...`` all since the start (None where the
    source cannot know it). ``live_samples`` and ``allocated_samples`` tell how many samples the
    estimates rest on. Ages are of live blocks, in seconds, None where unknown. ``thread`` and
    ``domain`` (``"mem"``: raw buffers such as the items of lists, ``"object"``: objects) are None
    where the row sums several.

    Standard errors are the root of the estimated variance, widened for few samples: four times the
    largest variance of a single sample is added, as Agresti and Coull (1998) add four trials.
    Without it an estimate that came out too low by chance would also claim to be precise.
    ``widening`` holds these largest variances, by the order of `MEASURES`, so that sums can be
    widened once.
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
        """False where the live estimate rests on fewer than `FEW_SAMPLES` samples."""
        return self.live_samples >= FEW_SAMPLES or self.live_bytes_stderr == 0

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON-ready values, without what only sums of rows need."""
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


def check_measure(by: str) -> str:
    """Return ``by``. Raises OptionError where it is none of `MEASURES`."""
    if by not in MEASURES:
        raise OptionError(f"unknown measure by={by!r}: use one of {', '.join(MEASURES)}")
    return by


def measure_of(row: AllocationRow, by: str) -> float:
    """Return one of the four numbers of a row; 0 where the source cannot know it."""
    value: float | None = getattr(row, by)
    return value or 0.0


def ordered(rows: Iterable[AllocationRow], by: str) -> list[AllocationRow]:
    """Return rows from the largest to the smallest, equal ones by call path."""
    return sorted(rows, key=lambda row: (-measure_of(row, by), path_order(row.call_path)))


def merged_by(
    rows: Iterable[AllocationRow],
    key: Callable[[AllocationRow], _Key],
    path: Callable[[_Key], CallPath],
) -> list[AllocationRow]:
    """Return one row for each key, the sum of its rows, with the call path of the key."""
    groups: dict[_Key, list[AllocationRow]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return [merged(group, path(found)) for found, group in groups.items()]


def merged(rows: list[AllocationRow], call_path: CallPath) -> AllocationRow:
    """Return the sum of rows; samples are independent, so that variances add."""
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
    """Return a frame that stands for the module of ``frame``: its name, guessed from the file.

    The name is what follows ``site-packages`` or the standard library's folder; of other files it
    is the file's own name without its suffix.
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
    """Weighted by samples: what an age was measured on."""
    aged = [row for row in rows if row.mean_age_seconds is not None and row.live_samples]
    samples = sum(row.live_samples for row in aged)
    if not samples:
        return None
    return sum((row.mean_age_seconds or 0.0) * row.live_samples for row in aged) / samples


def standard_error(variance: float, largest: float) -> float:
    """Return the standard error of a sum; ``largest``: the largest variance of one sample."""
    return sqrt(max(0.0, variance) + WIDENING * largest)


def _merged_error(rows: list[AllocationRow], measure: str) -> float | None:
    """Variances of independent samples add; the widening of each row comes off, and on once."""
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
