"""``python -m memlens``: profile a program, examine snapshots, run a demo."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from memlens import __version__, _core
from memlens.cli.allocations import add_allocations_command
from memlens.cli.demo import add_demo_command
from memlens.cli.run import add_run_command
from memlens.cli.views import add_leak_commands, add_view_commands
from memlens.cli.watch import add_watch_command
from memlens.errors import MemlensError

__all__ = ("main",)

_INTERRUPTED = 130  # the exit code of shells for SIGINT


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code. That of ``run`` is the program's own."""
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return command(arguments)
    except MemlensError as error:
        print(f"memlens: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return _INTERRUPTED
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
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_demo_command(commands)
    add_run_command(commands)
    add_leak_commands(commands)
    add_view_commands(commands)
    add_allocations_command(commands)
    add_watch_command(commands)
    return parser
