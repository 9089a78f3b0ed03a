"""AllocationProfiler: subscriptions, lifecycle, forks, the fallback to tracemalloc."""

from __future__ import annotations

import gc
import os
import threading
import tracemalloc
import warnings

import pytest

from memlens.allocations import profiler as sampling
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.allocations.profiler import AllocationProfiler
from memlens.allocations.sampling.shared_sampler import SHARED
from memlens.errors import OptionError, TracingError
from tests.sampler import need_sampler

need_sampler()


BAD_OPTIONS = (
    {"interval_bytes": 0},
    {"interval_bytes": 1.5},
    {"interval_bytes": "x"},
    {"interval_bytes": True},
    {"max_samples": 1},
    {"max_samples": None},
    {"seed": -1},
    {"backend": 5},
    {"backend": ["auto"]},
)


def make(number: int, size: int) -> list[bytes]:
    return [bytes(size) for _ in range(number)]


def live_in_make(profile: AllocationProfile) -> float:
    return sum(
        row.live_bytes
        for row in profile.rows
        if any(frame.function == "make" for frame in row.call_path)
    )


def test_profile_has_live_and_allocated_memory() -> None:
    with AllocationProfiler(1) as profiler:
        for _ in range(2):
            kept = make(100, 1000)
        profile = profiler.profile()
    row = next(r for r in profile.top(3) if "make" in str(r.call_path[-2:]))
    assert len(kept) == 100
    assert 100_000 < live_in_make(profile) < 110_000
    assert row.allocated_bytes is not None
    assert row.allocated_bytes > 1.9 * row.live_bytes
    assert row.live_bytes_stderr == 0
    assert "make" in str(row)
    assert row.call_path[-1].file == __file__
    assert profile.untracked_bytes is not None
    assert "not explained" in str(profile)


def test_profilers_share_one_sampler_and_see_what_was_allocated_since_their_start() -> None:
    first, second = AllocationProfiler(1), AllocationProfiler(1)
    first.start()
    early = make(50, 1000)
    second.start()
    late = make(70, 1000)
    assert first.health()["subscribers"] == 2
    second_profile = second.stop()
    first_profile = first.stop()
    assert live_in_make(second_profile) == pytest.approx(70 * 1033, rel=0.03)
    assert live_in_make(first_profile) == pytest.approx(120 * 1033, rel=0.03)
    assert len(early) + len(late) == 120
    assert SHARED.subscribers == 0


def test_profile_stays_after_stop_until_the_next_start() -> None:
    with AllocationProfiler(1) as profiler:
        kept = make(100, 1000)
    profile = profiler.profile()
    kept.clear()
    assert profiler.profile() is profile
    assert live_in_make(profile) > 100_000
    with pytest.raises(TracingError, match="not running"):
        profiler.stop()
    assert profiler.profile() is profile
    with profiler:
        assert live_in_make(profiler.profile()) == 0


def test_exception_of_the_block_passes_if_the_profile_fails() -> None:
    with (
        pytest.raises(KeyError, match="the block's"),
        AllocationProfiler(backend="tracemalloc") as profiler,
    ):
        tracemalloc.stop()
        raise KeyError("the block's")
    with pytest.raises(TracingError, match="not running"):
        profiler.profile()


def test_smallest_interval_applies_while_its_profiler_runs() -> None:
    with AllocationProfiler(100_000) as coarse:
        with AllocationProfiler(1000):
            assert coarse.health()["interval_bytes"] == 1000
        assert coarse.health()["interval_bytes"] == 100_000


def test_reset_starts_with_an_empty_profile() -> None:
    with AllocationProfiler(1) as profiler:
        before = make(100, 1000)
        profiler.reset()
        after = make(10, 1000)
        assert live_in_make(profiler.profile()) < 12_000
    assert len(before) + len(after) == 110


def test_freed_memory_is_not_live_but_counts_as_allocated() -> None:
    with AllocationProfiler(1) as profiler:
        kept = make(100, 1000)
        kept.clear()
        gc.collect()
        profile = profiler.profile()
    assert live_in_make(profile) < 1000
    assert sum(r.allocated_bytes or 0 for r in profile.rows) > 100_000


def test_rows_name_running_and_ended_threads() -> None:
    kept: list[list[bytes]] = []
    go, done = threading.Event(), threading.Event()

    def work() -> None:
        kept.append(make(20, 1000))
        done.set()
        go.wait()

    with AllocationProfiler(1) as profiler:
        thread = threading.Thread(target=work, name="baker")
        thread.start()
        done.wait()
        running = profiler.profile().by_thread()
        go.set()
        thread.join()
        ended = profiler.profile().by_thread()
    assert running["baker"].live_bytes > 20_000
    assert "baker" not in ended
    assert any("(ended)" in name and row.live_bytes > 20_000 for name, row in ended.items())


def test_ages_of_live_blocks_are_not_negative() -> None:
    with AllocationProfiler(1) as profiler:
        kept = make(10, 1000)
        profile = profiler.profile()
    assert kept
    for row in profile.rows:
        if row.live_samples:
            assert row.oldest_seconds is not None
            assert row.mean_age_seconds is not None
            assert 0 <= row.mean_age_seconds <= row.oldest_seconds + 1e-9 < 60


def test_work_of_the_profiler_itself_is_not_counted() -> None:
    with AllocationProfiler(1) as profiler:
        profiler.profile()
        profiler.profile()
        allocated = profiler.profile().total.allocated_bytes
    assert allocated is not None
    assert allocated < 20_000


def test_bad_options_and_wrong_lifecycle_are_errors() -> None:
    for options in BAD_OPTIONS:
        with pytest.raises(OptionError):
            AllocationProfiler(**options)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="backend"):
        AllocationProfiler(backend="magic")
    profiler = AllocationProfiler()
    for call in (profiler.profile, profiler.stop, profiler.reset):
        with pytest.raises(TracingError):
            call()
    with profiler, pytest.raises(TracingError, match="running"):
        profiler.start()
    with profiler:
        assert profiler.is_running
    assert not profiler.is_running


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_child_counts_from_the_fork_and_keeps_live_memory() -> None:
    with AllocationProfiler(1) as profiler:
        kept = make(100, 1000)
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            profile = profiler.profile()
            allocated = sum(r.allocated_bytes or 0 for r in profile.rows)
            os.write(write, f"{live_in_make(profile)} {allocated}".encode())
            os._exit(0)
        os.waitpid(pid, 0)
        live, allocated = map(float, os.read(read, 1000).split())
        assert len(kept) == 100
        assert live > 100_000
        assert allocated < 100_000
        assert sum(r.allocated_bytes or 0 for r in profiler.profile().rows) > 100_000


def test_bypassed_hooks_are_reported_and_reset_installs_them_again() -> None:
    tracemalloc.start()
    try:
        profiler = AllocationProfiler(1)
        profiler.start()
    finally:
        tracemalloc.stop()
    assert profiler.profile().facts.hooks_bypassed
    assert "incomplete" in str(profiler.profile())
    profiler.reset()
    kept = make(10, 1000)
    profile = profiler.stop()
    assert kept
    assert not profile.facts.hooks_bypassed
    assert live_in_make(profile) > 10_000


def test_fallback_has_live_memory_and_none_for_unknown_numbers() -> None:
    with AllocationProfiler(backend="tracemalloc") as profiler:
        kept = make(100, 1000)
        profile = profiler.profile()
        assert kept
    row = profile.top(1)[0]
    assert not tracemalloc.is_tracing()
    assert row.live_bytes >= 100_000
    assert row.allocated_bytes is None
    assert row.oldest_seconds is None
    assert profile.total.allocated_bytes is None
    assert "tracemalloc" in str(profile)


def test_fallback_warns_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMLENS_PURE", "1")
    monkeypatch.setattr(sampling, "_warned", set())
    with pytest.warns(RuntimeWarning, match="using tracemalloc"):
        first = AllocationProfiler()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second = AllocationProfiler()
    assert first.backend == second.backend == "tracemalloc"
    with pytest.raises(TracingError, match="MEMLENS_PURE"):
        AllocationProfiler(backend="sampling")


def test_start_sampling_and_stop_sampling_are_other_names_of_start_and_stop() -> None:
    profiler = AllocationProfiler(1)
    profiler.start_sampling()
    assert profiler.is_running
    kept = make(10, 1000)
    assert live_in_make(profiler.stop_sampling()) > 10_000
    assert not profiler.is_running
    assert kept
