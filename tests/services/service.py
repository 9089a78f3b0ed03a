"""Runs a real server, drives it with requests, and asks it for the report of its profiler."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

APPS = Path(__file__).with_name("apps")
START_SECONDS = 60
REPORT_SECONDS = 60


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Service:
    """A server in a process group of its own; its output is shown when it fails."""

    def __init__(self, command, folder, is_healthy):
        self.port = free_port()
        self.folder = folder
        self._log = open(folder / "log", "w+", encoding="utf-8")  # noqa: SIM115  # closed by stop
        self._process = subprocess.Popen(
            [sys.executable, "-m", *(part.format(port=self.port) for part in command)],
            cwd=APPS,
            env={
                **os.environ,
                "HEALTHY": str(int(is_healthy)),
                "PROFILES": str(folder / "profiles"),
                "BROKER": str(folder / "broker"),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._log.close()

    def output(self):
        """Return what the server has printed."""
        self._log.flush()
        return (self.folder / "log").read_text(encoding="utf-8")

    def wait_for(self, is_ready, seconds):
        """Wait until ``is_ready()``; fails with the output of the server."""
        end = time.monotonic() + seconds
        while not is_ready():
            if self._process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"the service is not ready:\n{self.output()}")
            time.sleep(0.05)


class HttpService(Service):
    """A server that answers GET."""

    def wait(self):
        self.wait_for(self._listens, START_SECONDS)

    def _listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def get(self, path, seconds=30):
        url = f"http://127.0.0.1:{self.port}/{path}"
        with urllib.request.urlopen(url, timeout=seconds) as answer:
            return json.load(answer)

    def request(self, path, number):
        self.get(path.format(number=number))

    def report(self):
        return self.get("report", REPORT_SECONDS)


class LineService(HttpService):
    """A server that answers lines, over one connection."""

    def wait(self):
        super().wait()
        self._connection = socket.create_connection(("127.0.0.1", self.port), REPORT_SECONDS)
        self._lines = self._connection.makefile("rw", encoding="utf-8")

    def get(self, path, seconds=30):
        self._lines.write(path + "\n")
        self._lines.flush()
        return json.loads(self._lines.readline())

    def __exit__(self, *error):
        self._lines.close()
        self._connection.close()
        super().__exit__(*error)


class CeleryService(Service):
    """A Celery worker, which takes its tasks from files.

    kombu opens the file of a message before it writes the message, and a worker that takes the file
    between the two loses the task. So messages are written beside, and moved to the worker whole.
    """

    def __init__(self, command, folder, is_healthy):
        self._broker = folder / "broker"
        self._written = folder / "broker" / "written"
        self._written.mkdir(parents=True)
        (self._broker / "control").mkdir()
        super().__init__(command, folder, is_healthy)

    def wait(self):
        self.wait_for(lambda: "ready." in self.output(), START_SECONDS)
        from kombu import Connection

        options = {"data_folder_in": str(self._written), "data_folder_out": str(self._written)}
        options["control_folder"] = str(self._broker / "control")
        self._connection = Connection("filesystem://", transport_options=options)
        self._queue = self._connection.SimpleQueue("celery")

    def send(self, name, *arguments):
        headers = {"lang": "py", "task": f"celery_app.{name}", "id": f"{name}-{arguments[0]}"}
        self._queue.put(
            [arguments, {}, {}], headers={**headers, "root_id": None}, serializer="json"
        )
        for message in self._written.iterdir():
            message.rename(self._broker / message.name)

    def request(self, path, number):
        self.send(path, number)

    def report(self):
        path = self.folder / "report.json"
        self.send("report", str(path))
        self.wait_for(path.exists, REPORT_SECONDS)
        return json.loads(path.read_text(encoding="utf-8"))

    def __exit__(self, *error):
        self._queue.close()
        self._connection.close()
        super().__exit__(*error)
