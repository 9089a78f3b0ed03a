"""RefusalError: a way to a process that is not open, so that the next one is tried."""

from __future__ import annotations

__all__ = ("RefusalError",)


class RefusalError(Exception):
    """This way does not lead to the process; the message says why and what to do."""
