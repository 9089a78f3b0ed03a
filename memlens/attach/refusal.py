"""Refusal: a way to a process that is not open, so that the next one is tried."""

from __future__ import annotations

__all__ = ("Refusal",)


class Refusal(Exception):
    """This way does not lead to the process; the message says why and what to do."""
