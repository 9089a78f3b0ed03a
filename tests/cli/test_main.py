"""The command line: programs run in processes of their own, views are called."""

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

import memlens
from memlens import _core
from memlens.cli.main import _parser, main

ROOT = Path(memlens.__file__).resolve().parent.parent

LEAKING = """
import glob, sys, time
CACHE = {}
def work(i):
    CACHE[i] = bytearray(2000)
i = 0
while len(glob.glob("out/heap-*.memlens")) < 4:
    work(i); i += 1
    time.sleep(0.002)
print("done", sys.argv[1:])
"""


def run(*arguments, cwd, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    return subprocess.run(
        [sys.executable, "-m", "memlens", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
        timeout=120,
        **options,
    )


def call(*arguments, cwd):
    """Run a command in this process, which takes less time than to start Python."""
    output, errors = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, COLUMNS="100"),
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
    ):
        try:
            code = main([*map(str, arguments)])
        except SystemExit as ending:  # of argparse
            code = ending.code
    return subprocess.CompletedProcess(arguments, code, output.getvalue(), errors.getvalue())


def test_demo_finds_the_planted_leak_and_the_line_to_change(tmp_path):
    done = run("demo", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "shop.store._sessions grows: +1,200 elements" in done.stdout
    assert "shop.Session" in done.stdout
    assert "shop.py:" in done.stdout
    assert "SessionStore.open" in done.stdout
    assert "recent" not in done.stdout
    assert all(len(line) <= 100 for line in done.stdout.splitlines())


def test_demo_prints_json(tmp_path):
    done = run("demo", "--json", cwd=tmp_path)
    report = json.loads(done.stdout)
    assert report["suspects"][0]["holder"] == "shop.store._sessions"
    assert len(report["suspects"]) == 1


def test_version_includes_the_core(tmp_path):
    done = run("--version", cwd=tmp_path)
    assert done.stdout.startswith(f"memlens {memlens.__version__} (")
    assert "core, Python 3." in done.stdout


def test_run_reports_the_leak_of_a_script_on_stderr_and_keeps_files(tmp_path):
    (tmp_path / "leaking.py").write_text(LEAKING)
    # Captures of the pure core take long, and one that is due when the program ends shows no growth.
    seconds = "2" if _core.fork_capture is None else "0.5"
    options = ["-o", "out", "--snapshot-interval", seconds]
    done = run("run", *options, "leaking.py", "--flag", "x", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done ['--flag', 'x']\n"
    assert "__main__.CACHE grows" in done.stderr
    names = os.listdir(tmp_path / "out")
    assert {"report.txt", "report.json"} <= set(names)
    assert {(tmp_path / "out" / name).stat().st_mode & 0o777 for name in names} == {0o600}
    files = sorted(str(tmp_path / "out" / n) for n in names if n.endswith(".memlens"))
    assert len(files) >= 5
    report = run("report", *files[1:], cwd=tmp_path)
    assert "__main__.CACHE grows" in report.stdout
    assert "__main__.CACHE grows" in run("leaks", *files[1:], cwd=tmp_path).stdout
    alone = run("leaks", files[0], cwd=tmp_path)
    assert (alone.returncode, alone.stderr[:8]) == (2, "memlens:")
    assert "at least two are needed" in alone.stderr
    (last,) = (file for file in files if "heap-exit-" in file)
    summary = run("report", last, cwd=tmp_path)
    assert "bytearray" in summary.stdout


def test_short_program_has_no_suspects(tmp_path):
    """Without a snapshot in between, growth at startup cannot be distinguished from a leak."""
    (tmp_path / "short.py").write_text("KEPT = [bytearray(100) for _ in range(2000)]\n")
    done = run("run", "short.py", cwd=tmp_path)
    assert done.returncode == 0
    assert "suspect" not in done.stderr
    assert "Two snapshots cannot distinguish a leak from one-time growth" in done.stderr
    assert "bytearray (+2,000, " in done.stderr


CACHING = """
import memlens
class Cache:
    def __init__(self):
        self.entries = {}
cache = Cache()
for label in ("before", "after"):
    for number in range(500):
        cache.entries[label, number] = bytearray(1000)
        cache.entries["text", label, number] = "the same text" * 10 + str(number % 2)
    memlens.take_heap_snapshot(f"{label}.memlens")
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    subprocess.run(
        [sys.executable, "-c", CACHING],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    return folder


VIEWS = {
    "summary": (["after.memlens"], "bytearray"),
    "summary by module": (["--by", "module", "--limit", "99", "after.memlens"], "__main__"),
    "summary by size": (["--by", "size", "after.memlens"], "1.00 KiB to under 2.00 KiB"),
    "summary by referrer": (["--by", "referrer", "after.memlens"], "dict"),
    "summary by kind": (["--by", "kind", "after.memlens"], "bytes and buffers"),
    "summary with garbage": (["--garbage", "--limit", "1", "after.memlens"], "more"),
    "dominators": (["after.memlens", "--depth", "4"], ".entries   dict (2,000 items)"),
    "dominators by type": (["--by", "type", "after.memlens"], "module"),
    "dominators by drop": (["--by", "drop", "after.memlens"], "__main__.cache.entries"),
    "paths of a type": (["--type", "__main__.Cache", "after.memlens"], ".cache"),
    "paths of a path": (["--path", "__main__.cache.entries", "after.memlens"], ".entries"),
    "paths of the largest": (["--largest", "--objects", "2", "after.memlens"], "retains"),
    "duplicates": (["after.memlens", "--limit", "2"], "500"),
    "diff": (["before.memlens", "after.memlens"], "+500"),
}


@pytest.mark.parametrize("name", VIEWS)
def test_view_prints_100_columns_or_json(files, name):
    arguments, expected = VIEWS[name]
    done = call(name.split()[0], *arguments, cwd=files)
    assert (done.returncode, done.stderr) == (0, "")
    assert expected in done.stdout
    assert all(len(line) <= 100 for line in done.stdout.splitlines())
    done = call(name.split()[0], *arguments, "--json", cwd=files)
    assert done.returncode == 0, done.stderr
    assert isinstance(json.loads(done.stdout), dict)


def test_paths_finds_an_object_by_its_address(files):
    found = json.loads(call("paths", "--largest", "--json", "after.memlens", cwd=files).stdout)
    (wanted,) = found["objects"]
    done = call("paths", "--address", hex(wanted["address"]), "--json", "after.memlens", cwd=files)
    assert json.loads(done.stdout)["objects"][0] == wanted


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["paths", "after.memlens"], "required"),
        (["paths", "--type", "no.Such", "after.memlens"], "no object is of type 'no.Such'"),
        (["paths", "--path", "no.such", "after.memlens"], "no object is at 'no.such'"),
        (["paths", "--address", "0x1", "after.memlens"], "no object has the address 0x1"),
        (["paths", "--address", "here", "after.memlens"], "not an address"),
        (["summary", "--by", "colour", "after.memlens"], "invalid choice"),
        (["summary", "--limit", "0", "after.memlens"], "not a positive whole number"),
        (["summary", "nowhere.memlens"], "cannot read"),
        (["diff", "after.memlens"], "AFTER"),
        (["duplicates"], "FILE"),
    ],
)
def test_impossible_view_is_an_error_that_says_why(files, arguments, message):
    done = call(*arguments, cwd=files)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_known_suspects_are_marked_or_left_out_by_their_id(tmp_path):
    (tmp_path / "leaking.py").write_text(LEAKING)
    done = run(
        "run", "-o", "out", "--snapshot-interval", "0.3", "--save-baseline", "known.json",
        "leaking.py", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (known,) = json.loads((tmp_path / "known.json").read_text())["suspects"]
    assert known["holder"] == "__main__.CACHE"
    files = sorted((tmp_path / "out").glob("heap-*.memlens"))
    for command in (["run", "leaking.py"], ["leaks", *files]):
        marked = run(command[0], "--baseline", "known.json", *command[1:], cwd=tmp_path)
        text = marked.stdout + marked.stderr
        if command[0] == "leaks":
            assert f"{known['fingerprint']}, known, in the program" in text
        else:
            assert f"Gone:      __main__.CACHE ({known['fingerprint']})" in text
    ignored = call("leaks", "--ignore", known["fingerprint"], *files, cwd=tmp_path)
    assert "No leak" in ignored.stdout
    wrong = call("leaks", "--baseline", files[0], *files, cwd=tmp_path)
    assert wrong.returncode == 2
    assert "neither a baseline nor" in wrong.stderr


def test_run_keeps_no_files_without_an_output_folder(tmp_path):
    (tmp_path / "quick.py").write_text("print('hello')")
    done = run("run", "quick.py", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "hello\n")
    assert os.listdir(tmp_path) == ["quick.py"]


def test_run_accepts_modules_and_packages(tmp_path):
    package = tmp_path / "tool"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(
        "import sys\nfrom tool import part\nprint(__name__, sys.argv[1:], part.X)"
    )
    (package / "part.py").write_text("X = 1")
    assert run("run", "-m", "tool", "a", cwd=tmp_path).stdout == "__main__ ['a'] 1\n"
    (tmp_path / "single.py").write_text("print(__name__, __spec__.name)")
    assert run("run", "-m", "single", cwd=tmp_path).stdout == "__main__ single\n"


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("import sys; sys.exit(7)", 7),
        ("import sys; sys.exit()", 0),
        ("import sys; sys.exit('sorry')", 1),
        ("raise SystemExit(3)", 3),
        ("raise ValueError('no')", 1),
        ("def (", 1),
    ],
)
def test_exit_code_is_that_of_the_program(tmp_path, source, code):
    (tmp_path / "program.py").write_text(source)
    done = run("run", "program.py", cwd=tmp_path)
    assert done.returncode == code, done.stderr


def test_traceback_contains_only_frames_of_the_program(tmp_path):
    (tmp_path / "program.py").write_text("def f():\n    raise ValueError('no such thing')\nf()\n")
    done = run("run", "program.py", cwd=tmp_path)
    traceback = done.stderr[done.stderr.index("Traceback") :]
    assert "ValueError: no such thing" in traceback
    assert "memlens/" not in traceback[: traceback.index("ValueError")]


def test_interrupted_program_has_the_exit_code_of_an_interrupt(tmp_path):
    (tmp_path / "program.py").write_text("raise KeyboardInterrupt")
    done = run("run", "program.py", cwd=tmp_path)
    plain = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True)
    assert done.returncode == plain.returncode


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nowhere.py"], "cannot run 'nowhere.py': No such file"),
        (["run", "-m", "no.such.module"], "cannot run module"),
        (["run"], "no program given; use: memlens run SCRIPT"),
        (["run", "--snapshot-interval", "-1", "x.py"], "not a positive number"),
        (["report", "nowhere.memlens"], "cannot read"),
        (["report", "text.memlens"], "not a memlens snapshot"),
        (["report"], "FILE"),
        (["frobnicate"], "invalid choice"),
        (["run", "-o", "text.memlens", "ok.py"], "cannot create the folder"),
    ],
)
def test_invalid_input_is_reported_in_one_line(tmp_path, arguments, message):
    (tmp_path / "text.memlens").write_text("hello")
    (tmp_path / "ok.py").write_text("print('ran')")
    done = (run if arguments[0] == "run" else call)(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_closed_pipe_gives_no_traceback(files):
    command = [sys.executable, "-m", "memlens", "summary", "--limit", "1000", "after.memlens"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    read, write = os.pipe()
    os.close(read)  # nobody reads: the first write fails
    with os.fdopen(write, "wb") as output:
        done = subprocess.run(
            command, cwd=files, env=environment, stdout=output, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr) == (1, "")


WITHOUT_JSON = {
    "attach": "starts a profiler and says where its files are",
    "dump": "prints the path of the file that it writes",
    "mcp": "speaks a protocol",
    "schema": "prints JSON",
    "tables": "has commands of its own, which have it",
    "watch": "a screen",
}


def test_every_command_prints_json():
    (commands,) = [a.choices for a in _parser()._actions if isinstance(a.choices, dict)]
    without = {name for name, parser in commands.items() if "--json" not in parser.format_help()}
    assert without == set(WITHOUT_JSON)
