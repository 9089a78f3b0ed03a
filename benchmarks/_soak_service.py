"""The service of `soak.py`: a small shop with bounded state, with memlens's everything or without it.

    python benchmarks/_soak_service.py with|without FOLDER

Prints its port. It runs under FastAPI and uvicorn if these are installed, else under the server of the
standard library with a thread for each request. ``/shop/N`` is the work, ``/metrics`` what Prometheus
scrapes, ``/state`` what memlens says about itself and the service, ``/debug/...`` memlens's endpoints.
"""

from __future__ import annotations

import collections
import contextlib
import gc
import json
import os
import socket
import sqlite3
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

TOKEN = "only-for-this-benchmark"
ARTICLES, SESSIONS, PAGES, EVENTS = 20_000, 2_000, 500, 5_000


def mixed(number: int) -> int:
    """Return a number that looks like chance, the same in both services."""
    return number * 2_654_435_761 % (1 << 32) >> 8


class Session:
    """What the shop keeps of a visitor, until newer ones push it out."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.seen = collections.deque(maxlen=20)
        self.basket: dict[int, dict] = {}


class Shop:
    """Bounded state that is replaced all the time: sessions, pages, events, a database."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._catalogue = [
            {"name": f"article {n}", "price": n % 977, "tags": [f"tag {n % 90}", f"tag {n % 7}"]}
            for n in range(ARTICLES)
        ]
        self._sessions: collections.OrderedDict[int, Session] = collections.OrderedDict()
        self._pages: collections.OrderedDict[int, bytes] = collections.OrderedDict()
        self._events: collections.deque = collections.deque(maxlen=EVENTS)
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        self._database.execute("create table orders (id integer primary key, number, text)")
        for number in range(6 * SESSIONS):  # what fills up is full when the trial begins
            self.handle(number)

    def handle(self, number: int) -> bytes:
        """Answer one request."""
        with self._lock:
            session = self._session(mixed(number) % (3 * SESSIONS))
            session.seen.append(number)
            article = self._catalogue[number * 31 % ARTICLES]
            session.basket[number % 10] = {**article, "at": time.time(), "count": number % 3}
            self._events.append((number, time.time(), f"{article['name']} seen"))
            page = self._page(mixed(number + 1) % (4 * PAGES))
            self._order(number)
            basket = list(session.basket.values())
        return json.dumps({"session": session.number, "basket": basket, "page": len(page)}).encode()

    def _session(self, key: int) -> Session:
        session = self._sessions.pop(key, None) or Session(key)
        self._sessions[key] = session
        if len(self._sessions) > SESSIONS:
            self._sessions.popitem(last=False)
        return session

    def _page(self, key: int) -> bytes:
        page = self._pages.pop(key, None)
        if page is None:
            page = json.dumps(self._catalogue[key : key + 20 + key % 20]).encode()
        self._pages[key] = page
        if len(self._pages) > PAGES:
            self._pages.popitem(last=False)
        return page

    def _order(self, number: int) -> None:
        key = number % SESSIONS
        self._database.execute(
            "insert or replace into orders values (?, ?, ?)", (key, number, "x" * 50)
        )
        self._database.execute("select * from orders where id = ?", (key,)).fetchone()


class Watch:
    """memlens with everything on."""

    def __init__(self, folder: str, options: dict) -> None:
        import memlens
        from memlens import triggers

        self.alerts: list[str] = []
        self.withdrawn: list[str] = []
        tables = {"table_dir": f"{folder}/tables", "table_interval": 300.0}
        self.profiler = memlens.MemoryProfiler(
            f"{folder}/memory",
            sample_interval=options["sample_interval"],
            snapshot_interval=options["snapshot_interval"],
            alert_interval=options["seconds"] / 6,
            warmup_seconds=options["seconds"] / 6,
            min_window_seconds=options["seconds"] / 3,
            allocation_interval_bytes=128 * 1024,
            on_alert=lambda report: self.alerts.append(str(report)),
            on_withdrawn=lambda report: self.withdrawn.append(str(report)),
            triggers=[triggers.before_limit(0.1), triggers.on_memory_error()],
            on_file=lambda file: None,
            **(tables if options["tables"] else {}),
        ).start()

    def register(self, registry) -> None:
        """Let Prometheus see the numbers of memlens."""
        from memlens.integrations.prometheus import MemlensCollector

        registry.register(MemlensCollector(self.profiler))

    def state(self) -> dict:
        """Return what memlens says about itself."""
        import memlens

        return {
            "health": self.profiler.health(),
            "alerts": self.alerts,
            "withdrawn": self.withdrawn,
            "own": memlens.read_memory().own_bytes,
        }


def process_state() -> dict:
    """Return what the process says about itself, the same with and without memlens."""
    return {
        "blocks": sys.getallocatedblocks(),
        "collections": [one["collections"] for one in gc.get_stats()],
        "threads": sorted(thread.name for thread in threading.enumerate()),
    }


class Service:
    """What both kinds of servers answer."""

    def __init__(self, mode: str, folder: str, options: dict) -> None:
        self.shop = Shop()
        self.watch = Watch(folder, options) if mode == "with" else None
        self._registry = None
        with contextlib.suppress(ImportError):
            from prometheus_client import REGISTRY

            self._registry = REGISTRY
            if self.watch is not None:
                self.watch.register(REGISTRY)

    def metrics(self) -> bytes:
        """Answer a scrape of Prometheus."""
        if self._registry is None:
            return repr(self.watch and self.watch.profiler.metrics()).encode()
        from prometheus_client import generate_latest

        return generate_latest(self._registry)

    def state(self) -> bytes:
        """Return the state as JSON."""
        return json.dumps(process_state() | (self.watch.state() if self.watch else {})).encode()

    def answer(self, path: str) -> bytes:
        """Answer the path of a request."""
        if path == "/metrics":
            return self.metrics()
        if path == "/state":
            return self.state()
        return self.shop.handle(int(path.rpartition("/")[2]))


def serve_fastapi(service: Service, listening: socket.socket) -> None:
    """Serve under uvicorn."""
    import uvicorn
    from fastapi import FastAPI, Response

    app = FastAPI()

    @app.get("/shop/{number}")
    async def shop(number: int) -> Response:
        return Response(service.shop.handle(number), media_type="application/json")

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(service.metrics(), media_type="text/plain")

    @app.get("/state")
    def state() -> Response:
        return Response(service.state(), media_type="application/json")

    served = app
    if service.watch is not None:
        from memlens.integrations.web import asgi_app
        from memlens.lifetimes import ASGIRequests

        app.mount("/debug", asgi_app(service.watch.profiler, token=TOKEN))
        served = ASGIRequests(app)
    config = uvicorn.Config(served, log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listening])


def serve_standard(service: Service, listening: socket.socket) -> None:
    """Serve under the server of the standard library."""
    import socketserver
    from wsgiref import simple_server

    class Handler(simple_server.WSGIRequestHandler):
        def log_message(self, *arguments) -> None:
            """Write no log."""

    class Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
        daemon_threads = True

    def app(environ, start_response):
        content = service.answer(environ["PATH_INFO"])
        start_response("200 OK", [("Content-Length", str(len(content)))])
        return [content]

    served = app
    if service.watch is not None:
        from memlens.integrations.web import wsgi_app

        served = wsgi_app(service.watch.profiler, token=TOKEN, app=app)
    server = Server(listening.getsockname(), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listening
    server.setup_environ()
    server.set_app(served)
    server.serve_forever()


def main() -> None:
    """Serve until killed."""
    mode, folder = sys.argv[1:3]
    service = Service(mode, folder, json.loads(os.environ["SOAK_OPTIONS"]))
    listening = socket.create_server(("127.0.0.1", 0), backlog=200)
    print(listening.getsockname()[1], flush=True)
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        serve_standard(service, listening)
    else:
        serve_fastapi(service, listening)


if __name__ == "__main__":
    main()
