"""The command ``html`` and the option ``run --html``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import memlens
from memlens._frame import Frame
from memlens.allocations import AllocationProfile
from memlens.cli import exit_report
from memlens.cli.report_options import ReportOptions
from memlens.profiler import MemoryProfiler, ProfilerReport
from tests.cli.test_main import LEAKING, ROOT, call
from tests.profiler.planted import profiler_in
from tests.report.document_schema import check
from tests.report.html_files import read_report
from tests.report.test_document import growing_snapshots
from tests.report.test_flame import profile_of

WITH_PAGE = (
    "import sys; from pathlib import Path; from memlens.report.html import html_report;"
    " folder = Path(sys.argv.pop(1)); html_report.installed_page = lambda: folder;"
    " from memlens.cli.main import main; sys.exit(main())"
)


def run_with(page, *arguments, cwd):
    """Run a command in a process of its own, with a front end for tests."""
    return subprocess.run(
        [sys.executable, "-c", WITH_PAGE, str(page), *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"},
        timeout=120,
    )


@pytest.fixture
def files(tmp_path):
    """Four snapshots of one process, and two profiles."""
    names = []
    for number, snapshot in enumerate(growing_snapshots()):
        snapshot.save(tmp_path / f"{number}.memlens")
        names.append(f"{number}.memlens")
    for number in range(2):
        profile = profile_of([([Frame("f", "/srv/f.py", 1 + number)], 10, 10)])
        facts = replace(profile.facts, started_at=1000.0 + number)
        AllocationProfile(profile.rows, facts).save(tmp_path / f"{number}.json")
        names.append(f"{number}.json")
    return names


def test_snapshots_and_profiles_in_any_order_make_one_report(installed_page, tmp_path, files):
    done = call("html", *reversed(files), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert re.fullmatch(r"memory-report\.html: [\d.]+ (KiB|MiB)", first)
    assert second.startswith("Leak: shop.sessions grows by")
    document = read_report(tmp_path / "memory-report.html").data
    check(document)
    assert document["verdict"]["sentence"] == second
    assert [flame["line"][-1] for flame in document["flames"]] == [2, 1]  # the newest first
    assert document["tables"][0]["key"] == "comparison"


def test_one_snapshot_goes_to_the_file_that_is_named(installed_page, tmp_path, files):
    done = call("html", files[0], "-o", "one.html", cwd=tmp_path)
    assert done.stdout.splitlines()[1].startswith("One snapshot: ")
    check(read_report(tmp_path / "one.html").data)
    assert not (tmp_path / "memory-report.html").exists()


def test_a_folder_stands_for_the_files_of_its_newest_process(installed_page, tmp_path, files):
    folder = tmp_path / "out"
    folder.mkdir()
    for name in files[:4]:
        (tmp_path / name).rename(folder / name)
    done = call("html", "out", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1].startswith("Leak: shop.sessions grows by")
    assert not read_report(tmp_path / "memory-report.html").data["flames"]
    pid = memlens.load(folder / files[0]).pid
    profile = memlens.load(tmp_path / files[4])
    for number, has_flames in ((pid + 1, False), (pid, True)):
        facts = replace(profile.facts, pid=number)
        AllocationProfile(profile.rows, facts).save(folder / "allocations.json")
        assert call("html", "out", cwd=tmp_path).returncode == 0
        shown = read_report(tmp_path / "memory-report.html").data
        assert bool(shown["flames"]) is has_flames


def test_folders_and_reports_are_named_as_what_they_are(installed_page, tmp_path, files):
    (tmp_path / "empty").mkdir()
    done = call("html", "empty", cwd=tmp_path)
    assert done.returncode == 2
    assert "there are no heap snapshots in the folder 'empty'" in done.stderr
    done = call("report", "empty", cwd=tmp_path)
    assert done.stderr == "memlens: 'empty' is a folder: give its files, as in empty/*.memlens\n"
    assert call("html", files[0], "-o", "one.html", cwd=tmp_path).returncode == 0
    done = call("html", "one.html", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "memlens: 'one.html' is a report already: open it in a browser\n"


def test_help_of_run_fits_and_names_the_module(tmp_path):
    lines = call("run", "--help", cwd=tmp_path).stdout.splitlines()
    usage = lines[: lines.index("")]
    assert max(map(len, usage)) <= 80
    assert usage[-1].endswith("SCRIPT | -m MODULE [ARG ...]")
    assert any("-m MODULE" in line for line in lines[len(usage) :])


def test_a_baseline_and_source_are_options(installed_page, tmp_path, files):
    call("leaks", *files[:4], "--save-baseline", "known.json", cwd=tmp_path)
    done = call("html", *files[:4], "--baseline", "known.json", "--source", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    document = read_report(tmp_path / "memory-report.html").data
    assert [card["status"] for card in document["suspects"]] == ["known"]
    assert not any("Source lines" in text for text in document["missing"])


def test_what_cannot_be_presented_is_an_error_and_leaves_no_file(installed_page, tmp_path, files):
    (tmp_path / "text.memlens").write_text("no snapshot")
    (tmp_path / "not.json").write_text("{}")
    for name in ("text.memlens", "not.json", "missing.memlens"):
        done = call("html", name, cwd=tmp_path)
        assert done.returncode == 2
        assert name in done.stderr
    done = call("html", files[0], "-o", "no/such/folder.html", cwd=tmp_path)
    assert done.returncode == 2
    assert "cannot write" in done.stderr
    assert call("html", cwd=tmp_path).returncode == 2
    assert not (tmp_path / "memory-report.html").exists()


def test_traces_are_no_part_of_a_report(installed_page, tmp_path):
    from memlens import TraceStore

    TraceStore().save(tmp_path / "old.traces")
    done = call("html", "old.traces", cwd=tmp_path)
    assert done.returncode == 2
    assert "old.traces is a file of allocation traces" in done.stderr


def test_run_writes_the_report_of_a_program_that_changes_its_folder(page, tmp_path):
    program = tmp_path / "leaking.py"
    program.write_text(LEAKING + "import os; os.mkdir('deep'); os.chdir('deep')\n")
    done = run_with(
        page, "run", "-o", "out", "--html", "report.html", "--source", program, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert f"memlens: {tmp_path / 'report.html'}: " in done.stderr
    document = read_report(tmp_path / "report.html").data
    check(document)
    assert document["title"].startswith("Memory report: leaking.py, process ")
    (card,) = document["suspects"]
    assert card["holder"] == "__main__.CACHE"
    assert document["verdict"]["state"] == "leak"
    assert document["timeline"]["series"][0]["key"] == "rss"
    assert {"startup", "exit"} <= {
        m["label"].partition(":")[0] for m in document["timeline"]["marks"]
    }
    assert document["treemap"]
    assert document["breakdown"]
    if memlens._core.IMPLEMENTATION == "C":
        assert any("CACHE[i] = bytearray(2000)" in "\n".join(s["lines"]) for s in card["source"])
        names = document["flames"][0]["names"]
        assert not any("run_profiled" in name for name in names)


def test_run_keeps_no_snapshots_where_none_are_wanted(page, tmp_path):
    program = tmp_path / "short.py"
    program.write_text("print('done')\n")
    done = run_with(page, "run", "--html", "report.html", program, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    document = read_report(tmp_path / "report.html").data
    check(document)
    assert document["treemap"]  # made before the snapshots were deleted
    assert sorted(Path(tmp_path).glob("**/*.memlens")) == []


@pytest.mark.parametrize("where", ["report", "to_html"])
def test_without_memory_a_new_process_writes_the_report(tmp_path, monkeypatch, capsys, where):
    profiler = profiler_in(tmp_path)
    record = profiler.take_snapshot("only")
    of = MemoryProfiler if where == "report" else ProfilerReport

    def fail(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(of, where, fail)
    commands = []

    def note(command, **options):
        commands.append(command[2:])
        return subprocess.CompletedProcess(command, 0, f"said by {command[3]}\n")

    monkeypatch.setattr(exit_report.subprocess, "run", note)
    report = exit_report.ExitReport(
        profiler,
        ReportOptions(html_path=str(tmp_path / "report.html"), show_source=True),
        starter_files=frozenset(),
    )
    report.finish()
    last = profiler.snapshots[-1].path
    html = ["memlens", "html", "--source", "-o", str(tmp_path / "report.html"), record.path, last]
    assert commands[-1] == html
    assert len(commands) == (2 if where == "report" else 1)
    assert capsys.readouterr().err.endswith("said by html\n")


@pytest.mark.parametrize(
    "option",
    [
        ("--html", "no/such/report.html"),
        ("--html", "folder"),
        ("--save-baseline", "no/such/known.json"),
        ("-o", "short.py"),
    ],
)
def test_what_cannot_be_written_is_an_error_before_the_program_starts(tmp_path, option):
    (tmp_path / "folder").mkdir()
    (tmp_path / "short.py").write_text("print('has run')\n")
    done = call("run", *option, "short.py", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(r"memlens: cannot (write|create the folder) '.*': .*\n", done.stderr)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "short.py"]


@pytest.mark.parametrize(("end", "code"), [("", 2), ("sys.exit()", 2), ("sys.exit(3)", 3)])
def test_a_report_that_is_not_written_at_the_end_changes_only_success(page, tmp_path, end, code):
    program = tmp_path / "short.py"
    (tmp_path / "gone").mkdir()
    program.write_text(f"import os, sys\nos.rmdir('gone')\n{end}\n")
    done = run_with(page, "run", "--html", "gone/report.html", program, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert "memlens: cannot write" in done.stderr
