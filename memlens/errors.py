"""Every error that memlens raises by itself.

::

    MemlensError
    ├── OptionError (ValueError)              an option is unknown, of a wrong type or out of range
    ├── CaptureError (RuntimeError)           the heap could not be captured
    │   └── CaptureTimeoutError (TimeoutError) the capturing child has not ended in time
    ├── SnapshotFileError (ValueError)        a file is not ours, is truncated, damaged or too new
    ├── ComparisonError (ValueError)          snapshots that cannot be compared with each other
    ├── NotInSnapshotError (LookupError)      an object or a node that the snapshot does not hold
    ├── TracingError (RuntimeError)           tracing is off, or was stopped by somebody else
    ├── OutputError (OSError)                 a folder or file cannot be written
    ├── ScriptError (RuntimeError)            the program to profile cannot be found or read
    └── MissingExtraError (ImportError)       an optional dependency is not installed

Each derives from ``MemlensError`` and from the built-in error that a caller would expect, so both
``except memlens.MemlensError`` and ``except ValueError`` do what they say. ``memlens.structures``
raises the built-in errors of mappings and queues instead.

This module imports nothing, so that every layer may use it.
"""

from __future__ import annotations

__all__ = (
    "CaptureError",
    "CaptureTimeoutError",
    "ComparisonError",
    "MemlensError",
    "MissingExtraError",
    "NotInSnapshotError",
    "OptionError",
    "OutputError",
    "ScriptError",
    "SnapshotFileError",
    "TracingError",
)


class MemlensError(Exception):
    """The root of all errors that memlens raises by itself."""


class OptionError(MemlensError, ValueError):
    """An option is unknown, of the wrong type or out of range."""


class CaptureError(MemlensError, RuntimeError):
    """The heap could not be captured."""


class CaptureTimeoutError(CaptureError, TimeoutError):
    """The child process that captures the heap has not ended in the time given."""


class SnapshotFileError(MemlensError, ValueError):
    """A file is not a memlens file, is truncated, damaged, or written by a newer memlens."""


class ComparisonError(MemlensError, ValueError):
    """These snapshots cannot be compared: too few, or of different processes."""


class NotInSnapshotError(MemlensError, LookupError):
    """The snapshot does not hold this object or node."""


class TracingError(MemlensError, RuntimeError):
    """Allocation tracing is off where it is needed, or somebody else stopped it."""


class OutputError(MemlensError, OSError):
    """A folder or a file cannot be written."""


class ScriptError(MemlensError, RuntimeError):
    """The program to profile cannot be found, read or compiled."""


class MissingExtraError(MemlensError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""
