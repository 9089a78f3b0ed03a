"""A bounded string interner: one string object for all equal strings."""

from __future__ import annotations

import sys
import threading
from typing import Any, NamedTuple

from memlens.structures._arguments import require_count

__all__ = ("InternerStats", "StringInterner")


class InternerStats(NamedTuple):
    """The content of an interner, and its counts since creation."""

    entries: int
    bytes: int  # of the current strings
    hits: int
    misses: int
    saved_bytes: int  # of the duplicates that it replaced

    @property
    def hit_rate(self) -> float:
        """The fraction of calls that found the string, 0.0 to 1.0."""
        return self.hits / (self.hits + self.misses) if self.hits else 0.0


class StringInterner:
    """Returns the same object for all equal strings, so that duplicates can be freed.

    **Use it** if input repeats the same strings (JSON, CSV, database rows):
    ``name = interner.intern(name)``. Unlike ``sys.intern`` it is bounded, reports what it saves,
    and frees its strings when it is deleted (on Python 3.12 ``sys.intern`` never frees strings).

    ``max_entries`` is the maximum number of strings (at least 2). None is for closed vocabularies
    only, since the interner then grows with every new string. Strings longer than ``max_length``
    characters are returned unchanged, since long texts rarely repeat.

    When it is full, it drops the half that was not used for the longest time. It keeps two
    generations of half the size, and a string that is used again moves to the young generation. A
    call is O(1) and takes about 0.2 µs (``sys.intern``: 0.02 µs). Thread-safe.
    """

    def __init__(self, max_entries: int | None = None, max_length: int | None = None) -> None:
        limit = sys.maxsize if max_entries is None else require_count("max_entries", max_entries, 2)
        self._max_entries = limit
        self._half = limit // 2
        self._longest = (
            sys.maxsize if max_length is None else require_count("max_length", max_length)
        )
        self._lock = threading.RLock()
        self._young: dict[str, str] = {}
        self._old: dict[str, str] = {}
        self._hits = self._misses = self._saved_bytes = 0

    def intern(self, text: str) -> str:
        """Return the common object of strings equal to ``text``. TypeError if not exactly str."""
        if type(text) is not str:
            raise TypeError(f"intern() takes exactly str, not {type(text).__qualname__}")
        if len(text) > self._longest:
            return text
        with self._lock:
            kept = self._young.get(text)
            if kept is None:
                return self._older_or_new(text)
            self._hits += 1
            if kept is not text:
                self._saved_bytes += sys.getsizeof(text)
            return kept

    def _older_or_new(self, text: str) -> str:
        kept = self._old.pop(text, None)
        if kept is None:
            self._misses += 1
            kept = text
        else:
            self._hits += 1
            if kept is not text:
                self._saved_bytes += sys.getsizeof(text)
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[kept] = kept
        return kept

    def intern_json(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """Intern keys and strings while parsing JSON: ``loads(text, object_pairs_hook=...)``.

        It handles objects, and strings in lists inside objects, but not a string or a list of
        strings at the top level of a document.
        """
        intern = self.intern
        return {intern(key): self._interned(value) for key, value in pairs}

    def _interned(self, value: object) -> object:
        if type(value) is str:
            return self.intern(value)
        if type(value) is list:
            value[:] = map(self._interned, value)  # the hook has handled objects in it already
        return value

    def clear(self) -> None:
        """Drop all strings. The counts of `stats` continue."""
        with self._lock:
            self._young, self._old = {}, {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def __contains__(self, text: object) -> bool:
        return text in self._young or text in self._old

    def __repr__(self) -> str:
        return f"<StringInterner: {len(self):,} strings>"

    def stats(self) -> InternerStats:
        """Return content and counts. Measures all current strings."""
        with self._lock:
            texts = [*self._young, *self._old]
            hits, misses, saved_bytes = self._hits, self._misses, self._saved_bytes
        size_bytes = sum(map(sys.getsizeof, texts))
        return InternerStats(len(texts), size_bytes, hits, misses, saved_bytes)
