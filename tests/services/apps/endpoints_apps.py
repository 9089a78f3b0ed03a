"""Services with the endpoints of memlens: FastAPI and Flask. Each holds enough for a large file."""

import contextlib
import os

from fastapi import FastAPI, Request
from flask import Flask

import memlens
from memlens.integrations.web import asgi_app, wsgi_app

profiler = memlens.MemoryProfiler(os.environ["PROFILES"], snapshot_interval=3.0)
kept = [[f"record {number}", {"number": number}] for number in range(30_000)]


@contextlib.asynccontextmanager
async def lifespan(app):
    with profiler:
        yield


fastapi_app = FastAPI(lifespan=lifespan)
fastapi_app.mount("/debug", asgi_app(profiler, max_per_minute=1000))


@fastapi_app.middleware("http")
async def pass_on(request: Request, call_next):
    """A middleware, as many services have one: it stands between the server and the endpoints."""
    return await call_next(request)


@fastapi_app.get("/")
async def of_fastapi():
    return {"kept": len(kept)}


flask_app = Flask(__name__)
flask_app.wsgi_app = wsgi_app(lambda: profiler.start(), app=flask_app.wsgi_app, max_per_minute=1000)


@flask_app.get("/")
def of_flask():
    return {"kept": len(kept)}
