"""AllocationTracker: counts what the program says it allocates, at the places where it says so."""

from __future__ import annotations

import functools
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from memlens._frame import CallPath, Frame
from memlens._rows import Rows
from memlens._text import format_bytes, format_count
from memlens.allocations.profile.profile_text import path_text
from memlens.errors import OptionError

__all__ = ("AllocationTracker", "TrackedAllocations", "TrackerReport")

METADATA_KEPT = 100  # of one entry, the latest
OTHER = "<other>"  # entries beyond the limit are counted together under this type

_Constructor = TypeVar("_Constructor", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class TrackedAllocations:
    """What was tracked of one type at one call path: number, sum of sizes, the latest metadata."""

    type: str
    call_path: CallPath
    count: int
    total_bytes: int
    metadata: tuple[object, ...]

    @property
    def average_bytes(self) -> float:
        """The mean size."""
        return self.total_bytes / self.count

    def __str__(self) -> str:
        path = " -> ".join(map(str, self.call_path))
        return f"{self.count} x {self.type}, {format_bytes(self.total_bytes)} at {path}"


class TrackerReport(Rows[TrackedAllocations]):
    """What a tracker has counted: sums over everything, and the entries with the most bytes."""

    __slots__ = ("count", "entries", "total_bytes")

    headers = ("total", "count", "average", "type", "call path (innermost first)")
    aligned_right = (True, True, True, False, False)

    def __init__(
        self, rows: Iterable[TrackedAllocations], entries: int, count: int, total_bytes: int
    ) -> None:
        super().__init__(rows)
        self.entries = entries
        self.count = count
        self.total_bytes = total_bytes

    @property
    def title(self) -> str:
        """The sums in one line."""
        return (
            f"{format_count(self.count)} allocations tracked, {format_bytes(self.total_bytes)},"
            f" {format_count(self.entries)} entries"
        )

    def _cells(self, row: TrackedAllocations) -> tuple[str, ...]:
        return (
            format_bytes(row.total_bytes),
            format_count(row.count),
            format_bytes(row.average_bytes),
            row.type,
            path_text(row.call_path),
        )

    def _totals(self) -> dict[str, Any]:
        return {"entries": self.entries, "count": self.count, "total_bytes": self.total_bytes}

    def _row_to_dict(self, row: TrackedAllocations) -> dict[str, Any]:
        return {  # metadata are objects of the program, which JSON may not hold
            "type": row.type,
            "call_path": [frame._asdict() for frame in row.call_path],
            "count": row.count,
            "total_bytes": row.total_bytes,
        }


class _Entry:
    __slots__ = ("count", "metadata", "total_bytes")

    def __init__(self) -> None:
        self.count = 0
        self.total_bytes = 0
        self.metadata: deque[object] = deque(maxlen=METADATA_KEPT)


class AllocationTracker:
    """Counts hand-placed allocations by type and call path. Thread-safe, bounded, cheap when off.

    ``stack_depth`` frames of the caller are kept with each entry (0 to 64); at most ``max_entries``
    entries, what is beyond goes to the type ``"<other>"``. It is off until `enable`.

    >>> tracker = AllocationTracker()
    >>> tracker.enable()
    >>> tracker.track("User", 120, {"id": 1})
    >>> tracker.report().count
    1
    """

    def __init__(self, *, stack_depth: int = 5, max_entries: int = 10_000) -> None:
        if not 0 <= stack_depth <= 64:
            raise OptionError(f"stack_depth={stack_depth!r}: 0 to 64 frames can be kept")
        if max_entries < 1:
            raise OptionError(f"max_entries={max_entries!r}: at least one entry is needed")
        self.stack_depth = stack_depth
        self.max_entries = max_entries
        self._enabled = False
        self._lock = threading.Lock()
        self._entries: dict[tuple[str, CallPath], _Entry] = {}

    @property
    def enabled(self) -> bool:
        """Tells whether `track` counts."""
        return self._enabled

    def enable(self) -> None:
        """Count from now on."""
        self._enabled = True

    def disable(self) -> None:
        """Stop counting; what was counted stays."""
        self._enabled = False

    def reset(self) -> None:
        """Forget what was counted."""
        with self._lock:
            self._entries.clear()

    def track(self, type: str, size: int, metadata: object = None) -> None:  # noqa: A002 - its name in the guide
        """Count one allocation of ``size`` bytes. Does nothing while the tracker is disabled."""
        if self._enabled:
            self._count(type, size, metadata, 2)

    def constructor(
        self,
        type: str,  # noqa: A002 - as in `track`
        size: int | Callable[[Any], int] = sys.getsizeof,
    ) -> Callable[[_Constructor], _Constructor]:
        """Return a decorator that tracks every object that a function or class makes.

        ``size`` is in bytes, or a function of the object. A class is decorated in its ``__init__``,
        and stays the same class.
        """

        def decorate(made_by: _Constructor) -> _Constructor:
            if isinstance(made_by, builtin_type):
                tracked = self._tracked(_init_of(made_by), type, size, of_class=True)
                setattr(made_by, "__init__", tracked)  # noqa: B010 - the class itself stays
                return made_by
            return cast("_Constructor", self._tracked(made_by, type, size, of_class=False))

        return decorate

    def report(self, top: int = 20) -> TrackerReport:
        """Return sums and the ``top`` entries with the most bytes."""
        with self._lock:
            entries = [
                TrackedAllocations(kind, path, e.count, e.total_bytes, tuple(e.metadata))
                for (kind, path), e in self._entries.items()
            ]
        entries.sort(key=lambda entry: (-entry.total_bytes, -entry.count, entry.type))
        return TrackerReport(
            entries[:top],
            entries=len(entries),
            count=sum(entry.count for entry in entries),
            total_bytes=sum(entry.total_bytes for entry in entries),
        )

    def _tracked(
        self,
        function: Callable[..., object],
        kind: str,
        size: int | Callable[[Any], int],
        *,
        of_class: bool,
    ) -> Callable[..., object]:
        @functools.wraps(function)
        def tracked(*arguments: object, **options: object) -> object:
            made = function(*arguments, **options)
            if self._enabled:
                found = arguments[0] if of_class else made
                self._count(kind, size(found) if callable(size) else size, None, 2)
            return made

        return tracked

    def _count(self, kind: str, size: int, metadata: object, frames_up: int) -> None:
        path = _caller_path(frames_up + 1, self.stack_depth)
        with self._lock:
            entry = self._entries.get((kind, path))
            if entry is None:
                if len(self._entries) >= self.max_entries:
                    kind, path = OTHER, ()
                entry = self._entries.setdefault((kind, path), _Entry())
            entry.count += 1
            entry.total_bytes += size
            if metadata is not None:
                entry.metadata.append(metadata)


builtin_type = type


def _init_of(made: Any) -> Callable[..., object]:
    """Return the class's ``__init__``, for a class that will have one of its own.

    ``object``'s refuses arguments then, also those that are meant for ``__new__``.
    """
    init: Callable[..., object] = made.__init__
    if init is object.__init__ and made.__new__ is not object.__new__:
        return lambda *arguments, **options: None
    return init


def _caller_path(frames_up: int, depth: int) -> CallPath:
    """Return the innermost ``depth`` frames above this one, outermost first."""
    path: list[Frame] = []
    frame = sys._getframe(frames_up) if depth else None
    while frame is not None and len(path) < depth:
        code = frame.f_code
        name: str = getattr(code, "co_qualname", code.co_name)
        path.append(Frame(name, code.co_filename, frame.f_lineno))
        frame = frame.f_back
    return tuple(reversed(path))
