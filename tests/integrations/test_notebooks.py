"""The magics and the HTML in real notebooks, and the texts in IPython's own terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs memlens[notebooks]")
nbclient = pytest.importorskip("nbclient", reason="needs memlens[notebooks]")
pytest.importorskip("ipykernel", reason="needs memlens[notebooks]")

LOAD = """
%load_ext memlens
import gc, weakref
class Big:
    def __init__(self):
        self.data = [bytes(1000) for _ in range(1000)]
""".strip()
FAILING = """
def fail():
    kept_here = Big()
    global ref
    ref = weakref.ref(kept_here)
    raise ValueError(1)
fail()
""".strip()
COLLECT = "gc.collect(); ref() is None"


class Cell:
    """The outputs of a cell: printed text, texts and HTML of displayed values, the error."""

    def __init__(self, outputs):
        self.printed = "".join(one.text for one in outputs if one.output_type == "stream")
        shown = [one.data for one in outputs if "data" in one]
        self.texts = [data["text/plain"] for data in shown if "text/plain" in data]
        self.html = [data["text/html"] for data in shown if "text/html" in data]
        self.errors = [one for one in outputs if one.output_type == "error"]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs cells in a new kernel and returns a `Cell` for each."""
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))

    def run_cells(*sources):
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        notebook = nbformat.v4.new_notebook(cells=cells)
        nbclient.NotebookClient(
            notebook, timeout=120, kernel_name="python3", allow_errors=True
        ).execute()
        return [Cell(cell.outputs) for cell in notebook.cells]

    return run_cells


def test_memory_of_a_cell(run):
    _, cell, use, failing, after, bad = run(
        LOAD,
        "%%memory --limit 3\nimport json\nkept = json.loads(json.dumps([str(n) for n in range(9**5)]))"
        "\nlen(kept)",
        "kept[-1]",
        "%%memory\nother = bytes(5_000_000)\n1/0",
        "len(other)",
        "%%memory --limit many\n1",
    )
    assert cell.errors == []
    report, value = cell.texts
    assert re.match(r"In \[2\]: \+\d[\d.]+ MiB kept, \d[\d.]+ MiB at the peak, in ", report)
    assert re.search(r"In \[2\]:3  kept = json.*\n +through .*json/decoder\.py:\d+\n", report), (
        report
    )
    assert "Resident memory: " in cell.printed
    assert value == "59049"
    assert "<table" in cell.html[0]
    assert use.texts == ["'59048'"]
    assert "+4.77 MiB kept" in failing.texts[0]
    assert "In [4]:2  other = bytes(5_000_000)" in failing.texts[0]
    traceback = re.sub(r"\x1b\[[\d;]*m", "", "\n".join(failing.errors[0].traceback))
    assert re.search(r"3 1/0\b", traceback), traceback
    assert "raised ZeroDivisionError" in failing.texts[0]
    assert [error.ename for error in failing.errors] == ["ZeroDivisionError"]
    assert after.texts == ["5000000"]
    assert "%%memory [--limit N] [--frames N]" in bad.printed


def test_memory_belongs_to_the_lines_of_the_measured_cell_first(run):
    cells = run(
        LOAD,
        "class Item:\n    def __init__(self): self.data = bytearray(1_000_000)",
        "%%memory --limit 30\n \nitems = [Item() for _ in range(4)]\n"
        "import traitlets\nclass T(traitlets.HasTraits):\n    a = traitlets.Int()\n",
    )
    (report,) = cells[2].texts
    assert re.search(
        r"MiB +\+\d+ +In \[3\]:3  items = \[Item\(\) for .*\n +through In \[2\]:2\n", report
    ), report
    others = [line for line in report.splitlines()[2:] if "In [" not in line]
    assert [line for line in others if "IPython/" in line or "ipykernel/" in line] == []


def test_a_semicolon_hides_the_value_of_a_measured_cell(run):
    cells = run(LOAD, "%%memory\n1 + 1;", "Out")
    assert len(cells[1].texts) == 1
    assert cells[2].texts == ["{}"]


def test_why_alive_names_the_cells(run):
    cells = run(
        LOAD,
        "df = Big()\ndf",
        "%why_alive df",
        "%why_alive df.data",
        "%why_alive",
        "%why_alive missing",
        "%why_alive df +",
        "%why_alive {}['key']",
        "%%memory --limit '3\n1",
    )
    text = cells[2].printed
    assert "the name df, assigned in cell In [2]\n  Out[2]\n" in text
    assert "To release it: %xdel df" in text
    assert "user_ns_hidden" not in text
    inner = " ".join(cells[3].printed.split())
    assert ".data list" in inner
    assert "is kept by the name df, assigned in cell In [2]; Out[2]" in inner
    assert "give a name or an expression" in cells[4].printed
    assert [cell.errors for cell in cells[4:]] == [[]] * 5
    wrong = [cell.printed.strip() for cell in cells[4:]]
    assert wrong[1] == "UsageError: no name 'missing'"
    assert wrong[2].startswith("UsageError: 'df +' is not a name or an expression: ")
    assert wrong[3] == "UsageError: \"{}['key']\" has no value: KeyError: 'key'"
    assert wrong[4] == "UsageError: %%memory [--limit N] [--frames N]"


@pytest.mark.parametrize(
    ("cell", "holder", "advice"),
    [
        ("df = Big(); ref = weakref.ref(df)\ndf", "the name df, assigned in cell In [2]", "%xdel df"),
        ("df = Big(); ref = weakref.ref(df)", "the name df, assigned in cell In [2]", "del df"),
        ("def make():\n    global ref\n    new = Big(); ref = weakref.ref(new)\n    return new\nmake()",
         "Out[2]", "%xdel _2"),
        (FAILING, "the local kept_here of fail (In [2]:5) in the last traceback", "1/0"),
    ],
)  # fmt: skip
def test_leaks_names_the_holder_and_its_advice_releases_the_object(run, cell, holder, advice):
    cells = run(LOAD, cell, "%leaks", COLLECT, advice, COLLECT)
    (text,) = cells[2].texts
    assert holder in " ".join(text.split())
    assert advice in text
    assert cells[3].texts == ["False"]
    assert cells[5].texts == ["True"]


def test_leaks_since_the_start(run):
    cells = run(
        LOAD,
        "old = Big()",
        "%leaks start",
        "grown = []",
        *["grown += [Big() for _ in range(20)]", "%leaks"] * 5,
        "%leaks stop",
        "%leaks",
        "%leaks later",
    )
    assert cells[2].printed.startswith("Baseline: <HeapSnapshot of process ")
    table, report = cells[13].texts
    assert "since cell In [3] the heap changed by +" in table
    rows = {line.split("  ")[-1]: line for line in table.splitlines() if "the name" in line}
    assert "new" in rows["the name grown, assigned in cell In [4]"]
    assert "new" not in rows["the name old, assigned in cell In [2]"]
    assert "1. __main__.grown grows: +" in report
    assert len(cells[13].html) == 2
    assert "%leaks start, run cells" in cells[15].printed
    assert "%leaks [start | stop]" in cells[16].printed


def test_the_history_of_ipython_is_named_as_such(run):
    many = "for _ in range(15):\n    get_ipython().run_cell('Big()', store_history=True)"
    cells = run(
        LOAD,
        "import memlens; taken = []",
        *[many, "taken.append(memlens.take_heap_snapshot())"] * 4,
        "[(one.pattern, one.suggestion) for one in memlens.find_leaks(taken)]",
    )
    (found,) = cells[-1].texts
    assert "'notebook-history'" in found
    assert "%reset -f out" in found


def test_values_have_html_and_text(run):
    cells = run(
        "import memlens",
        "memlens.take_heap_snapshot()",
        "[memlens.take_heap_snapshot()]",
        "memlens.read_memory()",
    )
    assert cells[1].texts[0].startswith("Heap of process")
    assert cells[1].html[0].startswith('<div class="memlens">')
    assert re.fullmatch(r"\[<HeapSnapshot of process \d+: [\d,]+ objects>\]", cells[2].texts[0])
    assert cells[2].html == cells[3].html == []


def test_the_extension_is_removed_again(run):
    cells = run(LOAD, "%reload_ext memlens", "%leaks", "%unload_ext memlens", "%leaks")
    assert len(cells[2].texts) == 1
    assert "`%leaks` not found" in cells[4].printed + "".join(map(str, cells[4].errors))


@pytest.mark.parametrize("width", [60, 120])
def test_ipython_in_a_terminal_shows_texts_that_fit(tmp_path, width):
    program = (
        "import memlens\nclass Big: pass\n\ndf = [Big() for _ in range(1000)]\n"
        "memlens.why_alive(df)\nmemlens.take_heap_snapshot()\nmemlens.breakdown()\n"
        "[memlens.breakdown()]\n%load_ext memlens\n%why_alive df\n%leaks\n"
    )
    environment = {**os.environ, "COLUMNS": str(width), "IPYTHONDIR": str(tmp_path)}
    command = [
        sys.executable,
        "-m",
        "IPython",
        "--simple-prompt",
        "--no-banner",
        "--colors=nocolor",
    ]
    done = subprocess.run(
        command, input=program, env=environment, capture_output=True, text=True, check=True
    )
    lines = [
        re.sub(r"^(?:In \[\d+\]:\s*|\s+\.\.\.:\s*)+", "", line) for line in done.stdout.split("\n")
    ]
    assert [line for line in lines if len(line) > width and "<MemoryBreakdown" not in line] == []
    text = "\n".join(lines)
    assert "keeps it alive:" in text or "keep it alive:" in text
    assert "Heap of process" in text
    assert "[<MemoryBreakdown: " in text
    assert "the name df, assigned in cell" not in text  # that was before the extension was loaded
    assert "the name df" in text
    assert "Traceback" not in text
    assert max(map(len, lines)) > width * 0.6
