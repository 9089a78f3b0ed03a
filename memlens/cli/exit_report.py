"""The end of ``run``: the last snapshot and the report, also after SIGTERM or without memory.

A limit on memory (``ulimit -v``) ends programs by a MemoryError, and then there is no memory for a
report either. Some is therefore reserved at the start. If that is not enough, the snapshots are
analysed in a new process, where the program's memory does not count.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import FrameType

from memlens._atomic import check_writable, make_folder, write_whole
from memlens._text import format_bytes
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.cli.child_reports import ChildReports, report_children
from memlens.cli.follow_children import not_followed
from memlens.cli.json_schema import stamped
from memlens.cli.report_options import ReportOptions
from memlens.cli.working import Estimate
from memlens.errors import MemlensError, OutputError
from memlens.leaks.baselines import Baseline
from memlens.profiler.memory_profiler import MemoryProfiler
from memlens.profiler.profiler_report import ProfilerReport
from memlens.progress import following
from memlens.report.terminal import show
from memlens.triggers.reserve import MemoryReserve

__all__ = ("ExitReport", "report_on_sigterm")

_REDRAW_SECONDS = 1.0


class ExitReport:
    """Stops the profiler with a last snapshot and reports to stderr and to the files wanted.

    ``leak_options`` are the options of the command ``report`` that say which suspects are known,
    for an analysis in a new process. ``starter_files`` are the files of memlens whose frames
    precede the program in a call path.
    """

    def __init__(
        self,
        profiler: MemoryProfiler,
        options: ReportOptions,
        *,
        leak_options: Sequence[str] = (),
        starter_files: frozenset[str],
    ) -> None:
        self._profiler = profiler
        self._options = options.absolute()
        self._leak_options = list(leak_options)
        self._starter_files = starter_files
        self._reserve = MemoryReserve()
        self._reserve.take()
        self._pid = os.getpid()
        self._children = ChildReports((), 0)
        self.has_begun = False
        self.could_not_write = False  # a file that was asked for is missing

    def check_outputs(self) -> None:
        """Check, before the program runs, that the files that were asked for can be written.

        Creates the output folder. Raises ``OutputError`` if a file or the folder cannot be written.
        """
        if self._options.output_dir:
            make_folder(self._options.output_dir)
            check_writable(os.path.join(self._options.output_dir, "report.txt"))
        for path in (self._options.html_path, self._options.save_baseline):
            if path:
                check_writable(path)

    def finish(self) -> None:
        """Take the last snapshot and report, once. Failures are printed in one line each."""
        if self.has_begun:
            return
        self.has_begun = True
        self._reserve.release()
        if os.getpid() != self._pid:  # a forked child: its parent reports it
            _attempt(lambda: self._profiler.stop(last_snapshot="exit"))
            return
        with _shown_while_working("taking the last snapshot"):
            _attempt(lambda: self._profiler.stop(last_snapshot="exit"))
        _attempt(self._look_at_children)
        _attempt(self._report)

    def _look_at_children(self) -> None:
        paths = self._profiler.snapshots_of_children()
        failures = not_followed(self._profiler.output_dir) if self._options.follow_children else []
        if paths or failures:
            with _shown_while_working(f"analysing {len(paths)} child processes"):
                options = self._profiler.ignore, self._profiler.baseline
                self._children = report_children(paths, *options, failures)

    def note_last_moment(self) -> None:
        """Take a snapshot while the variables of a function that returns are alive."""
        _attempt(lambda: self._profiler.take_snapshot("return"))

    def note_request(self) -> None:
        """Take a snapshot that was requested from outside, unless the end has begun."""
        if not self.has_begun:
            _attempt(lambda: self._profiler.take_snapshot("request"))

    def _report(self) -> None:
        try:
            with _shown_while_working(f"analysing {len(self._profiler.snapshots)} snapshots"):
                report = self._profiler.report()
        except (MemlensError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
        else:
            self._print(report)
            return
        self._report_in_new_process()

    def _print(self, report: ProfilerReport) -> None:
        complete, profile = report, report.allocations if self._options.show_allocations else None
        report = replace(report, allocations=self._from_program(profile) if profile else None)
        if self._options.show_allocations and profile is None:
            print("memlens: there is no allocation profile (see above)", file=sys.stderr)
        if not self._options.output_dir:  # the files are deleted now, so none is listed
            records = tuple(replace(record, path="") for record in report.snapshots)
            report = replace(report, snapshots=records)
        values = {**report.to_dict(), **self._children.to_dict()}
        text = json.dumps(stamped("run", values), indent=1)
        plain = "\n\n".join(filter(None, [str(report), str(self._children)]))
        if self._options.as_json:
            print(text, file=sys.stderr)
        else:
            show(plain, sys.stderr)
        if self._options.save_baseline and report.leaks is not None:
            found = [report.leaks, *self._children.reports]
            baseline = Baseline(suspect for leaks in found for suspect in leaks)
            self._write(baseline.save, self._options.save_baseline)
        self._keep("report.txt", f"{plain}\n")
        self._keep("report.json", text)
        if self._options.output_dir and report.allocations is not None:
            self._write(
                report.allocations.save, os.path.join(self._options.output_dir, "allocations.json")
            )
        if self._options.html_path:
            self._write(lambda path: self._write_html(complete, path), self._options.html_path)

    def _write(self, write: Callable[[str], object], path: str) -> None:
        """Write a file; print and note a failure, so that the other files are written."""
        try:
            write(path)
        except (OutputError, OSError) as error:
            self.could_not_write = True
            print(f"memlens: {error}", file=sys.stderr)

    def _write_html(self, report: ProfilerReport, path: str) -> None:
        profile = report.allocations
        report = replace(report, allocations=self._from_program(profile) if profile else None)
        try:
            size_bytes = report.to_html(path, source=self._options.show_source)
        except (MemlensError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            self._write_html_in_new_process(path)
        else:
            print(f"memlens: {path}: {format_bytes(size_bytes)}", file=sys.stderr)

    def _write_html_in_new_process(self, path: str) -> None:
        """Write the report of the snapshots where the memory of the program does not count."""
        files = [record.path for record in self._profiler.snapshots]
        options = ["--source"] if self._options.show_source else []
        command = [sys.executable, "-m", "memlens", "html", *options, "-o", path, *files]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        self.could_not_write |= done.returncode != 0
        print(done.stdout, end="", file=sys.stderr)

    def _from_program(self, profile: AllocationProfile) -> AllocationProfile:
        """Return the profile with call paths that begin in the program, not in memlens."""
        rows = []
        for row in profile.rows:
            path = row.call_path
            begin = 1 + max(
                (i for i, frame in enumerate(path) if frame.file in self._starter_files), default=-1
            )
            rows.append(row._replace(call_path=path[begin:]) if begin < len(path) else row)
        return AllocationProfile(rows, profile.facts)

    def _report_in_new_process(self) -> None:
        """Analyse the snapshots where the memory of the program does not count."""
        paths = [record.path for record in self._profiler.snapshots]
        if not paths:
            print("memlens: out of memory before the first snapshot", file=sys.stderr)
            return
        options = [*self._leak_options, *(["--json"] if self._options.as_json else [])]
        command = [sys.executable, "-m", "memlens", "report", *options, *paths]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        print(done.stdout, end="", file=sys.stderr)
        if done.returncode == 0:
            self._keep("report.json" if self._options.as_json else "report.txt", done.stdout)
        if self._options.html_path:
            self._write_html_in_new_process(self._options.html_path)

    def _keep(self, name: str, text: str) -> None:
        if self._options.output_dir:
            path = os.path.join(self._options.output_dir, name)
            self._write(lambda path: write_whole(path, text.encode()), path)


@contextmanager
def report_on_sigterm(report: ExitReport, clean_up: Callable[[], object]) -> Iterator[None]:
    """Within the block let SIGTERM write the report before it ends the process.

    The process still dies of the signal, so its exit status is the same as without memlens. A
    second SIGTERM ends it at once. Does nothing if the program handles or ignores the signal, and
    in its forked children.
    """
    is_main_thread = threading.current_thread() is threading.main_thread()
    if not is_main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    pid = os.getpid()
    was_interrupted = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal was_interrupted
        signal.signal(number, signal.SIG_DFL)
        if os.getpid() != pid:
            os.kill(os.getpid(), number)
        elif report.has_begun:  # the report is being written below this handler: let it finish
            was_interrupted = True
        else:
            with ExitStack() as stack:  # the callbacks run even if the report fails
                stack.callback(os.kill, pid, number)
                stack.callback(clean_up)
                report.finish()

    signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is handle:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if was_interrupted and os.getpid() == pid:
            clean_up()
            os.kill(pid, signal.SIGTERM)


@contextmanager
def _shown_while_working(what: str) -> Iterator[None]:
    """Say on a terminal what takes time and how long it will take; clear the line at the end.

    The line is written by the work itself: threads of the program may be counted.
    """
    if not sys.stderr.isatty():
        yield
        return
    estimate, width, next_seconds = Estimate(), 0, _REDRAW_SECONDS

    def write(text: str) -> None:
        nonlocal width
        width = max(width, len(text))
        print(f"\r{text.ljust(width)}", end="", flush=True, file=sys.stderr)

    def reach(share: float) -> None:
        nonlocal next_seconds
        estimate.reach(share)
        if estimate.elapsed_seconds >= next_seconds:
            next_seconds = estimate.elapsed_seconds + _REDRAW_SECONDS
            write(f"memlens: {what} ... {estimate.text()}")

    write(f"memlens: {what} ...")
    try:
        with following(reach):
            yield
    finally:
        print(f"\r{' ' * width}\r", end="", flush=True, file=sys.stderr)


def _attempt(step: Callable[[], object]) -> None:
    """Run a step of the end. A failure must not replace the outcome of the program."""
    try:
        step()
    except MemoryError:
        print("memlens: out of memory", file=sys.stderr)
    except (MemlensError, OSError) as error:
        print(f"memlens: {error}", file=sys.stderr)


def _is_out_of_memory(error: BaseException) -> bool:
    cause = error.__cause__
    return isinstance(error, MemoryError) or (
        isinstance(cause, OSError) and cause.errno == errno.ENOMEM
    )
