"""Settings of gunicorn: each worker of `fleet_app` starts its profiler."""

import watching


def post_fork(server, worker):
    watching.watch()
