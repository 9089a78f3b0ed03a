"""The command ``run``: runs a program under the profiler and reports its leaks."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from memlens.cli.exit_report import ExitReport, report_on_sigterm
from memlens.cli.follow_children import following
from memlens.cli.last_moment import last_moments
from memlens.cli.output import add_json, add_known, positive_seconds
from memlens.cli.report_options import ReportOptions
from memlens.cli.run_profiler import RunProfiler
from memlens.cli.script import Program, installed, load_module, load_script, without_own_frames
from memlens.cli.snapshot_requests import answer_requests
from memlens.errors import CaptureError, MemlensError

__all__ = ("add_run_command", "run_profiled")

_NOT_WRITTEN = 2  # the exit code if the program succeeded but a file of the report is missing


def add_run_command(commands: Any) -> None:
    """Add the parser of the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "run",
        help="run a program and report its leaks",
        usage="memlens run [-o DIR] [--html FILE] [--source] [--json] [--allocations]\n"
        "                   [--snapshot-interval S] [--ignore ID] [--baseline FILE]\n"
        "                   [--save-baseline FILE] [--follow-children]\n"
        "                   SCRIPT | -m MODULE [ARG ...]",
    )
    parser.add_argument("-o", "--output", metavar="DIR", help="keep snapshots and report in DIR")
    add_json(parser)
    add_known(parser)
    parser.add_argument(
        "--snapshot-interval",
        type=positive_seconds,
        metavar="S",
        help="seconds between snapshots (default: 0.25, then twice as long each time, up to an hour)",
    )
    parser.add_argument(
        "--allocations",
        action="store_true",
        help="report where memory was allocated, too; with -o, write DIR/allocations.json",
    )
    parser.add_argument(
        "--follow-children",
        action="store_true",
        help="report each Python that the program starts, too, not only forked ones",
    )
    parser.add_argument("--html", metavar="FILE", help="write a report with pictures, too")
    parser.add_argument(
        "--source", action="store_true", help="show lines of source in the file of --html"
    )
    parser.add_argument("--snapshot-requests", type=int, metavar="FD", help=argparse.SUPPRESS)
    parser.add_argument(
        "-m",
        dest="module",
        nargs=argparse.REMAINDER,
        help="run a module, as python -m does: -m MODULE [ARG ...]",
    )
    parser.add_argument(
        "script",
        nargs=argparse.REMAINDER,
        metavar="SCRIPT [ARG ...]",
        help="the program and its arguments",
    )
    parser.set_defaults(command=_run, in_main_thread=True)


def _run(arguments: argparse.Namespace) -> int:
    return run_profiled(
        _program(arguments),
        ReportOptions(
            output_dir=arguments.output,
            as_json=arguments.json,
            show_allocations=arguments.allocations,
            save_baseline=arguments.save_baseline,
            html_path=arguments.html,
            show_source=arguments.source,
            follow_children=arguments.follow_children,
        ),
        snapshot_interval=arguments.snapshot_interval,
        ignore=tuple(arguments.ignore),
        baseline=arguments.baseline,
        snapshot_requests=arguments.snapshot_requests,
    )


def _program(arguments: argparse.Namespace) -> Program:
    if arguments.module:
        return load_module(arguments.module[0], arguments.module[1:])
    if not arguments.script:
        raise MemlensError("no program given; use: memlens run SCRIPT [ARG ...], or -m MODULE")
    return load_script(arguments.script[0], arguments.script[1:])


def run_profiled(
    program: Program,
    options: ReportOptions,
    *,
    snapshot_interval: float | None = None,
    ignore: tuple[str, ...] = (),
    baseline: str | None = None,
    snapshot_requests: int | None = None,
) -> int:
    """Run a program under the profiler, print the report to stderr, and return its exit code.

    Without a folder in ``options`` no snapshots are kept. By default the ``snapshot_interval``
    doubles from a quarter of a second to an hour. From Python 3.12 on, a snapshot is also taken
    before a function that the program's module called returns. Allocations are always sampled, so
    that suspects show their allocation sites. ``ignore`` and ``baseline`` are those of
    `MemoryProfiler`. ``snapshot_requests``: a descriptor; each byte that arrives there requests a
    snapshot. ``SystemExit`` of the program passes.

    Raises ``OutputError`` before the program starts if a file cannot be written. If that fails at the
    end, the exit code is 2 where that of the program is 0.
    """
    with ExitStack() as stack:
        profiler = RunProfiler(
            options.output_dir or stack.enter_context(_temporary_folder()),
            run_pid=os.getpid(),
            snapshot_interval=snapshot_interval,
            follows=options.follow_children,
            ignore=ignore,
            baseline=baseline,
        )
        report = ExitReport(
            profiler,
            options,
            leak_options=[
                *(f"--ignore={pattern}" for pattern in ignore),
                *_paths("--baseline", baseline),
                *_paths("--save-baseline", options.save_baseline),
            ],
            starter_files=frozenset({__file__, Program.run.__code__.co_filename}),
        )
        report.check_outputs()
        stack.enter_context(installed(program))
        environment = stack.enter_context(ExitStack())
        if options.follow_children:
            environment.enter_context(following(profiler.output_dir, snapshot_interval))
            _end_with_workers(profiler)
        _start(profiler)
        if snapshot_requests is not None:
            answer_requests(snapshot_requests, report.note_request)
        outcome = _Outcome()
        with report_on_sigterm(report, stack.close):
            try:
                with last_moments(program.code, report.note_last_moment):
                    outcome.run(program)
            except SystemExit as end:
                environment.close()
                report.finish()
                if report.could_not_write and end.code in (None, 0):
                    raise SystemExit(_NOT_WRITTEN) from None
                raise
            finally:
                environment.close()
                report.finish()
    return outcome.exit_code() or (_NOT_WRITTEN if report.could_not_write else 0)


def _paths(option: str, path: str | None) -> list[str]:
    return [f"{option}={os.path.abspath(path)}"] if path else []


@contextmanager
def _temporary_folder() -> Iterator[str]:
    """Yield a folder that is deleted at the end by the process that created it, not by its children."""
    folder = tempfile.mkdtemp(prefix="memlens-run-")
    pid = os.getpid()
    try:
        yield folder
    finally:
        if os.getpid() == pid:
            shutil.rmtree(folder, ignore_errors=True)


def _end_with_workers(profiler: RunProfiler) -> None:
    from memlens.cli.followed import end_with_workers  # imports multiprocessing

    end_with_workers(profiler)


def _start(profiler: RunProfiler) -> None:
    try:
        profiler.start()
    except MemoryError as error:
        raise CaptureError(
            "not enough memory to start the profiler; raise the limit (ulimit -v), or run the"
            " program without memlens"
        ) from error


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
