"""The cards of suspects, and the lines of source that they show."""

from __future__ import annotations

import os

import pytest

from memlens._frame import Frame
from memlens.report.html.limits import Limits
from memlens.report.html.lines import lines_of
from memlens.report.html.source import SourceReader
from memlens.report.html.suspects import suspects_of
from tests.report.test_flame import profile_of
from tests.report.values import hop, leaks, site, suspect


def cards(*suspects, source=False):
    return suspects_of(leaks(*suspects), SourceReader(source), Limits())


def path_of(*hops, root="shop", root_kind="module"):
    from memlens.heap.graph.paths import RetentionPath

    return RetentionPath(root, root_kind, hops)


def steps(path):
    (card,) = cards(suspect(path=path))
    return [(step["text"], step["kind"], step["suspect"]) for step in card["path"]]


def test_the_holder_and_the_step_that_names_it_stand_out():
    path = path_of(
        hop(".store", "shop.Store"),
        hop("", "dict", "internal"),  # implied by the next
        hop("._sessions", "dict"),
        hop("['eu']", "dict", "key"),
    )
    assert steps(path) == [
        ("shop", "root", False),
        (".store", "hop", False),
        ("._sessions", "hop", True),
        ("['eu']", "holder", True),
    ]


def test_without_a_name_on_the_way_the_root_stands_out():
    frame = "thread 'MainThread' frame main (app.py:3)"
    assert steps(path_of(hop("[0]", "list", "index"), root=frame, root_kind="frame")) == [
        (frame, "root", True),
        ("[0]", "holder", True),
    ]
    assert steps(path_of(root="<external>")) == [("<external>", "holder", True)]


def test_a_long_path_keeps_its_ends():
    path = path_of(*(hop(f".next{n}", "Link") for n in range(100)))
    texts = [text for text, _, _ in steps(path)]
    assert len(texts) == 41
    assert texts[:2] == ["shop", ".next0"]
    assert texts[20] == " ... 61 more ... "
    assert texts[-1] == ".next99"


def test_sites_come_innermost_first_with_their_shares():
    (card,) = cards(suspect(sites=(site(size=300.0), site(line=40, size=100.0))))
    assert [one["share"] for one in card["sites"]] == [0.75, 0.25]
    assert [frame["function"] for frame in card["sites"][0]["frames"]] == ["add", "main"]


def test_comprehensions_are_part_of_their_function():
    path = (
        Frame("batch", "/srv/job.py", 32),
        Frame("Frame.__init__", "/srv/job.py", 8),
        Frame("Frame.__init__.<locals>.<listcomp>", "/srv/job.py", 11),
        Frame("other.<locals>.<genexpr>", "/srv/job.py", 40),
    )
    share = type(site())(path, 1.0, 1.0, 1)
    (card,) = cards(suspect(sites=(share,)))
    assert [(one["function"], one["line"]) for one in card["sites"][0]["frames"]] == [
        ("other.<locals>.<genexpr>", 40),
        ("Frame.__init__", 11),
        ("batch", 32),
    ]


def test_the_same_fingerprint_twice_gives_two_links():
    assert [card["id"] for card in cards(suspect(), suspect(), suspect(fingerprint=""))] == [
        "leak-0123456789",
        "leak-0123456789-2",
        "suspect",
    ]


# -- source ----------------------------------------------------------------------------------------


def test_source_is_read_only_where_it_is_allowed(tmp_path):
    file = tmp_path / "store.py"
    file.write_text("".join(f"line {n}\n" for n in range(1, 30)))
    share = site(str(file), 3)
    assert cards(suspect(sites=(share,)))[0]["source"] == []
    (source,) = cards(suspect(sites=(share, share)), source=True)[0]["source"]
    assert source == {
        "file": str(file),
        "line": 3,
        "first_line": 1,
        "lines": [f"line {n}" for n in range(1, 8)],
        "function": "add",
        "shows": "allocates",
    }


def test_the_line_of_the_program_is_shown_not_that_of_a_library(tmp_path):
    own, library = tmp_path / "own.py", tmp_path / "site-packages" / "lib.py"
    library.parent.mkdir()
    for file in (own, library):
        file.write_text("x\n" * 20)
    share = site(str(library), 5)
    share = type(share)((Frame("mine", str(own), 2), *share.call_path[1:]), 1.0, 1.0, 1)
    (source,) = cards(suspect(sites=(share,)), source=True)[0]["source"]
    assert (source["file"], source["function"]) == (str(own), "mine")


@pytest.mark.parametrize(
    "name", ["missing.py", "folder.py", "pipe.py", "binary.py", "secret.txt", "huge.py"]
)
def test_what_is_no_source_is_not_shown(tmp_path, name):
    (tmp_path / "folder.py").mkdir()
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "binary.py").write_bytes(b"\xff\xfe\x00" * 9)
    (tmp_path / "secret.txt").write_text("secret\n" * 9)
    with open(tmp_path / "huge.py", "wb") as huge:
        huge.truncate(5 << 20)
    reader = SourceReader(True)
    assert reader.around(str(tmp_path / name), 1, "f") is None
    assert reader.line(str(tmp_path / name), 1) is None


def test_encodings_tabs_and_long_lines(tmp_path):
    file = tmp_path / "latin.py"
    file.write_bytes("# -*- coding: latin-1 -*-\n\tprint('é')\n".encode("latin-1") + b"x" * 5000)
    reader = SourceReader(True)
    assert reader.line(str(file), 2) == "    print('é')"
    assert len(reader.line(str(file), 3)) == 200
    assert reader.line(str(file), 4) is None
    assert reader.line(str(file), 0) is None


# -- own code, line by line -------------------------------------------------------------------------


def test_memory_counts_at_the_innermost_line_of_the_program(tmp_path):
    own = str(tmp_path / "own.py")
    library = Frame("load", "/usr/lib/python3.11/json/__init__.py", 7)
    rows = [
        ([Frame("run", own, 99), Frame("main", own, 3), library], 100, 900),
        ([Frame("main", own, 3)], 10, 10),
        ([Frame("main", own, 8), Frame("g", "<string>", 1)], 5, 7),
        ([library], 1000, 1000),
    ]
    (file,) = lines_of(profile_of(rows), SourceReader(False), Limits())
    assert file == {"file": own, "first_line": 3, "rows": [[3, 110, 910, None], [8, 5, 7, None]]}


def test_lines_around_are_shown_where_the_source_is_read(tmp_path):
    own = tmp_path / "own.py"
    own.write_text("a\nb\nc\nd\n")
    profile = profile_of([([Frame("main", str(own), 3)], 10, 20)])
    (file,) = lines_of(profile, SourceReader(True), Limits())
    assert file["rows"] == [[1, 0, 0, "a"], [2, 0, 0, "b"], [3, 10, 20, "c"], [4, 0, 0, "d"]]


def test_of_many_lines_and_files_the_heaviest_are_shown():
    rows = [([Frame("f", f"/srv/{n % 50}.py", 1 + n)], n, n) for n in range(3000)]
    files = lines_of(profile_of(rows), SourceReader(False), Limits(rows=100))
    assert sum(len(file["rows"]) for file in files) == 100
    assert files[0]["file"] == "/srv/49.py"
    assert files[0]["rows"][-1][0] == 3000
