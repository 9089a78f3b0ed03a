"""The HTML report of a fleet in a browser: sort, filter and link, in both themes and on a phone."""

from __future__ import annotations

import os

import pytest

from memlens.report.html.fleet_page import fleet_html
from tests.browser.test_accessibility import axe, serious  # noqa: F401  axe is a fixture
from tests.report.test_fleet_page import HOSTILE, leak, services

pytestmark = pytest.mark.browser
FIRST = "#table-new-leaks tbody tr td:nth-child(2)"


def show(browser, rows, link="", *, dark=False, width=1280):
    scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    browser.command("Emulation.setEmulatedMedia", media="", features=scheme)
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.command("Emulation.setDeviceMetricsOverride", **size)
    browser.pages += 1
    path = browser.folder / f"fleet-{browser.pages}.html"
    path.write_bytes(fleet_html(title="/tables", services=services(rows)))
    browser.logs("browser")
    browser.driver.get(path.as_uri() + link)
    browser.until("return performance.getEntriesByName('memlens-ready').length === 1")


def holders(browser):
    script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)"
    return browser.run(script, FIRST)


ROWS = [leak(f"app.cache_{i}", i, growth=1024.0 * (i + 1)) for i in range(8)]


def test_headline_and_cards_come_first(browser):
    show(browser, ROWS)
    ids = browser.run("return [...document.querySelectorAll('main > section')].map((s) => s.id)")
    assert ids == ["verdict", "leaks", "table-new-leaks", "about"]
    assert browser.text("h1") == "app.cache_0 leaks."
    assert "In 4 of 80 hosts (5.0 %)" in browser.text("#leaks-1")
    assert "2027-01-15 08:00 UTC" in browser.text("#leaks-1")
    assert "+1.00 KiB/h" in browser.text("#leaks-1")


def test_table_sorts_and_filters(browser):
    show(browser, ROWS)
    browser.click("#table-new-leaks [data-key=growth_bytes_per_hour] button")
    assert holders(browser)[0] == "app.cache_7"
    browser.type("#table-new-leaks input", "cache_3")
    assert holders(browser) == ["app.cache_3"]


def test_link_opens_the_filtered_table(browser):
    show(browser, ROWS, "#table-new-leaks?filter=leak-5")
    assert holders(browser) == ["app.cache_5"]


def test_hostile_names_are_text(browser):
    show(browser, [leak(HOSTILE)])
    assert browser.run("return document.querySelectorAll('main img').length") == 0
    assert "</script><img" in browser.text("#leaks-1 h3")


@pytest.mark.parametrize("rows", [ROWS, []], ids=["leaks", "none"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360], ids=["desktop", "phone"])
@pytest.mark.skipif("AXE_CORE" not in os.environ, reason="AXE_CORE is not set")
def test_axe_finds_nothing_serious(browser, axe, dark, width, rows):  # noqa: F811
    show(browser, rows, dark=dark, width=width)
    assert serious(browser, axe) == []
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
