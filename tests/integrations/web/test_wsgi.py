"""What only WSGI has: `close`, and another application below it."""

from __future__ import annotations

import gc
import os
import sys
import tempfile

import pytest

from memlens.integrations.web.guard import Turn
from memlens.integrations.web.wsgi import WSGIEndpoints
from tests.integrations.web.clients import BEARER, WSGIClient
from tests.integrations.web.conftest import CONTENT


@pytest.fixture
def client(controlled):
    return WSGIClient(turn=Turn())


def raw_body(client):
    """Return the iterable that the server gets, without the validator."""
    return client.app(client.environ("/it"), lambda *_: None)


def open_files():
    """Return the files of answers that this process has open; none where there is no /proc."""
    if sys.platform != "linux":
        return []
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:
            continue
    return [path for path in found if "memlens-web" in path]


def test_a_client_that_leaves_in_the_middle_frees_the_file_and_the_turn(client):
    body = raw_body(client)
    parts = iter(body)
    assert next(parts)
    assert client.get("/it").status == 409
    assert len(open_files()) == (sys.platform == "linux")
    assert os.listdir(tempfile.gettempdir()) == []  # it has no name any more
    body.close()
    assert open_files() == []
    assert client.get("/it").status == 200


def test_a_server_that_forgets_to_close_frees_both_all_the_same(client):
    body = raw_body(client)
    assert client.get("/it").status == 409
    del body
    gc.collect()
    assert client.get("/it").status == 200


def test_the_turn_is_free_before_the_last_part_is_sent(client):
    body = raw_body(client)
    received = b""
    for part in body:
        received += part
        assert client.get("/it").status == (200 if len(received) == len(CONTENT) else 409)
    assert received == CONTENT


def test_a_client_that_takes_too_long_is_cut_off(client, monkeypatch):
    parts = iter(raw_body(client))
    with monkeypatch.context() as patched:
        patched.setattr("memlens.integrations.web.wsgi.MAX_SECONDS", -1.0)
        next(parts)
        with pytest.raises(TimeoutError):
            next(parts)
    assert client.get("/it").status == 200


def test_a_server_that_cannot_start_the_answer_leaves_nothing(client, controlled):
    def start_response(status, headers):
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        client.app(client.environ("/it"), start_response)
    assert open_files() == []
    assert client.get("/it").status == 200


def inner(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"inner {environ['SCRIPT_NAME']}|{environ['PATH_INFO']}".encode()]


@pytest.mark.parametrize("path", ["/", "/debugger", "/debug-it", "/it"])
def test_other_paths_go_to_the_other_application(client, path):
    outer = WSGIClient(client.endpoints, app=inner)
    assert outer.get(path, headers={}).text == f"inner |{path}"


def test_below_the_prefix_the_endpoints_answer(client):
    outer = WSGIClient(client.endpoints, app=inner)
    assert outer.get("/debug/it").content == CONTENT
    assert outer.get("/debug/it", headers={}).status == 401
    assert outer.get("/debug/other").status == 404
    links = outer.get("/debug/", prefix="/outer", headers={**BEARER, "Accept": "text/plain"}).text
    assert links.startswith("/outer/debug/it?format=text")


def test_the_prefix_can_be_chosen(client):
    outer = WSGIClient(client.endpoints)
    outer.app = WSGIEndpoints(client.endpoints, inner, "/internal/memory/")
    assert outer.get("/internal/memory/it").content == CONTENT
    assert outer.get("/debug/it").text == "inner |/debug/it"
