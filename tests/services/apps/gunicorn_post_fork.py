"""Settings of gunicorn: each worker starts its profiler."""

import watching


def post_fork(server, worker):
    watching.start()
