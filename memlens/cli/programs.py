"""The commands that watch programs: run, report, leaks, demo."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from memlens.cli.output import add_json, load_snapshot, print_value
from memlens.cli.run import run_watched
from memlens.cli.script import Program, load_module, load_script
from memlens.errors import MemlensError
from memlens.leaks.leak_report import find_leaks

__all__ = ("add_program_commands",)


def add_program_commands(commands: Any) -> None:
    """Add the parsers of the commands to the subparsers of the command line."""
    demo = commands.add_parser("demo", help="a small service with a leak, found and explained")
    add_json(demo)
    demo.set_defaults(command=_demo)

    run = commands.add_parser(
        "run",
        help="run a program and report what leaked",
        usage="memlens run [-o DIR] [--json] [--snapshot-interval S] [--allocations]"
        " SCRIPT | -m MODULE [ARG ...]",
    )
    run.add_argument("-o", "--output", metavar="DIR", help="keep snapshots and the report in DIR")
    add_json(run)
    run.add_argument(
        "--snapshot-interval",
        type=_positive_seconds,
        metavar="S",
        help="seconds between snapshots (by default 1, 2, 4, 8 and so on up to an hour)",
    )
    run.add_argument(
        "--allocations",
        action="store_true",
        help="report where memory was allocated too; with -o, keep DIR/allocations.json",
    )
    run.add_argument("-m", dest="module", nargs=argparse.REMAINDER, help="run a module")
    run.add_argument("script", nargs=argparse.REMAINDER, help="the program and its arguments")
    run.set_defaults(command=_run)

    for name, command, purpose in (
        ("report", _report, "one snapshot: a summary; two or more: what leaks"),
        ("leaks", _leaks, "what leaks between two or more snapshots of one process"),
    ):
        parser = commands.add_parser(name, help=purpose)
        parser.add_argument("files", nargs="+", metavar="FILE")
        add_json(parser)
        parser.set_defaults(command=command)


def _positive_seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of seconds")
    return seconds


def _demo(arguments: argparse.Namespace) -> int:
    from memlens.demo.tour import run_demo

    started = time.perf_counter()
    report = run_demo(lambda line: print(line, file=sys.stderr))
    print_value(report, arguments.json)
    print(f"Found in {time.perf_counter() - started:.1f} s.", file=sys.stderr)
    return 0


def _leaks(arguments: argparse.Namespace) -> int:
    report = find_leaks([load_snapshot(path) for path in arguments.files])
    print_value(report, arguments.json)
    return 0


def _report(arguments: argparse.Namespace) -> int:
    snapshots = [load_snapshot(path) for path in arguments.files]
    value = snapshots[0].summary() if len(snapshots) == 1 else find_leaks(snapshots)
    print_value(value, arguments.json)
    return 0


def _run(arguments: argparse.Namespace) -> int:
    return run_watched(
        _program(arguments),
        output_dir=arguments.output,
        snapshot_interval=arguments.snapshot_interval,
        as_json=arguments.json,
        show_allocations=arguments.allocations,
    )


def _program(arguments: argparse.Namespace) -> Program:
    if arguments.module:
        return load_module(arguments.module[0], arguments.module[1:])
    if not arguments.script:
        raise MemlensError("run what? give a SCRIPT or -m MODULE: memlens run script.py arg ...")
    return load_script(arguments.script[0], arguments.script[1:])
