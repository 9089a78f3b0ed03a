"""Settings of gunicorn: the profiler is started before the workers are forked."""

import watching

preload_app = True


def on_starting(server):
    watching.start()
