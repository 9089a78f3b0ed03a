"""Open files with compression by suffix, and replace files atomically."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, BinaryIO, cast

__all__ = ("PathLike", "name_of", "open_bytes", "replaced")

PathLike = str | os.PathLike[str]


def open_bytes(path: PathLike, mode: str = "rb") -> BinaryIO:
    """Open a binary file, with gzip for the suffix ``.gz`` and Zstandard for ``.zst``."""
    name = os.fspath(path)
    if name.endswith(".gz"):
        import gzip

        return cast("BinaryIO", gzip.open(name, mode))
    if name.endswith(".zst"):
        file = _zstd_open()(name, mode)
        # The reader of zstandard has no readline().
        return cast("BinaryIO", io.BufferedReader(file) if mode == "rb" else file)
    return cast("BinaryIO", open(name, mode))


def _zstd_open() -> Any:  # one of three modules with the same open()
    from importlib import import_module

    for module in ("compression.zstd", "backports.zstd", "zstandard"):
        try:
            return import_module(module).open
        except ImportError:
            continue
    raise ImportError("no module for .zst files: install zstandard, or decompress the file first")


def name_of(source: object) -> str:
    """Return the name of a source for messages."""
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    return str(getattr(source, "name", type(source).__name__))


@contextmanager
def replaced(path: PathLike) -> Iterator[IO[bytes]]:
    """Write a temporary file that replaces ``path`` at the end and is removed on error.

    The permissions of an existing file are kept. A new file gets the default permissions.
    """
    target = os.path.realpath(path)
    folder, base = os.path.split(target)
    # The suffix stays at the end: it selects the compression.
    temporary = os.path.join(folder, f".{os.getpid()}-{os.urandom(4).hex()}.{base}")
    try:
        with open_bytes(temporary, "xb" if not base.endswith(".zst") else "wb") as file:
            yield file
        if os.path.exists(target):
            os.chmod(temporary, os.stat(target).st_mode & 0o7777)
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        os.replace(temporary, target)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
