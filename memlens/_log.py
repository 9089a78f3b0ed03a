"""Log records of memlens: events with facts, and failures that must not disturb the program.

Every record goes to the logger ``memlens``, or to one below it, and has an attribute ``memlens``: a
dict of JSON-ready values with the name of the ``event``, which a formatter can write as JSON.
``docs/logging.md`` lists the events. memlens adds no handler, so where a program configures no logging,
Python writes warnings and errors to stderr, and nothing else.

A profiler that runs for weeks may meet the same failure at every reading (a full disk, a callback
with a bug). The log of the program must not fill up with it: each kind is logged once, later ones are
counted.
"""

from __future__ import annotations

import os
import sys
from typing import Any

__all__ = ("DEBUG", "ERROR", "INFO", "WARNING", "FailureLog", "log_event", "warn_once")

DEBUG, INFO, WARNING, ERROR = 10, 20, 30, 40  # as in `logging`, which is imported when needed

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
        for a full disk. The event of the record is ``failure``.
        """
        self.count += 1
        try:
            self.last_error = f"{type(error).__name__}: {error}"[:_MAX_TEXT]
        except Exception:  # noqa: BLE001 - the exception's own __str__ fails
            self.last_error = type(error).__name__
        if what not in self._logged and _has_room():
            self._logged |= {what}
            log_event(
                WARNING,
                "failure",
                f"{what}: {self.last_error}; further failures are only counted",
                exception=error if with_traceback else None,
                reason=what,
                error=self.last_error,
                error_type=type(error).__name__,
            )


def warn_once(message: str, *, event: str = "notice", reason: str | None = None) -> None:
    """Log a warning, once per process for each message. Never raises.

    ``event``: the name of the record's event; ``reason``: by default the message.
    """
    if message not in _warned and _has_room():
        _warned.add(message)
        log_event(WARNING, event, message, reason=message if reason is None else reason)


def _has_room() -> bool:
    """Tell whether there is memory to log: where it runs out, logging may keep its locks for ever."""
    try:
        return bool(bytearray(_ROOM_BYTES))
    except MemoryError:
        return False


def log_event(
    level: int,
    event: str,
    message: str,
    *,
    exception: BaseException | None = None,
    part: str = "",
    **facts: Any,
) -> None:
    """Log one event to the logger ``memlens``. Never raises, whatever the handlers of a program do.

    ``part``: the last part of the name of a logger below it, for ``memlens.web``.
    ``facts``: JSON-ready values; the record's attribute ``memlens`` holds them with ``event`` and
    ``pid``. Below a warning, nothing happens in a program that has not imported ``logging``: it cannot
    have asked for such records.
    """
    if level < WARNING and "logging" not in sys.modules:
        return
    try:
        import logging

        logging.getLogger(f"memlens.{part}" if part else "memlens").log(
            level,
            "%s",
            message,
            exc_info=exception,
            extra={"memlens": {"event": event, "pid": os.getpid(), **facts}},
            stacklevel=2,
        )
    except Exception:  # noqa: BLE001 - a handler of the program fails; failures are counted
        pass
