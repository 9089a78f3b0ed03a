"""Atomic file writes: a file is complete or not there at all, and readable by its owner only."""

from __future__ import annotations

import os
from contextlib import suppress

from memlens.errors import OutputError

__all__ = ("write_whole",)


def write_whole(path: str | os.PathLike[str], content: bytes) -> int:
    """Write ``content`` to a temporary file beside ``path`` and rename it; return its size.

    Raises ``OutputError`` if the file cannot be written; the temporary file is removed then.
    """
    target = os.fspath(path)
    temporary = f"{target}.{os.getpid()}.part"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
        os.replace(temporary, target)
    except OSError as error:
        with suppress(OSError):  # report the original error
            os.remove(temporary)
        raise OutputError(
            f"cannot write {target!r}: {error.strerror or error}; choose another folder or free"
            " space"
        ) from error
    return len(content)
