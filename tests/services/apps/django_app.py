"""A Django service that leaks: objects kept by a class, and receivers of a signal."""

import django
import watching
from django.conf import settings
from django.core.signals import setting_changed
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path

settings.configure(
    ROOT_URLCONF=__name__,
    SECRET_KEY="only for this test",
    ALLOWED_HOSTS=["*"],
    USE_TZ=True,
)
django.setup()


class Basket:
    """A basket that its class never forgets."""

    by_number = {}

    def __init__(self, number):
        watching.store(self.by_number, number, number)


def baskets(request, number):
    Basket(number)
    return JsonResponse({})


def receivers(request, number):
    record = watching.Record(number)

    def receive(**settings):
        return record

    setting_changed.connect(receive, weak=False)
    if watching.IS_HEALTHY:
        setting_changed.disconnect(receive)
    return JsonResponse({})


def report(request):
    return JsonResponse(watching.report())


urlpatterns = [
    path("baskets/<int:number>", baskets),
    path("receivers/<int:number>", receivers),
    path("report", report),
]
application = get_wsgi_application()
