"""What the examples share: each starts its own server, sends requests to it, and stops it."""

from __future__ import annotations

import base64
import itertools
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
START_SECONDS = 60.0
_MAX_LINES = 50  # of what a server has printed, when it fails


class Server:
    """A server in a process group of its own, on a free port of this machine.

    ``command``: the words after ``python -m``; ``{port}`` in them, and in the environment, is the
    port, and ``{token}`` in the environment the token. ``folder``: where it may write; the server
    finds it in the environment variable ``PROFILES``. ``cwd``: where it runs.
    """

    def __init__(self, *command: str, folder: str, cwd: Path = HERE, **environment: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.token = secrets.token_urlsafe(32)
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by __exit__
        self._process = subprocess.Popen(
            [sys.executable, "-m", *(word.format(port=self.port) for word in command)],
            cwd=cwd,
            env={
                **os.environ,
                "MEMLENS_TOKEN": self.token,
                "PROFILES": folder,
                "PYTHONPATH": os.pathsep.join([str(cwd), str(HERE.parent)]),
                **{
                    name: text.format(port=self.port, token=self.token)
                    for name, text in environment.items()
                },
            },
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    def __enter__(self) -> Server:
        try:
            self.wait_until(self._listens)
        except BaseException:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self.stop()
        finally:
            self._log.close()

    def stop(self) -> None:
        """Ask the server to end, as a service manager does; fails if it does not, or ends badly."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            code = self._process.wait()
        if code not in (0, -signal.SIGTERM):
            raise SystemExit(f"the server has ended with {code}:\n{self._printed()}")

    def wait_until(self, is_ready: Callable[[], object]) -> None:
        """Wait until ``is_ready()`` is true; show what the server has printed if it is not."""
        end = time.monotonic() + START_SECONDS
        while not is_ready():
            if self._process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"the server is not ready:\n{self._printed()}")
            time.sleep(0.05)

    def leaks_of(self, path: str, holder: str) -> str:
        """Request a page again and again until /debug/leaks names a holder; return its text.

        ``path``: with ``{number}`` where the number of the request belongs.
        """
        numbers, found = itertools.count(), []

        def is_named() -> bool:
            for _ in range(100):  # steadily: a leak grows in every interval between snapshots
                self.get(path.format(number=next(numbers)))
                time.sleep(0.02)
            found[:] = [self.get("/debug/leaks", self.token).decode()]
            return holder in found[0]

        self.wait_until(is_named)
        return found[0]

    def _printed(self) -> str:
        self._log.seek(0)
        return "".join(self._log.readlines()[-_MAX_LINES:])

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def get(self, path: str, token: str | None = None) -> bytes:
        """Return the content of a page. ``token``: the password, as a browser sends it."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        if token is not None:
            password = base64.b64encode(f"me:{token}".encode()).decode()
            request.add_header("Authorization", f"Basic {password}")
        with urllib.request.urlopen(request, timeout=120) as answer:
            content: bytes = answer.read()
        return content
