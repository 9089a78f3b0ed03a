"""A program with secrets everywhere, which uses every part of memlens that writes or answers.

    python -m tests.security.service FOLDER

Files about it go to FOLDER/out, those of snapshots with hashed names to FOLDER/hashed, those of
snapshots with values to FOLDER/values. What is no file by itself, such as an answer, is written
there, too.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import logging
import os
import socket
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import memlens
import memlens.heap
from memlens import _core, triggers
from memlens.files import _WRITERS
from memlens.heap.snapshot import HeapSnapshot
from memlens.integrations.metrics.metric_table import METRICS
from memlens.integrations.metrics.site_labels import SiteLabels
from memlens.integrations.sending.profile_requests import OtlpRequests, PyroscopeRequests
from memlens.integrations.web.contents import ENDPOINTS
from memlens.leaks.baselines import Baseline
from memlens.profiler import registry
from memlens.profiler.control_commands import control_commands
from memlens.profiler.file_owner import owner_suffix
from memlens.profiler.profiler_report import ProfilerReport
from memlens.profiler.report_tables import REPORT_TABLES
from memlens.tables.value_tables import TABLES_OF
from memlens.watch.report_files import write_report
from tests.integrations.web.clients import WSGIClient
from tests.security.places import (
    Account,
    name,
    plant_data,
    plant_names,
    secret,
    start_threads_and_tasks,
)

OWN_MODE = 0o640
GROWING: dict[str, Any] = {}
HELD: list[Any] = []


def grow(count: int) -> None:
    """Add entries with data to the holder that leaks."""
    for number in range(count):
        local = secret(f"entry-{len(GROWING)}")
        GROWING[local] = Account(f"entry-{number}")


class Folder:
    """A folder for files about the program."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tables: list[tuple[Any, str, Path]] = []
        path.mkdir(mode=0o700)

    def text(self, name: str, *values: Any) -> None:
        """Write what people and programs get to see of values: text, repr, HTML and JSON."""
        found = []
        for value in values:
            found += [str(value), repr(value)]
            for method in ("_repr_html_", "tree", "to_dict"):
                with contextlib.suppress(TypeError):  # it needs arguments
                    made = getattr(value, method, lambda: "")()
                    found.append(made if isinstance(made, str) else json.dumps(made, default=repr))
        self.content(name, "\n".join(found).encode("utf-8", "backslashreplace"))

    def content(self, name: str, content: bytes) -> None:
        """Write the bytes of an answer. The mode tells that memlens has not written the file."""
        (self.path / name).write_bytes(content)
        (self.path / name).chmod(OWN_MODE)

    def exported(self, name: str, value: Any) -> None:
        """Export a value in every format that it has, and every table."""
        for known, suffixes in _WRITERS:
            if isinstance(value, known):
                for suffix in suffixes:
                    if suffix != ".parquet":
                        memlens.export(value, self.path / f"{name}{suffix}")
        choices = next((names for kind, names in TABLES_OF.items() if isinstance(value, kind)), ())
        if isinstance(value, ProfilerReport):
            choices = REPORT_TABLES
        self.tables += [(value, table, self.path / f"{name}-{table}.parquet") for table in choices]

    def export_tables(self) -> None:
        """Export the tables of all values; at the end, because pyarrow makes a heap large."""
        for value, table, path in self.tables if has("pyarrow") else ():
            with contextlib.suppress(memlens.MemlensError):  # no allocations were sampled
                memlens.export(value, path, table=table)


def snapshots(folder: Folder, **options: Any) -> None:
    """Take snapshots of a leak, and write all that is said about them."""
    taken = []
    for number in range(3):
        grow(150)
        path = folder.path / f"heap-{number}.memlens"
        mode = "fork" if number == 1 and _core.fork_capture is not None else "inline"
        taken.append(memlens.take_heap_snapshot(path, mode=mode, **options))
    last = HeapSnapshot.load(folder.path / "heap-2.memlens")
    folder.exported("snapshot", last)
    report = memlens.find_leaks(taken)
    assert report.verdict == "leak", report
    folder.exported("leaks", report)
    known = Baseline(report)
    known.save(folder.path / "baseline.json")
    folder.text("verdicts.txt", report, *report, known, memlens.compare_snapshots(taken[0], last))
    folder.text("views.txt", *(view() for view in views(last)))
    if not options:
        write_report(
            report, [os.fspath(one) for one in folder.path.glob("heap-*")], os.fspath(folder.path)
        )


def views(last: HeapSnapshot) -> list[Callable[[], Any]]:
    """Return the views over a snapshot that show names."""
    return [
        *(lambda by=by: last.summary(by) for by in ("type", "module", "size", "referrer", "device")),
        last.statistics, last.garbage, last.duplicates, last.dominators, last.containment,
        lambda: last.dominators().by_type(), lambda: last.dominators().big_drops(),
        lambda: last.sparse_collections(), lambda: last.select("*").by_type(),
        lambda: [str(node) for node in last.largest(50)],
        lambda: [
            str(path)
            for node in last.select("*Account").largest(20)
            for path in last.retention_paths(node)
        ],
        lambda: [last.referrers(node).tree() for node in last.select("*Account").largest(5)],
        lambda: memlens.stuck_tasks(last), lambda: last.facts,
    ]  # fmt: skip


def live(out: Folder) -> None:
    """Write what memlens says about live objects."""
    obj = HELD[0]
    memlens.heap.draw_referrers(obj, out.path / "referrers.dot")
    memlens.heap.draw_referrers(HELD[1], out.path / "referrers-shown.dot")
    with memlens.memory_block("block", report=None) as block:
        grow(50)
    for _ in range(3):
        with memlens.scope("request", every=1, settle=1):
            grow(20)
    late = Account("late")
    HELD.append(late)
    memlens.expect_collected(late, within=0, reason="it is closed")
    try:
        memlens.assert_collected()
    except (AssertionError, memlens.MemlensError) as error:
        out.text("assertion.txt", error)
    tracker = memlens.AllocationTracker()
    tracker.start()
    grow(10)
    tracker.stop()
    out.text(
        "live.txt", memlens.why_alive(obj), memlens.retained_size(obj), memlens.breakdown(),
        memlens.heap.find_live_path(obj), block.result, tracker, memlens.read_memory(),
    )  # fmt: skip


def allocations(out: Folder) -> None:
    """Write profiles of allocations, and what is sent of them."""
    with memlens.TraceStore() as store:
        grow(50)
        store.take(label="one")
        grow(50)
        store.take(label="two")
    out.exported("traced", store)
    out.text("traces.txt", store, store.top(5), store.compare(store.captures[0], store.captures[1]))
    if _core.fork_capture is None:
        return  # there is no sampler
    with memlens.AllocationProfiler(interval_bytes=512) as profiler:
        grow(500)
        profile = profiler.profile()
    out.exported("profile", profile)
    out.text(
        "profile.txt",
        profile,
        profile.tree(),
        profile.by_site(),
        profile.by_module(),
        profile.lines(),
    )
    for made in (OtlpRequests, PyroscopeRequests):
        body = made("http://localhost:1", None, {}).request(profile, None)
        out.content(f"sent-{made.__name__}.bin", body.body)
        out.text(f"sent-{made.__name__}.txt", body.url, body.headers)


def profiler(out: Folder) -> None:
    """Run a profiler as a service does, and ask it everything."""

    is_alerted = threading.Event()

    def alerted(report: Any) -> None:
        is_alerted.set()
        out.text("alert.txt", report)
        raise ValueError(secret("message-of-a-callback"))

    options: dict[str, Any] = (
        {"table_dir": os.fspath(out.path / "tables")} if has("pyarrow") else {}
    )
    watching = memlens.MemoryProfiler(
        os.fspath(out.path / "profiles"),
        allocations="sampling",
        allocation_interval_bytes=2048,
        snapshot_interval=1.0,
        max_snapshots=4,
        sample_interval=3600,
        on_alert=alerted,
        triggers=[triggers.at_exit(), triggers.on_alert(), triggers.on_memory_error()],
        on_file=lambda file: out.text("trigger-file.txt", file),
        service="shop",
        **options,
    )
    with watching:
        for _ in range(60):  # until a periodic snapshot is compared with two before
            grow(100)
            if is_alerted.wait(1.0):
                break
        assert is_alerted.is_set()
        note = Path(os.environ["XDG_RUNTIME_DIR"], "memlens", f"{owner_suffix()}.json")
        out.content("runtime-note.json", note.read_bytes())
        ask_socket(out, watching)
        ask_web(out, watching)
        numbers = watching.metrics()
        labels = SiteLabels(10)
        rows = [(metric.name, [*metric.samples(numbers, labels)]) for metric in METRICS]
        out.text("metrics.txt", rows, numbers)
    report = watching.report()
    out.text("report.txt", report, watching)
    out.exported("report", report)


def ask_socket(out: Folder, watching: Any) -> None:
    """Ask each command of the control socket but the one that would stop the profiler."""
    if not hasattr(socket, "SO_PEERCRED"):
        return
    for command in [*sorted({*control_commands(watching)} - {"stop"}), "unknown"]:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(registry.own_socket_path())
            request = {"command": command, "path": os.fspath(out.path / "dumped.memlens")}
            client.sendall(json.dumps(request).encode() + b"\n")
            out.content(f"control-{command}.json", client.makefile("rb").readline())


def ask_web(out: Folder, watching: Any) -> None:
    """Ask each endpoint for each of its formats."""
    client = WSGIClient(profiler=watching, max_per_minute=1000)
    for endpoint in ENDPOINTS:
        for form in endpoint.formats:
            answer = client.get(endpoint.path, query=f"format={form.name}")
            out.content(f"web{endpoint.path.replace('/', '-')}{form.suffix}", answer.content)
            assert answer.status in (200, 503), answer.text  # no allocations on the pure core
    out.content("web-index.html", client.get("", query="format=html").content)


def has(module: str) -> bool:
    """Tell whether an optional package is installed."""
    import importlib.util

    return importlib.util.find_spec(module) is not None


def watch_files(folder: Path) -> list[tuple[str, int]]:
    """Return a list that gets the path and flags of each file that is opened to write in a folder."""
    opened: list[tuple[str, int]] = []

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if (
            event == "open"
            and isinstance(arguments[0], str)
            and arguments[2] & (os.O_CREAT | os.O_WRONLY)
            and arguments[0].startswith(os.fspath(folder))
        ):
            opened.append((arguments[0], arguments[2]))

    sys.addaudithook(hook)
    return opened


def main(folder: Path) -> None:
    """Write everything."""
    opened = watch_files(folder)
    warnings.simplefilter("ignore")
    os.umask(0)
    logged = io.StringIO()
    handler = logging.StreamHandler(logged)
    handler.setFormatter(logging.Formatter("%(message)s %(memlens)s", defaults={"memlens": ""}))
    logger = logging.getLogger("memlens")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    HELD.extend(plant_data())
    running, end = start_threads_and_tasks("worker", "waiting")
    HELD.extend(running)
    out, values = Folder(folder / "out"), Folder(folder / "values")
    snapshots(out)
    live(out)
    allocations(out)
    profiler(out)
    HELD.append(sys.exc_info())
    taken = memlens.take_heap_snapshot(values.path / "heap-0.memlens", mode="inline", values=True)
    values.exported("snapshot", taken)
    values.text("views.txt", *(view() for view in views(taken)))
    end()
    HELD.extend(plant_names())
    running, end = start_threads_and_tasks(name("thread"), name("task"))
    gc.collect()
    memlens.take_heap_snapshot(out.path.parent / "named.memlens", mode="inline")
    hashed = Folder(folder / "hashed")
    snapshots(hashed, names="hashed")
    end()
    for written in (out, values, hashed):
        written.export_tables()
    logging.shutdown()
    (folder / "log.txt").write_text(logged.getvalue())
    (folder / "log.txt").chmod(OWN_MODE)
    (folder / "opened.json").write_text(json.dumps(opened))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
