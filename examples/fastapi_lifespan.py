"""FastAPI: a profiler that lives as long as the application, and its endpoints.

    python examples/fastapi_lifespan.py

starts the service on a free port, makes it leak, and prints what leaks. To serve it yourself:

    MEMLENS_TOKEN=... uvicorn --app-dir examples fastapi_lifespan:app

With ``--workers`` each worker process has its own application, and so its own profiler.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

import memlens
from memlens.integrations.web import asgi_app

profiler = memlens.MemoryProfiler(os.environ.get("PROFILES", "memory-profiles"))


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Profile from the start of the worker to its end."""
    with profiler:
        yield


app = FastAPI(lifespan=lifespan)
if "MEMLENS_TOKEN" in os.environ:  # without a token it is not mounted
    app.mount("/debug", asgi_app(profiler))


sessions: dict[str, list[str]] = {}


@app.get("/login/{user}")
async def login(user: str) -> dict[str, int]:
    """Keep a session for ever: the leak of this example."""
    sessions[user] = [f"{user} has seen page {number}" for number in range(40)]
    return {"sessions": len(sessions)}


def main() -> None:
    """Run the service, download snapshots while it leaks, and say what leaks."""
    import tempfile
    from pathlib import Path

    from _server import Server

    with (
        tempfile.TemporaryDirectory() as folder,
        Server("uvicorn", "fastapi_lifespan:app", "--port", "{port}", folder=folder) as server,
    ):
        paths = [Path(folder) / f"{number}.memlens" for number in range(3)]
        for path in paths:
            for number in range(100):
                server.get(f"/login/{path.stem}-{number}")
            path.write_bytes(server.get("/debug/heap-snapshot", server.token))
        report = memlens.find_leaks([memlens.HeapSnapshot.load(path) for path in paths])
        print(report)
        page = server.get("/debug/memory?format=html", server.token)
        print(f"/debug/memory is a page of {len(page):,} bytes")
        if report.verdict != "leak":
            raise SystemExit("the leak was not found")


if __name__ == "__main__":
    main()
