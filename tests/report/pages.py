"""A front end for tests: as small as the rules of the real one allow."""

from __future__ import annotations

import pytest

TEMPLATE = (
    "<!doctype html><html><head><!--memlens:csp--><!--memlens:style--></head>"
    "<body><!--memlens:data--><!--memlens:script--></body></html>"
)


@pytest.fixture
def page(tmp_path):
    """The folder of a front end of two modules."""
    folder = tmp_path / "page"
    folder.mkdir()
    (folder / "report.html").write_text(TEMPLATE)
    (folder / "report.css").write_text("body { color: black }\n")
    (folder / "data.js").write_text(
        "export const data = JSON.parse(document.getElementById('memlens-data').textContent);\n"
    )
    (folder / "main.js").write_text(
        'import { data } from "./data.js";\ndocument.title = data.title;\n'
    )
    return folder


@pytest.fixture
def installed_page(page, monkeypatch):
    """The same, in the place of the front end that is installed."""
    from memlens.report.html import html_report

    monkeypatch.setattr(html_report, "installed_page", lambda: page)
    return page
