"""Settings of gunicorn for flask_gunicorn.py: each worker starts its profiler, and stops it."""

from __future__ import annotations

from typing import Any

worker_class = "gthread"
threads = 4


def post_fork(server: Any, worker: Any) -> None:
    """Start the profiler in a worker. Without --preload this imports the application first."""
    from flask_gunicorn import profiler

    profiler.start()


def worker_exit(server: Any, worker: Any) -> None:
    """Keep a last snapshot of a worker that ends."""
    from flask_gunicorn import profiler

    profiler.stop(last_snapshot="exit")
