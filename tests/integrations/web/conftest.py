"""An endpoint that the tests control."""

from __future__ import annotations

import os
import tempfile
import threading

import pytest

from memlens.integrations.web import endpoints
from memlens.integrations.web.contents import Endpoint
from memlens.integrations.web.requests import HTML, JSON, TEXT
from memlens.integrations.web.work import CHUNK_BYTES
from tests.integrations.web.clients import CLIENTS

CONTENT = os.urandom(64) * (CHUNK_BYTES // 64 * 3) + b"end"  # four chunks


class Controlled:
    """Writes its content when it is let, or raises its error."""

    def __init__(self):
        self.content = CONTENT
        self.error = None
        self.started, self.may_go_on = threading.Event(), threading.Event()
        self.may_go_on.set()
        self.calls = 0
        self.stopper = None

    def write(self, source, form, stopper, path):
        self.calls += 1
        self.stopper = stopper
        self.started.set()
        with stopper.stopped_by(self.may_go_on.set):
            assert self.may_go_on.wait(60)
        if self.error is not None:
            raise self.error
        with open(path, "xb") as file:
            file.write(self.content)


@pytest.fixture
def controlled(monkeypatch, tmp_path):
    """``/it`` is answered under the control of the test; temporary files are in ``tmp_path``."""
    found = Controlled()
    endpoint = Endpoint("/it", "It", (TEXT, JSON, HTML), found.write, needs_profiler=False)
    monkeypatch.setattr(endpoints, "ENDPOINTS", (endpoint,))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return found


@pytest.fixture(params=CLIENTS, ids=lambda client: client.name)
def client_of(request):
    """The class of a client: each test runs with both."""
    return request.param
