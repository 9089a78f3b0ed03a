"""Both applications: routes, errors, limits, streams, and what is left behind."""

from __future__ import annotations

import os
import re
import tempfile
import threading

import pytest

from memlens.errors import CaptureError, OptionError
from memlens.integrations.web import asgi_app, wsgi_app
from memlens.integrations.web.endpoints import Endpoints
from memlens.integrations.web.guard import Turn
from memlens.integrations.web.requests import Request, RequestError
from tests.integrations.web.clients import BEARER, TOKEN
from tests.integrations.web.conftest import CONTENT

JSON = {**BEARER, "Accept": "application/json"}
HTML = {**BEARER, "Accept": "text/html"}


def in_temporary_folder():
    return os.listdir(tempfile.gettempdir())


def test_an_answer_is_streamed_and_leaves_no_file(client_of, controlled):
    answer = client_of().get("/it")
    assert (answer.status, answer.content) == (200, CONTENT)
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert in_temporary_folder() == []


def test_every_answer_has_the_headers_of_security(client_of, controlled):
    client = client_of()
    answers = [client.get("/it"), client.get("/it", headers={}), client.get("/other")]
    answers += [client.get("/"), client.get("/it", method="POST"), client.get("/it", method="HEAD")]
    assert [answer.status for answer in answers] == [200, 401, 404, 200, 405, 200]
    for answer in answers:
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


def test_without_the_token_no_work_is_done_and_nothing_is_told(client_of, controlled):
    client = client_of()
    for path in ("/it", "/other", "/"):
        answer = client.get(path, headers={})
        assert answer.status == 401
        assert "Basic" in (
            answer.headers.get("WWW-Authenticate") or answer.headers["Www-Authenticate"]
        )
        assert "/it" not in answer.text
    assert controlled.calls == 0


def test_errors_are_json_where_that_was_asked_for(client_of, controlled):
    client = client_of()
    assert client.get("/other", headers=JSON).json["status"] == 404
    assert client.get("/it", query="format=xml", headers=JSON).json["status"] == 400
    text = client.get("/other").text
    assert text == "404 Not Found\nThere is no such endpoint: /it.\n"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_another_method_is_refused(client_of, controlled, method):
    answer = client_of().get("/it", method=method)
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD"
    assert controlled.calls == 0


def test_head_does_no_work_and_is_not_counted(client_of, controlled):
    client = client_of(max_per_minute=1)
    for _ in range(3):
        answer = client.get("/it", method="HEAD")
        assert (answer.status, answer.content) == (200, b"")
        assert "Content-Length" not in answer.headers
    assert client.get("/other", method="HEAD").content == b""
    assert controlled.calls == 0
    assert client.get("/it").status == 200


def test_a_second_answer_at_the_same_time_is_refused(client_of, controlled):
    client = client_of(turn=Turn())
    controlled.may_go_on.clear()
    first = []
    thread = threading.Thread(target=lambda: first.append(client.get("/it")))
    thread.start()
    assert controlled.started.wait(60)
    second = client.get("/it")
    controlled.may_go_on.set()
    thread.join()
    assert (second.status, second.headers["Retry-After"]) == (409, "5")
    assert first[0].status == 200
    assert client.get("/it").status == 200


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_neither_stops_the_work_of_its_parent_nor_frees_its_turn(controlled):
    endpoints = Endpoints(token=TOKEN, turn=Turn())
    headers = {"authorization": f"Bearer {TOKEN}"}
    work = endpoints.admit(Request("GET", "/it", headers=headers))
    stopped = []
    with work._stopper.stopped_by(lambda: stopped.append(1)):
        pid = os.fork()
        if pid == 0:
            work.close()
            os._exit(len(stopped))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert endpoints.admit(Request("GET", "/it", headers=headers)).status == 409
    work.close()


def test_both_applications_share_the_turn(controlled):
    assert Endpoints(token=TOKEN)._turn is Endpoints(token=TOKEN)._turn


def test_too_many_requests_are_refused_until_a_minute_has_passed(client_of, controlled):
    now = [0.0]
    client = client_of(max_per_minute=2, clock=lambda: now[0])
    assert [client.get("/it").status for _ in range(2)] == [200, 200]
    refused = client.get("/it")
    assert (refused.status, refused.headers["Retry-After"]) == (429, "60")
    assert client.get("/it", headers={}).status == 401  # others do not use the limit up
    now[0] = 60.0
    assert client.get("/it").status == 200
    assert controlled.calls == 3


@pytest.mark.parametrize(
    "error",
    [CaptureError("/secret/path"), MemoryError(), OSError("/secret/path"), KeyError("/secret")],
)
def test_a_failure_is_told_without_internals_and_logged(client_of, controlled, error, caplog):
    client = client_of()
    controlled.error = error
    answer = client.get("/it", headers=JSON)
    assert answer.status == 500
    assert "secret" not in answer.text
    (record,) = [one for one in caplog.records if one.levelname in ("WARNING", "ERROR")]
    assert record.name == "memlens.web"
    assert "/it cannot be answered" in record.getMessage()
    assert in_temporary_folder() == []
    controlled.error = None
    assert client.get("/it").status == 200  # the turn was given back


def test_what_is_missing_is_told(client_of, controlled):
    controlled.error = RequestError(503, "There is no MemoryProfiler here.")
    answer = client_of().get("/it", headers=JSON)
    assert answer.json == {"status": 503, "error": "There is no MemoryProfiler here."}


def test_a_page_keeps_the_policy_that_names_its_script(client_of, controlled):
    policy = "default-src 'none'; script-src 'sha256-abc='"
    controlled.content = (
        f'<!DOCTYPE html><meta http-equiv="Content-Security-Policy" content="{policy}">'.encode()
    )
    answer = client_of().get("/it", headers=HTML)
    assert answer.headers["Content-Security-Policy"] == f"{policy}; frame-ancestors 'none'"
    assert answer.content == controlled.content


def test_a_page_without_a_policy_is_not_shown(client_of, controlled, caplog):
    controlled.content = b"<!DOCTYPE html><script>run()</script>"
    answer = client_of().get("/it", headers=HTML)
    assert (answer.status, b"script" in answer.content) == (500, False)
    assert "no Content-Security-Policy" in caplog.text
    assert in_temporary_folder() == []


@pytest.mark.parametrize("prefix", ["", "/debug", "/outer/debug", "//evil.example"])
def test_links_stay_below_the_mount(client_of, controlled, prefix):
    answer = client_of().get("/", prefix=prefix, headers=HTML)
    links = re.findall(r'href="([^"]*)"', answer.text)
    inner = "/" + prefix.strip("/") if prefix.strip("/") else ""
    assert links == [f"{inner}/it?format={name}" for name in ("text", "json", "html")]


def test_the_path_of_a_mount_is_escaped(client_of, controlled):
    text = client_of().get("/", prefix='/"><b>', headers=HTML).text
    assert "<b>" not in text
    assert '/%22%3E%3Cb%3E/it?format=text"' in text


def test_a_slash_at_the_end_changes_nothing(client_of, controlled):
    assert client_of().get("/it/").status == 200


@pytest.mark.parametrize("mount", [asgi_app, wsgi_app])
@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"profiler": "profiles"}, "profiler must be a MemoryProfiler"),
        ({"values": 1}, "values must be True or False"),
        ({"names": "none"}, "names must be one of"),
        ({"values": True, "names": "hashed"}, "cannot be used with"),
        ({"max_per_minute": 0}, "max_per_minute must be"),
        ({"app": 3}, "app must be"),
        ({"app": print, "prefix": "debug"}, "prefix must be a path"),
    ],
)
def test_wrong_options_are_refused_at_the_mount(mount, options, why):
    with pytest.raises(OptionError, match=why):
        mount(token=TOKEN, **options)


def test_the_package_imports_no_framework():
    import subprocess
    import sys

    code = (
        "import sys, memlens.integrations.web as _;"
        "print(*{'flask', 'django', 'fastapi', 'starlette', 'werkzeug'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
