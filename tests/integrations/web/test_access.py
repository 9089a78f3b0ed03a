"""Who may use the endpoints."""

from __future__ import annotations

import base64

import pytest

from memlens.errors import OptionError
from memlens.integrations.web import asgi_app, wsgi_app
from memlens.integrations.web.access import Access
from memlens.integrations.web.requests import Request, RequestError
from tests.integrations.web.clients import BEARER, TOKEN

BOTH = pytest.mark.parametrize("mount", [asgi_app, wsgi_app])


def basic(text):
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


def status_of(headers, token=TOKEN):
    try:
        Access(token).check(Request("GET", "/memory", headers=headers))
    except RequestError as error:
        return error.status
    return 200


@BOTH
def test_without_a_token_nothing_is_mounted_and_the_error_says_why(mount, monkeypatch):
    monkeypatch.delenv("MEMLENS_TOKEN", raising=False)
    with pytest.raises(OptionError, match=r"need a token, because .*set MEMLENS_TOKEN"):
        mount()


@BOTH
def test_the_token_of_the_environment_is_used(mount, monkeypatch):
    monkeypatch.setenv("MEMLENS_TOKEN", TOKEN)
    mount()
    assert status_of({"authorization": f"Bearer {TOKEN}"}, token=None) == 200


def test_an_empty_argument_does_not_fall_back_to_the_environment(monkeypatch):
    monkeypatch.setenv("MEMLENS_TOKEN", TOKEN)
    with pytest.raises(OptionError, match="need a token"):
        Access("")


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("short-token-123", "token can be guessed: use 16 characters"),
        ("aaaaaaaaaaaaaaaaaaaaaaaa", "token can be guessed"),
        ("changemechangeme", "token can be guessed"),
        ("with spaces in the middle of it", "printable ASCII"),
        ("trailing-line-end-1234\n", "printable ASCII"),
        ("schlüssel-schlüssel-123", "printable ASCII"),
        (b"bytes-of-a-token-1234567", "must be a string, not a bytes"),
    ],
)
def test_a_token_that_can_be_guessed_or_sent_wrongly_is_refused(token, why):
    with pytest.raises(OptionError, match=why) as raised:
        Access(token)
    assert str(token) not in str(raised.value)


def test_a_short_token_of_the_environment_is_refused_under_its_name(monkeypatch):
    monkeypatch.setenv("MEMLENS_TOKEN", "secret")
    with pytest.raises(OptionError, match=r"^MEMLENS_TOKEN can be guessed"):
        Access(None)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": f"Bearer {TOKEN}"}, 200),
        ({"authorization": f"bearer  {TOKEN} "}, 200),
        (basic(f"anybody:{TOKEN}"), 200),
        (basic(f":{TOKEN}"), 200),
        ({}, 401),
        ({"authorization": ""}, 401),
        ({"authorization": "Bearer"}, 401),
        ({"authorization": "Bearer "}, 401),
        ({"authorization": TOKEN}, 401),
        ({"authorization": f"Bearer {TOKEN}x"}, 401),
        ({"authorization": f"Bearer {TOKEN[:-1]}"}, 401),
        ({"authorization": "Bearer \udcff\xff"}, 401),
        ({"authorization": f"Digest {TOKEN}"}, 401),
        ({"authorization": "Basic !!!"}, 401),
        ({"authorization": "Basic /w=="}, 401),
        (basic(TOKEN), 401),
        (basic(f"{TOKEN}:"), 401),
        (basic(f"user:{TOKEN}:"), 401),
    ],
)
def test_only_the_token_opens(headers, status):
    assert status_of(headers) == status


@pytest.mark.parametrize(
    ("site", "status"),
    [("none", 200), ("same-origin", 200), ("same-site", 403), ("cross-site", 403)],
)
def test_a_browser_does_not_send_the_password_for_another_site(site, status):
    assert status_of({"authorization": f"Bearer {TOKEN}", "sec-fetch-site": site}) == status


def test_the_comparison_takes_the_same_time_for_all_tokens(monkeypatch):
    import hmac

    compared = []
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append((a, b)) or False)
    assert status_of({"authorization": "Bearer x"}) == 401
    ((given, own),) = compared
    assert len(given) == len(own) == 32
    assert TOKEN.encode() not in own


def test_neither_the_application_nor_the_request_shows_the_token():
    shown = repr(vars(Access(TOKEN))) + repr(Request("GET", "/memory", headers=BEARER))
    assert TOKEN not in shown
