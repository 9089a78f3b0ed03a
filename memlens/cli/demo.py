"""The command ``demo``: a small service with a leak, which is found and explained."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from memlens.cli.output import add_json, print_value

__all__ = ("add_demo_command",)


def add_demo_command(commands: Any) -> None:
    """Add the parser of the command to the subparsers of the command line."""
    parser = commands.add_parser("demo", help="find and explain the leak of a small service")
    add_json(parser)
    parser.set_defaults(command=_demo, in_main_thread=True)


def _demo(arguments: argparse.Namespace) -> int:
    from memlens.demo.tour import run_demo

    started = time.perf_counter()
    report = run_demo(lambda line: print(line, file=sys.stderr))
    print_value(report, arguments.json, schema="leaks")
    print(f"Found in {time.perf_counter() - started:.1f} s.", file=sys.stderr)
    return 0
