"""What docs/security.md says: no data without values, files for their owner only, no odd files read.

The secrets of the program under test are made while it runs, so its source does not contain them.
"""

from __future__ import annotations

import ast
import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import memlens
from memlens import _core
from memlens._frame import Frame
from memlens.agents.tools import call, tools_for
from memlens.agents.workspace import Workspace
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.allocations.profile.rows import AllocationRow
from memlens.profiler import registry
from memlens.profiler.file_owner import process_token
from tests.test_files import FACTS

ROOT = Path(memlens.__file__).resolve().parent.parent
SECRET = b"zq7secret"
PROFILES = (".pb.gz", ".speedscope.json", ".firefox.json", ".folded", ".heapprofile", ".html")
PROGRAM = """
import asyncio, collections, glob, sys, threading, time, types
import memlens

def secret(number):
    return "-".join(["".join(["zq", "7", "sec", "ret"]), str(number)])

class Account:
    def __init__(self, number):
        self.holder = secret(number)
        self.history = [secret(number + 1), secret(number + 2).encode()]

KEPT = {}
TUPLES = collections.deque()
BUFFER = bytearray(secret("buffer").encode() * 200)
CHANGING = types.MappingProxyType({secret("proxy"): secret("proxied")})

def keep(number):
    local = secret(number)
    KEPT[local] = Account(number)
    TUPLES.append((local, {secret(number): 1}, frozenset([secret(number)])))
    try:
        raise ValueError(secret("raised"))
    except ValueError as error:
        TUPLES.append(error)

async def wait(argument):
    await asyncio.get_running_loop().create_future()

def serve():
    number = 0
    while len(glob.glob(FILES)) < 4:
        keep(number)
        number += 1
        time.sleep(0.001)

FILES = sys.argv[1]
if len(sys.argv) > 2:
    keep(0)
    memlens.take_heap_snapshot(sys.argv[2], mode="inline", values=True)
    with memlens.TraceStore() as store:
        keep(1)
        store.take(label="")
    store.save(sys.argv[2] + ".traces")
else:
    thread = threading.Thread(target=keep, args=(secret("argument"),), name="worker")
    thread.start(); thread.join()
    serve()
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with files of every kind about a program with secrets; ``values.*`` may contain them."""
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "program.py").write_text(PROGRAM)
    options = [
        "-o",
        "out",
        "--allocations",
        "--html",
        "out/run.html",
        "--save-baseline",
        "out/known.json",
    ]
    start([*options, "program.py", "out/heap-*.memlens"], folder, module="memlens", first="run")
    start(["program.py", "", "values.memlens"], folder)
    out = folder / "out"
    snapshots = [memlens.load(path) for path in sorted(out.glob("heap-*.memlens"))]
    for suffix in (".memlens", ".heapsnapshot", ".html"):
        memlens.export(snapshots[-1], out / f"heap{suffix}")
        memlens.export(memlens.load(folder / "values.memlens"), folder / f"values-heap{suffix}")
    report = memlens.find_leaks(snapshots)
    assert report.verdict == "leak"
    memlens.export(report, out / "leaks.html")
    if (out / "allocations.json").exists():
        profile = memlens.load(out / "allocations.json")
        for suffix in (
            ".pb.gz",
            ".speedscope.json",
            ".firefox.json",
            ".folded",
            ".heapprofile",
            ".html",
        ):
            memlens.export(profile, out / f"profile{suffix}")
    memlens.load(folder / "values.memlens.traces").save(out / "own.traces")
    return folder


def start(arguments, folder, module=None, first=None):
    command = ["-m", module, first] if module else []
    done = subprocess.run(
        [sys.executable, *command, *arguments], cwd=folder, capture_output=True, timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stdout + done.stderr


def content(path):
    data = path.read_bytes()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def test_no_file_contains_data_of_the_program_without_values(made):
    files = sorted((made / "out").iterdir())
    kinds = {"".join(path.suffixes[-2:]) for path in files}
    expected = {".memlens", ".heapsnapshot", ".html", ".json", ".txt", ".traces"}
    if _core.fork_capture is not None:
        expected |= {*PROFILES}
    assert expected <= kinds
    assert [path.name for path in files if SECRET in content(path)] == []


@pytest.mark.parametrize("suffix", [".memlens", ".heapsnapshot", ".html"])
def test_the_check_finds_the_secrets_where_values_were_asked_for(made, suffix):
    assert SECRET in content(made / f"values-heap{suffix}")


NEED_MORE = {"explain_suspect", "why_alive"}  # arguments


def test_no_tool_for_agents_shows_data_of_the_program(made):
    space = Workspace([made / "out"])
    questions = [(name, {}) for name in tools_for(space) if name not in NEED_MORE]
    leaks = json.loads(call(space, "find_leaks")[0])
    questions += [("explain_suspect", {"id": leaks["suspects"][0]["id"]})]
    questions += [("why_alive", {"type": "*", "max_objects": 50}), ("list_files", {"pid": 1})]
    for name, arguments in questions:
        text, is_error = call(space, name, {**arguments, "max_tokens": 20_000})
        assert SECRET.decode() not in text, name
        assert not is_error or name == "allocations", text  # there is no profile with the pure core
    question = {"file": "values.memlens", "type": "*", "max_objects": 50, "max_tokens": 20_000}
    text, is_error = call(Workspace([made]), "why_alive", question)
    assert is_error and SECRET.decode() not in text
    text, is_error = call(Workspace([made], values=True), "why_alive", question)
    assert not is_error


def test_files_are_for_their_owner_only(made):
    files = [*(made / "out").iterdir(), *made.glob("values*")]
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in files} == {
        path.name: "0o600" for path in files
    }
    assert (made / "out").stat().st_mode & 0o777 == 0o700


def test_no_source_is_read_for_a_profile_from_devices_pipes_or_large_files(tmp_path):
    """A profile that somebody made may name files that never end."""
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "large.py").write_text("line = 1\n")
    os.truncate(tmp_path / "large.py", (4 << 20) + 1)
    others = ["/dev/zero", "/proc/self/status", *map(str, tmp_path.iterdir())]
    names = [*others, __file__]
    rows = [AllocationRow((Frame("f", name, 1),), live_bytes=10.0) for name in names]
    code = [row.text for row in AllocationProfile(rows, FACTS).lines()]
    assert sorted(map(str, code)) == sorted(
        [*["None"] * len(others), Path(__file__).read_text().split("\n")[0]]
    )


READERS = ("heap", "allocations", "leaks", "formats", "report", "stuck", "agents", "files.py")
RUNS_CODE = {"pickle", "marshal", "shelve", "dill", "runpy"}


def test_nothing_that_reads_files_can_run_code_from_them():
    package = ROOT / "memlens"
    for room in READERS:
        paths = [package / room] if room.endswith(".py") else (package / room).rglob("*.py")
        for path in paths:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [
                    alias.name for alias in getattr(node, "names", ()) if hasattr(alias, "name")
                ]
                assert RUNS_CODE.isdisjoint([*names, getattr(node, "module", None)]), path
                called = getattr(getattr(node, "func", None), "id", None)
                assert called not in {"eval", "exec", "compile", "__import__"}, path


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_runtime_folder_that_others_can_write_is_not_used(tmp_path, monkeypatch, mode):
    """Otherwise another user could say where the snapshots of a process are."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = tmp_path / "memlens"
    folder.mkdir()
    folder.chmod(mode)
    assert registry.note_folder(str(tmp_path)) is False
    assert list(folder.iterdir()) == []
    name = f"{registry.owner_suffix()}.json"
    (folder / name).write_text(json.dumps({"pid": os.getpid(), "output_dir": str(tmp_path)}))
    assert registry.folder_of(os.getpid(), [str(folder)]) is None
    folder.chmod(0o700)
    assert registry.folder_of(os.getpid(), [str(folder)]) == str(tmp_path)


def test_a_pipe_in_a_runtime_folder_is_not_waited_for(tmp_path):
    tmp_path.chmod(0o700)
    os.mkfifo(tmp_path / f"{registry.owner_suffix()}.json")
    assert registry.folder_of(os.getpid(), [str(tmp_path)]) is None


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_a_process_of_another_user_names_folders_of_that_user_only(tmp_path):
    user = 54321
    process = subprocess.Popen([shutil.which("sleep"), "600"], user=user)
    try:
        runtime, named = tmp_path / "runtime", tmp_path / "named"
        runtime.mkdir(mode=0o700)
        named.mkdir()
        note = runtime / f"{process.pid}-{process_token(process.pid)}.json"
        note.write_text(json.dumps({"output_dir": str(named)}))
        os.chown(runtime, user, user)
        assert registry.folder_of(process.pid, [str(runtime)]) is None
        os.chown(named, user, user)
        assert registry.folder_of(process.pid, [str(runtime)]) == str(named)
    finally:
        process.kill()
        process.wait()
