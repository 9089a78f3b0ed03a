"""No data of a program in any file, answer or output of memlens, and no name where names are hashed.

`service.py` is the program: it has secrets in every place, and uses all of memlens. The tests below
compare what it has written with the lists in memlens of what there is to write, so that a new format,
endpoint, command or writer that is not tried there fails here.
"""

from __future__ import annotations

import argparse
import ast
import base64
import contextlib
import gzip
import io
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

import memlens
from memlens import _core
from memlens.agents.tools import call, tools_for
from memlens.agents.workspace import Workspace
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.cli.main import _parser, main
from memlens.files import _WRITERS
from memlens.heap.snapshot import HeapSnapshot
from memlens.integrations.web.contents import ENDPOINTS
from memlens.leaks.leak_report import LeakReport
from memlens.profiler.control_commands import control_commands
from tests.security.service import OWN_MODE, has

ROOT = Path(memlens.__file__).resolve().parent.parent
SECRET, NAMED = b"zq7secret", b"zq7named"
needs_c = pytest.mark.skipif(_core.IMPLEMENTATION != "C", reason="takes long in pure Python")


def slow(test):
    """Mark a test that needs the program to run; the lists are compared in every run."""
    return pytest.mark.slow(needs_c(test))


def environment(folder):
    return {**os.environ, "PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": str(folder / "run")}


def run(folder, *arguments, **options):
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, timeout=600, env=environment(folder),
        check=False, **options,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    assert SECRET not in done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with everything that `service.py` writes."""
    folder = tmp_path_factory.mktemp("secrets")
    run(folder, "-m", "tests.security.service", str(folder), cwd=ROOT)
    return folder


def forms(marker):
    """Return a text as it may stand in a file: also in other encodings."""
    shifted = [
        base64.b64encode(b"_" * shift + marker)[4 if shift else 0 : -4] for shift in range(3)
    ]
    return [marker, marker.hex().encode(), marker.decode().encode("utf-16-le"), *shifted]


def texts_of(path):
    """Yield the content of a file, and what is compressed in it."""
    data = path.read_bytes()
    yield data
    if data[:2] == b"\x1f\x8b":
        yield gzip.decompress(data)
    elif data.startswith(b"memlens-traces"):
        yield zlib.decompress(data.partition(b"\n")[2])
    elif data[:4] == b"PAR1":
        yield read_rows(path)
    else:
        for part in re.findall(rb"H4sI[A-Za-z0-9+/=]+", data):
            yield gzip.decompress(base64.b64decode(part))


def read_rows(path):
    """Return the bytes of the columns of a Parquet file, as they are when they are not encoded."""
    import pyarrow.parquet

    columns = pyarrow.parquet.ParquetFile(path).read().columns
    buffers = [one for column in columns for chunk in column.chunks for one in chunk.buffers()]
    return b"".join(one.to_pybytes() for one in buffers if one is not None)


def files_with(marker, *folders):
    alike = forms(marker)
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert paths
    return [
        os.fspath(path.relative_to(folders[0].parent))
        for path in sorted(paths)
        for text in texts_of(path)
        if any(form in text for form in alike)
    ]


@slow
def test_no_file_contains_data_of_the_program(made):
    assert files_with(SECRET, made / "out", made / "hashed") == []


@slow
def test_no_file_contains_a_name_of_data_where_names_are_hashed(made):
    assert NAMED in (made / "named.memlens").read_bytes()  # else they are stored
    assert files_with(NAMED, made / "hashed") == []


@slow
def test_the_check_finds_what_is_stored_with_values(made):
    found = {Path(name).name for name in files_with(SECRET, made / "values")}
    expected = {
        "heap-0.memlens",
        "snapshot.memlens",
        "snapshot.heapsnapshot",
        "snapshot.html",
        "views.txt",
    }
    assert expected <= found


def test_the_check_finds_texts_in_other_encodings(tmp_path):
    for number, text in enumerate(forms(b"_" + SECRET + b"-x")[:3]):
        (tmp_path / f"{number}.gz").write_bytes(gzip.compress(text))
    for number in range(3):
        (tmp_path / f"b{number}").write_bytes(base64.b64encode(b"x" * number + SECRET + b"-value"))
    assert len(files_with(SECRET, tmp_path)) == 6


@slow
def test_the_log_shows_data_in_the_message_of_an_exception_of_the_program_only(made):
    """A callback of the program has raised it: who debugs that needs it (docs/security.md)."""
    lines = (made / "log.txt").read_bytes().splitlines()
    found = [line for line in lines if SECRET in line]
    assert found and all(b"secret-message-of-a-callback" in line for line in found)


# -- all that is written was written ------------------------------------------------------------------

NAMES = {
    AllocationProfile: "profile", HeapSnapshot: "snapshot", LeakReport: "leaks",
    memlens.TraceStore: "traced",
}  # fmt: skip


@slow
def test_every_format_of_every_value_was_written(made):
    for kind, suffixes in _WRITERS:
        name = NAMES.get(kind, "report")
        for suffix in {*suffixes} - {".parquet"}:
            assert (made / "out" / f"{name}{suffix}").exists(), (kind, suffix)
        if ".parquet" in suffixes and has("pyarrow"):
            assert [*(made / "out").glob(f"{name}-*.parquet")], kind


@slow
def test_every_endpoint_and_command_was_asked(made):
    for endpoint in ENDPOINTS:
        for form in endpoint.formats:
            assert (
                (made / "out" / f"web{endpoint.path.replace('/', '-')}{form.suffix}").stat().st_size
            )
    if sys.platform == "linux":
        for command in {*control_commands(None)} - {"stop"}:
            answer = json.loads((made / "out" / f"control-{command}.json").read_text())
            assert "answer" in answer, command


# Each module that writes files by the functions of `_atomic`, and a file of it in the folder.
WRITERS = {
    "allocations/profile/profile_file.py": "out/profile.json",
    "allocations/tracing/trace_file.py": "out/traced.traces",
    "attach/exchange.py": None,  # moves the snapshot of another process, or copies it
    "cli/exit_report.py": "run/out/report.json",
    "files.py": "out/profile.folded",
    "formats/heapsnapshot/writer.py": "out/snapshot.heapsnapshot",
    "heap/capture/forked.py": "out/heap-1.memlens",
    "heap/graph/snapshot_file.py": "out/snapshot.memlens",
    "heap/live_search.py": "out/referrers.dot",
    "integrations/web/making.py": "out/web-leaks.txt",
    "leaks/baselines.py": "out/baseline.json",
    "profiler/registry.py": "out/runtime-note.json",
    "profiler/snapshot_store.py": "out/profiles/leak-*.json",
    "report/html/fleet_page.py": "pages/fleet.html",
    "report/html/html_report.py": "out/leaks.html",
    "tables/merging.py": "merged/*/service=shop/*/hosts=all/*.parquet",
    "tables/parquet_file.py": "out/snapshot-types.parquet",
    "tables/table_folder.py": "out/tables/*/service=shop/*/*/*.parquet",
    "watch/report_files.py": "out/memlens-*.txt",
}
FUNCTIONS = {"write_whole", "open_whole", "PendingFile", "TableWriter"}


def modules_that_write():
    package = ROOT / "memlens"
    for path in package.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        called = {
            getattr(node.func, "id", "") for node in ast.walk(tree) if isinstance(node, ast.Call)
        }
        if called & FUNCTIONS and path.name != "_atomic.py":
            yield os.fspath(path.relative_to(package))


def test_every_module_that_writes_is_known():
    assert {*modules_that_write()} == {*WRITERS}, "service.py must use it, and WRITERS name a file"


def test_every_value_that_can_be_exported_is_known():
    assert {kind.__name__ for kind, _ in _WRITERS} == {kind.__name__ for kind in NAMES} | {
        "ProfilerReport"
    }


@slow
def test_every_module_that_writes_has_written(made, outputs, watched):
    for module, pattern in WRITERS.items():
        if pattern is not None and not (module.startswith("tables/") and not has("pyarrow")):
            assert [*made.glob(pattern)], module


# -- commands, agents, tests --------------------------------------------------------------------------

HEAPS = [f"heap-{number}.memlens" for number in range(3)]
COMMANDS = {
    "leaks": [HEAPS], "report": [HEAPS, HEAPS[:1], ["--json", *HEAPS]], "summary": [[HEAPS[2]]],
    "dominators": [[HEAPS[2]], ["--by", "type", HEAPS[2]], ["--by", "drop", HEAPS[2]]],
    "paths": [["--largest", HEAPS[2]], ["--type", "*.Account", HEAPS[2]]], "stuck": [[HEAPS[2]]],
    "duplicates": [[HEAPS[2]]], "diff": [HEAPS[1:]],
    "allocations": [["profile.json"], ["--lines", "profile.json"], ["traced.traces"]],
    "html": [["-o", "../pages/html.html", *HEAPS]],
    "fleet": [["--html", "../pages/fleet.html", "--all", "profiles"]],
    "convert": [["-o", "../pages/converted.heapsnapshot", HEAPS[2]]],
}  # fmt: skip
# Of other tests, or without a word about a program; `tables` is tried below.
NO_OUTPUT = {"demo", "mcp", "schema", "tables", "watch", "run", "attach", "dump", "stacks"}


@pytest.fixture(scope="module")
def outputs(made):
    """What each command prints; the files are in the folder ``pages``."""
    (made / "pages").mkdir(mode=0o700)
    found, here = {}, Path.cwd()
    os.chdir(made / "out")
    try:
        for name, calls in COMMANDS.items():
            for arguments in calls:
                found[name, *arguments] = printed([name, *arguments])
        if has("pyarrow"):
            shutil.copytree("tables", made / "merged")
            printed(["tables", "merge", "--older-than", "0", os.fspath(made / "merged")])
            if has("duckdb"):
                found["tables"] = printed(["fleet", "tables", "--html", "../pages/tables.html"])
    finally:
        os.chdir(here)
    return found


def printed(arguments):
    """Return what a command prints."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        code = main(arguments)
    assert code in (0, 1), text.getvalue()
    return text.getvalue()


@slow
def test_no_command_shows_data_of_the_program(made, outputs):
    assert [words for words, text in outputs.items() if SECRET.decode() in text] == []
    assert all(outputs.values())
    assert files_with(SECRET, made / "pages") == []


def test_every_command_is_tried():
    (commands,) = [one for one in _parser()._actions if isinstance(one, argparse._SubParsersAction)]
    assert {*commands.choices} == {*COMMANDS} | NO_OUTPUT


@slow
def test_no_tool_for_agents_shows_data_of_the_program(made):
    space = Workspace([made / "out"])
    leaks = json.loads(call(space, "find_leaks", {"files": HEAPS})[0])
    given = {
        "explain_suspect": {"id": leaks["suspects"][0]["id"], "files": HEAPS},
        "why_alive": {"type": "*", "max_objects": 50, "file": HEAPS[2]},
        "find_leaks": {"files": HEAPS},
        "allocations": {"file": "profile.json"},
        "compare": {"before": HEAPS[0], "after": HEAPS[2]},
    }
    for name in tools_for(space):
        arguments = given.get(name, {} if name == "list_files" else {"file": HEAPS[2]})
        text, is_error = call(space, name, {**arguments, "max_tokens": 20_000})
        assert SECRET.decode() not in text, name
        assert not is_error, text


@slow
def test_snapshots_with_values_are_closed_to_agents_without_the_option(made):
    question = {"file": "heap-0.memlens", "type": "*", "max_objects": 50, "max_tokens": 20_000}
    text, is_error = call(Workspace([made / "values"]), "why_alive", question)
    assert is_error and SECRET.decode() not in text
    text, is_error = call(Workspace([made / "values"], values=True), "why_alive", question)
    assert not is_error


RUN = """
import os, sys
from tests.security.places import Account, plant_data, secret
KEPT, GROWING = plant_data(), {}
import glob
while len(glob.glob("out/heap-*.memlens")) < 3:
    local = secret("entry-%d" % len(GROWING))
    GROWING[local] = Account(local)
sys.argv.append(local)
raise SystemExit(0)
"""


@pytest.fixture(scope="module")
def watched(made):
    """The folder of a program under ``memlens run``, with reports of all kinds."""
    folder = made / "run"  # where the service had its note and its socket
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "program.py").write_text(RUN)
    run(
        folder, "-m", "memlens", "run", "-o", "out", "--allocations", "--html", "out/run.html",
        "--save-baseline", "out/known.json", "program.py", cwd=folder,
    )  # fmt: skip
    return folder


@slow
def test_run_writes_no_data_of_the_program(watched):
    names = {path.name for path in (watched / "out").iterdir()}
    assert {"report.json", "report.txt", "run.html", "known.json", "allocations.json"} <= names
    assert files_with(SECRET, watched / "out") == []


LEAKING_TEST = """
import pytest
from tests.security.places import Account, plant_data, secret
KEPT, GROWING = plant_data(), {}

@pytest.mark.no_leaks
def test_leaks():
    for number in range(20):
        GROWING[secret("entry-%d" % len(GROWING))] = Account("of a test")

@pytest.mark.limit_memory("1 MiB")
def test_is_large():
    GROWING["buffer"] = secret("buffer").encode() * 200_000
"""


@slow
def test_the_plugin_for_pytest_shows_no_data_of_the_program(tmp_path):
    (tmp_path / "test_leaking.py").write_text(LEAKING_TEST)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:memlens", "-p", "memlens.integrations.pytest",
         "-p", "no:cacheprovider", "--junitxml", "junit.xml", "test_leaking.py"],
        capture_output=True, cwd=tmp_path, timeout=300, check=False,
        env={**environment(tmp_path), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )  # fmt: skip
    assert b"2 failed" in done.stdout, done.stdout.decode() + done.stderr.decode()
    assert SECRET not in done.stdout + done.stderr
    assert files_with(SECRET, tmp_path) == []


# -- modes and flags, under umask 0 -------------------------------------------------------------------


@slow
def test_files_and_folders_are_for_their_owner_only(made, watched, outputs):
    modes = {}
    for path in [made / "out", *made.rglob("*")]:
        is_copied = "merged" in path.parts and path.is_dir()
        if is_copied or path.name in ("program.py", "opened.json"):
            continue  # of this test
        mode = stat.S_IMODE(path.lstat().st_mode)
        if mode != OWN_MODE:
            modes.setdefault((path.is_dir(), oct(mode)), []).append(path.name)
    assert {*modes} == {(True, "0o700"), (False, "0o600")}, modes


@slow
def test_files_are_created_by_exclusive_opening_under_names_that_cannot_be_predicted(made):
    opened = json.loads((made / "opened.json").read_text())
    ours = [(path, flags) for path, flags in opened if not is_of_the_test(path)]
    assert len(ours) > 30
    for path, flags in ours:
        assert flags & os.O_EXCL and flags & os.O_NOFOLLOW, path
        assert re.search(r"\.\d+-[0-9a-f]{16}\.part$", path), path


def is_of_the_test(path):
    """Tell whether the program itself has opened a path. A folder: for a file without a name."""
    return os.path.exists(path) and (
        os.path.isdir(path) or stat.S_IMODE(os.stat(path).st_mode) == OWN_MODE
    )
