"""The lines that put elements into a holder."""

from __future__ import annotations

import pytest

from memlens._frame import Frame
from memlens.leaks.mentions import Mention
from memlens.report.html.keeping_lines import keeping_lines
from memlens.report.html.source import SourceReader
from tests.report.values import suspect

PROGRAM = """import functools
_sessions = {}
def remember(function):
    @functools.wraps(function)
    def wrapper(key):
        "_sessions[key] = what a text says"
        if key in _sessions:
            return _sessions[key]
        STORES
        return 1
    return wrapper
def other():
    return _sessions
"""


def shown(tmp_path, stores, *mentions, reads=True, text=PROGRAM):
    file = tmp_path / "shop.py"
    file.write_text(text.replace("STORES", stores))
    named = tuple(Mention(name, Frame(None, str(file), line), False) for name, line in mentions)
    found = keeping_lines(suspect(mentions=named), SourceReader(reads))
    return [(lines["function"], lines["line"], lines["shows"]) for lines in found]


WRAPPER = "remember.<locals>.wrapper"


@pytest.mark.parametrize(
    "stores",
    [
        "_sessions[key] = 1",
        "_sessions[key][2] = 1",
        "_sessions[key] += 1",
        "_sessions += [key]",
        "_sessions.setdefault(key, []).append(1)",
        "_sessions[key].append(1)",
        "shop.store._sessions.update(a=1)",
        "heappush(_sessions, key)",
        "heapq.heappush(_sessions, key)",
    ],
)
def test_the_line_that_stores_is_found_in_the_body(tmp_path, stores):
    assert shown(tmp_path, stores, (WRAPPER, 4)) == [(WRAPPER, 9, "keeps")]


@pytest.mark.parametrize(
    "stores", ["pass", "old_sessions[key] = 1", "other.append(_sessions[key])", "print(_sessions)"]
)
def test_without_one_the_first_line_that_uses_the_holder_is(tmp_path, stores):
    assert shown(tmp_path, stores, (WRAPPER, 4)) == [(WRAPPER, 7, "uses")]


def test_functions_that_store_come_first(tmp_path):
    found = shown(tmp_path, "_sessions[key] = 1", ("other", 12), (WRAPPER, 4), (WRAPPER, 4))
    assert found == [(WRAPPER, 9, "keeps"), ("other", 13, "uses")]


def test_a_holder_without_its_own_name_in_the_code_is_found_by_what_leads_to_it(tmp_path):
    text = "def produce(self):\n    self.store.put_nowait(1)\n"
    assert shown(tmp_path, "", ("produce", 1), text=text) == [("produce", 2, "keeps")]


def test_nothing_is_shown_of_source_that_may_not_be_read_or_is_another(tmp_path):
    stores = "_sessions[key] = 1"
    assert shown(tmp_path, stores, (WRAPPER, 4), reads=False) == []
    assert shown(tmp_path, stores, (WRAPPER, 5), ("absent", 12)) == []
    assert shown(tmp_path, "x = (", (WRAPPER, 4)) == []
