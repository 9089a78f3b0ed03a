"""Allocation profiles for ``pprof`` and compatible tools: gzipped ``profile.proto``.

Format: https://github.com/google/pprof/blob/main/proto/profile.proto. Each sample has
four values with the names that Go uses: ``alloc_objects``, ``alloc_space``, ``inuse_objects`` and
``inuse_space``. Labels are ``thread`` and ``domain``. Without the allocated measures (tracemalloc)
there are two values.
"""

from __future__ import annotations

import gzip

from memlens._frame import Frame
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.allocations.profile.rows import AllocationRow, measure_of
from memlens.formats.protobuf import as_bytes, as_number, as_packed, as_text

__all__ = ("pprof_bytes",)

_ALLOCATED = (
    ("alloc_objects", "count", "allocated_count"),
    ("alloc_space", "bytes", "allocated_bytes"),
)
_LIVE = (("inuse_objects", "count", "live_count"), ("inuse_space", "bytes", "live_bytes"))


def pprof_bytes(profile: AllocationProfile) -> bytes:
    """Return the profile as a gzipped ``profile.proto``. Equal profiles give equal bytes."""
    return gzip.compress(_Writer(profile).message(), mtime=0)


class _Writer:
    """Numbers strings, functions and locations, then encodes the message."""

    def __init__(self, profile: AllocationProfile) -> None:
        self._profile = profile
        known = profile.total.allocated_bytes is not None
        self._types = (*_ALLOCATED, *_LIVE) if known else _LIVE
        self._strings: dict[str, int] = {"": 0}
        self._functions: dict[tuple[str, str], int] = {}
        self._locations: dict[Frame, int] = {}

    def message(self) -> bytes:
        samples = b"".join(as_bytes(2, self._sample(row)) for row in self._profile.rows)
        value_types = b"".join(
            as_bytes(1, self._value_type(name, unit)) for name, unit, _ in self._types
        )
        locations = b"".join(
            as_bytes(4, self._location(frame, number)) for frame, number in self._locations.items()
        )
        functions = b"".join(
            as_bytes(5, self._function(names, number)) for names, number in self._functions.items()
        )
        facts = self._profile.facts
        rest = (
            as_number(9, int(facts.started_at * 1e9))
            + as_number(10, int(facts.duration_seconds * 1e9))
            + as_bytes(11, self._value_type("space", "bytes"))
            + as_number(12, facts.interval_bytes)
            + as_number(14, self._string("inuse_space"))
        )
        strings = b"".join(as_text(6, text) for text in self._strings)
        return value_types + samples + locations + functions + strings + rest

    def _string(self, text: str) -> int:
        return self._strings.setdefault(text, len(self._strings))

    def _value_type(self, name: str, unit: str) -> bytes:
        return as_number(1, self._string(name)) + as_number(2, self._string(unit))

    def _sample(self, row: AllocationRow) -> bytes:
        numbers = [
            self._locations.setdefault(frame, len(self._locations) + 1)
            for frame in reversed(row.call_path)
        ]
        values = [round(measure_of(row, measure)) for _, _, measure in self._types]
        labels = [("thread", row.thread), ("domain", row.domain)]
        return (
            as_packed(1, numbers)
            + as_packed(2, values)
            + b"".join(
                as_bytes(3, self._value_type(key, name)) for key, name in labels if name is not None
            )
        )

    def _location(self, frame: Frame, number: int) -> bytes:
        names = (frame.function or frame.location, frame.file)
        function = self._functions.setdefault(names, len(self._functions) + 1)
        return as_number(1, number) + as_bytes(4, as_number(1, function) + as_number(2, frame.line))

    def _function(self, names: tuple[str, str], number: int) -> bytes:
        name, file = self._string(names[0]), self._string(names[1])
        return as_number(1, number) + as_number(2, name) + as_number(3, name) + as_number(4, file)
