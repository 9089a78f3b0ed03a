"""The HTML report without a mouse."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Keys
from tests.browser.documents import full

pytestmark = pytest.mark.browser

MAX_STOPS = 300
STOPS = "return document.querySelectorAll('#table-types table [tabindex=\"0\"]').length"


def test_tab_reaches_every_view_and_control(browser):
    browser.open(full())
    reached = set()
    for _ in range(MAX_STOPS):
        browser.press(Keys.TAB)
        place = browser.run(
            "const e = document.activeElement; return e === document.body ? null :"
            "[e.closest('section, nav, dialog')?.id ?? '', e.tagName, e.type ?? e.className]"
        )
        if place is None:
            break
        reached.add(tuple(place))
    else:
        pytest.fail("Tab never left the page")
    sections = {section for section, _, _ in reached}
    assert {"verdict", "timeline", "suspects", "flame", "treemap", "table-types"} <= sections
    assert {"contents", "lines", "breakdown", "health"} <= sections
    assert ("flame", "DIV", "picture") in reached
    assert ("treemap", "DIV", "picture") in reached
    assert ("timeline", "DIV", "chart") in reached
    assert ("flame", "INPUT", "search") in reached
    assert ("flame", "SELECT", "select-one") in reached


def test_every_stop_shows_where_the_focus_is(browser):
    browser.open(full())
    for _ in range(30):
        browser.press(Keys.TAB)
        style = browser.run(
            "let e = document.activeElement; if (e.type === 'radio') e = e.nextElementSibling;"
            "const s = getComputedStyle(e); return [s.outlineStyle, parseFloat(s.outlineWidth)]"
        )
        assert style[0] != "none"
        assert style[1] >= 2


def test_skip_link_comes_first(browser):
    browser.open(full())
    browser.press(Keys.TAB)
    assert browser.run("return document.activeElement.textContent") == "Skip to the verdict"
    browser.press(Keys.ENTER)
    assert browser.link() == "#verdict"


def test_flame_graph_by_keys(browser):
    browser.open(full("parse_json"))
    said = "return document.querySelector('#flame [aria-live]').textContent"
    browser.focus("#flame .picture")
    browser.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert browser.run(said).startswith("parse_json, ")
    browser.press(Keys.ARROW_RIGHT)
    assert browser.run(said).startswith("render, ")
    browser.press(Keys.ENTER)
    assert browser.link() == "#flame?zoom=3"
    browser.press(Keys.ESCAPE)
    assert browser.link() == "#flame?zoom=1"
    browser.press(Keys.HOME)
    assert browser.link() == "#flame"


def test_treemap_by_keys(browser):
    browser.open(full())
    said = "return document.querySelector('#treemap [aria-live]').textContent"
    browser.focus("#treemap .picture")
    browser.press(Keys.ENTER)
    assert browser.link() == "#treemap?node=1"
    browser.press(Keys.ARROW_RIGHT)
    assert browser.run(said).startswith("[1]")
    browser.press(Keys.ESCAPE)
    assert browser.link() == "#treemap"


def test_timeline_by_keys(browser):
    browser.open(full())
    said = "return document.querySelector('#timeline [aria-live]').textContent"
    browser.focus("#timeline .chart")
    browser.press(Keys.HOME)
    assert browser.run(said).startswith("0 s after the start")
    assert "Resident memory: 100 MiB" in browser.run(said)


def test_table_is_one_stop_and_arrows_move_in_it(browser):
    browser.open(full())
    browser.focus("#table-types th button")
    browser.press(Keys.ARROW_DOWN, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert browser.run("return document.activeElement.textContent") == "40.0 MiB"
    assert "Retained of type00" in browser.until("return !tooltip.hidden && tooltip.textContent")
    stops = browser.run(STOPS)
    assert stops == 1
    browser.press(Keys.ARROW_UP, Keys.ENTER)
    assert browser.link() == "#table-types?sort=retained"


def test_table_keeps_its_stop_when_its_rows_change(browser):
    browser.open(full())
    browser.focus("#table-types th button")
    browser.press(Keys.ARROW_DOWN)
    browser.type("#table-types input", "type3")
    stops = browser.run(STOPS)
    assert stops == 1


def test_slash_goes_to_the_search_of_the_view_in_sight(browser):
    browser.open(full(), "#table-types")
    browser.press("/")
    assert browser.run("return document.activeElement.getAttribute('aria-label')") == "Filter Types"
    browser.press("/")
    assert browser.run("return document.activeElement.value") == "/"


def test_question_mark_opens_the_keys(browser):
    browser.open(full())
    browser.press("?")
    assert browser.run("return document.querySelector('dialog').open")
    assert "zoom in" in browser.text("dialog")
    browser.press(Keys.ESCAPE)
    browser.until("return !document.querySelector('dialog').open")


def test_escape_hides_the_explanation(browser):
    browser.open(full())
    browser.focus("#verdict .facts .quantity")
    browser.until("return !tooltip.hidden")
    browser.press(Keys.ESCAPE)
    browser.until("return tooltip.hidden")
