"""AllocationTracker: counts allocations that the program reports explicitly."""

from __future__ import annotations

import functools
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from memlens._display import displayed
from memlens._frame import CallPath, Frame, printable
from memlens._options import check_integer, check_text
from memlens._rows import Rows
from memlens._text import format_bytes, format_count
from memlens.allocations.options import check_limit
from memlens.allocations.profile.profile_text import path_text

__all__ = ("AllocationTracker", "TrackedAllocations", "TrackerReport")

MAX_STACK_DEPTH = 64  # frames
METADATA_KEPT = 100  # newest items kept for each entry
OTHER = "<other>"  # the type under which entries beyond the limit are counted

_Constructor = TypeVar("_Constructor", bound=Callable[..., Any])


@displayed
@dataclass(frozen=True, slots=True, repr=False)
class TrackedAllocations:
    """The allocations of one type at one call path: count, bytes and the newest metadata."""

    type: str
    call_path: CallPath
    count: int
    total_bytes: int
    metadata: tuple[object, ...]

    @property
    def average_bytes(self) -> float:
        """The mean size of an allocation, in bytes."""
        return self.total_bytes / self.count

    def __str__(self) -> str:
        path = " -> ".join(map(str, self.call_path))
        return f"{self.count} x {printable(self.type)}, {format_bytes(self.total_bytes)} at {path}"

    def __repr__(self) -> str:
        size = format_bytes(self.total_bytes)
        return f"<TrackedAllocations: {self.count} x {printable(self.type)}, {size}>"


class TrackerReport(Rows[TrackedAllocations]):
    """The counts of an `AllocationTracker`: totals, and rows with the most bytes first.

    ``entry_count`` is the number of all entries, also of those that the limit left out of ``rows``;
    ``total_count`` and ``total_bytes`` are sums over all entries.
    """

    __slots__ = ("entry_count", "total_bytes", "total_count")

    headers = ("total", "count", "average", "type", "call path (innermost first)")
    aligned_right = (True, True, True, False, False)
    optional = ("average",)

    def __init__(
        self,
        rows: Iterable[TrackedAllocations],
        entry_count: int,
        total_count: int,
        total_bytes: int,
    ) -> None:
        super().__init__(rows)
        self.entry_count = entry_count
        self.total_count = total_count
        self.total_bytes = total_bytes

    @property
    def title(self) -> str:
        """The sums in one line."""
        return (
            f"{format_count(self.total_count)} allocations tracked,"
            f" {format_bytes(self.total_bytes)}, {format_count(self.entry_count)} entries"
        )

    def __repr__(self) -> str:
        size = format_bytes(self.total_bytes)
        return f"<TrackerReport: {format_count(self.total_count)} allocations, {size}>"

    def _cells(self, row: TrackedAllocations) -> tuple[str, ...]:
        return (
            format_bytes(row.total_bytes),
            format_count(row.count),
            format_bytes(row.average_bytes),
            printable(row.type),
            path_text(row.call_path),
        )

    def _totals(self) -> dict[str, Any]:
        return {
            "entry_count": self.entry_count,
            "total_count": self.total_count,
            "total_bytes": self.total_bytes,
        }

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
    """Counts the allocations passed to `track`, by type and call path. Thread-safe and bounded.

    ``stack_depth`` caller frames are kept with each entry (0 to 64). At most ``max_entries``
    entries are kept; further ones are counted under the type ``"<other>"``. Nothing is counted
    before `start`, and `track` is cheap then. `enable` and `disable` are other names of `start`
    and `stop`. Raises OptionError for an option out of range.

    >>> tracker = AllocationTracker()
    >>> tracker.start()
    >>> tracker.track("User", 120, {"id": 1})
    >>> tracker.report().total_count
    1
    """

    def __init__(self, *, stack_depth: int = 5, max_entries: int = 10_000) -> None:
        self.stack_depth = check_integer("stack_depth", stack_depth, 0, MAX_STACK_DEPTH)
        self.max_entries = check_integer("max_entries", max_entries, 1)
        self._is_running = False
        # Reentrant: a finaliser or signal handler may use the tracker while its thread holds the lock.
        self._lock = threading.RLock()
        self._entries: dict[tuple[str, CallPath], _Entry] = {}

    @property
    def is_running(self) -> bool:
        """Whether `track` counts."""
        return self._is_running

    def start(self) -> None:
        """Start counting. Does nothing if the tracker is running."""
        self._is_running = True

    def stop(self) -> None:
        """Stop counting and keep the counts. Does nothing if the tracker is not running."""
        self._is_running = False

    enable = start
    disable = stop

    def reset(self) -> None:
        """Drop all counts."""
        with self._lock:
            self._entries.clear()

    def track(self, type: str, size: int, metadata: object = None) -> None:  # noqa: A002 - public name
        """Count one allocation of ``size`` bytes. Does nothing if the tracker is not running.

        Raises OptionError if ``type`` is not a string or ``size`` is not a whole number.
        """
        if self._is_running:
            self._count(type, size, metadata, 2)

    def constructor(
        self,
        type: str,  # noqa: A002 - as in `track`
        size: int | Callable[[Any], int] = sys.getsizeof,
    ) -> Callable[[_Constructor], _Constructor]:
        """Return a decorator that tracks every object that a function or a class creates.

        ``size`` is a number of bytes or a function from the object to it. Decorating a class wraps
        its ``__init__``; the class itself stays the same object. Raises OptionError for a bad type
        or size.
        """
        check_text("type", type)
        if not callable(size):
            check_integer("size", size)

        def decorate(maker: _Constructor) -> _Constructor:
            if isinstance(maker, builtin_type):
                tracked = self._tracked(_init_of(maker), type, size, of_class=True)
                setattr(maker, "__init__", tracked)  # noqa: B010 - the class itself stays
                return maker
            return cast("_Constructor", self._tracked(maker, type, size, of_class=False))

        return decorate

    def report(self, limit: int | None = 20) -> TrackerReport:
        """Return totals and the ``limit`` entries with the most bytes (None: all)."""
        check_limit(limit)
        with self._lock:
            entries = [
                TrackedAllocations(kind, path, e.count, e.total_bytes, tuple(e.metadata))
                for (kind, path), e in tuple(self._entries.items())
            ]
        entries.sort(key=lambda entry: (-entry.total_bytes, -entry.count, entry.type))
        return TrackerReport(
            entries[:limit],
            entry_count=len(entries),
            total_count=sum(entry.count for entry in entries),
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
            if self._is_running:
                found = arguments[0] if of_class else made
                self._count(kind, size(found) if callable(size) else size, None, 2)
            return made

        return tracked

    def _count(self, kind: str, size: int, metadata: object, frames_up: int) -> None:
        check_text("type", kind)
        size = check_integer("size", size)
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
    """Return the ``__init__`` of a class, to be wrapped by one that the class defines itself.

    Once a class defines ``__init__``, that of ``object`` refuses arguments, even those that are
    meant for ``__new__``. For a class with only ``__new__`` an empty function is returned.
    """
    init: Callable[..., object] = made.__init__
    if init is object.__init__ and made.__new__ is not object.__new__:
        return lambda *arguments, **options: None
    return init


def _caller_path(frames_up: int, depth: int) -> CallPath:
    """Return the innermost ``depth`` frames, starting ``frames_up`` above this one."""
    path: list[Frame] = []
    frame = sys._getframe(frames_up) if depth else None
    while frame is not None and len(path) < depth:
        code = frame.f_code
        name: str = getattr(code, "co_qualname", code.co_name)
        path.append(Frame(name, code.co_filename, frame.f_lineno))
        frame = frame.f_back
    return tuple(reversed(path))
