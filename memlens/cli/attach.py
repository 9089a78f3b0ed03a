"""The commands that ask a running process: dump, attach, stacks; and report with a process id."""

from __future__ import annotations

import argparse
import os
import secrets
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from memlens._atomic import check_writable, make_folder
from memlens._text import format_bytes, format_count, printable
from memlens.attach.request import Request
from memlens.attach.stacks import ProcessStacks
from memlens.attach.target import Target
from memlens.attach.ways import WAYS, Answer, ask
from memlens.cli.output import add_json, positive_integer, positive_seconds, print_value
from memlens.errors import AttachError

__all__ = ("add_attach_commands", "process_of", "snapshot_paths_of")

_TIMEOUT_SECONDS = 10.0


def add_attach_commands(commands: Any) -> None:
    """Add ``dump``, ``attach`` and ``stacks`` to the subparsers of the command line."""
    dump = _add(commands, "dump", "take a heap snapshot of a running process", _dump)
    dump.add_argument(
        "-o", "--output", metavar="FILE",
        help="the snapshot file (default: heap-dump-TIME-PID-START.memlens in the working directory)",
    )  # fmt: skip
    attach = _add(commands, "attach", "start a profiler in a running process", _attach)
    attach.add_argument(
        "-o", "--output", metavar="DIR",
        help="the folder for its snapshots and reports; of a process in a container, as that names it"
        " (default: memory-profiles here if the process can write here, else in its folder for"
        " temporary files)",
    )  # fmt: skip
    attach.add_argument("--stop", action="store_true", help="stop the profiler that attach started")
    add_json(_add(commands, "stacks", "show where threads and asyncio tasks stand", _stacks))


def _add(commands: Any, name: str, purpose: str, command: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=purpose)
    parser.add_argument("pid", type=positive_integer, metavar="PID", help="the process id")
    parser.add_argument(
        "--way", choices=WAYS,
        help="only this way to the process (default: its profiler's socket, then Python's remote"
        " debugging, then gdb)",
    )  # fmt: skip
    parser.add_argument(
        "--timeout", type=positive_seconds, default=_TIMEOUT_SECONDS, metavar="S",
        help=f"seconds the process may take to begin (default: {_TIMEOUT_SECONDS:g})",
    )  # fmt: skip
    # In the main thread: an interrupt must withdraw the request and delete its files.
    parser.set_defaults(command=command, in_main_thread=True)
    return parser


def _ask(arguments: argparse.Namespace, target: Target, request: Request, **more: Any) -> Answer:
    answer = ask(
        target, request, way=arguments.way, timeout_seconds=arguments.timeout, **more
    )  # fmt: skip
    _show_notes(answer)
    return answer


def _show_notes(answer: Answer) -> None:
    for note in answer.notes:
        print(f"memlens: {printable(note)}", file=sys.stderr)


def _dump(arguments: argparse.Namespace) -> int:
    target = Target(arguments.pid)
    path = arguments.output or _default_name(target)
    check_writable(path)
    answer = _ask(arguments, target, Request("dump"), snapshot_path=path)
    pause_ms = float(answer.content["pause_seconds"]) * 1000
    stopped_ms = answer.stopped_seconds * 1000
    by_debugger = f", and {stopped_ms:.0f} ms for the debugger" if stopped_ms else ""
    print(
        f"{path}: {format_count(int(answer.content['object_count']))} objects,"
        f" {format_bytes(answer.size_bytes)}; the process paused for {pause_ms:.0f} ms{by_debugger}"
    )
    return 0


def _default_name(target: Target) -> str:
    now = time.time()
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now)) + f"{int(now % 1 * 1e3):03d}Z"
    return f"heap-dump-{stamp}-{target.pid}-{target.token}.memlens"


def _attach(arguments: argparse.Namespace) -> int:
    target = Target(arguments.pid)
    if arguments.stop:
        answer = _ask(arguments, target, Request("stop"))
        print(f"the profiler in process {target.pid} has stopped: {_folder(target, answer)}")
        return 0
    answer = _ask(arguments, target, Request("attach", _output_dir(target, arguments.output)))
    folder = _folder(target, answer)
    if answer.content["was_running"]:
        print(f"a profiler runs in process {target.pid} already; its snapshots are in {folder}")
    else:
        print(
            f"a profiler has started in process {target.pid}; its snapshots are in {folder}\n"
            f"  leaks so far:  python -m memlens report {target.pid}\n"
            f"  stop it:       python -m memlens attach --stop {target.pid}"
        )
    return 0


def _folder(target: Target, answer: Answer) -> str:
    return printable(target.seen(str(answer.content["output_dir"])))


def _output_dir(target: Target, given: str | None) -> str:
    """Return the folder for an attached profiler, as the process names it."""
    if given is not None:
        return os.path.abspath(given) if target.shares_files else given
    if target.shares_files and target.user == os.geteuid() and os.access(".", os.W_OK):
        return make_folder(os.path.abspath("memory-profiles"))
    temporary = target.environment.get("TMPDIR", "/tmp")
    # A name that no other user can know before, who could create the folder.
    return os.path.join(temporary, f"memory-profiles-{target.pid}-{secrets.token_hex(8)}")


def _stacks(arguments: argparse.Namespace) -> int:
    target = Target(arguments.pid)
    answer = _ask(arguments, target, Request("stacks"))
    stacks = ProcessStacks.of(target.pid, answer.content)
    print_value(stacks, arguments.json, schema="stacks")
    return 0


def process_of(words: Sequence[str]) -> int | None:
    """Return the process id that the words of ``report`` name; None if they name files."""
    if len(words) == 1 and words[0].isdecimal() and not os.path.exists(words[0]):
        return int(words[0])
    return None


def snapshot_paths_of(
    pid: int, stack: ExitStack, say: Callable[[str], object] | None = None
) -> list[str]:
    """Take a snapshot of a process and return the paths of its snapshots, the oldest first.

    Where a profiler runs, they are all that it keeps; else only the new one, in a temporary file
    that is deleted when ``stack`` ends. ``say`` is called with notes for the user.
    """
    say = say or (lambda text: print(f"memlens: {text}", file=sys.stderr))
    target = Target(pid)
    try:
        answer = ask(target, Request("snapshot"), way="socket")
        return [_snapshot_path(target, path) for path in answer.content["snapshots"]]
    except AttachError as error:
        if "socket:" not in str(error):
            raise
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="memlens-report-"))
    path = os.path.join(folder, "snapshot.memlens")
    answer = ask(target, Request("dump"), snapshot_path=path)
    for note in answer.notes:
        say(note)
    say(
        "no profiler answers in the process, so this is one snapshot; leaks show between several:"
        f" python -m memlens attach {pid}, and later: python -m memlens report {pid}"
    )
    return [path]


def _snapshot_path(target: Target, path: str) -> str:
    """Return where the snapshot is that a process names; of another user only a file of that user."""
    seen = target.seen(path)
    if target.user != os.geteuid() and os.path.lexists(seen):
        status = os.lstat(seen)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != target.user:
            raise AttachError(
                f"process {target.pid} names a file of another user: {printable(path)}"
            )
    return seen
