"""A FastAPI service that leaks: sessions by token, requests in a middleware, tasks that never end."""

import asyncio
import contextlib

import watching
from fastapi import FastAPI, Request


@contextlib.asynccontextmanager
async def lifespan(app):
    watching.start()
    yield
    watching.profiler.stop()


app = FastAPI(lifespan=lifespan)
SESSIONS = {}
waiting = set()


class Audit:
    """A middleware that remembers what it has seen."""

    def __init__(self):
        self.seen = []

    async def __call__(self, request: Request, call_next):
        if request.url.path == "/audited":
            watching.keep(self.seen, len(self.seen))
        return await call_next(request)


app.middleware("http")(Audit())


@app.get("/sessions/{number}")
async def sessions(number: int):
    watching.store(SESSIONS, f"token-{number}", number)
    return {"sessions": len(SESSIONS)}


@app.get("/audited")
async def audited():
    return {}


async def answer(number, done):
    record = watching.Record(number)
    await done.wait()
    return record


@app.get("/tasks/{number}")
async def tasks(number: int):
    done = asyncio.Event()
    if watching.IS_HEALTHY:
        asyncio.get_running_loop().call_later(0.01, done.set)
    task = asyncio.create_task(answer(number, done))
    waiting.add(task)
    task.add_done_callback(waiting.discard)
    return {}


@app.get("/report")
def report():
    return watching.report()
