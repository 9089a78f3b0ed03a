"""Read a large JSON object member by member, without ever having the whole text in memory."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import IO, Any

from memlens.errors import SnapshotFileError

__all__ = ("JsonStream",)

_CHUNK_BYTES = 1 << 20
_MAX_NUMBER_BYTES = 1 << 16
_MAX_VALUE_BYTES = 1 << 24  # of a value that is read whole
_MAX_TEXT_BYTES = 1 << 30  # of one string; those of V8 have at most 2 ** 29 characters
_STRUCTURE = re.compile(rb'["\[\]{}]')
# Possessive: else each escape of a text would take memory until its end is found.
_STRING = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"\s*+(\S)', re.DOTALL)
_STRING_END = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_SCALAR_END = re.compile(rb"[,}\]\s]")
_SPACE = b" \t\r\n"
_INTEGERS = b"0123456789," + _SPACE


class JsonStream:
    """The members of the JSON object in a file. Each is read with the method that fits its value.

    ``path`` is for messages. All methods raise ``SnapshotFileError`` for text that is not what they
    expect, or that ends.
    """

    def __init__(self, file: IO[bytes], path: str) -> None:
        self._file = file
        self._path = path
        self._text = b""
        self._at = 0

    def error(self, what: str) -> SnapshotFileError:
        """Return an error about this file."""
        return SnapshotFileError(f"{self._path}: {what}")

    def members(self) -> Iterator[str]:
        """Yield the names of the members; the value of each is to be read before the next."""
        self._expect(b"{")
        if self._peek() == b"}":
            return
        while True:
            name = self.value()
            if type(name) is not str:
                raise self.error("a name of its JSON object is not a string")
            self._expect(b":")
            yield name
            if self._peek() != b",":
                break
            self._at += 1
        self._expect(b"}")

    def value(self) -> Any:
        """Return a value of moderate size."""
        pieces, total = [], 0
        for piece in self._pieces():
            pieces.append(piece)
            total += len(piece)
            if total > _MAX_VALUE_BYTES:
                raise self.error("a value of its JSON object is too long")
        try:
            return json.loads(b"".join(pieces))
        except (ValueError, RecursionError) as error:
            raise self.error(f"it is not valid JSON: {error}") from error

    def skip(self) -> None:
        """Read a value of any size and forget it."""
        for _ in self._pieces():
            pass

    def integers(self) -> Iterator[list[int]]:
        """Yield the items of an array of non-negative integers, some at a time."""
        self._expect(b"[")
        while True:
            if self._at >= len(self._text) and not self._read():
                raise self._truncated()
            end = self._text.find(b"]", self._at)
            is_last = end >= 0
            if not is_last:
                end = self._text.rfind(b",", self._at)
                if end < 0:  # a number of which more is to come
                    if len(self._text) - self._at > _MAX_NUMBER_BYTES or not self._read():
                        raise self._truncated()
                    continue
            piece = self._text[self._at : end]
            self._at = end + 1
            yield self._parse_integers(piece, is_last)
            if is_last:
                return

    def _parse_integers(self, piece: bytes, is_last: bool) -> list[int]:
        if piece.translate(None, _INTEGERS) or (not is_last and not piece.strip()):
            raise self.error("an array of numbers has something else in it")
        try:
            numbers: list[int] = json.loads(b"[%b]" % piece)
        except ValueError as error:
            raise self.error(f"it is not valid JSON: {error}") from error
        return numbers

    def strings(self, add: Any) -> None:
        """Call ``add`` with the UTF-8 of each item of an array of strings."""
        self._expect(b"[")
        if self._peek() == b"]":
            self._at += 1
            return
        delimiter = b","
        while delimiter == b",":
            if (first := self._peek()) != b'"':
                raise self.error(f"it is not valid JSON: {first!r} where a string should be")
            found = _STRING.match(self._text, self._at)
            if found is None:
                if len(self._text) - self._at > _MAX_TEXT_BYTES:
                    raise self.error("a string of it is too long")
                if not self._read(max(_CHUNK_BYTES, len(self._text))):  # to scan long ones rarely
                    raise self._truncated()
                continue
            raw, delimiter = found.groups()
            self._at = found.end()
            add(self._unescaped(raw) if b"\\" in raw else raw)
        if delimiter != b"]":
            raise self.error(f"it is not valid JSON: {delimiter!r} after a string")

    def _unescaped(self, raw: bytes) -> bytes:
        try:
            text: str = json.loads(b'"%b"' % raw, strict=False)
        except ValueError as error:
            raise self.error(f"it is not valid JSON: {error}") from error
        return text.encode("utf-8", "surrogatepass")

    # -- inside ----------------------------------------------------------------------------------

    def _truncated(self) -> SnapshotFileError:
        return self.error("truncated, or not a .heapsnapshot; copy the file again")

    def _read(self, size: int = _CHUNK_BYTES) -> bool:
        """Read on; return whether there was anything. What was consumed is forgotten."""
        more = self._file.read(size)
        self._text = self._text[self._at :] + more
        self._at = 0
        return bool(more)

    def _peek(self) -> bytes:
        """Return the next byte that is not a space, without consuming it."""
        while True:
            while self._at < len(self._text):
                byte = self._text[self._at : self._at + 1]
                if byte not in _SPACE:
                    return byte
                self._at += 1
            if not self._read():
                raise self._truncated()

    def _expect(self, byte: bytes) -> None:
        found = self._peek()
        if found != byte:
            raise self.error(f"it is not valid JSON: {found!r} where {byte!r} should be")
        self._at += 1

    def _pieces(self) -> Iterator[bytes]:
        """Yield the text of one value."""
        first = self._peek()
        if first not in b'"[{':
            yield self._scalar()
            return
        depth = 0
        while True:
            found = _STRUCTURE.search(self._text, self._at)
            if found is None:
                yield self._text[self._at :]
                self._at = len(self._text)
                if not self._read():
                    raise self._truncated()
                continue
            yield self._text[self._at : found.end()]
            self._at = found.end()
            byte = found.group()
            if byte == b'"':
                yield self._rest_of_string()
            else:
                depth += 1 if byte in b"[{" else -1
            if depth == 0:
                return

    def _rest_of_string(self) -> bytes:
        while True:
            found = _STRING_END.match(self._text, self._at)
            if found is not None:
                self._at = found.end()
                return found.group()
            if len(self._text) - self._at > _MAX_VALUE_BYTES:
                raise self.error("a value of its JSON object is too long")
            if not self._read(max(_CHUNK_BYTES, len(self._text))):
                raise self._truncated()

    def _scalar(self) -> bytes:
        while (found := _SCALAR_END.search(self._text, self._at)) is None:
            if len(self._text) - self._at > _MAX_NUMBER_BYTES or not self._read():
                raise self._truncated()
        text = self._text[self._at : found.start()]
        self._at = found.start()
        return text
