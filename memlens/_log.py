"""Logging of failures that must not disturb the program: each kind once, later ones are counted.

A profiler that runs for weeks may meet the same failure at every reading (a full disk, a callback
with a bug). The log of the program must not fill up with it.
"""

from __future__ import annotations

__all__ = ("FailureLog", "warn_once")

_MAX_TEXT = 500  # characters of an error's text that are kept
_ROOM_BYTES = 1 << 20
_warned: set[str] = set()


class FailureLog:
    """Counts failures, logs the first of each kind as a warning, and keeps the last one's text.

    ``count`` is the number of failures; ``last_error`` the text of the latest one, or None. The
    exceptions themselves are not kept: their tracebacks would keep frames alive.
    """

    __slots__ = ("_logged", "count", "last_error")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all failures, as in a forked child."""
        self.count = 0
        self.last_error: str | None = None
        self._logged: frozenset[str] = frozenset()

    def note(self, what: str, error: BaseException, *, with_traceback: bool = True) -> None:
        """Count a failure. ``what`` says what failed, and is logged once. Never raises.

        Without memory it is only counted, and logged when it happens again.

        ``with_traceback`` adds the traceback to the log: for failures that somebody must debug, not
        for a full disk.
        """
        self.count += 1
        try:
            self.last_error = f"{type(error).__name__}: {error}"[:_MAX_TEXT]
        except Exception:  # noqa: BLE001 - the exception's own __str__ fails
            self.last_error = type(error).__name__
        if what not in self._logged and _has_room():
            self._logged |= {what}
            _warn(
                f"{what}: {self.last_error}; further failures are only counted",
                error if with_traceback else None,
            )


def warn_once(message: str) -> None:
    """Log a warning, once per process for each message. Never raises."""
    if message not in _warned and _has_room():
        _warned.add(message)
        _warn(message)


def _has_room() -> bool:
    """Tell whether there is memory to log: where it runs out, logging may keep its locks for ever."""
    try:
        return bool(bytearray(_ROOM_BYTES))
    except MemoryError:
        return False


def _warn(message: str, error: BaseException | None = None) -> None:
    try:
        import logging

        logging.getLogger("memlens").warning("%s", message, exc_info=error)
    except Exception:  # noqa: BLE001 - a handler of the program fails; the failure is counted
        pass
