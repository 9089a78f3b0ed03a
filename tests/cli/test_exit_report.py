"""The end of ``run``: without memory, by signals, and in the right process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

import memlens
from memlens import _core
from memlens.cli.exit_report import ExitReport
from memlens.cli.main import main
from memlens.cli.report_options import ReportOptions
from tests.cli.test_main import ROOT, run

MIB = 1 << 20

EXHAUST = """
CACHE = []
while True:
    CACHE.append([bytearray(1000) for _ in range(1000)])
"""
# Not one long wait: a signal right before it would not end it, because Python only notes a signal
# and runs its handler at the next instruction.
WAIT = """
import signal, sys, time
CACHE = [bytearray(1000) for _ in range(1000)]
try:
    print("ready", flush=True)
    while True:
        time.sleep(0.05)
finally:
    print("cleaned up", flush=True)
"""


def start(*arguments, cwd, **environment):
    """Start a command; return when the program has printed its first line."""
    process = subprocess.Popen(
        [sys.executable, "-m", "memlens", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell ignores SIGINT in what it runs in the background, and so would the program.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    if process.stdout.readline() != "ready\n":
        process.kill()
        pytest.fail(process.communicate()[1])
    return process


def end(process, number):
    """Send a signal; return the exit status, the output and the errors."""
    process.send_signal(number)
    with process:  # waits, too: it would be a child of the tests that follow
        try:
            out, errors = process.communicate(timeout=120)
        finally:
            process.kill()
    return process.returncode, out, errors


def limit_address_space(size_bytes):
    import resource

    return lambda: resource.setrlimit(resource.RLIMIT_AS, (size_bytes, size_bytes))


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS")
def test_program_that_runs_out_of_memory_gets_a_report(tmp_path):
    (tmp_path / "exhaust.py").write_text(EXHAUST)
    limit = limit_address_space(400 * MIB)
    # No snapshot in between, in which the growth might not have begun.
    options = ["-o", "out", "--snapshot-interval", "3600"]
    done = run("run", *options, "exhaust.py", cwd=tmp_path, preexec_fn=limit)
    assert done.returncode == 1
    assert "Traceback" in done.stderr  # printing it may run out of memory, too
    assert "MemoryError" in done.stderr
    assert os.path.join("memlens", "cli") not in done.stderr[: done.stderr.index("MemoryError")]
    assert (tmp_path / "out" / "report.txt").stat().st_size > 0
    if _core.IMPLEMENTATION == "native":
        assert "__main__.CACHE" in done.stderr
        assert any(name.startswith("heap-exit-") for name in os.listdir(tmp_path / "out"))


def test_snapshots_are_analysed_in_a_new_process_if_memory_is_out(
    tmp_path, planted, monkeypatch, capsys
):
    def fail():
        raise MemoryError

    profiler = memlens.MemoryProfiler(tmp_path, allocations=None)
    for _ in range(2):
        profiler.take_snapshot()
    monkeypatch.setattr(profiler, "report", fail)
    report = ExitReport(
        profiler, ReportOptions(output_dir=str(tmp_path)), starter_files=frozenset()
    )
    report.finish()
    assert "app.sessions grows" in capsys.readouterr().err
    assert "app.sessions grows" in (tmp_path / "report.txt").read_text()
    report.finish()
    assert capsys.readouterr().err == ""


def test_too_little_memory_to_start_is_reported_in_one_line(tmp_path, monkeypatch, capsys):
    def fail(profiler):
        raise MemoryError

    (tmp_path / "program.py").write_text("print('ran')")
    monkeypatch.setattr(memlens.MemoryProfiler, "start", fail)
    assert main(["run", str(tmp_path / "program.py")]) == 2
    out, errors = capsys.readouterr()
    assert out == ""
    assert errors.startswith("memlens: not enough memory to start the profiler; ")


def test_sigterm_writes_the_report_and_ends_the_process_by_the_signal(tmp_path):
    (tmp_path / "wait.py").write_text(WAIT)
    process = start("run", "-o", "out", "wait.py", cwd=tmp_path)
    status, out, errors = end(process, signal.SIGTERM)
    assert status == -signal.SIGTERM
    assert out == ""  # as without memlens, `finally` does not run
    assert "observed for" in errors
    assert "Traceback" not in errors
    assert {"report.txt", "report.json"} <= set(os.listdir(tmp_path / "out"))


def test_sigterm_leaves_no_temporary_files(tmp_path):
    (tmp_path / "wait.py").write_text(WAIT)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    process = start("run", "wait.py", cwd=tmp_path, TMPDIR=str(temporary))
    assert os.listdir(temporary)
    status, _, errors = end(process, signal.SIGTERM)
    assert (status, os.listdir(temporary)) == (-signal.SIGTERM, [])
    assert "observed for" in errors


def test_sigterm_handler_of_the_program_is_used(tmp_path):
    handler = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\nCACHE ="
    (tmp_path / "wait.py").write_text(WAIT.replace("CACHE =", handler))
    process = start("run", "wait.py", cwd=tmp_path)
    status, out, errors = end(process, signal.SIGTERM)
    assert (status, out) == (3, "cleaned up\n")
    assert errors.count("observed for") == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_sigterm_to_a_forked_child_ends_only_the_child(tmp_path):
    (tmp_path / "parent.py").write_text("""
import os, signal, time
read, write = os.pipe()
pid = os.fork()
if pid == 0:
    os.write(write, b"x")
    while True:  # see WAIT
        time.sleep(0.05)
os.read(read, 1)
os.kill(pid, signal.SIGTERM)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
""")
    done = run("run", "parent.py", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{-signal.SIGTERM}\n")
    assert done.stderr.count("observed for") == 1


def test_sigint_interrupts_the_program_and_writes_the_report(tmp_path):
    (tmp_path / "wait.py").write_text(WAIT)
    process = start("run", "-o", "out", "wait.py", cwd=tmp_path)
    status, out, errors = end(process, signal.SIGINT)
    assert (status, out) == (-signal.SIGINT, "cleaned up\n")
    assert "KeyboardInterrupt" in errors
    assert errors.count("Traceback") == 1
    assert os.path.join("memlens", "cli") not in errors[: errors.index("KeyboardInterrupt")]
    assert "report.txt" in os.listdir(tmp_path / "out")


def test_interrupted_command_ends_without_a_traceback(monkeypatch, capsys):
    def interrupt(show_progress):
        raise KeyboardInterrupt

    monkeypatch.setattr("memlens.demo.tour.run_demo", interrupt)
    assert main(["demo"]) == 130
    assert capsys.readouterr().err == ""


def test_relative_output_folder_stays_where_the_program_started(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "move.py").write_text("import os; os.chdir('elsewhere')")
    done = run("run", "-o", "out", "move.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert os.listdir(tmp_path / "elsewhere") == []
    names = os.listdir(tmp_path / "out")
    assert "report.txt" in names
    assert sum(name.startswith("heap-") for name in names) == 2
