"""What the live screen shows, and the protocol of what it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ("Reading", "Source", "SourceState")


@dataclass(frozen=True, slots=True)
class Reading:
    """The memory of the watched process at one instant; None is what is not known.

    Memory of open snapshots is left out where the process has recorded it.

    ``timestamp`` is in seconds of the wall clock, sizes are in bytes. ``uss_bytes`` would become
    free if the process ended. ``limit_bytes`` is the lowest limit that applies to the process.
    """

    timestamp: float
    rss_bytes: int
    uss_bytes: int | None = None
    limit_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class SourceState:
    """What a source knows at one instant.

    ``readings``: those since the last poll, oldest first. ``files``: the snapshot files of one
    process that exist now, oldest first. ``is_ended``: whether nothing new can come. ``note``: what
    the reader has to know about the source, such as why no holders are known; else empty.
    ``program_ended_at``: when the program ended, in seconds of the wall clock, None if it still
    runs or if that is not known; its process may analyse its snapshots for longer.
    """

    readings: tuple[Reading, ...] = ()
    files: tuple[str, ...] = ()
    is_ended: bool = False
    note: str = ""
    program_ended_at: float | None = None


class Source(Protocol):
    """Where the values of the screen come from. Used by one thread at a time, except `close`."""

    @property
    def title(self) -> str:
        """What is watched, in a few words: for the first line of the screen."""

    def poll(self) -> SourceState:
        """Return what is known now. Takes well under a second; called about once a second."""

    def take_snapshot(self) -> None:
        """Request a heap snapshot; its file appears in a later state.

        Raises ``MemlensError`` if this source cannot: the message says what to do instead.
        """

    def output_tail(self) -> str | None:
        """Return the last lines that the program has written; None if they are not known."""

    def close(self) -> None:
        """End what the source has started and delete its temporary files. May be repeated."""
