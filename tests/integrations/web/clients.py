"""Clients that call the two applications as servers do, without a server."""

from __future__ import annotations

import asyncio
import json
from typing import NamedTuple
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

from memlens.integrations.web.asgi import ASGIEndpoints
from memlens.integrations.web.endpoints import Endpoints
from memlens.integrations.web.wsgi import WSGIEndpoints

TOKEN = "correct-horse-battery"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


class Answer(NamedTuple):
    status: int
    headers: dict
    content: bytes

    @property
    def text(self):
        return self.content.decode()

    @property
    def json(self):
        return json.loads(self.content)


class WSGIClient:
    """Calls a WSGI application; wsgiref's validator checks that both sides follow PEP 3333."""

    name = "wsgi"

    def __init__(self, endpoints=None, app=None, **options):
        self.endpoints = endpoints or Endpoints(token=TOKEN, **options)
        self.app = WSGIEndpoints(self.endpoints, app)

    def environ(self, path, method="GET", headers=BEARER, prefix="", query=""):
        environ = {"REQUEST_METHOD": method, "SCRIPT_NAME": prefix, "PATH_INFO": path}
        environ["QUERY_STRING"] = query
        setup_testing_defaults(environ)
        for name, value in headers.items():
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
        return environ

    def get(self, path, **options):
        started = []

        def start_response(status, fields, error=None):
            started[:] = [int(status.split()[0]), dict(fields)]

        parts = validator(self.app)(self.environ(path, **options), start_response)
        try:
            return Answer(*started, b"".join(parts))
        finally:
            parts.close()


class ASGIClient:
    """Calls an ASGI application in an event loop of its own."""

    name = "asgi"

    def __init__(self, endpoints=None, app=None, **options):
        self.endpoints = endpoints or Endpoints(token=TOKEN, **options)
        self.app = ASGIEndpoints(self.endpoints, app)

    def get(self, path, method="GET", headers=BEARER, prefix="", query=""):
        scope = http_scope(path, method, headers, prefix, query)
        sent = []

        async def ask():
            messages = asyncio.Queue()  # empty after the first: the client stays
            messages.put_nowait({"type": "http.request", "body": b"", "more_body": False})

            async def send(message):
                sent.append(message)

            await self.app(scope, messages.get, send)

        asyncio.run(ask())
        start, *parts = sent
        assert start["type"] == "http.response.start"
        assert [part["type"] for part in parts] == ["http.response.body"] * len(parts)
        assert [part["more_body"] for part in parts] == [True] * (len(parts) - 1) + [False]
        fields = {name.decode(): value.decode() for name, value in start["headers"]}
        assert all(name == name.lower() for name in fields)
        fields = {name.title(): value for name, value in fields.items()}
        return Answer(start["status"], fields, b"".join(part["body"] for part in parts))


def http_scope(path, method="GET", headers=BEARER, prefix="", query=""):
    """Return a scope; ``path`` is below the prefix, and in the scope it contains it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "method": method,
        "path": prefix + path,
        "root_path": prefix,
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }


CLIENTS = (WSGIClient, ASGIClient)
