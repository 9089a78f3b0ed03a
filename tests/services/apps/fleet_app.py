"""A service of several workers: one route leaks in every worker, another one in a single worker.

The same program as WSGI (``application``) and ASGI (``asgi``). The profiler starts with the import, in
each worker or, where the server loads the program first, before the workers are forked.
"""

import json
import os
import time

import watching

watching.KEPT = 5  # of a quarter of the requests: it is soon full
every_worker = {}
one_worker = []

if os.environ.get("START") != "post_fork":
    watching.watch()


def claims():
    """Tell whether this worker is the one that leaks: the first that asked."""
    path = os.path.join(os.path.dirname(os.environ["PROFILES"]), "claim")
    try:
        with open(path, "x") as file:
            file.write(str(os.getpid()))
    except FileExistsError:
        with open(path) as file:
            return file.read() == str(os.getpid())
    return True


def answer(path):
    """Return the process id of the worker, after what the route keeps."""
    _, kind, number = path.split("/")
    if kind == "every":
        watching.store(every_worker, number, number)
    elif claims():
        watching.keep(one_worker, number)
    time.sleep(0.01)  # the work of a request: meanwhile others are answered by other workers
    return json.dumps(os.getpid()).encode()


def application(environ, start_response):
    body = answer(environ["PATH_INFO"])
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = answer(scope["path"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
