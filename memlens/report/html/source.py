"""A few lines of source around a place in the code, read only where the reader asked for it.

File names come from snapshots, which may be of another machine or made by somebody else. So only
regular files of Python source of a moderate size are read.
"""

from __future__ import annotations

import io
import os
import stat
import tokenize
from typing import Any

from memlens.report.html.limits import cut_text

__all__ = ("SourceReader",)

_SUFFIXES = (".py", ".pyw", ".pyi")
_MAX_BYTES = 4 << 20
_AROUND = 4  # lines before and after
_MAX_LINE = 200  # characters


class SourceReader:
    """Reads lines of source files; each file once. Without ``is_allowed`` there is no line."""

    def __init__(self, is_allowed: bool) -> None:
        self.is_allowed = is_allowed
        self._files: dict[str, list[str]] = {}

    def line(self, file: str, line: int) -> str | None:
        """Return a line of a file, from 1; None where it cannot be read."""
        lines = self._lines(file)
        return _shown(lines[line - 1]) if 0 < line <= len(lines) else None

    def text(self, file: str) -> str:
        """Return a whole file, ``""`` where it cannot be read."""
        return "\n".join(self._lines(file))

    def around(
        self, file: str, line: int, function: str | None, shows: str = "allocates"
    ) -> dict[str, Any] | None:
        """Return the lines around a line, for the document; None where they cannot be read.

        ``shows``: what the line does, "allocates", "keeps" or "uses" what a suspect holds.
        """
        lines = self._lines(file)
        if not 0 < line <= len(lines):
            return None
        first = max(1, line - _AROUND)
        shown = lines[first - 1 : line + _AROUND]
        return {
            "file": cut_text(file),
            "line": line,
            "first_line": first,
            "lines": [_shown(text) for text in shown],
            "function": cut_text(function or ""),
            "shows": shows,
        }

    def _lines(self, file: str) -> list[str]:
        if not self.is_allowed or not file.endswith(_SUFFIXES):
            return []
        if file not in self._files:
            self._files[file] = _read_lines(file)
        return self._files[file]


def _shown(line: str) -> str:
    return cut_text(line.rstrip().expandtabs(4), _MAX_LINE)


def _read_lines(file: str) -> list[str]:
    """Return the lines of a file; none where it is no readable source of this machine."""
    try:
        content = _read(file)
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        return content.decode(encoding).splitlines()
    except (OSError, SyntaxError, ValueError, LookupError):
        return []  # gone, another machine's, or no source: the report names the place all the same


def _read(file: str) -> bytes:
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)  # a FIFO would block
    with open(descriptor, "rb") as source:
        status = os.fstat(source.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_BYTES:
            return b""
        return source.read(_MAX_BYTES)
