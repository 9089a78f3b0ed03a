"""Answers stay below their budget, whatever they say, and their pages add up to the whole."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memlens.agents.answers import (
    BYTES_PER_TOKEN,
    MAX_TOKENS,
    MIN_TOKENS,
    Answer,
    error_text,
    page_text,
)
from memlens.errors import OptionError

TEXTS = st.text(st.characters(codec=None), max_size=60) | st.integers(1, 6000).map("x".__mul__)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
NAMES = st.text("abcdefghij_", min_size=1, max_size=12)
ROWS = st.lists(st.dictionaries(NAMES, VALUES, max_size=5), max_size=12)
BUDGETS = st.integers(MIN_TOKENS, 1500) | st.just(MAX_TOKENS)


def pages(answer, max_tokens, question="q"):
    """Return all pages as they are sent, each checked to be within its budget."""
    found, cursor = [], None
    while True:
        text = page_text(answer, max_tokens, question, cursor)
        assert len(text.encode()) <= max_tokens * BYTES_PER_TOKEN
        found.append(json.loads(text))
        cursor = found[-1]["next_cursor"]
        if cursor is None:
            return found
        assert len(found) <= len(answer.rows)


def plain(value):
    """Return a value as a JSON reader sees it that was given it whole."""
    (page,) = pages(Answer({}, "rows", [{"value": value}]), 10**9)
    return page["rows"][0]["value"]


@given(head=st.dictionaries(NAMES, VALUES, max_size=6), rows=ROWS, hints=st.lists(TEXTS, max_size=3),
       max_tokens=BUDGETS)  # fmt: skip
def test_no_page_exceeds_the_budget_and_pages_add_up_with_nothing_twice(
    head, rows, hints, max_tokens
):
    numbered = [{"number": number, **row} for number, row in enumerate(rows)]
    answer = Answer(
        {f"head_{name}": value for name, value in head.items()}, "found", numbered, tuple(hints)
    )
    sent = pages(answer, max_tokens)
    shown = [row for page in sent for row in page["found"]]
    assert len(shown) == len(rows)
    for row, given_row in zip(shown, numbered, strict=True):
        if "shortened" not in row:
            assert row == plain(given_row)
        else:
            assert row.get("number", given_row["number"]) == given_row["number"]
    assert {page["total_count"] for page in sent} == {len(rows)}
    for page in sent[1:]:
        assert page.keys() == {"found", "total_count", "next_cursor"}


@given(text=TEXTS, max_tokens=BUDGETS)
def test_no_error_exceeds_the_budget(text, max_tokens):
    sent = error_text(text, max_tokens)
    assert len(sent.encode()) <= max_tokens * BYTES_PER_TOKEN
    assert json.loads(sent).keys() & {"error", "shortened"}


def rows_of(count):
    return [{"name": f"row {number}", "size_bytes": number} for number in range(count)]


def test_a_page_is_filled_before_the_next_one_begins():
    answer = Answer({"verdict": "leak"}, "rows", rows_of(200), ("find_leaks",))
    first, *others = pages(answer, MIN_TOKENS)
    assert first["verdict"] == "leak" and first["hints"] == ["find_leaks"]
    row_bytes = len('{"name":"row 100","size_bytes":100},')
    for page in others[:-1]:
        left = MIN_TOKENS * BYTES_PER_TOKEN - len(json.dumps(page, separators=(",", ":")))
        assert left < row_bytes + 4  # and what the widest cursor would need


def test_a_row_that_does_not_fit_is_shortened_and_says_so():
    answer = Answer({}, "rows", [{"path": "app." + "x" * 5000, "size_bytes": 7}])
    (page,) = pages(answer, MIN_TOKENS)
    (row,) = page["rows"]
    assert row["shortened"] is True and row["size_bytes"] == 7
    assert row["path"].startswith("app.") and "..." in row["path"]
    assert len(row["path"]) > 100  # as long as fits


def test_hints_are_left_out_before_the_head_is_shortened():
    answer = Answer({"explanation": "x" * 150}, "rows", rows_of(3), ("y" * 400,))
    first = pages(answer, MIN_TOKENS)[0]
    assert first["hints"] == [] and first["explanation"] == "x" * 150


def test_a_cursor_of_another_question_or_of_an_answer_that_changed_is_refused():
    answer = Answer({}, "rows", rows_of(100))
    cursor = pages(answer, MIN_TOKENS)[0]["next_cursor"]
    assert page_text(answer, MIN_TOKENS, "q", cursor)
    changed = Answer({}, "rows", [{"name": "new"}, *rows_of(100)])
    for other, question in ((answer, "another"), (changed, "q")):
        with pytest.raises(OptionError, match="ask again without it"):
            page_text(other, MIN_TOKENS, question, cursor)


@pytest.mark.parametrize(
    "cursor", ["", "0.", "-1.00", "7", "7.", "²", "9" * 5000, "99.0123456789", "a.b"]
)
def test_a_cursor_that_is_none_is_refused(cursor):
    with pytest.raises(OptionError, match="ask again without it"):
        page_text(Answer({}, "rows", rows_of(100)), MIN_TOKENS, "q", cursor)


def test_an_answer_that_lists_a_part_says_how_many_there_are():
    (page,) = pages(Answer({}, "rows", rows_of(2), total_count=5000), MIN_TOKENS)
    assert (page["total_count"], page["listed_count"]) == (5000, 2)


@pytest.mark.parametrize("rows", [[], rows_of(1)])
def test_a_head_that_just_fits_leaves_room_for_what_follows_it(rows):
    for length in range(200, 520):
        answer = Answer({"explanation": "x" * length}, "rows", rows, ("y" * 40,))
        (page,) = pages(answer, MIN_TOKENS)
        assert page["rows"] == rows
