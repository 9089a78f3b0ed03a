"""``python -m memlens``: run a program under the profiler, look at snapshots, see a demo."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from memlens import __version__, _core
from memlens.cli.allocation_views import add_allocation_commands
from memlens.cli.programs import add_program_commands
from memlens.cli.snapshot_views import add_view_commands
from memlens.errors import MemlensError

__all__ = ("main",)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code (of ``run``: the program's own)."""
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return command(arguments)
    except MemlensError as error:
        print(f"memlens: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Whoever read our output has enough (``| head``); the interpreter's own flush must not fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="memlens", description="What grows in a Python process, who holds it, and what to do."
    )
    version = (
        f"memlens {__version__} ({_core.IMPLEMENTATION} core, Python {sys.version.split()[0]})"
    )
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_program_commands(commands)
    add_view_commands(commands)
    add_allocation_commands(commands)
    return parser
