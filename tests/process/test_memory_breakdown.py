"""Where resident memory went, against what the process does in front of the test."""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from memlens.process import allocator_memory, memory_breakdown
from memlens.process.mapped_memory import parse_smaps
from memlens.process.memory_breakdown import breakdown
from tests.sampler import need_sampler

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def has_mallinfo2():
    return hasattr(ctypes.CDLL(None), "mallinfo2")


def in_child(program, **env):
    """Run a program in a fresh interpreter, so that allocators are its own; return its output."""
    out = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        env={**os.environ, **env},
        check=True,
    )
    assert out.stderr == ""
    return out.stdout


def test_small_objects_are_counted_as_pymalloc_rounds_them():
    printed = in_child("""
        import gc, json, sys
        from memlens.process.memory_breakdown import breakdown
        gc.disable()
        breakdown()  # what the first call keeps
        before = breakdown()
        kept = [object() for _ in range(100_000)]
        after = breakdown()
        size_bytes = after.objects.size_bytes - before.objects.size_bytes
        blocks = after.allocated_blocks - before.allocated_blocks
        print(json.dumps([sys.getsizeof(kept[0]), size_bytes, blocks]))
    """)
    size, size_bytes, blocks = json.loads(printed)
    rounded = (size + 15) // 16 * 16
    assert size_bytes == pytest.approx(100_000 * rounded, rel=0.05)  # breakdown() allocates, too
    assert blocks == pytest.approx(100_000, rel=0.01)


def test_mostly_empty_arenas_count_as_free():
    printed = in_child("""
        import json
        from memlens.process.memory_breakdown import breakdown
        kept = [object() for _ in range(1_000_000)]
        full = breakdown().to_dict()
        kept[:] = kept[::100]  # one in each few pools stays
        print(json.dumps([full, breakdown().to_dict()]))
    """)
    full, sparse = json.loads(printed)
    released = full["objects_bytes"] - sparse["objects_bytes"]
    assert released > 15_000_000
    assert sparse["pymalloc_free_bytes"] > 0.8 * released


@linux
@pytest.mark.skipif(not has_mallinfo2(), reason="glibc 2.33 or later")
def test_large_objects_count_as_malloc_in_use():
    before = breakdown().malloc_in_use.size_bytes
    kept = b"x" * 30_000_000
    assert breakdown().malloc_in_use.size_bytes - before == pytest.approx(len(kept), rel=0.01)


@linux
def test_known_parts_add_up_to_rss():
    whole = breakdown()
    sizes = [part.size_bytes for part in whole.parts]
    if whole.rest.size_bytes is None:
        assert "unknown" in whole.rest.source or "exceed" in whole.rest.source
    else:
        assert sum(sizes) == whole.rss.size_bytes
    import psutil

    assert whole.rss.size_bytes == pytest.approx(psutil.Process().memory_info().rss, rel=0.1)


@linux
def test_stacks_of_waiting_threads_are_found():
    before = breakdown().stacks.size_bytes
    wait, used = threading.Event(), threading.Barrier(9)

    def deep():
        (lambda: used.wait())()
        wait.wait()

    threads = [threading.Thread(target=deep) for _ in range(8)]
    for thread in threads:
        thread.start()
    used.wait()
    try:
        deadline = time.monotonic() + 10
        while True:  # until the last of them sleeps: a running thread shows no stack pointer
            found = breakdown().stacks
            if "not found" not in found.source or time.monotonic() > deadline:
                break
    finally:
        wait.set()
        for thread in threads:
            thread.join()
    assert found.size_bytes >= before + 8 * 4096


def test_file_descriptors_are_unchanged():
    printed = in_child("""
        import os
        from memlens.process.memory_breakdown import breakdown
        def descriptors():
            return sorted((fd, os.fstat(int(fd)).st_ino) for fd in os.listdir("/proc/self/fd")
                          if os.path.exists(f"/proc/self/fd/{fd}"))
        breakdown()  # loads ctypes, and some builds of libffi keep their own file open
        before = descriptors()
        for _ in range(50):
            breakdown()
        print(before == descriptors())
    """)
    assert printed == "True\n"


def test_breakdown_does_not_leak():
    breakdown()
    grown = []
    for _ in range(3):  # others allocate in between, once or twice; a leak does it each time
        before = breakdown()
        for _ in range(100):
            breakdown()
        after = breakdown()
        blocks = after.allocated_blocks - before.allocated_blocks
        in_use = (after.malloc_in_use.size_bytes or 0) - (before.malloc_in_use.size_bytes or 0)
        grown.append((blocks < 100, in_use < 50_000))
    assert (True, True) in grown


def test_source_says_that_objects_are_in_malloc_without_pymalloc():
    printed = in_child(
        "from memlens.process.memory_breakdown import breakdown; print(breakdown())",
        PYTHONMALLOC="malloc",
    )
    assert "pymalloc is not in use" in printed


def test_objects_are_counted_while_allocations_are_sampled():
    need_sampler()
    printed = in_child("""
        import memlens
        from memlens._core.sampler_api import load_sampler
        from memlens.process import breakdown
        profiler = memlens.AllocationProfiler(4096)
        profiler.start()
        profiler.stop()  # all modules are imported
        before = breakdown().objects
        with profiler:
            kept = [object() for _ in range(100_000)]
            during = breakdown()
            more = [bytes(1000) for _ in range(1000)]
            health = load_sampler().health()
            sampled = profiler.profile().total.live_bytes
        grown = during.objects.size_bytes - before.size_bytes
        print(during.objects.source == before.source, 1_600_000 <= grown < 3_000_000)
        print(health["object_hook"], sampled > 1_000_000)
    """)
    assert printed == "True True\ninstalled True\n"


@pytest.mark.parametrize("loads_sampler", [False, True])
def test_objects_are_unknown_while_another_tool_hooks_the_allocator(loads_sampler):
    if loads_sampler:
        need_sampler()
    printed = in_child(f"""
        import tracemalloc
        from memlens._core.sampler_api import load_sampler
        from memlens.process import breakdown
        tracemalloc.start()
        if {loads_sampler}:
            load_sampler()
        whole = breakdown()
        print(whole.objects.size_bytes, whole.objects.source)
        print(whole.rest.size_bytes)
    """)
    assert printed == ("None hidden by hooks on the allocator, for example tracemalloc's\nNone\n")


def test_unknown_part_is_none_and_its_source_says_why(monkeypatch):
    monkeypatch.setattr(memory_breakdown, "mappings_of_process", lambda: (None, "no mappings here"))
    monkeypatch.setattr(allocator_memory, "_pymalloc_statistics", lambda: (None, "no books"))
    whole = breakdown()
    assert whole.rss.source == "psutil"
    assert whole.rss.size_bytes > 1_000_000
    assert whole.objects.size_bytes is whole.pymalloc_free.size_bytes is None
    assert (whole.file_mappings.size_bytes, whole.file_mappings.source) == (
        None,
        "no mappings here",
    )
    assert whole.rest.size_bytes is None
    assert whole.rest.source.startswith("unknown: Python objects")
    assert "unknown" in str(whole)


def test_statistics_of_an_unknown_form_give_none(monkeypatch):
    monkeypatch.setattr(allocator_memory, "_pymalloc_statistics", lambda: ("another form", ""))
    assert breakdown().objects.size_bytes is None


def test_mapping_names_may_contain_spaces():
    text = textwrap.dedent("""\
        55d0c0000000-55d0c0021000 rw-p 00000000 00:00 0                          [heap]
        Size:                132 kB
        Rss:                  64 kB
        7f0000000000-7f0000001000 r--p 00000000 08:01 12   /tmp/a name.so (deleted)
        Rss:                   4 kB
        7f0000002000-7f0000003000 rw-p 00000000 00:00 0
        Rss:                   0 kB
        """)
    heap, file, anonymous = parse_smaps(text)
    assert (heap.name, heap.rss_bytes) == ("[heap]", 65536)
    assert (file.name, file.rss_bytes) == ("/tmp/a name.so (deleted)", 4096)
    assert anonymous.name == ""
    assert anonymous.end - anonymous.start == 4096


def test_table_fits_100_columns_and_dict_is_json_ready():
    whole = breakdown()
    assert max(len(row) for row in str(whole).splitlines()) <= 100
    assert json.loads(json.dumps(whole.to_dict()))["sources"]["objects"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists mappings")
def test_a_private_mapping_that_was_written_is_no_file(tmp_path):
    with (tmp_path / "a\rb").open("w+b") as file:
        file.truncate(32 << 20)
        private = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        shared = mmap.mmap(file.fileno(), 0)
    before = breakdown()
    private[:] = b"x" * len(private)
    written = breakdown()
    assert written.rss.size_bytes - before.rss.size_bytes > 30 << 20
    assert written.file_mappings.size_bytes - before.file_mappings.size_bytes < 2 << 20
    shared[:] = b"x" * len(shared)
    after = breakdown()
    assert after.file_mappings.size_bytes - written.file_mappings.size_bytes > 30 << 20
    private.close()
    shared.close()
