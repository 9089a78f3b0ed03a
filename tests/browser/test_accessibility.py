"""What axe-core finds in the HTML report: nothing serious, in both themes and on a phone.

``AXE_CORE`` is the path of ``axe.min.js``, from the npm package ``axe-core``.
"""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest

from tests.browser.documents import document, full

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif("AXE_CORE" not in os.environ, reason="AXE_CORE is not set"),
]

RUN = """
const done = arguments[arguments.length - 1];
axe.run(document, {resultTypes: ['violations']}).then(
    (found) => done(found.violations.map(
        (v) => [v.impact, v.id, v.nodes.map((n) => n.html).slice(0, 3)])),
    (error) => done([['critical', String(error), []]]));
"""


@pytest.fixture(scope="module")
def axe() -> str:
    return Path(os.environ["AXE_CORE"]).read_text(encoding="utf-8")


def serious(browser, axe):
    browser.run(axe)
    browser.driver.set_script_timeout(60)
    found = browser.driver.execute_async_script(RUN)
    return [one for one in found if one[0] in ("serious", "critical")]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360], ids=["desktop", "phone"])
def test_axe_finds_nothing_serious(browser, axe, dark, width):
    browser.open(full(), width=width, dark=dark)
    browser.run("document.querySelectorAll('details').forEach((d) => { d.open = true })")
    browser.until("return document.querySelectorAll('#treemap tbody tr').length > 0")
    assert serious(browser, axe) == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(
    "state", ["leak", "no leak", "unexplained growth", "unknown", "none"], ids=str
)
def test_axe_finds_nothing_serious_in_any_verdict(browser, axe, dark, state):
    verdict = {"state": state, "confidence": "low", "sentence": "A sentence.", "details": ["More."]}
    browser.open(document(verdict=verdict), dark=dark)
    assert serious(browser, axe) == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_serious_in_the_open_help(browser, axe, dark):
    browser.open(full(), dark=dark)
    browser.press("?")
    assert serious(browser, axe) == []


def test_page_has_landmarks_and_one_main_heading(browser):
    browser.open(full())
    assert browser.run(
        "return ['header', 'nav[aria-label=Contents]', 'main', 'h1'].map("
        "(s) => document.querySelectorAll(s).length)"
    ) == [3, 1, 1, 1]  # the cards have headers, too
    levels = browser.run(
        "return [...document.querySelectorAll('main :is(h1, h2, h3, h4)')].map((e) => +e.tagName[1])"
    )
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_pictures_have_names_and_alternatives(browser):
    browser.open(full())
    for view in ("timeline", "flame", "treemap"):
        frame = browser.run(
            "const f = document.querySelector(`#${arguments[0]} :is(.picture, .chart)`);"
            "return [f.getAttribute('aria-label'), document.getElementById("
            "f.getAttribute('aria-describedby')).textContent]",
            view,
        )
        assert all(frame)
        assert "table" in browser.text(f"#{view} details summary")
