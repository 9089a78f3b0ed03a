"""Which format an answer has."""

from __future__ import annotations

import pytest

from memlens.integrations.web.requests import HTML, JSON, TEXT, Request, RequestError, choose_format

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def chosen(accept=None, query="", formats=(TEXT, HTML, JSON)):
    headers = {} if accept is None else {"accept": accept}
    return choose_format(Request("GET", "/it", query=query, headers=headers), formats).name


@pytest.mark.parametrize(
    ("accept", "name"),
    [
        (None, "text"),
        ("", "text"),
        ("*/*", "text"),
        (BROWSER, "html"),
        ("application/json", "json"),
        ("application/*", "json"),
        ("APPLICATION/JSON; charset=utf-8", "json"),
        ("text/html;q=0.5, application/json", "json"),
        ("text/plain;q=0, */*", "html"),
        ("text/html;q=nonsense, application/json;q=0.1", "json"),
    ],
)
def test_accept_chooses(accept, name):
    assert chosen(accept) == name


def test_the_query_goes_before_accept():
    assert chosen(BROWSER, "format=json") == "json"


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("format=xml", "use one of text, html, json"),
        ("format=", "use one of text, html, json"),
        ("values=1", "The only parameter is format"),
        ("token=correct-horse-battery", "addresses are logged"),
    ],
)
def test_other_parameters_are_refused_and_not_repeated(query, why):
    with pytest.raises(RequestError, match=why) as raised:
        chosen(query=query)
    assert raised.value.status == 400
    assert "correct" not in str(raised.value)


def test_an_accept_that_allows_nothing_is_refused():
    with pytest.raises(RequestError) as raised:
        chosen("image/png")
    assert raised.value.status == 406
