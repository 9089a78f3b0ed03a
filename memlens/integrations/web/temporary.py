"""Files that lose their name as soon as they are complete: nothing is left however a program ends."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import BinaryIO

from memlens._atomic import sweep_leftovers
from memlens.errors import OutputError

__all__ = ("nameless_file", "temporary_name")


@contextmanager
def temporary_name(suffix: str) -> Iterator[str]:
    """Give an unpredictable path for a file; what is there after the block is deleted.

    All writers of memlens create a file under another name, private and without following links, and
    rename it when it is complete. What killed processes left of such files is deleted first.
    """
    try:
        folder = tempfile.gettempdir()
    except OSError as error:
        raise OutputError(f"cannot write a temporary file: {error.strerror or error}") from error
    _sweep_once(folder, os.getpid())
    path = os.path.join(folder, f"memlens-web-{secrets.token_hex(16)}{suffix}")
    try:
        yield path
    finally:
        with suppress(FileNotFoundError):
            os.unlink(path)


@cache  # of a process: other ones may have been killed since this one was forked
def _sweep_once(folder: str, pid: int) -> None:
    sweep_leftovers(folder)


def nameless_file(suffix: str, write: Callable[[str], object]) -> BinaryIO:
    """Return the file that ``write(path)`` makes, open for reading and already deleted."""
    with temporary_name(suffix) as path:
        write(path)
        return open(path, "rb")
