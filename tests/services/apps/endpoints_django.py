"""A Django service with the endpoints of memlens, for both server interfaces and runserver."""

import os
import sys

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path

import memlens
from memlens.integrations.web import asgi_app, wsgi_app

if not settings.configured:
    settings.configure(
        ROOT_URLCONF="endpoints_django",
        WSGI_APPLICATION="endpoints_django.application",
        SECRET_KEY="only for this test",
        ALLOWED_HOSTS=["*"],
        DEBUG=True,
        USE_TZ=True,
    )
    django.setup()
profiler = memlens.MemoryProfiler(os.environ["PROFILES"], snapshot_interval=3.0)
kept = [[f"record {number}", {"number": number}] for number in range(30_000)]


def index(request):
    return JsonResponse({"kept": len(kept)})


def started():
    """The profiler of the process that serves."""
    return profiler.start()


urlpatterns = [path("", index)]
application = wsgi_app(started, app=get_wsgi_application(), max_per_minute=1000)
asgi_application = asgi_app(started, app=get_asgi_application(), max_per_minute=1000)

if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    execute_from_command_line(["manage.py", *sys.argv[1:]])
