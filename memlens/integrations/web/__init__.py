"""Endpoints over HTTP for the memory of the process that serves them; off unless mounted.

::

    from memlens.integrations.web import asgi_app, wsgi_app

    app.mount("/debug", asgi_app(profiler))                      # FastAPI, Starlette
    app.wsgi_app = wsgi_app(profiler, app=app.wsgi_app)          # Flask
    application = wsgi_app(profiler, app=get_wsgi_application()) # Django

Each answers ``/memory``, ``/allocations``, ``/leaks`` and ``/heap-snapshot`` below the place where it
is mounted. A token is required. No web framework is imported.
"""

from __future__ import annotations

from memlens.integrations.web.asgi import asgi_app
from memlens.integrations.web.wsgi import wsgi_app

__all__ = ("asgi_app", "wsgi_app")
