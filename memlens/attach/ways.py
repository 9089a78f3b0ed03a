"""The ways to a process, tried in turn: the socket of its profiler, remote debugging, gdb."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

from memlens.attach.by_gdb import inject
from memlens.attach.by_remote_exec import RemoteScript
from memlens.attach.by_socket import ask_socket
from memlens.attach.exchange import Exchange
from memlens.attach.received import check_answer, notes_in
from memlens.attach.refusal import RefusalError
from memlens.attach.request import Request
from memlens.attach.target import Target
from memlens.attach.wake import interrupt_wait
from memlens.errors import AttachError

__all__ = ("WAYS", "Answer", "ask")

WAYS = ("socket", "remote", "gdb")
_POLL_SECONDS = 0.002
_MAX_POLL_SECONDS = 0.05
_WAKE_SECONDS = 0.03
_REMOTE_SECONDS = 2.0  # for the main thread to reach a safe moment, while another way is left


@dataclass(frozen=True, slots=True)
class Answer:
    """What a process has answered. ``way``: how it was asked, one of `WAYS`.

    ``size_bytes``: of the snapshot that it wrote, 0 for another request. ``notes``: what the user
    should know. ``stopped_seconds``: how long a debugger stopped the process.
    """

    way: str
    content: dict[str, Any]
    size_bytes: int = 0
    notes: tuple[str, ...] = ()
    stopped_seconds: float = 0.0


def ask(
    target: Target,
    request: Request,
    *,
    snapshot_path: str | None = None,
    way: str | None = None,
    timeout_seconds: float = 10.0,
) -> Answer:
    """Ask a process something, by the first way that is open, and return the answer.

    ``snapshot_path``: where the snapshot of ``dump`` goes. ``way``: try this one only.
    ``timeout_seconds``: how long the process may take to begin; the work itself is waited for.
    Raises ``AttachError``, which says for each way why it is closed and what to do.
    """
    if target.is_stopped:
        raise AttachError(
            f"process {target.pid} is stopped, by a signal or a debugger, so it can answer nothing;"
            f" let it continue by: kill -CONT {target.pid}"
        )
    near = None if snapshot_path is None else os.path.dirname(os.path.abspath(snapshot_path))
    refusals = []
    for name in WAYS if way is None else (way,):
        is_last = name == WAYS[-1] or way is not None
        try:
            return _ask_by(name, target, request, near, snapshot_path, timeout_seconds, is_last)
        except RefusalError as refusal:
            refusals.append(f"{name}: {refusal}")
    lines = "\n  ".join(refusals)
    raise AttachError(f"process {target.pid} cannot be asked:\n  {lines}")


def _ask_by(
    way: str,
    target: Target,
    request: Request,
    near: str | None,
    snapshot_path: str | None,
    timeout_seconds: float,
    is_last: bool,
) -> Answer:
    if way == "socket" and snapshot_path is None:
        content = ask_socket(target, request.to_dict("/"))
        check_answer(request.command, content, target.pid)
        return Answer(way, content)
    if way != "socket":
        _check_command(request)
        target.python  # noqa: B018 - raises if the process runs no Python
    with Exchange(target, request, near) as exchange:
        stopped_seconds = 0.0
        if way == "socket":
            content = ask_socket(target, request.to_dict(exchange.folder))
        elif way == "remote":
            limit = timeout_seconds if is_last else min(timeout_seconds, _REMOTE_SECONDS)
            content = _ask_remote(target, exchange, limit)
        else:
            stopped_seconds = inject(target, exchange)
            content = _await(target, exchange, timeout_seconds, _GIL_ADVICE)
        check_answer(request.command, content, target.pid)
        size_bytes = exchange.take_snapshot_file(snapshot_path) if snapshot_path else 0
    return Answer(way, content, size_bytes, notes_in(content), stopped_seconds)


def _check_command(request: Request) -> None:
    if request.command == "snapshot":
        raise RefusalError("only a MemoryProfiler keeps snapshots")


_GIL_ADVICE = (
    "a thread of it computes in C and has not released the GIL; try again, or wait for longer with"
    " --timeout"
)
_REMOTE_ADVICE = (
    "its main thread waits or computes in C and has not come back to Python; try again when it does,"
    " or wait for longer with --timeout"
)


def _ask_remote(target: Target, exchange: Exchange, limit_seconds: float) -> dict[str, Any]:
    script = RemoteScript(target, exchange.script)
    is_answered = False
    try:
        content = _await(target, exchange, limit_seconds, _REMOTE_ADVICE, wakes=True)
        is_answered = True
    finally:
        if not is_answered:
            script.withdraw()
    return content


def _await(
    target: Target, exchange: Exchange, limit_seconds: float, advice: str, wakes: bool = False
) -> dict[str, Any]:
    """Wait for the answer; for at most ``limit_seconds`` until the process begins to work.

    ``wakes``: interrupt an event loop that waits, if the process has not begun at once.
    """
    begun = time.monotonic()
    pause_seconds = _POLL_SECONDS
    while True:
        answer = exchange.answer()
        if answer is not None:
            return answer
        if not target.is_alive:
            raise AttachError(f"process {target.pid} has ended before it answered")
        waited_seconds = time.monotonic() - begun
        if wakes and waited_seconds > _WAKE_SECONDS and not exchange.is_taken:
            interrupt_wait(target.pid)
            wakes = False
        if waited_seconds > limit_seconds and not exchange.is_taken and exchange.withdraw():
            raise RefusalError(f"it has not begun within {limit_seconds:g} s: {advice}")
        time.sleep(pause_seconds)
        pause_seconds = min(pause_seconds * 1.2, _MAX_POLL_SECONDS)
