"""MemoryProfiler and where memory is allocated: always on where it can be, never in the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import tracemalloc

import pytest

from memlens._core.sampler_api import load_sampler
from memlens.errors import OptionError
from tests.profiler.planted import profiler_in
from tests.sampler import need_sampler


@pytest.fixture
def sampler():
    need_sampler()
    return load_sampler()


def make(count):
    made = []
    for _ in range(count):
        made.append(bytes(1000))  # a comprehension is a frame of its own before 3.12
    return made


def test_allocations_are_sampled_by_default_and_reported(tmp_path, planted, sampler):
    profiler = profiler_in(tmp_path, allocation_interval_bytes=1)
    assert not sampler.health()["running"]
    with profiler:
        assert sampler.health()["running"]
        assert profiler.health()["allocations"]["mode"] == "sampling"
        kept = make(500)
        report = profiler.report()
    assert not sampler.health()["running"]
    row = report.allocations.top(1)[0]
    assert row.live_bytes > 500_000
    assert "make" in str(row)
    assert len(kept) == 500
    assert "of RSS not explained" in str(report)
    assert "make (" in str(report)
    assert json.loads(json.dumps(report.to_dict()))["allocations"]["call_paths"][0]["live_bytes"]
    assert all(len(line) <= 100 for line in str(report).splitlines() if ".memlens" not in line)


def test_allocations_of_the_profiler_are_not_in_its_report(tmp_path, planted, sampler):
    profiler = profiler_in(tmp_path, allocation_interval_bytes=1)
    with profiler:
        profiler.report()
        before = profiler.report().allocations
        profiler.take_snapshot()
        profiler.report()
        after = profiler.report().allocations
    assert after.total.allocated_bytes - before.total.allocated_bytes < 100_000


def test_default_interval_is_half_a_mebibyte(tmp_path, planted, sampler):
    with profiler_in(tmp_path) as profiler:
        assert profiler.health()["allocations"]["interval_bytes"] == 512 * 1024


def test_repeated_starts_and_stops_leave_no_hook(tmp_path, planted, sampler):
    profiler = profiler_in(tmp_path)
    for _ in range(20):
        profiler.start()
        profiler.start()
        profiler.stop()
        profiler.stop()
    health = sampler.health()
    assert health["mem_hook"] == health["object_hook"] == "off"
    assert profiler.report().allocations is not None  # of the last run
    assert profiler.health()["allocations"]["is_running"] is False


def test_none_is_off_and_tracemalloc_is_on_only_on_request(tmp_path, planted):
    with profiler_in(tmp_path, allocations=None) as profiler:
        assert not tracemalloc.is_tracing()
        assert profiler.report().allocations is None
        assert profiler.health()["allocations"]["off_reason"] == "not requested"
        assert profiler.report().to_dict()["allocations"] is None
    with profiler_in(tmp_path, allocations="tracemalloc") as profiler:
        assert tracemalloc.is_tracing()
        assert profiler.report().allocations.facts.source == "tracemalloc"
    assert not tracemalloc.is_tracing()
    with pytest.raises(
        OptionError,
        match="allocations must be one of 'sampling', 'tracemalloc', None; got 'everything'",
    ):
        profiler_in(tmp_path, allocations="everything")


def test_profiler_works_without_the_sampler(tmp_path, planted, monkeypatch, caplog):
    monkeypatch.setenv("MEMLENS_PURE", "1")
    monkeypatch.setattr("memlens._log._warned", set())
    with profiler_in(tmp_path) as profiler, profiler_in(tmp_path) as other:
        assert profiler.is_running
        assert not tracemalloc.is_tracing()
        assert "MEMLENS_PURE" in profiler.health()["allocations"]["off_reason"]
        assert profiler.report().allocations is None
        assert other.is_running
    assert len([record for record in caplog.records if "not profiled" in record.message]) == 1


def run(source, folder):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_parent_and_forked_child_both_continue_sampling(tmp_path, sampler):
    run(
        """
        import os, threading, warnings
        warnings.simplefilter("ignore")  # of forks in threaded programs: that is the test
        import memlens
        profiler = memlens.MemoryProfiler(
            "out", sample_interval=3600.0, allocation_interval_bytes=1
        )
        profiler.start()
        def early(): return [bytes(1000) for _ in range(100)]
        def late(): return [bytes(1000) for _ in range(200)]
        def of(name):
            rows = profiler.report().allocations.rows
            return sum(r.live_bytes for r in rows if any(name == f.function for f in r.call_path))
        kept = early()
        stop = threading.Event()
        def report_all_the_time():  # a fork must not inherit a lock that is held
            while not stop.is_set():
                profiler.health(), profiler._allocations.profile()
        thread = threading.Thread(target=report_all_the_time)
        thread.start()
        pids = []
        for _ in range(5):
            pid = os.fork()
            if not pid:
                code = 1
                try:
                    more = late()
                    code = 0 if of("early") > 100_000 and of("late") > 200_000 else 2
                    profiler.stop()
                finally:
                    os._exit(code)
            pids.append(pid)
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        stop.set()
        thread.join()
        assert codes == [0] * 5, codes
        assert of("early") > 100_000 and of("late") == 0
        profiler.stop()
        """,
        tmp_path,
    )


def test_suspect_shows_the_allocation_sites_of_its_objects(tmp_path, sampler):
    output = run(
        """
        import json, memlens
        CACHE = {}
        class Session:
            def __init__(self, number):
                self.buffer = bytes(1000 + number)
        def open_session(number):
            CACHE[number] = Session(number)
        profiler = memlens.MemoryProfiler(
            "out", sample_interval=3600.0, allocation_interval_bytes=4096
        )
        with profiler:
            for step in range(3):
                for number in range(1000):
                    open_session(1000 * step + number)
                profiler.take_snapshot()
            report = profiler.report()
        suspect = next(s for s in report.leaks if s.holder == "__main__.CACHE")
        site = suspect.sites[0]
        functions = [frame.function.rpartition(".")[2] for frame in site.call_path]
        assert functions == ["<module>", "open_session", "__init__"], functions
        # 3000 buffers of 1000 to 4000 bytes: 7.5 MB, one sample every 4096
        assert 6.5e6 < site.shallow_bytes < 9.5e6, site
        assert "allocated at" in str(suspect), str(suspect)
        assert suspect.to_dict()["sites"][0]["call_path"][-1]["line"] == 6
        summary = profiler.load_snapshots()[-1].summary(by="site")
        print(json.dumps(summary.to_dict()))
        """,
        tmp_path,
    )
    names = [row["name"] for row in json.loads(output)["rows"]]
    assert any("__init__" in name for name in names[:2])
