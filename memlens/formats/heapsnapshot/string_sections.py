"""Texts as a heap stores them: offsets into UTF-8."""

from __future__ import annotations

from array import array

__all__ = ("StringSections",)


class StringSections:
    """Texts as the sections of a heap store them."""

    def __init__(self) -> None:
        self.offset = array("Q", [0])
        self.data = bytearray()

    def add(self, text: bytes) -> None:
        """Append a text in UTF-8."""
        self.data += text
        self.offset.append(len(self.data))
