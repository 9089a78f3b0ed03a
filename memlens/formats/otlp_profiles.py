"""Allocation profiles for OpenTelemetry: the body of a request to ``/v1development/profiles``.

Follows opentelemetry-proto 1.10.0: ``collector/profiles/v1development/profiles_service.proto``.
The signal is still being developed, and other versions number some fields differently.

A profile there has one measure, so four are written: ``alloc_objects``, ``alloc_space``,
``inuse_objects`` and ``inuse_space``, the names that Go uses. Without the allocated measures
(tracemalloc) there are two. All of them share one dictionary of strings, functions, locations,
stacks, attributes and links, in which index 0 is the zero value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from memlens._frame import NATIVE_FRAME, CallPath, Frame
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.allocations.profile.rows import AllocationRow, measure_of
from memlens.errors import OptionError
from memlens.formats.protobuf import as_bytes, as_fixed64, as_number, as_packed, as_text

__all__ = ("SpanLink", "otlp_profiles_bytes")

_ALLOCATED = (
    ("alloc_objects", "count", "allocated_count"),
    ("alloc_space", "bytes", "allocated_bytes"),
)
_LIVE = (("inuse_objects", "count", "live_count"), ("inuse_space", "bytes", "live_bytes"))
_TRACE_ID_BYTES, _SPAN_ID_BYTES = 16, 8
_ZERO_OF_ANY_VALUE = b"\x18\x00"  # field 3, one of several that may be set: never omitted


class SpanLink(NamedTuple):
    """The span during which the samples of one thread were taken.

    ``trace_id`` has 16 bytes, ``span_id`` has 8. Rows of other threads than ``thread`` (its name)
    get no link, because they belong to other work.
    """

    trace_id: bytes
    span_id: bytes
    thread: str

    def checked(self) -> SpanLink:
        """Return the link. Raises OptionError for ids of another length, or of zeros only."""
        lengths = (len(self.trace_id), len(self.span_id))
        if lengths != (_TRACE_ID_BYTES, _SPAN_ID_BYTES):
            raise OptionError(
                f"a span has ids of 16 and 8 bytes; got {lengths[0]} and {lengths[1]}"
            )
        if not any(self.trace_id) or not any(self.span_id):
            raise OptionError("an id of zeros only belongs to no span")
        return self


def otlp_profiles_bytes(
    profile: AllocationProfile,
    *,
    resource: Mapping[str, str | int] | None = None,
    scope_version: str = "",
    link: SpanLink | None = None,
) -> bytes:
    """Return an ``ExportProfilesServiceRequest`` with the profiles of all measures.

    ``resource``: the attributes of the process, such as ``service.name``. ``link``: see `SpanLink`.
    Equal arguments give equal bytes. Raises OptionError for a link that is not one of a span.
    """
    if link is not None:
        link.checked()
    dictionary = _Dictionary()
    samples = [
        (dictionary.identity(row, link if link and row.thread == link.thread else None), row)
        for row in profile.rows
        if any(round(measure_of(row, measure)) for _, _, measure in (*_ALLOCATED, *_LIVE))
    ]
    known = profile.total.allocated_bytes is not None
    types = (*_ALLOCATED, *_LIVE) if known else _LIVE
    profiles = [_profile(profile, dictionary, samples, *one) for one in types]
    scope = as_text(1, "memlens") + (as_text(2, scope_version) if scope_version else b"")
    of_scope = as_bytes(1, scope) + b"".join(as_bytes(2, message) for message in profiles)
    attributes = b"".join(
        as_bytes(1, as_text(1, key) + as_bytes(2, _any_value(value)))
        for key, value in (resource or {}).items()
    )
    return as_bytes(1, as_bytes(1, attributes) + as_bytes(2, of_scope)) + as_bytes(
        2, dictionary.message()
    )


def _profile(
    profile: AllocationProfile,
    dictionary: _Dictionary,
    samples: Iterable[tuple[bytes, AllocationRow]],
    name: str,
    unit: str,
    measure: str,
) -> bytes:
    values: dict[bytes, float] = {}
    for identity, row in samples:  # threads that ended may have had the same name
        values[identity] = values.get(identity, 0.0) + measure_of(row, measure)
    facts = profile.facts
    period_type = dictionary.value_type("space", "bytes")
    return (
        as_bytes(1, dictionary.value_type(name, unit))
        + b"".join(
            as_bytes(2, identity + as_packed(4, [round(value)]))
            for identity, value in values.items()
            if round(value)
        )
        + as_fixed64(3, int(facts.started_at * 1e9))
        + as_number(4, int(facts.duration_seconds * 1e9))
        + as_bytes(5, period_type)
        + as_number(6, facts.interval_bytes)
    )


def _any_value(value: str | int) -> bytes:
    if isinstance(value, str):
        return as_text(1, value)
    return as_number(3, value) or _ZERO_OF_ANY_VALUE


class _Dictionary:
    """Numbers what profiles share, in the order of first use; number 0 is the zero value."""

    def __init__(self) -> None:
        self._strings: dict[str, int] = {"": 0}
        self._functions: dict[tuple[str, str], int] = {}
        self._locations: dict[tuple[int, int, int], int] = {}  # function, line, attribute
        self._stacks: dict[tuple[int, ...], int] = {(): 0}
        self._known_frames: dict[Frame, int] = {}  # their locations
        self._known_paths: dict[CallPath, int] = {}  # their stacks
        self._attributes: dict[tuple[str, str], int] = {}
        self._links: dict[SpanLink, int] = {}

    def identity(self, row: AllocationRow, link: SpanLink | None) -> bytes:
        """Encode what tells the sample of a row from others: stack, attributes and link."""
        named = (("thread.name", row.thread), ("memlens.domain", row.domain))
        attributes = [self._attribute(key, name) for key, name in named if name is not None]
        number = 0 if link is None else self._links.setdefault(link, len(self._links) + 1)
        return (
            as_number(1, self._stack(row.call_path))
            + (as_packed(2, attributes) if attributes else b"")
            + as_number(3, number)
        )

    def value_type(self, name: str, unit: str) -> bytes:
        """Encode the name and the unit of a measure."""
        return as_number(1, self._string(name)) + as_number(2, self._string(unit))

    def message(self) -> bytes:
        """Encode the dictionary; nothing may be numbered afterwards."""
        functions = [
            as_number(1, self._string(name)) + as_number(3, self._string(file))
            for name, file in self._functions
        ]
        attributes = [
            as_number(1, self._string(key)) + as_bytes(2, as_text(1, value))
            for key, value in self._attributes
        ]
        locations = [
            as_bytes(3, as_number(1, function) + as_number(2, line)) + as_packed(4, [attribute])
            for function, line, attribute in self._locations
        ]
        stacks = [as_packed(1, numbers) for numbers in self._stacks if numbers]
        links = [as_bytes(1, one.trace_id) + as_bytes(2, one.span_id) for one in self._links]
        return (
            _table(1, [])
            + _table(2, locations)
            + _table(3, functions)
            + _table(4, links)
            + b"".join(as_text(5, text) for text in self._strings)
            + _table(6, attributes)
            + _table(7, stacks)
        )

    def _string(self, text: str) -> int:
        return self._strings.setdefault(_valid(text), len(self._strings))

    def _attribute(self, key: str, value: str) -> int:
        return self._attributes.setdefault((key, _valid(value)), len(self._attributes) + 1)

    def _stack(self, path: CallPath) -> int:
        number = self._known_paths.get(path)
        if number is None:
            locations = tuple(self._location(frame) for frame in reversed(path))
            number = self._stacks.setdefault(locations, len(self._stacks))
            self._known_paths[path] = number
        return number

    def _location(self, frame: Frame) -> int:
        number = self._known_frames.get(frame)
        if number is None:
            names = (_valid(frame.function or frame.location or "<unknown>"), _valid(frame.file))
            function = self._functions.setdefault(names, len(self._functions) + 1)
            kind = "native" if frame == NATIVE_FRAME else "cpython"
            key = (function, frame.line, self._attribute("profile.frame.type", kind))
            number = self._locations.setdefault(key, len(self._locations) + 1)
            self._known_frames[frame] = number
        return number


def _table(field: int, messages: list[bytes]) -> bytes:
    """Encode a table of the dictionary, with the zero value first."""
    return b"".join(as_bytes(field, message) for message in (b"", *messages))


def _valid(text: str) -> str:
    """Return a text as it will be read: equal texts must have one number."""
    return text.encode("utf-8", "backslashreplace").decode()
