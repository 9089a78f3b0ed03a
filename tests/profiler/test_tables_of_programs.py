"""Programs that write tables: one that leaks, its healthy twin, forks, and ends of all kinds."""

import json
import os
import subprocess
import sys
import textwrap
import time

import pytest

import memlens
from memlens import _core

pytest.importorskip("pyarrow")
pytestmark = pytest.mark.skipif(_core.fork_capture is None, reason="captures would be too slow")

from memlens.tables.parquet_file import read_table  # noqa: E402
from memlens.tables.table_folder import list_tables  # noqa: E402

START = """
import os, sys, time
import memlens

profiler = memlens.MemoryProfiler(
    "profiles", sample_interval=0.05, snapshot_interval=0.3, table_dir="tables",
    table_interval=float(sys.argv[1]), service="shop", release="1.0",
)

class Order:
    def __init__(self):
        self.lines = bytearray(400)

def work(profiler, is_over, *, keep):
    # Until enough has been seen, however busy the machine is.
    orders = globals().setdefault("ORDERS", [])
    deadline = time.monotonic() + 60
    while not is_over():
        assert time.monotonic() < deadline, profiler.health()
        orders.extend(Order() for _ in range(40))
        if not keep:
            orders.clear()
        time.sleep(0.01)

def written(profiler):
    return profiler.health()["tables"]["written"]
"""


def run(tmp_path, body, interval=1.0):
    (tmp_path / "program.py").write_text(START + textwrap.dedent(body))
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "program.py", str(interval)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def rows_of(tmp_path, table):
    listing = list_tables(tmp_path / "tables")
    assert listing.skipped == ()
    rows = []
    for file in listing.files.get(table, ()):
        columns = read_table(file.path)
        rows += [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ]
    return sorted(rows, key=lambda row: (row["process"], row["time"]))


LIVE = """
    with profiler:
        work(profiler, lambda: len(profiler.snapshots) >= 5 and written(profiler) >= 2, keep={keep})
        import json
        told = [name for name in sys.modules if name.split(".")[0] in ("pyarrow", "numpy")]
        snapshots = profiler.snapshots
    print(json.dumps({{"imported": told, "health": profiler.health()["tables"]}}))
"""


@pytest.mark.parametrize("keep", [True, False])
def test_a_leak_is_in_the_tables_and_its_healthy_twin_has_no_suspects(tmp_path, keep):
    told = json.loads(run(tmp_path, LIVE.format(keep=keep)))
    assert told["imported"] == []  # what writes Parquet is in the other process
    assert told["health"]["failures"] == 0
    assert told["health"]["written"] >= 2  # and the last ones, unless the machine is too busy
    suspects = rows_of(tmp_path, "suspects")
    heap = [row["state"] for row in rows_of(tmp_path, "verdicts") if row["series"] == "heap"]
    if keep:
        assert suspects[-1]["holder"] == "__main__.ORDERS"
        assert suspects[-1]["pattern"] == "registry"
        assert suspects[-1]["site"] == "Order.__init__ (program.py:12)"
        assert len({row["fingerprint"] for row in suspects if "ORDERS" in row["holder"]}) == 1
        assert heap[-1] == "leak"
    else:
        assert [(row["holder"], row["pattern"], row["growth_bytes"]) for row in suspects] == []
        assert set(heap) <= {"no leak", "unknown"}
    readings = rows_of(tmp_path, "readings")
    uptimes = [row["uptime_seconds"] for row in readings]
    assert uptimes == sorted(set(uptimes))
    assert len({row["process"] for row in readings}) == 1
    assert {(row["service"], row["release"], row["kind"]) for row in readings} == {
        ("shop", "1.0", "main")
    }
    types, holders = {}, {}
    for name, sums in (("types", types), ("holders", holders)):
        for row in rows_of(tmp_path, name):
            sums[row["time"]] = sums.get(row["time"], 0) + row["size_bytes"]
    assert types == holders
    assert len(types) >= 3
    assert rows_of(tmp_path, "allocations")
    for row in rows_of(tmp_path, "types"):
        assert uptimes[0] - 5 < row["uptime_seconds"] < uptimes[-1]


def test_a_program_that_ends_without_stop_writes_what_is_left(tmp_path):
    run(
        tmp_path, "profiler.start(); work(profiler, lambda: len(profiler.snapshots) > 3, keep=True)"
    )
    assert rows_of(tmp_path, "readings")
    assert [row["holder"] for row in rows_of(tmp_path, "suspects")][-1:] == ["__main__.ORDERS"]


def test_the_snapshot_of_a_trigger_at_exit_is_tabulated(tmp_path):
    body = """
        from memlens import triggers
        late = memlens.MemoryProfiler(
            "late", snapshot_interval=3600.0, table_dir="tables", triggers=[triggers.at_exit()]
        )
        late.start()
    """
    run(tmp_path, body)
    (path,) = (tmp_path / "late").glob("heap-exit-*.memlens")
    moment = round(memlens.load(path).timestamp, 3)
    assert {round(row["time"].timestamp(), 3) for row in rows_of(tmp_path, "types")} == {moment}
    assert {row["service"] for row in rows_of(tmp_path, "types")} == {"program.py"}


def test_a_program_that_ends_by_an_error_writes_what_is_left(tmp_path):
    with pytest.raises(AssertionError, match="ValueError: enough"):
        run(tmp_path, "profiler.start(); raise ValueError('enough')")
    assert rows_of(tmp_path, "readings")


FORKS = """
    import signal
    profiler.start()  # as gunicorn with preload: the workers continue
    pids = []
    for number in range(2):
        pid = os.fork()
        if pid == 0:
            work(profiler, lambda: len(profiler.snapshots) >= 4, keep=number == 0)
            sys.exit(0)
        pids.append(pid)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    profiler.stop()
    print(os.getpid(), *pids, *codes)
"""


def test_each_forked_process_writes_its_own_tables(tmp_path):
    parent, leaking, healthy, *codes = run(tmp_path, FORKS, interval=3600).split()
    assert codes == ["0", "0"]
    pids = {}
    for row in rows_of(tmp_path, "readings"):
        pid = row["process"].rpartition("/")[2].partition("-")[0]
        pids.setdefault(pid, []).append(row["uptime_seconds"])
    assert pids.keys() == {parent, leaking, healthy}
    for uptimes in pids.values():
        assert uptimes == sorted(set(uptimes))
    owners = {
        row["process"].rpartition("/")[2].partition("-")[0] for row in rows_of(tmp_path, "suspects")
    }
    assert owners == {leaking}
    names = [
        file.path for files in list_tables(tmp_path / "tables").files.values() for file in files
    ]
    assert all(sum(f"-{pid}-" in os.path.basename(name) for pid in pids) == 1 for name in names)


POOL = """
    import multiprocessing
    def task(number):
        work(profiler, lambda: len(profiler.snapshots) >= 2, keep=False)
        return os.getpid()
    if __name__ == "__main__":
        profiler.start()
        with multiprocessing.get_context("fork").Pool(2) as pool:
            pids = pool.map(task, range(2), chunksize=1)
            pool.close()
            pool.join()
        profiler.stop()
        print(*sorted(set(pids)))
"""


def pids_of(rows):
    return {row["process"].rpartition("/")[2].partition("-")[0] for row in rows}


def test_a_worker_of_a_pool_writes_at_its_end(tmp_path):
    pids = run(tmp_path, POOL, interval=3600).split()
    deadline = time.monotonic() + 60  # a writing that takes over 5 seconds ends after its process
    while not set(pids) < (found := pids_of(rows := rows_of(tmp_path, "readings"))):
        assert time.monotonic() < deadline, (pids, found)
    assert {row["kind"] for row in rows} == {"main", "multiprocessing"}
