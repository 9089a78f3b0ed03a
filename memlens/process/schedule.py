"""What is due when: arithmetic on times, without a clock, a thread or a lock."""

from __future__ import annotations

from typing import Generic, TypeVar

__all__ = ("Schedule",)

Key = TypeVar("Key")


class Schedule(Generic[Key]):
    """Keys that are due again and again, each at its own interval in seconds.

    A key stays on its grid (first due + n intervals), however late it is taken. What was missed
    meanwhile is counted, not made up for: after a pause nobody needs a burst of equal readings.
    """

    __slots__ = ("_due", "_intervals")

    def __init__(self) -> None:
        self._intervals: dict[Key, float] = {}
        self._due: dict[Key, float] = {}

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, key: object) -> bool:
        return key in self._due

    def scheduled(self) -> list[Key]:
        """Return the keys, in the order in which they were added."""
        return list(self._due)

    def add(self, key: Key, interval_seconds: float, now: float) -> None:
        """Let ``key`` be due one interval from now, and then at each interval."""
        self._intervals[key] = interval_seconds
        self._due[key] = now + interval_seconds

    def remove(self, key: Key) -> bool:
        """Forget ``key``; return whether it was there."""
        self._intervals.pop(key, None)
        return self._due.pop(key, None) is not None

    def clear(self) -> None:
        """Forget all keys."""
        self._intervals.clear()
        self._due.clear()

    def take_due(self, now: float) -> list[tuple[Key, int]]:
        """Return (key, due times missed besides this one) of what is due, and move it on."""
        taken = []
        for key, due in self._due.items():
            if due <= now:
                interval = self._intervals[key]
                missed = int((now - due) / interval)
                following = due + (missed + 1) * interval
                # Rounding must not leave it due at this same instant, for ever.
                self._due[key] = following if following > now else now + interval
                taken.append((key, missed))
        return taken

    def next_due(self) -> float | None:
        """Return the time at which something is due next, or None if nothing is scheduled."""
        return min(self._due.values(), default=None)

    def restart(self, now: float) -> None:
        """Let every key be due one interval from now."""
        for key, interval in self._intervals.items():
            self._due[key] = now + interval
