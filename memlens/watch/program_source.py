"""The source that starts a program under ``memlens run`` and watches it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from memlens._text import end_cut
from memlens.errors import OptionError
from memlens.watch.process_source import ProcessReader
from memlens.watch.snapshot_files import SnapshotFiles
from memlens.watch.source import SourceState

__all__ = ("ProgramSource",)

_OUTPUT = "output.txt"
_TAIL_BYTES = 64 * 1024
_GRACE_SECONDS = 10.0  # for the report of ``run`` after SIGTERM


class ProgramSource:
    """A program that memlens starts: readings, snapshots and output; it ends with the source.

    ``program``: the arguments of ``memlens run``: a script or ``-m module``, and its arguments.
    ``output_dir`` keeps the snapshots; without it they are in a temporary folder, which `close`
    deletes.
    """

    def __init__(
        self,
        program: Sequence[str],
        *,
        output_dir: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not program:
            raise OptionError("no program given; use: memlens watch -- SCRIPT [ARG ...]")
        self._words = list(program)
        self._own_folder = tempfile.mkdtemp(prefix="memlens-watch-")
        self._folder = os.path.abspath(output_dir) if output_dir else self._own_folder
        self._output_path = os.path.join(self._own_folder, _OUTPUT)
        read, self._requests = os.pipe()
        try:
            self._process = self._start(read)
        except BaseException:
            self._delete()
            raise
        finally:
            os.close(read)
        try:
            self._reader = ProcessReader(self._process.pid, clock)
        except BaseException:
            self.close()
            raise
        self._files = SnapshotFiles([self._folder], self._process.pid)

    def _start(self, requests: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "memlens", "run", "-o", self._folder]
        command += ["--snapshot-requests", str(requests), *self._words]
        with open(self._output_path, "wb") as output:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                pass_fds=[requests],
                start_new_session=True,  # Ctrl-C and the size of the terminal are for the screen
            )

    @property
    def title(self) -> str:
        """The program, its process and how it ended."""
        text = f"process {self._process.pid}: {end_cut(' '.join(self._words), 60)}"
        code = self._process.poll()
        if code is None:
            return text
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"{text} (ended, {how})"

    def poll(self) -> SourceState:
        """Return a reading and the snapshots so far.

        Readings are those of the program: they begin with the first snapshot, before which the
        interpreter and memlens start, and stop at the snapshot of its end, after which memlens
        analyses in its process.
        """
        is_ended = self._process.poll() is not None
        files = self._files.refresh()
        works = files and not is_ended and self._files.ended_at is None
        reading = self._reader.read(self._files.own_bytes) if works else None
        return SourceState(
            () if reading is None else (reading,),
            tuple(file.path for file in files),
            is_ended,
            self._note(is_ended),
            self._files.ended_at,
        )

    def _note(self, is_ended: bool) -> str:
        code = self._process.returncode
        if is_ended and code:
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            return f"the program ended with {how}: press o for its output"
        return self._files.note()

    def take_snapshot(self) -> None:
        """Let the program take a snapshot. Raises ``OptionError`` if it has ended."""
        try:
            os.write(self._requests, b"\n")
        except OSError as error:
            raise OptionError("the program has ended: there is nothing to snapshot") from error

    def output_tail(self) -> str | None:
        """Return the end of what the program has written, at most 64 KiB."""
        try:
            with open(self._output_path, "rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _TAIL_BYTES))
                return file.read().decode("utf-8", "replace")
        except OSError:
            return None

    def close(self) -> None:
        """End the program, which may write its report first, and delete temporary files."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._delete()

    def _delete(self) -> None:
        requests, self._requests = self._requests, -1
        if requests >= 0:
            with suppress(OSError):
                os.close(requests)
        shutil.rmtree(self._own_folder, ignore_errors=True)
