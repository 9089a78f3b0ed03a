"""A service under load for half an hour with everything of memlens on, beside the same without it.

    python benchmarks/soak.py [--minutes 30] [--rate 50] [--no-tables] [--json FILE]

Two processes of `_soak_service.py` run side by side at the same time; one load generator sends the
same requests to both in turn. It does not wait for answers: requests are due at a fixed rate, and a
time counts from when the request was due.
memlens reads memory every second, samples allocations, takes a
snapshot a minute, decides trends and suspects, writes tables, and answers its endpoints, scrapes of
Prometheus and its control socket. At the end both get requests in turn as fast as they answer.

The verdicts at the end say their rules; one that is broken ends with status 1. Needs psutil; with
FastAPI, uvicorn, prometheus_client and pyarrow installed these are used.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from _soak_report import BURST_SECONDS, BURSTS, report
from _soak_service import TOKEN
from _soak_watching import Watcher

CONNECTIONS = 8


class Connection:
    """One connection over HTTP/1.1 that is made again where the server has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str) -> tuple[int, bytes]:
        """Return the status and the content."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {TOKEN}"]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        size = fields.get("content-length")
        if fields.get("transfer-encoding") == "chunked":
            content = await self._chunks(reader)
        else:
            content = await (reader.read() if size is None else reader.readexactly(int(size)))
        if size is None or head[0].startswith("HTTP/1.0") or fields.get("connection") == "close":
            self.close()
        return int(head[0].split()[1]), content

    async def _chunks(self, reader: asyncio.StreamReader) -> bytes:
        parts = []
        while size := int(await reader.readline(), 16):
            parts.append(await reader.readexactly(size))
            await reader.readline()
        await reader.readline()
        return b"".join(parts)

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


class Side:
    """A service and what its clients have measured."""

    def __init__(self, mode: str, folder: str, options: dict) -> None:
        self.mode, self.folder = mode, folder
        os.makedirs(folder)
        self.log = open(f"{folder}/log", "wb")  # noqa: SIM115 - as long as the process
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "_soak_service.py"), mode, folder],
            env={**os.environ, "SOAK_OPTIONS": json.dumps(options)},
            stdout=subprocess.PIPE,
            stderr=self.log,
        )
        self.port = int(self.process.stdout.readline())
        self.times: list[tuple[float, float]] = []  # due, seconds
        self.errors = 0
        self.burst_count = 0
        self._free: asyncio.Queue[Connection] = asyncio.Queue()
        for _ in range(CONNECTIONS):
            self._free.put_nowait(Connection(self.port))

    async def ask(self, path: str) -> bytes:
        """Ask for something else than the work, over a connection of its own."""
        connection = Connection(self.port)
        try:
            status, content = await connection.get(path)
        finally:
            connection.close()
        if status != 200:
            raise RuntimeError(f"{path}: {status} {content[:200]!r}")
        return content

    async def request(self, number: int, due: float) -> None:
        """Send one request when a connection is free, and note its time from when it was due."""
        connection = await self._free.get()
        try:
            status, _ = await connection.get(f"/shop/{number}")
            self.errors += status != 200
        except (OSError, EOFError):
            self.errors += 1
            connection.close()
        finally:
            self._free.put_nowait(connection)
        self.times.append((due, time.monotonic() - due))

    async def burst(self, first: int) -> int:
        """Send requests as fast as they are answered; return how many."""
        end, sent = time.monotonic() + BURST_SECONDS, 0
        connection = await self._free.get()
        while time.monotonic() < end:
            try:
                await connection.get(f"/shop/{first + sent}")
            except (OSError, EOFError):  # an idle connection, which the server has closed
                connection.close()
                continue
            sent += 1
        self._free.put_nowait(connection)
        self.burst_count += sent
        return sent

    def stop(self) -> None:
        """End the service."""
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        self.process.kill()
        self.process.wait()
        self.log.close()


async def load(sides: list[Side], rate: float, end: float) -> int:
    """Send requests to both in turn, each at the rate; return the number of the last one."""
    start, number, waiting = time.monotonic(), 0, set()
    while (due := start + number / rate) < end:
        for turn, side in enumerate(sides):
            at = due + turn / rate / len(sides)
            await asyncio.sleep(max(0.0, at - time.monotonic()))
            task = asyncio.create_task(side.request(number, at))
            waiting.add(task)
            task.add_done_callback(waiting.discard)
        number += 1
    await asyncio.gather(*waiting)
    return number


async def every(seconds: float, ask) -> None:
    """Call something again and again."""
    while True:
        await asyncio.sleep(seconds)
        await ask()


async def use(side: Side, minute: float) -> None:
    """Use memlens as its users do: its endpoints and its control socket."""
    command = [sys.executable, "-m", "memlens", "stacks", str(side.process.pid)]
    for path in ("allocations", "leaks?format=json", "memory?format=json", "heap-snapshot"):
        await asyncio.sleep(minute)
        try:
            await side.ask(f"/debug/{path}")
        except RuntimeError as error:  # it is busy with another answer
            print(f"endpoint: {error}", flush=True)
    done = await asyncio.create_subprocess_exec(*command, stdout=-3, stderr=-3)
    if await done.wait():
        print(f"stacks: status {done.returncode}", flush=True)


async def run(sides: list[Side], options: argparse.Namespace, watcher: Watcher) -> None:
    """Run the load, the scrapes and the other users; then the bursts."""
    seconds = options.minutes * 60

    async def scrape() -> None:
        for side in sides:
            await side.ask("/metrics")

    async def observe() -> None:
        await watcher.observe()

    others = [
        asyncio.create_task(every(15.0, scrape)),
        asyncio.create_task(every(min(10.0, seconds / 30), observe)),
        asyncio.create_task(every(0.0, lambda: use(sides[0], seconds / 30))),
    ]
    await watcher.observe()
    number = await load(sides, options.rate, time.monotonic() + seconds)
    for other in others:
        if other.done():
            other.result()
        other.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await watcher.observe(is_last=True)
    for _ in range(BURSTS):
        for side in sides:
            number += await side.burst(number)


def main() -> None:
    """Run the trial and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument(
        "--rate", type=float, default=50.0, help="requests a second to each service"
    )
    parser.add_argument("--no-tables", action="store_true", help="write no Parquet files")
    parser.add_argument("--json", help="a file for all numbers, also those of every minute")
    options = parser.parse_args()
    given = {
        "seconds": options.minutes * 60,
        "sample_interval": 1.0,
        "snapshot_interval": min(60.0, options.minutes * 2),
        "tables": not options.no_tables,
    }
    with tempfile.TemporaryDirectory() as folder:
        sides: list[Side] = []
        try:
            for mode in ("with", "without"):
                sides.append(Side(mode, f"{folder}/{mode}", given))
            watcher = Watcher(sides)
            asyncio.run(run(sides, options, watcher))
        finally:
            for side in sides:
                side.stop()
        sys.exit(report(sides, watcher, options))


if __name__ == "__main__":
    main()
