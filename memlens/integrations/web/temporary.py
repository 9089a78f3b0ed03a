"""Files that lose their name as soon as they are complete: nothing is left however a program ends."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import BinaryIO

from memlens._atomic import sweep_leftovers
from memlens.errors import OutputError

__all__ = ("nameless_file",)


@cache  # of a process: other ones may have been killed since this one was forked
def _sweep_once(folder: str, pid: int) -> None:
    sweep_leftovers(folder)


def nameless_file(suffix: str, write: Callable[[str], object]) -> BinaryIO:
    """Return the file that ``write(path)`` makes, open for reading and already deleted.

    The path is unpredictable. All writers of memlens create a file under another name, private and
    without following links, and rename it when it is complete. What killed processes have left of such
    files is deleted first. Raises ``OutputError`` if there is no folder for temporary files.
    """
    try:
        folder = tempfile.gettempdir()
    except OSError as error:
        raise OutputError(f"cannot write a temporary file: {error.strerror or error}") from error
    _sweep_once(folder, os.getpid())
    path = os.path.join(folder, f"memlens-web-{secrets.token_hex(16)}{suffix}")
    try:
        write(path)
        return open(path, "rb")
    finally:
        with suppress(FileNotFoundError):
            os.unlink(path)
