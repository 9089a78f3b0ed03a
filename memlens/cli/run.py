"""Running a program under the profiler: what ``python -m memlens run`` does."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.cli.script import Program, installed, without_our_frames
from memlens.errors import MemlensError, OutputError
from memlens.profiler.memory_profiler import MemoryProfiler
from memlens.profiler.profiler_report import ProfilerReport
from memlens.report.terminal import show

__all__ = ("run_watched",)

_LONGEST_INTERVAL_SECONDS = 3600


def run_watched(
    program: Program,
    *,
    output_dir: str | None = None,
    snapshot_interval: float | None = None,
    as_json: bool = False,
    show_allocations: bool = False,
) -> int:
    """Run a program to its end under a profiler, report to stderr, and return its exit code.

    ``output_dir`` keeps snapshots and the report; without it nothing is kept. The default of
    ``snapshot_interval`` doubles from one second to an hour. Allocations are sampled, so that
    suspects name where their objects were allocated; ``show_allocations`` reports and keeps the
    profile too. ``SystemExit`` of the program passes.
    """
    with ExitStack() as stack:
        folder = output_dir or stack.enter_context(
            tempfile.TemporaryDirectory(prefix="memlens-run-")
        )
        profiler = MemoryProfiler(
            folder,
            sample_interval=1.0,
            snapshot_interval=snapshot_interval or _doubling_interval,
            on_alert=lambda report: None,  # the report at the end says it all
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
    """Seconds to the next snapshot: a program of any length gets a few, spread over its life."""
    return float(min(2**taken, _LONGEST_INTERVAL_SECONDS))


class _Outcome:
    """How the program ended, said as the interpreter says it."""

    _error: BaseException | None = None

    def run(self, program: Program) -> None:
        try:
            program.run()
            _join_threads()
        except SystemExit:
            raise
        except BaseException as error:  # noqa: BLE001 - the program's, whatever it is; passed on
            self._error = error
            error.__traceback__ = without_our_frames(error.__traceback__)
            sys.excepthook(type(error), error, error.__traceback__)

    def exit_code(self) -> int:
        if type(self._error) is KeyboardInterrupt:
            # As the interpreter does: let the shell see that the signal ended the program.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.raise_signal(signal.SIGINT)
        return 0 if self._error is None else 1


def _join_threads() -> None:
    """Wait for the program's threads, as the interpreter does at its end."""
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.main_thread():
            thread.join()


def _finish(
    profiler: MemoryProfiler, output_dir: str | None, as_json: bool, show_allocations: bool
) -> None:
    """Take the last snapshot and write the report: to stderr, and to the output folder."""
    steps: list[Callable[[], object]] = [
        lambda: profiler.stop(last_snapshot="exit"),
        lambda: _report(profiler.report(), output_dir, as_json, show_allocations),
    ]
    for step in steps:
        try:
            step()
        except MemlensError as error:
            # The program's own outcome must pass: its exit code is not ours to change.
            print(f"memlens: {error}", file=sys.stderr)


def _report(
    report: ProfilerReport, output_dir: str | None, as_json: bool, show_allocations: bool
) -> None:
    profile = report.allocations if show_allocations else None
    report = replace(report, allocations=_of_the_program(profile) if profile else None)
    if show_allocations and profile is None:
        print("memlens: there is no allocation profile (see above)", file=sys.stderr)
    text = json.dumps(report.to_dict(), indent=1)
    if as_json:
        print(text, file=sys.stderr)
    else:
        show(report, sys.stderr)
    if output_dir:
        _write(os.path.join(output_dir, "report.txt"), f"{report}\n")
        _write(os.path.join(output_dir, "report.json"), text)
        if report.allocations is not None:
            report.allocations.save(os.path.join(output_dir, "allocations.json"))


def _of_the_program(profile: AllocationProfile) -> AllocationProfile:
    """Return the profile with call paths that begin with the program, not with what started it."""
    starters = {__file__, Program.run.__code__.co_filename}
    rows = []
    for row in profile.rows:
        path = row.call_path
        begin = 1 + max((i for i, frame in enumerate(path) if frame.file in starters), default=-1)
        rows.append(row._replace(call_path=path[begin:]) if begin < len(path) else row)
    return AllocationProfile(rows, profile.facts)


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise OutputError(f"cannot write {path!r}: {error.strerror}") from error
