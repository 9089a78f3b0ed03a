"""Profiles of consecutive intervals, and the lines that allocated what is alive."""

from __future__ import annotations

import os
import threading
from array import array

import pytest

from memlens._core.sampler_api import COLUMNS
from memlens._frame import NATIVE_FRAME, Frame
from memlens.allocations.profiler import AllocationProfiler
from memlens.allocations.sampling.site_tables import live_sites
from memlens.errors import TracingError
from tests.sampler import need_sampler

need_sampler()


def make(number: int, size: int) -> list[bytes]:
    return [bytes(size) for _ in range(number)]


def made(profile, measure: str) -> float:
    return sum(
        getattr(row, measure)
        for row in profile.rows
        if any(frame.function == "make" for frame in row.call_path)
    )


def test_allocated_bytes_of_intervals_add_up_and_live_bytes_are_those_of_now():
    with AllocationProfiler(1) as profiler:
        kept = make(100, 1000)
        first, start = profiler.interval_profile()
        make(200, 1000)
        second, start = profiler.interval_profile(start)
        third, _ = profiler.interval_profile(start)
        whole = profiler.profile()
    assert len(kept) == 100
    assert 100_000 < made(first, "allocated_bytes") < 110_000
    assert 200_000 < made(second, "allocated_bytes") < 220_000
    assert made(third, "allocated_bytes") == 0
    assert 300_000 < made(whole, "allocated_bytes") < 330_000
    assert made(second, "live_bytes") == made(third, "live_bytes") == made(first, "live_bytes")
    assert second.facts.started_at >= first.facts.started_at + first.facts.duration_seconds - 0.01


def test_a_thread_that_ends_is_not_counted_again():
    with AllocationProfiler(1) as profiler:
        may_end, has_made = threading.Event(), threading.Event()

        def work():
            make(100, 1000)
            has_made.set()
            may_end.wait()

        thread = threading.Thread(target=work, name="short")
        thread.start()
        has_made.wait()
        first, start = profiler.interval_profile()
        may_end.set()
        thread.join()
        second, _ = profiler.interval_profile(start)
    assert made(first, "allocated_bytes") > 100_000
    assert made(second, "allocated_bytes") == 0


def test_an_interval_of_a_profiler_that_does_not_run_is_refused():
    with pytest.raises(TracingError):
        AllocationProfiler(1).interval_profile()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # other threads run
def test_in_a_forked_child_an_interval_begins_at_the_fork(tmp_path):
    pid = start = None
    with AllocationProfiler(1) as profiler:
        for number in (1000, 100):  # by one line, so that both have one call path
            make(number, 1000)
            if pid == 0:
                try:
                    profile, _ = profiler.interval_profile(start)
                    (tmp_path / "made").write_text(str(made(profile, "allocated_bytes")))
                finally:
                    os._exit(0)
            _, start = profiler.interval_profile()
            pid = os.fork()
            if pid:
                os.waitpid(pid, 0)
                break
    assert 100_000 < float((tmp_path / "made").read_text()) < 110_000


def test_live_sites_are_those_of_the_profile():
    with AllocationProfiler(1) as profiler:
        kept = make(100, 1000), [dict(a=i) for i in range(500)]
        found = profiler.live_sites(1000)
        profile = profiler.profile()
    assert kept
    expected = {row.call_path[-1]: row.live_bytes for row in profile.by_site()}
    shown = {site.frame: site.live_bytes for site in found.sites}
    ours = [frame for frame in shown if frame.file == __file__]
    assert len(ours) >= 2
    assert all(shown[frame] == expected[frame] for frame in ours)
    assert found.sites[0].live_bytes == max(shown.values())
    assert found.live_bytes == pytest.approx(sum(shown.values()))
    assert found.allocated_bytes >= found.live_bytes > 100_000


def test_live_sites_are_bounded_and_their_sum_is_not():
    with AllocationProfiler(1) as profiler:
        kept = make(100, 1000), [dict(a=i) for i in range(500)]
        found = profiler.live_sites(1)
    assert kept
    assert len(found.sites) == 1
    assert found.live_bytes > found.sites[0].live_bytes


def planted(buckets):
    """Tables of one location a bucket, each with (live bytes, their variance, samples)."""
    count = len(buckets)
    sizes, variances, samples = zip(*buckets, strict=True)
    tables = {
        "string_bytes": b"f/srv/app.py",
        "string_offset": [0, 1, 12],
        "location_function": [0] * count,
        "location_file": [1] * count,
        "location_line": range(1, count + 1),
        "stack_offset": [0, 0, *range(1, count + 1)],  # stack 0 has no frame
        "stack_location": range(count),
        "bucket_stack": range(1, count + 1),
        "live_bytes": sizes,
        "live_bytes_variance": variances,
        "live_samples": samples,
        "allocated_bytes": [2.0 * size for size in sizes],
    }
    return {
        name: column if isinstance(column, bytes) else array(COLUMNS[name], column).tobytes()
        for name, column in tables.items()
    }


def test_few_samples_are_reliable_only_where_their_error_is_small():
    found = live_sites(planted([(900.0, 0.0, 1), (800.0, 170.0**2, 4), (700.0, 7e4, 5)]), 3)
    assert [site.is_reliable for site in found.sites] == [True, False, True]
    assert [site.frame for site in found.sites] == [
        Frame("f", "/srv/app.py", line) for line in (1, 2, 3)
    ]
    assert (found.live_bytes, found.allocated_bytes) == (2400.0, 4800.0)


def test_stacks_that_end_at_one_line_are_one_site():
    tables = planted([(900.0, 0.0, 2), (50.0, 0.0, 3)])
    tables["stack_location"] = array("I", [0, 0]).tobytes()
    found = live_sites(tables, 3)
    assert [(site.live_bytes, site.is_reliable) for site in found.sites] == [(950.0, True)]


def test_native_code_without_a_python_frame_is_a_site():
    tables = planted([(900.0, 0.0, 2)])
    tables["bucket_stack"] = array("I", [0]).tobytes()
    assert live_sites(tables, 3).sites[0].frame == NATIVE_FRAME


def test_live_sites_of_a_profiler_that_does_not_run_or_traces_are_unknown():
    profiler = AllocationProfiler(1)
    assert profiler.live_sites(5) is None
    with AllocationProfiler(backend="tracemalloc") as traced:
        assert traced.live_sites(5) is None
