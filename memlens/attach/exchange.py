"""Exchange: a folder in the file system of the target that holds a request and its answer.

The folder and its files belong to the user of the target, who is not trusted: a command that runs
as root follows no link there and uses the rights of that user. So every folder on the way is opened by
itself, without following links, and files are used through the descriptor of their folder only.

The target takes the request by renaming it. It is withdrawn in the same way, so that it is either
answered or not begun. The sender holds a lock on it: a request whose sender has ended is not begun.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from memlens._atomic import open_whole
from memlens.attach.received import answer_in
from memlens.attach.refusal import RefusalError
from memlens.attach.request import Request, script_text
from memlens.attach.rights import rights_of
from memlens.attach.target import Target
from memlens.errors import AttachError

__all__ = ("Exchange", "open_folder")

_PREFIX = "memlens-attach-"
_NAME = re.compile(_PREFIX + r"(\d+)-[0-9a-f]{16}")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_MAX_ANSWER_BYTES = 1 << 28


def open_folder(target: Target, path: str) -> int:
    """Open a folder that the target names, following no links; return the descriptor.

    Raises ``OSError`` if it does not exist, or a part of the path is a link.
    """
    descriptor = os.open("/" if target.shares_files else target.root, os.O_RDONLY | os.O_DIRECTORY)
    for name in filter(None, path.split("/")):
        if name == "..":
            os.close(descriptor)
            raise FileNotFoundError(f"{path!r} is not absolute")
        try:
            inner = os.open(name, _FOLDER, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = inner
    return descriptor


class Exchange:
    """A new folder with a request. As a context manager it is deleted at the end.

    ``near``: a folder of this process that is used if the target can write there, too: then the
    snapshot needs no copy. Raises ``RefusalError`` if there is no folder that both can use.
    """

    def __init__(self, target: Target, request: Request, near: str | None = None) -> None:
        self._target = target
        self._descriptor = self._base = -1
        self._is_near = False
        self.folder = self._name = ""
        for path in list(_places(target, near)):
            with suppress(OSError), rights_of(target):
                self._create(path)
                self._is_near = path == near
                break
        else:
            raise RefusalError(
                "there is no folder for temporary files that both this command and the process can"
                " use (its TMPDIR, /tmp, /var/tmp, /dev/shm)"
            )
        try:
            content = json.dumps(request.to_dict(self.folder)).encode()
            script = script_text(self.folder).encode()
            with rights_of(target):
                self._request = self._write("request.json", content)
                fcntl.flock(self._request, fcntl.LOCK_EX)
                os.close(self._write("script.py", script))
        except OSError as error:
            self.close()
            raise RefusalError(
                f"cannot write to {self.folder}: {error.strerror or error}"
            ) from error

    def _create(self, path: str) -> None:
        base = open_folder(self._target, path)
        try:
            _sweep(base, self._target)
            name = f"{_PREFIX}{self._target.pid}-{secrets.token_hex(8)}"
            os.mkdir(name, 0o700, dir_fd=base)
            try:
                descriptor = _open_of(base, name, self._target.user)
            except OSError:
                os.rmdir(name, dir_fd=base)
                raise
        except BaseException:
            os.close(base)
            raise
        self._descriptor = descriptor
        self._base, self._name, self.folder = base, name, os.path.join(path, name)
        self._request = -1

    def _write(self, name: str, content: bytes) -> int:
        descriptor = os.open(name, _NEW, 0o600, dir_fd=self._descriptor)
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        return descriptor

    def __enter__(self) -> Exchange:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def script(self) -> str:
        """The script, as the target names it."""
        return os.path.join(self.folder, "script.py")

    @property
    def is_taken(self) -> bool:
        """Whether the target has taken the request."""
        return not self._has("request.json")

    def _has(self, name: str) -> bool:
        try:
            os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
        except OSError:
            return False
        return True

    def withdraw(self) -> bool:
        """Withdraw the request; return False if the target has already taken it."""
        try:
            os.rename("request.json", "withdrawn.json",
                      src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)  # fmt: skip
        except FileNotFoundError:
            return False
        return True

    def answer(self) -> dict[str, Any] | None:
        """Return the answer; None while there is none.

        Raises ``AttachError`` if the target answers that it could not do what was asked.
        """
        if not self._has("answer.json"):
            return None
        try:
            with open(self._open("answer.json"), encoding="utf-8") as file:
                return answer_in(file.read(_MAX_ANSWER_BYTES), self._target.pid)
        except AttachError:
            raise
        except (OSError, ValueError) as failure:
            raise AttachError(f"the answer of the process cannot be read: {failure}") from failure

    def _open(self, name: str) -> int:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        with rights_of(self._target):
            descriptor = os.open(name, flags, dir_fd=self._descriptor)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(f"{name} is not a regular file")
        return descriptor

    def take_snapshot_file(self, path: str) -> int:
        """Move the snapshot of the target to a path of this process; return its size in bytes.

        Raises ``OutputError`` if the file cannot be written, ``AttachError`` if there is no snapshot.
        """
        try:
            descriptor = self._open("snapshot.memlens")
        except OSError as error:
            raise AttachError(
                f"process {self._target.pid} has left no snapshot: {error}"
            ) from error
        with open(descriptor, "rb") as source:
            size_bytes = os.fstat(descriptor).st_size
            if self._is_near and self._target.user == os.geteuid():
                os.replace("snapshot.memlens", path, src_dir_fd=self._descriptor)
                return size_bytes
            with open_whole(path) as file:
                shutil.copyfileobj(source, file, 1 << 20)
        return size_bytes

    def close(self) -> None:
        """Delete the folder; may be called again."""
        if self._descriptor < 0:
            return
        with suppress(OSError), rights_of(self._target):
            _delete(self._base, self._name, self._descriptor)
        for descriptor in (self._request, self._descriptor, self._base):
            if descriptor >= 0:
                os.close(descriptor)
        self._request = self._descriptor = self._base = -1


def _places(target: Target, near: str | None) -> Iterator[str]:
    if near is not None and target.shares_files and target.user == os.geteuid():
        yield near
    named = target.environment.get("TMPDIR", "")
    if os.path.isabs(named):
        yield os.path.normpath(named)
    yield from ("/tmp", "/var/tmp", "/dev/shm")


def _delete(base: int, name: str, descriptor: int) -> None:
    with suppress(OSError):  # the agent has deleted it; what cannot be deleted is swept later
        for inner in os.listdir(descriptor):
            os.unlink(inner, dir_fd=descriptor)
        os.rmdir(name, dir_fd=base)


def _open_of(base: int, name: str, user: int) -> int:
    """Open a folder of a user. Raises ``PermissionError`` if another one has been put in its place."""
    descriptor = os.open(name, _FOLDER, dir_fd=base)
    if os.fstat(descriptor).st_uid != user:
        os.close(descriptor)
        raise PermissionError(f"{name} belongs to another user")
    return descriptor


def _sweep(base: int, target: Target) -> None:
    """Delete the folders of commands that were killed, as far as they are of the user of a target.

    While another process that was asked runs, it may still run the script: somebody who has seen the
    name of the folder must not get the chance to make it anew.
    """
    for name in os.listdir(base):
        match = _NAME.fullmatch(name)
        if match is None or _may_still_run(int(match[1]), target):
            continue
        with suppress(OSError):
            descriptor = _open_of(base, name, target.user)
            try:
                if _is_abandoned(descriptor):
                    _delete(base, name, descriptor)
            finally:
                os.close(descriptor)


def _may_still_run(pid: int, target: Target) -> bool:
    return pid != target.pid and os.path.exists(f"/proc/{pid}")


def _is_abandoned(folder: int) -> bool:
    for name in ("request.json", "taken.json", "withdrawn.json"):
        with suppress(FileNotFoundError):
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            finally:
                os.close(file)
            return True
    return False
