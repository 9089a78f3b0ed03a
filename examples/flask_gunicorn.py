"""Flask under gunicorn: a profiler in each worker, and its endpoints.

    python examples/flask_gunicorn.py

starts the service twice, without and with ``--preload``, makes it leak, and prints what leaks. To
serve it yourself, with the hooks of flask_gunicorn_conf.py:

    cd examples
    MEMLENS_TOKEN=... gunicorn -c flask_gunicorn_conf.py flask_gunicorn:app

Add ``-k gthread --threads 4``, so that a worker answers other requests during a snapshot.
"""

from __future__ import annotations

import os

from flask import Flask

import memlens
from memlens.integrations.web import wsgi_app

# Not started here: with --preload this module is imported before the workers are forked.
profiler = memlens.MemoryProfiler(
    os.environ.get("PROFILES", "memory-profiles"),
    snapshot_interval=1.0,  # for this example; leave it out
)
app = Flask(__name__)
if "MEMLENS_TOKEN" in os.environ:  # without a token it is not mounted
    app.wsgi_app = wsgi_app(profiler, app=app.wsgi_app)  # type: ignore[method-assign]


uploads: list[bytes] = []


@app.get("/upload")
def upload() -> dict[str, int]:
    """Keep what was uploaded: the leak of this example."""
    uploads.append(bytes(20_000 + len(uploads)))
    return {"uploads": len(uploads)}


def main() -> None:
    """Run the service in both ways and drive it."""
    import tempfile

    from _server import Server

    command = ("gunicorn", "-c", "flask_gunicorn_conf.py", "-b", "127.0.0.1:{port}")
    for options in ((), ("--preload",)):
        with (
            tempfile.TemporaryDirectory() as folder,
            Server(*command, *options, "flask_gunicorn:app", folder=folder) as server,
        ):
            print("gunicorn", *options)
            print(server.leaks_of("/upload", "flask_gunicorn.uploads"))


if __name__ == "__main__":
    main()
