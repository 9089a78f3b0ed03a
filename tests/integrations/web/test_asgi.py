"""What only ASGI has: disconnects, the lifespan, other scopes, and the event loop."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading

import pytest

from memlens.integrations.web.asgi import ASGIEndpoints
from memlens.integrations.web.guard import Turn
from memlens.integrations.web.work import CHUNK_BYTES, Work
from tests.integrations.web.clients import ASGIClient, http_scope
from tests.integrations.web.conftest import CONTENT
from tests.integrations.web.test_wsgi import open_files


@pytest.fixture
def client(controlled):
    return ASGIClient(turn=Turn())


class Connection:
    """A client that may leave. ``sent`` has what the application has sent."""

    def __init__(self):
        self.left = asyncio.Event()
        self.sent = []
        self.on_part = lambda: None

    async def receive(self):
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.sent.append(message)
        if message["type"] == "http.response.body":
            self.on_part()


async def until_free(client):
    """Wait until an answer can be made again: a thread may be about to clean up."""
    while not client.endpoints._turn.take():
        await asyncio.sleep(0)
    client.endpoints._turn.give_back()


def test_a_client_that_leaves_while_the_answer_is_made_stops_the_work(client, controlled):
    controlled.may_go_on.clear()

    async def run():
        connection = Connection()
        answering = asyncio.create_task(
            client.app(http_scope("/it"), connection.receive, connection.send)
        )
        await asyncio.to_thread(controlled.started.wait, 60)
        connection.left.set()
        await answering
        await until_free(client)
        assert connection.sent == []
        assert controlled.stopper.is_stopped

    asyncio.run(run())
    assert open_files() == []
    assert os.listdir(tempfile.gettempdir()) == []


def test_a_client_that_leaves_in_the_middle_frees_the_file_and_the_turn(client):
    async def run():
        connection = Connection()
        connection.on_part = connection.left.set
        await client.app(http_scope("/it"), connection.receive, connection.send)
        sizes = [len(message.get("body", b"")) for message in connection.sent]
        assert sizes[0] == 0
        assert 1 <= len(sizes) - 1 < len(CONTENT) // CHUNK_BYTES
        assert connection.sent[-1]["more_body"]
        assert client.endpoints._turn.take()
        client.endpoints._turn.give_back()

    asyncio.run(run())
    assert open_files() == []


def test_a_server_that_cannot_send_leaves_nothing(client):
    async def run():
        connection = Connection()

        async def send(message):
            raise OSError("the connection is gone")

        with pytest.raises(OSError, match="gone"):
            await client.app(http_scope("/it"), connection.receive, send)

    asyncio.run(run())
    assert open_files() == []
    assert client.get("/it").status == 200


def test_a_server_that_cancels_the_answer_stops_the_work(client, controlled):
    controlled.may_go_on.clear()

    async def run():
        connection = Connection()
        answering = asyncio.create_task(
            client.app(http_scope("/it"), connection.receive, connection.send)
        )
        await asyncio.to_thread(controlled.started.wait, 60)
        answering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await answering
        await until_free(client)

    asyncio.run(run())
    assert open_files() == []


def test_the_turn_is_free_before_the_last_part_is_sent(client):
    async def run():
        connection, busy = Connection(), []

        def look():
            taken = client.endpoints._turn.take()
            busy.append(not taken)
            if taken:
                client.endpoints._turn.give_back()

        connection.on_part = look
        await client.app(http_scope("/it"), connection.receive, connection.send)
        assert busy == [True, True, True, False]

    asyncio.run(run())


@pytest.mark.parametrize("leaves", [False, True])
def test_the_event_loop_does_not_wait_until_a_large_file_is_freed(client, monkeypatch, leaves):
    threads = []
    close = Work.close
    monkeypatch.setattr(
        Work, "close", lambda work: (threads.append(threading.get_ident()), close(work))
    )

    async def run():
        connection = Connection()
        connection.on_part = connection.left.set if leaves else lambda: None
        await client.app(http_scope("/it"), connection.receive, connection.send)

    asyncio.run(run())
    assert threads[0] != threading.get_ident()


def test_a_client_that_takes_too_long_is_cut_off(client, monkeypatch):
    monkeypatch.setattr("memlens.integrations.web.asgi.MAX_SECONDS", 0.0)

    async def run():
        connection = Connection()
        await client.app(http_scope("/it"), connection.receive, connection.send)
        assert not any(message.get("more_body") is False for message in connection.sent)

    asyncio.run(run())
    assert open_files() == []


def test_the_event_loop_runs_while_an_answer_is_made(client, controlled):
    controlled.may_go_on.clear()

    async def run():
        connection = Connection()
        answering = asyncio.create_task(
            client.app(http_scope("/it"), connection.receive, connection.send)
        )
        while not controlled.started.is_set():
            await asyncio.sleep(0)  # other tasks of the loop have their turns
        controlled.may_go_on.set()
        await answering
        assert connection.sent[0]["status"] == 200

    asyncio.run(run())


def test_without_a_thread_the_answer_says_so(client, monkeypatch):
    def start(self):
        raise RuntimeError("can't start new thread")

    real = threading.Thread.start
    monkeypatch.setattr(
        threading.Thread,
        "start",
        lambda self: (start if self.name == "memlens-web" else real)(self),
    )
    assert client.get("/it").status == 503
    monkeypatch.undo()


def test_the_lifespan_is_answered(client):
    async def run():
        sent = []
        messages = iter(["lifespan.startup", "lifespan.shutdown"])

        async def receive():
            return {"type": next(messages)}

        async def send(message):
            sent.append(message["type"])

        await client.app({"type": "lifespan"}, receive, send)
        assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]

    asyncio.run(run())


def test_a_websocket_is_closed(client):
    async def run():
        sent = []

        async def receive():
            return {"type": "websocket.connect"}

        async def send(message):
            sent.append(message["type"])

        await client.app({"type": "websocket", "path": "/it"}, receive, send)
        assert sent == ["websocket.close"]

    asyncio.run(run())


async def inner(scope, receive, send):
    content = f"inner {scope['type']} {scope.get('path')}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": content, "more_body": False})


def test_other_paths_and_scopes_go_to_the_other_application(client):
    outer = ASGIClient(client.endpoints, app=inner)
    assert outer.get("/debugger", headers={}).text == "inner http /debugger"
    assert outer.get("/debug/it").content == CONTENT
    assert outer.get("/debug/it", prefix="/outer").content == CONTENT
    assert outer.get("/debug/it", headers={}).status == 401

    async def live():
        sent = []

        async def send(message):
            sent.append(message)

        await outer.app({"type": "lifespan"}, None, send)
        assert sent[1]["body"] == b"inner lifespan None"

    asyncio.run(live())


def test_a_mount_that_leaves_its_path_out_works_too(client):
    scope = {**http_scope("/it", prefix="/debug"), "path": "/it"}
    connection = Connection.__new__(Connection)

    async def run():
        connection.__init__()
        await ASGIEndpoints(client.endpoints)(scope, connection.receive, connection.send)

    asyncio.run(run())
    assert connection.sent[0]["status"] == 200
