"""HTML of values for notebooks."""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser

import pytest

from memlens._display import displayed
from memlens.leaks.leak_report import find_leaks
from memlens.report.html_fragment import fragment
from tests.display_corpus import FRAMES, corpus, profile, snapshot

HOSTILE = "<script>alert('&\"')</script>\x1b[31m"


class Reader(HTMLParser):
    """Collects tags and text, and checks that tags are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.found, self.attributes = [], [], [], set()
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.found.append(data)

    @property
    def text(self):
        return "".join(self.found)


@pytest.fixture(scope="module")
def report():
    return find_leaks([snapshot(count) for count in (10, 20, 30)])


def test_every_fragment_is_balanced_and_has_no_scripts():
    fragments = [text for value in corpus() if (text := fragment(value)) is not None]
    assert len(fragments) > 15
    for text in fragments:
        reader = Reader(text)
        assert set(reader.tags) <= {"div", "table", "tr", "th", "td", "strong"}
        assert reader.attributes <= {"class", "style", "scope", "colspan"}


def test_texts_of_the_program_are_escaped(report):
    suspect = dataclasses.replace(report[0], holder=HOSTILE, suggestion=HOSTILE)
    reader = Reader(fragment(dataclasses.replace(report, suspects=(suspect,))))
    assert "script" not in reader.tags
    assert HOSTILE.replace("\x1b", "\\x1b") in reader.text


def test_a_report_has_a_card_for_each_suspect(report):
    double = dataclasses.replace(report, suspects=report.suspects * 2)
    reader = Reader(fragment(double))
    assert reader.tags.count("strong") == len(double) == 2
    assert "1. " in reader.text
    assert "2. " in reader.text
    assert "Leak, confidence" in reader.text
    for label, text in report[0].fields():
        assert reader.text.count(label) >= 2
        assert text in reader.text


def test_a_table_has_headers_rows_and_what_is_left_out():
    summary = snapshot(10).summary()
    reader = Reader(fragment(summary))
    assert reader.tags.count("th") == len(summary.headers)
    assert reader.tags.count("tr") == 1 + len(summary)
    assert summary.title in reader.text


def test_a_profile_shows_call_paths_the_innermost_first():
    text = Reader(fragment(profile(1))).text
    assert text.index(FRAMES[-1].file) < text.index(FRAMES[0].file)


def test_a_value_without_html_is_shown_as_text():
    assert fragment(object()) is None
    assert fragment(FRAMES[0]) is None


def test_notebooks_find_the_html():
    value = snapshot(10)
    assert value._repr_html_() == fragment(value)

    @displayed
    class Plain:
        pass

    assert Plain()._repr_html_() is None
