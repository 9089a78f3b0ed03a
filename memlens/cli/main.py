"""``python -m memlens``: profile a program, examine snapshots, run a demo."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence

from memlens import __version__, _core
from memlens.cli.allocations import add_allocations_command
from memlens.cli.attach import add_attach_commands
from memlens.cli.convert import add_convert_command
from memlens.cli.demo import add_demo_command
from memlens.cli.ending import SHELL_OFFSET, end_by
from memlens.cli.fleet import add_fleet_command
from memlens.cli.html import add_html_command
from memlens.cli.json_schema import add_schema_command
from memlens.cli.mcp import add_mcp_command
from memlens.cli.run import add_run_command
from memlens.cli.tables import add_tables_command
from memlens.cli.views import add_leak_commands, add_view_commands
from memlens.cli.watch import add_watch_command
from memlens.cli.working import run_with_progress
from memlens.errors import MemlensError

__all__ = ("main", "start")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code. That of ``run`` is the program's own.

    An interrupt gives 130, as a shell reports it; `start` ends the process by the signal instead.
    """
    try:
        return _run_command(argv)
    except KeyboardInterrupt:
        return SHELL_OFFSET + signal.SIGINT


def start() -> int:
    """Run the command line as a process of its own, which ends by the signal that interrupts it."""
    try:
        return _run_command(None)
    except KeyboardInterrupt:
        return end_by(signal.SIGINT)


def _run_command(argv: Sequence[str] | None) -> int:
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        if getattr(arguments, "in_main_thread", False):
            return command(arguments)
        return run_with_progress(lambda: command(arguments), arguments.name)
    except MemlensError as error:
        print(f"memlens: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader closed the pipe (for example `| head`). Redirect stdout, because the interpreter
        # flushes it at exit and would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="memlens",
        description="Find memory leaks in Python programs: what grows, what refers to it, what to"
        " change.",
    )
    version = (
        f"memlens {__version__} ({_core.IMPLEMENTATION} core, Python {sys.version.split()[0]})"
    )
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="name")
    add_demo_command(commands)
    add_run_command(commands)
    add_leak_commands(commands)
    add_view_commands(commands)
    add_allocations_command(commands)
    add_html_command(commands)
    add_fleet_command(commands)
    add_tables_command(commands)
    add_watch_command(commands)
    add_attach_commands(commands)
    add_convert_command(commands)
    add_mcp_command(commands)
    add_schema_command(commands)
    return parser
