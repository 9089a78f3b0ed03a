"""Decode the strings that a file stores, whatever their bytes and offsets are."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ("stored_text",)

MAX_BYTES = 10_000  # of one string; names are much shorter, and many rows may show the same one


def stored_text(data: Sequence[int] | memoryview, start: int, end: int) -> str:
    """Return the string between two offsets, without what exceeds `MAX_BYTES`."""
    raw = bytes(data[start : min(end, start + MAX_BYTES)])
    try:
        return raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:  # cut within a character, or not written by memlens
        return raw.decode("utf-8", "replace")
