"""Allocation profiles for https://profiler.firefox.com: its processed profile format.

Format: docs-developer/processed-profile-format.md and CHANGELOG-formats.md of the Firefox Profiler,
version 47. Each known measure (live and allocated, bytes and blocks) is a thread of its own, whose
samples are the call paths, weighted by the measure. The format has no unit for counts of blocks, so
the weights of such a thread are shown as samples. All samples have the same time: the profile is a
sum, not a sequence.
"""

from __future__ import annotations

import json
from typing import Any

from memlens._frame import Frame
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.allocations.profile.rows import MEASURES, AllocationRow, measure_of

__all__ = ("firefox_dict", "firefox_text")

_GECKO_VERSION = 27
_PROCESSED_VERSION = 47
_CATEGORY = 0


def firefox_dict(profile: AllocationProfile, name: str = "memlens allocations") -> dict[str, Any]:
    """Return the profile as a dict in the format of the Firefox Profiler."""
    rows = profile.by_call_path()
    known = profile.total.allocated_bytes is not None
    measures = [one for one in MEASURES if known or not one.startswith("allocated")]
    pid = str(profile.facts.pid)
    return {
        "meta": _meta(profile, name),
        "libs": [],
        "pages": [],
        "threads": [_thread(rows, measure, pid, number) for number, measure in enumerate(measures)],
    }


def firefox_text(profile: AllocationProfile, name: str = "memlens allocations") -> str:
    """Return the JSON text of `firefox_dict`."""
    return json.dumps(firefox_dict(profile, name), separators=(",", ":"))


def _meta(profile: AllocationProfile, name: str) -> dict[str, Any]:
    return {
        "version": _GECKO_VERSION,
        "preprocessedProfileVersion": _PROCESSED_VERSION,
        "product": name,
        "importedFrom": "memlens",
        "startTime": profile.facts.started_at * 1000,
        "interval": 1,
        "processType": 0,
        "stackwalk": 0,
        "debug": False,
        "symbolicated": True,
        "doesNotUseFrameImplementation": True,
        "sourceCodeIsNotOnSearchfox": True,
        "markerSchema": [],
        "categories": [{"name": "Python", "color": "blue", "subcategories": ["Other"]}],
    }


def _thread(rows: list[AllocationRow], measure: str, pid: str, number: int) -> dict[str, Any]:
    tables, stacks, weights = _Tables(), [], []
    for row in rows:
        weight = measure_of(row, measure)
        if weight > 0:
            stacks.append(tables.stack_of(row.call_path))
            weights.append(weight)
    is_bytes = measure.endswith("bytes")
    return {
        "name": measure.replace("_", " "),
        "isMainThread": number == 0,
        "processType": "default",
        "processStartupTime": 0,
        "processShutdownTime": None,
        "registerTime": 0,
        "unregisterTime": None,
        "pausedRanges": [],
        "pid": pid,
        "tid": number,
        "samples": {
            "stack": stacks,
            "time": [0] * len(stacks),
            "weight": weights,
            "weightType": "bytes" if is_bytes else "samples",
            "length": len(stacks),
        },
        "markers": _table("data", "name", "startTime", "endTime", "phase", "category"),
        "resourceTable": _table("lib", "name", "host", "type"),
        "nativeSymbols": _table("libIndex", "address", "name", "functionSize"),
        **tables.to_dict(),
    }


def _table(*columns: str) -> dict[str, Any]:
    return {**{column: [] for column in columns}, "length": 0}


class _Tables:
    """The strings, functions, frames and stacks of one thread, each once."""

    def __init__(self) -> None:
        self._strings: dict[str, int] = {}
        self._functions: dict[tuple[str, str], int] = {}
        self._frames: dict[Frame, int] = {}
        self._stacks: dict[tuple[int | None, int], int] = {}
        self._function_of: list[int] = []

    def stack_of(self, path: tuple[Frame, ...]) -> int | None:
        """Return the row of a call path, the outermost call first; None for an empty one."""
        prefix: int | None = None
        for frame in path:
            key = prefix, self._frame(frame)
            prefix = self._stacks.setdefault(key, len(self._stacks))
        return prefix

    def _frame(self, frame: Frame) -> int:
        if frame not in self._frames:
            self._frames[frame] = len(self._frames)
            key = frame.function or frame.location, frame.file
            self._function_of.append(self._functions.setdefault(key, len(self._functions)))
        return self._frames[frame]

    def _string(self, text: str) -> int:
        shown = text.encode("utf-8", "backslashreplace").decode()
        return self._strings.setdefault(shown, len(self._strings))

    def to_dict(self) -> dict[str, Any]:
        """Return the tables in the format of the file."""
        functions, frames, stacks = self._functions, self._frames, self._stacks
        count = len(frames)
        values = {
            "funcTable": {
                "name": [self._string(name) for name, _ in functions],
                "fileName": [self._string(file) if file else None for _, file in functions],
                "isJS": [False] * len(functions),
                "relevantForJS": [False] * len(functions),
                "resource": [-1] * len(functions),
                "lineNumber": [None] * len(functions),
                "columnNumber": [None] * len(functions),
                "length": len(functions),
            },
            "frameTable": {
                "address": [-1] * count,
                "inlineDepth": [0] * count,
                "category": [_CATEGORY] * count,
                "subcategory": [0] * count,
                "func": self._function_of,
                "nativeSymbol": [None] * count,
                "innerWindowID": [0] * count,
                "implementation": [None] * count,
                "line": [frame.line or None for frame in frames],
                "column": [None] * count,
                "length": count,
            },
            "stackTable": {
                "prefix": [prefix for prefix, _ in stacks],
                "frame": [frame for _, frame in stacks],
                "category": [_CATEGORY] * len(stacks),
                "subcategory": [0] * len(stacks),
                "length": len(stacks),
            },
        }
        return {**values, "stringArray": list(self._strings)}
