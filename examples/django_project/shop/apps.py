"""Starts the profiler when Django has loaded the application."""

import os
import sys
from pathlib import Path

from django.apps import AppConfig

from shop.memory import profiler


class ShopConfig(AppConfig):
    """The configuration of the app."""

    name = "shop"

    def ready(self) -> None:
        """Start the profiler if this process serves requests."""
        if serves_requests():
            profiler.start()


def serves_requests() -> bool:
    """Tell servers from commands such as migrate, and from the reloader of runserver.

    The reloader loads the application, too, and starts the server in a process of its own.
    """
    if os.environ.get("RUN_MAIN") == "true":
        return True  # started by the reloader
    if Path(sys.argv[0]).name not in ("manage.py", "django-admin"):
        return True  # gunicorn, uvicorn
    return sys.argv[1:2] == ["runserver"] and "--noreload" in sys.argv
