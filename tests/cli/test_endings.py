"""Ctrl-C and other signals: each command ends without a traceback, by the signal's convention.

Each command runs in a process of its own with a pseudo-terminal, and is interrupted while it works.
"""

import errno
import importlib.util
import io
import os
import re
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import memlens
from memlens import progress
from memlens.cli import exit_report, working
from memlens.cli.main import main
from memlens.leaks.leak_report import find_leaks
from tests.clock import FakeClock
from tests.watch.heaps import planted, save

pty = pytest.importorskip("pty", reason="needs POSIX pseudo-terminals")
termios = pytest.importorskip("termios")

ROOT = str(Path(memlens.__file__).resolve().parent.parent)
# Reading a snapshot says so and then lasts, in C and without the GIL as the C core computes, or in
# Python; a signal wakes neither.
LASTING = """
import ctypes, sys, os
import memlens.heap.snapshot as module
def last(cls, path):
    print("working", file=sys.stderr, flush=True)
    {body}
module.HeapSnapshot.load = classmethod(last)
from memlens.__main__ import main
sys.argv = sys.argv[:1] + sys.argv[1:]
sys.exit(main())
"""
IN_C = "libc = ctypes.CDLL(None); end = 600\n    while libc.usleep(10_000_000) or True: pass"
IN_PYTHON = "while True: pass"
VIEWS = {
    "report": ["a.memlens"],
    "leaks": ["a.memlens", "b.memlens", "c.memlens"],
    "summary": ["a.memlens"],
    "dominators": ["a.memlens"],
    "paths": ["--largest", "a.memlens"],
    "stuck": ["a.memlens"],
    "duplicates": ["a.memlens"],
    "diff": ["a.memlens", "b.memlens"],
    "allocations": ["a.memlens"],
}
MAX_SECONDS = 100  # without any output of a command: it hangs
LOOP = "import time\nprint('working', flush=True)\nwhile True: time.sleep(60)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("snapshots")
    for path, name in zip(save(folder, planted(3)), "abc", strict=True):
        os.rename(path, folder / f"{name}.memlens")
    (folder / "loop.py").write_text(LOOP)
    return folder


class Terminal:
    """A command in a pseudo-terminal of 80 x 24, which is its controlling terminal."""

    def __init__(self, command, cwd, **environment):
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(cwd)
                os.environ.update(PYTHONPATH=ROOT, TERM="xterm-256color", LINES="24", COLUMNS="80")
                os.environ.update(environment)
                termios.tcsetwinsize(0, (24, 80))
                os.execv(command[0], command)
            finally:
                os._exit(99)
        self.output = b""

    def read_until(self, pattern):
        while not re.search(pattern, self.output):
            assert self._read(), f"ended before {pattern!r}: {self.output!r}"

    def _read(self):
        if not select.select([self.descriptor], [], [], MAX_SECONDS)[0]:
            os.kill(self.pid, signal.SIGKILL)
            pytest.fail(f"nothing came for {MAX_SECONDS} seconds: {self.output!r}")
        try:
            data = os.read(self.descriptor, 65536)
        except OSError as error:
            assert error.errno == errno.EIO  # the other end is closed
            data = b""
        self.output += data
        return data

    def send(self, keys):
        os.write(self.descriptor, keys)

    def end(self):
        """Read the rest, and return the status: minus the number of a signal, or the exit code."""
        while self._read():
            pass
        os.close(self.descriptor)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def lasting(body):
    return [sys.executable, "-c", LASTING.format(body=body)]


@pytest.mark.parametrize("name", VIEWS)
def test_interrupted_view_dies_of_the_signal_without_a_traceback(name, folder):
    terminal = Terminal([*lasting(IN_C), name, *VIEWS[name]], folder)
    terminal.read_until(b"working")
    terminal.send(b"\x03")
    assert terminal.end() == -signal.SIGINT
    assert b"Traceback" not in terminal.output
    assert b"Interrupt" not in terminal.output


def test_interrupt_ends_a_command_that_computes_in_python(folder):
    terminal = Terminal([*lasting(IN_PYTHON), "report", "a.memlens"], folder)
    terminal.read_until(b"working")
    terminal.send(b"\x03")
    assert terminal.end() == -signal.SIGINT


def test_interrupt_clears_the_progress_bar_and_shows_the_cursor(folder):
    terminal = Terminal([*lasting(IN_C), "summary", "a.memlens"], folder)
    terminal.read_until(b"memlens summary .* s")
    assert b"\x1b[?25l" in terminal.output
    terminal.send(b"\x03")
    assert terminal.end() == -signal.SIGINT
    assert terminal.output.rindex(b"\x1b[?25h") > terminal.output.rindex(b"\x1b[?25l")
    assert terminal.output.endswith(b"\x1b[2K"), "the line of the bar is erased"


@pytest.mark.parametrize("term", ["dumb"])
def test_dumb_terminal_gets_no_bar(term, folder):
    terminal = Terminal([*lasting(IN_C), "summary", "a.memlens"], folder, TERM=term)
    terminal.read_until(b"working")
    terminal.send(b"\x03")
    assert terminal.end() == -signal.SIGINT
    assert b"\x1b" not in terminal.output


def test_shell_sees_an_interrupt_as_130(folder):
    command = " ".join(f"'{word}'" for word in [*lasting(IN_C), "report", "a.memlens"])
    script = f"trap ':' INT; {command}; echo code $?"
    terminal = Terminal(["/bin/sh", "-c", script], folder)
    terminal.read_until(b"working")
    terminal.send(b"\x03")
    terminal.end()
    assert b"code 130" in terminal.output


def test_interrupt_while_modules_are_imported_has_no_traceback(folder):
    script = (
        "import sys, signal\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'memlens.cli.main': signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from memlens.__main__ import main\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, env={**os.environ, "PYTHONPATH": ROOT}
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")


@pytest.mark.parametrize("command", [["demo"], ["run", "loop.py"]])
def test_interrupted_demo_and_run_die_of_the_signal(command, folder):
    terminal = Terminal([sys.executable, "-m", "memlens", *command], folder)
    terminal.read_until(b"working" if command[0] == "run" else rb"\n")
    terminal.send(b"\x03")
    assert terminal.end() == -signal.SIGINT
    if command[0] == "run":  # the traceback of the program is its own, as without memlens
        assert terminal.output.count(b"Traceback") == 1
        assert b"loop.py" in terminal.output
    own = re.escape(os.path.join(ROOT, "memlens", "")).encode()
    assert not re.search(rb"File [^\n]*" + own, terminal.output)


@pytest.mark.skipif(importlib.util.find_spec("textual") is None, reason="textual is missing")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_watch_restores_the_terminal_and_dies_of_the_signal(number, folder):
    terminal = Terminal([sys.executable, "-m", "memlens", "watch", "."], folder)
    terminal.read_until(b"Quit")
    if number == signal.SIGINT:
        terminal.send(b"\x03")
    else:
        os.kill(terminal.pid, number)
    assert terminal.end() == -number
    assert b"Traceback" not in terminal.output
    assert terminal.output.rindex(b"\x1b[?1049l") > terminal.output.rindex(b"\x1b[?1049h")
    assert terminal.output.rindex(b"\x1b[?25h") > terminal.output.rindex(b"\x1b[?25l")


@pytest.mark.skipif(importlib.util.find_spec("textual") is None, reason="textual is missing")
def test_watch_ends_the_program_that_it_started(folder):
    command = [sys.executable, "-m", "memlens", "watch", "-o", "kept", "--", "loop.py"]
    terminal = Terminal(command, folder)
    terminal.read_until(rb"process (\d+): loop.py")
    terminal.read_until(rb"[2-9] of 3 snapshots|analysing \d")
    pid = int(re.search(rb"process (\d+): loop.py", terminal.output)[1])
    terminal.send(b"q")
    assert terminal.end() == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    for name in ("report.txt", "report.json"):
        assert f"memlens: written: {folder / 'kept' / name}".encode() in terminal.output


@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
def test_watch_without_a_terminal_names_the_command_to_use(term, folder):
    done = subprocess.run(
        [sys.executable, "-m", "memlens", "watch", "a.memlens"],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": ROOT, "TERM": term},
        stdin=subprocess.DEVNULL,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "memlens: watch needs a terminal; without one use: memlens report FILE ..., or memlens run"
        " SCRIPT\n"
    )


def test_watch_without_textual_names_the_extra(folder):
    script = "import sys; sys.modules['textual'] = None; from memlens.__main__ import main; main()"
    command = [sys.executable, "-c", f"{script.replace('main()', 'sys.exit(main())')}"]
    terminal = Terminal([*command, "watch", "a.memlens"], folder)
    assert terminal.end() == 2
    assert b"memlens: watch needs textual: pip install 'memlens[tui]'" in terminal.output


def test_error_of_a_command_is_raised_where_it_is_awaited():
    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        working.run_with_progress(fail, "failing")


def test_what_a_command_prints_comes_after_its_work(capsys):
    main_thread = threading.current_thread()
    printed = []

    def command():
        working.print_at_end(lambda: printed.append(threading.current_thread()))
        assert printed == []
        return 3

    assert working.run_with_progress(command, "working") == 3
    assert printed == [main_thread]


def test_interrupted_command_called_as_a_function_returns_130(monkeypatch, folder):
    monkeypatch.setattr("memlens.cli.main.run_with_progress", interrupt)
    assert main(["report", str(folder / "a.memlens")]) == 130


def interrupt(*_):
    raise KeyboardInterrupt


def test_remaining_time_follows_the_speed_so_far():
    clock = FakeClock()
    estimate = working.Estimate(clock)
    clock.advance(4)
    assert (estimate.remaining_seconds, estimate.text()) == (None, "4.0 s")
    estimate.reach(0.25)
    assert (estimate.remaining_seconds, estimate.text()) == (12.0, "4.0 s, about 12.0 s left")
    estimate.reach(0.1)  # never falls
    clock.advance(10)
    assert (estimate.share, estimate.text()) == (0.25, "14.0 s, about 2.0 s left")
    clock.advance(10)
    assert estimate.text() == "24.0 s", "longer than estimated"


def test_signal_that_is_blocked_gives_the_exit_code_of_a_shell():
    """In a process of its own: another thread of this one would not block the signal."""
    script = (
        "import signal\n"
        "from memlens.cli.ending import end_by\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])\n"
        "assert end_by(signal.SIGUSR1) == 128 + signal.SIGUSR1\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_end_of_run_says_on_a_terminal_how_long_it_will_take(monkeypatch):
    clock, stream = FakeClock(), io.StringIO()
    stream.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(exit_report, "Estimate", lambda: working.Estimate(clock))
    with exit_report._shown_while_working("analysing 5 snapshots"), progress.part(0, 0.5):
        clock.advance(10)
        progress.reached(0.5)
        progress.reached(0.6)  # too soon to write again
    assert stream.getvalue() == (
        "\rmemlens: analysing 5 snapshots ..."
        "\rmemlens: analysing 5 snapshots ... 10.0 s, about 30.0 s left"
        f"\r{' ' * 60}\r"
    )


def test_shares_of_parts_are_shares_of_the_whole():
    shares = []
    with progress.following(shares.append):
        progress.reached(0.1)
        with progress.part(0.2, 0.6):
            progress.reached(0.5)
            with progress.part(0.5, 1.0):
                progress.reached(0.5)
        progress.reached(0.7)
    progress.reached(0.9)  # nobody follows any more
    assert shares == pytest.approx([0.1, 0.4, 0.5, 0.6, 0.6, 0.7])


def test_search_for_leaks_reports_shares_that_rise_to_the_end():
    shares = []
    with progress.following(shares.append):
        find_leaks(planted(5))
    assert len(shares) > 5
    assert max(shares) > 0.85
    assert min(shares) < 0.1
