"""Allocation profiles for https://www.speedscope.app: its JSON file format, sampled profiles.

Format: https://www.speedscope.app/file-format-schema.json. The file has
one profile for each known measure (live and allocated, bytes and blocks); the viewer selects one.
"""

from __future__ import annotations

import json
from typing import Any

from memlens._frame import Frame
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.allocations.profile.rows import MEASURES, measure_of

__all__ = ("speedscope_dict", "speedscope_text")

SCHEMA = "https://www.speedscope.app/file-format-schema.json"


def speedscope_dict(
    profile: AllocationProfile, name: str = "memlens allocations"
) -> dict[str, Any]:
    """Return the profile as a dict in the format of speedscope."""
    numbers: dict[Frame, int] = {}
    rows = profile.by_call_path()
    paths = [[numbers.setdefault(f, len(numbers)) for f in row.call_path] for row in rows]
    known = profile.total.allocated_bytes is not None
    profiles = []
    for measure in MEASURES:
        if measure.startswith("allocated") and not known:
            continue
        weights = [measure_of(row, measure) for row in rows]
        shown = [i for i, weight in enumerate(weights) if weight > 0]
        profiles.append(
            {
                "type": "sampled",
                "name": measure.replace("_", " "),
                "unit": "bytes" if measure.endswith("bytes") else "none",
                "startValue": 0,
                "endValue": sum(weights[i] for i in shown),
                "samples": [paths[i] for i in shown],
                "weights": [weights[i] for i in shown],
            }
        )
    return {
        "$schema": SCHEMA,
        "exporter": "memlens",
        "name": name,
        "activeProfileIndex": 0,
        "shared": {"frames": [_frame(frame) for frame in numbers]},
        "profiles": profiles,
    }


def speedscope_text(profile: AllocationProfile, name: str = "memlens allocations") -> str:
    """Return the JSON text of `speedscope_dict`."""
    return json.dumps(speedscope_dict(profile, name), separators=(",", ":"))


def _frame(frame: Frame) -> dict[str, str | int]:
    described: dict[str, str | int] = {"name": frame.function or frame.location}
    if frame.file:
        described["file"] = frame.file
    if frame.line:
        described["line"] = frame.line
    return described
