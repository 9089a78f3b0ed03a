"""The HTML report in a browser: it opens, tells the answer, and its views work."""

from __future__ import annotations

import io
import json

import pytest

from memlens.report.html.page import Page, installed_page
from tests.browser.conftest import write_report
from tests.browser.documents import HOSTILE, document, flame, full, suspect, treemap

pytestmark = pytest.mark.browser

FLAME = "#flame canvas"
ROW_PX = 20


def test_report_opens_from_a_file_without_a_request(browser):
    browser.open(full())
    assert browser.text("h1") == "Leak: shop.store._sessions grows by 12.0 MiB an hour."
    messages = [json.loads(entry["message"])["message"] for entry in browser.logs("performance")]
    urls = {
        message["params"]["request"]["url"].partition(":")[0]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    }
    assert urls <= {"file", "data"}


def test_sections_come_in_the_order_of_the_questions(browser):
    browser.open(full())
    ids = browser.run("return [...document.querySelectorAll('main > section')].map((s) => s.id)")
    expected = "verdict timeline suspects flame lines treemap table-types breakdown health about"
    assert ids == expected.split()


def test_report_without_data_has_verdict_and_about_only(browser):
    browser.open(document())
    ids = browser.run("return [...document.querySelectorAll('main > section')].map((s) => s.id)")
    assert ids == ["verdict", "about"]
    assert "Breakdown: it was not taken." in browser.text("#about")


def test_empty_page_is_at_most_150_kilobytes():
    data = json.dumps(document())
    assert len(Page.load(installed_page()).html(data)) <= 150_000


def test_data_of_another_format_is_refused_in_words(chromium):
    path = write_report(document(format=99), chromium.folder / "other.html")
    chromium.driver.get(path.as_uri())
    failure = "const e = document.getElementById('loading'); return e && e.textContent"
    assert "has format 99" in chromium.until(failure)
    assert any("has format 99" in entry["message"] for entry in chromium.logs("browser"))


def test_names_of_user_code_are_shown_as_text(browser):
    browser.open(full(HOSTILE), "#flame?search=img")
    assert browser.text("h1") == f"Leak: {HOSTILE} grows by 12.0 MiB an hour."
    assert browser.run("return document.querySelectorAll('main img, main script').length") == 0
    assert HOSTILE in browser.text("#suspect-leak-1 h3")
    browser.type("#table-types input", "<img")
    assert HOSTILE in browser.text("#table-types tbody")
    browser.run("document.querySelectorAll('details').forEach((d) => { d.open = true })")
    browser.focus("#suspects .path .suspect code")
    assert HOSTILE in browser.until("return document.querySelector('#tooltip strong').textContent")
    assert browser.run("return document.querySelectorAll('img').length") == 0


def test_suspect_hops_stand_out_for_eyes_and_screen_readers(browser):
    browser.open(full())
    assert browser.text("#suspect-leak-1 .path .suspect") == "shop.store._sessionsdict (suspect)"
    plain, marked = browser.run(
        "return ['.root', '.suspect'].map((c) => getComputedStyle("
        "document.querySelector('#suspect-leak-1 .path ' + c + ' code')).backgroundColor)"
    )
    assert plain != marked
    assert browser.text("#suspect-leak-1 .source .allocates") == "allocates, and uses _sessions"


def test_number_explains_itself_on_hover_and_focus(browser):
    browser.open(full())
    browser.focus("#suspect-leak-1 .facts .quantity")
    shown = browser.until("return !tooltip.hidden && tooltip.textContent")
    assert shown.startswith("+12,582,912 bytes")
    assert (
        browser.run("return document.activeElement.getAttribute('aria-describedby')") == "tooltip"
    )
    browser.run("document.activeElement.blur()")
    browser.until("return tooltip.hidden")
    browser.click_at("#verdict .facts .quantity", 4, 4)
    assert "bytes" in browser.until("return !tooltip.hidden && tooltip.textContent")


def test_flame_graph_zooms_by_click_and_goes_back(browser):
    browser.open(full())
    browser.run("window.isSamePage = true")  # "back" must not leave the report
    crumbs = "const crumbs = document.querySelector('#flame .crumbs'); return window.isSamePage && "
    browser.click_at(FLAME, 30, 2.5 * ROW_PX)  # the third row begins with the largest callee
    assert browser.until("return location.hash") == "#flame?zoom=2"
    browser.until(crumbs + "crumbs.textContent.includes('main')")
    browser.run("history.back()")
    browser.until(crumbs + "location.hash === '' && crumbs.hidden")
    browser.run("history.forward()")
    browser.until(crumbs + "location.hash !== '' && !crumbs.hidden")


def test_flame_graph_search_sums_what_matches_once(browser):
    browser.open(full("parse_json"))
    browser.type("#flame input", "parse")
    # The function calls itself: 20 MiB are its own and those of its callees, not 25.
    assert browser.text("#flame .status") == "2 boxes match: 20.0 MiB, 67 % of the total"
    assert browser.link() == "#flame?search=parse"
    browser.type("#flame input", "nothing")
    assert browser.text("#flame .status") == "No function or file contains “nothing”."


def test_flame_graph_changes_its_measure(browser):
    browser.open(full(), "#flame?measure=allocated_count&search=render")
    assert browser.text("#flame .status") == "1 box matches: 80, 89 % of the total"
    assert browser.run("return document.querySelector('#flame select').value") == "allocated_count"
    browser.click_at(FLAME, 30, 2.5 * ROW_PX)
    assert browser.until("return location.hash.includes('zoom') && location.hash").endswith(
        "zoom=3"
    )


def test_flame_graph_has_its_functions_as_a_table(browser):
    browser.open(full("parse_json"))
    browser.click("#flame summary")
    rows = browser.until(
        "const r = [...document.querySelectorAll('#flame tbody tr')].map((row) =>"
        "[...row.cells].map((c) => c.textContent)); return r.length && r"
    )
    assert rows[0] == ["parse_json", "20.0 MiB", "20.0 MiB", "json.py"]


def test_treemap_opens_and_leaves_a_box(browser):
    browser.open(full())
    browser.click_at("#treemap canvas", 10, 8)
    assert browser.until("return location.hash") == "#treemap?node=1"
    assert "20.0 MiB retained" in browser.text("#treemap .facts-line")
    browser.click("#treemap .crumbs button")
    browser.until("return location.hash === '#treemap'")
    assert "30.0 MiB retained" in browser.text("#treemap .facts-line")


def test_treemap_has_its_boxes_as_a_table(browser):
    browser.open(full(), "#treemap?node=1")
    browser.click("#treemap summary")
    rows = "return [...document.querySelectorAll('#treemap tbody tr')].map((r) => r.innerText)"
    assert browser.until(rows) == [
        "[0] dict\t12.0 MiB\t12.0 MiB\t0 B\t1",
        "[1] str\t7.00 MiB\t7.00 MiB\t0 B\t1",
    ]


@pytest.mark.parametrize(
    ("link", "view"),
    [
        ("#suspect-leak-2", "suspect-leak-2"),
        ("#flame?zoom=2", "flame"),
        ("#treemap?node=1", "treemap"),
        ("#table-types?sort=retained&filter=type0", "table-types"),
        ("#health", "health"),
    ],
)
def test_link_opens_its_view(browser, link, view):
    browser.open(full(), link)
    in_sight = "const r = document.getElementById(arguments[0]).getBoundingClientRect();"
    browser.until(in_sight + "return r.top < innerHeight && r.bottom > 0", view)
    assert browser.link() == link


@pytest.mark.parametrize(
    "link", ["#%", "#flame?zoom=-3", "#treemap?node=1e9", "#table-types?sort=x"]
)
def test_link_that_names_nothing_shows_the_report(browser, link):
    browser.open(full(), link)
    assert browser.run("return document.querySelectorAll('main > section').length") == 10


def test_table_sorts_and_filters(browser):
    browser.open(full())
    first = (
        "return [...document.querySelectorAll('#table-types tbody tr')]"
        ".map((r) => r.cells[0].textContent)"
    )
    browser.click("#table-types th[data-key=count] button")
    assert browser.run(first)[0] == "type38"
    browser.click("#table-types th[data-key=count] button")
    assert browser.run(first)[0] == "type00"
    assert browser.link() == "#table-types?sort=count&order=rising"
    browser.type("#table-types input", "type1")
    assert browser.run(first) == [f"type{i}" for i in range(10, 20)]
    assert browser.text("#table-types .status") == "10 of 40 rows"
    sort = "return document.querySelector('#table-types th[data-key=count]').ariaSort"
    assert browser.run(sort) == "ascending"


def test_table_shows_more_rows_when_asked(browser):
    browser.open(full())
    count = "return document.querySelectorAll('#table-types tbody tr').length"
    assert browser.run(count) == 15
    browser.click("#table-types .more-rows button")
    assert browser.run(count) == 40


def test_timeline_series_can_be_hidden(browser):
    browser.open(full())
    lines = "return document.querySelectorAll('#timeline path.line').length"
    assert browser.until(lines) == 2
    browser.click("#timeline .chip")
    assert browser.until(lines) == 1
    assert browser.link() == "#timeline?hide=rss"
    assert browser.run("return document.querySelectorAll('#timeline .limit').length") == 1


def test_timeline_reads_values_under_the_pointer(browser):
    browser.open(full())
    browser.click_at("#timeline .chart", 300, 80)
    shown = browser.until("return !tooltip.hidden && tooltip.textContent")
    assert "after the start" in shown
    assert "Resident memory: " in shown


def test_theme_switch_overrides_the_system(browser):
    ground = "return getComputedStyle(document.body).backgroundColor"
    browser.open(full())
    light = browser.run(ground)
    browser.open(full(), dark=True)
    dark = browser.run(ground)
    assert light != dark
    browser.click(".segments label:nth-of-type(2)")
    assert browser.run(ground) == light


@pytest.mark.parametrize("name", ["shop.store._sessions", "averylongname" * 20, HOSTILE])
def test_phone_has_no_horizontal_scrolling(browser, name):
    browser.open(full(name), width=360)
    browser.run("document.querySelectorAll('details').forEach((d) => { d.open = true })")
    browser.until("return document.querySelectorAll('#flame tbody tr').length > 0")
    widest = browser.run(
        "return [document.documentElement.scrollWidth, ...[...document.querySelectorAll('main > *')]"
        ".filter((e) => e.getBoundingClientRect().right > 360.5).map((e) => e.id)]"
    )
    assert widest == [360]


def test_print_has_all_sections_and_no_controls(browser):
    from pypdf import PdfReader

    terms = {"retained": "Bytes that would become free."}
    browser.open(full() | {"glossary": terms}, dark=True)
    text = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(browser.pdf())).pages)
    words = " ".join(text.split())
    headings = browser.run(
        "return [...document.querySelectorAll('main h2')].map((e) => e.textContent)"
    )
    assert len(headings) == 9
    for heading in headings:
        assert heading in words
    for closed_on_the_screen in ("four", "Bytes that would become free", "With callees"):
        assert closed_on_the_screen in words
    assert "Keys ?" not in words
    assert browser.run("return document.querySelectorAll('details[open]').length") == 0


def test_line_that_keeps_comes_first_and_the_advice_leads_to_it(browser):
    card = suspect("shop.store._sessions", "leak-1")
    keeps = card["source"][0] | {"shows": "keeps", "file": "/srv/keep.py", "function": "S.remember"}
    card["advice"] = "Bound it. Look at the code that uses it: S.remember (/srv/keep.py:3)."
    card["source"] = [keeps, *card["source"]]
    browser.open(full() | {"suspects": [card]})
    marks = browser.run(
        "return [...document.querySelectorAll('#suspects .allocates')].map((e) => e.textContent)"
    )
    assert marks == ["keeps it here", "allocates, and uses _sessions"]
    assert browser.text("#verdict .change p").endswith("uses it: S.remember (keep.py:12).")
    browser.click("#verdict .change p a")
    assert browser.link() == "#suspect-leak-1-use-1"
    assert "keep.py" in browser.text("#suspect-leak-1-use-1 figcaption")


def test_site_names_the_program_before_the_library_that_allocates(browser):
    card = suspect("shop.store._sessions", "leak-1")
    encoder = {"function": "encode", "file": "/usr/lib/python3.11/json/encoder.py", "line": 200}
    card["sites"][0]["frames"] = [encoder, *card["sites"][0]["frames"]]
    browser.open(full() | {"suspects": [card]})
    assert browser.text("#suspects .site").startswith(
        "shop.store._sessions shop.store._sessions.py:12"
    )
    assert browser.text("#suspects .inner-calls") == "inside encode encoder.py:200"
    places = browser.text("#verdict .change p:nth-of-type(2)")
    assert places.startswith(
        "Allocated at shop.store._sessions.py:12 in shop.store._sessions, called"
    )
    assert places.endswith("(inside it in encode)")


def test_phone_shows_names_and_sizes_without_scrolling_in_a_table(browser):
    columns = [("n", "count"), ("type", "text"), ("path", "text"), ("shallow", "bytes")]
    one = {
        "key": "types",
        "label": "Types",
        "help": "",
        "columns": [{"key": k, "label": k, "unit": unit, "help": ""} for k, unit in columns],
        "rows": [[12, "dict", "shop.store", 2048]],
        "omitted": None,
    }
    browser.open(full() | {"tables": [one]}, width=360)
    heads = "return [...document.querySelectorAll('#table-types th')].map((e) => e.textContent)"
    assert browser.run(heads) == ["path", "shallow", "n", "type"]
    assert browser.text("#table-types tbody tr") == "shop.store2.00 KiB12dict"
    assert browser.text("#table-types .scroll-hint") == "Scroll sideways for: type →"
    end = "return document.querySelector('#table-types th:nth-child(2)').getBoundingClientRect().right"
    assert browser.run(end) <= 344
    browser.open(full() | {"tables": [one]})
    assert browser.run(heads) == ["n", "type", "path", "shallow"]


def test_phone_stacks_the_breakdown_and_the_lines(browser):
    browser.open(full(), width=360)
    above = (
        "const [a, b] = [...arguments].map((s) => document.querySelector(s).getBoundingClientRect());"
        "return a.bottom <= b.top && b.width > 250"
    )
    assert browser.run(above, "#breakdown tbody th", "#breakdown tbody .what")
    assert browser.run(above, "#lines tbody th", "#lines tbody td:last-child")


def test_table_tells_the_full_name_of_a_short_one(browser):
    one = full()["tables"][0]
    one |= {"rows": one["rows"][:2], "full": ["/srv/long/first.py:1", "/srv/long/second.py:2"]}
    browser.open(full() | {"tables": [one]})
    browser.focus("#table-types tbody tr:nth-child(2) td")
    shown = browser.until("return document.querySelector('#tooltip').textContent")
    assert shown == "/srv/long/second.py:2"


def test_lines_of_a_function_under_one_caller_are_told_apart(browser):
    graph = flame()
    graph["name"][3], graph["file"][3] = graph["name"][2], graph["file"][2]
    browser.open(full() | {"flames": [graph]}, "#flame?zoom=3")
    assert browser.text("#flame .crumbs").endswith("parse_json :20")
    browser.open(full() | {"flames": [flame()]}, "#flame?zoom=3")
    assert browser.text("#flame .crumbs").endswith("render")


def test_treemap_says_once_why_keys_are_not_shown(browser):
    picture = treemap()
    text = "return document.querySelector('#treemap').textContent.split('values=True').length - 1"
    picture["parent"][3] = 2
    browser.open(full() | {"treemap": picture}, "#treemap?node=1")
    assert browser.run(text) == 0
    assert "1 box inside" in browser.text("#treemap .facts-line")
    picture["names"][1] = "[<str>]   dict"
    browser.open(full() | {"treemap": picture})
    assert browser.run(text) == 1


def test_treemap_shows_many_small_objects_as_one_box(browser):
    count = 20_000
    picture = treemap() | {
        "total_bytes": 1000 * count,
        "parent": [-1, 0, *[1] * count],
        "name": [0, 1, *[2] * count],
        "type": [0, 1, *[2] * count],
        "count": [1] * (count + 2),
        "retained": [1000 * count, 1000 * count, *[1000] * count],
        "shallow": [0, 0, *[1000] * count],
        "native": [0] * (count + 2),
        "path": [-1] * (count + 2),
    }
    browser.open(full() | {"treemap": picture})
    browser.run("document.querySelector('#treemap canvas').scrollIntoView({block: 'center'})")
    x, y = browser.run(
        "const r = document.querySelector('#treemap canvas').getBoundingClientRect();"
        "return [r.left + r.width / 2, r.top + r.height / 2]"
    )
    browser.command("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    shown = browser.until("return document.querySelector('#tooltip').textContent")
    assert shown == "20,000 small objects19.1 MiB togetherinside shop.store"
