"""Open files with compression by suffix, and replace files atomically."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, BinaryIO, cast

__all__ = ("PathLike", "name_of", "open_bytes", "replaced")

PathLike = str | os.PathLike[str]


def open_bytes(path: PathLike) -> BinaryIO:
    """Open a binary file to read, with gzip for the suffix ``.gz`` and Zstandard for ``.zst``."""
    name = os.fspath(path)
    if name.endswith(".gz"):
        import gzip

        return cast("BinaryIO", gzip.open(name, "rb"))
    if name.endswith(".zst"):
        # The reader of zstandard has no readline().
        return cast("BinaryIO", io.BufferedReader(_zstd_open()(name, "rb")))
    return open(name, "rb")


@contextmanager
def _compressed(raw: BinaryIO, name: str) -> Iterator[IO[bytes]]:
    """Compress what is written, as the suffix of a name says, into an open file."""
    if name.endswith(".gz"):
        import gzip

        with gzip.GzipFile("", "wb", fileobj=raw) as file:
            yield cast("IO[bytes]", file)
    elif name.endswith(".zst"):
        with _zstd_open()(raw, "wb") as file:
            yield file
    else:
        yield raw


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

    The permissions of an existing file are kept. A new file gets the default permissions. Where
    ``path`` is a link, what it points to is replaced, as ``open()`` would write there.
    """
    target = os.path.realpath(path)
    folder, base = os.path.split(target)
    temporary = os.path.join(folder, f".{os.getpid()}-{os.urandom(4).hex()}.{base}")
    # Made here and nowhere else: nobody's file or link is opened in its place.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as raw:
            with _compressed(raw, base) as file:
                yield file
            raw.flush()
            if os.path.exists(target):
                os.chmod(temporary, os.stat(target).st_mode & 0o7777)
            os.fsync(raw.fileno())
        os.replace(temporary, target)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
