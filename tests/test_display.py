"""What people look at fits the terminal, in whole words, and prints well in IPython."""

from __future__ import annotations

import importlib
import io
import os
import pkgutil
import re
import sys

import pytest

import memlens
from memlens import _text
from memlens._table import columns
from memlens._text import PLAIN_WIDTH, end_cut, fitted, middle_cut, text_width, wrapped
from tests.display_corpus import MODULE, corpus

_NOTES = re.compile(r"\(too narrow for: [^)]*\)")


class Printer:
    """What `displayed` needs of IPython's printer: how deep it is, and where the text goes."""

    def __init__(self, depth: int) -> None:
        self.stack = [None] * depth
        self.written = ""

    def text(self, text: str) -> None:
        self.written += text


def shown(value, depth=1):
    """Return the text that IPython shows of a value at top level, or within containers."""
    printer = Printer(depth)
    type(value)._repr_pretty_(value, printer, False)
    return printer.written


@pytest.fixture(scope="module")
def values():
    return corpus()


@pytest.fixture
def at_width(monkeypatch):
    return lambda width: monkeypatch.setenv("COLUMNS", str(width))


def words(text):
    """Return the words of a text; those of a name in camel case are several."""
    return set(re.findall(r"[^\W_A-Z]+|[A-Z][^\W_A-Z]*", text))


@pytest.mark.parametrize("width", [40, 60, 100, 120])
def test_every_value_fits_the_width(values, at_width, width):
    at_width(width)
    for value in values:
        long = [line for line in shown(value).split("\n") if len(line) > width]
        assert long == [], type(value)


@pytest.mark.parametrize("width", [60, 100, 120])
def test_no_word_is_cut(values, at_width, monkeypatch, width):
    monkeypatch.setattr(_text, "_MAX_WIDTH", 100_000)
    for value in values:
        at_width(100_000)
        whole = words(shown(value))
        at_width(width)
        assert words(_NOTES.sub("", shown(value))) - whole <= {"more"}, type(value)


def test_every_displayed_type_is_among_the_values(values):
    displayed = set()
    for module in pkgutil.walk_packages(memlens.__path__, "memlens."):
        if module.name.endswith("__main__") or {"agents", "demo", "watch", "integrations"} & {
            *module.name.split(".")
        }:
            continue  # the demo runs when imported; the others have tests of what they show
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, type) and "_repr_pretty_" in vars(value):
                displayed.add(value)
    missing = {
        one.__name__ for one in displayed if not any(isinstance(value, one) for value in values)
    }
    assert missing <= {"MemoryProfiler"}  # which starts threads
    assert len(displayed) > 40


def test_reprs_are_one_short_line_and_no_dump(values):
    for value in values:
        text = repr(value)
        assert "\n" not in text
        assert len(text) < 600
        if type(value).__name__ not in {"Frame", "Verdict"}:
            assert text.startswith("<")
            assert type(value).__name__ in text


def test_within_a_list_a_value_is_its_repr(values):
    for value in values:
        assert shown(value, depth=2) == repr(value)


def test_a_pipe_has_exactly_the_plain_width(monkeypatch):
    monkeypatch.delenv("COLUMNS")
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert text_width() == PLAIN_WIDTH == 100
    monkeypatch.setattr(sys, "stdout", None)
    assert text_width() == 100


@pytest.mark.parametrize(
    ("columns", "width"), [(60, 60), (120, 120), (20, 40), (300, 160), (0, 100)]
)
def test_a_terminal_has_its_width(monkeypatch, columns, width):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

        def fileno(self):
            return 1

    monkeypatch.delenv("COLUMNS")
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((columns, 24)))
    assert text_width() == width


@pytest.mark.parametrize(("text", "width"), [("60", 60), ("x", 100), ("", 100), ("-5", 100)])
def test_the_environment_has_the_last_word(monkeypatch, text, width):
    monkeypatch.setenv("COLUMNS", text)
    assert text_width() == width


def test_a_long_name_is_divided_after_a_dot():
    lines = wrapped(f"held by {MODULE}.service", 40)
    assert all(len(line) <= 40 for line in lines)
    assert "".join(lines) == f"held by {MODULE}.service"
    assert all(line.endswith(".") for line in lines[:-1])


def test_a_word_without_separators_is_divided_at_the_end_of_the_line():
    assert wrapped("a " + "x" * 25, 10) == ["a", "x" * 10, "x" * 10, "x" * 5]


def test_a_path_is_cut_between_folders():
    text = "/srv/app/releases/current/shop/store/sessions.py:12"
    assert middle_cut(text, 40) == "/srv/app/.../shop/store/sessions.py:12"
    assert middle_cut("x" * 20, 11) == "xxxx...xxxx"


@pytest.mark.parametrize("width", range(8, 120))
def test_a_call_path_that_is_shortened_joins_no_function_to_the_file_of_another(width):
    calls = ["Job.__init__ (app/jobs.py:7)", "main (app/run.py:3)", "run (asyncio/events.py:80)"]
    for text in (" <- ".join(calls), " <- ".join([*calls[:2], "..."])):
        shown = middle_cut(text, width)
        assert len(shown) <= width
        *whole, last = shown.split(" <- ")
        assert whole == calls[: len(whole)]
        if whole and last != "...":
            assert shown == text
        assert whole or middle_cut(calls[0], width) == shown
    assert middle_cut(" <- ".join(calls), 60) == f"{calls[0]} <- {calls[1]} <- ..."


def test_source_text_is_cut_at_its_end():
    assert end_cut("rows = [load(name) for name in names]", 20) == "rows = [load(name..."
    assert end_cut("rows", 4) == "rows"
    assert end_cut("rows = 1", 3) == "row"


def test_lines_that_fit_stay_as_they_are():
    assert fitted("  a  b\n\nc", 40) == "  a  b\n\nc"


ROW = ("1,234,567", "12.5 MiB", "12.5 MiB", "/srv/shop/store/sessions.py:12 and more of it")
HEADERS = ("count", "shallow", "retained", "where")


def test_a_narrow_table_leaves_out_optional_columns_and_says_so():
    table = columns(HEADERS, [ROW], width=44, optional=("shallow",))
    assert "shallow" not in table.splitlines()[0]
    assert table.endswith("(too narrow for: shallow)")
    assert "too narrow" not in columns(HEADERS, [ROW], width=100, optional=("shallow",))


def test_a_last_column_without_room_gets_a_line_of_its_own():
    lines = columns(HEADERS, [ROW], width=40).splitlines()
    assert lines[0].split() == ["count", "shallow", "retained"]
    assert lines[1] == "    where"
    assert lines[3].startswith("    /srv/shop/")


def test_sentences_in_a_table_are_wrapped_under_their_column():
    lines = columns(
        ("a", "b"), [("x", "one two three four five six")], width=24, wrap=True
    ).splitlines()
    assert lines == ["a  b", "x  one two three four", "   five six"]


def test_a_row_that_is_a_text_spans_the_columns():
    assert columns(("a", "b"), [("1", "2"), "from here to there"], width=40).splitlines() == [
        "a  b", "1  2", "from here to there",
    ]  # fmt: skip
