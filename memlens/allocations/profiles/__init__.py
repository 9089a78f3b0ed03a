"""The parts of an allocation profile: rows and their sums, call tree, comparison, text, file."""

from __future__ import annotations

__all__: tuple[str, ...] = ()
