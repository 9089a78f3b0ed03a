"""To a process by the remote debugging interface of Python 3.14 and later (PEP 768).

The interpreter runs a script in its main thread at the next safe moment. It is told so by writing
to its memory, in the places that a table in the process names. That is what ``sys.remote_exec``
does. Writing here works from any version of Python, and for a process in a container.
"""

from __future__ import annotations

import os
import struct
import sys
from dataclasses import dataclass

from memlens.attach.refusal import RefusalError
from memlens.attach.target import Target, permission_advice

__all__ = ("MIN_VERSION", "RemoteScript")

MIN_VERSION = (3, 14)
_COOKIE = b"xdebugpy"
_PLEASE_STOP = 1 << 5  # of the eval breaker


@dataclass(frozen=True, slots=True)
class _Table:
    """Where the table ``_Py_DebugOffsets`` of a version has what is needed."""

    interpreters_head: int
    threads_main: int
    debugger_support: int


_TABLES = {(3, 14): _Table(40, 80, 712), (3, 15): _Table(40, 80, 840)}


class RemoteScript:
    """Tells the interpreter of a target to run a script in its main thread.

    Raises ``RefusalError`` if the target is too old, or its remote debugging is off or not permitted.
    """

    def __init__(self, target: Target, script: str) -> None:
        self._target, self._script = target, script
        self._pending: int | None = None
        if target.version < MIN_VERSION:
            major, minor = target.version
            raise RefusalError(f"it needs Python 3.14, and the process runs {major}.{minor}")
        if target.version in _TABLES:
            self._write(_TABLES[target.version])
        else:
            self._call()

    def _call(self) -> None:
        """Use ``sys.remote_exec``, for a version whose table is not known here."""
        major, minor = self._target.version
        if sys.version_info[:2] != self._target.version:
            raise RefusalError(
                f"this version of memlens does not know Python {major}.{minor}: run the command by"
                f" that Python, or update memlens"
            )
        try:
            sys.remote_exec(self._target.pid, self._script)  # type: ignore[attr-defined]
        except (OSError, RuntimeError) as error:
            raise RefusalError(f"{error}: {permission_advice(self._target)}") from error

    def _write(self, table: _Table) -> None:
        python = self._target.python
        section = python.elf.section_address(".PyRuntime")
        runtime = python.addresses("_PyRuntime").get("_PyRuntime")
        at = runtime if section is None else section + python.base
        if at is None:
            raise RefusalError("its program has no symbols of the interpreter")
        path = os.fsencode(self._script) + b"\0"
        try:
            with open(f"/proc/{self._target.pid}/mem", "r+b", buffering=0) as memory:
                self._tell(_Memory(memory.fileno()), table, at, path)
        except OSError as error:
            raise RefusalError(
                f"its memory may not be written: {permission_advice(self._target)}"
            ) from error

    def _tell(self, memory: _Memory, table: _Table, at: int, path: bytes) -> None:
        if memory.read(at, 8) != _COOKIE:
            raise RefusalError("the table of its interpreter was not found")
        breaker, support, enabled, pending, place, size = memory.numbers(
            at + table.debugger_support, 6
        )
        interpreter = memory.number(at + memory.number(at + table.interpreters_head))
        if not interpreter:
            raise RefusalError("its interpreter is not running yet, or not any more")
        if not memory.number(interpreter + enabled) & 0xFFFFFFFF:
            raise RefusalError(
                "remote debugging is off in it (PYTHON_DISABLE_REMOTE_DEBUG, -X"
                " disable-remote-debug, or a build without it): start it without that"
            )
        thread = memory.number(interpreter + memory.number(at + table.threads_main))
        if not thread or len(path) > size:
            raise RefusalError("its main thread has ended, or the path of the script is too long")
        memory.write(thread + support + place, path)
        self._pending = thread + support + pending
        memory.write(self._pending, struct.pack("<i", 1))
        word = memory.number(thread + breaker) | _PLEASE_STOP
        memory.write(thread + breaker, struct.pack("<Q", word))

    def withdraw(self) -> None:
        """Let the interpreter forget the script, if it has not run it and this is possible."""
        if self._pending is None or not self._target.is_alive:
            return
        try:
            with open(f"/proc/{self._target.pid}/mem", "r+b", buffering=0) as memory:
                _Memory(memory.fileno()).write(self._pending, struct.pack("<i", 0))
        except OSError:
            pass  # it has ended; or the script finds that its request was withdrawn


class _Memory:
    """The memory of a process, through the descriptor of ``/proc/PID/mem``."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, address: int, size: int) -> bytes:
        found = os.pread(self._descriptor, size, address)
        if len(found) != size:
            raise OSError(f"only {len(found)} of {size} bytes at {address:#x}")
        return found

    def number(self, address: int) -> int:
        return self.numbers(address, 1)[0]

    def numbers(self, address: int, count: int) -> tuple[int, ...]:
        return struct.unpack(f"<{count}Q", self.read(address, 8 * count))

    def write(self, address: int, content: bytes) -> None:
        os.pwrite(self._descriptor, content, address)
