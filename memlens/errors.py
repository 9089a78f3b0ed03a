"""All exceptions that memlens raises.

::

    MemlensError
    ├── OptionError (ValueError)              an option is unknown, of a wrong type or out of range
    ├── CaptureError (RuntimeError)           the heap could not be captured
    │   └── CaptureTimeoutError (TimeoutError) the capturing child did not finish in time
    ├── SnapshotFileError (ValueError)        a file is of another kind, damaged or too new
    ├── ComparisonError (ValueError)          the snapshots cannot be compared
    ├── NotCollectedError (AssertionError)    an object that should be gone is alive
    ├── NotWeakReferenceableError (TypeError) an object cannot be followed by a weak reference
    ├── NotInSnapshotError (LookupError)      the snapshot does not contain an object or a node
    ├── ReadingError (OSError)                the system does not report the memory of the process
    ├── TracingError (RuntimeError)           allocation tracing is off, or was stopped
    ├── OutputError (OSError)                 a folder or file cannot be written
    ├── ScriptError (RuntimeError)            the program to profile cannot be found or read
    ├── AttachError (RuntimeError)            a running process cannot be asked
    └── MissingExtraError (ImportError)       an optional dependency is not installed

Each exception derives from ``MemlensError`` and from the matching built-in exception, so both
``except memlens.MemlensError`` and ``except ValueError`` work. ``memlens.structures`` raises the
built-in exceptions of mappings and queues instead.

This module imports nothing, so that every layer may import it.
"""

from __future__ import annotations

__all__ = (
    "AttachError",
    "CaptureError",
    "CaptureTimeoutError",
    "ComparisonError",
    "MemlensError",
    "MissingExtraError",
    "NotCollectedError",
    "NotInSnapshotError",
    "NotWeakReferenceableError",
    "OptionError",
    "OutputError",
    "ReadingError",
    "ScriptError",
    "SnapshotFileError",
    "TracingError",
)


class MemlensError(Exception):
    """The base class of all exceptions that memlens raises."""


class OptionError(MemlensError, ValueError):
    """An option is unknown, of the wrong type or out of range."""


class CaptureError(MemlensError, RuntimeError):
    """The heap could not be captured."""


class CaptureTimeoutError(CaptureError, TimeoutError):
    """The child process that captures the heap did not finish in the given time."""


class SnapshotFileError(MemlensError, ValueError):
    """A file is not a memlens file, is truncated, damaged, or written by a newer memlens."""


class ComparisonError(MemlensError, ValueError):
    """The snapshots cannot be compared: too few, or of different processes."""


class NotInSnapshotError(MemlensError, LookupError):
    """The snapshot does not contain this object or node."""


class NotCollectedError(MemlensError, AssertionError):
    """An object that should be gone is alive; ``report`` says what keeps it alive."""

    def __init__(self, message: str, report: object = None) -> None:
        super().__init__(message)
        self.report = report


class NotWeakReferenceableError(MemlensError, TypeError):
    """An object cannot be followed, because its type has no weak references."""


class ReadingError(MemlensError, OSError):
    """The system does not report the memory of this process."""


class TracingError(MemlensError, RuntimeError):
    """Allocation tracing is off although it is needed, or the program stopped it."""


class OutputError(MemlensError, OSError):
    """A folder or a file cannot be written."""


class ScriptError(MemlensError, RuntimeError):
    """The program to profile cannot be found, read or compiled."""


class AttachError(MemlensError, RuntimeError):
    """A running process cannot be asked, or could not do what it was asked; the message says why."""


class MissingExtraError(MemlensError, ImportError):
    """An optional dependency is not installed; the message names the extra that installs it."""
