"""Fingerprints are equal where the leak is the same, and differ where it is another."""

import functools
import heapq
import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from memlens._core.layout import EdgeKind as K
from memlens.errors import OptionError, OutputError
from memlens.heap.graph.paths import Hop, RetentionPath
from memlens.leaks import Baseline, KnownSuspect
from memlens.leaks.fingerprints import fingerprint_of, is_fingerprint, stable_place, stable_text
from memlens.leaks.leak_report import find_leaks
from memlens.leaks.origins import Origin, OriginFinder
from tests.leaks.test_suspects import leaking_dict, series, table_of

ROOT = Path(__file__).resolve().parent.parent.parent

SCRIPT = """
import asyncio, json, sys, threading
import memlens
from stored import Store

class Item:
    def __init__(self): self.body = bytes(200)

names = set()
store = Store()
by_worker = {}

async def session(history, started, go_on):
    while True:
        history.extend(Item() for _ in range(50))
        started.release()
        await go_on.acquire()

def worker(number, moment, done):
    mine = by_worker.setdefault(number, [])
    local = []
    while moment.acquire() and not done:
        mine.extend(Item() for _ in range(200))
        local.extend(bytearray(500) for _ in range(200))
        ready.release()

ready = threading.Semaphore(0)

def main():
    cache, taken, done = {}, [], []
    moments = [threading.Semaphore(0) for _ in range(2)]
    extra = [threading.Thread(target=str) for _ in range(int(sys.argv[1]))]  # shifts Thread-N
    threads = [threading.Thread(target=worker, args=(n, m, done)) for n, m in enumerate(moments)]
    for thread in threads: thread.start()
    for step in range(4):
        for number in range(300):
            cache[f"{sys.argv[1]}-{step}-{number}"] = Item()
            names.add(f"name {step} {number} {sys.argv[1]}" * 3)
            store.put(Item())
        for moment in moments: moment.release()
        for moment in moments: ready.acquire()
        taken.append(memlens.take_heap_snapshot())
    report = memlens.find_leaks(taken)
    done.append(True)
    for moment in moments: moment.release()
    print(json.dumps(report.to_dict()))

main()
"""
STORED = """
class Store:
    def __init__(self): self.rows = []
    def put(self, row): self.rows.append(row)
"""


def suspects_of(folder, seed, blank_lines, argument):
    folder.mkdir()
    library = folder / "site-packages"
    (library / "stored").mkdir(parents=True)
    (library / f"stored-1.{argument}.dist-info").mkdir()
    (library / "stored" / "__init__.py").write_text("\n" * blank_lines + STORED)
    (folder / "program.py").write_text("\n" * blank_lines + SCRIPT)
    done = subprocess.run(
        [sys.executable, "program.py", str(argument)],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(library)]),
            "PYTHONHASHSEED": str(seed),
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["suspects"]


def test_restarts_folders_hash_seeds_and_patch_releases_do_not_change_fingerprints(tmp_path):
    first = suspects_of(tmp_path / "a", seed=1, blank_lines=0, argument=0)
    second = suspects_of(tmp_path / "another folder", seed=77, blank_lines=9, argument=5)
    prints = {one["fingerprint"]: one["holder"] for one in first}
    assert prints.keys() == {one["fingerprint"] for one in second}
    assert len(prints) == len(first) >= 4  # different leaks have different ones
    assert all(is_fingerprint(text) for text in prints)
    (stored,) = (one["origin"] for one in second if one["holder"].endswith("store.rows"))
    assert stored == {"kind": "library", "name": "stored", "version": "1.5"}
    others = [one["origin"]["kind"] for one in second if not one["holder"].endswith("store.rows")]
    assert set(others) == {"program"}


@pytest.mark.slow
def test_programs_of_the_zoo_share_a_fingerprint_only_with_the_same_place_and_types():
    from tests.zoo.catalogue import cases
    from tests.zoo.judge import judge

    found = defaultdict(set)
    for case in filter(lambda case: case.leaks, cases()):
        for suspect in judge(case, "snapshots", 0, 1)["suspects"]:
            types = (suspect["holder_type"], suspect["growing_types"][0])
            found[suspect["fingerprint"]].add((stable_text(suspect["holder"]), types))
    assert len(found) >= 60
    assert {text: places for text, places in found.items() if len(places) > 1} == {}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("thread 'Thread-3 (do)' do() (app.py:12)", "thread 'Thread-41 (do)' do() (app.py:9)"),
        ("thread 140123 serve() (app.py:1)", "thread 'x' serve() (app.py:2)"),
        ("main() (/srv/a/app.py:7)", "main() (/home/b/app.py:8)"),
        ("<dict held by native code or the interpreter, 40 references>",
         "<dict held by native code or the interpreter>"),
        ("<object at 0x7f01>", "<object at 0x8800aa>"),
        ("app.Task-17", "app.Task-2"),
        ("app.6f1ed002-ab55-4c1e-9d6e-000000000001", "app.00000000-ab55-4c1e-9d6e-00000000000a"),
    ],
)  # fmt: skip
def test_what_differs_between_runs_is_no_part_of_a_place(first, second):
    places = [stable_place(RetentionPath(root, "frame", ())) for root in (first, second)]
    assert places[0] == places[1]


def hop(text, kind="attribute"):
    return Hop(text, kind, "dict", 1, 1, 1)


def test_keys_and_positions_are_wildcards_and_repetitions_count_once():
    hops = (hop(".rows"), hop("['ada']", "key"), hop("[3]", "index"), hop(".next"), hop(".next"))
    place = stable_place(RetentionPath("app", "module", hops))
    assert place == "app.rows[*].next"


def test_names_that_people_gave_are_kept():
    for text in ("utf8.table", "app.layer1", "app.v2.rows", "app.sha1"):
        assert stable_text(text) == text


def test_place_types_and_pattern_each_change_a_fingerprint():
    base = fingerprint_of("app.rows", ("dict", "app.Row"), "registry")
    assert base == fingerprint_of("app.rows", ("dict", "app.Row"), "registry")
    others = [
        fingerprint_of("app.cells", ("dict", "app.Row"), "registry"),
        fingerprint_of("app.rows", ("dict", "app.Cell"), "registry"),
        fingerprint_of("app.rows", ("dict", "app.Row"), None),
    ]
    assert len({base, *others}) == 4


def two_leaks(p, n):
    p.module("app", sessions=table_of(p, n), texts=_texts(p, n))


def _texts(p, n):
    table = p.node("dict", 64, key="texts", length=n)
    for i in range(n):
        p.edge(table, p.node("app.Text", 500, key=("text", i)), 2, "<str>")
    return table


def test_ignore_takes_fingerprints_beside_regular_expressions():
    report = find_leaks(series(two_leaks))
    assert len(report) == 2
    left = find_leaks(series(two_leaks), ignore=[report[0].fingerprint])
    assert [one.holder for one in left] == [report[1].holder]
    assert not find_leaks(series(two_leaks), ignore=[report[0].fingerprint, report[1].holder])
    assert len(find_leaks(series(two_leaks), ignore=[report[0].fingerprint], limit=1)) == 1


def test_a_baseline_tells_new_known_and_gone(tmp_path):
    earlier = find_leaks(series(leaking_dict))
    old = KnownSuspect("leak-0123456789", "app.old")
    path = Baseline([*earlier, old]).save(tmp_path / "known.json")
    report = find_leaks(series(two_leaks), baseline=path)
    assert {one.holder: one.status for one in report} == {
        "app.sessions": "known",
        "app.texts": "new",
    }
    assert report.gone == (old,)
    assert "Gone:      app.old (leak-0123456789)" in str(report)
    assert f"{earlier[0].fingerprint}, known, in the program" in str(report)
    assert report.to_dict()["gone"] == [old.to_dict()]
    assert {one["status"] for one in report.to_dict()["suspects"]} == {"new", "known"}
    assert find_leaks(series(two_leaks))[0].status is None


def test_the_json_of_a_report_is_a_baseline_too(tmp_path):
    report = find_leaks(series(two_leaks))
    for name, value in (("one", report.to_dict()), ("two", {"leaks": report.to_dict()})):
        path = tmp_path / name
        path.write_text(json.dumps(value))
        assert {one.fingerprint for one in Baseline.load(path)} == {
            one.fingerprint for one in report
        }
    path.write_text(json.dumps({"leaks": None}))
    assert len(Baseline.load(path)) == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"suspects": [1]}',
        '{"suspects": [{"fingerprint": "x"}]}',
        "\xff",
        "[" * 10**5,
    ],
    ids=range(7),
)
def test_another_file_is_refused(tmp_path, text):
    path = tmp_path / "file"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(OptionError, match="--save-baseline"):
        Baseline.load(path)


def test_a_file_that_cannot_be_read_is_said_so(tmp_path):
    with pytest.raises(OutputError, match="cannot read the baseline"):
        Baseline.load(tmp_path / "missing")


def test_a_suspect_of_the_standard_library_is_of_the_interpreter():
    def plant(p, n):
        p.module("logging", loggers=table_of(p, n, type_name="logging.Logger"))

    (suspect,) = find_leaks(series(plant))
    assert suspect.origin == Origin("interpreter")
    assert str(suspect.origin) == "the interpreter"


def test_the_first_type_tells_the_origin_of_what_has_no_place():
    graph = series(leaking_dict)[0].graph
    path = RetentionPath("cyclic garbage", "garbage", ())
    finder = OriginFinder(graph)
    assert finder.origin_of(path, ("dict", "asyncio.Task")).kind == "interpreter"
    assert finder.origin_of(path, ("dict",)).kind == "program"
    assert finder.origin_of(path, ("app.Session", "asyncio.Task")).kind == "interpreter"


def test_of_several_functions_of_a_name_the_file_of_the_frame_tells_the_origin():
    finder = OriginFinder(series(leaking_dict)[0].graph)
    finder._function_files = {"main": {"/srv/jobs.py", heapq.__file__, json.__file__}}
    types = ("asyncio.Task",)  # of the interpreter: it decides where the function does not
    for root, kind in (
        ("jobs.py", "program"),
        ("heapq.py", "interpreter"),
        ("x.py", "interpreter"),
    ):
        path = RetentionPath(f"main() ({root}:6)", "frame", ())
        assert finder.origin_of(path, types).kind == kind


def test_a_queue_of_the_standard_library_is_of_the_program_that_has_it():
    def plant(p, n, owner):
        queue = p.node("queue.Queue", 48, key="queue")
        p.edge(queue, table_of(p, n, container="collections.deque", kind=K.INDEX), name="queue")
        holder = p.node(owner, 56, key="holder")
        p.edge(holder, queue, name="jobs")
        module = p.module("logging", pipeline=holder)
        p.names[module] = (p.text("logging"), p.text(heapq.__file__), 1)
        p.names[p.module("app")] = (p.text("app"), p.text("/home/me/app.py"), 1)

    for owner, kind in (("app.Pipeline", "program"), ("logging.Handler", "interpreter")):
        (suspect,) = find_leaks(series(functools.partial(plant, owner=owner)))
        assert suspect.origin.kind == kind
