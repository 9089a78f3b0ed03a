"""The application for gunicorn and runserver: Django, and the endpoints below /debug."""

import os

from django.core.wsgi import get_wsgi_application

from memlens.integrations.web import wsgi_app
from shop.memory import profiler

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
application = get_wsgi_application()
if "MEMLENS_TOKEN" in os.environ:  # without a token they are not mounted
    application = wsgi_app(profiler, app=application)
