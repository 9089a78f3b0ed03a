"""Damaged requests and answers: the control socket, the process that was asked, agents, the web."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from memlens._options import check_path
from memlens.agents import tools
from memlens.agents.workspace import Workspace
from memlens.attach.received import answer_in, check_answer, notes_in
from memlens.attach.request import COMMANDS
from memlens.attach.stacks import ProcessStacks
from memlens.integrations.sending import otel_environment
from memlens.integrations.web.endpoints import Endpoints
from memlens.integrations.web.requests import Request
from memlens.integrations.web.work import Work
from memlens.process.live_stacks import live_stacks
from memlens.process.service import release_of, service_of
from memlens.profiler.control_socket import ControlSocket
from tests.agents.files import leaking_folder
from tests.damaged.choices import Choices, damaged_json, json_bytes

TOKEN = "a-token-of-32-different-letters-"


class ControlRequests:
    """A request to the control socket of a profiler."""

    document: Any = {
        "command": "dump",
        "path": "/tmp/x",
        "output_dir": "/tmp",
        "client_paths": ["/"],
    }

    def __init__(self) -> None:
        def dump(request: Mapping[str, Any]) -> Mapping[str, Any]:
            return {"path": check_path("path", request.get("path"))}

        self.failures: list[BaseException] = []
        self.socket = ControlSocket({"dump": dump, "echo": dict}, self.failures.append)

    def write(self, path: str, choices: Choices) -> None:
        """Write a damaged request."""
        Path(path).write_bytes(json_bytes(self.document, choices))

    def read(self, path: str, choices: Choices) -> None:
        """Answer it. The answer is JSON, an error too."""
        answer = self.socket._answer(Path(path).read_bytes())
        json.dumps(answer).encode()
        assert answer.keys() in ({"answer"}, {"error"})


class AttachAnswers:
    """What a process answers that was asked from outside."""

    def __init__(self) -> None:
        frame = {"function": "f", "file": "a.py", "line": 3}
        thread = {"name": "MainThread", "id": 7, "daemon": False, "frames": [frame, frame]}
        task = {"name": "Task-1", "coroutine": "wait", "waits_for": "Future", "frames": [frame]}
        assert live_stacks().keys() == {"threads", "tasks"}
        self.document = {
            "answer": {
                "threads": [thread], "tasks": [task], "snapshots": ["/a", "/b"], "notes": ["x"],
                "output_dir": "/a", "was_running": True, "object_count": 7, "pause_seconds": 0.5,
            },
            "error": "none",
        }  # fmt: skip

    def write(self, path: str, choices: Choices) -> None:
        """Write a damaged answer."""
        Path(path).write_bytes(json_bytes(self.document, choices))

    def read(self, path: str, choices: Choices) -> None:
        """Read it as the answer to each request."""
        try:
            found = answer_in(Path(path).read_bytes(), 7)
        except ValueError:
            return  # whoever has read the line says what that means for it
        command = choices.choice(COMMANDS)
        check_answer(command, found, 7)
        assert all(type(one) is str for one in notes_in(found))
        if command == "stacks":
            stacks = ProcessStacks.of(7, found)
            str(stacks), repr(stacks), json.dumps(stacks.to_dict())


class AgentCalls:
    """A call of a tool by an agent, over a folder with undamaged files."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        folder = leaking_folder(Path(self._folder.name, "files"))
        self.space = Workspace([os.fspath(folder)], values=True)
        suspect = json.loads(tools.call(self.space, "find_leaks", {})[0])["suspects"][0]["id"]
        page = {"max_tokens": 500, "cursor": "1"}
        self.calls: dict[str, dict[str, Any]] = {
            "list_files": {"pid": 4711},
            "explain_suspect": {"id": suspect, "files": ["heap-0.memlens", "heap-3.memlens"]},
            "why_alive": {"file": "heap-3.memlens", "type": "*", "max_objects": 3, "max_paths": 2},
            "largest": {"file": "heap-3.memlens", "by": "drop", "object": 3},
            "summarize": {"file": "heap-3.memlens", "by": "module"},
            "compare": {"before": "heap-0.memlens", "after": "heap-3.memlens"},
            "allocations": {"view": "line", "by": "live_bytes"},
            "stuck_tasks": {"file": "heap-3.memlens"},
        }
        for arguments in self.calls.values():
            arguments |= page

    def close(self) -> None:
        """Delete the files that the calls are about."""
        self.space.close()
        self._folder.cleanup()

    def write(self, path: str, choices: Choices) -> None:
        """Write a damaged call."""
        name = choices.choice(sorted(self.calls))
        self._call = [name, self.calls[name]]
        Path(path).write_bytes(json.dumps(damaged_json(self._call, choices)).encode())

    def read(self, path: str, choices: Choices) -> None:
        """Call the tool. What fails says why; it is no failure of ours."""
        parts = json.loads(Path(path).read_bytes())
        name, arguments = (*parts, None, None)[:2] if parts else (None, None)
        if not isinstance(name, str) or not isinstance(arguments, dict):
            return  # the library that speaks the protocol refuses it
        failures: list[Any] = []
        with mock.patch.object(
            tools, "log_event", lambda *values, **facts: failures.append(values)
        ):
            text, _ = tools.call(self.space, name, arguments)
        assert isinstance(json.loads(text), dict)
        assert not failures, failures


ODD = ("Basic !!!", "Basic /w==", "a;q=nan,*/*;q=inf", "%ff=%00&format=", "//evil/", "é")


class WebRequests:
    """A request over HTTP."""

    def __init__(self) -> None:
        self.endpoints = Endpoints(token=TOKEN, max_per_minute=10**9)
        self.document = {
            "method": "GET",
            "path": "/memory",
            "prefix": "/debug",
            "query": "format=json",
            "headers": {
                "authorization": f"Bearer {TOKEN}",
                "accept": "text/html;q=0.5, application/json;q=1, */*",
                "sec-fetch-site": "same-origin",
                "range": "bytes=0-9",
            },
        }

    def write(self, path: str, choices: Choices) -> None:
        """Write a damaged request: each part remains a text."""
        found = damaged_json(self.document, choices)
        headers = found.get("headers")
        found["headers"] = headers if isinstance(headers, dict) else {}
        for part in (found, found["headers"]):
            for name in [one for one in part if one != "headers"]:
                odd = choices.choice(ODD) if not choices.randrange(4) else part[name]
                part[name] = str(odd)
        Path(path).write_bytes(json.dumps(found).encode())

    def read(self, path: str, choices: Choices) -> None:
        """Admit or refuse it."""
        found = json.loads(Path(path).read_bytes())
        known = {name: found.get(name, "") for name in ("method", "path", "prefix", "query")}
        answer = self.endpoints.admit(Request(**known, headers=found["headers"]))
        if isinstance(answer, Work):
            answer.close()
        else:
            assert 200 <= answer.status < 500 or answer.status == 503  # not in this program


PIECES = ("a=b", "service.name=x", "service.version", "=", ",", "%", "%ff", "%00", "\n", "\udcff", " ",
          "http://", "localhost", ":4318", ":99999", "[::1", "/p?q#f", "é", "x" * 5000)  # fmt: skip
VARIABLES = (
    "MEMLENS_SERVICE", "MEMLENS_RELEASE", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_PROFILES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS",
)  # fmt: skip


class Environments:
    """Environment variables that memlens reads."""

    def write(self, path: str, choices: Choices) -> None:
        """Write texts for some of the variables."""
        found = {}
        for _ in range(1 + choices.randrange(4)):
            pieces = [choices.choice(PIECES) for _ in range(choices.randrange(6))]
            found[choices.choice(VARIABLES)] = "".join(pieces)
        Path(path).write_text(json.dumps(found))

    def read(self, path: str, choices: Choices) -> None:
        """Read each value that they give."""
        environment = json.loads(Path(path).read_text())
        assert service_of(None, "program", environment)
        release_of(None, environment)
        for read in (
            lambda: otel_environment.otlp_url(None, environment),
            lambda: otel_environment.otlp_headers(None, environment),
            lambda: otel_environment.resource_attributes({}, environment),
        ):
            try:
                read()
            except tools.MemlensError:
                pass
