"""Files that other tools open: one module a format, from a value to bytes or text."""

from __future__ import annotations

__all__: tuple[str, ...] = ()
