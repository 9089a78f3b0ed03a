"""The only view: it keeps what it makes."""

from django.http import HttpRequest, JsonResponse
from django.urls import path

baskets: dict[int, list[str]] = {}


def buy(request: HttpRequest, number: int) -> JsonResponse:
    """Keep a basket for ever: the leak of this example."""
    baskets[number] = [f"basket {number}, article {article}" for article in range(50)]
    return JsonResponse({"baskets": len(baskets)})


urlpatterns = [path("buy/<int:number>", buy)]
