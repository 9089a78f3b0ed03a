"""The page: modules joined to one script, and everything in one file."""

from __future__ import annotations

import pytest

from memlens.errors import OutputError
from memlens.report.html.html_report import HtmlReport
from memlens.report.html.page import Page, bundle, installed_page
from tests.report.html_files import read_report


def test_modules_come_after_those_that_they_import():
    modules = {
        "a.js": 'import { b } from "./b.js";\nimport {\n  c,\n  d,\n} from "./c.js";\nuse(b, c, d);\n',
        "b.js": "import './c.js'\nexport function b() {}\n",
        "c.js": "export const c = 1;\nexport class d {}\nconst e = 2;\n",
    }
    assert bundle(modules) == (
        "\nconst c = 1;\nclass d {}\nconst e = 2;\nfunction b() {}\nuse(b, c, d);\n"
    )


def test_lines_that_are_comment_only_are_left_out():
    text = (
        "/**\n * @param {import('./types').Unit} unit // and so on\n */\nexport function f(unit) {\n"
        "  // nothing\n  return '// no comment'; /** @type {import('./x').Y} */\n}\n"
    )
    assert bundle({"f.js": text}) == (
        "\nfunction f(unit) {\n  return '// no comment'; /** @type {import('./x').Y} */\n}\n"
    )


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ({"a.js": 'import { b } from "./b.js";'}, "a.js imports b.js, which does not exist"),
        (
            {"a.js": 'import { b } from "./b.js";', "b.js": "const b = 1;"},
            "a.js imports b of b.js, which does not export it",
        ),
        (
            {"a.js": 'import { x as b } from "./b.js";', "b.js": "export const x = 1;"},
            "does not export it",
        ),
        (
            {"a.js": 'import "./b.js";', "b.js": 'import "./a.js";'},
            "these modules import each other: a.js, b.js",
        ),
        (
            {"a.js": "const same = 1;", "b.js": "export function same() {}"},
            "same is defined twice, in a.js and b.js",
        ),
        ({"a.js": "export default 1;"}, "a.js: this import or export cannot be joined: export"),
        ({"a.js": "const a = 1;\nexport { a };"}, "cannot be joined"),
        ({"a.js": 'import * as b from "./b.js";', "b.js": ""}, "cannot be joined"),
        ({"a.js": 'f(await import("./b.js"));'}, "cannot be joined"),
        ({"a.js": 'import x from "https://cdn.example/x.js";'}, "cannot be joined"),
        ({"a.js": 'const a = "</SCRIPT>";'}, "must not contain </script"),
        ({"a.js": 'const a = "<!--";'}, "must not contain </script or <!--"),
    ],
)
def test_what_cannot_be_joined_is_refused(modules, message):
    with pytest.raises(OutputError, match="(?s)" + ".*".join(message.split(" cannot be joined: "))):
        bundle(modules)


def test_the_file_has_everything_and_a_policy_that_allows_nothing_else(page, tmp_path):
    path = tmp_path / "report.html"
    size = HtmlReport().write(path, page)
    assert size == path.stat().st_size
    parsed = read_report(path)
    assert parsed.data["verdict"]["state"] == "none"
    assert "const data = JSON.parse" in parsed.script
    assert "import" not in parsed.script


def test_a_front_end_that_is_not_complete_is_an_error_and_leaves_no_file(page, tmp_path):
    (page / "report.css").unlink()
    with pytest.raises(OutputError, match=r"report\.css is missing; install memlens again"):
        HtmlReport().write(tmp_path / "report.html", page)
    assert not (tmp_path / "report.html").exists()
    with pytest.raises(OutputError, match=r"report\.html is missing"):
        HtmlReport().write(tmp_path / "report.html", tmp_path / "nothing")


@pytest.mark.parametrize("place", ["style", "script", "data", "csp"])
def test_a_template_without_a_place_is_refused(page, place):
    template = (page / "report.html").read_text()
    (page / "report.html").write_text(template.replace(f"<!--memlens:{place}-->", ""))
    with pytest.raises(OutputError, match=f"must contain <!--memlens:{place}--> once"):
        Page.load(page)


def test_a_style_that_would_end_itself_is_refused(page):
    (page / "report.css").write_text("a { content: '</style>' }")
    with pytest.raises(OutputError, match=r"report\.css must not contain"):
        Page.load(page)


def test_data_that_is_not_escaped_is_refused(page):
    with pytest.raises(ValueError, match="escaped"):
        Page.load(page).html('{"a": "<"}')


def test_the_installed_front_end_can_be_joined_and_is_small(tmp_path):
    if not installed_page().is_dir():
        pytest.skip("the front end is not in this tree")
    path = tmp_path / "report.html"
    assert HtmlReport().write(path) <= 150_000
    read_report(path)
