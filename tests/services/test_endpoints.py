"""The endpoints under real servers: answers, clients that leave, and requests at the same time."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket

import pytest

import memlens
from tests.services.service import HttpService

pytestmark = pytest.mark.services

TOKEN = "only-for-these-services"
GUNICORN = ("gunicorn", "-w", "1", "-b", "127.0.0.1:{port}")
UVICORN = ("uvicorn", "--port", "{port}", "--log-level", "warning")
SERVERS = {
    "uvicorn, fastapi": (*UVICORN, "endpoints_apps:fastapi_app"),
    "uvicorn, django": (*UVICORN, "--lifespan", "off", "endpoints_django:asgi_application"),
    "gunicorn gthread, flask": (
        *GUNICORN,
        "-k",
        "gthread",
        "--threads",
        "4",
        "endpoints_apps:flask_app",
    ),
    "gunicorn sync, flask": (*GUNICORN, "endpoints_apps:flask_app"),
    "gunicorn gthread, django": (*GUNICORN, "--threads", "4", "endpoints_django:application"),
    "runserver, django": ("endpoints_django", "runserver", "--noreload", "127.0.0.1:{port}"),
}
ONE_AT_A_TIME = "gunicorn sync, flask"


class Endpoints(HttpService):
    """A server whose temporary files are in a folder of their own."""

    def ask(self, path, **headers):
        """Return the status and the content of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}", **headers})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def begin(self, path):
        """Send a request and return its connection, of which nothing is read."""
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(60)
        connection.connect(("127.0.0.1", self.port))
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
        )
        return connection

    def is_clean(self):
        """Whether no file of an answer is left, neither under a name nor open."""
        return self.named_files() == [] and open_files(self._process.pid) == []

    def named_files(self):
        """Return the files of answers that have a name, complete or not."""
        return [name for name in os.listdir(self.folder / "tmp") if name.startswith("memlens-web")]


def open_files(pid):
    """Return the files of answers that a process and its children have open."""
    found = []
    for process in (pid, *children_of(pid)):
        with contextlib.suppress(OSError):  # it has ended
            for name in os.listdir(f"/proc/{process}/fd"):
                with contextlib.suppress(OSError):
                    found.append(os.readlink(f"/proc/{process}/fd/{name}"))
    return [path for path in found if "memlens-web" in path]


def children_of(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{pid}/children") as file:
        for child in map(int, file.read().split()):
            yield child
            yield from children_of(child)


@pytest.fixture(scope="module", params=SERVERS)
def server(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("endpoints")
    (folder / "tmp").mkdir()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MEMLENS_TOKEN", TOKEN)
        patched.setenv("TMPDIR", str(folder / "tmp"))
        service = Endpoints(SERVERS[request.param], folder, is_healthy=True)
    with service:
        service.wait()
        service.name = request.param
        yield service


def test_all_endpoints_answer(server, tmp_path):
    assert server.ask("/debug/memory", Authorization="Bearer wrong")[0] == 401
    assert server.ask("/debug/other")[0] == 404
    assert json.loads(server.ask("/")[1]) == {"kept": 30_000}
    status, page = server.ask("/debug/memory", Accept="text/html")
    assert (status, page[:15]) == (200, b"<!DOCTYPE html>")
    for path in ("/debug/memory?format=json", "/debug/leaks?format=json"):
        status, content = server.ask(path)
        assert (status, type(json.loads(content))) == (200, dict)
    assert server.ask("/debug/leaks")[0] == 200
    for name in ("pprof", "folded", "html", "json"):
        assert server.ask(f"/debug/allocations?format={name}")[0] == 200
    for name, suffix in (("memlens", "memlens"), ("heapsnapshot", "heapsnapshot")):
        status, content = server.ask(f"/debug/heap-snapshot?format={name}")
        assert status == 200
        path = tmp_path / f"one.{suffix}"
        path.write_bytes(content)
        assert memlens.load(path).object_count > 60_000
    server.wait_for(server.is_clean, 30)


def test_a_client_that_leaves_in_the_middle_leaves_nothing(server):
    connection = server.begin("/debug/heap-snapshot")
    received = b""
    while len(received) < 100_000:
        received += connection.recv(4096)
    assert received.startswith((b"HTTP/1.1 200 ", b"HTTP/1.0 200 "))
    connection.close()
    server.wait_for(server.is_clean, 30)
    server.wait_for(lambda: server.ask("/debug/heap-snapshot")[0] == 200, 30)


def test_a_client_that_leaves_at_once_leaves_nothing(server):
    for path in (
        "/debug/heap-snapshot",
        "/debug/memory",
        "/debug/heap-snapshot?format=heapsnapshot",
    ):
        server.begin(path).close()
        server.wait_for(lambda: server.ask("/debug/heap-snapshot")[0] == 200, 60)
        server.wait_for(server.is_clean, 30)


def test_during_a_download_others_are_served_and_a_second_one_is_refused(server):
    if server.name == ONE_AT_A_TIME:
        pytest.skip("this kind of worker serves one request at a time")
    with server.begin("/debug/heap-snapshot") as connection:
        assert connection.recv(16)  # it has begun, and stalls
        assert server.ask("/")[0] == 200
        status, content = server.ask("/debug/heap-snapshot", Accept="application/json")
        assert (status, json.loads(content)["status"]) == (409, 409)
        assert server.ask("/debug/leaks")[0] == 409
        assert server.ask("/debug/allocations?format=folded")[0] == 200
        assert server.named_files() == []
    server.wait_for(lambda: server.ask("/debug/heap-snapshot")[0] == 200, 30)
    server.wait_for(server.is_clean, 30)


def test_without_a_token_a_server_does_not_start(tmp_path):
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv("MEMLENS_TOKEN", raising=False)
        service = Endpoints(SERVERS["gunicorn sync, flask"], tmp_path, is_healthy=True)
    with service:
        with pytest.raises(AssertionError):
            service.wait_for(lambda: False, 30)
        assert "the memory endpoints need a token" in service.output()
