"""HttpPoster against a local receiver: slow, dead and hostile ones, redirects, proxies."""

from __future__ import annotations

import email.utils
import threading
import time

import pytest

from memlens.errors import OptionError
from memlens.integrations.sending import http_post
from memlens.integrations.sending.http_post import (
    HttpPoster,
    PostError,
    check_headers,
    check_url,
    shown_url,
)
from tests.integrations.receiver import Receiver, dead_url

LONG_SECONDS = 60.0


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def receiver():
    with Receiver() as started:
        yield started


def test_sends_the_body_and_returns_the_answer(receiver):
    receiver.answers = [(202, {"Retry-After": "7"}, b"thanks")]
    answer = HttpPoster(LONG_SECONDS).post(f"{receiver.url}/x?y=1", b"\x00body", {"X-Token": "t"})
    assert answer == (202, 7.0, b"thanks")
    request = receiver.next()
    assert request.path == "/x?y=1"
    assert request.body == b"\x00body"
    assert request.headers["x-token"] == "t"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(receiver, status):
    with Receiver() as other:
        receiver.answers = [(status, {"Location": f"{other.url}/stolen"}, b"")]
        answer = HttpPoster(LONG_SECONDS).post(receiver.url, b"x", {"Authorization": "secret"})
        assert answer.status == status
        assert other.received.empty()


def test_every_status_is_an_answer(receiver):
    receiver.answers = [(status, {}, b"why") for status in (400, 404, 429, 500, 503)]
    poster = HttpPoster(LONG_SECONDS)
    found = [poster.post(receiver.url, b"x", {}).status for _ in range(5)]
    assert found == [400, 404, 429, 500, 503]


@pytest.mark.parametrize("answer", ["hang", "trickle"])
def test_a_slow_receiver_does_not_hold_the_sender(receiver, answer):
    receiver.answers = [answer]
    with pytest.raises(PostError):
        HttpPoster(0.2).post(receiver.url, b"x", {})


def test_a_connection_that_is_closed_without_an_answer_is_an_error(receiver):
    receiver.answers = ["close"]
    with pytest.raises(PostError):
        HttpPoster(LONG_SECONDS).post(receiver.url, b"x", {})


def test_a_receiver_that_is_not_there_is_an_error():
    with pytest.raises(PostError, match="refused"):
        HttpPoster(LONG_SECONDS).post(dead_url(), b"x", {})


def test_a_request_can_be_ended_from_another_thread(receiver):
    receiver.answers = ["hang"]
    poster = HttpPoster(LONG_SECONDS)
    errors = []

    def post():
        try:
            poster.post(receiver.url, b"x", {})
        except PostError as error:
            errors.append(error)

    thread = threading.Thread(target=post)
    thread.start()
    receiver.next()
    poster.abort()
    thread.join()
    assert errors


def test_an_answer_that_is_too_large_is_not_kept(receiver, monkeypatch):
    monkeypatch.setattr(http_post, "MAX_ANSWER_BYTES", 1000)
    receiver.answers = [(200, {}, b"x" * 1001), (200, {}, b"x" * 1000)]
    poster = HttpPoster(LONG_SECONDS)
    assert poster.post(receiver.url, b"x", {}).body == b""
    assert len(poster.post(receiver.url, b"x", {}).body) == 1000


def test_tls_to_a_receiver_without_it_is_an_error(receiver):
    with pytest.raises(PostError):
        HttpPoster(LONG_SECONDS).post(receiver.url.replace("http:", "https:"), b"x", {})


def test_the_proxy_of_the_environment_is_used(receiver, monkeypatch):
    monkeypatch.setenv("http_proxy", receiver.url)
    assert HttpPoster(LONG_SECONDS).post("http://collector.test/p", b"x", {}).status == 200
    assert receiver.next().path == "http://collector.test/p"


def test_tls_goes_through_the_proxy_as_a_tunnel(receiver, monkeypatch):
    monkeypatch.setenv("https_proxy", receiver.url)
    with pytest.raises(PostError, match="403"):
        HttpPoster(LONG_SECONDS).post("https://collector.test/p", b"x", {})
    assert receiver.next().path == "collector.test:443"


def test_no_proxy_names_hosts_that_are_reached_directly(receiver, monkeypatch):
    monkeypatch.setenv("http_proxy", dead_url())
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert HttpPoster(LONG_SECONDS).post(f"{receiver.url}/p", b"x", {}).status == 200


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("120", 120.0),
        ("soon", None),
        ("-5", None),
        (email.utils.formatdate(1000.0 + 90, usegmt=True), 90.0),
        (email.utils.formatdate(10.0, usegmt=True), 0.0),
    ],
)
def test_retry_after_is_a_number_or_a_date(value, seconds):
    assert http_post._retry_after(value, lambda: 1000.0) == seconds


def test_the_date_of_retry_after_is_compared_with_the_wall_clock(receiver):
    soon = email.utils.formatdate(time.time() + 3000, usegmt=True)
    receiver.answers = [(503, {"Retry-After": soon}, b"")]
    answer = HttpPoster(LONG_SECONDS).post(receiver.url, b"x", {})
    assert 2000 < answer.retry_after_seconds <= 3000


@pytest.mark.parametrize(
    "url",
    [
        "collector:4318",
        "ftp://collector",
        "file:///etc/passwd",
        "http://",
        "http://host:port",
        "http://host/a b",
        "http://host/\r\nX: y",
        "http://user:secret@host",
        None,
        5,
    ],
)
def test_urls_that_are_not_of_http_are_refused(url):
    with pytest.raises(OptionError) as refusal:
        check_url("url", url)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "b\r\nX-C: d"},
        {"X A": "b"},
        {"X-A\n": "b"},
        {"": "b"},
        {"X-A": 5},
        {5: "b"},
        {"X-A": "世"},
        ["X-A"],
    ],
)
def test_headers_that_http_does_not_allow_are_refused(headers):
    with pytest.raises(OptionError):
        check_headers(headers)


def test_the_value_of_a_wrong_header_is_not_shown():
    with pytest.raises(OptionError) as refusal:
        check_headers({"Authorization": "Bearer secret\n"})
    assert "secret" not in str(refusal.value)


def test_valid_headers_are_kept():
    assert check_headers({"X-Scope-OrgID": "a b"}) == {"X-Scope-OrgID": "a b"}
    assert check_headers(None) == {}


def test_messages_show_no_query():
    assert shown_url("http://host:1/p?token=secret#x") == "http://host:1/p"


def test_certificates_that_cannot_be_read_are_refused(tmp_path):
    with pytest.raises(OptionError, match="certificates"):
        HttpPoster(1.0, str(tmp_path / "missing.pem"))
