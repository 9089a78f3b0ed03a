"""The command ``watch``: a live screen over a process, snapshot files, or a program that it starts."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from memlens.cli.output import positive_seconds
from memlens.errors import MissingExtraError, OptionError

if TYPE_CHECKING:
    from memlens.watch.source import Source

__all__ = ("add_watch_command", "source_of")


def add_watch_command(commands: Any) -> None:
    """Add the parser of the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "watch",
        help="watch a process, snapshot files, or a program, live in the terminal",
        usage="memlens watch [-o DIR] [--interval S] PID | FILE ... | -- SCRIPT | -m MODULE [ARG ...]",
    )
    parser.add_argument(
        "-o", "--output", metavar="DIR",
        help="write reports to DIR, and keep the snapshots of a program there (default: reports in"
        " the working directory)",
    )  # fmt: skip
    parser.add_argument(
        "--interval", type=positive_seconds, default=1.0, metavar="S",
        help="seconds between readings (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "what", nargs=argparse.REMAINDER, metavar="PID | FILE ... | -- SCRIPT [ARG ...]",
        help="a process id; snapshot files or a folder of them; or a program and its arguments",
    )  # fmt: skip
    parser.set_defaults(command=_watch, in_main_thread=True)


def _watch(arguments: argparse.Namespace) -> int:
    _check_terminal()
    try:
        from memlens.watch.app import WatchApp
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("textual", "rich"):
            raise
        raise MissingExtraError("watch needs textual: pip install 'memlens[tui]'") from error
    source = source_of(arguments.what, arguments.output)
    try:
        app = WatchApp(
            source,
            interval_seconds=arguments.interval,
            report_dir=arguments.output or ".",
            handle_signals=True,
        )
        app.run()
    finally:
        source.close()
    with suppress(OSError):  # after SIGHUP the terminal is gone
        for path in _kept(app.written, arguments.output):
            print(f"memlens: written: {path}", file=sys.stderr)
    if app.ended_by is not None:
        from memlens.cli.ending import end_by

        return end_by(app.ended_by)
    return app.return_code or 0


def _kept(written: Sequence[str], output_dir: str | None) -> list[str]:
    """Return the report files that remain: those of the screen and that of a program's end."""
    names = ("report.txt", "report.json") if output_dir else ()
    ends = [os.path.join(output_dir or "", name) for name in names]
    return [os.path.abspath(path) for path in (*written, *filter(os.path.exists, ends))]


def _check_terminal() -> None:
    streams = (sys.stdin, sys.stdout, sys.stderr)
    if os.environ.get("TERM", "") in ("", "dumb") or not all(one.isatty() for one in streams):
        raise OptionError(
            "watch needs a terminal; without one use: memlens report FILE ..., or memlens run SCRIPT"
        )


def source_of(words: Sequence[str], output_dir: str | None = None) -> Source:
    """Return the source that the words of the command line name.

    Raises ``OptionError`` if there are none, or if they name no process, file or program.
    """
    if not words:
        raise OptionError("nothing to watch; use: memlens watch PID, FILE ... or -- SCRIPT")
    if words[0] in ("--", "-m") or words[0].endswith(".py"):
        from memlens.watch.program_source import ProgramSource

        program = list(words[1:] if words[0] == "--" else words)
        return ProgramSource(program, output_dir=output_dir)
    if len(words) == 1 and words[0].isdecimal() and not os.path.exists(words[0]):
        from memlens.watch.process_source import ProcessSource

        return ProcessSource(int(words[0]))
    from memlens.watch.files_source import FilesSource

    return FilesSource(words)
