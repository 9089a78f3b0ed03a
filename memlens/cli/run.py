"""The command ``run``: runs a program under the profiler and reports its leaks."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from memlens._atomic import write_whole
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.cli.output import add_json, positive_seconds
from memlens.cli.script import Program, installed, load_module, load_script, without_own_frames
from memlens.errors import MemlensError
from memlens.profiler.memory_profiler import MemoryProfiler
from memlens.profiler.profiler_report import ProfilerReport
from memlens.report.terminal import show

__all__ = ("add_run_command", "run_profiled")

_MAX_INTERVAL_SECONDS = 3600


def add_run_command(commands: Any) -> None:
    """Add the parser of the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "run",
        help="run a program and report its leaks",
        usage="memlens run [-o DIR] [--json] [--snapshot-interval S] [--allocations]"
        " SCRIPT | -m MODULE [ARG ...]",
    )
    parser.add_argument("-o", "--output", metavar="DIR", help="keep snapshots and report in DIR")
    add_json(parser)
    parser.add_argument(
        "--snapshot-interval",
        type=positive_seconds,
        metavar="S",
        help="seconds between snapshots (default: 1, 2, 4, 8 and so on up to an hour)",
    )
    parser.add_argument(
        "--allocations",
        action="store_true",
        help="report where memory was allocated, too; with -o, write DIR/allocations.json",
    )
    parser.add_argument("-m", dest="module", nargs=argparse.REMAINDER, help="run a module")
    parser.add_argument("script", nargs=argparse.REMAINDER, help="the program and its arguments")
    parser.set_defaults(command=_run)


def _run(arguments: argparse.Namespace) -> int:
    return run_profiled(
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
        raise MemlensError("no program given; use: memlens run SCRIPT [ARG ...], or -m MODULE")
    return load_script(arguments.script[0], arguments.script[1:])


def run_profiled(
    program: Program,
    *,
    output_dir: str | None = None,
    snapshot_interval: float | None = None,
    as_json: bool = False,
    show_allocations: bool = False,
) -> int:
    """Run a program under the profiler, print the report to stderr, and return its exit code.

    ``output_dir`` keeps the snapshots and the report; without it nothing is kept. By default the
    ``snapshot_interval`` doubles from one second to an hour. Allocations are always sampled, so
    that suspects show their allocation sites; ``show_allocations`` also reports and keeps the
    profile. ``SystemExit`` of the program passes.
    """
    with ExitStack() as stack:
        folder = output_dir or stack.enter_context(
            tempfile.TemporaryDirectory(prefix="memlens-run-")
        )
        profiler = MemoryProfiler(
            folder,
            sample_interval=1.0,
            snapshot_interval=snapshot_interval or _doubling_interval,
        )
        stack.enter_context(installed(program))
        profiler.start()
        outcome = _Outcome()
        try:
            outcome.run(program)
        finally:
            _finish(profiler, output_dir, as_json, show_allocations)
    return outcome.exit_code()


def _doubling_interval(taken: int) -> float:
    """Return the seconds to the next snapshot; programs of any length get a few snapshots."""
    return float(min(2**taken, _MAX_INTERVAL_SECONDS))


class _Outcome:
    """The end of the program, reported as the interpreter reports it."""

    _error: BaseException | None = None

    def run(self, program: Program) -> None:
        try:
            program.run()
            _join_threads()
        except SystemExit:
            raise
        except BaseException as error:  # noqa: BLE001 - every error of the program is passed on
            self._error = error
            error.__traceback__ = without_own_frames(error.__traceback__)
            sys.excepthook(type(error), error, error.__traceback__)

    def exit_code(self) -> int:
        if type(self._error) is KeyboardInterrupt:
            # Like the interpreter: die of the signal, so that the shell notices the interrupt.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.raise_signal(signal.SIGINT)
        return 0 if self._error is None else 1


def _join_threads() -> None:
    """Wait for the program's threads, as the interpreter does at exit."""
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.main_thread():
            thread.join()


def _finish(
    profiler: MemoryProfiler, output_dir: str | None, as_json: bool, show_allocations: bool
) -> None:
    """Take the last snapshot and write the report to stderr and to the output folder."""
    steps: list[Callable[[], object]] = [
        lambda: profiler.stop(last_snapshot="exit"),
        lambda: _report(profiler.report(), output_dir, as_json, show_allocations),
    ]
    for step in steps:
        try:
            step()
        except MemlensError as error:
            # Must not replace the outcome of the program, which determines the exit code.
            print(f"memlens: {error}", file=sys.stderr)


def _report(
    report: ProfilerReport, output_dir: str | None, as_json: bool, show_allocations: bool
) -> None:
    profile = report.allocations if show_allocations else None
    report = replace(report, allocations=_from_program(profile) if profile else None)
    if show_allocations and profile is None:
        print("memlens: there is no allocation profile (see above)", file=sys.stderr)
    text = json.dumps(report.to_dict(), indent=1)
    if as_json:
        print(text, file=sys.stderr)
    else:
        show(report, sys.stderr)
    if output_dir:
        write_whole(os.path.join(output_dir, "report.txt"), f"{report}\n".encode())
        write_whole(os.path.join(output_dir, "report.json"), text.encode())
        if report.allocations is not None:
            report.allocations.save(os.path.join(output_dir, "allocations.json"))


def _from_program(profile: AllocationProfile) -> AllocationProfile:
    """Return the profile with call paths that begin in the program, without memlens's frames."""
    own_files = {__file__, Program.run.__code__.co_filename}
    rows = []
    for row in profile.rows:
        path = row.call_path
        begin = 1 + max((i for i, frame in enumerate(path) if frame.file in own_files), default=-1)
        rows.append(row._replace(call_path=path[begin:]) if begin < len(path) else row)
    return AllocationProfile(rows, profile.facts)
