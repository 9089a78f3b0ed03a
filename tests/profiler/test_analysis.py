"""The analysis in a process of its own: the same answer, and a reason whenever there is none."""

import os
import signal
import subprocess
import sys
import threading

import pytest

import memlens
import memlens.errors
from memlens.profiler import analysis, child_process
from memlens.profiler.analysis import Analysis
from memlens.profiler.analysis_child import analyse
from memlens.profiler.plain_values import from_plain, to_plain
from tests.heap.planted import Planter
from tests.leaks.test_suspects import table_of


@pytest.fixture
def paths(tmp_path):
    """Four snapshot files of a program that leaks."""
    found = []
    for step in range(4):
        p = Planter()
        p.module("app", sessions=table_of(p, 10 + 20 * step))
        found.append(str(tmp_path / f"{step}.memlens"))
        p.snapshot(timestamp=100.0 + step).save(found[-1])
    return found


def test_the_result_is_that_of_this_process(paths):
    expected = memlens.find_leaks([memlens.load(path) for path in paths])
    answer = Analysis().run([paths])
    assert answer.reason == ""
    assert answer.report == expected
    assert [suspect.holder for suspect in expected] == ["app.sessions"]


def test_a_report_survives_the_pipe(paths):
    report = memlens.find_leaks([memlens.load(path) for path in paths])
    assert from_plain(to_plain(report)) == report
    with pytest.raises(TypeError, match="object cannot be sent"):
        to_plain(object())


def test_options_are_passed_on(paths):
    assert Analysis().run([paths], ignore=["sessions"]).report.suspects == ()
    with pytest.raises(memlens.errors.OptionError):
        analyse([paths], (), 0)
    assert "limit" in Analysis().run([paths], limit=0).reason


def test_the_first_choice_that_shows_a_leak_is_taken(paths):
    assert Analysis().run([paths[:1], paths[1:]]).report.snapshot_count == 3
    assert Analysis().run([paths[:1]]) == analysis.Answer(None)
    assert analyse([paths[:1]], (), 20) is None


def test_a_file_that_is_gone_is_the_reason(paths):
    os.unlink(paths[2])
    answer = Analysis().run([paths])
    assert answer.report is None
    assert "2.memlens" in answer.reason


def test_too_little_memory_is_the_reason(paths, monkeypatch):
    monkeypatch.setattr(analysis, "_PROGRAM", within("raise MemoryError"))
    answer = Analysis(max_bytes=1 << 30).run([paths])
    assert answer == analysis.Answer(None, "it needed more than 1024 MiB of memory")


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS does not bind elsewhere")
def test_the_memory_of_the_child_is_bounded(paths, monkeypatch):
    monkeypatch.setattr(analysis, "_PROGRAM", within("bytearray(1 << 31)"))
    assert "more than 1024 MiB" in Analysis(max_bytes=1 << 30).run([paths]).reason


def test_the_child_has_a_low_priority(paths, monkeypatch):
    monkeypatch.setattr(analysis, "_PROGRAM", within("sys.exit(f'nice {os.nice(0)}')"))
    nice = min(os.nice(0) + 10, 19)
    assert Analysis().run([paths]).reason.endswith(f"(exit code 1): nice {nice}")


def test_too_little_time_is_the_reason(paths, monkeypatch):
    monkeypatch.setattr(analysis, "_PROGRAM", "import signal; signal.pause()")
    assert Analysis(max_seconds=0.2).run([paths]).reason == "it took longer than 0.2 seconds"


def test_a_child_ends_by_itself_when_its_time_is_over(paths, monkeypatch):
    monkeypatch.setattr(analysis, "_PROGRAM", within("signal.pause()"))
    monkeypatch.setattr(child_process.ChildProcess, "_talk", talk_without_a_timeout)
    assert Analysis(max_seconds=0.2).run([paths]).reason == str(-signal.SIGALRM)


def talk_without_a_timeout(self, process, request, wait_seconds):
    process.communicate(request)
    return child_process.Reply((), str(process.returncode))


def test_a_killed_child_is_the_reason(paths, monkeypatch):
    monkeypatch.setattr(analysis, "_PROGRAM", within("os.kill(os.getpid(), signal.SIGKILL)"))
    answer = Analysis().run([paths])
    assert answer.reason == "its process ended without an answer (signal 9)"


def test_stopping_ends_the_child(paths, monkeypatch):
    monkeypatch.setattr(analysis, "_PROGRAM", "import signal; signal.pause()")
    started, answers, one = threading.Event(), [], Analysis()
    popen = subprocess.Popen

    def start(*arguments, **options):
        process = popen(*arguments, **options)
        started.process = process
        started.set()
        return process

    monkeypatch.setattr(child_process.subprocess, "Popen", start)
    thread = threading.Thread(target=lambda: answers.append(one.run([paths])))
    thread.start()
    assert started.wait(60)
    one.stop()
    thread.join(60)
    assert answers == [analysis.Answer(None, "the profiler was stopped")]
    assert started.process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("executable", ["", None, "/usr/bin/uwsgi", "/opt/app/blender"])
def test_what_is_no_python_is_not_started(paths, monkeypatch, executable):
    monkeypatch.setattr(sys, "executable", executable)
    monkeypatch.setattr(child_process.subprocess, "Popen", None)
    assert Analysis().run([paths]).reason.startswith("no process can be started")


def test_a_system_that_starts_no_process_is_the_reason(paths, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python3")
    assert "No such file" in Analysis().run([paths]).reason


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_leaves_its_parents_analysis_alone(paths, monkeypatch):
    monkeypatch.setattr(analysis, "_PROGRAM", within("sys.stdin.buffer.read()"))
    one, codes = Analysis(), []
    talk = child_process.ChildProcess._talk

    def fork_first(self, process, request, wait_seconds):
        pid = os.fork()
        if pid == 0:
            self.forget()
            self.stop()
            os._exit(0)
        codes.append(os.waitpid(pid, 0)[1])
        return talk(self, process, request, wait_seconds)

    monkeypatch.setattr(child_process.ChildProcess, "_talk", fork_first)
    assert one.run([paths]).report is not None
    assert codes == [0]


def within(statement):
    """The program of a child that runs a statement in place of its analysis, and then that."""
    return (
        "import json, os, signal, sys; sys.path += json.loads(sys.argv[1])\n"
        "from memlens.profiler import analysis_child as one\n"
        "analyse = one.analyse\n"
        "def instead(*arguments):\n"
        f"    {statement}\n"
        "    return analyse(*arguments)\n"
        "one.analyse = instead\n"
        "one.main()\n"
    )
