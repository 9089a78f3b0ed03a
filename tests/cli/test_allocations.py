"""The command line and allocations: ``run --allocations``, ``allocations FILE``."""

from __future__ import annotations

import json
import os

import pytest

import memlens
from memlens.allocations.profile.allocation_profile import AllocationProfile
from tests.cli.test_main import call, run
from tests.heap.planted import Planter
from tests.sampler import need_sampler
from tests.test_files import make_profile

SCRIPT = """
KEPT = []
def fill():
    for _ in range(200):
        KEPT.append(bytes(100_000))
fill()
print("done")
"""


@pytest.fixture
def script(tmp_path):
    need_sampler()
    (tmp_path / "filling.py").write_text(SCRIPT)
    return tmp_path / "filling.py"


def test_run_shows_allocations_and_keeps_the_profile(tmp_path, script):
    done = run("run", "-o", "out", "--allocations", script.name, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done\n"
    assert "Allocations: " in done.stderr
    assert "fill (filling.py:5)" in done.stderr
    kept = memlens.load(tmp_path / "out" / "allocations.json")
    assert isinstance(kept, AllocationProfile)
    in_fill = sum(
        row.live_bytes for row in kept.rows if any(f.function == "fill" for f in row.call_path)
    )
    assert 10e6 < in_fill < 30e6  # of 20 MB, by 40 samples
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["allocations"]["call_paths"]

    shown = call("allocations", "out/allocations.json", cwd=tmp_path)
    assert "fill (filling.py:5)" in shown.stdout
    as_json = json.loads(call("allocations", "--json", "out/allocations.json", cwd=tmp_path).stdout)
    assert as_json["facts"]["interval_bytes"] == 512 * 1024
    assert "fill" in [frame["function"] for frame in as_json["call_paths"][0]["call_path"]]


def test_run_without_the_option_shows_no_allocations(tmp_path, script):
    done = run("run", "-o", "out", script.name, cwd=tmp_path)
    assert "Allocations: " not in done.stderr
    assert "allocations.json" not in os.listdir(tmp_path / "out")


def test_run_reports_a_missing_sampler(tmp_path, script, monkeypatch):
    monkeypatch.setenv("MEMLENS_PURE", "1")
    done = run("run", "--allocations", script.name, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout == "done\n"
    assert done.stderr.count("allocations are not profiled: MEMLENS_PURE=1") == 1
    assert "there is no allocation profile" in done.stderr


def test_traces_are_shown(tmp_path):
    with memlens.TraceStore() as store:
        kept = [bytes(1000) for _ in range(100)]
        store.take("one")
    memlens.export(store, tmp_path / "t.traces")
    done = call("allocations", "t.traces", cwd=tmp_path)
    assert "test_allocations.py" in done.stdout
    assert json.loads(call("allocations", "--json", "t.traces", cwd=tmp_path).stdout)
    assert len(kept) == 100
    memlens.export(memlens.TraceStore(), tmp_path / "empty.traces")
    done = call("allocations", "empty.traces", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no captures" in done.stderr


def test_error_for_the_wrong_kind_of_file_names_the_right_command(tmp_path):
    Planter().snapshot().save(tmp_path / "heap.memlens")
    make_profile().save(tmp_path / "p.json")
    done = call("allocations", "heap.memlens", cwd=tmp_path)
    assert done.returncode == 2
    assert "use: memlens report heap.memlens" in done.stderr
    done = call("report", "p.json", cwd=tmp_path)
    assert done.returncode == 2
    assert "is an allocation profile" in done.stderr
    assert "use: memlens allocations p.json" in done.stderr
    assert call("allocations", "nothing.json", cwd=tmp_path).returncode == 2
