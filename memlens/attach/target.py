"""Facts about another process: its Python, its user, its view of the file system."""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

from memlens.attach.elf import ElfFile, NotElfError
from memlens.errors import AttachError
from memlens.profiler.file_owner import process_token

__all__ = ("MIN_VERSION", "Image", "Target", "permission_advice")

MIN_VERSION = (3, 11)
_VERSION_SYMBOL = "Py_Version"  # since 3.11
_ANY_PYTHON = "Py_Initialize"
_SCOPE = "/proc/sys/kernel/yama/ptrace_scope"


@dataclass(frozen=True)
class Image:
    """A file that is mapped into a process as code: where it is mapped, and what it contains.

    ``path``: as the process names it. ``base``: the address in the process of address 0 of the file.
    """

    path: str
    base: int
    elf: ElfFile

    def addresses(self, *names: str) -> dict[str, int]:
        """Return the addresses in the process of those dynamic symbols that the file defines."""
        return {name: at + self.base for name, at in self.elf.symbols(names).items()}


class Target:
    """A running process that is to be asked something.

    Raises ``AttachError`` if it does not exist, has ended, or is this process.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        if not os.path.isdir("/proc/self"):
            raise AttachError(
                "a running process can only be examined on Linux; elsewhere start a MemoryProfiler"
                " in the program"
            )
        token = process_token(pid)
        if token is None:
            reason = "has ended" if os.path.exists(f"/proc/{pid}") else "does not exist"
            raise AttachError(
                f"process {pid} {reason}; list the Python processes by: pgrep -a python"
            )
        if pid == os.getpid():
            raise AttachError("this is the process of the command itself; give the id of another")
        self.token = token

    def __repr__(self) -> str:
        return f"<Target: process {self.pid}>"

    @property
    def is_alive(self) -> bool:
        """Whether it is still the same process and runs."""
        return process_token(self.pid) == self.token

    def status(self, field: str) -> str:
        """Return a field of ``/proc/PID/status``; an empty text if there is none."""
        with suppress(OSError), open(f"/proc/{self.pid}/status", errors="replace") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name == field:
                    return value.strip()
        return ""

    @property
    def is_stopped(self) -> bool:
        """Whether a signal or a debugger has stopped it."""
        return self.status("State")[:1] in ("T", "t")

    @property
    def tracer(self) -> int:
        """The process that traces it, such as a debugger or strace; 0 if none does."""
        return int(self.status("TracerPid") or 0)

    @cached_property
    def user(self) -> int:
        """The effective user id."""
        return int((self.status("Uid").split() or ["0", "-1"])[1])

    @cached_property
    def group(self) -> int:
        """The effective group id."""
        return int((self.status("Gid").split() or ["0", "-1"])[1])

    @cached_property
    def is_own(self) -> bool:
        """Whether it belongs to the user of this process, or this process may do everything."""
        return os.geteuid() in (0, self.user)

    @property
    def root(self) -> str:
        """The folder through which this process sees the root folder of the target."""
        return f"/proc/{self.pid}/root"

    @cached_property
    def shares_files(self) -> bool:
        """Whether a path names the same file in the target and in this process."""
        return self._same("root/.", "/") and self._same("ns/mnt", "/proc/self/ns/mnt")

    def _same(self, name: str, own: str) -> bool:
        try:
            return os.path.samestat(os.stat(f"/proc/{self.pid}/{name}"), os.stat(own))
        except OSError:
            return False

    def seen(self, path: str) -> str:
        """Return the path by which this process finds a file that the target names ``path``."""
        return path if self.shares_files else self.root + path

    @cached_property
    def environment(self) -> dict[str, str]:
        """The environment with which the program was started; empty if it may not be read."""
        found = {}
        with suppress(OSError), open(f"/proc/{self.pid}/environ", "rb") as file:
            for item in file.read().split(b"\0"):
                name, mark, value = item.partition(b"=")
                if mark:
                    found[os.fsdecode(name)] = os.fsdecode(value)
        return found

    @property
    def executable(self) -> str:
        """The path of its program, as it names it; an empty text if that may not be read."""
        with suppress(OSError):
            return os.readlink(f"/proc/{self.pid}/exe").removesuffix(" (deleted)")
        return ""

    @cached_property
    def images(self) -> tuple[Image, ...]:
        """The program, libpython, libc: the mapped files that may define what a debugger calls.

        Raises ``AttachError`` if this process may not see them.
        """
        try:
            with open(f"/proc/{self.pid}/maps", encoding="utf-8", errors="surrogateescape") as file:
                lines = [line.split(maxsplit=5) for line in file]
        except OSError as error:
            raise AttachError(permission_advice(self)) from error
        first: dict[str, tuple[int, str]] = {}
        for words in lines:
            if len(words) == 6 and words[5].startswith("/") and int(words[2], 16) == 0:
                first.setdefault(words[5].rstrip("\n"), (int(words[0].split("-")[0], 16), words[0]))
        wanted = [
            (path, at)
            for path, at in first.items()
            if path.removesuffix(" (deleted)") == self.executable or _may_define(path)
        ]
        found = [self._image(path, *at) for path, at in wanted]
        return tuple(image for image in found if image is not None)

    def _image(self, path: str, begin: int, span: str) -> Image | None:
        # The link finds the file in any mount namespace, and if it has been deleted by an upgrade.
        for way in (f"/proc/{self.pid}/map_files/{span}", self.root + path):
            with suppress(OSError, NotElfError):
                elf = ElfFile(way)
                return Image(path, begin - elf.first_address(), elf)
        if path.removesuffix(" (deleted)") == self.executable:
            with suppress(OSError, NotElfError):
                elf = ElfFile(f"/proc/{self.pid}/exe")
                return Image(path, begin - elf.first_address(), elf)
        return None

    @cached_property
    def python(self) -> Image:
        """The image of CPython. Raises ``AttachError`` if the process runs none, or an old one."""
        is_old = False
        for image in self.images:
            if _VERSION_SYMBOL in image.elf.symbols([_VERSION_SYMBOL]):
                return image
            is_old = is_old or _ANY_PYTHON in image.elf.symbols([_ANY_PYTHON])
        if is_old:
            raise AttachError(
                f"the Python of process {self.pid} ({self.executable}) is older than"
                f" {_shown(MIN_VERSION)}, which memlens needs"
            )
        raise AttachError(
            f"process {self.pid} ({self.executable or 'a thread of the kernel'}) runs no CPython:"
            " give the process id of the interpreter itself, not that of a shell or a supervisor"
        )

    @cached_property
    def version(self) -> tuple[int, int]:
        """The version of its Python, such as ``(3, 13)``. Raises as `python` does."""
        elf = self.python.elf
        at = elf.symbols([_VERSION_SYMBOL])[_VERSION_SYMBOL]
        try:
            number = struct.unpack("<Q", elf.bytes_at(at, 8))[0]
        except NotElfError as error:
            raise AttachError(f"the program file of process {self.pid} is damaged") from error
        return number >> 24 & 0xFF, number >> 16 & 0xFF


def _may_define(path: str) -> bool:
    name = os.path.basename(path)
    return name.startswith(("libpython", "libc.", "libc-", "ld-musl", "libpthread", "ld-linux"))


def _shown(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def permission_advice(target: Target, scope_path: str = _SCOPE) -> str:
    """Return why a process may not be examined by the system's debugging interface, and what to do."""
    if not target.is_own:
        return (
            f"process {target.pid} belongs to user {target.user}, and this command runs as user"
            f" {os.geteuid()}: run it as that user, or as root by: sudo -E python -m memlens ..."
        )
    scope = ""
    with suppress(OSError), open(scope_path) as file:
        scope = file.read().strip()
    if scope == "3":
        return (
            f"the system lets nobody attach to processes ({scope_path} is 3, until the next boot);"
            " start a MemoryProfiler in the program instead"
        )
    if scope == "2" or (scope == "1" and os.geteuid() != 0):
        return (
            f"the system lets only administrators attach to processes ({scope_path} is {scope}):"
            " run the command by sudo, or allow it until the next boot by: sudo sysctl"
            " kernel.yama.ptrace_scope=0"
        )
    return (
        f"the system refuses access to process {target.pid}: in a container add the capability, for"
        " example by docker run --cap-add=SYS_PTRACE; or run the command as root on the host"
    )
