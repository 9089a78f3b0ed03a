"""The C sampler: what it counts, where it says it was allocated, how it stays within bounds."""

from __future__ import annotations

import pytest

from tests.core.sampler_child import run
from tests.sampler import need_sampler

need_sampler()


def test_at_interval_one_every_block_is_counted_with_its_size() -> None:
    run("""
    def make(n):
        return [bytearray(1000) for _ in range(n)]
    sampler.start(1, 1 << 17, 0)
    kept = make(500)
    def live():
        return sum(row[2] for row in table() if any("make" in f[0] for f in row[0]))
    least = 500 * (1000 + BLOCK_EXTRA)
    assert least <= live() <= least + 500 * 64 + 8800, live()
    kept.clear()
    assert live() < 200, live()
    sampler.stop()
    """)


def test_sizes_counts_and_sites_equal_those_of_tracemalloc() -> None:
    """Both see the same blocks: one hook below the other, both exact."""
    run("""
    import tracemalloc
    def objects(n):
        return [object() for _ in range(n)]
    def buffers(n):
        return [bytes(i + 600) for i in range(n)]
    def nested(n):
        return {str(i) + "x" * 40: [i] * 10 for i in range(n)}
    def recursive(depth):
        return [recursive(depth - 1) if depth else None]
    class Thing:
        def __init__(self):
            self.a = {1: 2}
    def things(n):
        return [Thing() for _ in range(n)]
    import gc; gc.disable()
    warm = [objects(2), buffers(2), nested(2), recursive(2), things(2)]
    # tracemalloc stamps objects from free lists anew, a sampler of allocations cannot: empty them.
    # One list or frame that is freed and used again in between remains.
    drained = [[[] for _ in range(500)], [{1: 2} for _ in range(500)], [i / 3 for i in range(500)]]
    tracemalloc.start(64)
    sampler.start(1, 1 << 17, 0)
    kept = [objects(300), buffers(300), nested(300), recursive(30), things(100)]
    snapshot = tracemalloc.take_snapshot()
    rows = table()
    sampler.stop()
    tracemalloc.stop()
    def of(path):
        return path and path[-1][1] == "<string>" and any(
            f[0].split(".")[0] in ("objects", "buffers", "nested", "recursive", "things", "Thing")
            for f in path)
    ours = {}
    for path, domain, live_bytes, live_count, *_ in rows:
        if of(path) and live_count:
            lines = tuple(line for _, file, line in path if file == "<string>")
            size, count = ours.get(lines, (0, 0))
            ours[lines] = size + live_bytes, count + live_count
    theirs = {}
    # tracemalloc counts small blocks in OBJ and MEM, large ones again as RAW: it guards recursion
    for found in snapshot.statistics("traceback"):
        lines = tuple(f.lineno for f in reversed(found.traceback) if f.filename == "<string>")
        if lines in ours:
            size, count = theirs.get(lines, (0, 0))
            theirs[lines] = size + found.size, count + found.count
    assert len(ours) > 30, len(ours)
    other = {k: (ours[k], theirs.get(k)) for k in ours if ours[k] != theirs.get(k)}
    assert len(other) <= 6, other
    for o, t in other.values():
        assert t and abs(o[1] - t[1]) == 1 and abs(o[0] - t[0]) < 500, other
    """)


def test_a_grown_list_is_counted_with_its_new_size_only() -> None:
    run("""
    def grow():
        kept = []
        for i in range(10_000):
            kept.append(None)
        return kept
    sampler.start(1, 1 << 16, 0)
    kept = grow()
    live, count = live_of("grow")
    import sys
    assert abs(live - sys.getsizeof(kept)) <= 64, (live, sys.getsizeof(kept))
    assert allocated_of("grow")[0] > 3 * live
    sampler.stop()
    """)


def test_freed_blocks_leave_no_live_sample_and_no_filter_bit() -> None:
    run("""
    import gc
    def churn(n):
        for _ in range(n):
            [bytearray(700) for _ in range(50)]
    sampler.start(64, 1 << 15, 5)
    churn(300)
    gc.collect()
    assert live_of("churn")[1] == 0, live_of("churn")
    health = sampler.health()
    assert health["freed_samples"] > 10_000
    assert health["replaced_samples"] == 0
    sampler.stop()
    """)


def test_estimates_of_mixed_sizes_are_right_at_one_site_and_at_several() -> None:
    """Small and large blocks interleaved bias an estimator that uses bytes since the last."""
    run("""
    def small():
        return bytearray(64)
    def large():
        return bytearray(200_000)
    def both(n):
        return [large() if i % 50 == 0 else small() for i in range(n)]
    sums = {"small": 0.0, "large": 0.0}
    rounds = 40
    for seed in range(1, rounds + 1):
        sampler.start(16 * 1024, 1 << 15, seed)
        both(5000)
        for name in sums:
            sums[name] += allocated_of(name)[0] / rounds
        sampler.stop()
    sampler.start(1, 1 << 16, 1)
    both(5000)
    truth = {name: allocated_of(name)[0] for name in sums}
    sampler.stop()
    for name in sums:
        assert abs(sums[name] / truth[name] - 1) < 0.06, (name, sums[name] / truth[name])
    """)


def test_a_full_table_doubles_the_interval_and_stays_unbiased() -> None:
    run("""
    def make(n):
        return [bytearray(100) for _ in range(n)]
    ratios = []
    for seed in range(1, 21):
        sampler.start(1, 256, seed)
        kept = make(5000)
        health = sampler.health()
        assert health["live_samples"] <= 256 and health["interval_bytes"] > 100, health
        assert health["thinnings"] > 3 and health["dropped_samples"] > 100, health
        live = sum(row[3] for row in table() if any("make" in f[0] for f in row[0]))
        ratios.append(live / 10_001)
        sampler.stop()
        del kept
    mean = sum(ratios) / len(ratios)
    assert 0.9 < mean < 1.1, (mean, ratios)
    """)


def test_too_many_call_paths_are_given_up_for_the_largest_and_totals_stay_right() -> None:
    run("""
    def leaf():
        return bytearray(600)
    sampler.start(1, 1 << 18, 0)
    for block in range(30):
        text = "\\n".join(f"def h{i}(go): return go()" for i in range(1000))
        space = {}
        exec(compile(text, f"file{block}.py", "exec"), space)
        for i in range(1000):
            space[f"h{i}"](leaf)
    health = sampler.health()
    assert health["compactions"] >= 1 and health["evicted_buckets"] > 1000, health
    assert health["site_table_load"] <= 1.0
    allocated = sum(row[4] for row in table())
    assert allocated > 30_000 * 600, allocated
    sampler.stop()
    """)


def test_function_names_and_files_survive_any_characters() -> None:
    run(r"""
    space = {}
    code = "def grün_мир_世界():\n    return bytearray(5000)\n"
    exec(compile(code, "/tmp/dé\udc80/\U0001f600.py", "exec"), space)
    sampler.start(1, 1 << 12, 0)
    kept = space["grün_мир_世界"]()
    rows = [row for row in table() if row[0] and row[0][0][0] == "grün_мир_世界"]
    assert rows and rows[0][0][0][1:] == ("/tmp/dé\udc80/\U0001f600.py", 2), table()
    sampler.stop()
    """)


def test_code_at_an_address_used_again_is_not_taken_for_the_old_code() -> None:
    """Code objects made and dropped in a loop get the same addresses; caches must notice."""
    run("""
    wrong = 0
    sampler.start(1, 1 << 15, 0)
    kept = []
    for i in range(2000):
        space = {}
        pad = "\\n" * (i % 13)
        exec(compile(f"{pad}def name{i}(): return bytearray(3000)", f"file{i % 17}", "exec"), space)
        kept.append(space.pop(f"name{i}")())
        if len(kept) > 20:
            kept.pop(0)
        del space
    for path, domain, live, count, allocated, allocated_count in table():
        if path and path[0][0].startswith("name"):
            i = int(path[0][0][4:])
            wrong += path[0][1:] != (f"file{i % 17}", i % 13 + 1)
    names = [row[0][0][0] for row in table() if row[0] and row[0][0][0].startswith("name")]
    assert wrong == 0 and len(set(names)) == 2000, (wrong, len(set(names)))
    sampler.stop()
    """)


@pytest.mark.parametrize("depth", [10, 63, 64, 65, 66, 200, 900, 1010, 1023, 1024, 1025, 5000])
def test_a_deep_stack_keeps_both_ends_or_says_what_it_left_out(depth: int) -> None:
    run(f"""
    import sys
    sys.setrecursionlimit(20_000)
    def down(n):
        return down(n - 1) if n else bytearray(1_000_000)
    def top():
        return down({depth} - 3)  # the module, top, then {depth} - 2 frames of down
    sampler.start(1, 1 << 12, 0)
    kept = top()
    paths = [row[0] for row in table() if row[2] >= 1_000_000]
    assert len(paths) == 1, paths
    names = [frame[0] for frame in paths[0]]
    if {depth} <= 64:
        assert names == ["down"] * ({depth} - 2) + ["top", "<module>"], names
    elif {depth} <= 1024:
        assert names == ["down"] * 48 + ["<frames omitted>"] + ["down"] * 14 + ["top", "<module>"]
    else:
        assert names == ["down"] * 48 + ["<frames omitted>"], names
    sampler.stop()
    """)


def test_wrong_arguments_are_refused() -> None:
    run("""
    for arguments in [(0, 100, 0), (1 << 57, 100, 0), (1, 1, 0), (1, 1 << 27, 0)]:
        try:
            sampler.start(*arguments)
        except ValueError:
            continue
        raise AssertionError(arguments)
    for call in (lambda: sampler.site_tables(0), lambda: sampler.sample_tables(0)):
        try:
            call()
        except RuntimeError:
            continue
        raise AssertionError
    sampler.start(1000, 100, 0)
    try:
        sampler.start(1000, 100, 0)
    except RuntimeError:
        pass
    else:
        raise AssertionError
    sampler.stop()
    sampler.stop()
    """)


def test_a_sample_address_leads_to_the_object_allocated_there() -> None:
    run("""
    class Plain: pass
    def make():
        # Many lists and dicts: the first come from the interpreter's free lists, not allocated now.
        few = [bytearray(1000), Plain(), "x" * int("3000"), frozenset(range(50))]
        return few + [[1] for _ in range(1000)][950:] + [{1: 2} for _ in range(1000)][950:]
    import gc
    gc.collect()
    gc.disable()  # a collection would fill the free lists again
    sampler.start(1, 1 << 14, 0)
    kept = make()
    found = columns(sampler.sample_tables(0))
    sampler.stop()
    blocks = dict(zip(found["sample_address"], found["sample_size"]))
    for o in kept:
        assert any(id(o) - offset in blocks for offset in (0, 16, 32, 48)), type(o)
    assert id(kept[0]) in blocks
    assert all(0 < p <= 1 for p in found["sample_probability"])
    """)


def test_threads_are_told_apart_also_where_their_identifiers_are_used_again() -> None:
    run("""
    import threading
    def work():
        box.append(bytearray(4000))
    box = []
    sampler.start(1, 1 << 14, 0)
    work()
    for _ in range(3):
        t = threading.Thread(target=work); t.start(); t.join()
    c = columns(sampler.site_tables(0))
    pairs = zip(c["bucket_thread"], c["live_bytes"])
    numbers = {thread for thread, live in pairs if live >= 4000}
    assert len(numbers) == 4, numbers
    sampler.stop()
    """)


@pytest.mark.parametrize("library", ["CDLL", "PyDLL"])
def test_a_thread_without_a_thread_state_is_charged_to_native_code(library: str) -> None:
    """Also where another thread holds the GIL meanwhile (PyDLL): its stack is not taken.

    With malloc: from 3.12 on pymalloc itself crashes in such a thread.
    """
    run(
        f"""
    import ctypes
    c_library = ctypes.{library}(None)
    handle = ctypes.c_ulong()
    allocate = ctypes.cast(ctypes.pythonapi.PyMem_Malloc, ctypes.c_void_p)
    result = ctypes.c_void_p()
    sampler.start(1, 1 << 12, 0)
    c_library.pthread_create(ctypes.byref(handle), None, allocate, ctypes.c_void_p(77_777))
    c_library.pthread_join(handle, ctypes.byref(result))
    rows = [row for row in table() if row[2] == 77_777]
    assert [row[0] for row in rows] == [()], rows
    ctypes.pythonapi.PyMem_Free(result)
    assert not [row for row in table() if row[2] == 77_777]
    sampler.stop()
    """,
        PYTHONMALLOC="malloc",
    )


def test_suppressed_threads_are_left_out() -> None:
    run("""
    sampler.start(1, 1 << 12, 0)
    def make(): return bytearray(2000)
    assert sampler.suppress(True) is True
    assert sampler.suppress(True) is False
    a = make()
    assert sampler.suppress(False) is True
    assert sampler.suppress(False) is False
    b = make()
    assert live_of("make")[1] == 2, live_of("make")
    assert sampler.health()["suppressed_samples"] >= 2
    sampler.stop()
    """)
