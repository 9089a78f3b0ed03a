"""Data structures that keep memory bounded; usable alone, on nothing but the standard library.

They raise the built-in errors that people expect of a mapping, a queue or a sequence.
"""

from __future__ import annotations

from memlens.structures.series import MultiSeries, NumericTimeSeries

__all__ = ("MultiSeries", "NumericTimeSeries")
