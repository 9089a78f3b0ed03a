"""Atomic file writes: a file is complete or not there at all, and private to its owner.

A file is written under a temporary name in the folder of its target and renamed when it is complete
and on the disk. The temporary name is unpredictable, is created exclusively and with mode 0600, and
no link is followed, so a link that somebody planted in a shared folder is never written through.

A writer holds a lock (``flock``) on its temporary file. The system releases the lock when the
process ends, however it ends, so `sweep_leftovers` can delete the files of processes that were
killed and never those of a running writer, in any container that shares the folder. A forked child
inherits the lock together with the descriptor.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedWriter
from types import TracebackType

from memlens._uninterrupted import call_and_store, close_all
from memlens.errors import OptionError, OutputError

__all__ = (
    "PendingFile",
    "check_writable",
    "checked_path",
    "make_folder",
    "open_whole",
    "sweep_leftovers",
    "sync_folder",
    "without_waiting",
    "write_whole",
)

_MAX_NAME_BYTES = 255
_LEFTOVER = re.compile(r".*\.\d+-[0-9a-f]{16}\.part", re.DOTALL)
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_MAX_ATTEMPTS = 100


def checked_path(path: str | bytes | os.PathLike[str]) -> str:
    """Return a path as text. Raises ``OptionError`` for what can be no path."""
    try:
        text = os.fsdecode(path)
        os.fsencode(text)
    except TypeError:
        raise OptionError(
            f"a path must be a str or a path object, not {type(path).__name__}"
        ) from None
    except UnicodeEncodeError:
        raise OptionError(f"{text!r} is not a path: no file name has such characters") from None
    if "\0" in text:
        raise OptionError(f"{text!r} is not a path: it contains a null character")
    return text


class PendingFile:
    """A file that is being written under a temporary name beside its target.

    `commit` gives it the name of the target, `discard` deletes it. As a context manager it commits
    at the end of the block and discards the file if an exception leaves the block. ``descriptor``
    is open for reading and writing. ``prefix``: what the temporary name begins with. Raises
    ``OutputError`` if the file cannot be created.
    """

    def __init__(self, target: str | os.PathLike[str], *, prefix: str = "") -> None:
        self.target = checked_path(target)
        self._prefix = prefix
        self._owner = os.getpid()
        self._descriptors: list[int] = []
        self.name = ""
        self._is_finished = False
        with _output_errors(self.target):
            self._create()

    def __del__(self) -> None:
        """Delete a file that was abandoned, for example because a signal handler raised."""
        if not getattr(self, "_is_finished", True) and self._owner == os.getpid():
            self.discard()

    @property
    def descriptor(self) -> int:
        """The open descriptor, -1 when the file is closed."""
        return self._descriptors[-1] if self._descriptors else -1

    def _create(self) -> None:
        """Create and lock the temporary file."""
        folder, base = os.path.split(self.target)
        for _ in range(_MAX_ATTEMPTS):
            suffix = f".{os.getpid()}-{secrets.token_hex(8)}.part"
            room = _MAX_NAME_BYTES - len(self._prefix) - len(suffix)
            short = os.fsdecode(os.fsencode(base)[:room])
            self.name = os.path.join(folder, self._prefix + short + suffix)
            try:
                call_and_store(self._descriptors, os.open, self.name, _CREATE, 0o600)
            except FileExistsError:
                continue  # also a link that was planted under this name
            # Without waiting: a child that was forked while another process swept keeps its lock.
            is_locked = _lock(self.descriptor)
            if is_locked is None or (is_locked and os.fstat(self.descriptor).st_nlink):
                return
            self.discard()  # the file is being swept, or was, between its creation and the lock
            self._is_finished = False
        raise FileExistsError(f"no free temporary name in {folder!r}")

    def __enter__(self) -> PendingFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.discard()
            return
        try:
            self.commit()
        except BaseException:
            self.discard()
            raise

    def __repr__(self) -> str:
        return f"<PendingFile for {self.target!r}>"

    def commit(self) -> None:
        """Write the file to the disk, rename it to its target, which is replaced, and close it.

        Raises ``OutputError`` if that fails; the temporary file is deleted then.
        """
        self.rename()
        self.close()

    def rename(self) -> None:
        """Do what `commit` does, but keep the descriptor open.

        May be repeated after another exception, for example one that a signal handler has raised,
        and may be called by a signal handler that interrupts it.
        """
        try:
            with _output_errors(self.target):
                os.fsync(self.descriptor)
                if not self._has_target_name():
                    os.replace(self.name, self.target)
        except OutputError:
            self.discard()
            raise
        self._is_finished = True
        sync_folder(os.path.dirname(self.target) or ".")

    def _has_target_name(self) -> bool:
        """Return whether the file was renamed by a commit that was interrupted."""
        if os.path.lexists(self.name):
            return False
        with suppress(FileNotFoundError):
            return os.path.samestat(os.lstat(self.target), os.fstat(self.descriptor))
        return False

    def discard(self) -> None:
        """Delete the temporary file and close it."""
        try:
            self.delete()
        finally:
            self.close()

    def delete(self) -> None:
        """Delete the temporary file, but keep the descriptor open."""
        try:
            os.unlink(self.name)
        except OSError:  # already deleted; an error that led here is more useful
            pass
        self._is_finished = True

    def close(self) -> None:
        """Close the descriptor, which releases the lock; may be called again."""
        close_all(self._descriptors)


def without_waiting(path: str, flags: int) -> int:
    """Open a file so that one without a writer, such as a FIFO, does not block: an ``opener``."""
    return os.open(path, flags | os.O_NONBLOCK)


@contextmanager
def open_whole(path: str | os.PathLike[str]) -> Iterator[BufferedWriter]:
    """Open a file for writing that appears under its name at the end of the block.

    Raises ``OutputError`` if the file cannot be written. Then, or if the block raises, an existing
    file is unchanged and no temporary file is left.
    """
    with (
        PendingFile(path) as pending,
        _output_errors(pending.target),
        open(pending.descriptor, "wb", closefd=False) as file,
    ):
        yield file


def write_whole(path: str | os.PathLike[str], content: bytes) -> int:
    """Write ``content`` to a file that appears under its name when complete; return its size.

    Raises ``OutputError`` if the file cannot be written; then an existing file is unchanged.
    """
    with open_whole(path) as file:
        file.write(content)
    return len(content)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Check that a file can be written there, without touching it if it exists.

    Raises ``OutputError`` if its folder does not exist or cannot be written, or if it is a folder.
    """
    target = checked_path(path)
    if os.path.isdir(target):
        raise OutputError(f"cannot write {target!r}: it is a folder; give the name of a file")
    PendingFile(target).discard()


def make_folder(path: str | os.PathLike[str]) -> str:
    """Create a folder and its missing parents, private to the owner (0700); return its path.

    An existing folder keeps its mode. Raises ``OutputError`` if the folder cannot be created.
    """
    folder = checked_path(path)
    missing = []
    parent = os.path.abspath(folder)
    while not os.path.lexists(parent):
        missing.append(parent)
        parent = os.path.dirname(parent)
    try:
        for name in reversed(missing):
            with suppress(FileExistsError):  # created by another process since the check
                os.mkdir(name, 0o700)
        if not stat.S_ISDIR(os.stat(folder).st_mode):
            raise NotADirectoryError(f"{folder!r} is not a folder")
    except OSError as error:
        raise OutputError(
            f"cannot create the folder {folder!r}: {error.strerror or error}; choose another folder"
        ) from error
    return folder


def sweep_leftovers(folder: str | os.PathLike[str]) -> list[str]:
    """Delete the temporary files of writers that were killed; return their names.

    Files of running writers, of other users and of other programs are kept. Does nothing if the
    folder does not exist or cannot be read now, for example because all descriptors are in use.
    """
    swept = []
    with suppress(OSError), os.scandir(checked_path(folder)) as found:
        for entry in found:
            if _LEFTOVER.fullmatch(entry.name) and _remove_if_abandoned(entry.path):
                swept.append(entry.name)
    return sorted(swept)


def _lock(descriptor: int) -> bool | None:
    """Lock a file unless another has locked it; return whether, None where there are no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _remove_if_abandoned(path: str) -> bool:
    """Delete a temporary file that no writer has locked; return whether it was deleted."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False  # a link, not ours, or renamed by its writer
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            return False
        if not _lock(descriptor):
            return False
        os.unlink(path)
    except OSError:
        return False  # renamed or deleted since it was opened
    finally:
        os.close(descriptor)
    return True


def sync_folder(folder: str) -> None:
    """Write the folder to the disk, so that the new name survives a power failure."""
    with suppress(OSError):  # some file systems cannot sync a folder
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _output_errors(target: str) -> Iterator[None]:
    """Raise an ``OutputError`` with the target and advice for an error of the system."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        is_limit = error.errno in (errno.EMFILE, errno.ENFILE)
        advice = (
            "close files or raise the limit" if is_limit else "choose another folder or free space"
        )
        raise OutputError(
            f"cannot write {target!r}: {error.strerror or error}; {advice}"
        ) from error
