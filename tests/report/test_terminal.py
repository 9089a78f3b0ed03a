"""Colours on terminals, plain text elsewhere, as the variables of the environment ask."""

import io
import re

import pytest

from memlens.leaks.leak_report import find_leaks
from memlens.report.terminal import show
from tests.watch.heaps import planted

ESCAPE = re.compile(r"\x1b\[[\d;]*m")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


def shown(value, stream):
    show(value, stream)
    return stream.getvalue()


def test_terminal_shows_the_same_text_in_colours():
    report = find_leaks(planted(4))
    text = shown(report, Terminal())
    assert "\x1b[1;31m" in text, "the holder is red"
    assert ESCAPE.sub("", text) == f"{report}\n"


def test_headers_of_tables_are_bold():
    snapshot = planted(1)[0]
    text = shown(snapshot.summary(), Terminal())
    (header,) = [line for line in text.splitlines() if "\x1b[1m" in line]
    assert ESCAPE.sub("", header).split() == ["count", "shallow", "retained", "type"]
    assert ESCAPE.sub("", text) == f"{snapshot.summary()}\n"


def test_branches_of_trees_are_dim():
    (suspect,) = find_leaks(planted(3))
    text = shown(suspect.path.tree(), Terminal())
    assert "\x1b[2m└──\x1b[0m" in text


def test_file_gets_plain_text():
    report = find_leaks(planted(4))
    assert shown(report, io.StringIO()) == f"{report}\n"


def test_no_color_leaves_no_colour(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    codes = ESCAPE.findall(shown(find_leaks(planted(4)), Terminal()))
    assert set(codes) <= {"\x1b[1m", "\x1b[2m", "\x1b[0m"}


def test_dumb_terminal_gets_plain_text(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    report = find_leaks(planted(4))
    assert shown(report, Terminal()) == f"{report}\n"


def test_force_color_colours_what_is_piped(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    report = find_leaks(planted(4))
    text = shown(report, io.StringIO())
    assert "\x1b[1;31m" in text
    assert ESCAPE.sub("", text) == f"{report}\n"
