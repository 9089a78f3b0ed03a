"""A schedule of repeated events: arithmetic on times, without a clock, a thread or a lock."""

from __future__ import annotations

from typing import Generic, TypeVar

__all__ = ("Schedule",)

Key = TypeVar("Key")


class Schedule(Generic[Key]):
    """Keys that are due repeatedly, each at its own interval in seconds.

    A key stays on its grid (first due time + n intervals), however late it is taken. Missed times
    are counted but not repeated: after a pause a burst of equal readings would be useless.
    """

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        # (interval, next due time) by key. One dict, so that an entry is added or removed in one
        # step: a fork, a signal handler or a finalizer may come between any two.
        self._entries: dict[Key, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def scheduled(self) -> list[Key]:
        """Return the keys, in the order in which they were added."""
        return list(self._entries)

    def add(self, key: Key, interval_seconds: float, now: float) -> None:
        """Make ``key`` due one interval after ``now``, and then at each interval."""
        self._entries[key] = (interval_seconds, now + interval_seconds)

    def remove(self, key: Key) -> bool:
        """Remove ``key``; return whether it was scheduled."""
        return self._entries.pop(key, None) is not None

    def clear(self) -> None:
        """Remove all keys."""
        self._entries.clear()

    def take_due(self, now: float) -> list[tuple[Key, int]]:
        """Return (key, number of due times missed) for each key that is due, and advance it."""
        taken = []
        for key, (interval, due) in list(self._entries.items()):
            if due <= now and key in self._entries:
                missed = int((now - due) / interval)
                following = due + (missed + 1) * interval
                # Rounding must not leave the key due at this same instant, which would never end.
                self._entries[key] = (interval, following if following > now else now + interval)
                taken.append((key, missed))
        return taken

    def next_due(self) -> float | None:
        """Return the earliest due time, or None if nothing is scheduled."""
        return min([due for _, due in list(self._entries.values())], default=None)

    def restart(self, now: float) -> None:
        """Make every key due one interval after ``now``."""
        for key, (interval, _) in list(self._entries.items()):
            self._entries[key] = (interval, now + interval)
