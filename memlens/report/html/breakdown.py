"""The breakdown of resident memory as a tree of parts."""

from __future__ import annotations

from typing import Any

from memlens.process.held_memory import HeldMemory
from memlens.process.memory_breakdown import MemoryBreakdown, MemoryPart
from memlens.report.html.limits import cut_text

__all__ = ("breakdown_of", "unknown_parts")


def breakdown_of(value: MemoryBreakdown) -> dict[str, Any] | None:
    """Return the parts of resident memory that are known; None where it is not known itself."""
    if value.rss.size_bytes is None:
        return None
    parts = []
    for part in value.parts:
        if part.size_bytes is None:
            continue
        shown = _part(part.name, part.size_bytes, part.source)
        if part is value.malloc_in_use and value.held is not None:
            shown["parts"] = _held(value.held)
        parts.append(shown)
    return {"rss_bytes": value.rss.size_bytes, "parts": parts}


def unknown_parts(value: MemoryBreakdown) -> list[str]:
    """Return a sentence for each part whose size is not known."""
    unknown: list[MemoryPart] = [
        part for part in (value.rss, *value.parts) if part.size_bytes is None
    ]
    return [f"Breakdown: {part.name} is not known: {part.source}." for part in unknown]


def _held(held: HeldMemory) -> list[dict[str, Any]]:
    parts = [
        _part("Python objects over 512 B", held.large_object_bytes, "Objects that malloc holds."),
        *(
            _part(library, size, "Native memory that Python objects hold.")
            for library, size in held.libraries
        ),
    ]
    if held.unattributed_bytes is not None:
        text = "Memory that no object is known to hold."
        parts.append(_part("unattributed", held.unattributed_bytes, text))
    return parts


def _part(label: str, size_bytes: int, text: str) -> dict[str, Any]:
    return {"label": cut_text(label), "bytes": size_bytes, "help": cut_text(text)}
