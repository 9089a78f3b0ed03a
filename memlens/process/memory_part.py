"""MemoryPart: one use of resident memory, with where its number comes from."""

from __future__ import annotations

from dataclasses import dataclass

from memlens._display import displayed
from memlens._text import format_bytes

__all__ = ("MemoryPart",)


@displayed
@dataclass(frozen=True, slots=True)
class MemoryPart:
    """One part of the resident memory; ``size_bytes`` is None if it is unknown.

    ``source`` says where the number comes from, or why it is unknown.
    """

    name: str
    size_bytes: int | None
    source: str

    def __str__(self) -> str:
        size = "unknown" if self.size_bytes is None else format_bytes(self.size_bytes)
        return f"{self.name}: {size}"

    def __repr__(self) -> str:
        return f"<MemoryPart {self}>"
