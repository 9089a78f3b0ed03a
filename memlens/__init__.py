"""memlens: what grows in a Python process, who holds it, since when, and what to do about it."""

from __future__ import annotations

__version__ = "0.1.0"
