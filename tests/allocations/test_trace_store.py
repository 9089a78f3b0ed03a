import gc
import json
import sys
import threading
import tracemalloc

import pytest

from memlens._frame import Frame
from memlens.allocations.tracing.trace_store import TraceStore
from memlens.errors import OptionError, SnapshotFileError, TracingError

KIB = 1024


def here(offset=0):
    frame = sys._getframe(1)
    return Frame(None, frame.f_code.co_filename, frame.f_lineno + offset)


def allocate(size):
    return bytearray(size)


ALLOCATING_LINE = allocate.__code__.co_firstlineno + 1


def test_growth_between_two_captures_is_found_at_its_line():
    with TraceStore() as store:
        before = store.take("before")
        data, line = bytearray(100 * KIB), here()
        after = store.take("after")
    row = store.compare(before, after)[0]
    assert row.frame == line
    assert 100 * KIB <= row.difference_bytes <= 101 * KIB
    assert row.before_bytes == 0
    assert len(data) == 100 * KIB


def test_freed_memory_is_a_negative_difference():
    with TraceStore() as store:
        data, line = bytearray(100 * KIB), here()
        before = store.take()
        del data
        after = store.take()
    row = store.compare(before, after)[0]
    assert row.frame == line
    assert row.difference_bytes <= -100 * KIB
    assert row.difference_count < 0


def test_tracebacks_distinguish_callers():
    with TraceStore() as store:
        small, first = allocate(10 * KIB), here()
        large, second = allocate(20 * KIB), here()
        store.take()
    by_line = store.top(1)[0]
    assert by_line.frame.line == ALLOCATING_LINE
    assert by_line.size_bytes >= 30 * KIB
    paths = [row.call_path[-2:] for row in store.top(2, group_by="traceback")]
    inner = Frame(None, __file__, ALLOCATING_LINE)
    assert paths == [(second, inner), (first, inner)]
    by_file = store.top(1, group_by="file")[0]
    assert by_file.call_path == (Frame(None, __file__, 0),)
    assert by_file.size_bytes >= 30 * KIB
    assert len(small) + len(large) == 30 * KIB


def test_paths_have_at_most_the_given_number_of_frames():
    with TraceStore(frames=2) as store:
        data = allocate(10 * KIB)
        memory = store.take()
    assert memory.frame_limit == 2
    assert max(len(path) for path in memory.paths) <= 2
    assert len(data) == 10 * KIB


def test_oldest_capture_is_dropped():
    with TraceStore(max_captures=3, frames=1) as store:
        for number in range(5):
            store.take(str(number))
        assert [memory.label for memory in store.captures] == ["2", "3", "4"]
        store.clear()
        assert store.captures == ()
        assert store.is_running


def test_capture_has_the_memory_of_tracing_itself():
    with TraceStore() as store:
        data = [bytearray(10) for _ in range(5000)]
        memory = store.take()
        # A trace needs tens of bytes, whatever the size of its block.
        assert 5000 * 16 < memory.tracing_bytes < 5000 * 1000
        assert store.tracing_bytes > 5000 * 16
    assert memory.traced_bytes >= memory.total_bytes > 5000 * 10
    assert len(data) == 5000


def test_frames_of_memlens_tracemalloc_and_the_import_system_are_dropped():
    with TraceStore() as store, TraceStore(internal=True) as everything:
        sys.modules.pop("this_is_not_there", None)
        for _ in range(3):
            everything.take()
            store.take()
        with pytest.raises(ImportError):
            import this_is_not_there  # noqa: F401
        shown = {path[-1].file for path in store.take().paths}
        all_files = {path[-1].file for path in everything.take().paths}
    own = {file for file in all_files if "/memlens/" in file.replace("\\", "/")}
    assert own
    assert not own & shown
    assert tracemalloc.__file__ not in shown
    assert not any(file.startswith("<frozen importlib") for file in shown)
    assert __file__ in shown


def test_include_and_exclude_select_files_by_pattern():
    namespace = {}
    exec(compile("def make(): return bytearray(50_000)", "/app/models.py", "exec"), namespace)
    with (
        TraceStore(include=("/app/*",)) as only_app,
        TraceStore(exclude=("*/models.py",)) as without_models,
    ):
        data = namespace["make"](), bytearray(KIB)
        included, others = only_app.take(), without_models.take()
    assert {path[-1].file for path in included.paths} == {"/app/models.py"}
    assert included.total_bytes >= 50_000
    files = {path[-1].file for path in others.paths}
    assert "/app/models.py" not in files
    assert __file__ in files
    assert len(data) == 2


def test_last_of_nested_stores_stops_tracing():
    outer, inner = TraceStore(frames=2), TraceStore(frames=9)
    with outer:
        with inner:
            assert tracemalloc.get_traceback_limit() == 2
        assert tracemalloc.is_tracing()
        assert outer.is_running
        assert not inner.is_running
    assert not tracemalloc.is_tracing()


def test_tracing_of_the_application_stays_on():
    tracemalloc.start(4)
    with TraceStore() as store:
        assert store.take().frame_limit == 4
    assert tracemalloc.is_tracing()
    assert tracemalloc.get_traceback_limit() == 4
    tracemalloc.stop()


def test_start_and_stop_can_be_repeated():
    store = TraceStore()
    store.stop()
    for _ in range(3):
        store.start()
        store.start()
        assert store.is_running
        store.stop()
        store.stop()
        assert not tracemalloc.is_tracing()


def test_a_thousand_starts_and_stops_leave_no_trace():
    store = TraceStore(frames=1)
    threads, collecting = threading.active_count(), (gc.isenabled(), gc.get_threshold())
    references = sys.getrefcount(store)
    for _ in range(1000):
        with store:
            pass
    assert not tracemalloc.is_tracing()
    assert threading.active_count() == threads
    assert (gc.isenabled(), gc.get_threshold()) == collecting
    assert sys.getrefcount(store) == references


def test_deleted_store_releases_tracing():
    store = TraceStore()
    store.start()
    del store
    assert not tracemalloc.is_tracing()


def test_capture_while_tracing_is_off_is_a_tracing_error():
    store = TraceStore()
    with pytest.raises(TracingError, match=r"call start\(\)"):
        store.take()
    with pytest.raises(TracingError, match=r"call start\(\)"):
        store.top()


def test_store_reports_that_other_code_stopped_tracing_and_can_restart():
    with TraceStore() as store:
        tracemalloc.stop()
        assert not store.is_running
        with pytest.raises(TracingError, match="other code stopped tracemalloc"):
            store.take()
        store.start()
        data = bytearray(50 * KIB)
        assert store.take().total_bytes >= 50 * KIB
    assert len(data) == 50 * KIB
    assert not tracemalloc.is_tracing()


def test_store_that_is_not_running_reads_traces_of_other_code():
    store = TraceStore()
    tracemalloc.start()
    data = bytearray(50 * KIB)
    assert store.take().total_bytes >= 50 * KIB
    tracemalloc.stop()
    assert len(data) == 50 * KIB


def test_top_uses_the_newest_capture_or_the_current_memory():
    with TraceStore() as store:
        data = bytearray(100 * KIB)
        assert store.top(1)[0].size_bytes >= 100 * KIB
        assert store.captures == ()
        store.take()
        del data
        assert store.top(1)[0].size_bytes >= 100 * KIB
        store.take()
        assert store.top(None).total_bytes < 100 * KIB


def test_store_is_saved_and_loaded_with_its_captures(tmp_path):
    path = tmp_path / "run.traces"
    with TraceStore() as store:
        store.take("a")
        data = bytearray(KIB)
        store.take("b")
    assert store.save(path) == path.stat().st_size
    loaded = TraceStore.load(path)
    assert loaded.captures == store.captures
    assert not loaded.is_running
    before, after = loaded.captures
    assert str(loaded.compare(before, after)) == str(store.compare(*store.captures))
    json.dumps(loaded.compare(before, after).to_dict())
    assert len(data) == KIB


def test_file_of_another_kind_is_not_loaded(tmp_path):
    path = tmp_path / "x.traces"
    path.write_bytes(b"something")
    with pytest.raises(SnapshotFileError):
        TraceStore.load(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_captures": 0}, "max_captures must be a whole number, 1 or more"),
        ({"max_captures": 1.5}, "max_captures"),
        ({"frames": 0}, "frames must be a whole number, 1 to 65535"),
        ({"frames": 70_000}, "frames"),
        ({"include": "*.py"}, "include must be a sequence of strings"),
        ({"exclude": [5]}, "exclude must be a sequence of strings"),
        ({"include": 5}, "include must be a sequence of strings"),
        ({"internal": "yes"}, "internal must be True or False"),
    ],
)
def test_bad_options_are_option_errors(options, message):
    with pytest.raises(OptionError, match=message):
        TraceStore(**options)


def test_label_of_the_wrong_type_is_an_option_error():
    with TraceStore() as store, pytest.raises(OptionError, match="label must be a string"):
        store.take(5)
