"""names="hashed": names made from data cannot be read in a snapshot, names of the code can."""

from __future__ import annotations

import subprocess
import sys

import pytest

import memlens
from memlens import _core
from memlens.errors import OptionError

PROGRAM = """
import asyncio, collections, enum, sys, threading, types
import memlens

SECRET = "zq" + "ada"  # not an identifier of any code


class Session:
    def __init__(self):
        self.visible_buffer = bytearray(1000)


def serve(mode, path, names):
    visible_local = Session()
    setattr(visible_local, SECRET + "_attribute", 1)
    kept = [
        types.SimpleNamespace(**{SECRET + "_key": 2}),
        collections.namedtuple(SECRET + "_Tuple", [SECRET + "_field"])(3),
        enum.Enum(SECRET + "_Enum", [SECRET + "_member"]),
        type(SECRET + "_Class", (), {SECRET + "_value": 4})(),
        types.ModuleType(SECRET + "_module"),
        {SECRET + "_dict_key": 5},
    ]
    sys.modules[SECRET + ".plugin"] = kept[4]
    exec(f"def {SECRET}_function({SECRET}_argument): return {SECRET}_global", vars(kept[4]))
    globals()[SECRET + "_builtin"] = len
    loop = asyncio.new_event_loop()
    kept.append(loop.create_task(asyncio.sleep(0), name=SECRET + " task"))
    started, stop = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: (started.set(), stop.wait()), name=SECRET + " thread")
    thread.start()
    started.wait()
    try:
        return memlens.take_heap_snapshot(path, mode=mode, names=names)
    finally:
        stop.set()
        thread.join()
        loop.run_until_complete(kept[-1])
        loop.close()


HELD = serve(*sys.argv[1:4])
snapshot = memlens.load(sys.argv[2])
assert str(HELD.summary()) == str(snapshot.summary())
snapshot.verify()
names = {row.name for row in snapshot.summary()}
print("__main__.Session" in names, any("Session" in str(node.name) for node in snapshot.select("type")))
(node,) = snapshot.select("__main__.Session").largest(1)
labels = {edge.name for edge in snapshot.graph.edges(node.index)}
print("visible_buffer" in labels, any("thread 'MainThread' frame serve" in str(p)
                                      for p in snapshot.retention_paths(node)))
print(snapshot.facts.get("names"))
"""


@pytest.mark.parametrize(
    "mode",
    [
        "inline",
        pytest.param(
            "fork",
            marks=pytest.mark.skipif(_core.fork_capture is None, reason="needs the native core"),
        ),
    ],
)
def test_names_made_from_data_are_hashed_and_names_of_the_code_are_kept(tmp_path, mode):
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    files = {}
    for names in ("plain", "hashed"):
        path = tmp_path / f"{names}.memlens"
        done = subprocess.run(
            [sys.executable, "program.py", mode, str(path), names],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
            env={"PYTHONPATH": str(memlens.__path__[0]).rpartition("/")[0]},
        )
        assert done.returncode == 0, done.stderr
        expected = ["True", "True", "True", "True", "hashed" if names == "hashed" else "None"]
        hides_locals = sys.version_info < (3, 12) and _core.IMPLEMENTATION == "pure"
        if hides_locals:
            expected[3] = done.stdout.split()[3]
        assert done.stdout.split() == expected
        files[names] = path.read_bytes()
        assert sorted(p.name for p in tmp_path.glob("*.part")) == []
    assert b"zqada" in files["plain"]  # so the program does put its secret into names
    assert b"zqada" not in files["hashed"]


def test_hashes_are_the_same_in_all_snapshots_of_a_process_and_the_secret_is_not_stored(tmp_path):
    from memlens.heap.capture import hashed_names

    cls = type("zq" + "unusual", (), {})
    kept = cls()
    first = memlens.take_heap_snapshot(tmp_path / "x", mode="inline", names="hashed")
    second = memlens.take_heap_snapshot(mode="inline", names="hashed")
    graphs = [snapshot.graph for snapshot in (first, second)]
    names = [graph.type_of(graph.find_address(id(kept))) for graph in graphs]
    assert names[0] == names[1]
    assert names[0].rpartition(".")[2].startswith("#")
    assert hashed_names._SECRET not in (tmp_path / "x").read_bytes()
    comparison = first.compare(second)
    assert names[0] in {row.type_name for row in comparison}


def test_wrong_combinations_are_refused():
    with pytest.raises(OptionError, match="unknown names 'secret'"):
        memlens.take_heap_snapshot(names="secret")
    with pytest.raises(OptionError, match="values=True"):
        memlens.take_heap_snapshot(names="hashed", values=True)
    with pytest.raises(OptionError, match="the fact 'pid'"):
        memlens.take_heap_snapshot(facts={"pid": 1})
