"""``python -m memlens``: run a program under the profiler, look at snapshots, see a demo."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from memlens import __version__, _core
from memlens.errors import MemlensError
from memlens.files import load
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.report import make_leak_report
from memlens.report.text import show
from memlens.run import run_watched
from memlens.script import Program, load_module, load_script

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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="memlens", description="What grows in a Python process, who holds it, and what to do."
    )
    version = (
        f"memlens {__version__} ({_core.IMPLEMENTATION} core, Python {sys.version.split()[0]})"
    )
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="a small service with a leak, found and explained")
    demo.add_argument("--json", action="store_true", help="print the report as JSON")
    demo.set_defaults(command=_demo)

    run = commands.add_parser(
        "run",
        help="run a program and report what leaked",
        usage="memlens run [-o DIR] [--json] [--snapshot-interval S] SCRIPT | -m MODULE [ARG ...]",
    )
    run.add_argument("-o", "--output", metavar="DIR", help="keep snapshots and the report in DIR")
    run.add_argument("--json", action="store_true", help="write the report as JSON")
    run.add_argument(
        "--snapshot-interval",
        type=_positive_seconds,
        metavar="S",
        help="seconds between snapshots (by default 1, 2, 4, 8 and so on up to an hour)",
    )
    run.add_argument("-m", dest="module", nargs=argparse.REMAINDER, help="run a module")
    run.add_argument("script", nargs=argparse.REMAINDER, help="the program and its arguments")
    run.set_defaults(command=_run)

    report = commands.add_parser("report", help="one snapshot: a summary; two or more: what leaks")
    report.add_argument("files", nargs="+", metavar="FILE")
    report.add_argument("--json", action="store_true", help="print the report as JSON")
    report.set_defaults(command=_report)
    return parser


def _positive_seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of seconds")
    return seconds


# -- demo ------------------------------------------------------------------------------------------


def _demo(arguments: argparse.Namespace) -> int:
    from memlens.demo.watch import run_demo

    started = time.perf_counter()
    report = run_demo(lambda line: print(line, file=sys.stderr))
    _print(report, arguments.json)
    print(f"Found in {time.perf_counter() - started:.1f} s.", file=sys.stderr)
    return 0


# -- report ----------------------------------------------------------------------------------------


def _report(arguments: argparse.Namespace) -> int:
    snapshots = [_load_snapshot(path) for path in arguments.files]
    value = snapshots[0].summary() if len(snapshots) == 1 else make_leak_report(snapshots)
    _print(value, arguments.json)
    return 0


def _load_snapshot(path: str) -> HeapSnapshot:
    snapshot = load(path)
    assert isinstance(snapshot, HeapSnapshot)
    return snapshot


def _print(value: Any, as_json: bool) -> None:
    if as_json:
        json.dump(value.to_dict(), sys.stdout, indent=1)
        print()
    else:
        show(value, sys.stdout)


# -- run -------------------------------------------------------------------------------------------


def _run(arguments: argparse.Namespace) -> int:
    return run_watched(
        _program(arguments),
        output_dir=arguments.output,
        snapshot_interval=arguments.snapshot_interval,
        as_json=arguments.json,
    )


def _program(arguments: argparse.Namespace) -> Program:
    if arguments.module:
        return load_module(arguments.module[0], arguments.module[1:])
    if not arguments.script:
        raise MemlensError("run what? give a SCRIPT or -m MODULE: memlens run script.py arg ...")
    return load_script(arguments.script[0], arguments.script[1:])
