"""`memlens run` on programs that fork: each process is reported on its own."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

from memlens import _core

pytestmark = pytest.mark.skipif(_core.fork_capture is None, reason="captures would be too slow")

WORK = """
import multiprocessing, os, sys, time

class Item:
    def __init__(self, number):
        self.text = f"item {number} " * 20

class Order(Item):
    pass

def snapshot_count():
    folder = os.environ["SNAPSHOTS"]
    return sum(f"-{os.getpid()}-" in name for name in os.listdir(folder) if name[-1] == "s")

def fill(items, kind, is_over):
    # Until five snapshots of this process are there, however busy the machine is.
    while snapshot_count() < 5 or not is_over():
        items.extend(kind(len(items)) for _ in range(5))
        time.sleep(0.002)  # the program takes its time
"""


def run(tmp_path, body, *options):
    (tmp_path / "temporary").mkdir(exist_ok=True)
    (tmp_path / "script.py").write_text(WORK + textwrap.dedent(body))
    command = [sys.executable, "-m", "memlens", "run", "--snapshot-interval", "0.3", *options]
    return subprocess.run(
        [*command, "script.py"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "SNAPSHOTS": str(tmp_path / "out"),
            "TMPDIR": str(tmp_path / "temporary"),
        },
        capture_output=True,
        text=True,
        timeout=120,
    )


CHILD_LEAKS = """
    def child():
        leaked = []
        fill(leaked, Order, lambda: True)

    def main():
        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        kept = []
        fill(kept, Item, lambda: not process.is_alive())

    main()
"""


def test_parent_and_child_have_a_report_each(tmp_path):
    done = run(tmp_path, CHILD_LEAKS, "-o", "out", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    [child] = report["children"]
    assert child["pid"] != report["pid"]
    assert "local 'kept'" in report["leaks"]["suspects"][0]["holder"]
    assert "local 'leaked'" in child["suspects"][0]["holder"]
    assert "script.Order" in child["suspects"][0]["growing_types"][0].replace("__main__", "script")


def test_what_is_ignored_is_ignored_in_children_too(tmp_path):
    done = run(tmp_path, CHILD_LEAKS, "-o", "out", "--json", "--ignore", "leaked|kept")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["leaks"]["suspects"] == report["children"][0]["suspects"] == []


def test_text_names_the_child_and_lists_no_deleted_file(tmp_path):
    find = 'os.environ["SNAPSHOTS"] = glob.glob(os.environ["TMPDIR"] + "/memlens-run-*")[0]'
    done = run(tmp_path, f"    import glob\n    {find}\n{CHILD_LEAKS}")
    assert "Child processes that leak:\n\nProcess" in done.stderr
    assert "local 'leaked'" in done.stderr
    assert "memlens-run-" not in done.stderr


def test_child_that_runs_to_the_end_of_the_program_leaves_the_report_to_its_parent(tmp_path):
    body = """
        child = os.fork()
        if child == 0:
            leaked = []
            fill(leaked, Order, lambda: True)
        else:
            kept = []
            fill(kept, Item, lambda: os.waitpid(child, os.WNOHANG) != (0, 0))
    """
    done = run(tmp_path, body, "-o", "out", "--json")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert done.stderr.count('"children"') == 1
    assert "__main__.kept" in report["leaks"]["suspects"][0]["holder"]
    assert "__main__.leaked" in report["children"][0]["suspects"][0]["holder"]


def test_snapshots_of_another_program_in_the_folder_are_no_children(tmp_path):
    body = """
        kept = []
        fill(kept, Item, lambda: True)
    """
    run(tmp_path, body, "-o", "out")
    run(tmp_path, body, "-o", "out")
    assert json.loads((tmp_path / "out" / "report.json").read_text())["children"] == []
