"""File formats of other tools: one module for each, from an allocation profile to bytes or text."""

from __future__ import annotations

__all__: tuple[str, ...] = ()
