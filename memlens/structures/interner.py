"""One string object for all equal strings: the cure for a heap full of duplicates."""

from __future__ import annotations

import sys
import threading
from typing import Any, NamedTuple

from memlens.structures._arguments import require_count

__all__ = ("InternerStats", "StringInterner")


class InternerStats(NamedTuple):
    """What an interner holds now, and what it has done since it was made."""

    entries: int
    bytes: int  # of the strings it holds now
    hits: int
    misses: int
    saved_bytes: int  # of the duplicates that it made superfluous, as long as their users lived

    @property
    def hit_rate(self) -> float:
        """The part of all calls that found the string, 0.0 to 1.0."""
        return self.hits / (self.hits + self.misses) if self.hits else 0.0


class StringInterner:
    """Returns, for equal strings, always the same object, so the others can go.

    **Use it** where the same words come again and again from outside (JSON, CSV, database rows):
    ``name = interner.intern(name)``. Against ``sys.intern``: it is bounded, it says what it saves,
    and dropping it drops the strings (on Python 3.12 ``sys.intern`` keeps them for ever).

    ``max_entries`` bounds how many strings it holds (at least 2). None is for closed vocabularies
    only: then it grows with every new string. Strings longer than ``max_length`` characters are
    returned as they are: long text seldom repeats.

    When full it forgets the half that was not used for the longest time, by keeping two generations
    of half the size: a string used again moves to the young one. So there is no bookkeeping per
    use; a call is O(1), about 0.2 µs where
    ``sys.intern`` takes 0.02: it counts, under a lock, in Python. Thread-safe.
    """

    def __init__(self, max_entries: int | None = None, max_length: int | None = None) -> None:
        limit = sys.maxsize if max_entries is None else require_count("max_entries", max_entries, 2)
        self._half = limit // 2
        self._max_length = (
            sys.maxsize if max_length is None else require_count("max_length", max_length)
        )
        self._lock = threading.RLock()
        self._young: dict[str, str] = {}
        self._old: dict[str, str] = {}
        self._hits = self._misses = self._saved_bytes = 0

    def intern(self, text: str) -> str:
        """Return the one object for strings equal to ``text``; TypeError for all but exact str."""
        if type(text) is not str:
            raise TypeError(f"intern() takes exactly str, not {type(text).__qualname__}")
        if len(text) > self._max_length:
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
        """Intern keys and strings while JSON is read: ``loads(text, object_pairs_hook=...)``.

        It sees objects, and strings in lists inside objects; not a bare string or list of strings
        at the top of a document.
        """
        intern = self.intern
        return {intern(key): self._interned(value) for key, value in pairs}

    def _interned(self, value: object) -> object:
        if type(value) is str:
            return self.intern(value)
        if type(value) is list:
            value[:] = map(self._interned, value)  # objects in it have been through the hook
        return value

    def clear(self) -> None:
        """Forget all strings; the counts go on."""
        with self._lock:
            self._young, self._old = {}, {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def __contains__(self, text: object) -> bool:
        return text in self._young or text in self._old

    def stats(self) -> InternerStats:
        """Return what the interner holds and has saved; measures the strings it holds."""
        with self._lock:
            texts = [*self._young, *self._old]
            hits, misses, saved_bytes = self._hits, self._misses, self._saved_bytes
        size_bytes = sum(map(sys.getsizeof, texts))
        return InternerStats(len(texts), size_bytes, hits, misses, saved_bytes)
