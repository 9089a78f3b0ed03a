"""`memlens fleet` over folders of planted snapshots and reports."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

import memlens
from memlens.cli.main import main
from memlens.errors import OptionError, SnapshotFileError
from memlens.fleet import fleet_report, read_fleet
from memlens.profiler.file_owner import owner_suffix
from tests.fleet.folders import STAMP, healthy, leaking, leave_report, leave_snapshots


def verdicts(report):
    return {process.pid: process.verdict for process in report.processes}


def test_processes_with_snapshots_only_are_analysed(tmp_path):
    leave_snapshots(tmp_path, leaking, 11)
    leave_snapshots(tmp_path, healthy, 12)
    report = read_fleet([tmp_path])
    assert verdicts(report) == {11: "leak", 12: "no leak"}
    (group,) = report.groups
    assert (group.suspect.holder, group.pids, group.of_count) == ("app.sessions", (11,), 2)
    assert group.since == 3600.0
    first = report.processes[0]
    assert first.rss_bytes == 104 << 20
    assert first.source is None
    assert first.identity.kind == "gunicorn worker"
    assert report.skipped == ()


def test_newest_report_of_a_process_is_taken(tmp_path):
    leave_report(tmp_path, leaking, 11, minute=10)
    newest = leave_report(tmp_path, healthy, 11, minute=20)
    report = read_fleet([tmp_path])
    assert verdicts(report) == {11: "no leak"}
    assert report.processes[0].source == str(newest)
    assert report.processes[0].rss_bytes == 200 << 20


def test_report_and_snapshots_of_one_leak_have_one_fingerprint(tmp_path):
    leave_report(tmp_path, leaking, 11)
    leave_snapshots(tmp_path, leaking, 12)
    (group,) = read_fleet([tmp_path]).groups
    assert sorted(group.pids) == [11, 12]


def test_snapshots_are_analysed_instead_of_reports_if_asked(tmp_path):
    leave_report(tmp_path, leaking, 11)
    leave_snapshots(tmp_path, healthy, 11)
    assert verdicts(read_fleet([tmp_path])) == {11: "leak"}
    assert verdicts(read_fleet([tmp_path], reports=False)) == {11: "no leak"}


def test_report_of_an_older_memlens_is_read(tmp_path):
    path = leave_report(tmp_path, leaking, 11)
    values = json.loads(path.read_text())
    for name in ("identity", "timestamp", "memory"):
        del values[name]
    path.write_text(json.dumps(values))
    (process,) = read_fleet([tmp_path]).processes
    assert process.identity is None
    assert process.until == 1738326600.0  # of the name of the file
    assert process.rss_bytes is None
    assert "leak (high)" in str(read_fleet([tmp_path]))


def test_folders_are_read_together_and_each_once(tmp_path):
    for name, pid in (("a", 11), ("b", 11)):
        (tmp_path / name).mkdir()
        leave_report(tmp_path / name, leaking, pid)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    report = read_fleet([tmp_path / "a", tmp_path / "b", tmp_path / "link"])
    assert len(report.processes) == 2
    assert report.groups[0].process_count == 2


def test_damaged_and_half_written_files_are_named_and_skipped(tmp_path):
    paths = leave_snapshots(tmp_path, leaking, 11, count=5)
    paths[4].write_bytes(paths[4].read_bytes()[:300])
    damaged = bytearray(paths[3].read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    paths[3].write_bytes(damaged)
    (tmp_path / f"heap-exit-{STAMP.format(9)}-11-abc.memlens.11-{'0' * 16}.part").touch()
    for number, text in enumerate(["", "[]", "{", '{"pid": 12}', '{"pid": 13}', "[" * 100_000]):
        (tmp_path / f"leak-{STAMP.format(number)}-12-abc.json").write_text(text)
    leave_report(tmp_path, leaking, 13, suspects=[{"fingerprint": 1}])
    report = read_fleet([tmp_path])
    assert verdicts(report) == {11: "leak", 12: "unknown", 13: "unknown"}
    assert report.processes[0].snapshot_count == 3
    assert len(report.skipped) == 10
    assert {one.reason for one in report.skipped if one.path.endswith(".part")} == {"half written"}
    assert all(one.reason and str(tmp_path) not in one.reason for one in report.skipped)
    assert "Skipped:" in str(report)


def test_file_that_a_running_process_is_writing_is_not_named(tmp_path):
    leave_snapshots(tmp_path, healthy, 11)
    name = f"heap-exit-{STAMP.format(9)}-{owner_suffix()}.memlens.{os.getpid()}-{'0' * 16}.part"
    (tmp_path / name).touch()
    assert str(read_fleet([tmp_path])) == "Fleet: no leak in 1 process."


def test_snapshots_before_a_process_executed_another_python_are_left_out(tmp_path):
    before, *_ = leave_snapshots(tmp_path, healthy, 11, count=3, process="before")
    leave_snapshots(tmp_path, leaking, 11, first=2)
    assert before.exists()
    (process,) = read_fleet([tmp_path]).processes
    assert (process.verdict, process.snapshot_count, process.since) == ("leak", 4, 7200.0)


def test_snapshot_under_the_name_of_another_process_is_skipped(tmp_path):
    paths = leave_snapshots(tmp_path, leaking, 11)
    paths[0].rename(tmp_path / f"heap-periodic-{STAMP.format(1)}-12-abc.memlens")
    report = read_fleet([tmp_path])
    assert "it is of process 11" in report.skipped[0].reason
    assert verdicts(report) == {11: "leak", 12: "unknown"}


def test_too_few_snapshots_are_no_verdict(tmp_path):
    leave_snapshots(tmp_path, leaking, 11, count=2)
    report = read_fleet([tmp_path])
    assert verdicts(report) == {11: "unknown"}
    assert report.groups == ()
    assert str(report) == (
        "Fleet: nothing is known yet of 1 process; not known of 1 (2 snapshots, 3 are needed)."
    )


def test_healthy_fleet_is_one_line(tmp_path):
    leave_snapshots(tmp_path, healthy, 11)
    leave_report(tmp_path, healthy, 12)
    report = read_fleet([tmp_path])
    assert str(report) == "Fleet: no leak in 2 processes."
    assert "104 MiB" in report.text(all_processes=True)


def test_only_some_processes_are_analysed_those_that_grew_most(tmp_path, monkeypatch):
    for pid in (11, 12, 13):
        leave_snapshots(tmp_path, leaking, pid, count=pid - 8)
    report = read_fleet([tmp_path], max_analysed=1)
    assert verdicts(report) == {13: "leak", 12: "unknown", 11: "unknown"}
    assert "only 1 process is analysed" in str(report)


def test_analysis_that_fails_is_no_verdict(tmp_path, monkeypatch):
    leave_snapshots(tmp_path, leaking, 11)
    monkeypatch.setattr(fleet_report, "_MAX_SECONDS", 1e-9)
    (process,) = read_fleet([tmp_path]).processes
    assert (process.verdict, process.note) == ("unknown", "it took longer than 1e-09 seconds")


def test_hosts_are_shown_where_there_are_several(tmp_path):
    leave_snapshots(tmp_path, leaking, 11, hostname="host-1")
    assert "host-1" not in str(read_fleet([tmp_path]))
    leave_snapshots(tmp_path, leaking, 12, hostname="host-2")
    text = str(read_fleet([tmp_path]))
    assert "host-1" in text
    assert "host-2" in text


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120])
def test_text_fits_the_width(tmp_path, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    leave_snapshots(tmp_path, leaking, 11, name="ForkServerPoolWorker-1")
    leave_snapshots(tmp_path, healthy, 12, hostname="host-with-a-long-name.example.com")
    (tmp_path / f"leak-{STAMP.format(1)}-12-abc.json").write_text("")
    report = read_fleet([tmp_path])
    assert max(map(len, str(report).splitlines())) <= width
    assert "app.sessions" in str(report)


def test_command_prints_text_and_json(tmp_path, capsys):
    leave_report(tmp_path, leaking, 11)
    assert main(["fleet", str(tmp_path)]) == 0
    assert "1. app.sessions grows in 1 of 1 process: " in capsys.readouterr().out
    assert main(["fleet", str(tmp_path), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["leaking_count"] == values["process_count"] == 1
    assert values["groups"][0]["suspect"]["holder"] == "app.sessions"
    assert values["processes"][0]["identity"]["hostname"] == "host-1"
    assert main(["fleet", str(tmp_path), "--ignore", "sessions"]) == 0
    assert capsys.readouterr().out == "Fleet: no leak in 1 process.\n"


def test_ignored_suspects_of_reports_are_left_out(tmp_path):
    leave_report(tmp_path, leaking, 11)
    leave_report(tmp_path, leaking, 12, alert={"series": "rss"})
    leave_report(tmp_path, leaking, 13, snapshot_count=2)
    (group,) = read_fleet([tmp_path]).groups
    for ignored in (group.fingerprint, r"^app\.sessions$"):
        report = read_fleet([tmp_path], ignore=[ignored])
        assert report.groups == ()
        assert verdicts(report) == {11: "no leak", 12: "unexplained growth", 13: "unknown"}
    assert read_fleet([tmp_path], ignore=["other"]).groups == (group,)


def test_wrong_input_is_refused(tmp_path, capsys):
    with pytest.raises(SnapshotFileError, match="no snapshots or leak reports"):
        read_fleet([tmp_path])
    with pytest.raises(OptionError, match="is not a folder"):
        read_fleet([tmp_path / "missing"])
    with pytest.raises(OptionError, match="max_analysed"):
        read_fleet([tmp_path], max_analysed=0)
    assert main(["fleet", str(tmp_path)]) == 2
    assert "memlens: there are no snapshots" in capsys.readouterr().err


def test_real_process_names_itself(tmp_path):
    script = """
        import sys, memlens
        profiler = memlens.MemoryProfiler(sys.argv[1], snapshot_interval=3600.0)
        profiler.start()
        kept = []
        for number in range(4):
            kept.extend(bytearray(1000) for _ in range(100))
            profiler.take_snapshot()
        profiler.stop()
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(tmp_path)], check=True)
    (process,) = read_fleet([tmp_path]).processes
    assert process.identity.kind == "main"
    assert process.verdict == "leak"
    assert process.pid == memlens.load(next(tmp_path.glob("*.memlens"))).pid
